"""A CA of the fleet's own, bundles that hosts and people join by, and HTTPS."""
import contextlib
import signal
import subprocess
import time

import pytest

from hoist import BUILD, SANITIZED, TOP, Answer, Daemon, clean_env, free_port, wait_until


class Fleet:
    """Hosts and people with bundles of one CA. Every output is kept, to be searched for secrets."""

    def __init__(self, lab):
        self.lab, self.said = lab, ""
        self.url = f"tls+tcp://127.0.0.1:{free_port(2)}"
        assert self.certs("init", "ca", "--name", "test-fleet").code == 0

    def run(self, *argv, **env):
        answer = Answer(subprocess.run([str(word) for word in argv], cwd=self.lab.dir, env=clean_env(HOME=self.lab.dir, **env),
                                       capture_output=True, text=True, timeout=60))
        self.said += answer.out + answer.err
        return answer

    def certs(self, *words, **env):
        return self.run(BUILD / "hoistd", "certs", *words, **env)

    def issue(self, name, *words, ca="ca", **env):
        answer = self.certs("issue", name, "--dir", ca, *words, **env)
        assert answer.code == 0, answer
        return self.bundle(name)

    def bundle(self, name):
        return self.lab.dir / f"{name}.bundle"

    def renew(self, name, *words, ca="ca"):
        answer = self.certs("renew", self.bundle(name), "--dir", ca, *words)
        assert answer.code == 0, answer
        return answer

    def start(self, role, name, *args, **popen):
        d = Daemon(self.lab, role, name, ["--id", name, "--join", self.bundle(name), *args], self.lab.dir / name, free_port(), **popen)
        self.lab.all.append(d)
        return d

    def primary(self, *args, host="127.0.0.1"):
        self.issue("primary", "--host", host)
        primary = self.start("primary", "primary", "--listen", self.url, "--listen", f"ipc://{self.lab.dir}/p.sock", *args).wait_ready()
        self.lab.url = f"ipc://{self.lab.dir}/p.sock"
        return primary

    def follow(self, primary):
        """What a bundle of one who follows the primary takes."""
        return ["--upstream", self.url, "--trust", primary.store / "trust.key"]

    def flagctl(self, *words, person="ana"):
        return self.run(BUILD / "flagctl", *words, "--join", self.bundle(person))


@pytest.fixture
def fleet(lab):
    return Fleet(lab)


def key_lines(bundle):
    """What must never be seen outside the file: the lines of the key."""
    text = bundle.read_text()
    key = text.split("-----BEGIN PRIVATE KEY-----\n")[1].split("-----END")[0]
    return key.split()


def hup(*daemons):
    for d in daemons:
        count = d.text().count("new certificates are in use")
        d.signal(signal.SIGHUP)
        wait_until(lambda: d.text().count("new certificates are in use") > count, what=f"{d.name} took new certificates")


def test_a_whole_fleet_joins_by_bundles_and_renews_them(lab, fleet):
    primary = fleet.primary()
    port = free_port(2)
    fleet.issue("relay", "--host", "127.0.0.1", *fleet.follow(primary))
    fleet.issue("host1", "--upstream", f"tls+tcp://127.0.0.1:{port}", "--trust", primary.store / "trust.key")
    fleet.issue("ana", "--upstream", fleet.url)
    relay = fleet.start("relay", "relay", "--listen", f"tls+tcp://127.0.0.1:{port}").wait_ready()
    agent = fleet.start("agent", "host1").wait_ready()
    daemons = (primary, relay, agent)
    names = ("primary", "relay", "host1", "ana")

    answer = fleet.flagctl("set", "k", "on", "--wait", "--json")
    assert answer.code == 0 and answer.json["wait"]["have"] == 2, answer
    lab.wait_equal(*daemons)
    secrets = {line for name in names for line in key_lines(fleet.bundle(name))}
    for name in names:
        fleet.renew(name, "--days", "30")
    began = time.monotonic()
    hup(*daemons)
    for n in range(20):
        assert fleet.flagctl("set", "k", ["off", "on"][n % 2], "--wait").code == 0
    lab.wait_equal(*daemons)
    print(f"renewed on three hosts, and 20 changes waited for, in {time.monotonic() - began:.1f} s")
    for d in daemons:
        assert 29 * 86400 < d.metric("hoist_certificate_expires_seconds") < 30 * 86400
        status = lab.ok("status", store=d.store) if d is not primary else lab.ok("status")
        assert status["certificate"]["days_left"] == 29

    secrets |= {line for name in names for line in key_lines(fleet.bundle(name))}
    secrets |= set((lab.dir / "ca/ca.key").read_text().split("\n")[1:-2])
    seen = fleet.said
    for d in daemons:
        seen += d.text() + d.get("/metrics") + d.get("/status") + open(f"/proc/{d.pid}/cmdline").read() + open(f"/proc/{d.pid}/environ").read()
    assert len(secrets) > 20 and not [s for s in secrets if s in seen]


def test_a_new_ca_in_three_rounds(lab, fleet):
    primary = fleet.primary()
    fleet.issue("host1", *fleet.follow(primary))
    agent = fleet.start("agent", "host1").wait_ready()
    assert fleet.certs("init", "newca").code == 0
    append = lambda name, ca: fleet.bundle(name).write_text(fleet.bundle(name).read_text() + (lab.dir / ca / "ca.crt").read_text())
    renew = lambda name: renewals.append(fleet.certs("renew", fleet.bundle(name), "--dir", "newca"))
    renewals = []
    rounds = [[lambda name: append(name, "newca")], [renew, lambda name: append(name, "ca")], [renew]]
    for steps in rounds:
        for daemon, name in ((primary, "primary"), (agent, "host1")):
            for step in steps:
                step(name)
            hup(daemon)
            assert lab.ok("set", "k", time.monotonic_ns() % 1000000, "--type", "number", "--wait")["wait"]["have"] == 1
    assert "issuer    hoist-ca" in fleet.certs("show", fleet.bundle("host1")).out
    assert fleet.bundle("host1").read_text().count("BEGIN CERTIFICATE") == 2
    assert len(renewals) == 4 and all("1 other CA was taken out of it" in answer.out for answer in renewals), renewals
    assert "taken out" not in fleet.certs("renew", fleet.bundle("host1"), "--dir", "newca").out


def test_a_bundle_in_flagctls_file(lab, fleet):
    primary = fleet.primary()
    fleet.issue("ana", *fleet.follow(primary))
    config = lab.dir / ".config/hoist/flagctl.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"join: {fleet.bundle('ana')}\n")
    assert fleet.run(BUILD / "flagctl", "set", "k", "on").code == 0
    assert fleet.run(BUILD / "flagctl", "get", "k", "--raw").out == "true\n"


def test_options_win_over_the_bundle(lab, fleet):
    primary = fleet.primary()
    fleet.issue("host1", "--upstream", "tls+tcp://10.0.0.1:7400")
    refused = fleet.run(BUILD / "hoistd", "agent", "--join", fleet.bundle("host1"), "--store", "x", "--http", "off")
    assert refused.code == 2 and "--trust" in refused.err  # nobody is named whose changes are believed
    fleet.start("agent", "host1", *fleet.follow(primary)).wait_ready()
    assert fleet.flagctl("set", "k", "on", "--primary", fleet.url, person="host1").code == 0


@pytest.fixture
def past(lab):
    """The environment of a program for which it is 40 days ago."""
    return {"LD_PRELOAD": BUILD.resolve() / "tests/system/clock_shift.so", "CLOCK_SHIFT_FILE": lab.file("clock", str(-40 * 86400))}


def refused_start(fleet, name):
    answer = fleet.run(BUILD / "hoistd", "agent", "--join", fleet.bundle(name), "--store", "x", "--http", "off")
    assert answer.code == 2 and not [s for s in key_lines(fleet.bundle(name)) if s in answer.err], answer
    return answer.err


def test_a_bundle_that_others_can_read_is_not_used(lab, fleet):
    fleet.issue("ana", "--upstream", fleet.url)
    for mode in (0o640, 0o604):
        fleet.bundle("ana").chmod(mode)
        assert "chmod 600" in refused_start(fleet, "ana")
        answer = fleet.flagctl("env", "list")
        assert answer.code == 2 and "chmod 600" in answer.err


def test_a_damaged_bundle_is_not_used(lab, fleet):
    bundle = fleet.issue("host1", "--upstream", fleet.url)
    other = fleet.issue("host2")
    whole = bundle.read_text()
    bundle.write_text(whole.replace("upstream ", "upstreem "))
    assert "line 2: neither 'upstream'" in refused_start(fleet, "host1")
    bundle.write_text(whole.replace("\n".join(key_lines(bundle)), "\n".join(key_lines(other))))
    assert "secret key is not the certificate's" in refused_start(fleet, "host1")
    bundle.write_text(whole)


@pytest.mark.skipif(SANITIZED, reason="what is preloaded comes before the sanitizer")
def test_expired_and_foreign_bundles_and_wrong_names_get_no_connection(lab, fleet, past):
    assert fleet.certs("init", "old", **past).code == 0
    assert fleet.certs("init", "foreign").code == 0
    fleet.issue("expired", "--days", "30", "--upstream", fleet.url, ca="old", **past)
    fleet.issue("stranger", "--upstream", fleet.url, ca="foreign")
    (lab.dir / "ca").rename(lab.dir / "unused")
    (lab.dir / "old").rename(lab.dir / "ca")
    primary = fleet.primary()
    fleet.issue("ana", "--upstream", fleet.url)
    assert fleet.flagctl("set", "k", "on").code == 0
    for person in ("expired", "stranger"):
        answer = fleet.flagctl("set", "k", "off", "--timeout", "1s", person=person)
        assert answer.code == 1 and "nobody answers" in answer.err, answer
    late = fleet.start("agent", "expired", "--trust", primary.store / "trust.key").wait_up()
    assert "the certificate of expired ended on" in late.text() and late.metric("hoist_certificate_expires_seconds") < 0
    assert lab.ok("get", "k")["value"] is True
    primary.stop()
    fleet.bundle("primary").unlink()
    fleet.primary(host="10.9.9.9")  # not where it listens
    answer = fleet.flagctl("env", "list", "--timeout", "1s")
    assert answer.code == 7, answer


def test_over_tls_from_another_machine_who_has_no_grant_only_reads(lab, fleet):
    near, port = fleet.url, fleet.url.split(":")[-1]
    fleet.url = f"tls+tcp://0.0.0.0:{port}"
    fleet.primary()
    fleet.issue("ana")
    far = ("--primary", f"tls+tcp://127.0.0.9:{port}", "--tls-server-name", "127.0.0.1")  # it comes from 127.0.0.1
    assert fleet.flagctl("set", "k", "on", "--primary", near).code == 0  # from this machine
    answer = fleet.flagctl("set", "k", "off", "--json", *far)
    assert answer.code == 5 and "that takes the role editor" in answer.error["message"], answer
    assert fleet.flagctl("get", "k", "--raw", *far).out == "true\n"
    signed = ("--identity", lab.dir / "ana.key")
    key = lab.ok("key", "new", signed[1])["key"]
    assert fleet.flagctl("set", "k", "off", *signed, *far).code == 5
    lab.ok("access", "grant", "ana", "editor", "--key", key)
    assert fleet.flagctl("set", "k", "off", *signed, *far).code == 0
    assert fleet.flagctl("get", "k", "--raw", *far).out == "false\n"


def test_a_clients_certificate_is_no_servers(lab, fleet):
    fleet.issue("primary")
    fleet.issue("ana", "--upstream", fleet.url)
    fleet.start("primary", "primary", "--listen", fleet.url).wait_ready()
    assert fleet.flagctl("env", "list", "--timeout", "1s").code == 7


# ---------------------------------------------------------------- private environments


class PrivateFleet(Fleet):
    """A primary with the private environment `secret`, as docs/security.md has it."""

    def __init__(self, lab):
        super().__init__(lab)
        self.private_url = f"tls+tcp://127.0.0.1:{free_port(2)}"
        self.envs = ("--env", "production", "--env", "secret")
        self.options = (*self.envs, "--private", f"secret={self.private_url}")
        assert self.certs("init", "private").code == 0
        own = self.issue("private-primary", "--host", "127.0.0.1", ca="private")
        self.master = self.primary(*self.options, "--private-join", own)
        lab.ok("set", "k", "on", env="secret")

    def host(self, name, *words, ca, upstream=None):
        return self.issue(name, *words, "--upstream", upstream or self.private_url, "--trust", self.master.store / "trust.key", ca=ca)

    def grant(self, name, *words, upstream=None):
        return self.host(name, *words, ca="private", upstream=upstream)


def shut_out(lab, agent):
    wait_until(lambda: "no connection to" in agent.text(), what=f"{agent.name} says why it has none")
    assert lab.state(agent, "secret")["version"] == 0


def test_a_private_environment_is_for_hosts_of_its_own_ca(lab):
    fleet = PrivateFleet(lab)
    fleet.grant("granted")
    fleet.host("other", ca="ca")
    granted = fleet.start("agent", "granted", *fleet.envs).wait_ready()
    other = fleet.start("agent", "other", "--env", "secret").wait_up()
    lab.wait_equal(fleet.master, granted, env="secret")
    shut_out(lab, other)


def test_a_relay_of_a_private_environment_is_for_hosts_of_its_ca(lab):
    fleet, port = PrivateFleet(lab), free_port(2)
    url = f"tls+tcp://127.0.0.1:{port}"
    fleet.grant("relay7", "--host", "127.0.0.1")
    fleet.grant("granted", upstream=url)
    spy = fleet.host("spy", ca="ca", upstream=url)
    with open(spy, "a") as bundle:  # it believes the relay; the relay does not believe it
        bundle.write((lab.dir / "private/ca.crt").read_text())
    relay = fleet.start("relay", "relay7", *fleet.envs, "--listen", url).wait_ready()
    granted = fleet.start("agent", "granted", *fleet.envs).wait_ready()
    other = fleet.start("agent", "spy", "--env", "secret").wait_up()
    lab.wait_equal(fleet.master, relay, granted, env="secret")
    shut_out(lab, other)


def test_https_of_a_granted_host_is_for_its_ca(lab):
    fleet, at = PrivateFleet(lab), f"https://127.0.0.1:{free_port()}"
    fleet.grant("host7", "--host", "127.0.0.1")
    fleet.grant("eve")
    fleet.issue("ana", *fleet.follow(fleet.master))
    lab.process([BUILD / "hoistd", "agent", "--id", "host7", "--join", fleet.bundle("host7"), "--store", lab.dir / "host7", "--http", at, *fleet.envs],
                "host7")
    wait_until(lambda: lab.ok("status", store=lab.dir / "host7")["ready"])
    ask = lambda person: fleet.run("curl", "-sS", "--max-time", "20", "--cacert", lab.dir / "private/ca.crt", "--cert", fleet.bundle(person),
                                   "--key", fleet.bundle(person), *EVALUATE, at + "/env/secret/ofrep/v1/evaluate/flags/k")
    assert '"value":true' in ask("eve").out
    answer = ask("ana")
    assert answer.code != 0 and not answer.out, answer


def test_hosts_of_a_private_environment_take_new_certificates(lab):
    fleet = PrivateFleet(lab)
    fleet.grant("granted")
    granted = fleet.start("agent", "granted", *fleet.envs).wait_ready()
    rounds = ("private-primary", "granted"), ("private-primary",), ("granted",)
    for n, renewed in enumerate(rounds):
        for name in renewed:
            fleet.renew(name, "--days", "30", ca="private")
        hup(*[d for d, name in ((fleet.master, "private-primary"), (granted, "granted")) if name in renewed])
        lab.ok("set", "k", ["off", "on"][n % 2], env="secret")
        lab.wait_equal(fleet.master, granted, env="secret")
    days = fleet.master.metric("hoist_certificate_expires_seconds") / 86400
    assert 29 < days < 30  # of the two that the primary has, the one that ends first


def test_a_primary_that_would_give_a_private_environment_to_all_does_not_start(lab, fleet):
    assert fleet.certs("init", "private").code == 0
    fleet.issue("primary", "--host", "127.0.0.1")
    fleet.issue("other", "--host", "127.0.0.1")
    both = fleet.issue("both", "--host", "127.0.0.1", ca="private")
    good = fleet.issue("good", "--host", "127.0.0.1", ca="private")
    with open(both, "a") as bundle:
        bundle.write((lab.dir / "ca/ca.crt").read_text())
    private = ("--private", f"secret=tls+tcp://127.0.0.1:{free_port(2)}")
    for words, why in (
        (private, "give --private-join"),
        ((*private, "--private-join", fleet.bundle("other")), "signs for the whole fleet"),
        ((*private, "--private-join", both), "signs for the whole fleet"),
        ((*private, "--private-join", lab.dir / "ca/ca.crt"), "--private-join"),
        ((*private, "--private-join", fleet.issue("client", ca="private")), "issue one with --host"),
        (("--private-join", good), "there is no --private"),
    ):
        answer = fleet.run(BUILD / "hoistd", "primary", "--store", lab.dir / "no", "--join", fleet.bundle("primary"), *words)
        assert answer.code == 2 and why in answer.err, (words, answer)


def test_what_certs_says_and_refuses(lab, fleet):
    bundle = fleet.issue("primary", "--host", "10.0.0.1", "--host", "flags.example.com", "--days", "30")
    shown = fleet.certs("show", bundle).out
    for line in ("name      primary", "host      10.0.0.1", "host      flags.example.com", "issuer    test-fleet", "days left 29"):
        assert line + "\n" in shown, shown
    serial = next(line.split()[1] for line in shown.splitlines() if line.startswith("serial"))
    fleet.renew("primary")
    again = fleet.certs("show", bundle).out
    assert "host      flags.example.com\n" in again and serial not in again and "days left 364\n" in again
    issued = (lab.dir / "ca/issued").read_text().splitlines()
    assert len(issued) == 2 and serial in issued[0] and issued[1].endswith(" primary 10.0.0.1 flags.example.com")
    assert bundle.stat().st_mode & 0o777 == 0o600
    for words, why in (
        (["init", "ca"], "is there already"),
        (["issue", "primary", "--dir", "ca"], "is there already"),
        (["issue", "a/b", "--dir", "ca"], "letters, digits"),
        (["issue", "a"], "--dir is needed"),
        (["issue", "a", "--dir", "nowhere"], "hoistd certs init"),
        (["issue", "a", "--dir", "ca", "--days", "0"], "--days"),
        (["issue", "a", "--dir", "ca", "--trust", "ca/ca.pem"], "--trust"),
        (["renew", "nowhere", "--dir", "ca"], "nowhere"),
        (["show", "ca/issued"], "ca/issued"),
        (["mint"], "init, issue, renew or show"),
        ([], "init, issue, renew or show"),
    ):
        answer = fleet.certs(*words)
        assert answer.code == 2 and why in answer.err, (words, answer)
    assert (lab.dir / "ca/issued").read_text().splitlines() == issued  # nothing was issued that nobody has
    for verb in ("init", "issue", "renew", "show"):
        assert f"usage: hoistd certs {verb}" in fleet.certs("--help").out and fleet.certs(verb, "--help").code == 0


# ---------------------------------------------------------------- HTTPS


EVALUATE = ("-H", "Content-Type: application/json", "-d", "{}")


class Site(Fleet):
    """An agent whose HTTP is HTTPS."""

    def __init__(self, lab, *args):
        super().__init__(lab)
        self.at = f"https://127.0.0.1:{free_port()}"
        self.master = self.primary()
        self.issue("host1", "--host", "127.0.0.1", *self.follow(self.master))
        self.issue("ana", *self.follow(self.master))
        assert self.certs("init", "foreign").code == 0
        self.issue("stranger", ca="foreign")
        argv = [BUILD / "hoistd", "agent", "--id", "host1", "--join", self.bundle("host1"), "--store", lab.dir / "host1", "--http", self.at, *args]
        self.agent = lab.process(argv, "host1")
        wait_until(lambda: lab.ok("status", store=lab.dir / "host1")["ready"])

    def curl(self, path, *args, person="ana", ca="ca"):
        own = ["--cert", self.bundle(person), "--key", self.bundle(person)] if person else []
        return self.run("curl", "-sS", "--max-time", "20", "--cacert", self.lab.dir / ca / "ca.crt", *own, *args, self.at + path)


def test_https_lets_in_whom_the_ca_knows(lab):
    site = Site(lab)
    lab.ok("set", "k", "on")
    assert f"http         {site.at}" in site.agent.text()
    assert site.curl("/healthz").out == "ok\n"
    assert '"value":true' in site.curl("/ofrep/v1/evaluate/flags/k", *EVALUATE).out
    assert site.run(BUILD / "flagctl", "eval", "k", "--agent", site.at, "--join", site.bundle("ana")).code == 0
    assert site.run(BUILD / "flagctl", "eval", "k", "--agent", site.at).code == 7
    for person in (None, "stranger"):
        answer = site.curl("/healthz", person=person)
        assert answer.code != 0 and not answer.out, answer
    assert site.curl("/healthz", ca="foreign").code == 60  # curl does not know who that is
    assert site.curl("/healthz", "--tls-max", "1.1", "--tlsv1.0", "--ciphers", "ALL:@SECLEVEL=0").code != 0
    plain = site.run("curl", "-sS", site.at.replace("https", "http") + "/healthz")
    assert plain.code != 0 and not plain.out
    assert site.curl("/healthz").out == "ok\n"


def test_https_without_client_certificates_asks_for_a_token(lab):
    token = lab.secret("tokens", "a-token-of-the-test\n")
    site = Site(lab, "--https-any-client", "--http-token-file", token)
    lab.ok("set", "k", "on")
    asked = lambda *args: site.curl("/ofrep/v1/evaluate/flags/k", *EVALUATE, "-o", "/dev/null", "-w", "%{http_code}", *args, person=None).out
    wait_until(lambda: asked("-H", "Authorization: Bearer a-token-of-the-test") == "200")
    assert asked() == "401"


@contextlib.contextmanager
def events(site, log):
    """curl, reading the stream of events into a file."""
    argv = ["curl", "-sSN", "--cacert", site.lab.dir / "ca/ca.crt", "--cert", site.bundle("ana"), "--key", site.bundle("ana"), site.at + "/ofrep/v1/events"]
    p = site.lab.process(argv, log)
    yield p
    p.kill()


def test_a_stream_goes_on_while_certificates_are_renewed(lab):
    site = Site(lab)
    with events(site, "before") as old:
        wait_until(lambda: old.text().count("refetchEvaluation") == 1)
        lab.ok("set", "k", "on")
        wait_until(lambda: old.text().count("refetchEvaluation") == 2)
        site.renew("host1", "--days", "3")
        site.agent.signal(signal.SIGHUP)
        wait_until(lambda: "new certificates are in use" in site.agent.text())
        with events(site, "after") as new:
            wait_until(lambda: new.text().count("refetchEvaluation") == 1)
            lab.ok("set", "k", "off")
            for stream in (old, new):
                wait_until(lambda: "refetchEvaluation" in stream.text().split("id: ")[-1])
            wait_until(lambda: old.text().count("refetchEvaluation") == 3 and new.text().count("refetchEvaluation") == 2)
    assert "the certificate of host1 ends in 2 days" in site.agent.text()
    shown = site.run("curl", "-sv", "--cacert", lab.dir / "ca/ca.crt", "--cert", site.bundle("ana"), "--key", site.bundle("ana"), site.at + "/healthz")
    expires = next(line for line in shown.err.splitlines() if "expire date" in line)
    assert str(time.gmtime(time.time() + 3 * 86400).tm_mday) in expires, expires


def test_a_bundle_that_went_wrong_changes_nothing(lab):
    site = Site(lab)
    bundle = site.bundle("host1")
    whole = bundle.read_text()
    bundle.write_text(whole.replace("PRIVATE", "PUBLIC"))
    site.agent.signal(signal.SIGHUP)
    wait_until(lambda: "not reloaded, going on as before" in site.agent.text())
    assert site.curl("/healthz").out == "ok\n"
    assert site.agent.alive() and lab.ok("set", "k", "on", "--wait")["wait"]["have"] == 1


@pytest.mark.parametrize("args,why", [
    (["--http", "https://127.0.0.1:8016"], "--join"),
    (["--http", "0.0.0.0:8016"], "--insecure"),
    (["--http", "http://0.0.0.0:8016"], "--insecure"),
    (["--https-any-client"], "--http https://"),
])
def test_addresses_that_are_refused_without_certificates(lab, args, why):
    answer = Answer(subprocess.run([BUILD / "hoistd", "primary", "--store", lab.dir / "p", "--listen", f"ipc://{lab.dir}/p.sock", *args],
                                   env=clean_env(), capture_output=True, text=True, timeout=30))
    assert answer.code == 2 and why in answer.err, answer


def test_the_docs_name_what_certs_makes():
    text = (TOP / "docs/security.md").read_text()
    for word in ("clientAuth", "serverAuth", "dNSName", "hoist-bundle-1", "--https-any-client"):
        assert word in text
