"""A lab is the folder, the addresses and the processes of one scenario."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

# What takes longer than this has failed. Generous: a machine may be busy.
TIMEOUT = 300


# How many addresses of either family a lab has: enough for every process of a
# scenario, and for every node of a DHT. Several clients refuse 127.0.0.1 as a
# peer.
ADDRESSES = 100


class Failed(Exception):
    """The scenario did not go as it should; the text says why."""


def check(condition, why):
    if not condition:
        raise Failed(why)


class Process:
    """A program that a scenario has started, with its output in files."""

    def __init__(self, name, argv, folder, environment):
        self.name, self.argv = name, argv
        self.may_end = False  # whatever its exit code
        self.out_path, self.err_path = os.path.join(folder, name + ".out"), os.path.join(folder, name + ".err")
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder,
                                          env={**os.environ, "LC_ALL": "C.UTF-8", "HOME": folder, **environment})

    def has_ended(self):
        return self.popen.poll() is not None

    def send(self, number):
        self.may_end = True
        self.popen.send_signal(number)

    def wait(self, timeout=TIMEOUT):
        """Waits for the end and returns the exit code."""
        self.may_end = True
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} did not end within {timeout} s") from None

    def stop(self, number=signal.SIGTERM):
        """Ends the process as a user would, or, if it does not hear, for certain."""
        self.may_end = True
        if not self.has_ended():
            self.send(number)
        try:
            return self.popen.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise Failed(f"{self.name} did not end within {TIMEOUT} s of {signal.Signals(number).name}") from None

    def stdout(self):
        return read(self.out_path)

    def stderr(self):
        return read(self.err_path)

    def json(self):
        """What it has printed: one object per line. A last line without its
        end is one that is being written."""
        return [json.loads(line) for line in self.stdout().split("\n")[:-1]]

    def tail(self):
        status = "running" if self.popen.poll() is None else f"ended with {self.popen.returncode}"
        lines = (self.stdout() + self.stderr()).splitlines()[-6:]
        argv = " ".join(self.argv).encode(errors="replace").decode()  # an argument can have any bytes
        return "\n".join([f"    | {self.name} ({status}): {argv}"] + [f"    |   {line[:300]}" for line in lines])


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


class Lab:
    """The world of one scenario. `shared` is the folder of all labs: the
    program under test is there, and data that several scenarios use. A lab has
    the addresses 10.77.block.* and fd77:block+1::*, so that several labs can be at
    work at once."""

    def __init__(self, shared, block):
        self.shared, self.block = shared, block
        self.tracker_address = f"10.77.{block}.1"
        self.shoal_path = os.path.join(shared, "shoal")

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="lab-", dir=self.shared)
        os.chmod(self.folder, 0o755)
        self.processes = []
        self.num_addresses = 1  # the first is the tracker's
        return self

    def __exit__(self, *exception):
        for process in self.processes:
            if not process.has_ended():
                process.popen.kill()
            process.popen.wait()
        shutil.rmtree(self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def make_folder(self, name):
        path = self.path(name)
        os.makedirs(path)
        return path

    def address(self):
        """Returns an address that nobody in this lab has yet."""
        return f"10.77.{self.block}.{self.next_number()}"

    def address6(self):
        return f"fd77:{self.block + 1}::{self.next_number():x}"

    def next_number(self):
        self.num_addresses += 1
        check(self.num_addresses <= ADDRESSES, "a lab has no more addresses")
        return self.num_addresses

    def start(self, name, *argv, **environment):
        """Starts a program. The name becomes unique by a number."""
        same = sum(p.name.split("#")[0] == name for p in self.processes)
        process = Process(f"{name}#{same + 1}" if same else name, list(map(str, argv)), self.folder, environment)
        self.processes.append(process)
        return process

    def shoal(self, *arguments):
        """Starts shoal."""
        return self.start("shoal-" + arguments[0], self.shoal_path, *arguments)

    def wait_until(self, condition, what, timeout=TIMEOUT):
        """Waits for condition() and returns what it returned."""
        end = time.monotonic() + timeout
        while True:
            result = condition()
            if result:
                return result
            for process in self.processes:
                check(process.may_end or process.popen.poll() in (None, 0),
                      f"{process.name} ended with {process.popen.poll()} while waiting: {what}")
            check(time.monotonic() < end, f"not within {timeout} s: {what}")
            time.sleep(0.02)

    def logs(self):
        """The last words of every process, for who has to find out why."""
        return "\n".join(process.tail() for process in self.processes)
