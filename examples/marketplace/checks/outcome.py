"""How a check ends, and what it counts on the way."""
import collections


class BadInput(Exception):
    """A contract or an option is wrong: exit 2."""


class NotRun(Exception):
    """It cannot be said whether the contract holds: exit 4."""


SHOWN = 50  # of what is broken, a line each


class Tally:
    def __init__(self, quiet):
        self.quiet, self.assertions, self.cases, self.combinations = quiet, 0, 0, 0
        self.failures, self.left_out, self.seen = [], [], collections.Counter()

    def check(self, holds, where, what):
        """One assertion; the answer is whether it holds."""
        self.assertions += 1
        if not holds:
            self.failures.append({"where": where, "what": what})
            if not self.quiet and len(self.failures) <= SHOWN:
                print(f"BROKEN  {where}: {what}", flush=True)
        return bool(holds)

    def holds(self):
        return self.assertions > 0 and not self.failures
