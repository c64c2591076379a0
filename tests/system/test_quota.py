"""The options of quotas do what they say at whoever has listeners: each limit is met where it was set, by its own label."""
import contextlib

import pytest

import hostile
from hoist import wait_until

PEERS = [f"127.0.0.{i}" for i in range(2, 5)]
OPTIONS = {"connections": "4", "peer-connections": "2", "subscriptions": "6", "peer-subscriptions": "3", "peer-requests": "20",
           "request-bytes": "64KiB", "peer-request-bytes": "32KiB"}


class Server:
    def __init__(self, daemon):
        self.daemon, self.port = daemon, daemon.port

    def refused(self, limit):
        return self.daemon.metric(f'hoist_refused_total{{limit="{limit}"}}')

    def ratio(self, limit):
        return self.daemon.metric(f'hoist_limit_ratio{{limit="{limit}"}}')

    @contextlib.contextmanager
    def crowd(self, counts, hello, offset=0):
        """So many connections of each peer, one after the other; all are gone at the end."""
        kind = ("connections", "subscriptions")[offset]
        limits = [kind, f"peer_{kind}", "request_bytes", "peer_request_bytes"]
        with contextlib.ExitStack() as stack:
            for peer, count in zip(PEERS, counts):
                for _ in range(count):
                    met, there = sum(map(self.refused, limits)), self.ratio(kind)
                    stack.enter_context(hostile.connect(self.port + offset, hello, peer))
                    wait_until(lambda: self.ratio(kind) > there or sum(map(self.refused, limits)) > met)  # it may be gone by now
            yield
        wait_until(lambda: self.ratio(kind) == 0)


@pytest.fixture(params=["primary", "relay"])
def server(request, lab):
    words = [word for name, value in OPTIONS.items() for word in (f"--{name}", value)]
    if request.param == "primary":
        return Server(lab.primary(*words))
    lab.primary()
    return Server(lab.relay(*words))


def test_connections_and_subscriptions(server):
    for offset, (kind, hello, own) in enumerate((("connections", hostile.SP_REQ, 2), ("subscriptions", hostile.SP_SUB, 3))):
        with server.crowd([own, own + 1], hello, offset):
            assert server.refused(kind) == 0 and server.refused(f"peer_{kind}") > 0
            wait_until(lambda: server.ratio(kind) == server.ratio(f"peer_{kind}") == 1)  # a look may find the refused one not closed yet
        with server.crowd([own, own - 1, 2], hello, offset):
            assert server.refused(kind) > 0
    assert "peer 127.0.0.3 is refused" in server.daemon.text() and "--peer-connections" in server.daemon.text()


def test_requests(server):
    asker = hostile.Asker(server.port)
    assert not any(asker.is_busy() for _ in range(40))  # two seconds' may come at once
    wait_until(asker.is_busy)
    assert server.refused("peer_requests") >= 1 and "--peer-requests" in server.daemon.text()


def test_bytes_of_requests(server):
    """Beginnings of 24 KiB: two of one peer are more than 32, one each of three are more than 64."""
    begun = hostile.SP_REQ + (1 << 20).to_bytes(8, "big") + b"x" * (24 << 10)
    with server.crowd([2, 1, 1], begun):
        wait_until(lambda: server.refused("request_bytes") == 1)
        assert server.refused("peer_request_bytes") == 1
        wait_until(lambda: server.ratio("connections") == 0.5)  # two are ended
