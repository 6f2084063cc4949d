"""The job file: every key is known, every mistake is told, all of them at once."""
import unittest

from support import EmptyFolder

import hydraflow
from hydraflow import Error, Errors, read_jobs, read_yaml

MISTAKES = (  # a job file, then for each of its mistakes the place and the message
    ("jobs: {a: {rum: x}}", [(1, 8, "rum"), (1, 5, "job a has no command")][:1]),
    ("jobs:\n  a:\n    run: x\n    stepps: []\n", [(4, 5, "unknown key: stepps")]),
    ("jobs:\n  a:\n    run: x\n    call: b.c\n", [(4, 5, "run and call are two commands, and there can be only one")]),
    ("jobs:\n  a:\n    name: b\n", [(2, 3, "job a has no command")]),
    ("jobs:\n  a:\n    run: x\n    steps: []\n", [(4, 12, "steps are empty")]),
    ("jobs:\n  a:\n    run: x\n    steps:\n      - x\n", [(5, 9, "a step is keys with values")]),
    ("jobs:\n  a:\n    run: [x]\n", [(3, 10, "a text is expected here, not a list")]),
    ("jobs:\n  a:\n    run:\n", [(3, 9, "a text is expected here, and there is none")]),
    ("jobs:\n  a:\n    run: x\n    max-parallel: 0\n", [(4, 19, "a whole number of at least 1 is expected here")]),
    ("jobs:\n  a:\n    run: x\n    max-parallel: two\n", [(4, 19, "a whole number of at least 1 is expected here")]),
    ("jobs:\n  a:\n    run: x\n    hydra: yes\n", [(4, 12, "true or false is expected here")]),
    ("jobs:\n  a:\n    run: x\n    timeout-minutes: 0\n", [(4, 22, "a number of minutes above zero is expected here")]),
    ("jobs:\n  a:\n    run: x\n    env: [A]\n", [(4, 10, "keys with values is expected here, not a list")]),
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
     [(3, 19, "a whole number of at least 1 is expected here"), (4, 15, "${{ x }} has no value"),
      (4, 24, "${{ y }} has no value"), (7, 18, "exclude names b, which is no axis of batch"), (8, 14, "keys with values is expected here, not a text")]),
    ("jobs:\n  a:\n    max-parallel: 0\n", [(2, 3, "job a has no command"), (3, 19, "a whole number of at least 1 is expected here")]),
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


class Mistakes(unittest.TestCase):
    def test_all_of_them_with_their_places(self) -> None:
        for text, expected in MISTAKES[1:]:
            with self.subTest(text=text):
                self.assertEqual(errors_of(text), expected)

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
        job = read_jobs(read_yaml("""\
jobs:
  prepare: {run: make data}
  train:
    run: python train.py
    name: my train
    with: a=1
    hydra: false
    env: {PY: 3.10, ANSWER: no, EMPTY: }
    working-directory: src
    needs: [prepare]
    max-parallel: 4
    fail-fast: false
    retries: 2
    timeout-minutes: 0.5
    steps:
      - name: first
        batch: a=1:3
        args: b=1,2
        with: c=3
        env: {X: 1}
        run: other
        exclude: a=2
        include: [a=7, "a=8"]
"""))["train"]
        self.assertEqual((job.name, job.hydra, job.max_parallel, job.fail_fast, job.retries, job.timeout_minutes),
                         ("my train", False, 4, False, 2, 0.5))
        self.assertEqual({name: source.text for name, source in job.env.items()}, {"PY": "3.10", "ANSWER": "no", "EMPTY": ""})
        self.assertEqual([name for name, _ in job.needs], ["prepare"])
        step = job.steps[0]
        self.assertEqual((step.name, step.batch.count, len(step.exclude), len(step.include)), ("first", 3, 1, 2))

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
