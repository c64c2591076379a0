"""Connections over TLS: who is let in and who is not, and new certificates while changes go on."""
import collections
import contextlib
import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

import hostile
from faults import Load, check_history, figures, seeded
from hoist import BUILD, SANITIZED, SOAK, Daemon, clean_env, free_port, wait_until
from pki import Pki

AGENTS = int(os.environ.get("AGENTS") or (50 if SOAK else 4))
RATE = 100  # changes a second
WRITERS = 4
BACK_MS = 10000  # two seconds are the aim; this bears a machine that has other work


@pytest.fixture
def pki(lab):
    made = Pki(lab.dir / "pki").ca("ca").ca("other")
    return made.issue("server").issue("host", names=("host",)).issue("stranger", ca="other", names=("host",))


class Fleet:
    """A primary that speaks TLS alone, and whoever follows it."""

    def __init__(self, lab, pki, *more):
        self.lab, self.pki = lab, pki
        self.url = f"tls+tcp://127.0.0.1:{free_port(2)}"
        self.primary = self.start("primary", "primary", "--listen", self.url, "--listen", f"ipc://{lab.dir}/p.sock", *more, *pki.options("server"))
        self.primary.wait_ready()
        lab.url = f"ipc://{lab.dir}/p.sock"
        self.trust = ["--trust", self.primary.store / "trust.key"]

    def start(self, role, name, *args):
        d = Daemon(self.lab, role, name, args, self.lab.dir / name, free_port())
        self.lab.all.append(d)
        return d

    def agent(self, name, *args, certificate="host", upstream=None, ca="ca"):
        return self.start("agent", name, "--upstream", upstream or self.url, "--id", name, *self.trust, *self.pki.options(certificate, ca), *args)

    def flagctl(self, *args, certificate="host", url=None, ca="ca"):
        return self.lab.flagctl(*args, *self.pki.options(certificate, ca), "--primary", url or self.url)

    def silent(self):
        return self.lab.ok("fleet")["counts"]["silent"]


@pytest.fixture
def fleet(lab, pki):
    return Fleet(lab, pki)


def upstream(daemon):
    return json.loads(daemon.get("/status"))["upstream"]


def by_name():
    """This machine; a Debian that was just unpacked has no /etc/hosts."""
    try:
        return socket.gethostbyname("localhost") and "localhost"
    except OSError:
        return "127.0.0.1"


def test_a_whole_fleet_goes_over_tls(lab, pki, fleet):
    url = f"tls+tcp://{by_name()}:{free_port(2)}"
    relay = fleet.start("relay", "relay", "--upstream", fleet.url, "--id", "relay", "--listen", url, *fleet.trust, *pki.options("server"))
    below = fleet.agent("below", upstream=url)
    beside = fleet.agent("beside")
    for d in (relay, below, beside):
        d.wait_ready()
    assert fleet.flagctl("set", "k", "on", "--wait").code == 0
    lab.wait_equal(fleet.primary, relay, below, beside)
    answer = fleet.flagctl("fleet", "--json")
    assert answer.json["counts"]["current"] == 3, answer


def test_the_file_of_flagctl_names_the_certificates(lab, pki, fleet):
    config = lab.dir / ".config/hoist"
    config.mkdir(parents=True)
    named = dict(zip(("tls_cert", "tls_key", "tls_ca"), pki.options("host")[1::2]))
    (config / "flagctl.yaml").write_text(f"primary: {fleet.url}\n" + "".join(f"{k}: {v}\n" for k, v in named.items()))
    done = subprocess.run([BUILD / "flagctl", "set", "k", "on"], env=clean_env(HOME=lab.dir), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done


@pytest.mark.parametrize("certificate,ca,why", [
    ("stranger", "ca", "our certificate is not believed there"),
    ("late", "ca", "our certificate is not believed there"),
    ("host", "other", "no CA in --tls-ca has signed it"),
])
def test_certificates_that_are_not_believed(lab, pki, fleet, certificate, ca, why):
    pki.issue("late", names=("host",), begin=-3, end=-1)
    answer = fleet.flagctl("env", "list", "--timeout", "1s", certificate=certificate, ca=ca)
    assert answer.code == 7 and why in answer.err, answer
    agent = fleet.agent("agent", certificate=certificate, ca=ca).wait_up()
    wait_until(lambda: why in (upstream(agent)["why"] or ""), what="status says why")
    assert not upstream(agent)["connected"] and "no connection to" in agent.text()
    assert ("nobody will believe the certificate in --tls-cert" in agent.text()) == (ca == "other" or certificate != "host")


@pytest.mark.parametrize("names,begin,end,why", [
    (("elsewhere",), -1, 10, "it is not for '127.0.0.1' (see --tls-server-name)"),
    (("127.0.0.1",), -3, -1, "it has expired"),
    (("127.0.0.1",), 1, 3, "it is not valid yet"),
])
def test_servers_that_are_not_believed(lab, pki, names, begin, end, why):
    pki.issue("server", names=names, begin=begin, end=end)
    fleet = Fleet(lab, pki)
    answer = fleet.flagctl("env", "list", "--timeout", "1s")
    assert answer.code == 7 and why in answer.err, answer
    agent = fleet.agent("agent").wait_up()
    wait_until(lambda: why in (upstream(agent)["why"] or ""), what="status says why")


def test_a_name_that_is_not_in_the_url_can_be_given(lab, pki):
    pki.issue("server", names=("elsewhere",))
    fleet = Fleet(lab, pki)
    fleet.agent("agent", "--tls-server-name", "elsewhere").wait_ready()
    assert fleet.flagctl("env", "list", "--tls-server-name", "elsewhere").code == 0


def test_plain_tcp_and_tls_do_not_meet(lab, pki, fleet):
    plain = lab.flagctl("env", "list", "--primary", fleet.url.replace("tls+", ""), "--timeout", "1s")
    assert plain.code == 7 and "is tls+tcp:// meant?" in plain.err, plain
    port = free_port(2)
    fleet.start("primary", "open", "--listen", f"tcp://127.0.0.1:{port}").wait_ready()
    other = fleet.flagctl("env", "list", "--timeout", "1s", url=f"tls+tcp://127.0.0.1:{port}")
    assert other.code == 7 and "is tcp:// meant?" in other.err, other


def handshake(url, context, send=b""):
    """The end of a handshake: the version of TLS, or the error; what the server says then."""
    host, port = url.rsplit("/", 1)[1].split(":")
    with socket.create_connection((host, int(port)), 5) as plain:
        plain.settimeout(5)
        with context.wrap_socket(plain, server_hostname="localhost") as s:
            return s.version(), s.recv(8)


def test_no_certificate_and_old_versions_of_tls(lab, pki, fleet):
    context = ssl.create_default_context(cafile=pki.dir / "ca.pem")
    with pytest.raises(OSError):
        handshake(fleet.url, context)
    context.load_cert_chain(pki.dir / "host.pem", pki.dir / "host.key")
    version, greeting = handshake(fleet.url, context)
    assert version == "TLSv1.2" and greeting[:4] == b"\0SP\0"
    old = subprocess.run(["openssl", "s_client", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", "-connect", fleet.url.rsplit("/", 1)[1]],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    assert old.returncode != 0 and "protocol version" in old.stderr, old


def test_a_handshake_is_by_the_curve_that_costs_least(lab, pki, fleet):
    said = subprocess.run(["openssl", "s_client", "-groups", "P-521:P-384:P-256", "-connect", fleet.url.rsplit("/", 1)[1], "-CAfile", pki.dir / "ca.pem",
                           "-cert", pki.dir / "host.pem", "-key", pki.dir / "host.key"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    assert "Server Temp Key: ECDH, prime256v1, 256 bits" in said.stdout, said


class Records:
    """Passes two ports on (requests and the stream), and notes how long the records of data are."""
    DATA = 23

    def __init__(self, port, target):
        self.lens = {}
        self.listeners = [socket.create_server(("127.0.0.1", port + i)) for i in range(2)]
        for i, listener in enumerate(self.listeners):
            threading.Thread(target=self.accept, args=(listener, target + i), daemon=True).start()

    def accept(self, listener, target):
        for n in range(1000):
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", target))
            for name, source, sink in (("up", client, server), ("down", server, client)):
                lens = self.lens.setdefault((target, n, name), [])
                threading.Thread(target=self.copy, args=(source, sink, lens), daemon=True).start()

    def copy(self, source, sink, lens):
        with source.makefile("rb") as bytes_in:
            while len(head := bytes_in.read(5)) == 5:
                body = bytes_in.read(int.from_bytes(head[3:], "big"))
                if head[0] == self.DATA:
                    lens.append(len(body))
                sink.sendall(head + body)


def test_a_message_is_one_record(lab, pki, fleet):
    port, target = free_port(2), int(fleet.url.rsplit(":", 1)[1])
    records = Records(port, target)
    agent = fleet.agent("agent", upstream=f"tls+tcp://127.0.0.1:{port}")
    agent.wait_ready()
    for i in range(5):
        assert fleet.flagctl("set", f"k{i}", "on", "--wait").code == 0
    big = lab.dir / "big.json"
    big.write_text(json.dumps({"flags": {f"flag{i}": {"state": "ENABLED", "variants": {"a": "x" * 500, "b": "y"}, "defaultVariant": "a"} for i in range(100)}}))
    assert fleet.flagctl("import", big, "--wait").code == 0
    greetings = [lens.pop(0) for lens in records.lens.values() if lens]
    lens = [n for some in records.lens.values() for n in some]
    assert len(greetings) >= 4 and len(set(greetings)) == 1, greetings
    assert len(lens) > 20 and max(lens) > 16384 and min(lens) > greetings[0], sorted(lens)


def test_who_spoils_handshakes_keeps_nobody_out(lab, pki, fleet):
    port = int(fleet.url.rsplit(":", 1)[1])
    for i in range(300):
        with socket.create_connection(("127.0.0.1", port + i % 2)) as s:
            s.sendall([b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n", b"\x15\x03\x03\0\2\2\50", b"\x15\x03\x03\0\2\1\0"][i % 5])
    began = time.monotonic()
    fleet.agent("agent").wait_ready()
    assert fleet.flagctl("set", "k", "on", "--wait").code == 0
    print(f"after 300 spoiled handshakes: an agent is ready and has a change after {1000 * (time.monotonic() - began):.0f} ms")


def test_a_handshake_that_does_not_end_is_ended(lab, pki, fleet):
    """Silence, first words alone, all but the last record: each has ten seconds. Who is merely slow, and who is in, stays."""
    agent = fleet.agent("agent").wait_ready()
    before = connections(agent)
    port = int(fleet.url.rsplit(":", 1)[1])
    make = lambda: hostile.Handshake(port, pki.dir / "host.pem", pki.dir / "host.key")
    stuck, slow = [make(), make().begin(), make().begin().answer(held=60)], make().begin().answer(held=60)
    while time.monotonic() < slow.began + 8:
        ready, _, _ = select.select(stuck, [], [], 1)
        assert not any(h.ended() for h in ready), "ended within 8 s"
    assert slow.finish()
    slow.say(hostile.SP_REQ)
    for h in stuck:
        wait_until(h.ended, what="it is ended")
        assert time.monotonic() - h.began > 9.5
    assert fleet.primary.metric('hoist_refused_total{limit="handshake"}') == 3
    assert f"peer {hostile.FROM} is refused: it did not end a handshake within 10 s" in fleet.primary.text()
    assert connections(agent) == before and not slow.ended()


# ---------------------------------------------------------------- refused at start

def refused(role, *args):
    http = [] if "--http" in args else ["--http", "off"]
    done = subprocess.run([BUILD / "hoistd", role, *http, *map(str, args)], env=clean_env(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 2, done
    return done.stderr


def test_what_leaves_this_machine_is_encrypted_or_said_to_be_insecure(lab, pki):
    store = ["--store", lab.dir / "s"]
    for role, option, url in (("primary", "--listen", "tcp://0.0.0.0:7400"), ("primary", "--listen", "tcp://*:7400"), ("dev", "--listen", "tcp://[::]:7400"),
                              ("primary", "--stream", "tcp://192.0.2.1:7400"), ("agent", "--upstream", "tcp://example.com:7400")):
        text = refused(role, *store, option, url)
        assert f"{option} {url}" in text and "--insecure" in text and "--tls-cert" in text, text
    assert "--http 0.0.0.0:80" in refused("primary", *store, "--http", "0.0.0.0:80")
    assert "takes --tls-cert" in refused("primary", *store, "--listen", "tls+tcp://127.0.0.1:7400")
    assert "--tls-ca is missing" in refused("primary", *store, *pki.options("server")[:4])
    answer = lab.flagctl("env", "list", primary="tcp://192.0.2.1:7400")
    assert answer.code == 2 and "--insecure" in answer.err, answer


def test_another_machine_needs_a_key_to_be_trusted(lab, pki):
    for how in (["--upstream", "tcp://192.0.2.1:7400", "--insecure"], ["--upstream", "tls+tcp://192.0.2.1:7400", *pki.options("host")]):
        text = refused("agent", "--store", lab.dir / "s", *how)
        assert "--trust" in text and "trust.key" in text, text


def test_files_that_do_not_fit_are_refused(lab, pki):
    listen = ["--store", lab.dir / "s", "--listen", "tls+tcp://127.0.0.1:7400"]
    mixed = ["--tls-cert", pki.dir / "server.pem", "--tls-key", pki.dir / "host.key", "--tls-ca", pki.dir / "ca.pem"]
    assert "--tls-key is not the key of the certificate" in refused("primary", *listen, *mixed)
    os.chmod(pki.dir / "server.key", 0o644)
    assert "chmod 600" in refused("primary", *listen, *pki.options("server"))


# ---------------------------------------------------------------- new certificates

def all_connections():
    """The open connections of every process over tcp, by pid, as (own port, other's port)."""
    text = subprocess.run(["ss", "-tnpH", "state", "established"], capture_output=True, text=True, check=True).stdout
    found = collections.defaultdict(set)
    for line in text.splitlines():
        for pid in re.findall(r"pid=(\d+),", line):
            found[int(pid)].add((line.split()[2], line.split()[3]))
    return found


def connections(daemon):
    return all_connections()[daemon.pid]


class Silence(threading.Thread):
    """Looks at the fleet all the time: the most hosts that were shown as silent at once."""

    def __init__(self, fleet):
        super().__init__(daemon=True)
        self.fleet, self.most, self.looks, self.ending, self.failure = fleet, 0, 0, threading.Event(), None

    def run(self):
        try:
            while not self.ending.wait(0.1):
                self.most = max(self.most, self.fleet.silent())
                self.looks += 1
        except Exception as error:
            self.failure = error

    def end(self):
        self.ending.set()
        self.join(60)
        if self.failure:
            raise self.failure


def cpu_s(daemons):
    """The processor time that these have had."""
    fields = [open(f"/proc/{d.pid}/stat").read().rsplit(")", 1)[1].split() for d in daemons]
    return sum(int(f[11]) + int(f[12]) for f in fields) / os.sysconf("SC_CLK_TCK")


def renew_and_wait(lab, fleet, agents, pki):
    """New certificates at the primary: milliseconds until each host has come back by them, and has heard what came since."""
    before = all_connections()
    pki.issue("server")
    began = time.monotonic()
    fleet.primary.signal(signal.SIGHUP)
    waiting = list(agents)

    def are_back():
        now = all_connections()
        waiting[:] = [a for a in waiting if len(now[a.pid]) != 2 or now[a.pid] & before[a.pid]]
        return not waiting
    try:
        wait_until(are_back, every_ms=50, what="all connections are new ones")
    except AssertionError as late:
        raise AssertionError({a.name: (before[a.pid], connections(a)) for a in waiting}) from late
    head = lab.state(fleet.primary)["version"]
    for a in agents:
        wait_until(lambda: lab.state(a)["version"] >= head, what=f"{a.name} hears what is new")
    return 1000 * (time.monotonic() - began)


def test_new_certificates_are_taken_while_changes_go_on(lab, pki):
    fleet = Fleet(lab, pki, "--listen", f"tcp://127.0.0.1:{(port := free_port(2))}")
    agents = [fleet.agent(f"agent{i}") for i in range(AGENTS)]
    for a in agents:
        a.wait_ready()
    lab.ok("import", lab.file("flags.json", Load.file()))
    dice = seeded("new certificates")
    loads = [Load(port, i, dice, pause_s=WRITERS / RATE, kinds={"set": 1}) for i in range(WRITERS)]
    silence = Silence(fleet)
    for thread in (*loads, silence):
        thread.start()
    time.sleep(1)
    impatient_ones = lambda: sum(a.text().count(" is silent") for a in agents)
    began, busy, impatient = time.monotonic(), cpu_s(lab.all), impatient_ones()
    rounds = [renew_and_wait(lab, fleet, agents, pki) for _ in range(3)]
    took, busy = time.monotonic() - began, cpu_s(lab.all) - busy
    for a in agents[:4]:
        before = connections(a)
        pki.issue("host", names=("host",))
        a.signal(signal.SIGHUP)
        wait_until(lambda: len(connections(a)) == 2 and not connections(a) & before, what="an agent's own connections are new ones")
    for load in loads:
        load.end()
    silence.end()
    lab.wait_equal(fleet.primary, *agents)
    check_history(lab, loads)
    acknowledged = sum(len(l.acknowledged) for l in loads)
    impatient = impatient_ones() - impatient
    figures(f"certificates renewed under {acknowledged} changes: {AGENTS} hosts came back within {', '.join(f'{ms:.0f}' for ms in rounds)} ms, "
            f"{busy / took:.1f} cores in use; {impatient} dialled anew meanwhile; shown as silent {silence.most} in {silence.looks} looks")
    assert acknowledged > 0 and silence.looks > 0 and silence.most == 0, "a host was shown as silent"
    assert SANITIZED or max(rounds) < BACK_MS, rounds
    for a in agents:
        assert a.metric('hoist_changes_total{env="production",result="rejected"}') == 0
    assert all("new certificates are in use" in a.text() for a in agents[:4])


def test_a_new_ca_leaves_out_who_has_no_new_certificate(lab, pki, fleet):
    old, new = fleet.agent("old").wait_ready(), fleet.agent("new").wait_ready()
    pki.issue("host", ca="other", names=("host",))
    (pki.dir / "ca.pem").write_text((pki.dir / "ca.pem").read_text() + (pki.dir / "other.pem").read_text())
    new.signal(signal.SIGHUP)
    wait_until(lambda: "new certificates are in use" in new.text())
    (pki.dir / "ca.pem").write_text((pki.dir / "other.pem").read_text())
    fleet.primary.signal(signal.SIGHUP)
    wait_until(lambda: not upstream(old)["connected"], what="the one with the old certificate is out")


def test_what_is_held_back_does_not_outlast_its_certificates(lab, pki, fleet):
    """Handshakes by the old CA that began before the new one came, and end after it, hear nothing of the stream."""
    port = int(fleet.url.rsplit(":", 1)[1])
    begin = lambda: hostile.Handshake(port + 1, pki.dir / "host.pem", pki.dir / "host.key").begin()
    in_tls, silent = begin().answer(held=60), begin().answer()
    assert silent.finish()
    (pki.dir / "ca.pem").write_text((pki.dir / "other.pem").read_text())
    pki.issue("server", ca="other")
    fleet.primary.signal(signal.SIGHUP)
    wait_until(lambda: "new certificates are in use" in fleet.primary.text())
    assert not in_tls.finish()
    with contextlib.suppress(OSError):
        silent.say(hostile.SP_SUB)
    heard = silent.hear()
    assert heard in (b"", hostile.SP_PUB), heard


def test_files_that_are_broken_leave_all_as_it_was(lab, pki, fleet):
    agent = fleet.agent("agent").wait_ready()
    before = connections(agent)
    good = (pki.dir / "server.pem").read_text()
    for text, why in ((good[:200], "--tls-cert"), ("", "holds no certificate"), ((pki.dir / "host.pem").read_text(), "is not the key of the certificate")):
        (pki.dir / "server.pem").write_text(text)
        fleet.primary.signal(signal.SIGHUP)
        wait_until(lambda: why in fleet.primary.text() and "not reloaded, going on as before" in fleet.primary.text())
    assert fleet.flagctl("set", "k", "on", "--wait").code == 0
    assert connections(agent) == before
    (pki.dir / "server.pem").write_text(good)
    fleet.primary.signal(signal.SIGHUP)
    wait_until(lambda: "hoistd: reloaded" in fleet.primary.text())
    assert connections(agent) == before, "certificates that are the same disturb nobody"


def reload(daemon, text):
    """SIGHUP, until the log says `text` once more."""
    count = daemon.text().count(text)
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: daemon.text().count(text) > count, what=text)


def test_a_certificate_that_nobody_would_take_is_not_taken(lab, pki, fleet):
    agent = fleet.agent("agent").wait_ready()
    before = connections(agent)
    for begin, end, why in ((-3, -1, "it has expired"), (1, 3, "it is not valid yet")):
        pki.issue("server", begin=begin, end=end)
        reload(fleet.primary, f"not reloaded, going on as before: nobody will believe the certificate in --tls-cert: {why}")
    assert fleet.flagctl("set", "k", "on", "--wait").code == 0
    assert connections(agent) == before


def test_a_certificate_that_has_ended_gives_way_to_any(lab, pki):
    pki.issue("server", begin=-5, end=-2)
    fleet = Fleet(lab, pki)
    pki.issue("server", begin=-5, end=-1)
    reload(fleet.primary, "new certificates are in use")
    assert "not reloaded" not in fleet.primary.text()


def test_a_certificate_with_many_names_and_long_ones_comes_and_goes(lab, pki, fleet):
    good = [(pki.dir / f"server.{part}").read_text() for part in ("pem", "key")]
    pki.issue("server", names=["127.0.0.1", *(f"host{i}.example.com" for i in range(40))], uris=["spiffe://example.com/" + "p/" * 200])
    reload(fleet.primary, "new certificates are in use")
    assert fleet.flagctl("set", "k", "on").code == 0
    for part, text in zip(("pem", "key"), good):
        (pki.dir / f"server.{part}").write_text(text)
    reload(fleet.primary, "new certificates are in use")
    assert "not reloaded" not in fleet.primary.text() and fleet.flagctl("set", "k", "off").code == 0


def test_a_servers_certificate_must_be_for_servers(lab, pki):
    pki.issue("server", usage="clientAuth")
    fleet = Fleet(lab, pki)
    assert "the certificate in --tls-cert is a client's alone" in fleet.primary.text()
    answer = fleet.flagctl("env", "list", "--timeout", "1s")
    assert answer.code == 7 and "is it for servers" in answer.err and "our certificate" not in answer.err, answer
    reload(fleet.primary, "is a client's alone")
    pki.issue("server")
    reload(fleet.primary, "new certificates are in use")
    assert fleet.flagctl("set", "k", "on").code == 0
    agent = fleet.agent("agent").wait_ready()
    pki.issue("host", names=("host",), usage="clientAuth")
    reload(agent, "new certificates are in use")
    assert "a client's alone" not in agent.text(), "nobody comes to an agent by TLS"


def test_an_end_that_is_near_is_said_at_each_reload(lab, pki):
    pki.issue("server", end=3)
    fleet = Fleet(lab, pki)
    assert fleet.primary.text().count("the certificate of server ends in 2 days") == 1
    reload(fleet.primary, "the certificate of server ends in 2 days")
