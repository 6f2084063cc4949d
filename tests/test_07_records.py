"""Records: what is written is read again, whatever it holds; what nobody wrote is passed over or told; claims and locks."""
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import unittest
from itertools import chain
from unittest import mock

from support import EmptyFolder, wait_until

import hydraflow
from hydraflow import Error, Ledger, Lock, Record, Start, Submission, Task, append_lines, read_lines

HOSTILE = ("", " ", "a b", "ü", "\u65e5", "\U0001f600", "\udcff", "\n", "\r\n", "\\n", '"', "'", "{", "}", "]", "$(x)", "\x1b[2J", "x" * 5000)
LINES = (  # bytes of a file, the lines that are read of it
    (b"", []),
    (b"\n", []),
    (b'\n{"a":1}', [{"a": 1}]),
    (b'{"a":1}\n{"b":2}\n', [{"a": 1}, {"b": 2}]),
    (b'\n{"a":1}\n{"b":', [{"a": 1}]),  # torn by a kill
    (b'\n{"a":\n{"b":2}', [{"b": 2}]),  # torn by a full disk, and gone on with
    (b'\n{"a":1}   \n{"b":2}     ', [{"a": 1}, {"b": 2}]),  # in a room that was blank
    (b'\n{"a":1},{"b":2}\n{"c":3}', [{"c": 3}]),  # one line is one event
    (b'\n{"a":1}}\n{"c":3}', [{"c": 3}]),
    (b'\n{"a":"\xff"}', [{"a": "\ufffd"}]),
    (b'\n{"a":"\xff"}\n{"torn"}', [{"a": "\ufffd"}]),
    (b'\n[1]\n7\nnull\n"{}"\n{}', [{}]),
    (b'\n{"a":NaN x}\n{"c":3}', [{"c": 3}]),
    (b"\n{" + b"[" * 100000 + b"}\n" + b'{"c":3}', [{"c": 3}]),
    (b'\n{"a":' + b"[" * 100000 + b"]" * 100000 + b'}\n{"c":3}', [{"c": 3}]),
    (b"\0\0\0\0\n" + b'{"c":3}', [{"c": 3}]),
)
START = Start(1, "job", 2, 1.5, "host", "1", ["-v", "a b"], "", False, hydraflow.FORMAT)
SUBMISSION = Submission(3, 1, 2, "slurm", "job.ABC.3", [["/r", 1]], [1, 0, 0.0, False], True, 0, "", -1,
                        [[[1, 1, 10], [2, 1, 20000]], [[3, 2, 30]], []], "far-1,near")
DIRECTORIES = (  # the name of a job, that of its directory
    ("train", "train"), ("a-b_C9", "a-b_C9"), ("a/b", "a%2Fb"), ("..", "%2E%2E"), (".", "%2E"), ("a%2Fb", "a%252Fb"), ("", ""),
    ("\u00e9", "%C3%A9"), ("a\0b", "a%00b"), ("-x", "-x"), ("a\nb", "a%0Ab"),
)


def task(**changes: object) -> Task:
    """Return a task with changes."""
    values = Task(1, 1, 1, ("a=1",), ("run", "a=1"), ("run", "a=1"), "multirun/x/1", os.getcwd(), {"A": "1"}, 1, False, False)
    return values._replace(**changes)


class Files(EmptyFolder):
    """Each test writes into a record of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.record = Record.create("job", 1)
        append_lines(self.record.plan_path, [hydraflow.start_line(START)])

    def test_lines(self) -> None:
        for data, found in LINES:
            with self.subTest(data=data[:60]):
                self.write("lines", data)
                self.assertEqual(list(read_lines("lines")), found)
        self.assertEqual(list(read_lines("nowhere/lines")), [])
        self.assertFalse(os.path.exists("nowhere"))  # who reads makes no folder

    def test_json(self) -> None:
        """It is that of json, with and without the parts of it that are written in C."""
        values = [{"a": text, text: [text]} for text in HOSTILE]
        values += [[1, -2, 0.5, 1e300, 10**30, True, False, None, [], {}, {"a": {"b": [[]]}}], {}, "", float("inf")]
        for parts in (sys.modules.get("_json"), None):
            with mock.patch.dict(sys.modules, {"_json": parts} if parts is None else {}):
                hydraflow.json_tools.forget()
                self.addCleanup(hydraflow.json_tools.forget)
                for value in values:
                    text = hydraflow.to_json(value)
                    self.assertEqual(text, json.dumps(value, separators=(",", ":")))
                    self.assertEqual(hydraflow.from_json(text), value)
                for text in ("", "{", "x", "[1] 2", "[1]]", '"a', "{'a': 1}", "[1,]", '{"a":1}{', '"\t"'):
                    with self.subTest(text=text):
                        self.assertRaises(ValueError, hydraflow.from_json, text)
                self.assertRaises(RecursionError, hydraflow.from_json, "[" * 100000)
                self.assertRaises(TypeError, hydraflow.to_json, [object()])

    def test_names_of_writers(self) -> None:
        for who, slot in (("slot-1-3", (1, 3)), ("slot-12-345", (12, 345)), ("here", (0, 0)), ("slot-1", (0, 0)), ("slot-1-x", (0, 0)),
                          ("slot--1", (0, 0)), ("slot-1-2-3", (0, 0)), ("spot-1-2", (0, 0)), ("", (0, 0))):
            name = hydraflow.WriterName(1, who, "x")
            self.assertEqual((name.slot, name.is_slot), (slot, slot != (0, 0)), who)

    def test_names_that_schedulers_give(self) -> None:
        for text, is_one in (("", True), ("1", True), ("12[].node-3", True), ("12;other", True), ("job.AB1", True), ("a:b,c_d", True), ("[1]", True), ("_", True),
                             ("-x", False), (".x", False), (",", False), ("a b", False), ("a/b", False), ("a\n", False), ("a=b", False), ("--all", False), ("é", True)):
            self.assertEqual(hydraflow.is_name(text), is_one, text)

    def test_appended_lines_are_found_by_their_offsets(self) -> None:
        """Also behind a line that was torn."""
        self.write("lines", b'{"torn":')
        offsets = append_lines("lines", [{"a": text} for text in HOSTILE])
        offsets += append_lines("lines", [{"a": "last"}])
        with open("lines", "rb") as file:
            for offset, text in zip(offsets, [*HOSTILE, "last"]):
                file.seek(offset)
                self.assertEqual(json.loads(file.readline().decode("ascii")), {"a": text})
        self.assertEqual(len(list(read_lines("lines"))), len(HOSTILE) + 1)
        self.assertEqual(append_lines("lines", []), [])

    def test_many_processes_append_to_one_file(self) -> None:
        code = ("import hydraflow, sys\nfor n in range(200):\n    hydraflow.append_lines('lines', [{'who': int(sys.argv[1]), 'n': n, 'x': 'x' * 300}])")
        processes = [subprocess.Popen([sys.executable, "-c", code, str(who)], cwd=self.folder) for who in range(4)]
        self.assertEqual([process.wait() for process in processes], [0] * 4)
        lines = list(read_lines("lines"))
        for who in range(4):
            self.assertEqual([line["n"] for line in lines if line["who"] == who], list(range(200)))

    def test_tasks(self) -> None:
        tasks = [task(number=number, argv=("run", text), combination=(f"a={text}",), key=("run", text), env={"A": text}, directory=f"d/{text}",
                      is_call=bool(number % 2), has_directory=not number % 2, runs=number) for number, text in enumerate(HOSTILE, 1)]
        offsets = append_lines(self.record.plan_path, [hydraflow.task_line(one, f"/bin/{one.number}") for one in tasks])
        ledger = Ledger(self.record)
        self.assertEqual([ledger.task(one.number) for one in tasks], tasks)
        self.assertEqual([hydraflow.task_at(self.record, offset) for offset in offsets], [(one, f"/bin/{one.number}") for one in tasks])
        self.assertEqual(ledger.keys(), {one.key: [one.number] for one in tasks})
        self.assertEqual((ledger.members, ledger.last_number()), ({one.number: 1 for one in tasks}, len(tasks)))
        self.assertIsNone(ledger.task(999))

    def test_tasks_that_nobody_wrote(self) -> None:
        good = json.loads(json.dumps(hydraflow.task_line(task(), "")))
        self.assertEqual(hydraflow.line_task(good, "plan"), task())
        for name, value in (("task", "1"), ("task", -1), ("step", None), ("index", 1.5), ("words", 7), ("words", [7]), ("argv", []), ("argv", [["a"]]),
                            ("argv", ["a\0b"]), ("key", None), ("key", [None]), ("dir", None), ("dir", "a\0"), ("cwd", 7), ("env", []), ("env", {"A": 1}),
                            ("env", {"A": "\0"}), ("env", None), ("runs", "x"), ("program", 7), ("program", None)):
            with self.subTest(name=name, value=value), self.assertRaises(Error) as caught:
                hydraflow.line_task({**good, name: value}, "plan")
            self.assertEqual(caught.exception.message, "plan is damaged")
        for name in good:
            with self.subTest(without=name), self.assertRaises(Error):
                hydraflow.line_task({key: value for key, value in good.items() if key != name}, "plan")

    def test_starts(self) -> None:
        for start in (START, START._replace(number=2, words=list(HOSTILE), commit="abc", is_dirty=True, time=3)):
            self.assertEqual(hydraflow.read_start(json.loads(json.dumps(hydraflow.start_line(start))), "plan"), start)
        line = hydraflow.start_line(START)
        for name, value in (("start", "x"), ("job", 7), ("count", None), ("time", "x"), ("host", []), ("words", "x"), ("commit", None), ("is_dirty", 1)):
            with self.subTest(name=name, value=value), self.assertRaises(Error) as caught:
                hydraflow.read_start({**line, name: value}, "plan")
            self.assertEqual(caught.exception.message, "plan is damaged")
        for values, writer in (({**line, "format": 3, "version": "9.9"}, "HydraFlow 9.9"), ({"job": "job", "count": 3, "version": "9.9"}, "HydraFlow 9.9"),
                               ({"start": 1, "format": 3}, "another HydraFlow"), ({"job": "job"}, "another HydraFlow")):
            with self.assertRaises(Error) as caught:
                hydraflow.read_start(values, "plan")
            self.assertEqual(caught.exception.message, f"the record plan was written by {writer}, and is not read here")

    def test_a_plan_of_several_starts(self) -> None:
        """Members are the tasks of the last start, of their last lines; a torn line is no task."""
        for number in (1, 2, 3):
            append_lines(self.record.plan_path, [hydraflow.task_line(task(number=number), "")])
        append_lines(self.record.plan_path, [hydraflow.start_line(START._replace(number=2)), {"again": [[2, 3]], "step": 1},
                                             hydraflow.task_line(task(number=4, step=2), ""), hydraflow.task_line(task(number=2, cwd="/new"), "")])
        with open(self.record.plan_path, "ab") as file:
            file.write(b'\n{"task":9,"step":1,"argv"')
        ledger = Ledger(self.record)
        self.assertEqual(ledger.members, {2: 1, 3: 1, 4: 2})
        self.assertEqual((ledger.start.number, len(ledger.starts), ledger.last_number()), (2, 2, 4))
        self.assertEqual((ledger.task(2).cwd, ledger.task(1).number), ("/new", 1))

    def test_plans_that_nobody_wrote(self) -> None:
        for data in (b"", b"\n", b'{"task":1,"step":1}', b"\xff", b'\n{"start":1}'):
            with self.subTest(data=data):
                os.unlink(self.record.plan_path)
                self.write(self.record.plan_path, data)
                with self.assertRaises(Error) as caught:
                    Ledger(self.record)
                self.assertIn("plan.jsonl is damaged", caught.exception.message)
        for again in ({"again": [[1, 2]], "step": 1}, {"again": 7, "step": 1}, {"again": [["x", 1]], "step": 1}, {"again": [[1]], "step": 1}, {"again": []}):
            with self.subTest(again=again):
                os.unlink(self.record.plan_path)
                append_lines(self.record.plan_path, [hydraflow.start_line(START), hydraflow.task_line(task(), ""), hydraflow.start_line(START), again])
                if again == {"again": []}:
                    self.assertEqual(Ledger(self.record).members, {})
                    continue
                with self.assertRaises(Error):
                    Ledger(self.record)

    def test_submissions(self) -> None:
        written = hydraflow.write_submission(self.record, SUBMISSION)
        self.assertGreater(written.width, 0)
        self.assertEqual(hydraflow.read_submission(self.record, 3), written)
        for slot, entries in enumerate(SUBMISSION.slots, 1):  # an array task reads its own slot alone
            self.assertEqual(hydraflow.read_submission(self.record, 3, slot).slots, [entries])
        self.assertEqual(hydraflow.read_submission(self.record, 3, 9).slots, [])
        self.assertEqual(list(written.numbers()), [1, 2, 3])
        self.assertEqual(hydraflow.write_job_id(self.record, written, "77[].pbs"), hydraflow.read_submission(self.record, 3))
        hydraflow.write_status(self.record, written, 4)
        hydraflow.write_submission(self.record, SUBMISSION._replace(number=12, scheduler="handler", name=""))
        self.assertEqual([(one.number, one.job_id, one.status) for one in hydraflow.read_submissions(self.record)], [(3, "77[].pbs", 4), (12, "", -1)])

    def test_submissions_that_nobody_wrote(self) -> None:
        """No option of a scheduler's command, no word of a shell gets into what is asked about them."""
        path = self.record.submission_path(3, "jsonl")
        for name, value in (("name", "-x"), ("name", "a b"), ("name", "$(x)"), ("name", 7), ("job_id", "--all"), ("job_id", "1 2"), ("job_id", "1\n2"),
                            ("job_id", 7), ("scheduler", None), ("scheduler", "../x"), ("number", "3"), ("width", "x"), ("width", None), ("status", "x"),
                            ("after", [["x"]]), ("after", [[1, 1]]), ("after", [["x", "y"]]), ("after", 7), ("after", [7]), ("limits", [1]), ("limits", ["x", 0, 0, 0]), ("limits", None), ("frobnicate", 1)):
            with self.subTest(name=name, value=value):
                hydraflow.write_submission(self.record, SUBMISSION)
                append_lines(path, [{name: value}])
                with self.assertRaises(Error) as caught:
                    hydraflow.read_submission(self.record, 3)
                self.assertIn("is damaged", caught.exception.message)
                os.unlink(path)
        for data in (b"\xff\n", b"7\n", b"[7]\n", b"[[1,2]]\n", b'[[1,2,"x"]]\n', b"{}\n[", b"[[1,1,1]\n"):
            with self.subTest(slots=data):
                hydraflow.write_submission(self.record, SUBMISSION)
                with open(self.record.submission_path(3, "slots"), "wb") as file:
                    file.write(data)
                with self.assertRaises(Error):
                    hydraflow.read_submission(self.record, 3)
                os.unlink(path)

    def test_events_that_nobody_wrote(self) -> None:
        for values, is_event in (({"event": "start", "task": 1, "try": 1, "pid": 5, "up": 1.5}, True), ({"event": "cancel", "submission": 1}, True),
                                 ({"event": "start", "more": [1]}, True), ({}, False), ({"task": 1}, False), ({"event": 7}, False), ({"event": "end", "task": "1"}, False),
                                 ({"event": "end", "task": 1.0}, False), ({"event": "end", "status": None}, False), ({"event": "end", "up": "x"}, False),
                                 ({"event": "ask", "why": 7}, False), ({"event": "reused", "from": 7}, False)):
            with self.subTest(values=values):
                self.assertEqual(hydraflow.is_event(values), is_event)

    def test_who_may_read_a_record(self) -> None:
        """Whom the user's umask lets, in a folder that is there as in one that is not."""
        for mask, mode in ((0, 0o666), (0o027, 0o640)):
            self.addCleanup(os.umask, os.umask(mask))
            for path in (f"in-{mask}", f"folder-{mask}/in"):
                descriptor = hydraflow.open_safely(os.path.join(self.folder, path), os.O_WRONLY | os.O_CREAT)
                self.assertEqual((os.fstat(descriptor).st_mode & 0o777, os.get_inheritable(descriptor)), (mode, False))
                os.close(descriptor)

    def test_directories_of_jobs(self) -> None:
        for name, directory in DIRECTORIES:
            with self.subTest(name=name):
                self.assertEqual(Record.directory(name), f".hydraflow/{directory}")
        self.assertEqual([len(Record.directory("x" * length)) for length in (199, 200)], [210, 211])
        self.assertEqual(Record.directory("x" * 201), ".hydraflow/" + "x" * 200 + f"%{hydraflow.hash_text('x' * 201)}")
        self.assertEqual([hydraflow.hash_text(text) for text in ("", "a")], [1, 3904355908])  # names of old records hold it
        long = Record.directory("x" * 500), Record.directory("x" * 501)
        self.assertNotEqual(*long)
        self.assertLess(max(map(len, long)), 255)

    def test_records_are_in_the_order_in_which_they_were_made(self) -> None:
        """Whatever the clock says; what is no record is none."""
        records = [self.record, Record.create("job", 1 << 120), Record.create("job", 5), Record.create("job", 1 << 120)]
        for record in records[1:]:
            append_lines(record.plan_path, [hydraflow.start_line(START)])
        for name in ("0" * 26, "x" * 26, "short"):
            os.makedirs(f".hydraflow/job/{name}")
        self.assertEqual([record.path for record in Record.all("job")], [record.path for record in records])
        self.assertEqual([record.path for record in Record.newest()], [records[-1].path])
        self.assertEqual((Record.all("other"), self.read(".hydraflow/.gitignore")), ([], "*\n"))
        self.assertEqual((records[0].job, len(records[0].ulid)), ("job", 26))

    def test_modes_are_those_of_the_user(self) -> None:
        for mask in (0o002, 0o022, 0o077):
            before = os.umask(mask)
            try:
                hydraflow.write_file(f"made/{mask}", b"x")
                append_lines(f"appended/{mask}", [{}])
                record = Record.create(f"job{mask}", 1)
            finally:
                os.umask(before)
            for path in (f"made/{mask}", f"appended/{mask}"):
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o666 & ~mask)
            self.assertEqual(stat.S_IMODE(os.stat(record.path).st_mode), 0o777 & ~mask)

    def test_no_file_is_opened_through_a_link(self) -> None:
        self.write("mine", "precious")
        os.symlink(os.path.join(self.folder, "mine"), "link")
        for function in (lambda: hydraflow.write_file("link", b"x"), lambda: append_lines("link", [{}])):
            with self.assertRaises(OSError):
                function()
        with self.assertRaises(Error) as caught:
            list(read_lines("link"))
        self.assertEqual(caught.exception.message, "cannot read link: it is a symbolic link")
        self.assertEqual(self.read("mine"), "precious")

    def test_a_folder_that_cannot_be_read_is_told(self) -> None:
        self.write("file", "x")
        self.assertEqual(hydraflow.list_folder("nowhere"), [])
        self.assertTrue(hydraflow.is_there("file"))
        self.assertFalse(hydraflow.is_there("nothing"))
        os.symlink("loop", "loop")
        for function in (hydraflow.list_folder, hydraflow.read_bytes):
            with self.assertRaises(Error) as caught:
                function("file/x")
            self.assertEqual(caught.exception.message, "cannot read file/x: Not a directory")
        with self.assertRaises(Error) as caught:
            hydraflow.is_there("loop/x")
        self.assertIn("cannot read loop/x", caught.exception.message)


class Alone(EmptyFolder):
    """Who has something that only one can have."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.record = Record.create("job", 1)

    def test_a_claim_has_one_winner(self) -> None:
        """Of eight processes that claim the same thousand attempts at once; and everybody sees who it was."""
        code = ("import hydraflow, os, sys, time\nrecord = hydraflow.Record(sys.argv[1])\nprint('ready', flush=True)\n"
                "if int(sys.argv[2]) % 2: record.introduce('writer-' + sys.argv[2])\nwhile not os.path.exists('go'): pass\n"
                "print([n for n in range(1, 1001) if record.claim(n * 10, 1, 'writer-' + sys.argv[2]) and not time.sleep(0.001)])")  # the others have their turns
        processes = [subprocess.Popen([sys.executable, "-c", code, self.record.path, str(who)], cwd=self.folder, stdout=subprocess.PIPE) for who in range(8)]
        for process in processes:
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.kill)
            process.stdout.readline()
        self.write("go", "")
        won = [json.loads(process.communicate()[0].decode()) for process in processes]
        self.assertEqual(sorted(chain(*won)), list(range(1, 1001)))
        self.assertGreater(sum(map(bool, won)), 1)
        for who, numbers in enumerate(won):
            self.assertEqual({self.record.claimant(number * 10, 1) for number in numbers} - {f"writer-{who}"}, set())
        self.assertEqual((self.record.claimant(10, 2), self.record.claim(10, 2, "x"), self.record.claimant(10, 2)), ("", True, "x"))

    def test_claims_take_no_inode(self) -> None:
        """They are links to one file of a writer that makes several, and go on where a file system has no more of these, or none."""
        self.assertTrue(self.record.claim(1001, 1, "0001_here_vm-7"))
        self.assertTrue(os.path.islink(self.record.claim_path(1001, 1)))
        for number in (1, 2, 1002):
            self.record.introduce("0001_here_vm-7")
            self.assertTrue(self.record.claim(number, 1, "0001_here_vm-7"))
            self.assertFalse(self.record.claim(number, 1, "0001_here_vm-8"))
        self.assertEqual([os.path.islink(self.record.claim_path(number, 1)) for number in (1, 2, 1002)], [False] * 3)
        self.assertEqual(sorted(os.listdir(os.path.join(self.record.path, "claims"))), ["0", "0001_here_vm-7", "1"])
        for error in (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP):
            with self.subTest(error=error), mock.patch.object(os, "link", side_effect=OSError(error, "x")):
                self.assertTrue(self.record.claim(error, 5, "0001_here_vm-7"))
                self.assertFalse(self.record.claim(error, 5, "0001_here_vm-8"))
            self.assertFalse(self.record.claim(error, 5, "0001_here_vm-8"))
            self.assertEqual(self.record.claimant(error, 5), "0001_here_vm-7")
        with mock.patch.object(os, "link", side_effect=OSError(errno.EIO, "x")), self.assertRaises(OSError):
            self.record.claim(4, 1, "0001_here_vm-7")

    def test_claims_without_symbolic_links(self) -> None:
        """A writer is introduced where there are none; where there are no links either, nothing is claimed."""
        def symlink(source: str, path: str) -> None:
            os.stat(os.path.dirname(path))  # what the kernel looks for first
            raise OSError(errno.EEXIST if os.path.lexists(path) else errno.EPERM, "x")

        with mock.patch.object(os, "symlink", symlink):
            for number in (1, 1001):
                self.assertTrue(self.record.claim(number, 1, "0001_here_vm-7"))
                self.assertFalse(self.record.claim(number, 1, "0001_here_vm-8"))
                self.assertEqual(self.record.claimant(number, 1), "0001_here_vm-7")
            with mock.patch.object(os, "link", side_effect=OSError(errno.EPERM, "x")), self.assertRaises(OSError):
                self.record.claim(2, 1, "0001_here_vm-9")
        with mock.patch.object(os, "symlink", side_effect=OSError(errno.EIO, "x")), self.assertRaises(OSError):
            self.record.claim(3, 1, "0001_here_vm-10")
        self.assertEqual([self.record.claimant(number, 1) for number in (2, 3)], ["", ""])

    def test_more_claims_than_a_file_may_have_links(self) -> None:
        """ext4 has 65,000 of them."""
        self.record.introduce("0001_here_vm-7")
        self.assertTrue(all(self.record.claim(number, 1, "0001_here_vm-7") for number in range(1, 65011)))
        self.assertEqual({self.record.claimant(number, 1) for number in (1, 64000, 65010)}, {"0001_here_vm-7"})
        self.assertFalse(self.record.claim(65010, 1, "0001_here_vm-8"))

    def test_a_claim_that_a_crash_emptied(self) -> None:
        """Nobody who lives has made it."""
        self.record.introduce("0001_slot-1-2_vm-7")
        self.record.claim(1001, 1, "0001_slot-1-2_vm-7")
        os.mkdir(os.path.join(self.record.path, "claims", "0"))
        self.assertTrue(self.record.claim(1, 1, "0001_slot-1-2_vm-7"))
        self.write(os.path.relpath(self.record.claim_path(1, 1), self.folder), "")
        self.assertEqual(self.record.claimant(1, 1), "0000_crashed_")
        claimed = hydraflow.slot_state(self.record, 1, 1, "slot-1-1")
        self.assertEqual((claimed.holder, claimed.state.attempt, claimed.is_own), ("", 1, True))

    def test_a_claim_that_is_none(self) -> None:
        os.makedirs(self.record.claim_path(1, 1))
        self.assertFalse(self.record.claim(1, 1, "x"))
        with self.assertRaises(Error):
            self.record.claimant(1, 1)

    def test_a_lock_that_somebody_looks_at(self) -> None:
        """Who only looks whether it is held has it for a moment, which is waited for, five times."""
        for looks in range(1, 6):
            held = Lock(self.record, "train")
            with mock.patch.object(hydraflow.time, "sleep") as slept:
                slept.side_effect = lambda seconds, looks=looks, held=held: held.release() if slept.call_count == looks else None
                if looks == 5:
                    self.assertRaises(Error, Lock, self.record, "train")
                    held.release()
                else:
                    Lock(self.record, "train").release()
            self.assertEqual([call[0] for call in slept.call_args_list], [(0.02,)] * min(looks, 4))

    def test_a_torn_line_for_who_has_not_imported_json(self) -> None:
        """What reads JSON in C has errors of its own then, in some versions."""
        for line in (b'{"a":1,"b":{}', b'{"a":', b'{"a"', b"{", b'{"a":[1}', b'{"a":1}}'):
            code = f"import hydraflow; print(hydraflow.read_line({line!r}))"
            self.assertEqual(subprocess.check_output([sys.executable, "-c", code], cwd=os.path.dirname(hydraflow.__file__)), b"None\n", line)

    def test_who_holds_a_lock(self) -> None:
        for data, text in ((b"process 7 on node3\n", "process 7 on node3"), (b"", "another process"), (b"\xff", "\ufffd")):
            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.seek(0)
                self.assertEqual(hydraflow.lock_text(file.fileno()), text)

    def test_a_lock_has_one_holder(self) -> None:
        lock = Lock(self.record, "train")
        with self.assertRaises(Error) as caught:
            Lock(self.record, "train")
        self.assertEqual(caught.exception.message, f"job train is being run by process {os.getpid()} on {hydraflow.host_name()}")
        self.assertEqual(hydraflow.lock_holder(self.record), f"process {os.getpid()} on {hydraflow.host_name()}")
        self.assertGreaterEqual(lock.descriptor, 0)
        lock.release()
        lock.release()
        self.assertEqual(hydraflow.lock_holder(self.record), "")
        self.assertEqual(lock.descriptor, hydraflow.NOTHING)
        Lock(self.record, "train").release()

    def test_a_lock_goes_with_its_holder(self) -> None:
        code = ("import hydraflow, sys, time\nlock = hydraflow.Lock(hydraflow.Record(sys.argv[1]), 'x')\nprint('held', flush=True)\ntime.sleep(99)")
        process = subprocess.Popen([sys.executable, "-c", code, self.record.path], cwd=self.folder, stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        process.stdout.readline()
        with self.assertRaises(Error) as caught:
            Lock(self.record, "x")
        self.assertIn(f"process {process.pid} on", caught.exception.message)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until(lambda: Lock(self.record, "x").release() is None)

    def test_a_lock_that_is_a_link(self) -> None:
        self.write("mine", "precious")
        os.symlink(os.path.join(self.folder, "mine"), self.record.lock_path)
        with self.assertRaises(Error) as caught:
            Lock(self.record, "x")
        self.assertIn("it is a symbolic link", caught.exception.message)
        self.assertEqual(self.read("mine"), "precious")

    def test_a_record_comes_behind_all_others(self) -> None:
        """Also behind one of a clock that was ahead; whatever else is in the folder is no record."""
        directory = os.path.dirname(self.record.path)
        os.mkdir(os.path.join(directory, "zz"))
        os.mkdir(os.path.join(directory, "7" + "Z" * 30))
        later = os.path.join(directory, "06" + "0" * 24)
        os.mkdir(later)
        names = [Record.create("job", 1).ulid for _ in range(2)]
        self.assertEqual(names, ["06" + "0" * 23 + "1", "06" + "0" * 23 + "2"])

    def test_a_record_where_a_file_is(self) -> None:
        self.write(".hydraflow/other", "")
        with self.assertRaises(Error) as caught:
            Record.create("other", 1)
        self.assertIn("cannot keep a record in .hydraflow/other: ", caught.exception.message)


class Checks(unittest.TestCase):
    """What is read is input: each field is looked at before anything is done with it."""

    def test_names_of_jobs(self) -> None:
        """No option hides in what is passed to a scheduler's commands."""
        for text, is_right in (("", True), ("job.9G5FZZ.2", True), ("12;far", True), ("7[]", True), ("a,b:c", True), ("_-_", True), ("[1]", True), (".x", False), ("-x", False), ("]", False), (";x", False), (",x", False), (":x", False),
                               ("a b", False), ("a/b", False), ("a\n", False), ("$(x)", False), ("a=b", False)):
            self.assertEqual(hydraflow.is_name(text), is_right, text)

    def test_what_a_submission_waits_for(self) -> None:
        for value, is_right in (([], True), ([["r", 1]], True), ([["r", 1], ["s", 2]], True), (None, False), ("r", False), ({}, False), ([("r", 1)], False), ([["r"]], False), ([[1, "r"]], False), ([["r", 1, 2]], False),
                                ([["r", True]], False), ([["r", 1.0]], False), ([["r", 1], None], False)):
            self.assertEqual(hydraflow.are_pairs(value), is_right, value)

    def test_limits(self) -> None:
        for value, is_right in (([1, 0, 0.0, False], True), ([1, 2, 3, 4], True), ([1, 0, 0.0], False), ([1, 0, 0.0, False, 1], False), ([1, "0", 0.0, False], False), ([1, None, 0.0, False], False), (None, False), ((1, 0, 0.0, False), False)):
            self.assertEqual(hydraflow.are_limits(value), is_right, value)

    def test_submissions(self) -> None:
        good = hydraflow.Submission(1, 2, 3, "slurm", "job.1", [["r", 1]], [1, 0, 0.0, False], True, 9, "7", -1, [], "far")
        self.assertTrue(hydraflow.is_submission(good))
        for name, value in [(name, value) for name in ("number", "start", "step", "width", "status") for value in ("1", None, 1.0)] + [
                (name, value) for name in ("scheduler", "name", "job_id", "clusters") for value in (1, None, "-x", "a b")] + [("after", None), ("limits", [1])]:
            self.assertFalse(hydraflow.is_submission(good._replace(**{name: value})), (name, value))

    def test_lines_of_tasks(self) -> None:
        good = {"task": 1, "step": 0, "index": 2, "runs": 0, "words": ["a=1"], "argv": ["x"], "key": ["x"], "dir": "d", "cwd": "/", "env": {"A": "b"}, "call": False, "makes": False, "program": ""}
        self.assertTrue(hydraflow.is_task_line(good))
        self.assertTrue(hydraflow.is_task_line({**good, "words": [], "key": [], "env": {}}))
        wrong = [(name, value) for name in ("task", "step", "index", "runs") for value in (-1, "1", None, 1.5)] + [(name, value) for name in ("dir", "cwd", "program") for value in (1, None, "a\0b")]
        wrong += [(name, value) for name in ("words", "argv", "key") for value in ([1], ["a", None], ["a\0"])] + [("env", {"A": 1}), ("env", {"A\0": "b"}), ("env", {"A": "b\0"}), ("argv", [])]
        for name, value in wrong:
            self.assertFalse(hydraflow.is_task_line({**good, name: value}), (name, value))
            with self.assertRaises(hydraflow.Error):
                hydraflow.line_task({**good, name: value}, "plan.jsonl")
        for name in good:
            with self.assertRaises(hydraflow.Error):
                hydraflow.line_task({other: value for other, value in good.items() if other != name and name != "makes"}, "plan.jsonl")

    def test_lines_of_slots(self) -> None:
        for line, slot in (("[]", []), ("[[1,2,3]]", [[1, 2, 3]]), ("[[1,2,3],[4,5,6]]    ", [[1, 2, 3], [4, 5, 6]])):
            self.assertEqual(hydraflow.line_slot(line), slot)
        for line in ("", "x", "[[1,2]]", "[[1,2,3,4]]", '[[1,2,"3"]]', "[[1,2,3.5]]", "[[1,2,3],[4]]", "[[1,2,3]] x"):
            with self.assertRaises(ValueError):
                hydraflow.line_slot(line)

    def test_events(self) -> None:
        for values, is_right in (({"event": "start"}, True), ({"event": "start", "task": 1, "try": 2, "pid": 3, "slot": 4, "up": 5.5, "other": None}, True), ({"event": "end", "task": 1, "status": 0, "up": 5, "why": "x", "from": "y"}, True),
                                 ({}, False), ({"event": 1}, False), ({"event": None}, False), ({"event": "x", "task": "1"}, False), ({"event": "x", "try": 1.5}, False), ({"event": "x", "pid": None}, False), ({"event": "x", "slot": "0"}, False),
                                 ({"event": "x", "status": []}, False), ({"event": "x", "missing": "1"}, False), ({"event": "x", "runs": "1"}, False), ({"event": "x", "submission": "1"}, False), ({"event": "x", "up": "1"}, False),
                                 ({"event": "x", "began": "1"}, False), ({"event": "x", "ended": {}}, False), ({"event": "x", "why": 1}, False), ({"event": "x", "from": 1}, False)):
            self.assertEqual(hydraflow.is_event(values), is_right, values)

    def test_names_of_writers(self) -> None:
        for text, wanted, slot in (("0002_slot-1-3_node7-4711", (2, "slot-1-3", "node7-4711"), (1, 3)), ("0001_here_x-1", (1, "here", "x-1"), (0, 0)), ("12345_reuse_a_b", (12345, "reuse", "a_b"), (0, 0)),
                                   ("x_here_y", (0, "", ""), (0, 0)), ("", (0, "", ""), (0, 0)), ("0001_slot-1_x", (1, "slot-1", "x"), (0, 0)), ("0001_slot-1-x_y", (1, "slot-1-x", "y"), (0, 0)),
                                   ("0001_slots-1-2_y", (1, "slots-1-2", "y"), (0, 0)), ("0001_slot-1-2-3_y", (1, "slot-1-2-3", "y"), (0, 0)), ("0001_slot-0-2_y", (1, "slot-0-2", "y"), (0, 2))):
            found = hydraflow.WriterName.parse(text)
            self.assertEqual((tuple(found), found.slot, found.is_slot), (wanted, slot, slot != (0, 0)), text)
            if wanted[0]:
                self.assertEqual(str(found), text)


if __name__ == "__main__":
    unittest.main()
