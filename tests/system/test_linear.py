"""`set --if-version` by several at once is linearizable, also while the primary is killed and answers are lost; and the checker
that says so knows a history that is not."""
import itertools
import random
import re
import threading
import time

import pytest

from crashing_proxy import CrashingProxy
from faults import Client, check_history, figures, seeded
from hoist import SOAK, free_port
from linear import CONFLICT, OK, UNKNOWN, NotLinear, Op, check

SECONDS = 180 if SOAK else 8
KEYS = ["a", "b", "c"]

START = 10, {"a": 0, "b": 0}


def made(key, value, begun, ended, version, expected=None):
    return Op("set", key, value, begun, ended, OK, version, expected)


def lost(key, value, begun, expected=None):
    return Op("set", key, value, begun, expected=expected)


def read(key, value, begun, ended, version):
    return Op("read", key, value, begun, ended, OK, version)


def conflict(begun, ended, version, expected):
    return Op("set", "a", 99, begun, ended, CONFLICT, version, expected)


RIGHT = {
    "nothing": [],
    "one after the other": [made("a", 1, 0, 1, 11, 10), read("a", 1, 2, 3, 11), made("b", 2, 4, 5, 12, 11), conflict(6, 7, 12, 10)],
    "a read beside a change sees the old": [made("a", 1, 0, 5, 11), read("a", 0, 1, 2, 10)],
    "a read beside a change sees the new": [made("a", 1, 0, 5, 11), read("a", 1, 1, 2, 11)],
    "versions in another order than begins": [made("a", 1, 0, 9, 12), made("a", 2, 1, 8, 11, 10)],
    "an unknown one that happened": [lost("a", 1, 0, 10), read("a", 1, 1, 2, 11)],
    "an unknown one that happened late": [lost("a", 1, 0), read("a", 0, 1, 2, 10), made("b", 1, 3, 4, 11), read("a", 1, 5, 6, 12)],
    "an unknown one that never happened": [lost("a", 1, 0, 10), made("b", 1, 1, 2, 11, 10), read("a", 0, 3, 4, 11)],
    "two unknown, told apart by a later read": [lost("a", 1, 0), lost("b", 2, 0), read("b", 0, 3, 4, 11), read("b", 2, 3, 4, 12)],
    "a conflict before the change that it met was answered": [made("a", 1, 0, 9, 11), conflict(1, 2, 11, 10)],
    "a read without an answer": [Op("read", "a", None, 0)],
}
WRONG = {
    "an old read after a change was answered": [made("a", 1, 0, 1, 11), read("a", 0, 2, 3, 10)],
    "a read of the future": [read("a", 1, 0, 1, 11), made("a", 1, 2, 3, 11)],
    "a read of what nobody wrote": [made("a", 1, 0, 1, 11), read("a", 7, 2, 3, 11)],
    "reads that go back": [lost("a", 1, 0), read("a", 1, 1, 2, 11), read("a", 0, 3, 4, 10)],
    "two changes with one version": [made("a", 1, 0, 5, 11, 10), made("b", 2, 0, 5, 11, 10)],
    "two changes for one version": [made("a", 1, 0, 5, 11, 10), made("b", 2, 0, 5, 12, 10)],
    "a lost update": [made("a", 1, 0, 1, 11), made("a", 2, 2, 3, 12), read("a", 1, 4, 5, 12)],
    "an acknowledged change that is gone": [made("a", 1, 0, 1, 11), read("a", 0, 2, 3, 11)],
    "a conflict with nothing": [conflict(0, 1, 10, 10)],
    "a version that nobody can have made": [made("a", 1, 0, 1, 11), made("a", 2, 2, 3, 13)],
    "an unknown one before it began": [read("a", 1, 0, 1, 11), lost("a", 1, 2)],
    "an unknown one that happened twice": [lost("a", 1, 0), made("a", 2, 1, 2, 12), read("a", 1, 3, 4, 13)],
    "an unknown one at another version than its own": [lost("a", 1, 0, 10), made("b", 1, 1, 2, 11), read("a", 1, 3, 4, 12)],
    "versions against the order of answers": [made("a", 1, 0, 1, 12), made("b", 1, 2, 3, 11)],
    "a change before the beginning": [made("a", 1, 0, 1, 10)],
    "a read before the beginning": [read("a", 0, 0, 1, 9)],
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_checker_takes(name):
    check(RIGHT[name], *START)


@pytest.mark.parametrize("name", WRONG)
def test_the_checker_refuses(name):
    with pytest.raises(NotLinear):
        check(WRONG[name], *START)


def answers(op, version, values):
    """What the object does with `op`: its next version and values; None if its answer would have been another."""
    if op.kind == "read":
        return (version, values) if (op.version, op.value) == (version, values[op.key]) else None
    if op.outcome == CONFLICT:
        return (version, values) if op.version == version and op.expected != version else None
    if op.expected not in (None, version) or (op.outcome == OK and op.version != version + 1):
        return None
    return version + 1, {**values, op.key: op.value}


def linear_by_all_orders(ops, version, values):
    """The definition itself: each subset of the unknown, in each order that keeps what ended before what began later."""
    known, unknown = ([op for op in ops if (op.outcome == UNKNOWN) == want] for want in (False, True))
    subsets = itertools.chain.from_iterable(itertools.combinations(unknown, n) for n in range(len(unknown) + 1))
    for chosen in subsets:
        for order in itertools.permutations([*known, *chosen]):
            if any(later.ended < earlier.begun for earlier, later in itertools.combinations(order, 2)):
                continue
            state = version, values
            for op in order:
                state = state and answers(op, *state)
            if state:
                return True
    return False


def random_history(dice):
    """Six operations of three clients on an object that does one thing at a time; then, often, something is made wrong."""
    version, values, ops, busy = *START, [], {}
    for instant in range(1, 7):
        begun = max(busy.get(client := dice.randrange(3), 0), instant - dice.uniform(0, 2))
        busy[client] = ended = max(begun, instant) + dice.uniform(0.1, 2)
        key, expected = dice.choice("ab"), dice.choice([None, version, version - 1])
        if dice.random() < 0.4:
            ops.append(read(key, values[key], begun, ended, version))
        elif expected == version - 1:
            ops.append(conflict(begun, ended, version, expected))
        elif dice.random() < 0.3:
            ops.append(lost(key, instant, begun, expected))
            if dice.random() < 0.5:
                version, values = version + 1, {**values, key: instant}
        else:
            version, values = version + 1, {**values, key: instant}
            ops.append(made(key, instant, begun, ended, version, expected))
    if dice.random() < 0.7:
        op = dice.choice(ops)
        spoilt = dice.choice(["version", "value", "begun", "ended"])
        setattr(op, spoilt, getattr(op, spoilt) + dice.choice([-1, 1]))
        op.ended = max(op.begun, op.ended)
    return ops


def test_the_checker_agrees_with_the_definition():
    """On random small histories, right ones and wrong ones: each is also judged by trying all orders."""
    dice = random.Random(6)
    verdicts = []
    for _ in range(1500):
        ops = random_history(dice)
        want = linear_by_all_orders(ops, *START)
        try:
            check(ops, *START)
            have = True
        except NotLinear:
            have = False
        assert have == want, "\n".join(map(str, ops))
        verdicts.append(want)
    assert min(verdicts.count(True), verdicts.count(False)) > 300


class Contender(threading.Thread):
    """Reads one of few keys, then changes one at the version it saw; or just changes it, or just reads."""

    def __init__(self, port, index, dice):
        super().__init__(daemon=True)
        self.client, self.index, self.dice = Client(port, f"writer{index}"), index, random.Random(dice.random())
        self.ops, self.count, self.ending, self.failure = [], 0, threading.Event(), None
        self.acknowledged, self.unknown = {}, set()  # as check_history() asks for

    def read(self, key):
        begun = time.monotonic()
        exit, answer = self.client.command("get", self.dice.uniform(0.05, 2), env="production", key=key)
        if exit != 0:
            assert exit == 7, answer
            return None
        self.ops.append(Op("read", key, answer["value"], begun, time.monotonic(), OK, answer["version"]))
        return answer["version"]

    def set(self, key, expected):
        self.count += 1
        value, message = self.count * 100 + self.index, f"writer{self.index} {self.count}"
        more = {} if expected is None else {"if_version": str(expected)}
        begun = time.monotonic()
        exit, answer = self.client.command("set", self.dice.uniform(0.05, 2), env="production", key=key, value=str(value),
                                           message=message, **more)
        op = Op("set", key, value, begun, expected=expected)
        self.ops.append(op)
        if exit == 7:
            self.unknown.add(message)
            return
        op.ended = time.monotonic()
        if exit == 3:
            op.outcome, op.version = CONFLICT, int(re.search(r"is at \w+:(\d+)", answer["error"]["message"]).group(1))
        else:
            assert exit == 0 and answer["result"] == "changed", answer
            op.outcome, op.version = OK, answer["version"]
            self.acknowledged[message] = op.version

    def run(self):
        try:
            while not self.ending.is_set():
                version = self.read(self.dice.choice(KEYS))
                if self.dice.random() < 0.1:
                    version = None
                if version is not None or self.dice.random() < 0.3:
                    self.set(self.dice.choice(KEYS), version)
        except Exception as error:
            self.failure = error


class Trouble:
    """A way to the primary that loses answers, and a primary that dies: also between the two."""

    def __init__(self, primary, dice):
        self.primary, self.dice, self.kills, self.cuts = primary, dice, 0, 0
        self.kill_at_answer = False
        self.proxy = CrashingProxy(free_port(), primary.port, self.on_answer)

    def on_answer(self):
        if self.kill_at_answer:
            self.primary.kill()

    def strike(self):
        what = self.dice.choice(["cut", "cut", "kill", "kill at an answer"])
        if what != "kill":
            self.kill_at_answer = what == "kill at an answer"
            self.proxy.armed.set()
        self.cuts += what != "kill"
        if what == "cut":
            return
        if what == "kill at an answer":
            self.primary.p.wait(30)
        self.primary.kill()
        time.sleep(self.dice.choice([0, 0, self.dice.uniform(0, 0.6)]))
        self.primary.again()
        self.kills += 1


def test_conditional_changes_are_linearizable_soak(lab):
    dice = seeded("linear")
    primary = lab.primary()
    first = lab.ok("import", lab.file("f.json", {"flags": {k: {"state": "ENABLED", "variants": {"value": 0}, "defaultVariant": "value"}
                                                           for k in KEYS}}))["version"]
    trouble = Trouble(primary, dice)
    # Half of them through the proxy: the others see at once what the first are told late or never.
    contenders = [Contender((primary.port, trouble.proxy.port)[i % 2], i, dice) for i in range(8)]
    for c in contenders:
        c.start()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(dice.uniform(0, 0.4))
        trouble.strike()
    for c in contenders:
        c.ending.set()
    for c in contenders:
        c.join(60)
        assert c.failure is None, c.failure
    trouble.proxy.close()
    ops = [op for c in contenders for op in c.ops]
    check(ops, first, dict.fromkeys(KEYS, 0))
    check_history(lab, contenders)  # the log tells the same
    count = lambda outcome: sum(op.outcome == outcome for op in ops if op.kind == "set")
    assert count(OK) > 100 and count(CONFLICT) > 100 and trouble.kills > 3
    figures(f"linear: {len(ops):,} operations of 8 writers on {len(KEYS)} keys in {SECONDS} s through {trouble.kills} kills and "
            f"{trouble.cuts} lost answers ({count(OK):,} changes, {count(CONFLICT):,} conflicts, {count(UNKNOWN)} unknown, the rest reads): "
            "linearizable")
