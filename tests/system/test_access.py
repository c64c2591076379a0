"""Who may change what: grants by key, over tcp and the local socket, and what is denied."""
import hashlib
import json
import os
import pwd
import secrets
import shutil
import socket
import struct
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from hoist import BUILD, SANITIZED, Answer, Lab, clean_env, wait_until
from requester import pack, unpack


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    yield lab
    lab.close()


class Person:
    """Somebody with a key of their own."""

    def __init__(self, lab, name):
        self.lab, self.file = lab, lab.dir / f"{name}.key"
        self.key = lab.ok("key", "new", self.file)["key"]

    def flagctl(self, *args, **kwargs):
        return self.lab.flagctl(*args, "--identity", self.file, **kwargs)

    def ok(self, *args, **kwargs):
        return self.lab.ok(*args, "--identity", self.file, **kwargs)

    def denied(self, *args, role, **kwargs):
        answer = self.flagctl(*args, "--json", **kwargs)
        assert answer.code == 5, answer
        assert answer.error["code"] == "denied" and role in answer.error["message"], answer
        assert "flagctl access grant" in answer.error["mend"], answer


def site(lab, *args):
    """A primary with a local socket, where the user that runs it may do everything."""
    lab.root = f"ipc://{lab.dir}/p.sock"
    return lab.primary("--listen", lab.root, "--env", "production", "--env", "staging", *args)


def grant(lab, name, role, *more):
    return lab.ok("access", "grant", name, role, *more, primary=lab.root)


def test_grants_from_the_first_one_on(lab):
    site(lab)
    ana, bob = Person(lab, "ana"), Person(lab, "bob")
    # Before anybody was granted anything, who is near may do all.
    lab.ok("set", "a.one", "on", "--env", "production")
    grant(lab, "ana", "admin", "--key", ana.key)
    answer = lab.flagctl("set", "a.one", "off", "--env", "production", "--json")
    assert answer.code == 5 and "does not sign" in answer.error["message"], answer
    assert lab.ok("get", "a.one", "--env", "production")["value"] is True  # reading goes on

    # ana is an admin over tcp, from anywhere; each role ends where it does
    ana.ok("access", "grant", "bob", "viewer", "--key", bob.key)
    bob.denied("kill", "a.one", "--env", "production", role="operator")
    ana.ok("access", "grant", "bob", "operator", "--env", "production", "--prefix", "a.")
    bob.ok("kill", "a.one", "--env", "production")
    bob.ok("restore", "a.one", "--env", "production")
    bob.denied("set", "a.one", "off", "--env", "production", role="editor")
    bob.denied("env", "create", "more", role="admin")
    bob.denied("access", "grant", "bob", "admin", role="admin")
    ana.ok("access", "grant", "bob", "editor", "--env", "production", "--prefix", "a.", "--prefix", "b.")
    bob.ok("set", "b.one", "on", "--env", "production")
    bob.denied("set", "c.one", "on", "--env", "production", role="editor")
    bob.denied("set", "a.one", "on", "--env", "staging", role="editor")
    assert bob.flagctl("set", "a.one", "on", "--env", "production", "--author", "ana").code == 5
    wait_until(lambda: any("cannot sign as 'ana'" in json.dumps(d) for d in ana.ok("access", "denied")["denied"]))

    listed = {g["name"]: g for g in bob.ok("access", "list")["grants"]}
    assert listed["ana"]["key"] == ana.key
    assert [r["role"] for r in listed["bob"]["roles"]] == ["viewer", "operator", "editor"]

    ana.ok("access", "revoke", "bob", "editor")
    bob.denied("set", "a.one", "off", "--env", "production", role="editor")
    ana.ok("access", "revoke", "bob")
    bob.denied("kill", "a.one", "--env", "production", role="operator")
    for more in ("grant", "bob", "editor", "--key", bob.key, "--prefix", "gr\udcf6\udcdfe."), ("token", "create", "t", "viewer", "--env", "\udcff"):
        answer = ana.flagctl("access", *more)
        assert answer.code == 2 and "UTF-8" in answer.err, answer  # a scope that is no text is not left out
    assert [g["name"] for g in ana.ok("access", "list")["grants"]] == ["ana"] and not ana.ok("access", "token", "list")["tokens"]
    assert lab.flagctl("set", "x", "on", "--env", "hoist-access", primary=lab.root).code == 2
    assert lab.flagctl("env", "create", "hoist-more", primary=lab.root).code == 2


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become other users")
def test_over_the_local_socket_a_user_is_known_by_number(lab):
    group, nobody, other = 12345, 65534, 65533
    site(lab)
    program = shutil.copy(BUILD / "flagctl", lab.dir)
    for directory in (lab.dir, *lab.dir.parents[:-2]):
        if "pytest" in str(directory):
            directory.chmod(0o755)
    os.chown(lab.dir / "p.sock", -1, group)

    def by(uid, *words):
        become = ["setpriv", f"--reuid={uid}", f"--regid={group}", "--clear-groups"]
        return Answer(subprocess.run([*become, program, *words, "--primary", lab.root, "--json"], env=clean_env(HOME=lab.dir),
                                     capture_output=True, text=True, timeout=60))

    def author():
        return lab.ok("log", "--env", "production", primary=lab.root)["changes"][0]["author"]

    set_on = ("set", "a", "on", "--env", "production")
    assert by(nobody, *set_on).code == 0 and author() == pwd.getpwuid(nobody).pw_name  # nobody was granted anything yet
    grant(lab, "deploy", "editor", "--uid", other)
    answer = by(nobody, "set", "a", "off", "--env", "production")
    assert answer.code == 5 and f"user {nobody} may not set: that takes the role editor" in answer.error["message"], answer
    assert by(nobody, "get", "a", "--env", "production").json["value"] is True
    assert by(other, "set", "a", "off", "--env", "production").code == 0 and author() == "deploy"
    grant(lab, "nightly", "editor", "--uid", nobody)
    assert by(nobody, *set_on).code == 0 and author() == "nightly"


def test_the_log_proves_who_it_was(lab):
    primary = site(lab)
    ana = Person(lab, "ana")
    grant(lab, "ana", "editor", "--key", ana.key)
    ana.ok("set", "a", "on", "--env", "production", "-m", "why")
    change = ana.ok("log", "--env", "production")["changes"][0]
    assert change["author"] == "ana" and change["by"] == {"key": ana.key}
    verdict = ana.ok("audit", "verify", "--env", "production")
    assert verdict["ok"] and verdict["proved"] == 1

    # A proof that somebody alters is noticed, in a file as well.
    exported = ana.flagctl("audit", "export", "--env", "production").out
    line = json.loads(exported.splitlines()[-1])
    at = line["change"].index(ana.key)
    line["change"] = line["change"][:at] + secrets.token_hex(32) + line["change"][at + 64:]
    line["hash"] = ""
    forged = lab.file("forged", "\n".join([*exported.splitlines()[:-1], json.dumps(line)]) + "\n")
    answer = lab.flagctl("audit", "verify", forged, "--json")
    assert answer.code == 1 and "has not signed it" in answer.json["broken"]["why"], answer

    # Nor does one stand behind two changes.
    header, edits, _ = unpack(bytes.fromhex(json.loads(exported.splitlines()[-1])["change"]))
    second = unpack(header)
    second[4], second[9] = second[4] + 1, hashlib.blake2b(header, digest_size=32).digest()
    line = {"change": pack([pack(second), edits, b""]).hex()}
    answer = lab.flagctl("audit", "verify", lab.file("twice", exported + json.dumps(line) + "\n"), "--json")
    assert answer.code == 1 and answer.json["broken"]["version"] == second[4], answer
    assert f"is that of v{second[4] - 1}" in answer.json["broken"]["why"]

    # And it outlives the primary: it is in the store.
    primary.stop()
    verdict = lab.ok("audit", "verify", "--env", "production", "--store", primary.store)
    assert verdict["proved"] == 1
    assert lab.flagctl("fsck", store=primary.store).code == 0


def test_what_is_denied_is_kept(lab):
    primary = site(lab)
    bob = Person(lab, "bob")
    grant(lab, "bob", "viewer", "--key", bob.key)
    bob.denied("set", "a", "on", "--env", "production", role="editor")
    wait_until(lambda: bob.ok("access", "denied")["denied"], what="the denial is kept")
    denied = bob.ok("access", "denied")["denied"][0]
    assert (denied["who"], denied["command"], denied["role"]) == ("bob", "set", "editor")
    assert primary.metric('hoist_commands_denied_total{role="editor"}') == 1
    assert "access: denied: bob may not set" in primary.text()
    primary.stop()
    assert lab.ok("access", "denied", store=primary.store)["denied"] == [denied]
    assert lab.flagctl("fsck", store=primary.store).code == 0
    backup = lab.dir / "backup"
    assert lab.flagctl("backup", backup, store=primary.store).code == 0
    assert lab.flagctl("backup", "verify", backup).code == 0


def test_strangers_may_be_kept_out(lab):
    site(lab, "--anonymous", "none")
    ana = Person(lab, "ana")
    assert lab.flagctl("list", "--env", "production").code == 5
    assert lab.flagctl("status").code == 5
    grant(lab, "ana", "evaluator", "--key", ana.key, "--env", "production", "--prefix", "a.")
    lab.ok("set", "a.one", "on", "--env", "production", primary=lab.root)
    assert ana.ok("get", "a.one", "--env", "production")["value"] is True
    ana.denied("get", "b.one", "--env", "production", role="evaluator")
    ana.denied("list", "--env", "production", role="viewer")


def test_a_bad_key_is_named(lab):
    site(lab)
    ana = Person(lab, "ana")
    assert lab.flagctl("key", "new", ana.file).code == 1
    assert ana.file.stat().st_mode & 0o777 == 0o600
    assert lab.ok("key", "show", ana.file)["key"] == ana.key
    ana.file.chmod(0o644)
    answer = ana.flagctl("list", "--env", "production")
    assert answer.code == 2 and "chmod 600" in answer.err
    assert lab.flagctl("list", "--identity", lab.dir / "none").code == 2
    # The user's own is used where it is there.
    own = lab.ok("key", "new")["key"]
    assert (lab.dir / ".config/hoist/key").exists()
    lab.ok("set", "a", "on", "--env", "production")
    assert lab.ok("log", "--env", "production")["changes"][0]["by"] == {"key": own}


@pytest.mark.skipif(SANITIZED, reason="a preloaded clock does not go with a preloaded sanitizer")
def test_a_clock_that_is_off_does_not_matter(lab):
    site(lab)
    ana = Person(lab, "ana")
    grant(lab, "ana", "editor", "--key", ana.key)
    for hours in (-1, 1):
        shift = lab.file("shift", str(hours * 3600))
        ana.ok("set", "a", "on" if hours > 0 else "off", "--env", "production",
               LD_PRELOAD=BUILD / "tests/system/clock_shift.so", CLOCK_SHIFT_FILE=shift)
    assert len(ana.ok("log", "--env", "production")["changes"]) == 3


class Between:
    """Passes bytes between flagctl and a primary, and keeps what flagctl sent."""

    def __init__(self, port):
        self.port, self.sent = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            kept = bytearray()
            self.sent.append(kept)
            threading.Thread(target=self.pump, args=(client, server, kept), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, None), daemon=True).start()

    @staticmethod
    def pump(source, sink, kept):
        try:
            while data := source.recv(65536):
                if kept is not None:
                    kept.extend(data)
                sink.sendall(data)
        except OSError:
            pass
        sink.close()

    def close(self):
        self.listener.close()


def messages(stream):
    """The messages of one side of an SP connection, behind its greeting."""
    at = 8
    while at < len(stream):
        length, = struct.unpack(">Q", stream[at:at + 8])
        yield bytes(stream[at + 8:at + 8 + length])
        at += 8 + length


def send_again(port, message):
    """The very bytes, from another connection; the reply's."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.settimeout(10)
        s.sendall(b"\0SP\0\0\x30\0\0")
        s.sendall(struct.pack(">Q", len(message)) + message)
        got = bytearray()
        while len(got) < 16 or len(got) < 16 + struct.unpack(">Q", got[8:16])[0]:
            got.extend(s.recv(65536))
        return bytes(got[16:])


def test_a_recorded_command_is_never_carried_out_again(lab):
    primary = site(lab)
    ana = Person(lab, "ana")
    grant(lab, "ana", "editor", "--key", ana.key)
    between = Between(primary.port)
    ana.ok("set", "a", "on", "--env", "production", primary=between.url)
    recorded = [m for kept in between.sent for m in messages(kept) if b"\xa3set" in m]
    between.close()
    assert len(recorded) == 1
    ana.ok("set", "a", "off", "--env", "production")
    before = lab.head(env="production")["version"]

    # The answer of before, and nothing is done.
    assert b'"result":"changed"' in send_again(primary.port, recorded[0])
    assert lab.head(env="production")["version"] == before
    assert ana.ok("get", "a", "--env", "production")["value"] is False

    # With one byte of it altered it is neither answered nor done.
    body = recorded[0].index(b'"value":"on"')
    altered = recorded[0][:body + 9] + b"of" + recorded[0][body + 11:]
    assert b"request-used" in send_again(primary.port, altered)

    # Another request id needs another signature.
    at = recorded[0].index(b"\xc4\x10") + 2
    renamed = recorded[0][:at] + secrets.token_bytes(16) + recorded[0][at + 16:]
    assert b'"denied"' in send_again(primary.port, renamed)

    # One that was recorded in an epoch that is over is refused even when its answer is not kept.
    between = Between(primary.port)
    assert ana.flagctl("set", "b", "on", "--env", "nowhere", primary=between.url).code == 2
    recorded = [m for kept in between.sent for m in messages(kept) if b"nowhere" in m]
    between.close()
    lab.ok("env", "create", "nowhere", primary=lab.root)
    assert b"signature-old" in send_again(primary.port, recorded[0])
    assert lab.head(env="nowhere")["version"] == 1


def ask(daemon, path, token=None, body=None):
    """The HTTP status, and the answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.http}{path}", data=body,
                                     headers={"Content-Type": "application/json"} if body else {})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def token(lab, name, role, *more):
    return lab.ok("access", "token", "create", name, role, *more, primary=lab.root)["token"]


ONE, ALL = "/ofrep/v1/evaluate/flags/a.one", "/ofrep/v1/evaluate/flags"


def test_tokens_on_an_agent(lab):
    primary = site(lab)
    lab.ok("set", "a.one", "on", "--env", "production")
    lab.ok("set", "a.one", "on", "--env", "staging")
    agent = lab.agent("--http-access", "--env", "production", "--env", "staging")
    assert ask(agent, ONE, body=b"{}")[0] == 401  # nobody was given a token yet
    assert ask(agent, "/healthz")[0] == ask(agent, "/readyz")[0] == 200

    web = token(lab, "web", "evaluator", "--env", "production", "--prefix", "a.")
    whole = token(lab, "whole", "evaluator", "--env", "production")
    prometheus = token(lab, "prometheus", "viewer")
    short = token(lab, "short", "evaluator", "--expires", "3s")
    wait_until(lambda: ask(agent, ONE, short, b"{}")[0] == 200, every_ms=5, what="the tokens are on the agent")
    assert ask(agent, ONE, web, b"{}")[0] == 200
    assert ask(agent, "/ofrep/v1/evaluate/flags/b.one", web, b"{}")[0] == 403
    assert ask(agent, "/env/staging" + ONE, web, b"{}")[0] == 403
    assert ask(agent, ALL, web, b"{}")[0] == 403  # it is not for all of them
    status, answer = ask(agent, ALL, whole, b"{}")
    assert status == 200
    assert ask(agent, ONE, web[:-1] + ("A" if web[-1] != "A" else "B"), b"{}")[0] == 401

    # What more is told is for viewers; the stream takes the ticket that the bulk answer gave.
    for path in ("/metrics", "/status"):
        assert [ask(agent, path, t)[0] for t in (None, web, prometheus)] == [401, 403, 200]
    stream = json.loads(answer)["eventStreams"][0]["endpoint"]["requestUri"]
    for uri, status in ((stream, 200), (stream.split("?")[0], 401), (stream + "0", 401)):
        with socket.create_connection(("127.0.0.1", agent.http)) as s:
            s.settimeout(10)
            s.sendall(f"GET {uri} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert s.recv(100).startswith(f"HTTP/1.1 {status} ".encode())

    # Hoist's own environment is nobody's to evaluate, whatever the token is for.
    everything = token(lab, "everything", "admin")
    wait_until(lambda: ask(agent, "/status", everything)[0] == 200, what="one more token")
    assert ask(agent, "/env/hoist-access" + ALL, everything, b"{}")[0] == 404
    own = lab.agent("--http-access", "--env", "hoist-access", "--env", "production", name="own")
    wait_until(lambda: ask(own, "/env/production" + ONE, everything, b"{}")[0] == 200, what="the token is there, too")
    for path in ALL, ONE:  # which would be of the environment that is named first
        assert ask(own, path, everything, b"{}")[0] == 404, path
    with socket.create_connection(("127.0.0.1", own.http)) as s:
        s.settimeout(10)
        s.sendall(f"GET /ofrep/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {everything}\r\n\r\n".encode())
        assert s.recv(100).startswith(b"HTTP/1.1 404 ")

    wait_until(lambda: ask(agent, ONE, short, b"{}")[0] == 401, what="the token has expired")
    lab.ok("access", "token", "revoke", "whole", primary=lab.root)
    wait_until(lambda: ask(agent, ONE, whole, b"{}")[0] == 401, what="the token is revoked")
    with socket.create_connection(("127.0.0.1", agent.http)) as s:
        s.settimeout(10)
        s.sendall(f"GET {stream} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert s.recv(100).startswith(b"HTTP/1.1 401 ")

    # Without its primary the agent goes by what it has: also after a start of its own.
    lab.ok("access", "token", "revoke", "everything", primary=lab.root)
    wait_until(lambda: ask(agent, "/status", everything)[0] == 401, what="the token is revoked")
    primary.stop()
    agent.stop()
    agent.again()
    assert ask(agent, ONE, web, b"{}")[0] == 200
    assert ask(agent, "/metrics", prometheus)[0] == 200
    for gone in (whole, short, everything):
        assert ask(agent, ONE, gone, b"{}")[0] == 401
    for secret in (web, prometheus):
        assert secret not in agent.text()


def test_tokens_on_a_primary(lab):
    primary = site(lab, "--http-access")
    view = token(lab, "view", "viewer")
    assert [ask(primary, "/metrics", t)[0] for t in (None, view)] == [401, 200]
    assert ask(primary, "/readyz")[0] == 200


def test_no_secret_is_in_the_log(lab):
    primary = site(lab, "--log-level", "debug")
    ana = Person(lab, "ana")
    grant(lab, "ana", "admin", "--key", ana.key)
    secret_token = ana.ok("access", "token", "create", "web", "evaluator", "--expires", "90d")["token"]
    assert secret_token.startswith("hoist_") and len(secret_token) == 49
    ana.ok("access", "token", "revoke", "web")
    ana.ok("access", "token", "create", "web", "viewer")
    assert [t["name"] for t in ana.ok("access", "list")["tokens"]] == ["web"]
    secret = ana.file.read_text().split()[1]
    primary.stop()
    stored = (primary.store / "current" / "data.mdb").read_bytes()
    for hidden in (secret_token, secret):
        assert hidden not in primary.text()
        assert hidden.encode() not in stored
    assert hashlib.blake2b(secret_token.encode(), digest_size=32).hexdigest() not in primary.text()
