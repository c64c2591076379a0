"""import --from unleash: what is the same comes in by one change; what is not is refused by name, or approximated aloud."""
import json

from hoist import TOP

EXACT = {
    "version": 2,
    "features": [
        {"name": "search.v2", "type": "release", "enabled": True, "strategies": [{"name": "default", "parameters": {}}]},
        {"name": "old.banner", "enabled": False, "strategies": [{"name": "default"}]},
        {"name": "beta", "enabled": True,
         "strategies": [{"name": "userWithId", "parameters": {"userIds": "ana, bo"}},
                        {"name": "flexibleRollout", "parameters": {"rollout": "100", "stickiness": "default", "groupId": "beta"},
                         "segments": [1]}]},
        {"name": "price", "enabled": True, "strategies": [],
         "variants": [{"name": "new", "weight": 1000, "payload": {"type": "number", "value": "12.5"}}],
         "dependencies": [{"feature": "search.v2"}]},
    ],
    "segments": [{"id": 1, "name": "staff", "constraints": [
        {"contextName": "email", "operator": "STR_ENDS_WITH", "values": ["@example.com"]}]}],
}
ROLLOUT = {"features": [
    {"name": "checkout", "enabled": True,
     "strategies": [{"name": "flexibleRollout", "parameters": {"rollout": "25", "stickiness": "userId", "groupId": "checkout"}}]},
    {"name": "plain", "enabled": True, "strategies": []},
]}
NO_WAY = {"features": [{"name": "moon", "enabled": True, "strategies": [{"name": "byMoonPhase", "parameters": {}}]}]}


def test_what_is_the_same_comes_in_by_one_change(lab):
    primary = lab.primary()
    version = lab.head()["version"]
    path = lab.file("unleash.json", EXACT)
    dry = lab.ok("import", "--from", "unleash", path, "--dry-run")
    assert dry["result"] == "dry-run" and lab.head()["version"] == version
    done = lab.ok("import", "--from", "unleash", path, "-m", "from Unleash")
    assert done["version"] == version + 1 and "approximated" not in done
    assert done["created"] == ["beta", "old.banner", "price", "price.variant", "search.v2"]
    assert lab.ok("import", "--from", "unleash", path)["result"] == "unchanged"
    assert lab.flagctl("get", "search.v2", "--raw").out.strip() == "true"
    assert lab.flagctl("get", "old.banner", "--raw").out.strip() == "false"
    flags = json.loads(lab.export(primary.store))
    assert flags["flags"]["price"]["requires"] == {"flags": {"search.v2": "on"}, "otherwise": "off"}
    assert flags["flags"]["price.variant"]["variants"] == {"new": 12.5}
    assert flags["flags"]["search.v2"]["metadata"] == {"type": "release"}
    assert flags["$evaluators"]["segment-1"] == {"ends_with": [{"var": "email"}, "@example.com"]}


def test_what_is_not_the_same_is_refused_by_name_and_nothing_is_imported(lab):
    lab.primary()
    version = lab.head()["version"]
    path = lab.file("unleash.json", ROLLOUT)
    refused = lab.flagctl("import", "--from", "unleash", path)
    assert refused.code == 2 and lab.head()["version"] == version
    assert "features[0].strategies[0]" in refused.err and '"checkout"' in refused.err and "--approximate" in refused.err
    problems = lab.flagctl("import", "--from", "unleash", path, "--json").error["problems"]
    assert [p["path"] for p in problems] == ["features[0].strategies[0]"] and problems[0]["mend"]


def test_approximate_says_what_changes_and_for_how_many(lab):
    primary = lab.primary()
    path = lab.file("unleash.json", ROLLOUT)
    shown = lab.flagctl("import", "--from", "unleash", path, "--approximate", "--dry-run")
    assert shown.code == 0 and "of 100,000 sample users, 37," in shown.out and '"checkout"' in shown.out, shown
    for more in ([], ["--wait"]):
        done = lab.ok("import", "--from", "unleash", path, "--approximate", *more)
        assert len(done["approximated"]) == 1
        assert done["approximated"][0]["path"] == "features[0].strategies[0]"
        assert done["approximated"][0]["users"].startswith("of 100,000 sample users")
    flags = json.loads(lab.export(primary.store))["flags"]
    assert flags["checkout"]["targeting"] == {"fractional": [["on", 25], ["off", 75]]}
    assert lab.ok("import", "--from", "unleash", lab.file("same.json", EXACT), "--approximate")["approximated"] == []


def test_skip_invalid_does_not_go_with_it(lab):
    lab.primary()
    answer = lab.flagctl("import", "--from", "unleash", lab.file("u.json", {"features": []}), "--skip-invalid")
    assert answer.code == 2 and "for flag files" in answer.err


def test_what_nothing_comes_near_is_refused_with_approximate_too(lab):
    lab.primary()
    refused = lab.flagctl("import", "--from", "unleash", lab.file("unleash.json", NO_WAY), "--approximate")
    assert refused.code == 2 and "byMoonPhase" in refused.err


def test_a_file_of_another_sort_is_refused(lab):
    lab.primary()
    flagd = lab.file("flagd.json", {"flags": {}})
    assert lab.flagctl("import", "--from", "flagd", flagd).code == 0
    assert lab.flagctl("import", "--from", "unleash", flagd).code == 2
    assert lab.flagctl("import", lab.file("unleash.json", EXACT)).code == 2
    unknown = lab.flagctl("import", "--from", "elsewhere", flagd)
    assert unknown.code == 2 and "unleash" in unknown.err
    idle = lab.flagctl("import", "--approximate", flagd)
    assert idle.code == 2 and "--from unleash" in idle.err
    for text in ("", "nope", "[]", "[" * 1000, json.dumps({"features": [{"name": "x"}]})):
        assert lab.flagctl("import", "--from", "unleash", lab.file("bad.json", text)).code == 2
    assert lab.ok("list")["flags"] == []


def test_from_standard_input_with_prune(lab):
    lab.primary()
    lab.ok("set", "stale", "on")
    done = lab.flagctl("import", "--from", "unleash", "-", "--prune", stdin=json.dumps(ROLLOUT).replace('"25"', '"100"'))
    assert done.code == 0, done
    assert [f["key"] for f in lab.ok("list")["flags"]] == ["checkout", "plain"]


# ------------------------------------------------------------------ what Unleash's own SDK answers

def golden():
    return json.loads((TOP / "tests/golden/unleash/cases.json").read_text())


def openfeature(context):
    """The same context under OpenFeature's names."""
    own = {k: v for k, v in context.items() if k not in ("userId", "properties")} | context["properties"]
    return own | ({"targetingKey": context["userId"]} if "userId" in context else {})


def test_all_that_can_be_kept_is_taken(lab):
    primary = lab.primary()
    cases = golden()
    lab.ok("import", "--from", "unleash", lab.file("unleash.json", cases["answer"]))
    flags = json.loads(lab.export(primary.store))["flags"]
    for name, expected in cases["expected"].items():
        assert name in flags
        if "targeting" not in flags[name] and "requires" not in flags[name]:
            assert set(expected["enabled"]) == {"1" if flags[name]["defaultVariant"] == "on" else "0"}, name
        assert "variants" not in expected or f"{name}.variant" in flags


def test_a_flag_answers_as_the_sdk(lab):
    """Some of the pairs, from the file to the answer; tests/unit/test_eval_unleash.c asks them all."""
    lab.primary()
    cases = golden()
    lab.ok("import", "--from", "unleash", lab.file("unleash.json", cases["answer"]))
    pairs = [(name, i) for name in cases["expected"] for i in range(len(cases["contexts"]))]
    for name, i in pairs[::199]:
        expected, context = cases["expected"][name], json.dumps(openfeature(cases["contexts"][i]))
        enabled = lab.ok("eval", name, "--context", context)
        assert enabled["variant"] == ("on" if expected["enabled"][i] == "1" else "off"), (name, context)
        if "variants" in expected:
            chosen = lab.ok("eval", f"{name}.variant", "--context", context)
            assert (chosen.get("variant") or None) == expected["variants"][i], (name, context)


def test_those_who_move_are_counted_as_the_sdk_divides_them(lab):
    lab.primary()
    cases = golden()
    features = [{"name": f"share{i}", "enabled": True,
                 "strategies": [{"name": "flexibleRollout",
                                 "parameters": {"rollout": str(s["percent"]), "stickiness": "userId", "groupId": s["group"]}}]}
                for i, s in enumerate(cases["shares"])]
    features += [{"name": "x" if i == 0 else f"x{i}", "enabled": True, "strategies": [{"name": "default", "parameters": {"groupId": "x"}, "variants": [
        {"name": f"v{k}", "weight": w, "stickiness": "userId"} for k, w in enumerate(d["weights"])]}]}
        for i, d in enumerate(cases["divisions"])]
    done = lab.ok("import", "--from", "unleash", lab.file("u.json", {"features": features}), "--approximate", "--dry-run")
    moved = [a["users"] for a in done["approximated"]]
    assert moved == [f"of 100,000 sample users, {m['moved']:,} get another answer" for m in cases["shares"] + cases["divisions"]]
