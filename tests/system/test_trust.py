"""Changes are signed by the primary, and hosts take only what a key that they trust has signed."""
import json
import stat

from hoist import clean_env, free_port, BUILD, wait_until
from message_proxy import MessageProxy
import subprocess


def trust_of(primary):
    return primary.store / "trust.key"


def forged(daemon):
    return daemon.metric('hoist_frames_refused_total{reason="forged"}')


def test_a_primary_makes_its_key_and_signs_every_change(lab):
    primary = lab.primary()
    key, trust = primary.store / "sign.key", trust_of(primary)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().split()[1] not in primary.text() and str(trust) in primary.text()
    for n in range(3):
        lab.ok("set", "k", n, "--type", "number")
    verdict = lab.ok("audit", "verify", "--trust", trust)
    assert (verdict["ok"], verdict["changes"], verdict["signed"]) == (True, 4, 4)
    before = key.read_text()
    primary.stop()
    primary.again()
    assert key.read_text() == before
    lab.ok("set", "k", 9)
    assert lab.ok("audit", "verify", "--trust", trust)["signed"] == 5


def test_hosts_follow_the_primary_whose_key_they_trust(lab):
    primary = lab.primary()
    lab.ok("set", "k", 1, "--type", "number")
    relay = lab.relay("--trust", trust_of(primary))
    agent = lab.agent("--trust", trust_of(primary), upstream=relay.url)
    for n in range(20):
        lab.ok("set", "k", n, "--wait")
    lab.wait_equal(primary, relay, agent)
    agent.stop()
    for n in range(20):
        lab.ok("set", "k", 100 + n)
    agent.again()
    lab.wait_equal(primary, relay, agent)
    lab.ok("env", "epoch", "--new")
    lab.wait_equal(primary, relay, agent)
    assert forged(agent) == forged(relay) == 0


def test_what_another_key_signed_is_not_taken_and_another_upstream_is(lab):
    real = lab.primary()
    lab.ok("set", "k", "real", "--type", "string")
    rogue = lab.primary(name="rogue")
    assert lab.flagctl("set", "k", "rogue", "--type", "string", primary=rogue.url).code == 0
    lab.url = real.url
    agent = lab.agent("--trust", trust_of(real), upstream=[rogue.url, real.url])
    lab.wait_equal(real, agent)
    assert forged(agent) > 0 and "no key signed which this host trusts" in agent.text()
    assert lab.ok("get", "k", "--store", agent.store)["value"] == "real"
    alone = lab.agent("--trust", trust_of(real), name="alone", upstream=rogue.url, ready=False)
    wait_until(lambda: forged(alone) > 0)
    assert lab.flagctl("get", "k", store=alone.store).code != 0


def test_a_key_elsewhere_and_one_that_is_wrong(lab):
    key = lab.file("elsewhere.key", "hoist-sign-1 " + "7a" * 32 + "\n")
    key.chmod(0o600)
    primary = lab.primary("--sign-key", key)
    assert not trust_of(primary).exists() and not (primary.store / "sign.key").exists()
    lab.ok("set", "k", "on")
    for text, mode, says in (("hoist-sign-1 77\n", 0o600, "64 hex digits"), ("hoist-sign-1 " + "7a" * 32, 0o644, "chmod 600")):
        bad = lab.file("bad.key", text)
        bad.chmod(mode)
        done = subprocess.run([BUILD / "hoistd", "primary", "--store", lab.dir / "other", "--http", "off", "--listen",
                               f"ipc://{lab.dir}/s", "--sign-key", bad], env=clean_env(), capture_output=True, text=True, timeout=20)
        assert done.returncode == 2 and says in done.stderr, done
    done = subprocess.run([BUILD / "hoistd", "agent", "--upstream", primary.url, "--trust", lab.file("none", "# none\n")],
                          env=clean_env(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "no key in it" in done.stderr


def test_an_audit_trail_that_somebody_else_signed_is_named(lab):
    primary = lab.primary()
    lab.ok("set", "k", "on")
    other = lab.file("other.key", "hoist-trust-1 fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025\n")
    answer = lab.flagctl("audit", "verify", "--trust", other, "--json")
    assert answer.code == 1 and json.loads(answer.out)["broken"]["version"] == 1
    kept = lab.file("audit.jsonl", lab.flagctl("audit", "export").out)
    assert lab.flagctl("audit", "verify", kept, "--trust", trust_of(primary)).code == 0
    assert lab.flagctl("audit", "verify", kept, "--trust", other).code == 1
    assert lab.flagctl("audit", "verify", kept, "--trust", lab.dir / "absent").code == 2


def test_an_audit_ends_whatever_the_other_side_says(lab):
    primary = lab.primary()
    lab.ok("set", "k", "on")
    liar = MessageProxy(free_port(2), primary.port)
    liar.reply = lambda frame: [frame.replace(b'"more":false', b'"more":true ')]
    try:
        for what in "verify", "export":
            answer = lab.flagctl("audit", what, primary=liar.url, timeout=20)
            assert answer.code == 1 and "more behind v2, and none is given" in answer.err, answer
    finally:
        liar.close()
