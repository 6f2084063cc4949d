"""What people see: the program in a terminal that is emulated by pyte, and in a real tmux; and what it costs."""
import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import time

import pyte
import pytest
from support import run, wait_until

PROGRESS = re.compile(r"\[[#-]{20}\] \d+/\d+  \d+ running")


class Terminal:
    """The program in a terminal of its own; rows are what stands there, those that have scrolled away included."""

    def __init__(self, folder, *argv, columns=100, lines=24, **variables):
        self.master, slave = pty.openpty()
        self.screen = pyte.HistoryScreen(columns, lines, history=10000)
        self.stream, self.sent, self.seen = pyte.ByteStream(self.screen), b"", set()
        self.resize(columns, lines)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hydraflow", *argv], cwd=str(folder), stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm-256color", **variables})
        os.close(slave)

    def resize(self, columns, lines):
        """Change the size of the window."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        if (columns, lines) != (self.screen.columns, self.screen.lines):
            self.screen.resize(lines, columns)

    def read(self, seconds=0.05):
        """Take in what was written; return whether the terminal is still open."""
        if select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # all who had it open have ended
                return False
            self.sent += data
            self.stream.feed(data)
            self.seen.update(row for row in self.display() if PROGRESS.search(row))
        return True

    def display(self):
        """Return the rows of the window."""
        return [row.rstrip() for row in self.screen.display]

    def rows(self):
        """Return all rows, without empty ones at the end."""
        history = ["".join(row[column].data for column in range(max(row, default=-1) + 1)) for row in self.screen.history.top]
        rows = [row.rstrip() for row in history] + self.display()
        return rows[:max([index + 1 for index, row in enumerate(rows) if row], default=0)]

    def until(self, condition, seconds=30.0):
        """Read until something stands there."""
        limit = time.monotonic() + seconds
        while not condition(self.rows()):
            assert self.read() or condition(self.rows()), "\n".join(self.rows())
            assert time.monotonic() < limit, "\n".join(self.rows())

    def end(self):
        """Read to the end, and return the exit status."""
        while self.read(10.0):
            pass
        return self.process.wait()


def job(folder, code, batch="a=1", more=""):
    """Write a job whose tasks execute a Python program: code, in which word is its parameter."""
    head = "import os, sys, time\nword = sys.argv[1]\ndef wait(name):\n    while not os.path.exists(name): time.sleep(0.01)\n"
    (folder / "task.py").write_text(head + code, encoding="utf-8")
    (folder / "hydraflow.yaml").write_text(
        f"jobs:\n  job:\n    run: {shlex.quote(sys.executable)} task.py\n    hydra: false\n{more}    steps: [{{batch: '{batch}'}}]\n",
        encoding="utf-8")


def body(rows):
    """Return the rows above the summary."""
    return rows[:next(index for index, row in enumerate(rows) if re.match(r"[\d,]+ tasks?: ", row))]


def test_output_as_it_comes(folder):
    """Of one task, also a line that has not ended yet; the progress line stands below whole lines and leaves no trace."""
    job(folder, "print('first', flush=True); wait('go'); print('half', end='', flush=True); wait('on'); print(' whole'); print('last')")
    terminal = Terminal(folder, "run", "job")
    terminal.until(lambda rows: len(rows) == 2 and PROGRESS.search(rows[1]))
    assert re.fullmatch(r"\[-{20}\] 0/1  1 running  0:0\d", terminal.rows()[1])
    (folder / "go").touch()
    terminal.until(lambda rows: rows == ["first", "half"])
    (folder / "on").touch()
    assert terminal.end() == 0
    assert body(terminal.rows()) == ["first", "half whole", "last"]
    assert terminal.rows()[3].startswith("1 task: 1 succeeded") and not PROGRESS.search("\n".join(terminal.rows()))


@pytest.mark.parametrize("argv", [
    ("show",), ("show", "job"), ("run", "job", "--dry-run"), ("run", "job"), ("status", "job"), ("logs", "job"), ("results", "job"),
    ("expand", "a=\x1b]2;x\x07y,\x9b2Jz"), ("expand", "a=1:0\x1b[2J"), ("run", "\x1b[2J"), ("logs", "job", "a=\x1b[2J")], ids=" ".join)
def test_no_text_commands_the_terminal(folder, argv):
    """Neither a value, nor a variable, nor a word of the command line, wherever it is shown."""
    (folder / "hydraflow.yaml").write_text(
        "jobs:\n  job:\n    run: sh -c 'exit 1'\n    hydra: false\n    env: {X: \"\\e]2;x\\a\"}\n    steps: [{batch: \"a=\\e]2;x\\ay,\\u009b2Jz\"}]\n"
        .replace("'exit 1'", "'exit 1; : $0'"), encoding="utf-8")
    if argv[0] in ("status", "logs", "results"):
        run("run", "job", cwd=str(folder))
    terminal = Terminal(folder, *argv)
    terminal.end()
    assert terminal.sent and not re.search(rb"\x1b\]|\x1b\[2J|\x9b2J|\xc2\x9b|\x07", terminal.sent), terminal.sent


def test_bar_of_a_task_moves(folder):
    """A line that a task draws again and again, as tqdm does, stays one row and ends in its last state."""
    job(folder, "for n in range(5):\n    print(f'\\r{n * 25:3d}%|{\"#\" * n}', end='', flush=True)\n    wait(f'go{n}')\nprint()\nprint('done')")
    terminal = Terminal(folder, "run", "job")
    for number in range(5):
        terminal.until(lambda rows, number=number: rows and rows[0] == f"{number * 25:3d}%|{'#' * number}" and len(rows) == 1)
        (folder / f"go{number}").touch()
    assert terminal.end() == 0
    assert body(terminal.rows()) == ["100%|####", "done"]


def test_control_sequences_are_not_interpreted(folder):
    """Nothing of a task moves the cursor, clears the screen or sets a title; its colours stay, and end with the line."""
    codes = ["\x1b[2J\x1b[Hcleared", "\x1b]0;title\x07titled", "\x1b[31mred", "\x1b[5Aup", "bell\x07\x0e", "\x1bcreset", "\x9b2Jc1"]
    job(folder, f"print('before')\nfor code in {codes!r}: print(code)\nprint('after')")
    terminal = Terminal(folder, "run", "job")
    assert terminal.end() == 0
    assert body(terminal.rows()) == ["before", "cleared", "titled", "red", "up", "bell", "reset", "2Jc1", "after"]
    assert terminal.screen.title == ""
    colours = [terminal.screen.buffer[row][0].fg for row in range(9)]
    assert colours == ["default"] * 3 + ["red"] + ["default"] * 5


def test_through_a_pipe(folder):
    """Elsewhere than on a terminal: output to the byte, one plain line for each task, and no escape sequence."""
    job(folder, "sys.stdout.buffer.write(b'\\xff\\x1b[31mred\\x1b[m\\r\\n')", "a=1:3")
    process = subprocess.run([sys.executable, "-m", "hydraflow", "run", "job"], cwd=str(folder), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, check=True)
    assert process.stdout == b"\xff\x1b[31mred\x1b[m\r\n" * 3
    lines = process.stderr.decode("ascii").splitlines()
    assert [re.sub(r"\(.*\)", "()", line) for line in lines[1:4]] == [f"[{n} a={n}] succeeded ()  [{n}/3]" for n in (1, 2, 3)]
    assert lines[4].startswith("3 tasks: 3 succeeded, ") and lines[5].endswith("-m hydraflow results job") and len(lines) == 6 and b"\x1b" not in process.stderr


def test_ctrl_c(folder):
    """Typed in the terminal: the task gets it once, what it says is shown, the status is 130, nothing is left."""
    job(folder, "import signal\ndef stop(*_):\n    print('stopping'); sys.exit(1)\nsignal.signal(signal.SIGINT, stop)\n"
                "print('pid', os.getpid())\ntime.sleep(300)", "a=1:3")
    terminal = Terminal(folder, "run", "job")
    terminal.until(lambda rows: any(row.startswith("pid ") for row in rows) and PROGRESS.search(rows[-1]))
    pid = int(next(row.split()[1] for row in terminal.rows() if row.startswith("pid ")))
    os.write(terminal.master, b"\x03")
    assert terminal.end() == 130
    rows = terminal.rows()
    assert rows.count("stopping") == 1 and not any(PROGRESS.search(row) for row in rows)
    assert any(row.startswith("3 tasks: 1 interrupted, 2 not started") for row in rows), rows
    assert not os.path.exists(f"/proc/{pid}")
    told = json.loads(run("status", "job", "--json", cwd=str(folder)).out)
    assert [task["state"] for task in told["tasks"]] == ["interrupted", "not started", "not started"]


def test_sudden_end_of_the_terminal(folder):
    """Its window is closed: SIGHUP ends the task, and the record says so."""
    job(folder, "print('pid', os.getpid())\ntime.sleep(300)")
    terminal = Terminal(folder, "run", "job")
    terminal.until(lambda rows: any(row.startswith("pid ") for row in rows))
    os.close(terminal.master)
    terminal.process.wait(60)
    told = json.loads(run("status", "job", "--json", cwd=str(folder)).out)
    assert told["tasks"][0]["state"] == "interrupted"


PEAK = "import hydraflow, resource, sys; hydraflow.main(['run', 'job']); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"


def peak(folder, **options):
    """Return the most memory, in KiB, that the program took for a run, and what it wrote to standard error."""
    process = subprocess.run([sys.executable, "-c", PEAK], cwd=str(folder), stderr=subprocess.PIPE, check=True, **options)
    text = process.stderr.decode()
    return int(text.split()[-1]), text


def test_memory_stays_constant(folder):
    """An output of 1 GB in one line, and another one of many lines, cost no more memory than one of a few bytes."""
    results = []
    for code in ("print('x')", "block = b'x' * 1000000\nfor _ in range(1000): sys.stdout.buffer.write(block)",
                 "block = b'some line\\n' * 100000\nfor _ in range(1000): sys.stdout.buffer.write(block)"):
        job(folder, code)
        results.append(peak(folder, stdout=subprocess.DEVNULL)[0])
        size = sum(path.stat().st_size for path in folder.glob(".hydraflow/job/*/logs/0/1.log"))
        shutil.rmtree(str(folder / ".hydraflow"))
    assert size == 1000000000
    assert max(results) < results[0] + 4096, results


@pytest.mark.skipif(not shutil.which("tmux"), reason="not installed: tmux")
def test_in_tmux(folder):
    """A real terminal, that breaks lines anew when it is resized: the lines of the tasks stay, the summary comes last."""
    job(folder, "for n in range(8):\n    print(word, 'line', n)\n    wait(f'go{n // 4}')", "a=1:3")
    socket = f"hydraflow-{os.getpid()}"

    def tmux(*words):
        return subprocess.run(["tmux", "-L", socket, *words], stdout=subprocess.PIPE, check=True).stdout.decode()

    command = f"cd {shlex.quote(str(folder))} && {shlex.quote(sys.executable)} -m hydraflow run job; echo status $?; sleep 300"
    tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "20", command)
    try:
        wait_until(lambda: PROGRESS.search(tmux("capture-pane", "-p")))
        tmux("resize-window", "-x", "60", "-y", "30")
        (folder / "go0").touch()
        wait_until(lambda: "a=1 line 4\n" in tmux("capture-pane", "-p"))
        tmux("resize-window", "-x", "90", "-y", "25")
        (folder / "go1").touch()
        wait_until(lambda: "status 0" in tmux("capture-pane", "-p"))
        rows = tmux("capture-pane", "-p", "-S", "-100").rstrip().split("\n")
    finally:
        subprocess.run(["tmux", "-L", socket, "kill-server"], check=False)
    assert rows[:28] == ["3 tasks: a (3)"] + [row for task in range(1, 4) for row in (f"==> [{task} a={task}] <==", *(f"a={task} line {n}" for n in range(8)))]
    assert re.fullmatch(r"3 tasks: 3 succeeded, \d\.\d s", rows[28]) and rows[-1] == "status 0" and not any(map(PROGRESS.search, rows))
