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
from collections import Counter, namedtuple
from itertools import accumulate, chain, islice, product, takewhile
from operator import mul

__version__ = "1.0.0"
__all__ = [
    "Error", "Errors", "Job", "Mark", "Node", "Plan", "Source", "Step", "Sweep", "Task",
    "collect", "expand", "load", "main", "plan", "read_yaml", "results"]

TYPE_CHECKING = False  # type checkers take this name as true
if TYPE_CHECKING:
    from typing import (
        IO, Any, Callable, Dict, Generator, Iterable, Iterator, List, Mapping, Match, NamedTuple,
        NoReturn, Optional, Sequence, Set, Tuple, Type, Union)
else:
    def NamedTuple(name, fields):  # noqa: N802  # a start on Python 3.6 has no time for typing
        return namedtuple(name, [field for field, _ in fields])


# ---------------------------------------------------------------------------
# 1. Places, errors and numbers: text -> Source, Mark, Error, Number
# ---------------------------------------------------------------------------
# What all chapters share. A Source maps an offset in a text, even in a scalar that was unfolded or
# unescaped, to the line and column of the file that it came from: a sweep parser that never heard
# of YAML points into it. A Number is an exact decimal and remembers how it was written.


class Mark(NamedTuple("Mark", [
        ("source", str), ("line", int), ("column", int), ("text", str), ("width", int)])):
    """A place: line and column count from 1; text is that line, width the length of the part."""
    __slots__ = ()


NOWHERE = Mark("", 0, 0, "", 0)  # for what has no place in a text: no job file, a full disk


class Source:
    """A text, and where it came from.

    A part of another text that was rewritten on the way (folded, unescaped) names that text as
    origin and has pieces: pairs (offset here, offset there), ascending; between two pairs both run
    in step.

    >>> Source("notes", "one\\ntwo").mark(4, 7)[:3]
    ('notes', 2, 1)
    """
    __slots__ = ("name", "text", "origin", "pieces", "starts", "lines")

    def __init__(self, name: str, text: str, origin: "Optional[Source]" = None,
                 pieces: "Sequence[Tuple[int, int]]" = ()) -> None:
        self.name = name
        self.text = text
        self.origin = origin
        self.pieces = pieces
        self.starts: List[int] = []  # of its lines, once a mark was asked for
        self.lines: Dict[int, str] = {}

    def mark(self, start: int, end: int) -> Mark:
        """The place of text[start:end], cut at the end of its first line."""
        if self.origin is not None:
            first = self.offset(start)
            last = self.offset(end - 1) + 1 if end > start else first
            return self.origin.mark(first, max(first, last))
        if not self.starts:
            self.starts = [0] + [match.end() for match in re.finditer("\n", self.text)]
        line = bisect.bisect_right(self.starts, start)
        begin = self.starts[line - 1]
        stop = len(self.text)
        if line < len(self.starts):
            stop = self.starts[line] - 1
        if line not in self.lines:
            self.lines[line] = self.text[begin:stop]  # shared by all marks of the line
        width = max(1, min(end, stop) - start)
        return Mark(self.name, line, start - begin + 1, self.lines[line], width)

    def whole(self) -> Mark:
        """The place of the whole text, cut at the end of its first line."""
        return self.mark(0, len(self.text))

    def line_end(self, position: int) -> int:
        """The end of the line of a character: here, or in the file that the text came from, where
        a folded block has more lines than its text."""
        end = self.text.find("\n", position)
        if end < 0:
            end = len(self.text)
        if self.origin is None:
            return end
        there = self.origin.line_end(self.offset(position))
        piece = bisect.bisect_right(self.pieces, (position, sys.maxsize))
        while piece < len(self.pieces) and self.pieces[piece][1] <= there:
            piece += 1
        if piece < len(self.pieces):
            end = min(end, self.pieces[piece][0])
        if piece:
            begin, place = self.pieces[piece - 1]
            end = min(end, begin + there - place)
        return end

    def offset(self, position: int) -> int:
        """The offset in the origin of the character at a position."""
        piece = bisect.bisect_right(self.pieces, (position, sys.maxsize)) - 1
        if piece < 0:
            return 0
        here, there = self.pieces[piece]
        return there + position - here


class Error(ValueError):
    """A mistake that the user can mend: one message, no traceback, and by its status exit status 2.

    code is a short word for the kind of mistake, which stays when the message is reworded; hint is
    a fixed text, or a close name. source, line and column are those of the mark.

    >>> mark = Source("job.yaml", "t=1:2:0").mark(2, 7)
    >>> print(Error("range-step-zero", "range step is zero", mark, "quote it"))
    job.yaml:1:3: error: range step is zero
        t=1:2:0
          ^^^^^
    hint: quote it
    """

    status = 2

    def __init__(self, code: str, message: str, mark: Mark = NOWHERE, hint: str = "") -> None:
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
    """Several mistakes that were found together; place and message are those of the first."""

    def __init__(self, errors: "Sequence[Error]") -> None:
        first = errors[0]
        super().__init__(first.code, first.message, first.mark, first.hint)
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def raise_all(errors: "Sequence[Error]") -> None:
    """Raise the Errors that there are, if any: a single one as itself."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Errors(errors)


def read_each(read: "Callable[[Any], Any]", items: "Iterable[Any]",
              errors: "List[Error]") -> "List[Any]":
    """Read the items that are right, and add the Errors of all others."""
    results = []
    for item in items:
        try:
            results.append(read(item))
        except Error as error:
            errors.extend(getattr(error, "errors", [error]))
    return results


def read_all(read: "Callable[[Any], Any]", items: "Iterable[Any]") -> "List[Any]":
    """Read each item, or raise all the Errors that there are."""
    errors: List[Error] = []
    results = read_each(read, items, errors)
    raise_all(errors)
    return results


def printable(text: str) -> str:
    """A text of which nothing reaches a terminal as a command."""
    if text.isprintable():
        return text
    replacement = "\ufffd"
    return "".join(
        char if char.isprintable() or char in "\t\n" else replacement for char in text)


def text_width(text: str) -> int:
    """The number of columns that a text takes on a terminal."""
    from unicodedata import combining, east_asian_width
    if len(text) == len(text.encode("utf-8", "surrogateescape")):
        return len(text)
    wide = sum(east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(1 for char in text if combining(char))


def drawn(mark: Mark, room: int = 100) -> "List[str]":
    """The line of a mark without its indentation, and the carets below it; of a long line the part
    around them."""
    indentation = len(mark.text) - len(mark.text.lstrip(" "))
    first = min(indentation, mark.column - 1)
    if len(mark.text) - first > room:
        first = max(first, mark.column - 1 - room // 2)
    shown = printable(mark.text[first:first + room])
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

    Raises Error for bytes that are no UTF-8 and for characters that YAML has not (YAML 1.2.2, 5.1),
    or takes for line breaks in 1.1 only (5.4).
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")  # no UTF-8 becomes one of U+DC80 to U+DCFF
    if text.startswith("\ufeff"):
        text = text[1:]
    source = Source(name, text.replace("\r\n", "\n").replace("\r", "\n"))
    wrong = UNUSUAL.search(source.text) and re.search(FORBIDDEN, source.text)
    if wrong:
        code = ord(wrong.group())
        mark = source.mark(wrong.start(), wrong.end())
        if 0xDC80 <= code <= 0xDCFF:
            raise Error("invalid-utf8", f"invalid UTF-8: byte 0x{code & 0xFF:02x}", mark,
                        "save the file as UTF-8")
        raise Error("unread-character", f"character U+{code:04X} is not allowed", mark,
                    "remove it, or write it as an escape in double quotes")
    return source


def suggest(word: str, known: "Iterable[str]") -> str:
    """A hint that names the known words close to word, or nothing.

    >>> suggest("bacth", ["args", "batch"])
    'did you mean batch?'
    """
    from difflib import get_close_matches
    close = get_close_matches(word, list(known), 3, 0.6)
    return f"did you mean {' or '.join(close)}?" if close else ""


SI_UNITS = {"T": 12, "G": 9, "M": 6, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
DIGITS = "[0-9]+(?:_[0-9]+)*"
NUMBER_TEXT = (
    rf"([+-]?(?:{DIGITS}(?:\.(?:{DIGITS})?)?|\.{DIGITS}))"
    "([eE][+-]?[0-9]+)?"
    "([TGMkmunpf])?")
NUMBER = re.compile(NUMBER_TEXT)
UNIT = re.compile("[TGMkmunpf]|[eE][+-]?[0-9]{1,3}")
LONGEST_NUMBER = 400  # characters: beyond any float; Python writes integers of 4,300 digits
LARGEST_POWER = 999


class Number(NamedTuple("Number", [
        ("mantissa", int), ("exponent", int), ("scale", int), ("kept", bool)])):
    """The exact number mantissa * 10**exponent, and how it is written.

    scale is the power of ten that its unit or exponent gave; kept is true where the user wrote that
    as an exponent, which then stays. Other integral values are written as integers, as an int field
    of Hydra wants.

    >>> [str(read_number(text)) for text in ("1k", "3u", "2.5M", "1.50e-3", "-1_000")]
    ['1000', '3e-6', '2500000', '1.5e-3', '-1000']
    """
    __slots__ = ()

    def __str__(self) -> str:
        is_integral = self.exponent >= 0 or self.mantissa % 10 ** -self.exponent == 0
        is_scaled = self.kept or (self.scale != 0 and not is_integral)
        places = -self.exponent  # behind the decimal point
        if is_scaled:
            places += self.scale
        text = str(abs(self.mantissa) * 10 ** max(-places, 0)).zfill(places + 1)
        if places > 0:
            text = f"{text[:-places]}.{text[-places:]}".rstrip("0").rstrip(".")
        if self.mantissa < 0:
            text = "-" + text
        return f"{text}e{self.scale}" if is_scaled else text

    def times(self, unit: "Number") -> "Number":
        """This number in a unit."""
        return Number(self.mantissa, self.exponent + unit.exponent,
                      self.scale + unit.scale, self.kept or unit.kept)

    def shifted(self, exponent: int) -> int:
        """The mantissa of the same number with a smaller exponent."""
        return int(self.mantissa * 10 ** (self.exponent - exponent))


ONE = Number(1, 0, 0, False)


def read_number(text: str) -> "Optional[Number]":
    """The number that the whole text is, or nothing."""
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
    """The number that a text with an SI letter is; any other text stays as it is."""
    if text[-1:] in SI_UNITS:
        return read_number(text) or text
    return text


DURATIONS = {"s": 1 / 60, "m": 1.0, "h": 60.0, "d": 1440.0}  # minutes


def read_duration(text: str) -> float:
    """The minutes that a text like 90, 5s, 1.5h means, or 0 where it is no duration.

    >>> [read_duration(text) for text in ("90", "90m", "2h", "0.5", "30s", "3k", "-1")]
    [90.0, 90.0, 120.0, 0.5, 0.5, 0.0, 0.0]
    """
    unit = DURATIONS.get(text[-1:], 0.0)
    if unit:
        text = text[:-1].rstrip()
    number = read_number(text)
    if not number or text[-1:] in SI_UNITS:
        return 0.0
    minutes = (unit or 1.0) * float(str(number))
    return minutes if 0 < minutes < float("inf") else 0.0


# ---------------------------------------------------------------------------
# 2. Sweep language: Source -> Sweep
# ---------------------------------------------------------------------------
# Values (ranged, spaced, grouped, joined) calculate what they hold when it is asked for, so nothing
# is longer than its text. tokenize makes tokens, in which a bracket holds what it encloses. Each
# parse_* method of SweepParser is one rule of the grammar; what no rule knows is text and passed
# on. Quotes, brackets, braces and ${...} belong to Hydra (hydra-core 1.3, OverrideLexer.g4). An
# Axis is a parsed word: its keys are compared, its spelled keys are written. A sweep that is not
# read for a step has no kind, and the rules of a kind do not apply to it.

HYDRA = "hydra"  # kinds of steps
PROGRAM = "program"
HYDRA_FUNCTIONS = (
    "choice", "range", "interval", "glob", "sort", "shuffle", "tag",
    "extend_list", "json_str", "int", "float", "str", "bool")
FUNCTIONS = ("lin", "log", "lines", "rows", "files", *HYDRA_FUNCTIONS)
LIN_OR_LOG = "write lin(start:stop:count) or log(start:stop:count), whose ends are included"
SAMPLES = "write lin(start:stop:count) or log(start:stop:count); sample: takes some at random"
FOREIGN_FUNCTIONS = {
    "linspace": LIN_OR_LOG, "logspace": LIN_OR_LOG, "geomspace": LIN_OR_LOG,
    "arange": "a range is start:stop:step, its end included",
    "uniform": SAMPLES, "loguniform": SAMPLES, "randint": SAMPLES}
AS_TEXT = "quote it to keep it as text: key='...'"
UNIT_KEY = re.compile(rf"(?s)([^~].*)/({UNIT.pattern})")
RANGE = re.compile(
    rf"(?:{NUMBER_TEXT})?:{NUMBER_TEXT}"
    rf"|{NUMBER_TEXT}:(?:{UNIT.pattern})?$"
    rf"|{NUMBER_TEXT}::")
DEEPEST_GROUP = 40
MOST_JOINED = 1000000  # values in one word; Linux takes no word over 128 KiB
LONGEST_LISTED = 65536  # rows of an axis that are kept while a product is streamed


class Values:
    """Numbers and texts, or the rows of an axis: count of them, at(index) calculates one.

    items are the values that these join.
    """
    __slots__ = ("count", "at", "items")

    def __init__(self, count: int, at: "Callable[[int], Any]",
                 items: "Sequence[Values]" = ()) -> None:
        self.count = count
        self.at = at
        self.items = items

    def __iter__(self) -> "Iterator[Any]":
        return map(self.at, range(self.count))

    def kinds(self) -> "Set[bool]":
        """True for numbers, False for texts; the first thousand values of an item decide."""
        if self.items:
            return set().union(*(item.kinds() for item in self.items))
        return {read_number(str(value)) is not None for value in islice(self, 1000)}

    def times(self, unit: str) -> "Values":
        """The same values in a unit; it is appended to a text."""
        if not unit:
            return self
        factor = read_number(f"1{unit}") or ONE

        def at(index: int) -> "Union[str, Number]":
            value = self.at(index)
            number: Optional[Number] = read_number(value) if isinstance(value, str) else value
            return number.times(factor) if number else f"{value}{unit}"

        return Values(self.count, at, self.items)


def single(value: "Union[str, Number]") -> Values:
    """One value."""
    return Values(1, [value].__getitem__)


def ranged(start: Number, step: Number, count: int) -> Values:
    """start, start + step, ... as exact decimals in the notation of start."""
    exponent = min(start.exponent, step.exponent)
    first, stride = start.shifted(exponent), step.shifted(exponent)
    return Values(count, lambda index: Number(
        first + index * stride, exponent, start.scale, start.kept))


def geometric(start: Number, stop: Number, index: int, gaps: int) -> float:
    """start * (stop / start) ** (index / gaps), right to the last digit of a float."""
    from decimal import Context, Decimal
    context = Context(prec=50)
    ratio = context.divide(Decimal(str(stop)), Decimal(str(start)))
    growth = context.power(ratio, context.divide(Decimal(index), Decimal(gaps)))
    return float(context.multiply(Decimal(str(start)), growth))


def spaced(start: Number, stop: Number, count: int, is_log: bool) -> Values:
    """count values from start to stop, evenly or (is_log) geometrically spaced."""
    exponent = min(start.exponent, stop.exponent, 0)
    first, last = start.shifted(exponent), stop.shifted(exponent)
    gaps = max(count - 1, 1)
    parts = gaps * 10 ** -exponent

    def at(index: int) -> "Optional[Number]":
        if is_log and 0 < index < gaps:
            value = geometric(start, stop, index, gaps)
        else:
            total = first * (gaps - index) + last * index
            if total % parts == 0:
                return Number(total // parts, 0, 0, False)
            value = total / parts
        number = read_number(repr(value))
        return number and number._replace(kept=False)  # the user wrote no exponent

    return Values(count, at)


def joined(items: "Sequence[Values]") -> Values:
    """The values of one item after the other."""
    if len(items) == 1:
        return items[0]
    starts = [0, *accumulate(item.count for item in items)]

    def at(index: int) -> "Any":
        place = bisect.bisect_right(starts, index) - 1
        return items[place].at(index - starts[place])

    return Values(starts[-1], at, items)


def count_product(parts: "Iterable[Values]") -> int:
    """The number of combinations."""
    return functools.reduce(mul, (part.count for part in parts), 1)


def combination(parts: "Iterable[Values]", index: int) -> "List[Any]":
    """The combination at an index, the first part fastest."""
    values = []
    for part in parts:
        index, place = divmod(index, part.count)
        values.append(part.at(place))
    return values


def grouped(parts: "Sequence[Values]", write: "Callable[[str], Any]") -> Values:
    """Every combination of texts and lists that follow each other, the first list fastest."""
    if len(parts) == 1:
        return parts[0]
    return Values(count_product(parts), lambda index: write(
        "".join(map(str, combination(parts, index)))))


class Axis(Values):
    """A word of a sweep; its values are rows: words, or tuples of linked words.

    spelled are the keys as they are written, without a unit that acts, and keys the same without
    their prefix: what is compared. Options and other words without a key have none of them. values
    are those of a single key, None for a word that cannot be joined by commas.
    """
    __slots__ = ("spelled", "keys", "values", "source", "start", "end")

    def __init__(self, rows: Values, spelled: "Tuple[str, ...]", values: "Optional[Values]",
                 source: Source, span: "Tuple[int, int]") -> None:
        super().__init__(rows.count, rows.at)
        self.spelled = spelled
        self.keys = tuple(map(bare_key, spelled))
        self.values = values
        self.source = source
        self.start, self.end = span

    @property
    def mark(self) -> Mark:
        """The place of the axis."""
        return self.source.mark(self.start, self.end)

    @property
    def text(self) -> str:
        """The word as it is written in the sweep."""
        return self.source.text[self.start:self.end]

    @property
    def assigned(self) -> "Tuple[str, ...]":
        """The keys that get a value: neither those of a deletion, nor those of an option."""
        return () if self.spelled[:1] and self.spelled[0][0] in "~-" else self.keys

    def word(self) -> str:
        """One word, with values joined by commas for Hydra to sweep over."""
        if self.values is None and self.count == 1 and len(self.spelled) < 2:
            return str(self.at(0))
        if self.values is None:
            raise Error("tasks-in-words", "| and linked keys create several tasks", self.mark,
                        "args belongs to one task: move it to batch; quote it to keep it as text")
        if self.values.count > MOST_JOINED:
            raise Error("too-many-values", f"over {MOST_JOINED:,} values in one word", self.mark,
                        "in batch, each value is a task of its own")
        return f"{self.spelled[0]}={','.join(map(str, self.values))}"

    def piped(self) -> Values:
        """The rows beside a pipe: a single one of the values of a key."""
        return self if self.values is None else Values(1, lambda _: self.word())


TOKEN = re.compile(r"""(?sx)
    (?P<quoted>         '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" )
  | (?P<template>       \$\{\{[ ]*(?:env|job|matrix|task)\.[^{}\n]*\}\} )
  | (?P<interpolation>  \$\{[^}]+\} )          # to Hydra, the first closing brace ends it
  | (?P<escape>         \\(?:(?!\$\{).)? )     # to Hydra, a backslash does not hide ${
  | (?P<open>           [(\[{] )
  | (?P<close>          [)\]}] )
  | (?P<comma>          , )
  | (?P<pipe>           \| )
  | (?P<equals>         = )
  | (?P<space>          \s+ )
  | (?P<comment>        (?<!\S)\# )            # at the start of a word: where one may begin
  | (?P<text>           (?: [^\s,|()\[\]{}='"\\$] | \$(?!\{) )+ )
  | (?P<unclosed>       ['"] | \$\{[^}]*\}? )  # with it, every character belongs to some token
""")
PARTNERS = {"(": ")", "[": "]", "{": "}"}


class Token:
    """A piece of a sweep; an opening bracket has inner, and ends behind its closing one."""
    __slots__ = ("kind", "text", "start", "end", "inner")

    def __init__(self, match: "Match[str]") -> None:
        self.kind = str(match.lastgroup)
        self.text = match.group()
        self.start, self.end = match.span()
        self.inner: List[Token] = []


def tokenize(source: Source, has_comments: bool = False) -> "List[Token]":
    """The tokens of a text. A comment goes to the end of its line, and brackets hold none."""
    levels: List[List[Token]] = [[]]
    opened: List[Token] = []
    at = 0
    while at < len(source.text):
        match = TOKEN.match(source.text, at)
        assert match
        token = Token(match)
        at = token.end
        if token.kind == "comment" and has_comments and not opened:
            at = source.line_end(token.start)
        elif token.kind == "close":
            close_bracket(source, opened, token)
            levels.pop()
        elif token.kind == "unclosed":
            opened.append(token)
            break
        else:
            if token.kind == "interpolation":
                check_backslash(source, levels[-1], token)
            levels[-1].append(token)
        if token.kind == "open":
            opened.append(token)
            levels.append(token.inner)
    for token in opened[-1:]:
        raise Error("never-closed", f"{token.text[0]} is never closed",
                    source.mark(token.start, token.start + 1),
                    f"close it, or quote a value that contains {token.text[0]}")
    return levels[0]


def close_bracket(source: Source, opened: "List[Token]", token: Token) -> None:
    """End the last bracket that is open; raise if it is another one."""
    if not opened or PARTNERS[opened[-1].text] != token.text:
        raise Error("stray-bracket", f"no bracket is open that {token.text} could close",
                    source.mark(token.start, token.end), "quote a value that contains it")
    opened.pop().end = token.end


def check_backslash(source: Source, before: "Sequence[Token]", token: Token) -> None:
    """Raise for the backslash that older versions wanted before an interpolation."""
    if before and before[-1].text == "\\":
        raise Error("backslash-before-quote", f"write {token.text} without the backslash",
                    source.mark(token.start - 1, token.end), "Hydra would keep it in the value")


def split(tokens: "Sequence[Token]", kind: str) -> "List[List[Token]]":
    """The slices between the tokens of a kind."""
    slices: List[List[Token]] = [[]]
    for token in tokens:
        if token.kind == kind:
            slices.append([])
        else:
            slices[-1].append(token)
    return slices


def trim(tokens: "Sequence[Token]") -> "Sequence[Token]":
    """Tokens without white space at their ends; behind a colon it means something to Hydra."""
    first, last = 0, len(tokens)
    while first < last and tokens[first].kind == "space":
        first += 1
    while first < last and tokens[last - 1].kind == "space" and tokens[last - 2].text[-1] != ":":
        last -= 1
    return tokens[first:last]


def is_tuple(tokens: "Sequence[Token]") -> bool:
    """Whether one pair of parentheses encloses all."""
    return len(tokens) == 1 and tokens[0].text == "("


def bare_key(key: str) -> str:
    """A key without the prefix that tells Hydra or a program how to take it."""
    return key.lstrip("+~-")


def key_of(word: str) -> str:
    """The key that a word assigns or deletes, in the form that is compared; "" for other words.

    >>> words = ("+a.b=1", "~db", "db/engine@pkg=x", "items[0]=1", "--lr=1", "$A=1", "--verbose")
    >>> [key_of(word) for word in words]
    ['a.b', 'db', 'db/engine@pkg', 'items[0]', 'lr', '$A', '']
    """
    match = re.match(r"((?:\\.|[^=\s'\"(){}\\])*)(=|\Z)", bare_key(word))
    if not match or not (match.group(2) or word.startswith("~")):
        return ""
    return match.group(1)


def variable_of(key: str) -> str:
    """The environment variable that the key $NAME sets, or nothing."""
    match = re.match(r"\$([A-Za-z_][A-Za-z0-9_]*)\Z", key)
    return match.group(1) if match else ""


def hydra_text(text: str) -> str:
    """A text as Hydra's grammar takes it, in quotes where it must be.

    >>> hydra_text("train"), hydra_text("it's 1")
    ('train', "'it\\\\'s 1'")
    """
    if re.fullmatch(r"[A-Za-z0-9_./-]+", text):
        return text
    return "'" + re.sub(r"(?<!\\)(\\*)('|\Z)", lambda match: (
        match[1] * 2 + match[2].replace("'", "\\'")), text) + "'"


def unquoted(word: str) -> str:
    """A word without the quotes around its values, for programs other than Hydra's.

    >>> unquoted("a='x y',\\"it's\\""), unquoted('a={"k": 1}')
    ("a=x y,it's", 'a={"k": 1}')
    """
    if "'" not in word and '"' not in word:
        return word
    texts = []
    for token in tokenize(Source("word", word)):
        text = word[token.start:token.end]
        if token.kind == "quoted":
            text = re.sub(rf"(?<!\\)(\\+)({text[0]}|\Z)", lambda match: (
                "\\" * (len(match[1]) // 2) + match[2]), text[1:-1])
        texts.append(text)
    return "".join(texts)


@functools.lru_cache(maxsize=100000)
def same_value(word: str) -> "Tuple[str, str]":
    """Key and value of a word in the form that is compared: equal numbers are equal.

    >>> same_value("+mem=4G") == same_value("--mem=4e9"), same_value("n=0.0")
    (True, ('n', '0e0'))
    """
    value = word.partition("=")[2]
    number = read_number(value)
    if number is None:
        return key_of(word), unquoted(value)
    if not number.mantissa:
        return key_of(word), "0e0"
    digits = str(number.mantissa).rstrip("0")
    zeros = len(str(number.mantissa)) - len(digits)
    return key_of(word), f"{digits}e{number.exponent + zeros}"


def file_value(text: str) -> str:
    """A text of a file as a value, which is never a sweep: quoted where it must be."""
    if isinstance(literal(text), Number):
        return f"'{text}'"
    return text if NUMBER.fullmatch(text) else hydra_text(text)


def read_table(text: str, mark: Mark) -> "List[List[str]]":
    """The rows of a CSV file that are not empty; its first row says what separates the cells."""
    import csv
    first = text.lstrip().partition("\n")[0]
    separator = next((sign for sign in ",\t;" if sign in first), ",")
    try:
        rows = list(csv.reader(text.splitlines(True), delimiter=separator))
    except csv.Error as error:
        raise Error("invalid-csv", f"the file is no CSV: {error}", mark,
                    "put a cell with a comma or a quote in double quotes") from None
    return [[cell.strip() for cell in row] for row in rows if row]


def key_columns(first: "Sequence[str]", rest: "Sequence[Sequence[str]]",
                keys: "Sequence[str]", mark: Mark) -> "List[int]":
    """The columns of some keys, by a first row that names them; none where it names none."""
    names = [key.lstrip("+-~$") for key in keys]
    header = [cell.lstrip("+-~$") for cell in first]
    missing = [name for name in names if name not in header]
    numbers = [all(map(read_number, column)) for column in zip(*rest)]
    looks_so = any(numbers) and not any(map(read_number, header))
    if missing and (len(missing) < len(names) or looks_so):
        raise Error("unknown-column", f"the first row has no column {missing[0]}", mark,
                    f"the first row is {', '.join(header)}; the keys are {', '.join(names)}")
    return [] if missing else list(map(header.index, names))


def table_cells(rows: "List[List[str]]", keys: "Sequence[str]", mark: Mark) -> "List[str]":
    """The cells of the columns of some keys, row by row."""
    columns = key_columns(rows[0], rows[1:], keys, mark) if rows else []
    width = len(rows[0]) if columns else len(keys)
    for row in rows:
        if len(row) != width:
            raise Error("column-count", f"a row has not {width} cells: {','.join(row)}", mark,
                        f"the keys are {', '.join(keys)}")
    return [row[column] for row in rows[bool(columns):] for column in columns or range(width)]


class SweepParser:
    """A recursive parser over tokens; what a rule does not know is text and passed on."""

    def __init__(self, source: Source, has_comments: bool = False, kind: str = "") -> None:
        self.source = source
        self.kind = kind
        self.tokens = tokenize(source, has_comments)
        self.keys: Tuple[str, ...] = ()  # of the segment in hand
        self.kinds: Dict[str, Set[bool]] = {}  # values of the word in hand, by key with a unit
        self.is_lone = False  # the word in hand has one value
        self.is_override = False  # Hydra's lexer reads the value in hand

    def span(self, tokens: "Sequence[Token]", otherwise: int = 0) -> "Tuple[int, int]":
        """The offsets of tokens; those of an empty slice are given."""
        return (tokens[0].start, tokens[-1].end) if tokens else (otherwise, otherwise)

    def text(self, tokens: "Sequence[Token]") -> str:
        """The text of tokens."""
        start, end = self.span(tokens)
        return self.source.text[start:end]

    def error(self, code: str, message: str, tokens: "Sequence[Token]", hint: str,
              otherwise: int = 0) -> Error:
        """The Error about tokens."""
        return Error(code, message, self.source.mark(*self.span(tokens, otherwise)), hint)

    def words(self) -> "List[List[Token]]":
        """The slices between white space."""
        return [word for word in split(self.tokens, "space") if word]

    def parse_sweep(self) -> "List[Axis]":
        """sweep = { word }"""
        axes = read_all(self.parse_word, self.words())
        if self.kind == HYDRA:
            rest = takewhile(is_path, axes)  # words of the command
            check_bare_words(axes[sum(1 for _ in rest):])
        return axes

    def parse_fixed(self) -> "List[Axis]":
        """The words of a text that is appended to a command: not expanded, with templates."""
        axes = []
        for tokens in self.words():
            self.check_quotes(tokens)
            cut = self.keys_end(tokens)
            key = self.text(tokens[:cut]) if cut >= 0 else self.text(tokens)
            is_key = key.startswith("~") or cut >= 0
            text = single(self.text(tokens))
            axis = Axis(text, (key,) if is_key else (), None, self.source, self.span(tokens))
            if cut >= 0:
                self.check_value((key,), tokens[cut + 1:])
            axes.append(axis)
        return axes

    def keys_end(self, tokens: "Sequence[Token]") -> int:
        """The index of the equals sign behind keys, or -1; a key may have [0] (Hydra 1.4)."""
        for index, token in enumerate(tokens):
            if token.kind == "equals":
                return index
            if token.kind not in ("text", "comma", "escape") and token.text != "[":
                return -1
        return -1

    def check_quotes(self, tokens: "Sequence[Token]") -> None:
        """Raise for an assignment in quotes."""
        if len(tokens) == 1 and tokens[0].kind == "quoted" and "=" in tokens[0].text:
            raise self.error("quoted-word", "the whole word is in quotes", tokens,
                             "quote only the value, where it has to be: a='x y'")

    def parse_word(self, tokens: "Sequence[Token]") -> Axis:
        """word = segment { "|" segment } | "rows" "(" path ")" | literal"""
        self.keys, self.kinds = (), {}
        template = next((token for token in tokens if token.kind == "template"), None)
        if template:
            raise self.error("template-not-replaced", f"{template.text} is not replaced here",
                             [template], "with: takes it, for example with: data=${{ env.DATA }}")
        if self.keys_end(tokens) < 0:
            return self.parse_literal(tokens)
        parts = split(tokens, "pipe")
        self.is_lone = len(parts) == 1
        axes = []
        for part in parts:
            if not part:
                raise self.error("pipe-without-list", "a value is missing beside |", part,
                                 "write a=1,2|3,4", tokens[-1].end)
            axes.append(self.parse_segment(part))
        if len(axes) == 1:
            return axes[0]
        rows = joined([axis.piped() for axis in axes])
        keys = tuple(chain.from_iterable(axis.spelled for axis in axes))
        return Axis(rows, keys, None, self.source, self.span(tokens))

    def parse_literal(self, tokens: "Sequence[Token]") -> Axis:
        """literal = option | "~" key | any other word"""
        text = self.text(tokens)
        self.check_quotes(tokens)
        if len(tokens) == 2 and tokens[0].text == "rows" and tokens[1].text == "(":
            rows = read_table(self.read_file(tokens), self.source.mark(*self.span(tokens)))
            self.keys = tuple(rows[0]) if rows else ()
            return self.rows_axis(tokens, self.parse_file("rows", tokens))
        if self.kind and text.startswith("|"):
            raise self.error("pipe-space", "white space around |", tokens,
                             "write a=1,2|3,4; alternatives of several keys are steps, or include:")
        keys = (text,) if text.startswith("~") else ()
        return Axis(single(text), keys, None, self.source, self.span(tokens))

    def parse_segment(self, tokens: "Sequence[Token]") -> Axis:
        """segment = [ keys "=" ] list"""
        cut = self.keys_end(tokens)
        if cut >= 0:
            self.parse_keys(tokens[:cut])
        value = trim(tokens[cut + 1:])
        self.check_value(self.keys, tokens[cut + 1:])
        if len(self.keys) == 1:
            return self.parse_plain(tokens, value)
        end = tokens[-1].end
        parts = [self.parse_row(trim(part), end) for part in split(value, "comma")]
        return self.rows_axis(tokens, joined(parts))

    def parse_keys(self, tokens: "Sequence[Token]") -> None:
        """keys = key [ "/" unit ] | key "," key { "," key }"""
        keys = self.keys = tuple(self.text(key) for key in split(tokens, "comma"))
        if len(keys) > 1 and ("" in keys or len(set(map(bare_key, keys))) < len(keys)):
            raise self.error("missing-key", "each of linked keys needs a name of its own", tokens,
                             "write a,b=(1,x),(2,y)")
        start, end = self.span(tokens, 0)
        start += keys[0].startswith("~")
        refused = self.kind == HYDRA and HYDRA_REFUSES.search(self.source.text, start, end)
        if refused and keys[0][:1] not in ("-", "$"):
            place = refused.start()
            raise Error("hydra-needs-quotes", f"Hydra refuses {refused.group()!r} in a key",
                        self.source.mark(place, place + 1), "rename the key")

    def rows_axis(self, tokens: "Sequence[Token]", values: Values) -> Axis:
        """The axis of linked keys, whose values stand row by row."""
        keys, width = self.keys, len(self.keys)
        for column, key in enumerate(keys):
            if UNIT_KEY.fullmatch(key) and read_number(str(values.at(column))):
                raise self.error("linked-unit", "linked keys take no unit", tokens,
                                 "write it behind each number: a,b=(1k,x),(2k,y)")
        rows = Values(values.count // width, lambda index: tuple(
            f"{key}={values.at(index * width + column)}" for column, key in enumerate(keys)))
        return Axis(rows, keys, None, self.source, self.span(tokens))

    def parse_plain(self, tokens: "Sequence[Token]", value: "Sequence[Token]") -> Axis:
        """The axis of a single key."""
        key = self.keys[0]
        parts = [trim(part) for part in split(value, "comma")]
        self.check_parts(value, parts)
        self.is_lone = self.is_lone and len(parts) == 1
        values = self.parse_list(value, tokens[-1].end, 0) if value else single("")
        unit = UNIT_KEY.fullmatch(key)
        if unit:
            kinds = values.kinds()
            if len(kinds) > 1 or self.kinds.setdefault(key, kinds) != kinds:
                raise self.error("mixed-unit", "numbers and texts under one unit", tokens,
                                 "write numbers only, or quote those of a config group")
            if True in kinds:  # otherwise it is a config group
                key, values = unit.group(1), values.times(unit.group(2))
        rows = Values(values.count, lambda index: f"{key}={values.at(index)}")
        return Axis(rows, (key,), values, self.source, self.span(tokens))

    def check_parts(self, value: "Sequence[Token]", parts: "Sequence[Sequence[Token]]") -> None:
        """Raise for a list of one key that is tuples, or in which m may be milli or million."""
        if self.kind == HYDRA and is_doubtful([self.text(part) for part in parts]):
            raise self.error("unit-doubt", "numbers with letters that may be text", value,
                             "is m milli or million? write the numbers out, or quote the texts")
        widths = {len(split(part[0].inner, "comma")) if is_tuple(part) else 0 for part in parts}
        if len(parts) > 1 and len(widths) == 1 and widths.isdisjoint({0, 1}):
            raise self.error("tuples-of-one-key", "tuples are for linked keys", value, "link keys:"
                             " a,b=(1,2),(3,4); lists are [1,2],[3,4]; values are (1,2,3,4)")

    def parse_row(self, tokens: "Sequence[Token]", end: int) -> Values:
        """row = "(" list ")" | "rows" "(" path ")" """
        if len(tokens) == 2 and tokens[0].text == "rows" and tokens[1].text == "(":
            return self.parse_file("rows", tokens)
        keys = self.keys
        if not is_tuple(tokens):
            raise self.error("linked-without-parentheses", "linked keys take tuples", tokens,
                             "write a,b=(1,x),(2,y)", end)
        values = self.parse_list(trim(tokens[0].inner), tokens[0].end - 1, 1)
        if values.count != len(keys):
            raise self.error("linked-count", f"{len(keys)} linked keys need {len(keys)} values, not"
                             f" {values.count}", tokens, f"the keys are {', '.join(keys)}")
        return values

    def parse_list(self, tokens: "Sequence[Token]", end: int, depth: int) -> Values:
        """list = item { "," item }"""
        commas = [token.end for token in tokens if token.kind == "comma"]
        places = [tokens[0].start if tokens else end, *commas]
        return joined([self.parse_item(trim(part), place, depth)
                       for part, place in zip(split(tokens, "comma"), places)])

    def parse_item(self, tokens: "Sequence[Token]", place: int, depth: int) -> Values:
        """item = range | spaced | file | group | literal"""
        text = self.text(tokens)
        if not text:
            raise self.error("missing-value", "a value is missing", tokens,
                             "write '' for an empty text, and no space behind a comma", place)
        if ":" in text and RANGE.match(text):
            return self.parse_range(text, tokens)
        cut = next((at for at, token in enumerate(tokens) if token.text == "("), len(tokens))
        name = self.text(tokens[:cut]).strip()
        is_call = cut < len(tokens)
        self.check_item(text, tokens, is_call and name in HYDRA_FUNCTIONS)
        if is_call and name not in HYDRA_FUNCTIONS:
            return self.parse_call(name, tokens, cut, depth)
        is_verbatim = self.kind == PROGRAM or (self.is_lone and not depth)
        return single(text if is_verbatim else literal(text))

    def parse_call(self, name: str, tokens: "Sequence[Token]", cut: int, depth: int) -> Values:
        """call = spaced | file | group; a parenthesis stands at cut."""
        behind = tokens[cut + 1:]
        if name in ("lin", "log"):
            return self.parse_spaced(name, tokens[cut], behind, tokens)
        if name in ("lines", "rows", "files") and not behind:
            return self.parse_file(name, tokens)
        self.check_function(name, tokens, behind)
        return self.parse_group(tokens, depth)

    def check_item(self, text: str, tokens: "Sequence[Token]", is_call: bool) -> None:
        """Raise for a range of another language, and for what only Hydra would expand."""
        fields = re.split(r"\.\.+", text)
        if 1 < len(fields) < 4 and all(map(read_number, fields)):
            raise self.error("not-a-range", f"{text} is no range", tokens,
                             f"a range is start:stop:step, its end included; {AS_TEXT}")
        if self.kind == PROGRAM and (
                is_call or any(token.kind == "interpolation" for token in tokens)):
            raise self.error("only-hydra", f"only Hydra expands {text}", tokens,
                             "write 1:3 or a,b; with hydra: false, nothing else expands a value")

    def check_function(self, name: str, tokens: "Sequence[Token]",
                       behind: "Sequence[Token]") -> None:
        """Raise for a function of another language, or one with a wrong letter in its name."""
        from difflib import get_close_matches
        last = name.rpartition(".")[2]
        hint = FOREIGN_FUNCTIONS.get(last, "")
        known = [one for one in FUNCTIONS if len(one) > 4 and abs(len(one) - len(last)) < 2]
        close = [] if behind or last in FUNCTIONS else get_close_matches(last, known, 1, 0.8)
        if close:
            hint = f"did you mean {close[0]}?"
        if name.endswith("$"):
            hint = "no shell replaces it; lines(FILE) takes the values from a file"
        if hint:
            raise self.error("unknown-function", f"{name}(...) is no function of a sweep", tokens,
                             f"{hint}; {AS_TEXT}")

    def parse_range(self, text: str, tokens: "Sequence[Token]") -> Values:
        """range = [ number ] ":" number [ ":" number ] [ ":" unit ] | number ":" unit"""
        quote = f"quote it to keep it as text: {','.join(self.keys)}='{text}'"
        fields = text.split(":")
        unit = fields.pop() if UNIT.fullmatch(fields[-1]) else ""
        numbers = range_numbers(fields)
        if not numbers or re.match("[+-]?0[0-9]", text):
            raise self.error("not-a-number", f"{text} is no range of numbers", tokens, quote)
        start, stop, step = numbers
        exponent = min(start.exponent, stop.exponent, step.exponent)
        stride, span = step.shifted(exponent), stop.shifted(exponent) - start.shifted(exponent)
        code = message = ""
        if not stride:
            code, message = "range-step-zero", "range step is zero"
        elif span * stride < 0:
            code, message = "range-empty", f"no step of {step} leads from {start} to {stop}"
        elif abs(stride) > abs(span) and (span or len(fields) > 2):
            code, message = "range-step-too-large", f"range step {step} is larger than the range"
        if code:
            hints = [range_hint(start, stop, step, len(fields), unit), quote]
            raise self.error(code, message, tokens, "; ".join(filter(None, hints)))
        return ranged(start, step, span // stride + 1).times(unit)

    def parse_spaced(self, name: str, bracket: Token, behind: "Sequence[Token]",
                     tokens: "Sequence[Token]") -> Values:
        """spaced = ( "lin" | "log" ) "(" number ":" number ":" count ")" [ unit ]"""
        fields = self.text(bracket.inner).strip().split(":")
        start, stop, last = range_numbers(fields) or [ONE, ONE, ONE]
        unit = self.text(behind)
        count = str(last._replace(scale=0, kept=False))
        is_count = len(fields) == 3 and re.fullmatch("(?!1$)[1-9][0-9]{0,17}", count)
        if not is_count or not UNIT.fullmatch(unit or "k"):
            raise self.error("invalid-spacing", f"{name} takes start:stop:count, a unit behind it",
                             tokens, f"for example {name}(1:100:3)k; the count includes both ends")
        if name == "log" and start.mantissa * stop.mantissa <= 0:
            raise self.error("log-of-zero", "log needs both ends above zero, or both below", tokens,
                             "lin(start:stop:count) goes through zero")
        ends = [abs(float(str(end))) for end in (start, stop) if end.mantissa]
        if {0.0, float("inf")} & set(ends):
            raise self.error("not-finite", "no float is so large, or so small", tokens, AS_TEXT)
        return spaced(start, stop, int(count), name == "log").times(unit)

    def path_of(self, tokens: "Sequence[Token]") -> str:
        """The path in the parentheses of a function; it is relative to the file of the sweep."""
        path = self.text(tokens[-1].inner).strip()
        if path[:1] in ("'", '"') and path[-1:] == path[0]:
            path = path[1:-1]
        if not path:
            raise self.error("missing-path", "a path is missing", tokens, "write lines(x.txt)")
        return os.path.join(os.path.dirname(self.source.name), path)

    def read_file(self, tokens: "Sequence[Token]") -> str:
        """The text of the file that a function names."""
        path = self.path_of(tokens)
        try:
            with open(path, "rb") as file:
                return read_source(file.read(), path).text
        except OSError as error:
            raise self.error("unreadable-file", f"cannot read {path}: {error.strerror}", tokens,
                             "the path is relative to the job file") from None

    def parse_file(self, name: str, tokens: "Sequence[Token]") -> Values:
        """file = ( "lines" | "rows" | "files" ) "(" path ")" """
        if name == "files":
            from glob import glob
            cells = sorted(glob(self.path_of(tokens), recursive=True))
        elif name == "lines":
            cells = [line.strip() for line in self.read_file(tokens).split("\n")]
            cells = [line for line in cells if line and not line.startswith("#")]
        else:
            mark = self.source.mark(*self.span(tokens))
            cells = table_cells(read_table(self.read_file(tokens), mark), self.keys, mark)
        if not cells:
            raise self.error("empty-file", f"{self.text(tokens)} has no values", tokens,
                             "a path or a line is a value; blank lines and # lines are none")
        return Values(len(cells), [file_value(cell) for cell in cells].__getitem__)

    def parse_group(self, tokens: "Sequence[Token]", depth: int) -> Values:
        """group = { text | "(" list ")" } [ unit ]"""
        parts: List[Values] = []
        lists: List[Values] = []
        unit, begin = "", 0
        if depth > DEEPEST_GROUP:
            raise self.error("group-nesting", f"more than {DEEPEST_GROUP} groups in each other",
                             tokens[:1], "take some parentheses out")
        for index, token in enumerate(tokens):
            if token.kind == "quoted":
                raise self.error("quote-in-group", "quoted text cannot be part of a group",
                                 [token], "write the values out, each in quotes as a whole")
            if token.text == "(":
                if index > begin:
                    parts.append(single(self.text(tokens[begin:index])))
                lists.append(self.parse_list(trim(token.inner), token.end - 1, depth + 1))
                parts.append(lists[-1])
                begin = index + 1
        text = self.text(tokens[begin:])
        if UNIT.fullmatch(text):
            unit = text
        elif text:
            parts.append(single(text))
        group = grouped(parts, str if self.kind == PROGRAM else literal).times(unit)
        if all(one.count == 1 for one in lists) and is_plain_text(group):
            raise self.error("unknown-function", "the parentheses hold one value", tokens, AS_TEXT)
        return group

    def check_value(self, keys: "Sequence[str]", tokens: "Sequence[Token]") -> None:
        """Raise for what nothing replaces in a value, and for what Hydra takes in quotes only."""
        self.is_override = self.kind == HYDRA and not all(key[:1] in ("-", "$") for key in keys)
        start, end = self.span(tokens)
        if not self.kind or not SUSPECT.search(self.source.text, start, end):
            return
        opened = [""]  # the function, or the bracket, around a token
        before = ""
        for match in TOKEN.finditer(self.source.text, start, end):
            kind, text = match.lastgroup, match.group()
            if kind == "close" and len(opened) > 1:
                opened.pop()
            self.check_token(match, opened[-1], before)
            if kind == "open":
                opened.append(before if before in HYDRA_FUNCTIONS else text)
            before = text.strip() or before

    def check_token(self, match: "Match[str]", inside: str, before: str) -> None:
        """Raise for a token of a value that is not replaced, or that Hydra refuses."""
        kind, text = match.lastgroup, match.group()
        name = re.search(r"\$[A-Za-z_]\w*", text)
        if kind == "text" and name:
            mark = self.source.mark(match.start() + name.start(), match.start() + name.end())
            raise Error("variable-not-replaced", f"{name.group()} is not replaced here", mark,
                        f"with: takes ${{{{ env.{name.group()[1:]} }}}}; {AS_TEXT}")
        if not self.is_override or kind in ("quoted", "interpolation", "template"):
            return
        if inside == "{" and text[0] == ":" and before.endswith(("'", '"')):
            raise Error("hydra-needs-quotes", f"Hydra refuses quotes around the key {before}",
                        self.source.mark(*match.span()), "write the key of a dictionary without"
                        " quotes")
        is_equals = kind == "equals" and inside not in HYDRA_FUNCTIONS
        is_quote = text in ("\\'", '\\"')  # a backslash hides no quote
        refused = match if is_equals or is_quote else HYDRA_REFUSES.search(text)
        if refused:
            sign = refused.group().lstrip("\\")[0]
            place = match.start() + text.index(sign)
            raise Error("hydra-needs-quotes", f"Hydra refuses {sign!r} outside quotes",
                        self.source.mark(place, place + 1), "quote the value: key='...'")


# What Hydra's lexer refuses outside quotes and interpolations, and what may be wrong in a value.
HYDRA_REFUSES = re.compile(r"[^\w/\-\\+.$%*@?|=:,()\[\]{} \t]|[^\x00-\x7f]")
SUSPECT = re.compile(HYDRA_REFUSES.pattern + r"|[=$]")
HYDRA_OPTIONS = frozenset((  # they take the next word
    "--cfg", "-c", "--package", "-p", "--info", "-i", "--config-path", "-cp",
    "--config-name", "-cn", "--config-dir", "-cd", "--experimental-rerun"))


def is_bare(word: str) -> bool:
    """Whether a word is neither an assignment nor a deletion nor an option."""
    return "=" not in word and not word.startswith(("-", "~")) and "${{" not in word


def is_assignment(word: str) -> bool:
    """Whether a word is an override of Hydra's that assigns a value."""
    return "=" in word and not word.startswith("-") and bool(key_of(word))


def is_path(axis: Axis) -> bool:
    """Whether a word looks like a path: at the front of batch, it belongs to the command."""
    return is_bare(axis.text) and not axis.keys and bool(re.search(r"[./]", axis.text))


def check_bare_words(axes: "Sequence[Axis]") -> None:
    """Raise at the first word that Hydra takes neither for an override nor for an option."""
    texts = ["", *(axis.text for axis in axes), ""]
    for before, axis, after in zip(texts, axes, texts[2:]):
        text = axis.text
        has_space = text.startswith("=") or before.endswith("=") or after.startswith("=")
        if text.startswith("=") or (is_bare(text) and not axis.keys and has_space):
            raise Error("space-around-equals", "white space around =", axis.mark,
                        "write key=value without it")
        if is_bare(text) and not axis.keys and before not in HYDRA_OPTIONS:
            raise Error("expected-key-value", f"expected key=value, found {text}", axis.mark,
                        "words of the command belong in run; quote a value with white space")


def is_plain_text(values: Values) -> bool:
    """Whether the first value is a text without quotes, brackets or interpolations."""
    text = str(values.at(0))
    return not read_number(text) and not re.search(r"['\"\[{$]", text)


def is_doubtful(texts: "Sequence[str]") -> bool:
    """Whether m stands beside a larger unit, or a number with a letter beside a text like 30s."""
    numbers = {text for text in texts if isinstance(literal(text), Number)}
    letters = {text[-1] for text in numbers}
    sizes = {text for text in texts if re.fullmatch(r"[\d.]+[A-Za-z]\w*", text)}
    return bool(numbers and (sizes - numbers or ("m" in letters and letters & set("kMGT"))))


def leads(start: Number, stop: Number, step: Number) -> bool:
    """Whether a step leads from start towards stop, and not beyond it."""
    exponent = min(start.exponent, stop.exponent, step.exponent)
    span, stride = stop.shifted(exponent) - start.shifted(exponent), step.shifted(exponent)
    return span * stride > 0 and abs(stride) <= abs(span)


def range_numbers(fields: "Sequence[str]") -> "Optional[List[Number]]":
    """Start, stop and step of a range, or nothing where they are no numbers."""
    numbers = [read_number(field) for field in fields]
    if not fields[0] and len(fields) > 1 and numbers[1]:
        numbers[0] = numbers[1]._replace(mantissa=0, exponent=0)  # in the notation of the end
    found = [number for number in numbers if number]
    if len(found) < len(fields) or len(fields) > 3:
        return None
    return [found[0], found[len(found) > 1], found[2] if len(found) > 2 else ONE]


def range_hint(start: Number, stop: Number, step: Number, count: int, unit: str) -> str:
    """What to write for a range without values; count numbers spell it."""
    tail = f":{unit}" if unit else ""
    if count > 2 and leads(start, step, stop):
        return ("the order is start:stop:step; if start:step:stop was meant, as up to HydraFlow"
                f" 0.15.0: {start}:{step}:{stop}{tail}")
    exponent = min(start.exponent, stop.exponent)
    low, high = sorted([abs(start.shifted(exponent)), abs(stop.shifted(exponent))])
    if count == 2 and start.mantissa * stop.mantissa > 0 and high >= 10 * low:
        return f"write log({start}:{stop}:{len(str(high // low))}){unit}, or a step"
    return "the order is start:stop:step, a step down is negative" if step.mantissa else ""


def flat(rows: "Iterable[Union[str, Tuple[str, ...]]]") -> "Tuple[str, ...]":
    """The words of rows, those of linked keys one by one."""
    return tuple(chain.from_iterable([row] if isinstance(row, str) else row for row in rows))


class Sweep:
    """The product of the axes that a text, or a list of words, spells; the last axis varies
    fastest.

    count (and len, up to sys.maxsize) and indexing cost one step for each axis, iteration streams.
    kind is that of the step that the sweep is read for. Raises Error.

    >>> sweep = Sweep("model=cnn,vit lr=log(1e-4:1e-1:4)")
    >>> len(sweep), sweep[5], sweep[:2]
    (8, ('model=vit', 'lr=0.001'), [('model=cnn', 'lr=0.0001'), ('model=cnn', 'lr=0.001')])
    """
    __slots__ = ("axes",)

    def __init__(self, sweep: "Union[str, Source, Sequence[str]]" = (), name: str = "sweep",
                 kind: str = "") -> None:
        if isinstance(sweep, str):
            sweep = Source(name, sweep)
        if isinstance(sweep, Source):
            self.axes = SweepParser(sweep, True, kind).parse_sweep()  # type: List[Axis]
        else:
            parsers = [SweepParser(Source(name, word), False, kind) for word in sweep]
            self.axes = read_all(lambda one: one.parse_word(one.tokens), parsers)
            if kind == HYDRA:
                check_bare_words(self.axes)

    @classmethod
    def of(cls, axes: "List[Axis]") -> "Sweep":
        """The sweep of some axes."""
        sweep = cls()
        sweep.axes = axes
        return sweep

    @property
    def count(self) -> int:
        """How many combinations there are."""
        return count_product(self.axes)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: "Any") -> "Any":
        count = self.count
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(count))]
        if not -count <= index < count:
            raise IndexError("a sweep has combinations from 0 to its count, which is not included")
        return flat(reversed(combination(reversed(self.axes), index % count)))

    def __iter__(self) -> "Iterator[Tuple[str, ...]]":
        if any(axis.count > LONGEST_LISTED for axis in self.axes):
            return map(self.__getitem__, iter(range(self.count)))
        rows = product(*self.axes)
        return map(flat, rows) if any(len(axis.spelled) > 1 for axis in self.axes) else rows

    def collect(self) -> "List[str]":
        """One word for each axis, with values joined by commas for Hydra to sweep over."""
        return read_all(Axis.word, self.axes)


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
    return Sweep(sweep).collect()


# ---------------------------------------------------------------------------
# 3. YAML reader: Source -> Node
# ---------------------------------------------------------------------------
# Node, REFUSED, patterns, YamlParser, read_yaml. A text comes in, its root Node goes out. Numbers
# like "6.3" are chapters of the YAML 1.2.2 specification; the docstring of a parse_* method begins
# with its rule. Strange here: whether a line opens a mapping is known only behind its first scalar,
# when a colon follows. So parse_block_node reads that scalar and then decides; no text is ever
# parsed twice.


class Node(NamedTuple("Node", [
        ("kind", str), ("value", "Any"), ("plain", bool), ("source", Source),
        ("start", int), ("end", int), ("parts", "Optional[List[Tuple[str, int]]]")])):
    """A part of a YAML document; kind is "scalar", "sequence" or "mapping".

    value is a text, a list of nodes, or a list of pairs (key node, value node). plain is True for
    an unquoted scalar; a missing value is a plain "". An alias is the very node that its anchor
    names. start and end are offsets of its text, of a block collection those of its first key or
    dash; parts are (text, offset) of a scalar that is rewritten.
    """
    __slots__ = ()

    @property
    def mark(self) -> Mark:
        """The place of the node."""
        return self.source.mark(self.start, self.end)

    line = property(lambda self: self.mark.line)  # from 1
    column = property(lambda self: self.mark.column)  # from 1

    def text_source(self) -> Source:
        """The value of a scalar as a Source that knows where each of its characters stands
        in the file.

        >>> node = read_yaml("run: >-\\n  one\\n  two").value[0][1]
        >>> node.value, node.text_source().mark(4, 7)[1:3]
        ('one two', (3, 3))
        """
        parts = self.parts or [(self.value, self.start)]
        pieces = []
        here = 0
        for text, there in parts:
            pieces.append((here, there))
            here += len(text)
        return Source(self.source.name, self.value, self.source, pieces)


DEEPEST_NODE = 50  # collections in collections
MOST_COPIES = 1000000  # nodes that aliases and merge keys may add ("billion laughs")
LONGEST_KEY = 1024  # 7.4.2, 8.2.2: from its first character to the colon

REFUSED = {  # construct: (message, hint)
    # what YAML has, and is not read here
    "directive": ("a directive (%) is not read", "drop the line; quote a text that begins with %"),
    "documents": ("several documents are not read", "drop what follows --- or ..."),
    "tag": ("a tag (!) is not read", "drop it; quote a text that begins with !"),
    "complex key": (
        "a complex key (? or a collection) is not read", "write a plain key: key: value"),
    "nesting": (f"nesting of more than {DEEPEST_NODE} levels is not read", "take some levels out"),
    "aliases": (f"alias expansion beyond {MOST_COPIES} nodes is not read", "write it out"),
    "digit": ("an indentation indicator at the top is not read", "drop the digit"),
    # what YAML has not
    "duplicate": ("duplicate key: {}", "it stands above already; keep one of them"),
    "tab": ("a tab as indentation", "indent with spaces"),
    "long key": (f"a key longer than {LONGEST_KEY} characters", "quote the text if it is no key"),
    "bracket": ("a bracket is never closed", "close it, and indent its lines more than its key"),
    "quote": ("{} is never closed", "close it in its line, or indent the lines that follow"),
    "escape": ("unknown escape {}", r"write \\ for a backslash, or use single quotes"),
    "alias": ("undefined alias {}", "define it above with &; quote a text that begins with *"),
    "anchor": ("an anchor cannot stand before another, or an alias", "keep one of them"),
    "merge": ("a merge key << takes a mapping", "for example <<: *name, or <<: [*one, *two]"),
    "no colon": (
        "expected key: value",
        "put a space behind the colon; quote a text with ': ' in it, or indent its further lines"),
    "comma": ("a comma or {} is missing", "quote a text that has signs in it"),
    "text": ("text behind a complete value", "quote a value as a whole; begin a comment with ' #'"),
    "indentation": ("wrong indentation", "begin it as the lines above, or below its key"),
    "torn": ("a last line of spaces behind a block of text", "remove them: readers differ"),
    "blank": ("an empty line is indented more than the text below it", "remove its white space"),
    "start": ("a value cannot begin with {}", "quote it; a list begins in the line below its key"),
}
UNREAD_STARTS = {"!": "tag", "?": "complex key"}


def pattern(text: str) -> "Any":
    """A pattern; Any, as many of them match wherever they are used."""
    return re.compile(text)


# A text is parsed with "\n\0" behind it: NUL is no character of YAML (5.1), so no pattern and no
# index runs over the end. No repetition has behind it what could fail after a long match: time is
# linear.
GAP = pattern(r"((?:[ \t]*(?:(?<![^ \t\n])#[^\n]*)?\n)*)( *)[ \t]*")
INDENT = pattern(r"(?: |-(?=[ \t\n]))*")  # what may stand before a block collection
LINE_END = pattern(r"[ \t]*(?:\n|(?<=[ \t])#)")
MARKER = pattern(r"(?:---|\.\.\.)(?=[ \t\n])|\0")  # 9.1.2: in the first column, the end
DASH = pattern(r"-(?=[ \t\n])")
COLON = pattern(r"[ \t]*:(?=[ \t\n])")
COLON_IN_FLOW = pattern(r":(?=[ \t\n,\[\]{}])")
ANCHOR = pattern(r"([&*][^ \t\n,\[\]{}\0]+)(?=[ \t\n,\]}])[ \t]*")  # 6.9.2
FOLD = pattern(r"[ \t]*\n(?:[ \t]*\n)*( *)")
CONTINUED = pattern(r"\n( *)(?![ \n])")
BLOCK_HEADER = pattern(  # 8.1.1
    r"[|>](?:([1-9])([+-]?)|([+-]?)([1-9]?))[ \t]*(?:(?<=[ \t])#[^\n]*)?\n"
    r"((?: *\n)*)( *)")
QUOTED = {
    '"': pattern(r'[^"\\\0]*(?:\\[^\0][^"\\\0]*)*'),
    "'": pattern(r"[^'\0]*(?:''[^'\0]*)*")}

# Plain scalars (7.3.3): how the first line goes, and a further one; what means that there is none.
PLAIN_LINE = r"(?:[ \t]*(?:[^ \t\n:#\0]+|:(?![ \t\n])|(?<=[^ \t\n])#))+"
PLAIN_START = r"(?![-?:][ \t\n]|[,\[\]{}#&*!|>'\"%@`])"
IN_BLOCK = (
    pattern(PLAIN_START + PLAIN_LINE), pattern(PLAIN_LINE), pattern(r"[ \t]*:[ \t\n]|\n"))
FLOW_LINE = r"(?:[ \t]*(?:[^ \t\n:#\0,\[\]{}]+|:(?![ \t\n,\[\]{}])|(?<=[^ \t\n])#))+"
FLOW_START = r"(?![-?:][ \t\n,\[\]{}]|[,\[\]{}#&*!|>'\"%@`])"
IN_FLOW = (
    pattern(FLOW_START + FLOW_LINE), pattern(FLOW_LINE),
    pattern(r":[ \t\n,\[\]{}]|[,\]}]"))

# What a scalar of several lines or with escapes is made of, by its quotes: newlines, escape, text.
PARTS = {  # compiled when there is one
    "": r"([ \t]*\n[ \t\n]*)|((?!))|(?:[^ \t\n]+|[ \t]+(?![ \t\n]))+",
    "'": r"([ \t]*\n[ \t\n]*)|('')|(?:[^' \t\n]+|[ \t]+(?![ \t\n]))+",
    '"': (
        r"((?:\\|[ \t]*)\n[ \t\n]*)"
        r"|(\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.))"
        r"|(?:[^\\ \t\n]+|[ \t]+(?![ \t\n]))+")}
ESCAPES = {  # 5.7; '' is that of single quotes
    r"\0": "\0", r"\a": "\a", r"\b": "\b", r"\t": "\t", "\\\t": "\t", r"\n": "\n", r"\v": "\v",
    r"\f": "\f", r"\r": "\r", r"\e": "\x1b", r"\ ": " ", r'\"': '"', r"\/": "/", r"\\": "\\",
    r"\N": "\x85", r"\_": "\xa0", r"\L": "\u2028", r"\P": "\u2029", "''": "'"}


class YamlParser:
    """The parser of one document; at is the offset of what comes next, brackets those of the open
    [ and {.

    In block context, line is the offset of the line at hand, column how many spaces indent it (-1
    at the end of the document), closed the column of the block collection that it ended, or -1.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text + "\n\0"
        if source.text.endswith("\n"):
            self.text = source.text + "\0"
        self.at = self.line = self.column = self.closed = 0
        self.depth = 0  # of open collections
        self.count = 0  # of nodes, those of aliases included
        self.brackets: List[int] = []
        self.anchors: Dict[str, Optional[Tuple[Node, int]]] = {}
        self.named: Optional[Node] = None  # by the last anchor or alias
        self.parsers = {
            '"': self.parse_quoted, "'": self.parse_quoted,
            "[": self.parse_flow, "{": self.parse_flow,
            "|": self.parse_block_scalar, ">": self.parse_block_scalar}

    def error(self, construct: str, start: int, end: int = 0, word: str = "") -> Error:
        """The Error about text[start:end], one character when there is no end."""
        message, hint = REFUSED[construct]
        mark = self.source.mark(start, max(end, start + 1))
        return Error(f"yaml-{construct}".replace(" ", "-"), message.format(word), mark, hint)

    def misplaced(self, start: int, otherwise: Error) -> Error:
        """The Error about a tab at an offset, or another one where there is none."""
        if self.text[start] == "\t":
            return self.error("tab", start)
        return otherwise

    def next_line(self) -> None:
        """gap = { [white] [comment] newline } indentation (6.6, 6.1)."""
        gap = GAP.match(self.text, self.at)
        if gap.end(1) == self.at > 0:  # no newline
            raise self.error("text", gap.end())
        self.line = gap.end(1)
        self.at = gap.end()
        self.closed = -1
        self.column = gap.end(2) - self.line
        if MARKER.match(self.text, self.line):
            self.column = -1

    def step(self, indent: int, length: int = 1) -> None:
        """separation = { white | comment | newline indentation }, within brackets, behind length
        characters (6.7)."""
        gap = GAP.match(self.text, self.at + length)
        line = gap.end(1)
        if line > gap.start():
            missing = indent - (gap.end(2) - line)
            if missing == 1 and self.text[gap.end(2)] == PARTNERS[self.text[self.brackets[-1]]]:
                missing = 0  # every reader takes the bracket in the column of its key
            if missing > 0 or MARKER.match(self.text, line):
                raise self.misplaced(gap.end(2), self.error("bracket", self.brackets[-1]))
        self.at = gap.end()

    def is_outside(self, line: int, words: int, indent: int) -> bool:
        """Whether a line, whose indentation ends at words, belongs to no scalar that is
        indented so much: it has less, or it is a marker (6.1, 9.1.2)."""
        column = words - line
        return column < indent or (not column and bool(MARKER.match(self.text, line)))

    def check_lines(self, start: int, end: int, indent: int) -> None:
        """Raise unless the further lines of a scalar text[start:end] belong to it."""
        for line in CONTINUED.finditer(self.text, start, end):
            if self.is_outside(line.start(1), line.end(), indent):
                raise self.misplaced(line.end(), self.error("quote", start, 0, self.text[start]))

    def check_key(self, key: Node, start: int, end: int) -> None:
        """Raise unless the node text[start:end] can be a key."""
        if key.kind != "scalar":
            raise self.error("complex key", start)
        if self.text.find("\n", start, end) >= 0:
            raise self.error("no colon", start, self.text.index("\n", start))
        if end - start > LONGEST_KEY:
            raise self.error("long key", start)

    def check_line(self, parent: int) -> None:
        """Raise unless the line at hand may follow a node within the block collection in the column
        parent (6.1)."""
        if self.text[self.line + self.column] == "\t":
            raise self.error("tab", self.line + self.column)
        if self.column > parent:
            construct = "indentation" if max(self.closed, parent) >= 0 else "text"
            raise self.error(construct, self.at, self.text.index("\n", self.at))

    def grow(self, start: int, levels: int, count: int) -> None:
        """Count open collections and nodes; start is that of what brings them."""
        self.depth += levels
        self.count += count
        if self.depth > DEEPEST_NODE:
            raise self.error("nesting", start)
        if self.count > MOST_COPIES + len(self.text):
            raise self.error("aliases", start)

    def sequence(self, items: "List[Node]", start: int, end: int) -> Node:
        """A sequence, which is closed with it."""
        self.grow(start, -1, len(items))
        return Node("sequence", items, False, self.source, start, end, None)

    def mapping(self, pairs: "List[Tuple[Node, Node]]", start: int, end: int) -> Node:
        """A mapping, which is closed with it."""
        self.grow(start, -1, len(pairs))
        return Node("mapping", self.merge(pairs), False, self.source, start, end, None)

    def merge(self, pairs: "List[Tuple[Node, Node]]") -> "List[Tuple[Node, Node]]":
        """The pairs of a mapping with what its merge key << names in front: a key of the
        mapping itself wins over one that is named, one of a mapping named earlier over one named
        later (yaml.org/type/merge.html)."""
        own: Dict[str, Tuple[Node, Node]] = {}
        for pair in pairs:
            key = pair[0]
            if key.value in own:
                raise self.error("duplicate", key.start, key.end, key.value)
            own[key.value] = pair
        if "<<" not in own or not own["<<"][0].plain:
            return pairs
        key, named = own.pop("<<")
        merged = self.merged(key, named)
        return [merged[name] for name in merged if name not in own] + list(own.values())

    def merged(self, key: Node, named: Node) -> "Dict[str, Tuple[Node, Node]]":
        """The pairs that a merge key names."""
        merged: Dict[str, Tuple[Node, Node]] = {}
        for mapping in named.value if named.kind == "sequence" else [named]:
            if mapping.kind != "mapping":
                raise self.error("merge", key.start, key.end)
            self.grow(key.start, 0, len(mapping.value))
            for pair in mapping.value:
                merged.setdefault(pair[0].value, pair)
        return merged

    def scalar(self, start: int, end: int, style: str) -> Node:
        """The scalar text[start:end], with style as its quotes: { newlines | escape | text }
        where one newline is a space, and of more the first is dropped (6.5)."""
        if not style and self.text.find("\n", start, end) < 0:
            return Node("scalar", self.text[start:end], True, self.source, start, end, None)
        parts: List[Tuple[str, int]] = []
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
        """The character that an escape means."""
        if escape in ESCAPES:
            return ESCAPES[escape]
        code = int(escape[2:] or "D800", 16)  # a half of a pair (UTF-16) is no character, nor is \q
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise self.error("escape", start, start + len(escape), escape)
        return chr(code)

    def parse_quoted(self, indent: int) -> Node:
        """quoted = "'" { text | "''" | newline } "'" | '"' { text | escape | newline } '"' (7.3.1,
        7.3.2)."""
        start = self.at
        quote = self.text[start]
        end = QUOTED[quote].match(self.text, start + 1).end()
        self.check_lines(start, end, indent)
        if self.text[end] != quote:
            raise self.error("quote", start, 0, quote)
        self.at = end + 1
        return self.scalar(start, end + 1, quote)

    def parse_plain(self, indent: int) -> Node:
        """plain = line { newline line } | nothing (7.3.3)."""
        text, start = self.text, self.at
        first, further, nothing = IN_FLOW if self.brackets else IN_BLOCK
        match: Optional[Match[str]] = first.match(text, start)
        if not match and not nothing.match(text, start):
            raise self.error(UNREAD_STARTS.get(text[start], "start"), start, 0, text[start])
        while match:
            self.at = match.end()
            fold = FOLD.match(text, self.at)
            if not fold or self.is_outside(fold.start(1), fold.end(), indent):
                break
            match = further.match(text, fold.end())
        self.check_lines(start, self.at, indent)
        return self.scalar(start, self.at, "")

    def parse_block_lines(self, at: int, depth: int,
                          indent: int) -> "Tuple[List[Tuple[str, int]], int]":
        """lines = { indentation text newline | { " " } newline }; return them without it, and where
        the next one starts."""
        lines = []
        while not MARKER.match(self.text, at):
            line = self.text[at:self.text.index("\n", at)]
            words = line.lstrip(" ")
            spaces = len(line) - len(words)
            if words and spaces < depth:
                if words[0] == "\t":  # even before a comment: this is no ordinary gap (8.1.1.2)
                    raise self.error("tab", at + spaces)
                if spaces >= indent and words[0] != "#":
                    raise self.error("indentation", at + spaces, at + len(line))
                break
            lines.append((line[depth:], at + min(depth, len(line))))
            at += len(line) + 1
        return lines, at

    def block_depth(self, header: "Match[str]", indent: int) -> int:
        """How many spaces indent the lines of a block scalar, which is said by a digit, or
        by its first line (8.1.1.1)."""
        digit = header.group(1) or header.group(4)
        if digit:
            return indent - 1 + int(digit)
        depth = len(header.group(6))
        blank = max(map(len, header.group(5).split("\n")))
        if indent <= depth < blank and not MARKER.match(self.text, header.end()):
            at = header.start(5)
            raise self.error("blank", at, self.text.index("\n", at))
        return max(depth, blank, indent)

    def parse_block_scalar(self, indent: int) -> Node:
        """block_scalar = ("|" | ">") [digit] ["+" | "-"] [comment] newline lines (8.1). At the end
        of a file, the newline of the last line may be missing."""
        start = self.at
        header = BLOCK_HEADER.match(self.text, start)
        if self.brackets or not header:
            raise self.error("start", start, 0, self.text[start])
        at = header.start(5)
        depth = self.block_depth(header, indent)
        lines, self.at = self.parse_block_lines(at, depth, indent)
        is_torn = self.at > len(self.source.text)  # the last line has no newline
        last = self.text.rfind("\n", 0, self.at - 1) + 1
        if is_torn and self.text[last:self.at - 1].isspace():
            raise self.error("torn", last, self.at - 1)
        self.at -= 1  # the newline, where every other scalar ends
        has_digit = header.group(1) or header.group(4)
        if not indent and has_digit and any(dict(lines)):
            raise self.error("digit", start)  # relative to -1 or to 0: readers differ
        parts = chomped(lines, header.group(2) or header.group(3), is_torn)
        if self.text[start] == ">":
            parts = folded(parts)
        value = "".join(part for part, _ in parts)
        return Node("scalar", value, False, self.source, start, at - 1, parts)

    def parse_anchored(self, name: "Match[str]", indent: int,
                       compact: "Optional[bool]" = None) -> Node:
        """anchored = "&" name node (6.9.2), or block_node where the name stands alone in its line
        (compact: as there)."""
        before = self.count
        anchor = name.group(1)[1:]
        self.at = name.end()
        self.grow(name.start(), 1, 0)
        self.anchors[anchor] = None  # within the node, its alias is neither it nor an earlier one
        if self.brackets:
            self.step(indent, 0)
        if compact is None:
            node = self.parse_node(indent)
        else:
            node = self.parse_block_node(indent - 1, compact)
        if node is self.named:
            raise self.error("anchor", name.start(), name.end(1))
        self.depth -= 1
        self.named = node
        self.anchors[anchor] = (node, self.count - before + 1)
        return node

    def parse_node(self, indent: int) -> Node:
        """node = "*" name | anchored | quoted | plain | block_scalar | flow."""
        name = ANCHOR.match(self.text, self.at)
        if not name:
            return self.parsers.get(self.text[self.at], self.parse_plain)(indent)
        if self.text[self.at] == "&":
            return self.parse_anchored(name, indent)
        known = self.anchors.get(name.group(1)[1:])
        if not known:
            raise self.error("alias", name.start(), name.end(1), name.group(1))
        self.at = name.end(1)
        self.named, count = known
        self.grow(name.start(), 0, count)
        return self.named

    def parse_flow(self, indent: int) -> Node:
        """flow = "[" entries "]" | "{" entries "}"; entries = [entry { "," entry } [","]] (7.4)."""
        start = self.at
        close = PARTNERS[self.text[start]]
        is_mapping = close == "}"
        items: List[Any] = []
        self.grow(start, 1, 0)
        self.brackets.append(start)
        self.step(indent)
        while self.text[self.at] != close:
            items.append(self.parse_entry(indent, is_mapping))
            if self.text[self.at] == ",":
                self.step(indent)
            elif self.text[self.at] != close:
                raise self.error("comma", self.at, 0, close)
        self.brackets.pop()
        self.at += 1
        if is_mapping:
            return self.mapping(items, start, self.at)
        return self.sequence(items, start, self.at)

    def parse_entry(self, indent: int, is_mapping: bool) -> "Union[Node, Tuple[Node, Node]]":
        """entry = node [":" node]: in a sequence, a pair is a mapping of its own with its colon in
        the line of its key; in a mapping, a key alone has no value (7.4)."""
        text, begin = self.text, self.at
        if text[begin] in ",]}":
            raise self.error("start", begin, 0, text[begin])
        key = self.parse_node(indent)
        value = self.scalar(self.at, self.at, "")
        self.step(indent, 0)
        colon = self.at
        touches = not key.plain and text[begin] != "*"  # its colon may touch the value
        is_pair = text[colon] == ":" and (touches or COLON_IN_FLOW.match(text, colon))
        if not is_pair and not is_mapping:
            return key
        self.check_key(key, begin, begin if is_mapping else colon)
        if is_pair:
            value = self.parse_entry_value(indent, touches)
        if is_mapping:
            return key, value
        self.grow(begin, 1, 0)
        return self.mapping([(key, value)], begin, value.end)

    def parse_entry_value(self, indent: int, touches: bool) -> Node:
        """The value behind a colon in brackets, which it may touch."""
        colon = self.at
        self.step(indent)
        if not touches and self.at == colon + 1 and self.text[self.at] in "[{":
            raise self.error("no colon", colon)
        value = self.parse_node(indent)
        self.step(indent, 0)
        return value

    def parse_block_sequence(self) -> Node:
        """block_sequence = "-" block_node { newline "-" block_node }, the dashes in one column
        (8.2.1)."""
        start, column = self.at, self.column
        items = []
        self.grow(start, 1, 0)
        while self.column == column and DASH.match(self.text, self.at):
            self.at += 1
            items.append(self.parse_block_node(column, True))
        self.closed = column
        return self.sequence(items, start, start + 1)

    def parse_block_mapping(self, key: Node, start: int) -> Node:
        """block_mapping = key ":" block_node { newline key ":" block_node }, the keys in one column
        (8.2.2)."""
        first, column = start, self.column
        pairs = []
        self.grow(start, 1, 0)
        while True:
            colon = COLON.match(self.text, self.at)
            if not colon:
                raise self.error("no colon", start, self.text.index("\n", start))
            self.check_key(key, start, colon.end() - 1)
            self.at = colon.end()
            pairs.append((key, self.parse_block_node(column, False)))
            if self.column != column:
                break
            start = self.at
            key = self.parse_node(column + 1)
        self.closed = column
        return self.mapping(pairs, first, pairs[0][0].end)

    def parse_block_node(self, parent: int, compact: bool) -> Node:
        """block_node = [newline] (block_sequence | block_mapping | node) | nothing, indented more
        than its parent.

        compact: the parent is a dash, and a collection may begin in its line (8.2.3). Otherwise it
        is a key, and dashes may stand in its column (8.2.1).
        """
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
        self.check_line(parent)
        return node

    def parse_block_value(self, parent: int, compact: bool) -> Node:
        """block_value = block_sequence | block_mapping | node. A collection has only spaces and
        dashes before it in its line (6.1)."""
        text, start = self.text, self.at
        indented = INDENT.match(text, self.line).end()
        name = ANCHOR.match(text, start)
        if DASH.match(text, start):
            if start > indented:
                raise self.misplaced(indented, self.error("start", start, 0, "-"))
            return self.parse_block_sequence()
        if name and text[start] == "&" and LINE_END.match(text, name.end()):
            return self.parse_anchored(name, parent + 1, compact)
        node = self.parse_node(parent + 1)
        if not COLON.match(text, self.at):
            self.next_line()
            return node
        if start > indented:
            raise self.misplaced(
                indented, self.error("no colon", start, self.text.index("\n", start)))
        return self.parse_block_mapping(node, start)

    def parse_document(self) -> Node:
        """document = ["---"] block_node ["..."] (9.2)."""
        self.next_line()
        sign = self.text[self.at]
        if sign == "%" and self.column == 0:
            raise self.error("directive", self.at, self.text.index("\n", self.at))
        if sign == "-" and self.column < 0:
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


def chomped(lines: "List[Tuple[str, int]]", chomp: str,
            is_torn: bool) -> "List[Tuple[str, int]]":
    """The lines of a block scalar with their newlines, of which those at the end are kept
    (+), dropped (-) or made one (8.1.1.2)."""
    is_torn = is_torn and bool(lines) and lines[-1][0] != ""
    while lines and not lines[-1][0] and chomp != "+":
        lines.pop()
    parts = [(line + "\n", offset) for line, offset in lines]
    if parts and (chomp == "-" or is_torn):
        last, offset = parts[-1]
        parts[-1] = last[:-1], offset
    return parts


def folded(parts: "List[Tuple[str, int]]") -> "List[Tuple[str, int]]":
    """The lines of a folded block scalar: between two lines of text a newline is a space,
    with empty lines between them nothing. It stays beside a line that begins with white space
    (8.1.3)."""
    result: List[Tuple[str, int]] = []
    foldable = -1  # the last line of text, whose newline one more such line folds
    for line, offset in parts:
        is_text = line[:1] not in ("", " ", "\t", "\n")
        if is_text and foldable >= 0:
            above, place = result[foldable]
            space = " " if foldable == len(result) - 1 else ""
            result[foldable] = above[:-1] + space, place
        if is_text:
            foldable = len(result)
        elif line != "\n":
            foldable = -1
        result.append((line, offset))
    return result


def read_yaml(text: "Union[str, bytes]", source: str = "hydraflow.yaml") -> Node:
    """The root node of a YAML document, an empty scalar when there is nothing; Error, with
    its place, for what is not YAML 1.2 and for what is REFUSED.

    >>> [(key.value, node.value, node.line) for key, node in read_yaml("a: 1\\nb: no").value]
    [('a', '1', 1), ('b', 'no', 2)]
    """
    return YamlParser(read_source(text, source)).parse_document()


# ---------------------------------------------------------------------------
# 4. Job file: Node -> Job
# ---------------------------------------------------------------------------
# command_words splits a command as a shell does, and refuses what only a shell would understand. A
# Reader makes a value of a node, for a kind of step, and knows the schema of what it takes. KEYS is
# the one table of keys: whose they are, their readers, defaults and meanings; the schema is made
# from it. read_jobs reads all jobs, and load collects all mistakes of a file in its order. A text
# stays a Source, so that a mistake that is found in it later can still point into the file.

OLD_SPELLINGS = {  # of HydraFlow 0.15.1 and later; of 0.11; of 0.9 and 0.10
    "sets": "steps", "each": "batch", "all": "args", "add": "with",
    "configs": "with",
    "options": "with"}
JOB_FILES = ("hydraflow.yaml", "hydraflow.yml")
AUTO = -1  # max-parallel: as many tasks at once as this process may use processors
WRITE_EXAMPLE = "hydraflow init writes an example"


class Sample(NamedTuple("Sample", [("count", int), ("seed", int)])):
    """How many combinations of a step are taken at random, and which permutation they begin."""
    __slots__ = ()


class Step(NamedTuple("Step", [
        ("name", str), ("batch", Sweep), ("args", Sweep), ("with_", "List[Axis]"),
        ("env", "Dict[str, Optional[Source]]"), ("run", "Optional[Source]"),
        ("call", "Optional[Source]"), ("submit", "Optional[Source]"), ("exclude", "List[Sweep]"),
        ("include", "List[Sweep]"), ("setup", "Optional[Source]"), ("sample", "Optional[Sample]"),
        ("pack", int), ("pack_parallel", int)])):
    """A parameter sweep of a job; pack and pack_parallel are 0 where it says nothing of its own."""
    __slots__ = ()


class Job(NamedTuple("Job", [
        ("key", str), ("name", str), ("run", "Optional[Source]"), ("call", "Optional[Source]"),
        ("submit", "Optional[Source]"), ("with_", "List[Axis]"), ("steps", "List[Step]"),
        ("hydra", "Optional[bool]"), ("env", "Dict[str, Optional[Source]]"),
        ("working_directory", "Optional[Source]"), ("needs", "List[Tuple[str, Mark]]"),
        ("max_parallel", int), ("fail_fast", "Optional[bool]"), ("retries", int),
        ("timeout_minutes", float), ("python", "Optional[Source]"), ("mark", Mark),
        ("setup", "Optional[Source]"), ("pack", int), ("pack_parallel", int)])):
    """An entry under jobs: a command and its steps.

    key is its name in the file; max_parallel, pack and pack_parallel are 0 and fail_fast None where
    the file says nothing; a variable of env that is None is taken away.
    """
    __slots__ = ()


TEMPLATE_NAMES = ("job.name", "task.index", "task.dir", "task.slot")  # and env.NAME, matrix.KEY
TEMPLATE = re.compile(r"\$\{\{([^{}\n]*)\}\}")
VARIABLE = r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\})"
NO_TEXT = r"`|\$[({0-9@*\#?!$-]"  # a shell takes it for no text, even in double quotes
COMMAND_TOKEN = re.compile(rf"""(?sxa)
    (?P<template>  \$\{{\{{[^{{}}\n]*\}}\}} )
  | (?P<single>    '[^']*' )
  | (?P<double>    "(?:[^"\\]|\\.)*" )
  | (?P<joint>     \\\n )
  | (?P<escape>    \\. )
  | (?P<variable>  {VARIABLE} )
  | (?P<space>     \s+ )
  | (?P<shell>     [;&|<>*]+ | {NO_TEXT} | (?<!\S)~/
                   | \{{[^\s{{}}'"\\$]*(?:,|\.\.)[^\s{{}}'"\\$]*\}} )
  | (?P<text>      [^\s'"\\$;&|<>*`{{]+ | [${{] )
  | (?P<unclosed>  . )
""")
QUOTED_PART = re.compile(
    rf"(?sa)(?P<template>\$\{{\{{[^{{}}\n]*\}}\}})|\\(?P<escape>[\"\\$`])"
    rf"|(?P<variable>{VARIABLE})|(?P<shell>{NO_TEXT})")
SHELL_HINT = (
    "run is one command: put more into a script of your own, what goes before into setup:, or"
    " write bash -c '... \"$@\" ...' bash (\"$@\" is where the parameters go); quote what is text")
SHELLS = ("sh", "bash", "dash", "zsh", "ksh")
SHELL_COMMANDS = frozenset((  # that change the shell itself, and are no programs
    "source", ".", "module", "ml", "cd", "export", "ulimit", "umask", "unset", "alias", "pushd"))
ACTIVATING = re.compile(r"(conda|mamba|micromamba|pyenv|spack) (activate|shell|load)\b")


def command_words(source: Source, environment: "Optional[Mapping[str, str]]"
                  ) -> "List[Tuple[str, Mark]]":
    """The words of a command, split and unquoted as a shell does it, with their places; $NAME is
    replaced where there is an environment."""
    def value(token: "Match[str]", place: "Match[str]") -> str:
        kind, text = token.lastgroup, token.group()
        mark = source.mark(place.start(), place.end())
        if kind == "shell":
            raise Error("no-shell", f"run does not use a shell: {text} would be an argument",
                        mark, SHELL_HINT)
        if kind == "escape":
            return text[1:]
        if kind != "variable" or environment is None:
            return text
        name = text.strip("${}")
        if name not in environment:
            raise Error("variable-not-set", f"${name} is not set in the environment", mark,
                        f"set it, or write \\${name} for the characters themselves")
        return environment[name]

    words: List[Tuple[str, int, int]] = []
    is_new = True
    end = len(source.text.rstrip())
    for token in COMMAND_TOKEN.finditer(source.text, len(source.text) - len(source.text.lstrip())):
        kind, text = token.lastgroup, token.group()
        if kind == "unclosed":
            raise Error("unclosed-quote", "a quote or a backslash has no end",
                        source.mark(token.start(), token.end()),
                        f"close it, or write \\{text} for the character itself")
        if kind == "space" and "\n" in text and token.end() < end:
            raise Error("no-shell", "run is one command: a line break would end it",
                        source.mark(token.start(), token.start() + 1), SHELL_HINT)
        if kind in ("space", "joint"):
            is_new = is_new or kind == "space"
            continue
        if kind == "single":
            text = text[1:-1]
        elif kind == "double":
            text = QUOTED_PART.sub(functools.partial(value, place=token), text[1:-1])
        else:
            text = value(token, token)
        word, start = ("", token.start()) if is_new else words.pop()[:2]
        words.append((word + text, start, token.end()))
        is_new = False
    return [(word, source.mark(start, end)) for word, start, end in words]


def split_command(source: Source,
                  environment: "Optional[Mapping[str, str]]") -> "List[str]":
    """The words of a command.

    >>> split_command(Source("job", "python 'my train.py' --home=$HOME"), {"HOME": "/home/ann"})
    ['python', 'my train.py', '--home=/home/ann']
    """
    return [word for word, _ in command_words(source, environment)]


def check_script(source: Source) -> None:
    """Raise for a command SHELL -c SCRIPT that drops the words that are appended to it."""
    words = split_command(source, None)
    names = [os.path.basename(word) for word in words]
    shell = next((index for index, name in enumerate(names) if name in SHELLS), len(words))
    options = iter(range(shell + 1, len(words) - 1))
    for index in options:
        if words[index] in ("-o", "-O"):
            next(options, 0)  # bash -o pipefail -c SCRIPT
        elif re.match("-[a-z]*c$", words[index]):
            script, has_name = words[index + 1], index + 2 < len(words)
            if re.search(r"\$\{?0", script) or (has_name and re.search(r"\$\{?[@*1-9]", script)):
                return  # who writes $0 knows that the first word becomes it
            raise Error("script-drops-words", "the script drops the words that are appended to it",
                        source.whole(), "use \"$@\" in it, and a word for $0 behind it:"
                        " bash -c '... \"$@\"' bash")
        elif not words[index].startswith("-"):
            return


def template_names(texts: "Iterable[str]") -> "Set[str]":
    """The names in the templates of texts."""
    found = chain.from_iterable(TEMPLATE.findall(text) for text in texts)
    return {name.strip() for name in found}


def no_value(template: "Match[str]", mark: Mark, names: "Iterable[str]") -> Error:
    """The Error about a template without a value; names are those that have one."""
    name = template.group(1).strip()
    hint = suggest(name, names)
    if name.startswith("env."):
        hint = "set it under env, above its use, or in the environment"
    hint = hint or f"there are env.NAME, matrix.KEY, {', '.join(TEMPLATE_NAMES)}"
    return Error("unknown-template", f"{template.group()} has no value", mark, hint)


def check_templates(source: Source, kind: str = "") -> Source:
    """A text with templates; raises for one that nothing can ever replace."""
    def check(template: "Match[str]") -> None:
        name = template.group(1).strip()
        if name not in TEMPLATE_NAMES and not re.match(r"(env|matrix)\..", name):
            raise no_value(template, source.mark(*template.span()), TEMPLATE_NAMES)

    read_all(check, TEMPLATE.finditer(source.text))
    opened = TEMPLATE.sub(lambda match: "x" * len(match.group()), source.text).find("${{")
    if opened >= 0:
        raise Error("unclosed-template", "a template is never closed",
                    source.mark(opened, opened + 3), "close it with }} in the same line")
    return source


def check_command(source: Source, kind: str = "") -> Source:
    """A command; raises for what is none, whatever the environment."""
    words = split_command(check_templates(source), None) or [""]
    word = words[0]
    name, equals, _ = word.partition("=")
    if not word or (equals and name.isidentifier()):
        raise Error("not-a-program", f"{word} is no program", source.whole(),
                    "a program comes first; put variables of the tasks under env:")
    if word in SHELL_COMMANDS or ACTIVATING.match(" ".join(words)):
        raise Error("shell-command", f"{word} would change a shell, and run does not use one",
                    source.whole(), "put it into setup: beside the command")
    return source


def check_submit(source: Source, kind: str = "") -> Source:
    """A submission command; all tasks of a step share it."""
    for template in TEMPLATE.finditer(check_command(source).text):
        if template.group(1).strip().startswith("matrix."):
            raise Error("matrix-in-submit", f"{template.group()}: all tasks of a step share submit",
                        source.mark(*template.span()), "write a step for each size")
    return source


def check_call(source: Source, kind: str = "") -> Source:
    """The name of a function with its module, and words."""
    name = " ".join(split_command(check_templates(source), None)[:1])
    if not re.match(r"[^\W\d]\w*(\.[^\W\d]\w*)+$", name):
        raise Error("not-a-function", f"{name} is no function's name", source.whole(),
                    "for example call: package.function")
    return source


def check_appended(source: Source, kind: str) -> "List[Axis]":
    """Words that are appended to a command."""
    axes = SweepParser(source, True, kind).parse_fixed()
    for axis in axes:
        check_templates(Source(source.name, axis.text, source, [(0, axis.start)]))
        if any(map(variable_of, axis.keys)):
            raise Error("variable-in-words", f"{axis.text} sets a variable of the environment",
                        axis.mark, "env: takes a value, and batch: an axis of several")
    return axes


TEXT: "Dict[str, Any]" = {"type": ["string", "number", "boolean"], "pattern": r"\S"}
ANY_TEXT: "Dict[str, Any]" = {"type": ["string", "number", "boolean", "null"]}


class Reader:
    """Reads a node for a kind of step; schema is the JSON Schema of what it takes."""

    def __init__(self, read: "Callable[[Node, str], Any]", schema: "Dict[str, Any]") -> None:
        self.read = read
        self.schema = schema

    def __call__(self, node: Node, kind: str = "") -> "Any":
        return self.read(node, kind)


def expect_kind(node: Node, kind: str, example: str) -> None:
    """Raise unless the node is of a kind: a scalar, a sequence or a mapping."""
    if node.kind != kind:
        names = {"scalar": "a text", "sequence": "a list", "mapping": "keys with values"}
        raise Error("wrong-kind", f"expected {names[kind]}, found {names[node.kind]}", node.mark,
                    f"for example {example}")
    if kind == "scalar" and "\0" in node.value:
        raise Error("nul-character", "no command line and no variable can hold U+0000", node.mark,
                    "remove it")


def text(check: "Callable[[Source, str], Any]", example: str) -> Reader:
    """A reader of a text that is not empty."""
    def read(node: Node, kind: str) -> "Any":
        expect_kind(node, "scalar", example)
        if not str(node.value).strip():
            raise Error("missing-text", "expected a text, found nothing", node.mark,
                        "give a value, or drop the key")
        return check(node.text_source(), kind)

    return Reader(read, TEXT)


def count(least: int) -> Reader:
    """A reader of a whole number."""
    def read(node: Node, kind: str) -> int:
        number = str(node.value)
        is_number = node.kind == "scalar" and re.fullmatch("[0-9]{1,9}", number)
        if not is_number or int(number) < least:
            raise Error("expected-count", f"expected a whole number of at least {least}", node.mark,
                        "for example 4")
        return int(number)

    digits = "^[0-9]{1,9}$" if least == 0 else "^(?=.*[1-9])[0-9]{1,9}$"
    number = {"type": "integer", "minimum": least, "maximum": 999999999}
    return Reader(read, {"anyOf": [number, {"type": "string", "pattern": digits}]})


def several(item: Reader) -> Reader:
    """A reader of one item, or a list of them."""
    def read(node: Node, kind: str) -> "List[Any]":
        nodes = node.value if node.kind == "sequence" else [node]
        return read_all(lambda one: item(one, kind), nodes)

    schema = item.schema
    return Reader(read, {"anyOf": [schema, {"type": "array", "items": schema}]})


def check_name(source: Source, kind: str = "") -> str:
    """A name: one line of text."""
    if not source.text.isprintable():
        raise Error("invalid-name", "a name is one line of printable text", source.whole(),
                    "for example name: train")
    return source.text


def check_need(source: Source, kind: str = "") -> "Tuple[str, Mark]":
    """The name of a job, and where it is needed."""
    return check_name(source), source.whole()


read_name = text(check_name, "name: train")
read_command = text(check_command, "run: python train.py")
read_words = text(check_appended, "with: hydra/launcher=joblib")
read_count = count(1)
read_retries = count(0)


@functools.partial(Reader, schema={"type": "boolean"})
def read_flag(node: Node, kind: str) -> bool:
    """Read true or false, as YAML 1.2 spells them."""
    word = str(node.value).lower()
    if node.kind != "scalar" or not node.plain or word not in ("true", "false"):
        raise Error("expected-boolean", "expected true or false", node.mark,
                    "write true or false, without quotes")
    return word == "true"


@functools.partial(Reader, schema={"anyOf": [{"const": "auto"}, read_count.schema]})
def read_parallel(node: Node, kind: str) -> int:
    """Read a whole number, or AUTO."""
    if node.kind == "scalar" and node.value == "auto":
        return AUTO
    try:
        return int(read_count(node))
    except Error as error:
        raise Error("expected-count", "expected a whole number of at least 1, or auto", error.mark,
                    "for example 4; auto is as many as there are processors") from None


@functools.partial(Reader, schema={"anyOf": [
    {"type": "number", "exclusiveMinimum": 0},
    {"type": "string", "pattern": "^[0-9+.][^a-zA-Z]*([eE][+-]?[0-9]+)?[smhd]?$"}]})
def read_minutes(node: Node, kind: str) -> float:
    """Read a number of minutes, fractions and units included."""
    minutes = read_duration(str(node.value)) if node.kind == "scalar" else 0.0
    if not minutes:
        raise Error("expected-minutes", "expected a number of minutes above zero", node.mark,
                    "for example 90, 0.5, or with a unit: 30s, 90m, 2h")
    return minutes


@functools.partial(Reader, schema=ANY_TEXT)
def read_sweep(node: Node, kind: str) -> Sweep:
    """Read a sweep; an empty text is one without axes."""
    expect_kind(node, "scalar", "batch: model=cnn,vit lr=0.1,0.01")
    return Sweep(node.text_source(), kind=kind)


@functools.partial(Reader, schema=ANY_TEXT)
def read_args(node: Node, kind: str) -> Sweep:
    """Read a sweep of which one word holds each axis."""
    sweep: Sweep = read_sweep(node, kind)
    sweep.collect()
    for axis in sweep.axes:
        if any(map(variable_of, axis.keys)):
            raise Error("axis-in-args", f"{axis.keys[0]} is an axis of the environment", axis.mark,
                        "put it into batch, or a single value into env")
    return sweep


@functools.partial(Reader, schema=TEXT)
def read_short_sweep(node: Node, kind: str) -> Sweep:
    """Read a sweep whose combinations can all be kept."""
    sweep = text(lambda source, _: Sweep(source, kind=kind), "exclude: a=1 b=2")(node)
    if sweep.count > MOST_JOINED:
        raise Error("too-many-combinations", f"more than {MOST_JOINED:,} combinations",
                    sweep.axes[0].mark, "as axes of batch they cost nothing")
    return sweep  # type: ignore[no-any-return]


@functools.partial(Reader, schema={
    "type": "object", "additionalProperties": ANY_TEXT,
    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}})
def read_environment(node: Node, kind: str) -> "Dict[str, Optional[Source]]":
    """Read environment variables; null takes one away."""
    def read(pair: "Tuple[Node, Node]") -> "Tuple[str, Optional[Source]]":
        key, value = pair
        expect_kind(value, "scalar", "env: {OMP_NUM_THREADS: 1}")
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", key.value):
            raise Error("invalid-variable-name", f"no variable can be named {key.value}", key.mark,
                        "a name has letters, digits and _, and begins with no digit")
        is_null = value.plain and value.value in ("", "~", "null", "Null", "NULL")
        return key.value, None if is_null else check_templates(value.text_source())

    expect_kind(node, "mapping", "env: {OMP_NUM_THREADS: 1}")
    return dict(read_all(read, node.value))


@functools.partial(Reader, schema={"anyOf": [read_count.schema, {
    "type": "object", "properties": {"count": read_count.schema, "seed": read_retries.schema},
    "additionalProperties": False, "required": ["count"]}]})
def read_sample(node: Node, kind: str) -> Sample:
    """Read how many combinations to take at random."""
    if node.kind != "mapping":
        return Sample(read_count(node), 0)
    values = {key.value: value for key, value in node.value}
    wrong = [key for key, _ in node.value if key.value not in ("count", "seed")]
    if wrong or "count" not in values:
        raise Error("sample-without-count", "a sample has a count, and perhaps a seed",
                    wrong[0].mark if wrong else node.mark,
                    "for example sample: {count: 20, seed: 7}")
    seed = read_retries(values["seed"]) if "seed" in values else 0
    return Sample(read_count(values["count"]), seed)


@functools.partial(Reader, schema={
    "type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}})
def read_steps(node: Node, kind: str) -> "List[Step]":
    """Read the steps of a job."""
    expect_kind(node, "sequence", "steps: [{batch: a=1:3}]")
    if not node.value:
        raise Error("no-steps", "steps are empty", node.mark,
                    "drop the key: a job without steps is one task")
    return read_all(lambda one: read_step(one, kind), node.value)


class Key(NamedTuple("Key", [
        ("name", str), ("owners", str), ("read", Reader), ("default", "Any"), ("meaning", str)])):
    """A key of the job file; owners are job, step, or both."""
    __slots__ = ()


KEYS = (
    Key("name", "job step", read_name, "", "the name to show; of a job, also hydra.job.name"),
    Key("run", "job step", read_command, None, "the command: a program and its words"),
    Key("call", "job step", text(check_call, "call: package.function"), None,
        "a function to call in place of a command: package.function"),
    Key("setup", "job step", text(check_templates, "setup: module load cuda"), None,
        "lines of shell that prepare each task: module load cuda"),
    Key("submit", "job step", text(check_submit, "submit: sbatch --partition=gpu"), None,
        "the command that hands the tasks to a scheduler: sbatch"),
    Key("with", "job step", read_words, [],
        "words that are appended to every task; those of a step win over the job's"),
    Key("steps", "job", read_steps, [], "the sweeps, which are executed in order"),
    Key("batch", "step", read_sweep, Sweep(), "a sweep: each combination is a task"),
    Key("args", "step", read_args, Sweep(),
        "a sweep that is a part of every task, for Hydra to sweep over"),
    Key("exclude", "step", several(read_short_sweep), [], "combinations to leave out"),
    Key("include", "step", several(read_short_sweep), [], "combinations to add"),
    Key("sample", "step", read_sample, None,
        "how many combinations to take at random, or count and seed"),
    Key("hydra", "job", read_flag, None,
        "whether the command is a Hydra application: true with steps"),
    Key("env", "job step", read_environment, {},
        "environment variables of the tasks; null takes one away"),
    Key("working-directory", "job", text(check_templates, "working-directory: src"), None,
        "where the tasks are executed"),
    Key("needs", "job", several(text(check_need, "needs: prepare")), [],
        "the jobs that must have succeeded before"),
    Key("max-parallel", "job", read_parallel, 0, "how many tasks at once, or auto"),
    Key("fail-fast", "job", read_flag, None,
        "true: no task is started after a failure; false: all are"),
    Key("retries", "job", read_retries, 0, "how often a failed task is tried again"),
    Key("timeout-minutes", "job", read_minutes, 0.0, "how long a task may take: 90, 30s, 2h"),
    Key("pack", "job step", read_count, 0, "how many tasks an array task of a scheduler takes"),
    Key("pack-parallel", "job step", read_count, 0, "how many tasks of a pack run at once"),
    Key("python", "job", read_command, None, "the Python of call and of array tasks"),
)


def keys_of(owner: str) -> "Dict[str, Key]":
    """The keys of a job or of a step, by name."""
    return {key.name: key for key in KEYS if owner in key.owners}


def field_of(key: str) -> str:
    """The field of a Job or Step that holds the value of a key."""
    return "with_" if key == "with" else key.replace("-", "_")


EMPTY_STEP = Step(**{field_of(name): key.default for name, key in keys_of("step").items()})
EMPTY_JOB = Job(key="", mark=NOWHERE, **{
    field_of(name): key.default for name, key in keys_of("job").items()})


def unknown_key(owner: str, key: Node) -> Error:
    """The Error about a key that a job or a step has not."""
    known = keys_of(owner)
    name = OLD_SPELLINGS.get(key.value, key.value)
    hint = suggest(key.value, known)
    if owner == "job" and name in keys_of("step"):
        hint = "it belongs in a step: steps: [{batch: a=1:3}]"
    elif owner == "step" and name in keys_of("job"):
        hint = "it belongs to the job, beside steps:"
    elif not re.match("[a-z-]+$", key.value):
        hint = "put a value with commas in quotes: {batch: 'a=1,2'}"
    hint = hint or f"the keys here are {', '.join(sorted(known))}"
    return Error("unknown-key", f"unknown key: {key.value}", key.mark, hint)


def read_keys(owner: str, node: Node, kind: str, errors: "List[Error]") -> "Dict[str, Any]":
    """The fields of a Job or Step, those that are right, by name; the Errors of all others."""
    known = keys_of(owner)
    seen: Dict[str, str] = {}

    def read(pair: "Tuple[Node, Node]") -> "Tuple[str, Any]":
        key, value = pair
        name = OLD_SPELLINGS.get(key.value, key.value)
        if name not in known:
            raise unknown_key(owner, key)
        if name in seen:
            raise Error("duplicate-key", f"{key.value} and {seen[name]} are one key", key.mark,
                        f"keep {name}")
        if {"run": "call", "call": "run"}.get(name) in seen:
            raise Error("run-and-call", "run and call are two commands", key.mark,
                        "keep one of them, or give each a step of its own")
        seen[name] = key.value
        return field_of(name), known[name].read(value, kind)

    return dict(read_each(read, node.value, errors))


def read_step(node: Node, kind: str) -> Step:
    """Read a step of a job."""
    expect_kind(node, "mapping", "- batch: a=1:3")
    errors: List[Error] = []
    step = EMPTY_STEP._replace(**read_keys("step", node, kind, errors))
    if not errors:
        known = set(chain.from_iterable(axis.keys for axis in step.batch.axes))
        for axis in chain.from_iterable(sweep.axes for sweep in step.exclude):
            for key in [key for key in axis.keys or [axis.text] if key not in known][:1]:
                hint = suggest(key, known) or "exclude takes words key=value of batch"
                errors.append(Error("exclude-unknown-axis", f"exclude: {key} is no axis of batch",
                                    axis.mark, hint))
        rest = [*step.args.axes, *step.with_]
        read_each(lambda sweep: check_assigned_once([*sweep.axes, *rest], kind),
                  [step.batch, *step.include], errors)
    raise_all(errors)
    return step


def check_assigned_once(axes: "Iterable[Axis]", kind: str) -> None:
    """Raise if two words assign one key; a program may have options twice that sweep nothing."""
    errors = []
    seen: Dict[str, Axis] = {}
    for axis in axes:
        for key in dict.fromkeys(axis.assigned if kind == HYDRA else axis.keys):
            first = seen.setdefault(key, axis)
            if first is not axis and (kind == HYDRA or first.count * axis.count > 1):
                place = first.mark
                errors.append(Error(
                    "assigned-twice", f"{key} is assigned twice", axis.mark,
                    f"it is assigned in line {place.line}, column {place.column}; keep one, or"
                    " link keys that go together: a,b=(1,x),(2,y)"))
    raise_all(errors)


def path_words(batch: Sweep) -> "List[Axis]":
    """Words like paths at the front of a batch: they belong to the command, as in batch: train.py
    lr=0.1,0.01 under run: python."""
    return list(takewhile(is_path, batch.axes))


def has_own_command(owner: "Union[Job, Step]") -> bool:
    """Whether a job, or a step, says itself what to execute."""
    return bool(owner.run or owner.call or owner.submit)


def has_command(job: Job) -> bool:
    """Whether each step of a job has something to execute; otherwise it is a template for others.

    >>> jobs = read_jobs(read_yaml("jobs: {base: &base {retries: 1}, a: {<<: *base, run: a.sh}}"))
    >>> [has_command(job) for job in jobs.values()]
    [False, True]
    """
    return has_own_command(job) or (bool(job.steps) and all(map(has_own_command, job.steps)))


def is_hydra(job: Job) -> bool:
    """Whether the command of a job is a Hydra application."""
    return bool(job.steps) if job.hydra is None else job.hydra


def move_old_command(job: Job) -> Job:
    """Take the words of `with` as the command of a submitted job, where they are one: up to
    HydraFlow 0.15 the command stood there (with: python train.py)."""
    if not job.submit or not job.with_ or job.run or job.call or not is_bare(job.with_[0].text):
        return job
    return job._replace(run=check_command(job.with_[0].source), with_=[])


def check_job(job: Job) -> None:
    """Raise unless the words of a job go together, reach its command, and all steps have one."""
    kind = HYDRA if is_hydra(job) else PROGRAM
    errors: List[Error] = []
    steps = job.steps or [EMPTY_STEP]
    read_each(lambda axes: check_assigned_once(axes, kind), [job.with_], errors)
    if kind == HYDRA:
        read_each(check_bare_words, [job.with_, *(step.with_ for step in steps)], errors)
    read_each(check_script, [
        step.run or job.run for step in steps if gets_words(job, step, kind)], errors)
    if not has_command(job) and any(map(has_own_command, job.steps)):
        errors.append(Error("no-command", f"a step of job {job.key} has no command", job.mark,
                            "give the job a command, or each of its steps"))
    raise_all(errors)


def gets_words(job: Job, step: Step, kind: str) -> bool:
    """Whether words are appended to the program of a step: all but those that it names itself."""
    command = step.run or job.run
    if not command or step.call:
        return False
    named = matrix_keys(template_names([command.text]))
    axes = step.batch.axes + step.args.axes + step.with_ + job.with_
    keys = chain.from_iterable(axis.keys or ("",) for axis in axes)
    return kind == HYDRA or any(key[:1] != "$" and key not in named for key in keys)


def matrix_keys(names: "Iterable[str]") -> "Set[str]":
    """The keys that templates name, in the form that is compared.

    >>> sorted(matrix_keys(["matrix.lr", "matrix.--n", "job.name"]))
    ['lr', 'n']
    """
    lead = "matrix."
    return {bare_key(name[len(lead):]) for name in names if name.startswith(lead)}


def read_job(entry: "Tuple[Node, Node]", errors: "List[Error]") -> Job:
    """Read what is right of a job, and add its mistakes; all sweeps are of one kind of step."""
    key, node = entry
    job = EMPTY_JOB._replace(key=key.value, name=key.value, mark=key.mark)
    read_each(read_name, [key], errors)
    if node.kind != "mapping":
        errors.append(Error("no-keys", f"job {key.value} has no keys", node.mark,
                            "a job has at least run: with its command"))
        return job
    keys = {OLD_SPELLINGS.get(name.value, name.value): value for name, value in node.value}
    hydra = str(keys["hydra"].value if "hydra" in keys else "steps" in keys)
    kind = PROGRAM if hydra.lower() == "false" else HYDRA
    job = job._replace(**read_keys("job", node, kind, errors))
    if not errors:
        moved = read_each(move_old_command, [job], errors)
        read_each(check_job, moved, errors)
        job = [job, *moved][-1]
    return job


def read_entries(node: Node) -> "List[Tuple[Node, Node]]":
    """The entries under jobs; raises for what else stands in the file."""
    if node.kind != "mapping":
        raise Error("no-jobs", "a job file begins with jobs:", node.mark, WRITE_EXAMPLE)
    values = {key.value: value for key, value in node.value}
    raise_all([Error("unknown-key", f"unknown key: {key.value}", key.mark,
                     suggest(key.value, ["jobs"]) or "jobs stand under jobs:")
               for key, _ in node.value if not re.match("jobs$|x-", key.value)])  # x-: for anchors
    jobs = values.get("jobs")
    if jobs and jobs.kind != "mapping":
        raise Error("expected-jobs", "jobs are names with keys below them", jobs.mark,
                    WRITE_EXAMPLE)
    if not jobs or not jobs.value:
        raise Error("no-jobs", "there are no jobs", node.mark, WRITE_EXAMPLE)
    return list(jobs.value)


def order_needs(jobs: "Mapping[str, Job]", names: "Iterable[str]") -> "List[Job]":
    """Jobs behind all the jobs that they need, each once; raises for a circle, which it names."""
    order: Dict[str, Job] = {}

    def visit(name: str, path: "Tuple[str, ...]", mark: Mark) -> None:
        if name in path:
            circle = " -> ".join([*path[path.index(name):], name])
            raise Error("circular-needs", f"needs go in a circle: {circle}", mark,
                        "drop one of them")
        if name in jobs and name not in order:
            for needed, place in jobs[name].needs:
                visit(needed, (*path, name), place)
            order[name] = jobs[name]

    for name in names:
        visit(name, (), NOWHERE)
    return list(order.values())


def read_each_job(node: Node) -> "Tuple[Dict[str, Job], Dict[str, List[Error]]]":
    """The jobs of a file that are right, by name, and the mistakes of the others."""
    entries = read_entries(node)
    wrong: Dict[str, List[Error]] = {key.value: [] for key, _ in entries}
    jobs = {entry[0].value: read_job(entry, wrong[entry[0].value]) for entry in entries}

    def find_need(need: "Tuple[str, Mark]") -> None:
        name, mark = need
        if name not in jobs:
            raise Error("unknown-need", f"needs names no job: {name}", mark,
                        suggest(name, jobs) or f"the jobs are {', '.join(sorted(jobs))}")
        if not wrong[name] and not has_command(jobs[name]):
            raise Error("need-without-command", f"needs names a job without a command: {name}",
                        mark, "it is a template for others; give it run: or call:")

    for job in jobs.values():
        read_each(find_need, job.needs, wrong[job.key])
        read_each(lambda key: order_needs(jobs, [key]), [job.key], wrong[job.key])
    wrong = {name: errors for name, errors in wrong.items() if errors}
    return {name: job for name, job in jobs.items() if name not in wrong}, wrong


def raise_in_order(wrong: "Mapping[str, List[Error]]", names: "Iterable[str]") -> None:
    """Raise the mistakes of jobs in the order of the file, once where an alias repeats them."""
    errors = chain.from_iterable(wrong.get(name, []) for name in names)
    several = {(error.line, error.column, error.message): error for error in errors}
    raise_all([several[place] for place in sorted(several)])


def read_jobs(node: Node) -> "Dict[str, Job]":
    """The jobs of a file by name; raises Errors, all that there are."""
    jobs, wrong = read_each_job(node)
    raise_in_order(wrong, wrong)
    return jobs


def find_job_file() -> str:
    """The job file of the current directory."""
    for name in JOB_FILES:
        if os.path.lexists(name):
            return name
    raise Error("no-job-file", f"there is no {' or '.join(JOB_FILES)} in {os.getcwd()}", NOWHERE,
                "hydraflow init writes one; -f FILE names another, -C DIR another directory")


def read_job_file(path: str) -> Node:
    """The root node of a job file."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise Error("unreadable-file", f"cannot read {path}: {error.strerror}", NOWHERE,
                    "-f FILE names the job file, -C DIR its directory") from None
    if not content.strip():
        raise Error("empty-file", f"{path} is empty", NOWHERE, WRITE_EXAMPLE)
    return read_yaml(content, path)


def load(path: str) -> "Dict[str, Job]":
    """The jobs of a job file by name, in its order; raises Error, or Errors with all that there
    are."""
    return read_jobs(read_job_file(path))


def load_for(path: str, name: str) -> "Tuple[Dict[str, Job], List[str]]":
    """The jobs of a job file that are right, and the names of those that are wrong; raises the
    mistakes of one job and of those that it needs."""
    jobs, wrong = read_each_job(read_job_file(path))
    needed = order_needs(jobs, [name])
    names = {name, *chain.from_iterable((need for need, _ in job.needs) for job in needed)}
    raise_in_order(wrong, names)
    return jobs, [one for one in wrong if one not in names]


def owner_schema(owner: str) -> "Dict[str, Any]":
    """The schema of a job or a step, old spellings included."""
    properties: Dict[str, Any] = {}
    rivals = [["run", "call"]]
    for name, key in keys_of(owner).items():
        properties[name] = {"description": key.meaning, **key.read.schema}
        spellings = [name]
        for old in [old for old, new in OLD_SPELLINGS.items() if new == name]:
            properties[old] = {"description": f"the old spelling of {name}", "deprecated": True,
                               **key.read.schema}
            rivals.extend([old, one] for one in spellings)
            spellings.append(old)
    return {"type": "object", "properties": properties, "additionalProperties": False,
            "allOf": [{"not": {"required": pair}} for pair in rivals]}


def job_schema() -> "Dict[str, Any]":
    """The JSON Schema (draft 2020-12) of the job file.

    >>> sorted(job_schema()["$defs"])
    ['job', 'step']
    """
    jobs = {
        "description": "the jobs by name", "type": "object", "minProperties": 1,
        "propertyNames": {"pattern": r"\S"}, "additionalProperties": {"$ref": "#/$defs/job"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The job file of HydraFlow",
        "type": "object",
        "required": ["jobs"],
        "properties": {"jobs": jobs},
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
        "$defs": {owner: owner_schema(owner) for owner in ("job", "step")},
    }


# ---------------------------------------------------------------------------
# 5. Planning: Job, overrides -> Task, Task, ...
# ---------------------------------------------------------------------------
# fill replaces templates; Exclusion and shuffled choose combinations; Overrides puts words of the
# command line in the place of the job's own; PlannedStep and Plan make tasks. What a mistake can be
# found in is prepared when a Plan is made; tasks are made one by one when they are asked for, so
# that 10**12 of them cost nothing. A task is made in two moves: PlannedStep.task gives what its
# combination says, which is enough to know it again; numbered gives it its number and its
# directory, which it keeps as long as its run.

PATH_PART = r"\.(stem|name)$"  # of a value that is a path, in a template
SLOT = "${{ task.slot }}"  # known only when a task starts
DIRECTORY = "${{ task.dir }}"  # known only when a task has its number
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_LENGTH = 26  # digits of CROCKFORD
LONE_MATRIX = re.compile(r"\$\{\{ *matrix\.[^{}]*\}\}")


def fill(text: str, values: "Mapping[str, str]", mark: Mark = NOWHERE,
         by_name: bool = False) -> str:
    """A text with every ${{ NAME }} replaced by its value.

    task.slot and task.dir stay for later. With by_name, so does what comes from the environment:
    a record and a screen then hold the name of a secret, and not the secret.
    """
    def value(match: "Match[str]") -> str:
        name = match.group(1).strip()
        if name in ("task.slot", "task.dir"):
            return f"${{{{ {name} }}}}"
        if name.startswith("matrix."):
            name = f"matrix.{bare_key(name[len('matrix.'):])}"
        if name in values:
            return values[name]
        variable = name[len("env."):]
        if not name.startswith("env.") or variable not in os.environ:
            raise no_value(match, mark, values)
        return f"${{{{ env.{variable} }}}}" if by_name else os.environ[variable]

    return TEMPLATE.sub(value, text) if "${{" in text else text


def resolved(text: str) -> str:
    """A text with what was kept by name taken from the environment; Error if it is unset."""
    if "${{" not in text:
        return text
    return TEMPLATE.sub(lambda match: (
        fill(match.group(), {}) if "env." in match.group(1) else match.group()), text)


def is_multirun(words: "Sequence[str]") -> bool:
    """Whether a command has Hydra's --multirun already; -m before a module is Python's own.

    >>> commands = "python t.py -m", "python -m app", "python -m app -m a=1,2"
    >>> [is_multirun(text.split()) for text in commands]
    [True, False, True]
    """
    if "--multirun" in words:
        return True
    modules = [behind for word, behind in zip(words, [*words[1:], ""]) if word == "-m"]
    return any("=" in behind or not re.match(r"\w", behind) for behind in modules)


class Exclusion:
    """The combinations that exclude names: each drops what agrees with it in all of its keys."""
    __slots__ = ("dropped",)

    def __init__(self, sweeps: "Sequence[Sweep]") -> None:
        # keys of an excluded combination -> the values that they are dropped with
        self.dropped: Dict[Tuple[str, ...], Set[Tuple[str, ...]]] = {}
        for combination in chain.from_iterable(sweeps):
            pairs = sorted(map(same_value, combination))
            keys = tuple(key for key, _ in pairs)
            self.dropped.setdefault(keys, set()).add(tuple(value for _, value in pairs))

    def drops(self, combination: "Sequence[str]") -> bool:
        """Whether a combination is excluded."""
        values = dict(map(same_value, combination))
        for keys, dropped in self.dropped.items():
            if tuple(map(values.get, keys)) in dropped:
                return True
        return False


def new_ulid(moment: "Optional[float]" = None) -> int:
    """A number that is unique and ascends in time, as the specification of ULIDs has it.

    48 bits of milliseconds since 1970, which are those of moment or of now, then 80 of chance.

    >>> ulid_text(new_ulid(0.0))[:10]
    '0000000000'
    """
    milliseconds = int((time.time() if moment is None else moment) * 1000)
    chance = int.from_bytes(os.urandom(10), "big") >> 1  # a spare bit: no sum carries over
    return milliseconds << 80 | chance


def ulid_text(number: int) -> str:
    """The 26 characters of a ULID."""
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def native_bytes(text: str) -> bytes:
    """The bytes of a text of the system, an argument or a file name."""
    return text.encode("utf-8", "surrogateescape")


def native(text: str) -> "Union[str, bytes]":
    """A text as the system takes it; Python 3.6 in an ASCII locale would not encode it."""
    return native_bytes(text) if os.name == "posix" else text


def find_program(name: str, cwd: str = ".", env: "Mapping[str, Any]" = os.environ) -> str:
    """The path of a program, looked up as the system does when it starts one; "" for none.

    >>> find_program("sh", ".", {"PATH": "/nowhere:/bin"})
    '/bin/sh'
    """
    folders = [cwd]
    if not os.path.dirname(name):
        searched = env.get("PATH") or os.environ.get("PATH") or os.defpath
        folders = searched.split(os.pathsep)
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isfile(native(path)) and os.access(native(path), os.X_OK):
            return path
    return ""


class Task(NamedTuple("Task", [
        ("number", int), ("step", int), ("index", int), ("combination", "Tuple[str, ...]"),
        ("argv", "Tuple[str, ...]"), ("key", "Tuple[str, ...]"), ("directory", str), ("cwd", str),
        ("env", "Dict[str, Optional[str]]"), ("runs", int), ("is_call", bool),
        ("has_directory", bool)])):
    """One command to execute.

    number counts from 1 within the run, index within the step; combination are the words of batch;
    key, by which --resume knows the task again, is the command line without what is generated, and
    what only env or working-directory tell of the combination; directory is ${{ task.dir }}, to be
    made before the start where has_directory; values of env that come from the environment are kept
    by name, and None takes a variable away; runs is 1 where Hydra leaves a run in directory, else
    0; is_call marks argv[:3] as Python, this file and "call", which are other paths elsewhere.
    """
    __slots__ = ()


def respelled(override: Axis, axis: Axis) -> Axis:
    """An override with the prefix of the key that it replaces, unless it adds or deletes."""
    if len(override.spelled) > 1 or override.spelled[0][:1] in ("+", "~"):
        return override
    new = dict(zip(axis.keys, axis.spelled))[override.keys[0]]
    cut = len(override.spelled[0])
    rows = Values(override.count, lambda index: new + override.at(index)[cut:])
    return Axis(rows, (new,), override.values, override.source, (override.start, override.end))


class Overrides:
    """The overrides of a command line, in the place of a step's own words with their keys."""
    __slots__ = ("by_key", "axes", "used")

    def __init__(self, axes: "Sequence[Axis]") -> None:
        self.axes = axes
        self.by_key = {key: axis for axis in axes for key in axis.keys}
        self.used: List[Axis] = []

    def find(self, axis: Axis) -> "Optional[Axis]":
        """The override of a word; Error if it leaves a key of linked ones as it was."""
        found = [self.by_key[key] for key in axis.keys if key in self.by_key]
        rest = [key for key in axis.keys if key not in self.by_key]
        if found and rest:
            keys = f"{found[0].keys[0]} is linked with {rest[0]}"
            raise Error("linked-override", f"{keys}, and cannot be overridden alone", axis.mark,
                        "override all keys that are linked")
        return found[0] if found else None

    def replaced(self, axes: "Iterable[Axis]", takes_axes: bool) -> "List[Axis]":
        """Words in which overrides took their places; an axis (takes_axes) comes last."""
        result: List[Axis] = []
        last: List[Axis] = []
        placed: List[Axis] = []
        for axis in axes:
            override = self.find(axis)
            if override is None:
                result.append(axis)
            elif override not in placed:
                placed.append(override)
                where = last if takes_axes and override.count > 1 else result
                where.append(respelled(override, axis))
        self.used += placed
        return result + last

    def moved(self, words: "Sequence[Axis]") -> "Tuple[List[Axis], List[Axis]]":
        """Words without those that overrides make axes of, and the axes of all such overrides."""
        kept: List[Axis] = []
        axes = {id(one): one for one in self.rest() if self.makes_axis(one)}
        for word in words:
            override = self.find(word)
            if override and id(override) in axes:
                axes[id(override)] = respelled(override, word)
                self.used.append(override)
            else:
                kept.append(word)
        self.used += [one for one in self.rest() if id(one) in axes]
        return kept, list(axes.values())

    def rest(self) -> "List[Axis]":
        """The overrides that have no place yet."""
        return [axis for axis in self.axes if axis not in self.used]

    def makes_axis(self, override: Axis) -> bool:
        """Whether an override is none that the end of a command could hold as one word."""
        return override.count > 1 or len(override.keys) > 1 or override.keys[0][:1] == "$"


class PlannedStep:
    """A step with everything prepared that all of its tasks share.

    submit and command are words, and submit_marks the places of the former; program is what stands
    before the command of a call; setup are lines of shell; sweep, included, exclusion and sample
    give the combinations; args and appended are words behind each of them; named are the keys that
    have their place in the command or in setup, hidden those of them that no command line shows.
    """

    def __init__(self, job: Job, step: Step, number: int, overrides: Overrides,
                 more: "Sequence[str]") -> None:
        self.job = job
        self.number = number
        self.name = step.name
        self.is_hydra = is_hydra(job)
        self.setup = step.setup or job.setup
        self.env = {**job.env, **step.env}
        self.cwd = job.working_directory
        self.pack = step.pack or job.pack
        self.pack_parallel = step.pack_parallel or job.pack_parallel
        self.sample = step.sample
        self.exclusion = Exclusion(step.exclude) if step.exclude else None
        self.sampled: Optional[List[Tuple[str, ...]]] = None
        self.counted: Optional[int] = None
        self.submit: List[str] = []
        self.submit_marks: List[Mark] = []
        for word, mark in command_words(step.submit or job.submit or Source("", ""), os.environ):
            self.submit.append(fill(word, {"job.name": job.name}, mark))
            self.submit_marks.append(mark)
        self.plan_command(step, more)
        self.plan_words(step, overrides)
        self.plan_templates()
        for combination in chain(self.first_ones(), self.included):
            self.task(combination, 1)  # what has no value is found before anything executes
        self.check_sweep_directory()

    def plan_command(self, step: Step, more: "Sequence[str]") -> None:
        """Prepare the command; more ends it, and words of Hydra's at its end follow --multirun."""
        job = self.job
        source = step.run or step.call or job.run or job.call
        self.mark = source.whole() if source else job.mark
        self.command: List[str] = []
        self.program: List[str] = []
        if source:
            first, *rest = split_command(source, os.environ)
            self.command = [python_here(first), *rest, *more]
        self.command += [axis.text for axis in path_words(step.batch)]
        if source and source in (step.call, job.call):
            self.program = [*python_of(job), os.path.abspath(__file__), "call"]
        self.tail: List[str] = []
        while self.is_hydra and self.command[1:] and is_assignment(self.command[-1]):
            self.tail.insert(0, self.command.pop())

    def plan_words(self, step: Step, overrides: Overrides) -> None:
        """Prepare the combinations, and the words behind them, overrides included."""
        overrides.used = []
        own = set(chain.from_iterable(
            axis.keys for axis in [*step.batch.axes, *step.args.axes, *step.with_]))
        words = [axis for axis in self.job.with_ if not own & set(axis.keys)] + step.with_
        args = overrides.replaced(step.args.axes, False)
        batch = step.batch.axes[len(path_words(step.batch)):]
        sweeps = [overrides.replaced(axes, True)
                  for axes in (batch, *(sweep.axes for sweep in step.include))]
        words, axes = overrides.moved(words)
        self.sweep, *included = [Sweep.of([*sweep, *axes]) for sweep in sweeps]
        self.included: List[Tuple[str, ...]] = list(chain.from_iterable(included))
        self.args = read_all(Axis.word, args)
        self.appended = read_all(Axis.word, overrides.replaced(words, False) + overrides.rest())

    def plan_templates(self) -> None:
        """Note which templates there are; only run, call and setup take a key off the words."""
        setup = template_names([self.setup.text] if self.setup else [])
        command = template_names(self.command + self.tail)
        around = [source.text for source in (*self.env.values(), self.cwd) if source]
        every = setup | command | template_names(around + self.appended)
        self.parts: Set[str] = set()
        self.named = self.own_keys(matrix_keys(setup | command))
        self.hidden = self.own_keys(matrix_keys(setup - command))
        self.has_matrix = bool(matrix_keys(every))
        self.uses_directory = "task.dir" in every

    def own_keys(self, names: "Set[str]") -> "Set[str]":
        """The keys that names of templates stand for: KEY.stem and KEY.name are parts of a path."""
        keys = set(chain.from_iterable(axis.keys for axis in self.sweep.axes))
        self.parts.update(name for name in names - keys if re.search(PATH_PART, name))
        return names | {name.rpartition(".")[0] for name in names & self.parts}

    def check_sweep_directory(self) -> None:
        """Raise for several tasks of Hydra's whose runs would overwrite each other."""
        fixed = [word for word in (*self.tail, *self.args, *self.appended)
                 if key_of(word) == "hydra.sweep.dir" and "$" not in word]
        if self.is_hydra and fixed and self.sweep.count + len(self.included) > 1:
            raise Error("fixed-sweep-dir", f"{fixed[0]}: several tasks would overwrite each other",
                        self.mark, "leave it out, or write hydra.sweep.dir=DIR/${{ task.index }}")

    @property
    def is_exact(self) -> bool:
        """Whether count is the number of tasks, and not the most that there can be."""
        return self.sample is not None or self.exclusion is None or self.sweep.count <= MOST_JOINED

    @property
    def count(self) -> int:
        """How many tasks there are, or (not is_exact) at most: only a look at each combination
        tells how many are excluded."""
        if self.counted is None:
            taken = self.sweep.count
            if self.exclusion is None and self.sample:
                taken = min(taken, self.sample.count)
            elif self.exclusion and self.is_exact:
                taken = sum(1 for _ in self.chosen())
            self.counted = taken + len(self.included)
        return self.counted

    def chosen(self) -> "Iterator[Tuple[str, ...]]":
        """Iterate over the combinations of the batch that are not excluded, or a sample of them."""
        if self.sample:
            if self.sampled is None:
                self.sampled = sampled(self.sweep, self.sample, self.exclusion)
            return iter(self.sampled)
        if self.exclusion is None:
            return iter(self.sweep)
        drops = self.exclusion.drops
        return (combination for combination in self.sweep if not drops(combination))

    def first_ones(self) -> "Iterator[Tuple[str, ...]]":
        """Yield the first combination, and those with other keys behind a pipe, which may have
        other mistakes."""
        axes = self.sweep.axes
        first = [axis.at(0) for axis in axes]
        yield flat(first)
        for place, axis in enumerate(axes):
            if self.has_matrix and len(axis.spelled) > 1:
                rows = {tuple(map(key_of, flat([row]))): row for row in axis}
                for row in rows.values():
                    yield flat([*first[:place], row, *first[place + 1:]])

    def tasks(self) -> "Iterator[Task]":
        """Yield the tasks of the step, not numbered yet."""
        for index, combination in enumerate(chain(self.chosen(), self.included), 1):
            yield self.task(combination, index)

    def task(self, combination: "Tuple[str, ...]", index: int) -> Task:
        """The task of a combination, without what its run gives it: number, directory."""
        values = self.values(combination, index)
        axes = [word for word in combination if word.startswith("$")]
        env = self.variables(values)
        for word in axes:
            name, _, value = unquoted(word).partition("=")
            env[name[1:]] = value
        argv = self.words(combination, values)
        hidden = [word for word in combination if key_of(word) in self.hidden]
        cwd = fill(self.cwd.text, values, self.cwd.whole()) if self.cwd else "."
        moved = any(key_of(word).startswith(("hydra.sweep", "hydra.mode", "hydra.run"))
                    for word in argv)
        return Task(
            number=0, step=self.number, index=index, combination=combination,
            argv=(*self.setup_words(values), *self.program, *argv), key=(*argv, *axes, *hidden),
            directory="", cwd=cwd, env=env, runs=int(self.is_hydra and not moved),
            is_call=bool(self.program), has_directory=self.uses_directory)

    def values(self, combination: "Sequence[str]", index: int) -> "Dict[str, str]":
        """What the templates of a task stand for, but its environment."""
        values = {"job.name": self.job.name, "task.index": str(index)}
        if self.has_matrix:
            for word in combination:
                values[f"matrix.{key_of(word)}"] = unquoted(word).partition("=")[2]
            for part in self.parts:
                name = os.path.basename(values.get(f"matrix.{part.rpartition('.')[0]}", ""))
                is_name = part.endswith(".name")
                values[f"matrix.{part}"] = name if is_name else os.path.splitext(name)[0]
        return values

    def setup_words(self, values: "Mapping[str, str]") -> "List[str]":
        """The shell that prepares the environment, to which the command is appended."""
        if self.setup is None:
            return []
        quoted = {name: shlex.quote(value) for name, value in values.items()}
        lines = fill(self.setup.text, quoted, self.setup.whole()).rstrip()
        shell = "bash" if find_program("bash") else "sh"
        return [shell, "-c", f'set -e\n{lines}\nexec "$@"', "hydraflow"]

    def variables(self, values: "Dict[str, str]") -> "Dict[str, Optional[str]]":
        """The environment of a task, by name where it comes from ours; values learn it."""
        env: Dict[str, Optional[str]] = {}
        names = dict(values)
        for name, source in self.env.items():
            env[name] = None
            if source:
                mark = source.whole()
                env[name] = names[f"env.{name}"] = fill(source.text, names, mark, by_name=True)
                values[f"env.{name}"] = fill(source.text, values, mark)
        return env

    def words(self, combination: "Sequence[str]", values: "Mapping[str, str]") -> "List[str]":
        """The command line of a task but for what HydraFlow generates."""
        own = [word for word in combination
               if not word.startswith("$") and key_of(word) not in self.named]
        own += self.args
        appended = self.appended
        if not self.is_hydra:  # what is filled in later may have quotes of its own
            own, appended = list(map(unquoted, own)), list(map(unquoted, appended))
        head, tail, last = [
            [fill(word, values, self.mark) for word in words
             if not LONE_MATRIX.fullmatch(word) or fill(word, values, self.mark)]
            for words in (self.command, self.tail, appended)]
        if self.is_hydra and not is_multirun(head):
            head.append("--multirun")
        return head + tail + own + last

    def numbered(self, task: Task, number: int, directory: str) -> Task:
        """A task with its number and its directory, and the words that tell Hydra of it."""
        argv = list(task.argv)
        cwd, env = task.cwd, task.env
        if self.uses_directory:
            argv = [word.replace(DIRECTORY, directory) for word in argv]
            cwd = cwd.replace(DIRECTORY, directory)
            env = {name: text and text.replace(DIRECTORY, directory) for name, text in env.items()}
        if self.is_hydra:
            keys = set(map(key_of, task.argv))
            if "hydra.job.name" not in keys:
                argv.append(f"hydra.job.name={hydra_text(self.job.name)}")
            if "hydra.sweep.dir" not in keys:
                argv.append(f"hydra.sweep.dir={directory}")
        return task._replace(
            number=number, directory=directory, argv=tuple(argv), cwd=cwd, env=env)


def shuffled(count: int, key: bytes) -> "Iterator[int]":
    """Yield the numbers below count in an order that depends on key: a shuffle by Fisher and Yates
    that keeps only what it has moved.

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


def sampled(sweep: Sweep, sample: Sample,
            exclusion: "Optional[Exclusion]") -> "List[Tuple[str, ...]]":
    """So many combinations of a sweep at random, none twice; more begin with the same."""
    ends = [(axis.count, str(axis.at(0)), str(axis.at(axis.count - 1))) for axis in sweep.axes]
    order = shuffled(sweep.count, native_bytes(f"{sample.seed}:{ends}"))
    tried = map(sweep.__getitem__, islice(order, sample.count + MOST_JOINED))
    kept = (one for one in tried if exclusion is None or not exclusion.drops(one))
    return list(islice(kept, sample.count))


def python_here(program: str) -> str:
    """python3 for python where only that is in PATH, as on a new Debian or RHEL."""
    if program == "python" and not find_program("python") and find_program("python3"):
        return "python3"
    return program


def python_of(job: Job) -> "List[str]":
    """The Python that calls functions and executes array tasks."""
    if job.python:
        return split_command(job.python, os.environ)
    return [os.environ.get("HYDRAFLOW_PYTHON") or sys.executable]


class Plan:
    """The tasks of a job, step by step: count of them, made when they are asked for.

    added are the overrides whose keys the job does not have.
    """

    def __init__(self, job: Job, words: "Sequence[str]" = (),
                 sample: "Optional[Sample]" = None) -> None:
        if not has_command(job):
            raise Error("no-command", f"job {job.key} has no command", job.mark,
                        "it is a template for other jobs; run: makes it one of its own")
        self.job = job
        self.ulid = new_ulid()
        is_handed_over = is_for_handler(job)
        overrides, more = ([], []) if is_handed_over else read_overrides(job, words)
        keys = parameter_keys(job)
        self.added = [axis for axis in overrides if not keys & set(axis.keys)]
        self.steps = [PlannedStep(job, step, number, Overrides(overrides), more)
                      for number, step in enumerate(job.steps or [EMPTY_STEP], 1)]
        for planned in self.steps:
            planned.sample = sample or planned.sample
            if is_handed_over:
                planned.submit.extend(word for word in words if word != "--")

    @property
    def count(self) -> int:
        """How many tasks there are, or (not is_exact) at most."""
        return sum(step.count for step in self.steps)

    @property
    def is_exact(self) -> bool:
        """Whether count is the number of tasks, and not the most that there can be."""
        return all(step.is_exact for step in self.steps)

    def directory(self, number: int) -> str:
        """The directory of a task that gets its number now."""
        return f"multirun/{ulid_text(self.ulid + number)}"

    def __iter__(self) -> "Iterator[Task]":
        number = 0
        for step in self.steps:
            for task in step.tasks():
                number += 1
                yield step.numbered(task, number, self.directory(number))


def is_for_handler(job: Job) -> bool:
    """Whether a job has no command, but a handler that gets the parameters alone."""
    steps = any(step.run or step.call for step in job.steps)
    return not (job.run or job.call or steps)


def parameter_keys(job: Job) -> "Set[str]":
    """The keys of a job's words: those that an override replaces."""
    axes = list(job.with_)
    for step in job.steps:
        axes += step.with_
        for sweep in (step.batch, step.args, *step.include):
            axes += sweep.axes
    return set(chain.from_iterable(axis.keys for axis in axes))


def read_overrides(job: Job, words: "Sequence[str]") -> "Tuple[List[Axis], List[str]]":
    """The overrides among words, the last one of each key, and the words behind "--"."""
    cut = list(words).index("--") if "--" in words else len(words)
    for word in words[:cut]:
        if not key_of(word):
            raise Error("not-an-override", f"{word} is neither an option of run nor an override",
                        NOWHERE, "an override is key=value; words behind -- go to the command: -- "
                        + shell_text([word]))
    kind = HYDRA if is_hydra(job) else PROGRAM
    axes = Sweep(words[:cut], "command line", kind).axes
    last = {key: axis for axis in axes for key in axis.keys}
    return [axis for axis in axes if axis in last.values()], list(words[cut + 1:])


def plan(job: Job, words: "Sequence[str]" = ()) -> Plan:
    """The tasks of a job; words are overrides, and behind "--" words for the command.

    Raises Error.

    >>> text = "jobs: {fit: {run: fit.sh, hydra: false, steps: [{batch: a=1:2}]}}"
    >>> job = read_jobs(read_yaml(text))["fit"]
    >>> [task.argv for task in plan(job, ["b=x"])]
    [('fit.sh', 'a=1', 'b=x'), ('fit.sh', 'a=2', 'b=x')]
    """
    return Plan(job, words)


def counted(count: int, what: str) -> str:
    """A count with its noun.

    >>> counted(1, "task"), counted(12000, "task")
    ('1 task', '12,000 tasks')
    """
    return f"{count_text(count)} {what}{'' if count == 1 else 's'}"


def count_text(count: int) -> str:
    """A count in digits; Python writes no number that has more than 4,300 of them."""
    return f"{count:,}" if count < 10 ** 1000 else "more than 10^1000"


def tasks_text(plan: "Union[Plan, PlannedStep]") -> str:
    """How many tasks a plan or a step has, or at most."""
    return ("" if plan.is_exact else "at most ") + counted(plan.count, "task")


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
# notes what asks us to stop; call_function serves the call command.
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
trap '_why=",\"asked\":true"' HUP INT QUIT TERM
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
PROMPT, PATIENT = 20.0, 60.0  # seconds for what answers at once, and for what may be busy
ATTEMPT_FILE = "HYDRAFLOW_ATTEMPT_FILE"  # variable that marks all processes of an attempt
HAS_PROC = os.path.exists("/proc/self/stat")


if TYPE_CHECKING:
    Child = subprocess.Popen[bytes]


def environment(changes: "Mapping[str, Optional[str]]") -> "Dict[bytes, bytes]":
    """The environment of this process with changes; None removes a variable."""
    result = dict(os.environb)
    for name, value in changes.items():
        result.pop(native_bytes(name), None)
        if value is not None:
            result[native_bytes(name)] = native_bytes(value)
    return result


def spawn(argv: "Sequence[str]", streams: "Sequence[Union[int, IO[bytes], None]]",
          env: "Mapping[bytes, bytes]", cwd: str = ".", is_session: bool = True) -> "Child":
    """Start argv without a shell; streams are its standard input, output and error.

    It leads a session of its own, or stays in our process group.
    """
    entry, output, errors = streams
    return subprocess.Popen(
        list(map(native, argv)), stdin=entry, stdout=output, stderr=errors, env=env,
        cwd=native(cwd), start_new_session=is_session)


class Answer(NamedTuple("Answer", [("status", int), ("out", str), ("errors", str)])):
    """Output and exit status of a command: 127 without a start, 124 without an end in time, below 0
    for a signal."""
    __slots__ = ()

    @property
    def text(self) -> str:
        """The message of a command that failed."""
        status = f"exit status {self.status}"
        if self.status < 0:
            status = signal_name(-self.status)
        return self.errors.strip() or self.out.strip() or status


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
            texts.append(file.read().decode("utf-8", "replace"))
        return Answer(process.returncode, *texts)


def finished(steps: "Generator[Any, None, Any]") -> "Any":
    """The result of a generator, for callers that have nothing else to do meanwhile.

    >>> finished(ask(["echo", "yes"], environment({}))).out
    'yes\\n'
    """
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value
        time.sleep(0.005)


def capture(argv: "Sequence[str]", timeout: float = PROMPT) -> Answer:
    """Execute a command and wait for its answer."""
    return finished(ask(argv, environment({}), timeout))  # type: ignore[no-any-return]


def processes_of(path: str, leader: int) -> "List[int]":
    """The processes of this machine that belong to an attempt, by its file and its recorder.

    Their environment names the file (proc(5)). Without /proc the recorder alone is known.
    """
    if not HAS_PROC:
        return [leader] if leader > 0 and send_signal(leader, 0) else []
    wanted = native_bytes(f"{ATTEMPT_FILE}={path}")
    return [int(name) for name in os.listdir("/proc")
            if name.isdigit() and wanted in read_proc(name, "environ").split(b"\0")]


def read_proc(pid: "Union[int, str]", name: str) -> bytes:
    """A file of /proc/PID; nothing where the process is gone, a zombie or not ours."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def is_hydraflow(pid: int) -> bool:
    """Whether a process exists that may be HydraFlow."""
    if HAS_PROC:
        return b"hydraflow" in read_proc(pid, "cmdline")
    return send_signal(pid, 0)


def signal_attempt(path: str, leader: int, number: int) -> bool:
    """Send a signal to the processes of an attempt; return whether one of them got it.

    The group of a recorder that leads one gets it as a group, at one moment.
    """
    members = processes_of(path, leader)
    groups = {pid: group_of(pid) for pid in members}
    is_sent = False
    if groups.get(leader) == leader:
        is_sent = send_signal(-leader, number)
        members = [pid for pid in members if groups[pid] != leader]
    for pid in members:
        is_sent = send_signal(pid, number) or is_sent
    return is_sent


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


def end_by_signal(number: int) -> None:
    """End this process as a signal would by default, so that a shell around it ends as well."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def signal_name(number: int) -> str:
    """The name of a signal.

    >>> signal_name(9), signal_name(99)
    ('SIGKILL', 'signal 99')
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def host_name() -> str:
    """The name of this machine."""
    return os.uname().nodename


@functools.lru_cache(maxsize=None)
def boot_id() -> str:
    """An id of this start of this machine's kernel, which containers share."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return host_name()


def uptime() -> float:
    """The seconds since the machine started; since 1970 without /proc, as RECORDER has it."""
    try:
        with open("/proc/uptime", encoding="ascii") as file:
            return float(file.read().split()[0])
    except OSError:
        return time.time()


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


def call_function(argv: "Sequence[str]") -> str:
    """Call package.function with a list of strings; return "", or the traceback of the user's code.

    Raises Error where there is no such function.
    """
    import importlib
    import traceback
    sys.path.insert(0, "")  # the working directory, as with python -m
    module, _, name = argv[0].rpartition(".")
    try:
        function = getattr(importlib.import_module(module), name, None)
        if function is None:
            raise Error("no-function", f"module {module} has no function {name}", NOWHERE,
                        suggest(name, dir(sys.modules[module])) or "call: names module.function")
        function(list(argv[1:]))
    except Error:
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise Error("no-module", f"there is no module {error.name}", NOWHERE,
                        "it is looked up in the working directory and PYTHONPATH") from None
        frames = traceback.extract_tb(error.__traceback__)
        ours = (__file__, importlib.__file__)
        own = [frame for frame in frames
               if frame.filename not in ours and not frame.filename.startswith("<frozen ")]
        lines = traceback.format_list(own) + traceback.format_exception_only(type(error), error)
        return "Traceback (most recent call last):\n" + "".join(lines).rstrip()
    return ""


# ---------------------------------------------------------------------------
# 7. Records: Task, Start, Submission, Attempt <-> files
# ---------------------------------------------------------------------------
# open_safely opens every file of a record; Record knows every path (FILES); Lock is held while
# HydraFlow executes a run. Start, Task, Submission and Attempt are written and read by functions
# that are next to each other; checked is the one check of what is read. Lines that a kill or a full
# disk tore are passed over.
#
# One attempt of a task is one file. Whoever makes attempts/K/N-A has attempt A of task N; what it
# says has happened; while it is locked, something of the attempt lives:
#
#   line 1, padded to HEAD bytes         who has it, written by claim before the file has its name
#   line 2, padded to VERDICT bytes      why it is over without an end, by whoever established that
#   ROOM bytes of blanks                 its start and its end, by the recorder (chapter 6)
#
# Nothing is ever rewritten but blanks; a line is written by one system call.

ROOT = ".hydraflow"
FORMAT = 3  # of the record
FILES = {  # kind -> path in a record; {k} is the first number without its last three digits
    "plan": "plan.jsonl",  # starts and tasks; a task is planned by the start above it
    "begun": "plan.begun",  # the plan until its first start is whole
    "lock": "lock",
    "attempt": "attempts/{k}/{0}-{1}",
    "log": "logs/{k}/{0}.log",
    "stop": "stop-{0}",  # begin nothing more of this start, or an earlier one
    "submission": "submissions/{0}.jsonl",  # facts, tasks of each array index, later facts
    "script": "submissions/{0}.sh",
    "lines": "submissions/{0}.txt",  # what a handler reads
    "handler": "submissions/{0}.handler",  # the attempt to execute a handler
    "output": "submissions/{0}-{1}.out",  # what a scheduler wrote for an array task
    "program": "hydraflow.py",  # what array tasks execute
}
HEAD, VERDICT, ROOM = 512, 128, 256  # bytes of an attempt's file
HERE, ARRAY, LINE = "here", "array", "line"  # who has an attempt: HydraFlow, an array task, a line
REUSED = "reused"  # who has an attempt: nobody, its success in an older run counts
BARE = "parameters"  # in place of a scheduler: a handler that gets no commands
HANDLER = "handler"  # in place of a scheduler: a handler whose lines execute tasks
TIME_LIMIT, GIVEN_UP = "time limit", "given up"  # verdicts of a limit of ours, of cancel --lost
ENDING_SIGNALS = (1, 2, 9, 10, 12, 15, 24)  # HUP INT KILL USR1 USR2 TERM XCPU: of schedulers
PLAN_LINE = (  # of a task, of which no more is read than its number and its step, or another one
    rb'(?m)^\{(?:"task":([0-9]{1,9}),"step":([0-9]{1,9}),)?.*\}$')
SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link, no waiting for a FIFO
NO_LINKS = (errno.EMLINK, errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EACCES, errno.EINVAL)


def say_error(error: OSError, action: str) -> Error:
    """The mistake that a failed system call amounts to."""
    if error.errno == errno.ELOOP:
        return Error("symbolic-link", f"cannot {action}: it is a symbolic link", NOWHERE,
                     "a record is kept in real files")
    path = os.fsdecode(error.filename or "")
    name = f" {path}:" if path and path not in action else ""
    message = f"cannot {action}:{name} {os.strerror(error.errno) if error.errno else error}"
    return Error("system", message, NOWHERE, "free what is in the way, or choose another place")


@contextlib.contextmanager
def trying(action: str) -> "Iterator[None]":
    """Raise a system call that fails as an Error that names the action."""
    try:
        yield
    except OSError as error:
        raise say_error(error, action) from None


def damaged(path: str) -> Error:
    """The Error about a file of a record that HydraFlow did not write like this."""
    return Error("damaged", f"{os.path.relpath(path)} is damaged", NOWHERE, "run the job anew")


# -- files


def to_json(value: "Any") -> str:
    """A value as JSON, in ASCII and without white space.

    >>> to_json({"a": [1, 0.5, None, "\\u00e9"]})
    '{"a":[1,0.5,null,"\\\\u00e9"]}'
    """
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


def write_file(path: str, data: bytes, mode: str = "wb") -> int:
    """Write a file of a record, or append to it with "ab"; return where data ends in it."""
    with open(path, mode, 0, opener=open_safely) as file:
        write_all(file.fileno(), data)
        return file.tell()


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of data to a file."""
    while data:
        data = data[os.write(descriptor, data):]


def append_lines(path: str, lines: "Iterable[Dict[str, Any]]") -> "List[int]":
    """Append lines of JSON to a file of a record; return where each of them begins."""
    # The line break comes first: were the line before torn by a full disk or a kill, this one
    # would still be whole. One write on O_APPEND, as several processes append to one file.
    texts = [b"\n" + to_json(values).encode("ascii") for values in lines]
    data = b"".join(texts)
    end = write_file(path, data, "ab")
    offsets = accumulate([end - len(data) + 1, *map(len, texts)])
    return list(offsets)[:-1]


def read_bytes(path: str) -> bytes:
    """The content of a file of a record; nothing if there is no such file. Raises Error."""
    with trying(f"read {os.path.relpath(path)}"):
        try:
            with open(path, "rb", 0, opener=open_safely) as file:
                return file.read()
        except FileNotFoundError:
            return b""


def whole_lines(data: bytes) -> "List[Dict[str, Any]]":
    """The lines of JSON of a text that are whole."""
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


def list_folder(path: str) -> "List[str]":
    """The names in a folder of a record in order; none if there is no such folder."""
    with trying(f"read {os.path.relpath(path)}"):
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []


def is_there(path: str) -> bool:
    """Whether a record has a file; raises Error where that cannot be known."""
    with trying(f"read {os.path.relpath(path)}"):
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


# -- the directory of a run


class Record:
    """The directory in which one run of a job keeps its plan, its attempts and its logs."""
    __slots__ = ("path", "ulid", "job")

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.ulid = os.path.basename(self.path)
        self.job = os.path.basename(os.path.dirname(self.path))

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
        """The path of a file of one of FILES."""
        thousand = numbers[0] // 1000 if numbers and isinstance(numbers[0], int) else ""
        return f"{self.path}/{FILES[kind].format(*numbers, k=thousand)}"

    def submission_numbers(self) -> "List[int]":
        """The numbers of the submissions in their order."""
        names = list_folder(f"{self.path}/submissions")
        return sorted(int(name[:-6]) for name in names if re.fullmatch(r"\d{1,9}\.jsonl", name))

    def is_stopped(self, start: int) -> bool:
        """Whether nothing more of a start is to begin.

        The folder is listed, as a network's file system remembers that a file was not there.
        """
        found = [re.fullmatch(r"stop-(\d{1,9})", name) for name in list_folder(self.path)]
        return any(int(match.group(1)) >= start for match in found if match)

    def stop(self, start: int) -> None:
        """Let nothing more of a start begin."""
        write_file(self.file("stop", start), b"")

    @classmethod
    def create(cls, job: str, ulid: int) -> "Record":
        """Make the directory of a new record, after all others even if the clock was set back."""
        directory = cls.directory(job)
        with trying(f"keep a record in {directory}"):
            if not os.path.lexists(f"{ROOT}/.gitignore"):
                write_file(f"{ROOT}/.gitignore", b"*\n")
            names = [name for name in os.listdir(directory) if len(name) == ULID_LENGTH]
            record = cls(f"{directory}/{max(ulid_text(ulid), next_ulid(max(names, default='')))}")
            os.mkdir(record.path)
            for folder in ("attempts", "logs", "submissions"):
                os.mkdir(f"{record.path}/{folder}")
        return record

    @classmethod
    def all(cls, job: str) -> "List[Record]":
        """The records of a job, the oldest first."""
        return cls.all_in(cls.directory(job))

    @classmethod
    def all_in(cls, directory: str) -> "List[Record]":
        """The records in the directory of a job, the oldest first."""
        names = [name for name in list_folder(directory) if len(name) == ULID_LENGTH]
        records = [cls(f"{directory}/{name}") for name in names]
        return [record for record in records if is_there(record.file("plan"))]

    @classmethod
    def newest(cls) -> "List[Record]":
        """The newest record of every job that was run here."""
        folders = [f"{ROOT}/{name}" for name in list_folder(ROOT)]
        found = [cls.all_in(folder)[-1:] for folder in folders if os.path.isdir(folder)]
        return list(chain.from_iterable(found))


def next_ulid(text: str) -> str:
    """The text of the ULID that follows one; of nothing the first.

    >>> next_ulid("01ARZ3NDEKTSV4RRFFQ69G5FZZ")
    '01ARZ3NDEKTSV4RRFFQ69G5G00'
    """
    number = 0
    for char in text:
        number = number << 5 | max(CROCKFORD.find(char), 0)
    return ulid_text(number + 1)


class Lock:
    """Held by one HydraFlow at a time; the kernel lets go of it when that dies.

    The file names its holder. Where a file system has no locks, that process is looked for.
    """
    __slots__ = ("path", "descriptor")

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = -1

    def take(self, patience: float = 0.1) -> str:
        """Take the lock; return its holder if that is another one, after patience in seconds."""
        limit = time.monotonic() + patience
        with trying(f"write {os.path.relpath(self.path)}"):
            self.descriptor = open_safely(self.path, os.O_RDWR | os.O_CREAT)
        holder = lock_holder(self.descriptor)
        while holder and time.monotonic() < limit:
            time.sleep(0.02)
            holder = lock_holder(self.descriptor)
        if holder:
            os.close(self.descriptor)
            self.descriptor = -1
        else:
            owner = {"pid": os.getpid(), "host": host_name(), "boot": boot_id()}
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, to_json(owner).encode("ascii"), 0)
        return holder

    def holder(self) -> str:
        """The process that holds the lock: process 7 on node3; "" for none."""
        try:
            with open(self.path, "rb", 0, opener=open_safely) as file:
                return lock_holder(file.fileno(), is_look=True)
        except OSError:
            return ""

    def release(self) -> None:
        """Let others have the lock."""
        if self.descriptor >= 0:
            os.ftruncate(self.descriptor, 0)
            os.close(self.descriptor)
        self.descriptor = -1


def lock_holder(descriptor: int, is_look: bool = False) -> str:
    """Lock a file, for a look or for good; return its holder if that is another process."""
    owner = read_line(os.pread(descriptor, 1000, 0))
    pid = owner.get("pid")
    text = f"process {pid} on {owner.get('host')}" if pid else "another process"
    if try_lock(descriptor, is_look) is False:
        return text
    if owner.get("boot") != boot_id() or not isinstance(pid, int) or pid == os.getpid():
        return ""
    return text if is_hydraflow(pid) else ""


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


class Start(NamedTuple("Start", [
        ("number", int), ("job", str), ("count", int), ("time", float), ("host", str),
        ("version", str), ("words", "List[str]"), ("commit", str), ("is_dirty", bool),
        ("format", int)])):
    """A start of a run: run JOB, or --resume.

    number counts from 1 within the record; time is in seconds since 1970.
    """
    __slots__ = ()


NO_START = Start(0, "", 0, 0.0, "", "", [], "", False, 0)
NO_TASK = Task(0, 0, 0, (), (), (), "", "", {}, 0, False, False)


def checked(values: "Mapping[str, Any]", sample: "Any") -> "List[Any]":
    """The fields of a named tuple from what was read: those of sample where a value is missing or
    has another type. This is the one check of what a record says."""
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
    start = Start(*checked({**values, "number": values.get("start")}, NO_START))
    if start.format != FORMAT:
        message = f"HydraFlow {start.version} wrote {os.path.relpath(path)} in another format"
        raise Error("other-format", message, NOWHERE,
                    "run the job anew; that version still reads the record")
    if not (start.number and start.job):
        raise damaged(path)
    return start


def write_start(record: Record, start: Start) -> None:
    """Append a start to the plan of a record, which has a plan once its first start is whole."""
    values = dict(start._asdict())
    line = {"start": values.pop("number"), **values}
    kind = "plan" if start.number > 1 else "begun"
    with trying("write the plan"):
        append_lines(record.file(kind), [line])
        if kind == "begun":
            os.rename(record.file(kind), record.file("plan"))


def task_line(task: Task, program: str) -> "Dict[str, Any]":
    """A task as a line of the plan; program is its path, where another machine needs it."""
    values = dict(task._replace(cwd=os.path.abspath(task.cwd))._asdict())
    return {"task": values.pop("number"), **values, "program": program}


def line_task(values: "Dict[str, Any]", path: str) -> Task:
    """The task that a line of a plan describes."""
    task = Task(*checked({**values, "number": values.get("task")}, NO_TASK))
    texts = [*task.combination, *task.argv, *task.key, task.directory, task.cwd, *task.env]
    texts += [value for value in task.env.values() if value is not None]
    is_right = all(isinstance(text, str) and "\0" not in text for text in texts)
    if not (is_right and task.number and task.argv):
        raise damaged(path)
    return task


class Ledger:
    """What the plan of a record says.

    starts are all of them; members are the tasks that the last one planned, in its order, each with
    its step; offsets are where in data the line of every task begins, the last where there are
    several.
    """
    __slots__ = ("path", "starts", "members", "offsets", "data")

    def __init__(self, record: Record) -> None:
        self.path = record.file("plan")
        self.data = read_bytes(self.path)
        self.starts: List[Start] = []
        self.members: Dict[int, int] = {}
        self.offsets: Dict[int, int] = {}
        for match in re.finditer(PLAN_LINE, self.data):
            digits, step = match.groups()
            if digits:
                number = int(digits)
                self.members[number] = int(step)
                self.offsets[number] = match.start()
            else:
                self.add(read_line(match[0]))
        if not self.starts:
            raise damaged(self.path)

    def add(self, values: "Dict[str, Any]") -> None:
        """Take in a start, or the numbers of tasks that an earlier start has planned as well."""
        if "again" in values:
            numbers, step = values["again"], values.get("step")
            is_list = isinstance(numbers, list) and isinstance(step, int)
            if not (is_list and all(str(one).isdigit() and one in self.offsets for one in numbers)):
                raise damaged(self.path)
            self.members.update(dict.fromkeys(numbers, step))
        elif values and "task" not in values:
            self.starts.append(read_start(values, self.path))
            self.members = {}

    @property
    def start(self) -> Start:
        """The last start."""
        return self.starts[-1]

    def line(self, number: int) -> bytes:
        """The line of a task."""
        begin = self.offsets[number]
        end = self.data.find(b"\n", begin)
        return self.data[begin:] if end < 0 else self.data[begin:end]

    def task(self, number: int) -> "Optional[Task]":
        """A task, or nothing if there is none of that number."""
        if number not in self.offsets:
            return None
        values = read_line(self.line(number))
        return line_task(values, self.path) if values else None

    def keys(self) -> "Dict[Tuple[str, ...], List[int]]":
        """The numbers of the tasks of each key, in their order."""
        numbers: Dict[Tuple[str, ...], List[int]] = {}
        for number in sorted(self.offsets):
            key = read_line(self.line(number)).get("key")
            if not isinstance(key, list):
                raise damaged(self.path)
            numbers.setdefault(tuple(key), []).append(number)
        return numbers


def task_at(record: Record, offset: int) -> "Tuple[Task, str]":
    """The task whose line in the plan begins at an offset, and the path of its program."""
    path = record.file("plan")
    with trying(f"read {path}"), open(path, "rb", opener=open_safely) as file:
        file.seek(offset)
        values = read_line(file.readline().rstrip(b"\n"))
    return line_task(values, path), str(values.get("program"))


# -- submissions


class Submission(NamedTuple("Submission", [
        ("number", int), ("start", int), ("step", int), ("scheduler", str), ("name", str),
        ("after", "List[List[Any]]"), ("stops", "List[List[Any]]"), ("limits", "List[Any]"),
        ("clusters", str), ("job_id", str), ("is_refused", bool),
        ("slots", "List[List[List[int]]]")])):
    """What an array job or a handler got.

    number counts from 1 within the record; scheduler is one of SCHEDULERS, or HANDLER or BARE in
    place of one; after are pairs (path of a record, number of a submission) that have to succeed
    before; stops are pairs (path of a record, number of a start) whose stop it obeys; limits are
    those of its tasks; clusters are those that it was meant for, "" for the usual one; job_id is ""
    until it is known; slots are the tasks of each array index, from 1: pairs of number and offset
    of its line in the plan.
    """
    __slots__ = ()

    def numbers(self) -> "List[int]":
        """The numbers of its tasks."""
        return [number for number, _ in chain.from_iterable(self.slots)]


NO_SUBMISSION = Submission(0, 0, 0, "", "", [], [], [0, 0, 0, 0], "", "", False, [])


def write_submission(record: Record, submission: Submission) -> None:
    """Write a submission that is not made yet: its facts, then a line for each array index."""
    facts = dict(submission._asdict())
    lines = list(map(to_json, facts.pop("slots")))
    data = "\n".join([to_json(facts), *lines, ""]).encode("ascii")
    write_file(record.file("submission", submission.number), data)


def note_submission(record: Record, submission: Submission, **facts: "Any") -> Submission:
    """Note the id by which a scheduler knows a submission, or that it was refused."""
    append_lines(record.file("submission", submission.number), [facts])
    return submission._replace(**facts)


def read_submission(record: Record, number: int, index: int = 0) -> Submission:
    """A submission of a record with the tasks of all array indexes, or of one alone."""
    path = record.file("submission", number)
    data = read_bytes(path)
    facts: Dict[str, Any] = {}
    for values in whole_lines(data):
        facts.update(values)
    lines = re.findall(rb"(?m)^\[.*\]$", data)
    try:
        slots = list(map(json.loads, lines[index - 1:index] if index else lines))
        facts["slots"] = slots
        submission = Submission(*checked(facts, NO_SUBMISSION._replace(number=-1)))
        entries = chain.from_iterable(slots)
        is_right = all([type(value) for value in entry] == [int, int] for entry in entries)
    except (TypeError, ValueError):
        raise damaged(path) from None
    names = submission.name, submission.job_id, submission.clusters  # they become words of commands
    if not all(re.fullmatch(r"(\w[\w.;:,\[\]-]*)?", text) for text in names) or not (
            is_right and submission.number == number and len(submission.limits) == 4):
        raise damaged(path)
    return submission


# -- attempts


class Attempt(NamedTuple("Attempt", [
        ("number", int), ("attempt", int),
        ("start", int), ("role", str), ("submission", int), ("index", int), ("slot", int),
        ("host", str), ("boot", str), ("pid", int), ("time", float), ("up", float),
        ("scheduler", str), ("job_id", str), ("origin", str), ("verdict", str),
        ("leader", int), ("began", float),
        ("status", int), ("ended", float), ("asked", bool), ("detail", str)])):
    """The content of the file of an attempt; attempt counts from 1 within the task of that number.

    start is that of the run, role HERE or another one of those names, submission and index those of
    the array task or line, slot is ${{ task.slot }}; host, boot and pid are those of the executor,
    time and up when it claimed the attempt, in seconds since 1970 and of uptime(); scheduler and
    job_id are those of a job around it; origin is RECORD/NUMBER of a task of an older run whose
    success counts; verdict says why it is over without an end; leader is the recorder, began and
    ended are its uptimes, status is -1 before the end, asked tells that a signal came before it,
    detail why it could not be started.
    """
    __slots__ = ()

    @property
    def has_started(self) -> bool:
        """Whether its command began, or could not be started."""
        return self.began >= 0 or self.status >= 0

    @property
    def has_ended(self) -> bool:
        """Whether its end is on record."""
        return self.status >= 0

    @property
    def is_over(self) -> bool:
        """Whether its end or a verdict is on record."""
        return self.has_ended or bool(self.verdict)

    @property
    def is_by_signal(self) -> bool:
        """Whether a signal has ended it, or will have."""
        return self.asked or not self.has_ended or self.status - 128 in ENDING_SIGNALS

    def moment(self, up: float) -> float:
        """An uptime of its machine in seconds since 1970, 0.0 where unknown."""
        return self.time - self.up + up if up >= 0 else 0.0


NO_ATTEMPT = Attempt(
    0, 0, 0, "", 0, 0, 0, "", "", 0, 0.0, 0.0, "", "", "", "", 0, -1.0, -1, -1.0, False, "")


def new_head(start: int, role: str, **more: "Any") -> "Dict[str, Any]":
    """The first line of an attempt of this process."""
    return {
        "start": start, "role": role, "host": host_name()[:64], "boot": boot_id(),
        "pid": os.getpid(), "time": round(time.time(), 2), "up": uptime(), **more}


def claim(path: str, head: "Dict[str, Any]") -> int:
    """Make the file of an attempt; return its descriptor, or -1 if somebody else has it.

    It is locked, and says whose it is, before it gets its name: nobody ever sees it without, but
    where a file system has no links. What is written to the descriptor next is its start. OSError
    where it cannot be written.
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
        if error.errno in NO_LINKS:
            return make_attempt(path, head)
        if error.errno != errno.EEXIST:
            raise
        return -1
    finally:
        os.unlink(draft)
    return descriptor


def make_attempt(path: str, head: "Dict[str, Any]") -> int:
    """Make a file for an attempt, locked, with its first line and its blanks; return it, or -1 if
    there is one."""
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
    """Write the end of an attempt whose command did not start."""
    write_all(descriptor, to_json(end).encode("ascii")[:ROOM - 1] + b"\n")


def write_verdict(path: str, verdict: str) -> None:
    """Note why an attempt is over; OSError where it cannot be written."""
    line = to_json({"verdict": verdict[:60]}).encode("ascii")
    with open(path, "r+b", 0, opener=open_safely) as file:
        os.pwrite(file.fileno(), line.ljust(VERDICT - 1), HEAD)


def read_attempt(path: str, number: int, attempt: int) -> Attempt:
    """The content of the file of an attempt so far."""
    values: Dict[str, Any] = {}
    for line in whole_lines(read_bytes(path)):
        values.update(line)
    return Attempt(number, attempt, *checked(values, NO_ATTEMPT)[2:])


def attempt_numbers(record: Record) -> "Dict[int, List[int]]":
    """The attempts of each task that has any, ascending."""
    found: Dict[int, List[int]] = {}
    for folder in list_folder(f"{record.path}/attempts"):
        for name in list_folder(f"{record.path}/attempts/{folder}"):
            number, _, attempt = name.partition("-")
            if number.isdigit() and attempt.isdigit():
                found.setdefault(int(number), []).append(int(attempt))
    return {number: sorted(attempts) for number, attempts in found.items()}


def is_held(path: str, one: Attempt) -> "Optional[bool]":
    """Whether something of an attempt lives; None where this machine cannot know.

    Any error of a look means alive.
    """
    if not one.role:
        return True
    if one.boot != boot_id():
        return False if one.host == host_name() else None  # rebooted, or another machine
    try:
        with open(path, "rb", 0, opener=open_safely) as file:
            if try_lock(file.fileno(), True) is False:
                return True
    except OSError:
        return True
    # A program may have closed the file, and a file system may have no locks.
    if one.leader:
        return bool(processes_of(path, one.leader))
    return one.pid != os.getpid() and is_hydraflow(one.pid)


# ---------------------------------------------------------------------------
# 8. States: Attempt, queue -> State of each task
# ---------------------------------------------------------------------------
# STATES has the meaning of each state; Queued is a scheduler's answer about an array task; state_of
# is the one function that derives the state of a task: from its attempts, whether something of the
# last one lives, and its queue. It reads no file and executes nothing.
#
# An end on record is the end of its attempt, whatever was asked later. An attempt that has neither
# end nor verdict is alive until its machine, its queue or its user says otherwise.


class Kind(NamedTuple("Kind", [
        ("name", str), ("is_over", bool), ("is_good", bool), ("text", str), ("colour", str)])):
    """A state that a task may have, in the order in which people want to see them."""
    __slots__ = ()


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


class Queued(NamedTuple("Queued", [("kind", str), ("word", str), ("reason", str)])):
    """A scheduler's answer about an array task: kind in our words, the rest in its own.

    kind is PENDING, ACTIVE, ABSENT, or "" without an answer.
    """
    __slots__ = ()


UNKNOWN = Queued("", "", "")
OVER = Queued(ABSENT, "", "")
MEANINGS = (  # words of schedulers for an end, and the plain ones
    (r"^TIMEOUT|^DEADLINE|RUNLIMIT|TIME LIMIT|walltime .*exceeded|enforced h_rt", TIME_LIMIT),
    (r"^OUT_OF_MEMORY|MEMLIMIT|(?i:oom.kill|out of memory|memory limit|v?mem .*exceeded)",
     "out of memory"),
    (r"^NODE_FAIL|^BOOT_FAIL|NODE FAILURE", "node failure"),
    (r"^CANCELLED|^REVOKED|TERM_OWNER|TERM_ADMIN", "cancelled"),
    (r"^PREEMPTED|DUE TO PREEMPTION", "preempted"))
LIMITS_OF_SITE = (TIME_LIMIT, "node failure", "preempted")  # after which a task may begin again
FINAL = {TIME_LIMIT: "failed", GIVEN_UP: "interrupted"}  # verdicts that no scheduler explains
SILENT = ("", "COMPLETED", "FAILED", "EXIT", "DONE", "X", "F", "C")  # say no more than an end


class State(NamedTuple("State", [
        ("name", str), ("cause", str), ("status", int), ("started", float), ("ended", float),
        ("attempt", int), ("attempts", int), ("host", str), ("submission", int), ("index", int),
        ("origin", str)])):
    """The state of one task.

    name is one of STATES, cause is the reason in words; status is the exit status, 128 and more for
    a signal; started and ended are seconds since 1970, 0.0 where unknown; attempt is the number of
    the last one, attempts how many began; submission and index name the array task, or the line of
    a handler, that had the last one; origin is RECORD/NUMBER of a task of an older run whose
    success counts for this one.
    """
    __slots__ = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come of the task by itself."""
        return STATES[self.name].is_over

    @property
    def is_good(self) -> bool:
        """Whether the task needs no further attempt."""
        return STATES[self.name].is_good

    @property
    def is_alive(self) -> bool:
        """Whether the task is executed, or queued."""
        return self.name in ("running", "queued")


NOT_STARTED = State("not started", "", 0, 0.0, 0.0, 0, 0, "", 0, 0, "")


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
    return one.status == 0 and not one.asked and not one.verdict.startswith(HYDRA_BEGAN)


def attempt_state(one: Attempt, name: str, cause: str = "", attempts: int = 0) -> State:
    """The state in which an attempt leaves its task."""
    started = one.time if one.origin else one.moment(one.began)
    return State(
        name, cause, max(one.status, 0), started, one.moment(one.ended), one.attempt, attempts,
        one.host, one.submission, one.index, one.origin)


def state_of(attempts: "Sequence[Attempt]", held: "Optional[bool]", queued: Queued = UNKNOWN,
             since: "Tuple[int, int]" = (0, 0), retries: int = 0) -> State:
    """The state of a task.

    attempts are ascending; held tells whether something of the last one lives, None where that is
    unknown; queued is the answer of the queue about the array task that has the task, or had it
    last; since are start and number of the last submission of the task; retries is how many more
    attempts follow a failure.
    """
    good = list(filter(is_success, attempts))
    if good:
        return attempt_state(good[0], "succeeded", "", len(attempts))
    current = [one for one in attempts if (one.start, one.submission) >= since]
    if current and held is False and not (current[-1].has_started or current[-1].verdict):
        current.pop()  # a claim alone is no attempt
    if current:
        name, cause = name_and_cause(current[-1], held, queued)
        tries = sum(one.has_started for one in current)
        if name == "failed" and tries <= retries and queued.kind in (PENDING, ACTIVE):
            name, cause = "running", "trying again"
        return attempt_state(current[-1], name, cause, len(attempts))
    state = NOT_STARTED._replace(attempts=len(attempts))
    if attempts:
        state = state._replace(attempt=attempts[-1].attempt)
    if queued.kind in (PENDING, ACTIVE) or (since != (0, 0) and not queued.kind):
        return state._replace(name="queued", cause=queued.reason)
    return state._replace(cause=meaning(queued.word))


def name_and_cause(one: Attempt, held: "Optional[bool]", queued: Queued) -> "Tuple[str, str]":
    """Name and cause of the state in which an attempt without success leaves its task.

    A signal may have come from its scheduler, which says so when the array task has ended.
    """
    is_over = one.is_over or held is False
    is_gone = queued.kind == ABSENT
    said = meaning(queued.word) if is_gone else ""
    if one.verdict in FINAL and one.is_by_signal:
        return FINAL[one.verdict], one.verdict
    if is_over and not one.is_by_signal:
        return "failed", one.detail or one.verdict
    if queued.kind == PENDING and not held:
        return "queued", f"requeued {queued.reason}".rstrip()
    if is_over:
        return end_by_signal_of(one, is_gone, said)
    if is_gone and not held:
        if one.has_started:
            return "interrupted", said or queued.word or "gone from the queue"
        return "not started", said
    return "running", queued.reason if one.has_started else "beginning"


def end_by_signal_of(one: Attempt, is_gone: bool, said: str) -> "Tuple[str, str]":
    """Name and cause of the state of a task whose last attempt a signal has ended."""
    if one.role == ARRAY and not is_gone:
        return "running", "ended by a signal"
    if one.has_ended and not (said or one.asked):
        return "failed", one.detail
    return "interrupted", said or one.verdict or ("" if one.has_ended else "killed")


# ---------------------------------------------------------------------------
# 9. Local execution: Task, Task, ... -> Event, Event, ...
# ---------------------------------------------------------------------------
# Limits and Event; Process is an attempt that this process began; Local begins, watches, asks and
# kills attempts. Local has no loop: the pass of chapter 11 calls begin and look. It yields events
# and shows nothing.

GRACE = 10.0  # seconds between asking a task to stop and killing it
TICK = 0.05  # seconds between two looks at processes
DEVICES = (  # variables that list granted devices: of CUDA, ROCm, oneAPI, Slurm
    "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK",
    "SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
FATAL = (  # errors that concern all tasks
    errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EMFILE, errno.ENFILE,
    errno.ENOMEM, errno.ENOENT)
HYDRA_LINE = re.compile(rb"\[HYDRA\] (?:Launching (\d+) jobs |\t#(\d+) : )?")


class Limits(NamedTuple("Limits", [
        ("jobs", int), ("retries", int), ("timeout", float), ("fail_fast", bool)])):
    """How many tasks at once, how many more tries, how many seconds a try may take (0.0: any).

    With fail_fast, a failure ends the starting of tasks.
    """
    __slots__ = ()


class Event(NamedTuple("Event", [
        ("kind", str), ("task", "Optional[Task]"), ("state", State), ("text", str), ("log", str),
        ("number", int)])):
    """Something that happened, to a task or not.

    kind is start, retry, end, done (earlier), elsewhere (another process executes it), tick (time
    passed), interrupt, note or error. number is where in the log the output of the attempt begins,
    how many tasks are done, how many run elsewhere at a tick, or the signal of an interrupt.
    """
    __slots__ = ()


def note_event(kind: str, text: str, number: int = 0) -> Event:
    """An event that is about no task."""
    return Event(kind, None, NOT_STARTED, text, "", number)


def grace() -> float:
    """How many seconds a task has between the request to stop and the kill."""
    text = os.environ.get("HYDRAFLOW_GRACE") or str(GRACE)
    number = read_number(text)
    if number is None or number.mantissa < 0:
        message = f"HYDRAFLOW_GRACE is {text}, expected a number of seconds"
        raise Error("bad-grace", message, NOWHERE, f"for example HYDRAFLOW_GRACE={GRACE:g}")
    return float(str(number))


def granted_devices() -> "List[str]":
    """The devices that a scheduler granted to this process, as programs read them."""
    for name in DEVICES:
        devices = os.environ.get(name, "").replace(",", " ").split()
        if devices and devices != ["NoDevFiles"]:
            return devices
    return []


def remove_if_empty(path: str) -> None:
    """Leave no log of a task that printed nothing."""
    with contextlib.suppress(OSError):
        if not os.stat(path).st_size:
            os.unlink(path)


class Process:
    """An attempt that lives on this machine.

    child is its recorder; tries counts the attempts of this start; deadline is when its time is
    over, kill_at when it is killed after a request to stop, in seconds of the monotonic clock, 0.0
    for never; offset is where in log its output begins.
    """

    child: "Child"

    def __init__(self, task: Task, slot: int, tries: int) -> None:
        self.task = task
        self.slot = slot
        self.tries = tries
        self.attempt = 0
        self.path = ""
        self.log = ""
        self.offset = 0
        self.deadline = 0.0
        self.is_asked = False
        self.kill_at = 0.0

    def read(self) -> Attempt:
        """The content of the file of the attempt."""
        return read_attempt(self.path, self.task.number, self.attempt)

    def signal(self, number: int) -> None:
        """Send a signal to all of its processes."""
        pid = self.child.pid
        if group_of(pid) != pid or not send_signal(-pid, number):
            signal_attempt(self.path, pid, number)

    def kill(self) -> None:
        """Kill its group, and what has left that."""
        self.kill_at = 0.0
        self.signal(signal.SIGKILL)
        signal_attempt(self.path, self.child.pid, signal.SIGKILL)

    def is_over(self) -> bool:
        """Whether it has ended: all of it, after a request to stop or the death of its recorder."""
        status = self.child.poll()
        if status is None or (status >= 0 and not self.is_asked):
            return status is not None
        if status < 0:
            self.kill()
        return not processes_of(self.path, 0)


class Local:
    """The place where attempts are executed by this process.

    head has the fields of the first line of each attempt; waiting are tasks to be tried again, with
    the number of tries; slots are those that are free, the lowest at the end; failure is an error
    of the system that concerns all tasks; kills tells whether it kills a task that does not stop;
    beside is how many tasks of an earlier start live here; silent counts Hydra tasks without a sign
    of Hydra; stops are pairs of a record and a start whose stop holds here; key is that of the job,
    for events.
    """

    def __init__(self, record: Record, limits: Limits, head: "Dict[str, Any]",
                 stops: "Sequence[Tuple[Record, int]]", key: str) -> None:
        self.record = record
        self.limits = limits
        self.head = head
        self.kind = "handler" if head["role"] == HANDLER else "attempt"
        self.kills = head["role"] != ARRAY
        self.running: List[Process] = []
        self.waiting: List[Tuple[Task, int]] = []
        self.slots = list(range(min(limits.jobs, 32768) - 1, -1, -1))
        self.beside = 0
        self.devices = [] if self.kills else granted_devices()
        self.environment = environment({})
        self.environment.setdefault(b"PYTHONUNBUFFERED", b"1")
        # sh drops variables with other names, such as the exported functions of bash
        lost = [f"{name}={value}" for name, value in os.environ.items()
                if not re.fullmatch("[A-Za-z_][A-Za-z_0-9]*", name)]
        self.prefix = ["/usr/bin/env", *lost] if lost else []
        self.failure = ""
        self.silent = 0
        self.stops = stops
        self.is_stopped = False
        self.key = key

    def has_room(self) -> bool:
        """Whether another task may begin now."""
        is_free = len(self.running) + self.beside < self.limits.jobs
        return is_free and not (self.failure or self.is_stopped)

    def begin(self, task: Task, tries: int = 1) -> Event:
        """Begin an attempt of a task, if it is for us; return what happened."""
        process = Process(task, self.slots[-1], tries)
        try:
            descriptor = self.claim(process)
        except OSError as error:
            return self.fail(error, f"begin task {task.number}")
        if descriptor < 0:
            kind = "elsewhere" if process.attempt else "done"
            text = f"another process executes task {task.number}"
            return Event(kind, task, NOT_STARTED, text, "", 1)
        try:
            self.is_stopped = any(record.is_stopped(start) for record, start in self.stops)
            if self.is_stopped:
                return note_event("tick", "")
            self.launch(process, descriptor)
        except (OSError, Error) as error:
            return self.not_started(process, descriptor, error)
        finally:
            os.close(descriptor)
        self.slots.pop()
        self.running.append(process)
        state = NOT_STARTED._replace(
            name="running", started=time.time(), attempt=process.attempt)
        kind = "retry" if tries > 1 else "start"
        return Event(kind, task, state, self.key, process.log, process.offset)

    def claim(self, process: Process) -> int:
        """Claim the next attempt of a task; return its open file, or -1 if another process has the
        task; then the attempt is 0 if the task has succeeded.

        The remains of an attempt before it are killed: two never work at once.
        """
        number = process.task.number
        for attempt in itertools.count(1):
            process.attempt = attempt
            process.path = self.record.file(self.kind, number, attempt)
            descriptor = claim(process.path, new_head(slot=process.slot, **self.head))
            if descriptor >= 0:
                return descriptor
            one = process.read()
            held = self.is_held(process.path, one)
            is_over = one.is_over or held is False
            state = state_of([one], held, OVER if is_over else UNKNOWN)
            if state.is_alive or state.is_good:
                break
            if one.boot == boot_id() and one.leader:
                signal_attempt(process.path, one.leader, signal.SIGKILL)
        if state.is_good:
            process.attempt = 0
        return -1

    def is_held(self, path: str, one: Attempt) -> "Optional[bool]":
        """Whether something of an attempt lives.

        A scheduler that starts our array index again has given up its earlier array task.
        """
        held = is_held(path, one)
        own = self.head["submission"], self.head["index"]
        if held is None and own[0] and (one.submission, one.index) == own:
            write_verdict(path, "requeued")
            return False
        return held

    def launch(self, process: Process, descriptor: int) -> None:
        """Start the recorder around an attempt."""
        task = process.task
        slot = str(process.slot)
        if self.devices:  # of those granted, the task takes the one of its slot
            slot = self.devices[process.slot % len(self.devices)]
        cwd = task.cwd.replace(SLOT, slot)
        env = dict(self.environment)
        own = {ATTEMPT_FILE: process.path, "HYDRAFLOW_ATTEMPT": str(process.attempt)}
        for name, text in {**task.env, **own}.items():
            env.pop(native_bytes(name), None)
            if text is not None:
                env[native_bytes(name)] = native_bytes(resolved(text.replace(SLOT, slot)))
        if task.has_directory:
            os.makedirs(native(os.path.join(cwd, task.directory)), exist_ok=True)
            os.makedirs(native(cwd), exist_ok=True)
        argv = [word.replace(SLOT, slot) for word in task.argv]
        words = ["/bin/sh", "-c", RECORDER, "hydraflow", *self.prefix, *argv]
        if self.kind == "handler":  # its output is for the terminal
            process.child = spawn(words, (descriptor, None, None), env, cwd)
        else:
            process.log = self.record.file("log", task.number)
            with open(process.log, "ab", 0, opener=open_safely) as log:
                if process.attempt > 1 and log.tell():
                    log.write(b"==> attempt %d <==\n" % process.attempt)
                process.offset = log.tell()
                process.child = spawn(words, (descriptor, log, log), env, cwd, self.kills)
        if self.limits.timeout:
            process.deadline = time.monotonic() + self.limits.timeout

    def fail(self, error: OSError, action: str) -> Event:
        """Begin nothing more, as an error concerns all tasks."""
        self.failure = self.failure or str(say_error(error, action))
        return note_event("tick", "")

    def not_started(self, process: Process, descriptor: int,
                    error: "Union[OSError, Error]") -> Event:
        """The event for a claimed task that could not be started."""
        task = process.task
        if isinstance(error, Error):
            text = error.message
        else:
            name = os.fsdecode(error.filename or "")
            if error.errno in FATAL and name in ("", process.log, "/bin/sh"):
                return self.fail(error, f"start task {task.number}")
            text = f"{name}: {os.strerror(error.errno or 0)}"
        detail = f"cannot be started: {text}"
        write_end(descriptor, status=126, ended=uptime(), detail=detail[:100])
        return Event("end", task, state_of([process.read()], False, OVER), self.key, "", 0)

    def look(self) -> "Iterator[Event]":
        """Yield which tasks have ended; stop those that run too long, kill those that do not stop.
        """
        now = time.monotonic()
        for process in list(self.running):
            if process.is_over():
                self.running.remove(process)
                self.slots.append(process.slot)
                self.slots.sort(reverse=True)
                yield from self.ended(process)
            elif process.kill_at and now >= process.kill_at:
                process.kill()
            elif process.deadline and now >= process.deadline and not process.is_asked:
                self.judge(process, TIME_LIMIT)
                self.ask(process, signal.SIGTERM)
                process.kill_at = now + grace()

    def judge(self, process: Process, verdict: str) -> None:
        """Write a verdict on an attempt."""
        try:
            write_verdict(process.path, verdict)
        except OSError as error:
            self.fail(error, "write into the record")

    def ended(self, process: Process) -> "Iterator[Event]":
        """Yield the end of a task, or keep it for another try."""
        one = process.read()
        if process.child.returncode == 125 and not one.has_started:
            self.failure = self.failure or f"error: cannot write {os.path.relpath(process.path)}"
            return
        verdict = ""
        if is_success(one) and process.task.runs:
            verdict = self.hydra_verdict(process)
        elif not one.is_over:
            verdict = "killed"
        if verdict:
            self.judge(process, verdict)
            one = one._replace(verdict=verdict)
        state = state_of([one], False, OVER)
        remove_if_empty(process.log)
        if self.kind == "handler":
            return
        may_repeat = state.name == "failed" or (verdict == "killed" and not process.is_asked)
        if may_repeat and process.tries <= self.limits.retries and not self.is_stopped:
            self.waiting.append((process.task, process.tries + 1))
        else:
            if state.name == "failed" and self.limits.fail_fast:
                self.record.stop(self.head["start"])
            yield Event("end", process.task, state, self.key, process.log, process.offset)

    def hydra_verdict(self, process: Process) -> str:
        """A verdict on a Hydra task that ended with 0, if its log shows that Hydra did not end."""
        has_spoken, launched, began = False, 0, 0
        data = read_bytes(process.log)[process.offset:]
        for count, number in HYDRA_LINE.findall(data):
            has_spoken = True
            launched += int(count or 0)
            began += bool(number)
        folder = os.path.join(process.task.cwd, process.task.directory)
        self.silent += not (has_spoken or os.path.exists(native(folder)))
        return f"{HYDRA_BEGAN}{began} of {launched} runs" if began < launched else ""

    def ask(self, process: Process, number: int) -> None:
        """Ask a task to stop."""
        process.is_asked = True
        process.signal(number)
        if self.kills:
            process.kill_at = time.monotonic() + grace()

    def ask_all(self, number: int) -> None:
        """Ask all tasks to stop; begin none of them again."""
        self.waiting = []
        for process in self.running:
            self.ask(process, number)


# ---------------------------------------------------------------------------
# 10. Schedulers: words and texts <-> array jobs
# ---------------------------------------------------------------------------
# ArrayJob is a submission in words of no scheduler; SCHEDULERS has a row of facts for each one and
# names all that differs, with functions that make options (slurm_options ...), read queues
# (read_columns ...) and accounting (read_sacct ...). Then come functions of the user's own words,
# and send, find_array, cancel_array, query and account, which talk to a scheduler. These are
# generators: they yield None while they wait, and a text that people should read. The rows rest on
# the manual pages that their functions name.

PASSING = (
    "(?i)timed? ?out|unexpected message|unable to contact|connection|temporar|try again|busy|"
    "communication|socket|not responding|resource temporarily|cannot connect|can't connect|"
    "no answer")
TRIES = (1.0, 2.0, 4.0, 8.0)  # seconds between tries of what failed in passing
GONE = (  # how schedulers call what has ended
    "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY", "NODE_FAIL",
    "BOOT_FAIL", "PREEMPTED", "REVOKED", "EXIT", "DONE", "X", "F")
WAITING = (  # how schedulers call what has not begun
    "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "PEND",
    "PSUSP", "WAIT", "qw", "hqw", "hRwq", "Rq", "Q", "H", "W")
STUCK = (  # in states and reasons of what begins only when somebody does something about it
    r"(?i)held|launch failed|badconstraints|partitionconfig|^E.*w$|PSUSP|REQUEUE_HOLD|SPECIAL_EXIT")
HALTED = "SUSPENDED|STOPPED|USUSP|SSUSP|UNKWN|[SUsT]"  # of what has begun and does not go on now
ON_HOLD = ("H", "hqw", "hRwq")
UNSAID = ("", "-", "None", "(null)")  # reasons that need no words
OURS_ARRAY = "the steps of the job make the array; max-parallel: how many array tasks at once"
OURS_NAME = "the array job is called after name: of the job"
OURS_LOG = "leave it out: each task has a log of its own, which hydraflow logs JOB shows"
OURS_AFTER = "needs: of a job, and the order of its steps, are the dependencies"
OURS_SHELL = "leave it out: setup: has the lines of shell that prepare a task"
OURS_COMMAND = "write the command into run:"


class Refusal(Error):
    """A submission that failed: the job file may be right, so the exit status is 1."""

    status = 1


class ArrayJob(NamedTuple("ArrayJob", [
        ("name", str), ("log", str), ("count", int), ("throttle", int), ("ids", "List[str]")])):
    """What is submitted: count array tasks, throttle of them at once (0: any).

    They begin when the array jobs of ids have ended; log is what the path of an array task's log
    begins with.
    """
    __slots__ = ()

    @property
    def array(self) -> str:
        """The indexes and how many of them at once, as most schedulers write it: 1-20%4."""
        return f"1-{self.count}%{self.throttle}" if self.throttle else f"1-{self.count}"


class Scheduler(NamedTuple("Scheduler", [
        ("name", str), ("program", str), ("says", str), ("index", str),
        ("own_ids", "Tuple[str, ...]"),
        ("array_task", str),
        ("options", "Callable[[ArrayJob], List[str]]"), ("script", "Tuple[str, ...]"),
        ("job_id", str), ("query", "Tuple[str, ...]"), ("names_id", bool),
        ("read", "Callable[[str], Iterator[Tuple[str, str, str, str]]]"),
        ("accounting", "Tuple[str, ...]"),
        ("read_accounting", "Callable[[str], Iterator[Tuple[str, str, str]]]"),
        ("cancel", "Tuple[str, ...]"), ("find", "Tuple[str, ...]"), ("limit", "Tuple[str, ...]"),
        ("limit_text", str), ("limit_usual", int), ("limit_less", int), ("crowded", str),
        ("forgotten", str), ("name_length", int), ("variables", str),
        ("joins_values", bool), ("flags", str), ("pairs", str), ("cluster", "Tuple[str, ...]"),
        ("ours", "Tuple[Tuple[str, str], ...]")])):
    """What differs between schedulers.

    program submits; says is what it answers to --version where two have one of that name; index is
    the variable with the array index, own_ids those with the id of the array job; array_task is how
    commands call index {1} of array job {0}; options makes those of an array job; script stands
    before the script, which is then a word of a shell's; job_id finds the id in what a submission
    prints.

    query, with an id if names_id, lists array tasks, which read yields as (job id, indexes, state,
    reason). accounting, with an id, lists how array
    tasks ended, where a site keeps that; read_accounting yields (job id, indexes, word). find, with
    a name, prints the ids of that name.

    limit is a command, limit_text finds the array limit in its output, limit_usual is that
    elsewhere, limit_less how much smaller than it the count must be. crowded matches the refusal of
    more jobs than a user may have; forgotten matches what is said of a job that is gone; variables
    are those that a surrounding job sets.

    joins_values tells whether a value may follow a short option at once (-pgpu); flags are the
    options that take no value, pairs those that take two. cluster are the options by which its
    commands are sent to another cluster, and after them variables that say so. ours are the
    options that HydraFlow sets itself, each group with what to write instead.
    """
    __slots__ = ()


def slurm_options(job: ArrayJob) -> "List[str]":
    """The options of sbatch (sbatch(1)); a percent sign of a path is special, so doubled."""
    log = job.log.replace("%", "%%")
    options = [
        "--parsable", f"--job-name={job.name}", f"--output={log}%a.out", "--open-mode=append",
        f"--array={job.array}"]
    if job.ids:
        options.append(f"--dependency=afterany:{':'.join(job.ids)}")
    return options


def gridengine_options(job: ArrayJob) -> "List[str]":
    """The options of qsub of Grid Engine (qsub(1))."""
    options = ["-terse", "-N", job.name, "-t", f"1-{job.count}"]
    if job.throttle:
        options += ["-tc", str(job.throttle)]
    options += ["-o", f"{job.log}$TASK_ID.out", "-j", "y", "-S", "/bin/sh", "-b", "n"]
    if job.ids:
        options += ["-hold_jid", ",".join(job.ids)]
    return options


def pbs_options(job: ArrayJob) -> "List[str]":
    """The options of qsub of PBS (qsub(1B)); an array of one, refused there, is no array."""
    options = ["-N", job.name]
    index = "1"
    if job.count > 1:
        options += ["-J", job.array]
        index = "^array_index^"
    options += ["-o", f"{job.log}{index}.out", "-j", "oe", "-S", "/bin/sh"]
    if job.ids:
        options += ["-W", f"depend=afterany:{':'.join(job.ids)}"]
    return options


def lsf_options(job: ArrayJob) -> "List[str]":
    """The options of bsub (bsub(1))."""
    throttle = f"%{job.throttle}" if job.throttle else ""
    options = ["-J", f"{job.name}[1-{job.count}]{throttle}", "-o", f"{job.log}%I.out"]
    if job.ids:
        options += ["-w", " && ".join(f"ended({number})" for number in job.ids)]
    return options


def read_columns(text: str) -> "Iterator[Tuple[str, str, str, str]]":
    """Yield the array tasks of squeue and bjobs, in the formats of their rows.

    >>> list(read_columns("12|3|RUNNING|None"))
    [('12', '3', 'RUNNING', 'None')]
    """
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) >= 4:
            yield fields[0], fields[1], fields[2].split(" ")[0], fields[3]


def read_qstat(text: str) -> "Iterator[Tuple[str, str, str, str]]":
    """Yield the array tasks of qstat of Grid Engine.

    Its columns: id, priority, name, user, state, ..., slots, task ids.

    >>> list(read_qstat(" 7 0.5 job ann qw 11/25/2026 12:00:00   1 1-4:1"))
    [('7', '1-4:1', 'qw', '')]
    """
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[0].isdigit():
            yield fields[0], fields[-1], fields[4], ""


def read_qstat_t(text: str) -> "Iterator[Tuple[str, str, str, str]]":
    """Yield the array tasks of qstat -t of PBS: id[index].server, name, user, time, state, queue.

    >>> list(read_qstat_t("7[2].pbs  job  ann  0 R workq"))
    [('7[]', '2', 'R', '')]
    """
    for line in text.splitlines():
        match = re.match(r"(\d+)(?:\[(\d*)\])?\S*\s.*\s([A-Z])\s+\S+\s*$", line)
        if match and match.group(2) != "":  # not the row of a whole array
            array = "[]" if match.group(2) else ""
            yield match.group(1) + array, match.group(2) or "1", match.group(3), ""


def read_sacct(text: str) -> "Iterator[Tuple[str, str, str]]":
    """Yield how array tasks ended, by sacct in the format of its row.

    >>> list(read_sacct("12_3|CANCELLED by 0"))
    [('12', '3', 'CANCELLED')]
    """
    for match in re.finditer(r"(?m)^(\d+)_\[?([\d,:-]+)[^|\n]*\|(\w+)", text):
        number, indexes, word = match.groups()
        if word in GONE:
            yield number, indexes, word


def read_qacct(text: str) -> "Iterator[Tuple[str, str, str]]":
    """Yield how array tasks ended, by qacct -j of Grid Engine (accounting(5)).

    >>> list(read_qacct("jobnumber 5\\ntaskid 2\\nfailed 37 : qmaster enforced h_rt\\n"))
    [('5', '2', 'qmaster enforced h_rt')]
    """
    pattern = (r"jobnumber\s+(\d+)\s*\n(?:.*\n)*?taskid\s+(\w+)\s*\n"
               r"(?:.*\n)*?failed\s+(\d+)[ :]*(.*)")
    for number, index, failed, said in re.findall(pattern, text):
        yield number, index if index.isdigit() else "1", said.strip() if failed != "0" else ""


def read_nothing(text: str) -> "Iterator[Tuple[str, str, str]]":
    """Yield nothing: this scheduler keeps no accounting that every user may read."""
    return iter(())


USUAL = Scheduler(  # what most of them share
    name="", program="", says="", index="", own_ids=(), array_task="", options=slurm_options,
    script=(), job_id="", query=(), names_id=True, read=read_columns, accounting=(),
    read_accounting=read_nothing, cancel=(), find=(), limit=(), limit_text="", limit_usual=0,
    limit_less=0, crowded="", forgotten="", name_length=60, variables="",
    joins_values=False, flags="", pairs="", cluster=(), ours=())
SCHEDULERS = {row.name: row for row in (
    USUAL._replace(
        name="slurm",
        program="sbatch",
        index="SLURM_ARRAY_TASK_ID",
        own_ids=("SLURM_ARRAY_JOB_ID", "SLURM_JOB_ID"),
        array_task="{0}_{1}",
        options=slurm_options,
        job_id=r"^(?:Submitted batch job )?(\d+(?:;[\w.-]+)?)(?:\s|$)",
        query=("squeue", "-h", "-r", "-t", "all", "-o", "%F|%K|%T|%r", "-j"),
        read=read_columns,
        accounting=("sacct", "-X", "-n", "-P", "-o", "JobID,State", "-j"),
        read_accounting=read_sacct,
        cancel=("scancel",),
        find=("squeue", "-h", "-o", "%F", "--name"),
        limit=("scontrol", "show", "config"),
        limit_text=r"MaxArraySize\s*=\s*(\d+)",
        limit_usual=1001,
        limit_less=1,
        crowded=r"MaxSubmitJob|job submit limit",
        forgotten="Invalid job id",
        variables=r"SLURM_(?!CONF$|CONF_SERVER$|CLUSTERS$|TIME_FORMAT$)|SLURMD_|"
                  r"SBATCH_(ARRAY_INX|WAIT|WAIT_ALL_NODES)$|PMI",
        joins_values=True,
        flags=(
            "-H -h -k -O -Q -s -v -V -W --contiguous --exclusive --get-user-env --help --hold "
            "--ignore-pbs --nice --no-kill --no-requeue --overcommit --oversubscribe --parsable "
            "--propagate --quiet --reboot --requeue --spread-job --stepmgr --test-only --usage "
            "--use-min-nodes --verbose --version --wait"),
        cluster=("-M", "--clusters", "--cluster", "SBATCH_CLUSTERS", "SLURM_CLUSTERS"),
        ours=(
            (OURS_ARRAY, "-a --array"), (OURS_NAME, "-J --job-name"),
            (OURS_LOG, "-o --output --open-mode"),
            (OURS_AFTER, "-d --dependency --kill-on-invalid-dep"), (OURS_COMMAND, "--wrap"))),
    USUAL._replace(
        name="gridengine",
        program="qsub",
        index="SGE_TASK_ID",
        own_ids=("JOB_ID",),
        array_task="{0}.{1}",
        options=gridengine_options,
        job_id=r"^(?:Your job(?:-array)? )?(\d+)",
        query=("qstat", "-u", "*"),
        names_id=False,
        read=read_qstat,
        accounting=("qacct", "-j"),
        read_accounting=read_qacct,
        cancel=("qdel",),
        find=("qstat", "-j"),
        limit=("qconf", "-sconf"),
        limit_text=r"max_aj_tasks\s+(\d+)",
        limit_usual=75000,
        variables=r"SGE_(?!ROOT$|CELL$|QMASTER_PORT$|EXECD_PORT$|CLUSTER_NAME$)|"
                  r"(JOB_ID|JOB_NAME|JOB_SCRIPT|TASK_ID|QUEUE|RESTARTED|NSLOTS|NQUEUES|NHOSTS|"
                  r"PE|PE_HOSTFILE|REQUEST|ARC|ENVIRONMENT)$",
        flags="-clear -cwd -h -hard -help -nostdin -noshell -notify -soft -terse -V -verify",
        pairs="-pe",
        ours=(
            (OURS_ARRAY, "-t -tc"), (OURS_NAME, "-N"), (OURS_LOG, "-o -e -j"),
            (OURS_AFTER, "-hold_jid"), (OURS_SHELL, "-S"), (OURS_COMMAND, "-b"))),
    USUAL._replace(
        name="pbs",
        program="qsub",
        says="pbs_version|PBS",
        index="PBS_ARRAY_INDEX",
        own_ids=("PBS_JOBID",),
        array_task="",
        options=pbs_options,
        job_id=r"^(\d+(?:\[\])?)",
        query=("qstat", "-t"),
        read=read_qstat_t,
        cancel=("qdel",),
        find=("qselect", "-N"),
        limit=("qmgr", "-c", "print server"),
        limit_text=r"max_array_size\s*=\s*(\d+)",
        limit_usual=10000,
        crowded="would exceed",
        forgotten="Unknown Job Id|Job has finished",
        name_length=15,
        variables=r"PBS_(?!DEFAULT$|SERVER$|CONF_FILE$|EXEC$)|PMI",
        joins_values=True,
        flags="-f -G -h -I -V -x -X -z",
        ours=(
            (OURS_ARRAY, "-J"), (OURS_NAME, "-N"), (OURS_LOG, "-o -e -j"),
            (OURS_AFTER, "-W=depend"), (OURS_SHELL, "-S"))),
    USUAL._replace(
        name="lsf",
        program="bsub",
        index="LSB_JOBINDEX",
        own_ids=("LSB_JOBID",),
        array_task="{0}[{1}]",
        options=lsf_options,
        script=("/bin/sh",),
        job_id=r"Job <(\d+)>",
        query=("bjobs", "-a", "-noheader", "-o", "jobid jobindex stat pend_reason delimiter='|'"),
        read=read_columns,
        cancel=("bkill",),
        find=("bjobs", "-noheader", "-o", "jobid", "-J"),
        limit=("bparams", "-a"),
        limit_text=r"MAX_JOB_ARRAY_SIZE\s*=\s*(\d+)",
        limit_usual=1000,
        crowded="(?i)pending jobs? .*(threshold|limit|maximum)|maximum number of pending",
        forgotten="is not found|No matching job|already finished",
        variables=r"LSB_(?!BSUB_PARSE_SCRIPT$)|LS_|PMI",
        flags="-ar -B -H -h -I -Ip -Is -IS -ISp -ISs -IX -K -N -r -rn -ti -ul -V -x",
        ours=((OURS_NAME, "-J"), (OURS_LOG, "-o -oo"), (OURS_AFTER, "-w -ti"))),
)}


@functools.lru_cache(maxsize=None)
def version_text(program: str) -> str:
    """Return what a program says of its version, asked once."""
    answer = capture([program, "--version"])
    return answer.out + answer.errors


def behind_env(words: "Sequence[str]") -> "Sequence[str]":
    """A command without the env and the variables before it.

    >>> behind_env(["env", "X=1", "sbatch", "-p", "gpu"])
    ['sbatch', '-p', 'gpu']
    """
    if not words or os.path.basename(words[0]) != "env":
        return words
    start = 1
    while start < len(words) and re.match(r"[A-Za-z_]\w*=", words[start]):
        start += 1
    return words[start:]


def scheduler_of(words: "Sequence[str]", may_ask: bool = True) -> "Optional[Scheduler]":
    """The scheduler of a submission command, None for a handler.

    Those that have a program of the same name are told apart by what it says of its version. With
    may_ask false it is not executed, and the one that needs no such word is taken: a dry run needs
    no program to be installed.
    """
    words = behind_env(words)
    program = os.path.basename(words[0]) if words else ""
    rows = [row for row in SCHEDULERS.values() if row.program == program]
    said = version_text(words[0]) if len(rows) > 1 and may_ask else ""
    if re.search(r"(?i)torque|^Version: \d", said):
        raise Error("torque", f"{program} belongs to Torque, which HydraFlow does not support",
                    NOWHERE, "a handler does: submit: ./submit.sh gets a file with a line per task")
    for row in rows:
        if row.says and re.search(row.says, said):
            return row
    return next((row for row in rows if not row.says), None)


def submission_options(words: "Sequence[str]",
                       scheduler: Scheduler) -> "Iterator[Tuple[int, str, str]]":
    """Yield the options of a submission command: index of the word, name, value; last, without a
    name, the script, after which no word is the scheduler's.

    >>> words = "sbatch -pgpu --mem 4G --hold job.sh -o x".split()
    >>> list(submission_options(words, SCHEDULERS["slurm"]))
    [(1, '-p', 'gpu'), (2, '--mem', '4G'), (4, '--hold', ''), (5, '', 'job.sh')]
    """
    first = len(words) - len(behind_env(words)) + 1
    rest = iter(range(first, len(words)))
    for index in rest:
        option, value = words[index], ""
        if not re.match("--?[^-]", option):
            yield index, "", option
            return
        is_whole = "=" in option
        if option.startswith("--"):
            option, _, value = option.partition("=")
        elif scheduler.joins_values and len(option) > 2:
            option, value, is_whole = option[:2], option[2:], True
        if not is_whole:
            count = 2 if option in scheduler.pairs.split() else 1
            if option not in scheduler.flags.split():
                value = " ".join(words[later] for later in islice(rest, count))
        yield index, option, value


def script_word(words: "Sequence[str]", scheduler: Scheduler) -> int:
    """The index of the user's own script in a submission command, or 0."""
    return next((index for index, option, _ in submission_options(words, scheduler)
                 if not option), 0)


def clusters_of(words: "Sequence[str]", scheduler: Scheduler) -> str:
    """The clusters that a submission command, or a variable, names; "" for the usual one.

    >>> clusters_of("sbatch -pgpu -Mfar".split(), SCHEDULERS["slurm"])
    'far'
    """
    named = ""
    for _, option, value in submission_options(words, scheduler):
        if option in scheduler.cluster:
            named = value
    given = [os.environ.get(name, "") for name in scheduler.cluster if not name.startswith("-")]
    return named or next(filter(None, given), "")


def is_one_of(option: str, names: "Sequence[str]") -> bool:
    """Whether an option has one of some names; a long one may be shortened.

    >>> is_one_of("--arr", ["-a", "--array"]), is_one_of("-a", ["--array"])
    (True, False)
    """
    if option.startswith("--") and len(option) > 3:
        return any(name.startswith(option) for name in names)
    return option in names


def beaten_options(words: "Sequence[str]", scheduler: Scheduler,
                   waits: bool) -> "Iterator[Tuple[int, str, str]]":
    """Yield the options of a submission command that HydraFlow sets itself: index of the word,
    name, what to write instead. waits tells whether it sets dependencies.

    >>> list(beaten_options("sbatch --output=x".split(), SCHEDULERS["slurm"], False))[0][:2]
    (1, '--output')
    """
    for index, option, value in submission_options(words, scheduler):
        attribute = f"{option}={value.partition('=')[0]}"
        for hint, ours in scheduler.ours:
            known = ours.split()
            is_beaten = is_one_of(option, known) or attribute in known
            if is_beaten and (waits or hint != OURS_AFTER):
                yield index, option, hint


def outer_environment(scheduler: Scheduler) -> "Dict[bytes, bytes]":
    """The environment without variables of a surrounding job, which would rule the new one."""
    variables = re.compile(scheduler.variables)
    return {name: value for name, value in os.environb.items()
            if not variables.match(os.fsdecode(name))}


def is_passing(answer: Answer) -> bool:
    """Whether a command of a scheduler may succeed soon: it did not end in time, a signal ended it,
    or its message says so."""
    return answer.status == 124 or answer.status < 0 or bool(re.search(PASSING, answer.errors))


def pause(seconds: float) -> "Generator[None, None, None]":
    """Yield until some time has passed."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        yield


def split_id(job_id: str) -> "Tuple[str, str]":
    """The number of a job, and the cluster that alone knows it by that; "" for the usual.

    >>> split_id("12;far"), split_id("7[]")
    (('12', 'far'), ('7[]', ''))
    """
    number, _, cluster = job_id.partition(";")
    return number, cluster


def id_at(number: str, cluster: str) -> str:
    """The id of a job that a cluster knows by a number: 12;far, and 12 for the usual one."""
    return f"{number};{cluster}" if cluster else number


def at_cluster(command: "Sequence[str]", scheduler: Scheduler, cluster: str) -> "List[str]":
    """A command of a scheduler, sent to a cluster."""
    if not cluster or not scheduler.cluster:
        return list(command)
    return [command[0], scheduler.cluster[0], cluster, *command[1:]]


def inquire(command: "Sequence[str]", scheduler: Scheduler,
            cluster: str) -> "Generator[None, None, Answer]":
    """Execute a short command of a scheduler, sent to a cluster."""
    words = at_cluster(command, scheduler, cluster)
    return (yield from ask(words, outer_environment(scheduler), PROMPT))


@functools.lru_cache(maxsize=None)
def array_limit(scheduler: Scheduler, clusters: str) -> int:
    """How many array tasks an array job may have, asked once; clusters have the first's."""
    limit = scheduler.limit_usual
    if find_program(scheduler.limit[0]):
        first = clusters.split(",")[0]
        answer = capture(at_cluster(scheduler.limit, scheduler, first))
        match = re.search(scheduler.limit_text, answer.out)
        limit = int(match.group(1)) if match and answer.status == 0 else limit
    return max(limit - scheduler.limit_less, 1)


def array_name(job: str, ulid: str, number: int, scheduler: Scheduler) -> str:
    """A name that no other array job has, by which it is found where an answer got lost.

    >>> array_name("my job", "01ARZ3NDEKTSV4RRFFQ69G5FZZ", 2, SCHEDULERS["pbs"])
    'my_job.9G5FZZ.2'
    """
    tail = f".{ulid[-6:]}.{number}"
    name = re.sub("[^A-Za-z0-9_]", "_", job)
    if not name[:1].isalpha():
        name = f"j{name}"
    length = scheduler.name_length - len(tail)
    return name[:max(length, 1)] + tail


def submission_words(words: "Sequence[str]", scheduler: Scheduler, job: ArrayJob,
                     script: str) -> "List[str]":
    """The submission command; our options come after the user's, where they win."""
    last = shlex.quote(script) if scheduler.script else script
    return [*words, *scheduler.options(job), *scheduler.script, last]


def send(words: "Sequence[str]", scheduler: Scheduler, name: str,
         ) -> "Generator[Optional[str], None, str]":
    """Submit an array job, and return its id. Refusal has the scheduler's own message.

    After each try that failed without a refusal, the name is looked for: it may have been accepted.
    """
    env = outer_environment(scheduler)
    clusters = clusters_of(words, scheduler)
    for delay in (0.0, *TRIES):
        yield from pause(delay)
        answer = yield from ask(words, env, 120.0)
        match = re.search(scheduler.job_id, answer.out, re.MULTILINE)
        if match:  # whatever the status: with sbatch -W it is that of the job
            return str(match.group(1))
        if answer.status and not is_passing(answer):
            break
        found = yield from find_array(scheduler, name, clusters)
        if found:
            return found
        if not answer.status:
            said = " ".join(answer.out.split())[:200] or "nothing"
            raise Refusal("no-job-id", f"{words[0]} accepted the submission, but gave no job id: "
                          f"{said}", NOWHERE, f"look for {name} in the queue, and cancel it")
        yield f"{words[0]} does not answer, trying again: {answer.text}"
    is_crowded = scheduler.crowded and re.search(scheduler.crowded, answer.text)
    raise Refusal("too-many-jobs" if is_crowded else "refused",
                  f"{words[0]} refused: {answer.text}", NOWHERE,
                  "--wait submits what fits now, and the rest later; "
                  "--pack N puts N tasks into each array task" if is_crowded else "")


def find_array(scheduler: Scheduler, name: str,
               clusters: str) -> "Generator[Optional[str], None, Optional[str]]":
    """The id of the array job that has a name on one of some clusters; "" where none has it,
    None where one of them does not answer."""
    missing: Optional[str] = ""
    for cluster in clusters.split(","):
        answer = yield from inquire([*scheduler.find, name], scheduler, cluster)
        match = re.search(r"^(?:job_number:\s*)?(\d+(?:\[\])?)", answer.out, re.MULTILINE)
        if match:
            return id_at(match.group(1), cluster)
        if answer.status == 127 or is_passing(answer):
            missing = None
    return missing


def array_task_id(scheduler: Scheduler, job_id: str, index: int) -> str:
    """The id of an array task, with the cluster of its array job.

    >>> array_task_id(SCHEDULERS["slurm"], "12;far", 3), array_task_id(SCHEDULERS["pbs"], "7[]", 3)
    ('12_3;far', '7[3]')
    """
    number, cluster = split_id(job_id)
    text = number.replace("[]", f"[{index}]")  # of PBS, where an array of one is a plain job
    if scheduler.array_task:
        text = scheduler.array_task.format(number, index)
    return id_at(text, cluster)


def cancel_array(scheduler: Scheduler, job_id: str) -> "Generator[Optional[str], None, str]":
    """Cancel an array job, or an array task of one; return what went wrong."""
    number, cluster = split_id(job_id)
    for delay in (0.0, *TRIES[:2]):
        yield from pause(delay)
        answer = yield from inquire([*scheduler.cancel, number], scheduler, cluster)
        if not answer.status or (
                scheduler.forgotten and re.search(scheduler.forgotten, answer.errors)):
            return ""
        if not is_passing(answer):
            break
    return f"{scheduler.cancel[0]}: {answer.text}"


def index_numbers(text: str) -> "List[int]":
    """The numbers of a list with ranges.

    >>> index_numbers("1,3-5,10-20:5")
    [1, 3, 4, 5, 10, 15, 20]
    """
    numbers: List[int] = []
    for match in re.finditer(r"(\d+)(?:-(\d+)(?::(\d+))?)?", text):
        first, last, step = match.groups()
        numbers.extend(range(int(first), int(last or first) + 1, int(step or 1)))
    return numbers


def queued_of(word: str, reason: str) -> Queued:
    """Return what a scheduler's word for the state of an array task means.

    A word that is not known means that the array task is there.
    """
    reason = "" if reason in UNSAID else reason
    if word in GONE:
        return Queued(ABSENT, word, reason)
    if word in WAITING or re.match("E.*w$", word):
        text = word if re.search(STUCK, word) or word in ON_HOLD else ""
        return Queued(PENDING, word, ", ".join(filter(None, (text, reason))))
    return Queued(ACTIVE, word, word if re.fullmatch(HALTED, word) else "")


def is_stuck(queued: Queued) -> bool:
    """Whether an array task begins only when somebody does something about it."""
    return queued.kind == PENDING and bool(re.search(STUCK, queued.reason))


def query(scheduler: Scheduler, job_id: str) -> (
        "Generator[Optional[str], None, Tuple[Dict[int, Queued], str]]"):
    """Return what a scheduler knows of the indexes of an array job, and what went wrong."""
    number, cluster = split_id(job_id)
    ids = [number] if scheduler.names_id else []
    answer = yield from inquire([*scheduler.query, *ids], scheduler, cluster)
    found: Dict[int, Queued] = {}
    for known, indexes, word, reason in scheduler.read(answer.out):
        if known == number:
            queued = queued_of(word, reason)
            found.update(dict.fromkeys(index_numbers(indexes) or [1], queued))
    is_forgotten = scheduler.forgotten and re.search(scheduler.forgotten, answer.errors)
    if answer.status and not is_forgotten:
        return found, f"{scheduler.query[0]}: {answer.text}"
    return found, ""


def account(scheduler: Scheduler,
            job_id: str) -> "Generator[Optional[str], None, Dict[int, str]]":
    """How array tasks of an array job ended, where the site's accounting knows it."""
    if not scheduler.accounting:
        return {}
    number, cluster = split_id(job_id)
    answer = yield from inquire([*scheduler.accounting, number], scheduler, cluster)
    found: Dict[int, str] = {}
    for known, indexes, word in scheduler.read_accounting(answer.out):
        if known == number:
            found.update(dict.fromkeys(index_numbers(indexes), word))
    return found


def job_around() -> "Dict[str, Any]":
    """The scheduler's job that this process is a part of, as the head of an attempt has it.

    >>> sorted(job_around())
    ['index', 'job_id', 'scheduler']
    """
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
# stages, describe is its dry run, cancel_record stops a run.
#
# The pass: a stage is a generator that follows what lives elsewhere, begins tasks, looks at what
# lives here, yields what has changed, and yields None when it has to wait. drive continues it,
# sleeps until a child ends, a signal comes or a moment has passed, and passes signals on.

MOST_SUBMISSIONS = 3  # of a task in one start
LONGEST_LOOK = 15.0  # seconds between two questions to a queue


class Survey:
    """A record, brought up to date by look.

    last is the last submission of each task, and its index there; attempts are those on record,
    states those of the tasks; queues are answers about array tasks, missed counts the looks in
    which one was missing, words are those of accountings about ends; wrong is the message of a
    scheduler that does not answer; holder is the HydraFlow that executes the run now; members are
    the tasks that the last start planned, in its order, with their states.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.attempts: Dict[int, List[Attempt]] = {}
        self.states: Dict[int, State] = {}
        self.queues: Dict[Tuple[str, str, int], Queued] = {}
        self.missed: Dict[Tuple[str, str, int], int] = Counter()
        self.words: Dict[Tuple[str, str, int], str] = {}
        self.members: List[Tuple[int, State]] = []
        self.wrong = ""
        self.holder = Lock(record.file("lock")).holder()
        self.submissions: List[Submission] = []
        self.last: Dict[int, Tuple[Submission, int]] = {}
        for number in record.submission_numbers():
            one = read_submission(record, number)
            if one.is_refused:
                continue
            if one.scheduler in SCHEDULERS and not one.job_id:  # HydraFlow was killed before that
                found = finished(find_array(SCHEDULERS[one.scheduler], one.name, one.clusters))
                self.wrong = "" if found is not None else f"{one.scheduler} does not answer"
                one = one._replace(job_id=found or "")
            self.submissions.append(one)
            for index, slot in enumerate(one.slots, 1):
                self.last.update((task, (one, index)) for task, _ in slot)

    @property
    def ledger(self) -> Ledger:
        """The plan of the record."""
        if not hasattr(self, "_ledger"):
            self._ledger = Ledger(self.record)
        return self._ledger

    def state(self, number: int) -> State:
        """The state of a task; one that has not started may wait for a living HydraFlow."""
        state = self.states.get(number, NOT_STARTED)
        is_waiting = state.name == "not started" and self.holder and self.members
        return state._replace(name="waiting") if is_waiting else state

    def counts(self) -> "Dict[str, int]":
        """How many tasks of the last start are in each state, in the order of STATES."""
        found = Counter(state.name for _, state in self.members)
        rest = self.ledger.start.count - len(self.members)
        found["waiting" if self.holder else "not started"] += max(rest, 0)
        return {name: found[name] for name in STATES}

    def read(self, numbers: "Optional[Iterable[int]]" = None) -> None:
        """Read the attempts that may have changed, of some tasks or of all."""
        found = attempt_numbers(self.record)
        for number in {*found, *self.last} if numbers is None else numbers:
            known = self.attempts.setdefault(number, [])
            for place, attempt in enumerate(found.get(number, ())):
                if place == len(known) or not known[place].has_ended:
                    path = self.record.file("attempt", number, attempt)
                    known[place:place + 1] = [read_attempt(path, number, attempt)]
            self.update(number)

    def update(self, number: int) -> None:
        """Derive the state of a task from its attempts and its queue."""
        attempts = self.attempts.get(number, [])
        submission, _ = self.last.get(number, (NO_SUBMISSION, 0))
        held: Optional[bool] = None
        path = ""
        if attempts and not attempts[-1].is_over:
            path = self.record.file("attempt", number, attempts[-1].attempt)
            held = is_held(path, attempts[-1])
        since = submission.start, submission.number
        state = state_of(attempts, held, self.queued(number), since, submission.limits[1])
        if submission.scheduler == BARE and state.name != "succeeded":
            one = read_attempt(self.record.file("handler", submission.number), 0, 1)
            ended = f", which ended with exit status {one.status}" if one.status > 0 else ""
            state = NOT_STARTED._replace(name="handed", cause=f"to {submission.name}{ended}")
        elif state.name == "not started" and self.is_blocked(submission):
            state = state._replace(name="skipped", cause="a step before it did not succeed")
        elif state.name == "interrupted" and path:
            with contextlib.suppress(OSError):  # of another user's record
                write_verdict(path, state.cause)  # which a scheduler forgets in minutes
        self.states[number] = state

    def key(self, number: int) -> "Optional[Tuple[str, str, int]]":
        """The array task that has a task, or had its last attempt: scheduler, job id, index."""
        one = (self.attempts.get(number) or [NO_ATTEMPT])[-1]
        submission, index = self.last.get(number, (NO_SUBMISSION, 0))
        key = one.scheduler, one.job_id, one.index
        if one.start <= submission.start:
            if one.submission == submission.number:
                index = one.index  # of a pack, another array task may have it
            key = submission.scheduler, submission.job_id, index
        return key if key[0] in SCHEDULERS and key[1] else None

    def array_task(self, number: int) -> "Optional[Tuple[Scheduler, str, int]]":
        """The array task of ours that has a task, or had it last."""
        key = self.key(number) if number in self.last else None
        return (SCHEDULERS[key[0]], key[1], key[2]) if key else None

    def queued(self, number: int) -> Queued:
        """The last answer of a queue about a task, or whether its handler may still begin it."""
        key = self.key(number)
        if key:
            queued = self.queues.get(key, UNKNOWN)
            if queued.kind == ABSENT and self.missed[key] < 2:
                return UNKNOWN
            return queued._replace(word=self.words.get(key, queued.word))
        submission, _ = self.last.get(number, (NO_SUBMISSION, 0))
        is_remote = submission.scheduler in SCHEDULERS
        if submission is NO_SUBMISSION or (self.wrong and is_remote):
            return UNKNOWN
        path = self.record.file("handler", submission.number)
        one = read_attempt(path, 0, 1)
        is_alive = bool(self.holder) and not is_remote
        if one.role:
            is_alive = not one.has_ended and is_held(path, one) is not False
        return Queued(ACTIVE if is_alive else ABSENT, "", "at the handler")

    def is_blocked(self, submission: Submission) -> bool:
        """Whether a dependency of a submission is over without success."""
        return any(state.is_over and not state.is_good
                   for state in states_before(submission, self))

    def look(self, numbers: "Optional[Iterable[int]]" = None,
             asks: bool = True) -> "Generator[Optional[str], None, None]":
        """Read the record, ask the queues, and read again: of all tasks, or of some."""
        self.read(numbers)
        wanted = list(self.states if numbers is None else numbers)
        keys = {self.key(number) for number in wanted if not self.states[number].is_over}
        if asks and keys - {None}:
            yield from self.ask_queues(sorted(filter(None, keys)))
            self.read(wanted)

    def ask_queues(self, keys: "Sequence[Tuple[str, str, int]]",
                   ) -> "Generator[Optional[str], None, None]":
        """Ask the queues about array tasks, and accountings about those that are gone."""
        self.wrong = ""
        for name, job_id in sorted({key[:2] for key in keys}):
            found, wrong = yield from query(SCHEDULERS[name], job_id)
            self.wrong = wrong or self.wrong
            gone = []
            for key in keys:
                if key[:2] != (name, job_id) or (wrong and key[2] not in found):
                    continue
                queued = self.queues[key] = found.get(key[2], OVER)
                self.missed[key] = self.missed[key] + 1 if queued.kind == ABSENT else 0
                if self.missed[key] == 2 and not meaning(queued.word):
                    gone.append(key)
            ends = (yield from account(SCHEDULERS[name], job_id)) if gone else {}
            for key in gone:
                end = ends.get(key[2], "")
                self.words[key] = end if meaning(end) else self.last_words(key) or end

    def last_words(self, key: "Tuple[str, str, int]") -> str:
        """The last line that a scheduler wrote for an array task."""
        found = [one.number for one in self.submissions if one.job_id == key[1]]
        data = b"".join(read_bytes(self.record.file("output", one, key[2])) for one in found)
        lines = data[-4096:].decode("utf-8", "replace").split("\n")
        return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


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


def survey(record: Record) -> Survey:
    """A record at this moment; a queue that misses an array task is asked twice."""
    found = Survey(record)
    finished(found.look())
    if found.wrong or 1 in found.missed.values():
        finished(found.look())
    found.members = [(number, NOT_STARTED) for number in found.ledger.members]
    found.members = [(number, found.state(number)) for number, _ in found.members]
    return found


# -- a start of a run


class Options(NamedTuple("Options", [
        ("jobs", int), ("keep_going", bool), ("resume", bool), ("reuse", bool), ("wait", bool),
        ("retries", int), ("timeout", float), ("pack", int), ("pack_parallel", int),
        ("words", "List[str]")])):
    """The options of the command line about a run; 0, and -1 for retries, where it has none.

    timeout is in minutes; jobs is AUTO for as many tasks as there are processors.
    """
    __slots__ = ()


NO_OPTIONS = Options(0, False, False, False, False, -1, 0.0, 0, 0, [])


def processors() -> int:
    """How many processors this process may use, by its affinity, the allocation around it, and the
    quota of its cgroup."""
    counts = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    for name in ("SLURM_CPUS_ON_NODE", "NSLOTS", "PBS_NCPUS", "LSB_DJOB_NUMPROC"):
        text = os.environ.get(name, "")
        if re.fullmatch("[1-9][0-9]{0,5}", text):
            counts.append(int(text))
    with contextlib.suppress(OSError, ValueError):  # no cgroup, or no limit
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = map(int, file.read().split())
        counts.append(max(quota // period, 1))
    return min(counts)


def commit_of() -> "Tuple[str, bool]":
    """The commit of the working directory, and whether tracked files differ from it."""
    lines = capture([
        "git", "--no-optional-locks", "status", "--porcelain=v2", "--branch",
        "--untracked-files=no"]).out.splitlines()
    commits = [line.split()[2] for line in lines if line.startswith("# branch.oid ")]
    return "".join(commits), any(not line.startswith("#") for line in lines)


def older_successes(
        records: "Sequence[Record]") -> "Dict[Tuple[str, ...], List[Tuple[State, str]]]":
    """The tasks that have succeeded in records by their keys, the newest last: their states, and
    RECORD/NUMBER."""
    older: Dict[Tuple[str, ...], List[Tuple[State, str]]] = {}
    for record in records:
        try:
            found, keys = Survey(record), Ledger(record).keys()
            found.read()
        except Error:  # of another format
            continue
        for key, numbers in keys.items():
            states = [(found.state(number), f"{record.ulid}/{number}") for number in numbers]
            good = [one for one in states if one[0].name == "succeeded" and not one[0].origin]
            older[key] = good + older.get(key, [])[len(good):]
    return older


class Run:
    """A start of a run: its record, and what has become of its tasks since.

    found is the record that it continues, as it was; known are the numbers of planned tasks by
    their keys, the next one last; older are successes of older runs by their keys; last is the
    number of the last task; offsets are where the lines of tasks that leave this machine begin;
    counts are ends of tasks by state, seen by this start, open the tasks that are with a scheduler
    or another process; begun is whether something was executed or submitted, refused whether a
    submission was not taken; described counts the submissions that a dry run has shown; silent
    counts Hydra tasks without a sign of Hydra; stops are pairs of a record and a start whose stop
    holds for this run.
    """

    def __init__(self, plan: Plan, options: Options, is_dry: bool) -> None:
        self.plan = plan
        self.job = plan.job
        self.options = options
        self.is_dry = is_dry
        self.record = Record(f"{Record.directory(plan.job.key)}/{ulid_text(plan.ulid)}")
        self.lock: Optional[Lock] = None
        self.found: Optional[Survey] = None
        self.known: Dict[Tuple[str, ...], List[int]] = {}
        self.older: Dict[Tuple[str, ...], List[Tuple[State, str]]] = {}
        self.last = 0
        self.number = 1
        self.could_reuse = 0
        self.described = 0
        self.silent = 0
        self.offsets: Dict[int, int] = {}
        self.open: Set[int] = set()
        self.counts = dict.fromkeys([*STATES, "earlier"], 0)
        self.notes: List[str] = []
        self.stops: List[Tuple[Record, int]] = []
        self.is_open = False
        self.is_new = True
        self.begun = False
        self.refused = False

    def unfinished(self) -> int:
        """How many tasks have neither ended nor are with a scheduler."""
        return max(self.plan.count - sum(self.counts.values()) - len(self.open), 0)

    def limits(self, is_remote: bool) -> Limits:
        """The limits of the tasks: the command line's, else the job's, else usual ones."""
        job, options = self.job, self.options
        jobs = options.jobs or job.max_parallel or 1
        return Limits(
            jobs=1 if is_remote else processors() if jobs == AUTO else jobs,
            retries=job.retries if options.retries < 0 else options.retries,
            timeout=60 * (options.timeout or job.timeout_minutes),
            fail_fast=job.fail_fast is True and not options.keep_going)

    def throttle(self) -> int:
        """How many array tasks may run at once, 0 for any."""
        return max(self.options.jobs or self.job.max_parallel, 0)

    def pack(self, step: PlannedStep) -> "Tuple[int, int]":
        """How many tasks of a step an array task takes, and how many of them at once."""
        beside = self.options.pack_parallel or step.pack_parallel or 1
        return max(self.options.pack or step.pack or 1, beside), beside

    def must_succeed(self) -> bool:
        """Whether a later step begins only if all tasks before it have succeeded."""
        return self.job.fail_fast is not False and not self.options.keep_going

    def is_stopped(self) -> bool:
        """Whether nothing more of the run may begin."""
        return any(record.is_stopped(start) for record, start in self.stops)

    def was_cancelled(self) -> bool:
        """Whether another command has stopped the run."""
        return self.is_stopped() and not (self.refused or self.limits(True).fail_fast)

    def has_failed(self) -> bool:
        """Whether a task is over without success, as far as this start has seen."""
        bad = [row.name for row in STATES.values() if row.is_over and not row.is_good]
        return self.refused or any(self.counts[name] for name in bad)

    def see(self, event: Event) -> None:
        """Count an event."""
        self.begun = self.begun or event.kind in ("start", "retry")
        if event.kind == "done":
            self.counts["earlier"] += event.number
        elif event.kind == "end":
            self.counts[event.state.name] += 1
        if event.task and event.kind in ("done", "end"):
            self.open.discard(event.task.number)

    # -- its beginning

    def take_record(self, is_resume: bool) -> str:
        """Choose the record, and take its lock; return its holder if another HydraFlow has it.

        The job's lock is held meanwhile: of two commands one makes a record.
        """
        directory = Record.directory(self.job.key)
        guard = Lock(f"{directory}/lock")
        if not self.is_dry:
            with trying(f"keep a record in {directory}"):
                os.makedirs(directory, exist_ok=True)
            holder = guard.take(30.0)
            if holder:
                return holder
        try:
            records = Record.all(self.job.key)
            if records and is_resume:
                return self.continue_record(records)
            self.begin_record(records)
            return ""
        finally:
            guard.release()

    def begin_record(self, records: "Sequence[Record]") -> None:
        """Begin a new record beside those that there are."""
        if records:
            self.look_at_last(records[-1])
        if self.options.reuse:
            self.older = older_successes(records)
        if not self.is_dry:
            self.record = Record.create(self.job.key, self.plan.ulid)
            self.lock = Lock(self.record.file("lock"))
            self.lock.take()
        self.write_start("")

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
        if any(not alive.isdisjoint(keys.get(key, ())) for key in self.keys()):
            message = f"tasks of job {self.job.key} are running or queued since {when}"
            raise Error("already-running", message, NOWHERE, "--resume continues it, "
                        "hydraflow cancel stops it; or run other parameters")
        good = sum(state.is_good for _, state in last.members)
        count = last.ledger.start.count
        if good < count and not alive:
            self.notes.append(f"the last run ({when}) is unfinished: {good} of "
                              f"{counted(count, 'task')} succeeded; --resume continues it")

    def keys(self) -> "Iterator[Tuple[str, ...]]":
        """Yield the keys of the tasks."""
        for step in self.plan.steps:
            for task in step.tasks():
                yield task.key

    def continue_record(self, records: "Sequence[Record]") -> str:
        """Continue the newest record; return its holder, if another HydraFlow has it."""
        self.record = records[-1]
        if not self.is_dry:
            self.lock = Lock(self.record.file("lock"))
            holder = self.lock.take()
            if holder:
                return holder
        self.found = found = survey(self.record)
        if found.wrong:
            self.notes.append(f"the scheduler does not answer ({found.wrong}): "
                              "its tasks count as queued")
        self.is_new = False
        starts = found.ledger.starts
        self.known = {key: numbers[::-1] for key, numbers in found.ledger.keys().items()}
        self.last = max(found.ledger.offsets, default=0)
        self.number = starts[-1].number + 1
        if self.options.resume and self.known and not any(map(self.known.get, self.keys())):
            self.release()
            raise Error("another-run",
                        f"no task of this sweep belongs to the last run of {self.job.key}", NOWHERE,
                        f"begun with: hydraflow run {shell_text(starts[0].words)}")
        self.older = older_successes(records[:-1])
        self.write_start(starts[0].commit)
        return ""

    def write_start(self, before: str) -> None:
        """Write a start of the run into its record; before is the commit of its first one."""
        self.is_open = True
        if self.is_dry:
            return
        commit, is_dirty = commit_of()
        if commit and before and commit != before:
            self.notes.append(f"the run of {self.job.key} began at commit {before[:10]}, "
                              f"and continues at {commit[:10]}")
        write_start(self.record, Start(
            number=self.number, job=self.job.key, count=self.plan.count, time=time.time(),
            host=host_name(), version=__version__, words=list(self.options.words),
            commit=commit, is_dirty=is_dirty, format=FORMAT))
        self.stops.append((self.record, self.number))

    def next_submission(self) -> int:
        """The number of the next submission; a dry run counts those that it has shown."""
        self.described += self.is_dry
        return max(self.record.submission_numbers(), default=0) + max(self.described, 1)

    def release(self) -> None:
        """Let others continue the run."""
        if self.lock:
            self.lock.release()

    # -- its tasks

    def assigned(self, step: PlannedStep, is_remote: bool) -> "Iterator[Tuple[Task, State]]":
        """Yield the tasks of a step with their numbers and states, once the plan has them."""
        drafts = step.tasks()
        size = 1 if self.is_dry else 256  # a dry run shows each task at once
        while True:
            block = [self.identified(step, draft) for draft in islice(drafts, size)]
            if not block:
                return
            if not self.is_dry:
                self.write_block(step, [task for task, _ in block], is_remote)
            yield from block

    def identified(self, step: PlannedStep, draft: Task) -> "Tuple[Task, State]":
        """A task with its number, and its state."""
        numbers = self.known.get(draft.key)
        state, planned = NOT_STARTED, None
        if numbers and self.found:
            number = numbers.pop()
            state, planned = self.found.states.get(number, state), self.found.ledger.task(number)
        else:
            self.last += 1
            number = self.last
        directory = planned.directory if planned else self.plan.directory(number)
        task = step.numbered(draft, number, directory)
        older = self.older.get(task.key)
        if older and not (state.is_alive or state.is_good):
            if self.options.reuse:
                return task, self.reused(task, state, *older.pop(0))
            self.could_reuse += 1
        return task, state

    def reused(self, task: Task, state: State, older: State, origin: str) -> State:
        """Note an older success that counts for a task, and return that."""
        if not self.is_dry:
            head = new_head(start=self.number, role=REUSED, origin=origin)
            head.update(time=older.started, up=0)
            path = self.record.file("attempt", task.number, state.attempt + 1)
            descriptor = claim(path, head)
            if descriptor >= 0:
                write_end(descriptor, status=0, ended=max(older.ended - older.started, 0))
                os.close(descriptor)
        return older

    def write_block(self, step: PlannedStep, tasks: "Sequence[Task]", is_remote: bool) -> None:
        """Write the lines of tasks that are new, or have changed, and the numbers of the others."""
        lines: List[Dict[str, Any]] = []
        again: List[int] = []
        ledger = self.found.ledger if self.found else None
        for task in tasks:
            path = find_program(task.argv[0], task.cwd, task.env) if is_remote else ""
            line = task_line(task, os.path.abspath(path) if path else "")
            data = to_json(line).encode("ascii")
            if ledger and task.number in ledger.offsets and ledger.line(task.number) == data:
                self.offsets[task.number] = ledger.offsets[task.number]
                again.append(task.number)
            else:
                lines.append(line)
        numbers = [line["task"] for line in lines]
        if again:
            lines.append({"again": again, "step": step.number})
        offsets = append_lines(self.record.file("plan"), lines)
        if is_remote:
            self.offsets.update(zip(numbers, offsets))


# -- checks before a start


def task_text(task: Task) -> str:
    """A command line that executes a task in a shell, where it would be executed.

    The shell fills in variables that are kept by name.
    """
    text = shell_text(word.replace(SLOT, "0") for word in task.argv)
    if task.env:
        words = [f"{name}={value}".replace(SLOT, "0") if value is not None else f"--unset={name}"
                 for name, value in sorted(task.env.items(), key=lambda pair: pair[1] is not None)]
        env = re.sub(r"\$\{\{ env\.(\w+) \}\}", "'\"${\\1}\"'", shell_text(words))
        text = f"env {env} {text}"
    if os.path.abspath(task.cwd) == os.getcwd():
        return text
    place = f"./{task.cwd}" if task.cwd.startswith("-") else task.cwd
    return f"(cd {shlex.quote(place)} && {text})"


def check_program(name: str, cwd: str, env: "Mapping[str, Any]", mark: Mark,
                  kind: "Type[Error]" = Error) -> None:
    """Raise an Error unless a program can be executed."""
    if find_program(name, cwd, env):
        return
    place = os.path.join(cwd, name)
    message = f"there is no program {name}"
    hint = "it is looked up in PATH, without a shell"
    if os.path.dirname(name):
        hint = f"the path is relative to {os.path.abspath(cwd)}"
        if os.path.exists(native(place)):
            message = f"{name} is not executable"
            hint = f"chmod +x {shlex.quote(os.path.normpath(place))}; or name its interpreter"
    elif os.path.isfile(native(place)):
        hint = f"write ./{name}: the current directory is not searched"
    raise kind("no-program", message, mark, hint)


def first_task(step: PlannedStep) -> "Optional[Task]":
    """The first task of a step."""
    for task in step.tasks():
        return step.numbered(task, 1, "multirun/1")
    return None


def check_first_task(step: PlannedStep) -> None:
    """Raise an Error unless the first task of a step has its directory and its program."""
    task = first_task(step)
    if task is None:
        return
    is_made = SLOT in task.cwd or task.directory in task.cwd
    if not is_made and not os.path.isdir(native(task.cwd)):
        mark = step.cwd.whole() if step.cwd else NOWHERE
        raise Error("no-directory", f"there is no directory {task.cwd}", mark,
                    f"make it first; it is relative to {os.getcwd()}")
    if step.command and not step.setup:
        check_program(task.argv[0], task.cwd, task.env, step.mark)


def submission_program(step: PlannedStep) -> str:
    """The program of a submission command."""
    return (behind_env(step.submit) or step.submit)[0]


def submit_mark(step: PlannedStep, index: int) -> Mark:
    """The place of a word of a submission command; words may come from elsewhere."""
    return step.submit_marks[index] if index < len(step.submit_marks) else NOWHERE


def check_submission(step: PlannedStep, kind: "Type[Error]") -> None:
    """Raise an Error unless the program of a submission command and the job's Python are here."""
    mark = submit_mark(step, len(step.submit) - len(behind_env(step.submit)))
    check_program(submission_program(step), ".", os.environ, mark, kind)
    python = step.job.python
    check_python(tuple(python_of(step.job)), python.whole() if python else NOWHERE)


@functools.lru_cache(maxsize=None)
def check_python(words: "Tuple[str, ...]", mark: Mark) -> None:
    """Raise an Error if words are a Python that cannot execute HydraFlow.

    One that is not here may be on the machines that are to execute it.
    """
    if words == (sys.executable,) or not find_program(words[0]):
        return
    answer = capture([*words, "-c", "import sys; print(sys.version_info >= (3, 6))"], PATIENT)
    if answer.out.strip() != "True":
        raise Error("no-python", f"{shell_text(words)} is no Python 3.6 or later: {answer.text}",
                    mark, "python: of the job, or HYDRAFLOW_PYTHON, names it")


def check_submit_words(step: PlannedStep, scheduler: Scheduler) -> None:
    """Raise Errors unless all words of a submission command hold for the array job, and there is a
    command for it to execute."""
    words = step.submit
    program = submission_program(step)
    script = script_word(words, scheduler)
    errors: List[Error] = []
    waits = bool(step.job.needs) or len(step.job.steps) > 1
    for index, option, hint in beaten_options(words, scheduler, waits):
        errors.append(Error("own-option", f"HydraFlow sets {option} itself: remove it",
                            submit_mark(step, index), hint))
    if script:
        errors.append(Error(
            "script-and-command",
            f"{program} would execute {words[script]}, and not the command of this job",
            submit_mark(step, script),
            "leave it out: setup: has the lines of shell that prepare a task; without run: and "
            f"call:, {program} gets the script and a file of parameters"))
    elif not step.command and not errors:
        errors.append(Error("no-command", f"{program} has nothing to execute",
                            submit_mark(step, 0), "write the command of the tasks into run:"))
    raise_all(errors)


FILE_READERS = {  # handlers that read no file but one that these options name, as the last word
    "parallel": (("-a", "--arg-file", "::::"), "submit: parallel -a"),
    "xargs": ((), "submit: sh -c 'tr \"\\n\" \"\\0\" < \"$0\" | xargs -0 -n 1 -P 2 sh -c'"),
}


# -- the pass


class Stage:
    """Steps of a run that a place executes together.

    alive are tasks that live elsewhere or since an earlier start, again those of them that are to
    begin again; local is the place of processes of this machine; before are stages that have to be
    over first; waits tells whether the stage lasts until its tasks are over; done counts tasks that
    were done before; left tells that it gave up tasks; said are notes that were yielded, and tasks
    whose start was; elsewhere is how many of alive run; look_at and ask_at are when the record is
    read and queues are asked next.
    """

    is_remote = True

    def __init__(self, run: Run, steps: "Sequence[PlannedStep]") -> None:
        self.run = run
        self.steps = list(steps)
        self.local: Optional[Local] = None
        self.found: Optional[Survey] = None
        self.alive: Dict[int, Task] = {}
        self.again: List[Task] = []
        self.before: List[Stage] = []
        self.waits = False
        self.done = 0
        self.left = False
        self.is_stopped = False
        self.said: Set[Any] = set()
        self.elsewhere = 0
        self.look_at = self.ask_at = self.kill_at = 0.0
        self.look_delay, self.ask_delay = 0.05, 0.5

    def check(self, is_dry: bool) -> None:
        """Raise an Error for what cannot be executed, as far as it can be known before."""

    def describe(self, ids: "Sequence[str]") -> "Iterator[str]":
        """Yield the lines of a dry run: one for each task, all else as comments.

        ids are those of the array jobs that these steps would wait for.
        """
        return map(task_text, self.todo())

    def todo(self) -> "Iterator[Task]":
        """Yield the tasks that are to be executed; collect those that live, count those done."""
        for step in self.steps:
            for task, state in self.run.assigned(step, self.is_remote):
                if state.is_alive:
                    self.alive[task.number] = task
                    self.run.open.add(task.number)
                elif state.is_good and state.name != "handed":
                    self.done += 1
                else:
                    yield task

    def begin(self, todo: "Iterator[Task]") -> "Generator[Union[Event, str, None], None, bool]":
        """Begin tasks as far as there is room; return whether further ones may begin later."""
        raise NotImplementedError

    def work(self) -> "Iterator[Union[Event, str, None]]":
        """Execute the tasks: yield what happens, and None where nothing happens for now."""
        todo = self.todo()
        if self.run.found:  # tasks that live have to be known before anything begins
            todo = iter(list(todo))
        yield from self.passes(todo)

    def passes(self, todo: "Iterator[Task]") -> "Iterator[Union[Event, str, None]]":
        """Follow, begin and look, again and again."""
        while True:
            yield from self.follow()
            has_more = yield from self.begin(todo)
            if self.done:
                yield note_event("done", "", self.done)
                self.done = 0
            if self.local:
                yield from self.local.look()
            if self.is_over(has_more):
                break
            yield note_event("tick", "", self.elsewhere)
            yield None
        if self.local:
            self.left = self.left or self.local.is_stopped or bool(self.local.failure)
            if self.local.failure:
                yield note_event("error", self.local.failure)
        self.left = self.left or self.is_stopped

    def is_over(self, has_more: bool) -> bool:
        """Whether nothing is left to begin or to wait for."""
        if self.local and self.local.running:
            return False
        if self.is_stopped:
            return not self.living_here()
        return not (has_more or self.alive)

    def follow(self) -> "Iterator[Union[Event, str, None]]":
        """Look at tasks that live elsewhere, if it is time; yield what has changed.

        Those that are over leave alive; those that may begin again are added to again.
        """
        now = time.monotonic()
        if not self.alive or now < self.look_at:
            return
        if self.found is None:
            self.found = Survey(self.run.record)
        yield from self.found.look(self.alive, now >= self.ask_at)
        if now >= self.ask_at:
            self.ask_at = time.monotonic() + self.ask_delay
            self.ask_delay = min(self.ask_delay * 1.3, LONGEST_LOOK)
        self.look_at = time.monotonic() + self.look_delay
        self.look_delay = min(self.look_delay * 1.2, 1.0)
        for number in sorted(self.alive):
            yield from self.follow_task(number, self.found.states[number])
        if self.found.wrong:
            text = f"the scheduler does not answer, asking again: {self.found.wrong}"
            yield from self.say_once(text, text)
        names = [self.found.states[number].name for number in self.alive]
        self.elsewhere = names.count("running")
        if self.local:
            self.local.beside = len(self.living_here())
        if self.is_stopped and now > self.kill_at:
            self.kill()

    def follow_task(self, number: int, state: State) -> "Iterator[Union[Event, str]]":
        """Yield what has changed about a task that lives elsewhere."""
        log = self.run.record.file("log", number)
        if state.name == "running" and number not in self.said:
            self.said.add(number)
            yield Event("elsewhere", self.alive[number], state, "", log, 0)
        queued = self.found.queued(number) if self.found else UNKNOWN
        if is_stuck(queued):
            text = f"task {number} does not start: {queued.reason}"
            yield from self.say_once(queued.reason, text)
        if state.is_alive:
            return
        task = self.alive.pop(number)
        self.run.open.discard(number)
        if self.may_begin_again(number, state):
            self.again.append(task)
        elif state.is_over:
            yield Event("end", task, state, self.run.job.key, log, 0)

    def say_once(self, key: str, text: str) -> "Iterator[str]":
        """Yield a note, unless one of its kind was yielded before."""
        if key not in self.said:
            self.said.add(key)
            yield text

    def may_begin_again(self, number: int, state: State) -> bool:
        """Whether this start executes a task that lived elsewhere."""
        raise NotImplementedError

    def living_here(self) -> "List[Attempt]":
        """Attempts of alive on this machine that no scheduler has."""
        known = self.found.attempts if self.found else {}
        last = [known[number][-1] for number in self.alive if known.get(number)]
        return [one for one in last if one.boot == boot_id() and one.role != ARRAY]

    def stop(self, number: int) -> str:
        """Begin nothing more, and ask what lives here to stop; return a text about that."""
        self.is_stopped = True
        self.kill_at = time.monotonic() + grace()
        here = self.living_here()
        for one in here:
            stop_attempt(self.run.record, one, number)
        if self.local is None:
            return "the tasks go on"
        self.local.ask_all(number)
        count = max(len(here), len(self.local.running))
        again = "; press Ctrl-C again to kill" if self.local.kills else ""
        return f"stopping {counted(count, 'task')}{again}" if count else ""

    def kill(self) -> None:
        """Kill what lives here, where no scheduler does it."""
        for one in self.living_here():
            stop_attempt(self.run.record, one, signal.SIGKILL)
        if self.local and self.local.kills:
            for process in self.local.running:
                process.kill()


def stop_attempt(record: Record, one: Attempt, number: int) -> bool:
    """Send a signal to an attempt of this machine; return whether it got it."""
    return signal_attempt(record.file("attempt", one.number, one.attempt), one.leader, number)


def drive(stages: "Iterable[Stage]") -> "Iterator[Event]":
    """Execute stages, one after the other: the one loop of HydraFlow.

    A stage is taken from stages when the one before has ended; after a signal no further one.
    """
    with Signals() as signals:
        is_interrupted = False
        for stage in stages:
            for item in stage.work():
                if item is None:
                    signals.wait(TICK)
                else:
                    yield note_event("note", item) if isinstance(item, str) else item
                while signals.numbers:
                    event = signal_stage(stage, signals.numbers.pop(0), is_interrupted)
                    is_interrupted = is_interrupted or event.kind == "interrupt"
                    yield event
            if is_interrupted or signals.numbers:
                return


def signal_stage(stage: Stage, number: int, is_second: bool) -> Event:
    """Pass a signal on to a stage; return the event about it."""
    name = signal_name(number)
    if number in Signals.PASSED_ON:
        for process in stage.local.running if stage.local else []:
            process.signal(number)
        return note_event("note", f"passed {name} on to the tasks")
    if is_second:
        stage.kill()
        return note_event("note", "killing the tasks")
    return note_event("interrupt", ": ".join(filter(None, [name, stage.stop(number)])), number)


class HereStage(Stage):
    """Steps that this machine executes."""

    is_remote = False

    def check(self, is_dry: bool) -> None:
        """Raise an Error for what cannot be executed."""
        for step in self.steps:
            check_first_task(step)

    def work(self) -> "Iterator[Union[Event, str, None]]":
        """Execute the tasks of a step."""
        run = self.run
        head = {**job_around(), "start": run.number, "role": HERE, "submission": 0}
        self.local = Local(run.record, run.limits(False), head, run.stops, run.job.key)
        yield from super().work()
        run.silent += self.local.silent

    def begin(self, todo: "Iterator[Task]") -> "Generator[Union[Event, str, None], None, bool]":
        """Begin tasks while there is room."""
        local = self.local
        while local and local.has_room() and not self.is_stopped:
            try:
                task, tries = local.waiting.pop() if local.waiting else (
                    self.again.pop() if self.again else next(todo), 1)
            except StopIteration:
                return False
            except OSError as error:
                yield local.fail(error, "plan the next task")
                break
            yield local.begin(task, tries)
        return local is not None and not (local.failure or local.is_stopped)

    def may_begin_again(self, number: int, state: State) -> bool:
        """Whether a task that lived since an earlier start was interrupted."""
        return state.name in ("interrupted", "not started") and not self.is_stopped

    def follow_task(self, number: int, state: State) -> "Iterator[Union[Event, str]]":
        """Yield what has changed about a task that lives since an earlier start."""
        one = (self.found and self.found.attempts.get(number) or [NO_ATTEMPT])[-1]
        if one.host and not one.job_id and one.boot != boot_id():
            text = (f"task {number} may be running on {one.host}; hydraflow cancel --lost gives "
                    "up tasks of a machine that is gone")
            yield from self.say_once(f"lost on {one.host}", text)
        limit = self.local.limits.timeout if self.local else 0.0
        late = time.time() - state.started - limit
        if limit and late > 0 and state.name == "running" and one in self.living_here():
            if late < grace():
                write_verdict(self.run.record.file("attempt", number, one.attempt), TIME_LIMIT)
            stop_attempt(self.run.record, one, signal.SIGTERM if late < grace() else signal.SIGKILL)
        yield from super().follow_task(number, state)


# -- what an array task, or a line of a handler, executes

# The record's copy of this file is imported, so that its byte code is used: compiling takes longer
# than many a task. -S and -E: a site's .pth files and PYTHON* variables are of no use to it.
ISOLATED = ("-S", "-E")
ARRAY_TASK = (
    'import sys; sys.version_info < (3, 6) and sys.exit("hydraflow: " + sys.executable + '
    '" is no Python 3.6 or later; python: in the job names another"); '
    "sys.path[0] = sys.argv[1]; import hydraflow; "
    'sys.exit(hydraflow.main(["slot"] + sys.argv[1:]))')


def slot_script(record: Record, number: int, python: "Sequence[str]", index: str) -> str:
    """The script of a submission; index, in the words of sh, is all that comes from outside.

    No text of a parameter is in it.
    """
    words = [*python, *ISOLATED, "-c", ARRAY_TASK, record.path, str(number)]
    program = shell_text(words[:1])
    path = program if os.sep in words[0] else f'"$(command -v {program})"'
    missing = shlex.quote(f"hydraflow: there is no program {program} on this machine; "
                          "python: in the job names another: ")
    return (
        "#!/bin/sh\n"
        "# HydraFlow executes here the tasks of one array index; the record has the plan.\n"
        f'test -x {path} || {{ echo {missing}"$(uname -n)" >&2; exit 127; }}\n'
        f"exec {shell_text(words)} {index}\n")


def write_script(record: Record, number: int, python: "Sequence[str]", index: str) -> None:
    """Keep in a record the script of an array index and, once, this program.

    What is edited later changes nothing that is queued. The byte code is that of the Python that is
    to execute it, if that is here.
    """
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
        """Execute the tasks, if all has succeeded that they depend on."""
        submission = self.submission
        if any(state.name != "succeeded" for state in states_before(submission)):
            yield note_event("error", "a step before this one has not succeeded")
            return
        around, noted = job_around()["job_id"], split_id(submission.job_id)[0].rstrip("[]")
        role = ARRAY if submission.scheduler in SCHEDULERS else LINE
        if role == ARRAY and around and noted and around != noted:  # submitted twice
            yield note_event("error", f"nothing is executed: array job {noted} has these tasks")
            return
        head = {**job_around(), "start": submission.start, "submission": submission.number,
                "role": role, "index": self.index}
        stops = [(Record(path), start) for path, start in submission.stops]
        self.local = Local(self.record, Limits(*submission.limits), head, stops, "")
        yield from self.passes(map(self.at, self.entries()))
        remove_if_empty(self.record.file("output", submission.number, self.index))

    def entries(self) -> "Iterator[List[int]]":
        """Yield the tasks: those of the index that no neighbour has ended, then, from their ends,
        those of others that nobody has begun."""
        for entry in self.submission.slots[0]:
            one = self.last_attempt(entry[0])
            if not one.has_ended or one.asked or one.status > 128:
                yield entry
        slots = read_submission(self.record, self.submission.number).slots
        depth = max(map(len, slots))
        for place in range(depth - 1, -1, -1) if depth > 1 else []:
            for slot in slots[self.index:] + slots[:self.index - 1]:
                if place < len(slot) and self.last_attempt(slot[place][0]) is NO_ATTEMPT:
                    yield slot[place]

    def at(self, entry: "List[int]") -> Task:
        """A task with the path that its program has here."""
        task, program = task_at(self.record, entry[1])
        argv = list(task.argv)
        if task.is_call:
            argv[argv.index("call") - 1] = os.path.abspath(__file__)
        elif program and os.access(native(program), os.X_OK):
            argv[0] = program
        return task._replace(argv=tuple(argv))

    def last_attempt(self, number: int) -> Attempt:
        """The last attempt of a task since it was submitted; NO_ATTEMPT if there is none."""
        last = NO_ATTEMPT
        since = self.submission.start, self.submission.number
        for attempt in itertools.count(1):
            path = self.record.file("attempt", number, attempt)
            if not is_there(path):
                return last
            one = read_attempt(path, number, attempt)
            if not one.role or (one.start, one.submission) >= since:
                last = one
        return last


def run_slot(path: str, number: int, index: int) -> "Iterator[Event]":
    """Execute the tasks of one index of a submission that have not succeeded; yield what happens.
    """
    record = Record(path)
    return drive([SlotStage(record, read_submission(record, number, index), index)])


# -- handlers


class HandlerStage(Stage):
    """Steps for a command of the user's that gets a file with one line for each task.

    With a command, a line executes one task and records it. Without (is_bare), the lines are the
    parameters alone, of all steps together, and the end of the tasks is not seen.
    """

    def __init__(self, run: Run, steps: "Sequence[PlannedStep]") -> None:
        super().__init__(run, steps)
        self.is_bare = not steps[0].command
        self.submission = NO_SUBMISSION

    def takes(self, step: PlannedStep) -> bool:
        """Whether a step goes to the handler in the same call."""
        return self.is_bare and not step.command and self.steps[0].submit == step.submit

    def check(self, is_dry: bool) -> None:
        """Raise an Error for what cannot be handed over."""
        for step in self.steps:
            name = os.path.basename(submission_program(step))
            options, form = FILE_READERS.get(name, (step.submit[-1:], ""))
            if step.submit[-1] not in options:
                raise Error("not-read", f"{name} would not read the file that is its last argument",
                            submit_mark(step, 0), f"for example {form}")
            if not is_dry:
                check_submission(step, Error)
            if not self.is_bare:
                check_first_task(step)
            for task in islice(step.tasks(), 1000 if is_dry else None):
                # the rest of such a value would be a command of its own
                if re.search("[\r\n]", shell_text(task.argv)):
                    message = "a handler gets one line for each task, and a value has a line break"
                    raise Error("line-break", message, step.mark,
                                "without submit:, or with a scheduler, it works")

    def describe(self, ids: "Sequence[str]") -> "Iterator[str]":
        """Yield the lines of a dry run: the handler's command as a comment, then the tasks."""
        path = self.run.record.file("lines", self.run.next_submission())
        words = [*self.steps[0].submit, os.path.relpath(path)]
        yield f"# {shell_text(words)} gets a line for each of these tasks:"
        for task in self.todo():
            yield shell_text(task.argv) if self.is_bare else task_text(task)

    def begin(self, todo: "Iterator[Task]") -> "Generator[Union[Event, str, None], None, bool]":
        """Hand all tasks over at once; when the handler has ended, say what may still live."""
        run = self.run
        if self.submission is NO_SUBMISSION:
            tasks = list(todo)
            if not tasks or run.is_stopped():
                return False
            self.hand_over(tasks)
            run.begun = True
            run.open.update(self.alive)
        if self.local and self.local.running:
            return True
        self.look_at = 0.0
        yield from self.follow()
        yield from self.closing()
        self.alive = {}
        return False

    def hand_over(self, tasks: "Sequence[Task]") -> None:
        """Write a submission, its script and its lines, and execute the handler as a task is."""
        run, record, step = self.run, self.run.record, self.steps[0]
        self.submission = submission = NO_SUBMISSION._replace(
            number=run.next_submission(), start=run.number, step=step.number,
            name=re.sub(r"[^\w.-]", "_", submission_program(step)).strip("._-"),
            scheduler=BARE if self.is_bare else HANDLER, limits=list(run.limits(True)),
            stops=[[one.path, start] for one, start in run.stops],
            slots=[[[task.number, run.offsets[task.number]]] for task in tasks])
        number = submission.number
        write_submission(record, submission)
        lines = [f"{shell_text(task.argv)}\n" for task in tasks]
        if not self.is_bare:
            write_script(record, number, python_of(run.job), '"$1" status')
            script = shlex.quote(record.file("script", number))
            lines = [f"sh {script} {index} -- {line}" for index, line in enumerate(lines, 1)]
        write_file(record.file("lines", number), native_bytes("".join(lines)))
        self.alive.update((task.number, task) for task in tasks)
        head = {**job_around(), "start": run.number, "role": HANDLER, "submission": number}
        self.local = Local(record, Limits(1, 0, 0.0, False), head, run.stops, "")
        words = (*step.submit, record.file("lines", number))
        self.local.begin(tasks[0]._replace(
            number=number, argv=words, cwd=".", env={}, runs=0, has_directory=False))

    def closing(self) -> "Iterator[Union[Event, str]]":
        """Yield what follows when a handler has ended."""
        run, name = self.run, self.steps[0].submit[0]
        if self.again:
            self.left = True
            yield f"{name} has ended, and {counted(len(self.again), 'task')} did not start"
        if self.alive:
            yield f"{name} has ended, and {counted(len(self.alive), 'task')} may be running"
        end = read_attempt(run.record.file("handler", self.submission.number), 0, 1)
        if end.status != 0:
            run.refused = not run.has_failed()  # else it may say no more than that tasks have
            status = end.detail or f"ended with exit status {end.status}"
            yield note_event("error", f"{name} {status}")

    def may_begin_again(self, number: int, state: State) -> bool:
        """Whether a task has not started; a handler gets it once in a start."""
        return state.name == "not started"


# -- array jobs


def packed(entries: "Sequence[List[int]]", pack: int) -> "List[List[List[int]]]":
    """The tasks of each array index, pack of them.

    They are strided: the last axis of a sweep often decides how long a task takes.

    >>> packed([[1], [2], [3], [4], [5]], 2)
    [[[1], [4]], [[2], [5]], [[3]]]
    """
    size = -(-len(entries) // pack) or 1
    return [list(entries[start::size]) for start in range(size)]


class ArrayStage(Stage):
    """Steps that become array jobs of a scheduler; clusters names those of the submission command.

    rest are tasks that are not submitted; sent are the submissions of this start, times counts how
    often each task was submitted, had is how many were alive after the last submission, -1 before.
    """

    def __init__(self, run: Run, steps: "Sequence[PlannedStep]", scheduler: Scheduler) -> None:
        super().__init__(run, steps)
        self.scheduler = scheduler
        self.clusters = clusters_of(steps[0].submit, scheduler)
        self.index = f'"${{{scheduler.index}:-1}}"'  # 1 for an array of one that is a plain job
        self.rest: List[Task] = []
        self.sent: List[Submission] = []
        self.times: Dict[int, int] = Counter()
        self.had = -1

    def check(self, is_dry: bool) -> None:
        """Raise an Error for what cannot be submitted."""
        for step in self.steps:
            check_submit_words(step, self.scheduler)
            if not is_dry:
                check_submission(step, Refusal)
                check_first_task(step)

    def arrays_before(self) -> "List[Tuple[Record, Submission]]":
        """The submissions of this start that the step depends on."""
        return [(stage.run.record, one) for stage in self.before
                if isinstance(stage, ArrayStage) for one in stage.sent]

    def prepared(self, slots: "List[List[List[int]]]") -> Submission:
        """A submission of the step."""
        run, step = self.run, self.steps[0]
        number = run.next_submission()
        after = self.arrays_before() if run.must_succeed() else []
        limits = run.limits(True)._replace(jobs=run.pack(step)[1])
        return NO_SUBMISSION._replace(
            number=number, start=run.number, step=step.number, scheduler=self.scheduler.name,
            name=array_name(run.job.name, run.record.ulid, number, self.scheduler),
            after=[[record.path, one.number] for record, one in after],
            stops=[[record.path, start] for record, start in run.stops],
            limits=list(limits), clusters=self.clusters, slots=slots)

    def words(self, submission: Submission, ids: "Sequence[str]") -> "List[str]":
        """The submission command; ids are those of the array jobs that it waits for."""
        record = self.run.record
        job = ArrayJob(
            name=submission.name, log=record.file("output", submission.number, "")[:-len(".out")],
            count=len(submission.slots), throttle=self.run.throttle(),
            ids=[split_id(job_id)[0] for job_id in ids])
        script = record.file("script", submission.number)
        return submission_words(self.steps[0].submit, self.scheduler, job, script)

    def describe(self, ids: "Sequence[str]") -> "Iterator[str]":
        """Yield the lines of a dry run: submission commands and scripts as comments, then tasks."""
        run, step = self.run, self.steps[0]
        todo: Iterable[Task] = self.todo()
        rest = step.count
        if run.found or run.older:  # otherwise a dry run streams
            todo = list(todo)
            rest = len(todo)
        rest = -(-rest // run.pack(step)[0])
        most = array_limit(self.scheduler, self.clusters)
        before = list(ids)
        while rest > 0:
            submission = self.prepared([[]] * min(rest, most))
            rest -= most
            yield f"# {shell_text(self.words(submission, before))}"
            script = slot_script(run.record, submission.number, python_of(run.job), self.index)
            for line in script.splitlines():
                yield f"#     {line}"
            if run.throttle() and not self.waits:
                before = [*ids, f"<id of {submission.name}>"]
        yield from map(task_text, todo)

    def follow(self) -> "Iterator[Union[Event, str, None]]":
        """Look at tasks that were submitted, with --wait."""
        return super().follow() if self.waits else iter(())

    def begin(self, todo: "Iterator[Task]") -> "Generator[Union[Event, str, None], None, bool]":
        """Submit tasks; with --wait, lost ones again, and others as soon as more fit."""
        run = self.run
        has_room = len(self.alive) < self.had and not run.throttle()
        is_time = bool(self.again) or not self.alive or has_room or self.had < 0
        self.rest += [*todo, *self.again]
        if self.rest and is_time and not self.is_stopped:
            self.again = []
            if run.is_stopped():
                self.left = True
                self.alive = {}
                return False
            sent = yield from self.submit()
            self.alive.update((task.number, task) for task in self.rest if task.number in sent)
            self.rest = [task for task in self.rest if task.number not in sent]
            self.had = len(self.alive)
            run.open.update(sent)
        if run.refused or not self.waits:
            self.alive = {}
            return False
        return bool(self.rest)

    def may_begin_again(self, number: int, state: State) -> bool:
        """Whether a task was lost by the site or never began, or lived since an earlier start and
        was interrupted."""
        is_of_site = state.cause.partition(" (")[0] in LIMITS_OF_SITE
        is_lost = state.name == "interrupted" and (is_of_site or not self.times[number])
        return (is_lost or state.name == "not started") and not (
            self.times[number] >= MOST_SUBMISSIONS or self.is_stopped or self.run.is_stopped())

    def submit(self) -> "Generator[Union[Event, str, None], None, Set[int]]":
        """Submit tasks, as many as fit; return the numbers of those that were.

        With a throttle, several array jobs go one after the other.
        """
        run = self.run
        entries = [[task.number, run.offsets[task.number]] for task in self.rest]
        slots = packed(entries, run.pack(self.steps[0])[0])
        sent: Set[int] = set()
        most = array_limit(self.scheduler, self.clusters)
        while slots:
            ids = [one.job_id for _, one in self.arrays_before()]
            if sent and run.throttle():
                if self.waits:
                    break
                ids.append(self.sent[-1].job_id)
            try:
                submission = yield from self.send(slots[:most], [] if self.waits else ids)
            except Refusal as refusal:
                is_crowded = self.waits and refusal.code == "too-many-jobs"
                most = min(most, len(slots)) // 2
                if is_crowded and most and not sent:
                    continue  # fewer may fit
                if not (is_crowded and (sent or self.alive)):
                    yield from self.refused(refusal)
                break
            tasks = counted(len(submission.numbers()), "task")
            indexes = counted(len(submission.slots), "array task")
            yield (f"step {submission.step}: {tasks} as array job {submission.job_id} of {indexes}")
            slots = slots[most:]
            sent.update(submission.numbers())
        for number in sent:
            self.times[number] += 1
        return sent

    def send(self, slots: "List[List[List[int]]]",
             ids: "Sequence[str]") -> "Generator[Union[Event, str, None], None, Submission]":
        """Write a submission into the record, and send it; return it with its id."""
        run, record = self.run, self.run.record
        submission = self.prepared(slots)
        write_submission(record, submission)
        write_script(record, submission.number, python_of(run.job), self.index)
        self.found = None
        try:
            job_id = yield from send(self.words(submission, ids), self.scheduler, submission.name)
        except Refusal as refusal:
            run.begun = run.begun or refusal.code == "no-job-id"
            note_submission(record, submission, is_refused=True)
            raise
        run.begun = True
        submission = note_submission(record, submission, job_id=job_id)
        self.sent.append(submission)
        return submission

    def refused(self, refusal: Refusal) -> "Iterator[Union[Event, str, None]]":
        """Say that a submission was refused; cancel the submissions of this command."""
        self.run.refused = True
        yield note_event("error", str(refusal))
        own = [(self.run.record, one) for one in self.sent]
        for record, submission in [] if self.waits else [*self.arrays_before(), *own]:
            record.stop(submission.start)
            wrong = yield from cancel_array(self.scheduler, submission.job_id)
            yield note_event("error", wrong or (
                f"cancelled array job {submission.job_id} of step {submission.step}, "
                "so that nothing is half submitted"))


# -- a job, after those that it needs


def stages_of(run: Run, is_dry: bool) -> "List[Stage]":
    """The steps of a run in the groups that are started together."""
    stages: List[Stage] = []
    for step in run.plan.steps:
        if not step.submit:
            stages.append(HereStage(run, [step]))
            continue
        program = submission_program(step)
        may_ask = bool(find_program(program)) and not (is_dry and os.path.dirname(program))
        scheduler = scheduler_of(step.submit, may_ask)
        last = stages[-1] if stages else None
        if scheduler and (step.command or not script_word(step.submit, scheduler)):
            stages.append(ArrayStage(run, [step], scheduler))
        elif isinstance(last, HandlerStage) and last.takes(step):
            last.steps.append(step)
        else:
            stages.append(HandlerStage(run, [step]))
    return stages


def check_plan(plan: Plan, is_dry: bool) -> None:
    """Raise an Error for what cannot be executed."""
    grace()
    if not is_dry and plan.count > sys.maxsize:
        message = f"job {plan.job.key} has {counted(plan.count, 'task')}"
        raise Error("too-many-tasks", message, plan.job.mark,
                    "sample: 20 in a step, or --sample 20, takes some of them at random")
    for stage in stages_of(Run(plan, NO_OPTIONS, is_dry), is_dry):
        stage.check(is_dry)


class Opening(Stage):
    """The beginning of a run, which waits where another HydraFlow executes the run."""

    def work(self) -> "Iterator[Union[Event, str, None]]":
        """Begin the run, if that was not done yet, and say what there is to say about it."""
        run = self.run
        while not (run.is_open or self.is_stopped):
            holder = run.take_record(True)
            if holder:
                yield from self.say_once(
                    holder, f"waiting for job {run.job.key}: {holder} executes it")
                yield from pause(0.5)
        yield from run.notes


class Execution:
    """A job and, before it, those that it needs: plans in their order.

    stages are those of each run that have not begun, begun those that have; current is the run of
    the last one.
    """

    def __init__(self, plans: "Sequence[Plan]", options: Options, file_words: "Sequence[str]",
                 is_dry: bool = False) -> None:
        self.options = options
        needed = options._replace(words=list(file_words), resume=False, reuse=False)
        self.runs = [Run(plan, needed, is_dry) for plan in plans[:-1]]
        self.runs.append(Run(plans[-1], options, is_dry))
        self.stages = [stages_of(run, is_dry) for run in self.runs]
        self.begun: List[Stage] = []
        self.current = self.runs[-1]
        self.is_interrupted = False
        self.waits = options.wait or self.must_wait()
        holder = self.current.take_record(options.resume)
        if holder:
            raise Error("being-run", f"job {self.current.job.key} is being run by {holder}",
                        NOWHERE, "wait for it, or cancel it; status shows how far it is")
        for run in self.runs[:-1]:
            run.stops += self.current.stops
            if is_dry:
                run.take_record(True)

    def must_wait(self) -> bool:
        """Whether something follows an array job that cannot depend on it."""
        places = [(stage.scheduler, stage.clusters) if isinstance(stage, ArrayStage) else None
                  for stages in self.stages for stage in stages]
        first = next(filter(None, places), None)
        return first is not None and set(places[places.index(first):]) != {first}

    def execute(self) -> "Iterator[Event]":
        """Yield what happens until everything is over or with a scheduler, or something failed."""
        for event in drive(self.ready()):
            self.is_interrupted = self.is_interrupted or event.kind == "interrupt"
            self.current.see(event)
            yield event
        if any(run.was_cancelled() for run in self.runs):
            self.is_interrupted = True
            yield note_event("note", "hydraflow cancel has stopped this run")
        silent = sum(run.silent for run in self.runs)
        if silent:
            program = shell_text(self.runs[-1].plan.steps[0].command[:2])
            yield note_event("note", f"no sign of Hydra in {counted(silent, 'task')}: if {program} "
                             "is no Hydra application, write hydra: false")
        for run, stages in zip(self.runs, self.stages):
            rest = stages if run.is_open and run.plan.count <= 100000 else []
            for _ in chain.from_iterable(stage.todo() for stage in rest):
                pass  # in the plan, tasks that do not begin are not started

    def ready(self) -> "Iterator[Stage]":
        """Yield the stages, each when those before it are over and have succeeded."""
        for run, stages in zip(self.runs, self.stages):
            needed = {name for name, _ in run.job.needs}
            if not all(self.may_go_on(one) for one in self.runs if one.job.key in needed):
                return
            self.current = run
            yield Opening(run, [])
            own: List[Stage] = []
            while stages and self.may_follow(run, own):
                stage = stages.pop(0)
                stage.waits = self.waits
                stage.before = [one for one in self.begun if one.run.job.key in needed] + own
                own.append(stage)
                self.begun.append(stage)
                yield stage
            if run is not self.runs[-1]:
                run.release()

    def may_follow(self, run: Run, before: "Sequence[Stage]") -> bool:
        """Whether another stage of a run may begin."""
        if run.is_stopped() or run.refused:
            return False
        is_bad = run.has_failed() or any(stage.left for stage in before)
        return not (before and is_bad and run.must_succeed())

    def may_go_on(self, run: Run) -> bool:
        """Whether jobs that need this one may begin."""
        return run.is_open and not run.has_failed() and not run.unfinished()


def describe(execution: Execution) -> "Iterator[str]":
    """Yield the lines of a dry run: commands, all else as comments."""
    ids: Dict[str, List[str]] = {}
    for run, stages in zip(execution.runs, execution.stages):
        before = [one for name, _ in run.job.needs for one in ids.get(name, [])]
        for stage in stages:
            stage.waits = execution.waits
            yield from stage.describe([] if stage.waits else before)
            before = []
            if stage.is_remote:
                before = [f"<id of step {stage.steps[0].number} of {run.job.key}>"]
        ids[run.job.key] = before


# -- stopping


class Stopped(NamedTuple("Stopped", [
        ("arrays", "List[str]"), ("tasks", int), ("away", "List[State]"), ("wrong", "List[str]")])):
    """The effect of cancel: array jobs, or array tasks, it cancelled, and how many tasks it ended.

    away are tasks that it cannot reach, wrong are messages about failures.
    """
    __slots__ = ()


def cancel_record(record: Record, is_lost: bool,
                  numbers: "Optional[Sequence[int]]" = None) -> Stopped:
    """Stop all that lives of a run, or tasks of it alone; nothing more of the run begins then.

    With is_lost, give up tasks of machines that are gone.
    """
    if numbers is None:
        record.stop(Ledger(record).start.number)
    found = survey(record)
    alive = {number: found.states[number] for number in found.states
             if found.states[number].is_alive and (numbers is None or number in numbers)}
    arrays, wrong = cancel_arrays(found, alive, numbers is not None)
    for submission in found.submissions if numbers is None else []:
        path = record.file("handler", submission.number)
        one = read_attempt(path, 0, 1)
        if one.leader and not one.has_ended and one.boot == boot_id():
            signal_attempt(path, one.leader, signal.SIGTERM)
    stopped: List[Attempt] = []
    away: List[State] = []
    for number, state in alive.items():
        if state.name == "queued" or found.array_task(number):
            continue
        one = found.attempts[number][-1]
        path = record.file("attempt", number, one.attempt)
        if one.boot != boot_id():
            away.append(state)
            if is_lost:
                write_verdict(path, GIVEN_UP)
        elif stop_attempt(record, one, signal.SIGTERM):
            stopped.append(one)
        elif is_held(path, one):
            wrong.append(f"task {number} cannot be stopped: another user or container has it")
    kill_after_grace(record, stopped)
    return Stopped(arrays, len(stopped), away, wrong)


def kill_after_grace(record: Record, stopped: "Sequence[Attempt]") -> None:
    """Wait until attempts that were asked to stop have ended; kill those that do not."""
    limit = time.monotonic() + grace()
    rest = list(stopped)
    while rest and time.monotonic() < limit:
        time.sleep(TICK)
        rest = [one for one in rest if processes_of(
            record.file("attempt", one.number, one.attempt), one.leader)]
    for one in rest:
        stop_attempt(record, one, signal.SIGKILL)


def cancel_arrays(found: Survey, alive: "Mapping[int, State]",
                  is_part: bool) -> "Tuple[List[str], List[str]]":
    """Cancel the array jobs that have living tasks, or (is_part) their array tasks.

    Return their ids, and messages about failures. An array task goes only with all of its tasks.
    """
    members: Dict[Tuple[Scheduler, str], List[int]] = {}
    for number, state in found.states.items():
        one = found.array_task(number)
        if one and state.is_alive:
            name = array_task_id(*one) if is_part else one[1]
            members.setdefault((one[0], name), []).append(number)
    arrays, wrong = [], []  # type: List[str], List[str]
    kind = "array task" if is_part else "array job"
    for (scheduler, name), tasks in members.items():
        others = [str(number) for number in tasks if number not in alive]
        if not others:
            text = finished(cancel_array(scheduler, name))
            (wrong if text else arrays).append(text or f"{kind} {name}")
        elif len(others) < len(tasks):
            wrong.append(f"{kind} {name} has other tasks as well, {', '.join(others)}: "
                         "name them too, or none")
    return arrays, wrong


# ---------------------------------------------------------------------------
# 12. What people see: Event, State -> text
# ---------------------------------------------------------------------------
# say, put and Outlet write to streams; texts of durations, moments, states, causes; task_name and
# Names call a task the same everywhere; groups_of groups failures for the screen and for status;
# Screen shows events; head_line, status_lines and status_document show a record.
#
# A task's output goes to standard output, HydraFlow's own lines to standard error. The screen reads
# the logs, and begins an incomplete line again the next time: no log is kept in memory. It is a
# guest of the loop that executes: it writes as much as a stream takes without waiting.

CHUNK = 65536  # bytes of a log that are looked at together, and the longest line shown as one
MOST_GROUPS = 1000  # kinds of failure that are kept apart
TAIL = 5  # last lines of a log that are kept with a failure, and looked through for its cause
TERMINAL_CONTROLS = (  # of ECMA-48; compiled when there is output to show
    r"(?s)\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b.?|"
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
COLOURS = r"\x1b\[[0-9;]*m"
TRAILERS = (  # last lines that say nothing of the cause
    r"hint: |Set the environment variable HYDRA_FULL_ERROR=1|Config search path|Provider:|"
    r"==> attempt \d+ <==$|\s*\d+%\||.*\d+(\.\d+)?(it/s|s/it)\]?$|[\s=*#_-]*$")


def say(text: str) -> None:
    """Write a line for a person; a character that the stream cannot encode is escaped."""
    write(sys.stderr, encoded(sys.stderr, text + "\n"))


def encoded(stream: "IO[str]", text: str) -> bytes:
    """A text in the encoding of a stream, with escapes for what it does not have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace")


def write(stream: "IO[str]", data: bytes) -> None:
    """Write all bytes to a stream of text; a stream that fails is given up."""
    outlet = Outlet(stream)
    while data and not outlet.is_lost:
        data = outlet.offer(data, True)


def put(text: str) -> None:
    """Write a line of data: bytes of arguments as they are, but no commands to a terminal."""
    put_shown(printable(text) if sys.stdout.isatty() else text)


def put_shown(text: str) -> None:
    """Write a line of data that may have our colours."""
    stream = getattr(sys.stdout, "buffer", None)  # none where a caller put an io.StringIO there
    if stream is None:
        sys.stdout.write(text + "\n")
    else:
        stream.write(native_bytes(text + "\n"))


def window_width(stream: "IO[str]") -> int:
    """The columns of the terminal of a stream; 0 for no terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (AttributeError, ValueError, OSError):
        return 0


def has_colours(stream: "IO[str]") -> bool:
    """Whether a stream is a terminal whose user wants colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return window_width(stream) > 0


def painted(text: str, state: str, is_coloured: bool) -> str:
    """A text in the colour of a state.

    >>> painted("1 failed", "failed", True), painted("1 failed", "failed", False)
    ('\\x1b[31m1 failed\\x1b[m', '1 failed')
    """
    colour = STATES[state].colour
    return f"\x1b[{colour}m{text}\x1b[m" if is_coloured and colour else text


class Outlet:
    """A stream of text that takes bytes without waiting: a slow reader must not hold up a loop."""

    def __init__(self, stream: "IO[str]") -> None:
        self.stream = stream
        self.is_lost = False
        self.descriptor = -1
        self.is_terminal = False
        try:
            self.descriptor = stream.buffer.fileno()  # type: ignore[attr-defined]
            self.is_terminal = os.isatty(self.descriptor)
            stream.flush()
        except (AttributeError, ValueError, OSError):  # replaced by a caller: an io.StringIO, say
            pass

    def offer(self, data: bytes, waits: bool = False) -> bytes:
        """Write as much as the stream takes at once, or (waits) some of it; return the rest."""
        if self.is_lost:
            return b""
        import select
        piece = 256 if self.is_terminal else getattr(select, "PIPE_BUF", 512)
        timeout = None if waits else 0
        try:
            if self.descriptor < 0:
                return self.into_text(data)
            while data and select.select([], [self.descriptor], [], timeout)[1]:
                data = data[os.write(self.descriptor, data[:piece]):]
        except BlockingIOError:
            if waits:
                time.sleep(TICK)
        except (OSError, ValueError):  # a closed terminal, a full disk, a reader that has gone
            self.is_lost = True
            return b""
        return data

    def into_text(self, data: bytes) -> bytes:
        """Write bytes to a caller's replacement of a stream."""
        raw = getattr(self.stream, "buffer", None)
        if raw is None:
            self.stream.write(data.decode("utf-8", "replace"))
        else:
            raw.write(data)
        return b""


def harmless(data: bytes) -> str:
    """Bytes as a text that moves no cursor; colours stay.

    >>> harmless(b"\\x1b[2Jred \\xff")
    'red \\ufffd'
    """
    def colour(match: "Match[str]") -> str:
        return match.group() if re.fullmatch(COLOURS, match.group()) else ""

    return re.sub(TERMINAL_CONTROLS, colour, data.decode("utf-8", "replace"))


def last_state(line: bytes) -> bytes:
    """The last visible part of a line in which carriage returns start again."""
    for part in reversed(line.split(b"\r")):
        if part.strip():
            return part
    return b""


def duration_text(seconds: float) -> str:
    """A duration for people.

    >>> [duration_text(seconds) for seconds in (0.04, 12.34, 75, 36610)]
    ['0.0 s', '12.3 s', '1:15', '10:10:10']
    """
    return f"{seconds:.1f} s" if seconds < 60 else clock_text(seconds)


def clock_text(seconds: float) -> str:
    """A duration as on a clock.

    >>> clock_text(5.2), clock_text(75)
    ('0:05', '1:15')
    """
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def moment_text(moment: float) -> str:
    """A time of day, with its date if that is not today; "?" where no calendar has it."""
    import datetime
    try:
        when = datetime.datetime.fromtimestamp(moment)
        is_today = when.date() == datetime.date.today()
        return when.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return "?"


def status_text(status: int) -> str:
    """An exit status in words.

    >>> status_text(1), status_text(137)
    ('exit status 1', 'SIGKILL (exit status 137)')
    """
    if status > 128 and signal_name(status - 128).startswith("SIG"):
        return f"{signal_name(status - 128)} (exit status {status})"
    return f"exit status {status}"


def state_text(state: State) -> str:
    """A state in words."""
    cause = printable(state.cause)
    if state.name == "running":
        where = "" if state.host in ("", host_name()) else f" on {printable(state.host)}"
        return f"running since {moment_text(state.started)}{where}{cause and ', '}{cause}"
    if state.name == "succeeded":
        return "succeeded earlier" if state.origin else "succeeded"
    if state.name == "handed":
        return f"handed {cause}"
    if state.name == "failed":
        cause = cause or status_text(state.status)
    return f"{STATES[state.name].text}: {cause}" if cause else STATES[state.name].text


def tail_lines(path: str, begin: int = 0) -> "List[str]":
    """The last lines of a log that are not empty, TAIL at most, of its last attempt."""
    try:
        with open(open_safely(path, os.O_RDONLY), "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - CHUNK // 8, begin))
            data = file.read()
    except OSError:
        return []
    attempt = re.split(rb"(?:^|\n)==> attempt \d+ <==(?=\n|$)", data)[-1]
    lines = [re.sub(COLOURS, "", harmless(last_state(line))).rstrip()[:400]
             for line in attempt.split(b"\n")]
    return [line for line in lines if line][-TAIL:]


def cause_line(lines: "Sequence[str]") -> str:
    """The last line that may name a cause: no advice of Hydra's, no progress bar.

    >>> cause_line(["ValueError: lr", "Set the environment variable HYDRA_FULL_ERROR=1 for more."])
    'ValueError: lr'
    >>> cause_line(["error: module os has no function x", "hint: call: names module.function"])
    'error: module os has no function x'
    """
    for line in reversed(lines):
        if not re.match(TRAILERS, line):
            return line
    return lines[-1] if lines else ""


def cause_of(state: State, log: str, begin: int = 0) -> str:
    """The cause of a task's state: the recorded one, else a failed task's last line."""
    if state.name == "failed" and not state.cause:
        return printable(cause_line(tail_lines(log, begin)))
    return printable(state.cause)


# -- how a task is called


def shortened(text: str, longest: int) -> str:
    """A text without its middle, if it is too long.

    >>> shortened("data/imagenet/train", 11)
    'data...rain'
    """
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def shared_words(combinations: "Iterable[Sequence[str]]") -> "Set[str]":
    """The words that all of some combinations have.

    >>> sorted(shared_words([("a=1", "b=1"), ("a=1", "b=2")]))
    ['a=1']
    """
    rest = iter(combinations)
    shared = set(next(rest, ()))
    for words in rest:
        if not shared:
            break
        shared.intersection_update(words)
    return shared


def words_of_all(plan: Plan) -> "Set[str]":
    """Words that all tasks of a plan have, as far as its axes tell that."""
    every = []
    for step in plan.steps:
        fixed = flat([axis.at(0) for axis in step.sweep.axes if axis.count == 1])
        every += [fixed, *step.included]
    return shared_words(every)


def words_text(words: "Iterable[str]", room: int) -> str:
    """Words of a combination on one line of at most room characters.

    Where they are too long, first the keys lose what groups them, then the values stand alone, at
    last the longest ones lose their middles.

    >>> words = ["optimizer.lr=0.1", "model=transformer"]
    >>> words_text(words, 40), words_text(words, 30)
    ('optimizer.lr=0.1 model=transformer', 'lr=0.1 model=transformer')
    >>> words_text(words, 16), words_text(words, 13)
    ('0.1 transformer', '0.1 tra...mer')
    """
    shown = [" ".join(printable(word).split()) for word in words]
    short = [re.sub(r"^[^=]*\.(?=[^=.]+=)", "", word) for word in shown]
    is_plain = len({word.partition("=")[0] for word in short}) == len(short)
    for choice in [shown, short] if is_plain else [shown]:
        if len(" ".join(choice)) <= room:
            return " ".join(choice)
    values = [word.partition("=")[2] or word for word in shown]
    longest = min(max(map(len, values)), room)
    while longest > 9 and len(" ".join(values)) > room:
        longest -= 1
        values = [shortened(value, longest) for value in values]
    return shortened(" ".join(values), max(room, 9))


def task_name(number: int, combination: "Iterable[str]", shared: "Set[str]", room: int) -> str:
    """The name of a task for people: its number, and what others do not share.

    >>> task_name(8, ("lr=0.1", "epochs=3"), {"epochs=3"}, 99), task_name(1, ("a=1",), {"a=1"}, 99)
    ('[8 lr=0.1]', 'task 1')
    """
    words = words_text([word for word in combination if word not in shared], room)
    return f"[{number} {words}]" if words else f"task {number}"


@functools.lru_cache(maxsize=1)
def combinations_of(ledger: Ledger) -> "Dict[int, Tuple[str, ...]]":
    """The combinations of all members of a run, by number: the plan is read once."""
    found = {}
    for values in whole_lines(b"\n".join(map(ledger.line, ledger.members))):
        try:
            found[int(values["task"])] = tuple(map(str, values["combination"]))
        except (TypeError, KeyError, ValueError):
            raise damaged(ledger.path) from None
    return found


class Names:
    """The names of the tasks of a record; its plan is read when the first one is needed.

    room is for the words of a name, in characters.
    """

    def __init__(self, ledger: Ledger, room: int) -> None:
        self.ledger = ledger
        self.room = room
        self.combinations: Dict[int, Tuple[str, ...]] = {}
        self.shared: Set[str] = set()

    def name(self, number: int) -> str:
        """The name of a task."""
        if not self.combinations:
            self.combinations = combinations_of(self.ledger)
            self.shared = shared_words(self.combinations.values())
        return task_name(number, self.combinations.get(number, ()), self.shared, self.room)

    def in_common(self, numbers: "Iterable[int]") -> str:
        """The words that some tasks have in common and others do not have."""
        combinations = [self.combinations.get(number, ()) for number in numbers]
        common = shared_words(combinations) - self.shared
        return words_text([word for word in combinations[0] if word in common], self.room)


# -- the screen of a run


class Failure:
    """Failures of the same cause: how many, and one of them."""

    def __init__(self, event: Event, lines: "List[str]") -> None:
        self.count = 1
        self.event = event
        self.lines = lines


class Following:
    """A log that is shown: name of the task, offset of the next byte, end of the task if known."""

    def __init__(self, name: str, log: str, offset: int) -> None:
        self.name = name
        self.log = log
        self.offset = offset
        self.has_title = False
        self.end: Optional[Event] = None

    @property
    def lead(self) -> bytes:
        """The start of each of its lines where several tasks share a screen."""
        name = self.name if self.name.endswith("]") else f"[{self.name.rpartition(' ')[2]}]"
        return name.encode("utf-8", "replace") + b" "


class Screen:
    """Shows events as they come: output of the tasks, a progress line, a line for each task.

    total counts the tasks, jobs those that run at once here; shared are words that all tasks of a
    job have, by its key. is_live means a terminal with a progress line, is_raw an output that is
    no terminal; rest are bytes that the stream has not taken yet, partial is the unfinished line
    of a task.
    """

    def __init__(self, total: int, jobs: int, quiet: bool, shared: "Dict[str, Set[str]]") -> None:
        self.total = total
        self.jobs = jobs
        self.quiet = quiet
        self.shared = shared
        self.is_coloured = has_colours(sys.stderr)
        self.out = Outlet(sys.stdout)
        self.err = Outlet(sys.stderr)
        self.rest = b""
        is_dumb = os.environ.get("TERM", "dumb") == "dumb"
        self.is_live = self.err.is_terminal and not quiet and not is_dumb
        self.is_raw = not self.out.is_terminal
        self.following: Dict[Tuple[str, int], Following] = {}
        self.rows = 0
        self.partial = ""
        self.drawn = ""
        self.running = 0
        self.counts = dict.fromkeys([*STATES, "earlier"], 0)
        self.failures: Dict[str, Failure] = {}
        self.begun = time.monotonic()
        self.spent = 0.0
        self.notes: List[str] = []

    def show(self, event: Event) -> None:
        """Show one event."""
        key = event.text, event.task.number if event.task else 0
        if event.kind in ("start", "retry"):
            if event.kind == "retry":
                self.note(f"{self.name_of(event)} failed, retrying")
            name = "" if self.quiet else self.name_of(event, 2 if self.jobs == 1 else 3)
            self.following[key] = Following(name, event.log, event.number)
        elif event.kind == "done":
            self.counts["earlier"] += event.number
        elif event.kind == "end":
            self.following.setdefault(key, Following("", "", 0)).end = event
            self.turn(False)
        elif event.kind == "error":
            self.notes.append(event.text)
        elif event.kind in ("note", "interrupt"):
            self.note(event.text)
        elif event.kind == "tick":
            self.running = event.number
            self.turn(False)
            self.draw()

    def turn(self, waits: bool) -> None:
        """Show what is new in the logs, as much as the stream takes; with waits, all of it."""
        self.write(b"", waits)
        for key, following in list(self.following.items()):
            is_whole = self.follow(following, waits)
            if following.end and is_whole and following.end.task:
                del self.following[key]
                self.ended(following.end)

    def write(self, data: bytes, waits: bool = False) -> None:
        """Write output; without waits, the stream may leave a rest."""
        self.rest = self.out.offer(self.rest + data)
        while waits and self.rest:
            self.rest = self.out.offer(self.rest, True)

    def follow(self, following: Following, waits: bool) -> bool:
        """Show what is new in the log of a task, some chunks or (waits) all; return whether that
        was all."""
        if self.quiet or not following.log:
            return True
        try:
            has_new = os.stat(following.log).st_size > following.offset
            if not has_new and not (following.end and self.partial):
                return True
            with open(open_safely(following.log, os.O_RDONLY), "rb") as file:
                for _ in itertools.count() if waits else range(4):
                    if self.rest and not waits:
                        return False
                    if self.show_chunk(following, file, waits):
                        return not self.rest
        except OSError:
            return True
        return False

    def show_chunk(self, following: Following, file: "IO[bytes]", waits: bool) -> bool:
        """Show whole lines of a log from its offset; return whether it has no more.

        What is passed on as it is, the last line of a task that has ended, and a line longer than
        a chunk are shown at once.
        """
        file.seek(following.offset)
        data = file.read(CHUNK)
        is_last = len(data) < CHUNK
        whole = data.rfind(b"\n") + 1
        is_passed = self.jobs == 1 and self.is_raw or is_last and following.end is not None
        if is_passed or not (is_last or whole):
            whole = len(data)
        self.output(following, data[:whole], waits)
        following.offset += whole
        self.partial = ""
        if is_last and self.jobs == 1 and not self.is_raw:
            self.title(following, data)
            self.partial = harmless(last_state(data[whole:]))
        return is_last

    def title(self, following: Following, data: bytes) -> None:
        """On a terminal, say which of several tasks prints what follows, unless its lines do."""
        if data and self.is_live and self.jobs == 1 and self.total > 1 and not following.has_title:
            following.has_title = True
            self.line(f"==> {following.name} <==")

    def output(self, following: Following, data: bytes, waits: bool) -> None:
        """Write output of a task: as it is, or line by line where it shares a terminal."""
        if not data:
            return
        if not self.is_raw:
            self.title(following, data)
        if self.jobs > 1 or not self.is_raw:
            data = self.as_lines(following, data)
        self.erase()
        self.write(data, waits)

    def as_lines(self, following: Following, data: bytes) -> bytes:
        """Return output line by line, with the task's name where several run.

        For a terminal, what would move its cursor is left out, and a line's colours end with it.
        """
        if data.endswith(b"\n"):
            data = data[:-1]
        lines = data.split(b"\n")
        reset = b"\n"
        if not self.is_raw:
            lines = [harmless(last_state(line)).encode() for line in lines]
            if b"\x1b" in data:
                reset = b"\x1b[m\n"
        lead = following.lead if self.jobs > 1 else b""
        return b"".join(lead + line + reset for line in lines)

    def ended(self, event: Event) -> None:
        """Count a task that has ended, and show its end."""
        state = event.state
        self.counts[state.name] += 1
        if state.started and state.ended:
            self.spent += max(state.ended - state.started, 0.0)
        if state.name == "failed":
            self.note_failure(event)
        elif self.is_live or self.quiet or state.name == "handed":
            return
        took = ""
        if state.started:
            took = f" ({duration_text(max(state.ended - state.started, 0.0))})"
        text = f"{self.name_of(event)} {state_text(state)}{took}  [{self.done()}/{self.total}]"
        self.line(text, state.name)

    def note_failure(self, event: Event) -> None:
        """Count a failure among those of the same cause."""
        cause = cause_of(event.state, event.log, event.number) or status_text(event.state.status)
        if cause in self.failures:
            self.failures[cause].count += 1
        elif len(self.failures) < MOST_GROUPS:
            self.failures[cause] = Failure(event, tail_lines(event.log, event.number))

    def name_of(self, event: Event, part: int = 2) -> str:
        """How its task is called; on a terminal it gets half the width, or another part."""
        if event.task is None:
            return "a task"
        room = window_width(sys.stderr) // part or 100
        shared = self.shared.get(event.text, set())
        name = task_name(event.task.number, event.task.combination, shared, room)
        return f"{event.text} {name}" if len(self.shared) > 1 else name

    def done(self) -> int:
        """How many tasks have ended, now or earlier."""
        return sum(self.counts.values())

    def note(self, text: str) -> None:
        """Write a line of HydraFlow's own, unless the user wants failures and the summary only."""
        if not self.quiet:
            self.line(text)

    def line(self, text: str, state: str = "waiting") -> None:
        """Write a line of HydraFlow's own, in the colour of a state."""
        self.erase()
        text = painted(printable(text), state, self.is_coloured)
        self.err.offer(encoded(sys.stderr, text + "\n"))

    def erase(self) -> None:
        """Take the progress line away; the cursor is where it began."""
        if self.rows:
            self.err.offer(b"\r\x1b[K" + b"\x1b[A\x1b[K" * (self.rows - 1))
        self.rows = 0
        self.drawn = ""

    def draw(self) -> None:
        """Draw the progress line, below the line that a task has not ended yet."""
        if not self.is_live or self.rest:
            return
        width = (window_width(sys.stderr) or 80) - 1
        rows = []
        if self.partial:
            rows.append(fitting(self.partial, width))
        rows.append(self.progress()[:min(width, 79)])
        text = "\n".join(rows)
        if text == self.drawn:
            return
        self.erase()
        shown = text
        if "\x1b" in text:
            shown = text.replace("\n", "\x1b[m\n")  # a task's colour ends with its line
        self.err.offer(encoded(sys.stderr, shown))
        self.rows = len(rows)
        self.drawn = text

    def progress(self) -> str:
        """The progress line."""
        done = self.done()
        elapsed = time.monotonic() - self.begun
        filled = 20 * done // max(self.total, 1)
        running = self.running or len(self.following)
        bar = "#" * filled + "-" * (20 - filled)
        text = f"[{bar}] {done}/{self.total}  {running} running"
        if self.counts["failed"]:
            text += f"  {self.counts['failed']} failed"
        text += f"  {clock_text(elapsed)}"
        ended = done - self.counts["earlier"]
        rest = self.total - done
        if ended and rest:
            left = rest * self.spent / ended / min(max(self.jobs, self.running), rest)
            text += f"  {clock_text(left)} left"
        return text

    def finish(self, submitted: int) -> None:
        """Show the rest, and the summary, with an example of each kind of failure."""
        self.turn(True)
        self.partial = ""
        self.erase()
        self.say_counts(submitted)
        for cause, failure in list(self.failures.items())[:10]:
            name = self.name_of(failure.event)
            for index, text in enumerate(failure_lines(failure, name, cause)):
                say(painted(printable(text), "failed", self.is_coloured and index == 1))
        if len(self.failures) > 10:
            say(f"and {len(self.failures) - 10} more kinds of failure; status shows them")
        for note in self.notes:
            say(note)

    def say_counts(self, submitted: int) -> None:
        """Say how many tasks ended how, the good ones first."""
        counts = []
        for name in sorted(STATES, key=lambda name: not STATES[name].is_good):
            if self.counts[name]:
                text = f"{self.counts[name]:,} {STATES[name].text}"
                counts.append(painted(text, name, self.is_coloured))
        for count, text in ((self.counts["earlier"], "had succeeded before"),
                            (submitted, "submitted"),
                            (self.total - self.done() - submitted, "not started")):
            if count > 0:
                counts.append(f"{count:,} {text}")
        took = duration_text(time.monotonic() - self.begun)
        say(f"{counted(self.total, 'task')}: {', '.join(counts) or 'nothing to do'}, {took}")


def fitting(text: str, width: int) -> str:
    """As much of a text as fits into a row of a terminal."""
    from unicodedata import east_asian_width
    shown = []
    used = 0
    for part in re.split(rf"({COLOURS})", text.expandtabs()):
        if part.startswith("\x1b"):
            shown.append(part)
            continue
        for char in part:
            used += 2 if east_asian_width(char) in "WF" else 1
            if used <= width:
                shown.append(char)
    return "".join(shown)


def failure_lines(failure: Failure, name: str, cause: str) -> "List[str]":
    """The part of a summary about one kind of failure; name is that of its task."""
    event = failure.event
    if event.task is None:
        return []
    title = f"{name} {state_text(event.state)}"
    if failure.count > 1:
        title = f"{counted(failure.count, 'task')} failed: {cause} ({name} for example)"
    result = ["", title, *(f"    {line}" for line in failure.lines)]
    if failure.lines:
        result.append(f"  log:   {os.path.relpath(event.log)}")
    again = task_text(event.task)
    return [*result, f"  again: {again if len(again) < 2000 else again[:2000] + ' ...'}"]


# -- status and logs


def log_of(record: Record, number: int, state: State) -> str:
    """The log of a task, which may be in an earlier record."""
    ulid, _, earlier = state.origin.partition("/")
    if re.fullmatch("[0-9A-Z]{26}", ulid) and earlier.isdigit():
        return Record(f"{os.path.dirname(record.path)}/{ulid}").file("log", int(earlier))
    return record.file("log", number)


def head_line(found: Survey) -> str:
    """How far a run is, since when, where it runs or since when not, and the time that is left."""
    start = found.ledger.start
    good = count_good(found)
    begun = f"began {moment_text(found.ledger.starts[0].time)}"
    if len(found.ledger.starts) > 1:
        begun += f", resumed {moment_text(start.time)}"
    where = where_text(found)
    if where:
        where += left_text(found)
    else:
        moment = moment_text(last_moment(found))
        where = f"ended {moment}" if good >= start.count else f"not running since {moment}"
    done = f"{good:,} of {counted(start.count, 'task')} done ({percent_done(found, good)}%)"
    return printable(f"{start.job}: {done}, {begun}, {where}")


def count_good(found: Survey) -> int:
    """How many tasks of a run need no further attempt."""
    return sum(count for name, count in found.counts().items() if STATES[name].is_good)


def percent_done(found: Survey, good: int) -> int:
    """The percentage of the tasks of a run that need no further attempt."""
    return 100 * good // max(found.ledger.start.count, 1)


def where_text(found: Survey) -> str:
    """The places where tasks of a run are running or queued; "" if there is none."""
    states = [state for _, state in found.members]
    hosts = {state.host for state in states if state.name == "running"}
    if found.holder:
        hosts.add(found.holder.rpartition(" on ")[2])
    names = sorted("here" if host == host_name() else f"on {host}" for host in hosts)
    if len(names) > 3:
        names[3:] = [f"on {len(names) - 3} more machines"]
    parts = []
    if names:
        parts.append(f"running {', '.join(names)}")
    if any(state.name == "queued" for state in states):
        schedulers = {submission.scheduler for submission in found.submissions}
        parts.append(f"queued with {', '.join(sorted(schedulers))}")
    return ", ".join(parts)


def last_moment(found: Survey) -> float:
    """The last time that a record has: of a start of the run, of a start or end of a task."""
    moment = found.ledger.start.time
    for _, state in found.members:
        if not state.origin:
            moment = max(moment, state.started, state.ended)
    return moment


def left_text(found: Survey) -> str:
    """The time that is left, estimated from the tasks that have ended."""
    states = [state for _, state in found.members]
    running = [max(time.time() - state.started, 0.0) for state in states if state.name == "running"]
    took = [max(state.ended - state.started, 0.0) for state in states
            if state.is_over and state.started * state.ended and not state.origin]
    rest = sum(not state.is_over for state in states)
    if not took or not running:
        return ""
    mean = sum(took) / len(took)
    spent = sum(min(seconds, mean) for seconds in running)
    return f", about {clock_text((mean * rest - spent) / len(running))} left"


def status_lines(found: Survey, room: int, is_coloured: bool, most: int = 20) -> "Iterator[str]":
    """Yield the status of a record below its head line: counts, groups of failures, what runs.

    room is for the words of a task's name.
    """
    counts = [painted(f"{count:,} {STATES[name].text}", name, is_coloured)
              for name, count in found.counts().items() if count]
    yield f"  {', '.join(counts)}"
    names = Names(found.ledger, room)
    groups = groups_of(found)
    for (kind, text), numbers in groups[:most]:
        name = names.name(numbers[0]) if len(numbers) == 1 else task_range(numbers)
        yield painted(f"  {name} {text}", kind, is_coloured)
        if len(numbers) > 1 and kind != "queued":
            yield f"    {members_text(names, numbers)}"
    if len(groups) > most:
        yield f"  and {len(groups) - most} more groups"


def groups_of(found: Survey) -> "List[Tuple[Tuple[str, str], List[int]]]":
    """Group the tasks that need a word by state and text: those that ended without success, run, or
    are queued for a reason.

    The groups are in the order of STATES, their tasks in that of their numbers.
    """
    groups: Dict[Tuple[str, str], List[int]] = {}
    for number, state in sorted(found.members):
        needs_cause = state.name in ("queued", "not started")
        if state.name in ("succeeded", "waiting") or (needs_cause and not state.cause):
            continue
        text = group_text(found, number, state, len(groups) < MOST_GROUPS)
        groups.setdefault((state.name, text), []).append(number)
    order = list(STATES)
    return sorted(groups.items(), key=lambda group: order.index(group[0][0]))


def group_text(found: Survey, number: int, state: State, reads_log: bool) -> str:
    """The state of a task with the last line of its log, or its array task."""
    text = state_text(state)
    one = found.array_task(number)
    if state.name == "failed" and reads_log:
        last = cause_line(tail_lines(log_of(found.record, number, state)))
        text += f": {printable(last)}" if last else ""
    elif state.name == "running" and one and state.submission:
        text += f" as {array_task_id(*one)}"
    elif state.name == "queued" and one:
        text += f" (array job {one[1]})"
    return text


def members_text(names: Names, numbers: "Sequence[int]") -> str:
    """The words that only the tasks of a group have in common, else the names of some."""
    first = [names.name(number) for number in numbers[:3]]
    common = names.in_common(numbers)
    if common:
        return f"all of them with {common}"
    return ", ".join(first) + (", ..." if len(numbers) > len(first) else "")


def task_range(numbers: "Sequence[int]") -> str:
    """Task numbers in words.

    >>> task_range([7]), task_range([1, 2, 3, 9, 10])
    ('task 7', '5 tasks (1-3, 9, 10)')
    """
    if len(numbers) == 1:
        return f"task {numbers[0]}"
    parts: List[List[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    texts = [f"{part[0]}-{part[-1]}" if len(part) > 2 else ", ".join(map(str, part))
             for part in parts[:8]]
    if len(parts) > 8:
        texts.append("...")
    return f"{len(numbers)} tasks ({', '.join(texts)})"


def task_parameters(combination: "Iterable[str]") -> "Dict[str, str]":
    """The parameters of a combination as a mapping.

    >>> task_parameters(["--a=1", "b='x y'"])
    {'a': '1', 'b': 'x y'}
    """
    return {key_of(word) or word: unquoted(word).partition("=")[2] for word in combination}


def task_document(found: Survey, number: int, state: State) -> "Dict[str, Any]":
    """A task for programs: times in seconds since 1970, null where unknown."""
    task = found.ledger.task(number)
    if task is None:
        raise damaged(found.record.file("plan"))
    has_status = state.ended and not state.origin
    one = found.array_task(number)
    log = log_of(found.record, number, state)
    return {
        "task": number,
        "step": found.ledger.members[number],
        "params": task_parameters(task.combination),
        "argv": list(task.argv),
        "dir": task.directory,
        "cwd": task.cwd,
        "state": state.name,
        "exit_status": state.status if has_status else None,
        "cause": cause_of(state, log) or None,
        "started": state.started or None,
        "ended": state.ended or None if state.is_over else None,
        "host": state.host or None,
        "attempts": state.attempts,
        "job_id": one[1] if one else None,
        "array_index": one[2] if one else None,
        "log": os.path.relpath(log)}


def status_document(found: Survey) -> "Dict[str, Any]":
    """The status of a record for programs."""
    start = found.ledger.start
    tasks = [task_document(found, number, state) for number, state in found.members]
    return {
        "job": start.job,
        "record": os.path.relpath(found.record.path),
        "count": start.count,
        "started": found.ledger.starts[0].time,
        "percent": percent_done(found, count_good(found)),
        "executed": where_text(found) or None,
        "commit": start.commit or None,
        "states": found.counts(),
        "tasks": tasks}


# ---------------------------------------------------------------------------
# 13. Results and report: Row, Row, ... -> tables, page
# ---------------------------------------------------------------------------
# Row; numbers of outputs and files (last_numbers, json_number, read_metrics); the runs that Hydra
# makes of one task (hydra_runs, run_outputs); rows of a run (result_rows, results); selection and
# order (selected, sorted_rows, over); tables (columns_of, FORMATS); the page (report_page).
#
# A log is read from its end, in blocks that grow, and no further than the metrics require.
#
# The page is one file, and its policy forbids any request. Texts of users reach it escaped, or as
# JSON that SCRIPT inserts as text nodes: neither can become markup.


class Row(NamedTuple("Row", [
        ("task", int), ("run", "Optional[int]"), ("params", "Dict[str, str]"), ("state", str),
        ("status", "Optional[int]"), ("cause", str), ("started", "Optional[float]"),
        ("ended", "Optional[float]"), ("attempts", int), ("host", str), ("log", str),
        ("metrics", "Dict[str, Optional[float]]")])):
    """The outcome of a task, or of one of its Hydra runs (run, else None).

    status is the exit status; started and ended are seconds since 1970. A row that over() merged
    has 0 as task.
    """
    __slots__ = ()

    @property
    def seconds(self) -> "Optional[float]":
        """How long it took, if it has begun and ended."""
        if self.started is None or self.ended is None:
            return None
        return max(self.ended - self.started, 0.0)

    @property
    def name(self) -> str:
        """7, or 7.2 for run 2 of task 7."""
        return str(self.task) if self.run is None else f"{self.task}.{self.run}"


# -- numbers of outputs and files

FIRST_BLOCK, LARGEST_BLOCK = 16384, 4194304  # bytes of a log; a longer line is looked at in parts
LOG_ESCAPES = rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # ECMA-48: CSI, OSC
# A name follows no letter, and nothing that makes it the end of a longer one: val/loss, val.loss.
# Quotes and a call may surround the number: JSON, and how NumPy and PyTorch write a scalar.
METRIC = rb"""
    (?<! [\w./\x80-\xff-] ) ( [A-Za-z_/.-]* : )? ( %s )
    ["']? (?: [ \t]* [=:] [ \t]* | [ \t]+ )
    (?: (?: np\.float[0-9]+ | tensor ) \( )? ["']?
    ( [+-]? (?: [0-9]{1,3} (?: ,[0-9]{3} )+ \. [0-9]+ | [0-9]{1,3} (?: ,[0-9]{3} ){2,}
              | (?: [0-9][0-9_]* (?: \. [0-9_]* )? | \. [0-9][0-9_]* ) (?: [eE] [+-]? [0-9]+ )?
              | (?i: nan | inf (?: inity )? ) ) )
    (?! [\w\x80-\xff] | [.,:][0-9] )
"""
ANY_NAME = rb"[A-Za-z_][\w./-]*"


def blocks_from_end(file: "IO[bytes]", start: int, end: int) -> "Iterator[bytes]":
    """Yield the lines between two offsets in blocks that grow, the last block first."""
    size = FIRST_BLOCK
    while start < end:
        begin = max(end - size, start)
        file.seek(begin)
        data = file.read(end - begin).replace(b"\r", b"\n")  # a progress bar starts its line again
        if not data:
            return  # the file was cut while we read it
        cut = data.find(b"\n", 0, len(data) - 1) + 1 if begin > start else 0
        if begin > start and not cut and size < LARGEST_BLOCK:
            size *= 4  # it begins within a line
            continue
        if begin > start and not cut:
            cut = data.find(b" ", 0, len(data) - 1) + 1  # at least no word is cut
        yield re.sub(LOG_ESCAPES, b"", data[cut:]) if b"\x1b" in data else data[cut:]
        end = begin + cut
        size = min(size * 4, LARGEST_BLOCK)


@functools.lru_cache(maxsize=None)
def metric_pattern(name: bytes) -> "Any":
    """The pattern of a name, which may have a prefix with a colon, and its number."""
    return re.compile(METRIC % name, re.VERBOSE)


def numbers_in(block: bytes, name: str) -> "Iterator[float]":
    """Yield the numbers that follow a name in a part of a log, the last one first.

    The name alone is an error where it has several prefixes: train:loss and val:loss.
    """
    text = name.encode("utf-8", "surrogateescape")
    pattern = metric_pattern(re.escape(text))
    place = block.rfind(text)
    while place >= 0:
        before = re.search(rb"[A-Za-z_/.-]*:$", block[max(place - 80, 0):place])
        lead = place - len(before[0]) if before else place
        match = pattern.match(block, lead) or pattern.match(block, place)
        if match:
            if match[1]:
                check_prefixes(block, pattern, name)
            try:
                yield float(match[3].replace(b",", b""))
            except ValueError:
                pass  # 1__0
        place = block.rfind(text, 0, place)


def check_prefixes(block: bytes, pattern: "Any", name: str) -> None:
    """Raise an Error if several prefixes with a colon precede a name."""
    found = {match[1] for match in pattern.finditer(block) if match[1]}
    if len(found) > 1:
        names = sorted(f"{prefix.decode('ascii')}{name}" for prefix in found)
        raise Error("several-metrics", f"{name} may be {' or '.join(names)}",
                    hint=f"name one of them, for example {names[0]}")


def next_number(block: bytes, name: str, known: "Optional[float]") -> "Optional[float]":
    """The last number of a name in a part of a log; of min(NAME), the smallest one with that of
    the later parts."""
    fold = re.fullmatch(r"(min|max)\((.+)\)", name)
    if not fold:
        return next(numbers_in(block, name), None)
    values = [*numbers_in(block, fold[2]), known]
    numbers = [value for value in values if value is not None and value == value]
    return (max if fold[1] == "max" else min)(numbers, default=None)


def last_numbers(path: str, names: "Iterable[str]", start: int = 0, end: "Optional[int]" = None
                 ) -> "Dict[str, Optional[float]]":
    """Map each name to its last number between two offsets of a file, or to None."""
    found: Dict[str, Optional[float]] = dict.fromkeys(names)
    missing = [name for name in found if name]
    try:
        file = open(path, "rb")
    except OSError:
        return found
    with file:
        size = os.fstat(file.fileno()).st_size
        for block in blocks_from_end(file, start, size if end is None else min(end, size)):
            for name in missing:
                found[name] = next_number(block, name, found[name])
            missing = [name for name in missing if found[name] is None or name[3:4] == "("]
            if not missing:
                break
    return found


def names_in(path: str, most: int = 12) -> "List[str]":
    """The names that a number follows at the end of a log."""
    try:
        with open(path, "rb") as file:
            block = next(blocks_from_end(file, 0, os.fstat(file.fileno()).st_size), b"")
    except OSError:
        return []
    names = [(match[1] or b"") + match[2] for match in metric_pattern(ANY_NAME).finditer(block)]
    return [name.decode("utf-8", "replace") for name in dict.fromkeys(names)][:most]


def is_in_json(metric: str) -> bool:
    """Whether a metric is a number of a JSON file: FILE.json:KEY.KEY."""
    return ".json:" in metric


def inner_value(value: "Any", keys: "Sequence[str]") -> "Any":
    """The value below keys in a JSON value, or None; a key may have dots in it itself."""
    if not keys:
        return value
    if isinstance(value, list) and re.fullmatch("-?[0-9]{1,9}", keys[0]):
        index = int(keys[0])
        return inner_value(value[index], keys[1:]) if -len(value) <= index < len(value) else None
    if not isinstance(value, dict):
        return None
    for count in range(len(keys), 0, -1):
        key = ".".join(keys[:count])
        found = inner_value(value[key], keys[count:]) if key in value else None
        if found is not None:
            return found
    return None


def json_number(path: str, key: str) -> "Optional[float]":
    """The number below KEY.KEY in a JSON file, or None.

    A part of KEY that is a number counts in a list, from 0, or from its end: epochs.-1.loss.
    """
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read().decode("utf-8-sig"))
        value = inner_value(document, key.split("."))
        is_number = isinstance(value, (int, float, str)) and not isinstance(value, bool)
        return float(value) if is_number else None
    except (OSError, ValueError, OverflowError, RecursionError):
        return None  # not there, not complete yet, no number


Output = NamedTuple("Output", [("path", str), ("start", int), ("end", "Optional[int]")])


def read_metrics(names: "Sequence[str]", folder: str, outputs: "Iterable[Output]",
                 owners: "Dict[str, str]") -> "Dict[str, Optional[float]]":
    """The metrics of a task or run: from JSON files in its folder, and from its outputs.

    A number that the first output lacks may be in the next one. owners are the JSON files that
    belong to other tasks, by their paths.
    """
    values: Dict[str, Optional[float]] = dict.fromkeys(names)
    for name in filter(is_in_json, names):
        file, _, key = name.rpartition(":")
        path = os.path.normpath(os.path.join(folder, file))
        values[name] = json_number(path, key)
        owner = str(outputs)
        if os.path.exists(path) and owners.setdefault(path, owner) != owner:
            raise Error("shared-file", f"several tasks write {file}: it has the last one's numbers",
                        hint="let each task write into a directory of its own: ${{ task.dir }}")
    printed = [name for name in names if not is_in_json(name)]
    for output in outputs:
        missing = [name for name in printed if values[name] is None]
        if not missing:
            break
        values.update(last_numbers(output.path, missing, output.start, output.end))
    return values


# -- the runs that Hydra makes of one task

HydraRun = NamedTuple("HydraRun", [
    ("number", int), ("params", "Dict[str, str]"), ("log", "Optional[str]")])


def hydra_overrides(folder: str) -> "Dict[str, str]":
    """The parameters of a run as Hydra noted them; none while it has not, or not all."""
    try:
        with open(os.path.join(folder, ".hydra", "overrides.yaml"), "rb") as file:
            node = read_yaml(file.read(), file.name)
    except (OSError, Error):
        return {}
    if node.kind != "sequence":
        return {}
    words = [item.value for item in node.value if item.kind == "scalar"]
    return {key_of(word): unquoted(word).partition("=")[2] for word in words if key_of(word)}


def hydra_log(folder: str) -> "Optional[str]":
    """The log that Hydra gave a run, the newest one of several; None where it is empty, as that of
    a program which only prints is."""
    with os.scandir(folder) as entries:
        logs = [entry for entry in entries if entry.name.endswith(".log") and entry.is_file()]
    filled = [(entry.stat().st_mtime, entry.path) for entry in logs if entry.stat().st_size]
    return max(filled)[1] if filled else None


def hydra_runs(directory: str) -> "List[HydraRun]":
    """The runs that Hydra made in a sweep directory, by number."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    runs = []
    for number in sorted(int(name) for name in names if re.fullmatch("0|[1-9][0-9]{0,8}", name)):
        folder = os.path.join(directory, str(number))
        if os.path.isdir(folder):
            runs.append(HydraRun(number, hydra_overrides(folder), hydra_log(folder)))
    return runs


def run_outputs(log: str) -> "Dict[int, Output]":
    """Map each of Hydra's runs to its part of a task's log, which follows Hydra's line for it.

    Empty where several run at once, as their outputs are mixed. Hydra's own launcher, which runs
    one after the other, says "Launching 2 jobs locally"; the others say something else. The last
    attempt counts.
    """
    outputs: Dict[int, Output] = {}
    current, offset, is_serial = -1, 0, True
    try:
        file = open(log, "rb")
    except OSError:
        return outputs
    with file:
        for line in iter(functools.partial(file.readline, LARGEST_BLOCK), b""):
            said = re.search(rb"\]\[HYDRA\] (.*)", re.sub(LOG_ESCAPES, b"", line), re.DOTALL)
            if b"HYDRA" in line and said:
                if current >= 0:
                    outputs[current] = outputs[current]._replace(end=offset)
                number = re.match(rb"\t?#([0-9]{1,9}) : ", said[1])
                current = int(number[1]) if number and is_serial else -1
                if current >= 0:
                    outputs[current] = Output(log, offset + len(line), None)
                elif not number:
                    is_serial = b"jobs locally" in said[1]
            offset += len(line)
    return outputs


# -- rows of a run


def attempt_start(path: str, attempt: int) -> int:
    """The offset in a log where the output of the last attempt begins."""
    if attempt < 2:
        return 0
    marker = re.compile(rb"(?:^|\n)==> attempt [0-9]+ <==\n")
    try:
        with open(path, "rb") as file:
            end = os.fstat(file.fileno()).st_size
            while end > 0:
                begin = max(end - LARGEST_BLOCK, 0)
                file.seek(begin)
                places = [match.end() for match in marker.finditer(file.read(end - begin + 64))]
                if places:
                    return begin + places[-1]
                end = begin
    except OSError:
        pass
    return 0


def task_rows(found: Survey, number: int, state: State, metrics: "Sequence[str]",
              owners: "Dict[str, str]") -> "List[Row]":
    """The row of a task, or those of its Hydra runs."""
    task = found.ledger.task(number)
    if task is None:
        return []
    log = log_of(found.record, number, state)
    is_ended = state.ended and state.is_over
    row = Row(number, None, task_parameters(task.combination), state.name,
              state.status if state.ended and not state.origin else None, cause_of(state, log),
              state.started or None, state.ended if is_ended else None, state.attempts, state.host,
              os.path.relpath(log), {})
    folder = os.path.join(task.cwd, task.directory)
    output = Output(log, attempt_start(log, state.attempts), None)
    runs = hydra_runs(folder) if task.runs else []
    if runs:
        return run_rows(row, folder, runs, output, metrics, owners)
    place = folder if os.path.isdir(folder) else task.cwd
    return [row._replace(metrics=read_metrics(metrics, place, [output], owners))]


def run_rows(row: Row, folder: str, runs: "Sequence[HydraRun]", output: Output,
             metrics: "Sequence[str]", owners: "Dict[str, str]") -> "List[Row]":
    """A row for each run that Hydra made of a task; a single one has all of its output."""
    printed = {runs[0].number: output}
    if len(runs) > 1:
        printed = run_outputs(output.path) if metrics else {}
    rows = []
    for run in runs:
        outputs = [Output(run.log, 0, None)] if run.log else []
        if run.number in printed:
            outputs.append(printed[run.number])
        own = os.path.join(folder, str(run.number))
        rows.append(row._replace(
            run=run.number if len(runs) > 1 else None, params={**row.params, **run.params},
            metrics=read_metrics(metrics, own, outputs, owners)))
    return rows


def result_rows(found: Survey, metrics: "Sequence[str]", numbers: "Iterable[int]",
                states: "Sequence[str]" = (), words: "Sequence[str]" = ()) -> "List[Row]":
    """The rows of tasks of a run: those in some states, and with the parameters of words."""
    rows: List[Row] = []
    owners: Dict[str, str] = {}
    for number in numbers:
        state = found.state(number)
        if not states or state.name in states:
            rows += task_rows(found, number, state, metrics, owners)
    return selected(rows, words)


def results(job: str, metrics: "Sequence[str]" = (), *words: str) -> "List[Dict[str, Any]]":
    """The outcome of the newest run of a job: a dictionary for each task, or Hydra's run.

    metrics are names of numbers in the output, or FILE.json:KEY.KEY; words select: "lr=0.1,0.01". A
    row has task, run, params, state, exit_status, cause, started, ended (seconds since 1970),
    duration, attempts, host, log and metrics; None is unknown. Error if it was not run.

    >>> results("no-such-job")
    Traceback (most recent call last):
    hydraflow.Error: error: job no-such-job has not been run here
    hint: run it: hydraflow run no-such-job
    """
    records = Record.all(job)
    if not records:
        raise Error("not-run", f"job {job} has not been run here",
                    hint=f"run it: hydraflow run {job}")
    found = survey(records[-1])
    numbers = tasks_with(found.ledger, words) if words else sorted(found.ledger.members)
    return results_document(result_rows(found, list(metrics), numbers, (), words), list(metrics))


# -- selection and order


def pair_of(word: str) -> "Tuple[str, str]":
    """Key and value of KEY=VALUE such that equal numbers are equal, however they are written.

    >>> pair_of("lr=1e-3") == pair_of("lr=0.001"), pair_of("who=it's")
    (True, ('who', "it's"))
    """
    try:
        return same_value(word)
    except Error:  # a quote, or a bracket, that is part of a text
        return key_of(word), word.partition("=")[2]


def parameters(rows: "Iterable[Row]") -> "List[str]":
    """The keys of all parameters, in the order in which they first come."""
    return list(dict.fromkeys(chain.from_iterable(row.params for row in rows)))


def constants(rows: "Sequence[Row]") -> "Dict[str, str]":
    """The parameters that are the same in every row: key -> value; none of a single row."""
    same = dict(rows[0].params) if len(rows) > 1 else {}
    for row in rows:
        for key, value in list(same.items()):
            other = row.params.get(key)
            words = [f"{key}={text}" for text in (value, other)]
            if other is None or len(set(map(pair_of, words))) > 1:
                del same[key]
    return same


def varying(rows: "Sequence[Row]") -> "List[str]":
    """The keys of the parameters that differ between rows."""
    same = constants(rows)
    return [key for key in parameters(rows) if key not in same] if len(rows) > 1 else []


def key_among(keys: "Sequence[str]", name: str) -> str:
    """The key that a user means by a name: lr is $lr where no parameter is lr."""
    for key in keys:
        if name in (key, key.lstrip("$")):
            return key
    known = f"the parameters are {', '.join(keys[:20])}" if keys else "the tasks have none"
    raise Error("unknown-parameter", f"no task has a parameter {name}",
                hint=suggest(name, keys) or known)


MOST_SELECTED = 1000000  # values that one KEY=VALUE may name
if TYPE_CHECKING:
    Wanted = Dict[Tuple[str, ...], Set[Tuple[str, ...]]]


def wanted_values(word: str, keys: "Sequence[str]") -> "Wanted":
    """Map keys to the values that a word, KEY=VALUE, selects; it may be a sweep: seed=1:3."""
    if not key_of(word) or "=" not in word:
        raise Error("expected-key-value", f"expected KEY=VALUE, found {word}",
                    hint="for example seed=1:3")
    sweep = Sweep([word], "selection")
    if sweep.count > MOST_SELECTED:
        raise Error("too-many-values", f"{word} names more than {MOST_SELECTED:,} values",
                    hint="name fewer")
    wanted: Wanted = {}
    for pairs in sweep:
        named = tuple(key_among(keys, key_of(pair)) for pair in pairs)
        wanted.setdefault(named, set()).add(tuple(value for _, value in map(pair_of, pairs)))
    return wanted


def agrees(values: "Mapping[str, str]", wanted: "Wanted") -> bool:
    """Whether comparable values have, for some of the keys, those that are wanted for them."""
    return any(tuple(map(values.get, keys)) in rows for keys, rows in wanted.items())


def selected(rows: "Sequence[Row]", words: "Iterable[str]") -> "List[Row]":
    """The rows that agree with every word."""
    result = list(rows)
    for word in words if rows else ():
        wanted = wanted_values(word, parameters(rows))
        result = [row for row in result if agrees(dict(
            pair_of(f"{key}={value}") for key, value in row.params.items()), wanted)]
        if not result:
            raise nothing_selected(word, wanted, [row.params for row in rows])
    return result


def nothing_selected(word: str, wanted: "Wanted", known: "Iterable[Mapping[str, str]]") -> Error:
    """The Error about a word with which nothing agrees; it names the values that there are."""
    key = next(iter(wanted))[0]
    values = list(dict.fromkeys(params[key] for params in known if key in params))
    more = ", ..." if len(values) > 12 else ""
    return Error("no-match", f"no task has {word}",
                 hint=f"the values of {key} are {', '.join(values[:12])}{more}")


def tasks_with(ledger: Ledger, words: "Sequence[str]") -> "List[int]":
    """The tasks that may have rows which agree with words, by the plan alone.

    Hydra runs have parameters of their own: of such a task, a list of values agrees with all.
    """
    pairs = {number: dict(map(pair_of, combination))
             for number, combination in combinations_of(ledger).items()}
    keys = list(dict.fromkeys(chain.from_iterable(pairs.values())))
    numbers = list(pairs)
    for word in words:
        wanted = wanted_values(word, keys)
        named = set(chain.from_iterable(wanted))
        numbers = [number for number in numbers if agrees(pairs[number], wanted) or any(
            "," in pairs[number].get(key, "") for key in named)]
        if not numbers:
            raise nothing_selected(word, wanted, map(
                task_parameters, combinations_of(ledger).values()))
    return numbers


def number_of(text: str) -> "Optional[float]":
    """The number that a value is, if it is one."""
    number = read_number(text)
    return float(str(number)) if number else None


def facts_of(row: Row) -> "Dict[str, Any]":
    """The facts of a row beside parameters and metrics, by the names of their columns."""
    return {"task": row.task or None, "run": row.run, "state": row.state, "exit_status": row.status,
            "duration": row.seconds, "attempts": row.attempts, "started": row.started,
            "ended": row.ended, "host": row.host or None, "cause": row.cause or None,
            "log": row.log or None}


def sort_key(row: Row, name: str) -> "Tuple[int, Any]":
    """The key to sort a row by: numbers, then texts, then what is missing or no number."""
    value = facts_of(row).get(name)
    if name in row.params:
        number = number_of(row.params[name])
        value = row.params[name] if number is None else number
    if name in row.metrics:
        value = row.metrics[name]
    if value is None or value != value:
        return 2, 0
    return (1, value) if isinstance(value, str) else (0, value)


def sorted_rows(rows: "Sequence[Row]", name: str) -> "List[Row]":
    """Rows by a metric, a parameter or a column, -NAME for descending; without a value last."""
    is_descending = name.startswith("-")
    name = name[is_descending:]
    keyed = [(sort_key(row, name), row) for row in rows]
    result: List[Row] = []
    for kind in (1, 0, 2) if is_descending else (0, 1, 2):
        same = [pair for pair in keyed if pair[0][0] == kind]
        same.sort(key=lambda pair: pair[0], reverse=is_descending)
        result.extend(row for _, row in same)
    return result


def mean_and_deviation(values: "Sequence[float]") -> "Tuple[Optional[float], Optional[float]]":
    """Mean and sample standard deviation, None where there are too few values.

    >>> mean_and_deviation([1.0, 2.0, 3.0]), mean_and_deviation([1.0]), mean_and_deviation([])
    ((2.0, 1.0), (1.0, None), (None, None))
    """
    count = len(values)
    if not count:
        return None, None
    mean = sum(values) / count
    if count == 1:
        return mean, None
    return mean, (sum((value - mean) * (value - mean) for value in values) / (count - 1)) ** 0.5


def over_metrics(metrics: "Iterable[str]") -> "List[str]":
    """The names of the metrics that over() gives to rows.

    >>> over_metrics(["loss"])
    ['count', 'seconds', 'loss', 'loss_std', 'loss_count']
    """
    names = ["count", "seconds"]
    for metric in metrics:
        names += [metric, f"{metric}_std", f"{metric}_count"]
    return names


def over(rows: "Sequence[Row]", names: "Sequence[str]", metrics: "Sequence[str]") -> "List[Row]":
    """Merge the rows that differ only in some parameters, as a seed; these parameters go.

    Metrics become mean, sample standard deviation and count, with the number of rows and the mean
    duration. Rows of different states stay apart: the last numbers of a failed task count in no
    mean of the others.
    """
    keys = [key_among(parameters(rows), name) for name in names]
    groups: Dict[Any, List[Row]] = {}
    for row in rows:
        pairs = [(name, value) for name, value in row.params.items() if name not in keys]
        alike = frozenset(pair_of(f"{name}={value}") for name, value in pairs)
        groups.setdefault((alike, row.state), []).append(row)
    return [merged(group, keys, metrics) for group in groups.values()]


def merged(rows: "Sequence[Row]", keys: "Sequence[str]", metrics: "Sequence[str]") -> Row:
    """The one row of rows that differ in some keys only."""
    seconds, _ = mean_and_deviation([row.seconds for row in rows if row.seconds is not None])
    values: Dict[str, Optional[float]] = {"count": len(rows), "seconds": seconds}
    for metric in metrics:
        numbers = [row.metrics.get(metric) for row in rows]
        present = [number for number in numbers if number is not None]
        values[metric], values[f"{metric}_std"] = mean_and_deviation(present)
        values[f"{metric}_count"] = len(present)
    params = {key: value for key, value in rows[0].params.items() if key not in keys}
    attempts = max(row.attempts for row in rows)
    return Row(0, None, params, rows[0].state, None, "", None, None, attempts, "", "", values)


# -- tables

Column = NamedTuple("Column", [("name", str), ("kind", str), ("cells", "List[Any]")])
TABLE_FACTS = ("task", "run", "state", "duration", "attempts")


def columns_of(rows: "Sequence[Row]", metrics: "Sequence[str]") -> "List[Column]":
    """All columns of rows: task, parameters, facts, metrics. Two of one name get their kinds in
    front; facts that are unknown everywhere have no column."""
    facts = fact_columns(rows)
    params = [Column(name, "param", [row.params.get(name) for row in rows])
              for name in parameters(rows)]
    numbers = [Column(name, "metric", [row.metrics.get(name) for row in rows]) for name in metrics]
    first = [column for column in facts if column.name in ("task", "run")]
    columns = [*first, *params, *facts[len(first):], *numbers]
    names = Counter(column.name for column in columns)
    return [own_name(column, names[column.name]) for column in columns]


def fact_columns(rows: "Sequence[Row]") -> "List[Column]":
    """The columns of the facts that are known of some row."""
    known = [facts_of(row) for row in rows]
    columns = [Column(name, "fact", [each[name] for each in known]) for name in (known or [{}])[0]]
    return [column for column in columns if set(column.cells) != {None}]


def own_name(column: Column, count: int) -> Column:
    """A column with its kind in front of a name that several columns have."""
    if count == 1 or column.kind == "fact":
        return column
    return column._replace(name=f"{column.kind}.{column.name}")


def table_columns(rows: "Sequence[Row]", metrics: "Sequence[str]") -> "List[Column]":
    """The columns that people see: parameters that vary, the most important facts, metrics."""
    same = constants(rows)
    columns = []
    for column in columns_of(rows, metrics):
        is_fact = column.kind == "fact"
        if column.name == "attempts" and is_fact and max(column.cells) <= 1:
            continue
        if column.name not in same and (not is_fact or column.name in TABLE_FACTS):
            columns.append(column)
    return columns


def number_text(value: float) -> str:
    """A number for people: whole, or six digits of it.

    >>> [number_text(value) for value in (3.0, 0.123456789, 1e-05, 1234567.0, float("nan"))]
    ['3', '0.123457', '1e-05', '1234567', 'nan']
    """
    return f"{value:.0f}" if abs(value) < 1e15 and value == int(value) else f"{value:.6g}"


def cell_texts(column: Column) -> "List[str]":
    """The cells of a column for people."""
    texts = []
    for cell in column.cells:
        if isinstance(cell, str):
            texts.append(" ".join(printable(cell).split("\n")))
        elif cell is not None and column.kind == "fact" and column.name == "duration":
            texts.append(duration_text(cell))
        else:
            texts.append("" if cell is None else number_text(cell))
    return texts


def aligned(texts: "Sequence[str]") -> "List[str]":
    """Numbers such that their decimal points stand below each other.

    >>> aligned(["12", "0.125", "nan", "", "1e-05"])
    [' 12    ', '  0.125', 'nan    ', '       ', '  1e-05']
    """
    parts = []
    for text in texts:
        whole = re.match("[+-]?[0-9_]*", text)
        length = len(whole.group()) if whole and whole.group().strip("+-") else len(text)
        parts.append((text[:length], text[length:]))
    before = max(len(whole) for whole, _ in parts)
    after = max(len(rest) for _, rest in parts)
    return [whole.rjust(before) + rest.ljust(after) for whole, rest in parts]


def is_numeric(column: Column) -> bool:
    """Whether all cells are numbers, or texts of numbers, or empty."""
    return all(number_of(cell) is not None for cell in column.cells if isinstance(cell, str))


def shown_cells(column: Column, longest: int) -> "List[str]":
    """Name and cells of a column as texts of one width."""
    texts = [shortened(text, longest) for text in cell_texts(column)]
    if is_numeric(column) and column.name != "duration":
        texts = aligned(texts)
    texts.insert(0, printable(column.name))
    width = max(map(text_width, texts))
    spaces = [" " * (width - text_width(text)) for text in texts]
    if is_numeric(column):
        return [space + text for text, space in zip(texts, spaces)]
    return [text + space for text, space in zip(texts, spaces)]


def fitting_columns(columns: "Sequence[Column]", shown: "Dict[str, List[str]]", width: int
                    ) -> "List[str]":
    """The names of the columns to leave out for a width: facts, then parameters, then metrics."""
    left_out = []
    order = columns[:0:-1]
    for column in sorted(order, key=lambda one: ("fact", "param", "metric").index(one.kind)):
        if sum(text_width(shown[one.name][0]) + 2 for one in columns
               if one.name not in left_out) - 2 <= width:
            break
        left_out.append(column.name)
    return left_out


def table_text(rows: "Sequence[Row]", metrics: "Sequence[str]", width: int) -> str:
    """A table for people: what is the same everywhere, then a line for each row.

    width is that of the terminal, 0 where there is none.
    """
    same = [f"{key}={value}" for key, value in constants(rows).items()]
    lines = [printable(f"the same everywhere: {' '.join(same)}")] if same else []
    longest = max(width // 3, 20) if width else sys.maxsize
    columns = table_columns(rows, metrics)
    shown = {column.name: shown_cells(column, longest) for column in columns}
    left_out = fitting_columns(columns, shown, width) if width else []
    kept = [texts for name, texts in shown.items() if name not in left_out]
    lines += ["  ".join(cells).rstrip() for cells in zip(*kept)]
    if left_out:
        lines.append(f"too wide for {width} columns: {', '.join(left_out)}; --csv has all")
    return "\n".join(lines)


def csv_text(rows: "Sequence[Row]", metrics: "Sequence[str]", width: int = 0) -> str:
    """All columns as CSV; times in seconds, an unknown value is empty."""
    import csv
    import io
    columns = columns_of(rows, metrics)
    lines = [[column.name for column in columns], *zip(*(column.cells for column in columns))]
    # A carriage return in a text would end the line, as not every Python puts it in quotes.
    has_return = any("\r" in str(cell) for line in lines for cell in line)
    output = io.StringIO()
    dialect = "unix" if has_return else "excel"  # unix: all in quotes
    csv.writer(output, dialect, lineterminator="\n").writerows(lines)
    return output.getvalue().rstrip("\n")


def markdown_text(rows: "Sequence[Row]", metrics: "Sequence[str]", width: int = 0) -> str:
    """The table for people in Markdown."""
    columns = table_columns(rows, metrics)
    cells = [[column.name, *cell_texts(column)] for column in columns]
    lines = [" | ".join(re.sub(r"([|\\])", r"\\\1", text) for text in line) for line in zip(*cells)]
    lines.insert(1, " | ".join("---:" if is_numeric(column) else "---" for column in columns))
    return "\n".join(f"| {line} |" for line in lines)


def latex_text(rows: "Sequence[Row]", metrics: "Sequence[str]", width: int = 0) -> str:
    """The table for people as a LaTeX tabular."""
    signs = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    columns = table_columns(rows, metrics)
    cells = [[column.name, *cell_texts(column)] for column in columns]
    lines = [" & ".join(re.sub(r"[\\~^&%$#_{}]", lambda match: signs.get(
        match[0], f"\\{match[0]}"), text) for text in line) + r" \\" for line in zip(*cells)]
    form = "".join("r" if is_numeric(column) else "l" for column in columns)
    return "\n".join([rf"\begin{{tabular}}{{{form}}}", r"\hline", lines[0], r"\hline", *lines[1:],
                      r"\hline", r"\end{tabular}"])


def plain_value(text: str) -> "Union[str, int, float]":
    """A value for JSON: a number where the text is how JSON writes one.

    >>> plain_value("3"), plain_value("1e-3"), plain_value("007"), plain_value("4G")
    (3, 0.001, '007', '4G')
    """
    if not re.fullmatch(r"-?(0|[1-9][0-9]{0,300})(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", text):
        return text
    return int(text) if re.fullmatch("-?[0-9]+", text) else json_value(float(text)) or 0.0


def json_value(value: "Optional[float]") -> "Union[str, float, None]":
    """A number as JSON can have it: "nan", "inf" and "-inf" as texts that float() reads.

    >>> json_value(0.5), json_value(float("-inf")), json_value(None)
    (0.5, '-inf', None)
    """
    return value if value is None or abs(value) < float("inf") else str(value)


def results_document(rows: "Sequence[Row]", metrics: "Sequence[str]") -> "List[Dict[str, Any]]":
    """Rows as plain values for programs; None where something is unknown."""
    document = []
    for row in rows:
        params = {key: plain_value(value) for key, value in row.params.items()}
        numbers = {metric: row.metrics.get(metric) for metric in metrics}
        document.append(dict(facts_of(row), params=params, metrics=numbers))
    return document


def json_text(rows: "Sequence[Row]", metrics: "Sequence[str]", width: int = 0) -> str:
    """Rows as a JSON document."""
    document = results_document(rows, metrics)
    for entry in document:
        entry["metrics"] = {name: json_value(value) for name, value in entry["metrics"].items()}
    return json.dumps(document, indent=2, allow_nan=False)


FORMATS = {"table": table_text, "csv": csv_text, "json": json_text, "markdown": markdown_text,
           "latex": latex_text}

# -- the page

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
h1 { font-size: 1.5em; margin: 16px 0 0; }
h2 { font-size: 1.1em; margin: 28px 0 4px; }
h3 { font-size: 1em; margin: 0; }
p, ol { margin: 4px 0 8px; }
.faint, footer { color: var(--faint); font-size: .9em; }
.counts span { margin-right: 14px; white-space: nowrap; }
.counts i { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
  margin-right: 5px; background: var(--waiting); }
button, select, input { font: inherit; color: inherit; background: var(--soft); max-width: 100%;
  padding: 2px 8px; border: 1px solid var(--line); border-radius: 5px; text-align: left; }
button { cursor: pointer; overflow-wrap: anywhere; }
:focus-visible { outline: 2px solid var(--running); }
#bar { position: sticky; top: 0; z-index: 2; background: var(--page); padding: 8px 0;
  display: flex; flex-wrap: wrap; gap: 6px 14px; border-bottom: 1px solid var(--line); }
#ramp { display: inline-block; width: 100px; height: 12px; border-radius: 3px; }
#best b { font-size: 1.4em; }
#causes { list-style: none; padding: 0; }
#causes li { margin-bottom: 4px; }
svg { display: block; width: 100%; font-size: 11px; fill: var(--ink); }
svg .axis { stroke: var(--line); }
svg .mean { fill: none; stroke: var(--ink); stroke-width: 1.5; }
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
#body td { cursor: pointer; }
"""
PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,"><title>{title}</title>
<style>{style}</style></head><body>
<h1>{title}</h1><p id="lead">{lead}</p><p class="counts">{counts}</p><p class="faint">{same}</p>
<noscript>This page needs scripts; hydraflow results prints its table.</noscript>
<main hidden><div id="bar"><label>Measure <select id="measure"></select></label>
<label>best is <select id="best-is"><option>lowest</option><option>highest</option></select></label>
<label>averaged over <select id="seed"></select></label>
<span><span id="low"></span> <span id="ramp"></span> <span id="high"></span></span>
<span><input id="search" placeholder="filter: key=value, or any text" aria-label="filter">
<span id="filters"></span></span></div>
<section><h2>Best combination</h2><div id="best"></div></section>
<section><h2>Failures</h2><ul id="causes"></ul></section>
<section><h2>Two parameters</h2><p><label>down <select id="down"></select></label>
<label>across <select id="across"></select></label></p>
<div class="wide"><table id="cells"></table></div></section>
<section><h2>Effect of each parameter</h2><p class="faint">share: how much of the measure's
variance a parameter explains alone; the line joins means</p><div id="panels"></div></section>
<section><h2>Timeline</h2><p id="about" class="faint"></p><div id="timeline"></div></section>
<section><h2>Tasks</h2><div class="wide"><table><thead><tr id="head"></tr></thead>
<tbody id="body"></tbody></table></div><p><button id="more"></button></p></section></main>
<footer>Made by <code>{command}</code></footer>
<script type="application/json" id="data">{data}</script><script>{script}</script></body></html>
"""
SCRIPT = r"""
"use strict";
// Rows come as lists; params and states are numbers of words. shown are the rows that all filters
// pass. Every view is drawn anew from them. Texts become text nodes, never markup.
const data = JSON.parse(document.getElementById("data").textContent);
const {params, metrics, states, hosts, causes} = data;
const rows = data.rows.map(([name, state, began, ended, host, cause, codes, values]) => ({name,
  state: states[state], began, ended, host: hosts[host], cause: causes[cause], codes, values}));
const filters = new Map();  // label -> test
const RAMP = [[94, 60, 153], [62, 74, 137], [38, 130, 142], [53, 183, 121], [253, 231, 37]];
let shown = rows, measure = 0, limit = 200, sorted = null;

const find = (id) => document.getElementById(id);
const word = (row, param) => params[param].words[row.codes[param]] ?? "";
const duration = (row) => row.ended === null ? NaN : row.ended - row.began;
const value = (row) => row.state !== "succeeded" ? NaN
  : measure < metrics.length ? Number(row.values[measure] ?? NaN) : duration(row);
const measured = () => measure < metrics.length ? metrics[measure] : "duration (s)";
const short = (number) => Number.isFinite(number) ? String(Number(number.toPrecision(4))) : "";
const label = (param, code) => params[param].numbers
  ? short(params[param].numbers[code]) : params[param].words[code];
const mean = (list) => list.reduce((sum, one) => sum + one, 0) / list.length;
const finite = (list) => list.map(value).filter(Number.isFinite);
const colour = (state) => `var(--${state.split(" ")[0]}, var(--waiting))`;
const extent = (list) => list.reduce(([low, high], one) => [Math.min(low, one),
  Math.max(high, one)], [Infinity, -Infinity]);

function make(tag, attributes, ...children) {
  const isSvg = ["svg", "path", "circle", "text", "title", "polyline", "line"].includes(tag);
  const element = isSvg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, one] of Object.entries(attributes)) {
    if (typeof one === "function") element.addEventListener(name, one);
    else element.setAttribute(name, one);
  }
  element.append(...children);
  return element;
}

// A scale maps numbers to 0..1: by their logarithms where they are positive and span decades.
function scaled(numbers) {
  const [low, high] = extent(numbers);
  const isLog = numbers.length > 2 && low > 0 && high / low > 30;
  const at = (one) => isLog ? Math.log(one) : one;
  const place = (one) => high > low ? (at(one) - at(low)) / (at(high) - at(low)) : 0.5;
  return Object.assign(place, {low, high, isLog});
}

function mixed(part) {
  const place = Math.max(0, Math.min(part, 1)) * (RAMP.length - 1);
  const first = Math.min(Math.floor(place), RAMP.length - 2);
  const rgb = RAMP[first].map((one, index) => (
    Math.round(one + (RAMP[first + 1][index] - one) * (place - first))));
  return `rgb(${rgb})`;
}

// Values of a parameter in at most 12 groups of neighbours, for a grid and for means.
function groups(param) {
  const {words} = params[param], size = Math.ceil(words.length / 12), result = [];
  for (let first = 0; first < words.length; first += size) {
    const last = Math.min(first + size, words.length) - 1;
    result.push({first, last, name: first === last ? words[first]
      : `${label(param, first)} \u2013 ${label(param, last)}`});
  }
  return result;
}

function within(group, param) {
  return (row) => row.codes[param] >= group.first && row.codes[param] <= group.last;
}

function effect(param) {
  const good = shown.filter((row) => Number.isFinite(value(row))), all = finite(good);
  const total = mean(all), square = (sum, one) => sum + (one - total) ** 2;
  const parts = groups(param).map((one) => finite(good.filter(within(one, param))));
  const between = parts.filter((part) => part.length)
    .reduce((sum, part) => sum + part.length * (mean(part) - total) ** 2, 0);
  return between / all.reduce(square, 0) || 0;
}

function byEffect() {
  return params.map((_, param) => [param, effect(param)])
    .sort((one, other) => other[1] - one[1]);
}

function option(name, index) {
  return make("option", {value: index}, name);
}

function toggle(label, test) {
  if (!filters.delete(label)) filters.set(label, test);
  draw();
}

function pick(row) {
  toggle(`task ${row.name}`, (one) => one === row);
}

function about(row) {
  const facts = params.map((one, param) => `${one.name}=${word(row, param)}`);
  metrics.forEach((name, index) => facts.push(`${name}=${row.values[index] ?? ""}`));
  return `task ${row.name}: ${row.state}\n${facts.join(" ")}\n${row.cause}`;
}

function drawBar(at) {
  find("filters").replaceChildren(...Array.from(filters.keys(), (label) => (
    make("button", {click: () => toggle(label)}, `${label} \u00d7`))),
  filters.size ? ` ${shown.length} of ${rows.length}` : "");
  find("ramp").style.background = `linear-gradient(to right, ${[0, 1, 2, 3, 4].map((one) => (
    mixed(one / 4)))})`;
  find("low").textContent = at.low < Infinity ? short(at.low) : "";
  find("high").textContent = at.low < Infinity ? short(at.high) + (at.isLog ? " (log)" : "") : "";
}

function drawBest() {
  const seed = Number(find("seed").value), sign = find("best-is").value === "lowest" ? 1 : -1;
  const members = new Map();
  for (const row of shown) {
    const key = row.codes.filter((_, param) => param !== seed).join();
    members.set(key, [...members.get(key) ?? [], row]);
  }
  const every = Array.from(members.values(), (list) => ({list, numbers: finite(list)}));
  const most = Math.max(...every.slice(0, 9999).map((one) => one.numbers.length), 1);
  const all = every.filter((one) => 2 * one.numbers.length > most)  // one lucky seed is no answer
    .sort((one, other) => sign * (mean(one.numbers) - mean(other.numbers)));
  const items = all.slice(0, 5).map(({list, numbers}, index) => {
    const middle = mean(numbers);
    const squares = numbers.reduce((sum, one) => sum + (one - middle) ** 2, 0);
    const spread = short(Math.sqrt(squares / (numbers.length - 1))) || "?";
    const facts = params.map((one, param) => `${one.name}=${word(list[0], param)}`);
    const title = facts.filter((_, param) => param !== seed).join(" ") || `task ${list[0].name}`;
    const detail = list.length === 1 ? ""
      : ` \u00b1 ${spread}, ${numbers.length} of ${list.length} tasks`;
    return make("li", {}, make(index ? "span" : "b", {}, short(middle)), `${detail} `,
      make("button", {click: () => toggle(title, (row) => list.includes(row))}, title));
  });
  const title = items.length ? `${find("best-is").value} ${measured()}` : `no ${measured()} yet`;
  find("best").replaceChildren(make("p", {}, title), make("ol", {}, ...items));
}

function drawCauses() {
  const counts = new Map();
  for (const {cause} of shown) if (cause) counts.set(cause, (counts.get(cause) ?? 0) + 1);
  const order = Array.from(counts).sort((one, other) => other[1] - one[1]).slice(0, 10);
  find("causes").replaceChildren(...order.map(([cause, count]) => make("li", {}, make("button", {
    click: () => toggle(cause, (row) => row.cause === cause)}, `${count} \u00d7 ${cause}`))));
  find("causes").parentNode.hidden = !order.length;
}

function drawGrid(at) {
  const [down, across] = [Number(find("down").value), Number(find("across").value)];
  const cell = (first, second) => {
    const test = (row) => within(first, down)(row) && within(second, across)(row);
    const list = shown.filter(test), bad = list.filter((row) => row.state === "failed").length;
    if (!list.length) return make("td", {});
    const result = mean(finite(list));
    const title = `${params[down].name}=${first.name} ${params[across].name}=${second.name}`;
    const text = short(result) + (bad ? ` \u2717${bad}` : "") || "\u2013";
    const button = make("button", {click: () => toggle(title, test),
      title: `${title}: ${list.length} tasks`}, text);
    if (Number.isFinite(result)) {
      button.style.background = mixed(at(result));
      button.style.color = at(result) > 0.55 ? "#000" : "#fff";
    }
    return make("td", {}, button);
  };
  const seconds = groups(across), corner = `${params[down].name} \\ ${params[across].name}`;
  const head = [corner, ...seconds.map((one) => one.name)].map((text) => make("th", {}, text));
  find("cells").replaceChildren(make("tr", {}, ...head), ...groups(down).map((first) => (
    make("tr", {}, make("th", {}, first.name), ...seconds.map((second) => cell(first, second))))));
}

function panel([param, share], at, good) {
  const {name, words, numbers} = params[param], along = numbers && scaled(numbers);
  const x = (code) => 45 + 245 * (along ? along(numbers[code]) : (code + 0.5) / words.length);
  const y = (one) => 125 - 110 * at(one), every = Math.ceil(good.length / 400), line = [];
  const dots = good.filter((row, index) => index % every === 0 && row.codes[param] >= 0);
  for (const group of groups(param)) {
    const part = finite(good.filter(within(group, param)));
    if (part.length) line.push(`${(x(group.first) + x(group.last)) / 2},${y(mean(part))}`);
  }
  const ticks = [];
  let free = 0;
  words.forEach((_, code) => {
    const text = label(param, code).slice(0, 12), half = 3.5 * text.length;
    if (x(code) - half < free) return;
    ticks.push(make("text", {x: x(code), y: 146, "text-anchor": "middle"}, text));
    free = x(code) + half + 4;
  });
  const title = `share ${Math.round(100 * share)} %${along && along.isLog ? ", log axis" : ""}`;
  return make("div", {}, make("h3", {}, `${name} `, make("span", {class: "faint"}, title)),
    make("svg", {viewBox: "0 0 310 150"},
      make("path", {d: "M40 10v120h265", fill: "none", class: "axis"}),
      make("text", {x: 0, y: 18}, short(at.high)), make("text", {x: 0, y: 128}, short(at.low)),
      ...dots.map((row) => make("circle", {cx: x(row.codes[param]), cy: y(value(row)), r: 3,
        opacity: 0.7, fill: mixed(at(value(row))), click: () => pick(row)},
      make("title", {}, about(row)))),
      make("polyline", {class: "mean", points: line.join(" ")}), ...ticks));
}

// A lane is a place that executes one task after the other.
function lanesOf(timed) {
  const lanes = [];
  for (const row of timed) {
    let lane = lanes.find((one) => one.host === row.host && one.end <= row.began);
    if (!lane) lanes.push(lane = {host: row.host, end: 0, rows: []});
    lane.rows.push(row);
    lane.end = row.ended ?? Infinity;
  }
  return lanes.sort((one, other) => one.host < other.host ? -1 : one.host > other.host ? 1 : 0);
}

function drawTimeline() {
  const timed = shown.filter((row) => row.began !== null)
    .sort((one, other) => one.began - other.began);
  const end = extent([0.01, ...timed.map((row) => row.ended ?? row.began)])[1];
  const lanes = lanesOf(timed);
  const width = find("timeline").clientWidth || 900, paths = {}, texts = [];
  const height = Math.max(3, Math.min(16, 360 / lanes.length)), bottom = lanes.length * height;
  const x = (moment) => 90 + (width - 100) * moment / end, until = (row) => x(row.ended ?? end);
  let free = 0;
  lanes.forEach((lane, index) => {
    const top = index * height;
    if (top >= free && (!index || lanes[index - 1].host !== lane.host)) {
      texts.push(make("text", {x: 0, y: top + 11}, lane.host.slice(0, 13)));
      free = top + 12;
    }
    for (const row of lane.rows) {
      const length = Math.max(until(row) - x(row.began) - 0.5, 1).toFixed(1);
      paths[row.state] = `${paths[row.state] ?? ""}M${x(row.began).toFixed(1)} ${top.toFixed(1)}`
        + `h${length}v${(height - 1).toFixed(1)}h-${length}z`;
    }
  });
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const seconds = Math.round(part * end);
    const clock = [seconds / 3600, seconds / 60 % 60, seconds % 60].map((one) => (
      String(Math.floor(one)).padStart(2, "0"))).join(":");
    const anchor = part === 1 ? "end" : "middle";
    texts.push(make("text", {x: x(part * end), y: bottom + 14, "text-anchor": anchor}, clock));
  }
  const under = (event) => {
    const box = event.currentTarget.getBoundingClientRect(), moment = event.clientX - box.left;
    const lane = lanes[Math.floor((event.clientY - box.top) / height)];
    return lane && lane.rows.find((row) => x(row.began) <= moment && moment <= until(row) + 1);
  };
  const tip = make("title", {});
  const move = (event) => { tip.textContent = under(event) ? about(under(event)) : ""; };
  const click = (event) => under(event) && pick(under(event));
  find("about").textContent = data.began;
  find("timeline").replaceChildren(make("svg", {viewBox: `0 0 ${width} ${bottom + 20}`,
    mousemove: move, click}, tip, ...Object.entries(paths).map(([state, d]) => (
    make("path", {d, fill: colour(state)}))), ...texts));
  find("timeline").parentNode.hidden = !timed.length;
}

function columns() {
  const texts = (name, get) => ({name, get, key: get});
  const numbers = (name, key, get) => ({name, key, get: get ?? ((row) => short(key(row))),
    isNumber: true});
  return [numbers("task", (row) => Number(row.name), (row) => row.name),
    texts("state", (row) => row.state),
    ...params.map((one, param) => ({name: one.name, get: (row) => word(row, param),
      key: (row) => row.codes[param], isNumber: one.numbers !== null})),
    ...metrics.map((name, index) => numbers(name, (row) => Number(row.values[index] ?? NaN),
      (row) => String(row.values[index] ?? ""))),
    numbers("duration", duration), texts("host", (row) => row.host),
    texts("cause", (row) => row.cause)];
}

function drawTable() {
  const all = columns(), by = all[sorted.index];
  const order = shown.slice().sort((one, other) => {
    const [first, second] = [by.key(one), by.key(other)];
    const [isFirst, isSecond] = [first, second].map((key) => !Number.isNaN(key));
    if (!isFirst || !isSecond) return isSecond - isFirst;
    return (sorted.down ? -1 : 1) * (first < second ? -1 : first > second ? 1 : 0);
  });
  const sort = (index) => () => {
    sorted = {index, down: sorted.index === index && !sorted.down};
    drawTable();
  };
  const sign = sorted.down ? " \u25be" : " \u25b4";
  find("head").replaceChildren(...all.map((one, index) => make("th", {}, make("button", {
    click: sort(index)}, one.name + (one === by ? sign : "")))));
  const cells = (row) => all.map((one) => {
    const text = one.get(row), cell = make("td", {title: text, click: () => (
      toggle(`${one.name}=${text}`, (other) => one.get(other) === text))}, text);
    if (one.isNumber) cell.className = "number";
    if (one.name === "state") cell.style.color = colour(text);
    return cell;
  });
  const seen = order.slice(0, limit);
  find("body").replaceChildren(...seen.map((row) => make("tr", {}, ...cells(row))));
  find("more").textContent = `${order.length - limit} more`;
  find("more").hidden = order.length <= limit;
}

function draw() {
  const tests = Array.from(filters.values());
  shown = rows.filter((row) => tests.every((test) => test(row)));
  const at = scaled(finite(shown));
  const good = shown.filter((row) => Number.isFinite(value(row)));
  drawBar(at);
  drawBest();
  drawCauses();
  find("cells").closest("section").hidden = params.length < 2;
  find("panels").parentNode.hidden = !params.length;
  if (params.length > 1) drawGrid(at);
  find("panels").replaceChildren(...byEffect().map((one) => panel(one, at, good)));
  drawTimeline();
  drawTable();
}

// A new measure: its best end, the parameter that looks like a seed, the two of largest effect.
function begin() {
  const order = byEffect();
  const isLow = /loss|err|rmse|mse|mae|perpl|ppl|time|duration|cost|latency/i.test(measured());
  find("best-is").value = isLow ? "lowest" : "highest";
  const isSeed = (name) => /(^|[._/-])(seed|fold|repeat|replicate|trial)s?$/i.test(name);
  const named = params.findIndex((one) => isSeed(one.name));
  const [least, share] = order[order.length - 1] ?? [-1, 1];
  find("seed").value = named >= 0 ? named : order.length > 1 && share < 0.01 ? least : -1;
  const rest = order.filter(([param]) => param !== Number(find("seed").value)).concat(order);
  if (params.length > 1) {
    find("down").value = rest[0][0];
    find("across").value = rest.find(([param]) => param !== rest[0][0])[0];
  }
  const index = columns().findIndex((one) => one.name === (metrics[measure] ?? "duration"));
  sorted = {index, down: !isLow};
  draw();
}

function search() {
  const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  filters.delete("text");
  if (words.length) {
    filters.set("text", (row) => {
      const text = about(row).toLowerCase().split("\n").join(" ");
      return words.every((one) => (one.includes("=") ? ` ${text} ` : text).includes(
        one.includes("=") ? ` ${one} ` : one));
    });
  }
  draw();
}

function setUp() {
  find("measure").append(...[...metrics, "duration"].map(option));
  for (const id of ["down", "across", "seed"]) {
    find(id).append(...params.map((one, index) => option(one.name, index)));
  }
  find("seed").prepend(option("nothing", -1));
  find("measure").addEventListener("change", () => {
    measure = Number(find("measure").value);
    begin();
  });
  for (const id of ["down", "across", "seed", "best-is"]) find(id).addEventListener("change", draw);
  find("search").addEventListener("input", search);
  find("more").addEventListener("click", () => { limit += 1000; drawTable(); });
  addEventListener("resize", drawTimeline);
  document.querySelector("main").hidden = false;
  begin();
}
if (rows.length) setUp();
"""


def page_text(text: str, longest: int = 200) -> str:
    """A text as the page shows it, on one line."""
    return shortened(" ".join(printable(text).split("\n")), longest)


def page_parameter(rows: "Sequence[Row]", key: str) -> "Tuple[Dict[str, Any], List[int]]":
    """A parameter of the page, and the number of each row's value, -1 for none.

    Numbers ascend; texts stay in the order of the sweep.
    """
    texts: Dict[str, str] = {}
    same: List[Optional[str]] = []
    for row in rows:
        same.append(None)
        if key in row.params:
            value = pair_of(f"{key}={row.params[key]}")[1]
            texts.setdefault(value, row.params[key])
            same[-1] = value
    pairs = [(number_of(text), value) for value, text in texts.items()]
    is_number = None not in dict(pairs)
    if is_number:
        pairs.sort(key=lambda pair: pair[0] or 0.0)
    codes: Dict[Optional[str], int] = {value: code for code, (_, value) in enumerate(pairs)}
    parameter = {"name": page_text(key), "words": [page_text(texts[value]) for _, value in pairs],
                 "numbers": [json_value(number) for number, _ in pairs] if is_number else None}
    return parameter, [codes.get(value, -1) for value in same]


def coded(texts: "Iterable[str]") -> "Tuple[List[str], List[int]]":
    """Texts as numbers of a list of words.

    >>> coded(["a", "b", "a"])
    (['a', 'b'], [0, 1, 0])
    """
    numbers: Dict[str, int] = {}
    codes = [numbers.setdefault(text, len(numbers)) for text in texts]
    return list(numbers), codes


def page_data(rows: "Sequence[Row]", metrics: "Sequence[str]") -> "Dict[str, Any]":
    """The data that SCRIPT draws: a list for each row, in which repeated texts are numbers."""
    origin = min(filter(None, (row.started for row in rows)), default=0.0)
    params = [page_parameter(rows, key) for key in varying(rows)]
    states = coded(row.state for row in rows)
    hosts = coded(page_text(row.host) for row in rows)
    causes = coded(page_text(row.cause) for row in rows)
    codes = transposed([codes for _, codes in params], len(rows))
    values = transposed([[page_number(row.metrics.get(name)) for row in rows]
                         for name in metrics], len(rows))
    lists: List[List[Any]] = [
        [row.name, state, page_number(row.started, origin), page_number(row.ended, origin)]
        for row, state in zip(rows, states[1])]
    for entry, *rest in zip(lists, hosts[1], causes[1], codes, values):
        entry += rest
    about = f"hours:minutes:seconds since {moment_text(origin)}; a row for each place"
    return {"params": [parameter for parameter, _ in params], "states": states[0],
            "metrics": list(map(page_text, metrics)), "hosts": hosts[0], "causes": causes[0],
            "rows": lists, "began": about}


def transposed(columns: "Sequence[Sequence[Any]]", count: int) -> "List[List[Any]]":
    """The rows of columns, so many."""
    return list(map(list, zip(*columns))) if columns else [[]] * count


def page_number(value: "Optional[float]", origin: float = 0.0) -> "Union[str, float, None]":
    """A number, or a time since the origin, with as many digits as the page shows."""
    return None if value is None else json_value(float(f"{value - origin:.7g}"))


def report_page(title: str, lead: str, counts: "Mapping[str, int]", rows: "Sequence[Row]",
                metrics: "Sequence[str]", command: str) -> str:
    """An HTML page that shows rows and fetches nothing; counts are those of `status`.

    >>> page = report_page("train", "none ran", {}, [], ["loss"], "hydraflow report train")
    >>> page.startswith("<!DOCTYPE html>"), "none ran" in page
    (True, True)
    """
    from html import escape
    texts = [f'<span><i style="background: var(--{name.split()[0]}, var(--waiting))"></i>{count:,} '
             f"{STATES[name].text}</span>" for name, count in counts.items() if count]
    same = " ".join(f"{key}={value}" for key, value in constants(rows).items())
    text = json.dumps(page_data(rows, metrics), separators=(",", ":"), allow_nan=False)
    for char in "<>&":  # nothing of the data is markup
        text = text.replace(char, f"\\u{ord(char):04x}")
    return PAGE.format(
        title=escape(page_text(title)), lead=escape(page_text(lead, 1000)), counts=" ".join(texts),
        same=escape(page_text(same and f"The same everywhere: {same}", 2000)), style=STYLE,
        command=escape(page_text(command, 1000)), data=text, script=SCRIPT)


# ---------------------------------------------------------------------------
# 14. Command line: argv -> exit status
# ---------------------------------------------------------------------------
# A subcommand is a function NAME_command and a row of COMMANDS, which holds its options. argparse
# parses the options of one command; words that are no options stay in args.words, in their order:
# the job, overrides, selections. main is the one place that turns an Error into a message. Exit
# status: 0 all succeeded, 1 a task failed, 2 a mistake of the user's, 130 interrupted.

JOB_FILE_TEMPLATE = """\
# hydraflow run train            executes the tasks of train
# hydraflow run train --dry-run  only prints their commands
# hydraflow results train loss   shows what came out
# More is in the README: sweeps, keys of a job, clusters.
jobs:
  train:
    run: python @PROGRAM@
@HYDRA@    max-parallel: 2              # how many tasks at once
@SUBMIT@    steps:
      # Every combination of the values is a task.
      - batch: >-
          model=transformer,lstm
          learning_rate=0.1,0.01,0.001
        args: epochs=3           # a part of every task
        exclude: model=lstm learning_rate=0.1
"""
NO_HYDRA = """\
    hydra: false                 # it is no Hydra application: add nothing to its words
"""
SLURM = "    submit: sbatch --time=10     # hand the tasks to Slurm as an array job\n"
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
    local word
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(
        hydraflow complete bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _hydraflow hydraflow
""",
    "zsh": """\
# zsh: put this line into ~/.zshrc, behind compinit:  eval "$(hydraflow completion zsh)"
_hydraflow() {
    local -a found
    found=("${(@f)$(hydraflow complete zsh "${(@)words[1,CURRENT]}" 2>/dev/null)}")
    if [[ -z "${found[1]}" ]]; then _files
    elif [[ "${found[*]}" == *= ]]; then compadd -Q -S "" -- "${(@q)found}"
    else compadd -Q -- "${(@q)found}"; fi
}
compdef _hydraflow hydraflow
""",
    "fish": """\
# fish: put this line into ~/.config/fish/config.fish:  hydraflow completion fish | source
function _hydraflow
    hydraflow complete fish (commandline -opc) (commandline -ct) 2>/dev/null
    or __fish_complete_path (commandline -ct)
end
complete -c hydraflow -f -a "(_hydraflow)"
""",
}



# -- how the user began


def program_text() -> str:
    """The user's way to call HydraFlow: commands that we suggest begin as it was typed."""
    python = os.path.basename(sys.executable or "python")
    main_module = sys.modules.get("__main__")
    path = getattr(main_module, "__file__", "") or ""
    if os.path.basename(path) != "hydraflow.py":
        return "hydraflow"
    if getattr(main_module, "__spec__", None):
        return f"{python} -m hydraflow"
    return f"{python} {shlex.quote(sys.argv[0])}"


def as_typed(text: str, before: "Sequence[str]") -> str:
    """A text in which commands begin as the user began; before are -f and -C with their values."""
    names = "|".join(command.name for command in COMMANDS)
    program = " ".join([program_text(), *map(shlex.quote, before)])
    return re.sub(rf"\bhydraflow (?=(-C \w+ )?({names})\b)", lambda match: f"{program} ", text)


def typed(args: "argparse.Namespace", *words: str) -> str:
    """A command as this user would type it: called as this one was, with its -f and -C."""
    return " ".join([program_text(), shell_text([*args.before, *words])])


def split_before(argv: "Sequence[str]") -> "Tuple[List[str], List[str]]":
    """The options -f and -C that precede the command, each followed by its value, and the rest.

    >>> split_before(["-fjobs.yaml", "-C", "sub", "run", "train"])
    (['-f', 'jobs.yaml', '-C', 'sub'], ['run', 'train'])
    """
    before: List[str] = []
    rest = list(argv)
    while rest and rest[0][:2] in BEFORE:
        word = rest.pop(0)
        before += [word[:2], word[2:]] if word[2:] else [word, *rest[:1]]
        rest = rest if word[2:] else rest[1:]
    return before, rest


# -- run


def job_named(jobs: "Dict[str, Job]", name: str) -> Job:
    """A job by its name in the file."""
    if name not in jobs:
        known = f"the jobs are {', '.join(jobs)}"
        raise Error("unknown-job", f"unknown job: {name}", hint=suggest(name, jobs) or known)
    return jobs[name]


def no_job(names: "Iterable[str]") -> Error:
    """The Error about a command line without a job; names are those that it could have."""
    known = ", ".join(names)
    hint = f"the jobs are {known}" if known else "list them: hydraflow show"
    return Error("no-job", "no job given", hint=hint)


def check_words(job: Job, words: "Sequence[str]") -> None:
    """Raise an Error for options that neither run nor the job has, and for `:::`."""
    keys = parameter_keys(job)
    known = [name for option in command_named("run").options for name in option.names]
    for word in words:
        if re.fullmatch(":::+[+]?", word):
            raise Error("axes-of-a-job", f"{word} is for a command after --",
                        hint="write overrides without it: hydraflow run JOB key=1,2")
        if word.startswith("-") and key_of(word) not in keys and not is_for_handler(job):
            name = word.partition("=")[0]
            hint = f"to pass it to the command, write it after --: -- {shell_text([word])}"
            raise Error("unknown-option", f"unknown option of run: {name}",
                        hint=BEFORE.get(name) or suggest(name, known) or hint)


def program_as_job(args: "argparse.Namespace") -> Error:
    """The Error about a program in the place of a job."""
    rest = [args.job, "--", *args.words, *args.behind]
    options = [word for word in args.typed if word not in rest]
    words = [*options, "--", args.job, *args.words, *args.behind]
    return Error("program-as-job", f"{args.job} is a program, not a job",
                 hint=f"write a command after --: hydraflow run {shell_text(words)}")


def jobs_to_run(args: "argparse.Namespace") -> "Dict[str, Job]":
    """The jobs that include the one of the command line, or the one that it spells itself."""
    if args.job is None and args.behind:
        job = spelled_job(args)
        args.job, args.behind = job.key, []
        return {job.key: job}
    if args.job and os.sep in args.job and os.path.isfile(args.job):
        raise program_as_job(args)
    path = args.file or find_job_file()
    if args.job is None:
        raise no_job(load(path))
    jobs, wrong = load_for(path, args.job)
    if wrong:
        verb = "has" if len(wrong) == 1 else "have"
        say(f"{counted(len(wrong), 'other job')} of the file {verb} mistakes: hydraflow show")
    if args.name:
        raise Error("name-of-a-job", "--name is for a command after --",
                    hint="a job has its name in the job file: name:")
    check_words(job_named(jobs, args.job), args.words)
    return jobs


def plans_of(args: "argparse.Namespace") -> "List[Plan]":
    """The plans of the job that is named and, before it, of those that it needs."""
    jobs = jobs_to_run(args)
    plans = []
    for job in order_needs(jobs, [args.job]):
        is_named = job.key == args.job
        words = [*args.words, *(["--", *args.behind] if args.behind else [])]
        plan = Plan(job, words if is_named else (), args.sample if is_named else None)
        for axis in plan.added:
            values = counted(axis.count, "value")
            say(f"{', '.join(axis.keys)} is not in the job: added ({values})")
        if plan.is_exact and not plan.count:
            raise Error("no-tasks", f"job {job.key} has no tasks", job.mark,
                        "exclude: drops all of its combinations, or an axis has no values")
        check_plan(plan, args.dry_run)
        plans.append(plan)
    return plans


def run_options(args: "argparse.Namespace") -> Options:
    """The options of a run."""
    words = ["-f", args.file] if args.file else []
    return Options(
        jobs=args.jobs or 0, keep_going=args.keep_going, resume=args.resume, reuse=args.reuse,
        wait=args.wait, retries=-1 if args.retries is None else args.retries,
        timeout=args.timeout or 0.0, pack=args.pack or 0, pack_parallel=args.pack_parallel or 0,
        words=[*words, *args.typed])


def run_command(args: "argparse.Namespace") -> int:
    """Execute the tasks of a job, after those of the jobs that it needs."""
    if os.name != "posix" and not args.dry_run:
        raise Error("not-posix", "tasks need Linux, macOS or another POSIX system",
                    hint="--dry-run works here")
    options = run_options(args)
    words = ["-f", args.file] if args.file else []
    execution = Execution(plans_of(args), options, words, args.dry_run)
    try:
        if args.dry_run:
            return print_dry(execution)
        return show_execution(execution, args)
    finally:
        for run in execution.runs:
            close_run(run)


def close_run(run: Run) -> None:
    """Let others continue a run; remove its record if nothing was executed."""
    run.release()
    if run.is_open and run.is_new and not run.begun and not run.is_dry:
        remove_tree(run.record.path)


def remove_tree(path: str) -> None:
    """Remove a record."""
    import shutil
    shutil.rmtree(path, ignore_errors=True)


def print_dry(execution: Execution, most: int = 50) -> int:
    """Print commands, one per line; on a terminal the first ones, and how many more there are."""
    lines = describe(execution)
    if not sys.stdout.isatty():
        for line in lines:
            put(line)
        return 0
    shown = 0
    for line in islice(lines, most):
        put(line)
        shown += not line.startswith("#")
    if next(lines, None) is not None:
        plans = [run.plan for run in execution.runs]
        rest = counted(sum(plan.count for plan in plans) - shown, "task")
        is_exact = all(plan.is_exact for plan in plans) and not execution.options.resume
        say(f"and {'' if is_exact else 'at most '}{rest} more; to see all: ... --dry-run | less")
    return 0


def show_execution(execution: Execution, args: "argparse.Namespace") -> int:
    """Show what happens; return the exit status, which follows from the states of the tasks."""
    runs = execution.runs
    shared = {run.job.key: words_of_all(run.plan) for run in runs}
    local = [run.limits(False).jobs for run in runs
             if not all(step.submit for step in run.plan.steps)]
    count = sum(run.plan.count for run in runs)
    screen = Screen(count, max([1, *local]), args.quiet, shared)
    try:
        for event in execution.execute():
            screen.show(event)
    finally:
        screen.finish(sum(len(run.open) for run in runs))
    for text in closing_lines(execution, args):
        say(text)
    if execution.is_interrupted:
        return 130
    return 1 if any(map(is_bad_end, runs)) else 0


def is_bad_end(run: Run) -> bool:
    """Whether something of a run failed, was refused, or did not begin."""
    return run.refused or run.has_failed() or run.unfinished() > 0


def closing_lines(execution: Execution, args: "argparse.Namespace") -> "Iterator[str]":
    """Yield the jobs that were not started, and the command to type next."""
    runs = execution.runs
    yield from older_lines(execution)
    key = runs[-1].job.key
    is_good = not any(map(is_bad_end, runs))
    has_begun = any(run.begun for run in runs)
    if any(run.open for run in runs):
        yield f"see progress: {typed(args, 'status', key)}"
        return
    if has_begun and not is_good:
        yield f"run the rest: {typed(args, *resuming_words(key, args.typed))}"
    if (is_good and not args.quiet) or (has_begun and execution.is_interrupted):
        yield f"see the results: {typed(args, 'results', key)}"


def older_lines(execution: Execution) -> "Iterator[str]":
    """Yield the jobs that were not started, and how many tasks succeeded in older runs."""
    runs = execution.runs
    stopped = [run for run in runs[:-1] if not execution.may_go_on(run)]
    if stopped and not execution.is_interrupted:
        rest = ", ".join(run.job.key for run in runs[runs.index(stopped[0]) + 1:])
        yield f"{rest} was not started: job {stopped[0].job.key} has not succeeded"
    could = sum(run.could_reuse for run in runs)
    if could and not execution.options.reuse:
        yield f"{counted(could, 'task')} had succeeded in an older run; --reuse counts them as done"


def resuming_words(job: str, words: "Sequence[str]") -> "List[str]":
    """The command that continues a run which began with words after run.

    >>> resuming_words("train", ["-q", "train", "lr=1"]), resuming_words("sh", ["--", "sh", "x.sh"])
    (['run', '-q', 'train', '--resume', 'lr=1'], ['run', '--resume', '--', 'sh', 'x.sh'])
    """
    cut = list(words).index("--") if "--" in words else len(words)
    before = list(words[:cut])
    if job in before:
        before.insert(before.index(job) + 1, "--resume")
    elif cut < len(words):  # a command without a job file
        before.append("--resume")
    else:  # a job that another one needed
        before = [job, "--resume"]
    return ["run", *before, *words[cut:]]


# -- run -- COMMAND ::: AXES

LAUNCHERS = re.compile(
    r"(python|pypy|bash|sh|zsh|perl|ruby|Rscript|julia|node|uv|uvx|env|nice|time|timeout|srun|"
    r"mpirun|mpiexec|torchrun|accelerate|docker|podman|apptainer|singularity|conda|poetry|pixi)"
    r"[\d.]*$")
PLACEHOLDER = re.compile(r"(?<!\$)\{([^{}\s]+)\}")
TASK_NAMES = ("task.dir", "task.slot", "task.index")


def spelled_job(args: "argparse.Namespace") -> Job:
    """The job of a command without a job file: COMMAND WORD ... [::: AXIS ...].

    The command is taken word for word, as the shell gave it, but for {NAME} of the axes.
    """
    words, axes = list(args.behind), []  # type: List[str], List[str]
    if ":::" in words:
        cut = len(words) - words[::-1].index(":::")
        words, axes = words[:cut - 1], words[cut:]
    check_spelled(words, axes, ":::" in args.behind)
    sweep = Sweep(axes, "command line", PROGRAM)
    spelled = {key: name for axis in sweep.axes for key, name in zip(axis.keys, axis.spelled)}
    if ":::" in args.behind:
        words = placed(words, spelled)
    elif not args.quiet:
        say_not_swept(words)
    name = args.name or program_name(words)
    if os.path.exists(args.file or JOB_FILES[0]) and not args.name:
        jobs = load_for(args.file or JOB_FILES[0], "")[0]
        if name in jobs:
            raise Error("name-of-a-job", f"{name} is a job of the job file",
                        hint=f"name this one: --name {name}-2")
    step = EMPTY_STEP._replace(batch=sweep)
    command = Source("command line", shell_text(words))
    return EMPTY_JOB._replace(key=name, name=name, run=command, hydra=False, steps=[step])


def check_spelled(words: "Sequence[str]", axes: "Sequence[str]", has_axes: bool) -> None:
    """Raise an Error for axes that the sweep language would not read as they are meant."""
    if not words:
        raise Error("no-command", "no command before :::",
                    hint="hydraflow run -- ./sim ::: --x=1:3")
    options = {name for option in command_named("run").options for name in option.names}
    for word in [*words, *axes]:
        if re.fullmatch(r":::[:+]+", word):
            raise Error("gnu-parallel", f"{word} is GNU parallel's", hint="linked keys: "
                        "'a,b=(1,2),(3,4)'; lines of a file: 'f=lines(list.txt)'")
        found = set(PLACEHOLDER.findall(word)) & set(TASK_NAMES)
        if found and not has_axes:
            raise Error("no-axes", f"{{{min(found)}}} needs ::: after the command",
                        hint="::: may stand there without an axis")
    for word in axes:
        if word.partition("=")[0] in options:
            raise Error("option-as-axis", f"{word} is an option of run: write it before --",
                        hint=f"hydraflow run {shell_text([word])} -- ...")
        check_axis(word)


def check_axis(word: str) -> None:
    """Raise an Error for a word after ::: that is no axis, or several."""
    is_table = re.match(r"\w+\(", word)
    if re.match(r"[=\d]", word) or "=" not in word and not is_table:
        raise Error("axis-without-key", f"expected key=value, found {word}",
                    hint="write {x} in the command and x=1,2 here; '$NAME=1,2' in quotes")
    if re.search(r"=[^'\"\[({]*\s\S*[\w)]=", word):
        raise Error("several-axes", f"several axes in one word: {word}",
                    hint="one word for each axis: ::: a=1:3 b=x,y")


def placed(words: "Sequence[str]", spelled: "Mapping[str, str]") -> "List[str]":
    """The words of a command with templates for {NAME}; an axis without a place must be an option
    or a variable."""
    named = set()
    result = []
    for index, word in enumerate(words):
        def template(match: "Match[str]") -> str:
            key, _, part = match[1].rpartition(".")
            if match[1] in spelled or part not in ("stem", "name"):
                key = match[1]
            if key not in spelled and match[1] not in TASK_NAMES:
                return match[0]
            named.add(key)
            return f"${{{{ {'matrix.' if key in spelled else ''}{match[1]} }}}}"

        text = PLACEHOLDER.sub(template, word)
        is_script = index > 1 and words[index - 1] == "-c" and LAUNCHERS.match(
            os.path.basename(words[index - 2]))
        if text != word and is_script:
            raise Error("script-placeholder", "a placeholder in a script could become code",
                        hint="use \"$1\" in it, and add two words after it: bash {x}")
        result.append(text)
    for key, name in spelled.items():
        if key not in named and name[:1] not in ("-", "$") and key != "rows()":
            raise Error("unplaced-axis", f"{key} has no place in the command",
                        hint=f"write {{{key}}} in the command, or --{key}= for an option")
    return result


def say_not_swept(words: "Sequence[str]") -> None:
    """Name the words of a command that look like a sweep, and the line that would sweep."""
    command, axes, swept = list(words[:1]), [], []  # type: List[str], List[str], List[str]
    for word in words[1:]:
        is_range = re.fullmatch(r"[\d.]+:[\d.]+(:[\d.]+)?", word)
        name = f"x{len(axes) or ''}" if is_range else word.rpartition("=")[0]
        axis = f"{name}={word}" if is_range else word
        if not is_swept(axis):
            command.append(word)
            continue
        swept.append(word)
        axes.append(axis)
        if not word.startswith("-"):
            command.append(f"{{{name}}}" if is_range else f"{name}={{{name}}}")
    if axes:
        line = shell_text([*command, ":::", *axes])
        text = f"1 task; to sweep over {shell_text(swept)}: hydraflow run -- {line}"
        say(as_typed(text, ()))


def is_swept(word: str) -> bool:
    """Whether a word is an axis of several values."""
    try:
        return any(axis.count > 1 and axis.keys for axis in Sweep([word], "word", PROGRAM).axes)
    except Error:
        return False


def program_name(words: "Sequence[str]") -> str:
    """The name of a job without a job file: that of its script, or program.

    >>> program_name(["uv", "run", "a.py"]), program_name(["python", "-m", "pkg.train", "x.sh"])
    ('a.py', 'pkg.train')
    """
    if LAUNCHERS.match(os.path.basename(words[0])):
        for word, before in zip(words[1:], words):
            if before == "-m" and re.match(r"[A-Za-z]", word):
                return word
            if re.search(r"\w\.(py|sh|R|jl|pl|rb|js)$", word) or word.startswith("./"):
                return os.path.basename(word)
    return os.path.basename(words[0])


# -- show, expand


def show_command(args: "argparse.Namespace") -> int:
    """Show the jobs, or one of them as HydraFlow understands it."""
    jobs = load(args.file or find_job_file())
    if args.names:
        for name in jobs:
            put(name)
    elif args.job:
        for line in job_lines(Plan(job_named(jobs, args.job))):
            put(line)
    else:
        width = max(map(len, jobs))
        for name, job in jobs.items():
            put(f"{name:{width}}  {job_text(job)}")
    return 0


def job_text(job: Job) -> str:
    """How many tasks a job has, and its first command."""
    if not has_command(job):
        return f"{'template':>10}  no command: it serves other jobs"
    sources = [job.run, job.call, job.submit]
    sources += [step.run or step.call or step.submit for step in job.steps]
    return f"{tasks_text(Plan(job)):>10}  {next(filter(None, sources)).text}"


def job_lines(plan: Plan) -> "Iterator[str]":
    """Yield the values of a job, and for each step its tasks, and its first command."""
    job = plan.job
    yield f"{job.key}: {tasks_text(plan)}"
    values = (("name", job.name), ("needs", ", ".join(name for name, _ in job.needs)),
              ("max-parallel", "auto" if job.max_parallel == AUTO else job.max_parallel),
              ("fail-fast", {None: "", True: "true", False: "false"}[job.fail_fast]),
              ("retries", job.retries), ("timeout-minutes", job.timeout_minutes))
    for name, value in values:
        if value:
            yield f"  {name}: {value}"
    for step in plan.steps:
        title = f" ({step.name})" if step.name else ""
        yield f"  step {step.number}{title}: {count_lines(step)}: {tasks_text(step)}"
        task = first_task(step)
        if task:
            yield f"    {task_text(task)}{'    (the first)' if step.count > 1 else ''}"


def count_lines(step: PlannedStep) -> str:
    """How the tasks of a step come about: 2 x 3 = 6, 1 excluded."""
    counts = [count_text(axis.count) for axis in step.sweep.axes if axis.keys]
    text = count_text(step.sweep.count)
    if len(counts) > 1:
        text = f"{' x '.join(counts)} = {text}"
    dropped = step.sweep.count + len(step.included) - step.count
    if not step.is_exact:
        text += ", some excluded"
    if step.sample:
        text += f", {step.sample.count:,} of them at random"
    elif dropped:
        text += f", {dropped:,} excluded"
    if step.included:
        text += f", {len(step.included):,} included"
    return text


def expand_command(args: "argparse.Namespace") -> int:
    """Show what a sweep means: the combinations, and how many."""
    words = [*args.words, *args.behind]
    if not words:
        raise Error("no-sweep", "no sweep given", hint="hydraflow expand 'a=1:3 b=x,y'")
    sweep = Sweep(" ".join(words))
    if args.collect:
        put(shell_text(sweep.collect()))
        return 0
    say(counted(sweep.count, "combination"))
    for combination in sweep:
        put(shell_text(combination))
    return 0


# -- records: status, logs, results, report, cancel, clean


def newest_record(args: "argparse.Namespace") -> Record:
    """The newest record of a job, which the job file need not name any more."""
    records = Record.all(args.job) if args.job else []
    if not records:
        known = [Ledger(record).start.job for record in Record.newest()]
        if not args.job:
            raise no_job(known)
        raise Error("not-run", f"job {args.job} has not been run here",
                    hint=suggest(args.job, known) or "list the jobs: hydraflow show")
    return records[-1]


def chosen_record(args: "argparse.Namespace") -> Record:
    """The record of the run that --run picks, else the newest one of the job."""
    newest = newest_record(args)
    if not args.run:
        return newest
    found = [record for record in Record.all(args.job) if record.ulid.endswith(args.run.upper())]
    if len(found) == 1:
        return found[0]
    raise Error("unknown-run", f"{'several runs end' if found else 'no run ends'} with {args.run}",
                hint=f"list them: hydraflow status {shlex.quote(args.job)} --all")


def status_records(args: "argparse.Namespace") -> "List[Record]":
    """The records that status is about."""
    if args.job:
        chosen = chosen_record(args)
        return Record.all(args.job) if args.all else [chosen]
    if args.all or args.run:
        raise Error("no-job", "--all and --run need a job", hint="hydraflow status JOB --all")
    records = Record.newest()
    if not records:
        raise Error("not-run", "nothing has been run here", hint="run a job: hydraflow run JOB")
    return records


def status_command(args: "argparse.Namespace") -> int:
    """Show how far a job's last run is, and what has failed and why."""
    surveys: List[Survey] = []
    for record in status_records(args):
        try:
            surveys.append(survey(record))
        except Error as error:
            if args.job and not args.all:
                raise
            say(str(error))
    for found in surveys:
        show_status(found, args)
    if args.json:
        documents = list(map(status_document, surveys))
        is_one = args.job and not args.all
        put(json.dumps(documents[0] if is_one else documents, indent=1))
    return 0


def show_status(found: Survey, args: "argparse.Namespace") -> None:
    """Print the status of a run, or with --all its first line with the end of its name."""
    if found.wrong:
        (say if args.json else put)("the scheduler does not answer; states come from the record "
                                    f"only: {printable(found.wrong)}")
    head = head_line(found)
    if args.json:
        return
    if args.all:
        put(f"{found.record.ulid[-8:]}  {head}")
        return
    put(f"{head}; next: {typed(args, *next_words(found, args))}")
    room = window_width(sys.stdout) // 2 or 100
    for line in status_lines(found, room, has_colours(sys.stdout)):
        put_shown(line)


def next_words(found: Survey, args: "argparse.Namespace") -> "List[str]":
    """The command that helps now: follow the run, continue it, see its results."""
    start = found.ledger.start
    newest = Record.all(start.job)[-1]
    chosen = [] if newest.path == found.record.path else ["--run", found.record.ulid[-8:]]
    if where_text(found):
        return ["logs", start.job, "--follow", *chosen]
    if count_good(found) < start.count and not chosen:
        cut = 2 if start.words[:1] == ["-f"] else 0
        file = [] if args.file else start.words[:cut]
        return [*file, *resuming_words(start.job, start.words[cut:])]
    return ["results", start.job, *chosen]


class Selection(NamedTuple("Selection", [
        ("found", Survey), ("numbers", "List[int]"), ("pairs", "List[str]"),
        ("metrics", "List[str]")])):
    """The tasks of a run that words select, the words KEY=VALUE, and the names of metrics."""
    __slots__ = ()


def selected_tasks(args: "argparse.Namespace", record: Record) -> Selection:
    """The tasks that numbers and KEY=VALUE select, without any all of them."""
    found = survey(record)
    pairs, digits, metrics = [], [], []  # type: List[str], List[str], List[str]
    for word in args.words:
        (pairs if "=" in word else digits if word.isdigit() else metrics).append(word)
    numbers = sorted(map(int, digits)) or sorted(found.ledger.members)
    if pairs:
        numbers = sorted(set(numbers) & set(tasks_with(found.ledger, pairs)))
    unknown = sorted(set(numbers) - set(found.ledger.offsets))
    if unknown:
        count = counted(found.ledger.start.count, "task")
        raise Error("unknown-task", f"unknown task: {unknown[0]}", hint=f"{args.job} has {count}")
    if metrics and args.command in ("logs", "cancel"):
        raise Error("invalid-task", f"expected a task's number or KEY=VALUE, found {metrics[0]}",
                    hint=f"list the tasks: hydraflow results {shlex.quote(args.job)}")
    return Selection(found, numbers, pairs, metrics)


def logs_command(args: "argparse.Namespace") -> int:
    """Print the output of all tasks, or of those that words select."""
    record = chosen_record(args)
    found, numbers, _, _ = selected_tasks(args, record)
    has_title = not args.plain and not (len(args.words) == 1 and args.words[0].isdigit())
    viewer = LogViewer(found, has_title, args.failed, args.last or 0)
    if args.follow and has_title:
        viewer.skip_ended(numbers)
    while viewer.show_all(found, numbers) and args.follow:
        time.sleep(2.0 if found.submissions else 0.2)
        found = survey(record)
    return 0


class LogViewer:
    """Prints logs, and of each one later what is new in it.

    offsets are the ends of what was printed, current is the task that was printed last.
    """

    def __init__(self, found: Survey, has_title: bool, only_failed: bool, last: int) -> None:
        self.found = found
        self.offsets: Dict[int, int] = {}
        self.skipped: Set[int] = set()
        self.current = 0
        self.has_title, self.only_failed, self.last = has_title, only_failed, last
        self.names = Names(found.ledger, window_width(sys.stdout) // 2 or 100)

    def skip_ended(self, numbers: "Sequence[int]") -> None:
        """Begin with what runs: what has ended is printed without --follow."""
        self.skipped = {number for number in numbers if is_settled(self.found.state(number))}
        if len(self.skipped) == len(numbers):
            say("no matching task is running; drop --follow to see its log")

    def show_all(self, found: Survey, numbers: "Sequence[int]") -> bool:
        """Print what is new in the logs of tasks; return whether more may come."""
        self.found = found
        for number in numbers:
            if number not in self.skipped:
                self.show(number, found.state(number))
        return not all(is_settled(found.state(number)) for number in numbers)

    def show(self, number: int, state: State) -> None:
        """Print what is new in the log of a task."""
        is_bad = state.is_over and not state.is_good
        if state.name in ("waiting", "not started") or self.only_failed and not is_bad:
            return
        log = log_of(self.found.record, number, state)
        is_first = number not in self.offsets
        if is_first:
            self.offsets[number] = last_lines_start(log, self.last) if self.last else 0
        size = os.path.getsize(log) if os.path.exists(log) else 0
        is_new = self.has_title and number != self.current
        if is_new and (is_first or size > self.offsets[number]):
            self.current = number
            put(f"==> {self.names.name(number)} {state_text(state)} <==")
            sys.stdout.flush()
        self.offsets[number] = copy_log(log, self.offsets[number])


def is_settled(state: State) -> bool:
    """Whether a task is over, or nobody is about to start it."""
    return state.is_over or state.name == "not started"


def last_lines_start(path: str, count: int) -> int:
    """The offset of the last lines of a file, as far as they are within its last megabyte."""
    try:
        with open(open_safely(path, os.O_RDONLY), "rb") as file:
            begin = max(os.fstat(file.fileno()).st_size - 16 * CHUNK, 0)
            file.seek(begin)
            data = file.read()
    except OSError:
        return 0
    ends = [match.end() for match in re.finditer(b"\n(?=.)", data, re.DOTALL)]
    return begin + ([0, *ends][-count:])[0]


def copy_log(path: str, offset: int) -> int:
    """Write a log from an offset to standard output; return the offset of its end."""
    try:
        with open(open_safely(path, os.O_RDONLY), "rb") as file:
            file.seek(offset)
            for data in iter(functools.partial(file.read, CHUNK), b""):
                write(sys.stdout, harmless(data).encode() if sys.stdout.isatty() else data)
            return file.tell()
    except OSError:
        return offset


def selected_rows(args: "argparse.Namespace", sort: str = "") -> "Any":
    """The survey, rows and metrics that results and report are about; a name to sort by that is no
    column is a metric, too."""
    found, numbers, pairs, metrics = selected_tasks(args, chosen_record(args))
    sort = sort.lstrip("-")
    rows = result_rows(found, metrics, numbers, [args.state] if args.state else [], pairs)
    if sort and sort not in (column.name for column in columns_of(rows, metrics)):
        metrics.append(sort)
        rows = result_rows(found, metrics, numbers, [args.state] if args.state else [], pairs)
    for name in metrics:
        if rows and all(row.metrics[name] is None for row in rows):
            check_column(rows, metrics, name == sort)
            known = ", ".join(names_in(rows[0].log)) or "none"
            say(printable(f"no number follows {name} in the output; numbers there: {known}"))
    return found, rows, metrics


def check_column(rows: "Sequence[Row]", metrics: "Sequence[str]", is_sort: bool) -> None:
    """Raise an Error for a name to sort by, the last metric, that is no column."""
    names = [column.name for column in columns_of(rows, metrics[:-1])]
    if is_sort:
        raise Error("unknown-column", f"no column {metrics[-1]}", hint=suggest(
            metrics[-1], names) or f"the columns are {', '.join(names)}")


def results_command(args: "argparse.Namespace") -> int:
    """Show parameters, states and metrics side by side."""
    _, rows, metrics = selected_rows(args, "" if args.over else args.sort or "")
    if args.over:
        rows = over(rows, ",".join(args.over).split(","), metrics)
        metrics = over_metrics(metrics)
    rows = sorted_rows(rows, args.sort or "task")
    form = "csv" if args.csv else "json" if args.json else args.format or "table"
    put(FORMATS[form](rows, metrics, sys.stdout.isatty() * help_width()))
    names = names_in(rows[0].log) if rows and not metrics else []
    if names and form == "table":
        say(printable(f"numbers in the output: {', '.join(names)}"))
    return 0


def report_command(args: "argparse.Namespace") -> int:
    """Write a page that shows how a run went and what came out."""
    found, rows, metrics = selected_rows(args)
    lead = head_line(found).partition(": ")[2]
    words = typed(args, "report", args.job, *args.words)
    page = report_page(found.ledger.start.job, lead, found.counts(), rows, metrics, words)
    output = args.output or "report.html"
    try:
        with open(native(output), "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(page)
    except OSError as error:
        raise say_error(error, "write the page") from None
    say(f"wrote {output}: {counted(len(rows), 'row')}")
    return 0


def cancel_command(args: "argparse.Namespace") -> int:
    """Stop all that runs or is queued of a job, or some tasks of its newest run."""
    records, numbers = [newest_record(args)], None  # type: List[Record], Optional[List[int]]
    if args.words:
        numbers = selected_tasks(args, records[0]).numbers
    else:
        records = Record.all(args.job)
    found: List[Stopped] = []
    wrong: List[str] = []
    for record in records:
        try:
            found.append(cancel_record(record, args.lost, numbers))
        except Error as error:
            wrong.append(error.message)
    say_stopped(found, args.lost)
    for text in chain(wrong, *(stopped.wrong for stopped in found)):
        say(printable(text))
    return 1 if wrong or any(stopped.wrong for stopped in found) else 0


def say_stopped(found: "Sequence[Stopped]", is_lost: bool) -> None:
    """Say what was stopped or given up, and what cannot be reached."""
    arrays = list(chain.from_iterable(stopped.arrays for stopped in found))
    away = list(chain.from_iterable(stopped.away for stopped in found))
    count = sum(stopped.tasks for stopped in found)
    if arrays:
        say(f"cancelled {', '.join(arrays)}")
    if count or not arrays:
        say(f"stopping {counted(count, 'task')}" if count else "no task is running or queued")
    if away:
        hosts = ", ".join(sorted({printable(state.host) for state in away}))
        tasks = f"{counted(len(away), 'task')} of {hosts}"
        say(f"gave up {tasks}: --resume executes them again" if is_lost else
            f"{tasks} cannot be reached from here: cancel them there; if nothing of them is left, "
            "--lost gives them up")


def clean_command(args: "argparse.Namespace") -> int:
    """Remove old records: never the newest, never one in which something runs."""
    newest = [newest_record(args)] if args.job else Record.newest()
    old = list(chain.from_iterable(removable(Record.all_in(
        os.path.dirname(last.path)), args.keep or 1) for last in newest))
    sizes = [tree_size(record.path) for record in old]
    for record, size in zip(old, sizes):
        say(f"{os.path.relpath(record.path)}: {begin_text(record)}{size / 1e6:,.1f} MB")
    if not (args.dry_run or args.yes or is_confirmed(len(old))):
        return 1
    if not args.dry_run:
        for record in old:
            remove_tree(record.path)
    verb = "would free" if args.dry_run else "freed"
    say(f"{counted(len(old), 'record')}: {verb} {sum(sizes) / 1e6:,.1f} MB")
    return 0


def is_confirmed(count: int) -> bool:
    """Whether a user on a terminal agrees to remove records."""
    if not count or not sys.stdin.isatty():
        return True
    say(f"remove {counted(count, 'record')}? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def begin_text(record: Record) -> str:
    """The begin of a run and its tasks, as far as its record can be read."""
    try:
        start = Ledger(record).starts[0]
        return f"{moment_text(start.time)}, {counted(start.count, 'task')}, "
    except Error:
        return ""


def removable(records: "Sequence[Record]", keep: int) -> "Iterator[Record]":
    """Yield the records of a job that are old, not in use, and not needed by a newer one."""
    needed: Set[str] = set()
    for record in records[-keep:]:
        try:
            found = Survey(record)
            found.read()
        except Error:
            continue
        needed.update(state.origin.partition("/")[0] for state in found.states.values())
    for record in records[:-keep]:
        try:
            is_used = record.ulid in needed or any(
                state.is_alive for _, state in survey(record).members)
        except Error:  # of another format: nothing executes it any more
            is_used = False
        if not is_used:
            yield record


def tree_size(path: str) -> int:
    """How many bytes the files below a folder take on disk."""
    total = 0
    for folder, names, files in os.walk(path):
        for name in [*names, *files]:
            total += 512 * os.lstat(os.path.join(folder, name)).st_blocks
    return total


# -- init, schema, completion


def init_command(args: "argparse.Namespace") -> int:
    """Write a commented hydraflow.yaml, and a train.py if there is none."""
    for name in JOB_FILES:
        if os.path.lexists(name):
            raise Error("file-exists", f"{name} exists",
                        hint="write elsewhere: hydraflow -C DIR init")
    text = JOB_FILE_TEMPLATE.replace("@PROGRAM@", "train.py")
    text = text.replace("@HYDRA@", "" if args.hydra else NO_HYDRA)
    text = text.replace("@SUBMIT@", SLURM if args.slurm else "")
    is_there = os.path.lexists("train.py")
    if args.hydra:  # our configuration has no keys yet, and another one may have them
        plus = "++" if is_there else "+"
        text = re.sub(r"\b(?=(model|learning_rate|epochs)=)", plus, text)
    files = [(JOB_FILES[0], text)]
    if not is_there:
        files.append(("train.py", HYDRA_TRAIN_TEMPLATE if args.hydra else TRAIN_TEMPLATE))
    for name, content in files:
        with open(name, "x", encoding="utf-8") as file:
            file.write(content)
    written = " and ".join(name for name, _ in files)
    what = "put keys of train.py into it, then look: hydraflow run train --dry-run"
    what = what if is_there else "try: hydraflow run train"
    say(as_typed(f"wrote {written}; {what}", args.before))
    return 0


def schema_command(args: "argparse.Namespace") -> int:
    """Print the JSON Schema of the job file, with which editors complete and check it."""
    put(json.dumps(job_schema(), indent=1))
    return 0


def completion_command(args: "argparse.Namespace") -> int:
    """Print a script that completes commands, options, jobs and sweeps in a shell."""
    if args.job not in COMPLETION:
        raise Error("unknown-shell", f"unknown shell: {args.job}" if args.job else "no shell given",
                    hint=f"the shells are {', '.join(sorted(COMPLETION))}")
    put(COMPLETION[args.job].rstrip())
    return 0


def bash_words(line: str) -> "List[str]":
    """The words of a command line up to the cursor, the last one as far as it goes.

    >>> bash_words("hydraflow run tr"), bash_words("hydraflow run ")
    (['hydraflow', 'run', 'tr'], ['hydraflow', 'run', ''])
    """
    try:
        words = shlex.split(line)
    except ValueError:  # within quotes
        words = line.split()
    return words + ([""] if line[-1:].isspace() else [])


def complete_command(argv: "Sequence[str]") -> int:
    """Print the words that may replace the last one of a command line, a line each."""
    shell, words = argv[0], list(argv[1:])
    if shell == "bash":
        words = bash_words(words[0])
    last = words[-1] if len(words) > 1 else ""
    try:
        found = [word for word in candidates(words[1:-1])
                 if word.startswith(last) and word.isprintable()]
    except (Error, OSError):
        found = []
    cut = max(last.rfind("="), last.rfind(":")) + 1  # to bash, what follows is a word of its own
    for word in sorted(set(found) - {last} if last.endswith("=") else found):
        if shell == "bash":
            word = word[cut:] if word.endswith("=") else shlex.quote(word[cut:])
        put(word)
    return 0 if found else 1  # the shell then completes names of files


def candidates(words: "Sequence[str]") -> "Iterable[str]":
    """The words that may follow words of a command line, after the program's name."""
    before, rest = split_before(words)
    if len(before) % 2:  # a file or a directory follows
        return []
    if not rest:
        return [*(command.name for command in COMMANDS), "-f", "-C", "--version", "--help"]
    if rest[0] == "completion":
        return sorted(COMPLETION)
    command = command_named(rest[0])
    options = [name for option in command.options for name in option.names]
    if not command.words.startswith(("JOB", "[JOB")):
        return options
    values = dict(zip(before[::2], before[1::2]))
    os.chdir(values.get("-C", "."))
    jobs = load(values.get("-f") or find_job_file())
    found = [word for word in rest[1:] if word in jobs]
    return [*options, *override_words(jobs[found[0]])] if found else [*jobs, *options]


def override_words(job: Job, most: int = 100) -> "Iterator[str]":
    """Yield the keys of a job's sweeps, as they begin an override, and their first values."""
    for step in job.steps:
        for axis in [*step.batch.axes, *step.args.axes]:
            if len(axis.spelled) == 1:
                yield f"{axis.spelled[0]}="
                yield from (str(word) for word in islice(axis, most) if isinstance(word, str))


# -- inner commands, which HydraFlow and shells type


def call_command(argv: "Sequence[str]") -> int:
    """Call a function, in a process of its own; it finds Python as it usually is."""
    try:
        traceback = call_function(argv)
    except SystemExit as stop:
        if not isinstance(stop.code, (int, type(None))):
            say(str(stop.code))
        raise
    if traceback:
        say(traceback)
    return 1 if traceback else 0


def slot_command(argv: "Sequence[str]") -> int:
    """Execute the tasks of an array index: as an array task, or as a line for a handler."""
    statuses = []
    has_error, interruption = False, 0
    for event in run_slot(argv[0], int(argv[1]), int(argv[2])):
        if event.kind == "end" and event.state.name != "succeeded":
            statuses.append(event.state.status)
        if event.kind == "interrupt" and not interruption:
            interruption = event.number
        has_error = has_error or event.kind == "error"
        say_event(event)
    if len(argv) < 4:
        return 1 if statuses or has_error else 0
    if interruption:  # a handler: a shell that executes the lines begins none after a signal
        end_by_signal(interruption)
    return max(1, min(statuses[-1], 255)) if statuses else 0


def say_event(event: Event) -> None:
    """Write an event into the log of an array task."""
    if event.kind == "retry" and event.task:
        name = task_name(event.task.number, event.task.combination, set(), 100)
        say(f"{name} failed, retrying")
    elif event.kind in ("note", "interrupt", "error"):
        say(event.text)


# -- commands and options


class Option(NamedTuple("Option", [
        ("names", "Tuple[str, ...]"), ("help", str), ("value", str), ("read", "Any")])):
    """An option of a command; value is the help's word for its value, "" for none; read makes a
    value of a text, list collects several."""
    __slots__ = ()


class Command(NamedTuple("Command", [
        ("name", str), ("words", str), ("options", "Tuple[Option, ...]"),
        ("function", "Callable[[argparse.Namespace], int]"), ("example", str)])):
    """A subcommand; words is the usage of what is no option, example works after init."""
    __slots__ = ()


def flag(names: str, help: str) -> Option:
    """An option without a value."""
    return Option(tuple(names.split()), help, "", None)


def option(names: str, value: str, help: str, read: "Any" = str) -> Option:
    """An option with a value, which a reader of the job file's values, or a function, reads."""
    def convert(text: str) -> object:
        try:
            return read(read_yaml(text, "command line")) if isinstance(read, Reader) else read(text)
        except Error as error:
            raise argparse.ArgumentTypeError(f"{error.message}\n{error.hint}") from None
    return Option(tuple(names.split()), help, value, read if read is list else convert)


def sample_of(text: str) -> Sample:
    """The sample that N or N:SEED means."""
    count, _, seed = text.partition(":")
    if not re.fullmatch("[1-9][0-9]{0,8}", count) or not re.fullmatch("[0-9]{0,9}", seed):
        raise Error("invalid-sample", "expected N or N:SEED", hint="for example 20:7")
    return Sample(int(count), int(seed or 0))


def name_among(known: "Iterable[str]", what: str) -> "Callable[[str], str]":
    """A reader of one of some names."""
    def read(text: str) -> str:
        names = {name.replace(" ", "-"): name for name in known}
        if text not in names:
            raise Error(f"unknown-{what}", f"unknown {what}: {text}", hint=suggest(
                text, names) or f"expected {', '.join(names)}")
        return names[text]
    return read


RUN = option("--run", "RUN", "of this run; the end of its name will do")
STATE = option("--state", "STATE", "of tasks in this state only", name_among(STATES, "state"))
COMMANDS = (
    Command("run", "JOB [OVERRIDE ...] [options] [-- WORD ...]\n"
            "       hydraflow run [options] -- COMMAND WORD ... [::: AXIS ...]", (
                flag("--dry-run", "print the commands and change nothing"),
                flag("--resume", "continue the last run: skip what has succeeded in it"),
                flag("--reuse", "count what has succeeded in older runs as done, too"),
                option("--sample", "N[:SEED]", "take N tasks of each step at random", sample_of),
                option("--jobs -j", "N", "execute N tasks at once, or auto; on a cluster N array "
                       "tasks", read_parallel),
                flag("--keep-going", "start the remaining tasks although one has failed"),
                option("--retries", "N", "try a failed task up to N times more", read_retries),
                option("--timeout", "MIN", "stop a task after so long: 90, 5s, 2h", read_minutes),
                option("--name", "NAME", "the name of a job that is a command after --"),
                flag("--quiet -q", "show failures and the summary only"),
                flag("--wait", "wait until submitted tasks have ended"),
                option("--pack", "N", "let an array task take N tasks", read_count),
                option("--pack-parallel", "N", "execute N tasks of a pack at once", read_count)),
            run_command, "hydraflow run train learning_rate=0.1,0.2 --jobs 2"),
    Command("show", "[JOB]", (flag("--names", "print the names of the jobs alone"),),
            show_command, "hydraflow show train"),
    Command("expand", "SWEEP ...", (flag("--collect", "print the words that args: makes of it"),),
            expand_command, "hydraflow expand 'model=cnn,vit lr=log(1e-3:1e-1:3)'"),
    Command("status", "[JOB]", (
        flag("--json", "print all that is known of every task, for programs"),
        flag("--all", "every run of the job, a line each"), RUN),
        status_command, "hydraflow status train"),
    Command("logs", "JOB [TASK | KEY=VALUE ...]", (
        option("--last", "N", "the last N lines of each task", read_count),
        flag("--follow", "go on until the tasks have ended"),
        flag("--failed", "of the failed tasks only"),
        flag("--plain", "without headers"), RUN),
        logs_command, "hydraflow logs train model=lstm --last 1"),
    Command("results", "JOB [METRIC | KEY=VALUE ...]", (
        STATE, RUN, option("--sort", "NAME", "order by a metric, a parameter or a column; "
                           "--sort=-NAME the largest first"),
        option("--over", "KEY", "mean and spread over what differs in KEY alone", list),
        option("--format", "FORMAT", ", ".join(FORMATS), name_among(FORMATS, "format")),
        flag("--csv", "print comma-separated values"), flag("--json", "print JSON")),
        results_command, "hydraflow results train loss --sort loss"),
    Command("report", "JOB [METRIC | KEY=VALUE ...]", (
        STATE, RUN, option("--output -o", "FILE", "the page to write; report.html when absent")),
        report_command, "hydraflow report train loss -o report.html"),
    Command("cancel", "JOB [TASK | KEY=VALUE ...]", (
        flag("--lost", "give up tasks of other machines, which cannot be reached from here"),),
        cancel_command, "hydraflow cancel train"),
    Command("clean", "[JOB]", (
        option("--keep", "N", "keep the newest N runs of each job; 1 when absent", read_count),
        flag("--dry-run", "say what would be removed"), flag("--yes", "do not ask")),
        clean_command, "hydraflow clean train --keep 3"),
    Command("init", "", (flag("--hydra", "for a Hydra application"),
                         flag("--slurm", "for tasks that Slurm gets")),
            init_command, "mkdir slurm && hydraflow -C slurm init --slurm"),
    Command("schema", "", (), schema_command, "hydraflow schema > schema.json"),
    Command("completion", "SHELL", (), completion_command, 'eval "$(hydraflow completion bash)"'),
)
BEFORE = {
    "-f": "-f FILE, before the command, names the job file",
    "-C": "-C DIR, before the command, names the directory to work in"}
SYNONYMS = {  # words of other programs
    "resume": "hydraflow run JOB --resume", "list": "hydraflow show", "ls": "hydraflow show",
    "start": "hydraflow run JOB", "submit": "hydraflow run JOB", "stop": "hydraflow cancel JOB",
    "kill": "hydraflow cancel JOB", "log": "hydraflow logs JOB", "help": "hydraflow --help"}


def help_width() -> int:
    """How wide a text may be."""
    columns = os.environ.get("COLUMNS", "")
    return (int(columns) if columns.isdecimal() else window_width(sys.stdout)) or 80


def help_text() -> str:
    """The help of the program."""
    import textwrap
    lines = ["usage: hydraflow [-f FILE] [-C DIR] COMMAND ...", "",
             "Compact parameter sweeps, executed here or on a cluster.", ""]
    for command in COMMANDS:
        lines += textwrap.wrap(
            f"{command.name:12}{command.function.__doc__}", help_width() - 4,
            initial_indent="    ", subsequent_indent=" " * 16)
    return "\n".join([*lines, "", *(f"    {text}" for text in BEFORE.values()), "",
                      "hydraflow COMMAND --help shows its options and an example."])


def command_named(name: str) -> Command:
    """A command by its name."""
    names = [command.name for command in COMMANDS]
    if name in names:
        return COMMANDS[names.index(name)]
    if name.startswith("-"):
        raise Error("option-before-command", f"no command before {name}",
                    hint=f"options follow the command: hydraflow run JOB {name}")
    hint = f"did you mean {SYNONYMS[name]}?" if name in SYNONYMS else suggest(name, names)
    raise Error("unknown-command", f"unknown command: {name}",
                hint=hint or f"the commands are {', '.join(names)}")


def parser_of(command: Command) -> "argparse.ArgumentParser":
    """The parser of the options of a command."""
    class Parser(argparse.ArgumentParser):
        """A parser that raises Error."""

        def error(self, message: str) -> "NoReturn":
            """Raise the Error about what argparse does not understand."""
            text, _, hint = re.sub("^argument ", "", message).partition("\n")
            raise Error("invalid-arguments", text,
                        hint=hint or f"hydraflow {command.name} --help shows its options")

    parser = Parser(
        prog=f"hydraflow {command.name}", description=command.function.__doc__, allow_abbrev=False,
        usage=f"hydraflow {command.name} {command.words}".rstrip(),
        epilog=as_typed(f"example:\n  {command.example}", ()),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    for row in command.options:
        kind: Dict[str, Any] = {"action": "store_true"}
        if row.read is list:
            kind = {"action": "append", "default": [], "metavar": row.value}
        elif row.value:
            kind = {"type": row.read, "metavar": row.value}
        parser.add_argument(*row.names, help=row.help, **kind)
    return parser


def parse_arguments(argv: "Sequence[str]") -> "argparse.Namespace":
    """The parsed command line: the options of the command, its job, its other words in their order,
    and those after --."""
    before, rest = split_before(argv)
    if len(before) % 2:
        raise Error("missing-option-value", f"{before[-1]} needs a value", hint=BEFORE[before[-1]])
    command = command_named(rest[0])
    cut = rest.index("--") if "--" in rest else len(rest)
    pairs = [re.sub("^-j(?=[0-9])", "-j\0", word).split("\0") for word in rest[1:cut]]
    args, words = parser_of(command).parse_known_args(list(chain.from_iterable(pairs)))
    values = dict(zip(before[::2], before[1::2]))
    args.file, args.directory = values.get("-f"), values.get("-C")
    args.command, args.before, args.behind = command.name, before, rest[cut + 1:]
    args.typed = [word for word in rest[1:cut] if word != "--resume"] + rest[cut:]
    has_job = "JOB" in command.words or command.name == "completion"
    args.job = words.pop(0) if has_job and words and words[0][:1] != "-" else None
    args.words = words
    check_leftovers(command, args)
    return args


def check_leftovers(command: Command, args: "argparse.Namespace") -> None:
    """Raise an Error for words that a command does not know; run and expand look themselves."""
    if command.name in ("run", "expand"):
        return
    for word in [*args.words, *args.behind]:
        names = [name for option in command.options for name in option.names]
        if word.startswith("-"):
            hint = BEFORE.get(word) or suggest(word.partition("=")[0], names)
            if "KEY=VALUE" in command.words and "=" in word:
                hint = hint or f"to select tasks, write {word.lstrip('-')}"
            raise Error("unknown-option", f"unknown option of {command.name}: {word}",
                        hint=hint or f"hydraflow {command.name} --help shows its options")
        if "..." not in command.words:
            raise Error("unexpected-word", f"unexpected argument: {word}",
                        hint=f"usage: hydraflow {command.name} {command.words}".rstrip())


def dispatch(argv: "Sequence[str]") -> int:
    """Execute one command line and return its exit status; raises Error, OSError, SystemExit."""
    inner = {"call": call_command, "complete": complete_command, "slot": slot_command}
    if argv[:1] and argv[0] in inner:
        return inner[argv[0]](argv[1:])
    before, first = split_before(argv)
    first = first[:1]
    if first in (["-h"], ["--help"]) or not first and len(before) % 2 == 0:
        put(help_text())
        return 0
    if first == ["--version"]:
        put(f"hydraflow {__version__}")
        return 0
    args = parse_arguments(argv)
    if args.directory:
        try:
            os.chdir(args.directory)
        except OSError as error:
            raise Error("no-directory", f"cannot work in {args.directory}: {error.strerror}",
                        hint=BEFORE["-C"]) from None
    status = command_named(args.command).function(args)
    sys.stdout.flush()
    return status


def protected(execute: "Callable[[Sequence[str]], int]", argv: "Sequence[str]",
              typed: "Callable[[str], str]") -> int:
    """The exit status of a function of words; its mistakes are said, as typed words them."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # closed by a caller
    sys.stderr = sys.stderr or open(os.devnull, "w")
    try:
        return execute(argv)
    except SystemExit as stop:  # argparse has printed a help
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Error as error:
        say(typed(str(error)))
        return error.status
    except BrokenPipeError:  # the reader has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        say(f"error: {error.strerror or error}{where}")
        return 2


def main(argv: "Optional[Sequence[str]]" = None) -> int:
    """Execute one command line and return its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    before, _ = split_before(argv)
    return protected(dispatch, argv, lambda text: as_typed(text, before))


if __name__ == "__main__":
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    end_status = main()
    signal.signal(signal.SIGINT, before)
    sys.exit(end_status)
