"""Real hoistd and flagctl processes for the system tests: started on free ports in a directory that
goes away, ended by their process ids, waited for by condition and never by duration."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
import urllib.request

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("HOIST_BUILD", TOP / "build"))
SOAK = bool(os.environ.get("HOIST_SOAK"))
SANITIZED = BUILD.name in ("asan", "tsan")
NODE = BUILD.resolve() / "node"  # packages of npm, where they could be had
needs_npm = pytest.mark.skipif(not (NODE / ".installed").exists(), reason="npm's packages could not be had")
PATIENCE_MS = 60000 if SANITIZED else 20000


def wait_until(condition, limit_ms=PATIENCE_MS, every_ms=10, what=""):
    """The first true answer of `condition`; an exception of its is a no. Fails after `limit_ms`."""
    end = time.monotonic() + limit_ms / 1000
    last = None
    while True:
        try:
            answer = condition()
            if answer:
                return answer
            last = answer
        except Exception as error:  # not yet
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit_ms} ms: {what or condition.__name__}; last: {last!r}")
        time.sleep(every_ms / 1000)


# Each of the workers of tests/run has ports of its own, below those that the kernel gives out.
PORTS, PORTS_EACH = 10000 + int(os.environ.get("HOIST_WORKER", 0)) * 7500, 7500
_next_port, _giving = PORTS + os.getpid() % 1000 * 2, threading.Lock()


def are_free(ports):
    with contextlib.ExitStack() as stack:
        try:
            for port in ports:
                s = stack.enter_context(socket.socket())
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(count=1):
    """The first of `count` free ports in a row. One that was given comes again when all others were, too."""
    global _next_port
    with _giving:
        for _ in range(PORTS_EACH):
            first = _next_port if _next_port + count <= PORTS + PORTS_EACH else PORTS
            _next_port = first + count
            if are_free(range(first, first + count)):
                return first
    raise AssertionError("no free port")


def clean_env(**more):
    """This process's environment without any HOIST_ variable that could steer a program."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("HOIST_")}
    env.update({k: str(v) for k, v in more.items()})
    return env


class Process:
    """A program that runs until it is stopped, its output kept in a file."""

    def __init__(self, argv, log, env=None, prefix=(), **popen):
        self.argv = [*map(str, prefix), *map(str, argv)]
        self.log = pathlib.Path(log)
        self.file = open(self.log, "ab")
        self.p = subprocess.Popen(self.argv, stdout=popen.pop("stdout", self.file), stderr=self.file,
                                  stdin=subprocess.DEVNULL, env=env or clean_env(), **popen)

    @property
    def pid(self):
        return self.p.pid

    def alive(self):
        return self.p.poll() is None

    def signal(self, number):
        self.p.send_signal(number)

    def kill(self):
        """kill -9, and wait until it is gone."""
        if self.alive():
            self.p.kill()
        self.p.wait(10)

    def stop(self, limit_s=10):
        """SIGTERM; the exit code."""
        if self.alive():
            self.p.terminate()
        try:
            return self.p.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
            raise AssertionError(f"{self.argv[0]} did not end within {limit_s} s of SIGTERM\n{self.text()[-3000:]}")

    def text(self):
        return self.log.read_text(errors="replace")


class Daemon(Process):
    """One hoistd, in one role."""

    def __init__(self, lab, role, name, args, store, http, **popen):
        self.lab, self.role, self.name, self.store, self.http = lab, role, name, pathlib.Path(store), http
        argv = [lab.build / "hoistd", role, "--store", store, "--http", f"127.0.0.1:{http}" if http else "off", *args]
        self.start_args = (argv, lab.dir / f"{name}.log", popen)
        super().__init__(argv, lab.dir / f"{name}.log", **popen)

    def shown(self):
        """What it tells whoever looks: its log, the process list, metrics, status."""
        return "\n".join([self.text(), pathlib.Path(f"/proc/{self.pid}/cmdline").read_text(), self.get("/metrics"), self.get("/status")])

    def restart(self):
        """Start the same once more, after it ended; nothing is waited for."""
        argv, log, popen = self.start_args
        Process.__init__(self, argv, log, **popen)

    def again(self):
        self.restart()
        return self.wait_ready()

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5) as answer:
            return answer.read().decode()

    def is_up(self):
        if not self.alive():
            raise SystemError(f"{self.name} ended with {self.p.returncode}:\n{self.text()[-3000:]}")
        return self.get("/healthz")

    def wait_up(self):
        wait_until(self.is_up, what=f"{self.name} answers /healthz")
        return self

    def wait_ready(self):
        wait_until(lambda: self.is_up() and self.get("/readyz"), what=f"{self.name} is ready")
        return self

    def metric(self, series):
        """The value of one series of /metrics, written as there: name or name{label="value"}."""
        for line in self.get("/metrics").splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
        raise KeyError(series)


class Answer:
    """What a flagctl call gave."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        return json.loads(self.err)["error"]

    def __repr__(self):
        return f"exit {self.code}\nout: {self.out}\nerr: {self.err}"


class Lab:
    """A small fleet in a directory."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.all = []
        self.url = None
        self.build = BUILD  # whose programs are started from now on

    def primary(self, *args, name="primary", role="primary", store=None, port=None, **popen):
        port = port or free_port(2)
        self.url = f"tcp://127.0.0.1:{port}"
        d = Daemon(self, role, name, ["--listen", self.url, *args], store or self.dir / name, free_port(), **popen)
        d.port, d.url = port, self.url
        self.all.append(d)
        return d.wait_ready()

    def follower(self, role, name, args, upstream, store, ready, **popen):
        ups = [upstream] if isinstance(upstream, str) else upstream or [self.url]
        flags = [word for url in ups for word in ("--upstream", url)]
        d = Daemon(self, role, name, [*flags, "--id", name, *args], store or self.dir / name, free_port(), **popen)
        self.all.append(d)
        return d if ready is None else d.wait_ready() if ready else d.wait_up()

    def agent(self, *args, name="agent", upstream=None, store=None, ready=True, **popen):
        """`upstream`: a URL or several; `ready`: None does not wait, False only until it is up."""
        return self.follower("agent", name, args, upstream, store, ready, **popen)

    def relay(self, *args, name="relay", upstream=None, store=None, ready=True, **popen):
        port = free_port(2)
        d = self.follower("relay", name, ["--listen", f"tcp://127.0.0.1:{port}", *args], upstream, store, ready, **popen)
        d.port, d.url = port, f"tcp://127.0.0.1:{port}"
        return d

    def process(self, argv, name, **popen):
        p = Process(argv, self.dir / f"{name}.log", **popen)
        self.all.append(p)
        return p

    def flagctl(self, *args, store=None, primary=None, env=None, stdin=None, timeout=60, cwd=None, **variables):
        """Run flagctl against the lab's primary, or a store; gives an Answer, whatever the exit code."""
        if store:
            variables["HOIST_STORE"] = store
        elif primary or self.url:
            variables["HOIST_PRIMARY"] = primary or self.url
        if env:
            variables["HOIST_ENV"] = env
        return Answer(subprocess.run([self.build / "flagctl", *map(str, args)], env=clean_env(HOME=self.dir, **variables),
                                     input=stdin, capture_output=True, text=True, timeout=timeout, cwd=cwd))

    def ok(self, *args, **kwargs):
        """flagctl --json, which must succeed; its object."""
        answer = self.flagctl(*args, "--json", **kwargs)
        assert answer.code == 0, (args, answer)
        return answer.json

    def file(self, name, value):
        path = self.dir / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def secret(self, name, text):
        path = self.file(name, text)
        path.chmod(0o600)
        return path

    def head(self, env="production", **kwargs):
        return next(e for e in self.ok("env", "list", **kwargs)["environments"] if e["env"] == env)

    def state(self, daemon, env="production"):
        """This environment in a daemon's own status."""
        return next(e for e in json.loads(daemon.get("/status"))["environments"] if e["env"] == env)

    def wait_equal(self, primary, *agents, env="production", limit_ms=PATIENCE_MS):
        """Until each agent has the primary's epoch, version and state digest; then compare exports."""
        def same():
            want = self.state(primary, env)
            have = [self.state(a, env) for a in agents]
            keys = ("epoch", "version", "digest")
            return all(all(h[k] == want[k] for k in keys) for h in have)
        wait_until(same, limit_ms, what=f"{[a.name for a in agents]} equal to {primary.name}")
        want = self.export(primary.store, env)
        for a in agents:
            assert self.export(a.store, env) == want, f"{a.name} differs from the primary"
        return self.state(primary, env)["version"]

    def export(self, store, env="production"):
        answer = self.flagctl("export", "--env", env, store=store)
        assert answer.code == 0, answer
        return answer.out

    def close(self):
        for p in reversed(self.all):
            p.kill()


class Writer(threading.Thread):
    """A load of changes: set KEY to a growing number, through flagctl or faster; what was acknowledged is kept."""

    def __init__(self, lab, keys, url=None, env="production", pause_s=0.0):
        super().__init__(daemon=True)
        self.lab, self.keys, self.url, self.env, self.pause_s = lab, keys, url or lab.url, env, pause_s
        self.acknowledged, self.unknown, self.refused = {}, {}, 0
        self.count = 0
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            self.count += 1
            key = self.keys[self.count % len(self.keys)]
            a = self.lab.flagctl("set", key, self.count, "--type", "number", "--timeout", "20s", "--env", self.env,
                                 "-m", f"write {self.count}", primary=self.url, timeout=90)
            if a.code == 0:
                self.acknowledged[self.count] = key
            elif a.code == 7:
                self.unknown[self.count] = key
            else:
                self.refused += 1
            self.ending.wait(self.pause_s)

    def end(self):
        self.ending.set()
        self.join(120)
