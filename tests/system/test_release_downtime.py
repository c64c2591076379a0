"""A release moves, its primary and the agents beside the services are killed, it is taken back, a host's store takes over: and
whoever asks the services for listings gets them, each time, with or without the feature as the release's record says."""
import datetime
import json
import shutil
import signal
import threading
import time

import pytest

from faults import Client, figures, seeded
from hoist import SOAK, TOP, free_port, wait_until
from steady_load import ACCOUNTS, Load, account
from test_crash_fleet import POINTS, Killer, Order
from test_github_stub import Stub
from test_marketplace import FLAGS, SEED, Marketplace
from test_release import ENVS, Prometheus

RATE = 100 if SOAK else 50  # requests a second to each service
SOAK_MS = 4000 if SOAK else 400  # of each step
STRIKES = 1 if SOAK else 0  # at each step, beside the first
REPOSITORIES = 250
NAMES = ("staging", "production")
SALT = "mgi-2026-11"
SHARES = {"staging": {1: 100}, "production": {2: 0, 3: 1, 4: 10, 5: 50, 6: 100}}  # of all but the staff, by step
COHORT, HALF, LAST = 2, 5, 6
PLAN = """
release: {name}
title: The marketplace
owner: mara
author: mara
flags: [marketplace.enabled, marketplace.github_sources.enabled, marketplace.sync.enabled]
bucket: {{cat: [{salt}, {{var: account_id}}]}}
interval: 100ms
abort_after: 2
guards:
  - {{name: freshness, query: 'time() - min(timestamp(up) and up == 1)', pass: '<= 30'}}
  - {{name: errors, query: 'sum(rate(errors_total[5m]))', pass: '<= 0.02', critical: '> 0.2'}}
announce: {{contact: '#demo'}}
phases:
  flags: {{steps: []}}
  monitoring: {{steps: []}}
  staging: {{env: staging, steps: [{{percent: 100, soak: {soak[1]}, exposed: 5}}]}}
  production:
    env: production
    steps:
      - {{if: {{starts_with: [{{var: account_id}}, staff-]}}, soak: {soak[2]}, exposed: 1}}
      - {{percent: 1, soak: {soak[3]}, exposed: 1}}
      - {{percent: 10, soak: {soak[4]}, exposed: 1}}
      - {{percent: 50, soak: {soak[5]}, exposed: 1}}
      - {{percent: 100, soak: {soak[6]}, exposed: 1}}
  watch: {{steps: []}}
"""


# ---------------------------------------------------------------- who should have it

def murmur3_32(data):
    """MurmurHash3, x86, 32 bits, seed 0."""
    def rotated(x, by):
        return (x << by | x >> 32 - by) & 0xffffffff

    def mixed(k):
        return rotated(k * 0xcc9e2d51 & 0xffffffff, 15) * 0x1b873593 & 0xffffffff

    h, whole = 0, len(data) // 4 * 4
    for at in range(0, whole, 4):
        h = (rotated(h ^ mixed(int.from_bytes(data[at:at + 4], "little")), 13) * 5 + 0xe6546b64) & 0xffffffff
    h ^= mixed(int.from_bytes(data[whole:], "little")) ^ len(data)
    h = (h ^ h >> 16) * 0x85ebca6b & 0xffffffff
    h = (h ^ h >> 13) * 0xc2b2ae35 & 0xffffffff
    return h ^ h >> 16


def first_step(env, who):
    """The step with which this account gets the feature."""
    share = murmur3_32((SALT + who).encode()) * 100 / 2**32
    return next(step for step, percent in SHARES[env].items() if share < percent or env == "production" and who.startswith("staff-"))


FIRST = {env: {account(n): first_step(env, account(n)) for n in range(ACCOUNTS)} for env in NAMES}


# ---------------------------------------------------------------- what the record allows

def seconds(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()


def check_baseline_between(acts, asked):
    """Before the first of an environment's acts, between two of them, and behind the last."""
    spans = zip([0, *(act.ended for act in acts)], [*(act.began for act in acts), time.time()])
    for begin, end in spans:
        there = [a for a in asked if begin <= a.sent and a.answered <= end and a.total]
        assert not there, f"nobody should have the feature from {begin} to {end}: {there[0]}"


class Act:
    """A release in an environment, by its record: when each step was begun, when the flags were first set back, and when all hosts
    had that. Before the first step and behind the last moment nobody has the feature."""

    def __init__(self, env, began, moved, back, ended):
        self.env, self.began, self.moved, self.back, self.ended = env, began, moved, back, ended

    def check(self, asked):
        """How many of the accounts that asked had it, by step."""
        during = [a for a in asked if a.sent >= self.began and a.answered <= self.ended]
        self.check_totals(during)
        forward = [a for a in during if a.answered < self.back]
        for step in self.moved:
            self.check_step(step, [a for a in forward if FIRST[self.env][a.account] == step])
        never = [a for a in during if FIRST[self.env][a.account] not in self.moved and a.total]
        assert not never, f"who is of no step that was begun has it: {never[0]}"
        self.check_back(forward, [a for a in during if a.answered >= self.back])
        return self.shares(forward)

    def check_totals(self, during):
        """All of it or nothing; a request that reads its second flag when they have just been set back is given what is built in."""
        for a in during:
            assert a.total in (0, SEED + REPOSITORIES) or a.total == SEED and a.answered >= self.back, f"it has a part of the feature: {a}"

    def check_step(self, step, asked):
        """There is one moment, within the step and before the next, before which none of its accounts has it, and behind which all do."""
        later = [at for other, at in self.moved.items() if other > step]
        end = min([*later, self.back])
        with_it, without = [a for a in asked if a.total], [a for a in asked if not a.total]
        early = [a for a in with_it if a.answered < self.moved[step]]
        assert not early, f"step {step} of {self.env} was begun at {self.moved[step]}, and before that: {early[0]}"
        late = [a for a in without if a.sent > end and later]
        assert not late, f"the step after {step} of {self.env} was begun at {end}, and one of {step} is without: {late[0]}"
        if with_it and without:
            first, last = min(with_it, key=lambda a: a.answered), max(without, key=lambda a: a.sent)
            assert last.sent <= first.answered, f"step {step} of {self.env} came and went: {first}, then {last}"

    def check_back(self, forward, behind):
        """Again one moment, behind which nobody has it; for whoever had it before."""
        had = {FIRST[self.env][a.account] for a in forward if a.total}
        with_it = [a for a in behind if a.total]
        without = [a for a in behind if not a.total and FIRST[self.env][a.account] in had]
        assert without, "nobody asked after the way back"
        if with_it:
            last, first = max(with_it, key=lambda a: a.sent), min(without, key=lambda a: a.answered)
            assert last.sent <= first.answered, f"{self.env} went back, and is there again: {first}, then {last}"

    def shares(self, forward):
        """At each step, of the accounts that asked between two moves."""
        ends = [*sorted(self.moved.values())[1:], self.back]
        found = {}
        for (step, at), end in zip(sorted(self.moved.items()), ends):
            seen = {a.account: bool(a.total) for a in sorted(forward, key=lambda a: a.sent) if a.sent > at and a.answered < end}
            found[step] = (sum(seen.values()), len(seen))
        return found


# ---------------------------------------------------------------- the scene

class Scene:
    """A primary, an agent beside a service in staging and in production, a relay. All of them know where the two will be found that
    take over, one after the other: the relay, and the agent in production. Both services under load."""

    def __init__(self, lab, dice):
        self.lab, self.dice, self.killer = lab, dice, Killer(dice)
        self.prometheus = Prometheus()
        self.prometheus.server.handle_error = lambda *about: None  # its questioner dies
        self.primary = self.start_primary("primary")
        self.client = Client(self.primary.port, "olga")
        self.keys = lab.dir / "keys"  # kept elsewhere than the primary's disk
        self.keys.mkdir()
        for name in ("sign.key", "trust.key"):
            shutil.copy2(self.primary.store / name, self.keys)
        self.heirs = [("relay", free_port(2)), ("production", free_port(2))]  # each if its turn comes
        self.hosts = {name: self.follower(name) for name in (*NAMES, "relay")}
        self.stub = Stub(lab, "--limit", 1000000)
        self.set_all("on")
        self.services = [Marketplace(lab, self.stub, agent.store, "--env", env, "--data", lab.dir / f"listings-{env}", name=env)
                         for env, agent in self.hosts.items() if env in NAMES]
        for service in self.services:
            wait_until(lambda service=service: service.total() == SEED + REPOSITORIES, what="GitHub's listings are in")
        self.reset()
        self.loads = [Load(lab, env, service.port, RATE, dice.randrange(1 << 32)) for env, service in zip(NAMES, self.services)]
        self.acts, self.moves, self.releases, self.take_overs = [], 0, 0, 0

    def start_primary(self, name, *args, **more):
        order = Order(self.lab.dir / f"{name}.kill")
        primary = self.lab.primary(*ENVS, "--prometheus", self.prometheus.url, *args, name=name, env=order.env, **more)
        primary.order = order
        return primary

    def follower(self, name):
        order = Order(self.lab.dir / f"host-{name}.kill")
        kind = self.lab.relay if name == "relay" else self.lab.agent
        host = kind(*ENVS, "--trust", self.keys / "trust.key", name=f"host-{name}", env=order.env,
                    upstream=[self.primary.url, *(f"tcp://127.0.0.1:{port}" for _, port in self.heirs)])
        host.order = order
        return host

    def set_all(self, variant):
        """For everybody, in all environments."""
        for env in NAMES:
            file = json.loads((TOP / f"examples/marketplace/flags/{env}.json").read_text())
            for key in FLAGS:
                file["flags"][key]["defaultVariant"] = variant
            self.lab.ok("import", self.lab.file("flags.json", file), "-m", f"all {variant}", env=env)
        self.wait_equal()

    def wait_equal(self):
        for env in NAMES:
            self.lab.wait_equal(self.primary, *self.hosts.values(), env=env)

    def reset(self):
        self.set_all("off")

    # ---------------------------------------------------------------- a release

    def start(self, stays_at=None):
        """`stays_at`: a step that lasts until somebody or something ends it."""
        self.releases += 1
        self.name, self.began = f"r{self.releases}", time.time()
        soak = {step: "1h" if step == stays_at else f"{SOAK_MS}ms" for step in range(1, LAST + 1)}
        plan = PLAN.format(name=self.name, salt=SALT, soak=soak)
        self.lab.ok("release", "start", self.lab.file("plan.yaml", plan), "--commit", "c0ffee", "--author", "mara")

    def status(self):
        return json.loads(self.lab.flagctl("release", "status", self.name, "--json").out)

    def wait_step(self, step):
        wait_until(lambda: self.status()["step"] >= step, 120000, every_ms=20, what=f"step {step}")

    def wait_state(self, state):
        wait_until(lambda: self.status()["state"] == state, 120000, every_ms=20, what=state)

    def events(self):
        return [json.loads(line) for line in self.lab.flagctl("release", "log", self.name, "--json").out.splitlines()]

    def strike(self, victim, point=("at once", 0)):
        """kill -9, at a moment or call of its own, and some time later it is started again."""
        if point[0] == "at once":
            time.sleep(self.dice.uniform(0, 0.1))
        self.killer.die(victim, *point)
        victim.order.take_back()
        time.sleep(self.dice.uniform(0, 0.3))
        victim.again()

    def walk(self, last):
        """Up to this step, and at each the primary dies, and the agent beside its service."""
        steps = range(1, last + 1)
        for step in steps if SOAK else [self.dice.choice(steps)]:
            self.wait_step(step)
            self.strike(self.primary)
            for _ in range(STRIKES):
                beside = self.hosts.get(NAMES[step >= COHORT])
                if beside:  # not the primary itself by now
                    self.strike(beside, self.killer.point())
                self.strike(self.primary, self.killer.point())
        self.wait_step(last)

    def keep(self, events, back=None):
        """What the log says of each environment, as an act that is over; `back`: when others than the release took it back."""
        ended = time.time()
        for env in NAMES:
            changed = [(e["step"], seconds(e["time"])) for e in events if e["event"] == "changed" and e["env"] == env]
            moved = [x for x in changed if x[0] != "baseline"]
            assert [step for step, _ in moved] == list(SHARES[env])[:len(moved)], f"{self.name} took the steps {moved} in {env}"
            self.moves += len(moved)
            self.acts.append(Act(env, self.began, dict(moved), back or dict(changed)["baseline"], ended))

    def check_strikes(self, events, last):
        """The primary was started again at each of the steps."""
        step, struck = 0, set()
        for event in events:
            step = event["step"] if event["event"] == "changed" and event["step"] != "baseline" else step
            struck |= {step} if event["event"] == "restarted" else set()
        wanted = set(range(1, last + 1)) if SOAK else struck
        assert struck >= wanted and struck, f"the primary was started again at the steps {sorted(struck)} alone"

    # ---------------------------------------------------------------- its ends

    def launch(self):
        """All the way."""
        self.start()
        self.walk(LAST)
        self.wait_state("completed")
        events, back = self.events(), time.time()
        self.check_strikes(events, LAST)
        self.reset()
        self.keep(events, back)

    def abort(self, cause):
        """Up to a half; then the cause. The primary dies as it hears of it, and again on the way back, which cannot end before the host
        that is stopped goes on."""
        self.start(stays_at=HALF)
        self.walk(HALF)
        self.settle(HALF)
        stopped = list(self.hosts.values())[-1]
        stopped.signal(signal.SIGSTOP)
        causing = threading.Thread(target=cause, daemon=True)
        causing.start()
        self.strike(self.primary, (self.dice.choice(POINTS), self.dice.randint(1, 8)))
        causing.join(60)
        assert not causing.is_alive()
        self.wait_state("rolling_back")
        self.strike(self.primary)
        assert self.status()["state"] == "rolling_back"
        stopped.signal(signal.SIGCONT)
        self.wait_state("rolled_back")
        self.prometheus.values["errors_total"] = 0.0
        events = self.events()
        self.check_strikes(events, HALF)
        self.let_ask()
        self.keep(events)
        self.check_baseline()

    def settle(self, step):
        def well():
            now = self.status()
            return now["step"] == step and now["state"] == "moving"
        wait_until(well, 60000, every_ms=20, what=f"all is well at step {step}")
        self.let_ask()

    def let_ask(self):
        """So that many ask while it is as it is."""
        time.sleep(1 if SOAK else 0.3)

    def by_hand(self):
        code, answer = self.client.command("release_abort", 60, release=self.name, message="it burns")
        assert code == 0, answer

    def by_guard(self):
        self.prometheus.values["errors_total"] = 0.5

    def check_baseline(self):
        self.wait_equal()
        for env in NAMES:
            for daemon in (self.primary, *self.hosts.values()):
                flags = json.loads(self.lab.export(daemon.store, env))["flags"]
                assert all(flags[key]["defaultVariant"] == "off" and not flags[key].get("targeting") for key in FLAGS), daemon.name

    # ---------------------------------------------------------------- the primary is gone for good

    def lose_primary(self):
        """Its machine burns with its disk; a host's store takes over, by the key that was kept. A service beside it reads on from that."""
        self.wait_equal()
        events = self.events()
        self.primary.kill()
        shutil.rmtree(self.primary.store)
        name, port = self.heirs.pop(0)
        heir = self.hosts.pop(name)
        time.sleep(self.dice.uniform(0, 1))
        heir.stop()
        self.primary = self.start_primary(f"after-{name}", "--take-over", "--sign-key", self.keys / "sign.key", store=heir.store, port=port)
        self.client = Client(self.primary.port, "olga")
        self.wait_equal()
        self.take_overs += 1
        return events

    def take_over(self):
        """At a half. The flags stay as they are; nobody knows of the release any more, and a person takes them back."""
        self.start(stays_at=HALF)
        self.walk(HALF)
        self.settle(HALF)
        events = self.lose_primary()
        assert self.lab.ok("release", "list")["releases"] == []
        time.sleep(2)
        back = time.time()
        for env in NAMES:
            for key in reversed(FLAGS):  # the first is required by the others
                self.lab.ok("target", key, "--clear", env=env)
        self.check_baseline()
        self.check_strikes(events, HALF)
        self.keep(events, back)

    # ---------------------------------------------------------------- the sum

    def end(self):
        time.sleep(0.5)
        told = []
        for load in self.loads:
            asked = load.end()
            failed = [a for a in asked if a.why]
            assert not failed, f"{len(failed)} requests failed, the first: {failed[:3]}"
            load.check_rate()
            acts = [act for act in self.acts if act.env == load.env]
            shares = [act.check(asked) for act in acts]
            check_baseline_between(acts, asked)
            if load.env == "production":
                told = [" ".join(f"{had}/{of}" for had, of in found.values()) for found in shares]
        for load in self.loads:
            figures(f"releases under load, {load.figures()}")
        done = self.killer.done
        figures(f"releases under load: releases {self.releases}, moves {self.moves}; kills: primary {done['primary']}, agents {done['agent']} "
                f"({done['at once']} at once, {sum(done[point] for point in POINTS)} after a call); take-overs {self.take_overs}; accounts with "
                f"the feature in production, by step: {', then '.join(told)}")


# ---------------------------------------------------------------- the tests

@pytest.fixture
def scene(lab):
    made = []

    def make(dice):
        made.append(Scene(lab, dice))
        return made[-1]
    yield make
    for s in made:
        s.prometheus.server.shutdown()


def test_no_request_fails_while_releases_move_go_back_and_lose_their_primary_soak(scene):
    """The short form is the second of these releases, with the primary killed at one step in place of each, and on the way back."""
    s = scene(seeded("downtime of releases"))
    if SOAK:
        s.launch()
    s.abort(s.by_guard)
    if SOAK:
        s.take_over()
        s.abort(s.by_hand)
        s.take_over()
        s.launch()
    s.end()
