"""The rules of deploy/prometheus: each alert tried, with a page that tells what to do, on metrics that are there."""
import json
import re
import subprocess

import pytest

from hoist import TOP, Lab
from test_certs import Fleet
from test_marketplace import Site

RULES = sorted((TOP / "deploy/prometheus").glob("*.rules.yml"))
ALERTS = [name for file in RULES for name in re.findall(r"- alert: (\w+)", file.read_text())]


def promtool(*args):
    done = subprocess.run(["promtool", *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_the_rules_are_well_made_and_fire_as_they_should(file):
    promtool("check", "rules", file)
    promtool("test", "rules", file.with_name(file.name.replace(".rules.", ".test.")))


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_tried_and_has_a_page(alert):
    tests = "".join(f.with_name(f.name.replace(".rules.", ".test.")).read_text() for f in RULES)
    tried = re.findall(rf"alertname: {alert}(?:, exp_alerts: (\[\])|\s+exp_alerts:)", tests)
    assert "[]" in tried and "" in tried, "one case in which it fires, and one in which it does not"
    page = (TOP / f"docs/runbooks/{alert}.md").read_text()
    assert page.startswith(f"# {alert}\n") and "## What to do" in page
    rules = "".join(f.read_text() for f in RULES)
    assert f"runbook_url: docs/runbooks/{alert}.md" in rules


def test_no_page_is_of_an_alert_that_is_not():
    assert sorted(ALERTS) == sorted(p.stem for p in (TOP / "docs/runbooks").glob("*.md"))


BOARDS = {file.stem: json.loads(file.read_text()) for file in (TOP / "deploy/dashboards").glob("*.json")}


@pytest.mark.parametrize("board", ["sync-health", "api-latency", "github-rate-limit", "error-logs", "fleet"])
def test_each_board_marks_the_steps_of_releases(board):
    assert sorted(BOARDS) == ["api-latency", "error-logs", "fleet", "github-rate-limit", "sync-health"]
    assert [note["expr"] for note in BOARDS[board]["annotations"]["list"] if note["enable"]] == ["changes(hoist_release_stage_percent[1m]) > 0"]


def test_the_fleet_s_board_shows_hosts_releases_and_exposures():
    shown = " ".join(target["expr"] for panel in BOARDS["fleet"]["panels"] for target in panel["targets"])
    for metric in ("hosts", "store_version", "convergence_duration_seconds", "propagation_duration_seconds", "changes_total", "resyncs_total", "release_stage_percent",
                   "release_state", "release_soak_good_seconds", "release_soak_target_seconds", "release_guard_value", "release_guard_evaluations_total",
                   "release_hold_seconds_total", "release_aborts_total", "kill_duration_seconds", "client_evaluations_total", "limit_ratio", "notifications_total"):
        assert f"hoist_{metric}" in shown, metric


# What has happened when all have just been started; every other counter is 0.
HAPPENED = re.compile(r'event="started"|result="(skipped|applied|taken)"|route="(page|/healthz|/metrics)"|reason="snapshot"|^hoist_(requests|client_evaluations)_total')


def metrics_that_are_named():
    """Those of the rules, the dashboards, the docs and their pages; what begins alike and is a function of the library is none."""
    files = [f for d in ("deploy", "docs") for f in sorted((TOP / d).rglob("*.*")) if f.is_file()] + [TOP / "README.md", TOP / "CHANGELOG.md"]
    functions = set(re.findall(r"\bhoist_\w+", (TOP / "include/hoist.h").read_text())) | {"hoist_action"}
    found = {name for f in files for name in re.findall(r"(?<![\w^:])((?:hoist|marketplace)_[a-z0-9_]*[a-z0-9])", f.read_text())}
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found} - functions


def test_every_metric_that_is_named_is_there_from_the_start_at_0(lab):
    """Those of a release have a value once there is one (test_release looks); until then what they are is said."""
    told = lab.file("told", "https://hooks.example.com/x\n")
    told.chmod(0o600)
    site = Site(lab, "--notify", f"ops=slack:{told}", "--prometheus", "http://127.0.0.1:9")
    relay = lab.relay()
    secure = Lab(lab.dir / "secure")
    secure.dir.mkdir()
    secure.all = lab.all
    hoistds = [site.primary, relay, lab.agent(upstream=relay.url), Fleet(secure).primary()]
    there = "".join([site.service.metrics(), *(d.get("/metrics") for d in hoistds)])
    values = dict(re.findall(r"^((?:hoist|marketplace)\S*) (\S+)$", there, re.M))
    names = {re.sub(r"_(bucket|sum|count)$", "", re.match(r"\w+", series)[0]) for series in values}
    named, said = metrics_that_are_named(), set(re.findall(r"^# TYPE (\S+) ", there, re.M))
    of_releases = {name for name in named if name.startswith("hoist_release_")} - {"hoist_release_active"}
    assert len(of_releases) >= 7 and named - said == set()
    assert len(named - of_releases) > 40 and named - of_releases - names == set()
    counters = set(re.findall(r"^# TYPE (\S+) counter$", there, re.M))
    assert {s: v for s, v in values.items() if re.match(r"\w+", s)[0] in counters and not HAPPENED.search(s) and float(v) != 0} == {}
