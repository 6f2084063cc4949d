"""The JSON Schema of the job file says right or wrong as the reader does, wherever a schema can tell.

The judge of the schema itself is the PyPI package jsonschema.
"""
import json

import jsonschema
import pytest
import ruamel.yaml
from hypothesis import given
from test_04_job_file import MISTAKES, RIGHT
from test_job_file_laws import FILES, examples

import hydraflow

SCHEMA = hydraflow.job_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
TELLABLE = (  # the mistakes that a schema can tell, by a part of their messages
    "unknown key", "two spellings of one key", "run and call are two", "is expected here", "are expected here", "steps are empty", "a step is keys with values",
    "has no keys", "there are no jobs", "a job file begins with", "jobs are names with keys", "no environment variable can be called",
    "a sample has no count")


def check(text, value):
    """Raise AssertionError unless schema and reader agree about a job file, a text and what any reader of YAML makes of it."""
    try:
        hydraflow.read_jobs(hydraflow.read_yaml(text))
    except hydraflow.Error as error:
        messages = [one.message for one in getattr(error, "errors", [error])]
    else:
        messages = []
    if any(message.startswith(("a name is one line", "no command line")) for message in messages):
        return  # a schema cannot tell, and the reader looks no further there
    tells = [message for message in messages if any(part in message for part in TELLABLE)]
    found = [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(value)]
    assert bool(found) == bool(tells), (text, found, messages)


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
    for name, table in (("job", hydraflow.job_keys(set())), ("step", hydraflow.STEP_KEYS)):
        properties = SCHEMA["$defs"][name]["properties"]
        assert set(table) <= set(properties)
        assert all(value["description"].strip() for value in properties.values())
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
