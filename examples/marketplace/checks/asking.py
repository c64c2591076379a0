"""One request, and its answer against what a case expects."""
import collections
import http.client
import json
import re
import signal
import urllib.parse

from .document import ETAG
from .outcome import NotRun
from .schema import problems

TIMEOUT_S = 30
Answer = collections.namedtuple("Answer", "status headers body")
stopped = []  # the signals that came; whoever works looks here, so that flags are put back


def ask(base, method, path, headers):
    if stopped:
        raise NotRun(f"stopped by {signal.Signals(stopped[0]).name}")
    url = urllib.parse.urlsplit(base)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=TIMEOUT_S)
    try:
        connection.request(method, url.path + path, headers={**headers, "Connection": "close"})
        response = connection.getresponse()
        # What comes behind the head of an answer to HEAD, http.client would not show.
        return Answer(response.status, response.headers, response.fp.read() if method == "HEAD" else response.read())
    finally:
        connection.close()


def find(base, what, path, headers):
    """Something answers there, whatever it says."""
    try:
        ask(base, "GET", path, headers)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotRun(f"no {what} answers at {base}: {error}") from None


def value_of(answer):
    if not answer.headers.get("Content-Type", "").startswith("application/json"):
        return answer.body.decode(errors="replace")
    return json.loads(answer.body)


def check_answer(tally, where, method, expect, answer):
    expected = expect.get(str(answer.status))
    if not tally.check(expected, where, f"status {answer.status}, not {' or '.join(expect)}"):
        return
    for name, text in expected["headers"].items():
        if text is not None:
            value = answer.headers.get(name)
            tally.check(value is not None and re.search(text, value), where,
                        f"there is no header {name}" if value is None else f"{name} is {value!r}, which does not match {text}")
    if method == "HEAD" or answer.status == 304:
        tally.check(answer.body == b"", where, f"there is a body, of {len(answer.body)} bytes")
        return
    try:
        found = list(problems(expected["schema"], value_of(answer)))
    except (ValueError, RecursionError) as error:
        found = [f"the body is no JSON: {error}"]
    tally.check(not found, where, "; ".join(found[:5]))


def ask_then(tally, where, base, case, target, headers, answer):
    """The request that follows from an answer."""
    if case["then"]["request"] == ETAG:
        headers = {**headers, "If-None-Match": answer.headers.get("ETag", "")}
    else:
        link = re.search(r'<([^>]+)>; *rel="next"', answer.headers.get("Link", ""))
        if not tally.check(link, where, "there is no Link to a next page"):
            return
        if not tally.check(link[1].startswith(base + "/"), where, f"the next page is elsewhere: {link[1]}"):
            return
        target = link[1][len(base):]
    where = f"{where}, then {case['then']['request']}"
    check_answer(tally, where, case["method"], case["then"]["expect"], ask(base, case["method"], target, headers))


def run_case(tally, route, case, base, send, label):
    where = f"{case['method']} {route}{label}: {case['name']}"
    target = case["path"] + (f"?{case['query']}" if case["query"] else "")
    headers = {**send, **case["headers"]}
    before = tally.assertions
    try:
        answer = ask(base, case["method"], target, headers)
        check_answer(tally, where, case["method"], case["expect"], answer)
        if "then" in case:
            ask_then(tally, where, base, case, target, headers, answer)
    except (OSError, http.client.HTTPException) as error:
        tally.check(False, where, f"no answer: {error or type(error).__name__}")
    tally.cases += 1
    tally.seen[route, label] += tally.assertions - before
