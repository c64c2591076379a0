"""A private environment is given out at an address of its own, and nowhere else."""
import json
import subprocess

import pytest

from hoist import BUILD, clean_env, free_port, wait_until
from sp_client import fetch, hello, listen, snapshot
from test_trust import forged, trust_of

ENV, VALUE = b"hidden-env", b"hidden-value"


class Place:
    def __init__(self, lab, *args):
        self.lab, self.port = lab, free_port(2)
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.primary = lab.primary("--env", "production", "--env", ENV.decode(), "--private", f"{ENV.decode()}={self.url}", *args)
        lab.ok("set", "open", "seen", "--type", "string", env="production")
        lab.ok("set", "k", VALUE.decode(), "--type", "string", env=ENV.decode())
        self.epoch = int(lab.head(ENV.decode())["epoch"], 16)

    def change_both(self):
        for n in range(5):
            self.lab.ok("set", "k", f"{VALUE.decode()} {n}", env=ENV.decode())
            self.lab.ok("set", "open", f"seen {n}", env="production")


@pytest.fixture
def place(lab):
    return Place(lab)


def test_nothing_of_it_comes_from_the_ordinary_listener(place):
    for reply in hello(place.primary.port), snapshot(place.primary.port, ENV.decode()), fetch(place.primary.port, ENV.decode(), place.epoch):
        assert ENV not in reply and VALUE not in reply
    assert b"seen" in snapshot(place.primary.port, "production")
    said = listen(place.primary.port + 1, 1.5, place.change_both)
    assert any(b"seen 4" in m for m in said) and len(said) > 8
    assert not [m for m in said if ENV in m or VALUE in m]


def test_all_of_it_comes_from_its_own(place):
    assert ENV in hello(place.port) and VALUE in snapshot(place.port, ENV.decode())
    assert VALUE in fetch(place.port, ENV.decode(), place.epoch) and b"seen" in snapshot(place.port, "production")
    said = listen(place.port + 1, 1.5, place.change_both)
    assert any(VALUE + b" 4" in m for m in said) and any(b"seen 4" in m for m in said)


def test_a_host_that_is_granted_it_follows_and_others_go_without(place):
    lab, follow = place.lab, ("--trust", trust_of(place.primary), "--env", "production", "--env", ENV.decode())
    granted = lab.agent(*follow, name="granted", upstream=place.url)
    other = lab.agent(*follow, name="other", ready=False)
    place.change_both()
    for env in "production", ENV.decode():
        lab.wait_equal(place.primary, granted, env=env)
    wait_until(lambda: lab.state(other)["state"] == "current")
    state = lab.state(other, ENV.decode())
    assert state["version"] == 0 and state["state"] != "current" and "no such environment" in other.text()
    answer = lab.flagctl("set", "k", "last", "--wait", "--timeout", "3s", "--json", env=ENV.decode())
    assert answer.code == 6 and (answer.json["wait"]["have"], answer.json["wait"]["missing"]) == (1, ["other"])  # it asks in vain
    assert VALUE not in b"".join(p.read_bytes() for p in other.store.glob("current/data.mdb"))


def test_a_host_may_go_from_one_listener_to_the_other(place):
    lab = place.lab
    agent = lab.agent("--trust", trust_of(place.primary), upstream=place.url)
    lab.wait_equal(place.primary, agent)
    agent.stop()
    agent = lab.agent("--trust", trust_of(place.primary), store=agent.store)
    place.change_both()
    lab.wait_equal(place.primary, agent)
    assert not json.loads(agent.get("/status"))["upstream"]["stale"] and forged(agent) == 0
    assert agent.metric('hoist_frames_refused_total{reason="stale"}') == 0


@pytest.mark.parametrize("text, says", [("noaddress", "an environment and an address"), ("=tcp://127.0.0.1:7410", "an environment"),
                                        ("secret=udp://x", "udp"), ("Secret=tcp://127.0.0.1:7410", "an environment")])
def test_what_cannot_be_is_refused_at_the_start(lab, text, says):
    done = subprocess.run([BUILD / "hoistd", "primary", "--store", lab.dir / "s", "--http", "off", "--listen", f"ipc://{lab.dir}/s.sock",
                           "--private", text], env=clean_env(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "--private" in done.stderr and says in done.stderr, done


def test_its_listener_and_the_ordinary_one_count_together(lab):
    """Two subscriptions of a peer, one at each, are as many as it may have."""
    place = Place(lab, "--peer-subscriptions", "2")
    ratio = lambda: place.primary.metric('hoist_limit_ratio{limit="peer_subscriptions"}')
    lab.agent("--trust", trust_of(place.primary), name="ordinary")
    wait_until(lambda: ratio() == 0.5)
    lab.agent("--trust", trust_of(place.primary), name="granted", upstream=place.url)
    wait_until(lambda: ratio() == 1)
    lab.agent("--trust", trust_of(place.primary), name="third", upstream=place.url, ready=None)
    wait_until(lambda: place.primary.metric('hoist_refused_total{limit="peer_subscriptions"}') > 0)
    assert ratio() == 1 and "--peer-subscriptions" in place.primary.text()


def test_questions_by_the_ordinary_listener_say_nothing_of_it_to_who_has_no_grant(lab):
    root = f"ipc://{lab.dir}/p.sock"
    place = Place(lab, "--listen", root)
    lab.ok("access", "grant", "ana", "viewer", "--uid", "4242", primary=root)  # from now on others only read
    questions = (("export",), ("get", "k"), ("list",), ("log",), ("history", "k"), ("show", "1"), ("audit", "export"), ("usage", "k"))
    for words in questions:
        answer = lab.flagctl(*words, "--json", env=ENV.decode())
        assert answer.code == 5 and VALUE.decode() not in answer.out + answer.err and answer.error["code"] == "denied", (words, answer)
        assert lab.flagctl(*words, env="production").code != 5
    assert lab.flagctl("env", "diff", "production", ENV.decode()).code == 5
    assert VALUE.decode() in lab.flagctl("export", env=ENV.decode(), primary=place.url).out
    assert VALUE.decode() in lab.flagctl("export", env=ENV.decode(), primary=root).out  # who runs hoistd


def test_what_is_said_of_all_environments_leaves_it_out_for_who_has_no_grant(lab):
    root, ana = f"ipc://{lab.dir}/p.sock", lab.dir / "ana.key"
    place = Place(lab, "--listen", root)
    lab.ok("env", "set", ENV.decode(), "--metadata", f"purpose={VALUE.decode()}", primary=root)
    key = lab.ok("key", "new", ana)["key"]
    lab.ok("access", "grant", "ana", "viewer", "--env", "production", "--key", key, primary=root)
    questions = ("env", "list"), ("status",), ("top", "--once", "--env", "production")
    named = lambda words, *more, **kwargs: [e["env"] for e in lab.ok(*words, *more, **kwargs)["environments"]]
    for words in questions:
        for who in (), ("--identity", ana):
            answer = lab.flagctl(*words, "--json", *who)
            assert answer.code == 0 and ENV.decode() not in answer.out and VALUE.decode() not in answer.out, (words, who, answer)
            assert "production" in named(words, *who)
        assert ENV.decode() in named(words, primary=place.url) and ENV.decode() in named(words, primary=root), words
    lab.ok("access", "grant", "ana", "viewer", "--key", key, primary=root)  # of all
    for words in questions:
        assert ENV.decode() in named(words, "--identity", ana), words


def test_its_epoch_is_not_needed_to_sign(lab):
    """It was made last, and has the greatest; the ordinary listener does not tell it."""
    root = f"ipc://{lab.dir}/p.sock"
    place = Place(lab, "--listen", root)
    key = lab.ok("key", "new", lab.dir / "ana.key")["key"]
    lab.ok("access", "grant", "ana", "admin", "--key", key, primary=root)
    lab.ok("env", "epoch", "--new", "--env", ENV.decode(), primary=root)
    assert max(lab.ok("env", "list", primary=root)["environments"], key=lambda e: e["epoch"])["env"] == ENV.decode()
    for url in lab.url, place.url, root:
        assert lab.ok("set", "open", url, "--identity", lab.dir / "ana.key", env="production", primary=url)["result"] == "changed"
