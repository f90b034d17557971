"""A client made of libtorrent's bindings: seed|get TORRENT FOLDER ADDRESS:PORT.

get ends when the download is complete; seed goes on until it is stopped."""
import sys

import libtorrent

what, torrent, folder, address = sys.argv[1:]
session = libtorrent.session({
    "listen_interfaces": address, "outgoing_interfaces": address.split(":")[0],
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_incoming_utp": False, "enable_outgoing_utp": False,
    "alert_mask": libtorrent.alert.category_t.error_notification | libtorrent.alert.category_t.status_notification,
})
parameters = libtorrent.add_torrent_params()
parameters.ti = libtorrent.torrent_info(torrent)
parameters.save_path = folder
parameters.flags |= libtorrent.torrent_flags.disable_pex
if what == "seed":
    parameters.flags |= libtorrent.torrent_flags.seed_mode
handle = session.add_torrent(parameters)

written = False
while not (what == "get" and written):
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        print(alert, flush=True)
        if isinstance(alert, libtorrent.torrent_finished_alert):
            handle.flush_cache()
        elif isinstance(alert, libtorrent.cache_flushed_alert):
            written = handle.status().is_finished
