"""A system call at a time: killed at it, or it fails, and nothing is lost, repeated or killed for nothing.

Each trial takes one system call of a run, of a resume or of the shell that records a task (strace says which there are), and
either sends SIGKILL at it or lets it fail. HYDRAFLOW_TRIALS is how many trials of each kind are drawn; 0 takes all.
"""
import collections
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import sys

import pytest
from support import place_program, run, wait_until

TRIALS = int(os.environ.get("HYDRAFLOW_TRIALS", "8"))
TASKS = ("a=1", "a=2", "a=3")
JOB = """
jobs:
  job:
    run: sh -c 'exec 9>lock-$0; flock -n 9 || echo $0 >> twice; sleep 0.05; test ! -e fail-$0 || exit 3; echo x >> done/$0'
    hydra: false
    max-parallel: 2
    steps: [{batch: 'a=1:3'}]
"""
FAILURES = (  # system calls that can fail at a file, a directory or a process, and how
    ("open openat creat", "EMFILE EACCES EIO"), ("read pread64 readv", "EIO"), ("write writev pwrite64", "ENOSPC EIO"),
    ("close", "EIO"), ("stat lstat fstat newfstatat statx access faccessat faccessat2", "EACCES EIO"),
    ("getdents64 getdents", "EIO"), ("mkdir mkdirat symlink symlinkat link linkat", "EACCES ENOSPC"),
    ("unlink unlinkat rmdir rename renameat", "EACCES"), ("readlink readlinkat", "EIO"), ("flock fcntl", "ENOLCK"),
    ("clone clone3 fork vfork", "EAGAIN"), ("pipe pipe2", "EMFILE"), ("lseek", "EIO"), ("ftruncate truncate", "EIO"),
)
ERRORS = {name: errors.split() for names, errors in FAILURES for name in names.split()}


def prepared(folder):
    """Return an empty folder with the job, a copy of the program and where the tasks leave their deeds."""
    (folder / "done").mkdir(parents=True)
    place_program(folder)
    (folder / "hydraflow.yaml").write_text(JOB, encoding="utf-8")
    return folder


def strace(folder, *options, argv):
    """Execute the program in a folder under strace, which sees its process alone."""
    command = ["strace", "-qq", "-y", "-o", "trace", *options, sys.executable, "-m", "hydraflow", *argv]
    return subprocess.run(command, cwd=str(folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120)


def calls(text, mark):
    """Return the system calls of a trace behind a mark, but those of Python's imports; each is the how manyth of its name."""
    seen = collections.Counter()
    found = []
    is_behind = not mark
    for line in text.splitlines():
        name = re.match(r"([a-z0-9_]+)\(", line)
        if not name:
            continue
        seen[name.group(1)] += 1
        is_behind = is_behind or mark in line
        is_import = f"{sys.base_prefix}/lib" in line or "__pycache__" in line
        is_pipe = re.match(r"(read|close)\(\d+<pipe:|write\(([3-9]|\d\d+)<pipe:", line)  # between processes: it cannot fail
        if is_behind and not is_import and not is_pipe and name.group(1) not in ("execve", "exit_group"):
            found.append((name.group(1), seen[name.group(1)]))
    return found


def drawn(trials, seed):
    """Return as many of the trials as are asked for, spread at random."""
    assert len(trials) > 50, trials
    if not TRIALS or len(trials) <= TRIALS:
        return trials
    return random.Random(seed).sample(trials, TRIALS)


def deeds(folder):
    """Return how often each task has done what it does."""
    return {name: (folder / "done" / name).read_text().count("x") for name in os.listdir(str(folder / "done"))}


def goes_on(folder, what):
    """Resume without faults: all succeeds, no task ever had a second execution beside it."""
    result = run("run", "job", "--resume", cwd=str(folder))
    assert result.status == 0, (what, result)
    assert not (folder / "twice").exists(), what
    told = json.loads(run("status", "job", "--json", cwd=str(folder)).out)["tasks"]
    assert {task["state"] for task in told} == {"succeeded"} and len(told) == len(TASKS), (what, told)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder in which one of the tasks has succeeded, and two have failed."""
    folder = prepared(tmp_path_factory.mktemp("begun") / "folder")
    for name in TASKS[1:]:
        (folder / f"fail-{name}").touch()
    assert run("run", "job", cwd=str(folder)).status == 1
    for name in TASKS[1:]:
        (folder / f"fail-{name}").unlink()
    return folder


def beginning(tmp_path, begun, command):
    """Return a folder as a command finds it: empty for a run, with failures for a resume."""
    if command == ["run", "job"]:
        return prepared(tmp_path)
    shutil.copytree(str(begun), str(tmp_path), symlinks=True)
    return tmp_path


COMMANDS = (["run", "job"], ["run", "job", "--resume"])


@pytest.mark.parametrize("command", COMMANDS, ids=["run", "resume"])
def test_killed_at_a_call(tmp_path, begun, command):
    """Wherever the program is killed, its tasks go on, and the next start finds each of them: none is executed twice."""
    folder = beginning(tmp_path / "plain", begun, command)
    assert strace(folder, argv=command).returncode == 0
    trials = drawn(calls((folder / "trace").read_text(), "hydraflow.yaml"), 1)
    killed = 0
    for name, count in trials:
        folder = beginning(tmp_path / f"{name}-{count}", begun, command)
        process = strace(folder, "-e", f"inject={name}:signal=SIGKILL:when={count}", argv=command)
        killed += process.returncode != 0
        goes_on(folder, (name, count))
        assert deeds(folder) == dict.fromkeys(TASKS, 1), (name, count)
        shutil.rmtree(str(folder))
    assert killed > len(trials) / 2, "a trace tells little of the next run"


@pytest.mark.parametrize("command", COMMANDS, ids=["run", "resume"])
def test_call_that_fails(tmp_path, begun, command):
    """Whatever call fails, there is no traceback, no running task is ended, and a resume goes on."""
    folder = beginning(tmp_path / "plain", begun, command)
    assert strace(folder, argv=command).returncode == 0
    found = calls((folder / "trace").read_text(), "hydraflow.yaml")
    trials = drawn([(name, count, error) for name, count in found for error in ERRORS.get(name, ())], 2)
    for name, count, error in trials:
        what = (name, count, error)
        folder = beginning(tmp_path / "-".join(map(str, what)), begun, command)
        process = strace(folder, "-e", f"inject={name}:error={error}:when={count}", argv=command)
        out = process.stdout.decode("utf-8", "replace")
        if "signal wakeup fd" in out:  # a pipe between Python and itself, which cannot fail
            continue
        lost = re.search(r"\nModuleNotFoundError: No module named '(\w+)'\s*$", out)
        if not (lost and importlib.util.find_spec(lost.group(1)) and lost.group(1) != "hydraflow"):  # Python's own files may be hit as well
            assert process.returncode in (0, 1, 2) and "Traceback" not in out, (what, out)
            assert process.returncode == 0 or "error: " in out or "cannot " in out, (what, out)
        wait_until(lambda: not alive(folder))
        told = run("status", "job", "--json", cwd=str(folder))
        if told.status == 0:
            states = {task["state"] for task in json.loads(told.out)["tasks"]}
            assert "interrupted" not in states, (what, out, told)
        goes_on(folder, what)
        assert deeds(folder) == dict.fromkeys(TASKS, 1), (what, out)
        shutil.rmtree(str(folder))
def alive(folder):
    """Return whether a process whose environment names a record in a folder is there."""
    wanted = os.fsencode(f"{folder}/.hydraflow/")
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read():
                    return True
        except OSError:
            pass  # it has ended meanwhile
    return False


def with_traced_shell(folder, *options):
    """Let each task's recording shell be traced, by a process of another session."""
    path = folder / "hydraflow.py"
    text = path.read_text(encoding="utf-8")
    words = ", ".join(json.dumps(word) for word in (shutil.which("strace") or "strace", "-DDD", "-qq", *options))
    path.write_text(text.replace('["/bin/sh", "-c", RECORDER', f'[{words}, "/bin/sh", "-c", RECORDER'), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text


def test_recording_shell_killed_at_a_call(tmp_path):
    """Its task is no orphan that a second one is started beside: it is ended, or what it told counts."""
    folder = prepared(tmp_path / "plain")
    with_traced_shell(folder, "-o", "trace")
    assert run("run", "job", "a=1", cwd=str(folder)).status == 0
    wait_until(lambda: not alive(folder))
    trials = drawn(calls((folder / "trace").read_text(), ""), 3)
    failed = 0
    for name, count in trials:
        what = (name, count)
        folder = prepared(tmp_path / f"{name}-{count}")
        with_traced_shell(folder, "-o", "/dev/null", "-e", f"inject={name}:signal=SIGKILL:when={count}")
        result = run("run", "job", cwd=str(folder))
        assert result.status in (0, 1) and "Traceback" not in result.err, (what, result)
        failed += result.status
        place_program(folder)
        goes_on(folder, what)
        counts = deeds(folder)
        assert set(counts) == set(TASKS) and max(counts.values()) <= 2, (what, counts)
        shutil.rmtree(str(folder))
    assert failed > len(trials) / 2
