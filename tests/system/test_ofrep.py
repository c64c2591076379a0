"""OFREP over real sockets: what clients of OpenFeature see, and what bad ones can do."""
import contextlib
import http.client
import json
import os
import random
import re
import socket
import struct
import time

import pytest

from hoist import BUILD, SANITIZED, SOAK, free_port, wait_until

FLAGS = {"flags": {
    "sync.enabled": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"},
    "price": {"state": "ENABLED", "variants": {"low": 1.5, "high": 2}, "defaultVariant": "low",
              "targeting": {"if": [{"==": [{"var": "plan"}, "pro"]}, "high", None]}},
    "region": {"state": "ENABLED", "variants": {"eu": "Europe", "us": "America"}, "targeting": {"var": "region"}},
}}
JSON = {"Content-Type": "application/json"}
PATH = "/ofrep/v1/evaluate/flags"
STREAMS = "/ofrep/v1/events"


@pytest.fixture
def site(lab):
    """A `dev` with flags; lab.port is where it serves OFREP."""
    return start(lab)


def start(lab, *args):
    lab.port = free_port()
    lab.dev = lab.primary("--ofrep-http", f"127.0.0.1:{lab.port}", *args, role="dev")
    lab.ok("import", lab.file("flags.json", FLAGS))
    return lab


def ask(port, path=PATH, context=None, method="POST", body=None, headers=JSON):
    """The status, the headers, the object (or None)."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    if body is None and method == "POST":
        body = json.dumps({"context": context or {}})
    c.request(method, path, body, headers)
    answer = c.getresponse()
    text = answer.read()
    c.close()
    return answer.status, answer.headers, json.loads(text) if text else None


class Stream:
    """A client of Server-Sent Events."""

    def __init__(self, port, path=STREAMS, source="127.0.0.1", **headers):
        self.s = socket.create_connection(("127.0.0.1", port), 20, (source, 0))
        lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
        self.s.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode())
        self.got = b""

    def until(self, pattern, limit_s=20):
        """Read until `pattern` has come behind what was seen before; its match."""
        end = time.monotonic() + limit_s
        while True:
            found = re.search(pattern, self.got)
            if found:
                self.got = self.got[found.end():]
                return found
            self.s.settimeout(max(0.01, end - time.monotonic()))
            more = self.s.recv(65536)
            assert more, f"the stream ended: {self.got!r}"
            self.got += more

    def event(self, limit_s=20):
        """The id of the next event."""
        return self.until(rb'id: (\S+)\nevent: message\ndata: {"type":"refetchEvaluation"}\n\n', limit_s).group(1).decode()

    def close(self):
        self.s.close()


def raw(port, data, limit_s=20, close=True):
    """What a server answers to these bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", port), limit_s) as s:
        with contextlib.suppress(OSError):
            s.sendall(data)
            if close:
                s.shutdown(socket.SHUT_WR)
        got = b""
        with contextlib.suppress(OSError):
            while more := s.recv(65536):
                got += more
        return got


def post_bytes(body, path=PATH, extra=""):
    return (f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n").encode() + body


def open_streams(lab):
    return lab.dev.metric("hoist_ofrep_streams")


# ---------------------------------------------------------------- answers

def test_an_agent_and_a_relay_answer_and_follow(lab):
    lab.primary("--env", "production", "--env", "staging")
    relay = lab.relay("--env", "production", "--env", "staging")
    agent = lab.agent("--env", "production", "--env", "staging", upstream=relay.url)
    lab.ok("import", lab.file("flags.json", FLAGS), env="production")
    for d in (relay, agent):
        wait_until(lambda: ask(d.http, f"{PATH}/price", {"plan": "pro"})[2].get("value") == 2)
        assert ask(d.http, f"/env/staging{PATH}/price")[0] == 404
        assert ask(d.http, f"/env/nowhere{PATH}/price")[0] == 404
    lab.ok("set", "sync.enabled", "off", env="production")
    for d in (relay, agent):
        wait_until(lambda: ask(d.http, f"{PATH}/sync.enabled")[2]["value"] is False)
    series = 'hoist_http_requests_total{route="flag",status="404"}'
    assert agent.metric(series) >= 2 and agent.metric('hoist_http_requests_total{route="events",status="200"}') == 0
    assert agent.metric('hoist_ofrep_evaluations_total{reason="TARGETING_MATCH"}') >= 1


def test_a_primary_serves_no_ofrep(lab):
    p = lab.primary()
    assert raw(p.http, post_bytes(b"{}")).startswith(b"HTTP/1.1 404 ")


def test_bulk_answers_304_until_an_answer_changes(site):
    status, headers, body = ask(site.port)
    assert status == 200 and [f["key"] for f in body["flags"]] == sorted(FLAGS["flags"])
    assert body["eventStreams"] == [{"type": "sse", "endpoint": {"requestUri": STREAMS}, "inactivityDelaySec": 120}]
    tag = {**JSON, "If-None-Match": headers["ETag"]}
    assert ask(site.port, headers=tag)[::2] == (304, None)
    site.ok("set", "sync.enabled", "off")
    status, headers, body = ask(site.port, headers=tag)
    assert status == 200 and headers["ETag"] != tag["If-None-Match"]
    site.ok("set", "sync.enabled", "on")
    assert ask(site.port, headers=tag)[0] == 304  # what it answers is what it was


def test_context_of_the_server_and_of_headers(lab):
    start(lab, "--context", "region=eu", "--context", "plan=pro", "--context-from-header", "X-Region=region")
    assert ask(lab.port, f"{PATH}/region")[2]["value"] == "Europe"
    assert ask(lab.port, f"{PATH}/price", {"plan": "free"})[2]["value"] == 2
    assert ask(lab.port, f"{PATH}/region", headers={**JSON, "X-Region": "us"})[2]["value"] == "America"


def test_cors_is_off_unless_configured(lab):
    origin = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    start(lab, "--cors-origin", "https://app.example.com", "--context-from-header", "X-Account=account")
    status, headers, _ = ask(lab.port, method="OPTIONS", headers=origin)
    assert status == 204 and headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "X-Account" in headers["Access-Control-Allow-Headers"] and "POST" in headers["Access-Control-Allow-Methods"]
    status, headers, _ = ask(lab.port, headers={**JSON, **origin})
    assert headers["Access-Control-Allow-Origin"] == "https://app.example.com" and headers["Vary"] == "Origin"
    assert headers["Access-Control-Expose-Headers"] == "ETag"
    assert ask(lab.port, method="OPTIONS", headers={**origin, "Origin": "https://evil.example"})[0] == 405
    assert "Access-Control-Allow-Origin" not in ask(lab.port, headers={**JSON, "Origin": "https://evil.example"})[1]
    s = Stream(lab.port, Origin="https://app.example.com")
    assert s.until(rb"Access-Control-Allow-Origin: https://app.example.com")


def test_tokens(lab):
    tokens = lab.secret("tokens", "# shop\nfirst\nsecond\n")
    start(lab, "--http-token-file", tokens)
    status, headers, body = ask(lab.port)
    assert status == 401 and headers["WWW-Authenticate"] == "Bearer" and body["errorCode"] == "GENERAL"
    assert lab.dev.metric("hoist_auth_failures_total") == 1
    assert ask(lab.port, headers={**JSON, "Authorization": "Bearer third"})[0] == 401
    status, _, body = ask(lab.port, headers={**JSON, "Authorization": "Bearer second"})
    assert status == 200
    assert lab.dev.get("/healthz") == "ok\n"
    s = Stream(lab.port, body["eventStreams"][0]["endpoint"]["requestUri"])
    assert s.event()
    assert raw(lab.port, b"GET /ofrep/v1/events HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("option, value", [("--context", "x"), ("--context-from-header", "a b=c"), ("--cors-origin", "x"),
                                           ("--http-token-file", "/nowhere")])
def test_a_wrong_option_ends_the_start(lab, option, value):
    d = lab.process([BUILD / "hoistd", "dev", "--store", lab.dir / "s", "--listen", f"tcp://127.0.0.1:{free_port(2)}", "--http", "off",
                     "--ofrep-http", f"127.0.0.1:{free_port()}", option, value], "wrong")
    wait_until(lambda: not d.alive())
    assert d.p.returncode == 2 and option in d.text() and value in d.text()


# ---------------------------------------------------------------- streams

def test_each_change_is_told(site):
    s = Stream(site.port)
    first = s.event()
    for n in range(5):
        site.ok("set", "sync.enabled", "on" if n % 2 else "off")
        assert s.event() == f"{first.split('-')[0]}-{int(first.split('-')[1]) + n + 1}"
    assert site.dev.metric("hoist_ofrep_events_total") == 6


def test_a_stream_resumes_by_last_event_id(site):
    s = Stream(site.port)
    before = s.event()
    s.close()
    quiet = Stream(site.port, Last_Event_ID=before)
    quiet.until(rb": nothing has changed\n\n")
    site.ok("set", "sync.enabled", "off")
    now = quiet.event()
    assert now != before
    missed = Stream(site.port, Last_Event_ID=before)
    assert missed.event() == now
    for odd in ("x", "", "a" * 5000, "0-0", before + "0"):
        assert Stream(site.port, Last_Event_ID=odd).event() == now


def test_hundreds_of_streams_are_told_and_dropped(site):
    streams = [Stream(site.port) for _ in range(400)]
    for s in streams:
        s.event()
    assert open_streams(site) == 400
    assert len(os.listdir(f"/proc/{site.dev.pid}/task")) < 40  # threads
    site.ok("set", "sync.enabled", "off")
    assert len({s.event() for s in streams}) == 1
    for s in streams:
        s.close()
    wait_until(lambda: open_streams(site) == 0)
    files = fds(site)
    for _ in range(5):  # opened and dropped again and again, with and without reading
        streams = [Stream(site.port) for _ in range(200)]
        for s in streams[::2]:
            s.event()
        for s in streams:
            s.close()
    wait_until(lambda: open_streams(site) == 0 and fds(site) <= files + 2)
    assert ask(site.port, f"{PATH}/price")[0] == 200


def fds(site):
    return len(os.listdir(f"/proc/{site.dev.pid}/fd"))


def test_too_many_streams_are_told_to_come_again(site):
    with contextlib.ExitStack() as stack:
        for _ in range(800):
            stack.enter_context(contextlib.closing(Stream(site.port, source="127.0.0.2")))
        wait_until(lambda: site.dev.metric('hoist_refused_total{limit="peer_ofrep_http_streams"}') == 800 - 768)  # three quarters
        assert "peer 127.0.0.2 is refused: it has as many event streams" in site.dev.text()
        streams = [stack.enter_context(contextlib.closing(Stream(site.port))) for _ in range(256)]
        wait_until(lambda: open_streams(site) == 1024)
        answer = raw(site.port, b"GET /ofrep/v1/events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", close=False)
        assert answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After: " in answer
        assert ask(site.port, f"{PATH}/price")[0] == 200
        streams[0].event()
    wait_until(lambda: open_streams(site) == 0)
    Stream(site.port).event()


def test_a_client_that_never_reads_holds_up_nobody(site):
    stuck = Stream(site.port)
    reading = Stream(site.port)
    reading.event()
    for n in range(100):
        site.ok("set", "sync.enabled", "on" if n % 2 else "off")
    last = site.head()["version"]
    reading.until(rf"id: \S+-{last}\n".encode())
    assert stuck.until(rf"id: \S+-{last}\n".encode())


def test_stopping_ends_open_streams(site):
    streams = [Stream(site.port) for _ in range(50)]
    for s in streams:
        s.event()
    began = time.monotonic()
    assert site.dev.stop() == 0
    assert time.monotonic() - began < (20 if SANITIZED else 8)
    for s in streams:
        with contextlib.suppress(ConnectionResetError):
            while s.s.recv(65536):
                pass


@pytest.mark.skipif(not SOAK, reason="takes half a minute")
def test_soak_keep_alive_comments(site):
    s = Stream(site.port)
    s.event()
    s.until(rb": still here\n\n", 40)
    s.until(rb": still here\n\n", 40)


# ---------------------------------------------------------------- bad requests

def test_truncated_requests_are_given_up(site):
    whole = post_bytes(b'{"context": {}}')
    files = fds(site)
    for cut in range(0, len(whole) - 1, 3):
        with socket.create_connection(("127.0.0.1", site.port), 20) as s, contextlib.suppress(OSError):
            s.sendall(whole[:cut])
            s.shutdown(socket.SHUT_WR)
            if cut % 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    wait_until(lambda: fds(site) <= files)
    assert ask(site.port, f"{PATH}/price")[0] == 200


def test_chunked_and_pipelined_requests(site):
    chunked = (f"POST {PATH}/price HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
               "5\r\n{\"con\r\n7\r\ntext\": \r\n10\r\n{\"plan\": \"pro\"}}\r\n0\r\n\r\n").encode()
    answer = raw(site.port, chunked)
    assert answer.startswith(b"HTTP/1.1 200 ") and b'"value":2' in answer
    one = post_bytes(b'{"context": {"plan": "pro"}}', f"{PATH}/price")
    assert raw(site.port, one * 50).count(b'"value":2') == 50
    assert raw(site.port, chunked.replace(b"5\r\n", b"zz\r\n", 1)).startswith(b"HTTP/1.1 400 ")


def test_enormous_requests_are_refused(site):
    big = b'{"context": {"a": "' + b"a" * (1 << 21) + b'"}}'
    assert b" 413 " in raw(site.port, post_bytes(big), close=False)[:30]
    lie = post_bytes(b"").replace(b"Content-Length: 0", b"Content-Length: 99999999999999")
    assert raw(site.port, lie, close=False).startswith(b"HTTP/1.1 413 ")
    chunk = b"%x\r\n" % (1 << 16) + b"a" * (1 << 16) + b"\r\n"
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    assert raw(site.port, head + chunk * 30 + b"0\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    raw(site.port, head + chunk * 400)  # without end: cut off
    raw(site.port, b"POST /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n\r\n")
    raw(site.port, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100000 + b"\r\n")
    assert ask(site.port, f"{PATH}/price")[0] == 200


def test_wrong_methods_and_types(site):
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "NONSENSE"):
        status, headers, _ = ask(site.port, method=method, headers={})
        assert status == 405 and headers["Allow"] == "POST", method
    assert ask(site.port, STREAMS, method="POST")[1]["Allow"] == "GET"
    assert ask(site.port, headers={"Content-Type": "text/plain"})[0] == 415


def test_bad_contexts(site):
    bad = [(b"[]", 400), (b'{"context": []}', 400), (b'{"context": {"a": NaN}}', 400), (b'{"context": {"a": 1e400}}', 400),
           (b'{"context": {"a": "\xff"}}', 400), (b'{"context": {"targetingKey": 7}}', 400), (b"\x00" * 1000, 400),
           (b'{"context": {"a": ' + b"[" * 1000 + b"]" * 1000 + b"}}", 400), (b'{"context": ' * 50000, 400),
           (b'{"context": {"a": "' + b"a" * (1 << 20) + b'"}}', 200)]
    for body, status in bad:
        got, _, answer = ask(site.port, f"{PATH}/price", body=body)
        assert got == status, body[:40]
        assert status == 200 or answer["errorCode"] in ("PARSE_ERROR", "INVALID_CONTEXT", "GENERAL")
        assert ask(site.port, body=body)[0] == status, body[:40]


def test_slow_requests_are_cut_off_and_hold_up_nobody(site):
    slow = []
    for n in range(20):
        s = socket.create_connection(("127.0.0.1", site.port), 60)
        s.sendall(post_bytes(b'{"context": {}}')[:30 + n * 5])
        slow.append(s)
    began = time.monotonic()
    for _ in range(50):
        assert ask(site.port, f"{PATH}/price")[0] == 200
    for s in slow:  # nothing moves on them, so they are closed
        with contextlib.suppress(ConnectionResetError):
            while s.recv(1000):
                pass
    assert time.monotonic() - began < 60


def test_noise_ends_its_own_connection_alone(site):
    dice = random.Random(7)
    for n in range(100):
        with socket.create_connection(("127.0.0.1", site.port), 20) as s, contextlib.suppress(OSError):
            s.sendall(dice.randbytes(dice.randrange(1, 3000)) + b"\r\n\r\n")
        assert b" 400 " in raw(site.port, post_bytes(dice.randbytes(200), extra="Connection: close\r\n"), close=False)[:30]
    assert ask(site.port, f"{PATH}/price")[0] == 200
