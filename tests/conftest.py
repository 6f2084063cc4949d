"""How tests are distributed over the workers of pytest-xdist, and where all of them find the schedulers."""
import glob
import os
import shutil
import subprocess
import tempfile

import pytest

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


@pytest.hookimpl(hookwrapper=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Give each test the group of its file, unless it has one, or any worker may have it."""
    for item in items:
        if not item.get_closest_marker("xdist_group") and item.path.stem not in SPREAD:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: "systems" not in item.path.parts)  # what waits comes first, what computes beside it
    yield
