"""The PRM formats (``FORMATS``), and the choice of a model's format.

RLHFlow's PRM answers with a token of its language-model head. Its text is its authors':
https://github.com/RLHFlow/RLHF-Reward-Modeling (math-rm/prm_evaluate.py). The judge asks an instruct model
after each step whether the reasoning so far is right. In both, each turn of the user has one step, and the
assistant's earlier answers are always yes; so each step appends text, and scoring is incremental.

Qwen2.5-Math-PRM has a head on the hidden state, which llama.cpp does not support. So such a PRM has two
files: a GGUF of the backbone, and the head's tensors as ``NAME.head.safetensors`` beside ``NAME.gguf``. A
missing head is read from the published weights, 26 MB of 15 GB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adascale.engine.errors import UsageError, setting

from ..files.catalog import HubRef
from ..files.gguf import names_of
from ..files.library import ModelFile
from ..files.safetensors import read_local, read_remote, save_tensors
from ..llama.chat import PLACEHOLDER
from ..llama.context import FloatArray, LlamaContext
from ..llama.model import LlamaModel
from ..llama.templates import Message, render, shows_system
from ..storage import cache_folder
from .scorer import (
    FIRST,
    Adapter,
    Around,
    Script,
    not_a_prm,
    sigmoid,
    single_token,
    turns_script,
)

_SUFFIX = ".head.safetensors"
_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."

_RLHFLOW, _QWEN = "rlhflow-deepseek", "qwen-math-prm"
_TENSORS = ["score.0.weight", "score.0.bias", "score.2.weight", "score.2.bias"]
"""The two linear layers of the head."""

_PUBLISHED = HubRef("Qwen/Qwen2.5-Math-PRM-7B", "98218b1f4b7ca4cca7ec47348b3f8b457a679d97")
"""The published weights, for backbones with ``_PUBLISHED_NAME`` in their names."""
_PUBLISHED_NAME = "qwen2.5-math-prm-7b"


@dataclass(frozen=True, slots=True)
class Head:
    """Two linear layers with ReLU between them, on the final hidden state.

    Attributes:
        inner, offset: Weight ``[n, width]`` and bias ``[n]`` of the first layer.
        outer, bias: Weight and bias of the second, whose two outputs are the logits of wrong and right.
    """

    inner: FloatArray
    offset: FloatArray
    outer: FloatArray
    bias: FloatArray
    states = True

    def read(self, context: LlamaContext, row: int) -> float:
        """Softmax over the two outputs, for the state after the final norm."""
        hidden = np.maximum(self.inner @ context.state(row) + self.offset, 0.0)
        wrong, right = self.outer @ hidden + self.bias
        return sigmoid(float(right - wrong))

    def doubt(self, context: LlamaContext, row: int) -> str:
        """Empty: only the shapes of a head can be checked."""
        return ""


def qwen_math_prm(model: LlamaModel) -> Adapter:
    """ChatML with Qwen's system prompt; ``<extra_0>`` behind each step, at which the head is read.

    Raises:
        UsageError: the vocabulary lacks ``<extra_0>``, or the head does not fit.
    """
    mark = "<extra_0>"
    single_token(model, mark, _QWEN)
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": PLACEHOLDER}]
    before, placeholder, behind = render(model, messages).partition(PLACEHOLDER)
    if not placeholder or not model.info.chat_template:
        raise not_a_prm(model, _QWEN, "it has no chat template that shows the question")
    step = Around("", mark)
    return Adapter(_QWEN, Script(before, Around("", behind), step, step), _load_head(model))


def _load_head(model: LlamaModel) -> Head:
    """Read the head of a backbone.

    Raises:
        UsageError: there is no head, or its shapes do not fit.
        ModelCorruptError: the file lacks its tensors.
    """
    path = head_file(model, _QWEN)
    if path is None:
        raise _missing_head_error(model.path)
    tensors = read_local(path, _TENSORS)
    inner, offset, outer, bias = (tensors[name] for name in _TENSORS)
    shapes = [tensors[name].shape for name in _TENSORS]
    right_shapes = [(len(offset), model.width), offset.shape, (2, len(offset)), (2,)]
    if shapes != right_shapes:
        why = f"its head has the shapes {shapes}, not {right_shapes}"
        raise not_a_prm(model, _QWEN, why, str(path))
    return Head(inner, offset, outer, bias)


def fetch_head(file: ModelFile, name: str, status: Callable[[str], None], *, offline: bool) -> None:
    """Fetch the head of a backbone if it is missing; does nothing for other formats.

    Raises:
        UsageError: it is missing, and was not published with this backbone.
        ModelUnavailableError, ModelNotFoundError: the Hub cannot be reached, or lacks it.
        ModelCorruptError: the published file lacks the tensors.
    """
    if name != _QWEN or head_file(file, name) is not None:
        return
    if not _is_published(file):
        raise _missing_head_error(file.path)
    from ..files.download import check_online, check_reachable

    check_online(f"the head of {file.name}", offline=offline)
    check_reachable()
    source = _PUBLISHED
    status(f"Fetching the head of {file.name} from {source.repo}...")
    tensors = read_remote(source, _TENSORS)
    save_tensors(_fetched_path(), tensors, {"repo": source.repo, "revision": source.revision})


def head_file(model: ModelFile | LlamaModel, name: str) -> Path | None:
    """The file of a backbone's head, beside the GGUF or fetched; None if it is missing or not needed."""
    if name != _QWEN:
        return None
    places = [model.path.with_suffix(_SUFFIX), *([_fetched_path()] if _is_published(model) else [])]
    return next((place for place in places if place.is_file()), None)


def _is_published(model: ModelFile | LlamaModel) -> bool:
    return any(_PUBLISHED_NAME in name for name in names_of(model.info.name, model.path))


def _fetched_path() -> Path:
    name = f"{_PUBLISHED.repo.replace('/', '--')}@{_PUBLISHED.revision}.safetensors"
    return cache_folder() / "heads" / name


def _missing_head_error(gguf: Path) -> UsageError:
    return UsageError(
        f"{gguf.name} has no head, which a {_QWEN} PRM needs",
        f"looked for {gguf.with_suffix(_SUFFIX)}",
        hint=f"put its tensors ({', '.join(_TENSORS)}) there, in safetensors",
        slug="no-head",
    )


# A PRM was trained to write one of two answers; other models rarely do.
_LEAST_SHARE = 0.1

_JUDGE_PROMPT = (
    "You check solutions to problems. The solution is shown to you step by step. After each step answer with "
    "one word: Yes if all reasoning and arithmetic so far is correct, No if there is any mistake."
)
_ANSWERS = "Yes", "No"


@dataclass(frozen=True, slots=True)
class TokenPair:
    """P(good) against P(bad), from the logits of two answer tokens.

    Attributes:
        good: Token of a right step.
        bad: Token of a wrong step.
        least_share: Least probability of the two together in a model that was trained for this.
    """

    good: int
    bad: int
    least_share: float = 0.0
    states = False

    def read(self, context: LlamaContext, row: int) -> float:
        """Softmax over the two."""
        good, bad = context.logits(row)[[self.good, self.bad]]
        return sigmoid(float(good) - float(bad))

    def doubt(self, context: LlamaContext, row: int) -> str:
        """A text if other tokens are far likelier than the two; empty otherwise."""
        logits = context.logits(row)
        share = float(np.exp(np.logaddexp(*logits[[self.good, self.bad]]) - np.logaddexp.reduce(logits)))
        if share >= self.least_share:
            return ""
        return f"only {share:.2%} of its probability lies on the two answers"


def rlhflow(model: LlamaModel) -> Adapter:
    """A turn of the user for each step, the first behind the question; earlier answers are ``+``.

    The score is read at the assistant's next answer.

    Raises:
        UsageError: the template changes earlier turns, or the vocabulary lacks ``+`` or ``-``.
    """
    opening: list[Message] = [{"role": "user", "content": f"{PLACEHOLDER} {FIRST}"}]
    # The space belongs to the first word, as in the authors' own tokens.
    script = turns_script(model, _RLHFLOW, opening, "+", is_joined=True)
    good, bad = (single_token(model, sign, _RLHFLOW) for sign in "+-")
    return Adapter(_RLHFLOW, script, TokenPair(good, bad, _LEAST_SHARE))


def chat_judge(model: LlamaModel) -> Adapter:
    """The judge's text, in the model's own chat template.

    Raises:
        UsageError: the template changes earlier turns, so steps cannot be appended.
    """
    opening: list[Message] = [
        {"role": "system", "content": _JUDGE_PROMPT},
        {"role": "user", "content": f"Problem: {PLACEHOLDER}\n\nSolution:\n{FIRST}"},
    ]
    if not shows_system(model, _JUDGE_PROMPT):
        system, user = (message["content"] for message in opening)
        opening = [{"role": "user", "content": f"{system}\n\n{user}"}]
    script = turns_script(model, "judge", opening, _ANSWERS[0])
    good, bad = (model.tokenize(word, special=False, follows=True)[0] for word in _ANSWERS)
    if good == bad:
        raise not_a_prm(model, "judge", f"{' and '.join(_ANSWERS)} begin with the same token")
    return Adapter("judge", script, TokenPair(good, bad))


FORMATS: Mapping[str, Callable[[LlamaModel], Adapter]] = {
    "judge": chat_judge,
    _RLHFLOW: rlhflow,
    _QWEN: qwen_math_prm,
}
"""Functions that bind a format to a model; a UsageError gives the reason if the model does not fit."""

_NAMES = {_RLHFLOW: r"prm-deepseek-data", _QWEN: r"qwen2\.5-math-(\d+b-)?prm"}
"""Patterns of names of models that are not in the catalogue."""


def split_reference(ref: str) -> tuple[str | None, str]:
    """Format and reference of ``FORMAT=REF``; the format is None without one.

    Raises:
        UsageError: there is no such format.
    """
    name, equals, rest = ref.partition("=")
    if not equals or not re.fullmatch(r"[a-z-]+", name):
        return None, ref
    if name not in FORMATS:
        message, facts = f'there is no PRM format "{name}"', f"formats: {', '.join(FORMATS)}"
        raise UsageError(message, facts, hint=setting("prm", f"judge={rest}"), slug="unknown-prm-format")
    return name, rest


def settle_format(
    file: ModelFile, choice: str | None, status: Callable[[str], None], *, offline: bool
) -> str:
    """Choose the format of a model, and fetch its head if the format needs one.

    Args:
        file: The GGUF.
        choice: The user's choice; None for the catalogue's format, or the format that the file's names match,
            or ``judge``.
        status: Shows a line when a head has to be fetched.
        offline: Never touch the network.

    Raises:
        UsageError: it is named a PRM of no known format, or its head is missing.
        ModelError: its head cannot be fetched.
    """
    names = names_of(file.info.name, file.path)
    candidates = [name for name, pattern in _NAMES.items() if any(re.search(pattern, own) for own in names)]
    if file.spec is not None:
        candidates = [file.spec.format or "judge"]
    if choice:
        candidates = [choice]
    if not candidates and any(re.search(r"prm(?![a-z])", own) for own in names):
        raise UsageError(
            f"{file.shown_name} is named a PRM, but its format is not clear",
            f"formats: {', '.join(FORMATS)}",
            hint=setting("prm", f"FORMAT={file.name}"),
            slug="unknown-prm-format",
        )
    name = [*candidates, "judge"][0]
    fetch_head(file, name, status, offline=offline)
    return name
