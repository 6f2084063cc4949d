"""Places, errors and numbers: a mistake has its place, a caret, a code and a hint; a number is exact."""
import unittest

from hydraflow import Error, Errors, Source, expand

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
                lines = str(Error("code", "wrong", "", Source("f", text).mark(start, end))).split("\n", 1)
                self.assertEqual(lines[1], drawn)

    def test_long_line_is_cut_around_the_mark(self) -> None:
        error = Error("code", "wrong", "", Source("f", "x" * 100000 + "!" + "y" * 100000).mark(100000, 100001))
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
        error = Error("code", "wrong", "mend it", Source("f", "a b").mark(2, 3))
        self.assertIsInstance(error, ValueError)
        self.assertEqual((error.source, error.line, error.column, error.message, error.hint), ("f", 1, 3, "wrong", "mend it"))
        self.assertEqual(str(error), "f:1:3: error: wrong\n    a b\n      ^\nhint: mend it")
        self.assertEqual(str(Error("code", "no place")), "error: no place")

    def test_several_errors_are_told_together(self) -> None:
        source = Source("f", "a b")
        several = Errors([Error("code", "one", "", source.mark(0, 1)), Error("code", "two", "", source.mark(2, 3))])
        self.assertEqual((several.message, several.column, len(several.errors)), ("one", 1, 2))
        self.assertIn("f:1:3: error: two", str(several))


class Numbers(unittest.TestCase):
    def test_integral_values_are_integers(self) -> None:
        for text, written in (("1.5k", "1500"), ("0.001k", "1"), ("1500u", "1500e-6"), ("1000m", "1"), ("2.50m", "2.5e-3"), ("-0.5M", "-500000"),
                              ("1_000k", "1000000"), (".5k", "500")):
            with self.subTest(text=text):
                self.assertEqual(list(expand(f"a={text},x"))[0], (f"a={written}",))

    def test_what_is_no_number_stays_as_it_is(self) -> None:
        for text in ("x", "1xk", "1e", "--1k", "1__0k", "1.2.3k", "\u0663k", "inf", "0x10", "1K"):
            with self.subTest(text=text):
                self.assertEqual(list(expand(f"a={text},x"))[0], (f"a={text}",))


if __name__ == "__main__":
    unittest.main()
