"""Processes: what a task finds around it, how its end is known, and whom signals reach."""
import os
import signal
import subprocess
import sys
import time
import unittest

from support import Program, is_alive, wait_until

ENDS = (  # a command, the exit status that is recorded of it
    ("true", 0), ("sh -c 'exit 3'", 3), ("sh -c 'exit 255'", 255), ("sh -c 'kill -TERM $$; sleep 9'", 143), ("sh -c 'kill -INT $$; sleep 9'", 130),
    ("sh -c 'kill -KILL $$'", 137), ("sh -c 'kill -USR1 $$; sleep 9'", 138), ("./removed", 127), ("./vanished", 126),
)


class Tasks(Program):
    def test_how_a_task_ends(self) -> None:
        self.program("removed", "exit 0\n")
        self.program("vanished", "exit 0\n")
        steps = ", ".join(f"{{run: \"{command}\"}}" for command, _ in ENDS)
        self.job(f"run: sh -c 'rm removed; chmod -x vanished'\nfail-fast: false\nsteps: [{{}}, {steps}]")
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        tasks = list(self.tasks().values())[1:]
        self.assertEqual([(task["exit_status"], task["state"]) for task in tasks], [(status, "failed" if status else "succeeded") for _, status in ENDS])

    def test_what_a_task_inherits(self) -> None:
        """Nothing to read, no descriptor of ours but that input, output unbuffered; words as they are, its own errors, a session of its own."""
        code = ("import os, sys\nprint(repr(sys.stdin.read()), [n for n in range(3, 20) if os.path.exists('/dev/fd/%d' % n)], sys.argv[1:],"
                " os.environ['PYTHONUNBUFFERED'], os.getpgrp() != os.getppid())\nsys.stderr.write('error\\n')\n")
        self.write("show.py", code)
        self.job(f"run: {sys.executable} show.py 'a b' '' '$HOME' '*' \"'\"")
        result = self.hydraflow("run", "job", stdin=b"never read")
        descriptors = result.out.partition("[")[2].partition("]")[0]
        self.assertLessEqual(len(descriptors), 1, "at most that of the directory that is listed")
        self.assertTrue(result.out.endswith(f"[{descriptors}] ['a b', '', '$HOME', '*', \"'\"] 1 False\nerror\n")
                        or result.out.endswith(f"[{descriptors}] ['a b', '', '$HOME', '*', \"'\"] 1 True\nerror\n"), result.out)

    def test_variables_of_the_environment(self) -> None:
        """Whatever their names: none is one of the shell's around the task, which would change or drop it."""
        names = ["task", "why", "up", "status", "line", "name", "log", "attempt", "file", "head", "FOO.BAR", "BASH_FUNC_module%%"]
        self.write("show.py", f"import os\nprint([os.environ.get(name) for name in {names!r}], os.environb[b'X'].decode('utf-8'), os.environ['PY'])\n")
        self.job(f"run: {sys.executable} show.py\nenv: {{X: 'Ω $HOME', PY: 3.10}}")
        for locale in ({}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}):
            result = self.hydraflow("run", "job", env={**{name: name.upper() for name in names}, **locale, "PYTHONIOENCODING": "utf-8"})
            self.assertEqual(result.out, f"{[name.upper() for name in names]} Ω $HOME 3.10\n", result.err)

    def test_the_directory_of_a_task(self) -> None:
        """It is where the links lead to; CDPATH means nothing."""
        os.makedirs(os.path.join(self.folder, "real", "sub"))
        os.symlink("real/sub", os.path.join(self.folder, "link"))
        for directory, place in ((".", self.folder), ("link", f"{self.folder}/real/sub"), (f"{self.folder}/real", f"{self.folder}/real")):
            with self.subTest(directory=directory):
                self.job(f"run: sh -c '/bin/pwd; pwd'\nworking-directory: {directory}")
                self.assertEqual(self.hydraflow("run", "job", env={"CDPATH": "real:/"}).out.split(), [place, place])

    def test_output_is_passed_on_as_it_is(self) -> None:
        self.write("noise.py", "import sys\nout = sys.stdout.buffer\nout.write(b'\\xff\\xfe [/x] \\x1b[2J\\r\\n')\nout.write(b'x' * 5000000 + b'\\nlast, no line break')\n")
        self.job(f"run: {sys.executable} noise.py")
        out, _ = self.start("run", "job").communicate()
        self.assertTrue(out.startswith(b"\xff\xfe [/x] \x1b[2J\r\n" + b"x" * 5000000 + b"\nlast, no line break"), out[:99])

    def test_programs_are_no_words_of_a_shell(self) -> None:
        self.program("echo", "printf 'mine %s\\n' \"$*\"\n")
        self.job("run: echo 'a\\nb'")
        self.assertEqual(self.hydraflow("run", "job", env={"PATH": self.folder + os.pathsep + os.environ["PATH"]}).out, "mine a\\nb\n")

    def test_a_task_that_forks_and_exits(self) -> None:
        """Who goes on is left alone, and not waited for."""
        self.job("run: sh -c 'sleep 1000 & echo $! > child; exit 0'")
        begin = time.monotonic()
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        self.assertLess(time.monotonic() - begin, 60)
        self.assertTrue(is_alive(self.read("child")))
        os.kill(int(self.read("child")), signal.SIGKILL)


class Groups(Program):
    """A signal reaches what a task has started, whoever sends it."""

    def test_interrupt_leaves_nothing_running_and_resumes(self) -> None:
        self.job("run: sh -c 'test -e go && exit; sleep 1000 & echo $! >> begun; wait $!; :; true $0'\nmax-parallel: 2\nsteps: [{batch: a=1:4}]")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(signal=number):
                process = self.begun(count=2, start_new_session=True, env={**os.environ, "HYDRAFLOW_GRACE": "1"})
                process.send_signal(number)
                out = process.communicate(timeout=30)[0].decode()
                self.assertEqual(process.returncode, 130, out)
                wait_until(lambda: not any(map(is_alive, self.lines("begun"))))
                self.assertEqual(self.states(), ["interrupted"] * 2 + ["not started"] * 2)
                self.write("go", "")
                self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
                self.clear("go", "begun")

    def test_what_does_not_listen_is_killed(self) -> None:
        """By a second interrupt, or when the grace is over."""
        self.job("run: sh -c 'trap \"\" INT TERM; sleep 1000 & echo $! >> begun; echo $$ >> begun; while :; do sleep 0.05; done'")
        for grace, numbers in (("60", [signal.SIGINT, signal.SIGINT]), ("0.3", [signal.SIGTERM])):
            process = self.begun(count=2, start_new_session=True, env={**os.environ, "HYDRAFLOW_GRACE": grace})
            for number in numbers:
                self.assertIsNone(process.poll())
                process.send_signal(number)
                time.sleep(0.1)
            process.communicate(timeout=30)
            self.assertEqual((process.returncode, self.states()), (130, ["interrupted"]))
            wait_until(lambda: not any(map(is_alive, self.lines("begun"))))
            self.clear("begun")

    def test_a_time_limit_ends_who_ignores_it_and_all_it_forked(self) -> None:
        self.job("run: sh -c 'trap \"\" TERM; sleep 1000 & echo $! > child; sleep 1000; sleep 1000'\ntimeout-minutes: 0.005")
        self.assertEqual(self.hydraflow("run", "job", env={"HYDRAFLOW_GRACE": "0.3"}).status, 1)
        wait_until(lambda: not is_alive(self.read("child")))
        self.assertEqual([(task["state"], task["cause"]) for task in self.tasks().values()], [("failed", "time limit")])

    def test_the_grace_belongs_to_the_group(self) -> None:
        """The leader of a task ends at once, what it started takes a second to save its work."""
        self.write("inner", "trap 'sleep 1; echo saved > saved; exit' TERM\necho x > begun\nwhile :; do sleep 0.05; done\n")
        self.job("run: bash -c 'bash inner & (trap \"\" TERM; echo $BASHPID > other; sleep 77) & wait'")
        process = self.begun(start_new_session=True, env={**os.environ, "HYDRAFLOW_GRACE": "4"})
        wait_until(lambda: self.lines("other"))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 130)
        self.assertEqual(self.lines("saved"), ["saved"])
        wait_until(lambda: not is_alive(self.read("other")))

    def test_a_group_that_somebody_else_ends_is_interrupted(self) -> None:
        """The shell around the task got the signal too, which tells it from a task that was killed alone."""
        self.job("run: sh -c 'kill -TERM -$PPID; sleep 9; true $0'\nsteps: [{batch: a=1}]")
        self.assertEqual((self.hydraflow("run", "job").status, self.states()), (1, ["interrupted"]))

    def test_what_was_killed_is_gone_before_the_next_attempt(self) -> None:
        """The second attempt finds nobody else at work."""
        self.job("run: sh -c 'exec 9>lock; flock -n 9 || echo $0 >> twice; echo $0 >> tries; test $(grep -c . tries) != 1 || "
                 "{ kill -9 $(ps -o ppid= -p $$); sleep 99; }'\nsteps: [{batch: a=1}]\nretries: 1")
        result = self.hydraflow("run", "job")
        self.assertEqual((result.status, self.lines("tries"), self.lines("twice")), (0, ["a=1"] * 2, []), result.err)

    def test_signals_for_the_tasks_are_passed_on(self) -> None:
        self.job("run: sh -c 'trap \"echo got > got; exit 0\" USR1; echo x > begun; while :; do sleep 0.05; done'")
        process = self.begun(start_new_session=True)
        process.send_signal(signal.SIGUSR1)
        self.assertEqual((process.wait(30), self.lines("got"), self.states()), (0, ["got"], ["succeeded"]))

    def test_an_interrupted_import_says_nothing(self) -> None:
        """There is no traceback, and whoever asked sees what ended it."""
        whole = self.read("hydraflow.py")
        self.assertIn("import argparse\n", whole)
        self.write("hydraflow.py", whole.replace("import argparse\n", "os.kill(os.getpid(), signal.SIGINT)\n", 1))
        process = subprocess.run([sys.executable, "-m", "hydraflow", "--version"], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((process.returncode, process.stderr), (-signal.SIGINT, b""))


if __name__ == "__main__":
    unittest.main()
