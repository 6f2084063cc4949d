"""Places, errors and numbers: a mistake is told with its place, a caret and a hint; a number is exact."""
import copy
import pickle
import re
import shlex
import subprocess
import sys
import unittest
from unittest import mock

from support import ROOT

import hydraflow
from hydraflow import Error, Errors, Source

DRAWN = (  # text, start, end, what is drawn below the first line
    ("t=1:2:0", 2, 7, "    t=1:2:0\n      ^^^^^"),
    ("one\ntwo x", 8, 9, "    two x\n        ^"),
    ("\tx", 1, 2, "    \tx\n    \t^"),  # a tab stays a tab, so the caret stays below its character
    ("日本=x", 3, 4, "    日本=x\n         ^"),  # wide characters take two columns
    ("a\x1b[2Jb", 1, 2, "    a\ufffd[2Jb\n     ^"),  # nothing of a file reaches the terminal as a command
    ("abc", 3, 3, "    abc\n       ^"),
    ("ab\ncd", 1, 5, "    ab\n     ^"),  # several lines: the caret marks the first
)


class Places(unittest.TestCase):
    def test_error_is_drawn_below_its_line(self) -> None:
        for text, start, end, drawn in DRAWN:
            with self.subTest(text=text):
                lines = str(Error("code", "wrong", Source("f", text).mark(start, end))).split("\n", 1)
                self.assertEqual(lines[1], drawn)

    def test_long_line_is_cut_around_the_mark(self) -> None:
        error = Error("code", "wrong", Source("f", "x" * 100000 + "!" + "y" * 100000).mark(100000, 100001))
        _, shown, caret = str(error).split("\n")
        self.assertLess(len(shown), 120)
        self.assertEqual(shown[caret.index("^")], "!")
        self.assertEqual(error.column, 100001)

    def test_pieces_lead_back_to_the_origin(self) -> None:
        origin = Source("f", "key: 'it''s here'\n")
        value = Source("f", "it's here", origin, ((0, 6), (3, 10)))
        self.assertEqual(value.mark(3, 4)[:3], ("f", 1, 11))
        self.assertEqual(value.mark(5, 9), origin.mark(12, 16))

    def test_error_has_the_documented_attributes(self) -> None:
        error = Error("code", "wrong", Source("f", "a b").mark(2, 3), "mend it")
        self.assertIsInstance(error, ValueError)
        self.assertEqual((error.source, error.line, error.column, error.message, error.hint), ("f", 1, 3, "wrong", "mend it"))
        self.assertEqual(str(error), "f:1:3: error: wrong\n    a b\n      ^\nhint: mend it")
        self.assertEqual(str(Error("code", "no place")), "error: no place")

    def test_several_errors_are_told_together(self) -> None:
        source = Source("f", "a b")
        several = Errors([Error("code", "one", source.mark(0, 1)), Error("code", "two", source.mark(2, 3))])
        self.assertEqual((several.message, several.column, len(several.errors)), ("one", 1, 2))
        self.assertIn("f:1:3: error: two", str(several))

    def test_suggestions(self) -> None:
        self.assertEqual(hydraflow.suggest("bacth", ["args", "batch"]), "did you mean batch?")
        self.assertEqual(hydraflow.suggest("zzz", ["args", "batch"]), "")


class Numbers(unittest.TestCase):
    def test_integral_values_are_integers(self) -> None:
        for text, written in (("1.5k", "1500"), ("0.001k", "1"), ("1500u", "1500e-6"), ("1000m", "1"), ("2.50m", "2.5e-3")):
            with self.subTest(text=text):
                self.assertEqual(str(hydraflow.read_number(text)), written)

    def test_what_is_no_number(self) -> None:
        for text in ("", "x", "1x", "1e", "--1", "1__0", "1.2.3", "٣", "inf", "0x10", "1 "):
            with self.subTest(text=text):
                self.assertIsNone(hydraflow.read_number(text))


class Named(unittest.TestCase):
    """What has named fields is a tuple, and behaves as one of namedtuple does."""

    def test_fields(self) -> None:
        mark = hydraflow.Mark("f", 1, 2, text="abc", width=3)
        self.assertEqual(mark, ("f", 1, 2, "abc", 3))
        self.assertEqual(repr(mark), "Mark(source='f', line=1, column=2, text='abc', width=3)")
        self.assertEqual(mark._replace(line=7), hydraflow.Mark("f", 7, 2, "abc", 3))
        self.assertEqual(mark._asdict(), {"source": "f", "line": 1, "column": 2, "text": "abc", "width": 3})
        for copied in (copy.copy(mark), copy.deepcopy(mark), pickle.loads(pickle.dumps(mark))):
            self.assertEqual((copied, type(copied)), (mark, hydraflow.Mark))

    def test_wrong_fields(self) -> None:
        """One too few, one too many, one that there is not."""
        for positional, named in (((1, 2, 3, 4), {}), ((1, 2, 3, 4, 5, 6), {}), ((1, 2, 3, 4, 5), {"line": 1}), ((1, 2, 3, 4, 5), {"size": 1})):
            with self.subTest(positional=positional, named=named), self.assertRaises(TypeError):
                hydraflow.Mark(*positional, **named)
        with self.assertRaises(TypeError):
            hydraflow.NOWHERE._replace(size=1)


class Patterns(unittest.TestCase):
    def test_compiled_once_when_it_is_used(self) -> None:
        pattern = hydraflow.Pattern("(?i)A(.)")
        with mock.patch("re.compile", side_effect=re.compile) as compiled:
            self.assertEqual([pattern.sub("x", text) for text in ("ab", "ac")], ["x", "x"])
            self.assertEqual(pattern.fullmatch("ab").group(1), "b")
        self.assertEqual(compiled.call_count, 2)  # once for each method


class Remembered(unittest.TestCase):
    def test_called_once_for_the_same_arguments(self) -> None:
        called = mock.Mock(side_effect=lambda *words: len(words), __doc__="How many.")
        function = hydraflow.remembered(called)
        self.assertEqual([function(), function("a"), function("a", "b"), function("a"), function()], [0, 1, 2, 1, 0])
        self.assertEqual((called.call_count, function.__doc__), (3, "How many."))
        function.forget()
        self.assertEqual((function("a"), called.call_count), (1, 4))

    def test_what_fails_is_not_remembered(self) -> None:
        called = mock.Mock(side_effect=[ValueError, 1])
        function = hydraflow.remembered(called)
        self.assertRaises(ValueError, function)
        self.assertEqual(function(), 1)


class Modules(unittest.TestCase):
    """What is imported when it is needed, and not before."""

    def loaded(self, code: str) -> "set":
        """Return which of the modules that take long are there when some code has been executed."""
        code = f"import sys; before = set(sys.modules); import hydraflow; {code}; print(*(set(sys.modules) - before))"
        out = subprocess.check_output([sys.executable, "-S", "-E", "-c", code], cwd=ROOT)
        return set(out.decode().split()) & {"argparse", "functools", "re", "shlex", "subprocess", "signal", "json", "enum"}

    def test_imported_with_their_first_use(self) -> None:
        self.assertEqual(self.loaded("pass"), set())
        self.assertIn("shlex", self.loaded("hydraflow.shlex.quote('x')"))
        self.assertIn("re", self.loaded("hydraflow.Pattern('x').match('x')"))

    def test_the_module_takes_its_own_place(self) -> None:
        self.assertEqual(hydraflow.shlex.split("a b"), ["a", "b"])
        self.assertIs(hydraflow.shlex, shlex)
        with self.assertRaises(AttributeError):
            hydraflow.subprocess.nothing_is_called_so


if __name__ == "__main__":
    unittest.main()
