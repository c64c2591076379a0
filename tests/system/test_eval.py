"""eval: what somebody gets, now and then, and why."""
import http.server
import json
import threading
import time

import pytest

RULES = {"flags": {
    "sync": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off",
             "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "on",
                                  {"fractional": [["on", 10], ["off", 90]]}]},
             "metadata": {"owner": "web"}},
    "page.size": {"state": "ENABLED", "variants": {"small": 10, "big": 50}, "defaultVariant": "small",
                  "requires": {"flags": {"sync": "on"}, "otherwise": "small"},
                  "targeting": {"if": [{"==": [{"var": "$hoist.labels.ring"}, "canary"]}, "big"]}}}}
ANA = json.dumps({"email": "ana@example.com", "targetingKey": "ana"})


def refused(lab, code, *args, says):
    answer = lab.flagctl(*args)
    assert answer.code == code and says in answer.err, (args, answer)


def test_the_primary_and_a_host_answer_alike_but_for_the_host_itself(lab):
    lab.primary()
    canary = lab.agent("--label", "ring=canary", name="canary")
    lab.ok("import", lab.file("rules.json", RULES), "--wait")
    for source in (["--primary", lab.url], ["--store", str(canary.store)]):
        answer = lab.ok("eval", "sync", "--context", ANA, *source)
        assert {k: answer[k] for k in ("key", "reason", "variant", "value", "metadata", "env", "version")} == {
            "key": "sync", "reason": "TARGETING_MATCH", "variant": "on", "value": True, "metadata": {"owner": "web"},
            "env": "production", "version": 2}
    assert lab.ok("eval", "page.size", "--context", ANA)["reason"] == "DEFAULT"
    big = lab.ok("eval", "page.size", "--context", ANA, "--store", canary.store)
    assert (big["reason"], big["value"]) == ("TARGETING_MATCH", 50)
    nobody = lab.ok("eval", "page.size", "--store", canary.store)
    assert (nobody["reason"], nobody["value"]) == ("DEFAULT", 10)


def test_what_somebody_got_then(lab):
    lab.primary()
    lab.ok("import", lab.file("rules.json", RULES))
    time.sleep(1.1)  # the time that is asked about is of whole seconds
    then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    time.sleep(1.1)
    lab.ok("set", "sync", "off", "--everyone")
    assert lab.ok("eval", "sync", "--context", ANA)["variant"] == "off"
    assert lab.ok("eval", "sync", "--context", ANA, "--at", "2")["variant"] == "on"
    assert lab.ok("eval", "sync", "--context", ANA, "--time", then)["version"] == 2
    refused(lab, 2, "eval", "sync", "--time", "7d", says="is not known")
    refused(lab, 2, "eval", "sync", "--time", "yesterday", says="is neither")
    refused(lab, 2, "eval", "sync", "--at", "99", says="from 1 to 3")
    refused(lab, 2, "eval", "sync", "--at", "2", "--time", then, says="not both")


def test_an_explanation_shows_what_was_compared(lab):
    lab.primary()
    lab.ok("import", lab.file("rules.json", RULES))
    steps = lab.ok("eval", "sync", "--context", '{"email": "b@x.org", "targetingKey": "bob"}', "--explain")["explanation"]
    assert steps[0].strip() == '{"var":"email"} is "b@x.org"'
    assert steps[1].strip() == '{"ends_with":["b@x.org","@example.com"]} is false'
    assert steps[2].strip().startswith('"syncbob" falls on ') and steps[2].endswith(" of 0 to 99")
    assert steps[-1].startswith('{"if":') and steps[-1].endswith(('is "on"', 'is "off"'))
    done = lab.flagctl("eval", "sync", "--context", ANA, "--explain")
    first, rest = done.out.split("\n", 1)
    assert json.loads(first)["variant"] == "on" and '{"ends_with":["ana@example.com","@example.com"]} is true' in rest


def test_is_takes_a_context(lab):
    lab.primary()
    lab.ok("import", lab.file("rules.json", RULES))
    assert lab.flagctl("is", "sync", "--context", ANA).code == 0
    assert lab.flagctl("is", "sync").code == 1
    refused(lab, 2, "is", "sync", "--context", "[]", says="no object")


def test_what_is_wrong_is_said(lab):
    lab.primary()
    lab.ok("import", lab.file("rules.json", RULES))
    refused(lab, 1, "eval", "snyc", says="is it 'sync'")
    refused(lab, 2, "eval", "sync", "--context", "{", says="line 1, column 2")
    refused(lab, 4, "eval", "sync", "--context", "[" * 1000, says="too many levels")
    refused(lab, 2, "eval", "sync", "--context", "5", says="no object")


class Agent(http.server.BaseHTTPRequestHandler):
    """What an agent's HTTP answers, as far as flagctl looks at it."""
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, self.headers.get("Authorization"), body))
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def agent():
    server = http.server.HTTPServer(("127.0.0.1", 0), Agent)
    server.seen, server.url = [], f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_agents_http_is_asked_as_sdks_do(lab, agent):
    agent.answer = 200, '{"key":"a/b c","value":true,"variant":"on","reason":"STATIC"}'
    done = lab.flagctl("eval", "a/b c", "--agent", agent.url + "/", "--context", ANA, "--token-file", lab.secret("token", "secret\n"))
    assert done.code == 0 and json.loads(done.out)["variant"] == "on"
    assert agent.seen == [("/ofrep/v1/evaluate/flags/a%2Fb%20c", "Bearer secret", {"context": json.loads(ANA)})]
    lab.ok("eval", "k", "--agent", agent.url + "/", "--env", "staging")
    lab.ok("eval", "k", "--agent", agent.url, env="production")
    assert [path for path, _, _ in agent.seen[1:]] == [f"/env/{env}/ofrep/v1/evaluate/flags/k" for env in ("staging", "production")]
    refused(lab, 2, "eval", "k", "--agent", agent.url, "--env", "..", says="begins with a letter or digit")
    agent.answer = 404, '{"key":"x","errorCode":"FLAG_NOT_FOUND"}'
    done = lab.flagctl("eval", "x", "--agent", agent.url)
    assert done.code == 1 and json.loads(done.out)["errorCode"] == "FLAG_NOT_FOUND"
    agent.answer = 401, ""
    refused(lab, 5, "eval", "x", "--agent", agent.url, says="--token")
    for status, says in (401, "role evaluator"), (403, "for this flag and environment"):
        agent.answer = status, '{"key":"x","errorCode":"GENERAL","errorDetails":"no"}'  # as an agent says it
        refused(lab, 5, "eval", "x", "--agent", agent.url, says=says)
    agent.answer = 200, "<html>"
    refused(lab, 1, "eval", "x", "--agent", agent.url, says="--http address")
    refused(lab, 2, "eval", "x", "--agent", "gopher://x", says="no http://")
    refused(lab, 7, "eval", "x", "--agent", "http://127.0.0.1:1", says="127.0.0.1")
    refused(lab, 2, "eval", "x", "--agent", agent.url, "--at", "3", says="no --at")
    refused(lab, 2, "eval", "x", "--agent", agent.url, "--context", "[]", says="no object")


def test_the_file_of_the_token_may_stand_in_flagctl_yaml(lab, agent):
    lab.primary()
    config = lab.dir / ".config/hoist/flagctl.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"token-file: {lab.secret('token', 'secret')}\n")
    agent.answer = 200, '{"key":"k","value":true,"variant":"on","reason":"STATIC"}'
    lab.ok("set", "k", "on")  # which takes no token
    lab.ok("eval", "k", "--agent", agent.url)
    lab.ok("eval", "k", "--agent", agent.url, HOIST_TOKEN="nearer")
    lab.ok("eval", "k", "--agent", agent.url, "--token-file", lab.secret("typed", "typed\n"), HOIST_TOKEN="nearer")
    assert [token for _, token, _ in agent.seen] == ["Bearer secret", "Bearer nearer", "Bearer typed"]


def test_a_token_is_no_argument_and_its_file_is_for_one_user(lab, agent):
    refused(lab, 2, "eval", "k", "--agent", agent.url, "--token", "secret", says="--token-file")
    refused(lab, 2, "eval", "k", "--agent", agent.url, "--token-file", "/nowhere", says="--token-file: cannot read /nowhere")
    for_all = lab.secret("token", "secret")
    for_all.chmod(0o640)
    refused(lab, 2, "eval", "k", "--agent", agent.url, "--token-file", for_all, says="chmod 600")
    assert agent.seen == []


def test_an_agent_answers_flagctl_as_its_store_does(lab):
    lab.primary("--env", "production", "--env", "staging")
    agent = lab.agent("--env", "production", "--env", "staging")
    url = f"http://127.0.0.1:{agent.http}"
    lab.ok("set", "only", "on", "--wait", env="staging")
    assert lab.ok("eval", "only", "--agent", url, "--env", "staging")["variant"] == "on"
    assert lab.flagctl("eval", "only", "--agent", url).code == 1
    absent = lab.flagctl("eval", "only", "--agent", url, "--env", "absent")
    assert absent.code == 1 and "no environment" in absent.out
    lab.ok("import", lab.file("rules.json", RULES), "--wait", env="production")
    for context in (ANA, "{}"):
        by_http = lab.ok("eval", "sync", "--context", context, "--agent", f"http://127.0.0.1:{agent.http}")
        by_store = lab.ok("eval", "sync", "--context", context, "--store", agent.store)
        assert by_http.items() <= by_store.items() and by_http["variant"] == by_store["variant"]
    assert lab.flagctl("eval", "absent", "--agent", f"http://127.0.0.1:{agent.http}").code == 1
