"""The sampler chain of llama.cpp: which tokens its filters leave."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from adascale.models.llama.sampling import Sampler, Stream
from adascale.models.options import SamplingParams

LOGITS = np.log(np.array([0.5, 0.26, 0.2, 0.04], np.float32))


def drawn(params: SamplingParams) -> set[int]:
    """The tokens that 200 draws come to."""
    with closing(Sampler(params, len(LOGITS))) as sampler, closing(Stream(7)) as stream:
        return {sampler.sample_from(stream, LOGITS) for _ in range(200)}


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


def test_min_p_looks_at_what_the_model_says_and_not_at_the_temperature() -> None:
    assert drawn(SamplingParams(temperature=5.0, top_p=1.0, min_p=0.5)) == {0, 1}
