"""Values against a JSON Schema, of which there are these keywords."""
import json
import re

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
         "number": (int, float)}
KEYWORDS = {"$ref": str, "type": (str, list), "enum": list, "const": object, "default": object, "pattern": str,
            "minimum": (int, float), "maximum": (int, float), "minLength": int, "maxLength": int, "minItems": int,
            "maxItems": int, "items": dict, "properties": dict, "required": list, "additionalProperties": bool}
BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")


def listed(value):
    return value if isinstance(value, list) else [value]


def is_a(value, kind):
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def among(value, values):
    return json.dumps(value) in map(json.dumps, values)


def problems(schema, value, at="the body"):
    """What is wrong with it, a sentence each."""
    if "type" in schema and not any(is_a(value, kind) for kind in listed(schema["type"])):
        yield f"{at} is {json.dumps(value)[:60]}, not of type {' or '.join(listed(schema['type']))}"
        return
    for name in ("const", "enum"):
        if name in schema and not among(value, schema[name] if name == "enum" else [schema[name]]):
            yield f"{at} is {json.dumps(value)[:60]}, not {json.dumps(schema[name])}"
    if isinstance(value, str):
        if not re.search(schema.get("pattern", ""), value):
            yield f"{at} does not match {schema['pattern']}: {json.dumps(value)[:60]}"
        yield from out_of_bounds(schema, len(value), "minLength", "maxLength", f"the length of {at}")
    elif isinstance(value, list):
        yield from out_of_bounds(schema, len(value), "minItems", "maxItems", f"the length of {at}")
        for i, item in enumerate(value):
            yield from problems(schema.get("items", {}), item, f"{at}[{i}]")
    elif isinstance(value, dict):
        yield from problems_of_members(schema, value, at)
    elif isinstance(value, (int, float)):
        yield from out_of_bounds(schema, value, "minimum", "maximum", at)


def problems_of_members(schema, value, at):
    known = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield f"{at} has no {name!r}"
    for name, member in value.items():
        if name in known:
            yield from problems(known[name], member, f"{at}.{name}")
        elif not schema.get("additionalProperties", True):
            yield f"{at} has {name!r}, of which the contract does not know"


def out_of_bounds(schema, number, least, most, what):
    if number < schema.get(least, number):
        yield f"{what} is {number}, less than {schema[least]}"
    if number > schema.get(most, number):
        yield f"{what} is {number}, more than {schema[most]}"
