"""kill -9 of anything at any instant: no acknowledged change is lost, nothing is done twice, no host mixes two versions."""
import threading
import time

import pytest

from crashing_proxy import CrashingProxy
from faults import figures, seeded
from hoist import BUILD, SOAK, Writer, free_port, wait_until


def check_log_has_each_once(lab, writers):
    log = lab.ok("log", "--limit", "1000000", timeout=120)
    messages = [c["message"] for c in log["changes"] if c["message"].startswith("write ")]
    for w in writers:
        for n in w.acknowledged:
            assert messages.count(f"write {n}") == 1, f"write {n} stands {messages.count(f'write {n}')} times"
        for n in w.unknown:
            assert messages.count(f"write {n}") <= 1


@pytest.mark.parametrize("whom", ["primary", "agent", "reader"])
def test_kill_9_under_load_soak(lab, whom):
    """20 kills each in `make check`, 200 each in `make soak`."""
    dice = seeded(f"crash of the {whom}")
    primary = lab.primary()
    agents = [lab.agent(name=f"host{i}") for i in range(2)]
    lab.ok("import", lab.file("pair.json", {"flags": {k: {"state": "ENABLED", "variants": {"value": 0}, "defaultVariant": "value"}
                                                      for k in ("pair.a", "pair.b", "load")}}))
    lab.wait_equal(primary, *agents)
    checkers = [lab.process([BUILD / "tests/system/pair_reader", a.store, "production", "pair.a", "pair.b"], f"pair-{a.name}") for a in agents]
    writer = Writer(lab, ["load"])
    writer.start()
    stop = threading.Event()

    def pairs():
        n = 0
        while not stop.is_set():
            n += 1
            both = {"flags": {k: {"state": "ENABLED", "variants": {"value": n}, "defaultVariant": "value"} for k in ("pair.a", "pair.b")}}
            lab.flagctl("import", lab.file("pairs.json", both), "--timeout", "20s", timeout=90)

    pairing = threading.Thread(target=pairs, daemon=True)
    pairing.start()
    kills = 200 if SOAK else 20
    for _ in range(kills):
        time.sleep(dice.uniform(0.02, 0.4))
        if whom == "primary":
            primary.kill()
            primary.again()
        elif whom == "agent":
            victim = dice.choice(agents)
            victim.kill()
            victim.again()
        else:
            i = dice.randrange(2)
            checkers[i].kill()
            checkers[i] = lab.process(checkers[i].argv, f"pair-again-{i}")
    stop.set()
    pairing.join(120)
    writer.end()
    assert writer.acknowledged, "the load wrote nothing"
    lab.wait_equal(primary, *agents)
    check_log_has_each_once(lab, [writer])
    for c in checkers:
        assert c.alive(), c.text()
        wait_until(lambda: "views" in c.text())
        assert "mixed" not in c.text(), c.text()
    if whom == "reader":
        wait_until(lambda: agents[0].metric("hoist_store_readers") <= 8, what="the slots of killed readers are cleared")
    figures(f"crash: {kills} kills of the {whom}, {len(writer.acknowledged)} changes acknowledged, {len(writer.unknown)} with unknown outcome, lost 0")


def test_the_primary_dies_between_commit_and_answer_soak(lab):
    """Each command stands in the log exactly once, however often its answer was lost: 100 times."""
    primary = lab.primary()
    port = free_port()
    down = threading.Event()

    def crash():
        primary.kill()
        down.set()

    proxy = CrashingProxy(port, primary.port, crash)
    try:
        for n in range(100):
            down.clear()
            proxy.armed.set()
            answers = []
            ask = threading.Thread(target=lambda: answers.append(
                lab.flagctl("set", "k", n, "--type", "number", "-m", f"write {n}", "--timeout", "30s", "--json",
                            primary=f"tcp://127.0.0.1:{port}", timeout=90)))
            ask.start()
            assert down.wait(30), "no answer came by"
            primary.again()
            ask.join(90)
            assert answers[0].code == 0, answers
            assert answers[0].json["result"] == "changed"
    finally:
        proxy.close()
    log = lab.ok("log", "--limit", "1000")
    messages = [c["message"] for c in log["changes"] if c["message"].startswith("write ")]
    assert messages == [f"write {n}" for n in reversed(range(100))]
    figures("crash: 100 answers lost, each command done once")


def test_a_killed_reader_does_not_make_the_store_grow(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("set", "k", "0", "--type", "number")
    lab.wait_equal(primary, agent)
    for n in range(5):
        holder = lab.process([BUILD / "tests/system/holder", agent.store, "production", "k"], f"holder{n}")
        wait_until(lambda: "holding" in holder.text())
        holder.kill()
    wait_until(lambda: agent.metric("hoist_store_readers_cleared_total") >= 5, what="five dead readers cleared")
    before = agent.metric("hoist_store_used_bytes")
    for n in range(200):
        lab.ok("set", "k", n + 1)
    lab.wait_equal(primary, agent)
    assert agent.metric("hoist_store_used_bytes") < before + (4 << 20)


def test_a_stopped_reader_is_named_after_five_seconds(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, agent)
    holder = lab.process([BUILD / "tests/system/holder", agent.store, "production", "k"], "holder")
    wait_until(lambda: "holding" in holder.text())
    named = wait_until(lambda: lab.ok("status", store=agent.store).get("stuck_readers"), limit_ms=30000)
    assert named[0]["pid"] == holder.pid
    assert named[0]["since_ms"] >= 5000
    assert agent.metric("hoist_store_stuck_readers") == 1
    holder.kill()
    wait_until(lambda: agent.metric("hoist_store_stuck_readers") == 0)
