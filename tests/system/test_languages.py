"""docs/languages.md: each program is run as it stands there."""
import os
import re
import shutil
import subprocess

import pytest

from hoist import BUILD, SANITIZED, TOP, clean_env, wait_until

FLAGS = {"flags": {"sync.enabled": {
    "state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off",
    "targeting": {"if": [{"and": [{"ends_with": [{"var": "email"}, "@example.com"]},
                                  {"==": [{"var": "targetingKey"}, "ana"]}]}, "on"]}}}}
PROGRAMS = re.findall(r"^```(\w+)\n(.*?)^```", (TOP / "docs/languages.md").read_text(), re.M | re.S)


@pytest.fixture
def host(lab):
    """An agent with the flag, and how a program finds it."""
    lab.primary()
    agent = lab.agent()
    lab.ok("import", lab.file("flags.json", FLAGS), "--wait")
    pc = (TOP / "deploy/hoist.pc.in").read_text().replace("${prefix}/lib", str(BUILD.resolve()))
    (lab.dir / "hoist.pc").write_text(pc.replace("${prefix}/include", str(TOP / "include")).replace("@VERSION@", "0"))
    lab.env = clean_env(HOIST_STORE=agent.store, HOME=lab.dir, PKG_CONFIG_PATH=lab.dir, LD_LIBRARY_PATH=BUILD.resolve(),
                        GOCACHE=lab.dir / "go-cache", GOFLAGS="-mod=mod", PATH=f"{BUILD.resolve()}:{os.environ['PATH']}")
    lab.address = f"http://127.0.0.1:{agent.http}"
    return lab


def test_all_languages_are_there():
    assert [language for language, _ in PROGRAMS] == ["c", "python", "python", "go", "go", "js", "sh", "sh"]


@pytest.mark.parametrize("number", range(len(PROGRAMS)), ids=[f"{n}-{p[0]}" for n, p in enumerate(PROGRAMS)])
def test_program_as_written(host, number):
    language, text = PROGRAMS[number]
    if SANITIZED and "hoist" in text and language in ("python", "go") and "8016" not in text:
        pytest.skip("a sanitized library needs a sanitized program")
    if not shutil.which({"c": "cc", "js": "node"}.get(language, language).replace("python", "python3")):
        pytest.fail(f"{language} is missing: make deps-check")
    source = host.file(f"app.{language}", text.replace("http://127.0.0.1:8016", host.address))
    # $(pkg-config …) and `cc` as the page has them; the sanitizers' flags where the library has them.
    flags = "-fsanitize=address,undefined" if SANITIZED else ""
    command = {"c": f"cc {flags} app.c $(pkg-config --cflags --libs hoist) -o app && ./app",
               "python": "python3 app.python", "go": "mv app.go main.go && go run main.go",
               "js": "node app.js", "sh": "sh app.sh"}[language]
    assert source.exists()
    done = subprocess.run(["sh", "-c", command], cwd=host.dir, env=host.env, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout) == (0, "on\n"), done
    host.ok("kill", "sync.enabled", "--wait")
    wait_until(lambda: subprocess.run(["sh", "-c", command.replace("mv app.go main.go && ", "")], cwd=host.dir, env=host.env,
                                      capture_output=True, text=True, timeout=240).stdout == "off\n")
