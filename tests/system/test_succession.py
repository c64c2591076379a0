"""The primary is gone for good: another goes on from a host's store."""
import json
import os
import pathlib
import signal
import subprocess
import time

from hoist import BUILD, Process, clean_env, free_port, wait_until


def run_primary(lab, store, *args):
    """A primary that is expected to refuse."""
    return subprocess.run([BUILD / "hoistd", "primary", "--store", store, "--listen", f"tcp://127.0.0.1:{free_port(2)}", "--http", "off", *args],
                          env=clean_env(), capture_output=True, text=True, timeout=20)


def versions(lab, store, env="production"):
    return {c["version"]: c["hash"] for c in lab.ok("log", "--limit", "100000", "--store", store, env=env)["changes"]}


def upstreams(daemon, *urls):
    """What it will follow from its next start on."""
    argv, log, popen = daemon.start_args
    kept = [word for i, word in enumerate(argv) if word != "--upstream" and argv[i - 1] != "--upstream"]
    daemon.start_args = ([*kept, *(word for url in urls for word in ("--upstream", url))], log, popen)


def test_a_primary_from_an_agents_store(lab):
    old = lab.primary("--env", "production", "--env", "staging")
    both = ("--env", "production", "--env", "staging")
    relay = lab.relay(*both, name="relay")
    heir = lab.agent(*both, name="heir")
    others = [lab.agent(*both, name="direct"), lab.agent(*both, name="behind", upstream=relay.url)]
    for n in range(30):
        lab.ok("set", f"k{n % 7}", "on" if n % 2 else "off", "-m", f"change {n}", env="production")
    lab.ok("set", "s", "on", env="staging")
    lab.ok("kill", "k1", env="production")
    for env in ("production", "staging"):
        lab.wait_equal(old, relay, heir, *others, env=env)
    had, epoch = versions(lab, heir.store), lab.state(old)["epoch"]
    flags = {env: lab.export(heir.store, env) for env in ("production", "staging")}
    old_url = old.url
    old.kill()
    heir.stop()

    refused = run_primary(lab, heir.store)
    assert refused.returncode == 2 and "--take-over" in refused.stderr
    assert heir.store.stat().st_mode & 0o777 == 0o750, "who is refused opens and closes nothing"
    new = lab.primary("--take-over", name="new", store=heir.store)
    assert new.store.stat().st_mode & 0o777 == 0o700
    assert lab.state(new)["epoch"] > epoch
    for env in flags:
        assert lab.export(new.store, env) == flags[env], "nothing that it had is lost"
    now = versions(lab, new.store)
    assert had.items() <= now.items() and len(now) == len(had) + 1
    head = lab.ok("log", env="production")["changes"][0]
    assert head["kind"] == "epoch" and "taken over" in head["message"]
    assert lab.ok("audit", "verify", env="production")["ok"]

    for daemon in (relay, others[0]):
        daemon.stop()
        upstreams(daemon, new.url)
        daemon.again()
    lab.ok("set", "k3", "off", "-m", "by the new one", env="production")
    lab.ok("rollback", "--flag", "k2", env="production")
    for env in flags:
        lab.wait_equal(new, relay, *others, env=env)
    for daemon in (new, relay, *others):
        answer = lab.flagctl("fsck", "--store", daemon.store)
        assert answer.code == 0, answer

    new.stop()  # it is a primary's store now, and starts like one; the option changes nothing any more
    before = versions(lab, new.store)
    argv, log, popen = new.start_args
    new.start_args = ([word for word in argv if word != "--take-over"], log, popen)
    new.again()
    new.stop()
    new.start_args = (argv, log, popen)
    new.again()
    assert versions(lab, new.store) == before

    old.again()  # the dead come back: nobody follows, and each says so
    lab.url = old_url
    lab.ok("set", "k3", "on", "-m", "by the old one", env="production")
    others[0].stop()
    upstreams(others[0], old_url, new.url)
    others[0].again()
    wait_until(lambda: "older epoch" in others[0].text(), what="the agent names the smaller epoch")
    wait_until(lambda: json.loads(others[0].get("/status"))["upstream"]["url"] == new.url, what="it goes on to the next upstream")
    lab.url = new.url
    lab.ok("set", "k4", "on", env="production")
    lab.wait_equal(new, relay, *others)
    others[0].stop()
    upstreams(others[0], old_url)
    others[0].again()
    said = wait_until(lambda: "older epoch" in (why := lab.state(others[0]).get("why") or "") and why)
    assert lab.state(new)["epoch"] in said
    assert lab.state(others[0])["epoch"] == lab.state(new)["epoch"]
    wait_until(lambda: "If another primary has taken over" in old.text(), what="and the old primary says it, too")

    old.stop()  # as an agent of the new one it follows like any host
    back = lab.agent(*both, name="back", store=old.store)
    for env in flags:
        lab.wait_equal(new, back, env=env)


def test_take_over_says_which_stores_it_is_for(lab):
    primary = lab.primary()
    relay = lab.relay()
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, relay)
    primary.stop()
    relay.stop()
    assert run_primary(lab, relay.store).returncode == 2
    dev = subprocess.run([BUILD / "hoistd", "dev", "--store", relay.store], env=clean_env(), capture_output=True, text=True, timeout=20)
    assert dev.returncode == 2 and "--take-over" in dev.stderr
    assert subprocess.run([BUILD / "hoistd", "agent", "--take-over", "--store", relay.store, "--upstream", "tcp://127.0.0.1:1"],
                          env=clean_env(), capture_output=True, timeout=20).returncode == 2
    config = lab.file("c.yaml", "take_over: true\n")
    assert run_primary(lab, relay.store, "--config", config).returncode == 2, "it is said once, not kept in a file"
    again = lab.primary("--take-over", name="again", store=primary.store)  # a primary's: nothing to take over
    assert lab.ok("log")["changes"][0]["kind"] == "set"
    again.stop()
    lab.primary("--take-over", name="relays", store=relay.store)
    assert lab.ok("log")["changes"][0]["kind"] == "epoch"


def test_kill_9_while_taking_over_leaves_it_to_be_taken_over_again(lab):
    primary = lab.primary()
    agent = lab.agent()
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, agent)
    epoch = lab.state(primary)["epoch"]
    agent.stop()
    primary.stop()
    argv = [BUILD / "hoistd", "primary", "--take-over", "--store", agent.store, "--listen", f"tcp://127.0.0.1:{free_port(2)}", "--http", "off"]
    done = False
    for call in range(1, 60):  # at each write to the disk in turn
        p = Process(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,pwrite64,pwritev", "-e",
                     f"inject=fdatasync,pwrite64,pwritev:signal=KILL:when={call}", *argv], lab.dir / f"p{call}.log")
        lab.all.append(p)
        wait_until(lambda: not p.alive() or "primary runs" in p.text())
        if p.alive():  # strace keeps signals from itself
            for child in pathlib.Path(f"/proc/{p.pid}/task/{p.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGTERM)
            p.p.wait(10)
        head = lab.head(store=agent.store)
        answer = lab.flagctl("fsck", "--store", agent.store)
        assert answer.code == 0, (call, answer)
        if head["epoch"] > epoch:
            done = True
            break
        refused = run_primary(lab, agent.store)
        assert refused.returncode == 2 and "--take-over" in refused.stderr, (call, refused)
    assert done
    lab.primary(name="p", store=agent.store)
    assert lab.ok("log")["changes"][0]["kind"] == "epoch"


def test_hosts_that_trust_a_key_follow_who_has_it(lab):
    """Whether it goes on from a host's store or from a backup, the new epoch is signed by the old key."""
    primary = lab.primary()
    key, trust = primary.store / "sign.key", primary.store / "trust.key"
    heir = lab.agent("--trust", trust, name="heir")
    agent = lab.agent("--trust", trust, name="agent")
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, heir, agent)
    lab.ok("backup", lab.dir / "b", "--store", primary.store)
    assert key.read_text().split()[1].encode() not in (lab.dir / "b").read_bytes(), "no backup has the key"
    primary.kill()
    heir.stop()
    new = lab.primary("--take-over", "--sign-key", key, name="new", store=heir.store, port=primary.port)
    lab.wait_equal(new, agent)  # before any change: the epoch's own is signed
    lab.ok("set", "k", "off")
    lab.wait_equal(new, agent)
    new.kill()
    primary.again()  # the dead come back, and are shown an epoch that their key has signed
    wait_until(lambda: lab.state(primary)["state"] == "refusing", what="the old primary refuses changes")
    primary.kill()

    def recover(name, *args):
        done = subprocess.run([BUILD / "hoistd", "recover", lab.dir / "b", "--store", lab.dir / name, *args], env=clean_env(),
                              capture_output=True, text=True, timeout=30)
        return done.returncode
    assert recover("r", "--sign-key", lab.dir / "nothing") == 2
    assert recover("r", "--sign-key", trust) == 2 and not (lab.dir / "r/current").exists()
    second = int(time.time())
    wait_until(lambda: int(time.time()) > second)  # an epoch begun in the same one may be the smaller
    assert recover("r", "--sign-key", key) == 0
    again = lab.primary("--sign-key", key, name="r", store=lab.dir / "r", port=primary.port)
    lab.wait_equal(again, agent)
    assert lab.ok("audit", "verify", "--trust", trust)["signed"] == 3
    again.kill()

    assert recover("late") == 0  # the key comes after it: nothing says that what is there is its own
    second = int(time.time())
    wait_until(lambda: int(time.time()) > second)
    late = lab.primary("--sign-key", key, name="late", store=lab.dir / "late", port=primary.port)
    assert "is not signed" in late.text() and "flagctl env epoch --new --env production" in late.text()
    young = lab.agent("--trust", trust, name="young", ready=False)  # the other takes its time after so many loads
    wait_until(lambda: "that no key signed" in young.text(), what="the host waits for a change")
    lab.ok("env", "epoch", "--new", env="production")
    lab.wait_equal(late, young)
    late.stop()
    late.again()
    assert late.text().count("is not signed") == 1
    late.kill()

    assert recover("other") == 0  # without it: nobody who trusts the old key follows
    lab.primary(name="other", store=lab.dir / "other", port=primary.port)
    last = lab.agent("--trust", trust, name="last", ready=False)
    wait_until(lambda: "no key signed which this host trusts" in last.text(), what="the host refuses")
    assert lab.state(last)["version"] == 0


def test_a_key_does_not_vouch_for_what_another_has_signed(lab):
    """Else whoever can put a backup or a host's store in our hands has flags of their own signed by our key."""
    ours = lab.primary(name="ours")
    lab.ok("set", "pay", "off", "--type", "boolean")
    ours.stop()
    key = ours.store / "sign.key"
    theirs = lab.primary(name="theirs")
    host = lab.agent(name="host")
    lab.ok("set", "pay", "on", "--type", "boolean")
    lab.wait_equal(theirs, host)
    file = lab.dir / "b"
    lab.ok("backup", file, "--store", theirs.store)
    host.stop()
    theirs.stop()

    def recover(*args):
        return subprocess.run([BUILD / "hoistd", "recover", file, "--store", lab.dir / "r", "--sign-key", key, *args], env=clean_env(),
                              capture_output=True, text=True, timeout=30)
    refused = recover()
    assert refused.returncode == 2 and "signed neither by this key" in refused.stderr and "--force" in refused.stderr, refused
    assert not (lab.dir / "r/current").exists()
    refused = run_primary(lab, host.store, "--take-over", "--sign-key", key)
    assert refused.returncode == 2 and "signed neither by this key" in refused.stderr, refused
    assert lab.ok("log", "--store", host.store)["changes"][0]["kind"] == "set"
    assert lab.ok("backup", file, "--store", host.store)  # the way that the refusal names
    forced = recover("--force")
    assert forced.returncode == 0 and "taken all the same" in forced.stderr
    lab.primary("--take-over", name="made", store=host.store)  # with a key of its own, which nobody trusts
