"""Runs: the ledger of a job and how its life goes on, whatever happens to it."""
import errno
import os
import signal
import subprocess
import sys
import time
import unittest

from support import Program, StandIns, is_alive, wait_until


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
        self.assertIn("--reuse", result.err)
        self.assertEqual(self.lines("done"), ["a=1", "a=2", "a=3"] * 2 + ["a=2", "a=3"])
        result = self.hydraflow("run", "job", "--resume", "--reuse")
        self.assertEqual((result.status, len(self.records())), (0, 2), result.err)
        self.assertEqual(len(self.lines("done")), 8)
        self.assertEqual(self.states(), ["succeeded"] * 3)

    def test_any_older_run_counts(self) -> None:
        """Not only the first one."""
        self.job("run: sh -c 'echo $0 >> done; test -e go'\nsteps: [{batch: a=1:2}]")
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        self.write("go", "")
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        os.remove(os.path.join(self.folder, "go"))
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        self.assertEqual(self.hydraflow("run", "job", "--resume", "--reuse").status, 0)
        self.assertEqual(len(self.lines("done")), 6)

    def test_a_handler_that_was_killed_with_us(self) -> None:
        """Nothing more is to be expected of it, as its process is known to be gone; while it lives, its tasks are with it."""
        self.program("slow", "echo $$ > pid; sleep 99; exit 0\n")
        self.job("run: 'true'\nsubmit: ./slow\nsteps: [{batch: a=1:2}]")
        process = self.begun(name="pid")
        wait_until(lambda: self.states() == ["queued"] * 2)
        self.kill(process)
        self.assertEqual(self.states(), ["queued"] * 2)
        os.killpg(os.getpgid(int(self.lines("pid")[0])), signal.SIGKILL)
        wait_until(lambda: not is_alive(self.lines("pid")[0]))
        self.assertFalse({"queued", "running", "succeeded"} & set(self.states()))

    def test_what_is_cancelled_and_ends_as_it_likes(self) -> None:
        """Whatever its exit status, it was interrupted, for the run and for its record; it is not tried again."""
        for status in (0, 1):
            with self.subTest(status=status):
                self.job(f"run: sh -c 'trap \"exit {status}\" TERM; echo x >> begun; while :; do sleep 0.05; done'\nretries: 2")
                process = self.begun()
                self.hydraflow("cancel", "job", "1")
                self.assertEqual((process.wait(60), self.states(), self.lines("begun")), (1, ["interrupted"], ["x"]))
                self.clear("begun")

    def test_what_runs_since_an_earlier_start_counts(self) -> None:
        """For how many run at once."""
        self.job("run: sh -c 'true $0; echo x >> begun; until test -e go; do sleep 0.05; done'\nsteps: [{batch: a=1:4}]\nmax-parallel: 3")
        self.kill(self.begun(count=3))
        resumed = subprocess.Popen([sys.executable, "-m", "hydraflow", "run", "job", "--resume", "-j1"], cwd=self.folder, stderr=subprocess.DEVNULL)
        time.sleep(1.5)
        self.write("go", "")
        self.assertEqual(resumed.wait(60), 0)
        tasks = self.tasks()
        self.assertGreaterEqual(tasks[4]["started"], max(tasks[number]["ended"] for number in (1, 2, 3)))

    def test_a_handler_that_cannot_be_started(self) -> None:
        """It is told, and nothing more is to be expected of it."""
        self.write("handler", "\0")  # in no format that a system knows
        os.chmod(os.path.join(self.folder, "handler"), 0o755)
        self.job("run: 'true'\nsubmit: ./handler\nsteps: [{batch: a=1:2}]")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 1)
        self.assertIn(os.strerror(errno.ENOEXEC), result.err)
        self.program("handler", "sh $1\n")
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(self.states(), ["succeeded"] * 2)

    def test_a_handler_that_says_that_tasks_have_failed(self) -> None:
        """As GNU parallel and xargs do: what the job says of failures holds for the steps behind it as it does here."""
        self.program("handler", "while read -r line; do sh -c \"$line\" || status=1; done < $1\nexit $status\n")
        for submit in ("", "submit: ./handler\n"):
            for fail_fast, states in (("", ["succeeded", "failed", "not started"]), ("fail-fast: false\n", ["succeeded", "failed", "succeeded"])):
                with self.subTest(submit=submit, fail_fast=fail_fast):
                    self.job(f"run: sh -c 'test $0 != a=2'\n{submit}{fail_fast}steps: [{{batch: a=1:2}}, {{batch: b=1}}]")
                    self.assertEqual(self.hydraflow("run", "job").status, 1)
                    self.assertEqual(self.states(), states)

    def test_a_new_run_that_reuses(self) -> None:
        self.job("run: sh -c 'echo $0; echo $0 >> done'\nsteps: [{batch: a=1:2}]")
        self.hydraflow("run", "job")
        self.job("run: sh -c 'echo $0; echo $0 >> done'\nsteps: [{batch: a=1:3}]")
        self.assertEqual(self.hydraflow("run", "job", "--reuse").status, 0)
        self.assertEqual((self.lines("done"), len(self.records())), (["a=1", "a=2", "a=3"], 2))
        self.assertEqual(self.hydraflow("logs", "job", "2").out, "a=2\n")
        self.assertEqual(self.tasks()[2]["log"].split("/")[2], os.path.basename(self.records()[0]))

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
        self.assertEqual({number: task["params"]["a"] for number, task in self.tasks().items()}, {4: "5", 2: "2"})

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
        self.assertEqual(self.records("b"), [])
        self.write("go", "")
        for _ in range(2):
            self.assertEqual(self.hydraflow("run", "b").status, 0)
        self.assertEqual(self.lines("done"), ["x=1", "x=2", "x=2", "b", "b"])
        self.assertEqual((len(self.records("a")), len(self.records("b"))), (1, 2))

    def test_a_handler_that_ends_its_tasks_is_cancelled(self) -> None:
        """After them: they are counted, whoever is faster."""
        self.program("handler", "while read -r line; do sh -c \"exec $line\" & pids=\"$pids $!\"; done < $1\ntrap 'kill -9 $pids; exit 1' TERM\nwait\n")
        self.job("run: sh -c 'echo x >> begun; exec sleep 60' ${{ matrix.a }}\nsubmit: ./handler\nsteps: [{batch: a=1:2}]")
        process = self.begun(count=2)
        self.assertEqual(self.hydraflow("cancel", "job"), (0, "", "stopping 2 tasks\n"))
        self.assertEqual((process.wait(60), self.states()), (130, ["interrupted"] * 2))

    def test_one_task_is_cancelled(self) -> None:
        """It is not tried again, and the others go on."""
        self.job("run: sh -c 'test $0 != a=2 || sleep 60; until test -e go; do sleep 0.05; done'\nmax-parallel: 2\nretries: 2\nsteps: [{batch: a=1:3}]")
        first = self.start("run", "job")
        wait_until(lambda: self.records() and self.states()[:2] == ["running", "running"])
        self.assertEqual(self.hydraflow("cancel", "job", "2").status, 0)
        wait_until(lambda: self.states() == ["running", "interrupted", "running"])
        self.write("go", "")
        out = first.communicate(timeout=30)[0]
        self.assertEqual((first.returncode, self.states()), (1, ["succeeded", "interrupted", "succeeded"]), out)
        self.assertEqual([task["attempts"] for task in self.tasks().values()], [1, 1, 1])

    def test_a_dry_run_that_resumes(self) -> None:
        """It prints what would be executed, and changes nothing."""
        self.job("run: sh -c 'test $0 != a=2'\nsteps: [{batch: a=1:3}]")
        self.hydraflow("run", "job")
        before = sorted(os.walk(os.path.join(self.folder, ".hydraflow")))
        self.assertEqual(self.hydraflow("run", "job", "--resume", "--dry-run").out, "sh -c 'test $0 != a=2' a=2\n")
        self.job("run: sh -c 'test $0 != a=2'\nsubmit: sbatch\nsteps: [{batch: a=1:3}]")
        for option, numbers in (("--resume", "1-1"), ("--reuse", "1-1"), ("--quiet", "1-3")):
            out = self.hydraflow("run", "job", option, "--dry-run").out
            self.assertRegex(out.splitlines()[0], f"^# sbatch .* --array={numbers} ", option)
        self.assertEqual(sorted(os.walk(os.path.join(self.folder, ".hydraflow"))), before)

    def test_overrides_of_the_command_line(self) -> None:
        """A sweep in place of the job's own word, in batch, include and args; what no one knows is an error."""
        self.job("run: echo\nwith: c=9\nsteps: [{batch: a=1:2 --seed=1, include: a=7 b=8, args: d=1}]")
        for argv, out in ((("a=5",), "a=5 --seed=1 d=1 c=9|a=5 b=8 d=1 c=9"), (("c=3", "e=4"), "a=1 --seed=1 d=1 c=3 e=4|a=2 --seed=1 d=1 c=3 e=4|a=7 b=8 d=1 c=3 e=4"),
                          (("--seed=5:6", "a=1"), "a=1 --seed=5 d=1 c=9|a=1 --seed=6 d=1 c=9|a=1 b=8 d=1 c=9"),
                          (("a=1", "--", "-v", "x"), "-v x a=1 --seed=1 d=1 c=9|-v x a=1 b=8 d=1 c=9")):
            with self.subTest(argv=argv):
                result = self.hydraflow("run", "job", *argv)
                self.assertEqual((result.status, result.out.split("\n")[:-1]), (0, out.split("|")), result.err)


class Ends(Program):
    """What an end means, whoever brought it about."""

    def test_what_was_asked_to_stop_has_not_succeeded(self) -> None:
        self.job("run: bash -c 'trap \"exit 0\" TERM INT; echo x >> begun; while :; do sleep 0.05; done'\ntimeout-minutes: 0.02")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 1)
        self.assertEqual([(task["state"], task["cause"]) for task in self.tasks().values()], [("failed", "time limit")])
        self.job("run: bash -c 'trap \"exit 0\" TERM INT; echo x >> begun; while :; do sleep 0.05; done'")
        process = self.begun("--resume", count=2, start_new_session=True)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 130)
        self.assertEqual([(task["state"], task["exit_status"], task["attempts"]) for task in self.tasks().values()], [("interrupted", 0, 2)])

    def test_the_recording_shell_alone_is_killed(self) -> None:
        """What it left is ended before an end is told, and there is never a second one beside it."""
        self.job("run: sh -c 'echo $PPID > shell; echo x >> begun; echo $$ >> pids; sleep 66.6'\nretries: 1")
        process = self.begun()
        os.kill(int(self.read("shell")), signal.SIGKILL)
        wait_until(lambda: len(self.lines("begun")) == 2)
        self.assertFalse(is_alive(self.lines("pids")[0]))
        self.hydraflow("cancel", "job")
        self.assertEqual(process.wait(30), 130)

    def test_what_outlives_its_shell_and_hydraflow_is_awaited(self) -> None:
        self.job("run: sh -c 'echo $PPID > shell; echo x >> begun; until test -e go; do sleep 0.05; done'")
        self.kill(self.begun())
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
        self.kill(self.begun())
        again = self.start("run", "job", "--resume")
        time.sleep(0.3)
        self.write("go", "")
        os.killpg(os.getpgid(int(self.lines("begun")[0])), signal.SIGKILL)
        self.assertEqual(again.wait(30), 0)
        for _ in range(2):
            self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(len(self.lines("begun")), 2)
        self.assertEqual([line for line in self.hydraflow("logs", "job", "1").out.splitlines() if "==>" not in line], ["out", "out"])

    def test_ctrl_c_of_a_resume_stops_all_that_it_awaits(self) -> None:
        self.job("run: sh -c 'echo $$ >> pids; sleep 44.4; true $0'\nmax-parallel: 3\nsteps: [{batch: a=1:4}]")
        self.kill(self.begun(count=3, name="pids"))
        again = self.start("run", "job", "--resume", "-j1")
        time.sleep(1.0)  # until it awaits them
        again.send_signal(signal.SIGINT)
        self.assertEqual(again.wait(30), 130)
        self.assertEqual(self.states(), ["interrupted"] * 3 + ["not started"])
        self.assertEqual([pid for pid in self.lines("pids") if is_alive(pid)], [])

    def test_causes_are_told_apart(self) -> None:
        """By the last line that says something, not by the advice that Hydra ends with."""
        advice = "Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace."
        self.job(f"run: sh -c 'echo Error of $0; echo; echo \"{advice}\"; exit 1'\nsteps: [{{batch: 'a=p,q'}}]")
        self.hydraflow("run", "job")
        out = self.hydraflow("status", "job").out
        for name in ("a=p", "a=q"):
            self.assertIn(f"Error of {name}\n", out)


class Submitted(StandIns):
    """A run whose tasks a scheduler has: what is known of them here, what is submitted again."""

    def test_a_life(self) -> None:
        self.job("run: sh -c 'echo x >> log-$0; echo loss=${0#a=}; test $0 != a=2 || test -e go'\nsubmit: sbatch\npack: 2\nsteps: [{batch: a=1:4}]\nfail-fast: false")
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        self.write("queue", "101|1|RUNNING|None\n101|2|PENDING|Priority\n")
        self.assertEqual(self.states(), ["queued"] * 4)
        self.elements(101, 1, 2).wait()
        self.clear("queue")
        self.assertEqual(self.states(), ["succeeded", "failed", "succeeded", "succeeded"])
        self.asked()
        self.write("go", "")
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, 0)
        self.assertEqual(len([line for line in self.asked() if line.startswith("sbatch")]), 1)
        self.write("queue", "102|1|PENDING|None\n")
        self.assertEqual(self.states(), ["succeeded", "queued", "succeeded", "succeeded"])
        self.elements(102, 1).wait()
        self.assertEqual(self.states(), ["succeeded"] * 4)
        self.assertEqual([len(self.lines(f"log-a={number}")) for number in (1, 3, 4)], [1, 1, 1])

    def test_a_requeued_array_task_goes_on(self) -> None:
        """What has succeeded is not executed again, and what has failed has failed."""
        self.job("run: sh -c 'echo x >> done-$0; test $0 != a=2'\nsubmit: sbatch\npack: 3\nfail-fast: false\nsteps: [{batch: a=1:3}]")
        self.hydraflow("run", "job")
        for _ in range(2):
            self.elements(101, 1).wait()
            self.assertEqual((self.states(), [len(self.lines(f"done-a={number}")) for number in (1, 3)]), (["succeeded", "failed", "succeeded"], [1, 1]))

    def test_what_waits_for_a_failure_does_not_begin(self) -> None:
        """Whatever the scheduler makes of the dependency."""
        self.job("run: sh -c 'echo x >> done-$0; test $0 != a=1'\nsubmit: qsub\nsteps: [{batch: a=1:2}, {batch: b=1}]")
        self.hydraflow("run", "job")
        for job_id, indices in ((101, (1, 2)), (102, (1,))):
            self.elements(job_id, *indices).wait()
        self.assertEqual((self.lines("done-a=2"), self.lines("done-b=1")), (["x"], []))
        self.assertIn(self.states()[2], ("skipped", "not started"))

    def test_two_packs_share_their_tasks(self) -> None:
        """Who has finished its own takes what others have not begun; each task is executed once."""
        self.job("run: sh -c 'echo x >> done-$0'\nsubmit: sbatch\npack: 4\nsteps: [{batch: a=1:8}]")
        self.hydraflow("run", "job")
        self.elements(101, 2).wait()
        self.elements(101, 1).wait()
        self.assertEqual([len(self.lines(f"done-a={number}")) for number in range(1, 9)], [1] * 8)
        self.assertEqual(self.states(), ["succeeded"] * 8)

    def test_a_killed_array_task(self) -> None:
        """With its tasks: who comes next, by a requeue, executes them anew and is no second one beside them."""
        self.job("run: sh -c 'exec 9>lock; flock -n 9 || echo x >> twice; echo $$ >> begun; test -e go || sleep 99'\nsubmit: sbatch")
        self.hydraflow("run", "job")
        first = self.elements(101, 1)
        wait_until(lambda: self.lines("begun"))
        self.write("queue", "101|1|RUNNING|None\n")
        self.assertEqual(self.states(), ["running"])
        os.killpg(first.pid, signal.SIGKILL)
        self.write("go", "")
        self.elements(101, 1).wait()
        self.assertEqual((self.states(), len(self.lines("begun")), self.lines("twice")), (["succeeded"], 2, []))

    def test_waiting(self) -> None:
        """--wait follows to the end, with the status of the tasks; it is told what they print, and Ctrl-C ends the waiting alone."""
        self.job("run: sh -c 'echo x >> begun; until test -e go; do sleep 0.05; done; test $0 != a=2'\nsubmit: sbatch\nsteps: [{batch: a=1:2}]")
        self.write("queue", "101|1|RUNNING|None\n101|2|RUNNING|None\n")
        waiting = self.start("run", "job", "--wait", env=self.environment)
        wait_until(lambda: self.lines("101.sent"))
        elements = [self.elements(101, index) for index in (1, 2)]
        wait_until(lambda: len(self.lines("begun")) == 2)
        waiting.send_signal(signal.SIGINT)
        self.assertEqual((waiting.wait(30), self.states()), (130, ["running"] * 2))
        self.clear("asked")
        again = self.start("run", "job", "--resume", "--wait", env=self.environment)
        wait_until(lambda: len(self.lines("asked")) > 2)  # it has seen both run
        self.write("go", "")
        for element in elements:
            element.wait()
        self.clear("queue")
        self.assertEqual((again.wait(60), self.states()), (1, ["succeeded", "failed"]))


if __name__ == "__main__":
    unittest.main()
