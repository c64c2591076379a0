"""Memory that is out: each allocation of hoistd's and flagctl's own code fails once, and in a soak those of
their libraries. No program crashes, what was acknowledged stays, and what failed says so."""
import json
import os
import random
import signal
import struct
import subprocess

import pytest
from hoist import BUILD, SANITIZED, SOAK, Daemon, clean_env, free_port, wait_until

SEED = int(os.environ.get("SEED", 0)) or random.randrange(1, 1 << 31)
DONE, NO_ANSWER = 0, 7
JANSSON_ENDS = "lex_scan_string: Assertion"  # it asserts that it got memory for a text
needs_own_malloc = pytest.mark.skipif(SANITIZED, reason="a sanitizer has a malloc of its own")


class Layer:
    """alloc_fault.so before one program: the `at`-th allocation fails."""

    def __init__(self, lab, at, libs=False):
        self.state = lab.dir / "alloc.state"
        self.state.write_bytes(bytes(16))
        more = {"ALLOC_FAULT_LIBS": 1} if libs else {}
        self.env = clean_env(LD_PRELOAD=BUILD.resolve() / "tests/system/alloc_fault.so", ALLOC_FAULT_AT=at,
                             ALLOC_FAULT_STATE=self.state, HOME=lab.dir, **more)

    def numbers(self):
        return struct.unpack("<QQ", self.state.read_bytes())


def hoistd_under(lab, role, name, args, work, at):
    """A hoistd in a new store and some work with it, under one fault; then a start without it."""
    layer = Layer(lab, at)
    daemon = Daemon(lab, role, name, args, lab.dir / name, free_port(), env=layer.env)
    lab.all.append(daemon)
    wait_until(lambda: not daemon.alive() or (daemon.get("/healthz") and daemon.get("/readyz")), what=f"{name} is ready or has ended")
    said = work(daemon) if daemon.alive() else {}
    code = daemon.p.poll()
    text = daemon.text()
    assert code in (None, 1, 2), (name, at, code, text[-2000:])
    assert code is None or text.strip(), "it ends, and says why"
    daemon.kill()
    argv, path, _ = daemon.start_args
    daemon.start_args = (argv, path, {})
    daemon.again()
    for key, answer in said.items():
        there = lab.flagctl("get", key, store=daemon.store).code == 0
        assert answer.code != DONE or there, ("acknowledged and lost", name, at, key, answer)
        assert answer.code in (DONE, NO_ANSWER) or not there, ("refused and there", name, at, key, answer)
    assert lab.flagctl("fsck", store=daemon.store).code == 0
    daemon.kill()
    return layer.numbers()


def primary_under(lab, name, at):
    url = f"tcp://127.0.0.1:{free_port(2)}"
    return hoistd_under(lab, "primary", name, ["--listen", url],
                        lambda _: {key: lab.flagctl("set", key, "on", "--timeout", "3s", primary=url) for key in ("one", "two")}, at)


def agent_under(lab, primary, name, at):
    def follow(agent):
        lab.ok("set", "moving", name, "--type", "string")
        head = lab.state(primary)["version"]
        wait_until(lambda: not agent.alive() or lab.state(agent)["version"] == head, what=f"{name} goes on, or ends")
        return {}
    return hoistd_under(lab, "agent", name, ["--upstream", lab.url, "--id", name], follow, at)


def chosen(calls, dice, count):
    whole = list(range(1, calls + 1))
    return whole if SOAK else dice.sample(whole, min(count, calls))


@needs_own_malloc
def test_each_allocation_of_a_hoistd_that_fails_soak(lab):
    dice = random.Random(SEED)
    injected = 0
    calls, _ = primary_under(lab, "counted", 0)
    for at in chosen(calls, dice, 8):
        injected += primary_under(lab, f"p{at}", at)[1]
    primary = lab.primary()
    lab.ok("set", "one", "on")
    followed, _ = agent_under(lab, primary, "counted-agent", 0)
    for at in chosen(followed, dice, 6):
        injected += agent_under(lab, primary, f"a{at}", at)[1]
    assert injected > 0
    print(f"\nmemory: {injected} allocations failed (seed {SEED}; {calls} of a primary's, {followed} of an agent's), crashed 0, lost 0")


@needs_own_malloc
def test_each_allocation_of_flagctl_that_fails_soak(lab):
    dice = random.Random(SEED)
    primary = lab.primary()
    lab.ok("set", "one", "on")
    tried = 0
    commands = [["set", "one", "off"], ["get", "one"], ["list"], ["log"], ["export"], ["status"], ["fsck", "--store", primary.store]]
    for command in commands:
        argv = [BUILD / "flagctl", *map(str, command), "--json"]
        layer = Layer(lab, 0)
        layer.env["HOIST_PRIMARY"] = lab.url
        subprocess.run(argv, env=layer.env, capture_output=True, timeout=60)
        for at in chosen(layer.numbers()[0], dice, 6):
            layer.state.write_bytes(bytes(16))
            layer.env["ALLOC_FAULT_AT"] = str(at)
            done = subprocess.run(argv, env=layer.env, capture_output=True, text=True, timeout=60)
            if done.returncode == -signal.SIGABRT and JANSSON_ENDS in done.stderr:
                continue
            assert done.returncode in (0, 1, 2, 7), (command, at, done)
            assert done.returncode == 0 or done.stderr.strip() or done.stdout.strip(), (command, at, done)
            if done.returncode == 0 and done.stdout:
                json.loads(done.stdout)
            tried += layer.numbers()[1]
    assert tried > 0 and primary.alive()
    print(f"\nmemory: {tried} allocations of flagctl failed (seed {SEED}), crashed 0")
