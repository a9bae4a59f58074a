"""Tiny GGUF files of many architectures, with random float weights: tables of what each one consists of.

Shapes are those of numpy, ``[out, in]``; they follow the loaders of llama.cpp (``src/models``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tiny
from numpy.typing import NDArray

Shapes = dict[str, tuple[int, ...]]

WIDTH, HEADS, KV_HEADS, HEAD, HIDDEN, CONTEXT = 64, 4, 2, 16, 96, 2048
_QUERIES, _KEYS = HEADS * HEAD, KV_HEADS * HEAD

# State-space layers: inner width, state, heads, groups, kernel of the convolution.
_INNER, _STATE, _RANK, _GROUPS, _KERNEL = 128, 16, 8, 2, 4
_SSM: Mapping[str, tiny.Field] = {
    "ssm.conv_kernel": _KERNEL,
    "ssm.inner_size": _INNER,
    "ssm.state_size": _STATE,
    "ssm.time_step_rank": _RANK,
    "ssm.group_count": _GROUPS,
}


def _attention() -> Shapes:
    return {
        "attn_q.weight": (_QUERIES, WIDTH),
        "attn_k.weight": (_KEYS, WIDTH),
        "attn_v.weight": (_KEYS, WIDTH),
        "attn_output.weight": (WIDTH, _QUERIES),
    }


def _biases() -> Shapes:
    return {"attn_q.bias": (_QUERIES,), "attn_k.bias": (_KEYS,), "attn_v.bias": (_KEYS,)}


def _head_norms() -> Shapes:
    return {"attn_q_norm.weight": (HEAD,), "attn_k_norm.weight": (HEAD,)}


def _feed_forward() -> Shapes:
    return {
        "ffn_norm.weight": (WIDTH,),
        "ffn_gate.weight": (HIDDEN, WIDTH),
        "ffn_up.weight": (HIDDEN, WIDTH),
        "ffn_down.weight": (WIDTH, HIDDEN),
    }


def _mamba2() -> Shapes:
    convolved = _INNER + 2 * _GROUPS * _STATE
    return {
        "ssm_in.weight": (_INNER + convolved + _RANK, WIDTH),
        "ssm_conv1d.weight": (convolved, _KERNEL),
        "ssm_conv1d.bias": (convolved,),
        "ssm_dt.bias": (_RANK,),
        "ssm_a": (_RANK, 1),
        "ssm_d": (_RANK, 1),
        "ssm_norm.weight": (_GROUPS, _INNER // _GROUPS),
        "ssm_out.weight": (WIDTH, _INNER),
    }


def _short_convolution() -> Shapes:
    return {
        "shortconv.conv.weight": (WIDTH, _KERNEL - 1),
        "shortconv.in_proj.weight": (3 * WIDTH, WIDTH),
        "shortconv.out_proj.weight": (WIDTH, WIDTH),
    }


def _delta_net() -> Shapes:
    keys, values = _STATE * _GROUPS, _STATE * _RANK
    return {
        "attn_qkv.weight": (2 * keys + values, WIDTH),
        "attn_gate.weight": (values, WIDTH),
        "ssm_conv1d.weight": (2 * keys + values, _KERNEL),
        "ssm_dt.bias": (_RANK,),
        "ssm_a": (_RANK,),
        "ssm_beta.weight": (_RANK, WIDTH),
        "ssm_alpha.weight": (_RANK, WIDTH),
        "ssm_norm.weight": (_STATE,),
        "ssm_out.weight": (WIDTH, values),
    }


def _dense(_layer: int) -> Shapes:
    return _attention() | _feed_forward()


def _qwen2(_layer: int) -> Shapes:
    return _attention() | _biases() | _feed_forward()


def _qwen3(_layer: int) -> Shapes:
    return _attention() | _head_norms() | _feed_forward()


def _gemma3(_layer: int) -> Shapes:
    norms: Shapes = {"post_attention_norm.weight": (WIDTH,), "post_ffw_norm.weight": (WIDTH,)}
    return _attention() | _head_norms() | norms | _feed_forward()


_PER_LAYER = 8
"""Gemma 4's embeddings of a token for each layer."""


def _gemma4(layer: int) -> Shapes:
    head = HEAD if layer % 3 == 2 else HEAD // 2
    attention: Shapes = {
        "attn_q.weight": (HEADS * head, WIDTH),
        "attn_k.weight": (KV_HEADS * head, WIDTH),
        "attn_v.weight": (KV_HEADS * head, WIDTH),
        "attn_output.weight": (WIDTH, HEADS * head),
        "attn_q_norm.weight": (head,),
        "attn_k_norm.weight": (head,),
        "post_attention_norm.weight": (WIDTH,),
        "post_ffw_norm.weight": (WIDTH,),
    }
    per_layer: Shapes = {
        "inp_gate.weight": (_PER_LAYER, WIDTH),
        "proj.weight": (WIDTH, _PER_LAYER),
        "post_norm.weight": (WIDTH,),
    }
    return attention | per_layer | _feed_forward()


def _phi3(_layer: int) -> Shapes:
    """One matrix for queries, keys and values, and one for the gate and the values behind it."""
    return {
        "attn_qkv.weight": (_QUERIES + 2 * _KEYS, WIDTH),
        "attn_output.weight": (WIDTH, _QUERIES),
        "ffn_norm.weight": (WIDTH,),
        "ffn_up.weight": (2 * HIDDEN, WIDTH),
        "ffn_down.weight": (WIDTH, HIDDEN),
    }


def _granite_hybrid(layer: int) -> Shapes:
    return (_attention() if layer % 2 else _mamba2()) | _feed_forward()


def _lfm2(layer: int) -> Shapes:
    mixer = _attention() | _head_norms() if layer % 2 else _short_convolution()
    return mixer | _feed_forward()


def _qwen35(layer: int) -> Shapes:
    gated = _attention() | _head_norms() | {"attn_q.weight": (2 * _QUERIES, WIDTH)}
    feed_forward = _feed_forward()
    feed_forward["post_attention_norm.weight"] = feed_forward.pop("ffn_norm.weight")
    return (gated if layer % 4 == 3 else _delta_net()) | feed_forward


def _mamba2_alone(_layer: int) -> Shapes:
    return _mamba2()


@dataclass(frozen=True)
class Architecture:
    """The parts of a model of an architecture.

    Attributes:
        name: Name that llama.cpp has for it.
        layer: Shapes of one layer's tensors by its number, without its first norm.
        layers: Number of layers.
        fields: Metadata in addition to that of all transformers.
        kind: ``attention``, ``sliding`` window, ``hybrid`` or ``recurrent``.
        final_norm: Name of the last norm.
        embedding: Loudness of the embeddings.
        more: Shapes of tensors of the whole model, by name; words are -1.
    """

    name: str
    layer: Callable[[int], Shapes]
    layers: int = 2
    fields: Mapping[str, tiny.Field] = field(default_factory=dict)
    kind: str = "attention"
    final_norm: str = "output_norm.weight"
    embedding: float = 8.0
    more: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


_GRANITE: Mapping[str, tiny.Field] = {
    "logit_scale": 1.0,
    "residual_scale": 0.5,
    "embedding_scale": 2.0,
    "attention.scale": 0.25,
}

ARCHITECTURES = (
    Architecture("llama", _dense),
    Architecture("qwen2", _qwen2),
    Architecture("qwen3", _qwen3),
    Architecture("gemma3", _gemma3, 6, {"attention.sliding_window": 8}, "sliding", embedding=0.5),
    Architecture(
        "gemma4",
        _gemma4,
        5,
        {
            "attention.sliding_window": 8,
            "attention.sliding_window_pattern": [True, True, False, True, True],
            "attention.shared_kv_layers": 2,
            "attention.key_length_swa": HEAD // 2,
            "attention.value_length_swa": HEAD // 2,
            "rope.dimension_count_swa": HEAD // 2,
            "embedding_length_per_layer_input": _PER_LAYER,
        },
        "sliding",
        embedding=0.5,
        more={
            "per_layer_token_embd.weight": (-1, 5 * _PER_LAYER),
            "per_layer_model_proj.weight": (5 * _PER_LAYER, WIDTH),
            "per_layer_proj_norm.weight": (_PER_LAYER,),
            "rope_freqs.weight": (HEAD // 2,),
        },
    ),
    Architecture("smollm3", _dense, 4),
    Architecture(
        "phi3",
        _phi3,
        # The angles of its positions change with the size of the cache.
        fields={"rope.scaling.original_context_length": 256, "rope.dimension_count": 12},
        embedding=4.0,
        more={"rope_factors_long.weight": (6,), "rope_factors_short.weight": (6,)},
    ),
    Architecture("granite", _dense, fields=_GRANITE),
    Architecture(
        "granitehybrid",
        _granite_hybrid,
        4,
        {**_GRANITE, **_SSM, "attention.head_count_kv": [0, KV_HEADS, 0, KV_HEADS]},
        "hybrid",
    ),
    Architecture("minicpm", _dense, fields={"logit_scale": 1.0}, embedding=2.0),
    Architecture(
        "lfm2",
        _lfm2,
        4,
        {"shortconv.l_cache": _KERNEL - 1, "attention.head_count_kv": [0, KV_HEADS, 0, KV_HEADS]},
        "hybrid",
        "token_embd_norm.weight",
    ),
    Architecture(
        "qwen35",
        _qwen35,
        4,
        {**_SSM, "full_attention_interval": 4, "rope.dimension_sections": [3, 3, 2, 0]},
        "hybrid",
    ),
    Architecture(
        "mamba2",
        _mamba2_alone,
        2,
        {**_SSM, "attention.head_count": 0, "attention.head_count_kv": 0},
        "recurrent",
    ),
)
"""Those that can be searched with."""

DIFFUSION = Architecture("dream", _qwen2)
"""Writes all tokens at once."""


def named(name: str) -> Architecture:
    return next(each for each in ARCHITECTURES if each.name == name)


_LOUD = 300.0
"""Makes embeddings so loud that what the layers add is lost: the last token alone decides, as in a chain."""


def write(path: Path, architecture: Architecture, chain: tiny.Chain | None = None, **vocabulary: Any) -> Path:
    """A model of an architecture with random float32 weights and the vocabulary of ``tiny``.

    Args:
        path: The file.
        architecture: The architecture.
        chain: As ``tiny.write_chain`` has it, for a model that goes by its last token; None for a random one.
        vocabulary: Arguments of ``tiny.add_vocabulary``.
    """
    rng = np.random.default_rng(0)
    tokens = tiny.chain_vocabulary(chain or {}, vocabulary.get("control", ()))
    shapes: Shapes = {"token_embd.weight": (len(tokens), WIDTH), "output.weight": (len(tokens), WIDTH)}
    shapes[architecture.final_norm] = (WIDTH,)
    shapes |= {
        name: tuple(len(tokens) if size < 0 else size for size in shape)
        for name, shape in architecture.more.items()
    }
    for layer in range(architecture.layers):
        own = {"attn_norm.weight": (WIDTH,)} | architecture.layer(layer)
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in own.items()}
    loudness = architecture.embedding * (_LOUD if chain else 1)
    tensors = {name: _random(rng, name, shape, loudness) for name, shape in shapes.items()}
    tiny.louder(tensors["output.weight"], tokens)
    if chain:
        logits = tiny.chain_logits(chain, tokens) - tiny.IMPOSSIBLE
        spoken = logits.any(axis=0)
        states = tensors["token_embd.weight"][spoken]
        states *= tensors[architecture.final_norm] / np.sqrt(np.mean(states**2, axis=1, keepdims=True))
        tensors["output.weight"] = logits[:, spoken] @ np.linalg.pinv(states.T)
    fields = tiny.decoder(CONTEXT, WIDTH, HEADS, KV_HEADS, architecture.layers, HIDDEN, len(tokens))
    fields |= {"attention.key_length": HEAD, "attention.value_length": HEAD, **architecture.fields}
    writer = tiny.begin(path, architecture.name, fields)
    tiny.add_vocabulary(writer, tokens, **vocabulary)
    return tiny.finish(writer, tensors, path)


def _random(
    rng: np.random.Generator, name: str, shape: tuple[int, ...], embedding: float
) -> NDArray[np.float32]:
    """Norms about 1, decays of states below 0, embeddings loud enough to tell tokens apart."""
    noise = rng.standard_normal(shape)
    if "norm" in name or "rope" in name:
        values = 1 + 0.2 * noise
    elif name.endswith("ssm_a"):
        values = -np.exp(0.3 * noise)
    elif len(shape) == 1:
        values = 0.3 * noise
    else:
        loudness = {"token_embd.weight": embedding, "output.weight": 3.0}.get(name, 1.5)
        values = loudness * noise / np.sqrt(shape[-1])
    return values.astype(np.float32)
