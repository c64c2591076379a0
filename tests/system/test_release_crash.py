"""kill -9 of the primary while releases move and one of them goes back: they end as they do without, and none goes a step further
than it should, or does one twice. And a release in a backup."""
import json
import subprocess
import threading
import time

import pytest

from faults import Client, figures, seeded
from hoist import BUILD, SANITIZED, SOAK, clean_env, wait_until
from test_crash_fleet import POINTS, Killer, Order
from test_release import ENVS, Programs, Prometheus, stage  # noqa: F401, a fixture

pytestmark = pytest.mark.skipif(SANITIZED, reason="libhoist is loaded into Python here")
KILLS = 300 if SOAK else 30
LONG = 0.3 if SOAK else 0.1  # of the times between two kills: long enough for a step
ENDS = ("completed", "rolled_back")
LIVE = 4  # at a time; the last of them is aborted on its way
STEPS = (("staging", 100), ("production", 30), ("production", 100))
PLAN = """
release: {name}
title: One of several
owner: mara
author: mara
flags: [{name}.a, {name}.b]
bucket: {{var: account_id}}
interval: 100ms
guards: [{{name: freshness, query: 'time() - min(timestamp(up) and up == 1)', pass: '<= 30'}}]
announce: {{contact: '#demo'}}
phases:
  flags: {{steps: []}}
  monitoring: {{steps: []}}
  staging: {{env: staging, steps: [{staging}]}}
  production: {{env: production, steps: [{production}]}}
  watch: {{steps: []}}
"""


def plan_of(name):
    """Of each wave's last it is not known when it is aborted: its last step lasts for that long."""
    steps = {"staging": [], "production": []}
    for n, (env, percent) in enumerate(STEPS):
        soak = "1h" if name.endswith(f"r{LIVE - 1}") and n + 1 == len(STEPS) else "300ms"
        steps[env].append(f"{{percent: {percent}, soak: {soak}, exposed: 1}}")
    return PLAN.format(name=name, **{env: ", ".join(of) for env, of in steps.items()})


class Wave:
    """Releases that run beside each other, of flags of their own."""

    def __init__(self, lab, client, number, stores):
        self.lab, self.client = lab, client
        self.names = [f"w{number}r{i}" for i in range(LIVE)]
        flags = {f"{name}.{x}": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
                 for name in self.names for x in "ab"}
        for env in ("staging", "production"):
            lab.ok("import", lab.file("flags.json", {"flags": flags}), env=env)
        self.programs = Programs(stores, list(flags))
        for name in self.names:
            self.say("release_start", plan=plan_of(name), commit="c0ffee")
        self.aborted = self.names[-1]
        self.is_aborted = False

    def say(self, command, **arguments):
        """Under one id until it is answered, over any number of kills."""
        code, answer = self.client.command(command, timeout_s=60, **arguments)
        assert code == 0, (command, code, answer)

    def abort(self):
        self.say("release_abort", release=self.aborted, message="it burns")
        self.is_aborted = True

    def status(self, name):
        return json.loads(self.lab.flagctl("release", "status", name, "--json").out)

    def states(self):
        listed = {r["release"]: r["state"] for r in self.lab.ok("release", "list")["releases"]}
        return [listed[name] for name in self.names]

    def is_over(self):
        return all(s in ENDS for s in self.states())

    def end(self):
        wait_until(self.is_over, 120000, every_ms=50, what="the end of the releases")
        self.programs.end()
        assert self.states() == ["completed"] * (LIVE - 1) + ["rolled_back"]


def events_of(lab, name):
    return [json.loads(line) for line in lab.flagctl("release", "log", name, "--ticks", "--json").out.splitlines()]


def changes_of(lab, name):
    """What its flags went through, oldest first: environment, version, message."""
    found = []
    for env in ("staging", "production"):
        for c in reversed(lab.ok("log", "--limit", "100000", env=env)["changes"]):
            if c["author"] == f"release {name}":
                assert c["kind"] in ("release", "rollback")
                found.append((env, c["version"], c["message"]))
    return found


def check_release(lab, name, end, like):
    """Its log and what the environments' logs say of it; `like`: the changes of one that nobody disturbed."""
    events, changes = events_of(lab, name), changes_of(lab, name)
    moved = [(e["step"], e["env"], e["version"]) for e in events if e["event"] == "changed"]
    assert sorted((env, version) for _, env, version in moved) == sorted((env, version) for env, version, _ in changes), (moved, changes)
    forward = [step for step, _, _ in moved if step != "baseline"]
    assert forward == list(range(1, len(forward) + 1)), f"{name} took the steps {forward}"
    said = [(env, message) for env, _, message in changes]
    if end == "completed":
        assert said == like
        assert len(forward) == len(STEPS)
    else:
        back = [(env, message) for env, message in said if message == "back to the baseline"]
        assert [x for x in said if x not in back] == like[:len(forward)]
        assert back == [(env, "back to the baseline") for env in ("staging", "production") if env in {e for e, _ in like[:len(forward)]}]
    plan, played = lab.file("plan.yaml", plan_of(name)), lab.file("events", "\n".join(map(json.dumps, events)) + "\n")
    again = lab.flagctl("release", "simulate", plan, "--events", played)
    assert again.code == (0 if end == "completed" else 11), again
    return len(forward)


def definitions(lab, store, name):
    flags = [json.loads(lab.export(store, env))["flags"] for env in ("staging", "production")]
    return [{key[len(name):]: f for key, f in of.items() if key.startswith(name + ".")} for of in flags]


def abort_while_it_dies(wave, primary, killer, dice):
    aborting = threading.Thread(target=wave.abort, daemon=True)
    aborting.start()
    killer.die(primary, dice.choice(POINTS), dice.randint(1, 8))
    primary.order.take_back()
    primary.restart()
    aborting.join(120)
    assert wave.is_aborted, "the abort was not answered"


def test_kill_9_of_the_primary_during_releases_soak(lab):
    dice = seeded("crash of releases")
    order, killer = Order(lab.dir / "primary.kill"), Killer(dice)
    prometheus = Prometheus()
    prometheus.server.handle_error = lambda *about: None  # its questioner dies
    primary = lab.primary(*ENVS, "--prometheus", prometheus.url, env=order.env)
    primary.order = order
    agents = [lab.agent(*ENVS, name=f"host{i}") for i in range(2)]
    stores = [a.store for a in agents]
    client = Client(primary.port, "mara")
    undisturbed = Wave(lab, client, 0, stores)
    wait_until(lambda: undisturbed.status(undisturbed.aborted)["step"] >= 2)
    undisturbed.abort()
    undisturbed.end()
    names, like = undisturbed.names, [(env, message) for env, _, message in changes_of(lab, undisturbed.names[0])]
    wanted = [definitions(lab, primary.store, name) for name in (names[0], undisturbed.aborted)]
    waves, steps, between, begun = [], 0, 0, time.monotonic()
    while killer.count() < KILLS:
        wave = Wave(lab, client, len(waves) + 1, stores)
        waves.append(wave)
        strikes, abort_at = 0, dice.randrange(12)
        while not (wave.is_aborted and (killer.count() >= KILLS or wave.is_over())):
            prometheus.values["timestamp"] = None if dice.random() < 0.2 else 1.0
            time.sleep(dice.uniform(1, 3) if dice.random() < LONG else dice.uniform(0, 0.4))
            if strikes >= abort_at and not wave.is_aborted:
                abort_while_it_dies(wave, primary, killer, dice)
            else:
                killer.strike(primary)
            strikes += 1
            primary.wait_ready()
        prometheus.values["timestamp"] = 1.0
        between += sum(wave.status(name)["step"] - (state not in ENDS) for name, state in zip(wave.names, wave.states()))
        wave.end()
        for name, state in zip(wave.names, wave.states()):
            steps += check_release(lab, name, state, like)
            assert definitions(lab, primary.store, name) == wanted[state == "rolled_back"], name
    took = time.monotonic() - begun
    lab.wait_equal(primary, *agents, env="staging")
    lab.wait_equal(primary, *agents)
    before = [wave.status(name) for wave in waves for name in wave.names]
    primary.kill()
    primary.again()
    assert [wave.status(name) for wave in waves for name in wave.names] == before  # a log folds to its record
    assert lab.ok("fsck", "--store", primary.store)["ok"]
    for env in ("staging", "production"):
        assert lab.ok("audit", "verify", "--trust", primary.store / "trust.key", env=env)["ok"]
    figures(f"releases: {killer.count()} kills in {took:.1f} s ({dict(killer.done)}), {len(waves) * LIVE} releases, {steps} steps forward, "
            f"{between} of them done between kills, "
            f"none twice, none too many")


def test_a_release_goes_on_from_a_backup_in_another_epoch(stage, lab):  # noqa: F811
    s = stage()
    s.to_production()
    lab.ok("release", "hold", "demo", "-m", "a backup is made", "--author", "olga")
    lab.ok("backup", lab.dir / "backup", "--store", s.primary.store)
    s.primary.kill()
    again = lab.dir / "again"
    subprocess.run([BUILD / "hoistd", "recover", lab.dir / "backup", "--store", again], env=clean_env(), check=True, timeout=60)
    s.primary = lab.primary(*ENVS, "--prometheus", s.prometheus.url, name="second", store=again, port=s.primary.port)
    now = s.status()
    assert now["step"] == 3 and now["held"]["by"] == "olga"
    lab.ok("release", "resume", "demo")
    s.wait("live", 4)  # every host has followed into the new epoch
    lab.ok("release", "abort", "demo", "-m", "enough")
    s.wait_back()
    assert lab.ok("fsck", "--store", again)["ok"]


def test_a_store_that_followed_another_primary_since_does_not_bring_its_release_back(stage, lab):  # noqa: F811
    """The primary of a live release is away, a host's store takes over, the flags are taken back by hand. Later the first one's store,
    which followed meanwhile, takes over in turn: its release is none of anybody's any more, and must not go on."""
    s = stage()
    s.to_production()
    lab.ok("release", "hold", "demo", "-m", "before the storm")
    lab.wait_equal(s.primary, *s.agents)
    s.primary.kill()
    first, heir = s.primary, s.agents[1]
    heir.stop()
    second = lab.primary("--take-over", "--sign-key", first.store / "sign.key", "--prometheus", s.prometheus.url, name="second",
                         store=heir.store, port=first.port)
    assert lab.ok("release", "list")["releases"] == []
    told = [line for line in second.text().splitlines() if "release demo changed flags of" in line]
    assert len(told) == 2 and "of staging last in version 4 " in told[0] and "10% of production" in told[1], "who takes over is told what nobody runs now"
    assert [c["message"] for c in lab.ok("log", "--author", "release demo", env="production")["changes"]] == ["step 3 of 4, production: 10% of production"]
    for env in ("staging", "production"):  # as docs/releases.md says
        for key in ("b.enabled", "a.enabled"):
            lab.ok("target", key, "--clear", env=env)
    again = lab.agent(*ENVS, name="again", store=first.store)
    for env in ("staging", "production"):
        lab.wait_equal(second, again, env=env)
    second.kill()
    again.stop()
    third = lab.primary("--take-over", "--prometheus", s.prometheus.url, name="third", store=first.store, port=first.port)
    assert lab.ok("release", "list")["releases"] == []
    lab.wait_equal(third, s.agents[0])
    assert s.programs.share(s.agents[0].store, "production") == 0.0
    assert s.start()["step"] == 1, "its name and its flags are free"
