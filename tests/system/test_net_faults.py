"""Links that go wrong under writers, from a seed (SEED=): all hosts converge after it, nothing acknowledged is lost,
nothing is invented. Partitions of several lengths in network namespaces: how long each takes to heal."""
import collections
import os
import subprocess
import threading
import time

import pytest

from faults import figures, seeded
from faulty_link import FaultyLink, descriptors
from hoist import SANITIZED, SOAK, Writer, wait_until

root_only = pytest.mark.skipif(os.getuid() != 0, reason="needs root to make network namespaces")
ALL = {"delay": 0.03, "cut": 0.01, "drop": 0.01, "double": 0.01, "corrupt": 0.02, "truncate": 0.01, "half-close": 0.004, "stall": 0.004}
# Nobody checks a command's bytes but TLS and its signature: its link breaks, and does not alter.
COMMANDS = {"delay": 0.05, "cut": 0.02, "half-close": 0.01, "stall": 0.01}


def acknowledged_are_there(lab, writers):
    """Each acknowledged write is a change of the log, once; no change of the log was written by nobody."""
    changes = lab.ok("log", "--limit", "1000000")["changes"]
    assert [c["version"] for c in changes] == list(range(len(changes), 0, -1))
    seen = collections.Counter(c["message"] for c in changes if c["message"].startswith("write "))
    sure = {f"write {w.name} {n}" for w in writers for n in w.acknowledged}
    maybe = {f"write {w.name} {n}" for w in writers for n in w.unknown}
    lost = [m for m in sure if seen[m] != 1]
    invented = [m for m in seen if m not in sure | maybe or seen[m] > 1]
    return lost, invented


class Hand(Writer):
    """A Writer whose messages carry its name."""

    def __init__(self, lab, number, url):
        super().__init__(lab, [f"n{number}-{k}" for k in range(3)], url=url)
        self.name = f"w{number}"

    def run(self):
        while not self.ending.is_set():
            self.count += 1
            key = self.keys[self.count % len(self.keys)]
            a = self.lab.flagctl("set", key, self.count, "--type", "number", "--timeout", "5s", "-m", f"write {self.name} {self.count}",
                                 primary=self.url)
            if a.code == 0:
                self.acknowledged[self.count] = key
            elif a.code == 7:
                self.unknown[self.count] = key
            else:
                self.refused += 1
            self.ending.wait(0.05)


def fleet_behind_bad_links(lab, agents, hands, seed):
    """A primary, a relay and agents, each behind a link of its own; writers behind one more."""
    primary = lab.primary("--heartbeat-ms", "50")
    trust = primary.store / "trust.key"
    links = [FaultyLink(primary.port, seed, ALL, name="relay")]
    relay = lab.relay("--trust", trust, "--heartbeat-ms", "50", upstream=links[0].url, ready=False)
    followers = []
    for i in range(agents):
        behind = primary if i % 2 else relay
        links.append(FaultyLink(behind.port, seed, ALL, name=f"agent{i}"))
        followers.append(lab.agent("--trust", trust, "--heartbeat-ms", "50", name=f"agent{i}", upstream=links[-1].url, ready=False))
    links.append(FaultyLink(primary.port, seed, COMMANDS, spoils=(), name="writers"))
    writers = [Hand(lab, n, links[-1].url) for n in range(hands)]
    return primary, relay, followers, links, writers


def refused_frames(daemons):
    total = 0
    for d in daemons:
        total += sum(float(line.rsplit(" ", 1)[1]) for line in d.get("/metrics").splitlines()
                     if line.startswith("hoist_frames_refused_total{"))
    return int(total)


def run_faults(lab, agents, hands, seconds):
    primary, relay, followers, links, writers = fleet_behind_bad_links(lab, agents, hands, seeded("network").random())
    daemons = [primary, relay, *followers]
    try:
        for w in writers:
            w.start()
        time.sleep(seconds)
        for w in writers:
            w.end()
        for link in links:
            link.calm()
        calm = time.monotonic()
        assert all(d.alive() for d in daemons), [d.name for d in daemons if not d.alive()]
        lab.wait_equal(primary, relay, *followers, limit_ms=60000 if SANITIZED else 30000)
        healed = time.monotonic() - calm
        lost, invented = acknowledged_are_there(lab, writers)
        done = sum((link.done for link in links), collections.Counter())
        wrote = sum(len(w.acknowledged) for w in writers)
        refused = refused_frames(daemons)
        figures(f"network: {sum(done.values())} faults ({', '.join(f'{k} {v}' for k, v in sorted(done.items()))}), "
              f"{wrote} changes acknowledged, {sum(len(w.unknown) for w in writers)} unknown, lost {len(lost)}, invented {len(invented)}, "
              f"{refused} frames refused, equal {healed:.1f} s after the last fault")
        assert not lost and not invented, (lost, invented)
        assert wrote > 0 and done["corrupt"] + done["double"] + done["drop"] > 0
        for link in links:
            link.cut_all()
        # Each has its own few files and connections, whatever came and went.
        wait_until(lambda: all(descriptors(d.pid) < 120 for d in daemons), what="descriptors are given back")
    finally:
        for link in links:
            link.close()


def test_links_that_go_wrong_lose_and_invent_nothing(lab):
    run_faults(lab, agents=4, hands=2, seconds=5)


@pytest.mark.skipif(not SOAK, reason="soak")
def test_soak_links_that_go_wrong(lab):
    run_faults(lab, agents=12, hands=4, seconds=int(os.environ.get("FAULT_SECONDS", "180")))


# ---------------------------------------------------------------- partitions

@pytest.fixture
def three_hosts():
    """Namespaces p, r and a, on one bridge in a fourth: {name: namespace}; their addresses are 10.214.0.1, 2 and 3."""
    tag = os.getpid()
    names = {k: f"hoist-{k}{tag}" for k in "pras"}
    run = lambda *words: subprocess.run(words, check=True)
    made = []
    try:
        for ns in names.values():
            run("ip", "netns", "add", ns)
            made.append(ns)
        run("ip", "-n", names["s"], "link", "add", "br0", "type", "bridge")
        run("ip", "-n", names["s"], "link", "set", "br0", "up")
        for i, k in enumerate("pra"):
            run("ip", "link", "add", "eth0", "netns", names[k], "type", "veth", "peer", "name", f"to-{k}", "netns", names["s"])
            run("ip", "-n", names["s"], "link", "set", f"to-{k}", "master", "br0", "up")
            run("ip", "-n", names[k], "addr", "add", f"10.214.0.{i + 1}/24", "dev", "eth0")
            run("ip", "-n", names[k], "link", "set", "eth0", "up")
            run("ip", "-n", names[k], "link", "set", "lo", "up")
        yield names
    finally:
        for ns in made:
            subprocess.run(["ip", "netns", "del", ns])


class Split:
    """A primary, a relay and an agent on a host each, and a writer at the primary's local socket."""

    def __init__(self, lab, names):
        from test_network import Distant
        self.lab, self.names = lab, names
        self.primary = Distant(lab, names["p"], "primary", "primary", "--listen", "tcp://10.214.0.1:7400", "--listen", f"ipc://{lab.dir}/p.sock")
        lab.url = f"ipc://{lab.dir}/p.sock"
        lab.ok("set", "n", "0", "--type", "number", "--timeout", "20s")
        trust = ["--trust", lab.dir / "primary" / "trust.key"]
        self.relay = Distant(lab, names["r"], "relay", "relay", "--upstream", "tcp://10.214.0.1:7400", "--listen", "tcp://10.214.0.2:7400",
                             "--id", "relay", *trust)
        self.agent = Distant(lab, names["a"], "agent", "agent", "--upstream", "tcp://10.214.0.2:7400", "--id", "far", *trust)
        self.n = 0
        wait_until(self.equal, what="the fleet is there")

    def equal(self):
        want = self.primary.env()["version"]
        return all(d.env()["version"] == want and d.env()["state"] == "current" for d in (self.relay, self.agent))

    def change(self):
        self.n += 1
        self.lab.ok("set", "n", self.n)

    def link(self, host, up):
        subprocess.run(["ip", "-n", self.names["s"], "link", "set", f"to-{host}", "up" if up else "down"], check=True)

    def one_way(self, host, on):
        """What `host` sends is lost; what is sent to it arrives."""
        subprocess.run(["tc", "-n", self.names[host], "qdisc", "add" if on else "del", "dev", "eth0", "root",
                        *(("tbf", "rate", "8bit", "burst", "1", "limit", "1") if on else ())], check=True)

    def heals(self, what):
        """Seconds from now until all are equal again."""
        began = time.monotonic()
        self.change()
        wait_until(self.equal, limit_ms=30000, what=f"equal after {what}")
        return time.monotonic() - began


def partitions(lab, names, holes, flaps, cuts=("r", "a", "ra")):
    split = Split(lab, names)
    healed = {}
    for seconds in holes:
        for hosts in cuts:
            for h in hosts:
                split.link(h, False)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                split.change()
                time.sleep(0.1)
            for h in hosts:
                split.link(h, True)
            healed[f"{'+'.join(hosts)} cut {seconds:g} s"] = split.heals(f"{seconds} s without {hosts}")
    for i in range(flaps):
        split.link("r", i % 2 == 1)
        split.change()
        time.sleep(0.3)
    split.link("r", True)
    healed[f"r flapping {flaps} times"] = split.heals("a flapping link")
    for host in "ra" if SOAK else "r":
        split.one_way(host, True)
        time.sleep(3)
        split.change()
        split.one_way(host, False)
        healed[f"{host} sends into nothing 3 s"] = split.heals(f"one way of {host}")
    figures("partitions healed after: " + ", ".join(f"{k}: {v:.2f} s" for k, v in healed.items()))
    # nng dials again within 250 ms, and a host within five heartbeats: never the minutes of TCP's own back-off.
    assert max(healed.values()) < 10
    assert lab.export(split.agent.store) == lab.export(split.primary.store)


@root_only
def test_partitions_heal_in_seconds(lab, three_hosts):
    partitions(lab, three_hosts, holes=(0.3, 2), flaps=4, cuts=("r", "ra"))


@root_only
@pytest.mark.skipif(not SOAK, reason="soak")
def test_soak_partitions(lab, three_hosts):
    partitions(lab, three_hosts, holes=(0.2, 1, 2, 5, 15, 40), flaps=60)
