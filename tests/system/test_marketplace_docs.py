"""The pages about the example say what its files say, and what they have to type works."""
import json
import re
import subprocess

import pytest

from hoist import BUILD, TOP, clean_env
from test_docs import typed
from test_marketplace import FLAGS
from test_marketplace_contract import CONTRACT, HERE, Staging


def rows(page):
    """The cells of all tables of a page."""
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")]
            for line in (TOP / page).read_text().splitlines() if line.startswith("|")]


@pytest.mark.parametrize("env", ["staging", "production"])
def test_the_strategy_has_the_flags_as_they_are(env):
    file = json.loads((HERE / f"flags/{env}.json").read_text())
    killed = {key: sorted(re.findall(rf"--kill-on-alert production:(\w+)={re.escape(key)}\b", (TOP / "examples/stack").read_text()))
              for key in file["flags"]}
    want = {}
    for key, flag in file["flags"].items():
        about = {**file["metadata"], **flag["metadata"]}
        want[key] = [about["owner"], about["kind"], about["expires"], ", ".join(killed[key]) or "none"]
        assert flag["defaultVariant"] == "off"
        assert (about["kind"] == "operations") == (about["expires"] == "never") == about.get("permanent", False)
    assert {row[0]: row[1:] for row in rows("docs/flag-strategy.md") if row[0] in FLAGS} == want
    assert list(want) == list(FLAGS) == CONTRACT["flags"]
    assert all(f"`{key}`" in (TOP / "docs/marketplace-api.md").read_text() for key in FLAGS)


def test_the_strategy_is_of_what_the_plan_releases(lab):
    plan = json.loads(lab.flagctl("release", "plan", HERE / "release.yaml", "--canonical").out)
    flags = {row[0]: row for row in rows("docs/flag-strategy.md") if row[0] in FLAGS}
    assert sorted(flags) == [f["key"] for f in plan["flags"]]
    killing = {alert for row in flags.values() for alert in row[4].split(", ")} - {"none"}
    assert sorted(killing) == plan["kill_on_alert"]
    signed = [s["statement"] for step in plan["phases"][0]["steps"] for s in step["sign"]]
    assert any("docs/flag-strategy.md" in s and "owners, lifetimes and who may kill" in s for s in signed)


def test_the_paths_of_the_page_are_those_of_the_contract():
    have = {row[0]: (row[1], row[2]) for row in rows("docs/marketplace-api.md") if row[0].startswith("/")}
    assert have == {path: (", ".join(route["methods"]), ", ".join(route["responses"]))
                    for path, route in CONTRACT["routes"].items() if path.startswith("/")}


def test_the_strategy_as_typed(lab):
    lab.primary()
    (lab.dir / "examples").symlink_to(TOP / "examples")
    env = clean_env(HOIST_PRIMARY=lab.url, HOIST_ENV="production", HOME=lab.dir, PATH=f"{BUILD.resolve()}:/usr/bin:/bin")
    commands = list(typed("docs/flag-strategy.md"))
    for command in commands:
        done = subprocess.run(["sh", "-c", command], cwd=lab.dir, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert len(commands) == 11 and "it is out of the code" in done.stdout


def test_the_checks_as_typed(lab):
    staging = Staging(lab)
    places = {"http://127.0.0.1:7495": staging.url, "http://127.0.0.1:7490": f"http://127.0.0.1:{staging.stub.port}",
              "http://127.0.0.1:7491": f"http://127.0.0.1:{staging.stub.control}", "build/flagctl": str(BUILD.resolve() / "flagctl")}
    block = re.search(r"^```sh\n(.*?)^```", (TOP / "docs/marketplace-api.md").read_text(), re.M | re.S)[1]
    for command in block.splitlines():
        for written, here in places.items():
            command = command.replace(written, here)
        done = subprocess.run(command.split(), cwd=TOP, env=clean_env(HOIST_PRIMARY=lab.url), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "it holds" in done.stdout, (command, done.stdout, done.stderr)


def test_help_tells_of_each_option_that_the_page_uses():
    page = (TOP / "docs/marketplace-api.md").read_text()
    commands = re.findall(r"^examples/marketplace/(contract \w+|performance)(.*)$", page, re.M)
    assert len(commands) == 4
    for program, options in commands:
        name, *check = program.split()
        said = subprocess.run([HERE / name, *check, "--help"], capture_output=True, text=True, timeout=20)
        assert said.returncode == 0 and said.stderr == ""
        assert set(re.findall(r"--[a-z]+", options)) <= set(re.findall(r"--[a-z]+", said.stdout)), program
