"""The plan of a release before anything is started: judged, explained, announced."""
import hashlib
import json
import os
import re
import subprocess

import pytest

from hoist import BUILD, TOP, clean_env
from test_json import HEX64, TIME, has

PLAN = TOP / "examples/marketplace/release.yaml"
FLAGS = [TOP / f"examples/marketplace/flags/{env}.json" for env in ("production", "staging")]
FROM = "2026-12-07T08:00:00Z"
PROBLEM = {"path": str, "line": int, "column": int, "message": str, "mend": str}


def changed(lab, old, new, name="plan.yaml"):
    """The plan of the marketplace with one text replaced, in a file of its own."""
    text = PLAN.read_text()
    assert old in text
    return lab.file(name, text.replace(old, new, 1))


# ---------------------------------------------------------------- lint

def test_the_marketplace_s_plan_has_nothing_wrong(lab):
    beside = [word for file in FLAGS for word in ("--flags", file)]
    clean = lab.ok("release", "lint", PLAN, *beside, "--strict")
    has(clean, {"file": str(PLAN), "result": "clean", "release": "marketplace-github-ingestion", "hash": HEX64, "problems": [],
                "warnings": [], "flags": [{"file": str(f), "problems": []} for f in FLAGS]})
    said = lab.flagctl("release", "lint", PLAN)
    assert said.code == 0 and said.out == f"{PLAN}: 0 problems, 0 warnings, plan {clean['hash']}\n"


def test_problems_are_shown_where_they_stand(lab):
    plan = changed(lab, "soak: 4h", "soak: 4")
    line = next(n for n, text in enumerate(plan.read_text().splitlines(), 1) if "soak: 4," in text)
    said = lab.flagctl("release", "lint", plan)
    assert said.code == 2
    place, mend, count = said.out.splitlines()
    assert place == f'{plan}:{line}:29: problem: phases.production.steps[3].soak: "4" has no unit'
    assert "2h30m" in mend and count == f"{plan}: 1 problem, 0 warnings"
    linted = lab.flagctl("release", "lint", plan, "--json")
    has(linted.json, {"result": "problems", "release": None, "hash": None, "problems": list, "warnings": list})
    has(linted.json["problems"][0], {**PROBLEM, "line": line, "column": 29})
    for verb in (["plan", plan], ["announce", plan, "--for", "users"]):
        refused = lab.flagctl("release", *verb)
        assert refused.code == 2 and place in refused.out and "4" in refused.err


def test_warnings_are_for_those_who_want_them(lab):
    plan = changed(lab, "kill_on_alert:", "max_silent: 1 #", "warned.yaml")
    plan.write_text(re.sub(r"^max_silent: 0\n|^  - Marketplace\w+\n", "", plan.read_text(), flags=re.M))
    assert lab.ok("release", "lint", plan)["result"] == "warnings"
    assert lab.flagctl("release", "lint", plan, "--strict").code == 1


def test_flags_that_do_not_fit_are_shown_in_their_own_file(lab):
    flags = json.loads(FLAGS[0].read_text())
    flags["flags"]["marketplace.enabled"]["targeting"] = {"if": [{"var": "beta"}, "on"]}
    del flags["flags"]["marketplace.sync.enabled"]
    file = lab.file("flags.json", json.dumps(flags, indent=2))
    said = lab.flagctl("release", "lint", PLAN, "--flags", file)
    assert said.code == 2 and "2 problems" in said.out
    assert f"{file}:4:" in said.out and "flags.marketplace.enabled: it has a rule" in said.out
    assert "flags.marketplace.sync.enabled: there is no flag" in said.out
    file.write_text("{")
    assert lab.flagctl("release", "lint", PLAN, "--flags", file).code == 2


def test_what_is_asked_wrongly_is_refused(lab):
    for words in (["lint", lab.dir / "none.yaml"], ["lnt", PLAN], ["announce", PLAN], ["announce", PLAN, "--for", "all"],
                  ["plan", PLAN, "--from", "tomorrow"], ["announce", PLAN, "--for", "users", "--from", "tomorrow"], ["lint"]):
        refused = lab.flagctl("release", *words)
        assert refused.code == 2 and refused.err and not refused.out, words


def test_a_plan_may_come_from_standard_input(lab):
    said = lab.flagctl("release", "lint", "-", stdin=PLAN.read_text())
    assert said.code == 0 and said.out.startswith("stdin: 0 problems")


# ---------------------------------------------------------------- queries

def test_promtool_parses_every_query(lab):
    guards = lab.ok("release", "plan", PLAN)["plan"]["guards"]
    assert {g["name"] for g in guards} == {"sync_failure_ratio", "api_error_ratio", "api_p99_against_control", "github_headroom",
                                           "github_secondary_limits", "error_log_rate", "freshness"}
    rules = {"groups": [{"name": "guards", "rules": [{"record": "guard:" + g["name"], "expr": g["query"]} for g in guards]}]}
    file = lab.file("guards.rules.yml", rules)
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_alerts_are_those_that_kill():
    rules = (TOP / "deploy/prometheus/marketplace.rules.yml").read_text()
    kills = [name for name, body in re.findall(r"- alert: (\w+)(.*?)(?=- alert|\Z)", rules, re.S) if "hoist_action: kill" in body]
    named = re.search(r"kill_on_alert:\n((?:  - \w+\n)+)", PLAN.read_text()).group(1).split("\n")
    assert sorted(kills) == sorted(line[4:] for line in named if line)


def test_its_checks_run_what_is_there(lab):
    """Programs of the repository, targets of its Makefile, and what `make deps-check` installs."""
    targets = re.findall(r"^([\w-]+):.*##", (TOP / "Makefile").read_text(), re.M)
    for check in lab.ok("release", "plan", PLAN)["plan"]["checks"]:
        for word in check["run"]:
            if "/" in word and "://" not in word:
                assert (TOP / word).exists(), check
        if check["run"][:1] == ["make"]:
            assert check["run"][1] in targets, check
        elif check["run"]:
            assert check["run"][0] in ("flagctl", "promtool") or os.access(TOP / check["run"][0], os.X_OK), check


# ---------------------------------------------------------------- plan

def test_the_hash_is_made_of_the_canonical_form(lab):
    canonical = lab.flagctl("release", "plan", PLAN, "--canonical").out
    assert hashlib.sha256(canonical.encode()).hexdigest() == lab.ok("release", "lint", PLAN)["hash"]
    plan = json.loads(canonical)
    assert json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == canonical
    assert plan["format"] == "hoist-plan-1" and plan["phases"][3]["steps"][1]["share"] == 1000


def test_a_plan_is_explained_with_nobody_there(lab):
    nobody = "--primary", f"ipc://{lab.dir}/nobody.sock"
    shown = lab.flagctl("release", "plan", PLAN, "--from", FROM, *nobody)
    assert shown.code == 0, shown
    for text in ("DEPLOY-001", "DEPLOY-005", "2026-12-07T12:30Z  50 % of production", "2026-12-08T09:00Z  100 % of production",
                 "Finished 2026-12-11T10:00Z at the earliest", "signature of qa_lead (qadir, quinn): staging checklist passed",
                 "check full_tests: make check", "passes < 3, critical >= 10", "min(timestamp(up{job=\"marketplace\"}) and up{job=\"marketplace\"} == 1)",
                 "flagctl release abort marketplace-github-ingestion -m WHY"):
        assert text in shown.out, text
    assert "nobody is there for all of the watch" not in shown.out
    late = lab.ok("release", "plan", PLAN, "--from", "2026-12-14T08:00:00Z", *nobody)
    has(late, {"covered": False, "from": TIME, "finish": TIME, "hash": HEX64, "environments": [], "rollback": list})


def test_the_commands_of_the_way_back_are_known(lab):
    primary = lab.primary("--env", "production", "--env", "staging")
    for env, file in zip(("production", "staging"), FLAGS):
        lab.ok("import", file, env=env)
    undo = lab.ok("release", "plan", PLAN)["rollback"]
    assert len(undo) == 9
    for command in undo:
        words = command.split()
        assert words[0] == "flagctl"
        if words[1] != "release":
            assert lab.flagctl(*words[1:]).code == 0, command
    assert lab.ok("get", "marketplace.enabled", env="staging")["definition"]["override"] == "off"
    primary.stop()


def test_with_a_primary_it_tells_how_things_stand(lab):
    lab.primary("--env", "production", "--env", "staging")
    lab.agent("--env", "production", name="web1")
    lab.ok("import", FLAGS[0], env="production")
    shown = lab.ok("release", "plan", PLAN)
    staging, production = shown["environments"]
    has(production, {"env": "production", "error": None, "hosts": {"behind": int, "silent": 0}, "flags": list})
    assert production["hosts"]["current"] + production["hosts"]["behind"] >= 1
    assert [f["key"] for f in production["flags"]] == ["marketplace.enabled", "marketplace.github_sources.enabled",
                                                       "marketplace.sync.enabled"]
    assert production["flags"][0]["variant"] == "off" and staging["flags"] == []
    text = lab.flagctl("release", "plan", PLAN).out
    assert re.search(r"production: \d+ hosts current, \d+ behind", text) and "marketplace.enabled  off" in text
    assert "is not there" in text.split("staging:")[1].split("production:")[0]


def test_a_primary_that_was_named_should_answer(lab):
    away = lab.flagctl("release", "plan", PLAN, "--timeout", "300ms", primary="tcp://127.0.0.1:1")
    assert away.code == 7 and "DEPLOY-004" in away.out and "nobody answers" in away.out


@pytest.mark.parametrize("env", ["production", "staging"])
def test_its_rules_are_taken_by_a_primary(lab, env):
    """What each step would set is what `flagctl target` sets, and yields what the plan says."""
    lab.primary("--env", env)
    lab.ok("import", TOP / f"examples/marketplace/flags/{env}.json", env=env)
    plan, steps = PLAN.read_text(), lab.ok("release", "plan", PLAN)["steps"]
    account = {"production": 5, "staging": 1}[env]
    mine = [s for s in steps if s["rules"] and s["phase"] == env]
    assert len(mine) == account and "account_id" in plan
    counts = []
    for step in mine:
        for key, rule in step["rules"].items():
            lab.ok("target", key, "--file", lab.file("rule.json", rule), env=env)
        yields = [lab.ok("eval", "marketplace.enabled", "--context", json.dumps({"account_id": str(n)}), env=env)["value"]
                  for n in range(20)]
        counts.append(sum(yields))
        internal = json.dumps({"account_id": "staff-ana"})
        assert lab.ok("eval", "marketplace.sync.enabled", "--context", internal, env=env)["value"] is True
    assert counts == sorted(counts) and counts[-1] == 20


# ---------------------------------------------------------------- announce

def test_the_message_says_what_when_and_how_to_undo(lab):
    support = lab.flagctl("release", "announce", PLAN, "--for", "support", "--from", FROM)
    assert support.code == 0
    for text in ("# Marketplace listings from GitHub", "| 2026-12-07 09:30 UTC | 1 % |", "## How to undo", "flagctl kill marketplace.enabled",
                 "#marketplace-launch", "| 2026-12-09 08:00 UTC | 2026-12-11 08:00 UTC | omar |"):
        assert text in support.out, text
    users = lab.ok("release", "announce", PLAN, "--for", "users", "--from", FROM)
    has(users, {"release": "marketplace-github-ingestion", "for": "users", "text": str})
    for text in ("# Marketplace listings from GitHub", "| 2026-12-08 09:00 UTC | everybody |", "taken back for everybody within seconds", "#marketplace-launch"):
        assert text in users["text"], text
    assert "flagctl" not in users["text"] and "staff-" not in users["text"]


# ---------------------------------------------------------------- the page

def section():
    return re.search(r"^## The plan file\n(.*?)(?=^## |\Z)", (TOP / "docs/releases.md").read_text(), re.M | re.S).group(1)


def test_the_page_s_commands_work_as_typed(lab):
    commands = [line for block in re.findall(r"^```sh\n(.*?)^```", section(), re.M | re.S) for line in block.splitlines()]
    assert len(commands) >= 3
    for command in commands:
        done = subprocess.run(command.replace("flagctl", str(BUILD.resolve() / "flagctl"), 1), shell=True, cwd=TOP,
                              env=clean_env(HOME=lab.dir), capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout, done.stderr)


@pytest.mark.parametrize("where", ["release:", "  contact:", "{name: team,", "  - name: freshness", "{name: full_tests,",
                                   "{percent: 1,", "    owner: quinn", "    owner: olga", "{from: 2026-12-07T08:00:00Z,"])
def test_the_page_names_every_key(lab, where):
    """What is listed where a key is not known, at each level of a plan."""
    made = where.replace("{", "{zzz: 1, ", 1) if where[0] == "{" else re.sub(r"^( *-? *)", r"\1zzz: 1\n" + " " * len(re.match(r" *-? *", where)[0]), where)
    linted = lab.flagctl("release", "lint", changed(lab, where, made), "--json").json
    mend = next(p["mend"] for p in linted["problems"] if '"zzz" is not known' in p["message"])
    keys = mend.removeprefix("known here: ").split(", ")
    assert len(keys) >= 2
    for key in keys:
        assert re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", section()), key
