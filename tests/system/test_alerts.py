"""The rules of deploy/prometheus: each alert tried, with a page that tells what to do, on metrics that are there."""
import re
import subprocess

import pytest

from hoist import TOP
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


def test_every_metric_of_the_rules_is_there_from_the_start(lab):
    site = Site(lab)
    agent = lab.agent()
    there = site.service.metrics() + site.primary.get("/metrics") + agent.get("/metrics")
    names = set(re.findall(r"^(\w+?)(?:_bucket|_sum|_count)?[{ ]", there, re.M))
    text = "".join(f.read_text() for f in RULES)
    used = set(re.findall(r"(?<![:\w])((?:hoist|marketplace)_\w+?)(?:_bucket|_count)?[{\[)\s]", text))
    used -= {"hoist_action"}
    assert len(used) > 15 and used - names == set()
