"""A running service against its contract, with each combination of its flags."""
import itertools

from .asking import find, run_case
from .flags import Flags
from .outcome import BadInput

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def edges(schema):
    """Values just within and just beyond what a parameter takes."""
    if schema.get("type") == "integer":
        for name, step in (("minimum", -1), ("maximum", 1)):
            if name in schema:
                yield schema[name], True
                yield schema[name] + step, False
        yield from (("x", False), ("", False))
    elif "maxLength" in schema:
        yield "x" * schema["maxLength"], True
        yield "x" * (schema["maxLength"] + 1), False


def derived(route):
    """The cases that follow from a route's methods and parameters."""
    first, responses = route["cases"][0], route["responses"]
    base = {"path": first["path"], "query": "", "headers": {}, "when": {}}
    for method in METHODS:
        if method not in route["methods"] and "405" in responses:
            yield {**base, "method": method, "name": "the method is not taken", "expect": {"405": responses["405"]}}
    for name, parameter in route["parameters"].items():
        for value, good in edges(parameter["schema"]) if parameter["in"] != "path" else ():
            expect = {s: r for s, r in responses.items() if (s[0] == "2" or s == "404" if good else s == "400")}
            sent = {"headers": {name: value}} if parameter["in"] == "header" else {"query": f"{name}={value}"}
            shown = value if len(str(value)) < 30 else f"{len(value)} bytes"
            yield {**base, **sent, "method": first["method"], "name": f"{name}={shown}", "expect": expect}


def cases_of(route):
    for case in [*route["cases"], *derived(route)] if route["cases"] else ():
        yield case
        if case["method"] == "GET" and "HEAD" in route["methods"]:
            yield {**case, "method": "HEAD"}


def check_combination(tally, contract, values, service):
    label = f" [{' '.join('on' if on else 'off' for on in values.values())}]" if values else ""
    for name, route in contract["routes"].items():
        for case in cases_of(route):
            if all(values[flag] == on for flag, on in case["when"].items()):
                run_case(tally, name, case, service, contract["send"], label)
        if not tally.seen[name, label]:
            tally.check(False, f"{name}{label}", "nothing was asserted of this route")
    tally.combinations += 1


def provider(contract, options, tally):
    if options.env == "production" and not (options.current_flags or options.yes_production):
        raise BadInput("--env production: its flags would be switched on and off; --current-flags changes none, "
                       "--yes-production means it")
    service = options.service.rstrip("/")
    flags = Flags(options, contract["flags"])
    find(service, "service", "/healthz", {})
    if options.current_flags:
        return check_combination(tally, contract, flags.values(), service)
    try:
        for on in itertools.product((False, True), repeat=len(flags.names)):
            values = dict(zip(flags.names, on))
            flags.set(values)
            check_combination(tally, contract, values, service)
    finally:
        flags.put_back()
