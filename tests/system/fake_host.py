"""A host that is nothing but its word: says to a primary over its rpc port what no real agent says when asked to."""
import os
import socket
import struct


def pack(value):
    """msgpack, of what a status frame is made of."""
    if isinstance(value, bytes):
        return b"\xc5" + struct.pack(">H", len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return b"\xda" + struct.pack(">H", len(text)) + text
    if isinstance(value, (list, tuple)):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(pack, value))
    return b"\xcf" + struct.pack(">Q", value)


class FakeHost:
    """Speaks the SP mapping over TCP as a requester; docs/protocol.md has the frames."""

    def __init__(self, port, name):
        self.name, self.incarnation, self.count = name, int.from_bytes(os.urandom(7), "big"), 0
        self.s = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.s.sendall(b"\0SP\0\0\x30\0\0")
        assert self.read(8) == b"\0SP\0\0\x31\0\0"

    def read(self, count):
        got = b""
        while len(got) < count:
            piece = self.s.recv(count - len(got))
            assert piece, "the primary closed the connection"
            got += piece
        return got

    def tell(self, version, epoch, env="production", refusals=(), labels=(), held=0, hash=bytes(32)):
        """A status; `refusals` are (key, version, why). Gives the reply's bytes."""
        self.count += 1
        head = [env, epoch, version, hash, bytes(32), 1, held]
        frame = pack([13, 1, self.name, self.incarnation, "0.1.0", list(labels), [head], [[env, *r] for r in refusals]])
        body = struct.pack(">I", 0x80000000 | self.count) + frame
        self.s.sendall(struct.pack(">Q", len(body)) + body)
        length, = struct.unpack(">Q", self.read(8))
        return self.read(length)[4:]

    def close(self):
        self.s.close()
