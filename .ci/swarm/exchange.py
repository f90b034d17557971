"""Real data between Shoal and the clients of others, in both directions."""
import os
import threading
import time

from swarm import clients, folder
from swarm.lab import check
from swarm.runner import Scenario

# 256 KiB make some 1200 pieces, and most boundaries fall inside of files.
PIECE_LEN = 1 << 18


class Folder:
    """The folder that all exchanges transfer: made once, by the first who asks."""
    lock = threading.Lock()
    hashes = None

    @classmethod
    def get(cls, lab):
        """Returns its path and what folder.hashes says of it."""
        path = os.path.join(lab.shared, "exchanged", "many files, ещё")
        with cls.lock:
            if cls.hashes is None:
                folder.make_many_files(path)
                cls.hashes = folder.hashes(path)
        return path, cls.hashes


def made_by_shoal(lab, path):
    return clients.create(lab, path, "--piece-length", PIECE_LEN)


def made_for_udp(lab, path):
    """The clients then know nothing but a udp:// tracker."""
    return clients.create(lab, path, "--piece-length", PIECE_LEN, scheme="udp")


def made_by_mktorrent(lab, path):
    torrent = lab.path("made.torrent")
    process = lab.start("mktorrent", "mktorrent", "-a", clients.tracker_url(lab), "-l", PIECE_LEN.bit_length() - 1,
                        "-o", torrent, path)
    check(process.wait() == 0, "mktorrent failed")
    return torrent


def exchange(lab, seeder, leechers, tracker, maker):
    """One client seeds and the others download; they find each other by the
    tracker only."""
    path, want = Folder.get(lab)
    torrent = maker(lab, path)
    tracker.start(lab, torrent)
    seeder.seed(lab, torrent, os.path.dirname(path))
    clients.wait_for_seeds(lab, torrent, 1)
    begin = time.monotonic()
    targets = [lab.make_folder(f"to-{i}-{leecher.__name__}") for i, leecher in enumerate(leechers)]
    waiting = {target: leecher.get(lab, torrent, target) for leecher, target in zip(leechers, targets)}
    seconds = []

    def all_done():
        for target in [target for target, is_done in waiting.items() if is_done()]:
            del waiting[target]
            seconds.append(f"{leechers[targets.index(target)].name} {time.monotonic() - begin:.1f} s")
        return not waiting
    lab.wait_until(all_done, "every download is complete")
    for leecher, target in zip(leechers, targets):
        check(os.listdir(target) == [os.path.basename(path)], f"{leecher.name} has made {os.listdir(target)}")
        folder.check_same(os.path.join(target, os.path.basename(path)), want,
                          except_empty=not leecher.makes_empty_files)
    return "complete after: " + ", ".join(seconds)


EVERY_OTHER = (clients.Aria2, clients.Transmission, clients.Libtorrent, clients.Rtorrent)


def pairs(tracker, maker, others=EVERY_OTHER):
    for other in others:
        for seeder, leecher in ((clients.Shoal, other), (other, clients.Shoal)):
            programs = (*other.programs, *tracker.programs, "libtorrent")
            if maker is made_by_mktorrent:
                programs += ("mktorrent",)
            over = " over UDP" if maker is made_for_udp else ""
            yield Scenario(f"{seeder.name} -> {leecher.name}, by {tracker.name}{over}",
                           exchange, seeder, [leecher], tracker, maker, programs=programs)


MIXED = [clients.Shoal, clients.Shoal, clients.Aria2, clients.Transmission, clients.Libtorrent]

SCENARIOS = [
    *pairs(clients.ShoalTracker, made_by_shoal),
    *pairs(clients.Opentracker, made_by_mktorrent),
    *pairs(clients.ShoalTracker, made_for_udp, others=(clients.Aria2WithUDP, *EVERY_OTHER[1:])),
    *pairs(clients.Opentracker, made_for_udp, others=(clients.Transmission, clients.Libtorrent)),
    Scenario("a mixed swarm: Shoal -> Shoal twice, aria2, Transmission and libtorrent at once",
             exchange, clients.Shoal, MIXED, clients.ShoalTracker, made_by_shoal,
             programs=("aria2c", "transmission-daemon", "libtorrent")),
]
