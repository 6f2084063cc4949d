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

from support import ROOT, StandIns

FOLDER = os.path.join(ROOT, "tests", "cases", "sessions")
class Sessions(StandIns):
    maxDiff = None

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
