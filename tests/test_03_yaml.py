"""Chapter 3: what the YAML reader reads, where it says things stand, and what it refuses."""
import os
import unittest

from support import ROOT

import hydraflow


def plain_tree(node):
    """Return a node as texts, lists and dictionaries."""
    if node.kind == "sequence":
        return [plain_tree(item) for item in node.value]
    if node.kind == "mapping":
        return {key.value: plain_tree(value) for key, value in node.value}
    return node.value


def caught(test, text):
    """Return the Error that reading text raises."""
    with test.assertRaises(hydraflow.Error) as context:
        hydraflow.read_yaml(text)
    return context.exception


JOBS = {"jobs": {"train": {"run": "python train.py", "steps": [{"batch": "a=1:3"}, {"batch": "b=1,2", "args": "c=4"}]}}}

LAYOUTS = (  # the same tree every time
    "jobs:\n  train:\n    run: python train.py\n    steps:\n      - batch: a=1:3\n      - batch: b=1,2\n        args: c=4\n",
    "jobs:\n  train:\n    run: python train.py\n    steps:\n    - batch: a=1:3\n    - batch: b=1,2\n      args: c=4",
    "jobs:\n train:\n       run: python train.py\n       steps:\n       -  batch: a=1:3\n       -\n         batch: b=1,2\n"
    "         args: c=4\n",
    "# a comment\n\n---\njobs: # another\n\n  # and\n  train:\n    run:   python train.py   # here\n# left of all\n"
    "    steps:\n        # right\n      - batch: a=1:3\n\n\n      - batch: b=1,2\n\n        args: c=4\n...\n# end\n",
    "jobs:\r\n  train:\r\n    run: python train.py\r\n    steps:\r\n      - batch: a=1:3\r\n      - batch: b=1,2\r\n"
    "        args: c=4\r\n",
    "jobs:\r  train:\r    run: python train.py\r    steps:\r      - batch: a=1:3\r      - {batch: 'b=1,2', args: c=4}\r",
    "\ufeffjobs: {train: {run: python train.py, steps: [{batch: a=1:3}, {batch: 'b=1,2', args: c=4}]}}",
    "{\njobs: {\n\"train\":{'run':python train.py, # comment\nsteps\n: [\n{batch: a=1:3},{batch: \"b=1,2\",\targs: c=4,},],}}}\n",
    "jobs:\n  train:\n    run: python\n      train.py\n    steps:\n      - batch: >-\n          a=1:3\n      - batch: |-\n"
    "          b=1,2\n        args:\n          c=4\n",
    "jobs: &all\n  train:\n    run: &run\n      python train.py\n    steps: &steps\n    - &one\n      batch: a=1:3\n"
    "    - batch: b=1,2\n      args: c=4\n",
    "first: &c c=4\njobs:\n  train:\n    run: \"python\\x20\\\n      train.py\"\n    steps: [{batch: a=1:3}, "
    "{batch: 'b=1,2', args: *c}]\n",
)

SCALARS = (  # text, value, plain
    ("", "", True), ("# comment", "", True), ("---\n...\n", "", True), ("...\n", "", True), ("~", "~", True),
    ("no", "no", True), ("3.10", "3.10", True), ("a b", "a b", True), ("a#b", "a#b", True), ("a:b", "a:b", True),
    ("a #b", "a", True), ("-a", "-a", True), (":a", ":a", True), ("?a", "?a", True), ("a: b"[:2] + "b", "a:b", True),
    ("C:/x", "C:/x", True), ("a, [b] {c}", "a, [b] {c}", True), ("a'b\"c", "a'b\"c", True), ("--- a", "a", True),
    ("---a", "---a", True), ("a\nb", "a b", True), ("a  \n\n\n  b", "a\n\nb", True), ("a\n- b", "a - b", True),
    ("a\n---b", "a ---b", True), ("a\n%b", "a %b", True), ("a\tb", "a\tb", True),
    ("''", "", False), ("'a''b'", "a'b", False), ("'a\\n'", "a\\n", False), ("'a\n\n  b\n c '", "a\nb c ", False),
    ("' # no'", " # no", False), ("'a\n...b'", "a ...b", False), ('""', "", False), ('"a\\tb"', "a\tb", False),
    ('"a  \n \t b"', "a b", False), ('"a\\  \n  b"', "a  b", False), ('"a \\\n  b"', "a b", False),
    ('"a\\\n\n  \\ b"', "a\n b", False), ('"\n\n"', "\n", False), ('"\\x41\\u00e9\\U0001F600"', "A\u00e9\U0001f600", False),
    (r'"\a\b\t\n\v\f\r\e\ \"\/\\\N\_\L\P"', '\a\b\t\n\v\f\r\x1b "/\\\x85\xa0\u2028\u2029', False),
    (r'"\ud7ff\ue000\U0010FFFF"', "\ud7ff\ue000\U0010ffff", False), ('"\\\t"', "\t", False), ("\u00e9\u4e2d", "\u00e9\u4e2d", True), ("a\u00a0#b", "a\u00a0#b", True),
)

BLOCKS = (  # text below "- ", value
    ("|\n a\n b\n", "a\nb\n"), ("|\n  a\n   b\n\n  c\n", "a\n b\n\nc\n"), (">\n a\n b\n", "a b\n"),
    (">\n a\n\n b\n", "a\nb\n"), (">\n a\n\n\n b\n", "a\n\nb\n"), (">\n a\n  b\n c\n", "a\n  b\nc\n".replace("  b", " b")),
    (">\n a\n\n  b\n\n c\n", "a\n\n b\n\nc\n"), (">\n\n a\n", "\na\n"), (">\n a\n \tb\n c\n", "a\n\tb\nc\n"),
    ("|-\n a\n\n", "a"), ("|\n a\n\n\n", "a\n"), ("|+\n a\n\n\n", "a\n\n\n"), (">-\n a\n\n", "a"), (">+\n a\n\n", "a\n\n"),
    ("|\n", ""), ("|+\n", ""), ("|+\n\n\n", "\n\n"), ("|-\n\n", ""), (">\n\n\n", ""), ("|\n a", "a"), ("|+\n a", "a"),
    ("|2\n   a\n", " a\n"), ("|1-\n  a\n", " a"), (">-1\n  a\n", " a"), ("|+1\n  a\n\n", " a\n\n"), ("| # c\n a\n", "a\n"),
    ("|\n # a\n", "# a\n"), ("|\n a\n# c\n", "a\n"), ("|\n a: b\n - c\n", "a: b\n- c\n"), ("|\n a\n   \n", "a\n  \n"),
    ("|\n \t\n a\n", "\t\na\n"), (">\n \n  \n  a\n", "\n\na\n"), ("|\n a\n...\n", "a\n"), ("|\n a \t\n", "a \t\n"),
)

TREES = (
    ("- - a\n  - b\n- - - c\n", [["a", "b"], [["c"]]]), ("-\n- a\n-\n", ["", "a", ""]), ("a:\nb: c\nd:\n", {"a": "", "b": "c", "d": ""}),
    ("a:\n- b\n- c\nd: e\n", {"a": ["b", "c"], "d": "e"}), ("- a: b\n  c:\n  - d\n- e\n", [{"a": "b", "c": ["d"]}, "e"]),
    ("? a"[2:] + ": b", {"a": "b"}), (": a", {"": "a"}), ("- :\n", [{"": ""}]), ("\"a b\": c\n'd': e\n", {"a b": "c", "d": "e"}),
    ("a b  :  c", {"a b": "c"}), ("a::: b", {"a::": "b"}), ("a:\n   b", {"a": "b"}),
    ("[]", []), ("{}", {}), ("[a, b,]", ["a", "b"]), ("{a, b: , c: d}", {"a": "", "b": "", "c": "d"}),
    ("{a: :b, http://c: d}", {"a": ":b", "http://c": "d"}),
    ("{a\n b: c,\n\"d\"\n:e}", {"a b": "c", "d": "e"}), ("a: [\n  b, # c\n\n  d\n  ]\n", {"a": ["b", "d"]}),
    ("a: {\n b: c\n }\nd: e\n", {"a": {"b": "c"}, "d": "e"}), ("{\"a\":[1], 'b':{c: d}}", {"a": ["1"], "b": {"c": "d"}}),
    ("{a:\"b\"}", {"a:\"b\"": ""}), ("- -1\n- --\n", ["-1", "--"]), ("a: b\n\t\nc: d\n", {"a": "b", "c": "d"}),
    ("a: b\t# c\n", {"a": "b"}), ("a:\tb", {"a": "b"}), ("-\ta", ["a"]), ("a: |\n  b\n # c\nd: e\n", {"a": "b\n", "d": "e"}),
    ("a: [\n  b,\n]\nc: d\n", {"a": ["b"], "c": "d"}), ("a:\n  b: {\n    c: [d,\n  ]\n  }\n", {"a": {"b": {"c": ["d"]}}}),
    ("- [b\n]\n- c\n", [["b"], "c"]),
)

ANCHORS = (
    ("- &a b\n- *a\n", ["b", "b"]), ("- &a [b, c]\n- *a\n", [["b", "c"], ["b", "c"]]), ("- &a\n  b: c\n- *a\n", [{"b": "c"}] * 2),
    ("- &a\n- *a\n", ["", ""]), ("&a b: &c d\n*a : e\n".replace("*a", "f"), {"b": "d", "f": "e"}),
    ("a: &x b\n*x : c\n", {"a": "b", "b": "c"}), ("- &a b\n- &a c\n- *a\n", ["b", "c", "c"]),
    ("- &a:b c\n- *a:b\n", ["c", "c"]), ("[&a b, *a, {*a : c}]", ["b", "b", {"b": "c"}]), ("a: &x\n- b\nc: *x\n", {"a": ["b"], "c": ["b"]}),
    ("a: &x # c\n\n  |\n  b\n", {"a": "b\n"}), ("a: &x\n  - &y z\nb: [*x, *y]\n", {"a": ["z"], "b": [["z"], "z"]}),
    ("- &a {x: 1, y: 2}\n- <<: *a\n  y: 3\n", [{"x": "1", "y": "2"}, {"x": "1", "y": "3"}]),
    ("- &a {x: 1}\n- &b {x: 2, y: 2}\n- {<<: [*a, *b]}\n", [{"x": "1"}, {"x": "2", "y": "2"}, {"x": "1", "y": "2"}]),
    ("- &a {x: 1}\n- &b {<<: *a, y: 2}\n- {z: 3, <<: *b}\n", [{"x": "1"}, {"x": "1", "y": "2"}, {"x": "1", "y": "2", "z": "3"}]),
    ("{<<: {a: b}, c: d}", {"a": "b", "c": "d"}), ("{<<: []}", {}), ("{'<<': a}", {"<<": "a"}), ("[<<]", ["<<"]),
)


class Values(unittest.TestCase):
    def test_layouts(self):
        for text in LAYOUTS:
            with self.subTest(text=text):
                self.assertEqual(plain_tree(hydraflow.read_yaml(text))["jobs"], JOBS["jobs"])
                self.assertEqual(plain_tree(hydraflow.read_yaml(text.encode("utf-8")))["jobs"], JOBS["jobs"])

    def test_scalars(self):
        for text, value, plain in SCALARS:
            for form in (text, text + "\n"):
                with self.subTest(text=form):
                    node = hydraflow.read_yaml(form)
                    self.assertEqual((node.kind, node.value, node.plain), ("scalar", value, plain))

    def test_blocks(self):
        for text, value in BLOCKS:
            with self.subTest(text=text):
                node = hydraflow.read_yaml("- " + text).value[0]
                self.assertEqual((node.value, node.plain), (value, False))

    def test_trees(self):
        for text, tree in TREES + ANCHORS:
            with self.subTest(text=text):
                self.assertEqual(plain_tree(hydraflow.read_yaml(text)), tree)


PLACES = (  # text, path to a node, line, column, what its mark covers
    ("a: b", ["a"], 1, 4, "b"), ("a:\n  b c # d\n", ["a"], 2, 3, "b c"), ("\n- 'a'\n- \"b\"\n", [1], 3, 3, '"b"'),
    ("a:\n  - x: y\n", ["a"], 2, 3, "-"), ("a:\n  - x: y\n", ["a", 0], 2, 5, "x"), ("a: [b, {c: d}]", ["a", 1], 1, 8, "{c: d}"),
    ("a: |\n  b\n", ["a"], 1, 4, "|"), ("a: b\n  c\n", ["a"], 1, 4, "b"), ("a:\nb: c\n", ["a"], 1, 3, ""),
    ("a: &x b\n", ["a"], 1, 7, "b"), ("a: &x b\nc: *x\n", ["c"], 1, 7, "b"), ("\r\n\r\na: b", ["a"], 3, 4, "b"), ("\ufeffa: b", ["a"], 1, 4, "b"),
)

PIECES = (  # text below "a: ", part of the value, line, column
    ("b cd e", "cd", 1, 6), ("b\n   cd e", "cd", 2, 4), ("b\n\n  c\n   d", "d", 4, 4), ("'b cd'", "cd", 1, 7),
    ("'b''c d'", "d", 1, 10), ("'b\n  c\n\n     d'", "d", 4, 6), ('"b\\tc\\x20d"', "d", 1, 13), ('"b\\\n   c d"', "d", 2, 6),
    ('"\\u0041b"', "A", 1, 5), ("|\n   b\n    c\n\n   d\n", "c", 3, 5), ("|\n   b\n    c\n\n   d\n", "d", 5, 4),
    (">-\n  b c\n  d e\n", "e", 3, 5), (">-\n  b c\n  d e\n", "c\x20d", 2, 5), (">\n\n  b\n    c\n\n  d\n", "d", 6, 3), (">1\n  b\n", "b", 2, 3),
)


class Places(unittest.TestCase):
    def test_nodes(self):
        for text, path, line, column, covered in PLACES:
            with self.subTest(text=text):
                node = hydraflow.read_yaml(text)
                for step in path:
                    node = dict((key.value, value) for key, value in node.value)[step] if isinstance(step, str) else node.value[step]
                mark = node.mark
                self.assertEqual((node.line, node.column), (line, column))
                self.assertEqual((mark.source, mark.line, mark.column), ("hydraflow.yaml", line, column))
                self.assertEqual(mark.text[column - 1:column - 1 + mark.width], covered)

    def test_parts_of_a_scalar(self):
        for text, part, line, column in PIECES:
            with self.subTest(text=text):
                node = hydraflow.read_yaml("a: " + text).value[0][1]
                start = node.value.index(part)
                mark = node.text_source().mark(start, start + len(part))
                self.assertEqual(mark[:3], ("hydraflow.yaml", line, column))
                self.assertEqual(node.text_source().text, node.value)
                node.text_source().mark(len(node.value), len(node.value))

    def test_source_name(self):
        with self.assertRaises(hydraflow.Error) as context:
            hydraflow.read_yaml("a: [", "other.yaml")
        self.assertTrue(str(context.exception).startswith("other.yaml:1:4: error: "))


REFUSALS = (  # text, line, column, code
    ('a\n---\nb\n', 2, 1, "yaml-documents"), ('a: b\n...\nc: d\n', 3, 1, "yaml-documents"), ('---\n---\n', 2, 1, "yaml-documents"),
    ('%YAML 1.2\n---\na\n', 1, 1, "yaml-start"), ('a: !!str b\n', 1, 4, "yaml-tag"), ('! a\n', 1, 1, "yaml-tag"),
    ('[!x a]', 1, 2, "yaml-tag"), ('? a\n: b\n', 1, 1, "yaml-complex-key"), ('[? a]', 1, 2, "yaml-complex-key"),
    ('{a: b}: c\n', 1, 1, "yaml-complex-key"), ('[[a]: b]', 1, 5, "yaml-text"), ('{[a]: b}', 1, 2, "yaml-complex-key"),
    ('a: &x [b]\n*x : c\n', 2, 1, "yaml-complex-key"), ('{[a]}', 1, 2, "yaml-complex-key"), ('a:\n\tb: c\n', 2, 1, "yaml-tab"),
    ('a:\n  b: c\n\td: e\n', 3, 1, "yaml-tab"), ('-\t- a\n', 1, 3, "yaml-start"), ('\t[a]', 1, 1, "yaml-tab"), ('a:\n \tb', 2, 2, "yaml-tab"), ('a:\n \tb: c\n', 2, 2, "yaml-tab"),
    ("a: 'b\n\tc'\n", 1, 4, "yaml-unclosed"), ('a: [b,\n\tc]\n', 1, 4, "yaml-unclosed"), ('a: |\n\t\nb: c\n', 2, 1, "yaml-tab"),
    ('- |\n  a\n\t # c\n- b\n', 3, 1, "yaml-tab"), ('- a\n\t- b\n- c', 2, 1, "yaml-tab"), ('a: b\na: c\n', 2, 1, "yaml-duplicate"),
    ('{a, a: b}', 1, 5, "yaml-duplicate"), ('a: b\n"a": c\n', 2, 1, "yaml-duplicate"), (': a\n: b\n', 2, 1, "yaml-duplicate"),
    ('<<: {}\n<<: {}\n', 2, 1, "yaml-duplicate"), ('*a\n', 1, 1, "yaml-alias"), ('&a [*a]\n', 1, 5, "yaml-alias"),
    ('- &a b\n- &a [*a]\n', 2, 7, "yaml-alias"), ('<<: a\n', 1, 1, "yaml-merge"), ('<<: [a]\n', 1, 1, "yaml-merge"),
    ('a: &x &y b\n', 1, 7, "yaml-start"), ('a: &x b\nc: &y *x\n', 2, 7, "yaml-start"), ('a: &x\n  &y b\n', 2, 3, "yaml-start"),
    ('a: &x\n *x\n', 2, 2, "yaml-start"), ('--- &a - b\n', 1, 8, "yaml-start"), ('run:\techo a: b\n', 1, 6, "yaml-no-colon"),
    ('a:\t- b\n', 1, 4, "yaml-start"),
    ('a: \x07\n', 1, 4, "unread-character"), ('a\x00b', 1, 2, "unread-character"), ('a: b\u2028c', 1, 5, "unread-character"),
    ('a: b\x85c', 1, 5, "unread-character"), ("a: '\ufeff'", 1, 5, "unread-character"), ('a: \ud800', 1, 4, "unread-character"),
    ('\x7f', 1, 1, "unread-character"), ('"\\ud83d\\ude00"', 1, 2, "yaml-escape"), ('"\\udfff"', 1, 2, "yaml-escape"),
    ('"\\U00110000"', 1, 2, "yaml-escape"), ('"\\0"', 1, 2, "yaml-escape"), ('"\\\'"', 1, 2, "yaml-escape"), ('"\\x4"', 1, 2, "yaml-escape"), ('|1\n a\n', 1, 1, "yaml-start"),
    ('- |\n  a\n ', 3, 1, "yaml-torn"), ('- |+\n a\n   ', 3, 1, "yaml-torn"), ('- >\n a\n  ', 3, 1, "yaml-torn"),
    (b'a: b\nc: \xff\n', 2, 4, "invalid-utf8"), (b'a: \xe9t\xe9\n', 1, 4, "invalid-utf8"), (b'\xff\xfea\x00', 1, 1, "invalid-utf8"),
    (b'\xfe\xff\x00a', 1, 1, "invalid-utf8"), (b'\xff\xfe\x00\x00a\x00\x00\x00', 1, 1, "invalid-utf8"),
    (b'\r\n\r\n \xc0\x80', 3, 2, "invalid-utf8"),
)

FORBIDDEN = (  # nothing but refused
    "a: b: c", "a: 'b': c", "- a\nb: c", "a: b\n- c", "a\nb: c", "a:\n b: [c\n]", "a: [b\n---\n]", "a: [b\n\t]", "a: [b,\nc]", "[a, , b]", "[, a]", "{, a}", "[a b: c\n d: e]",
    "[a\n: b]", "[a", "{a", "[a}", "]", "}", "[a]b", "[a, b]#c", "'a'#b", "'a' b", "'a", '"a', '"a\\', "a: 'b\nc'", "'a\n---\n'", "'a\n'b: c",
    "\"a\n b\": c", "a\n b: c", "- - a\n - b", "a:\n   b: c\n  d: e", "a: b\n c: d", "a: |x\n b", "a: |0\n b", "a: |10\n b", "a: |#c\n b",
    "a: |\n   \n  b\n", "a: >\n  b\n c\n", "a: - b", "--- a: b", "--- - a", "&a - b", "- &a\n&b\n- c", "a: @b", "a: `b`", "a: %b", "[-]", "[a, -, b]",
    "a # b\nc", "a: b # c\n  d", "[a, b,#c\n]", "... a", "key: 'a\n\n b' c", "{a:[b]}", "{a : b c: d}", "a: *", "& a", "a:\n- b\n c: d", "a: &x\n&y b",
)


class Refusals(unittest.TestCase):
    def test_named_with_place_and_hint(self):
        for text, line, column, code in REFUSALS:
            with self.subTest(text=text):
                error = caught(self, text)
                self.assertEqual((error.line, error.column, error.code), (line, column, code))
                self.assertTrue(error.hint)
                self.assertIn("^", str(error))

    def test_what_yaml_forbids(self):
        for text in FORBIDDEN:
            for form in (text, text + "\n"):
                with self.subTest(text=form):
                    error = caught(self, form)
                    self.assertTrue(error.line and error.hint and str(error))

    def test_alias_expansion(self):
        laughs = "- &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
            "- &{} [{}]\n".format(new, ", ".join(["*" + old] * 10)) for old, new in zip("abcdefgh", "bcdefghi"))
        self.assertEqual(caught(self, laughs).code, "yaml-aliases")
        self.assertEqual(len(hydraflow.read_yaml("- &a [b, c]\n" + "- *a\n" * 2000).value), 2001)
        merges = "- &a {x: 1}\n" + "- {<<: *a, y: 2}\n" * 2000
        self.assertEqual(len(hydraflow.read_yaml(merges).value), 2001)

    def test_nesting_up_to_the_limit(self):
        self.assertEqual(hydraflow.read_yaml("[" * 50 + "]" * 50).kind, "sequence")
        self.assertEqual(hydraflow.read_yaml("- " * 50).kind, "sequence")
        for text in ("[" * 100000, "- " * 100000, "{a: " * 100000, "a: " * 100000, "&a " * 100000, "&a\n" * 100000, "- &a\n" * 100000 + "b",
                     "".join(" " * depth + "a:\n" for depth in range(1000))):
            caught(self, text)


FILES = (  # what is wrong in files of people, in cases/yaml-errors: name, line, column, code
    ("at", 3, 11, "yaml-start"), ("backtick", 3, 10, "yaml-start"), ("block-ends-early", 5, 6, "yaml-indentation"),
    ("bracket-never-closed", 3, 12, "yaml-unclosed"), ("bracket-not-indented", 3, 12, "yaml-unclosed"), ("colon-in-value", 3, 10, "yaml-no-colon"),
    ("colon-missing", 3, 5, "yaml-no-colon"), ("comma-missing", 3, 17, "yaml-text"), ("comment-space", 3, 16, "yaml-text"),
    ("duplicate-key", 5, 5, "yaml-duplicate"), ("escape", 3, 13, "yaml-escape"), ("key-below-value", 3, 10, "yaml-no-colon"),
    ("key-between", 4, 3, "yaml-indentation"), ("key-indentation", 4, 4, "yaml-indentation"), ("list-among-keys", 4, 5, "yaml-start"),
    ("list-indentation", 5, 8, "yaml-indentation"), ("percent", 3, 10, "yaml-start"), ("quote-closed-too-late", 3, 10, "yaml-unclosed"),
    ("quote-never-closed", 3, 10, "yaml-unclosed"), ("quote-within", 3, 19, "yaml-text"), ("space-after-colon", 3, 5, "yaml-no-colon"),
    ("space-after-dash", 5, 7, "yaml-indentation"), ("space-after-second-colon", 4, 5, "yaml-no-colon"), ("stray-dash", 3, 12, "yaml-start"),
    ("tab-after-spaces", 4, 3, "yaml-tab"), ("tab", 3, 1, "yaml-tab"), ("tag", 3, 10, "yaml-tag"), ("two-documents", 2, 1, "yaml-documents"),
    ("undefined-alias", 3, 11, "yaml-alias"),
)


class Mistakes(unittest.TestCase):
    def test_files(self):
        for name, line, column, code in FILES:
            with self.subTest(name=name):
                with open(os.path.join(ROOT, "tests", "cases", "yaml-errors", name + ".yaml"), "rb") as file:
                    error = caught(self, file.read())
                self.assertEqual((error.line, error.column, error.code), (line, column, code))


if __name__ == "__main__":
    unittest.main()
