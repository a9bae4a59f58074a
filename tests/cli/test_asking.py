"""The question as it was typed."""

from __future__ import annotations

import pytest

from adascale.cli import asking
from adascale.cli.asking import question_text


def test_words_are_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "read_piped", lambda **_: "")
    assert question_text(["what", "is", "3", "-", "1"], "") == "what is 3 - 1"
