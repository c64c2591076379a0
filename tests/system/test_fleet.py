"""The fleet as its primary sees it: who has what, who is waited for, who is gone."""
import json
import os
import pty
import signal
import subprocess
import time

import pytest

from fake_host import FakeHost
from hoist import BUILD, SANITIZED, clean_env, wait_until


def fleet(lab, *args):
    return lab.ok("fleet", *args)


def hosts(lab, *args):
    return {h["id"]: h for h in fleet(lab, *args)["hosts"]}


def wait_for(lab, *names, state="current"):
    """Until each of these hosts stands so; gives all hosts."""
    return wait_until(lambda: (now := hosts(lab)) and all(now[n]["state"] == state for n in names) and now,
                      what=f"{names} are {state}")


def test_wait_returns_when_every_host_has_it(lab):
    lab.primary()
    agents = [lab.agent(name=f"host{i}") for i in range(3)]
    wait_for(lab, *(a.name for a in agents))
    for value in ("on", "off"):
        done = lab.ok("set", "k", value, "--wait", "--timeout", "20s")
        assert (done["wait"]["hosts"], done["wait"]["have"], done["wait"]["missing"]) == (3, 3, [])
        assert 0 < done["wait"]["ms"] < 20000
        for agent in agents:  # and each has it in its store
            assert lab.state(agent)["version"] >= done["version"]
            assert lab.ok("get", "k", store=agent.store)["variant"] == value
    said = lab.flagctl("set", "k", "on", "--wait", "--timeout", "20s")
    assert said.code == 0 and "on 3 of 3 live hosts" in said.out and said.err == ""


def test_each_change_can_be_waited_for_and_what_is_so_already_too(lab):
    lab.primary()
    lab.agent()
    wait_for(lab, "agent")
    file = lab.file("f.json", {"flags": {"j": {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}}})
    for words in (("import", file), ("apply", file, "--yes"), ("set", "j", "on"), ("delete", "j")):
        done = lab.ok(*words, "--wait", "--timeout", "20s")
        assert done["wait"]["have"] == done["wait"]["hosts"] == 1, done
    dry = lab.ok("set", "z", "on", "--dry-run", "--wait")
    assert "wait" not in dry
    assert "wait" not in lab.ok("set", "z", "on")


def test_a_kill_tells_how_long_it_took_and_the_others_when_asked(lab):
    lab.primary()
    stuck = lab.agent(name="stuck")
    wait_for(lab, "stuck")
    lab.ok("set", "k", "off")
    lab.ok("set", "k", "on")
    killed = lab.ok("kill", "k", "--timeout", "20s")
    assert killed["wait"]["have"] == 1 and killed["wait"]["ms"] > 0
    assert "wait" not in lab.ok("restore", "k")
    assert lab.ok("rollback", "--last", "--wait", "--timeout", "20s")["wait"]["have"] == 1
    stuck.signal(signal.SIGSTOP)
    late = lab.flagctl("kill", "k", "--timeout", "1s")
    assert late.code == 6 and "it is committed" in late.err and "stuck" in late.err
    assert lab.ok("get", "k")["variant"] == "off"
    assert "wait" not in lab.ok("kill", "k", "--dry-run")
    primary = next(d for d in lab.all if getattr(d, "role", "") == "primary")
    wait_until(lambda: primary.metric('hoist_kill_duration_seconds_count{env="production",trigger="operator"}') >= 1)


def test_a_host_that_does_not_move_is_named_with_exit_6(lab):
    primary = lab.primary()
    stuck, fine = lab.agent(name="stuck"), lab.agent(name="fine")
    wait_for(lab, "stuck", "fine")
    stuck.signal(signal.SIGSTOP)
    late = lab.flagctl("set", "k", "on", "--wait", "--timeout", "1s", "--json")
    assert late.code == 6 and late.error["exit"] == 6 and late.error["code"] == "not-everywhere"
    assert "stuck" in late.error["message"] and "fine" not in late.error["message"]
    wait = late.json["wait"]
    assert (wait["hosts"], wait["have"], wait["missing"]) == (2, 1, ["stuck"]) and wait["ms"] >= 1000
    assert late.json["result"] == "changed", "it was committed all the same"
    text = lab.flagctl("set", "k", "off", "--wait=all", "--timeout", "1s")
    assert text.code == 6 and "stuck" in text.err and "fleet --behind" in text.err

    half = lab.ok("set", "k", "on", "--wait=50%", "--timeout", "20s")
    assert half["wait"]["have"] == 1 and half["wait"]["missing"] == ["stuck"] and half["wait"]["ms"] < 20000
    assert lab.flagctl("set", "k", "off", "--wait=51%", "--timeout", "1s").code == 6
    for nonsense in ("0%", "101%", "some", "99", "%"):
        refused = lab.flagctl("set", "never", "on", f"--wait={nonsense}")
        assert refused.code == 2 and nonsense in refused.err
    assert lab.flagctl("get", "never").code == 1, "nothing was changed"

    behind = hosts(lab, "--behind")
    assert list(behind) == ["stuck"] and behind["stuck"]["lag"] == 4 and behind["stuck"]["behind_ms"] > 0
    stuck.signal(signal.SIGCONT)
    lab.wait_equal(primary, stuck, fine)
    assert wait_for(lab, "stuck")["stuck"]["behind_ms"] == 0
    assert lab.ok("set", "k", "on", "--wait", "--timeout", "20s")["wait"]["have"] == 2


def test_a_silent_host_is_named_and_waited_for_only_after_a_start(lab):
    primary = lab.primary()
    gone, here = lab.agent(name="gone"), lab.agent(name="here")
    wait_for(lab, "gone", "here")
    gone.kill()
    wait_for(lab, "gone", state="silent")
    counts = fleet(lab)["counts"]
    assert (counts["current"], counts["silent"]) == (1, 1)
    assert hosts(lab)["gone"]["last_seen_ms"] > 10000 > hosts(lab)["here"]["last_seen_ms"]
    done = lab.ok("set", "k", "on", "--wait", "--timeout", "20s")
    assert (done["wait"]["hosts"], done["wait"]["silent"]) == (1, ["gone"])
    said = lab.flagctl("set", "k", "off", "--wait", "--timeout", "20s")
    assert said.code == 0 and "silent" in said.out and "gone" in said.out
    seen = hosts(lab)["gone"]["last_seen_ms"]

    # A primary that starts does not know who is gone, and who only has not spoken yet.
    primary.stop()
    primary.again()
    after = hosts(lab)
    assert after["gone"]["labels"] == {} and after["gone"]["last_seen_ms"] >= seen
    late = lab.flagctl("set", "k", "on", "--wait", "--timeout", "1s", "--json")
    assert late.code == 6 and "gone" in late.json["wait"]["missing"]
    wait_for(lab, "gone", state="silent")
    assert lab.ok("set", "k", "off", "--wait", "--timeout", "20s")["wait"]["silent"] == ["gone"]


def test_a_retired_host_is_neither_listed_nor_waited_for(lab):
    primary = lab.primary()
    gone, here = lab.agent(name="gone1"), lab.agent(name="here")
    wait_for(lab, "gone1", "here")
    gone.signal(signal.SIGSTOP)
    assert lab.flagctl("set", "k", "on", "--wait", "--timeout", "1s").code == 6
    wrong = lab.flagctl("host", "retire", "gnoe1", "--json")
    assert wrong.code == 1 and "gone1" in wrong.error["mend"]
    assert lab.ok("host", "retire", "gone1")["host"] == "gone1"
    assert list(hosts(lab)) == ["here"]
    assert lab.ok("set", "k", "off", "--wait", "--timeout", "20s")["wait"]["hosts"] == 1
    assert lab.flagctl("host", "retire", "gone1").code == 1
    assert lab.ok("host", "retire", "--silent", "1m")["hosts"] == 0
    assert lab.flagctl("host", "retire", "--silent", "59s").code == 2
    assert lab.flagctl("host", "retire", "gone1", "--silent", "1h").code == 2
    primary.stop()
    primary.again()
    assert list(hosts(lab)) == ["here"], "it is gone from the store as well"
    gone.signal(signal.SIGCONT)
    wait_for(lab, "gone1")  # it speaks again, and is new


def test_retiring_is_refused_on_what_is_no_command(lab):
    lab.primary()
    assert lab.flagctl("host", "forget", "x").code == 2
    assert lab.flagctl("host", "retire").code == 2


def test_the_ledger_survives_a_kill_of_the_primary(lab):
    primary = lab.primary()
    agent = lab.agent("--label", "ring=canary", name="host1")
    wait_until(lambda: hosts(lab)["host1"]["version"] == 1, what="it has the first version, and says so")
    time.sleep(0.5)  # it is written within a few of the writer's ticks of 100 ms, and nothing shows when
    agent.kill()
    def kept():
        primary.kill()
        primary.again()
        return hosts(lab).get("host1")
    host = wait_until(kept, what="the primary knows its host after kill -9")
    assert host["labels"] == {"ring": "canary"} and host["software"] and host["version"] <= 1  # as it was last written


def test_two_agents_of_one_id_are_named(lab):
    primary = lab.primary()
    lab.agent(name="one")
    for n in (1, 2):
        lab.agent("--label", f"n={n}", name=f"twin{n}", ready=False, store=lab.dir / f"t{n}")
    assert not any(h["duplicate"] for h in wait_for(lab, "one", "twin1", "twin2").values())
    two = lab.process([BUILD / "hoistd", "agent", "--store", lab.dir / "again", "--upstream", lab.url, "--http", "off", "--id", "twin1"], "again")
    wait_until(lambda: hosts(lab)["twin1"]["duplicate"], what="two take turns under one id")
    now = hosts(lab)
    assert not now["one"]["duplicate"] and not now["twin2"]["duplicate"]
    assert "two hosts call themselves 'twin1'" in primary.text()
    assert primary.text().count("two hosts call themselves") == 1, "once a minute"
    assert "two hosts have this id" in lab.flagctl("fleet").out
    two.kill()
    wait_until(lambda: not hosts(lab)["twin1"]["duplicate"], what="one is alone again")


def test_a_host_that_refuses_one_flag_is_shown_with_why(lab):
    primary = lab.primary()
    lab.agent(name="fine")
    lab.ok("set", "k", "on")
    epoch = int(lab.head()["epoch"], 16)
    odd = FakeHost(primary.port, "odd")
    why = "its record has version 9, \x1b[31mthis program reads version 1"
    digest = bytes.fromhex(lab.ok("log")["changes"][0]["hash"])
    odd.tell(2, epoch, refusals=[("k", 2, why)], held=1, hash=digest)
    host = hosts(lab)["odd"]
    assert host["state"] == "refusing" and host["version"] == 2 and host["lag"] == 0
    assert host["refused"] == [{"key": "k", "version": 2, "why": why}]
    wait_for(lab, "fine")
    assert fleet(lab)["counts"] == {"current": 1, "behind": 0, "silent": 0, "refusing": 1}
    assert primary.metric('hoist_hosts{env="production",state="refusing"}') == 1
    assert "host 'odd' holds flag 'k'" in primary.text()
    text = lab.flagctl("fleet", "--behind").out
    assert "odd" in text and "refuses k of v2" in text and "fine" not in text and "\x1b" not in text
    odd.tell(2, epoch, hash=digest)
    assert hosts(lab)["odd"]["state"] == "current" and hosts(lab)["odd"]["refused"] == []
    odd.close()


def test_labels_choose_hosts(lab):
    lab.primary()
    lab.agent("--label", "ring=canary", "--label", "zone=a", name="one")
    lab.agent("--label", "ring=canary", "--label", "zone=b", name="two")
    lab.agent(name="three")
    wait_for(lab, "one", "two", "three")
    assert sorted(hosts(lab)) == ["one", "three", "two"]
    assert sorted(hosts(lab, "--label", "ring=canary")) == ["one", "two"]
    both = fleet(lab, "--label", "ring=canary", "--label", "zone=b")
    assert [h["id"] for h in both["hosts"]] == ["two"] and both["counts"]["current"] == 1
    assert both["hosts"][0]["labels"] == {"ring": "canary", "zone": "b"}
    assert hosts(lab, "--label", "ring=") == {}
    assert lab.flagctl("fleet", "--label", "canary").code == 2


@pytest.mark.skipif(SANITIZED, reason="300 sanitized processes are too many for one machine")
def test_300_agents_that_come_back_at_once_ask_one_after_the_other():
    """The program measures the primary's peak rates, and fails where they are not bounded."""
    done = subprocess.run([BUILD / "tests/unit/test_repl_stampede"], env=clean_env(HOIST_AGENTS=300), capture_output=True, text=True, timeout=300)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_each_environment_has_its_own_fleet(lab):
    lab.primary("--env", "staging", "--env", "production")
    lab.agent("--env", "staging", name="only")
    lab.agent("--env", "production", "--env", "staging", name="both")
    ids = lambda env: sorted(h["id"] for h in lab.ok("fleet", env=env)["hosts"])
    wait_until(lambda: ids("staging") == ["both", "only"])
    assert ids("production") == ["both"]
    assert lab.ok("set", "k", "on", "--wait", "--timeout", "20s", env="production")["wait"]["hosts"] == 1
    assert lab.ok("set", "k", "on", "--wait", "--timeout", "20s", env="staging")["wait"]["hosts"] == 2


def test_the_fleet_is_the_primarys_to_tell(lab):
    primary = lab.primary()
    agent = lab.agent()
    assert lab.flagctl("fleet", "--store", agent.store).code == 2
    at_agent = lab.flagctl("fleet", "--timeout", "1s", primary=f"tcp://127.0.0.1:{primary.http}")
    assert at_agent.code in (1, 7)


def test_watch_prints_each_change_once(lab):
    lab.primary()
    lab.agent(name="host1")
    wait_for(lab, "host1")
    watch = lab.process([BUILD / "flagctl", "fleet", "--watch", "--json", "--primary", lab.url], "watch")
    lines = lambda: [json.loads(line) for line in watch.text().splitlines()]
    wait_until(lambda: len(lines()) == 1 and lines()[0]["head"] == 1)
    lab.ok("set", "k", "on", "--wait", "--timeout", "20s")
    wait_until(lambda: lines()[-1]["head"] == 2 and lines()[-1]["hosts"][0]["version"] == 2)
    assert all(a != b for a, b in zip(lines(), lines()[1:]))
    assert len(lines()) <= 3
    assert watch.alive()


def test_a_terminal_sees_colours_and_progress(lab):
    lab.primary()
    stuck = lab.agent(name="stuck")
    wait_for(lab, "stuck")
    stuck.signal(signal.SIGSTOP)

    def shown(*words):
        parent, child = pty.openpty()
        p = subprocess.Popen([BUILD / "flagctl", *words], stdin=child, stdout=child, stderr=child,
                             env=clean_env(HOIST_PRIMARY=lab.url, TERM="xterm"))
        os.close(child)
        text = b""
        try:
            while piece := os.read(parent, 4096):
                text += piece
        except OSError:  # the other end is closed
            pass
        os.close(parent)
        return p.wait(20), text.decode()

    code, text = shown("set", "k", "on", "--create", "--wait", "--timeout", "1s")
    assert code == 6 and "0 of 1 hosts" in text and "\r[" in text and "stuck" in text
    code, text = shown("fleet")
    assert code == 0 and "\x1b[" in text and "stuck" in text and "behind" in text
