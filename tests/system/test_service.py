"""hoistd as a service: what it tells the service manager, what it says at the start, how it ends."""
import json
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

from hoist import BUILD, TOP, Process, clean_env, free_port, wait_until
from pki import Pki


@pytest.fixture
def notify(tmp_path, request):
    """A service manager: the value of $NOTIFY_SOCKET, and a function for what it hears next."""
    name = f"@hoist-{tmp_path}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(name.replace("@", "\0"))
        s.settimeout(20)
        yield name, lambda: s.recv(4096).decode().splitlines()


@pytest.mark.parametrize("notify", ["path", "abstract"], indirect=True)
def test_the_service_manager_hears_of_start_reload_and_end(lab, notify):
    name, heard = notify
    primary = lab.primary(env=clean_env(NOTIFY_SOCKET=name))
    assert heard() == ["READY=1"]
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    primary.signal(signal.SIGHUP)
    reloading, at = heard()
    assert reloading == "RELOADING=1"
    assert before <= int(at.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert heard() == ["READY=1"]
    assert primary.stop() == 0
    assert heard() == ["STOPPING=1"]


@pytest.mark.parametrize("notify", ["path"], indirect=True)
def test_the_watchdog_is_fed(lab, notify):
    name, heard = notify
    lab.primary(env=clean_env(NOTIFY_SOCKET=name, WATCHDOG_USEC=1000000))
    assert heard() == ["READY=1"]
    for _ in range(3):
        start = time.monotonic()
        assert heard() == ["WATCHDOG=1"]
        assert time.monotonic() - start < 1


def test_a_reload_with_a_wrong_file_changes_nothing(lab):
    config = lab.file("hoistd.yaml", "log_level: info\n")
    primary = lab.primary("--config", config)
    config.write_text("log_level: debug\nnonsense: 1\n")
    primary.signal(signal.SIGHUP)
    wait_until(lambda: "not reloaded" in primary.text() and ":2:1:" in primary.text())
    assert primary.get("/healthz") == "ok\n"


def test_the_start_says_what_to_paste(lab):
    primary = lab.primary("--env", "staging", "--env", "production")
    wait_until(lambda: "export HOIST_ENV=" in primary.text())
    text = primary.text()
    for line in (f"export HOIST_PRIMARY={primary.url}", f"export HOIST_STORE={primary.store}", "export HOIST_ENV=staging"):
        assert line in text.splitlines()
    assert primary.url in text and f"http://127.0.0.1:{primary.http}" in text


def test_with_json_logs_every_line_is_an_object(lab):
    primary = lab.primary("--log-format", "json")
    wait_until(lambda: "export HOIST_ENV=" in primary.text())
    assert primary.stop() == 0
    assert all(json.loads(line)["msg"] for line in primary.text().splitlines())


def test_dev_serves_at_an_agents_address_too(lab):
    other = free_port()
    lab.primary("--ofrep-http", f"127.0.0.1:{other}", role="dev", name="dev")
    for path in ("/healthz", "/readyz", "/metrics", "/status"):
        with urllib.request.urlopen(f"http://127.0.0.1:{other}{path}", timeout=5) as answer:
            text = answer.read().decode()
            assert text, path
    assert json.loads(text)["role"] == "dev"


WRONG = [
    (["primary", "--http", "8016"], "HOST:PORT"),
    (["primary", "--listen", "tcp://127.0.0.1"], "tcp://HOST:PORT"),
    (["primary", "--quota-bytes", "5GB"], "GiB"),
    (["primary", "--log-age", "90"], "90d"),
    (["primary", "--heartbeat-ms", "1"], "heartbeat-ms"),
    (["primary", "--log-format", "xml"], "logfmt"),
    (["primary", "stray"], "stray"),
    (["agent"], "--upstream"),
    (["agent", "--upstream", "http://x:1"], "tcp://HOST:PORT"),
    (["agent", "--upstream", "tcp://127.0.0.1:1", "--label", "ring"], "NAME=VALUE"),
    (["agent", "--listen", "tcp://127.0.0.1:1"], "--listen"),
    (["agnet"], "agnet"),
    ([], "hoistd primary"),
]


@pytest.mark.parametrize("args, says", WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_a_wrong_option_is_exit_2_with_the_mend(lab, args, says):
    tail = ["--store", lab.dir / "store"] if args and args[0] != "agnet" else []
    if tail and "--http" not in args:
        tail += ["--http", "off"]
    if tail and args[0] == "primary" and "--listen" not in args:
        tail += ["--listen", f"tcp://127.0.0.1:{free_port(2)}"]
    done = subprocess.run([BUILD / "hoistd", *args, *tail], env=clean_env(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and says in done.stderr, done


def test_the_level_of_the_environment_is_checked(lab):
    done = subprocess.run([BUILD / "hoistd", "dev", "--store", lab.dir / "s"], env=clean_env(HOIST_LOG="loud"), capture_output=True, text=True)
    assert done.returncode == 2 and "loud" in done.stderr


def test_version_and_help():
    assert subprocess.run([BUILD / "hoistd", "--version"], capture_output=True, text=True).stdout.startswith("hoistd 0.")
    assert "hoistd agent" in subprocess.run([BUILD / "hoistd", "--help"], capture_output=True, text=True).stdout


def test_it_ends_at_once_with_connections_open(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.wait_equal(primary, agent)
    open_ones = []
    for port in (primary.port, primary.port + 1, primary.http, agent.http):
        open_ones.append(socket.create_connection(("127.0.0.1", port)))
    start = time.monotonic()
    assert primary.stop() == 0
    assert agent.stop() == 0
    assert time.monotonic() - start < 4
    for s in open_ones:
        s.close()


def test_how_near_its_limits_a_store_is(lab):
    primary = lab.primary("--quota-bytes", "1MiB")
    assert primary.metric('hoist_limit_ratio{limit="quota_bytes"}') == 0
    lab.ok("set", "k", "x" * 100000, "--type", "string")
    assert 0.09 < primary.metric('hoist_limit_ratio{limit="quota_bytes"}') < 0.2
    assert primary.metric("hoist_store_quota_bytes") == 1 << 20
    for limit in ("map_bytes", "readers", "env_flags", "flag_bytes", "change_bytes", "key_bytes", "variants", "open_files"):
        assert 0 < primary.metric(f'hoist_limit_ratio{{limit="{limit}"}}') < 1, limit
    lab.agent()
    for limit in ("connections", "peer_connections", "subscriptions", "peer_subscriptions"):
        assert 0 < primary.metric(f'hoist_limit_ratio{{limit="{limit}"}}') < 0.01, limit


def test_a_host_with_a_lower_limit_keeps_its_last_version_and_says_why(lab):
    primary = lab.primary()
    agent = lab.agent("--env-flags", "2")
    for key in "ab":
        version = lab.ok("set", key, "on")["version"]
    lab.wait_equal(primary, agent)
    lab.ok("set", "c", "on")
    said = wait_until(lambda: (state := lab.state(agent))["state"] == "refusing" and state)
    assert said["version"] == version and "--env-flags" in said["why"], said
    assert agent.metric('hoist_limit_ratio{limit="env_flags"}') == 1
    agent.stop()
    lab.wait_equal(primary, lab.agent(name="roomier", store=agent.store))


def test_a_kill_behind_a_change_that_a_host_cannot_take_waits_and_is_told(lab):
    """Out of its turn it would make flags that no version has; so the host says what it waits for."""
    primary = lab.primary()
    agent = lab.agent("--env-flags", "2", name="small")
    for key in "ab":
        version = lab.ok("set", key, "on")["version"]
    lab.wait_equal(primary, agent)
    lab.ok("set", "c", "on")
    wait_until(lambda: lab.state(agent)["state"] == "refusing")
    kill = lab.flagctl("kill", "a", "--wait", "--timeout", "1s", "--json")
    assert kill.code == 6 and "small" in kill.err + kill.out, kill
    state = lab.state(agent)
    assert (state["state"], state["version"]) == ("refusing", version) and "--env-flags" in state["why"], state
    assert lab.flagctl("is", "a", store=agent.store).code == 0, "its readers stay at the version that it has"
    wait_until(lambda: primary.metric('hoist_hosts{env="production",state="refusing"}') == 1)
    agent.stop()
    roomier = lab.agent(name="small", store=agent.store)
    lab.wait_equal(primary, roomier)
    assert lab.flagctl("is", "a", store=agent.store).code == 1


LABEL = r'[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"(?P<name>[a-z_]+)(?:{{{LABEL}(?:,{LABEL})*}})? (?:[-+]?[0-9.]+(?:e[-+]?[0-9]+)?|[-+]Inf|NaN)")


def test_metrics_follow_the_rules_of_their_text_format(lab):
    primary = lab.primary()
    relay = lab.relay()
    agent = lab.agent(upstream=relay.url)
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, relay, agent)
    assert relay.metric("hoist_statuses_dropped_total") == 0
    for daemon in (primary, relay, agent):
        types, helped = {}, set()
        for line in daemon.get("/metrics").splitlines():
            if not line.startswith("#"):
                sample = SAMPLE.fullmatch(line)
                assert sample and re.sub("_(bucket|sum|count)$", "", sample["name"]) in types or sample["name"] in types, line
            if line.startswith("# HELP "):
                name, text = line.removeprefix("# HELP ").split(" ", 1)
                assert text.endswith("."), line
                helped.add(name)
            elif line.startswith("# TYPE "):
                name, kind = line.removeprefix("# TYPE ").split()
                types[name] = kind
        assert types and helped == set(types)
        for name, kind in types.items():
            assert name.startswith("hoist_")
            assert name.endswith("_total") == (kind == "counter"), name
            assert not any(unit in name for unit in ("_ms", "_millis", "_kb")), name
            assert "_percent" not in name or name == "hoist_release_stage_percent", name  # as a plan has it


def test_the_example_configuration_is_true(lab):
    """Each key of deploy/hoistd.yaml, taken out of its comment, is an option of its role."""
    def keys(section):
        return "\n".join(line[2:] for line in section.splitlines() if re.match(r"# ([a-z_]+: ?\S*$|[a-z_]+: \S+$|  - )", line))

    every, rest = (TOP / "deploy/hoistd.yaml").read_text().split("# ---- an agent")
    follow, rest = rest.split("# ---- a relay")
    relay, primary = rest.split("# ---- a primary")
    every = every.split("# ---- every role")[1]
    lab.primary(name="signs").stop()  # whose keys the paths of the example lead to
    Pki(lab.dir / "signs").ca("ca").issue("host")
    for words in (["init", "ca"], ["issue", "host", "--dir", "ca"]):
        subprocess.run([BUILD / "hoistd", "certs", *words], cwd=lab.dir / "signs", check=True, capture_output=True)
    lab.file("signs/prometheus-token", "t0ken\n").chmod(0o600)
    lab.file("signs/prometheus-user", "hoist:pa55word\n").chmod(0o600)
    for name, copy in (("ca.pem", "prometheus-ca.pem"), ("host.pem", "prometheus.pem"), ("host.key", "prometheus.key")):
        shutil.copy(lab.dir / "signs" / name, lab.dir / "signs" / copy)
    lab.file("signs/slack-url", "https://hooks.example.com/services/x\n").chmod(0o600)
    for role, section in (("agent", follow), ("relay", follow + relay), ("primary", primary)):
        more = [] if role == "agent" else ["--listen", f"tcp://127.0.0.1:{free_port(2)}"]
        text = (keys(every) + "\n" + keys(section) + "\n").replace("/etc/hoist/", f"{lab.dir}/signs/")
        config = lab.file(f"{role}.yaml", text)
        assert config.read_text().count(":") > 10
        p = Process([BUILD / "hoistd", role, "--config", config, "--store", lab.dir / role, "--http", "off", *more], lab.dir / f"{role}.log")
        lab.all.append(p)
        wait_until(lambda: "export HOIST_STORE=" in p.text(), what=f"{role} starts")
        assert p.stop() == 0
