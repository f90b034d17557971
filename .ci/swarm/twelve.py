"""The swarm that the project holds itself to: one seed, twelve downloaders."""
import os
import signal
import time

from swarm import clients, folder
from swarm.lab import check
from swarm.runner import Scenario

DOWNLOADERS = 12
RATE_MIB = 4  # MiB/s, that every process uploads at most
SIZE_MIB = 64

# No distribution is faster than max{F/d_min, F/u_s, L*F/(u_s + sum u_i)} (Kumar
# and Ross, "Peer-Assisted File Distribution: The Minimum Distribution Time",
# 2006). Downloads are not limited here.
BOUND_SECONDS = max(SIZE_MIB / RATE_MIB, DOWNLOADERS * SIZE_MIB / ((1 + DOWNLOADERS) * RATE_MIB))
MAX_RATIO = 1.5
MAX_COPIES = 3.0


def swarm_of_twelve(lab):
    data = lab.path("data", "payload.bin")
    folder.make_file(data, SIZE_MIB * folder.MIB)
    want = folder.hashes(data)
    torrent = clients.create(lab, data)
    clients.ShoalTracker.start(lab, torrent)
    limit = ("--up", f"{RATE_MIB}MiB/s")
    seed = clients.Shoal.seed(lab, torrent, os.path.dirname(data), *limit)
    clients.wait_for_seeds(lab, torrent, 1)

    begin = time.monotonic()
    targets = [lab.make_folder(f"to-{i}") for i in range(DOWNLOADERS)]
    for target in targets:  # --seed: they go on uploading when they are complete
        clients.Shoal.get(lab, torrent, target, "--seed", *limit)
    clients.wait_for_seeds(lab, torrent, 1 + DOWNLOADERS)
    seconds = time.monotonic() - begin

    check(seed.stop(signal.SIGINT) == 130, "the seed's exit code is not 130")
    for target in targets:
        folder.check_same(os.path.join(target, "payload.bin"), want)
    ratio, copies = seconds / BOUND_SECONDS, seed.json()[-1]["uploaded"] / (SIZE_MIB * folder.MIB)
    figures = f"the last one after {seconds:.1f} s, {ratio:.2f} of the bound; the seed sent {copies:.2f} copies"
    check(ratio <= MAX_RATIO and copies < MAX_COPIES, figures)
    return figures


SCENARIOS = [
    Scenario(f"{DOWNLOADERS} downloaders, each process {RATE_MIB} MiB/s up, {SIZE_MIB} MiB", swarm_of_twelve,
             programs=("libtorrent",), alone=True),
]
