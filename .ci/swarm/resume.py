"""Downloads that are cut short again and again."""
import os
import random
import re
import signal
import time

from swarm import clients, exchange, folder
from swarm.lab import check
from swarm.runner import Scenario

INTERRUPTIONS = 10
PIECE_LEN = 1 << 17

# The folder of 305 MiB takes 20 s at this rate, or more. A run lasts this long
# at most after its first bytes are on the disk, and a little more on a busy
# machine, so that ten of them are shorter than the download.
RATE_MIB = 15
LONGEST = 0.7

# What an interruption may cost: pieces that were not complete yet. A
# downloader has asked its peer for the blocks of a few tens of milliseconds in
# advance, and takes up no new piece before those that it has begun.
IN_FLIGHT = 2 * folder.MIB

# The pieces that can be half written at one moment: one for each worker of the
# disk, of which there are as many as processors.
MAX_HALF_WRITTEN = os.cpu_count()


class Download:
    """A seed and a folder into which its data is downloaded, in several runs."""

    def __init__(self, lab):
        self.lab = lab
        data, self.want = exchange.Folder.get(lab)
        self.name, self.length = os.path.basename(data), sum(folder.SIZES)
        self.torrent = clients.create(lab, data, "--piece-length", PIECE_LEN)
        self.seed = clients.Shoal.seed(lab, self.torrent, data, "--no-tracker")
        lab.wait_until(self.seed.json, "the data is seeded")
        self.seed_address = f"10.77.{lab.block}.2"  # the first that the lab has given away
        self.address = lab.address()
        self.target = lab.make_folder("target")

    def begin(self):
        return self.lab.shoal("get", "--json", "--no-tracker", "--bind", self.address,
                              "--peer", f"{self.seed_address}:{clients.PORT}", "--down", f"{RATE_MIB}MiB/s",
                              "-o", self.target, self.torrent)

    def interrupt(self, rng, number):
        """Runs the download for a while, ends it by a signal and returns it."""
        before = self.written()
        process = self.begin()
        self.lab.wait_until(lambda: process.has_ended() or self.written() > before, "it has written something")
        time.sleep(rng.uniform(0, LONGEST))  # nothing to wait for: any moment is to be right
        check(not process.has_ended(), f"it ended by itself, with {process.popen.poll()}")
        process.send(number)
        process.wait()
        return process

    def written(self):
        """How many bytes of data are on the disk."""
        return sum(os.stat(os.path.join(parent, name)).st_blocks * 512
                   for parent, _, names in os.walk(os.path.join(self.target, self.name)) for name in names)

    def finish(self):
        """Lets a last run come to its end. Returns it, and the bytes that the seed
        has sent in all."""
        process = self.begin()
        check(process.wait() == 0, f"the last run ended with {process.wait()}")
        self.seed.stop(signal.SIGINT)
        check(os.listdir(self.target) == [self.name], f"there is more than the data: {os.listdir(self.target)}")
        folder.check_same(os.path.join(self.target, self.name), self.want)
        return process, self.seed.json()[-1]["uploaded"]


def interrupted(lab):
    """Ctrl-C: nothing that was verified is fetched or checked again."""
    rng, words = random_points()
    download = Download(lab)
    left, runs = download.length, []
    for _ in range(INTERRUPTIONS):
        run = download.interrupt(rng, signal.SIGINT)
        check(run.wait() == 130, f"the exit code is {run.wait()}, not 130 ({words})")
        runs += run.json()
    check(len(runs) == INTERRUPTIONS, f"{len(runs)} runs have told how it went ({words})")
    last, sent = download.finish()
    worst = 0
    for result in runs + last.json():
        check(result["rechecked"] == 0, f"{result['rechecked']} pieces were checked again ({words})")
        lost = result["downloaded"] - (left - result["bytes_left"])
        left = result["bytes_left"]
        worst = max(worst, lost)
        check(0 <= lost <= IN_FLIGHT, f"{lost} bytes of a run were lost, more than can have been in flight ({words})")
    check(sent <= download.length + len(runs) * IN_FLIGHT, f"the seed sent {sent} bytes ({words})")
    return f"the seed sent {sent / download.length:.3f} copies, at most {worst >> 10} KiB were lost at once, {words}"


def killed(lab):
    """kill -9: only the pieces that were being written are checked again."""
    rng, words = random_points()
    download = Download(lab)
    rechecked = []
    for _ in range(INTERRUPTIONS):
        run = download.interrupt(rng, signal.SIGKILL)
        rechecked.append(num_rechecked(run))
    last, sent = download.finish()
    rechecked.append(num_rechecked(last))
    check(last.json()[0]["rechecked"] == rechecked[-1], "--json and stderr differ")
    check(max(rechecked) <= MAX_HALF_WRITTEN, f"{rechecked} pieces were checked again, more than can have been in flight ({words})")
    check(sent <= download.length + INTERRUPTIONS * IN_FLIGHT, f"the seed sent {sent} bytes ({words})")
    return f"the seed sent {sent / download.length:.3f} copies, {rechecked} pieces were checked again, {words}"


def num_rechecked(run):
    """How many pieces a run has checked before it went on, as it says itself."""
    match = re.search(r": checking (\d+) piece", run.stderr())
    return int(match[1]) if match else 0


def random_points():
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
    return random.Random(seed), f"SEED={seed}"


SCENARIOS = [
    Scenario(f"Ctrl-C {INTERRUPTIONS} times", interrupted, alone=True),
    Scenario(f"kill -9 {INTERRUPTIONS} times", killed, alone=True),
]
