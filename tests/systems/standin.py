#!/usr/bin/env python3
"""Stand-ins for the commands of PBS and LSF: they check what they are given against the manuals, and execute the elements.

The first word decides which: qsub, qstat, qdel, qmgr (PBS Professional and OpenPBS, qsub(1B) and its
neighbours) or bsub, bjobs, bkill, bparams (LSF, the command reference). STANDIN_DIR is the directory of the state:
of each job spec.json, which never changes, and a file for each element with its state and process. A process for each
job starts its elements, with their throttle, when what they depend on has ended. What a manual does not know is refused.
"""
import getopt
import json
import os
import re
import signal
import subprocess
import sys
import time

NAME = sys.argv.pop(1) if len(sys.argv) > 1 else ""
STATE = os.environ.get("STANDIN_DIR", "")
SERVER = "standin"


def refuse(message, status=2):
    """Say what is wrong as the command would, and end."""
    sys.stderr.write(f"{message}\n")
    sys.exit(status)


def options_of(letters):
    """Return the options, as a list of pairs, and the operands."""
    try:
        return getopt.getopt(sys.argv[1:], letters)
    except getopt.GetoptError as error:
        return refuse(f"{NAME}: illegal option -- {error.opt}\nusage: {NAME} ...")


def write(path, text):
    """Replace a file in one piece."""
    with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(f"{path}.{os.getpid()}", path)


def folder(number):
    """Return the directory of a job."""
    return os.path.join(STATE, str(number))


def load(number):
    """Return the specification of a job, or nothing."""
    try:
        with open(os.path.join(folder(number), "spec.json"), encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        return None


def jobs():
    """Return the numbers of all jobs."""
    return sorted(int(name) for name in os.listdir(STATE) if name.isdigit() and load(name))


def elements(number):
    """Return for each index of a job (state, process, exit status); states are Q, R and F."""
    found = dict.fromkeys(load(number)["indices"], ("Q", 0, 0))
    for index in found:
        try:
            with open(os.path.join(folder(number), f"element-{index}"), encoding="utf-8") as file:
                state, pid, status = file.read().split()
                found[index] = state, int(pid), int(status)
        except OSError:
            pass
    return found


def tell(number, index, state, pid=0, status=0):
    """Write down the state of an element."""
    write(os.path.join(folder(number), f"element-{index}"), f"{state} {pid} {status}")


def accept(spec):
    """Keep a job, start the process that executes it, and return its number."""
    number = 101
    while True:
        try:
            os.makedirs(folder(number))
            break
        except FileExistsError:
            number += 1
    if spec["is_held"]:
        write(os.path.join(folder(number), "held"), "")
    write(os.path.join(folder(number), "spec.json"), json.dumps(spec))
    subprocess.Popen([sys.executable, os.path.abspath(__file__), "execute", str(number)], stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    return number


def verdict(spec):
    """Return whether the dependencies of a job hold: True, False (never any more) or None (not yet)."""
    results = []
    for kind, number in spec["after"]:
        states = elements(number).values()
        if any(state != "F" for state, _, _ in states):
            results.append(None)
        else:
            results.append(kind in ("afterany", "ended") or not any(status for _, _, status in states))
    return False if False in results else None if None in results else True


def execute(number):
    """Be the scheduler of one job."""
    spec = load(number)
    deleted = os.path.join(folder(number), "deleted")
    while (verdict(spec) is None or is_held(number)) and not os.path.exists(deleted):
        time.sleep(0.05)
    if verdict(spec) is False:
        if spec["system"] == "lsf" and not spec["is_orphan_ended"]:  # it stays pending, until somebody ends it
            write(os.path.join(folder(number), "never"), "")
            return
        write(deleted, "")  # qsub(1B), afterok: what can't begin any more is deleted; bsub -ti
    waiting, running = list(spec["indices"]), {}
    while waiting or running:
        for index in list(waiting):
            if os.path.exists(deleted) or os.path.exists(f"{deleted}-{index}"):
                tell(number, index, "F", 0, 271)
                waiting.remove(index)
        while waiting and len(running) < (spec["throttle"] or 64):
            index = waiting.pop(0)
            with open(spec["output"].replace("^array_index^", str(index)).replace("%I", str(index)).replace("%J", str(number)), "ab") as out:
                running[index] = subprocess.Popen(spec["argv"], cwd=spec["cwd"], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                                  env=variables(spec, number, index), start_new_session=True)
            tell(number, index, "R", running[index].pid)
        for index, process in list(running.items()):
            if process.poll() is not None:
                del running[index]
                tell(number, index, "F", process.pid, process.returncode if process.returncode >= 0 else 128 - process.returncode)
        time.sleep(0.02)


def variables(spec, number, index):
    """Return the environment of an element."""
    if spec["system"] == "pbs":
        own = {"PBS_ENVIRONMENT": "PBS_BATCH", "PBS_O_WORKDIR": spec["workdir"], "PBS_JOBNAME": spec["name"]}
        if spec["array"]:
            own.update(PBS_ARRAY_INDEX=str(index), PBS_ARRAY_ID=f"{number}[].{SERVER}", PBS_JOBID=f"{number}[{index}].{SERVER}")
        else:
            own.update(PBS_JOBID=f"{number}.{SERVER}")
    else:
        own = {"LSB_JOBID": str(number), "LSB_JOBINDEX": str(index), "LSB_JOBNAME": f"{spec['name']}[{index}]"}
    return {**spec["env"], **own}


def is_held(number):
    """Return whether somebody holds a job."""
    return os.path.exists(os.path.join(folder(number), "held"))


def release(number):
    """Let go of a job that is held."""
    if not is_held(number):
        refuse(f"{NAME}: {number} is not held", 255)
    os.unlink(os.path.join(folder(number), "held"))


def end_elements(number, only=0):
    """Delete a job, or one element: SIGTERM to all processes of the sessions of its elements, and SIGKILL to what is left (qdel(1B))."""
    write(os.path.join(folder(number), f"deleted-{only}" if only else "deleted"), "")
    if os.path.exists(os.path.join(folder(number), "never")):
        for index in load(number)["indices"]:
            tell(number, index, "F", 0, 255)
    for signum, seconds in ((signal.SIGTERM, float(os.environ.get("STANDIN_GRACE", "3"))), (signal.SIGKILL, 1.0)):
        limit = time.monotonic() + seconds
        sent = set()
        while time.monotonic() < limit:
            pids = session_members({pid for index, (state, pid, _) in elements(number).items() if state == "R" and only in (0, index)})
            if not pids:
                return
            for pid in sorted(pids - sent):  # in the order in which the system lists them
                try:
                    os.kill(pid, signum)
                except ProcessLookupError:
                    pass
            sent |= pids
            time.sleep(0.05)


def session_members(leaders):
    """Return the processes of some sessions: field 6 of /proc/PID/stat."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(fields[3]) in leaders and fields[0] != b"Z":
                found.add(int(name))
    return found


# ---- PBS

def pbs_number(text, must_exist=True):
    """Return the number of a job identifier: 12 or 12.server of a plain job, 12[] or 12[].server of an array, 12[3] of a subjob."""
    match = re.fullmatch(r"(\d+)(\[\d*\])?(\.\w+)?", text)
    spec = load(match.group(1)) if match else None
    if not spec or spec["system"] != "pbs" or spec["array"] != bool(match.group(2)):
        return refuse(f"{NAME}: Unknown Job Id {text}", 153) if must_exist else 0
    return int(match.group(1))


def qsub():
    """qsub(1B)."""
    if sys.argv[1:] == ["--version"]:
        print("pbs_version = 20.0.1")
        return
    options, operands = options_of("a:A:c:C:e:fhj:J:k:l:m:M:N:o:p:P:q:r:R:S:u:v:VW:z")
    given = dict(options)
    name = given.get("-N", "STDIN")
    limit = int(os.environ.get("STANDIN_LIMIT", "10000"))
    if not re.fullmatch(r"[A-Za-z][\w.+-]{0,14}", name):  # 15 characters up to PBS 12, 236 later
        refuse(f"qsub: illegal -N value {name}")
    if given.get("-q", "workq") != "workq":
        refuse("qsub: Unknown queue", 170)
    if given.get("-j", "oe") not in ("oe", "eo", "n") or "-S" in given and not given["-S"].startswith("/"):
        refuse("qsub: illegal -j or -S value")
    indices, throttle = [1], 0
    if "-J" in given:
        match = re.fullmatch(r"(\d+)-(\d+)(?::(\d+))?(?:%(\d+))?", given["-J"])
        if not match or int(match[1]) >= int(match[2]):  # X must be less than Y
            refuse("qsub: illegal -J value")
        indices, throttle = list(range(int(match[1]), int(match[2]) + 1, int(match[3] or 1))), int(match[4] or 0)
        if len(indices) > limit:
            refuse("qsub: Array job exceeds server or queue size limit")
    after = []
    for attribute in [value for key, value in options if key == "-W"]:
        match = re.fullmatch(r"depend=(afterok|afterany|afternotok|after)((?::[\w\[\].]+)+)", attribute)
        if not match:
            refuse("qsub: illegal -W value")
        after += [(match[1], pbs_number(one)) for one in match[2][1:].split(":")]
    if len(operands) != 1 or not os.path.isfile(operands[0]):
        refuse(f"qsub: script file:: No such file or directory {operands}")
    if "^array_index^" in given.get("-o", "") and "-J" not in given:
        refuse("qsub: ^array_index^ without an array")
    home = os.path.expanduser("~")
    number = accept({
        "system": "pbs", "name": name, "is_held": "-h" in given, "array": "-J" in given, "indices": indices, "throttle": throttle, "after": after,
        "output": given.get("-o", os.devnull), "cwd": home, "workdir": os.getcwd(),
        "argv": [given.get("-S", "/bin/sh"), "-c", open(operands[0], encoding="utf-8").read()],  # a copy, as of now
        "env": dict(os.environ) if "-V" in given else {"PATH": "/bin:/usr/bin", "HOME": home, "LANG": "C"}})
    print(f"{number}{'[]' if '-J' in given else ''}.{SERVER}")


def qstat():
    """qstat(1B), with -t, or -f of one job that is held."""
    options, operands = options_of("tanrsfu:w")
    numbers = [pbs_number(one, must_exist=False) for one in operands] if operands else jobs()
    if ("-f", "") in options:
        print(f"Job Id: {operands[0]}.{SERVER}\n    job_state = H\n    Hold_Types = u\n    comment = held by its\n\t owner\n    substate = 20")
        return
    print("Job id            Name             User              Time Use S Queue")
    print("----------------  ---------------- ----------------  -------- - -----")
    for number in filter(None, numbers):
        spec, states = load(number), elements(number)
        ended = all(state == "F" for state, _, _ in states.values())
        if ended:
            continue
        rows = [(f"[{index}]", {"F": "X"}.get(state, state)) for index, (state, _, _) in states.items()]
        if spec["array"]:
            rows.insert(0, ("[]", "B" if any(state == "R" for state, _, _ in states.values()) else "Q"))
        else:
            rows = [("", rows[0][1])]
        for part, state in rows:
            if state == "Q" and (verdict(spec) is None or is_held(number)):
                state = "H"
            print(f"{str(number) + part + '.' + SERVER:17} {spec['name'][:16]:16} {'somebody':17} {'00:00:00':>8} {state} workq")
    for text, number in zip(operands, numbers):
        if not number:
            refuse(f"qstat: Unknown Job Id {text}", 153)
        if all(state == "F" for state, _, _ in elements(number).values()):
            if not os.environ.get("STANDIN_HISTORY"):  # the server attribute job_history_enable, off where nobody sets it
                refuse(f"qstat: Unknown Job Id {text}", 153)
            refuse(f"qstat: {text} Job has finished, use -x or -H to obtain historical job information", 35)


def qdel():
    """qdel(1B)."""
    for text in options_of("W:x")[1]:
        number, index = pbs_number(text), re.search(r"\[(\d+)\]", text)
        index = int(index[1]) if index else 0
        if all(state == "F" for one, (state, _, _) in elements(number).items() if index in (0, one)):
            refuse(f"qdel: Job has finished {text}", 35)
        end_elements(number, index)


def qrls():
    """qrls(1B)."""
    for text in options_of("h:")[1]:
        release(pbs_number(text))


def qmgr():
    """qmgr(8B), for one question."""
    if sys.argv[1:] != ["-c", "print server"]:
        refuse("qmgr: illegal request")
    limit = os.environ.get("STANDIN_LIMIT", "10000")
    print(f"#\n# Set server attributes.\n#\nset server scheduling = True\nset server max_array_size = {limit}")


# ---- LSF

def bsub():
    """bsub: options, then the words of a command, which a shell gets joined."""
    options, words = options_of("HJ:o:e:rw:t:q:n:W:M:R:P:m:")
    given = dict(options)
    if "-t" in given and (given["-t"] != "i" or "-w" not in given):
        refuse("Illegal option -t. Job not submitted.", 255)
    if given.get("-q", "normal") != "normal":
        refuse(f"{given['-q']}: No such queue. Job not submitted.", 255)
    match = re.fullmatch(r"([A-Za-z][\w.-]*)\[(\d+)-(\d+)\](?:%(\d+))?", given.get("-J", ""))
    if not match or int(match[2]) > int(match[3]):
        refuse("Bad job name. Job not submitted.", 255)
    if int(match[3]) - int(match[2]) >= int(os.environ.get("STANDIN_LIMIT", "1000")):
        refuse("Job array index too large. Job not submitted.", 255)
    after = []
    for condition in filter(None, given.get("-w", "").split(" && ")):
        one = re.fullmatch(r"(done|ended)\((\d+)\)", condition)
        if not one or not load(one[2]):
            refuse("Dependency condition syntax error. Job not submitted.", 255)
        after.append((one[1], int(one[2])))
    if not words:
        refuse("Empty job. Job not submitted.", 255)
    number = accept({
        "system": "lsf", "is_held": "-H" in given, "is_orphan_ended": "-t" in given, "name": match[1], "array": True, "indices": list(range(int(match[2]), int(match[3]) + 1)),
        "throttle": int(match[4] or 0), "after": after, "output": given.get("-o", os.devnull), "cwd": os.getcwd(),
        "argv": ["/bin/sh", "-c", " ".join(words)], "env": dict(os.environ)})
    print(f"Job <{number}> is submitted to default queue <normal>.")


def bjobs():
    """bjobs, as it is, and with the one output format that is asked for."""
    if not sys.argv[1:]:
        print("\n".join(f"{number} somebody" for number in jobs() if any(state != "F" for state, _, _ in elements(number).values())))
        return
    if sys.argv[1:5] != ["-a", "-noheader", "-o", "jobid jobindex stat pend_reason delimiter='|'"]:
        refuse("bjobs: illegal option", 255)
    status = 0
    for number in sys.argv[5:]:
        spec = load(number)
        if not spec:
            sys.stderr.write(f"Job <{number}> is not found\n")
            status = 255
            continue
        never = os.path.exists(os.path.join(folder(number), "never"))
        reason = "Dependency condition invalid or never satisfied" if never else "Job dependency condition not satisfied"
        for index, (state, _, ended) in elements(number).items():
            if state == "Q" and is_held(number):
                print(f"{number}|{index}|PSUSP|The job was suspended by the user while pending")
            elif state == "Q":
                print(f"{number}|{index}|PEND|{reason if spec['after'] else 'New job is waiting for scheduling'}")
            else:
                print(f"{number}|{index}|{'RUN' if state == 'R' else 'EXIT' if ended else 'DONE'}| -")
    sys.exit(status)


def bkill():
    """bkill: of an array, all elements, or one: 7[3]."""
    for text in options_of("s:r")[1]:
        match = re.fullmatch(r"(\d+)(?:\[(\d+)\])?", text)
        if not match or not load(match[1]):
            refuse(f"Job <{text}>: No matching job found", 255)
        number, index = int(match[1]), int(match[2] or 0)
        if all(state == "F" for one, (state, _, _) in elements(number).items() if index in (0, one)):
            refuse(f"Job <{text}>: Job has already finished", 255)
        end_elements(number, index)
        print(f"Job <{text}> is being terminated")


def bresume():
    """bresume: what was suspended before it began may begin."""
    for number in options_of("")[1]:
        release(int(number))


def bparams():
    """bparams -a."""
    print(f"MAX_JOB_ARRAY_SIZE = {os.environ.get('STANDIN_LIMIT', '1000')}")


def stop():
    """End everything, at the end of a test."""
    for number in jobs():
        end_elements(number)


if __name__ == "__main__":
    if NAME == "execute":
        execute(int(sys.argv[1]))
    else:
        {"qsub": qsub, "qstat": qstat, "qdel": qdel, "qrls": qrls, "qmgr": qmgr, "bsub": bsub, "bjobs": bjobs, "bkill": bkill,
         "bresume": bresume, "bparams": bparams, "stop": stop}[NAME]()
