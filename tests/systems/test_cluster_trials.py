"""Random arrays on a real Slurm, struck at random moments and resumed until all has succeeded: nobody twice, nobody never.

HYDRAFLOW_TRIALS is how many trials there are, HYDRAFLOW_SEED where they begin.
"""
import glob
import json
import os
import random
import signal
import time

import pytest
from support import wait_until

TRIALS = int(os.environ.get("HYDRAFLOW_TRIALS") or "6")
SEED = int(os.environ.get("HYDRAFLOW_SEED") or "1")
# Each task has a lock while it runs, and appends its start and its end; some fail once, where retries are.
TASK = ("exec 9>lock-$0; flock -n 9 || echo $0 >> twice; echo start >> log-$0; sleep 0.$((${0#?=} * 2 % 10)); "
        "test ! -e fail-$0 || { rm fail-$0; exit 1; }; sleep 0.4; echo end >> log-$0")
KINDS = {  # of arrays: the keys of the job, its steps
    "plain": ({}, ["a=1:4"]), "packs": ({"pack": 3, "pack-parallel": 2}, ["a=1:8"]), "retries": ({"retries": 1, "pack": 2}, ["a=1:5"]),
    "steps": ({}, ["a=1:4", "b=5:7"]), "throttled": ({"max-parallel": 2}, ["a=1:6"]),
}
WEAPONS = ("task", "recorder", "scancel", "requeue", "hold", "cancel", "two resumes", "killed resume")


def processes(folder):
    """Return the processes whose environment names the record of a folder, with their command lines."""
    found = []
    for path in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{path}/environ", "rb") as file:
                environment = file.read()
            with open(f"{path}/cmdline", "rb") as file:
                words = file.read()
        except OSError:
            continue  # it has ended meanwhile
        if os.fsencode(f"{folder}/.hydraflow/") in environment + words:
            found.append((int(path[6:]), words))
    return found


def strike(slurm, weapon, chance):
    """Let something happen to what is under way."""
    if weapon in ("task", "recorder"):
        there = [pid for pid, words in processes(slurm.folder) if (b"flock" in words) and (words.startswith(b"sh\0-c") == (weapon == "task"))]
        if there:
            try:
                os.kill(chance.choice(there), signal.SIGKILL)
            except ProcessLookupError:
                pass
    elif weapon == "cancel":
        slurm.hydraflow("cancel", "job")
    elif weapon in ("two resumes", "killed resume"):
        resumes = [slurm.start("run", "job", "--resume") for _ in range(2)]
        if weapon == "killed resume":
            time.sleep(chance.uniform(0.05, 0.5))
            resumes[0].kill()
        for process in resumes:
            process.communicate(timeout=120)
    else:
        elements = slurm.call("squeue -h -r -o %F_%K:%j").split()
        own = {f"{task['job_id']}_{task['array_index']}" for task in slurm.tasks() if task["job_id"]}
        elements = [name.partition(":")[0] for name in elements if name.partition(":")[0] in own]
        if elements:
            slurm.call(f"{'scancel' if weapon == 'scancel' else f'scontrol {weapon}'} {chance.choice(elements)}")
        if weapon == "hold" and elements:
            time.sleep(0.3)
            slurm.call(f"scontrol release {' '.join(elements)}")


def check(slurm, what):
    """Whatever happened, no task runs beside itself, and none that has no end has succeeded."""
    assert not (slurm.folder / "twice").exists(), what
    for task in slurm.tasks():
        name, = [f"{key}={value}" for key, value in task["params"].items()]
        path = slurm.folder / f"log-{name}"
        if task["state"] == "succeeded":
            assert path.exists() and path.read_text().endswith("end\n"), (what, task)


def trial(slurm, number, node):
    """Strike one array, and resume until its status is 0."""
    chance = random.Random(SEED * 1000 + number)
    kind = chance.choice(sorted(KINDS))
    keys, steps = KINDS[kind]
    submit = "sbatch --partition=flaky" if node else "sbatch"
    job = {"run": f"sh -c '{TASK}'", "hydra": False, "submit": submit, "steps": [{"batch": batch} for batch in steps], **keys}
    slurm.job(json.dumps({"jobs": {"job": job}}))
    names = [f"{batch[0]}={value}" for batch in steps for value in range(int(batch[2]), int(batch[4]) + 1)]
    if kind == "retries":
        for name in names[::2]:
            (slurm.folder / f"fail-{name}").touch()
    weapons = [chance.choice(WEAPONS) for _ in range(3)]
    what = (SEED, number, kind, weapons, node)
    print(what)
    slurm.hydraflow("run", "job")
    for index, weapon in enumerate(weapons):
        time.sleep(chance.uniform(0.1, 1.5))
        if node and index == 1:
            slurm.verb("kill-node", node)
        strike(slurm, weapon, chance)
        check(slurm, what)
    if node:
        slurm.verb("start-node", node)
    for _ in range(6):
        result = slurm.hydraflow("run", "job", "--resume", "--wait")
        check(slurm, what)
        if result.status == 0:
            break
    assert result.status == 0, (what, result)
    assert set(slurm.states()) == {"succeeded"} and len(slurm.tasks()) == len(names), what
    for name in names:  # what had ended was not begun once more
        lines = (slurm.folder / f"log-{name}").read_text().split()
        assert lines[-1] == "end" and lines.count("end") <= 1 + any(weapon in ("task", "recorder", "requeue", "scancel", "cancel") for weapon in weapons) * 2, (what, name, lines)
    wait_until(lambda: not [pid for pid, words in processes(slurm.folder) if b"flock" in words], 60)


@pytest.mark.parametrize("number", range(TRIALS))
def test_trial(slurm, number):
    """Of an array on nodes that live."""
    trial(slurm, number, "")
@pytest.mark.xdist_group("nodes")
@pytest.mark.parametrize("number", range(max(TRIALS // 4, 1)))
def test_trial_with_a_dead_node(slurm, number):
    """Of one whose node dies with its tasks, and comes back."""
    trial(slurm, 500 + number, "n3" if number % 2 else "n4")
def test_what_is_found(slurm):
    """The search for processes finds a task that runs, and its recorder."""
    slurm.simple("flock lock-$0 sleep 60", "a=1")
    assert slurm.hydraflow("run", "job").status == 0
    wait_until(lambda: [words for _, words in processes(slurm.folder) if b"flock" in words])
    assert slurm.hydraflow("cancel", "job").status == 0
    wait_until(lambda: not [words for _, words in processes(slurm.folder) if b"flock" in words])
