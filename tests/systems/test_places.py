"""Steps at different places follow each other: here, a handler, Slurm and Grid Engine, in every pair, and resumed elsewhere."""
import json
import subprocess
import sys
import time

import pytest
from cluster import Cluster, real
from support import wait_until

# How a step says where it is executed, and how the same place refuses it (what is executed here cannot be refused).
SUBMIT = {"here": "", "bash": "bash", "slurm": "sbatch", "gridengine": "qsub -cwd"}
WRONG = {"bash": "sh -c 'echo refuses >&2; exit 3'", "slurm": "sbatch --partition=nowhere", "gridengine": "qsub -q nowhere"}
REFUSAL = {"bash": "ended with exit status 3", "slurm": "invalid partition", "gridengine": "unknown queue"}
SCHEDULERS = ("slurm", "gridengine")
PAIRS = [pytest.param(*names, id="-".join(names)) for names in (("here", "bash"), ("bash", "slurm"), ("slurm", "here"), ("gridengine", "slurm"), ("slurm", "gridengine"))]
QUICK = "sh -c 'test ! -e stop-$0 || exit 3; echo $0 >> order; echo x >> done/$0'"  # $0 is the task's only word
SLOW = "sh -c 'echo $$ >> begun/$0; until test -e go; do sleep 0.1; done; test ! -e stop-$0 || exit 3; echo x >> done/$0'"


class Mixture(Cluster):
    """A folder, and the environment in which all the schedulers are found that a test needs."""

    def __init__(self, folder, variables):
        super().__init__("slurm", "", "", variables, folder)
        self.name, self.processes = "mixture", []
        (folder / "begun").mkdir()

    def steps(self, *places, run=QUICK, **keys):
        """Write a job with a step at each place, of two tasks: a=1 and a=2, b=1 and b=2, ..."""
        steps = []
        for letter, place in zip("abc", places):
            submit = SUBMIT.get(place, place)
            steps.append({"batch": f"{letter}=1:2", **({"submit": submit} if submit else {})})
        self.job(json.dumps({"jobs": {"job": {"run": run, "hydra": False, "steps": steps, **keys}}}))

    def begin(self, *argv):
        """Start the program; it does not outlive the test. What it says goes into a file, as a handler may outlive it."""
        out = open(str(self.folder / f"out-{len(self.processes)}"), "wb+")
        process = subprocess.Popen([sys.executable, "-m", "hydraflow", *argv], cwd=str(self.folder), stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out, env=self.environment())
        self.processes.append((process, out))
        return process

    def ended(self, process):
        """Return exit status and output of a program that was started."""
        process.wait(120)
        out, = [out for one, out in self.processes if one is process]
        out.seek(0)
        return process.returncode, out.read().decode()

    def close(self):
        """End what a test that failed has left: the program at once, tasks by what they wait for."""
        (self.folder / "go").touch()
        for process, out in self.processes:
            process.kill()
            process.wait()
            out.close()

    def begun(self):
        """Return the tasks that have begun, as often as they have."""
        lines = {path.name: path.read_text().split() for path in (self.folder / "begun").iterdir()}
        return sorted(name for name, pids in lines.items() for _ in pids)

    def succeeded(self):
        """Return the tasks that have left their effect, as often as they have."""
        lines = {path.name: path.read_text().split() for path in (self.folder / "done").iterdir()}
        return sorted(name for name, effects in lines.items() for _ in effects)


@pytest.fixture


def mixture(request, pytestconfig, tmp_path, tmp_path_factory):
    """A new folder, with those schedulers started that the test's parameters name."""
    variables = {}
    for name in set(request.node.callspec.params.values()) & set(SCHEDULERS):
        variables.update(real(name, pytestconfig.clusters, tmp_path_factory.mktemp(name)).variables)
    mixture = Mixture(tmp_path, variables)
    yield mixture
    mixture.close()


@pytest.mark.parametrize("wait", [(), ("--wait",)], ids=["", "wait"])
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_steps_follow_each_other(mixture, first, second, wait):
    """The second step begins when the first one has ended, whoever executes them; each task is executed once."""
    mixture.steps(first, second, first)
    result = mixture.hydraflow("run", "job", *wait)
    assert result.status == 0, result
    if wait:
        assert mixture.states() == ["succeeded"] * 6, result
    wait_until(lambda: mixture.states() == ["succeeded"] * 6)
    order = (mixture.folder / "order").read_text().split()
    assert [sorted(order[start:start + 2]) for start in (0, 2, 4)] == [["a=1", "a=2"], ["b=1", "b=2"], ["c=1", "c=2"]]
    assert mixture.succeeded() == sorted(order)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_needs(mixture, first, second):
    """A job that is needed comes first, at its own place; run again, it is not executed again."""
    submits = [{"submit": SUBMIT[place]} if SUBMIT[place] else {} for place in (first, second)]
    jobs = {"before": {"run": QUICK, "hydra": False, "steps": [{"batch": "a=1:2"}], **submits[0]},
            "after": {"run": QUICK, "hydra": False, "steps": [{"batch": "b=1:2"}], "needs": "before", **submits[1]}}
    mixture.job(json.dumps({"jobs": jobs}))
    result = mixture.hydraflow("run", "after", "--wait")
    assert result.status == 0, result
    wait_until(lambda: mixture.states("after") == ["succeeded"] * 2)
    order = (mixture.folder / "order").read_text().split()
    assert [sorted(order[:2]), sorted(order[2:])] == [["a=1", "a=2"], ["b=1", "b=2"]]
    assert mixture.hydraflow("run", "after", "--wait").status == 0
    assert mixture.succeeded() == ["a=1", "a=2", "b=1", "b=1", "b=2", "b=2"]


@pytest.mark.parametrize(("first", "second"), [pair for pair in PAIRS if pair.values[1] in WRONG])
def test_a_refusal_in_the_second_step(mixture, first, second):
    """What has succeeded stays known, nothing that is over is said to be cancelled, and --resume executes the rest alone."""
    mixture.steps(first, WRONG[second])
    result = mixture.hydraflow("run", "job", "--wait")
    assert result.status == 1 and REFUSAL[second] in result.err, result
    assert mixture.succeeded() == ["a=1", "a=2"]
    assert mixture.states()[:2] == ["succeeded"] * 2
    assert set(mixture.states()[2:]) <= {"interrupted", "not started"}
    mixture.steps(first, second)
    result = mixture.hydraflow("run", "job", "--resume", "--wait")
    assert result.status == 0, result
    assert mixture.succeeded() == ["a=1", "a=2", "b=1", "b=2"]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_killed_and_resumed_elsewhere(mixture, first, second):
    """HydraFlow is killed, its tasks go on: they are awaited at whatever place the job is resumed, and executed once."""
    mixture.steps(first, run=SLOW)
    process = mixture.begin("run", "job", "--wait")
    wait_until(lambda: "a=1" in mixture.begun() and "running" in mixture.states())
    process.kill()
    mixture.ended(process)
    mixture.steps(second, run=SLOW)
    again = mixture.begin("run", "job", "--resume", "--wait")
    time.sleep(1.0)
    assert again.poll() is None and mixture.begun().count("a=1") == 1
    (mixture.folder / "go").touch()
    status, out = mixture.ended(again)
    assert status == 0, out
    assert mixture.succeeded() == mixture.begun() == ["a=1", "a=2"], out
    assert mixture.states() == ["succeeded"] * 2


HOLD = {"slurm": ("sbatch --hold", "scontrol release"), "gridengine": ("qsub -cwd -h", "qrls")}


@pytest.mark.parametrize(("first", "second"), [pair for pair in PAIRS if pair.values[0] in HOLD])
def test_queued_and_resumed_elsewhere(mixture, first, second):
    """What still is in a queue is awaited there, and executed once."""
    hold, release = HOLD[first]
    mixture.steps(hold)
    result = mixture.hydraflow("run", "job")
    assert result.status == 0, result
    job_id = mixture.tasks()[0]["job_id"]
    assert mixture.states() == ["queued"] * 2
    mixture.steps(second)
    again = mixture.begin("run", "job", "--resume", "--wait")
    time.sleep(1.5)
    assert again.poll() is None and mixture.succeeded() == []
    mixture.call(f"{release} {job_id}")
    status, out = mixture.ended(again)
    assert status == 0, out
    assert mixture.succeeded() == ["a=1", "a=2"]
    assert mixture.states() == ["succeeded"] * 2
