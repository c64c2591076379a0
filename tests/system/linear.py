"""Whether a history of conditional changes and reads, as several clients saw it, could have happened one operation after the other.

A history is *linearizable* (Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects", TOPLAS 12(3),
1990) if each operation can be given an instant between its begin and its end at which it happens whole, so that the answers are
those of one object which does one thing at a time. Wing and Gong ("Testing and verifying concurrent objects", J. Parallel and
Distributed Computing 17, 1993) search for such an order among all orders, which is exponential. Here the answers leave hardly
anything to search for, since the object numbers its changes:

- a change that succeeded says which version it made, so changes stand in the order of their versions;
- a read, and a conflict, say at which version they looked, so they stand between that version's change and the next;
- an instant for each is found by going through them in that order and taking the earliest that is possible: if that is after
  the operation's end, nothing can mend it, since every instant before was the earliest, too.

What is left to search is a change with an unknown outcome: it never happened, or is one of the versions that no answer names. One
that was made for a version can only be the next; others may be any, and each is tried.
"""
import dataclasses

OK, CONFLICT, UNKNOWN = "ok", "conflict", "unknown"
NEVER = float("inf")


@dataclasses.dataclass(eq=False)
class Op:
    """One operation. `value` is what a change gave to `key`, or what a read of it saw; `version` what a change made, or
    where a read or a conflict looked."""
    kind: str  # "set" or "read"
    key: str
    value: int
    begun: float
    ended: float = NEVER
    outcome: str = UNKNOWN
    version: int = 0
    expected: int = None  # a change's: made only at this version

    def __str__(self):
        on = f" at {self.expected}" if self.expected is not None else ""
        return f"{self.kind} {self.key}={self.value}{on}: {self.outcome}, {self.version} ({self.begun:.6f} to {self.ended:.6f})"


class NotLinear(AssertionError):
    pass


class Checker:
    def __init__(self, ops):
        self.changes, self.looks, self.lost = {}, {}, []
        for op in ops:
            if op.kind == "set" and op.outcome == UNKNOWN:
                self.lost.append(op)
            elif op.kind == "set" and op.outcome == OK:
                self._add_change(op)
            elif op.outcome != UNKNOWN:  # a read without an answer says nothing
                self.looks.setdefault(op.version, []).append(op)
        self.last = max([*self.changes, *self.looks], default=0)
        self.lost.sort(key=lambda op: -op.begun)  # most take effect soon after they began: those are tried first
        self.tried, self.why = set(), None

    def _add_change(self, op):
        if op.version in self.changes:
            raise NotLinear(f"two changes made one version: {op}; {self.changes[op.version]}")
        if op.expected is not None and op.expected != op.version - 1:
            raise NotLinear(f"made at another version than it was for: {op}")
        self.changes[op.version] = op

    def fail(self, version, why):
        """Kept if it is the furthest that any order came: the others fail because of wrong guesses."""
        if self.why is None or version > self.why[0]:
            self.why = version, why
        return None

    def look(self, version, now, values):
        """The instant after all that looked at `version`, which came to be at `now`; None if one of them cannot have."""
        latest = now
        for op in self.looks.get(version, ()):
            instant = max(now, op.begun)
            if instant > op.ended:
                return self.fail(version, f"it was over before its version was there: {op}")
            if op.outcome == CONFLICT and op.expected == version:
                return self.fail(version, f"a conflict with nothing: {op}")
            if op.kind == "read" and values.get(op.key) != op.value:
                return self.fail(version, f"it read what was not there, which was {values.get(op.key)}: {op}")
            latest = max(latest, instant)
        return latest

    def candidates(self, state):
        version, _, _, spent = state
        if version + 1 in self.changes:
            return [self.changes[version + 1]]
        found = [op for op in self.lost if op not in spent and op.expected in (None, version)]
        if not found:
            self.fail(version + 1, "no change is known that can have made it")
        return found

    def after(self, state, op):
        """How all stands once `op` made the next version; None if it cannot have, or that was tried in vain."""
        version, now, values, spent = state
        instant = max(now, op.begun)
        if instant > op.ended:
            return self.fail(version + 1, f"it was over before the version that it stands on was there: {op}")
        values = {**values, op.key: op.value}
        spent = spent | {op} if op.outcome == UNKNOWN else spent
        now = self.look(version + 1, instant, values)
        mark = version + 1, now, tuple(sorted(values.items())), spent
        if now is None or mark in self.tried:
            return None
        self.tried.add(mark)
        return version + 1, now, values, spent

    def search(self, version, values):
        """Depth first, with a stack of our own: how all stood at each version, and what is left to be tried next there."""
        state = version, self.look(version, float("-inf"), values), values, frozenset()
        if state[1] is None:
            return False
        stack = [(state, iter(self.candidates(state)))] if version < self.last else []
        while stack:
            state, choices = stack[-1]
            following = next((s for op in choices if (s := self.after(state, op))), None)
            if following is None:
                stack.pop()
            elif following[0] == self.last:
                return True
            else:
                stack.append((following, iter(self.candidates(following))))
        return version >= self.last


def check(ops, version, values):
    """Raises NotLinear unless `ops` can follow one another from `version` on, where keys have `values`."""
    checker = Checker(ops)
    early = [op for op in ops if op.outcome != UNKNOWN and op.version < version + (op.kind == "set" and op.outcome == OK)]
    if early:
        raise NotLinear(f"before the beginning: {early[0]}")
    if not checker.search(version, dict(values)):
        at, why = checker.why or (version, "no order fits")
        raise NotLinear(f"version {at}: {why}")
