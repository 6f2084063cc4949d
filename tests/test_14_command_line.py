"""The command line: every subcommand and every option through the real program, and what it says to what it does not know."""
import json
import os
import subprocess
import sys
import unittest

from support import Program

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
COMMANDS = ("run", "show", "expand", "status", "logs", "results", "report", "cancel", "clean", "init", "schema", "completion")
RUN_OPTIONS = ("--dry-run", "--resume", "--reuse", "--jobs", "--keep-going", "--retries", "--timeout", "--pack", "--wait", "--quiet", "--sample")


class Asked(Program):
    """Commands that execute nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.write("hydraflow.yaml", JOBS)

    def test_help(self) -> None:
        """Of each command, with all of its options; no line is longer than the window."""
        result = self.hydraflow("--help", env={"COLUMNS": "80"})
        self.assertEqual((result.status, result.err), (0, ""))
        for name in COMMANDS:
            self.assertRegex(result.out, f"\n    {name}\\s")
            told = self.hydraflow(name, "--help", env={"COLUMNS": "80"})
            self.assertEqual((told.status, told.err), (0, ""), name)
            lines = told.out.splitlines()
            self.assertTrue(max(map(len, lines)) <= 80 and len(lines) <= 24 and lines[-1].startswith("example: "), told.out)
        told = self.hydraflow("run", "-h").out
        for option in RUN_OPTIONS:
            self.assertIn(option, told)

    def test_version(self) -> None:
        self.assertEqual(self.hydraflow().out, self.hydraflow("--help").out)
        self.assertEqual(self.hydraflow("--version")[:2], (0, f"hydraflow {hydraflow.__version__}\n"))

    def test_show(self) -> None:
        result = self.hydraflow("show")
        self.assertEqual((result.status, [line.split() for line in result.out.splitlines()[:2]]),
                         (0, [["train", "8", "tasks", "echo", "train"], ["evaluate", "1", "task", "echo", "e"]]))

    def test_expand_takes_options_and_what_stands_behind_two_dashes(self) -> None:
        for words in (("--x=1:2",), ("--", "--x=1:2")):
            self.assertEqual(self.hydraflow("expand", *words)[:2], (0, "--x=1\n--x=2\n"))

    def test_show_names_a_job_without_a_command_as_a_template(self) -> None:
        self.write("hydraflow.yaml", "jobs:\n  base: &base {retries: 1}\n  train: {<<: *base, run: echo e}\n")
        result = self.hydraflow("show")
        self.assertEqual((result.status, result.out), (0, "base   template\ntrain    1 task  echo e\n"))

    def test_show_a_job(self) -> None:
        """As HydraFlow understands it: its keys, of each step how many tasks there are, its axes, and the first command."""
        out = self.hydraflow("show", "train").out
        for part in ("train: 8 tasks\n", "  name: nice\n", "  max-parallel: 2\n", "  fail-fast: true\n", "  retries: 1\n", "  timeout-minutes: 1.5\n",
                     "  step 1 (first): 6 tasks: a (3) x b (2)\n    echo train a=1 b=y\n", "  step 2: 2 tasks: c (2)\n    echo train c=1 d=1"):
            self.assertIn(part, out)
        out = self.hydraflow("show", "evaluate").out
        self.assertIn("  needs: train\n", out)
        self.assertTrue(out.endswith("    echo e\n"), out)
        self.assertNotIn("max-parallel", out)

    def test_expand(self) -> None:
        for words, err, out in ((("a=1:2 b=x|y",), "4 combinations\n", "a=1 b=x\na=1 b=y\na=2 b=x\na=2 b=y\n"), (("a=1:2", "b=x"), "2 combinations\n", "a=1 b=x\na=2 b=x\n"),
                                (("a='x y'",), "1 combination\n", "'a='\"'\"'x y'\"'\"''\n")):
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
        self.hydraflow("run", "short")
        process = self.start("run", "short", "--dry-run", "a=1:1000000000000")  # also after a run, nothing walks through it
        self.assertTrue(process.stdout.readline().endswith(b" a=1\n"))
        process.stdout.close()
        process.wait()

    def test_another_file_and_folder(self) -> None:
        os.mkdir(os.path.join(self.folder, "sub"))
        self.write("sub/other.yaml", "jobs: {other: {run: pwd, hydra: false}}")
        self.write("sub/hydraflow.yml", "jobs: {third: {run: pwd, hydra: false}}")
        self.assertEqual(self.hydraflow("-f", "sub/other.yaml", "show").out, "other  1 task  pwd\n")
        self.assertEqual(self.hydraflow("-C", "sub", "show").out, "third  1 task  pwd\n")
        self.assertEqual(self.hydraflow("-C", "sub", "-f", "other.yaml", "run", "other").out, os.path.join(self.folder, "sub") + "\n")
        self.assertEqual(self.hydraflow("-fsub/other.yaml", "-C.", "show").out, "other  1 task  pwd\n")
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
        for name in COMMANDS:
            told = self.hydraflow(name, "--help", env=environment).out
            example = told.partition("example: ")[2].partition("\n")[0]
            self.assertIn(f"hydraflow {name}" if name != "init" else "-C sub init", example)
            process = subprocess.run(["bash", "-ec", example], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(process.returncode, 0, example + process.stdout.decode())
        for name in ("report.html", "schema.json", os.path.join("sub", "hydraflow.yaml")):
            self.assertTrue(os.path.getsize(os.path.join(self.folder, name)), name)

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
        self.assertEqual(self.states("train"), ["succeeded"] * 5)

    def test_for_hydra(self) -> None:
        """What it writes is understood, and a script that exists is the one that is run."""
        self.write("train.py", "mine")
        self.assertEqual(self.hydraflow("init", "--hydra").status, 0)
        self.assertEqual(self.read("train.py"), "mine")
        result = self.hydraflow("run", "train", "--dry-run")
        self.assertEqual(result.status, 0, result.err)
        os.unlink(os.path.join(self.folder, "hydraflow.yaml"))
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
        for name in ("evaluate", "train", "short"):
            self.assertRegex(result.out, f"(?m)^{name}: ")
        documents = json.loads(self.hydraflow("status", "--json").out)
        self.assertEqual({one["job"]: one["count"] for one in documents}, {"evaluate": 1, "train": 8, "short": 3})

    def test_records_are_of_a_file_and_a_job(self) -> None:
        """Two files with a job of one name share none, and each command finds its own."""
        self.write("other.yaml", "jobs: {short: {run: \"sh -c 'echo $0 other; test $0 != b=2'\", hydra: false, needs: prep, steps: [{batch: \"b=1:3\"}]}, prep: {run: echo, hydra: false}}")
        other, program = ("-f", "other.yaml"), os.path.basename(sys.executable) + " -m hydraflow"
        self.assertEqual([self.hydraflow(*file, "run", "short", "--keep-going", "-q").status for file in ((), other, ("-f", "./hydraflow.yaml"))], [1] * 3)
        self.assertEqual(len(self.records("short")), 2)
        heads = [line for line in self.hydraflow("status").out.splitlines() if line[0] != " "]
        self.assertEqual([(line.partition(": ")[0], line.partition("; next: ")[2]) for line in heads], [
            ("other.yaml:prep", f"{program} -f other.yaml results prep"), ("other.yaml:short", f"{program} -f other.yaml run --resume short --keep-going -q"),
            ("short", f"{program} run --resume short --keep-going -q")])
        for argv, wanted in ((("logs", "short", "2"), "b=2 other\n"), (("status", "short"), "other.yaml:short: "), (("results", "short", "b=3", "--csv"), "task,b,"), (("status", "short", "--all"), "run ")):
            self.assertTrue(self.hydraflow(*other, *argv).out.startswith(wanted), argv)
        self.assertEqual(self.hydraflow("-f", "nosuch.yaml", "status", "short").status, 2)
        self.assertIn(f"hint: begun with: {program} -f other.yaml run short --keep-going -q\n", self.hydraflow(*other, "run", "short", "--resume", "b=7").err)
        self.hydraflow(*other, "run", "short", "-q")
        for file, count in (((), 1), (other, 1)):
            self.assertIn(f"removed {count} record\n", self.hydraflow(*file, "clean", "short", "--yes").err)

    def test_status_for_programs(self) -> None:
        self.hydraflow("run", "short", "--keep-going")
        document = json.loads(self.hydraflow("status", "short", "--json").out)
        self.assertEqual((document["job"], document["count"], document["states"]["failed"], document["states"]["succeeded"]), ("short", 3, 1, 2))
        self.assertTrue(os.path.isdir(os.path.join(self.folder, document["record"])))
        self.assertTrue(document["summary"].startswith("short: 2 of 3 tasks done (66%), began "), document["summary"])
        task = document["tasks"][1]
        shown = {name: task[name] for name in ("task", "step", "params", "argv", "cwd", "state", "exit_status", "cause", "attempts")}
        self.assertEqual(shown, {"task": 2, "step": 1, "params": {"a": "2"}, "argv": ["sh", "-c", "echo $0; test $0 != a=2", "a=2"], "cwd": self.folder,
                                 "state": "failed", "exit_status": 1, "cause": "a=2", "attempts": 1})
        self.assertEqual((task["host"], self.read(task["log"])), (os.uname().nodename, "a=2\n"))
        self.assertTrue(document["started"] <= task["started"] + 1 and task["started"] <= task["ended"], task)

    def test_logs(self) -> None:
        self.hydraflow("run", "short", "--keep-going")
        one, two, three = ("==> [1 a=1] succeeded <==\na=1\n", "==> [2 a=2] failed: exit status 1 <==\na=2\n", "==> [3 a=3] succeeded <==\na=3\n")
        for words, out in (((), one + two + three), (("2",), "a=2\n"), (("--failed",), two), (("1", "--follow"), "a=1\n"), (("a=2:3",), two + three)):
            with self.subTest(words=words):
                self.assertEqual(self.hydraflow("logs", "short", *words), (0, out, ""))
        for words in (("--follow",), ("3", "a=2")):
            self.assertEqual(self.hydraflow("logs", "short", *words), (0, "", "no matching task; --follow is about those that run, --failed about failures\n"))
        for word in ("4", "0", "b=1"):
            self.assertEqual(self.hydraflow("logs", "short", word)[:2], (2, ""))
            self.assertEqual(self.hydraflow("cancel", "short", "1", word)[:2], (2, ""))

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


class Spelled(Program):
    """A command without a job file: it is literal, and the axes stand behind :::."""

    def dry(self, *words: str) -> "list":
        """Return the commands of a dry run."""
        result = self.hydraflow("run", "--dry-run", "--", *words)
        self.assertEqual(result.status, 0, result.err)
        return result.out.splitlines()

    def test_the_command_is_literal(self) -> None:
        for words in (["echo", "a=1,2", "[1,2]", "$HOME", "don't", "*", "a|b", "--x=1:3", "{1..3}", "${x}", "=", "-F=,", "#x", ""],
                      ["env", "CUDA_VISIBLE_DEVICES=0,1", "true"], ["sh", "-c", "echo \"$1\" | cat > 'a b'", "sh", "~/x"], ["awk", "$1 > 5 {print $2}"]):
            with self.subTest(words=words):
                self.assertEqual(self.dry(*words), [hydraflow.shell_text(words)])
                self.assertEqual(self.dry(*words, ":::"), [hydraflow.shell_text(words)])
        self.assertEqual(self.hydraflow("run", "--", "printf", "<%s>", "a b", "$x", "it's").out, "<a b><$x><it's>")
        self.assertIn("next: " + os.path.basename(sys.executable) + " -m hydraflow results printf", self.hydraflow("status").out)

    def test_axes(self) -> None:
        self.write("design.csv", "--lr,--n\n0.1,1\n0.2,2\n")
        self.write("t.tsv", "x\tf\n1\ta.c\n2\tb.c\n")
        for words, wanted in ((["./sim", "-v", ":::", "--x=1:2", "--seed=1"], ["./sim -v --x=1 --seed=1", "./sim -v --x=2 --seed=1"]),
                              (["cp", "{x}", "{x}-{y}", "{z}", ":::", "x=a", "y=1,2"], ["cp a a-1 '{z}'", "cp a a-2 '{z}'"]),
                              (["echo", "-c", "{n}", ":::", "n=1"], ["echo -c 1"]), (["echo", ":::", "$N=1,2"], ["env N=1 echo", "env N=2 echo"]), (["echo", "{task.index}", ":::"], ["echo 1"]),
                              (["echo", "{a}", "{b}", ":::", "a,b=(1,x),(2,y)"], ["echo 1 x", "echo 2 y"]), (["./sim", ":::", "rows(design.csv)"], ["./sim --lr=0.1 --n=1", "./sim --lr=0.2 --n=2"]),
                              (["./sim", ":::", "--mem=4G,8G"], ["./sim --mem=4G", "./sim --mem=8G"]),
                              (["cp", "{x}", ":::", "rows(t.tsv)"], ["cp 1", "cp 2"]), (["cp", "{f.stem}", "{x}", ":::", "rows(t.tsv)", "--y=5"], ["cp a 1 --y=5", "cp b 2 --y=5"]),
                              (["./sim", ":::", "rows(t.tsv)"], ["./sim x=1 f=a.c", "./sim x=2 f=b.c"])):
            with self.subTest(words=words):
                self.write("sim", "")
                os.chmod(os.path.join(self.folder, "sim"), 0o755)
                self.assertEqual(self.dry(*words), wanted)

    def test_mistakes(self) -> None:
        for words in (["./sim", ":::", "1", "2"], ["./sim", ":::", "x=1"], ["./sim", ":::", "--x=1 --y=2"], ["./sim", ":::+", "x"], ["./sim", "::::", "f"], ["./sim", ":::", "--jobs=2"],
                      ["./sim", ":::", "=1,2"], ["echo", "{task.dir}"], ["sh", "-c", "cat {f}", ":::", "f=a"], ["bash", "-o", "pipefail", "-ec", "cat {f}", ":::", "f=a"], [":::", "a=1"], ["echo", ":::", "--x=1", "--x=2,3"]):
            with self.subTest(words=words):
                result = self.hydraflow("run", "--", *words)
                self.assertEqual((result.status, self.names()), (2, ["hydraflow.py"]), result.err)
                self.assertIn("hint: ", result.err)
        self.job("run: echo")
        self.assertEqual(self.hydraflow("run", "job", ":::", "a=1").status, 2)

    def test_what_is_not_swept_is_said(self) -> None:
        """With a line that can be pasted."""
        for words, swept in ((["echo", "--x=1:3"], 3), (["echo", "x=1,2"], 2), (["echo", "1:3", "--x", "1,2"], 6)):
            with self.subTest(words=words):
                said = self.hydraflow("run", "--", *words).err.splitlines()[0]
                line = said.partition("hydraflow run ")[2]
                process = subprocess.run(["sh", "-c", f"'{sys.executable}' -m hydraflow run --dry-run {line}"], cwd=self.folder, stdout=subprocess.PIPE)
                self.assertEqual(len(process.stdout.splitlines()), swept, said)
        for words in (["-v", "http://a:80/b"], ["s/a=1,2/b/"], ["$s=s1,s2"], ["-e", "s|x=1,2|y=3,4|"], ["x[0]=1,2"], ["a,b=1,2"], ["16:9:0"]):
            self.assertNotIn("sweep", self.hydraflow("run", "--", "echo", *words).err, words)

    def test_names(self) -> None:
        self.write("a.py", "")
        for words, name in ((["true"], "true"), ([sys.executable, "a.py"], "a.py"), (["env", "A=1", "sh", "-c", "true"], "env")):
            self.hydraflow("run", "-q", "--", *words)
            self.assertTrue(self.hydraflow("status", name).out.startswith(f"{name}: 1 of 1 task"), name)
        self.hydraflow("run", "-q", "--name", "mine", "--", "true")
        self.assertEqual(self.hydraflow("status", "mine").status, 0)
        self.write("hydraflow.yml", "jobs: {'true': {run: echo}, wrong: {rum: x}}")
        for words in (["--", "true"], ["--name", "wrong", "--", "./a.py"]):
            self.assertIn("is a job of the job file", self.hydraflow("run", *words).err)

    def test_everything_excluded(self) -> None:
        self.job("run: echo\nsteps: [{batch: 'a=1,2', exclude: ['a=1', 'a=2']}]")
        self.assertEqual(self.hydraflow("run", "job").status, 2)
        self.assertNotIn(".hydraflow", self.names())


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
