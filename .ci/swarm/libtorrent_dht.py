"""DHT nodes made of libtorrent's bindings, each at an address HOST:PORT:

    libtorrent_dht.py run ADDRESS...                many nodes, that know each other
    libtorrent_dht.py publish ADDRESS NODE ...      one, that joins through NODE, stores and announces
    libtorrent_dht.py find ADDRESS NODE ...         one, that joins through NODE and looks things up

The arguments are those of the functions. Each prints JSON when it has done its
work; run and publish go on until they are stopped. Whoever starts them limits
the time."""
import hashlib
import json
import random
import sys
import time

import libtorrent

from libtorrent_client import dht_settings, new_session

# A node of libtorrent learns of others slowly from those who ask it: it pings
# one of them every 5 s. So each is told of some, and finds the rest by them.
NUM_TOLD = 12
JOINED = 8  # nodes in a table: as many as a lookup ends with


def host_and_port(address):
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


def run(*addresses):
    nodes = [new_session(address, 0, aio_threads=1, hashing_threads=1, **dht_settings("")) for address in addresses]
    rng = random.Random(1)
    for node in nodes:
        for address in rng.sample(addresses, min(NUM_TOLD, len(addresses))):
            node.add_dht_node(host_and_port(address))
    while min(map(num_known, nodes)) < min(JOINED, len(nodes) - 1):
        time.sleep(0.1)
    tell(joined=len(nodes))
    go_on(nodes)


def go_on(nodes):
    """Lets nodes live, which they do in threads of their own."""
    while True:
        time.sleep(1)
        for node in nodes:
            node.pop_alerts()


def num_known(node):
    """How many nodes a node has in its table."""
    node.post_session_stats()
    return wait(node, libtorrent.session_stats_alert).values["dht.dht_nodes"]


def wait(session, kind):
    """Returns the next alert of a kind, and drops those before it. It is valid
    until the next call."""
    while True:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            if isinstance(alert, kind):
                return alert


def join(address, bootstrap):
    """Returns a node that has joined. It is read-only (BEP 43): nobody is to
    remember it, and to wait for it when it has ended."""
    category = libtorrent.alert.category_t
    session = new_session(address, category.dht_notification | category.dht_operation_notification,
                          dht_read_only=True, **dht_settings(bootstrap))
    while num_known(session) < JOINED:  # an alert tells it only when the slowest of all has answered
        time.sleep(0.02)
    return session


def publish(address, bootstrap, info_hash, value, seed, public_key, salt):
    """seed is that of an ed25519 key (RFC 8032, section 5.1.5)."""
    session = join(address, bootstrap)
    session.add_torrent(magnet_parameters(info_hash))  # it announces the session's port
    target = session.dht_put_immutable_item(value)
    stored = wait(session, libtorrent.dht_put_alert).num_success
    private_key = bytearray(hashlib.sha512(bytes.fromhex(seed)).digest())
    private_key[0] &= 248
    private_key[31] = private_key[31] & 127 | 64
    session.dht_put_mutable_item(bytes(private_key), bytes.fromhex(public_key), value, salt)
    mutable = wait(session, libtorrent.dht_put_alert)
    tell(target=str(target), stored=stored, mutable_seq=mutable.seq, mutable_stored=mutable.num_success)
    go_on([session])


def magnet_parameters(info_hash):
    parameters = libtorrent.parse_magnet_uri("magnet:?xt=urn:btih:" + info_hash)
    parameters.save_path = "."
    return parameters


def find(address, bootstrap, info_hash, target, public_key, salt):
    session, found = join(address, bootstrap), {}
    session.dht_get_peers(sha1_hash(info_hash))
    alert = wait(session, libtorrent.dht_get_peers_reply_alert)
    found["peers"] = [f"{host}:{port}" for host, port in alert.peers()]
    session.dht_get_immutable_item(sha1_hash(target))
    alert = wait(session, libtorrent.dht_immutable_item_alert)
    found["value"] = alert.item["value"].decode()
    session.dht_get_mutable_item(bytes.fromhex(public_key), salt)
    alert = wait(session, libtorrent.dht_mutable_item_alert)
    found["mutable_value"], found["mutable_seq"] = alert.item["value"].decode(), alert.seq
    session.dht_sample_infohashes(host_and_port(bootstrap), sha1_hash(info_hash))
    alert = wait(session, libtorrent.dht_sample_infohashes_alert)
    found["samples"], found["num_info_hashes"] = [str(sample) for sample in alert.samples], alert.num_infohashes
    tell(**found)


def sha1_hash(digits):
    return libtorrent.sha1_hash(bytes.fromhex(digits))


def tell(**what):
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    {"run": run, "publish": publish, "find": find}[sys.argv[1]](*sys.argv[2:])
