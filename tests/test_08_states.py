"""States: what the events of a task amount to, in whatever order they are read, and who still lives."""
import os
import random
import shutil
import signal
import subprocess
import sys
import unittest
from itertools import permutations
from unittest import mock

from support import EmptyFolder, wait_until

import hydraflow
from hydraflow import (
    Machine,
    Record,
    State,
    Told,
    Writer,
    append_event,
    outcome,
    process_birth,
    read_told,
    this_machine,
)

OUTCOMES = (  # exit status, why it was asked to stop -> state, cause
    (0, "", "succeeded", ""),
    (1, "", "failed", ""),
    (143, "", "failed", ""),
    (0, "interrupted", "interrupted", "interrupted"),  # what was asked to stop has not succeeded
    (143, "interrupted", "interrupted", "interrupted"),
    (0, "timeout", "failed", "timeout"),
    (137, "timeout", "failed", "timeout"),
)
WRITER = Writer("/record/events/w.jsonl", Machine("elsewhere", "id", "boot", "pid:[1]"), 1, 1, 100.0)


def event(kind: str, attempt: int = 1, **values: object) -> "dict":
    """Return an event of task 7."""
    return {"task": 7, "try": attempt, "event": kind, **values}


START, END, BAD = event("start", pid=5, slot=2, up=1.0), event("end", status=0, up=3.0), event("end", status=3, up=4.0)
ASK, LATE, LOST = event("ask", why="interrupted", up=2.0), event("ask", why="interrupted", up=9.0), event("lost", why="killed")
FOLDS = (  # events in the order of one file -> state, cause, exit status, attempts
    ((), "", "", 0, 0),
    ((START,), "running", "", 0, 1),
    ((START, END), "succeeded", "", 0, 1),
    ((START, BAD), "failed", "", 3, 1),
    ((START, END, BAD), "succeeded", "", 0, 1),  # an end that was told is final
    ((START, BAD, END), "failed", "", 3, 1),
    ((START, END, START), "succeeded", "", 0, 1),
    ((START, END, LATE), "succeeded", "", 0, 1),  # it had ended
    ((START, BAD, LATE), "failed", "", 3, 1),
    ((START, END, ASK), "interrupted", "interrupted", 0, 1),  # in another file, which is read later
    ((START, BAD, ASK), "interrupted", "interrupted", 3, 1),
    ((START, END, event("ask", up=3.0)), "interrupted", "interrupted", 0, 1),  # at the same moment, or what a file has for it
    ((START, END, event("ask", up=3.009)), "interrupted", "interrupted", 0, 1),
    ((START, END, event("ask", up=3.02)), "succeeded", "", 0, 1),
    ((START, event("ask", why="timeout", up=1.5), END, ASK), "failed", "timeout", 0, 1),
    ((START, END, LOST), "succeeded", "", 0, 1),
    ((START, ASK, END), "interrupted", "interrupted", 0, 1),  # asked, and exit status 0: no success
    ((START, ASK, BAD), "interrupted", "interrupted", 3, 1),
    ((START, event("ask", why="timeout"), END), "failed", "timeout", 0, 1),
    ((START, event("end", status=143, why="interrupted", up=2.0)), "interrupted", "interrupted", 143, 1),
    ((START, LOST), "interrupted", "killed", 0, 1),
    ((START, event("lost", why="lost")), "interrupted", "lost", 0, 1),
    ((START, LOST, END), "succeeded", "", 0, 1),  # it was not
    ((START, END, event("missing", missing=1, runs=2)), "failed", "missing", 0, 1),
    ((START, BAD, event("missing", missing=1, runs=2)), "failed", "", 3, 1),
    ((event("skipped", why="blocked"),), "skipped", "blocked", 0, 0),
    ((event("skipped", why="blocked"), START, END), "succeeded", "", 0, 1),
    ((event("end", status=126, detail="cannot be started: x", up=1.0),), "failed", "", 126, 0),
    ((event("reused", 0, began=1.0, ended=2.0, **{"from": "ULID/3"}),), "succeeded", "", 0, 0),
    ((START, BAD, event("start", 2, pid=8, up=5.0)), "running", "", 0, 2),  # a higher attempt begins anew
    ((START, BAD, event("start", 2, up=5.0), event("end", 2, status=0, up=6.0)), "succeeded", "", 0, 2),
    ((START, END, event("start", 2, up=5.0)), "running", "", 0, 2),
    ((START, ASK, event("start", 2, up=5.0), event("end", 2, status=0, up=6.0)), "succeeded", "", 0, 2),
    ((event("start", 2, up=5.0), event("end", 2, status=0, up=6.0), START, BAD), "succeeded", "", 0, 2),  # of a lower one counts only that it began
    ((event("frobnicate"),), "waiting", "", 0, 0),
)


def folded(events: "list", writer: Writer = WRITER) -> "State":
    """Return the state of task 7 by its events."""
    told = Told()
    for one in events:
        told.add(one, writer)
    return told.states.get(7) or State()


class Folding(EmptyFolder):
    def test_outcomes(self) -> None:
        for status, asked, name, cause in OUTCOMES:
            with self.subTest(status=status, asked=asked):
                self.assertEqual(outcome(status, asked), (name, cause))

    def test_events_of_one_file(self) -> None:
        for events, name, cause, status, attempts in FOLDS:
            with self.subTest(events=events):
                state = folded(list(events))
                self.assertEqual((state.name, state.cause, state.status, state.attempts), (name or "waiting", cause, status, attempts))

    def test_a_task_that_nobody_has_begun(self) -> None:
        self.assertEqual(hydraflow.NOBODY, hydraflow.read_writer({}, ""))
        values = {name: getattr(State(), name) for name in State.__slots__}
        self.assertEqual(values, {"name": "waiting", "cause": "", "detail": "", "attempt": 0, "attempts": 0, "status": 0, "started": 0.0, "ended": 0.0, "asked": "", "origin": "", "writer": hydraflow.NOBODY, "pid": 0, "up": 0.0, "slot": -1})

    def test_what_an_event_does_not_say(self) -> None:
        """It means as much as nothing that is said."""
        early = event("end", status=0, up=0.5)
        for kind, values in (("start", {"pid": 0, "up": 0.0, "slot": -1}), ("end", {"status": 1, "up": 0.0, "why": "", "detail": ""}), ("ask", {"why": "interrupted", "up": 0.0}), ("lost", {"why": "killed"}),
                             ("reused", {"began": 0.0, "ended": 0.0, "from": ""}), ("missing", {"missing": 0, "runs": 0}), ("skipped", {"why": "blocked"})):
            for before in ((), (START,), (START, early)):
                whole, bare = (folded([*before, one]) for one in (event(kind, **values), event(kind)))
                with self.subTest(kind=kind, before=len(before)):
                    self.assertEqual(*({name: getattr(state, name) for name in State.__slots__} for state in (whole, bare)))
        told = Told()
        told.add({"event": "handler", "submission": 3}, WRITER)
        told.add({"event": "start", "task": 7}, WRITER)
        self.assertEqual((tuple(told.handlers[3]), told.states[7].attempt), ((WRITER.machine, 0, 0.0), 0))

    def test_what_a_start_and_an_end_say(self) -> None:
        state = folded([START, END])
        self.assertEqual((state.started, state.ended, state.pid, state.up, state.slot, state.writer), (101.0, 103.0, 5, 1.0, 2, WRITER))
        state = folded([event("reused", 0, began=1.0, ended=2.0, **{"from": "ULID/3"})])
        self.assertEqual((state.started, state.ended, state.origin), (1.0, 2.0, "ULID/3"))
        self.assertEqual(folded([START, END, event("missing", missing=1, runs=2)]).detail, "1 of 2 runs are missing")

    def test_the_table_of_states(self) -> None:
        for name, row in hydraflow.STATES.items():
            self.assertEqual(row.name, name)
            self.assertTrue(row.is_over or not row.is_good, name)
        self.assertEqual([name for name, row in hydraflow.STATES.items() if row.is_good], ["handed", "succeeded"])
        self.assertEqual([name for name, row in hydraflow.STATES.items() if not row.is_over], ["running", "queued", "waiting", "not started"])
        self.assertEqual({row[3] for row in OUTCOMES} - set(hydraflow.CAUSES), set())

    def test_the_order_of_files_does_not_matter(self) -> None:
        """Attempts in files of their own, as each start of a run has one; read in every order, they say the same."""
        attempts = ([START, BAD], [event("start", 2, up=5.0), event("ask", 2, why="interrupted"), event("end", 2, status=0, up=6.0)],
                    [event("start", 3, up=7.0), event("lost", 3, why="killed")], [event("start", 4, up=8.0), event("end", 4, status=0, up=9.0)])
        for last in range(1, len(attempts) + 1):
            found = set()
            for order in permutations(attempts[:last]):
                state = folded([one for events in order for one in events])
                found.add((state.name, state.cause, state.status, state.attempt, state.attempts, state.started, state.ended))
            self.assertEqual(len(found), 1, found)
        self.assertEqual(found, {("succeeded", "", 0, 4, 4, 108.0, 109.0)})

    def test_tasks_do_not_mix(self) -> None:
        """Lines of many tasks, mixed at random but each task's in their order, say of each what they say alone."""
        chance = random.Random(1)
        lines = [[{**one, "task": number} for one in row[0]] for number, row in enumerate(FOLDS)]
        left, told = [list(one) for one in lines], Told()
        while any(left):
            told.add(chance.choice([one for one in left if one]).pop(0), WRITER)
        for number, (_, name, cause, _, _) in enumerate(FOLDS):
            state = told.states.get(number) or State()
            self.assertEqual((state.name, state.cause), (name or "waiting", cause), FOLDS[number])

    def test_a_record(self) -> None:
        """What found no space in a file of events is read behind it, with its clock; of a writer that never was, too."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        record = Record.create("job", 1)
        hydraflow.begin_events(record, "0001_here_x-1")
        append_event(record, "0001_here_x-1", "start", task=1, pid=1, **{"try": 1})
        append_event(record, "0001_here_x-1", "cancel", submission=4)
        append_event(record, "0001_here_x-1", "cancel", submission=5, slot=2)
        append_event(record, "0001_here_x-1", "start", task=2, pid=1, **{"try": 1})
        for writer, slot, number in (("0001_here_x-1", 0, 1), ("0002_here_y-2", 3, 9)):
            hydraflow.write_file(record.room_path(writer, slot), b'{"task":%d,"try":1,"event":"end","status":0,"up":5}' % number + b" " * 100)
        hydraflow.write_file(record.room_path("0001_here_x-1", 1), b" " * 512)
        hydraflow.append_lines(record.events_path("0001_here_x-1"), [{"event": "start", "task": "3"}, {"event": 7}])
        append_event(record, "0001_here_x-1", "start", task=4, pid=1, **{"try": 1})
        told = read_told(record)
        self.assertEqual({number: state.name for number, state in told.states.items()}, {1: "succeeded", 2: "running", 4: "running", 9: "succeeded"})
        self.assertEqual((told.cancelled, told.cancelled_slots), ({4}, {(5, 2)}))
        writer = told.states[2].writer
        self.assertEqual((writer.machine, writer.pid), (this_machine(), os.getpid()))
        self.assertGreaterEqual(writer.up + 0.02, process_birth(os.getpid()))
        self.assertLess(abs(told.states[2].started - hydraflow.time.time()), 60)
        self.assertEqual((told.states[1].ended, told.states[9].ended), (writer.epoch + 5, 5.0))

    def test_writers_that_nobody_is(self) -> None:
        for epoch, found in ((5, 5.0), (1e99, 0.0), (float("inf"), 0.0), (float("nan"), 0.0), ("x", 0.0), (None, 0.0)):
            with self.subTest(epoch=epoch):
                self.assertEqual(hydraflow.read_writer({"epoch": epoch, "host": 7}, "w").epoch, found)
        self.assertEqual(hydraflow.read_writer({}, "w"), Writer("w", Machine("", "", "", ""), 0, 0.0, 0.0))


class Living(EmptyFolder):
    """Who is gone, and who is ours, by real processes."""

    def state(self, process: "subprocess.Popen", **changes: object) -> State:
        """Return the state of a task whose shell is a process; changes are those of its machine, or of the uptime at its start."""
        state = State(1)
        state.become("running")
        state.pid, state.up = process.pid, changes.pop("up", hydraflow.uptime())
        state.writer = Writer(self.events, this_machine()._replace(**changes), os.getpid(), hydraflow.uptime(), 0.0)
        return state

    def setUp(self) -> None:
        super().setUp()
        self.events = os.path.join(self.folder, "events.jsonl")

    def shell(self, events: str = "", code: str = "sleep 99 & wait") -> "subprocess.Popen":
        """Start what looks like the shell around a task: a group of its own, the file of events among its words."""
        process = subprocess.Popen(["sh", "-c", code, "hydraflow", events or self.events], start_new_session=True,
                                   env={**os.environ, "HYDRAFLOW_EVENTS": events or self.events})
        self.addCleanup(process.wait)
        self.addCleanup(hydraflow.stop_group, process.pid, signal.SIGKILL)
        wait_until(lambda: hydraflow.process_text(process.pid).strip(b"\0"))  # for an instant behind exec it has no words yet
        return process

    def test_a_process_lives_until_it_is_gone(self) -> None:
        process = self.shell()
        state = self.state(process)
        self.assertEqual((hydraflow.is_gone(state), hydraflow.is_ours(state)), (False, True))
        hydraflow.stop_group(process.pid, signal.SIGKILL)
        process.wait()
        wait_until(lambda: hydraflow.is_gone(state))  # of its group, something may be about to end
        self.assertFalse(hydraflow.is_ours(state))
        self.assertFalse(hydraflow.stop_task(state, signal.SIGTERM))

    def test_how_exactly_a_birth_is_known(self) -> None:
        """To hundredths of a second: whoever was born a little behind what was told may be the one."""
        for birth, is_gone in ((-1.0, True), (0.0, False), (99.0, False), (100.0, False), (100.02, False), (100.04, True), (101.0, True)):
            with mock.patch.object(hydraflow, "process_birth", return_value=birth):
                self.assertEqual(hydraflow.is_process_gone(this_machine(), 77, 100.0), is_gone, birth)

    def test_a_number_that_somebody_else_has_now(self) -> None:
        """Born behind that start, or in another boot: it is gone, and who has its number now is left alone."""
        process = self.shell("/other/record/events.jsonl")
        wait_until(lambda: hydraflow.group_members(process.pid) or not hydraflow.HAS_PROC)
        for changes in ({"up": process_birth(process.pid) - 1}, {"boot": "an earlier one"}):
            with self.subTest(changes=changes):
                state = self.state(process, **changes)
                self.assertTrue(hydraflow.is_gone(state))
                self.assertFalse(hydraflow.is_ours(state))
                self.assertFalse(hydraflow.stop_task(state, signal.SIGKILL))
        self.assertIsNone(process.poll())

    def test_other_machines_are_taken_to_live(self) -> None:
        process = self.shell()
        for changes in ({"host": "elsewhere"}, {"identity": "other"}):
            with self.subTest(changes=changes):
                state = self.state(process, **changes)
                self.assertEqual((hydraflow.is_gone(state), hydraflow.is_ours(state)), (False, False))
                self.assertFalse(hydraflow.stop_task(state, signal.SIGKILL))
                for pid in (process.pid, 0):
                    self.assertFalse(hydraflow.is_process_gone(state.writer.machine, pid, 0.0))
        for pid, up, is_gone in ((1, hydraflow.uptime(), False), (process.pid, hydraflow.uptime(), False), (process.pid, 0.0, True), (0, hydraflow.uptime(), True), (-5, hydraflow.uptime(), True)):
            self.assertEqual(hydraflow.is_process_gone(this_machine(), pid, up), is_gone, pid)
        state = self.state(process, namespace="another container")
        self.assertEqual((hydraflow.is_gone(state), hydraflow.is_ours(state)), (False, False))
        self.assertIsNone(process.poll())

    def test_a_process_that_is_not_of_this_record(self) -> None:
        """Number and birth are right, its words name another file of events: nobody signals it."""
        process = self.shell("/other/record/events.jsonl")
        state = self.state(process)
        self.assertFalse(hydraflow.is_ours(state))
        self.assertFalse(hydraflow.stop_task(state, signal.SIGKILL))
        self.assertIsNone(process.poll())

    @unittest.skipUnless(hydraflow.HAS_PROC, "there is no /proc here")
    def test_what_outlives_the_shell(self) -> None:
        """Members of its group that have its environment are the task, still; a stranger in the group is not."""
        process = self.shell(code="sleep 99 & wait")
        wait_until(lambda: hydraflow.group_members(process.pid))
        state = self.state(process)
        process.kill()
        process.wait()
        self.assertEqual((hydraflow.is_gone(state), hydraflow.is_ours(state)), (False, False))
        self.assertTrue(hydraflow.stop_task(state, signal.SIGKILL))
        wait_until(lambda: hydraflow.is_gone(state))

    def test_what_proc_hides(self) -> None:
        """Of somebody else's task, whose process is not shown, nothing is known; of our own all is."""
        process = self.shell()
        state = self.state(process)
        hydraflow.stop_group(process.pid, signal.SIGKILL)
        process.wait()
        wait_until(lambda: hydraflow.is_gone(state))
        self.write("events.jsonl", "")
        for is_hidden, owner, is_gone in ((False, 1, True), (True, 0, True), (True, 1, False), (True, -1, False)):
            found = mock.Mock(st_uid=os.getuid() + owner)
            with mock.patch.object(hydraflow, "is_hidden", return_value=is_hidden), mock.patch.object(os, "stat", return_value=found):
                self.assertEqual(hydraflow.is_gone(state), is_gone, (is_hidden, owner))

    def test_numbers_that_no_process_has(self) -> None:
        for pid in (0, -1, 1 << 30):
            self.assertTrue(hydraflow.is_process_gone(this_machine(), pid, hydraflow.uptime()))
        process = self.shell()
        for has_proc in (hydraflow.HAS_PROC, False):
            with mock.patch.object(hydraflow, "HAS_PROC", has_proc):
                self.assertFalse(hydraflow.is_process_gone(this_machine(), process.pid, hydraflow.uptime()))
                self.assertTrue(hydraflow.is_process_gone(this_machine(), process.pid, 1.0))  # somebody else has the number now

    def test_asked_by_somebody_else(self) -> None:
        """HydraFlow was killed, cancel asks the task, which ends with status 0: it has not succeeded."""
        code = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nopen('begun', 'w').close()\nwhile True: signal.pause()\n"
        self.write("task.py", code)
        self.write("hydraflow.yaml", f"jobs: {{job: {{run: '{sys.executable} task.py', hydra: false}}}}")
        process = subprocess.Popen([sys.executable, "-m", "hydraflow", "run", "job"], cwd=self.folder, stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_until(lambda: "begun" in self.names())
        process.kill()
        process.wait()
        self.assertEqual(self.hydraflow("cancel", "job").err, "asked 1 task to stop\n")
        wait_until(lambda: "running" not in self.hydraflow("status", "job").out)
        self.assertIn("\n  1 interrupted\n", self.hydraflow("status", "job").out)

    def test_a_copy_of_a_record_stops_nothing(self) -> None:
        """cancel in a copied folder finds the processes of the first one, which are not its own."""
        self.write("hydraflow.yaml", "jobs: {job: {run: sh -c 'echo x > begun; sleep 99; :', hydra: false}}")
        process = subprocess.Popen([sys.executable, "-m", "hydraflow", "run", "job"], cwd=self.folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.send_signal, signal.SIGTERM)
        wait_until(lambda: os.path.exists(os.path.join(self.folder, "begun")))
        copy = self.folder + "-copy"
        self.addCleanup(shutil.rmtree, copy, ignore_errors=True)
        shutil.copytree(self.folder, copy, symlinks=True)
        subprocess.call([sys.executable, "-m", "hydraflow", "cancel", "job"], cwd=copy, stderr=subprocess.DEVNULL)
        self.assertIn("1 running", self.hydraflow("status", "job").out)
        self.assertIsNone(process.poll())
        self.assertEqual(self.hydraflow("cancel", "job").status, 0)
        self.assertEqual(process.wait(60), 130)


if __name__ == "__main__":
    unittest.main()
