"""What the fault suite shares: a seed that can be given again, writers that remember what they were told, and what must hold
when all is over. It stands beside the kit since the suite's tests are system tests: same processes, fixture, build, selection.
"""
import json
import os
import random
import threading
import time

from requester import Requester, unpack

UNKNOWN = 7


FIGURES = []  # conftest.py prints them at the end


def figures(line):
    """A test's line of figures, seen also when the test passes."""
    FIGURES.append(line)
    print(line)


def seeded(what):
    """The dice of a schedule of faults, from $SEED or anew; the seed is among the figures, so that it can be thrown again."""
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    figures(f"{what}: SEED={seed}")
    return random.Random(f"{what} {seed}")


def some(calls, dice, count):
    """A few of the calls that a program makes: half of them from the last quarter, since most of all calls are its start."""
    late = dice.sample(calls[-(len(calls) // 4):], count // 2)
    return late + dice.sample([call for call in calls if call not in late], count - count // 2)


def uuid7():
    """A command's id, as flagctl makes it: the time, then what nobody guesses."""
    random_bits = bytearray(os.urandom(10))
    random_bits[0] = random_bits[0] & 0x0f | 0x70
    random_bits[2] = random_bits[2] & 0x3f | 0x80
    return int(time.time() * 1000).to_bytes(6, "big") + bytes(random_bits)


class Client:
    """Commands to the primary on a port, as flagctl sends them: repeated under one id while connections fail."""

    def __init__(self, port, author):
        self.port, self.author, self.connection = port, author, None

    def _once(self, frame, timeout_s):
        self.connection = self.connection or Requester(self.port, 0.5)
        self.connection.s.settimeout(timeout_s)
        kind, _, *answer = unpack(self.connection.ask(frame))
        if kind != 24:
            raise ConnectionError(f"no answer to a command: {answer}")
        return answer[1], json.loads(answer[2])

    def command(self, name, timeout_s=5.0, **arguments):
        """The exit code and the answer; 7 when none came in time: it was done once, or not at all."""
        frame = [14, 1, uuid7(), name, self.author, json.dumps(arguments).encode()]
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            try:
                return self._once(frame, left)
            except OSError:
                self.close()
                time.sleep(0.01)
        return UNKNOWN, None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Load(threading.Thread):
    """Changes of many kinds by one author, and what became of each: its message names the author and its number."""

    KINDS = {"set": 12, "apply": 2, "pair": 3, "kill": 1, "restore": 1, "rollback": 1}
    FLAGS = [f"load.{i}" for i in range(40)]
    SWITCHES = [f"switch.{i}" for i in range(4)]

    def __init__(self, port, index, dice, pause_s=0.0, patience_s=(20, 20), kinds=None):
        super().__init__(daemon=True)
        self.client, self.index, self.pause_s, self.patience_s = Client(port, f"writer{index}"), index, pause_s, patience_s
        self.dice, self.kinds = random.Random(dice.random()), kinds or self.KINDS
        self.acknowledged, self.unknown, self.refused, self.unchanged = {}, set(), set(), set()
        self.count, self.ending, self.failure = 0, threading.Event(), None

    @staticmethod
    def file():
        """The flags that a load leans on."""
        value = {"state": "ENABLED", "variants": {"value": 0}, "defaultVariant": "value"}
        switch = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
        return {"flags": {**{k: value for k in [*Load.FLAGS, "pair.a", "pair.b"]}, **{k: switch for k in Load.SWITCHES}}}

    def arguments(self, kind, unique):
        flag = {"state": "ENABLED", "variants": {"value": unique}, "defaultVariant": "value"}
        if kind == "set":
            return "set", {"key": self.dice.choice(self.FLAGS), "value": str(unique)}
        if kind in ("apply", "pair"):
            keys = ("pair.a", "pair.b") if kind == "pair" else self.dice.sample(self.FLAGS, 10)
            return "apply", {"file": json.dumps({"flags": {k: flag for k in keys}})}
        if kind == "rollback":
            return kind, {"last": True}
        return kind, {"keys": [self.dice.choice(self.SWITCHES)]}

    def step(self):
        self.count += 1
        kind, = self.dice.choices(list(self.kinds), self.kinds.values())
        name, arguments = self.arguments(kind, self.count * 100 + self.index)
        message = f"writer{self.index} {self.count}"
        exit, answer = self.client.command(name, self.dice.uniform(*self.patience_s), env="production", message=message, **arguments)
        if exit == UNKNOWN:
            self.unknown.add(message)
        elif exit != 0:
            self.refused.add(message)
        elif answer["result"] == "changed":
            self.acknowledged[message] = answer["version"]
        else:
            self.unchanged.add(message)

    def run(self):
        begun = time.monotonic()
        try:
            while not self.ending.is_set():
                self.step()
                if self.pause_s:  # by the clock, so that a slow answer is made up for
                    self.ending.wait(max(0, begun + self.count * self.pause_s - time.monotonic()))
        except Exception as error:
            self.failure = error

    def end(self):
        self.ending.set()
        self.join(60)
        self.client.close()
        if self.failure:
            raise self.failure


def check_history(lab, loads):
    """Each acknowledged change stands in the primary's log once, at the version that was answered; an unknown one at most
    once; nothing stands there that was refused or that nobody asked for; versions have no holes. Gives how many stand there."""
    changes = lab.ok("log", "--limit", "10000000", timeout=300)["changes"]
    assert [c["version"] for c in changes] == list(range(len(changes), 0, -1)), "versions have holes"
    stands = {}
    for change in changes:
        if change["author"].startswith("writer"):
            assert change["message"] not in stands, f"{change['message']} was done twice"
            stands[change["message"]] = change["version"]
    for load in loads:
        for message, version in load.acknowledged.items():
            assert stands.pop(message, None) == version, f"{message} was acknowledged as version {version} and is not there"
        for message in load.unknown:
            stands.pop(message, None)
    assert not stands, f"nobody asked for {stands}, or it was refused"
    return len(changes)
