"""The launch of examples/launch with everything real and 20 hosts: through to the end, and held or taken back for each cause.
Beside that, whether the shortened plan is the same plan."""
import contextlib
import datetime
import json
import pathlib
import re
import signal
import subprocess
import time

import pytest

import watch  # noqa: F401  where examples/launch is found
from faults import figures
from hoist import BUILD, SOAK, TOP, clean_env
from fleet import PLAN, Fleet, wait
import shortened

HOSTS = 20
AT = {"ports": {7495: 1, 7490: 2, 7491: 3}, "prometheus": "http://127.0.0.1:4", "build": BUILD, "limits": "limits.json"}


# ---------------------------------------------------------------- the plan

def canonical(lab, path):
    said = lab.flagctl("release", "plan", path, "--canonical")
    assert said.code == 0, said
    return json.loads(said.out)


def test_the_shortened_plan_is_the_same_plan(lab):
    short = lab.file("short.yaml", shortened.plan(PLAN.read_text(), datetime.datetime(2026, 12, 7), AT))
    assert lab.flagctl("release", "lint", "--strict", short, "--flags", TOP / "examples/marketplace/flags/production.json").code == 0
    was, now = canonical(lab, PLAN), canonical(lab, short)
    for key in was.keys() - {"interval_ms", "guards", "checks", "coverage", "phases"}:
        assert was[key] == now[key], key
    assert [c["name"] for c in was["checks"]] == [c["name"] for c in now["checks"]]
    differ = {a["name"] for a, b in zip(was["checks"], now["checks"]) if a != b}
    assert differ == {"dashboards", "api_contract", *shortened.STANDING_IN}
    assert [c["who"] for c in was["coverage"]] == [c["who"] for c in now["coverage"]]
    for a, b in zip(was["guards"], now["guards"], strict=True):
        assert {k: v for k, v in a.items() if k not in ("query", "pass")} == {k: v for k, v in b.items() if k not in ("query", "pass")}
        assert a["pass"] == b["pass"] or a["name"] == "api_p99_against_control"
        assert re.sub(r"\[\w+\]|>= \d+", "", a["query"]) == re.sub(r"\[\w+\]|>= \d+", "", b["query"])
    for a, b in zip(was["phases"], now["phases"], strict=True):
        assert all(a[k] == b[k] for k in ("task", "title", "owner", "env"))
        for x, y in zip(a["steps"], b["steps"], strict=True):
            assert all(x[k] == y[k] for k in ("check", "guards", "if", "share", "sign"))
            assert bool(x["soak_ms"]) == bool(y["soak_ms"]) and y["soak_ms"] <= x["soak_ms"] and y["exposed"] <= x["exposed"]


def test_a_plan_that_the_shortening_does_not_know_is_told():
    with pytest.raises(ValueError, match="shortened.py needs to know"):
        shortened.plan(PLAN.read_text().replace("interval: 15s", "interval: 30s"), datetime.datetime(2026, 12, 7), AT)


# ---------------------------------------------------------------- live

class SlowableFleet(Fleet):
    """The service in production waits as long as a file says, if it is there, before it looks through its listings."""

    def start(self, name, *argv):
        self.slow = self.dir / "slow-ms"
        if name == "production":
            argv = ("env", f"LD_PRELOAD={BUILD.resolve()}/tests/system/slow_data.so", f"SLOW_DATA_MS={self.slow}", *argv)
        super().start(name, *argv)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    f = SlowableFleet(tmp_path_factory.mktemp("launch"), BUILD, HOSTS)
    try:
        f.start_all()
        yield f
    finally:
        f.end()


def calm(text):
    """The guard that a busy machine alone can break says nothing, where it is not what is tried."""
    return shortened.sub(r'pass: "<= 40"', 'pass: "<= 1000"', text, 1)


@contextlib.contextmanager
def at_ten_percent(f, name, alter=calm):
    """A release that stands well at 10 %; at its end every host must have what it had before."""
    f.all_off()
    before = f.all_flags()
    assert len(before) == 2 * HOSTS
    f.flagctl("mara", "release", "start", f.plan(name, alter), "--commit", f.commit)
    try:
        f.play(name, lambda now: now["step"] == 8, log=False)
        f.settle(name)
        yield
    except BaseException:  # the next test has a release of its own
        f.flagctl("olga", "release", "abort", name, "-m", "the test has failed", codes=None)
        raise
    assert f.status(name)["state"] == "rolled_back" and f.all_flags() == before


def fires(f, alert):
    return f.value(f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)') > 0


def stands(f, name, what, condition, seconds=3):
    """It comes to stand still so, and does so for a while."""
    began = time.monotonic()
    wait(what, lambda: condition(f.status(name)) or f.status(name)["state"] == "rolled_back", 60)
    took = time.monotonic() - began
    for _ in range(seconds * 2):
        time.sleep(0.5)
        now = f.status(name)
        assert now["step"] == 8 and now["state"] == "holding", now
    figures(f"{name}: held {took:.2f} s after the fault")


def back(f, name, cause, began, what, since="the fault"):
    took = f.time_back(name, began)
    now = f.status(name)
    assert any(words in now["cause"] for words in cause), now["cause"]
    figures(f"{what}: from {since} to the last of {HOSTS} hosts {took:.2f} s ({now['cause']})")


def by_hand(f, name, what):
    began = time.monotonic()
    f.flagctl("olga", "release", "abort", name, "-m", what)
    back(f, name, [f"olga: {what}"], began, name, "the abort by hand")


def verdicts(now):
    return {g["guard"]: g["verdict"] for g in now["guards"]}


soak = pytest.mark.skipif(not SOAK, reason="soak")


@soak
def test_the_demonstration_ends_by_itself_soak(tmp_path):
    began = time.monotonic()
    done = subprocess.run([TOP / "examples/launch/launch"], env=clean_env(BUILD=BUILD.resolve(), TMPDIR=tmp_path), capture_output=True, text=True,
                          timeout=400)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "| completed  step 13 of 13" in done.stdout and "| rolled_back  step 8 of 13" in done.stdout and " 0 failed" in done.stdout
    reports = [pathlib.Path(path).read_text() for path in re.findall("^report: (.*)$", done.stdout, re.M)]
    assert [report.splitlines()[0].rsplit(": ")[1] for report in reports] == ["completed", "rolled_back"]
    assert not list(tmp_path.iterdir())
    figures(f"make release-demo: {took:.0f} s; " + re.search("from the fault until .*", done.stdout)[0])


@soak
def test_a_launch_goes_through_all_phases_soak(fleet):
    fleet.all_off()
    fleet.flagctl("mara", "release", "start", fleet.plan("whole"), "--commit", fleet.commit)
    began = time.monotonic()
    fleet.play("whole", lambda now: now["state"] == "completed", log=False)
    took = time.monotonic() - began
    failed = sum(load.failed for loads in fleet.loads.values() for load in loads)
    asked = sum(load.asked for loads in fleet.loads.values() for load in loads)
    assert failed == 0 and asked > 5000
    chain = fleet.flagctl("mara", "release", "status", "whole", "--chain").stdout
    assert chain.count("| done |") == 5
    assert all(flags["marketplace.enabled"]["targeting"] == {"if": [True, "on"]} for flags in fleet.all_flags().values())
    figures(f"five phases with {HOSTS} hosts: {took:.0f} s, {asked} requests, {failed} failed")


@soak
@pytest.mark.parametrize("name, mode, more, cause", [
    ("failure-ratio", "500", {}, ["guard sync_failure_ratio", "alert MarketplaceSyncFailureRatioHigh"]),
    ("secondary-limit", "secondary", {"status": 429, "retry_after": 0}, ["guard github_secondary_limits", "alert MarketplaceGithubSecondaryLimit"])])
def test_what_github_does_takes_it_back_soak(fleet, name, mode, more, cause):
    try:
        with at_ten_percent(fleet, name):
            began = time.monotonic()
            fleet.github_mode(mode, **more)
            back(fleet, name, cause, began, f"GitHub answers as {mode}")
    finally:
        fleet.github_mode("ok")
        # A run that was under way may still end as a failure, which the next release's guards would see.
        wait("no run goes on", lambda: fleet.value("max_over_time(sum(marketplace_sync_in_progress)[3s:500ms])") == 0)
        wait("none failed lately", lambda: fleet.value('sum(increase(marketplace_sync_operations_total{result="failure"}[10s]))') == 0)


@soak
def test_an_alert_takes_it_back_soak(fleet):
    """With the guard of the same errors on hold, it is the alert that does."""
    data = fleet.dir / "listings-production/data.mdb"
    whole = data.read_bytes()

    def hold(text):
        return shortened.sub(r'^    pass: "<= 0.01"$', '    pass: "<= 0.01"\n    mode: hold', calm(text), 1)
    try:
        with at_ten_percent(fleet, "alerted", hold):
            began = time.monotonic()
            data.write_bytes(whole[:2 * 4096] + bytes(len(whole) - 2 * 4096))
            back(fleet, "alerted", ["alert MarketplaceApiErrorRatioHigh"], began, "an alert, for errors of the service")
    finally:
        data.write_bytes(whole)
        wait("no alert", lambda: fleet.value('count(ALERTS{alertname="MarketplaceApiErrorRatioHigh"}) or vector(0)') == 0)


@soak
def test_a_host_that_stops_acknowledging_holds_it_soak(fleet):
    """Taken back by hand, it ends without the host, which is silent by then, and which has the baseline as soon as it is heard again."""
    with at_ten_percent(fleet, "deaf"):
        fleet.signal("host20", signal.SIGSTOP)
        try:
            stands(fleet, "deaf", "it holds for a host", lambda now: "converged" in [w["condition"] for w in now["waiting"]])
            wait("somebody is told", lambda: fires(fleet, "HoistHostSilent"))
            began = time.monotonic()
            fleet.flagctl("olga", "release", "abort", "deaf", "-m", "a host is deaf")
            wait("back on all that live", lambda: fleet.status("deaf")["state"] == "rolled_back")
            live = time.monotonic() - began
        finally:
            fleet.signal("host20", signal.SIGCONT)
        began = time.monotonic()
        wanted = {env["env"]: env["version"] for env in fleet.status("deaf")["envs"]}
        wait("the baseline on host20", lambda: all(fleet.versions()["host20", env] == version for env, version in wanted.items()))
        figures(f"deaf: the {HOSTS - 1} others {live:.2f} s after the abort by hand, that one {time.monotonic() - began:.2f} s after it was heard again")


@soak
def test_prometheus_away_holds_it_soak(fleet):
    with at_ten_percent(fleet, "blind"):
        fleet.kill("prometheus")
        stands(fleet, "blind", "every guard is without an answer", lambda now: set(verdicts(now).values()) == {"ERROR"})
        fleet.start_prometheus()
        fleet.settle("blind")
        by_hand(fleet, "blind", "Prometheus was away")


@soak
def test_no_traffic_holds_it_soak(fleet):
    with at_ten_percent(fleet, "quiet"):
        for load in fleet.loads["production"] + fleet.loads["staging"]:
            load.end()
        try:
            stands(fleet, "quiet", "nothing is known of the API", lambda now: verdicts(now)["api_error_ratio"] == "NODATA")
            wait("somebody is told", lambda: fires(fleet, "HoistReleaseHolding"))
        finally:
            fleet.load()
        fleet.settle("quiet")
        by_hand(fleet, "quiet", "nobody came")


@soak
def test_a_signature_that_expires_holds_it_soak(fleet):
    """It is given when the step begins, and the soak is longer than it counts."""
    with at_ten_percent(fleet, "expired", lambda text: shortened.sub(r"^sign_valid: 3d$", "sign_valid: 4s", calm(text), 1)):
        fleet.flagctl("rita", "release", "sign", "expired", "release_manager", "--yes")
        assert "sign" not in [w["condition"] for w in fleet.status("expired")["waiting"]]
        wait("it waits for a signature alone", lambda: [w["condition"] for w in fleet.status("expired")["waiting"]] == ["sign"], 40)
        time.sleep(2)
        now = fleet.status("expired")
        assert now["step"] == 8 and now["state"] == "waiting", now
        assert "expired: the signature of release_manager has expired (somebody has to look)" in (fleet.dir / "told.log").read_text()
        by_hand(fleet, "expired", "the signature had expired")


@soak
def test_a_hand_takes_it_back_soak(fleet):
    with at_ten_percent(fleet, "by-hand"):
        by_hand(fleet, "by-hand", "it burns")


@soak
def test_slow_answers_with_the_feature_take_it_back_soak(fleet):
    """Listings are looked through for those alone who have the feature: against the others of the same time it shows."""
    try:
        with at_ten_percent(fleet, "slow", lambda text: text):
            began = time.monotonic()
            fleet.slow.write_text("300")
            back(fleet, "slow", ["guard api_p99_against_control"], began, "looking through the listings takes 300 ms")
    finally:
        fleet.slow.unlink(missing_ok=True)
