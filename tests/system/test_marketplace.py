"""The example service: its flags, its routes, and what it makes of GitHub's good and bad days."""
import itertools
import json
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from faults import Client, figures
from hoist import BUILD, SOAK, TOP, Process, free_port, wait_until
from test_github_stub import Stub

FLAGS = ("marketplace.enabled", "marketplace.github_sources.enabled", "marketplace.sync.enabled")
SEED = 3


class Marketplace(Process):
    """One running service; `socket`: it serves that one too, which is handed on to it as systemd does."""

    def __init__(self, lab, stub, store, *args, socket=None, binary=None, port=None, name="marketplace"):
        self.port, self.binary = port or free_port(), binary or BUILD / "examples/marketplace/marketplace"
        handed = {}
        if socket:
            hand = f"exec 3<&{socket.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\""
            handed = {"prefix": ["bash", "-c", hand, "bash"], "pass_fds": [socket.fileno()]}
        super().__init__([self.binary, "--listen", f"127.0.0.1:{self.port}", "--store", store,
                          "--data", lab.dir / "listings", "--github", f"http://127.0.0.1:{stub.port}",
                          "--interval-s", 3600, "--first-wait-ms", 400, *args], lab.dir / f"{name}.log", **handed)
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

    def all(self):
        pages = range(1, -(-self.total() // 100) + 1)
        return [item for page in pages for item in self.ask(f"/api/v1/listings?per_page=100&page={page}")[1]["items"]]

    def answers(self, status):
        """How many GitHub has given with this status."""
        return self.metric(f'marketplace_github_requests_total{{resource="core",code="{status}"}}')

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
        wait_until(lambda: self.runs(result) > before, limit_ms, what=f"the run ends as {result}")  # one by the clock may be, too

    def events(self):
        return [json.loads(line)["event"] for line in self.text().splitlines() if line.startswith("{")]


class Site:
    """A primary whose store the service reads, as a program beside an agent would; GitHub; the service."""

    def __init__(self, lab, *primary, service=(), stub=()):
        self.lab, self.stub = lab, Stub(lab, *stub)
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

    def names(self):
        """Of all listings that are served, in order."""
        return [item["name"] for item in self.service.all()]


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


@pytest.mark.parametrize("flag", FLAGS)
def test_a_kill_in_the_middle_of_a_page_leaves_the_pages_before_it_whole(site, flag):
    site.stub.mode("slow", ms=400)
    site.on()
    assert site.service.ask("/api/v1/sync", "POST")[0] in (202, 409)
    wait_until(lambda: site.service.total() == SEED + 100, what="the first page is stored, the second is on its way")
    site.lab.ok("kill", flag)
    wait_until(lambda: site.service.runs("skipped") >= 2, what="the run stops")
    sent = sum(site.stub.tell("/state")["requests"].values())
    assert sent == 2, "what was on its way was answered, and nothing was sent after it"
    site.lab.ok("restore", flag)
    assert site.service.total() == SEED + 100
    site.stub.mode("ok")
    site.service.sync("success")
    assert len(set(site.names())) == site.service.total() == SEED + 250


def test_a_flip_is_seen_by_the_first_request_after_the_agents_commit_soak(lab):
    """Each of the three flags, as soon as the agent says that it has the change."""
    site = Site(lab).on()
    agent = lab.agent()
    lab.wait_equal(site.primary, agent)
    service = Marketplace(lab, site.stub, agent.store, name="beside-the-agent")
    service.sync("success")
    may_sync = lambda: service.ask("/api/v1/sync", "POST")[1].get("error", {}).get("code") != "off"
    seen = {FLAGS[0]: lambda: service.total() > 0, FLAGS[1]: lambda: service.total() == SEED + 250, FLAGS[2]: may_sync}
    client, flips = Client(site.primary.port, "flips"), 0
    for n in range(1000 if SOAK else 40):
        for flag, sees in seen.items():
            on = bool(n % 2)
            code, answer = client.command("set", env="production", message="", key=flag, value="on" if on else "off")
            assert code == 0
            wait_until(lambda: lab.state(agent)["version"] >= answer["version"], every_ms=0)
            assert sees() == on, f"{flag} {on} is not seen by the first request after the commit of {answer['version']}"
            flips += 1
            if not on:
                code, answer = client.command("set", env="production", message="", key=flag, value="on")
                wait_until(lambda: lab.state(agent)["version"] >= answer["version"], every_ms=0)
    client.close()
    figures(f"marketplace: {flips} flips, each seen by the first request after the agent's commit")


def test_a_flip_is_seen_by_the_workers_next_request_soak(lab):
    """At most the one that was on its way is answered after the agent's commit."""
    site = Site(lab, stub=("--limit", 100000)).on()
    agent = lab.agent()
    lab.wait_equal(site.primary, agent)
    service = Marketplace(lab, site.stub, agent.store, name="beside-the-agent")
    service.sync("success")
    site.stub.mode("slow", ms=30)
    sent = lambda: sum(site.stub.tell("/state")["requests"].values())
    client = Client(site.primary.port, "flips")
    for flag in FLAGS * (20 if SOAK else 2):
        before, stopped = sent(), service.runs("skipped")
        wait_until(lambda: service.ask("/api/v1/sync", "POST")[0] == 202)
        wait_until(lambda: sent() > before, every_ms=1)
        code, answer = client.command("set", env="production", message="", key=flag, value="off")
        wait_until(lambda: lab.state(agent)["version"] >= answer["version"], every_ms=0)
        at_commit = sent()
        wait_until(lambda: service.metric('marketplace_sync_in_progress{source="github"}') == 0)
        assert service.runs("skipped") == stopped + 1 or sent() == before + 3, "it stopped, unless it was done"
        assert sent() <= at_commit + 1
        code, answer = client.command("set", env="production", message="", key=flag, value="on")
        wait_until(lambda: lab.state(agent)["version"] >= answer["version"], every_ms=0)
    client.close()
    assert site.stub.tell("/state")["most_at_once"] == 1


WAITED_OUT = [
    ("primary", {"status": 403, "reset_s": 1}), ("primary", {"status": 429, "reset_s": 1}),
    ("secondary", {"status": 403, "retry_after": 1}), ("secondary", {"status": 429, "retry_after": 1}),
    ("secondary", {"status": 403, "wait_s": 0.4}), ("secondary", {"status": 429, "wait_s": 0.4}),
    ("500", {}), ("truncated", {}), ("html", {})]


def test_a_bad_answer_is_waited_out(lab):
    site = Site(lab, stub=("--limit", 100000))
    service = site.service
    counted = lambda: {"status": service.answers(status), "good": service.answers(200), "limited": [service.metric(
        f'marketplace_github_ratelimited_total{{kind="{kind}"}}') for kind in ("primary", "secondary")],
        "items": service.metric('marketplace_items_ingested_total{source="github"}')}
    site.set(True, True, True)
    for revision, (mode, more) in enumerate(WAITED_OUT):
        status = more.get("status", int(mode) if mode.isdigit() else 200)
        site.stub.tell("/repos", {"revision": revision})
        before = counted()
        site.stub.mode(mode, times=1, **more)
        service.sync("success")
        names, after = site.names(), counted()
        assert len(names) == len(set(names)) == SEED + 250, mode
        assert after["status"] - before["status"] == 1 + 3 * (status == 200), mode
        assert after["good"] - before["good"] == 3 + (status == 200), mode
        assert after["items"] - before["items"] == 250, mode
        limited = [x - y for x, y in zip(after["limited"], before["limited"])]
        assert limited == [mode == "primary", mode == "secondary"], mode
        assert service.metric('marketplace_github_backoff_seconds{resource="core"}') == 0
        assert ("rate_limited" if "status" in more else "tried_again") in service.events()
    state = site.stub.tell("/state")
    assert state["violations"] == [] and state["most_at_once"] == 1


def test_a_page_that_is_as_it_was_may_have_one_behind_it_now(site):
    site.stub.tell("/repos", {"count": 100})
    site.on().service.sync("success")
    site.stub.tell("/repos", {"count": 101})
    site.stub.mode("304", times=1)
    site.service.sync("success")
    assert site.stub.tell("/state")["requests"] == {"/orgs/ORG/repos 200": 2, "/orgs/ORG/repos 304": 1}


def test_what_is_too_long_for_a_url_is_no_run_that_went_well(site, lab):
    site.on()
    long = Marketplace(lab, site.stub, site.primary.store, "--search", "\u0436" * 400, name="long")
    long.sync("failure")
    assert "too long for a URL" in long.text()


def test_a_304_to_a_request_without_an_etag_is_no_answer(site):
    site.stub.mode("304")
    site.on().service.sync("failure")
    assert site.service.answers(304) == 5 and site.service.total() == SEED
    site.stub.mode("ok")
    site.service.sync("success")
    assert site.service.total() == SEED + 250


def test_a_budget_of_an_hour_is_waited_for_until_a_flag_goes_off(site):
    site.stub.mode("primary", times=1)
    site.on()
    wait_until(lambda: site.service.ask("/api/v1/sync", "POST")[0] == 202)
    wait_until(lambda: site.service.metric('marketplace_github_backoff_seconds{resource="core"}') > 3000)
    assert site.service.metric('marketplace_github_ratelimited_total{kind="primary"}') == 1
    assert site.service.metric('marketplace_github_ratelimit_remaining{resource="core"}') == 0
    assert site.service.metric('marketplace_sync_in_progress{source="github"}') == 1
    assert site.service.ask("/api/v1/sync", "POST")[1]["error"]["code"] == "running"
    site.lab.ok("kill", "marketplace.sync.enabled")  # ends the wait of an hour at once
    wait_until(lambda: site.service.runs("skipped") >= 2)
    state = site.stub.tell("/state")
    assert state["violations"] == [] and sum(state["requests"].values()) == 1


def test_the_last_of_the_budget_is_used_and_then_it_is_quiet(lab):
    """Before the first answer that says no: what is left is known."""
    site = Site(lab, stub=("--limit", 3)).on()
    site.service.sync("success")
    site.stub.tell("/repos", {"revision": 1})
    assert site.service.ask("/api/v1/sync", "POST")[0] == 202
    wait_until(lambda: site.service.metric('marketplace_github_backoff_seconds{resource="core"}') > 3000)
    state = site.stub.tell("/state")
    assert state["requests"] == {"/orgs/ORG/repos 200": 3} and state["violations"] == []


@pytest.mark.parametrize("more", [{"retry_after": 1}, {"wait_s": 1}], ids=str)
def test_a_limit_holds_over_a_kill_9(lab, more):
    site = Site(lab, service=("--first-wait-ms", 1000))
    site.stub.mode("secondary", times=1, **more)
    site.on()
    wait_until(lambda: site.service.ask("/api/v1/sync", "POST")[0] == 202)
    wait_until(lambda: site.service.metric('marketplace_github_backoff_seconds{resource="core"}') > 0)
    site.service.kill()
    again = Marketplace(lab, site.stub, site.primary.store)  # begins a run: none has ended
    wait_until(lambda: again.metric('marketplace_github_backoff_seconds{resource="core"}') > 0)
    wait_until(lambda: again.runs("success") == 1)
    assert again.total() == SEED + 250 and site.stub.tell("/state")["violations"] == []


STAYS_BAD = [("500", {}), ("html", {}), ("truncated", {}), ("loop", {}), ("without", {"field": "full_name"}),
             ("retyped", {"field": "id"}), ("secondary", {"retry_after": 0}), ("secondary", {"status": 429, "retry_after": 0})]


def test_what_stays_bad_ends_as_a_failure_and_loses_nothing(lab):
    site = Site(lab, stub=("--limit", 100000)).on()
    site.service.sync("success")
    names = site.names()
    sent = lambda: sum(site.stub.tell("/state")["requests"].values())
    limited = lambda: site.service.metric('marketplace_github_ratelimited_total{kind="secondary"}')
    for revision, (mode, more) in enumerate(STAYS_BAD, 1):
        sent_before, limited_before = sent(), limited()
        site.stub.tell("/repos", {"revision": revision})
        site.stub.mode(mode, **more)
        for _ in range(2):  # two runs that see nothing, and let nothing go
            site.service.sync("failure", 60000)
        assert site.names() == names, mode
        assert sent() - sent_before == (2 if mode == "loop" else 2 * 5), mode
        assert limited() - limited_before == (2 * 5 if mode == "secondary" else 0), mode
        site.stub.mode("ok")
        site.service.sync("success")
        assert site.names() == names and all(item["stars"] // 5000 == revision for item in site.service.all()[SEED:]), mode
    assert site.service.metric('marketplace_items_removed_total{source="github"}') == 0
    assert site.stub.tell("/state")["violations"] == []


@pytest.mark.parametrize("statuses", [(302, 307, 301), (308,)], ids=str)
def test_an_organisation_that_moved_is_followed_and_remembered_if_for_good(site, statuses):
    site.on()
    for status in statuses:
        site.stub.mode("301", status=status)
        for _ in range(2):
            site.service.sync("success")
            assert site.service.total() == 253
        assert site.stub.tell("/state")["requests"][f"/orgs/ORG/repos {status}"] == (1 if status in (301, 308) else 2)


def test_a_redirect_that_leads_nowhere_is_forgotten(site):
    site.stub.mode("loop", times=1)
    site.on().service.sync("failure")
    site.service.sync("success")
    assert site.service.total() == 253


def test_what_has_not_changed_is_not_sent_again(site):
    site.on().service.sync("success")
    site.stub.mode("304")
    site.service.sync("success")
    assert site.service.answers(304) == 3 and site.service.total() == 253
    assert site.service.metric('marketplace_items_ingested_total{source="github"}') == 250


def test_a_slow_github_is_asked_one_thing_at_a_time(site):
    site.stub.mode("slow", ms=300)
    site.on()
    wait_until(lambda: site.service.ask("/api/v1/sync", "POST")[0] == 202)
    wait_until(lambda: site.service.ask("/api/v1/sync", "POST")[1].get("error", {}).get("code") == "running")
    wait_until(lambda: site.service.runs("success") == 1)
    assert site.stub.tell("/state")["most_at_once"] == 1 and site.service.total() == 253
    assert site.service.metric("marketplace_github_request_duration_seconds_sum") >= 0.9


@pytest.mark.parametrize("mode", ["duplicates", "changing", "empty"])
def test_listings_that_move_while_they_are_read_are_stored_once(lab, mode):
    site = Site(lab)
    site.stub.mode(mode)
    site.on().service.sync("success")
    names = site.names()
    assert len(names) == len(set(names)) == site.service.total()
    assert len(names) == SEED + {"duplicates": 250, "changing": 248, "empty": 0}[mode]


def test_what_is_gone_from_github_goes_after_two_whole_runs(site):
    site.on().service.sync("success")
    site.stub.tell("/repos", {"count": 240})
    site.service.sync("success")
    assert site.service.total() == 253
    site.service.sync("success")  # most of it by 304, whose listings are known to be on their pages
    names = site.names()
    assert len(names) == len(set(names)) == 243 and site.service.answers(304) >= 2
    assert site.service.metric('marketplace_items_removed_total{source="github"}') == 10
    assert "listings_gone" in site.service.events()
    site.stub.tell("/repos", {"count": 250})
    site.service.sync("success")
    assert site.service.total() == 253


def test_what_one_run_has_missed_stays_if_the_next_one_sees_it(site):
    site.on().service.sync("success")
    names = site.names()
    for mode in ("changing", "empty", "duplicates", "empty"):
        site.stub.mode(mode)
        site.service.sync("success")
        site.stub.mode("ok")
        site.service.sync("success")
        assert site.names() == names, mode
    assert site.service.metric('marketplace_items_removed_total{source="github"}') == 0
    site.stub.mode("empty")  # said twice, it is true
    site.service.sync("success")
    site.service.sync("success")
    assert site.service.total() == SEED


def test_an_incomplete_search_lets_nothing_go(lab):
    site = Site(lab, service=("--search", "org:acme"), stub=("--limit", 1000)).on()
    site.service.sync("success")
    names = site.names()
    site.stub.tell("/repos", {"count": 240})
    site.stub.mode("incomplete")
    for _ in range(3):
        site.service.sync("success")
    assert site.names() == names
    site.stub.mode("ok")
    site.service.sync("success")
    site.service.sync("success")
    assert site.service.total() == 243


def test_a_search_that_finds_more_than_it_gives_lets_nothing_go(lab):
    site = Site(lab, service=("--search", "org:acme"), stub=("--limit", 1000, "--repos", 1100)).on()
    site.service.sync("success")
    assert site.service.total() == SEED + 1000
    site.stub.tell("/repos", {"count": 1090})  # its first 1,000 are others by now, but for those that are gone
    site.service.sync("success")
    site.service.sync("success")
    assert site.service.metric('marketplace_items_removed_total{source="github"}') == 0


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


def test_what_the_flag_does_not_decide_is_on_neither_side_of_the_comparison(site):
    """Else scrapes alone would be enough requests for a guard, and be compared with the feature's."""
    service = site.on().service
    service.total()
    for path in ("/healthz", "/readyz", "/nowhere"):
        service.ask(path)
    sides = {line.split(" ")[0]: float(line.split(" ")[1]) for line in service.metrics().splitlines()
             if line.startswith("marketplace_http_requests_total") and 'variant="none"' not in line}
    assert sides and all('route="/api/v1/listings' in series for series in sides)
    before = sides['marketplace_http_requests_total{route="/api/v1/listings",code="200",variant="on"}']
    assert sum(sides.values()) == before > 0
    assert service.metric('marketplace_http_requests_total{route="none",code="404",variant="none"}') == 1


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
