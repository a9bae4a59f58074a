"""Tiny GGUF files of PRMs, and of tokenizers that they may have.

The files have the architecture and the kind of tokenizer of the PRMs. A PRM answers with one of two tokens
where it is asked; ``answers`` lifts these two wherever a certain token was read last, which is what its
training did.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import tiny
from numpy.typing import NDArray

EXTRA = "<extra_0>"

LLAMA3_CONTROLS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
# What the template of Llama-3.1-Instruct does with messages that bring no tools.
LLAMA3 = (
    "{{- bos_token }}"
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set system_message = messages[0]['content']|trim %}{%- set messages = messages[1:] %}"
    "{%- else %}{%- set system_message = '' %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}"
    "{{- 'Cutting Knowledge Date: December 2023\n' }}{{- 'Today Date: 26 Jul 2024\n\n' }}"
    "{{- system_message }}{{- '<|eot_id|>' }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
    "+ '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)

# Parts before wholes: SentencePiece merges neighbours whose whole is a token, the best first.
_MERGED = ("к", "и", "ки", "▁ки", "St", "ep", "Step", "▁Step", "▁+", "▁-", "▁▁")


def write_mistral(path: Path, *, name: str = "tiny") -> Path:
    """A Llama with a SentencePiece vocabulary, as Mistral has one."""
    letters = [chr(code) for code in range(33, 127)]
    words = ["▁", *letters, *_MERGED]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    weights = tiny.random_weights(len(tokens), output=1.0)
    writer = _begin(path, "llama", name, len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(len(words) - rank) for rank in range(len(words))])
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    writer.add_token_types([*kinds, *[gguf.TokenType.NORMAL] * len(words)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    return tiny.finish(writer, weights, path)


def write_llama3(path: Path, *, answers: float = 6.0) -> Path:
    """A Llama with the byte-level BPE, control tokens and chat template of Llama 3.1."""
    tokens = [*tiny.byte_tokens(), tiny.spelled("\n\n"), tiny.spelled(" S"), *LLAMA3_CONTROLS]
    weights = tiny.random_weights(len(tokens), output=1.0)
    _answer(weights, tokens.index(tiny.spelled("\n\n")), [tokens.index("+"), tokens.index("-")], answers)
    writer = _begin(path, "llama", "tiny", len(tokens))
    tiny.add_bpe(
        writer,
        tokens,
        LLAMA3_CONTROLS,
        [("\n", "\n"), (" ", "S")],
        "<|begin_of_text|>",
        "<|eot_id|>",
        kind="llama-bpe",
        adds_bos=True,
        template=LLAMA3,
    )
    return tiny.finish(writer, weights, path)


def write_qwen2(path: Path, *, name: str = "tiny") -> Path:
    """A Qwen2 backbone with ChatML and Qwen's step marker."""
    controls = ["<|endoftext|>", tiny.START, tiny.END, EXTRA]
    tokens = [*tiny.byte_tokens(), tiny.spelled("?\n"), *controls]
    weights = tiny.random_weights(len(tokens), seed=3, biases=True)
    writer = _begin(path, "qwen2", name, len(tokens))
    merges = [("?", "\n")]
    tiny.add_bpe(
        writer, tokens, controls, merges, "<|endoftext|>", tiny.END, kind="qwen2", template=tiny.CHATML
    )
    return tiny.finish(writer, weights, path)


def _answer(weights: dict[str, NDArray[np.float32]], behind: int, answers: list[int], lift: float) -> None:
    """Make ``answers`` equally likely wherever ``behind`` was read last; the context tells them apart."""
    direction = weights["token_embd.weight"][behind] / np.linalg.norm(weights["token_embd.weight"][behind])
    rows = weights["output.weight"][answers]
    if lift:
        rows = rows - np.outer(rows @ direction, direction) + lift * direction
    weights["output.weight"][answers] = rows


def _begin(path: Path, architecture: str, name: str, words: int) -> gguf.GGUFWriter:
    return tiny.begin(path, architecture, tiny.decoder(1024, *tiny.SIZES, words), name)
