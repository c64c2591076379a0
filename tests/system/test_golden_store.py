"""Stores and backups as a release wrote them are read by every later one: tests/golden/store."""
import io
import json
import os
import subprocess
import tarfile

import pytest

from hoist import BUILD, TOP, clean_env, wait_until

GOLDEN = TOP / "tests/golden/store"
WRITTEN = "0.1.0"  # the release whose format is written today
ENVS = ("production", "staging")


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


def write(lab, folder):
    primary = lab.primary("--env", ENVS[0], "--env", ENVS[1])
    lab.ok("import", lab.file("flags.json", {"flags": {
        "bool": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on",
                 "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "on", "off"]}},
        "number": {"state": "ENABLED", "variants": {"a": 1.5, "b": -2}, "defaultVariant": "b", "metadata": {"owner": "payments"}},
        "string": {"state": "DISABLED", "variants": {"a": "ä", "long": "x" * 5000}, "defaultVariant": "a"},
        "object": {"state": "ENABLED", "variants": {"o": {"list": [1, None, {"deep": True}]}}, "defaultVariant": "o"}}}), env="production")
    lab.ok("set", "short.lived", "on", "-m", "made to be deleted", env="production")
    lab.ok("delete", "short.lived", env="production")
    lab.ok("promote", "production", "staging", "--yes")
    agent = lab.agent("--env", ENVS[0], "--env", ENVS[1])  # it begins with a snapshot, and follows from here
    lab.ok("kill", "bool", env="production")
    lab.ok("set", "number", "a", "-m", "up", env="production")
    lab.ok("rollback", "--last", env="production")
    lab.ok("env", "set", "staging", "--protected", "on")
    for env in ENVS:
        lab.wait_equal(primary, agent, env=env)
    wait_until(lambda: lab.ok("fleet", env="production")["counts"]["current"] == 1)
    folder.mkdir(parents=True)
    lab.ok("backup", folder / "primary.backup", "--store", primary.store)
    agent.stop()
    primary.stop()
    pack(primary.store, folder / "primary.tar.xz")
    pack(agent.store, folder / "agent.tar.xz")
    (folder / "expected.json").write_text(json.dumps(what(lab, primary.store), indent=1, sort_keys=True) + "\n")


def releases():
    return sorted(p.name for p in GOLDEN.iterdir()) if GOLDEN.is_dir() else []


def test_there_is_one_of_the_release_that_is_written(lab):
    if not (GOLDEN / WRITTEN).exists() and os.environ.get("HOIST_GOLDEN_ADD"):
        write(lab, GOLDEN / WRITTEN)
    assert WRITTEN in releases(), "see tests/golden/README.md"
    assert sum(p.stat().st_size for p in (GOLDEN / WRITTEN).iterdir()) < 64 << 10


@pytest.mark.parametrize("release", releases())
def test_a_primary_and_an_agent_go_on_from_their_stores(lab, release):
    expected = json.loads((GOLDEN / release / "expected.json").read_text())
    primary = lab.primary(store=unpack(GOLDEN / release / "primary.tar.xz", lab.dir / "p"))
    assert what(lab, primary.store) == expected
    agent = lab.agent("--env", ENVS[0], "--env", ENVS[1], store=unpack(GOLDEN / release / "agent.tar.xz", lab.dir / "a"))
    for env in ENVS:
        lab.wait_equal(primary, agent, env=env)
    assert lab.ok("audit", "verify", env="production")["first"] == 1
    lab.ok("rollback", "--to", "2", "-m", "as far back as it goes", env="production")
    lab.ok("set", "number", "a", env="production")
    lab.wait_equal(primary, agent)
    for daemon in (primary, agent):
        assert lab.ok("fsck", "--store", daemon.store)["ok"]


@pytest.mark.parametrize("release", releases())
def test_a_primary_from_a_backup_and_one_from_an_agents_store(lab, release):
    expected = json.loads((GOLDEN / release / "expected.json").read_text())
    backup = GOLDEN / release / "primary.backup"
    assert lab.ok("backup", "verify", backup)["rows"] > 20
    done = subprocess.run([BUILD / "hoistd", "recover", backup, "--store", lab.dir / "r"], env=clean_env(), capture_output=True, text=True)
    assert done.returncode == 0, done
    unpack(GOLDEN / release / "agent.tar.xz", lab.dir / "a")
    for store, args in ((lab.dir / "r", ()), (lab.dir / "a", ("--take-over",))):
        primary = lab.primary(*args, store=store, name=store.name)
        have = what(lab, store)
        for env in ENVS:
            for name in ("export", "digest"):
                assert have[env][name] == expected[env][name]
            assert have[env]["version"] == expected[env]["version"] + 1 and have[env]["epoch"] > expected[env]["epoch"]
        assert have["staging"]["protected"] is (store.name == "r"), "that is in a backup, and no part of what hosts get"
        primary.stop()
        assert lab.ok("fsck", "--store", store)["ok"]
