"""The checks of the marketplace's API contract: they pass on what is there, and each kind of break is found."""
import copy
import http.client
import http.server
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import types

import pytest

from hoist import BUILD, TOP, clean_env, free_port, wait_until
from test_github_stub import Stub
from test_marketplace import FLAGS, Marketplace

HERE = TOP / "examples/marketplace"
sys.path.insert(0, str(HERE))
from checks.compatibility import compatibility  # noqa: E402
from checks.consumer import consumer  # noqa: E402
from checks.document import read_contract  # noqa: E402
from checks.outcome import BadInput, NotRun, Tally  # noqa: E402
from checks.provider import provider  # noqa: E402

CONTRACT = json.loads((HERE / "contracts/marketplace.json").read_text())
GITHUB = json.loads((HERE / "contracts/github.json").read_text())


def contract(*args, **popen):
    return subprocess.Popen([HERE / "contract", *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=clean_env(), **popen)


def run(*args):
    """Exit code, and what it said as JSON."""
    p = contract(*args, "--json")
    out, err = p.communicate(timeout=120)
    return p.returncode, json.loads(out or err)


def failures(check, file, **options):
    """What a check of this file finds, without a program of its own; it must have asserted something."""
    tally = Tally(quiet=True)
    check(read_contract(file), types.SimpleNamespace(**options), tally)
    assert tally.assertions > 0
    return tally.failures


class Staging:
    """A primary, an agent, and the service on the agent's flags, none of which the service's own tests have set."""

    def __init__(self, lab):
        self.lab, self.stub = lab, Stub(lab)
        lab.primary("--env", "staging")
        lab.ok("import", HERE / "flags/staging.json")
        self.agent = lab.agent("--env", "staging")
        self.service = Marketplace(lab, self.stub, self.agent.store, "--env", "staging")
        self.url = f"http://127.0.0.1:{self.service.port}"
        self.args = ["provider", "--env", "staging", "--flagctl", BUILD / "flagctl", "--primary", lab.url]

    def all_on(self):
        file = json.loads((HERE / "flags/staging.json").read_text())
        for flag in file["flags"].values():
            flag["defaultVariant"] = "on"
        self.lab.ok("apply", self.lab.file("on.json", file), "--yes", "--wait")

    def flags(self):
        return self.lab.flagctl("export").out

    def check(self, *more, url=None):
        return run(*self.args, "--service", url or self.url, *more)

    def started(self, **popen):
        """A check that has begun to set flags."""
        before = self.lab.head("staging")["version"]
        p = contract(*self.args, "--service", self.url, **popen)
        wait_until(lambda: self.lab.head("staging")["version"] >= before + 2, every_ms=50, what="flags are set")
        return p


@pytest.fixture
def staging(lab):
    return Staging(lab)


class Mutant(http.server.ThreadingHTTPServer):
    """The service, but for what `change(status, headers, value)` makes of its answers."""

    daemon_threads = True

    def __init__(self, service, change):
        self.service, self.change = service, change
        super().__init__(("127.0.0.1", free_port()), Forward)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Forward(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Nothing."""

    def forward(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.service, timeout=30)
        connection.request(self.command, self.path, headers=dict(self.headers))
        answer = connection.getresponse()
        status, headers, body = answer.status, dict(answer.headers), answer.read()
        connection.close()
        if body and headers["Content-Type"] == "application/json":
            status, headers, value = self.server.change(status, headers, json.loads(body))
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            headers["Content-Length"] = str(len(body))
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = forward


def items(change):
    """A mutation of each listing of a page, in place."""
    def mutate(status, headers, value):
        for item in value.get("items", []):
            change(item)
        return status, headers, value
    return mutate


def without_header(name, of=None):
    def mutate(status, headers, value):
        return status, {k: v for k, v in headers.items() if k != name or of not in (None, status)}, value
    return mutate


def other_status(was, now):
    return lambda status, headers, value: (now if status == was else status, headers, value)


MUTATIONS = {
    "a field is gone": (items(lambda item: item.pop("stars")), "has no 'stars'"),
    "a field is of another type": (items(lambda item: item.update(id=str(item["id"]))), "not of type integer"),
    "a field is null": (items(lambda item: item.update(name=None)), "not of type string"),
    "a field is new": (items(lambda item: item.update(secret="x")), "the contract does not know"),
    "a value is none of the list": (items(lambda item: item.update(source="mirror")), 'not ["github", "seed"]'),
    "a number is below its least": (items(lambda item: item.update(stars=-1)), "less than 0"),
    "a text is of another form": (items(lambda item: item.update(url="javascript:x")), "does not match"),
    "the error has another shape": (lambda s, h, v: (s, h, {"error": v["error"]["code"]} if "error" in v else v), "not of type object"),
    "a header is gone": (without_header("Vary"), "no header Vary"),
    "an answer may be kept": (lambda s, h, v: (s, {**h, "Cache-Control": "max-age=60"}, v), "Cache-Control is 'max-age=60'"),
    "what is taken instead is not said": (without_header("Allow", 405), "no header Allow"),
    "it says it is HTML": (lambda s, h, v: (s, {**h, "Content-Type": "text/html"}, v), "Content-Type is 'text/html'"),
    "a status is another": (other_status(400, 422), "status 422, not 400"),
    "what is not there is": (other_status(404, 200), "status 200, not 404"),
    "it fails": (other_status(200, 500), "status 500, not 200"),
    "it is no JSON": (lambda s, h, v: (s, h, b"{"), "no JSON"),
    "the flag is ignored": (lambda s, h, v: (s, h, {**v, "items": [], "total": 0} if "items" in v else v), "less than 1"),
}


def test_all_three_in_one(staging):
    args = ["all", *staging.args[1:], "--service", staging.url, "--current-flags", "--json", "--github"]
    for github, code, results in ((staging.stub.port, 0, ["holds", "holds", "holds"]), (1, 4, ["holds", "holds"])):
        p = contract(*args, f"http://127.0.0.1:{github}")
        said = [json.loads(line) for line in p.communicate(timeout=60)[0].splitlines()]
        assert (p.returncode, [check["result"] for check in said]) == (code, results)
    staging.stub.mode("without", field="id")
    p = contract(*args, f"http://127.0.0.1:{staging.stub.port}")
    assert p.communicate(timeout=60) and p.returncode == 1


def few_cases(lab):
    """The contract with those cases alone that the mutations are about."""
    routes = {}
    for path, names in (("/api/v1/listings", ("GitHub's, too", "off: nothing is served", "a NUL in a text")),
                        ("/api/v1/listings/{id}", ("an unknown id",))):
        route = {k: v for k, v in CONTRACT["routes"][path].items() if k != "parameters"}
        routes[path] = {**route, "cases": [case for case in route["cases"] if case["name"] in names]}
    return lab.file("few.json", {**CONTRACT, "routes": routes})


def test_the_service_keeps_it_with_each_combination_and_the_flags_are_put_back(staging):
    staging.lab.ok("set", "marketplace.enabled", "on", "--percent", 30, "--by", "account_id", "--wait")
    before = staging.flags()
    code, said = staging.check()
    assert (code, said["result"], said["combinations"], said["failures"]) == (0, "holds", 8, [])
    assert said["assertions"] > 5000 and said["cases"] > 800
    assert staging.flags() == before
    staging.lab.ok("kill", "marketplace.sync.enabled")
    assert staging.check("--current-flags")[0] == 0
    code, said = staging.check()
    assert code == 4 and "killed" in said["error"]["message"]


def test_each_break_of_the_service_is_found(staging):
    staging.all_on()
    assert staging.check("--current-flags", url=Mutant(staging.service.port, lambda *same: same).url)[0] == 0
    few = few_cases(staging.lab)
    for name, (change, word) in MUTATIONS.items():
        found = failures(provider, few, service=Mutant(staging.service.port, change).url, env="staging", current_flags=True,
                         flagctl=BUILD / "flagctl", primary=staging.lab.url)
        assert any(word in failure["what"] for failure in found), (name, found)


def test_the_flags_are_put_back_after_a_failure_and_a_signal(staging):
    before = staging.flags()
    mutant = Mutant(staging.service.port, MUTATIONS["a header is gone"][0])
    code, said = staging.check("--contract", few_cases(staging.lab), url=mutant.url)
    assert code == 1 and said["combinations"] == 8 and staging.flags() == before
    for number in (signal.SIGINT, signal.SIGTERM):
        p = staging.started(start_new_session=True)
        os.killpg(p.pid, number)  # as ^C does: to all that belongs to it
        assert p.wait(60) == 4 and "stopped by" in p.stderr.read()
        assert staging.flags() == before
    p = staging.started()
    staging.service.kill()
    out = p.communicate(timeout=60)[0]
    assert p.returncode == 1 and "no answer" in out and "more, of which --json tells" in out and staging.flags() == before


def test_what_somebody_else_does_meanwhile_stays(staging):
    before = json.loads(staging.flags())
    p = staging.started()
    staging.lab.ok("kill", "marketplace.github_sources.enabled")
    assert p.wait(60) == 4 and "killed" in p.stderr.read()
    killed = json.loads(staging.flags())
    assert killed["flags"][FLAGS[1]].pop("override") == "off" and killed == before
    staging.lab.ok("restore", "marketplace.github_sources.enabled")
    p = staging.started()
    staging.lab.ok("target", FLAGS[1], "--file", staging.lab.file("rule.json", {"if": [True, "on", "off"]}), "-m", "by hand")
    assert p.wait(60) == 4 and "somebody else" in p.stderr.read()
    assert "targeting" in json.loads(staging.flags())["flags"][FLAGS[1]]


def test_production_is_left_alone_and_what_is_not_there_is_said(staging):
    service = ["--service", staging.url]
    code, said = run(*staging.args, *service, "--env", "production")
    assert code == 2 and "--yes-production" in said["error"]["message"]
    code, said = run(*staging.args, *service, "--env", "production", "--yes-production")
    assert code == 4 and "production" in said["error"]["message"]
    code, said = staging.check(url=f"http://127.0.0.1:{free_port()}")
    assert code == 4 and "no service answers" in said["error"]["message"]
    code, said = run(*staging.args, *service, "--flagctl", "/nowhere/flagctl")
    assert code == 4 and "--flagctl" in said["error"]["message"]
    assert contract("provider", "--nonsense").wait(20) == 2


def test_nothing_asserted_is_a_failure(staging):
    nothing = staging.lab.file("nothing.json", {**CONTRACT, "routes": {}})
    no_case = {**CONTRACT, "routes": {"/healthz": {**CONTRACT["routes"]["/healthz"], "cases": []}}}
    for file, assertions in ((nothing, 0), (staging.lab.file("no-case.json", no_case), None)):
        code, said = staging.check("--contract", file, "--current-flags")
        assert (code, said["result"]) == (1, "broken") and assertions in (None, said["assertions"])
    assert {f["what"] for f in said["failures"]} == {"nothing was asserted of this route"} and said["broken"] == 1
    github = staging.lab.file("github.json", {**GITHUB, "routes": {}})
    assert run("consumer", "--github", f"http://127.0.0.1:{staging.stub.port}", "--contract", github)[0] == 1
    assert run("compatibility", "--released", nothing)[0] == 1


def broken(path, value):
    """The contract with one member another; a text: what the check must say of the file."""
    out = copy.deepcopy(CONTRACT)
    at = out
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    return out


LISTINGS = ("routes", "/api/v1/listings")
FIELDS = ("schemas", "listing", "properties")


@pytest.mark.parametrize("path, value, word", [
    (("schemas", "listing", "requird"), ["id"], "requird"), (("schemas", "status"), {"$ref": "nothing"}, "'nothing'"),
    (("schemas", "error"), {"$ref": "not_found"}, "circle"), ((*FIELDS, "url", "pattern"), "(", "regular expression"),
    ((*FIELDS, "id", "type"), "whole", "'whole'"), ((*LISTINGS, "cases", 0, "when"), {"marketplace.enabeld": True}, "enabeld"),
    ((*LISTINGS, "cases", 0, "expect"), {"204": {}}, "204"), ((*LISTINGS, "cases", 0, "expect"), {}, "nothing"),
    ((*LISTINGS, "cases", 0, "stauts"), 200, "stauts"), (("version",), "1", "1.2.3"),
    (("routes", "/api/v1/listings/{id}", "cases", 2, "path"), "/api/v1/listings/{id}", "path")], ids=lambda v: str(v)[-24:])
def test_a_contract_that_is_wrong_is_refused(lab, path, value, word):
    with pytest.raises(BadInput) as error:
        read_contract(lab.file("wrong.json", broken(path, value)))
    assert word in str(error.value)


def test_no_contract_aborts_the_reader(lab):
    """Any part of it replaced by anything is refused, or read."""
    dice, refused = random.Random(7), 0
    for _ in range(500):
        out = copy.deepcopy(CONTRACT)
        at, name = out, dice.choice(list(out))
        while isinstance(at[name], (dict, list)) and at[name] and dice.random() < 0.9:
            at = at[name]
            name = dice.choice(list(at)) if isinstance(at, dict) else dice.randrange(len(at))
        at[name] = dice.choice([None, True, -1, 1.5, "", "(", "object", [], [None], [{}], {}, {"$ref": "page"}, {"x": 1}])
        try:
            compatibility(read_contract(lab.file("other.json", out)), types.SimpleNamespace(released=HERE / "contracts/marketplace.json"), Tally(quiet=True))
        except BadInput:
            refused += 1
        except NotRun:
            pass  # it is a contract of something else
    assert 200 < refused < 500


def test_what_is_wrong_with_a_file_is_said(lab):
    for text in ("{", "[]", {**CONTRACT, "version": 1}):
        code, said = run("compatibility", "--contract", lab.file("wrong.json", text))
        assert code == 2 and "wrong.json" in said["error"]["message"]


def test_the_stand_in_gives_what_the_service_needs(lab):
    stub = Stub(lab)
    args = ["consumer", "--github", f"http://127.0.0.1:{stub.port}"]
    code, said = run(*args)
    assert (code, said["failures"], len(said["left_out"])) == (0, [], 5)
    code, said = run(*args, "--control", f"http://127.0.0.1:{stub.control}")
    assert (code, said["failures"], said["left_out"]) == (0, [], [])
    assert stub.tell("/state")["requests"] == {}
    assert run("consumer", "--github", "http://127.0.0.1:1")[0] == 4
    code, said = run(*args, "--org", "nobody")
    assert code == 1 and "status 404, not 200" in said["failures"][0]["what"]


def test_each_field_that_the_service_reads_has_to_be_there_and_of_its_type(lab):
    source = "".join(file.read_text() for file in sorted(HERE.glob("*.c")))
    read = set(re.findall(r'(?:text_of|json_object_get)\(repository, "(\w+)"\)', source))
    assert read == set(GITHUB["schemas"]["repository"]["required"]) and len(read) == 8
    stub = Stub(lab)
    for field in sorted(read):
        for mode in ("without", "retyped"):
            stub.mode(mode, field=field)
            found = failures(consumer, HERE / "contracts/github.json", github=f"http://127.0.0.1:{stub.port}", org="acme",
                             token_file=None, control=None)
            assert any(field in f["what"] for f in found), (mode, field)
            stub.tell("/reset", {})
    stub.mode("without", field="html_url")
    assert run("consumer", "--github", f"http://127.0.0.1:{stub.port}")[0] == 1


def at(value, *path):
    for name in path:
        value = value[name]
    return value


LISTING = ("schemas", "listing")
PARAMETERS = (*LISTINGS, "parameters")
BREAKS = {
    "the route is gone": lambda c: c["routes"].pop("/api/v1/sync"),
    "HEAD is gone": lambda c: at(c, *LISTINGS)["methods"].remove("HEAD"),
    "the field is gone": lambda c: at(c, *LISTING, "properties").pop("stars"),
    "need not be now": lambda c: at(c, *LISTING, "required").remove("stars"),
    "its type was integer, and is string": lambda c: at(c, *LISTING, "properties").update(id={"type": "string"}),
    "its type was string, and is ['string', 'null']": lambda c: at(c, *FIELDS, "name").update(type=["string", "null"]),
    'value "seed" is gone': lambda c: at(c, *FIELDS, "source").update(enum=["github"]),
    'value "running" is gone': lambda c: at(c, "schemas", "conflict", "properties", "error", "properties", "code").update(enum=["off"]),
    "its pattern was": lambda c: at(c, *FIELDS, "url").update(pattern="^ftp:"),
    "its minimum was 0, and is None": lambda c: at(c, *FIELDS, "stars").pop("minimum"),
    "its maxItems was 100, and is 1000": lambda c: at(c, "schemas", "page", "properties", "items").update(maxItems=1000),
    "the status is gone": lambda c: at(c, "routes", "/api/v1/sync", "responses").pop("202"),
    "header Vary is gone": lambda c: at(c, *LISTINGS).pop("headers"),
    "it is gone": lambda c: at(c, *PARAMETERS).pop("q"),
    "it is required now": lambda c: at(c, *PARAMETERS, "X-Account-Id").update(required=True),
    "it is new, and required": lambda c: at(c, *PARAMETERS).update(key={"in": "query", "required": True, "schema": {}}),
    "its maximum was 100, and is 50": lambda c: at(c, *PARAMETERS, "per_page", "schema").update(maximum=50),
    "its default was 30": lambda c: at(c, *PARAMETERS, "per_page", "schema").update(default=10),
    "it was in the query": lambda c: at(c, *PARAMETERS, "q").update({"in": "header"}),
    "not all values that were taken": lambda c: at(c, *PARAMETERS, "q", "schema").update(enum=["a"]),
}
ADDITIONS = {
    "a route": lambda c: c["routes"].update({"/api/v1/sources": {"methods": ["GET"], "responses": {}, "cases": []}}),
    "a method": lambda c: at(c, "routes", "/api/v1/sync", "methods").append("PUT"),
    "a field": lambda c: at(c, *LISTING, "properties").update(forks={"type": "integer"}),
    "a value": lambda c: at(c, *FIELDS, "source").update(enum=["github", "gitlab", "seed"]),
    "a parameter": lambda c: at(c, *PARAMETERS).update(sort={"in": "query", "schema": {"type": "string"}}),
    "a status": lambda c: at(c, *LISTINGS, "responses").update({"503": {}}),
    "more of a parameter": lambda c: at(c, *PARAMETERS, "per_page", "schema").update(maximum=200),
    "a stricter promise": lambda c: at(c, *FIELDS, "name").update(maxLength=200),
}


def changed(lab, change, version="9.0.0"):
    new = copy.deepcopy(CONTRACT)
    change(new)
    for route in new["routes"].values():
        route["cases"] = []  # what they expect may be gone with what they were about
    return lab.file("new.json", {**new, "version": version})


def test_what_was_promised_and_is_not_is_found(lab):
    for word, change in BREAKS.items():
        found = failures(compatibility, changed(lab, change), released=HERE / "contracts/marketplace.json")
        assert any(word in f["what"] for f in found), (word, found)
    assert run("compatibility", "--contract", lab.dir / "new.json")[0] == 1


def test_what_is_added_is_no_break_but_takes_a_version(lab):
    code, said = run("compatibility")
    assert code == 0 and said["assertions"] > 400
    released = HERE / "contracts/marketplace.json"
    for name, change in ADDITIONS.items():
        assert failures(compatibility, changed(lab, change), released=released) == [], name
        found = failures(compatibility, changed(lab, change, CONTRACT["version"]), released=released)
        assert [f["where"] for f in found] == ["version"], name
    (lab.dir / "none").mkdir()
    assert run("compatibility", "--released", lab.dir / "none")[0] == 4


def test_the_newest_of_the_released_counts(lab):
    released = lab.dir / "released"
    released.mkdir()
    for version, field in (("1.2.0", "old"), ("1.10.0", "newer")):
        old = copy.deepcopy(CONTRACT)
        at(old, *LISTING, "properties")[field] = {"type": "string"}
        (released / f"{version}.json").write_text(json.dumps({**old, "version": version}))
    found = failures(compatibility, HERE / "contracts/marketplace.json", released=released)
    assert {f["where"].rsplit(".", 1)[-1] for f in found} == {"newer", "version"}
