"""The page for newcomers to private trackers, run word for word."""
import os
import re
import signal
import time

from swarm import clients, folder
from swarm.lab import check
from swarm.runner import Scenario

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "private-tracker.md")

# What the page promises: five minutes for all of it, five seconds for the
# bytes to be counted after the announce that tells them. A machine that is busy
# takes longer for everything: what it needs for one look counts ten times.
ALL_WITHIN, COUNTED_WITHIN, LOOKS = 300, 5, 10

# Transmission counts a little more than the pieces as uploaded.
SLACK = 1.01


class Page:
    """The commands of the page. A block behind "```sh" is typed into a window
    and waited for; one behind "```sh NAME" has a window of its own, where it runs
    until Ctrl-C."""

    def __init__(self, lab):
        self.lab = lab
        with open(PAGE, encoding="utf-8") as file:
            text = file.read()
        for mine, example in ((lab.tracker_address, "192.168.1.10"), (lab.address(), "192.168.1.11"), (lab.address(), "192.168.1.12")):
            check(example in text, f"the page does not have the address {example}")
            text = text.replace(example, mine)
        self.blocks = re.findall(r"^```sh ?(\w*)\n(.*?)^```$", text, re.M | re.S)
        self.windows = {}
        self.bin = lab.make_folder("bin")
        os.symlink(lab.shoal_path, os.path.join(self.bin, "shoal"))

    def shell(self, name, commands):
        state = self.lab.path("state")
        return self.lab.start(name, "bash", "-euc", commands, PATH=self.bin + os.pathsep + os.environ["PATH"], XDG_STATE_HOME=state)

    def next(self, starts, window=""):
        """Types the next block, which must begin so: a page that has changed
        wants another look here."""
        kind, commands = self.blocks.pop(0)
        check(kind == window and commands.startswith(starts), f"the page goes on with a block {kind!r}:\n{commands}\nwhere {starts!r} was expected")
        if window in ("", "end"):
            process = self.shell("page", commands)
            check(process.wait() == 0, f"the page's commands failed:\n{commands}")
            return process.stdout()
        self.windows[window] = self.shell(window, "exec " + commands)
        return self.windows[window]

    def user(self, name):
        process = self.shell("look", f"shoal tracker user show {name} --json")
        check(process.wait() == 0, "user show failed")
        return process.json()[0]

    def await_user(self, name, **least):
        """Waits until a user's sums are at least these, and checks that they are
        not much more."""
        def reached():
            got = self.user(name)
            return all(got[key] >= n for key, n in least.items()) and got
        begin = time.monotonic()
        got = self.lab.wait_until(reached, f"{name} has {least}")
        took, begin = time.monotonic() - begin, time.monotonic()
        check(all(got[key] <= n * SLACK for key, n in least.items()), f"{name} has {got}, and not {least}")
        self.user(name)
        look = time.monotonic() - begin
        check(took <= COUNTED_WITHIN + LOOKS * look, f"it took {took:.1f} s until {name} had {least}, and a look {look:.1f} s")
        return took


def newcomer(lab):
    photos, music = 20 * folder.MIB, 12 * folder.MIB
    folder.make_file(lab.path("photos.zip"), photos)
    folder.make_file(lab.path("music.zip"), music)
    begin = time.monotonic()
    page = Page(lab)
    page.next("shoal tracker init")
    tracker = page.next("shoal tracker run", "tracker")
    clients.wait_for_port(lab, tracker, lab.tracker_address, clients.TRACKER_PORT)
    page.next("mkdir")
    transmission = page.next("transmission-daemon", "transmission")
    clients.wait_for_port(lab, transmission, "127.0.0.1", 9091)
    page.next("transmission-remote --add")
    page.next("aria2c")
    check(folder.hash_file(lab.path("berta", "photos.zip")) == folder.hash_file(lab.path("photos.zip")), "Berta has other photos")
    seconds = [page.await_user("berta", downloaded=photos)]
    page.next("transmission-remote --torrent all --stop")
    seconds.append(page.await_user("anna", uploaded=photos, downloaded=0))
    page.next("shoal tracker user list")

    page.next("cp music.zip")
    aria2 = page.next("aria2c", "aria2")
    page.next("transmission-remote --add")
    lab.wait_until(lambda: "100%" in list_of(page), "Anna has the music")
    seconds.append(page.await_user("anna", uploaded=photos, downloaded=music))
    aria2.stop(signal.SIGINT)
    seconds.append(page.await_user("berta", uploaded=music, downloaded=photos))
    table = page.next("shoal tracker user list", "end")
    check(not page.blocks, f"the page has more: {page.blocks}")
    check(re.search(r"^anna .*20\.0 MiB.*12\.0 MiB", table, re.M) and re.search(r"^berta .*12\.0 MiB.*20\.0 MiB", table, re.M), f"the table is\n{table}")
    for name in ("transmission", "tracker"):
        page.windows[name].stop(signal.SIGINT)
    took = time.monotonic() - begin
    check(took < ALL_WITHIN, f"it took {took:.0f} s")
    return f"{took:.0f} s for the whole page; bytes counted after {', '.join(f'{s:.1f}' for s in seconds)} s"


def list_of(page):
    process = page.shell("list", "transmission-remote --list")
    check(process.wait() == 0, "transmission-remote failed")
    return "\n".join(line for line in process.stdout().splitlines() if "music" in line)


SCENARIOS = [
    Scenario("a private tracker for newcomers, word for word: Transmission -> aria2, aria2 -> Transmission", newcomer,
             programs=("aria2c", "transmission-daemon", "transmission-remote"), alone=True),
]
