"""kill -9 of everything that a fleet is made of, at random moments and right after chosen calls, while four write to it: what was
acknowledged is everywhere, nothing is that nobody asked for, and all stores are right and equal."""
import collections
import mmap
import signal
import struct
import time

import pytest

from faults import Load, check_history, figures, seeded
from hoist import BUILD, SANITIZED, SOAK, clean_env, free_port, wait_until

KILLS = 512 if SOAK else 20
AGENTS = 20 if SOAK else 6  # every second one behind a relay
CALLS = {"write": 1, "sync": 2, "send": 3, "name": 4}  # as in kill_at.c
POINTS = ["write", "sync", "send"]  # what a fleet at work does all the time
AT_LEAST = {"write": 18, "sync": 11, "name": 16}  # of a first start
POINT_LIMIT_S = 2  # an agent that is told nothing writes nothing: it is killed then as it stands


class Order:
    """What kill_at.c is told; it stands in a file that both have mapped."""

    def __init__(self, path):
        path.write_bytes(bytes(8))
        with path.open("r+b") as f:
            self.map = mmap.mmap(f.fileno(), 8)
        self.env = clean_env() if SANITIZED else clean_env(LD_PRELOAD=(BUILD / "tests/system/kill_at.so").resolve(), KILL_AT=path)

    def give(self, point, nth):
        self.map[:] = struct.pack("<Ii", CALLS[point], nth)

    def take_back(self):
        self.map[:] = bytes(8)


class Reader:
    """A program that reads two flags which always change together, and ends if it ever sees one without the other."""

    def __init__(self, lab, store, name):
        self.p = lab.process([BUILD / "tests/system/pair_reader", store, "production", "pair.a", "pair.b"], name)
        self.lab, self.store, self.name = lab, store, name

    def kill(self):
        assert self.p.alive(), self.p.text()
        self.p.kill()
        self.__init__(self.lab, self.store, self.name)


class Killer:
    def __init__(self, dice):
        self.dice, self.done, self.turns = dice, collections.Counter(), []

    def point(self):
        """How it is to die: at once, or after the n-th call of a kind. Each has its turn."""
        if not self.turns:
            self.turns = ["at once"] if SANITIZED else self.dice.sample(["at once", *POINTS], 1 + len(POINTS))
        kind = self.turns.pop()
        return kind, min(1 + int(self.dice.expovariate(0.15)), 60)

    def die(self, victim, point, nth):
        if point != "at once":
            victim.order.give(point, nth)
            try:
                wait_until(lambda: not victim.alive(), POINT_LIMIT_S * 1000, every_ms=2)
            except AssertionError:
                point = "at once"
        victim.kill()
        assert victim.p.returncode == -signal.SIGKILL, f"{victim.name} ended by itself: {victim.text()[-2000:]}"
        self.done[victim.role] += 1
        self.done[point] += 1

    def strike(self, victim):
        """Some also die as they start again."""
        assert victim.alive(), f"{victim.name} ended by itself: {victim.text()[-2000:]}"
        self.die(victim, *self.point())
        again = self.dice.random() < 0.2
        victim.order.take_back()
        if again:
            victim.restart()
            self.die(victim, *self.point())
            victim.order.take_back()
        victim.restart()

    def count(self):
        return sum(self.done[role] for role in ("primary", "relay", "agent", "reader"))


def check_stores(lab, primary, followers):
    """Equal, by flags, digests and the hash of the last change, which vouches for all before it; and right in themselves."""
    lab.wait_equal(primary, *followers, limit_ms=120000)
    lab.ok("set", "load.0", "-1", "-m", "one that all have in their logs, also after a snapshot")
    lab.wait_equal(primary, *followers)
    heads = {lab.ok("log", "--limit", "1", "--store", d.store)["changes"][0]["hash"] for d in (primary, *followers)}
    assert len(heads) == 1, "they have different histories"
    for daemon in (primary, *followers):
        assert lab.ok("fsck", "--store", daemon.store, timeout=300)["ok"]
    assert lab.ok("audit", "verify", "--trust", primary.store / "trust.key", timeout=300)["ok"]


def start(lab):
    orders = {name: Order(lab.dir / f"{name}.kill") for name in ["primary", "relay", *(f"host{i}" for i in range(AGENTS))]}
    primary = lab.primary(env=orders["primary"].env)
    trust = ("--trust", primary.store / "trust.key")
    relay = lab.relay(*trust, name="relay", env=orders["relay"].env)
    ways = [relay.url, primary.url]  # both, in either order
    agents = [lab.agent(*trust, name=f"host{i}", upstream=ways if i % 2 else ways[::-1], ready=None, env=orders[f"host{i}"].env)
              for i in range(AGENTS)]
    for daemon in (primary, relay, *agents):
        daemon.order = orders[daemon.name]
    lab.ok("import", lab.file("load.json", Load.file()))
    lab.wait_equal(primary, relay, *agents)
    return primary, relay, agents


def test_kill_9_of_a_whole_fleet_soak(lab):
    dice = seeded("crash")
    primary, relay, agents = start(lab)
    readers = [Reader(lab, a.store, f"reader-{a.name}") for a in agents[:2]]
    loads = [Load(primary.port, i, dice, pause_s=0.04, patience_s=(0.05, 2)) for i in range(4)]
    for load in loads:
        load.start()
    killer = Killer(dice)
    begun = time.monotonic()
    while killer.count() < KILLS:
        time.sleep(dice.uniform(0, 0.3))
        whom = dice.choices(["primary", "relay", "agent", "reader"], [4, 2, 3, 1])[0]
        if whom == "reader":
            dice.choice(readers).kill()
            killer.done[whom] += 1
        else:
            killer.strike(primary if whom == "primary" else relay if whom == "relay" else dice.choice(agents))
        if whom == "primary" and dice.random() < 0.75:  # the others go on beside a primary that is only starting
            primary.wait_ready()
    took = time.monotonic() - begun
    for daemon in (primary, relay, *agents):
        daemon.wait_ready()
    for load in loads:
        load.end()
    check_stores(lab, primary, [relay, *agents])
    total = check_history(lab, loads)
    for reader in readers:
        wait_until(lambda: "views" in reader.p.text())
        assert reader.p.alive() and "mixed" not in reader.p.text(), reader.p.text()
    acknowledged, unknown = (sum(len(getattr(l, what)) for l in loads) for what in ("acknowledged", "unknown"))
    assert acknowledged > KILLS, "hardly anything was written meanwhile"
    assert SANITIZED or all(killer.done[point] > 0 for point in POINTS), f"some points were never reached: {killer.done}"
    each = ", ".join(f"{killer.done[what]} {what}" for what in ("primary", "relay", "agent", "reader"))
    points = ", ".join(f"{killer.done[what]} {what}" for what in ("at once", *POINTS))
    figures(f"crash: {killer.count()} kills in {took:.0f} s ({each}; {points}), {AGENTS} agents, {acknowledged:,} changes acknowledged, "
            f"{unknown} with unknown outcome, lost 0, invented 0, versions 1 to {total:,} without a hole")


@pytest.mark.skipif(SANITIZED, reason="kill_at.so is not loaded beside a sanitizer")
@pytest.mark.parametrize("point", ["write", "sync", "name"])
def test_a_first_start_that_is_killed_is_followed_by_one_that_comes_up_soak(lab, point):
    """After its n-th write or sync, or name that it made or took away: what there is of its store, its key and its trust file is no obstacle."""
    killed, dice = 0, seeded(f"first start, {point}")
    for nth in range(1, 61) if SOAK else sorted(dice.sample(range(1, AT_LEAST[point] + 1), 6)):
        order, store = Order(lab.dir / f"{nth}.kill"), lab.dir / f"primary{nth}"
        order.give(point, nth)
        first = lab.process([BUILD / "hoistd", "primary", "--store", store, "--listen", f"tcp://127.0.0.1:{free_port(2)}", "--http", "off"],
                            f"first{nth}", env=order.env)
        try:
            wait_until(lambda: not first.alive(), POINT_LIMIT_S * 1000)
        except AssertionError:
            first.kill()
            assert nth > AT_LEAST[point], "the start makes fewer calls than it used to"
            break
        assert first.p.returncode == -signal.SIGKILL, first.text()
        killed += 1
        primary = lab.primary(name=f"primary{nth}")
        lab.ok("set", "k", "on")
        assert lab.ok("audit", "verify", "--trust", store / "trust.key")["ok"]
        primary.stop()
    figures(f"crash: a first start was killed after each of {killed} calls ({point}), and one after it came up")
