"""The sampler chain of llama.cpp: which tokens its filters leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adascale.models.llama.sampling import Sampler, Stream, penalised
from adascale.models.options import SamplingParams

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
def test_a_filter_leaves_what_is_likely_enough(params: SamplingParams, left: set[int]) -> None:
    assert drawn(params) == left


def likeliest(tokens: list[int], **numbers: Any) -> int:
    """The likeliest token behind others, of which the last two are the solution."""
    params = SamplingParams(temperature=1.0, **numbers)
    found = penalised(LOGITS, params, tokens, tokens[-2:])
    assert not np.shares_memory(found, LOGITS)
    return int(np.argmax(found))


def test_penalties_count_the_solution_and_the_repeat_penalty_the_prompt_too() -> None:
    assert likeliest([0, 0, 1]) == 0
    assert likeliest([0, 3, 3], repeat_penalty=3.0) == 1
    assert likeliest([0, 3, 3], presence_penalty=2.0) == 0
    assert likeliest([3, 0, 3], presence_penalty=2.0) == 1
    assert likeliest([3, 0, 1], frequency_penalty=2.0) == 2
    assert likeliest([3, 0, 1], logit_bias=((3, 5.0), (99, 5.0))) == 3
