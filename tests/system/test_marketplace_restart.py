"""The example service is stopped, killed and replaced, and so is all around it: nobody who asks notices, and no page is half stored."""
import contextlib
import json
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

from faults import Client, figures, seeded
from hoist import BUILD, SANITIZED, SOAK, TOP, Process, free_port, wait_until
from test_github_stub import ORG, Stub
from test_marketplace import FLAGS, SEED, Marketplace, Site

SECONDS = 300 if SOAK else 10
RATE = 50 if SANITIZED else 200  # requests a second
FLIPS = 10  # a second
KILLS = 500 if SOAK else 50
BINARIES = ("hoistd", "examples/marketplace/marketplace")


class Flips(threading.Thread):
    """One of the service's flags, on or off, ten times a second by the clock: what the primary's death delays is made up for."""

    def __init__(self, port, dice):
        super().__init__(daemon=True)
        self.client, self.dice = Client(port, "flips"), random.Random(dice.random())
        self.count, self.ending, self.failure = 0, threading.Event(), None

    def set(self, flag, on):
        """A primary that is stopping says that it has done nothing, and to try again."""
        while True:
            code, answer = self.client.command("set", 20, env="production", message="", key=flag, value="on" if on else "off")
            if code == 0:
                return
            assert answer and answer["error"]["code"] == "busy", f"a flip was refused: exit {code}, {answer}"

    def run(self):
        begun, on = time.monotonic(), dict.fromkeys(FLAGS, True)
        try:
            while not self.ending.wait(max(0, begun + self.count / FLIPS - time.monotonic())):
                flag = self.dice.choice(FLAGS)
                on[flag] = not on[flag]
                self.set(flag, on[flag])
                self.count += 1
        except Exception as error:
            self.failure = error

    def end(self):
        self.ending.set()
        self.join(30)
        if self.failure:
            raise self.failure


class Scene:
    """A primary, an agent, GitHub, and two processes of the service on one socket and one directory of data."""

    def __init__(self, lab, dice):
        self.lab, self.dice = lab, dice
        self.counts = dict.fromkeys(("kills", "hoistd replaced", "service replaced"), 0)
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.stub = Stub(lab, "--limit", 1000000)
        self.primary = lab.primary()
        lab.ok("import", TOP / "examples/marketplace/flags/production.json")
        for flag in FLAGS:
            lab.ok("set", flag, "on")
        self.agent = lab.agent()
        lab.wait_equal(self.primary, self.agent)
        self.services = [self.service(i) for i in range(2)]
        for binary in BINARIES:
            shutil.copy2(BUILD / binary, self.next_of(binary))
        wait_until(lambda: self.services[0].total() == SEED + 250, what="GitHub's listings are in")

    def next_of(self, binary):
        return self.lab.dir / f"next-{binary.rsplit('/', 1)[-1]}"

    def service(self, i, binary=None, port=None):
        return Marketplace(self.lab, self.stub, self.agent.store, socket=self.socket, binary=binary, port=port, name=f"service{i}")

    def other(self, binary, now):
        """The binary that is not the one that runs."""
        return self.next_of(binary) if str(now) == str(BUILD / binary) else BUILD / binary

    def kill(self, daemon):
        daemon.kill()
        daemon.again()
        self.counts["kills"] += 1

    def replace(self, daemon):
        argv, log, popen = daemon.start_args
        daemon.start_args = ([self.other("hoistd", argv[0]), *argv[1:]], log, popen)
        assert daemon.stop() == 0
        daemon.again()
        self.counts["hoistd replaced"] += 1

    def roll(self):
        """The service by its other binary, one process after the other, as `systemctl restart` does each."""
        for i, old in enumerate(self.services):
            binary = self.other("examples/marketplace/marketplace", old.binary)
            assert old.stop(30) == 0, old.text()[-2000:]
            self.services[i] = self.service(i, binary, old.port)
        self.counts["service replaced"] += 1

    def faults(self):
        return [lambda: self.kill(self.primary), lambda: self.kill(self.agent), lambda: self.replace(self.primary),
                lambda: self.replace(self.agent), self.roll]


@contextlib.contextmanager
def load(lab, port, seed):
    """The load beside the body; gives what becomes its sum."""
    log, total = open(lab.dir / "load.log", "w+"), {}
    p = subprocess.Popen([BUILD / "tests/system/http_load", str(port), str(RATE), str(SECONDS * 2), str(seed)],
                         stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        yield total
        p.send_signal(signal.SIGTERM)
        total.update(json.loads(p.communicate(timeout=30)[0]))
        log.seek(0)
        total["told"] = log.read()
    finally:
        p.kill()
        p.wait()
        log.close()


def test_no_request_fails_while_all_is_killed_and_replaced_soak(lab):
    dice = seeded("marketplace under load")
    scene = Scene(lab, dice)
    flips, begun = Flips(scene.primary.port, dice), time.monotonic()
    with load(lab, scene.socket.getsockname()[1], dice.randrange(1 << 32)) as sum_:
        flips.start()
        ahead = dice.sample(scene.faults(), 5)  # each of them once, then by chance
        while time.monotonic() < begun + SECONDS or ahead:
            time.sleep(dice.uniform(0.1, 0.6))
            (ahead.pop() if ahead else dice.choice(scene.faults()))()
        flips.end()
        took = time.monotonic() - begun
    figures(f"marketplace, {took:.0f} s at {RATE} requests/s: requests {sum_['requests']}, failed = {sum_['failed']}, flips {flips.count}, "
            f"kills of agent and primary {scene.counts['kills']}, restarts: hoistd by another binary {scene.counts['hoistd replaced']}, "
            f"both services by another {scene.counts['service replaced']}; p50 {sum_['p50_ms']:.1f} ms, p99 {sum_['p99_ms']:.1f} ms, "
            f"max {sum_['max_ms']:.0f} ms; connections {sum_['connections']}")
    assert sum_["failed"] == 0, sum_["told"]
    assert sum_["requests"] > RATE * took / 2, "the load was not what it is meant to be: the machine is too slow or too busy"
    assert flips.count > FLIPS * took / 2 and sum_["none"] and sum_["built_in"] and sum_["all"]
    for flag in FLAGS:
        lab.ok("set", flag, "on")
    lab.wait_equal(scene.primary, scene.agent)
    for service in scene.services:
        assert service.total() == SEED + 250
    state = scene.stub.tell("/state")
    assert state["violations"] == [] and state["most_at_once"] == 1, "two workers asked at once"


# ---------------------------------------------------------------- kill -9

def pages_of(stub):
    """The ids on each page of GitHub's list."""
    return [[r["id"] for r in json.loads(stub.get(f"{ORG}?per_page=100&page={n}")[2])] for n in (1, 2, 3)]


def revisions(service, pages):
    """How often the listings of each page had changed when they were stored; a page is of one revision or was torn."""
    items = service.all()
    stars = {item["id"]: item["stars"] for item in items}
    assert len(stars) == len(items) == SEED + 250
    found = [{stars[i] // 5000 for i in page} for page in pages]
    assert all(len(one) == 1 for one in found), f"half a page is stored: {found}"
    return [one.pop() for one in found]


def killed_once(site, dice, most_s):
    """A run, for a moment."""
    wait_until(lambda: site.service.ask("/api/v1/sync", "POST")[0] == 202, what="a run begins")
    time.sleep(dice.uniform(0, most_s))
    site.service.kill()
    site.service = Marketplace(site.lab, site.stub, site.primary.store, port=site.service.port)


def test_kill_9_in_the_middle_of_runs_leaves_whole_pages_soak(lab):
    """All 250 listings change before each run; then ten of them come and go, which is all or nothing, too."""
    dice = seeded("kill -9 of the marketplace")
    site = Site(lab, stub=("--limit", 1000000)).on()
    site.service.sync("success")
    pages, between = pages_of(site.stub), 0
    site.stub.mode("slow", ms=20)
    for n in range(1, KILLS + 1):
        site.stub.tell("/repos", {"revision": n})
        killed_once(site, dice, 0.15)
        now = revisions(site.service, pages)
        assert now == sorted(now, reverse=True)
        between += now[0] == n and now[2] < n
    assert between > KILLS / 10, "the kills did not fall into runs"
    site.stub.mode("ok")
    site.service.sync("success")
    assert revisions(site.service, pages) == [KILLS] * 3
    totals, coming, count, kills = set(), set(range(100240, 100250)), 240, 0
    while kills < KILLS // 4 or SEED + 240 not in totals:
        site.stub.tell("/repos", {"count": count})
        killed_once(site, dice, 0.3)
        kills += 1
        there = [item["id"] for item in site.service.all()]
        assert len(there) == len(set(there)) and len(coming.difference(there)) == SEED + 250 - len(there)
        for page in pages:
            assert coming.intersection(page, there) in (set(), coming.intersection(page)), "half a page came or went"
        totals.add(len(there))
        count = 490 - count if len(there) == SEED + count else count
    site.stub.tell("/repos", {"count": count})
    for _ in range(2):
        site.service.sync("success")
    assert site.service.total() == SEED + count
    state = site.stub.tell("/state")
    assert state["violations"] == []
    size = (lab.dir / "listings/data.mdb").stat().st_size
    figures(f"marketplace, {KILLS + kills} times kill -9 in runs: {between} of {KILLS} left some pages of a run, none a part of one; "
            f"totals {sorted(totals)}; the data's file {size >> 10} KiB")
    assert size < 8 << 20, "killed readers hold old pages"


# ---------------------------------------------------------------- SIGTERM

def head_of(path="/api/v1/listings"):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode()


def answer_to(s, path="/api/v1/listings"):
    """The answer to what has been asked so far and this end of a head."""
    s.sendall(b"\r\n")
    text = b""
    while b"\r\n\r\n" not in text or not text.endswith(b"}"):
        more = s.recv(65536)
        if not more:
            break
        text += more
    return text.decode()


def test_at_sigterm_what_was_asked_is_answered_and_who_comes_later_waits_for_the_next(lab):
    shared = socket.create_server(("127.0.0.1", 0), backlog=16)
    site = Site(lab)
    site.lab.ok("set", "marketplace.enabled", "on")
    old = Marketplace(lab, site.stub, site.primary.store, "--drain-s", 60, socket=shared, name="old")
    asks = [socket.create_connection(shared.getsockname(), timeout=20) for _ in range(2)]
    for s in asks:
        s.sendall(head_of())
    assert "200 OK" in (first := answer_to(asks[0])) and "close" not in first.lower()  # this one stays open
    assert old.ask("/readyz")[0] == 200
    old.signal(signal.SIGTERM)
    status, body = wait_until(lambda: (a := old.ask("/readyz"))[0] == 503 and a)
    assert body["error"]["code"] == "draining"
    late = socket.create_connection(shared.getsockname(), timeout=20)
    late.sendall(head_of())
    asks[0].sendall(head_of())
    for s in asks:
        text = answer_to(s)
        assert "200 OK" in text and "Connection: close" in text and text.endswith("}")
        s.close()
    assert old.p.wait(20) == 0, "nothing is left to wait for"
    new = Marketplace(lab, site.stub, site.primary.store, socket=shared, name="new")
    assert "200 OK" in answer_to(late)
    late.close()
    new.stop()


def test_at_sigterm_a_connection_that_asks_nothing_is_waited_for_as_long_as_said(lab):
    site = Site(lab, service=("--drain-s", 1))
    idle = socket.create_connection(("127.0.0.1", site.service.port), timeout=20)
    idle.sendall(head_of())
    answer_to(idle)
    begun = time.monotonic()
    assert site.service.stop() == 0
    assert 0.9 < time.monotonic() - begun < 8 and idle.recv(1) == b""
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", site.service.port), timeout=5)
        raise AssertionError("it still listens")


def test_systemd_starts_it_at_the_first_connection(lab):
    site, port = Site(lab), free_port()
    p = lab.process(["systemd-socket-activate", "--listen", f"127.0.0.1:{port}", BUILD / "examples/marketplace/marketplace",
                     "--data", lab.dir / "other", "--store", site.primary.store, "--github", f"http://127.0.0.1:{site.stub.port}"], "activated")
    wait_until(lambda: "Listening on" in p.text())
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.sendall(head_of("/readyz"))
        assert "200 OK" in answer_to(s)
    assert p.stop() == 0 and "a socket that was handed on" in p.text()


def test_the_units_are_as_systemd_wants_them(tmp_path):
    here = TOP / "examples/marketplace"
    service = (here / "marketplace@.service").read_text().replace("/usr/local/bin", str((BUILD / "examples/marketplace").resolve()))
    for i in (1, 2):
        (tmp_path / f"marketplace@{i}.service").write_text(service)
    shutil.copy(here / "marketplace.socket", tmp_path)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *tmp_path.iterdir()], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "--store /var/lib/hoist " in service and "--store /var/lib/hoist\n" in (TOP / "deploy/hoistd-agent.service").read_text()


def test_what_is_handed_on_must_be_a_listening_socket(lab):
    for opened in ("3</dev/null", "3<&-"):
        p = Process(["bash", "-c", f'exec {opened}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "bash", BUILD / "examples/marketplace/marketplace",
                     "--data", lab.dir / "x"], lab.dir / "wrong.log")
        assert p.p.wait(10) == 2 and "LISTEN_FDS" in p.text()
    taken = socket.create_server(("127.0.0.1", 0))
    p = lab.process([BUILD / "examples/marketplace/marketplace", "--data", lab.dir / "x", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"], "taken")
    assert p.p.wait(10) == 2 and "in use" in p.text()


def test_of_two_processes_one_works_and_each_tells_what_both_know(lab):
    site = Site(lab)
    site.stub.mode("slow", ms=400)
    second = Marketplace(lab, site.stub, site.primary.store, name="second")
    site.on()
    assert site.service.ask("/api/v1/sync", "POST")[0] == 202
    wait_until(lambda: site.service.metric('marketplace_sync_in_progress{source="github"}') == 1)
    assert second.ask("/api/v1/sync", "POST")[1]["error"]["code"] == "running"
    wait_until(lambda: site.service.runs("success") == 1)
    gauges = ('marketplace_sync_last_success_timestamp_seconds{source="github"}', 'marketplace_github_ratelimit_remaining{resource="core"}')
    for gauge in gauges:
        assert second.metric(gauge) == wait_until(lambda: site.service.metric(gauge))
    site.service.kill()
    second.sync("success")
    assert second.total() == SEED + 250 and site.stub.tell("/state")["most_at_once"] == 1
