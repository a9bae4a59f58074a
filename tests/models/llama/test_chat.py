"""Chat templates as models bring them."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from adascale.engine.errors import ModelCorruptError
from adascale.models.llama.chat import ChatFormat
from adascale.models.llama.runtime import LlamaModel

LOOP = (
    "{% for m in messages %}{{ m.content }}{% if loop.last %}{% break %}{% endif %}{% continue %}{% endfor %}"
)


def opened(tmp_path: Path, template: str) -> LlamaModel:
    return LlamaModel(tiny.write_chain(tmp_path / "chain.gguf", template=template))


def test_a_template_may_leave_a_loop_as_in_transformers(tmp_path: Path) -> None:
    model = opened(tmp_path, LOOP)
    prompt = ChatFormat(model, "Be brief.").prompt("What is 2 + 2?")
    assert b"".join(map(model.piece, prompt)) == b"Be brief.What is 2 + 2?"
    model.close()


def test_a_template_that_cannot_be_rendered_is_the_files_fault(tmp_path: Path) -> None:
    model = opened(tmp_path, "{% for m in messages %}")
    with pytest.raises(ModelCorruptError, match=r"the chat template of chain\.gguf cannot be rendered"):
        ChatFormat(model, "Be brief.")
    model.close()
