"""Experience with a model file: kept by its digest, and told once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sample_log import pens

from adascale.engine.search.events import GeneratorDescription, ModelDescription
from adascale.engine.search.program_guard import ProgramUse
from adascale.engine.search.record import Record
from adascale.models.model_use import ModelUse, count_search, keep_use, read_use, use_path

SHA256 = "a" * 64


def test_what_is_kept_is_read() -> None:
    kept = ModelUse(ProgramUse(30, 60, 50), shift=-0.5, answers=10)
    keep_use(SHA256, kept)
    assert read_use(SHA256) == kept
    assert read_use("b" * 64) == ModelUse()


@pytest.mark.parametrize("torn", [b"", b"[]", b'{"schema": "adascale.model-use/1", "programs": 3}', b"\xff"])
def test_a_torn_file_is_no_experience(torn: bytes) -> None:
    keep_use(SHA256, ModelUse(answers=10))
    use_path(SHA256).write_bytes(torn)
    assert read_use(SHA256) == ModelUse()


def test_the_search_after_which_programs_are_left_out_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record.of(pens().events)
    models = ModelDescription(GeneratorDescription("mine", sha256=SHA256))
    record.started = replace(record.started, models=models)
    counted = iter([ProgramUse(19, 57, 57), ProgramUse(20, 60, 60), ProgramUse(21, 63, 63)])
    monkeypatch.setattr(ProgramUse, "after", lambda use, record: next(counted))
    notices = [count_search(record, "./mine.gguf") for _ in range(3)]
    assert [notice is not None for notice in notices] == [False, True, False]
    assert notices[1] is not None
    assert "./mine.gguf" in notices[1].message
    assert "60 of 60" in notices[1].message
    assert read_use(SHA256).programs.questions == 21
