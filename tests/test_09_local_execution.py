"""Execution here: what is executed, in which order, how often, and what a resume makes of it."""
import glob
import os
import signal
import subprocess
import sys
import time
import unittest

from support import Program, StandIns, wait_until

import hydraflow


class Everywhere(StandIns):
    """What every Python executes, beside chapters 1 to 5: a life with a resume, and an array task."""

    def test_a_life(self) -> None:
        text = "run: sh -c 'echo $0 >> log; echo loss=7; test -e go || test $0 != a=2'\nretries: 1\nfail-fast: false\nsteps: [{batch: 'a=1:3', args: 'b=é'}]"
        self.job(text)
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        self.write("go", "")
        self.job(text.replace("1:3", "1:4"))
        self.assertEqual((self.hydraflow("run", "job", "--resume").status, self.states()), (0, ["succeeded"] * 4))
        self.assertEqual({number: task["attempts"] for number, task in self.tasks().items()}, {1: 1, 2: 3, 3: 1, 4: 1})
        self.assertEqual(sorted(self.lines("log")), ["a=1", "a=2", "a=2", "a=2", "a=3", "a=4"])
        for argv in (("status",), ("logs", "job"), ("results", "job", "loss"), ("report", "job", "loss"), ("show",), ("clean", "job", "--dry-run")):
            result = self.hydraflow(*argv)
            self.assertEqual((result.status, "Traceback" in result.err), (0, False), result.err)

    def test_an_interrupt(self) -> None:
        self.job("run: sh -c 'echo x > begun; exec sleep 99'")
        process = self.begun()
        process.send_signal(signal.SIGINT)
        self.assertEqual((process.wait(30), self.states()), (130, ["interrupted"]))

    def test_an_array_task(self) -> None:
        self.job("run: sh -c 'echo $0; test $0 != a=2'\nsubmit: sbatch\nsteps: [{batch: 'a=1:3'}, {call: work.function, batch: 'é=1'}]\nfail-fast: false\nretries: 1")
        self.write("work.py", "def function(words):\n    print(words[0])\n")
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        self.write("queue", "101|1|RUNNING|None\n102|1|PENDING|Priority\n")
        for index in (1, 2, 3):
            self.elements(101, index).wait()
        self.elements(102, 1).wait()
        self.clear("queue")
        self.assertEqual(self.states(), ["succeeded", "failed", "succeeded", "succeeded"])
        self.assertIn("é=1", self.hydraflow("logs", "job", env={"PYTHONIOENCODING": "utf-8"}).out)


class Here(Program):
    def test_tasks_in_order(self) -> None:
        self.job("run: sh -c 'echo out $0; echo err $0 >&2'\nsteps: [{batch: a=1:2}, {batch: b=3}]")
        result = self.hydraflow("run", "job")
        self.assertEqual((result.status, result.out), (0, "out a=1\nerr a=1\nout a=2\nerr a=2\nout b=3\nerr b=3\n"))
        self.assertEqual(self.states(), ["succeeded"] * 3)

    def test_what_a_failure_stops(self) -> None:
        """By default what comes in later steps; with fail-fast also the rest of its step; without it, nothing."""
        for fail_fast, argv, out in (("", (), "a=1 a=2 a=3"), ("fail-fast: true\n", (), "a=1 a=2"), ("fail-fast: false\n", (), "a=1 a=2 a=3 b=1"),
                                     ("fail-fast: true\n", ("--keep-going",), "a=1 a=2 a=3 b=1")):
            with self.subTest(fail_fast=fail_fast, argv=argv):
                self.job(f"run: sh -c 'echo $0; test $0 != a=2'\n{fail_fast}steps: [{{batch: a=1:3}}, {{batch: b=1}}]")
                result = self.hydraflow("run", "job", *argv)
                self.assertEqual((result.status, " ".join(result.out.split())), (1, out))
                self.assertEqual(self.states(), ["succeeded", "failed", *["succeeded" if name in out else "not started" for name in ("a=3", "b=1")]])

    def test_resume_executes_what_has_not_succeeded(self) -> None:
        text = "run: sh -c 'echo $0 >> done; test -e ok || test $0 != a=2'\n"
        self.job(text + "steps: [{batch: a=1:3}]")
        self.assertEqual(self.hydraflow("run", "job", "--keep-going").status, 1)
        self.write("ok", "")
        self.job(text + "steps: [{batch: a=0:4}]")
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(self.lines("done"), ["a=1", "a=2", "a=3", "a=0", "a=2", "a=4"])
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual((len(self.lines("done")), self.states()), (6, ["succeeded"] * 5))

    def test_the_same_command_twice_is_two_tasks(self) -> None:
        self.job("run: sh -c 'true $0; echo x >> done; test $(wc -l < done) -ne 2'\nsteps: [{batch: \"a=1,1\"}]")
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(self.lines("done"), ["x"] * 3)

    def test_several_at_once_with_barriers(self) -> None:
        self.job("run: sh -c 'echo $0 >> order; echo begin; until test $(wc -l < order) -ge 3; do sleep 0.05; done; echo end; echo $0 >> order'\nmax-parallel: 3\n"
                 "steps: [{batch: a=1:3}, {batch: b=1}]")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 0, result.err)
        self.assertEqual(sorted(result.out.splitlines()), sorted(f"[{name}] {word}" for name in ("1 a=1", "2 a=2", "3 a=3", "4 b=1") for word in ("begin", "end")))
        order = self.lines("order")
        self.assertEqual((sorted(order[:3]), sorted(order[3:6]), order[6:]), (["a=1", "a=2", "a=3"], ["a=1", "a=2", "a=3"], ["b=1"] * 2))

    def test_slots(self) -> None:
        self.job("run: sh -c 'echo $0 $SLOT; sleep 0.1' ${{ task.slot }}\nmax-parallel: 2\nenv: {SLOT: \"${{ task.slot }}\"}\nsteps: [{batch: a=1:6}]")
        result = self.hydraflow("run", "job")
        self.assertEqual({line.split("] ")[1] for line in result.out.splitlines()}, {"0 0", "1 1"})

    def test_directories_of_tasks(self) -> None:
        self.job("run: sh -c 'pwd; cd \"$OUT\" && pwd'\nenv: {OUT: '${{ task.dir }}'}")
        here, there = self.hydraflow("run", "job").out.split()
        self.assertEqual((here, os.path.dirname(there)), (self.folder, os.path.join(self.folder, "multirun")))
        self.job("run: pwd\nworking-directory: ${{ task.dir }}")
        self.assertIn(os.path.join(self.folder, "multirun"), self.hydraflow("run", "job").out)
        os.mkdir(os.path.join(self.folder, "0"))
        self.job("run: pwd\nworking-directory: ${{ task.slot }}")
        self.assertEqual(self.hydraflow("run", "job").out.strip(), os.path.join(self.folder, "0"))
        self.job("run: sh -c 'echo $0 > $1/out' x ${{ task.dir }}\nsteps: [{run: \"sh -c 'echo $1 > $0/out' ${{ task.dir }}\", batch: a=1:2}]")
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        self.assertEqual(sorted(self.read(path) for path in glob.glob(f"{self.folder}/multirun/*/out")), ["a=1\n", "a=2\n"])

    def test_a_function_is_called_by_the_python_that_is_named(self) -> None:
        """By python:, else HYDRAFLOW_PYTHON, else the one that executes HydraFlow: here as on a cluster."""
        self.write("functions.py", "import os, sys\n\n\ndef tell(words):\n    print(os.environ.get('WHO'), words)\n")
        for name in ("one", "two"):
            self.program(name, f"WHO={name} exec {sys.executable} \"$@\"\n")
        for python, env, who in (("python: ./one", {}, "one"), ("python: ./one", {"HYDRAFLOW_PYTHON": "./two"}, "one"), ("", {"HYDRAFLOW_PYTHON": "./two"}, "two"), ("", {}, "None")):
            with self.subTest(python=python, env=env):
                self.job(f"call: functions.tell x\n{python}")
                result = self.hydraflow("run", "job", env=env)
                self.assertEqual((result.status, result.out), (0, f"{who} ['x']\n"), result.err)

    def test_call(self) -> None:
        """Of a mistake in it, the traceback is the user's alone."""
        self.write("mine.py", "import sys\n\n\ndef work(words):\n    print(words)\n    if 'a=2' in words:\n        raise ValueError('two')\n\n\ndef stop(words):\n    sys.exit('no data')\n")
        self.job("call: mine.work first\nsteps: [{batch: a=1:2}]")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 1)
        self.assertIn("['first', 'a=1']\n['first', 'a=2']\nTraceback (most recent call last):\n  File", result.out)
        self.assertFalse("hydraflow.py" in result.out or "importlib" in result.out, result.out)
        self.write("lost.py", "import nosuch\n")
        for call, part in (("nosuch.work", "nosuch"), ("mine.nosuch", "nosuch"), ("lost.work", "lost.py\", line 1, in <module>\n"), ("mine.stop", "no data\n")):
            self.job(f"call: {call}")
            result = self.hydraflow("run", "job")
            self.assertEqual(result.status, 1)
            self.assertIn(part, result.out)

    def test_a_dry_run_streams_whatever_is_excluded(self) -> None:
        self.job("run: echo\nsteps: [{batch: \"a=1:1000000000\", exclude: a=5}]")
        process = self.start("run", "job", "--dry-run")
        lines = [process.stdout.readline() for _ in range(6)]
        process.stdout.close()
        process.wait()
        self.assertEqual([line.split()[1] for line in lines], [b"a=1", b"a=2", b"a=3", b"a=4", b"a=6", b"a=7"])

    def test_a_task_that_cannot_be_started(self) -> None:
        self.job("run: sh -c 'echo $0'\nworking-directory: ${{ matrix.d }}\nsteps: [{batch: \"d=.,gone,.\"}]")
        result = self.hydraflow("run", "job", "--keep-going")
        self.assertEqual((result.status, self.states()), (1, ["succeeded", "failed", "succeeded"]))
        self.assertIn("gone: No such file or directory", result.err)

    def test_retries(self) -> None:
        self.job("run: sh -c 'echo $0 >> tries; echo try $(grep -c $0 tries); test $(grep -c $0 tries) -ge 3'\nretries: 2\nsteps: [{batch: a=1:2}]")
        result = self.hydraflow("run", "job")
        self.assertEqual((result.status, result.out), (0, "try 1\ntry 2\ntry 3\n" * 2))
        self.assertEqual(self.lines("tries"), ["a=1"] * 3 + ["a=2"] * 3)
        self.assertEqual([task["attempts"] for task in self.tasks().values()], [3, 3])
        self.assertEqual([line for line in self.hydraflow("logs", "job", "1").out.splitlines() if "==>" not in line], ["try 1", "try 2", "try 3"])
        self.clear("tries")
        self.assertEqual(self.hydraflow("run", "job", "--retries", "1").status, 1)

    def test_needs_come_first_and_stop_what_needs_them(self) -> None:
        self.write("hydraflow.yaml", "jobs:\n  a: {run: sh -c 'echo a'}\n  b: {run: sh -c 'echo b; test -e ok', needs: a}\n  c: {run: sh -c 'echo c', needs: [a, b]}\n")
        result = self.hydraflow("run", "c")
        self.assertEqual((result.status, result.out, self.records("c")), (1, "a\nb\n", []))
        self.write("ok", "")
        self.assertEqual(self.hydraflow("run", "c").out, "b\nc\n")  # a has succeeded, in its newest run
        self.assertEqual(self.hydraflow("run", "c", "--resume").out, "")

    def test_from_python(self) -> None:
        """main executes a job in the process of a caller, which goes on as before."""
        code = ("import signal, hydraflow\nbefore = signal.getsignal(signal.SIGINT)\nprint(hydraflow.main(['run', 'job', '-q']), hydraflow.main(['run', 'nosuch']))\n"
                "assert signal.getsignal(signal.SIGINT) is before\nrow, = hydraflow.results('job', ['loss'])\nprint(row['metrics'], row['state'])\n")
        self.job("run: echo loss=3")
        process = subprocess.run([sys.executable, "-c", code], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(process.stdout.decode().splitlines(), ["0 2", "{'loss': 3.0} succeeded"], process.stderr.decode())
        self.assertEqual(hydraflow.Error("some-code", "text").code, "some-code")


class Killed(Program):
    """HydraFlow is killed: its tasks go on, and the next start finds them."""

    def test_tasks_are_awaited(self) -> None:
        self.job("run: sh -c 'echo $0 >> begun; until test -e go; do sleep 0.05; done; echo $0 >> done'\nmax-parallel: 2\nsteps: [{batch: a=1:3}]")
        self.kill(self.begun(count=2))
        self.assertEqual(self.states(), ["running", "running", "not started"])
        again = self.start("run", "job", "--resume")
        time.sleep(0.5)
        self.assertIsNone(again.poll())
        self.write("go", "")
        out = again.communicate(timeout=30)[0].decode()
        self.assertEqual(again.returncode, 0, out)
        for name in ("done", "begun"):
            self.assertEqual(sorted(self.lines(name)), ["a=1", "a=2", "a=3"])

    def test_what_ended_while_nobody_watched_is_known(self) -> None:
        self.job("run: sh -c 'echo $0 >> begun; until test -e go; do sleep 0.02; done; echo $0 >> done; test $0 = a=1'\nmax-parallel: 2\nsteps: [{batch: a=1:2}]")
        self.kill(self.begun(count=2))
        self.write("go", "")
        wait_until(lambda: self.states() == ["succeeded", "failed"])
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 1)
        self.assertEqual(sorted(self.lines("done")), ["a=1", "a=2", "a=2"])


if __name__ == "__main__":
    unittest.main()
