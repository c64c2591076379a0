"""Real OpenFeature SDKs against a real agent, and what docs/openfeature.md says to type."""
import contextlib
import http.server
import json
import re
import shutil
import subprocess
import threading

import pytest

from hoist import BUILD, NODE, SOAK, TOP, clean_env, free_port, needs_npm, wait_until

BOOL = {"on": True, "off": False}
FLAGS = {"flags": {
    "sync.enabled": {"state": "ENABLED", "variants": BOOL, "defaultVariant": "on", "metadata": {"owner": "marketplace"}},
    "price": {"state": "ENABLED", "variants": {"low": 1.5, "high": 2}, "defaultVariant": "low",
              "targeting": {"if": [{"==": [{"var": "plan"}, "pro"]}, "high", None]}},
    "a/b c": {"state": "ENABLED", "variants": {"x": "täxt"}, "defaultVariant": "x"},
    "limits": {"state": "ENABLED", "variants": {"x": {"rate": 7, "hosts": ["a"]}}, "defaultVariant": "x"},
    "share": {"state": "ENABLED", "variants": BOOL, "defaultVariant": "off", "targeting": {"fractional": [["on", 100], ["off", 0]]}},
    "switched.off": {"state": "DISABLED", "variants": BOOL, "defaultVariant": "off"},
}}


@pytest.fixture
def site(lab):
    lab.primary()
    lab.ok("import", lab.file("flags.json", FLAGS))
    lab.tokens = lab.secret("tokens", "first\n")
    return lab


def node(lab, script, url, name="node"):
    """A node program that finds the packages: they are looked for from where it stands."""
    place = shutil.copytree(TOP / "tests/node", NODE / f"run-{free_port()}", ignore=shutil.ignore_patterns("package.json"))
    return lab.process(["node", place / script, url], name, cwd=place)


def lines(p):
    return p.text().splitlines()


@needs_npm
def test_the_server_sdk(site):
    agent = site.agent("--http-token-file", site.tokens)
    p = node(site, "ofrep_server.mjs", f"http://127.0.0.1:{agent.http}")
    wait_until(lambda: len(lines(p)) >= 10 or not p.alive())
    got = [json.loads(line) for line in lines(p)[:10]]
    assert [(d["flagKey"], d["value"], d.get("reason"), d.get("variant"), d.get("errorCode")) for d in got] == [
        ("sync.enabled", True, "STATIC", "on", None),
        ("price", 2, "TARGETING_MATCH", "high", None),
        ("price", 1.5, "DEFAULT", "low", None),
        ("a/b c", "täxt", "STATIC", "x", None),
        ("limits", {"rate": 7, "hosts": ["a"]}, "STATIC", "x", None),
        ("share", True, "TARGETING_MATCH", "on", None),
        ("no.such.flag", True, "ERROR", None, "FLAG_NOT_FOUND"),
        ("sync.enabled", "fallback", "ERROR", None, "TYPE_MISMATCH"),
        # This provider is older than OFREP's answers without a value, and calls them an error; the value is right.
        ("switched.off", True, "ERROR", None, "GENERAL"),
        ("sync.enabled", True, "STATIC", "on", None)], p.text()
    assert got[0]["flagMetadata"] == {"owner": "marketplace"}
    site.ok("set", "sync.enabled", "off")
    wait_until(lambda: lines(p)[-1] == "changed")
    assert p.p.wait(20) == 0


@needs_npm
def test_the_web_sdk_follows_the_event_stream(site):
    agent = site.agent("--http-token-file", site.tokens)
    p = node(site, "ofrep_web.mjs", f"http://127.0.0.1:{agent.http}")
    wait_until(lambda: lines(p) == ["true 2"] or not p.alive())
    assert p.alive(), p.text()
    wait_until(lambda: agent.metric("hoist_ofrep_streams") == 1)
    site.ok("set", "sync.enabled", "off")
    wait_until(lambda: lines(p) == ["true 2", "false 2"])
    agent.stop()  # the stream ends; it comes back, and what was missed is fetched
    agent.again()
    site.ok("set", "sync.enabled", "on")
    wait_until(lambda: lines(p) == ["true 2", "false 2", "true 2"], 60000)


# ---------------------------------------------------------------- docs/openfeature.md

PAGE = (TOP / "docs/openfeature.md").read_text()


def blocks(language, port):
    """What the page has in that language, for this agent instead of the one at the default port."""
    return [b.replace("127.0.0.1:8016", f"127.0.0.1:{port}") for b in re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)]


def run_snippet(lab, text, name):
    place = NODE / f"run-{free_port()}"
    place.mkdir()
    shutil.copy(TOP / "tests/node/event_source.mjs", place)
    (place / "snippet.mjs").write_text(text)
    return lab.process(["node", "--import", place / "event_source.mjs", place / "snippet.mjs"], name, cwd=place)


def test_the_pages_commands(site):
    agent = site.agent()
    (commands,) = blocks("sh", agent.http)
    done = [subprocess.run(["sh", "-c", line], env=clean_env(), capture_output=True, text=True, timeout=30)
            for line in commands.splitlines()]
    assert done[0].stdout.strip() == blocks("json", agent.http)[0].strip()
    assert [f["key"] for f in json.loads(done[1].stdout)["flags"]] == sorted(FLAGS["flags"])
    assert json.loads(done[2].stdout)["value"] is True
    assert "refetchEvaluation" in done[3].stdout
    assert [d.returncode for d in done] == [0, 0, 0, 28]  # the last one ends by its time limit


@needs_npm
def test_the_pages_snippets(site):
    agent = site.agent()
    server, web = blocks("js", agent.http)
    p = run_snippet(site, server, "server")
    assert p.p.wait(30) == 0 and lines(p) == ["true", "2"], p.text()
    p = run_snippet(site, web, "web")
    wait_until(lambda: lines(p) == ["true"])
    wait_until(lambda: agent.metric("hoist_ofrep_streams") == 1)
    site.ok("set", "sync.enabled", "off")
    wait_until(lambda: lines(p)[-1] == "false")


def test_the_page_tells_of_every_option_and_metric(site):
    agent = site.agent()
    for name in re.findall(r"^# TYPE (hoist_(?:ofrep|http|auth)_\w+)", agent.get("/metrics"), re.M):
        assert name in PAGE, name
    shown = subprocess.run([BUILD / "hoistd", "agent", "--help"], capture_output=True, text=True, timeout=10).stdout
    for option in ("--context", "--context-from-header", "--cors-origin", "--http-token-file"):
        assert option in shown and option in PAGE


@contextlib.contextmanager
def page_server():
    """Serves tests/node/page.html and the packages it imports; what the page says is in `said`."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path):
            path = path.partition("?")[0]
            module = path.removeprefix("/modules/")
            return str(TOP / "tests/node/page.html" if path == "/" else NODE / "node_modules" / module)

        def do_POST(self):
            server.said.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.said, server.origin = [], f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@needs_npm
@pytest.mark.skipif(not SOAK, reason="takes a browser")
def test_soak_a_page_in_a_browser_follows_the_event_stream(site):
    with page_server() as server:
        agent = site.agent("--cors-origin", server.origin)
        site.process(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={site.dir}/browser",
                      f"{server.origin}/?agent=http://127.0.0.1:{agent.http}"], "browser", env=clean_env(HOME=site.dir))
        wait_until(lambda: server.said == ["true 2"], what="the page reads its flags")
        wait_until(lambda: agent.metric("hoist_ofrep_streams") == 1)
        site.ok("set", "sync.enabled", "off")
        wait_until(lambda: server.said[-1] == "false 2", what="the page is told of the change")
        site.ok("kill", "price", "--variant", "low")
        wait_until(lambda: server.said[-1] == "false 1.5")
