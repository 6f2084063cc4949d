"""A real Hydra application: what it got, and what Hydra wrote down, is what the sweep language promises."""
import functools
import json
import math
import os
import re
import shutil
import sys

import pytest
from support import ROOT, place_program, run

import hydraflow

pytest.importorskip("hydra", reason="not installed: hydra-core")
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf


def each(key, *values):
    """Return what runs are expected to get that differ in one value."""
    return [{key: value} for value in values]


# A sweep; the tasks that it makes as batch; and for every run of the application, in their order, the settings that it
# gets, as Python values: 1000 is not 1000.0, and a float is the nearest one to the exact number. As args, each sweep
# makes one task of the same runs. Fields of the application: batch_size is an int, learning_rate a float, name a text,
# augment a truth value, layers a list of int, tags a list of texts, seed an int or nothing; value takes anything.
SWEEPS = [
    # Ranges, units, groups: the table of the sweep language.
    ("batch_size=1:3", 3, each("batch_size", 1, 2, 3)),
    ("batch_size=:3:2", 2, each("batch_size", 0, 2)),
    ("value=4.5:1.5:-1.5", 3, each("value", 4.5, 3, 1.5)),
    ("learning_rate=4.5:1.5:-1.5", 3, each("learning_rate", 4.5, 3.0, 1.5)),
    ("value=-0.3:0.3:0.1", 7, each("value", -0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3)),
    ("value=1:2:.25:n", 5, each("value", 1e-9, 1.25e-9, 1.5e-9, 1.75e-9, 2e-9)),
    ("batch_size=1:3:k", 3, each("batch_size", 1000, 2000, 3000)),
    ("learning_rate/m=1,2,5:7", 5, each("learning_rate", 1e-3, 2e-3, 5e-3, 6e-3, 7e-3)),
    ("value=1k,2.5M,3u", 3, each("value", 1000, 2500000, 3e-6)),
    ("batch_size=(1:3,20)k", 4, each("batch_size", 1000, 2000, 3000, 20000)),
    ("value=(1,5)e-(1:3)", 6, each("value", 1e-1, 5e-1, 1e-2, 5e-2, 1e-3, 5e-3)),
    ("name=(cnn,vit)_(s,l)", 4, each("name", "cnn_s", "vit_s", "cnn_l", "vit_l")),
    ("value=log(1e-4:1e-1:4)", 4, each("value", 0.0001, 0.001, 0.01, 0.1)),
    ("value=lin(0:1:5)", 5, each("value", 0, 0.25, 0.5, 0.75, 1)),
    ("value=1,2|3,4", 2, each("value", 1, 2, 3, 4)),
    ("value=1|batch_size=2,3", 2, [{"value": 1, "batch_size": 1}, {"value": None, "batch_size": 2}, {"batch_size": 3}]),
    ("name,learning_rate=(sgd,0.1),(adam,1e-3)", 2,
     [{"name": "sgd", "learning_rate": 0.1}, {"name": "adam", "learning_rate": 1e-3}]),
    # An exponent that was written as one stays one, and is a float.
    ("value=1:2:e2", 2, each("value", 100.0, 200.0)),
    ("value=1.2e-3:1.4e-3:0.1e-3", 3, each("value", 1.2e-3, 1.3e-3, 1.4e-3)),
    # Several words: the last one varies fastest.
    ("model=cnn,vit seed=1:2", 4, [{"model.kind": kind, "model.depth": depth, "seed": seed}
                                   for kind, depth in (("cnn", 18), ("vit", 12)) for seed in (1, 2)]),
    # Texts: quoted, escaped, with colons.
    ("""name='quoted, text',"it's",'it\\'s',"a | b = 1:3" """, 4, each("name", "quoted, text", "it's", "it's", "a | b = 1:3")),
    ("name=x\\,y,'1:3','1k'", 3, each("name", "x,y", "1:3", "1k")),
    ("name=C:/x,http://h:80/x,repo:tag", 3, each("name", "C:/x", "http://h:80/x", "repo:tag")),
    # One value of each kind.
    ("layers=[64, 32] tags=[a,'b, c'] value={a: 1, b: [x, 1:3]} augment=true seed=null", 1,
     [{"layers": [64, 32], "tags": ["a", "b, c"], "value": {"a": 1, "b": ["x", "1:3"]}, "augment": True, "seed": None}]),
    ("layers=[1,2],[],[3] seed=null,7", 6, [{"layers": layers, "seed": seed} for layers in ([1, 2], [], [3]) for seed in (None, 7)]),
    ("value={a: 1, b: 2},{}", 2, each("value", {"a": 1, "b": 2}, {})),
    ("augment=true,false", 2, each("augment", True, False)),
    # Interpolations.
    ("name=${model.kind},${oc.env:NO_SUCH_VARIABLE,a_b}", 2, each("name", "cnn", "a_b")),
    # What Hydra sweeps itself is one task, and one or more runs.
    ("value=choice(1,2.0,x)", 1, each("value", 1, 2.0, "x")),
    ("value=range(1,4)", 1, each("value", 1, 2, 3)),
    ("seed=1:2 value=range(0,1,0.5)", 2, [{"seed": seed, "value": value} for seed in (1, 2) for value in (0.0, 0.5)]),
    ("value=sort(3,1,2)", 1, each("value", 1, 2, 3)),
    ("value=sort(3,1,2,reverse=true)", 1, each("value", 3, 2, 1)),
    ("value=tag(early,late,choice(1,2))", 1, each("value", 1, 2)),
    ("model=glob(*)", 1, each("model.kind", "cnn", "vit")),
    ("model=glob([c*,v*],exclude=c*)", 1, each("model.kind", "vit")),
    ("value=int(3.7),float(2),bool(1),str(x)", 4, each("value", 3, 2.0, True, "x")),
    # Prefixes, and words without a value.
    ("+extra.fresh=1:2", 2, each("extra", {"known": "default", "fresh": 1}, {"known": "default", "fresh": 2})),
    ("++extra.known=1:2 ++extra.fresh=x", 2, each("extra", {"known": 1, "fresh": "x"}, {"known": 2, "fresh": "x"})),
    ("~extra.known seed=1:2", 2, [{"extra": {}, "seed": seed} for seed in (1, 2)]),
    # Config groups, one of them named like a unit.
    ("db/engine=mysql,postgresql", 2, [{"db.engine.driver": "mysql", "db.engine.port": 3306},
                                       {"db.engine.driver": "postgresql", "db.engine.port": 5432}]),
    ("+db/engine@spare.engine=mysql,postgresql", 2, each("spare.engine.driver", "mysql", "postgresql")),
    ("+db/m=small,large", 2, each("db.m.storage", "small", "large")),
]
BATCH_ONLY = {sweep for sweep, _, _ in SWEEPS if re.match(r"\w+,|[^'\"]*\|", sweep)}  # args make no tasks
STEPS = [("batch", *row) for row in SWEEPS] + [("args", sweep, 1, runs) for sweep, _, runs in SWEEPS if sweep not in BATCH_ONLY]
# Hydra draws or samples these, leaves them to other sweepers, or knows them only in later versions.
PASSED_ON = ("value=interval(0,1)", "value=shuffle(1,2,3)", "value=shuffle(range(1,4))", "value=tag(a,interval(0,1))",
             "layers=extend_list(1,2)", "name=json_str({a: 1, b: 2})", "~db/engine", "~extra.known=1", "db/engine@spare=mysql")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Execute all sweeps as the steps of one job; return for each step its tasks, as status tells them."""
    folder = str(tmp_path_factory.mktemp("hydra") / "app")
    shutil.copytree(os.path.join(ROOT, "tests", "systems", "hydra_app"), folder)
    place_program(folder)
    lines = ["jobs:", "  train:", "    name: it's a name", "    run: $PYTHON app.py", "    max-parallel: 2", "    fail-fast: false",
             "    steps:"]
    for place, sweep, _, _ in STEPS:
        lines += [f"      - {place}: >-", f"          {sweep}"]
    with open(os.path.join(folder, "hydraflow.yaml"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    run("run", "train", "--quiet", cwd=folder, env={"PYTHON": sys.executable}, timeout=900)
    told = json.loads(run("status", "train", "--json", cwd=folder).out)["tasks"]
    return [[(folder, task) for task in told if task["step"] == number + 1] for number in range(len(STEPS))]


@functools.lru_cache(maxsize=None)
def parser():
    """Return Hydra's own parser of override words."""
    return OverridesParser.create()
def sweep_directory(folder, task):
    """Return the directory of a task, which must have succeeded."""
    with open(os.path.join(folder, task["log"]), encoding="utf-8") as file:
        assert task["state"] == "succeeded", f"{task['argv']}\n{file.read()}"
    words = [word for word in task["argv"] if word.startswith("hydra.sweep.dir=")]
    return os.path.join(folder, words[0].partition("=")[2])


def run_directories(task):
    """Return the directories of the runs below that of a task, in their order."""
    return [os.path.join(task, name) for name in sorted((name for name in os.listdir(task) if name.isdigit()), key=int)]


def typed(value):
    """Return a value such that equal texts mean equal values of equal types."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[f"{place}: {sweep}" for place, sweep, _, _ in STEPS])
def test_sweep(tasks, number):
    """The application gets the expected settings, in the expected order of tasks and runs."""
    _, _, count, expected = STEPS[number]
    assert len(tasks[number]) == count
    runs = [directory for task in tasks[number] for directory in run_directories(sweep_directory(*task))]
    assert len(runs) == len(expected)
    for directory, settings in zip(runs, expected):
        with open(os.path.join(directory, "result.json"), encoding="utf-8") as file:
            result = json.load(file)
        for key, value in settings.items():
            assert typed(functools.reduce(lambda node, name: node[name], key.split("."), result)) == typed(value), directory


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[f"{place}: {sweep}" for place, sweep, _, _ in STEPS])
def test_record_of_hydra(tasks, number):
    """Hydra wrote down the overrides of each run, and for each task how many runs its words make."""
    place, sweep, _, expected = STEPS[number]
    runs = iter(expected)
    for task in (sweep_directory(*task) for task in tasks[number]):
        recorded = OmegaConf.to_container(OmegaConf.load(os.path.join(task, "multirun.yaml")))["hydra"]
        assert recorded["sweep"]["dir"] == f"multirun/{os.path.basename(task)}"
        assert recorded["job"]["name"] == "it's a name"
        words = parser().parse_overrides(recorded["overrides"]["task"])
        if not re.search(r"glob\(", sweep):  # only with the files of the application can these be counted
            counts = [len(list(word.sweep_string_iterator())) if word.is_sweep_override() else 1 for word in words]
            assert math.prod(counts) == len(run_directories(task))
        if place == "batch" and not re.search(r"\w\(|\|", sweep):  # then nothing is left for Hydra to sweep over
            assert not any(word.is_sweep_override() for word in words)
        for directory in run_directories(task):
            settings = next(runs)
            overrides = parser().parse_overrides(list(OmegaConf.load(os.path.join(directory, ".hydra", "overrides.yaml"))))
            assert [word.key_or_group for word in overrides] == [word.key_or_group for word in words]
            for word in overrides:
                if word.key_or_group in settings and "${" not in str(word.value()):
                    assert plain(word.value()) == settings[word.key_or_group]


def plain(value):
    """Return a value of Hydra's parser as Python has it: without the quotes that it remembers."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return getattr(value, "text", value)


@pytest.mark.parametrize("word", PASSED_ON)
def test_what_is_hydras_stays_hydras(word):
    """Words that cannot be executed here reach Hydra to the letter."""
    assert list(hydraflow.expand(word)) == [(word,)]
    assert hydraflow.collect(word) == [word]


def test_missing_runs(tmp_path):
    """An application that leaves in its third run ends with status 0, and takes the rest of its runs along."""
    shutil.copytree(os.path.join(ROOT, "tests", "systems", "hydra_app"), str(tmp_path), dirs_exist_ok=True)
    place_program(tmp_path)
    (tmp_path / "hydraflow.yaml").write_text(
        "jobs: {train: {run: $PYTHON app.py, steps: [{args: 'name=a,b,leave,d,e'}, {args: seed=1:2}]}}", encoding="utf-8")
    result = run("run", "train", "--keep-going", cwd=str(tmp_path), env={"PYTHON": sys.executable})
    assert result.status == 1
    assert "task 1 failed: Hydra began 3 of 5 runs (" in result.err and "2 tasks: 1 succeeded, 1 failed, " in result.err
    told = json.loads(run("status", "train", "--json", cwd=str(tmp_path)).out)["tasks"]
    assert [(task["state"], task["cause"]) for task in told] == [("failed", "Hydra began 3 of 5 runs"), ("succeeded", None)]
    (tmp_path / "app.py").write_text((tmp_path / "app.py").read_text().replace("sys.exit(0)", "pass"), encoding="utf-8")
    result = run("run", "train", "--resume", cwd=str(tmp_path), env={"PYTHON": sys.executable})
    assert result.status == 0 and "2 tasks: 1 succeeded, 1 had succeeded before, " in result.err
