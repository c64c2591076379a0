"""A terminal for programs that draw on one: a pty, and as much of a screen as it takes to read what they drew."""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import unicodedata

from hoist import wait_until

SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


def width_of(letter):
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


class Screen:
    """What stands on it, a string for each row. What it does not know, and text beyond the last column, is in `wrong`."""

    def __init__(self, rows, columns):
        self.rest, self.wrong = "", []
        self.alternate, self.cursor, self.wraps, self.coloured = False, True, True, False
        self.cleared = self.entered = self.frames = 0
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.other = self.empty(), 0, 0  # the screen that is not shown
        self.clear()

    def clear(self):
        self.cells = self.empty()
        self.row = self.column = 0

    def empty(self):
        return [[" "] * self.columns for _ in range(self.rows)]

    def text(self):
        return ["".join(cells).rstrip() for cells in self.cells]

    def feed(self, text):
        text = self.rest + text
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = SEQUENCE.match(text, at)
                if not found:
                    break  # its rest is still to come
                self.sequence(*found.groups())
                at = found.end()
            else:
                self.letter(text[at])
                at += 1
        self.rest = text[at:]
        if len(self.rest) > 32:
            self.wrong.append(self.rest)
            self.rest = ""

    def sequence(self, private, number, last):
        mode = (private, number)
        if last in "hl" and mode == ("?", "1049"):
            if self.alternate != (last == "h"):
                self.other, (self.cells, self.row, self.column) = (self.cells, self.row, self.column), self.other
            self.alternate = last == "h"
            self.entered += self.alternate
        elif last in "hl" and mode == ("?", "25"):
            self.cursor = last == "h"
        elif last in "hl" and mode == ("?", "7"):
            self.wraps = last == "h"
        elif last == "H" and not number:
            self.row = self.column = 0
            self.frames += 1
        elif last == "J" and number == "2":
            self.cleared += 1
            row, column = self.row, self.column
            self.clear()
            self.row, self.column = row, column
        elif last == "K" and not number:
            at = min(self.column, self.columns - 1)  # behind a full line the cursor is still on its last letter
            self.cells[self.row][at:] = [" "] * (self.columns - at)
        elif last == "m":
            self.coloured |= number not in ("", "0")
        else:
            self.wrong.append(private + number + last)

    def letter(self, letter):
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            if self.row + 1 == self.rows:
                self.wrong.append("scrolled")
            self.row = min(self.row + 1, self.rows - 1)
        elif ord(letter) < 32:
            self.wrong.append(letter)
        elif width_of(letter) == 0:
            self.cells[self.row][self.column - 1] += letter
        elif self.column + width_of(letter) > self.columns:
            self.wrong.append(f"beyond column {self.columns}: {letter}")
        else:
            self.cells[self.row][self.column:self.column + width_of(letter)] = [letter] + [""] * (width_of(letter) - 1)
            self.column += width_of(letter)


class Terminal:
    """A program on a terminal of its own, of which it is the foreground."""

    def __init__(self, argv, env, rows=24, columns=80):
        self.master, self.slave = pty.openpty()
        self.screen = Screen(rows, columns)
        self.lock = threading.Lock()
        self.bytes = b""
        self.set_size(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        own = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.p = subprocess.Popen(list(map(str, argv)), env=env, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                  start_new_session=True, preexec_fn=own)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def set_size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def more(self):
        """What the program writes next, up to a pause: a frame comes in several pieces, and half of one is none."""
        got = os.read(self.master, 65536)
        while got and select.select([self.master], [], [], 0.005)[0]:
            piece = os.read(self.master, 65536)
            if not piece:
                break
            got += piece
        return got

    def read(self):
        decoder = codecs.getincrementaldecoder("utf-8")()
        while True:
            try:
                got = self.more()
            except OSError:  # the other end is closed
                return
            with self.lock:
                self.bytes += got
                self.screen.feed(decoder.decode(got))

    def resize(self, rows, columns):
        """Another size, and until that is drawn for: a frame of before may still be on its way."""
        with self.lock:
            self.screen.resize(rows, columns)
            self.set_size(rows, columns)
        for _ in range(2):
            frames = self.screen.frames
            wait_until(lambda: self.screen.frames > frames, what="another frame")
        self.screen.wrong.clear()

    def type(self, keys):
        os.write(self.master, keys.encode())

    def text(self):
        with self.lock:
            return self.screen.text()

    def line(self, part):
        """The first line that has it, or ""."""
        return next((line for line in self.text() if part in line), "")

    def row(self, *words):
        """The words of the first line that begins with these, or []."""
        return next((found for found in map(str.split, self.text()) if found[:len(words)] == list(words)), [])

    def shows(self, *parts, limit_ms=20000):
        """Until all of them stand on the screen; its lines."""
        try:
            return wait_until(lambda: all(self.line(p) for p in parts) and self.text(), limit_ms, what=f"{parts} on the screen")
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.text()])) from None

    def hides(self, *parts, limit_ms=20000):
        try:
            return wait_until(lambda: not any(self.line(p) for p in parts) and self.text(), limit_ms, what=f"{parts} gone")
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.text()])) from None

    def ended(self, limit_s=10):
        """The exit code, once it has ended and all it wrote was read."""
        code = self.p.wait(limit_s)
        wait_until(lambda: not self.screen.alternate, 5000, what="the terminal is left")
        return code

    def is_restored(self):
        return (termios.tcgetattr(self.slave) == self.before and not self.screen.alternate and self.screen.cursor
                and self.screen.wraps)

    def close(self):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGKILL)
            self.p.wait()
        os.close(self.slave)
        self.reader.join(5)
        os.close(self.master)
