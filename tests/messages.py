"""What is said of mistakes, each from a real one: `python3 tests/messages.py` prints a message of each kind.

A row is what somebody types in a folder with some files. It is executed by the program's own main in a process of its own.
"""
import collections
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]

import test_02_sweep  # noqa: E402
import test_03_yaml  # noqa: E402
import test_04_job_file  # noqa: E402
import test_05_planning  # noqa: E402

import hydraflow  # noqa: E402

Row = collections.namedtuple("Row", "argv files before env status")
Told = collections.namedtuple("Told", "status out err changes")
JOB_FILE = "hydraflow.yaml"
SCRIPT = "#!/bin/sh\n"
LINK = object()  # a symbolic link in place of a file


def row(argv, files=None, before=(), env=None, status=2):
    """Return a row; argv is a list, or words with white space between them."""
    words = argv.split() if isinstance(argv, str) else argv
    return Row(list(words), dict(files or {}), [one.split() for one in before], dict(env or {}), status)


def job(text, argv="run job", **rest):
    """Return a row about a job file with one job."""
    lines = "".join(f"    {line}\n" for line in text.split("\n"))
    return row(argv, {JOB_FILE: f"jobs:\n  job:\n{lines}", **rest.pop("files", {})}, **rest)


JOBS = """\
jobs:
  train:
    run: echo train
    hydra: false
    name: nice
    max-parallel: 2
    fail-fast: true
    retries: 1
    timeout-minutes: 1.5
    steps:
      - {name: first, batch: "a=1:3 b=x,y", exclude: a=1 b=x, include: a=9 b=z}
      - {batch: "c=1:2", args: d=1}
  evaluate: {run: echo e, needs: train, hydra: false}
  short: {run: "sh -c 'echo $0; test $0 != a=2'", hydra: false, steps: [{batch: "a=1:3"}]}
"""
LINES = """\
run train --jobs 0
run train --jobs
run train --retries -1
run train --timeout 0
run train --dryrun
run train -x
run
run trian
run nothing
--dry-run run train
show train evaluate
expand
expand a=1:2:0
status nothing
status
status a b
logs
logs train
logs train --b=x
cancel
init here
completion
completion ksh
clean --keep 0
frobnicate
run train --quiet=1
run train -f x
show -C x
results train --state x
results train --state faild
status train --run
resume train
list
rnu train
run train --sample 0
logs train x
status --all
schema x
run -- true --x={1} ::: 1 2
run -- nosuch a=1:2
-f nowhere.yaml show
-C nowhere show
-f hydraflow.py show
-f . show
"""  # mistakes of a command line, with these jobs
SUBMISSIONS = (  # submit, what else is in the job
    ('sbatch job.sh', 'run: echo'),
    ('sbatch', 'steps: [{batch: a=1}]'),
    ('sbatch -pgpu', 'steps: [{batch: a=1}]'),
    ('sbatch -pgpu --array=1-3', 'run: echo'),
    ("sbatch -o x -J 'a b'", 'run: echo'),
    ("sbatch -o x -J 'a b'", 'run: echo'),
    ('sbatch -d afterok:1', 'run: echo\nsteps: [{batch: a=1}, {batch: a=2}]'),
    ('sbatch --wrap x', 'run: echo'),
    ('qsub -S /bin/sh', 'run: echo'),
    ('parallel -j 2', 'run: echo'),
    ('parallel -a -j2', 'run: echo'),
    ('xargs -n 1', 'run: echo'),
    ('env A=1 xargs -a', 'run: echo'),
)


def table(module, name):
    """Return the first fields of the rows of a table of a test."""
    return [one if isinstance(one, (str, bytes)) else one[0] for one in getattr(module, name, ())]


def known_rows():
    """Yield the mistakes that the tests of the chapters list."""
    for sweep in [*table(test_02_sweep, "MISTAKES"), *table(test_02_sweep, "HINTS")]:
        yield row(["expand", sweep])
    for sweep in table(test_02_sweep, "HYDRA_MISTAKES"):
        yield job(f"run: x\nsteps: [{{batch: {json.dumps(sweep)}}}]")
    for text in [*table(test_03_yaml, "REFUSALS"), *table(test_03_yaml, "FORBIDDEN")]:
        yield row("show", {JOB_FILE: text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")})
    for text, *rest in getattr(test_04_job_file, "MISTAKES", ()):
        if not rest or rest[0]:
            yield row("show", {JOB_FILE: text})
    for text in table(test_04_job_file, "WORDS"):
        yield job(f"run: x\n{text}")
    for command in [*table(test_04_job_file, "SHELLS"), *table(test_05_planning, "COMMAND_MISTAKES")]:
        yield job(f"run: {json.dumps(command)}\nsteps: [{{batch: a=1}}]")
    for text, overrides, *_ in getattr(test_05_planning, "PLAN_MISTAKES", ()):
        yield job(text, ["run", "job", *overrides])
    for submit, rest in SUBMISSIONS:
        yield job(f"hydra: false\nsubmit: {submit}\n{rest}", files={"sbatch": SCRIPT, "job.sh": SCRIPT}, env={"PATH": "."})
    for line in LINES.split("\n")[:-1]:
        yield row(line, {JOB_FILE: JOBS})


TABLES = {"bad.csv": "lr,o\n0.1,sgd\n1e-3\n", "empty.txt": "# nothing\n", "latin.txt": b"1\n\xe9\n"}
PLAIN = "run: 'true'\nhydra: false\nsteps: [{batch: 'a=1,2'}]"
RUN = ("run job",)
OWN_ROWS = (  # what those tables have not
    *(row(["expand", sweep], TABLES) for sweep in (
        "o,lr=rows(bad.csv)", "o,lrr=rows(bad.csv)", "a=lines(empty.txt)", "a=lines(latin.txt)", "a,b=lines(latin.txt)", "a=lines(.)",
        "a=" + "(" * 200 + "1" + ")" * 200, "a=1,' 2", "a=lin(1:2:9" + "0" * 30 + ")", f"a=lin(1:1e{'9' * 3}:3)")),
    job("run: x\nsteps: [{args: 'a,b=(1,2)'}]"), job("run: x\nsteps: [{args: a=1|2}]"),
    job("run: x\nsteps: [{batch: a=1, exclude: -v}]"), job("run: x\nsteps: [{batch: a=1, include: ['b=1:600000', 'b=1:600000']}]"),
    job("run: x\nsteps: [{args: a=1:1000000000}]"),
    row("show"), row("run job"), row("-f no.yaml show"), row("show", {JOB_FILE: " \n"}), row("init", {JOB_FILE: "jobs: {}"}), row("run -j2 ./x a=1:3", {JOB_FILE: JOBS, "x": SCRIPT}),
    row("run base", {JOB_FILE: "jobs: {base: {retries: 1}}"}), row("show", {JOB_FILE: "jobs: {a: {run: x, needs: b}, b: {run: x, needs: a}}"}),
    job("run: nosuchprogram"), job("run: ./sub/x", files={"sub/x": ""}), job("run: ./sub", files={"sub/x": ""}), job("run: here", files={"here": SCRIPT}),
    job("run: ./nosuch"), job("run: sh\nworking-directory: nosuch"),
    job("run: 'true'\nsubmit: nosuchhandler"), job("run: x\nsubmit: sbatch", env={"PATH": "."}),
    job("run: echo\nsubmit: sh\nhydra: false\nsteps: [{batch: \"a='x\\ny'\"}]"), job(PLAIN, env={"HYDRAFLOW_GRACE": "soon"}),
    job("run: x\nsteps: [{batch: \"a=" + "(1,2)" * 40 + "\"}]"), row("call os.nofunction"), row("call nosuchmodule.main"),
    job("run: ./x\nsubmit: sbatch\nhydra: false", files={"x": SCRIPT, "sbatch": SCRIPT + "echo no such partition >&2; exit 1\n"}, env={"PATH": ".:/usr/bin:/bin"}, status=1),
    job("run: ./x\nsubmit: sbatch\nhydra: false", files={"x": SCRIPT, "sbatch": SCRIPT + "echo thanks\n", "squeue": SCRIPT}, env={"PATH": ".:/usr/bin:/bin"}, status=1),
    # about runs
    *(job(PLAIN, line, before=RUN) for line in (
        "status jbo", "status job --run nothing", "logs job 9", "logs job x", "logs job b=1", "results job =", "results job x --over b",
        "report job -o /no/such/folder/page.html", "status --run x", "logs job a=1,,2")),
    job(PLAIN, "run job", files={".hydraflow": "a file"}), job(PLAIN, "run job a=3 x"), job(PLAIN, "run other"),
    job(PLAIN, "status job", files={".hydraflow/job/01ARZ3NDEKTSV4RRFFQ69G5FAV/plan.jsonl": "{\"start\": \"x\"}\n"}),
    job(PLAIN, "status job", files={".hydraflow/job/01ARZ3NDEKTSV4RRFFQ69G5FAV/plan.jsonl": "{\"format\": 99}\n"}),
    job(PLAIN, "status job", files={".hydraflow/job/01ARZ3NDEKTSV4RRFFQ69G5FAV/plan.jsonl": LINK}),
    job(PLAIN, "run job --resume", files={".hydraflow/job/01ARZ3NDEKTSV4RRFFQ69G5FAV/plan.jsonl": "[]\n", ".hydraflow/job/01ARZ3NDEKTSV4RRFFQ69G5FAV/lock-1": LINK}),
    job(PLAIN, "run job --resume", files={".hydraflow/job/01ARZ3NDEKTSV4RRFFQ69G5FAV/plan.jsonl": "[]\n"}),
)

def rows():
    """Return all rows."""
    return [*known_rows(), *OWN_ROWS]


def tree(folder):
    """Return the files below a folder and what they hold."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            place = os.path.join(path, name)
            if os.path.islink(place):
                found[os.path.relpath(place, folder)] = os.readlink(place)
            elif not name.startswith("lock-"):  # which stays
                with open(place, "rb") as file:
                    found[os.path.relpath(place, folder)] = file.read()
    return found


def write_files(folder, files):
    """Write the files of a row; those that are no data may be executed."""
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if content is LINK:
            os.symlink("elsewhere", path)
            continue
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        if content and content[:2] in ("#!", "# "):  # a script, also one without its first line
            os.chmod(path, 0o755)


def in_a_process(folder, argv, env, outputs):
    """Execute the program's main in a folder in a process of its own; return its exit status."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    status = 99
    try:
        status = main_in_files(folder, argv, env, outputs)
    finally:
        os._exit(status)


def main_in_files(folder, argv, env, outputs):
    """Execute main with its output in files, for a process that ends behind it."""
    os.chdir(folder)
    os.environ.update(env)
    for number, name in enumerate(("out", "err"), 1):
        os.dup2(os.open(os.path.join(outputs, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout, sys.stderr = open(1, "w", encoding="utf-8"), open(2, "w", encoding="utf-8")
    sys.argv = ["hydraflow", *argv]
    try:
        status = hydraflow.main(argv)
        sys.stdout.flush()
    except BaseException:
        import traceback
        traceback.print_exc()
        sys.stderr.flush()
        status = 98
    return status


def told(row):
    """Return what the program says to a row, and what it changed."""
    folder, outputs = tempfile.mkdtemp(prefix="hydraflow-"), tempfile.mkdtemp(prefix="hydraflow-")
    try:
        write_files(folder, row.files)
        for argv in row.before:
            in_a_process(folder, argv, row.env, outputs)
        before = tree(folder)
        status = in_a_process(folder, row.argv, row.env, outputs)
        out, err = (open(os.path.join(outputs, name), encoding="utf-8", errors="replace") for name in ("out", "err"))
        with out, err:
            changes = sorted(name for name, data in tree(folder).items() if before.get(name) != data)
            return Told(status, out.read(), re.sub(r"\d+\.\d s\b", "0.1 s", err.read().replace(folder, "FOLDER")), changes)
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(outputs)


def pasted(row, command):
    """Return the exit status of a command that a hint names, in the folder of a row."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as binaries:
        write_files(folder, row.files)
        write_files(binaries, {"hydraflow": f"#!/bin/sh\nexec '{sys.executable}' '{ROOT}/hydraflow.py' \"$@\"\n"})
        for argv in row.before:
            in_a_process(folder, argv, row.env, binaries)
        environment = {**os.environ, **row.env, "PATH": f"{binaries}:{row.env.get('PATH', '')}:{os.environ['PATH']}"}
        return subprocess.call(["sh", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def messages(err):
    """Return the messages that were printed, one by one."""
    starts = [match.start() for match in re.finditer(r"^(?:[^\n]+?:\d+:\d+: )?error: ", err, re.MULTILINE)]
    return [err[start:end] for start, end in zip(starts, [*starts[1:], len(err)])]


def kind(message):
    """Return a message without what is the user's: the same for all of its kind."""
    head = message.partition("error: ")[2].partition("\n")[0]
    return re.sub(r"'[^']*'|\"[^\"]*\"|\S*[^\sa-z,;.]\S*", "_", head)


def one_of_each_kind(answers):
    """Return a message of each kind, below what was typed, in one text; answers are pairs of a Row and what was told."""
    seen = set()
    lines = []
    for one, answer in answers:
        for message in filter(str.strip, messages(answer.err)):
            if kind(message) not in seen:
                seen.add(kind(message))
                typed = " ".join(map(shlex.quote, one.argv))
                lines.append(f"$ hydraflow {typed[:100]}\n{message[:900].strip()}\n\n")
    return re.sub(r"\bjob\.[0-9A-Z]{6}\b", "job.NAME", "".join(lines))


def main():
    """Print a message of each kind."""
    print(one_of_each_kind((one, told(one)) for one in rows()), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
