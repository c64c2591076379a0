"""Who changed what, undo it, stop it: history, rollback, kill, audit, as typed."""
import json

from hoist import wait_until
from test_change import read
from test_json import CHANGED, HEX64, TIME, has

ON_OFF = {"state": "ENABLED", "variants": {"on": True, "off": False}}


def test_a_bad_change_is_noticed_undone_and_gone_on_every_host(lab):
    primary = lab.primary()
    agents = [lab.agent(name=f"host{i}") for i in range(2)]
    lab.ok("set", "sync.enabled", "on", "--author", "ana")
    good = lab.wait_equal(primary, *agents)
    before = lab.export(primary.store)
    lab.ok("import", lab.file("bad.json", {"flags": {k: {**ON_OFF, "defaultVariant": "off"} for k in ("sync.enabled", "other")}}),
           "-m", "clean up", "--author", "bob")
    lab.wait_equal(primary, *agents)
    shown = lab.flagctl("rollback", "--last")
    assert shown.code == 0
    for part in ("undoes v3 by bob", "clean up", "~ sync.enabled", "- other", "changed: production v4"):
        assert part in shown.out, shown
    lab.wait_equal(primary, *agents)
    assert lab.export(agents[0].store) == before
    assert lab.ok("diff", good, 4)["edits"] == []
    assert lab.flagctl("diff", "v2", "v3").code == 1
    history = lab.ok("history", "sync.enabled")["changes"]
    assert [(c["version"], c["kind"], c["author"]) for c in history][1:] == [(3, "apply", "bob"), (2, "set", "ana")]


def test_a_kill_reaches_every_host_and_outlives_a_rollback(lab):
    primary = lab.primary()
    agents = [lab.agent(name=f"host{i}") for i in range(2)]
    lab.ok("set", "a", "on")
    lab.ok("set", "b", "on")
    lab.wait_equal(primary, *agents)
    killed = lab.ok("kill", "a", "b", "-m", "it burns")
    has(killed, {**CHANGED, "result": "changed", "changed": ["a", "b"], "lane": "fast"})
    lab.wait_equal(primary, *agents)
    for agent in agents:
        assert "false" in read(agent.store, "a")
        assert lab.flagctl("is", "a", store=agent.store).code == 1
    kept = lab.ok("set", "a", "on")
    assert kept["override_kept"] in ([], ["a"]) and lab.flagctl("is", "a").code == 1
    assert lab.ok("rollback", "--to", "2")["left"] == ["b"]
    assert lab.flagctl("is", "b").code == 1
    lab.ok("restore", "a", "b")
    lab.wait_equal(primary, *agents)
    assert lab.flagctl("is", "b", store=agents[0].store).code == 0
    assert lab.flagctl("kill", "nobody").code == 1


def test_a_rollback_that_finds_flags_as_they_were_leaves_stores_equal_and_sound(lab):
    primary, agent = lab.primary(), lab.agent(name="host0")
    lab.ok("set", "a", "off")  # v2
    lab.ok("set", "a", "on")
    lab.ok("set", "a", "off")
    lab.ok("set", "gone", "on")
    lab.ok("delete", "gone")
    lab.ok("set", "b", "on")  # v7
    shown = lab.flagctl("rollback", "--to", "2")
    assert shown.code == 0 and "- b" in shown.out and "gone" not in shown.out.replace("set gone", ""), shown
    logged = lab.flagctl("show", "8")
    assert "  = a\n  - b\n  = gone\n" in logged.out, logged
    assert [e.get("same") for e in lab.ok("show", "8")["edits"]] == [True, None, True]
    lab.wait_equal(primary, agent)
    assert lab.ok("rollback", "--last")["deleted"] == ["a"]
    lab.wait_equal(primary, agent)
    for host in (primary, agent):
        assert lab.flagctl("fsck", store=host.store).code == 0


def test_answers_of_the_new_verbs_as_json(lab):
    lab.primary()
    lab.ok("set", "k", "on", "--author", "ana", "-m", "why")
    lab.ok("set", "k", "off", "--author", "ana")
    change = {"version": int, "time": TIME, "author": "ana", "message": str, "kind": "set", "hash": HEX64, "prev": HEX64, "edits": list}
    has(lab.ok("show", 2), {**change, "env": "production", "version": 2, "message": "why"})
    has(lab.ok("history", "k")["changes"][0], change)
    has(json.loads(lab.flagctl("diff", 2, 3, "--json").out), {"env": "production", "from": 2, "to": 3, "edits_count": 1, "edits": list})
    rolled = lab.ok("rollback", "--last")
    has(rolled, {**CHANGED, "result": "changed", "changed": ["k"], "restores": 2, "undone_count": 1, "left": []})
    has(rolled["undone"][0], {"version": 3, "author": "ana", "time": TIME, "message": "", "kind": "set"})
    has(rolled["edits"][0], {"key": "k", "before": dict, "after": dict})
    assert lab.ok("get", "k", "--at", 3)["variant"] == "off" and lab.ok("get", "k")["variant"] == "on"
    assert [c["version"] for c in lab.ok("log", "--flag", "k", "--since", "1h")["changes"]] == [4, 3, 2]
    assert [c["version"] for c in lab.ok("log", "--author", "ana", "--since", "3")["changes"]] == [3]
    wrong = lab.flagctl("log", "--since", "yesterday", "--json")
    assert wrong.code == 2 and wrong.error["mend"]


def test_a_file_is_compared_with_the_environment(lab):
    lab.primary()
    same = lab.file("same.json", {"flags": {"k": {**ON_OFF, "defaultVariant": "on"}}})
    lab.ok("import", same)
    lab.ok("set", "extra", "on")
    assert lab.flagctl("diff", same).code == 0
    pruned = lab.flagctl("diff", same, "--prune", "--json")
    assert pruned.code == 1 and [e["key"] for e in pruned.json["edits"]] == ["extra"]
    other = lab.file("other.json", {"flags": {"k": {**ON_OFF, "defaultVariant": "off"}}})
    shown = lab.flagctl("diff", other)
    assert shown.code == 1 and "~ k" in shown.out
    assert lab.ok("log")["head"] == 3  # nothing was changed
    assert lab.flagctl("diff", lab.file("bad.json", "{")).code == 2


def test_the_exported_log_is_verified_anywhere(lab):
    primary = lab.primary()
    agent = lab.agent()
    for n in range(5):
        lab.ok("set", "k", n, "--type", "number")
    lab.wait_equal(primary, agent)
    assert lab.ok("audit", "verify") == {"env": "production", "ok": True, "first": 1, "last": 6, "changes": 6, "proved": 0}
    wait_until(lambda: lab.flagctl("audit", "verify", "--store", agent.store).code == 0)
    lines = lab.flagctl("audit", "export").out.splitlines()
    assert [json.loads(line)["version"] for line in lines] == [1, 2, 3, 4, 5, 6]
    kept = lab.file("audit.jsonl", "\n".join(lines) + "\n")
    assert lab.flagctl("audit", "verify", kept).code == 0
    assert lab.flagctl("audit", "verify", "-", stdin="\n".join(lines[1:])).code == 0  # an older part may be missing
    for n, broken in ((4, [*lines[:3], *lines[4:]]),                                    # one left out
                      (3, [*lines[:2], lines[2].replace('"change":"93', '"change":"92'), *lines[3:]]),  # bytes altered
                      (3, [*lines[:2], "no JSON", *lines[3:]])):
        verdict = lab.flagctl("audit", "verify", lab.file("broken.jsonl", "\n".join(broken) + "\n"), "--json")
        assert verdict.code == 1 and verdict.json["ok"] is False and verdict.json["broken"]["version"] in (n, n + 1), verdict
    assert lab.flagctl("audit", "verify", lab.file("empty.jsonl", "")).code == 2


def test_a_flag_is_promoted_and_keeps_what_is_the_targets(lab):
    primary = lab.primary("--env", "staging", "--env", "production")
    agent = lab.agent("--env", "production")
    lab.ok("set", "a", "on", env="staging")
    lab.ok("set", "b", "on", env="staging")
    asked = lab.flagctl("promote", "staging", "production")
    assert asked.code == 2 and "--yes" in asked.err  # nobody is there to be asked
    assert lab.flagctl("env", "diff", "production", "staging").code == 1
    done = lab.ok("promote", "staging", "production", "a", "--yes", "-m", "go")
    has(done, {**CHANGED, "result": "changed", "created": ["a"], "from": "staging", "percentages_kept": []})
    lab.wait_equal(primary, agent)
    assert lab.flagctl("is", "a", store=agent.store).code == 0
    assert [e["key"] for e in lab.ok("promote", "staging", "production", "--dry-run")["edits"]] == ["b"]
    lab.ok("promote", "staging", "production", "--yes")
    same = lab.flagctl("env", "diff", "production", "staging")
    assert same.code == 0 and "no difference" in same.out
    assert lab.ok("log", env="production")["changes"][0]["kind"] == "promote"


def test_a_protected_environment_wants_care_and_lets_the_fast_lane_through(lab):
    lab.primary()
    lab.ok("set", "k", "on")
    lab.ok("env", "set", "production", "--protected", "on", "--metadata", "owner=ana")
    shown = lab.ok("env", "show", "production")
    has(shown, {"env": "production", "version": 2, "protected": True, "metadata": {"owner": "ana"}, "first": 1, "digest": HEX64})
    assert "owner: \"ana\"" in lab.flagctl("env", "show", "production").out and "protected" in lab.flagctl("env", "list").out
    refused = lab.flagctl("set", "k", "off", "--json")
    assert refused.code == 2 and "-m" in refused.error["mend"]
    lab.ok("set", "k", "off", "-m", "why")  # flagctl names the version by itself
    assert lab.flagctl("set", "k", "on", "-m", "why", "--if-version", "2").code == 3
    assert "--create" in lab.flagctl("set", "new", "on", "-m", "why").err
    lab.ok("set", "new", "on", "-m", "why", "--create")
    lab.ok("kill", "k")
    lab.ok("restore", "k")
    lab.ok("rollback", "--last")
    for words in ([], ["--protected", "maybe"], ["--metadata", "nothing"]):
        assert lab.flagctl("env", "set", "production", *words).code == 2
    lab.ok("env", "set", "production", "--protected", "off", "--metadata", "owner=")
    assert lab.ok("env", "show", "production")["metadata"] == {}
    lab.ok("set", "k", "on")
