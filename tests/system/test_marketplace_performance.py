"""The service beside an older build of it: the same passes, a slower one does not, and what cannot be measured is no pass."""
import json
import subprocess
import sys

import pytest

from hoist import BUILD, clean_env, free_port
from test_github_stub import Stub
from test_marketplace_contract import HERE

sys.path.insert(0, str(HERE))
from checks.load import load, quantile  # noqa: E402
from checks.ratio import interval, verdict  # noqa: E402

SERVICE = BUILD / "examples/marketplace/marketplace"
LIMITS = {"rate_per_s": 100, "connections": 4, "round_s": 0.15, "batch_rounds": 4, "most_rounds": 40, "confidence": 0.95,
          "routes": {"/api/v1/listings": {"p50": {"most": 3}, "per_s": {"least": 0.5}}}}
ONE = {**LIMITS, "routes": {"/api/v1/listings/1": {"p50": {"most": 3}}}}
BEHIND = """#!/usr/bin/python3
import signal, socket, subprocess, sys, threading, time
argv = sys.argv[1:]
at = argv.index("--listen") + 1
port, argv[at] = int(argv[at].split(":")[1]), "127.0.0.1:{port}"
service = subprocess.Popen(["{service}", *argv])
signal.signal(signal.SIGTERM, lambda *_: (service.terminate(), sys.exit(service.wait())))

def serve(client):
    with client, socket.create_connection(("127.0.0.1", {port})) as server:
        threading.Thread(target=back, args=(server, client), daemon=True).start()
        while data := client.recv(65536):
            if {fails} and data.startswith(b"GET /api/v1/listings/1 "):
                client.sendall(b"HTTP/1.1 500 Error\\r\\nContent-Length: 0\\r\\n\\r\\n")
                continue
            time.sleep({delay_s})
            server.sendall(data)
        server.shutdown(socket.SHUT_RDWR)

def back(server, client):
    while data := server.recv(65536):
        client.sendall(data)

listener = socket.create_server(("127.0.0.1", port))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


@pytest.fixture
def compare(lab):
    """Run the comparison with these two programs: exit code, and what it said as JSON."""
    primary, stub = lab.primary("--env", "staging"), Stub(lab, "--repos", 40)
    file = json.loads((HERE / "flags/staging.json").read_text())
    for flag in file["flags"].values():
        flag["defaultVariant"] = "on"
    lab.ok("import", lab.file("on.json", file))

    def run(baseline, candidate, limits=LIMITS):
        done = subprocess.run([HERE / "performance", "--baseline", baseline, "--candidate", candidate, "--store", primary.store,
                               "--env", "staging", "--github", f"http://127.0.0.1:{stub.port}", "--listings", "43", "--json",
                               "--limits", lab.file("limits.json", limits)],
                              capture_output=True, text=True, timeout=120, env=clean_env())
        return done.returncode, json.loads(done.stdout or done.stderr)
    return run


def behind(lab, port, delay_s=0.03, fails=False):
    """A program that is the service behind a delay, or one that fails one route."""
    path = lab.file("behind", BEHIND.format(port=port, service=SERVICE.resolve(), delay_s=delay_s, fails=fails))
    path.chmod(0o755)
    return path


def test_the_same_build_is_as_fast_as_itself(compare):
    code, said = compare(SERVICE, SERVICE)
    assert (code, said["result"]) == (0, "kept"), said
    assert len(said["measures"]) == 2 and all(m["low"] <= m["ratio"] <= m["high"] for m in said["measures"])


def test_a_slower_build_and_one_that_fails_are_found(lab, compare):
    code, said = compare(SERVICE, behind(lab, free_port()))
    slow = [m for m in said["measures"] if m["measure"] == "p50"]
    assert (code, said["result"]) == (1, "broken") and all(m["kept"] is False and m["low"] > 3 for m in slow)
    code, said = compare(behind(lab, free_port()), SERVICE)
    assert code == 0  # it may be faster
    code, said = compare(SERVICE, behind(lab, free_port(), 0, True), ONE)
    assert code == 1 and [m["measure"] for m in said["measures"]] == ["failed"]


def test_what_could_not_be_measured_is_no_pass(lab, compare):
    code, said = compare("/bin/false", SERVICE)
    assert code == 4 and "baseline ended with 1" in said["error"]["message"]
    code, said = compare(behind(lab, free_port(), 0, True), SERVICE, ONE)
    assert code == 4 and "baseline failed" in said["error"]["message"]
    for wrong in ({**LIMITS, "routes": {}}, {**LIMITS, "rate_per_s": 0}, {**LIMITS, "batch_rounds": 3},
                  {**LIMITS, "colour": 1}):
        assert compare(SERVICE, SERVICE, wrong)[0] == 2


def test_all_that_it_needs_is_started_and_ended(lab):
    few = {**LIMITS, "round_s": 0.1, "most_rounds": 4, "routes": {"/api/v1/listings": {"per_s": {"least": 0.2}}}}
    done = subprocess.run([HERE / "performance-here", SERVICE.resolve(), "--json", "--limits", lab.file("few.json", few)],
                          capture_output=True, text=True, timeout=120, env=clean_env(BUILD=BUILD.resolve(), TMPDIR=lab.dir))
    assert done.returncode == 0 and json.loads(done.stdout)["rounds"] == 4, done.stderr
    assert not list(lab.dir.glob("performance-*"))


@pytest.mark.parametrize("ratios, limit, kept", [
    ([1.0, 1.1, 0.9, 1.0], {"most": 1.25}, True), ([1.5, 1.6, 1.4, 1.5], {"most": 1.25}, False),
    ([0.5, 3.0, 0.6, 2.5], {"most": 1.25}, None), ([1.0, 1.0, 0.99, 1.0], {"least": 0.95}, True),
    ([0.5, 0.6, 0.5, 0.5], {"least": 0.95}, False), ([0.5, 1.4, 0.7, 1.3], {"least": 0.95}, None)], ids=str)
def test_a_limit_is_kept_broken_or_not_told(ratios, limit, kept):
    low, middle, high = interval(ratios, 0.95)
    assert low <= middle <= high and verdict((low, middle, high), limit) is kept


def test_an_interval_is_narrower_with_more_rounds_and_wider_for_more_confidence():
    def width(ratios, confidence):
        low, _, high = interval(ratios, confidence)
        return high - low
    assert width([0.8, 1.25] * 20, 0.95) < width([0.8, 1.25] * 3, 0.95) < width([0.8, 1.25] * 3, 0.999)
    assert interval([2.0] * 5, 0.95) == pytest.approx((2, 2, 2))


def test_requests_that_get_no_answer_are_counted():
    ordered = list(range(100))
    assert (quantile(ordered, 0.5), quantile(ordered, 0.99), quantile([7], 0.99)) == (50, 99, 7)
    lost = load(1, "/", 100, 0.1, 2)  # nobody listens there
    assert lost.failed == 10 and lost.p50 is None
