"""Fixtures: real schedulers on loopback, each begun once for all workers; what a failure says of them."""
import contextlib
import os
import sys

import pytest
from cluster import Cluster, locked, real
from support import end_processes, place_program


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Add to the report of a failure what the scheduler and the record say at that moment."""
    report = (yield).get_result()
    cluster = next((value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Cluster)), None)
    if report.when == "call" and report.failed and cluster:
        queries = {"slurm": ["squeue -a -t all", "sinfo -N -l"], "gridengine": ["qstat -f -u *"]}.get(cluster.name, [])
        for query in [*queries, f"{sys.executable} -m hydraflow status --json", "ls -lR .hydraflow"]:
            report.sections.append((query, cluster.call(query)))
@pytest.fixture(autouse=True)
def no_process_is_left(request):
    """Whatever happened in a test, nothing goes on in its folder."""
    folder = os.path.realpath(str(request.getfixturevalue("tmp_path"))) if "tmp_path" in request.fixturenames else ""
    yield
    if folder:
        end_processes(folder)
@pytest.fixture(autouse=True)
def no_other_of_its_group(request):
    """Tests that change what they share, such as limits and nodes of a cluster, follow each other."""
    mark = request.node.get_closest_marker("xdist_group")
    with locked(os.path.join(request.config.clusters, f"tests-{mark.args[0]}")) if mark else contextlib.suppress():
        yield


@pytest.fixture
def folder(tmp_path):
    """A folder with a copy of the program."""
    place_program(tmp_path)
    return tmp_path


@pytest.fixture
def slurm(pytestconfig, tmp_path):
    """A real Slurm of several nodes, of which two may die, and an empty folder."""
    return real("slurm", pytestconfig.clusters, tmp_path)
@pytest.fixture
def accounting(pytestconfig, tmp_path):
    """A real Slurm with accounting, and a second cluster under it, called "other"."""
    return real("accounting", pytestconfig.clusters, tmp_path)
@pytest.fixture
def gridengine(pytestconfig, tmp_path):
    """A real Grid Engine of one node, and an empty folder."""
    return real("gridengine", pytestconfig.clusters, tmp_path)
@pytest.fixture(params=["slurm", "gridengine"])
def cluster(request, pytestconfig, tmp_path):
    """Each real scheduler."""
    return real(request.param, pytestconfig.clusters, tmp_path)
