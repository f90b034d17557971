"""How Shoal and the clients and trackers of others are started.

Every client uses one address of the lab. Each has two functions: seed starts to
upload the data below `parent`, and get starts to download into `folder` and
returns a function that says whether it is done. What they download is a .torrent
or a magnet link. They find each other by the torrent's trackers only, unless
there is more in `finding`: DHT, peer exchange, local discovery and port mapping
are off.
"""
import dataclasses
import json
import os
import re
import signal
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request

from swarm.lab import TIMEOUT, check

PORT = 7000  # of every client, each at its own address
TRACKER_PORT = 6969


def tracker_url(lab, scheme="http"):
    return f"{scheme}://{lab.tracker_address}:{TRACKER_PORT}/announce"


def create(lab, data, *flags, scheme="http"):
    """Makes a torrent with Shoal, with the lab's tracker in it, or none if scheme
    is ""."""
    torrent = lab.path(f"made-{len(lab.processes)}.torrent")
    announce = ("--announce", tracker_url(lab, scheme)) if scheme else ()
    process = lab.shoal("create", *announce, *flags, "-o", torrent, data)
    check(process.wait() == 0, "shoal create failed")
    return torrent


def magnet(torrent, tracker="", peer=""):
    """Returns a magnet link that names nothing but a torrent's info-hash, and a
    tracker or the address of a peer."""
    link = "magnet:?xt=urn:btih:" + info_hash(torrent)
    if tracker:
        link += "&tr=" + urllib.parse.quote(tracker, safe="")
    if peer:
        link += "&x.pe=" + peer
    return link


@dataclasses.dataclass(frozen=True)
class Finding:
    """How a client may find peers, beside the trackers of the torrent."""
    dht: str = ""       # HOST:PORT of the node through which it joins the DHT; without, it does not
    pex: bool = False   # peer exchange
    address: str = ""   # the client's own; without, it takes one of the lab

    def own_address(self, lab):
        return self.address or lab.address()


TRACKER_ONLY = Finding()


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
    goodbye = signal.SIGTERM  # what has it end and tell its trackers


class Shoal(Client):
    name = "Shoal"

    @staticmethod
    def finding_flags(finding):
        flags = ["--dht-bootstrap", finding.dht] if finding.dht else ["--no-dht"]
        return flags if finding.pex else [*flags, "--no-pex"]

    @classmethod
    def seed(cls, lab, torrent, parent, *flags, finding=TRACKER_ONLY):
        return lab.shoal("seed", "--bind", finding.own_address(lab), "--port", PORT, "--json",
                         *cls.finding_flags(finding), *flags, torrent, parent)

    @classmethod
    def get(cls, lab, torrent, folder, *flags, finding=TRACKER_ONLY):
        process = lab.shoal("get", "--bind", finding.own_address(lab), "--port", PORT, "--json",
                            *cls.finding_flags(finding), *flags, "-o", folder, torrent)
        return lambda: is_done(process)


class Aria2(Client):
    name = "aria2"
    programs = ("aria2c",)

    @classmethod
    def start(cls, lab, torrent, folder, *flags, finding):
        address = finding.own_address(lab)
        dht = ["--enable-dht=false"]
        if finding.dht:
            dht = ["--enable-dht=true", f"--dht-entry-point={finding.dht}", f"--dht-listen-port={PORT}",
                   f"--dht-file-path={lab.path(f'aria2-{address}.dht')}"]
        return lab.start("aria2", "aria2c", "--no-conf", "--enable-dht6=false", "--bt-enable-lpd=false",
                         f"--enable-peer-exchange={str(finding.pex).lower()}", "--file-allocation=none",
                         f"--interface={address}", f"--listen-port={PORT}", f"--dir={folder}", *dht, *flags, torrent)

    @classmethod
    def seed(cls, lab, torrent, parent, finding=TRACKER_ONLY):
        return cls.start(lab, torrent, parent, "--bt-seed-unverified=true", "--seed-ratio=0", finding=finding)

    @classmethod
    def get(cls, lab, torrent, folder, finding=TRACKER_ONLY):
        process = cls.start(lab, torrent, folder, "--seed-time=0", finding=finding)
        return lambda: is_done(process)


class Aria2WithUDP(Aria2):
    """aria2 asks UDP trackers only with its DHT, which finds no other node here."""

    @classmethod
    def start(cls, lab, torrent, folder, *flags, finding):
        return super().start(lab, torrent, folder, "--enable-dht=true", f"--dht-listen-port={PORT}",
                             f"--dht-file-path={lab.path('aria2.dht')}", *flags, finding=finding)


class Libtorrent(Client):
    name = "libtorrent"
    programs = ("libtorrent",)
    SCRIPT = os.path.join(os.path.dirname(__file__), "libtorrent_client.py")

    @classmethod
    def start(cls, lab, what, torrent, folder, *flags, finding):
        flags = [*flags, "--pex"] if finding.pex else [*flags]
        if finding.dht:
            flags += ["--dht", finding.dht]
        return lab.start("libtorrent", sys.executable, cls.SCRIPT, *flags, what, torrent, folder,
                         host_port(finding.own_address(lab)))

    @classmethod
    def seed(cls, lab, torrent, parent, *flags, finding=TRACKER_ONLY):
        process = cls.start(lab, "seed", torrent, parent, *flags, finding=finding)
        lab.wait_until(lambda: " resumed\n" in process.stdout(), "libtorrent seeds")  # it listens before
        return process

    @classmethod
    def get(cls, lab, torrent, folder, *flags, finding=TRACKER_ONLY):
        process = cls.start(lab, "get", torrent, folder, *flags, finding=finding)
        return lambda: is_done(process)


class Transmission(Client):
    """A daemon, that is told by its RPC what to do."""
    name = "Transmission"
    makes_empty_files = False  # version 3.00 of Debian 12
    programs = ("transmission-daemon",)
    RPC_PORT = 9091

    def __init__(self, lab, torrent, folder, finding):
        self.address = finding.own_address(lab)
        self.session = ""  # the token against cross-site requests that it demands
        settings = {
            "bind-address-ipv4": self.address, "bind-address-ipv6": "::1", "peer-port": PORT,
            "dht-enabled": bool(finding.dht), "lpd-enabled": False, "pex-enabled": finding.pex, "utp-enabled": False,
            "port-forwarding-enabled": False, "download-dir": folder, "rename-partial-files": False,
            "rpc-enabled": True, "rpc-bind-address": self.address, "rpc-port": self.RPC_PORT,
            "rpc-whitelist-enabled": False, "rpc-host-whitelist-enabled": False,
        }
        configuration = lab.make_folder(f"transmission-{self.address}")
        with open(os.path.join(configuration, "settings.json"), "w", encoding="utf-8") as file:
            json.dump(settings, file)
        if finding.dht:
            with open(os.path.join(configuration, "dht.bootstrap"), "w", encoding="ascii") as file:
                file.write(finding.dht.replace(":", " ") + "\n")
        self.process = lab.start("transmission", "transmission-daemon", "--foreground", "--config-dir", configuration)
        wait_for_port(lab, self.process, self.address, self.RPC_PORT)
        self.call("torrent-add", filename=torrent)

    def call(self, method, **arguments):
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        request = urllib.request.Request(f"http://{self.address}:{self.RPC_PORT}/transmission/rpc", body,
                                         {"X-Transmission-Session-Id": self.session})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
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
        return not torrent["leftUntilDone"] and torrent["percentDone"] == 1 and torrent["status"] == seeding

    def is_done(self):
        if not self.is_complete():
            return False
        self.process.stop()  # it writes what it has in memory
        return True

    @classmethod
    def seed(cls, lab, torrent, parent, finding=TRACKER_ONLY):
        return cls(lab, torrent, parent, finding).process

    @classmethod
    def get(cls, lab, torrent, folder, finding=TRACKER_ONLY):
        return cls(lab, torrent, folder, finding).is_done


class Rtorrent(Client):
    name = "rtorrent"
    goodbye = signal.SIGINT
    programs = ("rtorrent",)

    @staticmethod
    def start(lab, torrent, folder, finding):
        """Returns the path of the file that it makes when the download is complete."""
        address = finding.own_address(lab)
        session = lab.make_folder(f"rtorrent-{address}")
        configuration, mark = os.path.join(session, "rc"), os.path.join(session, "done")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(f"""system.daemon.set = true
dht.mode.set = disable
protocol.pex.set = {"yes" if finding.pex else "no"}
method.set_key = event.download.finished,mark,"execute=touch,{mark}"
""")
        lab.start("rtorrent", "rtorrent", "-n", "-o", f"import={configuration}", "-d", folder, "-s", session,
                  "-b", address, "-p", f"{PORT}-{PORT}", torrent)
        return mark

    @classmethod
    def seed(cls, lab, torrent, parent, finding=TRACKER_ONLY):
        cls.start(lab, torrent, parent, finding)

    @classmethod
    def get(cls, lab, torrent, folder, finding=TRACKER_ONLY):
        mark = cls.start(lab, torrent, folder, finding)
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


def host_port(address, port=PORT):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


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
    with urllib.request.urlopen(f"http://{lab.tracker_address}:{TRACKER_PORT}/scrape?info_hash={query}", timeout=TIMEOUT) as response:
        body = response.read()
    numbers = [re.search(rb"%d:%si(\d+)e" % (len(key), key), body) for key in (b"complete", b"incomplete")]
    return tuple(int(number[1]) if number else 0 for number in numbers)


def wait_for_seeds(lab, torrent, n):
    """Waits until n seeds are announced."""
    lab.wait_until(lambda: scrape(lab, torrent)[0] >= n, f"the tracker knows {n} seeds")
