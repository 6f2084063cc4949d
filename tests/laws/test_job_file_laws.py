"""Any mapping is a job file that can be planned, or has mistakes with places; old spellings mean the same as new ones.

HYDRAFLOW_EXAMPLES=100000 looks longer.
"""
import json
import os
import subprocess
import sys
import tempfile

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hydraflow

EXAMPLES = int(os.environ.get("HYDRAFLOW_EXAMPLES", "0"))
SCHEMA = json.loads(subprocess.check_output([sys.executable, hydraflow.__file__, "schema"]))
OLD = {"steps": "sets", "batch": "each", "args": "all", "with": "add"}


def examples(count):
    return settings(max_examples=max(count, EXAMPLES), deadline=None, suppress_health_check=list(HealthCheck), database=None)


def load_text(text):
    """The jobs of a job file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "hydraflow.yaml")
        with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
        return hydraflow.load(path)


def jobs_of(mapping, dump=json.dumps):
    return load_text(dump(mapping))


# ---- Any mapping

SWEEPS = st.sampled_from(["a=1,2", "a=2", "a=1:3 b=x,y", "c='x y' -v", "", "hydra/launcher=joblib", "a=(1,2)k"])
ARGS = st.sampled_from(["d=1,2", "e='x y' -v", "", "f=(1,2)k g=1:3"])  # no key of SWEEPS
WRONG_SWEEPS = st.sampled_from(["a=1:", "a=(1", "a=1|2", "a,b=(1,2),(3,4)", "b=x", "a=${{ env.X }}"])
COMMANDS = st.sampled_from(["python train.py", "package.function x", "sbatch --mem 1", "${{ job.name }}"])
WRONG_COMMANDS = st.sampled_from(["echo ${{ matrix.a }}", "x '", "$HYDRAFLOW_UNSET y", "A=1 x", "x | y", "${{", ""])
SCALARS = (st.none() | st.booleans() | st.integers(-2, 3) | st.floats(allow_nan=False) | SWEEPS | WRONG_SWEEPS | COMMANDS | WRONG_COMMANDS
           | st.text(max_size=6))
KEYS = st.sampled_from([*SCHEMA["$defs"]["job"]["properties"], *SCHEMA["$defs"]["step"]["properties"], "stesp", "x-y", "jobs"]) | st.text(max_size=3)
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6)


def files(is_right):
    """Job files; in those that are not right, each part is wrong now and then, and any key with any value may stand beside the others."""
    def mostly(right, wrong):
        return right if is_right else right | right | right | wrong

    def mappings(needed, **likely):
        likely = {key.rstrip("_").replace("_", "-"): value for key, value in likely.items()}
        right, wrong = st.fixed_dictionaries(needed, optional=likely), st.dictionaries(KEYS, ANYTHING, min_size=1, max_size=1)
        return mostly(right, st.builds(lambda right, wrong: {**right, **wrong}, right, wrong))

    sweeps, commands = mostly(SWEEPS, WRONG_SWEEPS), mostly(COMMANDS, WRONG_COMMANDS)
    some_sweeps = sweeps | st.lists(sweeps, max_size=2)
    environments = st.dictionaries(mostly(st.sampled_from(["X", "Y_1"]), st.just("1")), SCALARS, max_size=2)
    steps = mappings({}, batch=sweeps, args=ARGS, with_=mostly(st.just("-v"), sweeps), env=environments, run=commands,
                     include=some_sweeps) | mappings(
        {"batch": st.just("a=1,2")}, exclude=mostly(st.sampled_from(["a=1", ["a=2"]]), some_sweeps), name=st.just("s"), submit=commands)
    jobs = mappings({"run": commands}, submit=commands, steps=st.lists(steps, min_size=int(is_right), max_size=3), hydra=st.booleans(),
                    env=environments) | mappings(
        {"call": mostly(st.sampled_from(["package.function x", "a.b"]), WRONG_COMMANDS)}, needs=mostly(st.just([]), st.sampled_from(["x", ["y", "z"]])), retries=mostly(st.integers(0, 9), st.just(-1)),
        timeout_minutes=mostly(st.floats(0.1, 9), st.just(0)), fail_fast=st.booleans(), max_parallel=mostly(st.integers(1, 9), st.just(0)),
        working_directory=commands)
    names = mostly(st.sampled_from("xyz"), st.text(max_size=2))
    return mappings({"jobs": st.dictionaries(names, mostly(jobs, ANYTHING), min_size=int(is_right), max_size=2)})


FILES = files(True) | files(False)


@examples(600)
@given(FILES | st.dictionaries(KEYS, ANYTHING, max_size=3), st.sampled_from([json.dumps, yaml.safe_dump]))
def test_any_mapping_is_jobs_or_mistakes_with_places(mapping, dump):
    lines = dump(mapping).split("\n")
    try:
        for job in jobs_of(mapping, dump).values():
            plan = hydraflow.plan(job)
            assert len(list(plan)) == plan.count
    except hydraflow.Error as error:
        for one in getattr(error, "errors", [error]):
            assert 1 <= one.line <= len(lines) and 1 <= one.column <= len(lines[one.line - 1]) + 1, repr(one)
            assert one.message in str(error)
def test_many_of_these_mappings_are_jobs():
    """Otherwise the test above would show little."""
    seen = []

    @settings(examples(200), derandomize=True)
    @given(FILES)
    def look(mapping):
        try:
            seen.append(bool(jobs_of(mapping)))
        except hydraflow.Error:
            seen.append(False)

    look()
    assert len(seen) // 4 < sum(seen) < len(seen) * 3 // 4


# ---- Old spellings

def words(prefix):
    """Words of a sweep whose keys begin so: a step assigns each key once."""
    return st.lists(st.sampled_from(["a=1,2", "b=1:3", "c='x y',z", "d=[1,2]", "e/m=1,2", "-v"]), min_size=1, max_size=3, unique=True).map(
        lambda some: " ".join(word if word == "-v" else prefix + word for word in some))


WORDS = words("")
RIGHT_STEP = st.fixed_dictionaries({"batch": words("+x")}, optional={"args": words("y"), "with": words("z"), "name": st.just("s")})
RIGHT_JOB = st.fixed_dictionaries({"run": st.just("python x.py"), "steps": st.lists(RIGHT_STEP, min_size=1, max_size=3)}, optional={"with": WORDS, "hydra": st.booleans()})


def in_old_words(value):
    """Return the same job in the spellings of HydraFlow 0.16 and later."""
    if isinstance(value, list):
        return [in_old_words(item) for item in value]
    return {OLD.get(key, key): in_old_words(item) for key, item in value.items()} if isinstance(value, dict) else value


def tasks_of(job):
    return [task._replace(argv=(), directory="") for task in hydraflow.plan(jobs_of({"jobs": {"x": job}})["x"])]  # both hold a new ULID


@examples(150)
@given(RIGHT_JOB)
def test_old_spellings_mean_the_same(job):
    assert in_old_words(job) != job
    assert tasks_of(in_old_words(job)) == tasks_of(job) != []


@pytest.mark.parametrize("new", OLD)
def test_both_spellings_at_once_are_an_error(new):
    value = [{"batch": "a=1"}] if new == "steps" else "a=1"
    job = {"run": "x", new: value, OLD[new]: value} if new in ("steps", "with") else {"run": "x", "steps": [{new: value, OLD[new]: value}]}
    with pytest.raises(hydraflow.Error) as caught:
        jobs_of({"jobs": {"x": job}})
    assert caught.value.code == "duplicate-key"


def test_the_command_of_a_submit_job_may_stand_under_with():
    job = {"submit": "sbatch", "steps": [{"batch": "a=1,2"}]}
    assert tasks_of({**job, "with": "python x.py"}) == tasks_of({**job, "run": "python x.py"})
    assert tasks_of({**job, "with": "python x.py ${{ job.name }}"}) == tasks_of({**job, "run": "python x.py ${{ job.name }}"})
    assert tasks_of({**job, "with": "b=${{ job.name }}"})[0].key == ("--multirun", "a=1", "b=x")
