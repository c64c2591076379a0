"""The programs of another release beside these, in each role, in any order of upgrades, and on each other's stores.

$HOIST_PREVIOUS is a directory with that release's hoistd and flagctl; without it, what `make previous REV=COMMIT` has built.
"""
import itertools
import os
import pathlib
import subprocess
import time

import pytest

from hoist import BUILD, SOAK, TOP, clean_env, wait_until
from test_relay import flags, wait_ways

OLD = pathlib.Path(os.environ.get("HOIST_PREVIOUS") or TOP / "build/previous").resolve()
pytestmark = [pytest.mark.skipif(not (OLD / "hoistd").exists(),
                                 reason="no programs of another release: make previous REV=COMMIT, or HOIST_PREVIOUS=DIR"),
              pytest.mark.skipif(not SOAK, reason="two releases beside each other: make soak ONLY=previous")]
BUILDS = {"old": OLD, "new": BUILD.resolve()}


def move(daemon, which):
    """Stop it, and start the same with the other release's programs."""
    argv, log, popen = daemon.start_args
    daemon.start_args = ([BUILDS[which] / "hoistd", *argv[1:]], log, popen)
    daemon.stop()
    daemon.again()


class Fleet:
    """A primary, a relay with an agent of each release behind it, and one of each beside it."""

    def __init__(self, lab, primary, relay):
        self.lab, self.count = lab, 0
        self.primary = self.make(primary, lab.primary)
        self.relay = self.make(relay, lab.relay, name="relay")
        self.agents = [self.make(which, lab.agent, name=f"{which}-{place}", upstream=url)
                       for which in BUILDS for place, url in (("behind", self.relay.url), ("beside", self.primary.url))]

    def make(self, which, start, **more):
        self.lab.build = BUILDS[which]
        return start(**more)

    def write(self):
        """Changes of every kind, asked by flagctl of both releases; then all are equal."""
        for which in BUILDS:
            self.lab.build = BUILDS[which]
            self.count += 1
            n = self.count
            self.lab.ok("set", "k", n, "--type", "number", "-m", "an ä in it")
            self.lab.ok("import", self.lab.file("f.json", flags(20, n)))
            self.lab.ok("set", "switch", "off" if n % 2 else "on")
            self.lab.ok("kill", "switch", "--wait", "--timeout", "20s")
            self.lab.ok("restore", "switch")
            self.lab.ok("set", "k", -n)
            self.lab.ok("rollback", "--last")
            assert self.lab.ok("get", "k")["value"] == n
            assert self.lab.ok("audit", "verify")["ok"]
        self.check()

    def check(self):
        every = [self.relay, *self.agents]
        self.lab.wait_equal(self.primary, *every)
        for which in BUILDS:
            self.lab.build = BUILDS[which]
            for daemon in (self.primary, *every):
                assert self.lab.ok("fsck", "--store", daemon.store)["ok"], (which, daemon.name)
                assert self.lab.ok("get", "k", "--store", daemon.store)["value"] == self.count


@pytest.mark.parametrize("relay", BUILDS)
@pytest.mark.parametrize("primary", BUILDS)
def test_each_release_in_each_role_soak(lab, primary, relay):
    fleet = Fleet(lab, primary, relay)
    fleet.write()
    wait_ways(lab, **{"relay": "", "old-behind": "relay", "new-behind": "relay", "old-beside": "", "new-beside": ""})


@pytest.mark.parametrize("order", itertools.permutations(("primary", "relay", "agents")), ids="-".join)
def test_any_order_of_upgrades_and_back_soak(lab, order):
    """So each store is written by one release, then by the other, then by the first again."""
    fleet = Fleet(lab, "old", "old")
    for which in ("new", "old", "new"):
        for role in order:
            for daemon in fleet.agents if role == "agents" else [getattr(fleet, role)]:
                move(daemon, which)
            fleet.write()


@pytest.mark.parametrize("saver, heir", [("old", "new"), ("new", "old")])
def test_one_goes_on_from_the_others_backup_and_from_its_hosts_store_soak(lab, saver, heir):
    fleet = Fleet(lab, saver, saver)
    fleet.write()
    lab.build = BUILDS[saver]
    lab.ok("backup", lab.dir / "b", "--store", fleet.primary.store)
    want = lab.export(fleet.primary.store)
    fleet.primary.kill()
    agent = fleet.agents[1]
    agent.stop()
    lab.build = BUILDS[heir]
    done = subprocess.run([lab.build / "hoistd", "recover", lab.dir / "b", "--store", lab.dir / "r"], env=clean_env(), capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done
    for store, args in ((lab.dir / "r", ()), (agent.store, ("--take-over",))):
        second = int(time.time())
        wait_until(lambda: int(time.time()) > second)  # of two epochs begun in one, the later may be the smaller
        new = lab.primary(*args, name=f"from-{store.name}", store=store, port=fleet.primary.port)
        assert lab.export(store) == want
        lab.ok("set", "k", "7")
        lab.wait_equal(new, fleet.relay, fleet.agents[3])
        lab.ok("set", "k", str(fleet.count))
        new.stop()
