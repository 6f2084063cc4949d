"""Whatever bytes a record holds, each command gives a state or one clear error, and signals nothing.

HYDRAFLOW_EXAMPLES is how many records are tried.
"""
import contextlib
import json
import os
import shutil
import signal
import tempfile
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import place_program, run

import hydraflow

JOB = """
jobs:
  job:
    run: sh -c 'echo loss=$0 | tr -d a=; test $0 != a=2'
    hydra: false
    steps: [{batch: 'a=1:3'}, {batch: 'b=1:2', submit: sh}]
"""
COMMANDS = (
    ["status", "job"], ["status", "job", "--json"], ["status", "job", "--all"], ["logs", "job"], ["logs", "job", "--failed"],
    ["results", "job", "loss", "--json"], ["report", "job", "loss"], ["run", "job", "--resume", "--dry-run"],
    ["run", "job", "--resume", "--reuse", "--dry-run"], ["run", "job", "--dry-run"], ["cancel", "job"], ["clean", "job", "--dry-run"],
    ["complete", "hydraflow logs job "],
)
EXAMPLES = max(150, int(os.environ.get("HYDRAFLOW_EXAMPLES", "0")))
SECONDS = 30  # for one command on a record of five tasks: more is a hang
VALUES = st.sampled_from(["0", "-1", "1e999", "99999999999999999999", "null", "true", "[]", "{}", '"x"', '"\\u0000"', '"\\ud800"', '"../../x"',
                          '"--option"', '"\\u001b[2J"', "[[]]", "NaN", "1.5"])


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with a run in which tasks have succeeded and failed, here and through a handler."""
    folder = tmp_path_factory.mktemp("records") / "folder"
    folder.mkdir()
    place_program(folder)
    (folder / "hydraflow.yaml").write_text(JOB, encoding="utf-8")
    assert run("run", "job", "--keep-going", cwd=str(folder)).status == 1
    states = json.loads(run("status", "job", "--json", cwd=str(folder)).out)["states"]
    assert (states["succeeded"], states["failed"]) == (4, 1)
    return folder


def record_files(folder):
    """Return the paths of what a record reads, those with something in them."""
    found = []
    for parent, folders, names in os.walk(os.path.join(str(folder), ".hydraflow", "job")):
        folders.sort()
        found += [os.path.join(parent, name) for name in sorted(names) if name != "hydraflow.py"]
    return [path for path in found if os.path.islink(path) or os.path.getsize(path)]


@st.composite
def edits(draw):
    """Draw what is done to one file: which of them, what, where, with what."""
    kind = draw(st.sampled_from(["value", "flip", "insert", "cut", "end", "repeat", "swap"]))
    what = draw(VALUES).encode() if kind == "value" else draw(st.binary(min_size=1, max_size=6))
    return draw(st.integers(0, 999)), kind, draw(st.floats(0, 1, exclude_max=True)), what


def edited(data, kind, place, what):
    """Return the bytes of a file after an edit."""
    at = int(place * len(data))
    if kind == "value":  # of JSON, whole: the file is still one
        colons = [index for index, byte in enumerate(data) if byte in b":,["]
        if not colons:
            return data
        begin = colons[int(place * len(colons))] + 1
        end = begin
        while end < len(data) and data[end] not in b",}]\n":
            end += 1
        return data[:begin] + what + data[end:]
    if kind == "flip":
        return data[:at] + what + data[at + len(what):]
    if kind == "insert":
        return data[:at] + what + data[at:]
    if kind == "cut":
        return data[:at] + data[at + 40:]
    if kind == "end":
        return data[:at]
    lines = data.split(b"\n")
    at = int(place * len(lines))
    if kind == "repeat":
        return b"\n".join(lines[:at] + [lines[at]] * 3 + lines[at + 1:])
    return b"\n".join(lines[at:] + lines[:at])


def edit(path, kind, place, what):
    """Edit a file of a record, or where a link leads."""
    if os.path.islink(path):
        data = edited(os.fsencode(os.readlink(path)), kind, place, what)
        os.unlink(path)
        os.symlink(data.replace(b"\0", b"") or b"-", os.fsencode(path))
        return
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(edited(data, kind, place, what))


def hang(number, frame):
    """Raise, as a command took too long."""
    raise AssertionError("a hang")


def noting(send, signals):
    """Return what asks whether processes are there as send does, and notes any other signal instead of sending it."""
    return lambda number, signal_number: signals.append((number, signal_number)) if signal_number else send(number, 0)


@contextlib.contextmanager
def in_folder(path):
    """Work in a folder, and let nothing take too long there."""
    before = os.getcwd()
    os.chdir(path)
    handler = signal.signal(signal.SIGALRM, hang)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        os.chdir(before)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(edits(), min_size=1, max_size=3), st.sampled_from(COMMANDS))
def test_any_bytes(template, capfd, changes, command):
    """No traceback, no hang, nothing signalled."""
    parent = tempfile.mkdtemp()
    try:
        folder = os.path.join(parent, "folder")
        shutil.copytree(str(template), folder, symlinks=True)
        paths = record_files(folder)
        for number, kind, place, what in changes:
            edit(paths[number % len(paths)], kind, place, what)
        signals = []
        with in_folder(folder), mock.patch("os.kill", noting(os.kill, signals)), mock.patch("os.killpg", noting(os.killpg, signals)):
            status = hydraflow.main(command)
        assert not signals
        out, err = capfd.readouterr()
        assert status in (0, 1, 2), (command, out, err)
        assert status == 0 or err.strip() or command[0] == "complete", (command, status, out, err)
        assert "\x1b[2J" not in out + err
    finally:
        shutil.rmtree(parent)
