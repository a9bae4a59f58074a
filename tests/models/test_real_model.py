"""A few checks on a real small model (98 MB, from the Hub or the package index)."""

from __future__ import annotations

import numpy as np
import pytest

import adascale
from adascale.engine.errors import ModelUnavailableError
from adascale.models.files.library import ModelFile, locate, resolve
from adascale.models.llama.native import AbortFlag
from adascale.models.llama.prefixes import evaluate_tokens
from adascale.models.llama.runtime import LlamaContext, LlamaModel, Run

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def smollm() -> ModelFile:
    try:
        return resolve("smollm2-135m")
    except ModelUnavailableError as error:
        pytest.skip(f"smollm2-135m cannot be fetched here: {error.message}")


def test_it_is_the_published_file(smollm: ModelFile) -> None:
    assert smollm.sha256 == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


@pytest.fixture(scope="module")
def gemma() -> ModelFile:
    """The only one here with a sliding window; it is never fetched for a test."""
    if locate("gemma3-270m") is None:
        pytest.skip("gemma3-270m is not here: adascale pull gemma3-270m")
    return resolve("gemma3-270m", offline=True)


def test_a_fork_predicts_what_a_fresh_evaluation_predicts(smollm: ModelFile) -> None:
    """Quantized kernels differ by batch shape, so logits agree closely, not exactly."""
    model = LlamaModel(smollm.path)
    context = LlamaContext(model, 256, 3, 2, AbortFlag())
    tokens = model.tokenize("The capital of France is Paris. The capital of Italy is", special=False)
    evaluate_tokens(context, 0, 0, tokens[:-1])
    context.restore(1, context.snapshot(0))
    context.decode([Run(0, len(tokens) - 1, tokens[-1:]), Run(1, len(tokens) - 1, [model.vocab_size - 1])])
    forked = context.logits(0).copy()
    fresh = context.logits(evaluate_tokens(context, 2, 0, tokens)).copy()
    assert model.piece(int(forked.argmax())) == b" Rome"
    assert forked.argmax() == fresh.argmax()
    np.testing.assert_allclose(forked, fresh, atol=1.5)
    context.close()
    model.close()


def test_forks_with_a_sliding_window_predict_what_a_fresh_evaluation_predicts(gemma: ModelFile) -> None:
    """Of 640 tokens the window of 512 sees the last; a branch that has moved goes on from its own cells."""
    model = LlamaModel(gemma.path)
    assert model.sliding_window == 512
    context = LlamaContext(model, 768, 3, 2, AbortFlag(), states=True)
    sentence = model.tokenize(" The capital of Italy is Rome. The capital of France is Paris.", special=False)
    tokens = ([model.bos or 0] + sentence * (640 // len(sentence) + 1))[:640]
    evaluate_tokens(context, 0, 0, tokens[:600])
    context.restore(1, context.snapshot(0))
    row = evaluate_tokens(context, 1, 600, tokens[600:])
    moved, state = context.logits(row).copy(), np.array(context.state(row))
    assert not context.shorten(1, 560)
    row = evaluate_tokens(context, 2, 0, tokens)
    fresh = context.logits(row).copy()
    assert moved.argmax() == fresh.argmax()
    np.testing.assert_allclose(moved, fresh, atol=1.5)
    np.testing.assert_allclose(state, np.array(context.state(row)), atol=0.1 * np.abs(state).max())
    context.close()
    model.close()


@pytest.mark.parametrize("strategy", [adascale.Vote(4), adascale.Beam(2, 2)])
def test_a_search_with_a_judge_ends_with_an_answer(smollm: ModelFile, strategy: adascale.Strategy) -> None:
    options = adascale.SessionOptions(generator="smollm2-135m", prm="self", branches=4)
    settings = adascale.Settings(strategy, adascale.Budget(max_tokens=600), seed=5)
    with adascale.Session(options) as session:
        ticks = iter(range(10**9))
        driver = session.driver(lambda: float(next(ticks)))
        problem = adascale.Problem("1", "Tom has 3 apples and buys 4 more. How many apples has he?")
        events = [event for _, event in driver.run([problem], settings)]
    tree = adascale.replay(events)
    assert tree.usage().generated_tokens > 20
    rewards = [node.reward for node in tree if node.reward is not None]
    assert rewards
    assert all(0 < reward < 1 for reward in rewards)
