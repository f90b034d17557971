"""Web seeds (BEP 19): nginx has the data, and no peer does."""
import os

from swarm import clients, folder
from swarm.lab import check
from swarm.runner import Scenario

SIZES = {"small.txt": 5, "a name with spaces & %41.bin": 3 * folder.MIB + 17, "sub/large.bin": 20 * folder.MIB + 1}
PORT = 8080


def serve(lab):
    """Has nginx serve a folder. Returns its URL and the path of its log."""
    address, root, log = lab.address(), lab.make_folder("www"), lab.path("access.log")
    config = lab.path("nginx.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"""daemon off; master_process off; pid {lab.path("nginx.pid")}; error_log stderr;
events {{}}
http {{
    log_format asked '$status $body_bytes_sent $http_user_agent'; access_log {log} asked;
    client_body_temp_path {lab.path("t1")}; proxy_temp_path {lab.path("t2")};
    fastcgi_temp_path {lab.path("t3")}; uwsgi_temp_path {lab.path("t4")}; scgi_temp_path {lab.path("t5")};
    server {{ listen {address}:{PORT}; root {root}; }}
}}
""")
    nginx = lab.start("nginx", "nginx", "-c", config, "-p", lab.folder)
    clients.wait_for_port(lab, nginx, address, PORT)
    return f"http://{address}:{PORT}/", root, log


def web_seed(lab, client, make):
    """The torrent is made by shoal create --web-seed, and names no tracker."""
    url, root, log = serve(lab)
    data = os.path.join(root, "data")
    make(data)
    want = folder.hashes(data)
    torrent = clients.create(lab, data, "--web-seed", url, scheme="")
    target = lab.make_folder("target")
    lab.wait_until(client.get(lab, torrent, target), f"{client.name} has all from the web seed")
    folder.check_same(os.path.join(target, "data"), want)
    with open(log, encoding="utf-8") as file:
        asked = [line.split(" ", 2) for line in file]
    sent = sum(int(length) for _, length, _ in asked)
    length = sum(os.path.getsize(os.path.join(parent, name)) for parent, _, names in os.walk(root) for name in names)
    check(sent >= length, f"nginx sent {sent} bytes of {length}")
    return f"{len(asked)} requests, {sent / length:.3f} copies"


def files(path):
    for seed, (name, size) in enumerate(SIZES.items()):
        folder.write_random(os.path.join(path, name), size, seed)


def one_file(path):
    folder.make_file(path, 30 * folder.MIB + 5)


SCENARIOS = [
    Scenario(f"web seed: {client.name} gets {words} from nginx", web_seed, client, make, programs=("nginx", *client.programs))
    for client in (clients.Shoal, clients.Aria2, clients.Libtorrent)
    for words, make in (("one file", one_file), ("a folder", files))
]
