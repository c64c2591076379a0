"""A link that is cut, a flood, an absence, a primary that was set back: each ends with equal stores."""
import json
import os
import shutil
import subprocess
import threading
import time

import pytest

from hoist import SANITIZED, Lab, wait_until

root_only = pytest.mark.skipif(os.getuid() != 0, reason="needs root to make network namespaces")


def flags(n, value):
    return {"flags": {f"flag{i}": {"state": "ENABLED", "variants": {"value": value}, "defaultVariant": "value"} for i in range(n)}}


@pytest.fixture
def two_hosts():
    """Two network namespaces with a cable between them: (prefix of commands there, its address)."""
    a, b = f"hoist-a{os.getpid()}", f"hoist-b{os.getpid()}"
    run = lambda *words: subprocess.run(words, check=True)
    run("ip", "netns", "add", a)
    run("ip", "netns", "add", b)
    try:
        run("ip", "link", "add", "hoist0", "netns", a, "type", "veth", "peer", "name", "hoist1", "netns", b)
        for ns, dev, address in ((a, "hoist0", "10.213.0.1"), (b, "hoist1", "10.213.0.2")):
            run("ip", "-n", ns, "addr", "add", f"{address}/24", "dev", dev)
            run("ip", "-n", ns, "link", "set", dev, "up")
            run("ip", "-n", ns, "link", "set", "lo", "up")
        yield a, b
    finally:
        for ns in (a, b):
            subprocess.run(["ip", "netns", "del", ns])


class Distant:
    """A daemon in a namespace, asked through its store and its own loopback."""

    def __init__(self, lab, ns, name, role, *args):
        from hoist import BUILD, Process
        self.lab, self.ns, self.name, self.store = lab, ns, name, lab.dir / name
        self.prefix = ["ip", "netns", "exec", ns]
        open_tcp = ["--insecure"]
        if role != "primary" and "--trust" not in args:
            trust = lab.dir / "primary" / "trust.key"
            wait_until(trust.exists, what="the primary's key is there")
            open_tcp += ["--trust", trust]
        self.p = Process([BUILD / "hoistd", role, "--store", self.store, "--http", "off", *open_tcp, *args], lab.dir / f"{name}.log", prefix=self.prefix)
        lab.all.append(self.p)

    def status(self):
        return self.lab.ok("status", store=self.store)

    def env(self):
        return self.status()["environments"][0]


@root_only
def test_the_link_is_cut_for_30_seconds_during_1000_changes(lab, two_hosts):
    a, b = two_hosts
    primary = Distant(lab, a, "primary", "primary", "--listen", "tcp://10.213.0.1:7400", "--listen", f"ipc://{lab.dir}/p.sock")
    agent = Distant(lab, b, "agent", "agent", "--upstream", "tcp://10.213.0.1:7400", "--id", "far")
    lab.url = f"ipc://{lab.dir}/p.sock"
    lab.ok("set", "n", "0", "--type", "number", "--timeout", "20s")
    wait_until(lambda: agent.env()["version"] == 2)
    ending = threading.Event()

    def change():
        for n in range(1, 1001):
            lab.ok("set", "n", n)
            ending.wait(0.025)

    load = threading.Thread(target=change)
    load.start()
    time.sleep(2)
    cut = time.monotonic()
    subprocess.run(["ip", "-n", a, "link", "set", "hoist0", "down"], check=True)
    wait_until(lambda: agent.status()["upstream"]["connected"] is False, what="the agent notices the silence")
    assert agent.status()["upstream"]["last_word_ms"] >= 500
    while time.monotonic() - cut < 30:
        time.sleep(0.5)
    stood = agent.env()["version"]
    assert agent.status()["upstream"]["last_word_ms"] >= 20000
    subprocess.run(["ip", "-n", a, "link", "set", "hoist0", "up"], check=True)
    healed = time.monotonic()
    wait_until(lambda: agent.env()["version"] > stood, limit_ms=15000, what="the agent catches up after the cut")
    print(f"caught up {time.monotonic() - healed:.1f} s after the link was back")
    load.join(120)
    wait_until(lambda: agent.env()["version"] == 1002 and agent.env()["state"] == "current", limit_ms=30000)
    wait_until(lambda: primary.env()["version"] == 1002, what="the primary says so in its own store, too")
    assert agent.env()["digest"] == primary.env()["digest"]
    assert lab.export(agent.store) == lab.export(primary.store)


def test_a_flood_past_the_buffers_ends_equal(lab):
    """A subscriber that sleeps while far more is published than any buffer holds."""
    import signal
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("import", lab.file("f.json", flags(200, 0)))
    lab.wait_equal(primary, agent)
    agent.signal(signal.SIGSTOP)
    for n in range(40 if SANITIZED else 150):  # 200 records each: some 4 MiB
        lab.ok("import", lab.file("f.json", flags(200, n + 1)))
    agent.signal(signal.SIGCONT)
    lab.wait_equal(primary, agent)


def test_an_agent_away_past_the_log_window_takes_a_snapshot(lab):
    primary = lab.primary("--log-min", "20", "--log-age", "1ms")
    agent = lab.agent()
    lab.ok("set", "n", "0", "--type", "number")
    lab.wait_equal(primary, agent)
    agent.stop()
    for n in range(60):
        lab.ok("set", "n", n + 1)
    primary.stop()  # it would keep the log for a minute more, for the snapshot that the agent has had
    primary.again()
    wait_until(lambda: lab.ok("log", "--limit", "1000")["changes"][-1]["version"] > 20, what="the log is cut")
    agent.again()
    lab.wait_equal(primary, agent)
    assert sum(float(line.rsplit(" ", 1)[1]) for line in agent.get("/metrics").splitlines() if line.startswith("hoist_resyncs_total{")) >= 1


def test_a_primary_that_was_set_back_refuses_until_a_new_epoch(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("set", "n", "1", "--type", "number")
    lab.wait_equal(primary, agent)
    primary.stop()
    shutil.copytree(primary.store, lab.dir / "backup", symlinks=True)
    primary.again()
    for n in range(5):
        lab.ok("set", "n", n + 10)
    lab.wait_equal(primary, agent)
    old = lab.state(primary)
    primary.stop()
    shutil.rmtree(primary.store)
    shutil.copytree(lab.dir / "backup", primary.store, symlinks=True)
    primary.again()
    refused = wait_until(lambda: (r := lab.flagctl("set", "n", "99")).code != 0 and r, what="the primary refuses")
    assert "env epoch" in refused.err and "back" in refused.err
    epoch_info = lambda daemon, epoch: daemon.metric(f'hoist_epoch_info{{env="production",epoch="{epoch}"}}')
    assert epoch_info(primary, old["epoch"]) == epoch_info(agent, old["epoch"]) == 1
    said = lab.state(primary)
    assert said["state"] == "refusing" and "set back" in said["why"]
    assert primary.text().count("was set back") == 1 and "env epoch --new" in primary.text()
    wait_until(lambda: lab.state(agent)["state"] == "diverged")
    assert lab.ok("get", "n", store=agent.store)["value"] == 14  # it goes on serving
    lab.ok("env", "epoch", "--new")
    lab.ok("set", "n", "77")
    lab.wait_equal(primary, agent)
    assert lab.state(agent)["epoch"] > old["epoch"]
    assert lab.state(primary)["state"] == "current"
    for daemon in (primary, agent):  # one epoch is the present one
        assert epoch_info(daemon, lab.state(daemon)["epoch"]) == 1
        assert epoch_info(daemon, old["epoch"]) == 0
    assert lab.ok("get", "n", store=agent.store)["value"] == 77


def test_garbage_on_every_port_changes_nothing(lab):
    import random
    import socket
    primary = lab.primary()
    agent = lab.agent()
    version = lab.ok("set", "k", "on")["version"]
    lab.wait_equal(primary, agent)
    dice = random.Random(7)
    sp_req, sp_sub = b"\0SP\0\0\x30\0\0", b"\0SP\0\0\x21\0\0"
    for port, hello in ((primary.port, sp_req), (primary.port + 1, sp_sub), (primary.port, b""), (primary.http, b"")):
        for _ in range(30):
            with socket.create_connection(("127.0.0.1", port)) as s:
                body = dice.randbytes(dice.randrange(1, 400))
                if hello and dice.random() < 0.7:  # a well-formed SP message around rubbish
                    body = len(body).to_bytes(8, "big") + (b"\x80\0\0\1" + body)[:len(body)]
                if dice.random() < 0.1:  # a length that lies
                    body = b"\x7f" * 8
                try:
                    s.sendall(hello + body)
                except OSError:
                    pass
    assert primary.alive() and agent.alive()
    assert lab.ok("set", "k", "off")["version"] == version + 1
    lab.wait_equal(primary, agent)
