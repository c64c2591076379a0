"""Starting, stopping, reloading, health; who may open what."""
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from hoist import BUILD, Process, clean_env, free_port, wait_until


def test_sigterm_ends_within_two_seconds(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.wait_equal(primary, agent)
    for daemon in (agent, primary):
        start = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - start < 3


def test_health_readiness_and_metrics(lab):
    primary = lab.primary()
    assert primary.get("/healthz")
    assert 'hoist_role{role="primary"} 1' in primary.get("/metrics")
    assert primary.metric('hoist_changes_total{env="production",result="applied"}') >= 0
    agent = lab.agent(upstream="tcp://127.0.0.1:1", ready=False)
    with pytest.raises(Exception, match="503"):
        agent.get("/readyz")
    assert agent.get("/healthz")


def test_an_agent_with_an_old_store_is_ready_without_its_upstream(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, agent)
    agent.stop()
    primary.stop()
    agent.again()
    assert json.loads(agent.get("/status"))["upstream"]["connected"] is False


def test_systemd_is_told_when_it_is_ready(lab):
    path = str(lab.dir / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(10)
        lab.primary(env=clean_env(NOTIFY_SOCKET=path))
        assert b"READY=1" in s.recv(4096)


def test_sighup_takes_the_logs_settings_anew(lab):
    config = lab.file("hoistd.yaml", "log_format: logfmt\n")
    primary = lab.primary("--config", config)
    config.write_text("log_format: json\n")
    primary.signal(signal.SIGHUP)
    wait_until(lambda: '"msg":"hoistd: reloaded' in primary.text(), what="a line in the new format")
    config.write_text("log_format: json\nnonsense: 1\n")
    primary.signal(signal.SIGHUP)
    wait_until(lambda: "not reloaded" in primary.text() and "nonsense" in primary.text())
    lab.ok("set", "k", "on")


def test_a_yaml_file_gives_the_options(lab):
    port = free_port(2)
    config = lab.file("hoistd.yaml", f"store: {lab.dir}/s\nlisten: [tcp://127.0.0.1:{port}]\nenv: [staging]\nhttp: off\n")
    p = lab.process([BUILD / "hoistd", "primary", "--config", config], "p")
    lab.url = f"tcp://127.0.0.1:{port}"
    wait_until(lambda: lab.ok("env", "list")["environments"][0]["env"] == "staging")
    assert p.alive()
    broken = lab.file("broken.yaml", "store: /x\nlissten: nonsense\n")
    done = subprocess.run([BUILD / "hoistd", "primary", "--config", broken], capture_output=True, text=True, env=clean_env())
    assert done.returncode == 2 and "lissten" in done.stderr and "2" in done.stderr


def test_a_second_writer_is_refused(lab):
    primary = lab.primary()
    second = Process([BUILD / "hoistd", "primary", "--store", primary.store, "--listen", f"tcp://127.0.0.1:{free_port(2)}", "--http", "off"],
                     lab.dir / "second.log")
    assert second.p.wait(10) == 1
    assert str(primary.pid) in second.text()
    agent = Process([BUILD / "hoistd", "agent", "--store", primary.store, "--upstream", lab.url, "--http", "off"], lab.dir / "third.log")
    assert agent.p.wait(10) == 1
    assert primary.alive()
    assert primary.store.stat().st_mode & 0o777 == 0o700, "who is refused opens nothing"


def test_a_taken_port_names_the_option(lab):
    primary = lab.primary()
    second = Process([BUILD / "hoistd", "primary", "--store", lab.dir / "other", "--listen", lab.url, "--http", "off"], lab.dir / "second.log")
    assert second.p.wait(10) == 1
    assert "--listen" in second.text() and str(primary.pid) in second.text()
    third = Process([BUILD / "hoistd", "primary", "--store", lab.dir / "third", "--listen", f"tcp://127.0.0.1:{free_port(2)}",
                     "--http", f"127.0.0.1:{primary.http}"], lab.dir / "third.log")
    assert third.p.wait(10) == 1
    assert "--http" in third.text()


def test_logs_as_json(lab):
    primary = lab.primary("--log-format", "json")
    lines = [line for line in primary.text().splitlines() if line.startswith("{")]
    assert lines and all(json.loads(line)["level"] for line in lines)


def test_help_names_every_option(lab):
    for role in ("primary", "agent", "dev"):
        shown = subprocess.run([BUILD / "hoistd", role, "--help"], capture_output=True, text=True)
        assert shown.returncode == 0
        for option in ("--store", "--http", "--config", "--log-format"):
            assert option in shown.stdout
    assert subprocess.run([BUILD / "hoistd", "primary", "--stoer", "x"], capture_output=True).returncode == 2


def modes(directory):
    return {p.name: oct(p.stat().st_mode & 0o777) for p in directory.iterdir() if not p.is_symlink()}


def test_modes_let_the_group_read_and_nobody_else(lab):
    old = os.umask(0o077)
    try:
        primary = lab.primary()
        agent = lab.agent()
    finally:
        os.umask(old)
    lab.wait_equal(primary, agent)
    assert oct(agent.store.stat().st_mode & 0o777) == "0o750"
    assert oct(primary.store.stat().st_mode & 0o777) == "0o700"
    inner = (agent.store / "current").resolve()
    assert modes(inner) == {"data.mdb": "0o640", "lock.mdb": "0o660", "counters": "0o640"}
    assert (inner / "lock.mdb").stat().st_blocks * 512 >= (inner / "lock.mdb").stat().st_size


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become other users")
def test_another_user_reads_only_in_the_group(lab):
    primary = lab.primary()
    lab.dir.chmod(0o755)
    for parent in list(lab.dir.parents)[:-2]:
        if parent.owner() == "root" and parent.stat().st_mode & 0o755 != 0o755 and "pytest" in str(parent):
            parent.chmod(0o755)
    agent = lab.agent()
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, agent)
    import shutil
    program = lab.dir / "read"
    shutil.copy(BUILD / "examples/read", program)
    inner = (agent.store / "current").resolve()
    for path in [agent.store, inner, *inner.iterdir()]:
        os.chown(path, -1, 12345)

    def read(*groups):
        return subprocess.run(["setpriv", "--reuid=23456", "--regid=23456", *groups, program, "--store", agent.store, "--env", "production", "k"],
                              env=clean_env(), capture_output=True, text=True, timeout=20)
    assert "true" in read("--groups=12345").stdout
    refused = read("--clear-groups")
    assert "true" not in refused.stdout
    assert "group" in refused.stdout, "the result says why there is no value"
