"""The key that signs changes is rotated and revoked by signed changes; hosts follow from the first trust file on."""
import json
import shutil
import subprocess

from hoist import BUILD, clean_env, wait_until
from test_trust import forged, trust_of


def new_key(lab, name):
    """A secret key in a file, and its trust file: what a primary makes that nobody follows."""
    maker = lab.primary(name=f"maker-{name}")
    maker.stop()
    return maker.store / "sign.key", trust_of(maker)


def certificates(daemon):
    return daemon.metric("hoist_key_certificates_total")


class Fleet:
    """A primary with two environments, a relay, and an agent behind each of them, which all trust its first key."""

    def __init__(self, lab):
        self.lab = lab
        self.new, self.new_trust = new_key(lab, "new")
        self.primary = lab.primary("--env", "production", "--env", "staging")
        self.old, self.trust = self.primary.store / "sign.key", lab.dir / "first.trust"
        shutil.copy(trust_of(self.primary), self.trust)
        follow = ("--trust", self.trust, "--env", "production", "--env", "staging")
        self.relay = lab.relay(*follow)
        self.near = lab.agent(*follow, name="near")
        self.far = lab.agent(*follow, name="far", upstream=self.relay.url)
        self.hosts = self.relay, self.near, self.far

    def sign_with(self, key):
        self.primary.stop()
        argv, log, popen = self.primary.start_args
        argv = [*argv, "--sign-key", key] if "--sign-key" not in argv else [*argv[:-1], key]
        self.primary.start_args = (argv, log, popen)
        self.primary.again()

    def rotate(self, *wait):
        self.lab.ok("key", "rotate", self.new_trust, "-m", "each year", *wait)
        self.sign_with(self.new)
        return self.lab.ok("key", "revoke", self.trust, *wait)

    def equal(self):
        for env in "production", "staging":
            self.lab.wait_equal(self.primary, *self.hosts, env=env)


def test_a_fleet_follows_a_rotation_and_forgets_the_old_key(lab):
    fleet = Fleet(lab)
    for env in "production", "staging":
        lab.ok("set", "k", 1, "--type", "number", env=env)
    answer = fleet.rotate("--wait")
    assert [e["env"] for e in answer["environments"]] == ["production", "staging"] and answer["wait"]["have"] == 3
    for env in "production", "staging":
        lab.ok("set", "k", 2, "--wait", env=env)
    fleet.equal()
    assert all(certificates(h) == 2 and forged(h) == 0 for h in fleet.hosts)
    told = lab.ok("key", "list")
    assert told["signs"] in fleet.new_trust.read_text() and [k["state"] for k in told["keys"]] == ["revoked"]
    assert lab.flagctl("key", "list", "--raw").out == fleet.new_trust.read_text()
    assert lab.ok("log", env="staging")["changes"][1]["kind"] == "key"
    assert "is revoked" in fleet.far.text() and "is taken from now on" in fleet.far.text()
    assert lab.ok("audit", "verify", "--trust", fleet.trust, env="staging")["signed"] == 5
    answer = lab.flagctl("audit", "verify", "--trust", fleet.new_trust, "--env", "staging")
    assert answer.code == 1 and "keys are followed from" in answer.out
    assert lab.flagctl("fsck", store=fleet.primary.store).code == 0
    assert lab.flagctl("fsck", store=fleet.far.store).code == 0


def test_hosts_that_were_away_and_hosts_that_are_new(lab):
    fleet = Fleet(lab)
    lab.ok("set", "k", 1, "--type", "number", env="production")
    fleet.far.stop()
    for n in range(30):
        lab.ok("set", "k", n, env="production")
    fleet.relay.stop()
    fleet.rotate()
    lab.ok("set", "k", 99, env="production")
    fleet.relay.again()
    fleet.far.again()
    fleet.equal()
    fresh = lab.agent("--trust", fleet.trust, name="fresh", upstream=fleet.relay.url)
    newest = lab.agent("--trust", fleet.new_trust, name="newest", upstream=fleet.relay.url)
    lab.wait_equal(fleet.primary, fresh, newest)
    for host in fleet.far, fleet.relay, fresh:  # what they learnt they know at the next start, too
        host.stop()
        host.again()
    lab.ok("set", "k", 100, "--wait", env="production")
    lab.wait_equal(fleet.primary, fleet.far, fresh, newest)
    assert sum(forged(h) for h in (*fleet.hosts, fresh, newest)) == 0


def test_what_a_revoked_key_signs_is_not_taken_even_if_the_file_has_it(lab):
    fleet = Fleet(lab)
    lab.ok("set", "k", "real", "--type", "string", env="production")
    copy = lab.dir / "stolen"
    fleet.primary.stop()
    shutil.copytree(fleet.primary.store, copy, symlinks=True)
    fleet.primary.again()
    fleet.rotate("--wait")
    thief = lab.primary(name="stolen")
    assert lab.flagctl("env", "epoch", "--new", "--env", "production", primary=thief.url).code == 0
    assert lab.flagctl("set", "k", "stolen", "--env", "production", primary=thief.url).code == 0
    lab.url = fleet.primary.url
    fleet.near.stop()
    victim = lab.agent("--trust", fleet.trust, name="near", upstream=[thief.url, fleet.primary.url], store=fleet.near.store)
    wait_until(lambda: forged(victim) > 0)
    lab.ok("set", "k", "true", env="production")
    wait_until(lambda: lab.ok("get", "k", store=victim.store)["value"] == "true")


def test_a_primary_says_when_its_key_is_not_the_one_that_hosts_trust(lab):
    fleet = Fleet(lab)
    lab.ok("set", "k", 1, "--type", "number", env="production")
    other, _ = new_key(lab, "other")
    lab.url = fleet.primary.url
    fleet.sign_with(other)
    assert "no certificate leads from one to the other" in fleet.primary.text()
    fleet.sign_with(fleet.old)
    fleet.rotate()
    fleet.primary.stop()
    argv = [*fleet.primary.start_args[0][:-1], fleet.old]
    done = subprocess.run(list(map(str, argv)), env=clean_env(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "was revoked" in done.stderr, done


def test_what_a_revoked_key_had_brought_in_is_trusted_by_nobody(lab):
    """The first key was stolen, and the thief had another brought in before the owner rotated."""
    fleet = Fleet(lab)
    lab.ok("set", "k", 1, "--type", "number", env="production")
    thief, thief_trust = new_key(lab, "thief")
    lab.url = fleet.primary.url
    lab.ok("key", "rotate", thief_trust, "--wait")
    stolen = thief_trust.read_text().split()[1]
    assert {"key": stolen, "state": "trusted"} in lab.ok("key", "list")["keys"]
    assert stolen not in lab.flagctl("key", "list", "--raw").out, "in a trust file it would outlive the revocation"
    fleet.rotate("--wait")
    assert {"key": stolen, "state": "dropped"} in lab.ok("key", "list")["keys"]
    assert lab.flagctl("key", "list", "--raw").out == fleet.new_trust.read_text()
    fleet.primary.stop()
    argv = [*fleet.primary.start_args[0][:-1], thief]
    done = subprocess.run(list(map(str, argv)), env=clean_env(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "had rotated to it was revoked" in done.stderr, done
    fleet.primary.again()
    lab.ok("set", "k", 2, "--wait", env="production")


def test_what_cannot_be_said_of_a_key_is_refused(lab):
    fleet = Fleet(lab)
    own, new = (t.read_text().split()[1] for t in (fleet.trust, fleet.new_trust))
    assert lab.flagctl("key", "rotate", own).code == 5
    answer = lab.flagctl("key", "revoke", own)
    assert answer.code == 5 and "start this primary with it" in answer.err
    assert lab.flagctl("key", "rotate", "no-file").code == 2
    assert lab.flagctl("key", "rotate", "77" * 31).code == 2
    lab.ok("key", "rotate", new)
    assert lab.flagctl("key", "rotate", new).code == 5
    lab.ok("key", "revoke", new)
    answer = lab.flagctl("key", "rotate", new, "--json")
    assert answer.code == 5 and "for ever" in answer.error["message"]


def test_a_trust_file_that_leads_nowhere_is_named_as_old(lab):
    fleet = Fleet(lab)
    fleet.rotate()
    _, third = new_key(lab, "third")
    lab.url = fleet.primary.url
    stranger = lab.agent("--trust", third, name="stranger", ready=False)
    wait_until(lambda: "The trust file is old" in stranger.text() and "flagctl key list --raw" in stranger.text())


def test_a_recovered_primary_goes_on_with_its_keys(lab):
    fleet = Fleet(lab)
    fleet.rotate()
    lab.ok("set", "k", 1, "--type", "number", env="production")
    assert lab.flagctl("backup", lab.dir / "copy", store=fleet.primary.store).code == 0
    fleet.primary.kill()

    def recover(key):
        return subprocess.run([BUILD / "hoistd", "recover", lab.dir / "copy", "--store", lab.dir / "recovered", "--sign-key", key],
                              env=clean_env(), capture_output=True, text=True, timeout=60)
    refused = recover(fleet.old)
    assert refused.returncode == 2 and "was revoked" in refused.stderr and not (lab.dir / "recovered/current").exists(), refused
    done = recover(fleet.new)
    assert done.returncode == 0, done
    heir = lab.primary("--sign-key", fleet.new, name="recovered", port=fleet.primary.port)
    assert json.loads(lab.flagctl("key", "list", "--json").out)["keys"][0]["state"] == "revoked"
    lab.ok("set", "k", 2, env="production")
    lab.wait_equal(heir, *fleet.hosts)


def test_a_host_that_was_set_up_after_a_rotation_becomes_the_primary(lab):
    """What led to the key of its trust file is still to be told to hosts that have the first one."""
    fleet = Fleet(lab)
    lab.ok("set", "k", 1, "--type", "number", env="production")
    fleet.equal()
    fleet.near.stop()
    fleet.rotate()
    heir = lab.agent("--trust", fleet.new_trust, "--env", "production", "--env", "staging", name="heir")
    lab.ok("set", "k", 2, env="production")
    lab.wait_equal(fleet.primary, heir)
    heard = "hoist_last_heartbeat_timestamp_seconds"
    last = heir.metric(heard)
    wait_until(lambda: heir.metric(heard) > last)
    heir.stop()
    fleet.primary.kill()
    taken = lab.primary("--take-over", "--sign-key", fleet.new, name="heir", port=fleet.primary.port)
    told = lab.ok("key", "list")
    assert sorted(c["kind"] for c in told["certificates"]) == ["revoke", "rotate"] and [k["state"] for k in told["keys"]] == ["revoked"]
    fleet.near.again()
    lab.ok("set", "k", 3, env="production")
    lab.wait_equal(taken, *fleet.hosts)
    assert certificates(fleet.near) == 2
