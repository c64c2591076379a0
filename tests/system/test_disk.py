"""Disks that fail: each write, sync, allocation and mapping of hoistd's in turn, and one that is full.
What was acknowledged is there afterwards, what was refused is not, and a start says what is wrong."""
import contextlib
import errno
import os
import random
import struct
import subprocess

import pytest
from hoist import BUILD, SANITIZED, SOAK, Daemon, Writer, clean_env, free_port, wait_until

SEED = int(os.environ.get("SEED", 0)) or random.randrange(1, 1 << 31)
KEYS = ["one", "two", "three"]
FAULTS = [errno.EIO, errno.ENOSPC, errno.EDQUOT, 0]  # 0: a write is short
DONE, NO_ANSWER = 0, 7


class Layer:
    """disk_fault.so before one daemon's store: the `at`-th call fails."""

    def __init__(self, lab, store, at, error):
        self.state = lab.dir / "fault.state"
        self.state.write_bytes(bytes(16))
        self.env = clean_env(LD_PRELOAD=BUILD.resolve() / "tests/system/disk_fault.so", DISK_FAULT_DIR=store,
                             DISK_FAULT_AT=at, DISK_FAULT_ERRNO=error, DISK_FAULT_STATE=self.state)

    def numbers(self):
        return struct.unpack("<QQ", self.state.read_bytes())


def settle(daemon):
    """Whether it is ready; else it ended, and said why."""
    def is_settled():
        return not daemon.alive() or (daemon.get("/healthz") and daemon.get("/readyz"))
    wait_until(is_settled, what=f"{daemon.name} is ready or has ended")
    if daemon.alive():
        return True
    assert daemon.p.returncode == 1, (daemon.p.returncode, daemon.text()[-2000:])
    assert "level=error" in daemon.text(), daemon.text()
    return False


def primary_under(lab, name, at, error):
    """A new primary and a few changes under one fault, then a start without it. How many calls there were."""
    store, port = lab.dir / name, free_port(2)
    layer = Layer(lab, store, at, error)
    url = f"tcp://127.0.0.1:{port}"
    primary = Daemon(lab, "primary", name, ["--listen", url], store, free_port(), env=layer.env)
    lab.all.append(primary)
    said = {}
    if settle(primary):
        for key in KEYS:
            said[key] = lab.flagctl("set", key, "on", "--timeout", "3s", primary=url)
    primary.kill()
    calls, failed = layer.numbers()
    log = primary.text()
    argv, path, _ = primary.start_args
    primary.start_args = (argv, path, {})
    primary.again()
    for key, answer in said.items():
        there = lab.flagctl("get", key, primary=url).code == 0
        what = (name, at, error, key, answer, log)
        assert answer.code != DONE or there, ("acknowledged and lost", what)
        assert answer.code in (DONE, NO_ANSWER) or not there, ("refused and there", what)
        assert answer.code == DONE or failed, ("no fault, and yet", what)
    assert lab.flagctl("fsck", store=store).code == 0
    primary.kill()
    return calls, failed, list(said.values())


def agent_under(lab, primary, name, at, error):
    """A new agent that loads and follows under one fault, then a start without it."""
    layer = Layer(lab, lab.dir / name, at, error)
    agent = lab.agent(name=name, ready=None, env=layer.env)
    if settle(agent):
        for n in range(3):
            lab.ok("set", "moving", f"{name}-{n}", "--type", "string")
        head = lab.state(primary)["version"]
        wait_until(lambda: not agent.alive() or lab.state(agent)["version"] == head, what=f"{name} goes on, or ends")
        assert agent.alive() or "level=error" in agent.text(), (at, error, agent.p.returncode, agent.text()[-2000:])
    agent.kill()
    argv, path, _ = agent.start_args
    agent.start_args = (argv, path, {})
    agent.again()
    lab.wait_equal(primary, agent)
    assert lab.flagctl("fsck", store=agent.store).code == 0
    agent.kill()
    return layer.numbers()


def chosen(calls, dice, each):
    """All calls in a soak, a few of them else: with which fault each fails."""
    whole = [(at, error) for at in range(1, calls + 1) for error in FAULTS]
    return whole if SOAK else dice.sample(whole, min(each, len(whole)))


@pytest.mark.skipif(SANITIZED, reason="a sanitizer is to be loaded first")
def test_each_call_that_fails_loses_nothing_soak(lab):
    dice = random.Random(SEED)
    injected, answers = 0, []
    calls, _, _ = primary_under(lab, "counted", 0, 0)
    assert calls > 20
    for at, error in chosen(calls, dice, 8):
        _, failed, said = primary_under(lab, f"p{at}-{error}", at, error)
        injected += failed
        answers += said
    primary = lab.primary()
    for key in KEYS:
        lab.ok("set", key, "on")
    followed, _ = agent_under(lab, primary, "counted-agent", 0, 0)
    for at, error in chosen(followed, dice, 6):
        injected += agent_under(lab, primary, f"a{at}-{error}", at, error)[1]
    assert injected > 0
    done = sum(a.code == DONE for a in answers)
    unknown = sum(a.code == NO_ANSWER for a in answers)
    print(f"\ndisk: {injected} faults injected (seed {SEED}; {calls} calls of a primary, {followed} of an agent), "
          f"{done} changes acknowledged, {unknown} with unknown outcome, {len(answers) - done - unknown} refused, lost 0, invented 0")


# ------------------------------------------------------------------ full

@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of a few MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place):
    """To the last page."""
    with open(place / "ballast", "ab", buffering=0) as f:
        with contextlib.suppress(OSError):
            while f.write(bytes(4096)):
                pass


@pytest.mark.skipif(os.getuid() != 0, reason="needs root for mounts")
@pytest.mark.parametrize("whose", ["primary", "agent"])
def test_a_disk_that_fills_up_under_writers_and_readers(lab, small_disk, whose):
    """What is refused while it is full is not there; with room again all goes on, by itself."""
    primary = lab.primary("--log-min", "10", "--log-bytes", "64KiB", store=small_disk / "p" if whose == "primary" else None)
    agent = lab.agent(store=small_disk / "a" if whose == "agent" else None)
    lab.ok("import", lab.file("pair.json", {"flags": {k: {"state": "ENABLED", "variants": {"value": 0}, "defaultVariant": "value"}
                                                      for k in ("pair.a", "pair.b")}}))
    lab.wait_equal(primary, agent)
    store = primary.store if whose == "primary" else agent.store
    reader = lab.process([BUILD / "tests/system/pair_reader", store, "production", "pair.a", "pair.b"], "pair")
    writers = [Writer(lab, [f"w{n}"]) for n in range(2)]
    for w in writers:
        w.start()
    wait_until(lambda: all(len(w.acknowledged) > 2 for w in writers))
    for _ in range(6 if SOAK else 2):
        fill(small_disk)
        counts = [w.count for w in writers]
        wait_until(lambda: all(w.count > c + 3 for w, c in zip(writers, counts)), what="they try on while it is full")
        lab.ok("is", "pair.a", "value", store=store)
        (small_disk / "ballast").unlink()
        done = [len(w.acknowledged) for w in writers]
        wait_until(lambda: all(len(w.acknowledged) > d for w, d in zip(writers, done)), limit_ms=60000, what="they go on")
    for w in writers:
        w.end()
    lab.wait_equal(primary, agent, limit_ms=60000)
    assert primary.alive() and agent.alive() and reader.alive(), reader.text()
    for w in writers:  # one key each, so the last that was acknowledged is there, or one of unknown outcome behind it
        last = max(w.acknowledged)
        value = lab.ok("get", w.keys[0])["value"]
        assert value == last or (value > last and value in w.unknown), (value, last, w.unknown)
    assert lab.flagctl("fsck", store=store).code == 0
    refused = sum(w.refused for w in writers)
    print(f"\ndisk: full on the {whose}, {sum(len(w.acknowledged) for w in writers)} changes acknowledged, {refused} refused, lost 0")
