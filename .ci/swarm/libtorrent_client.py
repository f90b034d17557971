"""A client made of libtorrent's bindings:

    libtorrent_client.py seed|get TORRENT|MAGNET FOLDER ADDRESS [flags]

ADDRESS is its own, HOST:PORT. get ends when the download is complete; seed goes
on until it is stopped."""
import argparse
import signal
import time

import libtorrent


def new_session(address, alerts, **settings):
    """Returns a session that uses one address, and only what settings turn on.
    alerts are the categories beside errors and changes of status."""
    category = libtorrent.alert.category_t
    return libtorrent.session({
        "listen_interfaces": address, "outgoing_interfaces": address.rsplit(":", 1)[0].strip("[]"),
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "enable_incoming_utp": False, "enable_outgoing_utp": False,
        "alert_mask": category.error_notification | category.status_notification | alerts,
        **settings,
    })


def dht_settings(bootstrap, rate=1000):
    """Returns the settings of a DHT node whose neighbours all have addresses of
    one /24, and ask as much as rate packets a second each."""
    return {
        "enable_dht": True, "dht_bootstrap_nodes": bootstrap,
        "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
        "dht_block_ratelimit": rate, "dht_upload_rate_limit": 1 << 20,
    }


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["seed", "get"])
    parser.add_argument("torrent")
    parser.add_argument("folder")
    parser.add_argument("address")
    parser.add_argument("--dht", metavar="HOST:PORT", help="join the DHT through this node")
    parser.add_argument("--pex", action="store_true", help="exchange peers with others")
    parser.add_argument("--tracker", metavar="URL", help="the only tracker, whatever the torrent names")
    parser.add_argument("--scrape", action="store_true", help="get scrapes, goes on until it is stopped, and tells its tracker")
    parser.add_argument("--down", type=int, default=0, metavar="BYTES/S")
    return parser.parse_args()


def torrent_parameters(arguments):
    if arguments.torrent.startswith("magnet:"):
        parameters = libtorrent.parse_magnet_uri(arguments.torrent)
    else:
        parameters = libtorrent.add_torrent_params()
        parameters.ti = libtorrent.torrent_info(arguments.torrent)
    parameters.save_path = arguments.folder
    parameters.download_limit = arguments.down or -1  # that of the session is not for peers in our own network
    if not arguments.pex:
        parameters.flags |= libtorrent.torrent_flags.disable_pex
    if arguments.what == "seed":
        parameters.flags |= libtorrent.torrent_flags.seed_mode
    return parameters


def main():
    arguments = parse_arguments()
    settings = dht_settings(arguments.dht) if arguments.dht else {}
    category = libtorrent.alert.category_t
    session = new_session(arguments.address, category.dht_notification | category.tracker_notification, **settings)
    handle = session.add_torrent(torrent_parameters(arguments))
    if arguments.tracker:
        handle.replace_trackers([{"url": arguments.tracker, "tier": 0}])
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    written = False
    while not stopping and (arguments.what == "seed" or arguments.scrape or not written):
        session.wait_for_alert(200)
        for alert in session.pop_alerts():
            print(alert, flush=True)
            if isinstance(alert, libtorrent.dht_bootstrap_alert):
                handle.force_dht_announce()  # it came too early for the torrent's first
            elif isinstance(alert, libtorrent.torrent_finished_alert):
                handle.flush_cache()
                if arguments.scrape:
                    handle.scrape_tracker()
            elif isinstance(alert, libtorrent.cache_flushed_alert):
                written = handle.status().is_finished

    if arguments.scrape:
        take_leave(session, handle)


def take_leave(session, handle):
    """Has the torrent's trackers told that it stops. The end of the process alone
    does not wait for that."""
    handle.unset_flags(libtorrent.torrent_flags.auto_managed)
    handle.pause()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        session.wait_for_alert(200)
        if any(isinstance(alert, libtorrent.tracker_reply_alert) for alert in session.pop_alerts()):
            return


if __name__ == "__main__":
    main()
