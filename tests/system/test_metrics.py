"""What Prometheus would scrape from each role, judged by its own tool: names, units, types, help."""
import re
import subprocess

import pytest

from hoist import wait_until

# On a primary, on whoever has an upstream, and on all; each is there before it first happens.
PRIMARY = {"hoist_hosts", "hoist_propagation_duration_seconds_count", "hoist_convergence_duration_seconds_count",
           "hoist_kill_duration_seconds_count", "hoist_txn_duration_seconds_count"}
FOLLOWER = {"hoist_last_heartbeat_timestamp_seconds", "hoist_resyncs_total", "hoist_diverged_total", "hoist_upstream_switches_total"}
SERVER = {"hoist_publish_errors_total", "hoist_requests_total", "hoist_requests_busy_total",
          "hoist_idle_connections_closed_total"}
RELAY = {"hoist_relayed_status_frames_total", "hoist_statuses_dropped_total"}
ALL = {"hoist_build_info", "hoist_role", "hoist_store_version", "hoist_head_version", "hoist_store_used_bytes", "hoist_store_map_bytes",
       "hoist_changes_total", "hoist_replication_lag_seconds", "hoist_replication_lag_versions", "hoist_frames_refused_total", "hoist_epoch_info",
       "hoist_limit_ratio", "hoist_refused_total", "hoist_client_evaluations_total", "hoist_evaluations_left_out_total"}
WANTED = {"primary": PRIMARY | SERVER | ALL, "agent": FOLLOWER | ALL, "relay": FOLLOWER | SERVER | RELAY | ALL}


def series(text):
    """name → {labels: value}"""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = re.fullmatch(r"([a-z_]+)(\{.*\})? (\S+)", line).groups()
            found.setdefault(name, {})[labels or ""] = float(value)
    return found


def check(daemon):
    text = daemon.get("/metrics")
    said = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert said.returncode == 0 and not said.stdout + said.stderr, said
    return series(text)


@pytest.fixture
def fleet(lab):
    primary = lab.primary()
    relay = lab.relay()
    return lab, {"primary": primary, "relay": relay, "agent": lab.agent(upstream=relay.url)}


def test_promtool_has_nothing_to_say(fleet):
    lab, daemons = fleet
    for d in daemons.values():
        check(d)
    for words in (("set", "k", "on"), ("kill", "k"), ("restore", "k"), ("rollback", "--last")):
        lab.ok(*words)
    assert lab.flagctl("set", "k", "on", "--if-version", "1").code == 3
    lab.wait_equal(*daemons.values())
    for d in daemons.values():
        check(d)


def test_each_role_has_its_metrics_at_0_from_the_start(fleet):
    _, daemons = fleet
    for role, d in daemons.items():
        wait_until(lambda: "hoist_epoch_info" in series(d.get("/metrics")))
        found = check(d)
        assert not WANTED[role] - set(found), (role, sorted(found))
        assert sum(found["hoist_role"].values()) == 1 and found["hoist_role"][f'{{role="{role}"}}'] == 1
    states = {f'{{env="production",state="{s}"}}' for s in ("current", "behind", "silent", "refusing")}
    assert set(series(daemons["primary"].get("/metrics"))["hoist_hosts"]) == states


def test_no_label_names_a_host_or_a_flag(fleet):
    """Each would be a series for ever: what is said of one host stands in `fleet`. Evaluations are bounded, and go with their flag."""
    lab, daemons = fleet
    lab.ok("set", "some.flag", "on", "--wait", "--timeout", "20s")
    for d in daemons.values():
        found = check(d)
        evaluations = found.pop("hoist_client_evaluations_total")
        assert all(re.findall(r'(\w+)="', text) == ["env", "flag", "variant"] for text in evaluations)
        labels = {name for by in found.values() for text in by for name in re.findall(r'(\w+)="', text)}
        assert labels <= {"env", "epoch", "kind", "le", "limit", "reason", "result", "role", "route", "state", "status", "trigger", "version"}, labels
