"""Handlers of the user's own: a command that gets a file with one shell-quoted command per line as its last argument."""
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from support import ROOT, run, wait_until

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
        shutil.copy(os.path.join(ROOT, "hydraflow.py"), str(path))
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

    def commands(self, step=1):
        """Return the lines of a handler's file, which stays in the record."""
        path, = (self.path / ".hydraflow" / "job").glob(f"0*/commands-{step}.txt")
        return path.read_text(encoding="utf-8").splitlines()


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
    result = folder.hydraflow("status", "job")
    assert f"{len(VALUES)} tasks: {len(VALUES)} handed" in result.out and result.err == "", result


@pytest.mark.parametrize("handler", HANDLERS)
def test_exit_status(folder, handler):
    """The handler's exit status is HydraFlow's, and no further step is handed over then."""
    if "parallel" in handler and not shutil.which("parallel"):
        pytest.skip("not installed: parallel")
    folder.job(run="sh -c 'touch done/$0; exit ${0#a=}'", submit=handler, steps=[{"batch": "a=0,0,3"}, {"batch": "b=1"}])
    result = folder.hydraflow("run", "job")
    assert result.status == (123 if "xargs" in handler else 1 if "parallel" in handler else 3), result  # parallel: how many failed
    assert sorted(folder.effects()) == ["a=0", "a=3"]
    result = folder.hydraflow("status", "job")
    assert f"which ended with exit status {1 if 'parallel' in handler else 123 if 'xargs' in handler else 3}" in result.out, result
    if "joblog" in handler:
        assert len((folder.path / "joblog").read_text().splitlines()) == 4


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


def test_line_break(folder):
    """A file of one command per line cannot hold it: that is told before anything is handed over, where a line of a value would be a command."""
    for value in ("a\ntouch pwned\nb", "a\rtouch pwned\rb"):
        folder.job(run="printf %s ${{ env.VALUE }}", submit="python own.py", steps=[{"env": {"VALUE": "x"}}, {"env": {"VALUE": value}}])
        result = folder.hydraflow("run", "job", "--dry-run")
        assert result.status == 2 and "line break" in result.err, result
        result = folder.hydraflow("run", "job")
        assert result.status == 2 and "line break" in result.err, result
        assert not (folder.path / "pwned").exists() and not list(folder.path.glob(".hydraflow/*/0*"))


def test_dry_run(folder):
    """It prints the command and the lines, and changes nothing."""
    before = sorted(os.listdir(str(folder.path)))
    folder.job(run="sh -c 'touch done/$0'", submit="bash -e", steps=[{"batch": "a=1:2"}, {"batch": "b=\"it's\"", "submit": "sh"}])
    result = folder.hydraflow("run", "job", "--dry-run")
    assert result.status == 0 and result.err == "", result
    assert [line for line in result.out.splitlines() if line.startswith("#")] == [
        "# bash -e commands-1.txt with these lines:", "# sh commands-2.txt with these lines:"]
    assert sorted({*os.listdir(str(folder.path))} - {"hydraflow.yaml", "__pycache__"}) == before and folder.effects() == {}
    assert subprocess.run(["sh", "-c", result.out], cwd=str(folder.path), check=False).returncode == 0  # each line is a command
    printed = [line for line in result.out.splitlines() if not line.startswith("#")]
    assert sorted(folder.effects()) == ["a=1", "a=2", "b=it's"]
    assert folder.hydraflow("run", "job").status == 0
    assert folder.commands(1) + folder.commands(2) == printed


def test_handed_over_again(folder):
    """Their end is not known, so --resume hands them over again, and status tells of the last time."""
    folder.job(run="sh -c 'echo x >> done/$0'", submit="bash", steps=[{"batch": "a=1:2"}])
    for _ in range(2):
        result = folder.hydraflow("run", "job", "--resume", "--wait")
        assert result.status == 0, result
    assert folder.effects() == {"a=1": "x\nx\n", "a=2": "x\nx\n"}
    told = json.loads(folder.hydraflow("status", "job", "--json").out)
    assert [task["state"] for task in told["tasks"]] == ["handed", "handed"]


def test_missing_handler(folder):
    """That is told before anything is written."""
    folder.job(run="true", submit="no-such-program", steps=[{"batch": "a=1:2"}])
    result = folder.hydraflow("run", "job")
    assert result.status == 2 and "there is no program no-such-program" in result.err, result
    assert not list(folder.path.glob(".hydraflow/*/0*"))


def test_signal(folder):
    """It reaches the handler, whose exit status stays HydraFlow's."""
    folder.job(run="true", submit="sh -c 'trap \"touch got; exit 5\" TERM; touch begun; i=0; while test $i -lt 600; do i=$((i+1)); sleep 0.2; done' sh",
               steps=[{"batch": "a=1:2"}])
    process = subprocess.Popen([sys.executable, "-m", "hydraflow", "run", "job"], cwd=str(folder.path), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_until((folder.path / "begun").exists)
    process.send_signal(signal.SIGTERM)
    out = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 5 and (folder.path / "got").exists() and "Traceback" not in out, out
    assert "exit status 5" in folder.hydraflow("status", "job").out
