"""Chat templates are programs from a file: whatever they compute, they end, and keep within their limits."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import strategies as st

from adascale.models.llama.template import render

from .conftest import Fuzz, refused
from .mutations import mutated_bytes

pytestmark = pytest.mark.slow

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VALUES = st.sampled_from([
    "messages", "bos_token", "m.content", "'x'", "9", "[1, 2]", "{}", "range(9)", "namespace", "cycler",
    "2 ** 99999999", "'%99999999d' % 1", "'x' * 99999999", "raise_exception", "''.__class__", "lipsum",
    "(messages|string * 999)", "range(999999)|list", "self", "none", "loop", "joiner().__init__.__globals__",
])  # fmt: skip
FILTERS = st.sampled_from([
    "", "|tojson", "|upper", "|join('x' * 9999)", "|list", "|sum", "|attr('__class__')", "|batch(2)", "|trim",
    "|replace('x', 'xx' * 999)", "|center(99999999)", "|indent(9999999)", "|format(1)", "|length", "|sort",
])  # fmt: skip
EXPRESSIONS = st.tuples(VALUES, FILTERS).map("".join)
TEXTS = st.recursive(
    EXPRESSIONS.map(lambda value: f"{{{{ {value} }}}}")
    | st.sampled_from(["a", "{{", "%}", "\x1b[2J", CHATML]),
    lambda inner: st.one_of(
        st.tuples(EXPRESSIONS, inner).map(lambda x: f"{{% for m in {x[0]} %}}{x[1]}{{% endfor %}}"),
        st.tuples(EXPRESSIONS, inner).map(lambda x: f"{{% if {x[0]} %}}{x[1]}{{% endif %}}"),
        st.tuples(EXPRESSIONS, inner).map(lambda x: f"{{% set m = {x[0]} %}}{x[1]}"),
        st.tuples(st.just("range(99999)"), inner).map(
            lambda x: f"{{% for i in {x[0]} %}}{x[1]}{{% endfor %}}"
        ),
        inner.map(lambda text: f"{{% macro f(m) %}}{text}{{{{ f(m) }}}}{{% endmacro %}}{{{{ f(1) }}}}"),
        st.tuples(inner, inner).map("".join),
    ),
    max_leaves=6,
)


def test_chat_templates(fuzz: Fuzz) -> None:
    messages = [{"role": "user", "content": "<<question>>"}]

    def rendered(source: str) -> str:
        info = SimpleNamespace(chat_template=source)
        model: Any = SimpleNamespace(info=info, name="x.gguf", special_texts={"bos_token": ""})
        return render(model, messages, open_assistant=True)

    def check(data: bytes) -> None:
        texts: list[str] = []
        started = time.monotonic()
        if error := refused(lambda: texts.append(rendered(data.decode("utf-8", "replace")))):
            assert error.slug == "bad-template"
            assert len(error.message) < 1_000
        assert sum(map(len, texts)) <= 1_000_000
        # Two seconds of its own and a new child, on a machine that has other work too.
        assert time.monotonic() - started < 30

    assert "<<question>>" in rendered(CHATML)
    fuzz("templates", 25, TEXTS.map(str.encode) | mutated_bytes([CHATML.encode()]), check)
