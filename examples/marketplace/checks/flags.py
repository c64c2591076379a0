"""The flags of an environment, set by flagctl and put back."""
import json
import signal
import subprocess
import tempfile

from .outcome import NotRun

TRIES, MOVED_ON = 5, 3  # flagctl's exit code when another change came first


class FlagctlFailed(NotRun):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


class Flags:
    """The flags of an environment, changed by flagctl; somebody else's change is never undone."""

    def __init__(self, options, names):
        self.options, self.names = options, names
        self.original = self.read()
        self.possible = [self.original]  # what they are as far as is known

    def flagctl(self, *args, stdin=None):
        primary = ["--primary", self.options.primary] if self.options.primary else []
        argv = [self.options.flagctl, *args, "--env", self.options.env, *primary]
        # A session of its own, and nothing that stops it before it has one: ^C is for us, and a change is never left half asked for.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120, start_new_session=True)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotRun(f"flagctl: {error}; --flagctl says which") from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if done.returncode == 0:
            return json.loads(done.stdout)
        try:
            said = json.loads(done.stderr)["error"]["message"]
        except (ValueError, KeyError):
            said = done.stderr.strip()
        raise FlagctlFailed(f"flagctl {args[0]}: {said} (exit {done.returncode})", done.returncode)

    def read(self):
        file, flags = self.flagctl("export"), {}
        for name in self.names:
            if name not in file["flags"]:
                raise NotRun(f"environment {self.options.env} has no flag {name}; flagctl import brings it")
            flag = file["flags"][name]
            # What all flags have in common stands in the file.
            metadata = {**file.get("metadata", {}), **flag.get("metadata", {})}
            flags[name] = {**flag, "metadata": metadata} if metadata else flag
        return flags

    def values(self):
        """As they are for a request without X-Account-Id."""
        return {name: self.flagctl("get", name, "--json").get("value") is True for name in self.names}

    def set(self, values):
        self.change({name: self.fixed(name, on) for name, on in values.items()}, "contract check")

    def fixed(self, name, on):
        """The flag with one value for everybody."""
        flag = {k: v for k, v in self.original[name].items() if k != "targeting"}
        variant = [v for v, value in flag["variants"].items() if value is on]
        if not variant:
            raise NotRun(f"flag {name} has no variant that is {str(on).lower()}")
        return {**flag, "state": "ENABLED", "defaultVariant": variant[0]}

    def change(self, wanted, why, though_killed=False):
        bare = [without_override(flags) for flags in self.possible]
        for left in reversed(range(TRIES)):
            version = self.flagctl("get", self.names[0], "--json")["version"]
            now = self.read()
            if not though_killed and any("override" in flag for flag in now.values()):
                raise NotRun("a flag is killed, and nothing but flagctl restore ends that; --current-flags changes none")
            if without_override(now) not in bare:
                raise NotRun("somebody else changed the flags meanwhile; they are left as they are now (flagctl log)")
            self.possible.append(wanted)
            try:
                self.flagctl("apply", "-", "--yes", "--wait", "--json", "--if-version", str(version), "-m", why,
                             stdin=json.dumps({"flags": without_override(wanted)}))
                break
            except FlagctlFailed as error:
                if error.code != MOVED_ON or not left:
                    raise
        self.possible = [wanted]

    def put_back(self):
        if self.possible == [self.original]:
            return
        try:
            self.change(self.original, "contract check: as it was before", though_killed=True)
        except NotRun as error:
            with tempfile.NamedTemporaryFile("w", suffix=".json", prefix="flags-", delete=False) as file:
                json.dump({"flags": self.original}, file, indent=2)
            raise NotRun(f"the flags are not as they were before: {error}; flagctl apply {file.name} "
                         f"--env {self.options.env} makes them so") from None


def without_override(flags):
    return {name: {k: v for k, v in flag.items() if k != "override"} for name, flag in flags.items()}
