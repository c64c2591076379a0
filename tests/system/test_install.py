"""What `make install` leaves: a library that C and C++ programs link by pkg-config, with no name but its own."""
import os
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
                 "lib/systemd/system/hoistd-agent.service", "share/bash-completion/completions/flagctl"):
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


def test_the_library_shows_no_other_name(installed):
    for args in (["-D", "--defined-only", installed / "usr/lib/libhoist.so"], ["-g", "--defined-only", installed / "usr/lib/libhoist.a"]):
        names = [line.split()[-1] for line in subprocess.run(["nm", *args], capture_output=True, text=True, check=True).stdout.splitlines()
                 if len(line.split()) == 3]
        assert names and all(n.startswith("hoist_") for n in names), names
    needed = subprocess.run(["readelf", "-d", installed / "usr/lib/libhoist.so"], capture_output=True, text=True).stdout
    for library in ("nng", "msgpack", "jansson", "sodium", "lmdb"):
        assert library not in needed
    assert os.path.getsize(installed / "usr/lib/libhoist.so") < 4 << 20
