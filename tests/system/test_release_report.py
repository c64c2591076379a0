"""Reports of a release: its watch beside the same hours before the launch, over Prometheus whose history was made beforehand."""
import contextlib
import http.server
import json
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

from hoist import BUILD, TOP, clean_env, free_port, wait_until
from test_json import TIME, has
from test_notify import Receiver, secret
from test_release import Stage, pytestmark, stage  # noqa: F401

DAY = 86400
PLAN = """
release: demo
title: A demonstration
owner: mara
author: mara
flags: [a.enabled, b.enabled]
bucket: {var: account_id}
interval: 200ms
abort_after: 3
roles: {boss: [rita]}
guards:
  - {name: freshness, query: 'time() - min(timestamp(up) and up == 1)', pass: '<= 30'}
  - {name: errors, title: Share that fails, query: 'sum(errors_total)', pass: '<= 0.02', critical: '> 0.2'}
  - {name: headroom, title: What GitHub leaves us, query: 'min(left_ratio)', pass: '>= 0.2'}
  - {name: control, query: 'sum(control)', pass: '<= 1'}
kill_on_alert: [Burning]
announce: {contact: '#demo'}
phases:
  flags: {steps: []}
  monitoring: {steps: []}
  staging: {steps: []}
  production:
    env: production
    steps: [{percent: 100, soak: 600ms, exposed: 5, guards: [freshness, errors, headroom]}]
  watch:
    coverage: [{from: FROM, to: UNTIL, who: olga}, {from: UNTIL, to: 2999-01-01T00:00:00Z, who: omar}]
    steps:
      - {soak: 1s}
      - {soak: 1s}
      - {soak: 1s, sign: {boss: launched}}
"""


def moment(s):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(s))


def plan(lab, text=PLAN):
    now = time.time()
    return lab.file("plan.yaml", text.replace("FROM", moment(now - 3600)).replace("UNTIL", moment(now + 3600)))


class History:
    """A Prometheus that has nothing but these series: each a name, and a function from seconds before or after now to a value."""

    def __init__(self, lab, name, series, days=(1, 0)):
        here, now, self.port = lab.dir / name, int(time.time()), free_port()
        here.mkdir()
        lines = [f"{metric} {value(at - now)} {at}" for metric, value in series.items() for day in days
                 for at in range(now - day * DAY - 120, now - day * DAY + 300) if value(at - now) is not None]
        (here / "history").write_text("\n".join([*lines, "# EOF\n"]))
        if lines:
            subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", here / "history", here / "data"], check=True, capture_output=True)
        (here / "prometheus.yml").write_text("{}")
        self.process = lab.process(["prometheus", f"--config.file={here}/prometheus.yml", f"--storage.tsdb.path={here}/data",
                                    f"--web.listen-address=127.0.0.1:{self.port}", "--query.lookback-delta=2s", "--log.level=warn"], name)
        self.url = f"http://127.0.0.1:{self.port}"
        wait_until(lambda: Stub.get(f"{self.url}/-/ready"), 60000, what="Prometheus is ready")


class Stub(threading.Thread):
    """Answers range queries by `answer(query, times)`: series, each a list of values, None where there is none."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        outer, self.asked = self, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = {k: v[0] for k, v in urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).items()}
                outer.asked.append((self.path, form))
                start, end, step = (float(form[k]) for k in ("start", "end", "step"))
                times = [start + i * step for i in range(int((end - start) / step + 1e-6) + 1)]
                said = answer(form["query"], times)
                if isinstance(said, list):
                    said = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [
                        {"metric": {"n": str(i)}, "values": [[at, str(v)] for at, v in zip(times, one) if v is not None]}
                        for i, one in enumerate(said)]}})
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(said.encode())

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.start()

    def run(self):
        self.server.serve_forever(0.02)

    @staticmethod
    def get(url):
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200


def good():
    before = lambda value, now: lambda s: value(s) if s < -DAY / 2 else now
    return {"up": lambda s: 1, "errors_total": before(lambda s: 0.001 * (1 + s % 10), 0.012), "left_ratio": before(lambda s: 0.8, 0.35),
            'ALERTS{alertname="Slow",alertstate="firing",env="production"}': lambda s: 1 if s > -60 else None,
            'ALERTS{alertname="Slow",alertstate="pending",env="production"}': lambda s: 1,
            'ALERTS{alertname="Old",alertstate="firing"}': lambda s: 1 if s < -60 else None}


@pytest.fixture
def launched(stage, lab):  # noqa: F811
    def make(text=PLAN, *args):
        s = stage(1, *args)
        s.prometheus.values.update(left_ratio=0.9)
        s.plan = plan(lab, text)
        s.start()
        return s
    return make


def report(lab, *more):
    said = lab.flagctl("release", "report", "demo", "--json", *more)
    assert said.code == 0, said
    return said.json


def watch(lab, directory, *more):
    return subprocess.Popen([BUILD / "flagctl", "release", "watch", "demo", "--primary", lab.url, "--reports", directory, *more],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_env(HOME=lab.dir))


def test_reports_come_by_themselves_and_can_be_made_again(launched, lab):
    history, told = History(lab, "history", good()), Receiver()
    there = lab.dir / "reports"
    there.mkdir()
    s = launched(PLAN + "sinks: [{name: team, url_ref: ops}]\n", "--notify", f"ops=json:{secret(lab, 'url', told.port, 'a-key-that-signs')}")
    first = watch(lab, there, "--prometheus", history.url)
    early = lab.flagctl("release", "report", "demo", "--at", "3s")
    assert early.code == 3 and "has not lasted so long" in early.err
    assert report(lab, "--prometheus", history.url, "--at", s.status()["started"])["comparison"]["result"] == "no-watch"
    files = lambda: sorted(f.name for f in there.iterdir())
    wait_until(lambda: files() == ["demo-1-1s.json", "demo-1-1s.md"], 60000, what="the first report")
    first.kill()
    first.communicate(timeout=20)
    kept = (there / "demo-1-1s.json").read_text()
    lab.ok("kill", "a.enabled", env="production", *["--author", "olga"])
    time.sleep(1.2)
    lab.ok("restore", "a.enabled", "--author", "omar", env="production")
    lab.ok("drill", "kill", env="production")
    lab.ok("release", "note", "demo", "-m", "a customer likes it", "--author", "sue")
    s.wait("live", 4)
    heard = lambda: [line for e in told.taken() if e["event"] == "release" for line in e["text"] if line.startswith("watched for")]
    wait_until(lambda: len(heard()) == 3, what="the sink has heard of the last report before anybody signs")
    lab.ok("release", "sign", "demo", "boss", "--yes", "--author", "rita")
    s.wait("completed")
    again = watch(lab, there, "--prometheus", history.url)
    assert again.wait(60) == 0, again.communicate()
    assert files() == sorted(f"demo-1-{name}.{end}" for name in ("1s", "2s", "3s", "end") for end in ("json", "md"))
    assert (there / "demo-1-1s.json").read_text() == kept, "what was there stays"

    head = lambda r: [r["envs"].pop(0)] and r  # the log has gone on since
    for name in ("1s", "2s", "3s"):
        written = json.loads((there / f"demo-1-{name}.json").read_text())
        assert head(report(lab, "--prometheus", history.url, "--at", name)) == head(written), name
        assert written["report"] == name and written["ended"] in (None, written["at"]) and written["on_duty"]["who"] == "olga"
        assert [r["name"] for r in written["watch"]["reports"] if r["due"]] == [n for n in ("1s", "2s", "3s") if n <= name]
    assert json.loads(kept)["overrides"] == json.loads(kept)["drills"] == json.loads(kept)["notes"] == []
    end = json.loads((there / "demo-1-end.json").read_text())
    has(end, {"release": "demo", "id": 1, "state": "completed", "started": TIME, "ended": TIME, "at": TIME, "abort": None})
    assert [(o["flag"], o["killed_by"], o["restored_by"]) for o in end["overrides"]] == [("a.enabled", "olga", "omar")]
    assert 600 < end["overrides"][0]["ms"] < 30000
    assert [(d["drill"], d["env"]) for d in end["drills"]] == [("kill", "production")] and [n["text"] for n in end["notes"]] == ["a customer likes it"]
    stood = [x for x in end["still"] if "unheld" in x["for"]]
    assert len(stood) == 1 and stood[0]["why"] == "flag a.enabled to be restored in production" and stood[0]["ms"] > 500
    assert all(x["stood_ms"] >= 0 and x["moved_ms"] >= 600 for x in end["steps"]) and [x["step"] for x in end["steps"]] == [1, 2, 3, 4]
    last = json.loads(lab.flagctl("audit", "export", "--env", "production").out.splitlines()[-1])
    assert (end["envs"][0]["head"], end["envs"][0]["hash"]) == (last["version"], last["hash"])
    assert (there / "demo-1-2s.md").read_text().startswith("# Release demo: watched for 2s\n")
    text = (there / "demo-1-end.md").read_text()
    for line in ("# Release demo: completed", "## Baseline: met", "a.enabled in production was killed by olga, and restored by omar after",
                 "a customer likes it", "kill in production, v", "## On duty"):
        assert line in text, line
    for wrong, why in (("9s", "reports at 1s, 2s, 3s"), ("tomorrow", "reports at 1s, 2s, 3s")):
        said = lab.flagctl("release", "report", "demo", "--at", wrong)
        assert said.code == 2 and why in said.err, said
    assert "had not started" in lab.flagctl("release", "report", "demo", "--at", "2020-01-01T00:00:00Z").err
    assert lab.flagctl("release", "watch", "demo", "--reports", there, "--prometheus", "nowhere").code == 2
    said = lab.flagctl("release", "watch", "demo", "--reports", there / "not")
    assert said.code == 2 and "no directory" in said.err
    assert heard() == [f"watched for {name}: its report is flagctl release report demo --at {name}" for name in ("1s", "2s", "3s")]
    told.close()
    the_watch_beside_the_same_hours_before_the_launch(lab, history)


def the_watch_beside_the_same_hours_before_the_launch(lab, history):
    empty = History(lab, "empty", {})
    whole = report(lab, "--prometheus", history.url)
    compared = whole["comparison"]
    assert compared["result"] == "compared" and compared["baseline"] == "met" and compared["days"] == 1 and compared["step_ms"] == 200
    at = lambda text: time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    for end in ("from", "to"):
        assert at(compared["watch"][end]) - at(compared["before"][end]) == DAY
    assert compared["watch"] == {"from": whole["watch"]["began"], "to": whole["ended"]} and compared["before"]["to"] < whole["started"]
    guards = {g["guard"]: g for g in compared["guards"]}
    assert {name: g["baseline"] for name, g in guards.items()} == {"control": "not-watched", "errors": "met", "freshness": "met", "headroom": "met"}
    errors = guards["errors"]
    assert errors["title"] == "Share that fails" and errors["pass"] == "<= 0.02"
    for name in ("min", "mean", "p95", "max"):
        assert errors["watch"][name] == pytest.approx(0.012)
    assert errors["watch"]["points"] == errors["watch"]["with_data"] == errors["watch"]["kept"] >= 15
    assert 0.001 <= errors["before"]["min"] < errors["before"]["mean"] < errors["before"]["max"] <= 0.01
    assert guards["headroom"]["is_floor"] and guards["headroom"]["watch"]["min"] == 0.35 and guards["headroom"]["before"]["max"] == 0.8
    assert guards["control"]["watch"]["with_data"] == 0 and guards["control"]["watch"]["why"] == "no data"
    fired = whole["fired"]
    assert fired["result"] == "asked" and [(a["alert"], a["labels"], a["still"]) for a in fired["alerts"]] == [("Slow", {"env": "production"}, True)]
    text = lab.flagctl("release", "report", "demo", "--prometheus", history.url).out
    for line in (r"## Baseline: met", r"and the same hours 1 day earlier", r"\| errors \| watch \| met \| 0.012 \| 0.012 \| 0.012 \| 0.012 \| 100.0 % \| 100.0 % \|",
                 r"\| control \| watch \| not asked by the watch \| - \| - \| - \| - \| 0.0 % \| 0.0 % \|",
                 r"Least headroom, headroom \(What GitHub leaves us, to be >= 0.2\): 0.35 at 20", r'fired: Slow\{env="production"\}, for .*, still'):
        assert re.search(line, text), (line, text)

    nothing = report(lab, "--prometheus", empty.url)
    assert nothing["comparison"]["baseline"] == "unknown" and nothing["fired"]["alerts"] == []
    assert {g["baseline"] for g in nothing["comparison"]["guards"]} == {"unknown", "not-watched"}
    settings = lab.dir / ".config/hoist/flagctl.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"prometheus: {history.url}\n")
    assert report(lab)["comparison"] == compared, "as the units in deploy/ say whom to ask"
    settings.unlink()
    empty.process.kill()
    away = report(lab, "--prometheus", empty.url)
    assert away["comparison"]["baseline"] == "unknown" and away["fired"]["result"] == "no-answer"
    assert all("does Prometheus run" in g[when]["why"] for g in away["comparison"]["guards"] for when in ("watch", "before"))
    assert "does Prometheus run" in lab.flagctl("release", "report", "demo", "--prometheus", empty.url).out
    plain = lab.flagctl("release", "report", "demo").out
    assert "## Baseline: not compared" in plain and "--prometheus URL" in plain
    assert report(lab)["comparison"]["result"] == "not-asked"
    for url, why in ("prometheus:9090", "no URL"), ("http://prometheus:9090", "--insecure"):
        said = lab.flagctl("release", "report", "demo", "--prometheus", url)
        assert said.code == 2 and why in said.err

    what_is_missing_is_unknown_and_never_met(lab)


def what_is_missing_is_unknown_and_never_met(lab):
    share = lambda n, value, other: lambda times: [[value if i * 100 < n * len(times) else other for i in range(len(times))]]
    cases = {"all keep it": (share(100, 0.01, None), "met"), "one of 25 has no data": (share(96, 0.01, None), "met"),
             "a tenth has no data": (share(90, 0.01, None), "unknown"), "a tenth breaks it": (share(90, 0.01, 0.5), "not-met"),
             "one of 25 breaks it": (share(96, 0.01, 0.5), "met"), "half is NaN": (share(50, 0.01, "NaN"), "unknown"),
             "half is Inf": (share(50, 0.01, "+Inf"), "unknown"), "two series": (lambda t: [[0.01] * len(t)] * 2, "unknown"),
             "two series, one after the other": (lambda t: [[0.01 if i % 2 else None for i in range(len(t))], [None if i % 2 else 0.01 for i in range(len(t))]], "met"),
             "no matrix": (lambda t: '{"status":"success","data":{"resultType":"vector","result":[]}}', "unknown"),
             "cut short": (lambda t: '{"status":"success","data":{"resultType":"matr', "unknown"), "an error": (lambda t: '{"status":"error","error":"no"}', "unknown"),
             "odd series": (lambda t: '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1]]}]}}', "unknown"),
             "warnings": (lambda t: '{"status":"success","warnings":["a store is away"],"data":{"resultType":"matrix","result":[]}}', "unknown")}
    now = {}
    stub = Stub(lambda query, times: now["answer"](times) if "errors_total" in query else [] if "ALERTS" in query else [[1] * len(times)])
    for case, (answer, verdict) in cases.items():
        now["answer"] = answer
        compared = report(lab, "--prometheus", stub.url)["comparison"]
        guards = {g["guard"]: g for g in compared["guards"]}
        assert guards["errors"]["baseline"] == compared["baseline"] == verdict, (case, guards["errors"])
        assert guards["freshness"]["baseline"] == guards["headroom"]["baseline"] == "met"
        assert verdict != "unknown" or guards["errors"]["watch"]["with_data"] or guards["errors"]["watch"]["why"], case
    path, form = stub.asked[0]
    assert path == "/api/v1/query_range" and float(form["step"]) == 0.2
    assert float(form["end"]) - float(form["start"]) > 2.9
    stub.server.shutdown()


def test_how_long_each_part_of_the_way_back_took(launched, lab):
    token = lab.file("token", "s3cret\n")
    token.chmod(0o600)
    s = launched(PLAN, "--webhook-token-file", str(token))
    s.wait("live", 2)
    s.prometheus.values.update(errors_total=0.1)
    s.wait("rolled_back")
    back = report(lab)["abort"]
    has(back, {"cause": str, "well": TIME, "failing": TIME, "decided": TIME, "converged": TIME})
    assert "guard errors: FAIL 3 times in a row" in back["cause"]
    assert back["well"] < back["failing"] < back["decided"] <= back["converged"]
    assert 0 < back["detect_ms"] < 20000 and 300 < back["decide_ms"] < 20000 and 0 <= back["converge_ms"] < 20000
    text = lab.flagctl("release", "report", "demo").out
    assert "| last well |" in text and "| decided |" in text and "| every live host had the baseline |" in text
    there = lab.dir / "reports"
    there.mkdir()
    ended = watch(lab, there)
    assert ended.wait(60) == 11
    assert sorted(f.name for f in there.iterdir()) == ["demo-1-end.json", "demo-1-end.md"]

    s.prometheus.values.update(errors_total=0.0)
    s.start()
    s.wait("live", 2)
    burning = {'ALERTS{alertname="Burning",alertstate="firing"}': lambda at: 1 if at >= 0 else None}
    fires = History(lab, "fires", burning, days=(0,))
    body = {"version": "4", "alerts": [{"status": "firing", "fingerprint": "f", "startsAt": "2026-01-01T00:00:00Z", "labels": {"alertname": "Burning"}}]}
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{s.primary.http}/hooks/alertmanager", json.dumps(body).encode(), {
        "Authorization": "Bearer s3cret", "Content-Type": "application/json"}), timeout=10).close()
    s.wait("rolled_back")
    alert = report(lab, "--prometheus", fires.url)
    has(alert["abort"], {"cause": "alert Burning", "well": None, "detect_ms": None, "decide_ms": int, "converge_ms": int})
    assert alert["abort"]["failing"] == alert["fired"]["alerts"][0]["from"] and 0 < alert["abort"]["decide_ms"] < 60000
    assert [e["text"] for e in alert["alerts"]] == ["Burning"] and report(lab)["abort"]["failing"] is None

    s.start()
    s.wait("live", 2)
    lab.ok("release", "abort", "demo", "-m", "it burns", "--author", "olga")
    s.wait("rolled_back")
    hand = report(lab, "--prometheus", fires.url)
    assert hand["id"] == 3 and hand["abort"]["cause"] == "olga: it burns" and hand["abort"]["detect_ms"] is hand["abort"]["decide_ms"] is None
    assert hand["abort"]["converge_ms"] >= 0 and [e["event"] for e in hand["interventions"]] == ["aborted"]
    assert [a["alert"] for a in hand["fired"]["alerts"]] == ["Burning"]


def test_status_says_who_is_on_duty(launched, lab):
    now = time.time()
    s = launched(PLAN.replace("{from: FROM, to: UNTIL, who: olga}, {from: UNTIL, to: 2999-01-01T00:00:00Z, who: omar}",
                              f"{{from: {moment(now - 7200)}, to: {moment(now - 3600)}, who: olga}}"))
    s.wait("live", 2)
    said = lab.flagctl("release", "status", "demo")
    assert "on duty: nobody, by the plan's coverage" in said.out and s.status()["on_duty"] is None
    assert "On duty: nobody" in lab.flagctl("release", "report", "demo").out
    lab.ok("release", "abort", "demo", "-m", "that was all")
    s.wait("rolled_back")
    s.plan = plan(lab)
    s.start()
    has(s.status()["on_duty"], {"who": "olga", "from": TIME, "to": TIME})
    assert "on duty: olga, until 20" in lab.flagctl("release", "status", "demo").out
