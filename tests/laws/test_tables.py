"""Tables for papers and programs: what pandas, a LaTeX parser and the rules of GitHub read is what was shown."""
import io
import json
import os
import re
import subprocess
import sys

import pandas
import pytest
from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexWalker

import hydraflow

TEXTS = ("[x|y] & 50% #1_a {b} ~^ <c> $z$ *s* `q` \\n", "*p, q", "it's", "4G")
COLUMNS = ["t", "lr", "state", "count", "loss", "loss_std", "loss_count"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run: texts with signs of every format, three seeds, a loss that is nan once."""
    path = tmp_path_factory.mktemp("tables")
    command = "sh -c 'test \"$1\" = \"4G\" && echo loss=nan || echo loss=-0.$2' sh ${{ matrix.t }} ${{ matrix.seed }}"
    values = ",".join("'" + text.replace("'", "\\'") + "'" for text in TEXTS)
    job = {"run": command, "hydra": False, "steps": [{"batch": f"t={values} lr=1e-3,0.1 seed=1:3"}]}
    (path / "hydraflow.yaml").write_text(json.dumps({"jobs": {"job": job}}))
    subprocess.check_call([sys.executable, hydraflow.__file__, "run", "job", "-q", "-j2"], cwd=path)
    return path


def table(folder, form, *words):
    """The output of results."""
    argv = [sys.executable, hydraflow.__file__, "results", "job", "loss", "--format", form, *words]
    return subprocess.check_output(argv, cwd=folder, env={**os.environ, "PYTHONIOENCODING": "utf-8"}).decode()


def cells(folder):
    """The cells that people see, with their header."""
    rows = json.loads(table(folder, "json", "--over", "seed"))
    found = []
    for row in rows:
        lr, loss, std = row["params"]["lr"], row["metrics"]["loss"], row["metrics"]["loss_std"]
        numbers = ["nan", "nan"] if loss is None else [f"{loss:g}", f"{std:g}"]
        found.append([row["params"]["t"], {0.001: "1e-3"}.get(lr, str(lr)), "succeeded", "3", *numbers, "3"])
    assert [line[0] for line in found[::2]] == list(TEXTS)
    return [COLUMNS, *found]


def test_pandas_reads_csv_without_cleaning(folder):
    frame = pandas.read_csv(io.StringIO(table(folder, "csv")))
    assert [frame[name].dtype.kind for name in ("task", "lr", "seed", "duration", "loss")] == list("ififf")
    assert list(frame["t"].unique()) == list(TEXTS)
    assert frame["loss"].isna().sum() == 6 and frame["loss"].mean() == pytest.approx(-0.2)


def test_pandas_reads_json_without_cleaning(folder):
    frame = pandas.json_normalize(json.loads(table(folder, "json")))
    assert [frame[name].dtype.kind for name in ("task", "params.lr", "params.seed", "duration", "metrics.loss")] == list("ififf")
    assert list(frame["params.t"].unique()) == list(TEXTS)
    frame = pandas.read_json(io.StringIO(table(folder, "json")))
    assert frame["attempts"].sum() == 24 and frame["params"][0] == {"t": TEXTS[0], "lr": 0.001, "seed": 1}


def test_latex(folder):
    """A tabular with the rules of booktabs, whose cells are read as they were, numbers to the right."""
    text = table(folder, "latex", "--over", "seed")
    (environment,), _, _ = LatexWalker(text.strip(), tolerant_parsing=False).get_latex_nodes()
    assert environment.environmentname == "tabular"
    lines = text.strip().split("\n")
    assert lines[0] == "\\begin{tabular}{lrlrrrr}"
    assert [lines[index] for index in (1, 3, -2, -1)] == ["\\toprule", "\\midrule", "\\bottomrule", "\\end{tabular}"]
    read = [[LatexNodes2Text().latex_to_text(cell).strip().replace("\u02c6", "^") for cell in re.split(r"(?<!\\)&", line[:-2])] for line in [lines[2], *lines[4:-2]]]
    assert read == [[cell.rstrip() for cell in line] for line in cells(folder)]
    assert not any(re.match(r"\s*[*\[]", line) for line in lines)  # it would belong to the line break, or rule, before it


def test_markdown(folder):
    """GitHub's rules: a cell ends at | without a backslash, which makes any sign plain."""
    lines = table(folder, "markdown", "--over", "seed").strip().split("\n")
    assert lines[1] == "| --- | ---: | --- | ---: | ---: | ---: | ---: |"
    read = []
    for line in [lines[0], *lines[2:]]:
        parts = re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]
        assert not any(re.search(r"(?<!\\)[*`<\[~&]", part) for part in parts), line
        read.append([re.sub(r"\\(.)", r"\1", part.strip()) for part in parts])
    assert read == cells(folder)
