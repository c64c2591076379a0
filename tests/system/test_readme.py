"""What the README has to type, as typed: a rollout that a program follows by OpenFeature's SDK, and two hosts that speak TLS."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess

from hoist import BUILD, TOP, Process, clean_env, needs_npm, wait_until
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


class Shell(Process):
    """What is typed in it, and what that started in the background, end together."""

    def __init__(self, argv, log, **popen):
        super().__init__(argv, log, start_new_session=True, **popen)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.p.wait(10)


class Host:
    """A network namespace with a directory, in which commands are typed."""

    def __init__(self, lab, name, ns):
        self.lab, self.dir = lab, lab.dir / name
        self.dir.mkdir()
        self.env = clean_env(HOME=self.dir, HOIST_STORE=self.dir / "store", PATH=f"{lab.dir}:{BUILD.resolve()}:{os.environ['PATH']}")
        self.argv = ["ip", "netns", "exec", ns, "sh", "-ec"]

    def here(self, text):
        return text.replace("10.0.0.1", "10.213.0.1").replace("/var/lib/hoist", str(self.dir / "store"))

    def paste(self, lines):
        """A block at once, without a look at what its commands say; the shell stays, for what it has in the background."""
        text = self.here("\n".join([*lines, "echo all was typed", "wait"]))
        shell = Shell([*self.argv, text], self.lab.dir / f"{self.dir.name}.log", cwd=self.dir, env=self.env)
        self.lab.all.append(shell)
        wait_until(lambda: "all was typed" in shell.text() or not shell.alive(), what=f"the block is typed: {shell.text()}")
        assert shell.alive(), shell.text()

    def type(self, line):
        done = subprocess.run([*self.argv, self.here(line)], cwd=self.dir, env=self.env, timeout=60, capture_output=True, text=True)
        assert done.returncode == 0, (line, done)
        return done.stdout


@root_only
def test_two_real_hosts_with_mutual_tls_in_six_commands(lab, two_hosts):  # noqa: F811
    first, host1 = Host(lab, "first", two_hosts[0]), Host(lab, "host1", two_hosts[1])
    scp = lab.file("scp", f'#!/bin/sh\nexec cp -p "$1" "{lab.dir}/${{2%:}}/"\n')
    scp.chmod(0o755)
    there, here = commands("certs init"), commands("hoistd agent --join")
    assert len(there) + len(here) <= 6
    first.paste(there)
    host1.paste(here)
    first.type("flagctl set new.checkout on --primary tls+tcp://10.0.0.1:7400 --join primary.bundle --wait")
    # A certificate alone says which machine it is, not who may change what.
    assert "takes the role editor" in host1.type("flagctl set new.checkout off --join host1.bundle 2>&1 || true")
    wait_until(lambda: first.type("flagctl get new.checkout --raw") == host1.type("flagctl get new.checkout --raw") == "true\n")
    status = json.loads(host1.type("flagctl status --json"))
    assert status["upstream"]["url"] == "tls+tcp://10.213.0.1:7400" and status["certificate"]["days_left"] == 364
