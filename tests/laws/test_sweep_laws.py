"""The laws of the sweep language: product, index, iteration, white space, linked keys, pipes, lin, log, exclude, include, cost.

HYDRAFLOW_EXAMPLES=100000 looks longer.
"""
import itertools
import json
import os
import tempfile
from fractions import Fraction

import pytest
from growth import check_growth
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydraflow import Error, Sweep, collect, expand, load, plan, read_yaml

EXAMPLES = int(os.environ.get("HYDRAFLOW_EXAMPLES", "0"))


def examples(count):
    return settings(max_examples=max(count, EXAMPLES), deadline=None, suppress_health_check=list(HealthCheck), database=None)


# ---- Sweeps, and what they are: each word with its rows, each row a tuple of words

ITEMS = st.sampled_from([  # an item, the values that it stands for
    ("x", ["x"]), ("7", ["7"]), ("1e-3", ["1e-3"]), ("1:2:k", ["1000", "2000"]), ("5:u", ["5e-6"]), ("'a, b|c d'", ["'a, b|c d'"]), ('"(1"', ['"(1"']),
    ("[1:3, 2]", ["[1:3, 2]"]), ("{x: 1, y: 2}", ["{x: 1, y: 2}"]), ("${f:a,b c}", ["${f:a,b c}"]), ("choice(1, 2)", ["choice(1, 2)"]), (r"x\,\ y", [r"x\,\ y"]),
    ("1:3", ["1", "2", "3"]), ("4:0:-2", ["4", "2", "0"]), ("(1,2)k", ["1000", "2000"]), ("(s,l)_(1:2)", ["s_1", "l_1", "s_2", "l_2"]),
    ("lin(0:1:3)", ["0", "0.5", "1"]), ("log(1:100:3)m", ["1e-3", "10e-3", "100e-3"]), ("r(18,(3,5)0)", ["r18", "r30", "r50"]),
])
LISTS = st.lists(ITEMS, min_size=1, max_size=3).map(lambda items: (",".join(text for text, _ in items), [value for _, values in items for value in values]))
KEYS = st.sampled_from(["a", "+b.c", "++d", "db/engine@p", "hydra/launcher"])
LITERALS = st.sampled_from(["-v", "train.py", "~db", "--lr=0.1", "a='x y'", "b=[1, 2]", "c="]).map(lambda word: (word, [(word,)]))
BLANKS = st.text(" \t\n\r\f\v\u00a0\u3000", min_size=1, max_size=3)


@st.composite
def simple_segments(draw, is_alone=False):
    """key=list -> text, rows: beside a pipe a single one, whose values Hydra sweeps over."""
    key, (text, values) = draw(KEYS), draw(LISTS)
    return f"{key}={text}", [(f"{key}={value}",) for value in (values if is_alone else [",".join(values)])]


@st.composite
def linked_segments(draw):
    """key,key=(list),(list) -> text, rows: each of the tuples, which give as many values as there are keys."""
    keys = draw(st.lists(KEYS, min_size=2, max_size=4, unique=True))
    tuples = draw(st.lists(LISTS.filter(lambda pair: len(pair[1]) >= len(keys)), min_size=1, max_size=3))
    tuples = [pair if len(pair[1]) == len(keys) else (",".join(pair[1][:len(keys)]), pair[1][:len(keys)]) for pair in tuples]
    return (f"{','.join(keys)}=" + ",".join(f"({text})" for text, _ in tuples),
            [tuple(f"{key}={value}" for key, value in zip(keys, values)) for _, values in tuples])


PIPED = st.lists(simple_segments() | linked_segments(), min_size=2, max_size=3).map(
    lambda segments: ("|".join(text for text, _ in segments), [row for _, rows in segments for row in rows]))
PLAIN = simple_segments(is_alone=True) | LITERALS
SWEEPS = st.lists(PLAIN | PLAIN | linked_segments() | PIPED, max_size=3)


def product(words):
    """Return the rows of a sweep of these words, the last word fastest."""
    return [tuple(itertools.chain.from_iterable(row)) for row in itertools.product(*(rows for _, rows in words))]


def text_of(words):
    return " ".join(text for text, _ in words)


@examples(100)
@given(SWEEPS)
def test_iteration_is_the_product_of_the_axes(words):
    """And len is the count of it, and the index, from either end, says the same as iteration."""
    sweep, rows = Sweep(text_of(words)), product(words)
    assert list(sweep) == list(expand(text_of(words))) == rows
    assert len(sweep) == sweep.count == len(rows)
    assert [sweep[index] for index in range(len(rows))] == rows
    assert [sweep[index] for index in range(-len(rows), 0)] == rows
    for index in (len(rows), -len(rows) - 1):
        with pytest.raises(IndexError):
            sweep[index]


@examples(120)
@given(SWEEPS, st.data())
def test_white_space_between_words_means_nothing(words, data):
    blank = BLANKS | st.just("")
    text = data.draw(blank) + "".join(word + data.draw(BLANKS) for word, _ in words)
    assert list(expand(text)) == list(expand([word for word, _ in words])) == product(words)
@examples(120)
@given(SWEEPS)
def test_an_expanded_word_expands_to_itself(words):
    """Where a pipe was, several values stand in one word for Hydra: collect leaves it as it is."""
    for text, rows in words:
        for word in {word for row in rows for word in row}:
            assert collect([word]) == [word]
            assert Sweep(text).axes[0].keys[1:] or list(expand([word])) == [(word,)]


@examples(120)
@given(st.lists(PLAIN, max_size=3))
def test_collected_words_sweep_over_the_same(words):
    """collect joins the values of each word; expanded, they are the sweep again."""
    collected = collect(text_of(words))
    assert collected == [rows[0][0].partition("=")[0] + "=" + ",".join(word.partition("=")[2] for (word,) in rows) if "=" in text else text
                         for text, rows in words]
    assert list(expand(collected)) == product(words)


# ---- Linked keys, pipes

@examples(100)
@given(st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(st.integers(0, 99), min_size=width, max_size=width), min_size=1, max_size=5)))
def test_linked_keys_are_zip(rows):
    """a,b=(1,2),(3,4) gives the rows of zip(a=1,3; b=2,4), and a row with fewer values, or more, is an error there."""
    keys = ["a", "b", "c", "d"][:len(rows[0])]
    columns = [[f"{key}={value}" for value in column] for key, column in zip(keys, zip(*rows))]
    texts = [f"({','.join(map(str, row))})" for row in rows]
    assert list(expand(f"{','.join(keys)}={','.join(texts)}")) == list(zip(*columns))
    for wrong in ("(1)", "(1,2,3,4,5)"):
        with pytest.raises(Error) as caught:
            Sweep(f"{','.join(keys)}={','.join([*texts, wrong])}")
        assert caught.value.mark.text[caught.value.column - 1:] == wrong


@examples(100)
@given(PIPED, PIPED)
def test_pipes_chain_what_stands_between_them(left, right):
    """The rows of w|v are those of w, then those of v, as both have their keys."""
    assert list(expand(f"{left[0]}|{right[0]}")) == product([left]) + product([right])
@pytest.mark.parametrize("text, words", [("a/k=1|2,3", ["a=1000", "a=2000,3000"]), ("a/k=1|b=2|3", ["a=1000", "b=2", "b=3"]), ("db/m=x|y", ["db/m=x", "db/m=y"]),
                                         ("a=1|b/k=2|3", ["a=1", "b=2000", "b=3000"])])
def test_behind_a_pipe_the_key_is_still_the_same(text, words):
    """With its unit: w/k=1|2 is w/k=1|w/k=2."""
    assert list(expand(text)) == [(word,) for word in words]


@pytest.mark.parametrize("text", ["db/m=x|1", "db/m=1|x", "db/m=1,x", "db/m=1|2,x"])
def test_numbers_and_texts_of_a_key_with_a_unit_are_an_error(text):
    with pytest.raises(Error):
        Sweep(text)
@pytest.mark.parametrize("text", ["a=1,2|3", "a,b=(1,2)", "a,b=(1,2)|c=1"])
def test_one_word_has_no_room_for_tasks(text):
    """Pipes and linked keys are an error where the words of one task are wanted."""
    with pytest.raises(Error) as caught:
        collect("x=1 " + text)
    assert (caught.value.column, caught.value.mark.width) == (5, len(text))


# ---- Ranges, lin, log

DECIMALS = st.builds(lambda digits, places: Fraction(digits, 10 ** places), st.integers(-10 ** 6, 10 ** 6) | st.integers(-30, 30), st.integers(0, 3))


def decimal(value):
    return str(value) if value.denominator == 1 else f"{float(value):.4f}"


def values_of(text):
    return [word[2:] for (word,) in expand(f"a={text}")]


@examples(120)
@given(DECIMALS, DECIMALS | st.integers(-10, 30), DECIMALS | st.none())
def test_a_range_is_what_its_three_numbers_say_or_an_error(start, stop, step):
    """Empty, a step of zero and a step beyond the end are errors; any other range has floor(span / step) + 1 values."""
    stride = Fraction(1) if step is None else step
    span = stop - start if isinstance(stop, Fraction) else stride * stop / 10
    stop = start + span
    text = "a=" + ":".join(decimal(value) for value in (start, stop, step) if value is not None)
    if not stride or span * stride < 0 or abs(stride) > abs(span) and (step is not None or span):
        with pytest.raises(Error):
            Sweep(text)
        return
    sweep = Sweep(text)
    assert sweep.count == span // stride + 1
    for index in {0, sweep.count // 2, sweep.count - 1}:
        assert Fraction(sweep[index][0][2:]) == start + index * stride


TENTHS = st.integers(-30, 30).map(lambda number: Fraction(number, 10))


@examples(400)
@given(TENTHS, TENTHS.filter(bool), st.integers(1, 12))
def test_a_range_in_the_old_order_is_named_first(start, step, count):
    """What start:step:stop meant up to HydraFlow 0.15.0, and means nothing now, is told in the order of today."""
    stop = start + count * step
    text = ":".join(map(decimal, (start, step, stop)))
    try:
        Sweep(f"a={text}")
    except Error as error:
        said = f"the order is start:stop:step; if start:step:stop was meant, as up to HydraFlow 0.15.0: {decimal(start)}:{decimal(stop)}:{decimal(step)}"
        said = said.replace(".0000", "")
        found = error.hint.partition("; quote")[0].split(": ")
        assert found[0] == said.split(": ")[0]
        assert values_of(found[1]) == values_of(said.split(": ")[1])


# ---- Comments

COMMENTS = st.text("a=1'\"[](#,:| ", max_size=8).map("# {}".format)


@examples(150)
@given(st.lists(st.tuples(PLAIN | linked_segments(), st.just("") | COMMENTS), max_size=4), st.sampled_from([">-", "|", ">", "|-"]))
def test_a_comment_goes_to_the_end_of_its_line_in_the_file(lines, style):
    """Folded or not: without its comments the block means the same."""
    body = [f"    {word[0]} {comment}".rstrip() for word, comment in lines] + ["    z=1 # x"]
    text = f"jobs: {style}\n" + "\n".join(body) + "\n"
    node = read_yaml(text).value[0][1]
    assert list(Sweep(node.text_source())) == product([word for word, _ in lines] + [("z=1", [("z=1",)])])
@pytest.mark.parametrize("first, count", [(-9, 19), (0, 7), (-3, 2), (-30, 61)])
def test_log_of_decades_is_exact(first, count):
    values = values_of(f"log(1e{first}:1e{first + count - 1}:{count})")
    assert [Fraction(value) for value in values] == [Fraction(10) ** (first + index) for index in range(count)]


# ---- Exclude, include

def plan_of(step):
    """The plan of a job with one step, whose command is x."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "hydraflow.yaml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"jobs": {"x": {"run": "x", "hydra": False, "steps": [step]}}}, file)
        return plan(load(path)["x"])


SPELLINGS = [["1000", "1k", "1e3", "1_000", "1000.0"], ["0.5", "500m", "500e-3", "5e-1", ".50"], ["cnn", "'cnn'", '"cnn"'], ["0", "-0", "0k"], ["[1]"]]
SPELLED = st.integers(0, len(SPELLINGS) - 1).flatmap(lambda number: st.tuples(st.just(number), st.sampled_from(SPELLINGS[number])))


@st.composite
def chosen(draw, keys):
    """Some values of each of the keys -> text, the combinations as pairs of key and number of the value."""
    lists = [(key, draw(st.lists(SPELLED, min_size=1, max_size=3))) for key in keys]
    text = " ".join(f"{key}={','.join(text for _, text in values)}" for key, values in lists)
    return text, list(itertools.product(*([(key, number) for number, _ in values] for key, values in lists)))
@examples(100)
@given(chosen("abc"), st.lists(st.sets(st.sampled_from("abc"), min_size=1).map(sorted).flatmap(chosen), max_size=3), st.lists(chosen("abd"), max_size=2))
def test_exclude_drops_and_include_adds(batch, exclude, include):
    """What agrees in all keys with an excluded combination is dropped, however numbers and texts are spelled; the included come last."""
    step = {"batch": batch[0], "exclude": [text for text, _ in exclude], "include": [text for text, _ in include]}
    tasks = plan_of(step)
    dropped = [set(row) for _, rows in exclude for row in rows]
    rows = [row for row in batch[1] if not any(one <= set(row) for one in dropped)]
    rows += [row for _, added in include for row in added]
    assert tasks.count == len(rows)
    numbers = {text.strip("'\""): number for number, texts in enumerate(SPELLINGS) for text in texts}
    assert [tuple((key, numbers[value]) for key, _, value in (word.partition("=") for word in task.argv[1:])) for task in tasks] == rows


# ---- Any text

PIECES = st.sampled_from([*"()[]{},:|='\"\\$/-+.~@ \n\t", "${", "\\,", "1", "2.5", "k", "e3", "/m=", "a=", "a,b=(", "lin(", "log(1:", "choice(", "1:3", "x", "''", "\u0663", "\u4e2d"])
SEEDS = (
    "a=1:3", "a=:3:2", "a=4.5:1.5:-1.5", "a=1:2:.25:n", "a/m=1,2,5:7", "a=1k,2.5M,3u", "a=(1:3,20)k", "a=(1,5)e-(1:3)", "m=(cnn,vit)_(s,l)",
    "a=log(1e-4:1e-1:4)", "a=lin(0:1:5)M", "a=1,2|b=3,4", "opt,lr=(sgd,0.1),(adam,1e-3)", "a='x y',\"z\" b=[1,{c: 2}] c=${d:e} -v ~f", r"a=x\,y",
    "a=choice(1,2) db@p=q\n+b=1:2:e2", "+a,b=(1:2)|c=(1)k",
)
FOUND = SEEDS + (
    "", "\x00", "a=\ud800", "a=1\r\nb=2\u2028c", "a=1:2:3:4:5", "a,,=(1)", "a=|", "=|=", "a=lin(", "a=(lin(1:2:3", "a=x lin(1:2:3)", "a=lin (1:2:3)", "a=lin()", "a=log(1:2)x", "a=lin(x:2:3)k", "a=()k", "a=(1)(2)e400",
    "a=((1)e400)e400", "a=1e400:2e400:1e400", "a=:k", "a=0:0", "a=-0:0:5", "a=lin(1:1:1)", "a=lin(1:2:1e17)", "a=log(1e-250:1e250:3)T", "a=1|1:999999999",
    "a=lin(" + "9" * 390 + ".5:1:3)", "a=log(" + "9" * 390 + ".5:1:3)", "a=" + "1" * 5000 + "k", "a=" + "1" * 5000 + ":2", "a,b=" + "(1:9999999)",
    "a=:387837e7876", "a=(1,2)0k", "a=-(1,-2)m", "lr/m,b=(1,x),(y,2)", "a=1:1:-1", "a=0.01:0.05", "a=1e999:1e-999", "a=0:1e999:1e-999", "a=:" + "9" * 390 + "e+999", "a/e999=" + "((" * 15 + "0:1e999:1e-999" + ")e999)T" * 15,
)


def check(text):
    """Raise AssertionError where a text breaks a law, or whatever is raised that is no Error with its place in the text."""
    for kind in ("", "hydra", "program"):
        try:
            look_at(Sweep(text, kind=kind))
        except Error as error:
            lines = text.split("\n")
            for one in getattr(error, "errors", [error]):
                mark = one.mark
                assert one.hint and one.code, one
                assert str(error) and 1 <= mark.line <= len(lines) and mark.text == lines[mark.line - 1], mark
                assert 1 <= mark.column <= len(mark.text) + 1 and 1 <= mark.width <= max(len(mark.text) - mark.column + 1, 1), mark


def look_at(sweep):
    """Raise AssertionError where index and iteration disagree, an Error where one word is to hold what it cannot."""
    count = sweep.count
    assert count >= 1 and sweep[count - 1] == sweep[-1] and sweep[0] == sweep[-count] == next(iter(sweep))
    if sum(axis.count for axis in sweep.axes) < 10000:
        first = list(itertools.islice(itertools.product(*sweep.axes), 30))
        flat = [tuple(itertools.chain.from_iterable([row] if isinstance(row, str) else row for row in rows)) for rows in first]
        assert flat == list(itertools.islice(sweep, 30)) == [sweep[index] for index in range(min(count, 30))]
        assert all(axis.word() for axis in sweep.axes)


@pytest.mark.parametrize("text", FOUND)
def test_found(text):
    check(text)
@examples(1000)
@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=20).map("a=".__add__))
def test_any_text_parses_or_has_an_error_with_its_place(text):
    check(text)
@pytest.mark.parametrize("text", ["a=" + "(" * 50000 + "1" + ")" * 50000, "a,b=" + "(" * 50000 + ")" * 50000, "a=x(" * 50000, "a=" + "lin(" * 50000 + ")" * 50000,
                                  "a=" + "(" * 50000, "a=" + "[(" * 50000, "a=" + "{" * 50000, "a=" + ")" * 50000, "a=(1," * 50000 + ")" * 50000])
def test_deep_nesting_is_an_error(text):
    with pytest.raises(Error):
        Sweep(text)
def test_any_number_of_words():
    sweep = Sweep(" ".join(["a=1,2"] * 1500))
    assert sweep.count == 2 ** 1500
    assert next(iter(sweep)) == sweep[0] == ("a=1",) * 1500
    assert next(iter(Sweep(" ".join(["a=1:70000"] * 1200)))) == ("a=1",) * 1200
    with pytest.raises(IndexError):
        sweep[sweep.count]
    with pytest.raises(IndexError):
        Sweep(" ".join(["a=1,2"] * 15000))[-10 ** 9000]


# ---- Samples

@examples(60)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(0, 999), st.integers(1, 40), st.integers(0, 3))
def test_a_sample_is_the_beginning_of_a_permutation(sizes, seed, count, dropped):
    """None twice, all of them in the end, a larger one begins with a smaller one, what is excluded falls out and the rest keeps its order."""
    batch = " ".join(f"{key}=1:{size}" for key, size in zip("abc", sizes))

    def words(count, **more):
        return [task.argv[1:] for task in plan_of({"batch": batch, "sample": {"count": count, "seed": seed}, **more})]

    every = words(1000)
    assert sorted(every) == sorted(Sweep(batch))
    assert words(count) == every[:count]
    assert words(1000, exclude=f"a={dropped}") == [combination for combination in every if combination[0] != f"a={dropped}"]


# ---- Cost

NASTY = {  # what a text is made of: its beginning, what is repeated, what follows, perhaps what is repeated there, its end
    "digits": ("a=", "1", "x"), "digits and underscores": ("a=", "1_", "x"), "points": ("a=", "1.", ""), "exponents": ("a=", "1e", ""), "signs": ("a=", "+-", "1"),
    "open": ("a=", "(", ""), "pairs": ("a=", "(1)", ""), "open and closed": ("a=", "x(1,2)", ""), "closed": ("a=", ")", ""), "brackets": ("a=", "[", "1"),
    "commas": ("a=1", ",", "1"), "values": ("a=1", ",1", ""), "ranges": ("a=1:2", ",1:2", ""), "colons": ("a=", ":", ""), "times": ("a=1", ":1", ""),
    "backslashes": ("a=", "\\", "x"), "escapes": ("a=", "\\(", "x"), "quotes": ("a=", "'", ""), "two quotes": ("a=", "''", "'"), "mixed quotes": ("a=", "'\"", ""),
    "escaped quotes": ("a='", "\\'", ""), "interpolations": ("a=", "${", ""), "closed interpolations": ("a=", "${x}", ""), "dollars": ("a=", "$", ""),
    "pipes": ("a=1", "|", ""), "piped": ("a=1", "|1", ""), "piped keys": ("a=1", "|a=1", ""), "spaces": ("a=1", " ", "b=1"), "words": ("", "x ", ""),
    "keys": ("a=1 ", "a=1 ", ""), "lines": ("", "a=1\n", ""), "equals": ("a", "=", "1"), "linked": ("a,b=(1,2)", ",(1,2)", ""), "many linked": ("a", ",a", "=1"),
    "slashes": ("a", "/e1", "=1"), "lin": ("a=lin(1:2:3)", ",lin(1:2:3)", ""), "functions": ("a=", "choice(", ""), "units": ("a=(1)", "k", ""), "text": ("a=", "x", ""),
    "value missing late": ("a=1", ",1", ","), "tilde": ("~", "~", ""), "unit of a key": ("a/m=1", ",1", ""), "mixture": ("a/m=x", ",1", ""),
    "key of ranges": ("", "k", "=1:2", ",1:2", ""), "key of mistakes": ("", "k", "=1", ",5:1", ""), "long text": ("a=", "x", "(1", ",2", ")"),
    "words of mistakes": ("  ", "a=5:1 ", ""), "lines of mistakes": ("", "a=5:1\n", ""), "linked mistakes": ("a,b=(1)", ",(1)", ""),
    "comments": ("a=1", " # b\nc=2", ""), "comment": ("a=1 #", " # x", ""), "tuples": ("a=(1,2)", ",(1,2)", ""), "dots": ("a=", ".", "1"),
    "escapes of interpolations": ("a=1", ",\\\\${x}", ""), "line of words": ("", "x ", "\nb=1"), "line of pipes": ("a=1", "|1", "\nb=1"), "line of values": ("a=1", ",(1)k", "\nb=1"), "line of ranges": ("a=1:2", ",1:2", "\nb=1"),
}


def look(text):
    """Parse a text, and take one of its combinations, or the Error with its place."""
    try:
        sweep = Sweep(text, kind="hydra")
        return sweep[0], sweep[-1]
    except Error as error:
        return str(error)


@pytest.mark.parametrize("family", NASTY)
def test_time_and_memory_grow_with_the_length_and_not_faster(family):
    first, *pairs = NASTY[family]

    def text(length):
        return first + "".join(part * (2 * length // len(pairs) // len(part)) + then for part, then in zip(pairs[::2], pairs[1::2]))

    check_growth(look, text)
