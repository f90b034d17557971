"""Runs scenarios and says how they went."""
import os
import shutil
import subprocess
import sys
import time
import traceback

from swarm.lab import Failed, Lab


class Scenario:
    """One thing to be tried. body is called with a Lab; it raises Failed, and
    returns the figures worth a line. programs are those of others that it
    needs."""

    def __init__(self, name, body, *arguments, programs=()):
        self.name, self.body, self.arguments, self.programs = name, body, arguments, programs

    def missing(self):
        return [program for program in self.programs if not is_installed(program)]

    def run(self, lab):
        return self.body(lab, *self.arguments)


def is_installed(program):
    if program == "libtorrent":
        return subprocess.run([sys.executable, "-c", "import libtorrent"], stderr=subprocess.DEVNULL).returncode == 0
    return shutil.which(program) is not None


# How many addresses there are besides that of the tracker, 10.77.0.1: enough
# for every process of a scenario. Several clients refuse 127.0.0.1 as a peer.
ADDRESSES = 30


def make_network():
    """Gives the loopback device of our namespace the addresses of the labs."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for last in range(1, ADDRESSES + 1):
        subprocess.run(["ip", "address", "add", f"10.77.0.{last}/32", "dev", "lo"], check=True)


def run_all(scenarios, patterns, folder):
    """Runs those scenarios whose name contains one of the patterns (none: all).
    Returns the exit code."""
    make_network()
    chosen = [s for s in scenarios if not patterns or any(p in s.name for p in patterns)]
    counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    begin = time.monotonic()
    for scenario in chosen:
        counts[run_one(scenario, folder)] += 1
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed"
          + (f", {counts['SKIP']} skipped" if counts["SKIP"] else "")
          + f", {time.monotonic() - begin:.0f} s", flush=True)
    return 1 if counts["FAIL"] or not counts["PASS"] else 0


def run_one(scenario, folder):
    begin = time.monotonic()
    verdict, detail = attempt(scenario, folder)
    print(f"{verdict} {time.monotonic() - begin:6.1f} s  {scenario.name}" + (f": {detail}" if detail else ""), flush=True)
    return verdict


def attempt(scenario, folder):
    missing = scenario.missing()
    if missing:
        verdict = "FAIL" if os.environ.get("CI") == "true" else "SKIP"
        return verdict, "not installed: " + ", ".join(missing)
    with Lab(folder) as lab:
        try:
            return "PASS", scenario.run(lab)
        except Failed as failure:
            print(lab.logs(), flush=True)
            return "FAIL", str(failure)
        except Exception:
            print(lab.logs(), flush=True)
            return "FAIL", traceback.format_exc()
