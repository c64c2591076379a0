import signal

import pytest

from faults import FIGURES
from hoist import Lab


# What is started in the background without a terminal ignores SIGINT, and so would all that the tests start and end by it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def lab(tmp_path):
    """A directory and the processes in it, which all end with the test."""
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def pytest_runtest_makereport(item, call):
    """Show the ends of the daemons' logs when a test fails."""
    if call.excinfo and call.when == "call" and "lab" in item.funcargs:
        for p in item.funcargs["lab"].all:
            print(f"---- {p.argv[:2]}\n{p.text()[-1500:]}")


def pytest_terminal_summary(terminalreporter):
    """What the fault suite measured."""
    for line in FIGURES:
        terminalreporter.write_line(line)
