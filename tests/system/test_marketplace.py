"""The example service: its flags, its routes, and what it makes of GitHub's good and bad days."""
import itertools
import json
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from hoist import BUILD, TOP, Process, free_port, wait_until
from test_github_stub import Stub

FLAGS = ("marketplace.enabled", "marketplace.github_sources.enabled", "marketplace.sync.enabled")
SEED = 3


class Marketplace(Process):
    """One running service."""

    def __init__(self, lab, stub, store, *args):
        self.port = free_port()
        super().__init__([BUILD / "examples/marketplace/marketplace", "--listen", f"127.0.0.1:{self.port}", "--store", store,
                          "--data", lab.dir / "listings", "--github", f"http://127.0.0.1:{stub.port}",
                          "--interval-s", 3600, "--first-wait-ms", 400, *args], lab.dir / "marketplace.log")
        lab.all.append(self)
        wait_until(lambda: self.ask("/healthz")[0] == 200, what="the service answers")

    def ask(self, path, method="GET", account=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         headers={"X-Account-Id": account} if account else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def total(self, **kwargs):
        return self.ask("/api/v1/listings", **kwargs)[1]["total"]

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def metric(self, series):
        for line in self.metrics().splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
        raise KeyError(series)

    def runs(self, result):
        return self.metric(f'marketplace_sync_operations_total{{source="github",result="{result}"}}')

    def sync(self, result, limit_ms=20000):
        """One run by hand, which must end so."""
        before = self.runs(result)
        status, body = wait_until(lambda: (a := self.ask("/api/v1/sync", "POST"))[0] == 202 and a, what="a run begins")
        assert body == {"sync": "started"}
        wait_until(lambda: self.runs(result) == before + 1, limit_ms, what=f"the run ends as {result}")

    def events(self):
        return [json.loads(line)["event"] for line in self.text().splitlines() if line.startswith("{")]


class Site:
    """A primary whose store the service reads, as a program beside an agent would; GitHub; the service."""

    def __init__(self, lab, *primary, service=()):
        self.lab, self.stub = lab, Stub(lab)
        self.primary = lab.primary(*primary)
        lab.ok("import", TOP / "examples/marketplace/flags/production.json", "-m", "flags of the marketplace")
        self.service = Marketplace(lab, self.stub, self.primary.store, *service)

    def set(self, *values):
        """On and off: all in one change, since two of them require the first."""
        file = json.loads((TOP / "examples/marketplace/flags/production.json").read_text())
        for flag, on in zip(FLAGS, values):
            file["flags"][flag]["defaultVariant"] = "on" if on else "off"
        self.lab.ok("import", self.lab.file("flags.json", file))

    def on(self):
        self.set(True, True, True)
        return self


@pytest.fixture
def site(lab):
    return Site(lab)


def test_off_by_default_nothing_is_served_and_nothing_sent(site):
    assert site.service.ask("/api/v1/listings") == (200, {"items": [], "page": 1, "per_page": 30, "total": 0})
    assert site.service.ask("/api/v1/listings/1")[0] == 404
    status, body = site.service.ask("/api/v1/sync", "POST")
    assert (status, body["error"]["code"]) == (409, "off")
    assert site.stub.tell("/state")["requests"] == {}


@pytest.mark.parametrize("on", list(itertools.product([False, True], repeat=3)),
                         ids=lambda on: "".join("+-"[not x] for x in on))
def test_each_combination_of_flags(lab, on):
    site = Site(lab).on()
    site.service.sync("success")
    site.set(*on)
    enabled, sources, sync = on[0], on[0] and on[1], on[0] and on[2]  # the first is required by the others
    expected = 0 if not enabled else SEED + 250 if sources else SEED
    status, body = site.service.ask("/api/v1/listings?per_page=100")
    assert status == 200 and body["total"] == expected and len(body["items"]) == min(expected, 100)
    assert site.service.ask("/api/v1/listings/1")[0] == (200 if enabled else 404)
    assert site.service.ask("/api/v1/listings/100007")[0] == (200 if sources else 404)
    assert site.service.ask("/api/v1/sync", "POST")[0] == (202 if sources and sync else 409)
    assert site.service.ask("/readyz")[0] == 200


def test_a_rollout_by_account(site):
    site.lab.ok("set", "marketplace.enabled", "on", "--percent", 30, "--by", "account_id")
    served = [site.service.total(account=f"account-{i}") for i in range(200)]
    assert set(served) == {0, SEED} and 30 < served.count(SEED) < 90
    assert served == [site.service.total(account=f"account-{i}") for i in range(200)]


def test_pages_words_and_wrong_questions(site):
    site.on().service.sync("success")
    ask = site.service.ask
    assert ask("/api/v1/listings?page=3&per_page=100")[1]["total"] == 253
    assert len(ask("/api/v1/listings?page=3&per_page=100")[1]["items"]) == 53
    assert ask("/api/v1/listings?page=4&per_page=100")[1]["items"] == []
    found = ask("/api/v1/listings?q=AMBER-amber")[1]
    assert found["total"] == 3 and all("amber-amber" in item["name"] for item in found["items"])
    for wrong in ("page=0", "page=x", "per_page=101", "page=-1", "per_page="):
        assert ask(f"/api/v1/listings?{wrong}")[0] == 400
    assert ask("/api/v1/listings", "DELETE")[0] == 405
    assert ask("/api/v1/nothing")[0] == 404


def test_what_is_stored_stays_over_kill_9_and_comes_once(lab):
    site = Site(lab).on()
    site.service.sync("success")
    site.service.kill()
    again = Marketplace(lab, site.stub, site.primary.store)
    assert again.total() == 253
    again.sync("success")
    assert again.total() == 253
    assert again.metric('marketplace_items_ingested_total{source="github"}') == 0  # all pages were 304
    assert site.stub.tell("/state")["requests"]["/orgs/ORG/repos 304"] >= 3


def test_a_kill_holds_from_the_next_request_and_stores_nothing_more(site):
    site.on()
    site.stub.mode("slow", ms=700)
    assert site.service.ask("/api/v1/sync", "POST")[0] in (202, 409)
    wait_until(lambda: site.stub.tell("/state")["most_at_once"] == 1, what="the first request is on its way")
    site.lab.ok("kill", "marketplace.sync.enabled")
    wait_until(lambda: site.service.runs("skipped") >= 2, what="the run stops")
    sent = sum(site.stub.tell("/state")["requests"].values())
    assert site.service.total() == SEED and sent == 1
    time.sleep(1)
    assert sum(site.stub.tell("/state")["requests"].values()) == sent
    site.lab.ok("kill", "marketplace.enabled")
    assert site.service.total() == 0


@pytest.mark.parametrize("mode, more", [
    ("primary", {}), ("secondary", {"status": 403, "retry_after": 1}), ("secondary", {"status": 429, "retry_after": 1}),
    ("secondary", {"status": 403, "wait_s": 0.4}), ("secondary", {"status": 429, "wait_s": 0.4}),
    ("500", {}), ("truncated", {}), ("html", {})], ids=str)
def test_a_bad_answer_is_waited_out(lab, mode, more):
    site = Site(lab)
    site.stub.mode(mode, times=1, **more)
    site.on()
    if mode == "primary":
        wait_until(lambda: site.service.ask("/api/v1/sync", "POST")[0] == 202)
        wait_until(lambda: site.service.metric('marketplace_github_ratelimited_total{kind="primary"}') == 1)
        wait_until(lambda: site.service.metric('marketplace_github_backoff_seconds{resource="core"}') > 3000)
        assert site.service.metric('marketplace_github_ratelimit_remaining{resource="core"}') == 0
        site.lab.ok("kill", "marketplace.sync.enabled")  # ends the wait of an hour at once
        wait_until(lambda: site.service.runs("skipped") >= 2)
    else:
        site.service.sync("success")
        assert site.service.total() == 253
    if mode == "secondary":
        assert site.service.metric('marketplace_github_ratelimited_total{kind="secondary"}') == 1
        assert "rate_limited" in site.service.events()
    state = site.stub.tell("/state")
    assert state["violations"] == [] and state["most_at_once"] == 1


@pytest.mark.parametrize("mode, more", [("500", {}), ("html", {}), ("without", {"field": "full_name"}),
                                        ("retyped", {"field": "id"}), ("secondary", {"retry_after": 0})], ids=str)
def test_what_stays_bad_ends_as_a_failure_and_loses_nothing(lab, mode, more):
    site = Site(lab).on()
    site.service.sync("success")
    site.stub.tell("/clock", {"forward_s": 1})
    site.stub.mode(mode, **more)
    site.service.sync("failure", 60000)
    assert site.service.total() == 253 and "sync_failed" in site.service.events()
    assert site.stub.tell("/state")["violations"] == []


def test_a_repository_that_moved_is_followed_and_remembered(site):
    site.stub.mode("301")
    site.on().service.sync("success")
    assert site.service.total() == 253
    before = site.stub.tell("/state")["requests"]["/orgs/ORG/repos 301"]
    site.service.sync("success")
    assert site.stub.tell("/state")["requests"]["/orgs/ORG/repos 301"] == before == 1


@pytest.mark.parametrize("mode", ["duplicates", "changing", "empty"])
def test_listings_that_move_while_they_are_read_are_stored_once(lab, mode):
    site = Site(lab)
    site.stub.mode(mode)
    site.on().service.sync("success")
    names = [item["name"] for page in range(1, 4) for item in
             site.service.ask(f"/api/v1/listings?per_page=100&page={page}")[1]["items"]]
    assert len(names) == len(set(names)) == site.service.total()
    assert len(names) == SEED + {"duplicates": 250, "changing": 248, "empty": 0}[mode]


def test_a_search_as_the_source(lab):
    site = Site(lab, service=("--search", "org:acme amber"))
    site.stub.mode("incomplete")
    site.on().service.sync("success")
    assert site.service.total() > SEED and "incomplete_results" in site.service.events()
    assert site.service.metric('marketplace_github_ratelimit_limit{resource="search"}') == 10


def test_metrics_begin_at_0_and_keep_to_the_rules(site):
    text = site.service.metrics()
    for series in ('marketplace_sync_operations_total{source="github",result="failure"} 0',
                   'marketplace_github_ratelimited_total{kind="secondary"} 0',
                   'marketplace_http_requests_total{route="/api/v1/listings",code="500",variant="on"} 0',
                   'marketplace_flag_enabled{flag="marketplace.sync.enabled"} 0'):
        assert series in text.splitlines(), series
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_store_that_is_not_there_means_off_until_it_is(lab):
    stub = Stub(lab)
    service = Marketplace(lab, stub, lab.dir / "later")
    assert service.total() == 0 and "flags_away" in service.events()
    lab.primary(store=lab.dir / "later")
    lab.ok("import", TOP / "examples/marketplace/flags/production.json")
    lab.ok("set", "marketplace.enabled", "on")
    wait_until(lambda: service.total() == SEED, what="the service sees its flags")


@pytest.mark.parametrize("args", [["--interval-s", "0"], ["--nonsense"], ["--token-file", "/nowhere"], ["more"]], ids=str)
def test_a_wrong_option_is_said(lab, args):
    p = lab.process([BUILD / "examples/marketplace/marketplace", "--data", lab.dir / "x", *args], "wrong")
    assert p.p.wait(10) == 2 and "--help" in p.text()


def test_the_token_is_sent_and_never_logged(lab):
    secret = lab.file("token", "s3cret-token\n")
    site = Site(lab, service=("--token-file", secret)).on()
    site.service.sync("success")
    assert site.service.metric('marketplace_github_ratelimit_limit{resource="core"}') == 5000
    assert "s3cret" not in site.service.text() + site.service.metrics()
