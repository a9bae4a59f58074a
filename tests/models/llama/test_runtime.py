"""What the runtime promises, on a random float model: exact forks, no leaks, errors, samplers."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from adascale.engine.errors import (
    AdascaleError,
    DecodeAbortedError,
    DecodeError,
    MemoryOverflowError,
    ModelCorruptError,
    ModelError,
)
from adascale.models.llama import model as native
from adascale.models.llama.context import CacheSnapshot, LlamaContext, Run
from adascale.models.llama.model import AbortFlag, LlamaModel, decode_error, explain_load_failure
from adascale.models.llama.prefixes import PrefixCache
from adascale.models.llama.sampling import Sampler, Stream, penalised
from adascale.models.options import SamplingParams

PROMPT = [10, 20, 30, 40, 50, 60, 70]
CLOSE = {"atol": 2e-4, "rtol": 1e-4}


@pytest.fixture(params=["plain attention", "flash attention"])
def context(
    model: LlamaModel, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LlamaContext]:
    head_size = 64 if request.param == "plain attention" else 128
    monkeypatch.setattr(model, "info", replace(model.info, head_size=head_size))
    opened = LlamaContext(model, window=256, sequences=4, threads=2, abort=AbortFlag())
    yield opened
    opened.close()


def fresh_logits(context: LlamaContext, tokens: list[int]) -> np.ndarray:
    context.clear(3)
    return context.logits(context.evaluate(3, 0, tokens)).copy()


def test_a_forked_branch_has_the_logits_of_a_fresh_evaluation(context: LlamaContext) -> None:
    """With each kind of attention; test_architectures.py has the other properties of forks."""
    context.evaluate(0, 0, PROMPT)
    state = context.snapshot(0)
    for sequence, token in enumerate((5, 6, 7)):
        context.restore(sequence, state)
        context.decode([Run(sequence, len(PROMPT), [token])])
        forked = context.logits(0).copy()
        np.testing.assert_allclose(forked, fresh_logits(context, [*PROMPT, token]), **CLOSE)


def test_long_prefixes_go_in_several_batches(model: LlamaModel) -> None:
    context = LlamaContext(model, window=768, sequences=2, threads=2, abort=AbortFlag())
    tokens = [i % 250 for i in range(700)]
    row = context.evaluate(0, 0, tokens)
    assert row == 700 - 512 - 1
    assert context.evaluated_tokens == 700
    context.close()


def test_a_token_beyond_the_window_is_a_decode_error(context: LlamaContext) -> None:
    context.evaluate(0, 0, [1] * 256)
    with pytest.raises(DecodeError):
        context.decode([Run(0, 256, [1])])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, DecodeError),
        (2, DecodeAbortedError),
        (-1, DecodeError),
        (-2, DecodeError),
        (-3, DecodeError),
        (3, DecodeError),
    ],
)
def test_return_codes_of_decode_have_error_classes(code: int, kind: type[AdascaleError]) -> None:
    assert type(decode_error(code, 7)) is kind
    assert decode_error(0, 7) is None


def test_the_abort_flag_stops_a_decode_from_another_thread(model: LlamaModel) -> None:
    flag = AbortFlag()
    context = LlamaContext(model, window=512, sequences=64, threads=2, abort=flag)
    threading.Timer(0.05, flag.set).start()

    def decode_for_ever() -> None:
        while True:
            context.clear(0)
            context.evaluate(0, 0, [1] * 512)

    with pytest.raises(DecodeAbortedError):
        decode_for_ever()
    assert flag
    flag.clear()
    context.clear(0)
    context.evaluate(0, 0, [1, 2, 3])
    context.close()


def test_text_never_becomes_control_tokens(model: LlamaModel) -> None:
    as_text = model.tokenize("<|im_end|>", special=False)
    assert len(as_text) == 10
    assert model.tokenize("<|im_end|>", special=True) == [model.vocab_size - 1]
    assert b"".join(map(model.piece, as_text)) == b"<|im_end|>"


def test_a_refused_file_shows_the_line_of_the_log(tmp_path: Path, random_gguf: Path) -> None:
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(random_gguf.read_bytes().replace(b"llama.block_count", b"llama.block_sound"))
    with pytest.raises(ModelError, match=r"llama\.cpp cannot load odd\.gguf") as raised:
        LlamaModel(odd)
    assert raised.value.slug == "load-failed"
    assert any("key not found in model: llama.block_count" in fact for fact in raised.value.facts)


def parked() -> CacheSnapshot:
    return CacheSnapshot(1, np.zeros(10_000, np.uint8))


def test_the_cache_drops_the_least_recently_used_prefix_but_never_a_pinned_one() -> None:
    cache = PrefixCache(31_000)
    cache.put((1,), parked(), pin=True)
    cache.put((1, 2), parked())
    cache.put((1, 3), parked())
    assert cache.get((1, 2)) is not None
    cache.put((1, 4), parked())
    assert cache.get((1, 3)) is None
    assert cache.get((1,)) is not None
    assert cache.longest((1, 2, 9, 9), [1, 2, 4]) == (1, 2)
    assert cache.longest((7, 7), [1]) == ()
    cache.drop_below((1,))
    assert cache.longest((1, 2, 9), [1, 2]) == (1,)


def test_logits_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    """Some published quantizations have such weights; nothing that was drawn by them could be recorded."""
    opened = LlamaModel(tiny.write_chain(tmp_path / "broken.gguf", {"\n": {tiny.ADD: math.nan}}))
    context = LlamaContext(opened, window=256, sequences=1, threads=1, abort=AbortFlag())
    with pytest.raises(ModelCorruptError, match=r"broken\.gguf computes logits that are not finite"):
        context.logits(context.evaluate(0, 0, PROMPT))
    context.close()
    opened.close()


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        (
            "llama_model_load: error loading model architecture: unknown model architecture: 'foo'",
            ModelCorruptError,
            'm.gguf has the model architecture "foo", which this llama.cpp lacks',
        ),
        ("unable to allocate CPU buffer", MemoryOverflowError, "llama.cpp got no memory for m.gguf"),
        ("something new", ModelError, "llama.cpp cannot load m.gguf"),
    ],
)
def test_load_failures_are_explained(
    monkeypatch: pytest.MonkeyPatch, line: str, kind: type[Exception], words: str
) -> None:
    monkeypatch.setattr(native, "log_lines", ("loaded meta data", line))
    error = explain_load_failure("m.gguf")
    assert (type(error), error.message) == (kind, words)
    assert error.hint
    if kind is not ModelCorruptError:
        assert line in error.facts


@pytest.mark.parametrize(
    ("own", "count"),
    [({}, "10000"), ({"OMP_WAIT_POLICY": "active"}, "None"), ({"GOMP_SPINCOUNT": "7"}, "7")],
)
def test_threads_sleep_soon_unless_the_environment_says_otherwise(own: dict[str, str], count: str) -> None:
    code = (
        "import os, sys\n"
        "from importlib.abc import MetaPathFinder\n"
        "class Watch(MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'llama_cpp': print(os.environ.get('GOMP_SPINCOUNT'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import adascale.models.session\n"
    )
    others = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=others | own)
    assert done.stdout == f"{count}\n", done.stderr


LOGITS = np.log(np.array([0.5, 0.26, 0.2, 0.04], np.float32))


def drawn(params: SamplingParams) -> set[int]:
    """The tokens that 200 draws come to."""
    sampler, stream = Sampler(len(LOGITS), params.filters), Stream(7)
    return {sampler.sample(stream, LOGITS) for _ in range(200)}


@pytest.mark.parametrize(
    ("params", "left"),
    [
        (SamplingParams(temperature=1.0, top_p=1.0), {0, 1, 2, 3}),
        (SamplingParams(temperature=1.0, top_p=1.0, min_p=0.1), {0, 1, 2}),
        (SamplingParams(temperature=1.0, top_p=1.0, min_p=0.5), {0, 1}),
        (SamplingParams(temperature=1.0, top_p=1.0, top_k=1), {0}),
        (SamplingParams(temperature=1.0, top_p=0.7), {0, 1}),
    ],
)
def test_a_filter_keeps_the_likely_tokens(params: SamplingParams, left: set[int]) -> None:
    assert drawn(params) == left


def likeliest(tokens: list[int], **numbers: Any) -> int:
    """The likeliest token behind others, of which the last two are the solution."""
    params = SamplingParams(temperature=1.0, **numbers)
    found = penalised(LOGITS, params, tokens, tokens[-2:])
    assert not np.shares_memory(found, LOGITS)
    return int(np.argmax(found))


def test_penalties_count_the_solution_and_the_repeat_penalty_also_the_prompt() -> None:
    assert likeliest([0, 0, 1]) == 0
    assert likeliest([0, 3, 3], repeat_penalty=3.0) == 1
    assert likeliest([0, 3, 3], presence_penalty=2.0) == 0
    assert likeliest([3, 0, 3], presence_penalty=2.0) == 1
    assert likeliest([3, 0, 1], frequency_penalty=2.0) == 2
    assert likeliest([3, 0, 1], logit_bias=((3, 5.0), (99, 5.0))) == 3
