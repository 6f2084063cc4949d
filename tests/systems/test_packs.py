"""Packs of unequal tasks on a real Slurm, struck at random moments: each task's own deed is done once, if it was not in flight."""
import collections
import os
import random
import time

import pytest
from support import wait_until
from test_clusters import submitted

TURNS = max(int(os.environ.get("HYDRAFLOW_SOAK", "200")) // 200, 1)
TASKS, PACKS = 200, 8
JOB = f"""
jobs:
  job:
    run: sh -c 'read up _ </proc/uptime; echo $up >> begun/$0; sleep $(cat length/$0); read up _ </proc/uptime; echo $up >> done/$0'
    submit: sbatch -c4 --mem=100 --partition=flaky,main
    hydra: false
    pack: {TASKS // PACKS}
    steps: [{{batch: 'a=1:{TASKS}'}}]
"""


def uptime():
    """Return the seconds since the machine started."""
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])


def moments(folder, name, number):
    """Return when a task has left a mark in a folder."""
    path = folder / name / f"a={number}"
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def running(slurm, job_id):
    """Return the slots of an array job that run, and their nodes."""
    return [line.split("|") for line in slurm.call(f"squeue -h -r -t R -j {job_id} -o %K|%N").split()]


def strike(slurm, job_id, weapon, chance):
    """Strike a pack, or a node; return what was struck."""
    rows = running(slurm, job_id)
    if weapon in ("kill-node", "kill-slurmd"):
        rows = [row for row in rows if row[1] != "n1"]  # which no test may kill
    if not rows:
        return ""
    slot, node = chance.choice(rows)
    if weapon in ("kill-node", "kill-slurmd"):
        slurm.verb(weapon, node)
        return node
    slurm.call(f"{weapon} {job_id}_{slot}")
    return slot


def later_begins(folder):
    """Yield when slots began again: who was there before may be dead or not, and what it was at is done again."""
    begins = collections.defaultdict(dict)
    since = time.time() - uptime()
    for path in folder.glob(".hydraflow/job/*/claims/slot-*/*"):
        writer = os.readlink(str(path)) if path.is_symlink() else path.read_text()
        moment = path.lstat().st_mtime - since
        begins[path.parent.name][writer] = min(moment, begins[path.parent.name].get(writer, moment))
    for ups in begins.values():
        yield from sorted(ups.values())[1:]


@pytest.mark.parametrize("turn", range(TURNS))
def test_soak(slurm, turn):
    """Two packs are cancelled, one is requeued, the daemon of a node dies with its tasks or without; then the rest is resumed."""
    seed = int(os.environ.get("HYDRAFLOW_SEED", time.time() * 1000)) + turn
    print(f"HYDRAFLOW_SEED={seed - turn}")
    chance = random.Random(seed)
    for name in ("begun", "length"):
        (slurm.folder / name).mkdir()
    for number in range(1, TASKS + 1):
        (slurm.folder / "length" / f"a={number}").write_text(chance.choice(["0.05", "0.2", "0.5", "2"]))
    slurm.job(JOB)
    job_id, = submitted(slurm, "job")
    wait_until(lambda: len(running(slurm, job_id)) == PACKS)
    weapons = ["scancel", "scancel", "scontrol requeue", chance.choice(["kill-node", "kill-slurmd"])]
    chance.shuffle(weapons)
    struck, nodes = [], set()
    for weapon in weapons:
        time.sleep(chance.uniform(0.2, 4.0))
        begin = uptime()
        target = strike(slurm, job_id, weapon, chance)
        struck.append((begin - 0.1, uptime() + 1.0))
        print(f"{begin:.2f} {weapon} {target}")
        nodes |= {target} & {"n2", "n3"}
    try:
        wait_until(lambda: not slurm.call(f"squeue -h -j {job_id}").strip())
        result = slurm.hydraflow("run", "job", "--resume", "--wait")
    finally:
        for node in nodes:
            slurm.verb("start-node", node)
    assert result.status == 0, result
    print(result.err)
    struck += [(up - 0.05, up + 0.05) for up in later_begins(slurm.folder)]
    for number in range(1, TASKS + 1):
        begun, done = moments(slurm.folder, "begun", number), moments(slurm.folder, "done", number)
        end = done[0] if done else begun[-1]
        was_struck = any(begun[0] <= last and end >= first for first, last in struck)
        assert done and (was_struck or len(begun) == len(done) == 1), (number, begun, done, struck)
