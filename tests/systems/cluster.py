"""Schedulers for tests: real ones on loopback, begun once for all workers and ended by who began these; and stand-ins."""
import collections
import contextlib
import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from support import place_program, run

HERE = os.path.dirname(os.path.abspath(__file__))
MUST_INSTALL = bool(os.environ.get("CI") or os.environ.get("HYDRAFLOW_INSTALL"))

# What differs between schedulers to who uses them: the words that submit, that cancel, that list what has not ended; a
# submission that is refused, and what is said then.
Words = collections.namedtuple("Words", "submit cancel queue wrong refusal")
WORDS = {
    "slurm": Words("sbatch", "scancel", "squeue -h -o %F", "sbatch --partition=nowhere", "invalid partition"),
    "gridengine": Words("qsub -cwd", "qdel", "qstat", "qsub -q nowhere", "unknown queue"),
}
SLURM = ("sbatch", "slurmctld", "slurmd", "munged")
REAL = {  # name of a cluster: its scheduler, script, programs, the options of each part of it
    "slurm": ("slurm", "slurm-up", SLURM, [[]]),
    "accounting": ("slurm", "slurm-up", (*SLURM, "slurmdbd", "mariadbd"), [["--acct", "--nodes", "1"], ["--beside", "FIRST", "--nodes", "1"]]),
    "gridengine": ("gridengine", "gridengine-up", ("qsub", "qconf"), [[]]),
}


class Cluster:
    """A scheduler, and a folder from which jobs are submitted to it."""

    def __init__(self, name, script, directory, variables, folder):
        self.name, self.script, self.directory, self.variables = name, script, directory, variables
        self.words, self.submit, self.folder = WORDS[name], WORDS[name].submit, folder
        place_program(folder)
        (folder / "done").mkdir()

    def verb(self, *words):
        """Tell the script that started the scheduler to do something more."""
        subprocess.run(["bash", self.script, words[0], self.directory, *words[1:]], check=True, stdout=subprocess.DEVNULL)

    def environment(self, **changes):
        """Return the environment with which the scheduler's commands find it."""
        return {**os.environ, **self.variables, **changes}

    def hydraflow(self, *argv, **changes):
        """Execute the program in the folder."""
        return run(*argv, cwd=str(self.folder), env=self.environment(**changes), timeout=600)

    def start(self, *argv, **changes):
        """Start the program in the folder, and return at once."""
        return subprocess.Popen([sys.executable, "-m", "hydraflow", *argv], cwd=str(self.folder), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment(**changes))

    def call(self, command, **changes):
        """Execute a command of the scheduler, and return what it printed."""
        return subprocess.run(shlex.split(command), cwd=str(self.folder), env=self.environment(**changes), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False).stdout.decode()

    def job(self, text):
        """Write the job file."""
        (self.folder / "hydraflow.yaml").write_text(text.replace("SUBMIT", self.submit), encoding="utf-8")

    def simple(self, task, batch="a=1:2", submit="SUBMIT", **keys):
        """Write the job file of one job with one step; task are lines of shell, whose $0 is the task's word."""
        head = "" if "$0" in task else ": $0; "  # a script that drops its words is a mistake
        keys = {"run": f"sh -c '{head}{task}'", **({"submit": submit} if submit else {}), "hydra": False, "steps": [{"batch": batch}], **keys}
        self.job(json.dumps({"jobs": {"job": keys}}))

    def shim(self, name, script):
        """Put a program before the real one of the same name; in the script, "$REAL" is that one."""
        (self.folder / "bin").mkdir(exist_ok=True)
        path, search = self.folder / "bin" / name, self.environment()["PATH"]
        path.write_text(f"#!/bin/sh\nREAL={shlex.quote(shutil.which(name, path=search) or 'false')}\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return {"PATH": f"{self.folder / 'bin'}{os.pathsep}{search}"}

    def effects(self):
        """Return the names that tasks have left in the folder "done"."""
        return sorted(os.listdir(str(self.folder / "done")))

    def deeds(self):
        """Return how often each task has left its mark."""
        return {name: (self.folder / "done" / name).read_text().count("x") for name in self.effects()}

    def tasks(self, job="job", **changes):
        """Return what is known of the tasks of a job's last run."""
        result = self.hydraflow("status", job, "--json", **changes)
        return json.loads(result.out)["tasks"] if result.status == 0 else []

    def states(self, job="job", **changes):
        """Return the states of the tasks."""
        return [task["state"] for task in self.tasks(job, **changes)]

    def submitted(self, *argv, **changes):
        """Run a job, and return the ids of its array jobs."""
        result = self.hydraflow("run", *argv, **changes)
        assert result.status == 0, result
        return [line.split("array job ")[1].split()[0] for line in result.err.splitlines() if "array job " in line]


@contextlib.contextmanager
def locked(path):
    """Let one worker at a time do something."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def begin_parts(name, directory):
    """Begin a cluster; return what is known of each part of it, or a message why there is none."""
    kind, script, programs, parts = REAL[name]
    if not MUST_INSTALL and (os.geteuid() or not all(shutil.which(one, path=os.environ["PATH"] + ":/usr/sbin") for one in programs)):
        return f"not installed: {name}"
    found = []
    for number, options in enumerate(parts):
        place = os.path.join(directory, f"{name}-{number}")
        found.append([kind, os.path.join(HERE, script), place, {}])
        options = [word.replace("FIRST", found[0][2]) for word in options]
        process = subprocess.run(["bash", found[-1][1], "start", place, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if process.returncode:
            return f"{name} could not be started: {process.stderr.decode()}"
        found[-1][3] = dict(word.split("=", 1) for word in shlex.split(process.stdout.decode()) if "=" in word)
    return found


def real(name, directory, folder):
    """Return a real cluster, which the first worker begins that needs it, and an empty folder for it."""
    path = os.path.join(directory, f"{name}.json")
    with locked(os.path.join(directory, "lock")):
        if not os.path.exists(path):
            found = begin_parts(name, directory)
            with open(path, "w") as file:
                json.dump(found, file)
    with open(path) as file:
        found = json.load(file)
    if isinstance(found, str):
        (pytest.skip if found.startswith("not installed") else pytest.fail)(found)
    return Cluster(*found[0], folder)
