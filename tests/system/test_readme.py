"""What the README has to type, as typed: a rollout that a program follows by OpenFeature's SDK, and two hosts that speak TLS."""
import json
import os
import re
import shutil
import signal
import subprocess

from hoist import BUILD, TOP, clean_env, needs_npm, wait_until
from test_network import root_only, two_hosts  # noqa: F401 (a fixture)


def commands(word="follow.mjs"):
    """The lines of the first block that has `word` in it."""
    block = next(b for b in re.findall(r"^```sh\n(.*?)^```", (TOP / "README.md").read_text(), re.M | re.S) if word in b)
    return [re.sub(r"\s+#\s.*", "", line) for line in block.splitlines()]


def users(log):
    return [int(n) for n in re.findall(r"(\d+) of 1000 users", log.read_text())]


@needs_npm
def test_the_rollout_of_the_readme_in_four_commands(lab):
    lab.primary()
    agent = lab.agent()
    (lab.dir / "build").symlink_to(BUILD.resolve())
    shutil.copytree(TOP / "examples/openfeature", lab.dir / "examples/openfeature", ignore=shutil.ignore_patterns("node_modules"))
    env = clean_env(HOIST_PRIMARY=lab.url, HOME=lab.dir, PATH=os.environ["PATH"], OFREP_ENDPOINT=f"http://127.0.0.1:{agent.http}")
    install, follow, ten, fifty = commands()
    subprocess.run(install, shell=True, cwd=lab.dir, env=env, check=True, timeout=300, capture_output=True)
    program = lab.process(follow.removesuffix("&").split(), "follow", cwd=lab.dir, env=env)
    wait_until(lambda: users(program.log) == [0])
    for command, share in ((ten, 100), (fifty, 500)):
        subprocess.run(command, shell=True, cwd=lab.dir, env=env, check=True, timeout=60)
        wait_until(lambda: abs(users(program.log)[-1] - share) < 50)
    assert users(program.log) == sorted(users(program.log))  # nobody who was in fell out
    program.signal(signal.SIGTERM)


def test_the_example_and_the_tests_speak_through_the_same_sdk():
    versions = lambda path: json.loads((TOP / path).read_text())["dependencies"]
    example, tests = versions("examples/openfeature/package.json"), versions("tests/node/package.json")
    assert example.items() <= tests.items()


class Host:
    """A network namespace with a directory, in which commands are typed."""

    def __init__(self, lab, name, ns):
        self.lab, self.ns, self.dir = lab, ns, lab.dir / name
        self.dir.mkdir()
        self.env = clean_env(HOME=self.dir, HOIST_STORE=self.dir / "store", PATH=f"{lab.dir}:{BUILD.resolve()}:{os.environ['PATH']}")

    def type(self, line):
        line = line.replace("10.0.0.1", "10.213.0.1").replace("/var/lib/hoist", str(self.dir / "store"))
        argv = ["ip", "netns", "exec", self.ns, "sh", "-c"]
        if line.endswith("&"):
            p = self.lab.process([*argv, "exec " + line.removesuffix("&")], f"{self.dir.name}-{len(self.lab.all)}", cwd=self.dir, env=self.env)
            return wait_until(lambda: f"{line.split()[1]} runs" in p.text(), what=f"{line}: {p.text()}")
        done = subprocess.run([*argv, line], cwd=self.dir, env=self.env, timeout=60, capture_output=True, text=True)
        assert done.returncode == 0, (line, done)
        return done.stdout


@root_only
def test_two_real_hosts_with_mutual_tls_in_six_commands(lab, two_hosts):  # noqa: F811
    first, host1 = Host(lab, "first", two_hosts[0]), Host(lab, "host1", two_hosts[1])
    scp = lab.file("scp", f'#!/bin/sh\nexec cp -p "$1" "{lab.dir}/${{2%:}}/"\n')
    scp.chmod(0o755)
    there, here = commands("certs init"), commands("hoistd agent --join")
    assert len(there) + len(here) <= 6
    for line in there:
        first.type(line)
    for line in here:
        host1.type(line)
    first.type("flagctl set new.checkout on --primary tls+tcp://10.0.0.1:7400 --join primary.bundle --wait")
    # A certificate alone says which machine it is, not who may change what.
    assert "takes the role editor" in host1.type("flagctl set new.checkout off --join host1.bundle 2>&1 || true")
    wait_until(lambda: first.type("flagctl get new.checkout --raw") == host1.type("flagctl get new.checkout --raw") == "true\n")
    status = json.loads(host1.type("flagctl status --json"))
    assert status["upstream"]["url"] == "tls+tcp://10.213.0.1:7400" and status["certificate"]["days_left"] == 364
