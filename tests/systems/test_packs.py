"""Packs of unequal tasks on a real Slurm, struck at random moments: each task's own deed is done once, if it was not in flight."""
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
    run: sh -c 'echo x >> begun/$0; sleep $(cat length/$0); echo x >> done/$0'
    submit: sbatch -c4 --mem=100 --partition=flaky,main
    hydra: false
    pack: {TASKS // PACKS}
    steps: [{{batch: 'a=1:{TASKS}'}}]
"""


def counted(folder, name):
    """Return how often each task has left its mark in a folder."""
    paths = [folder / name / f"a={number}" for number in range(1, TASKS + 1)]
    return [path.read_text().count("x") if path.exists() else 0 for path in paths]


def in_flight(folder):
    """Return the tasks that have begun, and whose deed is not done."""
    done = counted(folder, "done")  # read first: what ends meanwhile counts as in flight
    begun = counted(folder, "begun")
    return {number for number, (first, last) in enumerate(zip(begun, done), 1) if first > last}


def running(slurm, job_id):
    """Return the slots of an array job that run, and their nodes."""
    return [line.split("|") for line in slurm.call(f"squeue -h -r -t R -j {job_id} -o %K|%N").split()]


def strike(slurm, job_id, weapon, chance):
    """Strike a pack, or a node; return what was struck."""
    rows = running(slurm, job_id)
    if not rows:
        return ""
    slot, node = chance.choice(rows)
    if weapon in ("kill-node", "kill-slurmd"):
        node = next((name for _, name in rows if name != "n1"), "")  # the one that no test may kill
        if node:
            slurm.verb(weapon, node)
        return node
    slurm.call(f"{weapon} {job_id}_{slot}")
    return slot


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
    struck, nodes = set(), set()
    for weapon in weapons:
        time.sleep(chance.uniform(0.2, 4.0))
        struck |= in_flight(slurm.folder)
        target = strike(slurm, job_id, weapon, chance)
        time.sleep(0.5)
        struck |= in_flight(slurm.folder)
        print(weapon, target, "in flight:", sorted(struck))
        nodes |= {target} & {"n2", "n3"}
    try:
        wait_until(lambda: not slurm.call(f"squeue -h -j {job_id}").strip(), 120)
    finally:
        for node in nodes:
            slurm.verb("start-node", node)
    wait_until(lambda: not in_flight(slurm.folder) - struck)
    result = slurm.hydraflow("run", "job", "--resume", "--wait")
    print(result.err)
    assert result.status == 0, result
    begun, done = counted(slurm.folder, "begun"), counted(slurm.folder, "done")
    assert min(done) == 1
    twice = {number for number in range(1, TASKS + 1) if begun[number - 1] > 1 or done[number - 1] > 1}
    assert twice <= struck, (twice - struck, struck)
