"""How often flags are evaluated, from whoever counts it to `flagctl usage` and `flagctl stale`."""
import os
import subprocess
import sys
import time

import pytest

from faulty_link import FaultyLink
from hoist import BUILD, SANITIZED, SOAK, clean_env, wait_until
from requester import Requester, unpack

DAY = 86400
ENV = "production"


class Counter:
    """One that counts, as an agent does: the same bytes again until they are answered."""

    def __init__(self, port, incarnation):
        self.port, self.incarnation, self.sequence = port, incarnation, 0

    def send(self, counts):
        frame = [16, 1, self.incarnation, self.sequence, [[ENV, key, variant, n] for key, variant, n in counts]]
        to = Requester(self.port)
        try:
            return unpack(to.ask(frame))
        finally:
            to.close()

    def tell(self, *counts):
        self.sequence += 1
        wait_until(lambda: self.send(counts) == [23, 1, 0])


def total(lab, key="k", variant="on", **kwargs):
    flag, = lab.ok("usage", key, **kwargs)["flags"]
    return sum(v["total"] for v in flag["variants"] if v["variant"] == variant)


def wait_total(lab, want, **kwargs):
    wait_until(lambda: total(lab, **kwargs) >= want, what=f"{want} evaluations")
    assert total(lab, **kwargs) == want


def test_counts_of_hosts_and_relays_add_up_and_what_is_repeated_counts_once(lab):
    primary = lab.primary()
    relay = lab.relay()
    lab.ok("set", "k", "on")
    beside, behind = Counter(primary.port, 1), Counter(relay.port, 2)
    beside.tell(("k", "on", 3), ("k", "", 1), ("nobody", "on", 5))
    assert beside.send([("k", "on", 3)]) == [23, 1, 0]  # the answer was lost, say
    for _ in range(5):
        behind.tell(("k", "on", 100), ("k", "off", 10))
    wait_total(lab, 503)
    assert total(lab, variant="off") == 50 and total(lab, variant=None) == 1
    assert primary.metric('hoist_requests_total{kind="usage"}') >= 3
    # The fleet's counts are not the hosts' own.
    for d in (primary, relay):
        assert 'flag="k"' not in d.get("/metrics")
        assert d.metric('hoist_client_evaluations_total{env="",flag="",variant=""}') == 0


def test_what_cannot_be_counted_is_refused(lab):
    to = Requester(lab.primary().port)
    for counts in ([["No env", "k", "on", 1]], [[ENV, "", "on", 1]], [[ENV, "k", "on", 0]], [[ENV, "k", "on", 1 << 63]], [[ENV, "k"]], "k"):
        kind, _, why = unpack(to.ask([16, 1, 1, 1, counts]))
        assert kind == 29 and "usage" in why, (counts, why)
    assert unpack(to.ask([16, 1, 1, 1, []])) == [23, 1, 0]
    to.close()


def test_a_primary_that_is_stopped_keeps_all_and_one_that_is_killed_all_but_the_last_seconds(lab):
    primary = lab.primary()
    lab.ok("set", "k", "on")
    host = Counter(primary.port, 1)
    host.tell(("k", "on", 5))
    primary.stop()
    primary.again()
    assert total(lab) == 5
    assert host.send([("k", "on", 5)]) == [23, 1, 0]  # repeated to a primary that has heard of nobody yet
    wait_total(lab, 10)
    host.tell(("k", "on", 7))
    wait_total(lab, 17)
    host.tell(("k", "on", 1))
    primary.kill()
    primary.again()
    assert total(lab) in (17, 18)
    assert lab.ok("fsck", "--store", primary.store)["ok"]


def test_while_upstream_is_away_a_relay_keeps_what_it_was_told(lab):
    primary = lab.primary()
    relay = lab.relay()
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, relay)
    host = Counter(relay.port, 1)
    host.tell(("k", "on", 1))
    wait_total(lab, 1)
    primary.kill()
    for _ in range(3):
        host.tell(("k", "on", 10))
    primary.again()
    wait_total(lab, 31)
    relay.kill()
    relay.again()
    host.tell(("k", "on", 100))
    wait_total(lab, 131)


def test_usage_is_shown_for_one_flag_and_for_all(lab):
    primary = lab.primary()
    for key in ("k", "l", "m"):
        lab.ok("set", key, "on")
    Counter(primary.port, 1).tell(("k", "on", 3), ("k", "off", 1), ("l", "on", 1000), ("l", "", 1))
    wait_total(lab, 1000, key="l")
    one = lab.ok("usage", "k")
    assert set(one) == {"env", "since", "flags"} and one["env"] == ENV
    flag, = one["flags"]
    assert (flag["today"], flag["last_7_days"], flag["last_30_days"], flag["total"]) == (4, 4, 4, 4)
    assert {v["variant"]: v["share"] for v in flag["variants"]} == {"on": 0.75, "off": 0.25}
    assert [f["key"] for f in lab.ok("usage")["flags"]] == ["l", "k", "m"]
    assert [f["key"] for f in lab.ok("usage", "--limit", "1")["flags"]] == ["l"]
    text = lab.flagctl("usage", "l").out
    assert "VARIANT" in text and "(fallback)" in text and "1000" in text
    text = lab.flagctl("usage").out
    assert text.index("\nl ") < text.index("\nk ") < text.index("\nm ") and "on 75 %, off 25 %" in text and "never" in text
    assert lab.flagctl("usage", "n").code == 1
    store = lab.flagctl("usage", "k", "--store", primary.store, "--json")
    assert store.code == 0 and store.json["flags"] == one["flags"]


READ = """
import ctypes, sys
lib, h = ctypes.CDLL(sys.argv[1]), ctypes.c_void_p()
lib.hoist_bool.restype = ctypes.c_bool
lib.hoist_bool.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_bool]
assert lib.hoist_open(ctypes.byref(h), sys.argv[2].encode(), None) == 0
for line in sys.stdin:
    key, times = line.split()
    for _ in range(int(times)):
        lib.hoist_bool(h, key.encode(), None, False)
    print("done", flush=True)
"""


class Program:
    """One with libhoist, that evaluates what it is told to."""

    def __init__(self, host):
        self.p = subprocess.Popen([sys.executable, "-c", READ, BUILD.resolve() / "libhoist.so", host.store], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, env=clean_env())

    def evaluate(self, key, times):
        self.p.stdin.write(f"{key} {times}\n")
        self.p.stdin.flush()
        assert self.p.stdout.readline() == "done\n"

    def kill(self):
        self.p.kill()
        self.p.communicate()


def test_soak_short_lived_programs_are_each_counted_and_leave_nothing(lab):
    """Programs that evaluate one flag once; some are killed at whatever they are doing, and count once or not at all."""
    lab.primary()
    agent = lab.agent()
    lab.ok("set", "k", "on")
    wait_until(lambda: lab.flagctl("is", "k", store=agent.store).code == 0)
    programs, killed, before = 10000 if SOAK else 300, 0, total(lab)
    files = len(os.listdir(f"/proc/{agent.pid}/fd"))
    for n in range(programs):
        p = subprocess.Popen([BUILD / "examples" / "read", "--store", agent.store, "k"], stdout=subprocess.DEVNULL, env=clean_env())
        if n % 50 == 49:
            time.sleep(n % 7 / 2000)
            p.kill()
        killed += p.wait() != 0
    done = programs - killed
    wait_until(lambda: total(lab) - before >= done, what=f"{done} evaluations")
    time.sleep(2)
    assert done <= total(lab) - before <= programs
    assert killed <= programs // 50
    wait_until(lambda: len(os.listdir(f"/proc/{agent.pid}/fd")) <= files + 2, what="nothing is left open")
    print(f"usage: {programs} programs, {killed} of them killed; {total(lab) - before} evaluations counted")


@pytest.mark.skipif(SANITIZED, reason="a sanitized library is not for python")
def test_what_programs_evaluate_on_two_hosts_arrives(lab):
    """A relay and two agents; programs are killed, an agent is stopped and started, a relay is killed."""
    primary = lab.primary()
    relay = lab.relay()
    behind, beside = lab.agent(name="behind", upstream=relay.url), lab.agent(name="beside")
    lab.ok("set", "k", "on")
    lab.ok("set", "l", "off")
    lab.wait_equal(primary, relay, behind, beside)
    programs = [Program(host) for host in (primary, relay, behind, beside)]
    for n, program in enumerate(programs):
        program.evaluate("k", 1000 + n)
        program.evaluate("nobody", 5)
    programs[2].kill()
    wait_total(lab, 4006)
    for n, host in enumerate((primary, relay, behind, beside)):
        assert host.metric('hoist_client_evaluations_total{env="production",flag="k",variant="on"}') == 1000 + n
    programs[3].evaluate("k", 100)
    beside.stop()  # it tells what it has before it ends
    wait_total(lab, 4106)
    programs[3].evaluate("k", 10)
    beside.again()
    wait_total(lab, 4116)
    relay.kill()
    programs[1].evaluate("l", 7)
    relay.again()
    programs[1].evaluate("l", 3)
    wait_total(lab, 10, key="l", variant="off")
    assert total(lab) == 4116
    lab.ok("delete", "l")
    wait_until(lambda: 'flag="l"' not in relay.get("/metrics"))
    for program in programs:
        program.kill()


@pytest.mark.skipif(SANITIZED, reason="a sanitized library is not for python")
def test_over_a_link_that_breaks_each_evaluation_counts_once(lab):
    """Frames and their answers are lost with the connection; the agent sends the same again."""
    primary = lab.primary()
    lab.ok("set", "k", "on")
    link = FaultyLink(primary.port, 7, {"cut": 0.2}, spoils=())
    link.calm()
    agent = lab.agent(upstream=link.url)
    lab.wait_equal(primary, agent)
    program, count = Program(agent), 0
    link.wild = True

    def cut_often():
        nonlocal count
        program.evaluate("k", 10)
        count += 10
        return link.done["cut"] >= 12
    wait_until(cut_often, every_ms=50)
    link.calm()
    wait_total(lab, count)
    program.kill()
    link.close()


@pytest.mark.skipif(SANITIZED, reason="a preloaded clock does not go with a preloaded sanitizer")
def test_stale_are_exactly_those_that_can_go(lab):
    shift = lab.file("shift", "0")
    # Written beside and moved: the clock is read at any time.
    def days(n):
        lab.file("shift.new", str(n * DAY)).rename(shift)
    env = clean_env(LD_PRELOAD=(BUILD / "tests/system/clock_shift.so").resolve(), CLOCK_SHIFT_FILE=shift)
    primary = lab.primary(env=env)
    on_off = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    flags = {key: on_off for key in ("base", "both", "dead", "one", "recent", "was")}
    flags["needs"] = {**on_off, "requires": {"flags": {"base": "on"}, "otherwise": "off"}}
    flags["dead"] = {**on_off, "metadata": {"owner": "payments"}}
    flags["stays"] = {**on_off, "metadata": {"permanent": True}}
    lab.ok("import", lab.file("flags.json", {"flags": flags}))
    host = Counter(primary.port, 1)
    early = lab.flagctl("stale", "--json")
    assert early.code == 4 and early.error["code"] == "too-early"

    host.tell(("both", "on", 1), ("both", "off", 1), ("needs", "on", 1), ("needs", "off", 1), ("one", "on", 1), ("one", "off", 1), ("was", "on", 5))
    wait_total(lab, 5, key="was")
    days(40)
    assert {f["key"] for f in lab.ok("stale")["flags"]} == set(flags) - {"stays"}
    lab.ok("set", "young", "on")
    host.tell(("both", "on", 9), ("both", "off", 9), ("needs", "on", 9), ("needs", "off", 9), ("one", "on", 9), ("recent", "on", 9))
    wait_total(lab, 9, key="recent")
    found = lab.ok("stale")
    assert {f["key"]: (f["why"], f.get("variant"), f["owner"]) for f in found["flags"]} == {
        "dead": ("not-evaluated", None, "payments"), "one": ("one-variant", "on", None), "was": ("not-evaluated", None, None)}
    assert found["flags_total"] == 9 and found["permanent_count"] == 1
    since = {f["key"]: f["since"] for f in found["flags"]}
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert since["dead"] is None and since["was"][:10] == since["one"][:10] <= today
    text = lab.flagctl("stale").out
    assert "dead: never evaluated; owner: payments" in text and "3 of 9 flags in production are stale for 30 days" in text
    assert "left out, since they are permanent: 1\n" in text
    assert "one: everybody gets on since" in text and "flagctl delete one" in text
    assert lab.flagctl("stale", "--days", "41").code == 4
    lab.ok("delete", "was")
    assert {f["key"] for f in lab.ok("stale")["flags"]} == {"dead", "one"}
    month = {v["variant"]: (v["last_30_days"], v["total"]) for v in lab.ok("usage", "both")["flags"][0]["variants"]}
    assert month == {"on": (9, 10), "off": (9, 10)}
