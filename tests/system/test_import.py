"""A file with anything wrong in it is refused whole, every problem named, and nothing changed."""
import json

import pytest


def flag(**over):
    return {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off", **over}


def text(**flags):
    return json.dumps({"flags": flags})


BAD = {
    "an empty file": ("", []),
    "not JSON": ("{flags: nope", []),
    "not an object": ("[1, 2]", []),
    "no flags": ("{}", ["flags"]),
    "wrong types": ('{"flags": {"a": 5, "b": {"state": 1, "variants": []}}}', ["flags.a", "flags.b"]),
    "mixed variant types": (text(m=flag(variants={"on": True, "off": "no"})), ["flags.m.variants"]),
    "a default that is no variant": (text(d=flag(defaultVariant="maybe")), ["flags.d.defaultVariant"]),
    "a key that is too long": (text(**{"k" * 256: flag()}), ["flags."]),
    "a key with control characters": (text(**{"a\u0007b": flag()}), ["flags."]),
    "an integer that would be rounded": ('{"flags": {"n": {"state": "ENABLED", "variants": {"v": 9007199254740993}, "defaultVariant": "v"}}}',
                                         ["flags.n.variants.v"]),
    "a key twice": ('{"flags": {"a": %s, "a": %s}}' % ((json.dumps(flag()),) * 2), ["a"]),
    "a flag of 300 KiB": (text(big=flag(variants={"on": "x" * 300 * 1024}, defaultVariant="on")), ["flags.big"]),
    "1,025 variants": (text(many=flag(variants={f"v{i}": i for i in range(1025)}, defaultVariant="v1")), ["flags.many"]),
    "an unknown operator": (text(o=flag(targeting={"frobnicate": [1]})), ["flags.o.targeting"]),
    "an unknown $ref": (text(r=flag(targeting={"if": [{"$ref": "nobody"}, "on"]})), ["flags.r.targeting"]),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_whole(lab, name):
    lab.primary()
    before = lab.ok("set", "kept", "on")["version"]
    content, places = BAD[name]
    path = lab.file("bad.json", content)
    refused = lab.flagctl("import", path, "--json")
    assert refused.code == 2, refused
    shown = refused.err
    for place in places:
        assert place in shown, (place, shown)
    assert lab.head()["version"] == before
    assert [f["key"] for f in lab.ok("list")["flags"]] == ["kept"]


def test_invalid_utf8_is_refused(lab):
    lab.primary()
    path = lab.dir / "bad.json"
    path.write_bytes(b'{"flags": {"a\xff": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"}}}')
    assert lab.flagctl("import", path).code == 2


def test_every_problem_is_listed(lab):
    lab.primary()
    path = lab.file("bad.json", text(good=flag(), one=flag(defaultVariant="x"), two=flag(state="MAYBE"),
                                     three=flag(variants={"a": 1, "b": "2"}, defaultVariant="a")))
    refused = lab.flagctl("import", path)
    assert refused.code == 2
    for place in ("flags.one.defaultVariant", "flags.two.state", "flags.three.variants"):
        assert place in refused.err
    problems = lab.flagctl("import", path, "--json").error["problems"]
    assert len(problems) >= 3 and all(p["path"] and p["message"] for p in problems)
    assert lab.ok("list")["flags"] == []


def test_import_adds_and_replaces_and_prune_removes(lab):
    lab.primary()
    lab.ok("set", "old", "on")
    lab.ok("import", lab.file("one.json", text(a=flag(), b=flag())))
    assert [f["key"] for f in lab.ok("list")["flags"]] == ["a", "b", "old"]
    version = lab.head()["version"]
    dry = lab.ok("import", lab.file("two.json", text(a=flag(defaultVariant="on"))), "--prune", "--dry-run")
    assert dry["result"] == "dry-run" and dry["changed"] == ["a"] and dry["deleted"] == ["b", "old"]
    assert lab.head()["version"] == version
    done = lab.ok("import", lab.dir / "two.json", "--prune")
    assert done["result"] == "changed" and done["version"] == version + 1
    assert [f["key"] for f in lab.ok("list")["flags"]] == ["a"]
    again = lab.ok("import", lab.dir / "two.json", "--prune")
    assert again["result"] == "unchanged" and again["version"] == version + 1


def test_import_from_standard_input(lab):
    lab.primary()
    assert lab.flagctl("import", "-", stdin=text(a=flag())).code == 0
    assert lab.flagctl("get", "a", "--raw").out.strip() == "false"


def test_an_export_for_flagd_names_what_flagd_does_not_know(lab):
    lab.primary()
    rule = {"if": [{"==": [{"var": "plan"}, "pro"]}, "on"]}
    lab.ok("import", lab.file("rules.json", {"flags": {
        "base": flag(targeting=rule), "needs": flag(requires={"flags": {"base": "on"}, "otherwise": "off"}),
        "ring": flag(targeting={"if": [{"==": [{"var": "$hoist.labels.ring"}, "canary"]}, "on"]})}}))
    lab.ok("kill", "base")
    answer = lab.ok("export", "--format", "flagd")
    flags = json.loads(answer["file"])["flags"]
    assert [(lost["key"], lost["field"]) for lost in answer["lost"]] == [
        ("base", "override"), ("needs", "requires"), ("ring", "targeting")]
    assert "targeting" not in flags["base"] and flags["base"]["defaultVariant"] == "off"
    assert "requires" not in flags["needs"] and "override" not in flags["base"]
    assert "lost" not in lab.ok("export") and "override" in lab.ok("export")["file"]
    text = lab.flagctl("export", "--format", "flagd")
    assert json.loads(text.out)["flags"] == flags and "needs: requires: left out" in text.err
    assert lab.flagctl("export", "--format", "yaml").code == 2


def test_a_rule_is_carried_and_exported_faithfully(lab):
    primary = lab.primary()
    agent = lab.agent()
    rules = {"if": [{"$ref": "internal"}, "on", {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": ["a", 1.5]}]}, ["on", 10], ["off", 90]]}]}
    definition = {"flags": {"sync": flag(targeting=rules, metadata={"owner": "ops", "tier": 1})},
                  "$evaluators": {"internal": {"ends_with": [{"var": "email"}, "@example.com"]}}}
    lab.ok("import", lab.file("rules.json", definition))
    lab.wait_equal(primary, agent)
    back = json.loads(lab.export(agent.store))
    assert back["flags"]["sync"]["targeting"] == rules
    assert back["$evaluators"] == definition["$evaluators"]
    first = lab.export(agent.store)
    lab.ok("import", lab.file("again.json", first))
    assert lab.export(primary.store) == first
    assert lab.flagctl("is", "sync", store=agent.store).code == 1


def test_a_flag_too_many_needs_force(lab):
    lab.primary()
    lab.ok("import", lab.file("a.json", text(**{f"f{i}": flag() for i in range(1001)})))
    bigger = lab.file("b.json", text(**{f"g{i}": flag() for i in range(1100)}))
    refused = lab.flagctl("import", bigger)
    assert refused.code in (2, 4) and "--force" in refused.err
    assert lab.flagctl("import", bigger, "--force").code == 0


def test_problems_have_lines(lab):
    lab.primary()
    path = lab.file("bad.json", json.dumps({"flags": {"a": flag(state="MAYBE"), "b": {"state": "ENABLED"}}}, indent=2))
    refused = lab.flagctl("import", path, "--json")
    places = {p["path"]: (p["line"], p["column"]) for p in refused.error["problems"]}
    assert places == {"flags.a.state": (4, 7), "flags.b.variants": (11, 5)}
    assert "line 4, column 7, flags.a.state: there is no state" in lab.flagctl("import", path).err


def test_skip_invalid_takes_the_rest_and_lists_what_it_left(lab):
    lab.primary()
    lab.ok("import", lab.file("first.json", text(kept=flag(), gone=flag())))
    path = lab.file("mixed.json", text(good=flag(), bad=flag(state="MAYBE"), worse=flag(defaultVariant="x", targeting={"nope": 1}),
                                       kept={"state": "ENABLED"}, needs=flag(requires={"flags": {"bad": "on"}, "otherwise": "off"}),
                                       follows=flag(requires={"flags": {"needs": "on"}, "otherwise": "off"}),
                                       fine=flag(requires={"flags": {"kept": "on"}, "otherwise": "off"})))
    assert lab.flagctl("import", path).code == 2
    done = lab.ok("import", path, "--skip-invalid", "--prune")
    assert done["created"] == ["fine", "good"] and done["deleted"] == ["gone"] and done["changed"] == []
    left = {s["key"]: [p["path"] for p in s["problems"]] for s in done["skipped"]}
    assert left == {"bad": ["flags.bad.state"], "worse": ["flags.worse.defaultVariant", "flags.worse.targeting.nope"],
                    "kept": ["flags.kept.variants"], "needs": ["flags.needs"], "follows": ["flags.follows"]}
    assert [f["key"] for f in lab.ok("list")["flags"]] == ["fine", "good", "kept"]
    shown = lab.flagctl("import", path, "--skip-invalid")
    assert shown.code == 0 and "left out bad" in shown.out and "flags.bad.state" in shown.out and "unchanged" in shown.out
    assert lab.ok("import", lab.dir / "first.json", "--skip-invalid")["skipped"] == []


def test_skip_invalid_refuses_what_is_wrong_with_the_file_itself(lab):
    lab.primary()
    for content in ("{", "[]", '{"flags": 5}', '{"flags": {}, "metadata": 5}', '{"flags": {}, "$evaluators": {"a": {"nope": 1}}}', '{"flags": {}, "x": 1}'):
        assert lab.flagctl("import", lab.file("bad.json", content), "--skip-invalid").code == 2, content
    listed = {"flags": [{"key": "a", **flag()}, {"key": "a", **flag()}, {**flag()}, {"key": "b", **flag()}]}
    done = lab.ok("import", lab.file("listed.json", listed), "--skip-invalid")
    assert done["created"] == ["a", "b"] and [s["key"] for s in done["skipped"]] == [None, "a"]
