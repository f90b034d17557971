"""Runs scenarios and says how they went."""
import concurrent.futures
import os
import queue
import shutil
import subprocess
import sys
import time
import traceback

from swarm.lab import ADDRESSES, Failed, Lab


class Scenario:
    """One thing to be tried. body is called with a Lab; it raises Failed, and
    returns the figures worth a line. programs are those of others that it
    needs. alone says that it measures time, so that nothing may run beside it."""

    def __init__(self, name, body, *arguments, programs=(), alone=False):
        self.name, self.body, self.arguments, self.programs = name, body, arguments, programs
        self.alone = alone

    def missing(self):
        return [program for program in self.programs if not is_installed(program)]

    def run(self, lab):
        return self.body(lab, *self.arguments)


# Where .ci/run installs npm's tracker and client.
NPM_TRACKER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                           "node_modules", "bittorrent-tracker", "index.js")


def is_installed(program):
    if program == "bittorrent-tracker":
        return os.path.exists(NPM_TRACKER)
    if program == "libtorrent":
        return subprocess.run([sys.executable, "-c", "import libtorrent"], stderr=subprocess.DEVNULL).returncode == 0
    return shutil.which(program) is not None


# How many scenarios run at once, those that are not alone: most of them wait
# most of the time, for a rate or for a timer of Transmission.
LABS = 3


def make_network():
    """Gives the loopback device of our namespace the addresses of the labs."""
    addresses = "".join(f"address add 10.77.{block}.{last}/32 dev lo\naddress add fd77:{block + 1}::{last:x}/128 dev lo nodad\n"
                        for block in range(LABS) for last in range(1, ADDRESSES + 1))
    subprocess.run(["ip", "-batch", "-"], input="link set lo up\n" + addresses, text=True, check=True)


def run_all(scenarios, patterns, folder):
    """Runs those scenarios whose name contains one of the patterns (none: all).
    Returns the exit code."""
    make_network()
    chosen = [s for s in scenarios if not patterns or any(p in s.name for p in patterns)]
    begin = time.monotonic()
    blocks = queue.SimpleQueue()  # of addresses, that no lab uses now
    for block in range(LABS):
        blocks.put(block)
    with concurrent.futures.ThreadPoolExecutor(LABS) as pool:
        verdicts = list(pool.map(lambda s: run_one(s, folder, blocks), [s for s in chosen if not s.alone]))
    verdicts += [run_one(s, folder, blocks) for s in chosen if s.alone]
    passed, failed, skipped = map(verdicts.count, ("PASS", "FAIL", "SKIP"))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")
          + f", {time.monotonic() - begin:.0f} s", flush=True)
    return 1 if failed or not passed else 0


def run_one(scenario, folder, blocks):
    block, begin = blocks.get(), time.monotonic()
    verdict, detail, logs = attempt(scenario, folder, block)
    blocks.put(block)
    line = f"{verdict} {time.monotonic() - begin:6.1f} s  {scenario.name}"
    print(line + (f": {detail}" if detail else "") + (f"\n{logs}" if logs else ""), flush=True)
    return verdict


def attempt(scenario, folder, block):
    """Returns the verdict, what is to be said of it, and, of a failure, the last
    words of the processes."""
    missing = scenario.missing()
    if missing:
        verdict = "FAIL" if os.environ.get("CI") == "true" else "SKIP"
        return verdict, "not installed: " + ", ".join(missing), ""
    with Lab(folder, block) as lab:
        try:
            return "PASS", scenario.run(lab), ""
        except Failed as failure:
            return "FAIL", str(failure), lab.logs()
        except Exception:
            return "FAIL", traceback.format_exc(), lab.logs()
