"""Downloads that are timed: one seeder, one leecher, one large file.

Not part of the checks: a busy machine makes them say anything. Figures are to
be compared within one run only."""
import os
import statistics
import time

from swarm import clients, folder
from swarm.lab import check
from swarm.runner import Scenario

SIZE_MIB = 1024
PIECE_LEN = 1 << 20
RUNS = 3


class Usage:
    """What a process has used so far, as /proc tells it."""
    TICKS = os.sysconf("SC_CLK_TCK")

    def __init__(self, process):
        self.pid, self.cpu, self.peak_mib = process.popen.pid, 0.0, 0.0
        self.look()
        self.before = self.cpu

    def look(self):
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
                peak = [line for line in file if line.startswith("VmHWM")]
        except (OSError, IndexError):
            return  # it has ended
        if peak:  # not of a process that has ended and was not waited for
            self.cpu = (int(fields[11]) + int(fields[12])) / self.TICKS
            self.peak_mib = int(peak[0].split()[1]) / 1024

    def per_gib(self):
        return (self.cpu - self.before) / (SIZE_MIB / 1024)


def transfer(lab, torrent, seed_process, leecher, run):
    """Times one download: from the start of the leecher to its last byte."""
    seed_usage = Usage(seed_process)
    target = lab.make_folder(f"to-{run}")
    begin = time.monotonic()
    is_done = leecher.get(lab, torrent, target)
    leech_usage = Usage(lab.processes[-1])

    def done():
        leech_usage.look()
        return is_done()
    lab.wait_until(done, "the download is complete")
    seconds = time.monotonic() - begin
    seed_usage.look()
    return SIZE_MIB / seconds, leech_usage.per_gib(), leech_usage.peak_mib, seed_usage.per_gib(), seed_usage.peak_mib, target


def timed(lab, seeder, leecher):
    data = lab.path("data", "payload.bin")
    folder.make_file(data, SIZE_MIB * folder.MIB)
    want = folder.hashes(data)
    torrent = clients.create(lab, data, "--piece-length", PIECE_LEN)
    clients.ShoalTracker.start(lab, torrent)
    seeder.seed(lab, torrent, os.path.dirname(data))
    seed_process = lab.processes[-1]
    clients.wait_for_seeds(lab, torrent, 1)
    runs = []
    for run in range(RUNS):
        *figures, target = transfer(lab, torrent, seed_process, leecher, run)
        folder.check_same(os.path.join(target, "payload.bin"), want)
        os.remove(os.path.join(target, "payload.bin"))
        runs.append(figures)
        if not lab.processes[-1].has_ended():  # a leecher that goes on seeding
            lab.processes[-1].stop()
    check(len(runs) == RUNS, "a run is missing")
    rate, leech_cpu, leech_peak, seed_cpu, seed_peak = map(statistics.median, zip(*runs))
    return (f"{rate:.0f} MiB/s; leecher {leech_cpu:.2f} CPU s/GiB, {leech_peak:.0f} MiB; "
            f"seeder {seed_cpu:.2f} CPU s/GiB, {seed_peak:.0f} MiB")


def pairs():
    yield clients.Shoal, clients.Shoal
    for leecher in (clients.Libtorrent, clients.Shoal, clients.Aria2, clients.Transmission):
        yield clients.Libtorrent, leecher
    for seeder in (clients.Shoal, clients.Aria2, clients.Transmission):
        yield seeder, clients.Libtorrent


SCENARIOS = [
    Scenario(f"timed: {seeder.name} -> {leecher.name}", timed, seeder, leecher,
             programs=("libtorrent", *seeder.programs, *leecher.programs), alone=True)
    for seeder, leecher in pairs()
]
