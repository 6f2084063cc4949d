"""What others write is read back; of any text whatever, ruamel.yaml reads the same or one of us refuses; time and memory are linear.

HYDRAFLOW_EXAMPLES=100000 looks longer.
"""
import io
import json
import os
import re
import warnings
from collections import ChainMap

import pytest
import ruamel.yaml
import yaml
from growth import check_growth
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import hydraflow

EXAMPLES = int(os.environ.get("HYDRAFLOW_EXAMPLES", "0"))
SUITE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cases", "yaml-suite.jsonl")
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


def tree_of(node):
    """Return a node of any of the three readers as texts, lists and lists of pairs."""
    kind = getattr(node, "kind", None) or getattr(node, "id", "scalar")
    if node is None:
        return ""
    if kind == "sequence":
        return [tree_of(item) for item in node.value]
    if kind == "mapping":
        return {"pairs": [(tree_of(key), tree_of(value)) for key, value in node.value]}
    return node.value


def read_by(reader, text):
    """Return (tree, None), or (None, the problem) when the reader refuses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tree_of(reader(text)), None
    except hydraflow.Error as error:
        assert error.line >= 1 and error.column >= 1 and error.hint and str(error)
        return None, error.message
    except (yaml.YAMLError, ruamel.yaml.error.YAMLError, ruamel.yaml.error.MarkedYAMLError, ValueError) as error:
        return None, str(getattr(error, "problem", None) or error)


def by_ruamel(text):
    return ruamel.yaml.YAML(typ="safe", pure=True).compose(text)


def by_pyyaml(text):
    return yaml.compose(text, yaml.SafeLoader)


# ---- What others write

WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\x85\u2028\u2029\ufeff"), max_size=12) | st.sampled_from(
    ["", " ", "a: b", "- a", "a #b", "#", "[", "{a}", "'", '"', "\\", "\n", "a\n", "\na", "a\n\n b\n", " a", "a ", "&a", "*a", "!a", "%", "@", "|", ">",
     "no", "1", "3.10", "---", "...", "a:", ":a", "?", "? a", "-", "\t", "a\tb", "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 2, "\u00e9\u4e2d"])
KEYS = st.text("abcxyz -_.:#'\"\\1", max_size=8) | st.sampled_from(["run", "steps", "a b", "1", "no", "<"])
TREES = st.recursive(WORDS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12).filter(
    lambda tree: not isinstance(tree, str))


def plain(tree):
    """Return what tree_of makes of dictionaries as dictionaries."""
    if isinstance(tree, list):
        return [plain(item) for item in tree]
    if isinstance(tree, dict):
        assert len({key for key, _ in tree["pairs"]}) == len(tree["pairs"])
        return {key: plain(value) for key, value in tree["pairs"]}
    return tree


@settings(max_examples=max(300, EXAMPLES), **QUIET)
@given(TREES, st.sampled_from([None, False, True]), st.sampled_from([None, "'", '"', "|", ">"]), st.integers(10, 100), st.integers(2, 9), st.booleans())
def test_what_pyyaml_writes(tree, flow, style, width, indent, unicode):
    text = yaml.safe_dump(tree, default_flow_style=flow, default_style=style, width=width, indent=indent, allow_unicode=unicode)
    if style:
        text = text.replace("!!str ", "")
    loader = yaml.BaseLoader(text)
    try:
        assume(loader.get_single_data() == tree)  # it cannot always read what it writes
    except yaml.YAMLError:
        assume(False)
    value, problem = read_by(hydraflow.read_yaml, text)
    assume(not str(problem).startswith("a complex key") or not re.search(r"(?m)(^|[\s\[{,])\? ", text))  # a long key
    assert problem is None and plain(value) == tree, (problem, text)
@settings(max_examples=max(150, EXAMPLES // 4), **QUIET)
@given(TREES, st.sampled_from([False, True]), st.integers(20, 100), st.sampled_from([(2, 2, 0), (2, 4, 2), (4, 6, 4), (3, 5, 3)]))
def test_what_ruamel_writes(tree, flow, width, indents):
    writer = ruamel.yaml.YAML(typ="safe", pure=True)
    writer.default_flow_style, writer.width = flow, width
    writer.indent(mapping=indents[0], sequence=indents[1], offset=indents[2])
    file = io.StringIO()
    writer.dump(tree, file)
    text = file.getvalue()
    theirs, problem = read_by(by_ruamel, text)
    assume(problem is None and plain(theirs) == tree)
    value, problem = read_by(hydraflow.read_yaml, text)
    assume(not str(problem).startswith("a complex key") or not re.search(r"(?m)(^|[\s\[{,])\? ", text))
    assume(not str(problem).startswith("text after") or not re.search(r"(?s)\[.*:", text))  # a pair without braces
    assert problem is None and plain(value) == tree, (problem, text)


# ---- Any text whatever

REFUSED_BY_RUAMEL = (  # its problem, and the rule by which we read on
    r"more indented follow up line",  # 8.1.1.1: only empty lines before the first text count
    r"expected ',' or '[\]}]', but got ':'",  # 7.4.2: "key" newline :value
    r"expected the node content, but found '[:?]'",  # 7.4.1: [: a], {a: ?b}
    r"expected the node content, but found '<document end>'",  # 9.2: "..." and nothing before it
)

DIFFERENT = (  # in the text where ruamel.yaml reads something else, and the rule
    r"[|>][-+\d]*[ \t]*(#.*)?\n(.*\n)* +\Z",  # 8.1.1.2: white space ends the file (case JEF9-2 of the test suite)
    r":[,\[\]{}]",  # 7.3.3: in flow, a colon before , [ ] { } ends a plain scalar
    r"[\[{,:]\s*[?:][^\s]",  # 7.3.3: ?a and :a are plain scalars in flow, too
    r"\t:[^\s]",  # 7.3.3: a colon before text is text, with a tab before it, too
    r"[|>][^\n]*\n([ \t]*\n)*(\.\.\.|---)",  # 9.1.2: a marker ends a block scalar without text
)


def disagreement(text):
    """Return what is wrong about how we read a text, or nothing."""
    ours, problem = read_by(hydraflow.read_yaml, text)
    if problem is not None:
        return ""
    theirs, refusal = read_by(by_ruamel, text)
    if any(re.search(pattern, text) for pattern in DIFFERENT):
        return ""
    if refusal is None:
        return "" if ours == theirs else f"we read {ours!r}, ruamel.yaml {theirs!r}"
    if "\t" in text or any(re.search(pattern, refusal) for pattern in REFUSED_BY_RUAMEL):
        return ""  # 6.2: tabs separate wherever no indentation is meant
    return "" if read_by(by_pyyaml, text) == (ours, None) else f"we read {ours!r}, ruamel.yaml refuses: {refusal}"


PIECES = st.sampled_from(
    ["a", "b", "key", "- ", "- - ", "-", "? ", ": ", ":", "a: ", '"k": ', "'s': ", "[", "]", "{", "}", ",", ", ", '"', "'", "''", "\\n", "\\", "#", " #",
     " # c", "&a ", "*a", "*a ", "&b ", "*b ", "|", ">", "|-", ">+", "|2", ">1-", " ", "  ", "\t", "\n", "\n", "\n ", "\n  ", "\n   ", "\n\n", "---", "...",
     "--- ", "%", "@", "`", "!", "a b", "x: y", "1", "~", "|\n  t\n", ">\n  t\n  u\n", '"a\n b"', "'a\n b'", "\u00e9", "\u00a0", "-a", ":a", "?a", "a:b", "a#b"])
INDENTS = st.sampled_from(["", "", " ", "  ", "  ", "   ", "    ", "\t", " \t"])
LINES = st.lists(st.tuples(INDENTS, st.lists(PIECES, max_size=4).map("".join)).map("".join), max_size=8).map("\n".join)
with open(SUITE, encoding="utf-8") as suite_file:
    VALID = [case["yaml"] for case in map(json.loads, suite_file) if not case["fail"]]


@st.composite
def mutations(draw):
    """A case of the test suite with up to three pieces put in, taken out or moved."""
    text = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 6)))
        text = text[:start] + draw(PIECES | st.just("") | st.just(text[end:end + 6])) + text[end:]
    return text


@settings(max_examples=max(3000, EXAMPLES), **QUIET)
@given(st.lists(PIECES, max_size=14).map("".join) | LINES | mutations())
def test_any_text(text):
    assume("<<" not in text)  # a merge key means nothing to compose
    assert not disagreement(text), text


@settings(max_examples=max(300, EXAMPLES // 10), **QUIET)
@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(data):
    read_by(hydraflow.read_yaml, data)
@settings(max_examples=max(300, EXAMPLES // 10), **QUIET)
@given(mutations() | LINES)
def test_every_character_of_a_value_comes_from_the_place_it_names(text):
    try:
        nodes = [hydraflow.read_yaml(text)]
    except hydraflow.Error:
        return
    lines = text.split("\n")
    while nodes:
        node = nodes.pop()
        nodes += [part for pair in node.value for part in pair] if node.kind == "mapping" else node.value if node.kind == "sequence" else []
        assert lines[node.line - 1][node.column - 1:] or node.kind == "scalar"
        if node.kind == "scalar":
            assert node.plain <= (not node.parts or "\n" in text)
            places = [node.text_source().mark(index, index + 1) for index in range(len(node.value))]
            assert places == sorted(places, key=lambda mark: mark[1:3]), text
            for char, mark in zip(node.value, places):
                there = lines[mark.line - 1][mark.column - 1:mark.column]
                assert there == char or char in " \n" or there in ("\\", "'"), (text, node.value, mark)


# ---- Merge keys

FLAT = st.dictionaries(st.sampled_from(["a", "b", "lr", "batch"]), st.sampled_from("123"), max_size=3)


@settings(max_examples=max(200, EXAMPLES // 10), **QUIET)
@given(st.lists(FLAT, min_size=1, max_size=4), st.data())
def test_merge_keys(mappings, data):
    """A key of the mapping itself wins, then one of a mapping named earlier (yaml.org/type/merge.html). PyYAML is no
    judge: 6.0.4 lets one named later win (its issue 953)."""
    lines, expected = [], []
    for index, mapping in enumerate(mappings):
        pairs = [f"{key}: '{value}'" for key, value in mapping.items()]
        above = data.draw(st.lists(st.integers(0, index - 1), max_size=3)) if index else []
        names = [f"*m{place}" for place in above]
        if names:
            pairs.insert(data.draw(st.integers(0, len(pairs))), f"<<: {names[0]}" if len(names) == 1 else f"<<: [{', '.join(names)}]")
        lines.append(f"- &m{index} {{{', '.join(pairs)}}}\n")
        expected.append(dict(ChainMap(mapping, *(expected[place] for place in above))))
    text = "".join(lines)
    assert plain(tree_of(hydraflow.read_yaml(text))) == expected
    assert ruamel.yaml.YAML(typ="safe", pure=True).load(text) == expected


# ---- Linear time and memory

GROWING = {
    "brackets": lambda n: "[" * n, "braces": lambda n: "{a: " * n, "dashes": lambda n: "- " * n, "keys": lambda n: "a: " * n, "anchors": lambda n: "&a " * n,
    "single quotes": lambda n: "'" * n, "double quotes": lambda n: '"' * n, "open quote": lambda n: '"' + "\\a" * n, "escapes": lambda n: '"' + "\\n" * n + '"',
    "open single quote": lambda n: "'" + "''a" * n, "spaces": lambda n: " " * n + "a", "spaces within": lambda n: "a" + " " * n + "b",
    "quoted spaces": lambda n: '"a' + " " * n + 'b"', "spaces at ends": lambda n: "a: b" + (" " * 50 + "\n") * (n // 50), "tabs": lambda n: "a:" + "\t" * n,
    "empty lines": lambda n: "a" + "\n" * n + "b", "comments": lambda n: "- a" + "\n # c" * n + "\n- b", "signs": lambda n: " #" * n, "colons": lambda n: ":" * n,
    "hashes": lambda n: "a" + "#" * n, "minus": lambda n: "-" * n, "words": lambda n: "a " * n, "lines": lambda n: "a\n" * n, "long key": lambda n: "a" * n + ": b",
    "names": lambda n: "".join(f"- &a{i} b\n- *a{i}\n" for i in range(n // 10)), "items": lambda n: "[" + "a, " * n + "]", "pairs": lambda n: "".join(
        f"k{i}: v\n" for i in range(n // 5)), "flow pairs": lambda n: "{" + "".join(f"k{i}: v, " for i in range(n // 5)) + "}", "empty items": lambda n: "-\n" * n,
    "block": lambda n: "a: |\n" + "  b\n" * n, "folded": lambda n: "a: >\n" + "  b\n\n   c\n" * n, "blank block": lambda n: "a: |\n" + (" " * 50 + "\n") * (n // 50),
    "merges": lambda n: "- &a {x: 1}\n" + "- {<<: *a}\n" * (n // 10), "adjacent": lambda n: "{" + '"a"' * n, "aliases": lambda n: "- &a b\n" + "- *a\n" * n,
    "stairs": lambda n: "".join(" " * (i % 40) + "a:\n" for i in range(n)), "bomb": lambda n: "- &a0 b\n" + "".join(f"- &a{i + 1} [*a{i}, *a{i}]\n" for i in range(n // 20)), "merge chain": lambda n: "- &a0 {x: 1}\n" + "".join(
        f"- &a{i + 1} {{<<: *a{i}}}\n" for i in range(n // 20)), "wide merges": lambda n: "- &a {" + "".join(f"k{i}: v, " for i in range(n // 20)) + "}\n" + "- {<<: *a}\n" * 10,
    "quoted lines": lambda n: "'" + "a\n " * n + "'", "feeds": lambda n: "\r" * n,
}


@pytest.mark.parametrize("name", GROWING)
def test_time_and_memory_are_linear(name):
    check_growth(lambda text: read_by(hydraflow.read_yaml, text), GROWING[name])
