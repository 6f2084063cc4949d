"""Clusters: what an element does, without a scheduler around it."""
import os
import unittest
from unittest import mock

from support import EmptyFolder

import hydraflow


class Element(EmptyFolder):
    """An array job of one slot, whose element is executed in this process."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        jobs = hydraflow.read_jobs(hydraflow.read_yaml(
            "jobs: {job: {run: sh -c 'echo x >> $0; test $0 = a=1 || test -e go', hydra: false, steps: [{batch: a=1:2}]}}"))
        plan = hydraflow.plan(jobs["job"])
        self.record = hydraflow.Record.create("job", plan.ulid, {"job": "job", "count": 2, "resumes": False})
        for _ in hydraflow.planned(self.record, plan, {}):
            pass
        slots, limits = [[1, 2]], [1, 0, 0.0, False]
        hydraflow.write_submission(self.record, hydraflow.Submission(1, 1, "slurm", "7", "job", slots, [], limits, True))

    def states(self) -> "list":
        """Return the states of the tasks."""
        return [state.name for _, state in sorted(self.record.states().items())]

    def test_a_requeued_element_has_the_last_word(self) -> None:
        """Its process may have a number that sorts before that of the first one: on another node, or with more digits."""
        with mock.patch("os.getpid", return_value=998):
            list(hydraflow.run_element(self.record.path, 1, 1))
        self.assertEqual(self.states(), ["succeeded", "failed"])
        self.write("go", "")
        with mock.patch("os.getpid", return_value=1003):
            list(hydraflow.run_element(self.record.path, 1, 1))
        self.assertEqual(self.states(), ["succeeded", "succeeded"])
        self.assertEqual((self.read("a=1"), self.read("a=2")), ("x\n", "x\nx\n"))


if __name__ == "__main__":
    unittest.main()
