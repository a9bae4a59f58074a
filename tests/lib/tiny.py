"""Tiny GGUF files that the tests write themselves: a random transformer, and a chain of words.

The random one has attention with random float weights, for exact statements about forks and prefixes. The
chain has no attention: its next token depends on the last one alone, so that it "solves" every problem with a
few known sentences, and the whole command can be tested in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ADD = "1. First we add.\n\n"
MULTIPLY = "2. Then we multiply.\n\n"
RIGHT = "3. The answer is \\boxed{18}."
WRONG = "3. The answer is \\boxed{20}."
YES, NO = "Yes", "No"
START, END = "<|im_start|>", "<|im_end|>"

CHAIN: Mapping[str, Mapping[str, float]] = {
    "\n": {ADD: 3.0, MULTIPLY: 2.0, YES: 0.5, NO: 0.0},
    ADD: {MULTIPLY: 3.0, WRONG: 1.0},
    MULTIPLY: {RIGHT: 3.0, WRONG: 2.0},
    RIGHT: {END: 5.0},
    WRONG: {END: 5.0},
}
"""Logit of each next token after a token; every other token is as good as impossible."""

DEF, SQUARED, DOUBLED = "def f(n):\n    ", "return n * n\n```", "return n + n\n```"
CODER: Mapping[str, Mapping[str, float]] = {
    "\n": {DEF: 3.0},
    DEF: {DOUBLED: 1.0, SQUARED: 0.9},
    SQUARED: {END: 5.0},
    DOUBLED: {END: 5.0},
}
"""A chain that writes programs: the greedy one doubles, about half of the others square."""

THINK, HMM, DONE = "<think>", "Hmm, let me see. Is it \\boxed{20}?\n\n", "I have it.\n</think>"
THINKER: Mapping[str, Mapping[str, float]] = {
    "\n": {HMM: 3.0},
    THINK: {HMM: 3.0},
    HMM: {HMM: 1.5, DONE: 0.0},
    DONE: {RIGHT: 5.0},
    "\n\n": {RIGHT: 5.0},
    RIGHT: {END: 5.0},
}
"""A chain that thinks for some twenty tokens, wrongly, and then knows the answer."""

THINKER_FOR_EVER: Mapping[str, Mapping[str, float]] = {**THINKER, HMM: {HMM: 5.0}}


def byte_tokens() -> list[str]:
    """The 256 printable stand-ins of byte-level BPE (GPT-2)."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in keep}
    for extra, b in enumerate(b for b in range(256) if b not in keep):
        table[b] = chr(256 + extra)
    return [table[b] for b in range(256)]


def spelled(text: str) -> str:
    """Text in byte-level BPE spelling."""
    table = byte_tokens()
    return "".join(table[b] for b in text.encode())


_WORDS = (ADD, MULTIPLY, RIGHT, WRONG, YES, NO)


def vocabulary(words: Sequence[str] = _WORDS) -> list[str]:
    """Bytes, whole sentences, control tokens."""
    return [*byte_tokens(), spelled("\n\n"), *map(spelled, words), START, END]


def write_random(path: Path, seed: int = 0, context: int = 512, template: str = CHATML) -> Path:
    """A two-layer llama with random float32 weights."""
    rng = np.random.default_rng(seed)
    width, heads, kv_heads, layers, hidden = 64, 4, 2, 2, 96
    tokens = vocabulary()
    writer = _writer(path, tokens, context, width, heads, kv_heads, layers, hidden, template)

    def weight(rows: int, columns: int, scale: float = 1.0) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) * scale / math.sqrt(columns)).astype(np.float32)

    kv_width = width // heads * kv_heads
    writer.add_tensor("token_embd.weight", weight(len(tokens), width, 8.0))
    for layer in range(layers):
        block = f"blk.{layer}."
        writer.add_tensor(block + "attn_norm.weight", np.ones(width, np.float32))
        writer.add_tensor(block + "attn_q.weight", weight(width, width, 2.0))
        writer.add_tensor(block + "attn_k.weight", weight(kv_width, width, 2.0))
        writer.add_tensor(block + "attn_v.weight", weight(kv_width, width))
        writer.add_tensor(block + "attn_output.weight", weight(width, width))
        writer.add_tensor(block + "ffn_norm.weight", np.ones(width, np.float32))
        writer.add_tensor(block + "ffn_gate.weight", weight(hidden, width))
        writer.add_tensor(block + "ffn_up.weight", weight(hidden, width))
        writer.add_tensor(block + "ffn_down.weight", weight(width, hidden))
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    writer.add_tensor("output.weight", louder(weight(len(tokens), width, 3.0), tokens))
    return finish(writer, path)


def louder(output: np.ndarray, tokens: Sequence[str]) -> np.ndarray:
    """An output matrix that draws ends of steps and answers more often: trees then have steps and ends."""
    for word, loudness in {"\n\n": 2.5, ADD: 2.5, MULTIPLY: 2.5, END: 1.6}.items():
        output[tokens.index(word if word == END else spelled(word))] *= loudness
    return output


def write_chain(
    path: Path,
    chain: Mapping[str, Mapping[str, float]] = CHAIN,
    context: int = 2048,
    template: str | None = CHATML,
    control: Collection[str] = (),
) -> Path:
    """A one-layer llama whose attention and feed-forward are zero: a Markov chain over its vocabulary.

    Args:
        path: Of the file.
        chain: Logits of the next token after a token.
        context: Tokens that it was trained for, as it claims.
        template: Of chats.
        control: Words of the chain that are control tokens.
    """
    known = vocabulary()
    own = [word for word in chain if word not in known and spelled(word) not in known]
    tokens = vocabulary([*_WORDS, *own])
    ids = {token: id_ for id_, token in enumerate(tokens)}
    width = 288  # one-hot embeddings, rounded up to a multiple of the 32 that flash attention likes
    writer = _writer(path, tokens, context, width, 9, 9, 1, 32, template, control)
    embedding = np.zeros((len(tokens), width), np.float32)
    embedding[np.arange(len(tokens)), np.arange(len(tokens))] = 1.0
    # RMS norm makes a one-hot row sqrt(width) long; dividing by it turns logits into the chain's own numbers.
    output = np.full((len(tokens), width), -30.0 / np.sqrt(width), np.float32)
    for current, following in chain.items():
        for word, logit in following.items():
            output[
                ids.get(word, ids.get(spelled(word), -1)), ids.get(current, ids.get(spelled(current), -1))
            ] = logit / np.sqrt(width)
    writer.add_tensor("token_embd.weight", embedding)
    zeros = np.zeros((width, width), np.float32)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        writer.add_tensor(f"blk.0.{name}.weight", zeros)
    writer.add_tensor("blk.0.attn_norm.weight", np.ones(width, np.float32))
    writer.add_tensor("blk.0.ffn_norm.weight", np.ones(width, np.float32))
    for name, shape in (("ffn_gate", (32, width)), ("ffn_up", (32, width)), ("ffn_down", (width, 32))):
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros(shape, np.float32))
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    writer.add_tensor("output.weight", output)
    return finish(writer, path)


def _writer(
    path: Path,
    tokens: list[str],
    context: int,
    width: int,
    heads: int,
    kv_heads: int,
    layers: int,
    hidden: int,
    template: str | None,
    control: Collection[str] = (),
) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(width // heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(len(tokens))
    add_vocabulary(writer, tokens, template, control)
    return writer


def add_vocabulary(
    writer: gguf.GGUFWriter, tokens: Sequence[str], template: str | None, control: Collection[str] = ()
) -> None:
    """The tokenizer of ``vocabulary``, where some more words may be control tokens, and a chat template."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    controls = {START, END, *control}
    kinds = [gguf.TokenType.CONTROL if t in controls else gguf.TokenType.NORMAL for t in tokens]
    writer.add_token_types(kinds)
    newline = spelled("\n")
    writer.add_token_merges([f"{newline} {newline}"])
    writer.add_eos_token_id(tokens.index(END))
    writer.add_bos_token_id(tokens.index(START))
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)


def finish(writer: gguf.GGUFWriter, path: Path) -> Path:
    """Write everything out and close the file."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
