"""How Shoal and the clients and trackers of others are started.

Every client uses one address of the lab and nothing but the torrent's trackers:
DHT, peer exchange, local discovery and port mapping are off. Each has two
functions: seed starts to upload the data below `parent`, and get starts to
download into `folder` and returns a function that says whether it is done.
"""
import json
import os
import re
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request

from swarm.lab import check

PORT = 7000  # of every client, each at its own address
TRACKER_PORT = 6969


def tracker_url(lab, scheme="http"):
    return f"{scheme}://{lab.tracker_address}:{TRACKER_PORT}/announce"


def create(lab, data, *flags, scheme="http"):
    """Makes a torrent with Shoal, with the lab's tracker in it."""
    torrent = lab.path("made.torrent")
    process = lab.shoal("create", "--announce", tracker_url(lab, scheme), *flags, "-o", torrent, data)
    check(process.wait() == 0, "shoal create failed")
    return torrent


def is_done(process):
    """Whether a client that ends with the download is done."""
    if not process.has_ended():
        return False
    check(process.wait() == 0, f"{process.name} ended with {process.wait()}")
    return True


class Client:
    """What is true of most."""
    makes_empty_files = True
    programs = ()


class Shoal(Client):
    name = "Shoal"

    @staticmethod
    def seed(lab, torrent, parent, *flags):
        return lab.shoal("seed", "--bind", lab.address(), "--port", PORT, "--json", *flags, torrent, parent)

    @staticmethod
    def get(lab, torrent, folder, *flags):
        process = lab.shoal("get", "--bind", lab.address(), "--port", PORT, "--json", *flags, "-o", folder, torrent)
        return lambda: is_done(process)


class Aria2(Client):
    name = "aria2"
    programs = ("aria2c",)

    @classmethod
    def start(cls, lab, torrent, folder, *flags):
        return lab.start("aria2", "aria2c", "--no-conf", "--enable-dht=false", "--enable-dht6=false",
                         "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--file-allocation=none",
                         f"--interface={lab.address()}", f"--listen-port={PORT}", f"--dir={folder}", *flags, torrent)

    @classmethod
    def seed(cls, lab, torrent, parent):
        return cls.start(lab, torrent, parent, "--bt-seed-unverified=true", "--seed-ratio=0")

    @classmethod
    def get(cls, lab, torrent, folder):
        process = cls.start(lab, torrent, folder, "--seed-time=0")
        return lambda: is_done(process)


class Aria2WithUDP(Aria2):
    """aria2 asks UDP trackers only with its DHT, which finds no other node here."""

    @classmethod
    def start(cls, lab, torrent, folder, *flags):
        return super().start(lab, torrent, folder, "--enable-dht=true", f"--dht-listen-port={PORT}",
                             f"--dht-file-path={lab.path('aria2.dht')}", *flags)


class Libtorrent(Client):
    name = "libtorrent"
    programs = ("libtorrent",)
    SCRIPT = os.path.join(os.path.dirname(__file__), "libtorrent_client.py")

    @classmethod
    def start(cls, lab, what, torrent, folder):
        return lab.start("libtorrent", sys.executable, cls.SCRIPT, what, torrent, folder, f"{lab.address()}:{PORT}")

    @classmethod
    def seed(cls, lab, torrent, parent):
        return cls.start(lab, "seed", torrent, parent)

    @classmethod
    def get(cls, lab, torrent, folder):
        process = cls.start(lab, "get", torrent, folder)
        return lambda: is_done(process)


class Transmission(Client):
    """A daemon, that is told by its RPC what to do."""
    name = "Transmission"
    makes_empty_files = False  # version 3.00 of Debian 12
    programs = ("transmission-daemon",)
    RPC_PORT = 9091

    def __init__(self, lab, torrent, folder):
        self.address = lab.address()
        self.session = ""  # the token against cross-site requests that it demands
        settings = {
            "bind-address-ipv4": self.address, "bind-address-ipv6": "::1", "peer-port": PORT,
            "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False, "utp-enabled": False,
            "port-forwarding-enabled": False, "download-dir": folder, "rename-partial-files": False,
            "rpc-enabled": True, "rpc-bind-address": self.address, "rpc-port": self.RPC_PORT,
            "rpc-whitelist-enabled": False, "rpc-host-whitelist-enabled": False,
        }
        configuration = lab.make_folder(f"transmission-{self.address}")
        with open(os.path.join(configuration, "settings.json"), "w", encoding="utf-8") as file:
            json.dump(settings, file)
        self.process = lab.start("transmission", "transmission-daemon", "--foreground", "--config-dir", configuration)
        wait_for_port(lab, self.process, self.address, self.RPC_PORT)
        self.call("torrent-add", filename=torrent)

    def call(self, method, **arguments):
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        request = urllib.request.Request(f"http://{self.address}:{self.RPC_PORT}/transmission/rpc", body,
                                         {"X-Transmission-Session-Id": self.session})
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                reply = json.load(response)
        except urllib.error.HTTPError as error:
            if error.code != 409:  # the first call is to fetch the token
                raise
            self.session = error.headers["X-Transmission-Session-Id"]
            return self.call(method, **arguments)
        check(reply["result"] == "success", f"transmission: {method}: {reply['result']}")
        return reply["arguments"]

    def is_complete(self):
        torrent = self.call("torrent-get", fields=["error", "errorString", "leftUntilDone", "status", "percentDone"])["torrents"][0]
        check(torrent["error"] != 3, f"transmission: {torrent['errorString']}")  # 3: a local error
        seeding = 6
        if torrent["leftUntilDone"] or torrent["percentDone"] < 1 or torrent["status"] != seeding:
            return False
        self.process.stop()  # it writes what it has in memory
        return True

    @classmethod
    def seed(cls, lab, torrent, parent):
        return cls(lab, torrent, parent).process

    @classmethod
    def get(cls, lab, torrent, folder):
        return cls(lab, torrent, folder).is_complete


class Rtorrent(Client):
    name = "rtorrent"
    programs = ("rtorrent",)

    @staticmethod
    def start(lab, torrent, folder):
        """Returns the path of the file that it makes when the download is complete."""
        address = lab.address()
        session = lab.make_folder(f"rtorrent-{address}")
        configuration, mark = os.path.join(session, "rc"), os.path.join(session, "done")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(f"""system.daemon.set = true
dht.mode.set = disable
protocol.pex.set = no
method.set_key = event.download.finished,mark,"execute=touch,{mark}"
""")
        lab.start("rtorrent", "rtorrent", "-n", "-o", f"import={configuration}", "-d", folder, "-s", session,
                  "-b", address, "-p", f"{PORT}-{PORT}", torrent)
        return mark

    @classmethod
    def seed(cls, lab, torrent, parent):
        cls.start(lab, torrent, parent)

    @classmethod
    def get(cls, lab, torrent, folder):
        mark = cls.start(lab, torrent, folder)
        return lambda: os.path.exists(mark)


class ShoalTracker:
    name = "Shoal's tracker"
    programs = ()

    @staticmethod
    def start(lab, torrent):
        process = lab.shoal("tracker", "run", "--open", "--http", f"{lab.tracker_address}:{TRACKER_PORT}")
        wait_for_port(lab, process, lab.tracker_address, TRACKER_PORT)


class Opentracker:
    """Debian's only knows the info-hashes of a list, and does not run as root."""
    name = "opentracker"
    programs = ("opentracker",)

    @staticmethod
    def start(lab, torrent):
        folder = lab.make_folder("opentracker")
        os.chmod(folder, 0o755)
        whitelist = os.path.join(folder, "whitelist")
        with open(whitelist, "w", encoding="ascii") as file:
            file.write(info_hash(torrent) + "\n")
        os.chmod(whitelist, 0o644)
        process = lab.start("opentracker", "opentracker", "-i", lab.tracker_address, "-p", TRACKER_PORT, "-P", TRACKER_PORT,
                            "-d", folder, "-u", "nobody", "-w", "whitelist")
        wait_for_port(lab, process, lab.tracker_address, TRACKER_PORT)


def wait_for_port(lab, process, address, port):
    """Waits until a process takes connections."""
    def answers():
        check(not process.has_ended(), f"{process.name} ended before it listened")
        try:
            socket.create_connection((address, port), timeout=5).close()
            return True
        except OSError:
            return False
    lab.wait_until(answers, f"{process.name} listens on port {port}")


def info_hash(torrent):
    """Returns the info-hash of a .torrent, as another client than Shoal finds it."""
    import libtorrent  # of Debian; only this needs it here
    return str(libtorrent.torrent_info(torrent).info_hash())


def scrape(lab, torrent):
    """Returns how many seeds and how many others the tracker knows."""
    query = urllib.parse.quote(bytes.fromhex(info_hash(torrent)))
    with urllib.request.urlopen(f"http://{lab.tracker_address}:{TRACKER_PORT}/scrape?info_hash={query}", timeout=20) as response:
        body = response.read()
    numbers = [re.search(rb"%d:%si(\d+)e" % (len(key), key), body) for key in (b"complete", b"incomplete")]
    return tuple(int(number[1]) if number else 0 for number in numbers)


def wait_for_seeds(lab, torrent, n):
    """Waits until n seeds are announced."""
    lab.wait_until(lambda: scrape(lab, torrent)[0] >= n, f"the tracker knows {n} seeds")
