"""Records: what a run leaves, who may read it, and what is told when somebody has changed it."""
import glob
import os
import random
import shutil
import stat
import subprocess
import sys
import unittest

from support import ROOT, Program, wait_until

READERS = (("status", "job"), ("status", "job", "--json"), ("logs", "job"), ("results", "job", "loss"), ("run", "job", "--resume", "--dry-run"))
GARBAGE = (b"", b"\n", b"\0" * 100, b"\xff\xfe", b"[" * 100000, b'{"task": 1', b'{"task":1,"step":1,"argv":[7]}\n', b"[]\n7\nnull\n", b'{"a":\n', b"x" * 70000)
NAMES = ("a/b", "..", ".", "a%2Fb", "é", "a b")


def files(folder: str) -> "list":
    """Return the real files below a folder, in their order."""
    found = [os.path.join(path, name) for path, _, names in os.walk(folder) for name in names]
    return sorted(path for path in found if not os.path.islink(path))


def content(path: str) -> bytes:
    """Return the bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


class Records(Program):
    def failed(self) -> str:
        """Execute a run of which two tasks succeed and one fails; return its record."""
        self.job("run: sh -c 'echo $0 >> done; echo loss=1; test $0 != a=2'\nfail-fast: false\nsteps: [{batch: a=1:3}]")
        self.assertEqual(self.hydraflow("run", "job").status, 1)
        return self.records()[-1]

    def test_what_reading_changes(self) -> None:
        """Nothing: no file, and no moment of one."""
        record = self.failed()
        before = {path: (content(path), os.stat(path).st_mtime_ns) for path in files(record)}
        for argv in READERS:
            self.hydraflow(*argv)
        self.assertEqual({path: (content(path), os.stat(path).st_mtime_ns) for path in files(record)}, before)

    def test_what_has_been_cut_off(self) -> None:
        """A file that ends early, as by a crash: a resume executes what is not known to have succeeded, or refuses; what it leaves is whole."""
        for seed in range(6):
            shutil.rmtree(os.path.join(self.folder, ".hydraflow"), ignore_errors=True)
            self.clear("done")
            record = self.failed()
            path = random.Random(seed).choice(files(record))
            with self.subTest(seed=seed, file=os.path.relpath(path, record)):
                size = os.path.getsize(path)
                os.truncate(path, max(size - 20, 0))
                result = self.hydraflow("run", "job", "--resume")
                self.assertIn(result.status, (1, 2), result.err)
                self.assertNotIn("Traceback", result.err)
                if result.status == 1:
                    self.assertEqual(self.states(), ["succeeded", "failed", "succeeded"])

    def test_an_error_in_reading_is_not_nothing(self) -> None:
        """Where a file cannot be read, what has succeeded is not executed again, and no mistake is hidden."""
        record = self.failed()
        for path in files(record):
            os.rename(path, path + ".away")
            os.mkdir(path)
            with self.subTest(file=os.path.relpath(path, record)):
                self.assertNotIn("Traceback", self.hydraflow("run", "job", "--resume").err)
            os.rmdir(path)
            os.rename(path + ".away", path)
        self.assertEqual([name for name in self.lines("done") if name != "a=2"], ["a=1", "a=3"])

    def test_nothing_is_written_through_a_link(self) -> None:
        record = self.failed()
        self.write("mine", "precious\n")
        for path in files(record):
            os.rename(path, path + ".away")
            os.symlink(os.path.join(self.folder, "mine"), path)
            with self.subTest(file=os.path.relpath(path, record)):
                self.assertNotIn("Traceback", self.hydraflow("run", "job", "--resume").err)
                self.assertEqual(self.read("mine"), "precious\n")
            if os.path.islink(path):
                os.unlink(path)
            os.replace(path + ".away", path)

    def test_modes_are_those_of_the_user(self) -> None:
        for mask in (0o027, 0o077, 0o002):
            shutil.rmtree(os.path.join(self.folder, ".hydraflow"), ignore_errors=True)
            self.job("run: sh -c 'echo x'")
            subprocess.check_call(["sh", "-c", f"umask {mask:03o}; '{sys.executable}' -m hydraflow run job"], cwd=self.folder,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for path in files(os.path.join(self.folder, ".hydraflow")):
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & mask, 0, path)
            log, = glob.glob(f"{self.records()[0]}/logs/*/*")
            self.assertEqual(stat.S_IMODE(os.stat(log).st_mode), 0o666 & ~mask)

    def test_secrets_stay_in_the_environment(self) -> None:
        self.job("run: sh -c 'echo $TOKEN-$BOTH >> seen; exit 1'\nsetup: 'true'\nenv: {TOKEN: '${{ env.SECRET }}', BOTH: 'x${{ env.TOKEN }}'}")
        result = self.hydraflow("run", "job", env={"SECRET": "hunter2"})
        self.assertEqual(self.lines("seen"), ["hunter2-xhunter2"])
        self.assertNotIn("hunter2", result.err + self.hydraflow("status", "job", "--json", env={"SECRET": "hunter2"}).out)
        for path in files(os.path.join(self.folder, ".hydraflow")):
            self.assertNotIn(b"hunter2", content(path), path)

    def test_names_of_jobs_that_are_no_file_names(self) -> None:
        for name in NAMES:
            with self.subTest(name=name[:20]):
                self.write("hydraflow.yaml", f"jobs: {{'{name}': {{run: 'true', hydra: false}}}}")
                result = self.hydraflow("run", name)
                self.assertEqual(result.status, 0, result.err)
                self.assertEqual(len(self.hydraflow("status", name).out.splitlines()), 2)
        self.assertEqual(len(glob.glob(f"{self.folder}/.hydraflow/*/")), len(NAMES))
        self.assertEqual(self.names(), [".hydraflow", "hydraflow.py", "hydraflow.yaml"])

    def test_a_record_of_another_format_is_refused_by_name(self) -> None:
        self.job("run: sh -c 'echo $0 >> done'\nsteps: [{batch: a=1:3}]")
        shutil.copytree(os.path.join(ROOT, "tests", "cases", "record-1.0.0"), os.path.join(self.folder, ".hydraflow", "job"))
        for argv in (("status", "job"), ("logs", "job"), ("run", "job", "--resume"), ("run", "job", "--resume", "--dry-run")):
            with self.subTest(argv=argv):
                result = self.hydraflow(*argv)
                self.assertEqual((result.status, result.out), (2, ""))
                self.assertIn("HydraFlow 1.0.0", result.err)
        self.assertEqual((self.hydraflow("run", "job").status, self.lines("done")), (0, ["a=1", "a=2", "a=3"]))

    def test_two_resumes_at_once(self) -> None:
        """One has the run; the other one says who, and executes nothing."""
        self.job("run: sh -c 'echo x >> begun; until test -e go; do sleep 0.05; done; true $0'\nsteps: [{batch: a=1:2}]")
        first = self.begun("--resume")
        result = self.hydraflow("run", "job", "--resume")
        self.assertEqual(result.status, 2)
        self.assertIn(str(first.pid), result.err)
        self.write("go", "")
        self.assertEqual((first.wait(30), self.lines("begun")), (0, ["x", "x"]))

    def test_a_copy_of_a_record_stops_nothing(self) -> None:
        """cancel in a copied folder finds the processes of the first one, which are not its own."""
        self.job("run: sh -c 'echo x > begun; sleep 99; :'")
        process = self.begun()
        copy = self.folder + "-copy"
        self.addCleanup(shutil.rmtree, copy, ignore_errors=True)
        shutil.copytree(self.folder, copy, symlinks=True)
        subprocess.call([sys.executable, "-m", "hydraflow", "cancel", "job"], cwd=copy, stderr=subprocess.DEVNULL)
        self.assertEqual((self.states(), process.poll()), (["running"], None))
        self.assertEqual(self.hydraflow("cancel", "job").status, 0)
        self.assertEqual(process.wait(60), 130)

    def test_clean(self) -> None:
        """The newest run stays, and one in which something runs, or that waits for another job."""
        self.job("run: sh -c 'echo x >> begun; until test -e go; do sleep 0.05; done'")
        self.write("go", "")
        for _ in range(3):
            self.hydraflow("run", "job")
        self.assertEqual((self.hydraflow("clean", "job", "--dry-run").status, len(self.records())), (0, 3))
        self.assertEqual((self.hydraflow("clean", "job", "--keep", "2").status, len(self.records())), (0, 2))
        self.clear("go", "begun")
        self.begun()
        running = self.records()[-1]
        self.hydraflow("clean", "job")
        self.assertEqual(self.records(), [running])
        self.write("go", "")
        wait_until(lambda: self.states() == ["succeeded"])
        self.clear("go", "begun")
        self.write("hydraflow.yaml", "jobs: {job: {run: echo, needs: prep}, prep: {run: sh -c 'echo x >> begun; until test -e go; do sleep 0.05; done'}}")
        waiting = [self.begun(), self.start("run", "job")]  # none of their own tasks runs
        wait_until(lambda: len(self.records()) == 3)
        self.hydraflow("clean", "job")
        self.assertEqual(len(self.records()), 2)
        self.write("go", "")
        self.assertEqual([process.wait(60) for process in waiting], [0, 0])

    @unittest.skipUnless(shutil.which("git"), "not installed: git")
    def test_commits(self) -> None:
        def git(*words: str) -> str:
            names = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
            return subprocess.check_output(["git", *names, *words], cwd=self.folder).decode().strip()

        self.job("run: sh -c 'true $0; test -e go'\nsteps: [{batch: a=1:2}]")
        for words in (["init", "-q"], ["add", "hydraflow.yaml"], ["commit", "-q", "-m", "one"]):
            git(*words)
        self.hydraflow("run", "job")
        first = git("rev-parse", "HEAD")
        self.assertEqual(git("status", "--porcelain", ".hydraflow"), "")  # git does not see records
        self.assertIn(f'"commit": "{first}"', self.hydraflow("status", "job", "--json").out)
        git("commit", "-q", "--allow-empty", "-m", "two")
        self.write("go", "")
        result = self.hydraflow("run", "job", "--resume")
        for commit in (first, git("rev-parse", "HEAD")):
            self.assertIn(commit[:7], result.err)


if __name__ == "__main__":
    unittest.main()
