"""Planning: what commands a job makes."""
import os
import unittest

import hydraflow
from hydraflow import (
    Error,
    Source,
    fill,
    hydra_text,
    key_of,
    plan,
    read_jobs,
    read_yaml,
    shell_text,
    split_command,
    unquoted,
)

COMMANDS = (  # a command, its words
    ("python train.py", ["python", "train.py"]),
    ("python 'my train.py' \"a b\"'c' d\\ e ''", ["python", "my train.py", "a bc", "d e", ""]),
    ("x $A ${A}b \"$A c\" '$A' \\$A $ a$", ["x", "1 2", "1 2b", "1 2 c", "$A", "$A", "$", "a$"]),
    ("x ${{ task.index }} \"n ${{ job.name }}\"", ["x", "${{ task.index }}", "n ${{ job.name }}"]),
    ("x 'a && b; >*`$(c) {1..3}' \"&;|<> * {a,b} ~/\" \\; a~/b {a} $ {", ["x", "a && b; >*`$(c) {1..3}", "&;|<> * {a,b} ~/", ";", "a~/b", "{a}", "$", "{"]),
    ("x \\\n  y\\\nz\n", ["x", "yz"]),
    ("x \"a\\\"b\\\\c\\d\"", ["x", "a\"b\\c\\d"]),
    ("", []),
)
COMMAND_MISTAKES = (  # a command, the column of the mistake, the message
    ("x $NOT_SET", 3, "$NOT_SET is not set in the environment"),
    ("x \"${NOT_SET}\"", 3, "$NOT_SET is not set in the environment"),
    ("x 'a", 3, "quote is never closed"),
    ("cd x && y", 6, "no shell executes this command, so && would be a mere word of it"),
    ("x | y", 3, "no shell executes this command, so | would be a mere word of it"),
    ("x > y", 3, "no shell executes this command, so > would be a mere word of it"),
    ("x \\", 3, "nothing follows the backslash"),
    *((f"x y{sign}", 4, f"no shell executes this command, so {sign} would be a mere word of it")
      for sign in (";", "&", "|", "<", ">", "*", "`", "$(", ">>", "{1..3}", "{a,b}")),
    ("x \"`y`\"", 3, "no shell executes this command, so \"`y`\" would be a mere word of it"),
    ("x \"$(y)\"", 3, "no shell executes this command, so \"$(y)\" would be a mere word of it"),
    ("x ~/y", 3, "no shell executes this command, so ~/y would be a mere word of it"),
    ("x\ny", 2, "no shell executes this command, so a line break would be a mere word of it"),
)
PLANS = (  # a job, overrides, the commands; words that HydraFlow generates are left out
    ("run: t\nsteps: [{batch: a=1:2 b=x}]", [], ["t --multirun a=1 b=x", "t --multirun a=2 b=x"]),
    ("run: t\nsteps: [{args: \"a=1:2 b=x,y\"}]", [], ["t --multirun a=1,2 b=x,y"]),
    ("run: t\nwith: w=0\nsteps: [{batch: a=1:2, args: c=1:2}, {args: d=1, with: w=1 v=2}]", [],
     ["t --multirun a=1 c=1,2 w=0", "t --multirun a=2 c=1,2 w=0", "t --multirun d=1 w=1 v=2"]),
    ("run: t\nsteps: [{batch: a=1}, {batch: a=2, run: u v}]", [], ["t --multirun a=1", "u v --multirun a=2"]),
    ("run: t -m\nsteps: [{batch: a=1}]", [], ["t -m a=1"]),
    ("run: t x=1\nwith: y=2", [], ["t x=1 y=2"]),
    ("run: t\nhydra: false\nsteps: [{batch: \"a='x y',\\\"it's\\\" b=[1,'2']\"}]", [], [["t", "a=x y", "b=[1,'2']"], ["t", "a=it's", "b=[1,'2']"]]),
    # exclude and include
    ("run: t\nhydra: false\nsteps: [{batch: 'm=cnn,lstm lr=0.1,0.01', exclude: m=lstm lr=1e-1}]", [],
     ["t m=cnn lr=0.1", "t m=cnn lr=0.01", "t m=lstm lr=0.01"]),
    ("run: t\nhydra: false\nsteps: [{batch: 'a=1:3 b=1:2', exclude: [a=2, 'a=3 b=1'], include: [a=9 b=8]}]", [],
     ["t a=1 b=1", "t a=1 b=2", "t a=3 b=2", "t a=9 b=8"]),
    # overrides of the command line
    ("run: t\nsteps: [{batch: a=1:2, args: b=1, with: c=1}]", ["b=7", "c=8", "d=9"],
     ["t --multirun a=1 b=7 c=8 d=9", "t --multirun a=2 b=7 c=8 d=9"]),
    ("run: t\nsteps: [{batch: a=1:2 b=1}]", ["a=5:6"], ["t --multirun a=5 b=1", "t --multirun a=6 b=1"]),
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
    ("run: t ${{ task.slot }}", [], ["t '${{ task.slot }}'"]),
    ("run: t\nsteps: [{batch: '', args: 'x=${a:b,c}'}]", [], ["t --multirun 'x=${a:b,c}'"]),
)
PLAN_MISTAKES = (  # a job, overrides, the message
    ("run: t ${{ task.idnex }}", [], "${{ task.idnex }} has no value"),
    ("run: t ${{ env.NOT_SET }}", [], "${{ env.NOT_SET }} has no value"),
    ("run: t ${{ matrix.b }}\nsteps: [{batch: a=1}]", [], "${{ matrix.b }} has no value"),
    ("run: t ${{ matrix.a }}\nsteps: [{batch: a=1, include: b=1}]", [], "${{ matrix.a }} has no value"),
    ("run: t\nhydra: false\nwith: m=${{ matrix.a }}\nsteps: [{batch: a=1|b=2 c=1:300}]", [], "${{ matrix.a }} has no value"),
    ("run: A=1 t", [], "A=1 is no program"),
    ("call: train", [], "train is no function's name"),
    ("run: t\nsteps: [{batch: 'a,b=(1,2),(3,4)'}]", ["a=5"], "a is linked with b, and cannot be overridden alone"),
    ("run: t", ["a=1:0"], "range is empty: no step of 1 leads from 1 to 0"),
)
OLD_FILES = (  # the same job as every version of the original HydraFlow spelled it
    ("0.9, 0.10", "run: t\nsteps:\n  - batch: a=1:3 b=(s,l)_x\n    args: c/m=1,2 d=4:u\n    options: e=1 hydra/launcher=x\n  - args: a=1,2\n    options: e=1"),
    ("0.11", "run: t\nconfigs: e=1\nsteps:\n  - batch: a=1:3 b=(s,l)_x\n    args: c/m=1,2 d=4:u\n    configs: e=1 hydra/launcher=x\n  - args: a=1,2"),
    ("0.12 to 0.15.0", "run: t\nwith: e=1\nsteps:\n  - batch: a=1:3 b=(s,l)_x\n    args: c/m=1,2 d=4:u\n    with: e=1 hydra/launcher=x\n  - args: a=1,2"),
    ("0.15.1 and later", "run: t\nadd: e=1\nsets:\n  - each: a=1:3 b=(s,l)_x\n    all: c/m=1,2 d=4:u\n    add: hydra/launcher=x\n  - all: a=1,2"),
)
OLD_COMMANDS = [*(f"t --multirun a={a} b={b}_x c=1e-3,2e-3 d=4e-6 e=1 hydra/launcher=x" for a in "123" for b in "sl"), "t --multirun a=1,2 e=1"]
GENERATED = ("hydra.job.name=job", "hydra.sweep.dir=multirun/")


def job_of(text: str) -> "object":
    """Return the job whose keys are given."""
    return read_jobs(read_yaml("jobs:\n  job:\n" + "".join(f"    {line}\n" for line in text.split("\n"))))["job"]


class Commands(unittest.TestCase):
    def test_words(self) -> None:
        for command, words in COMMANDS:
            with self.subTest(command=command):
                self.assertEqual(split_command(Source("f", command), {"A": "1 2"}), words)

    def test_mistakes(self) -> None:
        for command, column, message in COMMAND_MISTAKES:
            with self.subTest(command=command):
                with self.assertRaises(Error) as caught:
                    split_command(Source("f", command), {})
                self.assertEqual((caught.exception.column, caught.exception.message), (column, message))


class Plans(unittest.TestCase):
    def test_commands(self) -> None:
        for text, overrides, commands in PLANS:
            with self.subTest(text=text):
                tasks = [[word for word in task.argv if not word.startswith(GENERATED)] for task in plan(job_of(text), overrides)]
                self.assertEqual([shell_text(words) if isinstance(commands[0], str) else words for words in tasks], commands)

    def test_files_of_every_version_of_the_original(self) -> None:
        for version, text in OLD_FILES:
            with self.subTest(version=version):
                tasks = [[word for word in task.argv if not word.startswith(GENERATED)] for task in plan(job_of(text))]
                self.assertEqual(list(map(shell_text, tasks)), OLD_COMMANDS)

    def test_mistakes(self) -> None:
        for text, overrides, message in PLAN_MISTAKES:
            with self.subTest(text=text):
                with self.assertRaises(Error) as caught:
                    plan(job_of(text), overrides)
                self.assertEqual(caught.exception.message, message)

    def test_generated_words_and_key(self) -> None:
        tasks = list(plan(job_of("run: t\nsteps: [{batch: a=1:3}]")))
        self.assertEqual([task.number for task in tasks], [1, 2, 3])
        self.assertEqual(len({task.argv[-1] for task in tasks}), 3)
        for task in tasks:
            self.assertEqual(task.argv[-2:], ("hydra.job.name=job", f"hydra.sweep.dir={task.directory}"))
            self.assertRegex(task.directory, "^multirun/[0-9A-HJKMNP-TV-Z]{26}$")
            self.assertEqual(task.key, task.argv[:-2])

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
        self.assertEqual(words(3), [("a=5", "b=x"), ("a=46", "b=y"), ("a=38", "b=x")])
        kept = words(100, 0, more=", exclude: b=x, include: a=0 b=z")
        self.assertEqual(kept, [row for row in everything if row[1] == "b=y"] + [("a=0", "b=z")])
        for batch in ("a=1:1000000 b=1:1000000", " ".join(f"{key}=1:1000000" for key in "abcde")):
            self.assertEqual(len(set(words(20, 0, batch))), 20)
        counts = [0] * 50
        for seed in range(400):
            for combination in words(5, seed):
                counts[int(combination[0][2:]) - 1] += 1
        self.assertLess(sum((count - 40) ** 2 / 40 for count in counts), 85.4)  # chi-square, 49 degrees: one in a thousand lies above

    def test_count_is_lazy(self) -> None:
        tasks = plan(job_of("run: t\nsteps: [{batch: a=1:1000000 b=1:1000000}, {batch: c=1:2}]"))
        self.assertEqual(tasks.count, 10 ** 12 + 2)
        self.assertEqual(next(iter(tasks)).argv[2:4], ("a=1", "b=1"))

    def test_environment_and_directory(self) -> None:
        task = next(iter(plan(job_of("run: t\nworking-directory: d/${{ matrix.a }}\nenv: {G: '${{ task.slot }}', H: '${{ env.HOME }}!'}\n"
                                     "steps: [{batch: a=1}]"))))
        self.assertEqual((task.cwd, task.env), ("d/1", {"G": "${{ task.slot }}", "H": "${{ env.HOME }}!"}))
        self.assertEqual(hydraflow.resolved(task.env["H"]), os.environ.get("HOME", "") + "!")


class Texts(unittest.TestCase):
    def test_keys(self) -> None:
        for word, key in (("a=1", "a"), ("++a.b=1", "a.b"), ("~a", "a"), ("--lr=1", "--lr"), ("x", ""), ("-v", ""), ("=1", "")):
            with self.subTest(word=word):
                self.assertEqual(key_of(word), key)

    def test_unquoted(self) -> None:
        for word, text in ((r"a='it\'s'", "a=it's"), ("a='x'", "a=x"), (r"a='x\\'", "a=x\\"), ("a=['x']", "a=['x']"), ("a=x", "a=x")):
            with self.subTest(word=word):
                self.assertEqual(unquoted(word), text)

    def test_hydra_text(self) -> None:
        for text, quoted in (("train", "train"), ("my train", "'my train'"), ("it's", r"'it\'s'"), ("a\\", r"'a\\'"), ("", "''")):
            with self.subTest(text=text):
                self.assertEqual(hydra_text(text), quoted)

    def test_fill_leaves_what_is_hydras(self) -> None:
        self.assertEqual(fill("${a} ${{ x }} $y", {"x": "1"}), "${a} 1 $y")


if __name__ == "__main__":
    unittest.main()
