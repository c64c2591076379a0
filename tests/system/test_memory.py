"""Memory that is out: each allocation of hoistd's and flagctl's own code fails once, and each that libc makes for it. LMDB is part
of it, other libraries are not. No program crashes, what was acknowledged stays, and what failed says so."""
import json
import signal
import struct
import subprocess
import urllib.error
import urllib.request

import pytest
from faults import figures, seeded, some
from hoist import BUILD, SANITIZED, SOAK, Daemon, clean_env, free_port, wait_until

DONE, NO_ANSWER = 0, 7
JANSSON_ENDS = "lex_scan_string: Assertion"  # it asserts that it got memory for a text: a hoistd ends there, flagctl before
# Each makes at least so many allocations; among these the seed chooses, so that it chooses the same in every run.
AT_LEAST = {"primary": 850, "agent": 500, "relay": 650}
needs_own_malloc = pytest.mark.skipif(SANITIZED, reason="a sanitizer has a malloc of its own")


class Layer:
    """alloc_fault.so before one program: the `at`-th allocation fails."""

    def __init__(self, lab, at):
        self.state = lab.dir / "alloc.state"
        self.state.write_bytes(bytes(16))
        self.env = clean_env(LD_PRELOAD=BUILD.resolve() / "tests/system/alloc_fault.so", ALLOC_FAULT_AT=at,
                             ALLOC_FAULT_STATE=self.state, HOME=lab.dir)

    def numbers(self):
        return struct.unpack("<QQ", self.state.read_bytes())


def hoistd_under(lab, role, name, args, work, at):
    """A hoistd in a new store and some work with it, under one fault; then a start without it."""
    layer = Layer(lab, at)
    daemon = Daemon(lab, role, name, args, lab.dir / name, free_port(), env=layer.env)
    lab.all.append(daemon)
    wait_until(lambda: not daemon.alive() or (daemon.get("/healthz") and daemon.get("/readyz")), what=f"{name} is ready or has ended")
    said = work(daemon) if daemon.alive() else {}
    code = daemon.p.poll()
    text = daemon.text()
    assert code in (None, 1, 2) or (code == -signal.SIGABRT and JANSSON_ENDS in text), (name, at, code, text[-2000:])
    assert code is None or text.strip(), "it ends, and says why"
    daemon.kill()
    argv, path, _ = daemon.start_args
    daemon.start_args = (argv, path, {})
    daemon.again()
    for key, answer in said.items():
        there = lab.flagctl("get", key, store=daemon.store).code == 0
        assert answer.code != DONE or there, ("acknowledged and lost", name, at, key, answer)
        assert answer.code in (DONE, NO_ANSWER) or not there, ("refused and there", name, at, key, answer)
    assert lab.flagctl("fsck", store=daemon.store).code == 0
    daemon.kill()
    return layer.numbers()


def primary_under(lab, name, at):
    """It is changed, and asked for what it has."""
    url = f"tcp://127.0.0.1:{free_port(2)}"

    def work(_):
        said = {key: lab.flagctl("set", key, "on", "--timeout", "3s", primary=url) for key in ("one", "two")}
        for question in ("log", "export", "fleet"):
            lab.flagctl(question, "--timeout", "3s", primary=url)
        return said
    return hoistd_under(lab, "primary", name, ["--listen", url], work, at)


def follow(lab, primary, daemon):
    lab.ok("set", "moving", daemon.name, "--type", "string")
    head = lab.state(primary)["version"]
    wait_until(lambda: not daemon.alive() or lab.state(daemon)["version"] == head, what=f"{daemon.name} goes on, or ends")


def agent_under(lab, primary, name, at):
    def work(agent):
        follow(lab, primary, agent)
        return {}
    return hoistd_under(lab, "agent", name, ["--upstream", lab.url, "--id", name], work, at)


def relay_under(lab, primary, name, at):
    """It speaks TLS to both sides, and answers a program's question over OFREP."""
    def work(relay):
        follow(lab, primary, relay)
        try:
            ask = urllib.request.Request(f"http://127.0.0.1:{relay.http}/ofrep/v1/evaluate/flags/moving", b'{"context":{}}',
                                         {"Content-Type": "application/json"})
            urllib.request.urlopen(ask, timeout=5).read()
        except (urllib.error.URLError, OSError):
            pass  # it may say that it cannot, or end
        return {}
    return hoistd_under(lab, "relay", name, ["--join", lab.dir / "relay.bundle", "--listen", f"tls+tcp://127.0.0.1:{free_port(2)}", "--id", name],
                        work, at)


def chosen(calls, least, dice, count):
    """All in a soak, else some of those that there are in any case."""
    assert calls >= least, f"only {calls} allocations were seen, and there used to be {least}: is the layer there?"
    return range(1, calls + 1) if SOAK else some(range(1, least + 1), dice, count)


def each(dice, role, under, count):
    """How many allocations were counted, and how many failed."""
    calls, _ = under(f"counted-{role}", 0)
    failed = sum(under(f"{role}{at}", at)[1] for at in chosen(calls, AT_LEAST[role], dice, count))
    assert failed >= min(count, calls) * 3 / 4, "threads may make one fewer in another run, but not many"
    return f"{role} {failed} of {calls}"


def issue(lab, name, *words):
    subprocess.run([BUILD / "hoistd", "certs", "issue", name, "--dir", "ca", *words], cwd=lab.dir, env=clean_env(HOME=lab.dir), check=True,
                   capture_output=True)


def primary_with_tls(lab):
    """It listens to both, on this machine: for a relay that joins by a bundle, and for flagctl."""
    subprocess.run([BUILD / "hoistd", "certs", "init", "ca"], cwd=lab.dir, env=clean_env(HOME=lab.dir), check=True, capture_output=True)
    issue(lab, "primary", "--host", "127.0.0.1")
    url = f"tls+tcp://127.0.0.1:{free_port(2)}"
    primary = lab.primary("--listen", url, "--join", lab.dir / "primary.bundle")
    issue(lab, "relay", "--host", "127.0.0.1", "--upstream", url, "--trust", primary.store / "trust.key")
    lab.ok("set", "one", "on")
    return primary


@needs_own_malloc
def test_each_allocation_of_a_hoistd_that_fails_soak(lab):
    dice = seeded("memory")
    told = [each(dice, "primary", lambda name, at: primary_under(lab, name, at), 6)]
    primary = primary_with_tls(lab)
    told += [each(dice, "agent", lambda name, at: agent_under(lab, primary, name, at), 4)]
    told += [each(dice, "relay", lambda name, at: relay_under(lab, primary, name, at), 4)]
    figures(f"memory: allocations that failed: {', '.join(told)}; crashed 0, lost 0")


# Each with how many allocations it makes at least.
COMMANDS = {"flagctl set one off": 50, "flagctl get one": 60, "flagctl list": 50, "flagctl log": 80, "flagctl export": 30, "flagctl status": 80,
            "flagctl fleet": 40, "flagctl fsck --store {store}": 80, "flagctl audit verify --trust {store}/trust.key": 80,
            "flagctl backup {new} --store {store}": 90, "flagctl access token create {name} viewer": 60, "hoistd certs init {new}": 8,
            "hoistd certs issue {name} --dir ca -o {new}": 18, "hoistd recover whole.backup --store {new}": 80}


def command_under(lab, at, program, *words):
    """What it gave, how many allocations it made, and whether one failed."""
    layer = Layer(lab, at)
    layer.env["HOIST_PRIMARY"] = lab.url
    done = subprocess.run([BUILD.resolve() / program, *words, *(["--json"] if program == "flagctl" else [])], env=layer.env, cwd=lab.dir,
                          capture_output=True, text=True, timeout=60)
    return done, *layer.numbers()


def check_command(done, what):
    assert done.returncode in (0, 1, 2, 7), what
    assert done.returncode == 0 or done.stderr.strip() or done.stdout.strip(), what


@needs_own_malloc
def test_each_allocation_of_a_command_that_fails_soak(lab):
    dice = seeded("memory of commands")
    primary = primary_with_tls(lab)
    lab.ok("access", "grant", "ana", "admin", "--key", lab.ok("key", "new")["key"])  # from now on what is asked is signed
    lab.ok("backup", lab.dir / "whole.backup", store=primary.store)
    counted = failed = 0
    for number, (command, least) in enumerate(COMMANDS.items()):
        def run(at):
            name = f"n{number}-{at}"
            return command_under(lab, at, *command.format(store=primary.store, new=lab.dir / name, name=name).split())
        done, calls, _ = run(0)
        assert done.returncode == 0, (command, done)
        counted += calls
        for at in chosen(calls, least, dice, 3):
            done, _, hit = run(at)
            failed += hit
            check_command(done, (command, at, done))
            if done.returncode == 0 and done.stdout and command.startswith("flagctl"):
                json.loads(done.stdout)
    assert failed >= 2 * len(COMMANDS) and primary.alive()
    figures(f"memory: {failed} of {counted} allocations of {len(COMMANDS)} commands failed, crashed 0")


@needs_own_malloc
def test_a_dry_run_without_memory_stays_one_soak(lab):
    """What is asked for is sent whole, or not at all: --dry-run and --if-version are parts of it."""
    dice = seeded("memory of a dry run")
    primary = lab.primary()
    lab.ok("set", "one", "on")
    before = lab.state(primary)["version"]
    for ask, code in ((["--dry-run"], 0), (["--if-version", f"{before + 1}"], 3)):
        words = ["set", "one", "off", *ask]
        done, calls, _ = command_under(lab, 0, "flagctl", *words)
        assert done.returncode == code and calls > 50, done
        for at in range(1 if SOAK else dice.randint(1, 4), calls + 1, 1 if SOAK else 4):
            done, _, _ = command_under(lab, at, "flagctl", *words)
            assert done.returncode in (1, 2, 7, code), (words, at, done)
            assert lab.state(primary)["version"] == before, (words, at, done)
