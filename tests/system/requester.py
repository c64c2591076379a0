"""A requester of our own: the SP mapping over TCP and the little msgpack that frames are made of, by docs/protocol.md.

For tests that say what no program says, or say it faster than a process each time could."""
import socket
import struct


def pack(value):
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return b"\xda" + struct.pack(">H", len(text)) + text
    if isinstance(value, (list, tuple)):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(pack, value))
    return b"\xcf" + struct.pack(">Q", value)


def _length(data, at, size):
    return int.from_bytes(data[at + 1:at + 1 + size], "big"), at + 1 + size


def _unpack(data, at):
    first = data[at]
    if first < 0x80:
        return first, at + 1
    if first & 0xf0 == 0x90 or first in (0xdc, 0xdd):
        count, at = (first & 15, at + 1) if first < 0xa0 else _length(data, at, 2 << (first - 0xdc))
        items = []
        for _ in range(count):
            item, at = _unpack(data, at)
            items.append(item)
        return items, at
    if first & 0xe0 == 0xa0 or first in (0xd9, 0xda, 0xdb, 0xc4, 0xc5, 0xc6):
        text = first < 0xc0 or first >= 0xd9
        size, at = (first & 31, at + 1) if first < 0xc0 else _length(data, at, 1 << (first - (0xd9 if text else 0xc4)))
        value = bytes(data[at:at + size])
        return value.decode() if text else value, at + size
    if 0xcc <= first <= 0xcf:
        return _length(data, at, 1 << (first - 0xcc))
    raise ValueError(f"0x{first:02x} is in no frame of an answer")


def unpack(data):
    value, end = _unpack(data, 0)
    assert end == len(data)
    return value


class Requester:
    """One connection to a rpc port; one request at a time. A connection that is lost is an OSError."""

    def __init__(self, port, timeout_s=10):
        self.count = 0
        self.s = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s.sendall(b"\0SP\0\0\x30\0\0")
        if self.read(8) != b"\0SP\0\0\x31\0\0":
            raise ConnectionError("the other end is no replier")

    def read(self, count):
        got = b""
        while len(got) < count:
            piece = self.s.recv(count - len(got))
            if not piece:
                raise ConnectionError("the other end closed the connection")
            got += piece
        return got

    def ask(self, frame):
        """Send a frame; the reply's bytes."""
        self.count += 1
        body = struct.pack(">I", 0x80000000 | self.count) + pack(frame)
        self.s.sendall(struct.pack(">Q", len(body)) + body)
        length, = struct.unpack(">Q", self.read(8))
        return self.read(length)[4:]

    def close(self):
        self.s.close()
