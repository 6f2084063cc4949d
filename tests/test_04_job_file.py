"""The job file: every key is known, every mistake is told, all of them at once."""
import unittest

from support import EmptyFolder

import hydraflow
from hydraflow import Error, Errors, read_jobs, read_yaml

MISTAKES = (  # a job file, then for each of its mistakes the place and the message
    ("jobs: {a: {rum: x}}", [(1, 12, "unknown key: rum")]),
    ("jobs:\n  a:\n    run: x\n    stepps: []\n", [(4, 5, "unknown key: stepps")]),
    ("jobs:\n  a:\n    run: x\n    call: b.c\n", [(4, 5, "run and call are two commands, and there can be only one")]),
    ("jobs:\n  a:\n    name: b\n", []),
    ("jobs:\n  a:\n    steps: [{batch: x=1, run: y}, {batch: x=2}]\n", [(2, 3, "a step of job a has no command")]),
    ("jobs:\n  a: {retries: 1}\n  b: {run: x, needs: a}\n", [(3, 22, "needs names a job without a command: a")]),
    ("jobs:\n  a:\n    run: x\n    steps: []\n", [(4, 12, "steps are empty")]),
    ("jobs:\n  a:\n    run: x\n    steps:\n      - x\n", [(5, 9, "a step is keys with values")]),
    ("jobs:\n  a:\n    run: [x]\n", [(3, 10, "a text is expected here, not a list")]),
    ("jobs:\n  a:\n    run:\n", [(3, 9, "a text is expected here, and there is none")]),
    ("jobs:\n  a:\n    run: x\n    max-parallel: 0\n", [(4, 19, "a whole number of at least 1, or auto, is expected here")]),
    ("jobs:\n  a:\n    run: x\n    max-parallel: two\n", [(4, 19, "a whole number of at least 1, or auto, is expected here")]),
    ("jobs:\n  a:\n    run: x\n    hydra: yes\n", [(4, 12, "true or false is expected here")]),
    ("jobs:\n  a:\n    run: x\n    timeout-minutes: 0\n", [(4, 22, "a number of minutes above zero is expected here")]),
    ("jobs:\n  a:\n    run: x\n    env: [A]\n", [(4, 10, "keys with values are expected here, not a list")]),
    ("jobs:\n  a:\n    run: x\n    env: {1A: x}\n", [(4, 11, "no environment variable can be called 1A")]),
    ("jobs:\n  a:\n    run: x\n    needs: b\n", [(4, 12, "needs names no job: b")]),
    ("jobs:\n  a:\n    run: x\n    steps: [{batch: a=1}]\n    sets: [{each: a=1}]\n", [(5, 5, "sets and steps are two spellings of one key")]),
    ("jobs:\n  a:\n    run: x\n    steps:\n      - args: a=1|2\n", [(5, 15, "pipes and linked keys make tasks, and these words are all of one task")]),
    ("jobs:\n  a:\n    run: x\n    steps:\n      - batch: a=1:2\n        exclude: b=1\n", [(6, 18, "exclude names b, which is no axis of batch")]),
    ("jobs:\n  a:\n    run: x\n    steps:\n      - exclude:\n        include: ['']\n",
     [(5, 17, "a text is expected here, and there is none"), (6, 19, "a text is expected here, and there is none")]),
    ("jobs:\n  a:\n    run: \"x\\0\"\n    timeout-minutes: 1e-400\n    env: {A: \"\\0\"}\n    steps: [{batch: \"a=\\0\"}]\n",
     [(3, 10, "no command line and no variable can hold the character U+0000"), (4, 22, "a number of minutes above zero is expected here"),
      (5, 14, "no command line and no variable can hold the character U+0000"),
      (6, 21, "no command line and no variable can hold the character U+0000")]),
    ("jobs:\n", [(1, 6, "jobs are names with keys below them")]),
    ("job:\n  a: {run: x}\n", [(1, 1, "unknown key: job")]),
    ("jobs: {}\n", [(1, 1, "there are no jobs")]),
    ("- a\n", [(1, 1, "a job file begins with jobs:")]),
    ("jobs: {a: x}\n", [(1, 11, "job a has no keys")]),
    ("jobs:\n  a:\n    max-parallel: 0\n    env: {A: '${{ x }} ${{ y }} ${{ job.name }}'}\n    steps:\n      - batch: a=1\n        exclude: b=1\n        env: 1\n",
     [(3, 19, "a whole number of at least 1, or auto, is expected here"), (4, 15, "${{ x }} has no value"),
      (4, 24, "${{ y }} has no value"), (7, 18, "exclude names b, which is no axis of batch"), (8, 14, "keys with values are expected here, not a text")]),
    ("jobs:\n  a:\n    max-parallel: 0\n", [(3, 19, "a whole number of at least 1, or auto, is expected here")]),
    ("jobs:\n  a:\n    submit: sbatch\n    with: x | y\n    retries: x\n",
     [(4, 13, "no shell executes this command, so | would be a mere word of it"), (5, 14, "a whole number of at least 0 is expected here")]),
    # nothing that may only follow from another mistake
    ("jobs:\n  a:\n    rum: x\n    steps:\n      - bacth: a=1\n        exclude: a=1\n      - batch: a=5:1\n        exclude: a=1\n",
     [(3, 5, "unknown key: rum"), (5, 9, "unknown key: bacth"), (7, 18, "range is empty: no step of 1 leads from 5 to 1")]),
    # a sweep inside a folded block: the place is in the block
    ("jobs:\n  train:\n    run: python train.py\n    steps:\n      - batch: >-\n          learning_rate=0.1 t=12:30:00\n",
     [(6, 31, "range step is zero")]),
    # all at once, in the order of the file
    ("jobs:\n  a:\n    rum: x\n    steps:\n      - batch: a=1:2:0\n        bacth: x\n  b:\n    run: x\n    retries: -1\n    needs: c\n",
     [(3, 5, "unknown key: rum"), (5, 18, "range step is zero"), (6, 9, "unknown key: bacth"),
      (9, 14, "a whole number of at least 0 is expected here"), (10, 12, "needs names no job: c")]),
    ("jobs:\n  a:\n    run: python 'x\n    with: b=[1\n    working-directory: ${{ job.nmae }}\n    env: {1A: x, B: [y], C: '${{ env.X'}\n"
     "    needs: [b, c, d]\n    steps:\n      - batch: a=1:2:0 b=x c=5:1\n        args: d=1|2 e=x,y f=3|4\n        include: [a=9:1, a=1, 'b=[']\n"
     "      - batch: a=1:3\n        exclude: [b=1 c=2, a=1]\n        include: a=1:9999999\n      - batch: a=1\n        exclude: [b=1 c=2, a=1]\n"
     "  b:\n    call: train\n    submit: X=1 sbatch\n  c: {call: p.f, run: x | y}\n",
     [(3, 17, "quote is never closed"), (4, 13, "bracket is never closed"), (5, 24, "${{ job.nmae }} has no value"),
      (6, 11, "no environment variable can be called 1A"), (6, 21, "a text is expected here, not a list"), (6, 30, "a template is never closed"),
      (7, 19, "needs names no job: d"), (9, 18, "range step is zero"), (9, 30, "range is empty: no step of 1 leads from 5 to 1"),
      (10, 15, "pipes and linked keys make tasks, and these words are all of one task"), (10, 27, "pipes and linked keys make tasks, and these words are all of one task"),
      (11, 21, "range is empty: no step of 1 leads from 9 to 1"), (11, 34, "bracket is never closed"),
      (13, 19, "exclude names b, which is no axis of batch"), (13, 23, "exclude names c, which is no axis of batch"),
      (14, 18, "more than 1000000 combinations are too many for exclude and include"),
      (16, 19, "exclude names b, which is no axis of batch"), (16, 23, "exclude names c, which is no axis of batch"),
      (18, 11, "train is no function's name"), (19, 13, "X=1 is no program"), (20, 18, "run and call are two commands, and there can be only one")]),
)


def errors_of(text: str) -> "list":
    """Return the mistakes of a job file as (line, column, message)."""
    try:
        read_jobs(read_yaml(text))
    except Errors as several:
        return [(error.line, error.column, error.message) for error in several.errors]
    except Error as error:
        return [(error.line, error.column, error.message)]
    return []


EVERY_KEY = """\
jobs:
  prepare: {run: make data}
  train:
    run: python train.py
    name: my train
    setup: |
      module load cuda  # a comment of the shell's
      export N=${{ task.index }}
    with: a=1
    hydra: false
    env: {PY: 3.10, ANSWER: no, EMPTY: }
    working-directory: src
    needs: [prepare]
    max-parallel: auto
    fail-fast: false
    retries: 2
    timeout-minutes: 90m
    pack: 4
    pack-parallel: 2
    python: python3
    submit: sbatch --mem 1
    steps:
      - name: first
        batch: a=1:3 $N=1,2
        args: b=1,2
        with: c=3
        env: {X: 1}
        run: other
        setup: ulimit -n 10
        submit: qsub
        exclude: a=2
        include: [a=7, "a=8"]
        sample: {count: 2, seed: 7}
        pack: 1
        pack-parallel: 1
      - call: package.function x
        sample: 3
"""
RIGHT = (  # job files without a mistake
    EVERY_KEY,
    "jobs: {base: &base {retries: 1}, a: {<<: *base, run: a.sh, needs: []}}\n",
    "jobs: {a: {sets: [{each: a=1:2, all: 'b=1,2', add: -v}], options: c=1, run: x}}\n",
    "x-common: {any: [thing]}\njobs: {a: {run: x}}\n",
    "jobs: {a: {run: python, steps: [{batch: 'src/train.py lr=0.1,0.01'}, {batch: }]}}\n",
    "jobs: {a: {run: '${{ job.name }}', steps: [{batch: a=1}]}, b: {run: conda run python x.py}}\n",
    "jobs: {a: {submit: ./handler.sh, steps: [{batch: a=1}]}}\n",
    "jobs: {a: {run: sh -c 'x \"$@\"' sh, with: b=1 ~c -v, steps: [{batch: a=1 --x --x, with: b=2}]}}\n",
    "jobs: {a: {run: \"sh -c 'x ${{ matrix.a }}'\", hydra: false, steps: [{batch: a=1}]}, b: {run: sh -c x}}\n",
    "jobs: {a: {run: x, hydra: false, steps: [{batch: name=caf\u00e9 f=a#b word c=1=2}]}}\n",
    "jobs:\n  a:\n    run: x\n    with: >-\n      a=1 # ${{ no }} 'it\n      ${{ env.MORE }} b=${{ job.name }}\n    steps:\n      - batch: >-\n"
    "          c=1,2 # c=7\n          # d=1\n          e=2\n",
)
WORDS = (  # what stands in a job whose command is x: the column of each mistake, its message, its hint
    ("steps: [{batch: 'lr=0.1,0.2', with: lr=9}]", 41, "lr is assigned twice", "lr=0.1,0.2 stands in line 4, column 22; keep one of them"),
    ("steps: [{batch: 'a=1,2', args: +a=7}]", 36, "a is assigned twice", "a=1,2 stands in line 4, column 22; keep one of them"),
    ("steps: [{batch: a=1, include: a=2, args: b=1, with: b=3}]", 57, "b is assigned twice", "b=1 stands in line 4, column 46; keep one of them"),
    ("steps: [{batch: m=s lr=1|m=l}]", 25, "m is assigned twice",
     "m=s stands in line 4, column 21; keep one of them, or link keys that go together: a,b=(1,x),(2,y)"),
    ("with: a=1 a=2", 15, "a is assigned twice", "a=1 stands in line 4, column 11; keep one of them"),
    ("steps: [{batch: x=$HOME/data}]", 23, "$HOME is not replaced here", "with: takes ${{ env.HOME }}; quote it to keep it as text"),
    ("steps: [{batch: '$A,b=(1,x),(2,$B) $C=1'}]", 36, "$B is not replaced here", "with: takes ${{ env.B }}; quote it to keep it as text"),
    ("steps: [{batch: '$C=1|$D'}]", 27, "$D is not replaced here", "with: takes ${{ env.D }}; quote it to keep it as text"),
    ("steps: [{batch: 'x=${{ env.A }}'}]", 24, "${{ env.A }} is not replaced here", "with: takes it, for example with: data=${{ env.A }}"),
    ("steps: [{args: '$A=1,2'}]", 21, "$A is an axis of the environment, and makes tasks", "it belongs into batch; a single value into env"),
    ("with: $A=1", 11, "$A=1 sets a variable of the environment", "env: {A: 1} takes it, and batch: an axis of several values"),
    ("with: x=1 y=$HOME/data", 17, "$HOME is not replaced here", "with: takes ${{ env.HOME }}; quote it to keep it as text"),
    ("with: [\"a='x\", b]", 11, "a text is expected here, not a list", "for example with: hydra/launcher=joblib"),
    ("with: {lr: 0.1, b: 2}", 11, "a text is expected here, not keys with values", "for example with: lr=0.1 b=2"),
    ("steps: [{batch: {lr: [0.1, 0.01]}}]", 21, "a text is expected here, not keys with values", "for example batch: lr=0.1,0.01"),
    ("steps: [{batch: [a=1, b=2]}]", 21, "a text is expected here, not a list", "for example batch: a=1 b=2"),
    ("with: '\"b=x y\"'", 12, "a whole word in quotes is neither a key nor its value", 'quote the value alone: b="x y"'),
    ("with: a=1 b=[it's, 1]", 20, "quote is never closed", "close it, or quote a value that holds '"),
    ("steps: [{args: optimizer}]", 20, "optimizer stands where key=value is expected", "words of the command belong into run"),
    ("steps: [{batch: a=1, with: 'n=${{ job.name }}#1'}]", 50, "Hydra refuses '#' outside quotes", "quote the value: n='${{ job.name }}#1'"),
    ("hydra: true\n    with: b=x;y", 14, "Hydra refuses ';' outside quotes", "quote the value: b='x;y'"),
    ("steps: [{batch: a=1, include: a=x;y}]", 38, "Hydra refuses ';' outside quotes", "quote the value: a='x;y'"),
    ("steps: [{batch: a=1, sample: {seed: 1}}]", 34, "a sample has no count", "for example sample: {count: 20, seed: 7}"),
    ("steps: [{batch: a=1, sample: 0}]", 34, "a whole number of at least 1 is expected here", "for example 4"),
    ("max-parallel: some", 19, "a whole number of at least 1, or auto, is expected here",
     "for example 4; auto is as many as there are processors"),
    ("timeout-minutes: 90k", 22, "a number of minutes above zero is expected here", "for example 90, 0.5, or with a unit: 30s, 90m, 2h"),
    ("setup: cd ${{ nowhere }}", 15, "${{ nowhere }} has no value", "there are env.NAME, matrix.KEY, job.name, task.index, task.dir, task.slot"),
)
SHELLS = (  # the value of run with a step, the hint
    ("cd src && python t.py", "write setup: cd src beside the command python t.py, or bash -c 'cd src && exec python t.py \"$@\"' bash; quote what is text"),
    ("python t.py >out.log", "write bash -c 'python t.py \"$@\" > out.log' bash; quote what is text"),
    ("python t.py 2>err", "write bash -c 'python t.py \"$@\" 2> err' bash; quote what is text"),
    ("python t.py x2>err", "write bash -c 'python t.py x2 \"$@\" > err' bash; quote what is text"),
    ("python t.py | tee log", "write bash -c 'python t.py \"$@\" | tee log' bash; quote what is text"),
    ("python t.py $(date)", "write bash -c 'exec python t.py $(date) \"$@\"' bash; quote what is text"),
    *((f"python t.py {sign}", "write $NAME for a variable of the environment; put text in single quotes")
      for sign in ("${oc.env:HOME}", "x=${now:%Y}", "$1", "$$", "$@", '"${a:b}"')),
    ("python t.py &", "leave it out: no task is executed in the background"),
    ("python ~/t.py", "write $HOME/"),
    ("python t.py {1..3}", "write the words out, or quote them to keep them as text"),
    ("sh -c 'cd src && python t.py'", "write sh -c 'cd src && python t.py \"$@\"' sh"),
    ("/bin/bash -e -c 'python t.py \"$@\"'", "write /bin/bash -e -c 'python t.py \"$@\"' bash"),
    ("bash -o pipefail -c 'python t.py'", "write bash -o pipefail -c 'python t.py \"$@\"' bash"),
    ("env A=1 sh -c 'python t.py' name", "write env A=1 sh -c 'python t.py \"$@\"' name"),
    ("module load cuda", "write setup: module load cuda beside the command"),
    ("source env.sh", "write setup: source env.sh beside the command"),
    ("conda activate x", "write setup: conda activate x beside the command"),
)


class Words(unittest.TestCase):
    def test_mistakes(self) -> None:
        for text, column, message, hint in WORDS:
            with self.subTest(text=text):
                with self.assertRaises(Error) as caught:
                    read_jobs(read_yaml(f"jobs:\n  a:\n    run: x\n    {text}\n"))
                error = caught.exception
                self.assertEqual((error.column, error.message, error.hint), (column, message, hint))
                self.assertEqual(len(getattr(error, "errors", [error])), 1, error)

    def test_a_command_is_no_shell_script(self) -> None:
        for command, hint in SHELLS:
            with self.subTest(command=command):
                with self.assertRaises(Error) as caught:
                    read_jobs(read_yaml(f"jobs:\n  a:\n    run: {command}\n    steps: [{{batch: a=1}}]\n"))
                self.assertEqual((caught.exception.line, caught.exception.hint), (3, hint))

    def test_what_the_hints_say_is_right(self) -> None:
        for command, hint in SHELLS:
            words = hint[len("write "):].partition("; quote")[0].rpartition(", or ")[2]
            if hint.startswith("write ") and " -c " in hint:
                with self.subTest(command=command):
                    read_jobs(read_yaml(f"jobs:\n  a:\n    run: {words}\n    steps: [{{batch: a=1}}]\n"))

    def test_files_without_a_mistake(self) -> None:
        for text in RIGHT:
            with self.subTest(text=text):
                read_jobs(read_yaml(text))

    def test_a_comment_is_no_word(self) -> None:
        job = read_jobs(read_yaml(RIGHT[-1]))["a"]
        self.assertEqual(hydraflow.split_words(job.with_), ["a=1", "${{ env.MORE }}", "b=${{ job.name }}"])
        self.assertEqual([axis.text for axis in job.steps[0].batch.axes], ["c=1,2", "e=2"])

    def test_words_at_the_front_that_look_like_a_path(self) -> None:
        for text, paths in (("train.py lr=1", ["train.py"]), ("src/t x.py a=1 y.py", ["src/t", "x.py"]), ("a=1 t.py", []), ("~a.b -x.y", [])):
            with self.subTest(text=text):
                self.assertEqual([axis.text for axis in hydraflow.path_words(hydraflow.Sweep(text))], paths)

    def test_too_many_includes_in_all(self) -> None:
        steps = "\n".join(f"      - include: a{number}=1:1000 b=1:1000" for number in range(20))
        with self.assertRaises(Error) as caught:
            read_jobs(read_yaml(f"jobs:\n  a:\n    run: x\n    steps:\n{steps}\n"))
        self.assertEqual((caught.exception.line, caught.exception.message),
                         (6, "more than 1000000 combinations in all are too many for exclude and include"))


class Mistakes(unittest.TestCase):
    def test_all_of_them_with_their_places(self) -> None:
        for text, expected in MISTAKES:
            with self.subTest(text=text):
                self.assertEqual(errors_of(text), expected)

    def test_each_says_what_to_type_instead(self) -> None:
        for text, _ in MISTAKES:
            with self.subTest(text=text):
                try:
                    read_jobs(read_yaml(text))
                except Error as error:
                    self.assertTrue(all(one.hint for one in getattr(error, "errors", [error])), error)

    def test_an_unknown_key_has_a_hint(self) -> None:
        for key, hint in (("stepps", "did you mean steps?"), ("each", "it belongs into a step: steps: [{batch: a=1:3}]")):
            with self.subTest(key=key), self.assertRaises(Error) as caught:
                read_jobs(read_yaml(f"jobs: {{a: {{run: x, {key}: a=1:3}}}}"))
            self.assertEqual(caught.exception.hint, hint)

    def test_needs_in_a_circle(self) -> None:
        text = "jobs:\n  a: {run: x, needs: b}\n  b: {run: x, needs: [c]}\n  c: {run: x, needs: a}\n"
        self.assertEqual(errors_of(text), [(4, 22, "needs go in a circle: a -> b -> c -> a")])
        self.assertEqual(errors_of("jobs: {a: {run: x, needs: a}}"), [(1, 27, "needs go in a circle: a -> a")])

    def test_many_needs_in_a_row(self) -> None:
        chain = "".join(f"  j{number}: {{run: x, needs: j{number + 1}}}\n" for number in range(3000))
        jobs = read_jobs(read_yaml(f"jobs:\n{chain}  j3000: {{run: x}}\n"))
        self.assertEqual(len(hydraflow.order_needs(jobs, ["j0"])), 3001)


class Reading(unittest.TestCase):
    def test_every_key(self) -> None:
        job = read_jobs(read_yaml(EVERY_KEY))["train"]
        self.assertEqual((job.name, job.hydra, job.max_parallel, job.fail_fast, job.retries, job.timeout_minutes),
                         ("my train", False, hydraflow.AUTO, False, 2, 90.0))
        self.assertEqual((job.pack, job.pack_parallel, job.setup.text.count("\n")), (4, 2, 2))
        self.assertEqual({name: source.text for name, source in job.env.items()}, {"PY": "3.10", "ANSWER": "no", "EMPTY": ""})
        self.assertEqual([name for name, _ in job.needs], ["prepare"])
        step = job.steps[0]
        self.assertEqual((step.name, step.batch.count, len(step.exclude), len(step.include)), ("first", 6, 1, 2))
        self.assertEqual((step.sample, step.pack, step.pack_parallel, step.setup.text), (hydraflow.Sample(2, 7), 1, 1, "ulimit -n 10"))
        self.assertEqual((job.steps[1].sample, job.steps[1].pack, job.steps[1].setup), (hydraflow.Sample(3, 0), 0, None))

    def test_old_spellings(self) -> None:
        new = read_jobs(read_yaml("jobs: {a: {run: x, with: w=1, steps: [{batch: b=1:2, args: c=3, with: v=2}]}}"))["a"]
        old = read_jobs(read_yaml("jobs: {a: {run: x, add: w=1, sets: [{each: b=1:2, all: c=3, add: v=2}]}}"))["a"]
        self.assertEqual([task.argv[:-1] for task in hydraflow.plan(new)], [task.argv[:-1] for task in hydraflow.plan(old)])

    def test_anchors_have_a_place(self) -> None:
        jobs = read_jobs(read_yaml("x-common: &common\n  run: python train.py\njobs:\n  a:\n    <<: *common\n"))
        self.assertEqual(jobs["a"].run.text, "python train.py")


class Files(EmptyFolder):
    def test_no_file_no_text_no_utf8_no_file_but_a_directory(self) -> None:
        self.mistake("neither hydraflow.yaml nor hydraflow.yml", "run", "train")
        self.write("hydraflow.yaml", "")
        self.mistake("hydraflow.yaml is empty", "run", "train")
        self.write("hydraflow.yaml", b"jobs:\n  a: {run: \xff}\n")
        self.mistake("hydraflow.yaml:2:12: error:", "run", "a")
        self.mistake("cannot read nothing.yaml: No such file", "-f", "nothing.yaml", "run", "a")
        self.mistake("cannot read .: Is a directory", "-f", ".", "run", "a")
        self.write("hydraflow.yaml", "jobs: {train: {run: x}}")
        self.mistake("did you mean train?", "run", "tarin")
        self.assertEqual(self.names(), ["hydraflow.py", "hydraflow.yaml"])

    def mistake(self, part: str, *argv: str) -> None:
        """Assert that a command fails with status 2, one message and no traceback."""
        result = self.hydraflow(*argv)
        self.assertEqual((result.status, result.out), (2, ""), result.err)
        self.assertIn(part, result.err)
        self.assertNotIn("Traceback", result.err)


if __name__ == "__main__":
    unittest.main()
