"""A peer that speaks the messages of docs/protocol.md by hand: a request and its reply, and a stream's bytes."""
import socket
import struct
import time

REQ, SUB = 0x30, 0x21
READ_S = 5


def pack(v):
    """msgpack of what requests are made of."""
    if isinstance(v, list):
        return bytes([0x90 | len(v)]) + b"".join(map(pack, v))
    if isinstance(v, str):
        return bytes([0xd9, len(v)]) + v.encode()
    return b"\xcf" + struct.pack(">Q", v)


def connect(port, protocol):
    s = socket.create_connection(("127.0.0.1", port), timeout=READ_S)
    s.sendall(b"\0SP\0" + struct.pack(">HH", protocol, 0))
    f = s.makefile("rb")
    assert f.read(8)[:4] == b"\0SP\0"
    return s, f


def read_message(f):
    return f.read(struct.unpack(">Q", f.read(8))[0])


def ask(port, frame):
    """The reply's frame, as bytes."""
    s, f = connect(port, REQ)
    with s:
        body = struct.pack(">I", 0x80000001) + pack(frame)
        s.sendall(struct.pack(">Q", len(body)) + body)
        return read_message(f)[4:]


def hello(port):
    return ask(port, [10, 1, "by-hand", 1, "0", 1, "agent", [], 0])


def fetch(port, env, epoch, after=0):
    return ask(port, [11, 1, env, epoch, after, 0, 1 << 20])


def snapshot(port, env):
    return ask(port, [12, 1, env, 0, 0, "", 1 << 20])


def listen(port, seconds, meanwhile):
    """All that a stream says while `meanwhile` is done, and for so long behind it."""
    s, f = connect(port, SUB)
    said = []
    with s:
        meanwhile()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            said.append(read_message(f))
    return said
