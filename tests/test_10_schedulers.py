"""Schedulers as texts: the words of submissions, what queues say, and what a task's state becomes by it."""
import os
import re
import shlex
import signal
import time
import unittest
from unittest import mock

from support import EmptyFolder

import hydraflow
from hydraflow import (
    SCHEDULERS,
    ArrayJob,
    Queued,
    State,
    Submission,
    array_name,
    await_end,
    packed,
    query,
    settle,
)

JOB = ArrayJob("job.ABCDEF.1", "/r/scheduler/1-", 5, 0, [], True, "")
OPTIONS = (  # scheduler, changes of JOB, the options as a shell has them
    ("slurm", {}, "--parsable --job-name=job.ABCDEF.1 --output=/r/scheduler/1-%a.out --open-mode=append --array=1-5"),
    ("slurm", {"throttle": 2}, "--parsable --job-name=job.ABCDEF.1 --output=/r/scheduler/1-%a.out --open-mode=append --array=1-5%2"),
    ("slurm", {"log": "/100%/1-", "count": 1}, "--parsable --job-name=job.ABCDEF.1 --output=/100%%/1-%a.out --open-mode=append --array=1-1"),
    ("slurm", {"ids": ["7", "8"]}, "--parsable --job-name=job.ABCDEF.1 --output=/r/scheduler/1-%a.out --open-mode=append --array=1-5 "
                                   "--dependency=afterok:7:8 --kill-on-invalid-dep=yes"),
    ("slurm", {"ids": ["7"], "must_succeed": False}, "--parsable --job-name=job.ABCDEF.1 --output=/r/scheduler/1-%a.out --open-mode=append "
                                                     "--array=1-5 --dependency=afterany:7 --kill-on-invalid-dep=yes"),
    ("slurm", {"ids": ["7", "8"], "behind": "9"}, "--parsable --job-name=job.ABCDEF.1 --output=/r/scheduler/1-%a.out --open-mode=append --array=1-5 "
                                                  "--dependency=afterok:7:8,afterany:9 --kill-on-invalid-dep=yes"),
    ("slurm", {"behind": "9"}, "--parsable --job-name=job.ABCDEF.1 --output=/r/scheduler/1-%a.out --open-mode=append --array=1-5 --dependency=afterany:9 --kill-on-invalid-dep=yes"),
    ("gridengine", {"ids": ["7"], "behind": "9"}, "-terse -N job.ABCDEF.1 -t 1-5 -o '/r/scheduler/1-$TASK_ID.out' -j y -S /bin/sh -b n -hold_jid 7,9"),
    ("pbs", {"ids": ["7"], "behind": "9[]"}, "-N job.ABCDEF.1 -J 1-5 -o /r/scheduler/1-^array_index^.out -j oe -S /bin/sh -W 'depend=afterok:7,afterany:9[]'"),
    ("lsf", {"ids": ["7"], "behind": "9"}, "-J 'job.ABCDEF.1[1-5]' -o /r/scheduler/1-%I.out -w 'done(7) && ended(9)' -ti"),
    ("lsf", {"behind": "9"}, "-J 'job.ABCDEF.1[1-5]' -o /r/scheduler/1-%I.out -w 'ended(9)'"),
    ("gridengine", {}, "-terse -N job.ABCDEF.1 -t 1-5 -o '/r/scheduler/1-$TASK_ID.out' -j y -S /bin/sh -b n"),
    ("gridengine", {"throttle": 2, "ids": ["7", "8"]}, "-terse -N job.ABCDEF.1 -t 1-5 -tc 2 -o '/r/scheduler/1-$TASK_ID.out' -j y -S /bin/sh -b n "
                                                       "-hold_jid 7,8"),
    ("pbs", {}, "-N job.ABCDEF.1 -J 1-5 -o /r/scheduler/1-^array_index^.out -j oe -S /bin/sh"),
    ("pbs", {"throttle": 2, "ids": ["7[]", "8"]}, "-N job.ABCDEF.1 -J 1-5%2 -o /r/scheduler/1-^array_index^.out -j oe -S /bin/sh -W 'depend=afterok:7[]:8'"),
    ("pbs", {"count": 1, "throttle": 2}, "-N job.ABCDEF.1 -o /r/scheduler/1-1.out -j oe -S /bin/sh"),  # an array of one is refused
    ("pbs", {"ids": ["7"], "must_succeed": False}, "-N job.ABCDEF.1 -J 1-5 -o /r/scheduler/1-^array_index^.out -j oe -S /bin/sh -W depend=afterany:7"),
    ("lsf", {}, "-J 'job.ABCDEF.1[1-5]' -o /r/scheduler/1-%I.out"),
    ("lsf", {"throttle": 2, "ids": ["7", "8"]}, "-J 'job.ABCDEF.1[1-5]%2' -o /r/scheduler/1-%I.out -w 'done(7) && done(8)' -ti"),
    ("lsf", {"ids": ["7"], "must_succeed": False}, "-J 'job.ABCDEF.1[1-5]' -o /r/scheduler/1-%I.out -w 'ended(7)'"),
)
SUBMISSIONS = (  # scheduler, the user's words, the script, what is executed
    ("slurm", "sbatch -p gpu", "/a b/1.sh", "sbatch -p gpu OPTIONS --requeue '/a b/1.sh'"),
    ("slurm", "sbatch --no-requeue", "/1.sh", "sbatch --no-requeue OPTIONS /1.sh"), ("slurm", "sbatch --requ", "/1.sh", "sbatch --requ OPTIONS /1.sh"),
    ("slurm", "sbatch --comment --no-requeue", "/1.sh", "sbatch --comment --no-requeue OPTIONS --requeue /1.sh"),  # the text of a comment
    ("gridengine", "qsub -cwd", "/a b/1.sh", "qsub -cwd OPTIONS -r y '/a b/1.sh'"), ("gridengine", "qsub -r n", "/1.sh", "qsub -r n OPTIONS /1.sh"),
    ("pbs", "/opt/bin/qsub", "/r/1.sh", "/opt/bin/qsub OPTIONS /r/1.sh"),
    ("lsf", "bsub -q x", "/a b/1.sh", "bsub -q x OPTIONS -r /bin/sh \"'/a b/1.sh'\""),  # which a shell reads once more
    ("lsf", "bsub -rn", "/1.sh", "bsub -rn OPTIONS /bin/sh /1.sh"), ("lsf", "bsub -r", "/1.sh", "bsub -r OPTIONS /bin/sh /1.sh"),
)
SUBMISSION = Submission(1, 1, 1, "slurm", "job.9G5FZZ.1", [], [1, 0, 0.0, False], False, 0, "7", -1, [], "")
USERS = (  # scheduler, the user's words, those that ours would beat, the script
    ("slurm", "sbatch -p gpu --mem=4G --hold --exclusive", "", ""), ("slurm", "sbatch -pgpu -A x --time 10 job.sh -o x", "", "job.sh"),
    ("slurm", "sbatch --array=1-3 -a1-3 -a 1 --arr=1", "--array -a -a --arr", ""), ("slurm", "sbatch -o x --output y -ox --outp=x", "-o --output -o --outp", ""),
    ("slurm", "sbatch -J x --job-name=y --open-mode=truncate --wrap=x", "-J --job-name --open-mode --wrap", ""),
    ("slurm", "sbatch -d afterok:1 --dependency=singleton", "-d --dependency", ""), ("slurm", "env A=1 sbatch -W -o x job.sh", "-o", "job.sh"),
    ("slurm", "sbatch --error=x -e x --comment -o --account o", "", ""), ("slurm", "sbatch -HQ job.sh", "", "job.sh"), ("slurm", "sbatch - x", "", "-"),
    ("gridengine", "qsub -cwd -V -l h_rt=1 -pe smp 4 -q x job.sh", "", "job.sh"), ("gridengine", "qsub -terse -pe smp 4", "", ""),
    ("gridengine", "qsub -t 1-3 -tc 2 -N x -o x -e x -j n -hold_jid 1 -S /bin/bash -b y", "-t -tc -N -o -e -j -hold_jid -S -b", ""),
    ("pbs", "qsub -l walltime=1 -V -qx -W umask=1 job.sh", "", "job.sh"), ("pbs", "qsub -- job.sh", "", "--"),
    ("pbs", "qsub -J 1-3 -Nx -o x -e x -j oe -S /bin/bash -W depend=afterok:1 -Wdepend=x", "-J -N -o -e -j -S -W -W", ""),
    ("lsf", "bsub -q x -n 4 -R y -K job.sh", "", "job.sh"), ("lsf", "bsub -J x -o x -oo x -w done(1) -ti -e x", "-J -o -oo -w -ti", ""),
)
QUEUES = (  # scheduler, what it prints, the array tasks of it
    ("slurm", "12|3|RUNNING|None\n12|4|PENDING|Dependency\n12|5|CANCELLED by 0|None\n\nslurm_load_jobs error\n12|6|RUNNING\n",
     [("12", "3", "RUNNING", "None"), ("12", "4", "PENDING", "Dependency"), ("12", "5", "CANCELLED", "None")]),
    ("slurm", "12|1-3,7%2|PENDING|(Resources)\n", [("12", "1-3,7%2", "PENDING", "(Resources)")]),
    ("slurm", "12|N/A|RUNNING|None\n", [("12", "N/A", "RUNNING", "None")]),
    ("lsf", "7|2|PEND|Job dependency condition never satisfied;\n 7 | 3 | RUN | -\n", [
        ("7", "2", "PEND", "Job dependency condition never satisfied;"), ("7", "3", "RUN", "-")]),
    ("gridengine", "job-ID  prior   name       user         state submit/start at     queue                          slots ja-task-ID\n" + "-" * 100 + "\n"
     "      7 0.55500 job.ABCDEF root         r     11/25/2026 12:00:00 all.q@host                         1 2\n"
     "      7 0.55500 job.ABCDEF root         qw    11/25/2026 12:00:00                                    1 3-10:1\n"
     "      9 0.00000 job.ABCDEF root         hqw   11/25/2026 12:00:00                                    1 1,4,7\n",
     [("7", "2", "r", ""), ("7", "3-10:1", "qw", ""), ("9", "1,4,7", "hqw", "")]),
    ("gridengine", "", []), ("gridengine", "8 0.5 job root qw 11/25/2026 12:00:00 1\n9 0.5 job root qw 11/25/2026 12:00:00\n", [("8", "1", "qw", "")]),
    ("pbs", "Job id            Name             User              Time Use S Queue\n----------------  ---------------- ----------------  -------- - -----\n"
     "7[].pbs           job.ABCDEF.1     ann                      0 B workq\n7[1].pbs          job.ABCDEF.1     ann               00:00:01 R workq\n"
     "7[12].pbs         job.ABCDEF.1     ann                      0 Q workq\n8.pbs             job one          ann               00:00:00 H workq\n",
     [("7[]", "1", "R", ""), ("7[]", "12", "Q", ""), ("8", "1", "H", "")]),
)
NUMBERS = (("", []), ("N/A", []), ("7", [7]), ("1-3", [1, 2, 3]), ("3-10:1", list(range(3, 11))), ("1-9:4", [1, 5, 9]), ("1,4,7", [1, 4, 7]),
           ("1-3,7%2"[:-2], [1, 2, 3, 7]), ("5-4", []))
IDS = (  # scheduler, what a submission prints, the id
    ("slurm", "12\n", "12"), ("slurm", "12;far-1\n", "12;far-1"), ("slurm", "sbatch: warning\n12\n", "12"), ("slurm", "Submitted batch job 12\n", "12"), ("slurm", "Submitted 12\n", None),
    ("gridengine", "Your job-array 12.1-5:1 (\"x\") has been submitted\n", "12"),
    ("gridengine", "12.1-5:1\n", "12"), ("gridengine", "warning: x\n12.1-5:1\n", "12"),
    ("pbs", "12[].server\n", "12[]"), ("pbs", "12.server\n", "12"), ("lsf", "Job <12> is submitted to default queue <normal>.\n", "12"),
)
PASSING = (
    (True, "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"), (True, "Socket timed out on send/recv operation"),
    (True, "error: commlib error: can't connect to service (Connection refused)"), (True, "Resource temporarily unavailable"),
    (True, "qsub: cannot connect to server pbs (errno=15010)"), (True, "LSF is processing your request. Please try again ..., batch daemon not responding"),
    (False, "sbatch: error: invalid partition specified: nowhere"), (False, "Unable to run job: unknown queue \"nowhere\"."), (False, "Permission denied"), (False, ""),
)
WAITED = (  # state told, cause told, state in the queue, its reason -> state, cause
    ("waiting", "", "PENDING", "Resources", "queued", ""), ("waiting", "", "PENDING", "JobHeldUser", "queued", "held"),
    ("running", "", "PENDING", "job requeued in held state", "queued", "held"), ("waiting", "", "Eqw", "", "queued", "held"), ("interrupted", "killed", "Eqw", "", "queued", "held"),
    ("waiting", "", "PSUSP", "-", "queued", "held"), ("waiting", "", "hqw", "", "queued", "held"), ("waiting", "", "H", "", "queued", "held"), ("waiting", "", "W", "", "queued", ""), ("waiting", "", "qw", "", "queued", ""), ("waiting", "", "PEND", "", "queued", ""),
    ("waiting", "", "RUNNING", "None", "queued", ""),  # its task has not begun yet
    ("waiting", "", "", "", "queued", ""), ("waiting", "", "FROBNICATING", "", "queued", ""),  # a state that nobody knows: still there
    ("waiting", "", "PENDING", "DependencyNeverSatisfied", "skipped", "blocked"), ("waiting", "", "PEND", "condition never satisfied", "skipped", "blocked"),
    ("running", "", "RUNNING", "None", "running", ""), ("running", "", "r", "", "running", ""), ("running", "", "", "", "running", ""),
    *(("running", "", queued, "", "running", "suspended") for queued in ("SUSPENDED", "STOPPED", "USUSP", "SSUSP", "S", "U", "s", "T")),
    ("running", "", "UNKWN", "-", "running", "unreached"), ("waiting", "", "SUSPENDED", "", "queued", ""),
    ("running", "", "PENDING", "", "queued", "requeued"), ("running", "", "REQUEUED", "", "queued", "requeued"),
    ("interrupted", "killed", "RUNNING", "", "queued", ""), ("interrupted", "killed", "", "", "interrupted", "killed"),
    ("interrupted", "killed", "PENDING", "", "queued", "requeued"),
)
SETTLED = (  # state told, status, why it was asked, cause of the scheduler's, blocked -> state, cause
    ("waiting", 0, "", "gone", False, "interrupted", "gone"), ("waiting", 0, "", "silent", False, "interrupted", "silent"),
    ("waiting", 0, "", "cancelled", False, "interrupted", "cancelled"), ("waiting", 0, "", "timeout", False, "interrupted", "timeout"),
    ("waiting", 0, "", "gone", True, "skipped", "blocked"), ("waiting", 0, "", "cancelled", True, "skipped", "blocked"),
    ("queued", 0, "", "gone", True, "skipped", "blocked"),
    ("running", 0, "", "gone", False, "interrupted", "gone"), ("running", 0, "", "node", False, "interrupted", "node"),
    ("running", 0, "", "cancelled", True, "interrupted", "cancelled"),  # it has begun: nothing had kept it
    ("interrupted", 143, "interrupted", "gone", False, "interrupted", "told"), ("interrupted", 143, "interrupted", "timeout", False, "interrupted", "timeout"),
    ("interrupted", 143, "", "memory", False, "interrupted", "memory"),
    ("failed", 137, "", "memory", False, "interrupted", "memory"), ("failed", 143, "", "silent", False, "failed", "told"), ("failed", 143, "", "gone", True, "failed", "told"),
)


class Words(unittest.TestCase):
    def test_options(self) -> None:
        for name, changes, words in OPTIONS:
            with self.subTest(scheduler=name, changes=changes):
                self.assertEqual(SCHEDULERS[name].options(JOB._replace(**changes)), shlex.split(words))

    def test_submissions(self) -> None:
        for name, user, script, line in SUBMISSIONS:
            with self.subTest(scheduler=name):
                scheduler = SCHEDULERS[name]
                words = hydraflow.submission_words(user.split(), scheduler, JOB, script)
                options = " ".join(map(shlex.quote, scheduler.options(JOB)))
                self.assertEqual(words, shlex.split(line.replace("OPTIONS", options)))

    def test_words_of_the_user(self) -> None:
        for name, line, beaten, script in USERS:
            with self.subTest(scheduler=name, line=line):
                words, scheduler = line.split(), SCHEDULERS[name]
                found = list(hydraflow.beaten_options(words, scheduler, True))
                self.assertEqual([option for _, option, _ in found], beaten.split())
                self.assertTrue(all(words[index].startswith(option) and hint for index, option, hint in found))
                index = hydraflow.script_word(words, scheduler)
                self.assertEqual(words[index] if index else "", script)

    def test_what_nothing_else_waits_for_may_wait_for_what_it_likes(self) -> None:
        for name, line in (("slurm", "sbatch -d afterok:1"), ("gridengine", "qsub -hold_jid 1"), ("pbs", "qsub -W depend=afterok:1"), ("lsf", "bsub -w done(1)")):
            self.assertEqual(list(hydraflow.beaten_options(line.split(), SCHEDULERS[name], False)), [])

    def test_every_option_of_ours_is_known_as_ours(self) -> None:
        """Those that say the same for everybody aside."""
        for name, scheduler in SCHEDULERS.items():
            words = scheduler.options(JOB._replace(ids=["7"], throttle=2))
            beaten = [option for _, option, _ in hydraflow.beaten_options(["x", *words], scheduler, True)]
            options = [option for _, option, _ in hydraflow.submission_options(["x", *words], scheduler)]
            self.assertEqual([option for option in options if option not in ("--parsable", "-terse")], beaten, name)

    def test_names(self) -> None:
        """Short, without a sign that a scheduler takes for something else, and another one for each submission of each record."""
        ulid = "01ARZ3NDEKTSV4RRFFQ69G5FZZ"
        for job, number, scheduler, name in (("train", 1, "slurm", "train.9G5FZZ.1"), ("a b/c:d@e", 12, "gridengine", "a_b_c_d_e.9G5FZZ.12"),
                                             ("7x", 1, "slurm", "j7x.9G5FZZ.1"), ("\u00e9", 1, "slurm", "j_.9G5FZZ.1"), ("", 1, "lsf", "j.9G5FZZ.1"),
                                             ("a_very_long_name", 3, "pbs", "a_very.9G5FZZ.3"), ("abc", 1234567, "pbs", "a.9G5FZZ.1234567")):
            with self.subTest(job=job, number=number):
                self.assertEqual(array_name(job, ulid, number, SCHEDULERS[scheduler]), name)
        self.assertEqual({name: len(array_name("x" * 999, ulid, 999, row)) for name, row in SCHEDULERS.items()}, {"slurm": 60, "gridengine": 60, "pbs": 15, "lsf": 60})

    def test_shares(self) -> None:
        for count in range(8):
            for pack in range(1, 6):
                slots = packed([[number] for number in range(count)], pack)
                self.assertEqual(sorted(entry[0] for slot in slots for entry in slot), list(range(count)))
                self.assertEqual(len(slots), -(-count // pack))
                self.assertLessEqual(max(map(len, slots), default=0), pack)
        for arrays in range(1, 9):
            for throttle in range(30):
                shares = hydraflow.throttles(arrays, throttle)
                self.assertEqual((len(shares), sum(shares), max(shares) - min(shares) in (0, 1)), (arrays, throttle, True))

    def test_environment_of_a_submission(self) -> None:
        """What a surrounding job has set would rule the new one; what says where the scheduler is stays."""
        for name, gone, kept in (
                ("slurm", "SLURM_JOB_ID SLURM_ARRAY_TASK_ID SLURMD_NODENAME SBATCH_ARRAY_INX SBATCH_WAIT PMI_RANK SLURM_CONFIG",
                 "SLURM_CONF SLURM_CONF_SERVER SLURM_CLUSTERS SBATCH_PARTITION SBATCH_ARRAY_INX_X PATH XSLURM_JOB_ID"),
                ("gridengine", "SGE_TASK_ID JOB_ID JOB_NAME TASK_ID QUEUE NSLOTS PE", "SGE_ROOT SGE_CELL SGE_QMASTER_PORT JOB_IDS PERL5LIB PATH"),
                ("pbs", "PBS_JOBID PBS_ARRAY_INDEX PBS_NODEFILE", "PBS_SERVER PBS_DEFAULT PBS_CONF_FILE PBS_EXEC"),
                ("lsf", "LSB_JOBINDEX LSB_JOBID LS_SUBCWD", "LSB_BSUB_PARSE_SCRIPT LSF_ENVDIR")):
            names = gone.split() + kept.split()
            with self.subTest(scheduler=name), mock.patch.dict(os.environ, dict.fromkeys(names, "x")):
                found = {os.fsdecode(key) for key in hydraflow.outer_environment(SCHEDULERS[name])}
                self.assertEqual([one for one in names if one in found], kept.split())


class Texts(unittest.TestCase):
    def test_states_that_manuals_name(self) -> None:
        """squeue(1) and sacct(1), bjobs(1), qstat(1) of Grid Engine and of PBS: what has ended, and why; what waits; what is halted."""
        ends = {"timeout": "TIMEOUT DEADLINE", "memory": "OUT_OF_MEMORY", "node": "NODE_FAIL BOOT_FAIL", "cancelled": "CANCELLED REVOKED", "preempted": "PREEMPTED", "silent": "FAILED COMPLETED EXIT DONE X F"}
        for cause, names in ends.items():
            for name in names.split():
                self.assertEqual(hydraflow.ENDED.get(name), cause, name)
        for name in ["PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "PEND", "PSUSP", "WAIT", "qw", "hqw", "hRwq", "Rq", "Q", "H", "W"]:
            self.assertIn(name, hydraflow.WAITING)
        for name in ["SUSPENDED", "STOPPED", "USUSP", "SSUSP", "S", "U", "s", "T", "UNKWN"]:
            self.assertIn(name, hydraflow.HALTED)

    def test_queues(self) -> None:
        for name, text, rows in QUEUES:
            with self.subTest(scheduler=name, text=text):
                self.assertEqual(list(SCHEDULERS[name].read(text)), rows)

    def test_numbers_of_slots(self) -> None:
        for text, numbers in NUMBERS:
            with self.subTest(text=text):
                self.assertEqual(hydraflow.slot_numbers(text), numbers)

    def test_ids(self) -> None:
        for name, text, job_id in IDS:
            with self.subTest(scheduler=name, text=text):
                match = re.search(SCHEDULERS[name].job_id, text, re.MULTILINE)
                self.assertEqual(match.group(1) if match else None, job_id)

    def test_ids_of_array_tasks(self) -> None:
        for name, job_id, text in (("slurm", "12", "12_3"), ("slurm", "12;far", "12_3;far"), ("gridengine", "12", "12.3"), ("pbs", "12[]", "12[3]"), ("pbs", "12", "12"), ("lsf", "12", "12[3]")):
            self.assertEqual(hydraflow.array_task_id(SCHEDULERS[name], job_id, 3), text)

    def test_errors_in_passing(self) -> None:
        for is_passing, text in PASSING:
            with self.subTest(text=text):
                self.assertEqual(bool(re.search(hydraflow.PASSING, text)), is_passing)

    def test_states_in_the_queue(self) -> None:
        for told, cause, queued, reason, name, found in WAITED:
            with self.subTest(told=told, queued=queued, reason=reason):
                state = State(1, 1)
                state.become(told, cause)
                state.pid = 5 if told in ("running", "interrupted") else 0
                seen = Queued(queued, reason, "")
                with mock.patch.object(hydraflow, "explain_hold", return_value=""):
                    hold = hydraflow.Surveyor().hold(SUBMISSION, seen)
                await_end(state, seen, hold)
                self.assertEqual((state.name, state.cause), (name, found))

    def test_why_it_has_not_begun(self) -> None:
        for pid, queued, reason, hold, detail in ((0, "PENDING", "None", "", ""), (0, "PENDING", "Priority", "", "Priority"), (5, "PENDING", "Priority", "", "requeued, Priority"), (5, "PENDING", "None", "", "requeued"),
                                                  (5, "PENDING", "x", "JobHeldUser", "requeued, JobHeldUser"), (0, "CONFIGURING", "None", "", "CONFIGURING")):
            state = State(1, 1)
            state.pid = pid
            await_end(state, Queued(queued, reason, ""), hold)
            self.assertEqual((state.name, state.detail), ("queued", detail))

    def test_why_it_is_held(self) -> None:
        for scheduler, queued, reason, explained, text in (
                ("slurm", "PENDING", "JobHeldUser", "", "JobHeldUser"), ("slurm", "PENDING", "Priority", "", ""), ("slurm", "REQUEUE_HOLD", "None", "", "REQUEUE_HOLD"),
                ("gridengine", "Eqw", "", "no such directory", "Eqw: no such directory"), ("pbs", "H", "", "held by ann", "H: held by ann"), ("pbs", "H", "", "", "H"), ("pbs", "Q", "", "x", ""),
                ("lsf", "PSUSP", "The job was suspended by its owner", "", "The job was suspended by its owner"), ("lsf", "PEND", "New job", "", "")):
            with self.subTest(scheduler=scheduler, queued=queued), mock.patch.object(hydraflow, "explain_hold", return_value=explained) as explain:
                surveyor = hydraflow.Surveyor()
                for _ in range(2):
                    self.assertEqual(surveyor.hold(SUBMISSION._replace(scheduler=scheduler), Queued(queued, reason, "")), text)
                self.assertLessEqual(explain.call_count, 1)

    def test_states_behind_the_queue(self) -> None:
        for told, status, asked, cause, is_blocked, name, found in SETTLED:
            with self.subTest(told=told, asked=asked, cause=cause, is_blocked=is_blocked):
                state = State(1, 1)
                state.become(told, "told" if told in ("failed", "interrupted") else "")
                state.status, state.asked, state.ended = status, asked, float(told in ("failed", "interrupted"))
                settle(state, cause, is_blocked)
                self.assertEqual((state.name, state.cause), (name, found))

    def test_every_cause_has_words(self) -> None:
        for cause in {*hydraflow.ENDED.values(), *hydraflow.HALTED.values(), *(name for name, _ in hydraflow.SAID)}:
            self.assertTrue(hydraflow.CAUSES[cause])
        self.assertEqual(set(hydraflow.WAITING) & set(hydraflow.ENDED), set())

    def test_what_a_handler_makes_of_a_state(self) -> None:
        submission = SUBMISSION._replace(scheduler="handler", name="bash", job_id="")
        for told, kind, status, name, detail in (("waiting", "handler", -1, "queued", ""), ("waiting", "handler", 0, "queued", ""), ("running", "handler", -1, "running", ""), ("failed", "handler", 3, "failed", ""),
                                                 ("waiting", "parameters", -1, "handed", "to bash"), ("waiting", "parameters", 0, "handed", "to bash"),
                                                 ("waiting", "parameters", 3, "handed", "to bash, which ended with exit status 3")):
            with self.subTest(told=told, kind=kind, status=status):
                state = State()
                state.become(told)
                hydraflow.merge_handler(state, submission._replace(scheduler=kind, status=status), status >= 0)
                self.assertEqual((state.name, state.detail), (name, detail))
        state = State()
        hydraflow.merge_handler(state, submission, True)  # it was killed before it could be seen to end
        self.assertEqual((state.name, state.cause), ("interrupted", "handler"))

    def test_signals_by_which_schedulers_end_tasks(self) -> None:
        for status, is_ending in ((0, False), (1, False), (127, False), (128 + signal.SIGTERM, True), (128 + signal.SIGKILL, True), (128 + signal.SIGSEGV, False),
                                  (128 + signal.SIGABRT, False), (-9, False), (255, False)):
            with self.subTest(status=status):
                self.assertEqual(hydraflow.is_ending_signal(status), is_ending)


class Asking(EmptyFolder):
    """Programs that answer as those of a scheduler do."""

    def setUp(self) -> None:
        super().setUp()
        os.mkdir(os.path.join(self.folder, "bin"))
        os.environ["PATH"] = os.path.join(self.folder, "bin") + os.pathsep + os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", os.environ["PATH"].partition(os.pathsep)[2])
        for name in ("array_limit", "version_text"):
            self.addCleanup(getattr(hydraflow, name).forget)
        patch = mock.patch.object(time, "sleep")
        self.sleep = patch.start()
        self.addCleanup(patch.stop)

    def program(self, name: str, script: str) -> None:
        """Put a program before all others; it notes its words in a file."""
        path = os.path.join(self.folder, "bin", name)
        self.write(f"bin/{name}", f"#!/bin/sh\necho \"$@\" >> {self.folder}/{name}.asked\n{script}\n")
        os.chmod(path, 0o755)

    def asked(self, name: str) -> "list":
        """Return the words with which a program was executed, each time."""
        return self.read(f"{name}.asked").splitlines() if f"{name}.asked" in self.names() else []

    def test_a_query(self) -> None:
        self.program("squeue", "echo '12|1-2|RUNNING|None'; echo '13|4|PENDING|x'; echo '14|N/A|PENDING|x'")
        found, wrong = query(SCHEDULERS["slurm"], ["12", "13"])
        self.assertEqual((found, wrong), ({("12", 1): ("RUNNING", "None", ""), ("12", 2): ("RUNNING", "None", ""), ("13", 4): ("PENDING", "x", ""),
                                           ("14", 1): ("PENDING", "x", "")}, ""))
        self.assertEqual(self.asked("squeue"), ["-h -r -t all -o %F|%K|%T|%r -j 12,13"])
        self.program("bjobs", "echo '7|1|RUN|-'")
        self.assertEqual(query(SCHEDULERS["lsf"], ["7", "8"]), ({("7", 1): ("RUN", "-", "")}, ""))
        self.assertTrue(self.asked("bjobs")[0].endswith(" 7 8"))

    def test_accounts(self) -> None:
        self.program("sacct", "test \"$1\" = -M && printf '7_1|NODE_FAIL|1:0\\n' || printf 'x\\n12_1|FAILED|127:0\\n12_2|RUNNING|0:0\\n12_3|OUT_OF_MEMORY|0:125\\n"
                     "12_4|CANCELLED by 0|0:15\\n12_[5-6%%2]|CANCELLED by 0|0:0\\n13|FAILED|1:0\\n'")
        self.assertEqual(hydraflow.accounts(SCHEDULERS["slurm"], ["12", "13", "7;far"]), {
            ("12", 1): ("FAILED", "", "exit status 127"), ("12", 3): ("OUT_OF_MEMORY", "", "signal 125"), ("12", 4): ("CANCELLED", "", "SIGTERM"),
            ("12", 5): ("CANCELLED", "", ""), ("12", 6): ("CANCELLED", "", ""), ("7;far", 1): ("NODE_FAIL", "", "exit status 1")})
        self.assertEqual(self.asked("sacct"), ["-X -n -P -o JobID,State,ExitCode -j 12,13", "-M far -X -n -P -o JobID,State,ExitCode -j 7"])
        self.program("sacct", "echo Slurm accounting storage is disabled >&2; exit 1")
        self.assertEqual(hydraflow.accounts(SCHEDULERS["slurm"], ["12"]), {})
        self.program("sacct", "echo Connection refused >&2; exit 1")
        self.assertEqual(hydraflow.accounts(SCHEDULERS["slurm"], ["12"]), {})
        self.assertEqual(len(self.asked("sacct")), 4)  # once each: it is not needed
        self.assertEqual([hydraflow.accounts(SCHEDULERS[name], ["12"]) for name in ("gridengine", "pbs", "lsf")], [{}, {}, {}])

    def test_what_each_is_asked(self) -> None:
        """Whole commands: what is queued, under which id a name is, what is cancelled, how long an array may be, why it is held, how it ended."""
        for name, commands in (
                ("slurm", ["squeue -h -r -t all -o %F|%K|%T|%r -j 12,13", "squeue -h -o %F --name n", "scancel 12_3", "scontrol show config", "sacct -X -n -P -o JobID,State,ExitCode -j 12"]),
                ("gridengine", ["qstat -u *", "qstat -j n", "qdel 12.3", "qconf -sconf", "qstat -j 12"]), ("pbs", ["qstat -t 12[] 13[]", "qselect -N n", "qdel 12[3]", "qmgr -c print server", "qstat -f 12[]"]),
                ("lsf", ["bjobs -a -noheader -o jobid jobindex stat pend_reason delimiter='|' 12 13", "bjobs -noheader -o jobid -J n", "bkill 12[3]", "bparams -a"])):
            scheduler = SCHEDULERS[name]
            first, second = ("12[]", "13[]") if name == "pbs" else ("12", "13")
            hydraflow.array_limit.forget()
            with self.subTest(scheduler=name), mock.patch.object(hydraflow, "capture", return_value=(1, "", "no")) as asked:
                query(scheduler, [first, second])
                hydraflow.find_array(scheduler, "n", "")
                hydraflow.cancel_array(scheduler, hydraflow.array_task_id(scheduler, first, 3))
                hydraflow.array_limit(scheduler, "")
                hydraflow.explain_hold(scheduler, first)
                hydraflow.accounts(scheduler, [first])
                self.assertEqual([" ".join(call[0][0]) for call in asked.call_args_list], commands)

    def test_why_a_scheduler_holds(self) -> None:
        self.program("qstat", "printf 'job_number:  7\\nerror reason    1:          11/26/2026 06:20:11 [0:77]: error: can'\\''t chdir to /x y: No such file\\n'")
        self.assertEqual(hydraflow.explain_hold(SCHEDULERS["gridengine"], "7"), "error: can't chdir to /x y: No such file")
        self.assertEqual(hydraflow.explain_hold(SCHEDULERS["pbs"], "7[]"), "")
        self.program("qstat", "printf 'Job Id: 7[].pbs\\n    comment = job held, too many failed\\n\\t attempts to run\\n    etime = x\\n'")
        self.assertEqual(hydraflow.explain_hold(SCHEDULERS["pbs"], "7[]"), "job held, too many failed attempts to run")
        self.assertEqual(self.asked("qstat"), ["-j 7", "-f 7[]", "-f 7[]"])
        self.assertEqual([hydraflow.explain_hold(SCHEDULERS[name], "7") for name in ("slurm", "lsf")], ["", ""])

    def test_what_a_variable_says_of_a_requeue(self) -> None:
        with mock.patch.dict(os.environ, {"SBATCH_NO_REQUEUE": "1"}):
            self.assertTrue(hydraflow.says_requeue(["sbatch"], SCHEDULERS["slurm"]))
        self.assertFalse(hydraflow.says_requeue(["sbatch"], SCHEDULERS["slurm"]))

    def test_a_query_that_fails(self) -> None:
        for script, tries, wrong in (("echo Connection refused >&2; exit 1", 3, "squeue: Connection refused"), ("echo 'no such option' >&2; exit 1", 1, "squeue: no such option"),
                                     ("exit 4", 1, "squeue: exit status 4"), ("kill -9 $$", 3, "squeue: SIGKILL"), ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", 1, ""),
                                     ("test -e again || { touch again; echo timed out >&2; exit 1; }", 2, "")):
            with self.subTest(script=script):
                self.program("squeue", f"cd {self.folder}\n{script}")
                self.assertEqual(query(SCHEDULERS["slurm"], ["1"]), ({}, wrong))
                self.assertEqual(len(self.asked("squeue")), tries)
                os.unlink(os.path.join(self.folder, "squeue.asked"))

    def test_a_submission(self) -> None:
        """A refusal is told as it is; what fails in passing is tried again, after a look whether it was accepted."""
        for script, queue, tries, job_id in (("echo 7", "", 1, "7"), ("echo 7; exit 3", "", 1, "7"), ("echo 'invalid partition' >&2; exit 1", "", 1, None),
                                             ("test -e again && echo 8 || { touch again; echo timed out >&2; exit 1; }", "", 2, "8"),
                                             ("echo timed out >&2; exit 1", "echo 9", 1, "9"), ("echo timed out >&2; exit 1", "", 5, None),
                                             ("echo 9; kill -9 $$", "echo 9", 1, "9"), ("kill -9 $$", "", 5, None), ("test -e again && echo 8 || { touch again; kill -15 $$; }", "", 2, "8")):
            with self.subTest(script=script, queue=queue):
                self.sleep.reset_mock()
                self.program("sbatch", f"cd {self.folder}\n{script}")
                self.program("squeue", queue)
                if job_id is None:
                    with self.assertRaises(hydraflow.Refusal) as caught:
                        hydraflow.send(["sbatch", "x"], SCHEDULERS["slurm"], "name")
                    self.assertRegex(caught.exception.message, "^sbatch refused: (invalid partition|timed out|SIGKILL)$")
                else:
                    self.assertEqual(hydraflow.send(["sbatch", "x"], SCHEDULERS["slurm"], "name"), job_id)
                self.assertEqual(len(self.asked("sbatch")), tries)
                self.assertEqual([call[0][0] for call in self.sleep.call_args_list if call[0][0] >= 1.0], list(hydraflow.TRIES[:tries - 1]))
                for name in ("sbatch.asked", "squeue.asked", "again"):
                    if name in self.names():
                        os.unlink(os.path.join(self.folder, name))

    def test_what_was_accepted_is_not_called_refused(self) -> None:
        """Its name is looked for; where nothing has it, the message says what to do."""
        self.program("sbatch", "echo Accepted, thank you")
        self.program("squeue", "echo 9")
        self.assertEqual(hydraflow.send(["sbatch", "x"], SCHEDULERS["slurm"], "name"), "9")
        self.program("squeue", "")
        with self.assertRaises(hydraflow.Unanswered) as caught:
            hydraflow.send(["sbatch", "x"], SCHEDULERS["slurm"], "name")
        self.assertEqual(caught.exception.message, "sbatch accepted the submission, and named no id of a job: Accepted, thank you")
        self.assertIn("look for name among what is queued", caught.exception.hint)
        self.assertEqual(len(self.asked("sbatch")), 2)
        for count, said in ((200, "x" * 200), (201, "x" * 200), (0, "nothing")):
            with self.assertRaises(hydraflow.Unanswered) as caught:
                hydraflow.unanswered(["sbatch", "x"], SCHEDULERS["slurm"], "name", "x" * count)
            self.assertTrue(caught.exception.message.endswith(f": {said}"), caught.exception.message[-210:])

    def test_who_is_qsub(self) -> None:
        """Asked once; without it, or with another answer, it is Grid Engine's."""
        for answer, name in (("pbs_version = 22.05", "pbs"), ("GE 8.1.9", "gridengine"), ("", "gridengine")):
            hydraflow.version_text.forget()
            self.program("qsub", f"echo '{answer}'")
            for _ in range(3):
                self.assertEqual(hydraflow.scheduler_of(["qsub", "-q", "x"]).name, name)
            self.assertEqual(self.asked("qsub"), ["--version"])
            os.unlink(os.path.join(self.folder, "qsub.asked"))
        for words, name in (([], None), (["bash"], None), (["/opt/slurm/bin/sbatch"], "slurm"), (["bsub"], "lsf"), (["qsub-wrapper"], None)):
            row = hydraflow.scheduler_of(words)
            self.assertEqual(row and row.name, name)
        self.assertEqual(hydraflow.scheduler_of(["qsub"], False).name, "gridengine")

    def test_limits_of_arrays(self) -> None:
        for name, program, answer, limit in (("slurm", "scontrol", "MaxArraySize            = 2001", 2000), ("slurm", "scontrol", "nothing", 1000),
                                             ("gridengine", "qconf", "nothing", 75000), ("pbs", "qmgr", "nothing", 10000), ("lsf", "bparams", "nothing", 1000),
                                             ("slurm", "scontrol", "MaxArraySize=1", 1), ("gridengine", "qconf", "max_aj_tasks                 75000", 75000),
                                             ("pbs", "qmgr", "set server max_array_size = 500", 500), ("lsf", "bparams", "MAX_JOB_ARRAY_SIZE = 3000", 3000)):
            with self.subTest(scheduler=name, answer=answer):
                hydraflow.array_limit.forget()
                self.program(program, f"echo '{answer}'")
                self.assertEqual([hydraflow.array_limit(SCHEDULERS[name], "") for _ in range(3)], [limit] * 3)
                self.assertEqual(len(self.asked(program)), 1)
                os.unlink(os.path.join(self.folder, f"{program}.asked"))
        self.program("scontrol", "echo MaxArraySize=5")
        self.assertEqual(hydraflow.array_limit(SCHEDULERS["slurm"], "far,near"), 4)
        self.assertEqual(self.asked("scontrol"), ["-M far show config"])

    def test_cancelling(self) -> None:
        for script, wrong in (("true", ""), ("echo 'scancel: error: Kill job error: Access/permission denied' >&2; exit 1", "scancel: error: Kill job error: Access/permission denied"),
                              ("echo 'scancel: error: Invalid job id 7' >&2; exit 1", ""), ("exit 3", "scancel: exit status 3")):
            with self.subTest(script=script):
                self.program("scancel", script)
                self.assertEqual(hydraflow.cancel_array(SCHEDULERS["slurm"], "7"), wrong)
        self.assertEqual(set(self.asked("scancel")), {"7"})


class Rows(EmptyFolder):
    """What differs between the rows, and is seen on a cluster alone."""

    def test_facts(self) -> None:
        facts = {name: (row.limit_usual, row.limit_less, row.name_length, row.knows_success, row.leaves_tasks, row.joins_values) for name, row in SCHEDULERS.items()}
        self.assertEqual(facts, {"slurm": (1001, 1, 60, True, False, True), "gridengine": (75000, 0, 60, False, True, False), "pbs": (10000, 0, 15, True, False, True),
                                 "lsf": (1000, 0, 60, True, False, False)})

        variables = {name: (row.index, row.own_id) for name, row in SCHEDULERS.items()}
        self.assertEqual(variables, {"slurm": ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_JOB_ID"), "gridengine": ("SGE_TASK_ID", "JOB_ID"), "pbs": ("PBS_ARRAY_INDEX", "PBS_JOBID"), "lsf": ("LSB_JOBINDEX", "LSB_JOBID")})

    def test_options_without_a_value(self) -> None:
        """Those of sbatch(1): what stands behind them is the script."""
        for option in ["-H", "-h", "-k", "-O", "-Q", "-s", "-v", "-V", "-W", "--contiguous", "--exclusive", "--get-user-env", "--help", "--hold", "--ignore-pbs", "--nice", "--no-kill", "--no-requeue", "--overcommit", "--oversubscribe", "--parsable", "--propagate", "--quiet", "--reboot", "--requeue", "--spread-job", "--stepmgr", "--test-only", "--usage", "--use-min-nodes", "--verbose", "--version", "--wait"]:
            self.assertEqual(hydraflow.script_word(["sbatch", option, "job.sh"], SCHEDULERS["slurm"]), 2, option)
        for option in ["-p", "-t", "--partition", "--time", "-N", "--mem"]:
            self.assertEqual(hydraflow.script_word(["sbatch", option, "job.sh"], SCHEDULERS["slurm"]), 0, option)

    def test_what_is_asked_of_another_cluster(self) -> None:
        slurm = SCHEDULERS["slurm"]
        for cluster, row, words in (("", slurm, ["a", "b"]), ("far", slurm, ["a", "-M", "far", "b"]), ("far", SCHEDULERS["pbs"], ["a", "b"])):
            self.assertEqual(hydraflow.at_cluster(["a", "b"], row, cluster), words)
        asked = []

        def answer(words: "list", *rest: object) -> "tuple":
            asked.append(" ".join(words))
            return 0, "12|1|RUNNING|x\n", ""

        with mock.patch.object(hydraflow, "ask", answer):
            found, wrong = query(slurm, ["12", "12;far", "13;far"])
        self.assertEqual((sorted(found), wrong), ([("12", 1), ("12;far", 1)], ""))
        with mock.patch.object(hydraflow, "ask", return_value=(1, "", "no way")):
            self.assertEqual(query(slurm, ["12", "13;far"]), ({}, "squeue: no way; squeue: no way"))
        self.assertEqual(asked, ["squeue -h -r -t all -o %F|%K|%T|%r -j 12", "squeue -M far -h -r -t all -o %F|%K|%T|%r -j 12,13"])
        del asked[:]
        with mock.patch.object(hydraflow, "ask", answer):
            for clusters, job_id in (("", "12"), ("far,near", "12;far")):
                self.assertEqual(hydraflow.find_array(slurm, "name", clusters), job_id)
            hydraflow.cancel_array(slurm, "12_3;far")
        self.assertEqual(asked, ["squeue -h -o %F --name name", "squeue -M far -h -o %F --name name", "scancel -M far 12_3"])

    def test_names_that_nobody_has(self) -> None:
        """That of an array job which nobody took, and that which nobody answers about."""
        for answers, clusters, found in (([(0, "", "")], "", ""), ([(1, "", "do not exist: n")], "", ""), ([(1, "", "Connection refused")], "", None), ([(127, "", "no program")], "", None), ([(124, "", "x")], "", None), ([(-9, "", "")], "", None),
                                         ([(1, "", "timed out"), (0, "7", "")], "a,b", "7;b"), ([(1, "", "timed out"), (0, "", "")], "a,b", None), ([(0, "", ""), (0, "", "")], "a,b", "")):
            with self.subTest(answers=answers), mock.patch.object(hydraflow, "ask", side_effect=answers):
                self.assertEqual(hydraflow.find_array(SCHEDULERS["slurm"], "n", clusters), found)

    def test_hints_to_pack(self) -> None:
        """As many as a user may have, where somebody says how many; no hint where that is not why."""
        plain = "--pack N puts N tasks into each array task, one after the other"
        for refusal, said, hint in (("invalid partition", "7\n", ""), ("job submit limit", "", plain), ("MaxSubmitJob reached", "\n30\n10\n", "you may have 10 array tasks at once: --pack 3 makes 9 of these 25 tasks"),
                                    ("job submit limit", "1\n", "you may have 1 array task at once: --pack 25 makes 1 of these 25 tasks")):
            with self.subTest(refusal=refusal, said=said), mock.patch.object(hydraflow, "ask_once", side_effect=[(0, "ann\n", ""), (0, said, "")]) as asked:
                self.assertEqual(hydraflow.pack_hint(refusal, SCHEDULERS["slurm"], 25), hint)
                words = [call[0][0] for call in asked.call_args_list]
                self.assertEqual(words, [["id", "-un"], ["sacctmgr", "-nP", "show", "assoc", "format=MaxSubmitJobs", "user=ann"]] if hint else [])
                self.assertEqual(hydraflow.user_limit(SCHEDULERS["gridengine"]), 0)

    def test_what_refusals_and_errors_are_about(self) -> None:
        """Of more array tasks than one may have; of a job that is gone; of something else."""
        for name, crowded, forgotten in (
                ("slurm", ["QOSMaxSubmitJobPerUserLimit", "violates accounting/QOS policy (job submit limit, user's size)"], ["Invalid job id specified"]), ("gridengine", [], []),
                ("pbs", ["qsub: would exceed queue short's per-user limit"], ["qstat: Unknown Job Id 7[].pbs", "qstat: 7[].pbs Job has finished, use -x"]),
                ("lsf", ["Pending job threshold reached", "PENDING JOBS of ann reach the limit", "pending job maximum", "Maximum number of pending jobs"], ["Job <7> is not found", "No matching job found", "Job <7>: Job has already finished"])):
            scheduler = SCHEDULERS[name]
            plain = "--pack N puts N tasks into each array task, one after the other"
            with self.subTest(scheduler=name), mock.patch.object(hydraflow, "ask_once", return_value=(1, "", "")):
                self.assertEqual([hydraflow.pack_hint(text, scheduler, 9) for text in [*crowded, *forgotten, "no such queue"]], [plain] * len(crowded) + [""] * (len(forgotten) + 1))
                self.assertEqual([scheduler.has_forgotten(text) for text in [*forgotten, *crowded, "no such queue", ""]], [True] * len(forgotten) + [False] * (len(crowded) + 2))

    def test_what_is_tried_again(self) -> None:
        for answers, status, delays in ((((0, "a", ""),), 0, []), (((1, "", "no such job"),), 1, []), (((127, "", "timed out"),), 127, []), (((1, "", "Connection refused"), (0, "", "")), 0, [1.0]),
                                        (((124, "", "x"), (1, "", "busy"), (1, "", "gone")), 1, [1.0, 2.0]), (((124, "", "x"),) * 5, 124, [1.0, 2.0, 4.0, 8.0])):
            with self.subTest(answers=answers), mock.patch.object(hydraflow, "capture", side_effect=answers), mock.patch("time.sleep") as sleep:
                self.assertEqual(hydraflow.ask(["x"], SCHEDULERS["slurm"])[0], status)
                self.assertEqual([call[0][0] for call in sleep.call_args_list], delays)


if __name__ == "__main__":
    unittest.main()
