"""What is Hydra's passes through to the letter, and what is ours expands to what Hydra reads as the numbers that are meant.

The judge is the parser of the Hydra that is installed. HYDRAFLOW_EXAMPLES=100000 looks longer.
"""
import decimal
import os
import random
import re
from collections import namedtuple
from dataclasses import replace
from fractions import Fraction

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.grammar.gen.OverrideLexer import InputStream, OverrideLexer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hydraflow

EXAMPLES = int(os.environ.get("HYDRAFLOW_EXAMPLES", "0"))
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
PARSER = OverridesParser.create()
pytestmark = pytest.mark.filterwarnings("ignore")  # Hydra's own: what is deprecated, what is ambiguous


def examples(count):
    return settings(max_examples=max(count, EXAMPLES), **QUIET)


@pytest.fixture(autouse=True, scope="module")
def unshuffled():
    """shuffle() happens while Hydra parses; two parses can only be compared without it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random, "shuffle", lambda items: None)
        yield


def parsed(word):
    """Return Hydra's parse of a word without its text, or None where Hydra refuses it."""
    try:
        override = PARSER.parse_override(word)
    except HydraException:
        return None
    return replace(override, **{name: None for name in ("input_line", "original_input_line") if hasattr(override, name)})


def value_of(word):
    """Return the value that Hydra reads, as text that tells types, quotes, NaN and the order of pairs apart."""
    return repr(parsed(word)._value)


# ---- What is ours

DIGITS = r"[0-9]+(?:_[0-9]+)*"
NUMBER = rf"[+-]?(?:{DIGITS}(?:\.(?:{DIGITS})?)?|\.{DIGITS})(?:[eE][+-]?[0-9]+)?"
UNIT = r"(?:[TGMkmunpf]|[eE][+-]?[0-9]+)"
RANGE = re.compile(rf"(?:{NUMBER}[TGMkmunpf]?)?:{NUMBER}|{NUMBER}[TGMkmunpf]?:(?:{UNIT})?$|{NUMBER}[TGMkmunpf]?::|{NUMBER}[TGMkmunpf]?\.{{2,}}{NUMBER}[TGMkmunpf]?$")
SI_NUMBER = re.compile(rf"{NUMBER}[TGMkmunpf]")
ANY_NUMBER = re.compile(rf"{NUMBER}[TGMkmunpf]?")
UNIT_KEY = re.compile(rf"[^~].*/{UNIT}")
OPENING = (OverrideLexer.POPEN, OverrideLexer.BRACKET_OPEN, OverrideLexer.BRACE_OPEN)
CLOSING = (OverrideLexer.PCLOSE, OverrideLexer.BRACKET_CLOSE, OverrideLexer.BRACE_CLOSE)


def split(word):
    """Return the key, the items between the outermost commas, and whether a bare pipe stands among them, as Hydra's lexer has it."""
    lexer = OverrideLexer(InputStream(word))
    lexer.removeErrorListeners()
    texts, depth, is_piped, before = [""], 0, False, ""  # the key, then the items
    for token in lexer.getAllTokens():
        depth += (token.type in OPENING) - (token.type in CLOSING)
        if token.type == OverrideLexer.EQUAL and len(texts) == 1 or token.type == OverrideLexer.COMMA and not depth:
            texts.append("")
            continue
        texts[-1] += token.text
        is_bare = token.type == OverrideLexer.UNQUOTED_CHAR and not depth
        is_piped |= is_bare and token.text == "|" and before != "\\"
        before = token.text if is_bare else ""
    return texts[0], [text.strip(" \t") for text in texts[1:]] or [""], is_piped


def has_old_escape(word):
    """Whether a backslash that is none of a pair stands before an interpolation outside quotes: ours to refuse."""
    bare = re.sub(r"\\[^$]|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "", word)
    return "\\${" in bare


def is_ours(word):
    """Return whether a word that Hydra accepts means something else to us.

    Groups, lin, log and linked keys are not among it: Hydra refuses them. What remains is a value that is a range or
    begins like one, a number with an SI letter, a pipe outside all quotes and brackets, numbers under a unit key, a variable
    of the environment, and white space behind a last colon, which Hydra keeps.
    """
    key, items, is_piped = split(word)
    return (is_piped or has_old_escape(word) or key.startswith("$") or bool(re.search(r":\s+([,)\]}]|$)", word)) or any(RANGE.match(item) or len(items) > 1 and SI_NUMBER.fullmatch(item) for item in items)
            or bool(UNIT_KEY.fullmatch(key)) and any(ANY_NUMBER.fullmatch(item) for item in items))


def is_passed_through(word):
    """Raise AssertionError unless Hydra refuses the word, or it is ours (False), or it means the same after us, whole and in parts."""
    theirs = parsed(word)
    if theirs is None or is_ours(word):
        return False
    words = hydraflow.collect([word])
    assert len(words) == 1 and repr(parsed(words[0])) == repr(theirs), words
    items = split(word)[1]
    parts = [row for (row,) in hydraflow.expand([word])]
    assert len(parts) == len(items), parts
    elements = [theirs._value] if len(items) == 1 else theirs._value.list
    for part, element in zip(map(parsed, parts), elements):
        if part is None:  # a value that Hydra takes in a list of them only, and refuses in the run that it makes of it
            continue
        assert (part.key_or_group, part.package) == (theirs.key_or_group, theirs.package), parts
        if part.type.name == "EXTEND_LIST" and part.type != theirs.type:  # within a sweep, it is a type of the value
            element = element.values
        else:
            assert part.type == theirs.type, parts
        assert repr(part._value) == repr(element), parts
    return True


TABLE = (
    # keys
    "a=1", "+a=1", "++a=1", "~a", "~a=1", "~a=", "a=", "+a=", "++a=", "a.b.c=1", "a.0.b=1", "a.10=x", "_=1", "a-b=1", "a$b.$c-d.0=1",
    "db=mysql", "db/engine=innodb", "a/b/c=d", "db@pkg=mysql", "db/engine@pkg.sub=mysql", "+db@pkg=mysql", "~db@pkg", "~db@pkg=mysql", "@p=1", "=1",
    "hydra/launcher=joblib", "hydra.sweep.dir=x/y", "db/m=mysql", "db/m=mysql,sqlite", "db/e3=x", "~db/m=1", "~db/m", "db/m@pkg=1", "db/mm=1",
    # numbers and words of the language
    "a=0", "a=-0", "a=+1", "a=1_000", "a=1_0_0", "a=01", "a=0x10", "a=1__0", "a=1_", "a=-20", "a=99999999999999999999999", "a=1.", "a=.5", "a=-.5e+3",
    "a=1e3", "a=1E-3", "a=1_0.0_1e1_0", "a=1e", "a=1e3e3", "a=1.2.3", "a=inf", "a=-INF", "a=+Inf", "a=nan", "a=NaN", "a=-nan", "a=infx", "a=true", "a=TrUe",
    "a=false", "a=null", "a=NULL", "a=nulls", "a=1e400", "a=1e-400", "a=--1", "a=1k", "a=-.5e3m", "a=1kk", "a=k1", "a=1K", "a=1e3x", "a=1 k", "a=true,null,nan,-inf,.5,5.",
    # text
    "a=x/y.z-w+*@?%$", "a=a b  c", "a=a\tb", "a= x ", "a= ", "a=\t", "a=1 2", "a=null x", "a=C:/x", "a=http://h:80/x?y", "a=repo:tag", "a=1:abc",
    "a=127.0.0.1:80", "a=::1", "a=:", "a=::", "a=a:b:c", "a=12:x:30", "a=-:1", "a=x,y", "a= x , y\t,\tz", "a=x,x", "a=/,:,-", "a=lin", "a=log,lin",
    # escapes outside quotes
    r"a=x\,y", r"a=x\,y,z", r"a=1\:3", r"a=1:\3", r"a=\(1\,2\)", r"a=x\(1,2\)", r"a=\[1,2\]", r"a=\{x\: 1\}", r"a=x\=y", "a=\\ x\\ ", "a=\\\tx", r"a=\\",
    r"a=\\,\\", r"a=\\\,", r"a=\\\\,x", "a=\\", "a=x\\", r"a=\x", r"a=\|", r"a=\\\|x", r"a=\$", r"a=\-", r"a=\:,\,", "a=x\\ ,y",
    # quotes
    "a=''", 'a=""', "a='x'", 'a="x"', "a='5'", "a='1:3'", "a='1k',2", "a='a|b'", "a='x,y',\"x,y\"", r"a='it\'s'", 'a="it\'s"', r'a="\""', r"a='\\'",
    r"a='\\',x", r"a='\\\'',x", r"a='\\\\'", r"a='a\b'", r"a='a\\b'", r"a='a\\\'b'", r"a='\,'", "a=' x '", "a= 'x' ,'y'", "a='${x}'", "a='[', ']'",
    "a='(','{'", "a='\n'", "a='\u00e9\u4e2d#;&<>'", "a='',''", "a='',x", "a='','b'", r"a='\'','\''", "a=['x,y',\"]\"]", "a={x: '}'}", "a='='", "a=\"'\",'\"'",
    # lists and dictionaries
    "a=[]", "a=[ ]", "a=[1]", "a=[1,2,[3,[4]]]", "a=[ 1 , 2 ]", "a=[1:3]", "a=[1k,a|b]", "a=[[],{}]", "a=[1],[2]", "a={}", "a={a:1}", "a={a: 1, b: [1,2]}",
    "a={a b: c d}", "a={1: x,2.5: y,true: z,null: w}", "a={a:{b:{c:1:3}}}", "a={a|b:1}", "a={a:1},{b:2},x", "a={a:${x},b:'}'}", r"a=[\[,\],\,]", r"a={a\:b:1}",
    "a=[${x},${y:1,2}]", "a={$x:1,*:2}", "a=[choice(1,2)]", "a=[str(1),int('2')]", "a={a:float(1)}",
    # interpolations
    "a=${x}", "a=${x.y[0]}", "a=${oc.env:USER,me}", "a=${f:a,b}", "a=x${y}z", "a=${x}${y}", "a=${x},${y}", "a=${x}:${y}", "a=1:${y}", "a=$${x}", "a=${x}_1",
    "a=${f:'x',\"y\"}", "a=${[}", "a=${(}", "a=${f:]}", "a=${'}", "a=${ x }", "a=${$}", "a=${\\}", "a=${f:{x}", r"a=\\${x}", r"a=\\${[}", r"a=\\${(},1",
    r"a=\\${'},1", "a=${|}", "a=${f:1|2}", "a=${:}", "a=${f:1k}", "a=${=}",
    # functions
    "a=choice(1,2)", "a=choice(x)", "a=choice (1,2)", "a=choice( 1 , 2 )", "a=choice(a,[1,2],{x:1},'q',${i})", "a=choice(1:3,1k,a|b)", "a=range(10)",
    "a=range(1,10)", "a=range(1,10,2)", "a=range(start=1,stop=2,step=.1)", "a=range(1.5,-2,-.5)", "a=interval(0,1)", "a=interval(start=-1,end=1e3)",
    "a=glob(*)", "a=glob(a*,exclude=ab*)", "a=glob([a*,b*],exclude=[x,y])", "a=glob(include=*,exclude=[])", "a=sort(3,1,2)", "a=sort(3,1,reverse=true)",
    "a=sort([3,1])", "a=sort(list=[3,1],reverse=true)", "a=sort(choice(b,a))", "a=sort(sweep=range(3,1,-1))", "a=shuffle(1,2,3)", "a=shuffle([1,2])",
    "a=shuffle(choice(1,2))", "a=shuffle(sweep=range(3))", "a=shuffle(list=[1])", "a=tag(choice(1,2))", "a=tag(x,y,choice(1,2))", "a=tag(x,interval(0,1))",
    "a=tag('x y',sweep=range(3))", "a=int(3.7)", "a=int('3')", "a=int([1.5,{a:2.5}])", "a=int(1.5,2.5)", "a=int(value=1.5)", "a=float(1)", "a=float(range(1,3))",
    "a=str(1)", "a=str([1,true])", "a=str(choice(1,2))", "a=str(1,2)", "a=bool('true')", "a=bool(value=0)", "a=bool({a:1})", "a=int(choice(1.5,2))",
    "a=str(float(1))", "a=1,choice(1,2)", "a=int(1),float(2),str(3)", "a=sort(1,2),x", "a=choice('(',')')", r"a=choice(\(,\))", "a=choice([1])",
    "a=str(${x})", "a=choice(int(1),2)",
)
NEWER = (  # than Hydra 1.3
    "items[0]=1", "items[0]=1,2", "items[a-b].c[0]=x", r"a\.b=1,2", r"a.b\=c=1", r"\[x\]=1,[2,3]", "a=extend_list(1,2)", "a=extend_list([1],x)",
    "a=json_str({a:1})", "a=json_str([1,'x'])",
)
OURS = (  # among what Hydra accepts
    "a=1:3", "a=:3", "a=1:2:3", "a=1:2x", "a=12:30:00", "a=5:k", "a=x,1:3", "a=x,1k", "a=1|2", "a=x|y", "a/m=1", "+a/e3=1,2",
    "a/m=1,x", "a=${x}|1", r"a=\\|1",
)

@pytest.mark.parametrize("word", TABLE)
def test_table(word):
    assert is_passed_through(word)
@pytest.mark.parametrize("word", NEWER)
def test_newer(word):
    assert is_passed_through(word) or parsed(word) is None


@pytest.mark.parametrize("word", OURS)
def test_no_more_than_this_is_ours(word):
    assert parsed(word) is not None and is_ours(word)


# ---- What Hydra's lexer refuses

def lexes(word):
    """Return whether Hydra's lexer takes a word."""
    errors = []
    lexer = OverrideLexer(InputStream(word))
    lexer.removeErrorListeners()
    lexer.addErrorListener(type("Listener", (), {"syntaxError": lambda self, *details: errors.append(details)})())
    lexer.getAllTokens()
    return not errors


def is_refused(word):
    """Whether a word is refused for a step of Hydra's."""
    try:
        hydraflow.Sweep([word], kind="hydra")
    except hydraflow.Error as error:
        return error.code != "unit-doubt"
    return False


def check_refusal(word):
    """Raise AssertionError unless we refuse what Hydra's lexer refuses, and take what its parser takes; return what is so, or None
    where we have no sweep of the word, or a sweep with more in it than Hydra reads."""
    try:
        axis = hydraflow.Sweep([word]).axes[0]
    except hydraflow.Error:
        return None
    if len(axis.spelled) != 1 or re.search(r"[(]|[$][A-Za-z_]|\s$", word) or axis.spelled[0][:1] in "~-$" or "[" in axis.spelled[0]:
        return None
    if parsed(word) is not None:
        assert not is_refused(word), word
        return "taken"
    if not lexes(word):
        assert is_refused(word), word
        return "refused"
    return None


REFUSED = (
    "ckpt=a/epoch=9-step=1.ckpt", "x=a&b", "f=a#b", "name=caf\u00e9", "a=x;y", "a=<x>", "a=x^2", "a=!x", "a=`x`", "a=[1,#2]",
    "a=\u4e2d", "a=[x=1]", "a={x: y=1}", "a=1,b=2", "a=[1,\n2]", "a=\\#", "a=x\u00a0y", "a=1|2#", r"a=\"", r"a=x\'y\'",
)


@pytest.mark.parametrize("word", REFUSED)
def test_what_hydra_refuses_is_refused(word):
    assert parsed(word) is None
    assert is_refused(word)
@pytest.mark.parametrize("word", TABLE)
def test_what_hydra_takes_is_taken(word):
    assert check_refusal(word) in ("taken", None)
    assert not is_refused(word) or word == "=1" or re.search(r"[$][A-Za-z_]", word), word


@examples(600)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x17f) | st.sampled_from("=#&;<>^!`'\",:[]{} \t"), max_size=8)
       | st.lists(st.sampled_from(["x", "1", "'a#b'", "${a#b}", "#", "=", "&", " ", "\u00e9", "[", "]", "{x:", "}", ",", "\\", "|", '"', "'"]), max_size=8).map("".join))
def test_the_lexer_and_we_refuse_the_same(value):
    check_refusal("a=" + value)
def test_both_are_found():
    """Otherwise the test above would show little."""
    seen = []

    @settings(max_examples=900, derandomize=True, **QUIET)
    @given(st.text(st.sampled_from("ab1=#&;\u00e9'[],x "), max_size=6))
    def look(value):
        seen.append(check_refusal("a=" + value))

    look()
    assert min(seen.count("taken"), seen.count("refused")) > 15, seen


# ---- Overrides of Hydra's grammar

WORDS = st.sampled_from(["a", "b", "x", "foo", "A_1", "a-b", "_", "choice", "range", "str", "e3", "k", "m", "inf_", "nan0", "lin", "log", "nulls", "T", "x1"])
BLANKS = st.sampled_from(["", "", "", "", " ", "  ", "\t", " \t "])
INTEGERS = st.integers(-9, 9).map(str) | st.sampled_from(["0", "1", "+3", "1_000", "-2_0", "123456789012345678901234567890", "10", "007"])
FLOATS = st.sampled_from(["1.5", ".5", "5.", "-0.", "1e3", "1E+3", "-1_0.5_0e-1_0", "1e400", "inf", "-Inf", "NaN", "+nan", "0.1", "1e-9"])
NUMBERS = INTEGERS | FLOATS
KEYWORDS = st.sampled_from(["true", "False", "TRUE", "null", "NULL", "Null"])
CHARS = st.sampled_from(list("/-\\+.$%*@?|"))
ESCAPES = st.sampled_from(["\\\\", "\\(", "\\)", "\\[", "\\]", "\\{", "\\}", "\\:", "\\=", "\\,", "\\ ", "\\\t"])
INTERPOLATIONS = st.builds("${{{}}}".format, st.sampled_from(["x", "a.b", "f:1,2", "oc.env:USER,me", "'", "(", "f:[1:3", ":", "f:'a',\"b\"", "|", ",", "\\", "=", " "])
                           | st.text("xyz.:,()[]{'\"$|\\= ", min_size=1, max_size=6))
PRIMITIVE_PIECES = WORDS | NUMBERS | KEYWORDS | CHARS | ESCAPES | INTERPOLATIONS | st.sampled_from([":", ":", " ", "\t"])
TEXTS = st.lists(PRIMITIVE_PIECES, min_size=1, max_size=5).map("".join)
CONTENTS = st.text("abc ,:|()[]{}=\\'\"$\n\t1k~#\u00e9", max_size=8) | st.sampled_from(["1:3", "1k", "${x}", "\\", "\\\\", "'", '"', "\\'", "x\\", "a=b"])


@st.composite
def quoted(draw):
    """Text in quotes, with the backslashes before a quote doubled and the quote escaped."""
    quote = draw(st.sampled_from("'\""))
    text = re.sub(rf"(\\*)({quote}|\Z)", lambda match: match[1] * 2 + ("\\" + quote if match[2] else ""), draw(CONTENTS))
    return quote + text + quote


def listed(items, opening, closing, separator=","):
    return st.builds(lambda parts, before, after, last: opening + before + (before + separator + after).join(parts) + last + closing,
                     items, BLANKS, BLANKS, BLANKS)


def call(name, arguments):
    return st.builds(lambda blank, text: f"{name}{blank}{text}", st.sampled_from(["", "", "", " "]), listed(arguments, "(", ")"))


def named(positional, **options):
    """Positional arguments, then any of the named ones."""
    pairs = [st.just([]) | value.map(lambda text, name=name: [f"{name}={text}"]) for name, value in options.items()]
    return st.builds(lambda first, *rest: first + [text for part in rest for text in part], positional, *pairs)


def some(items, most=3):
    return st.lists(items, min_size=1, max_size=most)


DICT_KEYS = st.lists(WORDS | NUMBERS | KEYWORDS | CHARS | ESCAPES | st.just(" "), min_size=1, max_size=3).map("".join)
PRIMITIVES = quoted() | TEXTS | WORDS | NUMBERS | KEYWORDS | INTERPOLATIONS
SCALARS = WORDS | NUMBERS | KEYWORDS | quoted()
ELEMENTS = st.recursive(PRIMITIVES, lambda inner: (
    listed(st.lists(inner, max_size=3), "[", "]")
    | listed(st.lists(st.builds("{}{}:{}{}".format, DICT_KEYS, BLANKS, BLANKS, inner), max_size=3), "{", "}")
    | st.sampled_from(["int", "float", "str", "bool", "json_str"]).flatmap(lambda name: call(name, some(inner, 2) | inner.map(lambda text: ["value=" + text])))
    | call("choice", some(inner)) | call("sort", named(some(inner), reverse=KEYWORDS)) | call("extend_list", some(inner, 2))), max_leaves=6)
RANGES = call("range", named(some(NUMBERS, 3), step=NUMBERS) | named(st.just([]), start=NUMBERS, stop=NUMBERS, step=NUMBERS))
INTERVALS = call("interval", st.lists(NUMBERS, min_size=2, max_size=2) | named(st.just([]), start=NUMBERS, end=NUMBERS))
CHOICES = call("choice", some(ELEMENTS))
SWEEPS = st.recursive(RANGES | INTERVALS | CHOICES, lambda inner: (
    call("tag", st.builds(lambda tags, sweep: [*tags, sweep], st.lists(WORDS | quoted(), max_size=2), inner | inner.map("sweep={}".format)))
    | call("sort", named(inner.map(lambda text: [text]), reverse=KEYWORDS)) | call("sort", named(st.just([]), sweep=inner, reverse=KEYWORDS))
    | call("shuffle", (inner | inner.map("sweep={}".format)).map(lambda text: [text]))
    | st.sampled_from(["int", "float", "str", "bool"]).flatmap(lambda name: call(name, inner.map(lambda text: [text])))), max_leaves=3)
GLOBS = call("glob", named(some(TEXTS | listed(some(TEXTS), "[", "]"), 1), exclude=TEXTS | listed(some(TEXTS), "[", "]")))
LISTS = call("sort", named(st.just([]), list=listed(some(SCALARS), "[", "]"), reverse=KEYWORDS)) | call("shuffle", some(SCALARS))
VALUES = ELEMENTS | SWEEPS | GLOBS | LISTS | st.just("") | listed(st.lists(ELEMENTS | ELEMENTS | SWEEPS, min_size=2, max_size=4), "", "")
IDS = WORDS | st.sampled_from(["db", "$a", "a$b", "hydra"])
PATHS = IDS | st.lists(IDS | st.sampled_from(["0", "10"]), min_size=2, max_size=3).map(".".join)
GROUPS = st.lists(WORDS, min_size=2, max_size=3).map("/".join)
KEYS = st.builds("{}{}{}".format, st.sampled_from(["", "", "", "+", "++", "~"]), PATHS | PATHS | GROUPS | st.just(""),
                 st.sampled_from(["", "", "", "@p", "@p.q", "@_global_", "@p:q"]))
OVERRIDES = st.builds("{}={}{}".format, KEYS, BLANKS, VALUES)


@examples(800)
@given(OVERRIDES)
def test_overrides_of_the_grammar(word):
    is_passed_through(word)
def test_most_of_these_overrides_are_hydras():
    """Otherwise the test above would show little."""
    seen = []

    @settings(max_examples=900, derandomize=True, **QUIET)
    @given(OVERRIDES)
    def look(word):
        seen.append(is_passed_through(word))

    look()
    assert sum(seen) > len(seen) // 3, f"{sum(seen)} of {len(seen)}"


SOUP = st.sampled_from([*"()[]{},:|='\"\\$ /-+.~@", "${", "\\\\", "\\,", "\\'", "a", "x y", "1", "2.5", "k", "e3", "choice(", "str(", "${x}", "'x'", "''", '"y"', "\t"])


@st.composite
def mutations(draw):
    """A word of the table with up to three pieces put in, taken out or moved."""
    word = draw(st.sampled_from(TABLE))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(word)))
        end = draw(st.integers(start, min(len(word), start + 4)))
        word = word[:start] + draw(SOUP | st.just("") | st.just(word[end:end + 5])) + word[end:]
    return word


@examples(1200)
@given(mutations() | st.lists(SOUP, max_size=8).map(lambda parts: "a=" + "".join(parts)))
def test_whatever_hydra_accepts(word):
    is_passed_through(word)


# ---- What our own sweeps mean, in exact numbers

SCALES = {"T": 12, "G": 9, "M": 6, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
POWERS = st.integers(-12, 12)
UNITS = st.sampled_from([*SCALES]) | st.builds("{}{}".format, st.sampled_from("eE"), POWERS.map(str) | POWERS.map("{:+}".format))


class Meant(namedtuple("Meant", "value kept near text", defaults=(False, False, ""))):
    """What Hydra is to read: the same as from text, where there is one, else the number value.

    kept: with an exponent of the user's, so Hydra reads a float, also where the value is integral. near: floats are calculated with.
    """

    def times(self, unit):
        scale = SCALES[unit] if unit in SCALES else int(unit[1:])
        return self._replace(value=self.value * Fraction(10) ** scale, kept=self.kept or unit not in SCALES, text="")

    def check(self, word):
        """Raise AssertionError unless Hydra reads from the word what is meant, an integer as such."""
        if self.text:
            assert value_of(word) == value_of("a=" + self.text), (word, self)
            return
        read = parsed(word)._value
        if self.value.denominator == 1 and not self.kept:
            assert type(read) is int and abs(read - self.value) <= (abs(self.value) / 10 ** 15 if self.near else 0), (word, self)
        elif self.near:
            assert type(read) in (int, float) and abs(Fraction(read) - self.value) <= abs(self.value) / 10 ** 15, (word, self)
        else:
            assert type(read) is float and read == float(self.value), (word, self)
            assert Fraction(word.partition("=")[2]) == self.value, (word, self)


def plain(value):
    """Return a decimal fraction as text without an exponent."""
    with decimal.localcontext() as context:
        context.prec = 100
        return format((decimal.Decimal(value.numerator) / value.denominator).normalize(), "f")


@st.composite
def spelled(draw, value):
    """One of the ways to write a decimal fraction -> text, whether with an exponent."""
    form = draw(st.sampled_from(["plain", "plain", "si", "exponent", "loose"]))
    if form == "si":
        letter = draw(st.sampled_from([*SCALES]))
        return plain(value / Fraction(10) ** SCALES[letter]) + letter, False
    if form == "exponent":
        power = draw(POWERS)
        return plain(value / Fraction(10) ** power) + draw(st.sampled_from("eE")) + draw(st.sampled_from(["", "+"] if power >= 0 else [""])) + str(power), True
    text = plain(value)
    if form == "loose":
        text = re.sub(r"(?<![.\d_])(\d)(\d{3})(?!\d)", r"\1_\2", text)
        text = re.sub(r"^(-?)0\.", r"\1.", text) if draw(st.booleans()) else text
        text += draw(st.sampled_from(["", "0"] if "." in text else ["", ".", ".0"]))
        text = draw(st.sampled_from(["", "+"] if value >= 0 else [""])) + text
    return text, False


DECIMALS = st.builds(lambda digits, places: Fraction(digits, 10 ** places), st.integers(-50, 50) | st.integers(-10 ** 9, 10 ** 9), st.integers(0, 4))
STEPS = DECIMALS.filter(bool)


@st.composite
def numbers(draw):
    value = draw(DECIMALS)
    text, kept = draw(spelled(value))
    return text, [Meant(value, kept, text="" if text[-1] in SCALES else text)]


@st.composite
def ranges(draw):
    """start:stop:step:unit in every form, the end on the last value or up to a step behind it."""
    count = draw(st.integers(1, 7))
    step = draw(STEPS | st.none()) if count > 1 else None
    start = draw(DECIMALS | DECIMALS | st.none())
    first, stride = Fraction(start or 0), Fraction(step or 1)
    stop = first + stride * (count - 1) + stride * Fraction(draw(st.integers(0, 9)) if count > 1 else 0, 10)
    texts = [draw(spelled(value)) if value is not None else ("", False) for value in (start, stop, step)]
    fields = [text for text, _ in texts[:3 if step is not None else 2]]
    kept = texts[0 if start is not None else 1][1]
    values = [Meant(first + stride * index, kept) for index in range(count)]
    unit = draw(UNITS | st.just(""))
    if unit:
        fields.append(unit)
        values = [value.times(unit) for value in values]
        if start is not None and draw(st.integers(0, 5)) == 0:  # number ":" unit
            del fields[1:-1], values[1:]
    return ":".join(fields), values


def power(first, last, exponent):
    """Return first * (last / first) ** exponent, exact where that is a decimal fraction, else right to 50 digits."""
    with decimal.localcontext() as context:
        context.prec = 100
        ratio = decimal.Decimal((last / first).numerator) / (last / first).denominator
        value = Fraction(ratio ** (decimal.Decimal(exponent.numerator) / exponent.denominator)) * first
    return round(value, 25) if abs(value - round(value, 25)) < Fraction(1, 10 ** 50) else value


@st.composite
def spaced(draw):
    """lin(...) and log(...), with a unit or without."""
    is_log = draw(st.booleans())
    first = draw(STEPS if is_log else DECIMALS)
    last = draw(DECIMALS)
    if is_log:
        last = draw(STEPS.map(lambda value: abs(value) if first > 0 else -abs(value)) | st.integers(-4, 2).map(lambda places: first * Fraction(10) ** places))
    count = draw(st.integers(2, 7))
    unit = draw(UNITS | st.just("") | st.just(""))
    text = f"{'log' if is_log else 'lin'}({draw(spelled(first))[0]}:{draw(spelled(last))[0]}:{count}){unit}"
    places = [Fraction(index, max(count - 1, 1)) for index in range(count)]
    values = [Meant(power(first, last, place) if is_log else first + (last - first) * place, near=True) for place in places]
    return text, [value.times(unit) if unit else value for value in values]


@st.composite
def mantissas(draw):
    """Groups of digits and exponents: every combination, the mantissas fastest."""
    digits, powers = draw(st.lists(st.integers(1, 99), min_size=1, max_size=3)), draw(st.lists(st.integers(0, 12), min_size=1, max_size=3))
    sign = draw(st.sampled_from(["", "-"]))
    text = f"({','.join(map(str, digits))})e{sign}({','.join(map(str, powers))})"
    return text, [Meant(Fraction(f"{digit}e{sign}{scale}"), True, text=f"{digit}e{sign}{scale}") for scale in powers for digit in digits]


def lists(items):
    """Items between commas -> text, values of all."""
    return st.lists(items, min_size=1, max_size=3).map(lambda parts: (",".join(text for text, _ in parts), [value for _, values in parts for value in values]))


def in_unit(text_and_values, unit):
    text, values = text_and_values
    return f"({text}){unit}", [value.times(unit) for value in values]


NUMERIC = st.recursive(numbers() | ranges() | spaced() | mantissas(), lambda inner: st.builds(in_unit, lists(inner), UNITS), max_leaves=4)
SMALL = st.sampled_from([("7", ["7"]), ("0", ["0"]), ("1:3", ["1", "2", "3"]), ("4:0:-2", ["4", "2", "0"]), ("2k", ["2000"])])
NAMES = st.sampled_from(["cnn", "vit", "a-b", "x/y", "z.", "_"]).map(lambda text: (text, [text]))
BETWEEN = st.sampled_from(["", "_", "net", "x/", "-", ".", "v1."])
LITERALS = st.sampled_from(["x", "'1:3'", '"a,b|c"', "[1:3,1k]", "{a: 1k}", "${x:1,2}", "choice(1,2)", "C:/x", "true", "null", r"x\,y", r"1\:3", "inf", "0x1f"]
                           ).map(lambda text: (text, [Meant(None, text=text)]))


@st.composite
def text_groups(draw):
    """Texts and lists that follow each other: every combination, the first list fastest."""
    text = draw(BETWEEN)
    combinations = [text]
    for _ in range(draw(st.integers(1, 3))):
        inner, values = draw(lists(SMALL | NAMES))
        between = draw(BETWEEN)
        text += f"({inner}){between}"
        combinations = [before + value + between for value in values for before in combinations]
    return text, [Meant(None, text=combination) for combination in combinations]


def check_all(sweep, values):
    """Raise AssertionError unless each word of the sweep is what its item means, one by one, and there are no more of them."""
    words = [row for (row,) in hydraflow.expand(sweep)]
    assert len(words) == len(values) == len(hydraflow.Sweep(sweep)), (words, values)
    for word, value in zip(words, values):
        value.check(word)
    return words


@examples(500)
@given(lists(NUMERIC | NUMERIC | LITERALS | text_groups()))
def test_values(sweep):
    """Each value of a list is what its item means; collect says the same in one word."""
    text, values = sweep
    if SI_NUMBER.fullmatch(text):  # alone, it is passed on as it stands
        values = [Meant(None, text=text)]
    try:
        words = check_all("a=" + text, values)
    except hydraflow.Error as error:
        assert error.code in ("tuples-of-one-key", "unknown-function"), error
        assert "(" in text
        return
    assert hydraflow.collect("a=" + text) == ["a=" + ",".join(word[2:] for word in words)]


@examples(250)
@given(st.sampled_from(["a", "+a.b", "++a-1"]), lists(NUMERIC), UNITS)
def test_unit_of_a_key(key, sweep, unit):
    """A unit behind the key multiplies every value."""
    words = check_all(f"{key}/{unit}={sweep[0]}", [value.times(unit) for value in sweep[1]])
    assert all(word.startswith(key + "=") for word in words)
@examples(150)
@given(st.lists(lists(NUMERIC), min_size=2, max_size=3), UNITS | st.just(""))
def test_pipes(parts, unit):
    """Between pipes stands what one task gets: Hydra reads its values as a sweep, or one value as itself; a unit behind the key is for all."""
    words = [row for (row,) in hydraflow.expand(("a/" if unit else "a") + unit + "=" + "|".join(text for text, _ in parts))]
    assert len(words) == len(parts)
    for word, (_, values) in zip(words, parts):
        key, items, _ = split(word)
        assert key == "a" and len(items) == len(values), word
        for item, value in zip(items, values):
            (value.times(unit) if unit else value).check("a=" + item)
