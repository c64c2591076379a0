"""What the docs say to type works as it stands there."""
import re
import shutil
import subprocess

from hoist import BUILD, TOP, clean_env, wait_until


def typed(page):
    """The commands of a page's shell blocks, without their comments."""
    for block in re.findall(r"^```sh\n(.*?)^```", (TOP / page).read_text(), re.M | re.S):
        for line in block.splitlines():
            command = re.sub(r"\s+#\s.*", "", line).strip()
            if command.startswith("flagctl "):
                yield command


def test_operations_as_typed(lab):
    primary = lab.primary("--env", "production", "--env", "staging")
    shutil.copy(primary.store / "trust.key", lab.dir)
    lab.agent(name="host9")
    lab.ok("import", lab.file("price.json", {"flags": {"price.model": {"state": "ENABLED", "variants": {"classic": 1, "new": 2},
                                                                       "defaultVariant": "new"}}}), env="production")
    lab.ok("set", "sync.enabled", "on", env="staging")
    for n in range(45):
        lab.ok("set", "sync.enabled", "on" if n % 2 else "off", env="production")
    wait_until(lambda: lab.ok("fleet", env="production")["counts"]["current"] == 1)
    rule = {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]}
    lab.file("rule.json", rule)
    lab.file("rule-flags.json", {"flags": {"k": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off",
                                                 "targeting": rule}}})
    env = clean_env(HOIST_PRIMARY=lab.url, HOIST_ENV="production", HOME=lab.dir, PATH=f"{BUILD.resolve()}:/usr/bin:/bin")
    seen = 0
    for command in typed("docs/operations.md"):
        if command == "flagctl watch" or "--watch" in command:
            command = f"timeout 1 {command}"
        elif command.startswith(("flagctl promote", "flagctl apply")) and "--yes" not in command and "--dry-run" not in command:
            command += " --dry-run"  # nobody is there to be asked
        command = command.replace("/var/lib/hoist", str(primary.store))
        done = subprocess.run(["sh", "-c", command], cwd=lab.dir, env=env, capture_output=True, text=True, timeout=60)
        answered = (0, 1) if " diff " in command else (0, 124) if command.startswith("timeout") else (0,)
        assert done.returncode in answered, (command, done.returncode, done.stdout, done.stderr)
        assert done.returncode != 1 or not done.stderr, (command, done.stderr)
        seen += 1
    assert seen > 45


def rollout(percent):
    return {"features": [{"name": "search.v2", "enabled": True, "strategies": [
        {"name": "flexibleRollout", "parameters": {"rollout": percent, "stickiness": "default", "groupId": "search.v2"}}]}]}


def test_migrating_as_typed(lab):
    lab.primary()
    lab.file("flags.json", {"flags": {"sync.enabled": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}}})
    lab.file("features.json", rollout("100"))
    lab.file("rollouts.json", rollout("25"))
    env = clean_env(HOIST_PRIMARY=lab.url, HOME=lab.dir, PATH=f"{BUILD.resolve()}:/usr/bin:/bin")
    diffs, said = [], ""
    for command in typed("docs/migrating.md"):
        done = subprocess.run(["sh", "-c", command], cwd=lab.dir, env=env, capture_output=True, text=True, timeout=60)
        if " diff " in command:
            diffs.append(done.returncode)
        else:
            assert done.returncode == 0, (command, done.returncode, done.stdout, done.stderr)
        said += done.stdout
    assert diffs == [1, 0]
    assert "of 100,000 sample users, 37," in said
    assert {f["key"] for f in lab.ok("list")["flags"]} == {"sync.enabled", "search.v2", "upload.limit", "banner.text"}
    # As the page says, in round figures.
    for percent, users in ((25, 37500), (1, 2000)):
        dry = lab.ok("import", "--from", "unleash", lab.file("u.json", rollout(str(percent))), "--approximate", "--dry-run")
        moved = int(re.search(r"sample users, ([0-9,]+) ", dry["approximated"][0]["users"]).group(1).replace(",", ""))
        assert abs(moved - users) < 500
