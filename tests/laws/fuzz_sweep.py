"""Any bytes as a sweep: it parses, or there is an Error with a place inside the text; what parses keeps the laws.

Guided by coverage; pytest does not collect it. `pip install atheris` into a virtual environment, then
`python tests/laws/fuzz_sweep.py -max_total_time=300 [CORPUS]`. What it finds becomes a case of FOUND in test_sweep_laws.py.
"""
import importlib
import itertools
import os
import sys
import tempfile
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
import hydraflow

MOST_JOINED = 10000  # values in one word, in place of a million: the fuzzer is to look at many texts, not at long ones
SEEDS = (
    "a=1:3", "a=:3:2", "a=4.5:1.5:-1.5", "a=1:2:.25:n", "a/m=1,2,5:7", "a=1k,2.5M,3u", "a=(1:3,20)k", "a=(1,5)e-(1:3)", "m=(cnn,vit)_(s,l)",
    "a=log(1e-4:1e-1:4)", "a=lin(0:1:5)M", "a=1,2|b=3,4", "opt,lr=(sgd,0.1),(adam,1e-3)", "a='x y',\"z\" b=[1,{c: 2}] c=${d:e} -v ~f", r"a=x\,y",
    "a=choice(1,2) db@p=q\n+b=1:2:e2", "+a,b=(1:2)|c=(1)k",
)


def check(text):
    """Raise AssertionError, or whatever hydraflow raises that is no Error, where a text breaks a law."""
    with mock.patch.object(hydraflow, "MOST_JOINED", MOST_JOINED):
        for read in (look, look_at_words, look_for_hydra):
            check_errors(text, read)


def check_errors(text, read):
    """Raise AssertionError where what is read of the sweep of a text has an Error without a place in it, or a hint."""
    try:
        read(hydraflow.Sweep(text))
    except hydraflow.Error as error:
        lines = text.split("\n")
        for one in getattr(error, "errors", [error]):
            mark = one.mark
            assert one.hint, one
            assert str(error) and 1 <= mark.line <= len(lines) and mark.text == lines[mark.line - 1], mark
            assert 1 <= mark.column <= len(mark.text) + 1 and 1 <= mark.width <= max(len(mark.text) - mark.column + 1, 1), mark


def look_at_words(sweep):
    """Raise an Error where a key is assigned twice, or a variable would not be replaced."""
    hydraflow.check_assigned_once(sweep.axes)
    for axis in sweep.axes:
        hydraflow.check_replaced(axis)


def look_for_hydra(sweep):
    """Raise an Error for what Hydra does not take."""
    hydraflow.check_hydra_words(sweep.axes)


def look(sweep):
    """Raise AssertionError where index and iteration disagree, an Error where one word is to hold what it cannot."""
    count = sweep.count
    assert count >= 1 and sweep[count - 1] == sweep[-1] and sweep[0] == sweep[-count] == next(iter(sweep))
    if sum(axis.count for axis in sweep.axes) < 10000:
        rows = itertools.product(*([(row,) if isinstance(row, str) else row for row in axis] for axis in sweep.axes))
        first = [tuple(itertools.chain.from_iterable(row)) for row in itertools.islice(rows, 30)]
        assert first == list(itertools.islice(sweep, 30)) == [sweep[index] for index in range(min(count, 30))]
        assert len(sweep.collect()) == len(sweep.axes)


def main():
    """Feed bytes to check until the time is over, or something is found."""
    import atheris
    with atheris.instrument_imports(include=["hydraflow"]):
        importlib.reload(hydraflow)
    folder = tempfile.mkdtemp(prefix="hydraflow-fuzz-")
    for number, seed in enumerate(SEEDS):
        with open(os.path.join(folder, str(number)), "w", encoding="utf-8") as file:
            file.write(seed)
    atheris.Setup([*sys.argv, folder], lambda data: check(data.decode("utf-8", "replace")))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
