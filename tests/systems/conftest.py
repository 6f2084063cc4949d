"""Fixtures: a folder with a copy of the program, and real schedulers on loopback, started once and ended at the end."""
import collections
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from support import end_processes, place_program, run

HERE = os.path.dirname(os.path.abspath(__file__))
MUST_INSTALL = bool(os.environ.get("CI") or os.environ.get("HYDRAFLOW_INSTALL"))


# What differs between schedulers to who uses them: the words that submit, that cancel, that list what has not ended; a
# submission that is refused, and what is said then.
Words = collections.namedtuple("Words", "submit cancel queue wrong refusal")
WORDS = {
    "slurm": Words("sbatch", "scancel", "squeue -h -o %F", "sbatch --partition=nowhere", "invalid partition"),
    "gridengine": Words("qsub -cwd", "qdel", "qstat", "qsub -q nowhere", "unknown queue"),
    "pbs": Words("qsub", "qdel", "qstat -t", "qsub -q nowhere", "Unknown queue"),
    "lsf": Words("bsub", "bkill", "bjobs", "bsub -q nowhere", "No such queue"),
}


class Cluster:
    """A scheduler, and a folder from which jobs are submitted to it."""

    def __init__(self, name, script, directory, variables):
        self.name, self.script, self.directory, self.variables = name, script, directory, variables
        self.words, self.submit, self.folder = WORDS[name], WORDS[name].submit, None

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


def started(name, script, programs, directory, *options):
    """Start a scheduler, or skip: in CI, and where HYDRAFLOW_INSTALL is set, it must be possible."""
    if not MUST_INSTALL and (os.geteuid() or not all(map(shutil.which, programs))):
        pytest.skip(f"not installed: {name}")
    path = os.path.join(HERE, script)
    process = subprocess.run(["bash", path, "start", directory, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if process.returncode:
        pytest.fail(f"{name} could not be started: {process.stderr.decode()}")
    words = shlex.split(process.stdout.decode())
    return Cluster(name, path, directory, dict(word.split("=", 1) for word in words if "=" in word))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Add to the report of a failure what the scheduler and the record say at that moment."""
    report = (yield).get_result()
    cluster = next((value for value in item.funcargs.values() if isinstance(value, Cluster)), None)
    if report.when == "call" and report.failed and cluster:
        queries = {"slurm": ["squeue -a -t all", "sinfo -N -l"], "gridengine": ["qstat -f -u *"]}.get(cluster.name, [])
        for query in [*queries, f"{sys.executable} -m hydraflow status --json", "ls -lR .hydraflow"]:
            report.sections.append((query, cluster.call(query)))


@pytest.fixture(scope="session")
def slurm_daemons(tmp_path_factory):
    """A real Slurm of three nodes, of which two may die."""
    cluster = started("slurm", "slurm-up", ("sbatch", "slurmctld", "slurmd", "munged"), str(tmp_path_factory.mktemp("slurm")))
    yield cluster
    cluster.verb("stop")


@pytest.fixture(scope="session")
def accounting_daemons(tmp_path_factory):
    """A real Slurm with accounting, and a second cluster under it, called "other"."""
    programs = ("sbatch", "slurmctld", "slurmd", "munged", "slurmdbd", "mariadbd")
    first, second = (str(tmp_path_factory.mktemp(name)) for name in ("accounting", "other"))
    cluster = started("slurm", "slurm-up", programs, first, "--acct", "--nodes", "1")
    other = started("slurm", "slurm-up", programs, second, "--beside", first, "--nodes", "1")
    yield cluster
    other.verb("stop")
    cluster.verb("stop")


@pytest.fixture(scope="session")
def gridengine_daemons(tmp_path_factory):
    """A real Grid Engine of one node."""
    cluster = started("gridengine", "gridengine-up", ("qsub", "qconf"), str(tmp_path_factory.mktemp("gridengine")))
    yield cluster
    cluster.verb("stop")


@pytest.fixture(autouse=True)
def no_process_is_left(request):
    """Whatever happened in a test, nothing goes on in its folder."""
    folder = os.path.realpath(str(request.getfixturevalue("tmp_path"))) if "tmp_path" in request.fixturenames else ""
    yield
    if folder:
        end_processes(folder)


def in_folder(cluster, tmp_path):
    """Give a cluster an empty folder with a copy of the program."""
    place_program(tmp_path)
    (tmp_path / "done").mkdir()
    cluster.folder = tmp_path
    return cluster


@pytest.fixture
def slurm(slurm_daemons, tmp_path):
    """Slurm, and a new folder."""
    return in_folder(slurm_daemons, tmp_path)


@pytest.fixture
def accounting(accounting_daemons, tmp_path):
    """Slurm with accounting and a second cluster, and a new folder."""
    return in_folder(accounting_daemons, tmp_path)


@pytest.fixture
def gridengine(gridengine_daemons, tmp_path):
    """Grid Engine, and a new folder."""
    return in_folder(gridengine_daemons, tmp_path)


def stand_in(name, directory):
    """Return a stand-in for a scheduler that cannot be had."""
    os.mkdir(os.path.join(directory, "bin"))
    for command in {"pbs": ("qsub", "qstat", "qdel", "qrls", "qmgr"), "lsf": ("bsub", "bjobs", "bkill", "bresume", "bparams")}[name]:
        path = os.path.join(directory, "bin", command)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(os.path.join(HERE, 'standin.py'))} {command} \"$@\"\n")
        os.chmod(path, 0o755)
    variables = {"STANDIN_DIR": directory, "PATH": os.path.join(directory, "bin") + os.pathsep + os.environ["PATH"]}
    return Cluster(name, "", directory, variables)


@pytest.fixture(params=["slurm", "gridengine", "pbs", "lsf"])
def cluster(request, tmp_path, tmp_path_factory):
    """Each scheduler: two of them for real, of two a stand-in."""
    if request.param in ("slurm", "gridengine"):
        yield in_folder(request.getfixturevalue(f"{request.param}_daemons"), tmp_path)
        return
    cluster = stand_in(request.param, str(tmp_path_factory.mktemp(request.param)))
    yield in_folder(cluster, tmp_path)
    cluster.call(f"{shlex.quote(sys.executable)} {shlex.quote(os.path.join(HERE, 'standin.py'))} stop")
