"""Killed at random moments: what has finished is known, and every task succeeds exactly once."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from support import ROOT, run

TURNS = int(os.environ.get("HYDRAFLOW_SOAK", "24"))
TASKS = 6


def start(folder, *argv):
    """Start the program and return at once."""
    return subprocess.Popen([sys.executable, "-m", "hydraflow", *argv], cwd=str(folder), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_soak(folder, number):
    """The side effect of a task is its last deed, behind a trap: a task that was killed before has none."""
    (folder / "hydraflow.yaml").write_text(
        "jobs:\n  job:\n    run: sh -c 'sleep 0.0$1; trap \"\" INT; echo x >> done/$0'\n    hydra: false\n    max-parallel: 3\n"
        f"    steps: [{{batch: 'a=1:{TASKS}', args: 8}}]\n", encoding="utf-8")
    chance = random.Random(int(number))
    killed = 0
    for turn in range(TURNS if number == signal.SIGKILL else TURNS // 4):
        shutil.rmtree(str(folder / ".hydraflow"), ignore_errors=True)
        shutil.rmtree(str(folder / "done"), ignore_errors=True)
        (folder / "done").mkdir()
        for attempt in range(20):
            process = start(folder, "run", "job", "--resume")
            if attempt < 3:
                time.sleep(chance.uniform(0.05, 0.25))
                killed += process.poll() is None
                process.send_signal(number)
            out = process.communicate(timeout=60)[0]
            if os.path.isdir(str(folder / ".hydraflow" / "job")):
                result = run("status", "job", "--json", cwd=str(folder))
                if result.status == 0:
                    assert len(json.loads(result.out)["tasks"]) <= TASKS
                else:  # killed before there was a record
                    assert result.status == 2
            if process.returncode == 0:
                break
        assert process.returncode == 0, (turn, out)
        done = {name: (folder / "done" / name).read_text().count("x") for name in os.listdir(str(folder / "done"))}
        most = dict.fromkeys((f"a={index}" for index in range(1, TASKS + 1)), 1)
        if number == signal.SIGINT:  # what was asked to stop has not succeeded, even if it did its deed behind the trap
            told = json.loads(run("status", "job", "--json", cwd=str(folder)).out)["tasks"]
            most = {f"a={task['params']['a']}": task["attempts"] for task in told}
        assert set(done) == set(most) and all(1 <= done[name] <= most[name] for name in done), (turn, done, most, out)
    assert killed > turn / 2


def shells(folder):
    """Return the recording shells of a folder's tasks that are there."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if words[:2] == [b"/bin/sh", b"-c"] and any(word.startswith(os.fsencode(f"{folder}/.hydraflow/")) for word in words):
            found.append(int(name))
    return found


def strike(weapon, process, folder, chance):
    """Kill or interrupt something of a run that is under way."""
    if weapon in ("program", "interrupt"):
        process.send_signal(signal.SIGKILL if weapon == "program" else signal.SIGINT)
        return
    there = shells(folder)
    if there:
        kill = os.kill if weapon == "shell" else os.killpg
        try:
            kill(chance.choice(there), signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended meanwhile


WEAPONS = ("program", "shell", "group", "interrupt")


@pytest.mark.parametrize("weapons", [WEAPONS[:1], WEAPONS], ids=["program", "all"])
def test_chain(folder, weapons):
    """Chains of resumes, each struck at a random moment: no task ever runs beside itself, or again when it has succeeded."""
    (folder / "hydraflow.yaml").write_text(
        "jobs:\n  job:\n    run: sh -c 'exec 9>lock-$0; flock -n 9 || echo $0 >> twice; sleep 0.1; echo x >> done/$0'\n    hydra: false\n"
        f"    max-parallel: 3\n    retries: 1\n    steps: [{{batch: 'a=1:{TASKS}'}}]\n", encoding="utf-8")
    chance = random.Random(len(weapons))
    for turn in range(max(TURNS // 20, 1)):
        for name in ("done", ".hydraflow"):
            shutil.rmtree(str(folder / name), ignore_errors=True)
        (folder / "done").mkdir()
        strikes = [chance.choice(weapons) for _ in range(8)]
        for weapon in [*strikes, ""]:
            process = start(folder, "run", "job", "--resume")
            if weapon:
                time.sleep(chance.uniform(0.1, 0.35))
                strike(weapon, process, folder, chance)
            out = process.communicate(timeout=60)[0]
            if process.returncode == 0:
                break
        assert process.returncode == 0, (turn, strikes, out)
        assert not (folder / "twice").exists(), (turn, strikes, out)
        told = json.loads(run("status", "job", "--json", cwd=str(folder)).out)["tasks"]
        assert {task["state"] for task in told} == {"succeeded"} and len(told) == TASKS, (turn, strikes, told)
        for task in told:
            count = (folder / "done" / f"a={task['params']['a']}").read_text().count("x")
            most = 1 if weapons == WEAPONS[:1] else task["attempts"]
            assert 1 <= count <= most, (turn, strikes, task, count)
@pytest.fixture
def small_disk(tmp_path):
    """A file system of four megabytes, in which the program and its byte code have space."""
    path = tmp_path / "small"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(path)], stderr=subprocess.DEVNULL).returncode == 0
    if not mounted:
        pytest.skip("mounting a tmpfs needs root")
    shutil.copy(os.path.join(ROOT, "hydraflow.py"), str(path))
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)
def test_full_disk(small_disk, tmp_path):
    """What has finished on a full disk is known, the message says what happened, and --resume goes on."""
    effects = tmp_path / "effects"
    (small_disk / "hydraflow.yaml").write_text(
        f"jobs:\n  job:\n    run: sh -c 'test $0 = a=2 && head -c 6000000 /dev/zero > filler; echo $0 >> {effects}'\n"
        "    hydra: false\n    steps: [{batch: a=1:200}]\n", encoding="utf-8")
    result = run("run", "job", cwd=str(small_disk))
    assert result.status == 1, result
    assert "No space left on device" in result.err
    assert "Traceback" not in result.err
    done = effects.read_text().split()
    assert done == [f"a={index}" for index in range(1, len(done) + 1)] and 2 <= len(done) < 200
    states = json.loads(run("status", "job", "--json", cwd=str(small_disk)).out)["states"]
    assert states["succeeded"] == len(done)
    result = run("run", "job", "--resume", cwd=str(small_disk))
    assert result.status in (1, 2) and "No space left on device" in result.err, result
    (small_disk / "filler").unlink()
    assert run("run", "job", "--resume", cwd=str(small_disk)).status == 0
    assert effects.read_text().split() == [f"a={index}" for index in range(1, 201)]

