"""Each alert of deploy/prometheus, live: the fault that it is for makes it fire, and no other one; what its page in docs/runbooks
says to type shows what the page says; with the fault mended it stops. Prometheus, hoistd, the service and GitHub's stand-in are
real, and minutes are seconds (watch.scaled). All of them in a soak, else a few."""
import concurrent.futures
import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request

import pytest

from faults import figures
from hoist import BUILD, SOAK, TOP, Lab, Process, clean_env, free_port, wait_until
from test_alerts import ALERTS, RULES
from test_disk import fill
from test_github_stub import ORG, Stub
from test_marketplace import FLAGS, Marketplace
from test_notify import Receiver, secret
from watch import Watch, scaled

FASTER = 60
LIMIT_MS = 120000
CHECKED = ["HoistStoreNearlyFull", "HoistReleaseRolledBack", "MarketplaceGithubSecondaryLimit", "HoistHostsNotCurrent", "HoistPrimaryDown", "MarketplaceTargetMissing"]
BESIDE = 4 if SOAK else len(CHECKED)
KILLS = {"MarketplaceSyncFailureRatioHigh": "marketplace.sync.enabled", "MarketplaceGithubSecondaryLimit": "marketplace.sync.enabled",
         "MarketplaceApiErrorRatioHigh": "marketplace.enabled"}
FLAG_FILE = json.loads((TOP / "examples/marketplace/flags/production.json").read_text())
JOURNAL = """#!/bin/sh
while [ $# -gt 0 ]; do case $1 in -u) unit=$2; shift ;; -n) lines=$2; shift ;; esac; shift; done
exec tail -n "${lines:-+1}" "${0%/*}/$unit.log"
"""
PLAN = """
release: marketplace-github-ingestion
title: A search that is watched by whether the marketplace is on
owner: mara
author: mara
flags: [search.enabled]
bucket: {var: account_id}
interval: 500ms
guards:
  - {name: freshness, query: 'time() - min(timestamp(up{job="marketplace"}) and up{job="marketplace"} == 1)', pass: '<= 30'}
  - {name: marketplace, query: 'max(marketplace_flag_enabled{flag="marketplace.enabled"})', pass: '>= 1', mode: %s}
announce: {contact: '#search'}
phases:
  flags: {steps: []}
  monitoring: {steps: []}
  staging: {steps: []}
  production: {env: production, steps: [{percent: 50, soak: 1d, exposed: 1}]}
  watch: {steps: []}
"""


class Scene:
    """A primary, two hosts, the service beside the first of them, GitHub, and who watches; all is well, and the feature on."""

    def __init__(self, lab, primary=(), host=(), host_store=None, stub=(), interval_s=0.5, kills=False, flags=(True, True, True)):
        self.lab, self.ending, self.loads = lab, threading.Event(), []
        secret = lab.secret("webhook-token", "the-token\n")
        rules = [word for alert, flag in KILLS.items() for word in ("--kill-on-alert", f"production:{alert}={flag}")]
        port = free_port()  # of Prometheus, whom the guards of releases are asked of
        self.primary = lab.primary("--webhook-token-file", secret, "--prometheus", f"http://127.0.0.1:{port}", *rules, *primary)
        file = json.loads(json.dumps(FLAG_FILE))
        for flag, on in zip(FLAGS, flags):
            file["flags"][flag]["defaultVariant"] = "on" if on else "off"
        lab.ok("import", lab.file("flags.json", file))
        self.beside = lab.agent(name="host1")
        self.host = lab.agent(*host, name="host2", store=host_store)  # the one that faults are for
        self.here = self.host  # on whose machine the page is read
        self.stub = Stub(lab, *stub)
        self.service = Marketplace(lab, self.stub, self.beside.store, "--token-file", secret, "--interval-s", 1, "--first-wait-ms", 60)
        self.watch = Watch(lab, [self.primary, self.beside, self.host], self.service, secret if kills else None, interval_s, FASTER, port)
        self.journal()
        self.watch.wait_seen()
        wait_until(lambda: flags != (True, True, True) or self.service.runs("success") > 0, what="the worker's first run")
        wait_until(lambda: not self.watch.alerts() | self.watch.alerts("pending"), LIMIT_MS, what="no alert before the fault")

    def journal(self):
        """A journalctl that knows the processes of this scene."""
        self.bin = self.lab.dir / "bin"
        self.bin.mkdir()
        for unit, process in ("hoistd-primary", self.primary), ("hoistd-agent", self.host), ("marketplace@*", self.service):
            (self.bin / f"{unit}.log").symlink_to(process.log)
        (self.bin / "journalctl").write_text(JOURNAL)
        (self.bin / "journalctl").chmod(0o755)

    def repeat(self, do, pause_s):
        """Again and again until the end, whatever becomes of it."""
        def run():
            while not self.ending.wait(pause_s):
                with contextlib.suppress(OSError, ValueError):
                    do()
        self.loads.append(threading.Thread(target=run, daemon=True))
        self.loads[-1].start()

    def end(self):
        self.ending.set()
        for load in self.loads:
            load.join(20)

    def type(self, command):
        """A page's command, on this scene's ports and stores: what it says."""
        ours = {"7480": self.primary.http, "8016": self.here.http, "7495": self.service.port, "/var/lib/hoist": self.here.store}
        command = re.sub("|".join(ours), lambda found: str(ours[found[0]]), command)
        env = clean_env(HOIST_PRIMARY=self.lab.url, HOIST_ENV="production", HOME=self.lab.dir, PATH=f"{self.bin}:{BUILD.resolve()}:{os.environ['PATH']}")
        return subprocess.run(["sh", "-c", command], env=env, cwd=self.lab.dir, capture_output=True, text=True, timeout=60)


# ------------------------------------------------------------------ faults

CASES = {}


def fault(alert, panels=(), companions=()):
    """Register what is done for `alert`: a generator that makes a scene and yields it, brings the fault about and yields, and
    mends it. `panels`: those of the dashboards that cross their threshold; `companions`: alerts that the same fault may fire."""
    def add(play):
        CASES[alert] = (play, set(panels), set(companions))
        return play
    return add


@fault("HoistKillSlow", panels=["From a kill to all hosts, p99 of 30 days"], companions=["HoistHostsNotCurrent"])
def a_host_that_stands_still_during_a_kill(lab):
    scene = Scene(lab)
    lab.ok("set", "sales", "on", "--wait")
    yield scene
    scene.host.signal(signal.SIGSTOP)
    threading.Timer(1.3, lambda: scene.host.signal(signal.SIGCONT)).start()
    lab.ok("kill", "sales")  # waits for all hosts
    yield


@fault("MarketplaceSyncFailureRatioHigh", panels=["Share of runs that fail"])
def github_answers_500(lab):
    scene = Scene(lab, kills=True)
    yield scene
    scene.stub.mode("500")
    yield
    scene.stub.mode("ok")


@fault("MarketplaceSyncStalled")
def github_takes_requests_and_does_not_answer(lab):
    scene = Scene(lab)
    yield scene
    scene.stub.process.signal(signal.SIGSTOP)
    yield
    scene.stub.process.signal(signal.SIGCONT)


@fault("HoistHostSilent")
def a_host_that_is_stopped(lab):
    scene = Scene(lab)
    yield scene
    scene.host.signal(signal.SIGSTOP)
    yield
    scene.host.signal(signal.SIGCONT)


@fault("MarketplaceGithubRateLimitExhaustsBeforeReset", panels=["Share of the budget that is left"])
def somebody_else_uses_the_token(lab):
    scene = Scene(lab, stub=("--limit", "500"))
    yield scene
    pages = iter(range(430))
    scene.repeat(lambda: next(pages, None) is None or scene.stub.get(ORG, Authorization="Bearer the-token"), 0.02)
    yield
    scene.end()


@fault("MarketplaceErrorLogSpike", companions=["MarketplaceSyncFailureRatioHigh", "MarketplaceSyncStalled"])
def github_answers_what_is_no_listing(lab):
    scene = Scene(lab)
    yield scene
    scene.stub.mode("html")
    scene.repeat(lambda: scene.service.ask("/api/v1/sync", "POST"), 0.2)  # who waits for listings asks again
    yield
    scene.stub.mode("ok")


@fault("MarketplaceApiErrorRatioHigh", panels=["Share of requests answered 5xx"], companions=["MarketplaceErrorLogSpike"])
def the_data_of_the_service_is_damaged(lab):
    scene = Scene(lab, kills=True, flags=(True, True, False))
    scene.repeat(lambda: scene.service.ask("/api/v1/listings"), 0.02)
    data = lab.dir / "listings/data.mdb"
    whole = data.read_bytes()
    yield scene
    with open(data, "r+b") as f:
        f.seek(2 * 4096)  # behind LMDB's two first pages
        f.write(bytes(len(whole) - 2 * 4096))
    yield
    with open(data, "r+b") as f:
        f.write(whole)


@fault("HoistReplicationLagHigh", companions=["HoistHostsNotCurrent"])
def the_disk_of_a_host_is_full(lab):
    place = lab.dir / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", place], check=True)
    try:
        scene = Scene(lab, host_store=place / "store")
        yield scene
        fill(place)
        lab.ok("import", lab.file("big.json", {"flags": {"big": {"state": "ENABLED", "variants": {"v": "x" * 200000}, "defaultVariant": "v"}}}))
        yield
        (place / "ballast").unlink()
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@fault("HoistStoreNearlyFull", panels=["Store use"])
def a_store_that_fills_up(lab):
    scene = Scene(lab, primary=("--quota-bytes", "40KiB"))
    keys = [f"bulk.{n}" for n in range(4)]
    yield scene
    lab.ok("import", lab.file("bulk.json", {"flags": {k: {"state": "ENABLED", "variants": {"v": "x" * 8192}, "defaultVariant": "v"} for k in keys}}))
    yield
    for key in keys:
        lab.ok("delete", key)


@fault("MarketplaceGithubSecondaryLimit")
def github_says_too_much(lab):
    scene = Scene(lab, kills=True)
    yield scene
    scene.stub.mode("secondary", status=429, retry_after=0)
    yield
    scene.stub.mode("ok")


@fault("HoistHostsNotCurrent", companions=["HoistReplicationLagHigh"])
def a_host_whose_limit_is_lower(lab):
    scene = Scene(lab, host=("--env-flags", "5"))
    yield scene
    for key in "abc":
        lab.ok("set", key, "on")
    yield
    scene.host.stop()
    argv, log, more = scene.host.start_args
    scene.host.start_args = (argv[:argv.index("--env-flags")] + argv[argv.index("--env-flags") + 2:], log, more)
    scene.host.again()


@fault("HoistPrimaryDown")
def a_primary_that_is_killed(lab):
    scene = Scene(lab)
    scene.here = scene.primary
    yield scene
    scene.primary.kill()
    yield
    scene.primary.again()


@fault("HoistNotificationsFailing")
def a_webhook_that_is_revoked(lab):
    hooks = Receiver()
    url = secret(lab, "hook", hooks.port)
    scene = Scene(lab, primary=("--notify", f"ops=slack:{url}"))
    scene.here = scene.primary
    lab.ok("set", "drill", "on")
    yield scene
    hooks.answer = 404
    lab.ok("kill", "drill")
    yield
    hooks.answer = 200
    wait_until(lambda: hooks.taken(), what="the kill is told")
    hooks.close()


def release_under_way(lab, mode):
    """A scene with a release, one of whose guards looks at a flag that somebody may turn off."""
    scene = Scene(lab)
    lab.ok("set", "search.enabled", "off")
    lab.ok("release", "start", lab.file("plan.yaml", PLAN % mode), "--commit", "c0ffee")
    wait_until(lambda: scene.watch.query('hoist_release_state{state="moving"} == 1') and scene.watch.query("hoist_release_guard_value"), what="the release moves")
    return scene


@fault("HoistReleaseHolding")
def a_guard_that_fails_and_may_only_hold(lab):
    scene = release_under_way(lab, "hold")
    yield scene
    lab.ok("set", "marketplace.enabled", "off")
    yield
    lab.ok("set", "marketplace.enabled", "on")


@fault("HoistReleaseRolledBack")
def a_guard_that_fails_and_takes_it_back(lab):
    scene = release_under_way(lab, "abort")
    yield scene
    lab.ok("set", "marketplace.enabled", "off")
    yield


@fault("HoistAlertsTruncated")
def a_message_of_alertmanager_that_is_cut_short(lab):
    scene = Scene(lab)
    scene.here = scene.primary
    yield scene
    body = json.dumps({"version": "4", "truncatedAlerts": 3, "alerts": []}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{scene.primary.http}/hooks/alertmanager", body, {"Authorization": "Bearer the-token"})
    assert urllib.request.urlopen(request, timeout=10).status == 200
    yield


@fault("MarketplaceTargetMissing")
def a_service_that_is_killed(lab):
    scene = Scene(lab)
    yield scene
    scene.service.kill()
    yield
    Process.__init__(scene.service, scene.service.argv, scene.service.log)


@fault("MarketplaceApiLatencyHigh", panels=["p99", "p99 with the feature on, over off"])
def a_machine_that_gives_the_service_no_processor(lab):
    scene = Scene(lab, interval_s=1)
    lab.ok("set", "marketplace.enabled", "on", "--percent", 80, "--by", "account_id")
    for n in range(5):
        accounts = iter(range(n, 1 << 30, 5))
        scene.repeat(lambda accounts=accounts: scene.service.ask("/api/v1/listings?per_page=100", account=f"account-{next(accounts)}"), 0.001)
    yield scene
    starved = threading.Event()

    def starve():
        while not starved.is_set():
            scene.service.signal(signal.SIGSTOP)
            time.sleep(0.6)
            scene.service.signal(signal.SIGCONT)
            time.sleep(0.1)
    thread = threading.Thread(target=starve, daemon=True)
    thread.start()
    yield
    starved.set()
    thread.join(10)


# ------------------------------------------------------------------ pages and panels

def blocks(alert):
    """The two shell blocks of a page, what to look at and what to type when it is over: commands, and what they show."""
    page = (TOP / f"docs/runbooks/{alert}.md").read_text()
    look, _, over = page.partition("**It is over when**")
    for part in look, over:
        lines = [line for block in re.findall(r"^```sh\n(.*?)^```", part, re.M | re.S) for line in block.splitlines()]
        yield [(command, re.findall(r'"([^"]+)"', comment)) for command, _, comment in (re.sub(r"\s+# ", "\0", line).partition("\0") for line in lines)]


def follow(scene, commands):
    """Type them; each shows what the page says, at once or soon."""
    for command, shown in commands:
        def is_shown():
            said = scene.type(command)
            assert all(text in said.stdout + said.stderr for text in shown) and (shown or said.returncode == 0), (command, said)
            return True
        wait_until(is_shown, 60000, 200, what=command)


def thresholds():
    """Panels with a threshold: title → query, the value of the threshold, and whether above it is bad."""
    found = {}
    for file in (TOP / "deploy/dashboards").glob("*.json"):
        for panel in json.loads(file.read_text())["panels"]:
            steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [])
            if len(steps) > 1:
                found[panel["title"]] = (panel["targets"][0]["expr"], steps[-1]["value"], steps[-1]["color"] == "red")
    return found


def crosses(scene, panel, since):
    expr, limit, above = thresholds()[panel]
    return any(value > limit if above else value < limit for value in scene.watch.values(expr, since))


# ------------------------------------------------------------------ a run

def is_immediate(alert):
    rules = "".join(f.read_text() for f in RULES)
    return "for: " not in re.search(rf"- alert: {alert}\n(.*?)annotations:", rules, re.S)[1]


def check_history(alert, companions, history, began):
    """It was pending before it fired, and nothing fired that has nothing to do with the fault."""
    fired = {name for name, state in history if state == "firing"}
    assert fired <= {alert} | companions, f"{fired - companions - {alert}} fired, too"
    first, last = history[alert, "firing"]
    assert is_immediate(alert) or history[alert, "pending"][0] < first, history
    return first - began, last


def play(alert, lab):
    """From all is well to all is well again. The figures: how long it took to fire, and to stop."""
    steps, panels, companions = CASES[alert]
    steps = steps(lab)
    scene = next(steps)
    try:
        look, over = blocks(alert)
        began = time.time()
        next(steps)
        wait_until(lambda: alert in scene.watch.alerts(), LIMIT_MS, 100, what=f"{alert} fires")
        if alert in KILLS and (scene.lab.dir / "watch/alertmanager.yml").exists():
            wait_until(lambda: not lab.ok("get", KILLS[alert])["value"], what="the flag is killed")
        follow(scene, look)
        for panel in panels:
            wait_until(lambda: crosses(scene, panel, began), LIMIT_MS, 500, what=f"panel {panel!r} crosses its threshold")
        mended = time.time()
        next(steps, None)
        follow(scene, over)
        wait_until(lambda: not scene.watch.alerts(), LIMIT_MS, 100, what="all is well again")
        fires_s, last = check_history(alert, companions, scene.watch.history(began), began)
        return f"{alert}: firing {fires_s:.1f} s after the fault, gone {max(0, last + scene.watch.interval_s - mended):.1f} s after the mend ({FASTER} times as fast)"
    finally:
        scene.end()
        steps.close()


def play_in(alert, directory):
    lab = Lab(directory)
    try:
        return play(alert, lab)
    except Exception as error:
        ends = "".join(f"---- {p.argv[0]}\n{p.text()[-1000:]}\n" for p in lab.all)
        raise AssertionError(f"{alert}: {error}\n{ends}") from error
    finally:
        for p in lab.all:
            with contextlib.suppress(ProcessLookupError):
                p.signal(signal.SIGCONT)
        lab.close()


@pytest.fixture(scope="module")
def played(request, tmp_path_factory):
    """What is asked for of the cases below, beside each other."""
    chosen = [item.callspec.params["alert"] for item in request.session.items if item.module is request.module and hasattr(item, "callspec")]
    with concurrent.futures.ThreadPoolExecutor(BESIDE) as pool:
        yield {alert: pool.submit(play_in, alert, tmp_path_factory.mktemp(alert)) for alert in chosen}


@pytest.mark.parametrize("alert", [a for a in CASES if SOAK or a in CHECKED])
def test_an_alert_fires_by_its_fault_and_stops_soak(played, alert):
    if alert == "HoistReplicationLagHigh" and os.getuid() != 0:
        pytest.skip("needs root for mounts")
    figures(played[alert].result())


def test_each_alert_has_a_fault_and_each_threshold_one_that_crosses_it():
    assert sorted(CASES) == sorted(ALERTS)
    assert {panel for _, panels, _ in CASES.values() for panel in panels} == set(thresholds())


def test_minutes_become_seconds_and_what_one_thing_takes_stays():
    for rule, short in (("for: 30s", "for: 500ms"), ("rate(a[5m]) > 4 * rate(a[1h] offset 1h)", "rate(a[5000ms]) > 4 * rate(a[60000ms] offset 60000ms)"),
                        ("rate((a - b)[15m:])", "rate((a - b)[15000ms:])"), ("time() - max(t) > 900", "time() - max(t) > 15"), ("max(x_age_seconds) > 300", "max(x_age_seconds) > 5"),
                        ('increase(a_bucket{le="1"}[1h]) > 5', 'increase(a_bucket{le="1"}[60000ms]) > 5'), ("lag_seconds > 5", "lag_seconds > 5")):
        assert scaled(rule, 60) == short
