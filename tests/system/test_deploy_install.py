"""deploy/install against two hosts: each with a network, a root and process ids of its own, a real systemd and a real sshd."""
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

import pytest

from hoist import BUILD, SANITIZED, SOAK, TOP, Process, clean_env, wait_until

pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason="needs root for namespaces and mounts"),
              pytest.mark.skipif(SANITIZED, reason="what is installed is not a sanitized build"),
              pytest.mark.skipif(not os.path.exists("/lib/systemd/systemd"), reason="needs systemd")]
NET = "10.77"
PATHS = ["usr/local/bin/hoistd", "usr/local/bin/flagctl", "usr/local/lib/systemd/system/hoistd-primary.service",
         "usr/local/lib/systemd/system/hoistd-agent.service", "usr/local/lib/systemd/system/hoistd-relay.service"]

# A view of this machine's root in which what is written stays in memory, with nothing of Hoist in it. systemd
# gets a control group of its own, and of the kernel's settings only a view.
BOOT = r"""
set -e
mount --make-rprivate /
mkdir -p $d/group $d/all
mount -t cgroup2 none $d/group
mkdir -p $d/group/$group
echo $$ > $d/group/$group/cgroup.procs
umount $d/group
exec unshare --cgroup --pid --ipc --uts --fork --kill-child sh -c '
set -e
mount -t tmpfs none $d/all
mkdir -p $d/all/up $d/all/work $d/all/root
r=$d/all/root
mount -t overlay -o lowerdir=/,upperdir=$d/all/up,workdir=$d/all/work overlay $r
mount -t proc proc $r/proc
mount --bind $r/proc/sys $r/proc/sys
mount -o remount,bind,ro $r/proc/sys
mount -t sysfs sysfs $r/sys
mount -t cgroup2 none $r/sys/fs/cgroup
mount -o remount,bind,ro $r/sys
for dir in run tmp dev root; do mount -t tmpfs -o mode=755 none $r/$dir; done
chmod 1777 $r/tmp
mkdir -p $r/dev/shm $r/dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts $r/dev/pts
ln -s pts/ptmx $r/dev/ptmx
for node in null zero full random urandom tty; do touch $r/dev/$node; mount --bind /dev/$node $r/dev/$node; done
touch $r/dev/kmsg $d/systemd.log
mount --bind $d/systemd.log $r/dev/kmsg
mount --bind $d/all/up $r/mnt
cd $r
rm -rf etc/systemd/system usr/local/bin/hoistd usr/local/bin/flagctl usr/local/lib/hoist usr/local/lib/systemd etc/hoist var/lib/hoist var/log/journal
sed -i "/^hoist:/d" etc/passwd etc/group etc/shadow etc/gshadow
mkdir -p etc/systemd/system
for unit in systemd-sysusers systemd-update-utmp systemd-remount-fs systemd-modules-load; do ln -s /dev/null etc/systemd/system/$unit.service; done
echo $name > etc/hostname
echo "127.0.0.1 localhost $name
$hosts" > etc/hosts
rm -f etc/resolv.conf
cp $d/sshd_config $d/host_key $d/authorized etc/ssh/
chmod 600 etc/ssh/host_key
cat > etc/systemd/system/ssh-here.service <<END
[Service]
ExecStart=/usr/sbin/sshd -D -e -f /etc/ssh/sshd_config
RuntimeDirectory=sshd
END
cat > etc/systemd/system/default.target <<END
[Unit]
Requires=basic.target ssh-here.service
After=basic.target ssh-here.service
AllowIsolate=yes
END
mkdir old
pivot_root . old
umount -l old
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=kmsg --show-status=0
'
"""
SSHD = """Port 22
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
"""
# Between ssh and sshd: passes so many bytes on, is silent for so long, and then hangs up.
CUT = """
import os, socket, sys, threading, time
s, left = socket.create_connection((sys.argv[1], int(sys.argv[2]))), int(sys.argv[3])
def down():
    while data := s.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=down, daemon=True).start()
while left > 0 and (data := os.read(0, min(left, 65536))):
    s.sendall(data)
    left -= len(data)
time.sleep(float(sys.argv[4]))
os._exit(1)
"""


def run(*argv):
    done = subprocess.run([*map(str, argv)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout


class Host:
    """A machine for the test, in a network of its own."""

    def __init__(self, place, name, net, address, key):
        self.name, self.dir, self.address, self.group = name, place / name, address, net
        self.dir.mkdir()
        (self.dir / "sshd_config").write_text(SSHD)
        shutil.copy(f"{key}.pub", self.dir / "authorized")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / "host_key")
        env = {"PATH": os.environ["PATH"], "d": str(self.dir), "name": name, "group": self.group,
               "hosts": f"{NET}.1.1 flags1\n{NET}.2.1 web1"}
        self.box = Process(["ip", "netns", "exec", net, "unshare", "--mount", "sh", "-c", BOOT], self.dir / "boot.log", env=env)

    def wait_up(self):
        wait_until(lambda: not self.box.alive() or self.systemd() and self.sh("systemctl is-active ssh-here").returncode == 0, 60000, every_ms=50,
                   what=f"{self.name} boots")
        assert self.box.alive(), self.box.text() + (self.dir / "systemd.log").read_text(errors="replace")

    def systemd(self):
        """Finds its process 1, by its number here."""
        self.init = pathlib.Path(f"/proc/{self.box.pid}/task/{self.box.pid}/children").read_text().strip()
        return pathlib.Path(f"/proc/{self.init}/comm").read_text() == "systemd\n"

    def sh(self, command):
        """A command there, by the back door."""
        return subprocess.run(["nsenter", "-t", self.init, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "sh", "-c", command], stdin=subprocess.DEVNULL,
                              env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}, capture_output=True, text=True, timeout=60)

    def ok(self, command):
        done = self.sh(command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()

    def picture(self):
        """Each file that was written since it was made (mode, owner, size, time), but for logs and the store; users, units, processes."""
        files = self.ok("find /mnt /tmp -path /mnt/var/log -prune -o -path /mnt/var/lib/hoist -prune -o -printf '%p %m %u %s %T@\\n' | sort").splitlines()
        return files, self.ok("getent passwd; systemctl show -P MainPID hoistd-primary hoistd-agent; systemctl list-unit-files --no-legend 'hoistd*' || true")

    def close(self):
        self.box.kill()
        gone = f"mount -t cgroup2 none {self.dir}/group && find {self.dir}/group/{self.group} -depth -type d -exec rmdir {{}} +"
        wait_until(lambda: subprocess.run(["unshare", "--mount", "sh", "-c", gone], capture_output=True).returncode == 0, what="its control group is free")


def package(path, files):
    """A tar of what make install leaves."""
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    return path


class Fleet:
    """A primary's and an agent's host, and a third network from which they are installed."""

    def __init__(self, place):
        self.dir, self.hosts = place, []
        self.nets = [f"hi{os.getpid()}{x}" for x in "opa"]

    def start(self):
        for net in self.nets:
            run("ip", "netns", "add", net)
            run("ip", "-n", net, "link", "set", "lo", "up")
        here = self.nets[0]
        run("ip", "netns", "exec", here, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        for i, net in enumerate(self.nets[1:], 1):
            run("ip", "link", "add", "eth0", "netns", net, "type", "veth", "peer", "name", f"to{i}", "netns", here)
            for side, dev, address in ((here, f"to{i}", f"{NET}.{i}.9"), (net, "eth0", f"{NET}.{i}.1")):
                run("ip", "-n", side, "addr", "add", f"{address}/24", "dev", dev)
                run("ip", "-n", side, "link", "set", dev, "up")
            run("ip", "-n", net, "route", "add", "default", "via", f"{NET}.{i}.9")
        self.key = self.dir / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        for i, (name, net) in enumerate(zip(("flags1", "web1"), self.nets[1:]), 1):
            self.hosts.append(Host(self.dir, name, net, f"{NET}.{i}.1", self.key))
        self.primary, self.agent = self.hosts
        for host in self.hosts:
            host.wait_up()
        (self.dir / "known").write_text("".join(f"{h.address} {(h.dir / 'host_key.pub').read_text()}" for h in self.hosts))
        (self.dir / "ssh_config").write_text(f"IdentityFile {self.key}\nIdentitiesOnly yes\nUserKnownHostsFile {self.dir}/known\n" + "".join(
            f"Host {h.name}\n  HostName {h.address}\n" for h in self.hosts))
        (self.dir / "bin").mkdir()
        (self.dir / "bin/ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {self.dir}/ssh_config "$@"\n')
        (self.dir / "bin/ssh").chmod(0o755)
        (self.dir / "cut.py").write_text(CUT)

    def argv(self, host, role, *args):
        return ["ip", "netns", "exec", self.nets[0], TOP / "deploy/install", host, role, *args]

    def env(self):
        return clean_env(BUILD=str(BUILD.resolve()), TMPDIR=str(self.dir), HOME=str(self.dir), PYTHONDONTWRITEBYTECODE="1",
                         PATH=f"{self.dir}/bin:{BUILD.resolve()}:{os.environ['PATH']}")

    def typed(self, command):
        """A command of the page, in the directory of its files; it must succeed. Gives what it printed."""
        command = command.replace("deploy/install", f"{TOP}/deploy/install").replace(" examples/", f" {TOP}/examples/")
        done = subprocess.run(["ip", "netns", "exec", self.nets[0], "sh", "-c", command.replace("git rev-parse", f"git -C {TOP} rev-parse")],
                              env=self.env(), cwd=self.dir, capture_output=True, text=True, timeout=180)
        assert done.returncode in (0, 10 if " release status " in command else 0), (command, done)
        return done.stdout

    def install(self, host, role, *args):
        return subprocess.run([*map(str, self.argv(host, role, *args))], env=self.env(), capture_output=True, text=True, timeout=180)

    def done(self, host, role, *args):
        said = self.install(host, role, *args)
        assert said.returncode == 0, said
        return said.stdout

    def close(self):
        for host in self.hosts:
            host.close()
        for net in self.nets:
            subprocess.run(["ip", "netns", "del", net], check=False)


PAGE = (TOP / "docs/staging.md").read_text()


def blocks(kind, page=PAGE):
    return re.findall(rf"^```{kind}\n(.*?)^```", page, re.M | re.S)


def commands(section):
    """What a section of docs/staging.md says to type."""
    page = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [re.sub(r"\s+#\s.*", "", line).strip() for block in blocks("sh", page) for line in block.splitlines()]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """Both hosts, installed as docs/staging.md has it."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        fleet.start()
        set_up(fleet)
        yield fleet
    finally:
        fleet.close()


def set_up(fleet):
    root = fleet.dir / "root"
    run("make", "-s", "-C", TOP, "install", f"BUILD={BUILD.resolve()}", f"DESTDIR={root}", "PREFIX=/usr/local")
    fleet.files = {path: (root / path).read_bytes() for path in PATHS}
    fleet.package = package(fleet.dir / "hoist.tar", fleet.files)
    # Another release: a unit and a program that differ in nothing that matters.
    other = {path: data + (b"\n# and more\n" if path.endswith("service") else b"more") for path, data in fleet.files.items()}
    fleet.other = package(fleet.dir / "other.tar", other)
    for text in blocks("yaml"):
        (fleet.dir / re.match(r"# (\S+)", text).group(1)).write_text(text)
    said = {}
    for command in commands("Bring the hosts"):
        before = fleet.primary.picture()
        said[command] = fleet.typed(command)
        assert fleet.primary.picture() == before or "--dry-run" not in command
    fleet.first_dry, fleet.first = [out for command, out in said.items() if "flags1 primary" in command]
    fleet.bundle = fleet.dir / "web1.bundle"


def steps(said):
    return [line.strip() for line in said.splitlines() if line.startswith("  ")]


def read_there(fleet, key):
    return fleet.agent.ok(f"flagctl get {key} --raw --store /var/lib/hoist")


def set_flag(fleet, key, value):
    fleet.primary.ok(f"flagctl set {key} {value} --env staging --wait --timeout 20s")


def test_a_flag_set_on_the_primarys_host_is_read_on_the_agents(fleet):
    set_flag(fleet, "k", "on")
    assert read_there(fleet, "k") == "true"
    assert fleet.agent.ok("stat -c '%a %U' /etc/hoist/host.bundle") == "600 hoist"
    for host, role in ((fleet.primary, "primary"), (fleet.agent, "agent")):
        assert host.ok(f"systemctl is-enabled hoistd-{role}") == "enabled"
        pid = host.ok(f"systemctl show -P MainPID hoistd-{role}")
        assert host.ok(f"ps -o user= -p {pid}") == "hoist"


def test_a_dry_run_says_the_steps_that_are_then_done(fleet):
    assert len(steps(fleet.first)) >= 8
    assert steps(fleet.first_dry) == steps(fleet.first)


def test_a_second_run_changes_nothing_and_says_so(fleet):
    before = fleet.agent.picture()
    assert "nothing to change" in fleet.done("web1", "agent", "--bundle", fleet.bundle, "--package", fleet.package)
    assert "nothing to change" in fleet.done("web1", "agent", "--package", fleet.package)
    assert fleet.agent.picture() == before
    before = fleet.primary.picture()
    assert "nothing to change" in fleet.done("root@flags1", "primary", "--bundle", fleet.dir / "flags1.bundle", "--config", fleet.dir / "primary.yaml")
    assert fleet.primary.picture() == before


def is_whole(fleet):
    """The programs there run, and a flag is read, whatever was cut."""
    assert fleet.agent.ok("hoistd --version && flagctl --version").count("0.") == 2
    assert read_there(fleet, "k") == "true"


def runs_what_is_there(fleet):
    pid = fleet.agent.ok("systemctl show -P MainPID hoistd-agent")
    return fleet.agent.sh(f"test /proc/{pid}/exe -ef /usr/local/bin/hoistd").returncode == 0


def mended(fleet, *args):
    """A second run does the rest, and a third one has nothing to do."""
    fleet.done("web1", "agent", *args)
    assert runs_what_is_there(fleet)
    assert "nothing to change" in fleet.done("web1", "agent", *args)
    assert not fleet.agent.ok("find /usr/local /etc/hoist -name '*.new'")


def in_turns(fleet):
    """Arguments that change everything, and then everything back."""
    for n in range(100):
        config = fleet.dir / f"config{n % 2}.yaml"
        config.write_text(f"join: /etc/hoist/host.bundle\nenv:\n  - staging\nlabel:\n  - turn={n % 2}\n")
        yield "--package", fleet.package if n % 2 else fleet.other, "--config", config, "--bundle", fleet.bundle


@pytest.mark.parametrize("bytes_sent, silent_s", [(500000, 0), (1000000, 0), (3000000, 0), (2000000, 60)] if SOAK else [(2000000, 0)])
def test_soak_a_link_that_is_cut_while_files_arrive_changes_nothing(fleet, bytes_sent, silent_s):
    set_flag(fleet, "k", "on")
    args = next(in_turns(fleet))
    was = fleet.agent.ok("readlink -f /usr/local/bin/hoistd")
    cut = f"ProxyCommand={sys.executable} {fleet.dir}/cut.py %h %p {bytes_sent} {silent_s}"
    said = fleet.install("web1", "agent", *args, "--ssh-option", cut, "--ssh-option", "ServerAliveInterval=2")
    assert said.returncode == 1 and "run the same again" in said.stderr, said
    assert fleet.agent.ok("readlink -f /usr/local/bin/hoistd") == was
    wait_until(lambda: not fleet.agent.ok("find /usr/local/lib/hoist -name 'incoming.*'"), what="what arrived is gone")
    assert fleet.agent.ok("stat -c '%a' /etc/hoist/host.bundle") == "600"
    is_whole(fleet)


STEPS = ["switch from", "put /usr/local/lib/systemd", "put /etc/hoist/hoistd.yaml", "put /etc/hoist/host.bundle", "restart"]


@pytest.mark.parametrize("step", STEPS if SOAK else STEPS[-1:])
def test_soak_a_run_that_is_killed_at_a_step_is_mended_by_the_next(fleet, step):
    set_flag(fleet, "k", "on")
    turns = in_turns(fleet)
    fleet.done("web1", "agent", *next(turns))
    args = next(turns)
    fleet.agent.ok("chmod 640 /etc/hoist/host.bundle")
    with subprocess.Popen([*map(str, fleet.argv("web1", "agent", *args))], env=fleet.env(), stdout=subprocess.PIPE, text=True,
                          start_new_session=True) as install:
        assert any(line.startswith(f"  {step}") for line in iter(install.stdout.readline, ""))
        os.killpg(install.pid, 9)
    is_whole(fleet)
    mended(fleet, *args)


@pytest.mark.parametrize("step", ["switch", "restart"] if SOAK else ["switch"])
def test_a_way_back_that_is_killed_goes_the_same_way_again(fleet, step):
    set_flag(fleet, "k", "on")
    for name in ("other", "package"):
        fleet.done("web1", "agent", "--package", getattr(fleet, name))
    there = fleet.agent.ok("readlink /usr/local/lib/hoist/previous")
    with subprocess.Popen([*map(str, fleet.argv("web1", "agent", "--previous"))], env=fleet.env(), stdout=subprocess.PIPE, text=True,
                          start_new_session=True) as install:
        assert any(line.startswith(f"  {step}") for line in iter(install.stdout.readline, ""))
        os.killpg(install.pid, 9)
    is_whole(fleet)
    fleet.done("web1", "agent", "--previous")
    assert fleet.agent.ok("readlink /usr/local/lib/hoist/current") == there and runs_what_is_there(fleet)
    fleet.done("web1", "agent", "--previous")  # the next one is another way
    assert fleet.agent.ok("readlink /usr/local/lib/hoist/current") != there


def broken(place):
    """A program that says its version, and then does nothing but fail."""
    source = place / "broken.c"
    source.write_text('#include <stdio.h>\nint main(int n, char **v)\n{\n    (void)v;\n    return n == 2 ? puts("hoistd 0.9.9") < 0 : '
                      '(fputs("out of ideas\\n", stderr), 1);\n}\n')
    run("gcc", "-o", place / "broken", source)
    return (place / "broken").read_bytes()


def test_a_bad_program_is_noticed_and_previous_brings_back_the_one_before(fleet):
    fleet.done("web1", "agent", "--package", fleet.package)
    was = fleet.agent.ok("sha256sum < /usr/local/bin/hoistd")
    bad = package(fleet.dir / "bad.tar", {**fleet.files, "usr/local/bin/hoistd": broken(fleet.dir)})
    said = fleet.install("web1", "agent", "--package", bad, "--wait", "2")
    assert said.returncode == 1, said
    assert "does not start" in said.stderr and "out of ideas" in said.stderr and "--previous" in said.stderr, said
    assert fleet.agent.ok("hoistd --version") == "hoistd 0.9.9"
    again = fleet.install("web1", "agent", "--package", bad, "--wait", "2")
    assert again.returncode == 1 and "does not start" in again.stderr, "a second run does not take it for done"
    worse = package(fleet.dir / "worse.tar", {**fleet.files, "usr/local/bin/hoistd": broken(fleet.dir) + b"worse"})
    said = fleet.install("web1", "agent", "--package", worse, "--wait", "2")
    assert said.returncode == 1 and "does not start" in said.stderr, "the release before is still the one that ran"
    before = fleet.agent.ok("readlink /usr/local/lib/hoist/current")
    assert len(steps(fleet.done("web1", "agent", "--previous", "--dry-run"))) == 2
    assert fleet.agent.ok("readlink /usr/local/lib/hoist/current") == before
    assert "/readyz: ready" in fleet.done("web1", "agent", "--previous")
    assert fleet.agent.ok("sha256sum < /usr/local/bin/hoistd") == was and runs_what_is_there(fleet)
    set_flag(fleet, "k", "on")
    assert read_there(fleet, "k") == "true"
    assert "nothing to change" in fleet.done("web1", "agent", "--package", fleet.package)


def elsewhere(program):
    """The same program, for another machine."""
    return program[:18] + b"\xf7\x00" + program[20:]


WRONG = [
    ("no file of that name", 2, ["--bundle", "nowhere"], "", "No such file"),
    ("no bundle", 2, ["--bundle", "hoist.tar"], "", "hoistd certs issue"),
    ("others may read the bundle", 2, ["--bundle", "open.bundle"], "", "chmod 600"),
    ("a package that is none", 2, ["--package", "ca/ca.crt"], "", "make install DESTDIR"),
    ("a package without flagctl", 2, ["--package", "half.tar"], "", "no usr/local/bin/flagctl"),
    ("another machine's programs", 1, ["--package", "alien.tar"], "", "are for machine 247"),
    ("a configuration without the bundle", 2, ["--bundle", "web1.bundle", "--config", "key.pub"], "", "join: /etc/hoist/host.bundle"),
    ("one there without the bundle", 1, ["--bundle", "web1.bundle"], "cp /etc/hoist/hoistd.yaml /run; sed -i s/^join/#join/ /etc/hoist/hoistd.yaml",
     "join: /etc/hoist/host.bundle"),
    ("an agent that would follow nobody", 1, [], "mv /etc/hoist /etc/away", "Give --bundle FILE"),
    ("no systemd", 1, [], "mv /run/systemd/system /run/systemd/away", "systemd does not run"),
    ("no disk", 1, ["--package", "new.tar"], "mount -t tmpfs -o size=1m none /usr/local", "make room"),
    ("a library is missing", 1, ["--package", "new.tar"], "mv /usr/lib/*/libyaml-0.so.2 /run", "apt-get install --no-install-recommends libyaml-0-2"),
    ("it is of another role", 1, [], "ln -s x /etc/systemd/system/multi-user.target.wants/hoistd-relay.service; "
     "cp /usr/local/lib/systemd/system/hoistd-agent.service /etc/systemd/system/hoistd-relay.service; systemctl enable -q hoistd-relay",
     "systemctl disable --now hoistd-relay"),
]
AFTERWARDS = ("mv /etc/away /etc/hoist; mv /run/hoistd.yaml /etc/hoist/; umount /usr/local; mv /run/systemd/away /run/systemd/system; mv /run/libyaml-0.so.2 /usr/lib/*-linux-gnu/; "
              "rm -f /etc/systemd/system/hoistd-relay.service /etc/systemd/system/multi-user.target.wants/hoistd-relay.service; "
              "systemctl daemon-reload")


@pytest.fixture(scope="module")
def wrong_files(fleet):
    shutil.copy(fleet.bundle, fleet.dir / "open.bundle")
    (fleet.dir / "open.bundle").chmod(0o644)
    hoistd = fleet.files["usr/local/bin/hoistd"]
    package(fleet.dir / "half.tar", {"usr/local/bin/hoistd": hoistd})
    package(fleet.dir / "new.tar", {**fleet.files, "usr/local/bin/hoistd": hoistd + b"new"})
    package(fleet.dir / "alien.tar", {**fleet.files, "usr/local/bin/hoistd": elsewhere(hoistd)})
    return fleet


@pytest.mark.parametrize("what, code, args, first, says", WRONG, ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_said_with_its_mend_and_nothing_changes(wrong_files, what, code, args, first, says):
    fleet = wrong_files
    was = fleet.agent.ok("readlink /usr/local/lib/hoist/current")
    try:
        fleet.agent.sh(first)
        said = fleet.install("web1", "agent", *(fleet.dir / a if "." in a or a == "nowhere" else a for a in args))
    finally:
        fleet.agent.sh(AFTERWARDS)
    assert said.returncode == code and says in said.stderr and "Traceback" not in said.stderr, said
    assert fleet.agent.ok("readlink /usr/local/lib/hoist/current") == was
    assert fleet.agent.ok("systemctl is-active hoistd-agent") == "active"


def test_a_release_is_begun_and_the_way_back_tried_as_the_page_says(fleet):
    run(BUILD / "hoistd", "certs", "issue", "ana", "--dir", fleet.dir / "ca", "-o", fleet.dir / "ana.bundle", "--upstream",
        f"tls+tcp://{fleet.primary.address}:7400")
    (fleet.dir / ".config/hoist").mkdir(parents=True, mode=0o700)
    (fleet.dir / ".config/hoist/flagctl.yaml").write_text(f"join: {fleet.dir}/ana.bundle\ntls_server_name: flags1\n")
    said = [fleet.typed(command) for command in commands("Start it")]
    assert "marketplace-github-ingestion" in said[-1] and "flag_files" in said[-1], said[-1]
    fleet.typed("flagctl release abort marketplace-github-ingestion -m enough")
    for package_of in (fleet.package, fleet.other):
        fleet.done("web1", "agent", "--package", package_of)
    said = [fleet.typed(command) for command in commands("The drill")]
    assert [len(steps(text)) for text in said[-3:]] == [3, 3, 3], said  # switch, unit, restart
    assert steps(said[-3]) == steps(said[-2]) != steps(said[-1])


def plan():
    return json.loads(run(BUILD / "flagctl", "release", "plan", TOP / "examples/marketplace/release.yaml", "--canonical"))


def written(ms):
    """A duration as plans have it."""
    text = ""
    for unit, each in (("d", 86400000), ("h", 3600000), ("m", 60000), ("s", 1000)):
        text, ms = text + (f"{ms // each}{unit}" if ms >= each else ""), ms % each
    assert ms == 0
    return text


def checklist_of(plan, phase):
    """A phase's conditions, a line each."""
    titles = {check["name"]: check["title"] for check in plan["checks"]}
    for step in plan["phases"][phase]["steps"]:
        if step["share"] is not None:
            guards = ", ".join(f"`{name}`" for name in step["guards"])
            yield f"{step['share'] // 1000} % of staging for {written(step['soak_ms'])} with {guards} passing, and {step['exposed']} evaluations"
        yield from (f"`{name}`: {titles[name]}" for name in step["check"])
        yield from (f'{sign["role"]}: "{sign["statement"]}"' for sign in step["sign"])


def test_the_checklist_is_the_plans():
    wanted = list(checklist_of(plan(), 2))
    assert len(wanted) >= 7
    assert re.findall(r"^- \[ \] (.*)$", PAGE, re.M) == wanted


def test_what_the_page_names_is_there():
    text = run(BUILD / "flagctl", "help", "release") + run(BUILD / "flagctl", "help", "drill")
    for command, verb in re.findall(r"flagctl (release|drill) ([a-z]+)", PAGE):
        assert re.search(rf"\b{verb} ", text), (command, verb)
    the_plan = plan()
    for name, role in re.findall(r"flagctl release sign (\S+) (\S+)", PAGE):
        assert name == the_plan["release"] and role in [r["name"] for r in the_plan["roles"]]
    titles = [json.loads(f.read_text())["title"] for f in (TOP / "deploy/dashboards").glob("*.json")]
    named = [title for title in re.findall(r'"([^"]*)"', " ".join(PAGE.split())) if title.startswith(("Marketplace: ", "Hoist: "))]
    assert sorted(named) == sorted(titles)


@pytest.mark.skipif(not SOAK, reason="make soak")
def test_soak_a_user_who_may_sudo_installs_as_root_does(fleet):
    fleet.done("web1", "agent", "--package", fleet.package)
    fleet.agent.ok("useradd --create-home --shell /bin/sh -p '*' deployer")
    refused = fleet.install("deployer@web1", "agent", "--package", fleet.other)
    assert refused.returncode == 1 and "sudo without a password" in refused.stderr, refused
    fleet.agent.ok("echo 'deployer ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/deployer")
    assert "restart hoistd-agent" in fleet.done("deployer@web1", "agent", "--package", fleet.other)
    assert runs_what_is_there(fleet)


def test_a_host_becomes_a_relay_and_an_agent_again(fleet):
    fleet.typed("hoistd certs issue relay1 --dir ca --host web1 --upstream tls+tcp://flags1:7400 --trust trust.key")
    fleet.agent.ok("systemctl disable --now hoistd-agent && mv /etc/hoist /etc/away && mv /var/lib/hoist /var/lib/away")
    args = ("web1", "relay", "--bundle", fleet.dir / "relay1.bundle")
    try:
        dry = steps(fleet.done(*args, "--dry-run"))
        assert fleet.agent.sh("systemctl is-enabled hoistd-relay").returncode != 0
        assert steps(fleet.done(*args)) == dry and len(dry) >= 3
        before = fleet.agent.picture()
        assert "nothing to change" in fleet.done(*args) and fleet.agent.picture() == before
        pid = fleet.agent.ok("systemctl is-enabled -q hoistd-relay && systemctl show -P MainPID hoistd-relay")
        assert fleet.agent.ok(f"ps -o user= -p {pid}") == "hoist" and '"role":"relay"' in fleet.agent.ok("flagctl status --json")
        wait_until(lambda: '"connected":true' in fleet.agent.ok("flagctl status --json"), what="the relay follows the primary")
        assert fleet.agent.ok("bash -c 'exec 3<>/dev/tcp/127.0.0.1/7400 4<>/dev/tcp/127.0.0.1/7401' && echo it listens")
    finally:
        fleet.agent.ok("systemctl disable --now hoistd-relay; rm -rf /etc/hoist /var/lib/hoist; mv /etc/away /etc/hoist; mv /var/lib/away /var/lib/hoist")
        fleet.done("web1", "agent", "--package", fleet.package)
    wait_until(lambda: '"current":1' in fleet.primary.ok("flagctl fleet --env staging --json").replace(" ", ""), what="web1 follows again")


def test_no_host_no_ssh_no_way(fleet):
    said = fleet.install(f"{NET}.1.77", "agent", "--package", fleet.package, "--ssh-option", "ConnectTimeout=1")
    assert said.returncode == 1 and f"ssh {NET}.1.77 true" in said.stderr, said
    env = dict(fleet.env(), PATH=str(fleet.dir))
    argv = [sys.executable, TOP / "deploy/install", "host", "agent", "--package", fleet.package]
    said = subprocess.run(argv, env=env, capture_output=True, text=True)
    assert said.returncode == 1 and "apt-get install openssh-client" in said.stderr, said
    for words in (["-oProxyCommand=x", "agent"], ["host", "server"], ["host", "agent", "--previous", "--bundle", "x"], ["host", "agent", "--wait", "0"]):
        assert subprocess.run([TOP / "deploy/install", *words], capture_output=True).returncode == 2, words


@pytest.mark.skipif(not SOAK, reason="make soak")
@pytest.mark.parametrize("name, role", [("web1", "agent"), ("flags1", "primary")])
def test_soak_a_host_without_a_configuration_gets_one_that_joins_by_the_bundle(fleet, name, role):
    host = fleet.agent if role == "agent" else fleet.primary
    host.ok("mv /etc/hoist /etc/away")
    try:
        assert "put /etc/hoist/hoistd.yaml, as there is none" in fleet.done(name, role, "--bundle", fleet.dir / f"{name}.bundle")
        env = "production" if role == "agent" else "staging"  # an agent's default; and what the other one follows
        wait_until(lambda: '"current":1' in fleet.primary.ok(f"flagctl fleet --env {env} --json").replace(" ", ""), what=f"web1 follows {env}")
    finally:
        host.ok("rm -rf /etc/hoist; mv /etc/away /etc/hoist")
        fleet.done(name, role)


@pytest.mark.skipif(not SOAK, reason="make soak")
def test_soak_what_make_install_left_is_the_release_before(fleet):
    """A host that was installed by hand: taken over, and gone back to."""
    fleet.done("web1", "agent", "--package", fleet.package)
    fleet.agent.ok("cp --remove-destination $(readlink -f /usr/local/bin/hoistd) /usr/local/bin/hoistd; "
                   "cp --remove-destination $(readlink -f /usr/local/bin/flagctl) /usr/local/bin/flagctl; rm -rf /usr/local/lib/hoist")
    said = fleet.done("web1", "agent", "--package", fleet.other)
    assert "keep the programs that are there" in said and "switch from before" in said
    fleet.done("web1", "agent", "--previous")
    assert fleet.agent.ok("readlink /usr/local/lib/hoist/current") == "before" and runs_what_is_there(fleet)


def test_libraries_are_of_the_packages_that_are_named():
    """The rule by which a missing library's package is named, against what dpkg says of those that hoistd needs."""
    rule = re.search(r"^packages\(\) \{\n.*?^\}", (TOP / "deploy/on-host").read_text(), re.M | re.S).group(0)
    needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", BUILD / "hoistd"))
    files = dict(re.findall(r"^\t(\S+) => (\S+)", run("ldd", BUILD / "hoistd"), re.M))
    asked = [name for name in needed if not name.startswith(("libc.", "libm.", "ld-"))]
    assert len(asked) > 8
    owners = {line.split(":")[0] for line in run("dpkg", "-S", *(os.path.realpath(files[name]) for name in asked)).splitlines()}
    assert set(run("sh", "-c", f"{rule}\nprintf '%s\\n' {' '.join(asked)} | packages").split()) == owners
