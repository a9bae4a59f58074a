"""Chat templates are programs from a file: whatever they compute, they end, and keep within their limits."""

from __future__ import annotations

import time

import pytest
from hypothesis import strategies as st
from mutations import mutated_bytes

from adascale.models.llama.template import render_template

from .conftest import Fuzz, refused

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

    def check(data: bytes) -> None:
        source, rendered = data.decode("utf-8", "replace"), [""]
        started = time.monotonic()

        def render() -> None:
            rendered[0] = render_template(
                source, "x.gguf", messages, add_generation_prompt=True, bos_token=""
            )

        if error := refused(render):
            assert error.slug == "bad-template"
            assert len(error.message) < 1_000
        assert len(rendered[0]) <= 1_000_000
        # Two seconds of its own and a new child, on a machine that has other work too.
        assert time.monotonic() - started < 30

    whole = render_template(CHATML, "x.gguf", messages, add_generation_prompt=True, bos_token="")
    assert "<<question>>" in whole
    fuzz("templates", 25, 2_000, TEXTS.map(str.encode) | mutated_bytes([CHATML.encode()]), check)
