"""The JSON Schema of the job file knows its keys as the reader does, and refuses nothing that the reader takes.

The judge of the schema itself is the PyPI package jsonschema.
"""
import json

import jsonschema
import pytest
import ruamel.yaml
from hypothesis import given
from test_04_job_file import MISTAKES, RIGHT
from test_job_file_laws import FILES, SCHEMA, examples, load_text

import hydraflow

VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def check(text, value):
    """Raise AssertionError unless schema and reader agree about a job file, a text and what any reader of YAML makes of it."""
    codes = []
    try:
        load_text(text)
    except hydraflow.Error as error:
        codes = [one.code for one in getattr(error, "errors", [error])]
    found = [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(value)]
    assert bool("unknown-key" in codes) <= bool(found) <= bool(codes), (text, found, codes)


def loses_its_text(value):
    """Return whether a value holds what a schema cannot tell from other texts: 2.0 is an integer to it, null may be an empty text."""
    if isinstance(value, dict):
        return any(map(loses_its_text, value.values()))
    if isinstance(value, list):
        return any(map(loses_its_text, value))
    return value is None or isinstance(value, float) and (value.is_integer() or value in (float("inf"), -float("inf")))


def test_it_is_a_schema_and_each_key_has_its_meaning():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    json.dumps(SCHEMA)
    for name in ("job", "step"):
        assert all(value["description"].strip() for value in SCHEMA["$defs"][name]["properties"].values())
    assert "sets" in SCHEMA["$defs"]["job"]["properties"] and "each" in SCHEMA["$defs"]["step"]["properties"]


@pytest.mark.parametrize("text", [text for text, _ in MISTAKES] + list(RIGHT))
def test_job_files_of_the_tests(text):
    check(text, ruamel.yaml.YAML(typ="safe", pure=True).load(text))
@examples(400)
@given(FILES)
def test_any_mapping(mapping):
    text = json.dumps(mapping, ensure_ascii=False)
    if not loses_its_text(mapping) and text.isprintable():
        check(text, mapping)
