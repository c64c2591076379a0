"""All of a launch on this machine: a primary and its hosts, GitHub's stand-in, the service in staging and in production,
requests to both, Prometheus, Alertmanager, and the people of the plan, each with a key of their own."""
import contextlib
import datetime
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import secrets
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import shortened

TOP = pathlib.Path(__file__).resolve().parents[2]
PLAN = TOP / "examples/marketplace/release.yaml"
ENVS = ("staging", "production")
SINKS = ("slack_marketplace", "slack_support")
COMMIT = "0" * 40  # where this is no git repository


# From anywhere below those that the kernel gives to connections, which would take one between here and its use.
PORTS = itertools.count(random.randrange(10000, 30000))


def free_ports(count=1):
    """The first of `count` free ports in a row; each is given once."""
    while True:
        ports = list(itertools.islice(PORTS, count))
        with contextlib.ExitStack() as stack:
            try:
                for port in ports:
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return ports[0]


def wait(what, condition, limit_s=60, every_s=0.05):
    """The first true answer of `condition`; no answer is a no."""
    end = time.monotonic() + limit_s
    while True:
        answer = None
        with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
            answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise RuntimeError(f"not within {limit_s} s: {what}")
        time.sleep(every_s)


def get(url, data=None, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return answer.read().decode()


def answers(url):
    return lambda: get(url) is not None


class Load(threading.Thread):
    """Requests to a service at a rate, each for the next account; `failed` are those that were not answered by 200."""

    def __init__(self, port, per_s, path="/api/v1/listings?per_page=10"):
        super().__init__(daemon=True)
        self.port, self.pause_s, self.path = port, 1 / per_s, path
        self.asked, self.failed, self.ending = 0, 0, threading.Event()
        self.start()

    def run(self):
        connection, due = None, time.monotonic()
        while not self.ending.wait(max(0, due - time.monotonic())):
            due = max(due + self.pause_s, time.monotonic() - 1)  # what is more than a second late is left out
            who = f"{'staff' if self.asked % 20 == 0 else 'account'}-{self.asked % 2000}"
            self.asked += 1
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                connection.request("GET", self.path, headers={"X-Account-Id": who})
                answer = connection.getresponse()
                answer.read()
                self.failed += answer.status != 200
            except (OSError, http.client.HTTPException):
                self.failed, connection = self.failed + 1, None

    def end(self):
        self.ending.set()
        self.join(15)
        return self


def commit():
    """Which one is checked out."""
    with contextlib.suppress(OSError):
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=TOP, capture_output=True, text=True, check=False)
        return done.stdout.strip() or COMMIT
    return COMMIT


class Fleet:
    """Started as a whole; `end` ends all of it."""

    def __init__(self, directory, build, hosts=3, say=print):
        self.dir, self.build, self.say = pathlib.Path(directory), pathlib.Path(build).resolve(), say
        self.processes, self.loads, self.people = {}, {}, {}
        self.commit = commit()
        self.checkout = self.check_out()
        self.token = self.secret("github-token", secrets.token_hex(20))
        self.hook = self.secret("webhook-token", secrets.token_hex(20))
        self.port = {name: free_ports() for name in ("prometheus", "alertmanager", "http", "github", "control", "contract-github",
                                                     "contract-control", "told", *ENVS)}
        self.told = self.secret("sink", f"http://127.0.0.1:{self.port['told']}/\n{secrets.token_hex(20)}")
        self.hosts = {f"host{i}": free_ports() for i in range(1, hosts + 1)}
        self.url = f"tcp://127.0.0.1:{free_ports(2)}"

    # ---------------------------------------------------------------- processes

    def secret(self, name, text):
        path = self.dir / name
        path.touch(0o600)
        path.write_text(text + "\n")
        return path

    def check_out(self):
        """Where the checks run: the commit as it is, whatever was altered here since."""
        if self.commit == COMMIT:
            return TOP
        there = self.dir / "checkout"
        subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", TOP, there], check=True)
        subprocess.run(["git", "checkout", "--quiet", "--detach", self.commit], cwd=there, check=True)
        return there

    def environ(self, home=None):
        env = {name: value for name, value in os.environ.items() if not name.startswith("HOIST_")}
        return {**env, "HOIST_PRIMARY": self.url, "HOME": str(home or self.dir), "PATH": f"{self.build}:{env['PATH']}", "BUILD": str(self.build)}

    def start(self, name, *argv):
        log = open(self.dir / f"{name}.log", "ab")
        self.processes[name] = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                cwd=TOP, env=self.environ())
        log.close()

    def start_hoist(self):
        self.start("told", TOP / "examples/notified/notified", "--port", self.port["told"], "--secrets", self.told)
        self.start("primary", self.build / "hoistd", "primary", "--store", self.dir / "primary", "--listen", self.url,
                   "--http", f"127.0.0.1:{self.port['http']}", "--env", "staging", "--env", "production",
                   "--prometheus", f"http://127.0.0.1:{self.port['prometheus']}", "--webhook-token-file", self.hook,
                   "--kill-on-alert", "staging:HoistDrill=hoist.drill",
                   *(word for sink in SINKS for word in ("--notify", f"{sink}=json:{self.told}")))
        wait("the primary", answers(f"http://127.0.0.1:{self.port['http']}/readyz"))
        for env in ENVS:
            self.flagctl(None, "import", f"examples/marketplace/flags/{env}.json", "--env", env, "-m", "the marketplace's flags")
        for name, port in self.hosts.items():
            self.start(name, self.build / "hoistd", "agent", "--upstream", self.url, "--store", self.dir / name, "--id", name,
                       "--env", "staging", "--env", "production", "--http", f"127.0.0.1:{port}")
        for name, port in self.hosts.items():
            wait(name, answers(f"http://127.0.0.1:{port}/readyz"))

    def start_github(self, name=""):
        self.start(f"{name}github", TOP / "examples/github-stub/github-stub", "--port", self.port[f"{name}github"],
                   "--control-port", self.port[f"{name}control"])
        wait("GitHub's stand-in", answers(f"http://127.0.0.1:{self.port[f'{name}control']}/state"))

    def start_service(self, env):
        """In an environment, beside a host of its own."""
        self.start(env, self.build / "examples/marketplace/marketplace", "--listen", f"127.0.0.1:{self.port[env]}",
                   "--store", self.dir / f"host{1 + ENVS.index(env)}", "--env", env, "--data", self.dir / f"listings-{env}",
                   "--github", f"http://127.0.0.1:{self.port['github']}", "--token-file", self.token, "--interval-s", 1,
                   "--first-wait-ms", 400)
        wait(f"the service in {env}", answers(f"http://127.0.0.1:{self.port[env]}/readyz"))

    def start_watching(self):
        """Prometheus and Alertmanager with the files of deploy/, each second, with rules as fast as the plan."""
        here = self.dir / "watching"
        here.mkdir()
        for rules in (TOP / "deploy/prometheus").glob("*.rules.yml"):
            (here / rules.name).write_text(shortened.scaled(rules.read_text(), shortened.RULES_FASTER))
        hoistds = ", ".join(f"'127.0.0.1:{port}'" for port in (self.port["http"], *self.hosts.values()))
        services = ", ".join(f"'127.0.0.1:{self.port[env]}'" for env in ENVS)
        text = (TOP / "deploy/prometheus/prometheus.yml").read_text()
        for was, now in (("_interval: 15s", "_interval: 1s"), ("127.0.0.1:9093", f"127.0.0.1:{self.port['alertmanager']}"),
                         ("'127.0.0.1:7501', '127.0.0.1:7502'", services), ("'127.0.0.1:7480', '127.0.0.1:8016'", hoistds)):
            text = shortened.sub(re.escape(was), now, text)
        (here / "prometheus.yml").write_text(text)
        text = (TOP / "deploy/alertmanager/alertmanager.yml").read_text()
        for was, now in (("7480", str(self.port["http"])), ("credentials_file: webhook-token", f"credentials_file: {self.hook}")):
            text = shortened.sub(was, now, text, 1)
        (here / "alertmanager.yml").write_text(text)
        self.start_prometheus()
        self.start("alertmanager", "prometheus-alertmanager", f"--config.file={here}/alertmanager.yml", f"--storage.path={here}/alertmanager",
                   f"--web.listen-address=127.0.0.1:{self.port['alertmanager']}", "--cluster.listen-address=", "--log.level=warn")
        wait("Prometheus sees all", lambda: self.value("sum(up)") == 3 + len(self.hosts))
        wait("Alertmanager", answers(f"http://127.0.0.1:{self.port['alertmanager']}/-/ready"))

    def start_prometheus(self):
        self.start("prometheus", "prometheus", f"--config.file={self.dir}/watching/prometheus.yml",
                   f"--storage.tsdb.path={self.dir}/watching/prometheus", f"--web.listen-address=127.0.0.1:{self.port['prometheus']}",
                   "--log.level=warn")

    def start_all(self):
        self.say("a primary and its hosts; their flags, off everywhere")
        self.start_hoist()
        self.say("a stand-in for GitHub; the service in staging and in production; requests to both")
        self.start_github()
        self.start_github("contract-")
        for env in ENVS:
            self.start_service(env)
        self.load()
        self.say("Prometheus and Alertmanager, at a scrape a second")
        self.start_watching()
        self.grant_all()
        self.say("a rehearsal in staging, so that the dashboards have something to show")
        self.rehearse()

    def load(self):
        self.loads = {"staging": [Load(self.port["staging"], 40)], "production": [Load(self.port["production"], 60) for _ in range(2)]}

    def signal(self, name, number):
        self.processes[name].send_signal(number)

    def kill(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait(10)

    def end(self):
        for loads in self.loads.values():
            for load in loads:
                load.ending.set()
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def logs(self):
        return "".join(f"---- {log.stem}\n{log.read_text(errors='replace')[-1200:]}\n" for log in sorted(self.dir.glob("*.log")))

    # ---------------------------------------------------------------- people

    def flagctl(self, who, *args, codes=(0,), timeout=300, cwd=TOP):
        """As `who`, with that key; None: with none."""
        done = subprocess.run([self.build / "flagctl", *map(str, args)], cwd=cwd, env=self.environ(self.people.get(who)),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        if codes and done.returncode not in codes:
            raise RuntimeError(f"flagctl {' '.join(map(str, args))}, by {who}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def ask(self, who, *args, **kwargs):
        return json.loads(self.flagctl(who, *args, "--json", **kwargs).stdout)

    def grant(self, name, *roles):
        """A key of their own, and the roles for it, each with what limits it."""
        home, by = self.dir / "people" / name, "ada" if self.people else None
        (home / ".config/hoist").mkdir(parents=True)
        key = self.ask(by, "key", "new", home / ".config/hoist/key")["key"]
        (home / ".config/hoist/flagctl.yaml").write_text(f"alertmanager: http://127.0.0.1:{self.port['alertmanager']}\n")
        for role in roles:
            self.flagctl("ada" if self.people else None, "access", "grant", name, *role.split(), "--key", key)
            self.people[name] = home

    def grant_all(self):
        """Who administers, who starts it, who runs the checks, whose drills change staging; and of the plan who signs."""
        text = PLAN.read_text()
        self.roles = {role: names.split(", ") for role, names in re.findall(r"^  (\w+): \[(.*)\]$", text.split("\nguards:")[0], re.M)}
        self.grant("ada", "admin")
        self.grant("mara", "editor")
        self.grant("ci", "approver", "editor --env staging")
        for role, names in self.roles.items():
            for name in names:
                self.grant(name, "approver", *(["operator"] if role in ("oncall", "sre") else []))
        self.say(f"{len(self.people)} people, each with a key: {', '.join(self.people)}")

    # ---------------------------------------------------------------- a release

    def plan(self, name, alter=lambda text: text):
        """The shortened plan, as a release of that name, in a file."""
        limits = self.dir / "limits.json"
        limits.write_text(json.dumps(shortened.LIMITS))
        text = shortened.plan(PLAN.read_text(), datetime.datetime.utcnow(), {
            "ports": {7495: self.port["staging"], 7490: self.port["contract-github"], 7491: self.port["contract-control"]},
            "prometheus": f"http://127.0.0.1:{self.port['prometheus']}", "build": self.build, "limits": limits})
        path = self.dir / f"{name}.yaml"
        path.write_text(alter(shortened.sub(r"^release: .*$", f"release: {name}", text, 1)))
        return path

    def status(self, name):
        return self.ask("mara", "release", "status", name, codes=(0, 10, 11))

    @staticmethod
    def where(now):
        why = [now["cause"]] if now["cause"] else [waits["text"] for waits in now["waiting"]]
        return f"it is {now['state']} at {now['said']}: {'; '.join(why)}"

    def value(self, query):
        answer = get(f"http://127.0.0.1:{self.port['prometheus']}/api/v1/query?query={urllib.parse.quote(query)}")
        return float(json.loads(answer)["data"]["result"][0]["value"][1])

    def github_mode(self, mode, **more):
        get(f"http://127.0.0.1:{self.port['control']}/mode", json.dumps({"mode": mode, **more}).encode())

    def versions(self):
        """What each host has, by host and environment; of one that does not answer nothing."""
        found = {}
        for name, port in self.hosts.items():
            with contextlib.suppress(OSError):
                for env in json.loads(get(f"http://127.0.0.1:{port}/status"))["environments"]:
                    found[name, env["env"]] = env["version"]
        return found

    def time_back(self, name, began, limit_s=60):
        """Seconds from `began` until the last host had what the rollback has set."""
        first, end = {}, time.monotonic() + limit_s
        while time.monotonic() < end:
            for (host, env), version in self.versions().items():
                first.setdefault((host, env, version), time.monotonic())
            now = self.status(name)
            if now["state"] == "rolled_back":
                # The newest that each has: nothing was changed since.
                have = self.versions()
                if any(have.get((host, env["env"])) != env["version"] for host in self.hosts for env in now["envs"]):
                    raise RuntimeError(f"{name} is said to be rolled back, and a host has another version: {have}")
                return max(first.get((host, env, version), time.monotonic()) for (host, env), version in have.items()) - began
        raise RuntimeError(f"{name} is not back within {limit_s} s: {self.where(self.status(name))}")

    def all_off(self):
        for env in ENVS:
            self.flagctl("mara", "import", f"examples/marketplace/flags/{env}.json", "--env", env, "-m", "as before the launch")

    def rehearse(self):
        """In staging: the flags for half of all accounts, a kill, a release that is taken back. From then on the dashboards have
        something to show, and all is off."""
        for flag in ("marketplace.sync.enabled", "marketplace.github_sources.enabled"):
            self.flagctl("mara", "set", flag, "on", "--env", "staging", "-m", "a rehearsal")
        self.flagctl("mara", "set", "marketplace.enabled", "on", "--percent", 50, "--by", "account_id", "--env", "staging", "-m", "a rehearsal")
        self.flagctl("ci", "drill", "kill", "--env", "staging")
        wait("latencies with the feature", lambda: self.value('marketplace:http_latency:p99_5m{variant="on"}') > 0)
        self.all_off()
        plan = self.plan("rehearsal", lambda text: shortened.sub(
            r"(?s:^  flags:.*?)(?=^  staging:)", "  flags: {steps: []}\n  monitoring: {steps: []}\n", text, 1))
        self.flagctl("mara", "release", "start", plan, "--commit", self.commit)
        self.settle("rehearsal")
        self.flagctl("olga", "release", "abort", "rehearsal", "-m", "that was the rehearsal")
        wait("the rehearsal's end", lambda: self.status("rehearsal")["state"] == "rolled_back")
        live, end = ["deploy/check-dashboards", "--live", f"http://127.0.0.1:{self.port['prometheus']}"], time.monotonic() + 60
        while (shown := subprocess.run(live, cwd=TOP, capture_output=True, text=True, check=False)).returncode:
            if time.monotonic() > end:
                raise RuntimeError(f"the dashboards have no data:\n{shown.stdout}{shown.stderr}")
            time.sleep(1)

    def settle(self, name):
        """Until every host has the step, and its guards pass."""
        def well():
            now = self.status(name)
            return now["state"] in ("moving", "waiting") and all(g["verdict"] == "PASS" for g in now["guards"])
        wait(f"{name} is in good order", well)

    def flags_of(self, host, env):
        """As a host has them, without what changes with each change."""
        done = subprocess.run([self.build / "flagctl", "export", "--store", self.dir / host, "--env", env], cwd=TOP,
                              env=self.environ(), capture_output=True, text=True, check=True, timeout=60)
        flags = json.loads(done.stdout)["flags"]
        return {key: flag for key, flag in flags.items() if key.startswith("marketplace.")}

    def all_flags(self):
        return {(host, env): self.flags_of(host, env) for host in self.hosts for env in ENVS}

    def do_what_is_asked(self, name, now, log=True):
        """The checks and signatures that the step waits for, by whom the plan says; a signature after the checks."""
        if any(not check["passed"] for check in now["checks"]):
            done = self.flagctl("ci", "release", "check", name, "--commit", self.commit, "--timeout", "30s",
                                "--github", f"http://127.0.0.1:{self.port['github']}", "--github-token-file", self.token, codes=(0, 4), cwd=self.checkout)
            if log:
                self.say("\n".join(line for line in done.stdout.splitlines() if line))
            if done.returncode:
                raise RuntimeError(f"a check failed:\n{done.stdout}{done.stderr}")
            return
        if any(waits["condition"] != "sign" for waits in now["waiting"]):
            return  # who signs has seen the rest
        for sign in now["signs"]:
            if not sign["by"]:
                who = self.roles[sign["role"]][0]
                self.flagctl(who, "release", "sign", name, sign["role"], "--yes")
                if log:
                    self.say(f"{who} signs as {sign['role']}: {sign['statement']}")

    def play(self, name, until, limit_s=170, log=True):
        """Do what is asked until `until(status)`; the status then."""
        end = time.monotonic() + limit_s
        while True:
            now = self.status(name)
            if until(now):
                return now
            if now["state"] in ("completed", "rolled_back", "rolling_back") or time.monotonic() > end:
                raise RuntimeError(f"{name} should have gone on: {self.where(now)}")
            self.do_what_is_asked(name, now, log)
            time.sleep(0.3)
