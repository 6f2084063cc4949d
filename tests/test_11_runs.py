"""Runs: the ledger of a job and how its life goes on; what a slot of a submission does, without a scheduler around it."""
import builtins
import dis
import errno
import glob
import importlib.util
import json
import marshal
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
from unittest import mock

from support import IN_CONTAINER, ROOT, EmptyFolder, Program, wait_until

import hydraflow

BYTE_CODE_HEAD = 16 if sys.version_info >= (3, 7) else 12  # bytes


def is_alive(pid: str) -> bool:
    """Return whether a process executes something; what only waits for its parent does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Life(Program):
    """Run, fail, resume: what is executed, what is counted."""

    def test_an_old_success_does_not_pass_for_a_new_one(self) -> None:
        """A second run begins anew; gone on with, it executes what it has not done itself, unless --reuse says so."""
        self.job("run: sh -c 'echo $0 >> done; test -e go || test $0 = a=1'\nsteps: [{batch: a=1:3}]")
        self.write("go", "")
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        os.remove(os.path.join(self.folder, "go"))
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        self.assertEqual(self.states(), ["succeeded", "failed", "failed"])
        self.assertEqual(self.lines("done"), ["a=1", "a=2", "a=3"] * 2)
        result = self.hydraflow("run", "job", "--resume")
        self.assertEqual((result.status, len(self.records())), (1, 2))
        self.assertIn("2 tasks had succeeded in an older run; --reuse counts them as done", result.err.splitlines())
        self.assertEqual(self.lines("done"), ["a=1", "a=2", "a=3"] * 2 + ["a=2", "a=3"])
        result = self.hydraflow("run", "job", "--resume", "--reuse")
        self.assertEqual((result.status, len(self.records())), (0, 2), result.err)
        self.assertEqual(len(self.lines("done")), 8)
        self.assertEqual(self.states(), ["succeeded"] * 3)
        self.assertIn("3 succeeded", self.hydraflow("status", "job").out)

    def test_any_older_run_counts(self) -> None:
        """Not only the first one."""
        self.job("run: sh -c 'echo $0 >> done; test -e go'\nsteps: [{batch: a=1:2}]")
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        self.write("go", "")
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        os.remove(os.path.join(self.folder, "go"))
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        self.assertIn("2 had succeeded before", self.hydraflow("run", "job", "--resume", "--reuse").err)
        self.assertEqual(len(self.lines("done")), 6)

    def test_a_handler_that_was_killed_with_us(self) -> None:
        """Nothing more is to be expected of it, as its process is known to be gone; while it lives, its tasks are with it."""
        self.write("slow", "#!/bin/sh\necho $$ > pid; sleep 99; exit 0\n")
        os.chmod(os.path.join(self.folder, "slow"), 0o755)
        self.job("run: 'true'\nsubmit: ./slow\nsteps: [{batch: a=1:2}]")
        process = self.start("run", "job")
        wait_until(lambda: self.lines("pid"))
        process.kill()
        process.wait()
        self.assertEqual(self.states(), ["queued"] * 2)
        os.killpg(int(self.lines("pid")[0]), signal.SIGKILL)
        wait_until(lambda: not is_alive(self.lines("pid")[0]))
        self.assertEqual([task["why"] for task in self.tasks().values()], ["handler"] * 2)
        self.assertEqual(self.states(), ["interrupted"] * 2)

    def test_what_is_cancelled_and_ends_as_it_likes(self) -> None:
        """Whatever its exit status, it was interrupted, for the run and for its record; it is not tried again."""
        for status in (0, 1):
            with self.subTest(status=status):
                self.job(f"run: sh -c 'trap \"exit {status}\" TERM; echo x >> begun; while :; do sleep 0.05; done'\nretries: 2")
                process = self.start("run", "job", stderr=subprocess.PIPE)
                wait_until(lambda: self.lines("begun"))
                self.hydraflow("cancel", "job", "1")
                told = process.communicate(timeout=60)[1].decode()
                self.assertIn("1 task: 1 interrupted", told)
                self.assertEqual((process.returncode, self.states(), self.lines("begun")), (1, ["interrupted"], ["x"]))
                os.remove(os.path.join(self.folder, "begun"))

    def test_cancel_of_what_goes_on_with_a_run(self) -> None:
        """It awaits a task of an earlier start, and begins no other one."""
        self.job("run: sh -c 'true $0; echo x >> begun; until test -e go; do sleep 0.05; done'\nsteps: [{batch: a=1:3}]")
        first = self.start("run", "job")
        wait_until(lambda: self.lines("begun"))
        first.kill()
        first.wait()
        second = self.start("run", "job", "--resume", stderr=subprocess.PIPE)
        wait_until(lambda: hydraflow.lock_holder(hydraflow.Record(self.records()[0])).startswith(f"process {second.pid} "))
        time.sleep(0.5)
        self.assertIn("asked 1 task to stop", self.hydraflow("cancel", "job").err)
        self.assertIn("1 interrupted, 2 not started", second.communicate(timeout=60)[1].decode())
        self.assertEqual((self.states(), self.lines("begun")), (["interrupted", "not started", "not started"], ["x"]))

    def test_what_runs_since_an_earlier_start_keeps_the_limits(self) -> None:
        """Its time is that since its start; and it counts for how many run at once."""
        self.job("run: sh -c 'true $0; echo x >> begun; until test -e go; do sleep 0.05; done'\nsteps: [{batch: a=1:4}]\nmax-parallel: 3")
        process = self.start("run", "job")
        wait_until(lambda: len(self.lines("begun")) == 3)
        process.kill()
        process.wait()
        time.sleep(1.5)
        self.hydraflow("run", "job", "--resume", "-j1", "--timeout", "3s")
        tasks = self.tasks()
        self.assertEqual([task["why"] for task in tasks.values()], ["timeout"] * 4)
        self.assertGreaterEqual(min(task["ended"] - task["started"] for task in tasks.values()), 2.9)
        self.assertGreaterEqual(tasks[4]["started"], max(tasks[number]["ended"] for number in (1, 2, 3)))

    def test_runs_of_hydra_in_the_directory_of_a_slot(self) -> None:
        os.mkdir(os.path.join(self.folder, "slot0"))
        self.write("app.sh", "mkdir -p ${4#*=}/0 ${4#*=}/1\n")
        self.write("hydraflow.yaml", f"jobs: {{job: {{run: sh {self.folder}/app.sh, working-directory: 'slot${{{{ task.slot }}}}', steps: [{{args: 'y=1,2'}}]}}}}\n")
        result = self.hydraflow("run", "job")
        self.assertEqual((result.status, self.states()), (0, ["succeeded"]), result.err)
        self.assertIn("1 had succeeded before", self.hydraflow("run", "job", "--resume").err)

    def test_a_handler_that_cannot_be_started(self) -> None:
        """It is told, and nothing more is to be expected of it."""
        self.write("handler", "\0")  # in no format that a system knows
        os.chmod(os.path.join(self.folder, "handler"), 0o755)
        self.job("run: 'true'\nsubmit: ./handler\nsteps: [{batch: a=1:2}]")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 1)
        self.assertIn(f"error: ./handler cannot be started: {os.strerror(errno.ENOEXEC)}", result.err.splitlines())
        self.assertEqual([task["why"] for task in self.tasks().values()], ["handler"] * 2)
        self.write("handler", "#!/bin/sh\nsh $1\n")
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(self.states(), ["succeeded"] * 2)

    def test_a_handler_without_a_first_line(self) -> None:
        """A shell would execute it, and env does; nothing is handed over by mistake, and nothing recorded."""
        self.write("handler", "sh $1\n")
        os.chmod(os.path.join(self.folder, "handler"), 0o755)
        for command in ("run: 'true'\n", ""):
            self.job(f"{command}submit: ./handler\nsteps: [{{batch: a=1:2}}]")
            result = self.hydraflow("run", "job")
            self.assertIn("error: ./handler has no #! line, and is not executed without a shell\n", result.err)
            self.assertEqual((result.status, self.records()), (2, []))
        self.job("run: 'true'\nsubmit: env A=1 ./handler\nsteps: [{batch: a=1:2}]")
        self.assertEqual((self.hydraflow("run", "job").status, self.states()), (0, ["succeeded"] * 2))

    def test_a_handler_that_never_was_started(self) -> None:
        """HydraFlow was killed just before."""
        self.write("handler", "#!/bin/sh\nsh $1\n")
        os.chmod(os.path.join(self.folder, "handler"), 0o755)
        self.job("run: 'true'\nsubmit: ./handler\nsteps: [{batch: a=1:2}]")
        code = "import os, hydraflow; hydraflow.spawn = lambda *words: os.kill(os.getpid(), 9); hydraflow.main(['run', 'job'])"
        self.assertEqual(subprocess.call([sys.executable, "-c", code], cwd=self.folder), -signal.SIGKILL)
        self.assertEqual([task["why"] for task in self.tasks().values()], ["handler"] * 2)
        self.assertEqual(self.hydraflow("run", "job", "--resume", "--wait").status, 0)
        self.assertEqual(self.states(), ["succeeded"] * 2)

    def test_a_handler_that_says_that_tasks_have_failed(self) -> None:
        """As GNU parallel and xargs do: what the job says of failures holds for the steps behind it as it does here."""
        self.write("handler", "#!/bin/sh\nwhile read -r line; do sh -c \"$line\" || status=1; done < $1\nexit $status\n")
        os.chmod(os.path.join(self.folder, "handler"), 0o755)
        for submit in ("", "submit: ./handler\n"):
            for fail_fast, states in (("", ["succeeded", "failed", "waiting"]), ("fail-fast: false\n", ["succeeded", "failed", "succeeded"])):
                with self.subTest(submit=submit, fail_fast=fail_fast):
                    self.job(f"run: sh -c 'test $0 != a=2'\n{submit}{fail_fast}steps: [{{batch: a=1:2}}, {{batch: b=1}}]")
                    self.assertEqual(self.hydraflow("run", "job").status, 1)
                    self.assertEqual(self.states(), [state.replace("waiting", "not started") for state in states])

    def test_a_new_run_that_reuses(self) -> None:
        self.job("run: sh -c 'echo $0; echo $0 >> done'\nsteps: [{batch: a=1:2}]")
        self.hydraflow("run", "job")
        self.job("run: sh -c 'echo $0; echo $0 >> done'\nsteps: [{batch: a=1:3}]")
        result = self.hydraflow("run", "job", "--reuse")
        self.assertIn("3 tasks: 1 succeeded, 2 had succeeded before", result.err)
        self.assertEqual((self.lines("done"), len(self.records())), (["a=1", "a=2", "a=3"], 2))
        self.assertEqual(self.hydraflow("logs", "job", "2").out, "a=2\n")
        self.assertEqual(self.tasks()[2]["log"].split("/")[2], os.path.basename(self.records()[0]))

    def application(self, values: str) -> None:
        """Write a job whose tasks each make two directories, as Hydra does for two runs, once they may go on."""
        self.write("app.sh", "echo $2 >> begun; until test -e go; do sleep 0.05; done; mkdir -p ${5#*=}/0 ${5#*=}/1\n")
        self.write("hydraflow.yaml", f"jobs: {{job: {{run: sh app.sh, steps: [{{batch: 'x={values}', args: 'y=1,2'}}]}}}}\n")

    def test_what_is_known_of_runs_of_hydra_without_their_directories(self) -> None:
        """An older success that counts left them elsewhere; what still runs makes them; else they are made again."""
        self.application("1,2")
        process = self.start("run", "job", "--jobs", "2")
        wait_until(lambda: len(self.lines("begun")) == 2)
        process.kill()
        process.wait()
        again = self.start("run", "job", "--resume")
        time.sleep(0.5)
        self.write("go", "")
        self.assertEqual((again.wait(30), sorted(self.lines("begun"))), (0, ["x=1", "x=2"]))
        self.application("1,2,3")
        for option, told in (("--reuse", "1 succeeded, 2 had succeeded before"), ("--resume", "3 had succeeded before")):
            self.assertIn(f"3 tasks: {told}", self.hydraflow("run", "job", option).err)
        os.rmdir(os.path.join(self.folder, self.tasks()[3]["dir"], "1"))
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        ledgers = [hydraflow.Ledger(hydraflow.Record(record)) for record in self.records()]
        self.assertEqual([[start.number for start in ledger.starts] for ledger in ledgers], [[1, 2], [1, 2, 3]])
        self.assertEqual((self.lines("begun")[2:], len(self.records())), (["x=3", "x=3"], 2))

    def test_a_task_keeps_its_number_and_its_directory(self) -> None:
        """Also where others come before it; its own words stay those that were executed."""
        command = "run: sh -c 'mkdir -p $1; echo $0 >> $1/tries; test -e go || test $0 = a=1'\nenv: {OUT: 1}\n"
        self.job(command + "with: ${{ task.dir }}\nsteps: [{batch: a=1:2}]")
        self.hydraflow("run", "job")
        before = self.tasks()
        self.write("go", "")
        self.job(command + "with: ${{ task.dir }}\nsteps: [{batch: a=0:2}]")
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        after = self.tasks()
        self.assertEqual(sorted(after), [1, 2, 3])
        for number in (1, 2):
            for name in ("argv", "dir", "params"):
                self.assertEqual(after[number][name], before[number][name])
        self.assertEqual(after[1]["started"], before[1]["started"])
        self.assertEqual(after[3]["params"], {"a": "0"})
        self.assertEqual(self.lines(os.path.join(before[2]["dir"], "tries")), ["a=2", "a=2"])
        self.assertEqual([after[number]["attempts"] for number in (1, 2, 3)], [1, 2, 1])

    def test_what_is_no_longer_in_the_sweep_is_not_counted(self) -> None:
        self.job("run: sh -c 'echo $0 >> done; test $0 != a=3'\nsteps: [{batch: a=1:3}]")
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        self.job("run: sh -c 'echo $0 >> done; test $0 != a=3'\nsteps: [{batch: \"a=5,2\"}]")
        result = self.hydraflow("run", "job", "--resume")
        self.assertEqual(result.status, 0, result.err)
        self.assertIn("2 tasks: 1 succeeded, 1 had succeeded before", result.err)
        self.assertEqual({number: task["params"]["a"] for number, task in self.tasks().items()}, {4: "5", 2: "2"})
        self.assertIn("job: 2 of 2 tasks done (100%), ", self.hydraflow("status", "job").out)

    def test_what_a_task_is_known_by(self) -> None:
        """Its command line: another value of env, directory or time limit does not make another task of it."""
        self.job("run: sh -c 'echo $0 $X >> done; test -e go'\nenv: {X: old}\nsteps: [{batch: a=1:2}]")
        self.hydraflow("run", "job")
        self.write("go", "")
        self.job("run: sh -c 'echo $0 $X >> done; test -e go'\nenv: {X: new}\nsteps: [{batch: a=1:2}]")
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.job("run: sh -c 'echo $0 $X >> done; test -e go'\nenv: {X: newer}\nsteps: [{batch: a=1:2}]")
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(self.lines("done"), ["a=1 old", "a=2 old", "a=1 new", "a=2 new"])
        self.assertEqual(sorted(self.tasks()), [1, 2])
        self.job("run: sh -c 'echo $X >> done'\nsteps: [{batch: '$X=1:2'}]")
        self.hydraflow("run", "job")
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(self.lines("done")[4:], ["1", "2"])

    def test_a_needed_job_is_gone_on_with(self) -> None:
        self.write("hydraflow.yaml", "jobs:\n  a: {run: sh -c 'echo $0 >> done; test -e go || test $0 = x=1', hydra: false, steps: [{batch: x=1:2}]}\n"
                                     "  b: {run: sh -c 'echo b >> done', hydra: false, needs: a}\n")
        result = self.hydraflow("run", "b")
        self.assertEqual((result.status, self.lines("done")), (1, ["x=1", "x=2"]))
        self.assertIn("job a has not succeeded, so b was not started", result.err.splitlines())
        self.assertEqual(self.records("b"), [])
        self.write("go", "")
        for _ in range(2):
            self.assertEqual(self.hydraflow("run", "b").status, 0)
        self.assertEqual(self.lines("done"), ["x=1", "x=2", "x=2", "b", "b"])
        self.assertEqual((len(self.records("a")), len(self.records("b"))), (1, 2))

    def test_what_is_said_of_the_run_before(self) -> None:
        self.job("run: sh -c 'test $0 != a=2'\nsteps: [{batch: a=1:3}]")
        self.hydraflow("run", "job")
        result = self.hydraflow("run", "job")
        self.assertRegex(result.err, r"^the run of \d\d:\d\d has succeeded in 2 of 3 tasks; --resume goes on with it\n")
        self.job("run: sh -c 'until test -e go; do sleep 0.05; done; true $0'\nsteps: [{batch: a=1:2}]")
        first = self.start("run", "job")
        wait_until(lambda: len(self.records()) == 3 and "running" in self.states())
        second = self.start("run", "job")
        wait_until(lambda: len(self.records()) == 4 and "running" in self.states())
        result = self.hydraflow("cancel", "job")
        self.assertEqual((result.status, result.err), (0, "asked 2 tasks to stop\n"))
        self.assertIn(b"is still executed; this one begins beside it", second.communicate(timeout=30)[0])
        self.assertEqual((first.wait(30), second.returncode), (130, 130))
        self.assertEqual(self.hydraflow("cancel", "job").err, "asked 0 tasks to stop\n")
        self.assertEqual(self.states(), ["interrupted", "not started"])

    def test_one_task_is_cancelled(self) -> None:
        """It is not tried again, and the others go on."""
        self.job("run: sh -c 'test $0 != a=2 || sleep 60; until test -e go; do sleep 0.05; done'\nmax-parallel: 2\nretries: 2\nsteps: [{batch: a=1:3}]")
        first = self.start("run", "job")
        wait_until(lambda: self.records() and self.states()[:2] == ["running", "running"])
        self.assertEqual(self.hydraflow("cancel", "job", "2").err, "asked 1 task to stop\n")
        wait_until(lambda: self.states() == ["running", "interrupted", "running"])
        self.write("go", "")
        out = first.communicate(timeout=30)[0]
        self.assertEqual((first.returncode, self.states()), (1, ["succeeded", "interrupted", "succeeded"]), out)
        self.assertEqual([task["attempts"] for task in self.tasks().values()], [1, 1, 1])

    def test_two_resumes_at_once(self) -> None:
        self.job("run: sh -c 'echo x >> begun; until test -e go; do sleep 0.05; done; true $0'\nsteps: [{batch: a=1:2}]")
        first = self.start("run", "job", "--resume")
        wait_until(lambda: self.lines("begun"))
        result = self.hydraflow("run", "job", "--resume")
        self.assertEqual(result.status, 2)
        self.assertIn(f"job job is being run by process {first.pid} on", result.err)
        self.write("go", "")
        self.assertEqual(first.wait(30), 0)
        self.assertEqual(self.lines("begun"), ["x", "x"])

    @unittest.skipUnless(shutil.which("git"), "not installed: git")
    def test_commits(self) -> None:
        self.job("run: sh -c 'true $0; test -e go'\nsteps: [{batch: a=1:2}]")
        for words in (["init", "-q"], ["add", "hydraflow.yaml"], ["commit", "-q", "-m", "one"]):
            self.git(*words)
        self.hydraflow("run", "job")
        first = self.git("rev-parse", "HEAD")
        self.assertEqual(json.loads(self.hydraflow("status", "job", "--json").out)["commit"], first)
        self.assertFalse(self.plan_start()["is_dirty"])
        self.git("commit", "-q", "--allow-empty", "-m", "two")
        self.write("go", "")
        result = self.hydraflow("run", "job", "--resume")
        second = self.git("rev-parse", "HEAD")
        self.assertIn(f"the run of job began at commit {first[:10]}, and goes on at {second[:10]}\n", result.err)
        self.job("run: 'true'")
        self.hydraflow("run", "job")
        self.assertTrue(self.plan_start()["is_dirty"])

    def plan_start(self) -> "dict":
        """Return what the plan of the newest run says of its first start."""
        with open(f"{self.records()[-1]}/plan.jsonl") as file:
            return json.loads(file.read().split("\n")[1])

    def git(self, *words: str) -> str:
        """Execute git in the folder."""
        names = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.check_output(["git", *names, *words], cwd=self.folder).decode().strip()

    def test_a_dry_run_that_resumes(self) -> None:
        """It prints what would be executed, and changes nothing."""
        self.job("run: sh -c 'test $0 != a=2'\nsteps: [{batch: a=1:3}]")
        self.hydraflow("run", "job")
        before = subprocess.check_output(["find", ".hydraflow", "-type", "f", "-size", "-9999"], cwd=self.folder)
        self.assertEqual(self.hydraflow("run", "job", "--resume", "--dry-run").out, "sh -c 'test $0 != a=2' a=2\n")
        self.job("run: sh -c 'test $0 != a=2'\nsubmit: sbatch\nsteps: [{batch: a=1:3}]")
        for option, numbers in (("--resume", "1-1"), ("--reuse", "1-1"), ("--quiet", "1-3")):
            out = self.hydraflow("run", "job", option, "--dry-run").out
            self.assertRegex(out.splitlines()[0], f"^# sbatch .* --array={numbers} ", option)
        self.assertEqual(subprocess.check_output(["find", ".hydraflow", "-type", "f", "-size", "-9999"], cwd=self.folder), before)

    def test_overrides_of_the_command_line(self) -> None:
        """A sweep in place of the job's own word, in batch, include and args; what no one knows is an error."""
        self.job("run: echo\nwith: c=9\nsteps: [{batch: a=1:2 --seed=1, include: a=7 b=8, args: d=1}]")
        for argv, out in ((("a=5",), "a=5 --seed=1 d=1 c=9|a=5 b=8 d=1 c=9"), (("c=3", "e=4"), "a=1 --seed=1 d=1 c=3 e=4|a=2 --seed=1 d=1 c=3 e=4|a=7 b=8 d=1 c=3 e=4"),
                          (("--seed=5:6", "a=1"), "a=1 --seed=5 d=1 c=9|a=1 --seed=6 d=1 c=9|a=1 b=8 d=1 c=9"),
                          (("a=1", "--", "-v", "x"), "-v x a=1 --seed=1 d=1 c=9|-v x a=1 b=8 d=1 c=9")):
            with self.subTest(argv=argv):
                result = self.hydraflow("run", "job", *argv)
                self.assertEqual((result.status, result.out.split("\n")[:-1]), (0, out.split("|")), result.err)
        for argv, message in ((("--dryrun",), "run does not know --dryrun\nhint: did you mean --dry-run?"), (("--resum",), "did you mean --resume"),
                              (("-n",), "run does not know -n"), (("--lr=3",), "run does not know --lr"), (("evaluate",), "evaluate is neither"),
                              (("--max-parallel", "3"), "run does not know --max-parallel")):
            with self.subTest(argv=argv):
                count = len(self.records())
                result = self.hydraflow("run", "job", *argv)
                self.assertEqual((result.status, result.out, len(self.records())), (2, "", count))
                self.assertIn(message, result.err)


class Ends(Program):
    """What an end means, whoever brought it about."""

    def test_what_was_asked_to_stop_has_not_succeeded(self) -> None:
        self.job("run: bash -c 'trap \"exit 0\" TERM INT; echo x >> begun; while :; do sleep 0.05; done'\ntimeout-minutes: 0.02")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 1)
        self.assertIn("failed: time limit", result.err)
        self.assertEqual([(task["state"], task["why"]) for task in self.tasks().values()], [("failed", "timeout")])
        self.job("run: bash -c 'trap \"exit 0\" TERM INT; echo x >> begun; while :; do sleep 0.05; done'")
        process = self.start("run", "job", "--resume", start_new_session=True)
        wait_until(lambda: len(self.lines("begun")) == 2)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 130)
        self.assertEqual([(task["state"], task["exit_status"], task["attempts"]) for task in self.tasks().values()], [("interrupted", 0, 2)])

    def test_the_grace_belongs_to_the_group(self) -> None:
        """The leader of a task ends at once, what it started takes a second to save its work; what ignores the signal is killed."""
        self.write("inner", "trap 'sleep 1; echo saved > saved; exit' TERM\necho x > begun\nwhile :; do sleep 0.05; done\n")
        self.job("run: bash -c 'bash inner & (trap \"\" TERM; sleep 77.77) & wait'")
        process = self.start("run", "job", start_new_session=True, env={**os.environ, "HYDRAFLOW_GRACE": "6"})
        wait_until(lambda: self.lines("begun"))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 130)
        self.assertEqual(self.lines("saved"), ["saved"])
        self.assertNotIn(b"sleep\x0077.77", self.command_lines())

    def command_lines(self) -> bytes:
        """Return the command lines of all processes."""
        texts = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    texts.append(file.read())
            except OSError:
                pass
        return b"\n".join(texts)

    def test_what_was_killed_is_gone_before_the_next_attempt(self) -> None:
        """Also what needs a moment for that: the second attempt finds nobody else at work."""
        self.job("run: sh -c 'exec 9>lock; flock -n 9 || echo $0 >> twice; echo $0 >> tries; test $(grep -c . tries) != 1 || "
                 "{ head -c 300000000 /dev/zero | tail > /dev/null & sleep 0.5; kill -9 $(ps -o ppid= -p $$); sleep 99; }'\nsteps: [{batch: a=1}]\nretries: 1")
        for _ in range(3):
            result = self.hydraflow("run", "job")
            self.assertEqual((result.status, self.lines("tries"), self.lines("twice")), (0, ["a=1"] * 2, []), result.err)
            os.unlink(os.path.join(self.folder, "tries"))

    def test_the_recording_shell_alone_is_killed(self) -> None:
        """What it left is ended before an end is told, and there is never a second one beside it."""
        self.job("run: sh -c 'echo $PPID > shell; echo x >> begun; echo $$ >> pids; sleep 66.6'\nretries: 1")
        process = self.start("run", "job")
        wait_until(lambda: self.lines("begun"))
        os.kill(int(self.read("shell")), signal.SIGKILL)
        wait_until(lambda: len(self.lines("begun")) == 2)
        self.assertFalse(is_alive(self.lines("pids")[0]))
        self.hydraflow("cancel", "job")
        self.assertEqual(process.wait(30), 130)

    def test_what_outlives_its_shell_and_hydraflow_is_awaited(self) -> None:
        self.job("run: sh -c 'echo $PPID > shell; echo x >> begun; until test -e go; do sleep 0.05; done'")
        process = self.start("run", "job")
        wait_until(lambda: self.lines("begun"))
        process.kill()
        process.wait()
        os.kill(int(self.read("shell")), signal.SIGKILL)
        self.assertEqual(self.states(), ["running"])
        again = self.start("run", "job", "--resume")
        time.sleep(0.5)
        self.assertEqual((again.poll(), self.lines("begun")), (None, ["x"]))
        self.write("go", "")
        self.assertEqual(again.wait(30), 0)
        self.assertEqual(self.lines("begun"), ["x", "x"])  # of the first one no end was told

    def test_a_resume_that_awaits_a_task_which_is_killed(self) -> None:
        """It executes it once more; the next resume does not."""
        self.job("run: sh -c 'echo $$ >> begun; echo out; test -e go || sleep 55.5; true $0'\nsteps: [{batch: a=1}]")
        process = self.start("run", "job")
        wait_until(lambda: self.lines("begun"))
        process.kill()
        process.wait()
        again = self.start("run", "job", "--resume")
        time.sleep(0.3)
        self.write("go", "")
        os.killpg(os.getpgid(int(self.lines("begun")[0])), signal.SIGKILL)
        self.assertEqual(again.wait(30), 0)
        for _ in range(2):
            self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(len(self.lines("begun")), 2)
        self.assertEqual(self.hydraflow("logs", "job", "1").out, "out\n==> attempt 2 <==\nout\n")

    def test_ctrl_c_of_a_resume_stops_all_that_it_awaits(self) -> None:
        self.job("run: sh -c 'echo $$ >> pids; sleep 44.4; true $0'\nmax-parallel: 3\nsteps: [{batch: a=1:4}]")
        process = self.start("run", "job")
        wait_until(lambda: len(self.lines("pids")) == 3)
        process.kill()
        process.wait()
        again = self.start("run", "job", "--resume", "-j1")
        wait_until(lambda: len(glob.glob(f"{self.records()[0]}/events/*")) == 2)
        again.send_signal(signal.SIGINT)
        self.assertEqual(again.wait(30), 130)
        self.assertEqual(self.states(), ["interrupted"] * 3 + ["not started"])
        self.assertEqual([pid for pid in self.lines("pids") if is_alive(pid)], [])

    def test_a_retry_shows_its_own_output_alone(self) -> None:
        self.job("run: sh -c 'echo x >> tries; echo try $(wc -l < tries); test $(wc -l < tries) = 3'\nretries: 2")
        result = self.hydraflow("run", "job")
        self.assertEqual((result.status, result.out), (0, "try 1\ntry 2\ntry 3\n"))
        self.assertEqual(result.err.count("task 1 failed, and is tried again\n"), 2)
        self.assertEqual(self.hydraflow("logs", "job", "1").out, "try 1\n==> attempt 2 <==\ntry 2\n==> attempt 3 <==\ntry 3\n")

    def test_causes_are_told_apart(self) -> None:
        """By the last line that says something, not by the advice that Hydra ends with."""
        advice = "Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace."
        self.job(f"run: sh -c 'echo Error of $0; echo; echo \"{advice}\"; exit 1'\nsteps: [{{batch: a=1:2}}]")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.err.count("failed: exit status 1"), 4)
        out = self.hydraflow("status", "job").out
        self.assertIn("[1 a=1] failed: exit status 1: Error of a=1\n", out)
        self.assertIn("[2 a=2] failed: exit status 1: Error of a=2\n", out)


class Reading(Program):
    """What a look at a record costs."""

    @unittest.skipUnless(shutil.which("strace"), "not installed: strace")
    def test_each_file_is_opened_once(self) -> None:
        """Of a chain of ten steps, and of one in which a task runs."""
        steps = ", ".join(f"{{batch: \"a{number}=1:3\"}}" for number in range(10))
        self.job(f"run: sh -c 'echo $0; test $0 != last=1 || until test -e go; do sleep 0.1; done'\nsteps: [{steps}, {{batch: last=1}}]")
        run = self.start("run", "job")
        wait_until(lambda: self.records() and self.states()[-1:] == ["running"] and len(self.states()) == 31)
        for _ in range(2):
            subprocess.check_call(["strace", "-f", "-e", "trace=open,openat", "-o", "trace", sys.executable, "-m", "hydraflow", "status", "job"],
                                  cwd=self.folder, stdout=subprocess.DEVNULL)
            with open(os.path.join(self.folder, "trace"), encoding="utf-8", errors="replace") as file:
                paths = [line.split('"')[1] for line in file if "/.hydraflow/job/0" in line and "O_DIRECTORY" not in line and "ENOENT" not in line]
            self.assertEqual(len(paths), len(set(paths)), paths)
            self.assertIn("plan.jsonl", {os.path.basename(path) for path in paths})
            self.write("go", "")
            run.wait(60)


class Guarded(Program):
    """Records are input, and hold no secrets."""

    def test_a_record_of_another_format_is_refused_by_name(self) -> None:
        self.job("run: sh -c 'echo $0 >> done'\nsteps: [{batch: a=1:3}]")
        shutil.copytree(os.path.join(ROOT, "tests", "cases", "record-1.0.0"), os.path.join(self.folder, ".hydraflow", "job"))
        for argv in (("status", "job"), ("logs", "job"), ("run", "job", "--resume"), ("run", "job", "--resume", "--dry-run")):
            with self.subTest(argv=argv):
                result = self.hydraflow(*argv)
                self.assertEqual((result.status, result.out), (2, ""))
                self.assertIn("was written by HydraFlow 1.0.0, and is not read here", result.err)
        result = self.hydraflow("run", "job", "--reuse")
        self.assertEqual((result.status, self.lines("done")), (0, ["a=1", "a=2", "a=3"]), result.err)
        self.assertIn("3 had succeeded before", self.hydraflow("run", "job", "--reuse").err)
        self.assertEqual(len(self.lines("done")), 3)

    def test_an_error_in_reading_is_not_nothing(self) -> None:
        self.job("run: sh -c 'echo $0 >> done; test $0 != a=2'\nsteps: [{batch: a=1:2}]")
        self.hydraflow("run", "job")
        events, = glob.glob(f"{self.records()[0]}/events/*")
        os.rename(events, events + ".away")
        os.mkdir(events)
        for argv in (("run", "job", "--resume"), ("status", "job"), ("logs", "job"), ("cancel", "job")):
            with self.subTest(argv=argv):
                result = self.hydraflow(*argv)
                self.assertIn(result.status, (1, 2))
                self.assertIn("Is a directory", result.err)
        self.assertEqual(self.lines("done"), ["a=1", "a=2"])

    def test_nothing_is_written_through_a_link(self) -> None:
        self.job("run: sh -c 'exit 1'")
        self.write("mine", "precious\n")
        self.hydraflow("run", "job")
        for name in ("lock", "plan.jsonl"):
            path = os.path.join(self.records()[0], name)
            os.rename(path, path + ".away")
            os.symlink(os.path.join(self.folder, "mine"), path)
            result = self.hydraflow("run", "job", "--resume")
            self.assertEqual(result.status, 2)
            self.assertIn("it is a symbolic link", result.err)
            os.replace(path + ".away", path)
        self.assertEqual(self.read("mine"), "precious\n")

    def test_secrets_stay_in_the_environment(self) -> None:
        self.job("run: sh -c 'echo $TOKEN-$BOTH >> seen; exit 1'\nenv: {TOKEN: '${{ env.SECRET }}', BOTH: 'x${{ env.TOKEN }}'}")
        result = self.hydraflow("run", "job", env={"SECRET": "hunter2"})
        self.assertEqual(self.lines("seen"), ["hunter2-xhunter2"])
        self.assertNotIn("hunter2", result.err + self.hydraflow("status", "job", "--json", env={"SECRET": "hunter2"}).out)
        for folder, _, names in os.walk(os.path.join(self.folder, ".hydraflow")):
            for path in (os.path.join(folder, name) for name in names):
                if not os.path.islink(path):  # a claim
                    with open(path, "rb") as file:
                        self.assertNotIn(b"hunter2", file.read(), path)

    def test_variables_that_a_shell_would_drop(self) -> None:
        self.write("show.py", "import os\nprint(os.environ.get('FOO.BAR'), os.environ.get('BASH_FUNC_module%%'), os.environ['X'])\n")
        self.job(f"run: {sys.executable} show.py\nenv: {{X: '1 2'}}")
        result = self.hydraflow("run", "job", env={"FOO.BAR": "a b", "BASH_FUNC_module%%": "() { :; }"})
        self.assertEqual(result.out, "a b () { :; } 1 2\n")

    def test_parts_of_a_record_that_are_gone(self) -> None:
        """Run and status say the same of a record whose events were removed, and of a task that kills its own group."""
        self.job("run: sh -c 'test $0 = a=2 || kill -9 0; echo $0 >> done'\nsteps: [{batch: a=1:3}]")
        result = self.hydraflow("run", "job")
        self.assertIn("2 tasks failed: SIGKILL (exit status 137)", result.err)
        self.assertIn("  2 failed, 1 succeeded", self.hydraflow("status", "job").out.splitlines())
        shutil.rmtree(f"{self.records()[0]}/events")
        self.assertIn("3 not started", self.hydraflow("status", "job").out)
        self.assertRegex(self.hydraflow("run", "job", "--resume").err, r"(?m)^2 tasks failed: SIGKILL \(exit status 137\)")
        self.assertIn("  2 failed, 1 succeeded", self.hydraflow("status", "job").out.splitlines())

    def test_a_run_of_a_time_to_come(self) -> None:
        """A clock that was set back: runs that begin at once stand behind the last one, in the year 10895."""
        self.job("run: 'true'")
        self.hydraflow("run", "job")
        os.rename(self.records()[0], os.path.join(os.path.dirname(self.records()[0]), "7ZZZZZZZZZZZZZZZZZZZZZZZZY"))
        processes = [subprocess.Popen([sys.executable, "-m", "hydraflow", "run", "job"], cwd=self.folder, stderr=subprocess.PIPE) for _ in range(6)]
        for process in processes:
            err = process.communicate()[1]
            self.assertEqual((process.returncode, b"Traceback" in err), (0, False), err)
        self.assertEqual(len(glob.glob(os.path.join(self.folder, ".hydraflow", "job", "*"))), 7)
        for argv in (("status",), ("status", "job", "--all"), ("status", "job", "--json"), ("results", "job"), ("logs", "job"), ("clean", "job", "--dry-run")):
            result = self.hydraflow(*argv)
            self.assertEqual((result.status, "Traceback" in result.err), (0, False), result.err)

    def test_any_bytes_in_a_record(self) -> None:
        """Lines that make no sense are passed over, or told; there is no traceback, and nothing is signalled."""
        self.job("run: sh -c 'true $0; exit 1'\nsteps: [{batch: a=1:2}]")
        self.hydraflow("run", "job")
        events, = glob.glob(f"{self.records()[0]}/events/*")
        for line in ('{"task":1,"try":9,"event":"start","pid":1,"born":0,"up":1e308}', '{"task":"x","event":"end"}', "[]", '{"event":"writer","pid":"x"}',
                     '{"task":1,"try":10,"event":"start","pid":-1}', '{"event":"writer","host":7,"epoch":1e99}', '{"task":1,"try":11,"event":"frobnicate"}', "[" * 99999):
            with open(events, "a") as file:
                file.write("\n" + line)
            result = self.hydraflow("status", "job", "--json")
            self.assertNotIn("Traceback", result.err)
            self.assertEqual(result.status, 0, (line, result.err))
        self.assertEqual(self.hydraflow("cancel", "job").status, 0)
        with open(f"{self.records()[0]}/plan.jsonl", "a") as file:
            file.write('\n{"task":1,"step":1,"argv":[7]}')
        result = self.hydraflow("run", "job", "--resume")
        self.assertEqual(result.status, 2)
        self.assertIn("plan.jsonl is damaged", result.err)


SUBMISSIONS = (  # submit, what else is in the job, column in the line of submit, the message, the hint; nothing is submitted
    ("sbatch job.sh", "run: echo", 20, "job.sh would be executed in place of the command of this job",
     "leave it out: setup: has the lines of shell that prepare a task; without run: and call:, sbatch gets the script and a file of parameters"),
    ("sbatch", "steps: [{batch: a=1}]", 13, "there is nothing that sbatch could execute", "write run: or call: beside submit:, with the command of the tasks"),
    ("sbatch -pgpu", "steps: [{batch: a=1}]", 13, "there is nothing that sbatch could execute", "write run: or call: beside submit:, with the command of the tasks"),
    ("sbatch -pgpu --array=1-3", "run: echo", 26, "HydraFlow gives sbatch an option that would win over --array", "the steps of the job make the array; max-parallel: how many array tasks at once"),
    ("sbatch -o x -J 'a b'", "run: echo", 20, "HydraFlow gives sbatch an option that would win over -o", "leave it out: each task has a log of its own, which hydraflow logs JOB shows"),
    ("sbatch -o x -J 'a b'", "run: echo", 25, "HydraFlow gives sbatch an option that would win over -J", "name: in the job is what the array job is called after"),
    ("sbatch -d afterok:1", "run: echo\nsteps: [{batch: a=1}, {batch: a=2}]", 20, "HydraFlow gives sbatch an option that would win over -d",
     "needs: in a job, and the order of its steps, say what waits for what"),
    ("sbatch --wrap x", "run: echo", 20, "HydraFlow gives sbatch an option that would win over --wrap", "run: takes the command"),
    ("qsub -S /bin/sh", "run: echo", 18, "HydraFlow gives qsub an option that would win over -S", "leave it out: setup: has the lines of shell that prepare a task"),
    ("parallel -j 2", "run: echo", 13, "parallel would not read the lines of the file that is its last argument", "write submit: 'parallel -j 2 ::::'"),
    ("parallel -a -j2", "run: echo", 13, "parallel would not read the lines of the file that is its last argument", "write submit: 'parallel -j2 ::::'"),
    ("xargs -n 1", "run: echo", 13, "xargs would not read the lines of the file that is its last argument", """write submit: sh -c 'tr "\\n" "\\0" < "$0" | xargs -0 -n 1 -P 2 sh -c'"""),
    ("env A=1 xargs -a", "run: echo", 13, "xargs would not read the lines of the file that is its last argument", """write submit: sh -c 'tr "\\n" "\\0" < "$0" | xargs -0 -n 1 -P 2 sh -c'"""),
)


class Submitting(Program):
    """What would submit something else than what was meant is an error, before anything executes."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("sbatch", "job.sh"):
            self.write(name, "#!/bin/sh\necho \"$@\" >> asked\necho Submitted batch job 7\n")
            os.chmod(os.path.join(self.folder, name), 0o755)
        self.path = {"PATH": self.folder + os.pathsep + os.environ["PATH"]}

    def test_mistakes(self) -> None:
        for submit, rest, column, message, hint in SUBMISSIONS:
            for option in ((), ("--dry-run",)):
                with self.subTest(submit=submit, option=option):
                    self.job(f"submit: {submit}\n{rest}")
                    result = self.hydraflow("run", "job", *option, env=self.path)
                    self.assertEqual((result.status, result.out), (2, ""), result.err)
                    lines = result.err.replace(f"{os.path.basename(sys.executable)} -m ", "").splitlines()
                    self.assertIn(f"hydraflow.yaml:4:{column}: error: {message}", lines)
                    self.assertIn(f"hint: {hint}", lines)
                    self.assertEqual(self.names(), ["hydraflow.py", "hydraflow.yaml", "job.sh", "sbatch"])

    def test_only_a_run_needs_what_submits(self) -> None:
        """What would be submitted can be seen on a machine without a scheduler."""
        os.mkdir(os.path.join(self.folder, "empty"))
        self.write("program", "#!/bin/sh\n")
        os.chmod(os.path.join(self.folder, "program"), 0o755)
        self.job("run: ./program\nsubmit: sbatch")
        bare = {"PATH": os.path.join(self.folder, "empty")}
        self.assertEqual(self.hydraflow("run", "job", "--dry-run", env=bare).status, 0)
        result = self.hydraflow("run", "job", env=bare)
        self.assertEqual((result.status, self.records()), (1, []))
        self.assertIn("error: there is no program sbatch\n", result.err)
        self.assertIn("; is this a machine from which jobs are submitted?\n", result.err)
        self.job("run: ./program\nsubmit: env A=1 B=2 sbatch -p gpu")
        self.assertIn("hydraflow.yaml:5:25: error: there is no program sbatch\n", self.hydraflow("run", "job", env=bare).err)

    def test_a_command_that_is_not_there_is_handed_to_nobody(self) -> None:
        self.job("run: nosuchprogram\nsubmit: sh")
        for option in ((), ("--dry-run",)):
            result = self.hydraflow("run", "job", *option)
            self.assertEqual((result.status, self.records()), (2, []))
            self.assertIn("error: there is no program nosuchprogram\n", result.err)

    def test_what_a_handler_would_get(self) -> None:
        """Commands as they can be typed; without command, parameters alone."""
        for text, line in (("run: echo\nsubmit: sh", "env A=1 echo a=1"), ("submit: cat", "a=1")):
            self.job(f"{text}\nenv: {{A: 1}}\nsteps: [{{batch: a=1}}]")
            self.assertEqual(self.hydraflow("run", "job", "--dry-run").out.split("\n")[1:], [line, ""])

    def test_numbers_of_what_would_be_submitted(self) -> None:
        """A dry run names each submission as a run would."""
        self.job("run: echo\nsubmit: sbatch\nsteps: [{batch: a=1}, {batch: a=2}, {batch: a=3}]")
        out = self.hydraflow("run", "job", "--dry-run", env=self.path).out
        self.assertEqual(re.findall("submissions/([0-9]+)[.]sh", out), ["1", "2", "3"])

    def test_a_script_alone_is_a_handler(self) -> None:
        """It gets the file of parameters as its last argument, as the original HydraFlow has it."""
        self.job("submit: sbatch -p gpu job.sh\nsteps: [{batch: 'a=1,2'}]")
        result = self.hydraflow("run", "job", env=self.path)
        self.assertEqual(result.status, 0, result.err)
        words = self.read("asked").split()
        self.assertEqual(words[:3], ["-p", "gpu", "job.sh"])
        with open(words[3], encoding="utf-8") as file:
            self.assertEqual(file.read(), "a=1\na=2\n")

    def test_what_was_accepted_without_an_id_is_kept(self) -> None:
        self.write("sbatch", "#!/bin/sh\necho thanks\n")
        self.write("squeue", "#!/bin/sh\n")
        os.chmod(os.path.join(self.folder, "squeue"), 0o755)
        self.job("submit: sbatch\nrun: echo")
        result = self.hydraflow("run", "job", env=self.path)
        self.assertEqual(result.status, 1, result.err)
        self.assertIn("sbatch accepted the submission, and named no id of a job: thanks", result.err)
        self.assertNotIn("refused", result.err)
        self.assertEqual(len(self.records()), 1)

    def test_the_right_forms_work(self) -> None:
        """Those that hints name, as a job file has them."""
        forms = []
        for submit in ("parallel -j 2", "xargs"):
            self.job(f"submit: {submit}\nrun: echo\nsteps: [{{batch: 'a=1,2'}}]")
            forms.append(self.hydraflow("run", "job", "--dry-run").err.partition("write submit: ")[2].rstrip("\n"))
        for form in forms[not shutil.which("parallel"):]:
            self.job(f"submit: {form}\nrun: echo\nsteps: [{{batch: 'a=1,2'}}]")
            self.assertIn("2 tasks: 2 succeeded", self.hydraflow("run", "job").err, form)


JOB = "jobs: {job: {run: sh -c 'echo x >> $0; test $0 = a=1 || test -e go', hydra: false, steps: [{batch: a=1:2}]}}"


class Slot(EmptyFolder):
    """An array job of one slot, whose array task is executed in this process."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.prepare(JOB)

    def prepare(self, text: str) -> None:
        """Write a submission of one slot into a record of its own."""
        options = hydraflow.Options(0, False, False, False, False, -1, 0.0, 0, 0, [])
        plan = hydraflow.plan(hydraflow.read_jobs(hydraflow.read_yaml(text))["job"])
        plan.steps[0].submit = ["sbatch"]
        run = hydraflow.open_run(plan, options, False, False)
        self.addCleanup(run.release)
        work = run.work(plan.steps[0], True)
        slots = [[[task.number, 1, run.offsets[task.number]] for task, _ in work.todo]]
        self.record = run.record
        hydraflow.write_submission(run.record, hydraflow.Submission(
            1, 1, 1, "slurm", "job", [], [1, 0, 0.0, False], True, 0, "", -1, slots, ""))

    def states(self) -> "list":
        """Return the states of the tasks."""
        return [state.name for _, state in sorted(hydraflow.read_told(self.record).states.items())]

    def test_the_plan_names_the_program_for_other_machines(self) -> None:
        """Where an array task begins, PATH may be another one."""
        slot, = hydraflow.read_submission(self.record, 1).slots
        programs = {hydraflow.task_at(self.record, offset)[1] for _, _, offset in slot}
        self.assertEqual(programs, {os.path.abspath(shutil.which("sh"))})

    def test_a_requeued_array_task_goes_on(self) -> None:
        """Its process may have a number that sorts before that of the first one: on another node, or with more digits."""
        with mock.patch("os.getpid", return_value=998):
            list(hydraflow.run_slot(self.record.path, 1, 1))
        self.assertEqual(self.states(), ["succeeded", "failed"])
        self.write("go", "")
        with mock.patch("os.getpid", return_value=1003):
            list(hydraflow.run_slot(self.record.path, 1, 1))
        self.assertEqual(self.states(), ["succeeded", "succeeded"])
        self.assertEqual((self.read("a=1"), self.read("a=2")), ("x\n", "x\nx\n"))

    def queue(self, limits: "list") -> "hydraflow.SlotQueue":
        """Return the tasks of the slot under other limits: how many at once, retries, seconds, whether a failure ends the rest."""
        submission = hydraflow.read_submission(self.record, 1, 1)._replace(limits=limits)
        return hydraflow.SlotQueue(self.record, submission, 1)

    def test_why_no_task_may_begin(self) -> None:
        """The step before has failed; another task has, where that ends the rest; the allocation ends before such a task would."""
        queue = self.queue([1, 0, 0.0, False])
        fast = self.queue([1, 0, 0.0, True])
        self.assertEqual((queue.why_not(), fast.why_not(), queue.end), ("", "", 0.0))
        hydraflow.write_file(self.record.stop_path(1), b"")
        self.assertEqual((queue.why_not(), fast.why_not()), ("", "fail-fast"))
        queue.begins = False
        self.assertEqual(queue.why_not(), "blocked")
        queue.begins = True
        now = time.time()
        for longest, end, why in ((0.0, now + 5, ""), (9.0, 0.0, ""), (9.0, now + 99, ""), (9.0, now + 5, "time"), (1.0, now - 5, "time")):
            queue.longest, queue.end = longest, end
            self.assertEqual(queue.why_not(), why, (longest, end - now))

    def test_a_failure_tells_the_others_where_it_is_to_end_them(self) -> None:
        for is_fast in (False, True):
            submission = hydraflow.read_submission(self.record, 1, 1)._replace(limits=[1, 0, 0.0, is_fast])
            with mock.patch.object(hydraflow, "read_submission", return_value=submission):
                list(hydraflow.run_slot(self.record.path, 1, 1))
            self.assertEqual(os.path.exists(self.record.stop_path(1)), is_fast)

    def test_the_longest_task_counts(self) -> None:
        """How long it took, by its own start and end."""
        queues = []
        init = hydraflow.SlotQueue.__init__

        def noted(queue: "hydraflow.SlotQueue", *arguments: object) -> None:
            init(queue, *arguments)
            queues.append(queue)

        with mock.patch.object(hydraflow.SlotQueue, "__init__", noted):
            begun = time.monotonic()
            list(hydraflow.run_slot(self.record.path, 1, 1))
        self.assertTrue(0.0 <= queues[0].longest <= time.monotonic() - begun, queues[0].longest)

    def test_what_somebody_else_has_claimed_is_left_alone(self) -> None:
        """Of another writer that does not tell an end, a claim is enough; one that has succeeded counts."""
        self.assertTrue(self.record.claim(1, 1, "0001_here_elsewhere-1"))
        self.assertFalse(self.record.claim(1, 1, "0001_here_elsewhere-2"))
        events = list(hydraflow.run_slot(self.record.path, 1, 1))
        self.assertIn("task 1 is executed by 0001_here_elsewhere-1", [event.text for event in events])
        self.assertFalse(os.path.exists("a=1"))
        self.assertEqual(self.read("a=2"), "x\n")
        hydraflow.append_event(self.record, "0001_here_elsewhere-1", "end", task=1, status=0, **{"try": 1})
        list(hydraflow.run_slot(self.record.path, 1, 1))
        self.assertFalse(os.path.exists("a=1"))
        self.assertEqual(self.states(), ["succeeded", "failed"])

    def test_who_lost_the_slot_begins_no_more(self) -> None:
        """A machine that its scheduler lost sight of goes on, while the slot has begun again on another one."""
        with mock.patch("os.getpid", return_value=1):
            older = self.queue([1, 0, 0.0, False])
        with mock.patch("os.getpid", return_value=2):
            later = self.queue([1, 0, 0.0, False])
        tasks = older.tasks()
        self.assertEqual(next(tasks)[0].number, 1)
        self.record.claim(1, 1, older.writer)
        first, state = next(later.tasks())
        self.assertEqual((first.number, state.attempt), (1, 1))  # it ran where it was lost
        self.assertEqual(list(tasks), [])
        self.assertEqual(older.others, ["another array task has this slot by now"])

    def test_byte_code_is_there_before_anything_is_submitted(self) -> None:
        """Compiled by the Python that executes it: array tasks that begin together would all do it; of one that is not here, none."""
        path = importlib.util.cache_from_source(self.record.program_path)
        codes = []
        for python in (["/nowhere/python"], [sys.executable], [sys.executable, "-B"]):
            with mock.patch.dict(os.environ, {"PYTHONPYCACHEPREFIX": "/nowhere"}), mock.patch.object(sys, "pycache_prefix", "/nowhere", create=True):
                hydraflow.write_script(self.record, hydraflow.read_submission(self.record, 1), python, "1")
            if os.path.exists(path):
                with open(path, "rb") as file:
                    codes.append(marshal.loads(file.read()[BYTE_CODE_HEAD:]))
                os.unlink(path)
            os.unlink(self.record.program_path)
        self.assertEqual(len(codes), 2)
        self.assertEqual(codes[0], codes[1])

    def test_a_slot_with_byte_code_or_without(self) -> None:
        """It is used as long as it is that of the copy; else the copy itself is read. Either way the slot is executed."""
        for use, is_whole in (("as it is", False), ("of another copy", True), ("missing", True)):
            with self.subTest(use):
                script = hydraflow.write_script(self.record, hydraflow.read_submission(self.record, 1), [sys.executable], '"$1"')
                path = importlib.util.cache_from_source(self.record.program_path)
                if use == "of another copy":
                    os.utime(self.record.program_path, (5, 5))
                elif use == "missing":
                    os.unlink(path)
                    self.write("go", "")
                text = self.read(script).replace("import hydraflow; ", 'import hydraflow; print(hasattr(hydraflow, "read_yaml")); ')
                process = subprocess.run(["sh", "-c", text, "sh", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                self.assertEqual((process.returncode, process.stderr, process.stdout.split()), (int(use != "missing"), b"", [str(is_whole).encode()]))
                for name in (self.record.program_path, script):
                    os.unlink(name)
        self.assertEqual((self.states(), self.read("a=1"), self.read("a=2")), (["succeeded"] * 2, "x\n", "x\nx\nx\n"))

    def test_what_a_slot_imports(self) -> None:
        """Nothing that takes longer to import than all else that it does."""
        script = hydraflow.write_script(self.record, hydraflow.read_submission(self.record, 1), [sys.executable], "1")
        process = subprocess.run(["sh", "-c", self.read(script).replace(" -S -E -c ", " -S -E -v -c ")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        imported = set(re.findall("^import '([^']+)'", process.stderr.decode(), re.MULTILINE))
        self.assertEqual((process.returncode, self.read("a=1"), "hydraflow" in imported), (1, "x\n", True))
        slow = {"argparse", "bisect", "decimal", "difflib", "json", "shlex", "tempfile", "typing"}
        if hasattr(os, "posix_spawn") and hydraflow.HAS_PROC:
            slow |= {"collections", "enum", "functools", "re", "subprocess", "threading"}
        self.assertEqual(imported & slow, set())

    def test_what_byte_code_holds(self) -> None:
        """Of the whole file a part, in which every name that something uses is there, or is one of Python's."""
        hydraflow.write_byte_code(shutil.copy(os.path.join(ROOT, "hydraflow.py"), self.folder))
        other = subprocess.run([sys.executable, "-S", "-E", "-m", "hydraflow", "show"], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((other.returncode, other.stdout), (1, b""))
        self.assertEqual(other.stderr.decode(), "hydraflow: the copy of a record executes array tasks, and nothing else\n")
        with open(importlib.util.cache_from_source("hydraflow.py"), "rb") as file:
            code = marshal.loads(file.read()[BYTE_CODE_HEAD:])
        module = {"__name__": "hydraflow", "__file__": "hydraflow.py"}
        exec(code, module)
        self.assertIn("slot_program", module)
        self.assertLess(len(module), len(vars(hydraflow)) / 2)
        waiting, used = [one for one in code.co_consts if hasattr(one, "co_code")], set()
        while waiting:
            one = waiting.pop()
            waiting += [part for part in one.co_consts if hasattr(part, "co_code")]
            used.update(line.argval for line in dis.get_instructions(one) if line.opname == "LOAD_GLOBAL")
        self.assertGreater(len(used), 200)
        self.assertEqual(used - set(module) - set(dir(builtins)), set())

    def test_a_signal_may_reach_a_task_first(self) -> None:
        """Behind it nothing begins for a moment, in which the scheduler's signal may reach us as well."""
        text = "jobs: {job: {run: sh -c 'date +%s.%N >> times; test $0 != a=1 || kill -TERM $$', hydra: false, steps: [{batch: 'a=COUNT'}]}}"
        for count, lull, times in (("1:2", 0.5, 2), ("1:2", 1000.0, 1), ("1", 1000.0, 1)):
            with self.subTest(count=count, lull=lull), mock.patch.object(hydraflow, "LULL", lull):
                self.prepare(text.replace("COUNT", count))
                for event in hydraflow.run_slot(self.record.path, 1, 1):
                    if event.kind == "end" and lull > 1 and count != "1":
                        os.kill(os.getpid(), signal.SIGTERM)
                moments = list(map(float, self.read("times").split()))
                self.assertEqual(len(moments), times)
                self.assertGreaterEqual(moments[-1] - moments[0], lull if times == 2 else 0.0)
                os.unlink("times")

    def test_an_allocation_on_other_machines_is_told(self) -> None:
        """salloc leaves its shell where it was typed; srun takes a command into the allocation."""
        inside = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]"}
        for variables, run, is_told in (
                ({}, "echo", False), (inside, "echo", True), (inside, "srun -n1 echo", False), (inside, "/usr/bin/srun echo", False),
                ({**inside, "SLURMD_NODENAME": "n1"}, "echo", False)):
            job = hydraflow.read_jobs(hydraflow.read_yaml(f"jobs: {{job: {{run: {run}, hydra: false, steps: [{{batch: a=1}}]}}}}"))["job"]
            with mock.patch.dict(os.environ, variables), self.subTest(variables=variables, run=run):
                told = list(hydraflow.outside_notes(hydraflow.plan(job).steps[0]))
                self.assertEqual(["allocation 7 is on n[1-2]" in text for text in told], [True] * is_told)

    def test_what_was_claimed_and_never_begun_is_submitted_as_another_attempt(self) -> None:
        """Who had claimed it was killed in that moment: its claim keeps nobody from the task."""
        self.record.claim(1, 1, "0001_slot-1-1_dead-1")
        self.record.claim(1, 2, "0002_slot-2-1_dead-2")
        run = mock.Mock(survey=True, record=self.record, offsets={1: 0, 2: 50})
        tasks = [(mock.Mock(number=number), hydraflow.State()) for number in (1, 2)]
        self.assertEqual(hydraflow.slot_entries(run, tasks), [[1, 3, 0], [2, 1, 50]])


def job_of(text: str = "") -> "hydraflow.Job":
    """Return a job with keys of its own."""
    return hydraflow.read_jobs(hydraflow.read_yaml(f"jobs: {{job: {{run: 'true', hydra: false{text}}}}}"))["job"]


def options_of(**changes: object) -> "hydraflow.Options":
    """Return what a command line asks, with changes of one that asks nothing."""
    return hydraflow.Options(0, False, False, False, False, -1, 0.0, 0, 0, [])._replace(**changes)


class Tables(EmptyFolder):
    """A folder that is the working directory, and states to fill tables with."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)

    def state(self, name: str, cause: str = "", **fields: object) -> "hydraflow.State":
        """Return a state."""
        state = hydraflow.State(1, 1)
        state.become(name, cause)
        for field, value in fields.items():
            setattr(state, field, value)
        return state


class Parts(Tables):
    """What a run is made of, each part by a table."""

    def run_of(self, text: str = "", **options: object) -> "hydraflow.Run":
        """Return a start of a run that nobody has written down."""
        return hydraflow.Run(hydraflow.plan(job_of(text)), options_of(**options), hydraflow.Record(".hydraflow/job/" + "0" * 26), True)

    def test_processors(self) -> None:
        """What is granted: the fewest that anything names."""
        for count, affinity, variables, quota, found in (
                (8, 8, {}, "", 8), (None, 4, {}, "", 1), (8, 3, {}, "max 100000", 3), (8, 8, {"SLURM_CPUS_ON_NODE": "2"}, "", 2), (8, 8, {"NSLOTS": "5", "PBS_NCPUS": "4"}, "", 4),
                (8, 8, {"LSB_DJOB_NUMPROC": "1"}, "", 1), (8, 8, {"NSLOTS": "0"}, "", 8), (8, 8, {"NSLOTS": "x"}, "", 8), (8, 8, {"NSLOTS": "1000000"}, "", 8), (8, 8, {}, "250000 100000", 2),
                (8, 8, {}, "50000 100000", 1), (8, 8, {}, "50000 0", 8), (8, 8, {}, "50000 x", 8), (8, 8, {}, "50000", 8), (8, 8, {}, "300000 100000 x", 8), (2, 2, {"NSLOTS": "16"}, "900000 100000", 2)):
            with self.subTest(count=count, affinity=affinity, variables=variables, quota=quota):
                names = ("SLURM_CPUS_ON_NODE", "NSLOTS", "PBS_NCPUS", "LSB_DJOB_NUMPROC")
                with mock.patch.dict(os.environ, {**dict.fromkeys(names, ""), **variables}), mock.patch("os.cpu_count", return_value=count), \
                        mock.patch("os.sched_getaffinity", {0: set(range(affinity))}.__getitem__), mock.patch.object(hydraflow, "first_line", return_value=quota):
                    self.assertEqual(hydraflow.processors(), found)

    def test_limits(self) -> None:
        """The command line's, else the job's, else usual ones."""
        for text, options, here, remote, throttle in (
                ("", {}, (1, 0, 0.0, False), (1, 0, 0.0, False), 0), (", max-parallel: 3, retries: 2, timeout-minutes: 1.5, fail-fast: true", {}, (3, 2, 90.0, True), (1, 2, 90.0, True), 3),
                (", max-parallel: 3, retries: 2, timeout-minutes: 1.5, fail-fast: true", {"jobs": 4, "retries": 0, "timeout": 2.0, "keep_going": True}, (4, 0, 120.0, False), (1, 0, 120.0, False), 4),
                (", fail-fast: false", {"retries": 1}, (1, 1, 0.0, False), (1, 1, 0.0, False), 0), (", max-parallel: auto", {}, (6, 0, 0.0, False), (1, 0, 0.0, False), 0),
                (", max-parallel: 2", {"jobs": hydraflow.AUTO}, (6, 0, 0.0, False), (1, 0, 0.0, False), 0)):
            with self.subTest(text=text, options=options), mock.patch.object(hydraflow, "processors", return_value=6):
                run = self.run_of(text, **options)
                self.assertEqual((tuple(run.limits(False)), tuple(run.limits(True)), run.throttle()), (here, remote, throttle))
                self.assertEqual(run.must_succeed(), "false" not in text and not options.get("keep_going"))

    def test_packs(self) -> None:
        for text, options, pack in (("", {}, (1, 1)), ("pack: 4", {}, (4, 1)), ("pack: 4, pack-parallel: 2", {}, (4, 2)), ("pack-parallel: 3", {}, (3, 3)), ("pack: 4", {"pack": 7}, (7, 1)),
                                    ("pack: 2, pack-parallel: 2", {"pack_parallel": 5}, (5, 5)), ("pack: 4, pack-parallel: 2", {"pack": 9, "pack_parallel": 1}, (9, 1))):
            with self.subTest(text=text, options=options):
                run = self.run_of(f", submit: sbatch, steps: [{{batch: a=1, {text}}}]", **options)
                self.assertEqual(run.pack(run.plan.steps[0]), pack)

    def test_what_a_waiting_command_submits_again(self) -> None:
        """What no task is to blame for, where the scheduler does not begin it again by itself, nor was told not to."""
        run = self.run_of(", submit: sbatch, steps: [{batch: a=1}, {batch: a=2, submit: sbatch --no-requeue}, {batch: a=3}]")
        submission = hydraflow.Submission(1, 1, 1, "slurm", "job", [], [1, 0, 0.0, False], True, 0, "7", -1, [[[1, 1, 0]]], "")
        for changes, cause, may in (({}, "node", True), ({}, "preempted", True), ({}, "blocked", True), ({}, "memory", False), ({}, "", False), ({}, "cancelled", False),
                                    ({"step": 2}, "node", False), ({"step": 3}, "node", True), ({"scheduler": hydraflow.HANDLER}, "node", False), ({"start": 2, "step": 9}, "node", False), (None, "node", False)):
            ahead = hydraflow.Ahead(run, None if changes is None else submission._replace(**changes), [1])
            state = hydraflow.State(1)
            state.become("interrupted", cause)
            with self.subTest(changes=changes, cause=cause):
                self.assertEqual(hydraflow.may_begin_again(ahead, state), may)

    def test_what_a_start_counts(self) -> None:
        run = self.run_of(", steps: [{batch: 'a=1:5'}]")
        tasks = list(run.plan)
        self.assertEqual((run.unfinished(), run.has_failed(), run.begun), (5, False, False))
        for kind, number, name, unfinished, has_failed, begun in (
                ("tick", 0, "waiting", 5, False, False), ("done", 0, "waiting", 4, False, False), ("elsewhere", 1, "waiting", 3, False, False), ("start", 2, "running", 3, False, True),
                ("end", 1, "succeeded", 3, False, True), ("end", 2, "handed", 2, False, True), ("elsewhere", 3, "queued", 1, False, True), ("end", 3, "interrupted", 1, True, True)):
            task = tasks[number - 1] if number else None
            run.see(hydraflow.Event(kind, task, self.state(name), "", "", 1))
            self.assertEqual((run.unfinished(), run.has_failed(), run.begun), (unfinished, has_failed, begun), (kind, number))
        self.assertEqual(run.open, set())

    def test_what_is_submitted_again_first(self) -> None:
        """Of each array job what was lost; what could not begin, only behind that which it waits for."""
        ones, others = (hydraflow.Ahead(mock.Mock(), mock.Mock(), []) for _ in range(2))
        lost, blocked = hydraflow.State(1), hydraflow.State(1)
        lost.become("interrupted", "node")
        blocked.become("skipped", "blocked")
        watch = hydraflow.Watch([])
        watch.lost = [hydraflow.Lost(*one) for one in ((ones, 1, lost), (others, 2, blocked), (ones, 3, blocked), (others, 4, lost), (ones, 5, lost))]
        for ahead, may_follow, numbers in ((ones, False, ([1, 5], [3])), (others, False, ([4], [2])), (ones, True, ([1, 3, 5], [])), (others, True, ([2, 4], []))):
            found = watch.lost_of(ahead, may_follow)
            self.assertEqual(tuple([one.number for one in part] for part in found), numbers)

    def test_steps_that_a_handler_gets_together(self) -> None:
        """Those that stand behind each other and name the same one, where it is called without commands."""
        for run, sizes in (("", [2, 1, 1, 2]), ("run: 'true', ", [1] * 6)):
            text = "jobs: {t: {%ssubmit: sh b, hydra: false, steps: [{batch: a=1}, {batch: a=2}, {batch: a=3, submit: sh c}, {batch: a=4, submit: sh a}, {batch: a=5}, {batch: a=6}]}}"
            plan = hydraflow.Plan(hydraflow.read_jobs(hydraflow.read_yaml(text % run))["t"])
            self.assertEqual([len(steps) for _, steps in hydraflow.places_of(plan, True)], sizes)

    def test_which_tasks_a_scheduler_waits_for_itself(self) -> None:
        """Those of its own array jobs, on the cluster that the step goes to."""
        run = self.run_of()
        submission = hydraflow.Submission(1, 1, 1, "slurm", "job", [], [1, 0, 0.0, False], True, 0, "7", -1, [], "")
        for changes, clusters, can in (([], "", True), ([{}], "", True), ([{"job_id": "7;far"}], "far", True), ([{"job_id": "7;far"}], "", False), ([{}], "far", False), ([{"job_id": "7;far"}], "close", False),
                                       ([{"job_id": "7;far"}], "further", False), ([{"scheduler": "pbs"}], "", False), ([{"scheduler": "zzz"}], "", False), ([{}, {"scheduler": "lsf"}], "", False), ([None, {}], "", False)):
            aheads = [hydraflow.Ahead(run, None if change is None else submission._replace(**change), []) for change in changes]
            with self.subTest(changes=changes, clusters=clusters):
                self.assertEqual(hydraflow.ArrayPlace(hydraflow.SCHEDULERS["slurm"], clusters).can_wait_for(aheads), can)

    def test_what_a_submission_waits_for(self) -> None:
        """Something that is not over, of those that it names."""
        submission = hydraflow.Submission(1, 1, 1, "slurm", "job", [], [1, 0, 0.0, False], True, 0, "7", -1, [[[1, 1, 0]]], "")
        others = [submission._replace(number=2, slots=[[[2, 1, 0]]]), submission._replace(number=3, slots=[[[3, 1, 0]], [[4, 1, 0]]])]
        told = hydraflow.Told()
        told.states.update({1: self.state("running"), 2: self.state("succeeded"), 3: self.state("failed"), 4: self.state("queued")})
        surveyor = hydraflow.Surveyor()
        with mock.patch.object(hydraflow.Surveyor, "read", return_value=(told, [submission, *others])):
            for numbers, waits in (([], False), ([1], True), ([2], False), ([3], True), ([2, 3], True), ([9], False)):
                with self.subTest(numbers=numbers):
                    self.assertEqual(surveyor.is_waiting(submission._replace(after=[["record", number] for number in numbers])), waits)

    def test_who_is_looked_at_whether_he_is_gone(self) -> None:
        """What runs, alone; whoever has told his end meanwhile is believed."""
        for later, wanted in (("running", "interrupted"), ("succeeded", "succeeded")):
            told, again = hydraflow.Told(), hydraflow.Told()
            told.states.update({number: self.state(name) for number, name in enumerate(hydraflow.STATES, 1)})
            number, = (number for number, state in told.states.items() if state.name == "running")
            again.states.update({**told.states, number: self.state(later)})
            with mock.patch.object(hydraflow, "is_gone", return_value=True) as asked, mock.patch.object(hydraflow, "see_told", return_value=hydraflow.Seen(again, {})):
                found = hydraflow.find_gone(hydraflow.Record("record"), hydraflow.Seen(told, {}))
            self.assertEqual([call[0][0] for call in asked.call_args_list], [told.states[number]])
            self.assertEqual(found.told.states[number].name, wanted)

    def test_whether_all_has_succeeded(self) -> None:
        submission = hydraflow.Submission(1, 1, 1, "slurm", "job", [], [1, 0, 0.0, False], True, 0, "7", -1, [[[1, 1, 0]]], "")
        names = [*hydraflow.STATES, None]
        told = hydraflow.Told()
        told.states.update({number: self.state(name) for number, name in enumerate(names, 1) if name})
        submissions = [submission._replace(number=number, slots=[[[number, 1, 0]]]) for number in range(1, len(names) + 1)]
        with mock.patch.object(hydraflow.Surveyor, "read", return_value=(told, submissions)):
            for number, name in enumerate(names, 1):
                self.assertEqual(hydraflow.all_succeeded([["record", number]]), name == "succeeded", name)

    def test_what_cannot_succeed_any_more(self) -> None:
        """A submission of which a task has failed, and what waits for its success, however far behind; each is looked at once."""
        first = hydraflow.Submission(1, 1, 1, "slurm", "job", [], [1, 0, 0.0, False], True, 0, "7", -1, [[[1, 1, 0]]], "")
        others = [first._replace(number=number, slots=[[[number, 1, 0]]], after=[["record", before] for before in after], must_succeed=must)
                  for number, after, must in ((2, [1], True), (3, [1], False), (4, [3], True), (5, [4, 2], True), (6, [7], True), (7, [6], True), (8, [4], True))]
        told = hydraflow.Told()
        told.states.update({1: self.state("failed"), 3: self.state("running"), 4: self.state("succeeded")})
        surveyor = hydraflow.Surveyor()
        with mock.patch.object(hydraflow.Surveyor, "read", return_value=(told, [first, *others])) as read:
            for _ in range(2):
                found = {number: surveyor.has_failed("record", number) for number in range(1, 10)}
                self.assertEqual(found, {1: True, 2: True, 3: False, 4: False, 5: True, 6: False, 7: False, 8: False, 9: False})
        self.assertEqual(read.call_count, 9)
        self.assertEqual([surveyor.is_blocked(one) for one in others], [True, False, False, True, False, False, False])

    def test_what_a_handler_that_failed_leaves(self) -> None:
        """What never began will not; what has begun, or what nobody waits for any more, is left as it is."""
        run = self.run_of()
        submission = hydraflow.Submission(1, 1, 1, hydraflow.HANDLER, "x", [], [1, 0, 0.0, False], False, 0, "", -1, [[[number, first, 0]] for number, first in ((1, 1), (2, 1), (3, 2), (4, 2), (5, 1))], "")
        told = hydraflow.Told()
        told.states.update({2: hydraflow.State(1, 1), 3: hydraflow.State(1, 1), 4: hydraflow.State(2, 2)})
        watch = mock.Mock(look=lambda: iter(["look"]))
        watch.aheads.return_value = [hydraflow.Ahead(run, submission, [1, 2]), hydraflow.Ahead(run, submission, [3, 4])]
        with mock.patch.object(hydraflow, "read_told", return_value=told), mock.patch.object(hydraflow, "append_attempt") as noted:
            self.assertEqual(list(hydraflow.Handler(False).give_up(run, submission, watch)), ["look", "look"])
        self.assertEqual([(call[0][2:], call[1]) for call in noted.call_args_list], [(("lost", 1, 1), {"why": "handler"}), (("lost", 3, 2), {"why": "handler"})])

    def test_how_many_tasks_run_elsewhere(self) -> None:
        run = self.run_of()
        states = {number: self.state(name) for number, name in enumerate([*hydraflow.STATES, "running", "running"], 1)}
        watch = hydraflow.Watch([hydraflow.Ahead(run, None, [*states, 99])])
        with mock.patch.object(hydraflow.Surveyor, "survey", return_value=mock.Mock(states=states, wrong="")), mock.patch.object(hydraflow.Watch, "changed", return_value=iter([])):
            self.assertEqual((list(watch.look()), watch.running), ([], 3))

    def test_of_which_tasks_the_accounts_are_asked(self) -> None:
        """Of what has an id, and of which its queue says nothing, or no more than that it has ended; in one query."""
        submission = hydraflow.Submission(1, 1, 1, "slurm", "job", [], [1, 0, 0.0, False], True, 0, "7", -1, [], "")
        places = [hydraflow.Waiting(submission, slot, 1) for slot in range(1, 6)] + [hydraflow.Waiting(submission._replace(job_id=hydraflow.NO_ID), 1, 1)]
        queues = {("7", slot): hydraflow.Queued(state, "", "") for slot, state in ((1, "RUNNING"), (2, "TIMEOUT"), (3, "COMPLETED"), (4, "PENDING"))}
        known = {("7", slot): hydraflow.Queued("OUT_OF_MEMORY", "", "") for slot in range(1, 9)}
        for there, wanted in ((queues, {("7", 3), ("7", 5)}), ({("7", slot): queues["7", 1] for slot in range(1, 6)}, set())):
            with mock.patch.object(hydraflow, "accounts", return_value=known) as accounts:
                found = hydraflow.ask_accounts(places, there)
            self.assertEqual(set(found), wanted)
            self.assertEqual([call[0] for call in accounts.call_args_list], [(hydraflow.SCHEDULERS["slurm"], ["7"])] if wanted else [])

    def test_what_ends_while_it_is_looked_for(self) -> None:
        """What no longer exists was killed, unless it has told its end by then."""
        for name, cause, known in (("running", "", ("interrupted", "killed")), ("succeeded", "", ("succeeded", "")), ("failed", "timeout", ("failed", "timeout")), ("interrupted", "interrupted", ("interrupted", "interrupted"))):
            told = [hydraflow.Told(), hydraflow.Told()]
            told[0].states[1], told[1].states[1] = self.state("running"), self.state(name, cause)
            told[0].states[2] = told[1].states[2] = self.state("running")
            with self.subTest(name=name), mock.patch.object(hydraflow, "is_gone", lambda state: state is told[0].states[1]), \
                    mock.patch.object(hydraflow, "see_told", return_value=hydraflow.Seen(told[1], {})):
                states = hydraflow.find_gone(hydraflow.Record("record"), hydraflow.Seen(told[0], {})).told.states
                self.assertEqual((states[1].name, states[1].cause, states[2].name), (*known, "running"))

    def test_changes_that_are_told(self) -> None:
        """An end once, of what may have gone the second time; a start once; why somebody has to release it once."""
        end, start, held = "end", "elsewhere", "note"
        for name, cause, kinds in (("waiting", "", ([], [])), ("queued", "", ([], [])), ("queued", "held", ([held], [])), ("running", "", ([start], [])), ("succeeded", "", ([end], [end])),
                                   ("failed", "", ([end], [end])), ("interrupted", "killed", ([], [end])), ("skipped", "blocked", ([end], [end])), ("handed", "", ([end], [end]))):
            with self.subTest(name=name, cause=cause):
                run, watch, found_there = self.run_of(), hydraflow.Watch([]), mock.Mock(unsettled=set())
                watch.tasks[run.record.path] = mock.Mock(task=lambda number: number)
                for wanted in kinds:
                    state = self.state(name, cause, detail="why" if cause else "")
                    found = list(watch.changed(run, found_there, 7, state))
                    self.assertEqual([event.kind for event in found], wanted)
                    for event in found:
                        if event.kind == "note":
                            self.assertEqual(event.text, "task 7 is held: why; it waits until somebody mends that")
                        else:
                            self.assertEqual(event, hydraflow.Event(event.kind, 7, state, "job" if event.kind == "end" else "", run.record.log_path(7), 0))

    def test_the_start_of_each_task_is_told(self) -> None:
        """Once for each task of each run."""
        watch, found = hydraflow.Watch([]), mock.Mock(unsettled=set())
        runs = [self.run_of(), self.run_of()]
        runs[1].record = hydraflow.Record(".hydraflow/job/" + "1" * 26)
        told = []
        for run in runs:
            watch.tasks[run.record.path] = mock.Mock(task=lambda number: number)
            for number in (1, 2, 1):
                told += [(runs.index(run), event.task) for event in watch.changed(run, found, number, self.state("running"))]
        self.assertEqual(told, [(0, 1), (0, 2), (1, 1), (1, 2)])

    def test_looks_at_what_is_executed_elsewhere(self) -> None:
        """At growing intervals; what keeps a scheduler from answering is said once, until it has answered; a signal ends the looks."""
        for asks, stops, texts, delays in ((True, False, ["b", "a", "b"], [0.5, 0.65, 0.845, 1.0985, 1.42805]), (False, False, ["b", "a", "b"], [0.5, 0.65, 0.845, 1.0, 1.0]), (True, True, ["b", "SIGTERM: the tasks go on"], [0.5])):
            with self.subTest(asks=asks, stops=stops):
                watch, wrongs = mock.Mock(running=3), iter(["b", "b", "a", "", "b", "b"])
                watch.look.side_effect = lambda watch=watch, wrongs=wrongs: setattr(watch, "wrong", next(wrongs)) or ()
                watch.aheads.side_effect = [[1]] * 5 + [[]]
                watch.asks_schedulers.return_value = asks
                with mock.patch.object(hydraflow, "Signals") as made:
                    signals = made.return_value.__enter__.return_value
                    signals.numbers = [signal.SIGTERM] if stops else []
                    events = list(hydraflow.follow(watch))
                lead = "the scheduler does not answer, and is asked again: "
                self.assertEqual([event.text.replace(lead, "") for event in events if event.text], texts)
                self.assertEqual([round(call[0][0], 5) for call in signals.pause.call_args_list], delays)
                self.assertEqual({event.number for event in events if event.kind == "tick"}, {3})

    def test_what_a_scheduler_may_know_more_of(self) -> None:
        slot = hydraflow.Writer("events/0001_slot-3-2_x-1.jsonl", hydraflow.this_machine(), 1, 1.0, 0.0)
        other = slot._replace(path="events/0001_slot-4-2_x-1.jsonl")
        submission = hydraflow.Submission(3, 1, 1, "slurm", "n", [], [1, 0, 0.0, False], True, 0, "7", -1, [[[1, 1, 0]]], "")
        waiting = hydraflow.Waiting(submission, 2, 1)
        for state, first, is_open in (
                (None, 1, True), (self.state("succeeded"), 1, False), (self.state("succeeded"), 2, True), (self.state("running"), 1, True), (self.state("running", writer=slot), 1, True),
                (self.state("running", writer=other), 1, False), (self.state("queued", origin="R/1"), 1, False), (self.state("skipped"), 1, False), (self.state("interrupted"), 1, True),
                (self.state("failed", status=1), 1, False), (self.state("failed", status=143), 1, True), (self.state("failed", "timeout", status=143), 1, False), (self.state("waiting"), 1, True)):
            with self.subTest(state=state and (state.name, state.cause, state.status), first=first):
                self.assertEqual(hydraflow.is_open_there(state, waiting._replace(first=first)), is_open)

    def test_submissions_that_cannot_succeed(self) -> None:
        submission = hydraflow.Submission(3, 1, 1, "slurm", "n", [], [1, 0, 0.0, False], True, 0, "7", -1, [[[1, 1, 0]], [[2, 2, 0]]], "")
        for states, is_bad in (({}, False), ({1: self.state("succeeded")}, False), ({1: self.state("failed")}, True), ({2: self.state("failed")}, False), ({2: self.state("failed", attempt=2)}, True),
                               ({1: self.state("running")}, False), ({1: self.state("handed")}, False), ({1: self.state("skipped"), 2: self.state("running")}, True), ({3: self.state("failed")}, False)):
            with self.subTest(states={number: state.name for number, state in states.items()}):
                self.assertEqual(hydraflow.has_bad(submission, states), is_bad)
        told = hydraflow.Told()
        told.cancelled.add(3)
        for changes, was_refused in (({"job_id": ""}, True), ({}, False), ({"job_id": "", "number": 4}, False), ({"job_id": "", "scheduler": "handler"}, False)):
            self.assertEqual(hydraflow.was_refused(submission._replace(**changes), told), was_refused, changes)

    def test_what_a_qsub_is_asked_in_a_dry_run(self) -> None:
        """What PATH has may be asked whose it is; a program of the user's own is not executed."""
        self.write("qsub", "#!/bin/sh\necho pbs_version = 22.05\n")
        os.chmod("qsub", 0o755)
        for submit, is_dry, name in (("qsub", False, "pbs"), ("qsub", True, "pbs"), ("./qsub", False, "pbs"), ("./qsub", True, "gridengine"), ("nowhere/qsub", False, "gridengine")):
            hydraflow.version_text.forget()
            with self.subTest(submit=submit, is_dry=is_dry), mock.patch.dict(os.environ, PATH=self.folder + os.pathsep + os.environ["PATH"]):
                step = hydraflow.plan(job_of(f", submit: {submit}")).steps[0]
                self.assertEqual(hydraflow.place_of(step, is_dry).scheduler.name, name)
        hydraflow.version_text.forget()

    def test_why_a_scheduler_ended_an_array_task(self) -> None:
        record = hydraflow.Record.create("job", 1)
        submission = hydraflow.Submission(3, 1, 1, "slurm", "n", [], [1, 0, 0.0, False], True, 0, "7", -1, [], "")
        place = hydraflow.Waiting(submission, 2, 1)
        for queued, is_cancelled, said, cause in (("TIMEOUT", True, b"", "timeout"), ("NODE_FAIL", False, b"", "node"), ("", True, b"oom-kill", "cancelled"), ("", False, b"x", "gone"), ("FAILED", False, b"", "silent"),
                                                  ("FAILED", False, b"slurmstepd: error: Detected 1 oom_kill event", "memory"), ("", False, b"DUE TO TIME LIMIT", "timeout"), ("", False, b"TIME LIMIT", "timeout"), ("", False, b" oom.kill" + b" " * 4089, "gone"), ("", False, b"oom.kill" + b" " * 4088, "memory"),
                                                  ("EXIT", False, b" " * 5000 + b"TERM_RUNLIMIT", "timeout")):
            with self.subTest(queued=queued, said=said[:20]):
                hydraflow.write_file(record.scheduler_path(3, 2), said)
                self.assertEqual(hydraflow.cause_of(record, place, queued, is_cancelled), cause)
        self.assertEqual(hydraflow.scheduler_words(record, place._replace(slot=9)), b"")
        for text, line in ((b"", ""), (b"a\nb\n\n", "b"), (b"\xff", "\ufffd"), (b"x" * 500, "x" * 400), (b" a \n \n", "a")):
            self.assertEqual(hydraflow.last_line(text), line)

    def test_what_is_wrong_with_a_program(self) -> None:
        os.mkdir("dir")
        for name, text, mode in (("plain", "x", 0o644), ("good", "#!/bin/sh\n", 0o755), ("empty", "", 0o755), ("windows", "#!/bin/sh\r\n", 0o755), ("lost", "#!/nowhere/x -u\n", 0o755),
                                 ("env", "#!/usr/bin/env -S A=1 sh\n", 0o755), ("lostenv", "#!/usr/bin/env nosuch\n", 0o755), ("bare", "#!\n", 0o755),
                                 ("other", f"#!{shutil.which('cat')} -n nothing\n", 0o755)):
            self.write(name, text)
            os.chmod(name, mode)
        for name, wrong in (
                ("sh", None), ("./good", None), ("./empty", None), ("./env", None), ("./bare", None), ("./other", None), ("./dir", ("./dir is a directory, and no program", "name a file in it")),
                ("./plain", ("./plain is not executable: its execute bit is not set", "chmod +x plain sets it; or name before it what executes it")),
                ("./nothing", ("there is no program ./nothing", f"the path counts from {self.folder}")), ("plain", ("there is no program plain", "write ./plain: the current directory is not searched")),
                ("nosuch", ("there is no program nosuch", "it is looked up in PATH, without a shell")),
                ("./windows", ("./windows has line ends of Windows, so its #! line names no program", "save it with line ends of Unix: \\n alone")),
                ("./lost", ("the #! line of ./lost names a program that is not there: /nowhere/x", "correct it, or name before it what executes it")),
                ("./lostenv", ("the #! line of ./lostenv names a program that is not there: nosuch", "correct it, or name before it what executes it"))):
            with self.subTest(name=name):
                self.assertEqual(hydraflow.program_mistake(name, ".", {}), wrong)
        with mock.patch.object(hydraflow, "find_program", lambda name, *rest: "/bin/python3" if name == "python3" else ""):
            self.assertEqual(hydraflow.program_mistake("python", ".", {}), ("there is no program python", "python3 is there"))
            self.assertEqual(hydraflow.program_mistake("tool", ".", {}), ("there is no program tool", "it is looked up in PATH, without a shell"))

    def test_a_python_that_is_none(self) -> None:
        """Wherever its name comes in the alphabet; one that is not here may be where tasks are executed."""
        for name, text in (("A", "echo True"), ("old", "echo False"), ("silent", "exit 0"), ("odd", "echo yes"), ("failing", "echo True; echo boom >&2; exit 1")):
            self.write(name, f"#!/bin/sh\n{text}\n")
            os.chmod(name, 0o755)
        hint = "python: in the job, or HYDRAFLOW_PYTHON, names it"
        for words, wrong in ((["/bin/false"], hint), (["./old"], hint), (["./silent", "-B"], hint), (["./odd"], hint), (["./failing"], "boom"), (["./A"], None), (["./nowhere"], None), ([sys.executable], None),
                             ([sys.executable, "-B"], None)):
            with self.subTest(words=words):
                mistake = None if wrong is None else (f"{' '.join(words)} is no Python 3.6 or later", wrong)
                self.assertEqual(hydraflow.python_mistake(tuple(words)), mistake)

    def test_how_a_task_is_typed(self) -> None:
        task = next(iter(hydraflow.plan(job_of(", steps: [{batch: \"a='x y'\"}]"))))
        for changes, text in (({}, "true 'a=x y'"), ({"env": {"A": "1 2", "S": hydraflow.SLOT}}, "env 'A=1 2' S=0 true 'a=x y'"), ({"cwd": "/a b"}, "(cd '/a b' && true 'a=x y')"),
                              ({"argv": ("x", f"gpu={hydraflow.SLOT}")}, "x gpu=0"), ({"cwd": "-x"}, "(cd ./-x && true 'a=x y')")):
            self.assertEqual(hydraflow.task_text(task._replace(**{"argv": ("true", "a=x y"), **changes})), text)

    def test_a_command_to_type_again_has_what_was_kept_by_name(self) -> None:
        task = next(iter(hydraflow.plan(job_of(", steps: [{batch: a=1}]"))))
        task = task._replace(argv=("sh", "-c", 'echo "$T,$U"'), env={"T": "it's ${{ env.SECRET }}!${{ env.SECRET }}", "U": "$SECRET"})
        text = hydraflow.task_text(task)
        self.assertNotIn("{{", text)
        out = subprocess.check_output(["sh", "-c", text], env={**os.environ, "SECRET": "a \"b'"})
        self.assertEqual(out.decode(), "it's a \"b'!a \"b',$SECRET\n")

    def test_tasks_of_other_machines(self) -> None:
        """Of which nothing can be known here: how many of each, and since when nothing was told."""
        far = hydraflow.Writer("events/0001_here_x-1.jsonl", hydraflow.Machine("far", "i", "b", "n"), 1, 1.0, 0.0)
        slot = far._replace(path="events/0001_slot-1-1_x-1.jsonl")
        states = [self.state("running", writer=far, started=86400.0), self.state("running", writer=far, started=3 * 86400.0), self.state("queued", writer=far, started=9 * 86400.0), self.state("succeeded", writer=far, started=9 * 86400.0), self.state("running", writer=slot),
                  self.state("running", writer=far._replace(machine=hydraflow.this_machine())), self.state("running", writer=far._replace(machine=far.machine._replace(host="else")), started=86400.0)]
        days = [time.strftime("%Y-%m-%d %H:%M", time.localtime(days * 86400)) for days in (1, 3)]
        rest = "they are awaited; where nothing of them is left, cancel --lost gives them up"
        self.assertEqual(list(hydraflow.away_notes([(None, state) for state in states])),
                         [f"1 task began on else, and no end was told since {days[0]}: {rest}", f"2 tasks began on far, and no end was told since {days[1]}: {rest}"])

    def test_when_the_allocation_ends(self) -> None:
        for text, moment in (("", 0.0), ("1700000000", 1700000000.0), ("17", 0.0), ("12345678", 0.0), ("123456789", 123456789.0), ("12345678901", 12345678901.0), ("123456789012", 0.0), ("x", 0.0)):
            with mock.patch.dict(os.environ, SLURM_JOB_END_TIME=text):
                self.assertEqual(hydraflow.allocation_end(), moment)
        submission = hydraflow.Submission(3, 1, 1, "slurm", "n", [], [1, 0, 0.0, False], True, 0, "7;far", -1, [], "")
        for scheduler, own, is_strange in (("slurm", "7", False), ("slurm", "8", True), ("slurm", "", False), ("handler", "8", False), ("slurm", "77", True)):
            with mock.patch.dict(os.environ, SLURM_ARRAY_JOB_ID=own):
                self.assertEqual(hydraflow.is_strange(submission._replace(scheduler=scheduler)), is_strange)

    def test_older_successes(self) -> None:
        """The newest ones count; each older one for one more task with the same command."""
        moments = iter(range(9))
        for ends in ((0, 0), (3, 0)):
            run = hydraflow.open_run(hydraflow.plan(job_of(", steps: [{batch: 'a=1,1'}]")), options_of(), False, False)
            for _ in run.assigned(run.plan.steps[0], False):
                pass
            for number, status in enumerate(ends, 1):
                for event in ({"event": "start", "pid": 1}, {"event": "end", "status": status}):
                    hydraflow.append_lines(run.record.events_path("0001_here_x-1"), [{**event, "task": number, "try": 1, "up": next(moments)}])
            run.release()
        records = hydraflow.Record.all("job")
        (key, found), = hydraflow.older_successes(records).items()
        self.assertEqual((key, [known.origin for known in found]), (("true", "a=1"), [f"{records[1].ulid}/2", f"{records[0].ulid}/2"]))


class Surveys(Tables):
    """What is known of a record, and what cancel does with it, each rule by a table."""

    def submission(self, number: int, slots: "list", **changes: object) -> "hydraflow.Submission":
        """Return an array job with tasks in its slots, of each the number and its first attempt there."""
        entries = [[[*entry, 0] for entry in slot] for slot in slots]
        return hydraflow.Submission(number, 1, 1, "slurm", f"name{number}", [], [1, 0, 0.0, False], True, 0, f"{70 + number}", -1, entries, "")._replace(**changes)

    def writer(self, name: str, **changes: object) -> "hydraflow.Writer":
        """Return who writes under a name."""
        return hydraflow.NOBODY._replace(path=f"record/events/{name}.jsonl", **changes)

    def found(self, states: "dict", submissions: "list", planned: "list", holder: str = "", count: int = 0) -> "hydraflow.Survey":
        """Return a survey."""
        ledger = mock.Mock(members=dict.fromkeys(planned, 1), start=mock.Mock(count=count or len(planned), number=3))
        return hydraflow.Survey(hydraflow.Record("record"), ledger, states, submissions, "", holder, set())

    def test_by_what_a_scheduler_ends_a_task(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU, signal.SIGHUP):
            self.assertTrue(hydraflow.is_ending_signal(128 + number))
            self.assertFalse(hydraflow.is_ending_signal(number))
        for status in (0, 1, 126, 127, 128, 128 + signal.SIGSEGV, 128 + signal.SIGPIPE, 255):
            self.assertFalse(hydraflow.is_ending_signal(status))

    def test_of_which_tasks_a_scheduler_may_know_more(self) -> None:
        for name, cause, status, may in (("failed", "", 143, True), ("failed", "", 1, False), ("failed", "", 139, False), ("failed", "timeout", 143, False), ("failed", "missing", 0, False), ("succeeded", "", 0, False),
                                         ("skipped", "blocked", 0, False), ("interrupted", "interrupted", 143, True), ("running", "", 0, True), ("queued", "", 0, True), ("waiting", "", 0, True)):
            with self.subTest(name=name, cause=cause, status=status):
                self.assertEqual(hydraflow.may_be_told_more(self.state(name, cause, status=status)), may)

    def test_where_an_open_task_stands(self) -> None:
        """In its last submission, unless its end is known, or somebody else has it."""
        first, second = self.submission(1, [[(1, 1)], [(2, 1)], [(3, 1), (4, 1)]]), self.submission(2, [[(2, 2), (5, 1)]])
        mine, other, here = self.writer("0001_slot-1-1_x-1"), self.writer("0001_slot-1-3_x-1"), self.writer("0001_here_x-1")
        for number, state, where in (
                (1, None, (1, 1, 1)), (1, self.state("running", writer=mine), (1, 1, 1)), (1, self.state("running", writer=other), (1, 3, 1)), (1, self.state("running", writer=here), None),
                (1, self.state("running"), (1, 1, 1)), (1, self.state("succeeded", writer=mine), None), (1, self.state("failed", status=143, writer=mine), (1, 1, 1)), (1, self.state("interrupted", origin="x/1"), None),
                (2, self.state("succeeded", writer=here), (2, 1, 2)), (2, self.state("succeeded", attempt=2), None), (2, self.state("running", attempt=2, writer=self.writer("0002_slot-2-1_x-1")), (2, 1, 2)),
                (2, self.state("running", attempt=3, writer=self.writer("0001_slot-1-2_x-1")), None), (4, None, (1, 3, 1)), (5, None, (2, 1, 1))):
            states = {one: self.state("succeeded", attempt=9) for one in range(1, 6)}
            states.pop(number)
            states.update({number: state} if state else {})
            with self.subTest(number=number, state=state and state.name):
                found = {one: (place.submission.number, place.slot, place.first) for one, place in hydraflow.open_tasks(states, [first, second]).items()}
                self.assertEqual(found, {number: where} if where else {})

    def test_when_an_end_is_the_last_word(self) -> None:
        """What is interrupted is looked at twice; what a signal ended in an array task that is still there, for a while."""
        for name, is_unsettled, answers in (("interrupted", False, [True, False, False, False]), ("failed", False, [False] * 4), ("succeeded", False, [False] * 4), ("skipped", False, [False] * 4),
                                            ("failed", True, [True, True, False, False]), ("interrupted", True, [True, True, False, False])):
            watch = hydraflow.Watch([])
            found = mock.Mock(record=mock.Mock(path="record"), unsettled={1} if is_unsettled else {2})
            with self.subTest(name=name, is_unsettled=is_unsettled), mock.patch("time.monotonic", side_effect=[100.0, 129.9, 130.0, 131.0]):
                self.assertEqual([watch.is_doubtful(found, 1, self.state(name)) for _ in range(4)], answers)

    def test_counts(self) -> None:
        """What nobody has begun waits for who executes the run, or has not started; what is not planned yet as well."""
        states = {1: self.state("succeeded"), 2: self.state("failed"), 3: self.state("waiting"), 9: self.state("failed")}
        for holder, name in (("", "not started"), ("process 7 on x", "waiting")):
            for count, rest in ((4, 2), (6, 4), (3, 2)):
                found = self.found(dict(states), [], [1, 2, 3, 4], holder, count)
                self.assertEqual({name: number for name, number in found.counts().items() if number}, {"succeeded": 1, "failed": 1, name: rest})
                self.assertEqual(list(found.counts()), list(hydraflow.STATES))
                states[3].become("waiting")

    def test_which_array_task_has_a_task(self) -> None:
        """The last one that got it, or a neighbour in a pack that took it; of a handler none."""
        submissions = [self.submission(1, [[(1, 1)], [(2, 1)], [(3, 1)], [(4, 1)]]), self.submission(2, [[(2, 2)]]), self.submission(3, [[(5, 1)]], scheduler=hydraflow.HANDLER)]
        states = {3: self.state("running", writer=self.writer("0001_slot-1-1_x-1")), 4: self.state("running", writer=self.writer("0001_here_x-1")), 6: self.state("running", writer=self.writer("0001_slot-1-1_x-1"))}
        found = self.found(states, submissions, [1, 2, 3, 4, 5, 6]).array_tasks()
        self.assertEqual({number: one.text for number, one in found.items()}, {1: "71_1", 2: "72_1", 3: "71_1", 4: "71_4"})

    def test_what_cancel_stops_by_itself(self) -> None:
        """What runs and is of no array task, or of a task whose array task has lost it."""
        submissions = [self.submission(1, [[(1, 1)], [(2, 1)]]), self.submission(2, [[(5, 1)]], scheduler=hydraflow.HANDLER)]
        slot, here = self.writer("0001_slot-1-1_x-1"), self.writer("0001_here_x-1")
        states = {7: self.state("running", writer=here), 1: self.state("running", writer=slot), 2: self.state("running", writer=here), 3: self.state("running", writer=slot), 4: self.state("queued"),
                  5: self.state("running", writer=self.writer("0001_slot-2-1_x-1")), 6: self.state("succeeded", writer=here)}
        found = self.found(states, submissions, list(range(1, 8)))
        self.assertEqual([number for number, _ in hydraflow.running_outside_arrays(found)], [2, 3, 5, 7])

    def test_which_array_jobs_are_cancelled(self) -> None:
        """Those with tasks that are not over; what has no id is looked for by its name."""
        submissions = [self.submission(1, [[(1, 1)], [(2, 1)]]), self.submission(2, [[(3, 1)]]), self.submission(3, [[(4, 1)]], scheduler=hydraflow.HANDLER), self.submission(4, [[(5, 1)]], job_id=""),
                       self.submission(5, [[(6, 1)]], job_id="", name="lost")]
        states = {1: self.state("succeeded"), 2: self.state("queued"), 3: self.state("failed"), 4: self.state("running")}
        found = self.found(states, submissions, [1, 2, 3, 4, 5, 6])
        with mock.patch.multiple(hydraflow, append_event=mock.DEFAULT, find_array=mock.Mock(side_effect=lambda scheduler, name, clusters: "88" if name == "name4" else ""),
                                 cancel_array=mock.Mock(side_effect=lambda scheduler, job_id: "no" if job_id == "88" else "")) as mocks:
            self.assertEqual(hydraflow.cancel_arrays(found, "w"), (["array job 71", "array job 88", "array job lost"], ["no"]))
            self.assertEqual([call[0][1] for call in hydraflow.cancel_array.call_args_list], ["71", "88"])
        self.assertEqual([(call[0][1:], call[1]["submission"]) for call in mocks["append_event"].call_args_list], [(("w", "cancel"), 1), (("w", "cancel"), 4), (("w", "cancel"), 5)])

    def test_which_array_tasks_are_cancelled(self) -> None:
        """Those all of whose open tasks are named; a pack that has others as well is told."""
        submissions = [self.submission(1, [[(1, 1)], [(2, 1), (3, 1)], [(4, 1), (5, 1)], [(6, 1)]])]
        states = {1: self.state("queued"), 2: self.state("running", writer=self.writer("0001_slot-1-2_x-1")), 3: self.state("queued"), 4: self.state("succeeded"), 5: self.state("queued"), 6: self.state("failed")}
        told = "array task 71_2 has other tasks as well, {}: name them too, or none"
        for numbers, cancelled, wrong in (([1], ["71_1"], []), ([2], [], [told.format(3)]), ([3], [], [told.format(2)]), ([2, 3], ["71_2"], []), ([5], ["71_3"], []), ([4], [], []), ([6], [], []), ([9], [], []),
                                          ([1, 3, 5], ["71_1", "71_3"], [told.format(2)])):
            found = self.found(dict(states), submissions, [1, 2, 3, 4, 5, 6])
            with self.subTest(numbers=numbers), mock.patch.multiple(hydraflow, append_event=mock.DEFAULT, cancel_array=mock.Mock(return_value="")) as mocks:
                self.assertEqual(hydraflow.cancel_array_tasks(found, "w", numbers), ([f"array task {text}" for text in cancelled], wrong))
                self.assertEqual([call[0][1] for call in hydraflow.cancel_array.call_args_list], cancelled)
                self.assertEqual([call[1]["slot"] for call in mocks["append_event"].call_args_list], [int(text[3:]) for text in cancelled])


    def test_what_a_queue_makes_of_a_state(self) -> None:
        """What has ended there has ended; what a signal ended while its array task is there may be told more of; all else waits."""
        submission = self.submission(1, [[(1, 2)]])
        for state, place, queued, wrong, name, cause, unsettled in (
                (None, submission, "", False, "interrupted", "gone", False), (None, submission, "", True, "queued", "", False), (None, submission, "PENDING", False, "queued", "", False), (None, submission, "RUNNING", False, "queued", "", False),
                (None, submission, "TIMEOUT", False, "interrupted", "timeout", False), (None, submission, "TIMEOUT", True, "interrupted", "timeout", False), (None, submission._replace(job_id=""), "", False, "queued", "", False),
                (self.state("succeeded", attempt=1), submission, "RUNNING", False, "queued", "", False), (self.state("running", attempt=2), submission, "RUNNING", False, "running", "", False),
                (self.state("running", attempt=2), submission, "NODE_FAIL", False, "interrupted", "node", False), (self.state("failed", attempt=2, status=143), submission, "RUNNING", False, "failed", "", True),
                (self.state("failed", attempt=2, status=143), submission, "OUT_OF_MEMORY", False, "interrupted", "memory", False), (self.state("failed", attempt=2, status=143), submission, "COMPLETED", False, "failed", "", False)):
            told, surveyor = hydraflow.Told(), hydraflow.Surveyor()
            told.states.update({1: state} if state else {})
            queues = {(place.job_id, 1): hydraflow.Queued(queued, "", "")} if queued else {}
            with self.subTest(state=state and state.name, queued=queued, wrong=wrong), mock.patch.multiple(hydraflow, scheduler_words=mock.Mock(return_value=b"last words\n"), explain_hold=mock.Mock(return_value="")):
                surveyor.merge(hydraflow.Record("record"), told, 1, hydraflow.Waiting(place, 1, 2), queues, wrong)
                self.assertEqual((told.states[1].name, told.states[1].cause, surveyor.unsettled), (name, cause, {1} if unsettled else set()))
                self.assertEqual(told.states[1].detail, "last words" if cause == "gone" else "")

    def test_what_a_handler_makes_of_a_state(self) -> None:
        for scheduler, name, status, is_gone, state, wanted in (
                (hydraflow.PARAMETERS, "tool", -1, False, "waiting", ("handed", "", "to tool")), (hydraflow.PARAMETERS, "", 3, True, "waiting", ("handed", "", "which ended with exit status 3")),
                (hydraflow.PARAMETERS, "tool", 1, True, "waiting", ("handed", "", "to tool, which ended with exit status 1")), (hydraflow.PARAMETERS, "", 0, True, "waiting", ("handed", "", "")),
                (hydraflow.HANDLER, "tool", -1, False, "waiting", ("queued", "handler-queue", "")), (hydraflow.HANDLER, "tool", -1, True, "waiting", ("interrupted", "handler", "")),
                (hydraflow.HANDLER, "tool", 0, True, "waiting", ("queued", "handler-queue", "")), (hydraflow.HANDLER, "tool", -1, True, "running", ("running", "", "")), (hydraflow.HANDLER, "tool", -1, False, "skipped", ("skipped", "", ""))):
            found = self.state(state)
            hydraflow.merge_handler(found, self.submission(1, [], scheduler=scheduler, name=name, status=status), is_gone)
            with self.subTest(scheduler=scheduler, status=status, is_gone=is_gone, state=state):
                self.assertEqual((found.name, found.cause, found.detail), wanted)

    def test_what_was_refused_or_cancelled(self) -> None:
        told = hydraflow.Told()
        told.cancelled, told.cancelled_slots = {1, 4}, {(2, 3)}
        for number, changes, refused in ((1, {"job_id": ""}, True), (1, {}, False), (2, {"job_id": ""}, False), (4, {"job_id": "", "scheduler": hydraflow.HANDLER}, False)):
            self.assertEqual(hydraflow.was_refused(self.submission(number, [], **changes), told), refused)
        for number, slot, cancelled in ((1, 1, True), (4, 9, True), (2, 3, True), (2, 2, False), (3, 3, False)):
            self.assertEqual(hydraflow.is_cancelled(told, hydraflow.Waiting(self.submission(number, []), slot, 1)), cancelled)

    def test_what_has_no_id(self) -> None:
        """It is looked for by its name where a scheduler has it; what nobody knows gets an id that no scheduler has."""
        for changes, found, job_id, asked in (({}, "x", "71", 0), ({"job_id": ""}, "88", "88", 1), ({"job_id": ""}, "", hydraflow.NO_ID, 1), ({"job_id": ""}, None, "", 1), ({"job_id": "", "scheduler": hydraflow.HANDLER}, "88", "", 0)):
            with mock.patch.object(hydraflow, "find_array", return_value=found) as find:
                self.assertEqual((hydraflow.named(self.submission(1, [], **changes)).job_id, find.call_count), (job_id, asked))


    def test_why_no_task_begins(self) -> None:
        """What it waits for has failed; another one has; no time is left for what takes as long as the longest so far."""
        for begins, fail_fast, has_stopped, end, longest, why in ((True, False, False, 0.0, 0.0, ""), (False, True, True, 90.0, 9.0, "blocked"), (True, True, True, 90.0, 9.0, "fail-fast"), (True, False, True, 0.0, 0.0, ""), (True, True, False, 0.0, 9.0, ""),
                                                                  (True, False, False, 90.0, 0.0, ""), (True, False, False, 105.0, 5.0, ""), (True, False, False, 105.0, 5.1, "time"), (True, False, False, 90.0, 0.1, "time")):
            queue = hydraflow.SlotQueue.__new__(hydraflow.SlotQueue)
            queue.record, queue.submission, queue.begins, queue.end, queue.longest = hydraflow.Record("record"), self.submission(1, [], start=6), begins, end, longest
            queue.limits = hydraflow.Limits(1, 0, 0.0, fail_fast)
            with self.subTest(begins=begins, fail_fast=fail_fast, end=end, longest=longest), mock.patch("time.time", return_value=100.0), mock.patch("os.path.exists", return_value=has_stopped) as exists:
                self.assertEqual(queue.why_not(), why)
                self.assertEqual([call[0][0] for call in exists.call_args_list], [queue.record.stop_path(6)] if begins and fail_fast else [])

    def test_who_is_a_stranger(self) -> None:
        queue = hydraflow.SlotQueue.__new__(hydraflow.SlotQueue)
        queue.submission = self.submission(2, [])
        for holder, is_strange in (("", False), ("0001_slot-2-1_x-1", False), ("0001_slot-2-9_x-1", False), ("0001_slot-1-1_x-1", True), ("0001_slot-3-1_x-1", True), ("0001_here_x-1", True)):
            self.assertEqual(queue.is_strangers(hydraflow.Claimed(hydraflow.State(), holder, False)), is_strange)

    def test_what_a_slot_may_take(self) -> None:
        """What it has not executed itself, or began and did not end; nothing that has succeeded, or that somebody else executes."""
        own, crashed, slot, here = "0001_slot-1-1_x-1", "0000_crashed_", "0001_slot-1-2_y-1", "0001_here_z-1"
        running, over, done = self.state("running"), self.state("failed"), self.state("succeeded")
        for first, claims, attempt, holder, is_own, is_taken in (
                (1, {}, 0, "", True, False), (3, {}, 2, "", True, False), (1, {1: (own, None)}, 1, "", True, False), (1, {1: (own, running)}, 1, "", True, False), (1, {1: (own, done)}, 1, "", True, True), (1, {1: (crashed, None)}, 1, "", True, False),
                (1, {1: (slot, None)}, 1, slot, False, True), (1, {1: (slot, running)}, 1, slot, False, True), (1, {1: (slot, done)}, 1, "", False, True), (1, {1: (slot, over)}, 1, "", False, False), (1, {1: (own, over), 2: (here, running)}, 2, here, False, True),
                (1, {1: (here, over), 2: (own, running)}, 2, "", True, False), (2, {1: (here, running)}, 1, "", True, False), (1, {1: (own, over), 2: (own, done)}, 2, "", True, True)):
            told = {}
            for number, (name, state) in claims.items():
                told[f"/record/events/{name}.jsonl", number] = state
            record = mock.Mock(claimant=lambda task, number, claims=claims: claims.get(number, ("",))[0], events_path=lambda name: f"/record/events/{name}.jsonl")
            asked = []

            def read(self: "hydraflow.Told", path: str, asked: "list" = asked, told: "dict" = told, first: int = first) -> None:
                number = first + len(asked)
                asked.append(path)
                state = told.get((path, number))
                if state is not None:
                    state.attempt = number
                    self.states[7] = state

            with self.subTest(first=first, claims=claims), mock.patch.object(hydraflow.Told, "read", read):
                found = hydraflow.slot_state(record, 7, first, "slot-1-1")
                self.assertEqual((found.state.attempt, found.holder, found.is_own, found.is_taken), (attempt, holder, is_own, is_taken))

    def test_whom_cancel_asks(self) -> None:
        """The HydraFlow that watches a task, else the task; what is on other machines is told, and given up where that is asked for."""
        here = self.writer("0001_here_x-1", machine=hydraflow.this_machine())
        away = here._replace(machine=hydraflow.Machine("elsewhere", "x", "y", "z"))
        states = {1: self.state("running", writer=away), 2: self.state("running", writer=here), 3: self.state("running", writer=here), 4: self.state("queued")}
        for numbers, is_lost, has_writer, asked, noted, away_numbers in (
                (None, False, True, 2, [], [1]), (None, False, False, 1, [("ask", 2, "interrupted"), ("ask", 3, "interrupted")], [1]), ([3], False, True, 1, [("ask", 3, "interrupted")], []), ([2], False, True, 0, [("ask", 2, "interrupted")], []),
                (None, True, True, 2, [("lost", 1, "lost")], [1]), ([1, 2], True, True, 0, [("ask", 2, "interrupted"), ("lost", 1, "lost")], [1]), ([4], False, True, 0, [], [])):
            found = self.found(dict(states), [], [1, 2, 3, 4])
            with self.subTest(numbers=numbers, is_lost=is_lost, has_writer=has_writer), mock.patch.multiple(
                    hydraflow, survey=mock.Mock(return_value=found), cancel_arrays=mock.Mock(return_value=(["all"], ["no"])), cancel_array_tasks=mock.Mock(return_value=(["some"], [])), stop_handlers=mock.DEFAULT, append_attempt=mock.DEFAULT,
                    stop_writer=mock.Mock(return_value=has_writer), stop_task=mock.Mock(side_effect=lambda state, number: state is states[3])) as mocks:
                stopped = hydraflow.cancel_record(hydraflow.Record("record"), is_lost, numbers)
                self.assertEqual((stopped.arrays, stopped.wrong), (["all"], ["no"]) if numbers is None else (["some"], []))
                self.assertEqual((stopped.tasks, [number for number, _ in stopped.away]), (asked, away_numbers))
                self.assertEqual([(call[0][2], call[0][3], call[1]["why"]) for call in mocks["append_attempt"].call_args_list], noted)
                self.assertEqual(mocks["stop_handlers"].call_count, int(numbers is None))

    def test_which_handlers_are_asked_to_end(self) -> None:
        """Those of this machine that still live and were given the file of their lines."""
        here, away, told = hydraflow.this_machine(), hydraflow.Machine("elsewhere", "x", "y", "z"), hydraflow.Told()
        told.handlers.update({number: hydraflow.SeenProcess(machine, 70 + number, 1.0) for number, machine in ((1, here), (2, away), (3, here), (4, here))})
        record = hydraflow.Record("/record")
        with mock.patch.multiple(hydraflow, read_told=mock.Mock(return_value=told), is_process_gone=mock.Mock(side_effect=lambda machine, pid, up: pid == 71), stop_process=mock.DEFAULT,
                                 process_text=mock.Mock(side_effect=lambda pid: b"sh\0/record/submissions/%d.txt\0" % (9 if pid == 73 else pid - 70))) as mocks:
            hydraflow.stop_handlers(record)
        self.assertEqual([call[0] for call in mocks["stop_process"].call_args_list], [(74, signal.SIGTERM)])

    def test_which_hydraflow_is_asked_to_stop(self) -> None:
        """Once, whatever it watches: one that lives, and whose task is that of the record."""
        for ours, members, is_gone, text, is_asked in ((True, [], False, b"python -m hydraflow", True), (False, [5], False, b"hydraflow", True), (False, [], False, b"hydraflow", False), (True, [], True, b"hydraflow", False), (True, [], False, b"vi", False)):
            state, stopped = self.state("running", writer=self.writer("0001_here_x-1")._replace(pid=77)), set()
            with self.subTest(ours=ours, members=members, is_gone=is_gone, text=text), mock.patch.multiple(
                    hydraflow, is_ours=mock.Mock(return_value=ours), own_members=mock.Mock(return_value=members), is_process_gone=mock.Mock(return_value=is_gone),
                    process_text=mock.Mock(return_value=text), stop_process=mock.DEFAULT) as mocks:
                mocks["stop_process"].return_value = True
                self.assertEqual([hydraflow.stop_writer(state, stopped) for _ in range(2)], [is_asked] * 2)
                self.assertEqual([call[0] for call in mocks["stop_process"].call_args_list], [(77, signal.SIGTERM)] * is_asked)
                self.assertEqual(stopped, {77} if is_asked else set())


class Starts(Tables):
    """Which tasks a start of a run executes, and what it writes of them."""

    def run_of(self, text: str = "", **options: object) -> "hydraflow.Run":
        """Return a start that writes nothing."""
        run = hydraflow.Run(hydraflow.plan(job_of(text)), options_of(**options), hydraflow.Record(".hydraflow/job/" + "0" * 26), True)
        self.step = run.plan.steps[0]
        return run

    def test_limits(self) -> None:
        """What the command line says, else the job, else one at once, no retry, no limit, no end by a failure."""
        for text, options, is_remote, limits in (
                ("", {}, False, (1, 0, 0.0, False)), (", retries: 2, timeout-minutes: 3, max-parallel: 4", {}, False, (4, 2, 180.0, False)), (", retries: 2, timeout-minutes: 3, max-parallel: 4", {}, True, (1, 2, 180.0, False)),
                (", retries: 2, timeout-minutes: 3, max-parallel: 4", {"retries": 0, "timeout": 0.5, "jobs": 9}, False, (9, 0, 30.0, False)), (", fail-fast: true", {}, False, (1, 0, 0.0, True)),
                (", fail-fast: true", {"keep_going": True}, False, (1, 0, 0.0, False)), (", fail-fast: false", {}, False, (1, 0, 0.0, False)), ("", {"jobs": hydraflow.AUTO}, False, (77, 0, 0.0, False)),
                (", max-parallel: auto", {}, False, (77, 0, 0.0, False)), (", max-parallel: auto", {}, True, (1, 0, 0.0, False))):
            with self.subTest(text=text, options=options, is_remote=is_remote), mock.patch.object(hydraflow, "processors", return_value=77):
                self.assertEqual(tuple(self.run_of(text, **options).limits(is_remote)), limits)

    def test_throttle_and_what_must_succeed(self) -> None:
        for text, options, throttle, must in (("", {}, 0, True), (", max-parallel: 4", {}, 4, True), (", max-parallel: 4", {"jobs": 2}, 2, True), (", max-parallel: auto", {}, 0, True), ("", {"jobs": hydraflow.AUTO}, 0, True),
                                              (", fail-fast: false", {}, 0, False), (", fail-fast: true", {}, 0, True), ("", {"keep_going": True}, 0, False)):
            with self.subTest(text=text, options=options):
                run = self.run_of(text, **options)
                self.assertEqual((run.throttle(), run.must_succeed()), (throttle, must))

    def test_what_is_to_be_done_with_tasks(self) -> None:
        """What runs here is awaited, if it was begun here; a scheduler's is awaited where it is; all else is executed."""
        here, slot = (hydraflow.NOBODY._replace(path=f"{name}.jsonl", machine=hydraflow.this_machine()) for name in ("0001_here_x-1", "0001_slot-1-1_x-1"))
        away = here._replace(machine=hydraflow.Machine("elsewhere", "x", "y", "z"))
        states = [self.state("succeeded"), self.state("running", writer=here), self.state("running", writer=slot), self.state("running", writer=away), self.state("queued"), self.state("failed", writer=here), self.state("interrupted", writer=here),
                  self.state("waiting", writer=here), self.state("skipped", writer=here), self.state("succeeded", origin="x/1"), self.state("not started"), self.state("handed")]
        assigned = list(enumerate(states))
        for is_remote, running, elsewhere in ((False, [1], [2, 3, 4]), (True, [], [1, 2, 3, 4])):
            for is_known in (False, True):
                run = self.run_of()
                run.known = {("x",): [1]} if is_known else {}
                run.older = {} if is_known else {("x",): []}
                with self.subTest(is_remote=is_remote, is_known=is_known), mock.patch.object(hydraflow.Run, "assigned", return_value=iter(assigned)):
                    work = run.work(self.step, is_remote)
                    self.assertEqual((work.done, [task for task, _ in work.running], [task for task, _ in work.elsewhere], [task for task, _ in work.todo]), (2, running, elsewhere, [5, 6, 7, 8, 10, 11]))
        run = self.run_of()
        with mock.patch.object(hydraflow.Run, "assigned", return_value=iter(assigned)):
            work = run.work(self.step, False)
        self.assertEqual((work.done, work.running, work.elsewhere, list(work.todo)), (0, [], [], assigned))

    def test_a_folder_without_git(self) -> None:
        self.assertEqual(tuple(hydraflow.commit_of("/")), ("", False))

    def test_what_the_plan_says_already(self) -> None:
        """The very same of a task: its line is used again."""
        run = self.run_of()
        self.assertFalse(run.is_written(7, {"task": 7}))  # nobody has planned before
        run.survey = mock.Mock(**{"ledger.line": {7: b'{"task":7}', 8: b""}.get, "ledger.offsets": {7: 70, 8: 80}})
        for number, line, is_written, offsets in ((7, {"task": 8}, False, {}), (8, {"task": 8}, False, {}), (7, {"task": 7}, True, {7: 70})):
            self.assertEqual((run.is_written(number, line), run.offsets), (is_written, offsets))

    def test_the_program_of_a_task_on_another_machine(self) -> None:
        run = self.run_of(", steps: [{batch: a=1}]")
        task, = self.step.tasks()
        for is_remote, argv, program in ((False, ("sh", "x"), ""), (True, ("sh", "x"), os.path.abspath(shutil.which("sh"))), (True, ("nosuchprogram",), ""), (True, (), "")):
            self.assertEqual(run.line(task._replace(argv=argv), is_remote)["program"], program)

    def test_which_older_success_counts(self) -> None:
        """The next one of tasks that are alike, once."""
        run = self.run_of(", steps: [{batch: a=1}]")
        task, = self.step.tasks()
        older = [hydraflow.Known(self.state("succeeded"), f"{'0' * 26}/{number}") for number in (7, 8, 9)]
        run.older = {task.key: list(older)}
        state = self.state("waiting")
        self.assertEqual([run.reused(task, state) for _ in range(5)], [older[0].state, older[1].state, older[2].state, state, state])
        for is_dry, noted in ((True, []), (False, [{"began": 1.0, "ended": 2.0, "from": "R/7"}])):
            run.is_dry, run.older = is_dry, {task.key: [hydraflow.Known(self.state("succeeded", started=1.0, ended=2.0), "R/7")]}
            with mock.patch.object(hydraflow, "append_attempt") as append:
                run.reused(task, state)
            self.assertEqual([call[1] for call in append.call_args_list], noted)

    def test_what_is_written_of_tasks(self) -> None:
        """Lines of what is new or has changed, and ranges of the others; where lines begin only for what leaves this machine."""
        for numbers, ranges in (([], []), ([1], [[1, 1]]), ([1, 2, 3], [[1, 3]]), ([1, 3, 4, 9], [[1, 1], [3, 4], [9, 9]]), ([3, 2], [[3, 3], [2, 2]])):
            for text, offsets in (("", {}), (", submit: sbatch", {20: 100, 21: 200})):
                run = self.run_of(text)
                block = [hydraflow.Identified(mock.Mock(number=number), None, None) for number in numbers]
                block[1:1] = [hydraflow.Identified(mock.Mock(number=number), None, {"task": number}) for number in (20, 21)]
                with self.subTest(numbers=numbers, text=text), mock.patch.object(hydraflow, "append_lines", return_value=[100, 200, 300]) as append:
                    run.write(self.step, block)
                lines = [{"task": 20}, {"task": 21}] + ([{"again": ranges, "step": 1}] if ranges else [])
                self.assertEqual((append.call_args[0], run.offsets), ((run.record.plan_path, lines), offsets))

    def test_a_task_and_its_number(self) -> None:
        """What was planned before keeps its number; what has changed since gets a line, unless it is over or under way."""
        older = hydraflow.Known(self.state("succeeded", started=1.0, ended=2.0, origin="x/7"), "0" * 26 + "/7")
        for known, name, is_written, reuse, wanted in (
                (None, "waiting", False, None, (5, "waiting", True)), (3, "succeeded", False, None, (3, "succeeded", False)), (3, "running", False, None, (3, "running", False)), (3, "queued", False, None, (3, "queued", False)),
                (3, "failed", False, None, (3, "failed", True)), (3, "failed", True, None, (3, "failed", False)), (None, "waiting", False, older, (5, "succeeded", True)), (3, "interrupted", True, older, (3, "interrupted", False))):
            run = self.run_of(", steps: [{batch: a=1}]")
            draft, = self.step.tasks()
            run.last = 4
            if known:
                run.known = {draft.key: [9, known]}
                ledger = mock.Mock(task=lambda number: None)
                run.survey = mock.Mock(states={known: self.state(name)}, ledger=ledger)
            if reuse:
                run.older = {draft.key: [reuse]}
            with self.subTest(known=known, name=name, is_written=is_written), mock.patch.object(hydraflow.Run, "is_written", return_value=is_written):
                task, state, line = run.identified(self.step, draft, False)
                self.assertEqual((task.number, state.name, line is not None), wanted)
                self.assertEqual((run.last, run.known.get(draft.key)), (4 if known else 5, [9] if known else None))
                self.assertEqual(run.could_reuse, int(bool(known and reuse)))


class Loop(Tables):
    """The loop over steps and what it waits for, each decision by a table; nothing is executed or submitted."""

    def setUp(self) -> None:
        super().setUp()
        self.run_ = hydraflow.Run(hydraflow.plan(job_of(", submit: sbatch, steps: [{batch: 'a=1:4'}]")), options_of(), hydraflow.Record(".hydraflow/job/" + "0" * 26), True)
        self.path = self.run_.record.path
        self.loop = hydraflow.Execution([self.run_], options_of())

    def ahead(self, number: int, numbers: "list", **changes: object) -> "hydraflow.Ahead":
        """Return tasks that an array job has."""
        submission = hydraflow.Submission(number, 1, 1, "slurm", "job", [], [1, 0, 0.0, False], True, 0, f"{70 + number}", -1, [], "")._replace(**changes)
        return hydraflow.Ahead(self.run_, submission, numbers)

    def lost(self, ahead: "hydraflow.Ahead", number: int, name: str = "interrupted", cause: str = "node") -> "hydraflow.Lost":
        """Return a task that was lost."""
        state = hydraflow.State(1, 1)
        state.become(name, cause)
        return hydraflow.Lost(ahead, number, state)

    def test_what_is_in_place_of_what_was_waited_for(self) -> None:
        sent = self.ahead(7, [1])
        for ahead, wanted in ((hydraflow.Ahead(self.run_, None, [1]), []), (self.ahead(2, [2]), []), (self.ahead(2, [2], after=[["other", 1]]), []), (self.ahead(2, [2], after=[[self.path, 2]]), []),
                              (self.ahead(2, [2], after=[["other", 1], [self.path, 1]]), [sent])):
            self.assertEqual(hydraflow.replaced(ahead, {(self.path, 1): sent}), wanted)

    def test_what_was_lost_of_an_array_job(self) -> None:
        """What could not begin is submitted again only behind what it waits for."""
        first, second = self.ahead(1, [1, 2]), self.ahead(2, [3])
        node, blocked, other = self.lost(first, 1), self.lost(first, 2, "skipped", "blocked"), self.lost(second, 3)
        watch = hydraflow.Watch([first, second])
        watch.lost = [node, other, blocked]
        for ahead, may_follow, found in ((first, True, ([node, blocked], [])), (first, False, ([node], [blocked])), (second, False, ([other], [])), (self.ahead(3, []), True, ([], []))):
            self.assertEqual(watch.lost_of(ahead, may_follow), found)

    def test_what_is_said_of_what_was_submitted_again(self) -> None:
        first = self.ahead(1, [1, 2])
        node, preempted, blocked = self.lost(first, 1), self.lost(first, 2, "interrupted", "preempted"), self.lost(first, 3, "skipped", "blocked")
        for lost, text in (([node], "node failure: 1 task submitted again as array job 79"), ([preempted, node, node], "node failure, preempted: 3 tasks submitted again as array job 79"),
                           ([blocked, blocked], "behind them: 2 tasks submitted again as array job 79")):
            self.assertEqual(hydraflow.again_text(lost, self.ahead(9, [])), text)

    def test_how_often_what_was_lost_is_submitted_again(self) -> None:
        """As long as something is, but not for ever; a signal ends it, and what was lost is told then."""
        ahead = self.ahead(1, [1])
        end, stop = hydraflow.note_event("end", ""), hydraflow.note_event("interrupt", "")
        for most, stopped, looks, sent, told in ((0, 9, 1, 0, 0), (2, 9, 3, 2, 0), (99, 9, hydraflow.REQUEUES + 1, hydraflow.REQUEUES, 1), (99, 2, 2, 1, 1), (0, 1, 1, 0, 1)):
            loop = hydraflow.Execution([self.run_], options_of())
            loop.rest = [ahead, self.ahead(5, [5])]
            seen, submitted = [], []

            def follow(watch: "hydraflow.Watch", seen: "list" = seen, stopped: int = stopped) -> "list":
                seen.append(watch.waited)
                return [stop] if len(seen) == stopped else []

            def again(watch: "hydraflow.Watch", found: "dict", submitted: "list" = submitted, most: int = most) -> "list":
                if len(submitted) < most:
                    submitted.append(self.ahead(10 + len(submitted), [1]))
                    found[self.path, 1] = submitted[-1]
                return []

            with self.subTest(most=most, stopped=stopped), mock.patch.object(hydraflow, "follow", follow), \
                    mock.patch.object(loop.__class__, "send_again", side_effect=again), mock.patch.object(hydraflow.Watch, "ends", return_value=[end]):
                events = list(loop.followed([ahead]))
                self.assertEqual((len(seen), len(submitted), events.count(end), events.count(stop)), (looks, sent, told, int(stopped <= looks)))
                self.assertEqual(seen, [[ahead]] + [[one] for one in submitted])
                self.assertEqual((loop.sent, loop.is_interrupted, [one.numbers for one in loop.rest]), (submitted, stopped <= looks, [[5]]))

    def test_in_which_order_it_is_submitted_again(self) -> None:
        """An array job that waits for another one comes behind what is in the place of that, unless something has failed by itself."""
        first, second = self.ahead(1, [1]), self.ahead(2, [2, 3], after=[[self.path, 1]])
        watch = hydraflow.Watch([first, second, self.ahead(3, [4])])
        watch.lost = [self.lost(first, 1), self.lost(second, 2, "skipped", "blocked"), self.lost(second, 3)]
        sent = self.ahead(9, [1])

        def once_more(old: object, watch: object, lost: object, before: object, again: "dict") -> "list":
            again[self.path, old.number] = sent
            return ["sent"]

        for has_failed, wanted, told in ((False, [(1, [1], []), (2, [2, 3], [sent])], []), (True, [(1, [1], []), (2, [3], [sent])], [2])):
            with self.subTest(has_failed=has_failed), mock.patch.object(hydraflow.Run, "has_failed", return_value=has_failed), \
                    mock.patch.object(hydraflow.Watch, "ends", side_effect=lambda lost: [one.number for one in lost]), \
                    mock.patch.object(self.loop.__class__, "send_once_more", side_effect=once_more) as sending:
                events = list(self.loop.send_again(watch, {}))
            self.assertEqual([(call[0][0].number, [one.number for one in call[0][2]], call[0][3]) for call in sending.call_args_list], wanted)
            self.assertEqual([event for event in events if event != "sent"], told)

    def test_what_is_submitted_once_more(self) -> None:
        """What was lost alone, of the same step and to the same cluster, as attempts behind those that began or are claimed."""
        run = hydraflow.Run(hydraflow.plan(job_of(", submit: sbatch, steps: [{batch: a=1}, {batch: a=2}, {batch: 'a=3:6', pack: 2}]")), options_of(), mock.Mock(ulid="0" * 26), True)
        run.record.claimant = lambda number, attempt: "somebody" if (number, attempt) == (5, 4) else ""
        run.record.submission_numbers = lambda: [1, 2]
        old = hydraflow.Submission(2, 1, 3, "slurm", "job", [], [1, 0, 0.0, False], True, 0, "7;far", -1, [[[3, 1, 30], [4, 4, 40]], [[5, 2, 50], [6, 1, 60]]], "far")
        lost = [hydraflow.Lost(hydraflow.Ahead(run, old, [3, 4, 5, 6]), number, self.state("interrupted", "node", attempt=attempt)) for number, attempt in ((4, 1), (5, 3), (6, 1))]
        before = hydraflow.Ahead(mock.Mock(record=hydraflow.Record("other")), old._replace(number=8, job_id="6;far"), [1])
        for aheads, after, ids in (([before, hydraflow.Ahead(run, None, [])], [[before.run.record.path, 8]], ["6;far"]), ([], [], [])):
            with mock.patch.object(hydraflow.ArrayPlace, "submit", side_effect=lambda run, step, submission, *rest: submission._replace(job_id="9")) as sending:
                found = hydraflow.submit_again(run, lost, old, aheads)
            _, step, submission, throttle, names, commands = sending.call_args[0]
            self.assertEqual((step.number, submission.number, submission.step, submission.clusters, submission.after), (3, 3, 3, "far", after))
            self.assertEqual((submission.width, submission.status, submission.scheduler), (0, -1, "slurm"))
            self.assertEqual((submission.slots, throttle, names, commands), ([[[4, 4, 40], [6, 2, 60]], [[5, 5, 50]]], 0, ids, {}))
            self.assertEqual((found.submission.job_id, found.numbers), ("9", [4, 5, 6]))

    def test_ends_of_what_is_not_submitted_again(self) -> None:
        ahead = self.ahead(1, [1, 2])
        watch = hydraflow.Watch([ahead])
        lost = [self.lost(ahead, number) for number in (1, 2)]
        with mock.patch.object(hydraflow.Watch, "end", side_effect=lambda run, number, state: hydraflow.note_event("end", f"{number} {state.cause}")), mock.patch.object(hydraflow.Run, "see") as seen:
            events = list(watch.ends(lost))
        self.assertEqual([event.text for event in events], ["1 node", "2 node"])
        self.assertEqual([call[0][0] for call in seen.call_args_list], events)

    def test_a_refusal_of_what_was_lost(self) -> None:
        """What was lost is told then; nothing is in its place."""
        ahead = self.ahead(1, [1])
        watch = hydraflow.Watch([ahead])
        for answer, again, refused, kinds in (([self.ahead(9, [1])], [(self.path, 1)], False, ["note"]), (hydraflow.Refusal("no"), [], True, ["error", "end"])):
            found = {}
            with self.subTest(refused=refused), mock.patch.object(hydraflow, "submit_again", side_effect=answer), \
                    mock.patch.object(hydraflow.Watch, "ends", return_value=[hydraflow.note_event("end", "")]):
                events = list(self.loop.send_once_more(ahead.submission, watch, [self.lost(ahead, 1)], [], found))
            self.assertEqual((list(found), self.run_.refused, [event.kind for event in events]), (again, refused, kinds))

    def test_what_a_refusal_cancels(self) -> None:
        """What this command has submitted and what is not over; both are said, and what went wrong."""
        awaited, open_, other = self.ahead(1, [1]), self.ahead(2, [2, 3], step=4), self.ahead(3, [4])
        for sent, wrong, count, texts in (([], "", 0, ["error: no"]), ([awaited], "", 0, ["error: no"]), ([hydraflow.Ahead(self.run_, None, [3])], "", 0, ["error: no"]),
                                   ([awaited, open_, other], "", 2, ["error: no", "cancelled array job 72 of step 4, array job 73 of step 1, so that nothing is half submitted"]),
                                   ([open_], "scancel: down", 1, ["error: no", "cancelled array job 72 of step 4, so that nothing is half submitted", "scancel: down"])):
            self.loop.sent, self.run_.open, self.run_.refused = sent, {3, 4}, False
            with self.subTest(texts=texts), mock.patch.object(hydraflow, "cancel_submission", return_value=wrong) as cancel:
                events = list(self.loop.refused(self.run_, hydraflow.Refusal("no")))
            self.assertEqual(([(event.kind, event.text) for event in events], self.run_.refused), ([("error", text) for text in texts], True))
            self.assertEqual(cancel.call_count, count)

    def test_how_tasks_become_array_jobs(self) -> None:
        """As many as the limit asks for; they share the throttle, or follow each other where it is smaller than their number."""
        waited = [self.ahead(3, [9]), hydraflow.Ahead(self.run_, None, [8])]
        other = self.ahead(4, [7])
        for count, limit, pack, throttle, sizes, shares, behinds in (
                (0, 4, 1, 0, [], [], []), (3, 4, 1, 0, [3], [0], [""]), (9, 4, 1, 0, [4, 4, 1], [0, 0, 0], [""] * 3), (9, 4, 1, 5, [4, 4, 1], [2, 2, 1], [""] * 3),
                (9, 4, 1, 3, [4, 4, 1], [1, 1, 1], [""] * 3), (9, 4, 1, 2, [4, 4, 1], [2, 2, 2], ["", "91", "92"]), (9, 4, 3, 2, [3], [2], [""]), (9, 4, 2, 1, [4, 1], [1, 1], ["", "91"])):
            todo = [(hydraflow.first_task(self.run_.plan.steps[0])._replace(number=number), hydraflow.State()) for number in range(1, count + 1)]
            place = hydraflow.ArrayPlace(hydraflow.SCHEDULERS["slurm"], "")
            sent = []

            def submit(run: object, step: object, submission: "hydraflow.Submission", share: int, ids: "list", commands: object, behind: str, sent: "list" = sent) -> "hydraflow.Submission":
                sent.append((len(submission.slots), share, behind, submission.after, list(ids)))
                return submission._replace(job_id=f"9{len(sent)}")

            with self.subTest(count=count, pack=pack, throttle=throttle), mock.patch.object(self.run_.__class__, "work", return_value=hydraflow.Work(5, [], [], todo)), \
                    mock.patch.object(self.run_.__class__, "pack", return_value=(pack, 1)), mock.patch.object(self.run_.__class__, "throttle", return_value=throttle), \
                    mock.patch.object(hydraflow, "array_limit", return_value=limit), mock.patch.object(hydraflow, "find_program", return_value="x"), \
                    mock.patch.object(hydraflow, "slot_entries", lambda run, tasks: [[task.number, 1, 0] for task, _ in tasks]), \
                    mock.patch.object(hydraflow, "grouped_by_submission", return_value=[other]), mock.patch.object(hydraflow, "next_submission", return_value=6), mock.patch.object(place, "submit", submit):
                events = list(place.start(self.run_, self.run_.plan.steps, waited))
                self.assertEqual([one[:3] for one in sent], list(zip(sizes, shares, behinds)))
                self.assertEqual([one[3:] for one in sent], [([[self.path, 3]], ["73"])] * len(sizes))
                self.assertEqual(([ahead.submission.job_id for ahead in place.left[:-1]], place.left[-1]), ([f"9{number}" for number in range(1, len(sizes) + 1)], other))
                self.assertEqual(sorted(number for ahead in place.left[:-1] for number in ahead.numbers), list(range(1, count + 1)))
                self.assertEqual([event.kind for event in events], ["done"] + ["note"] * len(sizes))

    def test_by_which_submissions_tasks_are_awaited(self) -> None:
        """By the last one that has a task, if that is a scheduler's, and the task waits there or runs there."""
        slots = [[[number, 1, 0]] for number in (1, 2, 3)]
        first, second, handler = (self.ahead(number, [], slots=slots[:count], scheduler=name).submission for number, count, name in ((1, 3, "slurm"), (2, 1, "slurm"), (3, 0, "handler")))
        handler = handler._replace(slots=slots[2:])
        slot = hydraflow.NOBODY._replace(path="0001_slot-1-1_x-1.jsonl")
        here = hydraflow.NOBODY._replace(path="0001_here_x-1.jsonl")
        states = {}
        for number, name, writer in ((1, "queued", hydraflow.NOBODY), (2, "running", slot), (3, "running", slot), (4, "running", here), (5, "queued", hydraflow.NOBODY)):
            states[number] = hydraflow.State(1)
            states[number].become(name)
            states[number].writer = writer
        tasks = [(mock.Mock(number=number), state) for number, state in states.items()]
        self.assertEqual(hydraflow.grouped_by_submission(self.run_, tasks), [hydraflow.Ahead(self.run_, None, [1, 2, 3, 4, 5])])
        self.run_.survey = mock.Mock(submissions=[first, second, handler])
        found = hydraflow.grouped_by_submission(self.run_, tasks)
        self.assertEqual([(ahead.submission, ahead.numbers) for ahead in found], [(None, [4, 5]), (first, [2]), (second, [1]), (None, [3])])
        states[2].writer = here
        found = hydraflow.grouped_by_submission(self.run_, tasks)
        self.assertEqual([(ahead.submission, ahead.numbers) for ahead in found], [(None, [2, 4, 5]), (second, [1]), (None, [3])])

    def test_while_a_handler_is_executed(self) -> None:
        """It is looked at less and less often, and gets the signals; its end is noted, 128 and more for a signal."""
        submission = self.ahead(1, [], slots=[[[1, 1, 0]]]).submission
        for is_bare, returned, status in ((False, 0, 0), (False, -15, 143), (True, 3, 3)):
            place = hydraflow.Handler(is_bare)
            process = mock.Mock(pid=77, returncode=returned)
            process.poll.side_effect = [None] * 20 + [returned]
            signals = mock.MagicMock(numbers=[])
            signals.__enter__.return_value = signals
            delays = []

            def wait(delay: float, delays: "list" = delays, signals: "mock.Mock" = signals) -> None:
                delays.append(delay)
                signals.numbers += [signal.SIGINT, signal.SIGTERM] if len(delays) == 3 else []

            signals.wait = wait
            with self.subTest(is_bare=is_bare, returned=returned), mock.patch.multiple(
                    hydraflow, Signals=mock.Mock(return_value=signals), spawn=mock.Mock(return_value=process), begin_events=mock.DEFAULT, append_event=mock.DEFAULT, write_status=mock.DEFAULT,
                    stop_group=mock.DEFAULT) as mocks, \
                    mock.patch.object(hydraflow.Watch, "look", side_effect=lambda: iter([])) as look, mock.patch.object(place, "after", return_value=[]):
                events = list(place.hand_over(self.run_, submission, ["tool", "file"]))
            self.assertEqual([round(delay, 4) for delay in delays[:3]], [0.05, 0.06, 0.072])
            self.assertEqual((delays[-1], max(delays)), (1.0, 1.0))
            self.assertEqual([call[0] for call in mocks["stop_group"].call_args_list], [(77, signal.SIGINT), (77, signal.SIGTERM)])
            self.assertEqual([event.text for event in events], ["SIGINT: passed on to tool", "SIGTERM: passed on to tool"])
            self.assertEqual(mocks["write_status"].call_args[0], (self.run_.record, submission, status))
            self.assertEqual(look.call_count, 0 if is_bare else 20)

    def test_steps_in_their_order(self) -> None:
        """Who cannot wait by itself is waited for; a failure, a refusal or a signal leaves the rest of the steps planned."""
        places = [mock.Mock(left=[name], is_remote=True) for name in ("first", "second", "third")]
        for waits, blocked, refused_at, stopped_at, begun, awaited, planned, left in (
                ((), (), 0, 0, [(0, ["need"]), (1, ["first"]), (2, ["second"])], [], None, ["third"]), ((1,), (), 0, 0, [(0, ["need"]), (1, []), (2, ["second"])], [["first"]], None, ["third"]),
                ((0, 2), (), 0, 0, [(0, []), (1, ["first"]), (2, [])], [["need"], ["second"]], None, ["third"]), ((), (2,), 0, 0, [(0, ["need"])], [], [1, 2], []), ((), (), 2, 0, [(0, ["need"]), (1, ["first"])], [], [2], []),
                ((), (), 0, 1, [(0, ["need"])], [], [1, 2], [])):
            loop = hydraflow.Execution([self.run_], options_of())
            self.run_.refused, self.run_.notes = False, ["a note"]
            loop.aheads = {"need": ["need"]}
            starts, follows, asked = [], [], []
            for index, place in enumerate(places):
                place.can_wait_for = lambda before, index=index, waits=waits: index not in waits

            def step(run: object, place: object, steps: object, before: "list", starts: "list" = starts, loop: object = loop, refused_at: int = refused_at, stopped_at: int = stopped_at) -> "list":
                starts.append((places.index(place), list(before)))
                self.run_.refused = len(starts) == refused_at
                loop.is_interrupted = len(starts) == stopped_at
                return []

            def is_blocked(run: object, asked: "list" = asked, blocked: "tuple" = blocked) -> bool:
                asked.append(1)
                return len(asked) in blocked

            with self.subTest(waits=waits, blocked=blocked, refused_at=refused_at, stopped_at=stopped_at), mock.patch.object(hydraflow, "places_of", return_value=[(place, []) for place in places]), \
                    mock.patch.multiple(loop.__class__, execute_step=mock.Mock(side_effect=step), is_blocked=mock.Mock(side_effect=is_blocked), followed=mock.Mock(side_effect=lambda before: follows.append(before) or [])), \
                    mock.patch.object(hydraflow.Run, "plan_rest") as rest, mock.patch.object(self.run_.__class__, "job", mock.Mock(needs=[("need", None)], key="job")):
                events = list(loop.execute_run(self.run_))
                self.assertEqual(([event.text for event in events], starts, follows), (["a note"], begun, awaited))
                self.assertEqual([[places.index(place) for place, _ in call[0][0]] for call in rest.call_args_list], [planned] if planned else [])
                self.assertEqual(loop.aheads.get("job", []), left)

    def test_what_is_with_a_scheduler_is_awaited_behind_a_failure(self) -> None:
        for waits, refused, awaited in ((True, False, [["rest"]]), (False, False, []), (True, True, [])):
            loop = hydraflow.Execution([self.run_], options_of(wait=waits))
            loop.rest, self.run_.refused, follows = ["rest"], refused, []
            with self.subTest(waits=waits, refused=refused), mock.patch.multiple(loop.__class__, execute_run=mock.Mock(return_value=[]), may_go_on=mock.Mock(return_value=False),
                                                                                 followed=mock.Mock(side_effect=lambda rest, follows=follows: follows.append(rest) or [])):
                self.assertEqual((list(loop.execute()), follows), ([], awaited))

    def test_what_is_left_of_a_step(self) -> None:
        """It is open; what this start has submitted may be cancelled later. What a place executes itself is awaited at the end."""
        own, earlier, local = self.ahead(1, [1, 2]), self.ahead(2, [3], start=7), hydraflow.Ahead(self.run_, None, [4])
        for is_remote, refusal in ((True, None), (False, None), (True, hydraflow.Refusal("no"))):
            place = mock.Mock(left=[own, earlier, local], is_remote=is_remote)
            place.start = mock.Mock(side_effect=refusal, return_value=iter([hydraflow.note_event("note", "x"), hydraflow.note_event("interrupt", "y")]))
            loop = hydraflow.Execution([self.run_], options_of())
            self.run_.open = set()
            with self.subTest(is_remote=is_remote, refusal=refusal), mock.patch.object(loop.__class__, "refused", return_value=[hydraflow.note_event("error", "no")]):
                events = list(loop.execute_step(self.run_, place, [], []))
            self.assertEqual((loop.rest, loop.sent, self.run_.open), ([own, earlier, local], [own], {1, 2, 3, 4}))
            self.assertEqual(([event.text for event in events], loop.must_follow, loop.is_interrupted), (["no"], False, False) if refusal else (["x", "y"], not is_remote, True))

    def test_of_which_job_an_event_is(self) -> None:
        for kind, text in (("start", "job"), ("retry", "job"), ("end", "job"), ("note", "x"), ("tick", "x"), ("elsewhere", "x")):
            event, = self.loop.watched(iter([hydraflow.note_event(kind, "x")]), self.run_)
            self.assertEqual((event.text, self.loop.is_interrupted), (text, False))

    def test_what_may_begin_behind_what(self) -> None:
        """Nothing behind a needed job that has failed; a step behind one that has failed where it must succeed."""
        other = hydraflow.Run(hydraflow.plan(hydraflow.read_jobs(hydraflow.read_yaml("jobs: {job: {run: 'true', hydra: false}, b: {run: 'true', hydra: false, needs: job}}"))["b"]), options_of(), hydraflow.Record("x"), True)
        loop = hydraflow.Execution([self.run_, other], options_of())
        for failed, must, is_blocked in (((), True, False), ((self.run_,), False, True), ((other,), True, True), ((other,), False, False)):
            with self.subTest(must=must, is_blocked=is_blocked), mock.patch.object(hydraflow.Run, "has_failed", autospec=True, side_effect=lambda run, failed=failed: run in failed), \
                    mock.patch.object(hydraflow.Run, "must_succeed", return_value=must):
                self.assertEqual(loop.is_blocked(other), is_blocked)
        for has_failed, unfinished, may in ((False, 0, True), (True, 0, False), (False, 1, False)):
            with mock.patch.object(hydraflow.Run, "has_failed", return_value=has_failed), mock.patch.object(hydraflow.Run, "unfinished", return_value=unfinished):
                self.assertEqual(loop.may_go_on(other), may)


class Packs(EmptyFolder):
    """An array job of three slots with two tasks each, whose array tasks are executed in this process."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        plan = hydraflow.plan(hydraflow.read_jobs(hydraflow.read_yaml("jobs: {job: {run: sh -c 'echo $0 >> done; test $0 != a=5 || exit 3', hydra: false, submit: sbatch, steps: [{batch: 'a=1:6'}]}}"))["job"])
        run = hydraflow.open_run(plan, options_of(), False, False)
        self.addCleanup(run.release)
        self.slots = hydraflow.packed(hydraflow.slot_entries(run, run.work(plan.steps[0], True).todo), 2)
        self.record = run.record
        self.submit(1)

    def submit(self, number: int, **changes: object) -> "hydraflow.Submission":
        """Write a submission of all slots into the record."""
        submission = hydraflow.Submission(number, 1, 1, "slurm", "job", [], [1, 0, 0.0, False], True, 0, "", -1, self.slots, "")
        return hydraflow.write_submission(self.record, submission._replace(**changes))

    def begun(self, slot: int, number: int = 1) -> "list":
        """Return the tasks that the array task of a slot begins, in their order."""
        return [event.task.number for event in hydraflow.run_slot(self.record.path, number, slot) if event.kind == "start"]

    def test_a_pack_takes_what_others_have_not_begun(self) -> None:
        """Its own tasks first, then those of the slots behind it, from their ends; a failure is left to who failed."""
        self.assertEqual([[entry[:2] for entry in slot] for slot in self.slots], [[[1, 1], [4, 1]], [[2, 1], [5, 1]], [[3, 1], [6, 1]]])
        self.assertEqual(self.begun(2), [2, 5, 6, 4, 3, 1])
        with open("done", encoding="utf-8") as file:
            self.assertEqual(file.read().split(), ["a=2", "a=5", "a=6", "a=4", "a=3", "a=1"])
        self.assertEqual([self.begun(slot) for slot in (1, 3)], [[], []])
        self.assertEqual(self.begun(2), [5])  # requeued, it tries again what failed there

    def test_the_last_slot_takes_those_before_it(self) -> None:
        self.assertEqual(self.begun(3), [3, 6, 4, 5, 1, 2])

    def test_somebody_has_begun(self) -> None:
        for number, writer in ((1, "0001_slot-1-1_x-1"), (6, "0001_slot-1-3_x-2"), (5, "0001_here_x-3")):
            self.assertTrue(self.record.claim(number, 1, writer))
        events = list(hydraflow.run_slot(self.record.path, 1, 2))
        self.assertEqual([event.task.number for event in events if event.kind == "start"], [2, 4, 3])
        self.assertEqual([event.text for event in events if event.kind == "error"], ["task 5 is executed by 0001_here_x-3"])

    def test_slots_of_different_depths(self) -> None:
        entries = [entry for slot in self.slots for entry in slot]  # of tasks 1, 4, 2, 5, 3, 6
        self.submit(2, slots=[entries[:1], entries[1:5], entries[5:]])
        self.assertEqual(self.begun(2, 2), [4, 2, 5, 3, 6, 1])

    def test_slots_of_one_task_take_no_others(self) -> None:
        self.submit(2, slots=[[entry] for slot in self.slots for entry in slot])
        self.assertEqual(self.begun(3, 2), [2])

    def test_what_must_not_begin_is_skipped(self) -> None:
        for number, after, must_succeed, scheduler, begun in ((2, [], True, "gridengine", [1, 4, 6, 5, 3, 2]), (3, [[self.record.path, 2]], False, "gridengine", [1, 4]), (4, [[self.record.path, 2]], True, "slurm", []),
                                                              (5, [[self.record.path, 2]], True, "gridengine", []), (6, [[self.record.path, 1], [self.record.path, 2]], True, "gridengine", [])):
            submission = self.submit(number, after=after, must_succeed=must_succeed, scheduler=scheduler)
            with self.subTest(number=number):
                may_begin = number in (2, 3, 4)
                for _ in range(2):  # the second time by the verdict
                    self.assertEqual(hydraflow.may_begin(self.record, submission), may_begin)
                verdicts = [name for name in ("passed", "failed") if os.path.exists(self.record.submission_path(number, name))]
                self.assertEqual(verdicts, [] if may_begin else ["failed"])
                if number == 2:
                    self.assertEqual(sorted(self.begun(1, 2)), [1, 2, 3, 4, 5, 6])
        states = hydraflow.read_told(self.record).states
        self.assertEqual({number: states[number].name for number in range(1, 7)}, {1: "succeeded", 2: "succeeded", 3: "succeeded", 4: "succeeded", 5: "failed", 6: "succeeded"})
        self.submit(7, slots=[[[5, 2, self.slots[1][1][2]]]], after=[[self.record.path, 2]], scheduler="gridengine")
        self.assertEqual(self.begun(1, 7), [])
        state = hydraflow.read_told(self.record).states[5]
        self.assertEqual((state.name, state.cause, state.attempt), ("skipped", "blocked", 2))
        good = self.submit(8, slots=[self.slots[0], self.slots[2]])
        behind = self.submit(9, after=[[self.record.path, good.number]], scheduler="gridengine")
        self.assertEqual([hydraflow.may_begin(self.record, behind) for _ in range(2)], [True, True])
        with mock.patch.object(hydraflow, "all_succeeded", side_effect=AssertionError("a verdict needs no further look")):
            self.assertTrue(hydraflow.may_begin(self.record, behind))
        self.assertTrue(os.path.exists(self.record.submission_path(9, "passed")))

    def test_the_attempt_that_is_skipped(self) -> None:
        """The next one: the first, of a task that never began."""
        self.submit(2, after=[[self.record.path, 1]], scheduler="gridengine")
        self.assertEqual(self.begun(1, 2), [])
        found = hydraflow.read_told(self.record).states
        self.assertEqual({number: (state.name, state.attempt) for number, state in found.items()}, {1: ("skipped", 1), 4: ("skipped", 1)})

    def test_commands_of_plain_tasks(self) -> None:
        """Of those alone, and of first attempts; some slots in each file."""
        submission = self.submit(2, slots=[[[1, 2, 0]], [[2, 1, 0]], [[3, 1, 0]], [[4, 1, 0]]])
        with mock.patch.object(hydraflow, "COMMANDS_BLOCK", 4):
            hydraflow.write_commands(self.record, submission, {1: "one", 3: "three", 4: "four"})
        texts = []
        for block in range(2):
            with open(self.record.commands_path(2, block), encoding="utf-8") as file:
                texts.append([line.split()[0] + line.split()[-2] for line in file.read().split("\n")[1:-2]])
        self.assertEqual(texts, [["3)three"], ["4)four"]])

    def test_an_attempt_that_nobody_claimed(self) -> None:
        for claims, first, found in (((), 1, 1), ((1,), 1, 2), ((1, 2), 1, 3), ((1, 2, 3), 1, 4), ((1, 3), 1, 2), ((1, 2), 3, 3)):
            record = mock.Mock(claimant=lambda number, attempt, claims=claims: "somebody" if number == 7 and attempt in claims else "")
            self.assertEqual(hydraflow.unclaimed_attempt(record, 7, first), found)

    def test_a_stranger_executes_nothing(self) -> None:
        self.submit(2, job_id="7")
        hydraflow.write_job_id(self.record, self.submit(3), "7")
        with mock.patch.dict(os.environ, SLURM_ARRAY_JOB_ID="8"):
            events = list(hydraflow.run_slot(self.record.path, 3, 1))
        self.assertEqual([(event.kind, event.text) for event in events], [("error", "nothing is executed: these tasks are those of array job 7")])

    def test_paths_of_this_machine(self) -> None:
        task = hydraflow.task_at(self.record, self.slots[0][0][2])[0]
        python = sys.executable
        for argv, is_call, program, found in ((("sh", "x"), False, "/bin/sh", ("/bin/sh", "x")), (("sh", "x"), False, "/no/sh", ("sh", "x")), (("sh", "x"), False, "", ("sh", "x")),
                                              ((python, "/other/hydraflow.py", "call", "m.f"), True, python, (python, os.path.abspath(hydraflow.__file__), "call", "m.f")),
                                              ((python, "-E", "-B", "/other/hydraflow.py", "call", "m.f"), True, python, (python, "-E", "-B", os.path.abspath(hydraflow.__file__), "call", "m.f"))):
            self.assertEqual(hydraflow.here_task(task._replace(argv=argv, is_call=is_call), program).argv, found)


class BegunInSh(Program):
    """The task of an array task that is a command and nothing else: sh begins it, and what is told of it is what Python tells."""

    def setUp(self) -> None:
        super().setUp()
        if not hydraflow.can_begin():
            self.skipTest("this machine has no /proc, or no program that begins a group of processes")
        self.program("sbatch", "echo 77")
        self.shells = ["/bin/sh"]
        if os.path.exists("/bin/bash"):  # which is sh on many systems
            os.mkdir(os.path.join(self.folder, "bash"))
            self.shells.append(os.path.join(self.folder, "bash", "sh"))
            os.symlink("/bin/bash", self.shells[-1])
        self.path = {"PATH": self.folder + os.pathsep + os.environ["PATH"]}

    def program(self, name: str, text: str) -> None:
        """Write a program of sh."""
        self.write(name, f"#!/bin/sh\n{text}\n")
        os.chmod(os.path.join(self.folder, name), 0o755)

    def submit(self, text: str) -> str:
        """Submit a job, which nobody executes; return its record."""
        self.job("submit: sbatch\n" + text)
        result = self.hydraflow("run", "job", env=self.path)
        self.assertEqual(result.status, 0, result.err)
        return self.records()[-1]

    def begin(self, record: str, slot: int, shell: str = "/bin/sh", text: str = "", **variables: str) -> "subprocess.Popen[bytes]":
        """Execute the script of a slot as a scheduler would; what it writes goes into the scheduler's file."""
        env = {**os.environ, **self.path, "SLURM_ARRAY_TASK_ID": str(slot), "SLURM_ARRAY_JOB_ID": "77", **variables}
        words = [shell, "-c", text, "sh"] if text else [shell, f"{record}/submissions/1.sh"]
        with open(f"{record}/scheduler/1-{slot}.out", "ab") as out:
            process = subprocess.Popen(words, cwd="/", stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(hydraflow.stop_group, process.pid, signal.SIGKILL)
        return process

    def told(self, record: str, slot: int) -> "list":
        """Return the events of a slot without what differs from one time to the next."""
        events = []
        for path in sorted(glob.glob(f"{record}/events/*_slot-1-{slot}_*")):
            for event in hydraflow.read_lines(path):
                self.assertTrue(hydraflow.is_event(event))
                if event["event"] == "writer":
                    self.assertLess(abs(event["epoch"] - (time.time() - hydraflow.uptime())), 0.5)
                for name in ("pid", "up", "epoch"):
                    if name in event:
                        self.assertGreater(event.pop(name), 0)
                events.append(event)
        return events

    def is_python(self, record: str, slot: int) -> bool:
        """Return whether Python executed a slot: it tells the parts of its writer in another order."""
        with open(glob.glob(f"{record}/events/*_slot-1-{slot}_*")[-1]) as file:
            return '"event":"writer","epoch"' not in file.read()

    def files(self, record: str) -> "dict":
        """Return what a record keeps beside its events, the processes' numbers left out."""
        found = {}
        for folder in ("logs", "room", "scheduler", "claims"):
            for path in glob.glob(f"{record}/{folder}/**", recursive=True):
                name = re.sub("-[0-9]+(?=-|$)", "-N", os.path.relpath(path, record)) if folder == "room" else os.path.relpath(path, record)
                if os.path.islink(path):
                    found[name] = re.sub("[0-9]+$", "N", os.readlink(path))
                elif os.path.isfile(path):
                    with open(path, "rb") as file:
                        found[name] = file.read().decode("utf-8", "surrogateescape")
        return found

    def test_python_tells_the_same(self) -> None:
        """Of words with anything in them, success and failure, output and none; with variables of the environment as they are."""
        self.program("tell", 'echo "$#:$*:$task:$up:$PWD"; echo bad >&2; cat; exit ${1#a=}')
        self.program("killed", "echo x; kill -9 $$")
        for run in ("'./tell'", "'true'", "'false'", "./tell 'x  y' \"it's\" '$HOME' '`id`' \"a\\\\b\" '' -n", "./killed", "./lost"):
            with self.subTest(run=run):
                records = []
                for shell in ("python", *self.shells):
                    self.program("lost", "exit 3")
                    record = self.submit(f"run: {run}\nsteps: [{{batch: 'a=0,7'}}]")
                    if run == "./lost":
                        os.remove(os.path.join(self.folder, "lost"))
                    if shell == "python":
                        os.remove(f"{record}/submissions/1.begin")
                    statuses = [self.begin(record, slot, shell.replace("python", "sh"), task="T", up="U").wait() for slot in (1, 2)]
                    self.assertEqual(self.is_python(record, 1), shell == "python")
                    records.append((statuses, [self.told(record, slot) for slot in (1, 2)], self.files(record)))
                for other in records[1:]:
                    self.assertEqual(other, records[0])

    def test_what_is_left_to_python(self) -> None:
        """Whatever is not as usual; what it says then is said once."""
        def claimed(record: str) -> None:
            hydraflow.Record(record).claim(1, 1, "0001_slot-1-1_other-1")

        def taken(record: str) -> None:
            hydraflow.Record(record).claim(1, 1, "0002_here_other-1")

        def nothing(record: str) -> None:
            pass

        def no_folder(record: str) -> None:
            os.rename(os.path.join(self.folder, "work"), os.path.join(self.folder, "away"))

        def no_logs(record: str) -> None:
            shutil.rmtree(f"{record}/logs/0")
            self.write(os.path.relpath(f"{record}/logs/0", self.folder), "")

        def no_log(record: str) -> None:
            os.mkdir(f"{record}/logs/0/1.log")

        rows = (
            (claimed, {}, 0, "", [("start", 2), ("end", 2)]), (taken, {}, 1, "task 1 is executed by 0002_here_other-1", []),
            (nothing, {"SLURM_ARRAY_JOB_ID": "78"}, 1, "nothing is executed: these tasks are those of array job 77", []),
            (no_folder, {}, 1, "", [("end", 1)]), (no_logs, {}, 1, "", [("end", 1)]), (no_log, {}, 1, "", [("end", 2)]))
        for prepare, variables, status, said, events in rows:
            with self.subTest(prepare.__name__):
                os.makedirs(os.path.join(self.folder, "work"), exist_ok=True)
                record = self.submit("run: 'true'\nworking-directory: work\nsteps: [{batch: a=1}]" if prepare is no_folder else "run: 'true'\nsteps: [{batch: a=1}]")
                prepare(record)
                self.assertEqual(self.begin(record, 1, **variables).wait(), status)
                self.assertEqual([(event["event"], event["try"]) for event in self.told(record, 1) if "task" in event], events)
                self.assertEqual(self.files(record).get("scheduler/1-1.out", "").split("\n")[0], said)

    def test_which_tasks(self) -> None:
        """Those that are a command and nothing else, of array tasks with one of them, without limits."""
        for text, count in (("run: 'true'", 2), ("run: 'true'\nenv: {A: x}", 0), ("run: 'true'\nretries: 1", 0), ("run: 'true'\npack: 2", 0), ("run: 'true'\nmax-parallel: 1", 2),
                            ("run: 'true'\ntimeout-minutes: 1", 0), ("run: 'true'\nfail-fast: true", 0), ("run: echo ${{ task.slot }}", 0), ("run: echo ${{ task.dir }}", 0),
                            ("call: os.path.join", 0), (f"run: 'true'\npython: {sys.executable} -B", 0), (f"run: 'true'\npython: {sys.executable}", 2)):
            with self.subTest(text):
                record = self.submit(f"{text}\nsteps: [{{batch: 'a=1,2'}}]")
                found = "".join(self.read(os.path.relpath(path, self.folder)) for path in glob.glob(f"{record}/submissions/1.commands/*"))
                self.assertEqual(found.count(") begin "), count)
                self.assertEqual(os.path.exists(f"{record}/submissions/1.begin"), count > 0)

    def test_many(self) -> None:
        """Slots of several files of commands; each finds its own."""
        count = 2 * hydraflow.COMMANDS_BLOCK + 1
        record = self.submit(f"run: echo\nsteps: [{{batch: 'a=1:{count}'}}]")
        for slot in (1, hydraflow.COMMANDS_BLOCK - 1, hydraflow.COMMANDS_BLOCK, hydraflow.COMMANDS_BLOCK + 1, count):
            self.assertEqual(self.begin(record, slot).wait(), 0)
            self.assertFalse(self.is_python(record, slot))
            self.assertEqual(self.files(record)[f"logs/0/{slot}.log"], f"a={slot}\n")

    def test_signals(self) -> None:
        """Each that reaches the script alone reaches the task; what was asked to stop is awaited with its group, and is interrupted."""
        self.program("task", "for name in HUP INT QUIT TERM USR1 USR2; do trap \"echo $name; left=1\" $name; done\n"
                             "(trap '' HUP INT QUIT TERM USR1 USR2; sleep 1; echo late) & echo up\nuntil test \"$left\"; do sleep 0.05; done\nexit 0")
        for shell in self.shells:
            for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2"):
                with self.subTest(shell=shell, name=name):
                    record = self.submit("run: ./task\nsteps: [{batch: a=1}]")
                    process = self.begin(record, 1, shell)
                    wait_until(lambda record=record: self.files(record).get("logs/0/1.log") == "up\n")
                    os.kill(process.pid, getattr(signal, "SIG" + name))
                    asks = not name.startswith("USR")
                    self.assertEqual(process.wait(), int(asks))
                    found = self.files(record)
                    output = found["logs/0/1.log"].split()
                    self.assertEqual((output[0], name in output, "late" in output), ("up", True, asks))  # sh may say how its sleep ended
                    self.assertEqual(found.get("scheduler/1-1.out"), f"SIG{name}\n" if asks else None)
                    self.assertEqual(self.states(), ["interrupted" if asks else "succeeded"])
                    self.assertFalse(self.is_python(record, 1))

    @unittest.skipUnless(IN_CONTAINER, "no namespace of process numbers can be made here")
    def test_remains_are_not_waited_for(self) -> None:
        """In a container whose first process hears of no orphan's end."""
        self.program("task", "sleep 99 & touch begun; wait")
        first = ("import os, signal, subprocess, sys, time\nprocess = subprocess.Popen(sys.argv[1:])\nwhile not os.path.exists('begun'): time.sleep(0.1)\n"
                 "process.send_signal(signal.SIGTERM)\nsys.exit(process.wait())")
        for shell in self.shells:
            with self.subTest(shell=shell):
                record = self.submit("run: ./task\nsteps: [{batch: a=1}]")
                env = {**os.environ, **self.path, "SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_JOB_ID": "77"}
                process = subprocess.Popen([*IN_CONTAINER, sys.executable, "-c", first, shell, f"{record}/submissions/1.sh"], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)
                self.assertEqual((process.wait(60), self.states()), (1, ["interrupted"]))
                self.assertFalse(self.is_python(record, 1))
                os.remove(os.path.join(self.folder, "begun"))

    def test_a_shell_that_is_killed(self) -> None:
        """The shell around the task, so that it cannot tell an end: that is told for it, and nothing of its group is left."""
        self.program("sleeper", "echo $$ > pid; sleep 99; exit 0")
        for shell in self.shells:
            with self.subTest(shell=shell):
                record = self.submit("run: ./sleeper\nsteps: [{batch: a=1}]")
                process = self.begin(record, 1, shell)
                wait_until(lambda: self.lines("pid"))
                with open(glob.glob(f"{record}/events/*_slot-1-1_*")[0]) as file:
                    leader = json.loads(file.read().split("\n")[-1])["pid"]
                os.kill(leader, signal.SIGKILL)
                self.assertEqual(process.wait(), 1)
                self.assertEqual([event.get("status") for event in self.told(record, 1)], [None, None, 137])
                self.assertEqual(self.states(), ["failed"])
                wait_until(lambda: not is_alive(self.lines("pid")[0]))
                os.remove(os.path.join(self.folder, "pid"))

    def test_second_attempts(self) -> None:
        """Python begins them: it marks in the log where they begin."""
        self.program("again", "echo x; test -e go")
        record = self.submit("run: ./again\nsteps: [{batch: a=1}]")
        self.assertEqual(self.begin(record, 1).wait(), 1)
        result = self.hydraflow("run", "job", "--resume", env=self.path)
        self.assertEqual((result.status, glob.glob(f"{record}/submissions/2.commands/*")), (0, []), result.err)
        self.write("go", "")
        self.assertEqual(self.begin(record, 1, text=f". {record}/submissions/2.sh").wait(), 0)
        self.assertEqual(self.files(record)["logs/0/1.log"], "x\n==> attempt 2 <==\nx\n")

    def test_a_task_that_is_stopped_for_a_while(self) -> None:
        """It is waited for as before, without a loop that takes a processor."""
        self.program("waiter", "echo $$ > pid; until test -e go; do sleep 0.1; done")
        for shell in self.shells:
            with self.subTest(shell=shell):
                record = self.submit("run: ./waiter\nsteps: [{batch: a=1}]")
                process = self.begin(record, 1, shell)
                wait_until(lambda: self.lines("pid"))
                leader = os.getpgid(int(self.lines("pid")[0]))
                os.killpg(leader, signal.SIGSTOP)
                time.sleep(1.5)
                spent = sum(map(int, hydraflow.process_stat(process.pid)[11:13])) / os.sysconf("SC_CLK_TCK")
                os.killpg(leader, signal.SIGCONT)
                self.assertLess(spent, 0.5)
                self.write("go", "")
                self.assertEqual((process.wait(), self.states()), (0, ["succeeded"]))
                for name in ("go", "pid"):
                    os.remove(os.path.join(self.folder, name))

    def test_begun_again_by_its_scheduler(self) -> None:
        """A requeue finds what it has claimed, and what has succeeded is not executed again."""
        self.program("again", "echo x >> done; test -e go")
        record = self.submit("run: ./again\nsteps: [{batch: a=1}]")
        for status, executed, state in ((1, 1, "failed"), (0, 2, "succeeded"), (0, 2, "succeeded")):
            self.assertEqual(self.begin(record, 1).wait(), status)
            self.assertEqual((len(self.lines("done")), self.states()), (executed, [state]))
            self.write("go", "")


if __name__ == "__main__":
    unittest.main()
