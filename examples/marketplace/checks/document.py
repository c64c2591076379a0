"""A contract as its file has it: read strictly, its references resolved, each response with all headers asked of it."""
import json
import pathlib
import re

from .outcome import BadInput
from .schema import KEYWORDS, TYPES, listed

ETAG, NEXT = "the same with its ETag", "the next page"  # what a case may ask for then


# ---------------------------------------------------------------- what stands where

def members(value, at, needed, optional):
    """An object with these members alone, each of its type."""
    if not isinstance(value, dict):
        raise BadInput(f"{at}: this is no object")
    known = {**needed, **optional}
    for name, member in value.items():
        if name not in known:
            raise BadInput(f"{at}: there is no {name!r} here; there are {', '.join(known)}")
        if not isinstance(member, known[name]) or (isinstance(member, bool) and known[name] not in (bool, object)):
            raise BadInput(f"{at}.{name}: {json.dumps(member)[:60]} is of another type than belongs here")
    for name in needed:
        if name not in value:
            raise BadInput(f"{at}: it has no {name!r}")


def all_of(values, kind, at):
    for value in values:
        if not isinstance(value, kind):
            raise BadInput(f"{at}: {json.dumps(value)[:60]} is of another type than belongs here")


def pattern(text, at):
    try:
        re.compile(text)
    except re.error as error:
        raise BadInput(f"{at}: {text!r} is no regular expression: {error}") from None


def headers(value, at):
    """Patterns of headers; null: it is not asked for, whatever is said further out."""
    all_of(value.values(), (str, type(None)), at)
    for name, text in value.items():
        pattern(text or "", f"{at}.{name}")


# ---------------------------------------------------------------- schemas

def merged(one, other):
    """Both objects as one; where both have a value that is no object, the other's."""
    out = dict(one)
    for name, value in other.items():
        out[name] = merged(out[name], value) if isinstance(value, dict) and isinstance(out.get(name), dict) else value
    return out


def check_keywords(schema, at):
    members(schema, at, {}, KEYWORDS)
    for kind in listed(schema.get("type", [])):
        if not isinstance(kind, str) or kind not in TYPES:
            raise BadInput(f"{at}.type: there is no type {kind!r}")
    all_of(schema.get("required", []), str, f"{at}.required")
    pattern(schema.get("pattern", ""), f"{at}.pattern")


def expanded(schema, schemas, at, within=()):
    """The schema without references; what stands beside one narrows it."""
    check_keywords(schema, at)
    name, base = schema.get("$ref"), {}
    if name is not None:
        if name not in schemas or name in within:
            raise BadInput(f"{at}: $ref {name!r} " + ("goes in a circle" if name in within else "is none of the schemas"))
        base = expanded(schemas[name], schemas, f"schemas.{name}", (*within, name))
    own = {k: v for k, v in schema.items() if k != "$ref"}
    if "items" in own:
        own["items"] = expanded(own["items"], schemas, f"{at}.items", within)
    own["properties"] = {k: expanded(v, schemas, f"{at}.properties.{k}", within) for k, v in own.get("properties", {}).items()}
    return merged(base, own)


# ---------------------------------------------------------------- routes and cases

def read_response(response, contract, at):
    members(response, at, {}, {"headers": dict, "schema": dict})
    headers(response.get("headers", {}), f"{at}.headers")
    schema = expanded(response.get("schema", {}), contract["schemas"], f"{at}.schema")
    return {"headers": response.get("headers", {}), "schema": schema}


def read_expect(expect, route, contract, at):
    """By status, the route's response narrowed by what the case says of it."""
    if not expect:
        raise BadInput(f"{at}: it expects nothing")
    for status in expect:
        if status not in route["responses"]:
            raise BadInput(f"{at}: {status} is none of the route's responses")
    return {status: merged(route["responses"][status], read_response(more, contract, f"{at}.{status}"))
            for status, more in expect.items()}


def read_case(case, path, route, contract):
    members(case, f"routes.{path}: a case", {"name": str, "expect": dict},
            {"method": str, "path": str, "query": str, "headers": dict, "when": dict, "stub": dict, "then": dict})
    at = f"routes.{path}: case {case['name']!r}"
    all_of(case.get("headers", {}).values(), str, f"{at}.headers")
    all_of(case.get("when", {}).values(), bool, f"{at}.when")
    for flag in case.get("when", {}):
        if flag not in contract["flags"]:
            raise BadInput(f"{at}: when {flag!r}: that is none of the contract's flags")
    out = {"method": "GET", "path": path, "query": "", "headers": {}, "when": {}, **case}
    if not out["path"].startswith("/") or "{id}" in out["path"]:
        raise BadInput(f"{at}: its path has to be said")
    out["expect"] = read_expect(case["expect"], route, contract, at)
    if "then" in case:
        members(case["then"], f"{at}: then", {"request": str, "expect": dict}, {})
        if case["then"]["request"] not in (ETAG, NEXT):
            raise BadInput(f"{at}: then: there are {ETAG!r} and {NEXT!r}")
        out["then"] = {**case["then"], "expect": read_expect(case["then"]["expect"], route, contract, f"{at}: then")}
    return out


def read_parameter(parameter, contract, at):
    members(parameter, at, {"in": str, "schema": dict}, {"required": bool})
    if parameter["in"] not in ("query", "header", "path"):
        raise BadInput(f"{at}.in: there are query, header and path")
    return {"required": False, **parameter, "schema": expanded(parameter["schema"], contract["schemas"], f"{at}.schema")}


def read_route(path, route, contract):
    at = f"routes.{path}"
    members(route, at, {"methods": list, "responses": dict, "cases": list}, {"headers": dict, "parameters": dict})
    all_of(route["methods"], str, f"{at}.methods")
    headers(route.get("headers", {}), f"{at}.headers")
    outer = {"headers": {**contract["headers"], **route.get("headers", {})}}
    out = {"methods": route["methods"]}
    out["responses"] = {status: merged(outer, read_response(response, contract, f"{at}.{status}"))
                        for status, response in route["responses"].items()}
    out["parameters"] = {name: read_parameter(parameter, contract, f"{at}.parameters.{name}")
                         for name, parameter in route.get("parameters", {}).items()}
    out["cases"] = [read_case(case, path, out, contract) for case in route["cases"]]
    return out


def read_text(text):
    members(text, "the contract", {"contract": str, "version": str, "routes": dict},
            {"flags": list, "send": dict, "headers": dict, "schemas": dict})
    if not re.fullmatch(r"\d+\.\d+\.\d+", text["version"]):
        raise BadInput(f"version: {text['version']!r} is not like 1.2.3")
    contract = {"flags": [], "send": {}, "headers": {}, "schemas": {}, **text, "text": text}
    all_of(contract["flags"], str, "flags")
    all_of(contract["send"].values(), str, "send")
    headers(contract["headers"], "headers")
    contract["schemas"] = {name: expanded(schema, contract["schemas"], f"schemas.{name}")
                           for name, schema in contract["schemas"].items()}
    contract["routes"] = {name: read_route(name, route, contract) for name, route in contract["routes"].items()}
    return contract


def read_contract(path):
    try:
        return read_text(json.loads(pathlib.Path(path).read_text()))
    except (OSError, ValueError, RecursionError, BadInput) as error:
        raise BadInput(f"{path}: {error}") from None
