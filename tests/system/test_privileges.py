"""What hoistd may do: its units' bounds, and that it lives within them."""
import re
import subprocess

import pytest

from hoist import BUILD, SANITIZED, TOP, wait_until

UNITS = sorted((TOP / "deploy").glob("*.service"))
EXPOSURE_MAX = 2.0
# Where it writes nothing that stays: the bit bucket, its own threads' names.
HARMLESS = re.compile(r"/dev/null$|/proc/(self|thread-self|\d+)/")


def system_calls(name, seen=()):
    """The calls in a set of systemd's, as @system-service."""
    out = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    words = [line.strip() for line in out.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    calls = {w for w in words if not w.startswith("@")}
    for inner in (w for w in words if w.startswith("@") and w not in seen):
        calls |= system_calls(inner, (*seen, name))
    return calls


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_units_leave_little_open(unit):
    out = subprocess.run(["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True).stdout
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", out)[1])
    print(f"{unit.name}: {exposure}")
    assert exposure <= EXPOSURE_MAX, out


def test_what_reads_others_answers_is_not_the_user_of_the_keys():
    users = {unit.name: re.search(r"^User=(.*)$", unit.read_text(), re.M)[1] for unit in UNITS}
    keepers = {user for name, user in users.items() if name.startswith("hoistd-")}
    readers = {user for name, user in users.items() if name.startswith("flagctl-")}
    assert keepers and readers and not keepers & (readers | {"root"}) and "root" not in readers, users


def test_the_units_of_a_release_are_as_systemd_wants_them(tmp_path):
    for unit in (TOP / "deploy").glob("flagctl-release-*@.*"):
        text = unit.read_text().replace("/usr/local/bin", str(BUILD.resolve()))
        (tmp_path / unit.name.replace("@", "@demo")).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *tmp_path.iterdir()], capture_output=True, text=True)
    assert len(list(tmp_path.iterdir())) == 3 and done.returncode == 0 and not done.stderr, done.stderr
    calendar = re.search(r"^OnCalendar=(.*)$", (TOP / "deploy/flagctl-release-check@.timer").read_text(), re.M)[1]
    said = subprocess.run(["systemd-analyze", "calendar", "--iterations=2", calendar], capture_output=True, text=True, check=True).stdout
    assert said.count(":00:00 UTC") >= 2, said


def trace(lab, name):
    """strace's words in front of a hoistd, and the file that it fills from beside it (-D: signals reach hoistd)."""
    log = lab.dir / f"{name}.trace"
    return ["strace", "-D", "-f", "-s", "4096", "-o", log], log


def called(log):
    return set(re.findall(r"^\d+ +(\w+)\(", log.read_text(errors="replace"), re.M))


def calls(log):
    """A line each; strace cuts one in two when another thread's comes in between."""
    begun = {}
    for line in log.read_text(errors="replace").splitlines():
        thread, _, rest = line.partition(" ")
        if rest.endswith(" <unfinished ...>"):
            begun[thread] = rest.removesuffix(" <unfinished ...>")
        else:
            yield re.sub(r"^ *<\.\.\. \w+ resumed>", lambda _: begun.pop(thread, ""), rest)


def written_paths(log):
    """Whatever was opened to write, made, renamed, removed or bound by name."""
    text = "\n".join(line for line in calls(log) if " = -1 E" not in line)
    # By a directory that stays open: the socket at which programs hand over what they count.
    directories = {fd: path for path, fd in re.findall(r'openat\(AT_FDCWD, "([^"]+)", [^)]*O_DIRECTORY[^)]*\) += (\d+)', text)}
    text = re.sub(r'unlinkat\((\d+), "', lambda m: f'unlinkat(AT_FDCWD, "{directories[m[1]]}/', text)
    opened = re.findall(r'openat\(AT_FDCWD, "([^"]+)", [^)]*(?:O_WRONLY|O_RDWR|O_CREAT)', text)
    named = re.findall(r'\b(?:mkdir|unlink|rmdir|truncate|chmod|symlink|link|rename|mknod)(?:at)?2?\(([^)]*)\)', text)
    bound = re.findall(r'bind\([^)]*sun_path="([^"]+)"', text)
    named = [path for call in named for path in re.findall(r'"([^"]+)"', call)]
    targets = re.findall(r'\bsymlink(?:at)?\("([^"]+)"', text)  # what a link says is no file
    return opened + [path for path in named if path not in targets] + bound


@pytest.mark.skipif(SANITIZED, reason="the sanitizers make system calls of their own")
def test_it_writes_in_its_directory_alone_by_the_calls_of_its_unit(lab):
    prefix, primary_log = trace(lab, "primary")
    (lab.dir / "run").mkdir()
    primary = lab.primary("--listen", f"ipc://{lab.dir}/run/primary.sock", prefix=prefix)
    prefix, agent_log = trace(lab, "agent")
    agent = lab.agent("--trust", primary.store / "trust.key", prefix=prefix)
    lab.ok("set", "a", "on")
    lab.ok("kill", "a")
    lab.wait_equal(primary, agent)
    agent.stop()
    primary.stop()
    for log in primary_log, agent_log:
        wait_until(lambda: "+++ exited with 0 +++" in log.read_text(errors="replace").splitlines()[-1], what=f"{log.name} ends")
    allowed = system_calls("@system-service")
    for log, store in (primary_log, primary.store), (agent_log, agent.store):
        assert called(log) - allowed == set(), log.name
        elsewhere = [p for p in written_paths(log) if not HARMLESS.match(p)
                     and not p.startswith((f"{store}/", f"{lab.dir}/run/")) and p != str(store)]
        assert elsewhere == [], log.name
