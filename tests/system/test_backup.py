"""A store in one file, and a primary from it."""
import os
import random
import shutil
import subprocess
import time

import pytest

from hoist import BUILD, Writer, clean_env, wait_until


def recover(file, store, *more, **popen):
    return subprocess.run([BUILD / "hoistd", "recover", file, "--store", store, *more], env=clean_env(), capture_output=True,
                          text=True, timeout=60, **popen)


def fsck(lab, store):
    answer = lab.flagctl("fsck", "--store", store, "--json")
    assert answer.code == 0, answer
    return answer.json


def changes(lab, *args):
    """All of production's, newest first."""
    return lab.ok("log", "--limit", "100000", *args, env="production")["changes"]


def test_a_backup_while_running_is_whole_and_of_one_moment(lab):
    primary = lab.primary("--env", "production", "--env", "staging")
    lab.ok("set", "k", "on", env="staging")
    writers = [Writer(lab, [f"a{n}", f"b{n}"]) for n in range(2)]
    for w in writers:
        w.start()
    made = []
    for n in range(5):
        wait_until(lambda: len(writers[0].acknowledged) > 5 * n)
        before = dict(writers[0].acknowledged)
        file = lab.dir / f"{n}.backup"
        lab.ok("backup", file, "--store", primary.store)
        made.append((file, before))
    for w in writers:
        w.end()
    assert made[0][0].stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in lab.dir.glob("*.backup*")) == [f"{n}.backup" for n in range(5)]
    log = [c["hash"] for c in changes(lab)]
    for file, before in made:
        assert lab.ok("backup", "verify", file)["rows"] > 10
        store = lab.dir / f"{file.name}.store"
        assert recover(file, store).returncode == 0
        fsck(lab, store)
        have = changes(lab, "--store", store)
        assert [c["hash"] for c in have[1:]] == log[-len(have) + 1:], "byte for byte, from the first change on"
        assert {f"write {n}" for n in before} <= {c["message"] for c in have}, "what was acknowledged before is in it"


def test_hosts_that_were_ahead_of_the_backup_follow_what_is_recovered(lab):
    primary = lab.primary()
    agents = [lab.agent(name=f"a{n}") for n in range(2)]
    lab.ok("set", "n", "1", "--type", "number")
    lab.ok("set", "k", "on")
    lab.ok("kill", "k")
    lab.ok("env", "set", "production", "--protected", "on", "--metadata", "owner=payments")
    lab.ok("backup", lab.dir / "b", "--store", primary.store)
    for n in range(5):
        lab.ok("set", "n", n + 10, "-m", "after the backup")
    lab.wait_equal(primary, *agents)
    ahead, old = lab.state(agents[0])["version"], lab.state(primary)["epoch"]
    primary.kill()
    shutil.rmtree(primary.store)
    assert recover(lab.dir / "b", primary.store).returncode == 0
    assert primary.store.stat().st_mode & 0o777 == 0o700
    primary.again()
    assert lab.head()["version"] < ahead and lab.head()["epoch"] > old
    lab.wait_equal(primary, *agents)
    assert lab.ok("get", "n", store=agents[0].store)["value"] == 1
    about = lab.ok("env", "show", "production")
    assert about["protected"] and about["metadata"] == {"owner": "payments"}
    assert "recovered from a backup" in lab.ok("show", str(lab.head()["version"]))["message"]
    lab.ok("set", "n", "7", "-m", "on we go")
    lab.wait_equal(primary, *agents)
    lab.ok("audit", "verify")
    for daemon in (primary, *agents):
        fsck(lab, daemon.store)


def test_what_is_no_whole_backup_is_refused_and_nothing_made(lab):
    primary = lab.primary()
    for n in range(40):
        lab.ok("set", f"k{n}", "on")
    lab.ok("backup", lab.dir / "b", "--store", primary.store)
    whole = (lab.dir / "b").read_bytes()
    bad, store = lab.dir / "bad", lab.dir / "r"
    dice = random.Random(3)
    cases = [(b"", 2), (b"{}", 2), (dice.randbytes(5000), 2), (whole[:8] + b"\0\0\0\7" + whole[12:], 1), (whole + b"x", 1),
             (whole[:12] + b"\0\0\0\7" + whole[16:], 1), *((whole[:n], 1) for n in (12, 39, 40, 60, len(whole) // 2, len(whole) - 33, len(whole) - 1))]
    for _ in range(20):
        at = dice.randrange(40, len(whole))
        cases.append((whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1:], 1))
    for data, code in cases:
        bad.write_bytes(data)
        answer = lab.flagctl("backup", "verify", bad, "--json")
        assert answer.code == code and answer.error["message"], (data[:50], answer)
        done = recover(bad, store)
        assert done.returncode == 2 and done.stderr.startswith("hoistd recover: "), done
        assert not (store / "current").exists() and not (store / "1").exists()
    assert recover(lab.dir / "nothing", store).returncode == 2
    assert recover(lab.dir, store).returncode == 2
    assert recover(lab.dir / "b", primary.store).returncode == 1, "somebody writes there"
    (lab.dir / "other").mkdir()
    (lab.dir / "other/file").write_text("mine")
    assert recover(lab.dir / "b", lab.dir / "other").returncode == 2
    primary.stop()
    again = recover(lab.dir / "b", primary.store)
    assert again.returncode == 2 and "left as it is" in again.stderr
    assert recover(lab.dir / "b", store).returncode == 0, "where others failed before"
    fsck(lab, store)


def test_a_backup_appears_whole_or_not_at_all(lab):
    primary = lab.primary()
    lab.ok("set", "k", "on")
    file = lab.dir / "b"
    lab.ok("backup", file, "--store", primary.store)
    first = file.read_bytes()
    assert lab.flagctl("backup", lab.dir / "no/such/dir/b", "--store", primary.store).code == 2
    assert lab.flagctl("backup", "/dev/null", "--store", primary.store).code == 2
    assert lab.flagctl("backup", file, "--store", lab.dir / "nothing").code == 7
    assert lab.flagctl("backup").code == lab.flagctl("backup", "a", "b").code == 2
    assert file.read_bytes() == first
    assert sorted(p.name for p in lab.dir.glob("b*")) == ["b"]
    lab.ok("set", "k", "off")
    lab.ok("backup", file, "--store", primary.store)
    assert file.read_bytes() != first
    assert lab.ok("backup", "verify", file)["file"] == str(file)


def test_a_damaged_store_is_backed_up_only_by_force(lab):
    primary = lab.primary()
    lab.ok("set", "price", "12345", "--type", "number")
    lab.ok("set", "word", "unmistakable", "--type", "string")
    primary.stop()
    data = (primary.store / "current").resolve() / "data.mdb"
    data.write_bytes(data.read_bytes().replace(b"unmistakable", b"unmistakeable"[:12]))
    refused = lab.flagctl("backup", lab.dir / "b", "--store", primary.store)
    assert refused.code == 1 and "digest" in refused.err and not (lab.dir / "b").exists()
    assert lab.ok("backup", lab.dir / "b", "--force", "--store", primary.store)["faults"] >= 1
    assert "a store that has faults" in lab.flagctl("backup", "--help").out
    assert "faults" in recover(lab.dir / "b", lab.dir / "r").stderr
    assert not (lab.dir / "r/current").exists()
    assert recover(lab.dir / "b", lab.dir / "r", "--force").returncode == 0


def test_kill_9_in_the_middle_of_recovering_leaves_no_half_store(lab):
    primary = lab.primary()
    flags = {f"k{n:05}": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"} for n in range(20000)}
    lab.ok("import", lab.file("flags.json", {"flags": flags}))
    lab.ok("backup", lab.dir / "b", "--store", primary.store)
    epoch, store = lab.head()["epoch"], lab.dir / "r"
    start = time.monotonic()
    assert recover(lab.dir / "b", lab.dir / "whole").returncode == 0
    takes, killed, dice = time.monotonic() - start, 0, random.Random(11)
    for n in range(25):
        p = lab.process([BUILD / "hoistd", "recover", lab.dir / "b", "--store", store], f"recover{n}")
        time.sleep(dice.random() * takes)  # the one duration: where the kill falls is a throw of dice
        p.kill()
        if (store / "current").is_symlink():  # it was done: then it is all there
            fsck(lab, store)
            assert lab.head(store=store)["epoch"] > epoch
            shutil.rmtree(store)
        else:
            killed += 1
            assert lab.flagctl("list", "--store", store).code == 7
    assert killed > 5
    assert recover(lab.dir / "b", store).returncode == 0
    assert fsck(lab, store)["counts"]["flags"] == 20000


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a small disk")
def test_a_full_disk_leaves_neither_half_a_backup_nor_half_a_store(lab):
    small = lab.dir / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True).returncode != 0:
        pytest.skip("no mount here")
    try:
        primary = lab.primary()
        for n in range(6):
            lab.ok("set", f"k{n}", "x" * 100000, "--type", "string")
            lab.ok("set", f"k{n}", "y" * 100000, "--type", "string")
        (small / "old").write_bytes(b"kept")
        full = lab.flagctl("backup", small / "old", "--store", primary.store)
        assert full.code != 0 and "No space" in full.err, full
        assert [p.name for p in small.iterdir()] == ["old"] and (small / "old").read_bytes() == b"kept"
        lab.ok("backup", lab.dir / "b", "--store", primary.store)
        done = recover(lab.dir / "b", small / "store")
        assert done.returncode == 1 and ("No space" in done.stderr or "full" in done.stderr), done
        assert not (small / "store/current").exists() and not (small / "store/1").exists()
        subprocess.run(["mount", "-o", "remount,size=32m", small], check=True)
        assert recover(lab.dir / "b", small / "store").returncode == 0
        fsck(lab, small / "store")
    finally:
        subprocess.run(["umount", small], check=True)
