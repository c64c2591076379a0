"""The fleet as a tree: relays between the primary and the agents, killed, restarted, cut off, set back."""
import json
import shutil
import signal
import subprocess
import time

import pytest

from faulty_link import FaultyLink
from hoist import BUILD, SANITIZED, SOAK, Writer, wait_until
from test_network import Distant, root_only, two_hosts  # noqa: F401, a fixture


def flags(n, value, size=0):
    text = f"{value}".ljust(size, "x")
    return {"flags": {f"flag{i}": {"state": "ENABLED", "variants": {"value": text}, "defaultVariant": "value"} for i in range(n)}}


def hosts(lab, *args):
    return {h["id"]: h for h in lab.ok("fleet", *args)["hosts"]}


def ways(lab):
    """How each host is heard: its id → the relay, or nothing for the primary."""
    return {name: h["via"] for name, h in hosts(lab).items()}


def wait_ways(lab, **want):
    """Until `fleet` shows these hosts, current and by these ways."""
    def so():
        now = hosts(lab)
        return all(now[n]["via"] == via and now[n]["state"] == "current" for n, via in want.items())
    wait_until(so, what=f"the ways {want}")


def upstream(daemon):
    return json.loads(daemon.get("/status"))["upstream"]


def test_a_change_goes_down_the_tree_and_its_landing_comes_up(lab):
    primary = lab.primary()
    a, b = lab.relay(name="a"), lab.relay(name="b")
    kids = [lab.agent("--label", "ring=canary", name="a1", upstream=a.url), lab.agent(name="a2", upstream=a.url), lab.agent(name="b1", upstream=b.url)]
    wait_ways(lab, a="", b="", a1="a", a2="a", b1="b")
    for value in ("on", "off"):
        done = lab.ok("set", "k", value, "--wait", "--timeout", "20s")
        assert (done["wait"]["hosts"], done["wait"]["have"]) == (5, 5)
        for host in kids + [a, b]:
            assert lab.ok("get", "k", store=host.store)["variant"] == value
    lab.wait_equal(primary, a, b, *kids)
    assert lab.ok("fleet")["counts"]["current"] == 5
    assert primary.metric('hoist_hosts{env="production",state="current"}') == 5
    assert list(hosts(lab, "--label", "ring=canary")) == ["a1"]
    assert "VIA" in lab.flagctl("fleet").out
    status = json.loads(a.get("/status"))
    assert (status["role"], status["upstream"]["distance"]) == ("relay", 0)
    assert 'hoist_role{role="relay"} 1' in a.get("/metrics")
    assert upstream(kids[0])["distance"] == 1
    refused = lab.flagctl("set", "k", "on", primary=a.url)
    assert refused.code == 1 and "ask the primary" in refused.err and lab.ok("get", "k")["variant"] == "off"


def test_a_relay_far_away_passes_on_what_its_hosts_tell(lab):
    """300 ms there and back: each answer is waited for."""
    frames = 'hoist_relayed_status_frames_total{result="%s"}'
    primary = lab.primary()
    link = FaultyLink(primary.port, 1, {"delay": 1}, delays=(0.15, 0.15))
    try:
        far = lab.relay(name="far", upstream=link.url)
        kids = [lab.agent(name=n, upstream=far.url) for n in ("a1", "a2")]
        wait_ways(lab, far="", a1="far", a2="far")
        done = lab.ok("set", "k", "on", "--wait", "--timeout", "20s")
        assert done["wait"]["have"] == 3
        lab.wait_equal(primary, far, *kids)
        wait_until(lambda: far.metric(frames % "taken") >= 5, what="what repeats goes up, too")
        assert far.metric(frames % "failed") == 0
        assert "does not take what the hosts" not in far.text()
        began = time.monotonic()
        far.stop()
        assert time.monotonic() - began < 5
    finally:
        link.close()


def test_the_log_behind_a_relay_is_the_primarys_byte_for_byte(lab):
    primary = lab.primary()
    a = lab.relay(name="a")
    child = lab.agent(name="child", upstream=a.url)
    for n in range(20):
        lab.ok("set", f"k{n % 3}", "on" if n % 2 else "off", "-m", f"because {n}")
    lab.wait_equal(primary, a, child)
    export = lambda d: lab.flagctl("audit", "export", "--store", d.store).out.splitlines()
    assert len(export(child)) == 20
    assert export(child) == export(a)[-20:] == export(primary)[-20:]
    assert child.metric('hoist_resyncs_total{env="production",reason="hole"}') == 0, "all of it was published"


def test_a_relay_two_levels_deep(lab):
    primary = lab.primary()
    top = lab.relay(name="top")
    low = lab.relay(name="low", upstream=top.url)
    leaf = lab.agent(name="leaf", upstream=low.url)
    wait_ways(lab, top="", low="top", leaf="low")
    done = lab.ok("set", "k", "on", "--wait", "--timeout", "20s")
    assert (done["wait"]["hosts"], done["wait"]["have"]) == (3, 3)
    lab.wait_equal(primary, top, low, leaf)
    assert upstream(leaf)["distance"] == 2


def test_children_of_a_killed_relay_go_to_the_other_under_load(lab):
    primary = lab.primary()
    a, b = lab.relay(name="a"), lab.relay(name="b")
    kids = [lab.agent(name=f"kid{i}", upstream=[a.url, b.url]) for i in range(3)]
    wait_ways(lab, **{k.name: "a" for k in kids})
    load = Writer(lab, ["x", "y"])
    load.start()
    wait_until(lambda: load.count > 5)
    a.kill()
    wait_ways(lab, **{k.name: "b" for k in kids})
    load.end()
    assert load.acknowledged and not load.unknown and not load.refused
    lab.wait_equal(primary, b, *kids)
    assert "a" not in {h["via"] for h in hosts(lab).values()}
    # A relay that is started again takes up where it was, and its own word is heard again.
    a.again()
    wait_ways(lab, a="", b="")
    lab.wait_equal(primary, a)
    for k in kids:
        assert k.metric('hoist_diverged_total{env="production"}') == 0
        assert k.metric('hoist_resyncs_total{env="production",reason="snapshot"}') <= 1  # its first


def test_relays_and_their_children_outlive_the_primary(lab):
    primary = lab.primary()
    a = lab.relay(name="a")
    child = lab.agent(name="child", upstream=a.url)
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, a, child)
    wait_until(lambda: upstream(child)["news_ms"] is not None, what="the primary's word came through")
    primary.kill()
    wait_until(lambda: not upstream(a)["connected"], what="the relay notices")
    wait_until(lambda: upstream(child)["stale"], what="the child is told")
    now = upstream(child)
    assert now["connected"] and now["last_word_ms"] < 2000, "the relay itself lives"
    assert now["news_ms"] >= 5000 and upstream(a)["news_ms"] >= 5000
    late = lab.agent(name="late", upstream=a.url)  # a new host can be filled without the primary
    assert lab.ok("get", "k", store=late.store)["variant"] == "on"
    primary.again()
    wait_ways(lab, a="", child="a", late="a")
    done = lab.ok("set", "k", "off", "--wait", "--timeout", "20s")
    assert (done["wait"]["hosts"], done["wait"]["have"]) == (3, 3)
    wait_until(lambda: not upstream(child)["stale"] and upstream(child)["news_ms"] < 2000)


def test_a_relay_started_without_its_primary_says_what_it_knows(lab):
    primary = lab.primary()
    a = lab.relay(name="a")
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, a)
    primary.kill()
    a.stop()
    a.again()
    child = lab.agent(name="child", upstream=a.url)  # it is filled from what the relay has
    assert lab.ok("get", "k", store=child.store)["variant"] == "on"
    wait_until(lambda: upstream(child)["connected"] and upstream(child)["stale"])
    now = upstream(child)
    assert (now["news_ms"], now["distance"], now["url"]) == (None, 1, a.url)
    assert lab.state(child)["state"] == lab.state(a)["state"] == "behind", "nobody here knows what the primary has"
    primary.again()
    wait_ways(lab, a="", child="a")
    lab.ok("set", "k", "off", "--wait", "--timeout", "20s")
    wait_until(lambda: not upstream(child)["stale"] and lab.state(child)["state"] == "current")
    assert upstream(child)["news_ms"] < 5000


def test_a_ring_of_relays_is_named_and_does_not_lie(lab):
    """a follows b; b followed the primary, and is started again to follow a."""
    primary = lab.primary()
    b = lab.relay(name="b")
    a = lab.relay(name="a", upstream=b.url)
    child = lab.agent(name="child", upstream=a.url)
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, a, b, child)
    wait_ways(lab, b="", a="b", child="a")
    b.stop()
    argv = list(b.start_args[0])
    right = argv[argv.index("--upstream") + 1]
    argv[argv.index("--upstream") + 1] = a.url
    b.start_args = (argv, *b.start_args[1:])
    b.again()
    version = lab.ok("set", "k", "off")["version"]
    wait_until(lambda: upstream(a)["ring"] and upstream(b)["ring"], what="both see the ring")
    wait_until(lambda: upstream(a)["stale"] and upstream(b)["stale"] and upstream(child)["stale"], what="no news reaches anybody")
    assert all("in a ring" in r.text() for r in (a, b)) and not upstream(child)["ring"]
    for host in (a, b, child):
        assert lab.state(host)["version"] == version - 1 and lab.ok("get", "k", store=host.store)["variant"] == "on"
    passed = lambda: sum(r.metric('hoist_relayed_status_frames_total{result="taken"}') for r in (a, b))
    before, began = passed(), time.monotonic()
    wait_until(lambda: all(h["state"] == "silent" for h in hosts(lab).values()), what="the primary hears of nobody")
    assert passed() - before < 4 * (time.monotonic() - began) + 4, "what they tell does not go round"
    assert upstream(a)["distance"] <= 2 and upstream(b)["distance"] <= 2
    b.stop()
    argv[argv.index("--upstream") + 1] = right
    b.again()
    wait_ways(lab, b="", a="b", child="a")
    lab.wait_equal(primary, a, b, child)
    wait_until(lambda: not upstream(a)["ring"] and not upstream(b)["ring"])
    for r in (a, b):
        assert r.metric('hoist_diverged_total{env="production"}') == 0


def test_an_environment_that_is_no_longer_followed_stays_readable_and_is_named(lab):
    primary = lab.primary("--env", "production", "--env", "staging")
    a = lab.relay("--env", "production", "--env", "staging", name="a")
    lab.ok("set", "k", "on", env="staging")
    lab.wait_equal(primary, a, env="staging")
    assert "unfollowed" not in json.loads(a.get("/status"))
    a.stop()
    b = lab.relay("--env", "production", name="b", store=a.store)
    version = lab.ok("set", "k", "off", env="staging")["version"]
    lab.wait_equal(primary, b)
    assert json.loads(b.get("/status"))["unfollowed"] == [{"env": "staging", "version": version - 1}]
    assert lab.ok("status", store=b.store)["environments"][0]["env"] == "production"
    assert "'staging' is in the store and is not followed" in b.text()
    assert lab.ok("get", "k", store=b.store, env="staging")["variant"] == "on", "programs read it as it was"
    child = lab.agent("--env", "staging", name="child", upstream=b.url, ready=False)
    wait_until(lambda: "no such environment" in child.text())
    assert lab.state(child, "staging")["version"] == 0, "what is old is not passed on"
    assert lab.ok("fleet", env="staging")["counts"]["current"] == 0
    b.stop()
    c = lab.relay("--env", "production", "--env", "staging", name="c", store=a.store)
    lab.wait_equal(primary, c, env="staging")
    assert "unfollowed" not in json.loads(c.get("/status"))


def test_a_child_that_is_ahead_of_its_relay_waits(lab):
    primary = lab.primary()
    a, b = lab.relay(name="a"), lab.relay(name="b")
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, a, b)
    a.stop()
    shutil.copytree(a.store, lab.dir / "back", symlinks=True)
    a.again()
    child = lab.agent(name="child", upstream=[a.url, b.url])
    version = lab.ok("set", "k", "off", "--wait", "--timeout", "20s")["version"]
    lab.wait_equal(primary, a, child)
    # The relay loses its last change, and cannot have it again for a while.
    primary.signal(signal.SIGSTOP)
    b.signal(signal.SIGSTOP)
    a.kill()
    shutil.rmtree(a.store)
    shutil.copytree(lab.dir / "back", a.store, symlinks=True)
    a.again()
    wait_until(lambda: lab.ok("get", "k", store=a.store)["variant"] == "on")
    assert lab.state(child)["version"] == version and lab.state(child)["state"] in ("current", "behind")
    primary.signal(signal.SIGCONT)
    b.signal(signal.SIGCONT)
    lab.wait_equal(primary, a, b, child)
    lab.ok("set", "k", "on", "--wait", "--timeout", "20s")
    lab.wait_equal(primary, a, b, child)
    assert child.metric('hoist_diverged_total{env="production"}') == 0
    assert child.metric('hoist_resyncs_total{env="production",reason="snapshot"}') == 1, "its first, and no other"


def test_a_snapshot_from_a_relay_while_changes_land(lab):
    primary = lab.primary()
    a = lab.relay(name="a")
    lab.ok("import", lab.file("f.json", flags(4000, "v", 500)))
    lab.wait_equal(primary, a)
    load = Writer(lab, [f"flag{i}" for i in range(0, 4000, 977)])
    for key in load.keys:
        lab.ok("delete", key)
    load.start()
    wait_until(lambda: load.count > 2)
    child = lab.agent(name="child", upstream=a.url)
    count = load.count
    wait_until(lambda: load.count > count + 2)
    load.end()
    lab.wait_equal(primary, a, child)
    assert lab.state(child)["flags"] == 4000
    assert child.metric('hoist_resyncs_total{env="production",reason="snapshot"}') >= 1


@root_only
def test_a_relay_that_is_cut_off_tells_how_old_its_news_is(lab, two_hosts):  # noqa: F811
    a, b = two_hosts
    primary = Distant(lab, a, "primary", "primary", "--listen", "tcp://10.213.0.1:7400", "--listen", f"ipc://{lab.dir}/p.sock")
    relay = Distant(lab, b, "relay", "relay", "--upstream", "tcp://10.213.0.1:7400", "--listen", "tcp://127.0.0.1:7400", "--id", "relay")
    child = Distant(lab, b, "child", "agent", "--upstream", "tcp://127.0.0.1:7400", "--id", "child")
    lab.url = f"ipc://{lab.dir}/p.sock"
    lab.ok("set", "k", "on", "--timeout", "20s")
    wait_until(lambda: child.env()["version"] == 2)
    wait_ways(lab, relay="", child="relay")
    wait_until(lambda: child.status()["upstream"]["news_ms"] < 5000, what="the primary's word came through")
    cut = time.monotonic()
    subprocess.run(["ip", "-n", a, "link", "set", "hoist0", "down"], check=True)
    for n in range(3):
        lab.ok("set", "k", "off" if n % 2 else "on", "-m", f"unheard {n}")
        lab.ok("set", "j", n, "--type", "number")
    wait_until(lambda: child.status()["upstream"]["stale"] and relay.status()["upstream"]["stale"], what="both say that their news is old")
    for host in (relay, child):
        news_ms, since_ms = host.status()["upstream"]["news_ms"], (time.monotonic() - cut) * 1000
        assert 5000 <= news_ms <= since_ms + 2000, "the status in the store is up to a second old"
        assert (host.env()["version"], host.env()["lag"]) == (2, 0), "of what came behind it nothing is known here"
        assert lab.ok("get", "k", store=host.store)["variant"] == "on"
    assert child.status()["upstream"]["connected"] and not relay.status()["upstream"]["connected"]
    head = lab.head()["version"]
    now = hosts(lab)
    assert all(now[n]["version"] == 2 and now[n]["lag"] == head - 2 and now[n]["state"] != "current" for n in ("relay", "child"))
    subprocess.run(["ip", "-n", a, "link", "set", "hoist0", "up"], check=True)
    wait_ways(lab, relay="", child="relay")
    wait_until(lambda: not child.status()["upstream"]["stale"] and child.env()["version"] == head)
    assert child.env()["digest"] == primary.env()["digest"] and lab.export(child.store) == lab.export(primary.store)


@pytest.mark.parametrize("count", [500, 3000])
def test_a_big_change_through_a_relay(lab, count):
    """Over 256 KiB it is published without its edits, over 1 MiB it is fetched in parts."""
    primary = lab.primary()
    a = lab.relay(name="a")
    child = lab.agent(name="child", upstream=a.url)
    lab.wait_equal(primary, a, child)
    wait_ways(lab, a="", child="a")
    done = lab.ok("import", lab.file("f.json", flags(count, "v", 700)), "--wait", "--timeout", "20s")
    assert (done["wait"]["hosts"], done["wait"]["have"]) == (2, 2)
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, a, child)
    assert child.metric('hoist_resyncs_total{env="production",reason="snapshot"}') == 1


def test_a_relay_that_lags_says_so_and_its_children_can_tell(lab):
    """Its store is full: the relay refuses, a child with nobody else is behind by what the origin tells, one with another goes there."""
    primary = lab.primary()
    a = lab.relay("--quota-bytes", "20KiB", name="a")
    child = lab.agent(name="child", upstream=a.url)
    free = lab.agent(name="free", upstream=[a.url, primary.url])
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, a, child, free)
    wait_ways(lab, child="a", free="a")
    lab.ok("import", lab.file("f.json", flags(100, "v", 700)))
    lab.ok("set", "k", "off")
    wait_until(lambda: lab.state(a)["state"] == "refusing")
    wait_until(lambda: lab.state(child)["lag"] == 2)
    assert lab.state(child)["state"] == "behind" and lab.state(child)["behind_ms"] > 0
    assert upstream(child)["connected"] and not upstream(child)["stale"], "the primary's word still comes"
    wait_until(lambda: upstream(child)["lags"] and not upstream(a)["lags"])
    now = wait_until(lambda: (h := hosts(lab)) and h["child"]["state"] == "behind" and h)
    assert (now["a"]["state"], now["a"]["lag"], now["child"]["lag"], now["child"]["via"]) == ("refusing", 2, 2, "a")
    wait_ways(lab, free="")
    lab.wait_equal(primary, free)


# ---------------------------------------------------------------- a larger tree

RELAYS, AGENTS, FLAGS = (3, 30, 10000) if SOAK else (3, 6, 2000)


def standing(lab, *gone):
    """How many hosts there are in each state; those in `gone` must be silent or not have been heard of."""
    fleet = lab.ok("fleet")
    assert all(h["state"] == "silent" for h in fleet["hosts"] if h["id"] in gone), fleet
    return fleet["counts"]


@pytest.mark.skipif(SANITIZED and not SOAK, reason="too many sanitized processes for one machine")
def test_soak_a_tree_through_its_bad_days(lab):
    """A relay killed under load, one stopped, the primary restarted during a change of all flags: `fleet` is right throughout."""
    patience = 180000 if SOAK else 60000
    primary = lab.primary()
    relays = [lab.relay(name=f"relay{i}") for i in range(RELAYS)]
    ups = lambda i: [relays[(i + n) % RELAYS].url for n in range(RELAYS)]
    agents = [lab.agent(name=f"agent{i:02}", upstream=ups(i), ready=None) for i in range(AGENTS)]
    everybody = relays + agents
    home = {a.name: f"relay{i % RELAYS}" for i, a in enumerate(agents)}

    def all_current(**ways):
        def so():
            now = hosts(lab)
            return all(h["state"] == "current" for h in now.values() if h["id"] in ways) and all(now[n]["via"] == via for n, via in ways.items())
        wait_until(so, patience, 50, what=f"the ways {ways}")

    def wait_equal(*daemons):
        for d in daemons:
            lab.wait_equal(primary, d, limit_ms=patience)

    for d in everybody:
        wait_until(lambda: d.is_up() and d.get("/readyz"), patience, what=f"{d.name} is ready")
    all_current(**{r.name: "" for r in relays}, **home)
    done = lab.ok("import", lab.file("f.json", flags(FLAGS, 0)), "--wait", "--timeout", "60s", timeout=90)
    assert (done["wait"]["hosts"], done["wait"]["have"]) == (RELAYS + AGENTS,) * 2
    wait_equal(*everybody)

    # A relay is killed under load: its hosts, and no others, go to their next one.
    load = Writer(lab, ["x", "y"])
    load.start()
    wait_until(lambda: load.count > 3, patience)
    relays[0].kill()
    moved = {n: "relay1" if via == "relay0" else via for n, via in home.items()}
    all_current(relay1="", relay2="", **moved)
    load.end()
    assert load.acknowledged and not load.unknown and not load.refused
    wait_equal(*relays[1:], *agents)
    wait_until(lambda: standing(lab, "relay0")["silent"] == 1, patience)
    assert primary.metric('hoist_hosts{env="production",state="silent"}') == 1

    # A relay that stands still is left, too; when it goes on it hears what it missed.
    relays[1].signal(signal.SIGSTOP)
    all_current(relay2="", **{n: "relay2" for n in home})
    done = lab.ok("set", "x", "1000001", "--wait=50%", "--timeout", "60s", timeout=90)
    assert 2 * done["wait"]["have"] >= done["wait"]["hosts"] >= AGENTS + 1
    wait_equal(relays[2], *agents)
    relays[1].signal(signal.SIGCONT)
    wait_equal(*relays[1:], *agents)

    # The primary goes down in the middle of a change of all flags: while it reads it, while it commits, behind that.
    for n, into_it_s in enumerate((0.03, 0.1, 0.3)):
        big = lab.file("g.json", flags(FLAGS, n + 1))
        change = lab.process([BUILD / "flagctl", "import", big, "--primary", primary.url, "--timeout", "60s"], f"import{n}")
        time.sleep(into_it_s)
        primary.kill()
        primary.again()
        assert change.p.wait(90) == 0, change.text()
    relays[0].again()
    wait_equal(*everybody)
    now = hosts(lab)
    assert sorted(now) == sorted(d.name for d in everybody)
    wait_until(lambda: standing(lab)["current"] == RELAYS + AGENTS, patience)
    done = lab.ok("set", "x", "1000002", "--wait", "--timeout", "60s", timeout=90)
    assert (done["wait"]["hosts"], done["wait"]["have"]) == (RELAYS + AGENTS,) * 2
    if SOAK:  # after a minute of health the first upstream is gone back to
        all_current(**{r.name: "" for r in relays}, **home)
        wait_equal(*everybody)
    for d in everybody:
        assert d.metric('hoist_diverged_total{env="production"}') == 0
        assert d.metric('hoist_changes_total{env="production",result="rejected"}') == 0
