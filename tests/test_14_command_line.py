"""The command line: every subcommand and every option through the real program, and what it says to what it does not know."""
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import unittest

from support import Program, wait_until

import hydraflow

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
WRONG = (  # a command line, a part of what is said; nothing is executed
    ("run train --jobs 0", "a whole number of at least 1, or auto, is expected here"), ("run train --jobs x", "a whole number of at least 1, or auto, is"),
    ("run train -j 1.5", "a whole number of at least 1, or auto, is expected here"), ("run train --jobs", "--jobs takes a value, and none follows"),
    ("run train --retries -1", "a whole number of at least 0 is expected here"), ("run train --retries x", "a whole number of at least 0 is expected here"),
    ("run train --timeout 0", "a number of minutes above zero is expected here"), ("run train --timeout x", "a number of minutes above zero is expected here"),
    ("run train --pack 0", "a whole number of at least 1 is expected here"), ("run train --pack x", "a whole number of at least 1 is expected here"),
    ("run train --dryrun", "did you mean --dry-run?"), ("run train --resum", "did you mean --resume"), ("run train -x", "run does not know -x"),
    ("run train word", "word is neither"), ("run", "which job?"), ("run trian", "did you mean train?"), ("run nothing", "no job is called nothing"),
    ("--dry-run run train", "--dry-run stands before the command"), ("-j2 run train", "-j2 stands before the command"),
    ("show trian", "did you mean train?"), ("show --name", "--name"), ("show train evaluate", "evaluate"), ("show --frob", "show does not know --frob"),
    ("expand", "which sweep?"), ("expand a=1:2:0", "sweep:1:3: error: range step is zero"), ("expand --collect a=1|2", "tasks"),
    ("status nothing", "job nothing has not been run here"), ("status", "nothing has been run here"), ("status a b", "status does not know b"),
    ("logs", "which job?"), ("logs train", "job train has not been run here"), ("logs train --frob", "logs does not know --frob"), ("logs train --b=x", "to select tasks, write b=x"), ("results train --stat=failed", "did you mean --state"),
    ("cancel", "which job?"), ("cancel train", "job train has not been run here"), ("cancel train 1", "job train has not been run here"), ("cancel train --frob", "cancel does not know --frob"),
    ("init here", "init does not know here"), ("completion", "which shell?"), ("completion ksh", "the shells are bash, fish, zsh"), ("results", "which job?"), ("report", "which job?"), ("clean --keep 0", "--keep: a whole number of at least 1 is expected here"),
    ("frobnicate", "no command is called frobnicate"), ("", "the commands are run, show, "), ("-f", "-f takes a value, and none follows"), ("-C", "-C takes a value, and none follows"), ("-f hydraflow.yaml", "the jobs of hydraflow.yaml are train,"),
    ("-f no.yaml", "completion\n"), ("run train --quiet=1", "--quiet takes no value"), ("run train -f x", "-f FILE, before the command"), ("show -C x", "-C DIR, before the command"),
    ("results train --state x", "no state is called x"), ("results train --state faild", "did you mean failed?"), ("status train --run", "write --run RUN"),
    ("rnu train", "did you mean run?"), ("resume train", "hydraflow run JOB --resume"), ("list", "hydraflow show"), ("run train --sample 0", "N or N:SEED is expected here"),
    ("logs train x", "has not been run here"), ("results train", "has not been run here"), ("report train", "has not been run here"), ("status --all", "which is to be named"),
    ("clean nothing", "has not been run here"), ("schema x", "schema does not know x"), ("run -- true --x={1} ::: 1 2", "values stand at their place: -- true --x=1,2,3"),
    ("run -j2 ./hydraflow.yaml a=1:3", "a command stands behind --: python"), ("run -- nosuch a=1:2", "there is no program nosuch"),
    ("-f nowhere.yaml show", "cannot read nowhere.yaml: No such file or directory"), ("-C nowhere show", "cannot work in nowhere: No such file or directory"),
    ("-f hydraflow.py show", "hydraflow.py:"), ("-f . show", "Is a directory"),
)


class Asked(Program):
    """Commands that execute nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.write("hydraflow.yaml", JOBS)

    def test_what_is_not_understood(self) -> None:
        """Exit status 2, a message, no traceback, nothing to standard output, nothing on the disk."""
        before = self.names()
        for line, part in WRONG:
            with self.subTest(line=line):
                result = self.hydraflow(*line.split())
                self.assertEqual((result.status, result.out), (2, ""), result.err)
                self.assertIn(part, result.err)
                self.assertRegex(result.err, "(?s)error: .*\nhint: .*")
                self.assertNotIn("usage: ", result.err)
                self.assertNotIn("Traceback", result.err)
                self.assertEqual(self.names(), before)

    def test_help(self) -> None:
        """Of each command, with all of its options; no line is longer than the window."""
        result = self.hydraflow("--help", env={"COLUMNS": "80"})
        self.assertEqual((result.status, result.err), (0, ""))
        for name, _, _ in hydraflow.COMMANDS:
            self.assertRegex(result.out, f"\n    {name}\\s")
            told = self.hydraflow(name, "--help", env={"COLUMNS": "80"})
            self.assertEqual((told.status, told.err), (0, ""), name)
            self.assertLessEqual(max(map(len, told.out.splitlines())), 80)
        told = self.hydraflow("run", "-h").out
        for option in (name for row in hydraflow.RUN_OPTIONS for name in row.names):
            self.assertIn(option, told)
        self.assertEqual(self.hydraflow("-h").status, 0)

    def test_garbage_is_collected_again(self) -> None:
        """Of what comes behind the imports alone, in a process that does nothing else; who imports the module keeps what is set."""
        code = "import gc; gc.disable(); import hydraflow; print(gc.isenabled()); hydraflow.collect_garbage(); print(gc.isenabled())"
        process = subprocess.run([sys.executable, "-c", code], cwd=self.folder, stdout=subprocess.PIPE, check=True)
        self.assertEqual(process.stdout.decode().split(), ["False", "True"])

    def test_version(self) -> None:
        self.assertEqual(self.hydraflow("--version")[:2], (0, f"hydraflow {hydraflow.__version__}\n"))

    def test_show(self) -> None:
        result = self.hydraflow("show")
        self.assertEqual((result.status, [line.split() for line in result.out.splitlines()[:2]]),
                         (0, [["train", "8", "tasks", "echo", "train"], ["evaluate", "1", "task", "echo", "e"]]))
        self.assertEqual(self.hydraflow("show", "--names").out, "train\nevaluate\nshort\n")

    def test_expand_takes_options_and_what_stands_behind_two_dashes(self) -> None:
        for words in (("--x=1:2",), ("--", "--x=1:2")):
            self.assertEqual(self.hydraflow("expand", *words)[:2], (0, "--x=1\n--x=2\n"))

    def test_show_names_a_job_without_a_command_as_a_template(self) -> None:
        self.write("hydraflow.yaml", "jobs:\n  base: &base {retries: 1}\n  train: {<<: *base, run: echo e}\n")
        result = self.hydraflow("show")
        self.assertEqual((result.status, result.out), (0, "base     template  no command: it serves other jobs\ntrain      1 task  echo e\n"))

    def test_show_a_job(self) -> None:
        """As HydraFlow understands it: its keys, how many combinations there are, how many tasks, the first command of each step."""
        out = self.hydraflow("show", "train").out
        for part in ("train: 8 tasks\n", "  name: nice\n", "  max-parallel: 2\n", "  fail-fast: true\n", "  retries: 1\n", "  timeout-minutes: 1.5\n",
                     "  step 1 (first): 3 x 2 = 6, 1 excluded, 1 included: 6 tasks\n    echo train a=1 b=y ", "  step 2: 2: 2 tasks\n    echo train c=1 d=1 "):
            self.assertIn(part, out)
        out = self.hydraflow("show", "evaluate").out
        self.assertIn("  needs: train\n", out)
        self.assertTrue(out.endswith("    echo e\n"), out)
        self.assertNotIn("max-parallel", out)

    def test_expand(self) -> None:
        for words, err, out in ((("a=1:2 b=x|y",), "4 combinations\n", "a=1 b=x\na=1 b=y\na=2 b=x\na=2 b=y\n"), (("a=1:2", "b=x"), "2 combinations\n", "a=1 b=x\na=2 b=x\n"),
                                (("a='x y'",), "1 combination\n", "'a='\"'\"'x y'\"'\"''\n"), (("--collect", "a=1:3 b=x,y"), "", "a=1,2,3 b=x,y\n"), (("a=1:3", "--collect"), "", "a=1,2,3\n")):
            with self.subTest(words=words):
                self.assertEqual(self.hydraflow("expand", *words), (0, out, err))

    def test_expand_streams(self) -> None:
        process = self.start("expand", "a=1:1000000000000", stderr=subprocess.PIPE)
        self.assertEqual([process.stdout.readline() for _ in range(3)], [b"a=1\n", b"a=2\n", b"a=3\n"])
        process.stdout.close()
        self.assertEqual((process.wait(), process.stderr.read()), (0, b"1,000,000,000,000 combinations\n"))

    def test_dry_run(self) -> None:
        result = self.hydraflow("run", "short", "--dry-run")
        self.assertEqual(result, (0, "".join(f"sh -c 'echo $0; test $0 != a=2' a={n}\n" for n in (1, 2, 3)), ""))
        out = self.hydraflow("run", "evaluate", "--dry-run").out
        self.assertEqual(out.splitlines()[0::8], ["echo train a=1 b=y", "echo e"])
        self.assertEqual(self.hydraflow("run", "train", "a=2", "--dry-run", "--", "-v").out.splitlines()[0], "echo train -v a=2 b=x")
        self.assertNotIn(".hydraflow", self.names())

    def test_another_file_and_folder(self) -> None:
        os.mkdir(os.path.join(self.folder, "sub"))
        self.write("sub/other.yaml", "jobs: {other: {run: pwd, hydra: false}}")
        self.write("sub/hydraflow.yml", "jobs: {third: {run: pwd, hydra: false}}")
        self.assertEqual(self.hydraflow("-f", "sub/other.yaml", "show", "--names").out, "other\n")
        self.assertEqual(self.hydraflow("-C", "sub", "show", "--names").out, "third\n")
        self.assertEqual(self.hydraflow("-C", "sub", "-f", "other.yaml", "run", "other").out, os.path.join(self.folder, "sub") + "\n")
        self.assertEqual(self.hydraflow("-fsub/other.yaml", "-C.", "show", "--names").out, "other\n")
        os.unlink(os.path.join(self.folder, "hydraflow.yaml"))
        result = self.hydraflow("show")
        self.assertEqual(result.status, 2)
        self.assertIn("hydraflow.yaml", result.err)

    def test_examples_of_the_help(self) -> None:
        """The example of each command works as it stands, in the folder that init made."""
        for name in self.names():
            if name.endswith((".yaml", ".py")) and name != "hydraflow.py":
                os.unlink(os.path.join(self.folder, name))
        self.assertEqual(self.hydraflow("init").status, 0)
        os.mkdir(os.path.join(self.folder, "bin"))
        for name in {"python", os.path.basename(sys.executable)}:
            os.symlink(sys.executable, os.path.join(self.folder, "bin", name))
        environment = {**os.environ, "PATH": os.path.join(self.folder, "bin") + os.pathsep + os.environ["PATH"], "COLUMNS": "60"}
        for name, _, _ in hydraflow.COMMANDS:
            told = self.hydraflow(name, "--help", env=environment).out
            example = told.partition("\nexample:\n  ")[2]
            self.assertIn(f"hydraflow {name}" if name != "init" else " init ", example)
            process = subprocess.run(["bash", "-ec", example], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(process.returncode, 0, example + process.stdout.decode())
        for name in ("report.html", "schema.json", os.path.join("slurm", "hydraflow.yaml")):
            self.assertTrue(os.path.getsize(os.path.join(self.folder, name)), name)

    def test_completion(self) -> None:
        """The program finds the words; the shells that are here take the scripts, bash completes by its own."""
        for shell in ("bash", "zsh", "fish"):
            result = self.hydraflow("completion", shell)
            self.assertEqual((result.status, result.err), (0, ""))
            self.assertIn(f"# {shell}: put this line into", result.out)
            self.write(f"completion.{shell}", result.out)
            if shutil.which(shell):
                subprocess.check_call([shell, "-n", f"completion.{shell}"], cwd=self.folder)
        self.write("other.yaml", "jobs: {'$(touch pwned)': {run: t, hydra: false, steps: [{batch: 'lr=0.1,0.2 n=1'}]}}")
        odd = "'$(touch pwned)'"
        rows = (("st", ["status"]), ("comp", ["completion"]), ("zz", []), ("run tr", ["train"]), ("run e", ["evaluate"]), ("run train b=", ["x", "y"]),
                ("run train --res", ["--resume"]), ("completion b", ["bash"]), ("-f other.yaml run ", [odd, *self.run_options()]),
                ("-f other.yaml show $", [odd]))
        for line, found in rows:
            out = self.hydraflow("complete", "bash", f"hydraflow {line}").out.split("\n")[:-1]
            self.assertEqual(sorted(out), sorted(found), line)
        if not shutil.which("bash"):
            return
        os.mkdir(os.path.join(self.folder, "bin"))
        self.write("bin/hydraflow", f"#!/bin/sh\nexec '{sys.executable}' -m hydraflow \"$@\"\n")
        os.chmod(os.path.join(self.folder, "bin", "hydraflow"), 0o755)
        code = ". ./completion.bash; COMP_LINE=$1; COMP_POINT=${#1}; _hydraflow; echo \"${COMPREPLY[@]}\""
        for line, found in (("hydraflow st", "status"), ("hydraflow run tr", "train"), ("hydraflow -f other.yaml show $", "'$(touch pwned)'")):
            out = subprocess.check_output(["bash", "-c", code, "bash", line], cwd=self.folder, stderr=subprocess.DEVNULL,
                                          env={**os.environ, "PATH": os.path.join(self.folder, "bin") + os.pathsep + os.environ["PATH"]})
            self.assertEqual(out.decode().strip(), found, line)
        self.assertNotIn("pwned", self.names())

    def run_options(self) -> "list":
        """Return the options of run."""
        return ["-h", "--help", *(name for row in hydraflow.RUN_OPTIONS for name in row.names)]


class Init(Program):
    def test_what_it_writes_works(self) -> None:
        result = self.hydraflow("init")
        self.assertEqual((result.status, result.out), (0, ""), result.err)
        self.assertEqual(self.names(), ["hydraflow.py", "hydraflow.yaml", "train.py"])
        os.mkdir(os.path.join(self.folder, "bin"))
        os.symlink(sys.executable, os.path.join(self.folder, "bin", "python"))
        path = os.path.join(self.folder, "bin") + os.pathsep + os.environ["PATH"]
        result = self.hydraflow("run", "train", env={"PATH": path})
        self.assertEqual(result.status, 0, result.err)
        self.assertIn("5 tasks: 5 succeeded", result.err)

    def test_for_hydra_and_slurm(self) -> None:
        """What it writes is understood, and a script that exists is the one that is run."""
        self.write("train.py", "mine")
        self.assertEqual(self.hydraflow("init", "--hydra", "--slurm").status, 0)
        self.assertEqual(self.read("train.py"), "mine")
        result = self.hydraflow("run", "train", "--dry-run")
        self.assertEqual(result.status, 0, result.err)
        self.assertIn("# sbatch --time=10 ", result.out)
        self.assertIn("python train.py --multirun ++model=transformer ++learning_rate=0.1 ++epochs=3 hydra.job.name=train", result.out)

    def test_no_file_is_touched_that_is_there(self) -> None:
        for name in ("hydraflow.yaml", "hydraflow.yml"):
            with self.subTest(name=name):
                self.write(name, "mine")
                result = self.hydraflow("init")
                self.assertIn(name, result.err)
                self.assertNotIn("Traceback", result.err)
                self.assertEqual(self.read(name), "mine")
                for one in {"hydraflow.yaml", "hydraflow.yml", "train.py"} & set(self.names()):
                    os.unlink(os.path.join(self.folder, one))
        os.symlink("nowhere", os.path.join(self.folder, "hydraflow.yaml"))
        self.hydraflow("init")
        self.assertFalse(os.path.exists(os.path.join(self.folder, "nowhere")))


class Known(Program):
    """Commands about what was executed."""

    def setUp(self) -> None:
        super().setUp()
        self.write("hydraflow.yaml", JOBS)

    def test_status_of_all_jobs(self) -> None:
        """A line for each job that was run here, whatever the job file says now."""
        self.assertEqual(self.hydraflow("run", "evaluate").status, 0)
        self.assertEqual(self.hydraflow("run", "short").status, 1)
        os.unlink(os.path.join(self.folder, "hydraflow.yaml"))
        result = self.hydraflow("status")
        self.assertEqual(result.status, 0)
        for part in ("evaluate: 1 of 1 task done (100%), ", "train: 8 of 8 tasks done (100%), ", "\n  1 failed, "):
            self.assertIn(part, result.out)
        documents = json.loads(self.hydraflow("status", "--json").out)
        self.assertEqual({one["job"]: one["count"] for one in documents}, {"evaluate": 1, "train": 8, "short": 3})
        self.assertIn("did you mean short?", self.hydraflow("status", "shrot").err)

    def test_status_for_programs(self) -> None:
        self.hydraflow("run", "short", "--keep-going")
        document = json.loads(self.hydraflow("status", "short", "--json").out)
        self.assertEqual((document["job"], document["count"], document["states"]["failed"], document["states"]["succeeded"]), ("short", 3, 1, 2))
        self.assertTrue(os.path.isdir(os.path.join(self.folder, document["record"])))
        task = document["tasks"][1]
        shown = {name: task[name] for name in ("task", "step", "params", "argv", "cwd", "state", "exit_status", "cause", "why", "attempts")}
        self.assertEqual(shown, {"task": 2, "step": 1, "params": {"a": "2"}, "argv": ["sh", "-c", "echo $0; test $0 != a=2", "a=2"], "cwd": self.folder,
                                 "state": "failed", "exit_status": 1, "cause": "a=2", "why": None, "attempts": 1})
        self.assertEqual((task["host"], self.read(task["log"])), (os.uname().nodename, "a=2\n"))
        self.assertTrue(document["started"] <= task["started"] + 1 and task["started"] <= task["ended"], task)

    def test_cancel_of_what_is_not_there(self) -> None:
        """It is told as logs tells it, before anything is stopped."""
        self.hydraflow("run", "short", "--keep-going")
        for word, part in (("4", "error: there is no task 4\nhint: job short has 3 tasks"), ("b=1", "error: no task has a parameter b\nhint: ")):
            result = self.hydraflow("cancel", "short", "1", word)
            self.assertEqual((result.status, result.out), (2, ""))
            self.assertIn(part, result.err)
            self.assertNotIn("asked", result.err)

    def test_where_the_last_lines_begin(self) -> None:
        path = os.path.join(self.folder, "log")
        large = b"x\n" + b"y" * 16 * hydraflow.CHUNK + b"\nz\n"
        for data, count, begin in ((b"a\nb\nc\n", 1, 4), (b"a\nb\nc\n", 2, 2), (b"a\nb\nc\n", 3, 0), (b"a\nb\nc\n", 4, 0), (b"a\nb\nc\n", 9, 0), (b"a\nb", 1, 2), (b"\n\n", 1, 1),
                                   (b"", 1, 0), (b"a", 1, 0), (large, 1, len(large) - 2), (large, 2, len(large) - 16 * hydraflow.CHUNK), (large, 9, len(large) - 16 * hydraflow.CHUNK)):
            with self.subTest(data=data[:9], count=count):
                self.write("log", data)
                self.assertEqual(hydraflow.last_lines_start(path, count), begin)
        self.assertEqual(hydraflow.last_lines_start(path + "x", 1), 0)

    def test_what_a_command_line_is_called(self) -> None:
        for line, name in (("./simulate --x=1", "simulate"), ("python train.py x=1", "train.py"), ("python3.11 a/train.py", "train.py"), ("python", "python"), ("python -m train", "python"),
                           ("sh run.sh", "run.sh"), ("pythonic x.py", "pythonic"), ("/usr/bin/julia a.jl", "a.jl")):
            with self.subTest(line=line):
                job = hydraflow.spelled_job(line.split())
                self.assertEqual((job.key, job.name, job.hydra), (name, name, False))

    def test_what_a_handler_is_called(self) -> None:
        self.job("submit: env X=1 ./hand-over --quickly\nsteps: [{batch: a=1}]")
        self.write("hand-over", "#!/bin/sh\nexit 0\n")
        os.chmod(os.path.join(self.folder, "hand-over"), 0o755)
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        self.assertIn("handed to hand-over", self.hydraflow("status", "job").out)

    def test_logs(self) -> None:
        self.hydraflow("run", "short", "--keep-going")
        one, two, three = ("==> [1 a=1] succeeded <==\na=1\n", "==> [2 a=2] failed: exit status 1 <==\na=2\n", "==> [3 a=3] succeeded <==\na=3\n")
        for words, out in (((), one + two + three), (("2",), "a=2\n"), (("--failed",), two), (("1", "--follow"), "a=1\n"), (("a=2:3", "--last", "1"), two + three)):
            with self.subTest(words=words):
                self.assertEqual(self.hydraflow("logs", "short", *words), (0, out, ""))
        for words in (("--follow",), ("--follow", "a=2")):
            self.assertEqual(self.hydraflow("logs", "short", *words), (0, "", "nothing of that is executed; without --follow, what was printed is shown\n"))
        for words, part in ((("4",), "there is no task 4\nhint: job short has 3 tasks"), (("0",), "0 is neither the number of a task nor KEY=VALUE"), (("b=1",), "no task has a parameter b")):
            result = self.hydraflow("logs", "short", *words)
            self.assertEqual((result.status, result.out), (2, ""))
            self.assertIn(part, result.err)

    def test_logs_while_a_task_runs(self) -> None:
        self.job("run: sh -c 'echo $0 begun; until test -e go-$0; do sleep 0.05; done; echo $0 done'\nsteps: [{batch: a=1:2}]")
        run = self.start("run", "job", stderr=subprocess.PIPE)
        self.assertEqual(run.stdout.readline(), b"a=1 begun\n")
        self.assertEqual(self.hydraflow("logs", "job", "a=1", "2").out + self.hydraflow("logs", "job", "1").out, "a=1 begun\n")
        follow = self.start("logs", "job", "--follow", stderr=subprocess.PIPE)
        self.assertRegex(follow.stdout.readline(), rb"^==> \[1 a=1\] running since .* <==\n$")
        self.assertEqual(follow.stdout.readline(), b"a=1 begun\n")
        self.write("go-a=1", "")
        self.assertEqual(follow.stdout.readline(), b"a=1 done\n")
        self.assertRegex(follow.stdout.readline(), rb"^==> \[2 a=2\] running since .* <==\n$")
        self.assertEqual(follow.stdout.readline(), b"a=2 begun\n")
        self.assertIsNone(follow.poll())
        self.write("go-a=2", "")
        self.assertEqual((follow.stdout.read(), follow.wait(60), run.wait(60)), (b"a=2 done\n", 0, 0))

    def test_cancel(self) -> None:
        self.hydraflow("run", "short")
        for words in ((), ("--lost",)):
            self.assertEqual(self.hydraflow("cancel", "short", *words), (0, "", "asked 0 tasks to stop\n"))

    def test_tasks_of_a_machine_that_is_gone(self) -> None:
        """--lost gives them up, and --resume executes them; without it they are only told."""
        self.job("run: sh -c 'echo x >> effects; test -e go || sleep 99; true $0'\nsteps: [{batch: a=1}]")
        process = self.start("run", "job", stderr=subprocess.PIPE)
        wait_until(lambda: self.lines("effects"))
        process.kill()
        process.wait()
        folder = os.path.join(self.folder, ".hydraflow", "job")
        record, = [os.path.join(folder, name) for name in os.listdir(folder)]
        events, = [os.path.join(record, "events", name) for name in os.listdir(os.path.join(record, "events"))]
        pid = json.loads(self.read(events).strip().split("\n")[-1])["pid"]
        self.addCleanup(hydraflow.stop_group, pid, signal.SIGKILL)
        text = self.read(events).replace(json.dumps(os.uname().nodename), '"gone.example"')
        with open(events, "w") as file:
            file.write(text)
        self.assertIn("on gone.example", self.hydraflow("status", "job").out)
        result = self.hydraflow("cancel", "job")
        self.assertIn("1 task of gone.example cannot be reached from here", result.err)
        self.assertEqual(json.loads(self.hydraflow("status", "job", "--json").out)["states"]["running"], 1)
        result = self.hydraflow("cancel", "job", "--lost")
        self.assertIn("gave up 1 task of gone.example", result.err)
        self.assertIn("given up", self.hydraflow("status", "job").out)
        self.write("go", "")
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(self.lines("effects"), ["x", "x"])


class Windows(Program):
    """How wide the terminal is decides what of long lines is shown."""

    def shown(self, columns: int, *argv: str) -> str:
        """Return what a command shows in a terminal."""
        reader, terminal = pty.openpty()
        self.addCleanup(os.close, reader)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        process = self.start(*argv, stdout=terminal, stderr=terminal, env={**environment, "TERM": "dumb"})
        os.close(terminal)
        data = b""
        while process.poll() is None or select.select([reader], [], [], 0)[0]:
            try:
                data += os.read(reader, 4096)
            except OSError:  # nobody has the other end any more
                break
        self.assertEqual(process.wait(), 0)
        return data.decode().replace("\r", "")

    def test_status_and_results(self) -> None:
        """A name may take half of the window, a cell of a table a third."""
        value = "c" * 21
        self.job(f"run: \"sh -c 'test $0 = optimizer=d'\"\nsteps: [{{batch: 'optimizer={value},d model=a'}}]")
        self.hydraflow("run", "job", "--keep-going")
        for columns, name in ((61, value), (62, f"optimizer={value}")):
            self.assertIn(f"  [1 {name}] failed: exit status 1\n", self.shown(columns, "status", "job"))
        for columns, cell in ((62, "cccccccc...cccccccc"), (63, value)):
            self.assertIn(f"   1  {cell}  failed", self.shown(columns, "results", "job"))

    def test_metrics_of_a_file(self) -> None:
        """It is looked for in the directory of a task that made one, else where the task was executed."""
        for script, beside in (("> m.json", ""), ("> $2/m.json", "with: ${{ task.dir }}\n")):
            with self.subTest(script=script):
                self.write("task.sh", f"test -z \"$2\" || mkdir -p $2; rm -f m.json; echo '{{\"loss\": 3}}' {script}\n")
                self.job(f"run: sh task.sh\n{beside}steps: [{{batch: a=1}}]")
                self.assertEqual(self.hydraflow("run", "job").status, 0)
                row, = json.loads(self.hydraflow("results", "job", "m.json:loss", "--json").out)
                self.assertEqual(row["metrics"], {"m.json:loss": 3.0})

    def test_metric_that_nobody_wrote(self) -> None:
        """A name that is in no output may be misspelt; where some have it, the others have none yet."""
        self.job("run: sh -c 'test $0 = a=2 || echo loss=1'\nsteps: [{batch: 'a=1,2'}]")
        self.hydraflow("run", "job")
        said = "none of these tasks has written a number {} so far\n"
        for words, unknown in ((("loss",), []), (("los", "loss"), ["los"]), (("loss", "a=2"), ["loss"]), (("x.json:b",), ["x.json:b"]), (("los", "a=3"), [])):
            for command in ("results", "report"):
                with self.subTest(words=words, command=command):
                    lines = self.hydraflow(command, "job", *words).err.splitlines(True)
                    self.assertEqual([line for line in lines if not line.startswith("wrote")], list(map(said.format, unknown)))

    def test_what_clean_frees(self) -> None:
        self.job("run: 'true'")
        for size in (1000000, 2500000, 4000000):
            self.hydraflow("run", "job")
            self.write(os.path.join(self.records()[-1], "logs", "big"), "x" * size)
        for words, verb in ((["--dry-run"], "would free"), ([], "freed")):
            lines = self.hydraflow("clean", "job", *words).err.splitlines()
            self.assertEqual([line.rpartition(": ")[2] for line in lines], ["1.0 MB", "2.5 MB", f"{verb} 3.5 MB"])
            self.assertEqual(lines[-1].partition(":")[0], "2 records")
        self.assertEqual(len(self.records()), 1)


class Statuses(Program):
    def test_exit_statuses(self) -> None:
        for text, argv, status in (("run: 'true'", (), 0), ("run: 'false'", (), 1), ("run: sh -c 'exit 2'", (), 1), ("run: sh -c 'kill -9 $$'", (), 1),
                                   ("run: nosuchprogram", (), 2), ("rum: x", (), 2), ("run: 'false'", ("--dry-run",), 0), ("run: 'false'\nretries: 2", (), 1),
                                   ("run: sleep 99", ("--timeout", "0.003"), 1), ("run: 'true'\nsubmit: sh -c 'exit 4'", (), 1), ("run: 'true'\nsubmit: sh", (), 0),
                                   ("run: 'true'\nsubmit: sh -c 'sh $0; exit 4'", (), 1)):
            with self.subTest(text=text, argv=argv):
                self.job(text)
                result = self.hydraflow("run", "job", *argv)
                self.assertEqual(result.status, status, result.err)

    def test_interrupted(self) -> None:
        self.job("run: sh -c 'echo begun; sleep 99; :'")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(signal=number):
                process = self.start("run", "job", stderr=subprocess.PIPE)
                process.stdout.readline()
                process.send_signal(number)
                self.assertEqual(process.wait(60), 130)

    def test_interrupted_while_the_file_is_read_or_left(self) -> None:
        """There is no traceback, and whoever asked sees what ended it."""
        whole = self.read("hydraflow.py")
        kill = "os.kill(os.getpid(), signal.SIGINT)\n"
        for line, text in (("import sys\n", f"import sys\n{kill}"), ("    sys.exit(end_status)\n", f"    {kill}    sys.exit(end_status)\n")):
            with self.subTest(line=line):
                self.assertIn(line, whole)
                self.write("hydraflow.py", whole.replace(line, text, 1))
                result = self.hydraflow("--version")
                self.assertEqual((result.status, result.err), (-signal.SIGINT, ""))

    def test_what_a_command_line_asks(self) -> None:
        """Every option of a run, and what it is without."""
        usual = hydraflow.Options(0, False, False, False, False, -1, 0.0, 0, 0, [])
        for text, changes in (
                ("", {}), ("--jobs 3", {"jobs": 3}), ("-j auto", {"jobs": hydraflow.AUTO}), ("--keep-going", {"keep_going": True}), ("--resume", {"resume": True}),
                ("--reuse", {"reuse": True}), ("--wait", {"wait": True}), ("--retries 0", {"retries": 0}), ("--retries 2", {"retries": 2}), ("--timeout 1.5", {"timeout": 1.5}),
                ("--pack 4", {"pack": 4}), ("--pack-parallel 3", {"pack_parallel": 3}), ("--pack 4 --pack-parallel 2 a=1 -- --x", {"pack": 4, "pack_parallel": 2})):
            with self.subTest(text):
                args = hydraflow.parse_arguments(["run", "job", *text.split()])
                self.assertEqual(hydraflow.run_options(args)._replace(words=[]), usual._replace(**changes))

    def test_options_of_run(self) -> None:
        """Each one does what it says."""
        self.job("run: sh -c 'echo $0 >> tries; test -e go || test $0 != a=1'\nsteps: [{batch: a=1:3}]\nfail-fast: true")
        for argv, tries in (((), "1"), (("--keep-going",), "1 2 3"), (("--retries", "2"), "1 1 1"), (("a=2,3",), "2 3"), (("a=3", "--quiet"), "3")):
            with self.subTest(argv=argv):
                result = self.hydraflow("run", "job", *argv)
                self.assertEqual(" ".join(self.lines("tries")), " ".join(f"a={number}" for number in tries.split()), result.err)
                os.unlink(os.path.join(self.folder, "tries"))
        self.job("run: sh -c 'touch here-$0; while test $(ls here-* | wc -l) -lt 3; do sleep 0.05; done'\nsteps: [{batch: a=1:3}]")
        for option in ("--jobs=3", "-j3"):
            self.assertEqual(self.hydraflow("run", "job", option, "--timeout", "1").status, 0)
            for name in self.names():
                if name.startswith("here-"):
                    os.unlink(os.path.join(self.folder, name))


if __name__ == "__main__":
    unittest.main()
