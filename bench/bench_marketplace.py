#!/usr/bin/python3
"""What the marketplace service's reads of its flags cost a request: the share of its time that is spent in libhoist.

Three copies of the service are asked by wrk in turns: as it is, which gives the processor time of a request; with
its reads timed, which gives what one costs (building the context, deciding, freeing it); and with each of them made
1,000 times, whose processor time must be more by so many reads. Prints a JSON object a line, as the other benches do.
"""
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from wrk import DONE, free_port, wait_for, wrk

TOP = pathlib.Path(__file__).resolve().parent.parent
ROUNDS, SECONDS, CONNECTIONS, AGAIN = 5, 2, 16, 1000
PATHS = {"marketplace_page": "/api/v1/listings?per_page=30", "marketplace_one": "/api/v1/listings/100007"}
READS = 2  # a request of either kind reads marketplace.enabled and marketplace.github_sources.enabled
ACCOUNTS = """
local n = 0
function request()
  n = n % 500 + 1
  wrk.headers["X-Account-Id"] = "account-" .. n
  return wrk.format()
end"""


class Bench:
    def __init__(self, build, directory):
        self.build, self.directory, self.all = build, directory, []
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("HOIST_")}
        self.script = directory / "ask.lua"
        self.script.write_text(ACCOUNTS + DONE)

    def start(self, argv, **env):
        """A program, its output in a file."""
        log = open(self.directory / f"{len(self.all)}.log", "w+")
        p = subprocess.Popen([*map(str, argv)], env={**self.env, **env}, stdout=log, stderr=log)
        p.text = lambda: (log.seek(0), log.read())[1]
        self.all.append(p)
        return p

    def flags(self):
        """All on; the first by a rollout, at its end, which each of its reads decides."""
        file = json.loads((TOP / "examples/marketplace/flags/production.json").read_text())
        for flag in file["flags"].values():
            flag["defaultVariant"] = "on"
        file["flags"]["marketplace.enabled"]["targeting"] = {
            "fractional": [{"cat": ["bench", {"var": "account_id"}]}, ["on", 100], ["off", 0]]}
        path = self.directory / "flags.json"
        path.write_text(json.dumps(file))
        self.start([self.build / "hoistd", "dev", "--store", self.directory / "store", "--listen", f"ipc://{self.directory}/sock", "--http", "off"])
        for _ in range(200):
            done = subprocess.run([self.build / "flagctl", "import", path, "--primary", f"ipc://{self.directory}/sock"], env=self.env, capture_output=True)
            if done.returncode == 0:
                return
            time.sleep(0.05)
        sys.exit(f"bench_marketplace: {done.stderr.decode()}")

    def github(self):
        port = free_port()
        self.start([TOP / "examples/github-stub/github-stub", "--port", port, "--control-port", free_port()])
        wait_for(port)
        return port

    def service(self, program, github, **env):
        port = free_port()
        p = self.start([self.build / program, "--listen", f"127.0.0.1:{port}", "--store", self.directory / "store", "--data", self.directory / "listings",
                        "--github", f"http://127.0.0.1:{github}", "--drain-s", 0], **env)
        wait_for(port)
        p.port = port
        return p

    def end(self):
        for p in reversed(self.all):
            p.terminate()
            p.wait(20)
        self.all = []


def listings_are_in(port):
    """The worker of the first service has brought them in."""
    for _ in range(200):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            if re.search(r'sync_operations_total\{source="github",result="success"\} [1-9]', answer.read().decode()):
                return
        time.sleep(0.05)
    sys.exit("bench_marketplace: the listings do not come")


def put(name, params, value, unit, peer=None, ratio=None):
    print(json.dumps({"name": name, "params": params, "value": value, "unit": unit, "peer": peer, "ratio": ratio}), flush=True)


def measure(bench, kind):
    bench.flags()
    github = bench.github()
    services = [bench.service("examples/marketplace/marketplace", github)]
    listings_are_in(services[0].port)
    services += [bench.service("bench/marketplace_reads", github, HOIST_BENCH_READS=str(n)) for n in (1, AGAIN)]
    rounds = [[wrk(bench.script, s.port, PATHS[kind], s.pid, CONNECTIONS, SECONDS) for s in services] for _ in range(ROUNDS)]
    bench.end()
    alone, in_a_row = (json.loads(s.text().splitlines()[-1]) for s in services[1:])
    asked = sum(r[1]["count"] for r in rounds)
    if abs(alone["reads"] / asked - READS) > 0.01:
        sys.exit(f"bench_marketplace: {alone['reads']} reads in {asked} requests, not {READS} each")
    cpu = statistics.median(r[0]["cpu"] for r in rounds)
    more = statistics.median((r[2]["cpu"] - r[1]["cpu"]) * 1000 / (AGAIN - 1) / READS for r in rounds)
    put(kind, "processor time of a request", cpu, "us")
    put(kind, f"… p50, {CONNECTIONS} connections", statistics.median(r[0]["p50"] for r in rounds), "us")
    put(kind, "a read of a flag, by the clock", alone["ns"], "ns")
    put(kind, f"… of {AGAIN:,} in a row, by the clock", in_a_row["ns"], "ns")
    put(kind, f"… of {AGAIN:,} in a row, by processor time", more, "ns", "the same by the clock", more / in_a_row["ns"])
    put(kind, f"share of {READS} reads in a request's time", 100 * READS * alone["ns"] / (cpu * 1000), "%")


def main():
    build, names = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    for kind in PATHS:
        if names and kind not in names and "marketplace" not in names:
            continue
        directory = pathlib.Path(tempfile.mkdtemp(prefix="hoist-bench-"))
        bench = Bench(build, directory)
        try:
            measure(bench, kind)
        finally:
            bench.end()
            shutil.rmtree(directory)


main()
