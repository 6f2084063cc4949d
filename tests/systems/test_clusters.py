"""Array jobs on a real Slurm and a real Grid Engine: each test submits, lets something happen, and looks."""
import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from support import wait_until

OLD_PYTHON = """import sys
sys.version_info = (3, 5)
sys.argv = sys.argv[sys.argv.index("-c"):]
exec(sys.argv[1])
"""
TASK = "sh -c 'echo task $0 prints this; test ! -e stop-$0 || exit 3; touch done/$0'"  # $0 is the task's only word


def states(cluster, job="job", **changes):
    """Return the states of a job's tasks, by number."""
    result = cluster.hydraflow("status", job, "--json", **changes)
    assert result.status == 0, result
    return {task["task"]: task["state"] for task in json.loads(result.out)["tasks"]}


def tasks(cluster, job="job"):
    """Return what is known of a job's tasks."""
    return json.loads(cluster.hydraflow("status", job, "--json").out)["tasks"]


def submitted(cluster, *argv, **changes):
    """Run a job, and return the ids of its array jobs."""
    result = cluster.hydraflow("run", *argv, **changes)
    assert result.status == 0, result
    return [line.split("array job ")[1].split()[0] for line in result.err.splitlines() if "array job " in line]


def counting(cluster):
    """Return changes of the environment with which every submission leaves its words in submissions.txt."""
    program = cluster.submit.split()[0]
    return cluster.shim(program, 'test "$1" = --version || printf "%s|" "$@" >> submissions.txt; '
                                 'test "$1" = --version || echo >> submissions.txt; exec "$REAL" "$@"')


@pytest.fixture(scope="module")
def time_limited(slurm_daemons, tmp_path_factory):
    """A job that Slurm ends after its shortest limit, a minute: submitted first and looked at last.

    Ten seconds after its begin, the element gets USR1.
    """
    folder = tmp_path_factory.mktemp("time-limit")
    slurm_daemons.folder = folder
    shutil.copy("hydraflow.py", str(folder))
    (folder / "done").mkdir()
    slurm_daemons.job("""
jobs:
  job:
    run: sh -c 'trap "echo got >> signals" USR1; echo begun; test $0 = a=1 || i=0; while test ${i:-300} -lt 300; do i=$((i+1)); sleep 1; done; touch done/$0'
    submit: sbatch --time=1 --signal=B:USR1@50
    hydra: false
    steps: [{batch: 'a=1:2'}]
""".replace("${i:-300}", "$((${i:-300}))"))
    assert slurm_daemons.hydraflow("run", "job").status == 0
    return folder


def test_first_the_slow_one(time_limited):
    """It goes on while the others are tested."""
    assert os.path.isdir(str(time_limited / ".hydraflow" / "job"))


def test_thousand_tasks(cluster):
    """One submission; all of them succeed, each once, and the status says so in one query."""
    cluster.job("jobs: {job: {run: sh -c 'echo x >> done/$0', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:1000'}]}}")
    pack = () if cluster.name == "slurm" else ("--pack", "10")  # Grid Engine starts some 16 elements a second here
    result = cluster.hydraflow("run", "job", "--wait", *pack, **counting(cluster))
    assert result.status == 0, result
    assert "1,000 tasks: 1,000 succeeded" in result.err
    assert len((cluster.folder / "submissions.txt").read_text().splitlines()) == 1
    assert len(cluster.effects()) == 1000
    assert {(cluster.folder / "done" / name).read_text() for name in cluster.effects()} == {"x\n"}
    assert set(states(cluster).values()) == {"succeeded"}
    record = next((cluster.folder / ".hydraflow" / "job").glob("0*"))
    # no empty file for each element; those whose tasks others took may still begin, and end
    wait_until(lambda: not os.listdir(str(record / "scheduler")), 120)


def test_throttle(cluster):
    """max-parallel is how many elements run at once."""
    cluster.job("""
jobs:
  job:
    run: sh -c 'touch now/$0; ls now | wc -l > done/$0; sleep 0.5; rm now/$0'
    submit: SUBMIT
    hydra: false
    max-parallel: 2
    steps: [{batch: 'a=1:8'}]
""")
    (cluster.folder / "now").mkdir()
    assert cluster.hydraflow("run", "job", "--wait").status == 0
    seen = {int((cluster.folder / "done" / name).read_text()) for name in cluster.effects()}
    assert len(cluster.effects()) == 8 and max(seen) <= 2, seen


CHAIN = f"""
jobs:
  job:
    run: {TASK}
    submit: SUBMIT
    hydra: false
    steps:
      - batch: a=1:2
      - batch: b=1:3
      - batch: c=1:2
  after:
    run: {TASK}
    submit: SUBMIT
    hydra: false
    needs: job
    steps: [{{batch: 'd=1:2'}}]
"""


def test_chain_with_a_failure(cluster):
    """What waits for a failed step is skipped, in the job and in the one that needs it; --resume makes up for it."""
    cluster.job(CHAIN)
    (cluster.folder / "stop-b=2").touch()
    result = cluster.hydraflow("run", "after", "--wait")
    assert result.status == 1, result
    assert ", 4 skipped, " in result.err
    assert cluster.effects() == ["a=1", "a=2", "b=1", "b=3"]
    wait_until(lambda: list(states(cluster).values()) == ["succeeded"] * 2 + ["succeeded", "failed", "succeeded"] + ["skipped"] * 2)
    result = cluster.hydraflow("status", "job")
    assert "[4 b=2] failed: exit status 3: task b=2 prints this" in result.out
    assert "2 tasks (6, 7) skipped: what it waits for has failed" in result.out
    (cluster.folder / "stop-b=2").unlink()
    for name in cluster.effects():
        (cluster.folder / "done" / name).unlink()
    result = cluster.hydraflow("run", "after", "--wait", "--resume")
    assert result.status == 0, result
    assert cluster.effects() == ["b=2", "c=1", "c=2", "d=1", "d=2"]
    assert set(states(cluster).values()) == {"succeeded"}
    assert "7 tasks: 7 had succeeded before" in cluster.hydraflow("run", "job", "--resume", "--wait").err


def test_steps_go_on(cluster):
    """With fail-fast: false, a step waits for the end of the one before, whatever it was."""
    cluster.job(CHAIN.replace("    submit", "    fail-fast: false\n    submit", 1))
    (cluster.folder / "stop-b=2").touch()
    assert cluster.hydraflow("run", "job", "--wait").status == 1
    assert cluster.effects() == ["a=1", "a=2", "b=1", "b=3", "c=1", "c=2"]


def test_fail_fast_in_a_packed_element(cluster):
    """With fail-fast: true, no further task of a step starts; otherwise neighbours in an element don't mind."""
    cluster.job(f"jobs: {{job: {{run: {json.dumps(TASK)}, submit: SUBMIT, hydra: false, steps: [{{batch: 'a=1:4'}}]}}}}")
    (cluster.folder / "stop-a=2").touch()
    assert cluster.hydraflow("run", "job", "--wait", "--pack", "4").status == 1
    assert cluster.effects() == ["a=1", "a=3", "a=4"]
    cluster.job(f"jobs: {{fast: {{run: {json.dumps(TASK)}, submit: SUBMIT, fail-fast: true, hydra: false, steps: [{{batch: 'a=1:4'}}]}}}}")
    for name in cluster.effects():
        (cluster.folder / "done" / name).unlink()
    result = cluster.hydraflow("run", "fast", "--wait", "--pack", "4")
    assert result.status == 1 and "1 succeeded, 1 failed, 2 skipped" in result.err, result
    assert cluster.effects() == ["a=1"]


@pytest.mark.parametrize("cluster", ["pbs", "lsf"], indirect=True)
def test_array_limit_of_a_site(cluster):
    """Each scheduler is asked for its limit, and refuses what is beyond it."""
    cluster.variables["STANDIN_LIMIT"] = "3"
    cluster.job(f"jobs: {{job: {{run: {TASK}, submit: SUBMIT, hydra: false, steps: [{{batch: 'a=1:8'}}]}}}}")
    result = cluster.hydraflow("run", "job", "--wait")
    sizes = [line.split(" of ")[1] for line in result.err.splitlines() if "array job" in line]
    assert result.status == 0 and sizes == ["3 array tasks", "3 array tasks", "2 array tasks"], result
    assert len(cluster.effects()) == 8


@pytest.mark.parametrize("cluster", ["pbs"], indirect=True)
def test_history(cluster):
    """Whether PBS keeps what has ended or not: an end that a task could not tell is noticed."""
    for history in ("", "1"):
        cluster.variables["STANDIN_HISTORY"] = history
        cluster.job("jobs: {job: {run: sh -c 'test $0; sleep 300', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:2'}]}}")
        job_id, = submitted(cluster, "job")
        wait_until(lambda: set(states(cluster).values()) == {"running"})
        cluster.call(f"qdel {job_id}")
        wait_until(lambda: set(states(cluster).values()) == {"interrupted"})
        answer = cluster.call(f"qstat -t {job_id}")
        assert ("Job has finished" if history else "Unknown Job Id") in answer, answer


def test_array_limit(slurm):
    """More tasks than an array may have array tasks become several arrays, which share the throttle."""
    slurm.job("jobs: {job: {run: 'true', submit: SUBMIT --hold, max-parallel: 10, hydra: false, steps: [{batch: 'a=1:5000'}]}}")
    result = slurm.hydraflow("run", "job")
    sizes = [line.split(" of ")[1] for line in result.err.splitlines() if "array job" in line]
    assert result.status == 0 and sizes == ["2,000 array tasks", "2,000 array tasks", "1,000 array tasks"], result
    throttles = {line for line in slurm.call("squeue -h -o %K").split() if "%" in line}
    assert throttles == {"1-2000%4", "1-2000%3", "1-1000%3"}, throttles
    assert slurm.hydraflow("cancel", "job").status == 0
    assert set(states(slurm).values()) == {"interrupted"}


def test_cancel_and_resume(cluster):
    """A cancelled job says so; --resume submits what has not succeeded."""
    cluster.job("jobs: {job: {run: sh -c 'test $0 = a=1 || test -e go || sleep 300 && touch done/$0', submit: SUBMIT, hydra: false, "
                "steps: [{batch: 'a=1:3'}]}}")
    submitted(cluster, "job")
    wait_until(lambda: list(states(cluster).values()) == ["succeeded", "running", "running"])
    result = cluster.hydraflow("run", "job", "--resume")
    assert "1 had succeeded before, 2 submitted" in result.err and "array job" not in result.err, result
    assert cluster.hydraflow("cancel", "job").status == 0
    wait_until(lambda: list(states(cluster).values()) == ["succeeded", "interrupted", "interrupted"])
    assert "2 tasks (2, 3) interrupted: cancelled" in cluster.hydraflow("status", "job").out
    assert cluster.hydraflow("cancel", "job").status == 0  # nothing is left to cancel
    (cluster.folder / "go").touch()
    result = cluster.hydraflow("run", "job", "--resume", "--wait")
    assert result.status == 0, result
    assert cluster.effects() == ["a=1", "a=2", "a=3"]


def test_cancel_every_run(cluster):
    """cancel JOB ends what is open of the job, of whichever run."""
    cluster.job("jobs: {job: {run: sh -c 'test $0; sleep 300', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:2'}]}}")
    ids = submitted(cluster, "job") + submitted(cluster, "job")

    def in_every_run():
        names = [path.name for path in (cluster.folder / ".hydraflow" / "job").glob("0*")]
        return [task["state"] for name in names for task in json.loads(cluster.hydraflow("status", "job", "--run", name, "--json").out)["tasks"]]

    wait_until(lambda: in_every_run() == ["running"] * 4)
    result = cluster.hydraflow("cancel", "job")
    assert result.status == 0 and all(f"array job {job_id}" in result.err for job_id in ids), result
    wait_until(lambda: in_every_run() == ["interrupted"] * 4)
    wait_until(lambda: not any(job_id.strip("[]") in cluster.call(cluster.words.queue).split() for job_id in ids))


def test_resume_with_other_words(cluster):
    """What is submitted again is submitted with the words that the job file has now."""
    cluster.job("jobs: {job: {run: sh -c 'test -e go && touch done/$0', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:2'}]}}")
    assert cluster.hydraflow("run", "job", "--wait").status == 1
    (cluster.folder / "go").touch()
    log = counting(cluster)
    extra = {"slurm": "--comment=other", "gridengine": "-l h_rt=100", "pbs": "-l walltime=100", "lsf": "-W 100"}[cluster.name]
    cluster.job(f"jobs: {{job: {{run: sh -c 'test -e go && touch done/$0', submit: SUBMIT {extra}, hydra: false, steps: [{{batch: 'a=1:2'}}]}}}}")
    assert cluster.hydraflow("run", "job", "--resume", "--wait", **log).status == 0
    words = (cluster.folder / "submissions.txt").read_text()
    assert words.count("\n") == 1 and extra.replace(" ", "|") in words, words
    assert cluster.effects() == ["a=1", "a=2"]


def test_cancelled_by_the_scheduler(cluster):
    """What somebody else cancelled is not lost either."""
    cluster.job("jobs: {job: {run: sh -c 'test -e go || sleep 300 && touch done/$0', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:2'}]}}")
    job_id, = submitted(cluster, "job")
    wait_until(lambda: set(states(cluster).values()) == {"running"})
    cluster.call(f"{cluster.words.cancel} {job_id}")
    wait_until(lambda: set(states(cluster).values()) == {"interrupted"})
    (cluster.folder / "go").touch()
    assert cluster.hydraflow("run", "job", "--resume", "--wait").status == 0
    assert cluster.effects() == ["a=1", "a=2"]


@pytest.mark.parametrize("cluster", ["pbs"], indirect=True)
def test_who_does_not_want_to_end(cluster):
    """PBS ends the processes of an element's session, asked first and then killed: a task that ignores it is among them."""
    cluster.job("""jobs: {job: {run: sh -c 'trap "" TERM; echo $$ > pid; sleep 300', submit: SUBMIT, hydra: false}}""")
    submitted(cluster, "job")
    pid = wait_until(lambda: (cluster.folder / "pid").exists() and (cluster.folder / "pid").read_text().strip())
    assert cluster.hydraflow("cancel", "job").status == 0
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    wait_until(lambda: states(cluster) == {1: "interrupted"})


@pytest.mark.parametrize("way", ["cancel", "qdel", "h_rt"])
def test_a_killed_array_task_takes_its_tasks_with_it(gridengine, way):
    """Grid Engine kills an array task at once; what it had begun ends too, and --resume begins no second one beside it."""
    limit = " -l h_rt=0:0:4" if way == "h_rt" else ""
    gridengine.job("""jobs: {job: {run: sh -c 'trap "" TERM; test -e go && exit; sleep 300 & echo $! > child-$0; echo $$ > pid-$0; wait', """
                   f"submit: SUBMIT{limit}, hydra: false, steps: [{{batch: 'a=1:2', pack-parallel: 2}}]}}}}")
    job_id, = submitted(gridengine, "job")
    paths = [gridengine.folder / name for name in ("pid-a=1", "child-a=1", "pid-a=2", "child-a=2")]
    wait_until(lambda: all(path.exists() and path.read_text().strip() for path in paths))
    if way == "cancel":
        assert gridengine.hydraflow("cancel", "job").status == 0
    elif way == "qdel":
        gridengine.call(f"qdel {job_id}")
    pids = [path.read_text().strip() for path in paths]
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 30)
    wait_until(lambda: set(states(gridengine).values()) == {"interrupted"})
    (gridengine.folder / "go").touch()
    assert gridengine.hydraflow("run", "job", "--resume", "--wait").status == 0


def test_another_cluster(accounting):
    """What sbatch -M sends elsewhere is asked for, waited for and cancelled there, and not here by the same number."""
    accounting.job("""
jobs:
  job:
    run: sh -c 'echo x >> done/$0; until test -e go; do sleep 0.2; done; echo y >> done/$0'
    submit: sbatch -M other
    hydra: false
    steps: [{batch: 'a=1:2'}, {batch: b=1}, {batch: c=1, submit: sbatch}]
""")
    waiting = accounting.start("run", "job", "--wait")
    wait_until(lambda: accounting.effects() == ["a=1", "a=2"])
    accounting.call("sbatch --wrap 'sleep 300'")
    accounting.call("sbatch --wrap 'sleep 300'")
    wait_until(lambda: list(states(accounting).values())[:3] == ["running", "running", "queued"])
    wait_until(lambda: accounting.call("squeue -h -M other -t PD -o %T|%r").split() == ["PENDING|Dependency"])  # until it was looked at, it has none
    waiting.send_signal(2)
    out = waiting.communicate(timeout=60)[0].decode()
    assert waiting.returncode == 130, out
    assert accounting.hydraflow("cancel", "job").status == 0
    wait_until(lambda: list(states(accounting).values()) == ["interrupted", "interrupted", "skipped", "not started"])
    assert accounting.call("squeue -h -M other -o %T").split() == []
    assert len(accounting.call("squeue -h -t R,CF,PD -o %i").split()) == 2  # somebody else's, with the same numbers
    accounting.call("scancel --user root")
    (accounting.folder / "go").touch()
    result = accounting.hydraflow("run", "job", "--resume", "--wait")
    assert result.status == 0, result
    assert accounting.effects() == ["a=1", "a=2", "b=1", "c=1"]
    jobs = [path.read_text() for path in sorted(next((accounting.folder / ".hydraflow" / "job").glob("0*")).glob("submissions/*.jsonl"))]
    assert [";other" in text for text in jobs] == [True] * 4 + [False], jobs


def test_what_the_controller_has_forgotten(accounting):
    """The accounting knows how array tasks ended that squeue does not list any more; it is asked once for all of them."""
    accounting.job("""
jobs:
  job: {run: sh -c 'touch done/$0; test $0 != a=1 || test -e go || sleep 300', python: PYTHON, submit: sbatch, hydra: false, steps: [{batch: 'a=1:4'}]}
  memory: {run: python3 -c 'x = b"x" * 10**9; import time; time.sleep(300)', submit: sbatch --mem=100, hydra: false, steps: [{batch: a=1}]}
""".replace("PYTHON", str(accounting.folder / "python")))
    (accounting.folder / "python").write_text(f'#!/bin/sh\ntest "$SLURM_ARRAY_TASK_ID" != 2 || exit 42\nexec {shlex.quote(os.sys.executable)} "$@"\n')
    (accounting.folder / "python").chmod(0o755)
    job_id, = submitted(accounting, "job")
    memory_id, = submitted(accounting, "memory")
    wait_until(lambda: states(accounting) == {1: "running", 2: "interrupted", 3: "succeeded", 4: "succeeded"})
    accounting.call(f"scancel {job_id}_1")  # somebody else did
    wait_until(lambda: set(states(accounting, "memory").values()) == {"interrupted"})
    wait_until(lambda: "COMPLETED" in accounting.call(f"sacct -X -n -P -o State -j {job_id}_4"))
    accounting.call("sed -i s/MinJobAge=300/MinJobAge=2/ " + accounting.variables["SLURM_CONF"])
    accounting.call("scontrol reconfigure")
    try:
        wait_until(lambda: not accounting.call(f"squeue -h -t all -o %i -j {job_id},{memory_id}").strip().isdigit()
                   and "Invalid job id" in accounting.call(f"squeue -h -t all -o %i -j {memory_id}"), 180)
    finally:
        accounting.call("sed -i s/MinJobAge=2/MinJobAge=300/ " + accounting.variables["SLURM_CONF"])
        accounting.call("scontrol reconfigure")
    log = accounting.shim("sacct", 'echo "$@" >> asked.txt; exec "$REAL" "$@"')
    out = accounting.hydraflow("status", "job", **log).out
    assert "[1 a=1] interrupted: cancelled" in out and "[2 a=2] interrupted: its array task ended with exit status 42" in out, out
    assert "interrupted: out of memory" in accounting.hydraflow("status", "memory").out
    assert (accounting.folder / "asked.txt").read_text().splitlines() == [f"-X -n -P -o JobID,State,ExitCode -j {job_id}"]
    (accounting.folder / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(os.sys.executable)} "$@"\n')
    (accounting.folder / "go").touch()
    result = accounting.hydraflow("run", "job", "--resume", "--wait")
    assert result.status == 0 and "2 had succeeded before" in result.err, result


def test_an_answer_of_another_cluster_got_lost(accounting):
    """It is found there by its name, when it is submitted and later."""
    accounting.job("jobs: {job: {run: sh -c 'echo x >> done/$0; sleep 300', submit: sbatch -M other, hydra: false, steps: [{batch: a=1}]}}")
    lost = accounting.shim("sbatch", '"$REAL" "$@"; test "$1" = --version || { echo "Socket timed out" >&2; exit 1; }')
    assert ";other" in submitted(accounting, "job", **lost)[0]
    path = next((accounting.folder / ".hydraflow" / "job").glob("0*/submissions/1.jsonl"))
    path.write_text(path.read_text().split()[0] + "\n")  # as if HydraFlow had been killed before it knew the id
    wait_until(lambda: states(accounting) == {1: "running"})
    assert "array job" not in accounting.hydraflow("run", "job", "--resume").err
    assert accounting.hydraflow("cancel", "job").status == 0
    wait_until(lambda: states(accounting) == {1: "interrupted"})


def test_granted_devices(slurm):
    """Slot k is the k-th device of those that the scheduler granted to the array task."""
    slurm.job("""
jobs:
  job:
    run: sh -c 'echo $CUDA_VISIBLE_DEVICES > done/$0; until test -e go; do sleep 0.2; done'
    submit: sbatch --gres=gpu:2 --nodelist=n1
    env: {CUDA_VISIBLE_DEVICES: '${{ task.slot }}'}
    hydra: false
    pack-parallel: 2
    steps: [{batch: 'a=1:4'}]
""")
    submitted(slurm, "job")
    wait_until(lambda: len(slurm.effects()) == 4)
    (slurm.folder / "go").touch()
    wait_until(lambda: set(states(slurm).values()) == {"succeeded"})
    assert sorted((slurm.folder / "done" / name).read_text() for name in slurm.effects()) == ["0\n", "1\n", "2\n", "3\n"]


def test_an_array_job_that_nobody_knows(cluster):
    """What was submitted twice, as an answer got lost: the one that the record does not name ends itself with a word."""
    cluster.job("jobs: {job: {run: sh -c 'echo x >> done/$0', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:2'}]}}")
    assert cluster.hydraflow("run", "job", "--wait").status == 0
    record = next((cluster.folder / ".hydraflow" / "job").glob("0*"))
    index = {"slurm": "SLURM_ARRAY_TASK_ID", "gridengine": "SGE_TASK_ID", "pbs": "PBS_ARRAY_INDEX", "lsf": "LSB_JOBINDEX"}[cluster.name]
    own = {"slurm": "SLURM_ARRAY_JOB_ID", "gridengine": "JOB_ID", "pbs": "PBS_JOBID", "lsf": "LSB_JOBID"}[cluster.name]
    shutil.rmtree(str(record / "claims"))
    result = cluster.call(f"sh {record}/submissions/1.sh", **{index: "1", own: "987654[1].server"})
    assert "nothing is executed: these tasks are those of array job" in result, result
    assert {(cluster.folder / "done" / name).read_text() for name in cluster.effects()} == {"x\n"}


def test_python_of_the_other_machines(slurm):
    """A Python that only they have is taken at its word here; the first array task says what is wrong with it there."""
    python = slurm.folder / "there" / "python"
    slurm.job(f"jobs: {{job: {{run: sh -c 'touch done/$0', python: {python}, submit: SUBMIT --hold, hydra: false, steps: [{{batch: 'a=1:3'}}]}}}}")
    job_id, = submitted(slurm, "job")
    slurm.call(f"scontrol release {job_id}")
    wait_until(lambda: set(states(slurm).values()) == {"interrupted"})
    words = f"hydraflow: there is no program {python} on this machine; python: in the job names another: "
    assert f"3 tasks (1-3) interrupted: {words}" in slurm.hydraflow("status", "job").out
    python.parent.mkdir()
    job_id, = submitted(slurm, "job", "--resume")
    python.write_text(f"#!{os.sys.executable}\n{OLD_PYTHON}")
    python.chmod(0o755)
    slurm.call(f"scontrol release {job_id}")
    wait_until(lambda: "is no Python 3.6 or later; python: in the job names another" in slurm.hydraflow("status", "job").out)
    python.unlink()
    job_id, = submitted(slurm, "job", "--resume")
    python.symlink_to(os.sys.executable)
    slurm.call(f"scontrol release {job_id}")
    wait_until(lambda: set(states(slurm).values()) == {"succeeded"})


def test_suspended(slurm):
    """What has begun and does not go on is told as that."""
    slurm.job("jobs: {job: {run: sh -c 'test $0; until test -e go; do sleep 0.2; done', submit: SUBMIT, hydra: false, steps: [{batch: a=1}]}}")
    job_id, = submitted(slurm, "job")
    wait_until(lambda: states(slurm) == {1: "running"})
    slurm.call(f"scontrol suspend {job_id}_1")
    wait_until(lambda: tasks(slurm)[0]["why"] == "suspended")
    assert ", suspended as " in slurm.hydraflow("status", "job").out
    slurm.call(f"scontrol resume {job_id}_1")
    (slurm.folder / "go").touch()
    wait_until(lambda: states(slurm) == {1: "succeeded"})


HOLDS = {"gridengine": ("qsub -cwd -h", "qrls {}", "hqw"), "pbs": ("qsub -h", "qrls {}[]", "H: held by its owner"), "lsf": ("bsub -H", "bresume {}", "The job was suspended by the user while pending")}


@pytest.mark.parametrize("cluster", sorted(HOLDS), indirect=True)
def test_held_by_its_owner(cluster):
    """Each scheduler's own word for it is told; a step that waits for the one before it is not held."""
    submit, release, words = HOLDS[cluster.name]
    cluster.job(f"jobs: {{job: {{run: sh -c 'touch done/$0', submit: {submit}, hydra: false, steps: [{{batch: 'a=1:2'}}, {{batch: 'b=1:2', submit: SUBMIT}}]}}}}")
    job_id, _ = submitted(cluster, "job")
    wait_until(lambda: [task["why"] for task in tasks(cluster)] == ["held", "held", None, None])
    assert f"2 tasks (1, 2) queued: {words} (array job " in cluster.hydraflow("status", "job").out
    cluster.call(release.format(job_id.strip("[]")))
    wait_until(lambda: set(states(cluster).values()) == {"succeeded"})


def test_held(slurm):
    """The scheduler's reason is told by status and while one waits, with the array job to release."""
    slurm.job("jobs: {job: {run: sh -c 'touch done/$0', submit: SUBMIT --hold, hydra: false, steps: [{batch: 'a=1:3'}]}}")
    waiting = slurm.start("run", "job", "--wait")
    wait_until(lambda: (slurm.folder / ".hydraflow" / "job").exists() and set(states(slurm).values()) == {"queued"})
    job_id = tasks(slurm)[1]["job_id"]
    assert [(task["array_index"], task["why"]) for task in tasks(slurm)] == [(1, "held"), (2, "held"), (3, "held")]
    assert f"3 tasks (1-3) queued: JobHeldUser (array job {job_id})" in slurm.hydraflow("status", "job").out
    slurm.call(f"scontrol release {job_id}")
    out = waiting.communicate(timeout=120)[0].decode()
    assert waiting.returncode == 0 and "task 1 is held: JobHeldUser" in out, out


def test_requeued_in_held_state(slurm):
    """So is what somebody requeued and holds."""
    slurm.job("jobs: {job: {run: sh -c 'touch done/$0; test -e go || sleep 300', submit: SUBMIT, hydra: false, steps: [{batch: a=1}]}}")
    job_id, = submitted(slurm, "job")
    wait_until(lambda: states(slurm) == {1: "running"})
    assert f"as {job_id}_1" in slurm.hydraflow("status", "job").out
    slurm.call(f"scontrol requeuehold {job_id}_1")
    wait_until(lambda: tasks(slurm)[0]["why"] == "held")
    assert "queued: requeued, " in slurm.hydraflow("status", "job").out
    assert slurm.hydraflow("cancel", "job").status == 0


def test_error_state(gridengine):
    """What Grid Engine could not start stays in its queue, in a state that is told."""
    gridengine.job("jobs: {job: {run: 'true', submit: qsub -wd /nowhere, hydra: false, steps: [{batch: 'a=1:2'}]}}")
    submitted(gridengine, "job")
    words = "2 tasks (1, 2) queued: Eqw: error: can't chdir to /nowhere: No such file or directory (array job "
    wait_until(lambda: words in gridengine.hydraflow("status", "job").out)
    assert gridengine.hydraflow("cancel", "job").status == 0
    wait_until(lambda: set(states(gridengine).values()) == {"interrupted"})


def test_what_the_scheduler_wrote(cluster):
    """An array task that cannot begin says why where the scheduler writes: its last line is told."""
    (cluster.folder / "python").write_text(f"#!/bin/sh\ntest ! -e {shlex.quote(str(cluster.folder))}/gone || {{ echo there is no Python here >&2; exit 1; }}\nexec {shlex.quote(os.sys.executable)} \"$@\"\n")
    (cluster.folder / "python").chmod(0o755)
    cluster.job("jobs: {job: {run: 'true', python: 'PYTHON', submit: SUBMIT, hydra: false, steps: [{batch: a=1}]}}"
                .replace("PYTHON", str(cluster.folder / "python")))
    program = cluster.submit.split()[0]
    changes = cluster.shim(program, 'test "$1" = --version || touch gone; exec "$REAL" "$@"')
    submitted(cluster, "job", **changes)
    wait_until(lambda: states(cluster) == {1: "interrupted"})
    assert "there is no Python here" in cluster.hydraflow("status", "job").out


def test_more_than_a_user_may_submit(accounting):
    """The refusal says which packs would fit, and they do."""
    accounting.job("jobs: {job: {run: sh -c 'touch done/$0', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:12'}]}}")
    accounting.call("sacctmgr -i modify user root set MaxSubmitJobs=5")
    try:
        wait_until(lambda: "MaxSubmitJob" in accounting.call("sbatch --array=1-6 --wrap true"))
        result = accounting.hydraflow("run", "job")
        assert result.status == 1 and "you may have 5 array tasks at once: --pack 3 makes 4 of these 12 tasks" in result.err, result
        wait_until(lambda: not accounting.call("squeue -h"))
        assert accounting.hydraflow("run", "job", "--resume", "--pack", "3", "--wait").status == 0
    finally:
        accounting.call("sacctmgr -i modify user root set MaxSubmitJobs=-1")
    assert len(accounting.effects()) == 12


def test_cancel_one_task(cluster):
    """The array task of one task is cancelled, and the others go on; one that has others as well is left alone."""
    cluster.job("jobs: {job: {run: sh -c 'until test -e go; do sleep 0.2; done; touch done/$0', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:4'}]}}")
    submitted(cluster, "job")
    wait_until(lambda: set(states(cluster).values()) == {"running"})
    result = cluster.hydraflow("cancel", "job", "2", "a=3")
    assert result.status == 0 and "cancelled array task" not in result.err, result  # both are asked for, and none is both
    result = cluster.hydraflow("cancel", "job", "2")
    assert result.status == 0 and result.err.count("array task") == 1, result
    wait_until(lambda: list(states(cluster).values()) == ["running", "interrupted", "running", "running"])
    assert tasks(cluster)[1]["why"] == "cancelled"
    (cluster.folder / "go").touch()
    wait_until(lambda: list(states(cluster).values()) == ["succeeded", "interrupted", "succeeded", "succeeded"])
    (cluster.folder / "go").unlink()
    submitted(cluster, "job", "--pack", "2")
    wait_until(lambda: "running" in states(cluster).values())
    result = cluster.hydraflow("cancel", "job", "1")
    assert result.status == 1 and "has other tasks as well, 3: name them too, or none" in result.err, result
    assert cluster.hydraflow("cancel", "job").status == 0


def test_node_dies(slurm):
    """Its element is requeued, and goes on with the tasks that have not succeeded."""
    slurm.job("""
jobs:
  job:
    run: sh -c 'echo x >> done/$0; test $0 != a=3 || test -e go || sleep 300'
    submit: sbatch --partition=flaky --nodelist=n2
    hydra: false
    steps: [{batch: 'a=1:4'}]
""")
    submitted(slurm, "job", "--pack", "4")
    wait_until(lambda: states(slurm) == {1: "succeeded", 2: "succeeded", 3: "running", 4: "queued"})
    slurm.verb("kill-node", "n2")
    try:
        wait_until(lambda: "requeued" in slurm.hydraflow("status", "job", "--json").out)
        assert "array job" not in slurm.hydraflow("run", "job", "--resume").err
        (slurm.folder / "go").touch()
    finally:
        slurm.verb("start-node", "n2")
    wait_until(lambda: set(states(slurm).values()) == {"succeeded"})
    assert [(slurm.folder / "done" / name).read_text().count("x") for name in slurm.effects()] == [1, 1, 2, 1]


def test_node_dies_for_good(slurm):
    """Without a requeue, its task is among those that --resume submits."""
    slurm.job("jobs: {job: {run: sh -c 'touch done/$0; test -e go || sleep 300', hydra: false, "
              "submit: sbatch --partition=flaky --nodelist=n3 --no-requeue, steps: [{batch: 'a=1:1'}]}}")
    submitted(slurm, "job")
    wait_until(slurm.effects)
    slurm.verb("kill-node", "n3")
    try:
        wait_until(lambda: "task 1 interrupted: node failure" in slurm.hydraflow("status", "job").out)
    finally:
        slurm.verb("start-node", "n3")
    (slurm.folder / "go").touch()
    assert slurm.hydraflow("run", "job", "--resume", "--wait").status == 0


def test_requeued(slurm):
    """scontrol requeue: what has succeeded is not executed again."""
    slurm.job("jobs: {job: {run: sh -c 'echo x >> done/$0; test $0 != a=2 || test -e go || sleep 300', submit: SUBMIT, hydra: false, "
              "steps: [{batch: 'a=1:3'}]}}")
    job_id, = submitted(slurm, "job", "--pack", "3")
    wait_until(lambda: states(slurm) == {1: "succeeded", 2: "running", 3: "queued"})
    (slurm.folder / "go").touch()
    slurm.call(f"scontrol requeue {job_id}_1")
    wait_until(lambda: set(states(slurm).values()) == {"succeeded"})
    assert [(slurm.folder / "done" / name).read_text().count("x") for name in slurm.effects()] == [1, 2, 1]
    assert [task["attempts"] for task in tasks(slurm)] == [1, 2, 1]


def lose_its_place(slurm):
    """Let something urgent need all of the first node for a moment."""
    slurm.call("sbatch --partition=urgent --exclusive --wrap true")


def test_preempted_and_cancelled(slurm):
    """What a site cancels for something urgent, a command that waits submits again, and the step behind it; a failure it does not."""
    slurm.job("""
jobs:
  job:
    run: sh -c 'echo x >> done/$0; test $0 = a=1 || test -e go || sleep 300'
    submit: sbatch --partition=low
    hydra: false
    steps: [{batch: 'a=1:3'}, {batch: 'b=1:2'}]
""")
    waiting = slurm.start("run", "job", "--wait")
    wait_until(lambda: (slurm.folder / ".hydraflow" / "job").exists() and list(states(slurm).values()) == ["succeeded", "running", "running", "queued", "queued"])
    (slurm.folder / "go").touch()
    lose_its_place(slurm)
    out = waiting.communicate(timeout=120)[0].decode()
    assert waiting.returncode == 0 and "preempted: 2 tasks submitted again as array job" in out, out
    assert "behind them: 2 tasks submitted again as array job" in out and "retried" not in out, out
    assert [(slurm.folder / "done" / name).read_text().count("x") for name in slurm.effects()] == [1, 2, 2, 1, 1]
    assert [(task["state"], task["attempts"]) for task in tasks(slurm)] == [("succeeded", attempts) for attempts in (1, 2, 2, 1, 1)]


def test_preempted_beside_a_failure(slurm):
    """The failure is not tried again with it, and what waits for both does not begin."""
    slurm.job("""
jobs:
  job:
    run: sh -c 'echo x >> done/$0; test $0 != a=1 || exit 3; test -e go || sleep 300'
    submit: sbatch --partition=low
    hydra: false
    steps: [{batch: 'a=1:2'}, {batch: b=1}]
""")
    waiting = slurm.start("run", "job", "--wait")
    wait_until(lambda: (slurm.folder / ".hydraflow" / "job").exists() and list(states(slurm).values())[:2] == ["failed", "running"])
    (slurm.folder / "go").touch()
    lose_its_place(slurm)
    out = waiting.communicate(timeout=120)[0].decode()
    assert waiting.returncode == 1 and "preempted: 1 task submitted again" in out, out
    assert list(states(slurm).values()) == ["failed", "succeeded", "skipped"]
    assert [(slurm.folder / "done" / name).read_text().count("x") for name in slurm.effects()] == [1, 2]


def test_preempted_too_often(slurm):
    """A command gives up in the end, with the cause; where the user decides about it, at once."""
    slurm.job("jobs: {job: {run: sh -c 'echo x >> done/$0; sleep 300', submit: sbatch --partition=low, hydra: false, steps: [{batch: a=1}]}, "
              "own: {run: sh -c 'echo x >> done/$0; sleep 300', submit: sbatch --partition=low --no-requeue, hydra: false, steps: [{batch: b=1}]}}")
    for job, name, times in (("job", "a=1", 4), ("own", "b=1", 1)):
        waiting = slurm.start("run", job, "--wait")
        path = slurm.folder / "done" / name
        for count in range(1, times + 1):
            wait_until(lambda: path.exists() and path.read_text().count("x") == count, 60)
            lose_its_place(slurm)
        out = waiting.communicate(timeout=120)[0].decode()
        assert waiting.returncode == 1 and out.count("submitted again") == times - 1, out
        assert "task 1 interrupted: preempted" in slurm.hydraflow("status", job).out
        assert path.read_text().count("x") == times


def test_preempted_and_requeued(slurm):
    """Where the site requeues, the scheduler does it; retries are for failures, and none is used."""
    slurm.job("jobs: {job: {run: sh -c 'echo x >> done/$0; test -e go || sleep 300', submit: sbatch --partition=yielding, hydra: false, retries: 0, steps: [{batch: 'a=1:2'}]}}")
    waiting = slurm.start("run", "job", "--wait")
    wait_until(lambda: (slurm.folder / ".hydraflow" / "job").exists() and set(states(slurm).values()) == {"running"})
    (slurm.folder / "go").touch()
    lose_its_place(slurm)
    out = waiting.communicate(timeout=120)[0].decode()
    assert waiting.returncode == 0 and "submitted again" not in out, out
    assert [task["attempts"] for task in tasks(slurm)] == [2, 2]


def test_out_of_memory(slurm):
    """The kill of a task that takes too much is told by its name."""
    slurm.job("""
jobs:
  job:
    run: python -c 'import os, time; hold = b"x" * (1 if os.path.exists("go") else 400000000); time.sleep(0 if hold == b"x" else 60)'
    submit: sbatch --mem=100
    hydra: false
    steps: [{batch: a=1}]
""")
    submitted(slurm, "job")
    wait_until(lambda: states(slurm) == {1: "interrupted"})
    assert "out of memory" in slurm.hydraflow("status", "job").out
    (slurm.folder / "go").touch()
    assert slurm.hydraflow("run", "job", "--resume", "--wait").status == 0


def test_no_word_of_a_parameter_in_the_script(cluster):
    """Whatever stands in a value, it is a word of the task and never executed."""
    values = ["$(touch pwned)", "`touch pwned`", "a;touch pwned", "it's", 'say "x"', "two\nlines", "&& touch pwned", "%A %a", "é"]
    (cluster.folder / "show.py").write_text("import sys\nopen('done/' + sys.argv[1], 'wb').write(sys.argv[2].encode('utf-8', 'surrogateescape'))\n")
    steps = [{"run": f"python show.py ${{{{ task.index }}}}-{index} ${{{{ env.VALUE }}}}", "env": {"VALUE": value}} for index, value in enumerate(values)]
    cluster.job(json.dumps({"jobs": {"job's $(x)": {"hydra": False, "submit": cluster.submit, "fail-fast": False, "steps": steps}}}))
    result = cluster.hydraflow("run", "job's $(x)", "--wait", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert result.status == 0, result
    found = [(cluster.folder / "done" / name).read_bytes().decode() for name in cluster.effects()]
    assert found == values
    assert not (cluster.folder / "pwned").exists()
    record = next((cluster.folder / ".hydraflow").glob("*/0*"))
    for script in record.glob("submissions/*.sh"):
        text = script.read_text()
        assert "VALUE" not in text and "pwned" not in text and "show" not in text and len(text.splitlines()) == 4 + (cluster.name == "slurm")


def test_python36(cluster):
    """Elements under an ASCII locale on the oldest Python."""
    found = [path for path in (os.path.expanduser("~/.pyenv/versions/3.6.15/bin/python"), shutil.which("python3.6")) if path and os.path.exists(path)]
    if not found:
        pytest.skip("there is no Python 3.6 here")
    cluster.job(f"jobs: {{job: {{run: sh -c 'true $0; printf %s $1 > done/x', python: {found[0]}, submit: SUBMIT, hydra: false, steps: [{{batch: \"a='é ü'\", args: x=ö}}]}}}}")
    result = cluster.hydraflow("run", "job", "--wait", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert result.status == 0, (result, cluster.hydraflow("logs", "job"))
    assert (cluster.folder / "done" / "x").read_text(encoding="utf-8") == "x=ö"


@pytest.mark.parametrize("cluster", ["slurm", "gridengine"], indirect=True)
def test_as_many_as_an_allocation_grants(cluster):
    """One processor: one task at once, however many this machine has."""
    cluster.job("jobs: {job: {run: sh -c 'touch now/$0; ls now | wc -l > done/$0; sleep 0.3; rm now/$0', hydra: false, max-parallel: auto, "
                "steps: [{batch: 'a=1:4'}]}}")
    (cluster.folder / "now").mkdir()
    script = cluster.folder / "inside.sh"
    script.write_text(f"#!/bin/sh\ncd {shlex.quote(str(cluster.folder))}\n{shlex.quote(sys.executable)} -m hydraflow run job\n")
    words = {"slurm": "sbatch -W -c1 -o /dev/null", "gridengine": "qsub -sync y -cwd -S /bin/sh -o /dev/null -j y"}
    cluster.call(f"{words[cluster.name]} {script}")
    assert [(cluster.folder / "done" / name).read_text().strip() for name in cluster.effects()] == ["1"] * 4


ON_NODES = """
jobs:
  job:
    run: srun -N1 -n1 -c4 --exact sh -c 'echo $SLURMD_NODENAME > done/$0; until test -e go; do sleep 0.2; done'
    hydra: false
    steps: [{batch: 'a=1:6'}]
"""


def test_srun_fills_the_nodes_of_an_allocation(slurm):
    """The tasks of one HydraFlow, on all machines that were granted, and no more of them at once than there is room for."""
    slurm.job(ON_NODES)
    script = slurm.folder / "inside.sh"
    script.write_text(f'#!/bin/sh\n{shlex.quote(sys.executable)} -m hydraflow run job --resume --jobs "$SLURM_NTASKS"\n')
    job_id = slurm.call(f"sbatch --parsable -N2 --ntasks=4 --ntasks-per-node=2 -c4 -o out.txt {script}").strip()
    wait_until(lambda: len(slurm.effects()) == 4)
    where = [(slurm.folder / "done" / name).read_text().strip() for name in slurm.effects()]
    assert sorted(where.count(node) for node in set(where)) == [2, 2], where
    slurm.call(f"scancel {job_id}")
    wait_until(lambda: not {"running", "waiting"} & set(states(slurm).values()))
    names = list(states(slurm).values())  # a step that srun lost before HydraFlow was told to end has failed, and another one began
    assert set(names[:4]) <= {"interrupted", "failed"}, names
    assert set(names[4:]) <= {"interrupted", "failed", "not started"}, names
    wait_until(lambda: not slurm.call(f"squeue -h -t R,CG -j {job_id}").strip())  # which goes on with the run until it has ended
    (slurm.folder / "go").touch()
    slurm.call(f"sbatch -W -N2 --ntasks=4 --ntasks-per-node=2 -c4 -o out.txt {script}")
    assert set(states(slurm).values()) == {"succeeded"}, (slurm.folder / "out.txt").read_text()


def test_salloc_on_the_machine_that_submits(slurm):
    """Its shell is in no allocation: that is said, unless srun takes the tasks there."""
    (slurm.folder / "go").touch()
    for text, is_said in ((ON_NODES, False), (ON_NODES.replace("srun -N1 -n1 -c4 --exact ", ""), True)):
        slurm.job(text)
        told = slurm.call(f"salloc -N1 -n2 -c4 {shlex.quote(sys.executable)} -m hydraflow run job --jobs 2")
        assert "6 tasks: 6 succeeded" in told, told
        assert ("is on n1, and the tasks are executed on this machine: begin run: with srun" in told) == is_said, told


def test_environment_of_the_submission(slurm):
    """Options of ours win over SBATCH_*; variables of a surrounding job do not reach the tasks; configuration stays."""
    slurm.job("jobs: {job: {run: sh -c 'env > done/$0', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:2'}]}}")
    outer = {"SBATCH_ARRAY_INX": "0-9", "SBATCH_EXPORT": "NONE", "SBATCH_OUTPUT": "nowhere/x", "SBATCH_JOB_NAME": "other",
             "SBATCH_OPEN_MODE": "truncate", "SBATCH_WAIT": "1", "SLURM_JOB_ID": "77", "SLURM_CPU_BIND": "quiet,mask_cpu:0x1",
             "SLURM_MEM_PER_NODE": "1", "SLURM_ARRAY_TASK_ID": "5", "SLURM_JOB_NAME": "outer", "SLURM_NTASKS": "3",
             "SBATCH_DEPENDENCY": "afterok:1", "SLURM_TIME_FORMAT": "%s"}
    assert slurm.hydraflow("run", "job", "--wait", **outer).status == 0
    assert slurm.effects() == ["a=1", "a=2"]
    seen = dict(line.split("=", 1) for line in (slurm.folder / "done" / "a=2").read_text().splitlines() if "=" in line)
    assert seen["SLURM_ARRAY_TASK_ID"] == "2" and seen["SLURM_JOB_NAME"] != "outer" and seen["SLURM_JOB_ID"] != "77"
    assert "SLURM_CPU_BIND" not in seen and seen.get("SLURM_NTASKS") != "3"


def test_environment_of_a_surrounding_element(gridengine):
    """A job may be submitted from within an element of another one."""
    gridengine.job("jobs: {job: {run: sh -c 'env > done/$0', submit: SUBMIT -V, hydra: false, steps: [{batch: 'a=1:2'}]}}")
    outer = {"SGE_TASK_ID": "7", "JOB_ID": "99", "SGE_TASK_FIRST": "7", "JOB_NAME": "outer", "SGE_STDOUT_PATH": "/nowhere"}
    assert gridengine.hydraflow("run", "job", "--wait", **outer).status == 0
    assert gridengine.effects() == ["a=1", "a=2"]
    seen = dict(line.split("=", 1) for line in (gridengine.folder / "done" / "a=2").read_text().splitlines() if "=" in line)
    assert seen["SGE_TASK_ID"] == "2" and seen["JOB_ID"] != "99" and seen["SGE_STDOUT_PATH"] != "/nowhere"


def test_query_fails(slurm):
    """An error in passing is asked again; one that stays, and a state that nobody knows, mean: still there."""
    slurm.job("jobs: {job: {run: sh -c 'touch done/$0; until test -e go; do sleep 0.2; done', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:2'}]}}")
    submitted(slurm, "job")
    wait_until(lambda: set(states(slurm).values()) == {"running"})
    contact = 'echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1'
    passing = slurm.shim("squeue", f'test -e asked || {{ touch asked; {contact}; }}; exec "$REAL" "$@"')
    result = slurm.hydraflow("status", "job", **passing)
    assert "2 running" in result.out and result.err == "", result
    (slurm.folder / "asked").unlink()
    result = slurm.hydraflow("status", "job", **slurm.shim("squeue", contact))
    assert "2 running" in result.out and "the scheduler does not answer" in result.err and "Unable to contact" in result.err, result
    unknown = slurm.shim("squeue", '"$REAL" "$@" | sed "s/RUNNING/FROBNICATING/"')
    assert set(states(slurm, **unknown).values()) == {"running"}
    result = slurm.hydraflow("run", "job", "--resume", **slurm.shim("squeue", contact))
    assert "array job" not in result.err and "2 submitted" in result.err, result
    waiting = slurm.start("run", "job", "--wait", "--resume", **slurm.shim("squeue", 'test -e go || exit 1; exec "$REAL" "$@"'))
    (slurm.folder / "go").touch()
    out = waiting.communicate(timeout=120)[0].decode()
    assert waiting.returncode == 0, out


def test_tools_are_gone(cluster):
    """Long afterwards, on another machine: the status follows from the events, and says so where that matters."""
    cluster.job("jobs: {job: {run: sh -c 'touch done/$0; test $0 != a=2 || exit 4', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:2'}]}}")
    assert cluster.hydraflow("run", "job", "--wait").status == 1
    folder = cluster.folder / "bin"
    folder.mkdir()
    (folder / "sh").symlink_to(shutil.which("sh"))
    result = cluster.hydraflow("status", "job", PATH=str(folder))
    assert "  1 failed, 1 succeeded\n" in result.out and result.err == "", result
    events = next((cluster.folder / ".hydraflow" / "job").glob("0*/events"))
    for path in events.glob("*_slot-1-1_*"):
        path.unlink()  # as if its node had died
    result = cluster.hydraflow("status", "job", PATH=str(folder))
    assert "1 failed, 1 queued" in result.out and "the scheduler does not answer" in result.err, result


def test_nothing_queued_changes(slurm):
    """An edit, an upgrade or a deletion after the submission changes nothing that is queued."""
    slurm.job("jobs: {job: {run: sh -c 'touch done/$0', submit: SUBMIT --hold, hydra: false, steps: [{batch: 'a=1:2'}, "
              "{call: work.touch, batch: b=1}]}}")
    (slurm.folder / "work.py").write_text("def touch(words):\n    open('done/' + words[0], 'w').close()\n")
    job_id, second = submitted(slurm, "job")
    (slurm.folder / "hydraflow.yaml").write_text("jobs: {job: {run: 'false'}}")
    (slurm.folder / "hydraflow.py").rename(slurm.folder / "elsewhere.py")
    (slurm.folder / "hydraflow.py").write_text("raise SystemExit('upgraded, and broken')\n")
    slurm.call(f"scontrol release {job_id}")
    slurm.call(f"scontrol release {second}")
    wait_until(lambda: slurm.effects() == ["a=1", "a=2", "b=1"])
    (slurm.folder / "elsewhere.py").rename(slurm.folder / "hydraflow.py")
    wait_until(lambda: set(states(slurm).values()) == {"succeeded"})


def test_refused(cluster):
    """The scheduler's own message, exit status 1, nothing half submitted: the first step is cancelled."""
    cluster.job("jobs: {job: {run: sh -c 'test $0; sleep 60', submit: SUBMIT, hydra: false, steps: [{batch: a=1}, {submit: " + cluster.words.wrong + ", batch: b=1}, {batch: c=1}]}}")
    result = cluster.hydraflow("run", "job")
    assert result.status == 1, result
    assert cluster.words.refusal in result.err, result
    assert "cancelled array job" in result.err and "step 1" in result.err
    job_id = result.err.split("cancelled array job ")[1].split()[0]
    wait_until(lambda: job_id not in cluster.call(cluster.words.queue))
    wait_until(lambda: list(states(cluster).values()) == ["interrupted", "not started", "not started"])


def test_not_installed(cluster):
    """A scheduler that is not here is told with its place, before anything is written."""
    cluster.job("jobs: {job: {run: sleep 60, submit: SUBMIT, hydra: false, steps: [{batch: a=1}]}}")
    folder = cluster.folder / "bin"
    folder.mkdir()
    for name in ("sh", "sleep"):
        (folder / name).symlink_to(shutil.which(name))
    result = cluster.hydraflow("run", "job", PATH=str(folder))
    assert result.status == 1 and f"no program {cluster.submit.split()[0]}" in result.err and "Traceback" not in result.err, result
    assert not list((cluster.folder / ".hydraflow").glob("*/0*"))


def test_scheduler_is_down(gridengine):
    """Its message is shown."""
    gridengine.job("jobs: {job: {run: sleep 60, submit: SUBMIT, hydra: false, steps: [{batch: a=1}]}}")
    result = gridengine.hydraflow("run", "job", SGE_QMASTER_PORT="1")
    assert result.status == 1 and "unable to" in result.err.lower() and "Traceback" not in result.err, result
    assert not list((gridengine.folder / ".hydraflow").glob("*/0*"))


def test_dry_run(cluster):
    """It prints the submission command and the script, and changes nothing."""
    cluster.job(CHAIN)
    result = cluster.hydraflow("run", "job", "--dry-run")
    assert result.status == 0 and result.err == "", result
    assert result.out.count("#!/bin/sh") == 3 and result.out.count(f"# {cluster.submit.split()[0]} ") == 3, result.out
    commands = [line for line in result.out.splitlines() if not line.startswith("#")]
    assert [line.split()[-1] for line in commands] == ["a=1", "a=2", "b=1", "b=2", "b=3", "c=1", "c=2"]
    result = cluster.hydraflow("run", "after", "--dry-run")
    assert "<id of step 3 of job>" in result.out, result.out
    assert not (cluster.folder / ".hydraflow").exists()


def test_own_exit_status(gridengine):
    """99 and 100 of a task have no meaning for Grid Engine: no rerun, and nothing that stays in state Eqw."""
    gridengine.job("""
jobs:
  job:
    run: sh -c 'echo x >> done/$0; exit ${0#a=}'
    submit: SUBMIT -r y
    hydra: false
    steps: [{batch: 'a=99,100'}, {batch: b=1}]
""")
    result = gridengine.hydraflow("run", "job", "--wait")
    assert result.status == 1 and "exit status 99" in result.err and "exit status 100" in result.err, result
    assert [(gridengine.folder / "done" / name).read_text() for name in gridengine.effects()] == ["x\n", "x\n"]
    record = next((gridengine.folder / ".hydraflow" / "job").glob("0*"))
    job = json.loads((record / "submissions" / "1.jsonl").read_text().splitlines()[-1])["job_id"]
    wait_until(lambda: job not in gridengine.call("qstat").split())


def test_two_records_at_once(cluster):
    """Two users' worth of records: jobs submitted at the same time from one folder do not touch each other."""
    cluster.job("jobs:\n" + "".join(f"  job{name}: {{run: sh -c 'echo x >> done/{name}-$0', submit: SUBMIT, hydra: false, steps: [{{batch: 'a=1:5'}}]}}\n"
                                    for name in "pq"))
    runs = [cluster.start("run", f"job{name}", "--wait") for name in "ppq"]
    for process in runs:
        out = process.communicate(timeout=300)[0].decode()
        assert process.returncode == 0, out
    assert {(cluster.folder / "done" / name).read_text() for name in cluster.effects() if name[0] == "p"} == {"x\nx\n"}
    assert {(cluster.folder / "done" / name).read_text() for name in cluster.effects() if name[0] == "q"} == {"x\n"}
    assert len(cluster.effects()) == 10


def test_one_writer_for_each_file(cluster):
    """Elements append to files of their own."""
    cluster.job("jobs: {job: {run: 'true', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:4'}]}}")
    assert cluster.hydraflow("run", "job", "--wait").status == 0
    record = next((cluster.folder / ".hydraflow" / "job").glob("0*"))
    names = sorted(os.listdir(str(record / "events")))
    assert [name.split("_")[:2] for name in names] == [["0001", f"slot-1-{slot}"] for slot in range(1, 5)]


def test_logs_and_one_element(cluster):
    """logs shows a task's output from wherever it ran; a step of one task is an array of one."""
    cluster.job(f"jobs: {{job: {{run: {json.dumps(TASK)}, submit: SUBMIT, hydra: false, steps: [{{batch: a=1}}]}}}}")
    submitted(cluster, "job")
    result = cluster.hydraflow("logs", "job", "1", "--follow")
    assert (result.status, result.out) == (0, "task a=1 prints this\n")
    wait_until(lambda: states(cluster) == {1: "succeeded"})


def test_wait_interrupted(cluster):
    """Ctrl-C ends the waiting, not the tasks."""
    cluster.job("jobs: {job: {run: sh -c 'until test -e go; do sleep 0.2; done; touch done/$0', submit: SUBMIT, hydra: false, steps: [{batch: 'a=1:2'}]}}")
    process = cluster.start("run", "job", "--wait")
    wait_until(lambda: (cluster.folder / ".hydraflow" / "job").exists() and set(states(cluster).values()) == {"running"})
    process.send_signal(2)
    out = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 130 and "the tasks go on" in out, out
    (cluster.folder / "go").touch()
    wait_until(lambda: set(states(cluster).values()) == {"succeeded"})


def test_hydra_application(slurm):
    """A real Hydra application as array elements, each a multirun of its own."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hydra_app")
    shutil.copytree(source, str(slurm.folder / "app"))
    program = sorted(name for name in os.listdir(source) if name.endswith(".py"))[0]
    slurm.job(f"jobs: {{job: {{run: python app/{program}, submit: SUBMIT, steps: [{{batch: 'db/engine=mysql,postgresql', args: 'batch_size=1:3:k'}}]}}}}")
    path = os.pathsep.join([os.path.dirname(os.path.abspath(os.sys.executable)), os.environ["PATH"]])
    result = slurm.hydraflow("run", "job", "--wait", PATH=path)
    assert result.status == 0, (result, slurm.hydraflow("logs", "job"))
    assert len(list((slurm.folder / "multirun").glob("*/*/.hydra/overrides.yaml"))) == 6


def test_last_the_time_limit(time_limited, slurm_daemons):
    """The time limit is told by its name, USR1 has reached the task, and --resume submits it again."""
    slurm_daemons.folder = time_limited
    wait_until(lambda: states(slurm_daemons) == {1: "succeeded", 2: "interrupted"}, 180)
    assert "] interrupted: time limit" in slurm_daemons.hydraflow("status", "job").out
    assert (time_limited / "signals").read_text().startswith("got")
    path = time_limited / "hydraflow.yaml"
    path.write_text(path.read_text().replace("--time=1 ", ""))
    assert submitted(slurm_daemons, "job", "--resume")
    wait_until(lambda: states(slurm_daemons) == {1: "succeeded", 2: "running"})
    assert slurm_daemons.hydraflow("cancel", "job").status == 0


def test_silence_is_not_the_end(slurm):
    """What has left the queue without a word is found out, and submitted again."""
    slurm.job("jobs: {job: {run: sh -c 'test -e go || kill -9 0; touch done/$0', submit: SUBMIT, hydra: false, steps: [{batch: a=1}]}}")
    result = slurm.hydraflow("run", "job", "--wait")
    assert result.status == 1, result
    (slurm.folder / "go").touch()
    assert slurm.hydraflow("run", "job", "--wait", "--resume").status == 0
    assert slurm.effects() == ["a=1"]


def test_shell_quoting_of_the_dry_run(slurm):
    """Each printed submission is one command of the shell."""
    slurm.job("jobs: {'my job': {run: 'true', submit: SUBMIT --comment='a b', hydra: false, steps: [{batch: a=1}]}}")
    line = slurm.hydraflow("run", "my job", "--dry-run").out.splitlines()[0]
    words = shlex.split(line[2:])
    assert words[:2] == ["sbatch", "--comment=a b"] and words[-1].endswith("submissions/1.sh")
    assert subprocess.run(["sh", "-n", "-c", line[2:]], check=False).returncode == 0
