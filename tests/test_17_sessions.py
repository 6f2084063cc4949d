"""Whole sessions: what somebody types, one command after the other in one folder, and every line that comes back.

A file of cases/sessions has commands behind "$ " (and "> " where one goes on), then what they print, and [STATUS] unless it is 0.
What differs from run to run is replaced by names. With HYDRAFLOW_RENEW=1 the files are written anew, to be read in the diff.
"""
import glob
import os
import re
import socket
import subprocess
import sys
import unittest

from support import ROOT, EmptyFolder

FOLDER = os.path.join(ROOT, "tests", "cases", "sessions")
PROGRAMS = {  # stand-ins: each notes how it was called, as a line of the file "asked"
    "hydraflow": 'exec PYTHON -m hydraflow "$@"',
    "asked": 'cat "$HERE/asked"; rm -f "$HERE/asked"',
    "elements": '. "$HERE/$1.sent"; shift; for slot; do env "$index=$slot" "$own=$job" sh "$script"; done',
    "accept": """name=$1; shift; n=$(($(cat "$HERE/count" 2>/dev/null || echo 100) + 1)); echo $n > "$HERE/count"
for last; do :; done
echo "job=$n script=$last index=$INDEX own=$OWN" > "$HERE/$n.sent"
echo "$name: $*" >> "$HERE/asked"; echo $n""",
    "sbatch": '[ ! -s "$HERE/asked" ] || ! mv "$HERE/refuse-later" "$HERE/refuse" 2>/dev/null; [ ! -e "$HERE/refuse" ] || { echo "sbatch: $(cat "$HERE/refuse")" >&2; exit 1; }; INDEX=SLURM_ARRAY_TASK_ID OWN=SLURM_ARRAY_JOB_ID accept sbatch "$@"',
    "squeue": 'echo "squeue: $*" >> "$HERE/asked"; [ ! -e "$HERE/down" ] || { echo "Connection refused" >&2; exit 1; }; cat "$HERE/queue" 2>/dev/null; true',
    "scancel": 'echo "scancel: $*" >> "$HERE/asked"',
    "scontrol": "echo 'MaxArraySize = 4'",
    "sacct": "exit 1",
    "qsub": '[ "$1" != --version ] || { echo GE 8.1.9; exit; }; INDEX=SGE_TASK_ID OWN=JOB_ID accept qsub "$@"',
    "qstat": 'echo "qstat: $*" >> "$HERE/asked"; cat "$HERE/queue" 2>/dev/null; true',
    "qdel": 'echo "qdel: $*" >> "$HERE/asked"',
    "qconf": "echo max_aj_tasks 10",
    "qacct": "exit 1",
}


class Sessions(EmptyFolder):
    maxDiff = None

    def setUp(self) -> None:
        super().setUp()
        os.mkdir(os.path.join(self.folder, "bin"))
        for name, script in PROGRAMS.items():
            self.write(f"bin/{name}", f"#!/bin/sh\nHERE={self.folder}\n{script.replace('PYTHON', sys.executable)}\n")
            os.chmod(os.path.join(self.folder, "bin", name), 0o755)
        paths = [os.path.join(self.folder, "bin"), os.environ["PATH"]]
        self.environment = {**os.environ, "PATH": os.pathsep.join(paths), "TZ": "UTC", "HYDRAFLOW_PYTHON": sys.executable, "COLUMNS": "80"}

    def told(self, command: str) -> str:
        """Return what a command prints, and its exit status unless it is 0, in words that are the same each time."""
        process = subprocess.run(["sh", "-c", command], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 env=self.environment, timeout=float(os.environ.get("HYDRAFLOW_PATIENCE", "120")))
        text = process.stdout.decode("utf-8")
        for pattern, name in (
                (re.escape(self.folder), "FOLDER"), (rf"{re.escape(os.path.basename(sys.executable))} -m hydraflow", "hydraflow"), (re.escape(sys.executable), "PYTHON"),
                (r"\b01[0-9A-HJKMNP-TV-Z]{24}\b", "RUN"), (rf"\b{re.escape(socket.gethostname())}\b", "HOST"), (r"\b20\d\d-\d\d-\d\d \d\d:\d\d\b", "DAY"),
                (r"\b\d\d:\d\d:\d\d\b", "TIME"), (r"(?<= )\d\d:\d\d\b", "HOUR"), (r"\b\d+\.\d s\b", "SECONDS"), (r"\b1[6-9]\d{8}(\.\d+)?\b", "MOMENT"), (r"\b(job|the_first)\.[0-9A-Z]{6}\b", r"\1.NAME"),
                (r"\bprocess \d+\b", "process PID"), (r"^[0-9A-Z]{8}  ", "LAST  "), (r"(\[\d+,\d+),\d+\]", r"\1,OFFSET]"), (r'"width":\d+', '"width":N'),
                (r"\b\d+\.\d MB", "SIZE"), (r"\b0\.(0\d*|\d{3,})\b", "FRACTION"),
                (r'"(started|ended)":\[[^]]*\]', r'"\1":[...]')):
            text = re.sub(pattern, name, text, flags=re.MULTILINE)
        text = re.sub(r"^(#     )?(exec|test -x) .*?( FOLDER|$)", r"\1\2 ...\3", text, flags=re.MULTILINE)  # another test has the script
        text = text if text[-1:] in ("", "\n") else text + "\n"
        return text + (f"[{process.returncode}]\n" if process.returncode else "")

    def follow(self, path: str) -> None:
        """Execute a session, and compare it as a whole."""
        with open(path, encoding="utf-8") as file:
            wanted = file.read()
        found = []
        for lines in re.findall(r"^\$ .*\n(?:> .*\n)*", wanted, re.MULTILINE):
            command = "".join(line[2:] + "\n" for line in lines.splitlines())
            found.append(lines + self.told(command))
        if os.environ.get("HYDRAFLOW_RENEW"):
            with open(path, "w", encoding="utf-8") as file:
                file.write("".join(found))
        self.assertEqual("".join(found).splitlines(), wanted.splitlines())


def session(path: str) -> "object":
    """Return the test of a session."""
    return lambda self: self.follow(path)


for found in sorted(glob.glob(os.path.join(FOLDER, "*.txt"))):
    setattr(Sessions, "test_" + os.path.basename(found)[:-len(".txt")].replace("-", "_"), session(found))


if __name__ == "__main__":
    unittest.main()
