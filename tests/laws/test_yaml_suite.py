"""The public YAML test suite: every case is read right or refused for a reason that its text shows, never misread."""
import json
import os
import re
import warnings

import pytest
import ruamel.yaml
import yaml

import hydraflow

CASES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cases", "yaml-suite.jsonl")

SHOWN_BY = {  # what the message names: what the text must hold then
    "several documents": r"(?m)^(---|\.\.\.)(\s|$)",
    "a value cannot begin with": r"(?m)\A(%.*\n)*(#.*\n)*(--- *)?(&\w+ *)?\n? *[|>]|^%|&\w+\s+[&*]",
    "text after a complete value": r"(?s)\[.*:",
    "a tab": r"(?m)^ *\t",
    "a tag": r"(?m)(^|[\s\[{,])!",
    "a complex key": r"(?m)(^|[\s\[{,-])\?(\s|$)|[\]}]\s*:|\*\w+ :",
    "a last line of spaces": r"\n +\Z",
    "duplicate key": r"(?ms)^(:| *\w+:).*^\1",
}


def resolve(text, plain):
    """Return the value of a scalar in the core schema (YAML 1.2.2, 10.3.2)."""
    if not plain:
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    for pattern, read in ((r"[-+]?[0-9]+", int), (r"0o[0-7]+", lambda text: int(text[2:], 8)), (r"0x[0-9a-fA-F]+", lambda text: int(text, 16)),
                          (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", float)):
        if re.fullmatch(pattern, text):
            return read(text)
    return text


def hydraflow_value(text):
    """Read a text with HydraFlow; the value as a list of one document."""
    def value(node):
        if node.kind == "sequence":
            return [value(item) for item in node.value]
        if node.kind == "mapping":
            return {key.value: value(item) for key, item in node.value}
        return resolve(node.value, node.plain)
    return [value(hydraflow.read_yaml(text))]


def events_value(events):
    """Build values from the events of PyYAML or ruamel.yaml, which have the same names."""
    anchors, events = {}, list(events)
    events.reverse()

    def value():
        event = events.pop()
        kind = type(event).__name__
        if kind == "AliasEvent":
            return anchors[event.anchor]
        if kind == "ScalarEvent":
            node = resolve(event.value, event.implicit[0] and event.style in (None, "") or bool(re.search("int|float|null|bool", str(event.tag or ""))))
        elif kind == "SequenceStartEvent":
            node = []
            while type(events[-1]).__name__ != "SequenceEndEvent":
                node.append(value())
            events.pop()
        else:
            node = {}
            while type(events[-1]).__name__ != "MappingEndEvent":
                plain_key = getattr(events[-1], "value", None)
                key, item = value(), value()
                node[plain_key if isinstance(plain_key, str) else repr(key) if isinstance(key, (list, dict)) else key] = item
            events.pop()
        if event.anchor:
            anchors[event.anchor] = node
        return node

    documents = []
    while events:
        if type(events[-1]).__name__ in ("ScalarEvent", "SequenceStartEvent", "MappingStartEvent", "AliasEvent"):
            documents.append(value())
        else:
            events.pop()
    return documents


def pyyaml_value(text):
    return events_value(yaml.parse(text, Loader=yaml.SafeLoader))


def ruamel_value(text):
    return events_value(ruamel.yaml.YAML(typ="safe", pure=True).parse(text))


def outcome(read, case):
    """Return "right", "refused" or "misread", and what was read or the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = read(case["yaml"])
    except (hydraflow.Error, yaml.YAMLError, ruamel.yaml.error.YAMLError, ruamel.yaml.error.MarkedYAMLError, ValueError, NotImplementedError) as error:
        return "right" if case["fail"] else "refused", error
    if case["fail"]:
        return "misread", value
    expected = case["json"]
    if expected == [] and value == [None] or expected is None:  # no document is an empty one; no JSON: nothing to compare
        return "right", value
    return "right" if value == expected else "misread", value


def cases():
    with open(CASES, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_the_suite_is_there():
    assert len(cases()) == 193
    assert sum(case["fail"] for case in cases()) > 40


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_read_right_or_refused_by_name(case):
    result, value = outcome(hydraflow_value, case)
    assert result != "misread", f"{case['name']}: {value!r}"
    if isinstance(value, hydraflow.Error):
        assert value.line >= 1 and value.column >= 1 and value.hint and "^" in str(value)
    if result == "refused":
        shown = [pattern for name, pattern in SHOWN_BY.items() if value.message.startswith(name)]
        assert shown, f"refused without need: {value}"
        assert re.search(shown[0], case["yaml"]), f"not in the text: {value}"


def test_table(capsys):
    rows = []
    for name, read in (("hydraflow", hydraflow_value), ("PyYAML", pyyaml_value), ("ruamel.yaml", ruamel_value)):
        results = [outcome(read, case)[0] for case in cases()]
        rows.append((name, *(results.count(result) for result in ("right", "refused", "misread"))))
    with capsys.disabled():
        print("\nYAML test suite  right  refused  misread")
        for name, right, refused, misread in rows:
            print(f"{name:15}  {right:5}  {refused:7}  {misread:7}")
    assert rows[0][3] == 0
    assert all(row[1] > 100 for row in rows)
