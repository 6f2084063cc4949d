"""Execution: real processes, real signals, and what is remembered of them."""
import errno
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

from support import EmptyFolder, Program

import hydraflow


class Execution(Program):
    """Each test runs the program in an empty folder."""

    def until(self, name: str) -> None:
        """Wait until a file is there and has a line."""
        limit = time.monotonic() + 30
        while not os.path.exists(os.path.join(self.folder, name)) or not self.read(name).endswith("\n"):
            self.assertLess(time.monotonic(), limit, f"no file {name}")
            time.sleep(0.01)


class Here(Execution):
    def test_variables_of_the_environment(self) -> None:
        """Whatever their names: none is one of the shell's around the task, which would change it."""
        names = "task", "why", "up", "status", "line", "name", "log", "events", "room", "head"
        self.job("run: sh -c 'echo $task $why $up $status $line $name $log $events $room $head; test $0'\nsteps: [{batch: a=1}]")
        result = self.hydraflow("run", "job", env={name: name.upper() for name in names})
        self.assertEqual(result.out, " ".join(names).upper() + "\n", result.err)

    def test_tasks_in_order_with_logs(self) -> None:
        self.job("run: sh -c 'echo out $0; echo err $0 >&2'\nsteps: [{batch: a=1:2}, {batch: b=3}]")
        result = self.hydraflow("run", "job")
        self.assertEqual((result.status, result.out), (0, "out a=1\nerr a=1\nout a=2\nerr a=2\nout b=3\nerr b=3\n"))
        self.assertIn("3 tasks: 3 succeeded", result.err)
        self.assertEqual(result.err.count("[2 a=2] succeeded"), 1)
        self.assertEqual([task["state"] for task in self.tasks().values()], ["succeeded"] * 3)

    def test_what_a_failure_stops(self) -> None:
        """By default what comes in later steps; with fail-fast also the rest of its step; without it, nothing."""
        for fail_fast, argv, out in (("", (), "a=1 a=2 a=3"), ("fail-fast: true\n", (), "a=1 a=2"),
                                     ("fail-fast: false\n", (), "a=1 a=2 a=3 b=1"),
                                     ("fail-fast: true\n", ("--keep-going",), "a=1 a=2 a=3 b=1")):
            with self.subTest(fail_fast=fail_fast, argv=argv):
                self.job(f"run: sh -c 'echo $0; test $0 != a=2'\n{fail_fast}steps: [{{batch: a=1:3}}, {{batch: b=1}}]")
                result = self.hydraflow("run", "job", *argv)
                self.assertEqual((result.status, " ".join(result.out.split())), (1, out))
                count = len(out.split())
                rest = f", {4 - count} not started" if count < 4 else ""
                self.assertIn(f"4 tasks: {count - 1} succeeded, 1 failed{rest}", result.err)
                self.assertIn("[2 a=2] failed: exit status 1", result.err.splitlines())
                self.assertIn("  again: sh -c 'echo $0; test $0 != a=2' a=2", result.err.splitlines())

    def test_resume_executes_what_has_not_succeeded(self) -> None:
        self.job("run: sh -c 'echo $0 >> done; test -e ok || test $0 != a=2'\nsteps: [{batch: a=1:3}]")
        self.assertEqual(self.hydraflow("run", "job", "--keep-going").status, 1)
        self.write("ok", "")
        self.job("run: sh -c 'echo $0 >> done; test -e ok || test $0 != a=2'\nsteps: [{batch: a=0:4}]")
        result = self.hydraflow("run", "job", "--resume")
        self.assertEqual(result.status, 0, result.err)
        self.assertIn("5 tasks: 3 succeeded, 2 had succeeded before", result.err)
        self.assertEqual(self.read("done").split(), ["a=1", "a=2", "a=3", "a=0", "a=2", "a=4"])
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(len(self.read("done").split()), 6)
        self.assertEqual([task["state"] for task in self.tasks().values()], ["succeeded"] * 5)

    def test_the_same_command_twice_is_two_tasks(self) -> None:
        self.job("run: sh -c 'true $0; echo x >> done; test $(wc -l < done) -ne 2'\nsteps: [{batch: \"a=1,1\"}]")
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(self.read("done").split(), ["x"] * 3)

    def test_several_at_once_with_prefixes_and_barriers(self) -> None:
        self.job("run: sh -c 'echo $0 >> order; echo begin; until test $(wc -l < order) -ge 3; do sleep 0.05; done; echo end; echo $0 >> order'\nmax-parallel: 3\n"
                 "steps: [{batch: a=1:3}, {batch: b=1}]")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 0, result.err)
        self.assertEqual(sorted(result.out.split("\n")), sorted(["", *(f"[{name}] {w}" for name in ("1 a=1", "2 a=2", "3 a=3", "4 b=1") for w in ("begin", "end"))]))
        order = self.read("order").split()
        self.assertEqual((sorted(order[:3]), sorted(order[3:6]), order[6:]), (["a=1", "a=2", "a=3"], ["a=1", "a=2", "a=3"], ["b=1"] * 2))

    def test_slots(self) -> None:
        self.job("run: sh -c 'echo $0 $SLOT; sleep 0.1' ${{ task.slot }}\nmax-parallel: 2\nenv: {SLOT: \"${{ task.slot }}\"}\n"
                 "steps: [{batch: a=1:6}]")
        result = self.hydraflow("run", "job")
        self.assertEqual({line.split("] ")[1] for line in result.out.splitlines()}, {"0 0", "1 1"})

    def test_each_task_leads_a_session_and_reads_nothing(self) -> None:
        self.job("run: sh -c 'cat; ps -o pgid=,sid= -p $$'")
        out = self.hydraflow("run", "job", stdin=b"never read").out.split()
        self.assertEqual(out[0], out[1])
        self.assertNotEqual(int(out[0]), os.getpgrp())

    def test_output_is_passed_on_as_it_is(self) -> None:
        self.write("noise.py", "import sys\nout = sys.stdout.buffer\nout.write(b'\\xff\\xfe [/x] \\x1b[2J\\r\\n')\n"
                               "out.write(b'x' * 10_000_000 + b'\\nlast, no line break')\n".replace("10_000_000", "10000000"))
        self.job(f"run: {sys.executable} noise.py")
        process = self.start("run", "job")
        out, _ = process.communicate()
        self.assertEqual(process.returncode, 0)
        expected = b"\xff\xfe [/x] \x1b[2J\r\n" + b"x" * 10000000 + b"\nlast, no line break"
        self.assertTrue(out.startswith(expected), (len(out), len(expected), out[:99], out[10000000:][:999]))

    def test_a_program_or_directory_that_is_not_there(self) -> None:
        os.mkdir(os.path.join(self.folder, "sub"))
        for name, line, mode in (("plain.sh", "#!/bin/sh\n", 0o644), ("run.sh", "#!/bin/sh\n", 0o755), ("windows.sh", "#!/bin/sh\r\ntrue\r\n", 0o755),
                                 ("lost.sh", "#!/no/such/sh -e\n", 0o755), ("env.sh", "#!/usr/bin/env -S A=1 nosuchpython -u\n", 0o755),
                                 ("windows.py", "#!/usr/bin/env python\r\n", 0o755)):
            self.write(name, line)
            os.chmod(os.path.join(self.folder, name), mode)
        for text, part in (("run: nosuchprogram x", "there is no program nosuchprogram"),
                           ("run: sh\nworking-directory: nosuch", "there is no directory nosuch"),
                           ("run: sh\nworking-directory: nosuch", f"\nhint: make it first; it counts from {os.path.realpath(self.folder)}\n"),
                           ("run: ./nosuch", "there is no program ./nosuch"), ("run: plain.sh", "write ./plain.sh: the current directory is not searched"),
                           ("run: ./plain.sh", "./plain.sh is not executable: its execute bit is not set"), ("run: ./plain.sh", "hint: chmod +x plain.sh sets it"),
                           ("run: ./sub", "./sub is a directory, and no program"), ("run: ./windows.sh", "./windows.sh has line ends of Windows"),
                           ("run: ./lost.sh", "the #! line of ./lost.sh names a program that is not there: /no/such/sh"),
                           ("run: ./env.sh", "the #! line of ./env.sh names a program that is not there: nosuchpython"),
                           ("run: ./windows.py", "./windows.py has line ends of Windows"), ("run: x\nsubmit: ./plain.sh", "hint: chmod +x plain.sh sets it"),
                           ("run: run.sh", "write ./run.sh: the current directory is not searched")):
            with self.subTest(text=text):
                self.job(text)
                result = self.hydraflow("run", "job")
                self.assertEqual((result.status, result.out), (2, ""))
                self.assertIn(part, result.err)
                self.assertIn("hydraflow.yaml:", result.err)
                self.assertFalse(os.path.exists(os.path.join(self.folder, ".hydraflow")))

    def test_directories_of_tasks(self) -> None:
        self.job("run: sh -c 'pwd; cd \"$OUT\" && pwd'\nenv: {OUT: '${{ task.dir }}'}")
        here, there = self.hydraflow("run", "job").out.split()
        self.assertEqual((here, os.path.dirname(there)), (self.folder, os.path.join(self.folder, "multirun")))
        self.job("run: pwd\nworking-directory: ${{ task.dir }}")
        self.assertIn(os.path.join(self.folder, "multirun"), self.hydraflow("run", "job").out)
        os.mkdir(os.path.join(self.folder, "0"))
        self.job("run: pwd\nworking-directory: ${{ task.slot }}")
        self.assertEqual(self.hydraflow("run", "job").out.strip(), os.path.join(self.folder, "0"))

    def test_mistakes_that_are_told_before_anything_executes(self) -> None:
        self.job("run: echo executed")
        for argv, env, part in ((["--dry-run", "run", "job"], {}, "--dry-run stands before the command"),
                                (["-C", ".", "--quiet", "run", "job"], {}, "--quiet stands before the command"),
                                (["run", "job"], {"HYDRAFLOW_GRACE": "x"}, "HYDRAFLOW_GRACE is x, which is no number of seconds")):
            with self.subTest(argv=argv):
                result = self.hydraflow(*argv, env=env)
                self.assertEqual((result.status, result.out), (2, ""))
                self.assertIn(part, result.err)
                self.assertFalse(os.path.exists(os.path.join(self.folder, ".hydraflow")))
        self.job("run: echo\nsteps: [{batch: \"a=" + "(1,2)" * 15000 + "\"}]")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 2)
        self.assertIn("job job has more than 10^1000 tasks, which are too many to execute", result.err)

    def test_a_function_is_called_by_the_python_that_is_named(self) -> None:
        """By python:, else HYDRAFLOW_PYTHON, else the one that executes HydraFlow: here as on a cluster."""
        self.write("functions.py", "import os, sys\n\n\ndef tell(words):\n    print(os.environ.get('WHO'), words)\n")
        for name in ("one", "two"):
            self.write(name, f"#!/bin/sh\nWHO={name} exec {sys.executable} \"$@\"\n")
            os.chmod(os.path.join(self.folder, name), 0o755)
        for python, env, who in (("python: ./one", {}, "one"), ("python: ./one", {"HYDRAFLOW_PYTHON": "./two"}, "one"),
                                 ("", {"HYDRAFLOW_PYTHON": "./two"}, "two"), ("", {}, "None")):
            with self.subTest(python=python, env=env):
                self.job(f"call: functions.tell x\n{python}")
                result = self.hydraflow("run", "job", env=env)
                self.assertEqual((result.status, result.out), (0, f"{who} ['x']\n"), result.err)

    def test_the_summary_of_a_failure_cuts_a_long_argument(self) -> None:
        self.job("run: sh -c 'true \"$@\"; exit 3' sh\nsteps: [{batch: a=" + "x" * 200000 + "}]")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 1)
        self.assertLess(len(result.err), 5000)

    def test_a_function_that_is_not_there(self) -> None:
        self.job("call: os.nofunc")
        result = self.hydraflow("run", "job")
        self.assertEqual((result.status, result.out), (1, "error: module os has no function nofunc\nhint: call: names module.function\n"))

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
        self.assertEqual(result.status, 1)
        self.assertIn("[2 d=gone] failed: cannot be started: gone: No such file or directory", result.err.splitlines())
        self.assertEqual([task["state"] for task in self.tasks().values()], ["succeeded", "failed", "succeeded"])

    def test_builtins_of_the_shell_are_not_taken_for_programs(self) -> None:
        self.write("echo", "#!/bin/sh\nprintf 'mine %s\\n' \"$*\"\n")
        os.chmod(os.path.join(self.folder, "echo"), 0o755)
        self.job("run: echo 'a\\nb'")
        result = self.hydraflow("run", "job", env={"PATH": self.folder + os.pathsep + os.environ["PATH"]})
        self.assertEqual(result.out, "mine a\\nb\n")

    def test_environment_is_text_as_written(self) -> None:
        self.job("run: sh -c 'echo $PY $ANSWER $X'\nenv: {PY: 3.10, ANSWER: no, X: 'Ω $HOME'}")
        self.assertEqual(self.hydraflow("run", "job").out, "3.10 no Ω $HOME\n")
        self.assertEqual(self.hydraflow("run", "job", env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}).out, "3.10 no Ω $HOME\n")

    def test_quiet_shows_failures_and_the_summary(self) -> None:
        self.job("run: sh -c 'echo $0; test $0 != a=2'\nfail-fast: false\nsteps: [{batch: a=1:3}]")
        result = self.hydraflow("run", "job", "--quiet")
        self.assertEqual(result.out, "")
        self.assertNotIn("[1 a=1] succeeded", result.err)
        self.assertIn("[2 a=2] failed", result.err)

    def test_no_log_for_who_prints_nothing(self) -> None:
        self.job("run: sh -c 'test $0 = a=1 || echo x'\nsteps: [{batch: a=1:2}]")
        self.hydraflow("run", "job")
        self.assertEqual([os.path.basename(path) for path in glob.glob(f"{self.folder}/.hydraflow/job/*/logs/*/*")], ["2.log"])

    def test_failures_with_the_same_last_line_are_one_group(self) -> None:
        self.job("run: sh -c 'echo $0; echo CUDA out of memory; exit 3'\nfail-fast: false\nsteps: [{batch: a=1:5}]")
        result = self.hydraflow("run", "job")
        self.assertIn("5 tasks failed: CUDA out of memory ([1 a=1] for example)", result.err.splitlines())
        self.assertIn("5 tasks (1-5) failed: exit status 3: CUDA out of memory\n    [1 a=1], [2 a=2], [3 a=3], ...\n", self.hydraflow("status", "job").out)

    def test_retries(self) -> None:
        self.job("run: sh -c 'echo $0 >> tries; test $(grep -c $0 tries) -ge 3'\nretries: 2\nsteps: [{batch: a=1:2}]")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 0, result.err)
        self.assertEqual(self.read("tries").split(), ["a=1"] * 3 + ["a=2"] * 3)
        self.assertEqual([task["attempts"] for task in self.tasks().values()], [3, 3])
        os.remove(os.path.join(self.folder, "tries"))
        self.assertEqual(self.hydraflow("run", "job", "--retries", "1").status, 1)

    def test_timeout_ends_who_ignores_sigterm_and_all_it_forked(self) -> None:
        self.job("run: sh -c 'trap \"\" TERM; sleep 1000 & echo $! > child; sleep 1000; sleep 1000'\ntimeout-minutes: 0.005")
        result = self.hydraflow("run", "job", env={"HYDRAFLOW_GRACE": "0.3"})
        self.assertEqual(result.status, 1)
        self.assertIn("task 1 failed: time limit", result.err.splitlines())
        self.assertGone(int(self.read("child")))
        self.assertEqual(self.tasks()[1]["why"], "timeout")

    def test_needs_come_first_and_stop_what_needs_them(self) -> None:
        self.write("hydraflow.yaml", "jobs:\n  a: {run: sh -c 'echo a'}\n  b: {run: sh -c 'echo b; test -e ok', needs: a}\n"
                                     "  c: {run: sh -c 'echo c', needs: [a, b]}\n")
        result = self.hydraflow("run", "c")
        self.assertEqual((result.status, result.out), (1, "a\nb\n"))
        self.assertIn("job b has not succeeded, so c was not started", result.err.splitlines())
        self.write("ok", "")
        self.assertEqual(self.hydraflow("run", "c").out, "b\nc\n")  # a has succeeded, in its newest run
        self.assertEqual(self.hydraflow("run", "c", "--resume").out, "")

    def test_signals_of_tasks_are_told_by_name(self) -> None:
        self.job("run: sh -c 'kill -9 $$'")
        self.assertIn("failed: SIGKILL (exit status 137)", self.hydraflow("run", "job").err)

    def test_a_function_finds_python_as_it_is(self) -> None:
        """Its garbage is collected as usual; what it ends with is said."""
        self.write("own.py", "import gc, sys\n\n\ndef usual(words):\n    print(*gc.get_threshold())\n\n\ndef stop(words):\n    sys.exit('no data')\n")
        usual = subprocess.check_output([sys.executable, "-c", "import gc; print(*gc.get_threshold())"], universal_newlines=True)
        self.assertEqual(self.hydraflow("call", "own.usual").out, usual)
        result = self.hydraflow("call", "own.stop")
        self.assertEqual((result.status, result.err), (1, "no data\n"))

    def test_call(self) -> None:
        self.write("mine.py", "def work(words):\n    print(words)\n    if 'a=2' in words:\n        raise ValueError('two')\n")
        self.job("call: mine.work first\nsteps: [{batch: a=1:2}]")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 1)
        self.assertIn("['first', 'a=1']\n['first', 'a=2']\nTraceback (most recent call last):\n  File", result.out)
        self.assertNotIn("hydraflow.py", result.out)
        self.assertNotIn("importlib", result.out)
        self.assertIn("ValueError: two", result.err)
        for call, message in (("nosuch.work", "there is no module nosuch"), ("mine.nosuch", "module mine has no function nosuch")):
            self.job(f"call: {call}")
            self.assertIn(message, self.hydraflow("run", "job").out)
        self.write("lost.py", "import nosuch\n")
        self.job("call: lost.work")
        result = self.hydraflow("run", "job")
        self.assertIn("lost.py\", line 1, in <module>\n", result.out)
        self.assertNotIn("there is no module nosuch", result.out)

    def test_task_directory(self) -> None:
        self.job("run: sh -c 'echo $0 > $1/out' x ${{ task.dir }}\nsteps: [{run: \"sh -c 'echo $1 > $0/out' ${{ task.dir }}\", batch: a=1:2}]")
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        self.assertEqual(sorted(self.read(path) for path in glob.glob(f"{self.folder}/multirun/*/out")), ["a=1\n", "a=2\n"])

    def assertGone(self, pid: int) -> None:
        """Assert that a process no longer runs."""
        limit = time.monotonic() + 5
        while time.monotonic() < limit:
            try:
                with open(f"/proc/{pid}/stat") as file:
                    if file.read().rpartition(")")[2].split()[0] == "Z":
                        return
            except OSError:
                return
            time.sleep(0.02)
        self.fail(f"process {pid} still runs")


class Signals(Execution):
    def test_interrupt_leaves_nothing_running_and_resumes(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                self.job("run: sh -c 'test -e go && exit; sleep 1000 & echo $! > child-$0; wait'\nmax-parallel: 2\nsteps: [{batch: a=1:4}]")
                for name in glob.glob(f"{self.folder}/child*") + glob.glob(f"{self.folder}/go"):
                    os.remove(name)
                process = self.start("run", "job", start_new_session=True, restore_signals=True)
                self.until("child-a=1")
                self.until("child-a=2")
                process.send_signal(number)
                out = process.communicate(timeout=20)[0].decode()
                self.assertEqual(process.returncode, 130, out)
                for name in ("child-a=1", "child-a=2"):
                    Here.assertGone(self, int(self.read(name)))
                states = self.tasks()
                self.assertEqual([states[task]["state"] for task in (1, 2, 3, 4)], ["interrupted"] * 2 + ["not started"] * 2)
                self.write("go", "")
                self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)

    def test_a_group_that_somebody_else_ends_is_interrupted(self) -> None:
        """The shell around the task got the signal too, which tells it from a task that was killed alone."""
        self.job("run: sh -c 'kill -TERM -$PPID; sleep 9; true $0'\nsteps: [{batch: a=1}]")
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        self.assertEqual([(task["state"], task["exit_status"]) for task in self.tasks().values()], [("interrupted", 143)])

    def test_a_second_interrupt_kills(self) -> None:
        self.job("run: sh -c 'trap \"\" INT; echo $$ > child; while :; do sleep 0.1; done'")
        process = self.start("run", "job", start_new_session=True)
        self.until("child")
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130)
        Here.assertGone(self, int(self.read("child")))

    def test_a_grace_period_kills(self) -> None:
        self.job("run: sh -c 'trap \"\" INT; echo $$ > child; while :; do sleep 0.1; done'")
        process = self.start("run", "job", start_new_session=True, env={**os.environ, "HYDRAFLOW_GRACE": "0.3"})
        self.until("child")
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        Here.assertGone(self, int(self.read("child")))

    def test_tasks_outlive_a_killed_hydraflow_and_are_awaited(self) -> None:
        self.job("run: sh -c 'echo $0 >> begun; while ! test -e go; do sleep 0.05; done; echo $0 >> done'\nmax-parallel: 2\n"
                 "steps: [{batch: a=1:3}]")
        process = self.start("run", "job")
        self.until("begun")
        time.sleep(0.2)
        process.kill()
        process.communicate()
        self.assertEqual([task["state"] for task in self.tasks().values()], ["running", "running", "not started"])
        again = self.start("run", "job", "--resume")
        time.sleep(0.5)
        self.assertIsNone(again.poll())
        second = self.hydraflow("run", "job", "--resume")
        self.assertEqual(second.status, 2)
        self.assertIn(f"job job is being run by process {again.pid} on", second.err)
        self.write("go", "")
        out = again.communicate(timeout=20)[0].decode()
        self.assertEqual(again.returncode, 0, out)
        self.assertEqual(sorted(self.read("done").split()), ["a=1", "a=2", "a=3"])
        self.assertEqual(sorted(self.read("begun").split()), ["a=1", "a=2", "a=3"])

    def test_what_ended_while_nobody_watched_is_known(self) -> None:
        self.job("run: sh -c 'echo > begun-$0; sleep 0.5; echo $0 >> done; test $0 = a=1'\nmax-parallel: 2\nsteps: [{batch: a=1:2}]")
        process = self.start("run", "job")
        self.until("begun-a=1")
        self.until("begun-a=2")
        process.kill()
        process.communicate()
        time.sleep(1.2)
        self.assertEqual([task["state"] for task in self.tasks().values()], ["succeeded", "failed"])
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 1)
        self.assertEqual(sorted(self.read("done").split()), ["a=1", "a=2", "a=2"])

    def test_cancel(self) -> None:
        self.job("run: sh -c 'echo $$ > child; sleep 1000; true $0'\nsteps: [{batch: a=1:2}]")
        process = self.start("run", "job")
        self.until("child")
        self.assertEqual(self.hydraflow("cancel", "job").status, 0)
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130)
        Here.assertGone(self, int(self.read("child")))


class Records(Execution):
    def test_torn_lines_are_passed_over(self) -> None:
        self.job("run: sh -c 'echo $0 >> done'\nsteps: [{batch: a=1:3}]")
        self.hydraflow("run", "job")
        events, = glob.glob(f"{self.folder}/.hydraflow/job/*/events/*_here_*.jsonl")
        with open(events, "rb+") as file:
            data = file.read()
            file.truncate(len(data) - 20)  # the end of task 3
        self.assertEqual([task["state"] for task in self.tasks().values()], ["succeeded", "succeeded", "interrupted"])
        with open(events, "ab") as file:
            file.write(b'\n{"task":2,"event":"end","status":1,"u' + b'\n{"task":1,\xff\n\n[]\n7')
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(self.read("done").split(), ["a=1", "a=2", "a=3", "a=3"])

    def test_a_clock_that_jumps_back(self) -> None:
        self.job("run: sh -c 'test -e ok'")
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        record, = glob.glob(f"{self.folder}/.hydraflow/job/0*")
        os.rename(record, os.path.join(os.path.dirname(record), "7" + os.path.basename(record)[1:]))  # made in the far future
        self.write("ok", "")
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        self.assertEqual(self.tasks()[1]["state"], "succeeded")

    def test_logs(self) -> None:
        self.job("run: sh -c 'echo out $0; test $0 != a=2'\nfail-fast: false\nsteps: [{batch: a=1:3}]")
        self.hydraflow("run", "job")
        self.assertEqual(self.hydraflow("logs", "job", "3").out, "out a=3\n")
        self.assertEqual(self.hydraflow("logs", "job", "--failed").out, "==> [2 a=2] failed: exit status 1 <==\nout a=2\n")
        self.assertEqual(re.findall("^out.*", self.hydraflow("logs", "job").out, re.MULTILINE), ["out a=1", "out a=2", "out a=3"])
        self.assertIn("there is no task 4", self.hydraflow("logs", "job", "4").err)
        self.assertIn("job jib has not been run here", self.hydraflow("logs", "jib").err)
        self.hydraflow("run", "job", "--resume")  # task 1 is then known from an earlier record
        self.assertEqual(self.hydraflow("logs", "job", "1").out, "out a=1\n")

    def test_names_of_jobs_that_are_no_file_names(self) -> None:
        self.write("hydraflow.yaml", "jobs: {'../a b/é': {run: sh -c 'echo hello'}}")
        self.assertEqual(self.hydraflow("run", "../a b/é").out, "hello\n")
        self.assertEqual(os.listdir(os.path.join(self.folder, ".hydraflow")).count(".gitignore"), 1)
        self.assertIn("1 succeeded", self.hydraflow("status", "../a b/é").out)


class Parts(EmptyFolder):
    """What the loop is made of, each part by a table."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)

    def runner(self, jobs: int = 3, kills: bool = True, retries: int = 0) -> "hydraflow.Runner":
        """Return a loop that has nothing to execute."""
        record = hydraflow.Record.create("job", 1)
        return hydraflow.Runner(record, iter(()), hydraflow.Limits(jobs, retries, 0.0, True), "0001_here_x-1", -1, kills, None)

    def task(self, number: int = 1, **changes: object) -> "hydraflow.Task":
        """Return a task."""
        task = hydraflow.Task(number, 1, 1, (), ("true",), ("true",), "out", self.folder, {}, 0, False, False)
        return task._replace(**changes)

    def test_grace(self) -> None:
        for text, seconds in (("", 10.0), ("0", 0.0), ("2.5", 2.5), ("90", 90.0), ("-1", None), ("x", None), ("1s", None)):
            with self.subTest(text=text), mock.patch.dict(os.environ, HYDRAFLOW_GRACE=text):
                if seconds is not None:
                    self.assertEqual(hydraflow.grace(), seconds)
                    continue
                with self.assertRaises(hydraflow.Error) as caught:
                    hydraflow.grace()
                self.assertEqual((caught.exception.message, caught.exception.hint),
                                 (f"HYDRAFLOW_GRACE is {text}, which is no number of seconds", "for example HYDRAFLOW_GRACE=10"))

    def test_granted_devices(self) -> None:
        """The first variable that names some; a task in a slot takes one of them, in turn."""
        for variables, devices, slots in (({}, [], ["0", "1", "2"]), ({"CUDA_VISIBLE_DEVICES": "4,5"}, ["4", "5"], ["4", "5", "4"]),
                                          ({"CUDA_VISIBLE_DEVICES": "NoDevFiles", "SLURM_JOB_GPUS": "7, 8,9"}, ["7", "8", "9"], ["7", "8", "9"]),
                                          ({"CUDA_VISIBLE_DEVICES": "", "ROCR_VISIBLE_DEVICES": "GPU-1"}, ["GPU-1"], ["GPU-1"] * 3),
                                          ({"CUDA_VISIBLE_DEVICES": "2", "ZE_AFFINITY_MASK": "0"}, ["2"], ["2"] * 3)):
            with self.subTest(variables=variables), mock.patch.dict(os.environ, {**dict.fromkeys(hydraflow.DEVICES, ""), **variables}):
                self.assertEqual(hydraflow.granted_devices(), devices)
                self.assertEqual([self.runner(kills=False).slot_text(slot) for slot in range(3)], slots)
                self.assertEqual(self.runner().slot_text(1), "1")

    def test_missing_runs(self) -> None:
        for runs, names, missing in ((0, None, 0), (2, None, 2), (2, [], 2), (2, ["0", "x", ".hydra"], 1), (2, ["0", "1"], 0), (2, ["0", "1", "2"], 0)):
            with self.subTest(runs=runs, names=names):
                folder = tempfile.mkdtemp(dir=self.folder) if names is not None else "nowhere"
                for name in names or ():
                    os.mkdir(os.path.join(folder, name))
                self.assertEqual(hydraflow.missing_runs(self.task(directory=folder, runs=runs)), missing)

    def test_logs_of_attempts(self) -> None:
        for attempt, before, offset, text in ((1, b"", 0, b"x"), (1, b"a\n", 2, b"a\nx"), (2, b"", 0, b"x"), (2, b"a\n", 20, b"a\n==> attempt 2 <==\nx"), (12, b"a\n", 21, b"a\n==> attempt 12 <==\nx")):
            with self.subTest(attempt=attempt, before=before):
                self.write("log", before)
                log, begin = hydraflow.open_log("log", attempt)
                log.write(b"x")
                hydraflow.close_log(log)
                self.assertEqual((begin, self.read("log")), (offset, text.decode()))
        for data, is_kept in ((b"", False), (b"x", True)):
            self.write("log", data)
            hydraflow.remove_if_empty("log")
            self.assertEqual(os.path.exists("log"), is_kept)
        hydraflow.remove_if_empty("log/nowhere")

    def test_slots(self) -> None:
        """The lowest one that is free is taken; a task of an earlier start keeps its own, if it is free."""
        runner = self.runner(4)
        self.assertEqual(runner.slots, [3, 2, 1, 0])
        taken = []
        for slot in (2, 2, -1, 9):
            state = hydraflow.State(2)
            state.slot = slot
            event = runner.adopt(self.task(7), state)
            taken.append(runner.running[-1].slot)
            self.assertEqual(event, hydraflow.Event("start", self.task(7), state, "runs since an earlier start", runner.record.log_path(7), 0))
        self.assertEqual((taken, runner.slots), ([2, 0, 1, 3], []))
        state = hydraflow.State(2)
        state.slot = 5
        runner.adopt(self.task(), state)
        for place, slots in ((2, [1]), (4, [1]), (0, [2, 1]), (0, [2, 1]), (3, [3, 2, 1]), (1, [3, 2, 1, 0])):
            runner.free(runner.running[place])
            self.assertEqual(runner.slots, slots)
        self.assertEqual([(one.attempt, one.tries) for one in runner.running], [(2, 1)] * 5)

    def test_deadlines(self) -> None:
        """When something is to be looked at; who runs too long is asked once, and killed after the grace."""
        for deadline, kill_at, asked, until, does in ((0.0, 0.0, "", 0.05, ""), (100.02, 0.0, "", 0.02, ""), (0.0, 100.01, "x", 0.01, ""), (99.0, 0.0, "", -1.0, "ask"), (100.0, 0.0, "", 0.0, "ask"),
                                                      (99.0, 0.0, "interrupted", -1.0, ""), (99.0, 100.0, "", -1.0, "kill"), (0.0, 99.5, "x", -0.5, "kill"), (101.0, 102.0, "", 0.05, "")):
            with self.subTest(deadline=deadline, kill_at=kill_at, asked=asked), mock.patch("time.monotonic", return_value=100.0):
                runner = self.runner()
                process = hydraflow.Process(self.task(), 0, 1, 1)
                process.deadline, process.kill_at, process.asked = deadline, kill_at, asked
                runner.running.append(process)
                self.assertAlmostEqual(runner.until_next(), until)
                with mock.patch.object(hydraflow.Process, "signal") as sent:
                    runner.enforce_deadlines()
                self.assertEqual([call[0][0] for call in sent.call_args_list], {"": [], "ask": [signal.SIGTERM], "kill": [signal.SIGKILL]}[does])
                wanted = {"": (deadline, kill_at, asked, False), "ask": (0.0, 110.0, "timeout", False), "kill": (deadline, 0.0, asked, True)}[does]
                self.assertEqual((process.deadline, process.kill_at, process.asked, process.is_killed), wanted)

    def test_what_could_not_be_started(self) -> None:
        """Of too many processes one ends first; what concerns all tasks ends the starting; all else is a failure of the task."""
        for error, others, kind, detail, is_stopped, failure in (
                (BlockingIOError(errno.EAGAIN, "x"), 1, "tick", "", False, ""), (BlockingIOError(errno.EAGAIN, "x"), 0, "end", "cannot be started: " + os.strerror(errno.EAGAIN), True, ""),
                (OSError(errno.ENOSPC, "full"), 0, "tick", "", False, "error: cannot start task 3: full"), (OSError(errno.ENOENT, "x"), 0, "end", "cannot be started: " + os.strerror(errno.ENOENT), True, ""),
                (hydraflow.Error("code", "no variable"), 0, "end", "cannot be started: no variable", True, "")):
            with self.subTest(error=error):
                runner = self.runner()
                process = hydraflow.Process(self.task(3), 0, 5, 2)
                runner.running += [process] * others
                event = runner.not_started(process, error)
                self.assertEqual((event.kind, event.state.detail, runner.is_stopped, runner.failure.split("\n")[0]), (kind, detail, is_stopped, failure))
                self.assertEqual((runner.waiting, runner.is_crowded), ([(self.task(3), 6, 2)], True) if others else ([], False))
                self.assertEqual((event.state.name, event.state.status), ("failed", 126) if kind == "end" else ("waiting", 0))

    def test_interrupts(self) -> None:
        """All tasks are asked, and killed where it comes again; what is for the tasks alone is passed on."""
        usr, term, waiting = signal.SIGUSR1, signal.SIGTERM, "waiting for 2 running tasks; once more kills what is left"
        for kills, numbers, texts, sent, asked, is_killed in (
                (True, [usr], ["passed SIGUSR1 on to the tasks"], [usr], "", False), (True, [term], [f"SIGTERM: {waiting}"], [term], "interrupted", False),
                (True, [signal.SIGINT, term], [f"SIGINT: {waiting}", "killing the tasks"], [signal.SIGINT, signal.SIGKILL], "interrupted", True),
                (False, [term, term], ["SIGTERM", "SIGTERM"], [term, term], "interrupted", False), (True, [term, signal.SIGUSR2], [f"SIGTERM: {waiting}", "passed SIGUSR2 on to the tasks"], [term, signal.SIGUSR2], "interrupted", False)):
            with self.subTest(kills=kills, numbers=numbers), mock.patch("time.monotonic", return_value=100.0), mock.patch.object(hydraflow.Process, "signal") as signals:
                runner = self.runner(kills=kills)
                runner.running += [hydraflow.Process(self.task(number), number, 1, 1) for number in (1, 2)]
                events = [runner.interrupt(number) for number in numbers]
                self.assertEqual([event.text for event in events], texts)
                self.assertEqual([call[0][0] for call in signals.call_args_list], [number for number in sent for _ in range(2)])
                for process in runner.running:
                    self.assertEqual((process.asked, process.is_killed, process.kill_at), (asked, is_killed, 110.0 if asked and kills and not is_killed else 0.0))
                self.assertEqual((runner.is_stopped, runner.is_interrupted), (bool(asked), bool(asked)))
                self.assertEqual([(event.kind, event.number) for event in events], [("interrupt", number) if text[:3] == "SIG" else ("note", 0) for number, text in zip(numbers, texts)])
        runner = self.runner()
        self.assertEqual(runner.interrupt(term).text, "SIGTERM")

    def test_ends_that_the_shell_could_not_tell(self) -> None:
        """What stands in the room in place of the events, and what a shell that was killed, or never could write, has left."""
        start = {"event": "start", "task": 1, "try": 1, "pid": 1, "up": 1.0}
        full = os.strerror(errno.ENOSPC)
        for room, events, code, asked, name, status, cause, failure in (
                (b" ", [start], 0, "", "succeeded", 0, "", ""), (b" ", [start], 3, "", "failed", 3, "", ""), (b'{"task":1,"event":"end"}', [start], 0, "", "succeeded", 0, "", full),
                (b'{"task":1,"event":"unstarted"}', [], 125, "", None, 0, "", full), (b" ", [], 125, "", None, 0, "", os.strerror(errno.EIO)), (b" ", [start], 125, "", "failed", 125, "", ""), (b" ", [{**start, "try": 0}], 125, "", None, 0, "", os.strerror(errno.EIO)), (b" ", [{**start, "try": 2}], 125, "", None, 0, "", os.strerror(errno.EIO)),
                (b" ", [start], -9, "", "failed", 137, "", ""), (b" ", [start], -1, "", "failed", 129, "", ""), (b" ", [start, {**start, "event": "end", "status": 4}], -9, "", "failed", 4, "", ""), (b" ", [start], 143, "timeout", "failed", 143, "timeout", ""),
                (b" ", [start, {**start, "event": "ask", "why": "interrupted"}], 143, "", "interrupted", 143, "interrupted", ""), (b" ", [start], 143, "", "failed", 143, "", ""),
                (b" ", [{**start, "try": 2}, {**start, "event": "ask", "why": "interrupted", "try": 2}], 143, "", "failed", 143, "", "")):
            with self.subTest(room=room, events=events, code=code):
                shutil.rmtree(".hydraflow", ignore_errors=True)
                runner = self.runner()
                runner.limits = runner.limits._replace(fail_fast=False)
                hydraflow.append_lines(runner.events, [{"event": "writer"}, *events])
                hydraflow.write_file(runner.record.room_path(runner.writer, 0), room)
                process = hydraflow.Process(self.task(), 0, 1, 1)
                process.child, process.status, process.asked, process.state.started = mock.Mock(pid=1 << 30), code, asked, 1.0
                found = list(runner.ended(process))
                self.assertEqual([(event.kind, event.state.name, event.state.status, event.state.cause) for event in found], [("end", name, status, cause)] if name else [])
                self.assertIn(failure, runner.failure) if failure else self.assertEqual(runner.failure, "")

    def test_ends_of_what_is_awaited(self) -> None:
        """What an earlier start began and was killed is tried again, unless nothing is to begin any more."""
        for name, asked, is_stopped, failure, waits, ends in (
                ("succeeded", "", False, "", False, ("succeeded", "")), ("running", "", False, "", True, None), ("running", "", True, "", False, ("interrupted", "killed")), ("running", "", False, "x", False, ("interrupted", "killed")),
                ("running", "timeout", True, "", False, ("interrupted", "timeout"))):
            with self.subTest(name=name, is_stopped=is_stopped):
                runner = self.runner()
                runner.is_stopped, runner.failure = is_stopped, failure
                process = hydraflow.Process(self.task(), 0, 3, 1)
                process.state.become(name)
                process.asked = asked
                self.assertEqual([(event.state.name, event.state.cause) for event in runner.awaited_end(process)], [ends] if ends else [])
                self.assertEqual(runner.waiting, [(self.task(), 4, 1)] if waits else [])

    def test_when_an_attempt_has_ended(self) -> None:
        """With its shell; with all of its group where that was asked to stop, or the shell was killed."""
        for status, asked, is_killed, is_group, members, has_ended, kills in (
                (None, "", False, True, [], False, 0), (0, "", False, True, [5], True, 0), (3, "", False, True, [5], True, 0), (0, "interrupted", False, True, [5], False, 0), (0, "interrupted", False, True, [], True, 0), (0, "interrupted", False, False, [], True, 0),
                (-9, "", False, True, [5], False, 1), (-9, "", False, True, [], True, 0), (-9, "timeout", True, True, [5], False, 1), (0, "", True, True, [5], False, 1), (0, "", True, True, [], True, 0),
                (None, "x", True, False, [], False, 0)):
            process = hydraflow.Process(self.task(), 0, 1, 1)
            process.child, process.asked, process.is_killed = mock.Mock(pid=77), asked, is_killed
            process.child.poll.return_value = status
            with self.subTest(status=status, asked=asked, is_killed=is_killed), mock.patch.multiple(
                    hydraflow, HAS_PROC=True, is_group=mock.Mock(return_value=is_group), group_members=mock.Mock(return_value=members), stop_group=mock.DEFAULT) as mocks:
                self.assertEqual((process.poll(), process.status), (has_ended, status))
                self.assertEqual([call[0] for call in mocks["stop_group"].call_args_list], [(77, signal.SIGKILL)] * kills)
                process.child.poll.return_value = 9
                process.poll()
                self.assertEqual(process.status, 9 if status is None else status)  # it is asked once

    def test_how_long_what_was_killed_is_awaited(self) -> None:
        process = hydraflow.Process(self.task(), 0, 1, 1)
        process.child = mock.Mock(pid=77)
        with mock.patch.multiple(hydraflow, group_members=mock.Mock(return_value=[5]), stop_group=mock.DEFAULT), mock.patch("time.monotonic", side_effect=[100.0, 109.9, 110.0]):
            self.assertEqual([process.are_members_gone() for _ in range(3)], [False, False, True])

    def test_an_attempt_of_an_earlier_start_has_ended(self) -> None:
        process = hydraflow.Process(self.task(), 0, 1, 1)
        for is_gone in (False, True):
            with mock.patch.object(hydraflow, "is_gone", return_value=is_gone) as asked:
                self.assertEqual((process.poll(), asked.call_args[0]), (is_gone, (process.state,)))

    def test_claims(self) -> None:
        """What earlier writers of our kind claimed and never began is passed over; anybody else has the task. Who claims twice is introduced."""
        for holders, holder, attempt in (([], "", 4), (["0001_here_y-1"], "", 5), (["0001_here_y-1", "0001_crashed_"], "", 6), (["0001_slot-1-1_x-1"], "0001_slot-1-1_x-1", 4), (["0001_here_y-1", "0002_handler_z-1"], "0002_handler_z-1", 5)):
            shutil.rmtree(".hydraflow", ignore_errors=True)
            runner = self.runner()
            for number, name in enumerate(holders, 4):
                self.assertTrue(runner.record.claim(1, number, name))
            process = hydraflow.Process(self.task(), 0, 4, 1)
            with self.subTest(holders=holders), mock.patch.object(hydraflow.Record, "introduce") as introduce:
                self.assertEqual((runner.claim(process), process.attempt, introduce.call_count), (holder, attempt, 0))
                if not holder:
                    self.assertEqual(runner.record.claimant(1, attempt), runner.writer)
                for number, count in ((2, 1), (3, 1)):
                    self.assertEqual((runner.claim(hydraflow.Process(self.task(number), 0, 1, 1)), introduce.call_count), ("", count))

    def test_what_begins_later(self) -> None:
        """Where the system takes no process for now, or a signal of a scheduler may be on its way; not behind an end of all."""
        for is_crowded, is_stopped, failure, not_before, is_delayed in ((False, False, "", 0.0, False), (True, False, "", 0.0, True), (False, False, "", 100.5, True), (False, False, "", 100.0, False), (False, True, "", 100.5, False),
                                                                        (False, False, "x", 100.5, False), (True, True, "x", 0.0, True)):
            runner = self.runner()
            runner.is_crowded, runner.is_stopped, runner.failure, runner.not_before = is_crowded, is_stopped, failure, not_before
            with mock.patch("time.monotonic", return_value=100.0):
                self.assertEqual(runner.is_delayed(), is_delayed)

    def test_how_an_attempt_is_settled(self) -> None:
        """What succeeded without its runs has failed; what may be tried again is no end."""
        for name, missing, may, ends, waits, stops in (("succeeded", 0, True, ("succeeded", ""), False, False), ("succeeded", 2, False, ("failed", "missing"), False, True), ("succeeded", 2, True, None, True, False), ("failed", 2, True, None, True, False),
                                                       ("failed", 0, False, ("failed", ""), False, True), ("interrupted", 2, True, ("interrupted", ""), False, False)):
            runner = self.runner()
            process = hydraflow.Process(self.task(runs=3), 0, 3, 1)
            process.child = mock.Mock()
            process.state.become(name)
            with self.subTest(name=name, missing=missing, may=may), mock.patch.object(hydraflow, "missing_runs", return_value=missing), mock.patch.object(runner.__class__, "may_try_again", return_value=may), \
                    mock.patch.object(runner.__class__, "note") as note:
                self.assertEqual([(event.kind, event.state.name, event.state.cause) for event in runner.settled(process)], [("end", *ends)] if ends else [])
                self.assertEqual((runner.waiting, runner.is_stopped), ([(process.task, 4, 2)] if waits else [], stops))
                self.assertEqual([call[1] for call in note.call_args_list], [{"missing": 2, "runs": 3}] if missing and name == "succeeded" else [])

    def test_space(self) -> None:
        for slots, running, has_space in (([0], 0, True), ([0], 1, True), ([0], 2, False), ([], 1, False), ([0, 1], 5, False)):
            runner = self.runner(jobs=2)
            runner.slots, runner.running = slots, [hydraflow.Process(self.task(), 0, 1, 1)] * running
            self.assertEqual(runner.has_space(), has_space)

    def test_tries(self) -> None:
        for tries, retries, is_stopped, failure, may in ((1, 0, False, "", False), (1, 1, False, "", True), (2, 1, False, "", False), (1, 1, True, "", False), (1, 1, False, "x", False)):
            runner = self.runner(retries=retries)
            runner.is_stopped, runner.failure = is_stopped, failure
            self.assertEqual(runner.may_try_again(hydraflow.Process(self.task(), 0, 1, tries)), may)

    def test_every_event(self) -> None:
        """Of tasks that succeed, fail, are tried again, take too long or cannot begin."""
        self.write("again", "echo one; test -e second || { touch second; exit 1; }\n")
        tasks = [self.task(1, argv=("sh", "-c", "echo x")), self.task(2, argv=("sh", "again")), self.task(3, argv=("sh", "-c", "exit 3")), self.task(4, argv=("/nowhere/x",), cwd="/nowhere"),
                 self.task(5, argv=("sleep", "99"))]
        record = hydraflow.Record.create("job", 1)
        found = []
        for event in hydraflow.run_tasks(record, ((task, hydraflow.State()) for task in tasks), hydraflow.Limits(1, 1, 1.0, False), "0001_here_x-1"):
            if event.kind != "tick":
                state = event.state
                found.append((event.kind, event.task.number, state.name, state.status, state.cause, event.number))
        self.assertEqual(found, [
            ("start", 1, "running", 0, "", 0), ("end", 1, "succeeded", 0, "", 0), ("start", 2, "running", 0, "", 0), ("retry", 2, "running", 0, "", 22), ("end", 2, "succeeded", 0, "", 22),
            ("start", 3, "running", 0, "", 0), ("retry", 3, "running", 0, "", 0), ("end", 3, "failed", 3, "", 0), ("end", 4, "failed", 126, "", 0),
            ("start", 5, "running", 0, "", 0), ("retry", 5, "running", 0, "", 0), ("end", 5, "failed", 143, "timeout", 0)])
        self.assertEqual(hydraflow.list_folder(record.path + "/room"), [])

    def test_a_guard_hears_of_what_runs(self) -> None:
        record = hydraflow.Record.create("job", 1)
        heard, guard = [], mock.Mock()
        guard.watch.side_effect = lambda leaders: heard.append(list(leaders))
        queue = ((self.task(number), hydraflow.State()) for number in (1, 2))
        list(hydraflow.run_tasks(record, queue, hydraflow.Limits(1, 0, 0.0, False), "0001_here_x-1", guard=guard))
        pids = [values["pid"] for values in hydraflow.read_lines(record.events_path("0001_here_x-1")) if values.get("event") == "start"]
        self.assertEqual(heard, [[pids[0]], [], [pids[1]], []])


if __name__ == "__main__":
    unittest.main()
