"""The README's rollout, as typed: a program that knows OpenFeature follows it without a restart."""
import json
import os
import re
import shutil
import signal
import subprocess

from hoist import BUILD, TOP, clean_env, needs_npm, wait_until


def commands():
    block = next(b for b in re.findall(r"^```sh\n(.*?)^```", (TOP / "README.md").read_text(), re.M | re.S) if "follow.mjs" in b)
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
