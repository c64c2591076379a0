"""The JSON that scripts lean on: fields may be added, never renamed or retyped."""
import re

from hoist import wait_until
from test_usage import Counter

HEX16 = re.compile(r"^[0-9a-f]{16}$")
HEX64 = re.compile(r"^[0-9a-f]{64}$")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


def has(value, shape, where=""):
    """`value` has at least the fields of `shape`, each of its type or matching its pattern."""
    for key, want in shape.items():
        assert key in value, f"{where}.{key} is missing in {value}"
        got = value[key]
        if isinstance(want, re.Pattern):
            assert isinstance(got, str) and want.match(got), f"{where}.{key}: {got!r}"
        elif isinstance(want, dict):
            has(got, want, f"{where}.{key}")
        elif isinstance(want, tuple) or isinstance(want, type):
            assert isinstance(got, want) and not (isinstance(got, bool) and want in (int, float)), f"{where}.{key}: {got!r}"
        else:
            assert got == want, f"{where}.{key}: {got!r}, not {want!r}"


CHANGED = {"env": "production", "epoch": HEX16, "version": int, "result": str, "created": list, "changed": list, "deleted": list,
           "override_kept": list, "request": str}


def test_writes(lab):
    lab.primary()
    has(lab.ok("set", "k", "on"), {**CHANGED, "result": "changed", "created": ["k"], "changed": [], "deleted": []})
    has(lab.ok("set", "k", "on"), {**CHANGED, "result": "unchanged", "created": []})
    file = lab.file("f.json", {"flags": {"j": {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}}})
    has(lab.ok("import", file, "--dry-run"), {**CHANGED, "result": "dry-run", "created": ["j"]})
    has(lab.ok("apply", file, "--yes"), {**CHANGED, "result": "changed", "created": ["j"]})
    has(lab.ok("set", "k", "on", "--percent", "5"), {**CHANGED, "result": "changed", "changed": ["k"]})
    has(lab.ok("target", "k", "--clear"), {**CHANGED, "result": "changed", "changed": ["k"]})
    has(lab.ok("delete", "k"), {**CHANGED, "result": "changed", "deleted": ["k"]})


def test_what_is_wrong_with_a_file(lab):
    lab.primary()
    problem = {"path": str, "line": int, "column": int, "message": str, "mend": str}
    file = lab.file("f.json", {"flags": {"bad": {"state": "ENABLED"}, "odd key": {"state": "ENABLED", "variants": {"on": True}}}})
    refused = lab.flagctl("import", file, "--json").error
    has(refused, {"exit": 2, "code": "input", "message": str, "mend": str, "at": "flags.bad.variants", "problems": list})
    has(refused["problems"][0], problem)
    linted = lab.flagctl("lint", file, "--json")
    has(linted.json, {"file": str(file), "result": "problems", "flags": 1, "problems": list, "warnings": list})
    has(linted.json["problems"][0], problem)
    has(linted.json["warnings"][0], problem)
    taken = lab.ok("import", file, "--skip-invalid")
    has(taken, {**CHANGED, "result": "changed", "created": ["odd key"], "skipped": list})
    has(taken["skipped"][0], {"key": "bad", "problems": list})
    has(taken["skipped"][0]["problems"][0], problem)


def test_get_and_list(lab):
    lab.primary()
    lab.ok("set", "k", "on")
    has(lab.ok("get", "k"), {"env": "production", "version": 2, "key": "k", "touched": 2,
                             "definition": {"state": "ENABLED", "variants": dict, "defaultVariant": "on"},
                             "value": True, "variant": "on", "reason": "STATIC"})
    listed = lab.ok("list")
    has(listed, {"env": "production", "version": 2, "flags": list})
    has(listed["flags"][0], {"key": "k", "type": "boolean", "state": "ENABLED", "variant": "on", "value": True, "targeting": False,
                             "override": None, "touched": 2})


def test_status_of_each_role(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.wait_equal(primary, agent)
    shape = {"host": str, "role": str, "software": str, "store": str, "running": True, "ready": True, "environments": list}
    env = {"env": "production", "epoch": HEX16, "version": int, "head": int, "lag": 0, "behind_ms": int, "digest": HEX64, "flags": int,
           "state": "current"}
    for daemon, role in ((primary, "primary"), (agent, "agent")):
        status = wait_until(lambda: (s := lab.ok("status", store=daemon.store))["ready"] and s)
        has(status, {**shape, "role": role})
        has(status["environments"][0], env)
    has(lab.ok("status", store=agent.store), {"host": "agent", "upstream": {"url": lab.url, "connected": True, "last_word_ms": int}})


def test_log(lab):
    lab.primary()
    lab.ok("set", "k", "on", "-m", "why", "--author", "ana")
    log = lab.ok("log")
    has(log, {"env": "production", "head": 2, "changes": list})
    has(log["changes"][0], {"version": 2, "time": TIME, "author": "ana", "message": "why", "kind": "set", "request": str,
                            "hash": HEX64, "prev": HEX64, "edits": list})
    has(log["changes"][0]["edits"][0], {"key": "k", "before": None, "after": {"state": "ENABLED"}})


def test_fleet(lab):
    lab.primary()
    lab.agent("--label", "ring=canary", name="host1")
    one = wait_until(lambda: (f := lab.ok("fleet"))["counts"]["current"] == 1 and f)
    has(one, {"env": "production", "head": 1, "counts": {"current": 1, "behind": 0, "silent": 0, "refusing": 0}, "hosts": list})
    has(one["hosts"][0], {"id": "host1", "labels": {"ring": "canary"}, "via": "", "software": str, "state": "current", "version": 1, "lag": 0,
                          "behind_ms": 0, "last_seen_ms": int, "refused": []})
    waited = lab.ok("set", "k", "on", "--wait", "--timeout", "20s")
    has(waited, {**CHANGED, "wait": {"ms": (int, float), "hosts": 1, "have": 1, "missing": [], "silent": []}})
    has(lab.ok("host", "retire", "host1"), {"host": "host1", "result": "retired", "request": str})


def test_usage_and_stale(lab):
    primary = lab.primary()
    lab.ok("set", "k", "on")
    Counter(primary.port, 1).tell(("k", "on", 3), ("k", "", 1))
    wait_until(lambda: lab.ok("usage", "k")["flags"][0]["total"] == 4)
    usage = lab.ok("usage")
    has(usage, {"env": "production", "since": TIME, "flags": list})
    sums = {"today": int, "last_7_days": int, "last_30_days": int, "total": int, "first": TIME, "last": TIME}
    has(usage["flags"][0], {"key": "k", **sums, "variants": list})
    for variant, found in zip(("on", None), usage["flags"][0]["variants"]):
        has(found, {"variant": variant, **sums, "share": (int, float)})
    early = lab.flagctl("stale", "--json")
    has(early.error, {"exit": 4, "code": "too-early", "message": str, "mend": str})
    assert early.code == 4 and early.out == ""


def test_top(lab):
    lab.primary()
    lab.agent(name="host1")
    lab.ok("set", "k", "on", "--author", "ana", "-m", "why")
    lab.ok("kill", "k", "--author", "bea", "-m", "smoke")
    top = wait_until(lambda: (t := lab.ok("top"))["environments"][0]["counts"]["current"] == 1 and t)
    has(top, {"env": "production", "epoch": HEX16, "head": 3, "time": TIME, "environments": list, "environments_count": 1, "sort": "lag",
              "hosts_count": 1, "skip": 0, "hosts": list, "changes": list, "killed_count": 1, "killed": list, "evaluations": [],
              "alertmanager": None, "alerts": None})
    has(top["environments"][0], {"env": "production", "epoch": HEX16, "head": 3, "flags": 1, "lag": 0, "behind_ms": 0, "changes_10s": int,
                                 "changes_60s": int, "killed": 1,
                                 "counts": {"current": 1, "behind": 0, "silent": 0, "refusing": 0}})
    has(top["hosts"][0], {"id": "host1", "state": "current", "version": 3, "lag": 0, "behind_ms": 0, "last_seen_ms": int, "via": "",
                          "software": str})
    has(top["changes"][1], {"version": 2, "time": TIME, "author": "ana", "message": "why", "kind": "set", "keys": ["k"], "edits_count": 1})
    has(top["killed"][0], {"key": "k", "variant": "off", "version": 3, "time": TIME, "author": "bea", "message": "smoke"})


def test_errors(lab):
    lab.primary()
    unknown = lab.flagctl("get", "k", "--json", env="nowhere")
    has(unknown.error, {"exit": 2, "code": str, "message": str, "mend": str})
    assert unknown.code == 2 and unknown.out == ""


def test_backup_and_fsck(lab):
    primary = lab.primary()
    lab.ok("set", "k", "on")
    file = lab.dir / "b"
    backup = {"file": str(file), "time": TIME, "store_id": str, "rows": int, "bytes": int}
    has(lab.ok("backup", file, "--store", primary.store), {**backup, "faults": 0})
    has(lab.ok("backup", "verify", file), {**backup, "bytes": file.stat().st_size})
    counts = {"environments": 1, "flags": 1, "changes": 2, "rows": int, "faults": 0}
    has(lab.ok("fsck", "--store", primary.store), {"store": str(primary.store), "ok": True, "counts": counts, "faults": []})
    primary.stop()
    data = (primary.store / "current").resolve() / "data.mdb"
    data.write_bytes(data.read_bytes().replace(b"production", b"productiom"))
    found = lab.flagctl("fsck", "--store", primary.store, "--json")
    assert found.code == 1
    has(found.json, {"ok": False, "counts": {"faults": len(found.json["faults"])}})
    for fault in found.json["faults"]:
        has(fault, {"database": str, "key": str, "env": str, "why": str})
