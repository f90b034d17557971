"""What the clients of others tell Shoal's tracker: they announce, scrape, complete
and stop, over HTTP and UDP, and the tracker's counts follow."""
import json
import os
import re
import signal
import urllib.parse
import urllib.request

from swarm import clients, folder, runner
from swarm.lab import TIMEOUT, check
from swarm.runner import Scenario


class LibtorrentThatScrapes(clients.Libtorrent):
    @classmethod
    def get(cls, lab, torrent, folder, finding=clients.TRACKER_ONLY):
        process = cls.start(lab, "get", torrent, folder, "--scrape", finding=finding)
        return lambda: " finished downloading" in process.stdout() or " state changed to: seeding" in process.stdout()


class Aria2ThatStays:
    """aria2 says that it has completed only if it goes on to seed, and takes leave
    of its trackers only at Ctrl-C."""
    goodbye = signal.SIGINT

    @classmethod
    def get(cls, lab, torrent, folder, finding=clients.TRACKER_ONLY):
        cls.start(lab, torrent, folder, "--seed-ratio=0", finding=finding)
        return lambda: True  # its files tell


class Aria2(Aria2ThatStays, clients.Aria2):
    pass


class Aria2WithUDP(Aria2ThatStays, clients.Aria2WithUDP):
    pass


class TransmissionThatStays(clients.Transmission):
    """Transmission aborts its goodbye over HTTP when it ends: the torrent is to
    stop before."""

    @classmethod
    def get(cls, lab, torrent, folder, finding=clients.TRACKER_ONLY):
        return cls(lab, torrent, folder, finding)

    def __call__(self):
        return self.is_complete()

    def leave(self):
        self.call("torrent-stop")


def ask(url):
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        return response.read()


class Tracker:
    """Shoal's tracker, with the data of one torrent that Shoal seeds."""

    def __init__(self, lab, scheme):
        self.lab, self.scheme = lab, scheme
        self.path = lab.path("data", "payload.bin")
        folder.make_file(self.path, 2 * folder.MIB)
        self.want = folder.hashes(self.path)
        self.torrent = clients.create(lab, self.path, scheme=scheme)
        clients.ShoalTracker.start(lab, self.torrent)

    def is_whole(self, path):
        return os.path.exists(path) and folder.hashes(path) == self.want

    def ask(self, path):
        return ask(f"http://{self.lab.tracker_address}:{clients.TRACKER_PORT}{path}")

    def stats(self):
        return json.loads(self.ask("/stats"))

    def counts(self):
        """Returns how many seeds and leechers there are."""
        stats = self.stats()
        return stats["seeds"], stats["leechers"]

    def downloads(self):
        """Returns how many downloads were completed."""
        query = urllib.parse.quote(bytes.fromhex(clients.info_hash(self.torrent)))
        body = self.ask(f"/scrape?info_hash={query}")
        return int(body.split(b"10:downloadedi")[1].split(b"e")[0])

    def wait_for(self, counts, what):
        self.lab.wait_until(lambda: self.counts() == counts, f"{what}: {counts[0]} seeds and {counts[1]} leechers")

    def check_scheme(self):
        """Nobody came by another way than the torrent's."""
        by_udp = self.stats()["udp_connects"] > 0
        check(by_udp == (self.scheme == "udp"), f"asked over UDP: {by_udp}")


def announce(lab, client, scheme, scrapes=True, completes=True):
    """A client downloads from Shoal, scrapes if it ever does, and leaves."""
    tracker = Tracker(lab, scheme)
    seed = clients.Shoal.seed(lab, tracker.torrent, tracker.path)
    tracker.wait_for((1, 0), "Shoal seeds")
    num_scrapes, num_processes = tracker.stats()["scrapes"], len(lab.processes)
    target = lab.make_folder("to")
    is_done = client.get(lab, tracker.torrent, target)
    lab.wait_until(lambda: is_done() and tracker.is_whole(os.path.join(target, "payload.bin")), "the download is complete")
    if scrapes:
        lab.wait_until(lambda: tracker.stats()["scrapes"] > num_scrapes, "a scrape")
    if completes:
        tracker.wait_for((2, 0), f"{client.name} has completed")
        lab.wait_until(lambda: tracker.downloads() == 1, "one download is completed")
    if hasattr(is_done, "leave"):
        is_done.leave()
        tracker.wait_for((1, 0), f"{client.name} has stopped")
    for process in lab.processes[num_processes:]:
        process.stop(client.goodbye)
    tracker.wait_for((1, 0), f"{client.name} is gone")
    seed.stop(signal.SIGINT)
    tracker.wait_for((0, 0), "Shoal is gone")
    check(tracker.downloads() == completes, f"{tracker.downloads()} downloads are counted, of one")
    tracker.check_scheme()
    return f"{tracker.stats()['announces']} announces"


def npm(lab, scheme):
    """npm's client does what it is told, step by step; its answers are compared,
    too."""
    tracker = Tracker(lab, scheme)
    process = lab.start("npm", "node", os.path.join(os.path.dirname(__file__), "npm_client.mjs"), runner.NPM_TRACKER,
                        clients.tracker_url(lab, scheme), clients.info_hash(tracker.torrent), clients.PORT)
    lab.wait_until(process.json, "npm's client is ready")
    other = urllib.parse.quote(bytes.fromhex(clients.info_hash(tracker.torrent)))
    tracker.ask(f"/announce?info_hash={other}&peer_id=-SH0000-otherother12&port=77&left=5&event=started")
    for what, counts, downloads in (("start", (0, 2), 0), ("complete", (1, 1), 1), ("scrape", (1, 1), 1), ("stop", (0, 1), 1)):
        process.popen.send_signal(signal.SIGUSR2)
        answer = lab.wait_until(lambda: next((a for a in process.json() if a["what"] == what), None), f"npm's client: {what}")
        check((answer["complete"], answer["incomplete"]) == counts, f"{what}: {answer}, not {counts}")
        check(what != "scrape" or answer["downloaded"] == downloads, f"{what}: {answer}, not {downloads} downloads")
        tracker.wait_for(counts, what)
        check(tracker.downloads() == downloads, f"{what}: {tracker.downloads()} downloads, not {downloads}")
    check(process.wait() == 0, "npm's client failed")
    found = [a["address"] for a in process.json() if a["what"] == "peer"]
    check(any(address.endswith(":77") for address in found), f"it found {found}, and not port 77")
    tracker.check_scheme()


class PrivateTracker:
    """Shoal's private tracker with one torrent, and users whose sums it tells."""

    def __init__(self, lab):
        self.lab, self.db = lab, lab.path("tracker.db")
        path = lab.path("data", "payload.bin")
        self.length = 2 * folder.MIB
        folder.make_file(path, self.length)
        self.run("init", "--url", clients.tracker_url(lab).removesuffix("/announce"))
        added = self.run("torrent", "add", "--json", clients.create(lab, path))
        self.info_hash = json.loads(added)["info_hash"]
        self.process = lab.shoal("tracker", "run", "--private", "--db", self.db, "--http",
                                 f"{lab.tracker_address}:{clients.TRACKER_PORT}")
        clients.wait_for_port(lab, self.process, lab.tracker_address, clients.TRACKER_PORT)

    def run(self, *arguments):
        process = self.lab.shoal("tracker", *arguments, "--db", self.db)
        check(process.wait() == 0, f"shoal tracker {' '.join(arguments)} failed")
        return process.stdout()

    def add_user(self, name):
        """Returns the torrent of a new user, and the UDP form of its announce URL."""
        self.run("user", "add", name)
        torrent = self.lab.path(name + ".torrent")
        self.run("torrent", "get", self.info_hash, "--user", name, "-o", torrent)
        import libtorrent  # of Debian
        url = next(iter(libtorrent.torrent_info(torrent).trackers())).url
        self.lab.wait_until(lambda: b"failure" not in ask(url.replace("/announce", "/scrape?info_hash=" + "a" * 20)), f"{name}'s key is known")
        return torrent, url.replace("http://", "udp://")

    def user(self, name):
        return json.loads(self.run("user", "show", name, "--json"))


def keys_over_udp(lab, path_or_query):
    """libtorrent sends the path and the query of a udp:// URL (BEP 41), and so the
    user's key. What its users moved is counted, and nothing of who has another
    key."""
    tracker = PrivateTracker(lab)
    started = {}
    for name in ("anna", "berta", "carla"):
        torrent, url = tracker.add_user(name)
        key = url.split("/")[3]
        if path_or_query == "query":
            url = url.replace(f"/{key}/announce", f"/announce?key={key}")
        if name == "carla":
            url = url.replace(key, "0" * len(key))
        started[name] = (torrent, url)

    def start(name, what, target):
        torrent, url = started[name]
        return clients.Libtorrent.start(lab, what, torrent, target, "--scrape", "--tracker", url, finding=clients.TRACKER_ONLY)
    seed = start("anna", "seed", lab.path("data"))
    lab.wait_until(lambda: "resumed" in seed.stdout(), "libtorrent seeds")
    leecher = start("berta", "get", lab.make_folder("to-berta"))
    lab.wait_until(lambda: "finished downloading" in leecher.stdout(), "the download is complete")
    stranger = start("carla", "get", lab.make_folder("to-carla"))
    # It leaves out the text of an error over UDP.
    lab.wait_until(lambda: "tracker sent a failure message" in stranger.stdout(), "the unknown key is refused")
    for process in (leecher, seed, stranger):
        process.stop()
    lab.wait_until(lambda: tracker.user("berta")["downloaded"] == tracker.length, "the download is counted")
    lab.wait_until(lambda: tracker.user("anna")["uploaded"] == tracker.length, "the upload is counted")
    check(tracker.user("berta")["snatches"] == 1, f"berta: {tracker.user('berta')}")
    check(tracker.user("carla")["downloaded"] == 0, f"carla: {tracker.user('carla')}")
    words = tracker.process.stdout() + tracker.process.stderr()
    for name, (_, url) in started.items():
        key = re.search("[0-9a-f]{32}", url)[0]
        check(key not in words, f"the tracker prints the key of {name}")


def over(scheme, client, scrapes=True, completes=True):
    events = ", ".join(["announces", *["scrapes"] * scrapes, *["completes"] * completes])
    return Scenario(f"{client.name} {events} and stops over {scheme}", announce, client, scheme, scrapes, completes,
                    programs=(*client.programs, "libtorrent"))


# aria2 never scrapes, and Transmission only if announces tell less than a scrape,
# as those over UDP do. rtorrent 0.9.8 scrapes only when a user asks for it at its
# keyboard, and keeps "completed" for its next announce, ten minutes later at the
# earliest.
SCENARIOS = [
    over("http", Aria2, scrapes=False), over("udp", Aria2WithUDP, scrapes=False),
    over("http", TransmissionThatStays, scrapes=False), over("udp", TransmissionThatStays),
    over("http", LibtorrentThatScrapes), over("udp", LibtorrentThatScrapes),
    over("http", clients.Rtorrent, scrapes=False, completes=False), over("udp", clients.Rtorrent, scrapes=False, completes=False),
    *(Scenario(f"npm's client announces, scrapes, completes and stops over {scheme}",
               npm, scheme, programs=("node", "bittorrent-tracker", "libtorrent")) for scheme in ("http", "udp")),
    *(Scenario(f"libtorrent on a private tracker over UDP, its key in the {where} (BEP 41)", keys_over_udp, where,
               programs=("libtorrent",)) for where in ("path", "query")),
]
