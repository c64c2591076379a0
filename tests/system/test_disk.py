"""Disks that fail: each write, sync, allocation and mapping of hoistd's in turn, and one that is full.
What was acknowledged is there afterwards, what was refused is not, and a start says what is wrong."""
import collections
import contextlib
import errno
import os
import pathlib
import signal
import struct
import subprocess
import time

import pytest
from faults import Load, check_history, figures, seeded, some
from hoist import BUILD, SANITIZED, SOAK, Daemon, clean_env, free_port, wait_until
from test_net_faults import Hand, acknowledged_are_there

KEYS = ["one", "two", "three"]
FAULTS = [errno.EIO, errno.ENOSPC, errno.EDQUOT, 0]  # 0: a write is short
DONE, NO_ANSWER = 0, 7
AT_LEAST = {"primary": 72, "agent": 66, "relay": 66, "backup": 5}  # calls; among these the seed chooses, so that it chooses the same in every run


class Layer:
    """disk_fault.so before one daemon's store: the `at`-th call fails."""

    def __init__(self, lab, store, at, error):
        self.state = lab.dir / "fault.state"
        self.state.write_bytes(bytes(24))
        self.env = clean_env(LD_PRELOAD=BUILD.resolve() / "tests/system/disk_fault.so", DISK_FAULT_DIR=store,
                             DISK_FAULT_AT=at, DISK_FAULT_ERRNO=error, DISK_FAULT_STATE=self.state)

    def numbers(self):
        return struct.unpack("<QQQ", self.state.read_bytes())


def settle(daemon):
    """Whether it is ready; else it ended, and said why."""
    def is_settled():
        return not daemon.alive() or (daemon.get("/healthz") and daemon.get("/readyz"))
    wait_until(is_settled, what=f"{daemon.name} is ready or has ended")
    if daemon.alive():
        return True
    assert daemon.p.returncode == 1, (daemon.p.returncode, daemon.text()[-2000:])
    assert "level=error" in daemon.text(), daemon.text()
    return False


def primary_under(lab, name, at, error):
    """A new primary and a few changes under one fault, then a start without it. How many calls there were, whether one failed, and the answers.
    A change is not acknowledged whose sync failed."""
    store, port = lab.dir / name, free_port(2)
    layer = Layer(lab, store, at, error)
    url = f"tcp://127.0.0.1:{port}"
    primary = Daemon(lab, "primary", name, ["--listen", url], store, free_port(), env=layer.env)
    lab.all.append(primary)
    said = {}
    if settle(primary):
        for key in KEYS:
            before = layer.numbers()
            said[key] = lab.flagctl("set", key, "on", "--timeout", "3s", primary=url)
            assert layer.numbers()[2] == before[2] or said[key].code != DONE, ("acknowledged and not synced", name, at, error, said[key])
    primary.kill()
    calls, failed, _ = layer.numbers()
    log = primary.text()
    argv, path, _ = primary.start_args
    primary.start_args = (argv, path, {})
    primary.again()
    for key, answer in said.items():
        there = lab.flagctl("get", key, primary=url).code == 0
        what = (name, at, error, key, answer, log)
        assert answer.code != DONE or there, ("acknowledged and lost", what)
        assert answer.code in (DONE, NO_ANSWER) or not there, ("refused and there", what)
        assert answer.code == DONE or failed, ("no fault, and yet", what)
    assert lab.flagctl("fsck", store=store).code == 0
    primary.kill()
    return calls, failed, list(said.values())


def follower_under(lab, primary, role, name, at, error):
    """A new agent or relay that loads and follows under one fault, then a start without it."""
    layer = Layer(lab, lab.dir / name, at, error)
    follower = getattr(lab, role)(name=name, ready=None, env=layer.env)
    if settle(follower):
        for n in range(3):
            lab.ok("set", "moving", f"{name}-{n}", "--type", "string", primary=primary.url)
        head = lab.state(primary)["version"]
        wait_until(lambda: not follower.alive() or lab.state(follower)["version"] == head, what=f"{name} goes on, or ends")
        assert follower.alive() or "level=error" in follower.text(), (at, error, follower.p.returncode, follower.text()[-2000:])
    follower.kill()
    argv, path, _ = follower.start_args
    follower.start_args = (argv, path, {})
    follower.again()
    lab.wait_equal(primary, follower)
    assert lab.flagctl("fsck", store=follower.store).code == 0
    follower.kill()
    return layer.numbers()[:2]


def backup_under(lab, primary, name, at, error):
    """A copy under one fault is whole, or none, and the next attempt makes one."""
    place = lab.dir / name
    place.mkdir()
    layer = Layer(lab, place, at, error)
    copy = [BUILD / "flagctl", "backup", place / "copy", "--store", primary.store]
    done = subprocess.run(copy, env=layer.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or done.stderr.strip(), done
    assert (place / "copy").exists() or done.returncode != 0, done
    if done.returncode != 0 and not (place / "copy").exists():
        subprocess.run(copy, env=clean_env(), check=True, capture_output=True, timeout=60)
    recovered = lab.dir / f"{name}.store"
    subprocess.run([BUILD / "hoistd", "recover", place / "copy", "--store", recovered], env=clean_env(), check=True, capture_output=True, timeout=60)
    assert lab.export(recovered) == lab.export(primary.store) and lab.flagctl("fsck", store=recovered).code == 0
    return layer.numbers()[:2]


def chosen(calls, least, dice, count):
    """With which fault each fails: all calls in a soak, else a few of those that there are in any case."""
    assert calls >= least, f"only {calls} calls were seen, and there used to be {least}: is the layer there?"
    at_all = range(1, calls + 1) if SOAK else some(range(1, least + 1), dice, count)
    return [(at, error) for at in at_all for error in (FAULTS if SOAK else [dice.choice(FAULTS)])]


@pytest.mark.skipif(SANITIZED, reason="a sanitizer is to be loaded first")
def test_each_call_that_fails_loses_nothing_soak(lab):
    dice = seeded("disk")
    told, answers = [], []
    injected, (calls, _, _) = 0, primary_under(lab, "counted", 0, 0)
    for at, error in chosen(calls, AT_LEAST["primary"], dice, 7):
        _, failed, said = primary_under(lab, f"p{at}-{error}", at, error)
        injected += failed
        answers += said
    told.append(f"primary {injected} of {calls} calls × {len(FAULTS)}")
    primary = lab.primary()
    for key in KEYS:
        lab.ok("set", key, "on")
    for role, under, count in (("agent", lambda *at: follower_under(lab, primary, "agent", *at), 4),
                               ("relay", lambda *at: follower_under(lab, primary, "relay", *at), 3),
                               ("backup", lambda *at: backup_under(lab, primary, *at), 3)):
        calls, _ = under(f"counted-{role}", 0, 0)
        failed = sum(under(f"{role}{at}-{error}", at, error)[1] for at, error in chosen(calls, AT_LEAST[role], dice, count))
        assert failed > 0
        told.append(f"{role} {failed} of {calls} × {len(FAULTS)}")
    assert injected > 0
    done = sum(a.code == DONE for a in answers)
    unknown = sum(a.code == NO_ANSWER for a in answers)
    figures(f"disk: faults injected: {', '.join(told)}; {done} changes acknowledged, {unknown} with unknown outcome, "
            f"{len(answers) - done - unknown} refused, lost 0, invented 0")


# ------------------------------------------------------------------ without power

PAGE = 4096


class Power:
    """power_loss.so before one daemon: what it wrote and did not sync can be taken back."""

    RECORD = struct.Struct("<IIQQQQ")

    def __init__(self, lab, name):
        self.journal = lab.dir / f"{name}.journal"
        self.journal.touch()
        self.env = clean_env(LD_PRELOAD=BUILD.resolve() / "tests/system/power_loss.so", POWER_LOSS_JOURNAL=self.journal,
                             POWER_LOSS_DIR=lab.dir / name)

    def unsynced(self):
        """Of each file the pages that were written since its last sync, in order: where, and what was there."""
        text, at, files = self.journal.read_bytes(), 0, collections.defaultdict(list)
        while at < len(text):
            path_len, is_sync, place, size, kept, _ = self.RECORD.unpack_from(text, at)
            at += self.RECORD.size
            path, old = text[at:at + path_len].decode(), text[at + path_len:at + path_len + kept].ljust(size, b"\0")
            at += path_len + kept
            if is_sync:
                files.pop(path, None)
            else:
                files[path] += [(place + i, old[i:i + PAGE]) for i in range(0, size, PAGE)]
        return files

    def fail(self, dice):
        """Each page has its first few writes since the sync, or none. How many writes of pages are taken back."""
        taken = 0
        for path, writes in self.unsynced().items():
            if not pathlib.Path(path).exists():  # it was a file beside another, whose name it has by now
                continue
            left = {place: dice.randint(0, count) for place, count in collections.Counter(place for place, _ in writes).items()}
            seen = collections.Counter()
            undone = []
            for place, old in writes:
                seen[place] += 1
                if seen[place] > left[place]:
                    undone.append((place, old))
            with open(path, "r+b") as f:
                for place, old in reversed(undone):
                    f.seek(place)
                    f.write(old)
            taken += len(undone)
        self.journal.write_bytes(b"")
        return taken


@pytest.mark.skipif(SANITIZED, reason="a sanitizer is to be loaded first")
def test_power_that_fails_loses_no_acknowledged_change_soak(lab):
    """Of what was written and not synced each page may be there or not; a host may come back older, and follows again."""
    dice = seeded("power")
    power = {name: Power(lab, name) for name in ("primary", "agent")}
    primary = lab.primary(env=power["primary"].env)
    agent = lab.agent(env=power["agent"].env)
    lab.ok("import", lab.file("load.json", Load.file()))
    loads = [Load(primary.port, i, dice, pause_s=0.02, patience_s=(0.05, 2)) for i in range(2)]
    for load in loads:
        load.start()
    taken = collections.Counter()
    for _ in range(100 if SOAK else 8):
        time.sleep(dice.uniform(0.1, 0.6))
        victim = dice.choice((primary, primary, agent))
        victim.kill()
        assert victim.p.returncode == -signal.SIGKILL, victim.text()[-2000:]
        taken[victim.name] += power[victim.name].fail(dice)
        victim.again()
    for load in loads:
        load.end()
    lab.wait_equal(primary, agent)
    assert lab.flagctl("fsck", store=primary.store).code == lab.flagctl("fsck", store=agent.store).code == 0
    total = check_history(lab, loads)
    acknowledged = sum(len(load.acknowledged) for load in loads)
    assert acknowledged > 20 and sum(taken.values()) > 0
    figures(f"power: {taken['primary']} writes of pages taken back from the primary, {taken['agent']} from the agent, {acknowledged} changes "
            f"acknowledged, lost 0, versions 1 to {total:,} without a hole")


# ------------------------------------------------------------------ full

@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of a few MiB: some for the log of the changes that are made meanwhile."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place):
    """To the last page."""
    with open(place / "ballast", "ab", buffering=0) as f:
        with contextlib.suppress(OSError):
            while f.write(bytes(4096)):
                pass


@pytest.mark.skipif(os.getuid() != 0, reason="needs root for mounts")
@pytest.mark.parametrize("whose", ["primary", "agent"])
def test_a_disk_that_fills_up_under_writers_and_readers_soak(lab, small_disk, whose):
    """What is refused while it is full is not there; with room again all goes on, by itself."""
    primary = lab.primary(store=small_disk / "p" if whose == "primary" else None)
    agent = lab.agent(store=small_disk / "a" if whose == "agent" else None)
    lab.ok("import", lab.file("pair.json", {"flags": {k: {"state": "ENABLED", "variants": {"value": 0}, "defaultVariant": "value"}
                                                      for k in ("pair.a", "pair.b")}}))
    lab.wait_equal(primary, agent)
    store = primary.store if whose == "primary" else agent.store
    reader = lab.process([BUILD / "tests/system/pair_reader", store, "production", "pair.a", "pair.b"], "pair")
    writers = [Hand(lab, n, lab.url) for n in range(2)]
    for w in writers:
        w.start()
    wait_until(lambda: all(len(w.acknowledged) > 2 for w in writers))
    for _ in range(6 if SOAK else 2):
        fill(small_disk)
        counts = [w.count for w in writers]
        wait_until(lambda: all(w.count > c + 3 for w, c in zip(writers, counts)), what="they try on while it is full")
        lab.ok("is", "pair.a", "value", store=store)
        (small_disk / "ballast").unlink()
        done = [len(w.acknowledged) for w in writers]
        wait_until(lambda: all(len(w.acknowledged) > d for w, d in zip(writers, done)), limit_ms=60000, what="they go on")
    for w in writers:
        w.end()
    lab.wait_equal(primary, agent, limit_ms=60000)
    assert primary.alive() and agent.alive() and reader.alive(), reader.text()
    lost, invented = acknowledged_are_there(lab, writers)
    assert not lost and not invented, (lost, invented)
    assert lab.flagctl("fsck", store=store).code == 0
    refused = sum(w.refused for w in writers)
    figures(f"disk: full on the {whose}, {sum(len(w.acknowledged) for w in writers)} changes acknowledged, {refused} refused, "
            f"lost {len(lost)}, invented {len(invented)}")
