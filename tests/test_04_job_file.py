"""The job file: every key is known, every mistake is found, all of them at once."""
import os
import unittest

from support import EmptyFolder

from hydraflow import Error, load, plan

MISTAKES = (  # a job file, then for each of its mistakes the place and the code
    ('jobs: {a: {rum: x}}', [(1, 12, 'unknown-key')]), ('jobs:\n  a:\n    run: x\n    stepps: []\n', [(4, 5, 'unknown-key')]),
    ('jobs:\n  a:\n    run: x\n    call: b.c\n', [(4, 5, 'duplicate-key')]), ('jobs:\n  a:\n    name: b\n', []),
    ('jobs:\n  a:\n    steps: [{batch: x=1, run: y}, {batch: x=2}]\n', []),
    ('jobs:\n  a:\n    run: x\n    steps:\n      - x\n', [(5, 9, 'wrong-kind')]),
    ('jobs:\n  a:\n    run: [x]\n', [(3, 10, 'wrong-kind')]), ('jobs:\n  a:\n    run:\n', [(3, 9, 'missing-text')]),
    ('jobs:\n  a:\n    run: x\n    max-parallel: 0\n', [(4, 19, 'wrong-value')]),
    ('jobs:\n  a:\n    run: x\n    max-parallel: two\n', [(4, 19, 'wrong-value')]),
    ('jobs:\n  a:\n    run: x\n    hydra: yes\n', [(4, 12, 'wrong-value')]),
    ('jobs:\n  a:\n    run: x\n    timeout-minutes: 0\n', [(4, 22, 'wrong-value')]),
    ('jobs:\n  a:\n    run: x\n    env: [A]\n', [(4, 10, 'wrong-kind')]), ('jobs:\n  a:\n    run: x\n    env: {1A: x}\n', [(4, 11, 'invalid-variable-name')]),
    ('jobs:\n  a:\n    run: x\n    needs: b\n', [(4, 12, 'unknown-job')]),
    ('jobs:\n  a:\n    run: x\n    steps: [{batch: a=1}]\n    sets: [{each: a=1}]\n', [(5, 5, 'duplicate-key')]),
    ('jobs:\n  a:\n    run: x\n    steps:\n      - args: a=1|2\n', [(5, 15, 'tasks-in-words')]),
    ('jobs:\n  a:\n    run: x\n    steps:\n      - batch: a=1:2\n        exclude: b=1\n', [(6, 18, 'exclude-unknown-axis')]),
    ("jobs:\n  a:\n    run: x\n    steps:\n      - exclude:\n        include: ['']\n", []),
    ('jobs:\n  a:\n    run: x\n    timeout-minutes: 1e-400\n', [(4, 22, 'wrong-value')]),
    ('jobs:\n', [(1, 6, 'wrong-kind')]), ('job:\n  a: {run: x}\n', [(1, 1, 'unknown-key')]),
    ('- a\n', [(1, 1, 'wrong-kind')]), ('jobs: {a: x}\n', [(1, 11, 'wrong-kind')]),
    ("jobs:\n  a:\n    max-parallel: 0\n    env: {A: '${{ x }} ${{ y }} ${{ job.name }}'}\n    steps:\n      - batch: a=1\n        exclude: b=1\n        env: 1\n",
     [(3, 19, 'wrong-value'), (4, 15, 'unknown-template'), (8, 14, 'wrong-kind')]),
    ('jobs:\n  a:\n    max-parallel: 0\n', [(3, 19, 'wrong-value')]),
    ('jobs:\n  a:\n    submit: sbatch\n    with: x | y\n    retries: x\n', [(4, 13, 'pipe-space'), (5, 14, 'wrong-value')]),
    ('jobs:\n  a:\n    rum: x\n    steps:\n      - bacth: a=1\n        exclude: a=1\n      - batch: a=5:1\n        exclude: a=1\n',
     [(3, 5, 'unknown-key'), (5, 9, 'unknown-key'), (7, 18, 'range-empty')]),
    ('jobs:\n  train:\n    run: python train.py\n    steps:\n      - batch: >-\n          learning_rate=0.1 t=12:30:00\n', [(6, 31, 'range-step-zero')]),
    ('jobs:\n  a:\n    rum: x\n    steps:\n      - batch: a=1:2:0\n        bacth: x\n  b:\n    run: x\n    retries: -1\n    needs: c\n',
     [(3, 5, 'unknown-key'), (5, 18, 'range-step-zero'), (6, 9, 'unknown-key'), (9, 14, 'wrong-value'), (10, 12, 'unknown-job')]),
    ("jobs:\n  a:\n    run: python 'x\n    with: b=[1\n    working-directory: ${{ job.nmae }}\n    env: {1A: x, B: [y], C: '${{ env.X'}\n    needs: [b, c, d]\n    steps:\n      - batch: a=1:2:0 b=x c=5:1\n        args: d=1|2 e=x,y f=3|4\n        include: [a=9:1, a=1, 'b=[']\n      - batch: a=1\n        exclude: [b=1 c=2, a=1]\n  b:\n    call: train\n    submit: X=1 sbatch\n  c: {call: p.f, run: x | y}\n",
     [(3, 17, 'no-shell'), (4, 13, 'unmatched-bracket'), (5, 24, 'unknown-template'), (6, 11, 'invalid-variable-name'), (6, 21, 'wrong-kind'), (6, 30, 'unknown-template'), (7, 19, 'unknown-job'), (9, 18, 'range-step-zero'), (9, 30, 'range-empty'), (10, 15, 'tasks-in-words'), (10, 27, 'tasks-in-words'), (11, 21, 'range-empty'), (11, 34, 'unmatched-bracket'), (13, 19, 'exclude-unknown-axis'), (13, 23, 'exclude-unknown-axis'), (15, 11, 'not-a-function'), (17, 18, 'duplicate-key')]),
    ('jobs: {a: {run: x, steps: [{batch: a=1,2}]}}\n', [(1, 40, 'unknown-key')]),
    ('jobs:\n  a:\n    run: x\n    steps: [{batch: a=1, exclude: [{a: 1}]}]\n', [(4, 36, 'wrong-kind')]),
    ('jobs:\n  a:\n    run: x\n    sample: 3\n', [(4, 5, 'unknown-key')]),
    ('jobs:\n  a:\n    run: x\n    steps:\n      - batch: a=1\n        needs: b\n', [(6, 9, 'unknown-key')]),
    ('jobs:\n  a:\n    submit: sbatch --mem ${{ matrix.m }}\n    run: x\n    steps: [{batch: m=1}]\n', [(3, 26, 'matrix-in-submit')]),
    ('jobs:\n  a: {run: x, needs: a}\n', [(2, 3, 'circular-needs')]),
    ('jobs:\n  a: {run: x, needs: b}\n  b: {run: x, needs: [c]}\n  c: {run: x, needs: a}\n',
     [(2, 3, 'circular-needs'), (3, 3, 'circular-needs'), (4, 3, 'circular-needs')]),
)
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
    "jobs: {a: {run: x, with: 'f=a;b caf\u00e9'}, b: {sets: [{each: a=1}], run: x, hydra: false, add: f=a;b}}\n",
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
WORDS = (  # what stands in a job whose command is x: the column of the mistake, its code
    ("steps: [{batch: 'lr=0.1,0.2', with: lr=9}]", 41, "assigned-twice"), ("steps: [{batch: 'a=1,2', args: +a=7}]", 36, "assigned-twice"),
    ('steps: [{batch: a=1, include: a=2, args: b=1, with: b=3}]', 57, "assigned-twice"), ('steps: [{batch: m=s lr=1|m=l}]', 25, "assigned-twice"),
    ('steps: [{batch: x=$HOME/data}]', 23, "not-replaced"), ("steps: [{batch: '$A,b=(1,x),(2,$B) $C=1'}]", 36, "not-replaced"),
    ("steps: [{batch: '$C=1|$D'}]", 27, "not-replaced"), ("steps: [{batch: 'x=${{ env.A }}'}]", 24, "not-replaced"),
    ("steps: [{args: '$A=1,2'}]", 21, "tasks-in-words"), ('with: $A=1', 11, "tasks-in-words"),
    ('with: x=1 y=$HOME/data', 17, "not-replaced"), ('with: ["a=\'x", b]', 11, "wrong-kind"), ('with: {lr: 0.1, b: 2}', 11, "wrong-kind"),
    ('steps: [{batch: {lr: [0.1, 0.01]}}]', 21, "wrong-kind"), ('steps: [{batch: [a=1, b=2]}]', 21, "wrong-kind"),
    ('with: \'"b=x y"\'', 12, "quoted-word"), ("with: a=1 b=[it's, 1]", 20, "unmatched-bracket"), ('steps: [{args: optimizer}]', 20, "expected-key-value"),
    ("steps: [{batch: a=1, with: 'n=${{ job.name }}#1'}]", 50, "hydra-needs-quotes"), ('hydra: true\n    with: b=x;y', 13, "hydra-needs-quotes"),
    ('steps: [{batch: a=1, include: a=x;y}]', 37, "hydra-needs-quotes"), ('steps: [{batch: a=1, sample: {seed: 1}}]', 34, "wrong-value"),
    ('steps: [{batch: a=1, sample: 0}]', 34, "wrong-value"), ('max-parallel: some', 19, "wrong-value"),
    ('timeout-minutes: 90k', 22, "wrong-value"), ('setup: cd ${{ nowhere }}', 15, "unknown-template"),
    ("steps: [{batch: 'a=1 +a=2'}]", 26, "assigned-twice"), ('steps: [{batch: a=1 a/k=2}]', 25, "assigned-twice"),
    ('hydra: false\n    steps: [{batch: --a=1 a=2,3}]', 31, "unknown-key"), ("hydra: false\n    steps: [{batch: 'x=choice(1,2)'}]", 24, "only-hydra"),
    ("steps: [{batch: 'a=1 | b=2'}]", 26, "pipe-space"), ("steps: [{batch: 'd=100k,1m'}]", 24, "unit-doubt"), ('steps: [{batch: {a=1}}]', 21, "wrong-kind"),
)
SHELLS = (  # the value of run with a step, the code
    ('cd src && python t.py', "no-shell"), ('python t.py >out.log', "no-shell"), ('python t.py 2>err', "no-shell"),
    ('python t.py x2>err', "no-shell"), ('python t.py | tee log', "no-shell"), ('python t.py $(date)', "no-shell"),
    ('python t.py ${oc.env:HOME}', "no-shell"), ('python t.py x=${now:%Y}', "no-shell"), ('python t.py $1', "no-shell"),
    ('python t.py $$', "no-shell"), ('python t.py $@', "no-shell"), ('python t.py "${a:b}"', "no-shell"), ('python t.py &', "no-shell"),
    ('python ~/t.py', "no-shell"), ('python t.py {1..3}', "no-shell"), ("sh -c 'cd src && python t.py'", "script-drops-words"),
    ('/bin/bash -e -c \'python t.py "$@"\'', "script-drops-words"), ("bash -o pipefail -c 'python t.py'", "script-drops-words"),
    ("env A=1 sh -c 'python t.py' name", "script-drops-words"),
    ("bash -c 'train.py'", "script-drops-words"), ('a && b', "no-shell"), ('python t.py `date`', "no-shell"),
    ('sh -c \'x "$@"\'', "script-drops-words"),
)


class Reading(EmptyFolder):
    def load(self, text: str) -> "dict":
        """The jobs of a file."""
        self.write("hydraflow.yaml", text)
        return load(os.path.join(self.folder, "hydraflow.yaml"))

    def errors(self, text: str) -> "list":
        """The mistakes of a job file."""
        try:
            self.load(text)
        except Error as error:
            return list(getattr(error, "errors", [error]))
        return []

    def test_all_mistakes_with_their_places(self) -> None:
        for text, expected in MISTAKES:
            with self.subTest(text=text):
                errors = self.errors(text)
                self.assertEqual([(error.line, error.column, error.code) for error in errors], expected)
                self.assertTrue(all(error.hint for error in errors), errors)

    def test_words(self) -> None:
        for text, column, code in WORDS:
            with self.subTest(text=text):
                errors = self.errors(f"jobs:\n  a:\n    run: x\n    {text}\n")
                self.assertEqual([(error.column, error.code) for error in errors], [(column, code)])

    def test_a_command_is_no_shell_script(self) -> None:
        for command, code in SHELLS:
            with self.subTest(command=command):
                with self.assertRaises(Error) as caught:
                    plan(self.load(f"jobs:\n  a:\n    run: {command}\n    steps: [{{batch: a=1}}]\n")["a"])
                self.assertEqual((caught.exception.line, caught.exception.code), (3, code))

    def test_hints(self) -> None:
        for text, part in (
                ("stepps: []", "did you mean steps?"), ("each: a=1:3", "the keys of a job are run"),
                ("steps: [{batch: a=1,2}]", "{batch: 'a=1,2'}"), ("sample: 2", "the keys of a job are"), ("steps: [{needs: b}]", "the keys of a step are"),
                ("run: cd x && y", '"$@"'), ("steps: [{batch: {a: 1}}]", "batch: a=1,2")):
            with self.subTest(text=text):
                run = "" if text.startswith("run") else "    run: x\n"
                self.assertIn(part, self.errors(f"jobs:\n  a:\n{run}    {text}\n")[0].hint)

    def test_files_without_a_mistake(self) -> None:
        for text in RIGHT:
            with self.subTest(text=text):
                self.assertEqual(self.errors(text), [])

    def test_every_key(self) -> None:
        job = self.load(EVERY_KEY)["train"]
        self.assertEqual((job.name, job.hydra, job.max_parallel, job.fail_fast, job.retries, job.timeout_minutes),
                         ("my train", False, -1, False, 2, 90.0))
        first, second = job.steps
        self.assertEqual((second.pack, second.pack_parallel, second.setup.text.count("\n")), (4, 2, 2))
        env = {name: source and source.text for name, source in second.env.items()}
        self.assertEqual(env, {"PY": "3.10", "ANSWER": "no", "EMPTY": None})
        self.assertEqual([name for name, _ in job.needs], ["prepare"])
        self.assertEqual((first.name, first.batch.count, len(first.exclude), len(first.include)), ("first", 6, 1, 2))
        self.assertEqual((first.sample, first.pack, first.pack_parallel, first.setup.text), ((2, 7), 1, 1, "ulimit -n 10"))
        self.assertEqual(second.sample, (3, 0))

    def test_comments_and_templates_of_words(self) -> None:
        job = self.load(RIGHT[-1])["a"]
        self.assertEqual([axis.text for axis in job.steps[0].with_], ["a=1", "${{ env.MORE }}", "b=${{ job.name }}"])
        self.assertEqual([axis.text for axis in job.steps[0].batch.axes], ["c=1,2", "e=2"])

    def test_old_spellings(self) -> None:
        new = self.load("jobs: {a: {run: x, with: w=1, steps: [{batch: b=1:2, args: c=3, with: v=2}]}}")["a"]
        old = self.load("jobs: {a: {run: x, add: w=1, sets: [{each: b=1:2, all: c=3, add: v=2}]}}")["a"]
        self.assertEqual([task.argv[:-1] for task in plan(new)], [task.argv[:-1] for task in plan(old)])
        moved = self.load("jobs: {a: {submit: sbatch, with: python x.py, steps: [{batch: b=1:2}]}}")["a"]
        self.assertEqual((moved.steps[0].run.text, moved.steps[0].with_), ("python x.py", []))

    def test_anchors_have_a_place(self) -> None:
        jobs = self.load("x-common: &common\n  run: python train.py\njobs:\n  a:\n    <<: *common\n")
        self.assertEqual(jobs["a"].steps[0].run.text, "python train.py")


class Files(EmptyFolder):
    def test_no_file_no_text_no_utf8_no_file_but_a_directory(self) -> None:
        self.mistake("there is no hydraflow.yaml or hydraflow.yml", "run", "train")
        self.write("hydraflow.yaml", "")
        self.mistake("hydraflow.yaml:1:1: error: expected keys", "run", "train")
        self.write("hydraflow.yaml", b"jobs:\n  a: {run: \xff}\n")
        self.mistake("hydraflow.yaml:2:12: error:", "run", "a")
        self.mistake("cannot read nothing.yaml: No such file", "-f", "nothing.yaml", "run", "a")
        self.mistake("cannot read .: Is a directory", "-f", ".", "run", "a")
        self.write("hydraflow.yaml", "jobs: {train: {run: x}}")
        self.mistake("did you mean train?", "run", "tarin")
        self.assertEqual(self.names(), ["hydraflow.py", "hydraflow.yaml"])

    def test_a_wrong_job_blocks_no_other_one(self) -> None:
        self.write("hydraflow.yaml", "jobs:\n  a: {run: echo a}\n  b: {rum: x}\n  c: {run: x, needs: b}\n  d: {run: x | y}\n")
        result = self.hydraflow("run", "a", "--dry-run")
        self.assertEqual((result.status, result.out), (0, "echo a\n"), result.err)
        self.assertIn("2 other jobs of the file have mistakes: hydraflow show", result.err)
        self.mistake("hydraflow.yaml:3:7: error:", "run", "c")
        self.mistake("hydraflow.yaml:5:14: error:", "show")

    def mistake(self, part: str, *argv: str) -> None:
        """Assert that a command fails with status 2, its messages and no traceback."""
        result = self.hydraflow(*argv)
        self.assertEqual((result.status, result.out), (2, ""), result.err)
        self.assertIn(part, result.err)
        self.assertNotIn("Traceback", result.err)


if __name__ == "__main__":
    unittest.main()
