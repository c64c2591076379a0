"""Guards over a real Prometheus: those of the marketplace's plan on its own stack, and questions that have no answer."""
import base64
import contextlib
import http.server
import json
import re
import threading
import time
import urllib.parse
import urllib.request

import pytest

from hoist import BUILD, TOP, Process, free_port, wait_until
from test_json import has
from test_marketplace import Site
from test_release import pytestmark as with_programs, stage  # noqa: F401

PLAN = TOP / "examples/marketplace/release.yaml"
GUARDS = ["api_error_ratio", "api_p99_against_control", "error_log_rate", "freshness", "github_headroom", "github_secondary_limits",
          "sync_failure_ratio"]


class Prometheus:
    """One that looks at `targets`, job to ports, each half second."""

    def __init__(self, lab, **targets):
        self.port, here = free_port(), lab.dir / "prometheus"
        here.mkdir()
        jobs = [{"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]} for job, ports in targets.items()]
        (here / "prometheus.yml").write_text(json.dumps({"global": {"scrape_interval": "500ms"}, "scrape_configs": jobs}))
        self.process = lab.process(["prometheus", f"--config.file={here}/prometheus.yml", f"--storage.tsdb.path={here}/data",
                                    f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], "prometheus")
        self.url = f"http://127.0.0.1:{self.port}"
        wait_until(lambda: self.value("sum(up)") == sum(map(len, targets.values())), 60000, what="Prometheus sees all targets")

    def value(self, query):
        with urllib.request.urlopen(f"{self.url}/api/v1/query?query={urllib.parse.quote(query)}", timeout=10) as answer:
            return float(json.load(answer)["data"]["result"][0]["value"][1])


def ask(lab, url, plan=PLAN, *more, verb="guards"):
    """The answer of flagctl, and its guards by name."""
    said = lab.flagctl("release", verb, plan, "--prometheus", url, "--json", *more)
    assert said.code in (0, 4), said
    return said, {guard["name"]: guard for guard in said.json["guards"]}


def verdicts(guards):
    return {name: guard["verdict"] for name, guard in guards.items()}


def with_queries(lab, *queries):
    """The plan, its guards asking this, in the order of the file; without the last one no plan is taken, so that stays."""
    left = iter(queries)
    text, count = re.subn(r"    query: (?:>-\n(?:      .*\n)+|.*\n)", lambda _: f"    query: '{next(left)}'\n", PLAN.read_text(), count=6)
    assert count == len(queries) == len(GUARDS) - 1
    return lab.file("plan.yaml", text)


def test_the_marketplace_s_guards_on_a_live_stack(lab):
    token = lab.file("token", "of-somebody-with-5000-requests-an-hour\n")
    site = Site(lab, service=("--token-file", token)).on()
    prometheus = Prometheus(lab, marketplace=[site.service.port], hoistd=[site.primary.http])
    site.service.sync("success")
    # Too little has happened for a share of it: below the floor there is no answer.
    first = {**dict.fromkeys(GUARDS, "PASS"), **dict.fromkeys(["api_error_ratio", "api_p99_against_control", "sync_failure_ratio"], "NODATA")}
    wait_until(lambda: verdicts(ask(lab, prometheus.url)[1]) == first, what="all that needs no floor passes")
    said, guards = ask(lab, prometheus.url)
    assert said.code == 4 and said.json["result"] == "not-met" and list(guards) == GUARDS
    has(guards["api_error_ratio"], {"pass": "<= 0.01", "critical": None, "mode": "abort", "is_critical": False, "value": None, "query": str})
    assert "no series" in guards["api_error_ratio"]["why"]
    assert guards["error_log_rate"]["mode"] == "hold" and guards["freshness"]["value"] < 30 and guards["freshness"]["why"] is None

    for _ in range(70):
        site.service.ask("/api/v1/listings")
    for _ in range(25):
        site.service.sync("success")
    lab.ok("kill", "marketplace.enabled")
    wait_until(lambda: site.service.total() == 0)
    for _ in range(70):
        site.service.ask("/api/v1/listings")
    wait_until(lambda: "NODATA" not in verdicts(ask(lab, prometheus.url)[1]).values(), what="all guards have an answer")
    guards = ask(lab, prometheus.url)[1]
    compared = guards.pop("api_p99_against_control")
    assert compared["value"] > 0 and compared["verdict"] == ("PASS" if compared["value"] <= 1.25 else "FAIL")
    assert set(verdicts(guards).values()) == {"PASS"}

    lab.ok("restore", "marketplace.enabled")
    site.stub.mode("secondary", status=429, retry_after=0)
    site.service.ask("/api/v1/sync", "POST")
    wait_until(lambda: verdicts(ask(lab, prometheus.url)[1])["github_secondary_limits"] == "FAIL", what="GitHub's limit is seen")
    shown = lab.flagctl("release", "plan", PLAN, "--prometheus", prometheus.url)
    assert shown.code == 0 and len(re.findall(r"^      now (?:\w+)  ", shown.out, re.M)) == len(GUARDS)
    assert re.search(r"github_secondary_limits .*\n.*\n      now (FAIL|CRITICAL)  \d", shown.out)

    site.service.kill()
    wait_until(lambda: verdicts(ask(lab, prometheus.url)[1])["freshness"] == "NODATA", what="the service is missed")
    prometheus.process.kill()
    said, guards = ask(lab, prometheus.url)
    assert said.code == 4 and set(verdicts(guards).values()) == {"ERROR"}
    assert "does Prometheus run" in guards["freshness"]["why"]


def test_what_is_no_one_sample_is_no_answer(lab):
    primary, agent = lab.primary(), lab.agent()
    prometheus = Prometheus(lab, hoistd=[primary.http, agent.http])
    strange = {"1": ("ERROR", "a scalar"), "up[1m]": ("ERROR", "a matrix"), '"text"': ("ERROR", "a string"),
               "vector(0) / 0": ("NODATA", "NaN"), "vector(1) / 0": ("NODATA", "+Inf"), "up": ("NODATA", "2 series"),
               "nobody_has_this": ("NODATA", "no series"), "rate(up)": ("ERROR", "refuses the query (status 400)"),
               "up * on () up": ("ERROR", "refuses the query (status 422)"), "vector(1e300) * 1e300": ("NODATA", "+Inf"),
               "-vector(1e300) * 1e300": ("NODATA", "-Inf"), 'up{job="elsewhere"}': ("NODATA", "no series")}
    asked, seen = list(strange), {}
    for some in asked[:6], asked[6:]:
        plan = with_queries(lab, *some)
        seen |= {guard["query"]: guard for guard in ask(lab, prometheus.url, plan)[1].values() if guard["name"] != "freshness"}
    assert seen.keys() == strange.keys()
    for query, (verdict, why) in strange.items():
        guard = seen[query]
        assert guard["verdict"] == verdict and why in guard["why"] and guard["value"] is None, (query, guard)
    plan = with_queries(lab, "sum(up)", *asked[:5])
    assert [g["value"] for g in ask(lab, prometheus.url, plan)[1].values() if g["query"] == "sum(up)"] == [2]


def test_a_primary_is_not_needed_and_a_prometheus_is(lab):
    said = lab.flagctl("release", "guards", PLAN, "--json")
    assert said.code == 2 and "--prometheus" in said.error["mend"]
    for url, why in ("prometheus:9090", "no URL"), ("http://prometheus:9090", "--insecure"), ("http://a:b@127.0.0.1", "--prometheus-user-file"):
        said = lab.flagctl("release", "guards", PLAN, "--prometheus", url, "--json")
        assert said.code == 2 and why in said.error["message"]
        assert lab.flagctl("release", "plan", PLAN, "--prometheus", url).code == 2
    said = lab.flagctl("release", "guards", PLAN, "--prometheus", "http://127.0.0.1:1", "--prometheus-timeout", "soon", "--json")
    assert said.code == 2 and "--prometheus-timeout" in said.error["message"]


@with_programs
def test_a_primary_asks_as_flagctl_does_and_logs_once_why_there_is_no_answer(stage, lab):  # noqa: F811
    user = lab.file("user", "scraper:hush-hush\n")
    user.chmod(0o600)
    s = stage(1, "--prometheus-user-file", user, "--prometheus-timeout", "700ms")
    s.start()
    s.sign()
    s.wait("live", 2)
    lab.ok("release", "hold", "demo", "-m", "while the log is read", "--author", "rita")
    told = lambda why: [line for line in s.primary.text().splitlines() if "release demo, guard errors: " + why in line]
    passes = lambda: wait_until(lambda: any(g["guard"] == "errors" and g["verdict"] == "PASS" for g in s.status()["guards"]))
    passes()
    assert s.prometheus.asked_by == "Basic " + base64.b64encode(b"scraper:hush-hush").decode()
    s.prometheus.values["errors_total"] = None
    wait_until(lambda: told("NODATA: no series"), what="the log says why there is no data")
    s.prometheus.values["errors_total"] = 0.0
    passes()
    s.prometheus.slow_s = 2
    wait_until(lambda: told("ERROR: no whole answer within 700 ms"), what="the log says what was waited for")
    rounds = lambda: len(lab.flagctl("release", "log", "demo", "--ticks").out.splitlines())
    after = rounds() + 3
    wait_until(lambda: rounds() >= after, what="some rounds more")
    assert len(told("NODATA")) == len(told("ERROR")) == 1
    shown = s.primary.shown()
    assert "hush-hush" not in shown and base64.b64encode(b"scraper:hush-hush").decode() not in shown


def test_what_a_primary_is_not_given_whole_it_names(lab):
    for n, (words, why) in enumerate([
            (["--prometheus-cert", "x.pem"], "--prometheus URL is missing"),
            (["--prometheus", "http://127.0.0.1:1", "--prometheus-cert", "x.pem"], "--prometheus-cert and --prometheus-key belong together"),
            (["--prometheus", "http://127.0.0.1:1", "--prometheus-key", "x.key"], "--prometheus-cert and --prometheus-key belong together"),
            (["--prometheus", "http://127.0.0.1:1", "--prometheus-user-file", lab.dir / "none"], "--prometheus-user-file"),
            (["--prometheus", "http://127.0.0.1:1", "--prometheus-timeout", "soon"], "--prometheus-timeout soon"),
            (["--prometheus", "http://127.0.0.1:1", "--prometheus-timeout", "61s"], "at most 1m")]):
        p = Process([BUILD / "hoistd", "primary", "--store", lab.dir / f"p{n}", "--http", "off", *words], lab.dir / f"p{n}.log")
        assert p.p.wait(20) != 0 and why in p.text(), (words, p.text())


@contextlib.contextmanager
def liar(answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            with contextlib.suppress(OSError):
                answer(self)

        def log_message(self, *_):
            pass
    class Server(http.server.ThreadingHTTPServer):
        daemon_threads, request_queue_size = True, 64  # all guards are asked at once
    server = Server(("127.0.0.1", free_port()), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def say(body, status=200, **headers):
    def answer(handler):
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body() if callable(body) else body)
    return answer


def vector(*samples):
    return lambda: json.dumps({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {}, "value": [time.time(), value]} for value in samples]}}).encode()


def test_the_token_for_a_prometheus_is_sent_and_not_shown(lab):
    seen = []
    def answer(handler):
        seen.append(handler.headers["Authorization"])
        say(b"Bearer hush-token is wrong", 401)(handler)
    token = lab.secret("token", "hush-token\n")
    with liar(answer) as url:
        for more in [], ["--json"]:
            said = lab.flagctl("release", "guards", PLAN, "--prometheus", url, "--prometheus-token-file", token, *more, HOIST_LOG="debug")
            assert said.code == 4 and "401" in said.out and "hush-token" not in said.out + said.err
    assert set(seen) == {"Bearer hush-token"}


def slowly(handler):
    time.sleep(30)


LIES = {"empty": (say(vector()), "NODATA"), "NaN": (say(vector("NaN")), "NODATA"), "+Inf": (say(vector("+Inf")), "NODATA"),
        "two series": (say(vector("0.001", "0.001")), "NODATA"), "503": (say(b"", 503), "ERROR"), "slow": (slowly, "ERROR"),
        "truncated": (say(lambda: vector("0.001")()[:-3]), "ERROR"), "10 MB": (say(b" " * 10_000_000), "ERROR"),
        "status:error": (say(b'{"status":"error","errorType":"timeout","error":"query timed out"}'), "ERROR"),
        "redirect": (say(b"", 302, Location="/"), "ERROR"), "html": (say(b"<html>", Content_Type="text/html"), "ERROR"),
        "stale": (say(json.dumps({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {}, "value": [time.time() - 600, "0.001"]}]}}).encode()), "NODATA")}


@pytest.mark.parametrize("lie", LIES)
def test_a_prometheus_that_lies_lets_no_guard_pass(lab, lie):
    answer, verdict = LIES[lie]
    with liar(answer) as url:
        said, guards = ask(lab, url, PLAN, *(["--prometheus-timeout", "1s"] if lie == "slow" else []))
    assert said.code == 4 and verdicts(guards) == dict.fromkeys(GUARDS, verdict)
    assert all(guard["why"] and guard["value"] is None for guard in guards.values())
