"""What the docs say to type works as it stands there."""
import re
import shutil
import signal
import subprocess

from hoist import BUILD, TOP, Process, clean_env, wait_until


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


def test_monitoring_as_typed(tmp_path):
    """The stack as `make stack` starts it, and the page's commands in a row."""
    stack = Process([TOP / "examples/stack"], tmp_path / "stack.log", env=clean_env(BUILD=str(BUILD.resolve()), TMPDIR=str(tmp_path)))
    try:
        wait_until(lambda: "It goes on until ^C." in stack.text() or not stack.alive(), 60000)
        env = clean_env(HOIST_PRIMARY="tcp://127.0.0.1:7400", HOIST_ENV="production", HOME=tmp_path, PATH=f"{BUILD.resolve()}:/usr/bin:/bin")
        run = lambda command: subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True, timeout=60)
        blocks = [[re.sub(r"\s+#\s.*", "", line).strip() for line in block.splitlines()] for block in
                  re.findall(r"^```sh\n(.*?)^```", (TOP / "docs/monitoring.md").read_text(), re.M | re.S)]
        begin, fault, mend, watch, use = blocks
        seen = "http://127.0.0.1:9090/api/v1/query?query=sum(marketplace_http_requests_total%7Broute%3D%22/api/v1/listings%22%7D)"
        for total in "0", "1":  # one is scraped before the first request, and one after it
            wait_until(lambda: f'"{total}"]' in run(f"curl -s '{seen}'").stdout, what="Prometheus has seen the service")
            run(begin[0])
        for command in begin:
            wait_until(lambda: (done := run(command)).returncode == 0 and '"running"' not in done.stdout
                       and ("per_page" not in command or '"total":253' in done.stdout), what=command)
        assert [c.split()[0] for c in fault] == ["curl", "curl", "flagctl", "flagctl"]
        run(fault[0])
        run(fault[1])
        wait_until(lambda: " = false" in run(fault[2]).stdout, 60000, what="the flag is killed")
        assert "alertmanager" in run(fault[3]).stdout
        for command in mend + watch:
            assert run(command).returncode == 0, command
        assert " = true" in run(fault[2]).stdout
        for command in use:  # for a month nothing is stale
            assert run(command).returncode == (4 if "stale" in command else 0), command
        check = lambda: run(f"{TOP}/deploy/check-dashboards --live http://127.0.0.1:9090")
        wait_until(lambda: check().returncode == 0, 90000, every_ms=2000, what="every panel has data")
    except AssertionError:
        print(check().stdout)
        raise
    finally:
        stack.signal(signal.SIGINT)
        stack.p.wait(20)
