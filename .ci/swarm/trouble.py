"""Bad input and a bad world: each ends in one clear line and the right exit
code, and loses no data."""
import contextlib
import os
import random
import re
import signal
import socket
import socketserver
import subprocess
import threading

from swarm import clients, folder
from swarm.lab import check
from swarm.runner import Scenario

DONE, FAILED, USAGE, MISMATCH, NOT_FOUND, INTERRUPTED = 0, 1, 2, 3, 4, 130


def expect(process, code, pattern):
    """Waits for the end of shoal and checks its exit code, and that it says one
    line about what went wrong, which matches pattern."""
    got = process.wait()
    words = process.stderr()
    check(got == code, f"the exit code is {got}, not {code}: {words.strip()}")
    lines = [line for line in words.splitlines() if line.startswith("shoal: ")]
    check(len(lines) == 1 and words.endswith(lines[0] + "\n"), f"not one line at the end: {words.strip()}")
    check(re.search(pattern, lines[0]), f"{lines[0]!r} does not say {pattern!r}")
    return lines[0]


class Data:
    """A file of some MiB and its torrent."""

    def __init__(self, lab, mib):
        self.path = lab.path("data", "payload.bin")
        self.length = mib * folder.MIB
        folder.make_file(self.path, self.length)
        self.want = folder.hashes(self.path)
        self.torrent = clients.create(lab, self.path)

    def seed(self, lab):
        """Seeds it and returns the address of the seed."""
        process = clients.Shoal.seed(lab, self.torrent, self.path, "--no-tracker")
        lab.wait_until(process.json, "the data is seeded")
        return f"10.77.{lab.block}.{lab.num_addresses}:{clients.PORT}"


def get(lab, torrent, target, *flags):
    return lab.shoal("get", "--bind", lab.address(), "--json", "-o", target, *flags, torrent)


def torrent_that_is_none(lab):
    """Half a .torrent, something else, nothing at all: for every command."""
    data = Data(lab, 1)
    with open(data.torrent, "rb") as file:
        whole = file.read()
    bad = {"half.torrent": (whole[:len(whole) // 2], "torrent"), "empty.torrent": (b"", "torrent"),
           "text.torrent": (b"This is no torrent.\n", "torrent"), "missing.torrent": (None, "no such file")}
    for name, (content, pattern) in bad.items():
        if content is not None:
            with open(lab.path(name), "wb") as file:
                file.write(content)
        target = lab.path("to-" + name)
        expect(lab.shoal("show", lab.path(name)), FAILED, pattern)
        expect(lab.shoal("verify", lab.path(name), data.path), FAILED, pattern)
        expect(lab.shoal("seed", lab.path(name), data.path), FAILED, pattern)
        expect(get(lab, lab.path(name), target), FAILED, pattern)
        check(not os.path.exists(target), "a folder was made for nothing")


def data_that_is_wrong(lab):
    """One byte differs: verify names it, seed refuses it, get mends it."""
    data = Data(lab, 4)
    address = data.seed(lab)
    wrong = lab.path("wrong", "payload.bin")
    subprocess.run(["cp", "--recursive", lab.path("data"), lab.path("wrong")], check=True)
    with open(wrong, "r+b") as file:
        file.seek(3 * folder.MIB)
        byte = file.read(1)
        file.seek(3 * folder.MIB)
        file.write(bytes([byte[0] ^ 1]))
    before = folder.hashes(wrong)
    verify = lab.shoal("verify", "--json", data.torrent, wrong)
    expect(verify, MISMATCH, "1 of .* pieces")
    result = verify.json()[0]
    check(len(result["bad_pieces"]) == 1 and result["bad_files"][0]["state"] == "damaged", f"verify says {result}")
    expect(lab.shoal("seed", data.torrent, wrong), MISMATCH, "verify")
    check(folder.hashes(wrong) == before, "the data was changed by a command that only reads it")
    process = get(lab, data.torrent, lab.path("wrong"), "--no-tracker", "--peer", address)
    check(process.wait() == DONE, "the wrong data is not mended")
    folder.check_same(wrong, data.want)
    downloaded = process.json()[0]["downloaded"]
    check(downloaded < data.length // 4, f"{downloaded} bytes were downloaded for one that is wrong")


def folder_that_is_missing(lab):
    data = Data(lab, 1)
    nowhere = lab.path("nowhere")
    expect(lab.shoal("create", "-o", lab.path("x.torrent"), nowhere), FAILED, "nowhere: no such file")
    expect(lab.shoal("verify", data.torrent, nowhere), FAILED, "nowhere: no such file")
    expect(lab.shoal("seed", data.torrent, nowhere), FAILED, "nowhere: no such file")
    with open(nowhere, "w", encoding="ascii"):
        pass
    expect(get(lab, data.torrent, nowhere), FAILED, "not a folder")


def port_in_use(lab):
    data = Data(lab, 1)
    address = lab.address()
    with socket.create_server((address, clients.PORT)):
        listen = ("--bind", address, "--port", clients.PORT)
        expect(lab.shoal("seed", *listen, data.torrent, data.path), FAILED, f"port {clients.PORT} is in use")
        expect(lab.shoal("get", *listen, "-o", lab.path("target"), data.torrent), FAILED, f"port {clients.PORT} is in use")
        expect(lab.shoal("tracker", "run", "--open", "--http", f"{address}:{clients.PORT}"), FAILED, "in use")


def tracker_that_is_unreachable(lab):
    """Nobody listens at the tracker's port; the seed can still be reached otherwise."""
    data = Data(lab, 1)
    process = get(lab, data.torrent, lab.path("target"), "--timeout", "20s")  # in which it is asked for certain
    expect(process, NOT_FOUND, "nobody")
    check(process.stderr().count("connection refused") == 1, f"the tracker is not named once: {process.stderr()}")
    process = get(lab, data.torrent, lab.path("target"), "--peer", data.seed(lab))
    check(process.wait() == DONE, "the tracker keeps the download from a seed that it knows")
    folder.check_same(lab.path("target", "payload.bin"), data.want)


@contextlib.contextmanager
def garbage_peer(address):
    """Listens, and sends what looks like a peer, and then random bytes."""
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            greeting = self.request.recv(68)
            if self.server.polite:  # the handshake is as it should be
                self.request.sendall(greeting[:48] + b"-XX0001-garbage!!!!!"[:20])
            with contextlib.suppress(OSError):
                for _ in range(1000):
                    self.request.sendall(self.server.random.randbytes(1 << 14))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        polite = True
        random = random.Random(1)

    with Server((address, clients.PORT), Handler) as polite, Server((address, clients.PORT + 1), Handler) as rude:
        rude.polite = False
        for server in (polite, rude):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield [f"{address}:{clients.PORT}", f"{address}:{clients.PORT + 1}"]
        for server in (polite, rude):
            server.shutdown()


def peer_that_sends_garbage(lab):
    """Alone it is nobody; beside a seed it does no harm; a seed outlives it."""
    data = Data(lab, 8)
    with garbage_peer(lab.address()) as garbage:
        flags = ["--no-tracker"] + [flag for address in garbage for flag in ("--peer", address)]
        expect(get(lab, data.torrent, lab.path("target"), "--timeout", "2s", *flags), NOT_FOUND, "nobody")
        seed = data.seed(lab)
        host, port = seed.split(":")
        with socket.create_connection((host, int(port))) as connection, contextlib.suppress(OSError):
            connection.sendall(random.Random(2).randbytes(1 << 16))
        process = get(lab, data.torrent, lab.path("target"), "--peer", seed, *flags)
        check(process.wait() == DONE, "it keeps the download from a seed")
        folder.check_same(lab.path("target", "payload.bin"), data.want)


@contextlib.contextmanager
def small_disk(path, mib):
    """A file system of its own, in our mount namespace."""
    os.makedirs(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "interop", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def disk_that_is_too_small(lab):
    data = Data(lab, 64)
    with small_disk(lab.path("disk"), 40) as disk:
        expect(get(lab, data.torrent, disk), FAILED, r"not enough room .* 64\.0 MiB .* 40\.0 MiB .*make room")
        with open(os.path.join(disk, "payload.bin"), "a+b") as file:
            check(len(file.read()) == 0, "it was begun")


# So slow that the disk is full in the middle, although a busy machine takes some
# seconds to fill it.
FILLING_RATE = "5MiB/s"


def disk_that_fills(lab):
    """Somebody else fills the disk in the middle; when there is room again, the
    download goes on and nothing was lost."""
    data = Data(lab, 64)
    with small_disk(lab.path("disk"), 80) as disk:
        process = get(lab, data.torrent, disk, "--no-tracker", "--peer", data.seed(lab), "--down", FILLING_RATE)
        target, hog = os.path.join(disk, "payload.bin"), os.path.join(disk, "hog")
        lab.wait_until(lambda: os.path.exists(target) and os.stat(target).st_blocks * 512 > 8 * folder.MIB, "some has arrived")
        fill(hog)
        lab.wait_until(lambda: "disk is full" in process.stderr(), "it says that the disk is full")
        check(not process.has_ended(), f"it has ended with {process.popen.poll()}")
        os.remove(hog)
        check(process.wait() == DONE, f"it ended with {process.wait()}")
        check("takes data again" in process.stderr(), f"it does not say that it goes on: {process.stderr()}")
        check(os.listdir(disk) == ["payload.bin"], f"there is more than the data: {os.listdir(disk)}")
        folder.check_same(target, data.want)
        result = process.json()[0]
        return f"{result['downloaded'] - data.length >> 10} KiB were fetched twice"


def fill(path):
    """Writes a file until the disk is full."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))


def interrupted_on_a_full_disk(lab):
    """Ctrl-C while the disk is full: what was verified is still known."""
    data = Data(lab, 64)
    seed = data.seed(lab)
    with small_disk(lab.path("disk"), 80) as disk:
        process = get(lab, data.torrent, disk, "--no-tracker", "--peer", seed, "--down", FILLING_RATE)
        target, hog = os.path.join(disk, "payload.bin"), os.path.join(disk, "hog")
        lab.wait_until(lambda: os.path.exists(target) and os.stat(target).st_blocks * 512 > 8 * folder.MIB, "some has arrived")
        fill(hog)
        lab.wait_until(lambda: "disk is full" in process.stderr(), "it says that the disk is full")
        process.send(signal.SIGINT)
        code = process.wait()
        check(code in (FAILED, INTERRUPTED), f"it ended with {code}")
        os.remove(hog)
        again = get(lab, data.torrent, disk, "--no-tracker", "--peer", seed)
        check(again.wait() == DONE, f"the next run ended with {again.wait()}")
        folder.check_same(target, data.want)
        fetched = again.json()[0]["downloaded"]
        check(fetched <= data.length - 7 * folder.MIB, f"the next run has fetched {fetched} bytes")
        return f"the next run fetched {fetched / folder.MIB:.1f} of {data.length >> 20} MiB"


def demo(lab):
    """The first command of the README, without a terminal."""
    process = lab.shoal("demo")
    check(process.wait(30) == DONE, f"the exit code is {process.wait()}")
    check("\x1b" not in process.stdout() + process.stderr(), "there are control sequences, but no terminal")


SCENARIOS = [
    Scenario("bad input: a .torrent that is none", torrent_that_is_none),
    Scenario("bad input: data that is wrong", data_that_is_wrong),
    Scenario("bad input: a folder that is missing", folder_that_is_missing),
    Scenario("bad input: a port in use", port_in_use),
    Scenario("bad input: a tracker that is unreachable", tracker_that_is_unreachable),
    Scenario("bad input: a peer that sends garbage", peer_that_sends_garbage),
    Scenario("bad input: a disk that is too small", disk_that_is_too_small),
    Scenario("bad input: a disk that fills in the middle", disk_that_fills),
    Scenario("bad input: Ctrl-C while the disk is full", interrupted_on_a_full_disk),
    Scenario("demo, without a terminal, in 30 s", demo, alone=True),
]
