"""``ask --schema`` and ``batch --schema``: valid JSON on stdout, and a probability of each field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tiny
from commands import Home

from adascale.cli.render.summary import fields_text
from adascale.engine.answers.choosing import FieldEstimate

FORM: Any = {
    "type": "object",
    "properties": {
        "name": {"enum": ["Ann", "Bob"]},
        "pets": {"type": "array", "items": {"enum": ["cat", "dog"]}, "maxItems": 2},
        "home": {
            "type": "object",
            "properties": {"floor": {"enum": [1, 2]}, "owned": {"type": "boolean"}},
            "required": ["floor", "owned"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "pets", "home"],
    "additionalProperties": False,
}
FIELDS = {"name", "pets", "home.floor", "home.owned"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    model = tiny.write_random(folder / "random.gguf", context=4096)
    (folder / "form.json").write_text(json.dumps(FORM))
    return Home(folder, model, folder / "in.txt")


def ask(home: Home, *args: str, schema: str = "form.json") -> Any:
    path = str(home.folder / schema)
    return home.run("ask", "Ann has a cat.", "--schema", path, "-m", str(home.model), "--seed", "1", *args)


def test_stdout_is_json_of_the_schema_whatever_the_model_is(home: Home) -> None:
    for args in ([], ["--strategy", "vote", "-o", "samples", "2"]):
        done = ask(home, *args)
        assert done.returncode in (0, 3), done.stderr  # a guess is an answer that exits with 3
        jsonschema.validate(json.loads(done.stdout), FORM)


def test_a_batch_compares_known_answers(home: Home, tmp_path: Path) -> None:
    source, schema = tmp_path / "in.jsonl", str(home.folder / "form.json")
    known = {"name": "Ann", "pets": ["cat"], "home": {"floor": 3, "owned": True}}
    source.write_text(json.dumps({"question": "Ann has a cat.", "answer": known}))
    done = home.run("batch", str(source), "--schema", schema, "-m", str(home.model))
    record = json.loads(done.stdout)
    jsonschema.validate(json.loads(record["answer"]), FORM)
    assert (set(record["fields"]), json.loads(record["expected"])) == (FIELDS, known)
    assert record["correct"] is False  # no floor 3 in the schema


@pytest.mark.parametrize("text", ["{", '{"type": "string"}'])
def test_what_is_no_schema_of_an_object_is_refused_before_a_model_is_opened(home: Home, text: str) -> None:
    (home.folder / "bad.json").write_text(text)
    done = ask(home, schema="bad.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "bad.json" in done.stderr
    assert "Loading" not in done.stderr


def test_of_doubtful_fields_the_least_likely_is_named_first() -> None:
    fields = {"a": FieldEstimate(2, 0.95), "b.c": FieldEstimate(1, 0.45), "d": FieldEstimate(1, 0.62)}
    assert fields_text(fields) == "2 of 3 fields doubtful: b.c 45 %, d 62 %"
