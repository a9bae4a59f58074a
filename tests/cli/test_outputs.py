"""No command replaces a file of something else, whatever its output is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import invoked, write_questions
from sample_log import pens, written

from adascale.engine.errors import UsageError


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["code", "Square n.", "--output"], "any.py"),
        (["batch", "DATA", "--output"], "any"),
        (["replay", "TRACE", "--output"], "any.svg"),
        (["export", "--from", "TRACE", "--to", "trl-prm", "--output"], "any.jsonl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_file_of_something_else_stays(tmp_path: Path, command: list[str], name: str) -> None:
    log = pens(running=False)
    log.end()
    paths = {
        "DATA": write_questions(tmp_path / "data.jsonl", range(40)),
        "TRACE": written(tmp_path / "trace.jsonl", log.events),
    }
    (precious := tmp_path / name).write_bytes(b"GGUF precious")

    with pytest.raises(UsageError) as caught:
        invoked(*(str(paths.get(word, word)) for word in command), str(precious))

    assert caught.value.slug in ("output-exists", "not-results")
    assert caught.value.hint
    assert precious.read_bytes() == b"GGUF precious"


@pytest.mark.parametrize("command", [["code", "Square n.", "--tests"], ["batch"]])
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_an_output_never_replaces_what_is_read(tmp_path: Path, command: list[str], more: list[str]) -> None:
    (read := tmp_path / "tests.py").write_text("assert f(2) == 4")
    with pytest.raises(UsageError) as caught:
        invoked(*command, str(read), "--output", str(read), *more)
    assert caught.value.slug == "output-is-input"
    assert "--overwrite" not in caught.value.hint
