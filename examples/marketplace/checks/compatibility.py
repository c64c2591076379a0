"""A contract against the last one that was released: what was promised still is."""
import json
import pathlib

from .document import read_contract
from .outcome import NotRun
from .schema import BOUNDS, TYPES, among, listed


def version_of(contract):
    return tuple(map(int, contract["version"].split(".")))


def last_released(path, name):
    path = pathlib.Path(path)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    found = [c for c in map(read_contract, files) if c["contract"] == name]
    if not found:
        raise NotRun(f"{path} has no contract of {name}; a release puts a copy of its contract there")
    return max(found, key=version_of)


def kinds(schema):
    found = set(listed(schema.get("type", list(TYPES))))
    return found | {"integer"} if "number" in found else found


def keeps_bound(name, promised, kept):
    return name in kept and (kept[name] >= promised[name] if name.startswith("min") else kept[name] <= promised[name])


def compare_values(tally, where, was, now, promised, kept):
    """`promised` and `kept` are these two in one order or the other: what fulfils `kept` must fulfil `promised`."""
    tally.check(kinds(kept) <= kinds(promised), where, f"its type was {was.get('type')}, and is {now.get('type')}")
    for name in ("pattern", "const", *BOUNDS):
        if name in promised:
            same = kept.get(name) == promised[name] if name in ("pattern", "const") else keeps_bound(name, promised, kept)
            tally.check(same, where, f"its {name} was {was.get(name)}, and is {now.get(name)}")


def compare_output(tally, where, was, now):
    """What clients read: all that was promised still is."""
    compare_values(tally, where, was, now, was, now)
    for value in was.get("enum", []) if "enum" in now else ():
        tally.check(among(value, now["enum"]), where, f"value {json.dumps(value)} is gone")
    for name, member in was.get("properties", {}).items():
        if tally.check(name in now.get("properties", {}), f"{where}.{name}", "the field is gone"):
            compare_output(tally, f"{where}.{name}", member, now["properties"][name])
    for name in was.get("required", []):
        tally.check(name in now.get("required", []), f"{where}.{name}", "it was always there, and need not be now")
    if "items" in was:
        compare_output(tally, f"{where}[]", was["items"], now.get("items", {}))


def compare_input(tally, where, was, now):
    """What clients send: all that was taken still is."""
    compare_values(tally, where, was, now, now, was)
    if "enum" in now:
        still = "enum" in was and all(among(value, now["enum"]) for value in was["enum"])
        tally.check(still, where, "not all values that were taken are taken now")
    tally.check(was.get("default") == now.get("default"), where, f"its default was {was.get('default')}")


def compare_parameters(tally, where, was, now):
    for name, parameter in was.items():
        at = f"{where}: parameter {name}"
        if tally.check(name in now, at, "it is gone"):
            tally.check(now[name]["in"] == parameter["in"], at, f"it was in the {parameter['in']}")
            tally.check(parameter["required"] or not now[name]["required"], at, "it is required now")
            compare_input(tally, at, parameter["schema"], now[name]["schema"])
    for name in now.keys() - was.keys():
        tally.check(not now[name]["required"], f"{where}: parameter {name}", "it is new, and required")


def compare_responses(tally, where, was, now):
    for status, response in was.items():
        at = f"{where}: {status}"
        if not tally.check(status in now, at, "the status is gone"):
            continue
        for name, text in response["headers"].items():
            tally.check(text is None or now[status]["headers"].get(name) == text, at, f"header {name} is gone, or another")
        compare_output(tally, f"{at}: the body", response["schema"], now[status]["schema"])


def compatibility(contract, options, tally):
    was = last_released(options.released, contract["contract"])
    for name, route in was["routes"].items():
        tally.cases += 1
        now = contract["routes"].get(name)
        if not tally.check(now, name, "the route is gone"):
            continue
        for method in route["methods"]:
            tally.check(method in now["methods"], name, f"{method} is gone")
        compare_parameters(tally, name, route["parameters"], now["parameters"])
        compare_responses(tally, name, route["responses"], now["responses"])
    if was["routes"]:
        tally.check(contract["text"] == was["text"] or version_of(contract) > version_of(was), "version",
                    f"it is another contract than the released {was['version']}, and not of a later version")
