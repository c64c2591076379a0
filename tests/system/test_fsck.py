"""Looking at a store: nothing is found where nothing is wrong, and what is wrong is found and named."""
import json
import random
import shutil
import struct
import subprocess

from hoist import BUILD, SOAK, Writer, clean_env, wait_until

PAGE = 4096
BRANCH, LEAF = 0x01, 0x02


def fsck(store):
    done = subprocess.run([BUILD / "flagctl", "fsck", "--store", store, "--json"], env=clean_env(), capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done
    return json.loads(done.stdout) if done.stdout else {"ok": False, "faults": [json.loads(done.stderr)["error"]]}


def test_a_store_that_is_written_has_no_faults(lab):
    primary = lab.primary("--log-min", "20", "--log-age", "1s")
    agent = lab.agent("--log-min", "20")
    writer = Writer(lab, ["a", "b", "c"])
    writer.start()
    for n in range(30):
        wait_until(lambda: writer.count > 3 * n)
        for daemon in (primary, agent):
            found = fsck(daemon.store)
            assert found["ok"] and found["faults"] == [], found
    writer.end()
    lab.wait_equal(primary, agent)
    human = lab.flagctl("fsck", "--store", primary.store)
    assert human.code == 0 and "1 environments, 3 flags" in human.out and human.out.rstrip().endswith("no faults")
    primary.kill()
    assert fsck(primary.store)["ok"], "also after a crash, and with nobody running"


def test_each_fault_names_database_and_key(lab):
    primary = lab.primary()
    lab.ok("set", "price", "unmistakable", "--type", "string")
    lab.ok("set", "other", "on")
    primary.stop()
    data = (primary.store / "current").resolve() / "data.mdb"
    whole = data.read_bytes()
    places = [i for i in range(len(whole)) if whole.startswith(b"unmistakable", i)]
    assert len(places) >= 2  # the record, the change; perhaps older pages
    data.write_bytes(whole.replace(b"unmistakable", b"unmistakabel"))
    found = fsck(primary.store)
    assert {(f["database"], f["env"], f["key"]) for f in found["faults"]} >= {("log", "production", "v2"), ("meta", "production", "env:production")}
    human = lab.flagctl("fsck", "--store", primary.store)
    assert human.code == 1 and "log of production, v2: " in human.err and f"{found['counts']['faults']} faults" in human.out


def test_what_is_no_store(lab):
    missing = lab.flagctl("fsck", "--store", lab.dir / "nothing", "--json")
    assert missing.code == 7 and missing.error["code"] == "no-store"
    primary = lab.primary()
    primary.stop()
    data = (primary.store / "current").resolve() / "data.mdb"
    whole = data.read_bytes()
    for bad in (whole[:PAGE * 3], b"\0" * len(whole), b"x" * len(whole), whole[:100]):
        data.write_bytes(bad)
        found = lab.flagctl("fsck", "--store", primary.store)
        assert found.code == 1 and found.err, found
    assert lab.flagctl("fsck", "word").code == 2


class Pages:
    """The pages of LMDB's file that its newest commit uses, and the bytes of each that mean something."""

    def __init__(self, data):
        self.data, self.used = data, {}
        newest = max((0, 1), key=lambda n: struct.unpack_from("<Q", data, n * PAGE + 16 + 24 + 2 * 48 + 8)[0])
        self.used[newest] = ("meta", [*range(16, 16 + 24 + 2 * 48 + 16)])
        for n in range(2):  # the list of free pages, the list of databases
            self.tree(newest * PAGE + 16 + 24 + n * 48, "free list" if n == 0 else "catalogue")

    def tree(self, at, name):
        root, = struct.unpack_from("<Q", self.data, at + 40)
        if root < 1 << 63:
            self.page(root, name)

    def page(self, n, name):
        base = n * PAGE
        number, _, flags, lower, _ = struct.unpack_from("<QHHHH", self.data, base)
        assert number == n and flags & (BRANCH | LEAF), (n, name, flags)
        count, bytes_ = (lower - 16) // 2, [*range(lower)]
        self.used[n] = (f"{name} {'branch' if flags & BRANCH else 'leaf'}", bytes_)
        for i in range(count):
            at, = struct.unpack_from("<H", self.data, base + 16 + 2 * i)
            lo, hi, node, keylen = struct.unpack_from("<HHHH", self.data, base + at)
            key = self.data[base + at + 8:base + at + 8 + keylen]
            size, inner = lo | hi << 16, base + at + 8 + keylen
            if flags & BRANCH:
                bytes_ += range(at, at + 8 + keylen)
                self.page(lo | hi << 16 | node << 32, name)
                continue
            bytes_ += range(at, at + 8 + keylen + (8 if node & 1 else size))
            if node & 1:
                first, = struct.unpack_from("<Q", self.data, inner)
                for k in range((16 + size + PAGE - 1) // PAGE):
                    left = min(PAGE, 16 + size - k * PAGE)
                    self.used[first + k] = (f"{name} overflow", [*range(left)])
            elif node & 2:
                self.tree(inner, key.decode() if name == "catalogue" else name)


def test_a_flipped_bit_in_each_page_never_ends_the_checker(lab):
    """One bit in each page of a small store, some times over: counted by what the page is."""
    primary = lab.primary()
    flags = {f"flag-{n:03}": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on",
                              "metadata": {"about": "x" * (n % 5) * 40}} for n in range(150)}
    flags["large"] = {"state": "ENABLED", "variants": {"v": "y" * 9000}, "defaultVariant": "v"}
    lab.ok("import", lab.file("flags.json", {"flags": flags}))
    for n in range(30):
        lab.ok("set", f"flag-{n % 9:03}", "off" if n % 2 else "on")
    primary.stop()
    data = (primary.store / "current").resolve() / "data.mdb"
    whole = data.read_bytes()
    assert fsck(primary.store)["ok"]
    dice = random.Random(5)
    used, count, unseen = Pages(whole).used, {}, []
    for page in range(len(whole) // PAGE):
        kind, places = used.get(page, ("not in use", range(PAGE)))
        for _ in range(60 if SOAK else 3):
            at = page * PAGE + dice.choice(places)
            bit = dice.randrange(8)
            data.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1:])
            seen = not fsck(primary.store)["ok"]
            tried, noticed = count.get(kind, (0, 0))
            count[kind] = (tried + 1, noticed + seen)
            if kind != "not in use" and not seen:
                unseen.append((kind, page, at % PAGE, bit, whole[at - 8:at + 8]))
    print("flipped bits noticed:", {k: f"{n} of {t}" for k, (t, n) in sorted(count.items())})
    for row in unseen:
        print("not noticed:", *row)
    assert count["not in use"][1] == 0
    content = [count[k] for k in count if k != "not in use" and "branch" not in k]  # a separator may differ
    assert sum(n for _, n in content) >= 0.95 * sum(t for t, _ in content) > 0, "all but bytes that LMDB never reads"
    data.write_bytes(whole)
    assert fsck(primary.store)["ok"]


def damage(store):
    """Two letters of a flag's value, in its record and in its change."""
    data = (store / "current").resolve() / "data.mdb"
    whole = data.read_bytes()
    data.write_bytes(whole.replace(b"unmistakable", b"unmistakabel"))
    return whole.count(b"unmistakable")


def test_a_damaged_store_is_refused_at_the_start_and_read_on(lab):
    primary = lab.primary()
    lab.ok("set", "price", "unmistakable", "--type", "string")
    lab.ok("set", "other", "on")
    agent = lab.agent()
    lab.wait_equal(primary, agent)
    agent.stop()
    assert damage(agent.store) > 0
    argv, _, _ = agent.start_args
    refused = subprocess.run(argv, env=clean_env(), capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and f"mv {agent.store} {agent.store}.damaged" in refused.stderr, refused
    assert lab.flagctl("is", "other", store=agent.store).code == 0, "what reads here reads on"
    shutil.move(agent.store, f"{agent.store}.damaged")
    agent.again()
    lab.wait_equal(primary, agent)
    assert agent.metric("hoist_store_check_seconds") >= 0

    primary.stop()
    damage(primary.store)
    argv, _, _ = primary.start_args
    refused = subprocess.run(argv, env=clean_env(), capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "hoistd recover" in refused.stderr and "--take-over" in refused.stderr, refused
    assert lab.flagctl("is", "other", store=primary.store).code == 0
    assert agent.alive() and lab.flagctl("get", "price", "--raw", store=agent.store).out.strip() == "unmistakable"
