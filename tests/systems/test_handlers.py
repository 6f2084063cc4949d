"""Handlers of the user's own: a command that gets a file with one shell-quoted command per line as its last argument."""
import json
import shutil
import signal
import subprocess
import sys

import pytest
from support import place_program, run, wait_until

VALUES = ["$(touch pwned)", "`touch pwned`", "a;touch pwned", "it's", 'say "x"', "&& touch pwned", "a\\b {} %", "é", ""]
SHOW = "import json, os, sys\njson.dump([os.getcwd(), os.environ.get('VALUE'), sys.argv[2:]], open(sys.argv[1], 'w'))\n"
# As the users of the original HydraFlow have it: python submit.py app.py FILE
SUBMIT = """
import shlex, subprocess, sys
*command, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    lines = file.read().splitlines()
sys.exit(max([subprocess.call([sys.executable, *command, *shlex.split(line)]) for line in lines]))
"""
HANDLERS = [
    "bash", "sh", "parallel -j2 --joblog joblog -a", "sh -c 'parallel -j2 < \"$1\"' sh", "python own.py",
    """sh -c 'xargs -d "\\n" -P2 -I{} sh -c {} < "$1"' sh""",
]
OWN = "import subprocess, sys\nsys.exit(max([subprocess.call(line.rstrip('\\n'), shell=True) for line in open(sys.argv[1], encoding='utf-8')]))\n"


class Folder:
    """An empty folder with a copy of the program."""

    def __init__(self, path):
        self.path = path
        place_program(path)
        for name, text in (("show.py", SHOW), ("submit.py", SUBMIT), ("own.py", OWN)):
            (path / name).write_text(text, encoding="utf-8")
        (path / "done").mkdir()

    def job(self, **keys):
        """Write a job file of one job, without what Hydra asks for unless it says so."""
        (self.path / "hydraflow.yaml").write_text(json.dumps({"jobs": {"job": {"hydra": False, **keys}}}), encoding="utf-8")

    def hydraflow(self, *argv):
        """Execute the program in the folder."""
        return run(*argv, cwd=str(self.path))

    def effects(self):
        """Return what tasks have left in the folder "done"."""
        return {path.name: path.read_text() for path in (self.path / "done").iterdir()}

    def commands(self, number=1):
        """Return the lines of a handler's file, which stays in the record."""
        path, = (self.path / ".hydraflow" / "job").glob(f"0*/submissions/{number}.txt")
        return path.read_text(encoding="utf-8").splitlines()

    def tasks(self):
        """Return what is known of the tasks."""
        return json.loads(self.hydraflow("status", "job", "--json").out)["tasks"]

    def states(self):
        """Return the states of the tasks."""
        return [task["state"] for task in self.tasks()]


@pytest.fixture


def folder(tmp_path):
    """A folder with handlers in it."""
    return Folder(tmp_path)


@pytest.mark.parametrize("handler", HANDLERS)
def test_handler(folder, handler):
    """It executes each line; hostile values arrive as they are, and so do the environment and the working directory."""
    if "parallel" in handler and not shutil.which("parallel"):
        pytest.skip("not installed: parallel")
    (folder.path / "it's sub").mkdir()
    show = f"python {folder.path / 'show.py'} {folder.path / 'done'}"
    steps = [{"run": f"{show}/{index} ${{{{ env.VALUE }}}} last", "env": {"VALUE": value}} for index, value in enumerate(VALUES)]
    folder.job(submit=handler, steps=steps, **{"working-directory": "it's sub"})
    result = folder.hydraflow("run", "job")
    assert result.status == 0, result
    found = {name: json.loads(text) for name, text in folder.effects().items()}
    assert found == {str(index): [str(folder.path / "it's sub"), value, [value, "last"]] for index, value in enumerate(VALUES)}
    assert not list(folder.path.glob("**/pwned"))
    assert [len(folder.commands(step)) for step in range(1, len(VALUES) + 1)] == [1] * len(VALUES)
    assert folder.states() == ["succeeded"] * len(VALUES)
    assert folder.hydraflow("run", "job", "--resume").status == 0 and not list(folder.path.glob(".hydraflow/*/*/submissions/10.txt"))


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_failure(folder, handler):
    """It is recorded with the task's own status and output, no further step begins, and --resume hands over what is left."""
    if "parallel" in handler and not shutil.which("parallel"):
        pytest.skip("not installed: parallel")
    folder.job(run="sh -c 'echo $0 >> done/$0; echo says $0; test -e go || exit ${0#a=}'", submit=handler,
               steps=[{"batch": "a=0,00,3"}, {"batch": "b=1"}])
    result = folder.hydraflow("run", "job")
    assert result.status == 1 and "[3 a=3] failed: exit status 3" in result.err, result
    assert sorted(folder.effects()) == ["a=0", "a=00", "a=3"]
    assert folder.states() == ["succeeded", "succeeded", "failed", "not started"]
    assert folder.hydraflow("logs", "job", "--failed").out == "==> [3 a=3] failed: exit status 3 <==\nsays a=3\n"
    assert sum(1 for line in folder.commands() if line.endswith(" a=3")) == 1
    if "joblog" in handler:  # who hands over gets the task's own exit status
        rows = [line.split("\t") for line in (folder.path / "joblog").read_text().splitlines()[1:]]
        assert sorted(row[6] for row in rows) == ["0", "0", "3"]
    (folder.path / "go").touch()
    result = folder.hydraflow("run", "job", "--resume")
    assert result.status == 0 and "2 had succeeded before" in result.err, result
    assert folder.effects() == {"a=0": "a=0\n", "a=00": "a=00\n", "a=3": "a=3\na=3\n", "b=1": "b=1\n"}


@pytest.mark.parametrize("hydra", [False, True])
def test_parameters_alone(folder, hydra):
    """Without run and call, a line holds the parameters of a task, as the original HydraFlow hands them over."""
    folder.job(submit="python submit.py app.py", hydra=hydra, steps=[{"batch": "a=1:2", "args": "x='a b;touch pwned' y=1,2"}])
    (folder.path / "app.py").write_text("import json, sys\nname, = [word for word in sys.argv if word[:2] == 'a=']\n"
                                        "json.dump(sys.argv[1:], open('done/' + name, 'w'))\n")
    result = folder.hydraflow("run", "job")
    assert result.status == 0, result
    found = {name: json.loads(text) for name, text in folder.effects().items()}
    directories = {words.pop() for words in found.values()} if hydra else {"hydra.sweep.dir=1", "hydra.sweep.dir=2"}
    before, value, after = (["--multirun"], "x='a b;touch pwned'", ["hydra.job.name=job"]) if hydra else ([], "x=a b;touch pwned", [])
    assert found == {f"a={number}": [*before, f"a={number}", value, "y=1,2", *after] for number in (1, 2)}
    assert len(directories) == 2 and all(word.startswith("hydra.sweep.dir=") for word in directories)
    assert not list(folder.path.glob("**/pwned")) and len(folder.commands()) == 2


def test_once_for_a_job(folder):
    """Without a command, all steps are one file and one call; words behind the job's name are the handler's; their end is not seen."""
    (folder.path / "note.sh").write_text('echo "$@" | sed "s/ [^ ]*$//" >> calls; for last; do :; done; cat "$last" >> lines\n')
    folder.job(submit="sh note.sh", steps=[{"batch": "a=1:2"}, {"batch": "b=3"}])
    result = folder.hydraflow("run", "job", "--seed=42", "extra", "--", "-x")
    assert result.status == 0 and "3 tasks: 3 handed over" in result.err, result
    assert (folder.path / "calls").read_text() == "--seed=42 extra -x\n"
    assert (folder.path / "lines").read_text() == "a=1\na=2\nb=3\n"
    assert folder.states() == ["handed"] * 3
    assert folder.hydraflow("run", "job", "--resume", "--wait").status == 0
    assert (folder.path / "lines").read_text() == "a=1\na=2\nb=3\n" * 2
    (folder.path / "note.sh").write_text("exit 3\n")
    result = folder.hydraflow("run", "job", "--wait")
    assert result.status == 1 and "sh ended with exit status 3" in result.err, result
    assert "3 tasks (1, 2, 3) handed over: to sh, which ended with exit status 3" in folder.hydraflow("status", "job").out


def test_signal(folder):
    """It reaches the handler, and what never began has not started."""
    folder.job(run="true", submit="sh -c 'trap \"touch got; exit 5\" TERM; touch begun; i=0; while test $i -lt 600; do i=$((i+1)); sleep 0.2; done' sh",
               steps=[{"batch": "a=1:2"}])
    process = subprocess.Popen([sys.executable, "-m", "hydraflow", "run", "job"], cwd=str(folder.path), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_until((folder.path / "begun").exists)
    process.send_signal(signal.SIGTERM)
    out = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 130 and (folder.path / "got").exists() and "Traceback" not in out, out
    assert folder.states() == ["not started"] * 2

