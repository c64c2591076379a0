"""The stand-in for GitHub answers as GitHub's documentation says."""
import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from hoist import TOP, free_port, wait_until

ORG = "/orgs/acme/repos"


class Stub:
    def __init__(self, lab, *args):
        self.port, self.control = free_port(), free_port()
        self.process = lab.process([TOP / "examples/github-stub/github-stub", "--port", self.port, "--control-port", self.control,
                                    *args], "github-stub")
        wait_until(lambda: self.tell("/state"), what="the stub answers")

    def get(self, path=ORG, **headers):
        """Status, headers, body."""
        where = path if path.startswith("http") else f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(where, headers={"User-Agent": "test", **headers})
        try:
            with urllib.request.build_opener(NoRedirect).open(request, timeout=10) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def tell(self, path, value=None):
        data = json.dumps(value).encode() if value is not None else None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control}{path}", data, timeout=10) as answer:
            return json.load(answer)

    def mode(self, name, **more):
        self.tell("/mode", {"mode": name, **more})


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@pytest.fixture
def stub(lab):
    return Stub(lab)


def next_of(headers):
    links = dict((rel.strip()[5:-1], url.strip()[1:-1]) for url, rel in
                 (part.split(";") for part in headers.get("link", "").split(",") if part))
    return links.get("next")


def all_pages(stub, path=f"{ORG}?per_page=100"):
    names, pages = [], 0
    while path:
        status, headers, body = stub.get(path)
        assert status == 200
        names += [r["full_name"] for r in json.loads(body)]
        path, pages = next_of(headers), pages + 1
    return names, pages


def test_pages_follow_their_links(stub):
    names, pages = all_pages(stub)
    assert (len(names), len(set(names)), pages) == (250, 250, 3)
    assert next_of(stub.get(f"{ORG}?per_page=100&page=3")[1]) is None
    assert len(json.loads(stub.get()[2])) == 30
    assert "link" not in stub.get("/search/repositories?q=amber-amber&per_page=100")[1]


def test_an_etag_saves_the_body_and_with_a_token_the_budget(stub):
    status, headers, body = stub.get(Authorization="Bearer t")
    assert status == 200 and body
    status, again, body = stub.get(Authorization="Bearer t", **{"If-None-Match": headers["etag"]})
    assert (status, body) == (304, b"")
    assert again["x-ratelimit-remaining"] == headers["x-ratelimit-remaining"] == "4999"
    status, anonymous, _ = stub.get(**{"If-None-Match": headers["etag"]})
    assert (status, anonymous["x-ratelimit-remaining"]) == (304, "59")


def test_the_budget_ends_and_comes_back_with_the_clock(lab):
    stub = Stub(lab, "--limit", 3)
    left = [stub.get()[1]["x-ratelimit-remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    status, headers, body = stub.get()
    assert status == 403 and "rate limit exceeded" in json.loads(body)["message"]
    assert headers["x-ratelimit-remaining"] == "0" and int(headers["x-ratelimit-reset"]) > time.time()
    assert stub.tell("/state")["violations"] == []
    stub.get()
    assert len(stub.tell("/state")["violations"]) == 1
    stub.tell("/clock", {"forward_s": 3601})
    assert stub.get()[0] == 200
    assert len(stub.tell("/state")["violations"]) == 1
    limits = json.loads(stub.get("/rate_limit")[2])["resources"]
    assert limits["core"]["remaining"] == 2 and limits["search"]["limit"] == 3


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("retry_after", [2, None])
def test_a_secondary_limit_leaves_the_budget(stub, status, retry_after):
    stub.mode("secondary", status=status, retry_after=retry_after, times=1)
    got, headers, body = stub.get()
    assert got == status and "secondary rate limit" in json.loads(body)["message"]
    assert headers["retry-after"] == (str(retry_after) if retry_after else None)
    assert int(headers["x-ratelimit-remaining"]) > 0
    assert stub.get()[0] == 200  # the mode is over, but it was too early
    [early] = stub.tell("/state")["violations"]
    assert early["early_s"] > (1 if retry_after else 50)


def test_the_other_ways_to_go_wrong(stub):
    stub.mode("500", times=1)
    assert stub.get()[0] == 500
    stub.mode("html", times=1)
    status, headers, body = stub.get()
    assert (status, headers["content-type"]) == (200, "text/html") and body.startswith(b"<html>")
    stub.mode("primary", times=1)
    status, headers, _ = stub.get()
    assert (status, headers["x-ratelimit-remaining"]) == (403, "0")
    stub.tell("/reset", {})
    stub.mode("primary", times=1, status=429, reset_s=2)
    status, headers, _ = stub.get()
    assert status == 429 and headers["retry-after"] is None and int(headers["x-ratelimit-reset"]) <= time.time() + 2
    stub.tell("/clock", {"forward_s": 3})
    assert stub.get()[0] == 200 and stub.tell("/state")["violations"] == []
    for moved in (301, 302, 307, 308):
        stub.mode("301", status=moved)
        status, headers, _ = stub.get()
        assert status == moved
        assert stub.get(headers["location"])[0] == 200
    stub.mode("loop")
    status, headers, _ = stub.get()
    assert status == 301 and stub.get(headers["location"])[0] == 301
    stub.mode("304", times=1)
    assert stub.get()[0] == 304
    stub.mode("empty", times=1)
    assert json.loads(stub.get()[2]) == []
    stub.mode("incomplete")
    assert json.loads(stub.get("/search/repositories?q=amber")[2])["incomplete_results"] is True
    stub.mode("slow", ms=300, times=1)
    began = time.monotonic()
    assert stub.get()[0] == 200 and time.monotonic() - began >= 0.3


def test_a_truncated_body_is_shorter_than_it_says(stub):
    stub.mode("truncated", times=1)
    with socket.create_connection(("127.0.0.1", stub.port), timeout=10) as s:
        s.sendall(f"GET {ORG} HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\n\r\n".encode())
        text = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = text.partition(b"\r\n\r\n")
    said = int(next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")))
    assert 0 < len(body) < said


def test_listings_that_move_between_pages(stub):
    stub.mode("duplicates")
    names, _ = all_pages(stub)
    assert len(names) > len(set(names))
    stub.mode("changing")
    names, _ = all_pages(stub)
    assert len(names) == len(set(names)) < 250


def test_repositories_come_go_and_change(stub):
    before, pages = all_pages(stub)
    etag = stub.get()[1]["etag"]
    stub.tell("/repos", {"count": 199})
    names, pages = all_pages(stub)
    assert set(names) < set(before) and (len(names), pages) == (199, 2)
    stub.tell("/repos", {"count": 250})
    assert all_pages(stub)[0] == before and stub.get()[1]["etag"] == etag
    stars = lambda: [r["stargazers_count"] for r in json.loads(stub.get()[2])]
    few = stars()
    stub.tell("/repos", {"revision": 2})
    assert stars() == [n + 10000 for n in few] and stub.get()[1]["etag"] != etag


def test_a_field_that_is_gone_or_another_type(stub):
    stub.mode("without", field="stargazers_count", times=1)
    assert "stargazers_count" not in json.loads(stub.get()[2])[0]
    stub.mode("retyped", field="id", times=1)
    assert isinstance(json.loads(stub.get()[2])[0]["id"], str)
    assert isinstance(json.loads(stub.get()[2])[0]["id"], int)


def test_who_is_refused(lab):
    stub = Stub(lab, "--token", "right")
    with socket.create_connection(("127.0.0.1", stub.port), timeout=10) as s:
        s.sendall(f"GET {ORG} HTTP/1.0\r\n\r\n".encode())
        assert b" 403 " in s.recv(65536)
    assert stub.get(Authorization="Bearer wrong")[0] == 401
    assert stub.get(Authorization="Bearer right")[1]["x-ratelimit-limit"] == "5000"
    assert stub.get()[1]["x-ratelimit-limit"] == "60"
    assert stub.get("/orgs/other/repos")[0] == 404
    assert stub.get("/search/repositories?q=")[0] == 422
    with pytest.raises(urllib.error.HTTPError) as error:
        stub.mode("nonsense")
    assert error.value.code == 400


def test_what_it_counts(stub):
    stub.get()
    status, _, body = stub.get("/search/repositories?" + urllib.parse.urlencode({"q": "org:acme language:c"}))
    assert status == 200 and {r["language"] for r in json.loads(body)["items"]} == {"C"}
    stub.mode("500", times=1)
    stub.get()
    state = stub.tell("/state")
    assert state["requests"] == {"/orgs/ORG/repos 200": 1, "/search/repositories 200": 1, "/orgs/ORG/repos 500": 1}
    assert state["used"] == {"core": 1, "search": 1} and state["most_at_once"] == 1
