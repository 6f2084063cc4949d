"""Schedulers as texts: the words of submissions, what would be beaten by them, ids, refusals and what is tried again; all by stand-ins."""
import os
import re
import shlex
import unittest

from support import StandIns

SUBMITS = {"slurm": "sbatch", "gridengine": "qsub", "pbs": "qsub", "lsf": "bsub"}
TWO = "[{batch: 'a=1:2'}]"
OPTIONS = (  # scheduler, the user's words, keys of the job, parts of the command of the (last) submission; NAME and LOG stand for what differs
    ("slurm", "-p gpu", "", "sbatch -p gpu --parsable --job-name=NAME --output=LOG-%a.out --open-mode=append --array=1-2 SCRIPT"),
    ("slurm", "--no-requeue", "max-parallel: 1", "sbatch --no-requeue --parsable --job-name=NAME --output=LOG-%a.out --open-mode=append --array=1-2%1 SCRIPT"),
    ("slurm", "", "steps: [{batch: 'b=1'}, {batch: 'a=1:2'}]", "--array=1-2 --dependency=afterany:101"),
    ("slurm", "", "fail-fast: false\nsteps: [{batch: 'b=1'}, {batch: 'a=1:2'}]", "--array=1-2 --dependency=afterany:101"),
    ("slurm", "", "steps: [{batch: a=1:7, pack: 3}]", "--array=1-3"),
    ("gridengine", "-cwd", "max-parallel: 1", "qsub -cwd -terse -N NAME -t 1-2 -o LOG-$TASK_ID.out -j y -S /bin/sh -b n -tc 1 SCRIPT"),
    ("gridengine", "-r n", "steps: [{batch: 'b=1'}, {batch: 'a=1:2'}]", "-hold_jid 101 "),
    ("pbs", "-q x", "max-parallel: 1", "qsub -q x -N NAME -j oe -S /bin/sh -J 1-2%1 -o LOG-^array_index^.out SCRIPT"),
    ("pbs", "", "steps: [{batch: 'a=1:2'}, {batch: 'b=1'}]", "qsub -N NAME -j oe -S /bin/sh -o LOG-1.out -W depend=afterany:101[] SCRIPT"),  # an array of one is refused
    ("lsf", "-q x", "max-parallel: 1", "bsub -q x -J NAME[1-2]%1 -o LOG-%I.out /bin/sh SCRIPT"),
    ("lsf", "", "steps: [{batch: 'b=1'}, {batch: 'a=1:2'}]", "-w ended(101) "),
)
BEATEN = (  # scheduler, words of the user that ours would win over, one after the other
    ("slurm", "--array=1-3|-a1-3|-o x|--output y|-J x|--job-name=y|--open-mode=truncate|--wrap=x|-d afterok:1|--dep=singleton|--arr=1"),
    ("gridengine", "-t 1-3|-tc 2|-N x|-o x|-e x|-j n|-hold_jid 1|-S /bin/bash|-b y"),
    ("pbs", "-J 1-3|-Nx|-o x|-e x|-j oe|-S /bin/bash|-W depend=afterok:1|-Wdepend=x"), ("lsf", "-J x|-o x|-oo x|-w done(1)|-ti"),
)
TAKEN = (  # words that are the user's own affair
    ("slurm", "-p gpu --mem=4G --hold --exclusive|--error=x -e x --account o|-HQ"), ("gridengine", "-cwd -V -l h_rt=1 -pe smp 4 -q x"),
    ("pbs", "-l walltime=1 -V -qx -W umask=1"), ("lsf", "-q x -n 4 -R y -e x"),
)
FAILURES = (  # what a submission says, how often it is tried when it fails once, and when it fails always
    ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", True), ("Socket timed out on send/recv operation", True),
    ("commlib error: can't connect to service (Connection refused)", True), ("Resource temporarily unavailable", True),
    ("sbatch: error: invalid partition specified: nowhere", False), ("Permission denied", False),
)
IDS = (  # what a submission prints, the id
    ("slurm", "sbatch: warning\n12", "12"), ("slurm", "12;far-1", "12;far-1"), ("slurm", "Submitted batch job 12", "12"),
    ("gridengine", "warning: x\n12.1-5:1", "12"), ("gridengine", "Your job-array 12.1-5:1 (\"x\") has been submitted", "12"),
    ("pbs", "12[].server", "12[]"), ("lsf", "Job <12> is submitted to default queue <normal>.", "12"),
)
SURROUNDING = {  # variables of a job around HydraFlow that rule a submission no more, and those of a site that stay
    "slurm": ("SLURM_JOB_ID SLURM_ARRAY_TASK_ID SLURMD_NODENAME SBATCH_ARRAY_INX SBATCH_WAIT PMI_RANK", "SLURM_CONF SLURM_CLUSTERS SBATCH_PARTITION XSLURM_JOB_ID"),
    "gridengine": ("SGE_TASK_ID JOB_ID JOB_NAME TASK_ID QUEUE NSLOTS", "SGE_ROOT SGE_CELL SGE_QMASTER_PORT PERL5LIB"),
    "pbs": ("PBS_JOBID PBS_ARRAY_INDEX PBS_NODEFILE", "PBS_SERVER PBS_DEFAULT PBS_CONF_FILE PBS_EXEC"),
    "lsf": ("LSB_JOBINDEX LSB_JOBID LS_SUBCWD", "LSB_BSUB_PARSE_SCRIPT LSF_ENVDIR"),
}


class Submissions(StandIns):
    def submit(self, scheduler: str, words: str = "", keys: str = "", *argv: str) -> "object":
        """Run a job of two tasks with a scheduler; return what comes of it."""
        self.clear("asked", "count", "version", ".hydraflow")
        if scheduler == "pbs":
            self.write("version", "pbs_version = 20.0.1\n")
        steps = "" if "steps" in keys else f"steps: {TWO}"
        self.job("\n".join(filter(None, ("run: 'true'", f"submit: {SUBMITS[scheduler]} {words}".strip(), keys, steps))))
        return self.hydraflow("run", "job", *argv)

    def test_options(self) -> None:
        for scheduler, words, keys, expected in OPTIONS:
            with self.subTest(scheduler=scheduler, words=words, keys=keys):
                self.assertEqual(self.submit(scheduler, words, keys).status, 0)
                line = [line for line in self.asked() if re.match("(sbatch|qsub|bsub):", line)][-1].replace(":", "", 1)
                line = re.sub(r"[^\s=]+/submissions/\d+(?=-)", "LOG", re.sub(r"\S+/submissions/\d+\.sh", "SCRIPT", re.sub(r"\bjob\.[0-9A-Z]{6}\.\d+", "NAME", line)))
                self.assertIn(expected, line + " ")

    def test_a_dry_run_prints_what_a_run_submits(self) -> None:
        self.submit("slurm", "-p gpu", "max-parallel: 1")
        line = self.asked()[0].partition(": ")[2]
        printed = self.hydraflow("run", "job", "--dry-run").out.splitlines()[0]
        def plain(text: str) -> str:
            return re.sub(r"0[0-9A-Z]{25}|job\.[0-9A-Z]{6}", "X", text)
        self.assertEqual(shlex.split(plain(printed))[2:], plain(line).split())

    def test_words_of_the_user(self) -> None:
        for scheduler, words in BEATEN:
            for word in words.split("|"):
                with self.subTest(scheduler=scheduler, word=word):
                    result = self.submit(scheduler, word, "steps: [{batch: a=1}, {batch: b=1}]")
                    self.assertEqual((result.status, self.asked(), self.records()), (2, [], []))
                    self.assertIn(re.match(r"-W|-?-\w[\w-]+|-\w", word).group()[:2], result.err)
        for scheduler, words in TAKEN:
            for word in words.split("|"):
                with self.subTest(scheduler=scheduler, word=word):
                    self.assertEqual(self.submit(scheduler, word).status, 0)

    def test_a_script_of_the_user(self) -> None:
        """Beside a command it would be executed in its place; alone it is a handler, which gets a file of parameters."""
        self.program("job.sh", "exit 0\n")
        result = self.submit("slurm", "-p gpu job.sh")
        self.assertEqual((result.status, self.asked(), self.records()), (2, [], []))
        self.job(f"submit: sbatch -p gpu job.sh\nsteps: {TWO}")
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        words = self.asked()[0].split()
        self.assertEqual((words[:4], self.read(words[4])), (["sbatch:", "-p", "gpu", "job.sh"], "a=1\na=2\n"))

    def test_names(self) -> None:
        """Short, and without a sign that a scheduler takes for something else."""
        for name in ("a b/c:d@e", "7x", "é", "x" * 200):
            for scheduler, most in (("slurm", 60), ("pbs", 15)):
                with self.subTest(scheduler=scheduler, name=name):
                    self.assertEqual(self.submit(scheduler, "", f"name: '{name}'").status, 0)
                    found = re.search(r"(?:--job-name=|-N )(\S+)", " ".join(self.asked())).group(1)
                    self.assertRegex(found, r"^[A-Za-z][\w.-]*$")
                    self.assertLessEqual(len(found), most)

    def test_arrays_of_a_site(self) -> None:
        """More tasks than an array may have make several; with a throttle, one after the other."""
        self.assertEqual(self.submit("slurm", "", "max-parallel: 5\nsteps: [{batch: a=1:7}]").status, 0)  # the stand-in's MaxArraySize is 4
        arrays = re.findall(r"--array=1-(\d+)%(\d+)", " ".join(self.asked()))
        self.assertEqual(sorted(int(count) for count, _ in arrays), [1, 3, 3])
        self.assertEqual({int(throttle) for _, throttle in arrays}, {5})

    def test_ids(self) -> None:
        for scheduler, text, job_id in IDS:
            with self.subTest(scheduler=scheduler, text=text):
                self.program(f"bin/{SUBMITS[scheduler]}", f"[ \"$1\" != --version ] || {{ cat {self.folder}/version || echo GE; exit; }}\ncat <<'END'\n{text}\nEND\n")
                self.assertEqual(self.submit(scheduler).status, 0)
                self.assertEqual(self.tasks()[1]["job_id"], job_id)

    def test_what_is_tried_again(self) -> None:
        """A failure in passing, after a look whether it was accepted all the same; a refusal is told as it is, and nothing stays behind."""
        for text, is_passing in FAILURES:
            self.clear("again", "queue")
            self.program("bin/sbatch", f"cd {self.folder}; echo sbatch: >> asked\ntest -e again && echo 7 || {{ touch again; echo \"{text}\" >&2; exit 1; }}\n")
            with self.subTest(text=text):
                result = self.submit("slurm")
                self.assertEqual(result.status, int(not is_passing), result.err)
                self.assertEqual(self.asked().count("sbatch:"), 1 + is_passing)
                if not is_passing:
                    self.assertIn(text, result.err)
                    self.assertNotIn("queued", self.states() if self.records() else [])

    def test_an_answer_that_got_lost(self) -> None:
        """The scheduler has the job: it is found by its name, and not submitted twice."""
        self.program("bin/sbatch", f"cd {self.folder}; echo sbatch: >> asked\necho '9|1|PENDING|None' > queue; echo Socket timed out >&2; exit 1\n")
        self.assertEqual(self.submit("slurm").status, 0)
        self.assertEqual((self.asked().count("sbatch:"), self.tasks()[1]["job_id"]), (1, "9"))

    def test_a_refusal_of_the_second_step(self) -> None:
        """Nothing is half submitted: the first one is cancelled."""
        self.program("bin/sbatch", f"cd {self.folder}; echo \"sbatch: $*\" >> asked\ntest ! -e again || {{ echo invalid partition >&2; exit 1; }}\ntouch again; echo 7\n")
        result = self.submit("slurm", "", "steps: [{batch: a=1}, {batch: b=1}]")
        self.assertEqual(result.status, 1)
        self.assertIn("invalid partition", result.err)
        self.assertIn("scancel: 7", self.asked())

    def test_torque_and_others(self) -> None:
        """Who is called qsub is asked who it is."""
        for version, option in (("GE 8.1.9", "-t"), ("UGE 8.6.7", "-t"), ("pbs_version = 20.0.1", "-J")):
            with self.subTest(version=version):
                self.submit("gridengine")
                self.clear("asked", ".hydraflow")
                self.write("version", version + "\n")
                self.assertEqual(self.hydraflow("run", "job").status, 0)
                self.assertIn(f" {option} 1-2 ", self.asked()[0])

    def test_cancel(self) -> None:
        for scheduler, whole, one in (("slurm", "scancel: 101", "scancel: 101_2"), ("gridengine", "qdel: 101", "qdel: 101.2"), ("pbs", "qdel: 101[]", "qdel: 101[2]"), ("lsf", "bkill: 101", "bkill: 101[2]")):
            with self.subTest(scheduler=scheduler):
                self.submit(scheduler)
                row = {"slurm": "101|{}|PENDING|x", "lsf": "101|{}|PEND|x", "gridengine": "101 0.5 job.X root qw 11/25/2026 12:00:00 1 {}", "pbs": "101[{}].pbs x ann 0 Q workq"}[scheduler]
                self.write("queue", "".join(row.format(index) + "\n" for index in (1, 2)))
                self.asked()
                self.hydraflow("cancel", "job", "2")
                self.assertIn(one, self.asked())
                self.hydraflow("cancel", "job")
                self.assertTrue({whole, whole + "_1", whole + ".1"} & set(self.asked()))

    def test_a_submission_has_no_variables_of_a_job_around_it(self) -> None:
        for scheduler, (gone, kept) in SURROUNDING.items():
            with self.subTest(scheduler=scheduler):
                self.program(f"bin/{SUBMITS[scheduler]}", f"env > {self.folder}/seen; [ \"$1\" != --version ] || {{ cat {self.folder}/version || echo GE; exit; }}\necho 'Job <7>'; echo 7\n")
                self.submit(scheduler)
                names = [*gone.split(), *kept.split()]
                self.hydraflow("run", "job", env=dict.fromkeys(names, "1"))
                seen = {line.partition("=")[0] for line in self.lines("seen")}
                self.assertEqual([name for name in names if name in seen], kept.split())

    def test_only_a_run_needs_what_submits(self) -> None:
        """What would be submitted can be seen on a machine without a scheduler."""
        os.mkdir(os.path.join(self.folder, "empty"))
        self.job("run: ./program\nsubmit: sbatch")
        self.program("program", "")
        bare = {"PATH": os.path.join(self.folder, "empty")}
        self.assertEqual(self.hydraflow("run", "job", "--dry-run", env=bare).status, 0)
        result = self.hydraflow("run", "job", env=bare)
        self.assertIn(result.status, (1, 2))
        self.assertEqual(self.records(), [])
        self.assertIn("sbatch", result.err)


if __name__ == "__main__":
    unittest.main()
