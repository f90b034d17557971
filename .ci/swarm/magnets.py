"""Magnet links: the metadata comes from peers (BEP 9), in both directions."""
import os
import time

from swarm import clients, folder
from swarm.clients import Finding
from swarm.lab import check
from swarm.runner import Scenario

SIZE_MIB = 8


class Data:
    """A file of a few MiB and its torrent, which names no tracker."""

    def __init__(self, lab):
        self.path = lab.path("data", "payload.bin")
        self.length = SIZE_MIB * folder.MIB
        folder.make_file(self.path, self.length)
        self.describe(lab)

    def describe(self, lab):
        self.parent, self.name = os.path.split(self.path)
        self.want = folder.hashes(self.path)
        self.torrent = clients.create(lab, self.path, scheme="")
        self.info_hash = clients.info_hash(self.torrent)


class LongPaths(Data):
    """A folder whose metadata has more than 1 MiB, 64 blocks and more, where
    others have one or two: each of its files has a path of 900 bytes."""
    NUM_FILES, DEPTH, NAME_LEN, FILE_LEN = 1200, 4, 230, 4000

    def __init__(self, lab):
        self.path = lab.path("data", "long paths")
        self.length = self.NUM_FILES * self.FILE_LEN
        below = os.path.join(self.path, *(f"{depth:x}" * self.NAME_LEN for depth in range(self.DEPTH - 1)))
        for i in range(self.NUM_FILES):
            folder.write_random(os.path.join(below, f"{i:0{self.NAME_LEN}}"), self.FILE_LEN, seed=i)
        self.describe(lab)
        check(os.stat(self.torrent).st_size > folder.MIB, "the metadata is too small for what it is to show")


class Download:
    """One client that downloads Data into a folder of its own."""

    def __init__(self, lab, leecher, data, link, *flags, finding=clients.TRACKER_ONLY):
        self.name, self.data = leecher.name, data
        self.target = lab.make_folder(f"to-{len(lab.processes)}")
        self.path = os.path.join(self.target, data.name)
        self.begin = time.monotonic()
        self.first = self.last = None  # seconds until the first data, which needs the metadata, and until the last
        self.is_done = leecher.get(lab, link, self.target, *flags, finding=finding)

    def is_over(self):
        seconds = time.monotonic() - self.begin
        if self.first is None and os.path.exists(self.path):
            self.first = seconds
        if self.last is None and self.is_done():
            self.last = seconds
        return self.last is not None

    def figures(self):
        # Shoal keeps the .torrent; rtorrent leaves one that it has no more use for.
        metadata = {self.data.info_hash + ".torrent", self.data.info_hash.upper() + ".meta"}
        check(set(os.listdir(self.target)) - metadata == {self.data.name}, f"{self.name} has made {os.listdir(self.target)}")
        folder.check_same(self.path, self.data.want)
        return f"{self.name} {self.first or self.last:.1f} s, {self.last:.1f} s"


def wait_for_all(lab, downloads):
    """Returns when each had its first data, and its last."""
    lab.wait_until(lambda: all([download.is_over() for download in downloads]), "every download is complete")
    return "first data and last: " + "; ".join(download.figures() for download in downloads)


def by_tracker(lab, seeder, leecher, data_class):
    data = data_class(lab)
    clients.ShoalTracker.start(lab, data.torrent)
    link = clients.magnet(data.torrent, tracker=clients.tracker_url(lab))
    # A .torrent without a tracker is no use to a seeder, so it gets one that is
    # else the same.
    torrent = clients.create(lab, data.path)
    seeder.seed(lab, torrent, data.parent)
    clients.wait_for_seeds(lab, torrent, 1)
    return wait_for_all(lab, [Download(lab, leecher, data, link)])


def by_address(lab, seeder, leecher):
    """x.pe: the link names the address of a peer."""
    data, address = Data(lab), lab.address()
    seeder.seed(lab, data.torrent, data.parent, finding=Finding(address=address))
    clients.wait_for_port(lab, lab.processes[-1], address, clients.PORT)
    link = clients.magnet(data.torrent, peer=clients.host_port(address))
    return wait_for_all(lab, [Download(lab, leecher, data, link)])


OTHERS = (clients.Libtorrent, clients.Aria2, clients.Transmission, clients.Rtorrent)

# Without Transmission, which needs a minute for as much. rtorrent 0.9.8 sends a
# block of it and then no more, to libtorrent and Transmission neither.
WITH_BIG_METADATA = [(clients.Shoal, clients.Rtorrent), (clients.Shoal, clients.Aria2), (clients.Aria2, clients.Shoal),
                     (clients.Shoal, clients.Libtorrent), (clients.Libtorrent, clients.Shoal)]


def both_ways(others):
    for other in others:
        yield clients.Shoal, other
        yield other, clients.Shoal


def tracker_scenarios(name, data_class, pairs):
    for seeder, leecher in pairs:
        programs = ("libtorrent", *seeder.programs, *leecher.programs)
        yield Scenario(f"magnet: {seeder.name} -> {leecher.name}, {name}", by_tracker, seeder, leecher, data_class,
                       programs=programs)


SCENARIOS = [
    *tracker_scenarios("by a tracker", Data, both_ways(OTHERS)),
    *tracker_scenarios("1 MiB of metadata", LongPaths, WITH_BIG_METADATA),
    # Only libtorrent and Shoal know x.pe.
    *(Scenario(f"magnet: {seeder.name} -> {leecher.name}, by the address of a peer", by_address, seeder, leecher,
               programs=("libtorrent",))
      for seeder, leecher in [(clients.Shoal, clients.Shoal), *both_ways([clients.Libtorrent])]),
]
