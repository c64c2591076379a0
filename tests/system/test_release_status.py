"""What is said of a release: the chain from before its start to its end, silences, checks, what is wrong with its plan."""
import json
import pathlib
import re
import signal
import subprocess

import pytest

from hoist import BUILD, SANITIZED, clean_env, wait_until
from test_release import ENVS, PLAN, Stage, stage  # noqa: F401
from test_top import Alertmanager

pytestmark = pytest.mark.skipif(SANITIZED, reason="libhoist is loaded into Python here")
TASKS = [f"DEPLOY-00{n}" for n in range(1, 6)]


def chain(lab, *words):
    """Task -> (status, evidence), as the table has it; the same of JSON, and its exit code."""
    a = lab.flagctl(*words, "--chain")
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in a.out.splitlines()]
    assert [c.strip() for c in rows[0]] == ["task", "title", "owner", "depends on", "status", "evidence"] and len(rows) == 7, a
    table = {row[0].strip(): (row[4].strip(), row[5].strip()) for row in rows[2:]}
    assert list(table) == TASKS and [row[3].strip() for row in rows[2:]] == ["-", *TASKS[:4]] and all(len(row) == 6 for row in rows)
    said = json.loads(lab.flagctl(*words, "--chain", "--json").out)
    assert [p["task"] for p in said["chain"]] == TASKS and all(p["owner"] for p in said["chain"])
    return table, said, a.code


def test_the_chain_answers_before_the_start_and_at_each_point_after_it(stage, lab):  # noqa: F811
    s = stage(1)
    table, said, code = chain(lab, "release", "plan", s.plan)
    assert code == 0 and said["state"] == "not started" and {state for state, _ in table.values()} == {"not started"}
    assert table["DEPLOY-001"][1] == "waits for check tests; waits for signature of boss: reviewed; waits for signature of qa: tested"
    assert table["DEPLOY-002"][1] == "it has no steps"
    s.start()
    lab.ok("release", "hold", "demo", "-m", "either | or\nnot\x1b[31m", "--author", "olga")
    table, said, code = chain(lab, "release", "status", "demo")
    assert code == 10 and said["state"] == "holding" and [table[t][0] for t in TASKS] == ["holding"] + ["ahead"] * 4
    assert r"waits for olga to resume it: either \| or\nnot\x1b[31m" in table["DEPLOY-001"][1]
    assert "waits for signature of qa: tested (qadir, quinn)" in table["DEPLOY-001"][1]
    for words in (("status", "demo"), ("log", "demo")):
        assert r"or\nnot\x1b[31m" in lab.flagctl("release", *words).out, "nobody steers another's terminal"
    lab.ok("release", "resume", "demo")
    s.sign()
    s.wait("live", 3)
    table, said, code = chain(lab, "release", "status", "demo")
    assert [table[t][0] for t in TASKS[:3]] == ["done"] * 3 and table["DEPLOY-004"][0] in ("moving", "holding")
    assert re.search(r"^step 2 is staging v4 \(20\S+Z\); step 2 soaked 600 ms, with 5 evaluations or more$", table["DEPLOY-003"][1]), table
    lab.ok("release", "abort", "demo", "-m", "it burns", "--author", "olga")
    s.wait_back()
    table, said, code = chain(lab, "release", "status", "demo")
    assert code == 11 and said["state"] == "rolled_back" and [table[t][0] for t in TASKS] == ["done"] * 2 + ["rolled_back"] * 2 + ["ahead"]
    assert re.search(r"^because of olga: it burns; step 3 is production v4 \(20\S+Z\); the baseline is production v5 \(20\S+Z\)$", table["DEPLOY-004"][1]), table
    assert re.search(r"^step 2 is staging v4 \(20\S+Z\); the baseline is staging v5 \(20\S+Z\); step 2 soaked", table["DEPLOY-003"][1]), table
    assert "baseline" not in table["DEPLOY-001"][1] and "qa signed by quinn" in table["DEPLOY-001"][1]
    assert [e["step"] for e in said["chain"][2]["evidence"]] == [2, "baseline"]
    s.to_production()
    s.wait("completed")
    table, said, code = chain(lab, "release", "status", "demo")
    assert code == 0 and [table[t][0] for t in TASKS] == ["done"] * 5
    assert table["DEPLOY-004"][1].endswith("step 3 soaked 600 ms, with 5 evaluations or more; step 4 soaked 600 ms, with 5 evaluations or more")
    assert [p["observed"] for p in said["chain"]][2] == [{"step": 2, "soak_ms": 600, "exposed": 5}]


def test_who_silences_an_alert_that_would_abort_it_is_shown(stage, lab):  # noqa: F811
    s = stage(1)
    s.start()
    assert "silences" not in s.status()
    manager = Alertmanager(lab)
    at = ("--alertmanager", manager.url + "/")
    silence = lambda *matchers: manager.tool("silence", "add", *matchers, "--comment=known\x1b[31m", "--duration=1h", "--author=ana")
    for matchers in (["alertname=Smoking"], ["alertname=~Burn"], ["alertname!=Burning"], ["alertname!~Burn.*", "env=staging"]):
        silence(*matchers)
    status = lambda: json.loads(lab.flagctl("release", "status", "demo", *at, "--json").out)
    assert status()["silences"] == [] and status()["kill_on_alert"] == ["Burning"]
    for matchers in (["alertname=Burning"], ["alertname=~Bur.+", "env=staging"], ["severity=critical"], [r"alertname=~\w+"]):
        silence(*matchers)
    said = {x["matchers"]: x for x in status()["silences"]}
    assert set(said) == {'alertname="Burning"', 'alertname=~"Bur.+", env="staging"', 'severity="critical"', r'alertname=~"\w+"'}
    assert all(x["alerts"] == ["Burning"] and x["by"] == "ana" and x["until"] for x in said.values())
    shown = lab.flagctl("release", "status", "demo", *at).out
    assert re.search(r'silenced Burning until 20\S+Z by ana: known\?\[31m \(alertname="Burning"\)', shown), shown
    for x in said.values():
        manager.tool("silence", "expire", x["id"])
    assert status()["silences"] == []
    lab.all[-1].kill()
    away = lab.flagctl("release", "status", "demo", *at, "--json")
    assert json.loads(away.out)["silences"] is None and "connect" in json.loads(away.out)["silences_error"]
    assert "which alerts are silenced is not known" in lab.flagctl("release", "status", "demo", *at).out


def test_checks_are_one_object(stage, lab):  # noqa: F811
    s = stage(1)
    s.plan = lab.file("plan.yaml", PLAN.replace("check: [tests]", "check: [tests, fails, late]").replace("['false']", "[sh, -c, 'echo broken; exit 3']").replace(
        "checks: [", "checks: [{name: late, run: [sleep, '60'], timeout: 1s}, "))
    s.start()
    check = lambda *words: lab.flagctl("release", "check", "demo", *words, "--commit", "c0ffee", "--json", cwd=lab.dir)
    first = check()
    assert first.code == 4 and first.json["release"] == "demo" and first.json["step"] == 1
    fails, late, tests = first.json["checks"]
    assert (late["passed"], late["exit"], late["said"]) == (False, -1, "it took longer than 1.0 s") and late["duration_ms"] < 20000
    assert (fails["check"], fails["passed"], fails["attested"], fails["exit"], fails["said"]) == ("fails", False, True, 3, "broken\n")
    assert (tests["check"], tests["passed"], tests["exit"]) == ("tests", True, 0) and len(tests["output_sha256"]) == 64
    assert [x["check"] for x in check().json["checks"]] == ["fails", "late"]
    assert check("tests").json["checks"][0]["passed"] and check("nope").code == 3
    assert "production  not changed, baseline v" in lab.flagctl("release", "status", "demo").out
    assert "fails                failed  exit 3" in lab.flagctl("release", "check", "demo", "--commit", "c0ffee", cwd=lab.dir).out


def test_what_is_checked_is_the_commit_of_the_release(stage, lab):  # noqa: F811
    here = lab.dir / "checkout"
    here.mkdir()
    git = lambda *words: subprocess.run(["git", "-c", "user.name=mara", "-c", "user.email=mara@example.com", *words], cwd=here, check=True,
                                        capture_output=True, text=True).stdout.strip()
    commit = lambda what: (here / "what").write_text(what) and [git("add", "."), git("commit", "-qm", what)] and git("rev-parse", "HEAD")
    git("init", "-q")
    shipped, other = commit("shipped"), commit("other")
    s = stage(1)
    lab.ok("release", "start", s.plan, "--commit", shipped, "--author", "mara")
    check = lambda *words, cwd=here: lab.flagctl("release", "check", "demo", *words, cwd=cwd)
    for words in (), ("--commit", shipped), ("--commit", other):
        refused = check(*words)
        assert refused.code == 3 and other[:12] in refused.err and "check the release's commit out" in refused.err, refused
    git("checkout", "-q", shipped)
    (here / "new").write_text("no tracked file")
    (here / "what").write_text("altered")
    for words in (), ("--commit", shipped):
        refused = check(*words)
        assert refused.code == 3 and "M what" in refused.err and "git stash" in refused.err, refused
    assert not s.status()["checks"][0]["passed"]
    git("checkout", "-q", "what")
    assert check("--commit", other).code == 3
    assert check().code == 0 and s.status()["checks"][0]["passed"]
    assert check("tests", "--commit", shipped, cwd=lab.dir).code == 0  # where nothing says another


def test_what_a_check_has_started_ends_with_it_and_with_flagctl(stage, lab):  # noqa: F811
    s = stage(1)
    left = "sleep 300 >/dev/null 2>&1 & echo $! >>pids; "
    s.plan = lab.file("plan.yaml", PLAN.replace("['true']", f"[sh, -c, '{left}']").replace("['false']", f"[sh, -c, '{left} sleep 300']").replace(
        "checks: [", "checks: [{name: silent, run: [sh, -c, 'exec >&- 2>&-; sleep 300'], timeout: 1s}, ").replace(
        "check: [tests]", "check: [tests, fails, silent]"))
    s.start()
    check = ["release", "check", "demo", "--commit", "c0ffee"]
    pids = lambda: [int(pid) for pid in (lab.dir / "pids").read_text().split()] if (lab.dir / "pids").exists() else []
    ended = lambda pid: not pathlib.Path(f"/proc/{pid}").exists() or "zombie" in pathlib.Path(f"/proc/{pid}/status").read_text()
    silent = lab.flagctl(*check[:3], "silent", *check[3:], "--json", cwd=lab.dir)
    assert silent.json["checks"][0]["said"] == "it took longer than 1.0 s" and silent.json["checks"][0]["duration_ms"] < 20000
    assert lab.flagctl(*check[:3], "tests", *check[3:], cwd=lab.dir).code == 0 and len(pids()) == 1
    wait_until(lambda: ended(pids()[0]), what="what it left behind is ended")
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        had = len(pids())
        p = subprocess.Popen([BUILD.resolve() / "flagctl", *check[:3], "fails", *check[3:], "--primary", lab.url], cwd=lab.dir,
                             env=clean_env(HOME=lab.dir), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: len(pids()) > had, what="it runs")
        p.send_signal(number)
        assert p.wait(20) == -number
        wait_until(lambda: ended(pids()[-1]), what=f"it is ended by signal {number}")


def test_a_plan_that_is_refused_is_told_whole(lab):
    lab.primary(*ENVS)
    bad = lab.file("bad.yaml", PLAN.replace("interval: 200ms", "interval: 200").replace("soak: 600ms", "soak: 600").replace("roles: {qa", "rolls: {qa"))
    refused = lab.flagctl("release", "start", bad, "--commit", "c0ffee")
    linted = lab.flagctl("release", "lint", bad, "--json").json["problems"]
    assert refused.code == 2 and len(linted) > 4
    lines = [line for line in refused.err.splitlines() if line.startswith("  line ")]
    assert [line.split(":")[0].split(", ")[:2] for line in lines] == [[f"  line {p['line']}", f"column {p['column']}"] for p in linted]
    assert all(p["message"] in refused.err and p["mend"] in refused.err and p["mend"] for p in linted)
    assert lab.ok("release", "list")["releases"] == []


def test_how_long_it_stood_still_is_counted_by_what_it_waited_for(stage, lab):  # noqa: F811
    s = stage(1)
    s.start()
    held = lambda env="": {reason: float(v) for reason, v in re.findall(
        rf'^hoist_release_hold_seconds_total{{release="demo",env="{env}",reason="(\w+)"}} (\S+)', s.primary.get("/metrics"), re.M)}
    assert set(held()) == {"unheld", "converged", "soak", "exposed", "check", "sign", "window"}
    wait_until(lambda: held()["sign"] > 1 and held()["check"] > 1, what="it waits for people")
    assert held()["unheld"] == held()["converged"] == held()["window"] == 0
    lab.ok("release", "hold", "demo", "-m", "a holiday")
    wait_until(lambda: held()["unheld"] > 0.5, what="it is held")
    lab.ok("release", "resume", "demo")
    s.sign()
    s.wait("live", 3)
    s.prometheus.values["errors_total"] = None
    wait_until(lambda: s.status()["state"] == "holding", what="a guard has no answer")
    before = held("production")
    wait_until(lambda: held("production")["soak"] > before["soak"] + 0.5, what="it stands still for its guards")
    assert held("production")["sign"] == before["sign"]


def test_exit_codes_are_those_of_every_command(stage, lab):  # noqa: F811
    """0 done, 1 no, 2 bad input, 3 conflict, 4 a gate, 7 no answer, 10 stands still, 11 rolled back; each error with code and mend."""
    s = stage(1)
    s.plan = lab.file("plan.yaml", PLAN.replace("check: [tests]", "check: [tests, fails]"))
    bad, of_here = lab.file("bad.yaml", "release: x\n"), ("--commit", "c0ffee")

    def gives(code, verb, *words, **where):
        a = lab.flagctl("release", verb, *words, "--json", cwd=lab.dir, **where)
        assert a.code == code, (verb, words, a)
        if code in (1, 2, 3, 5, 7) and not a.out:
            error = json.loads(a.err)["error"]
            assert error["exit"] == code and error["message"], (verb, error)

    named = ("status", "watch", "log", "report", "check", "sign", "hold", "resume", "abort", "note")
    for verb in named:
        more = ["qa", "--yes"] if verb == "sign" else ["-m", "why"] if verb in ("hold", "abort", "note") else of_here if verb == "check" else []
        gives(1, verb, "demo", *more)
        gives(2, verb)
        if verb != "watch":  # which waits for the primary; what was never sent has changed nothing
            gives(1 if verb in ("hold", "resume", "abort", "note") else 7, verb, "demo", *more, "--timeout", "300ms", primary="tcp://127.0.0.1:1")
    for verb in ("lint", "plan", "guards", "announce", "simulate", "start"):
        gives(2, verb)
        gives(2, verb, "/nonexistent/plan.yaml", *(of_here if verb == "start" else ()))
        gives(2, verb, bad, *(of_here if verb == "start" else ()))
    gives(2, "start", "/dev/null", *of_here)
    bad.write_bytes(b"release: caf\xe9\n")
    gives(2, "start", bad, *of_here)
    gives(2, "lanch", s.plan)
    gives(0, "lint", s.plan)
    gives(0, "lint", s.plan, "--strict")
    gives(1, "lint", lab.file("odd.yaml", s.plan.read_text().replace("kill_on_alert: [Burning]\n", "")), "--strict")
    gives(0, "plan", s.plan)
    gives(0, "announce", s.plan, "--for", "users")
    gives(0, "guards", s.plan, "--prometheus", s.prometheus.url)
    gives(4, "guards", s.plan, "--prometheus", "http://127.0.0.1:1")
    gives(0, "list")
    gives(0, "start", s.plan, *of_here, "--author", "mara")
    gives(3, "start", s.plan, *of_here)
    gives(0, "hold", "demo", "-m", "why")
    gives(10, "status", "demo")
    gives(3, "hold", "demo", "-m", "why")
    gives(2, "note", "demo")
    gives(0, "note", "demo", "-m", "seen")
    gives(3, "check", "demo", "--commit", "beef")
    gives(4, "check", "demo", *of_here)
    gives(0, "check", "demo", "tests", *of_here)
    gives(3, "sign", "demo", "cook", "--yes")
    gives(3, "sign", "demo", "qa", "--yes", "--author", "rita")
    gives(2, "sign", "demo", "qa", "--author", "quinn")  # nobody is there to be asked
    gives(0, "sign", "demo", "qa", "--yes", "--author", "quinn")
    gives(3, "sign", "demo", "qa", "--yes", "--author", "qadir")
    gives(0, "resume", "demo")
    gives(3, "resume", "demo")
    gives(0, "log", "demo")
    gives(0, "report", "demo")
    gives(0, "abort", "demo", "-m", "why")
    s.wait("rolled_back")
    for verb in ("status", "watch"):
        gives(11, verb, "demo")
    gives(3, "abort", "demo", "-m", "why")


def test_its_flags_are_its_own_by_every_verb(stage, lab):  # noqa: F811
    s = stage(1)
    s.to_production()
    file = lab.file("flags.json", {"flags": {"a.enabled": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}}})
    staging, production = ("--env", "staging"), ("--env", "production")
    for words in (("set", "a.enabled", "on", "--everyone", *production), ("set", "a.enabled", "on", "--default", *staging), ("apply", file, "--yes", *staging),
                  ("target", "a.enabled", "--file", lab.file("rule.json", {"if": [True, "on"]}), *production), ("target", "b.enabled", "--clear", *production),
                  ("import", file, *production), ("delete", "b.enabled", *staging), ("promote", "staging", "production", "a.enabled", "--yes")):
        a = lab.flagctl(*words)
        assert a.code == 3 and "release demo" in a.err and "release abort demo" in a.err, (words, a)
    for words in (("kill", "a.enabled", *staging), ("restore", "a.enabled", *staging)):
        assert lab.flagctl(*words).code == 0, words
    lab.ok("release", "abort", "demo", "-m", "enough")
    s.wait_back()
    assert lab.flagctl("set", "a.enabled", "on", "--everyone", *staging).code == 0


def test_whom_it_waits_for_is_named(stage, lab):  # noqa: F811
    """Not who cannot sign: the plan's author, who started it, who has signed for another role."""
    s = stage(1)
    s.plan = lab.file("plan.yaml", PLAN.replace("qa: [quinn, qadir], boss: [rita]", "qa: [quinn, mara, sam, rita], boss: [rita, quinn]"))
    lab.ok("release", "start", s.plan, "--commit", "c0ffee", "--author", "sam")
    whom = lambda: {w["text"].split(":")[0]: w["people"] for w in s.status()["waiting"] if w["condition"] == "sign"}
    assert whom() == {"signature of qa": ["quinn", "rita"], "signature of boss": ["quinn", "rita"]}
    assert re.search(r"waits for sign +signature of boss: reviewed \(quinn, rita\) +\d", lab.flagctl("release", "status", "demo").out)
    lab.ok("release", "sign", "demo", "qa", "--yes", "--author", "quinn")
    assert whom() == {"signature of boss": ["rita"]}
    assert all("people" not in w for w in s.status()["waiting"] if w["condition"] != "sign")
