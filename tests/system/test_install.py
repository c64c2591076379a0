"""What `make install` leaves: a library that C and C++ programs link by pkg-config, with no name but its own."""
import os
import re
import subprocess

import pytest

from hoist import BUILD, SANITIZED, TOP, clean_env

pytestmark = pytest.mark.skipif(SANITIZED, reason="an installed library is not a sanitized one")
PROGRAM = """
#include <hoist.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    hoist *h = NULL;
    (void)argc;
    (void)hoist_open(&h, argv[1], "production");
    puts(hoist_bool(h, "k", NULL, false) ? "on" : "off");
    hoist_close(h);
    return 0;
}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["make", "-s", "install", f"BUILD={BUILD}", f"DESTDIR={root}", "PREFIX=/usr"], cwd=TOP, check=True, capture_output=True)
    return root


def test_the_files_are_there(installed):
    for path in ("bin/hoistd", "bin/flagctl", "lib/libhoist.a", "lib/libhoist.so", "include/hoist.h", "lib/pkgconfig/hoist.pc",
                 "lib/systemd/system/hoistd-agent.service", "lib/systemd/system/hoistd-relay.service",
                 "lib/systemd/system/flagctl-release-watch@.service", "lib/systemd/system/flagctl-release-check@.timer", "share/bash-completion/completions/flagctl"):
        assert (installed / "usr" / path).exists(), path


@pytest.mark.parametrize("compiler", ["gcc -std=c11", "clang -std=c11", "g++ -std=c++11", "clang++ -std=c++11"])
@pytest.mark.parametrize("static", [False, True])
def test_a_program_links_it(lab, installed, compiler, static):
    lab.primary()
    lab.ok("set", "k", "on")
    plus = "++" in compiler
    source = lab.file("p.cc" if plus else "p.c", PROGRAM)
    pc = (installed / "usr/lib/pkgconfig/hoist.pc").read_text()
    libs = [line.split(":", 1)[1].split() for line in pc.splitlines() if line.startswith("Libs.private")][0]
    usr = installed / "usr"
    link = [usr / "lib/libhoist.a", *libs] if static else [f"-L{usr}/lib", "-lhoist", f"-Wl,-rpath,{usr}/lib"]
    built = subprocess.run([*compiler.split(), "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{usr}/include", source, "-o", lab.dir / "p", *link],
                           capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert subprocess.run([lab.dir / "p", lab.dir / "primary"], capture_output=True, text=True, env=clean_env()).stdout == "on\n"


def test_the_manual_has_every_command(installed):
    """As the programs tell them themselves, with all their options."""
    for program, listing in (("flagctl", ["help"]), ("hoistd", ["--help"])):
        page = (installed / f"usr/share/man/man1/{program}.1").read_text().replace("\\", "")
        listed = subprocess.run([BUILD / program, *listing], capture_output=True, text=True, check=True).stdout
        commands = re.findall(r"^  (?:hoistd )?([a-z]+)  +\S", listed, re.M)
        assert len(commands) >= 3 and f".SS {commands[0]}" in page
        for command in commands:
            told = subprocess.run([BUILD / program, command, "--help"], capture_output=True, text=True, check=True).stdout
            for option in re.findall(r"^ +(--[a-z-]+)", told, re.M):
                assert option in page.split(f".SS {command}\n", 1)[1].split(".SS ", 1)[0], (command, option)


def test_a_program_is_built_as_the_readme_says(lab, installed):
    lab.primary()
    lab.ok("set", "k", "on")
    env = clean_env(PKG_CONFIG_PATH=installed / "usr/lib/pkgconfig", PKG_CONFIG_SYSROOT_DIR=installed)
    words = subprocess.run(["pkg-config", "--cflags", "--libs", "hoist"], env=env, capture_output=True, text=True, check=True).stdout.split()
    built = subprocess.run(["cc", "-std=c11", TOP / "examples/read/read.c", "-o", lab.dir / "read", *words], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    env = clean_env(LD_LIBRARY_PATH=installed / "usr/lib")
    said = subprocess.run([lab.dir / "read", "--store", lab.dir / "primary", "k"], env=env, capture_output=True, text=True)
    assert "k = true" in said.stdout, said


def test_the_library_shows_no_other_name(installed):
    for args in (["-D", "--defined-only", installed / "usr/lib/libhoist.so"], ["-g", "--defined-only", installed / "usr/lib/libhoist.a"]):
        names = [line.split()[-1] for line in subprocess.run(["nm", *args], capture_output=True, text=True, check=True).stdout.splitlines()
                 if len(line.split()) == 3]
        assert names and all(n.startswith("hoist_") for n in names), names
    needed = subprocess.run(["readelf", "-d", installed / "usr/lib/libhoist.so"], capture_output=True, text=True).stdout
    for library in ("nng", "msgpack", "jansson", "sodium", "lmdb"):
        assert library not in needed
    assert os.path.getsize(installed / "usr/lib/libhoist.so") < 4 << 20
