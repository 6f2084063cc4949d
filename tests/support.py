"""What the tests share: an empty folder with a copy of the program, and what one command of it did."""
import collections
import glob
import json
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
STANDINS = {  # of schedulers: each notes how it was called, as a line of the file "asked"; jobs are executed by "elements"
    "hydraflow": 'exec PYTHON -m hydraflow "$@"',
    "asked": 'cat "$HERE/asked"; rm -f "$HERE/asked"',
    "elements": '. "$HERE/$1.sent"; shift; for slot; do env "$index=$slot" "$own=$job" sh "$script"; done',
    "accept": """name=$1; shift; n=$(($(cat "$HERE/count" 2>/dev/null || echo 100) + 1)); echo $n > "$HERE/count"
for last; do :; done
echo "job=$n script=$last index=$INDEX own=$OWN" > "$HERE/$n.sent"
echo "$name: $*" >> "$HERE/asked"; echo $n""",
    "refused": '[ ! -e "$HERE/refuse" ] || { cat "$HERE/refuse" >&2; exit 1; }',
    "sbatch": 'refused || exit 1; INDEX=SLURM_ARRAY_TASK_ID OWN=SLURM_ARRAY_JOB_ID accept sbatch "$@"',
    "squeue": """echo "squeue: $*" >> "$HERE/asked"; [ ! -e "$HERE/down" ] || { cat "$HERE/down" >&2; exit 1; }
while [ $# -gt 0 ]; do [ "$1" != -o ] || format=$2; shift; done
[ ! -e "$HERE/queue" ] || while IFS='|' read -r job index state reason; do
echo "$format" | sed "s/%F/$job/; s/%K/$index/; s/%T/$state/; s/%r/$reason/; s/%j/x/; s/%i/${job}_$index/"; done < $HERE/queue""",
    "scancel": 'echo "scancel: $*" >> "$HERE/asked"',
    "scontrol": "echo 'MaxArraySize = 4'",
    "sacct": 'cat "$HERE/accounts" 2>/dev/null || exit 1',
    "qsub": '[ "$1" != --version ] || { cat "$HERE/version" 2>/dev/null || echo GE 8.1.9; exit; }; refused || exit 1; n=$(INDEX=SGE_TASK_ID OWN=JOB_ID accept qsub "$@"); [ ! -e "$HERE/version" ] || n="$n[].pbs"; echo "$n"',
    "qstat": 'echo "qstat: $*" >> "$HERE/asked"; case $1 in -j|-f) cat "$HERE/explained";; *) cat "$HERE/queue";; esac 2>/dev/null; true',
    "qdel": 'echo "qdel: $*" >> "$HERE/asked"',
    "qconf": "echo max_aj_tasks 10", "qacct": "exit 1", "qmgr": "exit 1", "qselect": "exit 1", "bparams": "exit 1", "bhist": "exit 1",
    "bsub": 'refused || exit 1; n=$(INDEX=LSB_JOBINDEX OWN=LSB_JOBID accept bsub "$@"); echo "Job <$n> is submitted to default queue <normal>."',
    "bjobs": 'echo "bjobs: $*" >> "$HERE/asked"; cat "$HERE/queue" 2>/dev/null; true',
    "bkill": 'echo "bkill: $*" >> "$HERE/asked"',
}
Result = collections.namedtuple("Result", "status out err")
IN_CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]  # before a command that is to be the first process
if not shutil.which("unshare") or subprocess.call([*IN_CONTAINER, "true"], stderr=subprocess.DEVNULL):
    IN_CONTAINER = []


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
        time.sleep(0.03)
    raise AssertionError("it did not come")


def end_processes(folder):
    """Kill what still executes something of a folder, as a test has failed: the program there, and the tasks that it began."""
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                is_task = os.fsencode(folder) + b"/.hydraflow/" in file.read()
            with open(f"/proc/{name}/cmdline", "rb") as file:
                is_program = b"hydraflow" in file.read() and (os.readlink(f"/proc/{name}/cwd") + "/").startswith(folder + "/")
            if is_task or is_program:
                os.kill(int(name), signal.SIGKILL)
        except OSError:
            pass  # it has ended, or is somebody else's


def is_alive(pid):
    """Return whether a process executes something; what only waits for its parent does not."""
    try:
        with open(f"/proc/{int(pid)}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


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

    def program(self, name, text):
        """Write a script of the folder that may be executed."""
        self.write(name, text if text.startswith("#!") else f"#!/bin/sh\n{text}")
        os.chmod(os.path.join(self.folder, name), 0o755)

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


class Program(EmptyFolder):
    """Each test runs the program in its folder, with a job of its own."""

    def job(self, text):
        """Write a job file with one job; its tasks are no applications of Hydra."""
        lines = "".join(f"    {line}\n" for line in text.strip().split("\n"))
        self.write("hydraflow.yaml", f"jobs:\n  job:\n    hydra: false\n{lines}")

    def clear(self, *names):
        """Remove files and folders of the folder, those that are there."""
        for name in names:
            path = os.path.join(self.folder, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)

    def start(self, *argv, **options):
        """Start the program and return at once; whatever happens, it does not outlive the test.

        Its output comes with its errors, unless options say otherwise.
        """
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
        process = subprocess.Popen([sys.executable, "-m", "hydraflow", *argv], cwd=self.folder, **options)
        for stream in filter(None, (process.stdout, process.stderr)):
            self.addCleanup(stream.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def tasks(self, job="job"):
        """Return what is known of the tasks of a job's newest run, by number."""
        result = self.hydraflow("status", job, "--json")
        self.assertEqual(result.status, 0, result.err)
        return {task["task"]: task for task in json.loads(result.out)["tasks"]}

    def states(self, job="job"):
        """Return the states of the tasks."""
        return [task["state"] for task in self.tasks(job).values()]

    def begun(self, *argv, count=1, name="begun", **options):
        """Start a run, and wait until its tasks have left some lines in a file; return its process."""
        process = self.start("run", "job", *argv, **options)
        wait_until(lambda: len(self.lines(name)) >= count)
        return process

    def kill(self, process):
        """Kill a process that was started, and wait for its end."""
        process.kill()
        process.wait()

    def records(self, job="job"):
        """Return the directories of a job's runs."""
        return sorted(glob.glob(f"{self.folder}/.hydraflow/{job}/0*"))

    def lines(self, name):
        """Return the lines of a file of the folder, none without it."""
        return self.read(name).split("\n")[:-1] if os.path.exists(os.path.join(self.folder, name)) else []


class StandIns(Program):
    """Each test has stand-ins for the commands of schedulers, which answer what files of its folder hold."""

    def setUp(self):
        super().setUp()
        os.mkdir(os.path.join(self.folder, "bin"))
        for name, script in STANDINS.items():
            self.program(f"bin/{name}", f"HERE={self.folder}\n{script.replace('PYTHON', sys.executable)}\n")
        paths = [os.path.join(self.folder, "bin"), os.environ["PATH"]]
        self.environment = {**os.environ, "PATH": os.pathsep.join(paths), "TZ": "UTC", "HYDRAFLOW_PYTHON": sys.executable, "COLUMNS": "80"}

    def hydraflow(self, *argv, env=None, stdin=b""):
        """Execute the program in the folder, where it finds the stand-ins."""
        return super().hydraflow(*argv, env={**self.environment, **(env or {})}, stdin=stdin)

    def elements(self, job_id, *indices, **options):
        """Execute array tasks of a job, as a scheduler does; return the process."""
        process = subprocess.Popen([os.path.join(self.folder, "bin", "elements"), str(job_id), *map(str, indices)], cwd=self.folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment, start_new_session=True, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def asked(self):
        """Return how the stand-ins were called since this was asked."""
        lines = self.lines("asked")
        if lines:
            os.remove(os.path.join(self.folder, "asked"))
        return lines
