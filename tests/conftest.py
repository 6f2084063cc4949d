"""How tests are distributed over the workers of pytest-xdist, and where all of them find the schedulers."""
import glob
import os
import shutil
import subprocess
import tempfile

import pytest
from xdist.scheduler import LoadScopeScheduling

SYSTEMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "systems")
SPREAD = ("test_clusters", "test_cluster_trials", "test_places", "test_system_calls", "test_killed")  # they wait, or take long


def pytest_configure(config):
    """Make the directory in which the schedulers are."""
    config.clusters = getattr(config, "workerinput", {}).get("clusters") or tempfile.mkdtemp(prefix="hydraflow-clusters-")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tell a worker where that is."""
    node.workerinput["clusters"] = node.config.clusters


def pytest_unconfigure(config):
    """End the schedulers when all workers have ended, those first that were begun beside another one."""
    if hasattr(config, "workerinput"):
        return
    for place in sorted(glob.glob(os.path.join(config.clusters, "*-[0-9]")), reverse=True):
        script = "gridengine-up" if "gridengine" in os.path.basename(place) else "slurm-up"
        subprocess.run(["bash", os.path.join(SYSTEMS, script), "stop", place], check=False, stdout=subprocess.DEVNULL)
    shutil.rmtree(config.clusters, ignore_errors=True)


def pytest_collection_modifyitems(items):
    """Begin with what waits for schedulers, so that what computes runs beside it."""
    items.sort(key=lambda item: "systems" not in item.path.parts)


class ByFile(LoadScopeScheduling):
    """Gives a worker the tests of a whole file, which share what is made once for it, or one test of a file in SPREAD."""

    def _split_scope(self, nodeid):
        path = nodeid.partition("::")[0]
        return nodeid if os.path.basename(path)[:-len(".py")] in SPREAD else path


def pytest_xdist_make_scheduler(config, log):
    """Replace --dist: its groups by marks are lost on pytest 9.2, where a test's id can't be changed."""
    return ByFile(config, log)
