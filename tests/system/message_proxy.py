"""A relay that lies: it stands between a host and its upstream, knows the messages (docs/protocol.md, Transport), and
passes each on, alters it, or keeps it."""
import socket
import struct
import threading

SP_HELLO = 8  # each side of a connection begins with so many bytes of its own
REQUEST_ID = 4  # a request's id, which its reply repeats
CHANGES, HEARTBEAT, HELLO_REPLY, FETCH_REPLY, SNAPSHOT_REPLY = 1, 2, 20, 21, 22
ERROR_REPLY = b"\x1d"


def kind(frame):
    """The first element of a frame, an array of fewer than 16."""
    return frame[1]


def end_of(data, at):
    """Where the msgpack value that begins at `at` ends; of the kinds that frames have."""
    first = data[at]
    at += 1
    if first < 0x80 or first >= 0xe0 or first in (0xc0, 0xc2, 0xc3):
        return at
    if 0xa0 <= first <= 0xbf:
        return at + (first & 31)
    if 0xcc <= first <= 0xd3:
        return at + (1 << (first - 0xcc & 3))
    if first in (0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb):
        size = 1 << (first - (0xc4 if first < 0xd9 else 0xd9))
        return at + size + int.from_bytes(data[at:at + size], "big")
    count = first & 15
    if first == 0xdc:
        count = int.from_bytes(data[at:at + 2], "big")
        at += 2
    assert 0x90 <= first <= 0x9f or first == 0xdc, hex(first)
    for _ in range(count):
        at = end_of(data, at)
    return at


def elements(data):
    """Those of an array, as they came."""
    at, end, found = 3 if data[0] == 0xdc else 1, end_of(data, 0), []
    while at < end:
        found.append(data[at:end_of(data, at)])
        at = end_of(data, at)
    return found


def array(elements):
    return b"\xdc" + struct.pack(">H", len(elements)) + b"".join(elements)


def binary(data):
    return b"\xc5" + struct.pack(">H", len(data)) + data


def content(binary):
    """What is in a bin."""
    return binary[{0xc4: 2, 0xc5: 3, 0xc6: 5}[binary[0]]:]


class MessageProxy:
    """Listens at `port` and the next; `stream` and `reply` make of each frame a list of frames to be passed on."""

    def __init__(self, port, target):
        self.url = f"tcp://127.0.0.1:{port}"
        self.stream = self.reply = lambda frame: [frame]
        self.listeners = []
        for i in range(2):
            listener = socket.create_server(("127.0.0.1", port + i))
            self.listeners.append(listener)
            threading.Thread(target=self._accept, args=(listener, target + i, i == 1), daemon=True).start()

    def _accept(self, listener, target, is_stream):
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", target), timeout=5)
            except OSError:
                return
            server.settimeout(None)
            threading.Thread(target=self._copy, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, is_stream), daemon=True).start()

    def _pass_on(self, source, sink, is_stream):
        sink.sendall(source.read(SP_HELLO))
        while head := source.read(8):
            message = source.read(struct.unpack(">Q", head)[0])
            if is_stream is None:
                made = [message]
            elif is_stream:
                made = self.stream(message)
            else:
                made = [message[:REQUEST_ID] + frame for frame in self.reply(message[REQUEST_ID:])]
            for m in made:
                sink.sendall(struct.pack(">Q", len(m)) + m)

    def _copy(self, source, sink, is_stream):
        try:
            self._pass_on(source.makefile("rb"), sink, is_stream)
        except (OSError, struct.error):
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        for listener in self.listeners:
            listener.close()
