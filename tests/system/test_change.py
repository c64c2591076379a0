"""One change reaches every host, and a program reads it."""
import subprocess
import time

from hoist import BUILD, clean_env, wait_until


def read(store, key, *args, env="production"):
    """What the example program, which links libhoist, reads from a store."""
    done = subprocess.run([BUILD / "examples/read", "--store", store, "--env", env, *args, key],
                          env=clean_env(), capture_output=True, text=True, timeout=20)
    return done.stdout.strip()


def test_a_change_is_read_on_every_host(lab):
    primary = lab.primary()
    agents = [lab.agent(name=f"host{i}") for i in range(3)]
    done = lab.ok("set", "sync.enabled", "on", "-m", "first")
    assert done["result"] == "changed" and done["created"] == ["sync.enabled"] and done["version"] == 2
    assert lab.wait_equal(primary, *agents) == 2
    for agent in agents:
        assert "true" in read(agent.store, "sync.enabled")
    lab.ok("set", "sync.enabled", "off")
    lab.wait_equal(primary, *agents)
    for agent in agents:
        assert "false" in read(agent.store, "sync.enabled")


def test_a_program_that_watches_sees_each_change(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("set", "limit", "1", "--type", "number")
    lab.wait_equal(primary, agent)
    seen = lab.process([BUILD / "examples/read", "--store", agent.store, "--env", "production", "--watch", "limit"], "seen")
    for value in (11, 12, 13):
        lab.ok("set", "limit", value)
        wait_until(lambda: f" {value}" in seen.text() or f"={value}" in seen.text(), what=f"the program sees {value}")


def test_each_environment_has_its_own_history(lab):
    primary = lab.primary("--env", "staging", "--env", "production")
    agent = lab.agent("--env", "production", "--env", "staging")
    one = lab.agent("--env", "staging", name="one")
    lab.ok("set", "a", "on", env="staging")
    lab.ok("set", "b", "on", env="production")
    lab.ok("set", "b", "off", env="production")
    for env in ("staging", "production"):
        lab.wait_equal(primary, agent, env=env)
    lab.wait_equal(primary, one, env="staging")
    assert [f["key"] for f in lab.ok("list", env="staging", store=agent.store)["flags"]] == ["a"]
    assert [f["key"] for f in lab.ok("list", env="production", store=agent.store)["flags"]] == ["b"]
    assert lab.flagctl("list", "--env", "production", store=one.store).code == 2
    refused = lab.flagctl("set", "c", "on")
    assert refused.code == 2 and "staging" in refused.err and "production" in refused.err
    # the one that the agent names first is the one a program opens when it names none
    assert [f["key"] for f in lab.ok("list", store=agent.store)["flags"]] == ["b"]


def test_a_host_goes_on_reading_when_all_else_is_gone(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, agent)
    primary.kill()
    agent.kill()
    assert "true" in read(agent.store, "k")
    assert lab.flagctl("is", "k", store=agent.store).code == 0
    status = lab.ok("status", store=agent.store)
    assert status["running"] is False and status["environments"][0]["version"] == 2


def test_status_tells_how_old_the_last_word_is(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.wait_equal(primary, agent)
    primary.kill()
    time.sleep(1.5)
    status = wait_until(lambda: (s := lab.ok("status", store=agent.store))["upstream"]["connected"] is False and s)
    assert status["upstream"]["last_word_ms"] >= 1000
    primary.again()
    wait_until(lambda: lab.ok("status", store=agent.store)["upstream"]["connected"])


def test_dev_is_a_primary_that_serves_the_ofrep_port_as_well(lab):
    from hoist import free_port
    port = free_port()
    dev = lab.primary("--ofrep-http", f"127.0.0.1:{port}", role="dev", name="dev")
    import urllib.request
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
        assert answer.status == 200
    lab.ok("set", "k", "on")
    assert "true" in read(dev.store, "k")


def test_an_agent_takes_the_second_upstream_when_the_first_is_gone(lab):
    primary = lab.primary()
    dead = "tcp://127.0.0.1:1"
    agent = lab.agent(upstream=[dead, lab.url])
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, agent)
    assert lab.ok("status", store=agent.store)["upstream"]["url"] == lab.url


def test_a_new_host_takes_100000_flags(lab):
    primary = lab.primary()
    flags = {f"team{i % 100}.flag{i:06}": {"state": "ENABLED", "variants": {"on": True, "off": False},
                                         "defaultVariant": "on" if i % 2 else "off"} for i in range(100000)}
    done = lab.ok("import", lab.file("flags.json", {"flags": flags}), "--force", timeout=120)
    assert len(done["created"]) == 100000
    early = lab.agent(name="early")
    lab.wait_equal(primary, early, limit_ms=120000)
    lab.ok("set", "team1.flag000001", "off")
    late = lab.agent(name="late")
    lab.wait_equal(primary, early, late, limit_ms=120000)


def test_watch_prints_changes_as_they_land(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, agent)
    local = lab.process([BUILD / "flagctl", "watch", "--json", "--store", agent.store], "local")
    remote = lab.process([BUILD / "flagctl", "watch", "--json", "--primary", lab.url], "remote")
    time.sleep(0.5)
    lab.ok("set", "k", "off", "-m", "note this")
    for p in (local, remote):
        wait_until(lambda: "note this" in p.text(), what=f"{p.argv} prints the change")
        assert '"version":3' in p.text().replace(" ", "")


def test_a_program_waits_for_the_environment_that_its_agent_names_first(lab):
    """It must not read another one meanwhile, and then change its mind."""
    primary = lab.primary("--env", "staging")
    agent = lab.agent("--env", "late", "--env", "staging", ready=False)
    lab.ok("set", "k", "on", env="staging")
    wait_until(lambda: lab.state(agent, "staging")["version"] == 2)
    seen = lab.process([BUILD / "examples/read", "--store", agent.store, "--watch", "k"], "seen")
    wait_until(lambda: "k = " in seen.text())
    assert "true" not in seen.text() and lab.flagctl("list", store=agent.store).code == 7
    assert "true" in read(agent.store, "k", env="staging")
    lab.ok("env", "create", "late")
    lab.ok("set", "k", "4711", "--type", "number", env="late")
    wait_until(lambda: "4711" in seen.text())
    assert "true" not in seen.text() and primary.alive()
