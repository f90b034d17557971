"""Real data between Shoal and the clients of others, in both directions."""
import os
import subprocess

from swarm import clients, folder
from swarm.lab import check
from swarm.runner import Scenario

# 256 KiB make some 1200 pieces, and most boundaries fall inside of files.
PIECE_LEN = 1 << 18


class Exchanged:
    """The folder that all exchanges transfer, its hashes, and its torrents by
    the program that made them. Made once, by the first who asks."""
    made = {}

    @classmethod
    def data(cls, lab):
        if "path" not in cls.made:
            cls.made["path"] = os.path.join(lab.shared, "exchanged", "many files, ещё")
            folder.make_many_files(cls.made["path"])
            cls.made["hashes"] = folder.hashes(cls.made["path"])
        return cls.made["path"], cls.made["hashes"]

    @classmethod
    def torrent(cls, lab, maker):
        if maker not in cls.made:
            path, _ = cls.data(lab)
            output = os.path.join(lab.shared, maker.__name__ + ".torrent")
            maker(lab, path, output)
            cls.made[maker] = output
        return cls.made[maker]


def made_by_shoal(lab, path, output):
    process = lab.shoal("create", "--announce", clients.TRACKER_URL, "--piece-length", PIECE_LEN, "-o", output, path)
    check(process.wait() == 0, "shoal create failed")


def made_by_mktorrent(lab, path, output):
    process = lab.start("mktorrent", "mktorrent", "-a", clients.TRACKER_URL, "-l", PIECE_LEN.bit_length() - 1,
                        "-o", output, path)
    check(process.wait() == 0, "mktorrent failed")


def exchange(lab, seeder, leechers, tracker, maker):
    """One client seeds and the others download; they find each other by the
    tracker only."""
    path, want = Exchanged.data(lab)
    torrent = Exchanged.torrent(lab, maker)
    tracker.start(lab, torrent)
    seeder.seed(lab, torrent, os.path.dirname(path))
    clients.wait_for_seeds(lab, torrent, 1)
    targets = [lab.make_folder(f"to-{i}-{leecher.__name__}") for i, leecher in enumerate(leechers)]
    waiting = [leecher.get(lab, torrent, target) for leecher, target in zip(leechers, targets)]

    def all_done():
        waiting[:] = [done for done in waiting if not done()]
        return not waiting
    lab.wait_until(all_done, "every download is complete")
    for leecher, target in zip(leechers, targets):
        check(os.listdir(target) == [os.path.basename(path)], f"{leecher.name} has made {os.listdir(target)}")
        folder.check_same(os.path.join(target, os.path.basename(path)), want,
                          except_empty=not leecher.makes_empty_files)
    return ""


def pairs(tracker, maker):
    for other in (clients.Aria2, clients.Transmission, clients.Libtorrent, clients.Rtorrent):
        for seeder, leecher in ((clients.Shoal, other), (other, clients.Shoal)):
            programs = (*other.programs, *tracker.programs, "libtorrent")
            if maker is made_by_mktorrent:
                programs += ("mktorrent",)
            yield Scenario(f"{seeder.name} -> {leecher.name}, by {tracker.name}",
                           exchange, seeder, [leecher], tracker, maker, programs=programs)


MIXED = [clients.Shoal, clients.Shoal, clients.Aria2, clients.Transmission, clients.Libtorrent]

SCENARIOS = [
    *pairs(clients.ShoalTracker, made_by_shoal),
    *pairs(clients.Opentracker, made_by_mktorrent),
    Scenario("a mixed swarm: Shoal -> Shoal twice, aria2, Transmission and libtorrent at once",
             exchange, clients.Shoal, MIXED, clients.ShoalTracker, made_by_shoal,
             programs=("aria2c", "transmission-daemon", "libtorrent")),
]
# The harness without Shoal, for who doubts it.
for seeder in (clients.Aria2, clients.Transmission, clients.Libtorrent, clients.Rtorrent):
    for leecher in (clients.Aria2, clients.Transmission, clients.Libtorrent, clients.Rtorrent):
        if seeder is not leecher:
            SCENARIOS.append(Scenario(f"T {seeder.name} -> {leecher.name}, by opentracker", exchange, seeder, [leecher],
               clients.Opentracker, made_by_mktorrent))
