"""Completion in real shells: what stands in the terminal when somebody presses TAB in bash, zsh and fish."""
import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import time

import pyte
import pytest
from support import ROOT, place_program, run

ROWS, COLUMNS = 50, 120
SHELLS = {  # command, file that it reads at its start, what stands there before the line that HydraFlow tells to put there
    "bash": (["bash", "--noprofile", "--rcfile", "home/.bashrc", "-i"], ".bashrc", "PS1='ready> '\n"),
    "zsh": (["zsh", "-d", "-i"], ".zshrc", "PS1='ready> '\nautoload -Uz compinit && compinit -u\n"),
    "fish": (["fish"], ".config/fish/config.fish", "set -g fish_greeting\nfunction fish_prompt; echo 'ready> '; end\n"),
}
JOBS = """\
jobs:
  train:
    run: 'true'
    hydra: false
    steps:
      - batch: model=transformer,lstm learning_rate=0.1,0.01 image=repo:old,repo:new
        args: optimizer=adam,sgd
  evaluate: {run: 'true', hydra: false, steps: [{batch: 'data=alpha,beta'}]}
"""
CASES = (  # what is typed before TAB, what then stands in the window, what does not
    ("hydraflow ", ["hydraflow", "run", "show", "status", "results", "completion", "-C", "--version"], ["train"]),
    ("hydraflow sta", ["hydraflow status"], ["schema"]),
    ("hydraflow run ", ["evaluate", "train"], ["other", "model="]),
    ("hydraflow run ev", ["hydraflow run evaluate"], ["train"]),
    ("hydraflow run train --re", ["--resume", "--retries", "--reuse"], ["--sample"]),
    ("hydraflow logs train --fo", ["hydraflow logs train --follow"], []),
    ("hydraflow run train lear", ["hydraflow run train learning_rate="], ["model"]),
    ("hydraflow run train learning_rate=0.", ["0.1", "0.01"], ["lstm"]),
    ("hydraflow run train model=tr", ["hydraflow run train model=transformer"], []),
    ("hydraflow run train image=repo:o", ["hydraflow run train image=repo:old"], ["repo:repo"]),
    ("hydraflow run train optimizer=", ["adam", "sgd"], ["lstm"]),
    ("hydraflow run evaluate data=", ["alpha", "beta"], ["adam"]),
    ("hydraflow -f other.yaml run ot", ["hydraflow -f other.yaml run other"], []),
    ("hydraflow -C sub run in", ["hydraflow -C sub run inner"], []),
    ("hydraflow -f oth", ["hydraflow -f other.yaml"], []),
    ("hydraflow completion ", ["bash", "fish", "zsh"], ["train"]),
    ("hydraflow completion f", ["hydraflow completion fish"], []),
)


class Shell:
    """An interactive shell in a terminal that pyte emulates, in a folder with job files and hydraflow on its PATH."""

    def __init__(self, name, folder):
        command, start, text = SHELLS[name]
        path = folder / "home" / start
        path.parent.mkdir(parents=True)
        told = run("completion", name, cwd=str(folder)).out.split("\n")[0]
        path.write_text(text + told.partition(":  ")[2] + "\n", encoding="utf-8")
        home = str(folder / "home")
        environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "TERM": "xterm", "HOME": home, "ZDOTDIR": home,
                       "XDG_CONFIG_HOME": f"{home}/.config", "XDG_DATA_HOME": f"{home}/.local"}
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.process = subprocess.Popen(
            command, cwd=str(folder), stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def read(self, seconds):
        """Take in what the shell writes until it has been silent for so long; return the rows of the window."""
        while select.select([self.master], [], [], seconds)[0]:
            self.stream.feed(os.read(self.master, 65536))
        return [row.rstrip() for row in self.screen.display if row.strip()]

    def until(self, condition):
        """Read until the rows of the window are such, and return them."""
        limit = time.monotonic() + float(os.environ.get("HYDRAFLOW_PATIENCE", "120"))
        rows = self.read(0.1)
        while not condition(rows):
            assert time.monotonic() < limit, "\n".join(rows)
            rows = self.read(0.1)
        return rows

    def type(self, text):
        """Press keys."""
        os.write(self.master, text.encode("utf-8"))

    def end(self):
        """End the shell, and what it has begun."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture(params=list(SHELLS))
def shell(request, tmp_path):
    """A shell in which the line has been loaded that HydraFlow tells to put into its start file."""
    if not shutil.which(request.param):
        pytest.skip(f"not installed: {request.param}")
    place_program(tmp_path)
    (tmp_path / "hydraflow.yaml").write_text(JOBS, encoding="utf-8")
    (tmp_path / "other.yaml").write_text("jobs: {other: {run: 'true'}}\n", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "hydraflow.yaml").write_text("jobs: {inner: {run: 'true'}}\n", encoding="utf-8")
    (tmp_path / "bin").mkdir()
    entry = tmp_path / "bin" / "hydraflow"  # as pip writes it
    entry.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {ROOT!r})\nimport hydraflow\nsys.exit(hydraflow.main())\n",
                     encoding="utf-8")
    entry.chmod(0o755)
    found = Shell(request.param, tmp_path)
    found.name = request.param
    yield found
    found.end()
def stands(word, rows):
    """Return whether a window shows a word, or the end of it where the shell leaves out what it has in common with others."""
    return any(word in row for row in rows) if " " in word else any(shown.endswith(word) for shown in " ".join(rows).split())


def test_tab(shell):
    """What is typed is completed where one word fits, and all that fit are listed where several do."""
    shell.until(lambda rows: rows[-1:] == ["ready>"])
    for typed, appear, absent in CASES:
        shell.type(f"{typed}\t")
        if shell.name == "bash" and len(appear) > 1:
            shell.type("\t")  # which lists where the first one finds nothing to add
        rows = shell.until(lambda rows, appear=appear: all(stands(word, rows) for word in appear))
        assert not [word for word in absent if stands(word, rows)], rows
        shell.type("\x03")
        shell.until(lambda rows: rows[-1:] == ["ready>"])
        shell.type("\x0c")
        shell.until(lambda rows: rows == ["ready>"])
