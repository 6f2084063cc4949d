"""Results of real Hydra: its run directories, its own log files, and what its runs only print."""
import itertools
import json
import os
import re
import subprocess
import sys

import pytest

import hydraflow

pytest.importorskip("hydra", reason="not installed: hydra-core")

APP = """
import logging
import hydra

@hydra.main(version_base=None)
def main(config):
    TELL(f"starting {config.lr}")
    TELL(f"loss={config.lr * 2}")

main()
"""


@pytest.mark.parametrize("tell", ["print", "logging.getLogger().info"])
@pytest.mark.parametrize("colour", [(), ("hydra/hydra_logging=colour",)])
def test_runs_of_one_task(tmp_path, tell, colour):
    if colour:
        (tmp_path / "hydra_logging").mkdir()
        (tmp_path / "hydra_logging" / "colour.yaml").write_text(  # what the plugin hydra-colorlog writes
            "# @package hydra.hydra_logging\nversion: 1\nformatters:\n  simple:\n"
            "    format: \"[\\e[36m%(asctime)s\\e[0m][\\e[35mHYDRA\\e[0m] %(message)s\"\n"
            "handlers:\n  console:\n    class: logging.StreamHandler\n    formatter: simple\n    stream: ext://sys.stdout\n"
            "root:\n  level: INFO\n  handlers: [console]\ndisable_existing_loggers: false\n", encoding="utf-8")
        (tmp_path / "hydra").mkdir()
        (tmp_path / "hydra_logging").rename(tmp_path / "hydra" / "hydra_logging")
        colour = (*colour, f"--config-dir={tmp_path}")
    (tmp_path / "app.py").write_text(APP.replace("TELL", tell), encoding="utf-8")
    words = ["--multirun", "+lr=0.1,0.2", "+name='a, b'", f"hydra.sweep.dir={tmp_path}/sweep", *colour]
    env = {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}
    for argv in (["run", "-q", "--", "python", "app.py", *words], ["results", "app.py", "loss", "starting", "--json"]):
        out = subprocess.check_output([sys.executable, hydraflow.__file__, *argv], cwd=str(tmp_path), env=env)
    assert [(row["run"], row["params"], row["metrics"]) for row in json.loads(out)] == [
        (run, {"lr": lr, "name": "a, b"}, {"loss": 2 * lr, "starting": lr}) for run, lr in ((0, 0.1), (1, 0.2))]


def test_runs_that_hydra_does_not_tell(tmp_path):
    """Without Hydra's lines the runs of a task cannot be told apart, which is said."""
    (tmp_path / "app.py").write_text(APP.replace("TELL", "print"), encoding="utf-8")
    env = {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}
    words = ["--multirun", "+lr=0.1,0.2", "+name=a", f"hydra.sweep.dir={tmp_path}/sweep", "hydra/hydra_logging=disabled"]
    for argv in (["run", "-q", "--", "python", "app.py", *words], ["results", "app.py", "loss"]):
        end = subprocess.run([sys.executable, hydraflow.__file__, *argv], cwd=str(tmp_path), env=env, stderr=subprocess.PIPE, check=True)
    assert b"1 task (1): no line of Hydra's, so its runs cannot be told apart" in end.stderr


def test_init_beside_an_application(tmp_path):
    """The job file sweeps over two groups, and runs as it is."""
    (tmp_path / "app.py").write_text(APP.replace("version_base=None", "version_base=None, config_path='conf', config_name='main'")
                                     .replace("TELL", "print").replace("config.lr", "0.5"))
    words = {"model": ["x", "y"], "optimizer": ["adam", "sgd"]}
    for group, names in {"hydra/help": ["a", "b"], "single": ["one"], **words}.items():
        (tmp_path / "conf" / group).mkdir(parents=True)
        for name in names:
            (tmp_path / "conf" / group / f"{name}.yaml").write_text(f"name: {name}\n")
    (tmp_path / "conf" / "main.yaml").write_text("defaults:\n  - optimizer: sgd\n  - _self_\n  - override hydra/job_logging: default\n"
                                                 "hydra:\n  sweep:\n    subdir: ${hydra.job.override_dirname}\n")
    for argv in (["init", "--hydra"], ["run", "train", "-q", "-j2"]):
        subprocess.run([sys.executable, hydraflow.__file__, *argv], cwd=str(tmp_path), check=True,
                       env={**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]})
    found = json.loads(subprocess.check_output([sys.executable, hydraflow.__file__, "results", "train", "loss", "--json"], cwd=str(tmp_path)))
    assert sorted(tuple(row["params"].items()) for row in found) == sorted(
        tuple(zip(words, values)) for values in itertools.product(*words.values()))
    assert {row["metrics"]["loss"] for row in found} == {1.0} and not (tmp_path / "train.py").exists()


def test_an_application_without_a_job_file(tmp_path):
    """The command that the README names: each task has its own directory of Hydra's."""
    (tmp_path / "conf" / "model").mkdir(parents=True)
    for name in ("small", "large"):
        (tmp_path / "conf" / "model" / f"{name}.yaml").write_text(f"name: {name}\n")
    (tmp_path / "conf" / "main.yaml").write_text("defaults:\n  - model: small\n")
    (tmp_path / "app.py").write_text("import hydra\n\n\n@hydra.main(version_base=None, config_path='conf', config_name='main')\n"
                                     "def main(config):\n    print('loss=0.5', config.model.name)\n\n\nmain()\n")
    readme = os.path.join(os.path.dirname(hydraflow.__file__), "README.md")
    with open(readme, encoding="utf-8") as file:
        command = re.search(r"`(run -- python3 app.py [^`]*)`", " ".join(file.read().split())).group(1)
    env = {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}
    subprocess.run(["sh", "-c", f"python3 {hydraflow.__file__} {command}"], cwd=str(tmp_path), check=True, env=env)
    found = json.loads(subprocess.check_output([sys.executable, hydraflow.__file__, "results", "app.py", "loss", "--json"], cwd=str(tmp_path)))
    assert [(row["params"]["model"], row["metrics"]["loss"]) for row in found] == [("small", 0.5), ("large", 0.5)]
    assert len(list(tmp_path.glob("multirun/*/.hydra"))) == 2
