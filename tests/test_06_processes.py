"""Processes: the shell around a task, how commands are started, found, signalled and told apart."""
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest
from typing import Iterator
from unittest import mock

from support import IN_CONTAINER, EmptyFolder, Program, wait_until

import hydraflow
from hydraflow import (
    Signals,
    capture,
    environment,
    find_program,
    group_members,
    process_birth,
    spawn,
)

ENDS = (  # a command, the exit status that the shell around it records and ends with
    (["true"], 0),
    (["sh", "-c", "exit 3"], 3),
    (["sh", "-c", "exit 255"], 255),
    (["sh", "-c", "kill -TERM $$; echo still here"], 143),  # signals have their defaults again
    (["sh", "-c", "kill -INT $$; echo still here"], 130),
    (["sh", "-c", "kill -KILL $$"], 137),
    (["sh", "-c", "kill -USR1 $$; echo still here"], 138),
    (["./no-such-program"], 127),
    (["./hydraflow.py.txt"], 126),
    (["cd", "nowhere"], 127),  # no program, and no word of the shell either
)
PROGRAMS = (  # name, PATH, what is found; "" in the table stands for the folder of the test
    ("tool", "FOLDER/bin", "FOLDER/bin/tool"),
    ("tool", "/nowhere:FOLDER/bin", "FOLDER/bin/tool"),
    ("tool", "FOLDER/empty:FOLDER/bin", "FOLDER/bin/tool"),
    ("tool", "FOLDER/plain:FOLDER/bin", "FOLDER/bin/tool"),  # that one may not be executed
    ("tool", "FOLDER/plain", ""),
    ("tool", "FOLDER/directory", ""),  # of that name there is a directory
    ("tool", "/nowhere", ""),
    ("bin/tool", "/nowhere", "FOLDER/bin/tool"),
    ("./bin/tool", "/nowhere", "FOLDER/./bin/tool"),
    ("tool/", "FOLDER/bin", ""),
    ("", "FOLDER/bin", ""),
)


class Wrapper(EmptyFolder):
    """The shell around a task, executed as it is."""

    def wrapped(self, command: "list", events: str = "events", script: str = hydraflow.WRAPPER, directory: str = ".",
                **options: object) -> "subprocess.Popen":
        """Start a command as a task; it does not outlive the test."""
        room = os.path.join(self.folder, "room")
        with open(room, "w") as file:
            file.write(" " * hydraflow.ROOM)
        words = ["/bin/sh", "-c", script, "hydraflow", os.path.join(self.folder, events), room, '"task":7,"try":2,"slot":1', directory, *command]
        process = subprocess.Popen(words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True, **options)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(hydraflow.stop_group, process.pid, signal.SIGKILL)
        return process

    def events(self, name: str = "events") -> "list":
        """Return the events that were recorded."""
        return [json.loads(line) for line in self.read(name).split("\n") if line.strip()]

    def test_ends(self) -> None:
        shutil.copy(os.path.join(self.folder, "hydraflow.py"), os.path.join(self.folder, "hydraflow.py.txt"))
        os.chmod(os.path.join(self.folder, "hydraflow.py.txt"), 0o644)
        for command, status in ENDS:
            with self.subTest(command=command):
                process = self.wrapped(command)
                out = process.communicate()[0]
                self.assertEqual((process.returncode, out), (status, b""))
                start, end = self.events()[-2:]
                self.assertEqual((start["event"], start["task"], start["try"], start["slot"], start["pid"]), ("start", 7, 2, 1, process.pid))
                self.assertEqual((end["event"], end["task"], end["try"], end["status"]), ("end", 7, 2, status))
                self.assertNotIn("why", end)
                self.assertLessEqual(start["up"], end["up"])
                self.assertEqual(self.read("room").strip(), "")

    @unittest.skipUnless(hydraflow.HAS_PROC, "there is no /proc here")
    def test_who_started_when(self) -> None:
        process = self.wrapped(["sh", "-c", "read line < wait; exit 0"])
        os.mkfifo(os.path.join(self.folder, "wait"))
        wait_until(lambda: os.path.exists(os.path.join(self.folder, "events")) and self.read("events").endswith("}"))
        self.assertLessEqual(process_birth(process.pid), self.events()[0]["up"] + 0.02)
        self.assertLess(abs(hydraflow.uptime() - self.events()[0]["up"]), 30)

    def test_without_proc(self) -> None:
        """Seconds since 1970 take the place of those since the start of the machine."""
        process = self.wrapped(["true"], script=hydraflow.WRAPPER.replace("/proc/", "/nowhere/"))
        self.assertEqual((process.wait(), process.stderr.read()), (0, b""))
        start, end = self.events()
        self.assertEqual((start["pid"], end["status"]), (process.pid, 0))
        self.assertLess(abs(time.time() - end["up"]), 60)

    def test_a_signal_to_the_group_is_told(self) -> None:
        code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); print('begun', flush=True); time.sleep(99)"
        for number, why, status in ((signal.SIGTERM, "interrupted", 143), (signal.SIGHUP, "interrupted", 129), (signal.SIGINT, "interrupted", 130),
                                    (signal.SIGUSR1, None, 138), (signal.SIGUSR2, None, 140)):
            with self.subTest(signal=number):
                process = self.wrapped([sys.executable, "-c", code])
                process.stdout.readline()
                os.killpg(process.pid, number)
                self.assertEqual(process.wait(), 143 if why else status)  # who waits for it is to look why
                end = self.events()[-1]
                self.assertEqual((end["event"], end["status"], end.get("why")), ("end", status, why))

    def test_what_was_asked_to_stop_and_ends_as_it_likes(self) -> None:
        for ending in ("exit 0", "exit 3"):
            process = self.wrapped(["sh", "-c", f"trap '{ending}' TERM; echo begun; while :; do sleep 0.05; done"])
            process.stdout.readline()
            os.killpg(process.pid, signal.SIGTERM)
            self.assertEqual(process.wait(), 143)
            end = self.events()[-1]
            self.assertEqual((end["status"], end["why"]), (int(ending[-1]), "interrupted"))

    def test_what_was_asked_to_stop_before_it_began(self) -> None:
        """The command, which would not have heard of it, is not executed."""
        for number, place in (*itertools.product(("HUP", "INT", "QUIT", "TERM"), ("exec </dev/null",)), ("TERM", "command exec 3>>"), ("TERM", "HYDRAFLOW_EVENTS=")):
            with self.subTest(signal=number, place=place):
                script = hydraflow.WRAPPER.replace(place, f"kill -s {number} $$; {place}")
                self.assertEqual(self.wrapped(["touch", "executed"], script=script).wait(), 143)
                self.assertFalse(os.path.exists(os.path.join(self.folder, "executed")))
                start, end = self.events()[-2:]
                self.assertEqual((start["event"], end["event"], end["status"], end["why"]), ("start", "end", 143, "interrupted"))

    def test_what_a_task_inherits(self) -> None:
        """Nothing to read, no descriptor of ours, output unbuffered unless the user wants it otherwise; words as they are."""
        code = "import os, sys; print(sys.stdin.read(), [n for n in range(3, 20) if os.path.exists('/dev/fd/%d' % n)], sys.argv[1:])"
        process = self.wrapped([sys.executable, "-c", code, "a b", "", "$HOME", "*", "'"])
        out, err = process.communicate()
        self.assertEqual((out.decode(), err), (" [] ['a b', '', '$HOME', '*', \"'\"]\n", b""))
        for value, shown in ((None, b"1\n"), ("0", b"0\n"), ("", b"\n")):
            env = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
            process = self.wrapped(["sh", "-c", "echo $PYTHONUNBUFFERED"], env={**env, **({} if value is None else {"PYTHONUNBUFFERED": value})})
            self.assertEqual(process.communicate()[0], shown)

    def test_the_directory_of_a_task(self) -> None:
        """It is where the links lead to; nothing is executed where it is not there, nor said to have begun."""
        os.makedirs(os.path.join(self.folder, "real", "sub"))
        os.symlink("real/sub", os.path.join(self.folder, "link"))
        here = os.path.realpath(self.folder)
        for directory, place in ((".", here), ("./link", f"{here}/real/sub"), ("./link/..", f"{here}/real"), (f"{here}/real", f"{here}/real")):
            with self.subTest(directory=directory):
                process = self.wrapped(["sh", "-c", "/bin/pwd; pwd"], directory=directory, env={**os.environ, "CDPATH": "real:/"})
                self.assertEqual(process.communicate()[0].decode().split(), [place, place])
        process = self.wrapped(["touch", "../executed"], directory="./nowhere", events="none")
        self.assertEqual(process.wait(), 125)
        self.assertEqual([name for name in ("executed", "none") if os.path.exists(os.path.join(self.folder, name))], [])

    def test_errors_of_a_task_are_its_own(self) -> None:
        process = self.wrapped(["sh", "-c", "echo out; echo err >&2"])
        self.assertEqual(process.communicate(), (b"out\n", b"err\n"))

    def test_a_start_that_cannot_be_recorded_is_none(self) -> None:
        process = self.wrapped(["touch", "executed"], events="nowhere/events")
        self.assertEqual(process.wait(), 125)
        os.symlink("/dev/full", os.path.join(self.folder, "full"))
        process = self.wrapped(["touch", "executed"], events="full")
        self.assertEqual(process.wait(), 125)
        self.assertIn('{"task":7,"try":2,"slot":1,"event":"unstarted"}', self.read("room"))
        self.assertFalse(os.path.exists(os.path.join(self.folder, "executed")))

    def test_an_end_without_space_goes_into_the_room(self) -> None:
        """The file of events fails behind the start, as on a disk that has become full."""
        script = hydraflow.WRAPPER.replace("status=$?", "status=$?; exec 3>/dev/full")
        process = self.wrapped(["sh", "-c", "exit 5"], script=script)
        self.assertEqual(process.wait(), 5)
        end = json.loads(self.read("room"))
        self.assertEqual((end["task"], end["event"], end["status"]), (7, "end", 5))


class Starting(EmptyFolder):
    def test_capture(self) -> None:
        self.assertEqual(capture(["sh", "-c", "echo out; echo err >&2; exit 3"], environment({}), 20.0), (3, "out\n", "err\n"))
        self.assertEqual(capture(["printf", "\\377"], environment({}), 20.0), (0, "\ufffd", ""))
        self.assertEqual(capture(["sh", "-c", "printf '\\377' >&2"], environment({}), 20.0), (0, "", "\ufffd"))
        self.assertEqual(capture(["sh", "-c", "kill -9 $$"], environment({}), 20.0)[0], -9)
        status, out, errors = capture(["/no/such/program"], environment({}), 20.0)
        self.assertEqual((status, out, errors), (127, "", "No such file or directory"))
        self.assertEqual(capture(["sh", "-c", "echo $X $0", "ü"], environment({"X": "é"}), 20.0)[1], "é ü\n")

    def test_capture_ends_what_takes_too_long(self) -> None:
        """With all that it has started."""
        pid = os.path.join(self.folder, "pid")
        begun = time.monotonic()
        status, out, errors = capture(["sh", "-c", f"sleep 99 & echo $! > {pid}; echo out; wait"], environment({}), 1.0)
        self.assertLess(time.monotonic() - begun, 50)
        self.assertEqual((status, out, errors), (124, "", "no answer for 1 seconds"))
        wait_until(lambda: process_birth(int(self.read("pid"))) < 0)

    def test_find_program(self) -> None:
        for folder in ("bin", "plain", "empty", "directory/tool"):
            os.makedirs(os.path.join(self.folder, folder))
        for folder, mode in (("bin", 0o755), ("plain", 0o644)):
            self.write(f"{folder}/tool", "#!/bin/sh\n")
            os.chmod(os.path.join(self.folder, folder, "tool"), mode)
        for name, path, found in PROGRAMS:
            with self.subTest(name=name, path=path):
                path, found = (text.replace("FOLDER", self.folder) for text in (path, found))
                self.assertEqual(find_program(name, self.folder, {"PATH": path}), found)

    def test_environment(self) -> None:
        with mock.patch.dict(os.environ, {"KEPT": "1", "CHANGED": "1"}):
            found = environment({"CHANGED": "é", "NEW": "x"})
        self.assertEqual([found[name] for name in (b"KEPT", b"CHANGED", b"NEW")], [b"1", "é".encode(), b"x"])
        with mock.patch.dict(os.environ, {"A.B": "x y", "BASH_FUNC_f%%": "() { :; }", "PLAIN_1": "z", "1A": "", "_": "", "é": "1"}, clear=True):
            self.assertEqual(sorted(hydraflow.lost_in_shell()), ["1A=", "A.B=x y", "BASH_FUNC_f%%=() { :; }", "é=1"])

    def test_sessions(self) -> None:
        """A process leads its group, in a session of its own, as usual, or in ours."""
        for is_session, options in ((True, {"is_session": True}), (False, {"is_session": False}), (True, {})):
            process = spawn(["sleep", "99"], subprocess.DEVNULL, None, environment({}), **options)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            self.assertEqual(os.getpgid(process.pid), process.pid)
            self.assertEqual(os.getsid(process.pid), process.pid if is_session else os.getsid(0))

    def shell(self, script: str, entry: int = hydraflow.NOTHING, is_session: bool = True) -> "hydraflow.Child":
        """Start a shell as that of a task, with the file log for its output; it does not outlive the test."""
        with open(os.path.join(self.folder, "log"), "wb") as log:
            child = hydraflow.spawn_shell(["/bin/sh", "-c", script, "ü"], log, environment({"MARK": "é"}), entry, is_session, hydraflow.inherited())
        self.addCleanup(lambda: hydraflow.is_group(child.pid) and hydraflow.stop_group(child.pid, signal.SIGKILL))
        return child

    def said(self, child: "hydraflow.Child") -> "tuple":
        """Wait for the end of a shell; return its status and its output."""
        wait_until(lambda: child.poll() is not None)
        return child.poll(), self.read("log")

    def ways(self) -> "Iterator[None]":
        """Yield once for each way in which a shell may be started: by Python itself, or by subprocess."""
        yield
        with mock.patch.object(hydraflow, "HAS_PROC", False):
            yield
        if hasattr(os, "posix_spawn"):  # since Python 3.8
            with mock.patch.object(os, "posix_spawn", side_effect=NotImplementedError):
                yield

    def test_the_shell_of_a_task(self) -> None:
        """It has its words, variables, output and input, is the leader of its group, and its end is told, however it is started."""
        reader, writer = os.pipe()
        for end in (reader, writer):
            self.addCleanup(os.close, end)
        os.write(writer, b"one\ntwo\n")
        for _ in self.ways():
            self.assertEqual(self.said(self.shell("echo $0 $MARK; echo error >&2; cat; exit 3")), (3, "ü é\nerror\n"))
            self.assertEqual(self.said(self.shell("kill -9 $$"))[0], -9)
            self.assertEqual(self.said(self.shell("true"))[0], 0)
            self.assertEqual(self.shell("sleep 0.2; exit 4").wait(), 4)
            for is_session in (True, False):
                child = self.shell("ps -o pgid= -o sess= -p $$; exec sleep 99", is_session=is_session)
                wait_until(lambda: "\n" in self.read("log"))
                self.assertEqual(self.read("log").split(), [str(child.pid), str(child.pid if is_session else os.getsid(0))])
                self.assertIsNone(child.poll())
                os.kill(child.pid, signal.SIGTERM)
                self.assertEqual(self.said(child)[0], -signal.SIGTERM)
                self.assertEqual(child.poll(), -signal.SIGTERM)
        self.assertEqual(self.said(self.shell("read line; echo $line", entry=reader)), (0, "one\n"))

    @unittest.skipUnless(hydraflow.HAS_PROC and hasattr(os, "posix_spawn"), "this Python or system starts a shell by subprocess alone")
    def test_how_the_shell_of_a_task_is_started(self) -> None:
        """By Python itself, unless what it is to have as its input or output has a number of those."""
        for output, entry, is_usual in ((5, hydraflow.NOTHING, True), (3, 4, True), (2, hydraflow.NOTHING, False), (1, 5, False), (5, 0, False), (5, 1, False), (5, 2, False), (5, 3, True)):
            log = mock.Mock(**{"fileno.return_value": output})
            with self.subTest(output=output, entry=entry), mock.patch.object(os, "posix_spawn", return_value=7) as spawned, mock.patch.object(hydraflow, "spawn", return_value="by subprocess"):
                found = hydraflow.spawn_shell(["sh"], log, {}, entry, True, [])
            self.assertEqual((isinstance(found, hydraflow.Child), spawned.call_count), (is_usual, int(is_usual)))

    def test_what_our_parent_left_to_us(self) -> None:
        """Each descriptor that a program would have, but the usual three; what can't be asked of is that of the list itself."""
        def is_inheritable(number: int) -> bool:
            if number == 9:
                raise OSError
            return number != 5

        with mock.patch.multiple(os, listdir=mock.Mock(return_value=list("0123459")), get_inheritable=is_inheritable):
            for has_proc, found in ((True, [3, 4]), (False, [])):
                with mock.patch.object(hydraflow, "HAS_PROC", has_proc):
                    self.assertEqual(hydraflow.inherited(), found)

    def test_what_the_shell_of_a_task_has_from_us(self) -> None:
        """No descriptor that our parent left open, and no signal ignored but those that our parent has."""
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        child = self.shell(f"sleep 99 & kill -0 $! && (echo x >&{writer}) 2>/dev/null; grep SigIgn /proc/$$/status; kill $!")
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b"")  # at its end at once, whoever still runs
        os.close(reader)
        ignored = int(self.said(child)[1].split()[1], 16) if hydraflow.HAS_PROC else 0
        self.assertEqual(ignored & sum(1 << (number - 1) for number in (signal.SIGPIPE, signal.SIGXFSZ)), 0)

    def test_where_the_usual_three_are_closed(self) -> None:
        """The log, or what the shell reads, may then be one of them."""
        self.write("in", "given\n")
        code = ("import hydraflow, os, sys\nkind, number = sys.argv[1], int(sys.argv[2])\n"
                "opened = os.open('log' if kind == 'log' else 'in', os.O_RDWR | os.O_CREAT)\nos.dup2(opened, number)\n"
                "log = open(number if kind == 'log' else 'log', 'wb', 0)\nentry = number if kind == 'entry' else -1\n"
                "child = hydraflow.spawn_shell(['/bin/sh', '-c', 'echo out; echo err >&2; cat'], log, dict(os.environb), entry, True, [])\n"
                "while child.poll() is None: pass\nos._exit(child.poll())")
        for kind, end in (("log", ""), ("entry", "given\n")):
            for number in range(4):
                with self.subTest(kind=kind, number=number):
                    self.assertEqual(subprocess.call([sys.executable, "-c", code, kind, str(number)], cwd=self.folder), 0)
                    self.assertEqual(self.read("log"), "out\nerr\n" + end)
                    os.remove(os.path.join(self.folder, "log"))

    def test_what_somebody_else_has_heard_of(self) -> None:
        child = self.shell("exit 3")
        os.waitpid(child.pid, 0)
        self.assertEqual((child.poll(), child.poll()), (0, 0) if isinstance(child, hydraflow.Child) else (child.poll(),) * 2)

    def test_a_directory_to_work_in(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.write("file", "")
        for name, error in (("nowhere", FileNotFoundError), ("file", NotADirectoryError), ("-", FileNotFoundError)):
            with self.assertRaises(error) as caught:
                hydraflow.check_directory(name)
            self.assertEqual(caught.exception.filename, name)
        for name in (".", self.folder, "/"):
            hydraflow.check_directory(name)

    def test_signals_to_what_is_not_there(self) -> None:
        process = spawn(["true"], subprocess.DEVNULL, None, environment({}))
        process.wait()
        for function in (hydraflow.stop_group, hydraflow.stop_process):
            self.assertFalse(function(process.pid, signal.SIGTERM))
        self.assertEqual((hydraflow.is_group(process.pid), hydraflow.is_process(process.pid)), (False, False))
        self.assertEqual((hydraflow.is_group(os.getpgrp()), hydraflow.is_process(os.getpid())), (True, True))


class Remains(Program):
    """In a container, the first process may hear of no orphan's end, which stays as a zombie."""

    def test_who_lives_in_a_group(self) -> None:
        for has_proc, is_group, members, lives in ((True, True, [5], True), (True, True, [], False), (False, True, [], True), (False, False, [], False)):
            with mock.patch.multiple(hydraflow, HAS_PROC=has_proc, is_group=mock.Mock(return_value=is_group), group_members=mock.Mock(return_value=members)):
                self.assertEqual(hydraflow.is_group_alive(77), lives)

    @unittest.skipUnless(IN_CONTAINER, "no namespace of process numbers can be made here")
    def test_an_interrupt_does_not_wait_for_remains(self) -> None:
        self.job("run: sh -c 'sleep 99 & touch begun; wait'")
        process = subprocess.Popen([*IN_CONTAINER, sys.executable, "-m", "hydraflow", "run", "job"], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env={**os.environ, "HYDRAFLOW_GRACE": "600"})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_until(lambda: os.path.exists(os.path.join(self.folder, "begun")))
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            os.kill(int(file.read().split()[0]), signal.SIGTERM)
        self.assertEqual(process.wait(60), 130)
        self.assertEqual(self.states(), ["interrupted"])


class Guarding(EmptyFolder):
    """What kills processes once who watches over them is gone, however that ended."""

    def test_what_a_guard_kills(self) -> None:
        """The groups that it was told of last; none where it was left before."""
        code = ("import os, signal, sys\nimport hydraflow\nguard = hydraflow.Guard()\nlog = open('log', 'wb')\n"
                "pids = [hydraflow.spawn_shell(['/bin/sh', '-c', 'sleep 99; :'], log, dict(os.environb), -1, True, []).pid for _ in range(3)]\n"
                "guard.watch(pids[:2])\nguard.watch(pids[1:])\nprint(*pids, flush=True)\n"
                "if sys.argv[1] == 'leave': guard.watch([]); guard.leave()\nos.killpg(0, signal.SIGKILL)")
        for word, killed in (("die", 2), ("leave", 0)):
            out = subprocess.run([sys.executable, "-c", code, word], cwd=self.folder, stdout=subprocess.PIPE, start_new_session=True).stdout
            pids = [int(pid) for pid in out.split()]
            for pid in pids:
                self.addCleanup(hydraflow.stop_group, pid, signal.SIGKILL)
            wait_until(lambda pids=pids, killed=killed: not any(map(hydraflow.is_process, pids[3 - killed:])))
            self.assertTrue(all(map(hydraflow.is_process, pids[:3 - killed])), word)


class Looking(EmptyFolder):
    """What tells processes apart."""

    def sleeper(self, *words: str) -> "subprocess.Popen":
        """Start something that goes on; it does not outlive the test."""
        process = spawn(words or ["sleep", "99"], subprocess.DEVNULL, None, environment({"MARK": "of this test"}))
        self.addCleanup(process.wait)
        self.addCleanup(hydraflow.stop_group, process.pid, signal.SIGKILL)
        return process

    def test_birth(self) -> None:
        first = self.sleeper()
        time.sleep(0.05)
        second = self.sleeper()
        births = [process_birth(process.pid) for process in (first, second)]
        self.assertTrue(0 < births[0] < births[1], births)
        self.assertEqual([process_birth(process.pid) for process in (first, second)], births)
        self.assertTrue(births[1] <= hydraflow.uptime() + 0.02 or not hydraflow.HAS_PROC, births)
        self.assertLess(process_birth(1 << 30), 0)
        first.kill()
        wait_until(lambda: process_birth(first.pid) < 0)  # nobody has waited for it: its remains are no process
        self.assertTrue(hydraflow.is_process(first.pid))

    @unittest.skipUnless(hydraflow.HAS_PROC, "there is no /proc here")
    def test_a_name_that_looks_like_the_rest_of_the_line(self) -> None:
        name = os.path.join(self.folder, "x) Z 1 (")
        shutil.copy(shutil.which("sleep"), name)
        process = self.sleeper(name, "99")
        self.assertGreater(process_birth(process.pid), 0)
        leader = self.sleeper("sh", "-c", '"$0" 99 & wait', name)
        wait_until(lambda: len(group_members(leader.pid)) == 1)

    def test_members_of_a_group(self) -> None:
        leader = self.sleeper("sh", "-c", "sleep 98 & sleep 99 & wait")
        if not hydraflow.HAS_PROC:
            self.assertEqual(group_members(leader.pid), [])
            return
        wait_until(lambda: len(group_members(leader.pid)) == 2)
        self.assertNotIn(leader.pid, group_members(leader.pid))
        members = group_members(leader.pid)
        os.kill(members[0], signal.SIGKILL)
        wait_until(lambda: group_members(leader.pid) == members[1:])
        leader.kill()
        leader.wait()
        self.assertEqual(group_members(leader.pid), members[1:])  # also when its leader has gone
        hydraflow.stop_group(leader.pid, signal.SIGKILL)
        wait_until(lambda: group_members(leader.pid) == [])

    @unittest.skipUnless(hydraflow.HAS_PROC, "there is no /proc here")
    def test_a_group_is_no_session(self) -> None:
        """What has made a group of its own is no member any more, as what a shell with job control begins."""
        path = os.path.join(self.folder, "other")
        leader = self.sleeper(sys.executable, "-c", "import os, subprocess, sys, time; subprocess.Popen(['sleep', '98']); other = subprocess.Popen(['sleep', '99'], preexec_fn=os.setpgrp); "
                                                    "open(sys.argv[1], 'w').write('%d\\n' % other.pid); time.sleep(99)", path)
        wait_until(lambda: os.path.exists(path) and self.read("other").endswith("\n"))
        other = int(self.read("other"))
        self.addCleanup(os.kill, other, signal.SIGKILL)
        members = group_members(leader.pid)
        self.assertEqual((len(members), other in members), (1, False))

    def test_what_a_process_was_started_with(self) -> None:
        process = self.sleeper("sh", "-c", "sleep 99; :", "a word")
        text = wait_until(lambda: b"a word" in hydraflow.process_text(process.pid) and hydraflow.process_text(process.pid))
        if hydraflow.HAS_PROC:
            self.assertIn(b"MARK=of this test\0", text)
        self.assertNotIn(b"of this test", hydraflow.process_text(1 << 30))

    @unittest.skipUnless(shutil.which("ps"), "not installed: ps")
    def test_where_there_is_no_proc(self) -> None:
        process = self.sleeper("sh", "-c", "sleep 99; :", "a word")
        with mock.patch.object(hydraflow, "HAS_PROC", False):
            self.assertTrue(hydraflow.uptime() - 30 < process_birth(process.pid) <= hydraflow.uptime(), hydraflow.uptime())
            self.assertEqual(process_birth(1 << 30), -1.0)
            ended = self.sleeper("true")
            wait_until(lambda: process_birth(ended.pid) < 0)  # nobody has waited for it
            for age, seconds in (("00:07", 7), ("01:02:03", 3723), ("2-00:00:01", 172801), ("1-02:03:04", 93784), ("01:05:07", 3907), ("1-23:59:59", 172799),
                                 ("213503982334601-07:00:15", 0)):  # what procps tells of an age just below zero
                with mock.patch.object(hydraflow, "capture", return_value=(0, f"Ss {age}\n", "")), \
                        mock.patch.object(hydraflow, "uptime", return_value=200000.0):
                    self.assertEqual(process_birth(process.pid), 200000.0 - seconds - 2)
            self.assertIn(b"a word", hydraflow.process_text(process.pid))
            self.assertEqual(group_members(process.pid), [])
            with mock.patch.dict(os.environ, {"PATH": self.folder}):  # without ps, that it is there is all that is known
                self.assertEqual((process_birth(process.pid), process_birth(1 << 30)), (0.0, -1.0))

    def test_what_ps_tells_of_an_age(self) -> None:
        """[[DAYS-]HOURS:]MINUTES:SECONDS, at most two seconds too early; an age beyond that of the machine is none."""
        for exists, status, out, birth in ((False, 0, "S 00:10", -1.0), (True, 0, "S 00:10", 999988.0), (True, 0, "Ss+   01:02\n", 999936.0), (True, 0, "R 1:00:00", 996398.0), (True, 0, "R 2-03:04:05", 816153.0), (True, 0, "Z 00:10", -1.0),
                                           (True, 0, "", -1.0), (True, 1, "", -1.0), (True, 0, "S", -1.0), (True, 0, "S 1 2", -1.0), (True, 127, "", 0.0), (True, 0, "S 00:00", 999998.0), (True, 0, "S 99-00:00:00", 999998.0)):
            with self.subTest(out=out, status=status), mock.patch.multiple(
                    hydraflow, is_process=mock.Mock(return_value=exists), capture=mock.Mock(return_value=(status, out, "")), uptime=mock.Mock(return_value=1000000.0)):
                self.assertEqual(hydraflow.birth_by_ps(7), birth)

    def test_how_a_child_ended(self) -> None:
        """Its exit status, below 0 for a signal, None while it runs; it is asked until it has ended, and no more."""
        for answers, statuses in (([(0, 0), (7, 3 << 8)], [None, 3, 3]), ([(7, 0)], [0, 0]), ([(7, 9)], [-9, -9]), ([(7, 15 | 128)], [-15]), ([ChildProcessError()], [0, 0]), ([(7, 255 << 8)], [255])):
            child = hydraflow.Child(7)
            with self.subTest(answers=answers), mock.patch("os.waitpid", side_effect=answers) as waitpid:
                self.assertEqual([child.poll() for _ in statuses], statuses)
            self.assertEqual([call[0] for call in waitpid.call_args_list], [(7, os.WNOHANG)] * len(answers))
        child = hydraflow.Child(7)
        with mock.patch("os.waitpid", return_value=(7, 0)) as waitpid:
            self.assertEqual((child.wait(), waitpid.call_args[0]), (0, (7, 0)))

    def test_what_is_hidden(self) -> None:
        """What is there although /proc, mounted with hidepid, does not show it."""
        for has_proc, is_shown, exists, is_hidden in ((True, False, True, True), (True, True, True, False), (True, False, False, False), (False, False, True, False)):
            with mock.patch.multiple(hydraflow, HAS_PROC=has_proc, is_process=mock.Mock(return_value=exists)), mock.patch("os.access", return_value=is_shown):
                self.assertEqual(hydraflow.is_hidden(7), is_hidden)

    def test_this_machine(self) -> None:
        here = hydraflow.this_machine()
        self.assertEqual(here.host, os.uname().nodename)
        self.assertIs(hydraflow.this_machine(), here, "it is looked at once")
        self.assertLessEqual(hydraflow.uptime(), hydraflow.uptime())
        self.assertEqual(hydraflow.first_line(os.path.join(self.folder, "nowhere")), "")
        self.write("lines", "one \ntwo\n")
        self.assertEqual(hydraflow.first_line(os.path.join(self.folder, "lines")), "one")
        with open(os.path.join(self.folder, "odd"), "wb") as file:
            file.write(b"\xffx\n")
        self.assertEqual(hydraflow.first_line(os.path.join(self.folder, "odd")), "\ufffdx")
        self.write("long", "x" * 300)
        self.assertEqual(hydraflow.first_line(os.path.join(self.folder, "long")), "x" * 256)


class Waiting(unittest.TestCase):
    """Signals that are noted while a loop sleeps."""

    def later(self, seconds: float, number: int) -> None:
        """Send a signal to this process after a while."""
        timer = threading.Timer(seconds, os.kill, (os.getpid(), number))
        timer.start()
        self.addCleanup(timer.join)
        self.addCleanup(timer.cancel)

    def test_a_signal_wakes_up_and_is_noted(self) -> None:
        for method in ("wait", "pause"):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGQUIT):
                with self.subTest(method=method, signal=number), Signals() as signals:
                    self.later(0.1, number)
                    begun = time.monotonic()
                    getattr(signals, method)(50.0)
                    self.assertLess(time.monotonic() - begun, 25.0)
                    self.assertEqual(signals.numbers, [number])

    def test_a_child_that_ends_wakes_up_who_waits_and_nobody_who_pauses(self) -> None:
        with Signals() as signals:
            process = spawn(["sh", "-c", "sleep 0.1"], subprocess.DEVNULL, None, environment({}))
            begun = time.monotonic()
            signals.wait(50.0)
            self.assertLess(time.monotonic() - begun, 25.0)
            process.wait()
            begun = time.monotonic()
            signals.wait(0.2)  # what woke it once does not do so again
            self.assertGreaterEqual(time.monotonic() - begun, 0.19)
            process = spawn(["sh", "-c", "sleep 0.1"], subprocess.DEVNULL, None, environment({}))
            begun = time.monotonic()
            signals.pause(0.6)
            self.assertGreaterEqual(time.monotonic() - begun, 0.6)
            process.wait()
            self.assertEqual(signals.numbers, [])

    def test_ends_of_children_are_heard_of(self) -> None:
        """Also where our parent ignores them; then the system would keep nothing of an end."""
        self.addCleanup(signal.signal, signal.SIGCHLD, signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        with Signals() as signals:
            self.assertEqual(signal.getsignal(signal.SIGCHLD), signals.note)
            child = subprocess.Popen(["sh", "-c", "exit 3"])
            signals.wait(60.0)
            self.assertEqual(child.wait(), 3)
        self.assertEqual(signal.getsignal(signal.SIGCHLD), signal.SIG_IGN)

    def test_a_pause_lasts_as_long_as_it_is_to(self) -> None:
        """Whatever wakes it up: it waits for the rest of its time each time."""
        clock, waits = [100.0], []

        def wait(signals: Signals, seconds: float) -> None:
            waits.append(seconds)
            clock[0] += 1.0

        with mock.patch.object(Signals, "wait", wait), mock.patch("time.monotonic", lambda: clock[0]), Signals() as signals:
            signals.pause(2.5)
        self.assertEqual(waits, [2.5, 1.5, 0.5])

    def test_time_passes(self) -> None:
        with Signals() as signals:
            for seconds in (0.0, -1.0, 0.1):
                begun = time.monotonic()
                signals.wait(seconds)
                self.assertGreaterEqual(time.monotonic() - begun, max(seconds, 0.0) - 0.01)

    def test_handlers_are_put_back_and_what_is_ignored_stays_so(self) -> None:
        noted = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD]
        before = {number: signal.getsignal(number) for number in noted}
        self.addCleanup(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_IGN))
        with Signals() as signals:
            self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)
            self.assertEqual([signal.getsignal(number) for number in noted], [signals.note] * len(noted))
        self.assertEqual({number: signal.getsignal(number) for number in before}, before)
        self.assertEqual(signal.set_wakeup_fd(-1), -1)

    def test_in_another_thread(self) -> None:
        """Where no signal can be had, a wait is short."""
        took = []

        def wait() -> None:
            with Signals() as signals:
                with mock.patch("select.select", return_value=([], [], [])) as asked:
                    for seconds in (60.0, 0.001):
                        signals.wait(seconds)
                took.extend(call[0][3] for call in asked.call_args_list)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
        self.assertEqual(took, [0.02, 0.001])


if __name__ == "__main__":
    unittest.main()
