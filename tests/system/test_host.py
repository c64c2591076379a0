"""What a host can do to a store: containers, full disks, views under load, clocks."""
import json
import os
import subprocess
import time

import pytest

from hoist import BUILD, SANITIZED, clean_env, wait_until

root_only = pytest.mark.skipif(os.getuid() != 0, reason="needs root for namespaces and mounts")


@root_only
def test_two_containers_with_the_same_pid_read_at_once(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, agent)
    stuck = lambda: agent.metric("hoist_store_stuck_readers")
    boxed = ["unshare", "--pid", "--fork", "--kill-child"]
    one, two = (lab.process([*boxed, BUILD / "tests/system/holder", agent.store, "production", "k"], f"box{i}") for i in (1, 2))
    for box in (one, two):
        wait_until(lambda: "holding" in box.text(), what=f"{box.text()} reads as pid 1")
    named = wait_until(lambda: len(s := lab.ok("status", store=agent.store).get("stuck_readers", [])) == 2 and s)
    assert [reader["pid"] for reader in named] == [1, 1]
    one.kill()
    wait_until(lambda: stuck() == 1, what="the dead one's slot is cleared")
    time.sleep(2.5)  # two more rounds of clearing: the living one must keep its own
    assert stuck() == 1 and two.alive()
    assert "true" in subprocess.run([*boxed, BUILD / "examples/read", "--store", agent.store, "--env", "production", "k"],
                                    capture_output=True, text=True, env=clean_env()).stdout


@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of a few MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place):
    ballast = place / "ballast"
    with open(ballast, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"\0" * 4096)
        except OSError:
            pass
    return ballast


@root_only
def test_a_full_disk_on_the_primary_refuses_and_goes_on_reading(lab, small_disk):
    primary = lab.primary(store=small_disk / "store")
    lab.ok("set", "k", "on")
    ballast = fill(small_disk)
    big = lab.file("big.json", {"flags": {"big": {"state": "ENABLED", "variants": {"v": "x" * 200000}, "defaultVariant": "v"}}})
    refused = lab.flagctl("import", big)
    assert refused.code in (1, 4) and ("room" in refused.err or "space" in refused.err or "full" in refused.err), refused
    assert lab.flagctl("is", "k").code == 0
    assert primary.alive()
    ballast.unlink()
    lab.ok("import", big)
    assert lab.ok("get", "big")["value"] == "x" * 200000


@root_only
def test_an_agent_with_a_full_disk_keeps_its_version_and_recovers(lab, small_disk):
    primary = lab.primary()
    agent = lab.agent(store=small_disk / "store")
    lab.ok("set", "k", "on")
    version = lab.wait_equal(primary, agent)
    ballast = fill(small_disk)
    lab.ok("import", lab.file("big.json", {"flags": {"big": {"state": "ENABLED", "variants": {"v": "x" * 200000}, "defaultVariant": "v"}}}))
    state = wait_until(lambda: (s := lab.state(agent))["state"] == "refusing" and s)
    assert state["version"] == version and agent.alive()
    assert lab.flagctl("is", "k", store=agent.store).code == 0
    ballast.unlink()
    lab.wait_equal(primary, agent, limit_ms=60000)


@root_only
def test_a_reader_that_claims_its_slot_on_a_full_disk_lives(lab, small_disk):
    primary = lab.primary()
    agent = lab.agent(store=small_disk / "store")
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, agent)
    fill(small_disk)
    holders = [lab.process([BUILD / "tests/system/holder", agent.store, "production", "k"], f"holder{i}") for i in range(100)]
    for h in holders:
        wait_until(lambda: "holding" in h.text() or not h.alive())
        assert h.alive(), h.p.returncode


def test_views_never_mix_versions_while_changes_land(lab):
    primary = lab.primary()
    agent = lab.agent()
    both = lambda n: {"flags": {k: {"state": "ENABLED", "variants": {"value": n}, "defaultVariant": "value"} for k in ("pair.a", "pair.b")}}
    lab.ok("import", lab.file("pair.json", both(0)))
    lab.wait_equal(primary, agent)
    readers = [lab.process([BUILD / "tests/system/pair_reader", store, "production", "pair.a", "pair.b"], f"pair{i}")
               for i, store in enumerate((agent.store, primary.store))]
    for n in range(50 if SANITIZED else 300):
        lab.ok("import", lab.file("pair.json", both(n + 1)))
    lab.wait_equal(primary, agent)
    for r in readers:
        wait_until(lambda: "views" in r.text())
        assert r.alive() and "mixed" not in r.text(), r.text()


def test_the_growth_under_a_stuck_reader_ends(lab):
    """A view is never closed; each change touches hundreds of pages that it keeps from being used again."""
    primary = lab.primary()
    agent = lab.agent()
    flags = lambda every, n: {"flags": {f"flag{i:05}": {"state": "ENABLED", "variants": {"value": n}, "defaultVariant": "value"}
                                        for i in range(0, 20000, every)}}
    lab.ok("import", lab.file("all.json", flags(1, 0)), "--force")
    first = lab.wait_equal(primary, agent)
    holder = lab.process([BUILD / "tests/system/holder", agent.store, "production", "flag00000"], "holder")
    seen = lab.process([BUILD / "examples/read", "--store", agent.store, "--env", "production", "--watch", "flag00000"], "seen")
    wait_until(lambda: "holding" in holder.text() and "= 0" in seen.text())
    sizes = [0]
    for n in range(1, 200):
        version = lab.ok("import", lab.file("some.json", flags(10, n)))["version"]
        wait_until(lambda: lab.state(agent)["version"] == version)
        sizes.append(agent.metric("hoist_store_file_bytes"))
        if agent.metric("hoist_store_rotations_total"):
            break
    assert agent.metric("hoist_store_rotations_total") == 1, sizes[-1]
    assert max(sizes) > 240 << 20, "it grew before"
    assert agent.metric("hoist_store_file_bytes") < 120 << 20
    lab.ok("set", "flag00000", "4711")
    lab.wait_equal(primary, agent)
    wait_until(lambda: "= 4711" in seen.text(), what="a program reads on in the new file")
    assert holder.alive() and f"holding {first}" in holder.text()
    holder.kill()
    agent.stop()
    agent.again()
    lab.wait_equal(primary, agent)
    assert len([d for d in agent.store.iterdir() if d.name.isdigit()]) == 1


def test_a_store_replaced_under_a_program_is_noticed(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("set", "k", "1", "--type", "number")
    lab.wait_equal(primary, agent)
    seen = lab.process([BUILD / "examples/read", "--store", agent.store, "--env", "production", "--watch", "k"], "seen")
    wait_until(lambda: "1" in seen.text())
    agent.stop()
    agent.store.rename(lab.dir / "moved")
    agent.again()
    lab.ok("set", "k", "4711")
    lab.wait_equal(primary, agent)
    wait_until(lambda: "4711" in seen.text(), what="the program reads the new store")


def test_an_agent_whose_store_was_deleted_makes_it_anew(lab):
    import shutil
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("set", "k", "1", "--type", "number")
    lab.wait_equal(primary, agent)
    seen = lab.process([BUILD / "examples/read", "--store", agent.store, "--env", "production", "--watch", "k"], "seen")
    wait_until(lambda: "k = 1" in seen.text())
    shutil.rmtree(agent.store)
    wait_until(lambda: "was removed; making it anew" in agent.text())
    lab.ok("set", "k", "4711")
    wait_until(lambda: lab.flagctl("get", "k", "--raw", store=agent.store).out == "4711\n")
    wait_until(lambda: "k = 4711" in seen.text())
    shutil.rmtree(primary.store)
    wait_until(lambda: "goes on in the open files" in primary.text())
    lab.ok("set", "k", "4712")
    wait_until(lambda: "k = 4712" in seen.text())
    assert primary.text().count("goes on in the open files") == 1


@pytest.mark.skipif(SANITIZED, reason="a preloaded clock does not go with a preloaded sanitizer")
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_jumps_changes_no_order(lab, hours):
    shift = lab.dir / "shift"
    shift.write_text("0")
    env = clean_env(LD_PRELOAD=(BUILD / "tests/system/clock_shift.so").resolve(), CLOCK_SHIFT_FILE=shift)
    primary = lab.primary(env=env)
    agent = lab.agent(env=env)
    lab.ok("set", "k", "1", "--type", "number")
    lab.wait_equal(primary, agent)
    shift.write_text(str(hours * 3600))
    lab.ok("set", "k", "2")
    lab.wait_equal(primary, agent)
    changes = lab.ok("log")["changes"]
    assert [c["version"] for c in changes] == [3, 2, 1]
    assert (changes[0]["time"] > changes[1]["time"]) == (hours > 0), "the clock was really shifted"
    assert lab.ok("get", "k", store=agent.store)["value"] == 2
    assert lab.state(agent)["lag"] == 0
    # Nobody waits by the wall clock: heartbeats go on, and so does whoever dials.
    word = lambda: json.loads(agent.get("/status"))["upstream"]
    jumped = time.monotonic()
    wait_until(lambda: time.monotonic() > jumped + 2 and word()["connected"] and word()["news_ms"] < 1000, what="heartbeats go on")
    primary.stop()
    primary.again()
    lab.ok("set", "k", "3")
    lab.wait_equal(primary, agent)
