"""The file reads like a book: its chapters are those that it lists, and none needs what comes later."""
import ast
import glob
import os
import re
import symtable
import unittest
from itertools import chain

from support import ROOT

BANNER = re.compile(r"^# -{75}\n# ((\d+)\. (.+): .+ <?-> .+)\n# -{75}$", re.MULTILINE)
ESSAY = re.compile(r"(?:#.*\n)*")  # what stands below a banner
FUNCTION = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b")  # what only the name of a function, or of a variable, looks like
PATHS = ("attempts/", "/attempts", "logs/", "submissions/", "/submissions", "plan.jsonl", "stop-")  # of a record
LONGEST_FUNCTION = 60
STANDARD_LIBRARY = frozenset((  # what the file may import; every one is there from Python 3.6 to 3.14
    "_json", "_signal",  # the parts in C of json and signal, which it does without where they are missing
    "argparse", "ast", "bisect", "codecs", "collections", "contextlib", "csv", "ctypes", "datetime", "decimal", "difflib", "errno",
    "fcntl", "functools", "gc", "glob", "hashlib", "heapq", "html", "importlib", "io", "itertools", "json", "locale", "marshal", "math", "mmap",
    "msvcrt", "operator", "os", "platform", "pwd", "random", "re", "runpy", "select", "shlex", "shutil", "signal", "socket",
    "stat", "string", "struct", "subprocess", "symtable", "sys", "tempfile", "termios", "textwrap", "threading", "time", "traceback",
    "typing", "unicodedata", "weakref", "zlib"))
TALKING = ("What people see", "Command line")  # the chapters that may print, and end the process
IN_THE_README = ("load", "main")  # they need a job file: the README shows them, and its test executes what it shows


PRIVATE = frozenset((  # names that __all__ does not have and tests use: what cannot be seen otherwise; at most 40
    "shell_text",))


def last_line(node: "ast.AST") -> int:
    """Return the last line of a node; Python 3.6 and 3.7 have no end_lineno."""
    return max(getattr(part, "end_lineno", None) or getattr(part, "lineno", 0) for part in ast.walk(node))


def dotted(node: "ast.AST") -> str:
    """Return the text of a name like os.kill; "" for any other node."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def quoted_names(function: "ast.AST") -> "set":
    """Return the names in the annotations of a function that stand in quotes."""
    arguments = function.args
    every = [*arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    texts = [getattr(node, node._fields[0])  # the field's name has changed in Python 3.8
             for node in chain((argument and argument.annotation for argument in every), [function.returns])
             if type(node).__name__ in ("Str", "Constant")]
    return {name for text in texts if isinstance(text, str) for name in re.findall(r"[A-Za-z_]\w*", text)}


class Book(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        with open(os.path.join(ROOT, "hydraflow.py"), encoding="utf-8") as file:
            cls.text = file.read()
        cls.tree = ast.parse(cls.text)
        cls.nodes = [node for node in ast.walk(cls.tree) if hasattr(node, "lineno")]
        cls.banners = [(cls.text.count("\n", 0, match.start()) + 1, match.group(1), match.group(3))
                       for match in BANNER.finditer(cls.text)]

    def chapter(self, line: int) -> int:
        """Return the number of the chapter that a line stands in; the title page is 0."""
        return sum(start <= line for start, _, _ in self.banners)

    def title(self, line: int) -> str:
        """Return the title of the chapter that a line stands in."""
        return self.banners[self.chapter(line) - 1][2] if self.chapter(line) else "title page"

    def definitions(self) -> "dict":
        """Return every name of the module, and the line that first defines it."""
        found = {}
        for statement in self.tree.body:
            if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                found.setdefault(statement.name, statement.lineno)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
                for target in getattr(statement, "targets", [getattr(statement, "target", None)]):
                    for name in ast.walk(target):
                        if isinstance(name, ast.Name):
                            found.setdefault(name.id, statement.lineno)
        return found

    def test_chapters_are_those_of_the_docstring(self) -> None:
        told = re.findall(r"^    (\d+\. .*)$", ast.get_docstring(self.tree), re.MULTILINE)
        self.assertEqual([banner for _, banner, _ in self.banners], told)
        self.assertEqual([banner.partition(".")[0] for banner in told], [str(number + 1) for number in range(len(told))])
        self.assertEqual(len(re.findall("^# ---", self.text, re.MULTILINE)), 2 * len(told), "a banner is three lines")

    def test_nothing_names_a_later_chapter(self) -> None:
        defined = self.definitions()
        named = {(name, node.lineno) for node in self.nodes if isinstance(node, ast.FunctionDef) for name in quoted_names(node)}
        scopes = symtable.symtable(self.text, "hydraflow.py", "exec").get_children()
        while scopes:
            scope = scopes.pop()
            scopes.extend(scope.get_children())
            named.update((symbol.get_name(), scope.get_lineno()) for symbol in scope.get_symbols() if symbol.is_global())
        self.assertGreater(len(named), 200)
        for name, line in sorted(named, key=lambda pair: pair[1]):
            with self.subTest(name=name, line=line):
                self.assertLessEqual(self.chapter(defined.get(name, 0)), self.chapter(line))

    def test_banners_name_what_their_chapters_hold(self) -> None:
        """A function, or a method, that the essay below a banner names stands in that chapter."""
        defined = {}
        for node in self.nodes:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                defined.setdefault(node.name, set()).add(self.chapter(node.lineno))
        found = 0
        for match in BANNER.finditer(self.text):
            number = int(match.group(2))
            for name in FUNCTION.findall(ESSAY.match(self.text, match.end() + 1).group()):
                with self.subTest(chapter=number, name=name):
                    self.assertIn(number, defined.get(name, ()))
                found += 1
        self.assertGreater(found, 5)

    def test_paths_of_a_record_are_made_in_one_chapter(self) -> None:
        documentation = {ast.get_docstring(node, clean=False) for node in ast.walk(self.tree)
                         if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module))}
        found = 0
        for node in self.nodes:
            text = getattr(node, node._fields[0], None) if type(node).__name__ in ("Str", "Constant") else None
            if isinstance(text, str) and text not in documentation and any(path in text for path in PATHS):
                found += 1
                self.assertEqual(self.title(node.lineno), "Records", f"line {node.lineno}: {text}")
        self.assertGreater(found, 0)

    def test_one_place_starts_processes(self) -> None:
        calls = [dotted(node.func) for node in self.nodes if isinstance(node, ast.Call)]
        self.assertEqual([name for name in calls if name.endswith("Popen")], ["subprocess.Popen"])
        for node in self.nodes:
            name = dotted(node)
            if re.match(r"subprocess\.|os\.(kill|system|popen|fork|spawn|exec|posix_spawn)", name):
                self.assertEqual(self.title(node.lineno), "Processes", f"line {node.lineno}: {name}")

    def test_only_reports_and_command_line_talk(self) -> None:
        for node in self.nodes:
            name = dotted(node)
            if name in ("print", "input", "exit", "quit", "sys.exit", "os._exit", "sys.stdout", "sys.stderr"):
                self.assertIn(self.title(node.lineno), TALKING, f"line {node.lineno}: {name}")
            if isinstance(node, ast.Raise) and "SystemExit" in map(dotted, ast.walk(node)):
                self.assertIn(self.title(node.lineno), TALKING, f"line {node.lineno}: raise SystemExit")

    def test_functions_are_short(self) -> None:
        for node in self.nodes:
            if isinstance(node, ast.FunctionDef):
                self.assertLessEqual(last_line(node) - node.lineno + 1, LONGEST_FUNCTION, f"line {node.lineno}: {node.name}")

    def test_imports_and_syntax(self) -> None:
        for node in self.nodes:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                self.assertTrue(name.partition(".")[0] in STANDARD_LIBRARY, f"line {node.lineno}: {name} is not in the list")
            self.assertNotIn(type(node).__name__, ("NamedExpr", "Match"), f"line {node.lineno}: needs a newer Python than 3.6")

    def public(self) -> "list":
        """Return __all__."""
        return next(ast.literal_eval(node.value) for node in self.tree.body if isinstance(node, ast.Assign) and dotted(node.targets[0]) == "__all__")

    def test_which_private_names_tests_use(self) -> None:
        """No test but this list has to change with the inside of the file."""
        used = set()
        for path in glob.glob(os.path.join(ROOT, "tests", "**", "*.py"), recursive=True):
            with open(path, encoding="utf-8") as file:
                tree = ast.parse(file.read())
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.module == "hydraflow":
                    used.update(alias.name for alias in node.names)
                if dotted(node).startswith("hydraflow."):
                    used.add(dotted(node).partition(".")[2])
        self.assertEqual(used - set(self.public()) - {"__version__", "__all__", "__file__"} - PRIVATE, set())
        self.assertLessEqual(len(PRIVATE), 40)

    def test_names_and_docstrings(self) -> None:
        for name in self.definitions():
            self.assertTrue(not name.startswith("_") or re.match("__.+__$", name), f"{name}: __all__ says what is public")
        public = self.public()
        self.assertEqual(public, sorted(public))
        blocks = {node.name: node for node in self.tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        for name in public:
            text = ast.get_docstring(blocks[name])
            self.assertTrue(text, f"{name} has no docstring")
            if isinstance(blocks[name], ast.FunctionDef) and name not in IN_THE_README:
                self.assertIn(">>> ", text, f"{name} has no doctest")


if __name__ == "__main__":
    unittest.main()
