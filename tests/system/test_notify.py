"""Notifications: those who are to hear of kills, restores and rollbacks do, in order, each of them, whatever dies."""
import hashlib
import hmac
import http.server
import json
import pathlib
import random
import signal
import ssl
import threading
import time

import pytest

from hoist import SOAK, TOP, clean_env, free_port, wait_until
from pki import Pki
from test_metrics import check as check_metrics
from test_webhook import TOKEN, alert
from test_webhook import Site as Alerts

PATH = "/services/T0/B0/s3cret-of-the-url"
KEY = "s3cret-key-that-signs"


class Receiver:
    """A local receiver; `answer` says how it answers: a status, and headers, or None for none at all."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.got, self.answer, self.retry_after = [], 200, None
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.answer(body) if callable(receiver.answer) else receiver.answer
                receiver.got.append((status, self.path, dict(self.headers), body))
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                if receiver.retry_after:
                    self.send_header("Retry-After", receiver.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def taken(self):
        return [json.loads(body) for status, _, _, body in list(self.got) if status == 200]

    def versions(self):
        return [event["version"] for event in self.taken()]


@pytest.fixture
def receiver():
    receivers = []

    def make(port=None):
        receivers.append(Receiver(port))
        return receivers[-1]
    yield make
    for r in receivers:
        r.close()


def secret(lab, name, port, key=None):
    path = lab.file(name, f"http://127.0.0.1:{port}{PATH}\n" + (f"{key}\n" if key else ""))
    path.chmod(0o600)
    return path


def primary(lab, port, *args, kind="json", **more):
    file = secret(lab, f"{kind}-url", port, KEY if kind == "json" else None)
    return lab.primary("--notify", f"ops={kind}:{file}", *args, **more)


def sent(daemon, result="sent", sink="ops"):
    return daemon.metric(f'hoist_notifications_total{{sink="{sink}",result="{result}"}}')


def age(daemon, sink="ops"):
    return daemon.metric(f'hoist_notification_oldest_age_seconds{{sink="{sink}"}}')


def test_a_program_hears_of_kills_restores_and_rollbacks_in_order(lab, receiver):
    r = receiver()
    p = primary(lab, r.port)
    for result in "sent", "failed", "refused", "lost":
        assert sent(p, result) == 0
    lab.ok("set", "sync", "on")
    lab.ok("kill", "sync", "-m", "it <burns>")
    lab.ok("set", "other", "on")
    lab.ok("restore", "sync")
    lab.ok("rollback", "--last")
    wait_until(lambda: len(r.taken()) == 3)
    kill, restore, rollback = r.taken()
    assert [e["event"] for e in (kill, restore, rollback)] == ["kill", "restore", "rollback"]
    log = {c["version"]: c for c in lab.ok("log")["changes"]}
    for event in kill, restore, rollback:
        change = log[event["version"]]
        for name in "author", "message", "time", "request":
            assert event[name] == change[name], name
        assert event["env"] == "production" and event["flags_count"] == len(event["flags"]) == len(change["edits"])
    assert kill["flags"] == ["sync"] and kill["message"] == "it <burns>"
    status, path, headers, body = r.got[0]
    assert path == PATH and headers["Content-Type"] == "application/json" and headers["X-Hoist-Event"] == kill["id"]
    assert headers["X-Hoist-Signature"] == "sha256=" + hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
    wait_until(lambda: sent(p) == 3 and age(p) == 0)
    assert sent(p, "failed") == 0
    check_metrics(p)


def test_slack_hears_of_an_alert_that_killed(lab, receiver):
    r = receiver()
    file = secret(lab, "slack-url", r.port)
    site = Alerts(lab, "--notify", f"ops=slack:{file}")
    assert site.post(alert("SyncFails"))[1]["killed"] == 1
    text = wait_until(lambda: r.taken())[0]["text"]
    assert text.startswith("`sync` killed in *production* by alertmanager (v") and "SyncFails it is" in text
    assert "X-Hoist-Signature" not in r.got[0][2]
    for name in (TOKEN, KEY, "s3cret-of-the-url"):
        assert name not in text


def test_a_sink_that_fails_and_goes_away_holds_up_no_change_and_loses_nothing(lab, receiver):
    r = receiver()
    r.answer = 500
    p = primary(lab, r.port)
    lab.ok("set", "sync", "on")
    lab.ok("kill", "sync")
    wait_until(lambda: sent(p, "failed") >= 1)
    wait_until(lambda: age(p) > 0)
    r.close()  # away altogether
    before = time.monotonic()
    lab.ok("restore", "sync")
    lab.ok("kill", "sync")
    assert time.monotonic() - before < 5
    failed = sent(p, "failed")
    wait_until(lambda: sent(p, "failed") > failed)
    back = receiver(r.port)
    wait_until(lambda: len(back.taken()) == 3)
    assert [e["event"] for e in back.taken()] == ["kill", "restore", "kill"]
    assert back.versions() == sorted(back.versions())
    wait_until(lambda: sent(p) == 3 and age(p) == 0)
    assert sent(p, "refused") == 0 and sent(p, "lost") == 0


def test_what_was_not_told_is_told_after_kill_9_and_at_most_one_thing_twice(lab, receiver):
    rng = random.Random(7)
    r = receiver()
    p = primary(lab, r.port)
    lab.ok("set", "sync", "on")
    r.answer = lambda body: None if rng.random() < 0.2 else 200
    kills = 60 if SOAK else 6
    for n in range(kills):
        lab.ok("kill" if n % 2 == 0 else "restore", "sync")
        lab.ok("set", "other", n, "--type", "number")
        time.sleep(rng.random() * 0.4)
        p.kill()
        p.again()
    r.answer = 200
    wanted = [c["version"] for c in reversed(lab.ok("log", "--limit", 1000)["changes"]) if c["kind"] in ("kill", "restore")]
    wait_until(lambda: r.versions() and r.versions()[-1] == wanted[-1] and age(p) == 0)
    assert sorted(set(r.versions())) == wanted
    assert r.versions() == sorted(r.versions())
    assert len(r.versions()) - len(wanted) <= kills


def test_who_is_told_for_the_first_time_hears_what_happens_from_then_on(lab, receiver):
    r = receiver()
    first = lab.primary("--env", "production")
    lab.ok("set", "sync", "on", env="production")
    lab.ok("kill", "sync", env="production")
    first.stop()
    p = primary(lab, r.port, store=first.store)
    lab.ok("restore", "sync", env="production")
    wait_until(lambda: sent(p) == 1)
    lab.ok("env", "create", "staging")
    lab.ok("set", "sync", "on", env="staging")
    lab.ok("kill", "sync", env="staging")
    wait_until(lambda: sent(p) == 2)
    assert [(e["env"], e["event"]) for e in r.taken()] == [("production", "restore"), ("staging", "kill")]
    assert (p.store / "notify-ops").stat().st_mode & 0o777 == 0o600


def test_a_message_that_is_refused_is_left_out_and_an_address_that_is_wrong_is_not(lab, receiver):
    r = receiver()
    r.answer = lambda body: 400 if b'"kill"' in body else 200
    p = primary(lab, r.port)
    lab.ok("set", "sync", "on")
    lab.ok("kill", "sync")
    lab.ok("restore", "sync")
    wait_until(lambda: sent(p) == 1)
    assert [e["event"] for e in r.taken()] == ["restore"]
    assert sent(p, "refused") == 1 and sent(p, "failed") == 2
    assert "has refused production/" in p.text()
    r.answer = 404
    lab.ok("kill", "sync")
    wait_until(lambda: sent(p, "failed") >= 4)
    assert sent(p, "refused") == 1
    file = secret(lab, "json-url", r.port, "a-new-key-that-signs")  # somebody puts it right: no restart
    r.answer = 200
    wait_until(lambda: sent(p) == 2)
    body, signature = r.got[-1][3], r.got[-1][2]["X-Hoist-Signature"]
    assert signature == "sha256=" + hmac.new(b"a-new-key-that-signs", body, hashlib.sha256).hexdigest()
    assert file.exists()


def test_who_asks_to_be_left_alone_is(lab, receiver):
    r = receiver()
    came = []

    def answer(_):
        came.append(time.monotonic())
        return 429 if len(came) == 1 else 200
    r.answer, r.retry_after = answer, "2"
    p = primary(lab, r.port)
    lab.ok("set", "sync", "on")
    lab.ok("kill", "sync")
    wait_until(lambda: sent(p) == 1)
    assert came[1] - came[0] > 1.5  # without it, a second at most


def test_no_secret_is_in_logs_the_process_list_status_or_metrics(lab, receiver):
    r = receiver()
    r.answer = 500
    p = primary(lab, r.port, env=clean_env(HOIST_LOG="debug"))
    lab.ok("set", "sync", "on")
    lab.ok("kill", "sync")
    wait_until(lambda: sent(p, "failed") >= 1)
    r.answer = 302
    wait_until(lambda: sent(p, "failed") >= 2)
    r.close()
    wait_until(lambda: sent(p, "failed") >= 3)
    shown = [p.text(), pathlib.Path(f"/proc/{p.pid}/cmdline").read_text(), pathlib.Path(f"/proc/{p.pid}/environ").read_text(),
             p.get("/metrics"), p.get("/status"), (p.store / "notify-ops").read_text()]
    for text in shown:
        assert "s3cret" not in text and KEY not in text
    assert "ops was not told of production/" in shown[0]


def test_who_has_no_certificate_that_the_system_believes_is_told_nothing(lab, receiver):
    r = receiver()
    pki = Pki(lab.dir / "pki").ca("ca").issue("hooks")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.dir / "hooks.pem", pki.dir / "hooks.key")
    r.server.socket = context.wrap_socket(r.server.socket, server_side=True)
    file = lab.file("tls-url", f"https://localhost:{r.port}{PATH}\n")
    file.chmod(0o600)
    p = lab.primary("--notify", f"ops=slack:{file}")
    lab.ok("set", "sync", "on")
    lab.ok("kill", "sync")
    wait_until(lambda: sent(p, "failed") >= 1)
    assert sent(p) == 0 and r.got == [] and "certificate" in p.text()


def test_it_ends_at_once_while_a_sink_hangs(lab, receiver):
    r = receiver()
    hanging = threading.Event()
    r.answer = lambda body: hanging.wait(30) and 200 or 200
    p = primary(lab, r.port)
    lab.ok("set", "sync", "on")
    lab.ok("kill", "sync")
    time.sleep(0.6)
    before = time.monotonic()
    assert p.stop() == 0
    assert time.monotonic() - before < 5
    hanging.set()


def test_a_file_that_others_can_read_is_refused_at_the_start(lab):
    path = secret(lab, "open", 1)
    path.chmod(0o644)
    argv = [lab.build / "hoistd", "primary", "--store", lab.dir / "p", "--http", "off", "--notify", f"ops=slack:{path}"]
    p = lab.process(argv, "refused")
    assert p.p.wait(20) == 2
    assert "chmod 600" in p.text() and "s3cret" not in p.text()


def test_two_sinks_have_a_place_each(lab, receiver):
    well, ill = receiver(), receiver()
    ill.answer = 503
    files = secret(lab, "a", well.port), secret(lab, "b", ill.port, KEY)
    p = lab.primary("--notify", f"well=slack:{files[0]}", "--notify", f"ill=json:{files[1]}")
    lab.ok("set", "sync", "on")
    lab.ok("kill", "sync")
    lab.ok("restore", "sync")
    wait_until(lambda: sent(p, sink="well") == 2)
    assert sent(p, sink="ill") == 0
    ill.answer = 200
    wait_until(lambda: sent(p, sink="ill") == 2)
    p.signal(signal.SIGTERM)
    assert p.p.wait(20) == 0
    assert (p.store / "notify-well").read_text().splitlines()[0] == (p.store / "notify-ill").read_text().splitlines()[0]


def test_the_example_takes_what_is_signed_and_prints_each_thing_once(lab):
    port = free_port()
    file = secret(lab, "example", port, KEY)
    notified = lab.process([TOP / "examples/notified/notified", "--port", port, "--secrets", file], "notified")
    p = lab.primary("--notify", f"ops=json:{file}", "--notify", f"again=json:{file}")
    forged = secret(lab, "forged", port, "another-key-that-signs")
    lab.ok("set", "sync", "on")
    lab.ok("kill", "sync", "-m", "it burns")
    wait_until(lambda: sent(p) == 1 and sent(p, sink="again") == 1)
    assert notified.text().count("kill production v3 sync by") == 1 and "it burns" in notified.text()
    p.stop()
    other = lab.primary("--notify", f"forged=json:{forged}", name="other")
    lab.ok("set", "sync", "on")
    lab.ok("kill", "sync")
    wait_until(lambda: sent(other, "failed", "forged") >= 1)
    assert notified.text().count("\n") == 1


def test_a_place_that_cannot_be_true_is_mended_and_said(lab, receiver):
    r = receiver()
    p = primary(lab, r.port, "--log-min", 1, "--log-age", "1ms")
    lab.ok("set", "sync", "on")
    p.stop()
    place = p.store / "notify-ops"
    place.write_text("hoist-notify-1\nproduction 999\n")  # a store that was set back
    p.again()
    lab.ok("kill", "sync")
    wait_until(lambda: sent(p) == 1)
    assert "the store was set back" in p.text() and sent(p, "lost") == 0
    for n in range(4):
        lab.ok("set", "other", n, "--type", "number")
    lab.ok("restore", "sync")
    wait_until(lambda: sent(p) == 2)
    p.stop()
    p.again()  # when it starts it looks how old the log is
    wait_until(lambda: lab.ok("log")["first"] > 3, what="the log is cut")
    p.stop()
    place.write_text("hoist-notify-1\nproduction 1\n")  # and a sink that took nothing for too long
    p.again()
    wait_until(lambda: sent(p, "lost") == 1)
    assert "are no longer in the log, and ops may not have been told of them" in p.text()
    lab.ok("kill", "sync")
    wait_until(lambda: r.versions()[-1] == lab.head()["version"])
    p.stop()
    place.write_text("production\n")
    p.restart()
    assert p.p.wait(20) == 1 and "Remove the file" in p.text()
