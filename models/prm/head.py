"""PRMs with a head on the hidden state: Qwen2.5-Math-PRM and Skywork-o1-Open-PRM.

llama.cpp has no place for their heads, so such a PRM is a pair: a GGUF of the backbone, and the head's few
tensors in safetensors. The head of ``NAME.gguf`` is looked for in the same folder, as
``NAME.head.safetensors``; a missing one of Qwen is read out of the published weights, some 26 MB of 15 GB.
Skywork publishes a pickle, which is never opened here; docs/prms.md says how to make a head of it.

Texts: https://huggingface.co/Qwen/Qwen2.5-Math-PRM-7B (model card) and
https://github.com/SkyworkAI/skywork-o1-prm-inference (model_utils/io_utils.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adascale.engine.errors import UsageError

from ..files import hub
from ..files.catalog import HubRef
from ..files.gguf_info import names_of
from ..files.library import ModelFile
from ..files.safetensors import read_local, read_remote, save_tensors
from ..llama.runtime import FloatArray, LlamaContext, LlamaModel
from ..llama.template import QUESTION, render
from ..storage import cache_folder
from .incremental import Adapter, sigmoid
from .text import Piece, Script, not_a_prm, single_token

_SUFFIX = ".head.safetensors"
_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."

LAYERS = {"qwen-math-prm": ("score.0", "score.2"), "skywork-prm": ("v_head.summary",)}
"""The linear layers of each format's head, in order; ReLU between them."""

_OUTPUTS = {"qwen-math-prm": 2, "skywork-prm": 1}

# Where a head can be fetched, by a part of the backbone's name.
_PUBLISHED = {
    "qwen2.5-math-prm-7b": HubRef("Qwen/Qwen2.5-Math-PRM-7B", "98218b1f4b7ca4cca7ec47348b3f8b457a679d97"),
    "qwen2.5-math-7b-prm800k": HubRef(
        "Qwen/Qwen2.5-Math-7B-PRM800K", "0d04bd1d50d7d36e022a9203128b66583f523276"
    ),
}


@dataclass(frozen=True, slots=True)
class Head:
    """Linear layers with ReLU between them, on the final hidden state.

    Attributes:
        layers: (weight ``[out, in]``, bias ``[out]``) of each layer. The last one has one output, the
            log-odds, or two, the logits of wrong and right.
    """

    layers: tuple[tuple[FloatArray, FloatArray], ...]
    states = True

    def read(self, context: LlamaContext, row: int) -> float:
        """Sigmoid of one output, or softmax over two."""
        return sigmoid(self.log_odds(context.state(row)))

    def log_odds(self, state: FloatArray) -> float:
        """Logit of P(good) for a ``[width]`` state after the final norm."""
        *hidden, (weight, bias) = self.layers
        for inner, offset in hidden:
            state = np.maximum(inner @ state + offset, 0.0)
        out = weight @ state + bias
        return float(out[0] if len(out) == 1 else out[1] - out[0])

    def doubt(self, context: LlamaContext, row: int) -> str:
        """Empty: a head can only be checked by its shapes."""
        return ""


def qwen_math_prm(model: LlamaModel) -> Adapter:
    """ChatML with Qwen's system prompt; ``<extra_0>`` behind each step, where the head is read.

    Raises:
        UsageError: the vocabulary lacks ``<extra_0>``, or the head does not fit.
    """
    name, mark = "qwen-math-prm", Piece("<extra_0>", control=True)
    single_token(model, mark, name)
    if not model.info.chat_template:
        raise not_a_prm(model, name, "it has no chat template")
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": QUESTION}]
    before, found, behind = render(model, messages, open_assistant=True).partition(QUESTION)
    if not found:
        raise not_a_prm(model, name, "its chat template leaves the question out")
    script = Script(
        (Piece(before, control=True),),
        lambda text: [Piece(text), Piece(behind, control=True)],
        lambda index, text: [Piece(text), mark],
    )
    return Adapter(name, script, load_head(model, name))


def skywork_prm(model: LlamaModel) -> Adapter:
    """BOS, question and newline, then lines of steps, each tokenized alone; read at a step's last newline.

    Steps are a blank line apart, which is a newline more; as in the authors' ``prepare_input``.

    Raises:
        UsageError: the vocabulary lacks the tokens, or the head does not fit.
    """
    # The tokenizer that Skywork publishes begins with this token, whatever Qwen's own says.
    name, bos, newline = "skywork-prm", Piece("<|im_start|>", control=True), Piece("\n")
    for piece in (bos, newline):
        single_token(model, piece, name)

    def step(index: int, text: str) -> list[Piece]:
        lines = ([""] if index else []) + text.split("\n")
        return [piece for line in lines for piece in ([Piece(line)] if line else []) + [newline]]

    script = Script((bos,), lambda text: [Piece(text + "\n")], step)
    return Adapter(name, script, load_head(model, name))


def load_head(model: LlamaModel, name: str) -> Head:
    """Read the head of a backbone; its layers must fit each other and the hidden states.

    Raises:
        UsageError: there is no head, or it is another model's.
        ModelCorruptError: the file lacks its tensors.
    """
    path = head_file(model, name)
    if path is None:
        raise _missing_head_error(model.path, name)
    tensors = read_local(path, _tensors_of(name))
    layers = tuple((tensors[f"{layer}.weight"], tensors[f"{layer}.bias"]) for layer in LAYERS[name])
    width = model.width
    for weight, bias in layers:
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            why = f"its states have {width:,} numbers, the head takes {weight.shape[-1]:,}"
            raise not_a_prm(model, name, why, str(path))
        width = weight.shape[0]
    if width != _OUTPUTS[name]:
        raise not_a_prm(model, name, f"the head has {width} outputs, not {_OUTPUTS[name]}", str(path))
    return Head(layers)


def fetch_head(file: ModelFile, name: str, status: Callable[[str], None], *, offline: bool) -> None:
    """Make sure that the head of a backbone is on this machine; does nothing for other formats.

    Raises:
        UsageError: it is missing, and it is not known where it was published.
        ModelUnavailableError, ModelNotFoundError: the Hub cannot be asked, or does not have it.
        ModelCorruptError: the published file lacks the tensors.
    """
    if name not in LAYERS or head_file(file, name) is not None:
        return
    source = _published_head(file)
    if source is None or name != "qwen-math-prm":
        raise _missing_head_error(file.path, name)
    if offline or hub.is_offline():
        raise hub.offline_error(f"the head of {file.name}")
    hub.check_reachable()
    status(f"Fetching the head of {file.name} from {source.repo}...")
    tensors = read_remote(source, _tensors_of(name))
    save_tensors(_fetched_path(source), tensors, {"repo": source.repo, "revision": source.revision or ""})


def _tensors_of(name: str) -> list[str]:
    return [f"{layer}.{part}" for layer in LAYERS[name] for part in ("weight", "bias")]


def head_file(model: ModelFile | LlamaModel, name: str) -> Path | None:
    """The head of a backbone for a PRM format: the user's own beside the GGUF, or the one that was fetched.

    None if it is missing or the format has none.
    """
    if name not in LAYERS:
        return None
    source = _published_head(model)
    places = [model.path.with_suffix(_SUFFIX), *([_fetched_path(source)] if source else [])]
    return next((place for place in places if place.is_file()), None)


def _published_head(model: ModelFile | LlamaModel) -> HubRef | None:
    names = names_of(model.info.name, model.path)
    return next((ref for key, ref in _PUBLISHED.items() if any(key in name for name in names)), None)


def _fetched_path(source: HubRef) -> Path:
    folder = cache_folder() / "heads"
    return folder / f"{source.repo.replace('/', '--')}@{source.revision}.safetensors"


def _missing_head_error(gguf: Path, name: str) -> UsageError:
    return UsageError(
        f"{gguf.name} has no head, which a {name} PRM needs",
        f"looked for {gguf.with_suffix(_SUFFIX)}",
        hint=f"put its tensors ({', '.join(_tensors_of(name))}) there, in safetensors",
        slug="no-head",
    )
