"""Peer exchange (BEP 11), and private torrents, which use neither it nor the DHT
(BEP 27)."""
import contextlib
import signal
import socket
import struct

from swarm import clients
from swarm.clients import Finding
from swarm.lab import TIMEOUT, check
from swarm.magnets import Data, Download, wait_for_all
from swarm.runner import Scenario

# What the peer in the middle downloads a second: so little that whoever gets
# all of the data has it from another.
MIDDLE_RATE = 32 << 10
EXTENDED = 20  # the id of extension messages (BEP 10)


def slow_leecher(lab, client, data, known, address):
    """Starts a client that knows the address of one peer, and has little data."""
    rate = ("--down", str(MIDDLE_RATE)) if client is clients.Libtorrent else ("--down", f"{MIDDLE_RATE >> 10}KiB/s")
    link = clients.magnet(data.torrent, peer=known)
    return Download(lab, client, data, link, *rate, finding=Finding(pex=True, address=address))


def found_by_pex(lab, middle, leecher):
    """The leecher knows the one in the middle, which knows the seed. The seed
    itself exchanges nothing, so that the connection is the leecher's."""
    data, seed_address, middle_address = Data(lab), lab.address(), lab.address()
    seed = clients.Shoal.seed(lab, data.torrent, data.parent, finding=Finding(address=seed_address))
    clients.wait_for_port(lab, seed, seed_address, clients.PORT)
    between = slow_leecher(lab, middle, data, clients.host_port(seed_address), middle_address)
    lab.wait_until(lambda: between.is_over() or between.first, "the one in the middle has the metadata")
    link = clients.magnet(data.torrent, peer=clients.host_port(middle_address))
    figures = wait_for_all(lab, [Download(lab, leecher, data, link, finding=Finding(pex=True))])
    check(not between.is_over(), "the one in the middle has all of the data, so nothing is shown")
    seed.stop(signal.SIGINT)
    uploaded = seed.json()[-1]["uploaded"]
    check(uploaded > data.length * 3 // 4, f"the seed sent {uploaded} bytes, so the leecher has not found it")
    return f"{figures}; {uploaded / data.length:.2f} copies from the seed"


class Listener:
    """A socket in place of a DHT node: it counts the packets that come."""

    def __init__(self, lab):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((lab.address(), clients.PORT))
        self.socket.setblocking(False)
        self.address = clients.host_port(self.socket.getsockname()[0])
        self.num_packets = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def count(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(1 << 16)
                self.num_packets += 1
        return self.num_packets


def greet(address, info_hash):
    """Connects to a peer as one that has all extensions. Returns its reserved
    bytes and the names of the extensions that it offers."""
    import libtorrent  # for its decoder
    with socket.create_connection((address, clients.PORT), timeout=TIMEOUT) as connection, connection.makefile("rb") as file:
        connection.sendall(b"\x13BitTorrent protocol" + struct.pack(">Q", 1 << 20 | 1) + bytes.fromhex(info_hash)
                           + b"-XX0001-interop-test")
        reserved = file.read(68)[20:28]
        while True:
            length, = struct.unpack(">I", file.read(4))
            message = file.read(length)
            if message[:2] == bytes([EXTENDED, 0]):
                return reserved, set(libtorrent.bdecode(message[2:])[b"m"])


def private(lab):
    """A private torrent is downloaded, by its tracker, and nothing is sent to the
    DHT, no address exchanged. The same of a public torrent shows that the means
    by which that is seen are good for it."""
    data = Data(lab)
    clients.ShoalTracker.start(lab, data.torrent)
    for is_private in (False, True):
        torrent = clients.create(lab, data.path, *(["--private"] if is_private else []))
        with Listener(lab) as node:
            seed_address = lab.address()
            finding = Finding(dht=node.address, pex=True, address=seed_address)
            seed = clients.Shoal.seed(lab, torrent, data.parent, finding=finding)
            clients.wait_for_seeds(lab, torrent, 1)
            leecher = Download(lab, clients.Shoal, data, torrent, finding=Finding(dht=node.address, pex=True))
            wait_for_all(lab, [leecher])
            reserved, extensions = greet(seed_address, clients.info_hash(torrent))
            seed.stop(signal.SIGINT)
            seen = (node.count() > 0, reserved[7] & 1 == 1, b"ut_pex" in extensions)
        check(seen == (not is_private,) * 3,
              f"{'private' if is_private else 'public'}: packets to the DHT, DHT bit, peer exchange: {seen}")


def private_beside_public(lab):
    """One process seeds both; in its DHT only one of them is found."""
    data = Data(lab)
    public = data.torrent
    hidden = clients.create(lab, data.path, "--private", scheme="")
    nodes = [clients.host_port(lab.address()) for _ in range(4)]
    for i, node in enumerate(nodes):
        lab.shoal("dht", "run", "--addr", node, "--bootstrap", nodes[i - 1], "--interval", "1h")
    address = lab.address()
    lab.shoal("seed", "--bind", address, "--port", clients.PORT, "--json", "--dht-bootstrap", nodes[0],
              hidden, data.path, public, data.path)
    own = lab.address()

    def found(torrent):
        process = lab.shoal("dht", "get-peers", "--json", "--addr", own, "--bootstrap", nodes[1], clients.info_hash(torrent))
        return process.wait() == 0
    lab.wait_until(lambda: found(public), "the public torrent is announced")
    check(not found(hidden), "the private torrent is announced")


PAIRS = [(clients.Libtorrent, clients.Shoal), (clients.Shoal, clients.Libtorrent), (clients.Shoal, clients.Shoal)]

SCENARIOS = [
    *(Scenario(f"peer exchange: {leecher.name} finds a seed by {middle.name}", found_by_pex, middle, leecher,
               programs=("libtorrent",)) for middle, leecher in PAIRS),
    Scenario("private: neither DHT nor peer exchange", private, programs=("libtorrent",)),
    Scenario("private: beside a public torrent", private_beside_public, programs=("libtorrent",)),
]
