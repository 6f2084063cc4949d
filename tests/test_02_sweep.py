"""The sweep language: what each form means, and how each mistake is told."""
import itertools
import json
import os
import re
import sys
import time
import unittest

from support import ROOT, EmptyFolder

import hydraflow
from hydraflow import Error, Sweep, collect, expand

VALUES = (  # a sweep of one key, the values it takes
    ("a=1:3", "1 2 3"),
    ("a=:3:2", "0 2"),
    ("a=4.5:1.5:-1.5", "4.5 3 1.5"),
    ("a=-0.3:0.3:0.1", "-0.3 -0.2 -0.1 0 0.1 0.2 0.3"),
    ("a=1:2:.25:n", "1e-9 1.25e-9 1.5e-9 1.75e-9 2e-9"),
    ("a=1:3:k", "1000 2000 3000"),
    ("a/m=1,2,5:7", "1e-3 2e-3 5e-3 6e-3 7e-3"),
    ("a=1k,2.5M,3u", "1000 2500000 3e-6"),
    ("a=(1:3,20)k", "1000 2000 3000 20000"),
    ("a=(1,5)e-(1:3)", "1e-1 5e-1 1e-2 5e-2 1e-3 5e-3"),
    ("m=(cnn,vit)_(s,l)", "cnn_s vit_s cnn_l vit_l"),
    ("a=log(1e-4:1e-1:4)", "0.0001 0.001 0.01 0.1"),
    ("a=lin(0:1:5)", "0 0.25 0.5 0.75 1"),
    ("a=1:2:e2", "1e2 2e2"),
    ("a=1.2e-3:1.4e-3:0.1e-3", "1.2e-3 1.3e-3 1.4e-3"),
    # beyond the table of the design
    ("a=5:k", "5000"),
    ("a=(1,2).5k", "1500 2500"),
    ("a=1(k,M),x(k,M)", "1000 1000000 xk xM"),
    ("a=1:1", "1"),
    ("a=0:0.3:0.1", "0 0.1 0.2 0.3"),
    ("a=1k:3k:1k", "1000 2000 3000"),
    ("a=:3m:1m", "0 1e-3 2e-3 3e-3"),
    ("a=-1:1:m", "-1e-3 0 1e-3"),
    ("a=0:2:e2", "0e2 1e2 2e2"),
    ("a=1_000:3_000:1_000", "1000 2000 3000"),
    ("a=+1:+2", "1 2"),
    ("a=1000000000000000000000:1000000000000000000001", "1000000000000000000000 1000000000000000000001"),
    ("a=1:3:k,7", "1000 2000 3000 7"),
    ("a=1e-3k", "1e0"),
    ("a/e3=1:2", "1e3 2e3"),
    ("a/k=1.5", "1500"),
    ("a=(1,x(2,3))_y", "1_y x2_y x3_y"),
    ("a=resnet(18,50)", "resnet18 resnet50"),
    ("a=x(1,2)k", "x1k x2k"),
    ("a=1(0,5)k", "10000 15000"),
    ("a=(a,b)m", "am bm"),
    ("a=(0.5,1)m", "0.5e-3 1e-3"),
    ("a=([1,2],{x: 1})", "[1,2] {x: 1}"),
    ("a=(lin(0:1:3),5)", "0 0.5 1 5"),
    ("a=lin(1:2:2)k", "1000 2000"),
    ("a=lin(0:1:4)", "0 0.3333333333333333 0.6666666666666666 1"),
    ("a=lin(3:1:3)", "3 2 1"),
    ("a=log(1:1000:4)", "1 10 100 1000"),
    ("a=log(-1:-100:3)", "-1 -10 -100"),
    ("a=log(1e-7:1e-5:3)", "1e-7 1e-6 1e-5"),
)
UNTOUCHED = (  # words that mean the same to us and to Hydra: one value, to the letter
    "a=", "a=1e-3", "a=1_000", "a=5.", "a=01", "a='quoted, text'", 'a="x:y,z"', r"a='it\'s'", "a=[1,2,[3,4]]", "a={x: 1,y: 2}",
    "a=${f:a,b}", "a=${x}", r"a=\\${[}", "a=choice(1,2)", "a=range(1,10,2)", "a=interval(0,1)", "a=glob(*,exclude=b*)", "a=sort(3,1,reverse=true)",
    "a=shuffle(1,2)", "a=tag(x,choice(1,2))", "a=extend_list(1,2)", "a=int(3)", "a=str([1,2])", "+a=1", "++a=1", "~a", "~a=1",
    "db/engine@pkg=mysql", "db/m=mysql", r"a=x\,y", r"a=1\:3", "path=C:/x", "url=http://h:80/x", "img=repo:tag", "a=1:abc",
    "a=127.0.0.1:80", "a=::1", "a=null", "a=x=y", "a=$x", "train.py", "-v", "--lr=0.1", "a.b.0=1", "a=[1:3,(2)]", "a=x/y.z-w+*@?%",
)
TASKS = (  # a sweep, its combinations
    ("a=1,2|3,4", [("a=1,2",), ("a=3,4",)]),
    ("a=1|b=2,3", [("a=1",), ("b=2,3",)]),
    ("opt,lr=(sgd,0.1),(adam,1e-3)", [("opt=sgd", "lr=0.1"), ("opt=adam", "lr=1e-3")]),
    ("a,b=(1,x)|c=1:3", [("a=1", "b=x"), ("c=1,2,3",)]),
    ("a,b=(1:2),(3,4) c=5,6", [("a=1", "b=2", "c=5"), ("a=1", "b=2", "c=6"), ("a=3", "b=4", "c=5"), ("a=3", "b=4", "c=6")]),
    ("a=1,2 b=x,y", [("a=1", "b=x"), ("a=1", "b=y"), ("a=2", "b=x"), ("a=2", "b=y")]),
    ("", [()]),
    (" \n\t a=1 \n", [("a=1",)]),
    ("a='x y' b=[1, 2] c=f(1, 2)", [("a='x y'", "b=[1, 2]", "c=f1"), ("a='x y'", "b=[1, 2]", "c=f2")]),
    (["a=x y,z"], [("a=x y",), ("a=z",)]),
    # comments
    ("a=1 # b=2\nc=3", [("a=1", "c=3")]),
    ("# a='1\n#\n a=2 #", [("a=2",)]),
    ("a=x#y b='# z' c=[1, # 2]", [("a=x#y", "b='# z'", "c=[1, # 2]")]),
    (["#", "a=1 # 2"], [("#", "a=1 # 2")]),
    # variables of the environment
    ("$A=1,2 b=3", [("$A=1", "b=3"), ("$A=2", "b=3")]),
    (["a=1, 2:3"], [("a=1",), ("a=2",), ("a=3",)]),
    ("a=choice(1,2),5 -v", [("a=choice(1,2)", "-v"), ("a=5", "-v")]),
)
MISTAKES = (  # sweep, column, what the carets mark, message
    ("t=12:30:00", 3, "12:30:00", "range step is zero"),
    ("a=(1,2", 3, "(", "parenthesis is never closed"),
    ("a=[1,2", 3, "[", "bracket is never closed"),
    ("a={1,2", 3, "{", "brace is never closed"),
    ("a=1 b='x", 7, "'", "quote is never closed"),
    ("a=${x", 3, "$", "interpolation is never closed"),
    ("a=${}", 3, "$", "interpolation is empty"),
    ("a=1)", 4, ")", "nothing is open that ) could close"),
    ("a=[1)]", 5, ")", "nothing is open that ) could close"),
    ("a=0:2:10", 3, "0:2:10", "range step 10 is larger than the whole range"),
    ("a=0.1:0.5", 3, "0.1:0.5", "range step 1 is larger than the whole range"),
    ("a=5:1", 3, "5:1", "range is empty: no step of 1 leads from 5 to 1"),
    ("a=1:5:-1", 3, "1:5:-1", "range is empty: no step of -1 leads from 1 to 5"),
    ("a=1:10x", 3, "1:10x", "10x is no number of a range"),
    ("a=1:2:3:4", 3, "1:2:3:4", "4 is no number of a range"),
    ("a=08:30", 3, "08:30", "a number of a range begins with 0"),
    ("a=1,", 5, "^", "a value is missing"),
    ("a=1,,2", 5, "^", "a value is missing"),
    ("a=()", 4, "^", "a value is missing"),
    ("a=1|", 5, "^", "nothing stands beside the pipe"),
    ("'a=x y'", 1, "'a=x y'", "a whole word in quotes is neither a key nor its value"),
    ("db/m=mysql,1", 1, "db/m=mysql,1", "numbers and texts are mixed under the unit /m"),
    ("a/k=1:2000,x", 1, "a/k=1:2000,x", "numbers and texts are mixed under the unit /k"),
    ("a/k=(1:2000,x)|2", 1, "a/k=(1:2000,x)", "numbers and texts are mixed under the unit /k"),
    ("a/k=1|b=x|a/k=x", 11, "a/k=x", "numbers and texts are mixed under the unit /k"),
    ("a,b=1,2", 5, "1", "linked keys take their values in parentheses"),
    ("a,b=(1,2),(3)", 11, "(3)", "2 linked keys take as many values, not 1"),
    ("a,=(1,2)", 1, "a,", "a key is missing between commas"),
    ("lr/m,b=(1,x)", 1, "lr/m,b=(1,x)", "linked keys take no unit"),
    ("a=lin(1:2)", 3, "lin(1:2)", "lin takes start, stop and count, and a unit behind it"),
    ("a=log(0:1:3)", 3, "log(0:1:3)", "log needs both ends above zero, or both below"),
    ("a=lin(1:2:1)", 3, "lin(1:2:1)", "lin cannot count 1 from 1 to 2"),
    ("a='x'_(1,2)", 3, "'x'", "quoted text cannot be a part of a group"),
    ("a=5:-1:1", 3, "5:-1:1", "range is empty: no step of 1 leads from 5 to -1"),
    ("a=-5:1:0", 3, "-5:1:0", "range step is zero"),
    ("a=1:3:1:", 3, "1:3:1:", "an empty field is no number of a range"),
    ("a=1:", 3, "1:", "a range without its end"),
    ("a=2,-1.5k:", 5, "-1.5k:", "a range without its end"),
    ("a=1::2", 3, "1::2", "a range without its end"),
    ("a=1:::k", 3, "1:::k", "a range without its end"),
    ("a=1..3", 3, "1..3", "1..3 is no range"),
    ("a=x,np.linspace(0,1,5)", 5, "np.linspace(0,1,5)", "linspace is no function of the sweep language"),
    ("a=(1,2),(3,4)", 3, "(1,2),(3,4)", "tuples are for linked keys, and this is one key"),
    ("b=1 a=\\${x}", 7, "\\${x}", "the backslash before ${x} would be a part of the value"),
    ("a=1 b=${{ env.X }}", 7, "${{ env.X }}", "${{ env.X }} is not replaced here"),
    ("a,b,a=(1,2,3)", 1, "a,b,a", "one key is linked with itself"),
    ("a=lines()", 3, "lines()", "lines takes the path of a file, and nothing follows it"),
    ("a=lines(x)k", 3, "lines(x)k", "lines takes the path of a file, and nothing follows it"),
    ("a=rows(no/such.csv)", 3, "rows(no/such.csv)", "cannot read no/such.csv: No such file or directory"),
    ("a=1 # 'b\n'c", 1, "'", "quote is never closed"),
)
OLD_ORDER = "the order is start:stop:step; if start:step:stop was meant, as up to HydraFlow 0.15.0: "
HINTS = (
    ("t=12:30:00", "quote it to keep it as text: t='12:30:00'"),
    ("'a=x y'", "quote the value alone: a='x y'"),
    ("'lr=0.1,0.01'", "leave the quotes out: lr=0.1,0.01"), ("\"a='x y'\"", "leave the quotes out: a='x y'"),
    ("'a=x#y'", "quote the value alone: a='x#y'"),
    ("a=0:2:10", "the order is start:stop:step; if start:step:stop was meant, as up to HydraFlow 0.15.0: 0:10:2"),
    ("a=5:1", "turn the sign of the step: 5:1:-1"),
    ("a=5:1:k", "turn the sign of the step: 5:1:-1:k"), ("a=0:2:10:k", "the order is start:stop:step; if start:step:stop was meant, as up to HydraFlow 0.15.0: 0:10:2:k"),
    ("a=0.1:0.5", "the order is start:stop:step, for example 0.1:0.5:0.04"), ("a=1:0.5", "the order is start:stop:step, for example 1:0.5:-0.05"),
    ("a=5:-1:1", OLD_ORDER + "5:1:-1"), ("a=0.1:-0.01:0.001", OLD_ORDER + "0.1:0.001:-0.01"), ("a=5:-1:1:k", OLD_ORDER + "5:1:-1:k"),
    ("a=-5:1:0", OLD_ORDER + "-5:0:1; or quote it to keep it as text: a='-5:1:0'"),
    ("a=1e-3:1e-1", "write log(1e-3:1e-1:3), or give a step: 1e-3:1e-1:0.0099"),
    ("a=1:3:K", "did you mean 1:3:k?"), ("a=1:3:1:", "leave out the last colon: 1:3:1"),
    ("a=1..3", "write 1:3, or quote it to keep it as text: '1..3'"), ("a=0.1..0.3", "write 0.1:0.3:0.1, or quote it to keep it as text: '0.1..0.3'"),
    ("a=x,5...3", "write 5:3:-1, or quote it to keep it as text: '5...3'"), ("a=1..9..2", "write 1:9:2, or quote it to keep it as text: '1..9..2'"),
    ("a=1e-3..1e-1", "write 1e-3:1e-1:0.001, or quote it to keep it as text: '1e-3..1e-1'"),
    ("a=1..1", "write start:stop:step, or quote it to keep it as text: '1..1'"),
    ("a=logspace(-3,-1,3)", "write log(1e-3:1e-1:3), whose end is included"),
    ("a=logspace(1e-3,1e-1,3)", "write log(1e-3:1e-1:3), whose end is included"),
    ("a=linspace(0, 1, 5)", "write lin(0:1:5), whose end is included"),
    ("a=np.arange(0,1,.1)", "write 0:1:.1, whose end is included"), ("a=arange(5)", "write start:stop:step, whose end is included"),
    ("a=(1,2),(3,4)", "linked keys: a,other=(1,2),(3,4); lists: a=[1,2],[3,4]; values: a=(1,2,3,4)"),
    ("a=\\${x}", "write ${x}"),
    ("a=1:1:-1", "write 1"), ("m='a'_(x,y)", "write the values out, each in quotes as a whole"),
)


FORMS = (  # what hints say before a word that is to take the place of another one
    "write |give a step: |turn the sign of the step: |for example |whole range: |did you mean |leave out the last colon: |HydraFlow 0.15.0: |as text: |"
    "leave the quotes out: |quote the value alone: |linked keys: |lists: |values: ")


def forms_in(hint: str) -> "list[str]":
    """Return the words that a hint gives as right ones."""
    forms = [re.split(r"[;,] |,? or |\?$", text)[0] for text in re.split(FORMS, hint)[1:]]
    return [form for form in forms if form and "start" not in form and not form.isalpha()]


def values_of(sweep: str) -> "list[str]":
    """Return the values of the one key of a sweep."""
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

    def test_args_join_the_values(self) -> None:
        self.assertEqual(collect("a=1:3 b='x,y',z c=(s,l)_1 -v"), ["a=1,2,3", "b='x,y',z", "c=s_1,l_1", "-v"])
        for sweep in ("a=1|2", "a,b=(1,2)", "a,b=(1,2)|c=3"):
            with self.subTest(sweep=sweep), self.assertRaises(Error) as caught:
                collect(sweep)
            self.assertEqual(caught.exception.message, "pipes and linked keys make tasks, and these words are all of one task")

    def test_numbers_beyond_any_float_stay_text(self) -> None:
        long = "9" * 1000 + "k"
        self.assertEqual(values_of(f"a={long}"), [long])
        with self.assertRaises(Error):
            Sweep("a=1:1e999999999")


class Mistakes(unittest.TestCase):
    def test_place_and_message(self) -> None:
        for sweep, column, marked, message in MISTAKES:
            with self.subTest(sweep=sweep):
                with self.assertRaises(Error) as caught:
                    Sweep(sweep)
                error = caught.exception
                self.assertEqual((error.column, error.mark.width, error.message), (column, len(marked), message))
                self.assertTrue(error.hint)
                if marked != "^":
                    self.assertEqual(error.mark.text[column - 1:column - 1 + len(marked)], marked)

    def test_hints(self) -> None:
        for sweep, hint in HINTS:
            with self.subTest(sweep=sweep), self.assertRaises(Error) as caught:
                Sweep(sweep)
            self.assertEqual(caught.exception.hint, hint)

    def test_no_hint_is_a_mistake_itself(self) -> None:
        """What it says to write instead is read without an error."""
        found = 0
        for sweep, hint in HINTS:
            for form in forms_in(hint):
                with self.subTest(sweep=sweep, form=form):
                    Sweep(form if "=" in form else f"a={form}")
                found += 1
        self.assertGreater(found, 30)

    def test_time_grows_with_the_length_and_not_faster(self) -> None:
        """Sixteen times the digits take some sixteen times as long, not 256 times; the best of three turns each."""
        def best(digits: int) -> float:
            times = []
            for _ in range(3):
                begun = time.perf_counter()
                hydraflow.Sweep("a=" + "1" * digits + "x")
                times.append(time.perf_counter() - begun)
            return min(times)
        self.assertLess(best(32000), 80 * best(2000) + 0.01)

    def test_deep_nesting_is_an_error(self) -> None:
        for sweep in ("a=" + "(" * 100000 + "1" + ")" * 100000, "a=" + "(" * 100000, "a=" + "[" * 100000 + "]" * 99999):
            with self.assertRaises(Error):
                Sweep(sweep)
        deep = "a=" + "[" * 100000 + "]" * 100000  # Hydra's own: not looked into
        self.assertEqual(collect(deep), [deep])

    def test_too_many_values_for_one_word(self) -> None:
        with self.assertRaises(Error):
            collect("a=1:1000000000")


HYDRA_MISTAKES = (  # a sweep of a step of Hydra's: column, message, hint
    ("a = 1,2", 1, "white space beside an equals sign parts a key from its value", "write key=value without white space"),
    ("a= 1,2", 4, "white space beside an equals sign parts a key from its value", "write key=value without white space"),
    ("b=1 a =1,2", 5, "white space beside an equals sign parts a key from its value", "write key=value without white space"),
    ("optimizer a=1", 1, "optimizer stands where key=value is expected", "words of the command belong into run"),
    ("--x y", 5, "y stands where key=value is expected", "write --x=y, or put both into run"),
    ("x=pink & green", 8, "& stands where key=value is expected",
     "quote a value with white space: x='pink & green'; words of the command belong into run"),
    ("ckpt=a/epoch=9-step=1.ckpt", 13, "Hydra refuses '=' outside quotes", "quote the value: ckpt='a/epoch=9-step=1.ckpt'"),
    ("f=a#b", 4, "Hydra refuses '#' outside quotes", "quote the value: f='a#b'"),
    ("name=caf\u00e9", 9, "Hydra refuses '\u00e9' outside quotes", "quote the value: name='caf\u00e9'"),
    ("f=x,a;b", 6, "Hydra refuses ';' outside quotes", "quote the value that holds it: f='...'"),
    ("f#=x", 2, "Hydra refuses '#' outside quotes", "a key has no such sign"),
    ("a={'lo': 1}", 1, "Hydra takes no quotes around the key 'lo' of a dictionary", "write lo without them"),
)
HYDRA_TAKES = ("a=1,2 ~b -v --x=a;b +c={x: 'y#'} d='caf\u00e9' e=${x#} f=range(start=1,stop=2)", "--config-name other a=1", "a=1|b=2 c,d=(1,2)|e=3",
               "$NAME=a#b,c a=", "-cn x a=[1,{b: 2}]")


with open(os.path.join(ROOT, "tests", "cases", "sweeps-of-the-original.jsonl"), encoding="utf-8") as file:
    # what the original HydraFlow, 0.10 to 0.23, is tested with: args or batch, the sweep, the words of each task; or which order of ranges it has
    OF_THE_ORIGINAL = [json.loads(line) for line in file]


def meant(tasks: "list") -> "list":
    """Return the words of tasks with equal numbers equal, however they are written."""
    found = []
    for task in tasks:
        words = [word.partition("=") for word in task]
        found.append([(key, [part if hydraflow.read_number(part) is None else hydraflow.same_value(f"{key}={part}") for part in value.split(",")])
                      for key, _, value in words])
    return found


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


class HydraWords(unittest.TestCase):
    def test_mistakes(self) -> None:
        for sweep, column, message, hint in HYDRA_MISTAKES:
            with self.subTest(sweep=sweep):
                with self.assertRaises(Error) as caught:
                    hydraflow.check_hydra_words(Sweep(sweep).axes)
                error = caught.exception
                self.assertEqual((error.column, error.message, error.hint), (column, message, hint))

    def test_what_hydra_takes(self) -> None:
        for sweep in HYDRA_TAKES:
            with self.subTest(sweep=sweep):
                hydraflow.check_hydra_words(Sweep(sweep).axes)


class ValuesFromFiles(EmptyFolder):
    """A file's lines and rows are values, and mistakes in it are told with its own lines."""

    def sweep(self, text: str) -> Sweep:
        """Return a sweep that stands in a file of the folder."""
        return Sweep(hydraflow.Source(os.path.join(self.folder, "hydraflow.yaml"), text))

    def test_lines(self) -> None:
        self.write("seeds.txt", "1\n\n# no\n 1e+3\nx y\nit's,2\n1:3\r\n")
        values = ["s=1", "s=1e+3", "s='x y'", r"s='it\'s,2'", "s='1:3'"]
        self.assertEqual([word for word, in self.sweep("s=lines(seeds.txt)")], values)
        self.assertEqual([word for word, in self.sweep("s=lines('seeds.txt'),0")], [*values, "s=0"])

    def test_rows(self) -> None:
        rows = [("o=sgd", "lr=0.1"), ("o='a,b'", "lr=1e-3")]
        self.write("plain.csv", "sgd,0.1\n\n\"a,b\",1e-3\n")
        self.write("named.csv", "lr, n ,o\n0.1,x,sgd\n1e-3,y,\"a,b\"\n")
        self.assertEqual(list(self.sweep("o,lr=rows(plain.csv)")), rows)
        self.assertEqual(list(self.sweep("o,lr=rows(named.csv)")), rows)
        self.assertEqual(list(self.sweep("o,lr=(x,1),rows(named.csv)")), [("o=x", "lr=1"), *rows])
        self.assertEqual(list(self.sweep("n=rows(named.csv)")), [("n=x",), ("n=y",)])

    def test_mistakes(self) -> None:
        self.write("bad.csv", "lr,o\n0.1,sgd\n1e-3\n")
        self.write("empty.txt", "# nothing\n")
        self.write("latin.txt", b"1\n\xe9\n")
        for text, file, line, message in (
                ("o,lr=rows(bad.csv)", "bad.csv", 3, "2 columns are expected here, not 1"),
                ("o,lrr=rows(bad.csv)", "bad.csv", 1, "no column is called lrr"),
                ("a,b=rows(bad.csv)", "bad.csv", 3, "2 columns are expected here, not 1"),
                ("a=lines(empty.txt)", "hydraflow.yaml", 1, "empty.txt holds no value"),
                ("a=lines(latin.txt)", "latin.txt", 2, "invalid UTF-8: byte 0xe9"),
                ("a,b=lines(latin.txt)", "hydraflow.yaml", 1, "linked keys take their values in parentheses"),
                ("a=lines(.)", "hydraflow.yaml", 1, "Is a directory")):
            with self.subTest(text=text):
                with self.assertRaises(Error) as caught:
                    self.sweep(text)
                error = caught.exception
                self.assertEqual((os.path.basename(error.source), error.line), (file, line))
                self.assertIn(message, error.message)


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

    def test_iteration_can_be_repeated(self) -> None:
        sweep = Sweep("a=1:3 b=1:70000")
        self.assertEqual(list(itertools.islice(sweep, 5)), list(itertools.islice(sweep, 5)))


if __name__ == "__main__":
    unittest.main()
