"""Array jobs on a real Slurm and a real Grid Engine: each test submits, lets something happen, and looks."""
import json
import os
import re
import shlex
import shutil
import signal
import sys

import pytest
from support import wait_until

TASK = "echo task $0 prints this; test ! -e stop-$0 || exit 3; echo x >> done/$0"  # $0 is the task's only word
AWAIT = "until test -e go; do sleep 0.05; done"
QUICK = os.environ.get("HYDRAFLOW_TRIALS", "") == ""


def counting(cluster):
    """Return changes of the environment with which every submission leaves its words in submissions.txt."""
    return cluster.shim(cluster.submit.split()[0], 'test "$1" = --version || { printf "%s|" "$@"; echo; } >> submissions.txt; exec "$REAL" "$@"')


def until(cluster, *states, job="job"):
    """Wait until the tasks of a job have these states, or all of them the only one that is given."""
    def are_there():
        found = cluster.states(job)
        return found and (found == list(states) or (len(states) == 1 and set(found) == set(states)))
    wait_until(are_there)


def job_ids(cluster, job="job"):
    """Return the array jobs that a run's tasks are in."""
    return list(dict.fromkeys(task["job_id"] for task in cluster.tasks(job)))


def test_many_tasks(cluster):
    """One submission; all of them succeed, each once."""
    count = 120 if QUICK else 1000
    cluster.simple("echo x >> done/$0", f"a=1:{count}")
    pack = () if cluster.name == "slurm" else ("--pack", "10")  # Grid Engine starts some 16 elements a second here
    result = cluster.hydraflow("run", "job", "--wait", *pack, **counting(cluster))
    assert result.status == 0, result
    assert len((cluster.folder / "submissions.txt").read_text().splitlines()) == 1
    assert cluster.deeds() == {f"a={number}": 1 for number in range(1, count + 1)}
    assert set(cluster.states()) == {"succeeded"}


def test_throttle(cluster):
    """max-parallel is how many elements run at once."""
    (cluster.folder / "now").mkdir()
    cluster.simple("touch now/$0; ls now | wc -l > done/$0; sleep 0.3; rm now/$0", "a=1:6", **{"max-parallel": 2})
    assert cluster.hydraflow("run", "job", "--wait").status == 0
    seen = {int((cluster.folder / "done" / name).read_text()) for name in cluster.effects()}
    assert len(cluster.effects()) == 6 and max(seen) <= 2, seen


CHAIN = {"run": f"sh -c '{TASK}'", "submit": "SUBMIT", "hydra": False, "steps": [{"batch": "a=1:2"}, {"batch": "b=1:3"}, {"batch": "c=1:2"}]}
AFTER = {**CHAIN, "needs": "job", "steps": [{"batch": "d=1:2"}]}


@pytest.mark.parametrize("wait", [(), ("--wait",)], ids=["", "wait"])
def test_chain_with_a_failure(cluster, wait):
    """What waits for a failed step is skipped, in the job and in the one that needs it; --resume makes up for it."""
    cluster.job(json.dumps({"jobs": {"job": CHAIN, "after": AFTER}}))
    (cluster.folder / "stop-b=2").touch()
    assert cluster.hydraflow("run", "after", *wait).status == bool(wait)
    wait_until(lambda: cluster.states()[:5] == ["succeeded"] * 3 + ["failed", "succeeded"])
    wait_until(lambda: set(cluster.states()[5:]) | set(cluster.states("after") if not wait else ()) <= {"skipped", "not started"})
    assert cluster.deeds() == dict.fromkeys(("a=1", "a=2", "b=1", "b=3"), 1)
    assert cluster.tasks()[3]["exit_status"] == 3
    (cluster.folder / "stop-b=2").unlink()
    result = cluster.hydraflow("run", "after", "--wait", "--resume")
    assert result.status == 0, result
    assert set(cluster.deeds().values()) == {1} and len(cluster.effects()) == 9
    assert set(cluster.states()) == {"succeeded"}


def test_fail_fast_in_a_pack(cluster):
    """With fail-fast: true, no further task of a step starts; otherwise neighbours in an element don't mind."""
    (cluster.folder / "stop-a=2").touch()
    for fail_fast, done in ((None, ["a=1", "a=3", "a=4"]), (True, ["a=1"])):
        shutil.rmtree(str(cluster.folder / "done"))
        (cluster.folder / "done").mkdir()
        cluster.simple(TASK, "a=1:4", **({"fail-fast": True} if fail_fast else {}))
        assert cluster.hydraflow("run", "job", "--wait", "--pack", "4").status == 1
        assert cluster.effects() == done


def test_array_limit(slurm):
    """More tasks than an array may have array tasks become several arrays, which follow each other where there is a throttle."""
    slurm.simple("true", "a=1:2500", submit="sbatch --hold", **{"max-parallel": 10})
    assert slurm.hydraflow("run", "job").status == 0
    jobs = ",".join(job_ids(slurm))
    throttles = {line for line in slurm.call(f"squeue -h -o %K -j {jobs}").split() if "%" in line}
    assert sorted(throttles) == ["1-2000%10", "1-500%10"], throttles
    assert slurm.hydraflow("cancel", "job").status == 0
    until(slurm, "not started")


def test_cancel_and_resume(cluster):
    """A cancelled job says so; --resume awaits what is there, and submits what has not succeeded."""
    cluster.simple("test $0 = a=1 || test -e go || sleep 300 && echo x >> done/$0", "a=1:3")
    assert cluster.hydraflow("run", "job").status == 0
    until(cluster, "succeeded", "running", "running")
    before = job_ids(cluster)
    assert cluster.hydraflow("run", "job", "--resume").status == 0 and job_ids(cluster) == before
    assert cluster.hydraflow("cancel", "job").status == 0
    until(cluster, "succeeded", "interrupted", "interrupted")
    assert cluster.hydraflow("cancel", "job").status == 0  # nothing is left to cancel
    (cluster.folder / "go").touch()
    result = cluster.hydraflow("run", "job", "--resume", "--wait")
    assert result.status == 0 and cluster.deeds() == {"a=1": 1, "a=2": 1, "a=3": 1}, result


def test_resume_with_other_words(cluster):
    """What is submitted again is submitted with the words that the job file has now."""
    cluster.simple("test -e go && echo x >> done/$0")
    assert cluster.hydraflow("run", "job", "--wait").status == 1
    (cluster.folder / "go").touch()
    extra = {"slurm": "--comment=other", "gridengine": "-l h_rt=100"}[cluster.name]
    cluster.simple("test -e go && echo x >> done/$0", submit=f"SUBMIT {extra}")
    assert cluster.hydraflow("run", "job", "--resume", "--wait", **counting(cluster)).status == 0
    words = (cluster.folder / "submissions.txt").read_text()
    assert words.count("\n") == 1 and extra.replace(" ", "|") in words, words
    assert cluster.deeds() == {"a=1": 1, "a=2": 1}


def test_cancelled_by_the_scheduler(cluster):
    """What somebody else cancelled is not lost either."""
    cluster.simple("test -e go || sleep 300 && echo x >> done/$0")
    assert cluster.hydraflow("run", "job").status == 0
    until(cluster, "running")
    cluster.call(f"{cluster.words.cancel} {job_ids(cluster)[0]}")
    until(cluster, "interrupted")
    (cluster.folder / "go").touch()
    assert cluster.hydraflow("run", "job", "--resume", "--wait").status == 0
    assert cluster.deeds() == {"a=1": 1, "a=2": 1}


@pytest.mark.parametrize("way", ["cancel", "qdel", "h_rt"])
def test_a_killed_array_task_takes_its_tasks_with_it(gridengine, way):
    """Grid Engine kills an array task at once; what it had begun ends too, and --resume begins no second one beside it."""
    limit = " -l h_rt=0:0:4" if way == "h_rt" else ""
    gridengine.simple('trap "" TERM; test -e go && exit; sleep 300 & echo $! > child-$0; echo $$ > pid-$0; wait',
                      submit=f"SUBMIT{limit}", **{"pack-parallel": 2})
    assert gridengine.hydraflow("run", "job").status == 0
    paths = [gridengine.folder / name for name in ("pid-a=1", "child-a=1", "pid-a=2", "child-a=2")]
    wait_until(lambda: all(path.exists() and path.read_text().strip() for path in paths))
    if way == "cancel":
        assert gridengine.hydraflow("cancel", "job").status == 0
    elif way == "qdel":
        gridengine.call(f"qdel {job_ids(gridengine)[0]}")
    pids = [path.read_text().strip() for path in paths]
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 60)
    until(gridengine, "interrupted")
    (gridengine.folder / "go").touch()
    assert gridengine.hydraflow("run", "job", "--resume", "--wait").status == 0


@pytest.mark.xdist_group("accounting")
def test_another_cluster(accounting):
    """What sbatch -M sends elsewhere is asked for, waited for and cancelled there, and not here by the same number."""
    accounting.simple(f"{AWAIT}; echo x >> done/$0", submit="sbatch -M other", steps=[{"batch": "a=1:2"}, {"batch": "b=1"}, {"batch": "c=1", "submit": "sbatch"}])
    waiting = accounting.start("run", "job", "--wait")
    for _ in range(2):
        accounting.call("sbatch --wrap 'sleep 300'")
    wait_until(lambda: accounting.states()[:2] == ["running", "running"])
    waiting.send_signal(signal.SIGINT)
    out = waiting.communicate(timeout=60)[0].decode()
    assert waiting.returncode == 130, out
    assert accounting.hydraflow("cancel", "job").status == 0
    wait_until(lambda: accounting.states()[:2] == ["interrupted", "interrupted"] and not {"running", "queued"} & set(accounting.states()))
    wait_until(lambda: accounting.call("squeue -h -M other -o %T").split() == [])
    assert len(accounting.call("squeue -h -t R,CF,PD -o %i").split()) == 2  # somebody else's, with the same numbers
    accounting.call("scancel --user root")
    (accounting.folder / "go").touch()
    result = accounting.hydraflow("run", "job", "--resume", "--wait")
    assert result.status == 0 and accounting.deeds() == dict.fromkeys(("a=1", "a=2", "b=1", "c=1"), 1), result


@pytest.mark.xdist_group("accounting")
def test_what_the_controller_has_forgotten(accounting):
    """The accounting knows how array tasks ended that squeue does not list any more."""
    python = accounting.folder / "python"
    python.write_text(f'#!/bin/sh\ntest "$SLURM_ARRAY_TASK_ID" != 2 || exit 42\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    memory = {"run": "python3 -c 'x = b\"x\" * 10**9; import time; time.sleep(300)'", "submit": "sbatch --mem=100", "hydra": False, "steps": [{"batch": "a=1"}]}
    job = {"run": "sh -c 'echo x >> done/$0; test $0 != a=1 || test -e go || sleep 300'", "python": str(python), "submit": "sbatch", "hydra": False,
           "steps": [{"batch": "a=1:4"}]}
    accounting.job(json.dumps({"jobs": {"job": job, "memory": memory}}))
    wait_until(lambda: "Submitted" in accounting.call("sbatch --array=1-9 --wrap true"))  # no limit of another test holds
    for name in ("job", "memory"):
        assert accounting.hydraflow("run", name).status == 0
    wait_until(lambda: accounting.effects() == ["a=1", "a=3", "a=4"])
    (job_id,), (memory_id,) = job_ids(accounting), job_ids(accounting, "memory")
    accounting.call(f"scancel {job_id}_1")  # somebody else did
    until(accounting, "interrupted", job="memory")
    wait_until(lambda: "COMPLETED" in accounting.call(f"sacct -X -n -P -o State -j {job_id}_4"))
    accounting.call("sed -i s/MinJobAge=300/MinJobAge=2/ " + accounting.variables["SLURM_CONF"])
    accounting.call("scontrol reconfigure")
    try:
        wait_until(lambda: all("Invalid job id" in accounting.call(f"squeue -h -t all -o %i -j {name}") for name in (job_id, memory_id)), 180)
    finally:
        accounting.call("sed -i s/MinJobAge=2/MinJobAge=300/ " + accounting.variables["SLURM_CONF"])
        accounting.call("scontrol reconfigure")
    until(accounting, "interrupted", "not started", "succeeded", "succeeded")
    assert re.search("memory", accounting.hydraflow("status", "memory").out, re.IGNORECASE)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (accounting.folder / "go").touch()
    result = accounting.hydraflow("run", "job", "--resume", "--wait")
    assert result.status == 0 and accounting.deeds() == {"a=1": 2, "a=2": 1, "a=3": 1, "a=4": 1}, result


@pytest.mark.xdist_group("accounting")
def test_an_answer_of_another_cluster_got_lost(accounting):
    """It is found there by its name: nothing is submitted a second time."""
    accounting.simple("echo x >> done/$0; sleep 300", "a=1", submit="sbatch -M other")
    lost = accounting.shim("sbatch", '"$REAL" "$@"; test "$1" = --version || { echo "Socket timed out" >&2; exit 1; }')
    assert accounting.hydraflow("run", "job", **lost).status == 0
    until(accounting, "running")
    assert accounting.hydraflow("run", "job", "--resume").status == 0 and accounting.deeds() == {"a=1": 1}
    assert accounting.hydraflow("cancel", "job").status == 0
    until(accounting, "interrupted")
@pytest.mark.xdist_group("accounting")
def test_more_than_a_user_may_submit(accounting):
    """The refusal tells nothing half done, and packs fit."""
    accounting.simple("echo x >> done/$0", "a=1:12")
    accounting.call("sacctmgr -i modify user root set MaxSubmitJobs=5")
    try:
        wait_until(lambda: "MaxSubmitJob" in accounting.call("sbatch --array=1-6 --wrap true"))
        result = accounting.hydraflow("run", "job")
        assert result.status == 1 and "MaxSubmitJob" in result.err, result
        wait_until(lambda: not accounting.call("squeue -h"))
        assert accounting.hydraflow("run", "job", "--resume", "--pack", "3", "--wait").status == 0
    finally:
        accounting.call("sacctmgr -i modify user root set MaxSubmitJobs=-1")
        wait_until(lambda: "Submitted" in accounting.call("sbatch --array=1-9 --wrap true"))
        wait_until(lambda: not accounting.call("squeue -h"))
    assert set(accounting.deeds().values()) == {1} and len(accounting.effects()) == 12


def test_granted_devices(slurm):
    """Slot k is the k-th device of those that the scheduler granted to the array task."""
    slurm.simple(f"echo $CUDA_VISIBLE_DEVICES > done/$0; {AWAIT}", "a=1:4", submit="sbatch --gres=gpu:2 --nodelist=n1",
                 env={"CUDA_VISIBLE_DEVICES": "${{ task.slot }}"}, **{"pack-parallel": 2})
    assert slurm.hydraflow("run", "job").status == 0
    wait_until(lambda: len(slurm.effects()) == 4)
    (slurm.folder / "go").touch()
    until(slurm, "succeeded")
    assert sorted((slurm.folder / "done" / name).read_text() for name in slurm.effects()) == ["0\n", "1\n", "2\n", "3\n"]


OLD_PYTHON = "import sys\nsys.version_info = (3, 5)\nsys.argv = sys.argv[sys.argv.index('-c'):]\nexec(sys.argv[1])\n"


def test_python_of_the_other_machines(slurm):
    """A Python that only they have is taken at its word here; the first array task says what is wrong with it there."""
    python = slurm.folder / "there" / "python"
    slurm.simple("touch done/$0", submit="sbatch --hold", python=str(python))
    for text in ("", f"#!{sys.executable}\n{OLD_PYTHON}"):
        shutil.rmtree(str(python.parent), ignore_errors=True)
        assert slurm.hydraflow("run", "job", "--resume").status == 0
        python.parent.mkdir()
        if text:
            python.write_text(text)
            python.chmod(0o755)
        slurm.call(f"scontrol release {job_ids(slurm)[0]}")
        wait_until(lambda: not {"queued", "running"} & set(slurm.states()))
        assert ("3.6" if text else str(python)) in slurm.hydraflow("status", "job").out
    assert slurm.effects() == []
    shutil.rmtree(str(python.parent))
    assert slurm.hydraflow("run", "job", "--resume").status == 0
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    slurm.call(f"scontrol release {job_ids(slurm)[0]}")
    until(slurm, "succeeded")


HOLDS = {"slurm": ("sbatch --hold", "scontrol release {}", "JobHeldUser"), "gridengine": ("qsub -cwd -h", "qrls {}", "hqw")}


def test_held(cluster):
    """The scheduler's own reason is told by status; a step that waits for the one before it is not held."""
    submit, release, words = HOLDS[cluster.name]
    cluster.simple("touch done/$0", steps=[{"batch": "a=1:2", "submit": submit}, {"batch": "b=1:2"}])
    assert cluster.hydraflow("run", "job").status == 0
    wait_until(lambda: words in cluster.hydraflow("status", "job").out)
    assert cluster.states()[:2] == ["queued"] * 2
    cluster.call(release.format(job_ids(cluster)[0]))
    until(cluster, "succeeded")


def test_error_state(gridengine):
    """What Grid Engine could not start stays in its queue, in a state that is told."""
    gridengine.simple("true", submit="qsub -wd /nowhere")
    assert gridengine.hydraflow("run", "job").status == 0
    wait_until(lambda: "Eqw" in gridengine.hydraflow("status", "job").out)
    assert gridengine.hydraflow("cancel", "job").status == 0
    until(gridengine, "not started")


def test_what_the_scheduler_wrote(cluster):
    """An array task that cannot begin says why where the scheduler writes: its last line is told."""
    python = cluster.folder / "python"
    python.write_text(f"#!/bin/sh\ntest ! -e {shlex.quote(str(cluster.folder))}/gone || {{ echo there is no Python here >&2; exit 1; }}\n"
                      f"exec {shlex.quote(sys.executable)} \"$@\"\n")
    python.chmod(0o755)
    cluster.simple("true", "a=1", python=str(python))
    changes = cluster.shim(cluster.submit.split()[0], 'test "$1" = --version || touch gone; exec "$REAL" "$@"')
    assert cluster.hydraflow("run", "job", **changes).status == 0
    wait_until(lambda: not {"queued", "running"} & set(cluster.states()))
    assert "there is no Python here" in cluster.hydraflow("status", "job").out


def test_cancel_one_task(cluster):
    """The array task of one task is cancelled, and the others go on; one that has others as well is left alone."""
    cluster.simple(f"{AWAIT}; touch done/$0", "a=1:4")
    assert cluster.hydraflow("run", "job").status == 0
    until(cluster, "running")
    assert cluster.hydraflow("cancel", "job", "2").status == 0
    until(cluster, "running", "interrupted", "running", "running")
    (cluster.folder / "go").touch()
    until(cluster, "succeeded", "interrupted", "succeeded", "succeeded")
    (cluster.folder / "go").unlink()
    assert cluster.hydraflow("run", "job", "--pack", "2").status == 0
    wait_until(lambda: "running" in cluster.states())
    assert cluster.hydraflow("cancel", "job", "1").status == 1
    assert cluster.hydraflow("cancel", "job").status == 0


@pytest.mark.xdist_group("nodes")
def test_node_dies(slurm):
    """Its element is requeued, and goes on with the tasks that have not succeeded."""
    slurm.simple("echo x >> done/$0; test $0 != a=3 || test -e go || sleep 300", "a=1:4", submit="sbatch --partition=flaky --nodelist=n3")
    assert slurm.hydraflow("run", "job", "--pack", "4").status == 0
    wait_until(lambda: slurm.states()[:3] == ["succeeded", "succeeded", "running"])
    slurm.verb("kill-node", "n3")
    try:
        wait_until(lambda: slurm.states()[2] == "queued")
        before = job_ids(slurm)
        assert slurm.hydraflow("run", "job", "--resume").status == 0 and job_ids(slurm) == before
        (slurm.folder / "go").touch()
    finally:
        slurm.verb("start-node", "n3")
    until(slurm, "succeeded")
    assert slurm.deeds() == {"a=1": 1, "a=2": 1, "a=3": 2, "a=4": 1}


@pytest.mark.xdist_group("nodes")
def test_node_dies_for_good(slurm):
    """Without a requeue, its task is among those that --resume submits."""
    slurm.simple("touch done/$0; test -e go || sleep 300", "a=1:1", submit="sbatch --partition=flaky --nodelist=n4 --no-requeue")
    assert slurm.hydraflow("run", "job").status == 0
    wait_until(slurm.effects)
    slurm.verb("kill-node", "n4")
    try:
        until(slurm, "interrupted")
        assert re.search("node", slurm.hydraflow("status", "job").out, re.IGNORECASE)
    finally:
        slurm.verb("start-node", "n4")
    (slurm.folder / "go").touch()
    assert slurm.hydraflow("run", "job", "--resume", "--wait").status == 0


def test_requeued(slurm):
    """scontrol requeue: what has succeeded is not executed again."""
    slurm.simple('trap "" TERM; echo x >> done/$0; test $0 != a=2 || test -e go || sleep 300', "a=1:3")
    assert slurm.hydraflow("run", "job", "--pack", "3").status == 0
    wait_until(lambda: slurm.states()[:2] == ["succeeded", "running"])
    (slurm.folder / "go").touch()
    slurm.call(f"scontrol requeue {job_ids(slurm)[0]}_1")
    until(slurm, "succeeded")
    assert slurm.deeds() == {"a=1": 1, "a=2": 2, "a=3": 1}
    assert [task["attempts"] for task in slurm.tasks()] == [1, 2, 1]


@pytest.mark.xdist_group("preempted")
@pytest.mark.parametrize(("partition", "failing", "status", "counts"), [
    ("low", False, 0, {"a=1": 1, "a=2": 2, "b=1": 1}), ("low", True, 1, {"a=1": 1, "a=2": 2}), ("yielding", False, 0, {"a=1": 1, "a=2": 2, "b=1": 1})])
def test_preempted(slurm, partition, failing, status, counts):
    """What loses its place to something urgent begins again, cancelled or requeued by the site; a failure beside it does not."""
    slurm.simple(f"echo x >> done/$0; test $0 = a=1 && exit {3 * failing}; test -e go || sleep 300", submit=f"sbatch --partition={partition}",
                 steps=[{"batch": "a=1:2"}, {"batch": "b=1"}])
    waiting = slurm.start("run", "job", "--wait")
    wait_until(lambda: slurm.states()[:2] == [("succeeded", "failed")[failing], "running"])
    (slurm.folder / "go").touch()
    slurm.call("sbatch --partition=urgent --exclusive --wrap true")
    out = waiting.communicate(timeout=120)[0].decode()
    assert waiting.returncode == status and slurm.deeds() == counts, out
    assert [task["attempts"] for task in slurm.tasks()[:2]] == [1, 2]


@pytest.mark.xdist_group("preempted")
def test_preempted_too_often(slurm):
    """A command gives up in the end."""
    for submit, most in (("sbatch --partition=low", 9), ("sbatch --partition=low --no-requeue", 3)):
        (slurm.folder / "done" / "a=1").write_text("")
        slurm.simple("echo x >> done/$0; sleep 300", "a=1", submit=submit)
        waiting = slurm.start("run", "job", "--wait")
        struck = 0
        while waiting.poll() is None:
            wait_until(lambda struck=struck: waiting.poll() is not None or slurm.deeds()["a=1"] > struck)
            if waiting.poll() is None:
                struck += 1
                slurm.call("sbatch --partition=urgent --exclusive --wrap true")
            assert struck <= most
        waiting.communicate()
        assert waiting.returncode == 1 and slurm.states() == ["interrupted"]


def test_out_of_memory(slurm):
    """The kill of a task that takes too much is told by its name."""
    code = 'import os, time; hold = b"x" * (1 if os.path.exists("go") else 400000000); time.sleep(0 if hold == b"x" else 60)'
    slurm.simple("", "a=1", submit="sbatch --mem=100", run=f"python3 -c '{code}'")
    assert slurm.hydraflow("run", "job").status == 0
    wait_until(lambda: slurm.states() == ["interrupted"])
    assert re.search("memory", slurm.hydraflow("status", "job").out, re.IGNORECASE)
    (slurm.folder / "go").touch()
    assert slurm.hydraflow("run", "job", "--resume", "--wait").status == 0


def test_time_limit(slurm):
    """It is told by its name, USR1 has reached the task before, and --resume submits it again: Slurm's shortest limit is a minute."""
    slurm.simple('trap "echo got >> signals" USR1; until test -e go; do sleep 0.2; done', "a=1", submit="sbatch --time=1 --signal=B:USR1@50")
    assert slurm.hydraflow("run", "job").status == 0
    wait_until(lambda: slurm.states() == ["interrupted"], 200)
    assert re.search("time.?limit|timeout", slurm.hydraflow("status", "job").out, re.IGNORECASE)
    assert (slurm.folder / "signals").read_text().startswith("got")
    (slurm.folder / "go").touch()
    assert slurm.hydraflow("run", "job", "--resume", "--wait").status == 0


def test_no_word_of_a_parameter_is_executed(cluster):
    """Whatever stands in a value, it is a word of the task."""
    values = ["$(touch pwned)", "`touch pwned`", "a;touch pwned", "it's", 'say "x"', "two\nlines", "&& touch pwned", "%A %a", "é"]
    (cluster.folder / "show.py").write_text("import sys\nopen('done/' + sys.argv[1], 'wb').write(sys.argv[2].encode('utf-8', 'surrogateescape'))\n")
    steps = [{"run": f"python3 show.py ${{{{ task.index }}}}-{index} ${{{{ env.VALUE }}}}", "env": {"VALUE": value}} for index, value in enumerate(values)]
    cluster.job(json.dumps({"jobs": {"job's $(x)": {"hydra": False, "submit": cluster.submit, "fail-fast": False, "steps": steps}}}))
    result = cluster.hydraflow("run", "job's $(x)", "--wait", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert result.status == 0, result
    assert [(cluster.folder / "done" / name).read_bytes().decode() for name in cluster.effects()] == values
    assert not (cluster.folder / "pwned").exists()


def test_python36(cluster):
    """Elements under an ASCII locale on the oldest Python."""
    found = [path for path in (os.path.expanduser("~/.pyenv/versions/3.6.15/bin/python"), shutil.which("python3.6")) if path and os.path.exists(path)]
    if not found:
        pytest.skip("there is no Python 3.6 here")
    cluster.simple("", python=found[0], run="sh -c 'true $0; printf %s $1 > done/x'", steps=[{"batch": "a='é ü'", "args": "x=ö"}])
    result = cluster.hydraflow("run", "job", "--wait", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert result.status == 0, (result, cluster.hydraflow("logs", "job"))
    assert (cluster.folder / "done" / "x").read_text(encoding="utf-8") == "x=ö"


@pytest.mark.parametrize("cluster", ["slurm", "gridengine"], indirect=True)
def test_as_many_as_an_allocation_grants(cluster):
    """One processor: one task at once, however many this machine has."""
    (cluster.folder / "now").mkdir()
    cluster.simple("touch now/$0; ls now | wc -l > done/$0; sleep 0.2; rm now/$0", "a=1:4", submit="", **{"max-parallel": "auto"})
    script = cluster.folder / "inside.sh"
    script.write_text(f"#!/bin/sh\ncd {shlex.quote(str(cluster.folder))}\n{shlex.quote(sys.executable)} -m hydraflow run job\n")
    words = {"slurm": "sbatch -W -c1 -o /dev/null", "gridengine": "qsub -sync y -cwd -S /bin/sh -o /dev/null -j y"}
    cluster.call(f"{words[cluster.name]} {script}")
    assert [(cluster.folder / "done" / name).read_text().strip() for name in cluster.effects()] == ["1"] * 4


SURROUNDING = {
    "slurm": {"SBATCH_ARRAY_INX": "0-9", "SBATCH_EXPORT": "NONE", "SBATCH_OUTPUT": "nowhere/x", "SBATCH_JOB_NAME": "other", "SBATCH_WAIT": "1",
              "SLURM_JOB_ID": "77", "SLURM_CPU_BIND": "quiet,mask_cpu:0x1", "SLURM_MEM_PER_NODE": "1", "SLURM_ARRAY_TASK_ID": "5",
              "SLURM_JOB_NAME": "outer", "SLURM_NTASKS": "3", "SBATCH_DEPENDENCY": "afterok:1", "SLURM_TIME_FORMAT": "%s"},
    "gridengine": {"SGE_TASK_ID": "7", "JOB_ID": "77", "SGE_TASK_FIRST": "7", "JOB_NAME": "outer", "SGE_STDOUT_PATH": "/nowhere"},
}


@pytest.mark.parametrize("cluster", ["slurm", "gridengine"], indirect=True)
def test_environment_of_the_submission(cluster):
    """Options of ours win over SBATCH_*; variables of a surrounding job do not reach the tasks."""
    cluster.simple("env > done/$0", submit=cluster.submit + (" -V" if cluster.name == "gridengine" else ""))
    assert cluster.hydraflow("run", "job", "--wait", **SURROUNDING[cluster.name]).status == 0
    assert cluster.effects() == ["a=1", "a=2"]
    seen = dict(line.split("=", 1) for line in (cluster.folder / "done" / "a=2").read_text().splitlines() if "=" in line)
    if cluster.name == "slurm":
        assert seen["SLURM_ARRAY_TASK_ID"] == "2" and seen["SLURM_JOB_NAME"] != "outer" and seen["SLURM_JOB_ID"] != "77"
        assert "SLURM_CPU_BIND" not in seen and seen.get("SLURM_NTASKS") != "3"
    else:
        assert seen["SGE_TASK_ID"] == "2" and seen["JOB_ID"] != "77" and seen["SGE_STDOUT_PATH"] != "/nowhere"


def test_query_fails(slurm):
    """An error in passing is asked again; one that stays, and a state that nobody knows, mean: still there."""
    slurm.simple(f"echo x >> done/$0; {AWAIT}")
    assert slurm.hydraflow("run", "job").status == 0
    until(slurm, "running")
    contact = 'echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1'
    passing = slurm.shim("squeue", f'test -e asked || {{ touch asked; {contact}; }}; exec "$REAL" "$@"')
    assert "Unable" not in slurm.hydraflow("status", "job", **passing).out and slurm.states(**passing) == ["running"] * 2
    down = slurm.shim("squeue", contact)
    assert "Unable to contact" in slurm.hydraflow("status", "job", **down).out and slurm.states(**down) == ["running"] * 2
    assert slurm.states(**slurm.shim("squeue", '"$REAL" "$@" | sed "s/RUNNING/FROBNICATING/"')) == ["running"] * 2
    slurm.hydraflow("run", "job", "--resume", **slurm.shim("squeue", contact))
    waiting = slurm.start("run", "job", "--wait", "--resume", **slurm.shim("squeue", 'test -e go || exit 1; exec "$REAL" "$@"'))
    (slurm.folder / "go").touch()
    out = waiting.communicate(timeout=120)[0].decode()
    assert waiting.returncode == 0 and slurm.deeds() == {"a=1": 1, "a=2": 1}, out


def test_tools_are_gone(cluster):
    """Long afterwards, on another machine: the status follows from the record."""
    cluster.simple("touch done/$0; test $0 != a=2 || exit 4")
    assert cluster.hydraflow("run", "job", "--wait").status == 1
    (cluster.folder / "bin").mkdir()
    (cluster.folder / "bin" / "sh").symlink_to(shutil.which("sh"))
    assert cluster.states(PATH=str(cluster.folder / "bin")) == ["succeeded", "failed"]


def test_nothing_queued_changes(slurm):
    """An edit, an upgrade or a deletion after the submission changes nothing that is queued."""
    slurm.simple("touch done/$0", submit="sbatch --hold", steps=[{"batch": "a=1:2"}, {"call": "work.touch", "batch": "b=1"}])
    (slurm.folder / "work.py").write_text("def touch(words):\n    open('done/' + words[0], 'w').close()\n")
    assert slurm.hydraflow("run", "job").status == 0
    ids = job_ids(slurm)
    (slurm.folder / "hydraflow.yaml").write_text("jobs: {job: {run: 'false'}}")
    (slurm.folder / "hydraflow.py").rename(slurm.folder / "elsewhere.py")
    (slurm.folder / "hydraflow.py").write_text("raise SystemExit('upgraded, and broken')\n")
    for job_id in ids:
        slurm.call(f"scontrol release {job_id}")
    wait_until(lambda: slurm.effects() == ["a=1", "a=2", "b=1"])
    (slurm.folder / "elsewhere.py").rename(slurm.folder / "hydraflow.py")
    until(slurm, "succeeded")


def test_refused(cluster):
    """The scheduler's own message, exit status 1, nothing half submitted: the first step is cancelled."""
    cluster.simple("test $0; sleep 60", steps=[{"batch": "a=1"}, {"submit": cluster.words.wrong, "batch": "b=1"}, {"batch": "c=1"}])
    result = cluster.hydraflow("run", "job")
    assert result.status == 1 and cluster.words.refusal in result.err, result
    wait_until(lambda: not {"queued", "running"} & set(cluster.states()))
    assert "succeeded" not in cluster.states()


def test_not_installed(cluster):
    """A scheduler that is not here is told before anything is written."""
    cluster.simple("sleep 60", "a=1")
    (cluster.folder / "bin").mkdir()
    for name in ("sh", "sleep"):
        (cluster.folder / "bin" / name).symlink_to(shutil.which(name))
    result = cluster.hydraflow("run", "job", PATH=str(cluster.folder / "bin"))
    assert result.status in (1, 2) and cluster.submit.split()[0] in result.err and "Traceback" not in result.err, result
    assert cluster.states() == []


def test_dry_run(cluster):
    """It prints each submission command, the script and the commands of the tasks, and changes nothing."""
    cluster.job(json.dumps({"jobs": {"job": CHAIN, "after": AFTER}}))
    result = cluster.hydraflow("run", "after", "--dry-run")
    assert result.status == 0 and result.err == "", result
    assert result.out.count(f"# {cluster.submit.split()[0]} ") == 4, result.out
    commands = [line for line in result.out.splitlines() if not line.startswith("#")]
    assert [line.split()[-1] for line in commands] == ["a=1", "a=2", "b=1", "b=2", "b=3", "c=1", "c=2", "d=1", "d=2"]
    assert not (cluster.folder / ".hydraflow").exists()


def test_own_exit_status(gridengine):
    """99 and 100 of a task have no meaning for Grid Engine: no rerun, and nothing that stays in state Eqw."""
    gridengine.simple("echo x >> done/$0; exit ${0#a=}", submit="SUBMIT -r y", steps=[{"batch": "a=99,100"}, {"batch": "b=1"}])
    assert gridengine.hydraflow("run", "job", "--wait").status == 1
    assert [task["exit_status"] for task in gridengine.tasks()[:2]] == [99, 100]
    job_id = job_ids(gridengine)[0]
    wait_until(lambda: job_id not in gridengine.call("qstat").split())
    assert gridengine.deeds() == {"a=100": 1, "a=99": 1}


def test_wait_interrupted(cluster):
    """Ctrl-C ends the waiting, not the tasks."""
    cluster.simple(f"{AWAIT}; touch done/$0")
    process = cluster.start("run", "job", "--wait")
    until(cluster, "running")
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 130, out
    (cluster.folder / "go").touch()
    until(cluster, "succeeded")


def test_hydra_application(slurm):
    """A real Hydra application as array elements, each a multirun of its own."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hydra_app")
    shutil.copytree(source, str(slurm.folder / "app"))
    slurm.job("jobs: {job: {run: python app/app.py, submit: sbatch, steps: [{batch: 'db/engine=mysql,postgresql', args: 'batch_size=1:3:k'}]}}")
    result = slurm.hydraflow("run", "job", "--wait", PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    assert result.status == 0, (result, slurm.hydraflow("logs", "job"))
    assert len(list((slurm.folder / "multirun").glob("*/*/.hydra/overrides.yaml"))) == 6

