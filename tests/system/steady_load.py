"""steady_load.py PORT RATE SEED FILE: listings are asked of the example service, RATE times a second, until SIGTERM.

Request k is due at k / RATE seconds, whatever became of those before it, and its time runs from then. One in four goes over
a new connection, the others over one that was kept. Nothing is tried twice: whoever is refused, cut off, later than
DEADLINE_S, or answered what the service's contract does not have, has failed. FILE gets a JSON array for each request:

    [k, due, sent, answered, account, total, "new" or "kept", what was wrong or null]

Times are of the wall clock; the account is one of ACCOUNTS, each twentieth one of the staff; total is how many listings it was given.
"""
import collections
import http.client
import itertools
import json
import random
import re
import signal
import sys
import threading
import time

from hoist import TOP, clean_env, wait_until

sys.path.insert(0, str(TOP / "examples/marketplace"))
from checks.document import read_contract  # noqa: E402
from checks.schema import problems  # noqa: E402

ACCOUNTS, CONNECTIONS, DEADLINE_S, PATH = 1000, 8, 5, "/api/v1/listings"
EXPECTED = read_contract(TOP / "examples/marketplace/contracts/marketplace.json")["routes"][PATH]["responses"]["200"]


def account(number):
    return f"{'staff' if number % 20 == 0 else 'account'}-{number}"


def wrong(answer, body):
    """What the contract does not have, or None; and how many listings there are."""
    if answer.status != 200:
        return f"status {answer.status}: {body[:200]!r}", None
    for name, pattern in EXPECTED["headers"].items():
        if pattern is not None and not re.search(pattern, answer.headers.get(name, "")):
            return f"header {name} is {answer.headers.get(name)!r}", None
    try:
        page = json.loads(body)
    except ValueError as error:
        return f"no JSON: {error}", None
    return next(problems(EXPECTED["schema"], page), None), page.get("total") if isinstance(page, dict) else None


class Worker(threading.Thread):
    """One connection."""

    def __init__(self, port, rate, dice, numbers, out):
        super().__init__(daemon=True)
        self.port, self.rate, self.dice, self.numbers, self.out = port, rate, dice, numbers, out
        self.connection = None

    def ask(self, who):
        """What was wrong, and the total."""
        try:
            self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
            self.connection.request("GET", f"{PATH}?per_page=2", headers={"X-Account-Id": who})
            answer = self.connection.getresponse()
            return wrong(answer, answer.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return f"no answer: {error!r}", None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def run(self):
        for k in self.numbers:
            due = BEGAN + k / self.rate
            if ENDING.wait(max(0, due - time.time())) and due > ENDED[0]:
                break  # all that was due before is asked for still
            if self.dice.random() < 0.25:
                self.close()
            how, who, sent = "kept" if self.connection else "new", account(self.dice.randrange(ACCOUNTS)), time.time()
            why, total = self.ask(who)
            answered = time.time()
            if answered - due > DEADLINE_S:
                why = why or f"late: {answered - due:.3f} s after it was due"
            with WRITING:
                print(json.dumps([k, due, sent, answered, who, total, how, why]), file=self.out)


# ---------------------------------------------------------------- for a test

Asked = collections.namedtuple("Asked", "k due sent answered account total how why")


class Load:
    """Of a service, from now until `end`."""

    def __init__(self, lab, env, port, rate, seed):
        self.env, self.rate, self.path = env, rate, lab.dir / f"asked-{env}"
        self.process = lab.process([sys.executable, __file__, port, rate, seed, self.path], f"load-{env}",
                                   env=clean_env(PYTHONDONTWRITEBYTECODE="1"))
        wait_until(lambda: self.path.stat().st_size, what="the load has begun")

    def end(self):
        """All that was asked, by when it was answered."""
        self.ended = time.time()
        assert self.process.stop() == 0, self.process.text()
        self.asked = sorted((Asked(*json.loads(line)) for line in self.path.read_text().splitlines()), key=lambda a: a.answered)
        return self.asked

    def check_rate(self):
        """The load was there all the time: each request that was due was made, and soon after it was."""
        began = min(a.due for a in self.asked)
        due = (self.ended - began) * self.rate
        assert due - self.rate <= len(self.asked) <= due + self.rate / 10 + 1, f"{len(self.asked)} requests in place of {due:.0f}"
        assert sorted(a.k for a in self.asked) == list(range(len(self.asked))), "there is no answer to some of them"

    def figures(self):
        took = sorted((a.answered - a.due) * 1000 for a in self.asked)
        gap = max(b.answered - a.answered for a, b in zip(self.asked, self.asked[1:]))
        ways = collections.Counter(a.how for a in self.asked)
        return (f"{self.env}, {self.ended - self.asked[0].due:.0f} s at {self.rate} requests/s: requests {len(took)}, failed = {sum(a.why is not None for a in self.asked)}, {ways['kept']} on kept connections "
                f"and {ways['new']} on new ones, p50 {took[len(took) // 2]:.1f} ms, p99 {took[len(took) * 99 // 100]:.1f} ms, max {took[-1]:.0f} ms, "
                f"longest time without an answer {gap * 1000:.0f} ms")


# ---------------------------------------------------------------- the program

BEGAN, ENDED, ENDING, WRITING = time.time(), [], threading.Event(), threading.Lock()


def at_end(*_):
    ENDED.append(time.time())
    ENDING.set()


def main():
    port, rate, seed = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    signal.signal(signal.SIGTERM, at_end)
    numbers = itertools.count()  # whose next() is one step, so that each is taken once
    with open(sys.argv[4], "w") as out:
        workers = [Worker(port, rate, random.Random(f"{seed} {i}"), numbers, out) for i in range(CONNECTIONS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


if __name__ == "__main__":
    main()
