"""Head PRMs: the score of a GGUF backbone and a head is that of the head on states read one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_prm
from numpy.typing import NDArray

from adascale.engine.errors import AdascaleError, ModelCorruptError, UsageError
from adascale.engine.ports import Prefix
from adascale.engine.types import Problem
from adascale.models.files.gguf import read_info
from adascale.models.files.library import ModelFile
from adascale.models.files.safetensors import save_tensors
from adascale.models.llama.context import Run
from adascale.models.prm.formats import settle_format

from . import scoring
from .scoring import Opened, step

Tensors = Mapping[str, NDArray[np.float32]]
NAME = "qwen-math-prm"
WIDTH = tiny.SIZES[0]
QUESTION = Problem("p", "Sue has 18 flamingos. How many are white?")
STEPS = (step("First we count all 18."), step("Then we add\n3 more."), step("The answer is \\boxed{21}."))

# Written out by hand from the model card of Qwen/Qwen2.5-Math-PRM-7B.
QWEN = (
    "<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
    "<|im_start|>user\nSue has 18 flamingos. How many are white?<|im_end|>\n"
    "<|im_start|>assistant\nFirst we count all 18.<extra_0>Then we add\n3 more.<extra_0>"
    "The answer is \\boxed{21}.<extra_0>"
)


def random_head() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(1)

    def layer(layer: str, outputs: int) -> dict[str, NDArray[np.float32]]:
        weight = (rng.standard_normal((outputs, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32)
        return {f"{layer}.weight": weight, f"{layer}.bias": rng.standard_normal(outputs).astype(np.float32)}

    return layer("score.0", WIDTH) | layer("score.2", 2)


def expected(head: Tensors, state: NDArray[np.float64]) -> float:
    """P(good) as the authors' code has it, written out once more."""
    w = {key: tensor.astype(np.float64) for key, tensor in head.items()}
    inner = np.maximum(w["score.0.weight"] @ state + w["score.0.bias"], 0.0)
    logits = np.exp(w["score.2.weight"] @ inner + w["score.2.bias"])
    return float(logits[1] / logits.sum())


def sidecar(gguf: Path) -> Path:
    return gguf.with_name(gguf.name.replace(".gguf", ".head.safetensors"))


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return tiny_prm.write_qwen2(tmp_path / "tiny.Q4_K_M.gguf")


@pytest.fixture
def prm(gguf: Path) -> Iterator[Opened]:
    save_tensors(sidecar(gguf), random_head(), {})
    with scoring.opened(gguf, NAME) as opened:
        yield opened


def test_scores_equal_the_heads_on_states_of_single_tokens(prm: Opened) -> None:
    rewards = [prm.reward(QUESTION, *STEPS[: count + 1]) for count in range(3)]
    tokens, ends = prm.adapter.script.tokens(prm.model, Prefix(QUESTION, STEPS))
    states = []
    for at, token in enumerate(tokens):
        prm.context.decode([Run(1, at, [token])])
        states.append(prm.context.state(0).astype(np.float64))
    reference = [expected(random_head(), states[end - 1]) for end in ends[2:]]
    assert rewards == pytest.approx(reference, abs=1e-3)
    # The head hears the state: at the token before, or before the last norm, it would say something else.
    before = [expected(random_head(), states[end - 2]) for end in ends[2:]]
    assert rewards != pytest.approx(before, abs=1e-2)
    assert np.mean(np.square(states), axis=1) == pytest.approx(1.0, abs=1e-3)
    assert max(rewards) - min(rewards) > 0.01


def test_qwens_text_is_the_model_cards(prm: Opened) -> None:
    assert prm.tokens(QUESTION, *STEPS) == tuple(prm.model.tokenize(QWEN, special=True))
    marks = [prm.model.token_text(token) for token in prm.tokens(QUESTION, *STEPS)]
    assert (marks[-1], marks.count(tiny_prm.EXTRA)) == (tiny_prm.EXTRA, 3)


def test_a_head_that_does_not_fit_is_refused(gguf: Path) -> None:
    head = random_head()
    one = {key: tensor[:1] if key.startswith("score.2") else tensor for key, tensor in head.items()}
    save_tensors(sidecar(gguf), one, {})
    with (
        pytest.raises(UsageError, match=r"has the shapes .*\(1, 64\)"),
        scoring.opened(gguf, NAME),
    ):
        pass
    save_tensors(sidecar(gguf), {key: head[key] for key in list(head)[:2]}, {})
    lacks = pytest.raises(ModelCorruptError, match=r"has no tensor score\.2\.weight")
    with lacks, scoring.opened(gguf, NAME):
        pass


def test_a_backbone_alone_is_refused_before_it_is_loaded(gguf: Path) -> None:
    file = ModelFile(str(gguf), gguf, "", None, "path", read_info(gguf))
    with pytest.raises(AdascaleError, match=f"has no head, which a {NAME} PRM needs") as raised:
        settle_format(file, NAME, print, offline=False)
    assert raised.value.slug == "no-head"
    assert str(sidecar(gguf)) in raised.value.facts[0]
    save_tensors(sidecar(gguf), random_head(), {})
    assert settle_format(file, NAME, print, offline=True) == NAME
