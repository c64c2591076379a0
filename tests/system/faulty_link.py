"""A TCP link that goes wrong by a seed: it delays, cuts, drops, doubles, cuts short, flips bits, closes one half, and
stalls. Each side of a pair of ports (requests, and the stream on the next one) is one proxy of the pair behind it.
What goes wrong in one piece of bytes is decided by (seed, link, side, number of the connection, direction, number of the piece): the
same seed and traffic of a connection, the same faults. TCP's bytes stay in their order: whole messages change theirs in test_bad_relay.py
and in the simulation."""
import asyncio
import collections
import os
import random
import socket
import threading

from hoist import free_port

# What spoils the bytes that arrive, and what only spoils the connection.
SPOILING = ("drop", "double", "corrupt", "truncate")
CONNECTION = ("delay", "cut", "half-close", "stall")
LOG = 65536


class FaultyLink:
    """`faults`: fault → how often among pieces. Bytes of a `spoils` direction ("down": to whoever dialled, "up", or both)
    may be altered; where nobody checks them that is no fair fault. `calm()` ends the faults: bytes pass from then on.
    A delay is between `delays` seconds."""

    def __init__(self, port, seed, faults, spoils=("down",), name="link", delays=(0, 0.2)):
        self.target, self.faults, self.spoils, self.delays = port, faults, spoils, delays
        self.seed, self.connections = f"{seed} {name}", collections.Counter()
        self.done = collections.Counter()
        self.wild = True
        self.port = free_port(2)
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.loop = asyncio.new_event_loop()
        self.servers, self.writers = [], set()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        for i in range(2):
            self.call(self.listen(i))

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def listen(self, i):
        async def serve(reader, writer):
            await self.serve(reader, writer, self.target + i)
        self.servers.append(await asyncio.start_server(serve, "127.0.0.1", self.port + i, limit=LOG))

    async def serve(self, near_in, near_out, port):
        side = port - self.target
        number = self.connections[side] = self.connections[side] + 1
        dice = lambda direction: random.Random(f"{self.seed} {side} {number} {direction}")
        self.writers.add(near_out)
        try:
            far_in, far_out = await asyncio.open_connection("127.0.0.1", port, limit=LOG)
        except OSError:
            near_out.transport.abort()
            self.writers.discard(near_out)
            return
        self.writers.add(far_out)
        try:
            await asyncio.gather(self.pump(near_in, far_out, "up", near_out, dice("up")),
                                 self.pump(far_in, near_out, "down", far_out, dice("down")))
        except asyncio.CancelledError:
            pass  # close() ends it
        for w in (near_out, far_out):
            w.transport.abort()
            self.writers.discard(w)

    def pick(self, direction, dice):
        """The fault of this piece, or None."""
        throw = dice.random()
        for fault, share in self.faults.items():
            throw -= share
            if throw < 0:
                return None if fault in SPOILING and direction not in self.spoils else fault
        return None

    async def pump(self, source, sink, direction, back, dice):
        try:
            while data := await source.read(LOG):
                fault = self.pick(direction, dice) if self.wild else None
                if fault:
                    self.done[fault] += 1
                data = await self.spoil(fault, data, sink, back, dice)
                if data is None:
                    return
                sink.write(data)
                await sink.drain()
            sink.write_eof()
        except (OSError, RuntimeError):
            sink.transport.abort()
            back.transport.abort()

    async def spoil(self, fault, data, sink, back, dice):
        """The bytes to pass on; None: none, this direction is over."""
        if fault == "delay":
            await asyncio.sleep(dice.uniform(*self.delays))
        elif fault == "stall":
            await asyncio.sleep(dice.uniform(0.5, 2.5))
        elif fault == "drop":
            return b""
        elif fault == "double":
            return data + data
        elif fault == "corrupt":
            at = dice.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1:]
        elif fault == "truncate":
            sink.write(data[:dice.randrange(len(data))])
            await sink.drain()
        elif fault == "half-close":
            sink.write_eof()
            return None
        if fault in ("cut", "truncate"):
            sink.transport.abort()
            back.transport.abort()
            return None
        return data

    def calm(self):
        self.wild = False

    def cut_all(self):
        """End every connection that is there."""
        async def cut():
            for w in list(self.writers):
                w.transport.abort()
        self.call(cut())

    def close(self):
        async def end():
            for s in self.servers:
                s.close()
            for w in list(self.writers):
                w.transport.abort()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
