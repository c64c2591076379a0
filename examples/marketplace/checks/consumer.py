"""GitHub, or its stand-in, against what the service needs of it."""
import json
import pathlib
import urllib.request

from .asking import TIMEOUT_S, find, run_case
from .outcome import BadInput, NotRun


def control(options, path, value):
    request = urllib.request.Request(options.control.rstrip("/") + path, json.dumps(value).encode())
    try:
        urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        raise NotRun(f"--control {options.control}: {error}") from None


def placed(case, org):
    return {**case, "path": case["path"].replace("{org}", org), "query": case["query"].replace("{org}", org)}


def consumer(contract, options, tally):
    send, github = dict(contract["send"]), options.github.rstrip("/")
    if options.token_file:
        try:
            send["Authorization"] = f"Bearer {pathlib.Path(options.token_file).read_text().split()[0]}"
        except (OSError, IndexError) as error:
            raise BadInput(f"--token-file {options.token_file}: there is no token in it: {error}") from None
    find(github, "GitHub", "/rate_limit", send)  # which costs nothing
    try:
        for name, route in contract["routes"].items():
            for case in route["cases"]:
                if "stub" in case and not options.control:
                    tally.left_out.append(f"{name}: {case['name']}")
                    continue
                if "stub" in case:
                    control(options, "/mode", case["stub"])
                run_case(tally, name, placed(case, options.org), github, send, "")
                if "stub" in case:
                    control(options, "/reset", {})
    finally:
        if options.control:
            control(options, "/reset", {})
