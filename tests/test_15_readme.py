"""The README: what its blocks say is executed, and what they show is what comes."""
import json
import os
import re
import shutil
import subprocess
import sys

from support import ROOT, EmptyFolder

import hydraflow

with open(os.path.join(ROOT, "README.md"), "rb") as file:
    README = file.read().decode("utf-8")
ELSEWHERE = ("python3 hydraflow.py -C tests/examples run train", "tests/run")  # the first one has a test below
SIMULATE = "#!/bin/sh\necho \"x=${1#*=} seed=${2#*=} energy=0.5\"\n"


def blocks(language: str) -> "list":
    """Return the blocks of the README in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def plain(text: str) -> str:
    """Return a text in which what differs from run to run is always the same."""
    text = re.sub(r"\b01[0-9A-HJKMNP-TV-Z]{24}\b", "01...", text)
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "20:15:01", text)
    return re.sub(r"\d+\.\d s\b", "0.1 s", text)


class Readme(EmptyFolder):
    def setUp(self) -> None:
        super().setUp()
        self.write("simulate", SIMULATE)
        os.chmod(os.path.join(self.folder, "simulate"), 0o755)
        self.write("list.txt", "1\n2\n")
        self.write("design.csv", "x,seed\n1,7\n2,8\n")
        self.write("input.txt", "x is @X@\n")
        os.mkdir(os.path.join(self.folder, "data"))
        for name in ("a", "b c"):
            self.write(f"data/{name}.csv", name)
        self.path = python_first(self.folder)

    def shell(self, line: str) -> "tuple":
        """Execute a line as somebody types it; return its exit status and what it printed."""
        process = subprocess.run(["sh", "-c", line], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 env={**os.environ, "PATH": self.path})
        return process.returncode, plain(process.stdout.decode("utf-8"))

    def test_console_blocks(self) -> None:
        """Every command is executed, in their order and in one folder; a line of dots stands for any lines."""
        executed = shown = 0
        for block in blocks("console"):
            for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                line, _, output = command.partition("\n")
                if line in ELSEWHERE:
                    continue
                with self.subTest(line=line):
                    status, told = self.shell(line)
                    executed += 1
                    if not output.strip():
                        self.assertEqual(status, 0, told)
                        continue
                    shown += 1
                    begin, dots, end = (output.rstrip("\n") + "\n").partition("\n...\n")
                    self.assertEqual(told[:len(begin)], begin)
                    self.assertTrue(told.endswith(end) if dots else told == begin, told)
        self.assertEqual((executed, shown), (8, 8))

    def test_translated_commands(self) -> None:
        """What is typed here in place of another program's command works, in the folder that init made."""
        self.assertEqual(self.shell("python3 -m hydraflow init && python3 -m hydraflow run train --quiet")[0], 0)
        table = README[README.index("what you type here"):README.index("## Python")]
        found = re.findall(r"`(python3 -m hydraflow [^`]*)`", table)
        self.assertEqual(len(found), 8)
        for line in found:
            with self.subTest(line=line):
                status, told = self.shell(line)
                self.assertEqual(status, 0, told)

    def test_pictures_are_there(self) -> None:
        names = re.findall(r"^!\[.*\]\((.*)\)$", README, re.MULTILINE)
        self.assertEqual(len(names), 2)
        for name in names:
            self.assertTrue(0 < os.path.getsize(os.path.join(ROOT, name)) < 150000, name)

    def test_lines_that_load_completion(self) -> None:
        words = " ".join(README.split())
        for shell in ("bash", "zsh", "fish"):
            line = self.hydraflow("completion", shell).out.partition("\n")[0].partition(":  ")[2]
            self.assertIn(line, words)

    def test_the_template_is_as_shown(self) -> None:
        self.hydraflow("init")
        text = self.read("hydraflow.yaml")
        self.assertIn(text[text.index("jobs:"):], blocks("yaml"))

    def test_the_first_command(self) -> None:
        examples = os.path.join(self.folder, "tests", "examples")
        os.makedirs(examples)
        for name in ("hydraflow.yaml", "train.py"):
            shutil.copy(os.path.join(ROOT, "tests", "examples", name), examples)
        self.assertIn("python3 hydraflow.py -C tests/examples run train\n", README)
        result = self.hydraflow("-C", "tests/examples", "run", "train", env={"PATH": self.path})
        self.assertEqual(result.status, 0, result.err)
        self.assertIn("7 tasks: 7 succeeded", result.err)

    def test_the_first_commands_where_there_is_no_python(self) -> None:
        """As Debian, Ubuntu and RHEL are when new: python3 alone."""
        shutil.copytree(os.path.join(ROOT, "tests", "examples"), os.path.join(self.folder, "tests", "examples"))
        os.remove(os.path.join(self.folder, "bin", "python"))
        self.path = os.path.join(self.folder, "bin")
        for name in ("sh", "env"):
            os.symlink(shutil.which(name), os.path.join(self.path, name))
        for line in (ELSEWHERE[0], "python3 -m hydraflow init", "python3 -m hydraflow run train --quiet"):
            status, told = self.shell(line)
            self.assertEqual(status, 0, told)
        self.assertIn("python3 train.py", self.shell("python3 -m hydraflow run train --dry-run")[1])

    def test_the_job_file_is_the_example(self) -> None:
        with open(os.path.join(ROOT, "tests", "examples", "hydraflow.yaml"), encoding="utf-8") as file:
            self.assertIn(file.read(), blocks("yaml"))

    def test_sweeps(self) -> None:
        """Those of the table, and those of the reference."""
        text = " ".join(README.replace("\\|", "¦").split())
        table = text[text.index("## Ten sweeps"):text.index("## A Hydra application")]
        rows = re.findall(r"\| `([^`]+=[^`]*)` \| ((?:`[^`]*`(?:, )?)+) \|", table)
        self.assertEqual(len(rows), 10)
        for sweep, values in rows:
            with self.subTest(sweep=sweep):
                combinations = [" ".join(words) for words in hydraflow.expand(sweep.replace("¦", "|"))]
                self.assertEqual(combinations, re.findall("`(.*?)`", values))
        more = re.findall(r"`([^`]+=[^`]*)` is(?: two tasks:)? `([^`]*)`(?: and `([^`]*)`)?", text)
        self.assertEqual(len(more), 5)
        for sweep, *values in more:
            with self.subTest(sweep=sweep):
                joined = [word for part in sweep.replace("¦", "|").split("|") for word in [hydraflow.collect(part)]]
                self.assertEqual([" ".join(words) for words in joined], list(filter(None, values)))

    def test_recipes(self) -> None:
        """Each is executed, and its tasks are those that it speaks of."""
        text = next(block for block in blocks("yaml") if "  design:" in block)
        self.write("hydraflow.yaml", text)
        tasks = {"design": ["./simulate x=1 seed=7", "./simulate x=2 seed=8"], "flag": ["./simulate --amp --x=1", "./simulate --x=1"],
                 "conditional": ["./simulate opt=adam lr=0.1", "./simulate opt=adam lr=0.2", "./simulate opt=sgd lr=0.1 momentum=0.9"],
                 "port": [f"./simulate --port=80{number} x={number}" for number in (1, 2, 3)], "repeat": None, "template": None, "spread": None}
        self.assertEqual(re.findall(r"^  (\w+):", text, re.MULTILINE).__len__(), len(tasks))
        for name, lines in tasks.items():
            with self.subTest(name=name):
                if lines:
                    self.assertEqual(self.shell(f"python3 -m hydraflow run {name} --dry-run")[1].splitlines(), lines)
                status, told = self.shell(f"python3 -m hydraflow run {name} --quiet")
                self.assertEqual(status, 0, told)
        self.assertEqual(self.shell("python3 -m hydraflow logs template --plain")[1], "x is 1\nx is 2\n")
        self.assertIn("energy", self.shell("python3 -m hydraflow results repeat energy --over seed")[1])

    def test_every_block_of_a_job_file_is_read(self) -> None:
        for text in blocks("yaml"):
            self.write("hydraflow.yaml", text)
            for name in re.findall(r"^  (\w+):", text, re.MULTILINE):
                with self.subTest(name=name, text=text):
                    status, told = self.shell(f"python3 -m hydraflow run {name} --dry-run")
                    self.assertEqual(status, 0, told)

    def test_the_table_of_keys(self) -> None:
        owners, meanings = {}, {}
        for owner, schema in json.loads(self.hydraflow("schema").out)["$defs"].items():
            for key, value in schema["properties"].items():
                if not value["deprecated"]:
                    owners.setdefault(key, []).append(owner)
                    meanings[key] = value["description"]
        rows = [f"| `{key}` | {', '.join(owners[key])} | {meanings[key]} |\n" for key in meanings]
        self.assertIn("|---|---|---|\n" + "".join(rows) + "\n", README)

    def test_every_command_is_told(self) -> None:
        names = re.findall(r"^    (\w+)  ", self.hydraflow("--help").out, re.MULTILINE)
        self.assertGreater(len(names), 8)
        for name in names:
            self.assertIn(f"\nhydraflow {name} ", README)

    def test_the_error_is_as_shown(self) -> None:
        self.write("hydraflow.yaml", "jobs:\n  train:\n    run: x\n    steps:\n    - batch: >-\n       learning_rate=0.1 t=12:30:00\n")
        self.assertIn(self.hydraflow("run", "train").err, blocks("text"))

    def test_python_block(self) -> None:
        for name in ("hydraflow.yaml", "train.py"):
            shutil.copy(os.path.join(ROOT, "tests", "examples", name), self.folder)
        code = blocks("python")[0]
        self.write("example.py", code)
        process = subprocess.run([sys.executable, "example.py"], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env={**os.environ, "PATH": self.path})
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(process.stdout.count(b"'--multirun'"), 7)


def python_first(folder: str) -> str:
    """Return a PATH on which python and python3 are the Python that executes the tests."""
    binaries = os.path.join(folder, "bin")
    os.mkdir(binaries)
    for name in ("python", "python3"):
        os.symlink(sys.executable, os.path.join(binaries, name))
    return binaries + os.pathsep + os.environ["PATH"]
