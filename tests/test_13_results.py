"""Results: the numbers that outputs and files hold, Hydra's runs, selection, tables, and the page without a browser."""
import csv
import html.parser
import io
import json
import os
import re
import statistics
import sys

from support import Program

import hydraflow

NAN = float("nan")
INF = float("inf")
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
JSON_FILE = ('\ufeff{"a": {"b": 1, "c.d": 2.5, "l": [1, {"x": -3}]}, "a.b": 9, "n": NaN, "t": "x", "z": 0, "yes": true, "no": null, '
             '"big": 1%s, "s": "0.5", "1": 7}' % ("0" * 400))
JSON_NUMBERS = (("m.json:a.b", 9.0), ("m.json:a.c.d", None), ("m.json:a.l.0", 1.0), ("m.json:z", 0.0), ("m.json:a.l.1.x", -3.0), ("m.json:a.l.2", None),
                ("m.json:n", NAN), ("m.json:t", None), ("m.json:yes", None), ("m.json:no", None), ("m.json:a", None), ("m.json:big", None),
                ("m.json:s", 0.5), ("m.json:1", 7.0), ("m.json:nothing.x", None), ("broken.json:a", None), ("none.json:a", None))
HOSTILE = ("<script>alert(1)</script>", "</script x>", "<!--", "]]>", '"><img src=x onerror=alert(1)>', "' x=\'", "&lt;b&gt;", "\u2028\u2029",
           "\u202etxt", "{style}", "__proto__")


class Results(Program):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)

    def printed(self, texts: "list") -> None:
        """Execute a run in which task N prints a text."""
        os.mkdir("texts")
        for number, text in enumerate(texts, 1):
            with open(f"texts/{number}", "wb") as file:
                file.write(text if isinstance(text, bytes) else text.encode("utf-8"))
        self.job(f"run: sh -c 'cat texts/$1; true $0' ${{{{ matrix.i }}}} ${{{{ task.index }}}}\nsteps: [{{batch: 'i=1:{len(texts)}'}}]")
        result = self.hydraflow("run", "job", "--quiet")
        self.assertEqual(result.status, 0, result.err)

    def rows(self, *argv: str) -> "list":
        """Return the rows of a table, as programs get them."""
        result = self.hydraflow("results", "job", *argv, "--json")
        self.assertEqual(result.status, 0, result.err)
        return json.loads(result.out)

    def sweep(self) -> None:
        """Execute a run of four tasks of different ends and numbers."""
        self.write("task.py", "import sys\nvalue = dict(word.split('=') for word in sys.argv[1:])['loss']\nprint('loss=' + value)\nsys.exit(value == 'none')\n")
        self.job(f"run: {sys.executable} task.py\nfail-fast: false\n"
                 "steps: [{batch: \"lr,model,loss=(0.1,cnn,0.5),(1e-1,vit,nan),(0.01,cnn,none),(0.01,vit,-1) same=1\"}]")
        self.assertEqual(self.hydraflow("run", "job", "-q").status, 1)

    def test_the_last_number_behind_a_name(self) -> None:
        self.printed([text for text, _, _ in LOGS])
        rows = hydraflow.results("job", sorted({name for _, name, _ in LOGS} - {""}))
        for (text, name, wanted), found in zip(LOGS, rows):
            if name:
                with self.subTest(text=text, name=name):
                    self.assertEqual(repr(found["metrics"][name]), repr(wanted))  # nan is no number that equals itself

    def test_any_bytes_and_long_lines(self) -> None:
        self.printed([b"\xff\xfe\x00 loss=1 \x80\n", "loss=1\n" + "x" * 9000000 + "\n", "loss=1 val_loss=2" + " x" * 3000000, "loss=0\n" * 200000 + "loss=1"])
        self.assertEqual([row["metrics"]["loss"] for row in hydraflow.results("job", ["loss"])], [1.0] * 4)

    def test_the_last_attempt_counts(self) -> None:
        self.job("run: sh -c 'echo x >> tries; test $(wc -l < tries) = 2 && exit; echo loss=1; exit 1'\nretries: 1")
        self.assertEqual(self.hydraflow("run", "job", "-q").status, 0)
        row, = hydraflow.results("job", ["loss"])
        self.assertEqual((row["metrics"], row["attempts"]), ({"loss": None}, 2))

    def test_numbers_of_json_files(self) -> None:
        """In the directory of a task that made one, else where it was executed."""
        self.write("whole.json", JSON_FILE)
        for directory, beside in ((".", ""), ("$1", "with: ${{ task.dir }}\n")):
            self.write("task.sh", f"mkdir -p {directory}; cp whole.json {directory}/m.json; echo '{{' > {directory}/broken.json\n".replace("$1", "$2"))
            self.job(f"run: sh task.sh\n{beside}steps: [{{batch: a=1}}]")
            self.assertEqual(self.hydraflow("run", "job", "-q").status, 0)
            found, = hydraflow.results("job", [name for name, _ in JSON_NUMBERS])
            for name, wanted in JSON_NUMBERS:
                with self.subTest(name=name, directory=directory):
                    self.assertEqual(repr(found["metrics"][name]), repr(wanted))
            for name in ("m.json", "broken.json"):
                self.clear(name)

    def test_a_row_for_each_run_of_hydra(self) -> None:
        """Hydra's own lines tell the runs apart; each has what is in its folder, where that is found."""
        self.write("app.py", "import os, sys\nwords = dict(word.split('=') for word in sys.argv[1:] if '=' in word)\nlead = '[2026-11-25 12:00:00,000][HYDRA] '\n"
                   "values = words['b'].split(',')\nprint(f'{lead}Launching {len(values)} jobs locally')\nfor number, value in enumerate(values):\n"
                   "    folder = os.path.join(words['hydra.sweep.dir'], words.get('hydra.sweep.subdir', str(number)))\n    os.makedirs(folder, exist_ok=True)\n"
                   "    with open(os.path.join(folder, 'app.log'), 'w') as file:\n        file.write(f'loss={value}\\n')\n"
                   "    print(f'{lead}\\t#{number} : b={value}\\nacc={value}')\n")
        self.write("hydraflow.yaml", f"jobs: {{job: {{run: {sys.executable} app.py, steps: [{{batch: a=6, args: b=9}}, {{batch: a=7, args: 'b=1,2'}}, {{batch: a=8, args: 'b=3,4,5'}}, "
                   "{batch: a=9, args: 'b=6,7', with: hydra.sweep.subdir=x}]}}")
        self.assertEqual(hydraflow.main(["run", "job", "--quiet"]), 0)
        self.assertEqual([(row["task"], row["run"], row["params"], row["metrics"]) for row in hydraflow.results("job", ["loss", "acc"])],
                         [(1, None, {"a": 6, "b": 9}, {"loss": 9.0, "acc": 9.0})] + [
                             (number, run, {"a": number + 5, "b": int(value)}, {"loss": value, "acc": value})
                             for number, run, value in ((2, 0, 1.0), (2, 1, 2.0), (3, 0, 3.0), (3, 1, 4.0), (3, 2, 5.0))] + [
                                 (4, run, {"a": 9, "b": value}, {"loss": None, "acc": float(value)}) for run, value in ((0, 6), (1, 7))])
        for argv, wanted in ((("b=9",), [(1, None)]), (("b=2,4:6",), [(2, 1), (3, 1), (3, 2), (4, 0)]), (("b=3", "a=8"), [(3, 0)])):
            self.assertEqual([(row["task"], row["run"]) for row in self.rows(*argv)], wanted, argv)
        self.assertEqual([self.hydraflow("logs", "job", word).out.count("Launching 3 jobs") for word in ("b=5", "b=2")], [1, 0])

    def test_selection_and_order(self) -> None:
        self.sweep()
        for argv, wanted in (((), [1, 2, 3, 4]), (("lr=0.1",), [1, 2]), (("lr=100m",), [1, 2]), (("lr=.10,0.5",), [1, 2]), (("lr=log(0.01:1:3)",), [1, 2, 3, 4]),
                             (("model=cnn", "lr=0.01"), [3]), (("model='cnn'",), [1, 3]),
                             (("--state", "failed"), [3]), (("--sort", "loss"), [4, 1, 3, 2]), (("--sort=-loss",), [1, 4, 2, 3]), (("--sort", "lr"), [3, 4, 1, 2]),
                             (("--sort", "state"), [3, 1, 2, 4])):
            with self.subTest(argv=argv):
                names = ["loss"] if "loss" in " ".join(argv) else []
                self.assertEqual([row["task"] for row in self.rows(*names, *argv)], wanted)
        for words, code in ((["sed=1"], "unknown-parameter"), (["lr=7"], "no-match"), (["lr=1:9999999"], "too-many-values"), (["model"], "expected-key-value"), (["lr,model=(0.1,cnn)"], "expected-key-value")):
            with self.subTest(words=words), self.assertRaises(hydraflow.Error) as caught:
                hydraflow.results("job", [], *words)
            self.assertEqual(caught.exception.code, code)

    def test_over_a_parameter(self) -> None:
        values = [0.1 * number ** 2 for number in range(6)]
        self.printed([f"loss={value!r}\n" for value in values])
        cells = self.hydraflow("results", "job", "loss", "--over", "i", "--csv").out
        text = cells.splitlines()[1]
        for number in (statistics.mean(values), statistics.stdev(values)):
            self.assertTrue(any(abs(float(cell) - number) < 1e-9 for cell in text.split(",") if re.match(r"-?[\d.]+(e-?\d+)?$", cell)), (text, number))

    def test_a_run_is_chosen_by_the_end_of_its_name(self) -> None:
        """status --all lists the runs, with their words, code, states."""
        self.job("run: sh -c 'echo loss=0.$1' sh ${{ matrix.n }}\nsteps: [{batch: 'n=1:3'}]")
        for words in (("job",), ("--note", "new loss", "job", "n=2", "-q")):
            self.hydraflow("run", *words)
        lines = [re.split("  +", line) for line in self.hydraflow("status", "job", "--all").out.splitlines()]
        self.assertEqual([line[2:] for line in lines], [["words", "code", "tasks", "state"], ["job", "3", "3 succeeded"], ["--note 'new loss' job n=2 -q", "1", "1 succeeded"]])
        one, two = (line[0] for line in lines[1:])
        self.assertEqual([len(self.rows("--run", run)) for run in (one, two)], [3, 1])
        self.assertEqual([tuple(row["params"].values()) for row in self.rows("loss", "--run", one, "--run", two)], [(one, 1), (one, 2), (two, 2), (one, 3)])

    def test_tables(self) -> None:
        """What is the same everywhere is said once."""
        self.sweep()
        out = self.hydraflow("results", "job", "loss").out.splitlines()
        self.assertIn("same=1", out[0])
        header = next(line for line in out if line.startswith("task"))
        self.assertFalse({"same", "attempts"} & set(header.split()))
        self.assertEqual(len(out) - out.index(header), 5)

    def test_csv_reads_back(self) -> None:
        self.job("run: echo m=1\nsteps: [{batch: \"a='x,y',\\\"it's\\\",2\"}]")
        self.hydraflow("run", "job", "-q")
        back = list(csv.DictReader(io.StringIO(self.hydraflow("results", "job", "m", "--csv").out, newline="")))
        self.assertEqual([(row["a"], row["state"], row["m"]) for row in back], [("x,y", "succeeded", "1.0"), ("it's", "succeeded", "1.0"), ("2", "succeeded", "1.0")])

    def test_a_metric_that_nobody_wrote(self) -> None:
        """A name that is in no output may be misspelt: that is said, with names of the first output that has some; where some have it, the others
        have none yet."""
        self.job("run: sh -c 'test $0 != a=2 || echo loss=1'\nsteps: [{batch: 'a=1,2'}]")
        self.hydraflow("run", "job", "-q")
        for names, is_told in ((["loss"], False), (["los"], True), (["x.json:b"], True)):
            for command in ("results", "report"):
                self.assertEqual(names[0] in self.hydraflow(command, "job", *names).err, is_told, (command, names))
        self.assertEqual(self.hydraflow("results", "job").err, "numbers in the output: loss\n")


class Tags(html.parser.HTMLParser):
    """Collects the elements of a page, and the texts outside scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.texts = [], []

    def handle_starttag(self, tag: str, attrs: "list") -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


class Page(Program):
    def page(self, values: "list") -> Tags:
        """Return the page of a run whose tasks have these values, print them and fail in pairs."""
        self.write("task.py", "import sys\nprint(sys.argv[1])\nprint('loss=0.25')\nsys.exit(sys.argv[1] + ' is bad' if len(sys.argv[1]) % 2 else 0)\n")
        quoted = [value.replace("'", "\\'") for value in values]
        steps = [{"with": f"a='{value}'"} for value in quoted]
        self.write("hydraflow.yaml", json.dumps({"jobs": {"job": {"run": f"{sys.executable} task.py", "hydra": False, "fail-fast": False, "steps": steps}}}))
        self.hydraflow("run", "job", "-q", env={"PYTHONIOENCODING": "utf-8"})
        result = self.hydraflow("report", "job", "loss", "-o", "page.html")
        self.assertEqual(result.status, 0, result.err)
        tags = Tags()
        tags.feed(self.read("page.html"))
        return tags

    def test_nothing_becomes_markup(self) -> None:
        """Whatever the values: the page has the elements that it has with harmless ones, and fetches nothing."""
        harmless = self.page(["x" * len(value) for value in HOSTILE])
        hostile = self.page(list(HOSTILE))
        self.assertEqual(hostile.tags, harmless.tags)
        self.assertIn("4 succeeded, 7 failed", hostile.texts)
        text = self.read("page.html")
        self.assertEqual(re.findall("https?:|src=|url\\(|@import", re.sub("src=x|http://www.w3.org/2000/svg", "", text)), [])
        self.assertIn("default-src 'none'", text)
