"""Alertmanager's webhook: an alert that is listed kills its flags, once, and a person alone brings them back."""
import concurrent.futures
import contextlib
import json
import statistics
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from faults import figures
from hoist import BUILD, SOAK, Answer, Lab, clean_env, free_port, wait_until
from test_marketplace import Site as Marketplaces
from watch import Watch

TOKEN = "s3cret-of-alertmanager"
TRIALS = 6


def alert(name, status="firing", fingerprint="f1", starts="2026-01-01T00:00:00Z", **labels):
    return {"status": status, "labels": {"alertname": name, **labels}, "annotations": {"summary": f"{name} it is"},
            "startsAt": starts, "endsAt": "0001-01-01T00:00:00Z", "fingerprint": fingerprint, "generatorURL": ""}


class Site:
    def __init__(self, lab, *more):
        self.lab = lab
        tokens = lab.secret("tokens", f"# for Alertmanager\n{TOKEN}\n")
        self.primary = lab.primary("--env", "production", "--env", "staging", "--webhook-token-file", tokens,
                                   "--kill-on-alert", "production:SyncFails=sync", "--kill-on-alert", "production:ApiFails=api",
                                   "--kill-on-alert", "production:ApiFails=sync", "--kill-on-alert", "staging:ApiFails=api",
                                   "--kill-on-alert", "production:Typo=not-there", *more)
        for env in "production", "staging":
            for key in "sync", "api":
                lab.ok("set", key, "on", env=env)

    def post(self, *alerts, token=TOKEN, body=None, method="POST"):
        data = body if body is not None else json.dumps({"version": "4", "truncatedAlerts": 0, "alerts": alerts}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.primary.http}/hooks/alertmanager", data, method=method,
                                         headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def is_on(self, key, env="production"):
        return self.lab.ok("get", key, env=env)["value"]

    def result(self, name):
        return self.primary.metric(f'hoist_alertmanager_webhooks_total{{result="{name}"}}')


@pytest.fixture
def site(lab):
    return Site(lab)


def test_a_long_message_kills_and_one_that_is_too_long_calls_somebody(site):
    left_out = lambda: site.primary.metric("hoist_alertmanager_truncated_alerts_total")
    many = [alert("Other", fingerprint=f"f{n}", path="x" * 1000) for n in range(3000)]
    assert site.post(*many, alert("SyncFails"))[1]["killed"] == 1 and not site.is_on("sync")
    assert left_out() == 0
    assert site.post(body=b"x" * (5 << 20))[0] == 413
    assert site.result("refused") == 1 and left_out() == 1 and "left all its alerts out" in site.primary.text()
    with contextlib.suppress(OSError):
        site.post(body=b"x" * (12 << 20))  # cut off, and heard of all the same
    assert site.result("refused") == left_out() == 2
    names = [alert(f"Other{n}", fingerprint=f"f{n}") for n in range(4096)]
    assert site.post(alert("ApiFails"), *names)[1]["killed"] == 2 and not site.is_on("api")
    assert left_out() == 3 and "left 1 alerts out" in site.primary.text() and site.result("ok") == 2


def test_a_firing_alert_kills_and_the_log_says_which(site):
    agent = site.lab.agent()
    assert site.post(alert("SyncFails")) == (200, {"killed": 1, "unchanged": 0, "failed": 0})
    assert not site.is_on("sync") and site.is_on("api") and site.is_on("sync", "staging")
    change = site.lab.ok("log", "--limit", 1, env="production")["changes"][0]
    assert change["kind"] == "kill" and change["author"] == "alertmanager"
    assert "SyncFails" in change["message"] and "f1" in change["message"] and "SyncFails it is" in change["message"]
    assert site.result("ok") == 1 and site.result("refused") == 0 and site.result("failed") == 0
    wait_until(lambda: site.primary.metric('hoist_kill_duration_seconds_count{env="production",trigger="alert"}') == 1)
    assert site.primary.metric('hoist_kill_duration_seconds_count{env="production",trigger="operator"}') == 0
    site.lab.wait_equal(site.primary, agent)


def test_an_alert_without_an_environment_kills_wherever_it_is_listed(site):
    assert site.post(alert("ApiFails", env="staging"))[1]["killed"] == 1
    assert site.is_on("api") and not site.is_on("api", "staging")
    assert site.post(alert("ApiFails", fingerprint="f2"))[1] == {"killed": 2, "unchanged": 1, "failed": 0}
    assert not site.is_on("api") and not site.is_on("sync")


def test_the_same_alert_kills_once_also_after_a_person_restored_the_flag(site):
    assert site.post(alert("SyncFails"))[1]["killed"] == 1
    head = site.lab.head("production")["version"]
    assert site.post(alert("SyncFails"))[1] == {"killed": 0, "unchanged": 1, "failed": 0}
    assert site.lab.head("production")["version"] == head
    site.lab.ok("restore", "sync", env="production")
    assert site.post(alert("SyncFails"))[1]["killed"] == 0 and site.is_on("sync")
    site.primary.kill()
    site.primary.again()  # its memory is gone, its log is not
    assert site.post(alert("SyncFails"))[1]["killed"] == 0 and site.is_on("sync")
    assert site.post(alert("SyncFails", starts="2026-01-02T00:00:00Z"))[1]["killed"] == 1 and not site.is_on("sync")


def test_resolved_turns_nothing_on(site):
    site.post(alert("SyncFails"))
    assert site.post(alert("SyncFails", status="resolved")) == (200, {"killed": 0, "unchanged": 0, "failed": 0})
    assert not site.is_on("sync") and "alerts are resolved" in site.primary.text()


def test_what_is_not_listed_kills_nothing(site):
    assert site.post(alert("Other"), alert("SyncFails", env="staging"))[1]["killed"] == 0
    assert site.is_on("sync") and site.is_on("sync", "staging")


def test_a_flag_that_is_not_there_is_said_and_not_asked_for_again(site):
    assert site.post(alert("Typo"), alert("SyncFails")) == (200, {"killed": 1, "unchanged": 0, "failed": 1})
    assert "not-there" in site.primary.text() and not site.is_on("sync")


def test_who_brings_no_token_or_no_message_is_refused(site):
    assert site.post(alert("SyncFails"), token=None)[0] == 401
    assert site.post(alert("SyncFails"), token="wrong")[0] == 401
    assert site.post(method="PUT")[0] == 405
    for wrong in (b"", b"{", b"[]", b'{"version":"3","alerts":[]}', json.dumps({"version": "4", "alerts": [{}]}).encode()):
        assert site.post(body=wrong)[0] == 400, wrong
    assert site.is_on("sync") and site.result("refused") == 5
    assert site.primary.metric("hoist_auth_failures_total") == 2 and TOKEN not in site.primary.text()


def test_a_storm_of_the_same_alert_is_one_change(site):
    head = site.lab.head("production")["version"]
    answers = []
    storm = [threading.Thread(target=lambda: answers.append(site.post(alert("SyncFails")))) for _ in range(20)]
    for t in storm:
        t.start()
    for t in storm:
        t.join()
    assert all(status == 200 for status, _ in answers) and site.lab.head("production")["version"] == head + 1


def test_no_token_and_no_key_is_in_logs_the_process_list_status_or_metrics(lab):
    site = Site(lab, "--log-level", "debug")
    assert site.post(alert("SyncFails"))[1]["killed"] == 1 and not site.is_on("sync")
    assert site.post(alert("SyncFails"), token="almost-the-token")[0] == 401
    assert site.post(body=b"{")[0] == 400
    secret = (site.primary.store / "sign.key").read_text().split()[1]
    shown = site.primary.shown()
    assert len(secret) == 64 and "alert SyncFails" in shown + lab.ok("log")["changes"][0]["message"]
    for hidden in TOKEN, "almost-the-token", secret:
        assert hidden not in shown


@pytest.mark.parametrize("args, says", [
    (["--kill-on-alert", "production:A=f"], "--webhook-token-file"),
    (["--kill-on-alert", "nonsense", "--webhook-token-file", "TOKENS"], "ENV:ALERT=FLAG"),
    (["--webhook-token-file", "/nowhere"], "--webhook-token-file: cannot read /nowhere"),
    (["--webhook-token-file", "OPEN"], "chmod 600")], ids=lambda x: str(x)[:30])
def test_a_wrong_option_is_said(lab, args, says):
    files = {"TOKENS": lab.secret("tokens", "t\n"), "OPEN": lab.file("open", "t\n")}
    files["OPEN"].chmod(0o640)
    done = Answer(subprocess.run([BUILD / "hoistd", "primary", "--store", lab.dir / "s", "--listen", f"ipc://{lab.dir}/p.sock", "--http", f"127.0.0.1:{free_port()}",
                                  *[str(files.get(a, a)) for a in args]], capture_output=True, text=True,
                                 env=clean_env(), timeout=20))
    assert done.code == 2 and says in done.err, done


def test_without_tokens_there_is_no_webhook(lab):
    primary = lab.primary()
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"http://127.0.0.1:{primary.http}/hooks/alertmanager", b"{}", timeout=10)
    assert error.value.code == 404


class Way:
    """The real way: the service fails, Prometheus sees it, Alertmanager calls, the flag is off."""
    KEY, ALERT = "marketplace.sync.enabled", "MarketplaceGithubSecondaryLimit"

    def __init__(self, lab, interval_s):
        secret = lab.secret("webhook-token", f"{TOKEN}\n")
        self.lab, self.site = lab, Marketplaces(lab, "--webhook-token-file", secret, "--kill-on-alert", f"production:{self.ALERT}={self.KEY}")
        self.agents = [lab.agent(name=f"agent{i}") for i in range(2)]
        self.site.on()
        self.watch = Watch(lab, [self.site.primary], self.site.service, secret, interval_s)
        self.watch.wait_seen()
        self.site.service.sync("success")

    def is_off(self, daemon):
        return self.lab.ok("get", self.KEY, store=daemon.store, env="production")["value"] is False

    def go(self):
        """Seconds from the third limit in /metrics to the kill on the primary, and from there to all hosts."""
        service = self.site.service
        self.site.stub.mode("secondary", status=429, retry_after=0)
        service.ask("/api/v1/sync", "POST")
        wait_until(lambda: service.metric('marketplace_github_ratelimited_total{kind="secondary"}') >= 3, what="GitHub limits")
        fault = time.monotonic()
        wait_until(lambda: self.is_off(self.site.primary), 60000, what="the alert kills the flag")
        killed = time.monotonic()
        wait_until(lambda: all(self.is_off(a) for a in self.agents))
        return killed - fault, time.monotonic() - killed


def test_from_a_fault_to_a_flag_that_is_off_on_every_host(lab):
    way = Way(lab, interval_s=1)
    detected_s, converged_s = way.go()
    figures(f"an alert at a scrape of 1 s: {detected_s:.2f} s from the fault to the kill, {converged_s:.3f} s more on 2 hosts")
    change = lab.ok("log", "--limit", 1, env="production")["changes"][0]
    assert change["author"] == "alertmanager" and way.ALERT in change["message"]
    way.site.stub.mode("ok")
    lab.ok("restore", way.KEY, env="production")
    time.sleep(3)  # the alert fires on, and is said again each second
    assert way.ALERT in way.watch.alerts() and not way.is_off(way.site.primary)


@pytest.mark.skipif(not SOAK, reason="takes a minute and more")
@pytest.mark.parametrize("interval_s", [1, 15])
def test_how_long_a_kill_by_an_alert_takes_soak(tmp_path, interval_s):
    """Several at once, each at another moment between two scrapes."""
    def trial(number):
        (tmp_path / f"{number}").mkdir()
        lab = Lab(tmp_path / f"{number}")
        try:
            way = Way(lab, interval_s)
            time.sleep(number * interval_s / TRIALS)
            return way.go()
        finally:
            lab.close()
    with concurrent.futures.ThreadPoolExecutor(TRIALS) as pool:
        detected, converged = zip(*pool.map(trial, range(TRIALS)))
    assert max(detected) < 2 * interval_s + 10, detected
    figures(f"an alert at a scrape of {interval_s} s, {TRIALS} times: from the fault to the kill {min(detected):.1f} to {max(detected):.1f} s "
            f"(median {statistics.median(detected):.1f}), on 2 hosts {max(converged):.3f} s after that at the most")
