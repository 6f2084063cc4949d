"""What people see: who does not read, or cannot be written to, keeps no loop and ends no run."""
import ast
import fcntl
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import unittest
from unittest import mock

from support import ROOT, EmptyFolder, Program, wait_until

import hydraflow

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


class Progress(unittest.TestCase):
    """The line that counts."""

    def test_counts_and_time(self) -> None:
        for took, running, jobs, text in (([], 2, 2, "[--------------------] 0/10  2 running  1:00"), ([30, 50], 2, 2, "[####----------------] 2/10  2 running  1:00  2:40 left"),
                                          ([30] * 9, 1, 4, "[##################--] 9/10  1 running  1:00  0:30 left"), ([5] * 10, 0, 2, "[####################] 10/10  0 running  1:00")):
            with self.subTest(took=took):
                screen = hydraflow.Screen(10, jobs, True, {})
                screen.begun -= 60.0
                for seconds in took:
                    state = hydraflow.State(1)
                    state.become("succeeded")
                    state.started, state.ended = 1000.0, 1000.0 + seconds
                    screen.ended(hydraflow.Event("end", None, state, "", "", 0))
                screen.running = running
                self.assertEqual(screen.progress(), text)

    def test_what_tasks_took(self) -> None:
        """A clock that was set back counts for nothing, and what never began neither."""
        screen = hydraflow.Screen(10, 1, True, {})
        for started, ended, spent in ((1000.0, 1000.25, 0.25), (1000.0, 990.0, 0.25), (0.0, 1000.0, 0.25), (1000.0, 0.0, 0.25), (10.0, 12.0, 2.25)):
            state = hydraflow.State(1)
            state.become("succeeded")
            state.started, state.ended = started, ended
            screen.ended(hydraflow.Event("end", None, state, "", "", 0))
            self.assertEqual(screen.spent, spent)

    def test_failures_and_what_had_succeeded(self) -> None:
        screen = hydraflow.Screen(10, 1, True, {})
        screen.counts.update(earlier=4, failed=1)
        screen.spent = 7.0
        self.assertEqual(screen.progress(), "[##########----------] 5/10  0 running  1 failed  0:00  0:35 left")


class Kept:
    """In place of a stream: takes what it has room for in a turn, and keeps it with what others get."""

    def __init__(self, name: str, is_terminal: bool, got: "list") -> None:
        self.name, self.is_terminal, self.got, self.is_lost, self.room = name, is_terminal, got, False, 1 << 30

    def offer(self, data: bytes, waits: bool = False) -> bytes:
        """Take bytes; return the rest."""
        taken = data if waits else data[:self.room]
        if taken:
            self.got.append(f"{self.name} {taken.decode('utf-8')!a}")
        return data[len(taken):]


class Shown(EmptyFolder):
    """Every byte of a run, whatever it goes to; HYDRAFLOW_RENEW=1 writes the files of cases/screens anew, to be read in the diff."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        job = hydraflow.read_jobs(hydraflow.read_yaml("jobs: {t: {run: x, hydra: false, steps: [{batch: 'a=1:4 b=7'}]}}"))["t"]
        self.tasks = list(hydraflow.Plan(job))
        self.got = []
        for name, value in (("hydraflow.say", lambda text: self.got.append(f"say {text!a}")), ("hydraflow.window_width", lambda stream: 60)):
            patch = mock.patch(name, value)
            patch.start()
            self.addCleanup(patch.stop)
        patch = mock.patch("time.monotonic", return_value=100.0)
        self.clock = patch.start()
        self.addCleanup(patch.stop)

    def open_screen(self, jobs: int, kind: str) -> None:
        """Have a screen whose streams are kept: files, a terminal, or a terminal for errors only."""
        self.screen = hydraflow.Screen(5, jobs, "quiet" in kind, {"t": {"b=7"}})
        self.screen.is_raw, is_live = "terminal" not in kind, "files" not in kind
        self.screen.out, self.screen.err = Kept("out", not self.screen.is_raw, self.got), Kept("err", is_live, self.got)
        self.screen.is_live, self.screen.is_coloured = is_live and "quiet" not in kind, "colour" in kind

    def event(self, kind: str, number: int, name: str = "running", begin: int = 0) -> None:
        """Let something happen to a task."""
        state = hydraflow.State(1)
        state.become(name)
        state.status, state.started, state.ended = 3, 1000.0, 1002.5
        self.screen.show(hydraflow.Event(kind, self.tasks[number - 1], state, "t", f"log{number}", begin))

    def tick(self, running: int, seconds: int) -> None:
        """Let time pass."""
        self.clock.return_value += seconds
        self.screen.show(hydraflow.Event("tick", None, hydraflow.State(), "", "", running))

    def prints(self, number: int, text: str) -> None:
        """Let a task print something."""
        with open(f"log{number}", "a", encoding="utf-8") as file:
            file.write(text)

    def run_of_tasks(self) -> None:
        """Tasks begin, print whole lines and parts of lines, are tried again, fail; one is handed over."""
        self.screen.show(hydraflow.Event("done", None, hydraflow.State(), "", "", 1))
        self.event("start", 1)
        self.tick(1, 1)
        self.prints(1, "one\npart")
        self.tick(1, 0)
        self.tick(1, 0)
        self.prints(1, "ial\n\x1b[31mred\x1b[2J\n")
        self.tick(1, 3)
        self.event("end", 1, "succeeded")
        self.event("start", 2)
        self.event("start", 3)
        self.prints(3, " 10%\r 20%\r")
        self.tick(2, 4)
        self.prints(2, "before\n==> attempt 2 <==\nfirst\n")
        self.prints(3, " \x1b[32m30%")
        self.event("retry", 2, begin=25)
        self.prints(2, "ValueError: bad\n")
        self.tick(2, 55)
        self.screen.show(hydraflow.note_event("note", "a note\x1b[2J"))
        self.screen.show(hydraflow.note_event("error", "an error"))
        self.event("end", 2, "failed", 25)
        self.event("end", 3, "failed")
        self.event("start", 4)
        self.prints(4, "unfinished")
        self.event("end", 4, "handed")
        self.screen.finish(0)

    def test_whole_runs(self) -> None:
        folder = os.path.join(ROOT, "tests", "cases", "screens")
        names = sorted(os.listdir(folder))
        self.assertEqual(len(names), 6)
        for name in names:
            jobs, _, kind = name[:-len(".txt")].partition("-")
            with self.subTest(name):
                del self.got[:]
                for log in range(1, 5):
                    if os.path.exists(f"log{log}"):
                        os.remove(f"log{log}")
                self.open_screen(int(jobs), kind)
                self.run_of_tasks()
                if os.environ.get("HYDRAFLOW_RENEW"):
                    with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                        file.write("\n".join([*self.got, ""]))
                with open(os.path.join(folder, name), encoding="ascii") as file:
                    self.assertEqual(self.got, file.read().splitlines())

    def out(self) -> str:
        """Return what went to standard output."""
        return "".join(ast.literal_eval(text[4:]) for text in self.got if text.startswith("out "))

    def test_who_reads_slowly_gets_all(self) -> None:
        """In pieces, turn by turn, and no progress line comes between them."""
        for kind in ("files", "terminal"):
            for jobs in (1, 2):
                with self.subTest(kind=kind, jobs=jobs):
                    self.open_screen(jobs, kind)
                    self.screen.out.room = 7
                    self.event("start", 1)
                    self.prints(1, "0123456789\nabcdef\n")
                    for _ in range(9):
                        self.tick(1, 1)
                        if self.screen.rest:
                            self.assertNotIn("running", self.got[-1])
                    lead = "" if jobs == 1 else "[1 a=1] "
                    self.assertEqual(self.out(), f"{lead}0123456789\n{lead}abcdef\n")
                    os.remove("log1")
                    del self.got[:]

    def test_which_events_are_told(self) -> None:
        """At once, or at the end."""
        for kind, now, later in (("note", True, False), ("interrupt", True, False), ("error", False, True), ("tick", False, False), ("elsewhere", False, False), ("done", False, False)):
            self.open_screen(1, "files")
            del self.got[:]
            self.screen.show(hydraflow.note_event(kind, "what happened"))
            with self.subTest(kind=kind):
                self.assertEqual(any("what happened" in text for text in self.got), now)
                del self.got[:]
                self.screen.finish(0)
                self.assertEqual(any("what happened" in text for text in self.got), later)

    def test_what_is_drawn_fits_into_a_row(self) -> None:
        """One column is left free, in which some terminals would begin the next row; the line that counts has 79 at most."""
        progress = "[--------------------] 0/5  1 running  0:01"
        for columns, part, row in ((60, 59, 43), (40, 39, 39), (2, 1, 1), (120, 90, 43), (0, 79, 43)):
            with self.subTest(columns=columns), mock.patch("hydraflow.window_width", lambda stream, columns=columns: columns):
                self.open_screen(1, "terminal")
                self.event("start", 1)
                self.prints(1, "x" * 90)
                self.tick(1, 1)
                self.assertEqual(ast.literal_eval(self.got[-1][4:]), f"{'x' * part}\n{progress[:row]}")
                os.remove("log1")
                self.screen.finish(0)

    def test_the_line_that_counts_is_cut(self) -> None:
        with mock.patch("hydraflow.window_width", lambda stream: 200):
            self.open_screen(1, "terminal")
            self.screen.total = 10 ** 60
            self.event("start", 1)
            self.tick(1, 1)
            self.assertEqual(len(ast.literal_eval(self.got[-1][4:])), 79)

    def test_how_much_is_shown_in_a_turn(self) -> None:
        """Some chunks; a terminal that is far behind leaves out all but the last one, and says so; the end shows all."""
        for kind, size, turn, told in (("files", 10, 3, ""), ("terminal", 3, 3, ""), ("terminal", 10, 1, "[1 a=1]: 900 bytes of its output are not shown; its log has all of it\n")):
            with self.subTest(kind=kind, size=size), mock.patch.multiple(hydraflow, CHUNK=100, TURN=300, BEHIND=400):
                self.open_screen(1, kind)
                self.prints(1, "before\n")
                self.event("start", 1, begin=7)
                lines = [f"{number:03d} {'x' * 45}\n" for number in range(2 * size)]
                self.prints(1, "".join(lines))
                self.tick(1, 1)
                self.assertEqual(self.out(), "".join(lines[2 * size - 2:] if told else lines[:2 * turn]))
                self.assertEqual([text[5:-1] for text in self.got if "not shown" in text], [repr(told)[1:-1]] if told else [])
                self.prints(1, "y" * 950 + "\n")
                self.event("end", 1, "succeeded")
                self.screen.finish(0)
                if kind == "files":
                    self.assertEqual(self.out(), "".join(lines) + "y" * 950 + "\n")
                os.remove("log1")
                del self.got[:]

    def test_how_much_of_a_chunk_is_shown(self) -> None:
        """Whole lines; all of it at the end of a log that grows no more, where one line fills it, and where it is passed on as it is."""
        for jobs, is_raw, data, has_ended, size in (
                (1, True, b"ab", False, 2), (2, True, b"ab", False, 0), (1, False, b"ab", False, 0), (1, False, b"ab", True, 2), (2, False, b"a\nb", False, 2), (2, False, b"a\nb", True, 3), (2, True, b"\n", False, 1),
                (2, False, b"x" * 9, False, 0), (2, False, b"x" * 10, False, 10), (2, False, b"xxxx\nxxxxx", False, 5), (2, False, b"xxxx\nxxxxx", True, 5), (2, False, b"x" * 9 + b"\n", True, 10), (1, True, b"xxxx\nxxxxx", False, 10)):
            self.open_screen(jobs, "files" if is_raw else "terminal")
            with self.subTest(jobs=jobs, is_raw=is_raw, data=data, has_ended=has_ended), mock.patch.object(hydraflow, "CHUNK", 10):
                self.assertEqual(self.screen.shown_size(data, has_ended), size)

    def test_who_gets_a_title(self) -> None:
        """What a task prints on a terminal, once, unless it is the only one or its lines have its name."""
        for kind, jobs, total, data, has_title in (("terminal", 1, 2, b"a", True), ("terminal", 1, 1, b"a", False), ("terminal", 1, 2, b"", False), ("terminal", 2, 2, b"a", False), ("files", 1, 2, b"a", False), ("terminal", 1, 3, b"a", True)):
            self.open_screen(jobs, kind)
            self.screen.total = total
            following = hydraflow.Following("[3 a]", "log", 0)
            with self.subTest(kind=kind, jobs=jobs, total=total, data=data), mock.patch.object(hydraflow.Screen, "line") as line:
                for _ in range(2):
                    self.screen.title(following, data)
                self.assertEqual(line.call_args_list, [mock.call("==> [3 a] <==")] * has_title)

    def test_lines_of_output(self) -> None:
        """With the name of the task where several run; for a terminal without what moves its cursor, and colours end with their line."""
        for jobs, kind, data, shown in (
                (2, "files", b"a\nb\n", b"[3 a] a\n[3 a] b\n"), (2, "files", b"a\nb", b"[3 a] a\n[3 a] b\n"), (2, "files", b"a\n\n", b"[3 a] a\n[3 a] \n"), (2, "files", b"1%\r2%\n\x1b[1mx\n", b"[3 a] 1%\r2%\n[3 a] \x1b[1mx\n"),
                (1, "terminal", b"1%\r2%\n", b"2%\n"), (1, "terminal", b"\x1b[31mred\x1b[2J\nx\n", b"\x1b[31mred\x1b[m\nx\x1b[m\n"), (2, "terminal", b"a\n", b"[3 a] a\n"), (1, "terminal", b"\xff\n", "\ufffd\n".encode())):
            self.open_screen(jobs, kind)
            with self.subTest(jobs=jobs, kind=kind, data=data):
                self.assertEqual(self.screen.as_lines(hydraflow.Following("[3 a]", "log", 0), data), shown)
        self.assertEqual([hydraflow.Following(name, "log", 0).lead for name in ("[3 a]", "task 3", "job [3 a]", "job task 3", "[3 \udcff]")], [b"[3 a] ", b"[3] ", b"job [3 a] ", b"[3] ", b"[3 ?] "])

    def test_progress(self) -> None:
        """How many of all have ended, what runs, what has failed, since when, and how long is left, as long as those took."""
        for counts, total, running, jobs, spent, text in (
                ({}, 5, 1, 1, 0.0, "[--------------------] 0/5  1 running  0:10"), ({"succeeded": 1}, 5, 2, 2, 30.0, "[####----------------] 1/5  2 running  0:10  1:00 left"),
                ({"succeeded": 1, "failed": 1}, 4, 1, 1, 40.0, "[##########----------] 2/4  1 running  1 failed  0:10  0:40 left"), ({"earlier": 3}, 4, 1, 1, 0.0, "[###############-----] 3/4  1 running  0:10"),
                ({"earlier": 2, "succeeded": 1}, 4, 1, 8, 20.0, "[###############-----] 3/4  1 running  0:10  0:20 left"), ({"succeeded": 4}, 4, 0, 1, 20.0, "[####################] 4/4  0 running  0:10"),
                ({"succeeded": 2}, 8, 6, 2, 12.0, "[#####---------------] 2/8  6 running  0:10  0:06 left"), ({"failed": 1}, 1, 0, 1, 2.0, "[####################] 1/1  0 running  1 failed  0:10"),
                ({}, 0, 0, 1, 0.0, "[--------------------] 0/0  0 running  0:10")):
            self.open_screen(jobs, "terminal")
            self.screen.counts.update(counts)
            self.screen.total, self.screen.running, self.screen.spent, self.screen.begun = total, running, spent, self.clock.return_value - 10.5
            with self.subTest(counts=counts, total=total):
                self.assertEqual(self.screen.progress(), text)

    def test_who_gets_a_progress_line(self) -> None:
        """A terminal that can move back, of whom did not ask for quiet; what goes into none is passed on as it is."""
        for term, quiet, terminals, is_live, is_raw in (("xterm", False, (True, True), True, False), ("xterm", True, (True, True), False, False), ("dumb", False, (True, True), False, False),
                                                        ("", False, (True, True), True, False), (None, False, (True, True), False, False), ("xterm", False, (False, True), True, True),
                                                        ("xterm", False, (True, False), False, False)):
            outlets = [mock.Mock(is_terminal=is_terminal) for is_terminal in terminals]
            with self.subTest(term=term, quiet=quiet, terminals=terminals), mock.patch.dict(os.environ), mock.patch.object(hydraflow, "Outlet", side_effect=outlets):
                os.environ.pop("TERM", None)
                os.environ.update({} if term is None else {"TERM": term})
                screen = hydraflow.Screen(1, 1, quiet, {})
                self.assertEqual((screen.is_live, screen.is_raw), (is_live, is_raw))

    def test_what_a_stream_has_not_taken(self) -> None:
        """It is waited for where all of it is to be written, else left for the next turn."""
        self.open_screen(1, "files")
        for waits, offered in ((False, []), (True, [mock.call(b"abc", True), mock.call(b"c", True)])):
            self.screen.rest, self.screen.out = b"abc", mock.Mock()
            self.screen.out.offer.side_effect = [b"c", b""]
            self.screen.drain(waits)
            self.assertEqual(self.screen.out.offer.call_args_list, offered)
            self.screen.rest = b""

    def test_a_terminal_that_keeps_up_misses_nothing(self) -> None:
        with mock.patch.multiple(hydraflow, CHUNK=100, TURN=300, BEHIND=400):
            self.open_screen(1, "terminal")
            self.event("start", 1)
            for number in range(1, 5):
                self.prints(1, f"{number}{'x' * 48}\n" * 5)
                self.tick(1, 1)
            self.assertEqual(self.out(), self.read("log1"))
            self.screen.finish(0)

    def test_kinds_of_failure(self) -> None:
        """The first ten are shown, of a kind the first task; what is too long to type again is cut."""
        self.open_screen(1, "files-quiet")
        for number in range(46):
            state = hydraflow.State(1)
            state.become("failed", "", f"reason {number // 2}" if number != 44 else "last")
            task = self.tasks[0]._replace(number=number + 1, argv=("x" * (1994 + number // 2),), combination=())
            self.screen.show(hydraflow.Event("end", task, state, "t", "none", 0))
        self.screen.finish(2)
        said = [text for text in map(ast.literal_eval, (text[4:] for text in self.got if text.startswith("say "))) if text]
        self.assertEqual(said[0], "5 tasks: 46 failed, 2 submitted, 0.0 s")
        self.assertEqual(said[1:-1:2], [f"2 tasks failed: reason {number} (task {2 * number + 1} for example)" for number in range(10)])
        self.assertEqual([len(text) for text in said[2:-1:2]], [2003 + number if number < 6 else 2013 for number in range(10)])
        self.assertEqual(said[-1], "and 14 more kinds of failure; status shows them")


class Causes(unittest.TestCase):
    def test_what_is_known_comes_before_what_was_printed(self) -> None:
        for cause, status, lines, text in (("missing", 0, ["1"], "runs are missing"), ("timeout", 0, ["step 3"], "time limit"), ("", 1, ["ValueError: lr"], "ValueError: lr"),
                                           ("", 139, [], "SIGSEGV (exit status 139)"), ("", 3, [], "exit status 3")):
            with self.subTest(cause=cause, status=status):
                state = hydraflow.State(1)
                state.become("failed", cause)
                state.status = status
                self.assertEqual(hydraflow.failure_cause(state, lines), text)


class Left(unittest.TestCase):
    """How long a run still takes: as long as its tasks took, shared among those that run."""

    def left(self, took: "list", running: "list", waiting: int) -> str:
        """Return what is said of tasks that took some seconds, run since some seconds, or wait."""
        states = [(number, hydraflow.State(number)) for number in range(len(took) + len(running) + waiting)]
        for (_, state), seconds in zip(states, took):
            state.become("succeeded")
            state.started, state.ended = 1000.0, 1000.0 + seconds
        for (_, state), seconds in zip(states[len(took):], running):
            state.become("running")
            state.started = 5000.0 - seconds
        found = mock.Mock(members=states)
        with mock.patch("time.time", return_value=5000.0):
            return hydraflow.left_text(found)

    def test_how_long(self) -> None:
        for took, running, waiting, text in (
                ([10, 20, 30], [0], 0, ", about 0:20 left"), ([20], [5], 2, ", about 0:55 left"), ([20], [5, 0], 2, ", about 0:37 left"),
                ([20], [90, 90], 2, ", about 0:20 left"), ([], [5], 2, ""), ([20], [], 2, ""), ([7200], [0], 1, ", about 4:00:00 left"),
                ([20], [-5], 2, ", about 1:00 left"), ([20, -10], [0], 1, ", about 0:20 left")):  # clocks of machines differ
            with self.subTest(took=took, running=running, waiting=waiting):
                self.assertEqual(self.left(took, running, waiting), text)


class HowFar(Program):
    """The first line of status, what stands below it, and what is to be typed next."""

    def head(self, *words: str) -> str:
        """Return the first line of status, without moments."""
        return re.sub(r"\b\d\d:\d\d:\d\d\b", "T", self.hydraflow("status", *words).out.split("\n")[0])

    def ends_with(self, text: str, *lines: str) -> None:
        """Assert which commands a run names at its end, as this user calls the program."""
        program = os.path.basename(sys.executable) + " -m hydraflow"
        self.assertEqual([line.partition(program)[2] for line in text.splitlines() if program in line], [f" {line}" for line in lines], text)

    def test_while_it_is_executed_and_after_it_was_killed(self) -> None:
        self.job("run: sh -c 'test $0 = a=1 || until test -e go; do sleep 0.05; done'\nsteps: [{batch: 'a=1:4'}]")
        process = self.start("run", "job", stderr=subprocess.DEVNULL)
        wait_until(lambda: self.hydraflow("status", "job").status == 0 and self.states()[1:] == ["running", "waiting", "waiting"])
        self.assertRegex(self.head(), r"^job: 1 of 4 tasks done \(25%\), began T, executed here, about \d:\d\d left; next: .* -m hydraflow logs job --follow$")
        process.kill()
        process.wait()
        self.assertEqual(self.states()[1:], ["running", "not started", "not started"])
        self.assertRegex(self.head(), "^job: 1 of 4 tasks done .* executed here, ")
        self.assertRegex(self.hydraflow("status", "job").out, r"\n  1 running, 1 succeeded, 2 not started\n  \[2 a=2\] running since ")
        self.write("go", "")
        wait_until(lambda: self.states()[1] == "succeeded")
        self.assertRegex(self.head(), r"^job: 2 of 4 tasks done \(50%\), began T, nothing executes it since T; next: .* -m hydraflow run job --resume$")

    def test_what_is_typed_next(self) -> None:
        """As it was typed: with -f and -C, options and overrides, and a sweep without a job file as a whole."""
        os.mkdir(os.path.join(self.folder, "sub"))
        self.write("sub/x.yaml", "jobs: {job: {run: sh -c 'test $0 != a=2', hydra: false, needs: first, steps: [{batch: a=1}]}, first: {run: 'true', hydra: false}}")
        result = self.hydraflow("-C", "sub", "-f", "x.yaml", "run", "-j2", "job", "a=1,2")
        self.ends_with(result.err, "-C sub -f x.yaml run -j2 job --resume a=1,2")
        for file in ((), ("-f", "x.yaml")):
            self.ends_with(self.hydraflow("-C", "sub", *file, "status", "job").out, "-C sub -f x.yaml run -j2 job --resume a=1,2")
        self.ends_with(self.hydraflow("-C", "sub", "status", "first").out, "-C sub results first")
        self.ends_with(self.hydraflow("-C", "sub", "-f", "x.yaml", "run", "job", "--resume", "a=1").err, "-C sub -f x.yaml results job")
        result = self.hydraflow("run", "-j2", "--", "sh", "-c", "test $0 != --x=2", "--x=1:2")
        self.ends_with(result.err, "run -j2 --resume -- sh -c 'test $0 != --x=2' --x=1:2")
        self.ends_with(self.hydraflow("status", "sh").out, "run -j2 --resume -- sh -c 'test $0 != --x=2' --x=1:2")
        self.assertEqual(self.hydraflow("run", "-j2", "--resume", "--", "sh", "-c", "test $0 != --x=2", "--x=1:2").status, 1)
        ulid = self.hydraflow("status", "sh", "--all").out.split()[0]
        self.assertEqual(self.hydraflow("run", "--", "sh", "-c", "true", "--x=1").status, 0)
        self.ends_with(self.hydraflow("status", "sh", "--run", ulid).out, f"results sh --run {ulid}")

    def test_after_ctrl_c_both(self) -> None:
        self.job("run: sh -c 'touch begun; sleep 99'")
        process = self.start("run", "job", "-q", stderr=subprocess.PIPE)
        wait_until(lambda: "begun" in self.names())
        process.send_signal(signal.SIGINT)
        self.ends_with(process.communicate(timeout=60)[1].decode(), "run job --resume -q", "results job")

    def test_groups_of_failures(self) -> None:
        """Of a cause: what its tasks have in common, else some of them."""
        self.job("run: sh -c 'test $0 != a=2 || { echo two; exit 1; }; test $1 != b=3 || { echo three; exit 1; }'\nfail-fast: false\n"
                 "steps: [{batch: a=1:3 b=1:3}, {batch: 'a=4,5 b=3'}]")
        self.hydraflow("run", "job", "-j3")
        out = self.hydraflow("status", "job").out
        self.assertIn("\n  3 tasks (4-6) failed: exit status 1: two\n    all of them with a=2\n", out)
        self.assertIn("\n  4 tasks (3, 9-11) failed: exit status 1: three\n    all of them with b=3\n", out)
        self.assertEqual([task["cause"] for task in json.loads(self.hydraflow("status", "job", "--json").out)["tasks"][:4]], [None, None, "three", "two"])


class Words(unittest.TestCase):
    def test_durations(self) -> None:
        for seconds, text in ((0.0, "0.0 s"), (59.94, "59.9 s"), (60, "1:00"), (3599, "59:59"), (3600, "1:00:00"), (360000, "100:00:00")):
            with self.subTest(seconds=seconds):
                self.assertEqual(hydraflow.duration_text(seconds), text)
        self.assertEqual([hydraflow.clock_text(seconds) for seconds in (0.9, 59.9, 60, 3600)], ["0:00", "0:59", "1:00", "1:00:00"])

    def test_moments(self) -> None:
        """Today's with their time, others with their date; what no calendar has is no traceback."""
        self.assertRegex(hydraflow.moment_text(time.time()), r"^\d\d:\d\d:\d\d$")
        self.assertRegex(hydraflow.moment_text(1e9), r"^2001-09-0\d \d\d:\d\d$")
        for moment in (1e30, float("inf"), float("nan"), -1e30):
            self.assertEqual(hydraflow.moment_text(moment), "?")

    def test_how_a_task_is_called(self) -> None:
        """By what varies; what is too long loses groups of keys, then keys, then middles; nothing moves a cursor or begins a line."""
        dotted = ("opt.lr=0.1", "net.model=transformer")
        for words, shared, room, name in (
                ((), set(), 99, "task 7"), (("a=1",), {"a=1"}, 99, "task 7"), (("a=1", "b=2"), {"a=1"}, 99, "[7 b=2]"), (("--x=1", "-v"), set(), 99, "[7 --x=1 -v]"),
                (dotted, set(), 32, "[7 opt.lr=0.1 net.model=transformer]"), (dotted, set(), 30, "[7 lr=0.1 model=transformer]"), (dotted, set(), 20, "[7 0.1 transformer]"),
                (dotted, set(), 14, "[7 0.1 tra...mer]"), (("a.lr=1", "b.lr=2"), set(), 12, "[7 1 2]"), (("x=" + "y" * 5000,), set(), 20, "[7 yyyyyyyy...yyyyyyyy]"),
                (("a=\x1b[2Jb",), set(), 99, "[7 a=\ufffd[2Jb]"), (("a='x\n  y'",), set(), 99, "[7 a='x y']")):
            with self.subTest(words=words, room=room):
                self.assertEqual(hydraflow.task_name(7, words, shared, room), name)

    def test_what_all_tasks_of_a_plan_share(self) -> None:
        for steps, shared in (("{batch: a=1 b=1:2}", {"a=1"}), ("{batch: a=1}, {batch: a=1 b=3}", {"a=1"}), ("{batch: a=1}, {batch: a=2}", set()), ("{batch: a=1}, {args: a=1}", set()),
                              ("{batch: 'a=1 b=1,2', include: a=2 b=7}", set()), ("{batch: 'a,b=(1,2) c=1|2'}", {"a=1", "b=2"})):
            with self.subTest(steps=steps):
                job = hydraflow.read_jobs(hydraflow.read_yaml(f"jobs: {{t: {{run: x, steps: [{steps}]}}}}"))["t"]
                self.assertEqual(hydraflow.words_of_all(hydraflow.Plan(job)), shared)

    def test_numbers_of_tasks(self) -> None:
        for numbers, text in (([1], "task 1"), ([1, 2], "2 tasks (1, 2)"), ([1, 2, 3], "3 tasks (1-3)"), (list(range(1, 16, 2)), "8 tasks (1, 3, 5, 7, 9, 11, 13, 15)"), (list(range(1, 18, 2)), "9 tasks (1, 3, 5, 7, 9, 11, 13, 15, ...)"),
                              (list(range(1, 40, 2)), "20 tasks (1, 3, 5, 7, 9, 11, 13, 15, ...)")):
            with self.subTest(numbers=numbers):
                self.assertEqual(hydraflow.task_range(numbers), text)

    def test_causes(self) -> None:
        advice = "Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace."
        for lines, cause in (([], ""), (["a", "b"], "b"), (["ValueError: x", advice], "ValueError: x"), (["x", " 45%|####   | 9/20 [00:01<00:02, 5.00it/s]"], "x"),
                             (["x", "-----", "====="], "x"), ([advice], advice), (["==> attempt 2 <=="], "==> attempt 2 <==")):
            with self.subTest(lines=lines):
                self.assertEqual(hydraflow.cause_line(lines), cause)

    def test_what_moves_no_cursor(self) -> None:
        for data, text in ((b"plain", "plain"), (b"\x1b[31mred\x1b[m", "\x1b[31mred\x1b[m"), (b"\x1b[2J\x1b[Hx", "x"), (b"\x1b]0;title\x07x", "x"), (b"a\x08b\x07\x0e", "ab"),
                           (b"\xff", "\ufffd"), (b"\x1b", ""), (b"\tx", "\tx")):
            with self.subTest(data=data):
                self.assertEqual(hydraflow.harmless(data), text)
        for line, text in ((b"a\rb", b"b"), (b"a\r\r", b"a"), (b"", b""), (b"a\r  ", b"a")):
            self.assertEqual(hydraflow.last_state(line), text)


class Surveyed(unittest.TestCase):
    """What is said of a run, by its tasks' states."""

    def state(self, name: str, started: float = 0.0, ended: float = 0.0, cause: str = "", host: str = "", **fields: object) -> "hydraflow.State":
        """Return a state."""
        state = hydraflow.State(1)
        state.become(name, cause)
        state.started, state.ended = started, ended
        state.writer = hydraflow.Writer(fields.pop("path", ""), hydraflow.this_machine()._replace(host=host or hydraflow.host_name()), 1, 1.0, 0.0)
        for field, value in fields.items():
            setattr(state, field, value)
        return state

    def survey(self, states: "list", holder: str = "", count: int = 0, **fields: object) -> "hydraflow.Survey":
        """Return what is known of a run of some tasks."""
        starts = [hydraflow.Start(number, "job", count or len(states), 86400.0 * number, "h", "1", [], "", False, 2) for number in range(1, fields.pop("starts", 1) + 1)]
        ledger = mock.Mock(start=starts[-1], starts=starts, members=dict.fromkeys(range(1, len(states) + 1), 1))
        submissions = fields.pop("submissions", [])
        return hydraflow.Survey(mock.Mock(), ledger, dict(enumerate(states, 1)), submissions, "", holder, set())

    def test_where(self) -> None:
        queued = [mock.Mock(scheduler="slurm", slots=[]), mock.Mock(scheduler="pbs", slots=[]), mock.Mock(scheduler="slurm", slots=[])]
        far = [self.state("running", host=f"n{number}") for number in range(1, 6)]
        for states, holder, submissions, text in (
                ([self.state("succeeded")], "", [], ""), ([self.state("running")], "", [], "executed here"), (far[1:2], "", [], "executed on n2"), ([self.state("running", host="~n")], "", [], "executed on ~n"), ([self.state("running"), *far[:2]], "", [], "executed here, on n1, on n2"),
                (far, "", [], "executed on n1, on n2, on n3, on 2 more machines"), (far[:4], "", [], "executed on n1, on n2, on n3, on 1 more machines"), ([self.state("waiting")], f"process 7 on {hydraflow.host_name()}", [], "executed here"),
                ([self.state("waiting")], "process 7 on n9", [], "executed on n9"), ([self.state("queued")], "", queued, "queued with pbs, slurm"), ([self.state("queued"), far[0]], "", queued[:1], "executed on n1, queued with slurm"),
                (far[:3], "", [], "executed on n1, on n2, on n3"), ([self.state("running", host=f"n{number}") for number in range(1, 10)], "", [], "executed on n1, on n2, on n3, on 6 more machines")):
            with self.subTest(states=[state.name for state in states], holder=holder):
                self.assertEqual(hydraflow.where_text(self.survey(states, holder, submissions=submissions)), text)

    def test_first_line(self) -> None:
        good, bad = self.state("succeeded", 86400.0, 90000.0), self.state("failed", 86400.0, 93600.0)
        when = hydraflow.moment_text
        for states, count, starts, percent, text in (
                ([good], 0, 1, 100, f"1 of 1 task done (100%), began {when(86400.0)}, ended {when(90000.0)}"), ([good, bad], 0, 1, 50, f"1 of 2 tasks done (50%), began {when(86400.0)}, nothing executes it since {when(93600.0)}"),
                ([good, bad], 3, 2, 33, f"1 of 3 tasks done (33%), began {when(86400.0)}, gone on with {when(172800.0)}, nothing executes it since {when(172800.0)}"),
                ([self.state("succeeded", 9e5, 9e5, origin="R/1")], 0, 1, 100, f"1 of 1 task done (100%), began {when(86400.0)}, ended {when(86400.0)}"),
                ([self.state("handed"), good, bad], 0, 1, 66, f"2 of 3 tasks done (66%), began {when(86400.0)}, nothing executes it since {when(93600.0)}"),
                ([], 0, 1, 0, f"0 of 0 tasks done (0%), began {when(86400.0)}, ended {when(86400.0)}"),
                ([], 2000, 1, 0, f"0 of 2,000 tasks done (0%), began {when(86400.0)}, nothing executes it since {when(86400.0)}")):
            with self.subTest(text=text):
                found = self.survey(states, "", count, starts=starts)
                self.assertEqual(hydraflow.head_line(found), f"job: {text}")
                self.assertEqual(hydraflow.percent_done(found, hydraflow.count_good(found)), percent)

    def test_states_in_words(self) -> None:
        when = hydraflow.moment_text(86400.0)
        for state, text in (
                (self.state("running", 86400.0), f"running since {when}"), (self.state("running", 86400.0, host="n1"), f"running since {when} on n1"), (self.state("succeeded"), "succeeded"),
                (self.state("succeeded", origin="R/1"), "succeeded earlier"), (self.state("failed", status=3), "failed: exit status 3"), (self.state("failed", status=139), "failed: SIGSEGV (exit status 139)"),
                (self.state("failed", cause="timeout", status=143), "failed: time limit"), (self.state("failed", cause="missing", detail="1 of 2 runs are missing"), "failed: 1 of 2 runs are missing"),
                (self.state("running", 86400.0, cause="unreached"), f"running since {when}, its machine is not reached"), (self.state("handed", detail="to bash"), "handed to bash"), (self.state("interrupted", cause="interrupted"), "interrupted"), (self.state("interrupted", cause="killed"), "interrupted: killed"),
                (self.state("skipped", cause="blocked"), "skipped: what it waits for has failed"), (self.state("queued", detail="Priority"), "queued: Priority"), (self.state("queued"), "queued"), (self.state("not started"), "not started")):
            self.assertEqual(hydraflow.state_text(state), text)
        for name, cause, text in (  # what no exit status says
                ("interrupted", "cancelled", "cancelled"), ("interrupted", "lost", "given up: nothing was seen of it any more"), ("failed", "memory", "out of memory"), ("interrupted", "node", "node failure"),
                ("interrupted", "preempted", "preempted"), ("queued", "requeued", "requeued"), ("queued", "held", "held"), ("queued", "suspended", "suspended"), ("interrupted", "silent", "ended without a word"),
                ("interrupted", "gone", "gone from the queue"), ("interrupted", "handler", "its handler has ended"), ("skipped", "fail-fast", "another task has failed"), ("interrupted", "time", "no time left in its pack"),
                ("queued", "handler-queue", "at the handler")):
            self.assertEqual(hydraflow.state_text(self.state(name, cause=cause)), f"{name}: {text}")
        for status, text in ((0, "exit status 0"), (128, "exit status 128"), (129, "SIGHUP (exit status 129)"), (255, "exit status 255")):
            self.assertEqual(hydraflow.status_text(status), text)

    def test_lines_below(self) -> None:
        """What failed, what runs and what is queued, each at most so many."""
        states = [self.state("running", 86400.0 * number, path="events/0001_slot-1-2_x-1.jsonl" if number == 2 else "") for number in range(1, 6)]
        names = mock.Mock(name_of=None)
        names.name = lambda number: f"[{number}]"
        task = hydraflow.ArrayTask(hydraflow.SCHEDULERS["slurm"], 1, "77", 2)
        members = list(enumerate(states, 1))
        texts = [f"[{number}] running since {hydraflow.moment_text(86400.0 * number)}" + (" as 77_2" if number == 2 else "") for number in range(1, 6)]
        for most, lines in ((20, texts), (5, texts), (3, [*texts[:3], "and 2 more running"]), (1, [texts[0], "and 4 more running"])):
            self.assertEqual(list(hydraflow.running_lines(members, {1: task, 2: task}, names, most)), lines)
        queued = [(1, self.state("queued", detail="Priority")), (2, self.state("queued")), (3, self.state("queued", detail="Priority")), (4, self.state("queued", detail="Held")), (5, states[0])]
        self.assertEqual(hydraflow.grouped_queued(queued, {1: task, 3: task}), [("queued: Priority (array job 77)", [1, 3]), ("queued: Held", [4])])
        for numbers, common, text in (([1, 2], "", "[1], [2]"), ([1, 2, 3], "", "[1], [2], [3]"), ([1, 2, 3, 4], "", "[1], [2], [3], ..."), ([1, 2], "a=1", "all of them with a=1")):
            names.in_common = lambda numbers, common=common: common
            self.assertEqual(hydraflow.members_text(names, numbers), text)

    def test_logs_of_tasks(self) -> None:
        record = hydraflow.Record("x/" + "0" * 26)
        for origin, path in (("", record.log_path(7)), ("1" * 26 + "/1234", hydraflow.Record("x/" + "1" * 26).log_path(1234)), ("1" * 25 + "/3", record.log_path(7)), ("1" * 26 + "/x", record.log_path(7)),
                             ("1" * 26, record.log_path(7)), ("../" + "1" * 26 + "/3", record.log_path(7))):
            self.assertEqual(hydraflow.log_of(record, 7, self.state("succeeded", origin=origin)), path)


class Streams(EmptyFolder):
    def test_what_a_stream_is(self) -> None:
        leader, follower = os.openpty()
        self.write("file", "")
        with open(os.path.join(self.folder, "file")) as file, open(follower, "w") as terminal, open(leader, "rb"):
            for stream, descriptor, is_terminal in ((file, file.fileno(), False), (terminal, follower, True), (io.StringIO(), -1, False), (mock.Mock(**{"buffer.fileno.side_effect": OSError}), -1, False)):
                outlet = hydraflow.Outlet(stream)
                self.assertEqual((outlet.descriptor, outlet.is_terminal, outlet.is_lost), (descriptor, is_terminal, False))

    def test_what_a_stream_cannot_encode(self) -> None:
        for encoding, data in (("ascii", b"\\xe9\\udcff"), ("latin-1", b"\xe9\\udcff"), ("utf-8", b"\xc3\xa9\\udcff"), (None, b"\xc3\xa9\\udcff")):
            self.assertEqual(hydraflow.encoded(mock.Mock(encoding=encoding), "\u00e9\udcff"), data)

    def test_a_stream_of_text(self) -> None:
        stream = io.StringIO()
        hydraflow.Outlet(stream).into_text(b"a\xff\n")
        self.assertEqual(stream.getvalue(), "a\ufffd\n")


class Ends(EmptyFolder):
    def test_last_lines_of_a_log(self) -> None:
        path = os.path.join(self.folder, "log")
        for text, begin, lines in (
                ("a\nb\n\n c \n", 0, ["a", "b", " c"]), ("a\nb\nc\nd\ne\nf\n", 0, ["b", "c", "d", "e", "f"]), ("a\nb\n", 2, ["b"]), ("a\n==> attempt 2 <==\nb\n", 0, ["b"]), ("==> attempt 2 <==\nb", 0, ["b"]),
                ("a\n==> attempt 2 <==", 0, []), ("a==> attempt 2 <==\nb", 0, ["a==> attempt 2 <==", "b"]), ("\x1b[31mred\x1b[m\n 1%\r 2%\r", 0, ["red", " 2%"]), ("x" * 500 + "\n", 0, ["x" * 400]),
                ("first\n" + "y" * 8185 + "\nz\n", 0, ["rst", "y" * 400, "z"])):
            with self.subTest(text=text[:30], begin=begin):
                self.write("log", text)
                self.assertEqual(hydraflow.tail_lines(path, begin), lines)
        self.assertEqual(hydraflow.tail_lines(path + "x"), [])

    def test_what_fits_into_a_row(self) -> None:
        for text, width, fits in (("abc", 5, "abc"), ("abcdef", 5, "abcde"), ("\u6f22\u5b57x", 4, "\u6f22\u5b57"), ("\u6f22\u5b57", 3, "\u6f22"), ("\x1b[31mab\x1b[mcd", 3, "\x1b[31mab\x1b[mc"), ("a\tb", 20, "a       b"), ("", 3, ""),
                                  ("abcd\x1b[m", 2, "ab\x1b[m")):
            self.assertEqual(hydraflow.fitting(text, width), fits)
        for text, longest, short in (("abcdefghij", 10, "abcdefghij"), ("abcdefghijk", 10, "abc...ijk"), ("abcdefghijk", 9, "abc...ijk"), ("abcdefghijkl", 11, "abcd...ijkl")):
            self.assertEqual(hydraflow.shortened(text, longest), short)

    def test_words_with_less_and_less_room(self) -> None:
        """Names go first, then the middles of values; at last the middle of it all."""
        words = ["model.size=abcdefghijklmnopqrst", "opt.name=ABCDEFGHIJKLMNOPQRST"]
        for room, text in ((61, "model.size=abcdefghijklmnopqrst opt.name=ABCDEFGHIJKLMNOPQRST"), (52, "size=abcdefghijklmnopqrst name=ABCDEFGHIJKLMNOPQRST"),
                           (50, "abcdefghijklmnopqrst ABCDEFGHIJKLMNOPQRST"), (31, "abcdef...opqrst ABCDEF...OPQRST"), (19, "abc...rst ABC...RST"), (18, "abc...r...C...RST"),
                           (12, "abc.....RST"), (3, "abc...RST")):
            self.assertEqual(hydraflow.words_text(words, room), text, room)

    def test_who_wants_colours(self) -> None:
        stream = mock.Mock()
        for variables, columns, width, wants in (({"TERM": "xterm"}, 80, 80, True), ({"TERM": "dumb"}, 80, 80, False), ({"TERM": "xterm", "NO_COLOR": "1"}, 80, 80, False), ({"TERM": "xterm"}, 0, 80, True), ({"TERM": "xterm"}, None, 0, False), ({}, 80, 80, False)):
            with self.subTest(variables=variables, columns=columns), mock.patch.dict(os.environ, variables), mock.patch("os.get_terminal_size", side_effect=OSError) as size:
                for name in ("TERM", "NO_COLOR"):
                    if name not in variables:
                        os.environ.pop(name, None)
                if columns is not None:
                    size.side_effect = None
                    size.return_value = os.terminal_size((columns, 24))
                self.assertEqual((hydraflow.window_width(stream), hydraflow.has_colours(stream)), (width, wants))


if __name__ == "__main__":
    unittest.main()
