"""HydraFlow: compact parameter sweeps, executed here or on a cluster, recorded and resumed.

Copy this one file to where you work, write hydraflow.yaml, type `python -m hydraflow run train`.
The file reads from top to bottom; each chapter calls only those above it:

    1. Places, errors and numbers: text -> Source, Mark, Error, Number
    2. Sweep language: Source -> Sweep
    3. YAML reader: Source -> Node
    4. Job file: Node -> Job
    5. Planning: Job, overrides -> Task, Task, ...
    6. Processes: argv -> process
    7. Records: Task, Event <-> files
    8. Execution: Task, Task, ... -> Event, Event, ...
    9. Clusters: Task, Task, ... -> array job
    10. Reports: Event, Event, ... -> text
    11. Command line: argv -> exit status

The line through them: hydraflow.yaml is read into nodes, the nodes into jobs that hold parsed
sweeps; jobs and the words of the command line are planned as tasks; a record keeps them on disk
while they are executed; what happens comes back as events, which the screen shows and the exit
status sums up. Nothing is written to disk before every mistake that can be known is known.
"""
import argparse
import errno
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from bisect import bisect_right
from collections import namedtuple
from functools import partial, reduce
from itertools import accumulate, chain, islice, product, takewhile
from operator import mul

__version__ = "1.0.0"
__all__ = [
    "Error", "Errors", "Job", "Mark", "Node", "Plan", "Source", "Step", "Sweep", "Task",
    "collect", "expand", "load", "main", "plan", "read_yaml"]

TYPE_CHECKING = False  # type checkers take this name as true
if TYPE_CHECKING:
    from typing import (
        IO, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Match, NamedTuple, Optional,
        Sequence, Set, Tuple, Union)
    KeyTable = Dict[str, Tuple[Callable[["Node"], Any], Any, str]]  # reader, default, meaning
else:
    # Importing typing would make a start on Python 3.6 a third longer.
    def NamedTuple(name, fields):  # noqa: N802
        return namedtuple(name, [field for field, _ in fields])


# ---------------------------------------------------------------------------
# 1. Places, errors and numbers: text -> Source, Mark, Error, Number
# ---------------------------------------------------------------------------
# Source, read_source, Mark, Error, Errors, read_all, suggest; Number (an exact decimal),
# read_number, read_duration, literal: what the chapters below share. A Source maps an offset in a
# text, even in a scalar that was unfolded or unescaped, to the line and column of the file that it
# came from, so that a sweep parser which never heard of YAML points into it.


class Mark(NamedTuple("Mark", [
        ("source", str), ("line", int), ("column", int), ("text", str), ("width", int)])):
    """A place: line and column count from 1; text is that line, width how much of it is meant."""
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
        self.starts = []  # type: List[int]  # of its lines, once a mark was asked for
        self.lines = {}  # type: Dict[int, str]

    def mark(self, start: int, end: int) -> Mark:
        """Return the place of text[start:end], cut at the end of its first line."""
        if self.origin is not None:
            first = self.offset(start)
            last = self.offset(end - 1) + 1 if end > start else first
            return self.origin.mark(first, max(first, last))
        if not self.starts:
            self.starts = [0] + [match.end() for match in re.finditer("\n", self.text)]
        line = bisect_right(self.starts, start)
        begin = self.starts[line - 1]
        stop = len(self.text)
        if line < len(self.starts):
            stop = self.starts[line] - 1
        if line not in self.lines:
            self.lines[line] = self.text[begin:stop]  # shared by all marks of the line
        width = max(1, min(end, stop) - start)
        return Mark(self.name, line, start - begin + 1, self.lines[line], width)

    def whole(self) -> Mark:
        """Return the place of the whole text, cut at the end of its first line."""
        return self.mark(0, len(self.text))

    def line_end(self, position: int) -> int:
        """Return where the line ends that the character at position stands in: here, or in the file
        that this came from, where a folded block has more lines than its text."""
        end = self.text.find("\n", position)
        if end < 0:
            end = len(self.text)
        if self.origin is None:
            return end
        there = self.origin.line_end(self.offset(position))
        piece = bisect_right(self.pieces, (position, sys.maxsize))
        while piece < len(self.pieces) and self.pieces[piece][1] <= there:
            piece += 1
        if piece < len(self.pieces):
            end = min(end, self.pieces[piece][0])
        if piece:
            begin, place = self.pieces[piece - 1]
            end = min(end, begin + there - place)
        return end

    def offset(self, position: int) -> int:
        """Return where the character at position stands in the origin."""
        piece = bisect_right(self.pieces, (position, sys.maxsize)) - 1
        if piece < 0:
            return 0
        here, there = self.pieces[piece]
        return there + position - here


class Error(ValueError):
    """A mistake that the user can mend: one message, no traceback, and by its status exit status 2.

    >>> print(Error("range step is zero", Source("job.yaml", "t=1:2:0").mark(2, 7), "quote it"))
    job.yaml:1:3: error: range step is zero
        t=1:2:0
          ^^^^^
    hint: quote it
    """

    status = 2

    def __init__(self, message: str, mark: Mark = NOWHERE, hint: str = "") -> None:
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
        super().__init__(errors[0].message, errors[0].mark, errors[0].hint)
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
    """Return what read makes of each item that is right; add the Errors of all others."""
    results = []
    for item in items:
        try:
            results.append(read(item))
        except Errors as several:
            errors.extend(several.errors)
        except Error as error:
            errors.append(error)
    return results


def read_all(read: "Callable[[Any], Any]", items: "Iterable[Any]") -> "List[Any]":
    """Return what read makes of each item, or raise all the Errors that there are."""
    errors = []  # type: List[Error]
    results = read_each(read, items, errors)
    raise_all(errors)
    return results


def printable(text: str) -> str:
    """Return a text of which nothing reaches a terminal as a command."""
    if text.isprintable():
        return text
    replacement = "\N{REPLACEMENT CHARACTER}"
    return "".join(
        char if char.isprintable() or char in "\t\n" else replacement for char in text)


def text_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    from unicodedata import east_asian_width
    wide = [char for char in text if east_asian_width(char) in "WF"]
    return len(text) + len(wide)


def drawn(mark: Mark, room: int = 100) -> "List[str]":
    """Return the line of a mark without its indentation, and the carets below it; of a long line
    the part around them."""
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
    """Return what a file holds as a Source without byte order mark, its lines ended by newlines.

    Raises Error for bytes that are no UTF-8 and for characters that YAML has not (YAML 1.2.2, 5.1),
    or takes for line breaks in 1.1 only (5.4).
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")  # no UTF-8 becomes one of U+DC80 to U+DCFF
    if text.startswith("\ufeff"):
        text = text[1:]
    source = Source(name, text.replace("\r\n", "\n").replace("\r", "\n"))
    if not UNUSUAL.search(source.text):
        return source
    wrong = re.search(FORBIDDEN, source.text)
    if wrong:
        code = ord(wrong.group())
        mark = source.mark(wrong.start(), wrong.end())
        if 0xDC80 <= code <= 0xDCFF:
            raise Error(f"invalid UTF-8: byte 0x{code & 0xFF:02x}", mark, "save the file as UTF-8")
        raise Error(f"the character U+{code:04X} is not read", mark,
                    "remove it, or write it as an escape in double quotes")
    return source


def suggest(word: str, known: "Iterable[str]") -> str:
    """Return a hint that names the known words close to word, or nothing.

    >>> suggest("bacth", ["args", "batch"])
    'did you mean batch?'
    """
    from difflib import get_close_matches
    close = get_close_matches(word, list(known), 3, 0.6)
    if not close:
        return ""
    return f"did you mean {' or '.join(close)}?"


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
        is_scaled = self.kept or (self.scale != 0 and not self.is_integral())
        places = -self.exponent  # behind the decimal point
        if is_scaled:
            places += self.scale
        text = str(abs(self.mantissa) * 10 ** max(-places, 0)).zfill(places + 1)
        if places > 0:
            text = f"{text[:-places]}.{text[-places:]}".rstrip("0").rstrip(".")
        if self.mantissa < 0:
            text = "-" + text
        if is_scaled:
            text += f"e{self.scale}"
        return text

    def is_integral(self) -> bool:
        """Return whether this is a whole number."""
        return self.exponent >= 0 or self.mantissa % 10 ** -self.exponent == 0

    def times(self, unit: "Number") -> "Number":
        """Return this number in a unit."""
        return Number(self.mantissa, self.exponent + unit.exponent,
                      self.scale + unit.scale, self.kept or unit.kept)

    def shifted(self, exponent: int) -> int:
        """Return the mantissa that the same number has with a smaller exponent."""
        return int(self.mantissa * 10 ** (self.exponent - exponent))


ONE = Number(1, 0, 0, False)


def read_number(text: str) -> "Optional[Number]":
    """Return the number that the whole text is, or nothing."""
    if len(text) > LONGEST_NUMBER:
        return None
    match = NUMBER.fullmatch(text)
    if not match:
        return None
    digits, power, letter = match.groups("")
    exponent = int(power[1:] or 0)
    if abs(exponent) > LARGEST_POWER:
        return None
    whole, _, part = digits.replace("_", "").partition(".")
    scale = exponent + SI_UNITS.get(letter, 0)
    return Number(int(whole + part), scale - len(part), scale, bool(power))


DURATIONS = {"s": 1 / 60, "m": 1.0, "h": 60.0, "d": 1440.0}  # minutes


def read_duration(text: str) -> float:
    """Return the minutes that a text like 90, 5s, 1.5h means, or 0 where it is no duration.

    >>> [read_duration(text) for text in ("90", "90m", "2h", "0.5", "30s", "3k", "-1")]
    [90.0, 90.0, 120.0, 0.5, 0.5, 0.0, 0.0]
    """
    minutes = 1.0
    if text[-1:] in DURATIONS:
        minutes = DURATIONS[text[-1]]
        text = text[:-1].rstrip()
    number = read_number(text)
    if not number or text[-1:] in SI_UNITS:
        return 0.0
    minutes *= float(str(number))
    if not 0 < minutes < float("inf"):
        return 0.0
    return minutes


def literal(text: str) -> "Union[str, Number]":
    """Return the number that a text with an SI letter is; any other text stays as it is."""
    if text[-1:] in SI_UNITS:
        return read_number(text) or text
    return text


# ---------------------------------------------------------------------------
# 2. Sweep language: Source -> Sweep
# ---------------------------------------------------------------------------
# Values (ranged, spaced, grouped, joined), Axis, tokenize, key_of, hydra_text, file_lines,
# file_rows, SweepParser, Sweep, expand, collect; check_hydra_words for who knows that they are.
# Each parse_* method is one rule of the grammar; it gets a slice of the tokens and never looks
# outside it. What is Hydra's (its lexer, hydra-core 1.3 OverrideLexer.g4) is told apart by tokens:
# quotes, brackets, braces and ${...} are opaque. Nothing here is longer than the text: values are
# computed when they are asked for.

HYDRA_FUNCTIONS = frozenset((
    "choice", "range", "interval", "glob", "sort", "shuffle", "tag",
    "extend_list", "json_str", "int", "float", "str", "bool"))
UNIT_KEY = re.compile(rf"([^~].*)/({UNIT.pattern})", re.DOTALL)
RANGE_START = (  # compiled when a colon asks for it
    rf"(?:{NUMBER_TEXT})?:{NUMBER_TEXT}"
    rf"|{NUMBER_TEXT}:(?:{UNIT.pattern})$")
SPACES_OF_OTHERS = {  # numpy's functions, and what means the same here
    "linspace": "lin({})", "logspace": "log({})", "geomspace": "log({})", "arange": "{}"}
DEEPEST_GROUP = 40
MOST_JOINED = 1000000  # values in one word; Linux takes no word over 128 KiB


class Values:
    """The values that a key takes, or the rows of an axis: count of them; at(index), from 0,
    calculates one.

    A value stays a Number until it is written, as more than one unit may stand behind it. items are
    the values that these join.
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
        """Return which there are, numbers (True) and texts (False); the first thousand of an item
        tell of all."""
        if self.items:
            return set().union(*(item.kinds() for item in self.items))
        return {read_number(str(value)) is not None for value in islice(self, 1000)}

    def times(self, unit: str) -> "Values":
        """Return these values in a unit, if there is one; to what is no number it is appended as
        text."""
        if not unit:
            return self
        factor = read_number(f"1{unit}")  # type: Any

        def at(index: int) -> "Union[str, Number]":
            value = self.at(index)
            number = value  # type: Optional[Number]
            if isinstance(value, str):
                number = read_number(value)
            if number is None:
                return f"{value}{unit}"
            return number.times(factor)

        return Values(self.count, at, self.items)


def single(value: "Union[str, Number]") -> Values:
    """Return one value."""
    return Values(1, [value].__getitem__)


def ranged(start: Number, step: Number, count: int) -> Values:
    """Return start, start + step, ... in exact decimals and in the notation of start."""
    exponent = min(start.exponent, step.exponent)
    first = start.shifted(exponent)
    stride = step.shifted(exponent)

    def at(index: int) -> Number:
        return Number(first + index * stride, exponent, start.scale, start.kept)

    return Values(count, at)


def geometric(first: int, last: int, exponent: int, place: int, gaps: int) -> float:
    """Return first * (last / first) ** (place / gaps), times 10 ** exponent."""
    from decimal import Context, Decimal
    context = Context(prec=50)  # so many digits that rounding to a float removes every error
    ratio = context.divide(Decimal(last), Decimal(first))
    power = context.divide(Decimal(place), Decimal(gaps))
    growth = context.power(ratio, power)
    return float(context.multiply(context.scaleb(Decimal(first), exponent), growth))


def spaced(start: Number, stop: Number, count: int, is_log: bool) -> Values:
    """Return count values from start to stop, both included, evenly or (is_log) geometrically
    spaced."""
    exponent = min(start.exponent, stop.exponent, 0)
    first = start.shifted(exponent)
    last = stop.shifted(exponent)
    gaps = max(count - 1, 1)
    parts = gaps * 10 ** -exponent

    def at(index: int) -> "Optional[Number]":
        if is_log and 0 < index < gaps:
            value = geometric(first, last, exponent, index, gaps)
        else:
            total = first * (gaps - index) + last * index
            if total % parts == 0:
                return Number(total // parts, 0, 0, False)
            value = total / parts
        number = read_number(repr(value))
        return number and number._replace(kept=False)  # no user wrote an exponent that it has

    return Values(count, at)


def count_product(parts: "Iterable[Values]") -> int:
    """Return how many combinations there are of the values of some parts."""
    return reduce(mul, (part.count for part in parts), 1)


def combination(parts: "Iterable[Values]", index: int) -> "List[Any]":
    """Return a value of every part, those that an index means; the first part varies fastest."""
    values = []
    for part in parts:
        index, place = divmod(index, part.count)
        values.append(part.at(place))
    return values


def grouped(parts: "Sequence[Values]") -> Values:
    """Return every combination of texts and lists that follow each other, the first list
    fastest."""
    if len(parts) == 1:
        return parts[0]

    def at(index: int) -> "Union[str, Number]":
        return literal("".join(map(str, combination(parts, index))))

    return Values(count_product(parts), at)


def joined(items: "Sequence[Values]") -> Values:
    """Return the values of several items, one item after the other."""
    if len(items) == 1:
        return items[0]
    starts = [0, *accumulate(item.count for item in items)]

    def at(index: int) -> "Any":
        place = bisect_right(starts, index) - 1
        return items[place].at(index - starts[place])

    return Values(starts[-1], at, items)


class Axis(Values):
    """A word of a sweep, or what stands between two of its pipes; its values are rows: words, or
    tuples of linked words.

    keys are those that the rows set, $NAME for a variable of the environment; values are those of
    its only key, none where keys are linked or pipes chain axes. source.text[start:end] spells it.
    """
    __slots__ = ("keys", "values", "source", "start", "end")

    def __init__(self, rows: Values, keys: "Tuple[str, ...]", values: "Optional[Values]",
                 source: Source, start: int, end: int) -> None:
        super().__init__(rows.count, rows.at)
        self.keys = keys
        self.values = values
        self.source = source
        self.start = start
        self.end = end

    @property
    def mark(self) -> Mark:
        """The place of the axis."""
        return self.source.mark(self.start, self.end)

    @property
    def text(self) -> str:
        """What spells the axis."""
        if not self.keys:
            return str(self.at(0))  # with the templates, where the source has them masked
        return self.source.text[self.start:self.end]

    def word(self) -> str:
        """Return one word that lets Hydra sweep over the values."""
        if not self.keys:
            return str(self.at(0))
        if not self.values:
            raise Error(
                "pipes and linked keys make tasks, and these words are all of one task", self.mark,
                "it belongs into batch; in args, quote it to keep it as text")
        if self.values.count > MOST_JOINED:
            raise Error(f"more than {MOST_JOINED} values are too many for one word", self.mark,
                        "as a word of batch they become tasks of their own")
        return f"{self.keys[0]}={','.join(map(str, self.values))}"

    def piped(self) -> Values:
        """Return the rows beside a pipe: a single one of the values of a key."""
        if not self.values:
            return self
        return Values(1, lambda _: self.word())


TOKEN = re.compile(r"""
    (?P<quoted>         '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" )
  | (?P<interpolation>  \$\{[^}]+\} )          # to Hydra, the first closing brace ends it
  | (?P<escape>         \\(?:(?!\$\{).)? )     # to Hydra, a backslash does not hide ${
  | (?P<group>          \( )
  | (?P<bracket>        [\[{] )
  | (?P<close>          [)\]}] )
  | (?P<comma>          , )
  | (?P<pipe>           \| )
  | (?P<equals>         = )
  | (?P<space>          \s+ )
  | (?P<comment>        (?<!\S)\# )            # at the start of a word: where one may stand
  | (?P<text>           (?: [^\s,|()\[\]{}='"\\$] | \$(?!\{) )+ )
  | (?P<unclosed>       ['"] | \$\{[^}]*\}? )  # with it, every character belongs to some token
""", re.VERBOSE | re.DOTALL)
PARTNERS = {"(": ")", "[": "]", "{": "}"}
NAMES = {
    "(": "parenthesis", "[": "bracket", "{": "brace",
    "'": "quote", '"': "quote", "$": "interpolation"}


def unclosed(source: Source, token: "Match[str]") -> Error:
    """Return the Error about a bracket or quote that is never closed."""
    sign = token.group()[0]
    what = "never closed"
    if token.group() == "${}":
        what = "empty"
    return Error(f"{NAMES[sign]} is {what}", source.mark(token.start(), token.start() + 1),
                 f"close it, or quote a value that holds {sign}")


def stray_close(source: Source, tokens: "Sequence[Match[str]]", token: "Match[str]") -> Error:
    """Return the Error about a closing bracket behind tokens of which it closes none."""
    sign = token.group()
    if sign == "}" and tokens and tokens[-1].group().startswith("${{"):
        template = f"{tokens[-1].group()}}}"
        return Error(f"{template} is not replaced here",
                     source.mark(tokens[-1].start(), token.end()),
                     f"with: takes it, for example with: data={template}")
    return Error(f"nothing is open that {sign} could close",
                 source.mark(token.start(), token.end()),
                 f"write \\{sign} for the character itself, or quote the value")


def lex(source: Source, has_comments: bool, opened: "List[int]") -> "Iterator[Match[str]]":
    """Yield the tokens of a text but for its comments, which go to the end of their line; within a
    bracket that is opened there are none."""
    at = 0
    while at >= 0:
        tokens = TOKEN.finditer(source.text, at)
        at = -1
        for token in tokens:
            if token.lastgroup == "comment" and has_comments and not opened:
                at = source.line_end(token.start())
                break
            yield token


def tokenize(source: Source,
             has_comments: bool = False) -> "Tuple[List[Match[str]], Dict[int, int]]":
    """Return the tokens of a text, and for each opening bracket's index the index of its closing
    one."""
    tokens = []  # type: List[Match[str]]
    partners = {}  # type: Dict[int, int]
    opened = []  # type: List[int]
    for index, token in enumerate(lex(source, has_comments, opened)):
        kind = token.lastgroup
        if kind == "close":
            if not opened or PARTNERS[tokens[opened[-1]].group()] != token.group():
                raise stray_close(source, tokens, token)
            partners[opened.pop()] = index
        elif kind in ("group", "bracket"):
            opened.append(index)
        elif kind == "unclosed":
            raise unclosed(source, token)
        elif kind == "interpolation" and tokens and tokens[-1].group() == "\\":
            raise Error(f"the backslash before {token.group()} would be a part of the value",
                        source.mark(tokens[-1].start(), token.end()), f"write {token.group()}")
        tokens.append(token)
    if opened:
        raise unclosed(source, tokens[opened[-1]])
    return tokens, partners


def key_of(word: str) -> str:
    """Return the parameter that a word sets, adds or deletes; "" for any other word.

    >>> [key_of(word) for word in ("+a.b=1", "~db", "db/engine@pkg=x", "items[0]=1", "--verbose")]
    ['a.b', 'db', 'db/engine@pkg', 'items[0]', '']
    """
    match = re.match(r"((?:\\.|[^=\s'\"(){}\\])*)(=|\Z)", word.lstrip("+~"))
    if not match or not (match.group(2) or word.startswith("~")):
        return ""
    return match.group(1)


def variable_of(key: str) -> str:
    """Return the environment variable that the key $NAME of an axis sets, or nothing.

    >>> variable_of("$OMP_NUM_THREADS"), variable_of("lr")
    ('OMP_NUM_THREADS', '')
    """
    if re.match(r"\$[A-Za-z_][A-Za-z0-9_]*\Z", key):
        return key[1:]
    return ""


def hydra_text(text: str) -> str:
    """Return a text as Hydra's grammar takes it, in quotes where it must be.

    >>> hydra_text("train"), hydra_text("it's 1")
    ('train', "'it\\\\'s 1'")
    """
    if re.fullmatch(r"[A-Za-z0-9_./-]+", text):
        return text
    parts = []
    for part in text.split("'"):  # backslashes count before a quote only, where they are doubled
        bare = part.rstrip("\\")
        parts.append(bare + "\\" * 2 * (len(part) - len(bare)))
    return "'" + "\\'".join(parts) + "'"


def open_values(source: Source, path: str, mark: Mark) -> Source:
    """Return the text of a file that a sweep names; its path counts from the sweep's own file."""
    name = os.path.join(os.path.dirname(source.name), path)
    try:
        with open(name, "rb") as file:
            return read_source(file.read(), name)
    except OSError as error:
        raise Error(f"cannot read {name}: {error.strerror}", mark,
                    "the path counts from the folder of the job file") from None


def file_value(text: str) -> str:
    """Return a text of a file as a value: it is never a sweep, so it is quoted where it must be."""
    if NUMBER.fullmatch(text):
        return text
    return hydra_text(text)


def file_lines(file: Source) -> "List[str]":
    """Return the lines of a file as values, blank ones and those that begin with # aside."""
    lines = [line.strip() for line in file.text.split("\n")]
    return [file_value(line) for line in lines if line and not line.startswith("#")]


def line_mark(file: Source, number: int) -> Mark:
    """Return the place of a whole line of a file, by its number."""
    lines = file.text.split("\n")
    start = sum(len(line) + 1 for line in lines[:number - 1])
    return file.mark(start, start + len(lines[number - 1]))


def csv_rows(file: Source) -> "List[Tuple[int, List[str]]]":
    """Return the rows of a CSV file that are not empty, each with the number of its last line."""
    from csv import Error as TableError
    from csv import reader
    table = reader(file.text.splitlines(True))
    try:
        return [(table.line_num, [cell.strip() for cell in row]) for row in table if row]
    except TableError as error:
        raise Error(f"this is no CSV: {error}", line_mark(file, table.line_num),
                    "a cell with a comma or a quote stands in double quotes") from None


def row_columns(file: Source, row: "Tuple[int, List[str]]",
                names: "Sequence[str]") -> "List[int]":
    """Return which columns of a CSV file are those of some keys, where a row of it is a header that
    names any of them."""
    number, header = row
    missing = [name for name in names if name not in header]
    if len(missing) == len(names):
        return []
    if missing:
        raise Error(f"no column is called {missing[0]}", line_mark(file, number),
                    suggest(missing[0], header) or "the first row names the keys")
    return [header.index(name) for name in names]


def file_rows(file: Source, keys: "Sequence[str]") -> "List[str]":
    """Return the cells of a CSV file as values, one row after the other; a first row that names the
    keys tells which column is whose."""
    rows = csv_rows(file)
    width = len(keys)
    columns = []  # type: List[int]
    if rows:
        columns = row_columns(file, rows[0], [key_of(f"{key}=") for key in keys])
    if columns:
        _, header = rows.pop(0)
        width = len(header)
    values = []  # type: List[str]
    for number, cells in rows:
        if len(cells) != width:
            raise Error(f"{len(cells)} columns stand here, where {width} are expected",
                        line_mark(file, number),
                        f"one for each of {', '.join(keys)}, or a first row that names them")
        values.extend(file_value(cells[column]) for column in columns or range(width))
    return values


class SweepParser:
    """A recursive parser over slices tokens[start:stop]; what a rule does not know is text and
    passed on."""
    __slots__ = ("source", "tokens", "partners", "keys", "unit", "kinds")

    def __init__(self, source: Source, has_comments: bool = False) -> None:
        self.source = source
        self.tokens, self.partners = tokenize(source, has_comments)
        self.keys = ()  # type: Tuple[str, ...]  # those of the segment in hand
        self.unit = None  # type: Optional[Match[str]]  # in the first of them
        self.kinds = {}  # type: Dict[Tuple[str, ...], Set[bool]]  # of a word's keys with a unit

    def text(self, start: int, stop: int) -> str:
        """Return the text of a slice."""
        if start >= stop:
            return ""
        return self.source.text[self.tokens[start].start():self.tokens[stop - 1].end()]

    def offsets(self, start: int, stop: int) -> "Tuple[int, int]":
        """Return where a slice begins and ends, of an empty one where something is missing."""
        if start < stop:
            return self.tokens[start].start(), self.tokens[stop - 1].end()
        offset = 0
        if start:
            offset = self.tokens[start - 1].end()
        return offset, offset

    def mark(self, start: int, stop: int) -> Mark:
        """Return the place of a slice."""
        return self.source.mark(*self.offsets(start, stop))

    def axis(self, slice: "Tuple[int, int]", rows: Values, keys: "Tuple[str, ...]",
             values: "Optional[Values]" = None) -> Axis:
        """Return the Axis that a slice spells."""
        return Axis(rows, keys, values, self.source, *self.offsets(*slice))

    def split(self, start: int, stop: int, kind: str) -> "Iterator[Tuple[int, int]]":
        """Yield the slices between the tokens of a kind that stand outside all brackets."""
        begin = index = start
        while index < stop:
            if self.tokens[index].lastgroup == kind:
                yield begin, index
                begin = index + 1
            index = self.partners.get(index, index) + 1
        yield begin, stop

    def trim(self, start: int, stop: int) -> "Tuple[int, int]":
        """Return the slice without white space at its ends, which to Hydra means something behind a
        colon only."""
        tokens = self.tokens
        while start < stop and tokens[start].lastgroup == "space":
            start += 1
        while start < stop and tokens[stop - 1].lastgroup == "space":
            if tokens[stop - 2].group()[-1] == ":":
                break
            stop -= 1
        return start, stop

    def words(self) -> "List[Tuple[int, int]]":
        """Return the slices between white space."""
        slices = self.split(0, len(self.tokens), "space")
        return [(start, stop) for start, stop in slices if start < stop]

    def parse_sweep(self) -> "List[Axis]":
        """sweep = { word }"""
        return read_all(self.parse_word, self.words())

    def parse_word(self, slice: "Tuple[int, int]") -> Axis:
        """word = segment { "|" segment } | literal"""
        self.keys = ()
        self.kinds = {}
        if self.keys_end(*slice) is None:
            self.check_literal(*slice)
            return self.axis(slice, single(self.text(*slice)), ())
        axes = [self.parse_segment(*part) for part in self.split(*slice, "pipe")]
        if len(axes) == 1:
            return axes[0]
        keys = tuple(chain.from_iterable(axis.keys for axis in axes))
        return self.axis(slice, joined([axis.piped() for axis in axes]), keys)

    def check_literal(self, start: int, stop: int) -> None:
        """Raise if a word is an assignment in quotes."""
        text = self.text(start, stop)
        key, equals, value = text[1:-1].partition("=")
        if stop == start + 1 and self.tokens[start].lastgroup == "quoted" and equals:
            hint = f"leave the quotes out: {key}={value}"
            if re.search(HYDRA_REFUSES + "|[ =]", value):
                hint = f"quote the value alone: {key}={text[0]}{value}{text[0]}"
            raise Error("a whole word in quotes is neither a key nor its value",
                        self.mark(start, stop), hint)

    def keys_end(self, start: int, stop: int) -> "Optional[int]":
        """Return the index of the equals sign that ends the keys, or None; of brackets, keys have
        [0] (Hydra 1.4)."""
        while start < stop:
            token = self.tokens[start]
            if token.lastgroup == "equals":
                return start
            if token.lastgroup not in ("text", "comma", "escape") and token.group() != "[":
                return None
            start = self.partners.get(start, start) + 1
        return None

    def parse_segment(self, start: int, stop: int) -> Axis:
        """segment = [ keys "=" ] list"""
        slice = (start, stop)
        if start == stop:
            raise Error("nothing stands beside the pipe", self.mark(start, stop),
                        "a pipe stands between two values: a=1,2|3,4")
        equals = self.keys_end(start, stop)
        if equals is not None:
            self.parse_keys(start, equals)
            start = equals + 1
        start, stop = self.trim(start, stop)
        if len(self.keys) > 1:
            return self.linked_axis(slice, start, stop)
        return self.plain_axis(slice, start, stop)

    def parse_keys(self, start: int, stop: int) -> None:
        """keys = key [ "/" unit ] | key "," key { "," key }"""
        self.keys = tuple(self.text(*slice) for slice in self.split(start, stop, "comma"))
        if len(self.keys) > 1 and "" in self.keys:
            raise Error("a key is missing between commas", self.mark(start, stop),
                        "linked keys: a,b=(1,x),(2,y)")
        if len(set(self.keys)) < len(self.keys):
            raise Error("one key is linked with itself", self.mark(start, stop),
                        "each of linked keys has a name of its own: a,b=(1,x),(2,y)")
        self.unit = UNIT_KEY.fullmatch(self.keys[0])

    def linked_axis(self, slice: "Tuple[int, int]", start: int, stop: int) -> Axis:
        """Return the axis of linked keys, whose list of tuples is tokens[start:stop]."""
        keys = self.keys
        parts = self.split(start, stop, "comma")
        values = joined([self.parse_row(*self.trim(*part)) for part in parts])
        for column, key in enumerate(keys):
            if UNIT_KEY.fullmatch(key) and read_number(str(values.at(column))):
                raise Error("linked keys take no unit", self.mark(*slice),
                            "write it behind each number: a,b=(1k,x),(2k,y)")

        def row(index: int) -> "Tuple[str, ...]":
            first = index * len(keys)
            return tuple(f"{key}={values.at(first + column)}" for column, key in enumerate(keys))

        return self.axis(slice, Values(values.count // len(keys), row), keys)

    def plain_axis(self, slice: "Tuple[int, int]", start: int, stop: int) -> Axis:
        """Return the axis of a single key, whose list is tokens[start:stop]."""
        values = single("")
        if start < stop:
            self.check_tuples(start, stop)
            values = self.parse_list(start, stop, 0)
        key = self.keys[0]
        if self.unit:
            kinds = values.kinds()
            if len(kinds) > 1 or self.kinds.setdefault(self.keys, kinds) != kinds:
                raise Error(
                    f"numbers and texts are mixed under the unit /{self.unit.group(2)}",
                    self.mark(*slice),
                    "give every value as a number, or quote the numbers of a config group")
            if True in kinds:  # otherwise /m is a config group
                key = self.unit.group(1)
                values = values.times(self.unit.group(2))
        rows = Values(values.count, lambda index: f"{key}={values.at(index)}")
        return self.axis(slice, rows, (key,), values)

    def check_tuples(self, start: int, stop: int) -> None:
        """Raise if the list of a single key has tuples in it."""
        if self.tokens[start].lastgroup != "group":
            return
        parts = [self.trim(*part) for part in self.split(start, stop, "comma")]
        if len(parts) < 2 or not all(self.is_in_parentheses(*part) for part in parts):
            return
        widths = {len(list(self.split(first + 1, last - 1, "comma"))) for first, last in parts}
        if len(widths) == 1 and widths != {1}:
            text = self.text(parts[0][0], parts[1][1])
            key = self.keys[0]
            lists = text.replace("(", "[").replace(")", "]")
            raise Error(
                "tuples are for linked keys, and this is one key", self.mark(start, stop),
                f"linked keys: {key},other={text}; lists: {key}={lists};"
                f" values: {key}={text.replace('),(', ',')}")

    def parse_list(self, start: int, stop: int, depth: int) -> Values:
        """list = item { "," item }"""
        parts = self.split(start, stop, "comma")
        return joined([self.parse_item(*self.trim(*part), depth) for part in parts])

    def parse_item(self, start: int, stop: int, depth: int) -> Values:
        """item = range | spaced | file | group | literal"""
        text = self.text(start, stop)
        if not text:
            raise Error("a value is missing", self.mark(start, stop),
                        "an empty text is written ''; no white space follows a comma")
        if ":" in text and re.match(RANGE_START, text):
            return self.parse_range(text, self.mark(start, stop))
        bracket = next(self.split(start, stop, "group"))[1]
        if bracket == stop:
            self.check_dots(text, start, stop)
            return single(literal(text))
        name = self.text(start, bracket).strip()
        if name in ("lin", "log"):
            return self.parse_spaced(name, bracket, stop)
        if name in ("lines", "rows"):
            return self.parse_file(name, bracket, stop, self.keys[:1])
        if name.rpartition(".")[2] in SPACES_OF_OTHERS:
            raise self.space_of_others(name.rpartition(".")[2], bracket, stop)
        if name in HYDRA_FUNCTIONS:
            return single(literal(text))
        return self.parse_group(start, stop, depth)

    def check_dots(self, text: str, start: int, stop: int) -> None:
        """Raise if a text is a range as other languages write it: 1..3."""
        first, dots, last = text.partition("..")
        last = last.lstrip(".")
        if dots and read_number(first) and read_number(last):
            raise Error(f"{text} is no range", self.mark(start, stop),
                        f"write {first}:{last}, or quote it to keep it as text: '{text}'")

    def space_of_others(self, name: str, bracket: int, stop: int) -> Error:
        """Return the Error about a function of numpy's."""
        close = self.partners[bracket]
        numbers = [part.strip() for part in self.text(bracket + 1, close).split(",")]
        if len(numbers) == 3 and name == "logspace" and not re.search(r"[.eE]", "".join(numbers)):
            numbers[:2] = [f"1e{number}" for number in numbers[:2]]
        if len(numbers) != 3:
            numbers = ["start", "stop", "step" if name == "arange" else "count"]
        form = SPACES_OF_OTHERS[name].format(":".join(numbers))
        return Error(f"{name} is no function of the sweep language", self.mark(bracket - 1, stop),
                     f"write {form}, whose end is included")

    def parse_file(self, name: str, bracket: int, stop: int, keys: "Sequence[str]") -> Values:
        """file = ( "lines" | "rows" ) "(" path ")": the values that a file holds"""
        close = self.partners[bracket]
        mark = self.mark(bracket - 1, stop)
        path = self.text(bracket + 1, close).strip()
        if close - bracket == 2 and self.tokens[bracket + 1].lastgroup == "quoted":
            path = path[1:-1]
        if not path or close + 1 != stop:
            raise Error(f"{name} takes the path of a file, and nothing follows it", mark,
                        f"for example {name}(data.txt)")
        file = open_values(self.source, path, mark)
        values = file_lines(file) if name == "lines" else file_rows(file, keys)
        if not values:
            raise Error(f"{file.name} holds no value", mark, "each line of it is one")
        return Values(len(values), values.__getitem__)

    def parse_range(self, text: str, mark: Mark) -> Values:
        """range = [ number ] ":" number [ ":" number ] [ ":" unit ] | number ":" unit"""
        quoted = f"quote it to keep it as text: {','.join(self.keys)}='{text}'"
        fields = text.split(":")
        tail = ""
        if UNIT.fullmatch(fields[-1]):
            tail = f":{fields.pop()}"
        start, stop, step = range_numbers(fields, mark, quoted)
        if any(re.match("[+-]?0[0-9]", field) for field in fields[:2]):
            raise Error("a number of a range begins with 0", mark, quoted)
        if not step.mantissa:
            old = old_range(start, stop, step, tail)
            raise Error("range step is zero", mark, f"{old}; or {quoted}" if old else quoted)
        exponent = min(start.exponent, stop.exponent, step.exponent)
        stride = step.shifted(exponent)
        span = stop.shifted(exponent) - start.shifted(exponent)
        if span * stride < 0:
            raise Error(f"range is empty: no step of {step} leads from {start} to {stop}", mark,
                        range_hint(start, stop, step, len(fields), tail))
        if abs(stride) > abs(span) and (span or len(fields) > 2):
            raise Error(f"range step {step} is larger than the whole range", mark,
                        range_hint(start, stop, step, len(fields), tail))
        return ranged(start, step, span // stride + 1).times(tail[1:])

    def parse_spaced(self, name: str, bracket: int, stop: int) -> Values:
        """spaced = ( "lin" | "log" ) "(" number ":" number ":" count ")" [ unit ]"""
        close = self.partners[bracket]
        mark = self.mark(bracket - 1, stop)
        fields = self.text(bracket + 1, close).strip().split(":")
        numbers = [read_number(field) for field in fields]  # type: List[Any]
        unit = self.text(close + 1, stop)
        is_wrong = unit and not UNIT.fullmatch(unit)
        if is_wrong or len(numbers) != 3 or None in numbers:
            raise Error(f"{name} takes start, stop and count, and a unit behind it", mark,
                        f"for example {name}(1:100:3)")
        first, last = numbers[:2]
        count = str(numbers[2]._replace(scale=0, kept=False))
        exponent = min(first.exponent, last.exponent)
        ends = {first.shifted(exponent), last.shifted(exponent)}
        if not re.fullmatch("[0-9]{1,18}", count) or int(count) < len(ends):
            raise Error(f"{name} cannot place {count} values from {first} to {last}", mark,
                        "the count includes both ends")
        if name == "log" and first.mantissa * last.mantissa <= 0:
            raise Error("log needs both ends above zero, or both below", mark,
                        "lin(start:stop:count) goes through zero")
        if any(len(str(end.mantissa)) + abs(end.exponent) > 250 for end in (first, last)):
            raise Error(f"{name} calculates with floats, and these numbers are none", mark,
                        "write shorter numbers, with an exponent: 1.5e-9")
        return spaced(first, last, int(count), name == "log").times(unit)

    def parse_group(self, start: int, stop: int, depth: int) -> Values:
        """group = { text | "(" list ")" } [ unit ], with at least one parenthesis"""
        if depth > DEEPEST_GROUP:
            raise Error(f"groups are nested more than {DEEPEST_GROUP} deep",
                        self.mark(start, start + 1), "take some parentheses out")
        parts = []  # type: List[Values]
        unit = ""
        for begin, end in self.split(start, stop, "group"):
            if begin > start:  # behind a parenthesis
                close = self.partners[begin - 1]
                parts.append(self.parse_list(*self.trim(begin, close), depth + 1))
                begin = close + 1
            text = self.parse_group_text(begin, end)
            if end == stop and UNIT.fullmatch(text):
                unit = text
            elif text:
                parts.append(single(text))
        return grouped(parts).times(unit)

    def parse_group_text(self, start: int, stop: int) -> str:
        """Return the text of a group between its parentheses."""
        for index in range(start, stop):
            if self.tokens[index].lastgroup == "quoted":
                raise Error("quoted text cannot be a part of a group", self.mark(index, index + 1),
                            "write the values out, each in quotes as a whole")
        return self.text(start, stop)

    def parse_row(self, start: int, stop: int) -> Values:
        """row = tuple | "rows" "(" path ")" """
        bracket = next(self.split(start, stop, "group"))[1]
        name = self.text(start, bracket).strip()
        if bracket < stop and name == "rows":
            return self.parse_file(name, bracket, stop, self.keys)
        return self.parse_tuple(start, stop)

    def parse_tuple(self, start: int, stop: int) -> Values:
        """tuple = "(" list ")", with a value for each of the linked keys"""
        if not self.is_in_parentheses(start, stop):
            example = ",".join("1" for _ in self.keys)
            raise Error("linked keys take their values in parentheses", self.mark(start, stop),
                        f"for example {','.join(self.keys)}=({example})")
        values = self.parse_list(*self.trim(start + 1, stop - 1), 1)
        if values.count != len(self.keys):
            raise Error(
                f"{len(self.keys)} keys are linked, but there are {values.count} values",
                self.mark(start, stop), f"the keys are {', '.join(self.keys)}")
        return values

    def is_in_parentheses(self, start: int, stop: int) -> bool:
        """Return whether one pair of parentheses encloses a whole slice."""
        if start == stop or self.tokens[start].lastgroup != "group":
            return False
        return self.partners[start] == stop - 1


def last_field_hint(fields: "List[str]") -> str:
    """Return what to write where the last field of a range is almost right, or nothing."""
    *others, last = fields
    if not last:
        return f"leave out the last colon: {':'.join(others)}"
    if last.swapcase() in SI_UNITS:
        return f"did you mean {':'.join([*others, last.swapcase()])}?"
    return ""


def range_numbers(fields: "List[str]", mark: Mark,
                  hint: str) -> "Tuple[Number, Number, Number]":
    """Return start, stop and step of a range, whose unit is left out."""
    numbers = [read_number(field) for field in fields]
    if not fields[0]:
        numbers[0] = Number(0, 0, 0, False)
    wrong = [field for field, number in zip(fields, numbers) if number is None] + fields[3:]
    if wrong:
        message = f"{wrong[0] or 'nothing'} is no number of a range"
        raise Error(message, mark, last_field_hint(fields) or hint)
    start = stop = numbers[0]
    step = ONE  # type: Optional[Number]
    if len(numbers) > 1:
        stop = numbers[1]
    if len(numbers) > 2:
        step = numbers[2]
    assert start and stop and step
    if not fields[0]:
        start = stop._replace(mantissa=0, exponent=0)  # in the notation of the other end
    return start, stop, step


def leads(start: Number, stop: Number, step: Number) -> bool:
    """Return whether one step or more lead from start towards stop, and not beyond it."""
    exponent = min(start.exponent, stop.exponent, step.exponent)
    span = stop.shifted(exponent) - start.shifted(exponent)
    stride = step.shifted(exponent)
    return span * stride > 0 and abs(stride) <= abs(span)


def old_range(start: Number, stop: Number, step: Number, tail: str) -> str:
    """Return what to write for a range whose numbers are start:step:stop, or nothing where they
    make no sense in that order."""
    if not leads(start, step, stop):
        return ""
    return ("the order is start:stop:step; if start:step:stop was meant, as up to HydraFlow 0.15.0:"
            f" {start}:{step}:{stop}{tail}")


def range_hint(start: Number, stop: Number, step: Number, count: int, tail: str) -> str:
    """Return what to write in place of a range that has no values; count numbers spell it."""
    old = old_range(start, stop, step, tail)
    if old and count > 2:
        return old
    exponent = min(start.exponent, stop.exponent) - 1
    first, last = start.shifted(exponent), stop.shifted(exponent)
    if first == last:
        return f"write {start}"
    turned = step._replace(mantissa=-step.mantissa)
    if leads(start, stop, turned):
        return f"turn the sign of the step: {start}:{stop}:{turned}{tail}"
    tenth = Number((last - first) // 10, exponent, 0, False)
    form = f"{start}:{stop}:{tenth}{tail}"
    low, high = sorted([abs(first), abs(last)])
    if count == 2 and first * last > 0 and high >= 10 * low:
        places = len(str(high // low))
        return f"write log({start}:{stop}:{places}){tail[1:]}, or give a step: {form}"
    return f"the order is start:stop:step, for example {form}"


def flat(rows: "Iterable[Union[str, Tuple[str, ...]]]") -> "Tuple[str, ...]":
    """Return the words of rows, those of linked keys one by one."""
    words = []  # type: List[str]
    for row in rows:
        if isinstance(row, str):
            words.append(row)
        else:
            words.extend(row)
    return tuple(words)


class Sweep:
    """The product of the axes that a text, or a list of words, spells; the last axis varies
    fastest.

    count (and len, up to sys.maxsize) and indexing cost one step for each axis, iteration streams.
    Raises Error.

    >>> sweep = Sweep("model=cnn,vit lr=log(1e-4:1e-1:4)")
    >>> len(sweep), sweep[5]
    (8, ('model=vit', 'lr=0.001'))
    """
    __slots__ = ("axes",)

    def __init__(self, sweep: "Union[str, Source, Sequence[str]]" = (),
                 name: str = "sweep") -> None:
        if isinstance(sweep, str):
            sweep = Source(name, sweep)
        if isinstance(sweep, Source):
            self.axes = SweepParser(sweep, True).parse_sweep()  # type: List[Axis]
        else:
            parsers = [SweepParser(Source(name, word)) for word in sweep]
            self.axes = read_all(lambda one: one.parse_word((0, len(one.tokens))), parsers)

    @property
    def count(self) -> int:
        """How many combinations there are."""
        return count_product(self.axes)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> "Tuple[str, ...]":
        count = self.count
        if not -count <= index < count:
            raise IndexError("a sweep has combinations from 0 to its count, which is not included")
        return flat(reversed(combination(reversed(self.axes), index % count)))

    def __iter__(self) -> "Iterator[Tuple[str, ...]]":
        rows = combinations(self.axes)
        if any(axis.keys and not axis.values for axis in self.axes):
            return map(flat, rows)
        return rows

    def collect(self) -> "List[str]":
        """Return a word for each axis, its values joined by commas for Hydra to sweep over."""
        return read_all(Axis.word, self.axes)


def rows_by_index(axes: "Sequence[Axis]") -> "Iterator[List[Any]]":
    """Yield the product of the rows of axes, the last one fastest, each found by its index."""
    for index in range(count_product(axes)):
        yield combination(reversed(axes), index)[::-1]


def rows_before(heads: "Iterable[List[Any]]", axis: Axis) -> "Iterator[Tuple[Any, ...]]":
    """Yield each of the heads with each row of an axis behind it."""
    for head in heads:
        for row in axis:
            yield (*head, row)


def combinations(axes: "Sequence[Axis]", block: int = 65536) -> "Iterator[Tuple[Any, ...]]":
    """Stream the product of the rows of axes, the last one fastest, with at most about block rows
    in memory."""
    size, cut = 1, len(axes)
    while cut and size * axes[cut - 1].count <= block:
        cut -= 1
        size *= axes[cut].count
    if axes and cut == len(axes):  # the last axis alone is longer than a block
        return rows_before(rows_by_index(axes[:-1]), axes[-1])
    heads = rows_by_index(axes[:cut])
    inner = [list(axis) for axis in axes[cut:]]  # product() copies what it gets: the short ones
    return chain.from_iterable(product(*([row] for row in head), *inner) for head in heads)


def expand(sweep: "Union[str, Sequence[str]]") -> "Iterator[Tuple[str, ...]]":
    """Return an iterator over the combinations of a sweep, a text or a list of words.

    >>> list(expand("a=1:2 b=x,y|z"))
    [('a=1', 'b=x,y'), ('a=1', 'b=z'), ('a=2', 'b=x,y'), ('a=2', 'b=z')]
    """
    return iter(Sweep(sweep))


def collect(sweep: "Union[str, Sequence[str]]") -> "List[str]":
    """Return the words of a sweep, each with its values joined by commas for Hydra to sweep over.

    >>> collect("a=1:3 b=(x,y)_1 c='1,2'")
    ['a=1,2,3', 'b=x_1,y_1', "c='1,2'"]
    """
    return Sweep(sweep).collect()


# What Hydra's lexer refuses outside quotes and interpolations; compiled for a step of Hydra's.
HYDRA_REFUSES = r"[^\w/\-\\+.$%*@?|=:,()\[\]{} \t~'\"]|[^\x00-\x7f]"
HYDRA_OPTIONS = frozenset((  # those that the next word belongs to
    "--cfg", "-c", "--package", "-p", "--info", "-i", "--config-path", "-cp",
    "--config-name", "-cn", "--config-dir", "-cd", "--experimental-rerun"))


def check_hydra_words(axes: "Sequence[Axis]") -> None:
    """Raise unless Hydra can read the words of a sweep, or words that are appended, as overrides
    and options.

    >>> check_hydra_words(Sweep("model=cnn,vit -v").axes)
    """
    words = [axis.text for axis in axes]
    read_all(partial(check_hydra_word, words), enumerate(axes))


def is_bare(word: str) -> bool:
    """Return whether a word is neither an assignment nor a deletion or an option."""
    return "=" not in word and not word.startswith(("-", "~"))


def check_hydra_word(words: "Sequence[str]", place: "Tuple[int, Axis]") -> None:
    """Raise unless Hydra can read one of some words; what follows from another's mistake is not
    told again."""
    index, axis = place
    word = words[index]
    before = words[index - 1] if index else ""
    if word.startswith("-") or before in HYDRA_OPTIONS or before == "=":
        return
    follows_bare = index > 0 and is_bare(before)
    if is_bare(word):
        if not follows_bare and "${{" not in word:  # it may become an assignment
            raise bare_word(words, index, axis)
    elif word.startswith("="):
        if not follows_bare:
            raise space_beside_equals(axis)
    elif not variable_of(word.partition("=")[0]):  # a variable does not reach Hydra
        check_hydra_text(axis)


def space_beside_equals(axis: Axis) -> Error:
    """Return the Error about a key or a value that stands alone."""
    return Error("white space beside an equals sign parts a key from its value", axis.mark,
                 "write key=value without white space")


def bare_word(words: "Sequence[str]", index: int, axis: Axis) -> Error:
    """Return the Error about the first of words that are neither assignments nor options."""
    before = words[index - 1] if index else ""
    behind = list(takewhile(is_bare, words[index:]))
    after = words[index + len(behind):][:1]
    is_key = len(behind) == 1 and after and after[0].startswith("=")
    if is_key or before.endswith("="):
        return space_beside_equals(axis)
    key, equals, value = before.partition("=")
    hint = "words of the command belong into run"
    if before.startswith("-"):
        hint = f"write {before}={axis.text}, or put both into run"
    elif equals:
        quoted = hydra_text(" ".join([value, *behind]))
        hint = f"quote a value with white space: {key}={quoted}; {hint}"
    return Error(f"{axis.text} stands where key=value is expected", axis.mark, hint)


def surroundings(axis: Axis) -> "Iterator[Tuple[Match[str], str, str]]":
    """Yield each token of a word, the innermost bracket around it, or the name of the function
    whose parenthesis that is, and what stands before it."""
    opened = [""]
    before = ""
    for token in TOKEN.finditer(axis.source.text, axis.start, axis.end):
        text = token.group()
        if token.lastgroup == "close":
            opened.pop()
        yield token, opened[-1], before
        if token.lastgroup in ("group", "bracket"):
            opened.append(before if before in HYDRA_FUNCTIONS else text)
        before = text.strip() or before


def check_hydra_text(axis: Axis) -> None:
    """Raise if a word holds what Hydra takes in quotes only."""
    if axis.text.count("=") < 2 and not re.search(HYDRA_REFUSES + "|['\"]", axis.text):
        return
    has_key = False
    for token, inside, before in surroundings(axis):
        kind, text = token.lastgroup, token.group()
        if is_refused(token, has_key and inside not in HYDRA_FUNCTIONS):
            raise quotes_missing(axis, token)
        if inside == "{" and text[0] == ":" and before[-1:] in ("'", '"'):
            raise Error(f"Hydra takes no quotes around the key {before} of a dictionary",
                        axis.mark, f"write {before[1:-1]} without them")
        if kind == "equals":
            has_key = True
        elif kind == "pipe" and not inside:
            has_key = False


def is_refused(token: "Match[str]", is_value: bool) -> bool:
    """Return whether Hydra refuses a token of a key or a value outside quotes."""
    if token.lastgroup == "equals":
        return is_value
    if token.lastgroup in ("quoted", "interpolation"):
        return False
    if token.lastgroup == "escape" and token.group()[1:] in ("'", '"'):
        return True  # a backslash hides no quote
    return bool(re.search(HYDRA_REFUSES, token.group()))


def quotes_missing(axis: Axis, token: "Match[str]") -> Error:
    """Return the Error about a token that Hydra takes in quotes only."""
    sign = re.search(HYDRA_REFUSES + "|[='\"]", token.group())
    assert sign
    start = token.start() + sign.start()
    text = axis.source.text
    key, _, value = axis.text.partition("=")
    hint = f"quote the value: {key}={hydra_text(value)}"
    if start < axis.start + len(key):
        hint = "a key has no such sign"
    elif axis.count > 1:
        hint = f"quote the value that holds it: {key}='...'"
    mark = axis.source.mark(start, start + 1)
    return Error(f"Hydra refuses {text[start]!r} outside quotes", mark, hint)


def check_replaced(axis: Axis) -> None:
    """Raise if a value holds $NAME, which nothing replaces in a sweep."""
    if "$" not in axis.text:
        return
    text = axis.source.text
    for token in TOKEN.finditer(text, axis.start, axis.end):
        name = re.search(r"\$[A-Za-z_][A-Za-z0-9_]*", token.group())
        if token.lastgroup == "text" and name:
            start = token.start() + name.start()
            end = token.start() + name.end()
            if name.group() not in axis.keys or text[end:end + 1] not in ("=", ","):
                raise Error(
                    f"{name.group()} is not replaced here", axis.source.mark(start, end),
                    f"with: takes ${{{{ env.{name.group()[1:]} }}}}; quote it to keep it as text")


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
        """Return the value of a scalar as a Source that knows where each of its characters stands
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
    "directive": (
        "a directive (%) is not read", "drop the line; quote a text that begins with %"),
    "documents": (
        "several documents are not read",
        "one file holds one document: drop what follows --- or ..."),
    "tag": (
        "a tag (!) is not read",
        "drop it: each value is its text; quote a text that begins with !"),
    "complex key": (
        "a complex key (? or a collection as key) is not read", "write a plain key: key: value"),
    "nesting": (f"nesting of more than {DEEPEST_NODE} levels is not read", "take some levels out"),
    "aliases": (
        f"alias expansion beyond {MOST_COPIES} nodes is not read", "write out what is meant"),
    "digit": ("an indentation indicator at the top is not read", "drop the digit"),
    # what YAML has not
    "duplicate": ("duplicate key: {}", "it stands in line {} already"),
    "tab": ("a tab as indentation", "indent with spaces"),
    "long key": (
        f"a key longer than {LONGEST_KEY} characters", "quote the text if it is no key"),
    "bracket": (
        "a bracket is never closed",
        "close it with {}, and indent its lines more than that of its key or dash"),
    "closing": (
        "the closing bracket is not indented",
        "it stands in the column of its key, or is indented more"),
    "quote": (
        "{} is never closed",
        "close it in its line, or indent the lines that continue the text"),
    "escape": (
        "unknown escape {}",
        r"write \\ for a backslash, or use single quotes, in which it stands for itself"),
    "alias": (
        "undefined alias {}",
        "define it above with &; quote a text that begins with *; a space ends the name"),
    "anchor": (
        "an anchor cannot stand before another, or an alias",
        "one value has one anchor, and an alias has none"),
    "merge": (
        "a merge key << takes a mapping", "for example <<: *name, or <<: [*one, *two]"),
    "space": ("white space is missing {}", "put a space there, or quote the text"),
    "no colon": (
        "a colon is missing after a key",
        "write key: value; indent the line if it continues a text above"),
    "comma": (
        "a comma or {} is missing",
        "part the entries with commas; quote a text that has signs in it"),
    "colon": (
        "a colon and a space within a value",
        "quote the value; a key begins a line of its own"),
    "below": (
        "a key within a text that begins in a line above",
        "indent it like the keys above, or quote that text"),
    "text": (
        "text behind a complete value",
        "quote the value as a whole, a ' in it as ''; begin a comment with ' #'"),
    "mixed": (
        "keys and list entries in one column",
        "give a list a key of its own, and indent it below"),
    "indentation": ("wrong indentation", "begin the line in column {}, as lines above do"),
    "torn": (
        "a last line of spaces without a newline behind a block of text",
        "remove its white space: readers of YAML differ about it"),
    "blank": (
        "an empty line is indented more than the text below it", "remove its white space"),
    "dash": (
        "a list entry cannot begin here",
        "begin a list in the line below its key; quote a text that is no list"),
    "start": (
        "a value cannot begin with {}",
        "quote a text that begins with it; one of several lines begins below its | or >"),
}
UNREAD_STARTS = {"!": "tag", "?": "complex key", "-": "dash"}
UNSPACED = {"#": "before a comment", ":": "after a colon"}

# A text is parsed with "\n\0" behind it: NUL is no character of YAML (5.1), so no pattern and no
# index runs over the end. No repetition has behind it what could fail after a long match: time is
# linear. Those marked Any cannot fail.
GAP = re.compile(r"((?:[ \t]*(?:(?<![^ \t\n])#[^\n]*)?\n)*)( *)[ \t]*")  # type: Any
INDENT = re.compile(r"(?: |-(?=[ \t\n]))*")  # type: Any  # what may stand before a block collection
LINE_END = re.compile(r"[ \t]*(?:\n|(?<=[ \t])#)")
MARKER = re.compile(r"(?:---|\.\.\.)(?=[ \t\n])|\0")  # 9.1.2: in the first column, the end
DASH = re.compile(r"-(?=[ \t\n])")
COLON = re.compile(r"[ \t]*:(?=[ \t\n])")
COLON_IN_FLOW = re.compile(r":(?=[ \t\n,\[\]{}])")
SQUEEZED = r"[\w./-]+:(?=[^ \t\n])"  # a colon without its white space, looked for in a mistake
ANCHOR = re.compile(r"([&*][^ \t\n,\[\]{}\0]+)(?=[ \t\n,\]}])[ \t]*")  # 6.9.2
FOLD = re.compile(r"[ \t]*\n(?:[ \t]*\n)*( *)")
CONTINUED = re.compile(r"\n( *)(?![ \n])")
BLOCK_HEADER = re.compile(  # 8.1.1
    r"[|>](?:([1-9])([+-]?)|([+-]?)([1-9]?))[ \t]*(?:(?<=[ \t])#[^\n]*)?\n"
    r"((?: *\n)*)( *)")
QUOTED = {
    '"': re.compile(r'[^"\\\0]*(?:\\[^\0][^"\\\0]*)*'),
    "'": re.compile(r"[^'\0]*(?:''[^'\0]*)*")}  # type: Dict[str, Any]

# Plain scalars (7.3.3): how the first line goes, and a further one; what means that there is none.
PLAIN_LINE = r"(?:[ \t]*(?:[^ \t\n:#\0]+|:(?![ \t\n])|(?<=[^ \t\n])#))+"
PLAIN_START = r"(?![-?:][ \t\n]|[,\[\]{}#&*!|>'\"%@`])"
IN_BLOCK = (
    re.compile(PLAIN_START + PLAIN_LINE), re.compile(PLAIN_LINE), re.compile(r"[ \t]*:[ \t\n]|\n"))
FLOW_LINE = r"(?:[ \t]*(?:[^ \t\n:#\0,\[\]{}]+|:(?![ \t\n,\[\]{}])|(?<=[^ \t\n])#))+"
FLOW_START = r"(?![-?:][ \t\n,\[\]{}]|[,\[\]{}#&*!|>'\"%@`])"
IN_FLOW = (
    re.compile(FLOW_START + FLOW_LINE), re.compile(FLOW_LINE),
    re.compile(r":[ \t\n,\[\]{}]|[,\]}]"))

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
        self.brackets = []  # type: List[int]
        self.anchors = {}  # type: Dict[str, Optional[Tuple[Node, int]]]
        self.named = None  # type: Optional[Node]  # by the last anchor or alias
        self.parsers = {
            '"': self.parse_quoted, "'": self.parse_quoted,
            "[": self.parse_flow, "{": self.parse_flow,
            "|": self.parse_block_scalar, ">": self.parse_block_scalar}

    def error(self, construct: str, start: int, end: int = 0, word: object = "",
              hint: object = "") -> Error:
        """Return the Error about text[start:end], one character when there is no end."""
        message, advice = REFUSED[construct]
        mark = self.source.mark(start, max(end, start + 1))
        return Error(message.format(word), mark, advice.format(hint))

    def no_key(self, start: int) -> Error:
        """Return the Error about a text that is no key, with or without a colon behind it."""
        text = self.text
        squeezed = re.compile(SQUEEZED).match(text, start)
        colon = COLON.match(text, self.at)
        begin = text.rfind("\n", 0, self.at) + 1
        words = GAP.match(text, begin).end()  # the first ones of its last line
        if squeezed and (words > start or not colon):
            return self.error("space", squeezed.end() - 1, 0, "after a colon")
        if colon and words <= start:
            return self.error("colon", colon.end() - 1)
        if colon and words - begin > INDENT.match(text, self.line).end() - self.line:
            return self.error("below", words, self.at)
        return self.error("no colon", start, text.index("\n", start))

    def misplaced(self, start: int, otherwise: Error) -> Error:
        """Return the Error about a tab at an offset, or another one where there is none."""
        if self.text[start] == "\t":
            return self.error("tab", start)
        return otherwise

    def next_line(self) -> None:
        """gap = { [white] [comment] newline } indentation (6.6, 6.1)."""
        gap = GAP.match(self.text, self.at)
        if gap.end(1) == self.at > 0:  # no newline
            missing = UNSPACED.get(self.text[gap.end()])
            raise self.error("space" if missing else "text", gap.end(), 0, missing)
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
                raise self.misplaced(gap.end(2), self.unclosed(gap.end()))
        self.at = gap.end()

    def unclosed(self, at: int) -> Error:
        """Return the Error about the bracket in hand, which should go on at an offset."""
        start = self.brackets[-1]
        close = PARTNERS[self.text[start]]
        if self.text[at] == close:
            return self.error("closing", at)
        return self.error("bracket", start, 0, "", close)

    def is_outside(self, line: int, words: int, indent: int) -> bool:
        """Return whether a line, whose indentation ends at words, belongs to no scalar that is
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
            raise self.no_key(start)
        if end - start > LONGEST_KEY:
            raise self.error("long key", start)

    def check_line(self, parent: int) -> None:
        """Raise unless the line at hand may follow a node within the block collection in the column
        parent (6.1)."""
        if self.text[self.line + self.column] == "\t":
            raise self.error("tab", self.line + self.column)
        if self.column <= parent:
            return
        end = self.text.index("\n", self.at)
        if self.column == self.closed:
            construct = "space" if self.text[self.at] == "-" else "mixed"
            raise self.error(construct, self.at, end, "after a dash")
        columns = [str(column + 1) for column in (self.closed, parent) if column >= 0]
        if not columns:
            raise self.error("text", self.at, end)
        raise self.error("indentation", self.at, end, "", " or ".join(columns))

    def grow(self, start: int, levels: int, count: int) -> None:
        """Count open collections and nodes; start is that of what brings them."""
        self.depth += levels
        self.count += count
        if self.depth > DEEPEST_NODE:
            raise self.error("nesting", start)
        if self.count > MOST_COPIES + len(self.text):
            raise self.error("aliases", start)

    def sequence(self, items: "List[Node]", start: int, end: int) -> Node:
        """Return a sequence, which is closed with it."""
        self.grow(start, -1, len(items))
        return Node("sequence", items, False, self.source, start, end, None)

    def mapping(self, pairs: "List[Tuple[Node, Node]]", start: int, end: int) -> Node:
        """Return a mapping, which is closed with it."""
        self.grow(start, -1, len(pairs))
        return Node("mapping", self.merge(pairs), False, self.source, start, end, None)

    def merge(self, pairs: "List[Tuple[Node, Node]]") -> "List[Tuple[Node, Node]]":
        """Return the pairs of a mapping with what its merge key << names in front: a key of the
        mapping itself wins over one that is named, one of a mapping named earlier over one named
        later (yaml.org/type/merge.html)."""
        own = {}  # type: Dict[str, Tuple[Node, Node]]
        for pair in pairs:
            key = pair[0]
            if key.value in own:
                line = own[key.value][0].line
                raise self.error("duplicate", key.start, key.end, key.value, line)
            own[key.value] = pair
        if "<<" not in own or not own["<<"][0].plain:
            return pairs
        key, named = own.pop("<<")
        merged = self.merged(key, named)
        return [merged[name] for name in merged if name not in own] + list(own.values())

    def merged(self, key: Node, named: Node) -> "Dict[str, Tuple[Node, Node]]":
        """Return the pairs that a merge key names."""
        merged = {}  # type: Dict[str, Tuple[Node, Node]]
        for mapping in named.value if named.kind == "sequence" else [named]:
            if mapping.kind != "mapping":
                raise self.error("merge", key.start, key.end)
            self.grow(key.start, 0, len(mapping.value))
            for pair in mapping.value:
                merged.setdefault(pair[0].value, pair)
        return merged

    def scalar(self, start: int, end: int, style: str) -> Node:
        """Return the scalar text[start:end], with style as its quotes: { newlines | escape | text }
        where one newline is a space, and of more the first is dropped (6.5)."""
        if not style and self.text.find("\n", start, end) < 0:
            return Node("scalar", self.text[start:end], True, self.source, start, end, None)
        parts = []  # type: List[Tuple[str, int]]
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
        """Return the character that an escape means."""
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
        match = first.match(text, start)  # type: Optional[Match[str]]
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
                    raise self.error("indentation", at + spaces, at + len(line), "", depth + 1)
                break
            lines.append((line[depth:], at + min(depth, len(line))))
            at += len(line) + 1
        return lines, at

    def block_depth(self, header: "Match[str]", indent: int) -> int:
        """Return how many spaces indent the lines of a block scalar, which is said by a digit, or
        by its first line (8.1.1.1)."""
        digit = block_digit(header)
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
        if not indent and block_digit(header) and any(line for line, _ in lines):
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
        items = []  # type: List[Any]
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
        """Return the value behind a colon in brackets, which it may touch."""
        colon = self.at
        self.step(indent)
        if not touches and self.at == colon + 1 and self.text[self.at] in "[{":
            raise self.error("space", colon, 0, "after a colon")
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
                raise self.no_key(start)
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
        if is_below and self.is_nothing(parent, compact):
            node = self.scalar(before, before, "")
        else:
            node = self.parse_block_value(parent, compact)
        self.check_line(parent)
        return node

    def is_nothing(self, parent: int, compact: bool) -> bool:
        """Return whether the line at hand holds no value of a parent above."""
        if self.column == parent and not compact:
            return not DASH.match(self.text, self.at)
        return self.column <= parent

    def parse_block_value(self, parent: int, compact: bool) -> Node:
        """block_value = block_sequence | block_mapping | node. A collection has only spaces and
        dashes before it in its line (6.1)."""
        text, start = self.text, self.at
        indented = INDENT.match(text, self.line).end()
        name = ANCHOR.match(text, start)
        if DASH.match(text, start):
            if start > indented:
                raise self.misplaced(indented, self.error("dash", start))
            return self.parse_block_sequence()
        if name and text[start] == "&" and LINE_END.match(text, name.end()):
            return self.parse_anchored(name, parent + 1, compact)
        node = self.parse_node(parent + 1)
        if not COLON.match(text, self.at):
            self.next_line()
            return node
        if start > indented:
            raise self.misplaced(indented, self.no_key(start))
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


def block_digit(header: "Match[str]") -> str:
    """Return the indentation indicator of a block scalar, or nothing."""
    return header.group(1) or header.group(4) or ""


def chomped(lines: "List[Tuple[str, int]]", chomp: str,
            is_torn: bool) -> "List[Tuple[str, int]]":
    """Return the lines of a block scalar with their newlines, of which those at the end are kept
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
    """Return the lines of a folded block scalar: between two lines of text a newline is a space,
    with empty lines between them nothing. It stays beside a line that begins with white space
    (8.1.3)."""
    result = []  # type: List[Tuple[str, int]]
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
    """Return the root node of a YAML document, an empty scalar when there is nothing; Error, with
    its place, for what is not YAML 1.2 and for what is REFUSED.

    >>> [(key.value, node.value, node.line) for key, node in read_yaml("a: 1\\nb: no").value]
    [('a', '1', 1), ('b', 'no', 2)]
    """
    return YamlParser(read_source(text, source)).parse_document()


# ---------------------------------------------------------------------------
# 4. Job file: Node -> Job
# ---------------------------------------------------------------------------
# Job, Step, Sample, split_command, word_axes, split_words, the readers of one value each
# (read_text, read_count, read_sweep, ...), the tables STEP_KEYS and job_keys, check_job, read_jobs,
# order_needs, find_job_file, load, job_schema. A text stays a Source, so that whoever finds a
# mistake in it later can still point into the file. All mistakes of a file are collected and told
# at once, in the order of the file.

OLD_SPELLINGS = {  # of HydraFlow 0.15.1 and later; of 0.11; of 0.9 and 0.10
    "sets": "steps", "each": "batch", "all": "args", "add": "with",
    "configs": "with",
    "options": "with"}
JOB_FILES = ("hydraflow.yaml", "hydraflow.yml")


AUTO = -1  # max-parallel: as many tasks at once as this process may use processors


class Sample(NamedTuple("Sample", [("count", int), ("seed", int)])):
    """How many combinations of a step are taken at random, and which permutation they begin."""
    __slots__ = ()


class Step(NamedTuple("Step", [
        ("name", str), ("batch", Sweep), ("args", Sweep), ("with_", "Optional[Source]"),
        ("env", "Dict[str, Source]"), ("run", "Optional[Source]"), ("call", "Optional[Source]"),
        ("submit", "Optional[Source]"), ("exclude", "List[Sweep]"), ("include", "List[Sweep]"),
        ("setup", "Optional[Source]"), ("sample", "Optional[Sample]"),
        ("pack", int), ("pack_parallel", int)])):
    """A parameter sweep of a job; pack and pack_parallel are 0 where it says nothing of its own."""
    __slots__ = ()


class Job(NamedTuple("Job", [
        ("key", str), ("name", str), ("run", "Optional[Source]"), ("call", "Optional[Source]"),
        ("submit", "Optional[Source]"), ("with_", "Optional[Source]"), ("steps", "List[Step]"),
        ("hydra", "Optional[bool]"), ("env", "Dict[str, Source]"),
        ("working_directory", "Optional[Source]"), ("needs", "List[Tuple[str, Mark]]"),
        ("max_parallel", int), ("fail_fast", "Optional[bool]"), ("retries", int),
        ("timeout_minutes", float), ("python", "Optional[Source]"), ("mark", Mark),
        ("setup", "Optional[Source]"), ("pack", int), ("pack_parallel", int)])):
    """An entry under jobs: a command and its steps.

    key is its name in the file; max_parallel, pack and pack_parallel are 0 and fail_fast None where
    the file says nothing.
    """
    __slots__ = ()


TEMPLATE_NAMES = ("job.name", "task.index", "task.dir", "task.slot")  # and env.NAME, matrix.KEY
TEMPLATE = re.compile(r"\$\{\{([^{}\n]*)\}\}")
COMMAND_TOKEN = re.compile(r"""
    (?P<template>  \$\{\{[^{}\n]*\}\} )
  | (?P<single>    '[^']*' )
  | (?P<double>    "(?:[^"\\]|\\.)*" )
  | (?P<joint>     \\\n )
  | (?P<escape>    \\. )
  | (?P<variable>  \$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\}) )
  | (?P<space>     \s+ )
  | (?P<sign>      [;&|<>*`]+ | \$\( )  # a shell takes none of them for text
  | (?P<brace>     \{[^\s{}'"\\$]*\} )
  | (?P<text>      [^\s'"\\$;&|<>*`{]+ | [${] )
  | (?P<stray>     . )
""", re.VERBOSE | re.DOTALL)
QUOTED_PART = r"""(?xs)  # compiled when a command has such quotes
    (?P<template>  \$\{\{[^{}\n]*\}\} )
  | \\(?P<escaped> ["\\$`] )
  | (?P<variable>  \$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\}) )
  | (?P<sign>      ` | \$\( )
"""
SHELLS = ("sh", "bash", "dash", "zsh", "ksh")
SHELL_COMMANDS = frozenset((  # that change the shell itself, and are no programs
    "source", ".", "module", "ml", "cd", "export", "ulimit", "umask", "unset", "alias", "pushd"))
ACTIVATING = ("conda", "mamba", "micromamba", "pyenv", "spack")
ACTIVATIONS = ("activate", "shell", "load")


def variable_value(text: str, mark: Mark, environment: "Optional[Mapping[str, str]]") -> str:
    """Return the value of $NAME or ${NAME}; without an environment the text itself."""
    name = text.strip("${}")
    if environment is None:
        return text
    if name not in environment:
        raise Error(f"${name} is not set in the environment", mark,
                    f"set it, or write \\${name} for the characters themselves")
    return environment[name]


def shell_form(before: str, behind: str) -> str:
    """Return the command that calls a shell with a script, where the words that HydraFlow appends
    stand between two parts of it."""
    script = f"{before.strip()} \"$@\" {behind.strip()}".strip()
    return f"bash -c {shlex.quote(script)} bash"


def shell_hint(source: Source, token: "Match[str]") -> str:
    """Return what to write where a token asks for a shell."""
    before = source.text[:token.start()].strip()
    behind = source.text[token.end():].strip()
    sign = token.group().strip() or "&&"  # a line break parts two commands
    if token.lastgroup == "brace":
        return "write the words out, or quote them to keep them as text"
    if token.lastgroup == "text":
        return "write $HOME/"
    if sign in ("&", ";") and not behind:
        return "leave it out: no task is executed in the background"
    if sign in ("&&", ";") and before and behind:
        form = shell_form(f"{before} {sign} exec {behind}", "")
        return f"write setup: {before} beside the command {behind}, or {form}; quote what is text"
    form = shell_form(f"exec {source.text.strip()}", "")
    if sign[0] in "|<>&;":
        form = shell_form(before, f"{sign} {behind}")
    return f"write {form}; quote what is text"


def no_shell(source: Source, token: "Match[str]") -> Error:
    """Return the Error about what a shell would not take for text."""
    sign = token.group().strip() or "a line break"
    return Error(f"no shell executes this command, so {sign} would be a mere word of it",
                 source.mark(token.start(), token.end()), shell_hint(source, token))


def quoted_part(source: Source, token: "Match[str]", environment: "Optional[Mapping[str, str]]",
                part: "Match[str]") -> str:
    """Return what a template, an escape or a variable between double quotes stands for."""
    if part["sign"]:
        raise no_shell(source, token)
    mark = source.mark(token.start(), token.end())
    fixed = part["template"] or part["escaped"]
    return fixed or variable_value(part["variable"], mark, environment)


def command_part(source: Source, token: "Match[str]",
                 environment: "Optional[Mapping[str, str]]") -> str:
    """Return what a token of a command adds to a word."""
    kind, text = token.lastgroup, token.group()
    if kind == "single":
        return text[1:-1]
    if kind == "escape":
        return text[1:]
    if kind == "variable":
        return variable_value(text, source.mark(token.start(), token.end()), environment)
    if kind == "double":
        part = partial(quoted_part, source, token, environment)
        return re.sub(QUOTED_PART, part, text[1:-1])
    if kind == "stray":
        mark = source.mark(token.start(), token.end())
        hint = f"write \\{text} for the character itself"
        if text == "\\":
            raise Error("nothing follows the backslash", mark, hint)
        raise Error("quote is never closed", mark, f"close it, or {hint}")
    return text


def check_sign(source: Source, token: "Match[str]", begun: bool) -> None:
    """Raise if a token of a command is what a shell would not take for text."""
    kind, text = token.lastgroup, token.group()
    is_wrong = kind == "sign"
    if kind == "space":
        is_inside = source.text[:token.start()].strip() and source.text[token.end():].strip()
        is_wrong = "\n" in text and bool(is_inside)
    elif kind == "brace":
        is_wrong = "," in text or ".." in text
    elif kind == "text" and text.startswith("~/") and not begun:
        is_wrong = True
    if is_wrong:
        raise no_shell(source, token)


def split_command(source: Source,
                  environment: "Optional[Mapping[str, str]]") -> "List[str]":
    """Return the words of a command, split and unquoted as a shell does it, with $NAME replaced if
    there is an environment.

    >>> split_command(Source("job", "python 'my train.py' --home=$HOME"), {"HOME": "/home/ann"})
    ['python', 'my train.py', '--home=/home/ann']
    """
    words = []  # type: List[str]
    begun = False
    for token in COMMAND_TOKEN.finditer(source.text):
        check_sign(source, token, begun)
        if token.lastgroup == "space":
            begun = False
        elif token.lastgroup != "joint":
            text = command_part(source, token, environment)
            if begun:
                words[-1] += text
            else:
                words.append(text)
            begun = True
    return words


def shell_script(words: "Sequence[str]") -> int:
    """Return the index of the script in a command SHELL -c SCRIPT, or 0 where it is none."""
    names = [os.path.basename(word) for word in words]
    shell = next((index for index, name in enumerate(names) if name in SHELLS), len(words))
    options = iter(range(shell + 1, len(words) - 1))
    for index in options:
        if re.match("-[a-z]*c$", words[index]):
            return index + 1
        if words[index] in ("-o", "-O"):
            next(options, 0)  # bash -o pipefail -c SCRIPT
        elif not words[index].startswith("-"):
            break
    return 0


def check_script(source: Source) -> None:
    """Raise if a command to which words are appended is a shell's script that drops them: they
    become $1 and so on only behind a word for $0, and only a script that names them uses them."""
    words = split_command(source, None)
    index = shell_script(words)
    if not index:
        return
    script, behind = words[index], words[index + 1:]
    uses = re.search(r"\$\{?[@*1-9]", script)
    names_first = re.search(r"\$\{?0", script)  # who writes $0 knows that it is the first word
    if names_first or (uses and behind):
        return
    if not uses:
        script += ' "$@"'
    shell = os.path.basename(next(word for word in words if os.path.basename(word) in SHELLS))
    form = " ".join([*words[:index], shlex.quote(script), *(behind or [shell])])
    message = "the script uses none of the words that are appended to it"
    if uses:
        message = "the first of the appended words would be lost, as it becomes $0 of the script"
    raise Error(message, source.whole(), f"write {form}")


def masked(text: str) -> str:
    """Return a text of the same length without templates, which may hold white space."""
    return TEMPLATE.sub(lambda match: "x" * len(match.group()), text)


def template_names(texts: "Iterable[str]") -> "Set[str]":
    """Return the names in the templates of texts."""
    found = chain.from_iterable(TEMPLATE.findall(text) for text in texts)
    return {name.strip() for name in found}


def word_axes(source: "Optional[Source]") -> "List[Axis]":
    """Return the words of a text that is appended to a command, each as an Axis of one value; they
    may hold templates, and a comment is none of them."""
    if source is None:
        return []
    parser = SweepParser(Source(source.name, masked(source.text), source, [(0, 0)]), True)
    axes = []
    for slice in parser.words():
        parser.check_literal(*slice)
        start, end = parser.offsets(*slice)
        axes.append(Axis(single(source.text[start:end]), (), None, parser.source, start, end))
    return axes


def split_words(source: "Optional[Source]") -> "List[str]":
    """Return the words of a text as a sweep has them, templates included."""
    return [str(axis.at(0)) for axis in word_axes(source)]


def expect_kind(node: Node, kind: str, example: str) -> None:
    """Raise an Error unless the node is of a kind: a scalar, a sequence or a mapping."""
    if node.kind != kind:
        names = {"scalar": "a text", "sequence": "a list", "mapping": "keys with values"}
        raise Error(f"{names[kind]} is expected here, not {names[node.kind]}", node.mark,
                    f"for example {example}")
    if kind == "scalar" and "\0" in node.value:
        raise Error("no command line and no variable can hold the character U+0000", node.mark,
                    "remove it")


def items_of(node: Node) -> "List[Node]":
    """Return the items of a list, or what stands there alone."""
    if node.kind == "sequence":
        return list(node.value)
    return [node]


def written_out(node: Node) -> str:
    """Return the words that keys with values, or a list, would be as a text."""
    if node.kind == "sequence":
        return " ".join(str(item.value) for item in node.value if item.kind == "scalar")
    words = []
    for key, value in node.value:
        items = [item.value for item in items_of(value) if item.kind == "scalar"]
        words.append(f"{key.value}={','.join(items)}")
    return " ".join(words)


def expect_words(node: Node, key: str, example: str) -> None:
    """Raise an Error unless a node is a text; the hint writes its words out as one."""
    if node.kind != "scalar":
        example = written_out(node) or example
    expect_kind(node, "scalar", f"{key}: {example}")


def read_text(node: Node) -> Source:
    """Return a text that is not empty."""
    expect_kind(node, "scalar", "run: python train.py")
    if not str(node.value).strip():
        raise Error("a text is expected here, and there is none", node.mark,
                    "give a value, or drop the key")
    return node.text_source()


def no_value(template: "Match[str]", mark: Mark, names: "Iterable[str]") -> Error:
    """Return the Error about a template that nothing can take the place of; names are those that
    something can."""
    name = template.group(1).strip()
    hint = suggest(name, names)
    if name.startswith("env."):
        hint = "set it under env, above its use, or in the environment"
    elif not hint:
        hint = f"there are env.NAME, matrix.KEY, {', '.join(TEMPLATE_NAMES)}"
    return Error(f"{template.group()} has no value", mark, hint)


def check_template(source: Source, template: "Match[str]") -> None:
    """Raise if nothing ever takes the place of a template."""
    name = template.group(1).strip()
    if name not in TEMPLATE_NAMES and not re.match(r"(env|matrix)\..", name):
        raise no_value(template, source.mark(template.start(), template.end()), TEMPLATE_NAMES)


def check_templates(source: Source, start: int = 0, end: int = sys.maxsize) -> Source:
    """Return a text in which templates may stand; Error for one in text[start:end] that nothing
    ever takes the place of."""
    if "${{" not in source.text:
        return source
    read_all(partial(check_template, source), TEMPLATE.finditer(source.text, start, end))
    opened = masked(source.text).find("${{", start, end)
    if opened >= 0:
        raise Error("a template is never closed", source.mark(opened, opened + 3),
                    "close it with }} in the same line")
    return source


def check_command(source: Source) -> Source:
    """Return a command; Error for what is none, whatever the environment."""
    words = split_command(check_templates(source), None)
    word = words[0] if words else ""
    name, equals, _ = word.partition("=")
    if equals and name.isidentifier():
        raise Error(f"{word} is no program", source.whole(),
                    "variables for the tasks stand under env:")
    activation = ""
    if word in ACTIVATING and words[1:2] and words[1] in ACTIVATIONS:
        activation = f"{word} {words[1]}"
    if word in SHELL_COMMANDS or activation:
        raise Error(f"{activation or word} is a command of the shell itself, and no program",
                    source.whole(), f"write setup: {source.text} beside the command")
    return source


def read_command(node: Node) -> Source:
    """Return a command: a program and its words."""
    return check_command(read_text(node))


def read_setup(node: Node) -> Source:
    """Return lines of shell."""
    return check_templates(read_text(node))


def read_call(node: Node) -> Source:
    """Return the name of a function with its module, and words."""
    source = read_text(node)
    name = split_command(check_templates(source), None)[0]
    if not re.match(r"[^\W\d]\w*(\.[^\W\d]\w*)+$", name):
        raise Error(f"{name} is no function's name", source.whole(),
                    "for example call: package.function")
    return source


def read_words(node: Node) -> Source:
    """Return words that are appended to a command."""
    expect_words(node, "with", "hydra/launcher=joblib")
    source = read_text(node)
    for axis in word_axes(source):
        check_templates(source, axis.start, axis.end)
        if variable_of(axis.text.partition("=")[0]):
            name, _, value = axis.text[1:].partition("=")
            raise Error(f"{axis.text} sets a variable of the environment", axis.mark,
                        f"env: {{{name}: {value}}} takes it, and batch: an axis of several values")
    return source


def read_path(node: Node) -> Source:
    """Return the path of a directory."""
    return check_templates(read_text(node))


def read_name(node: Node) -> str:
    """Return a name: one line of text."""
    name = read_text(node).text
    if not name.isprintable():
        raise Error("a name is one line of printable text", node.mark, "for example name: train")
    return name


def read_flag(node: Node) -> bool:
    """Return true or false, as YAML 1.2 spells them."""
    text = str(node.value).lower()
    if node.kind != "scalar" or not node.plain or text not in ("true", "false"):
        raise Error("true or false is expected here", node.mark, "write it without quotes")
    return text == "true"


def read_count(node: Node, least: int = 1) -> int:
    """Return a whole number."""
    text = str(node.value)
    is_number = node.kind == "scalar" and re.fullmatch("[0-9]{1,9}", text)
    if not is_number or int(text) < least:
        raise Error(f"a whole number of at least {least} is expected here", node.mark,
                    "for example 4")
    return int(text)


def read_retries(node: Node) -> int:
    """Return a whole number, 0 included."""
    return read_count(node, 0)


def read_parallel(node: Node) -> int:
    """Return a whole number, or AUTO."""
    if node.kind == "scalar" and node.value == "auto":
        return AUTO
    try:
        return read_count(node)
    except Error as error:
        raise Error("a whole number of at least 1, or auto, is expected here", error.mark,
                    "for example 4; auto is as many as there are processors") from None


def read_minutes(node: Node) -> float:
    """Return a number of minutes, fractions and units included."""
    minutes = 0.0
    if node.kind == "scalar":
        minutes = read_duration(str(node.value))
    if not minutes:
        raise Error("a number of minutes above zero is expected here", node.mark,
                    "for example 90, 0.5, or with a unit: 30s, 90m, 2h")
    return minutes


def read_sweep(node: Node) -> Sweep:
    """Return a sweep; an empty text is one without axes."""
    expect_words(node, "batch", "model=cnn,vit lr=0.1,0.01")
    sweep = Sweep(node.text_source())
    read_all(check_replaced, sweep.axes)
    return sweep


def read_args(node: Node) -> Sweep:
    """Return a sweep that one word holds for each of its axes."""
    sweep = read_sweep(node)
    sweep.collect()
    for axis in sweep.axes:
        if any(map(variable_of, axis.keys)):
            raise Error(f"{axis.keys[0]} is an axis of the environment, and makes tasks",
                        axis.mark, "it belongs into batch; a single value into env")
    return sweep


def read_short_sweep(node: Node) -> Sweep:
    """Return a sweep of so few combinations that each of them can be looked at."""
    read_text(node)
    sweep = read_sweep(node)
    if sweep.count > MOST_JOINED:
        raise Error(
            f"more than {MOST_JOINED} combinations are too many for exclude and include",
            sweep.axes[0].mark, "as axes of batch they cost nothing")
    return sweep


def read_sweeps(node: Node) -> "List[Sweep]":
    """Return one sweep, or a list of them."""
    return read_all(read_short_sweep, items_of(node))


RIVALS = {"run": "call", "call": "run"}
KEYS_OF_STEPS = ("batch", "args", "exclude", "include")


def unknown_key(table: "KeyTable", key: Node) -> Error:
    """Return the Error about a key that a table has not."""
    hint = suggest(key.value, table)
    if OLD_SPELLINGS.get(key.value, key.value) in KEYS_OF_STEPS:
        hint = "it belongs into a step: steps: [{batch: a=1:3}]"
    elif not hint:
        hint = f"the keys here are {', '.join(sorted(table))}"
    return Error(f"unknown key: {key.value}", key.mark, hint)


def read_key(table: "KeyTable", seen: "Dict[str, Node]",
             pair: "Tuple[Node, Node]") -> "Tuple[str, Any]":
    """Return a key in its present spelling, and its value; seen collects those before it."""
    key, value = pair
    name = OLD_SPELLINGS.get(key.value, key.value)
    if name in seen and name in table:
        raise Error(f"{key.value} and {seen[name].value} are two spellings of one key", key.mark,
                    f"keep {name}")
    if RIVALS.get(name) in seen:
        raise Error("run and call are two commands, and there can be only one", key.mark,
                    "keep one of them, or give each a step of its own")
    seen[name] = key
    if name not in table:
        raise unknown_key(table, key)
    read = table[name][0]
    return name, read(value)


def field_of(key: str) -> str:
    """Return the name of the field of a Job or Step that holds the value of a key."""
    if key == "with":
        return "with_"
    return key.replace("-", "_")


def read_keys(table: "KeyTable", node: Node, errors: "List[Error]",
              needed: "Set[str]") -> "Tuple[Dict[str, Any], bool]":
    """Return the values of the keys of a table, as arguments for a Job or Step, with defaults for
    those that are absent or wrong; and whether those that are needed can be relied on: none of them
    is wrong, or may stand under another name."""
    seen = {}  # type: Dict[str, Node]
    pairs = dict(read_each(partial(read_key, table, seen), node.value, errors))
    values = {field_of(key): pairs.get(key, row[1]) for key, row in table.items()}
    missed = [key for key in seen if key not in pairs]
    is_sure = all(key in table and key not in needed for key in missed)
    return values, is_sure


SAMPLE_KEYS = {
    "count": (read_count, 0, "how many combinations"),
    "seed": (read_retries, 0, "which permutation of all combinations they begin"),
}  # type: KeyTable


def read_sample(node: Node) -> Sample:
    """Return how many combinations are to be taken at random."""
    if node.kind != "mapping":
        return Sample(read_count(node), 0)
    errors = []  # type: List[Error]
    values, is_sure = read_keys(SAMPLE_KEYS, node, errors, {"count"})
    if is_sure and not values["count"]:
        errors.append(Error("a sample has no count", node.mark, "sample: {count: 20, seed: 7}"))
    raise_all(errors)
    return Sample(**values)


def read_variable(pair: "Tuple[Node, Node]") -> "Tuple[str, Source]":
    """Return the name of an environment variable, and its value as written."""
    key, value = pair
    expect_kind(value, "scalar", "env: {OMP_NUM_THREADS: 1}")
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", key.value):
        raise Error(f"no environment variable can be called {key.value}", key.mark,
                    "its name has letters, digits and _, and begins with no digit")
    return key.value, check_templates(value.text_source())


def read_environment(node: Node) -> "Dict[str, Source]":
    """Return environment variables."""
    expect_kind(node, "mapping", "env: {OMP_NUM_THREADS: 1}")
    return dict(read_all(read_variable, node.value))


def read_need(names: "Set[str]", node: Node) -> "Tuple[str, Mark]":
    """Return the name of a job of the file, and where it is needed."""
    name = read_name(node)
    if name not in names:
        hint = suggest(name, names) or f"the jobs are {', '.join(sorted(names))}"
        raise Error(f"needs names no job: {name}", node.mark, hint)
    return name, node.mark


def read_needs(names: "Set[str]", node: Node) -> "List[Tuple[str, Mark]]":
    """Return one job that is needed, or a list of them."""
    return read_all(partial(read_need, names), items_of(node))


STEP_KEYS = {
    "name": (read_name, "", "a name to show"),
    "batch": (read_sweep, Sweep(), "a sweep, of which each combination is a task"),
    "args": (read_args, Sweep(), "a sweep that is a part of every task, for Hydra to sweep over"),
    "with": (read_words, None, "words that are appended to every task; they win over the job's"),
    "env": (read_environment, {}, "environment variables of the tasks"),
    "run": (read_command, None, "a command of its own: a program and its words, no shell script"),
    "call": (read_call, None, "a function to call in place of a command: package.function"),
    "setup": (read_setup, None, "lines of shell that prepare each task, in place of the job's"),
    "submit": (read_command, None, "a submission command of its own"),
    "exclude": (read_sweeps, [], "combinations to leave out: a sweep, or a list of them"),
    "include": (read_sweeps, [], "combinations to add: a sweep, or a list of them"),
    "sample": (read_sample, None, "how many combinations to take at random, or count and seed"),
    "pack": (read_count, 0, "how many tasks an array task of a scheduler takes"),
    "pack-parallel": (read_count, 0, "how many tasks of a pack are executed at once"),
}  # type: KeyTable
EMPTY_STEP = Step(**{field_of(key): row[1] for key, row in STEP_KEYS.items()})


def check_excluded(known: "Set[str]", axis: Axis) -> None:
    """Raise unless all keys of an axis of exclude are known."""
    strange = [key for key in axis.keys if key not in known]
    if strange:
        hint = suggest(strange[0], known) or "the keys of batch are the ones to exclude by"
        raise Error(f"exclude names {strange[0]}, which is no axis of batch", axis.mark, hint)
    if not axis.keys:
        raise Error(f"exclude names {axis.at(0)}, which is no axis of batch", axis.mark,
                    "a word of exclude is key=value")


def read_step(node: Node) -> Step:
    """Return a step of a job."""
    if node.kind != "mapping":
        raise Error("a step is keys with values", node.mark, "for example - batch: a=1:3")
    errors = []  # type: List[Error]
    values, is_sure = read_keys(STEP_KEYS, node, errors, {"batch"})
    step = Step(**values)
    if is_sure:
        known = set(chain.from_iterable(axis.keys for axis in step.batch.axes))
        excluded = chain.from_iterable(sweep.axes for sweep in step.exclude)
        read_each(partial(check_excluded, known), excluded, errors)
    if errors:
        raise Errors(errors)
    return step


def read_steps(node: Node) -> "List[Step]":
    """Return the steps of a job."""
    expect_kind(node, "sequence", "steps: [{batch: a=1:3}]")
    if not node.value:
        raise Error("steps are empty", node.mark, "drop the key: a job without steps is one task")
    return read_all(read_step, node.value)


def job_keys(names: "Set[str]") -> "KeyTable":
    """Return the keys of a job, each with its reader and its default; names are those of all
    jobs."""
    return {
        "name": (read_name, "", "the name to show, and hydra.job.name; the key when absent"),
        "run": (read_command, None, "the command: a program and its words, no shell script"),
        "call": (read_call, None, "the function to call in place of a command: package.function"),
        "setup": (read_setup, None, "lines of shell that prepare each task: module load cuda"),
        "submit": (read_command, None, "the command that hands the tasks to a scheduler: sbatch"),
        "with": (read_words, None, "words that are appended to every task"),
        "steps": (read_steps, [], "the sweeps, which are executed in order"),
        "hydra": (read_flag, None, "whether the command is a Hydra application: true with steps"),
        "env": (read_environment, {}, "environment variables of the tasks"),
        "working-directory": (read_path, None, "where the tasks are executed"),
        "needs": (partial(read_needs, names), [], "the jobs that must have succeeded before"),
        "max-parallel": (read_parallel, 0, "how many tasks at once, or auto"),
        "fail-fast": (read_flag, None, "true: no task is started after a failure; false: all are"),
        "retries": (read_retries, 0, "how often a task that failed is tried again"),
        "timeout-minutes": (read_minutes, 0.0, "how long a task may take: 90, 30s, 2h"),
        "pack": (read_count, 0, "how many tasks an array task of a scheduler takes"),
        "pack-parallel": (read_count, 0, "how many tasks of a pack are executed at once"),
        "python": (read_command, None, "the Python of call and of array tasks"),
    }


def move_old_command(values: "Dict[str, Any]", errors: "List[Error]") -> None:
    """Take what a submitted job has under with as its command, where it is one: up to HydraFlow
    0.15 the command stood there (with: python train.py)."""
    words = values["with_"]
    if not values["submit"] or not words or values["run"] or values["call"]:
        return
    word = split_words(words)[0]
    if "=" not in word and not word.startswith(("-", "~", "+")):
        read_each(check_command, [words], errors)
        values["run"] = words
        values["with_"] = None


def path_words(batch: Sweep) -> "List[Axis]":
    """Return the words at the front of a batch that look like a path: they belong to the command,
    as in batch: train.py lr=0.1,0.01 under run: python.

    >>> [axis.text for axis in path_words(Sweep("train.py lr=0.1,0.01"))]
    ['train.py']
    """
    def is_path(axis: Axis) -> bool:
        return is_bare(axis.text) and bool(re.search(r"[./]", axis.text))

    return list(takewhile(is_path, batch.axes))


def has_command(job: Job) -> bool:
    """Return whether there is something to execute in each step of a job; one without any command
    is a template for others.

    >>> jobs = read_jobs(read_yaml("jobs: {base: &base {retries: 1}, a: {<<: *base, run: a.sh}}"))
    >>> [has_command(job) for job in jobs.values()]
    [False, True]
    """
    if job.run or job.call or job.submit:
        return True
    return bool(job.steps) and all(step.run or step.call or step.submit for step in job.steps)


def is_hydra(job: Job) -> bool:
    """Return whether the command of a job is an application of Hydra's."""
    if job.hydra is None:
        return bool(job.steps)
    return job.hydra


def assigned_keys(axis: Axis) -> "Set[str]":
    """Return the parameters that a word assigns to; options and deletions do not."""
    words = [f"{key}=" for key in axis.keys] or [axis.text]
    return {key_of(word) for word in words if not word.startswith(("-", "~"))} - {""}


def check_assigned_once(axes: "Iterable[Axis]") -> None:
    """Raise if two words assign to one parameter."""
    errors = []
    seen = {}  # type: Dict[str, Axis]
    for axis in axes:
        for key in sorted(assigned_keys(axis)):
            first = seen.setdefault(key, axis)
            if first is not axis:
                errors.append(assigned_twice(key, first, axis))
    raise_all(errors)


def assigned_twice(key: str, first: Axis, second: Axis) -> Error:
    """Return the Error about two words that assign to one parameter."""
    place = first.mark
    hint = f"{first.text} stands in line {place.line}, column {place.column}; keep one of them"
    if len(assigned_keys(first) | assigned_keys(second)) > 1:
        hint += ", or link keys that go together: a,b=(1,x),(2,y)"
    return Error(f"{key} is assigned twice", second.mark, hint)


def check_step(job: Job, step: Step) -> None:
    """Raise unless the words of a step go together, and reach its command."""
    errors = []  # type: List[Error]
    words = word_axes(step.with_)
    rest = step.args.axes + words
    batches = [step.batch.axes[len(path_words(step.batch)):]]
    batches += [sweep.axes for sweep in step.include]
    read_each(check_assigned_once, [axes + rest for axes in batches], errors)
    if is_hydra(job):
        read_each(check_hydra_words, [*batches, step.args.axes, words], errors)
    command = step.run or job.run
    if command and not step.call and gets_words(job, step, command):
        read_each(check_script, [command], errors)
    raise_all(errors)


def gets_words(job: Job, step: Step, command: Source) -> bool:
    """Return whether words are appended to a command: all but those that it names itself."""
    if is_hydra(job) or step.with_ or job.with_:
        return True
    named = template_names([command.text])
    keys = chain.from_iterable(axis.keys or ("",) for axis in step.batch.axes + step.args.axes)
    return any(f"matrix.{key_of(f'{key}=')}" not in named for key in keys if not variable_of(key))


def check_job(job: Job) -> None:
    """Raise unless the words of a job and its steps go together, and all its steps or none of them
    have a command."""
    errors = []  # type: List[Error]
    words = word_axes(job.with_)
    read_each(check_assigned_once, [words], errors)
    if is_hydra(job):
        read_each(check_hydra_words, [words], errors)
    read_each(partial(check_step, job), job.steps or [EMPTY_STEP], errors)
    if not has_command(job) and any(step.run or step.call or step.submit for step in job.steps):
        errors.append(Error(f"a step of job {job.key} has no command", job.mark,
                            "give the job a command, or each of its steps"))
    raise_all(errors)


def read_job(table: "KeyTable", entry: "Tuple[Node, Node]") -> Job:
    """Return a job; table is that of its keys."""
    key, node = entry
    read_name(key)
    if node.kind != "mapping":
        raise Error(f"job {key.value} has no keys", node.mark,
                    "a job has at least run: with its command")
    errors = []  # type: List[Error]
    needed = {"run", "call", "submit", "steps", "hydra"}
    values, is_sure = read_keys(table, node, errors, needed)
    move_old_command(values, errors)
    values["name"] = values["name"] or key.value
    job = Job(key=key.value, mark=key.mark, **values)
    if is_sure:
        read_each(check_job, [job], errors)
    raise_all(errors)
    return job


def order_needs(jobs: "Dict[str, Job]", names: "Iterable[str]") -> "List[Job]":
    """Return jobs behind all the jobs that they need, each once; an Error names the whole
    circle."""
    order = {}  # type: Dict[str, Job]
    path = []  # type: List[str]  # jobs, each needed by the one before it
    left = {}  # type: Dict[str, Iterator[Tuple[str, Mark]]]  # what each of them still needs
    for name in names:
        needed, place = name, NOWHERE
        while needed or path:
            if needed in left:
                circle = " -> ".join([*path[path.index(needed):], needed])
                raise Error(f"needs go in a circle: {circle}", place, "drop one of them")
            if needed in jobs and needed not in order:
                path.append(needed)
                left[needed] = iter(jobs[needed].needs)
            elif not needed:
                key = path.pop()
                order[key] = jobs[key]
                del left[key]
            needed, place = next(left[path[-1]], ("", NOWHERE)) if path else ("", NOWHERE)
    return list(order.values())


def read_entries(node: Node, errors: "List[Error]") -> "List[Tuple[Node, Node]]":
    """Return the entries under jobs; add the Errors about what else stands in the file."""
    if node.kind != "mapping":
        raise Error("a job file begins with jobs:", node.mark, "hydraflow init writes an example")
    entries = []  # type: List[Tuple[Node, Node]]
    for key, value in node.value:
        if key.value == "jobs" and value.kind == "mapping":
            entries = value.value
        elif key.value == "jobs":
            errors.append(Error("jobs are names with keys below them", value.mark,
                                "hydraflow init writes an example"))
        elif not key.value.startswith("x-"):  # where anchors for several jobs can stand
            hint = suggest(key.value, ["jobs"]) or "jobs stand under jobs:"
            errors.append(Error(f"unknown key: {key.value}", key.mark, hint))
    if not entries and not errors:
        errors.append(Error("there are no jobs", node.mark,
                            "a job file begins with jobs:; hydraflow init writes an example"))
    return entries


def check_needs(jobs: "Dict[str, Job]") -> None:
    """Raise if a job needs one that has no command, or needs go in a circle."""
    for job in jobs.values():
        for name, mark in job.needs:
            if name in jobs and not has_command(jobs[name]):
                raise Error(f"needs names a job without a command: {name}", mark,
                            "it is a template for others; give it run: or call:")
    order_needs(jobs, jobs)


def check_included(jobs: "Dict[str, Job]") -> None:
    """Raise if exclude and include have more combinations in all than can be looked at."""
    steps = chain.from_iterable(job.steps for job in jobs.values())
    total = 0
    for sweep in chain.from_iterable(step.exclude + step.include for step in steps):
        total += sweep.count
        if total > MOST_JOINED:
            raise Error(f"more than {MOST_JOINED} combinations in all are too many for exclude and"
                        " include", sweep.axes[0].mark, "as axes of batch they cost nothing")


def read_jobs(node: Node) -> "Dict[str, Job]":
    """Return the jobs of a file by name; raises Errors, all that there are."""
    errors = []  # type: List[Error]
    entries = read_entries(node, errors)
    table = job_keys({key.value for key, _ in entries})
    jobs = {job.key: job for job in read_each(partial(read_job, table), entries, errors)}
    read_each(check_needs, [jobs], errors)
    read_each(check_included, [jobs], errors)
    several = {(error.line, error.column, error.message): error for error in errors}
    raise_all([several[place] for place in sorted(several)])  # what an alias repeats is told once
    return jobs


def find_job_file() -> str:
    """Return the job file of the current directory."""
    for name in JOB_FILES:
        if os.path.lexists(name):
            return name
    raise Error(
        f"no job file: there is neither {JOB_FILES[0]} nor {JOB_FILES[1]} in {os.getcwd()}",
        NOWHERE, "hydraflow init writes one; -f FILE names another, -C DIR another directory")


def load(path: str) -> "Dict[str, Job]":
    """Return the jobs of a job file by name, in its order; raises Error, or Errors with all that
    there are."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}", NOWHERE,
                    "-f FILE names the job file, -C DIR its directory") from None
    if not content.strip():
        raise Error(f"{path} is empty", NOWHERE, "hydraflow init writes an example")
    return read_jobs(read_yaml(content, path))


TEXT = {"type": ["string", "number", "boolean"], "pattern": r"\S"}  # a scalar is its text
ANY_TEXT = {"type": ["string", "number", "boolean", "null"]}


def whole_number(least: int) -> "Dict[str, Any]":
    """Return the schema of a whole number of at least 0 or 1."""
    digits = "^[0-9]{1,9}$" if least == 0 else "^(?=.*[1-9])[0-9]{1,9}$"
    number = {"type": "integer", "minimum": least, "maximum": 999999999}
    return {"anyOf": [number, {"type": "string", "pattern": digits}]}


def one_or_several(item: "Dict[str, Any]") -> "Dict[str, Any]":
    """Return the schema of an item, or a list of them."""
    return {"anyOf": [item, {"type": "array", "items": item}]}


NUMBER_SCHEMAS = {
    read_count: whole_number(1),
    read_retries: whole_number(0),
}  # type: Dict[Callable[..., Any], Dict[str, Any]]


def value_schemas() -> "Dict[Callable[..., Any], Dict[str, Any]]":
    """Return the schema of what each reader takes."""
    minutes = {"anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": "^[0-9+.][^a-zA-Z]*([eE][+-]?[0-9]+)?[smhd]?$"}]}
    variables = {
        "type": "object", "additionalProperties": ANY_TEXT,
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}}
    sample = {"anyOf": [whole_number(1), {**table_schema(SAMPLE_KEYS), "required": ["count"]}]}
    return {
        read_name: TEXT, read_command: TEXT, read_call: TEXT, read_words: TEXT, read_setup: TEXT,
        read_path: TEXT, read_sweep: ANY_TEXT, read_args: ANY_TEXT,
        read_sweeps: one_or_several(TEXT), read_needs: one_or_several(TEXT),
        read_flag: {"type": "boolean"}, **NUMBER_SCHEMAS,
        read_parallel: {"anyOf": [{"const": "auto"}, whole_number(1)]},
        read_minutes: minutes, read_environment: variables, read_sample: sample,
        read_steps: {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}},
    }


def table_schema(table: "KeyTable") -> "Dict[str, Any]":
    """Return the schema of the keys of a table, old spellings included."""
    schemas = NUMBER_SCHEMAS
    if table is not SAMPLE_KEYS:
        schemas = value_schemas()
    properties = {}  # type: Dict[str, Any]
    rivals = [["run", "call"]] if "run" in table else []
    for key, (read, _, meaning) in table.items():
        reader = getattr(read, "func", read)  # type: Any
        schema = schemas[reader]
        properties[key] = {"description": meaning, **schema}
        spellings = [key]
        for old in [old for old, new in OLD_SPELLINGS.items() if new == key]:
            properties[old] = {"description": f"the old spelling of {key}", "deprecated": True}
            properties[old].update(schema)
            rivals.extend([old, one] for one in spellings)
            spellings.append(old)
    result = {"type": "object", "properties": properties, "additionalProperties": False}
    if rivals:
        result["allOf"] = [{"not": {"required": pair}} for pair in rivals]
    return result


def job_schema() -> "Dict[str, Any]":
    """Return the JSON Schema (draft 2020-12) of the job file.

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
        "$defs": {"job": table_schema(job_keys(set())), "step": table_schema(STEP_KEYS)},
    }


# ---------------------------------------------------------------------------
# 5. Planning: Job, overrides -> Task, Task, ...
# ---------------------------------------------------------------------------
# fill, hydra_text, unquoted, count_runs, the exclusions, new_ulid, Task,
# Plan, plan, shell_text. What a mistake can be found in is prepared when a Plan is made;
# tasks are made one by one when they are asked for, so that 10**12 of them cost nothing.

SLOT = "${{ task.slot }}"  # known only when a task starts
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def fill(text: str, values: "Mapping[str, str]", mark: Mark = NOWHERE) -> str:
    """Return a text with every ${{ NAME }} replaced by its value; ${{ task.slot }} stays for the start of the task."""
    def value(match: "Match[str]") -> str:
        name = match.group(1).strip()
        if name == "task.slot":
            return SLOT
        if name in values:
            return values[name]
        if name.startswith("env.") and name[len("env."):] in os.environ:
            return os.environ[name[len("env."):]]
        raise no_value(match, mark, values)
    return TEMPLATE.sub(value, text) if "${{" in text else text


def halved(quote: str, backslashes: "Match[str]") -> str:
    """Return half of the backslashes where they stand before a quote, or at the end."""
    behind = backslashes.string[backslashes.end():backslashes.end() + 1]
    text = backslashes.group()
    return text[:len(text) // 2] if behind in ("", quote) else text


def unquoted(word: str) -> str:
    """Return a word without the quotes around its values, for programs that are not Hydra's.

    >>> unquoted("a='x y',\\"it's\\""), unquoted('a={"k": 1}')
    ("a=x y,it's", 'a={"k": 1}')
    """
    if "'" not in word and '"' not in word:
        return word
    tokens, partners = tokenize(Source("word", masked(word)))
    texts, index = [], 0
    while index < len(tokens):
        after = partners.get(index, index) + 1
        text = word[tokens[index].start():tokens[after - 1].end()]
        if tokens[index].lastgroup == "quoted":
            text = re.sub(r"\\+", partial(halved, text[0]), text[1:-1])
        texts.append(text)
        index = after
    return "".join(texts)


def is_override(word: str) -> bool:
    """Return whether a word of the command line takes the place of the job's own: key=value, but no option.

    >>> [word for word in ("a=1", "~db", "--lr=1", "x") if is_override(word)]
    ['a=1', '~db']
    """
    return bool(key_of(word)) and not word.startswith("-")


def is_multirun(words: "Sequence[str]") -> bool:
    """Return whether a command has Hydra's --multirun already; -m before a module's name is Python's own.

    >>> [is_multirun(text.split()) for text in ("python train.py -m", "python -m app", "srun python -m app -m a=1,2")]
    [True, False, True]
    """
    behind = [after for word, after in zip(words, [*words[1:], ""]) if word == "-m"]
    return "--multirun" in words or any("=" in after or not re.match(r"\w", after) for after in behind)


def count_runs(words: "Iterable[str]") -> "Optional[int]":
    """Return how many runs Hydra's own sweeper makes of override words, or None where only Hydra knows.

    >>> count_runs(["a=1,2,3", "b='x,y'", "c=choice(1,2)"]), count_runs(["a=glob(*)"])
    (6, None)
    """
    count = 1
    for word in words:
        key, equals, value = word.partition("=")
        if key == "hydra/sweeper" or key.startswith("hydra.sweeper"):
            return None
        function = re.match(r"\s*(choice|range|interval|glob|sort|shuffle|tag)\s*\(", value)
        if function and function.group(1) != "choice":
            return None
        if not equals or word[0] == "~" or not ("," in value or function):
            continue
        parser = SweepParser(Source("word", value[function.end():].rstrip()[:-1] if function else value))
        count *= sum(1 for _ in parser.split(0, len(parser.tokens), "comma"))
    return count


def same_value(word: str) -> "Tuple[str, str]":
    """Return key and value of a word such that equal numbers are equal, however they are written."""
    key, _, value = word.partition("=")
    number = read_number(value)
    if number is None:
        return key, unquoted(value)
    digits = str(number.mantissa).rstrip("0") or "0"
    return key, f"{digits}e{number.exponent + len(str(number.mantissa)) - len(digits) if digits != '0' else 0}"


class Exclusion:
    """The combinations that exclude names: each drops what agrees with it in all of its keys."""
    __slots__ = ("dropped",)

    def __init__(self, sweeps: "Sequence[Sweep]") -> None:
        self.dropped = {}  # type: Dict[Tuple[str, ...], Set[Tuple[Tuple[str, str], ...]]]
        for sweep in sweeps:
            for combination in sweep:
                pairs = tuple(sorted(map(same_value, combination)))
                self.dropped.setdefault(tuple(key for key, _ in pairs), set()).add(pairs)

    def drops(self, combination: "Sequence[str]") -> bool:
        """Return whether a combination is excluded."""
        pairs = dict(map(same_value, combination))
        return any(all(key in pairs for key in keys) and tuple((key, pairs[key]) for key in keys) in dropped
                   for keys, dropped in self.dropped.items())


def new_ulid(moment: "Optional[float]" = None) -> int:
    """Return a number that is unique and ascends in time: 48 bits of milliseconds, 80 of chance (ulid/spec).

    >>> ulid_text(new_ulid(0.0))[:10]
    '0000000000'
    """
    milliseconds = int((time.time() if moment is None else moment) * 1000)
    return milliseconds << 80 | int.from_bytes(os.urandom(10), "big") >> 1  # a spare bit: to count on never carries over


def ulid_text(number: int) -> str:
    """Return a ULID as its 26 characters."""
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


class Task(NamedTuple("Task", [
        ("number", int), ("step", int), ("index", int), ("argv", "Tuple[str, ...]"), ("key", "Tuple[str, ...]"),
        ("directory", str), ("cwd", str), ("env", "Dict[str, str]"), ("runs", "Optional[int]")])):
    """One command to execute.

    number counts from 1 within the plan, index within the step; key, by which --resume knows the task again, is the
    command line without what is made anew each time, and what only env or working-directory tell of the combination;
    directory is ${{ task.dir }}; runs is how many runs Hydra makes of it, None where that is not known.
    """
    __slots__ = ()


def override(words: "Iterable[str]", overrides: "Dict[str, str]", used: "Set[str]") -> "List[str]":
    """Return words in which those of an overridden parameter gave way to the override; used collects such keys."""
    result = []
    for word in words:
        key = key_of(word)
        if key not in overrides:
            result.append(word)
        elif key not in used:
            used.add(key)
            result.extend(Sweep([overrides[key]], "command line").collect())
    return result


def override_axes(sweep: Sweep, overrides: "Dict[str, str]", used: "Set[str]") -> "List[Axis]":
    """Return the axes of a batch in which those of an overridden parameter gave way to the override's axis."""
    axes = []  # type: List[Axis]
    for axis in sweep.axes:
        keys = list(dict.fromkeys(map(key_of, (f"{key}=" for key in axis.keys))))
        hits = [key for key in keys if key in overrides]
        if hits and len(keys) > 1:
            raise Error(f"{hits[0]} is linked with {', '.join(key for key in keys if key != hits[0])}, and cannot be"
                        " overridden alone", axis.mark, "change it in the job file")
        if not hits:
            axes.append(axis)
        elif hits[0] not in used:
            axes.extend(Sweep([overrides[hits[0]]], "command line").axes)
        used.update(hits)
    return axes


class PlannedStep:
    """A step with everything prepared that all of its tasks share."""
    __slots__ = ("job", "number", "submit", "command", "place", "is_call", "is_hydra", "sweep", "included", "exclusion",
                 "args", "with_", "env", "cwd", "matrix", "unseen", "uses_directory", "total")

    def __init__(self, job: Job, step: Step, number: int, overrides: "Dict[str, str]", options: "Sequence[str]") -> None:
        self.job, self.number = job, number
        submit = step.submit or job.submit
        words = split_command(submit, os.environ) if submit else []
        self.submit = [fill(word, {"job.name": job.name}, submit.mark(0, len(submit.text))) for word in words] if submit else []
        self.is_call = bool(step.call or job.call and not step.run)
        self.is_hydra = bool(job.steps) if job.hydra is None else job.hydra
        source = step.run or step.call or job.run or job.call
        self.place = source.mark(0, len(source.text)) if source else job.mark
        self.command = (split_command(source, os.environ) if source else []) + list(options)
        used = set()  # type: Set[str]
        self.sweep = Sweep()
        self.sweep.axes = override_axes(step.batch, overrides, used)
        self.included = [combination for sweep in step.include for combination in sweep]
        self.exclusion = Exclusion(step.exclude) if step.exclude else None
        self.args = override(step.args.collect(), overrides, used)
        own = split_words(step.with_)
        keys = set(filter(None, map(key_of, own)))
        appended = [word for word in split_words(job.with_) if key_of(word) not in keys] + own
        self.with_ = override(appended, overrides, used)
        self.with_ += override([overrides[key] for key in overrides if key not in used], overrides, used)
        self.env, self.cwd = {**job.env, **step.env}, job.working_directory
        unseen = template_names([source.text for source in [*self.env.values(), self.cwd] if source])
        names = template_names(self.command + self.with_) | unseen
        self.matrix, self.unseen = (
            {name[len("matrix."):] for name in some if name.startswith("matrix.")} for some in (names, unseen))
        self.uses_directory = "task.dir" in names
        self.total = -1 if self.exclusion else self.sweep.count + len(self.included)
        for combination in chain(self.samples(), self.included):  # what has no value is found before anything executes
            self.task(combination, 1, 1, "")

    @property
    def count(self) -> int:
        """How many tasks there are; where some are excluded, only a look at every combination tells."""
        if self.total < 0:
            self.total = sum(1 for _ in self.combinations())
        return self.total

    def samples(self) -> "Iterator[Tuple[str, ...]]":
        """Yield the first combination, and those that differ from it behind a pipe, where other keys may stand."""
        yield from islice(self.sweep, 1)
        for axis in self.sweep.axes if self.matrix else ():
            rows = {tuple(map(key_of, flat([row]))): row for row in axis} if len(axis.keys) > 1 else {}
            for row in rows.values():
                yield flat(row if one is axis else one.at(0) for one in self.sweep.axes)

    def combinations(self) -> "Iterator[Tuple[str, ...]]":
        """Yield the combinations of the batch that are not excluded, then those that are included."""
        kept = self.exclusion
        yield from (self.sweep if kept is None else (row for row in self.sweep if not kept.drops(row)))
        yield from self.included

    def tasks(self, number: int, ulid: int) -> "Iterator[Task]":
        """Yield the tasks of the step; the first one gets that number in the plan."""
        for index, combination in enumerate(self.combinations()):
            yield self.task(combination, number + index, index + 1, ulid_text(ulid + number + index))

    def task(self, combination: "Sequence[str]", number: int, index: int, ulid: str) -> Task:
        """Return the task of one combination."""
        directory = f"multirun/{ulid}"
        values = {"job.name": self.job.name, "task.index": str(index), "task.dir": directory}
        hidden = [word for word in combination if self.unseen and key_of(word) in self.unseen]  # the command line need not tell
        if self.matrix:
            values.update((f"matrix.{key_of(word)}", unquoted(word).partition("=")[2]) for word in combination)
            combination = [word for word in combination if key_of(word) not in self.matrix]
        env = {}  # type: Dict[str, str]
        for name, source in self.env.items():
            env[name] = values[f"env.{name}"] = fill(source.text, values, source.mark(0, len(source.text)))
        words = self.words(combination, values)
        key = self.words(combination, {**values, "task.dir": "${{ task.dir }}"}) if self.uses_directory else words
        program = [sys.executable, os.path.abspath(__file__), "call"] if self.is_call else []
        cwd = fill(self.cwd.text, values, self.cwd.mark(0, len(self.cwd.text))) if self.cwd else "."
        runs = count_runs([*combination, *self.args, *self.with_]) if self.is_hydra else None
        argv = program + words + self.generated(words, directory)
        return Task(number, self.number, index, tuple(argv), (*key, *hidden), directory, cwd, env, runs)

    def words(self, combination: "Sequence[str]", values: "Mapping[str, str]") -> "List[str]":
        """Return the command line of a task but for what HydraFlow generates."""
        words = [fill(text, values, self.place) for text in self.command]
        if self.is_hydra and not is_multirun(words):
            words.append("--multirun")
        own, appended = [*combination, *self.args], self.with_
        if not self.is_hydra:
            own, appended = list(map(unquoted, own)), list(map(unquoted, appended))  # before what is filled in has quotes
        return words + own + [fill(text, values, self.place) for text in appended]

    def generated(self, words: "Sequence[str]", directory: str) -> "List[str]":
        """Return the words for Hydra that the user did not give."""
        if not self.is_hydra:
            return []
        keys = set(map(key_of, words))
        pairs = (("hydra.job.name", hydra_text(self.job.name)), ("hydra.sweep.dir", directory))
        return [f"{key}={value}" for key, value in pairs if key not in keys]


class Plan:
    """The tasks of a job, step by step: count of them, made when they are asked for."""
    __slots__ = ("job", "steps", "ulid")

    def __init__(self, job: Job, words: "Sequence[str]" = ()) -> None:
        self.job, self.ulid = job, new_ulid()
        cut = list(words).index("--") if "--" in words else len(words)
        overrides = {key_of(word): word for word in words[:cut] if is_override(word)}
        options = [word for word in words[:cut] if not is_override(word)] + list(words[cut + 1:])
        steps = job.steps or [EMPTY_STEP]
        self.steps = [PlannedStep(job, step, number, overrides, options) for number, step in enumerate(steps, 1)]

    @property
    def count(self) -> int:
        """How many tasks there are."""
        return sum(step.count for step in self.steps)

    def __iter__(self) -> "Iterator[Task]":
        number = 1
        for step in self.steps:
            yield from step.tasks(number, self.ulid)
            number += step.count


def plan(job: Job, words: "Sequence[str]" = ()) -> Plan:
    """Return the tasks of a job; words are overrides, and options for the command, as all are behind "--". Raises Error.

    >>> job = read_jobs(read_yaml("jobs: {fit: {run: fit.sh, hydra: false, steps: [{batch: a=1:2}]}}"))["fit"]
    >>> [task.argv for task in plan(job, ["b=x"])]
    [('fit.sh', 'a=1', 'b=x'), ('fit.sh', 'a=2', 'b=x')]
    """
    return Plan(job, words)


def shell_text(words: "Sequence[str]") -> str:
    """Return a command line that a shell reads back as these words.

    >>> print(shell_text(["train.py", "a='x y'", ""]))
    train.py 'a='"'"'x y'"'"'' ''
    """
    return " ".join(shlex.quote(word) for word in words)


# ---------------------------------------------------------------------------
# 6. Processes: argv -> process
# ---------------------------------------------------------------------------
# spawn, capture, stop_group, find_program, process_birth; the only chapter that starts,
# signals and looks at processes. A task is wrapped in a line of POSIX sh that records its start and its exit
# status itself: whether HydraFlow still lives or not, what has finished is known.

# $1 the events, $2 the place, $3 the task's number, then the command. Both files are opened before the command starts,
# so that the end can be told even if the directory is not writable any more by then. The traps keep the shell alive
# when its group is signalled, and tell of it; the command itself starts with the defaults (POSIX sh, 2.14, trap). A
# start that cannot be recorded is no start: the task would run again after a crash. An end that finds no room on a full
# disk goes into the place, whose room was taken before. What /proc/uptime begins with: seconds since the machine started
# (proc(5)). Output of programs in Python is to come as it is made.
WRAPPER = """
trap : USR1 USR2
trap 'why=",\\"why\\":\\"interrupted\\""' HUP INT QUIT TERM
command exec 3>>"$1" 4<>"$2" 5>&2 2>/dev/null || exit 125
task=$3 why=; shift 3
: ${PYTHONUNBUFFERED=1}; export PYTHONUNBUFFERED
read -r up _ </proc/uptime || up=$(date +%s)
printf '\n{"task":%s,"event":"start","pid":%s,"up":%s}' $task $$ $up >&3 || {
    printf '{"task":%s,"event":"unstarted"}' $task >&4; exit 125; }
(exec 2>&5 3>&- 4>&- 5>&- "$@")
status=$?
read -r up _ </proc/uptime || up=$(date +%s)
printf '\n{"task":%s,"event":"end","status":%s,"up":%s%s}' $task $status $up "$why" >&3 ||
    printf '{"task":%s,"event":"end","status":%s,"up":%s%s}' $task $status $up "$why" >&4
exit $status
"""
SHELL = ("/bin/sh", "-c", WRAPPER, "hydraflow")


def native_bytes(text: str) -> bytes:
    """Return the bytes that a text of the system, an argument or a file name for example, stands for."""
    return text.encode("utf-8", "surrogateescape")


def native(text: str) -> "Union[str, bytes]":
    """Return a text as the system takes it; Python 3.6 in an ASCII locale would refuse to encode it."""
    return native_bytes(text) if os.name == "posix" else text


def environment(changes: "Mapping[str, str]") -> "Dict[Any, Any]":
    """Return the environment of this process with changes."""
    result = dict(os.environb if os.name == "posix" else os.environ)  # type: Dict[Any, Any]
    result.update((native(name), native(value)) for name, value in changes.items())
    return result


def spawn(argv: "Sequence[str]", output: "Union[int, IO[bytes], None]", cwd: str, env: "Optional[Mapping[Any, Any]]",
          errors: "Union[int, IO[bytes], None]" = subprocess.STDOUT, is_session: bool = True) -> "subprocess.Popen[bytes]":
    """Start argv without a shell, as the leader of a process group and with nothing to read; env None is ours.

    The group is a session of its own, without a terminal, unless our own session is to end it with us (PBS).
    """
    return subprocess.Popen(
        [native(word) for word in argv], stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=native(cwd), env=env,
        start_new_session=is_session, preexec_fn=None if is_session else os.setpgrp)  # noqa: PLW1509 (there are no threads)


def capture(argv: "Sequence[str]", env: "Mapping[Any, Any]", timeout: float) -> "Tuple[int, str, str]":
    """Return exit status, output and errors of a command; 127 if it cannot be started, 124 if it takes too long."""
    try:
        process = spawn(argv, subprocess.PIPE, ".", env, subprocess.PIPE)
    except OSError as error:
        return 127, "", str(error.strerror)
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        stop_group(process.pid, signal.SIGKILL)
        process.communicate()
        return 124, "", f"no answer for {timeout:.0f} seconds"
    return process.returncode, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")


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


def find_program(name: str, cwd: str = ".", env: "Mapping[str, str]" = os.environ) -> str:
    """Return the path of a program, looked up as the system does it when it starts one; "" if there is none.

    >>> find_program("sh", ".", {"PATH": "/nowhere:/bin"})
    '/bin/sh'
    """
    path = env.get("PATH") or os.environ.get("PATH") or os.defpath
    folders = [cwd] if os.path.dirname(name) else path.split(os.pathsep)
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isfile(native(path)) and os.access(native(path), os.X_OK):
            return path
    return ""


def uptime() -> float:
    """Return the seconds since the machine started, which no change of the clock touches; else those since 1970."""
    try:
        with open("/proc/uptime", "rb") as file:
            return float(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return time.time()


def boot_id() -> str:
    """Return what tells this start of the machine from all others, or nothing."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return file.read().decode("ascii").strip()
    except (OSError, ValueError):
        return ""


def process_birth(pid: int) -> int:
    """Return when a process started, in clock ticks since the machine did; 0 if there is none, or only its remains.

    Field 22 of /proc/PID/stat (proc(5)); the second field is a name that may hold anything, parentheses included.
    Where there is no /proc, 1 stands for a process that exists.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return 1 if not os.path.exists("/proc/self/stat") and is_process(pid) else 0


def is_process(pid: int) -> bool:
    """Return whether a process exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def host_name() -> str:
    """Return the name of this machine."""
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


# ---------------------------------------------------------------------------
# 7. Records: Task, Event <-> files
# ---------------------------------------------------------------------------
# Record knows every path under .hydraflow/; append_line is the one function that writes
# to a record that others may read; read_lines passes over what a kill or a full disk tore.
# State is what the events say of a task. Nothing is ever rewritten, each file has one
# machine that writes to it, and a line is written by one system call:
#
#   .hydraflow/JOB/lock                  held while a run of the job goes on
#   .hydraflow/JOB/ULID/plan.jsonl       a header, then a line for each task
#   .hydraflow/JOB/ULID/events/*.jsonl   a line when a task starts, a line when it has ended
#   .hydraflow/JOB/ULID/places/N         room kept free for the end of a task on a full disk
#   .hydraflow/JOB/ULID/logs/K/N.log     the output of task N, as it wrote it

ROOT = ".hydraflow"


def say_error(error: OSError, what: str) -> Error:
    """Return the mistake that a failed system call amounts to."""
    return Error(f"cannot {what}: {error.strerror or error}")


def append_line(path: str, values: "Dict[str, Any]") -> None:
    """Append an event, or part of a plan, as one line of JSON."""
    append_lines(path, [values])


def append_lines(path: str, lines: "Iterable[Dict[str, Any]]") -> None:
    """Append lines of JSON."""
    import json
    # The line break comes first: were the line before torn by a full disk or a kill, this one would still be whole.
    # One write on O_APPEND, as several processes of this machine append to the same file.
    data = b"".join(b"\n" + json.dumps(values, separators=(",", ":")).encode("ascii") for values in lines)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        while data:
            data = data[os.write(descriptor, data):]
    finally:
        os.close(descriptor)


def read_lines(path: str) -> "List[Dict[str, Any]]":
    """Return the lines of a file of the record that are whole; none if there is no such file."""
    import json
    try:
        with open(path, "rb") as file:
            lines = [line for line in file.read().split(b"\n") if line.startswith(b"{") and line.rstrip().endswith(b"}")]
    except OSError:
        return []
    try:
        return list(json.loads((b"[" + b",".join(lines) + b"]").decode("utf-8", "replace")))  # one call: much faster
    except ValueError:
        return [values for values in map(read_line, lines) if values is not None]


def read_line(line: bytes) -> "Optional[Dict[str, Any]]":
    """Return one line of JSON, or nothing if it is torn."""
    import json
    try:
        values = json.loads(line.decode("utf-8", "replace"))
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


class State:
    """What the events say of one task.

    name is waiting, running, succeeded, failed, interrupted, skipped, handed (to a handler of the user's) and, of what
    a scheduler has, queued; status is the exit status, 128 and more for a signal; started and ended are seconds since
    1970, 0.0 where unknown; why tells more of a failure.
    """
    __slots__ = ("name", "status", "started", "ended", "pid", "born", "run", "attempts", "why", "record")

    def __init__(self) -> None:
        self.name, self.status, self.started, self.ended = "waiting", 0, 0.0, 0.0
        self.pid, self.born, self.attempts, self.why, self.record = 0, 0, 0, "", ""
        self.run = {}  # type: Dict[str, Any]


def is_gone(state: State) -> bool:
    """Return whether the process of a running task no longer exists; another machine's are taken to live."""
    if state.run.get("host") != host_name():
        return False
    birth = process_birth(state.pid)
    return state.run.get("boot", "") != boot_id() or birth == 0 or birth != (state.born or birth)


def apply_event(state: State, event: "Dict[str, Any]", run: "Dict[str, Any]") -> None:
    """Bring a task's state up to date by one more event; run is the event that opened the file."""
    kind = event["event"]
    moment = run.get("epoch", 0.0) + event.get("up", 0.0)
    if kind == "start":
        state.name, state.why, state.status = "running", "", 0
        state.started, state.pid, state.born, state.run = moment, event["pid"], 0, run
        state.attempts += 1
    elif kind == "born":
        state.born = event["born"]
    elif kind == "end" and state.name != "skipped":
        state.status, state.ended, state.why = event["status"], moment, state.why or event.get("why", "")
        state.name = "succeeded" if state.status == 0 else "interrupted" if state.why == "interrupted" else "failed"
    elif kind in ("timeout", "interrupted"):
        state.why = kind
        if kind == "interrupted" and state.status > 128:  # the signal reached the task before us
            state.name = kind
    elif kind == "handed":
        state.name, state.why = kind, event["why"]
    elif kind == "missing":
        state.name, state.why = "failed", f"{event['missing']} of {event['runs']} runs are missing"
    elif kind in ("skipped", "lost", "cancelled"):
        state.name = "skipped" if kind == "skipped" else "interrupted"
        state.why = event.get("why", kind)


def read_events(path: str, states: "Dict[int, State]", run: "Dict[str, Any]") -> "Dict[str, Any]":
    """Bring states up to date by a file of events; return the event that opened it, or that of the file before."""
    for event in read_lines(path):
        if "task" in event:
            apply_event(states.get(event["task"]) or states.setdefault(event["task"], State()), event, run)
        elif event.get("event") == "run":
            run = event
    return run


class Record:
    """The directory in which one run of a job keeps its plan, events and logs."""
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
        name = re.sub("[^A-Za-z0-9_-]", lambda match: "".join(map("%{:02X}".format, native_bytes(match[0]))), job)
        return f"{ROOT}/{name[:200]}" + (f"%{abs(hash_text(name))}" if len(name) > 200 else "")

    @property
    def plan(self) -> str:
        """The file with a header and a line for each task."""
        return f"{self.path}/plan.jsonl"

    def events(self, writer: str = "local") -> str:
        """Return the file of the events of one writer."""
        return f"{self.path}/events/{writer}.jsonl"

    def place(self, writer: str, slot: int) -> str:
        """Return the file with room for the end of a task on a full disk."""
        return f"{self.path}/places/{writer}-{slot}"

    def log(self, number: int) -> str:
        """Return the file of the output of a task."""
        return f"{self.path}/logs/{number // 1000}/{number}.log"

    @classmethod
    def create(cls, job: str, ulid: int, header: "Dict[str, Any]") -> "Record":
        """Make the directory of a new record; it comes behind all others even if the clock was set back."""
        directory = cls.directory(job)
        try:
            os.makedirs(directory, exist_ok=True)
            if not os.path.exists(f"{ROOT}/.gitignore"):
                append_text(f"{ROOT}/.gitignore", "*\n")
            last = max([name for name in os.listdir(directory) if len(name) == 26], default="")
            record = cls(f"{directory}/{max(ulid_text(ulid), next_ulid(last))}")
            for part in ("", "events", "places", "logs"):
                os.mkdir(os.path.join(record.path, part))
            append_line(record.plan, header)
        except OSError as error:
            raise say_error(error, f"keep a record in {directory}") from None
        return record

    @classmethod
    def all(cls, job: str) -> "List[Record]":
        """Return the records of a job, the oldest first."""
        return cls.all_in(cls.directory(job))

    @classmethod
    def all_in(cls, directory: str) -> "List[Record]":
        """Return the records in the directory of a job, the oldest first."""
        try:
            names = sorted(name for name in os.listdir(directory) if len(name) == 26)
        except OSError:
            return []
        return [cls(f"{directory}/{name}") for name in names if os.path.exists(f"{directory}/{name}/plan.jsonl")]

    @classmethod
    def newest(cls) -> "List[Record]":
        """Return the newest record of every job that was run here."""
        names = sorted(os.listdir(ROOT)) if os.path.isdir(ROOT) else []
        return [records[-1] for records in (cls.all_in(f"{ROOT}/{name}") for name in names) if records]

    def tasks(self) -> "Iterator[Dict[str, Any]]":
        """Yield the lines of the plan that are tasks."""
        return (line for line in read_lines(self.plan) if "task" in line)

    def header(self) -> "Dict[str, Any]":
        """Return the first line of the plan: job, count of tasks, host, version."""
        try:
            with open(self.plan, "rb") as file:
                return read_line(file.readline() + file.readline()) or {}
        except OSError:
            return {}

    def states(self) -> "Dict[int, State]":
        """Return the state of each task that has one other than waiting; what no longer lives is interrupted."""
        states = self.told_states()
        if any(state.name == "running" and is_gone(state) for state in states.values()):
            gone = [number for number, state in states.items() if state.name == "running" and is_gone(state)]
            states = self.told_states()  # once more: they may have told their end before they went
            for number in gone:
                if states[number].name == "running":
                    states[number].name, states[number].why = "interrupted", "killed"
        return states

    def told_states(self) -> "Dict[int, State]":
        """Return what the events say."""
        states = {}  # type: Dict[int, State]
        if self.header().get("resumes"):
            for line in self.tasks():
                if "done" in line or "elsewhere" in line:
                    state = states[line["task"]] = State()
                    state.name = "succeeded" if "done" in line else "elsewhere"
                    state.record = line.get("done") or line["elsewhere"]
        run = {}  # type: Dict[str, Any]
        for path in self.event_files():
            run = read_events(path, states, run)
        return states

    def lines(self, numbers: "Iterable[int]") -> "Dict[int, Dict[str, Any]]":
        """Return the lines of the plan of some tasks; the others are not parsed."""
        wanted, found = {b'{"task":%d' % number for number in numbers}, {}
        with open(self.plan, "rb") as file:
            for line in file:
                values = read_line(line) if line[:line.find(b",")] in wanted else None
                if values:
                    found[values["task"]] = values
        return found

    def task_log(self, number: int, state: State) -> str:
        """Return the log of a task, which may be in an earlier record."""
        if not state.record:
            return self.log(number)
        ulid, _, earlier = state.record.partition("/")
        return Record(f"{os.path.dirname(self.path)}/{ulid}").log(int(earlier))

    def event_files(self) -> "List[str]":
        """Return the files with events, those behind which hold what found no room elsewhere."""
        paths = []
        for part in ("events", "places"):
            try:
                paths += [f"{self.path}/{part}/{name}" for name in sorted(os.listdir(f"{self.path}/{part}"))]
            except OSError:
                pass
        return paths


def append_text(path: str, text: str) -> None:
    """Append a text to a file of the record that no one else writes to."""
    with open(path, "ab") as file:
        file.write(native_bytes(text))


def hash_text(text: str) -> int:
    """Return a number that is the same for the same text on every machine."""
    import zlib
    return zlib.crc32(text.encode("ascii"))


def next_ulid(text: str) -> str:
    """Return the text of the ULID that follows one; of nothing the first.

    >>> next_ulid("01ARZ3NDEKTSV4RRFFQ69G5FZZ")
    '01ARZ3NDEKTSV4RRFFQ69G5G00'
    """
    number = 0
    for char in text:
        number = number << 5 | max(CROCKFORD.find(char), 0)
    return ulid_text(number + 1)


class Lock:
    """Held while a run of a job goes on: by one that resumes alone, by others together.

    The kernel lets go of it when its holder dies, however it dies. What is written in it is for the message only.
    """
    __slots__ = ("file", "path")

    def __init__(self, job: str, alone: bool) -> None:
        self.path = f"{Record.directory(job)}/lock"
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            self.file = open(self.path, "a+b")
        except OSError as error:
            raise say_error(error, f"write {self.path}") from None
        try:
            fcntl.flock(self.file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            self.file.seek(0)
            holder = self.file.read().decode("utf-8", "replace").strip()
            raise Error(f"job {job} is being run by {holder or 'another process'}", NOWHERE,
                        f"wait for it, or end it; hydraflow status {shlex.quote(job)} shows how far it is") from None
        except OSError:
            return  # a file system without locks
        self.file.truncate(0)
        self.file.write(f"process {os.getpid()} on {os.uname().nodename}".encode("utf-8", "replace"))
        self.file.flush()

    def release(self) -> None:
        """Let others run the job."""
        if hasattr(self, "file"):
            self.file.close()


# ---------------------------------------------------------------------------
# 8. Execution: Task, Task, ... -> Event, Event, ...
# ---------------------------------------------------------------------------
# Limits, Event, Signals, earlier_tasks, planned, run_tasks. One thread, one loop: start
# what there is room for, sleep until a child ends, a signal comes or a deadline passes,
# look at what has ended. It yields events and shows nothing: that is for the Screen.

GRACE = 10.0  # seconds between asking a task to stop and killing it
TICK = 0.05  # seconds between two looks at the logs
PLACE = 512  # bytes that are enough for the end of a task
MOST_PROCESSES = 32768  # at once, far more than a machine takes
BLOCK = 256  # tasks that are planned ahead, so that the plan costs few system calls


class Limits(NamedTuple("Limits", [("jobs", int), ("retries", int), ("timeout", float), ("fail_fast", bool)])):
    """How many tasks at once, how many more tries, how many seconds a try may take (0.0: any), and when to stop."""
    __slots__ = ()


class Event(NamedTuple("Event", [("kind", str), ("task", "Optional[Task]"), ("log", str), ("status", int),
                                 ("why", str), ("seconds", float)])):
    """What happened: start, retry, end, done (earlier), skip, tick (nothing, but time passed), interrupt, note."""
    __slots__ = ()


class Signals:
    """Signals that ask to stop are noted here, and wake the loop up, instead of breaking into it anywhere."""
    __slots__ = ("numbers", "reader", "writer", "old", "old_wakeup")

    def __enter__(self) -> "Signals":
        self.numbers, self.old = [], {}  # type: List[int], Dict[int, Any]
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        self.old_wakeup = None  # type: Optional[int]
        try:
            self.old_wakeup = signal.set_wakeup_fd(self.writer)
        except ValueError:  # not the main thread: then wait() comes back often enough
            return self
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD", "SIGUSR1", "SIGUSR2"):
            number = getattr(signal, name, None)
            if number is None or (signal.getsignal(number) == signal.SIG_IGN and name != "SIGCHLD"):
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
        seconds = seconds if self.old_wakeup is not None else min(seconds, 0.02)
        if select.select([self.reader], [], [], max(seconds, 0.0))[0]:
            try:
                while len(os.read(self.reader, 4096)) == 4096:
                    pass
            except BlockingIOError:
                pass

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)
        if self.old_wakeup is not None:
            signal.set_wakeup_fd(self.old_wakeup)
        os.close(self.reader)
        os.close(self.writer)


class Earlier(NamedTuple("Earlier", [("record", Record), ("number", int), ("state", State), ("is_submitted", bool)])):
    """A task of an earlier record, executed here or submitted to a scheduler."""
    __slots__ = ()


def missing_runs(runs: "Optional[int]", directory: str, cwd: str) -> int:
    """Return how many of the runs that Hydra was to make have left no numbered directory."""
    if not runs or runs < 2:
        return 0
    try:
        names = os.listdir(os.path.join(cwd, directory))
    except OSError:
        return 0  # the application was told to keep them elsewhere
    made = sum(name.isdigit() for name in names)
    return max(runs - made, 0) if made else 0


def task_line(task: Task, is_remote: bool = False) -> "Dict[str, Any]":
    """Return a task as a line of the plan; for another machine with the path of the program, as it finds it here."""
    return {"task": task.number, "step": task.step, "index": task.index, "argv": task.argv, "key": task.key,
            "dir": task.directory, "cwd": os.path.abspath(task.cwd), "env": task.env, "runs": task.runs,
            "call": task.argv[1:3] == (os.path.abspath(__file__), "call"),
            "program": find_program(task.argv[0], task.cwd, task.env) if is_remote and task.argv else ""}


def planned(record: Record, tasks: "Iterable[Task]", earlier: "Dict[Tuple[Tuple[str, ...], int], Earlier]",
            is_remote: bool = False) -> "Iterator[Tuple[Task, Optional[Earlier]]]":
    """Yield the tasks, each with what an earlier record knows of it, after they were written into the plan."""
    iterator, counts = iter(tasks), {}  # type: Iterator[Task], Dict[Tuple[str, ...], int]
    while True:
        lines, block = [], []  # type: List[Dict[str, Any]], List[Tuple[Task, Optional[Earlier]]]
        for task in islice(iterator, BLOCK):
            line, known = task_line(task, is_remote), None
            if earlier:  # without it, counting would only cost memory
                counts[task.key] = counts.get(task.key, 0) + 1
                known = earlier.get((task.key, counts[task.key]))
            if known:
                kind = "done" if known.state.name == "succeeded" else "elsewhere"
                line[kind] = f"{known.record.ulid}/{known.number}"
            lines.append(line)
            block.append((task, known))
        if not block:
            return
        append_lines(record.plan, lines)
        yield from block


def open_log(path: str) -> "IO[bytes]":
    """Open the log of a task; a further try of the task appends to it."""
    try:
        return open(path, "ab", 0)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "ab", 0)


def remove_if_empty(path: str) -> None:
    """Leave no log of a task that printed nothing."""
    try:
        if not os.stat(path).st_size:
            os.unlink(path)
    except OSError:
        pass


def signal_name(number: int) -> str:
    """Return the name of a signal.

    >>> signal_name(9), signal_name(99)
    ('SIGKILL', 'signal 99')
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def status_text(status: int, why: str) -> str:
    """Return in words how a task failed.

    >>> status_text(1, ""), status_text(137, "")
    ('exit status 1', 'SIGKILL (exit status 137)')
    """
    if why == "timeout":
        return "time limit"
    if why and why != "interrupted":
        return why
    if status > 128 and signal_name(status - 128).startswith("SIG"):
        return f"{signal_name(status - 128)} (exit status {status})"
    return f"exit status {status}"


class Process:
    """A task that runs: one that was started here, or (without a child) one that outlived an earlier HydraFlow."""
    __slots__ = ("task", "child", "earlier", "log", "slot", "attempt", "started", "deadline", "why", "born")

    def __init__(self, task: Task, slot: int, attempt: int, log: str) -> None:
        self.task, self.slot, self.attempt, self.log = task, slot, attempt, log
        self.child = None  # type: Optional[subprocess.Popen[bytes]]
        self.earlier = None  # type: Optional[Earlier]
        self.started, self.deadline, self.why, self.born = time.monotonic(), 0.0, "", 0

    @property
    def pid(self) -> int:
        """The leader of the task's process group."""
        return self.child.pid if self.child else self.earlier.state.pid if self.earlier else 0

    def poll(self) -> "Optional[int]":
        """Return the exit status when it has ended, below 0 if a signal ended the shell around it; None before."""
        if self.child:
            return self.child.poll()
        if self.earlier is None or not is_gone(self.earlier.state):
            return None
        state = self.earlier.record.states()[self.earlier.number]
        return state.status if state.ended else -int(signal.SIGKILL)


def grace() -> float:
    """Return how many seconds a task has between being asked to stop and being killed."""
    text = os.environ.get("HYDRAFLOW_GRACE", "")
    number = read_number(text or str(GRACE))
    if number is None or number.mantissa < 0:
        raise Error(f"HYDRAFLOW_GRACE is {text}, which is no number of seconds")
    return float(str(number))


class Runner:
    """The loop of run_tasks, and what it has to remember."""
    __slots__ = ("record", "queue", "limits", "writer", "events", "waiting", "running", "slots", "places", "leftovers",
                 "stopping", "step", "grace", "kill_at")

    def __init__(self, record: Record, queue: "Iterator[Tuple[Task, Optional[Earlier]]]", limits: Limits, writer: str) -> None:
        self.record, self.queue, self.limits, self.writer, self.events = record, queue, limits, writer, record.events(writer)
        self.waiting = []  # type: List[Tuple[Task, Optional[Earlier], int]]
        self.running = []  # type: List[Process]
        self.slots = list(range(min(limits.jobs, MOST_PROCESSES) - 1, -1, -1))  # the lowest free one is at the end
        self.places = {}  # type: Dict[int, str]
        self.leftovers = []  # type: List[int]
        self.stopping, self.step, self.kill_at = "", 0, 0.0
        self.grace = grace()

    def stop(self, error: OSError, what: str) -> None:
        """Start nothing more, as the system failed in what concerns all tasks; the loop tells it at its end."""
        self.stopping = str(say_error(error, what))

    def note(self, task: Task, kind: str, **values: object) -> None:
        """Append an event of a task; where that is not possible, stop, as nothing more could be remembered."""
        try:
            append_line(self.events, {"task": task.number, "event": kind, "up": uptime(), **values})
        except OSError as error:
            self.stop(error, f"write {self.events}")

    def next_task(self) -> "Optional[Tuple[Task, Optional[Earlier], int]]":
        """Return a task, what earlier records know of it and the number of the try; None at the end or at a barrier."""
        if not self.waiting:
            for task, earlier in self.queue:
                self.waiting.append((task, earlier, 1))
                break
        if not self.waiting or (self.running and self.waiting[-1][0].step != self.step):
            return None
        self.step = self.waiting[-1][0].step
        return self.waiting.pop()

    def start_tasks(self) -> "Iterator[Event]":
        """Start what there is room for."""
        while self.slots and not self.stopping:
            try:
                found = self.next_task()
            except OSError as error:
                self.stop(error, f"write {self.record.plan}")
                return
            if found is None:
                return
            task, earlier, attempt = found
            if earlier and earlier.state.name == "succeeded":
                yield Event("done", task, "", 0, "", 0.0)
                continue
            yield self.start(task, earlier, attempt)

    def start(self, task: Task, earlier: "Optional[Earlier]", attempt: int) -> Event:
        """Start one task, or wait for one that runs since before."""
        slot, log = self.slots.pop(), self.record.log(task.number)
        process = Process(task, slot, attempt, log)
        if earlier:
            process.earlier, process.log = earlier, earlier.record.log(earlier.number)
            self.running.append(process)
            return Event("start", task, process.log, 0, "runs since an earlier start", 0.0)
        argv = [word.replace(SLOT, str(slot)) for word in task.argv]
        changes = {name: value.replace(SLOT, str(slot)) for name, value in task.env.items()}
        try:
            if slot not in self.places:
                self.places[slot] = self.record.place(self.writer, slot)
                with open(self.places[slot], "wb", 0) as place:
                    place.write(b" " * PLACE)
            cwd = task.cwd.replace(SLOT, str(slot))
            if task.directory in task.cwd:
                os.makedirs(native(cwd), exist_ok=True)
            elif any("${{ task.dir }}" in word for word in task.key) or any(task.directory in text for text in changes.values()):
                os.makedirs(native(os.path.join(cwd, task.directory)), exist_ok=True)
            with open_log(log) as output:
                wrapped = [*SHELL, self.events, self.places[slot], str(task.number), *argv]
                env = environment(changes) if changes else None
                process.child = spawn(wrapped, output, cwd, env, is_session=self.writer == "local")
        except OSError as error:
            self.slots.append(slot)
            return self.not_started(process, error)
        if self.limits.timeout:
            process.deadline = process.started + self.limits.timeout
        self.running.append(process)
        return Event("start" if attempt == 1 else "retry", task, log, 0, "", 0.0)

    def not_started(self, process: Process, error: OSError) -> Event:
        """Return the event for a task that the system would not start; what concerns all tasks stops the run."""
        task = process.task
        if error.errno == errno.EAGAIN and self.running:  # too many processes at the moment: one of ours ends first
            self.waiting.append((task, None, process.attempt))
            del self.slots[len(self.running):]
            return Event("tick", None, "", 0, "", 0.0)
        why = f"cannot be started: {error.strerror or error}"
        if error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EMFILE, errno.ENFILE):
            self.stop(error, f"start task {task.number}")
            return Event("tick", None, "", 0, "", 0.0)
        self.note(task, "end", status=126, why=why)
        self.after_failure()
        return Event("end", task, process.log, 126, why, 0.0)

    def told(self, slot: int) -> bytes:
        """Return what stands in a place."""
        with open(self.places[slot], "rb", 0) as place:
            return place.read(PLACE)

    def after_failure(self) -> None:
        """Stop starting tasks, where a failure is to do that."""
        if self.limits.fail_fast and not self.stopping:
            self.stopping = "failed"

    def reap(self) -> "Iterator[Event]":
        """Look which tasks have ended."""
        for process in list(self.running):
            status = process.poll()
            if status is not None:
                self.running.remove(process)
                self.slots.append(process.slot)
                yield from self.ended(process, status)
        self.slots.sort(reverse=True)

    def ended(self, process: Process, status: int) -> "Iterator[Event]":
        """Settle what a task's end means."""
        task, why = process.task, process.why
        if process.earlier and status < 0:  # it was killed as well, and nothing is known of its end
            self.waiting.append((task, None, 1))
            return
        if status < 0 or process.earlier:  # the shell around it could not tell, or told another record
            status = 128 - status if status < 0 else status
            self.note(task, "end", status=status)
        else:
            told = self.told(process.slot)
            if told[:1] == b"{":
                self.stop(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), f"write {self.events}")
            if b"unstarted" in told:
                return
        if stop_group(process.pid, 0):
            self.leftovers.append(process.pid)
        missing = missing_runs(task.runs, task.directory, task.cwd) if status == 0 else 0
        if missing:
            why, status = f"{missing} of {task.runs} runs are missing", 1
            self.note(task, "missing", missing=missing, runs=task.runs)
        remove_if_empty(process.log)
        seconds = time.monotonic() - process.started
        if status == 0 and why != "timeout":
            yield Event("end", task, process.log, 0, why, seconds)
        elif process.attempt <= self.limits.retries and not self.stopping:
            yield Event("note", task, process.log, status, f"task {task.number} failed, and is tried again", seconds)
            self.waiting.append((task, None, process.attempt + 1))
        else:
            self.after_failure()
            yield Event("end", task, process.log, status or 1, why, seconds)

    def signal_all(self, number: int) -> None:
        """Send a signal to every process group that this run started, to those of ended tasks too."""
        for leader in [process.pid for process in self.running] + self.leftovers:
            stop_group(leader, number)

    def interrupt(self, number: int) -> Event:
        """Ask all tasks to stop; whoever asks a second time kills them. USR1 and USR2 are for the tasks alone."""
        if number in (signal.SIGUSR1, signal.SIGUSR2):
            self.signal_all(number)
            return Event("note", None, "", 0, f"passed {signal_name(number)} on to the tasks", 0.0)
        if self.stopping == "interrupted":
            self.signal_all(signal.SIGKILL)
            return Event("note", None, "", 0, "killing the tasks", 0.0)
        self.stopping, self.kill_at = "interrupted", time.monotonic() + self.grace
        for process in self.running:
            process.why = "interrupted"
            self.note(process.task, "interrupted")
        self.signal_all(number)
        names = {process.task.number for process in self.running}
        return Event("interrupt", None, "", number, f"{signal_name(number)}: waiting for {len(names)} running tasks; once more"
                     " kills them" if names else signal_name(number), 0.0)

    def note_births(self) -> None:
        """Note when the processes of tasks were born: with its number, that tells one from all that come later.

        Only of those that take a while: reading it takes longer than many a task, and only who outlives us is looked for.
        """
        now = time.monotonic()
        for process in self.running:
            if process.child and not process.born and now - process.started > TICK:
                process.born = process_birth(process.pid)
                if process.born:
                    self.note(process.task, "born", born=process.born)

    def enforce_deadlines(self) -> None:
        """Stop what has run too long, and kill what does not stop."""
        now = time.monotonic()
        if self.kill_at and now >= self.kill_at:
            self.signal_all(signal.SIGKILL)
            self.kill_at = now + self.grace
        for process in self.running:
            if process.deadline and now >= process.deadline:
                number = signal.SIGKILL if process.why == "timeout" else signal.SIGTERM
                if process.why != "timeout":
                    process.why = "timeout"
                    self.note(process.task, "timeout")
                process.deadline = now + self.grace
                stop_group(process.pid, number)

    def loop(self, signals: Signals) -> "Iterator[Event]":
        """Yield events until nothing runs and nothing more is to be started."""
        append_line(self.events, {"event": "run", "host": host_name(), "boot": boot_id(), "pid": os.getpid(),
                                  "born": process_birth(os.getpid()), "epoch": time.time() - uptime()})
        while True:
            yield from self.start_tasks()
            if not self.running and (self.stopping or not self.waiting):
                break
            deadlines = [process.deadline - time.monotonic() for process in self.running if process.deadline]
            signals.wait(min([TICK, *deadlines]))
            while signals.numbers:
                yield self.interrupt(signals.numbers.pop(0))
            yield from self.reap()
            self.note_births()
            self.enforce_deadlines()
            yield Event("tick", None, "", 0, "", 0.0)
        if self.stopping == "interrupted":
            self.signal_all(signal.SIGKILL)  # what the tasks left behind
        elif self.stopping.startswith("error:"):
            yield Event("note", None, "", 0, self.stopping, 0.0)

    def end(self) -> None:
        """Leave nothing running, whatever broke the loop."""
        if self.running:
            self.signal_all(signal.SIGTERM)
            limit = time.monotonic() + min(self.grace, 2.0)
            while time.monotonic() < limit and any(process.poll() is None for process in self.running):
                time.sleep(0.01)
            self.signal_all(signal.SIGKILL)
        for slot, path in self.places.items():
            try:
                if self.told(slot)[:1] == b" ":
                    os.unlink(path)
            except OSError:
                pass  # a directory that is read-only by now: the blank file says nothing to who reads it


def run_tasks(record: Record, queue: "Iterator[Tuple[Task, Optional[Earlier]]]", limits: Limits, writer: str = "local"
              ) -> "Iterator[Event]":
    """Execute tasks, several at once, and yield what happens; nothing runs any more when it ends, however it ends.

    A step begins when all tasks of the step before have ended. INT, TERM and HUP stop it; other errors of the
    system that concern all tasks, a full disk for example, let the running ones end and are told as a note.
    """
    with Signals() as signals:
        runner = Runner(record, queue, limits, writer)
        try:
            yield from runner.loop(signals)
        finally:
            runner.end()


# ---------------------------------------------------------------------------
# 9. Clusters: Task, Task, ... -> array job
# ---------------------------------------------------------------------------
# Scheduler (a row of facts for each), SCHEDULERS, Submission, submit, job_script,
# run_element, queue_states, merged_states. A step becomes one array job; its index is a
# slot of the submission, looked up in the record, never a parameter. An element executes
# its tasks with run_tasks and its own file of events, after a look whether they have
# succeeded already. What the events say comes first, what the scheduler says second; a
# state that is not known, or a query that fails, means that the task is still there.

PASSING = ("(?i)timed? ?out|unexpected message|unable to contact|connection|temporar|try again|busy|communication|"
           "socket|not responding|resource temporarily|cannot connect|can't connect|no answer")
TRIES = (1.0, 2.0, 4.0, 8.0)  # seconds between tries of what failed in passing
ENDED = {  # how schedulers call an end that the task could not tell itself
    "TIMEOUT": "time limit", "DEADLINE": "time limit", "OUT_OF_MEMORY": "out of memory", "NODE_FAIL": "node failure",
    "BOOT_FAIL": "node failure", "CANCELLED": "cancelled", "PREEMPTED": "preempted", "REVOKED": "cancelled",
    "FAILED": "ended without a word", "COMPLETED": "ended without a word", "EXIT": "ended without a word",
    "DONE": "ended without a word", "X": "ended without a word", "F": "ended without a word", "": "gone from the queue",
}
SAID = (  # what schedulers write behind the output of an element that they end
    ("out of memory", rb"(?i)memory limit|MEMLIMIT|oom.kill|out of memory|: v?mem .*exceeded"),
    ("time limit", rb"(?i)TIME LIMIT|RUNLIMIT|walltime .*exceeded"),
)
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "PEND", "PSUSP", "WAIT",
           "qw", "hqw", "hRwq", "Rq", "Q", "H", "W", "T")


class Refusal(Error):
    """A submission that failed: the job file may be right, so the exit status is 1."""

    status = 1


class Submission(NamedTuple("Submission", [
        ("number", int), ("step", int), ("scheduler", str), ("job_id", str), ("name", str), ("slots", "List[List[int]]"),
        ("after", "List[Tuple[str, int]]"), ("limits", "List[Any]"), ("must_succeed", bool)])):
    """An array job of a record: the tasks of each slot, and the submissions (record, number) that come before it."""
    __slots__ = ()


class Scheduler(NamedTuple("Scheduler", [
        ("name", str), ("index", str), ("options", "Callable[[Record, Submission, int, List[str]], List[str]]"),
        ("job_id", str), ("query", "Tuple[str, ...]"), ("read", "Callable[[str], Iterator[Tuple[str, str, str, str]]]"),
        ("cancel", "Tuple[str, ...]"), ("limit", "Tuple[Tuple[str, ...], str, int]"), ("forgotten", str),
        ("variables", str)])):
    """What differs between schedulers.

    index is the variable with the slot; options makes those of a submission, with its throttle and the ids that it
    waits for; job_id finds the id in what a submission prints; query, with ids, lists elements, which read yields as
    (job id, slots, state, reason); limit is a command, what to find in its output, and the limit elsewhere; forgotten
    matches what is said of a job that is gone; variables are those that a surrounding job sets.
    """
    __slots__ = ()


def slurm_options(record: Record, submission: Submission, throttle: int, ids: "List[str]") -> "List[str]":
    """Return the options of sbatch (sbatch(1)); a percent sign of a path is doubled, as it begins a pattern."""
    log = f"{record.path}/scheduler/{submission.number}-".replace("%", "%%")
    options = ["--parsable", f"--job-name={submission.name}", f"--output={log}%a.out", "--open-mode=append",
               f"--array=1-{len(submission.slots)}" + (f"%{throttle}" if throttle else "")]
    if ids:
        kind = "afterok" if submission.must_succeed else "afterany"
        options += [f"--dependency={kind}:{':'.join(ids)}", "--kill-on-invalid-dep=yes"]
    return options


def gridengine_options(record: Record, submission: Submission, throttle: int, ids: "List[str]") -> "List[str]":
    """Return the options of qsub of Grid Engine (qsub(1)); -hold_jid waits for the end, whatever it was."""
    log = f"{record.path}/scheduler/{submission.number}-$TASK_ID.out"
    return ["-terse", "-N", submission.name, "-t", f"1-{len(submission.slots)}", *(["-tc", str(throttle)] if throttle else []),
            "-o", log, "-j", "y", "-S", "/bin/sh", "-b", "n", *(["-hold_jid", ",".join(ids)] if ids else [])]


def pbs_options(record: Record, submission: Submission, throttle: int, ids: "List[str]") -> "List[str]":
    """Return the options of qsub of PBS (qsub(1B)); an array of one element is refused there, so it is a plain job."""
    several = len(submission.slots) > 1
    log = f"{record.path}/scheduler/{submission.number}-" + ("^array_index^" if several else "1") + ".out"
    array = f"1-{len(submission.slots)}" + (f"%{throttle}" if throttle else "")
    kind = "afterok" if submission.must_succeed else "afterany"
    return ["-N", submission.name[:15], *(["-J", array] if several else []), "-o", log, "-j", "oe", "-S", "/bin/sh",
            *(["-W", f"depend={kind}:{':'.join(ids)}"] if ids else [])]


def lsf_options(record: Record, submission: Submission, throttle: int, ids: "List[str]") -> "List[str]":
    """Return the options of bsub (bsub(1)); -ti ends what can never begin, which would wait for ever."""
    array = f"{submission.name}[1-{len(submission.slots)}]" + (f"%{throttle}" if throttle else "")
    kind, orphans = ("done", ["-ti"]) if submission.must_succeed else ("ended", [])
    return ["-J", array, "-o", f"{record.path}/scheduler/{submission.number}-%I.out",
            *(["-w", " && ".join(f"{kind}({number})" for number in ids), *orphans] if ids else [])]


def read_columns(text: str) -> "Iterator[Tuple[str, str, str, str]]":
    """Yield the elements of squeue and bjobs, in the formats of their rows."""
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) >= 4:
            yield fields[0], fields[1], fields[2].split(" ")[0], fields[3]


def read_qstat(text: str) -> "Iterator[Tuple[str, str, str, str]]":
    """Yield the elements of qstat of Grid Engine: id, priority, name, user, state, date, time, ..., slots, task ids."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[0].isdigit():
            yield fields[0], fields[-1], fields[4], ""


def read_qstat_t(text: str) -> "Iterator[Tuple[str, str, str, str]]":
    """Yield the elements of qstat -t of PBS: id[index].server, name, user, time, state, queue."""
    for line in text.splitlines():
        match = re.match(r"(\d+)(?:\[(\d*)\])?\S*\s.*\s([A-Z])\s+\S+\s*$", line)
        if match and match.group(2) != "":  # not the row of a whole array
            yield match.group(1) + ("[]" if match.group(2) else ""), match.group(2) or "1", match.group(3), ""


SCHEDULERS = {row.name: row for row in (
    Scheduler("slurm", "SLURM_ARRAY_TASK_ID", slurm_options, r"^(\d+)(?:;|\s|$)",
              ("squeue", "-h", "-r", "-t", "all", "-o", "%F|%K|%T|%r", "-j"), read_columns, ("scancel",),
              (("scontrol", "show", "config"), r"MaxArraySize\s*=\s*(\d+)", 1001), "Invalid job id",
              r"SLURM_(?!CONF$|CONF_SERVER$|CLUSTERS$|TIME_FORMAT$)|SLURMD_|SBATCH_(ARRAY_INX|WAIT|WAIT_ALL_NODES)$|PMI"),
    Scheduler("gridengine", "SGE_TASK_ID", gridengine_options, r"^(\d+)", ("qstat", "-u", "*"), read_qstat, ("qdel",),
              (("qconf", "-sconf"), r"max_aj_tasks\s+(\d+)", 75000), "",
              r"SGE_(?!ROOT$|CELL$|QMASTER_PORT$|EXECD_PORT$|CLUSTER_NAME$)|(JOB_ID|JOB_NAME|JOB_SCRIPT|TASK_ID|QUEUE|"
              r"RESTARTED|NSLOTS|NQUEUES|NHOSTS|PE|PE_HOSTFILE|REQUEST|ARC|ENVIRONMENT)$"),
    Scheduler("pbs", "PBS_ARRAY_INDEX", pbs_options, r"^(\d+(?:\[\])?)", ("qstat", "-t"), read_qstat_t, ("qdel",),
              (("qmgr", "-c", "print server"), r"max_array_size\s*=\s*(\d+)", 10000), "Unknown Job Id|Job has finished",
              r"PBS_(?!DEFAULT$|SERVER$|CONF_FILE$|EXEC$)|PMI"),
    Scheduler("lsf", "LSB_JOBINDEX", lsf_options, r"Job <(\d+)>",
              ("bjobs", "-a", "-noheader", "-o", "jobid jobindex stat pend_reason delimiter='|'"), read_columns, ("bkill",),
              (("bparams", "-a"), r"MAX_JOB_ARRAY_SIZE\s*=\s*(\d+)", 1000), "is not found|No matching job|already finished",
              r"LSB_(?!BSUB_PARSE_SCRIPT$)|LS_|PMI"),
)}


def scheduler_of(words: "Sequence[str]") -> "Optional[Scheduler]":
    """Return the scheduler of a submission command; the two that have a qsub are told apart by asking it."""
    program = os.path.basename(words[0])
    if program == "sbatch":
        return SCHEDULERS["slurm"]
    if program == "bsub":
        return SCHEDULERS["lsf"]
    if program == "qsub":
        _, out, errors = capture([words[0], "--version"], environment({}), 20.0)
        return SCHEDULERS["pbs" if "pbs_version" in out + errors or "PBS" in out + errors else "gridengine"]
    return None


def outer_environment(scheduler: Scheduler) -> "Dict[Any, Any]":
    """Return the environment without the variables of a job that surrounds us, which would rule the new one."""
    return {name: value for name, value in environment({}).items() if not re.match(scheduler.variables, os.fsdecode(name))}


def ask(argv: "Sequence[str]", scheduler: Scheduler, timeout: float = 60.0, delays: "Sequence[float]" = TRIES
        ) -> "Tuple[int, str, str]":
    """Return what a command of the scheduler answers, after more tries where it fails in passing."""
    for delay in (*delays, None):
        status, out, errors = capture(argv, outer_environment(scheduler), timeout)
        if status in (0, 127) or delay is None or not (status == 124 or re.search(PASSING, errors)):
            break
        time.sleep(delay)
    return status, out, errors


def array_limit(scheduler: Scheduler) -> int:
    """Return how many elements an array may have; Slurm's limit is that of the index, so one more than allowed."""
    command, pattern, usual = scheduler.limit
    status, out, _ = ask(command, scheduler, 20.0, ())
    match = re.search(pattern, out) if status == 0 else None
    limit = int(match.group(1)) if match else usual
    return max(limit - 1 if scheduler.name == "slurm" else limit, 1)


def packed(numbers: "Sequence[int]", pack: int, limit: int) -> "List[List[int]]":
    """Return the tasks of each slot: pack tasks, or as many as the limit of slots makes necessary.

    >>> packed([1, 2, 3, 4, 5], 1, 2)
    [[1, 2, 3], [4, 5]]
    """
    size = max(pack, -(-len(numbers) // limit), 1)
    return [list(numbers[start:start + size]) for start in range(0, len(numbers), size)]


# The record's copy of this file is imported, so that its byte code is kept: compiling takes longer than many a task.
ELEMENT = 'import sys; sys.path[0] = sys.argv[1]; import hydraflow; sys.exit(hydraflow.main(["element"] + sys.argv[1:]))'


def job_script(record: Record, submission: Submission, python: str) -> str:
    """Return the script of an array job: no text of a parameter, nothing from the environment but the index."""
    command = shell_text([python, "-c", ELEMENT, record.path, str(submission.number)])
    index = SCHEDULERS[submission.scheduler].index
    return ("#!/bin/sh\n# HydraFlow executes here the tasks of one slot; plan and slots stand beside this file.\n"
            f"exec {command} \"${{{index}:-1}}\"\n")


def check_python(python: str) -> None:
    """Raise an Error unless a program is a Python that can execute HydraFlow."""
    if python == sys.executable:
        return
    status, out, errors = capture([python, "-c", "import sys; print(sys.version_info >= (3, 6))"], environment({}), 60.0)
    if status or out.strip() != "True":
        raise Error(f"{python} is no Python 3.6 or later", NOWHERE,
                    errors.strip() or "python: in the job, or HYDRAFLOW_PYTHON, names it")


def submission_words(words: "Sequence[str]", scheduler: Scheduler, options: "Sequence[str]", script: str) -> "List[str]":
    """Return the submission command; our options come behind the user's, where they win."""
    if scheduler.name == "lsf":
        return [*words, *options, "/bin/sh", shlex.quote(script)]
    return [*words, *options, script]


def prepared(record: Record, step: PlannedStep, scheduler: Scheduler, slots: "List[List[int]]", limits: Limits,
             after: "List[Tuple[str, int]]") -> Submission:
    """Return the submission of a step; its name is unique, so that it can be found where an answer got lost."""
    name = re.sub("[^A-Za-z0-9_]", "_", step.job.name)
    name = f"{'' if name[:1].isalpha() else 'j'}{name}.{record.ulid[-6:]}.{step.number}"
    must_succeed = step.job.fail_fast is not False
    return Submission(step.number, step.number, scheduler.name, "", name, slots, after, list(limits), must_succeed)


def send(words: "Sequence[str]", scheduler: Scheduler, name: str) -> str:
    """Submit, and return the job's id; the Error of a refusal is the scheduler's own message."""
    for delay in (*TRIES, None):
        status, out, errors = capture(words, outer_environment(scheduler), 120.0)
        match = re.search(scheduler.job_id, out, re.MULTILINE) if status == 0 else None
        if match:
            return match.group(1)
        if scheduler.name == "slurm" and status == 124:  # not known whether it was accepted: look before the next try
            _, found, _ = ask(("squeue", "-h", "-o", "%F", f"--name={name}"), scheduler)
            if found.strip():
                return found.split()[0]
        if delay is None or not (status == 124 or re.search(PASSING, errors)):
            break
        time.sleep(delay)
    raise Refusal(f"{words[0]} refused: {(errors.strip() or out.strip() or f'exit status {status}')}")


def cancel_jobs(record: Record, submissions: "Iterable[Submission]") -> str:
    """Cancel array jobs; return what went wrong. A note stays, as not every scheduler remembers why a job is gone."""
    wrong = []
    append_text(f"{record.path}/cancelled", "")
    for submission in submissions:
        scheduler = SCHEDULERS[submission.scheduler]
        status, _, errors = ask([*scheduler.cancel, submission.job_id], scheduler)
        if status and not re.search(scheduler.forgotten or "$^", errors):
            wrong.append(errors.strip())
    return "\n".join(wrong)


def write_submission(record: Record, submission: Submission) -> None:
    """Write a submission into the record, in one piece."""
    os.makedirs(f"{record.path}/submissions", exist_ok=True)
    os.makedirs(f"{record.path}/scheduler", exist_ok=True)
    path = f"{record.path}/submissions/{submission.number}.json"
    append_line(path + ".new", submission._asdict())
    os.rename(path + ".new", path)


def submit(record: Record, submission: Submission, words: "Sequence[str]", throttle: int, python: str) -> Submission:
    """Submit a step as one array job; return the submission with its id. Raises the Error of a refusal."""
    scheduler = SCHEDULERS[submission.scheduler]
    script = f"{record.path}/step-{submission.number}.sh"
    write_submission(record, submission)
    append_text(script, job_script(record, submission, python))
    earlier = [one for path, number in submission.after for one in read_submissions(Record(path)) if one.number == number]
    options = scheduler.options(record, submission, throttle, [one.job_id for one in earlier])
    job_id = send(submission_words(words, scheduler, options, script), scheduler, submission.name)
    submission = submission._replace(job_id=job_id)
    write_submission(record, submission)
    return submission


def hand_over(words: "Sequence[str]", path: str) -> int:
    """Execute a handler with a file of commands as its last argument, and return its exit status."""
    with Signals() as signals:
        process = spawn([*words, path], None, ".", environment({}), None)
        while process.poll() is None:
            signals.wait(0.2)
            while signals.numbers:
                stop_group(process.pid, signals.numbers.pop(0))
    return 128 - process.returncode if process.returncode < 0 else process.returncode


def read_submissions(record: Record) -> "List[Submission]":
    """Return the submissions of a record."""
    try:
        names = [name for name in os.listdir(f"{record.path}/submissions") if name.endswith(".json")]
    except OSError:
        return []
    lines = [line for name in names for line in read_lines(f"{record.path}/submissions/{name}")]
    return sorted(Submission(**line) for line in lines)


def element_states(record: Record, submission: Submission, slot: int) -> "Dict[int, State]":
    """Return what earlier elements of a slot, requeued or submitted twice, have told of their tasks."""
    states = {}  # type: Dict[int, State]
    for path in element_files(record, submission, slot):
        read_events(path, states, {})
    return states


def element_files(record: Record, submission: Submission, slot: int) -> "List[str]":
    """Return the files of events that earlier elements of a slot have written."""
    return [path for path in record.event_files() if os.path.basename(path).startswith(f"{submission.number}-{slot}-")]


def tasks_of(record: Record, number: int) -> "List[int]":
    """Return the tasks of a submission of a record."""
    return [task for one in read_submissions(record) if one.number == number for slot in one.slots for task in slot]


def scheduler_logs(record: Record, task: int) -> "List[str]":
    """Return the files of what a scheduler and the elements themselves wrote beside the output of a task."""
    return [f"{record.path}/scheduler/{one.number}-{slot}.out" for one in read_submissions(record)
            for slot, numbers in enumerate(one.slots, 1) if task in numbers]


def has_failed(record: Record, number: int) -> bool:
    """Return whether a submission, or one that it waits for, has tasks of which it is known that they did not succeed."""
    states = record.told_states()
    if any(task in states and states[task].name in ("failed", "interrupted", "skipped") for task in tasks_of(record, number)):
        return True
    return any(has_failed(Record(path), before) for one in read_submissions(record) if one.number == number and one.must_succeed
               for path, before in one.after)


def may_begin(record: Record, submission: Submission) -> bool:
    """Return whether all has succeeded that an element waits for, where the scheduler cannot tell (Grid Engine).

    The first element that finds out leaves it in a file, so that a thousand of them don't read a thousand files each.
    """
    if not submission.must_succeed or submission.scheduler != "gridengine" or not submission.after:
        return True
    verdict = f"{record.path}/submissions/{submission.number}.before"
    if not os.path.exists(verdict):
        waited = [(Record(path).told_states(), tasks_of(Record(path), number)) for path, number in submission.after]
        passed = all(task in states and states[task].name == "succeeded" for states, tasks in waited for task in tasks)
        append_text(verdict, "succeeded\n" if passed else "failed\n")
    with open(verdict, encoding="ascii") as file:
        return file.read().startswith("succeeded")


def run_element(path: str, number: int, slot: int) -> "Iterator[Event]":
    """Execute the tasks of one slot of a submission that have not succeeded yet."""
    record = Record(path)
    submission = next(found for found in read_submissions(record) if found.number == number)
    states, limits = element_states(record, submission, slot), Limits(*submission.limits)
    # Event files are read in the order of their names: a requeued element's come behind those that it goes on from.
    attempt = len(element_files(record, submission, slot)) + 1
    numbers, writer = submission.slots[slot - 1], f"{number}-{slot}-{attempt:04d}-{host_name()}-{os.getpid()}"
    lines, begins = record.lines(numbers), may_begin(record, submission)

    def queue() -> "Iterator[Tuple[Task, Optional[Earlier]]]":
        for task in numbers:
            state = states.get(task) or State()
            if not begins or (limits.fail_fast and os.path.exists(f"{record.path}/failed")):
                why = "another task has failed" if begins else "what it waits for has failed"
                append_line(record.events(writer), {"task": task, "event": "skipped", "why": why, "up": uptime()})
                continue
            yield line_task(lines[task]), Earlier(record, task, state, True) if state.name == "succeeded" else None

    for event in run_tasks(record, queue(), limits._replace(fail_fast=False), writer):  # the queue skips them, and says so
        if event.kind == "end" and event.status and limits.fail_fast:
            append_text(f"{record.path}/failed", "")
        yield event
    remove_if_empty(f"{record.path}/scheduler/{number}-{slot}.out")


def line_task(line: "Dict[str, Any]") -> Task:
    """Return the task that a line of a plan describes."""
    argv = list(line["argv"])
    if line.get("call"):  # in an element: its own Python, and the record's copy of this file
        argv[:2] = [sys.executable, os.path.abspath(__file__)]
    elif line.get("program") and os.access(line["program"], os.X_OK):
        argv[0] = line["program"]
    return Task(line["task"], line["step"], line["index"], tuple(argv), tuple(line["key"]), line["dir"], line["cwd"],
                line["env"], line["runs"])


def slot_numbers(text: str) -> "List[int]":
    """Return the numbers of a list with ranges.

    >>> slot_numbers("1,3-5,10-20:5")
    [1, 3, 4, 5, 10, 15, 20]
    """
    numbers = []  # type: List[int]
    for match in re.finditer(r"(\d+)(?:-(\d+)(?::(\d+))?)?", text):
        numbers.extend(range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1)))
    return numbers


def queue_states(submissions: "Sequence[Submission]") -> "Tuple[Dict[Tuple[str, int], Tuple[str, str]], str]":
    """Return what the schedulers know of elements, by job id and slot, as (state, reason), and what went wrong.

    One query for each scheduler, whatever the number of elements.
    """
    found, wrong = {}, ""  # type: Dict[Tuple[str, int], Tuple[str, str]], str
    for name in sorted({submission.scheduler for submission in submissions}):
        scheduler, ids = SCHEDULERS[name], [one.job_id for one in submissions if one.scheduler == name]
        words = {"slurm": [",".join(ids)], "pbs": ids, "lsf": ids}.get(name, [])
        status, out, errors = ask([*scheduler.query, *words], scheduler, delays=TRIES[:2])  # somebody waits for the answer
        if status and not re.search(scheduler.forgotten or "$^", errors):
            wrong = f"{scheduler.query[0]}: {errors.strip() or f'exit status {status}'}"
        for job_id, slots, state, reason in scheduler.read(out):
            for slot in slot_numbers(slots) or [1]:
                found[job_id, slot] = (state, reason)
    return found, wrong


def merged_states(record: Record) -> "Tuple[Dict[int, State], str]":
    """Return the states of a record's tasks, its own events merged with what the scheduler knows, and what went wrong."""
    states, submissions = record.states(), read_submissions(record)
    elsewhere = {}  # type: Dict[str, Dict[int, State]]
    for number, state in states.items():
        if state.name == "elsewhere":
            ulid, _, other = state.record.partition("/")
            if ulid not in elsewhere:
                elsewhere[ulid] = merged_states(Record(f"{os.path.dirname(record.path)}/{ulid}"))[0]
            found = elsewhere[ulid].get(int(other)) or State()
            found.record = state.record
            states[number] = found
    open_ones = [one for one in submissions if any(is_open(states.get(task) or State()) for slot in one.slots for task in slot)]
    if not open_ones:
        return states, ""
    queue, wrong = queue_states(open_ones)
    told = record.states()  # once more: what ended while we asked has told so by now
    states.update((number, state) for number, state in told.items() if state.name != "elsewhere")
    for submission in open_ones:
        blocked = submission.must_succeed and any(has_failed(Record(path), number) for path, number in submission.after)
        for slot, numbers in enumerate(submission.slots, 1):
            queued, reason = queue.get((submission.job_id, slot), ("", ""))
            for task in [states.setdefault(number, State()) for number in numbers]:
                if queued in ENDED and is_open(task) and not (wrong and not queued):
                    settle(task, cause_of(record, submission, slot, queued), blocked)
                elif is_open(task) and task.name != "failed":
                    await_end(task, queued, reason)
    return states, wrong


def is_open(state: State) -> bool:
    """Return whether the scheduler may know more of a task than the task has told: a signal may be its doing."""
    is_signalled = state.name == "failed" and state.status > 128 and not state.why
    return is_signalled or state.name not in ("succeeded", "failed", "skipped")


def cause_of(record: Record, submission: Submission, slot: int, state: str) -> str:
    """Return why a scheduler ended an element: by its state, else by what it wrote behind the element's output."""
    if state not in ENDED or ENDED[state] not in (ENDED[""], ENDED["FAILED"]):
        return ENDED.get(state, "")
    if os.path.exists(f"{record.path}/cancelled"):
        return "cancelled"
    try:
        with open(f"{record.path}/scheduler/{submission.number}-{slot}.out", "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - 4096, 0))
            said = file.read()
    except OSError:
        said = b""
    return next((cause for cause, pattern in SAID if re.search(pattern, said)), ENDED[state])


def settle(task: State, cause: str, is_blocked: bool) -> None:
    """Bring the state of a task up to date whose element has ended, and that has not told its own end, or not why."""
    is_known = cause not in (ENDED[""], ENDED["FAILED"])
    if task.name == "failed":  # by a signal
        task.name, task.why = ("interrupted", cause) if is_known else ("failed", "")
    elif is_blocked and not task.attempts:
        task.name, task.why = "skipped", "what it waits for has failed"
    else:
        task.name, task.why = "interrupted", cause if is_known or task.why != "interrupted" else task.why


def await_end(task: State, state: str, reason: str) -> None:
    """Bring the state of a task up to date whose element is in the queue, or (without a state) not known to be gone."""
    if re.search("never ?satisfied", reason, re.IGNORECASE):  # of Slurm, and of LSF
        task.name, task.why = "skipped", "what it waits for has failed"
    elif state in WAITING:
        task.name, task.why = "queued", "requeued" if task.attempts else ""
    elif task.name == "waiting" or state and task.name == "interrupted":
        task.name, task.why = "queued", ""  # the element is there: its task has not begun, or its end will be told


def earlier_tasks(job: str) -> "Dict[Tuple[Tuple[str, ...], int], Earlier]":
    """Return the tasks of a job's records that have succeeded, run or are queued, by command line and occurrence."""
    found = {}  # type: Dict[Tuple[Tuple[str, ...], int], Earlier]
    for record in Record.all(job):
        states, _ = merged_states(record)
        counts = {}  # type: Dict[Tuple[str, ...], int]
        submitted = {task for one in read_submissions(record) for slot in one.slots for task in slot}
        for line in record.tasks():
            key, state = tuple(line["key"]), states.get(line["task"])
            counts[key] = counts.get(key, 0) + 1
            if state is None or state.record or state.name not in ("succeeded", "running", "queued"):
                continue
            if state.name == "succeeded" and missing_runs(line.get("runs"), line["dir"], line["cwd"]):
                continue
            found[key, counts[key]] = Earlier(record, line["task"], state, line["task"] in submitted)
    return found


# ---------------------------------------------------------------------------
# 10. Reports: Event, Event, ... -> text
# ---------------------------------------------------------------------------
# say, Screen (output of the tasks, progress line, summary), status and logs of a record.
# A task's output goes to standard output, what HydraFlow has to say to standard error.
# The screen reads the logs: from a line that is not complete yet it starts again the next
# time, so that nothing of a log, however long its lines, is kept in memory.

CHUNK = 65536  # bytes of a log that are looked at together, and the longest line that is shown as one
TERMINAL_CONTROLS = (  # compiled when there is output to show
    r"(?s)\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b.?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # ECMA-48
COLOURS = r"\x1b\[[0-9;]*m"


def say(text: str, stream: "Optional[IO[str]]" = None) -> None:
    """Write a line for a person; what the stream cannot encode is escaped, who does not listen any more is let go."""
    stream = stream or sys.stderr
    encoding = getattr(stream, "encoding", None) or "utf-8"
    write(stream, (text + "\n").encode("utf-8" if encoding.lower() == "utf-8" else encoding, "backslashreplace"))


def write(stream: "IO[str]", data: bytes) -> None:
    """Write bytes at once to a stream of text."""
    raw = getattr(stream, "buffer", None)
    try:
        stream.flush()
        if raw is None:  # replaced by a caller: an io.StringIO, for example
            stream.write(data.decode("utf-8", "replace"))
            return
        try:
            descriptor = raw.fileno()
        except OSError:  # another kind of replacement
            raw.write(data)
            return
        rest = memoryview(data)
        while rest:  # not through the buffer: that of Python 3.6 loses bytes when a signal comes while it writes
            rest = rest[os.write(descriptor, rest):]
    except BrokenPipeError:
        pass  # the reader has gone; the tasks go on


def harmless(data: bytes) -> str:
    """Return bytes as a text that moves no cursor; colours stay.

    >>> harmless(b"\\x1b[2Jred \\xff")
    'red \\ufffd'
    """
    text = data.decode("utf-8", "replace")
    return re.sub(TERMINAL_CONTROLS, lambda match: match[0] if re.fullmatch(COLOURS, match[0]) else "", text)


def last_state(line: bytes) -> bytes:
    """Return what a terminal would show of a line in which carriage returns start again."""
    return next((part for part in reversed(line.split(b"\r")) if part.strip()), b"")


def duration_text(seconds: float) -> str:
    """Return a duration for people.

    >>> [duration_text(seconds) for seconds in (0.04, 12.34, 75, 36610)]
    ['0.0 s', '12.3 s', '1:15', '10:10:10']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def counted(count: int, what: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "task"), counted(12000, "task")
    ('1 task', '12,000 tasks')
    """
    return f"{count_text(count)} {what}{'' if count == 1 else 's'}"


def count_text(count: int) -> str:
    """Return a count in digits; Python writes no number that has more than 4,300 of them."""
    return f"{count:,}" if count < 10 ** 1000 else "more than 10^1000"


def tail_lines(path: str, count: int) -> "List[str]":
    """Return the last lines of a log that are not empty."""
    try:
        with open(path, "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - CHUNK // 8, 0))
            lines = file.read().split(b"\n")
    except OSError:
        return []
    texts = (re.sub(COLOURS, "", harmless(last_state(line))).rstrip() for line in lines)
    return [text[:400] for text in texts if text.strip()][-count:]


def task_text(task: Task) -> str:
    """Return a command line that executes a task in a shell, where it would be executed."""
    words = [word.replace(SLOT, "0") for word in task.argv]
    env = [f"{name}={value.replace(SLOT, '0')}" for name, value in task.env.items()]
    text = shell_text((["env", *env] if env else []) + words)
    return text if os.path.abspath(task.cwd) == os.getcwd() else f"(cd {shlex.quote(task.cwd)} && {text})"


class Failure:
    """Failures that end in the same line: how many, and one of them."""
    __slots__ = ("count", "event", "lines")

    def __init__(self, event: Event, lines: "List[str]") -> None:
        self.count, self.event, self.lines = 1, event, lines


class Screen:
    """Shows events as they come: output of the tasks, a progress line on a terminal, a line per task elsewhere."""
    __slots__ = ("total", "jobs", "quiet", "is_live", "is_raw", "following", "rows", "partial", "counts", "failures",
                 "begun", "spent", "signal", "notes", "drawn", "running")

    def __init__(self, total: int, jobs: int, quiet: bool) -> None:
        self.total, self.jobs, self.quiet = total, jobs, quiet
        self.is_live = sys.stderr.isatty() and not quiet and os.environ.get("TERM", "dumb") != "dumb"
        self.is_raw = not sys.stdout.isatty()
        self.following = {}  # type: Dict[int, List[Any]]
        self.rows, self.partial, self.drawn, self.running = 0, "", "", 0
        self.counts = {"succeeded": 0, "failed": 0, "interrupted": 0, "skipped": 0, "earlier": 0}
        self.failures = {}  # type: Dict[str, Failure]
        self.begun, self.spent, self.signal = time.monotonic(), 0.0, 0
        self.notes = []  # type: List[str]

    def show(self, event: Event) -> None:
        """Show one event."""
        if event.kind in ("start", "retry") and event.task:
            self.following[event.task.number] = [event.log, 0]
        elif event.kind == "done":
            self.counts["earlier"] += 1
        elif event.kind == "skip" and event.task:
            self.counts["skipped"] += 1
            self.line(f"task {event.task.number} skipped: {event.why}  [{self.done()}/{self.total}]")
        elif event.kind == "end" and event.task:
            self.follow(event.task.number, True)
            self.following.pop(event.task.number, None)
            self.ended(event, event.task)
        elif event.kind in ("note", "interrupt"):
            self.signal = self.signal or (event.status if event.kind == "interrupt" else 0)
            if event.kind == "note" and event.why.startswith("error:"):
                self.notes.append(event.why)
            elif not self.quiet:
                self.line(event.why)
        elif event.kind == "tick":
            for number in list(self.following):
                self.follow(number, False)
            self.draw()

    def ended(self, event: Event, task: Task) -> None:
        """Count a task that has ended, and tell of it."""
        name = "succeeded" if event.status == 0 else "interrupted" if event.why == "interrupted" else "failed"
        self.counts[name] += 1
        self.spent += event.seconds
        if name == "failed":
            lines = tail_lines(event.log, 5)
            last = lines[-1] if lines else status_text(event.status, event.why)
            if last in self.failures:
                self.failures[last].count += 1
            elif len(self.failures) < 1000:
                self.failures[last] = Failure(event, lines)
        if (not self.is_live and not self.quiet) or name == "failed":
            how = name if name != "failed" else f"failed: {status_text(event.status, event.why)}"
            self.line(f"task {task.number} {how} ({duration_text(event.seconds)})  [{self.done()}/{self.total}]")

    def done(self) -> int:
        """Return how many tasks have ended, now or earlier."""
        return sum(self.counts.values())

    def follow(self, number: int, is_end: bool) -> None:
        """Show what is new in the log of a task, in whole lines but for the end."""
        if self.quiet or number not in self.following:
            return
        log, offset = self.following[number]
        try:
            if os.stat(log).st_size <= offset and not (is_end and self.partial):
                return
            with open(log, "rb") as file:
                file.seek(offset)
                while True:
                    data = file.read(CHUNK)
                    whole = len(data) if len(data) == CHUNK or is_end else data.rfind(b"\n") + 1
                    if len(data) == CHUNK and b"\n" in data:
                        whole = data.rfind(b"\n") + 1
                    if self.jobs == 1 and self.is_raw:
                        whole = len(data)
                    self.output(number, data[:whole])
                    self.partial = harmless(last_state(data[whole:])) if self.jobs == 1 and not self.is_raw else ""
                    offset += whole
                    file.seek(offset)
                    if len(data) < CHUNK:
                        break
        except OSError:
            return
        self.following[number][1] = offset

    def output(self, number: int, data: bytes) -> None:
        """Write output of a task: as it is, or on a terminal without what moves the cursor; several with numbers."""
        if not data:
            return
        if self.jobs > 1 or not self.is_raw:
            lines = data[:-1].split(b"\n") if data.endswith(b"\n") else data.split(b"\n")
            if not self.is_raw:
                lines = [harmless(last_state(line)).encode("utf-8", "replace") for line in lines]
            lead = b"[%d] " % number if self.jobs > 1 else b""
            reset = b"\x1b[m" if not self.is_raw and b"\x1b" in data else b""
            data = b"".join(lead + line + reset + b"\n" for line in lines)
        self.erase()
        write(sys.stdout, data)

    def line(self, text: str) -> None:
        """Write a line of HydraFlow's own."""
        self.erase()
        say(text)

    def erase(self) -> None:
        """Take the progress line away; the cursor is where it began."""
        if self.rows:
            write(sys.stderr, b"\r\x1b[K" + b"\x1b[A\x1b[K" * (self.rows - 1))
        self.rows, self.drawn = 0, ""

    def draw(self) -> None:
        """Draw the progress line, below the line that a task has not ended yet."""
        if not self.is_live:
            return
        try:
            width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
        except OSError:
            width = 79
        rows = ([fitting(self.partial, width)] if self.partial else []) + [self.progress()[:min(width, 79)]]
        text = "\n".join(rows)
        if text != self.drawn:
            self.erase()
            shown = text.replace("\n", "\x1b[m\n") if "\x1b" in text else text  # a task's colour ends with its line
            write(sys.stderr, shown.encode(sys.stderr.encoding or "ascii", "backslashreplace"))
            self.rows, self.drawn = len(rows), text

    def progress(self) -> str:
        """Return the progress line."""
        done, elapsed = self.done(), time.monotonic() - self.begun
        filled = 20 * done // max(self.total, 1)
        text = f"[{'#' * filled}{'-' * (20 - filled)}] {done}/{self.total}  {self.running or len(self.following)} running"
        if self.counts["failed"]:
            text += f"  {self.counts['failed']} failed"
        text += f"  {clock_text(elapsed)}"
        ended = done - self.counts["earlier"]
        if ended and done < self.total:
            left = (self.total - done) * self.spent / ended / self.jobs
            text += f"  {clock_text(left)} left"
        return text

    def summary(self, not_started: int) -> None:
        """Say how a run ended, and of each kind of failure what helps to mend it."""
        self.partial = ""
        self.erase()
        counts = [f"{count} {name}" for name, count in self.counts.items() if count and name != "earlier"]
        counts += [f"{self.counts['earlier']} had succeeded before"] if self.counts["earlier"] else []
        counts += [f"{not_started} not started"] if not_started > 0 else []
        took = duration_text(time.monotonic() - self.begun)
        say(f"{counted(self.total, 'task')}: {', '.join(counts) or 'nothing to do'}, {took}")
        for failure in list(self.failures.values())[:10]:
            for text in failure_lines(failure):
                say(text)
        if len(self.failures) > 10:
            say(f"and {len(self.failures) - 10} more kinds of failure; see hydraflow status")
        for note in self.notes:
            say(note)


def clock_text(seconds: float) -> str:
    """Return a duration as on a clock.

    >>> clock_text(5.2), clock_text(75)
    ('0:05', '1:15')
    """
    return duration_text(seconds) if seconds >= 60 else f"0:{int(seconds):02d}"


def fitting(text: str, width: int) -> str:
    """Return as much of a text as fits into a row of a terminal."""
    from unicodedata import east_asian_width
    shown, used = [], 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", text.expandtabs()):
        if part.startswith("\x1b"):
            shown.append(part)
            continue
        for char in part:
            used += 2 if east_asian_width(char) in "WF" else 1
            if used <= width:
                shown.append(char)
    return "".join(shown)


def failure_lines(failure: Failure) -> "List[str]":
    """Return the part of a summary that tells of one kind of failure."""
    event, lines = failure.event, failure.lines
    task = event.task
    if task is None:
        return []
    title = f"task {task.number} failed: {status_text(event.status, event.why)}"
    if failure.count > 1:
        last = lines[-1] if lines else status_text(event.status, event.why)
        title = f"{counted(failure.count, 'task')} failed: {last} (task {task.number} for example)"
    result = ["", title] + [f"    {line}" for line in lines]
    if lines:
        result.append(f"  log:   {os.path.relpath(event.log)}")
    return result + [f"  again: {task_text(task)}"]


def state_text(state: State) -> str:
    """Return a state in words."""
    if state.name == "running":
        host = state.run.get("host", "")
        return f"running since {moment_text(state.started)}" + (f" on {host}" if host != host_name() else "")
    if state.name == "succeeded":
        return "succeeded earlier" if state.record else "succeeded"
    if state.name == "failed":
        return f"failed: {status_text(state.status, state.why)}"
    return state.name + (f"{' ' if state.name == 'handed' else ': '}{state.why}" if state.why not in ("", state.name) else "")


def moment_text(moment: float) -> str:
    """Return a time of day, with its date if that is not today."""
    import datetime
    when = datetime.datetime.fromtimestamp(moment)
    return when.strftime("%H:%M:%S" if when.date() == datetime.date.today() else "%Y-%m-%d %H:%M")


def count_states(count: int, states: "Dict[int, State]") -> "Dict[str, int]":
    """Return how many tasks are in each state."""
    counts = dict.fromkeys(("failed", "interrupted", "skipped", "running", "queued", "handed", "succeeded"), 0)
    for state in states.values():
        counts[state.name] = counts.get(state.name, 0) + 1
    counts["waiting"] = count - len(states) + counts.pop("waiting", 0)
    return counts


def status_lines(record: Record, states: "Dict[int, State]", most: int = 20) -> "Iterator[str]":
    """Yield what is to be said of a record: counts, then failures, then what runs."""
    header = record.header()
    counts = count_states(header.get("count", len(states)), states)
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    total = counted(header.get("count", len(states)), "task")
    yield f"{header.get('job', record.job)}: {total}: {told}  (started {moment_text(header.get('time', 0.0))})"
    groups = {}  # type: Dict[Tuple[str, str], List[int]]
    for number, state in sorted(states.items()):
        if state.name in ("failed", "interrupted", "skipped", "handed"):
            lines = tail_lines(record.task_log(number, state), 1) if len(groups) < 1000 and state.name == "failed" else []
            groups.setdefault((state_text(state), "".join(lines)), []).append(number)
    for (text, last), numbers in list(groups.items())[:most]:
        yield f"  {task_range(numbers)} {text}" + (f": {last}" if last else "")
    if len(groups) > most:
        yield f"  and {len(groups) - most} more kinds of failure"
    running = [number for number, state in sorted(states.items()) if state.name == "running"]
    for number in running[:most]:
        yield f"  task {number} {state_text(states[number])}"
    if len(running) > most:
        yield f"  and {len(running) - most} more running"


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
    texts = [f"{part[0]}-{part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts[:8]]
    return f"{len(numbers)} tasks ({', '.join(texts)}{', ...' if len(parts) > 8 else ''})"


def status_document(record: Record, states: "Dict[int, State]") -> "Dict[str, Any]":
    """Return the status of a record for programs: times in seconds since 1970, null where unknown."""
    header = record.header()
    tasks = []
    for line in record.tasks():
        state = states.get(line["task"]) or State()
        ended = state.name not in ("waiting", "running", "queued")
        tasks.append({"task": line["task"], "step": line["step"], "argv": line["argv"], "state": state.name,
                      "exit_status": state.status if state.ended else None, "why": state.why or None,
                      "started": state.started or None, "ended": (state.ended or None) if ended else None,
                      "host": state.run.get("host"), "attempts": state.attempts,
                      "log": os.path.relpath(record.task_log(line["task"], state))})
    return {"job": header.get("job", record.job), "record": os.path.relpath(record.path), "count": header.get("count"),
            "started": header.get("time"), "states": count_states(header.get("count", len(tasks)), states), "tasks": tasks}


# ---------------------------------------------------------------------------
# 11. Command line: argv -> exit status
# ---------------------------------------------------------------------------
# A subcommand is a function add_NAME that declares its options, a function NAME_command,
# and a row of COMMANDS. main is the one place that turns an Error into a message. Exit
# status: 0 all succeeded, 1 a task failed, 2 a mistake of the user's, 130 interrupted.

JOB_FILE_TEMPLATE = """\
# hydraflow run train            executes the tasks of train, one after the other
# hydraflow run train --dry-run  only prints their commands
jobs:
  train:
    run: python train.py
    hydra: false                 # train.py is no Hydra application; drop this line for one
    steps:
      # Every combination of the values is a task.
      - batch: >-
          model=transformer,lstm
          learning_rate=0.1,0.01,0.001
"""
TRAIN_TEMPLATE = """\
import sys

settings = dict(word.split("=", 1) for word in sys.argv[1:])
print("training", settings)
loss = 1.0
for epoch in range(3):
    loss *= 1 - float(settings["learning_rate"])
    print("epoch", epoch, "loss", round(loss, 4))
"""
COMPLETION = {
    "bash": """\
_hydraflow() {
    local words
    if [ "$COMP_CWORD" -eq 1 ]; then words="@COMMANDS@"; else words=$(hydraflow show --names 2>/dev/null); fi
    COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _hydraflow hydraflow
""",
    "zsh": """\
#compdef hydraflow
_hydraflow() {
    if (( CURRENT == 2 )); then compadd @COMMANDS@; else compadd $(hydraflow show --names 2>/dev/null); fi
}
compdef _hydraflow hydraflow
""",
    "fish": """\
complete -c hydraflow -n __fish_use_subcommand -f -a "@COMMANDS@"
complete -c hydraflow -n "not __fish_use_subcommand" -a "(hydraflow show --names 2>/dev/null)"
""",
}


def job_named(jobs: "Dict[str, Job]", name: str) -> Job:
    """Return a job by its name in the file."""
    if name not in jobs:
        raise Error(f"no job is called {name}", NOWHERE, suggest(name, jobs) or f"the jobs are {', '.join(jobs)}")
    return jobs[name]


def option(read: "Callable[[Node], Any]") -> "Callable[[str], Any]":
    """Return a reader of an option's text from a reader of a node."""
    def convert(text: str) -> object:
        try:
            return read(read_yaml(text, "command line"))
        except Error as error:
            raise argparse.ArgumentTypeError(error.message) from None
    return convert


def add_run(command: "argparse.ArgumentParser") -> None:
    """Declare the options of run."""
    command.add_argument("job", metavar="JOB")
    command.add_argument("--dry-run", action="store_true", help="print the commands and change nothing")
    command.add_argument("--jobs", "-j", type=option(read_count), metavar="N", help="execute N tasks at once")
    command.add_argument("--keep-going", action="store_true", help="start the remaining tasks although one has failed")
    command.add_argument("--resume", action="store_true", help="skip what has succeeded before, and await what still runs")
    command.add_argument("--retries", type=option(read_retries), metavar="N", help="try a failed task up to N times more")
    command.add_argument("--timeout", type=option(read_minutes), metavar="MIN", help="stop a task after so many minutes")
    command.add_argument("--wait", action="store_true", help="wait until submitted tasks have ended")
    command.add_argument("--pack", type=option(read_count), metavar="N", help="let an element of an array take N tasks in turn")
    command.add_argument("--quiet", "-q", action="store_true", help="show failures and the summary only")
    command.usage = "hydraflow run JOB [OVERRIDE ...] [options] [-- WORD ...]"
    command.epilog = ("An OVERRIDE is key=value and wins over the job's own word with that key. "
                      "Options that are not listed here, and all words behind --, go to the command of the tasks.")


def handler_line(step: PlannedStep, task: Task) -> str:
    """Return a line for a handler: the command, or where the job has none the parameters alone."""
    return task_text(task) if step.command else shell_text(task.argv)


def check_plan(plan: Plan, is_dry: bool) -> None:
    """Raise an Error for what can't be executed: too many tasks, a step whose first task has no directory or program."""
    grace()
    if not is_dry and plan.count > sys.maxsize:
        raise Error(f"job {plan.job.key} has {counted(plan.count, 'task')}, which are too many to execute", plan.job.mark)
    for step in plan.steps:
        if step.submit and not find_program(step.submit[0]):
            source = plan.job.steps[step.number - 1].submit if plan.job.steps else None
            place = source or plan.job.submit
            kind = Refusal if scheduler_of(step.submit) else Error
            raise kind(f"there is no program {step.submit[0]}", place.mark(0, len(place.text)) if place else NOWHERE,
                       "it is looked up in PATH; is this a machine from which jobs are submitted?")
        looked_at = islice(step.tasks(1, plan.ulid), 1000 if is_dry else None)  # a dry run streams, however many there are
        for task in looked_at if step.submit and not scheduler_of(step.submit) else ():
            if re.search("[\r\n]", handler_line(step, task)):  # the rest of the value would be a command of its own
                raise Error("a handler gets one command per line, and a word of this step has a line break in it", step.place)
        for task in islice(step.tasks(1, plan.ulid), 1):
            if not (os.path.isdir(native(task.cwd)) or SLOT in task.cwd or task.directory in task.cwd):
                raise Error(f"there is no directory {task.cwd}", step.cwd.mark(0, len(step.cwd.text)) if step.cwd else NOWHERE)
            if step.command and not find_program(task.argv[0], task.cwd, task.env):
                hint = "python3 is there" if task.argv[0] == "python" and find_program("python3") else ""
                raise Error(f"there is no program {task.argv[0]}", step.place, hint or "it is looked up in PATH, without a shell")


def run_command(args: "argparse.Namespace") -> int:
    """Execute the tasks of a job, after those of the jobs that it needs."""
    if os.name != "posix" and not args.dry_run:
        raise Error("tasks are executed on Linux, macOS and other POSIX systems only", NOWHERE, "--dry-run works here")
    jobs = load(args.file or find_job_file())
    job_named(jobs, args.job)
    order = order_needs(jobs, [args.job])
    plans = [Plan(job, args.words if job.key == args.job else ()) for job in order]
    for plan in plans:
        check_plan(plan, args.dry_run)
    needed = {}  # type: Dict[str, List[Tuple[str, int]]]
    for plan in plans:
        before = [one for name, _ in plan.job.needs for one in needed.get(name, [])]
        is_submitted = any(step.submit for step in plan.steps)
        if args.dry_run:
            print_submission(plan, args)
            continue
        if is_submitted:
            status, needed[plan.job.key] = submit_plan(plan, args, before)
        else:
            status = wait_for(before, args) or run_plan(plan, args)
        if status:
            if plan is not plans[-1]:
                rest = ", ".join(later.job.key for later in plans[plans.index(plan) + 1:])
                say(f"job {plan.job.key} has not succeeded, so {rest} was not started")
            return status
    return wait_for(needed.get(args.job, []), args) if args.wait else 0


def limits_of(job: Job, args: "argparse.Namespace", is_remote: bool) -> Limits:
    """Return the limits of a run: the command line's word, else the job's, else what is usual there."""
    fail_fast = not is_remote if job.fail_fast is None else job.fail_fast
    return Limits(1 if is_remote else args.jobs or job.max_parallel or 1, job.retries if args.retries is None else args.retries,
                  60 * (args.timeout or job.timeout_minutes), fail_fast and not args.keep_going)


def new_record(plan: Plan, args: "argparse.Namespace") -> Record:
    """Make the record of a run."""
    return Record.create(plan.job.key, plan.ulid, {
        "job": plan.job.key, "count": plan.count, "version": __version__, "host": host_name(), "time": time.time(),
        "resumes": args.resume})


def run_plan(plan: Plan, args: "argparse.Namespace") -> int:
    """Execute the tasks of one job here; return the exit status."""
    job, limits = plan.job, limits_of(plan.job, args, False)
    lock = Lock(job.key, args.resume)
    earlier = earlier_tasks(job.key) if args.resume else {}
    queued = sum(1 for known in earlier.values() if known.is_submitted and known.state.name != "succeeded")
    if queued:
        raise Error(f"job {job.key} still has {counted(queued, 'task')} queued or running on the cluster", NOWHERE,
                    f"wait, or hydraflow cancel {shlex.quote(job.key)}")
    record = new_record(plan, args)
    try:
        return show_run(run_tasks(record, planned(record, plan, earlier), limits), Screen(plan.count, limits.jobs, args.quiet))
    finally:
        lock.release()


def show_run(events: "Iterator[Event]", screen: "Screen") -> int:
    """Show what happens and return the exit status."""
    try:
        for event in events:
            screen.show(event)
    finally:
        screen.summary(screen.total - screen.done())
    return 130 if screen.signal else 0 if screen.counts["succeeded"] + screen.counts["earlier"] == screen.total else 1


def submit_plan(plan: Plan, args: "argparse.Namespace", needed: "List[Tuple[str, int]]") -> "Tuple[int, List[Tuple[str, int]]]":
    """Submit the steps of a job; return the exit status, and the submissions that whoever needs the job waits for."""
    job, python = plan.job, python_of(plan.job)
    check_python(python)
    lock = Lock(job.key, args.resume)
    earlier = earlier_tasks(job.key) if args.resume else {}
    record = new_record(plan, args)
    sent, before, executed = [], list(needed), False  # type: List[Submission], List[Tuple[str, int]], bool
    try:
        with open(__file__, "rb") as source, open(f"{record.path}/hydraflow.py", "wb") as copy:
            copy.write(source.read())
        tasks = {}  # type: Dict[int, List[Tuple[Task, Optional[Earlier]]]]
        for task, known in planned(record, plan, earlier, True):
            tasks.setdefault(task.step, []).append((task, known))
        for step in plan.steps:
            entries = tasks.get(step.number, [])
            todo = [(task, known) for task, known in entries if known is None]
            scheduler = scheduler_of(step.submit) if step.submit else None
            if not todo and not (args.resume and entries):
                continue
            if scheduler is None:
                status = wait_for(before, args) or run_between(record, step, todo, args)
                if status:
                    return status, []
                before, executed = [], True
                continue
            if todo:
                slots = packed([task.number for task, _ in todo], args.pack or 1, array_limit(scheduler))
                limits = limits_of(job, args, True)
                submission = prepared(record, step, scheduler, slots, limits, before)
                sent.append(submit(record, submission, step.submit, args.jobs or job.max_parallel, python))
                say(f"step {step.number}: {counted(len(todo), 'task')} as array job {sent[-1].job_id}"
                    f" of {counted(len(slots), 'element')}")
            before = [(record.path, step.number)] if todo else []
            unfinished = [known for _, known in entries if known and known.state.name != "succeeded"]
            before += sorted({(known.record.path, one.number) for known in unfinished for one in read_submissions(known.record)
                              if known.number in tasks_of(known.record, one.number)})
    except Error as error:
        wrong = cancel_jobs(record, sent)
        remove_tree(record.path)
        say(str(error))
        if sent:
            jobs = ", ".join(f"array job {one.job_id} of step {one.step}" for one in sent)
            say(f"cancelled {jobs}, so that nothing is half submitted{f': {wrong}' if wrong else ''}")
        return 1, []
    finally:
        lock.release()
    if not sent and not executed:
        say(f"{counted(plan.count, 'task')}: nothing to submit")
        remove_tree(record.path)  # the records that know of the tasks stay the newest
    return 0, before


def python_of(job: Job) -> str:
    """Return the Python that executes the elements."""
    if job.python:
        return split_command(job.python, os.environ)[0]
    return os.environ.get("HYDRAFLOW_PYTHON") or sys.executable


def remove_tree(path: str) -> None:
    """Remove the record of what was never submitted."""
    import shutil
    shutil.rmtree(path, ignore_errors=True)


def run_between(record: Record, step: PlannedStep, todo: "Sequence[Tuple[Task, Optional[Earlier]]]",
                args: "argparse.Namespace") -> int:
    """Execute a step that no scheduler gets: here, or by a handler that takes a file of commands."""
    if not step.submit:
        limits = limits_of(step.job, args, False)
        return show_run(run_tasks(record, iter(todo), limits), Screen(len(todo), limits.jobs, args.quiet))
    path = f"{record.path}/commands-{step.number}.txt"
    append_text(path, "".join(handler_line(step, task) + "\n" for task, _ in todo))
    status = hand_over(step.submit, path)
    why = f"to {shell_text(step.submit)}" + (f", which ended with {status_text(status, '')}" if status else "")
    append_lines(record.events("handler"), [{"task": task.number, "event": "handed", "why": why} for task, _ in todo])
    return status


def wait_for(before: "Sequence[Tuple[str, int]]", args: "argparse.Namespace") -> int:
    """Wait until submissions have ended; return 0 if all of their tasks have succeeded."""
    records = sorted({path for path, _ in before})
    return max([watch(Record(path), args.quiet) for path in records], default=0)


def watch(record: Record, quiet: bool) -> int:
    """Show the progress of a record until all of its tasks have ended; return the exit status."""
    count = record.header().get("count", 0)
    screen, told, delay = Screen(count, 1, quiet), {}, 0.5  # type: Screen, Dict[int, str], float
    with Signals() as signals:
        while len([name for name in told.values() if name != "interrupted?"]) < count and not screen.signal:
            states, wrong = merged_states(record)
            screen.running = sum(1 for state in states.values() if state.name == "running")
            ended = [number for number, state in sorted(states.items()) if told.get(number) in (None, "interrupted?")
                     and state.name in ("succeeded", "failed", "skipped", "interrupted")]
            lines = record.lines(number for number in ended if states[number].name != "succeeded")
            for number in ended:
                state = states[number]
                if state.name == "interrupted" and number not in told:  # a single look at a queue proves nothing
                    told[number] = "interrupted?"
                    continue
                told[number] = state.name
                screen.show(ended_event(record, number, state, lines.get(number)))
            screen.draw()
            if wrong and not quiet:
                screen.line(wrong)
            signals.wait(delay if len(told) < count else 0.5)
            delay = min(delay * 1.3, 15.0)
            if signals.numbers:
                screen.signal = signals.numbers[0]
    screen.summary(count - screen.done())
    if screen.signal:
        say(f"the tasks go on; hydraflow status {shlex.quote(record.header().get('job', record.job))} tells of them")
        return 130
    return 0 if screen.counts["succeeded"] + screen.counts["earlier"] == count else 1


def ended_event(record: Record, number: int, state: State, line: "Optional[Dict[str, Any]]") -> Event:
    """Return the event for a task that was executed elsewhere."""
    if state.name == "succeeded" and state.record:
        return Event("done", None, "", 0, "", 0.0)
    task = line_task(line) if line else Task(number, 0, 0, (), (), "", ".", {}, None)
    seconds = max(state.ended - state.started, 0.0) if state.started and state.ended else 0.0
    status = 0 if state.name == "succeeded" else state.status or 1
    return Event("skip" if state.name == "skipped" else "end", task, record.task_log(number, state), status, state.why, seconds)


def print_submission(plan: Plan, args: "argparse.Namespace") -> None:
    """Print what would be submitted: for each step the command and the script, or the commands for a handler."""
    record = Record(f"{Record.directory(plan.job.key)}/{ulid_text(plan.ulid)}")
    number, before = 1, []  # type: int, List[str]
    for step in plan.steps:
        scheduler = scheduler_of(step.submit) if step.submit else None
        if scheduler is None:
            if step.submit:
                put(f"# {shell_text([*step.submit, f'commands-{step.number}.txt'])} with these lines:")
            for task in step.tasks(number, plan.ulid):
                put(handler_line(step, task))
                number += 1
        else:
            slots = packed(range(number, number + step.count), args.pack or 1, array_limit(scheduler))
            submission = prepared(record, step, scheduler, slots, limits_of(plan.job, args, True), [])
            options = scheduler.options(record, submission, args.jobs or plan.job.max_parallel, before)
            script = f"{record.path}/step-{step.number}.sh"
            put(shell_text(submission_words(step.submit, scheduler, options, script)))
            put(f"# {script}:\n{job_script(record, submission, python_of(plan.job))}")
            before = [f"<id of step {step.number}>"]
            number += step.count


def put(text: str) -> None:
    """Write a line of data, the bytes of arguments and file names as they are."""
    stream = getattr(sys.stdout, "buffer", None)  # none where a caller put an io.StringIO in its place
    if stream is None:
        sys.stdout.write(text + "\n")
    else:
        stream.write(native_bytes(text + "\n"))


def add_show(command: "argparse.ArgumentParser") -> None:
    """Declare the options of show."""
    command.add_argument("job", metavar="JOB", nargs="?")
    command.add_argument("--names", action="store_true", help="print the names of the jobs alone")


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
            command = next(source.text for source in [job.run, job.call, job.submit] + [
                step.run or step.call or step.submit for step in job.steps] if source)
            put(f"{name:{width}}  {counted(Plan(job).count, 'task'):>10}  {command}")
    return 0


def job_lines(plan: Plan) -> "Iterator[str]":
    """Yield what there is to know of a job, and the first command of each step."""
    job = plan.job
    yield f"{job.key}: {counted(plan.count, 'task')}"
    fail_fast = {None: "", True: "true", False: "false"}[job.fail_fast]
    for name, value in (("name", job.name), ("needs", ", ".join(name for name, _ in job.needs)),
                        ("max-parallel", job.max_parallel), ("fail-fast", fail_fast),
                        ("retries", job.retries), ("timeout-minutes", job.timeout_minutes)):
        yield from [f"  {name}: {value}"] if value else []
    for step in plan.steps:
        counts = [count_text(axis.count) for axis in step.sweep.axes if axis.keys]
        text = " x ".join(counts) + f" = {count_text(step.sweep.count)}" if len(counts) > 1 else count_text(step.sweep.count)
        dropped = step.sweep.count + len(step.included) - step.count
        text += f", {dropped:,} excluded" if dropped else ""
        text += f", {len(step.included):,} included" if step.included else ""
        name = job.steps[step.number - 1].name if job.steps else ""
        yield f"  step {step.number}{f' ({name})' if name else ''}: {text}: {counted(step.count, 'task')}"
        for task in islice(step.tasks(1, plan.ulid), 1):
            runs = f", each of {task.runs} runs" if task.runs and task.runs > 1 else ""
            yield f"    {task_text(task)}" + (f"    (the first{runs})" if step.count > 1 or runs else "")


def add_expand(command: "argparse.ArgumentParser") -> None:
    """Declare the options of expand."""
    command.add_argument("sweep", metavar="SWEEP", nargs="+")
    command.add_argument("--collect", action="store_true", help="print the words that args: makes of it")


def expand_command(args: "argparse.Namespace") -> int:
    """Show what a sweep means: the combinations, and how many."""
    sweep = Sweep(" ".join(args.sweep))
    if args.collect:
        put(shell_text(sweep.collect()))
        return 0
    say(counted(sweep.count, "combination"))
    for combination in sweep:
        put(shell_text(combination))
    return 0


def newest_record(args: "argparse.Namespace") -> Record:
    """Return the newest record of the job that the command line names; the job file need not name it any more."""
    records = Record.all(args.job)
    if not records:
        known = [record.header().get("job", record.job) for record in Record.newest()]
        raise Error(f"job {args.job} has not been run here", NOWHERE, suggest(args.job, known) or "hydraflow show lists the jobs")
    return records[-1]


def add_status(command: "argparse.ArgumentParser") -> None:
    """Declare the options of status."""
    command.add_argument("job", metavar="JOB", nargs="?")
    command.add_argument("--json", action="store_true", help="print all that is known of every task, for programs")


def status_command(args: "argparse.Namespace") -> int:
    """Show the tasks of a job's last run by state, failures first."""
    if args.job:
        records = [newest_record(args)]
    else:
        records = Record.newest()
        if not records:
            raise Error("nothing has been run here", NOWHERE, "hydraflow run JOB runs a job, hydraflow show lists them")
    documents = []
    for record in records:
        states, wrong = merged_states(record)
        if args.json:
            documents.append(status_document(record, states))
        else:
            for line in status_lines(record, states):
                put(line)
        if wrong:
            say(f"what follows from the events alone: the scheduler does not answer ({wrong})")
    if args.json:
        import json
        put(json.dumps(documents[0] if args.job else documents, indent=1))
    return 0


def add_logs(command: "argparse.ArgumentParser") -> None:
    """Declare the options of logs."""
    command.add_argument("job", metavar="JOB")
    command.add_argument("task", metavar="TASK", nargs="?", type=option(read_count))
    command.add_argument("--follow", action="store_true", help="go on until the tasks have ended")
    command.add_argument("--failed", action="store_true", help="of the failed tasks only")


def logs_command(args: "argparse.Namespace") -> int:
    """Print the output of a task of the last run, or of all tasks."""
    record = newest_record(args)
    states, count = merged_states(record)[0], record.header().get("count", 0)
    if args.task and args.task > count:
        raise Error(f"there is no task {args.task}; job {args.job} has {counted(count, 'task')}")
    offsets = {}  # type: Dict[int, int]
    while True:
        for number in [args.task] if args.task else sorted(states):
            state = states.get(number) or State()
            if args.failed and state.name != "failed":
                continue
            is_new = number not in offsets
            if is_new and not args.task:
                say(f"==> task {number}: {state_text(state)} <==")
            offsets[number] = copy_log(record.task_log(number, state), offsets.get(number, 0))
            if state.name == "interrupted" and is_new:  # what killed it may have said why
                for path in scheduler_logs(record, number):
                    copy_log(path, 0)
        waiting = [states.get(args.task) or State()] if args.task else list(states.values())
        if not args.follow or not any(state.name in ("running", "waiting", "queued") for state in waiting):
            return 0
        time.sleep(0.2 if not read_submissions(record) else 2.0)
        states = merged_states(record)[0]


def copy_log(path: str, offset: int) -> int:
    """Write what a log has from an offset to standard output; return the offset of its end."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            while True:
                data = file.read(CHUNK)
                if not data:
                    return file.tell()
                write(sys.stdout, data)
    except OSError:
        return offset


def add_cancel(command: "argparse.ArgumentParser") -> None:
    """Declare the options of cancel."""
    command.add_argument("job", metavar="JOB")


def cancel_command(args: "argparse.Namespace") -> int:
    """Stop the last run of a job."""
    newest = newest_record(args)
    referred = {state.record.partition("/")[0] for state in newest.told_states().values() if state.name == "elsewhere"}
    records = [newest] + [record for record in Record.all(args.job) if record.ulid in referred]
    submissions = [(record, one) for record in records for one in read_submissions(record)]
    if submissions:
        wrong = "\n".join(filter(None, (cancel_jobs(record, [one]) for record, one in submissions)))
        say(wrong or f"cancelled {', '.join(f'array job {one.job_id}' for _, one in submissions)}")
        return 1 if wrong else 0
    here = [state for record in records for state in record.states().values()
            if state.name == "running" and not is_gone(state) and state.run.get("host") == host_name()]
    runs = {state.run["pid"] for state in here if process_birth(state.run["pid"]) == state.run["born"]}
    for pid in runs:  # it passes the signal on to its tasks
        stop_process(pid, signal.SIGTERM)
    for state in here if not runs else []:  # their HydraFlow was killed
        stop_group(state.pid, signal.SIGTERM)
    say(f"asked {counted(len(here), 'task')} to stop")
    return 0


def add_nothing(command: "argparse.ArgumentParser") -> None:
    """Declare no options."""


def init_command(args: "argparse.Namespace") -> int:
    """Write a commented hydraflow.yaml, and a train.py to try it on."""
    files = ((JOB_FILES[0], JOB_FILE_TEMPLATE), ("train.py", TRAIN_TEMPLATE))
    for name in (*JOB_FILES, "train.py"):
        if os.path.lexists(name):
            raise Error(f"there is a {name} already, and it stays as it is", NOWHERE, "hydraflow -C DIR init writes elsewhere")
    for name, text in files:
        with open(name, "x", encoding="utf-8") as file:
            file.write(text)
    say(f"wrote {files[0][0]} and {files[1][0]}; try: hydraflow run train")
    return 0


def add_completion(command: "argparse.ArgumentParser") -> None:
    """Declare the options of completion."""
    command.add_argument("shell", choices=sorted(COMPLETION))


def completion_command(args: "argparse.Namespace") -> int:
    """Print a script that completes commands and jobs in a shell."""
    put(COMPLETION[args.shell].replace("@COMMANDS@", " ".join(name for name, _, _ in COMMANDS)).rstrip())
    return 0


def call_function(argv: "Sequence[str]") -> int:
    """Call package.function with a list of strings; a traceback shows the user's own code only."""
    import importlib
    import traceback
    sys.path[0] = ""  # the working directory, as with python -m, in place of this file's
    module, _, name = argv[0].rpartition(".")
    try:
        function = getattr(importlib.import_module(module), name, None)
        if function is None:
            raise Error(f"module {module} has no function {name}")
        function(list(argv[1:]))
    except (SystemExit, Error):
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not (module + ".").startswith(error.name + "."):
            raise
        raise Error(f"there is no module {error.name}", NOWHERE,
                    "it is looked up in the working directory and PYTHONPATH") from None
    except Exception as error:
        own = (__file__, importlib.__file__)
        frames = [frame for frame in traceback.extract_tb(error.__traceback__)
                  if frame.filename not in own and not frame.filename.startswith("<frozen importlib")]
        lines = traceback.format_list(frames) + traceback.format_exception_only(type(error), error)
        say("Traceback (most recent call last):\n" + "".join(lines).rstrip())
        return 1
    return 0


def element_command(argv: "Sequence[str]") -> int:
    """Execute the tasks of one slot, as an element of an array job."""
    status = 0
    for event in run_element(argv[0], int(argv[1]), int(argv[2])):
        if event.kind in ("note", "interrupt"):
            say(event.why)
        status = 1 if event.kind == "end" and event.status else status
    return status


COMMANDS = (
    ("run", add_run, run_command), ("show", add_show, show_command), ("expand", add_expand, expand_command),
    ("status", add_status, status_command), ("logs", add_logs, logs_command), ("cancel", add_cancel, cancel_command),
    ("init", add_nothing, init_command), ("completion", add_completion, completion_command),
)


def help_width() -> int:
    """Return how wide a help text may be; left to itself, argparse imports shutil to find that out, at every start."""
    columns = os.environ.get("COLUMNS", "")
    try:
        return ((int(columns) if columns.isdecimal() else os.get_terminal_size().columns) or 80) - 2
    except OSError:
        return 78


def build_parser(argv: "Sequence[str]") -> "argparse.ArgumentParser":
    """Return the parser of a command line, with the options of the commands that it may name."""
    style = partial(argparse.HelpFormatter, width=help_width())
    parser = argparse.ArgumentParser(prog="hydraflow", description="Compact parameter sweeps, executed here or on a cluster.",
                                     formatter_class=style)
    parser.add_argument("--version", action="version", version=f"hydraflow {__version__}")
    parser.add_argument("-f", dest="file", metavar="FILE", help="the job file, in place of hydraflow.yaml")
    parser.add_argument("-C", dest="directory", metavar="DIR", help="change into a directory first")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    commands.required = True  # an argument of add_subparsers only since Python 3.7
    for name, add_options, function in COMMANDS:
        command = commands.add_parser(name, help=function.__doc__, description=function.__doc__, allow_abbrev=False,
                                      formatter_class=style)
        if name in argv:
            add_options(command)
        command.set_defaults(function=function)
    return parser


def parse_arguments(argv: "Sequence[str]") -> "argparse.Namespace":
    """Return the parsed command line; words for the command of the tasks are in args.words, in their order."""
    parser = build_parser(argv)
    first = next((word for word, before in zip(argv, ["", *argv]) if before not in ("-f", "-C") and word not in ("-f", "-C")), "")
    if first.startswith("-") and first[:2] not in ("-f", "-C", "-h") and first not in ("--help", "--version"):
        parser.error(f"{first} stands before the command: options follow it, hydraflow run JOB {first}")
    cut = argv.index("--") if "--" in argv else len(argv)
    args, words = parser.parse_known_args(argv[:cut])
    args.words = words + list(argv[cut:])
    if args.words and args.command != "run":
        parser.error(f"{args.command} does not know {args.words[0]}")
    return args


def main(argv: "Optional[Sequence[str]]" = None) -> int:
    """Execute one command line and return its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    sys.stdout, sys.stderr = sys.stdout or open(os.devnull, "w"), sys.stderr or open(os.devnull, "w")  # closed by a caller
    try:
        if argv[:1] == ["call"]:
            return call_function(argv[1:])
        if argv[:1] == ["element"]:
            return element_command(argv[1:])
        args = parse_arguments(argv)
        if args.directory:
            os.chdir(args.directory)
        status = int(args.function(args))
        sys.stdout.flush()
        return status
    except SystemExit as stop:  # argparse has said what is wrong, or what was asked for
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except Error as error:
        say(str(error))
        return error.status
    except BrokenPipeError:  # who reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        say(f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        return 2


if __name__ == "__main__":
    sys.exit(main())
