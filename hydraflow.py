"""HydraFlow: compact parameter sweeps, executed here or on a cluster, recorded and resumed.

Copy this one file to where you work, write hydraflow.yaml, type `python -m hydraflow run train`.
The file reads from top to bottom; each chapter calls only those above it:

    1. Places, errors and numbers: text -> Source, Mark, Error, Number
    2. Sweep language: Source -> Sweep
    3. YAML reader: Source -> Node
    4. Job file: Node -> Job
    5. Planning: Job, overrides -> Task, Task, ...
    6. Processes: argv -> process
    7. Records: Task, Start, Submission, Attempt <-> files
    8. States: Attempt, queue -> State of each task
    9. Local execution: Task, Task, ... -> Event, Event, ...
    10. Schedulers: words and texts <-> array jobs
    11. Runs: Plan -> Event, Event, ...
    12. What people see: Event, State -> text
    13. Results and report: Row, Row, ... -> tables, page
    14. Command line: argv -> exit status

The line through them: hydraflow.yaml is read into nodes, the nodes into jobs that hold parsed
sweeps; jobs and the words of the command line are planned as tasks; a record keeps them on disk
while they are executed; what happens comes back as events, which the screen shows and the exit
status sums up. Nothing is written to disk before every mistake that can be known is known.
"""
import os
import sys

if __name__ == "__main__" and sys.path[0] in ("", os.getcwd(), os.path.dirname(__file__)):
    del sys.path[0]  # select.py beside a job file is the user's, and no part of Python

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    # Ctrl-C while the rest of this file is read, and when main has ended, ends without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import bisect
import contextlib
import errno
import functools
import itertools
import json
import re
import shlex
import subprocess
import time
from collections import Counter, defaultdict, namedtuple
from itertools import accumulate, chain, dropwhile, islice, product, takewhile
from operator import mul

__version__ = "1.0.0"
__all__ = [
    "Error", "Errors", "Job", "Mark", "Node", "Plan", "Source", "Step", "Sweep", "Task",
    "collect", "expand", "load", "main", "plan", "read_yaml", "results"]

TYPE_CHECKING = False  # type checkers take this name as true
if TYPE_CHECKING:
    from typing import (
        IO, Any, Callable, Dict, FrozenSet, Generator, Iterable, Iterator, List, Mapping, Match,
        NamedTuple, NoReturn, Optional, Sequence, Set, Tuple, Union)
else:
    class NamedTupleType(type):
        """Makes named tuples of annotated classes, as typing does, which is slow to import."""

        def __new__(cls, name, bases, members):
            fields = members.get("__annotations__") or members["__annotate_func__"](1)  # 3.14
            base = namedtuple(name, fields)
            defaults = [members.pop(field) for field in fields if field in members]
            base.__new__.__defaults__ = tuple(defaults)
            return type(name, (base,), {"__slots__": (), **members})

    NamedTuple = type.__new__(NamedTupleType, "NamedTuple", (), {})


# ---------------------------------------------------------------------------
# 1. Places, errors and numbers: text -> Source, Mark, Error, Number
# ---------------------------------------------------------------------------
# A Source maps offsets of a text, even of a scalar that was unfolded or unescaped, to lines and
# columns of the file that it came from: the sweep parser points into YAML without knowing it. A
# Number is an exact decimal that remembers how it was written.


class Mark(NamedTuple):
    """A place in a text: line and column count from 1, text is the line, width the length."""
    source: str
    line: int
    column: int
    text: str
    width: int


NOWHERE = Mark("", 0, 0, "", 0)  # without a place in a text: no job file, a full disk


class Source:
    """A text, and where it came from.

    A part of another text that was rewritten (folded, unescaped) has that text as origin, and
    pieces: ascending pairs (offset here, offset there), between which both advance together.

    >>> Source("notes", "one\\ntwo").mark(4, 7)[:3]
    ('notes', 2, 1)
    """

    def __init__(self, name: str, text: str, origin: "Optional[Source]" = None,
                 pieces: "Sequence[Tuple[int, int]]" = ()) -> None:
        self.name, self.text = name, text
        self.origin, self.pieces = origin, pieces

    def mark(self, start: int, end: int) -> Mark:
        """The place of text[start:end], cut at the end of its first line."""
        if self.origin is not None:
            first = self.offset(start)
            last = self.offset(end - 1) + 1 if end > start else first
            return self.origin.mark(first, max(first, last))
        begin = self.text.rfind("\n", 0, start) + 1
        line = self.text.count("\n", 0, start) + 1
        text = self.text[begin:].partition("\n")[0]
        width = max(1, min(end - begin, len(text)) - (start - begin))
        return Mark(self.name, line, start - begin + 1, text, width)

    def whole(self) -> Mark:
        return self.mark(0, len(self.text))

    def line_end(self, position: int) -> int:
        """The end of the line of the file in which a character is; folded text has fewer lines."""
        line = self.mark(position, position).line
        while position < len(self.text) and self.mark(position, position).line == line:
            position += 1
        return position

    def offset(self, position: int) -> int:
        piece = bisect.bisect_right(self.pieces, (position, sys.maxsize)) - 1
        if piece < 0:
            return 0
        here, there = self.pieces[piece]
        return there + position - here


class Error(ValueError):
    """A mistake that the user can correct: one message, no traceback, exit status 2.

    code is a short word for the kind of mistake, which survives rewording; hint is a fixed text or
    a close name. source, line and column are those of the mark.

    >>> mark = Source("job.yaml", "t=1:2:0").mark(2, 7)
    >>> print(Error("range-step-zero", "range step is zero", "quote it", mark))
    job.yaml:1:3: error: range step is zero
        t=1:2:0
          ^^^^^
    hint: quote it
    """

    status = 2

    def __init__(self, code: str, message: str, hint: str = "", mark: Mark = NOWHERE) -> None:
        self.code = code
        self.message = printable(message)
        self.mark = mark
        self.hint = printable(hint)
        super().__init__(self.message)
        self.source, self.line, self.column = mark.source, mark.line, mark.column

    def __str__(self) -> str:
        lines = [f"error: {self.message}"]
        if self.line:
            lines = [f"{self.source}:{self.line}:{self.column}: {lines[0]}", *drawn(self.mark)]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class Errors(Error):
    """Several mistakes found together; place and message are those of the first."""

    def __init__(self, errors: "Sequence[Error]") -> None:
        first = errors[0]
        super().__init__(first.code, first.message, first.hint, first.mark)
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def raise_all(errors: "Sequence[Error]") -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Errors(errors)


def read_each(read: "Callable[[Any], Any]", items: "Iterable[Any]",
              errors: "List[Error]") -> "List[Any]":
    """Read the right items, and add the Errors of the others."""
    results = []
    for item in items:
        try:
            results.append(read(item))
        except Error as error:
            errors.extend(getattr(error, "errors", [error]))
    return results


def read_all(read: "Callable[[Any], Any]", items: "Iterable[Any]") -> "List[Any]":
    """Read each item; raises all Errors together."""
    errors: List[Error] = []
    results = read_each(read, items, errors)
    raise_all(errors)
    return results


def printable(text: str) -> str:
    shown = [char if char.isprintable() or char in "\t\n" else "\ufffd" for char in text]
    return "".join(shown)


def text_width(text: str) -> int:
    from unicodedata import combining, east_asian_width
    if len(text) == len(text.encode("utf-8", "surrogateescape")):
        return len(text)
    return sum((east_asian_width(char) in "WF") + (not combining(char)) for char in text)


def drawn(mark: Mark) -> "List[str]":
    """The line of a mark without its indentation, or of a long line a part, and carets below."""
    indentation = len(mark.text) - len(mark.text.lstrip(" "))
    first = min(indentation, mark.column - 1)
    if len(mark.text) - first > 100:
        first = max(first, mark.column - 51)
    shown = printable(mark.text[first:first + 100])
    before = shown[:mark.column - 1 - first]
    marked = shown[len(before):][:mark.width]
    lead = "\t".join(" " * text_width(part) for part in before.split("\t"))  # tabs stay tabs
    carets = "^" * max(text_width(marked), 1)
    return [f"    {shown}".rstrip(), f"    {lead}{carets}"]


UNUSUAL = re.compile("[^\t\n\x20-\x7e]")
FORBIDDEN = (  # compiling takes 5 ms: only a text that has something unusual needs it
    "[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def read_source(text: "Union[str, bytes]", name: str) -> Source:
    """The text of a file without byte order mark, its lines ended by newlines.

    Raises Error for invalid UTF-8, characters that YAML forbids (YAML 1.2.2, 5.1), and those that
    are line breaks in YAML 1.1 only (5.4).
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")  # invalid bytes become U+DC80 to U+DCFF
    if text.startswith("\ufeff"):
        text = text[1:]
    source = Source(name, text.replace("\r\n", "\n").replace("\r", "\n"))
    found = UNUSUAL.search(source.text) and re.search(FORBIDDEN, source.text)
    if found:
        code = ord(found.group())
        mark = source.mark(*found.span())
        if 0xDC80 <= code <= 0xDCFF:
            raise Error("invalid-utf8", f"invalid UTF-8: byte 0x{code & 0xFF:02x}",
                        "save the file as UTF-8", mark)
        raise Error("unread-character", f"character U+{code:04X} is not allowed",
                    "remove it, or escape it in double quotes", mark)
    return source


def suggest(word: str, valid: "Iterable[str]") -> str:
    """A hint with the valid words close to word, or "".

    >>> suggest("bacth", ["args", "batch"])
    'did you mean batch?'
    """
    from difflib import get_close_matches
    close = get_close_matches(word, list(valid), 3, 0.6)
    return f"did you mean {' or '.join(close)}?" if close else ""


SI_UNITS = {"T": 12, "G": 9, "M": 6, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
DIGITS = "[0-9]+(?:_[0-9]+)*"
NUMBER_TEXT = (
    rf"([+-]?(?:{DIGITS}(?:\.(?:{DIGITS})?)?|\.{DIGITS}))"
    "([eE][+-]?[0-9]+)?"
    "([TGMkmunpf])?")
NUMBER = re.compile(NUMBER_TEXT)
UNIT = re.compile("[TGMkmunpf]|[eE][+-]?[0-9]{1,3}")
LONGEST_NUMBER = 60  # characters; with LARGEST_POWER, each number is a finite float
LARGEST_POWER = 240


class Number(NamedTuple):
    """The exact number mantissa * 10**exponent, and its notation.

    scale is the power of ten of its unit or exponent; kept is true if the user wrote an exponent,
    which then stays. Other integral values are written as integers, for int fields of Hydra.

    >>> [str(read_number(text)) for text in ("1k", "3u", "2.5M", "1.50e-3", "-1_000")]
    ['1000', '3e-6', '2500000', '1.5e-3', '-1000']
    """
    mantissa: int
    exponent: int
    scale: int
    kept: bool

    def __str__(self) -> str:
        is_integral = self.exponent >= 0 or self.mantissa % 10 ** -self.exponent == 0
        is_scaled = self.kept or (self.scale != 0 and not is_integral)
        places = -self.exponent  # after the decimal point
        if is_scaled:
            places += self.scale
        text = str(abs(self.mantissa) * 10 ** max(-places, 0)).zfill(places + 1)
        if places > 0:
            text = f"{text[:-places]}.{text[-places:]}".rstrip("0").rstrip(".")
        if self.mantissa < 0:
            text = "-" + text
        return f"{text}e{self.scale}" if is_scaled else text

    def times(self, unit: "Number") -> "Number":
        return Number(self.mantissa, self.exponent + unit.exponent,
                      self.scale + unit.scale, self.kept or unit.kept)

    def shifted(self, exponent: int) -> int:
        return int(self.mantissa * 10 ** (self.exponent - exponent))


ONE = Number(1, 0, 0, False)


def read_number(text: str) -> "Optional[Number]":
    """The number that a text is, or None."""
    match = NUMBER.fullmatch(text) if len(text) <= LONGEST_NUMBER else None
    if not match:
        return None
    digits, power, letter = match.groups("")
    exponent = int(power[1:] or 0)
    if abs(exponent) > LARGEST_POWER:
        return None
    whole, _, part = digits.replace("_", "").partition(".")
    scale = exponent + SI_UNITS.get(letter, 0)
    return Number(int(whole + part), scale - len(part), scale, bool(power))


def literal(text: str) -> "Union[str, Number]":
    """The number of a text with an SI letter; another text stays as it is."""
    if text[-1:] in SI_UNITS:
        return read_number(text) or text
    return text


DURATIONS = {"s": 1 / 60, "m": 1.0, "": 1.0, "h": 60.0, "d": 1440.0}  # minutes


def read_duration(text: str) -> float:
    """The minutes of a text like 90, 5s, 1.5h, or 0 if it is no duration.

    >>> [read_duration(text) for text in ("90", "90m", "2h", "0.5", "30 s", "3k", "-1")]
    [90.0, 90.0, 120.0, 0.5, 0.5, 0.0, 0.0]
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d*)?|\.\d+) *([smhd]?)", text)
    return float(match[1]) * DURATIONS[match[2]] if match else 0.0


# ---------------------------------------------------------------------------
# 2. Sweep language: Source -> Sweep
# ---------------------------------------------------------------------------
# Values are lazy: an item is computed when it is needed, so nothing is longer than its text.
# tokenize nests brackets; each parse_* method of SweepParser is one rule of the grammar, and what
# no rule knows is text. Quotes, brackets, braces and ${...} belong to Hydra (hydra-core 1.3,
# OverrideLexer.g4). An Axis is a parsed word: keys are compared, spelled keys are written. A sweep
# that belongs to no step has no kind, and the rules of a kind do not apply to it.

HYDRA = "hydra"  # kinds of steps
PROGRAM = "program"
HYDRA_CALL = re.compile(
    r"(choice|range|interval|glob|sort|shuffle|tag|extend_list|json_str|int|float|str|bool)\s*\(")
FUNCTIONS = (  # of ours and of Hydra: a name that is close to one of these is no text
    "lines", "files", "choice", "range", "interval", "shuffle", "extend_list", "json_str", "float")
FOREIGN = (  # functions of other languages
    "linspace", "logspace", "geomspace", "arange", "uniform", "loguniform", "randint", "$")
AS_TEXT = "quote it to keep it as text: key='...'"
PREFIX = "+~-"  # of a key: how Hydra or a program takes it
KEY = re.compile(r"((?:\\.|[^=\s'\"(){}|\\])*)=")
UNIT_KEY = re.compile(rf"(?s)([^~].*)/({UNIT.pattern})")
RANGE = re.compile(
    rf"(?:{NUMBER_TEXT})?:{NUMBER_TEXT}"
    rf"|{NUMBER_TEXT}:(?:{UNIT.pattern})?$"
    rf"|{NUMBER_TEXT}::"
    r"|[+-]?\d+(\.\d+)?\.\.[+-]?\d+(\.\d+)?$")
NOT_IN_HYDRA = re.compile(  # refused by its lexer outside quotes and interpolations
    r"[^\w/\-\\+.$%*@?|=:,()\[\]{} \t]|[^\x00-\x7f]|(?<!\\)=")
HYDRA_LEXES = ("text", "escape", "equals", "comment", "space")  # the other tokens are right
LONGEST_LISTED = 65536  # rows of an axis that are kept while a product is streamed
DEEPEST_BRACKET = 50
MOST_LISTED = 1000000  # values of one word, combinations that are counted one by one


class Values:
    """Numbers and texts, or the rows of an axis: count of them; at(index) computes one."""

    def __init__(self, count: int, at: "Callable[[int], Any]") -> None:
        self.count = count
        self.at = at

    def __iter__(self) -> "Iterator[Any]":
        return map(self.at, range(self.count))

    def times(self, unit: str) -> "Values":
        """The same values in a unit, which is appended to a text."""
        if not unit:
            return self
        factor = read_number(f"1{unit}") or ONE

        def at(index: int) -> "Union[str, Number]":
            value = self.at(index)
            number = read_number(value) if isinstance(value, str) else value
            return number.times(factor) if number else f"{value}{unit}"

        return Values(self.count, at)

    def column(self, place: int, width: int) -> "Values":
        """The values at a place of rows, which follow each other."""
        return Values(self.count // width, lambda row: self.at(row * width + place))


def listed(values: "Sequence[Any]") -> Values:
    return Values(len(values), values.__getitem__)


def joined(items: "Sequence[Values]") -> Values:
    starts = [0, *accumulate(item.count for item in items)]

    def at(index: int) -> "Any":
        place = bisect.bisect_right(starts, index) - 1
        return items[place].at(index - starts[place])

    return Values(starts[-1], at)


def crossed(items: "Sequence[Values]") -> Values:
    """The combinations of items as lists, the first item fastest."""
    def at(index: int) -> "List[Any]":
        values = []
        for item in items:
            index, place = divmod(index, item.count)
            values.append(item.at(place))
        return values

    return Values(functools.reduce(mul, (item.count for item in items), 1), at)


TOKEN = re.compile(r"""(?sx)
    (?P<quoted>         '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" )
  | (?P<template>       \$\{\{[ ]*(?:env|job|matrix|task)\.[^{}\n]*\}\} )
  | (?P<interpolation>  \$\{[^}]+\} )          # to Hydra, the first closing brace ends it
  | (?P<backslash>      \\(?=\$\{) )           # to Hydra, a backslash does not hide ${
  | (?P<escape>         \\.? )
  | (?P<open>           [(\[{] )
  | (?P<comma>          , )
  | (?P<pipe>           \| )
  | (?P<equals>         = )
  | (?P<space>          \s+ )
  | (?P<comment>        (?<!\S)\# )            # at the start of a word: where one may begin
  | (?P<text>           (?: [^\s,|()\[\]{}='"\\$] | \$(?!\{) )+ )
  | (?P<unmatched>      [)\]}'"] | \$\{[^}]*\}? )  # with it, every character is in some token
""")
PARTNERS = {"(": ")", "[": "]", "{": "}"}


class Part:
    """A token of a sweep, or several in a row, which are inner; a bracket has its sign as kind."""
    def __init__(self, kind: str, source: Source, start: int, end: int) -> None:
        self.kind, self.source, self.start, self.end = kind, source, start, end
        self.inner: List[Part] = []

    @property
    def text(self) -> str:
        return self.source.text[self.start:self.end]

    @property
    def mark(self) -> Mark:
        return self.source.mark(self.start, self.end)

    def part(self, tokens: "List[Part]") -> "Part":
        """Some of the inner tokens, without white space at the end."""
        if tokens and tokens[-1].kind == "space":
            tokens = tokens[:-1]
        part = Part("part", self.source, self.start, self.start)
        if tokens:
            part.start, part.end, part.inner = tokens[0].start, tokens[-1].end, tokens
        return part

    def split(self, kind: str) -> "List[Part]":
        """The parts between the inner tokens of a kind, without white space around them."""
        slices: List[List[Part]] = [[]]
        for token in self.inner:
            if token.kind == kind:
                slices.append([])
            elif token.kind != "space" or slices[-1]:
                slices[-1].append(token)
        return list(map(self.part, slices))

    def called(self) -> "Optional[str]":
        """The text before a pair of parentheses that is the end, None without one."""
        is_call = self.inner and self.inner[-1].kind == "("
        return self.source.text[self.start:self.inner[-1].start] if is_call else None


def flattened(tokens: "Iterable[Part]") -> "Iterator[Part]":
    for token in tokens:
        yield token
        yield from flattened(token.inner)


def tokenize(source: Source, has_comments: bool = False) -> Part:
    """A text as one part. A comment ends with its line; brackets contain none."""
    whole = Part("part", source, 0, len(source.text))
    opened = [whole]
    at = 0
    while at < whole.end:
        match: Any = TOKEN.match(source.text, at)
        kind, text, start, at = match.lastgroup, match.group(), at, match.end()
        around = opened[-1]
        if kind == "comment" and has_comments and around is whole:
            at = source.line_end(start)
            continue
        if PARTNERS.get(around.kind) == text:
            opened.pop().end = at
            continue
        kind = {("(", "equals"): "argument"}.get((around.kind, kind), kind)
        token = Part(text if kind == "open" else kind, source, start, at)
        around.inner.append(token)
        if kind in ("open", "unmatched"):
            opened.append(token)
        if kind == "unmatched" or len(opened) > DEEPEST_BRACKET:
            break
    if len(opened) > 1:
        start = opened[-1].start
        sign = source.text[start]
        raise Error("unmatched-bracket", f"unmatched {sign}",
                    f"brackets and quotes come in pairs: quote a value that contains {sign}",
                    source.mark(start, start + 1))
    return whole


def words_of(source: Source) -> "List[Part]":
    return [word for word in tokenize(source, True).split("space") if word.inner]


def kept(values: "Any", axis: "Axis") -> "Any":
    """The values of an axis, or of a sweep from it on; raises if they are too many to keep."""
    if values.count > MOST_LISTED:
        raise Error("too-many-values", f"over {MOST_LISTED:,} values",
                    "name fewer; in batch, each value is a task of its own", axis.mark)
    return values


class Axis(Values):
    """A word of a sweep; its values are rows: words, or tuples of linked words.

    spelled has the keys as they are written, without a unit that acts; keys the same without
    their prefix. columns have the values of each key; alternatives and other words have only rows.
    """
    def __init__(self, part: Part, spelled: "Sequence[str]", columns: "Sequence[Values]",
                 rows: "Optional[Values]" = None) -> None:
        self.part, self.text = part, part.text
        self.spelled = tuple(spelled)
        self.keys = tuple(key.lstrip(PREFIX) for key in spelled)
        self.columns = columns
        rows = rows or Values(columns[0].count, self.row)
        super().__init__(rows.count, rows.at)

    @property
    def mark(self) -> Mark:
        return self.part.mark

    def row(self, index: int) -> "Union[str, Tuple[str, ...]]":
        words = [f"{key}={column.at(index)}" for key, column in zip(self.spelled, self.columns)]
        return words[0] if len(words) == 1 else tuple(words)

    def is_list(self) -> bool:
        """Whether commas can join the values: those of one key, which is no variable."""
        return len(self.columns) == 1 and self.spelled[0][:1] != "$"

    def makes_tasks(self) -> bool:
        return max(self.count, len(self.keys)) > 1 or self.text[0] == "$"

    def word(self) -> str:
        """One word, with values joined by commas for Hydra to sweep over."""
        if self.is_list():
            return f"{self.spelled[0]}={','.join(map(str, kept(self.columns[0], self)))}"
        if self.keys and self.makes_tasks():
            raise Error("tasks-in-words", "|, linked keys and variables create several tasks",
                        "args belongs to one task: move it to batch, or quote it", self.mark)
        return str(self.at(0))


@functools.lru_cache(1000)
def key_of(word: str) -> str:
    """The key that a word assigns or deletes, in the form that is compared; "" if none.

    >>> words = ("+a.b=1", "~db", "db/engine@pkg=x", "items[0]=1", "--lr=1", "$A=1", "--verbose")
    >>> [key_of(word) for word in words]
    ['a.b', 'db', 'db/engine@pkg', 'items[0]', 'lr', '$A', '']
    """
    bare = word.lstrip(PREFIX)
    match = KEY.match(bare)
    if match:
        return match[1]
    return bare if word.startswith("~") else ""


def file_rows(name: str, path: str) -> "List[List[str]]":
    """The rows of a CSV file, the lines of a file, or the paths that match, by the function."""
    import csv
    from glob import glob
    if name == "files":
        return [[found] for found in sorted(glob(path, recursive=True))]
    with open(path, "rb") as file:
        text = read_source(file.read(), path).text
    lines = text.splitlines(True)
    if name == "lines":
        return [[line.strip()] for line in lines if not re.match(r"\s*(#|$)", line)]
    separator = next((sign for sign in ",\t;" if sign in text.partition("\n")[0]), ",")
    rows = csv.reader(lines, delimiter=separator, strict=True)
    try:
        return [[cell.strip() for cell in row] for row in rows if row]
    except csv.Error as error:
        raise OSError(0, str(error)) from None


def hydra_text(text: str) -> str:
    """A text as Hydra's grammar takes it, in quotes where it must be.

    >>> hydra_text("train"), hydra_text("it's 1")
    ('train', "'it\\\\'s 1'")
    """
    if re.fullmatch(r"[A-Za-z0-9_./-]+", text):
        return text
    return "'" + re.sub(r"(?<!\\)(\\*)('|\Z)", lambda match: (
        match[1] * 2 + match[2].replace("'", "\\'")), text) + "'"


QUOTED_TEXT = re.compile(  # or what is no quote, or all from a bracket on
    r"""(?s)'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\\.|[(\[{].*""")


def unquoted(word: str) -> str:
    """A word without the quotes around its values, for programs other than Hydra's; brackets, and
    what follows them, stay.

    >>> unquoted("a='x y',\\"it's\\""), unquoted('a={"k": 1}')
    ("a=x y,it's", 'a={"k": 1}')
    """
    def content(match: "Match[str]") -> str:
        text = match[0]
        if text[0] not in "'\"":
            return text
        return re.sub(rf"(?<!\\)(\\+)({text[0]}|\Z)", lambda found: (
            "\\" * (len(found[1]) // 2) + found[2]), text[1:-1])

    return QUOTED_TEXT.sub(content, word)


def plain(number: Number) -> str:
    return str(number._replace(scale=0, kept=False))


@functools.lru_cache(100000)
def same_value(word: str) -> "Tuple[str, str]":
    """Key and value of a word in the form that is compared: equal numbers are equal.

    >>> same_value("+mem=4G") == same_value("--mem=4e9"), same_value("who=it's")
    (True, ('who', "it's"))
    """
    value = word.partition("=")[2]
    number = read_number(value)
    return key_of(word), plain(number) if number else unquoted(value)


class SweepParser:
    """A recursive parser of words; what no rule knows is text and passed on. is_fixed: the words
    are appended to a command, may have templates, and are not expanded."""

    def __init__(self, kind: str = "", is_fixed: bool = False) -> None:
        self.kind = kind
        self.is_fixed = is_fixed
        self.literal = str if kind == PROGRAM else literal
        self.keys: Sequence[str] = ()  # of the current segment
        self.units: Dict[str, Set[bool]] = {}  # whether the values of a key with one are numbers

    def parse_word(self, word: Part) -> Axis:
        """word = segment { "|" segment } | literal"""
        self.keys, self.units = (), {}
        if self.is_fixed or not KEY.match(word.text):
            return self.parse_literal(word)
        parts = word.split("pipe")
        axes = [self.parse_segment(part, len(parts) == 1) for part in parts]
        if len(axes) == 1:
            return axes[0]
        rows = joined([listed([axis.word()]) if axis.is_list() else axis for axis in axes])
        return Axis(word, [key for axis in axes for key in axis.spelled], (), rows)

    def parse_keys(self, segment: Part) -> Part:
        """keys = key [ "/" unit ] | key "," key { "," key }; the value after them is returned."""
        match = KEY.match(segment.text)
        cut = segment.start
        if match:
            cut += match.end()
            self.keys = [match[1]] if self.is_fixed else match[1].split(",")
        if self.kind and match and not match[1]:
            raise Error("missing-key", "no key before =", "no white space around =", segment.mark)
        tokens = [token for token in segment.inner if token.start >= cut]
        self.check_value(tokens)
        return segment.part(tokens)

    def parse_literal(self, word: Part) -> Axis:
        """literal = option | "~" key | "rows" "(" path ")" | any other word"""
        text = word.text
        self.parse_keys(word)
        if word.called() == "rows" and not self.is_fixed:
            return self.axis(word, self.parse_file("rows", word))
        if "=" in text and [token.kind for token in word.inner] == ["quoted"]:
            raise Error("quoted-word", "the whole word is in quotes",
                        "quote only the value, where it has to be: a='x y'", word.mark)
        if self.kind and text.startswith("|"):
            raise Error("pipe-space", "white space around |",
                        "write a=1,2|3,4; alternatives of several keys are steps, or include:",
                        word.mark)
        keys = [text] if text.startswith("~") else ()
        return Axis(word, self.keys or keys, (), listed([text]))

    def parse_segment(self, segment: Part, is_lone: bool) -> Axis:
        """segment = [ keys "=" ] list"""
        value = self.parse_keys(segment)
        if len(self.keys) > 1:
            values = joined(list(map(self.parse_row, value.split("comma"))))
        elif is_lone and (not value.inner or read_number(value.text)):
            values = listed([value.text])  # a lone number is passed on as it is
        else:
            self.check_list(value)
            values = self.parse_list(value)
        return self.axis(segment, values)

    def axis(self, part: Part, values: Values) -> Axis:
        """The axis of the current keys, whose values follow each other row by row."""
        width = len(self.keys)
        if width > 1 and len({key.lstrip(PREFIX) for key in self.keys} - {""}) < width:
            raise Error("linked-keys", "linked keys have names of their own",
                        "write a,b=(1k,x),(2k,y)", part.mark)
        spelled, columns = [], []
        for place, key in enumerate(self.keys):
            column = values.column(place, width)
            unit = UNIT_KEY.fullmatch(key)
            if unit:
                some = [*islice(column, 1000), column.at(column.count - 1)]
                kinds = self.units.setdefault(key, set())
                kinds.update(read_number(str(one)) is not None for one in some)
                if len(kinds) > 1:
                    raise Error("mixed-unit", "numbers and texts under one unit",
                                "write numbers only, or quote those of a config group", part.mark)
                if True in kinds:  # otherwise it is a config group
                    key, column = unit[1], column.times(unit[2])
            spelled.append(key)
            columns.append(column)
        return Axis(part, spelled, columns)

    def check_list(self, value: Part) -> None:
        """Raise for a list of tuples, and for one in which m may be milli or million."""
        parts = value.split("comma")
        if self.kind == HYDRA and is_ambiguous(part.text for part in parts):
            raise Error("unit-doubt", "ambiguous units",
                        "is m milli or million? write the numbers out, or quote the texts",
                        value.mark)
        widths = {part.called() == "" and len(part.inner[0].split("comma")) for part in parts}
        if len(parts) > 1 and len(widths) == 1 and max(widths) > 1:
            raise Error("tuples-of-one-key", "tuples are for linked keys",
                        "write a,b=(1,2),(3,4), lists [1,2],[3,4], or values (1,2,3,4)", value.mark)

    def parse_row(self, part: Part) -> Values:
        """row = "(" list ")" | "rows" "(" path ")" """
        if part.called() == "rows":
            return self.parse_file("rows", part)
        values = self.parse_list(part.inner[0]) if part.called() == "" else None
        if not values or values.count != len(self.keys):
            raise Error("linked-tuple", f"expected a tuple of {len(self.keys)} values",
                        "linked keys take tuples: a,b=(1,x),(2,y)", part.mark)
        return values

    def parse_list(self, part: Part) -> Values:
        """list = item { "," item }"""
        items = part.split("comma")
        if not all(item.inner for item in items):
            raise Error("missing-value", "a value is missing",
                        "write '' for an empty text, and no space after a comma", part.mark)
        return joined(list(map(self.parse_item, items)))

    def parse_item(self, item: Part) -> Values:
        """item = range | spaced | file | group | literal"""
        text = item.text
        if RANGE.match(text):
            return self.parse_range(item)
        kinds = [token.kind for token in item.inner]
        is_call_of_hydra = HYDRA_CALL.match(text)
        if self.kind == PROGRAM and (is_call_of_hydra or "interpolation" in kinds):
            raise Error("only-hydra", f"only Hydra expands {text}",
                        "write 1:3 or a,b; with hydra: false, nothing else expands a value",
                        item.mark)
        if is_call_of_hydra or "(" not in kinds:
            return listed([self.literal(text)])
        name = item.called()
        if name in ("lines", "rows", "files"):
            return self.parse_file(name, item)
        return self.parse_spaced(item) if text[:4] in ("lin(", "log(") else self.parse_group(item)

    def parse_range(self, item: Part) -> Values:
        """range = [ number ] ":" number [ ":" number ] [ ":" unit ] | number ":" unit"""
        fields = item.text.split(":")
        unit = fields.pop() if UNIT.fullmatch(fields[-1]) else ""
        numbers = read_numbers(fields)
        sign = '"' if item.source.name == "command line" else ""  # for the shell
        hint = old_order(numbers, unit) + (
            f"quote it to keep it as text: {sign}{','.join(self.keys)}='{item.text}'{sign}")
        if not numbers or len(numbers) > 3 or re.match("[+-]?0[0-9]", item.text):
            raise Error("not-a-number", f"{item.text} is not a range of numbers",
                        f"a range is start:stop:step, its end included; {hint}", item.mark)
        start, stop, step = [*numbers[:1], *numbers, ONE][-3:] if len(numbers) < 3 else numbers
        if not step.mantissa:
            raise Error("range-step-zero", "range step is zero", hint, item.mark)
        steps = count_steps(start, stop, step)
        if steps < 1 and (len(numbers) > 2 or plain(start) != plain(stop)):
            raise Error("range-empty", f"no step of {step} leads from {start} to {stop}",
                        f"{hint}; with a count: log(1e-3:1e-1:3)", item.mark)
        exponent = min(start.exponent, step.exponent)  # exact, in the notation of start
        first, stride = start.shifted(exponent), step.shifted(exponent)
        return Values(steps + 1, lambda index: start._replace(
            mantissa=first + index * stride, exponent=exponent)).times(unit)

    def parse_spaced(self, item: Part) -> Values:
        """spaced = ( "lin" | "log" ) "(" number ":" number ":" count ")" [ unit ]"""
        from decimal import Decimal
        name, (body, _, unit) = item.text[:3], item.text[4:].rpartition(")")
        fields = body.strip().split(":")
        numbers = (read_numbers(fields) if len(fields) == 3 else []) or [ONE, ONE, ONE]
        first, last, count = [Decimal(plain(number)) for number in numbers]
        is_right = count == int(count) and 1 < count < 1e18 and UNIT.fullmatch(unit or "k")
        if not is_right or (name == "log" and first * last <= 0):
            raise Error("invalid-spacing", f"{name} takes start:stop:count, a unit after it",
                        "for example lin(1:9:3)k; both ends included; log excludes 0", item.mark)

        def at(index: int) -> Number:
            part = index / (count - 1)
            value = first + (last - first) * part
            if name == "log":
                value = first * (last / first) ** part
            number = read_number(repr(float(value))) or ONE
            return number._replace(kept=False)  # the user wrote no exponent

        return Values(int(count), at).times(unit)

    def parse_file(self, name: str, item: Part) -> Values:
        """file = ( "lines" | "rows" | "files" ) "(" path ")" """
        path = os.path.join(os.path.dirname(item.source.name),
                            unquoted(item.inner[-1].text[1:-1].strip()))
        try:
            rows = file_rows(name, path)
            if not rows:
                raise OSError(0, "no values")
            rows = self.columns(rows) if name == "rows" else rows
        except OSError as error:
            raise Error("unreadable-file", f"cannot read {path}: {error.strerror}",
                        "the path is relative to the job file; a first row may name the keys",
                        item.mark) from None
        return listed([cell if NUMBER.fullmatch(cell) else hydra_text(cell)
                       for cell in chain.from_iterable(rows)])

    def columns(self, rows: "List[List[str]]") -> "List[List[str]]":
        """The columns of a CSV file that the keys name, if its first row is a header, or all."""
        self.keys = self.keys or rows[0]  # rows(...) alone: every column is a key
        keys, header = [[name.lstrip(PREFIX + "$") for name in row] for row in (self.keys, rows[0])]
        numbers = [any(map(read_number, row)) for row in (header, rows[-1])]
        is_header = bool(set(keys) & set(header)) or numbers == [False, True]  # it looks like one
        names = (keys, header)[is_header]
        for row in rows:
            if len(row) != len(names) or not set(keys) <= set(names):
                raise OSError(0, f"row {','.join(row)} does not fit the keys {', '.join(keys)}")
        columns = [names.index(key) for key in keys]
        return [[row[column] for column in columns] for row in rows[is_header:]]

    def parse_group(self, item: Part) -> Values:
        """group = { text | "(" list ")" } [ unit ]"""
        from difflib import get_close_matches
        tokens, last = item.inner, item.inner[-1].text
        unit = last if UNIT.fullmatch(last) else ""
        parts = [self.parse_list(token) if token.kind == "(" else listed([token.text])
                 for token in (tokens[:-1] if unit else tokens)]
        group = parts[0]
        if len(parts) > 1:
            every = crossed(parts)
            group = Values(every.count, lambda index: self.literal(
                "".join(map(str, every.at(index)))))
        group = group.times(unit)
        text = str(group.at(0))
        is_text = not read_number(text) and not re.search(r"['\"\[{$]", text)
        called = (item.called() or "").rpartition(".")[2]
        close = get_close_matches(called, FUNCTIONS + FOREIGN, 1, 0.8)
        if close or (group.count == 1 and is_text):
            raise Error("unknown-function", f"unknown function: {item.text.partition('(')[0]}(...)",
                        f"there are lin(0:1:5), log(1:9:3), {', '.join(FUNCTIONS)}, --sample N; "
                        + AS_TEXT, item.mark)
        return group

    def check_value(self, tokens: "List[Part]") -> None:
        """Raise for variables that nothing replaces, and for what Hydra accepts in quotes only."""
        is_override = self.kind == HYDRA and "".join(self.keys)[:1] not in ("", "-", "$")
        for token in flattened(tokens):
            if token.kind == "backslash":
                raise Error("backslash-before-quote", "write ${...} without the backslash",
                            "Hydra would keep it in the value", token.mark)
            is_variable = self.kind and token.kind == "text" and re.search(
                r"\$[A-Za-z_]", token.text)
            if is_variable or (token.kind == "template" and not self.is_fixed):
                raise Error("not-replaced", f"{token.text} is not replaced here",
                            f"with: takes it, for example data=${{{{ env.DATA }}}}; {AS_TEXT}",
                            token.mark)
            is_bare = is_override and token.kind in HYDRA_LEXES
            refused = NOT_IN_HYDRA.search(token.text) if is_bare else None
            if refused:
                raise Error("hydra-needs-quotes", f"Hydra refuses {refused.group()!r}",
                            "quote the value: key='...'", token.mark)


def keys_in(axes: "Iterable[Axis]") -> "Set[str]":
    return set(chain.from_iterable(axis.keys for axis in axes))


def is_bare(axis: Axis) -> bool:
    """Whether a word is neither an assignment nor a deletion nor an option."""
    return not axis.keys and not axis.text.startswith("-") and "${{" not in axis.text


def is_path(axis: Axis) -> bool:
    """Whether a word looks like a path, which belongs to the command at the front of batch."""
    return is_bare(axis) and bool(re.search(r"[./]", axis.text))


def check_bare_words(axes: "Iterable[Axis]") -> None:
    """Raise for a word that is neither an override nor an option for Hydra."""
    for axis in axes:
        if is_bare(axis):
            raise Error("expected-key-value", f"expected key=value, found {axis.text}",
                        "no white space around =; the command belongs in run; quote white space",
                        axis.mark)


def is_ambiguous(texts: "Iterable[str]") -> bool:
    """Whether a list mixes m with a larger unit, or numbers with letters and texts like 30s."""
    sizes = [text for text in texts if re.fullmatch(r"[\d.]+[A-Za-z]\w*", text)]
    units = {text[-1] if read_number(text) else "" for text in sizes}
    return units > {""} or ("m" in units and not units.isdisjoint("kMGT"))


def read_numbers(fields: "Sequence[str]") -> "List[Any]":
    """The numbers of a range, or none if a field is none; a missing start is 0 like the end."""
    numbers = [read_number(field) for field in fields]
    if not fields[0] and len(fields) > 1 and numbers[1]:
        numbers[0] = numbers[1]._replace(mantissa=0, exponent=0)
    return [] if None in numbers else numbers


def old_order(numbers: "Sequence[Number]", unit: str) -> str:
    """A hint for numbers that make sense in the order of HydraFlow up to 0.15.0."""
    if len(numbers) < 3 or count_steps(numbers[0], numbers[2], numbers[1]) < 1:
        return ""
    order = ":".join(filter(None, [str(numbers[0]), str(numbers[2]), str(numbers[1]), unit]))
    return ("the order is start:stop:step; if start:step:stop was meant, as up to HydraFlow 0.15.0:"
            f" {order}; ")


def count_steps(start: Number, stop: Number, step: Number) -> int:
    """The number of steps from start to stop, 0 if they lead elsewhere or beyond."""
    exponent = min(start.exponent, stop.exponent, step.exponent)
    span, stride = stop.shifted(exponent) - start.shifted(exponent), step.shifted(exponent)
    return max(span // stride, 0) if stride else 0


def flat(rows: "Iterable[Union[str, Tuple[str, ...]]]") -> "Tuple[str, ...]":
    return tuple(chain.from_iterable([row] if isinstance(row, str) else row for row in rows))


class Sweep:
    """The product of the axes that a text, or a list of words, spells; the last axis varies
    fastest.

    count (and len, up to sys.maxsize) and indexing cost one step for each axis, iteration streams.
    kind is that of the step that the sweep is read for. Raises Error.

    >>> sweep = Sweep("model=cnn,vit lr=log(1e-4:1e-1:4)")
    >>> len(sweep), sweep[5]
    (8, ('model=vit', 'lr=0.001'))
    """
    def __init__(self, sweep: "Union[str, Source, Sequence[str]]" = (), name: str = "sweep",
                 kind: str = "") -> None:
        if isinstance(sweep, str):
            sweep = Source(name, sweep)
        if isinstance(sweep, Source):
            words = words_of(sweep)
        else:
            words = [tokenize(Source(name, word)) for word in sweep]
        self.axes = read_all(SweepParser(kind).parse_word, words)
        if kind == HYDRA:
            check_bare_words(dropwhile(is_path, self.axes))

    @classmethod
    def of(cls, axes: "List[Axis]") -> "Sweep":
        sweep = cls()
        sweep.axes = axes
        return sweep

    @property
    def count(self) -> int:
        """How many combinations there are."""
        return crossed(self.axes).count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: "Any") -> "Any":
        if isinstance(index, slice):
            return list(map(self.__getitem__, range(self.count)[index]))
        rows = crossed(self.axes[::-1])
        return flat(reversed(rows.at(range(rows.count)[index])))

    def __iter__(self) -> "Iterator[Tuple[str, ...]]":
        if any(axis.count > LONGEST_LISTED for axis in self.axes):
            return map(self.__getitem__, range(self.count))
        rows = product(*self.axes)
        return map(flat, rows) if any(len(axis.spelled) > 1 for axis in self.axes) else rows


def kept_rows(sweeps: "Iterable[Sweep]") -> "List[Any]":
    """The combinations of some sweeps; of one without axes, a comment, none."""
    return [row for sweep in sweeps if sweep.axes for row in kept(sweep, sweep.axes[0])]


def expand(sweep: "Union[str, Sequence[str]]") -> "Iterator[Tuple[str, ...]]":
    """Iterate over the combinations of a sweep, a text or a list of words.

    >>> list(expand("a=1:2 b=x,y|z"))
    [('a=1', 'b=x,y'), ('a=1', 'b=z'), ('a=2', 'b=x,y'), ('a=2', 'b=z')]
    """
    return iter(Sweep(sweep))


def collect(sweep: "Union[str, Sequence[str]]") -> "List[str]":
    """The words of a sweep, each with its values joined by commas for Hydra to sweep over.

    >>> collect("a=1:3 b=(x,y)_1 c='1,2'")
    ['a=1,2,3', 'b=x_1,y_1', "c='1,2'"]
    """
    return read_all(Axis.word, Sweep(sweep).axes)


# ---------------------------------------------------------------------------
# 3. YAML reader: Source -> Node
# ---------------------------------------------------------------------------
# A text comes in, its root Node goes out. Numbers like "6.3" are chapters of the YAML 1.2.2
# specification; the docstring of a parse_* method begins with its rule. Whether a line opens a
# mapping is known only after its first scalar, when a colon follows: parse_block_node reads that
# scalar and then decides, so no text is parsed twice.


class Node(NamedTuple):
    """A part of a YAML document; kind is "scalar", "sequence" or "mapping".

    value is a text, a list of nodes, or a list of pairs of nodes. plain is True for an unquoted
    scalar; a missing value is a plain "". start and end are offsets of its text, of a block
    collection those of its first key or dash; parts are (text, offset) of a scalar that is
    rewritten; size counts the nodes in it.
    """
    kind: str
    value: "Any"
    plain: bool
    source: Source
    start: int
    end: int
    parts: "Sequence[Tuple[str, int]]" = ()
    size: int = 1

    @property
    def mark(self) -> Mark:
        """The place of the node."""
        return self.source.mark(self.start, self.end)

    @property
    def line(self) -> int:
        """Its line, from 1."""
        return self.mark.line

    @property
    def column(self) -> int:
        """Its column, from 1."""
        return self.mark.column

    def text_source(self) -> Source:
        """The value of a scalar as a Source, which maps its characters to the file.

        >>> node = read_yaml("run: >-\\n  one\\n  two").value[0][1]
        >>> node.value, node.text_source().mark(4, 7)[1:3]
        ('one two', (3, 3))
        """
        texts, offsets = zip(*self.parts or [(self.value, self.start)])
        pieces = [*zip(accumulate([0, *map(len, texts)]), offsets)]
        return Source(self.source.name, self.value, self.source, pieces)


MOST_NODES = 1000000  # with those of aliases and merge keys ("billion laughs")

REFUSED = {  # construct: (message, hint)
    # valid YAML that is not read here
    "documents": ("several documents are not read", "remove the text after --- or ..."),
    "tag": ("a tag (!) is not read", "remove it; quote a text that begins with !"),
    "complex-key": (
        "a complex key (? or a collection) is not read", "write a plain key: key: value"),
    "nesting": ("nested too deep", "remove some levels"),
    "aliases": (f"alias expansion beyond {MOST_NODES} nodes is not read", "write it out"),
    # invalid YAML
    "duplicate": ("duplicate key: {}", "keep one of them"),
    "tab": ("a tab as indentation", "indent with spaces"),
    "unclosed": ("{} is never closed", "close it, and indent its lines more than its key"),
    "escape": ("unknown escape {}", r"write \\ for a backslash, or use single quotes"),
    "alias": ("undefined alias {}", "define it above with &; quote a text that begins with *"),
    "merge": ("a merge key << takes a mapping", "for example <<: *name, or <<: [*one, *two]"),
    "no-colon": (
        "expected key: value",
        "put a space after the colon; quote a text with ': ' in it, or indent its other lines"),
    "text": (
        "text after a complete value",
        "quote a value as a whole; begin a comment with ' #'; in brackets, write commas"),
    "indentation": ("wrong indentation", "align it with the lines above, or indent it more"),
    "torn": ("a last line of spaces after a block of text", "remove them: readers differ"),
    "start": ("a value cannot begin with {}", "quote it; a list begins on the line below its key"),
}
pattern: "Callable[[str], Any]" = re.compile  # Any: most of them always match where they are used

# A text is parsed with "\n\0" after it: NUL is no character of YAML (5.1), so no pattern and no
# index runs over the end. No repetition is followed by something that could fail: time is linear.
GAP = pattern(r"((?:[ \t]*(?:(?<![^ \t\n])#[^\n]*)?\n)*)( *)[ \t]*")
INDENT = pattern(r"(?: |-(?=[ \t\n]))*")  # allowed before a block collection
LINE_END = pattern(r"[ \t]*(?:\n|(?<=[ \t])#)")
MARKER = pattern(r"(?:---|\.\.\.)(?=[ \t\n])|\0")  # 9.1.2: in the first column; the end
TAB = pattern(r" *\t")
DASH = pattern(r"-(?=[ \t\n])")
COLON = pattern(r"[ \t]*:(?=[ \t\n])")
COLON_IN_FLOW = pattern(r":(?=[ \t\n,\]}])")
ANCHOR = pattern(r"([&*][^ \t\n,\[\]{}\0]+)(?=[ \t\n,\]}])[ \t]*")  # 6.9.2
FOLD = pattern(r"[ \t]*\n(?:[ \t]*\n)*( *)")
BLOCK_HEADER = pattern(  # 8.1.1
    r"[|>]([1-9][+-]|[+-]?[1-9]?)[ \t]*(?:(?<=[ \t])#[^\n]*)?\n"
    r"((?: *\n)*)( *)")
# Indentation, a line (of text, if it begins with no white space), newlines with empty lines.
BLOCK_LINE = r" {0,%d}((?=([^ \t\n])?)[^\n]*)(\n(?: {0,%d}\n)*)"
QUOTED = {  # {%d} is the indentation of other lines; none is a marker (9.1.2)
    '"': r'"(?:[^"\\\n]|\\[^\n]|\\?\n(?:[ \t]*\n)* {%d}(?!(?<=\n)(?:---|\.\.\.)[ \t\n]))*"',
    "'": r"'(?:[^'\n]|''|\n(?:[ \t]*\n)* {%d}(?!(?<=\n)(?:---|\.\.\.)[ \t\n]))*'"}

# Plain scalars (7.3.3): their first line, another line, the signs of an empty one.
PLAIN_LINE = r"(?:[ \t]*(?:[^ \t\n:#\0]+|:(?![ \t\n])|(?<=[^ \t\n])#))+"
PLAIN_START = r"(?![-?:][ \t\n]|[,\[\]{}#&*!|>'\"%@`])"
IN_BLOCK = (
    pattern(PLAIN_START + PLAIN_LINE), pattern(PLAIN_LINE), pattern(r"[ \t]*:[ \t\n]|\n"))
FLOW_LINE = r"(?:[ \t]*(?:[^ \t\n:#\0,\[\]{}]+|:(?![ \t\n,\[\]{}])|(?<=[^ \t\n])#))+"
FLOW_START = r"(?![-?:][ \t\n,\[\]{}]|[,\[\]{}#&*!|>'\"%@`])"
IN_FLOW = (
    pattern(FLOW_START + FLOW_LINE), pattern(FLOW_LINE),
    pattern(r":[ \t\n,\[\]{}]|[,\]}]"))

# The parts of a scalar of several lines or with escapes, by its quotes: newlines, escape, text.
PARTS = {  # compiled when needed
    "": r"([ \t]*\n[ \t\n]*)|((?!))|(?:[^ \t\n]+|[ \t]+(?![ \t\n]))+",
    "'": r"([ \t]*\n[ \t\n]*)|('')|(?:[^' \t\n]+|[ \t]+(?![ \t\n]))+",
    '"': (
        r"((?:\\|[ \t]*)\n[ \t\n]*)"
        r"|(\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.))"
        r"|(?:[^\\ \t\n]+|[ \t]+(?![ \t\n]))+")}
ESCAPES = {  # 5.7; '' belongs to single quotes
    r"\a": "\a", r"\b": "\b", r"\t": "\t", "\\\t": "\t", r"\n": "\n", r"\v": "\v",
    r"\f": "\f", r"\r": "\r", r"\e": "\x1b", r"\ ": " ", r'\"': '"', r"\/": "/", r"\\": "\\",
    r"\N": "\x85", r"\_": "\xa0", r"\L": "\u2028", r"\P": "\u2029", "''": "'"}


class YamlParser:
    """The parser of one document. at is the offset of the next character, brackets those of the
    open [ and {; in block context, line is that of the current line, column its indentation (-1 at
    the end)."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text + "\n\0"
        if source.text.endswith("\n"):
            self.text = source.text + "\0"
        self.at = self.line = self.column = 0
        self.brackets: List[int] = []
        self.anchors: Dict[str, Optional[Node]] = {}
        self.parsers = {
            '"': self.parse_quoted, "'": self.parse_quoted,
            "[": self.parse_flow, "{": self.parse_flow,
            "|": self.parse_block_scalar, ">": self.parse_block_scalar}

    def error(self, construct: str, start: int, end: int = 0) -> Error:
        """An Error about text[start:end], at least one character."""
        message, hint = REFUSED[construct]
        end = max(end, start + 1)
        return Error(f"yaml-{construct}", message.format(self.text[start:end]), hint,
                     self.source.mark(start, end))

    def next_line(self) -> None:
        """gap = { [white] [comment] newline } indentation (6.6, 6.1)."""
        gap = GAP.match(self.text, self.at)
        if gap.end(1) == self.at > 0:  # no newline
            raise self.error("text", gap.end())
        self.line, self.at = gap.end(1), gap.end()
        self.column = gap.end(2) - self.line
        if self.text[gap.end(2)] == "\t":
            raise self.error("tab", gap.end(2))
        if MARKER.match(self.text, self.line):
            self.column = -1

    def step(self, indent: int, length: int = 1) -> None:
        """separation = { white | comment | newline indentation }, after length characters (6.7)."""
        gap = GAP.match(self.text, self.at + length)
        line = gap.end(1)
        if line > gap.start():
            missing = indent - (gap.end(2) - line)
            if missing == 1 and self.text[gap.end(2)] == PARTNERS[self.text[self.brackets[-1]]]:
                missing = 0  # every reader accepts the bracket in the column of its key
            if missing > 0 or MARKER.match(self.text, line):
                raise self.error("unclosed", self.brackets[-1])
        self.at = gap.end()

    def collection(self, kind: str, items: "List[Any]", start: int, end: int) -> Node:
        nodes: Iterable[Node] = items
        if kind == "mapping":
            items = self.merge(items)
            nodes = chain.from_iterable(items)
        size = sum([node.size for node in nodes], 1)
        if size > MOST_NODES:
            raise self.error("aliases", start)
        return Node(kind, items, False, self.source, start, end, (), size)

    def merge(self, pairs: "List[Tuple[Node, Node]]") -> "List[Tuple[Node, Node]]":
        """The pairs of a mapping and of its merge key <<: its own win, then earlier ones."""
        own: Dict[str, Tuple[Node, Node]] = {}
        for pair in pairs:
            key = pair[0]
            if own.setdefault(key.value, pair) is not pair:
                raise self.error("duplicate", key.start, key.end)
        merged: Dict[str, Tuple[Node, Node]] = {}
        if "<<" in own and own["<<"][0].plain:
            key, named = own.pop("<<")
            for mapping in named.value if named.kind == "sequence" else [named]:
                if mapping.kind != "mapping":
                    raise self.error("merge", key.start, key.end)
                for pair in mapping.value:
                    merged.setdefault(pair[0].value, pair)
        return list({**merged, **own}.values())

    def scalar(self, start: int, end: int, style: str) -> Node:
        """The scalar text[start:end] in quotes of a style: { newlines | escape | text }. A newline
        is a space; of several the first is dropped (6.5)."""
        if not style and self.text.find("\n", start, end) < 0:
            return Node("scalar", self.text[start:end], True, self.source, start, end)
        parts = []
        length = len(style)
        pattern = re.compile(PARTS[style])
        for match in pattern.finditer(self.text, start + length, end - length):
            part, newlines, escape = match.group(0, 1, 2)
            if newlines:
                part = "\n" * (newlines.count("\n") - 1)
                if not part and newlines[0] != "\\":
                    part = " "
            elif escape:
                part = self.unescaped(escape, match.start())
            parts.append((part, match.start()))
        value = "".join([part for part, _ in parts])
        return Node("scalar", value, not style, self.source, start, end, parts)

    def unescaped(self, escape: str, start: int) -> str:
        if escape in ESCAPES:
            return ESCAPES[escape]
        # no command line has U+0000; half of a UTF-16 pair is no character, nor is \q
        code = int(escape[2:] or "0", 16)
        if not 0 < code < 0x110000 or 0xD800 <= code < 0xE000:
            raise self.error("escape", start, start + len(escape))
        return chr(code)

    def parse_quoted(self, indent: int) -> Node:
        """quoted = quote { text | escape | newline } quote (7.3.1, 7.3.2)."""
        start = self.at
        quote = self.text[start]
        match = pattern(QUOTED[quote].replace("%d", str(indent))).match(self.text, start)
        if not match:
            raise self.error("unclosed", start)
        self.at = match.end()
        return self.scalar(start, self.at, quote)

    def parse_plain(self, indent: int) -> Node:
        """plain = line { newline line } | nothing (7.3.3)."""
        text, start = self.text, self.at
        first, further, nothing = IN_FLOW if self.brackets else IN_BLOCK
        match = first.match(text, start)
        if not match and not nothing.match(text, start):
            raise self.error({"!": "tag", "?": "complex-key"}.get(text[start], "start"), start)
        while match:
            self.at = match.end()
            fold = FOLD.match(text, self.at)
            column = fold.end() - fold.start(1) if fold else -1
            if column < indent or (not column and MARKER.match(text, fold.end())):
                break
            match = further.match(text, fold.end())
        return self.scalar(start, self.at, "")

    def block_depth(self, header: "Match[str]", indent: int) -> int:
        """The indentation of a block scalar, from its digit or its first line (8.1.1.1)."""
        digit = header.group(1).strip("+-")
        if digit:
            return indent - 1 + int(digit)
        first, blank = len(header.group(3)), max(map(len, header.group(2).split("\n")))
        if indent <= first < blank:
            raise self.error("indentation", header.start(2))
        return max(first, blank, indent)

    def parse_block_scalar(self, indent: int) -> Node:
        """block_scalar = ("|" | ">") [digit] ["+" | "-"] [comment] newline lines (8.1)."""
        start = self.at
        header = BLOCK_HEADER.match(self.text, start)
        if self.brackets or not indent or not header:
            raise self.error("start", start)
        at, chomp = header.start(2), header.group(1).strip("123456789")
        depth = self.block_depth(header, indent)
        end = pattern(f"(?:{' ' * depth}[^\n]*\n| *\n)*").match(self.text, at).end()
        self.at = end - 1  # the newline, where every other scalar ends
        if TAB.match(self.text, end):
            raise self.error("tab", end)
        if end > len(self.source.text):
            chomp = "-"  # the last line has no newline
            torn = re.search(r"\n +\Z", self.source.text[at - 1:])
            if torn:
                raise self.error("torn", at + torn.start(), end)
        lines = [*pattern(BLOCK_LINE.replace("%d", str(depth))).finditer(self.text, at, end)]
        parts = block_parts(lines, self.text[start] == ">", chomp)
        value = "".join([part for part, _ in parts])
        return Node("scalar", value, False, self.source, start, at - 1, parts)

    def parse_anchored(self, name: "Match[str]", indent: int,
                       parse: "Callable[[], Node]") -> Node:
        """anchored = "&" name node (6.9.2), which is parsed by parse."""
        anchor = name.group(1)[1:]
        self.at = name.end()
        self.anchors[anchor] = None  # inside the node, its alias is undefined
        below = GAP.match(self.text, self.at).end()
        if self.text[below] in "&*":  # of one node, or a key's: not told apart
            raise self.error("start", below)
        if self.brackets:
            self.step(indent, 0)
        node = self.anchors[anchor] = parse()
        return node

    def parse_node(self, indent: int) -> Node:
        """node = "*" name | anchored | quoted | plain | block_scalar | flow."""
        name = ANCHOR.match(self.text, self.at)
        if not name:
            return self.parsers.get(self.text[self.at], self.parse_plain)(indent)
        if self.text[self.at] == "&":
            return self.parse_anchored(name, indent, lambda: self.parse_node(indent))
        node = self.anchors.get(name.group(1)[1:])
        if not node:
            raise self.error("alias", name.start(), name.end(1))
        self.at = name.end(1)
        return node

    def parse_flow(self, indent: int) -> Node:
        """flow = "[" [node { "," node } [","]] "]" | "{" [pair { "," pair } [","]] "}" (7.4)."""
        start = self.at
        close = PARTNERS[self.text[start]]
        kind, parse = "sequence", self.parse_node  # type: str, Callable[[int], Any]
        if close == "}":
            kind, parse = "mapping", self.parse_pair
        items = []
        self.brackets.append(start)
        self.step(indent)
        while self.text[self.at] != close:
            if self.text[self.at] in ",]}":
                raise self.error("start", self.at)
            items.append(parse(indent))
            self.step(indent, 0)
            if self.text[self.at] == ",":
                self.step(indent)
            elif self.text[self.at] != close:
                raise self.error("text", self.at)
        self.brackets.pop()
        self.at += 1
        return self.collection(kind, items, start, self.at)

    def parse_pair(self, indent: int) -> "Tuple[Node, Node]":
        """pair = node [":" node] (7.4.2)."""
        text, begin = self.text, self.at
        key = self.parse_node(indent)
        value = self.scalar(self.at, self.at, "")
        self.step(indent, 0)
        if key.kind != "scalar":
            raise self.error("complex-key", begin)
        touches = not key.plain and text[begin] != "*"  # its colon may touch the value
        if COLON_IN_FLOW.match(text, self.at) or (touches and text[self.at] == ":"):
            self.step(indent)
            value = self.parse_node(indent)
        return key, value

    def parse_block_sequence(self) -> Node:
        """block_sequence = "-" block_node { newline "-" block_node }, in one column (8.2.1)."""
        start, column = self.at, self.column
        items = []
        while self.column == column and DASH.match(self.text, self.at):
            self.at += 1
            items.append(self.parse_block_node(column, True))
        return self.collection("sequence", items, start, start + 1)

    def parse_block_mapping(self, key: Node, start: int) -> Node:
        """block_mapping = key ":" block_node { newline key ":" block_node }, likewise (8.2.2)."""
        first, column = start, self.column
        pairs = []
        while True:
            colon = COLON.match(self.text, self.at)
            if not colon or self.text.find("\n", start, colon.end() - 1) >= 0:
                raise self.error("no-colon", start)
            if key.kind != "scalar":
                raise self.error("complex-key", start)
            self.at = colon.end()
            pairs.append((key, self.parse_block_node(column, False)))
            if self.column != column:
                break
            start = self.at
            key = self.parse_node(column + 1)
        return self.collection("mapping", pairs, first, pairs[0][0].end)

    def parse_block_node(self, parent: int, compact: bool) -> Node:
        """block_node = [newline] block_value | nothing, indented more than its parent. compact: the
        parent is a dash, and a collection may begin on its line (8.2.3); otherwise it is a key, and
        dashes may be in its column (8.2.1)."""
        before = self.at
        is_below = LINE_END.match(self.text, before)
        if is_below:
            self.next_line()
        else:
            self.at = GAP.match(self.text, before).end()
            self.column = self.at - self.line
        starts = self.column == parent and not compact and DASH.match(self.text, self.at)
        if is_below and self.column <= parent and not starts:
            node = self.scalar(before, before, "")
        else:
            node = self.parse_block_value(parent, compact)
        if self.column > parent:
            raise self.error("indentation", self.at)
        return node

    def parse_block_value(self, parent: int, compact: bool) -> Node:
        """block_value = block_sequence | block_mapping | node; on the line of a collection, only
        spaces and dashes precede it (6.1)."""
        text, start = self.text, self.at
        indented = INDENT.match(text, self.line).end()
        name = ANCHOR.match(text, start)
        if DASH.match(text, start):
            if start > indented:
                raise self.error("start", start)
            return self.parse_block_sequence()
        if name and text[start] == "&" and LINE_END.match(text, name.end()):
            return self.parse_anchored(
                name, 0, lambda: self.parse_block_node(parent, compact))
        node = self.parse_node(parent + 1)
        if not COLON.match(text, self.at):
            self.next_line()
            return node
        if start > indented:
            raise self.error("no-colon", start)
        return self.parse_block_mapping(node, start)

    def parse_document(self) -> Node:
        """document = ["---"] block_node ["..."] (9.2)."""
        self.next_line()
        if self.text[self.at] == "-" and self.column < 0:
            self.at += 3
            node = self.parse_block_node(-1, False)
        elif self.column < 0:
            node = self.scalar(0, 0, "")
        else:
            node = self.parse_block_node(-1, True)
        if self.text[self.at] == ".":
            self.at += 3
            self.next_line()
        if self.text[self.at] != "\0":
            raise self.error("documents", self.at, self.at + 3)
        return node


def block_parts(lines: "List[Match[str]]", is_folded: bool,
                chomp: str) -> "List[Tuple[str, int]]":
    """The parts of a block scalar; those of its end are kept (+), dropped (-), or one newline."""
    parts = []
    for line, below in zip(lines, [*lines[1:], None]):
        newlines = line.group(3).replace(" ", "")
        if not below:
            newlines = {"-": "", "+": newlines}.get(chomp, "\n" if line.group(1) else "")
        elif is_folded and line.group(2) and below.group(2):
            newlines = newlines[1:] or " "  # beside no line that begins with white space
        parts += [(line.group(1), line.start(1)), (newlines, line.start(3))]
    return parts


def read_yaml(text: "Union[str, bytes]", source: str = "hydraflow.yaml") -> Node:
    """Read a YAML document; the root node of an empty one is an empty scalar.

    Raises Error, with its place, for invalid YAML 1.2 and for what is REFUSED.

    >>> [(key.value, node.value, node.line) for key, node in read_yaml("a: 1\\nb: no").value]
    [('a', '1', 1), ('b', 'no', 2)]
    """
    parser = YamlParser(read_source(text, source))
    try:
        return parser.parse_document()
    except RecursionError:
        raise parser.error("nesting", parser.at) from None


# ---------------------------------------------------------------------------
# 4. Job file: Node -> Job
# ---------------------------------------------------------------------------
# split_command splits a command as a shell does, and refuses what only a shell would understand. A
# reader makes a value of a node, for a kind of step. KEYS is the one table of keys, from which
# job_schema and the README's table are made. A job has its own mistakes, a step all
# that its job says about steps. Texts stay Sources, so that mistakes that are found later still
# have their place.

OLD_SPELLINGS = {  # of HydraFlow 0.15.1 and later; of 0.11; of 0.9 and 0.10
    "sets": "steps", "each": "batch", "all": "args", "add": "with",
    "configs": "with", "options": "with"}
JOB_FILES = ("hydraflow.yaml", "hydraflow.yml")
AUTO = -1  # max-parallel: as many tasks at once as this process may use processors


class Sample(NamedTuple):
    """How many combinations of a step to draw, and from which permutation."""
    count: int  # type: ignore[assignment]  # tuple has a method of this name
    seed: int = 0


class Step(NamedTuple):
    """A parameter sweep of a job, with all that the job says about its steps; pack and
    pack_parallel are 0 if the file has none."""
    name: str = ""
    batch: Sweep = Sweep()
    args: Sweep = Sweep()
    exclude: "Sequence[Sweep]" = ()
    include: "Sequence[Sweep]" = ()
    sample: "Optional[Sample]" = None
    run: "Optional[Source]" = None
    submit: "Optional[Source]" = None
    setup: "Optional[Source]" = None
    with_: "Sequence[Axis]" = ()
    env: "Mapping[str, Optional[Source]]" = {}
    pack: int = 0
    pack_parallel: int = 0


class Job(NamedTuple):
    """An entry under jobs: its steps; key is its name in the file. What the file has not is 0,
    fail_fast None."""
    key: str
    name: str
    mark: Mark = NOWHERE
    steps: "Sequence[Step]" = (Step(),)
    hydra: bool = False
    working_directory: "Optional[Source]" = None
    needs: "Sequence[Tuple[str, Mark]]" = ()
    max_parallel: int = 0
    fail_fast: "Optional[bool]" = None
    retries: int = 0
    timeout_minutes: float = 0.0
    python: "Optional[Source]" = None
    errors: "List[Error]" = []


class Call(Source):
    """The text of call:, a function and its words."""


VARIABLE = r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\})"
SUBSTITUTION = r"`|\$[({0-9@*\#?!$-]"  # no text for a shell, even in double quotes
COMMAND_TOKEN = re.compile(rf"""(?sxa)
    (?P<template>  \$\{{\{{[^{{}}\n]*\}}\}} )
  | (?P<single>    '[^']*' )
  | (?P<double>    "(?:[^"\\]|\\.)*" )
  | (?P<variable>  {VARIABLE} )
  | (?P<edge>      \A(?:\s|\\\n)+ | (?:\s|\\\n)+\Z )
  | (?P<space>     (?:\\\n)*[^\S\n](?:[^\S\n]|\\\n)* )
  | (?P<joint>     \\\n )
  | (?P<escape>    \\. )
  | (?P<shell>     ['"\\] | [;&|<>*\n]+ | {SUBSTITUTION} | (?<!\S)~/
                   | \{{[^\s{{}}'"\\$]*(?:,|\.\.)[^\s{{}}'"\\$]*\}} )
  | (?P<text>      [^\s'"\\$;&|<>*`{{]+ | [${{] )
""")
QUOTED_PART = re.compile(
    rf"(?sa)(?P<template>\$\{{\{{[^{{}}\n]*\}}\}})|(?P<escape>\\[\"\\$`])"
    rf"|(?P<variable>{VARIABLE})|(?P<shell>{SUBSTITUTION})")
SEPARATORS = {"space": "\0", "edge": "", "joint": ""}
SHELL_HINT = (
    "run is one command: put more into a script of your own, what goes before into setup:, or write"
    " bash -c '... \"$@\" ...' bash (\"$@\": the parameters); quote what is text, close each quote")
SHELL_SCRIPT = re.compile(  # a command SHELL -c SCRIPT [NAME], its words separated by NUL
    r"(?s)(?:.*?[\0/])?(?:ba|da|z|k)?sh(?:\0-[oO]\0\w+|\0-[^\0]*)*?\0-[a-z]*c\0([^\0]*)(\0.*)?")
TEMPLATE = re.compile(r"\$\{\{([^{}\n]*)\}\}")
MATRIX = re.compile(r"\$\{\{ *matrix\.([^{}\n]*?) *\}\}")
UNKNOWN_TEMPLATE = (
    r"\$\{\{(?!\s*(job\.name|task\.(index|dir|slot)|(env|matrix)\.[^{}\n]*[^{}\s])\s*\}\})"
    r"[^{}\n]*(\}\})?")
NO_VALUE = (  # code, message, hint
    "unknown-template", "{} has no value",
    "there are job.name, task.index, task.dir, task.slot, matrix.KEY, env.NAME if set")


def split_command(source: Source,
                  environment: "Optional[Mapping[str, str]]" = None) -> "List[str]":
    """The words of a command, split and unquoted as a shell does it.

    $NAME is replaced if there is an environment.

    >>> split_command(Source("job", "python 'my train.py' --home=$HOME"), {"HOME": "/home/ann"})
    ['python', 'my train.py', '--home=/home/ann']
    """
    def replaced(token: "Match[str]") -> str:
        def expanded(part: "Match[str]") -> str:
            kind, text, mark = part.lastgroup, part.group(), source.mark(*token.span())
            if kind == "shell":
                shown = text.strip() or "a line break"
                raise Error("no-shell", f"run does not use a shell: {shown} would be an argument",
                            SHELL_HINT, mark)
            if kind == "escape":
                return text[1:]
            if kind != "variable" or environment is None:
                return text
            name = text.strip("${}")
            if name not in environment:
                raise Error("variable-not-set", f"${name} is not set in the environment",
                            f"set it, or write \\${name} for the characters themselves", mark)
            return environment[name]

        if token.lastgroup in SEPARATORS:
            return SEPARATORS[token.lastgroup]
        content = token.group()[1:-1]
        if token.lastgroup == "double":
            return QUOTED_PART.sub(expanded, content)
        return content if token.lastgroup == "single" else expanded(token)

    words = COMMAND_TOKEN.sub(replaced, source.text).split("\0")
    return words if source.text else []


def check_script(words: "Sequence[str]", mark: Mark) -> None:
    """Raise for a command SHELL -c SCRIPT that drops the words that are appended to it."""
    found = SHELL_SCRIPT.fullmatch("\0".join(words))
    used = r"\$\{?[@*0-9]" if found and found[2] else r"\$\{?0"  # the first word becomes $0
    if found and not re.search(used, found[1]):
        raise Error("script-drops-words", "the script drops the words that are appended to it",
                    "use \"$@\" in it, and a word for $0 after it: bash -c '... \"$@\"' bash", mark)


KINDS = {  # of nodes: their name, a hint
    "scalar": ("a text", "a command or a sweep is one text: batch: a=1,2 b=x,y"),
    "sequence": ("a list", "for example steps: [{batch: 'a=1,2'}, {batch: a=3}]"),
    "mapping": ("keys with values", "for example jobs: {train: {run: python train.py}}")}


def expect_kind(node: Node, kind: str) -> "Any":
    """The value of a node; raises unless it is a scalar, a sequence or a mapping."""
    if node.kind != kind:
        raise Error("wrong-kind", f"expected {KINDS[kind][0]}, found {KINDS[node.kind][0]}",
                    KINDS[kind][1], node.mark)
    return node.value


def refusing(pattern: str, code: str, message: str, hint: str) -> "Callable[[Source], None]":
    """A check of a text, which must have no match of a pattern; message takes the match."""
    def check(source: Source) -> None:
        match = re.search(pattern, source.text)
        if match:
            raise Error(code, message.format(match[0].strip()), hint, source.mark(*match.span()))

    return check


check_text = refusing(r"\A\s*\Z", "missing-text", "expected a text, found nothing",
                      "give a value, or remove the key")
check_templates = refusing(UNKNOWN_TEMPLATE, *NO_VALUE)
check_submit = refusing(
    r"\$\{\{ *(matrix|task)\.[^{}\n]*\}\}", "matrix-in-submit",
    "{}: all tasks of a step share submit", "write a step for each size")
check_call = refusing(
    r"\A(?!\s*[^\W\d]\w*(\.[^\W\d]\w*)+(\s|\Z))(?s:.*)", "not-a-function",
    "expected a function, found {}", "for example call: package.function")


def text_of(node: Node) -> Source:
    expect_kind(node, "scalar")
    return node.text_source()


def text(*checks: "Callable[[Source], Any]") -> "Callable[[Node, str], Any]":
    """A reader of a text that is not empty."""
    def read(node: Node, kind: str) -> Source:
        source = text_of(node)
        for check in (check_text, *checks):
            check(source)
        return source

    return read


def read_sweep(node: Node, kind: str) -> Sweep:
    return Sweep(text_of(node), kind=kind)


def read_args(node: Node, kind: str) -> Sweep:
    sweep = read_sweep(node, kind)
    read_all(Axis.word, sweep.axes)
    return sweep


def read_appended(node: Node, kind: str) -> "List[Axis]":
    source = text_of(node)
    axes = read_all(SweepParser(kind, True).parse_word, words_of(source))
    for axis in axes:
        check_templates(Source(source.name, axis.word(), source, [(0, axis.part.start)]))
    return axes


def scalar(parse: "Callable[[str], Any]", expected: str,
           example: str) -> "Callable[[Node, str], Any]":
    """A reader of a scalar; parse returns None for a wrong one."""
    def read(node: Node, kind: str) -> "Any":
        value = parse(node.value) if node.kind == "scalar" else None
        if value is None:
            raise Error("wrong-value", f"expected {expected}", f"for example {example}", node.mark)
        return value

    return read


def several(item: "Callable[[Node, str], Any]") -> "Callable[[Node, str], Any]":
    def read(node: Node, kind: str) -> "List[Any]":
        nodes = node.value if node.kind == "sequence" else [node]
        return read_all(lambda one: item(one, kind), nodes)

    return read


def whole(text: str, least: int = 1) -> "Optional[int]":
    """The whole number of a text, None if it is none or below least."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) and int(text) >= least else None


read_text = text()
read_command = text(check_templates, split_command)
read_count = scalar(whole, "a whole number of at least 1", "4")
read_retries = scalar(lambda text: whole(text, 0), "a whole number", "4")
read_parallel = scalar(lambda text: AUTO if text == "auto" else whole(text),
                       "a whole number of at least 1, or auto", "4")
read_flag = scalar(lambda text: {"true": True, "false": False}.get(text.lower()),
                   "true or false", "fail-fast: true")
read_minutes = scalar(lambda text: read_duration(text) or None,
                      "a number of minutes above zero", "90, 0.5, 30s, 90m, 2h")


def read_environment(node: Node, kind: str) -> "Dict[str, Optional[Source]]":
    def read(pair: "Tuple[Node, Node]") -> "Tuple[str, Optional[Source]]":
        key, value = pair
        if not re.fullmatch(r"(?a)[^\W\d]\w*", key.value):
            raise Error("invalid-variable-name", f"{key.value} is not a variable name",
                        "a name has letters, digits and _, and begins with no digit", key.mark)
        source = text_of(value)
        check_templates(source)
        is_null = value.plain and source.text in ("", "~", "null", "Null", "NULL")
        return key.value, None if is_null else source

    return dict(read_all(read, expect_kind(node, "mapping")))


def read_sample(node: Node, kind: str) -> Sample:
    """Read N, N:SEED, or a mapping of count and seed."""
    pairs: Iterable[Tuple[str, Any]] = zip(("count", "seed"), str(node.value).split(":", 1))
    if node.kind == "mapping":
        pairs = [(key.value, value.value) for key, value in node.value]
    values: Any = {name: whole(str(text), name == "count") for name, text in pairs}
    if None in values.values() or not {"count"} <= set(values) <= {"count", "seed"}:
        raise Error("wrong-value", "expected a count, or count and seed",
                    "for example sample: {count: 20, seed: 7}", node.mark)
    return Sample(**values)


def read_call(node: Node, kind: str) -> Source:
    source = read_command(node, kind)
    check_call(source)
    return Call(source.name, source.text, source, [(0, 0)])


class Key(NamedTuple):
    """A key of a job or a step; schema is that of its values."""
    name: str
    read: "Callable[[Node, str], Any]"
    meaning: str
    schema: "Mapping[str, Any]" = {}


FLAG = {"type": "boolean"}
STEPS = {"type": "array", "items": {"$ref": "#/$defs/step"}}
SHARED_KEYS = (  # a step has its own values, or those of the job
    Key("run", read_command,
        "the command, executed without a shell; `$NAME` comes from the environment"),
    Key("call", read_call,
        "`package.function`, then words: called with one list of strings in a Python of its own"),
    Key("setup", text(check_templates),
        "lines of shell that prepare each task, as `module load cuda`; a line that fails fails it"),
    Key("submit", text(check_templates, split_command, check_submit),
        "a submission command: it hands the tasks to a scheduler, or to a handler of your own"),
    Key("with", read_appended,
        "words appended to every task; those of a step win, key by key"),
    Key("name", lambda node, kind: read_text(node, kind).text,
        "the name to show; of a job, also `hydra.job.name`; its key when absent"),
    Key("env", read_environment,
        "environment variables of the tasks, as they are written; `null` takes one away"),
    Key("pack", read_count, "how many tasks an array task takes"),
    Key("pack-parallel", read_count, "how many tasks of a pack run at once"),
)
KEYS = {
    "job": (
        *SHARED_KEYS,
        Key("steps", lambda node, kind: expect_kind(node, "sequence"),
            "a list of sweeps, executed in order", STEPS),
        Key("hydra", read_flag,
            "`true`, the default with steps: add `--multirun`; `false`: take quotes off values",
            FLAG),
        Key("working-directory", text(check_templates), "where the tasks are executed"),
        Key("needs", several(lambda node, kind: (read_text(node, kind).text, node.mark)),
            "a job or a list of jobs that must have succeeded before"),
        Key("max-parallel", read_parallel,
            "how many tasks at once; else 1, on a cluster all; `auto`: as there are processors"),
        Key("fail-fast", read_flag,
            "after a failure: `true`, no new task; `false`, later steps too; else this step", FLAG),
        Key("retries", read_retries, "how often a failed task is tried again"),
        Key("timeout-minutes", read_minutes,
            "a task's time limit: `90`, `5s`, `2h`; then it gets SIGTERM, ten seconds later"
            " SIGKILL"),
        Key("python", read_command,
            "the Python of `call` and of array tasks; else `HYDRAFLOW_PYTHON`, else HydraFlow's"
            " own"),
    ),
    "step": (
        *SHARED_KEYS,
        Key("batch", read_sweep, "a sweep: each combination is a task"),
        Key("args", read_args, "a sweep that is part of every task, for Hydra to sweep over"),
        Key("exclude", several(read_sweep), "combinations to drop: a sweep, or a list of them"),
        Key("include", several(read_sweep), "combinations to add: a sweep, or a list of them"),
        Key("sample", read_sample,
            "how many combinations to take at random: `20`, or `{count: 20, seed: 7}`"),
    )}
FIELDS = {"call": "run", "with": "with_"}  # other keys have a field of their own
NOTHING: "Mapping[str, Any]" = {"env": {}, "with_": ()}


def read_keys(owner: str, node: Node, kind: str, errors: "List[Error]") -> "Dict[str, Any]":
    """The right values of a job or a step, by field; adds the Errors of the others."""
    valid = {key.name: key for key in KEYS[owner]}
    firsts: Dict[str, Node] = {}

    def read(pair: "Tuple[Node, Node]") -> "Tuple[str, Any]":
        key, value = pair
        name = OLD_SPELLINGS.get(key.value, key.value)
        field = FIELDS.get(name, name.replace("-", "_"))
        if name not in valid:
            close = "" if field in Job._fields + Step._fields else suggest(name, valid)
            raise Error("unknown-key", f"unknown key: {key.value}",
                        close or (
                f"the keys of a {owner} are {', '.join(valid)}; quote commas: {{batch: 'a=1,2'}}"),
                        key.mark)
        first = firsts.setdefault(field, key)
        if first is not key:
            raise Error("duplicate-key", f"{key.value} and {first.value} exclude each other",
                        "keep one of them", key.mark)
        return field, valid[name].read(value, kind)

    pairs = read_each(lambda one: expect_kind(one, "mapping"), [node], errors)
    return dict(read_each(read, chain.from_iterable(pairs), errors))


def assigned_twice(axes: "Iterable[Axis]", kind: str) -> "Iterator[Error]":
    """The Errors about keys that two words assign: for Hydra, deletions and options assign none; a
    program may repeat options that sweep nothing."""
    firsts: Dict[str, Axis] = {}
    for axis in axes:
        for key, spelled in zip(axis.keys, axis.spelled):
            if kind == HYDRA and spelled[:1] in ("~", "-"):
                continue
            first = firsts.setdefault(key, axis)
            if first is not axis and (kind == HYDRA or first.count * axis.count > 1):
                place = f"line {first.mark.line}, column {first.mark.column}"
                yield Error("assigned-twice", f"{key} is assigned twice",
                            f"keep one; it is in {place}, too", axis.mark)


def unknown_axes(sweeps: "Iterable[Sweep]", valid: "Set[str]") -> "Iterator[Error]":
    """Yield the mistakes of words of exclude: that are no axes of batch:."""
    for axis in chain.from_iterable(sweep.axes for sweep in sweeps):
        if not axis.keys or set(axis.keys) - valid:
            yield Error("exclude-unknown-axis", f"exclude: {axis.text} names no axis of batch",
                        f"the axes of batch are {', '.join(sorted(valid))}", axis.mark)


def read_step(node: "Optional[Node]", kind: str, shared: "Mapping[str, Any]") -> Step:
    """Read a step, with what its job says about all steps; its own words and variables win."""
    errors: List[Error] = []
    own = {**NOTHING, **(read_keys("step", node, kind, errors) if node else {})}
    raise_all(errors)
    step = Step(**{**shared, **own, "env": {**shared["env"], **own["env"]}})
    valid = keys_in(step.batch.axes)
    errors.extend(unknown_axes(step.exclude, valid))
    keys = valid | keys_in([*step.args.axes, *step.with_])
    words = [axis for axis in shared["with_"] if not keys.intersection(axis.keys)]
    words.extend(step.with_)
    if step.submit and not step.run and words and is_bare(words[0]):
        # up to HydraFlow 0.15, the command of a submitted job was there: with: python train.py
        command = words[0].part.source
        step = step._replace(run=command)
        words = [axis for axis in words if axis.part.source is not command]
    for sweep in (step.batch, *step.include):
        errors.extend(assigned_twice([*sweep.axes, *step.args.axes, *words], kind))
    if kind == HYDRA:
        read_each(check_bare_words, [words], errors)
    raise_all(errors)
    return step._replace(with_=words)


def has_command(job: Job) -> bool:
    """Whether each step of a job has a command; otherwise the job is a template for others.

    >>> jobs = read_jobs(read_yaml("jobs: {base: &base {retries: 1}, a: {<<: *base, run: a.sh}}"))
    >>> [has_command(job) for job in jobs.values()]
    [False, True]
    """
    return all(step.run or step.submit for step in job.steps)


def is_for_handler(job: Job) -> bool:
    """Whether a job has no command, only a handler that gets the parameters."""
    return not any(step.run for step in job.steps)


def read_job(pair: "Tuple[Node, Node]") -> Job:
    key, node = pair
    errors: List[Error] = []
    pairs = node.value if node.kind == "mapping" else ()
    given = {name.value: value.value for name, value in pairs}
    hydra = str(given.get("hydra", "steps" in given or "sets" in given))
    kind = PROGRAM if hydra.lower() == "false" else HYDRA  # of all its sweeps
    values = {"name": key.value, **read_keys("job", node, kind, errors)}
    nodes = values.pop("steps", ()) or [None]
    shared = {field: values.pop(field) for field in Step._fields[1:] if field in values}
    steps = read_each(lambda one: read_step(one, kind, {**NOTHING, **shared}), nodes, errors)
    return Job(**{**values, "key": key.value, "mark": key.mark, "hydra": kind == HYDRA,
                  "steps": steps, "errors": errors})


def expect_name(what: str, name: str, valid: "Iterable[str]", mark: Mark = NOWHERE) -> str:
    """A name, of a job for example; raises unless it is valid."""
    if name not in valid:
        names = f"the {what}s are {', '.join(valid)}"
        raise Error(f"unknown-{what}", f"unknown {what}: {name}",
                    suggest(name, valid) or (
            f"{names}; run -- COMMAND needs none" if what == "job" else names), mark)
    return name


def order_needs(jobs: "Mapping[str, Job]", name: str,
                path: "Tuple[str, ...]" = ()) -> "List[Job]":
    """The jobs that a job needs, each once, and itself; raises for a cycle, or an unknown job."""
    path = (*path, name)
    order: Dict[str, Job] = {}
    for need, mark in jobs[name].needs:
        if need in path:
            raise Error("circular-needs", f"needs form a cycle: {' -> '.join([*path, need])}",
                        "remove one of them", jobs[need].mark)
        expect_name("job", need, jobs, mark)
        order.update((job.key, job) for job in order_needs(jobs, need, path))
    return [*order.values(), jobs[name]]


def read_jobs(node: Node) -> "Dict[str, Job]":
    """The jobs of a file by name, each with its mistakes."""
    entries = []
    for key, value in expect_kind(node, "mapping"):
        if key.value == "jobs":
            entries = expect_kind(value, "mapping")
        elif not key.value.startswith("x-"):  # for anchors
            raise Error("unknown-key", f"unknown key: {key.value}",
                        suggest(key.value, ["jobs"]) or "jobs belong under jobs:", key.mark)
    jobs = {job.key: job for job in map(read_job, entries)}
    for job in jobs.values():
        read_each(lambda name: order_needs(jobs, name), [job.key], job.errors)
    return jobs


def raise_in_order(jobs: "Iterable[Job]") -> None:
    """Raise the mistakes of jobs in the order of the file; an alias repeats none."""
    errors = chain.from_iterable(job.errors for job in jobs)
    different = {str(error): error for error in errors}
    raise_all(sorted(different.values(), key=lambda error: (error.line, error.column)))


def read_job_file(path: "Optional[str]") -> Node:
    """Read a job file, or the one of the current directory."""
    path = path or next(filter(os.path.lexists, JOB_FILES), None)
    if not path:
        raise Error("no-job-file", f"there is no {' or '.join(JOB_FILES)} in {os.getcwd()}",
                    "hydraflow init writes one; -f FILE names another, -C DIR another "
                    "directory")
    try:
        with open(path, "rb") as file:
            return read_yaml(file.read(), path)
    except OSError as error:
        raise Error("unreadable-file", f"cannot read {path}: {error.strerror}",
                    "-f FILE names the job file, -C DIR its directory") from None


def load(path: "Optional[str]" = None, name: str = "") -> "Dict[str, Job]":
    """Read the jobs of a job file, by name; raises Error, or Errors with all mistakes: of the file,
    or of the job of a name and those that it needs."""
    jobs = read_jobs(read_job_file(path))
    if name:
        raise_in_order([jobs[expect_name("job", name, jobs)]])
    raise_in_order(order_needs(jobs, name) if name else jobs.values())
    return jobs


def owner_schema(owner: str) -> "Dict[str, Any]":
    properties = {}
    for key in KEYS[owner]:
        for spelling in (key.name, *OLD_SPELLINGS):
            if OLD_SPELLINGS.get(spelling, key.name) == key.name:
                properties[spelling] = {"description": key.meaning,
                                        "deprecated": spelling != key.name, **key.schema}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def job_schema() -> "Dict[str, Any]":
    """The JSON Schema (draft 2020-12) of the job file.

    >>> sorted(job_schema()["$defs"])
    ['job', 'step']
    """
    jobs = {"type": "object", "additionalProperties": {"$ref": "#/$defs/job"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"jobs": jobs},
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
        "$defs": {owner: owner_schema(owner) for owner in ("job", "step")},
    }


# ---------------------------------------------------------------------------
# 5. Planning: Job, overrides -> Task, Task, ...
# ---------------------------------------------------------------------------
# fill replaces templates; shuffled draws a sample; put_override replaces a word of a job;
# PlannedStep and Plan make tasks. Mistakes are found when a Plan is made. Tasks are made one by
# one, so that 10**12 of them cost nothing. PlannedStep.task makes what identifies a task;
# numbered adds the number and the directory that it keeps for the whole run.

SLOT = "${{ task.slot }}"  # known only when a task starts
DIRECTORY = "${{ task.dir }}"  # known only when a task has its number
OVERRIDE = re.compile(r"[^-~\s'\"(){}=][^\s'\"(){}=]*=")
MOVED = re.compile(r"(?m)^hydra\.(sweep|mode|run)")  # keys that tell Hydra where runs go
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_LENGTH = 26  # digits of CROCKFORD
PATH_PARTS: "Dict[str, Callable[[str], str]]" = {
    "name": os.path.basename, "stem": lambda path: os.path.splitext(os.path.basename(path))[0]}
CALL = (  # a program that calls its first argument, package.function, with the list of the others
    "import importlib, sys; module, _, name = sys.argv[1].rpartition('.'); "
    "getattr(importlib.import_module(module), name)(sys.argv[2:])")


def environment_values() -> "Dict[str, str]":
    return {f"env.{name}": value for name, value in os.environ.items()}


def fill(text: str, values: "Mapping[str, str]", mark: Mark = NOWHERE,
         write: "Callable[[str], str]" = str) -> str:
    """Replace every ${{ NAME }} of a text."""
    def value(match: "Match[str]") -> str:
        scope, _, name = match[1].strip().partition(".")
        name = f"{scope}.{name.lstrip(PREFIX)}"
        whole, _, part = name.rpartition(".")
        if name in values:
            return write(values[name])
        if whole in values and part in PATH_PARTS:
            return write(PATH_PARTS[part](values[whole]))
        code, message, hint = NO_VALUE
        raise Error(code, message.format(match[0]), hint, mark)

    return TEMPLATE.sub(value, text)


def new_ulid() -> int:
    """A new ULID as a number: 48 bits of milliseconds since 1970, then 80 random bits.

    >>> len(ulid_text(new_ulid()))
    26
    """
    milliseconds = int(time.time() * 1000)
    noise = int.from_bytes(os.urandom(10), "big") >> 1  # a spare bit: adding to it never carries
    return milliseconds << 80 | noise


def ulid_text(number: int) -> str:
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def native_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def native(text: str) -> "Union[str, bytes]":
    """A text as the system takes it; Python 3.6 in an ASCII locale would not encode it."""
    return native_bytes(text) if os.name == "posix" else text


def find_program(name: str, cwd: str = ".", env: "Mapping[str, Any]" = os.environ) -> str:
    """The path of a program, looked up as the system does when it starts one; "" for none.

    >>> find_program("sh", ".", {"PATH": "/nowhere:/bin"})
    '/bin/sh'
    """
    import shutil
    path = os.path.join(cwd, name) if os.path.dirname(name) else name
    return shutil.which(path, path=env.get("PATH") or None) or ""


def python_of(job: Job) -> "List[str]":
    if job.python:
        return split_command(job.python, os.environ)
    return [os.environ.get("HYDRAFLOW_PYTHON") or sys.executable]


class Task(NamedTuple):
    """One command to execute.

    number counts from 1 within the run, index within the step; combination has the words of batch.
    key identifies the task for --resume: its command line without generated words, and the axes
    that do not show in it. directory is ${{ task.dir }}, created if has_directory. env keeps our
    environment's values by name; None removes a variable. runs is 1 if Hydra leaves its runs in
    directory, 2 if somewhere else, 0 without Hydra.
    """
    number: int
    step: int
    index: int  # type: ignore[assignment]  # tuple has a method of this name
    combination: "Tuple[str, ...]"
    argv: "Tuple[str, ...]"
    key: "Tuple[str, ...]"
    directory: str
    cwd: str
    env: "Dict[str, Optional[str]]"
    runs: int
    has_directory: bool


def replaced(task: Task, template: str, value: str) -> Task:
    """A task with the value of a template that is known late."""
    argv = [word.replace(template, value) for word in task.argv]
    env = {name: text and text.replace(template, value) for name, text in task.env.items()}
    return task._replace(argv=tuple(argv), env=env, cwd=task.cwd.replace(template, value))


def numbered(task: Task, number: int, directory: str) -> Task:
    return replaced(task, DIRECTORY, directory)._replace(number=number, directory=directory)


def task_parameters(combination: "Iterable[str]") -> "Dict[str, str]":
    return {key_of(word) or word: unquoted(word).partition("=")[2] for word in combination}


def respelled(override: Axis, found: "Sequence[Axis]") -> Axis:
    """An override with the prefix of the words that it replaces, unless it adds or deletes."""
    if keys_in(found) - set(override.keys):
        raise Error("linked-override", f"{', '.join(found[0].keys)} are linked",
                    "override all of them together", found[0].mark)
    if found and override.is_list() and override.text[0] not in "+~":
        return Axis(override.part, found[0].spelled[:1], override.columns)
    return override


def put_override(override: Axis, args: "List[Axis]", words: "List[Axis]",
                 sweeps: "Sequence[List[Axis]]") -> None:
    """Replace the words of a step that have the keys of an override, or add it with their prefix;
    several values make an axis, the last one, except in args."""
    keys, every = set(override.keys), [args, *sweeps, words]
    found = [axis for axis in chain.from_iterable(every) if keys.intersection(axis.keys)]
    override = respelled(override, found)
    is_axis = override.makes_tasks()
    places = list(filter(lambda axes: keys & keys_in(axes), every[:-1]))
    for axes in places or (sweeps if is_axis else [words]):
        place = min((axes.index(axis) for axis in axes if axis in found), default=len(axes))
        is_last = is_axis and axes is not args
        axes.insert(len(axes) if is_last else place, override)
    for axes in every:
        axes[:] = itertools.filterfalse(found.__contains__, axes)


class PlannedStep:
    """A step, with everything prepared that its tasks share.

    A command line is program (of a call), command, tail (words of Hydra at its end), then the words
    of a combination, args, appended and generated. sweep, included, excluded and sample make the
    combinations. Keys in named have their place in the command or in setup. There are count tasks,
    or (not is_exact) at most.
    """

    def __init__(self, job: Job, step: Step, number: int, overrides: "Sequence[Axis]",
                 more: "Sequence[str]", sample: "Optional[Sample]" = None) -> None:
        self.job, self.given, self.number = job, step, number
        self.sample = sample or step.sample
        own = environment_values()
        self.by_name = {name: f"${{{{ {name} }}}}" for name in own}
        self.known = {**own, "job.name": job.name, "task.slot": SLOT, "task.dir": DIRECTORY}
        self.submit_mark, self.mark = [
            source.whole() if source else job.mark for source in (step.submit, step.run)]
        self.submit = [fill(word, self.known, self.submit_mark)
                       for word in split_command(step.submit or Source("", ""), os.environ)]
        self.shell = "bash" if find_program("bash") else "sh"
        paths = [axis.text for axis in takewhile(is_path, step.batch.axes)]
        self.plan_command([*more, *paths])
        self.plan_words(overrides, step.batch.axes[len(paths):])
        self.is_exact = bool(self.sample) or not self.excluded or self.sweep.count <= MOST_LISTED
        self.count = self.count_chosen() + len(self.included)
        self.check_tasks()

    def plan_command(self, more: "Sequence[str]") -> None:
        source, is_hydra = self.given.run, self.job.hydra
        words = [*split_command(source or Source("", ""), os.environ), *more]
        if words[:1] == ["python"] and not find_program("python") and find_program("python3"):
            words[0] = "python3"  # a new Debian or RHEL has no other one
        last = takewhile(OVERRIDE.match, reversed(words[1:])) if is_hydra else ()
        cut = len(words) - len(list(last))  # Hydra accepts overrides only after --multirun
        self.command, self.tail = words[:cut], ["--multirun", *words[cut:]] if is_hydra else []
        self.program = [*python_of(self.job), "-c", CALL] if isinstance(source, Call) else []
        self.generated = {
            "hydra.job.name": f"hydra.job.name={hydra_text(self.job.name)}",
            "hydra.sweep.dir": f"hydra.sweep.dir={DIRECTORY}"} if is_hydra else {}

    def plan_words(self, overrides: "Sequence[Axis]", batch: "List[Axis]") -> None:
        given = self.given
        args, words = list(given.args.axes), list(given.with_)
        sweeps = [list(axes) for axes in (batch, *(sweep.axes for sweep in given.include))]
        for override in overrides:
            put_override(override, args, words, sweeps)
        self.sweep, *included = map(Sweep.of, sweeps)
        self.included = kept_rows(included)
        self.written = str if self.job.hydra else unquoted  # how a program gets a word
        self.args, self.appended = [
            list(map(self.written, read_all(Axis.word, axes))) for axes in (args, words)]
        self.excluded = [list(map(same_value, row)) for row in kept_rows(given.exclude)]
        texts = "\n".join([*self.command, *self.tail, given.setup.text if given.setup else ""])
        used = {name.lstrip(PREFIX) for name in MATRIX.findall(texts)}
        parts = used - keys_in(self.sweep.axes)  # f.stem names the key f
        self.named = used | {name.rpartition(".")[0] for name in parts}

    def check_tasks(self) -> None:
        for combination in [self.sweep[0], self.sweep[-1], *self.included]:
            self.task(combination, 1)
        fixed = [word for word in (*self.tail, *self.args, *self.appended)
                 if key_of(word) == "hydra.sweep.dir" and "$" not in word]
        if self.job.hydra and fixed and self.count > 1:
            raise Error("fixed-sweep-dir", f"{fixed[0]}: several tasks would overwrite each other",
                        "leave it out, or write hydra.sweep.dir=DIR/${{ task.index }}", self.mark)

    def count_chosen(self) -> int:
        if self.excluded and self.is_exact:
            return sum(1 for _ in self.chosen())
        return min(self.sweep.count, self.sample.count) if self.sample else self.sweep.count

    def chosen(self) -> "Iterator[Tuple[str, ...]]":
        """Iterate over the combinations of batch that are not excluded, or a sample of them."""
        combinations = iter(self.sweep)
        if self.sample:
            texts = [axis.text for axis in self.sweep.axes]
            order = shuffled(self.sweep.count, native_bytes(f"{self.sample.seed}:{texts}"))
            combinations = map(self.sweep.__getitem__,
                               islice(order, self.sample.count + MOST_LISTED))
        if self.excluded:
            combinations = (words for words in combinations if not any(
                map(set(map(same_value, words)).issuperset, self.excluded)))
        return islice(combinations, self.sample and self.sample.count)

    def tasks(self) -> "Iterator[Task]":
        return map(self.task, chain(self.chosen(), self.included), itertools.count(1))

    def task(self, combination: "Tuple[str, ...]", index: int) -> Task:
        """The task of a combination, still without number and directory."""
        setup, cwd = self.given.setup, self.job.working_directory
        params = task_parameters(combination)
        values = {**self.known, "task.index": str(index)}
        values.update((f"matrix.{key}", value) for key, value in params.items())
        env = self.variables(values)
        env.update((key[1:], value) for key, value in params.items() if key[:1] == "$")

        hidden = [word for word in combination if word[:1] == "$" or key_of(word) in self.named]
        own = map(self.written, itertools.filterfalse(hidden.__contains__, combination))
        argv = [*self.filled(self.command + self.tail, values), *own, *self.args,
                *self.filled(self.appended, values)]
        if len(argv) > len(self.command):
            check_script(self.command, self.mark)
        keys = set(map(key_of, argv))
        runs = self.job.hydra * (1 + bool(MOVED.search("\n".join(keys))))
        more = [word for key, word in self.generated.items() if key not in keys]
        words = [*self.program, *argv]
        if setup:
            lines = fill(setup.text, values, setup.whole(), write=shlex.quote).rstrip()
            words = [self.shell, "-c", f'set -e\n{lines}\nexec "$@"', "hydraflow", *words]
        folder = fill(cwd.text, values, cwd.whole()) if cwd else "."
        return Task(
            number=0, step=self.number, index=index, combination=combination, argv=(*words, *more),
            key=(*argv, *hidden), directory="", cwd=folder, env=env, runs=runs,
            has_directory=DIRECTORY in "\n".join([*words, folder, *filter(None, env.values())]))

    def filled(self, words: "List[str]", values: "Mapping[str, str]") -> "List[str]":
        pairs = [(word, fill(word, values, self.mark)) for word in words]
        return [text for word, text in pairs if text or not MATRIX.fullmatch(word)]

    def variables(self, values: "Dict[str, str]") -> "Dict[str, Optional[str]]":
        """The environment of a task, ours by name: no secret is kept; adds env.NAME to values."""
        env: Dict[str, Optional[str]] = {}
        names = {**values, **self.by_name} if self.given.env else {}
        for name, source in self.given.env.items():
            env[name] = None
            if source:
                env[name] = names[f"env.{name}"] = fill(source.text, names, source.whole())
                values[f"env.{name}"] = fill(source.text, values, source.whole())
        return env


def shuffled(count: int, key: bytes) -> "Iterator[int]":
    """Yield the numbers below count in an order that depends on key: a Fisher-Yates shuffle that
    stores only what it has moved.

    >>> sorted(shuffled(10, b"key")) == list(range(10))
    True
    """
    from hashlib import sha256
    moved: Dict[int, int] = {}
    for place in range(count):
        noise = int.from_bytes(sha256(b"%s/%d" % (key, place)).digest(), "big")
        other = place + noise % (count - place)
        yield moved.get(other, other)
        moved[other] = moved.get(place, place)


def read_overrides(job: Job, words: "Sequence[str]") -> "List[Axis]":
    for word in itertools.filterfalse(key_of, words):
        raise Error("not-an-override", f"{word} is neither an option of run nor an override",
                    "an override is key=value; words for the command follow --: -- "
                    + shell_text([word]))
    return Sweep(words, "command line", HYDRA if job.hydra else PROGRAM).axes


class Plan:
    """The tasks of a job: count of them (not is_exact: at most), made when they are needed; added
    has the overrides whose keys are not in the job."""

    def __init__(self, job: Job, words: "Sequence[str]" = (),
                 sample: "Optional[Sample]" = None) -> None:
        if not has_command(job):
            raise Error("no-command", f"job {job.key} has no command",
                        "it is a template for other jobs; add run: to execute it", job.mark)
        self.job = job
        self.ulid = new_ulid()
        is_handed_over = is_for_handler(job)
        own = [] if is_handed_over else list(takewhile("--".__ne__, words))
        overrides = read_overrides(job, own)
        keys = parameter_keys(job)
        self.added = [axis for axis in overrides if not keys & set(axis.keys)]
        more = [] if is_handed_over else words[len(own) + 1:]
        self.steps = [PlannedStep(job, step, number, overrides, more, sample)
                      for number, step in enumerate(job.steps, 1)]
        self.count = sum(step.count for step in self.steps)
        self.is_exact = all(step.is_exact for step in self.steps)
        for planned in self.steps if is_handed_over else ():
            planned.submit.extend(filter("--".__ne__, words))

    def directory(self, number: int) -> str:
        return f"multirun/{ulid_text(self.ulid + number)}"

    def __iter__(self) -> "Iterator[Task]":
        number = 0
        for step in self.steps:
            for task in step.tasks():
                number += 1
                yield numbered(task, number, self.directory(number))


def parameter_keys(job: Job) -> "Set[str]":
    axes: List[Axis] = []
    for step in job.steps:
        axes += step.with_
        for sweep in (step.batch, step.args, *step.include):
            axes += sweep.axes
    return keys_in(axes)


def plan(job: Job, words: "Sequence[str]" = ()) -> Plan:
    """Plan the tasks of a job; words are overrides, and after "--" words for the command.

    Raises Error.

    >>> text = "jobs: {fit: {run: fit.sh, hydra: false, steps: [{batch: a=1:2}]}}"
    >>> [task.argv for task in plan(read_jobs(read_yaml(text))["fit"], ["b=x"])]
    [('fit.sh', 'a=1', 'b=x'), ('fit.sh', 'a=2', 'b=x')]
    """
    return Plan(job, words)


def counted(count: int, what: str) -> str:
    """A count with its noun.

    >>> counted(1, "task"), counted(12000, "task")
    ('1 task', '12,000 tasks')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def tasks_text(plan: "Union[Plan, PlannedStep]") -> str:
    """How many tasks a plan or a step has, or at most."""
    return "at most " * (not plan.is_exact) + counted(plan.count, "task")


def shell_text(words: "Iterable[str]") -> str:
    """A command line that a shell reads back as these words.

    >>> print(shell_text(["train.py", "a='x y'", ""]))
    train.py 'a='"'"'x y'"'"'' ''
    """
    return " ".join(map(shlex.quote, words))


# ---------------------------------------------------------------------------
# 6. Processes: argv -> process
# ---------------------------------------------------------------------------
# RECORDER is the shell around each task; spawn starts every process; ask and capture get answers of
# commands; processes_of and signal_attempt find and signal all that belongs to an attempt; Signals
# notes signals.
#
# The recorder is POSIX sh. It writes the start and the end of its task by itself, so that an end is
# on record whether HydraFlow still lives or not. Its standard input is the file of the attempt:
#
# - The file is open, and so locked, as long as the recorder or something of its task lives.
# - Start and end overwrite blanks, so that they need no space on a full disk. Some file systems
#   write elsewhere all the same: then the recorder tries again until there is space.
# - A start that cannot be recorded is none: the task would run again after a crash.
# - The traps keep the recorder alive when its group gets a signal. The task itself starts with the
#   defaults (POSIX sh, 2.14, trap).
# - A variable that is in the environment would be changed for the task too, so the recorder's own
#   begin with an underscore.

RECORDER = r"""
exec 9>&0 8>&2 </dev/null 2>/dev/null
_why=
trap : USR1 USR2
trap '_why=",\"stopped\":true"' HUP INT QUIT TERM
read -r _up _ </proc/uptime || _up=$(date +%s)
printf '{"leader":%s,"began":%s}\n' $$ "$_up" >&9 || exit 125
if test "$_why"; then (exit 143); else (exec 2>&8 8>&- "$@"); fi
_status=$?
read -r _up _ </proc/uptime || _up=$(date +%s)
until printf '{"status":%s,"ended":%s%s}\n' $_status "$_up" "$_why" >&9 || test "$_why"; do
    sleep 1
done
exit $_status
"""
PROMPT, PATIENT = 20.0, 60.0  # seconds for a quick answer, and for a busy program
ATTEMPT_FILE = "HYDRAFLOW_ATTEMPT_FILE"  # variable that marks all processes of an attempt
HAS_PROC = os.path.exists("/proc/self/stat")


def environment(changes: "Mapping[str, Optional[str]]") -> "Dict[bytes, bytes]":
    """The environment of this process with changes; None removes a variable."""
    result = dict(os.environb)
    for name, value in changes.items():
        result.pop(native_bytes(name), None)
        if value is not None:
            result[native_bytes(name)] = native_bytes(value)
    return result


def spawn(argv: "Sequence[str]", streams: "Sequence[Union[int, IO[bytes], None]]",
          env: "Mapping[bytes, bytes]", cwd: str = ".", is_session: bool = True
          ) -> "subprocess.Popen[bytes]":
    """Start argv without a shell; streams are its standard input, output and error.

    It leads a session of its own, or stays in our process group.
    """
    entry, output, errors = streams
    return subprocess.Popen(
        list(map(native, argv)), stdin=entry, stdout=output, stderr=errors, env=env,
        cwd=native(cwd), start_new_session=is_session)


class Answer(NamedTuple):
    """Output and exit status of a command: 127 without a start, 124 without an end in time, below 0
    for a signal."""
    status: int
    out: str
    errors: str

    @property
    def text(self) -> str:
        return self.errors.strip() or self.out.strip() or f"exit status {self.status}"


def ask(argv: "Sequence[str]", env: "Mapping[bytes, bytes]",
        timeout: float = PATIENT) -> "Generator[None, None, Answer]":
    """Execute a command beside everything else: yield until it has ended, return its Answer."""
    import tempfile
    limit = time.monotonic() + timeout
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            process = spawn(argv, (subprocess.DEVNULL, out, errors), env)
        except OSError as error:
            return Answer(127, "", os.strerror(error.errno or 0))
        try:
            while process.poll() is None:
                if time.monotonic() > limit:
                    return Answer(124, "", f"no answer for {timeout:.0f} seconds")
                yield
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        texts = []
        for file in (out, errors):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "surrogateescape"))
        return Answer(process.returncode, *texts)


def finished(steps: "Generator[Any, None, Any]") -> "Any":
    """The result of a generator, for callers that have nothing else to do meanwhile."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value
        time.sleep(0.005)


def capture(argv: "Sequence[str]", timeout: float = PROMPT) -> Answer:
    return finished(ask(argv, environment({}), timeout))  # type: ignore[no-any-return]


def processes_of(path: str, leader: int) -> "List[int]":
    """The processes of this machine that belong to an attempt, by its file and its recorder.

    Their environment names the file (proc(5)). Without /proc only the recorder is found.
    """
    if not HAS_PROC:
        return [leader] if leader > 0 and send_signal(leader, 0) else []
    wanted = native_bytes(f"{ATTEMPT_FILE}={path}")
    return [int(name) for name in os.listdir("/proc")
            if name.isdigit() and wanted in read_system(f"/proc/{name}/environ").split(b"\0")]


def read_system(path: str) -> bytes:
    """A file of the kernel's; nothing where it has none, or of a process that is not ours."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def is_hydraflow(pid: int) -> bool:
    if HAS_PROC:
        return b"hydraflow" in read_system(f"/proc/{pid}/cmdline")
    return send_signal(pid, 0)


def signal_attempt(path: str, leader: int, number: int) -> bool:
    """Send a signal to the processes of an attempt; return whether one of them got it.

    The group of a recorder that leads one gets it as a group, at one moment.
    """
    targets = {-leader if leader and group_of(pid) == leader else pid
               for pid in processes_of(path, leader)}
    return True in [send_signal(target, number) for target in targets]


def group_of(pid: int) -> int:
    """The process group of a process; 0 where it is gone."""
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def send_signal(pid: int, number: int) -> bool:
    """Send a signal to a process, or to a group by its negative number; return whether it went."""
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def host_name() -> str:
    return os.uname().nodename


@functools.lru_cache(maxsize=None)
def boot_id() -> str:
    """An id of this start of this machine's kernel, which containers share."""
    return read_system("/proc/sys/kernel/random/boot_id").decode("ascii").strip() or host_name()


def uptime() -> float:
    """The seconds since the machine started; since 1970 without /proc, as RECORDER has it."""
    words = read_system("/proc/uptime").split()
    return float(words[0]) if words else time.time()


class Signals:
    """Notes signals that ask to stop, and wakes the pass up, instead of breaking into it."""

    STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    PASSED_ON = (signal.SIGUSR1, signal.SIGUSR2)

    def __enter__(self) -> "Signals":
        self.numbers: List[int] = []
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.writer, False)
        self.old_wakeup = signal.set_wakeup_fd(self.writer)
        self.old = {signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None)}
        for number in (*self.STOPPING, *self.PASSED_ON):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                self.old[number] = signal.signal(
                    number, lambda number, _: self.numbers.append(number))
        return self

    def wait(self, seconds: float) -> None:
        """Sleep until a child ends, a signal comes or time has passed."""
        import select
        if select.select([self.reader], [], [], seconds)[0]:
            os.read(self.reader, 4096)

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self.old_wakeup)
        os.close(self.reader)
        os.close(self.writer)


# ---------------------------------------------------------------------------
# 7. Records: Task, Start, Submission, Attempt <-> files
# ---------------------------------------------------------------------------
# open_safely opens every file of a record; Record knows every path (FILES); Lock is held while
# HydraFlow executes a run. Start, Task, Submission and Attempt are written and read by functions
# that are next to each other; checked is the one check of their fields. Lines that a kill or a full
# disk tore are passed over.
#
# One attempt of a task is one file. The process that makes attempts/K/N-A owns attempt A of task N.
# Every line in it has happened. While it is locked, something of the attempt lives:
#
#   line 1, padded to HEAD bytes         its owner, written by claim before the file has its name
#   line 2, padded to VERDICT bytes      why it is over without an end
#   ROOM bytes of blanks                 its start and its end, by the recorder (chapter 6)
#
# Nothing is ever rewritten but blanks; a line is written by one system call.

ROOT = ".hydraflow"
FORMAT = 3  # of the record
FILES = {  # kind -> path in a record; {k} is the first number without its last three digits
    "plan": "plan.jsonl",  # starts and tasks; a task is planned by the start above it
    "attempt": "attempts/{k}/{0}-{1}",
    "log": "logs/{k}/{0}.log",
    "changes": "changes-{0}.diff",  # differences from the commit, at a start
    "stop": "stop-{0}",  # begin nothing more of this start, or an earlier one
    "submission": "submissions/{0}.jsonl",  # facts, then later ones
    "script": "submissions/{0}.sh",
    "lines": "submissions/{0}.txt",  # the input of a handler
    "handler": "submissions/{0}.handler",  # the attempt to execute a handler
    "output": "submissions/{0}-{1}.out",  # the scheduler's own output of an array task
    "program": "hydraflow.py",  # the program of array tasks
}
HEAD, VERDICT, ROOM = 512, 128, 256  # bytes of an attempt's file
HERE, ARRAY, LINE = "here", "array", "line"  # who has an attempt: HydraFlow, an array task, a line
REUSED = "reused"  # who has an attempt: nobody, its success in an older run counts
BARE = "parameters"  # in place of a scheduler: a handler that gets no commands
HANDLER = "handler"  # in place of a scheduler: a handler whose lines execute tasks
TIME_LIMIT, GIVEN_UP = "time limit", "given up"  # verdicts of a limit of ours, of cancel --lost
FINAL = {TIME_LIMIT: "failed", GIVEN_UP: "interrupted"}  # verdicts that no scheduler explains
ENDING_SIGNALS = (1, 2, 9, 10, 12, 15, 24)  # HUP INT KILL USR1 USR2 TERM XCPU: of schedulers
PLAN_LINE = (  # of a task, of which no more is read than its number and its step, or of a start
    rb'(?m)^\{(?:"task":([0-9]{1,9}),"step":([0-9]{1,9}),)?.*\}$')
SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link, no waiting for a FIFO


def system_error(error: OSError, action: str, path: str = "") -> Error:
    place = path or os.fsdecode(error.filename or "")
    name = f" {os.path.relpath(place)}" if place else ""
    reason = os.strerror(error.errno) if error.errno else error
    return Error("system", f"cannot {action}{name}: {reason}",
                 "free what is in the way, or choose another place")


@contextlib.contextmanager
def trying(action: str, path: str = "") -> "Iterator[None]":
    """Raise a system call that fails as an Error that names the action and the file."""
    try:
        yield
    except OSError as error:
        raise system_error(error, action, path) from None


def damaged(path: str) -> Error:
    return Error("damaged", f"{os.path.relpath(path)} is damaged", "run the job anew")


# -- files


def to_json(value: "Any") -> str:
    return json.dumps(value, separators=(",", ":"))


def open_safely(path: str, flags: int) -> int:
    """An opener for open(): make the folder of a file of a record too, and follow no link."""
    try:
        return os.open(path, flags | SAFE, 0o666)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    with contextlib.suppress(FileExistsError):  # of a thousand tasks; a lost record is not remade
        os.mkdir(os.path.dirname(path))
    return os.open(path, flags | SAFE, 0o666)


def write_file(path: str, data: bytes, mode: str = "wb") -> None:
    """Write a file of a record, or append to it with "ab"."""
    with open(path, mode, 0, opener=open_safely) as file:
        write_all(file.fileno(), data)


def write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data):]


def line_of(values: "Dict[str, Any]") -> bytes:
    """A line of JSON to append: whole also after one that a full disk or a kill tore."""
    return f"\n{to_json(values)}".encode("ascii")


def read_bytes(path: str) -> bytes:
    """The content of a file of a record; nothing if there is no such file. Raises Error."""
    with trying("read", path):
        try:
            with open(path, "rb", 0, opener=open_safely) as file:
                return file.read()
        except FileNotFoundError:
            return b""


def whole_lines(data: bytes) -> "List[Dict[str, Any]]":
    return list(filter(None, map(read_line, data.split(b"\n"))))


def read_line(line: bytes) -> "Dict[str, Any]":
    """One line of JSON; nothing if it is torn."""
    if not line.startswith(b"{"):
        return {}
    try:
        values = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def read_values(path: str) -> "Dict[str, Any]":
    """The values of all whole lines of a file, the last ones of each name."""
    values = {}
    for line in whole_lines(read_bytes(path)):
        values.update(line)
    return values


def list_folder(path: str) -> "List[str]":
    """The names in a folder of a record in order; none if there is no such folder."""
    with trying("read", path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(os.listdir(path))
    return []


def numbers_in(folder: str, pattern: str) -> "List[int]":
    """The numbers, ascending, in the names of a folder's files that match a pattern."""
    found = [re.fullmatch(pattern, name) for name in list_folder(folder)]
    return sorted(int(match[1]) for match in found if match)


def size_of(path: str) -> int:
    """The bytes of a file of a record, 0 if there is none; raises Error where a look fails."""
    with trying("read", path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return os.stat(path).st_size
    return 0


# -- the directory of a run


class Record:
    """The directory in which one run of a job keeps its plan, its attempts and its logs."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.ulid = os.path.basename(self.path)

    @staticmethod
    def directory(job: str) -> str:
        """The directory of the records of a job; its name may hold any character.

        >>> Record.directory("a/b")
        '.hydraflow/a%2Fb'
        """
        def escaped(match: "Match[str]") -> str:
            return "".join(map("%{:02X}".format, native_bytes(match[0])))

        return f"{ROOT}/{re.sub('[^A-Za-z0-9_-]', escaped, job)}"

    def file(self, kind: str, *numbers: "Union[int, str]") -> str:
        thousand = numbers[0] // 1000 if numbers and isinstance(numbers[0], int) else ""
        return f"{self.path}/{FILES[kind].format(*numbers, k=thousand)}"

    def submission_numbers(self) -> "List[int]":
        return numbers_in(f"{self.path}/submissions", r"(\d{1,9})\.jsonl")

    def stop(self, start: int) -> None:
        write_file(self.file("stop", start), b"")

    def make(self) -> None:
        with trying("make", self.path):
            if not os.path.lexists(f"{ROOT}/.gitignore"):
                write_file(f"{ROOT}/.gitignore", b"*\n")
            for folder in ("", "/attempts", "/logs", "/submissions"):
                os.mkdir(self.path + folder)

    @classmethod
    def all(cls, job: str) -> "List[Record]":
        return cls.all_in(cls.directory(job))

    @classmethod
    def all_in(cls, directory: str) -> "List[Record]":
        """The records in the directory of a job, the oldest first."""
        names = [name for name in list_folder(directory) if len(name) == ULID_LENGTH]
        records = [cls(f"{directory}/{name}") for name in names]
        return [record for record in records if size_of(record.file("plan"))]

    @classmethod
    def newest(cls) -> "List[Record]":
        found = [cls.all_in(f"{ROOT}/{name}")[-1:] for name in list_folder(ROOT)]
        return list(chain.from_iterable(found))


def is_stopped(stops: "Iterable[Sequence[Any]]") -> bool:
    """Whether nothing more is to begin, by pairs of the path of a record and a start.

    The folder is listed, as a network's file system remembers that a file was not there.
    """
    return any(max(numbers_in(path, r"stop-(\d{1,9})"), default=-1) >= start
               for path, start in stops)


def try_lock(descriptor: int, is_look: bool) -> "Optional[bool]":
    """Whether a file could be locked; None where there are no locks."""
    try:
        import fcntl
        fcntl.flock(descriptor, (fcntl.LOCK_SH if is_look else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (OSError, ImportError):
        return None
    return True


# -- starts and tasks


class Start(NamedTuple):
    """A start of a run: run JOB, or --resume.

    time is in seconds since 1970, commit that of git, changes a hash of the differences from it.
    """
    number: int = 0
    job: str = ""
    count: int = 0  # type: ignore[assignment]  # tuple has a method of this name
    time: float = 0.0
    host: str = ""
    version: str = ""
    words: "List[str]" = []
    note: str = ""
    commit: str = ""
    changes: str = ""
    format: int = 0

    @property
    def code(self) -> str:
        """The code that it executed, in short: a71128d + changes 1f0c."""
        changes = f" + changes {self.changes}" if self.changes else ""
        return f"{self.commit[:7]}{changes}"


NO_TASK = Task(0, 0, 0, (), (), (), "", "", {}, 0, False)


def checked(values: "Mapping[str, Any]", sample: "Any") -> "List[Any]":
    """The fields of a named tuple from a record; those of sample for other types."""
    found = []
    for name, usual in zip(sample._fields, sample):
        value = values.get(name, usual)
        if type(usual) is tuple and type(value) is list:
            value = tuple(value)
        is_right = type(value) is type(usual) or (type(value) is int and type(usual) is float)
        found.append(value if is_right else usual)
    return found


def read_start(values: "Dict[str, Any]", path: str) -> Start:
    """The start that a line of a plan describes; Error for that of another format."""
    start = Start(*checked({**values, "number": values.get("start")}, Start()))
    if start.format != FORMAT:
        version = start.version or "of another version"
        message = f"HydraFlow {version} wrote {os.path.relpath(path)} in another format"
        raise Error("other-format", message,
                    "run the job anew; that version still reads the record")
    if not (start.number and start.job):
        raise damaged(path)
    return start


def plan_line(kind: str, entry: "Union[Start, Task]") -> bytes:
    """The line of a plan about a start or a task, which begins with its number."""
    values = dict(entry._asdict())
    return line_of({kind: values.pop("number"), **values})


class Ledger:
    """What the plan of a record says.

    members are the tasks that the last start planned, in its order, each with its step; spans are
    where in data the last line of every task is.
    """

    def __init__(self, record: Record) -> None:
        self.path = record.file("plan")
        self.data = read_bytes(self.path)
        self.starts = []
        self.members = {}
        self.spans = {}
        for match in re.finditer(PLAN_LINE, self.data):
            digits, step = match.groups()
            if digits:
                self.members[int(digits)] = int(step)
                self.spans[int(digits)] = match.span()
            else:
                self.starts.append(read_start(read_line(match[0]), self.path))
                self.members = {}
        if not self.starts:
            raise damaged(self.path)

    @property
    def start(self) -> Start:
        return self.starts[-1]

    def line(self, number: int) -> bytes:
        return self.data[slice(*self.spans.get(number, (0, 0)))]

    def task(self, number: int) -> Task:
        values = read_line(self.line(number))
        task = Task(*checked({**values, "number": values.get("task")}, NO_TASK))
        texts = [*task.combination, *task.argv, *task.key, task.directory, task.cwd, *task.env]
        texts += [value for value in task.env.values() if value is not None]
        is_right = all(isinstance(text, str) and "\0" not in text for text in texts)
        if not (is_right and task.number and task.argv):
            raise damaged(self.path)
        return task

    def keys(self) -> "Dict[Tuple[str, ...], List[int]]":
        numbers = defaultdict(list)
        for number in sorted(self.spans):
            key = read_line(self.line(number)).get("key")
            if not isinstance(key, list):
                raise damaged(self.path)
            numbers[tuple(key)].append(number)
        return numbers


# -- submissions


class Submission(NamedTuple):
    """What an array job or a handler got.

    scheduler is one of SCHEDULERS, HANDLER or BARE; after are pairs (path of a record, number of a
    submission) that have to succeed before, stops pairs (path of a record, number of a start) whose
    stop it obeys; limits are those of its tasks, slots their numbers at each array index, from 1.
    """
    number: int = 0
    start: int = 0
    step: int = 0
    scheduler: str = ""
    name: str = ""
    after: "List[List[Any]]" = []
    stops: "List[List[Any]]" = []
    limits: "List[Any]" = [0, 0, 0, 0]
    job_id: str = ""
    slots: "List[List[int]]" = []

    def numbers(self) -> "List[int]":
        return list(chain.from_iterable(self.slots))


NO_SUBMISSION = Submission()


def note_submission(record: Record, submission: Submission, **facts: "Any") -> Submission:
    """Write a submission that is not made yet, or facts of one that is: its id."""
    line = line_of(facts or dict(submission._asdict()))
    write_file(record.file("submission", submission.number), line, "ab")
    return submission._replace(**facts)


def read_submission(record: Record, number: int) -> Submission:
    path = record.file("submission", number)
    submission = Submission(*checked(read_values(path), Submission(number=-1)))
    words = f"{submission.name} {submission.job_id}"  # of commands
    if not (re.fullmatch(r"[\w. ;:,\[\]-]*", words) and submission.number == number
            and re.fullmatch(r"\[(\[[\d,]*\],?)*\]", to_json(submission.slots))
            and len(submission.limits) == 4):
        raise damaged(path)
    return submission


# -- attempts


class Attempt(NamedTuple):
    """What the file of an attempt says; number is that of its task, attempt counts from 1 in it.

    role is HERE or another one of those names; submission and index are those of its array task or
    line; time and up are when host, boot and pid claimed it, in seconds since 1970 and of uptime();
    scheduler and job_id are those of a job around it; origin is RECORD/NUMBER of a task of an older
    run whose success counts; leader is the recorder, began and ended are uptimes, status is -1
    before the end, stopped tells that a signal came before it, detail why it could not start.
    """
    path: str = ""
    number: int = 0
    attempt: int = 0
    start: int = 0
    role: str = ""
    submission: int = 0
    index: int = 0  # type: ignore[assignment]  # tuple has a method of this name
    host: str = ""
    boot: str = ""
    pid: int = 0
    time: float = 0.0
    up: float = 0.0
    scheduler: str = ""
    job_id: str = ""
    origin: str = ""
    verdict: str = ""
    leader: int = 0
    began: float = -1.0
    status: int = -1
    ended: float = -1.0
    stopped: bool = False
    detail: str = ""

    @property
    def has_started(self) -> bool:
        return self.began >= 0 or self.status >= 0

    @property
    def has_ended(self) -> bool:
        return self.status >= 0

    @property
    def is_over(self) -> bool:
        return self.has_ended or bool(self.verdict)

    @property
    def is_by_signal(self) -> bool:
        """Whether a signal has ended it, or will have, of which a scheduler may say more."""
        return self.verdict not in FINAL and (
            self.stopped or not self.has_ended or self.status - 128 in ENDING_SIGNALS)

    def moment(self, up: float) -> float:
        """An uptime of its machine in seconds since 1970, 0.0 where unknown."""
        return self.time - self.up + up if up >= 0 else 0.0

    def again(self) -> "Attempt":
        return read_attempt(self.path, self.number, self.attempt)

    def signal(self, number: int) -> bool:
        """Send a signal to its processes on this machine; return whether one of them got it."""
        return self.boot == boot_id() and signal_attempt(self.path, self.leader, number)


NO_ATTEMPT = Attempt()


def new_head(start: int, role: str, **more: "Any") -> "Dict[str, Any]":
    return {
        "start": start, "role": role, "host": host_name()[:64], "boot": boot_id(),
        "pid": os.getpid(), "time": round(time.time(), 2), "up": uptime(), **more}


def claim(path: str, head: "Dict[str, Any]") -> int:
    """Make the file of an attempt; return its descriptor, or -1 if somebody else has it.

    It is locked, and says whose it is, before it gets its name: nobody ever sees it without, but
    where a file system has no links. What is written to it next is its start. Raises OSError.
    """
    draft = f"{os.path.dirname(path)}/.{os.urandom(8).hex()}"
    descriptor = make_attempt(draft, head)
    try:
        os.link(draft, path)
    except OSError as error:
        # The answer of a network's file system may get lost: two names on the draft mean success.
        if os.fstat(descriptor).st_nlink == 2:
            return descriptor
        os.close(descriptor)
        return -1 if error.errno == errno.EEXIST else make_attempt(path, head)
    finally:
        os.unlink(draft)
    return descriptor


def make_attempt(path: str, head: "Dict[str, Any]") -> int:
    """Make a file for an attempt, locked, with first line and blanks; -1 if there is one."""
    try:
        descriptor = open_safely(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return -1
    try_lock(descriptor, False)
    line = to_json(head).encode("ascii")
    blanks = [line.ljust(HEAD - 1), b" " * (VERDICT - 1), b" " * (ROOM - 1)]
    try:
        write_all(descriptor, b"".join(text + b"\n" for text in blanks))
    except OSError:
        os.unlink(path)
        os.close(descriptor)
        raise
    os.lseek(descriptor, HEAD + VERDICT, os.SEEK_SET)
    return descriptor


def write_end(descriptor: int, **end: "Any") -> None:
    write_all(descriptor, to_json(end).encode("ascii")[:ROOM - 1] + b"\n")


def write_verdict(path: str, verdict: str) -> None:
    """Note why an attempt is over; OSError where it cannot be written."""
    line = to_json({"verdict": verdict[:60]}).encode("ascii")
    with open(path, "r+b", 0, opener=open_safely) as file:
        os.pwrite(file.fileno(), line.ljust(VERDICT - 1), HEAD)


def read_attempt(path: str, number: int = 0, attempt: int = 1) -> Attempt:
    return Attempt(path, number, attempt, *checked(read_values(path), NO_ATTEMPT)[3:])


def attempt_counts(record: Record) -> "Dict[int, int]":
    folder = f"{record.path}/attempts"
    names = chain.from_iterable(list_folder(f"{folder}/{name}") for name in list_folder(folder))
    heads = [name.partition("-")[0] for name in names]
    return Counter(map(int, filter(str.isdigit, heads)))


def is_held(one: Attempt) -> "Optional[bool]":
    """Whether something of an attempt lives, as after any error; None where that is unknown."""
    if not one.role:
        return True
    if one.boot != boot_id():
        return False if one.host == host_name() else None  # rebooted, or another machine
    try:
        with open(one.path, "rb", 0, opener=open_safely) as file:
            if try_lock(file.fileno(), True) is False:
                return True
    except OSError:
        return True
    # A program may have closed the file, and a file system may have no locks.
    if one.leader:
        return bool(processes_of(one.path, one.leader))
    return one.pid != os.getpid() and is_hydraflow(one.pid)


class Lock:
    """Held by one HydraFlow at a time: the last numbered claim in a folder, while it lives."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.descriptor = -1

    def look(self) -> "Tuple[int, str]":
        """The number of the last claim, and its holder: process 7 on node3; "" for none."""
        number = max(numbers_in(self.folder, r"lock-(\d{1,9})"), default=0)
        one = read_attempt(f"{self.folder}/lock-{number}")
        if not number or one.has_ended or not is_held(one._replace(boot=boot_id())):
            return number, ""
        return number, f"process {one.pid} on {one.host}" if one.pid else "another process"

    def take(self, patience: float = 0.1) -> str:
        """Take the lock; return its holder if that is another one, after patience in seconds."""
        limit = time.monotonic() + patience
        while True:
            number, holder = self.look()
            if not holder:
                with trying("write", self.folder):
                    os.makedirs(self.folder, exist_ok=True)
                    path = f"{self.folder}/lock-{number + 1}"
                    self.descriptor = claim(path, new_head(0, HERE))
                if self.descriptor >= 0:
                    return ""
            if time.monotonic() > limit:
                return holder or "another process"
            time.sleep(0.02)

    def release(self) -> None:
        if self.descriptor >= 0:
            write_end(self.descriptor, status=0)
            os.close(self.descriptor)
        self.descriptor = -1


# ---------------------------------------------------------------------------
# 8. States: Attempt, queue -> State of each task
# ---------------------------------------------------------------------------
# STATES has the meaning of each state; Queued is a scheduler's answer about an array task; state_of
# is the one function that derives the state of a task: from its attempts, whether something of the
# last one lives, and its queue. It reads no file and executes nothing.
#
# An end on record is the end of its attempt, whatever was asked later. An attempt that has neither
# end nor verdict is alive until its machine, its queue or its user says otherwise.


class Kind(NamedTuple):
    """A state that a task may have, in the order in which people want to see them."""
    name: str
    is_over: bool
    is_good: bool
    text: str
    colour: str


STATES = {row.name: row for row in (
    Kind("failed", True, False, "failed", "31"),
    Kind("interrupted", True, False, "interrupted", "33"),
    Kind("skipped", True, False, "skipped", "33"),  # its dependency has not succeeded
    Kind("running", False, False, "running", "36"),
    Kind("queued", False, False, "queued", "36"),
    Kind("handed", True, True, "handed over", ""),  # to a handler that says nothing of its end
    Kind("succeeded", True, True, "succeeded", "32"),
    Kind("waiting", False, False, "waiting", ""),  # for the HydraFlow that executes the run now
    Kind("not started", False, False, "not started", ""),  # and nobody is about to start it
)}
HYDRA_BEGAN = "Hydra began "  # the verdict on a Hydra task that ended early begins like this
PENDING, ACTIVE, ABSENT = "pending", "active", "absent"  # kinds of Queued


class Queued(NamedTuple):
    """A scheduler's answer about an array task; kind is PENDING, ACTIVE, ABSENT, "" for none."""
    kind: str = ""
    word: str = ""
    reason: str = ""


UNKNOWN = Queued()
OVER = Queued(ABSENT)
MEANINGS = (  # words of schedulers for an end, and the plain ones
    (r"^TIMEOUT|^DEADLINE|RUNLIMIT|TIME LIMIT|walltime .*exceeded|enforced h_rt", TIME_LIMIT),
    (r"^OUT_OF_MEMORY|MEMLIMIT|(?i:oom.kill|out of memory|memory limit|v?mem .*exceeded)",
     "out of memory"),
    (r"^NODE_FAIL|^BOOT_FAIL|NODE FAILURE", "node failure"),
    (r"^CANCELLED|^REVOKED|TERM_OWNER|TERM_ADMIN", "cancelled"),
    (r"^PREEMPTED|DUE TO PREEMPTION", "preempted"))
LIMITS_OF_SITE = (TIME_LIMIT, "node failure", "preempted")  # after which a task may begin again
SILENT = ("", "COMPLETED", "FAILED", "EXIT", "DONE", "X", "F", "C")  # say no more than an end


class State(NamedTuple):
    """The state of one task.

    name is one of STATES; status is 128 and more for a signal; started and ended are seconds since
    1970, 0.0 where unknown; attempts is how many there are; origin is RECORD/NUMBER of a task of an
    older run whose success counts; start is that of the last attempt.
    """
    name: str = "not started"
    cause: str = ""
    status: int = 0
    started: float = 0.0
    ended: float = 0.0
    attempts: int = 0
    host: str = ""
    origin: str = ""
    start: int = 0

    @property
    def is_over(self) -> bool:
        return STATES[self.name].is_over

    @property
    def is_good(self) -> bool:
        return STATES[self.name].is_good

    @property
    def is_alive(self) -> bool:
        return self.name in ("running", "queued")


NOT_STARTED = State()


def meaning(word: str) -> str:
    """A scheduler's word for an end with ours beside it.

    >>> meaning("TIMEOUT"), meaning("SPECIAL_EXIT"), meaning("COMPLETED")
    ('time limit (TIMEOUT)', 'SPECIAL_EXIT', '')
    """
    if word in SILENT:
        return ""
    for pattern, plain in MEANINGS:
        if re.search(pattern, word):
            return f"{plain} ({word})"
    return word


def is_success(one: Attempt) -> bool:
    """Whether an attempt ended well; after a request to stop it did not."""
    return one.status == 0 and not one.stopped and not one.verdict.startswith(HYDRA_BEGAN)


def state_of(attempts: "Sequence[Attempt]", held: "Optional[bool]", queued: Queued = UNKNOWN,
             since: "Tuple[int, int]" = (0, 0), retries: int = 0) -> State:
    """The state of a task.

    attempts are ascending; held tells whether something of the last one lives, None for unknown;
    queued is the answer about the array task that has the task, or had it last; since are start and
    number of its last submission; retries is how many more attempts follow a failure.
    """
    good = list(filter(is_success, attempts))
    current = [one for one in attempts if (one.start, one.submission) >= since]
    one = (good or current or [NO_ATTEMPT])[-1]
    name, cause = "succeeded", ""
    if not good:
        name, cause = name_and_cause(one, held, queued) if current else (
            name_before(queued, since != (0, 0)))
        tries = sum(one.has_started for one in current)
        if name == "failed" and tries <= retries and queued.kind in (PENDING, ACTIVE):
            name, cause = "running", "trying again"
    return State(
        name, cause, max(one.status, 0), one.moment(one.began), one.moment(one.ended),
        len(attempts), one.host, one.origin, one.start)


def name_before(queued: Queued, was_submitted: bool) -> "Tuple[str, str]":
    """Name and cause of the state of a task without an attempt since it was submitted."""
    if queued.kind in (PENDING, ACTIVE) or (was_submitted and not queued.kind):
        return "queued", queued.reason
    return "not started", meaning(queued.word)


def name_and_cause(one: Attempt, held: "Optional[bool]", queued: Queued) -> "Tuple[str, str]":
    """Name and cause of the state in which an attempt without success leaves its task."""
    is_over = one.is_over or held is False
    if is_over and not one.is_by_signal:
        return FINAL.get(one.verdict, "failed"), one.detail + one.verdict  # it has one of them
    if queued.kind == PENDING and not held:
        return "queued", f"requeued {queued.reason}".rstrip()
    if not is_over and (held or queued.kind != ABSENT):
        return "running", queued.reason if one.has_started else "beginning"
    if not (one.is_over or one.has_started):  # a claim alone, of which nothing lives
        return "not started", meaning(queued.word)
    return end_by_signal_of(one, is_over, queued)


def end_by_signal_of(one: Attempt, is_over: bool, queued: Queued) -> "Tuple[str, str]":
    """The same of an attempt that is gone, or that a signal has ended: perhaps its scheduler, which
    says so when the array task has ended."""
    is_gone = queued.kind == ABSENT
    if one.role == ARRAY and not is_gone:
        return "running", "ended by a signal"
    word = meaning(queued.word) if is_gone else ""
    if one.has_ended and not (word or one.stopped):
        return "failed", one.detail
    usual = "killed" if is_over else "gone from the queue"
    return "interrupted", word or one.verdict or usual * (not one.has_ended)


# ---------------------------------------------------------------------------
# 9. Local execution: Task, Task, ... -> Event, Event, ...
# ---------------------------------------------------------------------------
# Limits and Event; Process is an attempt that this process began; Local begins, watches, asks and
# kills attempts. It has no loop: the pass of chapter 11, whose stages are places of this kind,
# calls start and look. It yields events and shows nothing.

NEVER = float("inf")
GRACE = 10.0  # seconds between asking a task to stop and killing it
TICK = 0.05  # seconds between two looks at processes
DEVICES = (  # variables that list granted devices: of CUDA, ROCm, oneAPI, Slurm
    "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK",
    "SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
HYDRA_LINE = re.compile(rb"HYDRA[^]\n]*\] (?:Launching (\d+) jobs |\t#(\d+) : )?")


class Limits(NamedTuple):
    """How many tasks at once, how many more tries, how many seconds a try may take (0.0: any), and
    whether nothing begins after a failure."""
    jobs: int
    retries: int
    timeout: float
    fail_fast: bool


class Event(NamedTuple):
    """Something that happened, to a task or not.

    kind is start, retry, end, done (earlier, or by another process), tick, interrupt, note or
    error; number is where in log the output begins, how many tasks are done, or run elsewhere at a
    tick, or a signal.
    """
    kind: str
    text: str = ""
    number: int = 0
    task: "Optional[Task]" = None
    state: State = NOT_STARTED
    log: str = ""


def grace() -> float:
    text = os.environ.get("HYDRAFLOW_GRACE") or str(GRACE)
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        message = f"HYDRAFLOW_GRACE is {text}, expected a number of seconds"
        raise Error("bad-grace", message, f"for example HYDRAFLOW_GRACE={GRACE:g}")
    return float(text)


def remove_if_empty(path: str) -> None:
    """Leave no log of a task that printed nothing."""
    with contextlib.suppress(OSError):
        if not os.stat(path).st_size:
            os.unlink(path)


class Process:
    """An attempt of ours: child is its recorder; deadline is when its time is over, kill_at when it
    is killed, on the monotonic clock; its output begins at offset of log."""

    child: "subprocess.Popen[bytes]"
    one: Attempt
    log = ""
    offset = 0
    deadline = kill_at = NEVER
    is_stopping = False

    def __init__(self, task: Task, slot: int) -> None:
        self.task = task
        self.slot = slot

    def signal(self, number: int) -> None:
        signal_attempt(self.one.path, self.child.pid, number)

    def stop(self, number: int, patience: float) -> None:
        self.is_stopping = True
        self.kill_at = time.monotonic() + patience
        self.signal(number)

    def is_over(self) -> bool:
        """Whether it has ended: all of it, after a request to stop or the death of its recorder."""
        status = self.child.poll()
        if status is None or (status >= 0 and not self.is_stopping):
            return status is not None
        if status < 0:
            self.signal(signal.SIGKILL)
        return not processes_of(self.one.path, 0)


class Local:
    """Attempts that this process executes.

    head has the fields of the first line of each; waiting are tasks to begin again, times is how
    often each began; slots are those that are free, the lowest at the end; is_stopped tells that
    nothing more begins, failure is an error that is why; patience is the time before a kill; silent
    counts Hydra tasks without a sign of Hydra; key is that of the job, for events.
    """

    failure = ""
    silent = 0
    is_stopped = False
    record: Record
    limits: Limits

    def __init__(self) -> None:
        self.running: List[Process] = []
        self.waiting: List[Task] = []
        self.times = Counter()  # type: Counter[int]

    def prepare(self, record: Record, limits: Limits, head: "Dict[str, Any]",
                stops: "Sequence[Sequence[Any]]", key: str) -> None:
        self.record = record
        self.limits = limits
        self.head = head
        self.stops = stops
        self.key = key
        self.kind = "handler" if head["role"] == HANDLER else "attempt"
        self.patience = NEVER if head["role"] == ARRAY else grace()
        self.slots = list(range(min(limits.jobs, 32768) - 1, -1, -1))
        listed = [os.environ.get(name, "").replace(",", " ").split() for name in DEVICES]
        granted = [devices for devices in listed if devices and devices != ["NoDevFiles"]]
        self.devices = granted[0] if granted and head["role"] == ARRAY else []
        # sh drops variables with other names, such as the exported functions of bash
        lost = [f"{name}={value}" for name, value in os.environ.items()
                if not re.fullmatch("[A-Za-z_][A-Za-z_0-9]*", name)]
        self.prefix = ["/usr/bin/env", *lost] if lost else []

    def must_stop(self) -> bool:
        self.is_stopped = self.is_stopped or is_stopped(self.stops)
        return self.is_stopped

    def start(self, task: Task) -> Event:
        """Begin an attempt of a task, unless another process has it or it has succeeded."""
        process = Process(task, self.slots[-1])
        self.times[task.number] += 1
        try:
            descriptor, is_good = self.claim(process)
        except OSError as error:
            return self.fail(system_error(error, f"begin task {task.number}"))
        if descriptor < 0:
            return Event("done", "", int(is_good), task)
        try:
            if self.must_stop():
                return Event("tick")
            self.launch(process, descriptor)
        except (OSError, Error) as error:
            known = error if isinstance(error, Error) else system_error(error, "start")
            write_end(descriptor, status=126, ended=uptime(), detail=known.message[:100])
            state = state_of([process.one.again()], False, OVER)
            return Event("end", self.key, 0, task, state)
        finally:
            os.close(descriptor)
        self.slots.pop()
        self.running.append(process)
        state = NOT_STARTED._replace(name="running", started=time.time())
        kind = "retry" if self.times[task.number] > 1 else "start"
        return Event(kind, self.key, process.offset, task, state, process.log)

    def claim(self, process: Process) -> "Tuple[int, bool]":
        """Claim the next attempt of a task, and kill the remains of earlier ones; return its open
        file, or -1 if another process has the task, and whether it has succeeded."""
        number = process.task.number
        for attempt in itertools.count(1):
            path = self.record.file(self.kind, number, attempt)
            process.one = Attempt(path, number, attempt)
            descriptor = claim(path, new_head(slot=process.slot, **self.head))
            if descriptor >= 0:
                break
            one = process.one.again()
            held = is_held(one)
            own = self.head["submission"], self.head["index"]
            if held is None and own[0] and (one.submission, one.index) == own:
                # a scheduler that starts an array index again has given up its earlier array task
                write_verdict(path, "requeued")
                held = False
            one = one.again()  # its end may have come before it let go
            is_over = one.is_over or held is False
            state = state_of([one], held, OVER if is_over else UNKNOWN)
            if state.is_alive or state.is_good:
                return -1, state.is_good
            one.signal(signal.SIGKILL)
        return descriptor, False

    def launch(self, process: Process, descriptor: int) -> None:
        slot = str(process.slot)
        if self.devices:  # of those granted, the task takes the one of its slot
            slot = self.devices[process.slot % len(self.devices)]
        task = replaced(process.task, SLOT, slot)
        variables = {
            "PYTHONUNBUFFERED": os.environ.get("PYTHONUNBUFFERED", "1"), **task.env,
            ATTEMPT_FILE: process.one.path, "HYDRAFLOW_ATTEMPT": str(process.one.attempt)}
        values = environment_values()
        env = environment({name: text and fill(text, values) for name, text in variables.items()})
        if task.has_directory:
            os.makedirs(native(os.path.join(task.cwd, task.directory)), exist_ok=True)
        words = ["/bin/sh", "-c", RECORDER, "hydraflow", *self.prefix, *task.argv]
        if self.kind == "handler":  # its output is for the terminal
            process.child = spawn(words, (descriptor, None, None), env, task.cwd)
        else:
            process.log = self.record.file("log", task.number)
            is_session = self.head["role"] != ARRAY
            with open(process.log, "ab", 0, opener=open_safely) as log:
                if process.one.attempt > 1 and log.tell():
                    log.write(b"==> attempt %d <==\n" % process.one.attempt)
                process.offset = log.tell()
                process.child = spawn(words, (descriptor, log, log), env, task.cwd, is_session)
        if self.limits.timeout:
            process.deadline = time.monotonic() + self.limits.timeout

    def fail(self, error: Error) -> Event:
        self.failure = self.failure or str(error)
        self.is_stopped = True
        return Event("tick")

    def look(self) -> "Iterator[Event]":
        """Yield which tasks have ended; stop or kill those whose time is over."""
        now = time.monotonic()
        for process in list(self.running):
            if process.is_over():
                self.running.remove(process)
                self.slots.append(process.slot)
                self.slots.sort(reverse=True)
                yield from self.ended(process)
            elif now >= process.kill_at:
                process.signal(signal.SIGKILL)
                process.kill_at = NEVER
            elif now >= process.deadline and not process.is_stopping:
                self.judge(process, TIME_LIMIT)
                process.stop(signal.SIGTERM, grace())

    def judge(self, process: Process, verdict: str) -> None:
        try:
            write_verdict(process.one.path, verdict)
        except OSError as error:
            self.fail(system_error(error, "write into the record"))

    def ended(self, process: Process) -> "Iterator[Event]":
        one = process.one.again()
        verdict = self.verdict_on(process, one)
        if verdict:
            self.judge(process, verdict)
            one = one._replace(verdict=verdict)
        state = state_of([one], False, OVER)
        remove_if_empty(process.log)
        is_bad = state.name == "failed" or (state.cause == "killed" and not process.is_stopping)
        tries = self.times[process.task.number]
        if is_bad and tries <= self.limits.retries and not self.is_stopped:
            self.waiting.append(process.task)
        elif self.kind != "handler":  # whose tasks have ends of their own
            if state.name == "failed" and self.limits.fail_fast:
                self.record.stop(self.head["start"])
            yield Event("end", self.key, process.offset, process.task, state, process.log)

    def verdict_on(self, process: Process, one: Attempt) -> str:
        """A verdict on an attempt without an end, or without all runs of Hydra."""
        task = process.task
        if not one.is_over:
            return "killed"
        if not (task.runs and is_success(one)):
            return ""
        lines = HYDRA_LINE.findall(read_bytes(process.log)[process.offset:])
        launched = sum(int(count or 0) for count, _ in lines)
        began = sum(bool(number) for _, number in lines)
        folder = os.path.join(task.cwd, task.directory)
        self.silent += not (lines or task.runs > 1 or os.path.exists(native(folder)))
        return f"{HYDRA_BEGAN}{began} of {launched} runs" if began < launched else ""


# ---------------------------------------------------------------------------
# 10. Schedulers: words and texts <-> array jobs
# ---------------------------------------------------------------------------
# SCHEDULERS has a row for each scheduler with all that differs: words of a submission, patterns for
# the output of queues and accounting. The rows rest on sbatch(1), squeue(1), qsub(1), qstat(1) and
# accounting(5) of Grid Engine, qsub(1B) of PBS, and bsub(1). send, find_array, cancel_array, query
# and account talk to a scheduler; they are generators that yield None while they wait, or a text
# for people.

PASSING = (
    "(?i)timed? ?out|unexpected message|unable to contact|connection|temporar|try again|busy|"
    "communication|socket|not responding|resource temporarily|cannot connect|can't connect|"
    "no answer")
TRIES = (1.0, 2.0, 4.0, 8.0)  # seconds between tries after a passing failure
GONE = (  # states of ended array tasks
    "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY", "NODE_FAIL",
    "BOOT_FAIL", "PREEMPTED", "REVOKED", "EXIT", "DONE", "X", "F")
WAITING = (  # states of pending array tasks
    "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "PEND",
    "PSUSP", "WAIT", "qw", "hqw", "hRwq", "Rq", "Q", "H", "W")
PLAIN = (  # states and reasons that need no words
    "PENDING", "PEND", "qw", "Q", "RUNNING", "RUN", "r", "t", "R", "B", "COMPLETING", "E",
    "", "-", "None", "(null)")
STUCK = (  # in the words about an array task that begins only after somebody's help
    r"(?i)held|launch failed|badconstraints|partitionconfig|^E.*w\b|PSUSP|REQUEUE_HOLD|"
    r"SPECIAL_EXIT")
OURS_ARRAY = "the steps of the job make the array; max-parallel: how many array tasks at once"
OURS_NAME = "the array job is called after name: of the job"
OURS_LOG = "leave it out: each task has a log of its own, which hydraflow logs JOB shows"
OURS_AFTER = "needs: of a job, and the order of its steps, are the dependencies"
OURS_SHELL = "leave it out: setup: has the lines of shell that prepare a task"
OURS_COMMAND = "write the command into run:"


class Refusal(Error):
    """A submission that failed: the job file may be right, so the exit status is 1."""

    status = 1


COLUMNS = (  # of squeue and bjobs, in the formats of their rows
    r"(?m)^ *(?P<id>\d+) *\|(?P<indexes>[^|\n]*)\| *(?P<word>\w+)[^|\n]*\|(?P<reason>.*)$")


class Scheduler(NamedTuple):
    """What differs between schedulers. In commands, {} is an id, or for find a name.

    program submits; version matches its --version where two have one of that name; index is the
    variable with the array index, own_ids those with the id of the array job; array_task is how
    commands call index {1} of array job {0}; job_id finds the id in the output of a submission.

    options, array (of several array tasks), single (of one), throttled, after (with dependencies,
    which separator joins) and command have the words after the user's own, with the names of
    submission_words; percent is a percent sign in a path.

    query lists array tasks, which listed finds: id, indexes, word, reason; accounting, where a site
    keeps it, those that ended, which ended finds: id, indexes, word; find prints the ids of a name;
    cluster is the option that sends a command to another one.

    limit is a command, limit_text finds the array limit in its output, limit_usual is that
    elsewhere. crowded matches the refusal of more jobs than a user may have, forgotten the message
    about a job that is gone, variables those that a surrounding job sets. ours are patterns of the
    options that HydraFlow sets itself, each with its replacement.
    """
    name: str
    program: str
    index: str  # type: ignore[assignment]  # tuple has a method of this name
    own_ids: "Tuple[str, ...]"
    options: str
    after: str
    job_id: str
    query: "Tuple[str, ...]"
    listed: str
    cancel: "Tuple[str, ...]"
    find: "Tuple[str, ...]"
    limit: "Tuple[str, ...]"
    limit_text: str
    limit_usual: int
    ours: "Tuple[Tuple[str, str], ...]"
    array_task: str = ""
    array: str = ""
    single: str = ""
    throttled: str = ""
    separator: str = ":"
    command: str = "{script}"
    percent: str = "%"
    version: str = ""
    accounting: "Tuple[str, ...]" = ()
    ended: str = ""
    cluster: str = ""
    crowded: str = "(?!)"
    forgotten: str = "(?!)"
    name_length: int = 60
    variables: str = "(?!)"


SCHEDULERS = {row.name: row for row in (
    Scheduler(
        name="slurm",
        program="sbatch",
        index="SLURM_ARRAY_TASK_ID",
        own_ids=("SLURM_ARRAY_JOB_ID", "SLURM_JOB_ID"),
        array_task="{0}_{1}",
        options="--parsable --job-name={name} --output={log}%a.out --open-mode=append "  # sbatch(1)
                "--array=1-{count}{throttle}",
        after="--dependency=afterany:{ids}",
        percent="%%",
        job_id=r"^(?:Submitted batch job )?(\d+(?:;[\w.-]+)?)(?:\s|$)",
        query=("squeue", "-h", "-r", "-t", "all", "-o", "%F|%K|%T|%r", "-j", "{}"),
        listed=COLUMNS,
        accounting=("sacct", "-X", "-n", "-P", "-o", "JobID,State", "-j", "{}"),
        ended=r"(?m)^(?P<id>\d+)_\[?(?P<indexes>[\d,:-]+)[^|\n]*\|"
              rf"(?P<word>{'|'.join(GONE)})\b",
        cancel=("scancel", "{}"),
        find=("squeue", "-h", "-o", "%F", "--name", "{}"),
        limit=("scontrol", "show", "config"),
        limit_text=r"MaxArraySize\s*=\s*(\d+)",
        limit_usual=1001,
        crowded=r"MaxSubmitJob|job submit limit",
        forgotten="Invalid job id",
        variables=r"SLURM_(?!CONF$|CONF_SERVER$|CLUSTERS$|TIME_FORMAT$)|SLURMD_|"
                  r"SBATCH_(ARRAY_INX|WAIT|WAIT_ALL_NODES)$|PMI",
        cluster="-M",
        ours=(
            (OURS_ARRAY, "-a.*|--ar.*"), (OURS_NAME, "-J.*|--job.*"),
            (OURS_LOG, "-o.*|--ou.*|--open.*"), (OURS_AFTER, "-d.*|--dep.*|--kill.*"),
            (OURS_COMMAND, "--wr.*"))),
    Scheduler(
        name="gridengine",
        program="qsub",
        index="SGE_TASK_ID",
        own_ids=("JOB_ID",),
        array_task="{0}.{1}",
        options="-terse -N {name} -t 1-{count} -o {log}$TASK_ID.out -j y -S /bin/sh -b n",
        throttled="-tc {most}",
        after="-hold_jid {ids}",
        separator=",",
        job_id=r"^(?:Your job(?:-array)? )?(\d+)",
        query=("qstat", "-u", "*"),
        listed=r"(?m)^ *(?P<id>\d+) +\S+ +\S+ +\S+ +(?P<word>\S+)(?P<reason>) .*?"
               r"(?P<indexes>\S+) *$",  # the columns between: date, time, queue, slots
        accounting=("qacct", "-j", "{}"),
        ended=r"jobnumber\s+(?P<id>\d+)\s*\n(?:.*\n)*?taskid\s+(?P<indexes>\w+)\s*\n"
              r"(?:.*\n)*?failed\s+\d+[ :]*(?P<word>.*)",
        cancel=("qdel", "{}"),
        find=("qstat", "-j", "{}"),
        limit=("qconf", "-sconf"),
        limit_text=r"max_aj_tasks\s+(\d+)",
        limit_usual=75000,
        variables=r"SGE_(?!ROOT$|CELL$|QMASTER_PORT$|EXECD_PORT$|CLUSTER_NAME$)|"
                  r"(JOB_ID|JOB_NAME|JOB_SCRIPT|TASK_ID|QUEUE|RESTARTED|NSLOTS|NQUEUES|NHOSTS|"
                  r"PE|PE_HOSTFILE|REQUEST|ARC|ENVIRONMENT)$",
        ours=(
            (OURS_ARRAY, "-tc?"), (OURS_NAME, "-N"), (OURS_LOG, "-[oej]"),
            (OURS_AFTER, "-hold_jid"), (OURS_SHELL, "-S"), (OURS_COMMAND, "-b"))),
    Scheduler(
        name="pbs",
        program="qsub",
        version="pbs_version|PBS",
        index="PBS_ARRAY_INDEX",
        own_ids=("PBS_JOBID",),
        options="-N {name} -j oe -S /bin/sh",  # qsub(1B), which refuses an array of one
        array="-J 1-{count}{throttle} -o {log}^array_index^.out",
        single="-o {log}1.out",
        after="-W depend=afterany:{ids}",
        job_id=r"^(\d+(?:\[\])?)",
        query=("qstat", "-t", "{}"),
        # id[index].server, name, user, time, state, queue; not the row of a whole array
        listed=r"(?m)^(?P<id>\d+)(?:\[(?P<indexes>\d+)\])?(?:\.\S*)?\s.*\s(?P<word>[A-Z])\s+\S+"
               r"(?P<reason>)\s*$",
        cancel=("qdel", "{}"),
        find=("qselect", "-N", "{}"),
        limit=("qmgr", "-c", "print server"),
        limit_text=r"max_array_size\s*=\s*(\d+)",
        limit_usual=10000,
        crowded="would exceed",
        forgotten="Unknown Job Id|Job has finished",
        name_length=15,
        variables=r"PBS_(?!DEFAULT$|SERVER$|CONF_FILE$|EXEC$)|PMI",
        ours=(
            (OURS_ARRAY, "-J.*"), (OURS_NAME, "-N.*"), (OURS_LOG, "-[oej].*"),
            (OURS_AFTER, "(-W)?depend=.*"), (OURS_SHELL, "-S.*"))),
    Scheduler(
        name="lsf",
        program="bsub",
        index="LSB_JOBINDEX",
        own_ids=("LSB_JOBID",),
        array_task="{0}[{1}]",
        options="-J {name}[1-{count}]{throttle} -o {log}%I.out",  # bsub(1)
        after="-w ended({ids})",
        separator=") && ended(",
        command="/bin/sh {quoted}",  # bsub joins its last words for a shell
        job_id=r"Job <(\d+)>",
        query=("bjobs", "-a", "-noheader", "-o", "jobid jobindex stat pend_reason delimiter='|'",
               "{}"),
        listed=COLUMNS,
        cancel=("bkill", "{}"),
        find=("bjobs", "-noheader", "-o", "jobid", "-J", "{}"),
        limit=("bparams", "-a"),
        limit_text=r"MAX_JOB_ARRAY_SIZE\s*=\s*(\d+)",
        limit_usual=1000,
        crowded="(?i)pending jobs? .*(threshold|limit|maximum)|maximum number of pending",
        forgotten="is not found|No matching job|already finished",
        variables=r"LSB_(?!BSUB_PARSE_SCRIPT$)|LS_|PMI",
        ours=((OURS_NAME, "-J"), (OURS_LOG, "-oo?"), (OURS_AFTER, "-w|-ti"))),
)}


def without_env(words: "Sequence[str]") -> "Sequence[str]":
    """A command without the env and the variables before it.

    >>> without_env(["env", "X=1", "sbatch", "-p", "gpu"])
    ['sbatch', '-p', 'gpu']
    """
    if os.path.basename([*words, ""][0]) == "env":
        words = list(dropwhile(re.compile(r"[A-Za-z_]\w*=").match, words[1:]))
    return words


@functools.lru_cache(maxsize=None)
def scheduler_of(command: "Tuple[str, ...]") -> "Optional[Scheduler]":
    """The scheduler of a submission command, None for a handler.

    Two with a program of the same name differ in the output of its --version; where that is not
    here, it is the one that needs no such output.
    """
    words = without_env(command)
    program = os.path.basename(words[0]) if words else ""
    rows = [row for row in SCHEDULERS.values() if row.program == program]
    said = "".join(capture([words[0], "--version"])[1:]) if len(rows) > 1 else ""
    if re.search(r"(?i)torque|^Version: \d", said):
        raise Error("torque", f"{program} belongs to Torque, which HydraFlow does not support",
                    "a handler does: submit: ./submit.sh gets a file with a line per task")
    rows.sort(key=lambda row: not row.version)
    return next((row for row in rows if re.search(row.version, said)), None)


def script_word(words: "Sequence[str]") -> int:
    """The index of the user's own script in a submission command, or 0."""
    return next((index for index, word in enumerate(words) if index and (
        os.path.isfile(word) or re.fullmatch(r"[^-].*\.(sh|sbatch|slurm)", word))), 0)


def outer_environment(scheduler: Scheduler) -> "Dict[bytes, bytes]":
    """The environment without variables of a surrounding job, which would rule the new one."""
    variables = re.compile(scheduler.variables)
    return {name: value for name, value in os.environb.items()
            if not variables.match(os.fsdecode(name))}


def is_passing(answer: Answer) -> bool:
    """Whether a command of a scheduler may succeed soon: it did not end in time, a signal ended it,
    or its message says so."""
    return answer.status == 124 or answer.status < 0 or bool(re.search(PASSING, answer.errors))


def submission_words(scheduler: Scheduler, name: str, script: str, log: str, count: int,
                     throttle: int, ids: "Sequence[str]") -> "List[str]":
    """The words after the user's own that submit a script for count array tasks, throttle of them
    at once (0: any).

    They begin when the array jobs of ids have ended; log is the first part of the path of an array
    task's log.
    """
    values = {
        "name": name, "script": script, "quoted": shlex.quote(script), "count": count,
        "log": log.replace("%", scheduler.percent), "most": throttle,
        "throttle": f"%{throttle}" if throttle else "",
        "ids": scheduler.separator.join(map(job_number, ids))}
    parts = [
        scheduler.options, scheduler.array if count > 1 else scheduler.single,
        scheduler.throttled if throttle else "", scheduler.after if ids else "", scheduler.command]
    return [word.format(**values) for word in " ".join(parts).split()]


def pause(seconds: float) -> "Generator[None, None, None]":
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        yield


def inquire(command: "Sequence[str]", scheduler: Scheduler,
            job_id: str = "") -> "Generator[None, None, Answer]":
    """Execute a short command of a scheduler about an id (12, 12;far on another cluster) or a name.
    """
    number, _, cluster = job_id.partition(";")
    words = [word.replace("{}", number) for word in command]
    if cluster and scheduler.cluster:
        words[1:1] = [scheduler.cluster, cluster]
    return (yield from ask(words, outer_environment(scheduler), PROMPT))


@functools.lru_cache(maxsize=None)
def array_limit(scheduler: Scheduler) -> int:
    """How many array tasks an array job may have; asked once. The limit of Slurm counts from 0."""
    answer = finished(inquire(scheduler.limit, scheduler))
    match = re.search(scheduler.limit_text, answer.out)
    limit = int(match[1]) if match and answer.status == 0 else scheduler.limit_usual
    return max(limit - 1, 1)


def array_name(job: str, ulid: str, number: int, scheduler: Scheduler) -> str:
    """A name that no other array job has, by which it is found where an answer got lost.

    >>> array_name("my job", "01ARZ3NDEKTSV4RRFFQ69G5FZZ", 2, SCHEDULERS["pbs"])
    'my_job.9G5FZZ.2'
    """
    tail = f".{ulid[-6:]}.{number}"
    name = re.sub("^(?![A-Za-z])", "j", re.sub("[^A-Za-z0-9_]", "_", job))
    return name[:max(scheduler.name_length - len(tail), 1)] + tail


def send(words: "Sequence[str]", scheduler: Scheduler, name: str,
         ) -> "Generator[Optional[str], None, str]":
    """Submit an array job, and return its id. Refusal has the scheduler's own message.

    After each try that failed without a refusal, the name is looked for: it may have been accepted.
    """
    env = outer_environment(scheduler)
    for delay in (0.0, *TRIES):
        yield from pause(delay)
        answer = yield from ask(words, env, 120.0)
        match = re.search(scheduler.job_id, answer.out, re.MULTILINE)
        if match:  # whatever the status: with sbatch -W it is that of the job
            return str(match.group(1))
        if answer.status and not is_passing(answer):
            break
        found = yield from find_array(scheduler, name)
        if found:
            return found
        if not answer.status:
            said = " ".join(answer.out.split())[:200] or "nothing"
            raise Refusal("no-job-id",
                          f"{words[0]} accepted the submission, but gave no job id: "
                          f"{said}", f"look for {name} in the queue, and cancel it")
        yield f"{words[0]} does not answer, trying again: {answer.text}"
    is_crowded = re.search(scheduler.crowded, answer.text)
    raise Refusal("too-many-jobs" if is_crowded else "refused",
                  f"{words[0]} refused: {answer.text}",
                  "--wait submits what fits now, and the rest later; "
                  "--pack N puts N tasks into each array task" if is_crowded else "")


def find_array(scheduler: Scheduler, name: str) -> "Generator[None, None, Optional[str]]":
    answer = yield from inquire(scheduler.find, scheduler, name)
    match = re.search(r"^(?:job_number:\s*)?(\d+(?:\[\])?)", answer.out, re.MULTILINE)
    if match:
        return str(match[1])
    return None if answer.status == 127 or is_passing(answer) else ""


class ArrayTask(NamedTuple):
    """An index of an array job, or of the job around this process; scheduler is its name."""
    scheduler: str
    job_id: str
    index: int  # type: ignore[assignment]  # tuple has a method of this name

    @property
    def text(self) -> str:
        """The id as commands take it, with the cluster of its array job.

        >>> ArrayTask("slurm", "12;far", 3).text, ArrayTask("pbs", "7[]", 3).text
        ('12_3;far', '7[3]')
        """
        number = job_number(self.job_id)
        text = number.replace("[]", f"[{self.index}]")  # of PBS; an array of one is a plain job
        if SCHEDULERS[self.scheduler].array_task:
            text = SCHEDULERS[self.scheduler].array_task.format(number, self.index)
        return text + self.job_id[len(number):]


def job_number(job_id: str) -> str:
    """An id without the cluster that alone knows it."""
    return job_id.partition(";")[0]


def cancel_array(scheduler: Scheduler, job_id: str) -> "Generator[None, None, str]":
    for delay in (0.0, *TRIES[:2]):
        yield from pause(delay)
        answer = yield from inquire(scheduler.cancel, scheduler, job_id)
        if not answer.status or re.search(scheduler.forgotten, answer.errors):
            return ""
        if not is_passing(answer):
            break
    return f"{scheduler.cancel[0]}: {answer.text}"


def array_tasks(pattern: str, job_id: str, text: str) -> "Iterator[Tuple[int, Match[str]]]":
    """Yield the index of each array task of an array job that a text is about, and its match."""
    for match in re.finditer(pattern, text):
        ranges = re.findall(r"(\d+)(?:-(\d+)(?::(\d+))?)?", match["indexes"] or "1")
        if match["id"] != re.findall(r"\d+", job_id)[0]:
            continue
        for first, last, step in ranges or [("1", "", "")]:  # no array has no indexes
            for index in range(int(first), int(last or first) + 1, int(step or 1)):
                yield index, match


def query(scheduler: Scheduler, job_id: str
          ) -> "Generator[None, None, Tuple[Dict[int, Queued], str]]":
    """The state of each index of an array job that its queue lists, and an error message, or ""."""
    answer = yield from inquire(scheduler.query, scheduler, job_id)
    found = {}
    for index, match in array_tasks(scheduler.listed, job_id, answer.out):
        word, reason = match["word"], match["reason"].strip()
        text = ", ".join(one for one in (word, reason) if one not in PLAIN)
        # an unknown word means that the array task is there
        kind = PENDING if word in WAITING or re.match("E.*w$", word) else ACTIVE
        found[index] = Queued(ABSENT if word in GONE else kind, word, text)
    is_answer = not answer.status or re.search(scheduler.forgotten, answer.errors)
    return found, "" if is_answer else f"{scheduler.query[0]}: {answer.text}"


def account(scheduler: Scheduler, job_id: str) -> "Generator[None, None, Dict[int, str]]":
    """How array tasks of an array job ended, where the site's accounting knows it."""
    if not scheduler.accounting:
        return {}
    answer = yield from inquire(scheduler.accounting, scheduler, job_id)
    ends = array_tasks(scheduler.ended, job_id, answer.out)
    return {index: match["word"].strip() for index, match in ends}


def job_around() -> "Dict[str, Any]":
    """The scheduler's job that this process is a part of, as the head of an attempt has it."""
    for row in SCHEDULERS.values():
        for name in row.own_ids:
            match = re.match(r"\d+", os.environ.get(name, ""))
            if match:
                index = os.environ.get(row.index, "")
                return {"scheduler": row.name, "job_id": match.group(),
                        "index": int(index) if index.isdecimal() else 1}
    return {"scheduler": "", "job_id": "", "index": 0}


# ---------------------------------------------------------------------------
# 11. Runs: Plan -> Event, Event, ...
# ---------------------------------------------------------------------------
# Survey is a record with its attempts, queues and states; Run is a start of a run: its record, and
# which tasks are done, alive or to be executed. Stage executes steps at a place: HereStage,
# SlotStage (an array index), HandlerStage, ArrayStage. drive is the one loop. Execution orders
# stages, cancel_record stops a run.
#
# The pass: a stage is a generator that follows tasks that live elsewhere, looks at those that live
# here, begins tasks where others have ended, yields events, and yields None when it has to wait.
# drive continues it, sleeps until a child ends, a signal comes or a moment has passed, and passes
# signals on.

MOST_SUBMISSIONS = 3  # of a task in one start
MOST_CHANGES = 1 << 20  # characters of differences from a commit that are kept
MOST_PLANNED = 10000  # tasks of a run that are all in the plan before the first one begins
LONGEST_LOOK = 15.0  # seconds between two questions to a queue
NOT_SUBMITTED = (NO_SUBMISSION, 0)
MISSED = Queued("", "missing")  # in one look, which is none


class Survey:
    """A record, brought up to date by look.

    last is the last submission of each task, and its index there; queues are answers about array
    tasks, unanswered is the message of a scheduler that does not answer; holder is the HydraFlow
    that executes the run; members are the tasks of the last start in its order, with their states.
    """

    def __init__(self, record: Record, ledger: "Optional[Ledger]" = None) -> None:
        self.record = record
        self.plan = ledger
        self.attempts: Dict[int, List[Attempt]] = {}
        self.states: Dict[int, State] = {}
        self.queues: Dict[ArrayTask, Queued] = {}
        self.members: List[Tuple[int, State]] = []
        self.unanswered = ""
        self.holder = Lock(record.path).look()[1]
        self.submissions: List[Submission] = []
        self.last: Dict[int, Tuple[Submission, int]] = {}
        self.unfound = set()
        for number in record.submission_numbers():
            one = read_submission(record, number)
            if one.scheduler in SCHEDULERS and not one.job_id:  # HydraFlow was killed before that
                found = finished(find_array(SCHEDULERS[one.scheduler], one.name))
                if found is None:  # its tasks may be there
                    self.unfound.add(number)
                    self.unanswered = f"{one.scheduler} does not answer"
                one = one._replace(job_id=found or "")
            self.add(one)

    def add(self, one: Submission) -> None:
        self.submissions.append(one)
        for index, slot in enumerate(one.slots, 1):
            self.last.update(dict.fromkeys(slot, (one, index)))

    @property
    def ledger(self) -> Ledger:
        self.plan = self.plan or Ledger(self.record)
        return self.plan

    def state(self, number: int) -> State:
        """The state of a task; one that has not started may wait for HydraFlow."""
        state = self.states.get(number, NOT_STARTED)
        is_waiting = state.name == "not started" and self.holder
        return state._replace(name="waiting") if is_waiting else state

    def counts(self) -> "Dict[str, int]":
        found = Counter(state.name for _, state in self.members)
        rest = self.ledger.start.count - len(self.members)
        found["waiting" if self.holder else "not started"] += max(rest, 0)
        return {name: found[name] for name in STATES}

    def read(self, numbers: "Optional[Iterable[int]]" = None) -> None:
        """Read the attempts that may have changed, of some tasks or of all."""
        found = attempt_counts(self.record)
        for number in {*found, *self.last} if numbers is None else numbers:
            earlier = self.attempts.setdefault(number, [])
            for place in range(found[number]):
                if place == len(earlier) or not earlier[place].has_ended:
                    path = self.record.file("attempt", number, place + 1)
                    earlier[place:place + 1] = [read_attempt(path, number, place + 1)]
            self.update(number)

    def update(self, number: int) -> None:
        attempts, last = self.attempts[number], self.last_attempt(number)
        submission, _ = self.last.get(number, NOT_SUBMITTED)
        held = None
        if attempts and not last.is_over:
            held = is_held(last)
            attempts[-1] = last.again()  # it may end meanwhile
        since = submission.start, submission.number
        state = state_of(attempts, held, self.queued(number), since, submission.limits[1])
        if submission.scheduler == BARE and state.name != "succeeded":
            status = self.handler(submission).status
            ended = f", which ended with exit status {status}" if status > 0 else ""
            state = NOT_STARTED._replace(name="handed", cause=f"to {submission.name}{ended}")
        elif state.name == "not started" and any(
                one.is_over and not one.is_good for one in states_before(submission, self)):
            state = state._replace(name="skipped", cause="a step before it did not succeed")
        elif state.name == "interrupted" and not last.is_over:
            with contextlib.suppress(OSError):  # of another user's record
                write_verdict(last.path, state.cause)  # which a scheduler forgets in minutes
        self.states[number] = state

    def last_attempt(self, number: int) -> Attempt:
        return (self.attempts.get(number) or [NO_ATTEMPT])[-1]

    def handler(self, submission: Submission) -> Attempt:
        return read_attempt(self.record.file("handler", submission.number))

    def key(self, number: int) -> "Optional[ArrayTask]":
        """The array task that has a task, or had its last attempt, also around this HydraFlow."""
        one = self.last_attempt(number)
        submission, index = self.last.get(number, NOT_SUBMITTED)
        owner = one if one.start > submission.start else submission
        if owner is one or one.submission == submission.number:
            index = one.index  # of a pack, another array task may have it
        key = ArrayTask(owner.scheduler, owner.job_id, index)
        return key if key.scheduler in SCHEDULERS and key.job_id else None

    def array_task(self, number: int) -> "Optional[ArrayTask]":
        """The array task of ours that has a task, or had it last."""
        return self.key(number) if number in self.last else None

    def queued(self, number: int) -> Queued:
        """The last answer of a queue about a task, or whether its handler may still begin it."""
        key = self.key(number)
        if key:
            return self.queues.get(key, UNKNOWN)
        submission, _ = self.last.get(number, NOT_SUBMITTED)
        if submission is NO_SUBMISSION or submission.number in self.unfound:
            return UNKNOWN
        one = self.handler(submission)
        is_alive = one.role and not one.has_ended and is_held(one) is not False
        return Queued(ACTIVE if is_alive else ABSENT, "", "at the handler")

    def look(self, numbers: "Optional[Iterable[int]]" = None,
             asks: bool = True) -> "Generator[None, None, None]":
        self.read(numbers)
        wanted = list(self.states if numbers is None else numbers)
        keys = {self.key(number) for number in wanted if not self.states[number].is_over}
        if asks and keys - {None}:
            self.unanswered = ""
            ordered = sorted(filter(None, keys))
            for _, own in itertools.groupby(ordered, lambda key: key[:2]):  # of an array job
                yield from self.ask_queue(list(own))
            self.read(wanted)

    def ask_queue(self, keys: "Sequence[ArrayTask]") -> "Generator[None, None, None]":
        """Ask the queue about array tasks of an array job, and the accounting about those that were
        missing twice."""
        scheduler, job_id = SCHEDULERS[keys[0].scheduler], keys[0].job_id
        found, failure = yield from query(scheduler, job_id)
        self.unanswered = failure or self.unanswered
        gone = []
        for key in keys:
            before = self.queues.get(key, UNKNOWN)
            queued = found.get(key.index, before if failure else OVER)
            if queued.kind == before.kind == ABSENT:
                continue
            is_gone = queued.kind == ABSENT and before == MISSED
            self.queues[key] = queued if is_gone or queued.kind != ABSENT else MISSED
            if is_gone and not meaning(queued.word):
                gone.append(key)
        ends = (yield from account(scheduler, job_id)) if gone else {}
        for key in gone:
            word = self.end_word(key, ends.get(key.index, ""))
            self.queues[key] = OVER._replace(word=word)

    def end_word(self, key: ArrayTask, word: str) -> str:
        """A word of the accounting, or the last line that a scheduler wrote for an array task."""
        if meaning(word):
            return word
        data = b""
        for one in self.submissions:
            if one.job_id == key.job_id:
                data = read_bytes(self.record.file("output", one.number, key.index))
        lines = data[-4096:].decode("utf-8", "replace").strip().split("\n")
        return lines[-1].strip()[:200] or word


def states_before(submission: Submission, found: "Optional[Survey]" = None) -> "Iterator[State]":
    """Yield the states of the tasks that a submission depends on; found is of its own record."""
    for path, number in submission.after:
        before = found
        if before is None or path != before.record.path:
            before = Survey(Record(path))
            before.read()
        for one in before.submissions:
            if one.number == number:
                yield from map(before.state, one.numbers())


def survey(record: Record, numbers: "Optional[Sequence[int]]" = None,
           ledger: "Optional[Ledger]" = None) -> Survey:
    """A record at this moment, or some of its tasks; ledger is its plan, if that is read."""
    found = Survey(record, ledger)
    finished(found.look(numbers))
    if found.unanswered or MISSED in found.queues.values():
        finished(found.look(numbers))
    found.members = [(number, found.state(number)) for number in found.ledger.members]
    return found


# -- a start of a run


class Options(NamedTuple):
    """The options about a run; 0, or -1 retries, for none; timeout in minutes; jobs may be AUTO."""
    jobs: int = 0
    keep_going: bool = False
    resume: bool = False
    reuse: bool = False
    wait: bool = False
    retries: int = -1
    timeout: float = 0.0
    pack: int = 0
    pack_parallel: int = 0
    note: str = ""
    words: "Sequence[str]" = ()
    dry_run: bool = False


def processors() -> int:
    """How many processors this process may use, by its affinity, the allocation around it, and the
    quota of its cgroup."""
    counts = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    for name in ("SLURM_CPUS_ON_NODE", "NSLOTS", "PBS_NCPUS", "LSB_DJOB_NUMPROC"):
        counts += map(int, re.findall("^[1-9][0-9]*$", os.environ.get(name, "")))
    for quota in re.findall(rb"^(\d+) (\d+)", read_system("/sys/fs/cgroup/cpu.max")):
        counts.append(max(int(quota[0]) // int(quota[1]), 1))
    return min(counts)


def older_successes(records: "Sequence[Record]") -> "Dict[Tuple[str, ...], List[State]]":
    """The states of tasks that have succeeded in records, with origins, by keys; newest last."""
    older: Dict[Tuple[str, ...], List[State]] = {}
    for record in records:
        try:
            found, keys = Survey(record), Ledger(record).keys()
            found.read()
        except Error:  # of another format
            continue
        for key, numbers in keys.items():
            states = [found.state(number)._replace(origin=f"{record.ulid}/{number}")
                      for number in numbers if not found.state(number).origin]
            good = [state for state in states if state.name == "succeeded"]
            older[key] = good + older.get(key, [])[len(good):]
    return older


class Run:
    """A start of a run: its record, and the ends of its tasks since then.

    numbers are those of tasks in the record by their keys, older are successes of older runs by
    their keys; last is the number of the last task; counts are ends of tasks in this start; refused
    is whether a submission was refused; stops are pairs (path of a record, number of a start) whose
    stop holds for this run.
    """

    found: Survey
    last = 0
    number = 1
    is_open = False
    is_new = True
    refused = False
    needed: "Sequence[Run]" = ()

    def __init__(self, plan: Plan, options: Options) -> None:
        self.plan = plan
        self.job = job = plan.job
        self.options = options
        self.record = Record(f"{Record.directory(job.key)}/{ulid_text(plan.ulid)}")
        self.lock = Lock(self.record.path)
        self.throttle = max(options.jobs or job.max_parallel, 0)  # of array tasks; 0: any
        self.must_succeed = job.fail_fast is not False and not options.keep_going
        jobs = options.jobs or job.max_parallel or 1
        self.limits = Limits(
            jobs=processors() if jobs == AUTO else jobs,
            retries=job.retries if options.retries < 0 else options.retries,
            timeout=60 * (options.timeout or job.timeout_minutes),
            fail_fast=job.fail_fast is True and not options.keep_going)
        self.numbers: Dict[Tuple[str, ...], List[int]] = {}
        self.older: Dict[Tuple[str, ...], List[State]] = {}
        self.counts = dict.fromkeys([*STATES, "earlier"], 0)
        self.notes: List[str] = []
        self.stops: List[List[Any]] = []
        self.stages = stages_of(self)

    @property
    def begun(self) -> bool:
        return bool(attempt_counts(self.record) or self.record.submission_numbers())

    def open(self) -> "Set[int]":
        return set(chain.from_iterable(stage.alive for stage in self.stages))

    def unfinished(self) -> int:
        return max(self.plan.count - sum(self.counts.values()) - len(self.open()), 0)

    def has_failed(self) -> bool:
        return self.refused or any(self.counts[name] for name, row in STATES.items()
                                   if row.is_over and not row.is_good)

    def may_follow(self) -> bool:
        is_bad = self.has_failed() or any(stage.left or stage.is_stopped for stage in self.stages)
        return not (is_stopped(self.stops) or self.refused or (is_bad and self.must_succeed))

    def has_succeeded(self) -> bool:
        return self.is_open and not self.has_failed() and not self.unfinished()

    def order(self, runs: "Sequence[Run]", waits: bool) -> None:
        self.needed = [run for run in runs if run.job.key in dict(self.job.needs)]
        before = list(chain.from_iterable(run.stages for run in self.needed))
        is_dry = self.options.dry_run
        for stage in self.stages:
            stage.waits = stage.waits or waits
            stage.before = list(before)
            before.append(stage)
            for step in stage.steps:
                stage.check(step)
                if step.submit and not is_dry:
                    check_executable(submission_program(step), ".", os.environ, step.submit_mark)
                if step.command:
                    check_first_task(step, is_dry)

    def plan_rest(self) -> None:
        """Let the plan have the tasks of stages that have not begun, too."""
        if self.is_open and self.plan.count <= MOST_PLANNED:
            list(chain.from_iterable(
                stage.todo() for stage in self.stages if not stage.has_begun))

    # -- its beginning

    def take_record(self, is_resume: bool) -> str:
        """Choose the record, and take its lock; return its holder if another HydraFlow has it."""
        guard = Lock(Record.directory(self.job.key))
        holder = "" if self.options.dry_run else guard.take(30.0)
        try:
            return holder or self.choose_record(is_resume)
        finally:
            guard.release()

    def choose_record(self, is_resume: bool) -> str:
        records = Record.all(self.job.key)
        self.is_new = not (records and is_resume)
        if not self.is_new:
            self.record = records.pop()
        elif records:
            self.look_at_last(records[-1])
        if not self.options.dry_run:
            if self.is_new:
                self.record.make()
            self.lock = Lock(self.record.path)
            holder = self.lock.take()
            if holder:
                return holder
        self.found = Survey(self.record) if self.is_new else survey(self.record)
        self.submissions = itertools.count(max(self.record.submission_numbers(), default=0) + 1)
        if not self.is_new:
            self.continue_record()
        if self.options.reuse:
            self.older = older_successes(records)
        elif not self.is_new:
            self.note_reusable(older_successes(records))
        self.write_start()
        return ""

    def look_at_last(self, record: Record) -> None:
        """Refuse to begin tasks that are alive in the last run; note that it is unfinished."""
        try:
            last = survey(record)
        except Error as error:
            self.notes.append(error.message)
            return
        when = time.strftime("%H:%M", time.localtime(last.ledger.start.time))
        alive = {number for number, state in last.members
                 if state.is_alive or state.name == "waiting"}
        keys = last.ledger.keys() if alive else {}
        if alive and any(not alive.isdisjoint(keys.get(key, ())) for key in self.keys()):
            message = f"tasks of job {self.job.key} are running or queued since {when}"
            raise Error("already-running", message,
                        "--resume continues it, "
                        "hydraflow cancel stops it; or run other parameters")
        good = sum(state.is_good for _, state in last.members)
        count = last.ledger.start.count
        if good < count and not alive:
            self.notes.append(f"the last run ({when}) is unfinished: {good} of "
                              f"{counted(count, 'task')} succeeded; --resume continues it")

    def keys(self) -> "Iterator[Tuple[str, ...]]":
        for step in self.plan.steps:
            for task in step.tasks():
                yield task.key

    def continue_record(self) -> None:
        found = self.found
        self.numbers = found.ledger.keys()
        self.last = max(found.ledger.spans, default=0)
        self.number = found.ledger.start.number + 1
        if self.options.resume and self.numbers and not any(map(self.numbers.get, self.keys())):
            self.lock.release()
            words = found.ledger.starts[0].words
            raise Error("another-run",
                        f"no task of this sweep belongs to the last run of {self.job.key}",
                        f"begun with: hydraflow run {shell_text(words or [self.job.key])}")

    def note_reusable(self, older: "Mapping[Tuple[str, ...], Sequence[State]]") -> None:
        """Note how many of the tasks to execute have succeeded in an older run."""
        count = 0
        for key in self.keys():
            states = [self.found.state(number) for number in self.numbers.get(key, ())]
            is_done = any(state.is_good or state.is_alive for state in states)
            count += bool(older.get(key)) and not is_done
        if count:
            self.notes.append(
                f"{counted(count, 'task')} succeeded in an older run; --reuse counts them as done")

    def write_start(self) -> None:
        self.is_open = True
        if self.options.dry_run:
            return
        import hashlib  # 3 ms, which a dry run need not wait for
        before = [] if self.is_new else self.found.ledger.starts
        commit = capture(["git", "rev-parse", "--verify", "-q", "HEAD"]).out.strip()
        command = ["git", "--no-optional-locks", "diff", "--binary", "HEAD"]
        changes = capture(command).out
        digest = hashlib.sha1(native_bytes(changes)).hexdigest()[:4] if changes else ""
        start = Start(
            number=self.number, job=self.job.key, count=self.plan.count, time=time.time(),
            host=host_name(), version=__version__, words=list(self.options.words),
            note=self.options.note, commit=commit, changes=digest, format=FORMAT)
        if commit and before and before[0].code != start.code:
            self.notes.append(f"the run of {self.job.key} began with other code: "
                              f"{before[0].code or 'no commit'}, now {start.code}")
        with trying("write the plan"):
            write_file(self.record.file("plan"), plan_line("start", start), "ab")
        if len(changes) > MOST_CHANGES:
            self.notes.append("the differences from the commit are not kept: over 1 MB")
        elif changes and digest not in [one.changes for one in before]:
            write_file(self.record.file("changes", self.number), native_bytes(changes))
        self.stops.append([self.record.path, self.number])

    # -- its tasks

    def assigned(self, step: PlannedStep) -> "Iterator[Tuple[Task, State]]":
        """Yield the tasks of a step, once they are in the plan, and their states."""
        path = os.devnull if self.options.dry_run else self.record.file("plan")
        with open(path, "ab", 0, opener=open_safely) as file:
            for draft in step.tasks():
                numbers = self.numbers.get(draft.key)
                if numbers:
                    number = numbers.pop(0)
                    directory = self.found.ledger.task(number).directory
                else:
                    number = self.last = self.last + 1
                    directory = self.plan.directory(number)
                task = numbered(draft, number, directory)
                planned = task._replace(cwd=os.path.abspath(task.cwd))
                write_all(file.fileno(), plan_line("task", planned))
                state = self.found.states.get(number, NOT_STARTED)
                older = self.older.get(task.key)
                if older and not (state.is_alive or state.is_good):
                    state = self.reused(number, state.attempts, older.pop(0))
                yield task, state

    def reused(self, number: int, attempts: int, older: State) -> State:
        """Note an older success that counts for a task, and return that."""
        if not self.options.dry_run:
            head = new_head(self.number, REUSED, origin=older.origin, time=older.started, up=0)
            descriptor = claim(self.record.file("attempt", number, attempts + 1), head)
            write_end(descriptor, status=0, began=0, ended=max(older.ended - older.started, 0))
            os.close(descriptor)
        return older


# -- checks before a start


def task_text(task: Task) -> str:
    """A command line for a shell, which fills in variables that are kept by name."""
    task = replaced(task, SLOT, "0")
    text = shell_text(task.argv)
    if task.env:
        words = [f"{name}={value}" if value is not None else f"--unset={name}"
                 for name, value in sorted(task.env.items(), key=lambda pair: pair[1] is not None)]
        env = re.sub(r"\$\{\{ env\.(\w+) \}\}", "'\"${\\1}\"'", shell_text(words))
        text = f"env {env} {text}"
    if os.path.abspath(task.cwd) == os.getcwd():
        return text
    return f"(cd {shlex.quote(task.cwd)} && {text})"


def check_executable(name: str, cwd: str, env: "Mapping[str, Any]", mark: Mark) -> None:
    if not find_program(name, cwd, env):
        raise Error("no-program", f"there is no program {name}",
                    "a program of PATH, or the path of one (./sim) that is executable (chmod +x); "
                    "env NAME=VALUE before it sets a variable; setup: takes lines of shell", mark)


def first_task(step: PlannedStep) -> "Optional[Task]":
    for task in step.tasks():
        return numbered(task, 1, "multirun/1")
    return None


def check_first_task(step: PlannedStep, is_dry: bool) -> None:
    """Raise an Error unless the first task of a step has its directory and (not is_dry) program."""
    task = first_task(step)
    if task is None:
        return
    is_made = SLOT in task.cwd or task.directory in task.cwd
    if not is_made and not os.path.isdir(native(task.cwd)):
        mark = step.job.working_directory.whole() if step.job.working_directory else NOWHERE
        raise Error("no-directory", f"there is no directory {task.cwd}",
                    f"make it first; it is relative to {os.getcwd()}", mark)
    if not (step.given.setup or is_dry):
        check_executable(task.argv[0], task.cwd, task.env, step.mark)


def submission_program(step: PlannedStep) -> str:
    return (without_env(step.submit) or step.submit)[0]


FILE_READERS = {  # handlers that read no file but one that these options name, as the last word
    "parallel": (("-a", "--arg-file", "::::"), "submit: parallel -a"),
    "xargs": ((), "submit: sh -c 'tr \"\\n\" \"\\0\" < \"$0\" | xargs -0 -n 1 -P 2 sh -c'"),
}


# -- the pass


class Stage(Local):
    """Steps of a run that a place executes together.

    alive are tasks that live elsewhere or since an earlier start, elsewhere of them run; most is
    how often a task may be submitted, sent are submissions; before are stages that have to be over
    first; waits tells whether the stage lasts until alive is empty; done counts tasks that were
    done before; left tells that it gave up tasks; look_at and ask_at are when the record is read
    and queues are asked next, kill_at is when those that live here are killed.
    """

    role = ARRAY
    most = MOST_SUBMISSIONS
    scheduler: "Optional[Scheduler]" = None
    found: Survey
    waits = True
    has_begun = False
    done = 0
    left = False
    elsewhere = 0
    look_at = ask_at = 0.0
    kill_at = NEVER
    ask_delay = 0.5
    beside = 1  # tasks of an index that are executed at once

    def __init__(self, run: Run, steps: "Sequence[PlannedStep]") -> None:
        super().__init__()
        self.run = run
        self.steps = list(steps)
        self.alive: Dict[int, Task] = {}
        self.before: List[Stage] = []
        self.sent: List[Submission] = []

    def check(self, step: PlannedStep) -> None:
        pass  # no mistakes besides those of every place

    def describe(self) -> "Iterator[str]":
        """Yield the lines of a dry run: one for each task, all else as comments."""
        return map(task_text, self.todo())

    def todo(self) -> "Iterator[Task]":
        """Yield the tasks that are to be executed; collect those that live, count those done."""
        for step in self.steps:
            for task, state in self.run.assigned(step):
                if state.is_alive:
                    self.alive[task.number] = task
                elif state.is_good and state.name != "handed":
                    self.done += 1
                else:
                    yield task

    def begin(self, todo: "Iterator[Task]") -> "Generator[Union[Event, str, None], None, bool]":
        """Begin tasks up to the limit; return whether further ones may begin later."""
        raise NotImplementedError

    def work(self) -> "Iterator[Union[Event, str, None]]":
        """Execute the tasks: yield events, and None where nothing happens for now."""
        run, todo = self.run, self.todo()
        while not (run.is_open or self.is_stopped):
            holder = run.take_record(True)
            if holder:
                yield f"waiting for job {run.job.key}: {holder} executes it"
                yield from pause(0.5)
        if not run.is_open:
            return
        yield from run.notes
        head = {**job_around(), "start": run.number, "role": self.role, "submission": 0}
        self.prepare(run.record, run.limits, head, run.stops, run.job.key)
        self.found = run.found
        if run.plan.count <= MOST_PLANNED or not run.is_new:  # first find those that live
            todo = iter(list(todo))
        yield from self.passes(todo)

    def passes(self, todo: "Iterator[Task]") -> "Iterator[Union[Event, str, None]]":
        while True:
            yield from self.follow()
            yield from self.look()
            yield Event("tick", "", self.elsewhere)
            has_more = yield from self.begin(todo)
            yield Event("done", "", self.done)
            self.done = 0
            is_alive = self.living_here() if self.is_stopped else (
                has_more or (self.waits and self.alive))
            if not (is_alive or self.running):
                break
            yield None
        if self.failure:
            yield Event("error", self.failure)

    def follow(self) -> "Iterator[Union[Event, str, None]]":
        """Look at alive, if it is time; those that are over leave it."""
        now = time.monotonic()
        if not (self.waits and self.alive) or now < self.look_at:
            return
        found, asks = self.found, now >= self.ask_at
        yield from found.look(self.alive, asks)
        now = time.monotonic()
        if asks:
            self.ask_at = now + self.ask_delay
            self.ask_delay = min(self.ask_delay * 1.3, LONGEST_LOOK)
        self.look_at = now + min(self.ask_delay / 10, 1.0)
        for number in sorted(self.alive):
            yield from self.follow_task(number, found.states[number])
        if found.unanswered:
            yield f"the scheduler does not answer, asking again: {found.unanswered}"
        names = [found.states[number].name for number in self.alive]
        self.elsewhere = names.count("running")
        if now > self.kill_at:
            self.kill()

    def follow_task(self, number: int, state: State) -> "Iterator[Union[Event, str]]":
        queued = self.found.queued(number)
        if queued.kind == PENDING and re.search(STUCK, queued.reason):
            yield f"tasks do not start: {queued.reason}"
        if state.is_alive:
            one = self.found.last_attempt(number)
            if one.role == HERE and not one.job_id and one.boot != boot_id():
                yield (f"tasks may be running on {one.host}; "
                       "hydraflow cancel --lost gives up tasks of a machine that is gone")
            return
        task = self.alive.pop(number)
        if self.may_begin_again(number, state):
            self.waiting.append(task)
        elif state.is_over:
            yield Event("end", self.key, 0, task, state, self.record.file("log", number))

    def may_begin_again(self, number: int, state: State) -> bool:
        """Whether to begin a task again that the site lost, or that was interrupted or not started
        since an earlier start."""
        is_of_site = state.cause.partition(" (")[0] in LIMITS_OF_SITE
        is_lost = state.name == "interrupted" and (is_of_site or not self.times[number])
        return (is_lost or state.name == "not started") and not (
            self.times[number] >= self.most or self.must_stop())

    def prepared(self, slots: "List[List[int]]") -> Submission:
        run = self.run
        return Submission(
            number=next(run.submissions), start=run.number, step=self.steps[0].number,
            limits=list(run.limits._replace(jobs=self.beside)), stops=run.stops, slots=slots)

    def living_here(self) -> "List[Attempt]":
        last = [self.found.last_attempt(number) for number in self.alive]
        return [one for one in last if one.boot == boot_id() and one.role != ARRAY]

    def stop(self, number: int) -> str:
        self.is_stopped = True
        self.kill_at = time.monotonic() + grace()
        self.waiting = []
        here = self.living_here()
        for one in here:
            one.signal(number)
        for process in self.running:
            process.stop(number, self.patience)
        count = max(len(here), len(self.running))
        again = "; press Ctrl-C again to kill" if self.patience < NEVER else ""
        if count:
            return f"stopping {counted(count, 'task')}{again}"
        return "the tasks go on" if self.alive else ""

    def kill(self) -> None:
        for one in self.living_here():
            one.signal(signal.SIGKILL)
        for process in self.running if self.patience < NEVER else ():
            process.signal(signal.SIGKILL)


def drive(stages: "Iterable[Stage]") -> "Iterator[Event]":
    """Execute stages, one after the other: the one loop of HydraFlow.

    After a signal, no further one is taken from stages. A text is a note for people, once.
    """
    noted = set()
    with Signals() as signals:
        is_interrupted = False
        for stage in stages:
            for item in stage.work():
                if item is None:
                    signals.wait(TICK)
                elif not isinstance(item, str):
                    yield item
                elif item not in noted:
                    noted.add(item)
                    yield Event("note", item)
                while signals.numbers:
                    event = signal_stage(stage, signals.numbers.pop(0), is_interrupted)
                    is_interrupted |= event.kind == "interrupt"
                    yield event
            if is_interrupted or signals.numbers:
                return


def signal_stage(stage: Stage, number: int, is_second: bool) -> Event:
    name = signal_name(number)
    if number in Signals.PASSED_ON:
        for process in stage.running:
            process.signal(number)
        return Event("note", f"passed {name} on to the tasks")
    if is_second:
        stage.kill()
        return Event("note", "killing the tasks")
    return Event("interrupt", ": ".join(filter(None, [name, stage.stop(number)])), number)


class HereStage(Stage):
    """Steps that this machine executes."""

    role = HERE

    def begin(self, todo: "Iterator[Task]") -> "Generator[Union[Event, str, None], None, bool]":
        while len(self.running) + len(self.living_here()) < self.limits.jobs and (
                not self.is_stopped):
            task = self.waiting.pop() if self.waiting else next(todo, None)
            if task is None:
                return False
            yield self.start(task)
        return not self.is_stopped


# -- an array task, or a line of a handler

# The record's copy of this file is imported, so that its byte code is used: compiling takes longer
# than many a task. -S and -E: a site's .pth files and PYTHON* variables are of no use to it.
ISOLATED = ("-S", "-E")
ARRAY_TASK = (
    'import sys; sys.version_info < (3, 6) and sys.exit("hydraflow: " + sys.executable + '
    '" is no Python 3.6 or later; python: in the job names another"); '
    "sys.path[0] = sys.argv[1]; import hydraflow; "
    'sys.exit(hydraflow.main(["slot"] + sys.argv[1:]))')


def slot_script(record: Record, number: int, python: "Sequence[str]", index: str) -> str:
    """The script of a submission, without parameters; index is in the words of sh."""
    words = [*python, *ISOLATED, "-c", ARRAY_TASK, record.path, str(number)]
    path = shlex.quote(os.environ.get("PATH", ""))
    return (
        "#!/bin/sh\n"
        "# HydraFlow executes here the tasks of one array index; the record has the plan.\n"
        f"PATH={path}:$PATH\n"
        f"exec {shell_text(words)} {index}\n")


def write_script(record: Record, number: int, python: "Sequence[str]", index: str) -> None:
    """Keep in a record the script of an array index and, once, this program with its byte code."""
    program = record.file("program")
    if not os.path.exists(program):
        with open(__file__, "rb") as source:
            write_file(program, source.read())
        capture([*python, *ISOLATED, "-m", "py_compile", program], PATIENT)
    script = slot_script(record, number, python, index)
    write_file(record.file("script", number), native_bytes(script))


class SlotStage(HereStage):
    """The tasks of an array index, then, where indexes are packs, those that nobody has begun."""

    def __init__(self, record: Record, submission: Submission, index: int) -> None:
        super().__init__(None, [])  # type: ignore[arg-type]
        self.record = record
        self.submission = submission
        self.index = index

    def work(self) -> "Iterator[Union[Event, str, None]]":
        submission = self.submission
        if any(state.name != "succeeded" for state in states_before(submission)):
            yield Event("error", "a step before this one has not succeeded")
            return
        role = ARRAY if submission.scheduler in SCHEDULERS else LINE
        head = {**job_around(), "start": submission.start, "submission": submission.number,
                "role": role, "index": self.index}
        self.prepare(self.record, Limits(*submission.limits), head, submission.stops, "")
        yield from self.passes(map(Ledger(self.record).task, self.numbers()))
        remove_if_empty(self.record.file("output", submission.number, self.index))

    def numbers(self) -> "Iterator[int]":
        """Yield the tasks: those of the index, then, from their ends, those of others."""
        slots, own = self.submission.slots, self.index - 1
        for number in slots[own]:
            if self.last_attempt(number).is_by_signal:
                yield number
        others = slots[own + 1:] + slots[:own] if max(map(len, slots)) > 1 else []
        for number in chain.from_iterable(itertools.zip_longest(*map(reversed, others))):
            if number and self.last_attempt(number) is NO_ATTEMPT:
                yield number

    def last_attempt(self, number: int) -> Attempt:
        """The last attempt of a task since it was submitted; NO_ATTEMPT if there is none."""
        since = self.submission.start, self.submission.number
        last = NO_ATTEMPT
        for attempt in itertools.count(1):
            one = read_attempt(self.record.file("attempt", number, attempt), number, attempt)
            if not one.role:
                break
            last = one
        return last if (last.start, last.submission) >= since else NO_ATTEMPT


# -- handlers


class HandlerStage(Stage):
    """Steps for a command of the user's that gets a file with one line for each task.

    With a command, a line executes one task and records it. Without (is_bare), the lines are the
    parameters alone, of all steps together, and the end of the tasks is not seen.
    """

    role = HANDLER
    most = 0
    submission = NO_SUBMISSION

    @property
    def is_bare(self) -> bool:
        return not self.steps[0].command

    def check(self, step: PlannedStep) -> None:
        name = os.path.basename(submission_program(step))
        options, form = FILE_READERS.get(name, (step.submit[-1:], ""))
        if step.submit[-1] not in options:
            raise Error("not-read", f"{name} would not read the file that is its last argument",
                        f"for example {form}", step.submit_mark)
        # the rest of a value with a line break would be a command of its own
        tasks = islice(step.tasks(), 1000 if self.run.options.dry_run else None)
        if any(re.search("[\r\n]", shell_text(task.argv)) for task in tasks):
            message = "a handler gets one line for each task, and a value has a line break"
            raise Error("line-break", message, "without submit:, or with a scheduler, it works",
                        step.mark)

    def describe(self) -> "Iterator[str]":
        lines = (shell_text(task.argv) if self.is_bare else task_text(task) for task in self.todo())
        for first in islice(lines, 1):
            path = os.path.relpath(self.run.record.file("lines", next(self.run.submissions)))
            yield (f"# {shell_text([*self.steps[0].submit, path])} gets a line for each of these "
                   "tasks:")
            yield first
        yield from lines

    def begin(self, todo: "Iterator[Task]") -> "Generator[Union[Event, str, None], None, bool]":
        run = self.run
        if self.submission is NO_SUBMISSION:
            tasks = list(todo)
            if not tasks or self.must_stop():
                return False
            self.hand_over(tasks)
        if self.running:
            return True
        self.look_at = 0.0
        yield from self.follow()
        self.waits = False
        name = self.steps[0].submit[0]
        states = [self.found.states[number].name for number in self.submission.numbers()]
        rest = states.count("not started")
        self.left = rest > 0
        for count, text in ((rest, "did not start"), (len(self.alive), "may be running")):
            if count:
                yield f"{name} has ended, and {counted(count, 'task')} {text}"
        end = self.found.handler(self.submission)
        if end.status != 0:
            run.refused = not run.has_failed()  # else it may say no more than that tasks have
            status = end.detail or f"ended with exit status {end.status}"
            yield Event("error", f"{name} {status}")
        return False

    def hand_over(self, tasks: "Sequence[Task]") -> None:
        run, record, step = self.run, self.record, self.steps[0]
        name = re.sub(r"[^\w.-]", "_", submission_program(step)).strip("._-")
        self.submission = submission = self.prepared([[task.number] for task in tasks])._replace(
            scheduler=BARE if self.is_bare else HANDLER, name=name)
        number = submission.number
        note_submission(record, submission)
        lines = [f"{shell_text(task.argv)}\n" for task in tasks]
        if not self.is_bare:
            write_script(record, number, python_of(run.job), '"$1" status')
            script = shlex.quote(record.file("script", number))
            lines = [f"sh {script} {index} -- {line}" for index, line in enumerate(lines, 1)]
        write_file(record.file("lines", number), native_bytes("".join(lines)))
        self.alive.update((task.number, task) for task in tasks)
        self.found.add(submission)
        self.limits = Limits(1, 0, 0.0, False)
        self.head["submission"] = number
        words = (*step.submit, record.file("lines", number))
        self.start(NO_TASK._replace(number=number, argv=words, cwd="."))


# -- array jobs


class ArrayStage(Stage):
    """Steps that become array jobs of a scheduler.

    pack is how many tasks an array task takes, beside how many of them at once; had is how many
    tasks are known to fit below a limit of submitted jobs, -1 where none was met.
    """

    had = -1
    waits = False
    scheduler: Scheduler

    def __init__(self, run: Run, steps: "Sequence[PlannedStep]", scheduler: Scheduler) -> None:
        super().__init__(run, steps)
        self.scheduler = scheduler
        self.index = f'"${{{scheduler.index}:-1}}"'  # 1 for an array of one that is a plain job
        self.beside = run.options.pack_parallel or steps[0].given.pack_parallel or 1
        self.pack = max(run.options.pack or steps[0].given.pack or 1, self.beside)

    def check(self, step: PlannedStep) -> None:
        words = step.submit
        script = script_word(words)
        errors = []
        waits = bool(step.job.needs) or len(step.job.steps) > 1
        for word in words:
            for hint, pattern in self.scheduler.ours:
                if re.fullmatch(pattern, word) and (waits or hint != OURS_AFTER):
                    errors.append(Error("own-option", f"HydraFlow sets {word} itself: remove it",
                                        hint, step.submit_mark))
        raise_all(errors)
        if script:
            message = f"{words[0]} would execute {words[script]}, and not the command of this job"
            raise Error("script-and-command", message,
                        "leave it out: setup: has the lines that prepare a task", step.submit_mark)
        if not step.command:
            raise Error("no-command", f"{words[0]} has nothing to execute",
                        "write the command of the tasks into run:", step.submit_mark)

    def arrays_before(self) -> "List[Tuple[Record, Submission]]":
        return [(stage.run.record, one) for stage in self.before for one in stage.sent]

    def array_job(self, slots: "List[List[int]]") -> Submission:
        run = self.run
        draft = self.prepared(slots)
        after = self.arrays_before() if run.must_succeed else []
        return draft._replace(
            scheduler=self.scheduler.name,
            name=array_name(run.job.name, run.record.ulid, draft.number, self.scheduler),
            after=[[record.path, one.number] for record, one in after])

    def words(self, submission: Submission) -> "List[str]":
        """The submission command, after array jobs before, with a throttle also of this step."""
        run, file = self.run, self.run.record.file
        ids = [one.job_id for _, one in self.arrays_before()]
        ids += [one.job_id for one in self.sent[-1:] if run.throttle]
        words = submission_words(
            self.scheduler, submission.name, file("script", submission.number),
            file("output", submission.number, "")[:-len(".out")], len(submission.slots),
            run.throttle, [] if self.waits else ids)
        return [*self.steps[0].submit, *words]

    def describe(self) -> "Iterator[str]":
        run, step = self.run, self.steps[0]
        todo: Iterable[Task] = self.todo()
        rest = step.count
        if run.older or not run.is_new:  # otherwise a dry run streams
            todo = list(todo)
            rest = len(todo)
        rest = -(-rest // self.pack)
        most = array_limit(self.scheduler)
        for first in range(0, rest, most):
            submission = self.array_job([[]] * min(rest - first, most))
            yield f"# {shell_text(self.words(submission))}"
            script = slot_script(run.record, submission.number, python_of(run.job), self.index)
            for line in script.splitlines():
                yield f"#     {line}"
            self.sent.append(submission._replace(job_id=f"<id of {submission.name}>"))
        yield from map(task_text, todo)

    def begin(self, todo: "Iterator[Task]") -> "Generator[Union[Event, str, None], None, bool]":
        """Submit what fits; with --wait, lost tasks again, and others when some have ended."""
        self.waiting += todo
        room = self.room()
        while self.waiting and room and not (self.run.refused or self.must_stop()):
            room = yield from self.submit(room)
        self.waits = self.waits and not self.run.refused
        return bool(self.waiting) and self.waits

    def submit(self, room: int) -> "Generator[Union[Event, str, None], None, int]":
        """Submit an array job of at most room array tasks; return how many may follow at once."""
        run, record = self.run, self.record
        tasks = {task.number: task for task in self.waiting[:room * self.pack]}
        numbers = list(tasks)
        size = -(-len(tasks) // self.pack)
        # strided, as the last axis of a sweep often decides how long a task takes
        submission = self.array_job([numbers[start::size] for start in range(size)])
        note_submission(record, submission)
        write_script(record, submission.number, python_of(run.job), self.index)
        try:
            job_id = yield from send(self.words(submission), self.scheduler, submission.name)
        except Refusal as refusal:
            if refusal.code != "no-job-id":
                os.unlink(record.file("submission", submission.number))
            return (yield from self.refused(refusal, size))
        submission = note_submission(record, submission, job_id=job_id)
        self.found.add(submission)
        self.sent.append(submission)
        yield (f"step {submission.step}: {counted(len(tasks), 'task')} as array "
               f"job {job_id} of {counted(size, 'array task')}")
        self.times.update(numbers)
        self.alive.update(tasks)
        del self.waiting[:len(tasks)]
        if self.had >= 0:
            self.had = len(self.alive)
        return self.room()

    def room(self) -> int:
        """How many array tasks to submit now; below a limit as many as have ended since."""
        if self.waits and self.run.throttle and self.alive:
            return 0
        if self.had < 0 or not self.alive:
            return array_limit(self.scheduler)
        return (self.had - len(self.alive)) // self.pack

    def refused(self, refusal: Refusal,
                size: int) -> "Generator[Union[Event, str, None], None, int]":
        """Return how many array tasks may fit; else cancel the submissions of this command."""
        if self.waits and refusal.code == "too-many-jobs" and (size > 1 or self.alive):
            self.had = len(self.alive)
            return size // 2
        self.run.refused = True
        yield Event("error", str(refusal))
        for stage in () if self.waits else (*self.before, self):
            for one in stage.sent:
                stage.run.record.stop(one.start)
                failure = yield from cancel_array(self.scheduler, one.job_id)
                yield Event("error", failure or (f"cancelled array job {one.job_id} of step "
                                                 f"{one.step}, so that nothing is half submitted"))
        return 0


# -- a job, after those that it needs


def stages_of(run: Run) -> "List[Stage]":
    """The steps of a run in the groups that are started together."""
    stages: List[Stage] = []
    for step in run.plan.steps:
        scheduler = scheduler_of(tuple(step.submit))
        last = stages[-1].steps[0] if stages else step
        if not step.submit:
            stages.append(HereStage(run, [step]))
        elif scheduler and (step.command or not script_word(step.submit)):
            stages.append(ArrayStage(run, [step], scheduler))
        elif last is step or step.command or (last.command, last.submit) != ([], step.submit):
            stages.append(HandlerStage(run, [step]))
        else:
            stages[-1].steps.append(step)  # a handler without a command gets them in one call
    return stages


class Execution:
    """A job after those that it needs; current is the run of the stage that began last."""

    is_interrupted = False

    def __init__(self, plans: "Sequence[Plan]", options: Options) -> None:
        needed = options._replace(resume=False, reuse=False)
        self.runs = [Run(plan, options if plan is plans[-1] else needed) for plan in plans]
        self.current = self.runs[-1]
        self.stages = list(chain.from_iterable(run.stages for run in self.runs))
        grace()
        # an array job cannot depend on what another place executes
        places = [stage.scheduler for stage in self.stages]
        is_mixed = any(one and one != other for one, other in zip(places, places[1:]))
        for run in self.runs:
            run.order(self.runs, options.wait or is_mixed)
        holder = self.current.take_record(options.resume)
        if holder:
            raise Error("being-run", f"job {self.current.job.key} is being run by {holder}",
                        "wait for it, or cancel it; status shows how far it is")
        for run in self.runs[:-1]:
            run.stops += self.current.stops
            if options.dry_run:
                run.take_record(True)

    def execute(self) -> "Iterator[Event]":
        for event in drive(self.ready()):
            run = self.current
            if event.kind == "done":
                run.counts["earlier"] += event.number
            elif event.kind == "end":
                run.counts[event.state.name] += 1
            self.is_interrupted |= event.kind == "interrupt"
            yield event
        if any(is_stopped(run.stops) and not (run.refused or run.limits.fail_fast)
               for run in self.runs):
            self.is_interrupted = True
            yield Event("note", "hydraflow cancel has stopped this run")
        silent = sum(stage.silent for stage in self.stages)
        if silent:
            program = shell_text(self.runs[-1].plan.steps[0].command[:2])
            yield Event("note", f"no sign of Hydra in {counted(silent, 'task')}: if {program} "
                             "is no Hydra application, write hydra: false")
        for run in self.runs:
            run.plan_rest()

    def ready(self) -> "Iterator[Stage]":
        for run in self.runs:
            if not all(map(Run.has_succeeded, run.needed)):
                return
            self.current = run
            for stage in run.stages:
                if not run.may_follow():
                    break
                stage.has_begun = True
                yield stage
            if run is not self.runs[-1]:
                run.lock.release()


# -- stopping


def cancel_record(record: Record, is_lost: bool,
                  numbers: "Optional[Sequence[int]]" = None) -> "Iterator[Event]":
    """Stop all that lives of a run, and what begins, or tasks of it alone; with is_lost, give up
    those of machines that are gone."""
    is_all = numbers is None
    if is_all:
        record.stop(Ledger(record).start.number)
    found = survey(record)
    wanted = set(found.states if numbers is None else numbers)
    arrays = defaultdict(list)
    groups: Tuple[List[Attempt], List[Attempt]] = ([], [])
    for number, state in found.states.items():
        key = found.array_task(number)
        if key and state.is_alive:
            job_id = key.job_id if is_all else key.text
            arrays[key.scheduler, job_id].append(number)
        elif number in wanted and state.name == "running":
            one = found.last_attempt(number)
            groups[one.boot == boot_id()].append(one)
    # handlers after their tasks: one that ends these would be ahead of what is said of them
    handlers = map(found.handler, found.submissions if is_all else ())
    groups[True].extend(one for one in handlers if not one.has_ended)
    yield from cancel_arrays(arrays, wanted, ("array task", "array job")[is_all])
    yield from stop_attempts(groups[True])
    yield from give_up(groups[False], is_lost)


def cancel_arrays(arrays: "Mapping[Tuple[str, str], List[int]]", wanted: "Set[int]",
                  kind: str) -> "Iterator[Event]":
    """Cancel array jobs, or array tasks, of which all living tasks are wanted."""
    for (scheduler, job_id), tasks in arrays.items():
        others = [str(number) for number in tasks if number not in wanted]
        if len(others) == len(tasks):
            continue
        error = f"{kind} {job_id} has other tasks as well, {', '.join(others)}: name all, or none"
        if not others:
            error = finished(cancel_array(SCHEDULERS[scheduler], job_id))
        yield Event("error", error) if error else Event("note", f"cancelled {kind} {job_id}")


def stop_attempts(attempts: "Sequence[Attempt]") -> "Iterator[Event]":
    """Ask attempts of this machine to stop, tasks and then handlers, and kill those that do not."""
    rest = []
    for one in attempts:
        if one.signal(signal.SIGTERM):
            rest.append(one)
        elif one.number and is_held(one):
            yield Event("error", f"task {one.number} cannot be stopped: "
                                 "another user or container has it")
    count = sum(one.number > 0 for one in rest)
    if count:
        yield Event("note", f"stopping {counted(count, 'task')}")
    limit = time.monotonic() + grace()
    while rest and time.monotonic() < limit:
        time.sleep(TICK)
        rest = [one for one in rest if processes_of(one.path, one.leader)]
    for one in rest:
        one.signal(signal.SIGKILL)


def give_up(lost: "Sequence[Attempt]", is_lost: bool) -> "Iterator[Event]":
    """Say which attempts are of other machines; they are over if the user says so."""
    if lost:
        tasks = f"{counted(len(lost), 'task')} on {', '.join(sorted({one.host for one in lost}))}"
        yield Event("note", f"gave up {tasks}: --resume executes them again" if is_lost else (
            f"cannot reach {tasks}: cancel them there, or with --lost if they are gone"))
    for one in lost if is_lost else ():
        write_verdict(one.path, GIVEN_UP)


# ---------------------------------------------------------------------------
# 12. What people see: Event, State -> text
# ---------------------------------------------------------------------------
# offer, say and put write to streams; texts of durations, moments, states; read_log, tail_lines and
# cause_of look into logs; task_name calls a task the same everywhere; groups_of groups
# failures; Screen shows events; head_line, put_status and status_document show a record. Output
# of tasks goes to standard output, HydraFlow's own lines to standard error.

CHUNK = 65536  # bytes of a task's output that are shown in one turn of the loop
NAME_WIDTH = 60  # characters of a task's name, of a list of tasks, and of a cell of a table
TAIL = 5  # last lines of a log that are shown with a failure, and looked through for its cause
CONTROLS = re.compile(  # of ECMA-48; group 1 is a colour
    rb"(?m)(\x1b\[[0-9;]*m)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b.?|"
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")
TRAILERS = re.compile(  # last lines that say nothing of the cause
    r"hint: |Set the environment variable HYDRA_FULL_ERROR=1|Config search path|Provider:|"
    r"\s*(object_type|full_key|reference_type|provider)[=:]|To append to your config use|"
    r"\s*\d+%\||.*\d+(\.\d+)?(it/s|s/it)\]?$|[\s=*#_-]*$")


def offer(stream: "IO[str]", data: bytes, waits: bool = False) -> bytes:
    """Write as much as a stream takes at once, or (waits) all of it; return the rest.

    A stream that fails (a closed terminal, a full disk, a reader that has gone) loses its data.
    """
    import select
    timeout = None if waits else 0
    try:
        if not hasattr(stream, "buffer"):  # a caller's io.StringIO
            stream.write(data.decode("utf-8", "replace"))
            return b""
        stream.flush()
        size = 256 if stream.isatty() else 512  # POSIX: a pipe that is ready takes as much
        while data and select.select([], [stream], [], timeout)[1]:
            data = data[os.write(stream.fileno(), data[:size]):]
    except (OSError, ValueError):
        return b""
    return data


def say(text: str, state: str = "waiting", waits: bool = True) -> None:
    """Write a line for a person; a character that the stream cannot encode is escaped."""
    line = f"{painted(text, state, sys.stderr)}\n"
    offer(sys.stderr, line.encode(sys.stderr.encoding or "utf-8", "backslashreplace"), waits)


def put(text: str, state: str = "waiting") -> None:
    """Write a line of data: bytes of arguments as they are, but no commands to a terminal."""
    if sys.stdout.isatty():
        text = painted(text, state, sys.stdout)
    stream = getattr(sys.stdout, "buffer", None)  # none where a caller put an io.StringIO there
    if stream is None:
        sys.stdout.write(f"{text}\n")
    else:
        stream.write(native_bytes(f"{text}\n"))


def is_smart(stream: "IO[str]") -> bool:
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def painted(text: str, state: str, stream: "IO[str]") -> str:
    """A text without commands to a terminal, in the colour of a state if a stream shows colours."""
    colour = STATES[state].colour
    if not colour or os.environ.get("NO_COLOR") or not is_smart(stream):
        return printable(text)
    return f"\x1b[{colour}m{printable(text)}\x1b[m"


# -- texts


def last_state(line: bytes) -> bytes:
    """The last visible part of a line in which carriage returns start again."""
    parts = [part for part in line.split(b"\r") if part.strip()]
    return parts[-1] if parts else b""


def duration_text(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else clock_text(seconds)


def clock_text(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours = f"{minutes // 60}:{minutes % 60:02d}" if minutes >= 60 else str(minutes)
    return f"{hours}:{rest:02d}"


def moment_text(moment: float) -> str:
    """A time of day, with its date if that is not today."""
    when = time.localtime(moment)
    is_today = when[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M", when)


def signal_text(status: int) -> str:
    name = signal_name(status - 128)
    if not name.startswith("SIG"):
        return ""
    return f"{name} ({status})" + (", often out of memory" if name == "SIGKILL" else "")


def state_text(state: State) -> str:
    text = STATES[state.name].text
    cause = state.cause
    if state.name == "running":
        where = "" if state.host in ("", host_name()) else f" on {state.host}"
        text = f"running since {moment_text(state.started)}{where}"
    elif state.name == "failed":
        cause = cause or signal_text(state.status) or f"exit status {state.status}"
    return f"{text}: {cause}" if cause else text


def counts_text(counts: "Mapping[str, int]") -> str:
    """How many tasks are in which state, the good ones first, had succeeded before, or went to a
    scheduler."""
    names = sorted(STATES, key=lambda name: not STATES[name].is_good)
    texts = [(name, STATES[name].text) for name in names]
    texts += [("earlier", "had succeeded before"), ("submitted", "submitted")]
    return ", ".join(f"{counts[name]:,} {text}" for name, text in texts if counts.get(name))


def read_log(path: str, offset: int = 0, size: int = -1) -> bytes:
    """The bytes of a log from an offset, a negative one counts from its end; none without a log."""
    try:
        with open(open_safely(path, os.O_RDONLY), "rb") as file:
            end = os.fstat(file.fileno()).st_size if offset < 0 else 0
            file.seek(max(end + offset, 0))
            return file.read(size)
    except OSError:
        return b""


def last_attempt(output: bytes) -> bytes:
    """The output of the last attempt in a log."""
    if b"==> attempt " not in output:
        return output
    return re.split(rb"(?m)^==> attempt \d+ <==\n?", output)[-1]


def tail_lines(path: str) -> "List[str]":
    """The last lines of a log that are not empty, TAIL at most, of its last attempt."""
    data = last_attempt(read_log(path, -CHUNK // 8))
    plain = [CONTROLS.sub(b"", last_state(line)) for line in data.split(b"\n")]
    lines = [line.decode("utf-8", "replace").rstrip()[:400] for line in plain]
    return list(filter(None, lines))[-TAIL:]


def cause_of(state: State, log: str) -> str:
    """The cause of a task's state: the recorded one, a signal, else the line of its log that names
    it, which is no advice of Hydra's and no progress bar."""
    if state.name != "failed" or state.cause:
        return state.cause
    lines = tail_lines(log)
    causes = [line for line in lines if not TRAILERS.match(line)]
    return signal_text(state.status) or ["", *lines[-1:], *causes][-1]


def shortened(text: str, longest: int) -> str:
    """A text without its middle, if it is too long."""
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def aligned(columns: "Iterable[Tuple[str, Sequence[str]]]") -> str:
    """Columns of texts side by side, each with l or r for its alignment."""
    shown = []
    for side, texts in columns:
        cells = [shortened(text, NAME_WIDTH) for text in texts]
        size = max(map(text_width, cells))
        spaces = [" " * (size - text_width(cell)) for cell in cells]
        shown.append(map("".join, zip(*([spaces, cells] if side == "r" else [cells, spaces]))))
    return "\n".join("  ".join(line).rstrip() for line in zip(*shown))


# -- names of tasks, and groups by state and cause


def shared_words(combinations: "Iterable[Sequence[str]]") -> "Set[str]":
    every = list(map(set, combinations))
    return set.intersection(*every) if every else set()


def words_of_all(plan: Plan) -> "Set[str]":
    """Words that all tasks of a plan have, as far as its axes show it."""
    every = []
    for step in plan.steps:
        fixed = flat([axis.at(0) for axis in step.sweep.axes if axis.count == 1])
        every += [fixed, *step.included]
    return shared_words(every)


def task_name(number: int, words: "Iterable[str]") -> str:
    """The name of a task for people: its number and its words."""
    shown = shortened(" ".join(" ".join(words).split()), NAME_WIDTH)
    return f"[{number} {shown}]" if shown else f"task {number}"


def combinations_of(ledger: Ledger, has_args: bool = False) -> "Dict[int, Tuple[str, ...]]":
    """The combinations of all members of a run, by number. With has_args, the whole command of a
    task of Hydra's."""
    try:
        lines = whole_lines(b"\n".join(map(ledger.line, ledger.members)))
        return {int(line["task"]): tuple(map(str, line[
            "key" if has_args and line["runs"] else "combination"])) for line in lines}
    except (TypeError, KeyError, ValueError):
        raise damaged(ledger.path) from None


@functools.lru_cache(maxsize=1)
def own_words(ledger: Ledger) -> "Dict[int, List[str]]":
    """The words of each member of a run that not all of them have."""
    combinations = combinations_of(ledger)
    shared = shared_words(combinations.values())
    return {number: [word for word in words if word not in shared]
            for number, words in combinations.items()}


def name_of(ledger: Ledger, number: int) -> str:
    return task_name(number, own_words(ledger).get(number, ()))


def tasks_numbered(numbers: "Sequence[int]") -> str:
    shown = shortened(", ".join(map(str, numbers)), NAME_WIDTH)
    return f"{counted(len(numbers), 'task')} ({shown})"


def groups_of(found: Survey) -> "Iterator[Tuple[str, str, List[int]]]":
    """Yield the tasks to report in groups, in the order of STATES: state, title, numbers.

    A title is 2 tasks (1, 9) failed: ValueError: lr. Causes that differ only in numbers, addresses
    and paths are the same.
    """
    groups: Dict[Tuple[str, int, str], Tuple[str, List[int]]] = {}
    for number, state in sorted(found.members):
        is_usual = state.name in ("queued", "not started") and not state.cause
        if state.name in ("succeeded", "waiting") or is_usual:
            continue
        text = group_text(found, number, state)
        kind = re.sub(r"\S*/\S*|\b0x[0-9a-f]+|\d+", "", text) if state.is_over else text
        groups.setdefault((state.name, state.status, kind), (text, []))[1].append(number)
    for key in sorted(groups, key=lambda key: [*STATES].index(key[0])):
        text, numbers = groups[key]
        several = len(numbers) > 1
        lead = tasks_numbered(numbers) if several else name_of(found.ledger, numbers[0])
        yield key[0], f"{lead} {text}", numbers


def group_text(found: Survey, number: int, state: State) -> str:
    """The state of a task with the cause in its log, or its array task."""
    text = state_text(state)
    one = found.array_task(number)
    if state.name == "failed":
        cause = cause_of(state, log_of(found.record, number, state))
        return text if cause in text else f"{text}: {cause}"
    if one and state.name == "running":
        return f"{text} as {one.text}"
    return f"{text} (array job {one[1]})" if one and state.name == "queued" else text


def say_failures(found: Survey) -> None:
    """Say how tasks of a run failed: of each group an example with the end of its log."""
    groups = [group for group in groups_of(found) if group[0] == "failed"]
    for state, title, numbers in groups[:10]:
        log = log_of(found.record, numbers[0], found.state(numbers[0]))
        say(f"\n{title}", state)
        for line in tail_lines(log):
            say(f"    {line}")
        say(f"  log:   {os.path.relpath(log)}")
        say(f"  again: {task_text(found.ledger.task(numbers[0]))}")
    if len(groups) > 10:
        say(f"and {len(groups) - 10} more kinds of failure; status shows them")


# -- the screen of a run


def left_text(took: "Sequence[float]", rest: int, running: int) -> "Iterator[str]":
    """Yield the time that is left for some tasks, by how long others took."""
    if took and rest and running:
        yield f"about {clock_text(rest * sum(took) / len(took) / min(running, rest))} left"


class Following:
    """A log that is shown: name of the task, offset of the next byte, end of the task if known."""
    end: "Optional[Event]" = None

    def __init__(self, name: str, log: str, offset: int) -> None:
        self.name = name
        self.log = log
        self.offset = offset


class Screen:
    """Shows events of runs as they come: output of the tasks, a progress line, ends of tasks."""
    rest = b""  # of output, which standard output has not taken yet
    is_open = False  # whether a terminal shows an unfinished line
    drawn = ""  # the progress line
    titled = ""  # the task whose output has a title
    running = done = 0  # tasks: elsewhere, and ended

    def __init__(self, runs: "Sequence[Run]", quiet: bool) -> None:
        self.runs = runs
        self.quiet = quiet
        self.total = sum(run.plan.count for run in runs)
        self.shared = {run.job.key: words_of_all(run.plan) for run in runs}
        self.jobs = max(run.limits.jobs for run in runs)
        self.is_live = is_smart(sys.stderr) and not quiet
        self.following: Dict[Tuple[str, int], Following] = {}
        self.begun = time.monotonic()
        self.took: List[float] = []

    def show(self, event: Event) -> None:
        key = event.text, event.task.number if event.task else 0
        if event.kind in ("start", "retry"):
            self.following[key] = Following(self.name_of(event), event.log, event.number)
            if event.kind == "retry" and not self.quiet:
                self.line(f"{self.name_of(event)} failed, retrying")
        elif event.kind == "done":
            self.done += event.number
        elif event.kind == "end":
            self.following.setdefault(key, Following("", "", 0)).end = event
            self.show_logs()
        elif event.kind == "tick":
            self.running = event.number
            self.show_logs()
            self.draw()
        elif event.kind == "error" or event.kind in ("note", "interrupt") and not self.quiet:
            self.line(event.text)

    def show_logs(self, waits: bool = False) -> None:
        """Show new output, as much as the stream takes; with waits, all of it."""
        self.rest = offer(sys.stdout, self.rest, waits)
        for key, following in list(self.following.items()):
            is_whole = self.quiet or (not self.rest and self.follow(following, waits))
            if is_whole and following.end:
                del self.following[key]
                self.ended(following.end)
            elif self.jobs == 1 and not is_whole:
                break  # the outputs of two tasks do not mix

    def follow(self, following: Following, waits: bool) -> bool:
        """Show new output of a task, a chunk or (waits) all of it; return whether that was all.

        Where several tasks run at once, lines are shown when they are whole.
        """
        while True:
            data = read_log(following.log, following.offset, CHUNK)
            is_last = len(data) < CHUNK
            whole = data.rfind(b"\n") + 1
            if self.jobs == 1 or (following.end if is_last else not whole):
                whole = len(data)
            if whole:
                self.output(following.name, data[:whole], waits)
            following.offset += whole
            if is_last or not waits:
                return is_last and not self.rest

    def output(self, name: str, data: bytes, waits: bool) -> None:
        """Write output of a task: as it is, or its lines below the name of the task.

        On a terminal, what would move the cursor is left out, and a line's colours end with it.
        """
        self.erase()
        is_terminal = sys.stdout.isatty()
        if is_terminal:
            data = CONTROLS.sub(rb"\1", data)
            data = data.replace(b"\n", b"\x1b[m\n") if b"\x1b" in data else data
        if self.jobs > 1:
            lines = (data[:-1] if data.endswith(b"\n") else data).split(b"\n")
            lead = f"{name} ".encode("utf-8", "replace")
            data = b"".join(lead + last_state(line) + b"\n" for line in lines)
        elif self.is_live and self.total > 1 and self.titled != name:
            self.titled = name
            self.line(f"==> {name} <==")
        self.is_open = is_terminal and not data.endswith(b"\n")
        self.rest = offer(sys.stdout, self.rest + data, waits)

    def ended(self, event: Event) -> None:
        state = event.state
        self.done += 1
        took = ""
        if state.started:
            self.took.append(max(state.ended - state.started, 0.0))
            took = f" ({duration_text(self.took[-1])})"
        is_silent = self.is_live or self.quiet or state.name == "handed"
        if state.name == "failed" or not is_silent:
            self.line(f"{self.name_of(event)} {state_text(state)}{took}"
                      f"  [{self.done}/{self.total}]", state.name)

    def name_of(self, event: Event) -> str:
        assert event.task
        shared = self.shared.get(event.text, set())
        words = [word for word in event.task.combination if word not in shared]
        name = task_name(event.task.number, words)
        return f"{event.text} {name}" if len(self.shared) > 1 else name

    def line(self, text: str, state: str = "waiting") -> None:
        """Write a line of HydraFlow's own, in the colour of a state."""
        self.erase()
        if self.is_open:
            offer(sys.stdout, b"\n")
        self.is_open = False
        say(text, state, False)

    def erase(self) -> None:
        if self.drawn:
            offer(sys.stderr, b"\r\x1b[K")
        self.drawn = ""

    def draw(self) -> None:
        from shutil import get_terminal_size
        running = self.running or len(self.following)
        failed = sum(run.counts["failed"] for run in self.runs)
        facts = [f"[{'#' * (20 * self.done // max(self.total, 1)):-<20}] {self.done}/{self.total}",
                 f"{running} running", f"{failed} failed" if failed else "",
                 clock_text(time.monotonic() - self.begun),
                 *left_text(self.took, self.total - self.done, running)]
        text = "  ".join(filter(None, facts))[:min(get_terminal_size().columns - 1, 79)]
        if self.is_live and not self.is_open and not self.rest and text != self.drawn:
            self.erase()
            offer(sys.stderr, text.encode())
            self.drawn = text

    def finish(self) -> None:
        self.show_logs(True)
        counts: Dict[str, int] = Counter()
        for run in self.runs:
            counts.update(run.counts)
            counts["not started"] += run.unfinished()
            counts["submitted"] += len(run.open())
        ends = counts_text(counts) or "nothing to do"
        took = duration_text(time.monotonic() - self.begun)
        state = "failed" if counts["failed"] else "succeeded"
        self.line(f"{counted(self.total, 'task')}: {ends}, {took}", state)


# -- status


def log_of(record: Record, number: int, state: State) -> str:
    """The log of a task, which may be in an earlier record."""
    ulid, _, earlier = state.origin.partition("/")
    if earlier.isdigit():
        record, number = Record(f"{os.path.dirname(record.path)}/{ulid}"), int(earlier)
    return record.file("log", number)


def count_good(found: Survey) -> int:
    return sum(state.is_good for _, state in found.members)


def head_line(found: Survey) -> str:
    """How far a run is, since when, where it runs or since when not, and the time that is left."""
    start, first = found.ledger.start, found.ledger.starts[0]
    good = count_good(found)
    percent = 100 * good // max(start.count, 1)
    facts = [f"{good:,} of {counted(start.count, 'task')} done ({percent}%)",
             f"began {moment_text(first.time)}"]
    if start.number > first.number:
        facts.append(f"resumed {moment_text(start.time)}")
    where = where_text(found)
    own = [state for _, state in found.members if not state.origin]
    if where:
        took = [state.ended - state.started for state in own
                if state.is_over and state.started * state.ended]
        rest = sum(not state.is_over for state in own)
        facts += [where, *left_text(took, rest, found.counts()["running"])]
    else:
        last = max([start.time, *(max(state.started, state.ended) for state in own)])
        word = "ended" if good >= start.count else "not running since"
        facts.append(f"{word} {moment_text(last)}")
    return f"{start.job}: {', '.join(facts)}"


def where_text(found: Survey) -> str:
    """The places where tasks of a run are running or queued; "" if there is none."""
    hosts = {state.host for _, state in found.members if state.name == "running"}
    hosts.update([found.holder.rpartition(" on ")[2]] if found.holder else ())
    names = sorted("here" if host == host_name() else f"on {host}" for host in hosts)
    parts = [f"running {', '.join(names)}"] if names else []
    if found.counts()["queued"]:
        schedulers = {submission.scheduler for submission in found.submissions}
        parts.append(f"queued with {', '.join(sorted(schedulers))}")
    return ", ".join(parts)


def code_of(found: Survey, state: State) -> "Optional[str]":
    """The code that a task ran: a71128d + changes 1f0c, "" for no commit; None if it did not."""
    codes = {start.number: start.code for start in found.ledger.starts}
    return None if state.origin else codes.get(state.start)


def code_lines(found: Survey) -> "Iterator[str]":
    """Yield a line about the tasks that ran other code than that of the newest start."""
    start = found.ledger.start
    codes = {number: code_of(found, state) for number, state in found.members}
    older = {number: code or "no commit" for number, code in codes.items()
             if code not in (None, start.code)}
    if older and start.code:
        yield (f"{tasks_numbered(sorted(older))} of {start.count:,} ran older code: "
               f"{', '.join(dict.fromkeys(older.values()))}")


def put_status(found: Survey, command: str) -> None:
    """Print the status of a run: how far it is, the next command, counts, groups of tasks."""
    if found.unanswered:
        put(f"the scheduler does not answer; states come from the record only: {found.unanswered}")
    put(f"{head_line(found)}; next: {command}")
    put(f"  {counts_text(found.counts())}")
    for line in code_lines(found):
        put(f"  {line}")
    groups = list(groups_of(found))
    for state, title, numbers in groups[:20]:
        put(f"  {title}", state)
        if len(numbers) > 1 and state != "queued":
            common = sorted(shared_words(map(own_words(found.ledger).__getitem__, numbers)))
            put(f"    all of them with {' '.join(common)}" if common
                else f"    for example {name_of(found.ledger, numbers[0])}")
    if len(groups) > 20:
        put(f"  and {len(groups) - 20} more groups")


def task_facts(found: Survey, number: int) -> "Dict[str, Any]":
    """What is known of a task: times in seconds and since 1970, None where unknown."""
    task = found.ledger.task(number)
    state = found.state(number)
    log = log_of(found.record, number, state)
    ended = state.ended * state.is_over
    _, job_id, index = found.array_task(number) or (None, None, None)
    return {
        "task": number,
        "state": state.name,
        "exit_status": state.status if state.ended and not state.origin else None,
        "duration": max(ended - state.started, 0.0) if ended and state.started else None,
        "attempts": state.attempts,
        "started": state.started or None,
        "ended": ended or None,
        "host": state.host or None,
        "code": code_of(found, state) or None,
        "cause": cause_of(state, log) or None,
        "log": os.path.relpath(log),
        "step": found.ledger.members.get(number),
        "params": task_parameters(task.combination),
        "argv": list(task.argv),
        "dir": task.directory,
        "cwd": task.cwd,
        "job_id": job_id,
        "array_index": index}


def status_document(found: Survey) -> "Dict[str, Any]":
    start = found.ledger.start
    return {
        "job": start.job,
        "note": start.note or None,
        "summary": head_line(found),
        "record": os.path.relpath(found.record.path),
        "count": start.count,
        "started": found.ledger.starts[0].time,
        "scheduler_error": found.unanswered or None,
        "commit": start.commit or None,
        "states": found.counts(),
        "tasks": [task_facts(found, number) for number, _ in found.members]}


# ---------------------------------------------------------------------------
# 13. Results and report: Row, Row, ... -> tables, page
# ---------------------------------------------------------------------------
# A row is a task, or one of Hydra's runs of it, and has three kinds of columns: facts, parameters,
# metrics. Numbers of outputs and files (last_number, json_number, read_metrics); Hydra's runs
# (hydra_runs); rows of a run (result_rows, results); selection (matching); order and
# means (sorted_rows, over); tables (columns_of, FORMATS); the page (report_page), which is a file:
# texts of users reach it escaped, or as JSON that SCRIPT inserts as text nodes.


class Row(NamedTuple):
    """The outcome of a task, or of one of its Hydra runs; facts are those of task_facts."""
    facts: "Dict[str, Any]"
    params: "Dict[str, str]"
    metrics: "Dict[str, Optional[float]]"


# -- numbers of outputs and files

# A name follows no letter, and nothing that makes it the end of a longer one: val/loss, val.loss.
# Quotes and a call may surround the number: JSON, and how NumPy and PyTorch write a scalar.
METRIC = rb"""
    (?<! [\w./\x80-\xff-] ) ( [A-Za-z_/.-]* : )? ( %s )
    ["']? (?: [ \t]* [=:] [ \t]* | [ \t]+ )
    (?: (?: np\.float[0-9]+ | tensor ) \( )? ["']?
    ( [+-]? (?: [0-9]{1,3} (?: ,[0-9]{3} )+ \. [0-9]+ | [0-9]{1,3} (?: ,[0-9]{3} ){2,}
              | (?: [0-9]+ (?: _[0-9]+ )* (?: \. [0-9]* )? | \. [0-9]+ ) (?: [eE] [+-]? [0-9]+ )?
              | (?i: nan | inf (?: inity )? ) ) )
    (?! [\w\x80-\xff] | [.,:][0-9] )
"""
ANY_NAME = rb"[A-Za-z_][\w./-]*"


def metric_matches(output: bytes, name: bytes) -> "List[Match[bytes]]":
    """Where a number follows a name in an output: the prefix with a colon, the name, the number.

    Colours do not matter, and a carriage return, as of a progress bar, starts a line too.
    """
    text = CONTROLS.sub(b"", output).replace(b"\r", b"\n")
    return list(re.finditer(METRIC % name, text, re.VERBOSE))


def numbers_of(output: bytes, name: str) -> "List[float]":
    """The numbers that follow a name in an output; Error if it has several prefixes."""
    text = name.encode("utf-8", "surrogateescape")
    lines = b"\n".join(line for line in output.split(b"\n") if text in line)
    matches = metric_matches(lines, re.escape(text))
    names = sorted({f"{match[1].decode('ascii')}{name}" for match in matches if match[1]})
    if len(names) > 1:
        raise Error("several-metrics", f"{name} may be {' or '.join(names)}", "name one of them")
    return [float(match[3].replace(b",", b"")) for match in matches]


def last_number(output: bytes, name: str) -> "Optional[float]":
    """The last number of a name in an output, if any; of min(NAME) and max(NAME) that one."""
    fold = re.fullmatch(r"(min|max)\((.+)\)", name)
    if not fold:
        tail = output[-CHUNK // 16:].partition(b"\n")[2]  # where it mostly is
        return [None, *(numbers_of(tail, name) or numbers_of(output, name))][-1]
    numbers = [number for number in numbers_of(output, fold[2]) if number == number]
    return (min if fold[1] == "min" else max)(numbers, default=None)


def names_in(rows: "Iterable[Row]") -> "List[str]":
    """The names that a number follows at the end of the first log that has some, twelve at most."""
    for row in rows:
        matches = metric_matches(read_log(row.facts["log"], -CHUNK), ANY_NAME)
        names = dict.fromkeys((match[1] or b"") + match[2] for match in matches)
        if names:
            return [name.decode("utf-8", "replace") for name in names][:12]
    return []


def json_number(path: str, key: str) -> "Optional[float]":
    """The number below KEY.KEY in a JSON file, or None; in a list, a key is an index."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            value = json.load(file)
        for one in [key] if key in value else key.split("."):
            value = value[int(one) if isinstance(value, list) else one]
        return None if isinstance(value, bool) else float(value)
    except (OSError, ValueError, TypeError, LookupError, OverflowError):
        return None  # not there, not complete yet, no number


def read_metrics(names: "Sequence[str]", folder: str, outputs: "Sequence[bytes]",
                 owners: "Dict[str, Any]") -> "Dict[str, Optional[float]]":
    """The metrics of a task or run: from JSON files in its folder, or the first output with one.

    owners maps the JSON files that were looked for to the metrics of their task or run.
    """
    values: Dict[str, Optional[float]] = {}
    for name in names:
        file, is_file, key = name.rpartition(".json:")
        path = os.path.normpath(os.path.join(folder, f"{file}.json"))
        is_shared = is_file and owners.setdefault(path, values) is not values
        if is_shared and os.path.exists(path):
            raise Error("shared-file",
                        f"several tasks write {os.path.basename(path)}, the last one wins",
                        "let each task write into a directory of its own: ${{ task.dir }}")
        numbers = (json_number(path, key) if is_file else last_number(output, name)
                   for output in outputs)
        values[name] = next((one for one in numbers if one is not None), None)
    return values


# -- rows of a run: those of Hydra's runs of a task, or one


def hydra_runs(output: bytes) -> "Iterator[Tuple[int, Dict[str, str], bytes]]":
    """Yield the runs that Hydra announces in an output: number, parameters, what it printed.

    That is nothing where a launcher mixes outputs: Hydra's own says "Launching 2 jobs locally".
    """
    is_serial = True
    parts = re.split(rb"(?m)^\[.*HYDRA[^]\n]*\] (.*)\n?", output)
    for line, printed in zip(parts[1::2], parts[2::2]):
        match = re.match(rb"\t?#([0-9]{1,9}) : ", line)
        if match:
            text = line[match.end():].decode("utf-8", "surrogateescape")
            params = task_parameters(word.text for word in words_of(Source("Hydra", text)))
            yield int(match[1]), params, printed if is_serial else b""
        else:
            is_serial = b"jobs locally" in line


def record_named(job: str, end: str = "") -> Record:
    """The record of the newest run of a job, or of the one whose name ends with end."""
    records = Record.all(job)
    if not records:
        valid = [Ledger(record).start.job for record in Record.newest()]
        raise Error("not-run", f"job {job} has not been run here",
                    suggest(job, valid) or "list the jobs: hydraflow show")
    found = [record for record in records if record.ulid.endswith(end.upper())]
    if end and len(found) != 1:
        raise Error("unknown-run", f"{len(found)} runs with a name that ends with {end}",
                    f"list the runs: hydraflow status {shlex.quote(job)} --all")
    return found[-1]


def task_rows(found: Survey, number: int, metrics: "Sequence[str]", owners: "Dict[str, Any]"
              ) -> "Iterator[Row]":
    """Yield the row of a task, or those of its Hydra runs; a single one has all of its output."""
    import glob
    facts = task_facts(found, number)
    is_hydra = "--multirun" in facts["argv"]
    output = last_attempt(read_log(facts["log"])) if metrics or is_hydra else b""
    runs = list(hydra_runs(output)) if is_hydra else []
    several = len(runs) > 1
    folder = os.path.join(facts["cwd"], facts["dir"])
    for run, params, printed in runs or [(-1, {}, b"")]:
        own = os.path.join(folder, str(run))
        logs = glob.glob(os.path.join(glob.escape(own), "*.log"))
        outputs = [read_log(max(logs, key=os.path.getmtime, default="")),
                   printed if several else output]
        place = next(filter(os.path.isdir, (own, folder)), facts["cwd"])
        yield Row({"task": number, "run": run if several else None, **facts},
                  {**facts["params"], **params}, read_metrics(metrics, place, outputs, owners))


def result_rows(found: Survey, metrics: "Sequence[str]", numbers: "Iterable[int]",
                state: "Optional[str]" = None, words: "Sequence[str]" = ()) -> "List[Row]":
    """The rows of tasks of a run: those in a state, and with the parameters of words."""
    rows: List[Row] = []
    owners: Dict[str, Any] = {}
    for number in numbers:
        if state in (None, found.state(number).name):
            rows += task_rows(found, number, metrics, owners)
    return [rows[index] for index in matching([row.params for row in rows], words)]


def results(job: str, metrics: "Sequence[str]" = (), *words: str) -> "List[Dict[str, Any]]":
    """The outcome of the newest run of a job: a dictionary for each task, or Hydra's run.

    metrics are names of numbers in the output, or FILE.json:KEY.KEY; words select: "lr=0.1,0.01". A
    row has task, run, params, state, exit_status, cause, started, ended (seconds since 1970),
    duration, attempts, host, code, log and metrics; None is unknown. Error if it was not run. A job
    of another file than hydraflow.yaml is other.yaml:train.

    >>> results("no-such-job")
    Traceback (most recent call last):
    hydraflow.Error: error: job no-such-job has not been run here
    hint: list the jobs: hydraflow show
    """
    found = survey(record_named(job))
    rows = result_rows(found, metrics, tasks_with(found.ledger, words), None, words)
    return results_document(rows)


# -- selection, order and means


def compared(params: "Mapping[str, str]") -> "FrozenSet[Tuple[str, str]]":
    return frozenset(same_value(f"{key}={value}") for key, value in params.items())


def parameters(rows: "Iterable[Row]") -> "List[str]":
    """The keys of all parameters, in the order in which they first come."""
    return list(dict.fromkeys(chain.from_iterable(row.params for row in rows)))


def constants(rows: "Sequence[Row]") -> "Dict[str, str]":
    """The parameters that are the same in every row: key -> value; none of a single row."""
    if len(rows) < 2:
        return {}
    same = frozenset.intersection(*(compared(row.params) for row in rows))
    return {key: value for key, value in rows[0].params.items() if key in dict(same)}


def key_among(keys: "Sequence[str]", name: str) -> str:
    """The key that a user means by a name: lr is $lr where no parameter is lr."""
    for key in keys:
        if name in (key, key.lstrip("$")):
            return key
    raise Error("unknown-parameter", f"no task has a parameter {name}",
                suggest(name, keys) or f"the parameters are {', '.join(keys) or 'none'}")


def wanted_values(word: str, keys: "Sequence[str]") -> "Set[Tuple[str, str]]":
    """The keys and values that a word, KEY=VALUE, selects; the value may be a sweep: seed=1:3."""
    if not key_of(word) or "=" not in word or "," in key_of(word):
        raise Error("expected-key-value", f"expected KEY=VALUE, found {word}",
                    "for example seed=1:3")
    pairs = map(same_value, chain.from_iterable(kept_rows([Sweep([word], "selection")])))
    return {(key_among(keys, key), value) for key, value in pairs}


def agrees(params: "Mapping[str, str]", wanted: "Set[Tuple[str, str]]") -> bool:
    """Whether parameters have a value that is wanted, alone or in a list."""
    for key, value in params.items():
        if any(same_value(f"{key}={one}") in wanted for one in {value, *value.split(",")}):
            return True
    return False


def matching(params: "Sequence[Mapping[str, str]]", words: "Iterable[str]") -> "List[int]":
    result = list(range(len(params)))
    keys = list(dict.fromkeys(chain.from_iterable(params)))
    for word in words if params else ():
        wanted = wanted_values(word, keys)
        before = result
        result = [index for index in before if agrees(params[index], wanted)]
        if not result:
            key = min(wanted)[0]
            values = ", ".join(dict.fromkeys(params[index].get(key, "") for index in before))
            raise Error("no-match", f"no task has {word}",
                        f"the values of {key} are {shortened(values, 200)}")
    return result


def tasks_with(ledger: Ledger, words: "Sequence[str]") -> "List[int]":
    """The tasks that may have rows which agree with words, by the plan alone."""
    if not words:
        return sorted(ledger.members)
    combinations = combinations_of(ledger, True)
    params = [task_parameters(filter(key_of, words)) for words in combinations.values()]
    numbers = list(combinations)
    return [numbers[index] for index in matching(params, words)]


def number_of(text: str) -> "Optional[float]":
    number = read_number(text)
    return float(str(number)) if number else None


def sorted_rows(rows: "Sequence[Row]", name: str) -> "List[Row]":
    """Rows by a metric, a parameter or a fact, -NAME for descending; without a value last."""
    def rank(row: Row) -> "Tuple[bool, Any]":
        value = str({**row.facts, **row.params, **row.metrics}.get(name.lstrip("-")))
        number = number_of(value)
        return number is None, value if number is None else number

    ordered = sorted(rows, key=rank, reverse=name.startswith("-"))
    return sorted(ordered, key=lambda row: rank(row)[1] in ("None", "nan"))


def means(name: str, values: "Iterable[Optional[float]]") -> "Dict[str, Optional[float]]":
    """Mean, sample standard deviation and count of a metric, None where values are too few."""
    known = [value for value in values if value is not None]
    count = len(known)
    mean = sum(known) / count if known else float("nan")
    squares = sum((value - mean) ** 2 for value in known)
    return {name: mean if known else None,
            f"{name}_std": (squares / (count - 1)) ** 0.5 if count > 1 else None,
            f"{name}_count": count}


def over(rows: "Sequence[Row]", names: "Sequence[str]") -> "List[Row]":
    """Merge the rows that differ only in some parameters, as a seed; these parameters go.

    Metrics become mean, sample standard deviation and count, with the number of rows. Rows of
    different states stay apart: the last numbers of a failed task count in no mean of the others.
    """
    keys = [key_among(parameters(rows), name) for name in names]
    groups = defaultdict(list)
    for row in rows:
        params = {key: value for key, value in row.params.items() if key not in keys}
        alike = compared(params), row.facts["state"]
        groups[alike].append(row._replace(params=params))
    merged = []
    for (_, state), group in groups.items():
        facts = {"task": None, "run": None, "state": state, "count": len(group)}
        metrics = {}
        for name in group[0].metrics:
            metrics.update(means(name, (row.metrics[name] for row in group)))
        merged.append(Row(facts, group[0].params, metrics))
    return merged


# -- tables

TABLE_FACTS = ("task", "run", "state", "duration", "count")


def columns_of(rows: "Sequence[Row]") -> "Iterator[Tuple[str, List[Any]]]":
    """Yield the kind and the cells, the first one a name, of each column of rows: task, run,
    parameters, other facts, metrics. A fact that is unknown everywhere has none."""
    first = rows[0] if rows else Row({}, {}, {})
    facts = list(first.facts)
    for kind, names in (("facts", facts[:2]), ("params", parameters(rows)),
                        ("facts", facts[2:]), ("metrics", list(first.metrics))):
        for name in names:
            cells = [getattr(row, kind).get(name) for row in rows]
            if kind != "facts" or any(isinstance(cell, (str, int, float)) for cell in cells):
                yield kind, [name, *cells]


def cell_text(kind: str, name: str, cell: "Any") -> str:
    """A cell for people: a number is whole, or has six digits."""
    if cell is None or isinstance(cell, str):
        return (cell or "").replace("\n", " ")
    if (kind, name) == ("facts", "duration"):
        return duration_text(cell)
    return f"{cell:.0f}" if abs(cell) < 1e15 and cell == int(cell) else f"{cell:.6g}"


def shown_columns(rows: "Sequence[Row]") -> "List[Tuple[str, List[str]]]":
    """The columns that people see, with their alignment: parameters that vary, the most important
    facts, metrics."""
    same = constants(rows)
    shown = []
    for kind, (name, *cells) in columns_of(rows):
        is_shown = kind == "metrics" or name not in same
        if kind == "facts":
            is_shown = name in TABLE_FACTS or (name == "attempts" and max(cells) > 1)
        if is_shown:
            words = [cell for cell in cells if isinstance(cell, str)]
            side = "l" if None in map(number_of, words) else "r"
            shown.append((side, [name, *(cell_text(kind, name, cell) for cell in cells)]))
    return shown


def lines_of(columns: "Iterable[Tuple[str, Sequence[Any]]]") -> "List[Sequence[Any]]":
    return list(zip(*(cells for _, cells in columns)))


def same_text(rows: "Sequence[Row]") -> str:
    """The parameters that all rows share, or ""."""
    same = " ".join(f"{key}={value}" for key, value in constants(rows).items())
    return same and f"the same everywhere: {same}\n"


def table_text(rows: "Sequence[Row]") -> str:
    """A table for people: the parameters that all rows share, then a line for each row."""
    return same_text(rows) + aligned(shown_columns(rows))


def csv_text(rows: "Sequence[Row]") -> str:
    """All columns as CSV; times in seconds, an unknown value is empty."""
    import csv
    import io
    output = io.StringIO()
    csv.writer(output, lineterminator="\n").writerows(lines_of(columns_of(rows)))
    return output.getvalue().rstrip("\n")


def markdown_text(rows: "Sequence[Row]") -> str:
    columns = shown_columns(rows)
    marks = ["---:" if side == "r" else "---" for side, _ in columns]
    lines = [[re.sub(r"([|\\*`<\[~&])", r"\\\1", cell) for cell in line]
             for line in lines_of(columns)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [*lines[:1], marks, *lines[1:]])


LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
         "[": "{[}", "*": "{*}",  # to the line break before them, they are arguments
         **{sign: f"\\{sign}" for sign in "&%$#_{}"}, **{sign: f"${sign}$" for sign in "<>|"}}


def latex_text(rows: "Sequence[Row]") -> str:
    """The table for people as a LaTeX tabular, with the rules of the package booktabs."""
    columns = shown_columns(rows)
    lines = []
    for line in lines_of(columns):
        cells = ["".join(LATEX.get(sign, sign) for sign in cell) for cell in line]
        cells = [re.sub("^-(?=[0-9])", "$-$", cell) for cell in cells]
        lines.append(rf"{' & '.join(cells)} \\")
    form = "".join(side for side, _ in columns)
    return "\n".join([rf"\begin{{tabular}}{{{form}}}", r"\toprule", *lines[:1], r"\midrule",
                      *lines[1:], r"\bottomrule", r"\end{tabular}"])


def plain_value(text: str) -> "Union[str, int, float, None]":
    """A value for JSON: a number where the text is how JSON writes one.

    >>> plain_value("3"), plain_value("1e-3"), plain_value("007"), plain_value("4G")
    (3, 0.001, '007', '4G')
    """
    if not re.fullmatch(r"-?(0|[1-9][0-9]{0,300})(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", text):
        return text
    return int(text) if text.lstrip("-").isdigit() else json_value(float(text))


def json_value(value: "Optional[float]") -> "Union[str, float, None]":
    """A number as JSON can have it: "inf" and "-inf" as texts that float() reads, no nan."""
    if value is None or abs(value) < float("inf"):
        return value
    return str(value) if value == value else None


def results_document(rows: "Sequence[Row]") -> "List[Dict[str, Any]]":
    """Rows as plain values for programs; None where something is unknown."""
    return [{**row.facts, "params": {key: plain_value(text) for key, text in row.params.items()},
             "metrics": dict(row.metrics)} for row in rows]


def json_text(rows: "Sequence[Row]") -> str:
    document = results_document(rows)
    for entry in document:
        entry["metrics"] = {name: json_value(value) for name, value in entry["metrics"].items()}
    return json.dumps(document, indent=2)


FORMATS = {"table": table_text, "csv": csv_text, "json": json_text, "markdown": markdown_text,
           "latex": latex_text}

# -- the page

PAGE_FACTS = ("task", "run", "state", "started", "ended", "host", "cause")
STYLE = """\
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #59626d; --line: #d5dae0;
  --page: #fff; --soft: #f3f5f7; --succeeded: #077a59; --failed: #b83f0b; --interrupted: #8a5b00;
  --skipped: #8a8f98; --running: #2f83c9; --queued: #8e7bb5; --handed: #b5628f;
  --waiting: #a3a9b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --faint: #9aa4b0; --line: #363d46;
  --page: #14171b; --soft: #1e2329; --succeeded: #35b58d; --failed: #f0723c;
  --interrupted: #e0a52e; --running: #5aaaf0; --queued: #a793d1; --handed: #d487b2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1500px; padding: 0 16px 40px; background: var(--page);
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1, h2 { font-size: 1.2em; margin: 24px 0 4px; } h3, p, ol { font-size: 1em; margin: 4px 0; }
.faint, footer { color: var(--faint); font-size: .9em; }
button, select, input { font: inherit; color: inherit; background: var(--soft); max-width: 100%;
  padding: 2px 8px; border: 1px solid var(--line); border-radius: 5px; text-align: left; }
button { cursor: pointer; overflow-wrap: anywhere; } #body td { cursor: pointer; }
:focus-visible { outline: 2px solid var(--running); }
#bar { position: sticky; top: 0; z-index: 2; background: var(--page); padding: 8px 0;
  display: flex; flex-wrap: wrap; gap: 6px 14px; border-bottom: 1px solid var(--line); }
#ramp { display: inline-block; width: 100px; height: 12px; } #best b { font-size: 1.4em; }
svg { display: block; width: 100%; font-size: 11px; fill: var(--ink); }
.axis { stroke: var(--line); } .mean { fill: none; stroke: var(--ink); stroke-width: 1.5; }
#panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 20px; }
.wide { overflow: auto; max-height: 75vh; }
table { border-collapse: collapse; overflow-wrap: normal; }
td, th { border: 1px solid var(--line); padding: 3px 8px; text-align: left; max-width: 320px;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
th { background: var(--soft); position: sticky; top: 0; }
#cells td { padding: 0; min-width: 58px; }
#cells button { width: 100%; border: 0; border-radius: 0; text-align: center; }
th button { background: none; border: 0; padding: 0; font-weight: 600; white-space: nowrap; }
@media (max-width: 600px) { #bar { position: static; } }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
"""
PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,"><title>{title}</title><style>{style}</style></head><body>
<h1>{title}</h1><p id="lead">{lead}</p><p>{counts}</p><p class="faint">{same}</p>
<noscript>This page needs scripts; hydraflow results prints its table.</noscript>
<main hidden><div id="bar"><label>Measure <select id="measure"></select></label>
<label>best is <select id="best-is"><option>lowest</option><option>highest</option></select></label>
<span>averaged over <span id="seeds"></span></span>
<span><span id="low"></span> <span id="ramp"></span> <span id="high"></span></span>
<span><input id="search" type="search" placeholder="filter: key=value, or any text"
 aria-label="filter"> <span id="count"></span></span></div>
<section><h2>Best combination</h2><ol id="best"></ol></section>
<section><h2>Failures</h2><ul id="causes"></ul></section>
<section><h2>Two parameters</h2><p><label>down <select id="down"></select></label>
<label>across <select id="across"></select></label></p>
<div class="wide"><table id="cells"></table></div></section>
<section><h2>Effect of each parameter</h2><p class="faint">share: how much of the measure's
variance a parameter explains alone; the line joins means</p><div id="panels"></div></section>
<section><h2>Timeline</h2><p class="faint">hours:minutes:seconds; a row for each place
<span id="legend"></span></p>
<div id="timeline"></div></section>
<section><h2>Tasks</h2><div class="wide"><table><thead><tr id="head"></tr></thead>
<tbody id="body"></tbody></table></div><p><button id="more"></button></p></section></main>
<footer>Made by <code>{command}</code></footer>
<script type="application/json" id="data">{data}</script><script>{script}</script></body></html>
"""
SCRIPT = r"""
"use strict";
// The data are columns: kind, name, cells. shown are the rows that the filter lets through; every
// view is drawn anew from them. A parameter that varies has its distinct values, and each row the
// index of its own in codes. Texts become text nodes.
const all = JSON.parse(document.getElementById("data").textContent);
const every = (kind) => all.filter((one) => one[0] === kind).map((one) => (
  {name: String(one[1]), cells: one.slice(2)}));
const facts = Object.fromEntries(every("facts").map(({name, cells}) => [name, cells]));
const metrics = every("metrics"), rows = (facts.task ?? []).map((task, index) => {
  const fact = (name) => facts[name]?.[index] ?? null, run = fact("run");
  return {index, name: run === null ? String(task) : `${task}.${run}`, state: fact("state"),
    began: fact("started"), ended: fact("ended"), host: String(fact("host") ?? ""),
    cause: String(fact("cause") ?? "")};
});
const params = every("params").map(({name, cells}) => {
  const words = [...new Set(cells)].filter((one) => one !== null);
  const isNumber = words.every((one) => typeof one === "number");
  if (isNumber) words.sort((one, other) => one - other);
  return {name, cells, words, isNumber, codes: new Map(words.map((one, code) => [one, code]))};
}).filter(({cells, words}) => cells.length < 2 || words.length > 1 || cells.includes(null));
for (const row of rows) row.codes = params.map((one) => one.codes.get(one.cells[row.index]) ?? -1);
let shown = rows, measure = 0, limit = 200, sorted = null;

const find = (id) => document.getElementById(id);
const finite = (list) => list.map(value).filter(Number.isFinite);
const mean = (list) => list.reduce((sum, one) => sum + one, 0) / list.length;
const squares = (list, middle = mean(list)) => (
  list.reduce((sum, one) => sum + (one - middle) ** 2, 0));
const short = (one) => typeof one === "string" ? one
  : Number.isFinite(one) ? String(Number(one.toPrecision(4))) : "";
const colour = (state) => `var(--${state.split(" ")[0]}, var(--waiting))`;
const mixed = (part) => `hsl(${280 - 220 * part} 60% ${30 + 45 * part}%)`;
const duration = (row) => row.ended === null ? NaN : row.ended - row.began;
const value = (row) => row.state !== "succeeded" ? NaN
  : measure < metrics.length ? Number(metrics[measure].cells[row.index] ?? NaN) : duration(row);
const measured = () => metrics[measure]?.name ?? "duration";
const extent = (list) => list.reduce(([low, high], one) => [Math.min(low, one),
  Math.max(high, one)], [Infinity, -Infinity]);
const columns = [
  {name: "task", get: (row) => row.name, key: (row) => Number(row.name), isNumber: true},
  {name: "state", get: (row) => row.state},
  ...params.map(({name, cells, isNumber}, param) => ({name, isNumber,
    key: (row) => row.codes[param], get: (row) => String(cells[row.index] ?? "")})),
  ...metrics.map(({name, cells}) => ({name, isNumber: true,
    key: (row) => Number(cells[row.index] ?? NaN), get: (row) => String(cells[row.index] ?? "")})),
  {name: "duration", get: (row) => short(duration(row)), key: duration, isNumber: true},
  {name: "host", get: (row) => row.host}, {name: "cause", get: (row) => row.cause}];
const assigned = (list, row) => list.map(({name, get}) => `${name}=${get(row)}`).join(" ");
const about = (row) => `${assigned(columns.slice(0, -1), row)} ${row.cause}`;

function make(tag, attributes, ...children) {
  const isSvg = ["svg", "path", "circle", "text", "title", "polyline"].includes(tag);
  const element = isSvg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, one] of Object.entries(attributes)) {
    if (typeof one === "function") element.addEventListener(name, one);
    else element.setAttribute(name, one);
  }
  element.append(...children);
  return element;
}

// A scale maps numbers to 0..1: by their logarithms where they are positive, span decades, and
// most of them are small.
function scaled(numbers) {
  const [low, high] = extent(numbers), middle = numbers.slice().sort((one, other) => one - other)[
    numbers.length >> 1], isLog = low > 0 && high / low > 30 && middle < (low + high) / 4;
  const at = (one) => isLog ? Math.log(one) : one;
  const place = (one) => high > low ? (at(one) - at(low)) / (at(high) - at(low)) : 0.5;
  return Object.assign(place, {low, high, isLog});
}

// Values of a parameter in at most 12 groups of neighbours, for a grid and for means.
function groups(param) {
  const {name: key, words} = params[param], size = Math.ceil(words.length / 12), result = [];
  for (let first = 0; first < words.length; first += size) {
    const last = Math.min(first + size, words.length) - 1, isOne = first === last;
    const name = isOne ? String(words[first])
      : `${short(words[first])} \u2013 ${short(words[last])}`;
    const test = (row) => row.codes[param] >= first && row.codes[param] <= last;
    result.push({first, last, name, test, query: isOne ? `${key}=${name}` : ""});
  }
  return result;
}

// Parameters and the share of the variance that each explains, the largest first.
function byEffect() {
  const good = shown.filter((row) => Number.isFinite(value(row))), all = finite(good);
  return params.map((_, param) => {
    const parts = groups(param).map(({test}) => finite(good.filter(test)));
    const between = parts.filter((part) => part.length).reduce((sum, part) => (
      sum + part.length * (mean(part) - mean(all)) ** 2), 0);
    return [param, between / squares(all) || 0];
  }).sort((one, other) => other[1] - one[1]);
}

// Words of a filter are parts of what is said about a row; key=value is a whole word of it.
function filter(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  find("search").value = query;
  shown = !words.length ? rows : rows.filter((row) => {
    const text = ` ${about(row).toLowerCase()} `;
    return words.every((one) => text.includes(one.includes("=") ? ` ${one} ` : one));
  });
  draw();
}
const chooser = (text, query) => make("button", {title: query, click: () => filter(query)}, text);

function drawBest() {
  const seeds = Array.from(find("seeds").querySelectorAll("input:checked"), (one) => +one.value);
  const sign = find("best-is").value === "lowest" ? 1 : -1, members = new Map();
  for (const row of shown) {
    const key = row.codes.filter((_, param) => !seeds.includes(param)).join();
    if (!members.has(key)) members.set(key, []);
    members.get(key).push(row);
  }
  const means = Array.from(members.values(), (list) => ({list, numbers: finite(list)}));
  const most = extent(means.map((one) => one.numbers.length))[1];
  const best = means.filter(({numbers}) => 2 * numbers.length > most)  // one lucky seed is none
    .sort((one, other) => sign * (mean(one.numbers) - mean(other.numbers))).slice(0, 5);
  const title = best.length ? `${find("best-is").value} ${measured()}` : `no ${measured()} yet`;
  find("best").replaceChildren(title, ...best.map(({list, numbers}, index) => {
    const spread = short(Math.sqrt(squares(numbers) / (numbers.length - 1)));
    const kept = columns.slice(2, 2 + params.length).filter((_, param) => !seeds.includes(param));
    const words = assigned(kept, list[0]) || `task=${list[0].name}`;
    return make("li", {}, make(index ? "span" : "b", {}, short(mean(numbers))),
      list.length === 1 ? " " : ` \u00b1 ${spread}, ${numbers.length} of ${list.length} tasks `,
      chooser(words, words));
  }));
}

function drawCauses() {
  const counts = new Map();
  for (const {cause} of shown) if (cause) counts.set(cause, (counts.get(cause) ?? 0) + 1);
  const order = Array.from(counts).sort((one, other) => other[1] - one[1]).slice(0, 10);
  find("causes").replaceChildren(...order.map(([cause, count]) => make("li", {},
    chooser(`${count} \u00d7 ${cause}`, cause))));
  find("causes").parentNode.hidden = !order.length;
}

function drawGrid(at) {
  const [down, across] = ["down", "across"].map((id) => Number(find(id).value));
  const seconds = groups(across), head = (text) => make("th", {}, text);
  const cell = (first, second) => {
    const list = shown.filter((row) => first.test(row) && second.test(row));
    if (!list.length) return make("td", {});
    const bad = list.filter((row) => row.state === "failed").length, result = mean(finite(list));
    const text = short(result) + (bad ? ` \u2717${bad}` : "") || "\u2013";
    const button = chooser(text, `${first.query} ${second.query}`.trim());
    if (Number.isFinite(result)) {
      button.style.background = mixed(at(result));
      button.style.color = at(result) > 0.33 ? "#000" : "#fff";
    }
    return make("td", {}, button);
  };
  find("cells").replaceChildren(
    make("tr", {}, head(`${params[down].name} \\ ${params[across].name}`),
      ...seconds.map(({name}) => head(name))),
    ...groups(down).map((first) => make("tr", {}, head(first.name),
      ...seconds.map((second) => cell(first, second)))));
}

function panel([param, share], at, good) {
  const {name, words, isNumber} = params[param], along = isNumber ? scaled(words) : null;
  const x = (code) => 45 + 245 * (along ? along(words[code]) : (code + 0.5) / words.length);
  const y = (one) => 125 - 110 * at(one), every = Math.ceil(good.length / 400);
  const dots = good.filter((row, index) => index % every === 0 && row.codes[param] >= 0);
  const line = groups(param).map(({first, last, test}) => [(x(first) + x(last)) / 2,
    y(mean(finite(good.filter(test))))]).filter((point) => Number.isFinite(point[1]));
  const some = words.map((_, code) => code).filter((code) => (
    code % Math.ceil(words.length / 5) === 0));
  const title = `share ${Math.round(100 * share)} %${along?.isLog ? ", log axis" : ""}`;
  return make("div", {}, make("h3", {}, `${name} `, make("span", {class: "faint"}, title)),
    make("svg", {viewBox: "0 0 310 150"},
      make("path", {d: "M40 10v120h265", fill: "none", class: "axis"}),
      make("text", {x: 0, y: 18}, short(at.high)), make("text", {x: 0, y: 128}, short(at.low)),
      ...dots.map((row) => make("circle", {cx: x(row.codes[param]), cy: y(value(row)), r: 3,
        opacity: 0.7, fill: mixed(at(value(row)))}, make("title", {}, about(row)))),
      make("polyline", {class: "mean", points: line.join(" ")}),
      ...some.map((code) => make("text", {x: x(code), y: 146, "text-anchor": "middle"},
        short(words[code]).slice(0, 12)))));
}

// A lane is a place that executes one task after the other; the tasks of a state are one path.
function drawTimeline() {
  const timed = shown.filter((row) => row.began !== null)
    .sort((one, other) => one.began - other.began);
  const [start, end] = extent(timed.flatMap((row) => [row.began, row.ended ?? row.began + 0.01]));
  const lanes = [], paths = {}, texts = [], first = new Map();  // host -> its first end
  for (const row of timed) {
    const {host, began} = row, isFree = (one) => one.host === host && one.end <= began;
    let lane = first.get(host) <= began && lanes.find(isFree);
    if (!lane) lanes.push(lane = {host, end: 0, rows: []});
    lane.rows.push(row);
    lane.end = row.ended ?? Infinity;
    first.set(host, Math.min(first.get(host) ?? Infinity, lane.end));
  }
  lanes.sort((one, other) => one.host < other.host ? -1 : one.host > other.host ? 1 : 0);
  const width = find("timeline").clientWidth || 900;
  const height = Math.max(3, Math.min(16, 360 / lanes.length)), bottom = lanes.length * height;
  const x = (moment) => 90 + (width - 100) * (moment - start) / (end - start || 1);
  lanes.forEach(({host, rows: members}, index) => {
    if (!index || lanes[index - 1].host !== host) {
      texts.push(make("text", {x: 0, y: index * height + 11}, host.slice(0, 13)));
    }
    for (const {state, began, ended} of members) {
      const length = Math.max(x(ended ?? end) - x(began) - 0.5, 1).toFixed(1);
      paths[state] = `${paths[state] ?? ""}M${x(began).toFixed(1)} `
        + `${(index * height).toFixed(1)}h${length}v${(height - 1).toFixed(1)}h-${length}z`;
    }
  });
  for (const part of [0, 0.5, 1]) {
    const seconds = part * (end - start), clock = [seconds / 3600, seconds / 60 % 60, seconds % 60];
    texts.push(make("text", {x: x(start + seconds), y: bottom + 14, "text-anchor":
      part === 1 ? "end" : "middle"}, end - start < 10 ? `${short(seconds)} s` : clock.map(
      (one) => String(Math.floor(one)).padStart(2, "0")).join(":")));
  }
  find("legend").replaceChildren(...Object.keys(paths).map((state) => make("span", {
    style: `color: ${colour(state)}`}, `\u25a0 ${state} `)));
  const shapes = Object.entries(paths).map(([state, d]) => make("path", {d, fill: colour(state)}));
  find("timeline").replaceChildren(
    make("svg", {viewBox: `0 0 ${width} ${bottom + 20}`}, ...shapes, ...texts));
  find("timeline").parentNode.hidden = !timed.length;
}

function drawTable() {
  const by = columns[sorted.index], key = by.key ?? by.get;
  const order = shown.slice().sort((one, other) => {
    const [first, second] = [key(one), key(other)];
    if (first !== first || second !== second) return (first !== first) - (second !== second);
    return (sorted.down ? -1 : 1) * (first < second ? -1 : first > second ? 1 : 0);
  });
  const sort = (index) => {
    sorted = {index, down: sorted.index === index && !sorted.down};
    drawTable();
  };
  const mark = (one) => one !== by ? "" : sorted.down ? " \u25be" : " \u25b4";
  find("head").replaceChildren(...columns.map((one, index) => make("th", {},
    make("button", {click: () => sort(index)}, one.name + mark(one)))));
  find("body").replaceChildren(...order.slice(0, limit).map((row) => make("tr", {},
    ...columns.map(({name, get, isNumber}) => make("td", {title: get(row),
      class: isNumber ? "number" : "", style: name === "state" ? `color: ${colour(row.state)}` : "",
      click: () => filter(name === "cause" ? get(row) : `${name}=${get(row)}`)}, get(row))))));
  find("more").textContent = `${order.length - limit} more`;
  find("more").hidden = order.length <= limit;
}

function draw() {
  const good = shown.filter((row) => Number.isFinite(value(row))), at = scaled(finite(good));
  find("count").textContent = shown.length < rows.length ? `${shown.length} of ${rows.length}` : "";
  find("ramp").style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map(mixed)})`;
  find("low").textContent = short(at.low);
  find("high").textContent = short(at.high) + (at.isLog ? " (log)" : "");
  drawBest();
  drawCauses();
  find("cells").closest("section").hidden = params.length < 2;
  find("panels").parentNode.hidden = !params.length;
  if (params.length > 1) drawGrid(at);
  find("panels").replaceChildren(...byEffect().map((one) => panel(one, at, good)));
  drawTimeline();
  drawTable();
}

// A new measure: its best end, the parameters that look like seeds, the two of largest effect.
function begin() {
  measure = find("measure").selectedIndex;
  const order = byEffect();
  const isLow = /loss|err|rmse|mse|mae|perpl|ppl|time|duration|cost|latency/i.test(measured());
  const isSeed = /(^|[._/-])(seed|fold|repeat|replicate|trial)s?$/i;
  const named = params.flatMap(({name}, param) => isSeed.test(name) ? [param] : []);
  const [least, share] = order[order.length - 1] ?? [];
  const seeds = named.length || order.length < 2 || share >= 0.01 ? named : [least];
  for (const box of find("seeds").querySelectorAll("input")) {
    box.checked = seeds.includes(Number(box.value));
  }
  find("best-is").value = isLow ? "lowest" : "highest";
  const rest = order.filter(([param]) => !seeds.includes(param)).concat(order);
  if (params.length > 1) {
    find("down").value = rest[0][0];
    find("across").value = rest.find(([param]) => param !== rest[0][0])[0];
  }
  sorted = {index: columns.findIndex(({name}) => name === measured()), down: !isLow};
  draw();
}

function setUp() {
  const option = (name, value) => make("option", {value}, name);
  find("measure").append(...[...metrics.map(({name}) => name), "duration"].map(option));
  find("seeds").append(...params.map(({name}, value) => make("label", {},
    make("input", {type: "checkbox", value, change: draw}), `${name} `)));
  for (const id of ["down", "across"]) {
    find(id).append(...params.map(({name}, index) => option(name, index)));
  }
  for (const id of ["down", "across", "best-is"]) find(id).addEventListener("change", draw);
  find("measure").addEventListener("change", begin);
  find("search").addEventListener("input", () => filter(find("search").value));
  find("more").addEventListener("click", () => { limit += 1000; drawTable(); });
  addEventListener("resize", drawTimeline);
  document.querySelector("main").hidden = false;
  begin();
}
if (rows.length) setUp();
"""


def page_text(text: str, longest: int = 200) -> str:
    return shortened(" ".join(printable(text).split("\n")), longest)


def report_page(found: Survey, rows: "Sequence[Row]", command: str) -> str:
    """An HTML page that shows rows of a run and fetches nothing; its counts are those of status."""
    from html import escape
    data = []
    for kind, cells in columns_of(rows):
        if kind != "facts" or cells[0] in PAGE_FACTS:
            data.append([kind, *(plain_value(page_text(cell)) if isinstance(cell, str)
                                 else json_value(cell) for cell in cells)])
    text = json.dumps(data, separators=(",", ":"))
    texts = {"title": found.ledger.start.job, "command": command, "same": same_text(rows),
             "lead": "; ".join([head_line(found), *code_lines(found)]),
             "counts": counts_text(found.counts())}
    return PAGE.format(
        style=STYLE, script=SCRIPT,
        data=re.sub("[<>&]", lambda sign: f"\\u{ord(sign[0]):04x}", text),
        **{name: escape(page_text(one, 2000)) for name, one in texts.items()})


# ---------------------------------------------------------------------------
# 14. Command line: argv -> exit status
# ---------------------------------------------------------------------------
# Each subcommand is a function NAME_command and a row of COMMANDS, which lists its options. From
# the rows come the parser, the help, completion and suggestions. argparse reads the options; the
# other words stay in args.words, in their order: overrides, numbers of tasks, KEY=VALUE, metrics.
# main is the one place that turns an Error into a message. Exit status: 0 all succeeded, 1 a task
# failed, 2 a mistake of the user's, 130 interrupted.

JOB_FILE_TEMPLATE = """\
# hydraflow run train            executes the tasks of train
# hydraflow run train --dry-run  only prints their commands
# hydraflow results train loss   shows the results
# More is in the README: sweeps, keys of a job, clusters.
jobs:
  train:
    run: python {program}
{hydra}    max-parallel: 2              # how many tasks at once
    # submit: sbatch --time=10   # hand the tasks to Slurm as an array job
    steps:
      # Every combination of the values is a task.
      - batch: >-
          {plus}model=transformer,lstm
          {plus}learning_rate=0.1,0.01,0.001
        args: {plus}epochs=3           # a part of every task
        exclude: model=lstm learning_rate=0.1
"""
NO_HYDRA = "    hydra: false                 # not a Hydra application: add no words of Hydra\n"
TRAIN_TEMPLATE = """\
import sys

settings = dict(word.split("=", 1) for word in sys.argv[1:])
print("training", settings)
loss = 1.0
for epoch in range(int(settings["epochs"])):
    loss *= 1 - float(settings["learning_rate"])
    print("epoch", epoch, "loss", round(loss, 4))
"""
HYDRA_TRAIN_TEMPLATE = """\
import hydra


@hydra.main(version_base=None, config_path=None, config_name=None)
def train(settings):
    print("training", settings)
    loss = 1.0
    for epoch in range(settings.epochs):
        loss *= 1 - settings.learning_rate
        print("epoch", epoch, "loss", round(loss, 4))


train()
"""
COMPLETION = {  # the program itself finds the words; the shell executes and expands none of them
    "bash": """\
# bash: put this line into ~/.bashrc:  eval "$(hydraflow completion bash)"
_hydraflow() {
    COMPREPLY=()
    local word last="${COMP_LINE:0:COMP_POINT}"
    last="${last##* }"
    last="${last%"${last##*[=:]}"}"  # to bash, what follows = or : is a word of its own
    while IFS= read -r word; do
        word="${word#"$last"}"
        [[ $word == *= ]] || printf -v word %q "$word"
        COMPREPLY+=("$word")
    done < <(hydraflow complete "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _hydraflow hydraflow
""",
    "zsh": """\
# zsh: put this line into ~/.zshrc, after compinit:  eval "$(hydraflow completion zsh)"
_hydraflow() {
    local -a found
    found=("${(@f)$(hydraflow complete "${(j: :)${(@qq)${(@Q)words[1,CURRENT]}}}" 2>/dev/null)}")
    if [[ -z "${found[1]}" ]]; then _files
    elif [[ "${found[*]}" == *= ]]; then compadd -Q -S "" -- "${(@q)found}"
    else compadd -Q -- "${(@q)found}"; fi
}
compdef _hydraflow hydraflow
""",
    "fish": """\
# fish: put this line into ~/.config/fish/config.fish:  hydraflow completion fish | source
function _hydraflow
    hydraflow complete (commandline -cp | string collect) 2>/dev/null
    or __fish_complete_path (commandline -ct)
end
complete -c hydraflow -f -a "(_hydraflow)"
""",
}


# -- words of the command line


def as_typed(text: str, directory: "Optional[str]" = None, file: "Optional[str]" = None) -> str:
    """A text whose commands begin as the user's did, with -C and -f where they have values."""
    words = ["hydraflow"]
    if sys.argv[0].endswith("hydraflow.py"):
        words = [os.path.basename(sys.executable), sys.argv[0]]
        if getattr(sys.modules["__main__"], "__spec__", None):
            words[1:] = ["-m", "hydraflow"]
    for name, value in (("-C", directory), ("-f", file)):
        words += [name, value] if value else []
    program = shell_text(words)
    return re.sub(r"\bhydraflow (?=[a-z-])", lambda match: f"{program} ", text)


def typed(args: "argparse.Namespace", *words: str) -> str:
    return as_typed(f"hydraflow {words[0]} ", args.directory, args.file) + shell_text(words[1:])


def no_job(valid: "Iterable[str]") -> Error:
    names = ", ".join(valid)
    hint = f"the jobs are {names}" if names else "list the jobs: hydraflow show"
    return Error("no-job", "no job given", hint)


def record_key(file: "Optional[str]", job: str) -> str:
    """The name under which records of a job are kept: with its job file, if that is another one.

    >>> record_key(None, "train"), record_key("./hydraflow.yaml", "train")
    ('train', 'train')
    >>> record_key("./other.yaml", "train")
    'other.yaml:train'
    """
    path = os.path.relpath(file or JOB_FILES[0])
    return job if path in JOB_FILES else f"{path}:{job}"


# -- run


def jobs_to_run(args: "argparse.Namespace") -> "Dict[str, Job]":
    """The jobs that include the one of the command line, or the one that it spells itself."""
    if args.job is None and args.after:
        job = spelled_job(args)
        args.job, args.after = job.key, []
        return {job.key: job}
    if args.job is None:
        raise no_job(load(args.file))
    if args.name:
        raise Error("not-for-a-job", "--name is for a command after --, not for a job",
                    "name: in the job file is the name of a job")
    jobs = load(args.file, args.job)
    bad_jobs = [job for job in jobs.values() if job.errors]
    if bad_jobs:
        verb = "have" if len(bad_jobs) > 1 else "has"
        say(f"{counted(len(bad_jobs), 'other job')} of the file {verb} mistakes: hydraflow show")
    job = jobs[args.job]
    if not is_for_handler(job):
        keys = parameter_keys(job)
        check_options(args.command, [word for word in args.words if key_of(word) not in keys])
    return jobs


def plans_of(args: "argparse.Namespace") -> "List[Plan]":
    """The plans of the job and, before it, of those that it needs."""
    jobs = jobs_to_run(args)
    plans = []
    for job in order_needs(jobs, args.job):
        given = [[*args.words, "--", *args.after], args.sample] if job.key == args.job else []
        kept = job._replace(key=record_key(args.file, job.key), needs=[
            (record_key(args.file, name), mark) for name, mark in job.needs])
        plan = Plan(kept, *given)
        for axis in plan.added:
            say(f"{', '.join(axis.keys)} is not in the job: added ({counted(axis.count, 'value')})")
        if plan.is_exact and not plan.count:
            raise Error("no-tasks", f"job {job.key} has no tasks",
                        "exclude: drops all of its combinations, or an axis has no values",
                        job.mark)
        plans.append(plan)
    return plans


def run_command(args: "argparse.Namespace") -> int:
    """Execute the tasks of a job and of the jobs that it needs."""
    import shutil
    given = {name: value for name, value in vars(args).items()
             if name in Options._fields and value is not None}
    execution = Execution(plans_of(args), Options(**{**given, "words": args.typed}))
    if args.dry_run:
        return print_dry(execution)
    if os.name != "posix":
        raise Error("not-posix", "tasks need Linux, macOS or another POSIX system",
                    "--dry-run works here")
    try:
        return show_execution(execution, args)
    finally:
        for run in execution.runs:
            run.lock.release()
            if run.is_open and run.is_new and not run.begun:
                shutil.rmtree(run.record.path, ignore_errors=True)


def print_dry(execution: Execution) -> int:
    """Print commands, one per line; on a terminal the first ones, and how many there are."""
    lines = chain.from_iterable(stage.describe() for stage in execution.stages)
    for line in islice(lines, 50 if sys.stdout.isatty() else None):
        put(line)
    if next(lines, None) is not None:
        counts = " and ".join(tasks_text(run.plan) for run in execution.runs)
        say(f"... {counts} in all; to see them: ... --dry-run | less")
    return 0


def step_text(step: PlannedStep) -> str:
    """How many tasks a step has, and its axes: 6 tasks: model (2) x lr (3)."""
    axes = [f"{', '.join(axis.spelled)} ({axis.count:,})"
            for axis in step.sweep.axes if axis.count > 1]
    return tasks_text(step) + ": " * bool(axes) + " x ".join(axes)


def show_execution(execution: Execution, args: "argparse.Namespace") -> int:
    runs, plan = execution.runs, execution.runs[-1].plan
    screen = Screen(runs, args.quiet)
    if not args.quiet and plan.count > 1:
        steps = f"{tasks_text(plan)} in {len(plan.steps)} steps"
        say(steps if len(plan.steps) > 1 else step_text(plan.steps[0]))
    try:
        for event in execution.execute():
            screen.show(event)
    finally:
        screen.finish()
    say_ends(execution)
    is_bad = any(run.refused or run.has_failed() or run.unfinished() > 0 for run in runs)
    say_next(execution, is_bad, args)
    return 130 if execution.is_interrupted else int(is_bad)


def say_ends(execution: Execution) -> None:
    *needed, last = execution.runs
    for run in execution.runs:
        if run.counts["failed"]:
            say_failures(survey(run.record))
    failed = [run.job.key for run in needed if not run.has_succeeded()]
    if failed and not execution.is_interrupted:
        say(f"{last.job.key} was not started: job {failed[0]} has not succeeded")


def say_next(execution: Execution, is_bad: bool, args: "argparse.Namespace") -> None:
    if any(run.open() for run in execution.runs):
        say(f"see progress: {typed(args, 'status', args.job)}")
    elif is_bad and any(run.begun for run in execution.runs):
        say(f"run the rest: {typed(args, 'run', '--resume', *args.typed)}")
    elif not (is_bad or args.quiet):
        say(f"see the results: {typed(args, 'results', args.job)}")


# -- run -- COMMAND ::: AXES

LAUNCHERS = re.compile(
    r"(python|pypy|bash|sh|zsh|perl|ruby|Rscript|julia|node|uv|uvx|env|nice|time|timeout|srun|"
    r"mpirun|mpiexec|torchrun|accelerate|docker|podman|apptainer|singularity|conda|poetry|pixi)"
    r"[\d.]*$")
CODE = re.compile(  # a command SHELL -c SCRIPT, or with python, its words separated by NUL
    r"(?:\A|[\0/])(?:python[\d.]*|(?:ba|da|z|k|c|tc|fi)?sh)(?:\0-[oO]\0\w+|\0-[^\0]*)*?"
    r"\0-[A-Za-z]*c\0([^\0]*)")
PLACEHOLDER = re.compile(r"(?<!\$)\{([^{}\s]+)\}")
TASK_NAMES = ("task.dir", "task.slot", "task.index")
AXIS_MISTAKES = (  # pattern, message, hint
    (r":::.+", "{} is syntax of GNU parallel",
     "linked keys: 'a,b=(1,2),(3,4)'; lines of a file: 'f=lines(list.txt)'"),
    (r"[=\d].*|(?!\w+\(|:::)[^=]*", "expected key=value, found {}",
     "write {x} in the command and x=1,2 here; '$NAME=1,2' in quotes"),
    (r"[^=]*=[^'\"\[({]*\s\S*[\w)]=.*", "several axes in one word: {}",
     "one word for each axis: ::: a=1:3 b=x,y"))


def spelled_job(args: "argparse.Namespace") -> Job:
    """The job of a command without a job file: COMMAND WORD ... [::: AXIS ...].

    The command is taken word for word, as the shell gave it, but for {NAME} of the axes.
    """
    cut = max((index for index, word in enumerate(args.after) if word.startswith(":::")),
              default=len(args.after))
    words, mark, axes = args.after[:cut], args.after[cut:cut + 1], args.after[cut + 1:]
    check_axes([*mark, *axes])
    sweep = Sweep(axes, "command line", PROGRAM)
    raise_all(list(assigned_twice(sweep.axes, PROGRAM)))
    if not words:
        raise Error("no-command", "no command before :::",
                    "for example: hydraflow run -- echo ::: --x=1:3")
    if mark:
        words = placed(words, sweep)
    else:
        check_literal(args)
    name = args.name or program_name(words)
    for path in filter(os.path.exists, [args.file] if args.file else JOB_FILES):
        if name in read_jobs(read_job_file(path)):
            raise Error("name-of-a-job", f"{name} is a job of the job file",
                        f"choose another name: --name {name}-2")
    command = Source("command line", shell_text(words))
    return Job(name, name, steps=[Step(batch=sweep, run=command)])


def check_axes(axes: "Sequence[str]") -> None:
    """Raise an Error for words after ::: that the sweep language would not read as meant."""
    for word in axes:
        if word.partition("=")[0] in option_names(COMMANDS[0]):
            raise Error("option-as-axis", f"{word} is an option of run",
                        f"write it before --: {word}")
        for pattern, message, hint in AXIS_MISTAKES:
            if re.fullmatch(pattern, word, re.DOTALL):
                raise Error("invalid-axis", message.format(word), hint)


def placed(words: "Sequence[str]", sweep: Sweep) -> "List[str]":
    """The words of a command with templates for {NAME}; unused columns leave the sweep."""
    keys, named = keys_in(sweep.axes), set()

    def template(match: "Match[str]") -> str:
        key = match[1] if match[1] in keys else re.sub(r"\.(stem|name)$", "", match[1])
        named.add(key)
        if key in keys:
            return f"${{{{ matrix.{match[1]} }}}}"
        return f"${{{{ {key} }}}}" if key in TASK_NAMES else match[0]

    result = [PLACEHOLDER.sub(template, word) for word in words]
    if CODE.findall("\0".join(words)) != CODE.findall("\0".join(result)):
        raise Error("script-placeholder", "a placeholder in a script could become code",
                    "use \"$1\" in it, and add two words after it: bash {x}")
    sweep.axes = [used_columns(axis, named) for axis in sweep.axes]
    return result


def used_columns(axis: Axis, named: "Set[str]") -> Axis:
    """An axis, whose keys must have a place in the command, or be options or variables.

    Of rows(FILE) alone, columns without a place are not used; without any, all become words.
    """
    used = [key in named or name.startswith(("-", "$"))
            for key, name in zip(axis.keys, axis.spelled)]
    if all(used):
        return axis
    if not axis.text.startswith("rows("):
        key = axis.keys[used.index(False)]
        raise Error("unplaced-axis", f"{key} has no place in the command",
                    f"write {{{key}}} in the command, or --{key}= for an option")
    if not any(used):
        return axis
    columns = list(itertools.compress(axis.columns, used))
    return Axis(axis.part, list(itertools.compress(axis.spelled, used)), columns)


def check_literal(args: "argparse.Namespace") -> None:
    """Raise an Error for a placeholder of a command without axes; name the words that look like a
    sweep, and the line that would sweep."""
    for name in set(TASK_NAMES).intersection(PLACEHOLDER.findall(" ".join(args.after))):
        raise Error("no-axes", f"{{{name}}} needs ::: after the command",
                    "add ::: after the command; it needs no axis")
    command, axes = args.typed[:1 - len(args.after)], []  # type: List[str], List[str]
    for word in args.after[1:]:
        axis = f"x{len(axes) or ''}={word}" if re.match(r"[\d.]+[:,]", word) else word
        key, _, value = axis.partition("=")
        counts = read_each(lambda one: Sweep([one], kind=PROGRAM).count, [axis], [])
        if counts <= [1] or not re.fullmatch(r"-{0,2}[A-Za-z_][\w.-]*", key):
            command.append(word)
            continue
        axes.append(axis)
        command += [] if word[0] == "-" else [word.replace(value, f"{{{key}}}")]
    if axes:
        line = typed(args, "run", *command, ":::", *axes)
        say(f"1 task; to sweep over {shell_text(axes)}: {line}")


def program_name(words: "Sequence[str]") -> str:
    """The name of a job without a job file: that of its script, or program.

    >>> program_name(["uv", "run", "a.py"]), program_name(["python", "-m", "pkg.train", "x.sh"])
    ('a.py', 'pkg.train')
    """
    if LAUNCHERS.match(os.path.basename(words[0])):
        for word, before in zip(words[1:], words):
            if before == "-m" and re.match(r"[A-Za-z]", word):
                return word
            if re.search(r"\w\.(py|sh|R|jl|pl|rb|js)$|^\./", word):
                return os.path.basename(word)
    return os.path.basename(words[0])


# -- show, expand


def show_command(args: "argparse.Namespace") -> int:
    """List the jobs, or show how HydraFlow reads one of them."""
    jobs = load(args.file)
    if args.job:
        put("\n".join(job_lines(Plan(jobs[expect_name("job", args.job, jobs)]))))
        return 0
    rows = []
    for job in jobs.values():
        source = job.steps[0].run or job.steps[0].submit
        count = tasks_text(Plan(job)) if has_command(job) else "template"
        rows.append((job.key, count, source.text if source else ""))
    put(aligned(zip("lrl", zip(*rows))))
    return 0


def job_lines(plan: Plan) -> "Iterator[str]":
    """Yield the values of a job, and for each step its tasks and its first command."""
    job = plan.job
    yield f"{job.key}: {tasks_text(plan)}"
    for name, value in (
            ("name", job.name), ("needs", ", ".join(dict(job.needs))),
            ("max-parallel", "auto" if job.max_parallel == AUTO else job.max_parallel),
            ("fail-fast", job.fail_fast), ("retries", job.retries),
            ("timeout-minutes", job.timeout_minutes)):
        if value or value is False:
            yield f"  {name}: {str(value).lower() if isinstance(value, bool) else value}"
    for step in plan.steps:
        title = f" ({step.given.name})" if step.given.name else ""
        yield f"  step {step.number}{title}: {step_text(step)}"
        task = first_task(step)
        if task:
            yield f"    {task_text(task)}"


def expand_command(args: "argparse.Namespace") -> int:
    """Show the combinations of a sweep, and how many there are."""
    words = [*args.words, *args.after]
    if not words:
        raise Error("no-sweep", "no sweep given", "for example: hydraflow expand a=1:3")
    sweep = Sweep(" ".join(words))
    say(counted(sweep.count, "combination"))
    for combination in sweep:
        put(shell_text(combination))
    return 0


# -- records: status, logs, results, report, cancel, clean


def record_of(args: "argparse.Namespace") -> Record:
    """The record of the run that --run picks, else of the newest one; the job file need not name
    the job any more."""
    if not args.job:
        raise no_job(Ledger(record).start.job for record in Record.newest())
    return record_named(record_key(args.file, args.job), vars(args).get("run") or "")


def status_command(args: "argparse.Namespace") -> int:
    """Show the progress of runs, and their failures grouped by cause."""
    errors: List[Error] = []
    records = [record_of(args)] if any([args.job, args.all, args.run]) else Record.newest()
    if not records:
        raise Error("not-run", "nothing has been run here", "list the jobs: hydraflow show")
    if args.all:
        records = Record.all_in(os.path.dirname(records[0].path))
    found = read_each(survey, records, errors)
    if not found:
        raise_all(errors)
    if args.json:
        documents = list(map(status_document, found))
        put(json.dumps(documents[0] if args.job and not args.all else documents, indent=1))
    elif args.all:
        put(runs_table(found))
    else:
        for one in found:
            put_status(one, next_command(one, args))
    for error in errors:
        say(str(error))
    return 0


def runs_table(runs: "Iterable[Survey]") -> str:
    """Runs in short: end of the name, begin, words after run, code, tasks, their states."""
    lines = [("run", "began", "words", "code", "tasks", "state")]
    for found in runs:
        start = found.ledger.start
        lines.append((found.record.ulid[-8:], moment_text(found.ledger.starts[0].time),
                      shell_text(start.words), start.code, f"{start.count:,}",
                      counts_text(found.counts())))
    return aligned(("l", cells) for cells in zip(*lines))


def next_command(found: Survey, args: "argparse.Namespace") -> str:
    """The command that helps now: follow the run, continue it, see its results."""
    start = found.ledger.start
    file, _, job = start.job.rpartition(":")
    chosen = [job, "--run", args.run] if args.run else [job]
    command = ["run", "--resume", *(start.words or [job])]
    if where_text(found):
        command = ["logs", *chosen, "--follow"]
    elif args.run or count_good(found) == start.count:
        command = ["results", *chosen]
    return typed(argparse.Namespace(directory=args.directory, file=file), *command)


def selected_tasks(args: "argparse.Namespace"
                   ) -> "Tuple[Survey, List[int], List[str], List[str]]":
    """A run, its tasks that numbers and KEY=VALUE select (without any, all of them), the words
    KEY=VALUE, and the other words: metrics."""
    record = record_of(args)
    ledger = Ledger(record)
    pairs, digits, metrics = [], [], []  # type: List[str], List[str], List[str]
    for word in args.words:
        (pairs if "=" in word else digits if word.isdigit() else metrics).append(word)
    unknown = [word for word in digits if int(word) not in ledger.spans]
    unknown += metrics if "METRIC" not in args.command.words else []
    if unknown:
        raise Error("unknown-task", f"unknown task: {unknown[0]}",
                    f"list the tasks: hydraflow results {shlex.quote(args.job)}")
    numbers = set(map(int, digits)) or set(ledger.members)
    order = sorted(numbers.intersection(tasks_with(ledger, pairs)) if pairs else numbers)
    found = survey(record, order if pairs or digits else None, ledger)
    return found, order, pairs, metrics


GOING_ON = ("running", "queued", "waiting")


def logs_command(args: "argparse.Namespace") -> int:
    """Print the output of tasks."""
    found, numbers, _, _ = selected_tasks(args)
    is_titled = len(numbers) > 1 and not args.plain
    wanted = GOING_ON * args.follow * is_titled or tuple(STATES)
    wanted = ("failed", "interrupted") if args.failed else wanted
    numbers = [number for number in numbers if found.state(number).name in wanted]
    if not numbers:
        say("no matching task; --follow is about those that run, --failed about failures")
    offsets = dict.fromkeys(numbers, 0)
    last = is_titled - 1
    while True:
        for number in numbers:
            last = show_log(found, number, offsets, last)
        if not any(found.state(one).name in GOING_ON * args.follow for one in numbers):
            return 0
        time.sleep(2.0 if found.submissions else 0.2)
        found = survey(found.record, numbers)


def show_log(found: Survey, number: int, offsets: "Dict[int, int]", last: int) -> int:
    """Print new output of a task, with a title unless last is this task or -1; return last."""
    state = found.state(number)
    log = log_of(found.record, number, state)
    data = read_log(log, offsets[number], CHUNK)
    if data and last not in (-1, number):
        put(f"==> {name_of(found.ledger, number)} {state_text(state)} <==")
        last = number
    while data:
        offer(sys.stdout, CONTROLS.sub(rb"\1", data) if sys.stdout.isatty() else data, True)
        offsets[number] += len(data)
        data = read_log(log, offsets[number], CHUNK)
    return last


def selected_rows(args: "argparse.Namespace", sort: str = "") -> "Tuple[Survey, List[Row]]":
    """The run and the rows of results and report; sort may be a metric that was not named."""
    found, numbers, pairs, metrics = selected_tasks(args)
    rows = result_rows(found, metrics, numbers, args.state, pairs)
    if sort and rows and sort not in [*rows[0].facts, *parameters(rows), *metrics]:
        rows = result_rows(found, [*metrics, sort], numbers, args.state, pairs)
    if args.state and not rows:
        say(f"no task is {args.state}: {counts_text(found.counts())}")
    for line in [*code_lines(found), *metric_lines(rows)]:
        say(line)
    return found, rows


def metric_lines(rows: "Sequence[Row]") -> "Iterator[str]":
    """Yield lines about metrics that no output has, about numbers that there are, and about tasks
    with several runs, of which Hydra's lines tell nothing."""
    mixed = [row.facts["task"] for row in rows if row.facts["run"] is None
             and re.search(r"(?m) --multirun .*=[^'\"\[({ ]*,", " ".join(row.facts["argv"]))]
    if mixed:
        yield f"{tasks_numbered(mixed)}: no line of Hydra's, so its runs cannot be told apart"
    names = ", ".join(names_in(rows))
    metrics = rows[0].metrics if rows else {}
    for name in metrics:
        if all(row.metrics[name] is None for row in rows):
            yield f"no number follows {name} in the output; numbers there: {names or 'none'}"
    if names and not metrics:
        yield f"numbers in the output: {names}"


def results_command(args: "argparse.Namespace") -> int:
    """Show parameters, states and metrics of tasks side by side."""
    form = "csv" if args.csv else "json" if args.json else args.format or "table"
    name = re.sub("^-?count$|^-|_(std|count)$", "", args.sort or "")
    rows = []
    runs = args.run or [""]
    for run in runs:
        args.run = run
        added = {"run": run} if run else {}
        for row in selected_rows(args, name)[1]:
            rows.append(row._replace(params={**added, **row.params}))
    for key in parameters(rows)[:0:-1] * (len(runs) > 1):  # the same tasks side by side
        rows = sorted_rows(rows, key)
    if args.over:
        rows = over(rows, ",".join(args.over).split(","))
    put(FORMATS[form](sorted_rows(rows, args.sort) if args.sort else rows))
    return 0


def report_command(args: "argparse.Namespace") -> int:
    """Write an HTML page about a run and its results."""
    found, rows = selected_rows(args)
    command = typed(args, "report", args.job, *args.words)
    page = report_page(survey(found.record), rows, command)  # with the counts of status
    output = args.output or "report.html"
    with open(native(output), "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(page)
    say(f"wrote {output}: {counted(len(rows), 'row')}")
    return 0


def cancel_command(args: "argparse.Namespace") -> int:
    """Stop the running and queued tasks of a job."""
    newest = record_of(args)
    records, numbers = Record.all_in(os.path.dirname(newest.path)), None
    if args.words:
        records, numbers = [newest], selected_tasks(args)[1]
    kinds = []
    for record in records:
        try:
            for event in cancel_record(record, args.lost, numbers):
                kinds.append(event.kind)
                say(event.text)
        except Error as error:
            kinds.append("error")
            say(error.message)
    if not kinds:
        say("no task is running or queued")
    return int("error" in kinds)


def clean_command(args: "argparse.Namespace") -> int:
    """Remove old records, never the newest or a running one."""
    import shutil
    old = []
    for newest in [record_of(args)] if args.job else Record.newest():
        for found in removable(Record.all_in(os.path.dirname(newest.path)), args.keep or 1):
            size = tree_size(found.record.path) / 1e6
            say(f"{os.path.relpath(found.record.path)}: {head_line(found)}, {size:,.1f} MB")
            old.append(found.record)
    text = counted(len(old), "record")
    if sys.stdin.isatty() and not any([args.dry_run, args.yes, not old]):
        say(f"remove {text}? [y/N]")
        args.dry_run = not sys.stdin.readline().lower().startswith("y")
    for record in old if not args.dry_run else ():
        shutil.rmtree(record.path, ignore_errors=True)
    say(text if args.dry_run else f"removed {text}")
    return 0


def removable(records: "Sequence[Record]", keep: int) -> "Iterator[Survey]":
    """Yield the runs of a job that are old, not in use, and not needed by a newer one; a record
    that cannot be read stays."""
    needed: Set[str] = set()
    for index, found in enumerate(read_each(survey, reversed(records), [])):
        states = [state for _, state in found.members]
        if index < keep:
            needed.update(state.origin.partition("/")[0] for state in states)
        elif not (found.record.ulid in needed or found.holder
                  or any(state.is_alive for state in states)):
            yield found


def tree_size(path: str) -> int:
    total = 0
    for folder, names, files in os.walk(path):
        total += sum(os.lstat(os.path.join(folder, name)).st_blocks for name in names + files)
    return 512 * total


# -- init, schema, completion


def init_command(args: "argparse.Namespace") -> int:
    """Write a commented hydraflow.yaml, and a train.py unless there is one."""
    for name in filter(os.path.lexists, JOB_FILES):
        raise Error("file-exists", f"{name} exists",
                    "use another folder: mkdir sub && hydraflow -C sub init")
    from glob import glob
    scripts = [path for path in sorted(glob("*.py")) if args.hydra and path != "hydraflow.py"
               and b"@hydra.main" in read_log(path)]
    program = [*scripts, "train.py"][0]
    plus, no_hydra = ("++", "") if args.hydra else ("", NO_HYDRA)
    text = JOB_FILE_TEMPLATE.format(program=shlex.quote(program), plus=plus, hydra=no_hydra)
    groups = list(islice(group_words(), 2)) if args.hydra else []
    if groups:
        text = re.sub(r"(?<=batch: >-\n)(.*\n)*", "          " + " ".join(groups) + "\n", text)
    files = {JOB_FILES[0]: text}
    if not os.path.lexists(program):
        files[program] = HYDRA_TRAIN_TEMPLATE if args.hydra else TRAIN_TEMPLATE
    for name, content in files.items():
        with open(name, "x", encoding="utf-8") as file:
            file.write(content)
    advice = "look at its tasks: hydraflow run train --dry-run"
    say(as_typed(f"wrote {' and '.join(files)}; {advice}", args.directory))
    return 0


def group_words() -> "Iterator[str]":
    """Yield a word for each config group of conf/: + adds it if the defaults do not have it."""
    from glob import glob
    defaults = b"".join(map(read_log, glob("conf/*.yaml"))).decode("utf-8", "replace")
    for folder in sorted(glob("conf/*/")):
        group = os.path.basename(folder[:-1])
        names = [os.path.basename(path)[:-5] for path in sorted(glob(f"{folder}*.yaml"))]
        plus = "" if re.search(f"(?m)^ *- (optional )?/?{group}:", defaults) else "+"
        if len(names) > 1 and group != "hydra":
            yield f"{plus}{group}={','.join(names[:2])}"


def schema_command(args: "argparse.Namespace") -> int:
    """Print the JSON Schema of the job file, for editors."""
    put(json.dumps(job_schema(), indent=1))
    return 0


def completion_command(args: "argparse.Namespace") -> int:
    """Print a script that makes a shell complete command lines."""
    put(COMPLETION[expect_name("shell", args.job or "", COMPLETION)].rstrip())
    return 0


def complete_command(argv: "Sequence[str]") -> int:
    """Print the words that may replace the last one of a command line, a line each."""
    try:
        words = shlex.split(argv[0])
        last = "" if argv[0][-1:].isspace() else words.pop()
        found = [word for word in candidates(words[1:]) if word.startswith(last)]
    except (Error, OSError, ValueError):  # within quotes, without a job file
        found = []
    for word in found:
        if word.isprintable() and not (word == last and word.endswith("=")):
            put(word)
    return int(not found)  # with 1 the shell completes names of files


def candidates(words: "List[str]") -> "Iterable[str]":
    """The words that may follow words of a command line, after the program's name."""
    args = parse_arguments(words, argparse.Namespace())
    if args.command is MAIN:
        return [*(command.name for command in COMMANDS), *option_names(MAIN), "--help"]
    if args.command.words == "SHELL":
        return COMPLETION
    options = option_names(args.command)
    if "JOB" not in args.command.words:
        return options
    os.chdir(args.directory or ".")
    jobs = load(args.file)
    if args.job not in jobs:
        return [*jobs, *options]
    for step in jobs[args.job].steps:
        for axis in [*step.batch.axes, *step.args.axes]:
            options += [f"{axis.spelled[0]}=", *map(str, islice(axis, 100))]
    return options


def slot_command(argv: "Sequence[str]") -> int:
    """Execute the tasks of an array index: as an array task, or as a line for a handler."""
    status = interruption = 0
    record = Record(argv[0])
    stage = SlotStage(record, read_submission(record, int(argv[1])), int(argv[2]))
    for event in drive([stage]):
        if event.kind == "end" and event.state.name != "succeeded":
            status = max(1, min(event.state.status, 255))
        elif event.kind in ("note", "interrupt", "error"):
            say(event.text)
            status = status or int(event.kind == "error")
            interruption = interruption or event.number
    if interruption and len(argv) > 3:  # a handler's shell then begins no further line
        signal.signal(interruption, signal.SIG_DFL)
        send_signal(os.getpid(), interruption)
    return status if len(argv) > 3 else min(status, 1)  # 99 and 100 mean something to Grid Engine


# -- commands and options


class Command(NamedTuple):
    """A subcommand; words is its usage without options, example works after init.

    options has a line for each of them: names and value, two spaces or more, and the help.
    """
    name: str
    words: str
    function: "Callable[[argparse.Namespace], int]"
    example: str
    options: str = ""


def options_of(command: Command) -> "Iterator[Tuple[List[str], str, str]]":
    """Yield the names, the help's word for the value ("" for none), and the help of options."""
    for left, help_words in re.findall("(?m)^ *(-.+?)  +(.*)$", command.options):
        names = re.findall("-[A-Za-z-]+", left)
        yield names, " ".join(left.split()[len(names):]), help_words


RUN = "--run RUN  choose a run by the end of its name\n"
STATE = "--state STATE  select tasks in this state\n"
READERS: "Dict[str, Any]" = {  # of the values of options; others are texts
    "--jobs": read_parallel, "--retries": read_retries, "--timeout": read_minutes,
    "--pack": read_count, "--pack-parallel": read_count, "--keep": read_count,
    "--sample": read_sample,
    "--state": lambda node, kind: expect_name("state", node.value, STATES),
    "--format": lambda node, kind: expect_name("format", node.value, FORMATS)}
COMMANDS = (
    Command("run", "JOB [OVERRIDE ...] [options] [-- WORD ...]\n"
            "       hydraflow run [options] -- COMMAND WORD ... [::: AXIS ...]",
            run_command, "hydraflow run train learning_rate=0.1,0.2 --jobs 2", """
        --dry-run           print the commands and change nothing
        --resume            continue the last run: skip tasks that succeeded
        --reuse             count tasks that succeeded in older runs as done
        --sample N[:SEED]   take N tasks of each step at random
        --jobs -j N         execute N tasks at once, or auto
        --keep-going        start further tasks after a failure
        --retries N         try a failed task up to N times more
        --timeout MIN       stop a task after this time: 90 (minutes), 5s, 2h
        --name NAME         name the job of a command after --
        --note TEXT         describe the run, for status --all
        --quiet -q          show failures and the summary only
        --wait              wait until submitted tasks have ended
        --pack N            put N tasks into each array task
        --pack-parallel N   execute N tasks of a pack at once"""),
    Command("show", "[JOB]", show_command, "hydraflow show train"),
    Command("expand", "SWEEP ...", expand_command,
            "hydraflow expand 'model=cnn,vit lr=log(1e-3:1e-1:3)'"),
    Command("status", "[JOB]", status_command, "hydraflow status train", RUN + """
        --all   list the runs of the job, a line each
        --json  print every task in full, for programs"""),
    Command("logs", "JOB [TASK | KEY=VALUE ...]", logs_command,
            "hydraflow logs train model=lstm", RUN + """
        --follow  print new output until the tasks have ended
        --failed  show failed tasks only
        --plain   show no headers"""),
    Command("results", "JOB [METRIC | KEY=VALUE ...]", results_command,
            "hydraflow results train loss --sort loss", STATE + """
        --run RUN ...    choose a run by the end of its name, or compare several
        --sort NAME      order by a column or metric; --sort=-NAME descends
        --over KEY ...   average over a parameter, or several: seed,fold
        --format FORMAT  table, csv, json, markdown or latex
        --csv            same as --format csv
        --json           same as --format json"""),
    Command("report", "JOB [METRIC | KEY=VALUE ...]", report_command,
            "hydraflow report train loss -o report.html", RUN + STATE + """
        --output -o FILE  the page to write (default report.html)"""),
    Command("cancel", "JOB [TASK | KEY=VALUE ...]", cancel_command, "hydraflow cancel train",
            "--lost  give up tasks on machines that cannot be reached"),
    Command("clean", "[JOB]", clean_command, "hydraflow clean train --keep 3", """
        --keep N   keep the newest N runs of each job (default 1)
        --dry-run  list the records and remove nothing
        --yes      remove them without asking"""),
    Command("init", "", init_command, "mkdir sub && hydraflow -C sub init",
            "--hydra  for a Hydra application"),
    Command("schema", "", schema_command, "hydraflow schema > schema.json"),
    Command("completion", "SHELL", completion_command, 'eval "$(hydraflow completion bash)"'),
)


def main_command(args: "argparse.Namespace") -> int:
    """Compact parameter sweeps, executed here or on a cluster."""
    if not args.version:
        raise Error("no-command", "no command given", "list the commands: hydraflow --help")
    put(f"hydraflow {__version__}")
    return 0


MAIN = Command("", "[-f FILE] [-C DIR] COMMAND ...\n\n" + "\n".join(
    f"    {command.name:11} {command.function.__doc__}" for command in COMMANDS),
    main_command, "hydraflow run --help", """
        --file -f FILE      the job file
        --directory -C DIR  the directory to work in
        --version           show the version""")


def option_names(command: Command) -> "List[str]":
    return [name for names, _, _ in options_of(command) for name in names]


def check_options(command: Command, words: "Sequence[str]") -> None:
    for word in words:
        if word.startswith("-"):
            name = word.partition("=")[0]
            hint = suggest(name, option_names(command))
            if name in option_names(MAIN):
                hint = "write it before the command"
            raise Error("unknown-option", f"unknown option of {command.name}: {name}",
                        hint or f"list the options: hydraflow {command.name} --help")


def check_words(command: Command, words: "Sequence[str]") -> None:
    if words and "..." not in command.words:
        raise Error("unexpected-word", f"unexpected argument: {words[0]}",
                    f"see its usage: hydraflow {command.name} --help")


class Parser(argparse.ArgumentParser):
    """A parser that raises Error."""

    def error(self, message: str) -> "NoReturn":
        raise Error("invalid-arguments", re.sub("^argument ", "", message),
                    f"list the options: {self.prog} --help")


def parser_of(command: Command) -> Parser:
    name = f"hydraflow {command.name}".rstrip()
    parser = Parser(
        prog=name, description=command.function.__doc__, usage=f"{name} {command.words}".rstrip(),
        epilog=as_typed(f"example: {command.example}"), allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    for names, value, help_words in options_of(command):
        kind: Dict[str, Any] = {"action": "store_true"}
        if value:
            kind = {"action": "append" if value.endswith("...") else "store",
                    "metavar": value.strip(" .")}
        parser.add_argument(*names, help=help_words, **kind)
    return parser


def parse_arguments(argv: "List[str]", args: "argparse.Namespace") -> "argparse.Namespace":
    """The options of a command, its job, its other words in their order, and those after --."""
    cut = [*argv, "--"].index("--")
    main = parser_of(MAIN)
    main.add_argument("words", nargs="...", help=argparse.SUPPRESS)
    args.command = MAIN
    main.parse_args(argv[:cut], args)
    if not args.words:
        return args
    name, *words = args.words
    commands = {command.name: command for command in COMMANDS}
    args.command = command = commands[expect_name("command", name, commands)]
    args.after = argv[cut + 1:]
    args.typed = [*filter("--resume".__ne__, words), *argv[cut:]]
    words = [re.sub("^-j(?=[0-9])", "--jobs=", word) for word in words]  # for Python 3.6
    args, words = parser_of(command).parse_known_args(words, args)
    for name, read in READERS.items():
        key = name[2:].replace("-", "_")
        value = vars(args).get(key)
        if value is not None:
            setattr(args, key, read(read_yaml(value, name), ""))
    args.job, args.words = None, words
    names = [word for word in words if word[:1] != "-"]
    if names and re.match(r"\[?(JOB|SHELL)", command.words):
        args.job = names[0]
        words.remove(args.job)
    if command.name not in ("run", "expand"):  # they look at their words themselves
        check_options(command, words)
        check_words(command, words + args.after)
    return args


def dispatch(argv: "List[str]", args: "argparse.Namespace") -> int:
    """Execute one command line; raises Error, OSError, SystemExit."""
    inner = {"complete": complete_command, "slot": slot_command}
    if argv and argv[0] in inner:
        return inner[argv[0]](argv[1:])
    parse_arguments(argv or ["--help"], args)
    os.chdir(args.directory or ".")
    status: int = args.command.function(args)
    sys.stdout.flush()
    return status


def main(argv: "Optional[Sequence[str]]" = None) -> int:
    """Execute one command line and return its exit status."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # closed by a caller
    sys.stderr = sys.stderr or open(os.devnull, "w")
    args = argparse.Namespace(directory=None, file=None)
    try:
        return dispatch(list(sys.argv[1:] if argv is None else argv), args)
    except SystemExit:  # of the help
        return 0
    except Error as error:
        say(re.sub("(?m)^hint: .*", lambda hint: as_typed(hint[0], args.directory, args.file),
                   str(error)))
        return error.status
    except BrokenPipeError:  # the reader has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        say(str(system_error(error, "use" if error.filename else "go on")))
        return 2


if __name__ == "__main__":
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    end_status = main()
    signal.signal(signal.SIGINT, before)
    sys.exit(end_status)
