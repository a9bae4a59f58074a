"""Draws under a grammar: those of a mask of the whole vocabulary, of which few tokens are tried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_prm
from machine import opened

from adascale.engine.errors import UsageError
from adascale.engine.tools.calls import Tool
from adascale.engine.tools.grammar import OPENING, grammar_of_call
from adascale.models.llama.context import FloatArray
from adascale.models.llama.model import LlamaModel
from adascale.models.llama.sampling import Grammar, Sampler, Stream
from adascale.models.options import SamplingParams

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "exact": {"type": "boolean"}},
}
TOOL = Tool.of({"type": "function", "function": {"name": "say", "parameters": SCHEMA}})
CALL = f'{OPENING}say", "arguments": {{"city": "K\u00f6ln", "days": 12, "exact": true}}}}'


def behind(model: LlamaModel, tokens: list[int]) -> Grammar:
    """The grammar of a call behind its first tokens."""
    grammar = Grammar(model, grammar_of_call({TOOL.name: TOOL}))
    for token in tokens:
        grammar.accept(token)
    return grammar


def drawn_from_all(sampler: Sampler, grammar: Grammar, stream: Stream, logits: FloatArray) -> int:
    """A draw under a grammar that tries every token by itself."""
    token = sampler.sample(stream, logits)
    if not grammar.allows(token):
        allowed = [grammar.allows(each) for each in range(len(logits))]
        token = sampler.sample(stream, np.where(allowed, logits, -np.inf).astype(np.float32))
    return token


@pytest.mark.parametrize("top_k", [0, 5])
@pytest.mark.parametrize("write", [tiny.write_random, tiny_prm.write_mistral])
def test_draws_equal_those_under_a_mask_of_the_whole_vocabulary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Path], top_k: int
) -> None:
    monkeypatch.setattr("adascale.models.llama.sampling._LIKELY", 24)
    rng = np.random.default_rng(5)
    with opened(write(tmp_path / "t.gguf")) as machine:
        model = machine.model
        written = model.tokenize(CALL[len(OPENING) :], special=False, follows=True)
        sampler = Sampler(model.vocab_size, SamplingParams(top_k=top_k).filters)
        for seed in (None, *range(len(written) * 2)):
            before = written[: (seed or 0) % (len(written) + 1)]
            logits = rng.normal(0, 3, model.vocab_size).astype(np.float32)
            token = sampler.sample(Stream(seed), logits, behind(model, before))
            assert token == drawn_from_all(sampler, behind(model, before), Stream(seed), logits)


def test_a_grammar_error_prints_nothing(random_gguf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with opened(random_gguf) as machine:
        capfd.readouterr()
        with pytest.raises(UsageError, match="grammar"):
            Grammar(machine.model, 'root ::= "secret" {')
    assert capfd.readouterr().err == ""
