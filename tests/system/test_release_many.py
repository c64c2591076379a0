"""Several releases at once: one alert takes back each that names it, and none besides."""
import json
import urllib.request

import pytest

from hoist import SANITIZED, wait_until
from test_release import PLAN, stage  # noqa: F401, a fixture

pytestmark = pytest.mark.skipif(SANITIZED, reason="libhoist is loaded into Python here")


def fire(primary, name):
    body = {"version": "4", "alerts": [{"status": "firing", "fingerprint": "f", "startsAt": "2026-01-01T00:00:00Z",
                                       "labels": {"alertname": name}}]}
    request = urllib.request.Request(f"http://127.0.0.1:{primary.http}/hooks/alertmanager", json.dumps(body).encode(),
                                     {"Authorization": "Bearer s3cret", "Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def test_an_alert_takes_back_each_release_that_names_it(stage, lab):  # noqa: F811
    token = lab.file("token", "s3cret\n")
    token.chmod(0o600)
    s = stage(2, "--webhook-token-file", str(token))
    names = [f"r{i}" for i in range(6)]
    for i, name in enumerate(names):
        for env in ("staging", "production"):
            lab.ok("set", f"{name}.enabled", "off", env=env)
        text = PLAN.replace("release: demo", f"release: {name}").replace("[a.enabled, b.enabled]", f"[{name}.enabled]")
        text = text.replace("{check: [tests], sign: {qa: tested, boss: reviewed}}", "").replace("exposed: 5", "exposed: 1")
        text = text.replace("soak: 600ms", "soak: 1h")
        if i == 3:
            text = text.replace("[Burning]", "[Flooding]")
        lab.ok("release", "start", lab.file("plan.yaml", text), "--commit", "c0ffee", "--author", "mara")

    def states():
        return {r["release"]: r["state"] for r in lab.ok("release", "list")["releases"]}

    wait_until(lambda: all(s.programs.share(a.store, "staging", f"{n}.enabled".encode(), 5) == 1 for a in s.agents for n in names))
    fire(s.primary, "Burning")
    s.primary.kill()
    s.primary.again()
    assert not {"moving", "waiting", "holding"} & {state for n, state in states().items() if n != "r3"}, "what is answered is committed"
    wait_until(lambda: all(states()[n] == "rolled_back" for n in names if n != "r3"), what="all but one went back")
    assert states()["r3"] in ("moving", "waiting", "holding")
    for a in s.agents:
        assert [s.programs.share(a.store, "staging", f"{n}.enabled".encode(), 5) for n in names] == [0, 0, 0, 1, 0, 0]
    fire(s.primary, "Flooding")
    wait_until(lambda: states()["r3"] == "rolled_back")
