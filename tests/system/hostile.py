"""Peers that do their worst, by hand: floods of connections, greedy askers, slow ones, lies about lengths, rubbish.
They come from 127.0.0.2, so that a server can tell them from the fleet at 127.0.0.1."""
import json
import multiprocessing
import os
import random
import resource
import socket
import ssl
import threading
import time

from hoist import free_port

FROM = "127.0.0.2"
SP_REQ, SP_SUB = b"\0SP\0\0\x30\0\0", b"\0SP\0\0\x21\0\0"
SP_REP, SP_PUB = b"\0SP\0\0\x31\0\0", b"\0SP\0\0\x20\0\0"
# fetch: [11, 1, "production", epoch 1, after 0, offset 0, budget 1024]; its epoch is nobody's
FETCH = b"\x97\x0b\x01\xaaproduction\x01\x00\x00\xcd\x04\x00"
REPLY_BUSY = 1


def connect(port, hello=b"", source=FROM, timeout=5):
    s = socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(source, 0))
    if hello:
        s.sendall(hello)
    return s


def exactly(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return data


def message(n, body):
    """Request `n` as it goes over the wire."""
    m = (0x80000000 | n).to_bytes(4, "big") + body
    return len(m).to_bytes(8, "big") + m


def text(s):
    return bytes([0xd9, len(s)]) + s.encode()


def question(name, args):
    """A command that is asked and not signed: [14, 1, its id, its name, reason, JSON]."""
    body = json.dumps(args).encode()
    return b"\x96\x0e\x01\xc4\x10" + os.urandom(16) + text(name) + text("") + b"\xc5" + len(body).to_bytes(2, "big") + body


def snapshot(env="production"):
    """The first page of the newest: [12, 1, env, 0, 0, "", 1 MiB]."""
    return b"\x97\x0c\x01" + text(env) + b"\x00\x00\xa0\xce\x00\x10\x00\x00"


class Asker:
    """One REQ connection, one request at a time."""

    def __init__(self, port, source=FROM, timeout=5):
        self.s = connect(port, SP_REQ, source, timeout)
        exactly(self.s, 8)
        self.n = 0

    def ask(self, body=FETCH):
        self.n += 1
        self.s.sendall(message(self.n, body))
        return self.hear()

    def hear(self):
        length = int.from_bytes(exactly(self.s, 8), "big")
        return exactly(self.s, length)[4:]

    def is_busy(self):
        """Ask once; whether the answer is busy."""
        return self.ask()[3] == REPLY_BUSY


def _greedy(port, connections, ending):
    askers = [Asker(port) for _ in range(connections)]
    while not ending.is_set():
        for a in askers:
            a.n += 1
            a.s.sendall(message(a.n, FETCH))
        for a in askers:
            a.hear()


class Greedy:
    """Processes that ask as fast as they are answered, each over many connections."""

    def __init__(self, port, processes=2, connections=50):
        self.ending = multiprocessing.Event()
        self.all = [multiprocessing.Process(target=_greedy, args=(port, connections, self.ending), daemon=True) for _ in range(processes)]
        for p in self.all:
            p.start()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.ending.set()
        for p in self.all:
            p.join(10)
            if p.is_alive():
                p.kill()


class Deaf:
    """Connections that ask and ask and read nothing, each made anew when it is ended, or half a second old."""

    def __init__(self, port, connections, body):
        self.port, self.asking = port, b"".join(message(n, body) for n in range(1, 200))
        self.open, self.ending = [self.make() for _ in range(connections)], threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def make(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.bind((FROM, 0))
        s.connect(("127.0.0.1", self.port))
        s.sendall(SP_REQ)
        s.setblocking(False)
        return s, time.monotonic() + 0.5

    def is_done(self, s, until):
        try:
            s.send(self.asking)
        except BlockingIOError:
            pass
        except OSError:
            return True
        return time.monotonic() > until

    def run(self):
        while not self.ending.wait(0.02):
            for i, (s, until) in enumerate(self.open):
                if self.is_done(s, until):
                    s.close()
                    self.open[i] = self.make()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *why):
        self.ending.set()
        self.thread.join(10)
        for s, _ in self.open:
            s.close()


class Crowd:
    """Many connections at once, as far as they are taken, until the end of the block."""

    def __init__(self, port, count, hello=b"", sources=(FROM,)):
        self.open = []
        for i in range(count):
            try:
                self.open.append(connect(port, hello, sources[i % len(sources)]))
            except OSError:
                pass

    def send(self, data):
        """To each that is still there, and takes it."""
        for s in list(self.open):
            try:
                s.sendall(data)
            except OSError:
                s.close()
                self.open.remove(s)

    def __enter__(self):
        return self

    def __exit__(self, *why):
        for s in self.open:
            s.close()


def tls_hello():
    """The first words of TLS."""
    goes = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), goes, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return goes.read()


class Handshake:
    """A TLS handshake that is made step by step, as slowly as one likes: begin(), answer(), finish()."""

    def __init__(self, port, cert, key, source=FROM):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version, context.check_hostname, context.verify_mode = ssl.TLSVersion.TLSv1_2, False, ssl.CERT_NONE
        context.load_cert_chain(cert, key)
        self.came, self.goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.came, self.goes)
        self.s = connect(port, source=source, timeout=30)
        self.began = time.monotonic()

    def fileno(self):
        return self.s.fileno()

    def step(self):
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def receive(self):
        """Wait for what comes next; False: the other side has ended it."""
        try:
            data = self.s.recv(65536)
        except OSError:
            data = b""
        self.came.write(data)
        return bool(data)

    def begin(self):
        """The first words."""
        self.step()
        self.s.sendall(self.goes.read())
        return self

    def answer(self, held=0):
        """The other side's words, and ours to them but for the last `held` bytes, which are kept."""
        while not self.goes.pending and self.receive():
            self.step()
        data = self.goes.read()
        self.s.sendall(data[:len(data) - held])
        self.kept = data[len(data) - held:]
        return self

    def finish(self):
        """Whether the other side agrees."""
        try:
            self.s.sendall(self.kept)
            while not self.step():
                if not self.receive():
                    return False
            return True
        except (OSError, ssl.SSLError):
            return False

    def say(self, data):
        self.tls.write(data)
        self.s.sendall(self.goes.read())

    def ended(self):
        """Whether the other side has ended it; what it said before is dropped."""
        self.s.setblocking(False)
        try:
            while self.s.recv(65536):
                pass
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def hear(self, seconds=10):
        """What is said by the other side in that time, or until it ends the connection."""
        data, end = b"", time.monotonic() + seconds
        try:
            while time.monotonic() < end and self.receive():
                try:
                    while piece := self.tls.read(65536):
                        data += piece
                except ssl.SSLWantReadError:
                    pass
        except ssl.SSLError:
            pass
        return data


class HalfSpoken:
    """An upstream whose stream says the first bytes of a message and then nothing."""

    def __init__(self):
        self.port, self.spoken, self.all = free_port(2), 0, []
        self.url = f"tcp://127.0.0.1:{self.port}"
        for i, hello in enumerate((SP_REP, SP_PUB)):
            listener = socket.create_server(("127.0.0.1", self.port + i))
            self.all.append(listener)
            threading.Thread(target=self.serve, args=(listener, hello), daemon=True).start()

    def serve(self, listener, hello):
        while True:
            try:
                s, _ = listener.accept()
                s.sendall(hello)
                exactly(s, 8)
                s.sendall((1000).to_bytes(8, "big") + b"x" * 10)
            except OSError:
                if listener.fileno() < 0:
                    return
                continue
            self.spoken += 1
            self.all.append(s)

    def close(self):
        for s in self.all:
            s.close()


def pour(port, head, count, chunk=b"x" * 65536):
    """Send `head` and `count` times `chunk`, as far as they are taken; the bytes that were."""
    sent = 0
    with connect(port, timeout=10) as s:
        try:
            s.sendall(head)
            for _ in range(count):
                s.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
    return sent


def rubbish(port, dice, rounds):
    """Random bytes, and well-formed SP messages around random bytes."""
    for _ in range(rounds):
        hello = dice.choice((b"", SP_REQ, SP_SUB))
        body = dice.randbytes(dice.randrange(1, 2000))
        if hello and dice.random() < 0.7:
            body = b"\x80\0\0\1" + body
            body = len(body).to_bytes(8, "big") + body
        try:
            with connect(port, hello) as s:
                s.sendall(body)
        except OSError:
            pass


def bombs():
    """msgpack that claims far more than it has: counts of 2^32-1, arrays a million deep, in each request's place."""
    deep = b"\x91" * 1_000_000
    for kind in (10, 11, 12, 13, 14, 15, 99):
        start = b"\x98" + bytes([kind, 1])
        for tail in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", deep, b"\x81" * 1000):
            yield start + tail
            yield start + b"\xa1h\x01\xa1s\x01\xa1r" + tail
    yield deep
    yield b"\xdd\xff\xff\xff\xff"


def allow_files(count):
    """For attackers and tests with thousands of sockets; the limit that there is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = max(soft, min(count, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def p99(values):
    return sorted(values)[int(len(values) * 0.99)] if values else 0.0


def time_requests(port, seconds, source="127.0.0.1"):
    """The p99 of honest requests over one connection, in ms, and how many there were."""
    asker, took = Asker(port, source), []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        asker.ask()
        took.append((time.monotonic() - began) * 1000)
        time.sleep(0.002)
    asker.s.close()
    return p99(took), len(took)


def seed():
    return int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)
