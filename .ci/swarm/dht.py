"""The DHT: nodes of Shoal and of others in one network.

Each network has 50 nodes, of which a client or a command knows one."""
import contextlib
import os
import sys
import time

from swarm import clients
from swarm.clients import Finding
from swarm.lab import Failed, Lab, check
from swarm.magnets import Data, Download, wait_for_all
from swarm.runner import Scenario

NODES = 50
LIBTORRENT = os.path.join(os.path.dirname(__file__), "libtorrent_dht.py")


class ShoalNetwork:
    """Each node is a process, and all join through the first."""
    name = "Shoal"
    programs = ()

    @staticmethod
    def start(lab, addresses):
        nodes = []
        for i, address in enumerate(addresses):
            # The first has nobody to join through, but must not try the public routers.
            known = addresses[0 if i > 0 else 1]
            nodes.append(lab.shoal("dht", "run", "--addr", address, "--bootstrap", known, "--interval", "1h"))

        def all_joined():
            while nodes and "joined" in nodes[-1].stderr():
                nodes.pop()
            return not nodes
        lab.wait_until(all_joined, "the nodes have joined")


class LibtorrentNetwork:
    """All nodes are in one process."""
    name = "libtorrent"
    programs = ("libtorrent",)

    @staticmethod
    def start(lab, addresses):
        process = lab.start("libtorrent-nodes", sys.executable, LIBTORRENT, "run", *addresses)
        lab.wait_until(process.json, "the nodes have joined")


class Network:
    """A network in a lab. own_address is the lab's method that gives addresses of
    the family that the network has."""

    def __init__(self, lab, kind, own_address):
        self.lab, self.own_address, self.asked = lab, own_address, 0
        self.nodes = [clients.host_port(own_address()) for _ in range(NODES)]
        begin = time.monotonic()
        kind.start(lab, self.nodes)
        self.seconds = time.monotonic() - begin

    def node(self):
        """Returns the address of a node, another one each time."""
        self.asked += 1
        return self.nodes[self.asked * 7 % NODES]

    def finding(self):
        """Returns the finding of a client that has this network only."""
        return Finding(dht=self.node(), address=self.own_address())

    def shoal(self, command, *arguments, joins=True):
        """Runs a command of "shoal dht", and returns what it printed and its exit
        code."""
        known = ("--bootstrap", self.node()) if joins else ()
        process = self.lab.shoal("dht", command, "--json", "--addr", self.own_address(), *known, *arguments)
        code = process.wait()
        check(code in (0, 4), f"shoal dht {command} ended with {code}: {process.stderr()}")
        return process.json(), code

    def wait_for_peer(self, info_hash, **timeout):
        """Waits until a peer is announced, and returns it and a node that knows it."""
        address = self.own_address()

        def found():
            process = self.lab.shoal("dht", "get-peers", "--json", "--addr", address, "--bootstrap", self.node(), info_hash)
            process.wait()
            return [line for line in process.json() if line["type"] == "peer"]
        peer = self.lab.wait_until(found, "the seed is announced", **timeout)[0]
        return peer["peer"], peer["from"]


def magnet_by_dht(lab, kind, seeder, leechers, own_address):
    """A magnet link that names nothing but the info-hash."""
    data = Data(lab)
    network = Network(lab, kind, lambda: own_address(lab))
    begin = time.monotonic()
    finding = network.finding()
    peer = seed_by_dht(lab, network, seeder, data, finding)
    check(peer == clients.host_port(finding.address), f"the peer is {peer}, not the seed")
    announced = time.monotonic() - begin
    link = clients.magnet(data.torrent)
    figures = wait_for_all(lab, [Download(lab, leecher, data, link, finding=network.finding()) for leecher in leechers])
    return f"{NODES} nodes after {network.seconds:.1f} s, announced after {announced:.1f} s; {figures}"


# aria2 asks its entry point once, and again in a quarter of an hour. If that
# packet got late on a busy machine, it is started again, as a user would, who
# waits for so long before.
ARIA2_BEGINS_WITHIN, ARIA2_STARTS = 60, 5


def seed_by_dht(lab, network, seeder, data, finding):
    """Starts a seed, and returns its address as the DHT tells it."""
    for _ in range(ARIA2_STARTS - 1 if seeder is clients.Aria2 else 0):
        process = seeder.seed(lab, data.torrent, data.parent, finding=finding)
        with contextlib.suppress(Failed):
            return network.wait_for_peer(data.info_hash, timeout=ARIA2_BEGINS_WITHIN)[0]
        process.stop()
    seeder.seed(lab, data.torrent, data.parent, finding=finding)
    return network.wait_for_peer(data.info_hash)[0]


class Aria2ByDHT(clients.Aria2):
    """aria2 as a leecher, that is started again while it has found nobody."""

    @classmethod
    def get(cls, lab, torrent, folder, finding=clients.TRACKER_ONLY):
        def start():
            return cls.start(lab, torrent, folder, "--seed-time=0", finding=finding), time.monotonic()
        process, began = start()
        starts = 1

        def is_done():
            nonlocal process, began, starts
            late = time.monotonic() - began > ARIA2_BEGINS_WITHIN and not process.has_ended()
            if late and starts < ARIA2_STARTS and not os.listdir(folder):
                process.stop()
                process, began = start()
                starts += 1
            return clients.is_done(process)
        return is_done


def mutable_magnet(lab, kind):
    """A magnet link that names a key, under which the DHT has the info-hash (BEP 46)."""
    data = Data(lab)
    network = Network(lab, kind, lab.address)
    clients.Shoal.seed(lab, data.torrent, data.parent, finding=network.finding())
    network.wait_for_peer(data.info_hash)
    value = b"d2:ih20:" + bytes.fromhex(data.info_hash) + b"e"
    key = network.shoal("put", "--key-file", lab.path("key"), "--bencode", os.fsdecode(value))[0][0]["key"]
    return wait_for_all(lab, [Download(lab, clients.Shoal, data, f"magnet:?xs=urn:btpk:{key}", finding=network.finding())])


# Arbitrary: of what is stored.
INFO_HASH, ANOTHER = "22" * 20, "33" * 20
SALT = "interop"


def commands(lab, kind):
    """What "shoal dht" stores is found by it and by libtorrent, and the other way
    round, whoever the nodes are."""
    network = Network(lab, kind, lab.address)
    check_nodes(network)
    key_file = lab.path("key")
    key = network.shoal("put", "--key-file", key_file, "--salt", SALT, "first")[0][0]["key"]
    check_found_by_shoal(network, publish_by_libtorrent(network, key, key_file), key)
    target = publish_by_shoal(network, key_file)
    check_found_by_libtorrent(network, target, key)


def check_nodes(network):
    node = network.node()
    ping = network.shoal("ping", "--count", "1", node, joins=False)[0][-1]
    check(ping["answered"] == 1 and ping["id"], f"ping: {ping}")
    closest = network.shoal("find-node", ping["id"])[0][0]["nodes"]
    check(closest[0] == {"id": ping["id"], "addr": node} and len(closest) == 8, f"find-node: {closest}")
    distances = [int(n["id"], 16) ^ int(ping["id"], 16) for n in closest]
    check(distances == sorted(distances), f"find-node: not the closest first: {closest}")
    _, code = network.shoal("get-peers", INFO_HASH)
    check(code == 4, "get-peers finds what nobody has announced")


def publish_by_libtorrent(network, key, key_file):
    """Returns the target of what it stored, and where it announced itself."""
    with open(key_file, encoding="ascii") as file:
        seed = file.read().strip()
    address = clients.host_port(network.own_address())
    process = network.lab.start("libtorrent-publish", sys.executable, LIBTORRENT, "publish", address, network.node(),
                                ANOTHER, "of libtorrent", seed, key, SALT)
    published = network.lab.wait_until(process.json, "libtorrent has stored its values")[0]
    check(published["stored"] > 0 and published["mutable_stored"] > 0, f"libtorrent: {published}")
    check(published["mutable_seq"] == 2, f"libtorrent has not seen the value before its own: {published}")
    return published["target"], address


def check_found_by_shoal(network, published, key):
    target, address = published
    value = network.shoal("get", target)[0][0]
    check(value["text"] == "of libtorrent", f"get: {value}")
    mutable = network.shoal("get", "--key", key, "--salt", SALT)[0][0]
    check(mutable["text"] == "of libtorrent" and mutable["seq"] == 2, f"get --key: {mutable}")
    peer, _ = network.wait_for_peer(ANOTHER)
    check(peer == address, f"get-peers: {peer}, not {address}")


def publish_by_shoal(network, key_file):
    announced = network.shoal("announce", "--port", "1234", "--seed", INFO_HASH)[0][0]
    check(announced["stored"] == 8, f"announce: {announced}")
    scraped = network.shoal("scrape", INFO_HASH)[0][0]
    check((scraped["seeds"], scraped["leechers"]) == (1, 0), f"scrape: {scraped}")
    samples = network.shoal("sample", "--count", "2")[0]
    check({s["info_hash"] for s in samples[:-1]} == {INFO_HASH, ANOTHER}, f"sample: {samples}")
    mutable = network.shoal("put", "--key-file", key_file, "--salt", SALT, "of Shoal")[0][0]
    check(mutable["stored"] == 8 and mutable["seq"] == 3, f"put --key-file: {mutable}")
    value = network.shoal("put", "of Shoal")[0][0]
    check(value["stored"] == 8, f"put: {value}")
    return value["target"]


def check_found_by_libtorrent(network, target, key):
    peer, knowing = network.wait_for_peer(INFO_HASH)
    process = network.lab.start("libtorrent-find", sys.executable, LIBTORRENT, "find",
                                clients.host_port(network.own_address()), knowing, INFO_HASH, target, key, SALT)
    found = network.lab.wait_until(process.json, "libtorrent has found what there is")[0]
    check(found["peers"] == [peer], f"libtorrent: {found}")
    check(found["value"] == found["mutable_value"] == "of Shoal" and found["mutable_seq"] == 3, f"libtorrent: {found}")
    check(INFO_HASH in found["samples"], f"libtorrent: {found}")


def by_dht(kind, seeder, *leechers, own_address=Lab.address):
    family = ", IPv6" if own_address is Lab.address6 else ""
    names = " and ".join(leecher.name for leecher in leechers)
    programs = {"libtorrent", *kind.programs, *seeder.programs}.union(*(leecher.programs for leecher in leechers))
    return Scenario(f"magnet: {seeder.name} -> {names}, by a DHT of {kind.name}{family}",
                    magnet_by_dht, kind, seeder, leechers, own_address, programs=sorted(programs))


SCENARIOS = [
    # The slowest first: Transmission takes a minute or so to find its way.
    by_dht(ShoalNetwork, clients.Shoal, clients.Transmission),
    by_dht(ShoalNetwork, clients.Shoal, clients.Libtorrent, Aria2ByDHT, clients.Shoal),
    by_dht(ShoalNetwork, clients.Shoal, clients.Libtorrent, clients.Shoal, own_address=Lab.address6),
    by_dht(ShoalNetwork, clients.Aria2, clients.Shoal),
    by_dht(LibtorrentNetwork, clients.Libtorrent, clients.Shoal),
    by_dht(LibtorrentNetwork, clients.Libtorrent, clients.Shoal, own_address=Lab.address6),
    Scenario("magnet: Shoal -> Shoal, mutable, by a DHT of libtorrent", mutable_magnet, LibtorrentNetwork,
             programs=("libtorrent",)),
    Scenario("shoal dht and libtorrent's, among nodes of Shoal", commands, ShoalNetwork, programs=("libtorrent",)),
    Scenario("shoal dht and libtorrent's, among nodes of libtorrent", commands, LibtorrentNetwork, programs=("libtorrent",)),
]
