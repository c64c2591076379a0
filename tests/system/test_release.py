"""Releases, run by a real primary over real agents and programs; the Prometheus is one that says what a test wants."""
import ctypes
import http.server
import json
import re
import signal
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

from hoist import BUILD, SANITIZED, TOP, clean_env, free_port, wait_until
from test_alerts import metrics_that_are_named
from test_github_stub import Stub
from test_metrics import check as check_metrics
from test_notify import Receiver, secret

pytestmark = pytest.mark.skipif(SANITIZED, reason="libhoist is loaded into Python here")
ENVS = ("--env", "staging", "--env", "production")
PLAN = """
release: demo
title: A demonstration
owner: mara
author: mara
flags: [a.enabled, b.enabled]
bucket: {var: account_id}
interval: 200ms
abort_after: 2
roles: {qa: [quinn, qadir], boss: [rita]}
guards:
  - {name: freshness, query: 'time() - min(timestamp(up) and up == 1)', pass: '<= 30'}
  - {name: errors, query: 'sum(rate(errors_total[5m]))', pass: '<= 0.02', critical: '> 0.2'}
kill_on_alert: [Burning]
checks: [{name: tests, run: ['true']}, {name: fails, run: ['false']}]
announce: {contact: '#demo'}
phases:
  flags: {steps: [{check: [tests], sign: {qa: tested, boss: reviewed}}]}
  monitoring: {steps: []}
  staging: {env: staging, steps: [{percent: 100, soak: 600ms, exposed: 5}]}
  production:
    env: production
    steps:
      - {percent: 10, soak: 600ms, exposed: 5}
      - {percent: 100, soak: 600ms, exposed: 5}
  watch: {steps: []}
"""


class Prometheus(threading.Thread):
    """Answers each instant query with one sample: what `values` has for a word in it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.values, self.away, self.slow_s, self.asked_by = {"errors_total": 0.0, "timestamp": 1.0}, False, 0, None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                query = urllib.parse.parse_qs(body)["query"][0]
                outer.asked_by = self.headers["Authorization"]
                time.sleep(outer.slow_s)
                value = next(v for word, v in outer.values.items() if word in query)
                result = [] if value is None else [{"metric": {}, "value": [time.time(), str(value)]}]
                answer = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
                self.send_response(503 if outer.away else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.start()

    def run(self):
        self.server.serve_forever()


class Programs(threading.Thread):
    """What evaluates the flags, on each host and in both environments, for a thousand accounts in turn."""

    def __init__(self, stores, keys=("a.enabled", "b.enabled")):
        super().__init__(daemon=True)
        self.keys = keys
        self.lib = ctypes.CDLL(str(BUILD / "libhoist.so"))
        self.lib.hoist_ctx_new.restype = ctypes.c_void_p
        self.lib.hoist_bool.restype = ctypes.c_bool
        self.ending = threading.Event()
        self.handles = {}
        for store in stores:
            for env in ("staging", "production"):
                h = ctypes.c_void_p()
                assert self.lib.hoist_open(ctypes.byref(h), str(store).encode(), env.encode()) == 0
                self.handles[store, env] = h
        self.start()

    def ask(self, h, key, account):
        c = ctypes.c_void_p(self.lib.hoist_ctx_new())
        self.lib.hoist_ctx_set_string(c, b"account_id", account.encode())
        value = self.lib.hoist_bool(h, key, c, False)
        self.lib.hoist_ctx_free(c)
        return value

    def run(self):
        n = 0
        while not self.ending.wait(0.01):
            for h in self.handles.values():
                for key in self.keys:
                    self.ask(h, key.encode(), f"account-{n % 1000}")
                    n += 1

    def share(self, store, env, key=b"a.enabled", accounts=200):
        """How many of so many accounts have it."""
        return sum(self.ask(self.handles[store, env], key, f"someone-{i}") for i in range(accounts)) / accounts

    def end(self):
        self.ending.set()
        self.join()
        for h in self.handles.values():
            self.lib.hoist_close(h)


class Stage:
    def __init__(self, lab, agents=2, *args):
        self.lab = lab
        self.prometheus = Prometheus()
        self.primary = lab.primary(*ENVS, "--prometheus", self.prometheus.url, *args)
        for env in ("staging", "production"):
            for key in ("a.enabled", "b.enabled"):
                lab.ok("set", key, "off", env=env)
        self.agents = [lab.agent(*ENVS, name=f"host{i}") for i in range(agents)]
        self.programs = Programs([a.store for a in self.agents])
        self.plan = lab.file("plan.yaml", PLAN)

    def start(self):
        return self.lab.ok("release", "start", self.plan, "--commit", "c0ffee", "--author", "mara")

    def sign(self):
        assert self.lab.flagctl("release", "check", "demo", "--commit", "c0ffee", "--author", "ci", cwd=self.lab.dir).code == 0
        for role, who in (("qa", "quinn"), ("boss", "rita")):
            a = self.lab.flagctl("release", "sign", "demo", role, "--yes", "--author", who)
            assert a.code == 0, a

    def status(self):
        a = self.lab.flagctl("release", "status", "demo", "--json")
        return dict(json.loads(a.out), exit=a.code)

    def wait(self, state, step=None, limit_ms=60000):
        def there():
            s = self.status()
            live = s["state"] in ("moving", "waiting", "holding")
            return s if (live if state == "live" else s["state"] == state) and step in (None, s["step"]) else None
        return wait_until(there, limit_ms, every_ms=50, what=f"{state} at {step}")

    def to_production(self):
        self.start()
        self.sign()
        self.wait("live", 3)

    def shares(self, env="production"):
        return [self.programs.share(a.store, env) for a in self.agents]

    def wait_back(self):
        """Ended, with the baseline on every host."""
        s = self.wait("rolled_back")
        assert self.shares("staging") == self.shares() == [0.0] * len(self.agents)
        assert s["exit"] == 11
        return s


@pytest.fixture
def stage(lab):
    made = []

    def make(*args, **kwargs):
        made.append(Stage(lab, *args, **kwargs))
        return made[-1]

    yield make
    for s in made:
        s.programs.end()
        s.prometheus.server.shutdown()


def test_a_release_goes_through_its_phases_to_the_end(stage, lab):
    s = stage()
    begun = s.start()
    assert begun["state"] in ("waiting", "holding") and begun["step"] == 1
    wait_until(lambda: lab.flagctl("release", "status", "demo").code == 10, what="it waits for people")
    a = lab.flagctl("set", "a.enabled", "on", "--everyone", "--env", "production")
    assert a.code == 3 and "demo" in a.err
    s.sign()
    s.wait("live", 2)
    s.wait("live", 3)
    assert s.shares("staging") == [1.0, 1.0]
    check_metrics(s.primary)
    has = set(re.findall(r"^(hoist_\w+)", s.primary.get("/metrics"), re.M))
    assert {name for name in metrics_that_are_named() if name.startswith("hoist_release_")} - has == set()
    wait_until(lambda: all(0.03 < x < 0.2 for x in s.shares()), what="a tenth has it")
    end = s.wait("completed")
    assert end["exit"] == 0 and s.shares() == [1.0, 1.0]
    chain = lab.flagctl("release", "status", "demo", "--chain")
    assert chain.code == 0
    for task in ("DEPLOY-001", "DEPLOY-005"):
        assert f"| {task} |" in chain.out and chain.out.count("| done |") == 5
    assert "tests passed by ci" in chain.out and "qa signed by quinn" in chain.out
    log = lab.flagctl("release", "log", "demo").out
    assert log.count("  changed  ") == 3 and "started" in log
    played = lab.file("events", lab.flagctl("release", "log", "demo", "--ticks", "--json").out)
    again = lab.flagctl("release", "simulate", s.plan, "--events", played, "--json")
    assert again.code == 0, again  # the same decisions
    events = [json.loads(line) for line in played.read_text().splitlines()]
    ticks = [e["boot_ms"] for e in events if e["event"] == "tick"]
    # One each interval, and one at once after whatever else happens.
    assert 9 <= len(ticks) <= (ticks[-1] - ticks[0]) / 200 + len(events) - len(ticks) + 2, ticks
    report = lab.flagctl("release", "report", "demo").out
    assert report.startswith("# Release demo: completed") and "qa by quinn" in report
    whole = lab.ok("release", "report", "demo")
    assert [x["step"] for x in whole["steps"]] == [1, 2, 3, 4] and all(x["ended"] for x in whole["steps"])
    assert all(g["rounds"] == g["passed"] >= 9 and g["failed"] == g["blind"] == 0 for g in whole["guards"])
    changes = lab.ok("log", env="production")["changes"]
    assert [c["kind"] for c in changes[:2]] == ["release", "release"] and changes[0]["author"] == "release demo"
    assert lab.flagctl("set", "a.enabled", "off", "--everyone", "--env", "production").code == 0


def burning(s, **labels):
    """Alertmanager says so, with the token of `webhook()`."""
    body = {"version": "4", "alerts": [{"status": "firing", "fingerprint": "f", "startsAt": "2026-01-01T00:00:00Z",
                                       "labels": {"alertname": "Burning", **labels}}]}
    request = urllib.request.Request(f"http://127.0.0.1:{s.primary.http}/hooks/alertmanager", json.dumps(body).encode(),
                                     {"Authorization": "Bearer s3cret", "Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def webhook(lab):
    token = lab.file("token", "s3cret\n")
    token.chmod(0o600)
    return "--webhook-token-file", str(token)


def test_an_alert_of_another_environment_takes_no_release_back(stage, lab):
    s = stage(1, *webhook(lab))
    s.to_production()
    lab.ok("release", "hold", "demo", "-m", "while it burns", "--author", "rita")
    burning(s, env="dev")
    assert s.status()["state"] == "holding"
    burning(s, env="staging")
    assert s.wait_back()["cause"] == "alert Burning"


def test_each_cause_takes_it_back_on_every_host(stage, lab):
    s = stage(2, *webhook(lab))
    causes = {
        "guard errors: FAIL": lambda: s.prometheus.values.update(errors_total=0.1),
        "guard errors: critical": lambda: s.prometheus.values.update(errors_total=0.5),
        "alert Burning": lambda: burning(s),
        "olga: it burns": lambda: lab.ok("release", "abort", "demo", "-m", "it burns", "--author", "olga"),
        "a rollback changed its flags": lambda: lab.ok("rollback", "--last", env="production"),
    }
    for words, cause in causes.items():
        s.prometheus.values.update(errors_total=0.0)
        s.to_production()
        begun = time.monotonic()
        cause()
        end = s.wait_back()
        print(f"{words}: back on every host {time.monotonic() - begun:.2f} s after its cause")
        assert words in end["cause"], end["cause"]
        played = lab.file("events", lab.flagctl("release", "log", "demo", "--ticks", "--json").out)
        assert lab.flagctl("release", "simulate", s.plan, "--events", played).code == 11
        took = lab.ok("release", "report", "demo")["abort"]
        assert words in took["cause"] and 0 < took["converge_ms"] < 20000, took
        reason = {"F": "guard", "c": "critical", "B": "alert"}.get(words.split(" ")[-1][0], "hand")
        assert s.primary.metric(f'hoist_release_aborts_total{{release="demo",env="production",reason="{reason}"}}') == 1
    check_metrics(s.primary)  # of several releases by one name
    detected = {trigger: s.primary.metric(f'hoist_detect_duration_seconds_count{{trigger="{trigger}"}}') for trigger in ("guard", "alert")}
    assert detected == {"guard": 2, "alert": 1}
    assert 0.1 < s.primary.metric('hoist_detect_duration_seconds_sum{trigger="guard"}') < 60  # the second FAIL is 200 ms after the first


def test_what_is_not_known_never_moves_it(stage, lab):
    s = stage()
    s.to_production()
    for word, value in (("errors_total", None), ("timestamp", "NaN"), ("errors_total", "+Inf")):
        before = dict(s.prometheus.values)
        s.prometheus.values[word] = value
        wait_until(lambda: any(g["verdict"] == "NODATA" for g in s.status()["guards"]), what=f"{word} {value}")
        time.sleep(2)
        assert s.status()["step"] == 3 and s.status()["state"] == "holding"
        s.prometheus.values = before
    s.prometheus.away = True
    wait_until(lambda: all(g["verdict"] == "ERROR" for g in s.status()["guards"]), what="no Prometheus")
    time.sleep(2)
    assert s.status()["step"] == 3
    s.prometheus.away = False
    s.wait("completed")


def test_a_host_that_does_not_follow_holds_it_and_a_rollback_waits_for_it(stage, lab):
    s = stage()
    s.start()
    s.agents[1].signal(signal.SIGSTOP)
    try:
        s.sign()
        s.wait("live", 2)
        time.sleep(3)
        now = s.status()
        assert now["step"] == 2 and "converged" in [w["condition"] for w in now["waiting"]], now
        lab.ok("release", "abort", "demo", "-m", "enough")
        time.sleep(1)
        assert s.status()["state"] == "rolling_back"
    finally:
        s.agents[1].signal(signal.SIGCONT)
    s.wait_back()


def test_a_killed_primary_goes_on_where_it_was(stage, lab):
    s = stage()
    s.to_production()
    for _ in range(3):
        s.primary.kill()
        s.primary.again()
        assert s.status()["step"] >= 3
    wait_until(lambda: s.status()["step"] == 4 or s.status()["state"] == "completed", 60000)
    s.primary.kill()
    s.primary.again()
    s.wait("completed")
    events = [json.loads(line) for line in lab.flagctl("release", "log", "demo", "--json").out.splitlines()]
    moved = [e["step"] for e in events if e["event"] == "changed"]
    assert moved == [2, 3, 4] and 1 <= sum(e["event"] == "restarted" for e in events) <= 4


def test_those_whom_the_plan_names_hear_of_it_in_order_and_lose_nothing(stage, lab):
    named, other, port = Receiver(), Receiver(), free_port()
    files = [secret(lab, f"url{p}", p, "a-key-that-signs") for p in (named.port, other.port, port)]
    s = stage(1, "--notify", f"ops=json:{files[0]}", "--notify", f"audit=json:{files[1]}", "--notify", f"example=json:{files[2]}")
    s.plan = lab.file("plan.yaml", PLAN + "sinks: [{name: team, url_ref: ops}, {name: example, url_ref: example}]\n")
    notified = lab.process([TOP / "examples/notified/notified", "--port", port, "--secrets", files[2]], "notified")
    named.answer = lambda body: None if len(named.got) % 3 == 0 else 200  # it is away now and then
    s.start()
    lab.ok("release", "hold", "demo", "-m", "a holiday", "--author", "olga")
    s.primary.kill()
    s.primary.again()
    lab.ok("release", "resume", "demo", "--author", "olga")
    s.sign()
    s.wait("live", 2)
    named.answer = 500  # away for longer
    s.wait("live", 3)
    s.primary.kill()
    s.primary.again()
    lab.ok("release", "abort", "demo", "-m", "it burns", "--author", "olga")
    s.wait_back()
    named.answer = 200
    heard = lambda: [e for e in named.taken() if e["event"] == "release"]
    wait_until(lambda: heard() and heard()[-1]["text"][-1].startswith("rolled back"), 60000, what="the end is told")
    each = list({e["sequence"]: e for e in heard()}.values())
    assert [e["sequence"] for e in each] == sorted(e["sequence"] for e in each) and len(heard()) - len(each) <= 2
    said = [line for e in each for line in e["text"]]
    for words in ("started by mara", "step 1 of 4", "held by olga: a holiday", "resumed by olga", "step 2 of 4", "step 3 of 4", "rolling back at step 3 of 4"):
        assert words in said[0], (words, said)
        said.pop(0)
    assert said == ["rolled back: every live host has the baseline"]
    assert [e["page"] for e in each] == [False] * (len(each) - 2) + [True, False]
    events = [json.loads(line) for line in lab.flagctl("release", "log", "demo", "--json").out.splitlines()]
    assert [e["time"] for e in each if "held" in e["text"][0]] == [e["time"] for e in events if e["event"] == "held"]
    assert {e["event"] for e in other.taken()} <= {"rollback"}
    wait_until(lambda: "release demo: rolled back" in notified.text(), what="the example prints the end")
    assert "it burns (somebody has to look)" in notified.text()
    named.close()
    other.close()


def test_a_kill_stands_above_it(stage, lab):
    s = stage()
    s.to_production()
    lab.ok("kill", "a.enabled", env="production")
    wait_until(lambda: s.status()["envs"][1]["killed"] == ["a.enabled"])
    time.sleep(2)
    assert s.status()["step"] == 3 and s.shares() == [0.0, 0.0]
    lab.ok("restore", "a.enabled", env="production")
    s.wait("completed")


def test_what_people_say_is_refused_where_it_does_not_fit(stage, lab):
    s = stage(1)
    assert lab.flagctl("release", "status", "demo").code == 1
    assert lab.flagctl("release", "start", lab.file("bad.yaml", "release: x\n"), "--commit", "c").code == 2
    s.start()
    again = lab.flagctl("release", "start", s.plan, "--commit", "c0ffee")
    assert again.code == 3 and "under way" in again.err
    assert lab.flagctl("release", "sign", "demo", "qa", "--yes", "--author", "mara").code == 3
    assert lab.flagctl("release", "sign", "demo", "cook", "--yes", "--author", "quinn").code == 3
    assert lab.flagctl("release", "check", "demo", "--commit", "another", cwd=lab.dir).code == 3
    assert lab.flagctl("release", "check", "demo", "fails", "--commit", "c0ffee", cwd=lab.dir).code == 3  # its step asks for it not
    assert lab.flagctl("release", "hold", "demo").code == 2
    lab.ok("release", "hold", "demo", "-m", "a holiday", "--author", "olga")
    s.sign()
    time.sleep(1.5)
    now = s.status()
    assert now["step"] == 1 and now["held"] == {"by": "olga", "reason": "a holiday"}
    lab.ok("release", "resume", "demo")
    s.wait("live", 2)
    lab.ok("release", "abort", "demo", "-m", "that was all")
    s.wait_back()


def test_github_s_limits_are_a_check_that_is_built_in(lab):
    lab.primary(*ENVS)
    for key in ("a.enabled", "b.enabled"):
        for env in ("staging", "production"):
            lab.ok("set", key, "off", env=env)
    plan = PLAN.replace("{name: fails, run: ['false']}", "{name: github_limits, every: 1d}").replace("check: [tests]", "check: [github_limits]")
    lab.ok("release", "start", lab.file("plan.yaml", plan), "--commit", "c0ffee", "--author", "mara")
    stub, low = Stub(lab, "--token", "t0ken"), Stub(lab, "--limit", "4999", "--token", "t0ken")
    good, wrong, open_to_all = lab.file("good", "t0ken\n"), lab.file("wrong", "stolen\n"), lab.file("open", "t0ken\n")
    good.chmod(0o600), wrong.chmod(0o600), open_to_all.chmod(0o644)

    def check(url, *more):
        a = lab.flagctl("release", "check", "demo", "--commit", "c0ffee", "--github", url, *more)
        passed = lab.flagctl("release", "status", "demo", "--json").json["checks"][0]["passed"]
        assert passed is (a.code == 0), a
        return a

    here, token = f"http://127.0.0.1:{stub.port}", ("--github-token-file", good)
    for url, more, why in ((here, (), "the client expects 5000"), (here, ("--github-token-file", wrong), "status 401"),
                           (here, ("--github-token-file", open_to_all), "owner"), (f"{here}/elsewhere", token, "status 404"),
                           (f"http://127.0.0.1:{low.port}", token, "core: 4999 per hour"), ("http://127.0.0.1:9", token, "GitHub: "),
                           ("http://github.example", token, "plain http"), ("http://127.0.0.1:1@github.example", token, "plain http")):
        a = check(url, *more)
        assert a.code == 4 and why in a.out, a
    assert check(f"{here}/", *token).code == 0
    evidence = [json.loads(line) for line in lab.flagctl("release", "log", "demo", "--json").out.splitlines()][-1]["evidence"]
    assert json.loads(bytes.fromhex(evidence))["argv"] == ["github_limits", f"{here}/"]
    before = lab.flagctl("release", "status", "demo", "--json").json["checks"][0]
    assert lab.flagctl("release", "check", "demo", "github_limits", "--github", here, *token).code == 0  # whatever is checked out
    after = lab.flagctl("release", "status", "demo", "--json").json["checks"][0]
    assert before["at"] < after["at"] < after["good_until"] and before["good_until"] < after["good_until"]
    assert f"due again {after['good_until']}" in lab.flagctl("release", "status", "demo").out


def test_the_way_back_is_tried_in_drills(lab):
    primary = lab.primary(*ENVS)
    last = lambda env: primary.metric(f'hoist_last_drill_timestamp_seconds{{env="{env}"}}')
    kills = lambda trigger: primary.metric(f'hoist_kill_duration_seconds_count{{env="staging",trigger="{trigger}"}}')
    assert last("staging") == kills("drill") == 0
    agents = [lab.agent(*ENVS, name=f"host{i}") for i in range(2)]
    for drill, steps in (("kill", ["set", "kill", "restore"]), ("rollback", ["set", "change", "rollback"])):
        done = lab.ok("drill", drill, env="staging")
        assert done["result"] == "passed" and [x["step"] for x in done["steps"]] == steps
        assert all(x["hosts"] == x["have"] == 2 for x in done["steps"])
        assert lab.flagctl("is", "hoist.drill", "--env", "staging", store=agents[1].store).code == 0
        wait_until(lambda: kills("drill") == 1, what="the kill is measured")
        assert abs(last("staging") - time.time()) < 60 and last("production") == kills("operator") == 0
    before = last("staging")
    lab.ok("kill", "hoist.drill", env="staging")
    lab.ok("restore", "hoist.drill", env="staging")
    assert last("staging") > before
    lab.ok("set", "other", "on", env="staging")
    lab.ok("kill", "other", env="staging")
    wait_until(lambda: kills("operator") == 1, what="a kill that is no drill")
    assert lab.flagctl("drill", "kill").code == 2
    assert lab.flagctl("drill", "alert", "--env", "staging").code == 2
    away = lab.flagctl("drill", "alert", "--env", "staging", "--alertmanager", "http://127.0.0.1:9", "--timeout", "1s")
    assert away.code == 7 and "Alertmanager" in away.err
    agents[1].signal(signal.SIGSTOP)
    try:
        late = lab.flagctl("drill", "kill", "--env", "staging", "--timeout", "2s")
        assert late.code == 6 and "not every live host" in late.err
    finally:
        agents[1].signal(signal.SIGCONT)
    before = last("staging")
    primary.kill()
    primary.again()
    assert last("staging") == before


def test_watch_prints_each_move_until_the_end(stage, lab):
    s = stage(1)
    assert lab.flagctl("release", "watch", "demo").code == 1
    s.start()
    watch = subprocess.Popen([BUILD / "flagctl", "release", "watch", "demo", "--primary", lab.url], stdout=subprocess.PIPE, text=True,
                             env=clean_env(HOME=lab.dir))
    lines = [watch.stdout.readline().rstrip()]
    s.sign()
    s.wait("live", 2)
    lab.ok("release", "abort", "demo", "-m", "that was all")
    lines += watch.communicate(timeout=60)[0].splitlines()
    assert watch.returncode == 11
    assert "step 1 of 4" in lines[0] and lines[0].endswith(", sign (2)") and lines[-1].startswith("rolled_back") and "that was all" in lines[-1]
    assert all(a != b for a, b in zip(lines, lines[1:]))
