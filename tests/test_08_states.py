"""States: what is said of a task whose scheduler answers this or that; the answers are those of manuals, given by stand-ins."""
import os
import signal
import unittest

from support import StandIns, wait_until

SUBMITS = {"slurm": "sbatch", "gridengine": "qsub", "pbs": "qsub", "lsf": "bsub"}
ROWS = {  # what a queue prints: {} stands for a state, or for state and reason
    "slurm": "101|1|{}|{}", "lsf": "101|1|{}|{}", "gridengine": "    101 0.55500 job.X root         {:5} 11/25/2026 12:00:00 all.q@host        1 1",
    "pbs": "101[].pbs         job.X            ann                      0 B workq\n101[1].pbs        job.X            ann                      0 {} workq",
}
NEVER_BEGUN = (  # scheduler, state and reason in its queue, the state of a task that nobody has begun
    *(("slurm", state, reason, "queued") for state, reason in (
        ("PENDING", "Resources"), ("PENDING", "JobHeldUser"), ("PENDING", "Dependency"), ("RUNNING", "None"), ("CONFIGURING", "None"), ("SUSPENDED", "None"),
        ("REQUEUE_HOLD", "None"), ("FROBNICATING", "None"))),
    ("slurm", "PENDING", "DependencyNeverSatisfied", "queued"),
    *(("gridengine", state, "", "queued") for state in ("qw", "hqw", "r", "t", "Eqw", "hRwq", "dr")),
    *(("pbs", state, "", "queued") for state in ("Q", "H", "R", "W", "E")),
    *(("lsf", state, "-", "queued") for state in ("PEND", "PSUSP", "RUN", "UNKWN")),
    ("lsf", "PEND", "Job dependency condition never satisfied;", "queued"),
    *(("slurm", state, "None", "not started") for state in ("CANCELLED by 0", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "FAILED", "COMPLETED", "PREEMPTED")),
    *(("lsf", state, "-", "not started") for state in ("EXIT", "DONE")),
)
RUNNING = (  # the same of a task that runs, and of one whose processes have been killed
    *(("slurm", state, reason, "running", killed) for state, reason, killed in (
        ("RUNNING", "None", None), ("SUSPENDED", "None", None), ("FROBNICATING", "None", None), ("PENDING", "BeginTime", "queued"),
        ("TIMEOUT", "None", "interrupted"), ("NODE_FAIL", "None", "interrupted"))),
    *(("lsf", state, "-", "running", None) for state in ("RUN", "USUSP", "SSUSP", "UNKWN")),
    *(("gridengine", state, "", "running", None) for state in ("r", "s", "T")),
)
ENDS = (  # what the accounting says of how it ended, a word of what is told
    ("TIMEOUT|0:0", "time.?(limit|out)"), ("OUT_OF_MEMORY|0:125", "memory"), ("NODE_FAIL|1:0", "node"), ("CANCELLED by 0|0:15", "cancel"),
)


class Queues(StandIns):
    def submit(self, scheduler: str, text: str = "run: 'true'") -> None:
        """Submit a job of one task, which array task 1 of array job 101 is to execute."""
        self.clear("queue", "count", "asked", "version", ".hydraflow")
        if scheduler == "pbs":
            self.write("version", "pbs_version = 20.0.1\n")
        self.job(f"{text}\nsubmit: {SUBMITS[scheduler]}\nsteps: [{{batch: 'a=1:2'}}]" if scheduler == "pbs" else f"{text}\nsubmit: {SUBMITS[scheduler]}")
        result = self.hydraflow("run", "job")
        self.assertEqual(result.status, 0, result.err)

    def queue(self, scheduler: str, state: str, reason: str) -> None:
        """Let the scheduler answer something from now on."""
        self.write("queue", ROWS[scheduler].format(state, reason) + "\n")

    def test_what_nobody_has_begun(self) -> None:
        before = ""
        for scheduler, state, reason, name in sorted(NEVER_BEGUN):
            with self.subTest(scheduler=scheduler, state=state, reason=reason):
                if scheduler != before:
                    self.submit(scheduler)
                before = scheduler
                self.queue(scheduler, state, reason)
                self.assertEqual(self.states()[0], name)

    def test_what_runs(self) -> None:
        """Its processes are here: only when they are gone, the word of the scheduler counts for an end."""
        for scheduler in ("slurm", "lsf", "gridengine"):
            self.submit(scheduler, "run: sh -c 'echo $$ > begun; until test -e go; do sleep 0.05; done'")
            self.clear("begun")
            element = self.elements(101, 1)
            wait_until(lambda: self.lines("begun"))
            rows = [row for row in RUNNING if row[0] == scheduler]
            for _, state, reason, name, killed in rows:
                if not killed:
                    with self.subTest(scheduler=scheduler, state=state):
                        self.queue(scheduler, state, reason)
                        self.assertEqual(self.states(), [name])
            os.killpg(element.pid, signal.SIGKILL)
            element.wait()
            for _, state, reason, _, killed in rows:
                if killed:
                    with self.subTest(scheduler=scheduler, state=state, killed=killed):
                        self.queue(scheduler, state, reason)
                        wait_until(lambda killed=killed: self.states() == [killed], 10)

    def test_what_the_accounting_knows(self) -> None:
        """Of array tasks whose processes have gone, and that have left the queue without a word."""
        self.submit("slurm", "run: sh -c 'echo $$ > begun; sleep 99; exit 0'")
        self.clear("begun")
        element = self.elements(101, 1)
        wait_until(lambda: self.lines("begun"))
        os.killpg(element.pid, signal.SIGKILL)
        element.wait()
        for end, words in ENDS:
            self.write("accounts", f"101_1|{end}\n")
            with self.subTest(end=end):
                self.assertEqual(self.states(), ["interrupted"])
                self.assertRegex(self.hydraflow("status", "job").out.lower(), words)
        self.clear("accounts")
        self.assertEqual(self.states(), ["interrupted"])  # no scheduler says why

    def test_a_reason_is_told_in_the_schedulers_own_words(self) -> None:
        for scheduler, state, reason, explained, words in (
                ("slurm", "PENDING", "JobHeldUser", "", "JobHeldUser"), ("slurm", "PENDING", "QOSMaxJobsPerUserLimit", "", "QOSMaxJobsPerUserLimit"),
                ("gridengine", "Eqw", "", "", "Eqw"),
                ("lsf", "PSUSP", "The job was suspended by its owner", "", "The job was suspended by its owner")):
            with self.subTest(scheduler=scheduler, reason=reason):
                self.submit(scheduler)
                self.queue(scheduler, state, reason)
                self.write("explained", explained + "\n")
                self.assertIn(words, self.hydraflow("status", "job").out)

    def test_a_scheduler_that_does_not_answer(self) -> None:
        """Said on the same stream; what was submitted is still there."""
        self.submit("slurm")
        self.write("down", "slurm_load_jobs error: Unable to contact slurm controller\n")
        result = self.hydraflow("status", "job")
        self.assertEqual((result.err, self.states()), ("", ["queued"]))
        self.assertIn("Unable to contact slurm controller", result.out)
        self.assertIn("1 queued", result.out)

    def test_handlers(self) -> None:
        """What it has not begun is with it as long as it lives; parameters alone are handed over, and nobody sees their end."""
        for handler, text, begun, states in (("sh $1", "run: 'true'", 0, ["succeeded"]), ("sh $1", "run: 'false'", 1, ["failed"]),
                                             ("exit 3", "run: 'true'", 1, ["not started"]), ("exit 0", "", 0, ["handed"]), ("exit 3", "", 1, ["handed"])):
            with self.subTest(handler=handler, text=text):
                self.program("handler", f"{handler}\n")
                self.job(f"{text}\nsubmit: ./handler\nsteps: [{{batch: a=1}}]".lstrip())
                status = self.hydraflow("run", "job").status
                self.assertEqual(self.states(), states)
                self.assertIn(status, (begun, 1))
                self.assertEqual("gets a line" in self.hydraflow("run", "job", "--resume", "--dry-run").out, states != ["succeeded"])


if __name__ == "__main__":
    unittest.main()
