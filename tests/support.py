"""What the tests share: an empty folder with a copy of the program, and what one command of it did."""
import collections
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as for what a script starts in the background: tests send it
    signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):  # ignored under nohup, and by some who start what stays in the background
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # with it each command of a test compiles the program anew
PROGRAM = os.path.join(ROOT, "hydraflow.py")
COMPILED = py_compile.compile(PROGRAM, doraise=True)
Result = collections.namedtuple("Result", "status out err")


def place_program(folder):
    """Copy the program into a folder, with its byte code: to compile it takes longer than most of its commands."""
    shutil.copy2(PROGRAM, str(folder))
    cache = os.path.join(str(folder), "__pycache__")
    os.makedirs(cache, exist_ok=True)
    shutil.copy(COMPILED, cache)


def run(*argv, cwd=".", env=None, stdin=b"", timeout=120):
    """Execute the program in a folder; texts are decoded whatever the locale."""
    process = subprocess.run([sys.executable, "-m", "hydraflow", *argv], cwd=cwd, input=stdin, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=timeout, env={**os.environ, **(env or {})})
    return Result(process.returncode, *(data.decode("utf-8", "surrogateescape") for data in (process.stdout, process.stderr)))


def wait_until(condition, seconds=float(os.environ.get("HYDRAFLOW_PATIENCE", "120"))):
    """Wait until a condition holds; return what it returned."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come")


def end_processes(folder):
    """Kill what still executes something of a folder, as a test has failed: the program there, and the tasks that it began."""
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                is_task = b"HYDRAFLOW_EVENTS=" + os.fsencode(folder) + b"/" in file.read()
            with open(f"/proc/{name}/cmdline", "rb") as file:
                is_program = b"hydraflow" in file.read() and (os.readlink(f"/proc/{name}/cwd") + "/").startswith(folder + "/")
            if is_task or is_program:
                os.kill(int(name), signal.SIGKILL)
        except OSError:
            pass  # it has ended, or is somebody else's


class EmptyFolder(unittest.TestCase):
    """Each test gets an empty folder with a copy of hydraflow.py in it."""

    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="hydraflow-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(end_processes, self.folder)
        place_program(self.folder)

    def write(self, name, text):
        """Write a file of the folder."""
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode("utf-8"))

    def read(self, name):
        """Return the text of a file of the folder."""
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")

    def names(self):
        """Return what is in the folder, but for byte code."""
        return sorted(name for name in os.listdir(self.folder) if name != "__pycache__")

    def hydraflow(self, *argv, env=None, stdin=b""):
        """Execute the program in the folder."""
        return run(*argv, cwd=self.folder, env=env, stdin=stdin)
