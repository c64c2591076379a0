"""A relay that forges, drops, reorders, replays, cuts, freezes or serves an old snapshot is found out, named, and left."""
import json
import time

import pytest

from hoist import free_port, wait_until
from message_proxy import (CHANGES, ERROR_REPLY, FETCH_REPLY, HEARTBEAT, HELLO_REPLY, SNAPSHOT_REPLY, MessageProxy, array, binary,
                           content, elements, kind)
from test_trust import trust_of


def forge(proxy):
    """Other values in changes, the same length; and so in whatever is asked for."""
    def alter(frame):
        return [frame.replace(b"genuine", b"forgery") if kind(frame) in (CHANGES, FETCH_REPLY, SNAPSHOT_REPLY) else frame]
    proxy.stream = proxy.reply = alter


def drop(proxy):
    """Neither changes nor what they are asked for by."""
    proxy.stream = lambda frame: [] if kind(frame) == CHANGES else [frame]
    proxy.reply = lambda frame: [] if kind(frame) == FETCH_REPLY else [frame]


def replay(proxy):
    """Each heartbeat is one that was heard before, the oldest again and again."""
    heard = []

    def again(frame):
        if kind(frame) != HEARTBEAT:
            return []
        heard.append(frame)
        return [heard[len(heard) % min(3, len(heard))]]
    proxy.stream = again


def freeze(proxy):
    """One heartbeat for ever."""
    heard = []

    def again(frame):
        heard.append(frame)
        return [heard[0]] if kind(heard[0]) == HEARTBEAT else heard.clear() or []
    proxy.stream = again


def cut(proxy):
    proxy.stream = lambda frame: [frame[:-1]]
    proxy.reply = lambda frame: [frame[:-1]]


def silence(proxy):
    proxy.stream = lambda frame: []


BAD = {"forge": (forge, "unreadable|wrong"), "drop": (drop, "mute|withholds"), "replay": (replay, "replay|frozen"), "freeze": (freeze, "frozen"),
       "cut": (cut, "unreadable"), "silence": (silence, "silent")}


def faults(daemon, reasons):
    return sum(daemon.metric(f'hoist_upstream_faults_total{{reason="{r}"}}') for r in reasons.split("|"))


def upstream(daemon):
    return json.loads(daemon.get("/status"))["upstream"]


class Scene:
    def __init__(self, lab):
        self.lab = lab
        self.primary = lab.primary()
        lab.ok("set", "k", "genuine", "--type", "string")
        self.relay = lab.relay("--trust", trust_of(self.primary))
        self.proxy = MessageProxy(free_port(2), self.relay.port)
        self.n = 0

    def agent(self, name, *upstreams, limit=100000, **kwargs):
        return self.lab.agent("--trust", trust_of(self.primary), "--env-flags", limit, name=name, upstream=list(upstreams), **kwargs)

    def set(self):
        self.n += 1
        self.lab.ok("set", "k", f"genuine {self.n}")

    def set_until(self, condition, what):
        """Changes go on while we wait: what is bad shows when there is something to be bad at."""
        def step():
            self.set()
            return condition()
        wait_until(step, 30000, what=what)


@pytest.fixture
def scene(lab):
    s = Scene(lab)
    yield s
    s.proxy.close()


@pytest.mark.parametrize("how", BAD)
def test_it_is_named_and_left_for_another(scene, how):
    make_bad, reasons = BAD[how]
    agent = scene.agent("agent", scene.proxy.url, scene.primary.url)
    scene.lab.wait_equal(scene.primary, agent)
    make_bad(scene.proxy)
    scene.set_until(lambda: upstream(agent)["url"] == scene.primary.url, "it goes to the other upstream")
    scene.lab.wait_equal(scene.primary, agent)
    assert faults(agent, reasons) > 0, agent.text()
    named = [line for line in agent.text().splitlines() if scene.proxy.url in line and "level=warn" in line]
    assert 1 <= len(named) <= 6, agent.text()


@pytest.mark.parametrize("how", BAD)
def test_with_it_alone_a_host_serves_on_and_says_how_it_stands(scene, how):
    make_bad, reasons = BAD[how]
    agent = scene.agent("agent", scene.proxy.url)
    scene.lab.wait_equal(scene.primary, agent)
    make_bad(scene.proxy)
    scene.set_until(lambda: faults(agent, reasons) > 0, "it is found out")

    def says_so():
        u, env = upstream(agent), scene.lab.state(agent)
        return u["stale"] or not u["connected"] or env["state"] in ("behind", "refusing")
    wait_until(says_so, 15000, what="its status says so")
    assert scene.lab.ok("get", "k", store=agent.store)["value"].startswith("genuine")
    scene.proxy.stream = scene.proxy.reply = lambda frame: [frame]
    scene.set()
    scene.lab.wait_equal(scene.primary, agent, limit_ms=60000)


def test_changes_in_another_order_and_twice_are_put_right(scene):
    kept = []

    def mix(frame):
        if kind(frame) != CHANGES:
            return [frame]
        kept.append(frame)
        return [kept.pop(), kept.pop(), frame] if len(kept) == 2 else []
    scene.proxy.stream = mix
    agent = scene.agent("agent", scene.proxy.url)
    for _ in range(21):
        scene.set()
    scene.lab.wait_equal(scene.primary, agent)
    assert agent.metric('hoist_changes_total{env="production",result="rejected"}') == 0


class OldWorld:
    """All that one host was told, which is what all hosts are told ever after."""

    def __init__(self, scene):
        self.replies, self.heartbeats, self.old = {}, [], False
        scene.proxy.stream, scene.proxy.reply = self.stream, self.reply
        first = scene.agent("first", scene.proxy.url)
        wait_until(lambda: self.heartbeats)
        first.stop()
        self.old = True

    def stream(self, frame):
        if not self.old:
            self.heartbeats += [frame] if kind(frame) == HEARTBEAT else []
            return [frame]
        return self.heartbeats[-1:]

    def reply(self, frame):
        if not self.old:
            self.replies[kind(frame)] = frame
        return [self.replies.get(kind(frame), frame)]


def test_a_new_host_behind_an_old_world_goes_where_more_is_known(scene):
    world = OldWorld(scene)
    scene.set()
    time.sleep(4)  # a host cannot tell an old world from a slow one before it is some heartbeats behind
    agent = scene.agent("second", scene.proxy.url, scene.primary.url)
    scene.lab.wait_equal(scene.primary, agent)
    assert faults(agent, "older") == 1, agent.text()
    assert "has heard less of the primary" in agent.text()
    alone = scene.agent("alone", scene.proxy.url)
    wait_until(lambda: upstream(alone)["stale"] and upstream(alone)["signed_age_ms"] > 4000)
    assert scene.lab.ok("get", "k", store=alone.store)["value"] == "genuine"


def test_a_host_never_goes_back_to_an_old_world_also_after_a_start(scene):
    world = OldWorld(scene)
    agent = scene.agent("agent", scene.primary.url)
    for _ in range(5):
        scene.set()
    version = scene.lab.wait_equal(scene.primary, agent)
    wait_until(lambda: upstream(agent)["news_ms"] is not None, what="it has heard a heartbeat, newer than those of the old world")
    agent.stop()
    agent = scene.agent("agent", scene.proxy.url, store=agent.store)
    wait_until(lambda: faults(agent, "replay") == 1, 15000)
    assert scene.lab.state(agent)["version"] == version and upstream(agent)["stale"]
    assert scene.lab.ok("get", "k", store=agent.store)["value"] == "genuine 5"


# ---------------------------------------------------------------- it passes on what the primary says, and keeps back what it has

STATUS, RECORDS, LAST = 2, 7, 8  # of a reply's elements
OK, BUSY, SNAPSHOT, NO_ENV = (bytes([n]) for n in range(4))
CURRENT = b"\x01"  # of a head
NOTHING = [b"\x90", b"\xc4\x00", b"\x00", b"\x00"]  # the end of a fetch's answer: no changes, no part of one


def fetched(frame, status, epoch_and_head=None):
    e = elements(frame)
    return [array([e[0], e[1], status, b"\x64", *(epoch_and_head or e[4:6]), *NOTHING])]


def keep_back(proxy, fetch=None, page=None, hello=None, beat=None):
    """No changes; answers as these make them."""
    alter = {FETCH_REPLY: fetch, SNAPSHOT_REPLY: page, HELLO_REPLY: hello, HEARTBEAT: beat}

    def pass_on(frame):
        made_by = alter.get(kind(frame))
        return [] if kind(frame) == CHANGES else made_by(frame) if made_by else [frame]
    proxy.stream = proxy.reply = pass_on


def is_always_busy(proxy):
    keep_back(proxy, fetch=lambda f: fetched(f, BUSY, [b"\x00", b"\x00"]))


def gives_nothing(proxy):
    keep_back(proxy, fetch=lambda f: fetched(f, OK))


def claims_to_be_current(proxy):
    hops = []

    def as_it_was(frame):
        e = elements(frame)
        if not hops and any(elements(head)[5] != CURRENT for head in elements(elements(content(e[4]))[2])):
            return [frame]
        hops.append(e[4])
        return [array([*e[:4], hops[0], *e[5:]])]
    keep_back(proxy, beat=as_it_was)


def has_no_such_environment(proxy):
    def without(frame):
        e = elements(frame)
        hop = elements(content(e[4]))
        return [array([*e[:4], binary(array([*hop[:2], b"\x90"])), *e[5:]])]
    keep_back(proxy, beat=without, fetch=lambda f: fetched(f, NO_ENV, [b"\x00", b"\x00"]))


def cuts_its_answers(proxy):
    keep_back(proxy, fetch=lambda f: [f[:-1]])


def wants_a_snapshot_taken(proxy):
    keep_back(proxy, fetch=lambda f: fetched(f, SNAPSHOT),
              page=lambda f: [array([*elements(f)[:2], BUSY, b"\x64", b"\x00", b"\x00", b"\xc4\x00", b"\x90", b"\xc2", b"\x00"])])


def drips(proxy):
    """A snapshot of one flag a second, while nothing is heard of the primary."""
    def first(frame):
        time.sleep(1)
        e = elements(frame)
        records = elements(e[RECORDS])
        return [array([*e[:RECORDS], array(records[:1]), b"\xc2" if records else e[LAST], *e[LAST + 1:]])]
    beats = []

    def as_it_was(frame):
        beats.append(frame)
        return [beats[min(len(beats), 20) - 1]]
    keep_back(proxy, fetch=lambda f: fetched(f, SNAPSHOT), page=first, beat=as_it_was)


def makes_up_flags(proxy):
    """More than the host takes, at the end of a snapshot."""
    def more(frame):
        e = elements(frame)
        made_up = [array([b"\xa6zz%04d" % i, b"\xc4\x01\x00"]) for i in range(200)]
        return [array([*e[:RECORDS], array(elements(e[RECORDS]) + made_up), *e[LAST:]])]
    keep_back(proxy, page=more)


def answers_hello_with_an_error(proxy):
    keep_back(proxy, hello=lambda f: [array([ERROR_REPLY, b"\x01", b"\xb0not this version"])])


def cuts_hello(proxy):
    keep_back(proxy, hello=lambda f: [f[:-1]])


KEEPS_BACK = [is_always_busy, gives_nothing, claims_to_be_current, has_no_such_environment, cuts_its_answers, wants_a_snapshot_taken, drips]
KEEPS_BACK_FROM_THE_START = [makes_up_flags, answers_hello_with_an_error, cuts_hello]


@pytest.fixture
def between(scene):
    """Gives a proxy for each of a list of ways to be bad."""
    proxies = []

    def make(ways):
        for way in ways:
            proxies.append(MessageProxy(free_port(2), scene.relay.port))
        return list(zip(ways, proxies[-len(ways):]))
    yield make
    for proxy in proxies:
        proxy.close()


def names(agent, url):
    return [line for line in agent.text().splitlines() if url in line and "level=warn" in line and
            ("does not give what the primary has" in line or "has not answered hello" in line)]


def test_who_keeps_back_what_the_primary_has_is_named_and_left(scene, between):
    for i in range(20):
        scene.lab.ok("set", f"f{i:02}", "x", "--type", "string")
    bad = [(way, proxy, scene.agent(way.__name__, proxy.url, scene.primary.url)) for way, proxy in between(KEEPS_BACK)]
    scene.lab.wait_equal(scene.primary, *(agent for _, _, agent in bad))
    for way, proxy, _ in bad:
        way(proxy)
    for way, proxy in between(KEEPS_BACK_FROM_THE_START):
        way(proxy)
        bad.append((way, proxy, scene.agent(way.__name__, proxy.url, scene.primary.url, ready=False, limit=100)))
    scene.set_until(lambda: all(upstream(agent)["url"] == scene.primary.url for _, _, agent in bad), "all go to the other upstream")
    scene.lab.wait_equal(scene.primary, *(agent for _, _, agent in bad))
    for way, proxy, agent in bad:
        assert len(names(agent, proxy.url)) == 1, agent.text()
        assert faults(agent, "mute" if "hello" in way.__name__ else "withholds") == 1, agent.text()


def test_with_such_an_upstream_alone_a_host_serves_on_and_names_it_once(scene, between):
    bad = [(proxy, scene.agent(way.__name__, proxy.url)) for way, proxy in between([is_always_busy, claims_to_be_current])]
    scene.lab.wait_equal(scene.primary, *(agent for _, agent in bad))
    for way, (proxy, _) in zip([is_always_busy, claims_to_be_current], bad):
        way(proxy)
    scene.set_until(lambda: all(faults(agent, "withholds") for _, agent in bad), "it is found out")
    for proxy, agent in bad:
        assert scene.lab.state(agent)["state"] == "behind" and scene.lab.ok("get", "k", store=agent.store)["value"].startswith("genuine")
        proxy.stream = proxy.reply = lambda frame: [frame]
    scene.lab.wait_equal(scene.primary, *(agent for _, agent in bad))
    for proxy, agent in bad:
        assert len(names(agent, proxy.url)) == 1 and agent.metric("hoist_upstream_switches_total") == 0, agent.text()
