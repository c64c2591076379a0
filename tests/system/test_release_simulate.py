"""Releases played without a server: golden timelines, and the same again from their own log."""
import json
import shutil
import subprocess

import pytest

from hoist import BUILD, TOP, clean_env
from test_docs import typed
from test_json import HEX64, TIME, has

GOLDEN = TOP / "tests/golden/release"
PLAN = GOLDEN / "plan.yaml"
SCENARIOS = sorted(f.stem for f in GOLDEN.glob("*.jsonl"))
ENDS = {"completed": 0, "standing": 10, "rolling-back": 10, "not-started": 10, "rolled-back": 11}
BEGIN = '{"begin": "2026-12-07T08:00:00Z"}\n'


def simulate(lab, text, *words, plan=PLAN):
    return lab.flagctl("release", "simulate", plan, "--events", lab.file("scenario.jsonl", text), *words)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_timeline_is_what_it_was_and_its_log_gives_the_same_decisions(lab, name):
    golden, log = (GOLDEN / f"{name}.txt").read_text(), lab.dir / "log.jsonl"
    plan = GOLDEN / f"{name}.yaml"
    plan = plan if plan.exists() else PLAN
    said = lab.flagctl("release", "simulate", plan, "--events", GOLDEN / f"{name}.jsonl", "--save", log)
    assert said.out == golden
    assert said.code == ENDS[golden.splitlines()[-1].split()[0]]
    again = lab.flagctl("release", "simulate", plan, "--events", log, "--save", lab.dir / "again.jsonl")
    assert (again.out, again.code) == (said.out, said.code)
    assert (lab.dir / "again.jsonl").read_text() == log.read_text()


def test_there_are_timelines_of_every_end():
    ends = {(GOLDEN / f"{name}.txt").read_text().splitlines()[-1].split()[0] for name in SCENARIOS}
    assert ends >= {"completed", "standing", "rolled-back"} and len(SCENARIOS) > 10


def test_the_timeline_as_an_object(lab):
    said = lab.flagctl("release", "simulate", PLAN, "--events", GOLDEN / "no_traffic.jsonl", "--json")
    assert said.code == 10
    has(said.json, {"release": "search-index", "hash": HEX64, "result": "standing", "cause": None, "begin": TIME, "end": TIME,
                    "step": 5, "steps": 7, "unused_lines": 0, "moments": list, "waiting": list})
    for moment in said.json["moments"]:
        has(moment, {"time": TIME, "kind": str, "text": str})
    assert said.json["waiting"] == [{"condition": "exposed", "since": said.json["waiting"][0]["since"], "text": "exposed: 0 of 500"}]
    said = lab.flagctl("release", "simulate", PLAN, "--events", GOLDEN / "guard_fails.jsonl", "--json")
    assert said.code == 11 and said.json["result"] == "rolled-back" and said.json["waiting"] == []
    assert said.json["cause"] == "guard errors: FAIL 3 times in a row, at 0.05"


def test_lines_that_do_not_come_to_pass_are_counted(lab):
    said = simulate(lab, BEGIN + '{"at": "step 3", "alert": "SearchErrorRatioHigh"}\n')
    assert said.code == 10
    assert said.out.splitlines()[-1] == "1 line of the scenario did not come to pass"


def test_a_log_of_another_plan_does_not_start(lab):
    log, plan = lab.dir / "log.jsonl", lab.file("plan.yaml", PLAN.read_text().replace("interval: 10s", "interval: 11s"))
    lab.flagctl("release", "simulate", PLAN, "--events", GOLDEN / "alert.jsonl", "--save", log)
    said = lab.flagctl("release", "simulate", plan, "--events", log, "--json")
    assert said.code == 10 and said.json["result"] == "not-started"
    assert said.json["moments"][0] == {"time": "2026-12-07T08:00:00.000Z", "kind": "refused",
                                       "text": "the plan is another than the one that was read"}


@pytest.mark.parametrize("line, wrong", [
    ('{"at": "5m", "guard": "error", "value": 1}', "the plan has no guard 'error'"),
    ('{"at": "5m", "guard": "errors"}', "a guard takes a number as 'value'"),
    ('{"at": "5m", "guard": "errors", "verdict": "FAIL"}', "a guard takes a number as 'value'"),
    ('{"at": "5", "exposed": 1}', "'at' is a duration"),
    ('{"at": "step 9", "exposed": 1}', "the plan has steps 1 to 7"),
    ('{"at": "step 2 + x", "exposed": 1}', "'at' is a duration"),
    ('{"exposed": -1}', "'exposed' is a whole number"),
    ('{"hosts": 3, "env": "prod"}', "the plan has no env 'prod'"),
    ('{"hosts": 3, "by": "ana"}', "'hosts' has no member 'by'"),
    ('{"weather": "fine"}', "it is about nothing that a simulation has"),
    ('{"clock": "soon"}', "'clock': 'soon' is no duration"),
    ('{"event": "tick"}', "'time' is no text"),
    ('{"event": "tock"}', "'event' is none that this program knows"),
    ('{"begin": "2026-12-07T08:00:00Z"}', "'begin' stands first"),
    ("[]", "object"),
    ("{", "line 1"),
])
def test_a_line_that_means_nothing_is_refused_by_its_number(lab, line, wrong):
    said = simulate(lab, f"# a comment\n\n{BEGIN}{line}\n")
    assert said.code == 2 and said.out == ""
    assert "line 4: " in said.err and wrong in said.err
    assert "docs/releases.md" in said.err


def test_a_scenario_is_asked_for(lab):
    said = lab.flagctl("release", "simulate", PLAN)
    assert said.code == 2 and "--events FILE" in said.err
    assert lab.flagctl("release", "simulate", PLAN, "--events", lab.dir / "none").code == 2


def test_events_and_a_world_do_not_mix(lab):
    log = lab.dir / "log.jsonl"
    lab.flagctl("release", "simulate", PLAN, "--events", GOLDEN / "alert.jsonl", "--save", log)
    said = simulate(lab, log.read_text() + '{"exposed": 1}\n')
    assert said.code == 2 and "do not go together" in said.err


@pytest.mark.parametrize("member, value, wrong", [
    ("boot", "xyz", "'boot' is no hex"), ("step", 0.5, "'step' is no whole number"), ("guards", [], "'guards' is no object"),
    ("guards", {"errors": {"verdict": "MAYBE", "value": 1}}, "'errors' is no answer of a guard"),
    ("guards", {"nothing": {"verdict": "PASS", "value": 1}}, "'nothing' is none of the plan's guards"),
    ("fleet", {"moon": {}}, "'moon' is none of the plan's environments"),
    ("fleet", {"staging": {"version": 1, "live": -1, "lagging": 0, "silent": 0}}, "'live' is no whole number"),
])
def test_an_event_with_a_wrong_member_is_refused(lab, member, value, wrong):
    log = lab.dir / "log.jsonl"
    lab.flagctl("release", "simulate", PLAN, "--events", GOLDEN / "alert.jsonl", "--save", log)
    first, tick = log.read_text().splitlines()[:2]
    said = simulate(lab, f"{first}\n{json.dumps(json.loads(tick) | {member: value})}\n")
    assert said.code == 2 and f"line 2: {wrong}" in said.err


def test_the_time_of_the_start_may_be_given_beside_the_scenario(lab):
    said = simulate(lab, '{"exposed": 1}\n', "--from", "2026-12-08T10:00:00Z", "--json")
    assert said.json["begin"] == "2026-12-08T10:00:00.000Z"
    assert simulate(lab, "", "--from", "tomorrow").code == 2


def test_the_page_as_typed(lab):
    shutil.copytree(GOLDEN, lab.dir / "tests/golden/release")
    env, said = clean_env(HOME=lab.dir, PATH=f"{BUILD.resolve()}:/usr/bin:/bin"), []
    for command in typed("docs/releases.md"):
        if " simulate " in command:
            done = subprocess.run(["sh", "-c", command], cwd=lab.dir, env=env, capture_output=True, text=True, timeout=60)
            said.append((done.returncode, done.stdout))
    assert len(said) == 3 and said[0][0] == 11
    assert said == [(11, (GOLDEN / "guard_fails.txt").read_text())] * 3
