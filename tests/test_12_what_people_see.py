"""What people see: who does not read, or cannot be written to, keeps no loop and ends no run."""
import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
import unittest

from support import Program, wait_until

FLOOD = "import sys\nfor n in range(20000):\n    print('line', n, 'x' * 80)\n"  # far more than a pipe holds


class Unread(Program):
    """The program, whose output nobody reads."""

    def pipe(self) -> int:
        """Return the end of a pipe that is written to, and that nobody reads."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        return writer


class NobodyReads(Unread):
    """Standard output is a pipe that is full."""

    def test_a_time_limit_holds(self) -> None:
        self.write("task.py", FLOOD + "sys.stdout.flush()\nimport time\ntime.sleep(99)\n")
        self.job(f"run: {sys.executable} task.py\ntimeout-minutes: 0.02")
        self.start("run", "job", stdout=self.pipe(), stderr=subprocess.DEVNULL)
        wait_until(lambda: self.hydraflow("status", "job").status == 0 and self.states() == ["failed"])

    def test_an_interrupt_is_heard(self) -> None:
        self.write("task.py", FLOOD + "sys.stdout.flush()\nopen('begun', 'w').close()\nimport time\ntime.sleep(99)\n")
        self.job(f"run: {sys.executable} task.py")
        process = self.start("run", "job", stdout=self.pipe(), stderr=subprocess.DEVNULL)
        wait_until(lambda: "begun" in self.names())
        process.send_signal(signal.SIGINT)
        wait_until(lambda: self.states() == ["interrupted"])

    def test_later_tasks_begin(self) -> None:
        """A full pipe of standard error keeps nothing, either: its lines are let go."""
        self.write("task.py", FLOOD + "open('done-' + sys.argv[1], 'w').close()\n")
        self.job(f"run: {sys.executable} task.py\nsteps: [{{batch: a=1:3}}]")
        writer = self.pipe()
        self.start("run", "job", stdout=writer, stderr=writer)
        wait_until(lambda: "done-a=3" in self.names())
        wait_until(lambda: self.states() == ["succeeded"] * 3)


class NobodyListens(Unread):
    """What is written fails: the run goes on, and ends with the status of its tasks."""

    def ends(self, status: int, **options: object) -> None:
        """Assert with which exit status a run ends, and that all of its tasks were executed."""
        process = self.start("run", "job", **options)
        self.assertEqual(process.wait(60), status)
        self.assertEqual(self.states(), ["succeeded", "failed" if status else "succeeded", "succeeded"])

    def jobs(self) -> "list":
        """Write jobs of three tasks, and yield the status with which each ends."""
        for status in (0, 1):
            self.job(f"run: sh -c 'echo $0; test {status} = 0 || test $0 != a=2'\nfail-fast: false\nsteps: [{{batch: a=1:3}}]")
            yield status

    @unittest.skipUnless(os.path.exists("/dev/full"), "there is no /dev/full here")
    def test_a_full_disk(self) -> None:
        for status in self.jobs():
            for names in (("stdout",), ("stderr",), ("stdout", "stderr")):
                with self.subTest(status=status, names=names), open("/dev/full", "wb") as full:
                    self.ends(status, **{name: full if name in names else subprocess.DEVNULL for name in ("stdout", "stderr")})

    def test_a_reader_that_has_gone(self) -> None:
        for status in self.jobs():
            for names in (("stdout",), ("stderr",), ("stdout", "stderr")):
                with self.subTest(status=status, names=names):
                    reader, writer = os.pipe()
                    os.close(reader)
                    try:
                        self.ends(status, **{name: writer if name in names else subprocess.DEVNULL for name in ("stdout", "stderr")})
                    finally:
                        os.close(writer)

    def test_streams_that_are_closed(self) -> None:
        for status in self.jobs():
            for redirection in (">&-", "2>&-", ">&- 2>&-"):
                with self.subTest(status=status, redirection=redirection):
                    code = f"'{sys.executable}' -m hydraflow run job {redirection}"
                    process = subprocess.run(["sh", "-c", code], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    self.assertEqual(process.returncode, status)
                    self.assertEqual(self.states().count("succeeded"), 3 - status)

    def test_a_terminal_that_has_gone(self) -> None:
        """Without a hang-up, as where the session goes on without it (disown)."""
        for status in self.jobs():
            with self.subTest(status=status):
                master, slave = pty.openpty()
                try:
                    process = self.start("run", "job", stdout=slave, stderr=slave, start_new_session=True)
                finally:
                    os.close(slave)
                    os.close(master)
                self.assertEqual(process.wait(60), status)
                self.assertEqual(self.states().count("succeeded"), 3 - status)

    def test_a_stream_that_does_not_wait(self) -> None:
        """Somebody else has made the pipe non-blocking: what does not fit is kept for later, nothing is lost."""
        self.write("task.py", FLOOD)
        self.job(f"run: {sys.executable} task.py")
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETFL, fcntl.fcntl(writer, fcntl.F_GETFL) | os.O_NONBLOCK)
        process = self.start("run", "job", stdout=writer, stderr=subprocess.DEVNULL)
        os.close(writer)
        with open(reader, "rb") as file:
            time.sleep(0.5)
            data = file.read()
        self.assertEqual(process.wait(60), 0)
        self.assertEqual([int(line.split()[1]) for line in data.splitlines()], list(range(20000)))

    def test_commands_whose_reader_has_gone(self) -> None:
        """Data has been read enough: that is no error, and nothing is said."""
        self.job("run: echo\nsteps: [{batch: a=1:100000}]")
        for argv in (("expand", "a=1:1000000"), ("run", "job", "--dry-run")):
            with self.subTest(argv=argv):
                process = self.start(*argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                self.addCleanup(process.stderr.close)
                process.stdout.readline()
                process.stdout.close()
                self.assertEqual(process.wait(60), 0)
                self.assertNotIn(b"Error", process.stderr.read())


class Following(Program):
    """What tasks print, as it comes."""

    def test_failures_with_the_same_last_line_are_one_group(self) -> None:
        self.job("run: sh -c 'echo $0; echo CUDA out of memory; exit 3'\nfail-fast: false\nsteps: [{batch: a=1:5}]")
        for told in (self.hydraflow("run", "job").err, self.hydraflow("status", "job").out):
            self.assertRegex(told, r"(?m)^ *5 tasks.* failed.*CUDA out of memory")

    def test_quiet(self) -> None:
        """Failures and the summary alone; the last lines of what failed are among it."""
        self.job("run: sh -c 'echo out $0; test $0 != a=2'\nfail-fast: false\nsteps: [{batch: a=1:3}]")
        result = self.hydraflow("run", "job", "--quiet")
        self.assertEqual(result.out, "")
        self.assertFalse("a=1" in result.err or "out a=3" in result.err, result.err)
        self.assertIn("out a=2", result.err)

    def test_a_task_of_megabytes_keeps_no_other_one(self) -> None:
        self.write("task.py", FLOOD)
        self.job(f"run: {sys.executable} task.py\nmax-parallel: 2\nsteps: [{{batch: a=1:4}}]")
        result = self.hydraflow("run", "job")
        self.assertEqual((result.status, len(result.out.splitlines())), (0, 80000))
        self.assertEqual({line[:7] for line in result.out.splitlines()}, {f"[{number} a={number}" + "]" for number in range(1, 5)})


class HowFar(Program):
    """The first line of status, what stands below it, and what is to be typed next."""

    def ends_with(self, text: str, *lines: str) -> None:
        """Assert which commands a run names at its end, as this user calls the program."""
        program = os.path.basename(sys.executable) + " -m hydraflow"
        self.assertEqual([line.partition(program)[2] for line in text.splitlines() if program in line], [f" {line}" for line in lines], text)

    def test_while_it_is_executed_and_after_it_was_killed(self) -> None:
        self.job("run: sh -c 'test $0 = a=1 || until test -e go; do sleep 0.05; done'\nsteps: [{batch: 'a=1:4'}]")
        process = self.start("run", "job", stderr=subprocess.DEVNULL)
        wait_until(lambda: self.records() and self.states()[:2] == ["succeeded", "running"])
        status = self.hydraflow("status", "job").out
        self.assertIn("1 of 4 tasks", status)
        self.assertIn("25%", status)
        self.ends_with(status, "logs job --follow")
        self.kill(process)
        self.assertEqual(self.states(), ["succeeded", "running", "not started", "not started"])
        self.write("go", "")
        wait_until(lambda: self.states()[1] == "succeeded")
        self.ends_with(self.hydraflow("status", "job").out, "run --resume job")

    def test_what_is_typed_next(self) -> None:
        """As it was typed: with -f and -C, options and overrides, and a sweep without a job file as a whole."""
        os.mkdir(os.path.join(self.folder, "sub"))
        self.write("sub/x.yaml", "jobs: {job: {run: sh -c 'test $0 != a=2', hydra: false, needs: first, steps: [{batch: a=1}]}, first: {run: 'true', hydra: false}, bad: {run: 'false'}, short: {run: 'true', needs: bad}}")
        result = self.hydraflow("-C", "sub", "-f", "x.yaml", "run", "-j2", "job", "a=1,2")
        self.ends_with(result.err, "-C sub -f x.yaml run --resume -j2 job a=1,2")
        self.ends_with(self.hydraflow("-C", "sub", "-f", "x.yaml", "status", "job").out, "-C sub -f x.yaml run --resume -j2 job a=1,2")
        self.ends_with(self.hydraflow("-C", "sub", "status").out, "-C sub -f x.yaml results first", "-C sub -f x.yaml run --resume -j2 job a=1,2")
        self.assertEqual(self.hydraflow("-C", "sub", "-f", "x.yaml", "run", "short", "-q").status, 1)
        self.ends_with(self.hydraflow("-C", "sub", "-f", "x.yaml", "status", "bad").out, "-C sub -f x.yaml run --resume short -q")
        self.ends_with(self.hydraflow("-C", "sub", "-f", "x.yaml", "run", "job", "--resume", "a=1").err, "-C sub -f x.yaml results job")
        result = self.hydraflow("run", "-j2", "--", "sh", "-c", "test $0 != --x=2", ":::", "--x=1:2")
        self.ends_with(result.err, "run --resume -j2 -- sh -c 'test $0 != --x=2' ::: --x=1:2")
        self.ends_with(self.hydraflow("status", "sh").out, "run --resume -j2 -- sh -c 'test $0 != --x=2' ::: --x=1:2")
        self.assertEqual(self.hydraflow("run", "-j2", "--resume", "--", "sh", "-c", "test $0 != --x=2", ":::", "--x=1:2").status, 1)
        ulid = self.hydraflow("status", "sh", "--all").out.splitlines()[1].split()[0]
        self.assertEqual(self.hydraflow("run", "--", "sh", "-c", "true", "--x=1").status, 0)
        self.ends_with(self.hydraflow("status", "sh", "--run", ulid).out, f"results sh --run {ulid}")

    def test_after_ctrl_c(self) -> None:
        self.job("run: sh -c 'touch begun; sleep 99'")
        process = self.start("run", "job", "-q", stderr=subprocess.PIPE)
        wait_until(lambda: "begun" in self.names())
        process.send_signal(signal.SIGINT)
        self.ends_with(process.communicate(timeout=60)[1].decode(), "run --resume job -q")

    def test_groups_of_failures(self) -> None:
        """Of a cause: what its tasks have in common, else some of them."""
        self.job("run: sh -c 'test $0 != a=2 || { echo two; exit 1; }; test $1 != b=3 || { echo three; exit 1; }'\nfail-fast: false\n"
                 "steps: [{batch: a=1:3 b=1:3}, {batch: 'a=4,5 b=3'}]")
        self.hydraflow("run", "job", "-j3")
        out = self.hydraflow("status", "job").out
        self.assertRegex(out, r"3 tasks \(4, 5, 6\).*two\n.*a=2\n")
        self.assertRegex(out, r"4 tasks \(3, 9, 10, 11\).*three\n.*b=3\n")
        self.assertEqual([task["cause"] for task in json.loads(self.hydraflow("status", "job", "--json").out)["tasks"][:4]], [None, None, "three", "two"])

    @unittest.skipUnless(shutil.which("git"), "not installed: git")
    def test_tasks_that_ran_older_code(self) -> None:
        def git(*words: str) -> str:
            names = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "core.hooksPath=/dev/null")
            return subprocess.check_output(["git", *names, *words], cwd=self.folder).decode().strip()

        self.job("run: sh task.sh\nfail-fast: false\nsteps: [{batch: 'a=1:4'}]")
        self.write("task.sh", "test $1 = a=1 || test $1 = a=2 || test -e $1\n")
        for words in (("init", "-q"), ("add", "task.sh"), ("commit", "-qm", "one")):
            git(*words)
        first = git("rev-parse", "HEAD")[:7]
        self.hydraflow("run", "job", "-q")
        self.assertNotIn("older", self.hydraflow("status", "job").out)
        self.write("task.sh", "# edited\ntest $1 = a=3\n")
        self.hydraflow("run", "job", "-q", "--resume")
        line = f"2 tasks (1, 2) of 4 ran older code: {first}"
        self.assertIn(f"\n  {line}\n", self.hydraflow("status", "job").out)
        self.assertEqual(self.hydraflow("results", "job").err.splitlines()[0], line)
        self.assertIn(line, self.hydraflow("report", "job", "-o", "page.html").err)
        self.assertIn(line, self.read("page.html"))
        codes = [task["code"] for task in self.tasks().values()]
        self.assertRegex(" ".join(codes), f"^{first} {first} ({first} \\+ changes [0-9a-f]{{4}}) \\1$")
