#!/usr/bin/python3
"""OFREP over keep-alive against an nginx that returns the same bytes, both asked by wrk in the same rounds.

Prints a JSON object a line, as the other benches do. Of requests a second the ratio is ours over nginx's:
more is better. Both use as many threads as there are cores, and share them with wrk.
"""
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import urllib.request

from wrk import DONE, free_port, wait_for, wrk

ROUNDS, SECONDS, CONNECTIONS = 5, 2, 32
CONTEXT = {"context": {"targetingKey": "user-1742", "email": "ana@example.com", "plan": "pro", "country": "pt"}}
KINDS = ("ofrep_single", "ofrep_bulk", "ofrep_304")


def flag(n):
    f = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    if n % 5 == 3:
        f["targeting"] = {"fractional": [["on", 25], ["off", 75]]}
    elif n % 5 == 4:
        f["targeting"] = {"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "on",
                                 {"in": [{"var": "country"}, ["de", "fr"]]}, "on", "off"]}
    return f


def post(port, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(CONTEXT).encode(),
                                     {"Content-Type": "application/json", **headers}, method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read(), answer.headers["ETag"]


def nginx_config(directory, port, single, bulk, etag):
    def pieces(body, step=3000):
        """From memory, which is nginx's fastest; a word of its configuration has 4 KiB at most."""
        words = [body[i:i + step].decode().replace("\\", "\\\\").replace('"', '\\"') for i in range(0, len(body), step)]
        return "".join(f'set $p{i} "{word}"; ' for i, word in enumerate(words)) + f'return 200 "{"".join(f"$p{i}" for i in range(len(words)))}"'
    return f"""
worker_processes auto; daemon off; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{
    listen 127.0.0.1:{port};
    location = /ofrep_single {{ {pieces(single)}; }}
    location = /ofrep_bulk {{ {pieces(bulk)}; }}
    location = /ofrep_304 {{ add_header ETag '{etag}'; return 304; }}
  }}
}}"""


def run(hoistd, flagctl, wanted, directory):
    ours, theirs = free_port(), free_port()
    flags = directory / "flags.json"
    flags.write_text(json.dumps({"flags": {f"team.flag{n:03}": flag(n) for n in range(100)}}))
    env = {k: v for k, v in os.environ.items() if not k.startswith("HOIST_")}
    servers = [subprocess.Popen([hoistd, "dev", "--store", directory / "store", "--listen", f"ipc://{directory}/sock", "--http", "off",
                                 "--ofrep-http", f"127.0.0.1:{ours}"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
    try:
        wait_for(ours)
        subprocess.run([flagctl, "import", flags, "--primary", f"ipc://{directory}/sock"], env=env, check=True, stdout=subprocess.DEVNULL)
        paths = {"ofrep_single": "/ofrep/v1/evaluate/flags/team.flag003", "ofrep_bulk": "/ofrep/v1/evaluate/flags",
                 "ofrep_304": "/ofrep/v1/evaluate/flags"}
        single, (bulk, etag) = post(ours, paths["ofrep_single"])[0], post(ours, paths["ofrep_bulk"])
        (directory / "nginx.conf").write_text(nginx_config(directory, theirs, single, bulk, etag))
        servers.append(subprocess.Popen(["nginx", "-p", directory, "-c", directory / "nginx.conf"], stderr=subprocess.DEVNULL))
        wait_for(theirs)
        for kind in wanted:
            script = directory / f"{kind}.lua"
            script.write_text(f"""
wrk.method = "POST"
wrk.body = [[{json.dumps(CONTEXT)}]]
wrk.headers["Content-Type"] = "application/json"
{f"wrk.headers['If-None-Match'] = '{etag}'" if kind == "ofrep_304" else ""}
{DONE}""")
            measured = [(wrk(script, ours, paths[kind], servers[0].pid, CONNECTIONS, SECONDS),
                         wrk(script, theirs, f"/{kind}", servers[1].pid, CONNECTIONS, SECONDS)) for _ in range(ROUNDS)]
            size = len(single) if kind == "ofrep_single" else 0 if kind == "ofrep_304" else len(bulk)
            for key, unit in (("rate", "req/s"), ("cpu", "us"), ("p50", "us"), ("p99", "us")):
                print(json.dumps({"name": kind, "params": f"{key}, {CONNECTIONS} connections, {size} B",
                                  "value": statistics.median(a[key] for a, _ in measured), "unit": unit, "peer": "nginx",
                                  "ratio": statistics.median(a[key] / b[key] for a, b in measured)}), flush=True)
    finally:
        for p in reversed(servers):
            p.send_signal(signal.SIGTERM)
            p.wait(20)


def main():
    build, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    wanted = [k for k in KINDS if not names or k in names or "ofrep" in names]
    if not wanted:
        return
    directory = pathlib.Path(tempfile.mkdtemp(prefix="hoist-bench-"))
    try:
        run(build / "hoistd", build / "flagctl", wanted, directory)
    finally:
        shutil.rmtree(directory)


main()
