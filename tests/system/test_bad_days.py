"""Bad days of a fleet behind relays that have no other place: `fleet` is right in them, and all hosts are equal in the end."""
import json
import subprocess
import time

import pytest

from fake_host import FakeHost
from hoist import BUILD, SANITIZED, SOAK, clean_env, wait_until
from test_network import Distant, root_only, two_hosts  # noqa: F401, a fixture
from test_relay import flags, hosts, upstream, wait_ways


@pytest.mark.skipif(SANITIZED, reason="a preloaded clock does not go with a preloaded sanitizer")
@pytest.mark.parametrize("hours", [-1, 1])
def test_hosts_whose_clocks_are_an_hour_off(lab, hours):
    """A relay and two agents; the primary's clock is right."""
    shift = lab.dir / "shift"
    shift.write_text(str(hours * 3600))
    env = clean_env(LD_PRELOAD=(BUILD / "tests/system/clock_shift.so").resolve(), CLOCK_SHIFT_FILE=shift)
    primary = lab.primary()
    relay = lab.relay(name="relay", env=env)
    below, beside = lab.agent(name="below", upstream=relay.url, env=env), lab.agent(name="beside", env=env)
    right = lab.agent(name="right", upstream=relay.url)
    wait_ways(lab, relay="", beside="", below="relay", right="relay")
    done = lab.ok("set", "k", "on", "--wait", "--timeout", "20s")
    assert (done["wait"]["hosts"], done["wait"]["have"]) == (4, 4) and 0 < done["wait"]["ms"] < 20000
    lab.wait_equal(primary, relay, below, beside, right)
    wait_until(lambda: not any(upstream(d)["stale"] for d in (relay, below, beside, right)))
    for d in (relay, below, beside, right):
        assert lab.state(d)["state"] == "current" and lab.state(d)["behind_ms"] == 0 and upstream(d)["news_ms"] < 10000
    for h in hosts(lab).values():
        assert (h["state"], h["lag"], h["behind_ms"]) == ("current", 0, 0) and 0 <= h["last_seen_ms"] < 10000
    said = json.loads(below.get("/status"))["as_of"]
    off_h = (time.mktime(time.strptime(said[:19], "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime())) / 3600
    assert abs(off_h - hours) < 0.1, "the clock was really off"
    changes = lab.ok("log")["changes"]
    assert lab.ok("log", "--store", below.store)["changes"][0]["time"] == changes[0]["time"], "the time of a change is the primary's"


def test_two_agents_of_one_id_behind_two_relays_are_named(lab):
    primary = lab.primary()
    a, b = lab.relay(name="a"), lab.relay(name="b")
    lab.agent(name="fine", upstream=a.url)
    lab.agent(name="twin", upstream=a.url)
    wait_ways(lab, a="", b="", fine="a", twin="a")
    assert not any(h["duplicate"] for h in hosts(lab).values())
    other = lab.process([BUILD / "hoistd", "agent", "--store", lab.dir / "other", "--upstream", b.url, "--http", "off", "--id", "twin"], "other")
    wait_until(lambda: hosts(lab)["twin"]["duplicate"], what="two take turns under one id")
    assert not any(hosts(lab)[n]["duplicate"] for n in ("a", "b", "fine"))
    assert "two hosts call themselves 'twin'" in primary.text()
    done = lab.ok("set", "k", "on", "--wait", "--timeout", "20s")
    assert (done["wait"]["hosts"], done["wait"]["have"]) == (4, 4), "an id is a host"
    other.kill()
    wait_until(lambda: not hosts(lab)["twin"]["duplicate"], what="one is alone again")
    wait_ways(lab, twin="a")


def test_a_host_behind_a_relay_that_refuses_one_flag_is_shown_with_why(lab):
    primary = lab.primary()
    relay = lab.relay(name="relay")
    fine = lab.agent(name="fine", upstream=relay.url)
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, relay, fine)
    epoch, digest = int(lab.head()["epoch"], 16), bytes.fromhex(lab.ok("log")["changes"][0]["hash"])
    odd = FakeHost(relay.port, "odd")
    why = "its record has version 9, this program reads version 1"
    odd.tell(2, epoch, refusals=[("k", 2, why)], held=1, hash=digest)
    host = wait_until(lambda: hosts(lab).get("odd"))
    assert (host["state"], host["version"], host["via"], host["refused"]) == ("refusing", 2, "relay", [{"key": "k", "version": 2, "why": why}])
    wait_ways(lab, fine="relay", relay="")
    assert lab.ok("fleet")["counts"] == {"current": 2, "behind": 0, "silent": 0, "refusing": 1}
    assert "host 'odd' holds flag 'k'" in primary.text()
    odd.tell(2, epoch, hash=digest)
    wait_until(lambda: hosts(lab)["odd"]["state"] == "current")
    odd.close()


def test_a_rollback_to_a_version_older_than_the_logs_of_relay_and_agent(lab):
    primary = lab.primary()
    short = ("--log-min", "5")
    relay = lab.relay(*short, name="relay")
    agent, away = lab.agent(*short, name="agent", upstream=relay.url), lab.agent(*short, name="away", upstream=relay.url)
    lab.ok("import", lab.file("f.json", flags(300, "old")))
    back = lab.ok("set", "n", "0", "--type", "number")["version"]
    want = lab.export(primary.store)
    lab.wait_equal(primary, relay, agent, away)
    wait_ways(lab, relay="", agent="relay", away="relay")
    for n in range(1, 30):
        lab.ok("set", "n", n)
    lab.ok("import", lab.file("g.json", flags(300, "new")))
    lab.wait_equal(primary, relay, agent, away)
    away.stop()
    relay.stop()  # it would keep its log for a minute more, for the snapshots that its hosts have had
    relay.again()
    for store in (relay.store, agent.store):
        wait_until(lambda: lab.ok("log", "--limit", "1000", "--store", store)["changes"][-1]["version"] > back + 10, what="its log is cut")
    lab.ok("rollback", "--to", back, "--force")
    lab.wait_equal(primary, relay, agent)
    assert lab.export(agent.store) == want
    for n in range(30):
        lab.ok("set", "n", 100 + n)
    lab.wait_equal(primary, relay, agent)
    away.again()
    lab.wait_equal(primary, away)
    for d in (relay, agent, away):
        assert d.metric('hoist_diverged_total{env="production"}') == 0
    assert agent.metric('hoist_resyncs_total{env="production",reason="snapshot"}') == 1, "its first"


@root_only
def test_soak_a_tree_whose_link_is_cut_for_a_minute(lab, two_hosts):  # noqa: F811
    """Two places with a relay each; what happens in one while the cable between them is out, the other hears of afterwards."""
    here, there = two_hosts
    cut_s, agents = (60, 5) if SOAK else (12, 2)
    primary = Distant(lab, here, "primary", "primary", "--listen", "tcp://10.213.0.1:7400", "--listen", f"ipc://{lab.dir}/p.sock")
    lab.url = f"ipc://{lab.dir}/p.sock"
    places = {}
    for place, ns in (("near", here), ("far", there)):
        listen = f"tcp://10.213.0.{1 if place == 'near' else 2}:7{'5' if place == 'near' else '4'}00"
        relay = Distant(lab, ns, place, "relay", "--upstream", "tcp://10.213.0.1:7400", "--listen", listen, "--id", place)
        places[place] = [relay] + [Distant(lab, ns, f"{place}{i}", "agent", "--upstream", listen, "--id", f"{place}{i}") for i in range(agents)]
    every = [d for ds in places.values() for d in ds]
    names = lambda place: [d.name for d in places[place]]
    lab.ok("import", lab.file("f.json", flags(1000, 0)), "--timeout", "20s")
    ways = {d.name: "" if d.name == place else place for place, ds in places.items() for d in ds}
    wait_ways(lab, **ways)
    link = lambda state: subprocess.run(["ip", "-n", here, "link", "set", "hoist0", state], check=True)
    before = lab.head()["version"]
    link("down")
    cut = time.monotonic()
    done = lab.flagctl("set", "x", "0", "--type", "number", "--wait", "--timeout", "2s", "--json")
    assert done.code == 6 and sorted(done.json["wait"]["missing"]) == sorted(names("far")), "who is named has not got it"
    n = 0
    while time.monotonic() - cut < cut_s:
        n += 1
        lab.ok("set", "x", n)
        time.sleep(0.2)
    lab.ok("import", lab.file("g.json", flags(1000, 1)))
    head = lab.head()["version"]
    now = wait_until(lambda: (h := hosts(lab)) and all(h[f]["state"] == "silent" for f in names("far")) and h)
    assert all(now[f]["version"] == before and now[f]["lag"] == head - before for f in names("far"))
    wait_ways(lab, **{f: ways[f] for f in names("near")})
    for d in places["far"]:
        assert d.status()["upstream"]["stale"] and d.env()["version"] == before
    done = lab.ok("set", "x", n + 1, "--wait", "--timeout", "20s")
    assert sorted(done["wait"]["silent"]) == sorted(names("far")) and done["wait"]["hosts"] == len(names("near"))
    link("up")
    healed = time.monotonic()
    wait_ways(lab, **ways)
    print(f"after {time.monotonic() - cut:.0f} s without a link all were equal {time.monotonic() - healed:.1f} s after it was back")
    done = lab.ok("set", "x", n + 2, "--wait", "--timeout", "20s")
    assert (done["wait"]["hosts"], done["wait"]["have"]) == (len(every), len(every))
    want = lab.export(primary.store)
    assert all(lab.export(d.store) == want for d in every)
