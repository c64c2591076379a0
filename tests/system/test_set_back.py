"""A primary that starts from an older store while it is written to and followed: no host goes back within an epoch, nothing that is
acknowledged afterwards is lost, and in the end all are equal."""
import shutil
import subprocess
import time

import pytest

from fake_host import FakeHost
from faults import Load, check_history, figures, seeded
from hoist import BUILD, clean_env, wait_until
from test_crash_fleet import check_stores

WRITES = 40


def written(primary, index, dice, more=lambda: True):
    """A load until it has had so many answers and `more` agrees."""
    load = Load(primary.port, index, dice)
    load.start()
    wait_until(lambda: len(load.acknowledged) >= WRITES and more(), what=f"writes {index}")
    load.end()
    return load


def copy_back(lab, primary):
    shutil.rmtree(primary.store)
    shutil.copytree(lab.dir / "older", primary.store, symlinks=True)


def recover(lab, primary):
    key = shutil.copy(primary.store / "sign.key", lab.dir / "sign.key")
    shutil.rmtree(primary.store)
    subprocess.run([BUILD / "hoistd", "recover", lab.dir / "backup", "--store", primary.store, "--sign-key", key], env=clean_env(), check=True)
    shutil.copy(key, primary.store / "sign.key")
    shutil.copy(lab.dir / "trust.key", primary.store / "trust.key")


@pytest.mark.parametrize("older", [copy_back, recover])
def test_an_older_store_under_load_soak(lab, older):
    dice = seeded("set back")
    primary = lab.primary()
    trust = ("--trust", shutil.copy(primary.store / "trust.key", lab.dir / "trust.key"))
    relay = lab.relay(*trust, name="relay")
    hosts = [relay, lab.agent(*trust, name="behind", upstream=relay.url), lab.agent(*trust, name="beside", upstream=primary.url)]
    lab.ok("import", lab.file("load.json", Load.file()))
    kept = written(primary, 0, dice)
    lab.ok("backup", lab.dir / "backup", "--store", primary.store)
    primary.stop()
    shutil.copytree(primary.store, lab.dir / "older", symlinks=True)
    primary.again()
    gone = written(primary, 1, dice)  # in no store but the hosts' once the older one is back
    lab.wait_equal(primary, *hosts)
    before = lab.state(primary)
    primary.kill()
    older(lab, primary)

    after = Load(primary.port, 2, dice)  # it asks already, and is the first to be heard
    after.start()
    primary.again()
    if older is copy_back:
        wait_until(lambda: lab.state(primary)["state"] == "refusing", what="the primary hears of what it has not, and refuses")
        wait_until(lambda: after.refused, what="and says so to who writes")
        wait_until(lambda: all(lab.state(h)["state"] == "diverged" for h in hosts[::2]), what="its hosts keep what they have")
        for host in hosts:
            assert (lab.state(host)["epoch"], lab.state(host)["version"]) == (before["epoch"], before["version"])
        assert "env epoch" in lab.flagctl("set", "load.1", "1").err
        lab.ok("env", "epoch", "--new")
    done = len(after.acknowledged)
    wait_until(lambda: len(after.acknowledged) >= done + WRITES, what="it takes changes again")
    after.end()
    check_stores(lab, primary, hosts)
    assert lab.state(primary)["epoch"] > before["epoch"]
    check_history(lab, [kept, after])
    figures(f"set back ({older.__name__}): {len(gone.acknowledged)} changes gone with the newer store, {len(after.acknowledged)} acknowledged "
            f"afterwards ({done} before a new epoch), {len(after.refused)} refused, lost 0, 4 stores equal")


def test_an_invented_version_stops_nothing(lab):
    """Whoever reaches the primary, or a relay, may say that he has what it has not."""
    primary = lab.primary()
    relay = lab.relay()
    lab.ok("set", "k", "on")
    lab.wait_equal(primary, relay)
    epoch = int(lab.state(primary)["epoch"], 16)
    head = ["production", epoch, 10 ** 6, bytes(32), bytes(32), 1, 0]
    FakeHost(primary.port, "greeter").ask([10, 1, "greeter", 7, "0.1.0", 1, "agent", [head], 0])
    FakeHost(primary.port, "direct").tell(10 ** 6, epoch)
    FakeHost(primary.port, "forger").tell(10 ** 6, epoch, proofs=[["production", b"\x93\xc4\x00\xc0\xc4\x00"]])
    FakeHost(relay.port, "behind").tell(10 ** 6, epoch)
    shown = lambda: {h["id"]: h["version"] for h in lab.ok("fleet")["hosts"]}
    wait_until(lambda: all(shown().get(name) == 10 ** 6 for name in ("greeter", "direct", "forger", "behind")), what="they are shown as they say")
    lab.ok("set", "k", "off")
    lab.wait_equal(primary, relay)
    assert lab.state(primary)["state"] == "current"
    assert primary.metric('hoist_frames_refused_total{reason="unproven"}') == 2
    assert primary.metric('hoist_frames_refused_total{reason="forged"}') == 1
    assert primary.text().count("is not believed") == 1 and "'direct'" in primary.text()


def test_an_invented_epoch_stops_and_moves_nothing(lab):
    primary = lab.primary()
    lab.ok("set", "k", "on")
    epoch, lines = int(lab.state(primary)["epoch"], 16), len(primary.text().splitlines())
    liar = FakeHost(primary.port, "liar")
    for n in range(1000):
        liar.tell(5, epoch + n + 1)
    liar.tell(5, 2 ** 63 - 1)
    assert primary.text().count("is not believed") == 1 and len(primary.text().splitlines()) == lines + 1
    assert primary.metric('hoist_frames_refused_total{reason="unproven"}') == 1001
    assert [h["state"] for h in lab.ok("fleet")["hosts"]] == ["refusing"]
    lab.ok("set", "k", "off")
    assert lab.state(primary)["state"] == "current"
    lab.ok("env", "epoch", "--new")
    assert int(lab.state(primary)["epoch"], 16) < epoch + (24 * 3600 << 24), "nobody else has a say in it"


@pytest.mark.parametrize("pause", [0, 4])
def test_a_primary_from_before_an_epoch_refuses_changes(lab, pause):
    """At once its heartbeats are taken for old ones, and its hosts have no reason to ask; later they say hello."""
    primary = lab.primary()
    host = lab.agent("--trust", shutil.copy(primary.store / "trust.key", lab.dir / "trust.key"))
    lab.ok("set", "pay", "on")
    has = lab.wait_equal(primary, host)
    wait_until(lambda: [h["version"] for h in lab.ok("fleet")["hosts"]] == [has], what="the primary knows of its host, and so will the older store")
    primary.stop()
    shutil.copytree(primary.store, lab.dir / "older", symlinks=True)
    primary.again()
    lab.ok("env", "epoch", "--new")
    lab.wait_equal(primary, host)
    newer = lab.state(host)["epoch"]
    primary.stop()
    copy_back(lab, primary)
    time.sleep(pause)
    primary.again()
    killed = lab.flagctl("kill", "pay", "--wait", "--timeout", "2s")
    assert killed.code in (5, 6), "whether it is refused or only waited for, no host has it"
    wait_until(lambda: lab.state(primary)["state"] == "refusing", what="the primary is shown the greater epoch, and refuses")
    refused = lab.flagctl("kill", "pay")
    assert refused.code == 5 and "another has taken over" in refused.err and "env epoch" in refused.err, refused
    assert lab.state(primary)["epoch"] < newer == lab.state(host)["epoch"]
    assert [h["state"] for h in lab.ok("fleet")["hosts"]] == ["refusing"]
    lab.ok("env", "epoch", "--new")
    lab.wait_equal(primary, host)
    assert lab.state(host)["epoch"] > newer
    lab.ok("kill", "pay", "--wait")


@pytest.mark.parametrize("ahead", ["relay", "agent"])
def test_who_hangs_on_a_relay_proves_it_too(lab, ahead):
    """The one host that has the newer versions is the relay, whose agent is away, or an agent behind a relay that began anew."""
    primary = lab.primary()
    trust = ("--trust", shutil.copy(primary.store / "trust.key", lab.dir / "trust.key"))
    relay = lab.relay(*trust)
    agent = lab.agent(*trust, upstream=relay.url)
    lab.ok("set", "k", "on")
    primary.stop()
    shutil.copytree(primary.store, lab.dir / "older", symlinks=True)
    primary.again()
    for n in range(5):
        lab.ok("set", "k", "off" if n % 2 else "on")
    lab.wait_equal(primary, relay, agent)
    primary.stop()
    if ahead == "relay":
        agent.stop()
    else:
        relay.stop()
        shutil.rmtree(relay.store)
    copy_back(lab, primary)
    primary.again()
    if ahead == "agent":
        relay.again()
    wait_until(lambda: lab.state(primary)["state"] == "refusing", what="the primary is shown what it has not")
    refused = lab.flagctl("set", "k", "on")
    assert refused.code != 0 and "env epoch" in refused.err
    assert f"host '{ahead}' has version" in primary.text()
