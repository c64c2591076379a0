"""The plan of the launch, and the alert rules, for minutes in place of days. It stays the same plan: phases, steps, changes,
guards, roles, statements and checks are those of the file, in its order. What is altered, and how:

    interval                        15s -> 500ms
    soak                            by 600; in the watch, which lasts days, by 14,400; at least four intervals
    windows of guards and alerts    by 60 ([10m] -> [10s], for: 2m -> 2s), and the ages that rules compare
    floors of guards (">= 50")      by 10; exposed: by 50: fewer requests come in seconds than in hours
    api_p99_against_control         its bound 1.25 is 40: requests with the feature do more, and so a busy machine interrupts them more
                                    often, which among the few of ten seconds can be the p99
    window                          at any time; coverage: the same people and lengths, from now on
    the addresses in a check        those of this fleet
    full_tests, performance         which run for half an hour: `make rooms`, and performance of the build beside itself on one
                                    route for some seconds. Their names and places in the plan stay
"""
import datetime
import re

UNIT_MS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000}
INTERVAL_MS = 500
RULES_FASTER, SOAK_FASTER, WATCH_FASTER, FLOOR_LESS, EXPOSED_LESS = 60, 600, 14400, 10, 50
STANDING_IN = {"full_tests": "[make, -s, rooms]",
               "performance": "[examples/marketplace/performance-here, {build}/examples/marketplace/marketplace, --limits, {limits}]"}
LIMITS = {"rate_per_s": 50, "connections": 1, "round_s": 0.3, "batch_rounds": 4, "most_rounds": 4, "confidence": 0.5,
          "routes": {"/api/v1/listings": {"per_s": {"least": 0.5}}}}


def milliseconds(text):
    return sum(int(n) * UNIT_MS[unit] for n, unit in re.findall(r"(\d+)(ms|s|m|h|d)", text))


def scaled(text, faster):
    """Rules, or a query, for a world in which minutes pass `faster` times as fast: each `for:`, window, step and offset,
    and the seconds that an age (time() less a timestamp, or one by that name) is compared with. What one thing may take (a request, a kill, the
    lag of a host) and how many of a thing there must be stay: faults bring those about as they are. That the minutes are
    the right ones is held by promtool's tests of the rules as they are."""
    def shorter(found):
        return f"{milliseconds(found[0]) // faster}ms"

    def in_brackets(found):
        return re.sub(r"\d+[smhd]", shorter, found[0])
    text = re.sub(r"(?<=for: )\d+[smhd]\b", shorter, text)
    text = re.sub(r"\[[0-9smhd:]+\]", in_brackets, text)
    text = re.sub(r"(?<=offset )\d+[smhd]\b", shorter, text)
    return re.sub(r"((?:time\(\) - [^<>]*|_age_seconds\)) > )(\d+)", lambda found: found[1] + f"{int(found[2]) / faster:g}", text)


def sub(pattern, with_what, text, count=None):
    """As re.sub, of what is there: a plan that has changed so that nothing is found is told, not left as it is."""
    text, found = re.subn(pattern, with_what, text, flags=re.M)
    if not found or count not in (None, found):
        raise ValueError(f"the plan has {found} of {pattern!r}: shortened.py needs to know it as it is now")
    return text


def shorter_soaks(text):
    before, watch = text.split("\n  watch:\n")

    def by(faster):
        return lambda found: f"soak: {max(milliseconds(found[1]) // faster, 4 * INTERVAL_MS)}ms"
    return sub(r"soak: (\w+)", by(SOAK_FASTER), before) + "\n  watch:\n" + sub(r"soak: (\w+)", by(WATCH_FASTER), watch)


def from_now(text, now):
    """The coverage, moved so that it begins an hour ago."""
    def read(time):
        return datetime.datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ")
    times = r"\d{4}-\d\d-\d\dT[\d:]+Z"
    moved = now.replace(microsecond=0) - datetime.timedelta(hours=1) - min(map(read, re.findall(rf"from: ({times})", text)))
    return sub(times, lambda found: (read(found[0]) + moved).strftime("%Y-%m-%dT%H:%M:%SZ"), text)


def addresses(text, at):
    """Those of the checks: PORTS of the plan's to the fleet's; and where a dashboard's data is."""
    for was, now in at["ports"].items():
        text = sub(rf"127\.0\.0\.1:{was}\b", f"127.0.0.1:{now}", text)
    return sub(r"check-dashboards, --live\]", f"check-dashboards, --live, \"{at['prometheus']}\"]", text, 1)


def plan(text, now, at):
    """`at`: ports, {the plan's: this fleet's}; prometheus, its URL; build; limits, the file of LIMITS."""
    text = sub(r"^interval: 15s$", f"interval: {INTERVAL_MS}ms", text, 1)
    text = shorter_soaks(from_now(addresses(text, at), now))
    guards, rest = text.split("\nkill_on_alert:")
    guards = sub(r"(?<=\)\) >= )(\d+)\)", lambda found: f"{int(found[1]) // FLOOR_LESS})", scaled(guards, RULES_FASTER))
    guards = sub(r'pass: "<= 1.25"', 'pass: "<= 40"', guards, 1)
    rest = sub(r"exposed: (\d+)", lambda found: f"exposed: {int(found[1]) // EXPOSED_LESS}", rest)
    rest = sub(r"^    window: .*$", "    window: mon-sun 00:00-24:00 UTC", rest, 1)
    for check, run in STANDING_IN.items():
        rest = sub(rf"(name: {check},.*run: )\[.*?\]", lambda found, run=run: found[1] + run.format(**at), rest, 1)
    return f"{guards}\nkill_on_alert:{rest}"
