"""The README: what its blocks say is executed, and what they show is what comes."""
import os
import re
import shlex
import shutil
import sys

from support import ROOT, EmptyFolder

import hydraflow

with open(os.path.join(ROOT, "README.md"), "rb") as file:
    README = file.read().decode("utf-8")


def blocks(language: str) -> "list":
    """Return the blocks of the README in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


class Readme(EmptyFolder):
    def test_console_blocks(self) -> None:
        examples = os.path.join(ROOT, "tests", "examples")
        shown = 0
        for block in blocks("console"):
            commands = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
            for command in commands:
                line, _, output = command.partition("\n")
                words = shlex.split(line)
                if words[:3] != ["python", "-m", "hydraflow"]:
                    continue
                if words[3:] == ["run", "train", "--dry-run"]:
                    for name in ("hydraflow.yaml", "train.py"):
                        shutil.copy(os.path.join(examples, name), self.folder)
                result = self.hydraflow(*words[3:])
                self.assertEqual(result.status, 0, result.err)
                if output.strip():
                    told = re.sub("multirun/01[0-9A-Z]{24}", "multirun/01...", result.err + result.out)
                    self.assertEqual(told, output.rstrip("\n") + "\n")
                    shown += 1
        self.assertEqual(shown, 3)

    def test_the_first_command(self) -> None:
        examples = os.path.join(self.folder, "tests", "examples")
        os.makedirs(examples)
        for name in ("hydraflow.yaml", "train.py"):
            shutil.copy(os.path.join(ROOT, "tests", "examples", name), examples)
        self.assertIn("python hydraflow.py -C tests/examples run train\n", README)
        result = self.hydraflow("-C", "tests/examples", "run", "train", env={"PATH": python_first(self.folder)})
        self.assertEqual(result.status, 0, result.err)
        self.assertIn("7 tasks: 7 succeeded", result.err)

    def test_the_job_file_is_the_example(self) -> None:
        with open(os.path.join(ROOT, "tests", "examples", "hydraflow.yaml"), encoding="utf-8") as file:
            self.assertIn(file.read(), blocks("yaml"))

    def test_sweep_table(self) -> None:
        rows = re.findall(r"^\| `(\S+=.*?)` \| (.*?) \|$", README.replace("\\|", "¦"), re.MULTILINE)
        self.assertEqual(len(rows), 16)
        for sweep, values in rows:
            with self.subTest(sweep=sweep):
                combinations = list(hydraflow.expand(sweep.replace("¦", "|")))
                if values.startswith("two tasks"):
                    self.assertEqual([" ".join(words) for words in combinations], re.findall("`(.*?)`", values))
                else:
                    self.assertEqual([words[0].partition("=")[2] for words in combinations], values.split(" "))

    def test_every_key_of_a_job_is_told(self) -> None:
        for key in hydraflow.job_keys(set()):
            self.assertIn(f"| `{key}` |", README)

    def test_every_command_is_told(self) -> None:
        for name, _, _ in hydraflow.COMMANDS:
            self.assertIn(f"hydraflow {name} ", README)

    def test_the_error_is_as_shown(self) -> None:
        self.write("hydraflow.yaml", "jobs:\n  train:\n    run: x\n    steps:\n    - batch: >-\n       learning_rate=0.1 t=12:30:00\n")
        self.assertIn(self.hydraflow("run", "train").err, blocks("text"))

    def test_python_block(self) -> None:
        for name in ("hydraflow.yaml", "train.py"):
            shutil.copy(os.path.join(ROOT, "tests", "examples", name), self.folder)
        code = blocks("python")[0]
        self.write("example.py", code)
        import subprocess
        process = subprocess.run([sys.executable, "example.py"], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env={**os.environ, "PATH": python_first(self.folder)})
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(process.stdout.count(b"'--multirun'"), 7)


def python_first(folder: str) -> str:
    """Return a PATH on which python is the Python that executes the tests."""
    binaries = os.path.join(folder, "bin")
    os.mkdir(binaries)
    os.symlink(sys.executable, os.path.join(binaries, "python"))
    return binaries + os.pathsep + os.environ["PATH"]
