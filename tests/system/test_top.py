"""flagctl top: the fleet on a terminal, which is read here as a person reads it."""
import json
import os
import re
import signal
import subprocess
import time
import urllib.request

import pytest

from fake_host import FakeHost
from faults import figures
from hoist import BUILD, TOP, clean_env, free_port, wait_until
from terminal import Terminal
from test_usage import Counter

ESCAPE = "\x1b"


@pytest.fixture
def top(lab):
    """Starts `flagctl top` on a terminal of a size."""
    terminals = []

    def start(*args, rows=24, columns=80, term="xterm", **variables):
        env = clean_env(HOME=lab.dir, HOIST_PRIMARY=lab.url, TERM=term, **variables)
        terminals.append(Terminal([BUILD / "flagctl", "top", *args], env, rows, columns))
        return terminals[-1]
    yield start
    for t in terminals:
        t.close()


def quits(t):
    """It ends at q, and leaves the terminal as it was, with nothing on it that is not understood."""
    t.type("q")
    assert t.ended() == 0 and t.is_restored() and t.screen.wrong == [], t.screen.wrong
    assert t.screen.cleared == t.screen.entered, "a frame is drawn over the one before it"


def tell(primary, lab, *names, lag=0, env="production"):
    """Hosts that say once that they have the head but for `lag` versions."""
    head = lab.head(env)
    for name in names:
        FakeHost(primary.port, name).tell(head["version"] - lag, int(head["epoch"], 16), env)


def test_it_shows_the_fleet_and_follows_it(lab, top):
    primary = lab.primary("--env", "production", "--env", "staging")
    stuck, dying = lab.agent(name="stuck"), lab.agent(name="dying")
    lab.agent(name="fine")
    for env in "production", "staging":
        lab.ok("set", "sync", "on", "-m", "open the doors", env=env)
    t = top()
    lines = t.shows("hosts 1-3 of 3")
    assert lines[0].startswith("production  v2  ") and lab.url in lines[0]
    wait_until(lambda: t.row(">production", "v2", "3", "0", "0", "0"), what="all three are current")
    assert t.line("open the doors").startswith("v2 ") and " set " in t.line("open the doors")
    assert t.row("KILLED", "none") and "--alertmanager" in t.line("ALERT  ")
    dying.kill()
    died = time.monotonic()

    stuck.signal(signal.SIGSTOP)
    assert lab.flagctl("kill", "sync", "-m", "smoke in the kitchen", "--timeout", "100ms", env="production").code == 6
    t.shows("smoke in the kitchen")
    wait_until(lambda: t.row("stuck", "behind", "v2", "1,") and t.row(">production", "v3", "1", "2", "0", "0", "1,"),
               what="how far it is behind")
    assert next(r for r in map(str.split, t.text()) if r and r[0] in ("stuck", "dying", "fine"))[0] != "fine", "the slowest stand first"
    assert t.row("sync", "off")
    lab.ok("restore", "sync", env="production")
    wait_until(lambda: t.row("KILLED", "none") and not t.row("sync", "off"), what="nothing is killed")
    stuck.signal(signal.SIGCONT)
    wait_until(lambda: t.row("stuck", "current", "v4", "-"), what="it has come after")

    wait_until(lambda: t.row("dying", "silent") and t.row(">production", "v4", "2", "0", "1", "0"), what="it is silent")
    assert time.monotonic() - died > 9
    t.type("e")
    t.shows(">staging")
    assert t.text()[0].startswith("staging  v2")
    t.type("e")
    t.shows(">production")

    primary.kill()
    t.shows("no answer for", "trying on")
    first = int(re.search(r"for (\d+) s", t.line("no answer")).group(1))
    wait_until(lambda: int(re.search(r"for (\d+) s", t.line("no answer")).group(1)) > first, what="it counts on")
    assert t.line("stuck"), "the last answer stays"
    primary.again()
    t.hides("no answer")
    quits(t)


def test_keys_scroll_sort_pause_and_help(lab, top):
    primary = lab.primary()
    names = [f"host-{i:04}" for i in range(1000)]
    lab.ok("set", "k", "on")
    tell(primary, lab, *names[:-3])
    tell(primary, lab, *names[-3:], lag=1)
    t = top(rows=30, columns=100)
    lines = t.shows("of 1000")
    shown = [line.split()[0] for line in lines if line.startswith("host-")]
    assert shown[:4] == [*names[-3:], names[0]]
    t.type("s")
    t.shows("s by silence")
    t.type("s")
    t.shows("s by name", "host-0000")
    t.type(f"{ESCAPE}[B")
    t.hides("host-0000")
    t.shows("hosts 2-")
    t.type(f"{ESCAPE}[F")
    end = t.shows("host-0999")
    assert re.search(r"hosts (\d+)-1000 of 1000", end[-1])
    t.type(f"{ESCAPE}[5~")
    t.hides("host-0999")
    t.type(f"{ESCAPE}OH")  # as some terminals say it
    t.shows("host-0000", "hosts 1-")
    t.type(ESCAPE + "[1;5C" + ESCAPE + "x" + "z")  # no keys of ours
    t.type("p")
    t.shows("(paused)")
    asked = lab.head()["version"]
    lab.ok("set", "k", "off")
    time.sleep(1.5)
    assert t.line(f"v{asked + 1}") == "", "nothing is asked"
    t.type("p")
    t.shows(f"v{asked + 1}")
    t.hides("(paused)")
    t.type("?")
    t.shows("the next environment", "page up")
    assert not t.line("host-0000")
    t.type("?")
    t.shows("host-0000")
    quits(t)


@pytest.mark.parametrize("rows, columns", [(1, 10), (3, 20), (10, 40), (60, 250)])
def test_every_size_is_filled_and_not_overrun(lab, top, rows, columns):
    lab.primary()
    lab.agent(name="host-with-a-name-that-is-rather-long-for-a-narrow-terminal")
    lab.ok("set", "k", "on", "-m", "a reason that is longer than a narrow terminal has room for, by far, as reasons are")
    t = top("--interval", "200ms", rows=rows, columns=columns)
    lines = t.shows("productio" if columns < 20 else "production")
    if rows > 3:
        assert t.shows("q quit" if columns > 40 else "hosts 1-1")[-1], "the last line has the keys"
    if columns == 40:
        lines = t.shows("host-with-a-name")
        assert len([line for line in lines if line.endswith("…") and len(line) == 40]) > 1, "what has no room is cut, up to the edge"
    t.resize(24, 80)
    t.shows("host-with-a-name-that-is-rather", "q quit")
    t.resize(12, 60)
    t.shows("hosts 1-1", "q quit")
    quits(t)


def test_text_of_all_kinds_stays_in_its_column(lab, top):
    primary = lab.primary()
    lab.ok("set", "k", "on", "-m", f"{ESCAPE}[2Jgone\x9b\u202e東京 grün", "--author", "Зоя")
    tell(primary, lab, "東京-1", "zürich", "bad\u202egnp.exe")
    t = top(columns=100)
    t.shows("東京-1", "zürich", "bad?gnp.exe", "東京 grün", "Зоя")
    assert t.line("東京-1").index("current") + 2 == t.line("zürich").index("current"), "two letters of two columns"
    quits(t)


@pytest.mark.parametrize("number, ends", [(signal.SIGTERM, True), (signal.SIGHUP, True), (signal.SIGABRT, True), ("\x03", True), ("\x1a", False)],
                         ids=["term", "hup", "abort", "^C", "^Z"])
def test_the_terminal_is_given_back_however_it_ends(lab, top, number, ends):
    lab.primary()
    t = top()
    t.shows("production")
    assert not t.is_restored() and t.screen.alternate and not t.screen.cursor
    t.type(number) if isinstance(number, str) else t.p.send_signal(number)
    if ends:
        assert t.ended() == -(signal.SIGINT if number == "\x03" else number)
        assert t.is_restored()
        return
    wait_until(lambda: open(f"/proc/{t.p.pid}/stat").read().split()[2] == "T", what="it is stopped")
    wait_until(t.is_restored, 5000)
    t.p.send_signal(signal.SIGCONT)
    t.shows("production", "q quit")
    quits(t)


def test_q_does_not_wait_for_a_primary_that_is_away(lab, top):
    lab.url = f"tcp://127.0.0.1:{free_port(2)}"
    t = top()
    t.shows("no answer yet, trying on")
    time.sleep(0.3)  # into the next question
    began = time.monotonic()
    quits(t)
    assert time.monotonic() - began < 1.5


def test_colours_are_for_who_wants_them(lab, top):
    lab.primary()
    with_colours, without = top(), top(NO_COLOR="1")
    for t in with_colours, without:
        t.shows("production")
        quits(t)
    assert with_colours.screen.coloured and not without.screen.coloured
    dumb = top(term="dumb")
    assert dumb.p.wait(10) == 0
    dumb.shows("production")
    assert ESCAPE.encode() not in dumb.bytes and not dumb.line("q quit"), "one frame, as text"


def test_once_is_text_and_json_is_an_object(lab):
    lab.primary("--env", "production", "--env", "staging")
    lab.agent(name="host1")
    lab.ok("set", "k", "on", "-m", "x" * 300, env="production")
    lab.ok("kill", "k", env="production")
    wait_until(lambda: "host1" in lab.flagctl("top", env="production").out)
    for words in (), ("--once",):
        said = lab.flagctl("top", *words)
        assert said.code == 0 and ESCAPE not in said.out and "x" * 300 in said.out and said.err == ""
        assert all(line == line.rstrip() for line in said.out.splitlines())
    answer = lab.ok("top", env="production")
    assert answer["env"] == "production" and answer["hosts"][0]["id"] == "host1" and answer["hosts_count"] == 1
    assert answer["killed"][0]["key"] == "k" and answer["killed_count"] == 1 and answer["alerts"] is None
    assert [e["env"] for e in answer["environments"]] == ["production", "staging"]
    assert answer["environments"][0]["changes_60s"] >= 3 and answer["changes"][0]["kind"] == "kill"
    assert lab.ok("top", env="staging")["hosts"] == []


def test_what_cannot_be_is_refused(lab, top):
    lab.primary()
    for words, says in ((("--interval", "soon"), "500ms"), (("--interval", "1ms"), "100ms"), (("--env", "nowhere"), "nowhere"),
                        (("--store", lab.dir), "--primary"), (("k",), "usage")):
        refused = lab.flagctl("top", *words)
        assert refused.code == 2 and says in refused.err, (words, refused)
    t = top("--env", "nowhere")
    assert t.ended() == 2 and t.is_restored()
    t.shows("no environment 'nowhere' here", "there is: production")


def test_a_key_of_the_file_names_alertmanager_and_troubles_no_other_command(lab):
    primary = lab.primary()
    port = free_port()
    (lab.dir / ".config/hoist").mkdir(parents=True)
    (lab.dir / ".config/hoist/flagctl.yaml").write_text(f"primary: {primary.url}\nalertmanager: http://127.0.0.1:{port}\n")
    answer = lab.ok("top")
    assert answer["alertmanager"] == f"http://127.0.0.1:{port}" and answer["alerts"] is None and answer["alerts_error"]
    assert f"http://127.0.0.1:{port}: " in lab.flagctl("top").out
    lab.ok("set", "k", "on")
    assert lab.flagctl("fsck", store=primary.store).code == 0


def test_flags_stand_by_evaluations_a_second(lab, top):
    primary = lab.primary()
    for key in "often", "seldom", "never":
        lab.ok("set", key, "on")
    assert "FLAG  none was evaluated yet" in lab.flagctl("top").out
    host = Counter(primary.port, 1)
    host.tell(("often", "on", 90), ("often", "off", 10), ("seldom", "on", 1000000))
    wait_until(lambda: lab.ok("top")["evaluations"], what="it is added up")
    t = top(columns=120)
    lines = t.shows("seldom ", "often ")
    assert lines.index(t.line("seldom ")) < lines.index(t.line("often ")), "no rate yet: what was evaluated most stands first"
    assert t.row("often")[1:5] == ["-", "100", "100", "100"] and "on 90 %, off 10 %" in t.line("often ")
    host.tell(("often", "on", 5000), ("seldom", "on", 1))

    def by_rate():
        often, seldom = t.row("often"), t.row("seldom")
        lines = t.text()
        return (often[1] != "-" and float(often[1]) > float(seldom[1]) > 0 and often[2] == "5100"
                and lines.index(t.line("often ")) < lines.index(t.line("seldom ")))
    wait_until(by_rate, what="what is evaluated now stands first")
    assert not t.row("never")
    quits(t)
    said = lab.ok("top")["evaluations"]
    assert [(f["key"], f["total"], f["per_second"]) for f in said] == [("seldom", 1000001, None), ("often", 5100, None)]


class Alertmanager:
    def __init__(self, lab):
        self.url = f"http://127.0.0.1:{free_port()}"
        lab.process(["prometheus-alertmanager", f"--config.file={TOP}/deploy/alertmanager/alertmanager.yml",
                     f"--storage.path={lab.dir}/alertmanager", f"--web.listen-address={self.url[7:]}", "--cluster.listen-address=",
                     "--log.level=error"], "alertmanager")
        wait_until(lambda: urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200, what="Alertmanager is ready")

    def tool(self, *words):
        subprocess.run(["amtool", f"--alertmanager.url={self.url}", *words], check=True, capture_output=True)


def test_alerts_of_a_real_alertmanager_come_and_go(lab, top):
    lab.primary()
    manager = Alertmanager(lab)
    t = top("--alertmanager", manager.url + "/", columns=120)
    t.shows("ALERT  none")
    manager.tool("alert", "add", "SyncFails", "severity=critical", "env=production", "--annotation=summary=nothing comes in")
    manager.tool("alert", "add", "LagHigh", "severity=warning")
    lines = t.shows("SyncFails", "LagHigh")
    assert "critical" in t.line("SyncFails") and "nothing comes in" in t.line("SyncFails")
    assert lines.index(t.line("SyncFails")) < lines.index(t.line("LagHigh")), "the worst stands first"
    manager.tool("silence", "add", "alertname=LagHigh", "--comment=known", "--duration=1h", "--author=ana")
    t.shows("silenced")
    said = lab.ok("top", "--alertmanager", manager.url)
    assert [(a["name"], a["state"]) for a in said["alerts"]] == [("SyncFails", "active"), ("LagHigh", "silenced")]
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    manager.tool("alert", "add", "SyncFails", "severity=critical", "env=production", f"--end={soon}")
    t.hides("SyncFails")
    lab.all[-1].kill()
    t.shows(manager.url + "/: ")
    quits(t)


def cpu_s(pid):
    """To the nanosecond, of all its threads."""
    return sum(int(open(f"/proc/{pid}/task/{t}/schedstat").read().split()[0]) for t in os.listdir(f"/proc/{pid}/task")) / 1e9


def test_what_a_thousand_hosts_cost_the_primary(lab, top):
    primary = lab.primary()
    lab.ok("set", "k", "on")
    tell(primary, lab, *(f"host-{i:04}" for i in range(1000)))

    def share(seconds=1):
        before = cpu_s(primary.pid)
        time.sleep(seconds)
        return 100 * (cpu_s(primary.pid) - before) / seconds
    rest = share()
    t = top("--interval", "100ms", rows=50, columns=120)
    t.shows("of 1000")
    busy = share()
    quits(t)
    small = lab.flagctl("top", "--json", env="production").out
    figures(f"flagctl top, 1000 hosts: primary's CPU at rest {rest:.2f} % of a core, with 10 frames a second {busy:.2f} %, "
            f"so a frame a second {max(busy - rest, 0) / 10:.2f} %; an answer of 20 hosts {len(small)} bytes")
    assert len(small) < 20000 and json.loads(small)["hosts_count"] == 1000
    assert busy - rest < 40, "ten frames a second, and still far from a core"
