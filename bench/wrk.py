"""What the benches of HTTP share: servers on free ports, asked by wrk, and the processor time that they take."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

DONE = """
function done(s, l, r)
  io.write(string.format('{"count": %d, "rate": %f, "p50": %f, "p99": %f, "errors": %d}', s.requests, s.requests / (s.duration / 1e6),
    l:percentile(50), l:percentile(99), s.errors.status + s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout))
end"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.025)
    sys.exit(f"{sys.argv[0]}: a server does not start")


def cpu_us(pid):
    """What a process and its children have used of the processor. (Fields 14 and 15 of stat.)"""
    pids = [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    ticks = 0
    for one in pids:
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1e6 / os.sysconf("SC_CLK_TCK")


def wrk(script, port, path, pid, connections, seconds):
    """Requests a second, the latencies, and the server's processor time a request, in microseconds."""
    before = cpu_us(pid)
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{port}{path}"],
                         capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    found = json.loads(out[out.index("{"):])
    if found["errors"]:
        sys.exit(f"{sys.argv[0]}: {path}: {found['errors']} requests failed")
    found["cpu"] = (cpu_us(pid) - before) / found["count"]
    return found
