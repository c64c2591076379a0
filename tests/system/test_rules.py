"""Rules from the command line: shares of the traffic, targeting from a file, files judged without a primary."""
import contextlib
import json
import os
import pty
import subprocess

from hoist import BUILD, TOP, clean_env

ON_OFF = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
RULE = {"if": [{"==": [{"var": "plan"}, "pro"]}, "on"]}


def targeting(lab, key):
    return lab.ok("get", key)["definition"].get("targeting")


def default(lab, key, **kwargs):
    return lab.ok("get", key, **kwargs)["definition"]["defaultVariant"]


# ---------------------------------------------------------------- set --percent

def test_a_rollout_from_its_first_user_to_its_last(lab):
    lab.primary()
    begun = lab.ok("set", "sync", "on", "--percent", "0.1")
    assert begun["created"] == ["sync"]
    assert targeting(lab, "sync") == {"fractional": [["on", 1], ["off", 999]]}
    assert lab.ok("set", "sync", "on", "--percent", "0.10")["result"] == "unchanged"
    assert lab.ok("set", "sync", "on", "--percent", "25", "--by", "userId")["version"] == begun["version"] + 1
    by = {"cat": [{"var": "$flagd.flagKey"}, {"var": "userId"}]}
    assert targeting(lab, "sync") == {"fractional": [by, ["on", 25], ["off", 75]]}
    lab.ok("set", "sync", "on", "--percent", "50")
    assert targeting(lab, "sync") == {"fractional": [by, ["on", 50], ["off", 50]]}
    assert default(lab, "sync") == "off"
    lab.ok("set", "sync", "on", "--percent", "100")
    assert default(lab, "sync") == "on"  # who has no userId, too
    lab.ok("set", "sync", "off", "--percent", "100")
    assert targeting(lab, "sync") == {"fractional": [by, ["on", 0], ["off", 100]]} and default(lab, "sync") == "off"
    lab.ok("set", "sync", "on", "--everyone")
    assert targeting(lab, "sync") is None


def test_a_rollout_to_some_and_beside_some(lab):
    lab.primary()
    lab.ok("set", "k", "on", "--percent", "10", "--if", "email ends_with @example.com")
    internal = {"ends_with": [{"var": "email"}, "@example.com"]}
    assert targeting(lab, "k") == {"if": [internal, {"fractional": [["on", 10], ["off", 90]]}, "off"]}
    lab.ok("set", "k", "on", "--percent", "20")
    assert targeting(lab, "k")["if"][0] == internal
    lab.ok("set", "k", "on", "--percent", "20", "--also", json.dumps(internal))
    assert targeting(lab, "k") == {"if": [internal, "on", {"fractional": [["on", 20], ["off", 80]]}]}


def test_what_a_rollout_yields(lab):
    lab.primary()
    lab.ok("set", "k", "on", "--percent", "0", "--also", "email ends_with @example.com")
    ours, other = '{"email": "ana@example.com"}', '{"email": "eve@example.org", "targetingKey": "eve"}'
    assert lab.ok("eval", "k", "--context", ours)["value"] is True and lab.ok("eval", "k", "--context", other)["value"] is False
    lab.ok("set", "k", "on", "--percent", "100")
    assert lab.ok("eval", "k", "--context", other)["value"] is True and lab.flagctl("is", "k").code == 0
    lab.ok("set", "k", "on", "--percent", "100", "--if", "version sem_ver >= 2.1.0")
    old, new = '{"version": "2.0.9", "targetingKey": "a"}', '{"version": "2.10.0", "targetingKey": "a"}'
    assert lab.ok("eval", "k", "--context", new)["value"] is True and lab.ok("eval", "k", "--context", old)["value"] is False
    lab.ok("target", "k", "--file", lab.file("rule.json", RULE))
    assert lab.ok("eval", "k", "--context", '{"plan": "pro"}')["value"] is True


def test_set_says_which_rule_the_flag_has(lab):
    lab.primary()
    lab.ok("set", "k", "on", "--percent", "10", "--if", "plan = pro")
    moved = lab.ok("set", "k", "on", "--percent", "20")
    assert moved["targeting"] == targeting(lab, "k") and moved["targeting"]["if"][0] == {"==": [{"var": "plan"}, "pro"]}
    shown = lab.flagctl("set", "k", "on", "--default")
    assert shown.code == 0 and 'its rule, which decides before the default: {"if":[{"==":' in shown.out
    assert "targeting" not in lab.ok("set", "k", "on", "--everyone")


def test_a_rule_of_somebodys_hand_is_not_overwritten(lab):
    lab.primary()
    lab.ok("import", lab.file("t.json", {"flags": {"t": {**ON_OFF, "targeting": RULE}}}))
    refused = lab.flagctl("set", "t", "on", "--percent", "10")
    assert refused.code == 2
    for way in ("flagctl set t on --percent 10 --everyone", "flagctl target t --file", "flagctl kill t"):
        assert way in refused.err
    assert targeting(lab, "t") == RULE
    lab.ok("set", "t", "on", "--percent", "10", "--everyone")
    assert targeting(lab, "t") == {"fractional": [["on", 10], ["off", 90]]}


def test_what_is_no_percentage_or_condition_is_bad_input(lab):
    lab.primary()
    before = lab.head()["version"]
    for words, said in ((["--percent", "101"], "percentage"), (["--percent", "-1"], "percentage"), (["--percent", "x"], "percentage"),
                        (["--percent", "1", "--if", "plan=pro"], "spaces"), (["--percent", "1", "--if", '{"nope": 1}'], "nope"),
                        (["--by", "userId"], "--percent"), (["--percent", "1", "--if", "a = 1", "--also", "a = 2"], "exclude")):
        wrong = lab.flagctl("set", "k", "on", *words, "--json")
        assert wrong.code == 2 and said in wrong.err and wrong.error["mend"], (words, wrong)
    assert lab.head()["version"] == before


def test_a_promotion_keeps_how_far_a_rollout_has_come(lab):
    lab.primary("--env", "production", "--env", "staging")
    lab.ok("set", "k", "on", "--percent", "10", env="production")
    lab.ok("set", "k", "on", "--percent", "100", env="staging")
    done = lab.ok("promote", "staging", "production", "--yes")
    assert done["result"] == "unchanged" and done["percentages_kept"] == ["k"]
    lab.ok("promote", "staging", "production", "--yes", "--with-percentages")
    assert default(lab, "k", env="production") == "on"


# ---------------------------------------------------------------- target

def test_target_puts_a_rule_from_a_file(lab):
    lab.primary()
    lab.ok("set", "t", "off")
    done = lab.ok("target", "t", "--file", lab.file("rule.json", RULE))
    assert done["changed"] == ["t"] and targeting(lab, "t") == RULE and default(lab, "t") == "off"
    assert lab.ok("target", "t", "--file", lab.dir / "rule.json")["result"] == "unchanged"
    named = {"targeting": {"if": [{"$ref": "internal"}, "on"]}, "$evaluators": {"internal": {"ends_with": [{"var": "email"}, "@example.com"]}}}
    assert lab.flagctl("target", "t", "--file", "-", stdin=json.dumps(named)).code == 0
    assert json.loads(lab.flagctl("export").out)["$evaluators"] == named["$evaluators"]
    assert lab.ok("target", "t", "--clear", "--dry-run")["result"] == "dry-run" and targeting(lab, "t")
    lab.ok("target", "t", "--clear")
    assert targeting(lab, "t") is None
    assert lab.ok("log", "--limit", "1")["changes"][0]["kind"] == "set"


def test_target_refuses_what_is_no_rule(lab):
    lab.primary()
    lab.ok("set", "t", "off")
    for content, place, said in (('{"sem_verr": []}', "sem_verr", '\\"sem_ver\\"'), ("{", "line 1", "not JSON"), ('{"flags": {}}', "flags", "apply"),
                                 ('{"if": [{"$ref": "nobody"}, "on"]}', "if[0].$ref", "nobody")):
        wrong = lab.flagctl("target", "t", "--file", lab.file("rule.json", content), "--json")
        assert wrong.code == 2 and place in wrong.error["problems"][0]["path"] and said in wrong.err, (content, wrong)
    for words in ([], ["--clear", "--file", "x"], ["--file", lab.dir / "none"]):
        assert lab.flagctl("target", "t", *words).code == 2
    assert lab.flagctl("target", "nobody", "--clear").code == 1
    (lab.dir / "rule.json").write_bytes(b'{"var": "a\xff"}')
    assert "UTF-8" in lab.flagctl("target", "t", "--file", lab.dir / "rule.json").err


# ---------------------------------------------------------------- lint

def test_lint_asks_nobody_and_names_every_place(lab):
    good = lab.file("good.json", {"flags": {"k": ON_OFF}})
    clean = lab.ok("lint", good)
    assert clean == {"file": str(good), "result": "clean", "flags": 1, "problems": [], "warnings": []}
    odd = json.dumps({"flags": {"k": {**ON_OFF, "targeting": {"if": [True, "on", {"var": "Plan"}, "off"]}},
                                "l": {**ON_OFF, "targeting": {"if": [{"==": [{"var": "plan"}, 1]}, "on"]}}}}, indent=1)
    path = lab.file("odd.json", odd)
    found = lab.ok("lint", path)
    at = [(w["path"], odd.splitlines()[w["line"] - 1][w["column"] - 1:]) for w in found["warnings"]]
    assert found["result"] == "warnings" and at == [("flags.k.targeting", '"targeting": {'), ("flags.k.targeting.if[0]", "true,"),
                                                    ("flags.l.targeting.if[0].==[0].var", '"var": "plan"')]
    assert all(w["mend"] and w["message"] for w in found["warnings"])
    assert lab.flagctl("lint", path).code == 0 and lab.flagctl("lint", path, "--strict").code == 1
    assert lab.flagctl("lint", good, "--strict").code == 0
    shown = lab.flagctl("lint", path).out
    assert f"{path}:12:6: warning: flags.k.targeting.if[0]: the condition is always true" in shown
    assert "0 problems, 3 warnings, 2 flags" in shown


def test_lint_of_a_bad_file_has_problems_and_warnings(lab):
    bad = {"flags": {"bad": {**ON_OFF, "state": "MAYBE"}, "a b": ON_OFF}}
    path = lab.file("bad.json", json.dumps(bad, indent=1))
    wrong = lab.flagctl("lint", path, "--json")
    assert wrong.code == 2 and wrong.json["result"] == "problems" and wrong.json["flags"] == 1
    assert [p["path"] for p in wrong.json["problems"]] == ["flags.bad.state"] and len(wrong.json["warnings"]) == 1
    assert f"{path}:4:4: problem: flags.bad.state" in lab.flagctl("lint", path).out
    syntax = lab.flagctl("lint", "-", stdin='{"flags":\n {"a": }}')
    assert syntax.code == 2 and syntax.out.startswith("stdin:2:") and "not JSON" in syntax.out
    (lab.dir / "bytes.json").write_bytes(b'{"flags": {"a\xff": 1}}\0')
    assert lab.flagctl("lint", lab.dir / "bytes.json").code == 2
    assert lab.flagctl("lint", lab.dir / "none.json", "--json").error["exit"] == 2


# ---------------------------------------------------------------- diff and apply

def on_a_terminal(lab, *words, answer="", **variables):
    """flagctl with a terminal on all three, which is told `answer`."""
    parent, child = pty.openpty()
    p = subprocess.Popen([BUILD / "flagctl", *map(str, words)], stdin=child, stdout=child, stderr=child,
                         env=clean_env(HOIST_PRIMARY=lab.url, TERM="dumb", **variables))
    os.close(child)
    if answer:
        os.write(parent, answer.encode())
    text = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(parent, 4096):
            text += piece
    os.close(parent)
    return p.wait(20), text.decode().replace("\r\n", "\n")


def test_apply_shows_the_difference_and_asks(lab):
    lab.primary()
    lab.ok("set", "old", "on")
    lab.ok("set", "k", "on", "--percent", "10")
    path = lab.file("flags.json", {"flags": {"k": {**ON_OFF, "targeting": {"fractional": [["on", 20], ["off", 80]]}}, "new": ON_OFF}})
    before = lab.head()["version"]
    assert "--yes" in lab.flagctl("apply", path).err and lab.flagctl("apply", path).code == 2
    code, shown = on_a_terminal(lab, "apply", path, "--prune", answer="n\n")
    assert code == 1 and "nothing was changed" in shown and lab.head()["version"] == before
    for line in ('  ~ k\n      - targeting: {"fractional":[["on",10],["off",90]]}\n      + targeting: {"fractional":[["on",20],["off",80]]}\n',
                 "  + new\n", "  - old\n", "1 to create, 1 to change, 1 to delete in production; do it?"):
        assert line in shown, shown
    assert "variants" not in shown.split("~ k")[1].split("+ new")[0]  # what is the same is not shown
    dry = lab.flagctl("apply", path, "--prune", "--dry-run")
    assert dry.code == 0 and "+ targeting:" in dry.out and "dry-run" in dry.out and lab.head()["version"] == before
    assert lab.flagctl("diff", path, "--prune").code == 1
    code, shown = on_a_terminal(lab, "apply", path, "--prune", answer="y\n")
    assert code == 0 and lab.head()["version"] == before + 1
    assert [c["kind"] for c in lab.ok("log", "--limit", "1")["changes"]] == ["apply"]
    assert lab.flagctl("diff", path, "--prune").code == 0
    code, shown = on_a_terminal(lab, "apply", path, "--prune")
    assert code == 0 and "unchanged" in shown and "do it?" not in shown


def test_what_an_environment_exports_is_no_difference_to_it(lab):
    lab.primary()
    lab.ok("import", lab.file("t.json", {"flags": {"t": {**ON_OFF, "targeting": {"if": [{"$ref": "e"}, "on"]}, "metadata": {"a": 1}},
                                                   "s": {**ON_OFF, "requires": {"flags": {"t": "on"}, "otherwise": "off"}}},
                                         "$evaluators": {"e": {"var": "beta"}}, "metadata": {"owner": "ana"}}))
    lab.ok("kill", "t")
    exported = lab.file("export.json", lab.flagctl("export").out)
    assert lab.flagctl("diff", exported, "--prune").code == 0
    assert lab.ok("apply", exported, "--yes", "--prune")["result"] == "unchanged"
    assert lab.ok("lint", exported)["result"] == "clean"


def test_apply_is_one_change_or_none(lab):
    lab.primary()
    before = lab.head()["version"]
    path = lab.file("flags.json", {"flags": {"a": ON_OFF, "b": {**ON_OFF, "requires": {"flags": {"nobody": "on"}, "otherwise": "off"}}}})
    refused = lab.flagctl("apply", path, "--yes")
    assert refused.code == 2 and "nobody" in refused.err and lab.head()["version"] == before
    many = lab.file("many.json", {"flags": {f"f{i}": ON_OFF for i in range(50)}})
    assert lab.ok("apply", many, "--yes")["version"] == before + 1


# ---------------------------------------------------------------- requires

def test_a_flag_that_another_requires_stays(lab):
    lab.primary()
    lab.ok("import", lab.file("f.json", {"flags": {"base": ON_OFF, "upper": {**ON_OFF, "requires": {"flags": {"base": "on"}, "otherwise": "off"}}}}))
    refused = lab.flagctl("delete", "base", "--json")
    assert refused.code == 2 and "'upper'" in refused.error["message"] and "flagctl delete upper" in refused.error["mend"]
    pruned = lab.flagctl("import", lab.file("g.json", {"flags": {"upper": lab.ok("get", "upper")["definition"]}}), "--prune", "--json")
    assert pruned.code == 2 and "'upper'" in pruned.error["message"]
    circle = lab.flagctl("import", lab.file("h.json", {"flags": {"base": {**ON_OFF, "requires": {"flags": {"upper": "on"}, "otherwise": "off"}}}}), "--json")
    assert circle.code == 2 and "'base' requires 'upper' requires 'base'" in circle.error["message"] and circle.error["mend"]
    lab.ok("delete", "upper")
    lab.ok("delete", "base")


def test_the_marketplace_flags_hang_on_one(lab):
    lab.primary()
    path = TOP / "examples/marketplace/flags/production.json"
    assert lab.ok("lint", path)["result"] == "clean"
    lab.ok("import", path)
    lab.ok("set", "marketplace.sync.enabled", "on")
    assert lab.ok("eval", "marketplace.sync.enabled")["value"] is False  # nothing without the marketplace
    lab.ok("set", "marketplace.enabled", "on")
    assert lab.ok("eval", "marketplace.sync.enabled")["value"] is True
    refused = lab.flagctl("delete", "marketplace.enabled")
    assert refused.code == 2 and "'marketplace.github_sources.enabled', 'marketplace.sync.enabled'" in refused.err
