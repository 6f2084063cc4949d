"""Planning: what commands a job makes."""
import json
import os
import shlex
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from support import ROOT, Program

import hydraflow
from hydraflow import Error, load, plan

COMMANDS = (  # a command, its words
    ("python train.py", ["python", "train.py"]), ("python 'my train.py' \"a b\"'c' d\\ e ''", ["python", "my train.py", "a bc", "d e", ""]),
    ("x $A ${A}b \"$A c\" '$A' \\$A $ a$", ["x", "1 2", "1 2b", "1 2 c", "$A", "$A", "$", "a$"]),
    ("x ${{ task.index }} \"n ${{ job.name }}\"", ["x", "${{ task.index }}", "n ${{ job.name }}"]),
    ("x 'a && b; >*`$(c) {1..3}' \"&;|<> * {a,b} ~/\" \\; a~/b {a} $ {", ["x", "a && b; >*`$(c) {1..3}", "&;|<> * {a,b} ~/", ";", "a~/b", "{a}", "$", "{"]),
    ("x \\\n  y\\\nz\n", ["x", "yz"]), ("x \"a\\\"b\\\\c\\d\"", ["x", "a\"b\\c\\d"]), ("", []),
)
COMMAND_MISTAKES = (  # a command, the column of the mistake, the code
    ("x $NOT_SET", 3, "variable-not-set"), ("x \"${NOT_SET}\"", 3, "variable-not-set"), ("x 'a", 3, "no-shell"), ("x \\", 3, "no-shell"),
    ("cd x && y", 6, "no-shell"),
    *((f"x y{sign}", 4, "no-shell") for sign in (";", "&", "|", "<", ">", "*", "`", "$(", ">>", "{1..3}", "{a,b}", "$1", "$$", "${a:b}")),
    ("x \"`y`\"", 3, "no-shell"), ("x \"$(y)\"", 3, "no-shell"), ("x ~/y", 3, "no-shell"), ("x\ny", 2, "no-shell"),
)
PLANS = (  # a job, overrides, the commands; words that HydraFlow generates are left out
    ("run: t\nsteps: [{batch: a=1:2 b=x}]", [], ["t --multirun a=1 b=x", "t --multirun a=2 b=x"]),
    ("run: t\nsteps: [{args: \"a=1:2 b=x,y\"}]", [], ["t --multirun a=1,2 b=x,y"]),
    ("run: t\nwith: w=0\nsteps: [{batch: a=1:2, args: c=1:2}, {args: d=1, with: w=1 v=2}]", [],
     ["t --multirun a=1 c=1,2 w=0", "t --multirun a=2 c=1,2 w=0", "t --multirun d=1 w=1 v=2"]),
    ("run: t\nsteps: [{batch: a=1}, {batch: a=2, run: u v}]", [], ["t --multirun a=1", "u v --multirun a=2"]),
    ("run: t -m\nsteps: [{batch: a=1}]", [], ["t -m --multirun a=1"]), ("run: t x=1\nwith: y=2", [], ["t x=1 y=2"]),
    ("run: t\nhydra: false\nsteps: [{batch: \"a='x y',\\\"it's\\\" b=[1,'2']\"}]", [], [["t", "a=x y", "b=[1,'2']"], ["t", "a=it's", "b=[1,'2']"]]),
    # exclude and include
    ("run: t\nhydra: false\nsteps: [{batch: 'm=cnn,lstm lr=0.1,0.01', exclude: m=lstm lr=1e-1}]", [],
     ["t m=cnn lr=0.1", "t m=cnn lr=0.01", "t m=lstm lr=0.01"]),
    ("run: t\nhydra: false\nsteps: [{batch: 'a=1:3 b=1:2', exclude: [a=2, 'a=3 b=1'], include: [a=9 b=8]}]", [],
     ["t a=1 b=1", "t a=1 b=2", "t a=3 b=2", "t a=9 b=8"]),
    # overrides of the command line
    ("run: t\nsteps: [{batch: a=1:2, args: b=1, with: c=1}]", ["b=7", "c=8", "d=9"],
     ["t --multirun a=1 b=7 c=8 d=9", "t --multirun a=2 b=7 c=8 d=9"]),
    ("run: t\nsteps: [{batch: a=1:2 b=1}]", ["a=5:6"], ["t --multirun b=1 a=5", "t --multirun b=1 a=6"]),
    ("run: t\nsteps: [{batch: a=1:2 b=1}]", ["a=5"], ["t --multirun a=5 b=1"]),
    ("run: t\nsteps: [{batch: a=1}]", ["c=1,2"], ["t --multirun a=1 c=1", "t --multirun a=1 c=2"]),
    ("run: t\nwith: c=0 d=1\nsteps: [{batch: a=1}]", ["c=1,2"], ["t --multirun a=1 c=1 d=1", "t --multirun a=1 c=2 d=1"]),
    ("run: t\nsteps: [{batch: a=1, args: b=1}]", ["b=1,2"], ["t --multirun a=1 b=1,2"]),
    ("run: t\nsteps: [{batch: +a=1:2, with: ++b=1}]", ["a=5", "b=6"], ["t --multirun +a=5 ++b=6"]),
    ("run: t\nhydra: false\nsteps: [{batch: --lr=1:2}]", ["lr=3"], ["t --lr=3"]),
    ("run: t\nsteps: [{batch: lr=1:2}]", ["lr/k=3,4"], ["t --multirun lr=3000", "t --multirun lr=4000"]),
    ("run: t\nsteps: [{batch: 'a,b=(1,2),(3,4)'}]", ["a,b=(5,6)"], ["t --multirun a=5 b=6"]),
    ("run: t\nsteps: [{batch: a=1, include: a=9 b=2}]", ["a=5", "c=1,2"],
     ["t --multirun a=5 c=1", "t --multirun a=5 c=2", "t --multirun a=5 b=2 c=1", "t --multirun a=5 b=2 c=2"]),
    ("run: t", ["$X=1,2"], ["t", "t"]), ("run: t", ["mem=4G"], ["t mem=4G"]),
    # one key however it is spelled
    ("run: t\nwith: a=5\nsteps: [{batch: '+a=1,2'}]", [], ["t --multirun +a=1", "t --multirun +a=2"]),
    ("run: t\nhydra: false\nsteps: [{batch: '--a=1k,2k b=1', exclude: a=1000}]", [], ["t --a=2k b=1"]),
    ("run: t --x ${{ matrix.a }}\nhydra: false\nsteps: [{batch: --a=1:2}]", [], ["t --x 1", "t --x 2"]),
    ("run: t\nhydra: false\nsteps: [{batch: '$N=1,2', exclude: $N=1}]", [], ["t"]),
    # words at the end of run, empty words, flags
    ("run: python app.py -v name=q +x=1\nsteps: [{batch: a=1}]", [], ["python app.py -v --multirun name=q +x=1 a=1"]),
    ("run: t name=q\nhydra: false\nsteps: [{batch: a=1}]", [], ["t name=q a=1"]),
    ("run: t ${{ matrix.amp }} x${{ matrix.amp }}\nhydra: false\nsteps: [{batch: \"amp=--amp,''\"}]", [], ["t --amp x--amp", "t x"]),
    ("run: t\nsteps: [{args: a=1:2}]", ["+a=5:6", "~b"], ["t --multirun +a=5,6 '~b'"]),
    ("run: t", ["a=1", "--", "--epochs", "3", "-v"], ["t --epochs 3 -v a=1"]),
    ("run: t\nsteps: [{args: a=1}]", ["hydra.sweep.dir=here", "hydra.job.name=x"], ["t --multirun a=1 hydra.sweep.dir=here hydra.job.name=x"]),
    # words that are no override of another
    ("run: t\nwith: --e 5 --b 5 -v -v", [], ["t --e 5 --b 5 -v -v"]),
    ("run: t", ["a=1", "--", "--x=1:3", "--x=a", "--x=b", "--p=8080:80", "a=5"], ["t --x=1:3 --x=a --x=b --p=8080:80 a=5 a=1"]),
    ("run: python -m app\nsteps: [{batch: a=1}]", [], ["python -m app --multirun a=1"]),
    ("run: echo \"\"\nsteps: [{batch: a=1}]", [], ["echo '' --multirun a=1"]),
    # templates
    ("run: t\nhydra: false\nwith: \"m='${{ env.M }}' n=${{ matrix.a }}\"\nenv: {L: \"it's\", M: \"${{ env.L }} 1\"}\nsteps: [{batch: a=\\\"it's\\\"}]".replace(
        "batch: a=\\\"it's\\\"", "batch: 'a=\"it''s\"'"), [], [["t", "a=it's", "m=it's 1", "n=it's"]]),
    ("run: t -n ${{ task.index }} ${{ matrix.a }} ${{ env.X }} ${{ job.name }}\nenv: {X: x y}\nhydra: false\nsteps: [{batch: \"a=1,'2 3' b=4\"}]",
     [], ["t -n 1 1 'x y' job b=4", "t -n 2 '2 3' 'x y' job b=4"]),
    ("run: t\nwith: c=${{ matrix.a }}x\nsteps: [{batch: a=1:2 b=3}]", [],
     ["t --multirun a=1 b=3 c=1x", "t --multirun a=2 b=3 c=2x"]),
    ("run: t\nenv: {X: '${{ matrix.a }}'}\nworking-directory: ${{ matrix.b }}\nsteps: [{batch: a=1:2 b=3}]", [],
     ["t --multirun a=1 b=3", "t --multirun a=2 b=3"]),
    ("run: t\nhydra: false\nsteps: [{batch: \"$X=1,2 a=3\"}]", [], ["t a=3", "t a=3"]),
    ("run: t\nhydra: false\nsetup: cd ${{ matrix.d }}\nsteps: [{batch: \"d='a b' a=3\"}]", [],
     [["bash", "-c", "set -e\ncd 'a b'\nexec \"$@\"", "hydraflow", "t", "a=3"]]),
    ("run: t\nsteps: [{batch: 'a=1,2', exclude: '# a=1', include: '# a=3'}]", [], ["t --multirun a=1", "t --multirun a=2"]),
    ("run: t ${{ task.slot }}", [], ["t '${{ task.slot }}'"]), ("run: t\nsteps: [{batch: '', args: 'x=${a:b,c}'}]", [], ["t --multirun 'x=${a:b,c}'"]),
)
PLAN_MISTAKES = (  # a job, overrides, the code
    ("run: t ${{ task.idnex }}", [], "unknown-template"), ("run: t ${{ env.NOT_SET }}", [], "unknown-template"),
    ("run: t ${{ matrix.b }}\nsteps: [{batch: a=1}]", [], "unknown-template"),
    ("run: t ${{ matrix.a }}\nsteps: [{batch: a=1, include: b=1}]", [], "unknown-template"),
    ("run: t\nhydra: false\nwith: m=${{ matrix.a }}\nsteps: [{batch: a=1|b=2 c=1:300}]", [], "unknown-template"),
    ("call: train", [], "not-a-function"), ("run: t\nsteps: [{batch: 'a,b=(1,2),(3,4)'}]", ["a=5"], "linked-override"),
    ("run: t", ["a=1:0"], "range-empty"), ("run: t", ["word"], "not-an-override"), ("run: t\nsteps: [{args: b=1}]", ["b=1|2"], "tasks-in-words"),
    ("run: t\nsteps: [{batch: a=1}]", ["a=x;y"], "hydra-needs-quotes"),
    ("run: t\nsteps: [{batch: 'a=1,2', with: hydra.sweep.dir=here}]", [], "fixed-sweep-dir"),
    ("run: t\nsteps: [{batch: 'a=1,2'}]", ["hydra.sweep.dir=here"], "fixed-sweep-dir"), ("retries: 2", [], "no-command"),
    ("run: t\nsteps: [{batch: a=1, include: 'a=1:9999999'}]", [], "too-many-values"), ("run: t\nsteps: [{batch: a=1, include: a=2}]", ["a=1:9999999"], "too-many-values"),
    ("run: t\nsteps: [{batch: a=1, exclude: 'a=1:9999999'}]", [], "too-many-values"),
)
OLD_FILES = (  # the same job as every version of the original HydraFlow spelled it
    ("0.9, 0.10", "run: t\nsteps:\n  - batch: a=1:3 b=(s,l)_x\n    args: c/m=1,2 d=4:u\n    options: e=1 hydra/launcher=x\n  - args: a=1,2\n    options: e=1"),
    ("0.11", "run: t\nconfigs: e=1\nsteps:\n  - batch: a=1:3 b=(s,l)_x\n    args: c/m=1,2 d=4:u\n    configs: e=1 hydra/launcher=x\n  - args: a=1,2"),
    ("0.12 to 0.15.0", "run: t\nwith: e=1\nsteps:\n  - batch: a=1:3 b=(s,l)_x\n    args: c/m=1,2 d=4:u\n    with: e=1 hydra/launcher=x\n  - args: a=1,2"),
    ("0.15.1 and later", "run: t\nadd: e=1\nsets:\n  - each: a=1:3 b=(s,l)_x\n    all: c/m=1,2 d=4:u\n    add: hydra/launcher=x\n  - all: a=1,2"),
)
OLD_COMMANDS = [*(f"t --multirun a={a} b={b}_x c=1e-3,2e-3 d=4e-6 e=1 hydra/launcher=x" for a in "123" for b in "sl"), "t --multirun a=1,2 e=1"]
DRY_RUNS = """
import contextlib, io, json, sys, hydraflow
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = hydraflow.main(["run", "--dry-run", "--", *words])
    print(json.dumps([words, status, out.getvalue(), err.getvalue()]))
"""
GENERATED = ("hydra.job.name=job", "hydra.sweep.dir=multirun/")
os.environ["A"] = "1 2"


def job_of(text: str) -> "object":
    """The job whose keys are given."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("jobs:\n  job:\n" + "".join(f"    {line}\n" for line in text.split("\n")))
        file.flush()
        return load(file.name)["job"]


def shell_text(words: "list") -> str:
    """A command line that a shell reads back as these words."""
    return " ".join(map(shlex.quote, words))


def commands(text: str, overrides: "list" = ()) -> "list":
    """The commands of a job, without what is generated."""
    return [[word for word in task.argv if not word.startswith(GENERATED)] for task in plan(job_of(text), overrides)]


class Commands(unittest.TestCase):
    def run_of(self, command: str) -> "list":
        """The words of a command of a job without steps."""
        lines = "\n".join("  " + line for line in command.split("\n"))
        return commands(f"run: |2-\n{lines}")[0]

    def test_words(self) -> None:
        for command, words in COMMANDS:
            if words:
                with self.subTest(command=command):
                    self.assertEqual([word.replace("${{ task.index }}", "1") for word in self.run_of(command)],
                                     [word.replace("${{ task.index }}", "1").replace("${{ job.name }}", "job") for word in words])

    def test_mistakes(self) -> None:
        for command, column, code in COMMAND_MISTAKES:
            with self.subTest(command=command):
                with self.assertRaises(Error) as caught:
                    self.run_of(command)
                self.assertEqual((caught.exception.column - 6, caught.exception.code), (column, code))


class Plans(unittest.TestCase):
    def test_commands(self) -> None:
        for text, overrides, expected in PLANS:
            with self.subTest(text=text, overrides=overrides):
                found = commands(text, overrides)
                self.assertEqual(list(map(shell_text, found)) if isinstance(expected[0], str) else found, expected)

    def test_files_of_every_version_of_the_original(self) -> None:
        for version, text in OLD_FILES:
            with self.subTest(version=version):
                self.assertEqual(list(map(shell_text, commands(text))), OLD_COMMANDS)

    def test_mistakes(self) -> None:
        for text, overrides, code in PLAN_MISTAKES:
            with self.subTest(text=text):
                with self.assertRaises(Error) as caught:
                    plan(job_of(text), overrides)
                self.assertEqual(caught.exception.code, code)

    def test_added_keys_are_known(self) -> None:
        added = plan(job_of("run: t\nsteps: [{batch: a=1}]"), ["a=2", "b=1,2", "+c=3"]).added
        self.assertEqual([(axis.keys, axis.count) for axis in added], [(("b",), 2), (("c",), 1)])

    def test_generated_words_and_key(self) -> None:
        tasks = list(plan(job_of("run: t\nsteps: [{batch: a=1:3}]")))
        self.assertEqual([task.number for task in tasks], [1, 2, 3])
        self.assertEqual(len({task.argv[-1] for task in tasks}), 3)
        for task in tasks:
            self.assertEqual(task.argv[-2:], ("hydra.job.name=job", f"hydra.sweep.dir={task.directory}"))
            self.assertRegex(task.directory, "^multirun/[0-9A-HJKMNP-TV-Z]{26}$")
            self.assertEqual((task.key, task.has_directory), (task.argv[:-2], False))

    def test_a_generated_directory_is_no_part_of_the_key(self) -> None:
        first, second = (next(iter(plan(job_of("run: t --out ${{ task.dir }}")))) for _ in range(2))
        self.assertNotEqual(first.argv, second.argv)
        self.assertEqual(first.key, second.key)

    def test_what_a_task_is_known_by(self) -> None:
        """What differs in an axis of the environment, or in what setup takes off the command line, is another task."""
        for text in ("steps: [{batch: $A=1:2}]", "setup: cd ${{ matrix.a }}\nsteps: [{batch: a=1:2}]"):
            first, second = plan(job_of(f"run: t\nhydra: false\n{text}"))
            self.assertEqual(first.argv[-1], second.argv[-1])
            self.assertNotEqual(first.key, second.key)
            self.assertEqual((first.env, second.env), (({"A": "1"}, {"A": "2"}) if "$A" in text else ({}, {})))
        same = [next(iter(plan(job_of(f"run: t\nsetup: {line}\nenv: {{X: {line}}}")))) for line in ("one", "two")]
        self.assertEqual(same[0].key, same[1].key)

    def test_samples(self) -> None:
        """A permutation, the same everywhere, whose beginning does not depend on how many are taken."""
        def words(count, seed=0, batch="a=1:50 b=x,y", more=""):
            return [task.combination for task in plan(job_of(f"run: t\nsteps: [{{batch: '{batch}', sample: {{count: {count}, seed: {seed}}}{more}}}]"))]

        everything = words(1000)
        self.assertEqual((len(everything), len(set(everything))), (100, 100))
        self.assertEqual(words(20), everything[:20])
        self.assertNotEqual(words(20, 7), everything[:20])
        self.assertEqual(words(3), [("a=3", "b=x"), ("a=50", "b=y"), ("a=14", "b=y")])
        kept = words(100, 0, more=", exclude: b=x, include: a=0 b=z")
        self.assertEqual(kept, [row for row in everything if row[1] == "b=y"] + [("a=0", "b=z")])
        with mock.patch.object(hydraflow, "MOST_LISTED", 100):  # no sample is looked for without end
            self.assertEqual(words(3, 0, "a=1:1000000000", ", exclude: 'a=1:99'"), words(3, 0, "a=1:1000000000"))
            self.assertEqual(words(3, 0, "a=1:1000000000 b=1", ", exclude: b=1"), [])
        for batch in ("a=1:1000000 b=1:1000000", " ".join(f"{key}=1:1000000" for key in "abcde")):
            self.assertEqual(len(set(words(20, 0, batch))), 20)

    def test_count_is_lazy(self) -> None:
        tasks = plan(job_of("run: t\nsteps: [{batch: a=1:1000000 b=1:1000000}, {batch: c=1:2}]"))
        self.assertEqual((tasks.count, tasks.is_exact), (10 ** 12 + 2, True))
        self.assertEqual(next(iter(tasks)).argv[2:4], ("a=1", "b=1"))
        tasks = plan(job_of("run: t\nhydra: false\nsteps: [{batch: a=1:1000000 b=1:1000000, exclude: a=1 b=1}]"))
        self.assertEqual((tasks.count, tasks.is_exact, next(iter(tasks)).argv), (10 ** 12, False, ("t", "a=1", "b=2")))

    def test_environment_and_directory(self) -> None:
        task = next(iter(plan(job_of("run: t\nworking-directory: d/${{ matrix.a }}\n"
                                     "env: {G: '${{ task.slot }}', H: '${{ env.HOME }}!', N: null, M: ~, E: '', L: 'null'}\nsteps: [{batch: a=1}]"))))
        env = {"G": "${{ task.slot }}", "H": "${{ env.HOME }}!", "N": None, "M": None, "E": "", "L": "null"}
        self.assertEqual((task.cwd, task.env), ("d/1", env))


class Executed(Program):
    def test_a_variable_is_taken_away(self) -> None:
        self.job("run: sh -c 'echo ${X-none} $Y'\nenv: {X: null, Y: 1}")
        result = self.hydraflow("run", "job", env={"X": "there"})
        self.assertIn("none 1\n", result.out)
        dry = self.hydraflow("run", "job", "--dry-run").out
        self.assertEqual(dry, "env --unset=X Y=1 sh -c 'echo ${X-none} $Y'\n")

    def test_a_variable_is_no_program(self) -> None:
        result = self.hydraflow("run", "--", "A=1", "./sim")
        self.assertEqual((result.status, "env NAME=VALUE" in result.err), (2, True))

    def test_real_command_lines_are_taken_word_for_word(self) -> None:
        """Each line of the table is one task, whatever its words look like; all are planned in one process."""
        with open(os.path.join(ROOT, "tests", "cases", "commands.txt"), encoding="utf-8") as file:
            rows = [shlex.split(line) for line in file]
        self.assertGreater(len(rows), 156)
        output = subprocess.check_output([sys.executable, "-c", DRY_RUNS], input=json.dumps(rows).encode(), cwd=self.folder)
        for words, status, out, err in map(json.loads, output.decode().splitlines()):
            with self.subTest(words=words):
                self.assertEqual((status, out), (0, shell_text(words) + "\n"), err)

    def test_an_added_key_is_said(self) -> None:
        self.job("run: echo\nsteps: [{batch: a=1}]")
        result = self.hydraflow("run", "job", "b=1,2", "--dry-run")
        self.assertEqual((result.out, result.err), ("echo a=1 b=1\necho a=1 b=2\n", "b is not in the job: added (2 values)\n"))


if __name__ == "__main__":
    unittest.main()
