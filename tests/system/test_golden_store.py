"""Stores and backups as a release wrote them are read by every later one: tests/golden/store."""
import io
import json
import os
import shutil
import struct
import subprocess
import tarfile
import urllib.request

import pytest

from hoist import BUILD, TOP, clean_env, wait_until
from requester import unpack as unpack_frame
from test_access import Person
from test_release import Prometheus
from test_rotation import new_key
from test_trust import trust_of

GOLDEN = TOP / "tests/golden/store"
WRITTEN = "0.1.0-signed"  # what is written today
ENVS = ("production", "staging")
FOLLOW = ("--env", ENVS[0], "--env", ENVS[1])
PLAN = """
release: demo
title: A demonstration
owner: ana
author: ana
flags: [demo.enabled]
interval: 200ms
roles: {qa: [bob]}
guards: [{name: freshness, query: 'time() - min(timestamp(up) and up == 1)', pass: '<= 30'}]
checks: [{name: tests, run: ['true']}]
announce: {contact: '#demo'}
phases:
  flags: {steps: [{check: [tests], sign: {qa: tested}}]}
  monitoring: {steps: []}
  staging: {env: staging, steps: [{percent: 100, soak: 1h, exposed: 1}]}
  production: {steps: []}
  watch: {steps: []}
"""


def pack(store, path):
    """What a store must keep: the link, and LMDB's file; all else is made anew beside it."""
    inner = (store / "current").resolve().name
    with tarfile.open(path, "w:xz", preset=9) as tar:
        for name in ("current", f"{inner}/data.mdb"):
            info = tar.gettarinfo(store / name, name)
            info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode = 0, 0, 0, "", "", 0o640
            tar.addfile(info, None if info.issym() else io.BytesIO((store / name).read_bytes()))


def unpack(path, store):
    store.mkdir()
    with tarfile.open(path) as tar:
        tar.extractall(store)
    return store


def what(lab, store):
    envs = {e["env"]: e for e in lab.ok("env", "list", "--store", store)["environments"]}
    return {env: {"export": json.loads(lab.export(store, env)), "digest": envs[env]["digest"], "version": envs[env]["version"],
                  "epoch": envs[env]["epoch"], "protected": envs[env]["protected"]} for env in ENVS}


class Asker:
    """Who asks, if the store knows of anybody: `identity` is a file, or None."""

    def __init__(self, lab, identity):
        self.lab, self.more = lab, ("--identity", identity) if identity else ()

    def flagctl(self, *args, **kwargs):
        return self.lab.flagctl(*args, *self.more, **kwargs)

    def ok(self, *args, **kwargs):
        return self.lab.ok(*args, *self.more, **kwargs)


def told(who):
    """What a primary keeps beside its flags and their log."""
    usage, = who.ok("usage", "bool", env="production")["flags"]
    log = who.flagctl("release", "log", "demo", "--json").out.splitlines()
    return {"keys": who.ok("key", "list"), "grants": who.ok("access", "list")["grants"], "tokens": who.ok("access", "token", "list")["tokens"],
            "denied": who.ok("access", "denied")["denied"], "release": [json.loads(line) for line in log],
            "usage": {v["variant"]: v["total"] for v in usage["variants"]}}


def evaluate(agent, flag):
    request = urllib.request.Request(f"http://127.0.0.1:{agent.http}/ofrep/v1/evaluate/flags/{flag}", b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["value"]


def write_flags(lab):
    lab.ok("import", lab.file("flags.json", {"flags": {
        "bool": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on",
                 "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "on", "off"]}},
        "number": {"state": "ENABLED", "variants": {"a": 1.5, "b": -2}, "defaultVariant": "b", "metadata": {"owner": "payments"}},
        "string": {"state": "DISABLED", "variants": {"a": "ä", "long": "x" * 5000}, "defaultVariant": "a"},
        "object": {"state": "ENABLED", "variants": {"o": {"list": [1, None, {"deep": True}]}}, "defaultVariant": "o"}}}), env="production")
    lab.ok("set", "short.lived", "on", "-m", "made to be deleted", env="production")
    lab.ok("delete", "short.lived", env="production")
    lab.ok("promote", "production", "staging", "--yes")
    lab.ok("set", "demo.enabled", "off", env="staging")


def write_changes(ana, agent):
    ana.ok("kill", "bool", env="production")
    ana.ok("set", "number", "a", "-m", "up", env="production")
    ana.ok("rollback", "--last", env="production")
    ana.ok("restore", "bool", env="production")
    ana.ok("env", "epoch", "--new", env="staging")
    ana.ok("env", "set", "staging", "--protected", "on")
    wait_until(lambda: evaluate(agent, "bool") is False)
    wait_until(lambda: ana.ok("usage", "bool", env="production")["flags"][0]["variants"])


def write_release(lab, ana, bob):
    """One that moves a flag, and back."""
    ana.ok("release", "start", lab.file("plan.yaml", PLAN), "--commit", "c0ffee")
    assert ana.flagctl("release", "check", "demo", "tests", "--commit", "c0ffee", cwd=lab.dir).code == 0
    bob.ok("release", "sign", "demo", "qa", "--yes")
    wait_until(lambda: lab.ok("log", env="staging")["changes"][0]["kind"] == "release", what="the release moves")
    ana.ok("release", "abort", "demo", "-m", "back")
    wait_until(lambda: ana.flagctl("release", "status", "demo").code == 11, what="rolled back")


def rotate(primary, ana, old, new, new_trust):
    ana.ok("key", "rotate", new_trust)
    primary.stop()
    argv, log, popen = primary.start_args
    primary.start_args = ([*argv, "--sign-key", new], log, popen)
    primary.again()
    ana.ok("key", "revoke", old)


def write(lab, folder):
    prometheus = Prometheus()
    new, new_trust = new_key(lab, "new")
    primary = lab.primary(*FOLLOW, "--prometheus", prometheus.url)
    folder.mkdir(parents=True)
    first = shutil.copy(trust_of(primary), folder / "trust.key")
    write_flags(lab)
    agent = lab.agent(*FOLLOW, "--trust", first)  # it begins with a snapshot, and follows from here
    ana, bob = Person(lab, "ana"), Person(lab, "bob")
    lab.ok("access", "grant", "ana", "admin", "--key", ana.key)
    ana.ok("access", "grant", "bob", "approver", "--key", bob.key, "--env", "staging")
    ana.ok("access", "token", "create", "web", "evaluator", "--env", "production")
    bob.denied("set", "number", "a", env="production", role="editor")
    wait_until(lambda: ana.ok("access", "denied")["denied"], what="the denial is kept")
    write_release(lab, ana, bob)
    rotate(primary, ana, first, new, new_trust)
    write_changes(ana, agent)
    for env in ENVS:
        lab.wait_equal(primary, agent, env=env)
    wait_until(lambda: ana.ok("fleet", env="production")["counts"]["current"] == 1)
    expected = {"envs": what(lab, primary.store), "told": told(ana)}
    agent.stop()
    primary.stop()
    prometheus.server.shutdown()
    lab.ok("backup", folder / "primary.backup", "--store", primary.store)
    pack(primary.store, folder / "primary.tar.xz")
    pack(agent.store, folder / "agent.tar.xz")
    shutil.copy(new, folder / "sign.key")
    shutil.copy(ana.file, folder / "ana.key")
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


def releases():
    return sorted(p.name for p in GOLDEN.iterdir()) if GOLDEN.is_dir() else []


class Golden:
    """What a release left: its stores, what is in them, and the keys that go with them."""

    def __init__(self, lab, release):
        self.folder = GOLDEN / release
        expected = json.loads((self.folder / "expected.json").read_text())
        self.envs, self.told = expected.get("envs", expected), expected.get("told")
        keys = {path.name: lab.dir / path.name for path in self.folder.glob("*.key")}
        for name, path in keys.items():
            shutil.copy(self.folder / name, path)
            path.chmod(0o600)  # which git does not keep
        self.sign = ("--sign-key", keys["sign.key"]) if keys else ()
        self.trust = ("--trust", keys["trust.key"]) if keys else ()
        self.who = Asker(lab, keys.get("ana.key"))

    def unpack(self, name, store):
        return unpack(self.folder / f"{name}.tar.xz", store)


def rows(backup):
    """A backup's rows, by database; its layout is in src/store/backup.h."""
    data, at, found = backup.read_bytes(), 40, {}
    while (kind := data[at]) != 3:
        if kind == 1:
            size = data[at + 1]
            of = found.setdefault(data[at + 2:at + 2 + size].decode(), [])
            at += 2 + size
        else:
            key_len, row_len = struct.unpack_from(">HI", data, at + 1)
            at += 7 + key_len + row_len
            of.append(data[at - row_len:at])
    return found


def forms(backup):
    """What there is in a store: which databases, which kinds of changes, and what they say."""
    found = rows(backup)
    have = {name for name, of in found.items() if of}
    for change in found["log"]:
        header, _, signature = unpack_frame(change)
        header = unpack_frame(header)
        have |= {f"kind {header[8]}", f"{len(header)} elements", "signed" if signature else "not signed"}
        have |= {f"element {i}" for i, value in enumerate(header) if value}
    return have


def test_there_is_one_of_what_is_written_today(lab):
    if not (GOLDEN / WRITTEN).exists() and os.environ.get("HOIST_GOLDEN_ADD"):
        write(lab, GOLDEN / WRITTEN)
    assert WRITTEN in releases(), "see tests/golden/README.md"
    assert sum(p.stat().st_size for p in (GOLDEN / WRITTEN).iterdir()) < 128 << 10
    write(lab, lab.dir / "today")
    missing = forms(lab.dir / "today/primary.backup") - forms(GOLDEN / WRITTEN / "primary.backup")
    assert not missing, "what is written today is in no golden store: see tests/golden/README.md"


@pytest.mark.parametrize("release", releases())
def test_a_primary_and_an_agent_go_on_from_their_stores(lab, release):
    golden = Golden(lab, release)
    who = golden.who
    primary = lab.primary(*golden.sign, store=golden.unpack("primary", lab.dir / "p"))
    assert what(lab, primary.store) == golden.envs
    assert not golden.told or told(who) == golden.told
    agent = lab.agent(*FOLLOW, *golden.trust, store=golden.unpack("agent", lab.dir / "a"))
    for env in ENVS:
        lab.wait_equal(primary, agent, env=env)
    for env in (*ENVS, "hoist-access") if golden.trust else ENVS:
        assert who.ok("audit", "verify", *golden.trust, env=env)["first"] == 1
    who.ok("rollback", "--to", "2", "-m", "as far back as it goes", env="production")
    who.ok("set", "number", "a", env="production")
    lab.wait_equal(primary, agent)
    for daemon in (primary, agent):
        assert lab.ok("fsck", "--store", daemon.store)["ok"]


@pytest.mark.parametrize("release", releases())
def test_a_primary_from_a_backup_and_one_from_an_agents_store(lab, release):
    golden = Golden(lab, release)
    expected, backup = golden.envs, golden.folder / "primary.backup"
    assert lab.ok("backup", "verify", backup)["rows"] > 20
    done = subprocess.run([BUILD / "hoistd", "recover", backup, "--store", lab.dir / "r", *golden.sign], env=clean_env(), capture_output=True, text=True)
    assert done.returncode == 0, done
    golden.unpack("agent", lab.dir / "a")
    for store, args in ((lab.dir / "r", ()), (lab.dir / "a", ("--take-over",))):
        primary = lab.primary(*args, *golden.sign, store=store, name=store.name)
        have = what(lab, store)
        for env in ENVS:
            for name in ("export", "digest"):
                assert have[env][name] == expected[env][name]
            assert have[env]["version"] == expected[env]["version"] + 1 and have[env]["epoch"] > expected[env]["epoch"]
        assert have["staging"]["protected"] is (store.name == "r"), "that is in a backup, and no part of what hosts get"
        primary.stop()
        assert lab.ok("fsck", "--store", store)["ok"]
