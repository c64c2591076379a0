"""Hours of it, in short: a steady load of changes, agents that follow, readers that come and go; and nothing grows."""
import json
import os
import subprocess
import threading
import time

from faults import Load, figures, seeded
from hoist import BUILD, SANITIZED, SOAK, clean_env

SECONDS = int(os.environ.get("SOAK_SECONDS") or (1800 if SOAK else 20))
AGENTS = 50 if SOAK else 8
RATE = 200 if SOAK else 100
READERS = 4  # at any time
WRITERS = 16 if SOAK else 4  # each waits for its answers; the primary commits what waits together
# The log is at its limit after 5 minutes, and the kept answers (10 minutes of them) at theirs after 10: from then on all stands still.
SETTLE_S = min(SECONDS // 2, 720)
KEPT_S = 600  # of the answers: how many changes were made in that time before a look tells how many answers the primary's file holds
# What may come on top of a tenth. A leak of 24 bytes a change is 4 MiB and more in the 18 minutes that are left.
# (The address sanitizer keeps what is freed: its memory grows for minutes.)
# Of each program that reads on its host an agent holds two descriptors, as long as it lives.
MORE = {"memory": 3 << 20 if not SANITIZED else 1 << 40, "file": 4 << 20, "descriptors": 2 + 2 * READERS, "threads": 0}


class Churn(threading.Thread):
    """Readers of many hosts' stores that begin, read and end, or are killed, all the time."""

    def __init__(self, dice, stores):
        super().__init__(daemon=True)
        self.dice, self.stores, self.count, self.ending = dice, stores, 0, threading.Event()

    def run(self):
        running = []
        while not self.ending.wait(0.05):
            if len(running) == READERS:
                p = running.pop(0)
                self.dice.choice((p.terminate, p.kill))()
                p.wait()
            running.append(subprocess.Popen([BUILD / "examples/read", "--store", self.dice.choice(self.stores), "--watch", "load.1"],
                                            env=clean_env(), stdout=subprocess.DEVNULL))
            self.count += 1
        for p in running:
            p.kill()
            p.wait()

    def end(self):
        self.ending.set()
        self.join(10)


class Lags(threading.Thread):
    """How far behind the primary each agent says it is, asked of one after the other, each about once a second."""

    def __init__(self, lab, agents):
        super().__init__(daemon=True)
        self.lab, self.agents, self.ms, self.ending = lab, agents, [], threading.Event()

    def run(self):
        while not self.ending.is_set():
            for agent in self.agents:
                self.ms.append(self.lab.state(agent)["behind_ms"])
                self.ending.wait(1 / len(self.agents))

    def end(self):
        self.ending.set()
        self.join(10)
        return sorted(self.ms)


def look(process, store):
    """What a process holds. Memory is what is its own: pages of the store's file belong to the kernel's cache."""
    status = open(f"/proc/{process.pid}/status").read()
    field = lambda name: int(status.split(f"{name}:")[1].split()[0])
    return {"memory": field("RssAnon") << 10, "file": ((store / "current").resolve() / "data.mdb").stat().st_size,
            "descriptors": len(os.listdir(f"/proc/{process.pid}/fd")), "threads": field("Threads")}


def greatest(looks, what):
    return max(l[what] for l in looks)


def told(role, first, settled, last):
    size = lambda looks, what: f"{greatest(looks, what) / (1 << 20):.1f}"
    number = lambda looks, what: f"{greatest(looks, what)}"
    parts = (f"{what} {' → '.join((size if what in ('memory', 'file') else number)(l, what) for l in (first, settled, last))}" for what in MORE)
    figures(f"  {role} (first → after {SETTLE_S} s → last; MiB): {', '.join(parts)}")


def rate(earlier, later):
    return (later[1] - earlier[1]) / max(later[0] - earlier[0], 1)


def landed(primary):
    """The primary's own histogram: from a commit until the last live host has it; a bound below which 99 of 100 were."""
    series = 'hoist_convergence_duration_seconds_bucket{env="production",kind="change",le="'
    rows = [line[len(series):].split('"} ') for line in primary.get("/metrics").splitlines() if line.startswith(series)]
    total = int(rows[-1][1])
    return next(bound for bound, count in rows if int(count) >= 0.99 * total), total


def test_nothing_grows_soak(lab):
    dice = seeded("soak")
    primary = lab.primary("--log-bytes", "16MiB")
    assert Load(primary.port, 0, dice).client.command("apply", env="production", file=json.dumps(Load.file()))[0] == 0
    agents = [lab.agent("--log-bytes", "16MiB", name=f"host{i}") for i in range(AGENTS)]
    loads = [Load(primary.port, i, dice, WRITERS / RATE, kinds={"set": 98, "kill": 1, "restore": 1}) for i in range(WRITERS)]
    stays = lab.process([BUILD / "examples/read", "--store", agents[0].store, "--watch", "load.1"], "stays", stdout=subprocess.DEVNULL)
    churn, lags = Churn(dice, [a.store for a in agents]), Lags(lab, agents)
    begun = time.monotonic()
    for thread in (*loads, churn, lags):
        thread.start()
    looks, marks = [], []
    for at in (min(5, SETTLE_S / 2), SETTLE_S - KEPT_S, SETTLE_S, SECONDS - KEPT_S, SECONDS):
        time.sleep(max(0, begun + at - time.monotonic()))
        marks.append((time.monotonic(), sum(len(load.acknowledged) for load in loads)))
        looks.append(([look(primary, primary.store)], [look(a, a.store) for a in agents], [look(stays, agents[0].store)]))
    looks, rates = looks[::2], [rate(*marks[1:3]), rate(*marks[3:5])]
    took, ms = time.monotonic() - begun, lags.end()
    churn.end()
    for load in loads:
        load.end()
    done = sum(len(load.acknowledged) for load in loads)
    within, watched = landed(primary)
    figures(f"soak: {took:.0f} s, {done:,} changes ({done / took:.0f} a second; {rates[0]:.0f} in the time before the second look, {rates[1]:.0f} before "
            f"the last), {AGENTS} agents, {churn.count:,} readers came and went; lag p50 {ms[len(ms) // 2]} ms, p99 {ms[len(ms) * 99 // 100]} ms, "
            f"max {ms[-1]} ms; 99 % of {watched:,} commits on all hosts within {within} s")
    for role, by_time in zip(("primary", "agents, the greatest", "a reader that stays"), zip(*looks)):
        told(role, *by_time)
    assert not any(load.unknown or load.refused for load in loads)
    assert done > RATE * took / 2, "the load was not what it is meant to be: the machine is too slow or too busy"
    lab.wait_equal(primary, *agents)
    for of_role in zip(*looks):
        for settled, last in zip(of_role[1], of_role[2]):
            for what, more in MORE.items():
                assert last[what] <= settled[what] * (1.1 if more > 2 else 1) + more, f"{what} grew from {settled[what]} to {last[what]}"
    for daemon in (primary, *agents):
        assert daemon.metric("hoist_store_rotations_total") == 0 and daemon.metric("hoist_store_stuck_readers") == 0
        assert lab.ok("fsck", "--store", daemon.store, timeout=300)["ok"]
