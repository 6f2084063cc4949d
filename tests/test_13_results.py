"""Results: metrics from the ends of logs, Hydra's runs, selection, tables, and the page without a browser."""
import csv
import html.parser
import io
import json
import os
import random
import re
import sys
import unittest
from unittest import mock

from support import ROOT, EmptyFolder

import hydraflow

NAN = float("nan")
INF = float("inf")


def row(task, params="", state="succeeded", seconds=1.0, metrics=None, **fields):
    """Return a row whose parameters are given as words."""
    values = {"run": None, "status": 0, "cause": "", "attempts": 1, "host": "", "log": "", "tail": ()}
    values.update(fields)
    pairs = dict(word.split("=", 1) for word in params.split())
    ended = None if seconds is None else 100.0 + seconds
    return hydraflow.Row(task=task, params=pairs, state=state, started=100.0, ended=ended, metrics=metrics or {}, **values)


def tasks(rows):
    """Return which tasks the rows are of."""
    return [one.task for one in rows]


LOGS = (  # what a program printed, the metric asked for, its value
    ("loss=0.1\n", "loss", 0.1), ("loss: 0.1", "loss", 0.1), ('{"loss": 0.1}', "loss", 0.1), ("loss 0.1\n", "loss", 0.1),
    ("{'loss': 0.1, 'acc': 2}", "acc", 2.0), ("loss = 0.1", "loss", 0.1), ("loss\t0.1", "loss", 0.1),
    ("loss=1\nloss=2\n", "loss", 2.0), ("loss=1 loss=2 acc=3\n", "loss", 2.0), ("loss=1\nloss=None\n", "loss", 1.0),
    ("loss=nan", "loss", NAN), ("loss=NaN,", "loss", NAN), ("loss: inf", "loss", INF), ("loss: -inf\n", "loss", -INF),
    ("loss: -Infinity\n", "loss", -INF), ("loss=1e-3", "loss", 0.001), ("loss=+1.5E+2", "loss", 150.0), ("loss=.5", "loss", 0.5),
    ("loss=5.", "loss", 5.0), ("loss is done: loss=0.25.\n", "loss", 0.25), ("loss=1_000", "loss", 1000.0),
    ("loss=0", "loss", 0.0), ("loss=-0.5]", "loss", -0.5), ("acc: 93.5%", "acc", 93.5), ("epoch: 3/10", "epoch", 3.0),
    ("val_loss=1", "loss", None), ("val/loss=1", "loss", None), ("val.loss=1", "loss", None), ("--loss 1", "loss", None),
    ("\u00e9loss=1", "loss", None), ("loss_sum=1", "loss", None), ("losses 1", "loss", None), ("loss2=1", "loss", None),
    ("loss1", "loss", None), ("loss=0.1s", "loss", None), ("loss=1.2.3", "loss", None), ("loss=0x1F", "loss", None),
    ("loss=nano", "loss", None), ("loss=infinite", "loss", None), ("loss=\n0.1", "loss", None), ("loss=1__0", "loss", None),
    ("loss=\u00b5", "loss", None), ("", "loss", None), ("loss", "loss", None), ("loss=", "loss", None), ("0.1", "", None),
    ("val/loss=0.5", "val/loss", 0.5), ("a.b=1", "a.b", 1.0), ("axb=1", "a.b", None), ("top 1=0.7", "top 1", 0.7),
    ("a#b=1", "a#b", 1.0), ("\u03bb=2", "\u03bb", 2.0), ("aa=1 a=2 aa=3", "a", 2.0), ("aaa=1", "aa", None),
    ("\x1b[32mloss\x1b[0m: \x1b[1m0.5\x1b[0m", "loss", 0.5), ("val_\x1b[32mloss=1", "loss", None),
    ("\x1b]8;;http://x\x07loss=1\x1b]8;;\x07", "loss", 1.0),
    (" 10%|# | loss=3\r 20%|##| loss=2\r", "loss", 2.0), ("x\rloss=2", "loss", 2.0), ("val_\rloss=2", "loss", 2.0),
    ("loss=2\r\n", "loss", 2.0), ("{'loss': np.float64(0.5)}", "loss", 0.5), ("loss: tensor(0.5, device='cuda:0')", "loss", 0.5),
    ("loss=f(1)", "loss", None), ("{'loss': '0.5'}", "loss", 0.5),
)


class Metrics(EmptyFolder):
    def path(self, name):
        return os.path.join(self.folder, name)

    def assert_number(self, found, wanted):
        self.assertEqual(repr(found), repr(wanted))  # nan is no number that equals itself

    def test_the_last_number_behind_a_name(self):
        for text, name, wanted in LOGS:
            with self.subTest(text=text, name=name):
                self.write("log", text)
                found = hydraflow.last_number(self.path("log"), [name])
                self.assertEqual(list(found), [name])
                self.assert_number(found[name], wanted)

    def test_any_bytes_and_no_file(self):
        self.write("log", b"\xff\xfe\x00 loss=1 \x80\n")
        self.assertEqual(hydraflow.last_number(self.path("log"), ["loss", "acc"]), {"loss": 1.0, "acc": None})
        for missing in ("nowhere", "."):
            self.assertEqual(hydraflow.last_number(self.path(missing), ["loss"]), {"loss": None})

    def test_between_two_offsets(self):
        self.write("log", "loss=1\nloss=2\nloss=3\n")
        for start, end, wanted in ((0, 7, 1.0), (0, 14, 2.0), (7, None, 3.0), (7, 14, 2.0), (7, 7, None), (7, 99, 3.0),
                                   (50, None, None)):
            with self.subTest(start=start, end=end):
                self.assertEqual(hydraflow.last_number(self.path("log"), ["loss"], start, end), {"loss": wanted})

    def test_no_block_begins_within_a_word(self):
        """Nor within a line that is short enough; of a word that is longer than a block, parts."""
        for text, wanted in ((b"aa bb cc dd ee", [b"dd ee", b"bb cc ", b"aa "]), (b"aa\nbbb cc\ndd\n", [b"dd\n", b"bbb cc\n", b"aa\n"]),
                             (b"aaaaaaaaaaaaaa bb", [b"bb", b"aaaaaaa ", b"aaaaaaa"])):
            self.write("log", text.decode())
            with self.subTest(text=text), mock.patch.multiple(hydraflow, FIRST_BLOCK=8, LARGEST_BLOCK=8), open(self.path("log"), "rb") as file:
                self.assertEqual(list(hydraflow.blocks_from_end(file, 0, len(text))), wanted)

    def test_blocks_do_not_matter(self):
        words = ("loss=%d", "val_loss=%d", "\x1b[1mloss\x1b[0m %d", "loss = %d", "loss", "a", "loss=x%d", "acc: %d", "\u00e9", "=")
        sizes = hydraflow.FIRST_BLOCK, hydraflow.LARGEST_BLOCK
        self.addCleanup(lambda: setattr(hydraflow, "FIRST_BLOCK", sizes[0]))
        self.addCleanup(lambda: setattr(hydraflow, "LARGEST_BLOCK", sizes[1]))
        dice = random.Random(5)
        for turn in range(1500):
            lines, ending = [], dice.choice(("\n", "\n\n", "\r", "\r\n"))
            for number in range(dice.randrange(9)):
                line = " ".join(word.replace("%d", str(number)) for word in dice.choices(words, k=dice.randrange(4)))
                lines.append(line + ending)
            text = "".join(lines)
            self.write("log", text)
            hydraflow.FIRST_BLOCK, hydraflow.LARGEST_BLOCK = sizes
            whole = hydraflow.last_number(self.path("log"), ["loss", "acc"])
            hydraflow.FIRST_BLOCK, hydraflow.LARGEST_BLOCK = dice.randrange(1, 20), 64
            with self.subTest(turn=turn, text=text, block=hydraflow.FIRST_BLOCK):
                self.assertEqual(hydraflow.last_number(self.path("log"), ["loss", "acc"]), whole)

    def test_a_line_longer_than_any_block(self):
        size = hydraflow.LARGEST_BLOCK
        for name, data in (("no word in it", b"loss=1\n" + b"x" * (2 * size) + b"\n"),
                           ("a longer name is cut", b"loss=1 val_loss=2" + b" x" * (size // 2 - 3)),
                           ("the name is cut", b"loss=0 loss=1" + b" x" * (size // 2 - 3))):
            with self.subTest(name):
                self.write("log", data)
                self.assertEqual(hydraflow.last_number(self.path("log"), ["loss"]), {"loss": 1.0})

    def test_only_the_end_of_a_long_log_is_read(self):
        with open(self.path("log"), "wb") as file:
            file.seek(1 << 36)  # a hole that would take a minute to read
            file.write(b"\nloss=0.5\n")
        self.assertEqual(hydraflow.last_number(self.path("log"), ["loss"]), {"loss": 0.5})

    def test_numbers_of_json_files(self):
        os.mkdir(self.path("out"))
        self.write("out/m.json", '\ufeff{"a": {"b": 1, "c.d": 2.5, "l": [1, {"x": -3}]}, "a.b": 9, "n": NaN, "t": "x", "z": 0,'
                                 '"yes": true, "no": null, "big": 1%s, "s": "0.5", "1": 7}' % ("0" * 400))
        self.write("broken.json", '{"a": 1')
        self.write("list.json", "[1, 2]")
        for metric, wanted in (("out/m.json:a.b", 9.0), ("out/m.json:a.c.d", 2.5), ("out/m.json:a.l.0", 1.0), ("out/m.json:z", 0.0),
                               ("out/m.json:a.l.1.x", -3.0), ("out/m.json:a.l.-1.x", -3.0), ("out/m.json:a.l.2", None), ("out/m.json:a.l.3", None), ("out/m.json:a.l.-2", 1.0), ("out/m.json:a.l.-3", None),
                               ("out/m.json:a.l.x", None), ("out/m.json:n", NAN), ("out/m.json:t", None), ("out/m.json:yes", None),
                               ("out/m.json:no", None), ("out/m.json:a", None), ("out/m.json:big", None), ("out/m.json:s", 0.5),
                               ("out/m.json:1", 7.0), ("out/m.json:nothing.x", None), ("out/m.json:z.x", None),
                               ("broken.json:a", None), ("none.json:a", None), ("list.json:1", 2.0), ("list.json:a", None)):
            with self.subTest(metric=metric):
                self.assert_number(hydraflow.json_number(self.folder, metric), wanted)

    def test_from_files_and_outputs_in_turn(self):
        self.write("m.json", '{"a": 4}')
        self.write("own.log", "loss=1\n")
        self.write("task.log", "loss=2\nacc=3\n")
        outputs = [hydraflow.Output(self.path(name), 0, None) for name in ("own.log", "task.log")]
        found = hydraflow.read_metrics(["acc", "m.json:a", "loss", "none"], self.folder, outputs)
        self.assertEqual(list(found.items()), [("acc", 3.0), ("m.json:a", 4.0), ("loss", 1.0), ("none", None)])


class HydraRuns(EmptyFolder):
    def test_numbered_folders_in_order(self):
        sweep = os.path.join(self.folder, "sweep")
        for number, overrides, log in (("10", "- lr=0.1\n- +a='x,y'\n", "loss=1\n"), ("2", "[]\n", ""), ("0", "- lr: 0.1\n- [a\n", None), ("4", "lr: 0.1\n", None), ("5", "lr=0.1\n", None),
                                       ("1", None, None), ("03", "- lr=3", "x"), ("x", "- lr=3", "x"), ("11", "- lr=0.2\n- [a]\n- {b: 1}\n- x\n- =1\n", "")):
            os.makedirs(os.path.join(sweep, number, ".hydra"))
            if overrides is not None:
                self.write(f"sweep/{number}/.hydra/overrides.yaml", overrides)
            if log is not None:
                self.write(f"sweep/{number}/train.log", log)
        self.write("sweep/7", "a file")
        found = hydraflow.hydra_runs(sweep)
        self.assertEqual([(run.number, run.params) for run in found],
                         [(0, {}), (1, {}), (2, {}), (4, {}), (5, {}), (10, {"lr": "0.1", "a": "'x,y'"}), (11, {"lr": "0.2"})])
        self.assertEqual([run.log for run in found[:6]], [None, None, None, None, None, os.path.join(sweep, "10", "train.log")])
        self.assertEqual(hydraflow.hydra_runs(os.path.join(self.folder, "nowhere")), [])

    def test_a_row_for_each_of_several(self):
        """What Hydra ran once is the row of its task, with what is in its folder: words of args as well."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.write("app.py", "import os, sys\nwords = dict(word.split('=') for word in sys.argv[1:] if '=' in word)\n"
                   "for number, value in enumerate(words['b'].split(',')):\n"
                   "    folder = os.path.join(words['hydra.sweep.dir'], str(number))\n    os.makedirs(os.path.join(folder, '.hydra'))\n"
                   "    for name, text in (('.hydra/overrides.yaml', f'- b={value}\\n'), ('app.log', f'loss={value}\\n')):\n"
                   "        with open(os.path.join(folder, name), 'w') as file:\n            file.write(text)\n"
                   "    print(f'[2026-11-25 12:00:00,000][HYDRA] \\t#{number} : b={value}\\nacc={value}')\n")
        self.write("hydraflow.yaml", f"jobs: {{job: {{run: {sys.executable} app.py, steps: ["
                   "{batch: a=6, args: b=9}, {batch: a=7, args: 'b=1,2'}, {batch: a=8, args: 'b=3,4,5'}]}}")
        self.assertEqual(hydraflow.main(["run", "job", "--quiet"]), 0)
        rows = hydraflow.results("job", ["loss", "acc"])
        self.assertEqual([(row["task"], row["run"], row["params"], row["metrics"]) for row in rows],
                         [(1, None, {"a": "6", "b": "9"}, {"loss": 9.0, "acc": 9.0})] + [
                             (number, run, {"a": str(number + 5), "b": f"{value:.0f}"}, {"loss": value, "acc": value})
                             for number, run, value in ((2, 0, 1.0), (2, 1, 2.0), (3, 0, 3.0), (3, 1, 4.0), (3, 2, 5.0))])

    def test_the_newest_of_several_logs(self):
        os.makedirs(os.path.join(self.folder, "0"))
        os.makedirs(os.path.join(self.folder, "0", "d.log"))
        for name, moment in (("a.log", 50), ("b.log", 70), ("c.log", 60), ("e.txt", 80)):
            self.write(f"0/{name}", "x")
            os.utime(os.path.join(self.folder, "0", name), (moment, moment))
        self.assertEqual(hydraflow.hydra_runs(self.folder)[0].log, os.path.join(self.folder, "0", "b.log"))

    def test_what_follows_hydras_line(self):
        lead = "[2026-11-25 12:00:00,000][HYDRA] "
        colours = "[\x1b[36m2026-11-25 12:00:00,000\x1b[0m][\x1b[35mHYDRA\x1b[0m] "
        one, two = f"{lead}\t#0 : lr=0.1\n", f"{lead}\t#1 : lr=0.2\n"
        serial, at_once = f"{lead}Launching 2 jobs locally\n", f"{lead}Joblib.Parallel(n_jobs=-1) is launching 2 jobs\n"
        for name, text, wanted in (
                ("two runs", serial + one + "a\nb\n" + two + "c\n", {0: "a\nb\n", 1: "c\n"}),
                ("colours", colours + "\t#3 : lr=1\nx", {3: "x"}),
                ("nothing printed", serial + one + two, {0: "", 1: ""}),
                ("the last attempt counts", serial + one + "a\n" + serial + one + "b\n", {0: "b\n"}),
                ("three runs", serial + one + "a\n" + two + "b\n" + lead + "\t#2 : lr=1\nc\n" + lead + "Best parameters\nx\n", {0: "a\n", 1: "b\n", 2: "c\n"}),
                ("Hydra says something else", serial + one + "a\n" + lead + "Best parameters\nx\n", {0: "a\n"}),
                ("at once", at_once + one + two + "a\nb\n", {}),
                ("at once, then in turn", at_once + one + "x\n" + serial + two + "y\n", {1: "y\n"}),
                ("the program quotes it", serial + one + "#1 : HYDRA\nHYDRA #1 : x\n", {0: "#1 : HYDRA\nHYDRA #1 : x\n"}),
                ("no Hydra", "loss=1\n", {})):
            with self.subTest(name):
                self.write("log", text)
                path = os.path.join(self.folder, "log")
                found = hydraflow.run_outputs(path)
                data = text.encode()
                self.assertEqual({number: data[output.start:output.end].decode() for number, output in found.items()}, wanted)
                self.assertEqual(hydraflow.run_output(path, 0), found.get(0))
        self.assertEqual(hydraflow.run_outputs(os.path.join(self.folder, "nowhere")), {})


ROWS = (row(1, "lr=0.1 model=cnn seed=1", metrics={"loss": 0.5}), row(2, "lr=1e-1 model=vit seed=2", metrics={"loss": NAN}),
        row(3, "lr=0.01 model=cnn seed=3", "failed", 70.0, {"loss": None}), row(4, "lr=0.01 model=vit seed=4", metrics={"loss": -1.0}))


class Selection(unittest.TestCase):
    def test_what_varies(self):
        for rows, varies, same in (
                ([], [], {}), ([row(1, "a=1 b=2")], ["a", "b"], {}), ([row(1, "a=1"), row(2, "a=1")], [], {"a": "1"}),
                ([row(1, "a=1 b=0.10"), row(2, "b=1e-1 a=2")], ["a"], {"b": "0.10"}),
                ([row(1, "a=1"), row(2, "a=1 b=2")], ["b"], {"a": "1"}), ([row(1, "b=1 a=1"), row(2, "a=2 b=2")], ["b", "a"], {}),
                ([row(1, "a=x"), row(2, "a='x'")], [], {"a": "x"}), ([row(1, "a=it's"), row(2, "a=it's")], [], {"a": "it's"})):
            with self.subTest(rows=rows):
                self.assertEqual((hydraflow.varying(rows), hydraflow.constants(rows)), (varies, same))

    def test_words_of_the_sweep_language_select(self):
        for words, wanted in (
                ([], [1, 2, 3, 4]), (["seed=1:3"], [1, 2, 3]), (["seed=1:4:2"], [1, 3]), (["lr=0.1"], [1, 2]),
                (["lr=100m"], [1, 2]), (["lr=.10,0.5"], [1, 2]), (["lr=log(0.01:1:3)"], [1, 2, 3, 4]), (["lr=7"], []),
                (["model=cnn", "lr=0.01"], [3]), (["model='cnn'"], [1, 3]), (["seed=1|seed=4"], [1, 4]), (["seed=1|model=vit"], [1, 2, 4]),
                (["lr,model=(0.1,cnn),(0.01,vit)"], [1, 4]), (["+seed=2"], [2])):
            with self.subTest(words=words):
                self.assertEqual(tasks(hydraflow.selected(ROWS, words)), wanted)

    def test_options_and_variables_by_their_names(self):
        rows = [row(1, "--lr=1 $N=1 lr=5"), row(2, "--lr=2 $N=1 -x=3")]
        for word, wanted in (("--lr=2", [2]), ("lr=5", [1]), ("N=1", [1, 2]), ("x=3", [2]), ("$N=1", [1, 2])):
            with self.subTest(word=word):
                self.assertEqual(tasks(hydraflow.selected(rows, [word])), wanted)

    def test_mistakes(self):
        for call, message, hint in (
                (lambda: hydraflow.selected(ROWS, ["sed=1"]), "no task has a parameter sed", "did you mean seed?"),
                (lambda: hydraflow.selected(ROWS, ["x=1"]), "no task has a parameter x", "the parameters are lr, model, seed"),
                (lambda: hydraflow.selected([row(1)], ["x=1"]), "no task has a parameter x", "the tasks have none"),
                (lambda: hydraflow.selected(ROWS, ["seed"]), "KEY=VALUE is expected, not seed", "for example seed=1:3"),
                (lambda: hydraflow.selected(ROWS, ["~seed"]), "KEY=VALUE is expected, not ~seed", "for example seed=1:3"),
                (lambda: hydraflow.selected(ROWS, ["seed=1:1000000000"]), "seed=1:1000000000 names more than 1,000,000 values",
                 "name fewer"),
                (lambda: hydraflow.over(ROWS, "sed", []), "no task has a parameter sed", "did you mean seed?"),
                (lambda: hydraflow.by_metric(ROWS, "losss"), "there is no column losss to sort by", "did you mean loss?")):
            with self.subTest(message):
                with self.assertRaises(hydraflow.Error) as caught:
                    call()
                self.assertEqual((caught.exception.message, caught.exception.hint), (message, hint))

    def test_sorting(self):
        for name, ascending, descending in (
                ("loss", [4, 1, 2, 3], [1, 4, 2, 3]), ("lr", [3, 4, 1, 2], [1, 2, 3, 4]), ("model", [1, 3, 2, 4], [2, 4, 1, 3]),
                ("duration", [1, 2, 4, 3], [3, 1, 2, 4]), ("state", [3, 1, 2, 4], [1, 2, 4, 3]), ("task", [1, 2, 3, 4], [4, 3, 2, 1])):
            with self.subTest(name):
                self.assertEqual(tasks(hydraflow.by_metric(ROWS, name)), ascending)
                self.assertEqual(tasks(hydraflow.by_metric(ROWS, name, True)), descending)
        self.assertEqual(hydraflow.by_metric([], "loss"), [])
        mixed = [row(1, "a=x"), row(2, "a=2"), row(3), row(4, "a=10"), row(5, "a=b")]
        self.assertEqual(tasks(hydraflow.by_metric(mixed, "a")), [2, 4, 5, 1, 3])
        self.assertEqual(tasks(hydraflow.by_metric(mixed, "a", True)), [1, 5, 4, 2, 3])

    def test_over_a_parameter(self):
        rows = [row(1, "lr=0.1 seed=1", metrics={"loss": 1.0}), row(2, "seed=2 lr=1e-1", "succeeded", 3.0, {"loss": 3.0}),
                row(3, "lr=0.1 seed=3", metrics={"loss": None}, attempts=2), row(4, "lr=0.1 seed=4", "failed", 9.0, {"loss": 99.0}),
                row(5, "lr=0.2 seed=1", "running", None, {"loss": 5.0}), row(6, "lr=0.2", metrics={"loss": INF})]
        merged = hydraflow.over(rows, "seed", ["loss"])
        self.assertEqual([(one.params, one.state, one.task, one.attempts) for one in merged],
                         [({"lr": "0.1"}, "succeeded", 0, 2), ({"lr": "0.1"}, "failed", 0, 1), ({"lr": "0.2"}, "running", 0, 1),
                          ({"lr": "0.2"}, "succeeded", 0, 1)])
        self.assertEqual([list(one.metrics.values()) for one in merged],
                         [[3, 5 / 3, 2.0, 2 ** 0.5, 2], [1, 9.0, 99.0, None, 1], [1, None, 5.0, None, 1], [1, 1.0, INF, None, 1]])
        self.assertEqual(list(merged[0].metrics), hydraflow.over_metrics(["loss"]))
        pairs = [row(1, "a=1 seed=1 z=1"), row(2, "a=1 seed=2 z=2"), row(3, "a=2 seed=3 z=1"), row(4, "a=1.0 seed=4 z=1")]
        self.assertEqual([one.params for one in hydraflow.over(pairs, "seed", [])], [{"a": "1", "z": "1"}, {"a": "1", "z": "2"}, {"a": "2", "z": "1"}])

    def test_over_means_what_statistics_says(self):
        import statistics
        dice = random.Random(3)
        for count in range(2, 40):
            values = [dice.uniform(-5, 5) for _ in range(count)]
            mean, deviation = hydraflow.mean_and_deviation(values)
            self.assertAlmostEqual(mean, statistics.mean(values))
            self.assertAlmostEqual(deviation, statistics.stdev(values))


class Texts(unittest.TestCase):
    def test_table(self):
        for name, rows, metrics, width, wanted in (
                ("nothing", [], ["loss"], 0, ["there are no rows to show"]),
                ("points below each other", [
                    row(1, "lr=0.1 e=10", metrics={"loss": 12.5}), row(2, "lr=10 e=10", "failed", 75.0, {"loss": None}),
                    row(13, "lr=1e-3 e=10", metrics={"loss": NAN})], ["loss"], 0,
                 ["the same everywhere: e=10",
                  "task     lr  state      duration   loss",
                  "   1   0.1   succeeded     1.0 s   12.5",
                  "   2  10     failed         1:15",
                  "  13   1e-3  succeeded     1.0 s  nan"]),
                ("a metric that nobody printed, runs, attempts", [
                    row(1, "a=x", run=0, attempts=2), row(1, "a=y", run=1)], ["m"], 0,
                 ["task  run  a  state      duration  attempts  m",
                  "   1    0  x  succeeded     1.0 s         2",
                  "   1    1  y  succeeded     1.0 s         1"]),
                ("names that come twice", [row(1, "state=a loss=1", metrics={"loss": 2.0}), row(2, "state=b loss=2")], ["loss"], 0,
                 ["task  param.state  param.loss  state      duration  metric.loss",
                  "   1  a                     1  succeeded     1.0 s            2",
                  "   2  b                     2  succeeded     1.0 s"]),
                ("too wide: what is constant goes first", [
                    row(1, "a=1 b=x", metrics={"loss": 1.0}), row(2, "a=2 b=y", "succeeded", 2.0, {"loss": 2.0})], ["loss"], 30,
                 ["task  a  b  duration  loss",
                  "   1  1  x     1.0 s     1",
                  "   2  2  y     2.0 s     2",
                  "left out, to fit into 30 columns: state=succeeded; --csv has all"]),
                ("still too wide: facts, then parameters, then what was asked for", [
                    row(1, "a=1 b=x", metrics={"loss": 1.0}), row(2, "a=2 b=y", "failed", 2.0, {"loss": 2.0})], ["loss"], 14,
                 ["task  a  loss",
                  "   1  1     1",
                  "   2  2     2",
                  "left out, to fit into 14 columns: b, state, duration; --csv has all"]),
                ("long values", [row(1, "a=" + "x" * 50), row(2, "a=y")], [], 60,
                 ["task  a                    state      duration",
                  "   1  xxxxxxxx...xxxxxxxx  succeeded     1.0 s",
                  "   2  y                    succeeded     1.0 s"]),
                ("wide letters", [row(1, "a=\u6f22\u5b57"), row(2, "a=e\u0301")], [], 0,
                 ["task  a     state      duration",
                  "   1  \u6f22\u5b57  succeeded     1.0 s",
                  "   2  e\u0301     succeeded     1.0 s"]),
                ("nothing reaches the terminal", [row(1, "a=\x1b[2Jx"), row(2, "a=b")], [], 0,
                 ["task  a      state      duration",
                  "   1  \ufffd[2Jx  succeeded     1.0 s",
                  "   2  b      succeeded     1.0 s"])):
            with self.subTest(name):
                self.assertEqual(list(hydraflow.table_lines(rows, metrics, width)), wanted)

    def test_points_stand_below_each_other(self):
        dice = random.Random(8)
        for _ in range(200):
            texts = [dice.choice(("", f"{dice.uniform(-999, 999):.{dice.randrange(5)}f}", f"{dice.randrange(9999)}"))
                     for _ in range(dice.randrange(1, 9))]
            cells = hydraflow.aligned(texts)
            self.assertEqual([cell.strip() for cell in cells], texts)
            self.assertEqual(len(set(map(len, cells))), 1)
            places = {cell.index(".") if "." in cell else len(cell.rstrip()) for cell in cells if cell.strip()}
            self.assertLessEqual(len(places), 1, cells)

    def test_the_table_fits_where_it_can(self):
        rows = [row(number, f"model={'m' * number} lr={number} seed={number % 3}", metrics={"loss": 1.0 / number}) for number in range(1, 9)]
        for width in range(12, 90):
            lines = list(hydraflow.table_lines(rows, ["loss"], width))
            table = [line for line in lines if not line.startswith(("left out", "the same"))]
            self.assertEqual(len(table), 9)
            self.assertLessEqual(max(map(len, table)), width)

    def test_csv_reads_back(self):
        rows = [row(1, "a=1"), row(2, "a=1", metrics={"loss": 0.1 + 0.2, "x": NAN})]
        rows[0].params["a"] = 'say "hi",\nyou\r\t\u00fc'
        for last in ("", "no \r"):
            rows[1].params["a"] = last
            text = hydraflow.csv_text(rows, ["loss", "x"])
            with self.subTest(last=last):
                back = list(csv.DictReader(io.StringIO(text, newline="")))
                self.assertEqual([one["a"] for one in back], [rows[0].params["a"], last])
                self.assertEqual([one["loss"] for one in back], ["", repr(0.1 + 0.2)])
                self.assertEqual([one["x"] for one in back], ["", "nan"])
                self.assertEqual([one["duration"] for one in back], ["1.0", "1.0"])
        self.assertEqual(hydraflow.csv_text(rows[1:], ["x"]).splitlines()[0],
                         '"task","a","state","exit_status","duration","attempts","started","ended","x"')
        self.assertEqual(hydraflow.csv_text([row(1, "lr=0.1", metrics={"loss": 0.5})], ["loss"]),
                         "task,lr,state,exit_status,duration,attempts,started,ended,loss\n"
                         "1,0.1,succeeded,0,1.0,1,100.0,101.0,0.5\n")

    def test_what_a_narrow_table_leaves_out_first(self):
        """From the right what is the same everywhere, then facts, parameters, metrics; the first column stays."""
        columns = [hydraflow.Column(name, kind, cells) for name, kind, cells in (
            ("a", "fact", [1, 2]), ("b", "param", ["x", "x"]), ("c", "fact", [3, 4]), ("d", "param", [5, 6]),
            ("e", "fact", [7, 8]), ("f", "metric", [9, 9]), ("g", "metric", [1, 2]))]
        order = ["f", "b", "e", "c", "d", "g"]
        for left in range(7):
            shown = {column.name: [column.name] for column in columns}
            self.assertEqual(hydraflow.remove_columns(shown, columns, 3 * (6 - left) + 1), order[:left])
            self.assertEqual(list(shown), [column.name for column in columns if column.name not in order[:left]])

    def test_document(self):
        rows = [row(3, "lr=0.1", "failed", None, {"loss": NAN, "acc": None}, status=1, cause="boom", host="n1", log="l", run=2)]
        document = hydraflow.results_document(rows, ["loss", "acc"])
        self.assertEqual({key: value for key, value in document[0].items() if key != "metrics"}, {
            "task": 3, "run": 2, "params": {"lr": "0.1"}, "state": "failed", "exit_status": 1, "cause": "boom", "started": 100.0,
            "ended": None, "duration": None, "attempts": 1, "host": "n1", "log": "l"})
        self.assertEqual(repr(document[0]["metrics"]), "{'loss': nan, 'acc': None}")

        def refuse(text):
            raise AssertionError(f"{text} is no JSON")

        back = json.loads(hydraflow.results_json(rows, ["loss", "acc"]), parse_constant=refuse)
        self.assertEqual(back[0]["metrics"], {"loss": "nan", "acc": None})
        self.assertEqual(document[0]["metrics"]["loss"] == document[0]["metrics"]["loss"], False, "the rows keep their nan")


HOSTILE = ("<script>alert(1)</script>", "</script x>", "</script><script>alert(1)</script>", "<!--", "]]>", '"><img src=x onerror=alert(1)>', "' x='",
           "&lt;b&gt;", "\u2028\u2029", "\udc80", "\x1b[2J", "\u202etxt", "{style}", "__proto__")


class Tags(html.parser.HTMLParser):
    """Collects the elements of a page, and the texts outside scripts and styles."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.data = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, attrs))

    def handle_comment(self, data):
        self.tags.append(("comment", data))

    def handle_data(self, data):
        if self.tags and self.tags[-1] == ("script", [("type", "application/json"), ("id", "data")]):
            self.data += data
        self.texts.append(data)


def page_of(rows, metrics=("loss",), title="train", lead="all well", command="hydraflow report train"):
    """Return the page of rows, and what a reader of HTML finds in it."""
    text = "".join(hydraflow.report_page(title, lead, rows, metrics, command))
    tags = Tags()
    tags.feed(text)
    return text, tags


class Page(unittest.TestCase):
    def test_without_scripts_it_can_be_read(self):
        rows = [row(1, "lr=0.1 e=3", metrics={"loss": 0.25}, host="n1"),
                row(2, "lr=0.2 e=3", "failed", 75.0, {"loss": None}, status=3, cause="ValueError: bad")]
        text, tags = page_of(rows, lead="2 tasks: 1 failed")
        body = "|".join(tags.texts)
        for said in ("2 tasks: 1 failed", "\u2717 1 failed", "\u2713 1 succeeded", "e=3", "hydraflow report train", "0.25", "1:15",
                     "ValueError: bad"):
            self.assertIn(said, body)
        self.assertLess(body.index("\u2717 failed"), body.index("\u2713 succeeded|"), "failures come first")
        self.assertEqual(re.findall("https?:|src=|url\\(|@import", text), [], "nothing comes from elsewhere")
        self.assertIn("default-src 'none'", text)

    def test_nothing_becomes_markup(self):
        def rows(words):
            return [row(number, "", word, 1.0, {word: 1.0}, cause=word, host=word, log=word, tail=(word,))._replace(
                params={"p": word, word: str(number)}) for number, word in enumerate(words)]

        plain = [f"plain{number}" for number in range(len(HOSTILE))]
        _, harmless = page_of(rows(plain), plain, "t", "l", "c")
        text, tags = page_of(rows(HOSTILE), HOSTILE, HOSTILE[0], HOSTILE[1], HOSTILE[4])
        self.assertEqual(tags.tags, harmless.tags)
        self.assertEqual(text.count("</script"), 2)
        self.assertNotRegex(tags.data, "[<>&\u2028\u2029]")
        self.assertEqual(json.loads(tags.data)["parameters"][0]["words"][:3], list(HOSTILE[:3]))
        self.assertEqual(len(json.loads(tags.data)["parameters"]), len(HOSTILE) + 1)
        text.encode("utf-8")

    def test_the_data_is_that_of_the_rows(self):
        rows = [row(1, "lr=1e-2 m=b", metrics={"loss": 0.123456789}), row(2, "lr=0.01 m=a", metrics={"loss": INF}),
                row(3, "m=b", "failed", None, {"loss": NAN}, run=0), row(4, "lr=0.001 m=a", metrics={"loss": None})]
        data = json.loads(page_of(rows)[1].data)
        self.assertEqual(data["names"], ["3.0", "1", "2", "4"])
        self.assertEqual(data["states"], {"words": ["failed", "succeeded"], "codes": [0, 1, 1, 1]})
        self.assertEqual(data["parameters"], [
            {"name": "lr", "words": ["0.001", "1e-2"], "numbers": [0.001, 0.01], "codes": [-1, 1, 1, 0]},
            {"name": "m", "words": ["b", "a"], "numbers": None, "codes": [0, 0, 1, 1]}])
        self.assertEqual(data["metrics"], [{"name": "loss", "values": ["nan", 0.1234568, "inf", None]}])
        self.assertEqual((data["started"], data["ended"]), ([0.0] * 4, [None, 1.0, 1.0, 1.0]))

    def test_it_has_bounds(self):
        rows = [row(number, f"i={number}", tail=(f"{number}" * 300,) * 10) for number in range(3000)]
        text, tags = page_of(rows, ())
        self.assertLess(len(text), 3000000)
        self.assertEqual(sum(tag == "tr" for tag, _ in tags.tags), hydraflow.PLAIN_ROWS + 2)
        self.assertIn("The first 200 of 3,000 rows, failures first.", tags.texts)

    def test_states_that_nobody_knows(self):
        self.assertEqual(hydraflow.state_counts([row(1), row(2, "", "odd"), row(3, "", "failed"), row(4, "", "odd")]),
                         [("failed", 1), ("odd", 2), ("succeeded", 1)])
        signs = [hydraflow.state_sign(state) for state in ("odd", "", "failed", "interrupted", "skipped", "running", "queued", "waiting", "not started", "handed", "succeeded")]
        self.assertEqual("".join(signs), "\u2022\u2022\u2717\u25a0\u2298\u25b6\u25f7\u25cb\u25cb\u21e2\u2713")


class Attempts(EmptyFolder):
    """What a row is made of."""

    def test_where_the_last_attempt_begins(self) -> None:
        path = os.path.join(self.folder, "log")
        mark = "==> attempt 2 <==\n"
        for attempts, text, rest in ((0, "a\n", "a\n"), (1, f"a\n{mark}b", f"a\n{mark}b"), (2, f"a\n{mark}b", "b"), (2, f"{mark}b", "b"), (2, f"a{mark}b", f"a{mark}b"), (2, "a\nb", "a\nb"),
                                     (3, f"a\n{mark}b\n==> attempt 13 <==\nc\n", "c\n"), (2, "", ""), (2, "x" * 100 + "\n" + mark + "y" * 90, "y" * 90), (2, "x" * 33 + "\n" + mark + "y" * 20, "y" * 20)):
            for largest in (16, 64, 1 << 22):
                with self.subTest(attempts=attempts, text=text, largest=largest):
                    self.write("log", text)
                    with mock.patch.object(hydraflow, "LARGEST_BLOCK", largest):
                        self.assertEqual(text[hydraflow.attempt_start(path, attempts):], rest)
        self.assertEqual(hydraflow.attempt_start(os.path.join(self.folder, "nowhere"), 2), 0)


    def test_rows_of_a_run(self) -> None:
        """Of the newest one; of tasks in some states alone, and with the last five lines of their logs, where that is asked for."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.write("hydraflow.yaml", "jobs:\n  job:\n    run: sh -c 'seq 9; echo loss=$LOSS; exec test $0 = a=1'\n    hydra: false\n    steps: [{batch: 'a=1,2'}]\n")
        for loss in "12":
            with mock.patch.dict(os.environ, LOSS=loss):
                self.assertEqual(hydraflow.main(["run", "job", "--quiet"]), 1)
        self.assertEqual([(one["task"], one["metrics"], one["state"]) for one in hydraflow.results("job", ["loss"])], [(1, {"loss": 2.0}, "succeeded"), (2, {"loss": 2.0}, "failed")])
        found = hydraflow.survey(hydraflow.Record.all("job")[-1])
        for states, has_tail, rows in (((), False, [(1, ()), (2, ())]), (("failed",), True, [(2, ("6", "7", "8", "9", "loss=2"))]), (("running",), True, [])):
            self.assertEqual([(one.task, one.tail) for one in hydraflow.result_rows(found, [], states, has_tail)], rows)


class WholePage(unittest.TestCase):
    """All of a page but for what is the same on each."""

    def page(self, rows, metrics):
        """Return the page without style, views and script."""
        text = "".join(hydraflow.report_page("a <job>", "all & well", rows, metrics, "hydraflow report job"))
        for same in (hydraflow.STYLE, hydraflow.PAGE_VIEWS, hydraflow.SCRIPT):
            self.assertEqual(text.count(same), 1)
            text = text.replace(same, "")
        return text

    def test_whole_pages(self):
        names = [row(1, "task=b state=x duration=7 cause=c same=1", metrics={"duration": 2.0, "task": 0.5}, tail=("a", "b" * 400)),
                 row(2, "task=a state=y duration=07 same=1", "failed", 75.0, {"duration": None, "task": NAN}, status=3, cause="boom <x>", attempts=2, host="n1", log="logs/2.log"),
                 row(10, "task=a state=x same=1", "running", None, {}, run=3, status=None, log="logs/10.log")]
        many = [row(number, f"i={number}", metrics={"m": 10.0 ** number}) for number in range(1, 4)]
        folder = os.path.join(ROOT, "tests", "cases", "pages")
        for name, rows, metrics in (("none", [], ["loss"]), ("names", names, ["duration", "task"]), ("many", many, ["m"]), ("unknown", [row(1, "duration=7", "running", None), row(2, "duration=x", "running", None)], [])):
            with self.subTest(name), mock.patch.multiple(hydraflow, PLAIN_ROWS=2 if name == "many" else 200):
                path = os.path.join(folder, f"{name}.html")
                found = self.page(rows, metrics)
                if os.environ.get("HYDRAFLOW_RENEW"):
                    with open(path, "w", encoding="utf-8") as file:
                        file.write(found)
                with open(path, encoding="utf-8") as file:
                    self.assertEqual(found.split("\n"), file.read().split("\n"))

    def test_numbers_and_texts_of_a_page(self):
        for value, found in ((None, None), (0.1234567891, 0.1234568), (3.0, 3), (-2.0, -2), (1e6, 1000000), (9999999.0, 9999999), (1e7, 10000000.0), (2e9, 2e9), (INF, "inf"), (NAN, "nan")):
            self.assertEqual(repr(hydraflow.rounded(value)), repr(found))
        for value, text in ((3.0, "3"), (-0.5, "-0.5"), (1e14, "100000000000000"), (1e15, "1e+15"), (123456.7, "123457"), (INF, "inf"), (NAN, "nan")):
            self.assertEqual(hydraflow.number_text(value), text)
        with self.assertRaises(ValueError):
            hydraflow.script_json(NAN)
        for longest, text in ((200, "x" * 98 + "..." + "x" * 98), (201, "x" * 99 + "..." + "x" * 99), (300, "x" * 300)):
            self.assertEqual(hydraflow.page_text("x" * 300, longest), text)
        for count, said in ((1998, "a=" + "x" * 1998), (1999, "a=" + "x" * 996 + "..." + "x" * 998)):
            head = "".join(hydraflow.page_head("t", "l", [row(number, "a=" + "x" * count) for number in range(2)]))
            self.assertEqual(re.findall("everywhere: <code>(.*)</code>", head), [said])
        with mock.patch.object(hydraflow, "MOST_TAIL", 5):
            self.assertEqual(hydraflow.page_tails([row(1, tail=("a", "b")), row(2), row(3, tail=("c",)), row(4, tail=("d",))]), ["a\nb", "", "c", ""])
        self.assertEqual(hydraflow.page_moments([None, 1.234, 5.0], 1.0), [None, 0.23, 4.0])
        self.assertEqual((hydraflow.first_start([]), hydraflow.first_start([row(1)._replace(started=None), row(2), row(3)._replace(started=7.0)])), (0.0, 7.0))

    def test_sorting_of_parameters(self):
        for words, wanted in ((("a=10", "a=9", "a=1e1"), {"words": ["9", "10"], "numbers": [9.0, 10.0], "codes": [1, 0, 1]}), (("a=b", "a=a", "b=1"), {"words": ["b", "a"], "numbers": None, "codes": [0, 1, -1]}),
                              (("a=1", "a=x", "a=1.0"), {"words": ["1", "x"], "numbers": None, "codes": [0, 1, 0]}), (("a=-1", "a=0", "a=-2"), {"words": ["-2", "-1", "0"], "numbers": [-2.0, -1.0, 0.0], "codes": [1, 2, 0]}),
                              (("a=0", "a=-0.5", "a=0.5"), {"words": ["-0.5", "0", "0.5"], "numbers": [-0.5, 0.0, 0.5], "codes": [1, 0, 2]})):
            rows = [row(number, word) for number, word in enumerate(words)]
            self.assertEqual(hydraflow.page_parameter(rows, range(3), "a"), {"name": "a", **wanted})

    def test_columns(self):
        rows = [row(1, "state=x m=1", metrics={"m": 2.0}, host="h"), row(2, "state=y", "failed", None, {"m": None}, attempts=2, run=4)]
        self.assertEqual([tuple(column) for column in hydraflow.columns_of(rows, ["m"])], [
            ("task", "fact", [1, 2]), ("run", "fact", [None, 4]), ("param.state", "param", ["x", "y"]), ("param.m", "param", ["1", None]), ("state", "fact", ["succeeded", "failed"]),
            ("exit_status", "fact", [0, 0]), ("duration", "fact", [1.0, None]), ("attempts", "fact", [1, 2]), ("started", "fact", [100.0, 100.0]), ("ended", "fact", [101.0, None]),
            ("host", "fact", ["h", None]), ("metric.m", "metric", [2.0, None])])
        self.assertEqual([column.name for column in hydraflow.table_columns(rows, ["m"])], ["task", "run", "param.state", "param.m", "state", "duration", "attempts", "metric.m"])
        self.assertEqual([column.name for column in hydraflow.table_columns(rows[:1], [])], ["task", "param.state", "m", "state", "duration"])


if __name__ == "__main__":
    unittest.main()
