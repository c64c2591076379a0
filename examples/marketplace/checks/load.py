"""Requests at a fixed rate, whether or not the answers keep up: what a stall costs, it costs all that were due."""
import collections
import itertools
import re
import socket
import threading
import time

TIMEOUT_S = 30
Round = collections.namedtuple("Round", "p50 p99 per_s failed")


class Connection:
    """A connection that stays, and one request over it again and again; cheap, so that the service is what is timed."""

    def __init__(self, port, target):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self):
        """Whether the answer was 200, and whole."""
        self.socket.sendall(self.request)
        data, end = b"", None
        while end is None or len(data) < end:
            more = self.socket.recv(65536)
            if not more:
                return False
            data += more
            head = data.find(b"\r\n\r\n")
            if end is None and head >= 0:
                end = head + 4 + int(re.search(rb"(?i)content-length: *(\d+)", data[:head])[1])
        return data.startswith(b"HTTP/1.1 200 ")


def quantile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def load(port, target, rate_per_s, seconds, connections):
    """One round of it. A latency is from when a request was due, not from when it could be sent."""
    count = max(1, int(rate_per_s * seconds))
    slots, latencies, failed = itertools.count(), [None] * count, [0] * connections
    begin = time.monotonic() + 0.02

    def work(which):
        try:
            with Connection(port, target) as connection:
                for slot in slots:  # each is one thread's
                    if slot >= count:
                        return
                    due = begin + slot / rate_per_s
                    time.sleep(max(0.0, due - time.monotonic()))
                    failed[which] += not connection.ask()
                    latencies[slot] = time.monotonic() - due
        except (OSError, TypeError):  # TypeError: an answer without a length
            return

    threads = [threading.Thread(target=work, args=(i,)) for i in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begin
    ordered = sorted(latency for latency in latencies if latency is not None)
    lost = count - len(ordered)
    if not ordered:
        return Round(None, None, None, lost)
    return Round(quantile(ordered, 0.5), quantile(ordered, 0.99), len(ordered) / took, lost + sum(failed))
