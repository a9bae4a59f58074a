"""The contract of forks, parking, redrawing and hidden states, for every architecture of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from machine import Machine, opened

from adascale.engine.errors import ModelError
from adascale.engine.strategies import Beam, Vote
from adascale.engine.types import Problem
from adascale.models.files.gguf import read_info
from adascale.models.llama.context import LlamaContext, Run

from . import architectures
from .architectures import ARCHITECTURES, Architecture

PROBLEM = Problem("p", "What is twice 9?")
PROMPT = list(range(10, 40))
CLOSE = {"atol": 5e-3, "rtol": 1e-3}
WITHOUT_STATES = {"lfm2"}
"""Architectures of which llama.cpp gives no logits with hidden states."""


@pytest.fixture(scope="module", params=ARCHITECTURES, ids=lambda each: each.name)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    found: Architecture = request.param
    return found


@pytest.fixture(scope="module")
def path(architecture: Architecture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return architectures.write(tmp_path_factory.mktemp("gguf") / f"{architecture.name}.gguf", architecture)


@pytest.fixture(scope="module")
def shared(path: Path) -> Iterator[Machine]:
    with opened(path) as machine:
        yield machine


@pytest.fixture
def machine(shared: Machine) -> Iterator[Machine]:
    with ExitStack() as stack:
        yield Machine(shared.model, stack)


def fresh(context: LlamaContext, tokens: list[int]) -> np.ndarray:
    """Logits behind tokens that the last sequence evaluates from the start."""
    last = context.sequences - 1
    context.clear(last)
    return context.logits(context.evaluate(last, 0, tokens)).copy()


def test_a_fork_goes_on_as_a_fresh_evaluation(machine: Machine) -> None:
    context = machine.context(5, states=False)
    context.evaluate(0, 0, PROMPT)
    state = context.snapshot(0)
    for sequence in range(4):
        context.restore(sequence, state)
    context.decode([Run(s, len(PROMPT), [token]) for s, token in enumerate((5, 99, 200, 256))])
    forked = [context.logits(row).copy() for row in range(4)]
    for row, token in enumerate((5, 99, 200, 256)):
        np.testing.assert_allclose(forked[row], fresh(context, [*PROMPT, token]), **CLOSE)


def test_a_state_is_never_cut_back(machine: Machine, architecture: Architecture) -> None:
    context = machine.context(3, states=False)
    context.evaluate(0, 0, PROMPT)
    cut = context.shorten(0, 20)
    assert cut is (architecture.kind in ("attention", "sliding"))
    length = 20 if cut else len(PROMPT)
    row = context.evaluate(0, length, [5])
    found = context.logits(row).copy()
    np.testing.assert_allclose(found, fresh(context, [*PROMPT[:length], 5]), **CLOSE)


def test_a_cache_grows_with_its_contents(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adascale.models.llama.context._FIRST_CELLS", 256)
    context = machine.context(5, states=False)
    long = [at % 250 for at in range(300)]
    context.evaluate(0, 0, PROMPT)
    state = context.snapshot(0)
    context.evaluate(1, 0, long)
    context.restore(2, state)
    held = {0: (PROMPT, 5), 1: (long, 99), 2: (PROMPT, 200)}
    context.decode([Run(s, len(tokens), [token]) for s, (tokens, token) in held.items()])
    found = [context.logits(row).copy() for row in held]
    for row, (tokens, token) in held.items():
        np.testing.assert_allclose(found[row], fresh(context, [*tokens, token]), **CLOSE)
    context.reset()
    context.restore(0, state)
    context.decode([Run(0, len(PROMPT), [5])])
    np.testing.assert_allclose(found[0], context.logits(0), **CLOSE)


@pytest.mark.parametrize(("strategy", "even"), [(Vote(3), True), (Beam(2, 2), False)])
def test_a_search_draws_from_the_distribution_of_its_tokens(
    machine: Machine, strategy: Vote | Beam, even: bool
) -> None:
    """Branches that come and go; at an even width rows beside them are padding."""
    assert machine.check_logprobs(PROBLEM, strategy, even=even) > 1


def test_readings_are_the_states_of_their_tokens(machine: Machine, architecture: Architecture) -> None:
    if architecture.name in WITHOUT_STATES:
        with pytest.raises(ModelError, match=f'its architecture is "{architecture.name}"') as raised:
            machine.context()
        assert raised.value.slug == "architecture"
    else:
        for strategy in (Vote(3), Beam(2, 2)):
            assert machine.check_readings(PROBLEM, strategy) > 2


def test_memory_is_what_the_plan_says(machine: Machine, architecture: Architecture, path: Path) -> None:
    info = read_info(path)
    context = machine.context(states=False)
    context.evaluate(0, 0, PROMPT)
    planned = info.kv_bytes_per_token * len(PROMPT) + info.state_bytes
    # Beside them a snapshot has positions and the shapes of each layer.
    size = len(context.snapshot(0).cells)
    assert size <= planned + 16 * len(PROMPT) + 200 * info.block_count
    assert size >= planned or architecture.kind == "sliding"


@pytest.fixture
def window_of_8(tmp_path: Path) -> Iterator[LlamaContext]:
    path = architectures.write(tmp_path / "gemma3.gguf", architectures.named("gemma3"))
    with opened(path) as machine:
        assert machine.model.sliding_window == 8
        yield machine.context(3, states=False)


def test_a_restored_sliding_window_is_cut_back_only_within_its_cells(window_of_8: LlamaContext) -> None:
    """A snapshot has the window's cells alone; llama.cpp would cut further back and answer wrongly."""
    window_of_8.evaluate(0, 0, PROMPT)
    window_of_8.restore(1, window_of_8.snapshot(0))
    window_of_8.evaluate(1, len(PROMPT), PROMPT)
    assert not window_of_8.shorten(1, len(PROMPT) - 1)
    assert window_of_8.shorten(1, len(PROMPT) + 1)
    found = window_of_8.logits(window_of_8.evaluate(1, len(PROMPT) + 1, [5])).copy()
    np.testing.assert_allclose(found, fresh(window_of_8, [*PROMPT, PROMPT[0], 5]), **CLOSE)


def test_a_diffusion_model_is_refused_by_name(tmp_path: Path) -> None:
    path = architectures.write(tmp_path / "dream.gguf", architectures.DIFFUSION)
    with opened(path) as machine, pytest.raises(ModelError, match='has the architecture "dream"'):
        machine.context(states=False)
