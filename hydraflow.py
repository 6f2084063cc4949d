"""HydraFlow: compact parameter sweeps, executed here or on a cluster, recorded and resumed.

Copy this one file to where you work, write hydraflow.yaml, type `python3 -m hydraflow run train`.
The file reads from top to bottom; each chapter calls only those above it:

    1. Places, errors and numbers: text -> Source, Mark, Error, Number
    2. Sweep language: Source -> Sweep
    3. YAML reader: Source -> Node
    4. Job file: Node -> Job
    5. Planning: Job, overrides -> Task, Task, ...
    6. Processes: argv -> process
    7. Records: Task, Start, Submission, event <-> files
    8. States: events -> State of each task
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
import gc

try:  # what signal is made of: it makes enums of its numbers, a third as long as Python's own start
    import _signal as signal  # type: ignore[import-not-found]
except ImportError:
    import signal

if __name__ == "__main__":
    gc.disable()  # nothing of this file becomes garbage; collect_garbage has it enabled again
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    # Ctrl-C while the rest of this file is read, and when main has ended, ends without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import errno
import os
import sys
import time
from itertools import accumulate, chain, islice, product, takewhile
from operator import itemgetter, mul

__version__ = "1.0.0"
__all__ = [
    "Error", "Errors", "Job", "Mark", "Node", "Plan", "Source", "Step", "Sweep", "Task",
    "collect", "expand", "load", "main", "plan", "read_yaml", "results"]

TYPE_CHECKING = False  # type checkers take this name as true
if TYPE_CHECKING:
    import argparse
    import ast
    import bisect
    import functools
    import re
    import shlex
    import subprocess
    import symtable
    from typing import (
        IO, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Match, NamedTuple, NoReturn,
        Optional, Sequence, Set, Tuple, Type, TypeVar, Union)
    KeyTable = Dict[str, Tuple[Callable[["Node"], Any], Any, str]]  # reader, default, meaning
    Function = TypeVar("Function", bound=Callable[..., Any])
else:
    class LazyModule:
        """A module that is imported when something of it is first used, in the manner of PEP 810.

        These take longer than this file, and an array task needs none of them.
        """

        def __init__(self, name):
            self.name = name

        def __getattr__(self, attribute):
            module = globals()[self.name] = __import__(self.name)
            return getattr(module, attribute)

    argparse = LazyModule("argparse")
    bisect = LazyModule("bisect")
    functools = LazyModule("functools")
    re = LazyModule("re")
    shlex = LazyModule("shlex")
    subprocess = LazyModule("subprocess")

    # Importing typing would make a start on Python 3.6 a third longer, namedtuple a sixth.
    class Named(tuple):
        """A tuple whose places have names."""
        __slots__ = ()
        _fields = ()

        def __new__(cls, *values, **named):
            if named:
                values += tuple(map(named.pop, cls._fields[len(values):]))
            if named or len(values) != len(cls._fields):
                raise TypeError(f"{cls.__name__} has the fields {', '.join(cls._fields)}")
            return tuple.__new__(cls, values)

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            texts = [f"{name}={value!r}" for name, value in zip(self._fields, self)]
            return f"{type(self).__name__}({', '.join(texts)})"

        def _asdict(self):
            return dict(zip(self._fields, self))

        def _replace(self, **changes):
            changed = tuple.__new__(type(self), map(changes.pop, self._fields, self))
            if changes:
                raise TypeError(f"{type(self).__name__} has no field {', '.join(changes)}")
            return changed

    def NamedTuple(name, fields):  # noqa: N802
        names = tuple([field for field, _ in fields])
        places = {field: property(itemgetter(place)) for place, field in enumerate(names)}
        return type(name, (Named,), {"__slots__": (), "_fields": names, **places})


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
    replacement = "\N{REPLACEMENT CHARACTER}"
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
        self.named = matrix_keys(setup | command)
        self.hidden = matrix_keys(setup - command)
        self.has_matrix = bool(matrix_keys(every))
        self.uses_directory = "task.dir" in every

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
# WRAPPER, BEGIN; environment, spawn, Child, spawn_shell, reason, capture, stop_group, stop_process,
# end_by_signal, is_group; Machine, host_name, this_machine, uptime, process_stat, process_birth,
# hash_text, is_process, process_text, group_members, is_group_alive, signal_name; Guard; Signals;
# call_function. The only chapter that starts, signals and looks at processes.
#
# A task is wrapped in some lines of POSIX sh that record its start and its exit status themselves:
# whether HydraFlow still lives or not, what has finished is known. In it, $1 is the file of events,
# $2 the room, $3 what begins each event (the task, its attempt, its slot), $4 the directory of the
# task, then comes the command.
#
# - Both files are opened before the command starts, so that the end can be told even if the
#   directory is not writable any more by then. A start that cannot be recorded is no start: the
#   task would run again after a crash. An end that finds no space on a full disk goes into the
#   room, whose space was taken before.
# - The shell's standard input is the lock of the run, if it has one, until the start is on record:
#   who gets the lock after HydraFlow was killed sees every start that there was.
# - The traps keep the shell alive when its group is signalled, and tell of it; the command itself
#   starts with the defaults (POSIX sh, 2.14, trap). It does not start where the signal came first.
# - What /proc/uptime begins with: seconds since the machine started (proc(5)). A process that is
#   there and was born before that is the one that told so: its number was not free for another.
# - HYDRAFLOW_EVENTS tells of whatever outlives the shell whose it is.
# - Output of programs in Python is to come as it is made.
# - A variable that is in the environment would be changed for the command as well, so that those of
#   the shell have names that nobody else gives.

WRAPPER = """
_why=
trap : USR1 USR2
trap '_why=",\\"why\\":\\"interrupted\\""' HUP INT QUIT TERM
test "$4" = . || cd -P "$4" || exit 125
command exec 3>>"$1" 4<>"$2" 5>&2 2>/dev/null || exit 125
HYDRAFLOW_EVENTS=$1 _task=$3; shift 4
export HYDRAFLOW_EVENTS
: ${PYTHONUNBUFFERED=1}; export PYTHONUNBUFFERED
read -r _up _ </proc/uptime || _up=$(date +%s)
printf '\n{%s,"event":"start","pid":%s,"up":%s}' "$_task" $$ "$_up" >&3 || {
    printf '{%s,"event":"unstarted"}' "$_task" >&4; exit 125; }
exec </dev/null
if test "$_why"; then (exit 143); else (exec 2>&5 3>&- 4>&- 5>&- "$@"); fi
_status=$?
read -r _up _ </proc/uptime || _up=$(date +%s)
printf '\n{%s,"event":"end","status":%s,"up":%s%s}' "$_task" $_status "$_up" "$_why" >&3 ||
    printf '{%s,"event":"end","status":%s,"up":%s%s}' "$_task" $_status "$_up" "$_why" >&4
test -z "$_why" || exit 143
exit $_status
"""
SHELL = ("/bin/sh", "-c", WRAPPER, "hydraflow")

# Where the task of an array task is a command and nothing else, sh does for it what Runner does for
# others, as Python's own start takes longer than all of that. Whatever is not as usual is left to
# Python: begin returns then, at the latest where the shell around the task has told no start.
#
# - The claim is a symbolic link, which has its text from the first instant on.
# - The task leads a group of its own, and gets every signal that reaches us. A shell with job
#   control (bash) sees to that. Others have SIGINT and SIGQUIT ignored in what they do not wait for
#   (POSIX sh, 2.11), so env and setsid start it.
# - What was asked to stop is awaited with all that it began, but for what is dead and stays as a
#   zombie, as the first process of a container does not hear of its end.
# - What /proc has of a process is as old as that, so that its time is now: one program tells the
#   time and what the numbers of processes mean (proc(5)).
# - What the shell says of its jobs is nobody's concern. With job control, wait also returns, with
#   128 + SIGSTOP or more, when the task is stopped: that is looked at once in a second.
# - CAN_BEGIN looks whether a machine has what that needs.

JOB_CONTROL = """
set -m 2>/dev/null
case $- in *m*) _leading= ;; *) _leading='env --default-signal=INT,QUIT setsid' ;; esac
"""
CAN_BEGIN = JOB_CONTROL + """
case $(LC_ALL=C stat -c '%.2Y %N' /proc/self/ns/pid) in ??????????.??\\ *pid:*) ;; *) exit 1 ;; esac
$_leading true
"""
BEGIN = JOB_CONTROL + """
_pass_on() {
    test "$_leader" || return
    kill -s "$1" -- "-$_leader" || kill -s "$1" "$_leader"
}
_ask() {
    _asked=$1
    echo "SIG$1" >&6
    read -r _up _ </proc/uptime
    printf '\n{%s,"why":"interrupted","event":"ask","up":%s}' "$_task" "$_up" >>"$_events"
    _pass_on "$1"
}
_lives() {
    kill -s 0 -- "-$_leader" || return
    for _file in /proc/[0-9]*/stat; do
        read -r _line <"$_file" || continue
        set -- ${_line##*) }
        case $3$1 in "$_leader"[ZX]) ;; "$_leader"?) return 0 ;; esac
    done
    return 1
}
_is_strange() {
    _noted=
    while read -r _line || test "$_line"; do
        case $_line in '{"job_id":"'*) _noted=${_line#*:?} _noted=${_noted%%[!0-9]*} ;; esac
    done <"$_facts"
    test "${_noted:-$_own}" != "${_own:-$_noted}"
}
_write_writer() {
    read -r _host </proc/sys/kernel/hostname || return
    read -r _boot </proc/sys/kernel/random/boot_id || return
    read -r _up _ </proc/uptime || return
    read -r _identity </etc/machine-id || _identity=
    _now=$(LC_ALL=C stat -c '%.2Y %N' /proc/self/ns/pid) || return
    _namespace=pid:${_now##*pid:} _namespace=${_namespace%\\'} _now=${_now%% *}
    case $_now$_namespace in ??????????.??pid:\\[*\\]) ;; *) return 1 ;; esac
    case $_host$_boot$_identity in *[!A-Za-z0-9._-]*) return 1 ;; esac
    _epoch=$((${_now%.*}${_now#*.} - ${_up%.*}${_up#*.}))
    _writer=$_who$_host-$$
    _set_paths
    _epoch=${_epoch%??}.${_epoch#"${_epoch%??}"}
    printf '\n{"host":"%s","identity":"%s","boot":"%s","namespace":"%s","pid":%s,%s%s,"up":%s}' \
        "$_host" "$_identity" "$_boot" "$_namespace" $$ '"event":"writer","epoch":' "$_epoch" \
        "$_up" >>"$_events"
}
_read_end() {
    while read -r _line || test "$_line"; do
        case $_line in
        *'"event":"start"'*) _told=start ;;
        *'"event":"end"'*) _told=end _status=${_line##*'"status":'} _status=${_status%%,*} ;;
        esac
    done <"$_events"
}
_begin() {
    _task=$1 _claim=$2 _log=$3 _directory=$4 _program=$5 _leader= _asked= _told= _full=
    shift 5
    test ! -x "$_program" || { shift; set -- "$_program" "$@"; }
    test -d "$_directory/." && test -d "${_log%/*}/." && ! _is_strange || return
    _write_writer && printf '\n%511s' '' >"$_room" && ln -s "$_writer" "$_claim" || return
    for _name in HUP INT QUIT TERM; do trap "_ask $_name" "$_name"; done
    for _name in USR1 USR2; do trap "_pass_on $_name" "$_name"; done
    $_leading /bin/sh -c "$_wrapper" hydraflow "$_events" "$_room" "$_task" "$_directory" "$@" \
        </dev/null >>"$_log" 2>&1 6>&- &
    _leader=$!
    test -z "$_asked" || _pass_on "$_asked"
    wait "$_leader"
    _status=$?
    while kill -s 0 "$_leader"; do
        test "$_status" -lt 147 || sleep 1
        wait "$_leader"
        _status=$?
    done
    while test "$_asked" && _lives; do sleep 1; done
    read -r _full <"$_room"
    test "$_status" = 0 || _read_end
    case $_status$_told$_full in
    *{*) echo "hydraflow: cannot write $_events" >&6; exit 1 ;;
    0 | *end) ;;
    *start)
        kill -s KILL -- "-$_leader"
        read -r _up _ </proc/uptime
        printf '\n{%s,"status":%s,"event":"end","up":%s}' "$_task" "$_status" "$_up" >>"$_events" ;;
    *) test -z "$_asked" && return; exit 1 ;;
    esac
    set -- "$_room"
    test -s "$_log" || set -- "$@" "$_log"
    test -s "$_out" || set -- "$@" "$_out"
    test "$_status" != 0 || test "$_asked" || exec rm -f "$@"
    rm -f "$@"
    exit 1
}
begin() {
    exec 6>&2 2>/dev/null
    _begin "$@"
    exec 2>&6 6>&-
}
"""
PROMPT, PATIENT = 20.0, 60.0  # seconds for what answers at once, and for what may be busy
NOTHING = -1  # in place of a descriptor to read from: there is nothing to read
SHELL_LETTERS = frozenset(  # a variable with any other in its name is lost on its way through sh
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789")
HAS_PROC = os.path.exists("/proc/self/stat")


def environment(changes: "Mapping[str, Optional[str]]") -> "Dict[Any, Any]":
    """Return the environment of this process with changes; None takes a variable away."""
    result = dict(os.environb if os.name == "posix" else os.environ)  # type: Dict[Any, Any]
    for name, value in changes.items():
        result.pop(native(name), None)
        if value is not None:
            result[native(name)] = native(value)
    return result


def lost_in_shell() -> "List[str]":
    """Return NAME=VALUE of the variables that sh would drop: exported functions of bash, say."""
    lost = []
    for name, value in os.environ.items():
        if name[:1].isdigit() or not SHELL_LETTERS.issuperset(name or "="):
            lost.append(f"{name}={value}")
    return lost


def spawn(argv: "Sequence[str]", output: "Union[int, IO[bytes], None]",
          errors: "Union[int, IO[bytes], None]", env: "Mapping[Any, Any]",
          entry: int = NOTHING, is_session: bool = True) -> "subprocess.Popen[bytes]":
    """Start argv without a shell, as the leader of a process group.

    The group is a session of its own, without a terminal, unless our own session is to end it with
    us (PBS). entry is the descriptor that becomes its standard input.
    """
    return subprocess.Popen(
        [native(word) for word in argv], stdin=subprocess.DEVNULL if entry == NOTHING else entry,
        stdout=output, stderr=errors, env=env, start_new_session=is_session,
        preexec_fn=None if is_session else os.setpgrp)  # there are no threads


class Child:
    """A process that we started; status is that of its end, below 0 for a signal, None before."""
    __slots__ = ("pid", "status")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status = None  # type: Optional[int]

    def wait(self) -> "Optional[int]":
        """Wait for its end, and return its status."""
        return self.look(0)

    def poll(self) -> "Optional[int]":
        """Return its status, None while it runs."""
        return self.look(os.WNOHANG)

    def look(self, options: int) -> "Optional[int]":
        """Return its status, None while it runs, as waitpid tells it with some options."""
        if self.status is not None:
            return self.status
        try:
            pid, status = os.waitpid(self.pid, options)
        except ChildProcessError:  # somebody else in this process has heard of its end
            self.status = 0
            return 0
        if pid and os.WIFSIGNALED(status):
            self.status = -os.WTERMSIG(status)
        elif pid:
            self.status = os.WEXITSTATUS(status)
        return self.status


def spawn_shell(words: "Sequence[str]", log: "IO[bytes]", env: "Mapping[Any, Any]", entry: int,
                is_session: bool, left: "Sequence[int]") -> "Union[Child, subprocess.Popen[bytes]]":
    """Start a shell, that around a task, as spawn would; all of its output goes into log.

    left are descriptors that it is not to inherit. Where Python and the system can do that by
    themselves, which they can for most since Python 3.8, subprocess is not imported, and a start
    takes half as long.
    """
    is_usual = log.fileno() > 2 and entry not in (0, 1, 2)
    if not (HAS_PROC and is_usual and hasattr(os, "posix_spawn")):
        return spawn(words, log, log, env, entry, is_session)
    argv = [native(word) for word in words]
    opened, copied = os.POSIX_SPAWN_OPEN, os.POSIX_SPAWN_DUP2  # novm
    closed = os.POSIX_SPAWN_CLOSE  # novm
    actions = [(copied, log.fileno(), 1), (copied, log.fileno(), 2)]  # type: List[Tuple[Any, ...]]
    if entry == NOTHING:
        actions.append((opened, 0, os.devnull, os.O_RDONLY, 0))
    else:
        actions.append((copied, entry, 0))
    actions += [(closed, number) for number in left]
    group = {"setsid": True} if is_session else {"setpgroup": 0}  # type: Dict[str, Any]
    restored = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them, and programs are not to
    try:
        pid = os.posix_spawn(  # novm
            argv[0], argv, env, file_actions=actions, setsigdef=restored, **group)
        return Child(pid)
    except NotImplementedError:  # the C library cannot begin a session
        return spawn(words, log, log, env, entry, is_session)


def inherited() -> "List[int]":
    """Return the descriptors that our parent left to us, beside the usual three.

    No program that we start is to have them: who reads from a pipe would wait for its end, too.
    """
    found = []
    for name in os.listdir("/proc/self/fd") if HAS_PROC else ():
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:  # that of the list itself
            pass
    return found


def reason(error: OSError) -> str:
    """Return why a system call failed; on Python 3.6, error.strerror may have a path in it."""
    return os.strerror(error.errno or 0)


def check_directory(path: str) -> None:
    """Raise an OSError that names a path, unless it is a directory that we may work in."""
    try:
        os.stat(native(os.path.join(path, ".")))
    except OSError as error:
        raise OSError(error.errno, reason(error), path) from None


def capture(argv: "Sequence[str]", env: "Mapping[Any, Any]",
            timeout: float = PROMPT) -> "Tuple[int, str, str]":
    """Return exit status, output and errors of a command.

    The status is 127 if it cannot be started, 124 if it takes more than timeout seconds.
    """
    try:
        process = spawn(argv, subprocess.PIPE, subprocess.PIPE, env)
    except OSError as error:
        return 127, "", reason(error)
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        stop_group(process.pid, signal.SIGKILL)
        process.communicate()
        return 124, "", f"no answer for {timeout:.0f} seconds"
    text = output.decode("utf-8", "replace")
    return process.returncode, text, errors.decode("utf-8", "replace")


def stop_group(leader: int, number: int) -> bool:
    """Send a signal to a process group; return whether anything of it was still there."""
    try:
        os.killpg(leader, number)
    except OSError:
        return False
    return True


def stop_process(pid: int, number: int) -> bool:
    """Send a signal to one process; return whether it was still there."""
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


def end_by_signal(number: int) -> None:
    """End this process as a signal would by default.

    A shell that executes it then ends as well, and begins no next line.
    """
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def is_group(leader: int) -> bool:
    """Return whether anything of a process group is left, if only its remains."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


class Machine(NamedTuple("Machine", [
        ("host", str), ("identity", str), ("boot", str), ("namespace", str)])):
    """Where a process number means a process.

    host is the machine's name, identity that of its installation, boot that of its last start,
    namespace that of the process numbers (a container has its own); "" where not known.
    """
    __slots__ = ()


def first_line(path: str) -> str:
    """Return the first line of a small file of the system, "" where there is none."""
    try:
        with open(path, "rb") as file:
            return file.readline(256).decode("ascii", "replace").strip()
    except OSError:
        return ""


def host_name() -> str:
    """Return the name of this machine."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    return os.environ.get("COMPUTERNAME", "")


@functools.lru_cache(maxsize=None)
def this_machine() -> Machine:
    """Return the machine that executes us, as process numbers see it."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    boot = first_line("/proc/sys/kernel/random/boot_id")
    return Machine(host_name(), first_line("/etc/machine-id"), boot, namespace)


def uptime() -> float:
    """Return the seconds since the machine started, which no change of the clock touches.

    Where there is no /proc, the seconds since 1970.
    """
    try:
        with open("/proc/uptime", "rb") as file:
            return float(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return time.time()


def process_stat(pid: int) -> "List[bytes]":
    """Return the fields of /proc/PID/stat from the third one on, its state (proc(5)); [] for none.

    The second field is a name that may hold anything. What has ended, if its parent has not heard
    of that yet, counts as gone.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return []
    if fields and fields[0] in (b"Z", b"X"):
        return []
    return fields


def process_birth(pid: int) -> float:
    """Return when a process started, in seconds of uptime(); -1.0 if there is none, or its remains.

    Field 22 of /proc/PID/stat, in clock ticks (proc(5)); ps knows it where there is no /proc.
    """
    if not HAS_PROC:
        return birth_by_ps(pid)
    try:
        return int(process_stat(pid)[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return -1.0


def birth_by_ps(pid: int) -> float:
    """Return at most two seconds too early when a process started, -1.0 if there is none.

    ps tells its age, in whole seconds, as [[DAYS-]HOURS:]MINUTES:SECONDS (POSIX).
    """
    if not is_process(pid):
        return -1.0
    argv = ["ps", "-o", "stat=", "-o", "etime=", "-p", str(pid)]
    status, out, _ = capture(argv, environment({}))
    if status == 127:  # there is no ps either: no more is known than that it exists
        return 0.0
    fields = out.split()
    if len(fields) != 2 or fields[0].startswith("Z"):
        return -1.0
    parts = [int(part) for part in re.findall("[0-9]+", fields[1])]
    days, hours, minutes, seconds = [0] * (4 - len(parts)) + parts
    age = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    now = uptime()
    if age > now:  # of what has begun this instant, procps rounds an age below zero, and wraps it
        age = 0
    return now - age - 2.0


def hash_text(text: str) -> int:
    """Return a number above zero that is the same for the same text on every machine."""
    import zlib
    return zlib.crc32(native_bytes(text)) + 1


def is_hidden(pid: int) -> bool:
    """Return whether a process is there that /proc does not show us: another user's, where it is
    mounted with hidepid (proc(5))."""
    return HAS_PROC and not os.access(f"/proc/{pid}/stat", os.R_OK) and is_process(pid)


def is_process(pid: int) -> bool:
    """Return whether a process exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def process_text(pid: int) -> bytes:
    """Return what a process was started with: its words, and where there is /proc its variables."""
    if not HAS_PROC:
        _, out, _ = capture(["ps", "-o", "command=", "-p", str(pid)], environment({}))
        return native_bytes(out)
    text = b""
    for name in ("cmdline", "environ"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                text += file.read() + b"\0"
        except OSError:
            pass
    return text


def group_members(leader: int) -> "List[int]":
    """Return the living processes of a group, its leader aside; none where there is no /proc."""
    if not is_group(leader) or not HAS_PROC:
        return []
    members = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == leader:
            continue
        fields = process_stat(int(name))
        if len(fields) > 2 and int(fields[2]) == leader:
            members.append(int(name))
    return members


def is_group_alive(leader: int) -> bool:
    """Return whether a process of a group lives whose leader has ended.

    The first process of a container may hear of no end: then the remains of others stay. Without
    /proc, they count as living.
    """
    return bool(group_members(leader)) if HAS_PROC else is_group(leader)


def signal_name(number: int) -> str:
    """Return the name of a signal.

    >>> signal_name(9), signal_name(99)
    ('SIGKILL', 'signal 99')
    """
    from signal import Signals
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


GUARD = """
cd /
while read -r line; do leaders=$line; done
for leader in $leaders; do kill -s KILL -- "-$leader"; done
"""


class Guard:
    """Kills process groups once this process is gone, even by SIGKILL, which nobody can catch.

    A shell in a session of its own reads from a pipe which of them run; the pipe ends with us.
    """
    __slots__ = ("pipe", "process")

    def __init__(self) -> None:
        reader, self.pipe = os.pipe()
        words = ["/bin/sh", "-c", GUARD]
        try:
            with open(os.devnull, "wb") as nowhere:
                self.process = spawn_shell(
                    words, nowhere, environment({}), reader, True, inherited())
        except OSError:
            os.close(self.pipe)
            raise
        finally:
            os.close(reader)

    def watch(self, leaders: "Iterable[int]") -> None:
        """Tell it which groups run now."""
        line = " ".join(map(str, leaders))
        try:
            os.write(self.pipe, f"{line}\n".encode("ascii"))
        except OSError:
            pass  # somebody killed it: the tasks go on as they would without it

    def leave(self) -> None:
        """End it, when nothing runs any more."""
        os.close(self.pipe)
        self.process.wait()


class Signals:
    """Signals that ask to stop are noted, and wake the loop up, instead of breaking into it."""
    __slots__ = ("numbers", "reader", "writer", "old", "old_wakeup")

    def __enter__(self) -> "Signals":
        self.numbers = []  # type: List[int]
        self.old = {}  # type: Dict[int, Any]
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        self.old_wakeup = None  # type: Optional[int]
        try:
            self.old_wakeup = signal.set_wakeup_fd(self.writer)
        except ValueError:  # not the main thread: then wait() comes back often enough
            return self
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGCHLD", "SIGUSR1", "SIGUSR2"):
            number = getattr(signal, name, None)
            if number is None:
                continue
            if signal.getsignal(number) == signal.SIG_IGN and name != "SIGCHLD":
                continue  # who ignores a signal for us (nohup) means it
            self.old[number] = signal.signal(number, self.note)
        return self

    def note(self, number: int, frame: object) -> None:
        """Note a signal."""
        if number != getattr(signal, "SIGCHLD", 0):
            self.numbers.append(number)

    def wait(self, seconds: float) -> None:
        """Sleep until a child ends, a signal comes or time has passed."""
        import select
        if self.old_wakeup is None:
            seconds = min(seconds, 0.02)
        if select.select([self.reader], [], [], max(seconds, 0.0))[0]:
            try:
                while len(os.read(self.reader, 4096)) == 4096:
                    pass
            except BlockingIOError:
                pass

    def pause(self, seconds: float) -> None:
        """Sleep until a signal comes or time has passed, whatever children end."""
        limit = time.monotonic() + seconds
        while not self.numbers and time.monotonic() < limit:
            self.wait(limit - time.monotonic())

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)
        if self.old_wakeup is not None:
            signal.set_wakeup_fd(self.old_wakeup)
        os.close(self.reader)
        os.close(self.writer)


def call_function(argv: "Sequence[str]") -> str:
    """Call package.function with a list of strings.

    Return "", or a traceback that shows the user's own code only. Error where there is no function.
    """
    import importlib
    import traceback
    sys.path[0] = ""  # the working directory, as with python -m, in place of this file's
    module, _, name = argv[0].rpartition(".")
    try:
        function = getattr(importlib.import_module(module), name, None)
        if function is None:
            raise Error("unknown-function", f"module {module} has no function {name}", NOWHERE,
                        suggest(name, dir(sys.modules[module])) or "call: names module.function")
        function(list(argv[1:]))
    except (SystemExit, Error):
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not (module + ".").startswith(error.name + "."):
            raise
        hint = "it is looked up in the working directory and PYTHONPATH"
        raise Error("unknown-module", f"there is no module {error.name}", NOWHERE, hint) from None
    except Exception as error:
        own = []
        for frame in traceback.extract_tb(error.__traceback__):
            is_frozen = frame.filename.startswith("<frozen importlib")
            if not is_frozen and frame.filename not in (__file__, importlib.__file__):
                own.append(frame)
        lines = traceback.format_list(own)
        lines += traceback.format_exception_only(type(error), error)
        return "Traceback (most recent call last):\n" + "".join(lines).rstrip()
    return ""


# ---------------------------------------------------------------------------
# 7. Records: Task, Start, Submission, event <-> files
# ---------------------------------------------------------------------------
# Record knows every path below .hydraflow/; open_safely opens every file there, append_lines is the
# one function that appends what others may read, read_lines passes over what a kill or a full disk
# tore. WriterName is who writes events, and what a file of them is called. Each kind of line is
# written and read by functions that stand together: start_line and read_start, task_line and
# line_task, write_submission and read_submission, append_event and is_event. Ledger is what a plan
# says, Lock is held while someone executes a run.
#
#   .hydraflow/JOB/ULID/...
#       plan.jsonl         starts and tasks, appended: a task is planned by the start above it;
#                          plan.begun until the first start is whole
#       events/W.jsonl     what writer W saw of the tasks that it executes; one machine each
#       claims/K/N-A       made by who executes attempt A of task N, and by nobody else: a symbolic
#                          link of the name of writer W, or a link to
#       claims/W           this name, of a writer that claims several
#       claims/slot-N-S/T  the same of who executes slot S of submission N, for its T-th task
#       logs/K/N.log       the output of task N, as it wrote it, attempts marked
#       room/W-S           space kept free for the end of a task on a full disk
#       lock               held while a start of the run executes or submits
#       submissions/N.*    what an array job or a handler got: its facts, its slots, a verdict, and
#                          in N.commands/B the commands of a block of its slots
#       submissions/stop-N made when a task that start N submitted has failed, with fail-fast
#       scheduler/N-S.out  what a scheduler wrote beside the output of the tasks of a slot
#       hydraflow.py       the program that array tasks execute
#
# Nothing is ever rewritten, a line is written by one system call, and a claim is a file whose
# creation fails where it exists: that holds on a network file system too. What is read here is
# input, and checked: bytes that make no sense are passed over, or an Error that names the file.

ROOT = ".hydraflow"
FORMAT = 2  # of the record; what HydraFlow 1.0.0 wrote has no number
HERE = "here"  # who: the HydraFlow of a start, which executes tasks on its own machine
HANDLER = "handler"  # who calls a handler; in place of a scheduler: one whose lines execute tasks
PARAMETERS = "parameters"  # in place of a scheduler: a handler that gets no commands
NO_SLOT = 0, 0  # of a submission: both count from 1
FOLDERS = ("events", "claims", "logs", "room", "submissions", "scheduler")
LINES = 4096  # that are read together
PLAN_LINE = (  # of a task, of which no more is read than its number and its step, or another one
    rb'(?m)^\{(?:"task":([0-9]{1,9}),"step":([0-9]{1,9}),)?.*\}$')
BLOCK = 256  # tasks that are planned ahead, so that the plan costs few system calls
START_TYPES = (  # of the fields of Start
    int, str, int, (int, float), str, str, list, str, bool, int)  # type: Any
NO_LINK = (  # errors of a file system without links, or without more of them to one file
    errno.EMLINK, errno.EPERM, errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EACCES)
CRASHED = "crashed"  # who: of a claim that lost its text when its machine lost power
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # a record is not written through a symbolic link
EVENT_TYPES = {
    "task": int, "try": int, "pid": int, "slot": int, "status": int, "missing": int, "runs": int,
    "submission": int, "up": (int, float), "began": (int, float), "ended": (int, float),
    "why": str, "from": str}  # type: Dict[str, Any]


def say_error(error: OSError, what: str) -> Error:
    """Return the mistake that a failed system call amounts to."""
    if error.errno == errno.ELOOP:
        hint = "a record is kept in real files"
        return Error("symbolic-link", f"cannot {what}: it is a symbolic link", NOWHERE, hint)
    return Error("system-call", f"cannot {what}: {error.strerror or error}", NOWHERE,
                 "free what is in the way, or choose another place")


@functools.lru_cache(maxsize=None)
def json_tools() -> "Tuple[Callable[[Any], str], Callable[[str], Any]]":
    """Return what writes a value as JSON without white space, and what reads such a text.

    These are the parts of json that are written in C, where Python has them: json itself imports
    re, and together they take longer than all else that an array task does.
    """
    def unknown(value: object) -> None:
        raise TypeError(f"no JSON has a {type(value).__name__}")

    class Reading:
        strict = True
        object_hook = object_pairs_hook = None
        parse_float, parse_int, parse_constant = float, int, float
        memo = {}  # type: Dict[str, str]

    try:
        import _json
        text = _json.encode_basestring_ascii
        write = _json.make_encoder(None, unknown, text, None, ":", ",", False, False, True)
        read = _json.make_scanner(Reading)  # type: ignore[arg-type]
    except (ImportError, AttributeError, TypeError):
        import json
        return functools.partial(json.dumps, separators=(",", ":")), json.loads

    def read_whole(text: str) -> "Any":
        try:
            value, end = read(text, 0)
        except (StopIteration, SystemError):  # that of 3.10 and 3.11 has no error to raise
            end = -1
        if end != len(text):
            raise ValueError("this is no JSON, or has more behind it")
        return value

    return lambda value: "".join(write(value, 0)), read_whole


def to_json(value: "Any") -> str:
    """Return a value as JSON, in ASCII and without white space.

    >>> to_json({"a": [1, 0.5, None, "\\u00e9"]})
    '{"a":[1,0.5,null,"\\\\u00e9"]}'
    """
    return json_tools()[0](value)


def from_json(text: str) -> "Any":
    """Return the value of a text of JSON; ValueError or RecursionError if it is none.

    >>> from_json('{"a":[1,0.5,null,"\\u00e9"]}')
    {'a': [1, 0.5, None, 'é']}
    """
    return json_tools()[1](text)


def open_safely(path: str, flags: int) -> int:
    """Open a file of a record, and return its descriptor; with O_CREAT, also its folder is made."""
    flags |= NO_FOLLOW
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return os.open(path, flags, 0o666)


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
    descriptor = open_safely(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        write_all(descriptor, data)
        end = os.lseek(descriptor, 0, os.SEEK_CUR)
    finally:
        os.close(descriptor)
    offsets = accumulate([end - len(data) + 1, *map(len, texts)])
    return list(offsets)[:-1]


def write_file(path: str, data: bytes) -> None:
    """Write a file that is not there yet."""
    descriptor = open_safely(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def read_bytes(path: str) -> bytes:
    """Return what a file of a record holds; nothing if there is no such file. Raises Error."""
    try:
        with open(open_safely(path, os.O_RDONLY), "rb", 0) as file:
            return file.readall()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise say_error(error, f"read {os.path.relpath(path)}") from None


def read_part(path: str, offset: int, size: int) -> bytes:
    """Return size bytes of a file of a record from an offset on, -1 for its line. Raises Error."""
    try:
        with open(open_safely(path, os.O_RDONLY), "rb") as file:
            file.seek(offset)
            if size < 0:
                return file.readline()
            return file.read(size)
    except OSError as error:
        raise say_error(error, f"read {path}") from None


def read_lines(path: str) -> "Iterator[Dict[str, Any]]":
    """Yield the lines of a file of a record that are whole."""
    begun = [line for line in read_bytes(path).split(b"\n") if line[:1] == b"{"]
    lines = [line for line in begun if line.rstrip(b" ")[-1:] == b"}"]
    for begin in range(0, len(lines), LINES):
        part = lines[begin:begin + LINES]
        for values in read_together(part) or map(read_line, part):
            if isinstance(values, dict):
                yield values


def read_together(lines: "Sequence[bytes]") -> "Optional[List[Any]]":
    """Return lines of JSON, read by one call, which is much faster; None if one of them is torn."""
    try:
        found = from_json((b"[" + b",".join(lines) + b"]").decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return found if len(found) == len(lines) else None


def read_line(line: bytes) -> "Optional[Dict[str, Any]]":
    """Return one line of JSON, or nothing if it is torn."""
    try:
        values = from_json(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def is_there(path: str) -> bool:
    """Return whether a record has a file; raises Error where that cannot be known."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise say_error(error, f"read {os.path.relpath(path)}") from None
    return True


def list_folder(path: str) -> "List[str]":
    """Return the names in a folder of a record in order; none if there is no such folder.

    Raises Error for any other failure.
    """
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise say_error(error, f"read {os.path.relpath(path)}") from None


class WriterName(NamedTuple("WriterName", [("start", int), ("who", str), ("unique", str)])):
    """Who writes events: in which start of a run, as what, and what no other writer has.

    As a text it names a file, and the order of such names is the order of starts.

    >>> WriterName.parse("0002_slot-1-3_node7-4711")
    WriterName(start=2, who='slot-1-3', unique='node7-4711')
    >>> str(WriterName(2, "here", "node7-4711"))
    '0002_here_node7-4711'
    """
    __slots__ = ()

    def __str__(self) -> str:
        return f"{self.start:04d}_{self.who}_{self.unique}"

    @classmethod
    def parse(cls, text: str) -> "WriterName":
        """Return the writer of a name; of a name that nobody writes under, 0 and nothing."""
        start, _, rest = text.partition("_")
        who, _, unique = rest.partition("_")
        if not start.isdigit():
            return cls(0, "", "")
        return cls(int(start), who, unique)

    @classmethod
    def own(cls, start: int, who: str) -> str:
        """Return the name under which this process writes, as a text."""
        return str(cls(start, who, f"{host_name()}-{os.getpid()}"))

    @property
    def is_slot(self) -> bool:
        """Whether it executes the tasks of a slot: an array task, or a line of a handler."""
        return self.slot != NO_SLOT

    @property
    def slot(self) -> "Tuple[int, int]":
        """The numbers of the submission and of its slot that it executes tasks of."""
        parts = self.who.split("-")
        if len(parts) != 3 or parts[0] != "slot" or not all(map(str.isdecimal, parts[1:])):
            return NO_SLOT
        return int(parts[1]), int(parts[2])


def slot_who(submission: int, slot: "Union[int, str]") -> str:
    """Return as what the executor of a slot writes: whoever has the slot later is the same one."""
    return f"slot-{submission}-{slot}"


class Record:
    """The directory in which one run of a job keeps its plan, its events and its logs."""
    __slots__ = ("path", "ulid", "job")

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.ulid = os.path.basename(self.path)
        self.job = os.path.basename(os.path.dirname(self.path))

    @staticmethod
    def directory(job: str) -> str:
        """Return where the records of a job are; its name may hold what no file name can.

        >>> Record.directory("a/b")
        '.hydraflow/a%2Fb'
        """
        def escaped(match: "Match[str]") -> str:
            return "".join(map("%{:02X}".format, native_bytes(match[0])))

        name = re.sub("[^A-Za-z0-9_-]", escaped, job)
        if len(name) > 200:
            name = f"{name[:200]}%{hash_text(name)}"
        return f"{ROOT}/{name}"

    @property
    def plan_path(self) -> str:
        """The file of starts and tasks."""
        return f"{self.path}/plan.jsonl"

    @property
    def begun_plan_path(self) -> str:
        """The file of the first start, until all of it is there."""
        return f"{self.path}/plan.begun"

    @property
    def lock_path(self) -> str:
        """The file that is locked while someone executes or submits."""
        return f"{self.path}/lock"

    @property
    def program_path(self) -> str:
        """The copy of this file that array tasks execute."""
        return f"{self.path}/hydraflow.py"

    def events_path(self, writer: str) -> str:
        """Return the file of the events of one writer."""
        return f"{self.path}/events/{writer}.jsonl"

    def room_path(self, writer: str, slot: int) -> str:
        """Return the file with space for the end of a task on a full disk."""
        return f"{self.path}/room/{writer}-{slot}"

    def log_path(self, number: int) -> str:
        """Return the file of the output of a task."""
        return f"{self.path}/logs/{number // 1000}/{number}.log"

    def claim_path(self, number: int, attempt: int) -> str:
        """Return the file that who executes an attempt of a task makes."""
        return f"{self.path}/claims/{number // 1000}/{number}-{attempt}"

    def turn_path(self, submission: int, slot: int, turn: int) -> str:
        """Return the file that who executes a slot makes before it begins its next task."""
        return f"{self.path}/claims/{slot_who(submission, slot)}/{turn}"

    def submission_path(self, number: int, part: str) -> str:
        """Return a file of a submission.

        Its parts are jsonl (its facts), slots, sh, begin (what sh begins its tasks with), txt (a
        handler's lines), passed, failed.
        """
        return f"{self.path}/submissions/{number}.{part}"

    def commands_path(self, submission: int, block: "Union[int, str]") -> str:
        """Return the file of the commands of some of its slots, where sh begins them."""
        return f"{self.path}/submissions/{submission}.commands/{block}"

    def scheduler_path(self, submission: int, slot: "Union[int, str]") -> str:
        """Return the file of what a scheduler, and HydraFlow in an array task, wrote for a slot."""
        return f"{self.path}/scheduler/{submission}-{slot}.out"

    def stop_path(self, start: int) -> str:
        """Return the file that tells array tasks of a start to begin nothing: a task has failed."""
        return f"{self.path}/submissions/stop-{start}"

    def submission_numbers(self) -> "List[int]":
        """Return the numbers of the submissions in their order."""
        names = list_folder(f"{self.path}/submissions")
        matches = [re.fullmatch(r"([0-9]{1,9})\.jsonl", name) for name in names]
        return sorted(int(match.group(1)) for match in matches if match)

    @classmethod
    def create(cls, job: str, ulid: int) -> "Record":
        """Make the directory of a new record, behind all others even if the clock was set back."""
        directory = cls.directory(job)
        try:
            os.makedirs(directory, exist_ok=True)
            if not os.path.lexists(f"{ROOT}/.gitignore"):
                write_file(f"{ROOT}/.gitignore", b"*\n")
            record = cls.make(directory, ulid_text(ulid))
            for folder in FOLDERS:
                os.mkdir(os.path.join(record.path, folder))
        except OSError as error:
            raise say_error(error, f"keep a record in {directory}") from None
        return record

    @classmethod
    def make(cls, directory: str, name: str) -> "Record":
        """Make an empty record of a name, or behind the last one there, under a name of its own."""
        while True:
            names = [one for one in os.listdir(directory) if len(one) == ULID_LENGTH]
            behind = next_ulid(max(names, default=""))
            record = cls(f"{directory}/{max(name, behind)}")
            try:
                os.mkdir(record.path)
            except FileExistsError:  # another one began in the same instant
                continue
            return record

    @classmethod
    def all(cls, job: str) -> "List[Record]":
        """Return the records of a job, the oldest first."""
        return cls.all_in(cls.directory(job))

    @classmethod
    def all_in(cls, directory: str) -> "List[Record]":
        """Return the records in the directory of a job, the oldest first."""
        names = [name for name in list_folder(directory) if len(name) == ULID_LENGTH]
        records = [cls(f"{directory}/{name}") for name in names]
        return [record for record in records if is_there(record.plan_path)]

    @classmethod
    def newest(cls) -> "List[Record]":
        """Return the newest record of every job that was run here."""
        found = []
        for name in list_folder(ROOT):
            directory = f"{ROOT}/{name}"
            if not os.path.isfile(directory):
                found += cls.all_in(directory)[-1:]
        return found

    def event_paths(self) -> "List[str]":
        """Return the files with events, then those which hold what found no space elsewhere."""
        names = [f"{self.path}/events/{name}" for name in list_folder(f"{self.path}/events")]
        return names + [f"{self.path}/room/{name}" for name in list_folder(f"{self.path}/room")]

    def claimant_path(self, writer: str) -> str:
        """Return the file with the name of a writer that claims tasks."""
        return f"{self.path}/claims/{writer}"

    def claim(self, number: int, attempt: int, writer: str) -> bool:
        """Claim an attempt of a task; return whether nobody else had."""
        return self.make_claim(self.claim_path(number, attempt), writer)

    def claim_turn(self, submission: int, slot: int, turn: int, writer: str) -> bool:
        """Claim a turn of a slot; return whether nobody else had."""
        return self.make_claim(self.turn_path(submission, slot, turn), writer)

    def introduce(self, writer: str) -> None:
        """Make the file to which the claims of a writer are links from now on."""
        path = self.claimant_path(writer)
        write_file(f"{path}.begun", native_bytes(writer))
        os.rename(f"{path}.begun", path)  # nobody links to half of it

    def make_claim(self, path: str, writer: str) -> bool:
        """Make the file of a claim; return whether nobody else had.

        It is made in one step that fails where it exists: a link if the writer is introduced, which
        takes no inode, of which users have a quota; else, or where such cannot be had, a symbolic
        one, which is never followed.
        """
        try:
            os.link(self.claimant_path(writer), path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in (errno.ENOENT, *NO_LINK):
                raise
            return self.claim_by_name(path, writer)
        return True

    def claim_by_name(self, path: str, writer: str) -> bool:
        """Make a claim that is a symbolic link; return whether nobody else had."""
        try:
            os.symlink(writer, path)
        except FileExistsError:
            return False
        except FileNotFoundError:  # the first claim of a thousand tasks
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return self.make_claim(path, writer)
        except OSError as error:
            if error.errno not in NO_LINK or is_there(self.claimant_path(writer)):
                raise
            self.introduce(writer)
            return self.make_claim(path, writer)
        return True

    def claimant(self, number: int, attempt: int) -> str:
        """Return the writer that has claimed an attempt of a task, "" for none."""
        path = self.claim_path(number, attempt)
        try:
            return os.readlink(path)
        except FileNotFoundError:
            return ""
        except OSError as error:
            if error.errno != errno.EINVAL:  # it is a symbolic link, and cannot be read
                raise say_error(error, f"read {path}") from None
        return os.fsdecode(read_bytes(path)) or str(WriterName(0, CRASHED, ""))


def next_ulid(text: str) -> str:
    """Return the text of the ULID that follows one; of nothing the first.

    >>> next_ulid("01ARZ3NDEKTSV4RRFFQ69G5FZZ")
    '01ARZ3NDEKTSV4RRFFQ69G5G00'
    """
    number = 0
    for char in text:
        number = number << 5 | max(CROCKFORD.find(char), 0)
    return ulid_text(number + 1)


class Start(NamedTuple("Start", [
        ("number", int), ("job", str), ("count", int), ("time", float), ("host", str),
        ("version", str), ("words", "List[str]"), ("commit", str), ("is_dirty", bool),
        ("format", int)])):
    """A start of a run: run JOB, or --resume.

    number counts from 1 within the record; time is in seconds since 1970.
    """
    __slots__ = ()


def read_start(values: "Dict[str, Any]", path: str) -> Start:
    """Return the start that a line of a plan describes; Error for that of another format."""
    is_old = "start" not in values and "job" in values
    if is_old or values.get("format", FORMAT) != FORMAT:
        version = f"HydraFlow {values['version']}" if "version" in values else "another HydraFlow"
        message = f"the record {os.path.relpath(path)} was written by {version},"
        hint = "run the job anew; that HydraFlow still reads it"
        raise Error("other-format", f"{message} and is not read here", NOWHERE, hint)
    found = [values.get(name) for name in ("start", *Start._fields[1:])]  # type: Any
    if all(isinstance(value, kind) for value, kind in zip(found, START_TYPES)):
        return Start(*found)
    raise damaged(path)


def damaged(path: str) -> Error:
    """Return the Error about a file of a record that nobody wrote like this."""
    return Error("damaged-record", f"{os.path.relpath(path)} is damaged", NOWHERE,
                 "run the job anew")


def start_line(start: Start) -> "Dict[str, Any]":
    """Return a start as a line of the plan."""
    values = start._asdict()
    return {"start": values.pop("number"), **values}


def write_start(record: Record, start: Start) -> None:
    """Append a start to the plan of a record, which has a plan once its first start is whole.

    OSError where it cannot be written.
    """
    if start.number > 1:
        append_lines(record.plan_path, [start_line(start)])
        return
    append_lines(record.begun_plan_path, [start_line(start)])
    os.rename(record.begun_plan_path, record.plan_path)


def task_line(task: Task, program: str) -> "Dict[str, Any]":
    """Return a task as a line of the plan; program is its path, where another machine needs it."""
    return {
        "task": task.number, "step": task.step, "index": task.index, "words": task.combination,
        "argv": task.argv, "key": task.key, "dir": task.directory,
        "cwd": os.path.abspath(task.cwd), "env": task.env, "runs": task.runs,
        "call": task.is_call, "makes": task.has_directory, "program": program}


def line_task(values: "Dict[str, Any]", path: str) -> Task:
    """Return the task that a line of a plan describes."""
    try:
        if is_task_line(values):
            return Task(
                number=values["task"], step=values["step"], index=values["index"],
                combination=tuple(values["words"]), argv=tuple(values["argv"]),
                key=tuple(values["key"]), directory=values["dir"], cwd=values["cwd"],
                env=values["env"], runs=values["runs"], is_call=bool(values["call"]),
                has_directory=bool(values["makes"]))
    except (KeyError, TypeError, AttributeError):
        pass
    raise damaged(path)


def is_task_line(values: "Dict[str, Any]") -> bool:
    """Return whether the values of a line are of the types that task_line writes.

    KeyError, TypeError or AttributeError where it is something else altogether.
    """
    texts = [values["dir"], values["cwd"], values["program"]]
    for name in ("words", "argv", "key"):
        texts += values[name]
    texts += [*values["env"], *(value or "" for value in values["env"].values())]
    if not all(isinstance(text, str) and "\0" not in text for text in texts):
        return False
    numbers = [values[name] for name in ("task", "step", "index", "runs")]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        return False
    return bool(values["argv"])


class Ledger:
    """What the plan of a record says.

    starts are all of them; members are the tasks that the last one planned, in its order, each with
    its step; offsets tell where in data the line of every task begins, the last where there are
    several.
    """
    __slots__ = ("path", "starts", "members", "offsets", "data")

    def __init__(self, record: Record) -> None:
        self.path = record.plan_path
        self.data = read_bytes(record.plan_path)
        self.starts = []  # type: List[Start]
        self.members = {}  # type: Dict[int, int]
        self.offsets = {}  # type: Dict[int, int]
        for match in re.finditer(PLAN_LINE, self.data):
            digits, step = match.groups()
            if digits:
                number = int(digits)
                self.members[number] = int(step)
                self.offsets[number] = match.start()
            else:
                self.add(match[0])
        if not self.starts:
            raise damaged(self.path)

    def add(self, line: bytes) -> None:
        """Take in a line of the plan that is not of a task."""
        values = read_line(line) or {}
        if "again" in values:
            self.add_again(values)
        elif values and "task" not in values:
            self.starts.append(read_start(values, self.path))
            self.members = {}

    def add_again(self, values: "Dict[str, Any]") -> None:
        """Take in the ranges of tasks that an earlier start had planned, and this one as well."""
        try:
            for first, last in values["again"]:
                for number in range(int(first), int(last) + 1):
                    if number not in self.offsets:
                        raise damaged(self.path)
                    self.members[number] = int(values["step"])
        except (TypeError, ValueError, KeyError):
            raise damaged(self.path) from None

    @property
    def start(self) -> Start:
        """The last start."""
        return self.starts[-1]

    def line(self, number: int) -> bytes:
        """Return the line of a task."""
        begin = self.offsets[number]
        end = self.data.find(b"\n", begin)
        return self.data[begin:] if end < 0 else self.data[begin:end]

    def values(self, numbers: "Iterable[int]") -> "List[Dict[str, Any]]":
        """Return the lines of some tasks, those that are planned."""
        lines = [self.line(number) for number in numbers if number in self.offsets]
        found = map(read_line, lines)
        return [values for values in found if values]

    def task(self, number: int) -> "Optional[Task]":
        """Return a task, or nothing if there is none of that number."""
        for values in self.values([number]):
            return line_task(values, self.path)
        return None

    def last_number(self) -> int:
        """Return the number of the last task."""
        return max(self.offsets, default=0)

    def keys(self) -> "Dict[Tuple[str, ...], List[int]]":
        """Return the numbers of the tasks of each key, in their order."""
        order = sorted(self.offsets)
        every = read_together([self.line(number) for number in order])
        if every is None:
            raise damaged(self.path)
        numbers = {}  # type: Dict[Tuple[str, ...], List[int]]
        for number, values in zip(order, every):
            if not isinstance(values.get("key"), list):
                raise damaged(self.path)
            numbers.setdefault(tuple(values["key"]), []).append(number)
        return numbers


class Submission(NamedTuple("Submission", [
        ("number", int), ("start", int), ("step", int), ("scheduler", str), ("name", str),
        ("after", "List[List[Any]]"), ("limits", "List[Any]"), ("must_succeed", bool),
        ("width", int), ("job_id", str), ("status", int), ("slots", "List[List[List[int]]]"),
        ("clusters", str)])):
    """What an array job or a handler got.

    number counts from 1 within the record; scheduler is one of SCHEDULERS, or HANDLER or PARAMETERS
    in place of one; after are pairs (path of a record, number of a submission) that it waits for;
    limits are those of its tasks; job_id is "" until it is known, status that of a handler that has
    ended, else -1; slots are the tasks of each slot, from 1: triples of number, first attempt, and
    offset of its line in the plan. width is that of a slot's line in its file; clusters names those
    that it was meant for, "" for the usual one.
    """
    __slots__ = ()

    def numbers(self) -> "Iterator[int]":
        """Yield the numbers of its tasks."""
        for slot in self.slots:
            for entry in slot:
                yield entry[0]


def write_submission(record: Record, submission: Submission) -> Submission:
    """Write a submission that is not made yet into the record; return it with its slots' width.

    Each slot has a line of the same width, so that an array task reads its own one alone.
    """
    lines = list(map(to_json, submission.slots))
    width = max(map(len, lines)) + 1
    data = "".join(line.ljust(width - 1) + "\n" for line in lines)
    write_file(record.submission_path(submission.number, "slots"), data.encode("ascii"))
    submission = submission._replace(width=width)
    facts = dict(submission._asdict())
    for name in ("slots", "job_id", "status"):
        del facts[name]
    append_lines(record.submission_path(submission.number, "jsonl"), [facts])
    return submission


def write_job_id(record: Record, submission: Submission, job_id: str) -> Submission:
    """Note the id by which a scheduler knows a submission."""
    append_lines(record.submission_path(submission.number, "jsonl"), [{"job_id": job_id}])
    return submission._replace(job_id=job_id)


def write_status(record: Record, submission: Submission, status: int) -> None:
    """Note with which exit status a handler has ended."""
    append_lines(record.submission_path(submission.number, "jsonl"), [{"status": status}])


def read_submission(record: Record, number: int, slot: int = 0) -> Submission:
    """Return a submission of a record with all of its slots, or with one of them alone."""
    path = record.submission_path(number, "jsonl")
    facts = {"job_id": "", "status": -1, "clusters": ""}  # type: Dict[str, Any]
    for values in read_lines(path):
        facts.update(values)
    try:
        data = read_slots(record, number, slot, facts["width"])
        lines = data.decode("ascii", "replace").split("\n")
        facts["slots"] = [line_slot(line) for line in lines if line.strip()]
        submission = Submission(**facts)
    except (TypeError, KeyError, ValueError):
        raise damaged(path) from None
    if not is_submission(submission):
        raise damaged(path)
    return submission


def is_submission(submission: "Any") -> bool:
    """Return whether what was read is what write_submission writes; no option hides in it."""
    numbers = [submission.number, submission.start, submission.step, submission.width,
               submission.status]
    if not all(isinstance(number, int) for number in numbers):
        return False
    for text in (submission.scheduler, submission.name, submission.job_id, submission.clusters):
        if not isinstance(text, str) or not is_name(text):
            return False
    return are_pairs(submission.after) and are_limits(submission.limits)


def is_name(text: str) -> bool:
    """Return whether a text is what schedulers call something, or nothing; it is no option."""
    rest = text.translate(dict.fromkeys(map(ord, "_.[];:,-")))
    return text[:1] not in tuple(".];:,-") and (not rest or rest.isalnum())


def are_pairs(after: "Any") -> bool:
    """Return whether a value is a list of pairs of a text and a number."""
    if not isinstance(after, list):
        return False
    if not all(isinstance(pair, list) for pair in after):
        return False
    return all([type(part) for part in pair] == [str, int] for pair in after)


def are_limits(limits: "Any") -> bool:
    """Return whether a value is a list of the four limits of tasks."""
    if not isinstance(limits, list) or len(limits) != 4:
        return False
    return all(isinstance(limit, (int, float)) for limit in limits)


def read_slots(record: Record, number: int, slot: int, width: int) -> bytes:
    """Return the lines of all slots of a submission, or that of one alone."""
    path = record.submission_path(number, "slots")
    if not slot:
        return read_bytes(path)
    return read_part(path, (slot - 1) * width, width)


def line_slot(line: str) -> "List[List[int]]":
    """Return the entries of one slot; ValueError for anything else."""
    entries = from_json(line.rstrip(" "))
    for entry in entries:
        if len(entry) != 3 or not all(isinstance(number, int) for number in entry):
            raise ValueError(line)
    return list(entries)


def read_submissions(record: Record) -> "List[Submission]":
    """Return the submissions of a record in their order."""
    return [read_submission(record, number) for number in record.submission_numbers()]


def task_at(record: Record, offset: int) -> "Tuple[Task, str]":
    """Return the task whose line in the plan begins at an offset, and the path of its program."""
    line = read_part(record.plan_path, offset, -1)
    values = read_line(line.rstrip(b"\n")) or {}
    return line_task(values, record.plan_path), str(values["program"])


def is_event(values: "Dict[str, Any]") -> bool:
    """Return whether a line is an event that HydraFlow may have written."""
    if not isinstance(values.get("event"), str):
        return False
    for name, value in values.items():
        if name in EVENT_TYPES and not isinstance(value, EVENT_TYPES[name]):
            return False
    return True


def append_event(record: Record, writer: str, event: str, **values: "Any") -> None:
    """Append an event of the writer itself, or of what values name."""
    line = {**values, "event": event, "up": round(uptime(), 2)}
    append_lines(record.events_path(writer), [line])


def append_attempt(record: Record, writer: str, event: str, number: int, attempt: int,
                   **values: "Any") -> None:
    """Append an event of an attempt of a task."""
    append_event(record, writer, event, task=number, **{"try": attempt}, **values)


def attempt_head(number: int, attempt: int, slot: int) -> str:
    """Return what each event begins with that the shell around a task tells of an attempt.

    >>> print(attempt_head(7, 1, 0))
    "task":7,"try":1,"slot":0
    """
    return f'"task":{number},"try":{attempt},"slot":{slot}'


def begin_events(record: Record, writer: str) -> None:
    """Begin the file of a writer: who it is, and when its clock began."""
    machine = this_machine()._asdict()
    epoch = time.time() - uptime()
    append_event(record, writer, "writer", **machine, pid=os.getpid(), epoch=epoch)


class Lock:
    """Held while a start of a run executes or submits, by one alone.

    The kernel lets go of it when its last holder dies: HydraFlow, and the shells of tasks whose
    start is not on record yet, which have its descriptor until then. What is written in it is for
    the message only.
    """
    __slots__ = ("descriptor",)

    def __init__(self, record: Record, job: str) -> None:
        self.descriptor = NOTHING
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            self.descriptor = open_safely(record.lock_path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise say_error(error, f"write {os.path.relpath(record.lock_path)}") from None
        for rest in reversed(range(5)):  # who only looks whether it is held has it for a moment
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not rest:
                    raise self.is_held(job) from None
                time.sleep(0.02)
            except OSError:
                return  # a file system without locks
        os.ftruncate(self.descriptor, 0)
        write_all(self.descriptor, native_bytes(own_name()))

    def is_held(self, job: str) -> Error:
        """Return the Error about a lock that somebody else holds."""
        holder = lock_text(self.descriptor)
        os.close(self.descriptor)
        return Error("run-is-held", f"job {job} is being run by {holder}", NOWHERE,
                     "wait for it, or cancel it; status shows how far it is")

    def release(self) -> None:
        """Let others go on with the run."""
        if self.descriptor != NOTHING:
            os.close(self.descriptor)
        self.descriptor = NOTHING


def own_name() -> str:
    """Return how a lock calls its holder, for this process."""
    return f"process {os.getpid()} on {host_name()}"


def lock_text(descriptor: int) -> str:
    """Return who holds a lock, as it is written there: process 7 on node3."""
    text = os.read(descriptor, 1000).decode("utf-8", "replace").strip()
    return text or "another process"


def lock_holder(record: Record) -> str:
    """Return who executes or submits a start of a run at this moment, "" for nobody."""
    try:
        import fcntl
        descriptor = open_safely(record.lock_path, os.O_RDONLY)
    except (ImportError, OSError):
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return ""
    except BlockingIOError:
        return lock_text(descriptor)
    except OSError:
        return ""  # a file system without locks
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------------------
# 8. States: events -> State of each task
# ---------------------------------------------------------------------------
# STATES and CAUSES say what a state and the cause of an end are; Writer is who saw something, State
# what is known of one task; outcome is the one rule by which an end becomes a state; apply_start,
# apply_end, APPLIED, Told, read_told fold the events of a record; is_process_gone, is_gone,
# is_ours look whether a process still lives, stop_task signals it if it is proved to be ours.
#
# A task is executed in attempts, numbered over its whole run; each event names its attempt, and the
# state of a task is that of its highest one. So the order in which files are read does not matter,
# and an end that was told is final for its attempt: what comes later begins another one.


class Kind(NamedTuple("Kind", [
        ("name", str), ("is_over", bool), ("is_good", bool), ("text", str), ("colour", str)])):
    """A state that a task may have, in the order in which people want to see them."""
    __slots__ = ()


STATES = {row.name: row for row in (
    Kind("failed", True, False, "failed", "31"),
    Kind("interrupted", True, False, "interrupted", "33"),
    Kind("skipped", True, False, "skipped", "33"),
    Kind("running", False, False, "running", "36"),
    Kind("queued", False, False, "queued", "36"),
    Kind("handed", True, True, "handed over", ""),  # to a handler that tells nothing
    Kind("succeeded", True, True, "succeeded", "32"),
    Kind("waiting", False, False, "waiting", ""),  # for who executes the run at this moment
    Kind("not started", False, False, "not started", ""),  # and nobody is about to start it
)}
CAUSES = {  # why a task ended as it did, or does not begin, where its exit status does not say it
    "": "",
    "timeout": "time limit",
    "interrupted": "",
    "killed": "killed",
    "missing": "runs are missing",
    "cancelled": "cancelled",
    "lost": "given up: nothing was seen of it any more",
    "memory": "out of memory",
    "node": "node failure",
    "preempted": "preempted",
    "requeued": "requeued",
    "held": "held",  # until somebody releases it, or mends what is wrong
    "suspended": "suspended",
    "unreached": "its machine is not reached",
    "silent": "ended without a word",
    "gone": "gone from the queue",
    "handler": "its handler has ended",
    "blocked": "what it waits for has failed",
    "fail-fast": "another task has failed",
    "time": "no time left in its pack",
    "handler-queue": "at the handler",
}


class Writer(NamedTuple("Writer", [
        ("path", str), ("machine", Machine), ("pid", int), ("up", float), ("epoch", float)])):
    """Who wrote the file of events at path: a HydraFlow that executes tasks.

    up is the uptime when it told so, epoch when its uptime was 0.
    """
    __slots__ = ()

    @property
    def name(self) -> WriterName:
        """What the name of the file says."""
        base, _ = os.path.splitext(os.path.basename(self.path))
        return WriterName.parse(base)


NOBODY = Writer("", Machine("", "", "", ""), 0, 0.0, 0.0)


class State:
    """What is known of one task.

    pid is the shell around it, up the uptime when that told its start, writer who watches it.
    name is one of STATES, cause one of CAUSES, and detail more about it; status is the exit status,
    128 and more for a signal; started and ended are seconds since 1970, 0.0 where unknown; attempt
    is the number of the last one, attempts how many began; asked is why it was asked to stop;
    origin is RECORD/NUMBER of a task of an older run whose success counts for this one.
    """
    __slots__ = (
        "name", "cause", "detail", "status", "started", "ended", "attempt", "attempts", "asked",
        "pid", "up", "slot", "writer", "origin")

    def __init__(self, attempt: int = 0, attempts: int = 0) -> None:
        self.name = "waiting"
        self.cause = ""
        self.detail = ""
        self.status = 0
        self.started = 0.0
        self.ended = 0.0
        self.attempt = attempt
        self.attempts = attempts
        self.asked = ""
        self.pid = 0
        self.up = 0.0
        self.slot = -1
        self.writer = NOBODY
        self.origin = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come of the task by itself."""
        return STATES[self.name].is_over

    @property
    def is_good(self) -> bool:
        """Whether the task needs no further attempt."""
        return STATES[self.name].is_good

    def become(self, name: str, cause: str = "", detail: str = "") -> None:
        """Change the state."""
        self.name = name
        self.cause = cause
        self.detail = detail

    def miss(self, missing: int, runs: int) -> None:
        """Fail, as some of the runs of Hydra's that were to be made left no directory."""
        self.become("failed", "missing", f"{missing} of {runs} runs are missing")


def outcome(status: int, asked: str) -> "Tuple[str, str]":
    """Return state and cause of a task that ended with a status, after it was asked to stop or not.

    What was asked to stop has not succeeded, whatever its exit status.

    >>> outcome(0, ""), outcome(0, "timeout"), outcome(1, "interrupted"), outcome(3, "")
    (('succeeded', ''), ('failed', 'timeout'), ('interrupted', 'interrupted'), ('failed', ''))
    """
    if asked == "timeout":
        return "failed", "timeout"
    if asked:
        return "interrupted", "interrupted"
    if status:
        return "failed", ""
    return "succeeded", ""


def apply_start(state: State, event: "Dict[str, Any]", writer: Writer) -> None:
    """Bring a state up to date by the start of an attempt."""
    if state.ended:
        return
    state.become("running")
    state.pid = event.get("pid", 0)
    state.up = event.get("up", 0.0)
    state.slot = event.get("slot", -1)
    state.started = writer.epoch + state.up
    state.writer = writer
    state.attempts += 1


def apply_end(state: State, event: "Dict[str, Any]", writer: Writer) -> None:
    """Bring a state up to date by the end of an attempt; the first one that was told counts."""
    if state.ended:
        return
    state.status = event.get("status", 1)
    state.ended = writer.epoch + event.get("up", 0.0)
    name, cause = outcome(state.status, state.asked or event.get("why", ""))
    state.become(name, cause, event.get("detail", ""))


def apply_ask(state: State, event: "Dict[str, Any]", writer: Writer) -> None:
    """Bring a state up to date by the wish that the task stops.

    What had told its end before that has ended by itself; who asks may write another file, which is
    read behind that with the end.
    """
    why = event.get("why", "interrupted")
    if state.name == "running":
        state.asked = why
        return
    was_before = event.get("up", 0.0) <= state.ended - state.writer.epoch + 0.01
    if state.ended and not state.asked and was_before:
        state.asked = why
        state.become(*outcome(state.status, why))


def apply_lost(state: State, event: "Dict[str, Any]", writer: Writer) -> None:
    """Bring a state up to date by the word that nothing of an attempt is left."""
    if not state.ended:
        state.become("interrupted", event.get("why", "killed"))


def apply_reused(state: State, event: "Dict[str, Any]", writer: Writer) -> None:
    """Bring a state up to date by the success in an older run that counts for it."""
    state.become("succeeded")
    state.started = event.get("began", 0.0)
    state.ended = event.get("ended", 0.0)
    state.origin = event.get("from", "")


def apply_missing(state: State, event: "Dict[str, Any]", writer: Writer) -> None:
    """Bring a state up to date by the word that runs of a task that succeeded are missing."""
    if state.name == "succeeded":
        state.miss(event.get("missing", 0), event.get("runs", 0))


def apply_skipped(state: State, event: "Dict[str, Any]", writer: Writer) -> None:
    """Bring a state up to date by the word that a task is not begun."""
    if state.name == "waiting":
        state.become("skipped", event.get("why", "blocked"))


APPLIED = {  # what each kind of event does to the state of a task
    "start": apply_start, "end": apply_end, "ask": apply_ask, "lost": apply_lost,
    "reused": apply_reused, "missing": apply_missing, "skipped": apply_skipped}


class SeenProcess(NamedTuple("SeenProcess", [("machine", Machine), ("pid", int), ("up", float)])):
    """A process of a machine, which was there at an uptime."""
    __slots__ = ()


class Told:
    """What the events of a record say.

    States of tasks by their number, submissions and slots of them which were cancelled, processes
    of handlers.
    """
    __slots__ = ("states", "cancelled", "cancelled_slots", "handlers")

    def __init__(self) -> None:
        self.states = {}  # type: Dict[int, State]
        self.cancelled = set()  # type: Set[int]
        self.cancelled_slots = set()  # type: Set[Tuple[int, int]]
        self.handlers = {}  # type: Dict[int, SeenProcess]

    def add(self, event: "Dict[str, Any]", writer: Writer) -> None:
        """Take in one event."""
        if "task" in event:
            self.add_of_task(event, writer)
        elif "submission" not in event:
            return
        elif event["event"] == "cancel" and "slot" in event:
            self.cancelled_slots.add((event["submission"], event["slot"]))
        elif event["event"] == "cancel":
            self.cancelled.add(event["submission"])
        elif event["event"] == "handler":
            process = SeenProcess(writer.machine, event.get("pid", 0), event.get("up", 0.0))
            self.handlers[event["submission"]] = process

    def add_of_task(self, event: "Dict[str, Any]", writer: Writer) -> None:
        """Take in an event of a task; of an attempt before its last one, only that it began."""
        number = event["task"]
        attempt = event.get("try", 0)
        state = self.states.get(number)
        if state is None:
            state = self.states[number] = State(attempt)
        elif attempt > state.attempt:
            state = self.states[number] = State(attempt, state.attempts)
        if attempt == state.attempt:
            apply = APPLIED.get(event["event"])
            if apply:
                apply(state, event, writer)
        elif event["event"] == "start":  # a requeue's file may be read before that of who began
            state.attempts += 1

    def read(self, path: str, writer: Writer = NOBODY) -> Writer:
        """Take in a file of events; return who wrote it, where the file says that."""
        for event in read_lines(path):
            if not is_event(event):
                continue
            if event["event"] == "writer":
                writer = read_writer(event, path)
            else:
                self.add(event, writer)
        return writer


def read_writer(event: "Dict[str, Any]", path: str) -> Writer:
    """Return who wrote a file of events, from its first line."""
    texts = [str(event.get(name, "")) for name in Machine._fields]
    epoch = event.get("epoch", 0.0)
    if not isinstance(epoch, (int, float)) or not abs(epoch) < 1e11:
        epoch = 0.0
    return Writer(path, Machine(*texts), event.get("pid", 0), event.get("up", 0.0), float(epoch))


def read_told(record: Record) -> Told:
    """Return what all events of a record say."""
    told = Told()
    writers = {}  # type: Dict[str, Writer]
    for path in record.event_paths():
        name = os.path.basename(path)
        if path.endswith(".jsonl"):
            writers[name[:-len(".jsonl")]] = told.read(path)
        else:  # in the room of a writer, behind its name the slot
            told.read(path, writers.get(name.rpartition("-")[0], NOBODY))
    return told


def is_same_machine(machine: Machine) -> bool:
    """Return whether process numbers of a machine are ours, or were before it started anew."""
    here = this_machine()
    if (machine.host, machine.identity) != (here.host, here.identity):
        return False
    return machine.boot != here.boot or machine.namespace == here.namespace


def is_process_gone(machine: Machine, pid: int, up: float) -> bool:
    """Return whether a process that was there at an uptime no longer exists.

    Another machine's is taken to live, as that cannot be known here.
    """
    if not is_same_machine(machine):
        return False
    if machine.boot != this_machine().boot or pid <= 0:
        return True
    birth = process_birth(pid)
    return birth < 0 or birth > up + 0.02  # both are in hundredths of a second


def is_gone(state: State) -> bool:
    """Return whether nothing of a running task exists any more: neither its shell nor its group."""
    machine = state.writer.machine
    if not is_process_gone(machine, state.pid, state.up):
        return False
    if machine.boot != this_machine().boot:
        return True
    if is_hidden(state.pid) and os.stat(state.writer.path).st_uid != os.getuid():
        return False  # what of another user's is not seen here may live
    return not own_members(state)


def own_members(state: State) -> "List[int]":
    """Return the processes that outlive the shell of a task; their environment names its events."""
    path = native_bytes(state.writer.path)
    return [pid for pid in group_members(state.pid) if path in process_text(pid)]


def is_ours(state: State) -> bool:
    """Return whether a process of this machine is proved to be the shell around a task."""
    machine = state.writer.machine
    if not is_same_machine(machine) or is_process_gone(machine, state.pid, state.up):
        return False
    return native_bytes(state.writer.path) in process_text(state.pid)


def stop_task(state: State, number: int) -> bool:
    """Send a signal to the group of a task, if that is proved to be its own; return whether so."""
    if is_ours(state) or (is_same_machine(state.writer.machine) and own_members(state)):
        return stop_group(state.pid, number)
    return False


# ---------------------------------------------------------------------------
# 9. Local execution: Task, Task, ... -> Event, Event, ...
# ---------------------------------------------------------------------------
# Limits, Event, note_event; grace, granted_devices, missing_runs, open_log, remove_if_empty;
# Process (an attempt that runs), Runner (the loop), run_tasks. One thread, one loop: start what
# there is space for, sleep until a child ends, a signal comes or a deadline passes, look at what
# has ended. It yields events and shows nothing: that is for who calls it. Whatever breaks the loop,
# the tasks that run go on, and tell their ends themselves, as they would after a kill -9 of ours.

GRACE = 10.0  # seconds between asking a task to stop and killing it
TICK = 0.05  # seconds between two looks at the logs
LULL = 1.0  # seconds in which an array task begins nothing behind a task that a signal has ended
ROOM = 512  # bytes that are enough for the end of a task
DEVICES = (  # variables that list granted devices: of CUDA, ROCm, oneAPI, Slurm
    "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK",
    "SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
MOST_PROCESSES = 32768  # at once, far more than a machine takes
FATAL = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EMFILE, errno.ENFILE)


class Limits(NamedTuple("Limits", [
        ("jobs", int), ("retries", int), ("timeout", float), ("fail_fast", bool)])):
    """How many tasks at once, how many more tries, how many seconds a try may take (0.0: any).

    With fail_fast, a failure ends the starting of tasks.
    """
    __slots__ = ()


class Event(NamedTuple("Event", [
        ("kind", str), ("task", "Optional[Task]"), ("state", State), ("text", str), ("log", str),
        ("number", int)])):
    """What happened, to a task or not.

    kind is start, retry, end, done (earlier), elsewhere (someone else executes it), tick (time
    passed), interrupt, note or error. number is where in the log the output of the attempt begins,
    how many tasks are done, how many run elsewhere at a tick, or the signal of an interrupt.
    """
    __slots__ = ()


def note_event(kind: str, text: str) -> Event:
    """Return an event that is about no task."""
    return Event(kind, None, State(), text, "", 0)


def grace() -> float:
    """Return how many seconds a task has between being asked to stop and being killed."""
    text = os.environ.get("HYDRAFLOW_GRACE", "")
    if not text:
        return GRACE
    number = read_number(text)
    if number is None or number.mantissa < 0:
        raise Error("invalid-grace",
                    f"HYDRAFLOW_GRACE is {text}, which is no number of seconds", NOWHERE,
                    f"for example HYDRAFLOW_GRACE={GRACE:g}")
    return float(str(number))


def granted_devices() -> "List[str]":
    """Return the devices that a scheduler granted to this process, as programs are told of them."""
    for name in DEVICES:
        devices = os.environ.get(name, "").replace(",", " ").split()
        if devices and devices != ["NoDevFiles"]:
            return devices
    return []


def missing_runs(task: Task) -> int:
    """Return how many of the runs that Hydra was to make have left no numbered directory."""
    if not task.runs:
        return 0
    try:
        names = os.listdir(native(os.path.join(task.cwd, task.directory)))
    except OSError:
        return task.runs  # no Hydra application, or one that never saw its words
    found = [name for name in names if name.isdigit()]
    return max(task.runs - len(found), 0)


def open_log(path: str, attempt: int) -> "Tuple[IO[bytes], int]":
    """Open the log of a task, and return where its output begins.

    A further attempt is marked where there was output.
    """
    descriptor = open_safely(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    log = open(descriptor, "ab", 0)
    size = os.fstat(descriptor).st_size
    if attempt > 1 and size:
        log.write(b"==> attempt %d <==\n" % attempt)
    return log, os.fstat(descriptor).st_size


def remove_if_empty(path: str) -> None:
    """Leave no log of a task that printed nothing."""
    try:
        if not os.stat(path).st_size:
            os.unlink(path)
    except OSError:
        pass


def close_log(log: "IO[bytes]") -> None:
    """Close our side of a log; an error of a network's disk then is none of the task that began."""
    try:
        log.close()
    except OSError:
        pass


class Process:
    """An attempt of a task that runs.

    It was started here or, without a child, has outlived an earlier HydraFlow. tries counts those
    of this start; asked is why it was asked to stop, kill_at when its group is killed then, and
    patience until when what was killed is awaited, in seconds of the monotonic clock, 0.0 for
    never.
    """
    __slots__ = (
        "task", "child", "state", "log", "offset", "slot", "attempt", "tries", "began",
        "deadline", "asked", "kill_at", "is_killed", "patience", "status")

    def __init__(self, task: Task, slot: int, attempt: int, tries: int) -> None:
        self.task = task
        self.slot = slot
        self.attempt = attempt
        self.tries = tries
        self.child = None  # type: Union[Child, subprocess.Popen[bytes], None]
        self.state = State(attempt)
        self.log = ""
        self.offset = 0
        self.began = time.monotonic()
        self.deadline = 0.0
        self.asked = ""
        self.kill_at = 0.0
        self.is_killed = False
        self.patience = 0.0
        self.status = None  # type: Optional[int]  # of the shell around it, below 0 for a signal

    def poll(self) -> bool:
        """Return whether it has ended; if it was killed or asked to stop, all of its group."""
        if self.child is None:
            return is_gone(self.state)
        if self.status is None:
            self.status = self.child.poll()
        if self.status is None:
            return False
        if self.asked and not self.is_killed:
            return not is_group_alive(self.pid)
        if self.status >= 0 and not self.is_killed:
            return True
        return self.are_members_gone()

    def are_members_gone(self) -> bool:
        """Return whether nothing of the group lives behind a shell that was killed; kill what does.

        A next attempt would begin beside it: to be killed takes a moment as well. What no signal
        ends, as it waits for a disk that is gone, is not waited for.
        """
        now = time.monotonic()
        self.patience = self.patience or now + GRACE
        if now < self.patience and group_members(self.pid):
            stop_group(self.pid, signal.SIGKILL)
            return False
        return True

    @property
    def pid(self) -> int:
        """The leader of its process group."""
        return self.child.pid if self.child else self.state.pid

    def signal(self, number: int) -> None:
        """Send a signal to its process group."""
        if self.child:  # as long as anything is left of it, its number is nobody else's
            stop_group(self.child.pid, number)
        else:
            stop_task(self.state, number)


class Runner:
    """The loop of run_tasks, and what it has to remember.

    queue yields tasks and what is known of them; waiting are those to be tried again, as (task,
    attempt, tries); slots are those that are free, the lowest at the end; with kills, what does not
    stop is killed; guard is told what runs; devices are those that the scheduler of an array task
    granted; entry is what a task's shell reads, environment its variables if the task adds none;
    failure is an error of the system that concerns all tasks; is_crowded tells that the system
    takes no further process for now; nothing begins before not_before, in seconds of the monotonic
    clock; claims is how many attempts it claimed; left are the descriptors that no task inherits.
    """
    __slots__ = (
        "record", "queue", "limits", "writer", "events", "waiting", "running", "slots", "rooms",
        "grace", "kills", "guard", "devices", "entry", "environment", "prefix", "failure",
        "is_stopped", "is_interrupted", "is_crowded", "not_before", "claims", "left")

    def __init__(self, record: Record, queue: "Iterator[Tuple[Task, State]]", limits: Limits,
                 writer: str, entry: int, kills: bool, guard: "Optional[Guard]") -> None:
        self.record = record
        self.queue = queue
        self.limits = limits
        self.writer = writer
        self.events = record.events_path(writer)
        self.waiting = []  # type: List[Tuple[Task, int, int]]
        self.running = []  # type: List[Process]
        self.slots = list(range(min(limits.jobs, MOST_PROCESSES) - 1, -1, -1))
        self.rooms = set()  # type: Set[int]
        self.grace = grace()
        self.kills = kills
        self.guard = guard
        self.devices = [] if kills else granted_devices()
        self.entry = entry
        self.environment = environment({})
        self.prefix = []  # type: List[str]
        lost = lost_in_shell()
        if lost:
            self.prefix = ["/usr/bin/env", *lost]
        self.failure = ""
        self.is_stopped = False
        self.is_interrupted = False
        self.is_crowded = False
        self.not_before = 0.0
        self.claims = 0
        self.left = inherited()

    def fail(self, error: OSError, what: str) -> None:
        """Start nothing more, as what failed concerns all tasks; the loop tells it at its end."""
        self.failure = self.failure or str(say_error(error, what))

    def fail_to_write(self, number: int) -> None:
        """Start nothing more, as the events cannot be written for the reason of an error number."""
        self.fail(OSError(number, os.strerror(number)), f"write {os.path.relpath(self.events)}")

    def note(self, process: Process, event: str, **values: "Any") -> None:
        """Append an event of a task; start nothing more where that fails: it could not be told."""
        number = process.task.number
        try:
            append_attempt(self.record, self.writer, event, number, process.attempt, **values)
        except OSError as error:
            self.fail(error, f"write {os.path.relpath(self.events)}")

    def adopt(self, task: Task, state: State) -> Event:
        """Await a task that runs since an earlier start."""
        process = Process(task, state.slot, state.attempt, 1)
        process.state = state
        process.log = self.record.log_path(task.number)
        if process.slot in self.slots:
            self.slots.remove(process.slot)
        elif self.slots:
            process.slot = self.slots.pop()
        if self.limits.timeout:
            process.deadline = process.began + self.limits.timeout - time.time() + state.started
        self.running.append(process)
        return Event("start", task, state, "runs since an earlier start", process.log, 0)

    def next_task(self) -> "Optional[Tuple[Task, int, int]]":
        """Return a task to be started, with the numbers of its attempt and its try, or None."""
        if self.waiting:
            return self.waiting.pop()
        for task, state in self.queue:
            return task, state.attempt + 1, 1
        return None

    def has_space(self) -> bool:
        """Return whether another task may run; more than that may run since an earlier start."""
        return bool(self.slots) and len(self.running) < self.limits.jobs

    def start_tasks(self) -> "Iterator[Event]":
        """Start what there is space for."""
        while self.has_space() and not (self.is_stopped or self.failure or self.is_crowded):
            try:
                found = self.next_task()
            except OSError as error:
                self.fail(error, "plan the next task")
                return
            if found is None:
                return
            if time.monotonic() < self.not_before:
                self.waiting.append(found)
                return
            yield self.start(*found)

    def start(self, task: Task, attempt: int, tries: int) -> Event:
        """Start an attempt of a task, unless somebody else has it."""
        process = Process(task, self.slots.pop(), attempt, tries)
        try:
            holder = self.claim(process)
            if holder:
                self.free(process)
                text = f"task {task.number} is executed by {holder}"
                return Event("elsewhere", task, State(), text, "", 0)
            self.launch(process)
        except (OSError, Error) as error:
            self.free(process)
            return self.not_started(process, error)
        if self.limits.timeout:
            process.deadline = process.began + self.limits.timeout
        self.running.append(process)
        self.tell_guard()
        kind = "retry" if tries > 1 else "start"
        return Event(kind, task, process.state, "", process.log, process.offset)

    def tell_guard(self) -> None:
        """Let a guard know what runs."""
        if self.guard:
            self.guard.watch(process.pid for process in self.running)

    def claim(self, process: Process) -> str:
        """Claim an attempt of a task; return the writer that has it already, or nothing.

        The lock of a run and the scheduler see to it that earlier writers who are what we are have
        died: what they claimed and never began is passed over.
        """
        number = process.task.number
        own = WriterName.parse(self.writer).who
        self.claims += 1
        if self.claims == 2:
            self.record.introduce(self.writer)
        while not self.record.claim(number, process.attempt, self.writer):
            holder = self.record.claimant(number, process.attempt)
            if WriterName.parse(holder).who not in (own, CRASHED):
                return holder
            process.attempt += 1
        return ""

    def launch(self, process: Process) -> None:
        """Start the shell around an attempt of a task."""
        task = process.task
        slot = self.slot_text(process.slot)
        self.keep_room(process.slot)
        argv = [word.replace(SLOT, slot) for word in task.argv]
        changes = {name: None if text is None else resolved(text.replace(SLOT, slot))
                   for name, text in task.env.items()}
        env = environment(changes) if changes else self.environment
        cwd = task.cwd.replace(SLOT, slot)
        if task.has_directory:
            os.makedirs(native(os.path.join(cwd, task.directory)), exist_ok=True)
            os.makedirs(native(cwd), exist_ok=True)
        check_directory(cwd)
        process.log = self.record.log_path(task.number)
        log, process.offset = open_log(process.log, process.attempt)
        room = self.record.room_path(self.writer, process.slot)
        head = attempt_head(task.number, process.attempt, process.slot)
        place = cwd if cwd == "." else os.path.join(".", cwd)  # no cd looks elsewhere for it
        words = [*SHELL, self.events, room, head, place, *self.prefix, *argv]
        try:
            process.child = spawn_shell(words, log, env, self.entry, self.kills, self.left)
        finally:
            close_log(log)
        process.state.become("running")
        process.state.started = time.time()
        process.state.slot = process.slot

    def slot_text(self, slot: int) -> str:
        """Return what a task reads as its slot: which device it is to take, of those granted."""
        if self.devices:
            return self.devices[slot % len(self.devices)]
        return str(slot)

    def keep_room(self, slot: int) -> None:
        """Take the space for the end of a task, for when the disk is full by then."""
        if slot in self.rooms:
            return
        write_file(self.record.room_path(self.writer, slot), b" " * ROOM)
        self.rooms.add(slot)

    def told_in_room(self, slot: int) -> bytes:
        """Return what stands in the room of a slot."""
        try:
            return read_bytes(self.record.room_path(self.writer, slot))
        except Error:  # by its events the task is known all the same
            return b""

    def free(self, process: Process) -> None:
        """Let other tasks have the slot of a process."""
        if 0 <= process.slot < self.limits.jobs and process.slot not in self.slots:
            self.slots.append(process.slot)
            self.slots.sort(reverse=True)
        self.is_crowded = False

    def not_started(self, process: Process, error: "Union[OSError, Error]") -> Event:
        """Return the event for a task that could not be started.

        What concerns all tasks ends the starting.
        """
        task = process.task
        number = getattr(error, "errno", 0)
        if number == errno.EAGAIN and self.running:  # too many processes: one of ours ends first
            self.waiting.append((task, process.attempt + 1, process.tries))
            self.is_crowded = True
            return note_event("tick", "")
        if isinstance(error, OSError) and number in FATAL:
            self.fail(error, f"start task {task.number}")
            return note_event("tick", "")
        if isinstance(error, Error):
            detail = f"cannot be started: {error.message}"
        else:
            path = os.fsdecode(error.filename or "")
            texts = ["cannot be started", path, reason(error)]
            detail = ": ".join(filter(None, texts))
        self.note(process, "end", status=126, detail=detail)
        self.after_failure()
        process.state.become("failed", "", detail)
        process.state.status = 126
        return Event("end", task, process.state, "", "", 0)

    def after_failure(self) -> None:
        """Start no more tasks, where a failure is to do that."""
        if self.limits.fail_fast:
            self.is_stopped = True

    def reap(self) -> "Iterator[Event]":
        """Look which tasks have ended."""
        ended = [process for process in self.running if process.poll()]
        awaited = {}  # type: Dict[int, State]
        if any(process.child is None for process in ended):
            awaited = read_told(self.record).states
        for process in ended:
            self.running.remove(process)
            self.tell_guard()
            self.free(process)
            if process.child is None:
                process.state = awaited.get(process.task.number) or process.state
                yield from self.awaited_end(process)
            else:
                yield from self.ended(process)

    def awaited_end(self, process: Process) -> "Iterator[Event]":
        """Settle the end of a task of an earlier HydraFlow; its shell may have told it."""
        if not process.state.is_over:  # it was killed as well: nothing is known of its end
            why = process.asked or "killed"
            self.note(process, "lost", why=why)
            process.state.become("interrupted", why)
            if not (self.is_stopped or self.failure):
                self.waiting.append((process.task, process.attempt + 1, 1))
                return
        yield from self.settled(process)

    def ended(self, process: Process) -> "Iterator[Event]":
        """Settle the end of a task that was started here."""
        status = process.status or 0
        told = self.told_in_room(process.slot)
        if told[:1] == b"{":
            self.fail_to_write(errno.ENOSPC)
            self.rooms.discard(process.slot)
            if b"unstarted" in told:
                return
        if status < 0:
            status = self.status_of_killed(process, status)
        elif status == 125 and not self.has_begun(process):
            self.fail_to_write(errno.EIO)
            return
        if status > 128 and not (process.asked or self.kills):
            self.not_before = time.monotonic() + LULL  # a scheduler may reach us behind our tasks
        if status == 128 + signal.SIGTERM:
            status = self.status_of_asked(process)
        process.state.status = status
        process.state.ended = time.time()
        process.state.become(*outcome(status, process.asked))
        yield from self.settled(process)

    def status_of_killed(self, process: Process, status: int) -> int:
        """Return the exit status of a task whose shell a signal killed, and see that it is told.

        The shell was killed before it could tell of an end, or behind that.
        """
        stop_group(process.pid, signal.SIGKILL)
        state = read_told(self.record).states.get(process.task.number)
        if state and state.attempt == process.attempt and state.ended:
            return state.status
        status = 128 - status
        self.note(process, "end", status=status)
        return status

    def status_of_asked(self, process: Process) -> int:
        """Return the exit status of a task whose shell ends as one that was asked to stop does, and
        note who asked: the record tells it, also of what nobody here has sent."""
        status = 128 + int(signal.SIGTERM)
        state = read_told(self.record).states.get(process.task.number)
        if state is None or state.attempt != process.attempt:
            return status
        process.asked = process.asked or state.asked
        if not state.ended:
            return status
        if state.name == "interrupted":
            process.asked = process.asked or "interrupted"
        return int(state.status)

    def has_begun(self, process: Process) -> bool:
        """Return whether the start of an attempt is on record; else its command never was begun."""
        state = read_told(self.record).states.get(process.task.number)
        return state is not None and state.attempt == process.attempt

    def settled(self, process: Process) -> "Iterator[Event]":
        """Yield what the end of a task amounts to: its end, or another try."""
        task = process.task
        state = process.state
        missing = 0
        if state.name == "succeeded":
            cwd = task.cwd.replace(SLOT, self.slot_text(process.slot))
            missing = missing_runs(task._replace(cwd=cwd))
        if missing:
            self.note(process, "missing", missing=missing, runs=task.runs)
            state.miss(missing, task.runs)
        remove_if_empty(process.log)
        if state.name == "failed" and self.may_try_again(process):
            self.waiting.append((task, process.attempt + 1, process.tries + 1))
            return
        if state.name == "failed":
            self.after_failure()
        yield Event("end", task, state, "", process.log, process.offset)

    def may_try_again(self, process: Process) -> bool:
        """Return whether a task that failed has a further try."""
        if self.is_stopped or self.failure:
            return False
        return process.tries <= self.limits.retries

    def ask(self, process: Process, why: str, number: int) -> None:
        """Ask a task to stop."""
        process.asked = why
        self.note(process, "ask", why=why)
        process.signal(number)
        if self.kills:
            process.kill_at = time.monotonic() + self.grace

    def kill(self, process: Process) -> None:
        """Kill what is left of a task."""
        process.signal(signal.SIGKILL)
        process.is_killed = True
        process.kill_at = 0.0

    def interrupt(self, number: int) -> Event:
        """Ask all tasks to stop; whoever asks a second time kills them.

        USR1 and USR2 are for the tasks alone.
        """
        if number in (signal.SIGUSR1, signal.SIGUSR2):
            for process in self.running:
                process.signal(number)
            return note_event("note", f"passed {signal_name(number)} on to the tasks")
        if self.is_interrupted and self.kills:
            for process in self.running:
                self.kill(process)
            return note_event("note", "killing the tasks")
        self.is_interrupted = self.is_stopped = True
        for process in self.running:
            self.ask(process, process.asked or "interrupted", number)
        text = signal_name(number)
        if self.running and self.kills:
            running = counted(len(self.running), "running task")
            text += f": waiting for {running}; once more kills what is left"
        return note_event("interrupt", text)._replace(number=number)

    def enforce_deadlines(self) -> None:
        """Stop what has run too long, and kill what does not stop."""
        now = time.monotonic()
        for process in self.running:
            if process.kill_at and now >= process.kill_at:
                self.kill(process)
            elif process.deadline and now >= process.deadline and not process.asked:
                process.deadline = 0.0
                self.ask(process, "timeout", signal.SIGTERM)
                process.kill_at = now + self.grace

    def until_next(self) -> float:
        """Return the seconds until something has to be looked at."""
        now = time.monotonic()
        moments = [TICK]
        for process in self.running:
            for moment in (process.kill_at, process.deadline):
                if moment:
                    moments.append(moment - now)
        return min(moments)

    def loop(self, signals: Signals) -> "Iterator[Event]":
        """Yield events until nothing runs and nothing more is to be started."""
        while True:
            yield from self.start_tasks()
            if not self.running and not (self.waiting and self.is_delayed()):
                break
            signals.wait(self.until_next())
            while signals.numbers:
                yield self.interrupt(signals.numbers.pop(0))
            yield from self.reap()
            self.enforce_deadlines()
            yield note_event("tick", "")
        if self.failure:
            yield note_event("error", self.failure)

    def is_delayed(self) -> bool:
        """Return whether what waits is to be started later."""
        if self.is_crowded:
            return True
        return not (self.is_stopped or self.failure) and time.monotonic() < self.not_before

    def leave(self) -> None:
        """Remove what served the run alone."""
        for slot in self.rooms:
            if self.told_in_room(slot)[:1] == b" ":
                try:
                    os.unlink(self.record.room_path(self.writer, slot))
                except OSError:
                    pass  # read-only by now: a blank file says nothing to who reads it


def run_tasks(record: Record, queue: "Iterator[Tuple[Task, State]]", limits: Limits, writer: str,
              adopted: "Sequence[Tuple[Task, State]]" = (), entry: int = NOTHING,
              kills: bool = True, guard: "Optional[Guard]" = None) -> "Iterator[Event]":
    """Execute tasks, several at once, and yield what happens.

    adopted run already; they are awaited, and tried again where they were killed. INT, TERM, QUIT
    and HUP stop all of them; with kills, what does not stop is killed after the grace period, and
    nothing of it is left; a guard kills what runs when we are killed. Other errors of the system
    that concern all tasks, a full disk for example, let the running ones end, and are told by an
    event "error".
    """
    with Signals() as signals:
        runner = Runner(record, queue, limits, writer, entry, kills, guard)
        try:
            begin_events(record, writer)
        except OSError as error:
            message = str(say_error(error, f"write {os.path.relpath(runner.events)}"))
            yield note_event("error", message)
            return
        for task, state in adopted:
            yield runner.adopt(task, state)
        yield from runner.loop(signals)
        runner.leave()


# ---------------------------------------------------------------------------
# 10. Schedulers: words and texts <-> array jobs
# ---------------------------------------------------------------------------
# ArrayJob (what is submitted), Scheduler (a row of facts for each), SCHEDULERS, with functions that
# make options (slurm_options ...) and read what is queued (read_columns ...); scheduler_of,
# submission_options, script_word, clusters_of, is_one_of, beaten_options, says_requeue (what the
# user's own words say), ask_once, ask, split_id, at_cluster, array_limit, pack_hint, array_name,
# submission_words, send, find_array, array_task_id, cancel_array, query, accounts, explain_hold.
# Nothing here knows a record, and no scheduler is named outside its row. The rows rest on the
# manual pages that their functions name. A state that is not known, or a query that fails, means
# "still there".

PASSING = (
    "(?i)timed? ?out|unexpected message|unable to contact|connection|temporar|try again|busy|"
    "communication|socket|not responding|resource temporarily|cannot connect|can't connect|"
    "no answer")
TRIES = (1.0, 2.0, 4.0, 8.0)  # seconds between tries of what failed in passing
ENDED = {  # how schedulers call an end that the task could not tell itself -> its cause, of CAUSES
    "TIMEOUT": "timeout", "DEADLINE": "timeout", "OUT_OF_MEMORY": "memory", "NODE_FAIL": "node",
    "BOOT_FAIL": "node", "CANCELLED": "cancelled", "PREEMPTED": "preempted",
    "REVOKED": "cancelled", "FAILED": "silent", "COMPLETED": "silent", "EXIT": "silent",
    "DONE": "silent", "X": "silent", "F": "silent", "": "gone"}
SAID = (  # what schedulers write behind the output of an array task that they end
    ("memory", rb"(?i)memory limit|MEMLIMIT|oom.kill|out of memory|: v?mem .*exceeded"),
    ("timeout", rb"(?i)TIME LIMIT|RUNLIMIT|walltime .*exceeded"))
WAITING = (  # how schedulers call what has not begun
    "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "PEND",
    "PSUSP", "WAIT", "qw", "hqw", "hRwq", "Rq", "Q", "H", "W")
HELD = (  # in states and reasons of what somebody has to release, or to mend
    r"(?i)held|launch failed|badconstraints|^E.*w$|PSUSP|REQUEUE_HOLD|SPECIAL_EXIT")
ON_HOLD = ("H", "hqw", "hRwq")  # held as well, unless what it waits for is not over
HALTED = {  # how schedulers call what has begun and does not go on for now -> its cause
    "SUSPENDED": "suspended", "STOPPED": "suspended", "USUSP": "suspended", "SSUSP": "suspended",
    "S": "suspended", "U": "suspended", "s": "suspended", "T": "suspended",
    "UNKWN": "unreached"}
UNEXPLAINED = "gone", "silent"  # causes that say no more than that something has ended
UNSAID = ("", "-", "None", "(null)")  # how schedulers say that there is no reason
USUAL = ("PENDING", "PEND", "WAIT", "qw", "Q")  # states of what waits for its turn
OURS_ARRAY = "the steps of the job make the array; max-parallel: how many array tasks at once"
OURS_NAME = "name: in the job is what the array job is called after"
OURS_LOG = "leave it out: each task has a log of its own, which hydraflow logs JOB shows"
OURS_AFTER = "needs: in a job, and the order of its steps, say what waits for what"
OURS_SHELL = "leave it out: setup: has the lines of shell that prepare a task"
OURS_COMMAND = "run: takes the command"


class Refusal(Error):
    """A submission that failed: the job file may be right, so the exit status is 1."""

    status = 1


class Unanswered(Refusal):
    """A submission that was accepted and cannot be named; what comes of it ends itself."""


class ArrayJob(NamedTuple("ArrayJob", [
        ("name", str), ("log", str), ("count", int), ("throttle", int), ("ids", "List[str]"),
        ("must_succeed", bool), ("behind", str)])):
    """What is submitted: count array tasks, throttle of them at once (0: any).

    They begin when the array jobs of ids have ended, or have succeeded, and when that of the same
    step has ended which they stand behind ("": none); log is what the path of an array task's log
    begins with.
    """
    __slots__ = ()

    @property
    def array(self) -> str:
        """The slots and how many of them at once, as most schedulers write it: 1-20%4."""
        if self.throttle:
            return f"1-{self.count}%{self.throttle}"
        return f"1-{self.count}"

    def dependencies(self, succeeded: str, ended: str) -> "List[Tuple[str, List[str]]]":
        """Return what is waited for: a scheduler's word for success or for any end, and the ids."""
        found = []
        if self.ids:
            found.append((succeeded if self.must_succeed else ended, self.ids))
        if self.behind:
            found.append((ended, [self.behind]))
        return found


class Scheduler(NamedTuple("Scheduler", [
        ("name", str), ("program", str), ("says", str), ("index", str), ("own_id", str),
        ("array_task", str),
        ("options", "Callable[[ArrayJob], List[str]]"), ("script", "Tuple[str, ...]"),
        ("job_id", str), ("query", "Tuple[str, ...]"), ("joins_ids", str),
        ("read", "Callable[[str], Iterator[Tuple[str, str, str, str]]]"),
        ("accounting", "Tuple[str, ...]"), ("explain", "Tuple[str, ...]"), ("explanation", str),
        ("cancel", "Tuple[str, ...]"), ("find", "Tuple[str, ...]"), ("limit", "Tuple[str, ...]"),
        ("limit_text", str), ("limit_usual", int), ("limit_less", int), ("crowded", str),
        ("user_limit", "Tuple[str, ...]"), ("forgotten", str),
        ("name_length", int), ("knows_success", bool), ("leaves_tasks", bool),
        ("begins_in_sh", bool), ("variables", str), ("joins_values", bool), ("flags", str),
        ("pairs", str), ("cluster", "Tuple[str, ...]"),
        ("requeue", "Tuple[str, ...]"), ("requeues", "Tuple[str, ...]"),
        ("ours", "Tuple[Tuple[str, str], ...]")])):
    """What differs between schedulers.

    program submits; says is what it answers to --version where two have one of that name; index is
    the variable with the slot, own_id that with the id of its array job; array_task how its
    commands call slot {1} of array job {0}; options makes those of an array job; script stands
    before the script, which is then a word of a shell's; job_id finds the id in what a submission
    prints.

    query, with ids joined by joins_ids (" ": as words, "": not named at all), lists array tasks,
    which read yields as (job id, slots, state, reason). accounting, with ids joined by commas,
    lists how array tasks ended, also those that the queue has forgotten, where a site keeps that;
    read_accounting reads it. explain, with an id, tells why it is held, which explanation finds,
    where read does not. find, with a name, prints the ids of that name.

    limit is a command, limit_text finds the array limit in its output, limit_usual is that
    elsewhere, limit_less how much smaller than it the count must be. crowded matches the refusal of
    more array tasks than a user may have, user_limit is a command that, with a user's name, prints
    how many these are. forgotten matches what is said of a job that is gone; knows_success tells
    whether a dependency on success can be had; leaves_tasks whether it kills the process group of
    an array task and not what that began, begins_in_sh whether sh may begin plain tasks there, as
    it signals and ends all that an array task began; variables are those that a surrounding job
    sets.

    joins_values tells whether a value may follow a short option at once (-pgpu); flags are the
    options that take no value, pairs those that take two. cluster are the options by which its
    commands are sent to another cluster, and behind them variables that say so. requeue are options
    for an array task to begin again when its node dies, requeues those of the user's, and behind
    them variables, that decide it. ours are the options by which the user's own would be beaten,
    each with what says the same to HydraFlow.
    """
    __slots__ = ()

    def has_forgotten(self, errors: str) -> bool:
        """Return whether errors of a command say that a job is gone."""
        return bool(self.forgotten and re.search(self.forgotten, errors))


def slurm_options(job: ArrayJob) -> "List[str]":
    """Return the options of sbatch (sbatch(1)); a percent sign of a path is special, so doubled."""
    log = job.log.replace("%", "%%")
    options = [
        "--parsable", f"--job-name={job.name}", f"--output={log}%a.out", "--open-mode=append",
        f"--array={job.array}"]
    waits = [":".join([kind, *ids]) for kind, ids in job.dependencies("afterok", "afterany")]
    if waits:
        options += [f"--dependency={','.join(waits)}", "--kill-on-invalid-dep=yes"]
    return options


def gridengine_options(job: ArrayJob) -> "List[str]":
    """Return the options of qsub of Grid Engine (qsub(1)); -hold_jid waits for any end."""
    options = ["-terse", "-N", job.name, "-t", f"1-{job.count}"]
    if job.throttle:
        options += ["-tc", str(job.throttle)]
    options += ["-o", f"{job.log}$TASK_ID.out", "-j", "y", "-S", "/bin/sh", "-b", "n"]
    waits = list(chain.from_iterable(ids for _, ids in job.dependencies("", "")))
    if waits:
        options += ["-hold_jid", ",".join(waits)]
    return options


def pbs_options(job: ArrayJob) -> "List[str]":
    """Return the options of qsub of PBS (qsub(1B)); an array of one, refused there, is no array."""
    options = ["-N", job.name]
    index = "1"
    if job.count > 1:
        options += ["-J", job.array]
        index = "^array_index^"
    options += ["-o", f"{job.log}{index}.out", "-j", "oe", "-S", "/bin/sh"]
    waits = [":".join([kind, *ids]) for kind, ids in job.dependencies("afterok", "afterany")]
    if waits:
        options += ["-W", f"depend={','.join(waits)}"]
    return options


def lsf_options(job: ArrayJob) -> "List[str]":
    """Return the options of bsub (bsub(1)); -ti ends what can never begin, which would wait on."""
    array = f"{job.name}[1-{job.count}]"
    if job.throttle:
        array += f"%{job.throttle}"
    options = ["-J", array, "-o", f"{job.log}%I.out"]
    waits = []
    for kind, ids in job.dependencies("done", "ended"):
        waits += [f"{kind}({number})" for number in ids]
    if waits:
        options += ["-w", " && ".join(waits)]
    if job.ids and job.must_succeed:
        options.append("-ti")
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


def read_accounting(text: str) -> "Iterator[Tuple[str, str, str, str]]":
    """Yield the array tasks of sacct, in the format of its row: job id, slots, state, how it ended.

    Its exit code is a status and, behind a colon, a signal (sacct(1)).

    >>> list(read_accounting("12_3|CANCELLED by 0|0:15"))
    [('12', '3', 'CANCELLED', 'SIGTERM')]
    >>> list(read_accounting("12_4|FAILED|127:0"))
    [('12', '4', 'FAILED', 'exit status 127')]
    """
    for line in text.splitlines():
        match = re.match(r"(\d+)_\[?([\d,:-]+)[^|]*\|(\w+)[^|]*\|(\d+):(\d+)", line)
        if match is None:
            continue
        number, slots, state, status, ended_by = match.groups()
        how = ""
        if ended_by != "0":
            how = signal_name(int(ended_by))
        elif status != "0":
            how = f"exit status {status}"
        yield number, slots, state, how


SCHEDULERS = {row.name: row for row in (
    Scheduler(
        name="slurm",
        program="sbatch",
        says="",
        index="SLURM_ARRAY_TASK_ID",
        own_id="SLURM_ARRAY_JOB_ID",
        array_task="{0}_{1}",
        options=slurm_options,
        script=(),
        job_id=r"^(?:Submitted batch job )?(\d+(?:;[\w.-]+)?)(?:\s|$)",
        query=("squeue", "-h", "-r", "-t", "all", "-o", "%F|%K|%T|%r", "-j"),
        joins_ids=",",
        read=read_columns,
        accounting=("sacct", "-X", "-n", "-P", "-o", "JobID,State,ExitCode", "-j"),
        explain=(),
        explanation="",
        cancel=("scancel",),
        find=("squeue", "-h", "-o", "%F", "--name"),
        limit=("scontrol", "show", "config"),
        limit_text=r"MaxArraySize\s*=\s*(\d+)",
        limit_usual=1001,
        limit_less=1,
        crowded=r"MaxSubmitJob|job submit limit",
        user_limit=("sacctmgr", "-nP", "show", "assoc", "format=MaxSubmitJobs", "user={}"),
        forgotten="Invalid job id",
        name_length=60,
        knows_success=True,
        leaves_tasks=False,
        begins_in_sh=True,
        variables=r"SLURM_(?!CONF$|CONF_SERVER$|CLUSTERS$|TIME_FORMAT$)|SLURMD_|"
                  r"SBATCH_(ARRAY_INX|WAIT|WAIT_ALL_NODES)$|PMI",
        joins_values=True,
        flags=(
            "-H -h -k -O -Q -s -v -V -W --contiguous --exclusive --get-user-env --help --hold "
            "--ignore-pbs --nice --no-kill --no-requeue --overcommit --oversubscribe --parsable "
            "--propagate --quiet --reboot --requeue --spread-job --stepmgr --test-only --usage "
            "--use-min-nodes --verbose --version --wait"),
        pairs="",
        cluster=("-M", "--clusters", "--cluster", "SBATCH_CLUSTERS", "SLURM_CLUSTERS"),
        requeue=("--requeue",),
        requeues=("--requeue", "--no-requeue", "SBATCH_REQUEUE", "SBATCH_NO_REQUEUE"),
        ours=(
            (OURS_ARRAY, "-a --array"), (OURS_NAME, "-J --job-name"),
            (OURS_LOG, "-o --output --open-mode"),
            (OURS_AFTER, "-d --dependency --kill-on-invalid-dep"), (OURS_COMMAND, "--wrap"))),
    Scheduler(
        name="gridengine",
        program="qsub",
        says="",
        index="SGE_TASK_ID",
        own_id="JOB_ID",
        array_task="{0}.{1}",
        options=gridengine_options,
        script=(),
        job_id=r"^(?:Your job(?:-array)? )?(\d+)",
        query=("qstat", "-u", "*"),
        joins_ids="",
        read=read_qstat,
        accounting=(),
        explain=("qstat", "-j"),
        explanation=r"error reason\s+\d+:\s*(?:\S+ \S+ \[\S+\]: )?(.+)",
        cancel=("qdel",),
        find=("qstat", "-j"),
        limit=("qconf", "-sconf"),
        limit_text=r"max_aj_tasks\s+(\d+)",
        limit_usual=75000,
        limit_less=0,
        crowded="",
        user_limit=(),
        forgotten="",
        name_length=60,
        knows_success=False,
        leaves_tasks=True,  # SIGKILL at qdel and h_rt (sge_shepherd, queue_conf(5))
        begins_in_sh=False,
        variables=r"SGE_(?!ROOT$|CELL$|QMASTER_PORT$|EXECD_PORT$|CLUSTER_NAME$)|"
                  r"(JOB_ID|JOB_NAME|JOB_SCRIPT|TASK_ID|QUEUE|RESTARTED|NSLOTS|NQUEUES|NHOSTS|"
                  r"PE|PE_HOSTFILE|REQUEST|ARC|ENVIRONMENT)$",
        joins_values=False,
        flags="-clear -cwd -h -hard -help -nostdin -noshell -notify -soft -terse -V -verify",
        pairs="-pe",
        cluster=(),
        requeue=("-r", "y"),
        requeues=("-r",),
        ours=(
            (OURS_ARRAY, "-t -tc"), (OURS_NAME, "-N"), (OURS_LOG, "-o -e -j"),
            (OURS_AFTER, "-hold_jid"), (OURS_SHELL, "-S"), (OURS_COMMAND, "-b"))),
    Scheduler(
        name="pbs",
        program="qsub",
        says="pbs_version|PBS",
        index="PBS_ARRAY_INDEX",
        own_id="PBS_JOBID",
        array_task="",
        options=pbs_options,
        script=(),
        job_id=r"^(\d+(?:\[\])?)",
        query=("qstat", "-t"),
        joins_ids=" ",
        read=read_qstat_t,
        accounting=(),
        explain=("qstat", "-f"),
        explanation=r"comment = (.+(?:\n\t.+)*)",
        cancel=("qdel",),
        find=("qselect", "-N"),
        limit=("qmgr", "-c", "print server"),
        limit_text=r"max_array_size\s*=\s*(\d+)",
        limit_usual=10000,
        limit_less=0,
        crowded="would exceed",
        user_limit=(),
        forgotten="Unknown Job Id|Job has finished",
        name_length=15,
        knows_success=True,
        leaves_tasks=False,
        begins_in_sh=False,
        variables=r"PBS_(?!DEFAULT$|SERVER$|CONF_FILE$|EXEC$)|PMI",
        joins_values=True,
        flags="-f -G -h -I -V -x -X -z",
        pairs="",
        cluster=(),
        requeue=(),  # arrays are (qsub(1B), -r)
        requeues=("-r",),
        ours=(
            (OURS_ARRAY, "-J"), (OURS_NAME, "-N"), (OURS_LOG, "-o -e -j"),
            (OURS_AFTER, "-W=depend"), (OURS_SHELL, "-S"))),
    Scheduler(
        name="lsf",
        program="bsub",
        says="",
        index="LSB_JOBINDEX",
        own_id="LSB_JOBID",
        array_task="{0}[{1}]",
        options=lsf_options,
        script=("/bin/sh",),
        job_id=r"Job <(\d+)>",
        query=("bjobs", "-a", "-noheader", "-o", "jobid jobindex stat pend_reason delimiter='|'"),
        joins_ids=" ",
        read=read_columns,
        accounting=(),
        explain=(),
        explanation="",
        cancel=("bkill",),
        find=("bjobs", "-noheader", "-o", "jobid", "-J"),
        limit=("bparams", "-a"),
        limit_text=r"MAX_JOB_ARRAY_SIZE\s*=\s*(\d+)",
        limit_usual=1000,
        limit_less=0,
        crowded="(?i)pending jobs? .*(threshold|limit|maximum)|maximum number of pending",
        user_limit=(),
        forgotten="is not found|No matching job|already finished",
        name_length=60,
        knows_success=True,
        leaves_tasks=False,
        begins_in_sh=False,
        variables=r"LSB_(?!BSUB_PARSE_SCRIPT$)|LS_|PMI",
        joins_values=False,
        flags="-ar -B -H -h -I -Ip -Is -IS -ISp -ISs -IX -K -N -r -rn -ti -ul -V -x",
        pairs="",
        cluster=(),
        requeue=("-r",),
        requeues=("-r", "-rn"),
        ours=((OURS_NAME, "-J"), (OURS_LOG, "-o -oo"), (OURS_AFTER, "-w -ti"))),
)}


@functools.lru_cache(maxsize=None)
def version_text(program: str) -> str:
    """Return what a program says of its version, asked once."""
    _, out, errors = capture([program, "--version"], environment({}))
    return out + errors


def behind_env(words: "Sequence[str]") -> "Sequence[str]":
    """Return a command without the env and the variables before it.

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
    """Return the scheduler of a submission command, None for a handler.

    Those that have a program of the same name are told apart by what it says of its version. With
    may_ask false it is not executed, and the one that is known by no word of its own is taken: what
    a dry run is about need not be here.
    """
    words = behind_env(words)
    if not words:
        return None
    program = os.path.basename(words[0])
    rows = [row for row in SCHEDULERS.values() if row.program == program]
    if not rows:
        return None
    if len(rows) == 1:
        return rows[0]
    said = version_text(words[0]) if may_ask else ""
    plain = [row for row in rows if not row.says]
    for row in rows:
        if row.says and re.search(row.says, said):
            return row
    return plain[0]


def submission_options(words: "Sequence[str]",
                       scheduler: Scheduler) -> "Iterator[Tuple[int, str, str]]":
    """Yield the options of a submission command: index of the word, name, value; last, without a
    name, the script, behind which nothing is the scheduler's.

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
                value = " ".join(words[behind] for behind in islice(rest, count))
        yield index, option, value


def script_word(words: "Sequence[str]", scheduler: Scheduler) -> int:
    """Return the index of the user's own script in a submission command, or 0."""
    return next((index for index, option, _ in submission_options(words, scheduler)
                 if not option), 0)


def clusters_of(words: "Sequence[str]", scheduler: Scheduler) -> str:
    """Return the clusters that a submission command, or a variable, names; "" for the usual one.

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
    """Return whether an option has one of some names; a long one may be shortened.

    >>> is_one_of("--arr", ["-a", "--array"]), is_one_of("-a", ["--array"])
    (True, False)
    """
    if option.startswith("--") and len(option) > 3:
        return any(name.startswith(option) for name in names)
    return option in names


def beaten_options(words: "Sequence[str]", scheduler: Scheduler,
                   waits: bool) -> "Iterator[Tuple[int, str, str]]":
    """Yield the options of a submission command that ours would beat: index of the word, name,
    what to write instead. waits tells whether ours are to say what is waited for.

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


def says_requeue(words: "Sequence[str]", scheduler: Scheduler) -> bool:
    """Return whether a submission command, or a variable, decides if array tasks begin again when
    their node dies.

    >>> says_requeue(["sbatch", "--no-req"], SCHEDULERS["slurm"])
    True
    """
    if any(os.environ.get(name) for name in scheduler.requeues):
        return True
    options = submission_options(words, scheduler)
    return any(is_one_of(option, scheduler.requeues) for _, option, _ in options)


def outer_environment(scheduler: Scheduler) -> "Dict[Any, Any]":
    """Return the environment without what a surrounding job set, which would rule the new one."""
    variables = re.compile(scheduler.variables)
    result = {}  # type: Dict[Any, Any]
    for name, value in environment({}).items():
        if not variables.match(os.fsdecode(name)):
            result[name] = value
    return result


def has_failed_in_passing(status: int, errors: str) -> bool:
    """Return whether a command of a scheduler failed by what may be over soon: it did not end in
    time, a signal ended it, or it says so."""
    return status == 124 or status < 0 or bool(re.search(PASSING, errors))


def failure_text(status: int, *texts: str) -> str:
    """Return what a command that failed has said, the first text that says something."""
    for text in texts:
        if text.strip():
            return text.strip()
    return signal_name(-status) if status < 0 else f"exit status {status}"


def ask_once(argv: "Sequence[str]", scheduler: Scheduler) -> "Tuple[int, str, str]":
    """Return what a command of the scheduler answers, to a question that can do without."""
    return capture(argv, outer_environment(scheduler))


def ask(argv: "Sequence[str]", scheduler: Scheduler,
        delays: "Sequence[float]" = TRIES) -> "Tuple[int, str, str]":
    """Return what a command of the scheduler answers, tried again where it fails in passing."""
    env = outer_environment(scheduler)
    status, out, errors = capture(argv, env, PATIENT)
    for delay in delays:
        if status in (0, 127) or not has_failed_in_passing(status, errors):
            break
        time.sleep(delay)
        status, out, errors = capture(argv, env, PATIENT)
    return status, out, errors


def split_id(job_id: str) -> "Tuple[str, str]":
    """Return the number of a job, and the cluster that alone knows it by that; "" for the usual.

    >>> split_id("12;far"), split_id("7[]")
    (('12', 'far'), ('7[]', ''))
    """
    number, _, cluster = job_id.partition(";")
    return number, cluster


def id_at(number: str, cluster: str) -> str:
    """Return the id of a job that a cluster knows by a number: 12;far, and 12 for the usual one."""
    return ";".join(filter(None, (number, cluster)))


def at_cluster(command: "Sequence[str]", scheduler: Scheduler, cluster: str) -> "List[str]":
    """Return a command of a scheduler, sent to a cluster."""
    if not cluster or not scheduler.cluster:
        return list(command)
    return [command[0], scheduler.cluster[0], cluster, *command[1:]]


@functools.lru_cache(maxsize=None)
def array_limit(scheduler: Scheduler, clusters: str) -> int:
    """Return how many array tasks an array job may have, asked once; clusters have the first's."""
    first = clusters.split(",")[0]
    status, out, _ = ask_once(at_cluster(scheduler.limit, scheduler, first), scheduler)
    limit = scheduler.limit_usual
    match = re.search(scheduler.limit_text, out)
    if match and status == 0:
        limit = int(match.group(1))
    return max(limit - scheduler.limit_less, 1)


def rounded_up(count: int, size: int) -> int:
    """Return how many groups of a size take count things.

    >>> rounded_up(5, 2), rounded_up(4, 2), rounded_up(0, 2)
    (3, 2, 0)
    """
    return (count + size - 1) // size


def user_limit(scheduler: Scheduler) -> int:
    """Return how many array tasks a user may have in all, 0 where nobody says it."""
    if not scheduler.user_limit:
        return 0
    _, name, _ = ask_once(["id", "-un"], scheduler)
    words = [word.format(name.strip()) for word in scheduler.user_limit]
    _, out, _ = ask_once(words, scheduler)
    limits = [int(number) for number in re.findall("^[0-9]+$", out, re.MULTILINE)]
    return min(limits, default=0)


def pack_hint(refusal: str, scheduler: Scheduler, tasks: int) -> str:
    """Return what helps against a refusal of too many array tasks, "" against any other."""
    if not scheduler.crowded or not re.search(scheduler.crowded, refusal):
        return ""
    limit = user_limit(scheduler)
    if not limit:
        return "--pack N puts N tasks into each array task, one after the other"
    pack = rounded_up(tasks, limit)
    return (f"you may have {counted(limit, 'array task')} at once: "
            f"--pack {pack} makes {rounded_up(tasks, pack)} of these {counted(tasks, 'task')}")


def array_name(job: str, ulid: str, number: int, scheduler: Scheduler) -> str:
    """Return a name that no other array job has, by which it is found where an answer got lost.

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
    """Return the submission command; our options come behind the user's, where they win."""
    last = shlex.quote(script) if scheduler.script else script
    options = scheduler.options(job)
    if not says_requeue(words, scheduler):  # harmless, as an array task looks what has succeeded
        options += scheduler.requeue
    return [*words, *options, *scheduler.script, last]


def send(words: "Sequence[str]", scheduler: Scheduler, name: str) -> str:
    """Submit, and return the job's id; the Error of a refusal is the scheduler's own message.

    After each try that failed without a refusal, the name is looked for: it may have been accepted.
    """
    env = outer_environment(scheduler)
    for delay in (0.0, *TRIES):
        time.sleep(delay)
        status, out, errors = capture(words, env, 120.0)
        match = re.search(scheduler.job_id, out, re.MULTILINE)
        if match:  # whatever the status: with sbatch -W it is that of the job
            return match.group(1)
        if status == 0:
            return unanswered(words, scheduler, name, out)
        if not has_failed_in_passing(status, errors):
            break
        found = find_array(scheduler, name, clusters_of(words, scheduler))
        if found:
            return found
    raise Refusal("refused", f"{words[0]} refused: {failure_text(status, errors, out)}")


def unanswered(words: "Sequence[str]", scheduler: Scheduler, name: str, out: str) -> str:
    """Return the id of a submission whose answer has none; Unanswered if nobody knows it."""
    found = find_array(scheduler, name, clusters_of(words, scheduler))
    if found:
        return found
    said = " ".join(out.split())[:200] or "nothing"
    raise Unanswered(
        "no-job-id",
        f"{words[0]} accepted the submission, and named no id of a job: {said}", NOWHERE,
        f"look for {name} among what is queued, and cancel it; its tasks would end themselves")


def find_array(scheduler: Scheduler, name: str, clusters: str) -> "Optional[str]":
    """Return the id of the array job that has a name on one of some clusters; "" where none has it,
    None where one of them does not answer."""
    missing = ""  # type: Optional[str]
    for cluster in clusters.split(","):
        words = at_cluster([*scheduler.find, name], scheduler, cluster)
        status, out, errors = ask(words, scheduler, TRIES[:2])
        match = re.search(r"^(?:job_number:\s*)?(\d+(?:\[\])?)", out, re.MULTILINE)
        if match:
            return id_at(match.group(1), cluster)
        if status == 127 or has_failed_in_passing(status, errors):
            missing = None
    return missing


def array_task_id(scheduler: Scheduler, job_id: str, slot: int) -> str:
    """Return the id of an array task, with the cluster of its array job.

    >>> array_task_id(SCHEDULERS["slurm"], "12;far", 3), array_task_id(SCHEDULERS["pbs"], "7[]", 3)
    ('12_3;far', '7[3]')
    """
    number, cluster = split_id(job_id)
    text = number.replace("[]", f"[{slot}]")  # of PBS, where an array of one is a plain job
    if scheduler.array_task:
        text = scheduler.array_task.format(number, slot)
    return id_at(text, cluster)


def cancel_array(scheduler: Scheduler, job_id: str) -> str:
    """Cancel an array job, or an array task of one; return what went wrong."""
    number, cluster = split_id(job_id)
    words = at_cluster([*scheduler.cancel, number], scheduler, cluster)
    status, out, errors = ask(words, scheduler)
    if not status or scheduler.has_forgotten(errors):
        return ""
    if errors.strip() or out.strip():
        return failure_text(status, errors, out)
    return f"{scheduler.cancel[0]}: exit status {status}"


def slot_numbers(text: str) -> "List[int]":
    """Return the numbers of a list with ranges.

    >>> slot_numbers("1,3-5,10-20:5")
    [1, 3, 4, 5, 10, 15, 20]
    """
    numbers = []  # type: List[int]
    for match in re.finditer(r"(\d+)(?:-(\d+)(?::(\d+))?)?", text):
        first, last, step = match.groups()
        numbers.extend(range(int(first), int(last or first) + 1, int(step or 1)))
    return numbers


class Queued(NamedTuple("Queued", [("state", str), ("reason", str), ("how", str)])):
    """What a scheduler says of an array task, in its own words; "" where it says nothing.

    how is how it ended, by its accounting.
    """
    __slots__ = ()


NOT_QUEUED = Queued("", "", "")
NO_ID = "0"  # of an array job that no scheduler knows


def by_cluster(ids: "Iterable[str]") -> "List[Tuple[str, List[str]]]":
    """Return the numbers of jobs by the cluster that knows them.

    >>> by_cluster(["12", "7;far", "13"])
    [('', ['12', '13']), ('far', ['7'])]
    """
    numbers = {}  # type: Dict[str, List[str]]
    for job_id in ids:
        number, cluster = split_id(job_id)
        numbers.setdefault(cluster, []).append(number)
    return sorted(numbers.items())


def query(scheduler: Scheduler,
          ids: "Sequence[str]") -> "Tuple[Dict[Tuple[str, int], Queued], str]":
    """Return what a scheduler knows of array jobs, by id and slot, and what went wrong.

    One query for each cluster, whatever the number of array tasks.
    """
    found = {}  # type: Dict[Tuple[str, int], Queued]
    wrongs = []
    for cluster, numbers in by_cluster(ids):
        status, out, errors = ask_queue(scheduler, cluster, numbers)
        if status and not scheduler.has_forgotten(errors):
            wrongs.append(f"{scheduler.query[0]}: {failure_text(status, errors)}")
        for number, slots, state, reason in scheduler.read(out):
            for slot in slot_numbers(slots) or [1]:
                found[id_at(number, cluster), slot] = Queued(state, reason, "")
    return found, "; ".join(wrongs)


def ask_queue(scheduler: Scheduler, cluster: str,
              numbers: "Sequence[str]") -> "Tuple[int, str, str]":
    """Return what a cluster answers about array jobs."""
    words = at_cluster(scheduler.query, scheduler, cluster)
    if scheduler.joins_ids == ",":
        words.append(",".join(numbers))
    elif scheduler.joins_ids:
        words.extend(numbers)
    return ask(words, scheduler, TRIES[:2])  # somebody waits for the answer


def accounts(scheduler: Scheduler, ids: "Sequence[str]") -> "Dict[Tuple[str, int], Queued]":
    """Return how array tasks ended that a site's accounting knows, by id and slot; one query."""
    found = {}  # type: Dict[Tuple[str, int], Queued]
    if not scheduler.accounting:
        return found
    for cluster, numbers in by_cluster(ids):
        words = at_cluster([*scheduler.accounting, ",".join(numbers)], scheduler, cluster)
        _, out, _ = ask_once(words, scheduler)  # many sites keep no accounts
        for number, slots, state, how in read_accounting(out):
            if state not in ENDED:
                continue
            for slot in slot_numbers(slots):
                found[id_at(number, cluster), slot] = Queued(state, "", how)
    return found


def explain_hold(scheduler: Scheduler, job_id: str) -> str:
    """Return why a scheduler holds an array job, where that has to be asked for; or nothing."""
    if not scheduler.explain:
        return ""
    number, cluster = split_id(job_id)
    words = at_cluster([*scheduler.explain, number], scheduler, cluster)
    _, out, _ = ask_once(words, scheduler)
    match = re.search(scheduler.explanation, out)
    return " ".join(match.group(1).replace("\n\t", "").split()) if match else ""


# ---------------------------------------------------------------------------
# 11. Runs: Plan -> Event, Event, ...
# ---------------------------------------------------------------------------
# Options, processors; ArrayTask, survey (what is known of a record: its own events, then what
# lives, then what queues say); Run and open_run (a start of a run: which tasks are done, run, are
# to be executed); the places Here, ArrayPlace, Handler, place_of, check_plan; Watch, follow,
# Execution, describe (one loop over the steps, for the run and the dry run); run_slot (what an
# array task executes); cancel_record. Every place answers the same questions: check, can_wait_for,
# describe, start. Who executes or follows yields events; who asks for states gets a Survey.


class Options(NamedTuple("Options", [
        ("jobs", int), ("keep_going", bool), ("resume", bool), ("reuse", bool), ("wait", bool),
        ("retries", int), ("timeout", float), ("pack", int), ("pack_parallel", int),
        ("words", "List[str]")])):
    """What the command line asks of a run; 0, and -1 for retries, where it says nothing.

    timeout is in minutes; jobs is AUTO for as many tasks as there are processors.
    """
    __slots__ = ()


def processors() -> int:
    """Return how many processors this process may use.

    The grant of an allocation around it, its affinity and the quota of its cgroup say that.
    """
    counts = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    for name in ("SLURM_CPUS_ON_NODE", "NSLOTS", "PBS_NCPUS", "LSB_DJOB_NUMPROC"):
        text = os.environ.get(name, "")
        if re.fullmatch("[1-9][0-9]{0,5}", text):
            counts.append(int(text))
    quota = first_line("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and all(map(str.isdigit, quota)) and int(quota[1]):
        counts.append(max(int(quota[0]) // int(quota[1]), 1))
    return min(counts)


class ArrayTask(NamedTuple("ArrayTask", [
        ("scheduler", Scheduler), ("submission", int), ("job_id", str), ("slot", int)])):
    """A slot of a submission, and the id of its array job."""
    __slots__ = ()

    @property
    def text(self) -> str:
        """What the scheduler's commands call it."""
        return array_task_id(self.scheduler, self.job_id, self.slot)


class Survey:
    """What is known of a record.

    wrong is what kept a scheduler from answering, holder who executes or submits a start of the run
    at this moment; unsettled are tasks that a signal ended in an array task which is still there.
    members are the tasks that the last start planned, in its order, with their states: what waits
    for nobody that lives has not started.
    """
    __slots__ = (
        "record", "ledger", "states", "submissions", "wrong", "holder", "unsettled", "members")

    def __init__(self, record: Record, ledger: Ledger, states: "Dict[int, State]",
                 submissions: "List[Submission]", wrong: str, holder: str,
                 unsettled: "Set[int]") -> None:
        self.record = record
        self.ledger = ledger
        self.states = states
        self.submissions = submissions
        self.wrong = wrong
        self.holder = holder
        self.unsettled = unsettled
        self.members = [(number, self.state(number)) for number in ledger.members]

    def state(self, number: int) -> State:
        """Return the state of a task; what waits for nobody that lives has not started."""
        state = self.states.get(number) or State()
        if state.name == "waiting":
            state.become(self.before_start())
        return state

    def array_tasks(self) -> "Dict[int, ArrayTask]":
        """Return the array tasks that have tasks, or had them last, by the numbers of these."""
        found = {}  # type: Dict[int, ArrayTask]
        by_slot = {}  # type: Dict[Tuple[int, int], ArrayTask]
        for submission in self.submissions:
            scheduler = SCHEDULERS.get(submission.scheduler)
            if scheduler is None:
                continue
            for slot, entries in enumerate(submission.slots, 1):
                one = ArrayTask(scheduler, submission.number, submission.job_id, slot)
                by_slot[submission.number, slot] = one
                found.update((number, one) for number, _, _ in entries)
        for number, state in self.states.items():
            if state.writer is not NOBODY and number in found:  # a neighbour in a pack may have it
                found[number] = by_slot.get(state.writer.name.slot, found[number])
        return found

    def before_start(self) -> str:
        """Return the name of the state of what nobody has begun."""
        return "waiting" if self.holder else "not started"

    def counts(self) -> "Dict[str, int]":
        """Return how many tasks of the last start are in each state, in the order of STATES."""
        from collections import Counter
        found = Counter(state.name for _, state in self.members)
        counts = {name: found[name] for name in STATES}
        not_planned = max(self.ledger.start.count - len(self.ledger.members), 0)
        counts[self.before_start()] += not_planned
        return counts


# -- what is known of a record


class Seen(NamedTuple("Seen", [("told", Told), ("sizes", "Dict[str, int]")])):
    """What the events of a record say, and how large their files were just before."""
    __slots__ = ()


def event_sizes(record: Record) -> "Dict[str, int]":
    """Return the sizes of the files with events."""
    sizes = {}
    for path in record.event_paths():
        try:
            sizes[path] = os.stat(path).st_size
        except FileNotFoundError:  # a room that was left
            continue
    return sizes


def see_told(record: Record, before: "Optional[Seen]" = None) -> Seen:
    """Return what the events of a record say; no file is read again that has not changed since."""
    sizes = event_sizes(record)
    if before and before.sizes == sizes:
        return before
    return Seen(read_told(record), sizes)


def find_gone(record: Record, seen: Seen) -> Seen:
    """Return what is told, where tasks whose processes no longer exist are interrupted."""
    states = seen.told.states
    running = [number for number, state in states.items() if state.name == "running"]
    gone = [number for number in running if is_gone(states[number])]
    if not gone:
        return seen
    seen = see_told(record, seen)  # they may have told their end before they went
    told = seen.told
    for number in gone:
        if told.states[number].name == "running":
            told.states[number].become("interrupted", "killed")
    return seen


class Waiting(NamedTuple("Waiting", [("submission", Submission), ("slot", int), ("first", int)])):
    """Where a task stands in a submission: its slot, and the first attempt that it may make."""
    __slots__ = ()


def open_tasks(states: "Dict[int, State]",
               submissions: "Sequence[Submission]") -> "Dict[int, Waiting]":
    """Return where each task that a scheduler may know more of stands in its last submission."""
    last = {}  # type: Dict[int, Waiting]
    for submission in submissions:
        for slot, entries in enumerate(submission.slots, 1):
            for number, first, _ in entries:
                last[number] = Waiting(submission, slot, first)
    found = {}  # type: Dict[int, Waiting]
    for number, waiting in last.items():
        state = states.get(number)
        if state and state.attempt >= waiting.first and state.writer is not NOBODY:
            submitted, slot = state.writer.name.slot
            if submitted == waiting.submission.number:  # of a pack, another slot may have it
                waiting = waiting._replace(slot=slot)
        if is_open_there(state, waiting):
            found[number] = waiting
    return found


def is_open_there(state: "Optional[State]", waiting: Waiting) -> bool:
    """Return whether more may be known of a task where it waits than it has told itself."""
    if state is None or state.attempt < waiting.first:  # it has not begun there
        return True
    slot = waiting.submission.number, waiting.slot
    if state.writer is not NOBODY and state.writer.name.slot != slot:
        return False
    return not state.origin and may_be_told_more(state)


def may_be_told_more(state: State) -> bool:
    """Return whether a scheduler may know more of a task than it has told itself.

    A signal may be the scheduler's doing.
    """
    if state.name == "failed":
        return not state.cause and is_ending_signal(state.status)
    return state.name not in ("succeeded", "skipped")


def is_ending_signal(status: int) -> bool:
    """Return whether an exit status is that of a signal by which a scheduler ends a task."""
    return status - 128 in (
        signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2,
        signal.SIGXCPU, signal.SIGHUP)


class Surveyor:
    """Makes a survey, and reads each record that it needs for that once.

    failed tells of submissions whether tasks of them cannot succeed now, holds of array jobs why
    they are held; unsettled is that of the survey that is made.
    """
    __slots__ = ("seen", "submissions", "failed", "holds", "unsettled")

    def __init__(self) -> None:
        self.holds = {}  # type: Dict[str, str]
        self.unsettled = set()  # type: Set[int]
        self.seen = {}  # type: Dict[str, Seen]
        self.submissions = {}  # type: Dict[str, List[Submission]]
        self.failed = {}  # type: Dict[Tuple[str, int], bool]

    def read(self, record: Record) -> "Tuple[Told, List[Submission]]":
        """Return what is told in a record, and its submissions."""
        if record.path not in self.seen:
            seen = self.seen[record.path] = find_gone(record, see_told(record))
            every = read_submissions(record)
            taken = [one for one in every if not was_refused(one, seen.told)]
            self.submissions[record.path] = [named(submission) for submission in taken]
        return self.seen[record.path].told, self.submissions[record.path]

    def has_failed(self, path: str, number: int) -> bool:
        """Return whether tasks of a submission, or of what it waits for, cannot succeed now."""
        if (path, number) not in self.failed:
            self.failed[path, number] = False
            told, submissions = self.read(Record(path))
            for one in submissions:
                if one.number == number:
                    is_bad = self.is_blocked(one) or has_bad(one, told.states)
                    self.failed[path, number] = is_bad
        return self.failed[path, number]

    def is_blocked(self, submission: Submission) -> bool:
        """Return whether something has failed that a submission waits for."""
        if not submission.must_succeed:
            return False
        return any(self.has_failed(path, number) for path, number in submission.after)

    def is_waiting(self, submission: Submission) -> bool:
        """Return whether something is not over that a submission waits for."""
        for path, number in submission.after:
            told, submissions = self.read(Record(path))
            for one in submissions:
                states = [told.states.get(task) for task in one.numbers()]
                if one.number == number and not all(state and state.is_over for state in states):
                    return True
        return False

    def hold(self, submission: Submission, queued: Queued) -> str:
        """Return why an array task is held, in the scheduler's words; "" if it is not."""
        reason = "" if queued.reason in UNSAID else queued.reason
        is_held = bool(re.search(HELD, reason) or re.search(HELD, queued.state))
        if not is_held and (queued.state not in ON_HOLD or self.is_waiting(submission)):
            return ""
        if reason:
            return reason
        job_id = submission.job_id
        if job_id not in self.holds:
            self.holds[job_id] = explain_hold(SCHEDULERS[submission.scheduler], job_id)
        return ": ".join(filter(None, (queued.state, self.holds[job_id])))

    def survey(self, record: Record) -> Survey:
        """Return what is known of a record."""
        ledger = Ledger(record)
        holder = lock_holder(record)
        told, submissions = self.read(record)
        waiting = open_tasks(told.states, submissions)
        wrong = ""
        self.unsettled = set()
        if waiting:
            queues, wrong = ask_queues([place.submission for place in waiting.values()])
            seen = see_told(record, self.seen[record.path])  # what ended meanwhile has told so
            seen = self.seen[record.path] = find_gone(record, seen)
            told = seen.told
            waiting = open_tasks(told.states, submissions)
            queues.update(ask_accounts(waiting.values(), queues))
            for number, place in waiting.items():
                if place.submission.scheduler in SCHEDULERS:
                    self.merge(record, told, number, place, queues, bool(wrong))
                else:
                    is_gone = is_handler_gone(told, place.submission, holder)
                    merge_handler(begun_there(told, number, place), place.submission, is_gone)
        return Survey(
            record, ledger, told.states, submissions, wrong, holder, self.unsettled)

    def merge(self, record: Record, told: Told, number: int, place: Waiting,
              queues: "Dict[Tuple[str, int], Queued]", is_unsure: bool) -> None:
        """Bring the state of a task up to date by what queues say of its slot."""
        state = begun_there(told, number, place)
        submission = place.submission
        queued = queues.get((submission.job_id, place.slot), NOT_QUEUED)
        is_missed = not queued.state and is_unsure
        if queued.state in ENDED and submission.job_id and not is_missed:
            cause = cause_of(record, place, queued.state, is_cancelled(told, place))
            said = end_words(record, place, queued) if cause in UNEXPLAINED else ""
            settle(state, cause, self.is_blocked(submission), said)
        elif state.name == "failed":
            self.unsettled.add(number)
        else:
            await_end(state, queued, self.hold(submission, queued))


def begun_there(told: Told, number: int, place: Waiting) -> State:
    """Return the state of a task as far as it has begun where it waits."""
    state = told.states.get(number) or State()
    if state.attempt < place.first:
        state = State(state.attempt, state.attempts)
    told.states[number] = state
    return state


def is_handler_gone(told: Told, submission: Submission, holder: str) -> bool:
    """Return whether nothing more is to be expected of a handler's process; holder executes or
    submits a start of the run. What has not begun, nobody else than that begins."""
    process = told.handlers.get(submission.number)
    if process is None:
        return holder in ("", own_name())
    return is_process_gone(*process)


def is_cancelled(told: Told, place: Waiting) -> bool:
    """Return whether somebody has cancelled a slot, or its array job, through us."""
    number = place.submission.number
    return number in told.cancelled or (number, place.slot) in told.cancelled_slots


def was_refused(submission: Submission, told: Told) -> bool:
    """Return whether a scheduler never took a submission."""
    if submission.scheduler not in SCHEDULERS or submission.job_id:
        return False
    return submission.number in told.cancelled


def named(submission: Submission) -> Submission:
    """Return a submission with its id.

    It is looked for by its name where HydraFlow was killed before the id was on record. Without an
    answer it stays unknown, and its tasks are taken for queued.
    """
    if submission.job_id or submission.scheduler not in SCHEDULERS:
        return submission
    scheduler = SCHEDULERS[submission.scheduler]
    job_id = find_array(scheduler, submission.name, submission.clusters)
    if job_id is None:
        return submission
    return submission._replace(job_id=job_id or NO_ID)


def survey(record: Record) -> Survey:
    """Return what is known of a record."""
    return Surveyor().survey(record)


def has_bad(submission: Submission, states: "Dict[int, State]") -> bool:
    """Return whether tasks of a submission are over without success, in an attempt of theirs."""
    for slot in submission.slots:
        for number, first, _ in slot:
            state = states.get(number)
            if state and state.attempt >= first and state.is_over and not state.is_good:
                return True
    return False


def ids_by_scheduler(
        submissions: "Iterable[Submission]") -> "List[Tuple[Scheduler, List[str]]]":
    """Return the ids of the array jobs of submissions, by their schedulers."""
    ids = {}  # type: Dict[str, Set[str]]
    for submission in submissions:
        if submission.scheduler in SCHEDULERS and submission.job_id:
            ids.setdefault(submission.scheduler, set()).add(submission.job_id)
    return [(SCHEDULERS[name], sorted(numbers)) for name, numbers in sorted(ids.items())]


def ask_queues(
        submissions: "Iterable[Submission]") -> "Tuple[Dict[Tuple[str, int], Queued], str]":
    """Return what schedulers know of slots, by job id and slot, and what went wrong."""
    found = {}  # type: Dict[Tuple[str, int], Queued]
    wrongs = []
    for scheduler, ids in ids_by_scheduler(submissions):
        states, wrong = query(scheduler, ids)
        found.update(states)
        if wrong:
            wrongs.append(wrong)
    return found, "; ".join(wrongs)


def ask_accounts(places: "Iterable[Waiting]", queues: "Dict[Tuple[str, int], Queued]",
                 ) -> "Dict[Tuple[str, int], Queued]":
    """Return what the accounting of a site knows of slots of which queues say at most an end."""
    asked = {}  # type: Dict[Tuple[str, int], Submission]
    for place in places:
        key = place.submission.job_id, place.slot
        state = queues.get(key, NOT_QUEUED).state
        if ENDED.get(state) in UNEXPLAINED and place.submission.job_id != NO_ID:
            asked[key] = place.submission
    found = {}  # type: Dict[Tuple[str, int], Queued]
    for scheduler, ids in ids_by_scheduler(asked.values()):
        found.update(accounts(scheduler, ids))
    return {key: queued for key, queued in found.items() if key in asked}


def cause_of(record: Record, place: Waiting, queued: str, was_cancelled: bool) -> str:
    """Return why a scheduler ended an array task: by its state, or what it wrote at the end."""
    cause = ENDED[queued]
    if cause not in UNEXPLAINED:
        return cause
    if was_cancelled:
        return "cancelled"
    said = scheduler_words(record, place)
    for name, pattern in SAID:
        if re.search(pattern, said):
            return name
    return cause


def scheduler_words(record: Record, place: Waiting) -> bytes:
    """Return the end of what a scheduler wrote beside the output of the tasks of a slot."""
    path = record.scheduler_path(place.submission.number, place.slot)
    try:
        with open(path, "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - 4096, 0))
            return file.read()
    except OSError:
        return b""


def end_words(record: Record, place: Waiting, queued: Queued) -> str:
    """Return what is known of the end of an array task that nobody explains, or nothing."""
    said = last_line(scheduler_words(record, place))
    if queued.how and not said:
        return f"its array task ended with {queued.how}"
    return said


def last_line(text: bytes) -> str:
    """Return the last line of a text that is not empty.

    >>> last_line(b"sh: 1: python: not found\\n\\n")
    'sh: 1: python: not found'
    """
    lines = text.decode("utf-8", "replace").split("\n")
    return next((line.strip()[:400] for line in reversed(lines) if line.strip()), "")


def settle(state: State, cause: str, is_blocked: bool, said: str = "") -> None:
    """Bring the state of a task up to date whose array task has ended, and has not told why.

    said is the last that the scheduler wrote.
    """
    is_known = cause not in UNEXPLAINED
    if state.name == "failed":  # by a signal
        if is_known:
            state.become("interrupted", cause)
    elif is_blocked and not state.ended and state.name != "running":
        state.become("skipped", "blocked")
    elif is_known or not (state.name == "interrupted" and state.asked):
        state.become("interrupted", cause, said)


def await_end(state: State, queued: Queued, hold: str) -> None:
    """Bring the state of a task up to date whose array task is queued, or not known to be gone.

    hold is why it is held.
    """
    if re.search("never ?satisfied", queued.reason, re.IGNORECASE):  # of Slurm, and of LSF
        state.become("skipped", "blocked")
    elif hold or queued.state in WAITING:
        become_queued(state, queued, hold)
    elif state.name == "waiting" or (queued.state and state.name == "interrupted"):
        state.become("queued")  # the array task is there: its task is to begin, or to tell its end
    elif state.name == "running" and queued.state in HALTED:
        state.become("running", HALTED[queued.state])


def become_queued(state: State, queued: Queued, hold: str) -> None:
    """Note that a task's array task has not begun, for the first time or again, and why."""
    cause = "requeued" if state.ended or state.pid else ""
    words = [cause] if cause else []
    if hold:
        cause = "held"
        words.append(hold)
    elif queued.reason not in UNSAID:
        words.append(queued.reason)
    elif queued.state not in USUAL:
        words.append(queued.state)
    state.become("queued", cause, ", ".join(words))


def merge_handler(state: State, submission: Submission, is_gone: bool) -> None:
    """Bring the state of a task up to date that a handler has, whose process may be gone.

    A handler that ended while HydraFlow watched may have left its tasks to somebody else. Of one
    that was killed together with HydraFlow nothing more is to be expected; were it otherwise,
    claims would keep tasks from a second execution.
    """
    if submission.scheduler == PARAMETERS:
        details = []
        if submission.name:
            details.append(f"to {submission.name}")
        if submission.status > 0:
            details.append(f"which ended with exit status {submission.status}")
        state.become("handed", "", ", ".join(details))
    elif state.name == "waiting" and is_gone and submission.status < 0:
        state.become("interrupted", "handler")
    elif state.name == "waiting":
        state.become("queued", "handler-queue")


# -- a start of a run


class Commit(NamedTuple("Commit", [("name", str), ("is_dirty", bool)])):
    """Where git says that files are; is_dirty where some that it tracks have changed since."""
    __slots__ = ()


NO_COMMIT = Commit("", False)  # without git


def commit_of(folder: str) -> Commit:
    """Return the commit that a folder is at."""
    above = os.path.abspath(folder)
    while not os.path.exists(os.path.join(above, ".git")):
        if os.path.dirname(above) == above:
            return NO_COMMIT
        above = os.path.dirname(above)
    words = [
        "git", "--no-optional-locks", "status", "--porcelain=v2", "--branch",
        "--untracked-files=no"]
    status, out, _ = capture(words, environment({}))
    if status:
        return NO_COMMIT
    lines = out.splitlines()
    commits = [line.split()[2] for line in lines if line.startswith("# branch.oid ")]
    return Commit("".join(commits), any(not line.startswith("#") for line in lines))


class Known(NamedTuple("Known", [("state", State), ("origin", str)])):
    """A task that has succeeded in an older run; origin is RECORD/NUMBER."""
    __slots__ = ()


def older_successes(records: "Sequence[Record]") -> "Dict[Tuple[str, ...], List[Known]]":
    """Return by their keys the tasks that have succeeded in records, the newest last."""
    found = {}  # type: Dict[Tuple[str, ...], List[Known]]
    for record in records:
        try:
            ledger = Ledger(record)
            states = read_told(record).states
        except Error:  # of another format
            continue
        for key, numbers in ledger.keys().items():
            good = []
            for number in numbers:
                state = states.get(number)
                if state and state.name == "succeeded" and not state.origin:
                    good.append(Known(state, f"{record.ulid}/{number}"))
            if good:
                older = found.get(key, [])
                found[key] = good + older[len(good):]
    return found


class Work(NamedTuple("Work", [
        ("done", int), ("running", "List[Tuple[Task, State]]"),
        ("elsewhere", "List[Tuple[Task, State]]"), ("todo", "Iterable[Tuple[Task, State]]")])):
    """The tasks of a step by what is to be done with them; done counts those that have succeeded.

    running are to be awaited here, elsewhere are queued or run where somebody else awaits them.
    """
    __slots__ = ()


class Identified(NamedTuple("Identified", [
        ("task", Task), ("state", State), ("line", "Optional[Dict[str, Any]]")])):
    """A task with its number, its state, and the line of the plan that it needs, if it has none."""
    __slots__ = ()


def program_place(task: Task) -> "Tuple[str, str, str]":
    """Return what decides where the program of a task is found: its name, its directory, PATH."""
    return task.argv[0], task.cwd, task.env.get("PATH") or ""


class Run:
    """A start of a run: its record, what is known of its tasks, and what has become of them since.

    known are the numbers of planned tasks by their keys, the next one last; older are successes of
    older runs by their keys; last is the number of the last task; offsets are where the lines of
    tasks that leave this machine begin; counts are ends of tasks by state, seen by this start, open
    the tasks that are with a scheduler or somebody else; begun is whether something was executed or
    submitted, refused whether a submission was not taken; described counts the submissions that a
    dry run has shown.
    """
    __slots__ = (
        "plan", "options", "record", "lock", "survey", "known", "older", "last", "offsets",
        "counts", "open", "notes", "is_new", "is_dry", "begun", "number", "could_reuse", "refused",
        "programs", "described")

    def __init__(self, plan: Plan, options: Options, record: Record, is_dry: bool) -> None:
        self.plan = plan
        self.options = options
        self.record = record
        self.is_dry = is_dry
        self.lock = None  # type: Optional[Lock]
        self.survey = None  # type: Optional[Survey]
        self.known = {}  # type: Dict[Tuple[str, ...], List[int]]
        self.older = {}  # type: Dict[Tuple[str, ...], List[Known]]
        self.last = 0
        self.number = 1
        self.could_reuse = 0
        self.described = 0
        self.offsets = {}  # type: Dict[int, int]
        self.programs = {}  # type: Dict[Tuple[str, ...], str]
        self.open = set()  # type: Set[int]
        self.counts = dict.fromkeys([*STATES, "earlier"], 0)
        self.notes = []  # type: List[str]
        self.is_new = True
        self.begun = False
        self.refused = False

    @property
    def job(self) -> Job:
        """The job that is run."""
        return self.plan.job

    def state(self, number: int) -> State:
        """Return what was known of a task when this start began."""
        if self.survey is None:
            return State()
        return self.survey.states.get(number) or State()

    def unfinished(self) -> int:
        """Return how many tasks have neither ended nor are with a scheduler."""
        over = sum(self.counts.values())
        return max(self.plan.count - over - len(self.open), 0)

    def limits(self, is_remote: bool) -> Limits:
        """Return the limits of the tasks: the command line's, else the job's, else usual ones."""
        job, options = self.job, self.options
        retries = options.retries
        if retries < 0:
            retries = job.retries
        timeout = 60 * (options.timeout or job.timeout_minutes)
        jobs = options.jobs or job.max_parallel or 1
        if is_remote:
            jobs = 1
        elif jobs == AUTO:
            jobs = processors()
        return Limits(jobs, retries, timeout, job.fail_fast is True and not options.keep_going)

    def throttle(self) -> int:
        """Return how many array tasks may run at once, 0 for any."""
        return max(self.options.jobs or self.job.max_parallel, 0)

    def pack(self, step: PlannedStep) -> "Tuple[int, int]":
        """Return how many tasks of a step an array task takes, and how many of them at once."""
        beside = self.options.pack_parallel or step.pack_parallel or 1
        return max(self.options.pack or step.pack or 1, beside), beside

    def must_succeed(self) -> bool:
        """Return whether a later step begins only if all tasks before it have succeeded."""
        return self.job.fail_fast is not False and not self.options.keep_going

    def has_failed(self) -> bool:
        """Return whether a task is over without success, as far as this start has seen."""
        bad = [row.name for row in STATES.values() if row.is_over and not row.is_good]
        return any(self.counts[name] for name in bad)

    def see(self, event: Event) -> None:
        """Count an event."""
        if event.kind in ("start", "retry"):
            self.begun = True
        elif event.kind == "done":
            self.counts["earlier"] += event.number
        elif event.kind == "end":
            self.counts[event.state.name] += 1
            if event.task:
                self.open.discard(event.task.number)
        elif event.kind == "elsewhere" and event.task:
            self.open.add(event.task.number)

    def writer(self, who: str) -> str:
        """Return the name under which this start writes events as somebody."""
        return WriterName.own(self.number, who)

    def work(self, step: PlannedStep, is_remote: bool) -> Work:
        """Return the tasks of a step by what is to be done with them."""
        assigned = self.assigned(step, is_remote)
        if not self.known and not self.older:
            return Work(0, [], [], assigned)
        done = 0
        running, elsewhere, todo = [], [], []  # type: List[Any], List[Any], List[Any]
        for task, state in assigned:
            if state.name == "succeeded":
                done += 1
            elif state.name == "running" and not is_remote and is_awaited_here(state):
                running.append((task, state))
            elif state.name in ("running", "queued"):
                elsewhere.append((task, state))
            else:
                todo.append((task, state))
        return Work(done, running, elsewhere, todo)

    def assigned(self, step: PlannedStep, is_remote: bool) -> "Iterator[Tuple[Task, State]]":
        """Yield the tasks of a step with their numbers and states, once the plan has them."""
        drafts = step.tasks()
        size = 1 if self.is_dry else BLOCK  # a dry run writes no plan, and shows each task at once
        while True:
            block = [self.identified(step, draft, is_remote) for draft in islice(drafts, size)]
            if not block:
                return
            if not self.is_dry:
                self.write(step, block)
            for task, state, _ in block:
                yield task, state

    def identified(self, step: PlannedStep, draft: Task, is_remote: bool) -> Identified:
        """Return a task with its number and its state."""
        numbers = self.known.get(draft.key)
        if not numbers:
            self.last += 1
            task = step.numbered(draft, self.last, self.plan.directory(self.last))
            return Identified(task, self.reused(task, State()), self.line(task, is_remote))
        number = numbers.pop()
        state = self.state(number)
        if state.name == "succeeded" and not state.origin and draft.runs:
            state = self.still_succeeded(number, state)
        if state.name in ("succeeded", "running", "queued"):
            return Identified(self.planned(step, draft, number, state), state, None)
        task = self.planned(step, draft, number, State())
        state = self.reused(task, state)
        line = self.line(task, is_remote)
        if self.is_written(number, line):
            return Identified(task, state, None)
        return Identified(task, state, line)

    def planned(self, step: PlannedStep, draft: Task, number: int, state: State) -> Task:
        """Return a task that has its number and its directory since an earlier start."""
        if state.name == "succeeded" or self.survey is None:
            return draft._replace(number=number)
        known = self.survey.ledger.task(number)
        if known is None:
            return step.numbered(draft, number, self.plan.directory(number))
        return step.numbered(draft, number, known.directory)

    def still_succeeded(self, number: int, state: State) -> State:
        """Return the state of a task of Hydra's that had succeeded: it needs its directories."""
        task = self.survey.ledger.task(number) if self.survey else None
        if task and SLOT not in task.cwd:  # else nobody knows where they are
            missing = missing_runs(task)
            if missing:
                state.miss(missing, task.runs)
        return state

    def reused(self, task: Task, state: State) -> State:
        """Return the state of a task to be executed, or an older success that counts for it."""
        known = self.older.get(task.key)
        if not known:
            return state
        if self.survey and not self.options.reuse:
            self.could_reuse += 1
            return state
        older = known.pop(0)
        if not self.is_dry:
            facts = {"began": older.state.started, "ended": older.state.ended, "from": older.origin}
            writer = self.writer("reuse")
            append_attempt(self.record, writer, "reused", task.number, state.attempt, **facts)
        return older.state

    def line(self, task: Task, is_remote: bool) -> "Dict[str, Any]":
        """Return a task as a line of the plan."""
        if not is_remote or not task.argv:
            return task_line(task, "")
        place = program_place(task)
        if place not in self.programs:
            program = find_program(task.argv[0], task.cwd, task.env)
            self.programs[place] = os.path.abspath(program) if program else ""
        return task_line(task, self.programs[place])

    def is_written(self, number: int, line: "Dict[str, Any]") -> bool:
        """Return whether the plan says the same of a task already."""
        import json
        if self.survey is None:
            return False
        ledger = self.survey.ledger
        text = json.dumps(line, separators=(",", ":"))
        if ledger.line(number) != text.encode("ascii"):
            return False
        self.offsets[number] = ledger.offsets[number]
        return True

    def write(self, step: PlannedStep, block: "Sequence[Identified]") -> None:
        """Write the lines of tasks that are new, or have changed, and the numbers of the others."""
        lines = []  # type: List[Dict[str, Any]]
        numbers = []  # type: List[int]
        ranges = []  # type: List[List[int]]
        for task, _, line in block:
            if line:
                lines.append(line)
                numbers.append(task.number)
            elif ranges and ranges[-1][1] == task.number - 1:
                ranges[-1][1] = task.number
            else:
                ranges.append([task.number, task.number])
        if ranges:
            lines.append({"again": ranges, "step": step.number})
        offsets = append_lines(self.record.plan_path, lines)
        if step.submit:
            self.offsets.update(zip(numbers, offsets))

    def plan_rest(self, groups: "Sequence[Tuple[Place, Sequence[PlannedStep]]]",
                  most: int = 100000) -> None:
        """Write the tasks of steps that do not begin into the plan: they are then not started."""
        if self.plan.count > most:
            return
        for place, steps in groups:
            for step in steps:
                for _ in self.assigned(step, place.is_remote):
                    pass

    def release(self) -> None:
        """Let others go on with the run."""
        if self.lock:
            self.lock.release()


def is_awaited_here(state: State) -> bool:
    """Return whether a running task was begun by a HydraFlow of this machine, as its own."""
    return state.writer.name.who == HERE and is_same_machine(state.writer.machine)


def open_run(plan: Plan, options: Options, is_resume: bool, is_dry: bool) -> Run:
    """Return a new start of a job: a new run, or (is_resume) of its newest run, if there is one.

    Raises Error.
    """
    key = plan.job.key
    records = Record.all(key)
    if is_resume and records:
        others = records[:-1]
        run = resumed_run(plan, options, records[-1], is_dry)
    else:
        others = records
        record = Record(f"{Record.directory(key)}/{ulid_text(plan.ulid)}")
        run = Run(plan, options, record, is_dry)
        if records:
            run.notes += unfinished_note(records[-1])
    if options.reuse or (others and not run.is_new):
        run.older = older_successes(others)
    if not is_dry:
        begin_start(run)
    return run


def resumed_run(plan: Plan, options: Options, record: Record, is_dry: bool) -> Run:
    """Return a start that goes on with the run of a record."""
    run = Run(plan, options, record, is_dry)
    run.is_new = False
    if not is_dry:
        run.lock = Lock(record, plan.job.key)
    run.survey = survey(record)
    ledger = run.survey.ledger
    run.known = {key: numbers[::-1] for key, numbers in ledger.keys().items()}
    run.last = ledger.last_number()
    run.number = ledger.start.number + 1
    return run


def begin_start(run: Run) -> None:
    """Write the start of a run into its record, which is made now if it is a new one."""
    key = run.job.key
    commit = commit_of(".")
    if run.is_new:
        run.record = Record.create(key, run.plan.ulid)
        run.lock = Lock(run.record, key)
    elif run.survey:
        before = run.survey.ledger.start.commit
        if commit.name and before and commit.name != before:
            text = f"the run of {key} began at commit {before[:10]}"
            run.notes.append(f"{text}, and goes on at {commit.name[:10]}")
    start = Start(
        number=run.number, job=key, count=run.plan.count, time=time.time(), host=host_name(),
        version=__version__, words=list(run.options.words), commit=commit.name,
        is_dirty=commit.is_dirty, format=FORMAT)
    try:
        write_start(run.record, start)
    except OSError as error:
        run.release()
        raise say_error(error, f"write {os.path.relpath(run.record.plan_path)}") from None


def unfinished_note(record: Record) -> "List[str]":
    """Return what is to be said of the last run of a job when another one begins."""
    try:
        ledger = Ledger(record)
        states = find_gone(record, see_told(record)).told.states
    except Error as error:
        return [error.message]
    when = time.strftime("%H:%M", time.localtime(ledger.start.time))
    if any(state.name == "running" for state in states.values()):
        return [f"the run of {when} is still executed; this one begins beside it"]
    known = [states[number] for number in ledger.members if number in states]
    good = [state for state in known if state.name == "succeeded"]
    count = ledger.start.count
    if len(good) >= count:
        return []
    text = f"the run of {when} has succeeded in {len(good)} of {counted(count, 'task')}"
    return [f"{text}; --resume goes on with it"]


# -- places


class Ahead(NamedTuple("Ahead", [
        ("run", Run), ("submission", "Optional[Submission]"), ("numbers", "List[int]")])):
    """Tasks that are not over, and the array job that has them, None for any other place."""
    __slots__ = ()


class Place:
    """Where a step is executed.

    left is what is not over of the tasks of the step that was started last.
    """

    is_remote = True

    def __init__(self) -> None:
        self.left = []  # type: List[Ahead]

    def check(self, step: PlannedStep, is_dry: bool) -> None:
        """Raise an Error for what cannot be executed, as far as it can be known before."""
        raise NotImplementedError

    def can_wait_for(self, aheads: "Sequence[Ahead]") -> bool:
        """Return whether what is started here waits by itself for tasks that are not over."""
        return not aheads

    def describe(self, run: Run, steps: "Sequence[PlannedStep]",
                 aheads: "Sequence[str]") -> "Iterator[str]":
        """Yield what a dry run prints: a line for each task, what surrounds them as comments."""
        raise NotImplementedError

    def start(self, run: Run, steps: "Sequence[PlannedStep]",
              aheads: "Sequence[Ahead]") -> "Iterator[Event]":
        """Execute the tasks of steps, or hand them to who executes them; yield what happens."""
        raise NotImplementedError


class Here(Place):
    """This machine."""

    is_remote = False

    def check(self, step: PlannedStep, is_dry: bool) -> None:
        """Raise an Error for what cannot be executed."""
        check_first_task(step)

    def describe(self, run: Run, steps: "Sequence[PlannedStep]",
                 aheads: "Sequence[str]") -> "Iterator[str]":
        """Yield what a dry run prints."""
        for step in steps:
            for task, _ in run.work(step, False).todo:
                yield task_text(task)

    def start(self, run: Run, steps: "Sequence[PlannedStep]",
              aheads: "Sequence[Ahead]") -> "Iterator[Event]":
        """Execute the tasks of a step, and await those that run; yield what happens."""
        work = run.work(steps[0], False)
        yield done_event(work.done)
        self.left = grouped_by_submission(run, work.elsewhere)
        for text in chain(away_notes(work.elsewhere), outside_notes(steps[0])):
            yield note_event("note", text)
        entry = run.lock.descriptor if run.lock else NOTHING
        todo = undone(run, work.todo)
        limits = run.limits(False)
        taken = []  # type: List[int]
        for event in run_tasks(run.record, todo, limits, run.writer(HERE), work.running, entry):
            if event.kind == "elsewhere" and event.task:
                taken.append(event.task.number)
            yield event
        if taken:
            self.left.append(Ahead(run, None, taken))


def away_notes(tasks: "Sequence[Tuple[Task, State]]") -> "Iterator[str]":
    """Yield what is to be said of tasks on other machines, of which nothing can be known here."""
    hosts = {}  # type: Dict[str, List[float]]
    for _, state in tasks:
        machine = state.writer.machine
        if state.writer.name.is_slot or is_same_machine(machine):
            continue
        if state.name == "running":
            hosts.setdefault(machine.host, []).append(state.started)
    for host, moments in sorted(hosts.items()):
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(max(moments)))
        text = f"{counted(len(moments), 'task')} began on {host}, and no end was told since {since}"
        yield (f"{text}: they are awaited;"
               " where nothing of them is left, cancel --lost gives them up")


def outside_notes(step: PlannedStep) -> "Iterator[str]":
    """Yield what is to be said where an allocation is around us and we are on none of its machines:
    salloc may leave its shell where it was typed. srun executes a command in the allocation."""
    job = os.environ.get("SLURM_JOB_ID", "")
    if not job or "SLURMD_NODENAME" in os.environ:
        return
    task = first_task(step)
    if task and "srun" not in map(os.path.basename, task.argv):
        nodes = os.environ.get("SLURM_JOB_NODELIST", "other machines")
        yield (f"allocation {job} is on {nodes}, and the tasks are executed on this machine: "
               "begin run: with srun -N1 -n1 --exact, which executes them there")


def done_event(count: int) -> Event:
    """Return the event about tasks that had succeeded before."""
    return Event("done", None, State(), "", "", count)


def undone(run: Run, tasks: "Iterable[Tuple[Task, State]]") -> "Iterator[Tuple[Task, State]]":
    """Yield the tasks that have not succeeded, and count those whose older success is reused."""
    for task, state in tasks:
        if state.name == "succeeded":
            run.see(done_event(1))
        else:
            yield task, state


def task_text(task: Task) -> str:
    """Return a command line that executes a task in a shell, where it would be executed.

    What is kept by name the shell fills in.
    """
    text = shell_text(word.replace(SLOT, "0") for word in task.argv)
    if task.env:
        pairs = [f"{name}={value}".replace(SLOT, "0") if value is not None else f"--unset={name}"
                 for name, value in sorted(task.env.items(), key=lambda pair: pair[1] is not None)]
        env = re.sub(r"\$\{\{ env\.(\w+) \}\}", "'\"${\\1}\"'", shell_text(pairs))
        text = f"env {env} {text}"
    if os.path.abspath(task.cwd) == os.getcwd():
        return text
    place = f"./{task.cwd}" if task.cwd.startswith("-") else task.cwd
    return f"(cd {shlex.quote(place)} && {text})"


def program_mistake(name: str, cwd: str,
                    env: "Mapping[str, Any]") -> "Optional[Tuple[str, str]]":
    """Return what keeps a program from being executed, and what to do; None for nothing."""
    path = find_program(name, cwd, env)
    if path:
        return interpreter_mistake(name, path, cwd, env)
    place = os.path.join(cwd, name)
    if os.path.dirname(name) and os.path.isdir(native(place)):
        return f"{name} is a directory, and no program", "name a file in it"
    if os.path.dirname(name) and os.path.exists(native(place)):
        hint = f"chmod +x {shlex.quote(os.path.normpath(place))} sets it"
        hint += "; or name before it what executes it"
        return f"{name} is not executable: its execute bit is not set", hint
    hint = "it is looked up in PATH, without a shell"
    if os.path.dirname(name):
        hint = f"the path counts from {os.path.abspath(cwd)}"
    elif os.path.isfile(native(place)):
        hint = f"write ./{name}: the current directory is not searched"
    return f"there is no program {name}", hint


def interpreter_mistake(name: str, path: str, cwd: str,
                        env: "Mapping[str, Any]") -> "Optional[Tuple[str, str]]":
    """Return what is wrong with the first line of a script, and what to do; None for nothing."""
    try:
        with open(native(path), "rb") as file:
            line = file.readline(256)
    except OSError:
        return None  # what may be executed need not be readable
    if not line.startswith(b"#!"):
        return None
    if line.endswith(b"\r\n"):
        return (f"{name} has line ends of Windows, so its #! line names no program",
                "save it with line ends of Unix: \\n alone")
    words = os.fsdecode(line[2:]).split()
    if words and os.path.basename(words[0]) == "env" and find_program(words[0], cwd, env):
        words = [word for word in words[1:] if not re.match("-|[A-Za-z_][A-Za-z_0-9]*=", word)]
    if not words or find_program(words[0], cwd, env):
        return None
    return (f"the #! line of {name} names a program that is not there: {words[0]}",
            "correct it, or name before it what executes it")


def first_task(step: PlannedStep) -> "Optional[Task]":
    """Return the first task of a step."""
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
                    f"make it first; it counts from {os.getcwd()}")
    if step.setup or not step.command:
        return
    wrong = program_mistake(task.argv[0], task.cwd, task.env)
    if wrong:
        raise Error("not-executable", wrong[0], step.mark, wrong[1])


def submission_program(step: PlannedStep) -> str:
    """Return the program of a submission command."""
    return (behind_env(step.submit) or step.submit)[0]


def check_submission(step: PlannedStep, kind: "Type[Error]") -> None:
    """Raise an Error unless the program of a submission command is here."""
    wrong = program_mistake(submission_program(step), ".", os.environ)
    if wrong:
        mark = submit_mark(step, len(step.submit) - len(behind_env(step.submit)))
        hint = f"{wrong[1]}; is this a machine from which jobs are submitted?"
        raise kind("not-executable", wrong[0], mark, hint)
    check_first_line(step)


def check_first_line(step: PlannedStep) -> None:
    """Raise an Error where a submission command begins with a text without a #! line: only shells
    execute that (execve(2), ENOEXEC)."""
    name = step.submit[0]
    try:
        with open(native(find_program(name)), "rb") as file:
            head = file.read(256)
    except OSError:
        return  # what may be executed need not be readable
    if not head.startswith(b"#!") and b"\0" not in head:
        hint = f"begin it with #!/bin/sh, or write submit: {shell_text(['sh', name])}"
        raise Error("no-first-line", f"{name} has no #! line, and is not executed without a shell",
                    submit_mark(step, 0), hint)


def submit_mark(step: PlannedStep, index: int) -> Mark:
    """Return the place of a word of a submission command; words may come from elsewhere."""
    return step.submit_marks[index] if index < len(step.submit_marks) else NOWHERE


def check_submit_words(step: PlannedStep, scheduler: Scheduler) -> None:
    """Raise Errors unless all words of a submission command hold for the array job, and there is a
    command for it to execute."""
    words = step.submit
    program = submission_program(step)
    script = script_word(words, scheduler)
    errors = []  # type: List[Error]
    waits = bool(step.job.needs) or len(step.job.steps) > 1
    for index, option, hint in beaten_options(words, scheduler, waits):
        message = f"HydraFlow gives {program} an option that would win over {option}"
        errors.append(Error("submit-option", message, submit_mark(step, index), hint))
    if script:
        message = f"{words[script]} would be executed in place of the command of this job"
        hint = "leave it out: setup: has the lines of shell that prepare a task; "
        hint += f"without run: and call:, {program} gets the script and a file of parameters"
        errors.append(Error("submit-script", message, submit_mark(step, script), hint))
    elif not step.command and not errors:
        errors.append(Error("nothing-to-submit",
                            f"there is nothing that {program} could execute", submit_mark(step, 0),
                            "write run: or call: beside submit:, with the command of the tasks"))
    raise_all(errors)


FILE_READERS = {  # handlers that read no file but one which these options name, as the last word
    "parallel": ("-a", "--arg-file", "::::"),
    "xargs": (),
}  # type: Dict[str, Tuple[str, ...]]
LINE_BY_LINE = "sh -c 'tr \"\\n\" \"\\0\" < \"$0\" | xargs -0 -n 1 -P 2 sh -c'"


def check_reader(step: PlannedStep) -> None:
    """Raise an Error if a handler would not read the lines that it gets as a file."""
    words = behind_env(step.submit)
    name = os.path.basename(submission_program(step))
    options = FILE_READERS.get(name)
    if options is None or words[-1] in options:
        return
    form = LINE_BY_LINE
    if options:
        form = shell_text([*(word for word in words if word not in options), options[-1]])
        form = "'{}'".format(form.replace("'", "''"))  # YAML takes a last colon for a key's
    raise Error("handler-reads-no-file",
                f"{name} would not read the lines of the file that is its last argument",
                submit_mark(step, 0), f"write submit: {form}")


@functools.lru_cache(maxsize=None)
def python_mistake(words: "Tuple[str, ...]") -> "Optional[Tuple[str, str]]":
    """Return what keeps words from executing HydraFlow as a Python does, and what to do; None for
    nothing."""
    if words == (sys.executable,) or not find_program(words[0]):
        return None  # one that is not here may be on the machines that are to execute it
    code = "import sys; print(sys.version_info >= (3, 6))"
    status, out, errors = capture([*words, "-c", code], environment({}), PATIENT)
    if status == 0 and out.strip() == "True":
        return None
    hint = errors.strip() or "python: in the job, or HYDRAFLOW_PYTHON, names it"
    return f"{shell_text(words)} is no Python 3.6 or later", hint


def check_python(job: Job) -> None:
    """Raise an Error unless the Python of a job can execute HydraFlow."""
    mistake = python_mistake(tuple(python_of(job)))
    if mistake:
        message, hint = mistake
        raise Error("wrong-python", message, job.python.whole() if job.python else NOWHERE, hint)


# The record's copy of this file is imported, so that its byte code is used, which is there before
# anything is submitted: compiling takes longer than many a task, and those that begin together
# would all do it. It holds what the tasks of a slot need, a quarter of the file, as reading the
# rest takes longer than all else; a Python that cannot use it takes the copy, which is whole.
# -S and -E: a site's .pth files and PYTHON* variables are of no use to it. No -O or -OO: what
# Python itself imports was compiled without, and would be compiled by each array task where the
# user may not write beside it.
ISOLATED = ("-S", "-E")
SLOT_PROGRAM = "slot_program"
COMMANDS_BLOCK = 64  # slots whose commands stand in one file, for sh to begin them
ELEMENT = ('import gc, sys; gc.disable(); '
           'sys.version_info < (3, 6) and sys.exit("hydraflow: " + sys.executable + '
           '" is no Python 3.6 or later; python: in the job names another"); '
           'sys.path[0] = sys.argv[1]; import hydraflow; '
           f'hydraflow.{SLOT_PROGRAM}(sys.argv[1:])')
PART = ('if __name__ == "__main__": raise SystemExit('  # said where the copy is executed otherwise
        '"hydraflow: the copy of a record executes array tasks, and nothing else")')
COMPILED = ("import sys; sys.dont_write_bytecode = True; sys.path[0] = sys.argv[1]; "
            "import hydraflow; hydraflow.write_byte_code(hydraflow.__file__)")


def slot_script(record: Record, submission: Submission, python: "Sequence[str]",
                index: str) -> str:
    """Return the script of a submission; index, as sh has it, is all that comes from outside.

    No text of a parameter is in it.
    """
    words = [
        *python, *ISOLATED, "-c", ELEMENT, record.path, str(submission.number)]
    scheduler = SCHEDULERS.get(submission.scheduler)
    begin = ""
    if scheduler and scheduler.begins_in_sh:
        path = shlex.quote(record.submission_path(submission.number, "begin"))
        begin = f"test ! -r {path} || . {path}\n"
    program = shell_text(words[:1])
    path = program if os.sep in words[0] else f'"$(command -v {program})"'
    missing = shlex.quote(f"hydraflow: there is no program {program} on this machine; "
                          "python: in the job names another: ")
    return (
        "#!/bin/sh\n"
        "# HydraFlow executes here the tasks of one slot; plan and slots are in the record.\n"
        f'test -x {path} || {{ echo {missing}"$(uname -n)" >&2; exit 127; }}\n'
        f"{begin}"
        f"exec {shell_text(words)} {index}\n")


@functools.lru_cache(maxsize=None)
def can_begin() -> bool:
    """Return whether sh can begin plain tasks, on machines like this one."""
    status, _, _ = capture(["/bin/sh", "-c", CAN_BEGIN], environment({}))
    return status == 0


def is_plain(task: Task) -> bool:
    """Return whether a task is a command and nothing else."""
    if task.is_call or task.runs or task.has_directory or task.env:
        return False
    return not any(SLOT in text for text in (task.cwd, *task.argv))


def begins_in_sh(submission: Submission, python: "Sequence[str]") -> bool:
    """Return whether sh may begin those tasks of a submission that are plain.

    They have no limits, none of the slots takes several, and the user names no Python of his own,
    which may be one in a container: the tasks are to begin there as well.
    """
    if list(python) != [sys.executable]:
        return False
    scheduler = SCHEDULERS.get(submission.scheduler)
    if scheduler is None or not scheduler.begins_in_sh:
        return False
    if Limits(*submission.limits) != Limits(1, 0, 0.0, False):
        return False
    return all(len(slot) == 1 for slot in submission.slots) and can_begin()


def sh_path(made: "Callable[[str], str]", variable: str) -> str:
    """Return a path in which a variable of sh stands, as sh has it.

    >>> print(sh_path("/a b/{}.out".format, "$slot"))
    '/a b/'"$slot".out
    """
    before, _, behind = made("\0").partition("\0")
    return f'{shlex.quote(before)}"{variable}"{shlex.quote(behind)}'


def plain_command(run: Run, task: Task) -> str:
    """Return what sh needs of a plain task: its directory, its program where that is known, its
    words."""
    program = run.programs.get(program_place(task), "")
    return shell_text([os.path.abspath(task.cwd), program, *task.argv])


def write_begin(record: Record, submission: Submission, commands: "Mapping[int, str]",
                index: str) -> None:
    """Write what sh begins the plain tasks of a submission with, whose commands are given."""
    number = submission.number
    writer = functools.partial(WriterName, submission.start)
    block = f"$((_slot / {COMMANDS_BLOCK}))"
    path = sh_path(lambda name: record.commands_path(number, name), block)
    lines = [
        f"_slot={index}",
        f"_own=${{{SCHEDULERS[submission.scheduler].own_id}%%[!0-9]*}}",
        f"_wrapper={shlex.quote(WRAPPER)}",
        f"_facts={shlex.quote(record.submission_path(number, 'jsonl'))}",
        f"_out={sh_path(lambda slot: record.scheduler_path(number, slot), '$_slot')}",
        f"_who={sh_path(lambda slot: str(writer(slot_who(number, slot), '')), '$_slot')}",
        "_set_paths() {",
        f"    _events={sh_path(record.events_path, '$_writer')}",
        f"    _room={sh_path(lambda name: record.room_path(name, 0), '$_writer')}",
        "}",
        BEGIN,
        f"test ! -r {path} || . {path}\n"]
    write_file(record.submission_path(number, "begin"), native_bytes("\n".join(lines)))
    write_commands(record, submission, commands)


def write_commands(record: Record, submission: Submission, commands: "Mapping[int, str]") -> None:
    """Write the commands of plain tasks, some slots in a file, and make the folders of their claims
    and logs."""
    blocks = {}  # type: Dict[int, List[str]]
    folders = set()  # type: Set[str]
    for slot, entries in enumerate(submission.slots, 1):
        number, attempt, _ = entries[0]
        if attempt > 1 or number not in commands:
            continue
        claim, log = record.claim_path(number, attempt), record.log_path(number)
        folders.update((os.path.dirname(claim), os.path.dirname(log)))
        words = shell_text([attempt_head(number, attempt, 0), claim, log])
        blocks.setdefault(slot // COMMANDS_BLOCK, []).append(
            f"{slot}) begin {words} {commands[number]} ;;\n")
    for folder in sorted(folders):
        os.makedirs(folder, exist_ok=True)
    for block, lines in blocks.items():
        text = "".join(["case $_slot in\n", *lines, "esac\n"])
        write_file(record.commands_path(submission.number, block), native_bytes(text))


def write_script(record: Record, submission: Submission, python: "Sequence[str]",
                 index: str) -> str:
    """Keep in a record what executes a slot of a submission; return the path of its script."""
    write_program(record, python)
    path = record.submission_path(submission.number, "sh")
    write_file(path, native_bytes(slot_script(record, submission, python, index)))
    return path


def slot_entries(run: Run, tasks: "Iterable[Tuple[Task, State]]") -> "List[List[int]]":
    """Return tasks as the slots of a submission name them."""
    entries = []
    for task, state in tasks:
        attempt = state.attempt + 1
        if run.survey:  # otherwise there was nobody before
            attempt = unclaimed_attempt(run.record, task.number, attempt)
        entries.append([task.number, attempt, run.offsets[task.number]])
    return entries


def with_commands(run: Run, tasks: "Iterable[Tuple[Task, State]]",
                  commands: "Dict[int, str]") -> "Iterator[Tuple[Task, State]]":
    """Yield tasks as they come; commands gets those of plain ones, by their numbers."""
    for task, state in tasks:
        if is_plain(task):
            commands[task.number] = plain_command(run, task)
        yield task, state


def unclaimed_attempt(record: Record, number: int, attempt: int) -> int:
    """Return the first attempt of a task, from one on, that nobody claimed before he died."""
    while record.claimant(number, attempt):
        attempt += 1
    return attempt


def write_program(record: Record, python: "Sequence[str]") -> None:
    """Keep a copy of this file in a record: what is edited later changes nothing that is queued.

    Beside it, the byte code for the Python that is to execute it, if that is here.
    """
    if os.path.exists(record.program_path):
        return
    with open(__file__, "rb") as source:
        write_file(record.program_path, source.read())
    if list(python) == [sys.executable]:
        write_byte_code(record.program_path)
    else:
        capture([*python, *ISOLATED, "-c", COMPILED, record.path], environment({}), PATIENT)


def write_byte_code(path: str) -> None:
    """Write the byte code of what the tasks of a slot need of a copy of this file, where Python
    looks for that of the copy, unless the environment names another place (PEP 3147; PEP 552 for
    what it begins with)."""
    import ast
    import importlib.util
    import marshal
    with open(path, encoding="utf-8") as file:
        text = file.read()
    tree = ast.parse(text)
    wanted = needed_names(tree, text, SLOT_PROGRAM)
    tree.body = [one for one in tree.body if is_wanted(one, wanted)] + ast.parse(PART).body
    code = compile(tree, path, "exec", dont_inherit=True, optimize=2)  # without docstrings
    head = importlib.util.MAGIC_NUMBER
    if sys.version_info >= (3, 7):
        head += bytes(4)  # it holds for a time and a size of the copy
    stat = os.stat(path)
    for number in (int(stat.st_mtime), stat.st_size):
        head += (number & 0xffffffff).to_bytes(4, "little")
    folder, name = os.path.split(path)
    name = name.replace(".py", f".{sys.implementation.cache_tag}.pyc")
    write_file(os.path.join(folder, "__pycache__", name), head + marshal.dumps(code))


def needed_names(tree: "ast.Module", text: str, name: str) -> "Set[str]":
    """Return the names that a module defines and one of them needs, with what these need in turn,
    and what its other statements need.

    >>> import ast
    >>> text = "def f(): return g(A)\\ndef g(B): return B\\nA = [C]\\nC = 1\\nB = 2\\ndef h(): f()"
    >>> sorted(needed_names(ast.parse(text), text, "f"))
    ['A', 'C', 'f', 'g']
    """
    import symtable
    uses = {}  # type: Dict[str, Set[str]]
    for scope in symtable.symtable(text, "", "exec").get_children():
        uses.setdefault(scope.get_name(), set()).update(global_names(scope))
    waiting = [name]
    for statement in tree.body:
        names = defined_names(statement)
        for defined in names:
            uses.setdefault(defined, set()).update(names_around(statement))
        if not names and not is_of_main(statement):
            waiting += names_around(statement)
    needed = set()  # type: Set[str]
    while waiting:
        name = waiting.pop()
        if name not in needed and name in uses:
            needed.add(name)
            waiting += uses[name]
    return needed


def global_names(scope: "symtable.SymbolTable") -> "Set[str]":
    """Return the global names that a function or a class uses, and what stands in it."""
    names = {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
    return names.union(*map(global_names, scope.get_children()))


def defined_names(statement: "ast.stmt") -> "List[str]":
    """Return the names that a statement of a module defines; none for an import, or what is not
    one definition alone."""
    import ast
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        nodes = [node for target in statement.targets for node in ast.walk(target)]
        return [node.id for node in nodes if isinstance(node, ast.Name)]
    return []


def names_around(statement: "ast.stmt") -> "Set[str]":
    """Return the names that a statement of a module uses when it is executed; those of a function
    or a class stand in decorators, bases and defaults."""
    import ast
    parts = [statement]  # type: List[ast.AST]
    if isinstance(statement, ast.FunctionDef):
        parts = [*statement.decorator_list, statement.args]
    elif isinstance(statement, ast.ClassDef):
        parts = [*statement.decorator_list, *statement.bases]
    nodes = [node for part in parts for node in ast.walk(part)]
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def is_wanted(statement: "ast.stmt", wanted: "Set[str]") -> bool:
    """Return whether a statement of a module defines what is wanted, or nothing."""
    names = defined_names(statement)
    if not names:
        return not is_of_main(statement)
    return not wanted.isdisjoint(names)


def is_of_main(statement: "ast.stmt") -> bool:
    """Return whether a statement of a module looks whether it is executed as a program."""
    return not defined_names(statement) and "__name__" in names_around(statement)


def packed(entries: "Sequence[List[int]]", pack: int) -> "List[List[List[int]]]":
    """Return the tasks of each slot, pack of them.

    They are strided: the last axis of a sweep often decides how long a task takes.

    >>> packed([[1], [2], [3], [4], [5]], 2)
    [[[1], [4]], [[2], [5]], [[3]]]
    """
    slots = rounded_up(len(entries), max(pack, 1))
    return [list(entries[start::slots]) for start in range(slots)]


def throttles(arrays: int, throttle: int) -> "List[int]":
    """Return how many array tasks each of several array jobs may have at once, 0 for any.

    >>> throttles(3, 10), throttles(2, 0), throttles(0, 2)
    ([4, 3, 3], [0, 0], [])
    """
    if not arrays:
        return []
    whole, rest = divmod(throttle, arrays)
    return [whole + 1] * rest + [whole] * (arrays - rest)


class ArrayPlace(Place):
    """The array jobs of a scheduler; clusters names those that a submission command does."""

    def __init__(self, scheduler: Scheduler, clusters: str) -> None:
        super().__init__()
        self.scheduler = scheduler
        self.clusters = clusters

    def check(self, step: PlannedStep, is_dry: bool) -> None:
        """Raise an Error for what cannot be submitted."""
        check_submit_words(step, self.scheduler)
        if is_dry:
            return
        check_submission(step, Refusal)
        check_python(step.job)
        check_first_task(step)

    def can_wait_for(self, aheads: "Sequence[Ahead]") -> bool:
        """Return whether array jobs can wait for tasks: for those of their own cluster."""
        if not all(ahead.submission for ahead in aheads):
            return False
        own = self.scheduler.name, self.clusters
        submissions = [ahead.submission for ahead in aheads if ahead.submission]
        return all((one.scheduler, split_id(one.job_id)[1]) == own for one in submissions)

    @property
    def index(self) -> str:
        """The slot of an array task, as sh has it; 1 for an array of one that is a plain job."""
        return f'"${{{self.scheduler.index}:-1}}"'

    def arrays(self, run: Run, count: int) -> "List[int]":
        """Return how many slots each of the array jobs has that count slots need."""
        limit = self.scheduler.limit_usual - self.scheduler.limit_less
        if not run.is_dry or find_program(self.scheduler.limit[0]):
            limit = array_limit(self.scheduler, self.clusters)
        return [min(limit, count - start) for start in range(0, count, limit)]

    def prepared(self, run: Run, step: PlannedStep, slots: "List[List[List[int]]]", number: int,
                 after: "List[List[Any]]") -> Submission:
        """Return a submission of a step."""
        _, beside = run.pack(step)
        return Submission(
            number=number, start=run.number, step=step.number, scheduler=self.scheduler.name,
            name=array_name(run.job.name, run.record.ulid, number, self.scheduler), after=after,
            limits=list(run.limits(True)._replace(jobs=beside)), must_succeed=run.must_succeed(),
            width=0, job_id="", status=-1, slots=slots, clusters=self.clusters)

    def words(self, run: Run, step: PlannedStep, submission: Submission, throttle: int,
              ids: "Sequence[str]", behind: str = "") -> "List[str]":
        """Return the submission command; ids are those of the array jobs that it waits for, behind
        that of the same step which is to end before."""
        log = run.record.scheduler_path(submission.number, "")[:-len(".out")]
        job = ArrayJob(
            name=submission.name, log=log, count=len(submission.slots), throttle=throttle,
            ids=[split_id(job_id)[0] for job_id in ids], must_succeed=submission.must_succeed,
            behind=split_id(behind)[0])
        script = run.record.submission_path(submission.number, "sh")
        return submission_words(step.submit, self.scheduler, job, script)

    def describe(self, run: Run, steps: "Sequence[PlannedStep]",
                 aheads: "Sequence[str]") -> "Iterator[str]":
        """Yield what a dry run prints: submission commands and scripts as comments, then tasks."""
        step = steps[0]
        todo, count = run.work(step, True).todo, step.count
        if run.survey or run.older:  # otherwise a dry run streams
            todo = list(todo)
            count = len(todo)
        pack, _ = run.pack(step)
        sizes = self.arrays(run, rounded_up(count, pack))
        shares = throttles(len(sizes), run.throttle())
        for number, (size, share) in enumerate(zip(sizes, shares), next_submission(run)):
            submission = self.prepared(run, step, [[]] * size, number, [])
            yield f"# {shell_text(self.words(run, step, submission, share, aheads))}"
            script = slot_script(run.record, submission, python_of(run.job), self.index)
            for line in script.splitlines():
                yield f"#     {line}"
        run.described += len(sizes)
        for task, _ in todo:
            yield task_text(task)

    def start(self, run: Run, steps: "Sequence[PlannedStep]",
              aheads: "Sequence[Ahead]") -> "Iterator[Event]":
        """Submit the tasks of a step; yield what happens. Raises Refusal."""
        step = steps[0]
        work = run.work(step, True)
        self.left = []
        yield done_event(work.done)
        pack, _ = run.pack(step)
        commands = {}  # type: Dict[int, str]
        slots = packed(slot_entries(run, with_commands(run, work.todo, commands)), pack)
        waited = [(ahead.run.record, ahead.submission) for ahead in aheads if ahead.submission]
        after = [[record.path, submission.number] for record, submission in waited]
        ids = [submission.job_id for _, submission in waited]
        sizes = self.arrays(run, len(slots))
        shares = throttles(len(sizes), run.throttle())
        is_chain = 0 < run.throttle() < len(sizes)  # then one after the other
        if is_chain:
            shares = [run.throttle()] * len(sizes)
        begin = 0
        behind = ""
        for size, share in zip(sizes, shares):
            submission = self.prepared(
                run, step, slots[begin:begin + size], next_submission(run), after)
            submission = self.submit(run, step, submission, share, ids, commands, behind)
            self.left.append(Ahead(run, submission, list(submission.numbers())))
            if is_chain:
                behind = submission.job_id
            begin += size
            yield note_event("note", sent_text(step, submission))
        self.left += grouped_by_submission(run, work.elsewhere)

    def submit(self, run: Run, step: PlannedStep, submission: Submission, throttle: int,
               ids: "Sequence[str]", commands: "Mapping[int, str]",
               behind: str = "") -> Submission:
        """Write a submission into the record, and send it; return it with its id."""
        submission = write_submission(run.record, submission)
        write_script(run.record, submission, python_of(run.job), self.index)
        if commands and begins_in_sh(submission, python_of(run.job)):
            write_begin(run.record, submission, commands, self.index)
        words = self.words(run, step, submission, throttle, ids, behind)
        try:
            job_id = send(words, self.scheduler, submission.name)
        except Refusal as refusal:
            run.begun = run.begun or isinstance(refusal, Unanswered)
            note_cancelled(run, submission)
            tasks = sum(map(len, submission.slots))
            refusal.hint = refusal.hint or pack_hint(refusal.message, self.scheduler, tasks)
            raise
        run.begun = True
        return write_job_id(run.record, submission, job_id)


def note_cancelled(run: Run, submission: Submission) -> None:
    """Note in a record that a submission was not taken, or is to be cancelled."""
    append_event(run.record, run.writer("stop"), "cancel", submission=submission.number)


def sent_text(step: PlannedStep, submission: Submission) -> str:
    """Return what is said of an array job that was submitted."""
    tasks = counted(sum(map(len, submission.slots)), "task")
    slots = counted(len(submission.slots), "array task")
    return f"step {step.number}: {tasks} as array job {submission.job_id} of {slots}"


def next_submission(run: Run) -> int:
    """Return the number of the next submission of a record."""
    return max(run.record.submission_numbers(), default=0) + 1 + run.described


def grouped_by_submission(run: Run, tasks: "Sequence[Tuple[Task, State]]") -> "List[Ahead]":
    """Return tasks that are not over by the submissions that have them."""
    submissions = run.survey.submissions if run.survey else []
    last = {}  # type: Dict[int, int]  # the last submission that has a task
    for submission in submissions:
        last.update(dict.fromkeys(submission.numbers(), submission.number))
    groups = {}  # type: Dict[int, List[int]]
    for task, state in tasks:
        group = 0  # of those that no submission has
        if state.name == "queued" or state.writer.name.is_slot:
            group = last.get(task.number, 0)
        groups.setdefault(group, []).append(task.number)
    known = {one.number: one for one in submissions if one.scheduler in SCHEDULERS}
    return [Ahead(run, known.get(group), numbers) for group, numbers in sorted(groups.items())]


class Handler(Place):
    """A command of the user's that gets a file with one line for each task as its last argument.

    With a command, a line executes one task and records it. Without (is_bare), the lines are the
    parameters alone, of all steps together, and the end of the tasks is not seen.
    """

    def __init__(self, is_bare: bool) -> None:
        super().__init__()
        self.is_bare = is_bare

    def check(self, step: PlannedStep, is_dry: bool) -> None:
        """Raise an Error for what cannot be handed over."""
        check_reader(step)
        if not is_dry:
            check_submission(step, Error)
            check_python(step.job)
        if not self.is_bare:
            check_first_task(step)
        most = 1000 if is_dry else None  # a dry run streams, however many there are
        for task in islice(step.tasks(), most):
            # the rest of such a value would be a command of its own
            if re.search("[\r\n]", shell_text(task.argv)):
                message = "a handler gets one line for each task, "
                message += "and a word of this step has a line break in it"
                raise Error("line-break", message, step.mark,
                            "without submit:, or by a scheduler, it works")

    def lines(self, run: Run, submission: Submission, tasks: "Sequence[Task]") -> "Iterator[str]":
        """Yield the lines for a handler."""
        script = shlex.quote(run.record.submission_path(submission.number, "sh"))
        for slot, task in enumerate(tasks, 1):
            words = shell_text(task.argv)
            if self.is_bare:
                yield f"{words}\n"
            else:
                yield f"sh {script} {slot} -- {words}\n"

    def describe(self, run: Run, steps: "Sequence[PlannedStep]",
                 aheads: "Sequence[str]") -> "Iterator[str]":
        """Yield what a dry run prints: the handler's command as a comment, then the tasks."""
        path = os.path.relpath(run.record.submission_path(next_submission(run), "txt"))
        run.described += 1
        yield f"# {shell_text([*steps[0].submit, path])} gets a line for each of these tasks:"
        for step in steps:
            for task, _ in run.work(step, True).todo:
                yield shell_text(task.argv) if self.is_bare else task_text(task)

    def start(self, run: Run, steps: "Sequence[PlannedStep]",
              aheads: "Sequence[Ahead]") -> "Iterator[Event]":
        """Hand the tasks over, and yield what happens until the handler ends."""
        todo = []  # type: List[Tuple[Task, State]]
        elsewhere = []  # type: List[Tuple[Task, State]]
        self.left = []
        for step in steps:
            work = run.work(step, True)
            yield done_event(work.done)
            todo += work.todo
            elsewhere += work.elsewhere
        self.left = grouped_by_submission(run, elsewhere)
        if not todo:
            return
        submission = self.prepared(run, steps[0], todo)
        path = run.record.submission_path(submission.number, "txt")
        lines = self.lines(run, submission, [task for task, _ in todo])
        write_file(path, native_bytes("".join(lines)))
        run.begun = True
        yield from self.hand_over(run, submission, [*steps[0].submit, path])

    def prepared(self, run: Run, step: PlannedStep,
                 todo: "Sequence[Tuple[Task, State]]") -> Submission:
        """Write what is handed over into the record."""
        name = re.sub(r"[^\w.-]", "_", submission_program(step)).strip("._-")
        submission = write_submission(run.record, Submission(
            number=next_submission(run), start=run.number, step=step.number,
            scheduler=PARAMETERS if self.is_bare else HANDLER, name=name, after=[],
            limits=list(run.limits(True)), must_succeed=False, width=0, job_id="", status=-1,
            slots=packed(slot_entries(run, todo), 1), clusters=""))
        if not self.is_bare:
            write_script(run.record, submission, python_of(run.job), '"$1" status')
        return submission

    def hand_over(self, run: Run, submission: Submission,
                  words: "Sequence[str]") -> "Iterator[Event]":
        """Execute a handler; yield what its tasks tell until it ends, and what follows then."""
        watch = Watch([Ahead(run, submission, list(submission.numbers()))])
        writer = run.writer(HANDLER)
        with Signals() as signals:
            try:
                process = spawn(words, None, None, environment({}))
            except OSError as error:
                write_status(run.record, submission, 127)
                yield from self.give_up(run, submission, watch)
                raise Refusal("refused", f"{words[0]} cannot be started: {reason(error)}") from None
            begin_events(run.record, writer)
            append_event(
                run.record, writer, "handler", submission=submission.number, pid=process.pid)
            delay = 0.05
            while process.poll() is None:
                signals.wait(delay)
                while signals.numbers:
                    number = signals.numbers.pop(0)
                    stop_group(process.pid, number)
                    text = f"{signal_name(number)}: passed on to {words[0]}"
                    yield note_event("interrupt", text)
                if not self.is_bare:
                    yield from watch.look()
                delay = min(delay * 1.2, 1.0)
        status = process.returncode
        if status < 0:
            status = 128 - status
        write_status(run.record, submission, status)
        yield from self.after(run, submission, watch, status, words[0])

    def after(self, run: Run, submission: Submission, watch: "Watch", status: int,
              name: str) -> "Iterator[Event]":
        """Yield what follows when a handler has ended."""
        has_failed = False
        if self.is_bare:
            for number in submission.numbers():
                state = State()
                merge_handler(state, submission._replace(status=status), True)
                task = watch.task(run, number)
                yield Event("end", task, state, "", run.record.log_path(number), 0)
        else:
            yield from watch.look()
            has_failed = run.has_failed()
            if status:
                yield from self.give_up(run, submission, watch)
            self.left += watch.aheads()
        if status:
            run.refused = not has_failed  # else it may say no more than that tasks have
            yield note_event("error", f"{name} ended with exit status {status}")
        elif self.left:
            left = sum(len(ahead.numbers) for ahead in self.left)
            yield note_event("note", f"{name} has ended, and {left} of its tasks have not")

    def give_up(self, run: Run, submission: Submission, watch: "Watch") -> "Iterator[Event]":
        """Note that tasks which never began will not, as their handler has failed."""
        states = read_told(run.record).states
        left = set()  # type: Set[int]
        for ahead in watch.aheads():
            left.update(ahead.numbers)
        for number, first, _ in chain.from_iterable(submission.slots):
            state = states.get(number) or State()
            if number in left and state.attempt < first:
                writer = run.writer(HANDLER)
                append_attempt(run.record, writer, "lost", number, first, why="handler")
        for _ in range(2):  # one look at what is interrupted proves nothing, to a watch
            yield from watch.look()


def place_of(step: PlannedStep, is_dry: bool) -> Place:
    """Return where a step is executed."""
    if not step.submit:
        return Here()
    program = submission_program(step)
    may_ask = bool(find_program(program))
    if is_dry and os.path.dirname(program):
        may_ask = False  # only what it finds in PATH, a dry run may ask
    scheduler = scheduler_of(step.submit, may_ask)
    if scheduler and (step.command or not script_word(step.submit, scheduler)):
        return ArrayPlace(scheduler, clusters_of(step.submit, scheduler))
    return Handler(not step.command)


def places_of(plan: Plan, is_dry: bool) -> "List[Tuple[Place, List[PlannedStep]]]":
    """Return the steps of a plan in the groups that are started together, each with its place."""
    groups = []  # type: List[Tuple[Place, List[PlannedStep]]]
    for step in plan.steps:
        place = place_of(step, is_dry)
        is_bare = isinstance(place, Handler) and place.is_bare
        if is_bare and groups and groups[-1][1][0].submit == step.submit:
            groups[-1][1].append(step)
        else:
            groups.append((place, [step]))
    return groups


def check_plan(plan: Plan, is_dry: bool) -> None:
    """Raise an Error for what can't be executed."""
    grace()
    if not is_dry and plan.count > sys.maxsize:
        count = counted(plan.count, "task")
        raise Error("too-many-tasks",
                    f"job {plan.job.key} has {count}, which are too many to execute", plan.job.mark,
                    "sample: 20 in a step, or --sample 20, takes some of them at random")
    for place, steps in places_of(plan, is_dry):
        for step in steps:
            place.check(step, is_dry)


# -- one loop

DOUBT = 30.0  # seconds that a scheduler has to say that a signal was its own
REQUEUES = 3  # times that a command which waits submits again what was lost with its machine


class Lost(NamedTuple("Lost", [("ahead", Ahead), ("number", int), ("state", State)])):
    """A task that was lost with its machine, or could not begin as another one was."""
    __slots__ = ()

    @property
    def is_blocked(self) -> bool:
        """Whether it could not begin."""
        return self.state.name == "skipped"


class Watch:
    """Tells of tasks that are executed elsewhere, as their records change.

    lost are those whose end is not told yet, as they may be submitted again.
    """
    __slots__ = (
        "waited", "pending", "doubted", "started", "tasks", "wrong", "running", "held", "lost")

    def __init__(self, aheads: "Sequence[Ahead]") -> None:
        self.waited = list(aheads)
        self.pending = [set(ahead.numbers) for ahead in aheads]
        self.doubted = {}  # type: Dict[Tuple[str, int], float]  # since when, in monotonic seconds
        self.started = set()  # type: Set[Tuple[str, int]]
        self.tasks = {}  # type: Dict[str, Ledger]
        self.wrong = ""
        self.running = 0
        self.held = set()  # type: Set[str]  # reasons that were told
        self.lost = []  # type: List[Lost]

    def aheads(self) -> "List[Ahead]":
        """Return what is not over."""
        rows = zip(self.waited, self.pending)
        return [ahead._replace(numbers=sorted(numbers)) for ahead, numbers in rows if numbers]

    def asks_schedulers(self) -> bool:
        """Return whether a look asks a scheduler."""
        submissions = [ahead.submission for ahead in self.aheads()]
        return any(one and one.scheduler in SCHEDULERS for one in submissions)

    def task(self, run: Run, number: int) -> "Optional[Task]":
        """Return a task of a record."""
        if run.record.path not in self.tasks:
            self.tasks[run.record.path] = Ledger(run.record)
        return self.tasks[run.record.path].task(number)

    def look(self) -> "Iterator[Event]":
        """Yield what has happened since the last look."""
        surveyor = Surveyor()
        surveys = {}  # type: Dict[str, Survey]
        running = 0
        self.wrong = ""
        for ahead, numbers in zip(self.waited, self.pending):
            path = ahead.run.record.path
            if numbers and path not in surveys:
                surveys[path] = surveyor.survey(ahead.run.record)
                self.wrong = self.wrong or surveys[path].wrong
            for number in sorted(numbers):
                state = surveys[path].states.get(number) or State()
                if state.name == "running":
                    running += 1
                for event in self.changed(ahead.run, surveys[path], number, state):
                    if event.kind == "end":
                        numbers.discard(number)
                        if may_begin_again(ahead, state):
                            self.lost.append(Lost(ahead, number, state))
                            continue
                        ahead.run.see(event)
                    yield event
        self.running = running

    def ends(self, lost: "Iterable[Lost]") -> "Iterator[Event]":
        """Yield the ends of tasks that are not submitted again."""
        for ahead, number, state in lost:
            event = self.end(ahead.run, number, state)
            ahead.run.see(event)
            yield event

    def lost_of(self, ahead: Ahead, may_follow: bool) -> "Tuple[List[Lost], List[Lost]]":
        """Return what was lost of an array job, that which is to be submitted again before the
        rest; may_follow tells whether what could not begin is."""
        wanted, left = [], []
        for one in self.lost:
            if one.ahead is not ahead:
                continue
            if may_follow or not one.is_blocked:
                wanted.append(one)
            else:
                left.append(one)
        return wanted, left

    def end(self, run: Run, number: int, state: State) -> Event:
        """Return the event of the end of a task."""
        log = run.record.log_path(number)
        return Event("end", self.task(run, number), state, run.job.key, log, 0)

    def changed(self, run: Run, found: Survey, number: int, state: State) -> "Iterator[Event]":
        """Yield the events of one task whose state was looked at."""
        key = run.record.path, number
        log = run.record.log_path(number)
        if state.name == "running" and key not in self.started:
            self.started.add(key)
            yield Event("elsewhere", self.task(run, number), state, "", log, 0)
        if state.cause == "held" and state.detail not in self.held:
            self.held.add(state.detail)
            text = f"task {number} is held: {state.detail}; it waits until somebody mends that"
            yield note_event("note", text)
        if state.is_over and not self.is_doubtful(found, number, state):
            yield self.end(run, number, state)

    def is_doubtful(self, found: Survey, number: int, state: State) -> bool:
        """Return whether an end may not be the last word.

        One look at a queue proves nothing. By a signal the scheduler may have ended the task, which
        says so later.
        """
        key = found.record.path, number
        now = time.monotonic()
        is_new = key not in self.doubted
        since = self.doubted.setdefault(key, now)
        if number in found.unsettled:
            return now < since + DOUBT
        return is_new and state.name == "interrupted"


def may_begin_again(ahead: Ahead, state: State) -> bool:
    """Return whether an end is none of the task's own, and its array job could be sent again."""
    submission = ahead.submission
    if submission is None or submission.scheduler not in SCHEDULERS:
        return False
    if state.cause not in ("node", "preempted", "blocked"):
        return False
    if submission.start != ahead.run.number:
        return False  # its step may be another one by now, or none
    step = ahead.run.plan.steps[submission.step - 1]
    return not says_requeue(step.submit, SCHEDULERS[submission.scheduler])


def follow(watch: Watch) -> "Iterator[Event]":
    """Yield what happens to tasks that are executed elsewhere, until all are over or a signal."""
    delay = 0.5
    said = ""
    with Signals() as signals:
        while True:
            yield from watch.look()
            if watch.wrong and watch.wrong != said:
                text = f"the scheduler does not answer, and is asked again: {watch.wrong}"
                yield note_event("note", text)
            said = watch.wrong
            yield note_event("tick", "")._replace(number=watch.running)
            if not watch.aheads():
                return
            longest = 15.0 if watch.asks_schedulers() else 1.0
            signals.pause(min(delay, longest))
            delay = min(delay * 1.3, longest)
            if signals.numbers:
                text = f"{signal_name(signals.numbers[0])}: the tasks go on"
                yield note_event("interrupt", text)
                return


def replaced(ahead: Ahead, again: "Dict[Tuple[str, int], Ahead]") -> "List[Ahead]":
    """Return what was submitted again in place of what an array job waits for."""
    if ahead.submission is None:
        return []
    return [again[path, number] for path, number in ahead.submission.after
            if (path, number) in again]


def submit_again(run: Run, lost: "Sequence[Lost]", old: Submission,
                 before: "Sequence[Ahead]") -> Ahead:
    """Submit tasks of one submission once more, behind others; return what is ahead then."""
    step = run.plan.steps[old.step - 1]
    place = ArrayPlace(SCHEDULERS[old.scheduler], old.clusters)
    begun = {one.number: one.state.attempt for one in lost}
    entries = []
    for number, first, offset in chain.from_iterable(old.slots):
        if number in begun:
            attempt = max(begun[number] + 1, first)
            entries.append([number, unclaimed_attempt(run.record, number, attempt), offset])
    slots = packed(entries, run.pack(step)[0])
    waited = [(ahead.run.record, ahead.submission) for ahead in before if ahead.submission]
    after = [[record.path, submission.number] for record, submission in waited]
    ids = [submission.job_id for _, submission in waited]
    submission = place.prepared(run, step, slots, next_submission(run), after)
    submission = place.submit(run, step, submission, run.throttle(), ids, {})
    return Ahead(run, submission, sorted(begun))


def again_text(lost: "Sequence[Lost]", sent: Ahead) -> str:
    """Return what is said of tasks that were submitted once more, and why."""
    causes = "behind them"
    if not all(one.is_blocked for one in lost):
        causes = ", ".join(sorted({CAUSES[one.state.cause] for one in lost}))
    job_id = sent.submission.job_id if sent.submission else ""
    return f"{causes}: {counted(len(lost), 'task')} submitted again as array job {job_id}"


class Execution:
    """The loop of execute, and what it has to remember."""
    __slots__ = ("runs", "options", "aheads", "sent", "rest", "is_interrupted", "must_follow")

    def __init__(self, runs: "Sequence[Run]", options: Options) -> None:
        self.runs = list(runs)
        self.options = options
        self.aheads = {}  # type: Dict[str, List[Ahead]]  # what is not over of each job
        self.sent = []  # type: List[Ahead]  # what was submitted by this command
        self.rest = []  # type: List[Ahead]  # what is not known to be over
        self.is_interrupted = False
        self.must_follow = False  # what was begun here is awaited here

    def watched(self, events: "Iterator[Event]", run: Run) -> "Iterator[Event]":
        """Yield events, and count them; those of a task's way say which job it is of."""
        for event in events:
            if event.kind == "interrupt":
                self.is_interrupted = True
            if event.kind in ("start", "retry", "end"):
                event = event._replace(text=run.job.key)
            run.see(event)
            yield event

    def followed(self, aheads: "Sequence[Ahead]") -> "Iterator[Event]":
        """Wait until tasks are over."""
        self.rest = [ahead for ahead in self.rest if ahead not in aheads]
        waited = list(aheads)
        for rest in reversed(range(REQUEUES + 1)):
            watch = Watch(waited)
            for event in follow(watch):  # which counts them
                if event.kind == "interrupt":
                    self.is_interrupted = True
                yield event
            if self.is_interrupted or not rest:
                yield from watch.ends(watch.lost)
                return
            again = {}  # type: Dict[Tuple[str, int], Ahead]
            yield from self.send_again(watch, again)
            if not again:
                return
            waited = list(again.values())
            self.sent += waited

    def send_again(self, watch: Watch, again: "Dict[Tuple[str, int], Ahead]") -> "Iterator[Event]":
        """Submit what was lost with its machine once more, and what had to wait for it.

        again gets what is submitted, by record and number of the submission that it replaces. What
        has failed by itself has other retries, and what waits for that does not begin.
        """
        for ahead in watch.waited:
            before = replaced(ahead, again)
            may_follow = bool(before) and not any(run.has_failed() for run in self.runs)
            wanted, left = watch.lost_of(ahead, may_follow)
            yield from watch.ends(left)
            if wanted and ahead.submission:
                yield from self.send_once_more(ahead.submission, watch, wanted, before, again)

    def send_once_more(self, old: Submission, watch: Watch, lost: "Sequence[Lost]",
                       before: "Sequence[Ahead]",
                       again: "Dict[Tuple[str, int], Ahead]") -> "Iterator[Event]":
        """Submit tasks of one submission once more, or tell their ends if that is refused."""
        run = lost[0].ahead.run
        try:
            sent = submit_again(run, lost, old, before)
        except Refusal as refusal:
            run.refused = True
            yield note_event("error", str(refusal))
            yield from watch.ends(lost)
            return
        again[run.record.path, old.number] = sent
        yield note_event("note", again_text(lost, sent))

    def execute(self) -> "Iterator[Event]":
        """Yield what happens until everything is over or with a scheduler, or something failed."""
        for run in self.runs:
            yield from self.execute_run(run)
            if self.is_interrupted or run.refused:
                return
            if not self.may_go_on(run):
                break
        if self.rest and (self.options.wait or self.must_follow):
            yield from self.followed(list(self.rest))

    def may_go_on(self, run: Run) -> bool:
        """Return whether jobs that need this one may begin."""
        return not run.has_failed() and not run.unfinished()

    def execute_run(self, run: Run) -> "Iterator[Event]":
        """Execute the steps of one job, in their order."""
        before = []  # type: List[Ahead]
        for name, _ in run.job.needs:
            before += self.aheads.get(name, [])
        for note in run.notes:
            yield note_event("note", note)
        groups = places_of(run.plan, False)
        for index, (place, steps) in enumerate(groups):
            if not place.can_wait_for(before):
                yield from self.followed(before)
                before = []
            if self.is_interrupted or self.is_blocked(run):
                run.plan_rest(groups[index:])
                return
            yield from self.execute_step(run, place, steps, before)
            if self.is_interrupted or run.refused:
                run.plan_rest(groups[index + 1:])
                return
            before = place.left or before
        self.aheads[run.job.key] = before

    def execute_step(self, run: Run, place: Place, steps: "Sequence[PlannedStep]",
                     before: "Sequence[Ahead]") -> "Iterator[Event]":
        """Execute a step, or several that are started together; note what is left of it."""
        try:
            yield from self.watched(place.start(run, steps, before), run)
        except Refusal as refusal:
            self.note_left(run, place)  # a step may be several array jobs
            yield from self.refused(run, refusal)
            return
        self.note_left(run, place)
        self.must_follow = not place.is_remote

    def note_left(self, run: Run, place: Place) -> None:
        """Note what is left of the step that a place has started last."""
        self.rest += place.left
        for ahead in place.left:
            run.open.update(ahead.numbers)
            if ahead.submission and ahead.submission.start == run.number:
                self.sent.append(ahead)

    def is_blocked(self, run: Run) -> bool:
        """Return whether a step must not begin, as something before it has failed."""
        needed = {name for name, _ in run.job.needs}
        if any(one.has_failed() for one in self.runs if one.job.key in needed):
            return True
        return run.must_succeed() and run.has_failed()

    def refused(self, run: Run, refusal: Refusal) -> "Iterator[Event]":
        """Cancel what this command has submitted, as a later submission was refused.

        What has succeeded stays.
        """
        run.refused = True
        yield note_event("error", str(refusal))
        wrong = []  # type: List[str]
        texts = []
        for ahead in self.sent:
            submission = ahead.submission
            if submission and not ahead.run.open.isdisjoint(ahead.numbers):  # else it was awaited
                wrong.append(cancel_submission(ahead.run, submission))
                texts.append(f"array job {submission.job_id} of step {submission.step}")
        if texts:
            text = f"cancelled {', '.join(texts)}, so that nothing is half submitted"
            yield note_event("error", text)
        for text in filter(None, wrong):
            yield note_event("error", text)


def cancel_submission(run: Run, submission: Submission) -> str:
    """Cancel an array job, and note that in its record; return what went wrong."""
    note_cancelled(run, submission)
    return cancel_array(SCHEDULERS[submission.scheduler], submission.job_id)


def describe(runs: "Sequence[Run]") -> "Iterator[str]":
    """Yield what execute would do, as a dry run prints it: commands, and all else as comments."""
    aheads = {}  # type: Dict[str, List[str]]
    for run in runs:
        key = run.job.key
        before = []  # type: List[str]
        for need, _ in run.job.needs:
            before += aheads.get(need, [])
        for place, steps in places_of(run.plan, True):
            yield from place.describe(run, steps, before)
            before = []
            if isinstance(place, ArrayPlace):
                before.append(f"<id of step {steps[0].number} of {key}>")
        aheads[key] = before


# -- what an array task, or a line of a handler, executes


class Claimed(NamedTuple("Claimed", [("state", State), ("holder", str), ("is_own", bool)])):
    """What the claims of a task say to a slot.

    The state of its last attempt; who executes it now, "" for nobody; and whether the last attempt
    was one of the slot's own, or there was none.
    """
    __slots__ = ()

    @property
    def is_taken(self) -> bool:
        """Whether the task is not for the slot to execute."""
        return bool(self.holder) or self.state.name == "succeeded"


def slot_state(record: Record, number: int, first: int, who: str) -> Claimed:
    """Return what is known of a task that a slot may take.

    The claims of its attempts, from the first one of the slot on, name the files to look into. Of
    its own slot, every earlier writer is dead: the scheduler has started it again.
    """
    attempt = first
    is_own = True
    while True:
        holder = record.claimant(number, attempt)
        if not holder:
            return Claimed(State(attempt - 1), "", is_own)
        told = Told()
        told.read(record.events_path(holder))
        state = told.states.get(number)
        is_own = WriterName.parse(holder).who in (who, CRASHED)
        if state and state.attempt == attempt and state.name == "succeeded":
            return Claimed(state, "", is_own)
        if not is_own and (state is None or not state.is_over):
            return Claimed(State(attempt), holder, False)
        attempt += 1


def may_begin(record: Record, submission: Submission) -> bool:
    """Return whether all has succeeded that a slot waits for, if its scheduler cannot see to that.

    Who finds out leaves a file of the verdict's name, so that a thousand of them don't read a
    thousand files each.
    """
    scheduler = SCHEDULERS.get(submission.scheduler)
    if scheduler is None or scheduler.knows_success or not submission.must_succeed:
        return True
    if not submission.after:
        return True
    for verdict in ("passed", "failed"):
        if is_there(record.submission_path(submission.number, verdict)):
            return verdict == "passed"
    passed = all_succeeded(submission.after)
    verdict = "passed" if passed else "failed"
    write_file(record.submission_path(submission.number, verdict), b"")
    return passed


def all_succeeded(after: "Iterable[Sequence[Any]]") -> bool:
    """Return whether all tasks of submissions, pairs (path of a record, number), have succeeded."""
    surveyor = Surveyor()
    for path, number in after:
        told, submissions = surveyor.read(Record(path))
        for submission in submissions:
            if submission.number != number:
                continue
            states = [told.states.get(task) for task in submission.numbers()]
            if not all(state and state.name == "succeeded" for state in states):
                return False
    return True


def here_task(task: Task, program: str) -> Task:
    """Return a task with the paths that its programs have on this machine."""
    argv = list(task.argv)
    if task.is_call:
        at = argv.index("call")
        argv[at - 1] = os.path.abspath(__file__)
    elif program and os.access(native(program), os.X_OK):
        argv[0] = program
    return task._replace(argv=tuple(argv))


class SlotQueue:
    """The tasks that an array task, or a line of a handler, executes.

    Those of its slot that have not succeeded, then, where slots are packs, what other slots have
    not begun. others is what is to be said of tasks that somebody else has; longest is how many
    seconds the longest task took so far; end is when the allocation ends, 0.0 if it is not known;
    turn is the last one of the slot's turns that was ours.
    """
    __slots__ = (
        "record", "submission", "slot", "writer", "limits", "begins", "others", "longest", "end",
        "turn")

    def __init__(self, record: Record, submission: Submission, slot: int) -> None:
        self.record = record
        self.submission = submission
        self.slot = slot
        self.writer = WriterName.own(submission.start, self.who)
        self.limits = Limits(*submission.limits)
        self.begins = may_begin(record, submission)
        self.others = []  # type: List[str]
        self.longest = 0.0
        self.end = allocation_end()
        self.turn = 0

    @property
    def who(self) -> str:
        """As what the slot writes events."""
        return slot_who(self.submission.number, self.slot)

    def why_not(self) -> str:
        """Return why no task may begin now, one of CAUSES, or nothing."""
        if not self.begins:
            return "blocked"
        if self.limits.fail_fast and os.path.exists(self.record.stop_path(self.submission.start)):
            return "fail-fast"
        if self.end and self.longest and time.time() + self.longest > self.end:
            return "time"
        return ""

    def tasks(self) -> "Iterator[Tuple[Task, State]]":
        """Yield the tasks with what is known of them; those that may not begin are skipped."""
        own = []  # type: List[List[int]]
        if self.submission.slots:
            own = self.submission.slots[0]
        for number, first, offset in own:
            claimed = slot_state(self.record, number, first, self.who)
            if self.is_strangers(claimed):
                self.others.append(f"task {number} is executed by {claimed.holder}")
            if claimed.is_taken:
                continue
            why = self.why_not()
            if why:
                attempt = claimed.state.attempt + 1
                append_attempt(self.record, self.writer, "skipped", number, attempt, why=why)
            elif len(own) > 1 and not self.has_turn():
                return
            else:
                yield here_task(*task_at(self.record, offset)), claimed.state
        if len(own) > 1:
            yield from self.shared()

    def has_turn(self) -> bool:
        """Return whether no later process has the slot.

        A scheduler that loses sight of a machine begins its slots again on others, whether what
        runs there is dead or not. So the turns of a pack are claimed, one for each task: who begins
        passes over those of an earlier process, which finds its next one taken, and ends.
        """
        is_first = not self.turn
        while True:
            self.turn += 1
            number = self.submission.number
            if self.record.claim_turn(number, self.slot, self.turn, self.writer):
                return True
            if not is_first:
                self.others.append("another array task has this slot by now")
                return False

    def is_strangers(self, claimed: Claimed) -> bool:
        """Return whether somebody has a task who is no slot of the same submission."""
        if not claimed.holder:
            return False
        submission, _ = WriterName.parse(claimed.holder).slot
        return submission != self.submission.number

    def shared(self) -> "Iterator[Tuple[Task, State]]":
        """Yield tasks of other slots that nobody has begun; who claims one has it."""
        slots = read_submission(self.record, self.submission.number).slots
        others = slots[self.slot:] + slots[:self.slot - 1]  # the slot behind ours first
        depth = max(map(len, slots))
        for place in range(depth - 1, -1, -1):  # from their ends, which their owners reach last
            for entries in others:
                if place >= len(entries) or self.why_not():
                    continue
                number, first, offset = entries[place]
                claimed = slot_state(self.record, number, first, self.who)
                if claimed.is_own and not claimed.is_taken:
                    if not self.has_turn():
                        return
                    yield here_task(*task_at(self.record, offset)), claimed.state


def allocation_end() -> float:
    """Return when the allocation around us ends, in seconds since 1970, 0.0 where not known."""
    text = os.environ.get("SLURM_JOB_END_TIME", "")
    if not (text.isdecimal() and 9 <= len(text) <= 11):
        return 0.0
    return float(text)


def is_strange(submission: Submission) -> bool:
    """Return whether we are in another array job than that of a submission.

    Its answer got lost, and what was submitted in its place has these tasks.
    """
    scheduler = SCHEDULERS.get(submission.scheduler)
    if scheduler is None:
        return False
    own = leading_digits(os.environ.get(scheduler.own_id, ""))
    noted = leading_digits(submission.job_id)
    return bool(own and noted and own != noted)


def leading_digits(text: str) -> str:
    """Return the digits that a text begins with.

    >>> leading_digits("12[].node3"), leading_digits("a1")
    ('12', '')
    """
    return text[:len(text) - len(text.lstrip("0123456789"))]


def run_slot(path: str, number: int, slot: int) -> "Iterator[Event]":
    """Execute the tasks of one slot of a submission that have not succeeded; yield what happens."""
    record = Record(path)
    submission = read_submission(record, number, slot)
    if is_strange(submission):
        text = f"nothing is executed: these tasks are those of array job {submission.job_id}"
        yield note_event("error", text)
        return
    queue = SlotQueue(record, submission, slot)
    limits = queue.limits._replace(fail_fast=False)  # the queue skips what must not begin
    scheduler = SCHEDULERS.get(submission.scheduler)
    guard = Guard() if scheduler and scheduler.leaves_tasks else None
    events = run_tasks(
        record, queue.tasks(), limits, queue.writer, kills=scheduler is None, guard=guard)
    for event in events:
        if event.kind == "end":
            queue.longest = max(queue.longest, event.state.ended - event.state.started)
            if event.state.name == "failed" and queue.limits.fail_fast:
                write_file(record.stop_path(submission.start), b"")
        yield event
    if guard:
        guard.leave()
    for text in queue.others:
        yield note_event("error", text)
    remove_if_empty(record.scheduler_path(number, slot))


# -- stopping


class Stopped(NamedTuple("Stopped", [
        ("arrays", "List[str]"), ("tasks", int), ("away", "List[Tuple[int, State]]"),
        ("wrong", "List[str]")])):
    """What cancel did: array jobs, or array tasks, that it cancelled, in words; how many tasks it
    asked to stop.

    away are tasks that it cannot reach, wrong is what went wrong.
    """
    __slots__ = ()


def cancel_record(record: Record, is_lost: bool,
                  numbers: "Optional[Sequence[int]]" = None) -> Stopped:
    """Stop all that is open of a run, or tasks of it alone.

    With is_lost, give up what shows no sign of life any more.
    """
    found = survey(record)
    writer = WriterName.own(found.ledger.start.number, "stop")
    if numbers is None:
        arrays, wrong = cancel_arrays(found, writer)
        stop_handlers(record)
    else:
        arrays, wrong = cancel_array_tasks(found, writer, numbers)
    asked = 0
    away = []  # type: List[Tuple[int, State]]
    stopped = set()  # type: Set[int]
    for number, state in running_outside_arrays(found):
        if numbers is not None and number not in numbers:
            continue
        if not is_same_machine(state.writer.machine):
            away.append((number, state))
            continue
        if numbers is None and (stop_writer(state, stopped) or stop_holder(record, stopped)):
            asked += 1
            continue
        append_attempt(record, writer, "ask", number, state.attempt, why="interrupted")
        asked += stop_task(state, signal.SIGTERM)
    if is_lost:
        for number, state in away:
            append_attempt(record, writer, "lost", number, state.attempt, why="lost")
    return Stopped(arrays, asked, away, wrong)


def running_outside_arrays(found: Survey) -> "Iterator[Tuple[int, State]]":
    """Yield the tasks that run and that no scheduler ends with their array job."""
    in_arrays = set()  # type: Set[int]
    for submission in found.submissions:
        if submission.scheduler in SCHEDULERS:
            in_arrays.update(submission.numbers())
    for number, state in sorted(found.states.items()):
        if state.name == "running" and not (number in in_arrays and state.writer.name.is_slot):
            yield number, state


def cancel_arrays(found: Survey, writer: str) -> "Tuple[List[str], List[str]]":
    """Cancel the array jobs that have tasks which are not over.

    Return their ids, and what went wrong.
    """
    arrays = []
    wrong = []
    for submission in found.submissions:
        scheduler = SCHEDULERS.get(submission.scheduler)
        states = [found.states.get(number) or State() for number in submission.numbers()]
        if scheduler is None or all(state.is_over for state in states):
            continue
        job_id = named(submission).job_id
        is_known = job_id not in ("", NO_ID)
        append_event(found.record, writer, "cancel", submission=submission.number)
        arrays.append(f"array job {job_id if is_known else submission.name}")
        if is_known:
            wrong.append(cancel_array(scheduler, job_id))
    return arrays, [text for text in wrong if text]


def cancel_array_tasks(found: Survey, writer: str,
                       numbers: "Sequence[int]") -> "Tuple[List[str], List[str]]":
    """Cancel the array tasks that have some tasks, where they have no others that are not over.

    Return their ids, and what went wrong.
    """
    members = {}  # type: Dict[ArrayTask, List[int]]
    for number, one in sorted(found.array_tasks().items()):
        if found.state(number).name in ("queued", "running"):
            members.setdefault(one, []).append(number)
    cancelled, wrong = [], []
    for one, tasks in members.items():
        others = [str(number) for number in tasks if number not in numbers]
        if len(others) == len(tasks):
            continue
        if others:
            wrong.append(f"array task {one.text} has other tasks as well, {', '.join(others)}: "
                         "name them too, or none")
            continue
        append_event(
            found.record, writer, "cancel", submission=one.submission, slot=one.slot)
        cancelled.append(f"array task {one.text}")
        wrong.append(cancel_array(one.scheduler, one.text))
    return cancelled, [text for text in wrong if text]


def stop_handlers(record: Record) -> None:
    """Ask the handlers of a record to begin no further line.

    What proves them ours is the file that they were given.
    """
    for number, (machine, pid, up) in read_told(record).handlers.items():
        if is_process_gone(machine, pid, up) or not is_same_machine(machine):
            continue
        if native_bytes(record.submission_path(number, "txt")) in process_text(pid):
            stop_process(pid, signal.SIGTERM)


def stop_holder(record: Record, stopped: "Set[int]") -> bool:
    """Ask the HydraFlow that goes on with a run to stop, once; return whether there is one here. It
    awaits what runs since an earlier start."""
    holder = re.fullmatch(r"process (\d+) on (.*)", lock_holder(record))
    if not holder or holder.group(2) != host_name():
        return False
    pid = int(holder.group(1))
    if pid in stopped:
        return True
    if b"hydraflow" not in process_text(pid):
        return False
    stopped.add(pid)
    return stop_process(pid, signal.SIGTERM)


def stop_writer(state: State, stopped: "Set[int]") -> bool:
    """Ask the HydraFlow that watches a task to stop, once; return whether there is one.

    It passes the signal on. Nothing in its own words names the record, but the task's do: in the
    copy of a record they name another one.
    """
    writer = state.writer
    if writer.pid in stopped:
        return True
    if not (is_ours(state) or own_members(state)):
        return False
    if is_process_gone(writer.machine, writer.pid, writer.up):
        return False
    if b"hydraflow" not in process_text(writer.pid):
        return False
    stopped.add(writer.pid)
    return stop_process(writer.pid, signal.SIGTERM)


# ---------------------------------------------------------------------------
# 12. What people see: Event, State -> text
# ---------------------------------------------------------------------------
# say, write, put, Outlet (streams), painted; harmless, last_state; texts of durations, moments,
# states; task_name, the one way in which a task is called, shared_words and Names; tail_lines and
# cause_line; Screen (output of the tasks, progress line, summary); log_of, head_line, status_lines
# and status_document of a record. A task's output goes to standard output, what
# HydraFlow has to say to standard error. The screen reads the logs: from a line that is not
# complete yet it starts again the next time, so that nothing of a log is kept in memory. It is a
# guest of the loop that executes: it writes what can be written without waiting, and keeps the rest
# for its next turn.

CHUNK = 65536  # bytes of a log that are looked at together, and the longest line shown as one
TURN = 4 * CHUNK  # bytes of logs that are shown in one turn of the loop
BEHIND = 256 * CHUNK  # bytes that a terminal may be behind a log before some are skipped
MOST_GROUPS = 1000  # kinds of failure that are told apart
TAIL = 5  # last lines of a log that are kept with a failure, and looked through for its cause
TERMINAL_CONTROLS = (  # of ECMA-48; compiled when there is output to show
    r"(?s)\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b.?|"
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
COLOURS = r"\x1b\[[0-9;]*m"
TRAILERS = (  # last lines that say nothing of the cause
    r"hint: |Set the environment variable HYDRA_FULL_ERROR=1|Config search path|Provider:|"
    r"==> attempt \d+ <==$|\s*\d+%\||.*\d+(\.\d+)?(it/s|s/it)\]?$|[\s=*#_-]*$")


def say(text: str) -> None:
    """Write a line for a person; what the stream cannot encode is escaped."""
    write(sys.stderr, encoded(sys.stderr, text + "\n"))


def encoded(stream: "IO[str]", text: str) -> bytes:
    """Return a text in the encoding of a stream, with escapes for what it does not have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace")


def write(stream: "IO[str]", data: bytes) -> None:
    """Write bytes to a stream of text, and wait for that; a stream that fails is let go."""
    outlet = Outlet(stream)
    try:
        while data and not outlet.is_lost:
            data = outlet.offer(data, True)
    except BlockingIOError:
        pass


def put(text: str) -> None:
    """Write a line of data: bytes of arguments as they are, but no commands to a terminal."""
    put_shown(printable(text) if sys.stdout.isatty() else text)


def put_shown(text: str) -> None:
    """Write a line of data that may be shown as it is, with colours of ours."""
    stream = getattr(sys.stdout, "buffer", None)  # none where a caller put an io.StringIO there
    if stream is None:
        sys.stdout.write(text + "\n")
    else:
        stream.write(native_bytes(text + "\n"))


def window_width(stream: "IO[str]") -> int:
    """Return how many columns the terminal has that a stream goes to; 0 where it goes to none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (AttributeError, ValueError, OSError):
        return 0


def has_colours(stream: "IO[str]") -> bool:
    """Return whether what a stream gets is read on a terminal by someone who wants colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return window_width(stream) > 0


def painted(text: str, state: str, is_coloured: bool) -> str:
    """Return a text in the colour of a state.

    >>> painted("1 failed", "failed", True), painted("1 failed", "failed", False)
    ('\\x1b[31m1 failed\\x1b[m', '1 failed')
    """
    colour = STATES[state].colour
    return f"\x1b[{colour}m{text}\x1b[m" if is_coloured and colour else text


class Outlet:
    """A stream of text that bytes are written to without waiting.

    Who does not read must not keep a loop.
    """
    __slots__ = ("stream", "descriptor", "is_lost", "is_terminal")

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
        if self.descriptor < 0:
            self.into_text(data)
            return b""
        import select
        piece = 256 if self.is_terminal else getattr(select, "PIPE_BUF", 512)
        timeout = None if waits else 0
        try:
            while data and select.select([], [self.descriptor], [], timeout)[1]:
                data = data[os.write(self.descriptor, data[:piece]):]
        except BlockingIOError:
            if waits:
                time.sleep(TICK)
        except (OSError, ValueError):  # a closed terminal, a full disk, a reader that has gone
            self.is_lost = True
            return b""
        return data

    def into_text(self, data: bytes) -> None:
        """Write bytes to what stands in a stream's place."""
        raw = getattr(self.stream, "buffer", None)
        try:
            if raw is None:
                self.stream.write(data.decode("utf-8", "replace"))
            else:
                raw.write(data)
        except (OSError, ValueError):
            self.is_lost = True


def harmless(data: bytes) -> str:
    """Return bytes as a text that moves no cursor; colours stay.

    >>> harmless(b"\\x1b[2Jred \\xff")
    'red \\ufffd'
    """
    def colour(match: "Match[str]") -> str:
        return match.group() if re.fullmatch(COLOURS, match.group()) else ""

    return re.sub(TERMINAL_CONTROLS, colour, data.decode("utf-8", "replace"))


def last_state(line: bytes) -> bytes:
    """Return what a terminal would show of a line in which carriage returns start again."""
    for part in reversed(line.split(b"\r")):
        if part.strip():
            return part
    return b""


def duration_text(seconds: float) -> str:
    """Return a duration for people.

    >>> [duration_text(seconds) for seconds in (0.04, 12.34, 75, 36610)]
    ['0.0 s', '12.3 s', '1:15', '10:10:10']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def clock_text(seconds: float) -> str:
    """Return a duration as on a clock.

    >>> clock_text(5.2), clock_text(75)
    ('0:05', '1:15')
    """
    if seconds < 60:
        return f"0:{int(seconds):02d}"
    return duration_text(seconds)


def moment_text(moment: float) -> str:
    """Return a time of day, with its date if that is not today; "?" where no calendar has it."""
    import datetime
    try:
        when = datetime.datetime.fromtimestamp(moment)
        is_today = when.date() == datetime.date.today()
        return when.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return "?"


def status_text(status: int) -> str:
    """Return an exit status in words.

    >>> status_text(1), status_text(137)
    ('exit status 1', 'SIGKILL (exit status 137)')
    """
    if status > 128 and signal_name(status - 128).startswith("SIG"):
        return f"{signal_name(status - 128)} (exit status {status})"
    return f"exit status {status}"


def cause_text(state: State) -> str:
    """Return why a task is in its state, in words, where its exit status does not say it."""
    return printable(state.detail or CAUSES.get(state.cause, ""))


def state_text(state: State) -> str:
    """Return a state in words."""
    cause = cause_text(state)
    if state.name == "running":
        return running_text(state)
    if state.name == "succeeded":
        return "succeeded earlier" if state.origin else "succeeded"
    if state.name == "failed":
        return f"failed: {cause or status_text(state.status)}"
    if state.name == "handed":
        return f"handed {cause}"
    name = STATES[state.name].text
    if cause:
        return f"{name}: {cause}"
    return name


def running_text(state: State) -> str:
    """Return since when a task runs, and where if that is not here."""
    host = state.writer.machine.host
    text = f"running since {moment_text(state.started)}"
    if host not in ("", host_name()):
        text += f" on {printable(host)}"
    if state.cause:
        text += f", {CAUSES[state.cause]}"
    return text


def tail_lines(path: str, begin: int = 0) -> "List[str]":
    """Return the last lines of a log that are not empty, TAIL at most, of its last attempt or from
    an offset."""
    try:
        with open(open_safely(path, os.O_RDONLY), "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - CHUNK // 8, begin))
            data = file.read()
    except OSError:
        return []
    attempt = re.split(rb"(?:^|\n)==> attempt \d+ <==(?=\n|$)", data)[-1]
    texts = []
    for line in attempt.split(b"\n"):
        text = re.sub(COLOURS, "", harmless(last_state(line))).rstrip()
        if text:
            texts.append(text[:400])
    return texts[-TAIL:]


def cause_line(lines: "Sequence[str]") -> str:
    """Return the last line that says something of a cause: no advice of Hydra's, no progress bar.

    >>> cause_line(["ValueError: lr", "Set the environment variable HYDRA_FULL_ERROR=1 for more."])
    'ValueError: lr'
    >>> cause_line(["error: module os has no function x", "hint: call: names module.function"])
    'error: module os has no function x'
    """
    for line in reversed(lines):
        if not re.match(TRAILERS, line):
            return line
    return lines[-1] if lines else ""


def failure_cause(state: State, lines: "Sequence[str]") -> str:
    """Return why a task has failed: what is known of that, else what its last lines say, else its
    exit status."""
    known = cause_text(state) or cause_line(lines)
    return known or status_text(state.status)


# -- how a task is called


def shortened(text: str, longest: int) -> str:
    """Return a text without its middle, if it is too long.

    >>> shortened("data/imagenet/train", 11)
    'data...rain'
    """
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def shared_words(combinations: "Iterable[Sequence[str]]") -> "Set[str]":
    """Return the words that all of some combinations have.

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
    """Return words that all tasks of a plan have, as far as its axes tell that."""
    every = []
    for step in plan.steps:
        fixed = flat([axis.at(0) for axis in step.sweep.axes if axis.count == 1])
        every += [fixed, *step.included]
    return shared_words(every)


def words_text(words: "Iterable[str]", room: int) -> str:
    """Return words of a combination on one line that has room for so many characters.

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
    """Return how a person reads which task is meant: its number, and what others do not share.

    >>> task_name(8, ("lr=0.1", "epochs=3"), {"epochs=3"}, 99), task_name(1, ("a=1",), {"a=1"}, 99)
    ('[8 lr=0.1]', 'task 1')
    """
    words = words_text([word for word in combination if word not in shared], room)
    return f"[{number} {words}]" if words else f"task {number}"


class Names:
    """How the tasks of a record are called; what its plan says of them is read when it is needed.

    room is for the words of a name, in characters.
    """
    __slots__ = ("ledger", "room", "combinations", "shared")

    def __init__(self, ledger: Ledger, room: int) -> None:
        self.ledger = ledger
        self.room = room
        self.combinations = {}  # type: Dict[int, Tuple[str, ...]]
        self.shared = set()  # type: Set[str]

    def read(self) -> None:
        """Read the combinations of all tasks."""
        for values in self.ledger.values(self.ledger.members):
            task = line_task(values, self.ledger.path)
            self.combinations[task.number] = task.combination
        self.shared = shared_words(self.combinations.values())

    def name(self, number: int) -> str:
        """Return how a task is called."""
        if not self.combinations:
            self.read()
        return task_name(number, self.combinations.get(number, ()), self.shared, self.room)

    def in_common(self, numbers: "Iterable[int]") -> str:
        """Return what some tasks have in common and others do not have."""
        combinations = [self.combinations.get(number, ()) for number in numbers]
        common = shared_words(combinations) - self.shared
        return words_text([word for word in combinations[0] if word in common], self.room)


class Failure:
    """Failures that have the same cause: how many, and one of them."""
    __slots__ = ("count", "event", "lines")

    def __init__(self, event: Event, lines: "List[str]") -> None:
        self.count = 1
        self.event = event
        self.lines = lines


class Following:
    """A log that is shown: of which task, how far it was, whether what it is was said, and the end
    of its task where that has come."""
    __slots__ = ("name", "log", "offset", "has_title", "end")

    def __init__(self, name: str, log: str, offset: int) -> None:
        self.name = name
        self.log = log
        self.offset = offset
        self.has_title = False
        self.end = None  # type: Optional[Event]

    @property
    def lead(self) -> bytes:
        """What stands before each of its lines where several tasks share a screen."""
        name = self.name if self.name.endswith("]") else f"[{self.name.rpartition(' ')[2]}]"
        return name.encode("utf-8", "replace") + b" "


class Screen:
    """Shows events as they come: output of the tasks, a progress line, a line for each task.

    total is how many tasks there are, jobs how many of them run at once, where they run here;
    shared are words that all tasks of a job have, by its key; is_coloured is for what we say.
    is_live tells of a terminal that gets a progress line, is_raw of output that goes into no
    terminal; rest is what the stream has not taken yet, budget how many
    bytes of logs this turn may show, partial the line that a task has not ended yet.
    """
    __slots__ = (
        "total", "jobs", "quiet", "is_live", "is_raw", "shared", "is_coloured", "following", "out",
        "err", "rest", "rows", "partial", "counts", "failures", "begun", "spent", "notes", "drawn",
        "running", "budget")

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
        self.following = {}  # type: Dict[Tuple[str, int], Following]
        self.rows = 0
        self.partial = ""
        self.drawn = ""
        self.running = 0
        self.budget = TURN
        self.counts = dict.fromkeys([*STATES, "earlier"], 0)
        self.failures = {}  # type: Dict[str, Failure]
        self.begun = time.monotonic()
        self.spent = 0.0
        self.notes = []  # type: List[str]

    def show(self, event: Event) -> None:
        """Show one event."""
        key = event.text, event.task.number if event.task else 0
        if event.kind in ("start", "retry"):
            if event.kind == "retry":
                self.told(f"{self.name_of(event)} failed, and is tried again")
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
            self.told(event.text)
        elif event.kind == "tick":
            self.running = event.number
            self.turn(False)
            self.draw()

    def turn(self, waits: bool) -> None:
        """Show what is new in the logs, as much as the stream takes; with waits, all of it."""
        self.budget = TURN
        self.rest = self.out.offer(self.rest)
        self.drain(waits)
        for key, following in list(self.following.items()):
            if self.is_full(waits):
                return
            is_whole = self.follow(following, waits)
            if following.end and is_whole and following.end.task:
                del self.following[key]
                self.ended(following.end)

    def drain(self, waits: bool) -> None:
        """With waits, write what the stream has not taken yet."""
        while waits and self.rest:
            self.rest = self.out.offer(self.rest, True)

    def is_full(self, waits: bool) -> bool:
        """Return whether nothing more is to be shown in this turn."""
        return bool(self.rest) or (self.budget <= 0 and not waits)

    def follow(self, following: Following, waits: bool) -> bool:
        """Show what is new in the log of a task, in whole lines; return whether that was all."""
        if self.quiet or not following.log:
            return True
        try:
            size = os.stat(following.log).st_size
            if size <= following.offset and not (following.end and self.partial):
                return True
            if self.out.is_terminal and size - following.offset > BEHIND:
                self.skip(following, size)
            with open(open_safely(following.log, os.O_RDONLY), "rb") as file:
                return self.show_new(following, file, waits)
        except OSError:
            return True

    def skip(self, following: Following, size: int) -> None:
        """Leave out what a terminal is too slow for."""
        left_out = size - following.offset - CHUNK
        following.offset += left_out
        text = f"{left_out:,} bytes of its output are not shown; its log has all of it"
        self.line(f"{following.name}: {text}")

    def show_new(self, following: Following, file: "IO[bytes]", waits: bool) -> bool:
        """Show a log from where it was; return whether all of it is shown."""
        while True:
            file.seek(following.offset)
            data = file.read(CHUNK)
            shown = self.shown_size(data, following.end is not None)
            self.output(following, data[:shown])
            self.drain(waits)
            following.offset += shown
            self.budget -= shown
            self.partial = ""
            if len(data) < CHUNK:
                if self.jobs == 1 and not self.is_raw:
                    self.title(following, data)
                    self.partial = harmless(last_state(data[shown:]))
                return not self.rest
            if self.is_full(waits):
                return False

    def shown_size(self, data: bytes, has_ended: bool) -> int:
        """Return how much of a chunk is shown: its whole lines, or all where no more is to come.

        All of it, too, where it is a single line that is too long, and where it is passed on as
        it is.
        """
        is_last = len(data) < CHUNK
        whole = data.rfind(b"\n") + 1
        if self.jobs == 1 and self.is_raw:
            return len(data)
        if is_last and has_ended:
            return len(data)
        if not is_last and not whole:
            return len(data)
        return whole

    def title(self, following: Following, data: bytes) -> None:
        """On a terminal, say which of several tasks prints what follows, unless its lines do."""
        if data and self.is_live and self.jobs == 1 and self.total > 1 and not following.has_title:
            following.has_title = True
            self.line(f"==> {following.name} <==")

    def output(self, following: Following, data: bytes) -> None:
        """Write output of a task: as it is, or line by line where it shares a terminal."""
        if not data:
            return
        if not self.is_raw:
            self.title(following, data)
        if self.jobs > 1 or not self.is_raw:
            data = self.as_lines(following, data)
        self.erase()
        self.rest += self.out.offer(data)

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
        """Count a task that has ended, and tell of it."""
        state = event.state
        self.counts[state.name] += 1
        seconds = 0.0
        if state.started and state.ended:
            seconds = max(state.ended - state.started, 0.0)
        self.spent += seconds
        has_failed = state.name == "failed"
        if has_failed:
            self.note_failure(event)
        is_told = not self.is_live and not self.quiet and state.name != "handed"
        if is_told or has_failed:
            text = f"{self.name_of(event)} {state_text(state)}"
            if state.started:
                text += f" ({duration_text(seconds)})"
            self.line(f"{text}  [{self.done()}/{self.total}]", state.name)

    def note_failure(self, event: Event) -> None:
        """Count a failure among those of the same cause."""
        lines = tail_lines(event.log, event.number)
        cause = failure_cause(event.state, lines)
        if cause in self.failures:
            self.failures[cause].count += 1
        elif len(self.failures) < MOST_GROUPS:
            self.failures[cause] = Failure(event, lines)

    def name_of(self, event: Event, part: int = 2) -> str:
        """Return how its task is called; on a terminal it gets half the width, or another part."""
        if event.task is None:
            return "a task"
        room = window_width(sys.stderr) // part or 100
        shared = self.shared.get(event.text, set())
        name = task_name(event.task.number, event.task.combination, shared, room)
        return f"{event.text} {name}" if len(self.shared) > 1 else name

    def done(self) -> int:
        """Return how many tasks have ended, now or earlier."""
        return sum(self.counts.values())

    def told(self, text: str) -> None:
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
        """Return the progress line."""
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
        """Show the rest, and say how it ended, with what helps to mend each kind of failure."""
        self.turn(True)
        self.partial = ""
        self.erase()
        self.say_counts(submitted)
        for failure in list(self.failures.values())[:10]:
            lines = failure_lines(failure, self.name_of(failure.event))
            for index, text in enumerate(lines):
                say(painted(printable(text), "failed", self.is_coloured and index == 1))
        if len(self.failures) > 10:
            say(f"and {len(self.failures) - 10} more kinds of failure; status shows them")
        for note in self.notes:
            say(note)

    def say_counts(self, submitted: int) -> None:
        """Say how many tasks ended how."""
        names = sorted(STATES, key=lambda name: not STATES[name].is_good)  # what is good first
        counts = []
        for name in names:
            if self.counts[name]:
                text = f"{self.counts[name]:,} {STATES[name].text}"
                counts.append(painted(text, name, self.is_coloured))
        if self.counts["earlier"]:
            counts.append(f"{self.counts['earlier']} had succeeded before")
        if submitted:
            counts.append(f"{submitted} submitted")
        not_started = self.total - self.done() - submitted
        if not_started > 0:
            counts.append(f"{not_started} not started")
        took = duration_text(time.monotonic() - self.begun)
        told = ", ".join(counts) or "nothing to do"
        say(f"{counted(self.total, 'task')}: {told}, {took}")


def fitting(text: str, width: int) -> str:
    """Return as much of a text as fits into a row of a terminal."""
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


def failure_lines(failure: Failure, name: str) -> "List[str]":
    """Return the part of a summary that tells of one kind of failure; name is that of its task."""
    event = failure.event
    if event.task is None:
        return []
    told = state_text(event.state)
    title = f"{name} {told}"
    if failure.count > 1:
        cause = failure_cause(event.state, failure.lines)
        title = f"{counted(failure.count, 'task')} failed: {cause} ({name} for example)"
    result = ["", title]
    for line in failure.lines:
        result.append(f"    {line}")
    if failure.lines:
        result.append(f"  log:   {os.path.relpath(event.log)}")
    again = task_text(event.task)
    if len(again) >= 2000:
        again = again[:2000] + " ..."
    return [*result, f"  again: {again}"]


# -- status and logs


def log_of(record: Record, number: int, state: State) -> str:
    """Return the log of a task, which may be in an earlier record."""
    ulid, _, earlier = state.origin.partition("/")
    if re.fullmatch("[0-9A-Z]{26}", ulid) and earlier.isdigit():
        return Record(f"{os.path.dirname(record.path)}/{ulid}").log_path(int(earlier))
    return record.log_path(number)


def head_line(found: Survey) -> str:
    """Return how far a run is, since when, who executes it, or since when nobody does, and how long
    is left of it."""
    start = found.ledger.start
    good = count_good(found)
    begun = f"began {moment_text(found.ledger.starts[0].time)}"
    if len(found.ledger.starts) > 1:
        begun += f", gone on with {moment_text(start.time)}"
    where = where_text(found)
    if where:
        where += left_text(found)
    elif good >= start.count:
        where = f"ended {moment_text(last_moment(found))}"
    else:
        where = f"nothing executes it since {moment_text(last_moment(found))}"
    done = f"{good:,} of {counted(start.count, 'task')} done ({percent_done(found, good)}%)"
    return printable(f"{start.job}: {done}, {begun}, {where}")


def count_good(found: Survey) -> int:
    """Return how many tasks of a run need no further attempt."""
    return sum(count for name, count in found.counts().items() if STATES[name].is_good)


def percent_done(found: Survey, good: int) -> int:
    """Return how many of a hundred tasks of a run need no further attempt, if good of them do."""
    return 100 * good // max(found.ledger.start.count, 1)


def where_text(found: Survey) -> str:
    """Return where tasks of a run are executed now, or wait for that; "" where nothing lives."""
    states = [state for _, state in found.members]
    hosts = {state.writer.machine.host for state in states if state.name == "running"}
    if found.holder:
        hosts.add(found.holder.rpartition(" on ")[2])
    names = sorted("here" if host == host_name() else f"on {host}" for host in hosts)
    if len(names) > 3:
        names[3:] = [f"on {len(names) - 3} more machines"]
    parts = []
    if names:
        parts.append(f"executed {', '.join(names)}")
    if any(state.name == "queued" for state in states):
        schedulers = {submission.scheduler for submission in found.submissions}
        parts.append(f"queued with {', '.join(sorted(schedulers))}")
    return ", ".join(parts)


def last_moment(found: Survey) -> float:
    """Return when something was last told of a run: a start of it, or a start or end of a task."""
    moment = found.ledger.start.time
    for _, state in found.members:
        if not state.origin:
            moment = max(moment, state.started, state.ended)
    return moment


def left_text(found: Survey) -> str:
    """Return how long is left, where tasks run and others have ended: as long as those took."""
    took, running, rest = [], [], 0
    for _, state in found.members:
        rest += not state.is_over
        if state.name == "running":
            running.append(max(time.time() - state.started, 0.0))
        elif state.started and state.ended and not state.origin:
            took.append(max(state.ended - state.started, 0.0))
    if not took or not running:
        return ""
    mean = sum(took) / len(took)
    spent = sum(min(seconds, mean) for seconds in running)
    return f", about {clock_text((mean * rest - spent) / len(running))} left"


def status_lines(found: Survey, room: int, is_coloured: bool, most: int = 20) -> "Iterator[str]":
    """Yield what is to be said of a record below its head line: counts, then failures, what runs.

    room is for the words of a task's name.
    """
    counts = [painted(f"{count:,} {STATES[name].text}", name, is_coloured)
              for name, count in found.counts().items() if count]
    yield f"  {', '.join(counts)}"
    names = Names(found.ledger, room)
    groups = grouped_ends(found)
    for (kind, text), numbers in groups[:most]:
        name = names.name(numbers[0]) if len(numbers) == 1 else task_range(numbers)
        yield painted(f"  {name} {text}", kind, is_coloured)
        if len(numbers) > 1:
            yield f"    {members_text(names, numbers)}"
    if len(groups) > most:
        yield f"  and {len(groups) - most} more kinds of failure"
    members = sorted(found.members)
    array_tasks = found.array_tasks()
    for text in running_lines(members, array_tasks, names, most):
        yield painted(f"  {text}", "running", is_coloured)
    for text, numbers in grouped_queued(members, array_tasks)[:most]:
        yield painted(f"  {task_range(numbers)} {text}", "queued", is_coloured)


def running_lines(members: "Sequence[Tuple[int, State]]", array_tasks: "Mapping[int, ArrayTask]",
                  names: Names, most: int) -> "Iterator[str]":
    """Yield which tasks run, since when and where."""
    running = [(number, state) for number, state in members if state.name == "running"]
    for number, state in running[:most]:
        text = f"{names.name(number)} {state_text(state)}"
        if number in array_tasks and state.writer.name.is_slot:
            text += f" as {array_tasks[number].text}"
        yield text
    if len(running) > most:
        yield f"and {len(running) - most} more running"


def grouped_queued(members: "Sequence[Tuple[int, State]]",
                   array_tasks: "Mapping[int, ArrayTask]") -> "List[Tuple[str, List[int]]]":
    """Return the tasks that are queued by what is to be said of them, if there is anything."""
    groups = {}  # type: Dict[str, List[int]]
    for number, state in members:
        if state.name == "queued" and state.detail:
            text = state_text(state)
            if number in array_tasks:
                text += f" (array job {array_tasks[number].job_id})"
            groups.setdefault(text, []).append(number)
    return list(groups.items())


def members_text(names: Names, numbers: "Sequence[int]") -> str:
    """Return what tasks of a group have in common and others do not have, else some of them."""
    first = [names.name(number) for number in numbers[:3]]
    common = names.in_common(numbers)
    if common:
        return f"all of them with {common}"
    more = ", ..." if len(numbers) > len(first) else ""
    return ", ".join(first) + more


def told_cause(state: State, log: str) -> str:
    """Return why a task is in its state: what is known of that, else what it said last itself."""
    cause = cause_text(state)
    if state.name == "failed" and not cause:
        cause = printable(cause_line(tail_lines(log)))
    return cause


def grouped_ends(found: Survey) -> "List[Tuple[Tuple[str, str], List[int]]]":
    """Return the tasks that are over without success by state and by what is to be said of them.

    The groups are in the order of STATES, their tasks in that of their numbers.
    """
    groups = {}  # type: Dict[Tuple[str, str], List[int]]
    for number, state in sorted(found.members):
        if not state.is_over or state.name == "succeeded":
            continue
        text = state_text(state)
        if state.name == "failed" and len(groups) < MOST_GROUPS:
            last = cause_line(tail_lines(log_of(found.record, number, state)))
            if last:
                text += f": {printable(last)}"
        groups.setdefault((state.name, text), []).append(number)
    order = list(STATES)
    return sorted(groups.items(), key=lambda group: order.index(group[0][0]))


def task_range(numbers: "Sequence[int]") -> str:
    """Return task numbers in words.

    >>> task_range([7]), task_range([1, 2, 3, 9, 10])
    ('task 7', '5 tasks (1-3, 9, 10)')
    """
    if len(numbers) == 1:
        return f"task {numbers[0]}"
    parts = []  # type: List[List[int]]
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    texts = []
    for part in parts[:8]:
        if len(part) > 2:
            texts.append(f"{part[0]}-{part[-1]}")
        else:
            texts += map(str, part)
    if len(parts) > 8:
        texts.append("...")
    return f"{len(numbers)} tasks ({', '.join(texts)})"


def task_parameters(task: Task) -> "Dict[str, str]":
    """Return the parameters of a task's combination as a mapping.

    >>> text = "jobs: {t: {run: x, steps: [{batch: a=1 b='x y'}]}}"
    >>> task_parameters(next(iter(plan(read_jobs(read_yaml(text))["t"]))))
    {'a': '1', 'b': 'x y'}
    """
    parameters = {}
    for word in task.combination:
        parameters[key_of(word) or word] = unquoted(word).partition("=")[2]
    return parameters


def task_document(found: Survey, number: int, state: State,
                  array_task: "Optional[ArrayTask]") -> "Dict[str, Any]":
    """Return what is known of a task for programs: seconds since 1970, null where unknown."""
    task = found.ledger.task(number)
    if task is None:
        raise damaged(found.record.plan_path)
    has_status = state.ended and not state.origin
    log = log_of(found.record, number, state)
    return {
        "task": number,
        "step": found.ledger.members[number],
        "params": task_parameters(task),
        "argv": list(task.argv),
        "dir": task.directory,
        "cwd": task.cwd,
        "state": state.name,
        "exit_status": state.status if has_status else None,
        "cause": told_cause(state, log) or None,
        "why": state.cause or None,
        "started": state.started or None,
        "ended": state.ended or None if state.is_over else None,
        "host": state.writer.machine.host or None,
        "attempts": state.attempts,
        "job_id": array_task.job_id if array_task else None,
        "array_index": array_task.slot if array_task else None,
        "log": os.path.relpath(log)}


def status_document(found: Survey) -> "Dict[str, Any]":
    """Return the status of a record for programs."""
    start = found.ledger.start
    array_tasks = found.array_tasks()
    tasks = [task_document(found, number, state, array_tasks.get(number))
             for number, state in found.members]
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
# Row; metrics (last_number, json_number, read_metrics); the runs that Hydra makes of one task
# (hydra_runs, run_outputs, run_output); selection (varying, selected, by_metric, over); texts
# (table_lines, csv_text, results_document); report_page with its STYLE and SCRIPT.
# Rows are plain data: what is here knows no record, and prints nothing.
#
# A log is read from its end, in blocks that grow, and no further than the metrics ask for: of
# 10,000 logs of 1 MB the last 16 kB each are looked at, as a rule.
#
# The page is one file that asks nothing of any network, and its policy forbids it to. What comes
# from the user reaches it in two ways, neither of which can become markup: escaped in the table
# that is read without scripts, and as JSON that SCRIPT puts in place as text nodes.


class Row(NamedTuple("Row", [
        ("task", int), ("run", "Optional[int]"), ("params", "Dict[str, str]"), ("state", str),
        ("status", "Optional[int]"), ("cause", str), ("started", "Optional[float]"),
        ("ended", "Optional[float]"), ("attempts", int), ("host", str), ("log", str),
        ("tail", "Tuple[str, ...]"), ("metrics", "Dict[str, Optional[float]]")])):
    """What came out of a task, or of one of the runs that Hydra makes of it (run, else None).

    params are parameters as written; status is the exit status; started and ended are seconds
    since 1970; tail are the last lines of the log. Rows that over() merged have 0 as task.
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
        """How a person names it: 7, or 7.2 for the run 2 of task 7."""
        return str(self.task) if self.run is None else f"{self.task}.{self.run}"


FIRST_BLOCK, LARGEST_BLOCK = 16384, 4194304  # bytes of a log; a longer line is looked at in parts
LOG_ESCAPES = rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # ECMA-48: CSI, OSC
# A name follows no letter, and nothing that makes it the end of a longer one: val/loss, val.loss.
# Quotes and a call may surround the number: JSON, and how NumPy and PyTorch write a scalar.
METRIC = rb"""
    (?<! [\w./\x80-\xff-] ) %s
    ["']? (?: [ \t]* [=:] [ \t]* | [ \t]+ )
    (?: (?: np\.float[0-9]+ | tensor ) \( )? ["']?
    ( [+-]? (?: (?: [0-9][0-9_]* (?: \. [0-9_]* )? | \. [0-9][0-9_]* ) (?: [eE] [+-]? [0-9]+ )?
              | (?i: nan | inf (?: inity )? ) ) )
    (?! [\w\x80-\xff] | \.[0-9] )
"""


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
        yield data[cut:]
        end = begin + cut
        size = min(size * 4, LARGEST_BLOCK)


def number_in(block: bytes, name: bytes) -> "Optional[float]":
    """Return the last number that follows a name in a part of a log."""
    pattern = None
    place = block.rfind(name)
    while place >= 0:
        pattern = pattern or re.compile(METRIC % re.escape(name), re.VERBOSE)
        match = pattern.match(block, place)
        if match:
            try:
                return float(match.group(1))
            except ValueError:
                pass  # 1__0
        place = block.rfind(name, 0, place)
    return None


def last_number(path: str, names: "Iterable[str]", start: int = 0, end: "Optional[int]" = None
                ) -> "Dict[str, Optional[float]]":
    """Return for each name the last number that follows it in a file, or between two offsets.

    None is for a name that no number follows, and for all names of a file that is not there.
    """
    found = dict.fromkeys(names)  # type: Dict[str, Optional[float]]
    missing = {name: name.encode("utf-8", "surrogateescape") for name in found if name}
    try:
        file = open(path, "rb")
    except OSError:
        return found
    with file:
        size = os.fstat(file.fileno()).st_size
        for block in blocks_from_end(file, start, size if end is None else min(end, size)):
            if b"\x1b" in block:
                block = re.sub(LOG_ESCAPES, b"", block)
            for name, text in list(missing.items()):
                found[name] = number_in(block, text)
                if found[name] is not None:
                    del missing[name]
            if not missing:
                break
    return found


def is_in_json(metric: str) -> bool:
    """Return whether a metric names a number of a JSON file: FILE:KEY.KEY.

    >>> is_in_json("metrics.json:test.loss"), is_in_json("loss")
    (True, False)
    """
    return ":" in metric


def inner_value(value: "Any", keys: "Sequence[str]") -> "Any":
    """Return what stands below keys in a JSON value, or None; a key may have dots in it itself."""
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


def json_number(folder: str, metric: str) -> "Optional[float]":
    """Return the number that FILE:KEY.KEY means, with FILE in a folder; None where there is none.

    A part of KEY that is a number counts in a list, from 0, or from its end: epochs.-1.loss.
    """
    import json
    name, _, key = metric.rpartition(":")
    try:
        with open(os.path.join(folder, name), "rb") as file:
            document = json.loads(file.read().decode("utf-8-sig"))
        value = inner_value(document, key.split("."))
        is_number = isinstance(value, (int, float, str)) and not isinstance(value, bool)
        return float(value) if is_number else None
    except (OSError, ValueError, OverflowError, RecursionError):
        return None  # not there, not complete yet, no number


Output = NamedTuple("Output", [("path", str), ("start", int), ("end", "Optional[int]")])


def read_metrics(names: "Sequence[str]", folder: str, outputs: "Iterable[Output]"
                 ) -> "Dict[str, Optional[float]]":
    """Return the metrics of a task or run: from JSON files in its folder, and from its outputs.

    What is not found in the first output is looked for in the next one.
    """
    values = dict.fromkeys(names)  # type: Dict[str, Optional[float]]
    for name in filter(is_in_json, names):
        values[name] = json_number(folder, name)
    printed = [name for name in names if not is_in_json(name)]
    for output in outputs:
        missing = [name for name in printed if values[name] is None]
        if not missing:
            break
        values.update(last_number(output.path, missing, output.start, output.end))
    return values


HydraRun = NamedTuple("HydraRun", [
    ("number", int), ("params", "Dict[str, str]"), ("log", "Optional[str]")])


def hydra_overrides(folder: str) -> "Dict[str, str]":
    """Return the parameters of a run as Hydra noted them; none while it has not, or not all."""
    try:
        with open(os.path.join(folder, ".hydra", "overrides.yaml"), "rb") as file:
            node = read_yaml(file.read(), file.name)
    except (OSError, Error):
        return {}
    if node.kind != "sequence":
        return {}
    words = [item.value for item in node.value if item.kind == "scalar"]
    return {key_of(word): word.partition("=")[2] for word in words if key_of(word)}


def hydra_log(folder: str) -> "Optional[str]":
    """Return the log that Hydra gave a run, the newest one of several; None where it is empty, as
    that of a program which only prints is."""
    with os.scandir(folder) as entries:
        logs = [entry for entry in entries if entry.name.endswith(".log") and entry.is_file()]
    filled = [(entry.stat().st_mtime, entry.path) for entry in logs if entry.stat().st_size]
    return max(filled)[1] if filled else None


def hydra_runs(directory: str) -> "List[HydraRun]":
    """Return the runs that Hydra made in a sweep directory, by number."""
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
    """Return, for each of Hydra's runs, what of a task's log stands behind Hydra's line for it.

    None where several run at once: then what they print is mixed. Hydra's own launcher, which runs
    one after the other, says "Launching 2 jobs locally"; the others say something else. Of several
    attempts the last one counts.
    """
    outputs = {}  # type: Dict[int, Output]
    current, offset, is_serial = -1, 0, True
    try:
        file = open(log, "rb")
    except OSError:
        return outputs
    with file:
        for line in iter(functools.partial(file.readline, LARGEST_BLOCK), b""):
            told = hydra_line(line) if b"HYDRA" in line else None
            if told is not None:
                if current >= 0:
                    outputs[current] = outputs[current]._replace(end=offset)
                number = re.match(rb"\t?#([0-9]{1,9}) : ", told)
                current = int(number.group(1)) if number and is_serial else -1
                if current >= 0:
                    outputs[current] = Output(log, offset + len(line), None)
                elif not number:
                    is_serial = b"jobs locally" in told
            offset += len(line)
    return outputs


def hydra_line(line: bytes) -> "Optional[bytes]":
    """Return what a line says that is Hydra's own: [2026-11-25 12:00:00,000][HYDRA] ..."""
    match = re.search(rb"\]\[HYDRA\] (.*)", re.sub(LOG_ESCAPES, b"", line), re.DOTALL)
    return match.group(1) if match else None


def run_output(log: str, number: int) -> "Optional[Output]":
    """Return what of a task's log one of Hydra's runs has printed, if that can be told."""
    return run_outputs(log).get(number)


def comparable_value(word: str) -> str:
    """Return the value of KEY=VALUE such that equal numbers are equal, however they are written.

    >>> comparable_value("lr=1e-3") == comparable_value("lr=0.001"), comparable_value("who=it's")
    (True, "it's")
    """
    try:
        return same_value(word)[1]
    except Error:
        return word.partition("=")[2]  # with a quote, or a bracket, that is part of a text


def parameters(rows: "Iterable[Row]") -> "List[str]":
    """Return the keys of all parameters, in the order in which they first come."""
    return list(dict.fromkeys(chain.from_iterable(row.params for row in rows)))


def constants(rows: "Sequence[Row]") -> "Dict[str, str]":
    """Return the parameters that are the same in every row: key -> value; none of a single row."""
    same = dict(rows[0].params) if len(rows) > 1 else {}
    for row in rows:
        for key, value in list(same.items()):
            other = row.params.get(key)
            if other == value:
                continue
            words = [f"{key}={text}" for text in (value, other)]
            if other is None or len(set(map(comparable_value, words))) > 1:
                del same[key]
    return same


def varying(rows: "Sequence[Row]") -> "List[str]":
    """Return the keys of the parameters that are not the same in every row, in their order."""
    same = constants(rows)
    return [key for key in parameters(rows) if key not in same]


def parameter_named(rows: "Sequence[Row]", name: str) -> str:
    """Return the key that a user means by a name: lr is --lr, or $lr, where no parameter is lr."""
    keys = parameters(rows)
    if name in keys:
        return name
    for key in keys:
        if key.lstrip("-$") == name:
            return key
    known = f"the parameters are {', '.join(keys[:20])}" if keys else "the tasks have none"
    raise Error("unknown-parameter", f"no task has a parameter {name}",
                hint=suggest(name, keys) or known)


MOST_SELECTED = 1000000  # values that one KEY=VALUE may name


def selected(rows: "Sequence[Row]", words: "Iterable[str]") -> "List[Row]":
    """Return the rows whose parameters are among the values of every word, KEY=VALUE, in which the
    sweep language selects: lr=0.1,0.01 or seed=1:3. Numbers are equal however they are written."""
    result = list(rows)
    for word in words:
        if not key_of(word) or "=" not in word:
            raise Error("expected-key-value", f"KEY=VALUE is expected, not {word}",
                        hint="for example seed=1:3")
        sweep = Sweep([word], "selection")
        if sweep.count > MOST_SELECTED:
            raise Error("too-many-values", f"{word} names more than {MOST_SELECTED:,} values",
                        hint="name fewer")
        wanted = {}  # type: Dict[Tuple[str, ...], Set[Tuple[str, ...]]]
        for pairs in sweep:
            keys = tuple(parameter_named(rows, key_of(pair)) for pair in pairs)
            wanted.setdefault(keys, set()).add(tuple(map(comparable_value, pairs)))
        result = [row for row in result if agrees(row, wanted)]
    return result


def agrees(row: Row, wanted: "Dict[Tuple[str, ...], Set[Tuple[str, ...]]]") -> bool:
    """Return whether a row has, for some of the keys, values that are wanted for them."""
    for keys, values in wanted.items():
        pairs = [f"{key}={row.params[key]}" for key in keys if key in row.params]
        if tuple(map(comparable_value, pairs)) in values:
            return True
    return False


def number_of(text: str) -> "Optional[float]":
    """Return the number that a value is, if it is one."""
    number = read_number(text)
    return float(str(number)) if number else None


def facts_of(row: Row) -> "Dict[str, Any]":
    """Return what is known of a row beside parameters and metrics, by the names of the columns."""
    return {"task": row.task or None, "run": row.run, "state": row.state, "exit_status": row.status,
            "duration": row.seconds, "attempts": row.attempts, "started": row.started,
            "ended": row.ended, "host": row.host or None, "cause": row.cause or None,
            "log": row.log or None}


def sort_key(row: Row, name: str) -> "Tuple[int, Any]":
    """Return by what a row is sorted: numbers, then texts, then what is no number or missing."""
    value = facts_of(row).get(name)
    if name in row.params:
        value = row.params[name]
        number = number_of(value)
        value = value if number is None else number
    if name in row.metrics:
        value = row.metrics[name]
    if value is None or value != value:
        return 2, 0
    return (1, value) if isinstance(value, str) else (0, value)


def by_metric(rows: "Sequence[Row]", name: str, is_descending: bool = False) -> "List[Row]":
    """Return rows sorted by a metric, a parameter or a column; those without a value come last."""
    names = set(parameters(rows)).union(*(row.metrics for row in rows), *map(facts_of, rows[:1]))
    if rows and name not in names:
        hint = suggest(name, sorted(names)) or f"the columns are {', '.join(sorted(names))}"
        raise Error("unknown-column", f"there is no column {name} to sort by", NOWHERE, hint)
    keyed = [(sort_key(row, name), row) for row in rows]
    result = []  # type: List[Row]
    for kind in (1, 0, 2) if is_descending else (0, 1, 2):
        of_kind = [pair for pair in keyed if pair[0][0] == kind]
        of_kind.sort(key=lambda pair: pair[0], reverse=is_descending)
        result.extend(row for _, row in of_kind)
    return result


def mean_and_deviation(values: "Sequence[float]") -> "Tuple[Optional[float], Optional[float]]":
    """Return mean and sample standard deviation, None where there are too few values.

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
    """Return the names of the metrics that over() gives to rows.

    >>> over_metrics(["loss"])
    ['count', 'seconds', 'loss', 'loss_std', 'loss_count']
    """
    names = ["count", "seconds"]
    for metric in metrics:
        names += [metric, f"{metric}_std", f"{metric}_count"]
    return names


def over(rows: "Sequence[Row]", key: str, metrics: "Sequence[str]") -> "List[Row]":
    """Return a row for all rows that differ only in a parameter, as a seed, which goes.

    Its metrics are mean, standard deviation of the sample and count of each metric, the number of
    rows, and the mean duration in seconds. Rows of different states stay apart: what a failed task
    printed last is not averaged with the others.
    """
    key = parameter_named(rows, key)
    groups = {}  # type: Dict[Any, List[Row]]
    for row in rows:
        pairs = [(name, value) for name, value in row.params.items() if name != key]
        alike = frozenset((name, comparable_value(f"{name}={value}")) for name, value in pairs)
        groups.setdefault((alike, row.state), []).append(row)
    return [merged(group, key, metrics) for group in groups.values()]


def merged(rows: "Sequence[Row]", key: str, metrics: "Sequence[str]") -> Row:
    """Return the one row that over() makes of rows."""
    durations = [row.seconds for row in rows if row.seconds is not None]
    seconds, _ = mean_and_deviation(durations)
    values = {"count": len(rows), "seconds": seconds}  # type: Dict[str, Optional[float]]
    for metric in metrics:
        numbers = [row.metrics.get(metric) for row in rows]
        present = [number for number in numbers if number is not None]
        values[metric], values[f"{metric}_std"] = mean_and_deviation(present)
        values[f"{metric}_count"] = len(present)
    params = {name: value for name, value in rows[0].params.items() if name != key}
    attempts = max(row.attempts for row in rows)
    return Row(0, None, params, rows[0].state, None, "", None, None, attempts, "", "", (), values)


Column = NamedTuple("Column", [("name", str), ("kind", str), ("cells", "List[Any]")])


def columns_of(rows: "Sequence[Row]", metrics: "Sequence[str]") -> "List[Column]":
    """Return every column that rows have: task, parameters, facts, metrics. A name that comes twice
    is told apart by its kind. Columns of facts that nobody knows are left out."""
    known = [facts_of(row) for row in rows]
    facts = []
    for name in known[0] if known else ():
        cells = [each[name] for each in known]
        if set(cells) != {None}:
            facts.append(Column(name, "fact", cells))
    params = [Column(name, "param", [row.params.get(name) for row in rows])
              for name in parameters(rows)]
    printed = [Column(name, "metric", [row.metrics.get(name) for row in rows]) for name in metrics]
    first = [column for column in facts if column.name in ("task", "run")]
    return with_own_names(first + params + facts[len(first):] + printed)


def with_own_names(columns: "Sequence[Column]") -> "List[Column]":
    """Return columns no two of which have the same name."""
    names = [column.name for column in columns]
    result = []
    for column in columns:
        if names.count(column.name) > 1 and column.kind != "fact":
            column = column._replace(name=f"{column.kind}.{column.name}")
        result.append(column)
    return result


def number_text(value: float) -> str:
    """Return a number for people: whole, or six digits of it.

    >>> [number_text(value) for value in (3.0, 0.123456789, 1e-05, 1234567.0, float("nan"))]
    ['3', '0.123457', '1e-05', '1234567', 'nan']
    """
    return f"{value:.0f}" if abs(value) < 1e15 and value == int(value) else f"{value:.6g}"


def padded(text: str, width: int, is_right: bool) -> str:
    """Return a text with spaces in front of it or behind it."""
    space = " " * (width - text_width(text))
    return space + text if is_right else text + space


def aligned(texts: "Sequence[str]") -> "List[str]":
    """Return numbers such that their decimal points stand below each other.

    >>> aligned(["12", "0.125", "nan", "", "1e-05"])
    [' 12    ', '  0.125', 'nan    ', '       ', '  1e-05']
    """
    parts = []
    for text in texts:
        whole = re.match("[+-]?[0-9_]*", text)
        length = len(whole.group()) if whole and whole.group().strip("+-") else len(text)
        parts.append((text[:length], text[length:]))
    before = max(len(whole) for whole, _ in parts)
    behind = max(len(rest) for _, rest in parts)
    return [whole.rjust(before) + rest.ljust(behind) for whole, rest in parts]


def cell_text(cell: "Any") -> str:
    """Return what stands in a cell of a table."""
    if cell is None:
        return ""
    return printable(cell) if isinstance(cell, str) else number_text(cell)


def are_numbers(cells: "Iterable[Any]") -> bool:
    """Return whether all cells that are not empty are numbers, or texts that are."""
    texts = (cell for cell in cells if isinstance(cell, str))
    return all(number_of(text) is not None for text in texts)


def shown_cells(column: Column, longest: int) -> "List[str]":
    """Return name and cells of a column as texts of one width."""
    is_number = are_numbers(column.cells)
    if column.kind == "fact" and column.name == "duration":
        texts = ["" if cell is None else duration_text(cell) for cell in column.cells]
    else:
        texts = [shortened(cell_text(cell), longest).replace("\n", " ") for cell in column.cells]
        texts = aligned(texts) if is_number else texts
    texts.insert(0, printable(column.name))
    width = max(map(text_width, texts))
    return [padded(text, width, is_number) for text in texts]


def is_constant(column: Column) -> bool:
    """Return whether a column has the same in every row."""
    return len(set(column.cells)) == 1


def remove_columns(shown: "Dict[str, List[str]]", columns: "Sequence[Column]", width: int
                   ) -> "List[str]":
    """Remove columns until the others fit into a width, and return the names of those removed: what
    is the same in every row first, then facts, parameters, and what was asked for; the first column
    stays, and of each kind the left ones stay longest."""
    order = columns[:0:-1]
    names = [column.name for column in order if is_constant(column)]
    for kind in ("fact", "param", "metric"):
        names += [column.name for column in order if column.kind == kind]
    removed = []
    for name in dict.fromkeys(names):
        if sum(text_width(texts[0]) + 2 for texts in shown.values()) - 2 <= width:
            break
        del shown[name]
        removed.append(name)
    return removed


TABLE_FACTS = ("task", "run", "state", "duration", "attempts")


def table_columns(rows: "Sequence[Row]", metrics: "Sequence[str]") -> "List[Column]":
    """Return the columns that people see: what varies, and the facts that matter to them."""
    same = constants(rows)
    columns = []
    for column in columns_of(rows, metrics):
        is_fact = column.kind == "fact"
        if column.name == "attempts" and is_fact and max(column.cells) <= 1:
            continue
        if column.name not in same and (not is_fact or column.name in TABLE_FACTS):
            columns.append(column)
    return columns


def table_lines(rows: "Sequence[Row]", metrics: "Sequence[str]", width: int) -> "Iterator[str]":
    """Yield a table of rows for people: what is the same everywhere, then names, then a line a row.

    width is that of the terminal, 0 where there is none: a table that is too wide is left without
    some columns, and the last line says which. Numbers share their decimal point; what is missing
    is an empty cell.
    """
    if not rows:
        yield "there are no rows to show"
        return
    same = [f"{key}={value}" for key, value in constants(rows).items()]
    if same:
        yield printable(f"the same everywhere: {' '.join(same)}")
    longest = max(width // 3, 20) if width else sys.maxsize
    columns = table_columns(rows, metrics)
    shown = {column.name: shown_cells(column, longest) for column in columns}
    left_out = remove_columns(shown, columns, width) if width else []
    for cells in zip(*shown.values()):
        yield "  ".join(cells).rstrip()
    if left_out:
        told = [f"{column.name}={cell_text(column.cells[0])}" if is_constant(column)
                else column.name for column in columns if column.name in left_out]
        yield printable(f"left out, to fit into {width} columns: {', '.join(told)}; --csv has all")


def csv_text(rows: "Sequence[Row]", metrics: "Sequence[str]") -> str:
    """Return all that is known of rows as CSV; times in seconds, what is missing is empty."""
    import csv
    import io
    columns = columns_of(rows, metrics)
    names = [column.name for column in columns]
    lines = [names, *zip(*(column.cells for column in columns))]
    # A carriage return in a text would end the line, as not every Python puts it in quotes.
    is_strange = any("\r" in str(cell) for line in lines for cell in line)
    output = io.StringIO()
    dialect = "unix" if is_strange else "excel"  # unix: all in quotes
    csv.writer(output, dialect, lineterminator="\n").writerows(lines)
    return output.getvalue()


def results_document(rows: "Sequence[Row]", metrics: "Sequence[str]") -> "List[Dict[str, Any]]":
    """Return rows as plain values for programs; None where something is not known."""
    document = []
    for row in rows:
        printed = {metric: row.metrics.get(metric) for metric in metrics}
        document.append(dict(facts_of(row), params=dict(row.params), metrics=printed))
    return document


def json_value(value: "Optional[float]") -> "Union[str, float, None]":
    """Return a number as JSON can have it: "nan", "inf" and "-inf" as texts that float() reads.

    >>> json_value(0.5), json_value(float("-inf")), json_value(None)
    (0.5, '-inf', None)
    """
    return value if value is None or abs(value) < float("inf") else str(value)


def results_json(rows: "Sequence[Row]", metrics: "Sequence[str]") -> str:
    """Return rows as a JSON document."""
    import json
    document = results_document(rows, metrics)
    for entry in document:
        entry["metrics"] = {name: json_value(value) for name, value in entry["metrics"].items()}
    return json.dumps(document, indent=2, allow_nan=False)


# What of a page is the same for every run: its beginning, the places of its views, how they look,
# and what draws them. The policy in PAGE_START lets nothing be fetched from anywhere.
PAGE_START = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,"><title>{title}</title>
<style>
{style}</style></head><body>
"""
PAGE_VIEWS = """\
<main id="live" hidden>
<div id="bar"><label>Measure <select id="measure"></select></label>
<span id="legend"></span><span id="filters"></span></div>
<section id="causes"><h2>Why tasks failed</h2><ul></ul></section>
<section id="timeline"><h2>When and where</h2><p></p><canvas tabindex="0" role="img"></canvas>
</section>
<section id="grid"><h2>Two parameters</h2>
<p class="pick"><label>down <select id="down"></select></label>
<label>across <select id="across"></select></label><span class="note"></span></p>
<div class="wide"></div></section>
<section id="effects"><h2>Effect of each parameter</h2><p></p><div class="panels"></div></section>
<section id="parallel"><h2>All parameters together</h2><p></p>
<div class="wide"><canvas role="img"></canvas></div></section>
<section id="tasks"><h2>Tasks</h2><p></p>
<div class="scroller" tabindex="0" role="region" aria-label="table of tasks">
<table><colgroup></colgroup><thead><tr></tr></thead><tbody></tbody></table></div></section>
</main>
<aside id="details" hidden aria-label="details of a task"></aside>
<div id="tip" hidden></div>
"""
STYLE = """\
:root { color-scheme: light; --page: #fff; --ink: #1b1f24; --faint: #59626d; --line: #d5dae0;
  --soft: #f3f5f7; --link: #0b5cad; --none: #e4e7eb; --succeeded: #0a8f69; --failed: #c8450c;
  --interrupted: #b97a00; --skipped: #8a8f98; --running: #2f83c9; --queued: #8e7bb5;
  --waiting: #a3a9b2; --handed: #b5628f; --ramp-low: 0; --ramp-high: 0.85; }
@media (prefers-color-scheme: dark) { :root:not(.printing) { color-scheme: dark; --page: #14171b;
  --ink: #e6e9ed; --faint: #9aa4b0; --line: #363d46; --soft: #1e2329; --link: #7ab8f5;
  --none: #2a3038; --succeeded: #35b58d; --failed: #f0723c; --interrupted: #e0a52e;
  --skipped: #7d848e; --running: #5aaaf0; --queued: #a793d1; --waiting: #69717c;
  --handed: #d487b2; --ramp-low: 0.25; --ramp-high: 1; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1700px; padding: 0 16px 40px; background: var(--page);
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5em; margin: 16px 0 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1em; margin: 28px 0 4px; }
p { margin: 4px 0 8px; }
#lead { font-size: 1.1em; overflow-wrap: anywhere; }
section { scroll-margin-top: 56px; }
section > p, .note, .same, footer { color: var(--faint); font-size: .9em; }
.same, footer { overflow-wrap: anywhere; }
footer { margin-top: 24px; }
ul { list-style: none; margin: 8px 0; padding: 0; display: flex; flex-wrap: wrap; gap: 6px; }
#causes ul { display: block; }
#causes button { margin: 0 0 4px; text-align: left; overflow-wrap: anywhere; max-width: 100%; }
button, select { font: inherit; color: inherit; background: var(--soft); padding: 2px 8px;
  border: 1px solid var(--line); border-radius: 5px; cursor: pointer; max-width: 100%; }
button:hover { border-color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 1px; }
button[aria-pressed="true"] { background: var(--link); color: var(--page); }
#bar { position: sticky; top: 0; z-index: 3; background: var(--page); padding: 8px 0;
  border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap; gap: 6px 16px;
  align-items: center; }
#legend, #filters { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; }
.ramp { display: inline-block; width: 120px; height: 12px; border-radius: 3px; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
  margin-right: 4px; vertical-align: -1px; }
canvas { display: block; width: 100%; border-radius: 4px; }
.wide { overflow-x: auto; }
#grid table { border-collapse: separate; border-spacing: 2px; }
#grid th { font-weight: normal; color: var(--faint); padding: 2px 6px; text-align: right;
  max-width: 180px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#grid thead th { text-align: center; }
#grid td { padding: 0; min-width: 64px; height: 34px; background: var(--none);
  border-radius: 4px; }
#grid td button { width: 100%; height: 34px; border-color: transparent; padding: 0 4px;
  white-space: nowrap; }
#grid td.empty { background: repeating-linear-gradient(135deg, var(--soft) 0 4px,
  var(--page) 4px 8px); }
.pick { display: flex; flex-wrap: wrap; gap: 6px 16px; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 16px; }
.panels h3 { font-size: 1em; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
.scroller { overflow: auto; max-height: 75vh; border: 1px solid var(--line); border-radius: 6px; }
.scroller table { table-layout: fixed; border-collapse: collapse; width: max-content;
  min-width: 100%; }
.scroller th { position: sticky; top: 0; background: var(--soft); z-index: 1; padding: 0; }
.scroller th button { width: 100%; border: 0; border-radius: 0; font-weight: 600;
  text-align: left; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.scroller td { height: 30px; padding: 0; border-top: 1px solid var(--line); }
.scroller tr.chosen td { background: var(--soft); }
.scroller td > * { display: block; width: 100%; height: 29px; line-height: 29px; padding: 0 8px;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; text-align: left; }
.scroller td button { background: none; border: 0; border-radius: 0; }
.scroller td button:hover { background: var(--soft); text-decoration: underline; }
.scroller .number > *, .scroller th.number button { text-align: right;
  font-variant-numeric: tabular-nums; }
#details { position: fixed; right: 0; bottom: 0; z-index: 4; width: min(620px, 100%);
  max-height: 60vh; overflow: auto; padding: 12px 16px; background: var(--page);
  border: 1px solid var(--line); border-radius: 8px 0 0 0; box-shadow: 0 0 18px #0005; }
#details h2 { margin: 0 40px 6px 0; overflow-wrap: anywhere; }
#details .close { position: absolute; right: 12px; top: 12px; }
#details dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 12px; margin: 0; }
#details dt { color: var(--faint); max-width: 200px; overflow-wrap: anywhere; }
#details dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: 8px; border-radius: 5px; overflow-x: auto;
  font-size: .85em; margin: 8px 0 0; }
#tip { position: fixed; z-index: 5; pointer-events: none; max-width: 340px; padding: 6px 9px;
  background: var(--ink); color: var(--page); border-radius: 5px; font-size: .85em;
  white-space: pre-line; overflow-wrap: anywhere; }
#plain table { border-collapse: collapse; }
#plain th, #plain td { text-align: left; padding: 2px 12px 2px 0; vertical-align: top;
  border-bottom: 1px solid var(--line); white-space: nowrap; }
#plain td:last-child { white-space: normal; min-width: 14em; overflow-wrap: anywhere; }
.live #plain, .live #counts li.said { display: none; }
@media print { .live #plain { display: block; } #bar select, #tasks, #details, #tip,
  .scroller { display: none; } #bar { position: static; } section { break-inside: avoid; }
  #plain { break-inside: auto; font-size: .8em; } #plain th, #plain td { white-space: normal;
  padding-right: 8px; overflow-wrap: break-word; } #plain td:last-child { min-width: 8em; }
  * { print-color-adjust: exact; } }
"""
SCRIPT = r"""
"use strict";
// 1. The data, and what is known of each row.

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const everyRow = Array.from({length: data.count}, (_, row) => row);
const good = data.states.words.indexOf("succeeded");
const unfinished = new Set(["running", "queued", "waiting", "not started", "handed"]);
const stateOf = (row) => data.states.words[data.states.codes[row]];
const began = data.started;
const now = Math.max(0, ...extremes(began).concat(extremes(data.ended)));
const seconds = everyRow.map((row) => {
  const isKnown = began[row] !== null && data.ended[row] !== null;
  return isKnown ? data.ended[row] - began[row] : null;
});

function extremes(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : [];
}

function readNumber(value) {  // JSON has no nan and no inf: they come as texts
  if (typeof value !== "string") return value;
  return {"inf": Infinity, "-inf": -Infinity}[value] || NaN;
}

function numberText(value) {
  if (value === null) return "";
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const short = Number(value.toPrecision(4));
  return Math.abs(short) < 1e-3 ? short.toExponential() : String(short);
}

function durationText(value) {
  if (value === null) return "";
  if (value < 60) return `${value.toFixed(1)} s`;
  const [minutes, rest] = [Math.floor(value / 60), Math.floor(value % 60)];
  const two = (number) => String(number).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${two(rest)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(rest)}`;
}

const percentText = (share) => share === null ? "" : `${Math.round(100 * share)} %`;
const success = everyRow.map((row) => {
  if (unfinished.has(stateOf(row))) return null;
  return data.states.codes[row] === good ? 1 : 0;
});
const parameters = data.parameters.map((parameter) => ({
  ...parameter,
  numbers: parameter.numbers && parameter.numbers.map(readNumber),
  text: (row) => parameter.words[parameter.codes[row]] || "",
}));
const measures = data.metrics.map((metric) => (
  {name: metric.name, values: metric.values.map(readNumber), text: numberText}));
measures.push({name: "duration", values: seconds, text: durationText});
measures.push({name: "state", values: success, text: percentText, isState: true});

// 2. What the reader has chosen.

const chosen = {
  filters: new Map(),  // key -> {label, test}
  column: "state", isDown: false,
  measure: measures.find((one) => one.isState || one.values.some(Number.isFinite)),
  across: null, down: null, row: -1,
};
let rows = everyRow, isShown = new Uint8Array(data.count).fill(1);

function toggle(key, label, test) {
  if (chosen.filters.has(key) && chosen.filters.get(key).label === label) {
    chosen.filters.delete(key);
  } else {
    chosen.filters.set(key, {label, test});
  }
  update();
}

function update() {
  const tests = Array.from(chosen.filters.values(), (filter) => filter.test);
  rows = everyRow.filter((row) => tests.every((test) => test(row)));
  isShown = new Uint8Array(data.count);
  for (const row of rows) isShown[row] = 1;
  sortRows();
  drawFilters();
  drawTable();
  drawAll();
}

// 3. Elements: a text becomes a text node, never markup.

const find = (id) => document.getElementById(id);
const within = (id, selector) => find(id).querySelector(selector);

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function button(text, click, attributes = {}) {
  return make("button", {type: "button", click, ...attributes}, text);
}

function showTip(event, text) {
  const tip = find("tip");
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8);
  tip.style.left = `${Math.max(left, 4)}px`;
  tip.style.top = `${Math.max(top, 4)}px`;
}

function combinationText(row) {
  return parameters.filter((one) => one.codes[row] >= 0)
    .map((one) => `${one.name}=${one.text(row)}`).join(" ");
}

function rowText(row) {
  const lines = [`task ${data.names[row]}: ${stateOf(row)}`, combinationText(row)];
  for (const measure of measures) {
    const text = measure.isState ? "" : measure.text(measure.values[row]);
    if (text) lines.push(`${measure.name}: ${text}`);
  }
  const cause = data.causes.words[data.causes.codes[row]];
  return lines.concat(cause || []).join("\n");
}

// 4. Colours. The scale goes from violet to yellow and grows lighter all the way, so that it is
// read without hues, too; a theme takes the part of it that its page lets see. States have signs
// and shapes besides.

const STOPS = [[66, 12, 92], [66, 62, 136], [46, 105, 142], [34, 143, 138], [72, 184, 104],
  [160, 213, 60], [250, 229, 56]];

let ramp = [0, 1];

function mixed(part) {
  const whole = ramp[0] + (ramp[1] - ramp[0]) * Math.max(0, Math.min(part, 1));
  const place = whole * (STOPS.length - 1);
  const index = Math.min(Math.floor(place), STOPS.length - 2);
  const mix = (low, high) => Math.round(low + (high - low) * (place - index));
  return `rgb(${STOPS[index].map((low, hue) => mix(low, STOPS[index + 1][hue])).join()})`;
}

function inkOn(colour) {  // the better one of black and white, by relative luminance
  const [red, green, blue] = colour.slice(4, -1).split(",").map((part) => (part / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000" : "#fff";
}

function themed(name) {
  return getComputedStyle(root).getPropertyValue(`--${name}`).trim();
}

function stateColour(state) {
  return themed(state === "not started" ? "waiting" : state) || themed("waiting");
}

const scales = new WeakMap();

function scaleOf(values) {
  if (!scales.has(values)) scales.set(values, newScale(values));
  return scales.get(values);
}

function newScale(values) {  // logarithmic where that brings the median nearer to the middle
  const sorted = values.filter(Number.isFinite).sort((one, other) => one - other);
  if (!sorted.length) return null;
  const [low, high] = [sorted[0], sorted[sorted.length - 1]];
  const median = sorted[Math.floor(sorted.length / 2)];
  const part = (turned, value) => (turned(value) - turned(low)) / (turned(high) - turned(low));
  const distance = (turned) => Math.abs(part(turned, median) - 0.5);
  const isLog = low > 0 && high / low >= 8 && distance(Math.log) < distance(Number);
  const at = (value) => low < high ? part(isLog ? Math.log : Number, value) : 0.5;
  const value = (place) => isLog ? low * (high / low) ** place : low + (high - low) * place;
  return {low, high, isLog, at, value};
}

function rowColours() {
  const measure = chosen.measure;
  const states = data.states.words.map(stateColour);
  const scale = scaleOf(measure.values);
  const none = themed("line");
  return (row) => {
    if (measure.isState) return states[data.states.codes[row]];
    return Number.isFinite(measure.values[row]) ? mixed(scale.at(measure.values[row])) : none;
  };
}

function drawLegend() {
  ramp = [themed("ramp-low"), themed("ramp-high")].map(Number);
  const measure = chosen.measure, scale = scaleOf(measure.values);
  if (measure.isState || !scale || scale.low === scale.high) {
    const only = scale ? `everywhere ${measure.text(scale.low)}` : "no numbers";
    find("legend").replaceChildren(measure.isState ? "" : only);
    return;
  }
  const band = make("span", {class: "ramp"});
  const colours = [0, 0.17, 0.33, 0.5, 0.67, 0.83, 1].map(mixed);
  band.style.background = `linear-gradient(to right, ${colours.join()})`;
  find("legend").replaceChildren(measure.text(scale.low), band, measure.text(scale.high),
    scale.isLog ? " (logarithmic)" : "");
}

// 5. Drawing on a canvas.

function contextOf(canvas, height) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.style.height = `${height}px`;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = themed("page");
  context.fillRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  return context;
}

function fitted(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}\u2026`).width > room) length--;
  return `${text.slice(0, length)}\u2026`;
}

function line(context, ...points) {
  context.beginPath();
  points.forEach(([x, y], index) => index ? context.lineTo(x, y) : context.moveTo(x, y));
  context.stroke();
}

function hatched(context, x, y, width, height) {  // strokes for what must not rest on colour
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = themed("page");
  context.lineWidth = 1.5;
  for (let at = x - height; at < x + width; at += 6) {
    line(context, [at, y + height], [at + height, y]);
  }
  context.restore();
}

// 6. The timeline: a lane for each place that a host had at once.

function timelineLanes() {
  const seen = new Set(), lanes = [];
  const timed = everyRow.filter((row) => {
    const key = `${data.names[row].split(".")[0]} ${began[row]}`;  // runs share their task's bar
    const isNew = began[row] !== null && !seen.has(key);
    seen.add(key);
    return isNew;
  });
  timed.sort((one, other) => began[one] - began[other]);
  const hosts = new Map(data.hosts.words.slice().sort().map((host) => [host, []]));
  for (const row of timed) {
    const own = hosts.get(data.hosts.words[data.hosts.codes[row]]);
    let lane = own.find((one) => one.end <= began[row] + 0.02);
    if (!lane) own.push(lane = {rows: [], end: 0});
    lane.rows.push(row);
    lane.end = data.ended[row] === null ? Infinity : data.ended[row];
  }
  for (const [host, own] of hosts) own.forEach((lane) => lanes.push({host, rows: lane.rows}));
  return {lanes, timed};
}

const timeline = timelineLanes();

function timelineShape(canvas) {
  const height = Math.max(2, Math.min(20, Math.floor(560 / timeline.lanes.length)));
  const left = Math.min(150, canvas.clientWidth * 0.25);
  const width = canvas.clientWidth - left - 12;
  const x = (time) => left + width * time / (now || 1);
  return {height, left, width, x, bottom: height * timeline.lanes.length + 4};
}

function barOf(shape, lane, row) {
  const end = data.ended[row] === null ? now : data.ended[row];
  const start = shape.x(began[row]);
  const isLow = stateOf(row) === "succeeded";
  const margin = Math.floor(shape.height * (isLow ? 0.2 : 0.05));
  return [start, lane * shape.height + 2 + margin, Math.max(shape.x(end) - start, 1.5),
    shape.height - 2 * margin];
}

function drawTimeline() {
  const canvas = within("timeline", "canvas"), shape = timelineShape(canvas);
  const context = contextOf(canvas, shape.bottom + 26);
  drawHosts(context, shape);
  drawTimes(context, shape);
  const colours = data.states.words.map(stateColour);
  timeline.lanes.forEach((lane, index) => {
    for (const row of lane.rows) {
      const bar = barOf(shape, index, row), state = stateOf(row);
      context.globalAlpha = isShown[row] ? 1 : 0.15;
      context.fillStyle = colours[data.states.codes[row]];
      context.fillRect(...bar);
      if (state === "failed" || state === "interrupted") hatched(context, ...bar);
      context.strokeStyle = themed("ink");
      context.lineWidth = row === chosen.row ? 2.5 : 1;
      if (row === chosen.row || state === "running") context.strokeRect(...bar);
    }
  });
  context.globalAlpha = 1;
}

function drawHosts(context, shape) {
  const hosts = Array.from(new Set(timeline.lanes.map((lane) => lane.host)));
  const tops = hosts.map((host) => timeline.lanes.findIndex((lane) => lane.host === host));
  const y = (lane) => lane * shape.height + 2;
  context.fillStyle = themed("soft");
  for (let index = 0; index < hosts.length; index += 2) {
    const below = tops[index + 1] || timeline.lanes.length;
    context.fillRect(0, y(tops[index]), shape.left + shape.width, y(below) - y(tops[index]));
  }
  context.fillStyle = themed("faint");
  let free = 0;
  hosts.forEach((host, index) => {
    const middle = y(tops[index]) + Math.max(shape.height / 2, 6);
    if (middle < free) return;
    context.fillText(fitted(context, host || "no host", shape.left - 10), 4, middle);
    free = middle + 13;
  });
}

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800,
  21600, 43200, 86400, 172800, 604800];

function drawTimes(context, shape) {
  const step = STEPS.find((one) => one / (now || 1) * shape.width >= 80) || now || 1;
  context.strokeStyle = themed("line");
  context.fillStyle = themed("faint");
  context.textAlign = "center";
  for (let count = 0; count * step <= now; count++) {
    const x = shape.x(count * step);
    line(context, [x, 0], [x, shape.bottom]);
    if (x < shape.left + shape.width - 20 || !count) {
      const time = Number((count * step).toPrecision(6));  // 3 * 0.2 is 0.6000000000000001
      const text = time < 60 ? `${time} s` : durationText(time);
      context.fillText(text, x, shape.bottom + 13);
    }
  }
  context.textAlign = "left";
}

function timelineRow(event) {
  const canvas = within("timeline", "canvas"), shape = timelineShape(canvas);
  const box = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const index = Math.floor((y - 2) / shape.height), lane = timeline.lanes[index];
  if (!lane) return -1;
  const hit = lane.rows.find((row) => {
    const [left, , width] = barOf(shape, index, row);
    return x >= left - 1 && x <= left + width + 1;
  });
  return hit === undefined ? -1 : hit;
}

function setUpTimeline() {
  const canvas = within("timeline", "canvas");
  find("timeline").hidden = !timeline.timed.length;
  const start = new Date(data.origin * 1000).toLocaleString();
  const hosts = new Set(timeline.lanes.map((lane) => lane.host)).size;
  within("timeline", "p").textContent = `From ${start} on, by host and by what it did at once. `
    + "Failed and interrupted tasks are hatched and high, running ones have an outline. "
    + "Click on a task, or step with the arrow keys, for more.";
  canvas.setAttribute("aria-label", `timeline of ${timeline.timed.length} tasks on ${hosts} hosts`);
  canvas.addEventListener("pointermove", (event) => {
    const row = timelineRow(event);
    showTip(event, row < 0 ? "" : rowText(row));
  });
  canvas.addEventListener("pointerleave", (event) => showTip(event, ""));
  canvas.addEventListener("click", (event) => choose(timelineRow(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step) return;
    event.preventDefault();
    const place = timeline.timed.indexOf(chosen.row) + step;
    choose(timeline.timed[Math.max(0, Math.min(place, timeline.timed.length - 1))]);
  });
}

// 7. The grid: two parameters, a cell for each pair of their values.

const MOST_VALUES = 24, BINS = 12;

function gridAxis(parameter) {
  if (!parameter) return {labels: [""], names: [""], place: () => 0, isWhole: true};
  const {name, words, numbers, codes} = parameter;
  const count = words.length;
  if (numbers && count > MOST_VALUES) {
    const scale = scaleOf(numbers);
    const bin = numbers.map((number) => Math.min(BINS - 1, Math.floor(scale.at(number) * BINS)));
    const bound = (index) => numberText(Number(scale.value(index / BINS).toPrecision(2)));
    const labels = Array.from({length: BINS}, (_, one) => `${bound(one)} \u2013 ${bound(one + 1)}`);
    return {labels, names: labels.map((label) => `${name} from ${label}`),
      place: (row) => codes[row] < 0 ? -1 : bin[codes[row]]};
  }
  const labels = words.slice(0, MOST_VALUES);
  return {labels, names: labels.map((label) => `${name}=${label}`), cut: count - labels.length,
    place: (row) => codes[row] < labels.length ? codes[row] : -1};
}

function meanOf(values) {
  const finite = values.filter(Number.isFinite);
  if (finite.length) return finite.reduce((sum, value) => sum + value, 0) / finite.length;
  return values.some(Number.isNaN) ? NaN : null;
}

function cellButton(members, down, across, scale) {
  const measure = chosen.measure;
  const mean = meanOf(members.map((row) => measure.values[row]));
  const worst = Math.min(...members.map((row) => data.states.codes[row]));
  const label = [down.name, across.name].filter(Boolean).join(", ");
  const fine = members.filter((row) => data.states.codes[row] === good).length;
  let text = measure.text(mean) || "\u2013", colour = themed("none"), ink = themed("ink");
  if (measure.isState) {
    const sign = data.signs[worst];
    text = members.length > 1 ? `${sign} ${fine}/${members.length}` : `${sign}`;
    [colour, ink] = [stateColour(data.states.words[worst]), themed("page")];
  } else if (Number.isFinite(mean)) {
    colour = mixed(scale.at(mean));
    ink = inkOn(colour);
  }
  const bad = members.filter((row) => success[row] === 0).length;
  if (bad && !measure.isState) text += ` ${data.signs[worst]}${bad}`;
  const told = `${label}: ${measure.name} ${text} (${members.length} of the tasks)`;
  const key = `cell ${label}`;
  const test = (row) => down.has(row) && across.has(row);
  const cell = button(text, () => toggle(key, label, test), {title: told, "aria-label": told});
  cell.setAttribute("aria-pressed", String(chosen.filters.has(key)));
  cell.style.background = colour;
  cell.style.color = ink;
  return cell;
}

function gridCells(down, across) {
  const cells = new Map();
  for (const row of rows) {
    const [first, second] = [down.place(row), across.place(row)];
    if (first < 0 || second < 0) continue;
    const key = first * across.labels.length + second;
    if (!cells.has(key)) cells.set(key, []);
    cells.get(key).push(row);
  }
  return cells;
}

function drawGrid() {
  const down = gridAxis(chosen.down), across = gridAxis(chosen.across);
  const cells = gridCells(down, across);
  const means = Array.from(cells.values(), (members) => (
    meanOf(members.map((row) => chosen.measure.values[row]))));
  const scale = scaleOf(chosen.measure.values) && scaleOf(means);
  const one = (axis, index) => ({name: axis.names[index], has: (row) => axis.place(row) === index});
  const corner = [chosen.down, chosen.across].map((each) => each ? each.name : "");
  const head = make("tr", {}, make("th", {}, corner.filter(Boolean).join(" \\ ")),
    ...across.labels.map((label) => make("th", {scope: "col", title: label}, label)));
  const body = down.labels.map((label, first) => {
    const tr = make("tr", {}, make("th", {scope: "row", title: label}, label));
    across.labels.forEach((_, second) => {
      const members = cells.get(first * across.labels.length + second);
      tr.append(members
        ? make("td", {}, cellButton(members, one(down, first), one(across, second), scale))
        : make("td", {class: "empty", title: "no task"}));
    });
    return tr;
  });
  within("grid", ".wide").replaceChildren(
    make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
  const cut = [down, across].filter((axis) => axis.cut > 0).length;
  const several = cells.size < rows.length && !chosen.measure.isState
    ? "Mean of the tasks in a cell, and how many failed. " : "";
  within("grid", ".note").textContent = several + "Click on a cell to see its tasks."
    + (cut ? ` Only the first ${MOST_VALUES} values are shown.` : "");
}

function setUpGrid() {
  find("grid").hidden = !parameters.length || data.count < 2;
  const ranked = parameters.slice().sort((one, other) => other.words.length - one.words.length);
  const fits = (one) => one.numbers || one.words.length <= MOST_VALUES;  // numbers make ranges
  ranked.sort((one, other) => Boolean(fits(other)) - Boolean(fits(one)));
  [chosen.across, chosen.down] = [ranked[0] || null, ranked[1] || null];
  if (chosen.down && chosen.down.words.length > chosen.across.words.length) {
    [chosen.down, chosen.across] = [chosen.across, chosen.down];
  }
  for (const side of ["down", "across"]) {
    const options = parameters.map((one, index) => make("option", {value: index}, one.name));
    if (side === "down") options.unshift(make("option", {value: -1}, "nothing"));
    find(side).replaceChildren(...options);
    find(side).value = String(parameters.indexOf(chosen[side]));
    find(side).addEventListener("change", () => {
      chosen[side] = parameters[find(side).value] || null;
      drawGrid();
    });
  }
}

// 8. The effect of each parameter: points, and the mean at each of its values.

const MOST_PANELS = 24;

function axisOf(parameter, room) {  // where a value is, from 0 to 1, and [text, place] of labels
  const {words, numbers} = parameter;
  const label = (code) => numbers && words[code].length > 7
    ? numberText(Number(numbers[code].toPrecision(3))) : words[code];
  const scale = numbers && scaleOf(numbers);
  const at = (code) => scale ? scale.at(numbers[code]) : (code + 0.5) / words.length;
  const every = Math.ceil(words.length / Math.max(1, Math.floor(room / 52)));
  const isEnd = (code) => scale && code === words.length - 1;
  const shown = words.map((_, code) => code).filter((code) => code % every === 0 || isEnd(code));
  return {at, ticks: shown.map((code) => [label(code), at(code)])};
}

function drawPanel(canvas, parameter) {
  const context = contextOf(canvas, 180), measure = chosen.measure;
  const [left, right, top, bottom] = [52, canvas.clientWidth - 16, 10, 150];
  const scale = measure.isState ? scaleOf([0, 1]) : scaleOf(measure.values);
  if (!scale) return;
  const {at, ticks} = axisOf(parameter, right - left);
  const x = (part) => left + (right - left) * (0.04 + 0.92 * part);
  const y = (value) => bottom - (bottom - top) * scale.at(value);
  context.strokeStyle = themed("line");
  context.fillStyle = themed("faint");
  for (const part of [0, 0.5, 1]) {
    const value = scale.value(part), text = measure.text(Number(value.toPrecision(3)));
    line(context, [left, y(value)], [right, y(value)]);
    context.fillText(fitted(context, text, left - 6), 2, y(value));
  }
  context.textAlign = "center";
  let free = -Infinity;
  for (const [label, part] of ticks) {
    const text = fitted(context, label, 76);
    const half = context.measureText(text).width / 2;
    if (x(part) - half < free) continue;
    context.fillText(text, Math.min(x(part), canvas.clientWidth - half - 2), bottom + 16);
    free = x(part) + half + 6;
  }
  drawPoints(context, parameter, (code) => x(at(code)), y);
}

function drawPoints(context, parameter, x, y) {
  const {words, numbers, codes} = parameter, values = chosen.measure.values, groups = new Map();
  const isDense = numbers && words.length > MOST_VALUES;  // then the mean is that of a range
  const place = (code) => isDense ? Math.round(x(code) / 12) * 12 : x(code);
  context.fillStyle = themed("running");
  context.globalAlpha = Math.max(0.06, Math.min(0.6, 60 / rows.length));
  for (const row of rows) {
    const code = codes[row];
    if (code < 0 || !Number.isFinite(values[row])) continue;
    const at = place(code);
    if (!groups.has(at)) groups.set(at, []);
    groups.get(at).push(values[row]);
    context.fillRect(x(code) - 2.5, y(values[row]) - 2.5, 5, 5);
  }
  context.globalAlpha = 1;
  const points = Array.from(groups, ([at, group]) => [at, y(meanOf(group))]);
  points.sort(([one], [other]) => one - other);
  context.strokeStyle = context.fillStyle = themed("ink");
  context.lineWidth = 1.5;
  if (numbers) line(context, ...points);
  for (const [left, top] of points) {
    context.beginPath();
    context.arc(left, top, isDense ? 2 : 4, 0, 7);
    context.fill();
  }
}

function setUpEffects() {
  find("effects").hidden = !parameters.length || data.count < 2;
  const shown = parameters.slice(0, MOST_PANELS);
  within("effects", ".panels").replaceChildren(...shown.map((parameter) => (
    make("div", {}, make("h3", {}, parameter.name), make("canvas", {role: "img"})))));
}

function drawEffects() {
  const name = chosen.measure.isState ? "share that succeeded" : chosen.measure.name;
  const more = parameters.length - MOST_PANELS;
  const has = rows.some((row) => Number.isFinite(chosen.measure.values[row]));
  within("effects", "p").textContent = `${name}: `
    + (has ? "small squares are tasks, discs their mean." : "none of these tasks has a number.")
    + (more > 0 ? ` ${more} more parameters are not shown.` : "");
  find("effects").querySelectorAll("canvas").forEach((canvas, index) => {
    canvas.setAttribute("aria-label", `${name} by ${parameters[index].name}`);
    drawPanel(canvas, parameters[index]);
  });
}

// 9. Parallel coordinates: an axis for each parameter, a line for each task.

const MOST_AXES = 10;

function parallelAxes() {
  const ranked = parameters.slice().sort((one, other) => other.words.length - one.words.length);
  const kept = new Set(ranked.slice(0, MOST_AXES));
  const axes = parameters.filter((one) => kept.has(one)).map((one) => {
    const {at, ticks} = axisOf(one, 400);
    return {name: one.name, ticks, at: (row) => one.codes[row] < 0 ? null : at(one.codes[row])};
  });
  const measure = chosen.measure, scale = scaleOf(measure.values);
  if (scale && !measure.isState) {
    const ticks = [0, 0.5, 1].map((part) => [measure.text(scale.value(part)), part]);
    axes.push({name: measure.name, ticks, at: (row) => (
      Number.isFinite(measure.values[row]) ? scale.at(measure.values[row]) : null)});
  }
  return axes;
}

function drawParallel() {
  const canvas = within("parallel", "canvas"), axes = parallelAxes();
  canvas.style.minWidth = `${110 * axes.length}px`;
  const context = contextOf(canvas, 340), colours = rowColours();
  const [left, right, top, bottom] = [14, canvas.clientWidth - 80, 34, 325];
  const x = (index) => left + (right - left) * index / Math.max(1, axes.length - 1);
  const y = (part) => bottom - (bottom - top) * part;
  context.globalAlpha = Math.max(0.08, Math.min(0.8, 150 / rows.length));
  const codes = data.states.codes;
  const ordered = rows.slice().sort((one, other) => codes[other] - codes[one]);  // failures on top
  for (const row of ordered) {
    const points = axes.map((axis, index) => [x(index), axis.at(row)])
      .filter(([, part]) => part !== null).map(([place, part]) => [place, y(part)]);
    context.strokeStyle = colours(row);
    context.lineWidth = 1.5;
    line(context, ...points);
  }
  context.globalAlpha = 1;
  axes.forEach((axis, index) => drawAxis(context, axis, x(index), x(1) - x(0), y));
  const text = `A line is a task, its colour ${chosen.measure.name}.`;
  within("parallel", "p").textContent = parameters.length > MOST_AXES
    ? `${text} The ${MOST_AXES} parameters with the most values.` : text;
  canvas.setAttribute("aria-label", `parallel coordinates of ${axes.map((axis) => axis.name)}`);
}

function drawAxis(context, axis, x, room, y) {
  context.strokeStyle = context.fillStyle = themed("ink");
  context.lineWidth = 1;
  line(context, [x, y(0)], [x, y(1)]);
  context.font = "bold 12px system-ui, sans-serif";
  context.fillText(fitted(context, axis.name, Math.min(room, 150) - 8), Math.max(x - 6, 2), 12);
  context.font = "12px system-ui, sans-serif";
  for (const [text, part] of axis.ticks) {
    const shown = fitted(context, text, Math.min(room - 12, 74));
    context.globalAlpha = 0.75;
    context.fillStyle = themed("page");
    context.fillRect(x + 3, y(part) - 8, context.measureText(shown).width + 5, 16);
    context.globalAlpha = 1;
    context.fillStyle = themed("ink");
    context.fillText(shown, x + 5, y(part));
  }
}

// 10. The table, of which only the rows in sight exist.

const ROW_HEIGHT = 30, SPARE = 25;
let drawnRange = "";

function tableColumns() {
  const columns = [{name: "task", text: (row) => data.names[row], key: taskPlace}];
  columns.push({name: "state", text: (row) => (
    `${data.signs[data.states.codes[row]]} ${stateOf(row)}`),
    key: (row) => data.states.codes[row], filter: stateOf});
  for (const one of parameters) {
    columns.push({name: one.name, text: one.text, filter: one.text, isNumber: Boolean(one.numbers),
      key: (row) => one.codes[row] < 0 ? null : one.codes[row]});
  }
  for (const measure of measures.filter((one) => !one.isState)) {
    columns.push({name: measure.name, isNumber: true, key: (row) => measure.values[row],
      text: (row) => measure.text(measure.values[row])});
  }
  const word = (table) => (row) => table.words[table.codes[row]];
  const number = (values) => ({isNumber: true, key: (row) => values[row],
    text: (row) => values[row] === null ? "" : String(values[row])});
  columns.push({name: "exit", ...number(data.status)});
  if (data.attempts.some((count) => count > 1)) {
    columns.push({name: "attempts", ...number(data.attempts)});
  }
  for (const [name, table] of [["host", data.hosts], ["cause", data.causes]]) {
    columns.push({name, text: word(table), filter: word(table), key: word(table)});
  }
  return columns;
}

function taskPlace(row) {
  const [task, run] = data.names[row].split(".").map(Number);
  return task * 1e6 + (run || 0);
}

const columns = tableColumns();

function sortRows() {
  const column = columns.find((one) => one.name === chosen.column);
  const keys = everyRow.map(column.key), less = chosen.isDown ? 1 : -1;
  const isMissing = (row) => keys[row] === null || keys[row] === "" || Number.isNaN(keys[row]);
  const [present, missing] = [rows.filter((row) => !isMissing(row)), rows.filter(isMissing)];
  present.sort((one, other) => {
    if (keys[one] === keys[other]) return one - other;
    return keys[one] < keys[other] ? less : -less;
  });
  rows = present.concat(missing);
}

function sortBy(name) {
  chosen.isDown = chosen.column === name && !chosen.isDown;
  chosen.column = name;
  sortRows();
  drawTable();
}

function columnWidth(column) {
  let longest = column.name.length + 3;
  for (let index = 0; index < data.count; index += Math.ceil(data.count / 300)) {
    longest = Math.max(longest, column.text(index).length);
  }
  return Math.min(Math.max(longest * 8 + 20, 64), column.name === "cause" ? 460 : 240);
}

function setUpTable() {
  const scroller = within("tasks", ".scroller");
  within("tasks", "colgroup").replaceChildren(...columns.map((column) => {
    const col = make("col", {});
    col.style.width = `${columnWidth(column)}px`;
    return col;
  }));
  within("tasks", "thead tr").replaceChildren(...columns.map((column) => (
    make("th", {scope: "col", class: column.isNumber ? "number" : ""},
      button(column.name, () => sortBy(column.name))))));
  scroller.addEventListener("scroll", () => drawRows(false));
}

function drawTable() {
  within("tasks", "p").textContent = rows.length === data.count
    ? "Click on a number for the details of a task, on a value to see only its tasks."
    : `${rows.length} of ${data.count} tasks.`;
  within("tasks", "thead").querySelectorAll("th").forEach((th, index) => {
    const {name} = columns[index], isSorted = name === chosen.column;
    th.setAttribute("aria-sort", !isSorted ? "none" : chosen.isDown ? "descending" : "ascending");
    th.firstChild.textContent = name + (!isSorted ? "" : chosen.isDown ? " \u25be" : " \u25b4");
  });
  within("tasks", "table").setAttribute("aria-rowcount", rows.length + 1);
  drawRows(true);
}

function drawRows(isForced) {
  const scroller = within("tasks", ".scroller"), body = within("tasks", "tbody");
  const seen = Math.floor(scroller.scrollTop / ROW_HEIGHT);
  const first = Math.max(0, seen - seen % SPARE - SPARE);
  const last = Math.min(rows.length, first + Math.ceil(innerHeight / ROW_HEIGHT) + 3 * SPARE);
  if (!isForced && drawnRange === `${first}-${last}`) return;
  drawnRange = `${first}-${last}`;
  const focused = document.activeElement.dataset.cell;
  const space = (count) => {
    const tr = make("tr", {"aria-hidden": "true"});
    tr.style.height = `${count * ROW_HEIGHT}px`;
    return count ? [tr] : [];
  };
  const drawn = rows.slice(first, last).map((row, index) => tableRow(row, first + index));
  body.replaceChildren(...space(first), ...drawn, ...space(rows.length - last));
  const again = focused && body.querySelector(`[data-cell="${focused}"]`);
  if (again) again.focus({preventScroll: true});
}

function tableRow(row, index) {
  const tr = make("tr", {"aria-rowindex": index + 2, class: row === chosen.row ? "chosen" : ""});
  columns.forEach((column, number) => {
    const text = column.text(row), isTask = !number;
    const attributes = {"data-cell": `${row}-${number}`, title: text};
    let inner = make("span", attributes, text);
    if (isTask) {
      inner = button(text, () => choose(row), {...attributes, "aria-label": `task ${text}`});
    } else if (column.filter && text) {
      inner = button(text, () => filterBy(column, row), attributes);
    }
    if (column.name === "state") inner.prepend(swatch(stateOf(row)));
    tr.append(make("td", {class: column.isNumber ? "number" : ""}, inner));
  });
  return tr;
}

function swatch(state) {
  const box = make("span", {class: "swatch"});
  box.style.background = stateColour(state);
  return box;
}

function filterBy(column, row) {
  const value = column.filter(row);
  toggle(column.name, `${column.name}=${value}`, (other) => column.filter(other) === value);
}

// 11. Counts, causes, filters, and the details of a task.

function setUpCounts() {
  const state = columns.find((column) => column.name === "state");
  find("counts").replaceChildren(...data.states.words.map((name, code) => {
    const members = everyRow.filter((row) => data.states.codes[row] === code);
    const text = `${data.signs[code]} ${members.length.toLocaleString("en")} ${name}`;
    const chip = button(text, () => filterBy(state, members[0]), {"data-label": `state=${name}`});
    chip.prepend(swatch(name));
    return make("li", {}, chip);
  }));
}

function setUpCauses() {
  const counts = new Map();
  const cause = columns.find((column) => column.name === "cause");
  for (const row of everyRow) {
    const text = cause.text(row);
    if (!text) continue;
    if (!counts.has(text)) counts.set(text, {count: 0, row});
    counts.get(text).count++;
  }
  const sorted = Array.from(counts).sort((one, other) => other[1].count - one[1].count);
  find("causes").hidden = !sorted.length;
  within("causes", "ul").replaceChildren(...sorted.slice(0, 10).map(([text, {count, row}]) => (
    make("li", {}, button(`${count} \u00d7 ${text}`, () => filterBy(cause, row),
      {"data-label": `cause=${text}`})))));
  if (sorted.length > 10) {
    within("causes", "ul").append(make("li", {class: "note"}, `and ${sorted.length - 10} more`));
  }
}

function drawFilters() {
  const labels = new Set();
  const chips = Array.from(chosen.filters, ([key, {label, test}]) => {
    labels.add(label);
    const attributes = {"aria-label": `drop ${label}`};
    return button(`${label} \u00d7`, () => toggle(key, label, test), attributes);
  });
  if (chips.length) chips.unshift(`${rows.length} of ${data.count}:`);
  find("filters").replaceChildren(...chips);
  for (const one of document.querySelectorAll("button[data-label]")) {
    one.setAttribute("aria-pressed", String(labels.has(one.dataset.label)));
  }
}

function choose(row) {
  chosen.row = row === undefined ? -1 : row;
  find("details").hidden = chosen.row < 0;
  if (chosen.row >= 0) drawDetails(chosen.row);
  drawView(views[0]);
  drawRows(true);
}

function drawDetails(row) {
  const facts = [["state", `${data.signs[data.states.codes[row]]} ${stateOf(row)}`]];
  for (const column of columns.slice(2)) facts.push([column.name, column.text(row)]);
  if (began[row] !== null) {
    facts.push(["started", new Date((data.origin + began[row]) * 1000).toLocaleString()]);
  }
  facts.push(["log", data.logs[row] || data.prefix ? data.prefix + data.logs[row] : ""]);
  const list = make("dl", {});
  for (const [name, text] of facts.filter(([, text]) => text)) {
    list.append(make("dt", {}, name), make("dd", {}, text));
  }
  const tail = data.tails.words[data.tails.codes[row]];
  find("details").replaceChildren(make("h2", {}, `Task ${data.names[row]}`),
    button("\u00d7", () => choose(-1), {class: "close", "aria-label": "close"}), list,
    ...(tail ? [make("pre", {tabindex: 0, "aria-label": "end of the log"}, tail)] : []));
}

// 12. Everything is set up once, and drawn when it comes into sight.

const views = [["timeline", drawTimeline], ["grid", drawGrid], ["effects", drawEffects],
  ["parallel", drawParallel]].map(([id, draw]) => (
  {box: find(id), draw, isStale: true, isSeen: false}));

function drawView(view) {
  if (view.box.hidden) return;
  view.isStale = false;
  view.draw();
}

function drawAll(isComplete = false) {
  drawLegend();
  for (const view of views) {
    view.isStale = true;
    if (view.isSeen || isComplete) drawView(view);
  }
}

function watchViews() {
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const view = views.find((one) => one.box === entry.target);
      view.isSeen = entry.isIntersecting;
      if (view.isSeen && view.isStale) drawView(view);
    }
  }, {rootMargin: "300px"});
  views.forEach((view) => observer.observe(view.box));
}

function setUp() {
  find("live").hidden = false;
  find("measure").replaceChildren(...measures.map((measure, index) => (
    make("option", {value: index}, measure.name))));
  find("measure").value = String(measures.indexOf(chosen.measure));
  find("measure").addEventListener("change", () => {
    chosen.measure = measures[find("measure").value];
    drawAll();
  });
  setUpCounts();
  setUpCauses();
  setUpTimeline();
  setUpGrid();
  setUpEffects();
  find("parallel").hidden = parameters.length < 3 || data.count < 2;
  setUpTable();
  root.classList.add("live");
  update();
  watchViews();
  addEventListener("resize", () => {
    drawRows(true);
    drawAll();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  addEventListener("keydown", (event) => event.key === "Escape" && choose(-1));
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    drawAll(true);
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    drawAll();
  });
}

if (data.count) setUp();
"""


# States in the order of the page, failures first, with the signs that tell them apart without any
# colour. A state that is not listed gets the last sign, and stands before "succeeded".
REPORT_STATES = {
    "failed": "\u2717", "interrupted": "\u25a0", "skipped": "\u2298", "running": "\u25b6",
    "queued": "\u25f7", "waiting": "\u25cb", "not started": "\u25cb", "handed": "\u21e2",
    "?": "\u2022", "succeeded": "\u2713"}
PLAIN_ROWS = 200  # of the table that is read without scripts, and printed
LONGEST_VALUE, LONGEST_LINE, MOST_TAIL = 200, 300, 2000000  # characters on the page


def state_order(state: str) -> int:
    """Return where a state stands among all."""
    return list(REPORT_STATES).index(state if state in REPORT_STATES else "?")


def state_sign(state: str) -> str:
    """Return the sign of a state."""
    return REPORT_STATES.get(state, REPORT_STATES["?"])


def state_counts(rows: "Iterable[Row]") -> "List[Tuple[str, int]]":
    """Return how many rows are in each state that there is, failures first."""
    counts = {}  # type: Dict[str, int]
    for row in rows:
        counts[row.state] = counts.get(row.state, 0) + 1
    return sorted(counts.items(), key=lambda pair: state_order(pair[0]))


def page_text(text: str, longest: int = LONGEST_VALUE) -> str:
    """Return a text as the page shows it, on one line."""
    return shortened(printable(text).replace("\n", " "), longest)


def coded(texts: "Iterable[str]") -> "Dict[str, List[Any]]":
    """Return texts as numbers of a list of words, as many of them are equal.

    >>> coded(["a", "b", "a"])
    {'words': ['a', 'b'], 'codes': [0, 1, 0]}
    """
    numbers = {}  # type: Dict[str, int]
    codes = [numbers.setdefault(text, len(numbers)) for text in texts]
    return {"words": list(numbers), "codes": codes}


def rounded(value: "Optional[float]") -> "Union[str, float, None]":
    """Return a number with as many digits as can be seen on the page."""
    if value is None:
        return None
    short = float(f"{value:.7g}")
    if abs(short) < 1e7 and short == int(short):
        return int(short)
    return json_value(short)


def failures_first(rows: "Sequence[Row]") -> "List[int]":
    """Return the places of rows in the order of the page."""
    return sorted(range(len(rows)), key=lambda place: (state_order(rows[place].state), place))


def page_parameter(rows: "Sequence[Row]", order: "Iterable[int]", key: str) -> "Dict[str, Any]":
    """Return a parameter as the page has it: its values, and for each row in order which it has.

    Numbers ascend; texts stand as they come first in the rows, which is as the sweep names them.

    numbers are its values as numbers, where all of them are; no value at all has the code -1.
    """
    texts = {}  # type: Dict[str, str]
    kept = []  # type: List[Optional[str]]
    for row in rows:
        same = None
        if key in row.params:
            same = comparable_value(f"{key}={row.params[key]}")
            texts.setdefault(same, row.params[key])
        kept.append(same)
    numbers = {same: number_of(text) for same, text in texts.items()}
    names = list(texts)
    is_number = None not in numbers.values()
    if is_number:
        names.sort(key=lambda name: numbers[name] or 0.0)
    codes = {name: code for code, name in enumerate(names)}  # type: Dict[Optional[str], int]
    return {"name": page_text(key), "words": [page_text(texts[name]) for name in names],
            "numbers": [json_value(numbers[name]) for name in names] if is_number else None,
            "codes": [codes.get(kept[place], -1) for place in order]}


def page_tails(rows: "Sequence[Row]") -> "List[str]":
    """Return the end of each row's log, as far as the page has room; rows come failures first."""
    tails, room = [], MOST_TAIL
    for row in rows:
        text = "\n".join(page_text(line, LONGEST_LINE) for line in row.tail)
        room -= len(text)
        tails.append(text if room > 0 else "")
    return tails


def first_start(rows: "Iterable[Row]") -> float:
    """Return when the first of rows began, in seconds since 1970."""
    return min((row.started for row in rows if row.started is not None), default=0.0)


def page_moments(moments: "Iterable[Optional[float]]", origin: float) -> "List[Optional[float]]":
    """Return times as seconds since the origin, to the hundredth."""
    return [None if moment is None else round(moment - origin, 2) for moment in moments]


def page_facts(rows: "Sequence[Row]") -> "Dict[str, Any]":
    """Return what the page knows of rows beside parameters and metrics, as columns."""
    origin = first_start(rows)
    logs = [printable(row.log) for row in rows]
    prefix = os.path.commonprefix(logs)  # noqa: RUF071  # of characters: it shortens names, too
    return {
        "count": len(rows), "names": [row.name for row in rows],
        "status": [row.status for row in rows], "attempts": [row.attempts for row in rows],
        "origin": origin, "started": page_moments((row.started for row in rows), origin),
        "ended": page_moments((row.ended for row in rows), origin),
        "causes": coded(page_text(row.cause) for row in rows),
        "hosts": coded(page_text(row.host) for row in rows),
        "prefix": prefix, "logs": [log[len(prefix):] for log in logs],
        "tails": coded(page_tails(rows))}


def page_data(rows: "Sequence[Row]", metrics: "Sequence[str]") -> "Dict[str, Any]":
    """Return what SCRIPT draws: columns, as they take a third of the room of rows."""
    order = failures_first(rows)
    shown = [rows[place] for place in order]
    states = [state for state, _ in state_counts(rows)]
    data = page_facts(shown)
    data["states"] = {"words": states, "codes": [states.index(row.state) for row in shown]}
    data["signs"] = [state_sign(state) for state in states]
    data["parameters"] = [page_parameter(rows, order, key) for key in varying(rows)]
    data["metrics"] = []
    for metric in metrics:
        values = [rounded(row.metrics.get(metric)) for row in shown]
        data["metrics"].append({"name": page_text(metric), "values": values})
    return data


def script_json(document: "Any") -> str:
    """Return JSON that can stand in a script element: nothing in it is markup, or ends a line.

    >>> script_json("</script> & \\u2028")
    '"\\\\u003c/script\\\\u003e \\\\u0026 \\\\u2028"'
    """
    import json
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)  # the rest escapes itself
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def plain_table(rows: "Sequence[Row]", metrics: "Sequence[str]") -> "Iterator[str]":
    """Yield the section that is read without scripts, and printed: the beginning of the table."""
    from html import escape
    columns = [column for column in table_columns(rows, metrics) if column.name != "run"]
    columns += [column for column in columns_of(rows, ())
                if column.kind == "fact" and column.name in ("exit_status", "cause")]
    yield "<section id=\"plain\"><h2>Tasks</h2>\n"
    if len(rows) > PLAIN_ROWS:
        yield f"<p>The first {PLAIN_ROWS} of {counted(len(rows), 'row')}, failures first.</p>\n"
    yield "<div class=\"wide\"><table><thead><tr>"
    for column in columns:
        yield f"<th>{escape(page_text(column.name))}</th>"
    yield "</tr></thead><tbody>\n"
    for place in failures_first(rows)[:PLAIN_ROWS]:
        yield "<tr>"
        for column in columns:
            yield f"<td>{escape(plain_cell(rows[place], column, column.cells[place]))}</td>"
        yield "</tr>\n"
    yield "</tbody></table></div></section>\n"


def plain_cell(row: Row, column: Column, cell: "Any") -> str:
    """Return the text of a cell of the plain table."""
    if column.kind == "fact" and column.name == "task":
        return row.name
    if column.kind == "fact" and column.name == "state":
        return page_text(f"{state_sign(row.state)} {row.state}")
    if column.kind == "fact" and column.name == "duration" and cell is not None:
        return duration_text(cell)
    return page_text(cell_text(cell))


def page_head(title: str, lead: str, rows: "Sequence[Row]") -> "Iterator[str]":
    """Yield the beginning of the page: what it is, how the run went, what never varies."""
    from html import escape
    yield PAGE_START.format(title=escape(page_text(title)), style=STYLE)
    yield f"<header><h1>{escape(page_text(title))}</h1>\n"
    yield f"<p id=\"lead\">{escape(page_text(lead, 1000))}</p>\n<ul id=\"counts\">\n"
    for state, count in state_counts(rows):
        yield f"<li>{state_sign(state)} {count:,} {escape(page_text(state))}</li>\n"
    yield "</ul>\n"
    same = " ".join(f"{key}={value}" for key, value in constants(rows).items())
    if same:
        same = escape(page_text(same, 2000))
        yield f"<p class=\"same\">The same everywhere: <code>{same}</code></p>\n"
    yield "</header>\n"


def report_page(title: str, lead: str, rows: "Sequence[Row]", metrics: "Sequence[str]", command: str
                ) -> "Iterator[str]":
    """Yield an HTML page that shows rows and asks for nothing else; command is what made it.

    >>> page = "".join(report_page("train", "none ran", [], ["loss"], "hydraflow report train"))
    >>> page.startswith("<!DOCTYPE html>"), "none ran" in page
    (True, True)
    """
    from html import escape
    yield from page_head(title, lead, rows)
    yield PAGE_VIEWS
    if rows:
        yield from plain_table(rows, metrics)
    yield f"<footer>Made by <code>{escape(page_text(command, 1000))}</code></footer>\n"
    yield "<script type=\"application/json\" id=\"data\">"
    yield script_json(page_data(rows, metrics))
    yield f"</script>\n<script>{SCRIPT}</script>\n</body></html>\n"


# -- rows of a run


def attempt_start(path: str, attempt: int) -> int:
    """Return where in a log the output of the last attempt begins: what was before is old."""
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


def task_rows(found: Survey, number: int, state: State, metrics: "Sequence[str]", has_tail: bool
              ) -> "Iterator[Row]":
    """Yield the row of a task, or those of the runs that Hydra makes of it."""
    task = found.ledger.task(number)
    if task is None:
        return
    row = task_row(found, task, state)
    log = log_of(found.record, number, state)
    if has_tail:
        row = row._replace(tail=tuple(tail_lines(log)))
    folder = os.path.join(task.cwd, task.directory)
    runs = hydra_runs(folder) if task.runs else []
    if len(runs) > 1:
        yield from run_rows(row, folder, runs, log, metrics)
        return
    outputs = [Output(log, attempt_start(log, state.attempts), None)]
    if runs:
        row = row._replace(params={**row.params, **runs[0].params})
        folder = os.path.join(folder, str(runs[0].number))
        if runs[0].log:
            outputs.insert(0, Output(runs[0].log, 0, None))
    if not os.path.isdir(folder):
        folder = task.cwd
    yield row._replace(metrics=read_metrics(metrics, folder, outputs))


def task_row(found: Survey, task: Task, state: State) -> Row:
    """Return the row of a task, without its metrics and the end of its log."""
    number = task.number
    status = state.status if state.ended and not state.origin else None
    ended = state.ended if state.ended and state.is_over else None
    log = os.path.relpath(log_of(found.record, number, state))
    cause = told_cause(state, log_of(found.record, number, state))
    return Row(number, None, task_parameters(task), state.name, status, cause,
               state.started or None, ended, state.attempts, state.writer.machine.host, log, (), {})


def run_rows(row: Row, folder: str, runs: "Sequence[HydraRun]", log: str, metrics: "Sequence[str]"
             ) -> "Iterator[Row]":
    """Yield a row for each run that Hydra made of a task."""
    printed = run_outputs(log) if metrics else {}
    for run in runs:
        outputs = []
        if run.log:
            outputs.append(Output(run.log, 0, None))
        if run.number in printed:
            outputs.append(printed[run.number])
        own = read_metrics(metrics, os.path.join(folder, str(run.number)), outputs)
        yield row._replace(run=run.number, params={**row.params, **run.params}, metrics=own)


def result_rows(found: Survey, metrics: "Sequence[str]", states: "Sequence[str]" = (),
                has_tail: bool = False) -> "List[Row]":
    """Return the rows of a run's tasks, of those in some states alone where some are named."""
    rows = []  # type: List[Row]
    for number, state in sorted(found.members):
        if not states or state.name in states:
            rows.extend(task_rows(found, number, state, metrics, has_tail))
    return rows


def results(job: str, metrics: "Sequence[str]" = (), *words: str) -> "List[Dict[str, Any]]":
    """Return what came out of the newest run of a job: a dictionary for each task, or Hydra's run.

    metrics are names of numbers in the output, or FILE:KEY.KEY; words select: "lr=0.1,0.01". A
    row has task, run, params, state, exit_status, cause, started, ended (seconds since 1970),
    seconds, attempts, host, log and metrics; what is not known is None. Error if it was not run.

    >>> results("no-such-job")
    Traceback (most recent call last):
    hydraflow.Error: error: job no-such-job has not been run here
    hint: hydraflow run no-such-job runs it
    """
    records = Record.all(job)
    if not records:
        raise Error("not-run", f"job {job} has not been run here", NOWHERE,
                    f"hydraflow run {job} runs it")
    rows = result_rows(survey(records[-1]), list(metrics))
    return results_document(selected(rows, words), list(metrics))


# ---------------------------------------------------------------------------
# 14. Command line: argv -> exit status
# ---------------------------------------------------------------------------
# A subcommand is a function add_NAME that declares its options, a function NAME_command,
# and a row of COMMANDS. main is the one place that turns an Error into a message. Exit
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


def program_text() -> str:
    """Return how the user calls HydraFlow: what we tell to type begins as it was typed."""
    python = os.path.basename(sys.executable or "python")
    main_module = sys.modules.get("__main__")
    path = getattr(main_module, "__file__", "") or ""
    if os.path.basename(path) != "hydraflow.py":
        return "hydraflow"
    if getattr(main_module, "__spec__", None):
        return f"{python} -m hydraflow"
    return f"{python} {shlex.quote(sys.argv[0])}"


def as_typed(text: str, before: "Sequence[str]") -> str:
    """Return a text in which commands begin as the user began.

    before are -f and -C with their values.
    """
    names = "|".join(name for name, _, _ in COMMANDS)
    program = " ".join([program_text(), *map(shlex.quote, before)])
    return re.sub(rf"\bhydraflow (?=(-C \w+ )?({names})\b)", lambda match: f"{program} ", text)


def split_before(argv: "Sequence[str]") -> "Tuple[List[str], List[str]]":
    """Return the options -f and -C that stand before the command, each followed by its value, and
    the other words.

    >>> split_before(["-fjobs.yaml", "-C", "sub", "run", "train"])
    (['-f', 'jobs.yaml', '-C', 'sub'], ['run', 'train'])
    """
    before = []  # type: List[str]
    rest = list(argv)
    while rest and rest[0][:2] in ("-f", "-C"):
        word = rest.pop(0)
        before.append(word[:2])
        if word[2:]:
            before.append(word[2:])
        elif rest:
            before.append(rest.pop(0))
    return before, rest


def options_before(argv: "Sequence[str]") -> "List[str]":
    """Return the options -f and -C that stand before the command, with their values."""
    return split_before(argv)[0]


def job_named(jobs: "Dict[str, Job]", name: str) -> Job:
    """Return a job by its name in the file."""
    if name not in jobs:
        known = f"the jobs are {', '.join(jobs)}"
        raise Error("unknown-job", f"no job is called {name}", NOWHERE,
                    suggest(name, jobs) or known)
    return jobs[name]


def option(read: "Callable[[Node], Any]") -> "Callable[[str], Any]":
    """Return a reader of an option's text from a reader of a node."""
    def convert(text: str) -> object:
        try:
            return read(read_yaml(text, "command line"))
        except Error as error:
            raise argparse.ArgumentTypeError(f"{error.message}\n{error.hint}") from None
    return convert


BEFORE = {
    "-f": "-f FILE, before the command, names the job file",
    "-C": "-C DIR, before the command, names the directory to work in"}


class Flag(NamedTuple("Flag", [("names", "Tuple[str, ...]"), ("help", str)])):
    """An option without a value."""
    __slots__ = ()


class Value(NamedTuple("Value", [
        ("names", "Tuple[str, ...]"), ("read", "Callable[[str], Any]"), ("meaning", str),
        ("help", str)])):
    """An option with a value; meaning is how the help calls that."""
    __slots__ = ()


def add_options(command: "argparse.ArgumentParser", rows: "Sequence[Union[Flag, Value]]",
                title: str = "") -> None:
    """Declare options, under a title of their own where there is one."""
    group = command.add_argument_group(title) if title else command
    for row in rows:
        if isinstance(row, Flag):
            group.add_argument(*row.names, action="store_true", help=row.help)
        else:
            group.add_argument(*row.names, type=row.read, metavar=row.meaning, help=row.help)


def add_job(command: "argparse.ArgumentParser") -> None:
    """Declare the job that a command is about."""
    command.add_argument("job", metavar="JOB", nargs="?", help="the name of a job")


def sample_of(text: str) -> Sample:
    """Return the sample that N or N:SEED means."""
    count, _, seed = text.partition(":")
    if not re.fullmatch("[1-9][0-9]{0,8}", count) or not re.fullmatch("[0-9]{0,9}", seed):
        raise argparse.ArgumentTypeError("N or N:SEED is expected here\nfor example 20:7")
    return Sample(int(count), int(seed or 0))


RUN_GROUPS = (
    ("which tasks", (
        Flag(("--dry-run",), "print the commands and change nothing"),
        Flag(("--resume",), "go on with the last run: skip what has succeeded in it"),
        Flag(("--reuse",), "count what has succeeded in older runs as done, too"),
        Value(("--sample",), sample_of, "N[:SEED]", "take N tasks of each step at random"))),
    ("how they are executed", (
        Value(("--jobs", "-j"), option(read_parallel), "N",
              "execute N tasks at once, or auto; on a cluster N array tasks"),
        Flag(("--keep-going",), "start the remaining tasks although one has failed"),
        Value(("--retries",), option(read_retries), "N", "try a failed task up to N times more"),
        Value(("--timeout",), option(read_minutes), "MIN",
              "stop a task after so long: 90, 5s, 2h"),
        Flag(("--quiet", "-q"), "show failures and the summary only"))),
    ("on a cluster", (
        Flag(("--wait",), "wait until submitted tasks have ended"),
        Value(("--pack",), option(read_count), "N", "let an array task take N tasks"),
        Value(("--pack-parallel",), option(read_count), "N",
              "execute N tasks of a pack at once"))),
)  # type: Tuple[Tuple[str, Tuple[Union[Flag, Value], ...]], ...]
RUN_OPTIONS = tuple(chain.from_iterable(rows for _, rows in RUN_GROUPS))


def add_run(command: "argparse.ArgumentParser") -> None:
    """Declare the options of run."""
    add_job(command)
    for title, rows in RUN_GROUPS:
        add_options(command, rows, title)
    command.usage = ("hydraflow run JOB [OVERRIDE ...] [options] [-- WORD ...]\n"
                     "       hydraflow run [options] -- COMMAND WORD ...")
    command.epilog = ("An OVERRIDE is key=value and wins over the job's own word with that key. "
                      "All words behind -- go to the command of the tasks.")


def check_words(job: Job, words: "Sequence[str]") -> None:
    """Raise an Error for options of the command line that neither run nor the job knows."""
    if is_for_handler(job):
        return
    cut = list(words).index("--") if "--" in words else len(words)
    keys = parameter_keys(job)
    known = [name for row in RUN_OPTIONS for name in row.names]
    for word in words[:cut]:
        if word.startswith("-") and key_of(word) not in keys:
            name = word.partition("=")[0]
            behind = f"behind -- it goes to the command: -- {shell_text([word])}"
            hint = " ".join(filter(None, [suggest(name, known), behind]))
            raise Error("unknown-option", f"run does not know {name}", NOWHERE,
                        BEFORE.get(name, hint))


def run_options(args: "argparse.Namespace") -> Options:
    """Return what the command line asks of a run."""
    retries = -1 if args.retries is None else args.retries
    return Options(
        jobs=args.jobs or 0, keep_going=args.keep_going, resume=args.resume, reuse=args.reuse,
        wait=args.wait, retries=retries, timeout=args.timeout or 0.0, pack=args.pack or 0,
        pack_parallel=args.pack_parallel or 0, words=[*file_words(args), *args.typed])


def file_words(args: "argparse.Namespace") -> "List[str]":
    """Return the words that name the job file, where that is not the usual one."""
    return ["-f", args.file] if args.file else []


def plans_of(args: "argparse.Namespace") -> "List[Plan]":
    """Return the plans of the job that is named and, before it, of those that it needs."""
    jobs = jobs_to_run(args)
    plans = []
    for job in order_needs(jobs, [args.job]):
        is_named = job.key == args.job
        plans.append(Plan(job, args.words if is_named else (), args.sample if is_named else None))
        for axis in plans[-1].added:
            values = counted(axis.count, "value")
            say(f"{', '.join(axis.keys)} is not in the job: added ({values})")
        check_plan(plans[-1], args.dry_run)
    return plans


def run_command(args: "argparse.Namespace") -> int:
    """Execute the tasks of a job, after those of the jobs that it needs."""
    if os.name != "posix" and not args.dry_run:
        raise Error("not-posix",
                    "tasks are executed on Linux, macOS and other POSIX systems only", NOWHERE,
                    "--dry-run works here")
    plans, options = plans_of(args), run_options(args)
    runs = []  # type: List[Run]
    try:
        for plan in plans:
            is_needed = plan is not plans[-1]
            own = options._replace(words=file_words(args)) if is_needed else options
            runs.append(open_run(plan, own, args.resume or is_needed, args.dry_run))
        if args.dry_run:
            return print_dry(describe(runs))
        return show_execution(Execution(runs, options), args)
    finally:
        for run in runs:
            close_run(run)


def close_run(run: Run) -> None:
    """Let others go on with a run; of one in which nothing was executed, nothing is kept."""
    run.release()
    if run.is_new and not run.begun and not run.is_dry:
        remove_tree(run.record.path)


def jobs_to_run(args: "argparse.Namespace") -> "Dict[str, Job]":
    """Return the jobs among which that of the command line is, or the one that it spells itself."""
    if args.job is None and args.words[:1] == ["--"] and len(args.words) > 1:
        check_spelled(args.words[1:])
        job = spelled_job(args.words[1:])
        args.job, args.words = job.key, []
        return {job.key: job}
    if args.job and os.sep in args.job and os.path.isfile(args.job):
        words = shell_text([args.job, *args.words])
        raise Error("program-as-job", f"{args.job} is a program and no job", NOWHERE,
                    f"a command stands behind --: hydraflow run -- {words}")
    path = args.file or find_job_file()
    if args.job is None:
        raise which_job(load(path))
    jobs, wrong = load_for(path, args.job)
    if wrong:
        verb = "has" if len(wrong) == 1 else "have"
        say(f"{counted(len(wrong), 'other job')} of the file {verb} mistakes: hydraflow show")
    check_words(job_named(jobs, args.job), args.words)
    return jobs


def which_job(names: "Iterable[str]") -> Error:
    """Return the Error about a command line without a job; names are those that it could have."""
    known = ", ".join(names)
    hint = f"the jobs are {known}" if known else "hydraflow show lists them"
    return Error("no-job", "which job?", NOWHERE, hint)


def check_spelled(words: "Sequence[str]") -> None:
    """Raise an Error for a sweep as GNU parallel has it, which would go to the command."""
    for word in words:
        if re.match(r":::+[+]?$", word):
            raise Error("gnu-parallel", f"{word} is of GNU parallel", NOWHERE,
                        f"values stand at their place: -- {shell_text(words[:1])} --x=1,2,3")


def spelled_job(words: "Sequence[str]") -> Job:
    """Return the job of a command whose words are a sweep, called after its program.

    >>> [task.argv for task in plan(spelled_job(["./simulate", "-v", "--x=1:2"]))]
    [('./simulate', '-v', '--x=1'), ('./simulate', '-v', '--x=2')]
    """
    name = os.path.basename(words[0])
    if re.match(r"(python|bash|sh|perl|Rscript|julia)[\d.]*$", name) and len(words) > 1:
        script = os.path.basename(words[1])
        if re.match(r"\w", script):
            name = script
    step = EMPTY_STEP._replace(batch=Sweep(list(words[1:]), "command line"))
    command = Source("command line", shlex.quote(words[0]))
    return EMPTY_JOB._replace(key=name, name=name, run=command, hydra=False, steps=[step])


MOST_COUNTED = 1000000  # lines that a dry run counts on a terminal


def print_dry(lines: "Iterable[str]", most: int = 50) -> int:
    """Print what a dry run has to show, on a terminal the first lines of it."""
    rest = iter(lines)
    if not sys.stdout.isatty():
        for line in rest:
            put(line)
        return 0
    for line in islice(rest, most):
        put(line)
    more = sum(1 for _ in islice(rest, MOST_COUNTED))
    if more:
        over = "more than " if more == MOST_COUNTED else ""
        say(f"and {over}{counted(more, 'line')} more; through | less all of them are shown")
    return 0


def remove_tree(path: str) -> None:
    """Remove the record of a run in which nothing was executed or submitted."""
    import shutil
    shutil.rmtree(path, ignore_errors=True)


def show_execution(execution: Execution, args: "argparse.Namespace") -> int:
    """Show what happens and return the exit status, which follows from the states of the tasks."""
    runs = execution.runs
    shared = {run.job.key: words_of_all(run.plan) for run in runs}
    count = sum(run.plan.count for run in runs)
    screen = Screen(count, tasks_at_once(runs), args.quiet, shared)
    try:
        for event in execution.execute():
            screen.show(event)
    finally:
        screen.finish(sum(len(run.open) for run in runs))
    for text in closing_lines(execution, args):
        say(text)
    if execution.is_interrupted:
        return 130
    return 1 if any(is_bad_end(run) for run in runs) else 0


def tasks_at_once(runs: "Sequence[Run]") -> int:
    """Return how many tasks of runs are executed at once on this machine."""
    most = 1
    for run in runs:
        if any(not step.submit for step in run.plan.steps):
            most = max(most, run.limits(False).jobs)
    return most


def is_bad_end(run: Run) -> bool:
    """Return whether something of a run failed, was refused, or did not begin."""
    return run.refused or run.has_failed() or run.unfinished() > 0


def closing_lines(execution: Execution, args: "argparse.Namespace") -> "Iterator[str]":
    """Yield what is to be said at the end: what was not started, and what to type next."""
    runs = execution.runs
    if not execution.is_interrupted:
        yield from not_started_lines(execution)
    could = sum(run.could_reuse for run in runs)
    if could and not execution.options.reuse:
        yield f"{counted(could, 'task')} had succeeded in an older run; --reuse counts them as done"
    yield from next_lines(execution, args)


def not_started_lines(execution: Execution) -> "Iterator[str]":
    """Yield which jobs were not started, as one that they need has not succeeded."""
    runs = execution.runs
    for index, run in enumerate(runs[:-1], 1):
        if not execution.may_go_on(run):
            rest = ", ".join(later.job.key for later in runs[index:])
            yield f"job {run.job.key} has not succeeded, so {rest} was not started"
            return


def next_lines(execution: Execution, args: "argparse.Namespace") -> "Iterator[str]":
    """Yield what to type next."""
    runs = execution.runs
    key = runs[-1].job.key
    is_good = not any(is_bad_end(run) for run in runs)
    has_begun = any(run.begun for run in runs)
    if any(run.open for run in runs):
        yield f"how far the tasks are: {typed(args, 'status', key)}"
        return
    if has_begun and not is_good:
        command = resuming_words(key, args.typed)
        yield f"what has not succeeded: {typed(args, *command)}"
    if (is_good and not args.quiet) or (has_begun and execution.is_interrupted):
        yield f"what came out: {typed(args, 'results', key)}"


def typed(args: "argparse.Namespace", *words: str) -> str:
    """Return a command as this user would type it: called as this one was, with its -f and -C."""
    return " ".join([program_text(), shell_text([*args.before, *words])])


def resuming_words(job: str, words: "Sequence[str]") -> "List[str]":
    """Return the command that goes on with a run which began with words behind run.

    >>> resuming_words("train", ["-q", "train", "lr=1"]), resuming_words("sh", ["--", "sh", "x.sh"])
    (['run', '-q', 'train', '--resume', 'lr=1'], ['run', '--resume', '--', 'sh', 'x.sh'])
    """
    cut = list(words).index("--") if "--" in words else len(words)
    before = list(words[:cut])
    if job in before:
        before.insert(before.index(job) + 1, "--resume")
    elif cut < len(words):  # a sweep without a job file
        before.append("--resume")
    else:  # a job that another one needed
        before = [job, "--resume"]
    return ["run", *before, *words[cut:]]


def add_show(command: "argparse.ArgumentParser") -> None:
    """Declare the options of show."""
    add_job(command)
    command.add_argument("--names", dest="only_names", action="store_true",
                         help="print the names of the jobs alone")


def show_command(args: "argparse.Namespace") -> int:
    """Show the jobs, or one of them as HydraFlow understands it."""
    jobs = load(args.file or find_job_file())
    if args.only_names:
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
    """Return how many tasks a job has, and its first command."""
    if not has_command(job):
        return f"{'template':>10}  no command: it serves other jobs"
    sources = [job.run, job.call, job.submit]
    sources += [step.run or step.call or step.submit for step in job.steps]
    command = next(source.text for source in sources if source)
    return f"{tasks_text(Plan(job)):>10}  {command}"


def job_lines(plan: Plan) -> "Iterator[str]":
    """Yield what there is to know of a job, and the first command of each step."""
    job = plan.job
    yield f"{job.key}: {tasks_text(plan)}"
    fail_fast = {None: "", True: "true", False: "false"}[job.fail_fast]
    needs = ", ".join(name for name, _ in job.needs)
    parallel = "auto" if job.max_parallel == AUTO else job.max_parallel
    for name, value in (("name", job.name), ("needs", needs), ("max-parallel", parallel),
                        ("fail-fast", fail_fast), ("retries", job.retries),
                        ("timeout-minutes", job.timeout_minutes)):
        if value:
            yield f"  {name}: {value}"
    for step in plan.steps:
        yield from step_lines(step)


def step_lines(step: PlannedStep) -> "Iterator[str]":
    """Yield how many tasks a step has, and why, and its first command."""
    name = f" ({step.name})" if step.name else ""
    yield f"  step {step.number}{name}: {count_lines(step)}: {tasks_text(step)}"
    task = first_task(step)
    if task is None:
        return
    text = f"    {task_text(task)}"
    if task.runs > 1:
        text += f"    (the first, each of {task.runs} runs)"
    elif step.count > 1:
        text += "    (the first)"
    yield text


def count_lines(step: PlannedStep) -> str:
    """Return in words how the tasks of a step come about: 2 x 3 = 6, 1 excluded."""
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


def add_expand(command: "argparse.ArgumentParser") -> None:
    """Declare the options of expand."""
    command.add_argument("sweep", metavar="SWEEP", nargs="*", help="words, as batch: has them")
    add_options(command, [Flag(("--collect",), "print the words that args: makes of it")])


def expand_command(args: "argparse.Namespace") -> int:
    """Show what a sweep means: the combinations, and how many."""
    if not args.sweep:
        raise Error("no-sweep", "which sweep?", NOWHERE,
                    "for example hydraflow expand 'a=1:3 b=x,y'")
    sweep = Sweep(" ".join(args.sweep))
    if args.collect:
        put(shell_text(sweep.collect()))
        return 0
    say(counted(sweep.count, "combination"))
    for combination in sweep:
        put(shell_text(combination))
    return 0


def newest_record(args: "argparse.Namespace") -> Record:
    """Return the newest record of a job, which the job file need not name any more."""
    records = Record.all(args.job) if args.job else []
    if not records:
        known = [Ledger(record).start.job for record in Record.newest()]
        if not args.job:
            raise which_job(known)
        raise Error("not-run", f"job {args.job} has not been run here", NOWHERE,
                    suggest(args.job, known) or "hydraflow show lists the jobs")
    return records[-1]


def add_run_choice(command: "argparse.ArgumentParser") -> None:
    """Declare the option that picks a run."""
    command.add_argument("--run", metavar="RUN", help="of this run; the end of its name will do")


def chosen_record(args: "argparse.Namespace") -> Record:
    """Return the record of the run that the command line picks, else the newest one of the job."""
    newest = newest_record(args)
    if not args.run:
        return newest
    found = [record for record in Record.all(args.job) if record.ulid.endswith(args.run.upper())]
    if len(found) == 1:
        return found[0]
    what = "several runs end" if found else "no run ends"
    raise Error("unknown-run", f"{what} with {args.run}", NOWHERE,
                f"hydraflow status {shlex.quote(args.job)} --all lists them")


def add_status(command: "argparse.ArgumentParser") -> None:
    """Declare the options of status."""
    add_job(command)
    add_options(command, [
        Flag(("--json",), "print all that is known of every task, for programs"),
        Flag(("--all",), "every run of the job, a line each")])
    add_run_choice(command)


def records_of(args: "argparse.Namespace") -> "List[Record]":
    """Return the records that status is about."""
    if not args.job:
        if args.all or args.run:
            raise Error("no-job",
                        "--all and --run are about one job, which is to be named", NOWHERE,
                        "hydraflow status JOB --all lists its runs")
        found = Record.newest()
        if not found:
            raise Error("not-run", "nothing has been run here", NOWHERE,
                        "hydraflow run JOB runs a job, hydraflow show lists them")
        return found
    chosen = chosen_record(args)
    return Record.all(args.job) if args.all else [chosen]


def status_command(args: "argparse.Namespace") -> int:
    """Show how far a job's last run is, who executes it, and what has failed and why."""
    surveyor, surveys = Surveyor(), []  # type: Surveyor, List[Survey]
    for record in records_of(args):
        try:
            surveys.append(surveyor.survey(record))
        except Error as error:
            if args.job and not args.all:
                raise
            say(str(error))
    if args.json:
        import json
        documents = [status_document(found) for found in surveys]  # type: Any
        if args.job and not args.all:
            documents = documents[0]
        put(json.dumps(documents, indent=1))
    for found in surveys:
        show_status(found, args)
    return 0


def show_status(found: Survey, args: "argparse.Namespace") -> None:
    """Print the status of a run, or the first line of it with the end of its name."""
    if found.wrong:
        told = say if args.json else put
        told("what follows from the events alone, as the scheduler does not answer: "
             f"{printable(found.wrong)}")
    if args.json:
        return
    head = head_line(found)
    if args.all:
        put(f"{found.record.ulid[-8:]}  {head}")
        return
    put(f"{head}; next: {typed(args, *next_words(found, args))}")
    room = window_width(sys.stdout) // 2 or 100
    for line in status_lines(found, room, has_colours(sys.stdout)):
        put_shown(line)


def next_words(found: Survey, args: "argparse.Namespace") -> "List[str]":
    """Return the command that is of use now: to follow a run, to go on with it, to see its end."""
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


def add_logs(command: "argparse.ArgumentParser") -> None:
    """Declare the options of logs."""
    add_job(command)
    command.add_argument("names", metavar="TASK | KEY=VALUE", nargs="*",
                         help="numbers of tasks, or parameters that select them")
    add_options(command, [
        Value(("--last",), option(read_count), "N", "the last N lines of each task"),
        Flag(("--follow",), "go on until the tasks have ended"),
        Flag(("--failed",), "of the failed tasks only")])
    add_run_choice(command)


def wanted_tasks(found: Survey, names: "Sequence[str]") -> "List[int]":
    """Return the tasks that numbers and KEY=VALUE words select, without any all of them."""
    words = [name for name in names if "=" in name]
    numbers = [task_number(found, name) for name in names if "=" not in name]
    if not words:
        return sorted(numbers or found.ledger.members)
    chosen = sorted({row.task for row in selected(result_rows(found, []), words)})
    return [number for number in chosen if not numbers or number in numbers]


def task_number(found: Survey, text: str) -> int:
    """Return the number of a task that a word of the command line is."""
    start = found.ledger.start
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise Error("invalid-task",
                    f"{text} is neither the number of a task nor KEY=VALUE", NOWHERE,
                    f"hydraflow results {shlex.quote(start.job)} lists the tasks")
    if int(text) > max(start.count, found.ledger.last_number()):
        raise Error("unknown-task", f"there is no task {text}", NOWHERE,
                    f"job {start.job} has {counted(start.count, 'task')}")
    return int(text)


def logs_command(args: "argparse.Namespace") -> int:
    """Print the output of tasks of a run: of all, of those that numbers or KEY=VALUE select."""
    record = chosen_record(args)
    found = survey(record)
    viewer = LogViewer(args, found)
    if args.follow and viewer.has_title:
        viewer.skip_ended(found, wanted_tasks(found, args.names))
    while viewer.show_all(found, wanted_tasks(found, args.names)) and args.follow:
        time.sleep(2.0 if found.submissions else 0.2)
        found = survey(record)
    return 0


class LogViewer:
    """Prints logs, and of each one later what is new in it.

    offsets is how far each one was, current the task whose output was printed last.
    """
    __slots__ = ("offsets", "has_title", "failed", "last", "skipped", "names", "current")

    def __init__(self, args: "argparse.Namespace", found: Survey) -> None:
        self.offsets = {}  # type: Dict[int, int]
        self.skipped = set()  # type: Set[int]
        self.current = 0
        self.has_title = len(args.names) != 1 or "=" in args.names[0]
        self.failed, self.last = args.failed, args.last
        self.names = Names(found.ledger, window_width(sys.stdout) // 2 or 100)

    def skip_ended(self, found: Survey, numbers: "Sequence[int]") -> None:
        """Begin with what runs: what has ended is printed without --follow."""
        self.skipped = {number for number in numbers if is_settled(found.state(number))}
        if len(self.skipped) == len(numbers):
            say("nothing of that is executed; without --follow, what was printed is shown")

    def show_all(self, found: Survey, numbers: "Sequence[int]") -> bool:
        """Print what is new in the logs of tasks; return whether more may come."""
        is_open = False
        for number in numbers:
            state = found.state(number)
            is_open = is_open or not is_settled(state)
            if number not in self.skipped:
                self.show(found, number, state)
        return is_open

    def show(self, found: Survey, number: int, state: State) -> None:
        """Print what is new in the log of a task."""
        if state.name in ("waiting", "not started"):
            return
        if self.failed and (state.is_good or not state.is_over):
            return
        log = log_of(found.record, number, state)
        is_first = number not in self.offsets
        if is_first:
            self.offsets[number] = last_lines_start(log, self.last) if self.last else 0
        self.title(number, state, log, is_first)
        self.offsets[number] = copy_log(log, self.offsets[number])
        if is_first and state.name == "interrupted":  # what ended it may have said why
            for path in scheduler_logs(found, number):
                copy_log(path, 0)

    def title(self, number: int, state: State, log: str, is_first: bool) -> None:
        """Print which task follows, where that is another one than before and has printed more."""
        if not self.has_title or number == self.current:
            return
        if is_first or size_of(log) > self.offsets[number]:
            self.current = number
            put(f"==> {self.names.name(number)} {state_text(state)} <==")
            sys.stdout.flush()


def size_of(path: str) -> int:
    """Return how large a file is; 0 where there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def is_settled(state: State) -> bool:
    """Return whether a task is over, or nobody is about to start it."""
    return state.is_over or state.name == "not started"


def scheduler_logs(found: Survey, number: int) -> "Iterator[str]":
    """Yield the files of what schedulers wrote beside the output of a task."""
    for submission in found.submissions:
        for slot, entries in enumerate(submission.slots, 1):
            if any(entry[0] == number for entry in entries):
                yield found.record.scheduler_path(submission.number, slot)


def last_lines_start(path: str, count: int) -> int:
    """Return where the last lines of a file begin, as far as they are within its last megabyte."""
    try:
        with open(open_safely(path, os.O_RDONLY), "rb") as file:
            begin = max(os.fstat(file.fileno()).st_size - 16 * CHUNK, 0)
            file.seek(begin)
            data = file.read()
    except OSError:
        return 0
    place = len(data) - data.endswith(b"\n")
    for _ in range(count):
        place = data.rfind(b"\n", 0, place)
        if place < 0:
            return begin
    return begin + place + 1


def copy_log(path: str, offset: int) -> int:
    """Write what a log has from an offset to standard output; return the offset of its end."""
    is_terminal = sys.stdout.isatty()
    try:
        with open(open_safely(path, os.O_RDONLY), "rb") as file:
            file.seek(offset)
            while True:
                data = file.read(CHUNK)
                if not data:
                    return file.tell()
                if is_terminal:
                    data = harmless(data).encode()
                write(sys.stdout, data)
    except OSError:
        return offset


def add_results(command: "argparse.ArgumentParser") -> None:
    """Declare the options of results."""
    add_selection(command)
    add_options(command, [
        Value(("--sort",), str, "NAME", "order by a metric, a parameter or a column"),
        Flag(("--descending",), "the largest first"),
        Value(("--over",), str, "KEY", "mean and spread over what differs in KEY alone")],
        "order and summary")
    add_options(command, [
        Flag(("--csv",), "print comma-separated values"),
        Flag(("--json",), "print JSON")], "for programs")
    command.epilog = (
        "A METRIC is a name that a number follows in the output (loss=0.1, loss: 0.1), or "
        "FILE:KEY.KEY of a JSON file. KEY=VALUE selects, and may be a sweep: seed=1:3.")


def state_named(text: str) -> str:
    """Return the state of a name, as it is typed: not-started."""
    names = {name.replace(" ", "-"): name for name in STATES}
    name = text.replace(" ", "-")
    if name not in names:
        hint = suggest(name, names) or f"the states are {', '.join(names)}"
        raise argparse.ArgumentTypeError(f"no state is called {text}\n{hint}")
    return names[name]


def add_selection(command: "argparse.ArgumentParser") -> None:
    """Declare what results and report have in common."""
    add_job(command)
    command.add_argument("names", metavar="METRIC | KEY=VALUE", nargs="*",
                         help="what to show, and parameters that select")
    command.add_argument("--state", action="append", type=state_named, default=[],
                         metavar="STATE", help="of tasks in this state only")
    add_run_choice(command)


class Selection(NamedTuple("Selection", [
        ("found", Survey), ("rows", "List[Row]"), ("metrics", "List[str]")])):
    """What the command line selects of a run."""
    __slots__ = ()


def selection(args: "argparse.Namespace", has_tail: bool) -> Selection:
    """Return the rows and the metrics that the command line names; say which metrics none has."""
    found = survey(chosen_record(args))
    metrics = [name for name in args.names if "=" not in name]
    every = result_rows(found, metrics, args.state, has_tail)
    rows = selected(every, [name for name in args.names if "=" in name])
    for name in metrics:
        if rows and all(row.metrics[name] is None for row in rows):
            say(f"none of these tasks has written a number {printable(name)} so far")
    return Selection(found, rows, metrics)


def results_command(args: "argparse.Namespace") -> int:
    """Show what came out: parameters, states and metrics side by side."""
    _, rows, metrics = selection(args, False)
    if args.over:
        rows = over(rows, args.over, metrics)
        metrics = over_metrics(metrics)
    if args.sort:
        rows = by_metric(rows, args.sort, args.descending)
    if args.csv:
        put(csv_text(rows, metrics).rstrip("\n"))
        return 0
    if args.json:
        put(results_json(rows, metrics))
        return 0
    width = help_width() + 2 if sys.stdout.isatty() else 0
    for line in table_lines(rows, metrics, width):
        put(line)
    return 0


def add_report(command: "argparse.ArgumentParser") -> None:
    """Declare the options of report."""
    add_selection(command)
    command.add_argument("-o", dest="output", metavar="FILE", default="report.html",
                         help="the page to write; report.html when absent")


def report_command(args: "argparse.Namespace") -> int:
    """Write a page that shows how a run went and what came out."""
    found, rows, metrics = selection(args, True)
    start = found.ledger.start
    lead = head_line(found).partition(": ")[2]
    words = typed(args, "report", args.job, *args.names)
    try:
        with open(native(args.output), "w", encoding="utf-8", errors="backslashreplace") as file:
            for text in report_page(start.job, lead, rows, metrics, words):
                file.write(text)
    except OSError as error:
        raise say_error(error, f"write {args.output}") from None
    say(f"wrote {args.output}: {counted(len(rows), 'row')}")
    return 0


def add_cancel(command: "argparse.ArgumentParser") -> None:
    """Declare the options of cancel."""
    add_job(command)
    command.add_argument("names", metavar="TASK | KEY=VALUE", nargs="*",
                         help="numbers of tasks, or parameters that select them")
    command.add_argument("--lost", action="store_true",
                         help="give up tasks of other machines, which cannot be reached from here")


def cancel_command(args: "argparse.Namespace") -> int:
    """Stop all that runs, or is queued, of every run of a job; or some tasks of its newest."""
    records, numbers = [newest_record(args)], None  # type: List[Record], Optional[List[int]]
    if args.names:
        numbers = wanted_tasks(survey(records[0]), args.names)
    else:
        records = Record.all(args.job)
    arrays, away, wrong = [], [], []  # type: List[str], List[State], List[str]
    asked = 0
    for record in records:
        try:
            stopped = cancel_record(record, args.lost, numbers)
        except Error as error:
            wrong.append(error.message)
            continue
        asked += stopped.tasks
        arrays += stopped.arrays
        away += [state for _, state in stopped.away]
        wrong += stopped.wrong
    if arrays:
        say(f"cancelled {', '.join(arrays)}")
    if asked or not arrays:
        say(f"asked {counted(asked, 'task')} to stop")
    if away:
        say(away_text(away, args.lost))
    for text in wrong:
        say(printable(text))
    return 1 if wrong else 0


def away_text(states: "Sequence[State]", is_lost: bool) -> str:
    """Return what is said of tasks on machines that cannot be reached from here."""
    hosts = ", ".join(sorted({printable(state.writer.machine.host) for state in states}))
    tasks = f"{counted(len(states), 'task')} of {hosts}"
    if is_lost:
        return f"gave up {tasks}: --resume executes them again"
    return (f"{tasks} cannot be reached from here: cancel them there; "
            "where nothing of them is left, --lost gives them up")


def add_nothing(command: "argparse.ArgumentParser") -> None:
    """Declare no options."""


def add_clean(command: "argparse.ArgumentParser") -> None:
    """Declare the options of clean."""
    add_job(command)
    command.add_argument("--keep", type=option(read_count), metavar="N", default=1,
                         help="keep the newest N runs of each job; 1 when absent")
    command.add_argument("--dry-run", action="store_true", help="say what would be removed")


def clean_command(args: "argparse.Namespace") -> int:
    """Remove the records of old runs: never the newest, never one in which something runs."""
    newest = [newest_record(args)] if args.job else Record.newest()
    freed, count = 0, 0
    for last in newest:
        for record in removable(Record.all_in(os.path.dirname(last.path)), args.keep):
            size = tree_size(record.path)
            freed, count = freed + size, count + 1
            say(f"{os.path.relpath(record.path)}: {size / 1e6:,.1f} MB")
            if not args.dry_run:
                remove_tree(record.path)
    verb = "would free" if args.dry_run else "freed"
    say(f"{counted(count, 'record')}: {verb} {freed / 1e6:,.1f} MB")
    return 0


def removable(records: "Sequence[Record]", keep: int) -> "Iterator[Record]":
    """Yield the records of a job that are old, not in use, and not needed by a newer one."""
    needed = set()  # type: Set[str]
    for record in records[-keep:]:
        try:
            told = read_told(record)
        except Error:
            continue
        origins = [state.origin for state in told.states.values()]
        needed.update(origin.partition("/")[0] for origin in origins if origin)
    for record in records[:-keep]:
        if record.ulid in needed:
            continue
        try:
            found = survey(record)
        except Error:  # of another format: nothing executes it any more
            yield record
            continue
        states = [state for _, state in found.members]
        if not any(state.name in ("running", "queued") for state in states):
            yield record


def tree_size(path: str) -> int:
    """Return how many bytes the files below a folder take."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            total += os.lstat(os.path.join(folder, name)).st_size
    return total


def schema_command(args: "argparse.Namespace") -> int:
    """Print the JSON Schema of the job file, with which editors complete and check it."""
    import json
    put(json.dumps(job_schema(), indent=1))
    return 0


def add_init(command: "argparse.ArgumentParser") -> None:
    """Declare the options of init."""
    command.add_argument("--hydra", action="store_true", help="for a Hydra application")
    command.add_argument("--slurm", action="store_true", help="for tasks that Slurm gets")


def init_command(args: "argparse.Namespace") -> int:
    """Write a commented hydraflow.yaml, and a train.py to try it on where there is none."""
    for name in JOB_FILES:
        if os.path.lexists(name):
            raise Error("file-exists", f"there is a {name} already, and it stays as it is", NOWHERE,
                        "hydraflow -C DIR init writes elsewhere")
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
    say(as_typed(f"wrote {written}; {what}", options_before(sys.argv[1:])))
    return 0


def add_completion(command: "argparse.ArgumentParser") -> None:
    """Declare the options of completion."""
    command.add_argument("shell", metavar="SHELL", nargs="?", help="bash, zsh or fish")
    lines = [text.partition("\n")[0].lstrip("# ") for text in COMPLETION.values()]
    command.epilog = "\n".join(line.replace(":  ", ":\n  ") for line in lines)


def completion_command(args: "argparse.Namespace") -> int:
    """Print a script that completes commands, options, jobs and sweeps in a shell."""
    if args.shell not in COMPLETION:
        message = f"there is no completion for {args.shell}" if args.shell else "which shell?"
        raise Error("unknown-shell", message, NOWHERE,
                    f"the shells are {', '.join(sorted(COMPLETION))}")
    put(COMPLETION[args.shell].rstrip())
    return 0


def complete_command(argv: "Sequence[str]") -> int:
    """Print the words that may stand where a shell wants to complete one, a line each."""
    shell, words = argv[0], list(argv[1:])
    if shell == "bash":
        words = bash_words(words[0])
    last = words[-1] if len(words) > 1 else ""
    try:
        found = completions(words[1:-1], last)
    except (Error, OSError):
        found = []
    for word in found:
        put(bash_word(word, last) if shell == "bash" else word)
    return 0 if found else 1  # the shell then completes names of files


def completions(words: "Sequence[str]", last: str) -> "List[str]":
    """Return what the last word of a command line may become."""
    found = sorted(word for word in candidates(words) if word.startswith(last))
    if last.endswith("="):  # the key is complete: its values are asked for
        found = [word for word in found if word != last]
    return [word for word in found if word.isprintable()]


def bash_word(word: str, last: str) -> str:
    """Return how bash gets a word that the last one of a line becomes.

    To bash, what follows an equals sign or a colon is a word of its own.

    >>> bash_word("lr=0.1", "lr="), bash_word("lr=", "l"), bash_word("my job", "my")
    ('0.1', 'lr=', "'my job'")
    """
    text = word[max(last.rfind("="), last.rfind(":")) + 1:]
    return text if text.endswith("=") else shlex.quote(text)


def bash_words(line: str) -> "List[str]":
    """Return the words of a command line up to the cursor, the last one as far as it goes.

    >>> bash_words("hydraflow run tr"), bash_words("hydraflow run ")
    (['hydraflow', 'run', 'tr'], ['hydraflow', 'run', ''])
    """
    try:
        words = shlex.split(line)
    except ValueError:  # within quotes
        words = line.split()
    return words + ([""] if line[-1:].isspace() else [])


def candidates(words: "Sequence[str]") -> "Iterable[str]":
    """Return what may follow words of a command line, behind the program's name."""
    before, rest = split_before(words)
    if len(before) % 2:  # a file or a directory follows
        return []
    if not rest:
        return [*(name for name, _, _ in COMMANDS), "-f", "-C", "--version", "--help"]
    if rest[0] == "completion":
        return sorted(COMPLETION)
    options = command_options(rest[0])
    if rest[0] in ("init", "schema", "expand") or not options:
        return options
    values = dict(zip(before[::2], before[1::2]))
    os.chdir(values.get("-C", "."))
    jobs = load(values.get("-f") or find_job_file())
    for word in rest[1:]:
        if word in jobs:
            return [*options, *override_words(jobs[word])]
    return [*jobs, *options]


def command_options(name: str) -> "List[str]":
    """Return the options of a command."""
    for known, add_options, _ in COMMANDS:
        if known == name:
            command = argparse.ArgumentParser()
            add_options(command)
            actions = command._actions  # argparse has no other list of them
            return [text for action in actions for text in action.option_strings]
    return []


def override_words(job: Job, most: int = 100) -> "Iterator[str]":
    """Yield the keys of a job's sweeps, as they begin an override, and their first values."""
    for step in job.steps:
        for axis in [*step.batch.axes, *step.args.axes]:
            if len(axis.keys) == 1:
                yield f"{axis.keys[0]}="
                yield from (str(word) for word in islice(axis, most) if isinstance(word, str))


GARBAGE = gc.get_threshold()  # how often Python looks for it, unless collect_garbage was called


def call_command(argv: "Sequence[str]") -> int:
    """Call a function, in a process of its own; it finds Python as it usually is."""
    gc.set_threshold(*GARBAGE)
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
    """Execute the tasks of one slot: as an array task, or as a line for a handler."""
    statuses = []
    is_wrong, interruption = False, 0
    for event in run_slot(argv[0], int(argv[1]), int(argv[2])):
        if event.kind in ("note", "interrupt", "error", "retry"):
            say(slot_text(event))
        if event.kind == "interrupt":
            interruption = interruption or event.number
        elif event.kind == "error":
            is_wrong = True
        elif event.kind == "end" and event.state.name != "succeeded":
            statuses.append(event.state.status)
    if len(argv) > 3:
        return handler_status(statuses, interruption)
    return 1 if statuses or is_wrong else 0


def slot_text(event: Event) -> str:
    """Return what the log of an array task says of an event."""
    if event.kind != "retry" or event.task is None:
        return event.text
    name = task_name(event.task.number, event.task.combination, set(), 100)
    return f"{name} failed, and is tried again"


def handler_status(statuses: "Sequence[int]", interruption: int) -> int:
    """Return the exit status that a handler gets for a line: that of its task.

    After an interruption we end by its signal, for which a shell that executes the lines begins no
    further one.
    """
    if interruption:
        end_by_signal(interruption)
    return max(1, min(statuses[-1], 255)) if statuses else 0


COMMANDS = (
    ("run", add_run, run_command),
    ("show", add_show, show_command),
    ("expand", add_expand, expand_command),
    ("status", add_status, status_command),
    ("logs", add_logs, logs_command),
    ("results", add_results, results_command),
    ("report", add_report, report_command),
    ("cancel", add_cancel, cancel_command),
    ("clean", add_clean, clean_command),
    ("init", add_init, init_command),
    ("schema", add_nothing, schema_command),
    ("completion", add_completion, completion_command),
)

EXAMPLES = {  # each works as it stands in the folder that init made
    "run": "hydraflow run train learning_rate=0.1,0.2 --jobs 2",
    "show": "hydraflow show train",
    "expand": "hydraflow expand 'model=cnn,vit lr=log(1e-3:1e-1:3)'",
    "status": "hydraflow status train",
    "logs": "hydraflow logs train model=lstm --last 1",
    "results": "hydraflow results train loss --sort loss",
    "report": "hydraflow report train loss -o report.html",
    "cancel": "hydraflow cancel train",
    "clean": "hydraflow clean train --keep 3",
    "init": "mkdir slurm && hydraflow -C slurm init --slurm",
    "schema": "hydraflow schema > schema.json",
    "completion": 'eval "$(hydraflow completion bash)"',
}


def help_width() -> int:
    """Return how wide a text may be.

    Left to itself, argparse imports shutil to find that out, at every start.
    """
    columns = os.environ.get("COLUMNS", "")
    return ((int(columns) if columns.isdecimal() else window_width(sys.stdout)) or 80) - 2


def parser_types() -> "Tuple[Type[argparse.HelpFormatter], Type[argparse.ArgumentParser]]":
    """Return a formatter of help and a parser, made here: an array task needs no argparse."""
    class HelpFormatter(argparse.HelpFormatter):
        """A formatter that leaves a paragraph of several lines, an example, as it is."""

        def _fill_text(self, text: str, width: int, indent: str) -> str:
            parts = text.split("\n\n")
            return "\n\n".join(
                part if "\n" in part else super(HelpFormatter, self)._fill_text(part, width, indent)
                for part in parts)

    class Parser(argparse.ArgumentParser):
        """A parser that tells mistakes as everything else here does, and closes with an example."""

        def format_help(self) -> str:
            """Return the help of a command, or of the program."""
            text = super().format_help()
            example = EXAMPLES.get(self.prog.rpartition(" ")[2])
            return text + as_typed(f"\nexample:\n  {example}\n", ()) if example else text

        def error(self, message: str) -> "NoReturn":
            """Raise the Error about what argparse does not understand."""
            raise parser_error(self, message)

    return HelpFormatter, Parser


def parser_error(parser: "argparse.ArgumentParser", message: str) -> Error:
    """Return the Error about what argparse does not understand."""
    match = re.match(r"argument (\S+?)(?:/\S+)?: (.*)", message, re.DOTALL)
    if not match:
        return Error("invalid-arguments", message, NOWHERE,
                     f"{parser.prog} --help tells what it knows")
    name, text = match.groups()
    text, _, hint = text.partition("\n")
    text = f"{name}: {text}"
    if "ignored explicit argument" in text:
        text, hint = f"{name} takes no value", f"write {name} alone"
    elif re.search(": expected .*argument", text):
        action = parser._option_string_actions[name]  # argparse has no other list of them
        text, hint = f"{name} takes a value, and none follows", f"write {name} {action.metavar}"
    return Error("invalid-arguments", text, NOWHERE,
                 hint or f"{parser.prog} --help tells what it knows")


def build_parser(argv: "Sequence[str]") -> "argparse.ArgumentParser":
    """Return the parser of a command line, with the command that it names, or with all of them.

    argparse takes as long for the others as a start takes for everything else that it does.
    """
    formatter, parser_type = parser_types()
    style = functools.partial(formatter, width=help_width())
    parser = parser_type(
        prog="hydraflow", description="Compact parameter sweeps, executed here or on a cluster.",
        formatter_class=style)
    parser.add_argument("--version", action="version", version=f"hydraflow {__version__}")
    parser.add_argument("-f", dest="file", metavar="FILE",
                        help="the job file, in place of hydraflow.yaml")
    parser.add_argument("-C", dest="directory", metavar="DIR",
                        help="change into a directory first")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    commands.required = True  # an argument of add_subparsers only since Python 3.7
    _, rest = split_before(argv)
    named = [row for row in COMMANDS if row[0] == rest[0]]
    for name, add_options, function in named or COMMANDS:
        command = commands.add_parser(
            name, help=function.__doc__, description=function.__doc__, allow_abbrev=False,
            formatter_class=style)
        if named:
            add_options(command)
        command.set_defaults(function=function)
    return parser


SYNONYMS = {  # what people type who come from other programs
    "resume": "hydraflow run JOB --resume", "list": "hydraflow show", "ls": "hydraflow show",
    "start": "hydraflow run JOB", "submit": "hydraflow run JOB", "stop": "hydraflow cancel JOB",
    "kill": "hydraflow cancel JOB", "log": "hydraflow logs JOB", "result": "hydraflow results JOB",
    "help": "hydraflow --help", "retry": "hydraflow run JOB --resume"}


def check_command_named(argv: "Sequence[str]") -> None:
    """Raise an Error unless a command line names a command, behind -f and -C alone."""
    before, rest = split_before(argv)
    names = [name for name, _, _ in COMMANDS]
    known = f"the commands are {', '.join(names)}"
    if len(before) % 2:
        raise Error("missing-option-value", f"{before[-1]} takes a value, and none follows",
                    NOWHERE, BEFORE[before[-1]])
    if not rest:
        raise Error("no-command", "which command?", NOWHERE, f"{known}{known_jobs(before)}")
    word = rest[0]
    if word in names or word in ("-h", "--help", "--version"):
        return
    if word.startswith("-"):
        raise Error("option-before-command", f"{word} stands before the command", NOWHERE,
                    f"options follow it: hydraflow run JOB {word}")
    hint = suggest(word, names)
    if word in SYNONYMS:
        hint = f"did you mean {SYNONYMS[word]}?"
    raise Error("unknown-command", f"no command is called {word}", NOWHERE, hint or known)


def known_jobs(before: "Sequence[str]") -> str:
    """Return a text that names the jobs of the job file that options before the command choose, if
    it can be read."""
    values = dict(zip(before[::2], before[1::2]))
    try:
        os.chdir(values.get("-C", "."))
        path = values.get("-f") or find_job_file()
        return f"; the jobs of {path} are {', '.join(load(path))}"
    except (Error, OSError):
        return ""


def separated(words: "Iterable[str]") -> "List[str]":
    """Return words with -jN as two.

    Before Python 3.8, argparse leaves it whole where it takes no abbreviations.

    >>> separated(["run", "-j3", "-j", "x-j3"])
    ['run', '-j', '3', '-j', 'x-j3']
    """
    result = []  # type: List[str]
    for word in words:
        is_whole = word.startswith("-j") and word[2:].isdigit()
        result += ["-j", word[2:]] if is_whole else [word]
    return result


def parse_arguments(argv: "Sequence[str]") -> "argparse.Namespace":
    """Return the parsed command line.

    Words for the command of the tasks are in args.words, in their order.
    """
    check_command_named(argv)
    cut = argv.index("--") if "--" in argv else len(argv)
    args, words = build_parser(argv).parse_known_args(separated(argv[:cut]))
    behind = list(argv[cut:])
    if args.command == "expand":  # any word may be part of a sweep
        args.sweep += words + behind[1:]
        words, behind = [], []
    args.words = with_positionals(args, words) + behind
    args.before = options_before(argv)
    args.typed = [word for word in argv[len(args.before) + 1:cut] if word != "--resume"] + behind
    if args.words and args.command != "run":
        word = args.words[0]
        known = BEFORE.get(word) or suggest(word, command_options(args.command))
        if "=" in word and hasattr(args, "names"):
            known = known or f"to select tasks, write {word.lstrip('-')}"
        raise Error("unknown-option", f"{args.command} does not know {word}", NOWHERE,
                    known or f"hydraflow {args.command} --help tells what it knows")
    return args


def with_positionals(args: "argparse.Namespace", words: "List[str]") -> "List[str]":
    """Give a command the job and the names that stand behind its options; return the other words.

    argparse takes none of them there where they may be absent.
    """
    if getattr(args, "job", "") is None and words and not words[0].startswith("-"):
        args.job = words[0]
        words = words[1:]
    if isinstance(getattr(args, "names", None), list):
        args.names += [word for word in words if not word.startswith("-")]
        words = [word for word in words if word.startswith("-")]
    return words


def change_directory(path: str) -> None:
    """Work in the directory that -C names."""
    try:
        os.chdir(path)
    except OSError as error:
        raise Error("no-directory", f"cannot work in {path}: {error.strerror}", NOWHERE,
                    BEFORE["-C"]) from None


def dispatch(argv: "Sequence[str]") -> int:
    """Execute one command line and return its exit status; raises Error, OSError, SystemExit."""
    inner = {"call": call_command, "complete": complete_command}
    if argv[:1] and argv[0] in inner:  # what HydraFlow and shells type, and no one else
        return inner[argv[0]](argv[1:])
    args = parse_arguments(argv)
    if args.directory:
        change_directory(args.directory)
    status = int(args.function(args))
    sys.stdout.flush()
    return status


def exit_status(code: "Union[int, str, None]") -> int:
    """Return the exit status that the argument of SystemExit means."""
    if code is None:
        return 0
    return code if isinstance(code, int) else 1


def protected(execute: "Callable[[Sequence[str]], int]", argv: "Sequence[str]",
              typed: "Callable[[str], str]") -> int:
    """Return the exit status of what executes words; what goes wrong is said, as typed has it."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # closed by a caller
    sys.stderr = sys.stderr or open(os.devnull, "w")
    try:
        return execute(argv)
    except SystemExit as stop:  # argparse has said what is wrong, or what was asked for
        return exit_status(stop.code)
    except Error as error:
        say(typed(str(error)))
        return error.status
    except BrokenPipeError:  # who reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        say(f"error: {error.strerror or error}{where}")
        return 2


def collect_garbage() -> None:
    """Have garbage collected from now on, in a process that does nothing else.

    What was imported stays until the end, so no collection is to look through it: the last one of
    them alone takes as long as reading this file. What stands for a hundred thousand tasks stays as
    well, and hardly any of it refers to itself.
    """
    if hasattr(gc, "freeze"):  # since Python 3.7
        gc.freeze()  # novm
    gc.set_threshold(1000000)
    gc.enable()


def main(argv: "Optional[Sequence[str]]" = None) -> int:
    """Execute one command line and return its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    before = options_before(argv)
    return protected(dispatch, argv, lambda text: as_typed(text, before))


def slot_program(argv: "Sequence[str]") -> "NoReturn":
    """Execute the tasks of a slot in a process that does nothing else, and end it as it is.

    Python would take apart all that was imported, which takes a third as long as its start.
    """
    collect_garbage()
    status = protected(slot_command, argv, str)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            pass
    os._exit(status)


if __name__ == "__main__":
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    collect_garbage()
    end_status = main()
    signal.signal(signal.SIGINT, before)
    sys.exit(end_status)
