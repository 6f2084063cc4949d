"""The sweep language: what each form means, and which mistake is found where."""
import itertools
import json
import os
import sys
import unittest

from support import ROOT, EmptyFolder

from hydraflow import Error, Source, Sweep, collect, expand

VALUES = (  # a sweep of one key, the values it takes
    ("a=1:3", "1 2 3"), ("a=:3:2", "0 2"), ("a=4.5:1.5:-1.5", "4.5 3 1.5"), ("a=-0.3:0.3:0.1", "-0.3 -0.2 -0.1 0 0.1 0.2 0.3"),
    ("a=1:2:.25:n", "1e-9 1.25e-9 1.5e-9 1.75e-9 2e-9"), ("a=1:3:k", "1000 2000 3000"), ("a/m=1,2,5:7", "1e-3 2e-3 5e-3 6e-3 7e-3"),
    ("a=1k,2.5M,3u", "1000 2500000 3e-6"), ("a=(1:3,20)k", "1000 2000 3000 20000"), ("a=(1,5)e-(1:3)", "1e-1 5e-1 1e-2 5e-2 1e-3 5e-3"),
    ("m=(cnn,vit)_(s,l)", "cnn_s vit_s cnn_l vit_l"), ("a=log(1e-4:1e-1:4)", "0.0001 0.001 0.01 0.1"), ("a=lin(0:1:5)", "0 0.25 0.5 0.75 1"),
    ("a=1:2:e2", "1e2 2e2"), ("a=1.2e-3:1.4e-3:0.1e-3", "1.2e-3 1.3e-3 1.4e-3"),
    # beyond the table of the design
    ("a=5:k", "5000"), ("a=(1,2).5k", "1500 2500"), ("a=1(k,M),x(k,M)", "1000 1000000 xk xM"), ("a=1:1", "1"), ("a=0:0.3:0.1", "0 0.1 0.2 0.3"),
    ("a=1k:3k:1k", "1000 2000 3000"), ("a=:3m:1m", "0 1e-3 2e-3 3e-3"), ("a=-1:1:m", "-1e-3 0 1e-3"), ("a=0:2:e2", "0e2 1e2 2e2"),
    ("a=1_000:3_000:1_000", "1000 2000 3000"), ("a=+1:+2", "1 2"),
    ("a=1000000000000000000000:1000000000000000000001", "1000000000000000000000 1000000000000000000001"), ("a=1:3:k,7", "1000 2000 3000 7"),
    ("a=1e-3k,2", "1e0 2"), ("a=10k", "10k"), ("mem=4G", "4G"), ("a=10k|20k", "10000 20000"), ("a/e3=1:2", "1e3 2e3"), ("a/k=1.5", "1500"),
    ("a=(1,x(2,3))_y", "1_y x2_y x3_y"), ("a=resnet(18,50)", "resnet18 resnet50"), ("a=x(1,2)k", "x1k x2k"), ("a=1(0,5)k", "10000 15000"),
    ("a=(a,b)m", "am bm"), ("a=(0.5,1)m", "0.5e-3 1e-3"), ("a=([1,2],{x: 1})", "[1,2] {x: 1}"), ("a=(lin(0:1:3),5)", "0 0.5 1 5"),
    ("a=lin(1:2:2)k", "1000 2000"), ("a=lin(0:1:4)", "0 0.3333333333333333 0.6666666666666666 1"), ("a=lin(3:1:3)", "3 2 1"),
    ("a=log(1:1000:4)", "1 10 100 1000"), ("a=log(-1:-100:3)", "-1 -10 -100"), ("a=log(1e-7:1e-5:3)", "1e-7 1e-6 1e-5"),
)
UNTOUCHED = (  # words that mean the same to us and to Hydra: one value, to the letter
    "a=", "a=1e-3", "a=1_000", "a=5.", "a=01", "a='quoted, text'", 'a="x:y,z"', r"a='it\'s'", "a=[1,2,[3,4]]", "a={x: 1,y: 2}",
    "a=${f:a,b}", "a=${x}", r"a=\\${[}", "a=choice(1,2)", "a=range(1,10,2)", "a=interval(0,1)", "a=glob(*,exclude=b*)", "a=sort(3,1,reverse=true)",
    "a=shuffle(1,2)", "a=tag(x,choice(1,2))", "a=extend_list(1,2)", "a=int(3)", "a=str([1,2])", "+a=1", "++a=1", "~a", "~a=1",
    "db/engine@pkg=mysql", "db/m=mysql", r"a=x\,y", r"a=1\:3", "path=C:/x", "url=http://h:80/x", "img=repo:tag", "a=1:abc",
    "a=127.0.0.1:80", "a=::1", "a=null", "a=x=y", "a=$x", "train.py", "-v", "--lr=0.1", "a.b.0=1", "a=[1:3,(2)]", "a=x/y.z-w+*@?%",
)
TASKS = (  # a sweep, its combinations
    ("a=1,2|3,4", [("a=1,2",), ("a=3,4",)]), ("a=1|b=2,3", [("a=1",), ("b=2,3",)]),
    ("opt,lr=(sgd,0.1),(adam,1e-3)", [("opt=sgd", "lr=0.1"), ("opt=adam", "lr=1e-3")]), ("a,b=(1,x)|c=1:3", [("a=1", "b=x"), ("c=1,2,3",)]),
    ("a,b=(1:2),(3,4) c=5,6", [("a=1", "b=2", "c=5"), ("a=1", "b=2", "c=6"), ("a=3", "b=4", "c=5"), ("a=3", "b=4", "c=6")]),
    ("a=1,2 b=x,y", [("a=1", "b=x"), ("a=1", "b=y"), ("a=2", "b=x"), ("a=2", "b=y")]), ("", [()]), (" \n\t a=1 \n", [("a=1",)]),
    ("a='x y' b=[1, 2] c=f(1, 2)", [("a='x y'", "b=[1, 2]", "c=f1"), ("a='x y'", "b=[1, 2]", "c=f2")]), (["a=x y,z"], [("a=x y",), ("a=z",)]),
    ("lr/m,b=(1,x),(2,y)", [("lr=1e-3", "b=x"), ("lr=2e-3", "b=y")]),
    # comments
    ("a=1 # b=2\nc=3", [("a=1", "c=3")]), ("# a='1\n#\n a=2 #", [("a=2",)]), ("a=x#y b='# z' c=[1, # 2]", [("a=x#y", "b='# z'", "c=[1, # 2]")]),
    (["#", "a=1 # 2"], [("#", "a=1 # 2")]),
    # variables of the environment
    ("$A=1,2 b=3", [("$A=1", "b=3"), ("$A=2", "b=3")]), (["a=1, 2:3"], [("a=1",), ("a=2",), ("a=3",)]),
    ("a=choice(1,2),5 -v", [("a=choice(1,2)", "-v"), ("a=5", "-v")]),
)
MISTAKES = (  # sweep, column, what the carets mark, code
    ('t=12:30:00', 3, '12:30:00', 'range-step-zero'), ('a=(1,2', 3, '(', 'unmatched-bracket'), ('a=[1,2', 3, '[', 'unmatched-bracket'),
    ('a={1,2', 3, '{', 'unmatched-bracket'), ("a=1 b='x", 7, "'", 'unmatched-bracket'), ('a=${x', 3, '$', 'unmatched-bracket'), ('a=${}', 3, '$', 'unmatched-bracket'),
    ('a=1)', 4, ')', 'unmatched-bracket'), ('a=[1)]', 5, ')', 'unmatched-bracket'), ('a=0:2:10', 3, '0:2:10', 'range-empty'),
    ('a=0.1:0.5', 3, '0.1:0.5', 'range-empty'), ('a=5:1', 3, '5:1', 'range-empty'), ('a=1:5:-1', 3, '1:5:-1', 'range-empty'),
    ('a=1:10x', 3, '1:10x', 'not-a-number'), ('a=1:2:3:4', 3, '1:2:3:4', 'not-a-number'), ('a=08:30', 3, '08:30', 'not-a-number'),
    ('a=1,', 3, '1,', 'missing-value'), ('a=1,,2', 3, '1,,2', 'missing-value'), ('a=()', 3, '()', 'missing-value'), ('a=1|', 1, 'a', 'missing-value'),
    ("'a=x y'", 1, "'a=x y'", 'quoted-word'), ('db/m=mysql,1', 1, 'db/m=mysql,1', 'mixed-unit'), ('a/k=1:2000,x', 1, 'a/k=1:2000,x', 'mixed-unit'),
    ('a/k=(1:2000,x)|2', 1, 'a/k=(1:2000,x)', 'mixed-unit'),
    ('a/k=1|b=x|a/k=x', 11, 'a/k=x', 'mixed-unit'), ('a,b=1,2', 5, '1', 'linked-tuple'), ('a,b=(1,2),(3)', 11, '(3)', 'linked-tuple'), ('a,=(1,2)', 1, 'a,=(1,2)', 'linked-keys'),
    ('a=lin(1:2)', 3, 'lin(1:2)', 'invalid-spacing'),
    ('a=log(0:1:3)', 3, 'log(0:1:3)', 'invalid-spacing'), ('a=lin(1:2:1)', 3, 'lin(1:2:1)', 'invalid-spacing'),
    ('a=5:-1:1', 3, '5:-1:1', 'range-empty'), ('a=-5:1:0', 3, '-5:1:0', 'range-step-zero'),
    ('a=1:3:1:', 3, '1:3:1:', 'not-a-number'), ('a=1:', 3, '1:', 'not-a-number'), ('a=2,-1.5k:', 5, '-1.5k:', 'not-a-number'),
    ('a=1::2', 3, '1::2', 'not-a-number'), ('a=1:::k', 3, '1:::k', 'not-a-number'), ('a=1..3', 3, '1..3', 'not-a-number'),
    ('a=x,np.linspace(0,1,5)', 5, 'np.linspace(0,1,5)', 'unknown-function'), ('a=(1,2),(3,4)', 3, '(1,2),(3,4)', 'tuples-of-one-key'),
    ('b=1 a=\\${x}', 7, '\\', 'backslash-before-quote'), ('a=1 b=${{ env.X }}', 7, '${{ env.X }}', 'not-replaced'),
    ('a,b,a=(1,2,3)', 1, 'a,b,a=(1,2,3)', 'linked-keys'), ('a=lines()', 3, 'lines()', 'unreadable-file'), ('a=lines(x)k', 3, 'lines(x)k', 'unknown-function'),
    ('a=rows(no/such.csv)', 3, 'rows(no/such.csv)', 'unreadable-file'), ("a=1 # 'b\n'c", 1, "'", 'unmatched-bracket'),
    ('a=uniform(0,1)', 3, 'uniform(0,1)', 'unknown-function'), ('a=chioce(a,b)', 3, 'chioce(a,b)', 'unknown-function'),
    ('a=fiels(*)', 3, 'fiels(*)', 'unknown-function'), ('a=f(1).txt', 3, 'f(1).txt', 'unknown-function'), ('a=sin(x)', 3, 'sin(x)', 'unknown-function'), ('a=(a|b)+', 3, '(a|b)+', 'unknown-function'),
    ('a=$(seq 1 3)', 3, '$(seq 1 3)', 'unknown-function'), ('a=16:9', 3, '16:9', 'range-empty'),
    ('a=10:20:30', 3, '10:20:30', 'range-empty'), ('a=log(1e-3,1e-1)', 3, 'log(1e-3,1e-1)', 'invalid-spacing'),
    ('a=np.random.uniform(0,1)', 3, 'np.random.uniform(0,1)', 'unknown-function'), ('a=1 +a,a=(1,2)', 5, '+a,a=(1,2)', 'linked-keys'),
)
OF_A_KIND = (  # kind of step, sweep, column, what the carets mark, code
    ("hydra", "a = 1,2", 3, "=", "missing-key"), ("hydra", "a= 1,2", 4, "1,2", "expected-key-value"),
    ("hydra", "b=1 a =1,2", 7, "=1,2", "missing-key"), ("hydra", "optimizer a=1", 1, "optimizer", "expected-key-value"),
    ("hydra", "--x y", 5, "y", "expected-key-value"), ("hydra", "x=pink & green", 8, "&", "expected-key-value"),
    ("hydra", "ckpt=a/epoch=9-step=1.ckpt", 13, "=", "hydra-needs-quotes"), ("hydra", "f=a#b", 3, "a#b", "hydra-needs-quotes"),
    ("hydra", "name=caf\u00e9", 6, "caf\u00e9", "hydra-needs-quotes"), ("hydra", "f=x,a;b", 5, "a;b", "hydra-needs-quotes"),
    ("hydra", "p=~/x", 3, "~/x", "hydra-needs-quotes"), ("hydra", "a=\\'x", 3, "\\'", "hydra-needs-quotes"),
    ("hydra", "ds=100k,1m,10m", 4, "100k,1m,10m", "unit-doubt"), ("hydra", "t=30s,1m", 3, "30s,1m", "unit-doubt"),
    ("hydra", "p=125m,1.3b", 3, "125m,1.3b", "unit-doubt"), ("hydra", "x=$HOME/d", 3, "$HOME/d", "not-replaced"),
    ("hydra", "$A,b=(1,x),(2,$B)", 15, "$B", "not-replaced"), ("hydra", "$C=1|$D", 6, "$D", "not-replaced"),
    ("hydra", "a=1,2 | b=3", 7, "|", "pipe-space"), ("program", "a=1,2 | b=3,4", 7, "|", "pipe-space"),
    ("program", "a=1 |b=2", 5, "|b=2", "pipe-space"), ("program", "x=range(1,4)", 3, "range(1,4)", "only-hydra"),
    ("program", "a = 1,2", 3, "=", "missing-key"), ("program", "x=choice(a,b)", 3, "choice(a,b)", "only-hydra"), ("program", "x=int(1)", 3, "int(1)", "only-hydra"),
    ("program", "x=${HOME}", 3, "${HOME}", "only-hydra"), ("program", "x=$HOME", 3, "$HOME", "not-replaced"),
)
TAKEN = (  # kind of step, sweep, its first combination and how many there are
    ("hydra", "a=1,2 ~b -v --x=a;b c={x: 'y#'} d='caf\u00e9' e=${x#} f=range(start=1,stop=2)",
     ("a=1", "~b", "-v", "--x=a;b", "c={x: 'y#'}", "d='caf\u00e9'", "e=${x#}", "f=range(start=1,stop=2)"), 2),
    ("hydra", "train.py $NAME=a#b,c g=1m,2m", ("train.py", "$NAME=a#b", "g=1e-3"), 4),
    ("program", "--mem=4G,8G --bs=4k,64k t=30s,1m", ("--mem=4G", "--bs=4k", "t=30s"), 8),
    ("program", "a=1k:2k:1k b=(1,2)k c/k=1,2 d=lin(1k:2k:2)", ("a=1000", "b=1000", "c=1000", "d=1000"), 16),
    ("program", "word f=a#b c=1=2 d='${x}'", ("word", "f=a#b", "c=1=2", "d='${x}'"), 1),
)
OLD_ORDER = "the order is start:stop:step; if start:step:stop was meant"
HINTS = (  # a sweep, a part of the hint
    ("t=12:30:00", "t='12:30:00'"), ("a=16:9", "a='16:9'"), ("a=10:20:30", OLD_ORDER), ("a=10:20:30", "a='10:20:30'"),
    ("a=5:-1:1", OLD_ORDER + ", as up to HydraFlow 0.15.0: 5:1:-1"), ("a=0:2:10:k", "0:10:2:k"), ("a=-5:1:0", "-5:0:1"),
    ("a=1e-3:1e-1", "log(1e-3:1e-1:3)"), ("a=chioce(a,b)", "choice"), ("a=linspace(0,1,5)", "lin(0:1:5)"), ("a=arange(1,3)", "lin(0:1:5)"),
)


def values_of(sweep: str) -> "list[str]":
    """The values of the one key of a sweep."""
    return [words[0].split("=", 1)[1] for words in expand(sweep)]


class Meaning(unittest.TestCase):
    def test_values(self) -> None:
        for sweep, values in VALUES:
            with self.subTest(sweep=sweep):
                expected = values.split(" ") if "{" not in values else ["[1,2]", "{x: 1}"]
                self.assertEqual(values_of(sweep), expected)

    def test_what_is_hydras_stays_hydras(self) -> None:
        for word in UNTOUCHED:
            with self.subTest(word=word):
                self.assertEqual(collect(word), [word])
                self.assertEqual(list(expand([word])), [(word,)])

    def test_combinations(self) -> None:
        for sweep, combinations in TASKS:
            with self.subTest(sweep=sweep):
                self.assertEqual(list(expand(sweep)), combinations)

    def test_kinds_of_steps(self) -> None:
        for kind, text, first, count in TAKEN:
            with self.subTest(kind=kind, text=text):
                sweep = Sweep(text, kind=kind)
                self.assertEqual((sweep[0], len(sweep)), (first, count))

    def test_keys_are_compared_without_their_prefix(self) -> None:
        for text, keys in (("+a=1", ["a"]), ("++a.b=1", ["a.b"]), ("~a", ["a"]), ("--lr=1", ["lr"]), ("a/k=1", ["a"]), ("db/m=x", ["db/m"]),
                           ("db@p=x", ["db@p"]), ("-v x", []), ("+a,--b=(1,2)", ["a", "b"]), ("$A=1", ["$A"])):
            with self.subTest(text=text):
                self.assertEqual([key for axis in Sweep(text).axes for key in axis.keys], keys)

    def test_args_join_the_values(self) -> None:
        self.assertEqual(collect("a=1:3 b='x,y',z c=(s,l)_1 -v"), ["a=1,2,3", "b='x,y',z", "c=s_1,l_1", "-v"])
        for sweep in ("a=1|2", "a,b=(1,2)"):
            with self.subTest(sweep=sweep), self.assertRaises(Error) as caught:
                collect(sweep)
            self.assertEqual(caught.exception.code, "tasks-in-words")

    def test_numbers_beyond_any_float_stay_text(self) -> None:
        long = "9" * 1000 + "k"
        self.assertEqual(values_of(f"a={long},1"), [long, "1"])
        with self.assertRaises(Error):
            Sweep("a=1:1e999999999")


class Mistakes(unittest.TestCase):
    def test_place_and_code(self) -> None:
        for kind, sweep, column, marked, code in [("", *row) for row in MISTAKES] + list(OF_A_KIND):
            with self.subTest(kind=kind, sweep=sweep):
                with self.assertRaises(Error) as caught:
                    Sweep(sweep, kind=kind)
                error = caught.exception
                self.assertEqual((error.column, error.mark.width, error.code), (column, len(marked), code))
                self.assertTrue(error.hint)
                self.assertEqual(error.mark.text[column - 1:column - 1 + len(marked)], marked)

    def test_hints(self) -> None:
        for sweep, part in HINTS:
            with self.subTest(sweep=sweep), self.assertRaises(Error) as caught:
                Sweep(sweep)
            self.assertIn(part, caught.exception.hint)

    def test_several_at_once(self) -> None:
        with self.assertRaises(Error) as caught:
            Sweep("a=1:2:0 b=x c=(1")
        self.assertEqual(caught.exception.code, "unmatched-bracket")
        with self.assertRaises(Error) as caught:
            Sweep("a=1:2:0 b=x c=5:1")
        self.assertEqual([error.column for error in caught.exception.errors], [3, 15])

    def test_deep_nesting_is_an_error(self) -> None:
        for sweep in ("a=" + "(" * 100000 + "1" + ")" * 100000, "a=" + "(" * 100000, "a=" + "[" * 100000 + "]" * 100000):
            with self.assertRaises(Error):
                Sweep(sweep)


with open(os.path.join(ROOT, "tests", "cases", "sweeps-of-the-original.jsonl"), encoding="utf-8") as file:
    # what the original HydraFlow, 0.10 to 0.23, is tested with: args or batch, the sweep, the words of each task; or which order of ranges it has
    OF_THE_ORIGINAL = [json.loads(line) for line in file]


def number(text: str) -> str:
    """A value in a form in which equal numbers are equal."""
    try:
        return repr(float(text))
    except ValueError:
        scale = {"k": "e3", "M": "e6", "m": "e-3", "p": "e-12"}.get(text[-1:])
        return number(text[:-1] + scale) if scale and text[-2:-1].isdigit() else text


def meant(tasks: "list") -> "list":
    """The words of tasks with equal numbers equal, however they are written."""
    pairs = [[word.partition("=") for word in task] for task in tasks]
    return [[(key, list(map(number, value.split(",")))) for key, _, value in task] for task in pairs]


class Original(unittest.TestCase):
    def test_the_same_by_meaning_or_an_error_that_names_the_difference(self) -> None:
        self.assertGreater(len(OF_THE_ORIGINAL), 100)
        for kind, sweep, tasks in OF_THE_ORIGINAL:
            with self.subTest(kind=kind, sweep=sweep):
                if tasks == "old order":  # start:step:stop, of 0.15.0 and before
                    with self.assertRaises(Error) as caught:
                        Sweep(sweep)
                    self.assertTrue(caught.exception.hint.startswith(OLD_ORDER), caught.exception.hint)
                elif tasks == "both orders":  # nothing tells them apart: the README says which ones to look at
                    self.assertGreater(len(collect(sweep)[0].split(",")), 1)
                else:
                    found = [collect(sweep)] if kind == "collect" else list(map(list, expand(sweep)))
                    self.assertEqual(meant(found), meant(tasks))


class ValuesFromFiles(EmptyFolder):
    """A file's lines, rows and paths are values."""

    def sweep(self, text: str) -> "list":
        """The combinations of a sweep in a file of the folder."""
        return list(Sweep(Source(os.path.join(self.folder, "hydraflow.yaml"), text)))

    def test_lines(self) -> None:
        self.write("seeds.txt", "1\n\n# no\n 1e+3\nx y\nit's,2\n1:3\r\n4G\n")
        values = ["s=1", "s=1e+3", "s='x y'", r"s='it\'s,2'", "s='1:3'", "s=4G"]
        self.assertEqual([word for word, in self.sweep("s=lines(seeds.txt)")], values)
        self.assertEqual([word for word, in self.sweep("s=lines('seeds.txt'),0")], [*values, "s=0"])

    def test_rows(self) -> None:
        rows = [("o=sgd", "lr=0.1"), ("o='a,b'", "lr=1e-3")]
        self.write("plain.csv", "sgd,0.1\n\n\"a,b\",1e-3\n")
        self.write("named.csv", "--lr, n ,o\n0.1,x,sgd\n1e-3,,\"a,b\"\n")
        self.write("tabs.tsv", "$N\t+lr\n1\t0.1\n")
        self.write("semicolons.csv", "1;2\n3;4,5\n")
        for text, expected in (
                ("o,lr=rows(plain.csv)", rows), ("o,lr=rows(named.csv)", rows), ("o,lr=(x,1),rows(named.csv)", [("o=x", "lr=1"), *rows]),
                ("n=rows(named.csv)", [("n=x",), ("n=''",)]), ("+lr,$n=rows(named.csv)", [("+lr=0.1", "$n=x"), ("+lr=1e-3", "$n=''")]),
                ("rows(tabs.tsv)", [("$N=1", "+lr=0.1")]), ("a,b=rows(semicolons.csv)", [("a=1", "b=2"), ("a=3", "b='4,5'")]),
                ("rows(named.csv) a=1", [("--lr=0.1", "n=x", "o=sgd", "a=1"), ("--lr=1e-3", "n=''", "o='a,b'", "a=1")])):
            with self.subTest(text=text):
                self.assertEqual(self.sweep(text), expected)

    def test_files(self) -> None:
        os.mkdir(os.path.join(self.folder, "d"))
        for name in ("d/b c.fq", "d/a.fq", "d/x.txt"):
            self.write(name, "")
        found = [word.replace(self.folder + "/", "") for word, in self.sweep("f=files(d/*.fq)")]
        self.assertEqual(found, ["f=d/a.fq", "f='d/b c.fq'"])

    def test_mistakes(self) -> None:
        self.write("bad.csv", "lr,o\n0.1,sgd\n1e-3\n")
        self.write("other.csv", "X,Seed\n1,2\n3,4\n")
        self.write("empty.txt", "# nothing\n")
        self.write("latin.txt", b"1\n\xe9\n")
        self.write("unclosed.csv", 'a,b\n1,"2\n3,4\n')
        self.write("long.csv", "x" * 200000)
        for text, column, code in (
                ("o,lr=rows(bad.csv)", 6, "unreadable-file"), ("o,lrr=rows(bad.csv)", 7, "unreadable-file"), ("x,seed=rows(other.csv)", 8, "unreadable-file"),
                ("a=lines(empty.txt)", 3, "unreadable-file"), ("a=files(*.no)", 3, "unreadable-file"), ("a=lines(latin.txt)", 1, "invalid-utf8"),
                ("a,b=lines(latin.txt)", 5, "linked-tuple"), ("a=lines(.)", 3, "unreadable-file"), ("rows(no.csv)", 1, "unreadable-file"), ("rows(unclosed.csv)", 1, "unreadable-file"),
                ("rows(long.csv)", 1, "unreadable-file")):
            with self.subTest(text=text):
                with self.assertRaises(Error) as caught:
                    self.sweep(text)
                self.assertEqual((caught.exception.column, caught.exception.code), (column, code))


class Laziness(unittest.TestCase):
    def test_count_and_index_of_a_huge_sweep(self) -> None:
        sweep = Sweep("a=1:1000000000 b=1:1000000000:1,x c=(1:1000,y)k")
        self.assertEqual(sweep.count, 10 ** 9 * (10 ** 9 + 1) * 1001)
        self.assertEqual(sweep[sweep.count - 1], ("a=1000000000", "b=x", "c=yk"))
        self.assertEqual(sweep[-1], sweep[sweep.count - 1])
        self.assertEqual(sweep[-sweep.count], sweep[0])
        self.assertEqual(next(iter(sweep)), ("a=1", "b=1", "c=1000"))
        with self.assertRaises(OverflowError):
            len(sweep)
        with self.assertRaises(IndexError):
            sweep[sweep.count]
        self.assertGreater(sweep.count, sys.maxsize)

    def test_index_equals_iteration_equals_product(self) -> None:
        for text in ("a=1:3 b=x,y,z c=(1,2)e(1:2)", "a=1,2|3,4 b,c=(1,2),(3,4)|d=5 e=1:2", "a=1:70000", "a=1:300 b=1:300 -v"):
            with self.subTest(sweep=text):
                sweep = Sweep(text)
                listed = list(sweep)
                self.assertEqual(len(sweep), len(listed))
                step = max(len(listed) // 500, 1)
                self.assertEqual(listed[::step], [sweep[index] for index in range(0, len(listed), step)])
                rows = itertools.product(*([(row,) if isinstance(row, str) else row for row in axis] for axis in sweep.axes))
                self.assertEqual(listed, [tuple(itertools.chain.from_iterable(row)) for row in rows])


if __name__ == "__main__":
    unittest.main()
