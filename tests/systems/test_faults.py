"""What goes wrong around a run: commands at once, file systems without locks or links, machines that change, kills."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

from support import Program, StandIns, is_alive, wait_until

LACKS = {  # what a file system or a machine lacks, as a module that Python imports before all others
    "locks": "import fcntl, errno\ndef flock(*words): raise OSError(errno.ENOLCK, 'no locks')\nfcntl.flock = flock\n",
    "locks that hold": "import fcntl\nfcntl.flock = lambda *words: None\n",
    "links": "import os, errno\ndef link(*words): raise OSError(errno.EPERM, 'no links')\nos.link = link\n",
    "proc": "import os\nexists = os.path.exists\nos.path.exists = lambda path: not str(path).startswith('/proc') and exists(path)\n",
}
COUNTED = "run: sh -c 'mkdir at-$0 || echo $0 >> twice; echo x >> done-$0; sleep 0.3; rmdir at-$0'\nsteps: [{batch: a=1:6}]\n"
SLOW = "run: sh -c 'echo $$ >> begun; while :; do sleep 0.1; done'\n"


class Faults(Program):
    def lacking(self, name):
        """Return the environment of a machine that lacks something."""
        self.write("sitecustomize.py", LACKS[name])
        return {**os.environ, "PYTHONPATH": self.folder}

    def at_once(self, *commands, env=None):
        """Execute several commands at once; return how they ended."""
        processes = [self.start(*argv, env=env or dict(os.environ)) for argv in commands]
        outs = [process.communicate(timeout=100)[0].decode() for process in processes]
        for out in outs:
            self.assertNotIn("Traceback", out)
        return [(process.returncode, out) for process, out in zip(processes, outs)]

    def test_two_commands_where_something_is_missing(self):
        """Nothing is executed twice, however the file system is."""
        for name in LACKS:
            with self.subTest(name=name):
                self.job(COUNTED + "max-parallel: 2")
                for path in [*self.names()]:
                    if path.startswith("done-") or path == ".hydraflow":
                        shutil.rmtree(f"{self.folder}/{path}", ignore_errors=True)
                        os.path.isdir(f"{self.folder}/{path}") or os.path.exists(f"{self.folder}/{path}") and os.unlink(f"{self.folder}/{path}")
                env = self.lacking(name)
                self.at_once(*[("run", "job", "--resume")] * 3, env=env)
                result = self.hydraflow("run", "job", "--resume", env=env)
                self.assertEqual(result.status, 0, result)
                self.assertNotIn("twice", self.names())
                self.assertEqual([self.lines(f"done-a={number}") for number in range(1, 7)], [["x"]] * 6)

    def test_two_resumes_begin_one_run(self):
        self.job(COUNTED)
        for _ in range(5):
            shutil.rmtree(f"{self.folder}/.hydraflow", ignore_errors=True)
            ends = self.at_once(("run", "job", "--resume"), ("run", "job", "--resume"))
            self.assertEqual(sorted(status for status, _ in ends), [0, 2], ends)
            self.assertEqual(len(self.records()), 1)
        self.assertNotIn("twice", self.names())

    def test_a_job_that_two_others_need(self):
        self.write("hydraflow.yaml", "jobs:\n  prep: {run: sh -c 'echo x >> prepared; sleep 0.5'}\n" + "".join(
            f"  {name}: {{run: sh -c 'echo {name} >> done', needs: prep}}\n" for name in ("one", "two")))
        ends = self.at_once(("run", "one"), ("run", "two"))
        self.assertEqual([status for status, _ in ends], [0, 0], ends)
        self.assertEqual((self.lines("prepared"), sorted(self.lines("done"))), (["x"], ["one", "two"]))

    def test_the_same_run_twice(self):
        """The second one is refused, as its tasks run already; other parameters are not."""
        self.job("run: sh -c 'echo x >> begun; until test -e go; do sleep 0.05; done; true $0'\nsteps: [{batch: a=1}]")
        process = self.start("run", "job")
        wait_until(lambda: self.lines("begun"))
        result = self.hydraflow("run", "job")
        self.assertEqual((result.status, "--resume" in result.err), (2, True), result)
        self.write("go", "")
        self.assertEqual(self.hydraflow("run", "job", "a=2").status, 0)
        self.assertEqual((process.wait(30), self.lines("begun")), (0, ["x", "x"]))

    def test_cancel_between_two_tasks(self):
        self.write("hydraflow.yaml", "jobs:\n  prep: {run: sh -c 'touch begun; until test -e go; do sleep 0.05; done'}\n"
                   "  job: {run: touch executed, needs: prep}\n")
        process = self.start("run", "job")
        wait_until(lambda: "begun" in self.names())
        result = self.hydraflow("cancel", "job")
        self.assertEqual(result.status, 0, result)
        self.write("go", "")
        self.assertEqual((process.wait(30), "executed" in self.names()), (130, False))

    def test_cancel_between_two_steps(self):
        """With fail-fast: false, too."""
        self.job("run: sh -c 'echo $0 >> begun; until test -e go; do sleep 0.05; done'\nfail-fast: false\nsteps: [{batch: a=1}, {batch: b=1}]")
        process = self.start("run", "job")
        wait_until(lambda: self.lines("begun"))
        self.assertEqual(self.hydraflow("cancel", "job").status, 0)
        self.assertEqual((process.wait(30), self.lines("begun")), (130, ["a=1"]))
        self.write("go", "")
        self.assertEqual((self.hydraflow("run", "job", "--resume").status, self.lines("begun")), (0, ["a=1", "a=1", "b=1"]))

    def test_a_handler_that_executes_nothing(self):
        """Its tasks have not started, and are handed over again."""
        self.program("lazy", "test -e go || exit 0; sh $1\n")
        self.job("run: sh -c 'echo $0 >> done'\nsubmit: ./lazy\nsteps: [{batch: a=1:2}]")
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        self.assertEqual(self.states(), ["not started"] * 2)
        self.write("go", "")
        result = self.hydraflow("run", "job", "--resume")
        self.assertEqual((result.status, self.lines("done")), (0, ["a=1", "a=2"]), result)

    def test_two_interrupts_end_a_handler_that_ignores_them(self):
        self.program("deaf", "trap '' INT; echo $$ > pid; while :; do sleep 0.1; done\n")
        self.job("run: 'true'\nsubmit: ./deaf\nsteps: [{batch: a=1:2}]")
        process = self.start("run", "job")
        wait_until(lambda: self.lines("pid"))
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), 130)
        wait_until(lambda: not is_alive(self.lines("pid")[0]))

    def test_an_end_between_two_looks(self):
        """A task that ends between the look at its file and the look at its lock has ended."""
        self.job("run: sh -c 'echo x >> done; touch begun; until test -e go; do sleep 0.02; done'")
        process = self.start("run", "job")
        wait_until(lambda: "begun" in self.names())
        process.kill()
        process.wait()
        self.write("sitecustomize.py", "import fcntl, os\nflock = fcntl.flock\ndef wait(file, how):\n    if '/attempts/' in os.readlink(f'/proc/self/fd/{file}'):\n"
                   "        open('go', 'w').close()\n        flock(file, fcntl.LOCK_SH)\n    return flock(file, how)\nfcntl.flock = wait\n")
        result = self.hydraflow("status", "job", env={"PYTHONPATH": self.folder})
        self.assertIn("1 succeeded", result.out)
        self.assertEqual((self.hydraflow("run", "job", "--resume").status, self.lines("done")), (0, ["x"]))

    def test_cancel_kills_what_hydraflow_left(self):
        """Also a task that ignores SIGTERM, after the grace."""
        self.job("run: sh -c 'trap \"\" TERM; echo $$ >> begun; while :; do sleep 0.1; done'")
        process = self.start("run", "job")
        wait_until(lambda: self.lines("begun"))
        process.kill()
        process.wait()
        result = self.hydraflow("cancel", "job", env={"HYDRAFLOW_GRACE": "0.5"})
        self.assertEqual(result.status, 0, result)
        wait_until(lambda: not is_alive(self.lines("begun")[0]))
        self.assertEqual(self.states(), ["interrupted"])

    def test_an_end_that_stands_is_not_interrupted(self):
        """Ctrl-C of many short tasks: what had ended is not executed again."""
        self.job("run: sh -c 'echo x >> done-$0'\nmax-parallel: 4\nsteps: [{batch: a=1:60}]")
        for wait in (0.1, 0.15, 0.2, 0.25):
            shutil.rmtree(f"{self.folder}/.hydraflow", ignore_errors=True)
            for name in self.names():
                if name.startswith("done-"):
                    os.unlink(f"{self.folder}/{name}")
            process = self.start("run", "job")
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
            process.wait(30)
            if self.hydraflow("status", "job").status:
                continue  # it had not begun
            over = {f"a={number}" for number, task in self.tasks().items() if task["state"] == "succeeded"}
            self.hydraflow("run", "job", "--resume")
            for word in over:
                self.assertEqual(self.lines(f"done-{word}"), ["x"])
            self.assertEqual(set(self.states()), {"succeeded"})

    @unittest.skipIf(os.geteuid() or not shutil.which("setpriv"), "needs root and setpriv")
    def test_cancel_of_another_users_run(self):
        """It says that it could not, and its status says so too."""
        self.job(SLOW)
        os.chmod(self.folder, 0o777)
        process = self.start("run", "job")
        wait_until(lambda: self.lines("begun"))
        for folder, _, names in os.walk(f"{self.folder}/.hydraflow"):
            os.chmod(folder, 0o777)
            for name in names:
                os.chmod(os.path.join(folder, name), 0o666)
        python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
        if not python:
            self.skipTest("there is no Python that every user may execute")
        words = ["setpriv", "--reuid", "65534", "--clear-groups", python, "-m", "hydraflow", "cancel", "job"]
        result = subprocess.run(words, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn(b"cannot be stopped", result.stdout)
        self.assertTrue(is_alive(self.lines("begun")[0]))
        process.send_signal(signal.SIGTERM)
        process.wait(30)

    def test_modules_of_the_user_with_names_of_pythons_own(self):
        for name in ("select", "argparse", "fcntl", "shlex", "locale", "gettext", "unicodedata", "json", "subprocess", "tempfile"):
            self.write(f"{name}.py", "raise SystemExit('the wrong module')\n")
        self.write("mine.py", "def function(words):\n    print('called', words)\n")
        self.job("call: mine.function\nsteps: [{batch: a=1:2}]\nmax-parallel: 2")
        result = self.hydraflow("run", "job")
        self.assertEqual((result.status, result.out.count("called")), (0, 2), result)
        self.assertEqual(self.hydraflow("status", "job").status, 0)

    @unittest.skipIf(os.geteuid() or not shutil.which("unshare"), "needs root and unshare")
    def test_a_changed_host_name(self):
        """What is provably gone is executed again; what lives is awaited."""
        self.job("run: sh -c 'echo $$ >> begun; test -e go || sleep 77; true $0'\nsteps: [{batch: a=1}]")
        process = self.start("run", "job")
        wait_until(lambda: self.lines("begun"))
        process.kill()
        process.wait()
        renamed = ["unshare", "--uts", "sh", "-c", 'hostname other; exec "$@"', "sh", sys.executable, "-m", "hydraflow"]
        shown = subprocess.check_output([*renamed, "status", "job", "--json"], cwd=self.folder)
        self.assertEqual([task["state"] for task in json.loads(shown)["tasks"]], ["running"])
        os.killpg(os.getpgid(int(self.lines("begun")[0])), signal.SIGKILL)
        self.write("go", "")
        self.assertEqual(subprocess.call([*renamed, "run", "job", "--resume", "-q"], cwd=self.folder, stderr=subprocess.DEVNULL), 0)
        self.assertEqual(len(self.lines("begun")), 2)

    def test_what_a_full_system_says(self):
        """It names what is missing: open files, a record that is gone."""
        self.job("run: sh -c 'echo x >> begun; rm -rf .hydraflow'\nsteps: [{batch: a=1:3}]".replace("echo x", "echo $0"))
        result = self.hydraflow("run", "job")
        self.assertTrue(result.status in (1, 2) and "Traceback" not in result.err, result)
        self.assertIn("No such file or directory", result.err)
        self.job("run: 'true'\nmax-parallel: 40\nsteps: [{batch: a=1:60}]".replace("'true'", "sh -c 'sleep 0.5; true $0'"))
        words = ["sh", "-c", 'ulimit -n 20; exec "$@"', "sh", sys.executable, "-m", "hydraflow", "run", "job"]
        process = subprocess.run(words, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertNotIn(b"Traceback", process.stdout)
        self.assertTrue(process.returncode == 0 or b"Too many open files" in process.stdout, process.stdout)


class Schedulers(StandIns):
    """With programs in place of a scheduler's."""

    def test_the_dry_run_of_throttled_arrays(self):
        """It prints the options that the run sends; arrays of one step with a throttle follow each other."""
        self.job("run: 'true'\nsubmit: sbatch\nmax-parallel: 3\nsteps: [{batch: a=1:8}]")
        shown = re.findall(r"^# (sbatch .*)", self.hydraflow("run", "job", "--dry-run").out, re.MULTILINE)
        self.assertEqual(self.hydraflow("run", "job").status, 0)
        sent = [line.replace("sbatch: ", "sbatch ") for line in self.lines("asked") if line.startswith("sbatch")]
        def options(line):
            line = re.sub(r"/\S*/|\S*\.[0-9A-Z]{6}\.", "", line)
            return re.sub(r"afterany:(\d+|'?<[^>]*>'?)", lambda match: "afterany:ID", line).replace("'", "")
        self.assertEqual([options(line) for line in shown], [options(line) for line in sent])
        self.assertEqual(len(sent), 3)
        self.assertTrue(all("%3" in line for line in sent))
        self.assertEqual(["afterany" in line for line in sent], [False, True, True])

    def test_a_submission_whose_id_is_not_known(self):
        """HydraFlow was killed before the id came: only a scheduler that answers can say that nothing is there."""
        with open(f"{self.folder}/bin/sbatch") as file:
            self.program("bin/sbatch", file.read() + "kill -9 $PPID\n")
        self.job("run: 'true'\nsubmit: sbatch\nsteps: [{batch: a=1:2}]")
        self.assertEqual(self.hydraflow("run", "job").status, -9)
        self.write("down", "slurm_load_jobs error: Unable to contact slurm controller")
        for words in ((), ("101|1|PENDING|Priority\n101|2|RUNNING|None\n",)):
            self.assertEqual((self.hydraflow("run", "job", "--resume").status, self.states()), (0, ["queued"] * 2))
            self.write("queue", *words or [""])
            os.rename(f"{self.folder}/down", f"{self.folder}/{'up' if words else 'down'}")
        self.assertEqual(self.states(), ["queued"] * 2)
        os.remove(f"{self.folder}/queue")
        self.assertEqual(self.states(), ["not started"] * 2)
        self.assertEqual(self.hydraflow("run", "job", "--resume").status, -9)
        self.assertEqual(len([line for line in self.lines("asked") if line.startswith("sbatch")]), 2)
