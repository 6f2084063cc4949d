"""Messages: each comes from a real mistake, has one form, and leaves everything as it was.

What is said is in cases/messages.txt, once for each kind: HYDRAFLOW_RENEW=1 writes it anew, to be read in the diff.
"""
import os
import re
import unittest

import messages
from support import ROOT

LIST = os.path.join(ROOT, "tests", "cases", "messages.txt")

FORM = re.compile(  # where and what, the line and the carets where there is a place, what to type instead
    r"(?:[^\n]+:\d+:\d+: error: [^\n]+\n(?: {4}[^\n]*)?\n\s*\^+\n|(?:hydraflow\.yaml:\d+:\d+: )?error: [^\n]+\n)hint: [^\n]+\n")


class Messages(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls) -> None:
        cls.rows = messages.rows()
        cls.told = [messages.told(row) for row in cls.rows]

    def test_each_is_told_and_changes_nothing(self) -> None:
        for row, told in zip(self.rows, self.told):
            with self.subTest(argv=row.argv, files=row.files):
                self.assertEqual((told.status, told.out), (row.status, ""), told.err)
                self.assertNotIn("Traceback", told.err)
                if row.status == 2:
                    self.assertEqual(told.changes, [])

    def test_each_has_the_form(self) -> None:
        for row, told in zip(self.rows, self.told):
            if row.status == 2:
                self.assertTrue(messages.messages(told.err), (row.argv, told.err))
                for message in messages.messages(told.err):
                    with self.subTest(argv=row.argv, files=row.files):
                        self.assertRegex(message, f"^{FORM.pattern}$")
                        head = message.partition("error: ")[2].partition("\n")[0]
                        self.assertNotRegex(head, r"\.$", "no full stop")

    def test_each_kind_says_what_the_list_has(self) -> None:
        """The place, the carets, the message and its hint, as a whole."""
        found = messages.one_of_each_kind(zip(self.rows, self.told))
        if os.environ.get("HYDRAFLOW_RENEW"):
            with open(LIST, "w", encoding="utf-8") as file:
                file.write(found)
        with open(LIST, encoding="utf-8") as file:
            self.assertEqual(found.splitlines(), file.read().splitlines())

    def test_hints_can_be_pasted(self) -> None:
        """A command line that a hint names is understood by the shell and the program, in the folder of its case."""
        found = {}
        for row, told in zip(self.rows, self.told):
            for command in re.findall(r"(?m)^hint: .*?: ((?:mkdir \w+ && )?hydraflow .*)$", told.err):
                found.setdefault(command, row)
        self.assertGreater(len(found), 10)
        for command, row in found.items():
            with self.subTest(command=command):
                self.assertNotEqual(messages.pasted(row, command), 2)
