"""Tiny GGUF files that the tests write themselves: a random transformer, and a chain of words.

The random one has attention with random float weights, for exact statements about forks and prefixes. The
chain has no attention: its next token depends on the last one alone, so that it "solves" every problem with a
few known sentences, and the whole command can be tested in seconds.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

Field = int | float | list[int] | list[bool]

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


IMPOSSIBLE = -30.0
"""Logit of a token that a chain has not behind another."""

Chain = Mapping[str, Mapping[str, float]]


def chain_vocabulary(chain: Chain, control: Collection[str] = ()) -> list[str]:
    """The usual vocabulary, with the words of a chain and the control tokens that it lacks."""
    known = vocabulary()
    own = dict.fromkeys(word for word in (*chain, *control) if spelled(word) not in known)
    return vocabulary([*_WORDS, *own])


def chain_logits(chain: Chain, tokens: Sequence[str]) -> NDArray[np.float32]:
    """``[words, words]``: logit of each token (row) behind each token (column)."""
    ids = {token: id_ for id_, token in enumerate(tokens)}
    logits = np.full((len(tokens), len(tokens)), IMPOSSIBLE, np.float32)
    for current, following in chain.items():
        for word, logit in following.items():
            logits[ids[spelled(word)], ids[spelled(current)]] = logit
    return logits


SIZES = 64, 4, 2, 2, 96
"""Width, heads, heads of keys and values, layers and hidden width of a random transformer."""


def random_weights(
    words: int, seed: int = 0, *, output: float = 3.0, biases: bool = False
) -> dict[str, NDArray[np.float32]]:
    """Random float32 tensors by their names in GGUF."""
    rng = np.random.default_rng(seed)
    width, heads, kv_heads, layers, hidden = SIZES

    def weight(rows: int, columns: int, scale: float = 1.0) -> NDArray[np.float32]:
        return (rng.standard_normal((rows, columns)) * scale / math.sqrt(columns)).astype(np.float32)

    ones = np.ones(width, np.float32)
    kv_width = width // heads * kv_heads
    tensors = {"token_embd.weight": weight(words, width, 8.0), "output_norm.weight": ones}
    for layer in range(layers):
        own = {
            "attn_norm": ones,
            "attn_q": weight(width, width, 2.0),
            "attn_k": weight(kv_width, width, 2.0),
            "attn_v": weight(kv_width, width),
            "attn_output": weight(width, width),
            "ffn_norm": ones,
            "ffn_gate": weight(hidden, width),
            "ffn_up": weight(hidden, width),
            "ffn_down": weight(width, hidden),
        }
        tensors |= {f"blk.{layer}.{name}.weight": tensor for name, tensor in own.items()}
        if biases:
            sizes = {"attn_q": width, "attn_k": kv_width, "attn_v": kv_width}
            tensors |= {f"blk.{layer}.{name}.bias": weight(1, size)[0] for name, size in sizes.items()}
    return tensors | {"output.weight": weight(words, width, output)}


def write_random(path: Path, context: int = 512, template: str = CHATML) -> Path:
    """A two-layer llama with random float32 weights."""
    tokens = vocabulary()
    tensors = random_weights(len(tokens))
    louder(tensors["output.weight"], tokens)
    writer = begin(path, "llama", decoder(context, *SIZES, len(tokens)))
    add_vocabulary(writer, tokens, template)
    return finish(writer, tensors, path)


def louder(output: NDArray[np.float32], tokens: Sequence[str]) -> NDArray[np.float32]:
    """An output matrix that draws ends of steps and answers more often: trees then have steps and ends."""
    for word, loudness in {"\n\n": 2.5, ADD: 2.5, MULTIPLY: 2.5, END: 1.6}.items():
        output[tokens.index(word if word == END else spelled(word))] *= loudness
    return output


def write_chain(
    path: Path,
    chain: Mapping[str, Mapping[str, float]] = CHAIN,
    context: int = 2048,
    template: str | None = CHATML,
) -> Path:
    """A one-layer llama whose attention and feed-forward are zero: a Markov chain over its vocabulary.

    Args:
        path: The file.
        chain: Logits of the next token after a token.
        context: Tokens that it was trained for, as it claims.
        template: Chat template.
    """
    tokens = chain_vocabulary(chain)
    width = 288  # one-hot embeddings, rounded up to a multiple of the 32 that flash attention likes
    embedding = np.zeros((len(tokens), width), np.float32)
    embedding[np.arange(len(tokens)), np.arange(len(tokens))] = 1.0
    # RMS norm makes a one-hot row sqrt(width) long; dividing by it turns logits into the chain's own numbers.
    output = np.full((len(tokens), width), IMPOSSIBLE / np.sqrt(width), np.float32)
    output[:, : len(tokens)] = chain_logits(chain, tokens) / np.sqrt(width)
    ones, zeros = np.ones(width, np.float32), np.zeros((width, width), np.float32)
    block: dict[str, NDArray[np.float32]] = {"attn_norm": ones, "ffn_norm": ones}
    block |= dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), zeros)
    block["ffn_down"] = np.zeros((width, 32), np.float32)
    block |= dict.fromkeys(("ffn_gate", "ffn_up"), np.zeros((32, width), np.float32))
    tensors = {f"blk.0.{name}.weight": tensor for name, tensor in block.items()}
    tensors |= {"token_embd.weight": embedding, "output_norm.weight": ones, "output.weight": output}
    writer = begin(path, "llama", decoder(context, width, 9, 9, 1, 32, len(tokens)))
    add_vocabulary(writer, tokens, template)
    return finish(writer, tensors, path)


def decoder(
    context: int, width: int, heads: int, kv_heads: int, layers: int, hidden: int, words: int
) -> dict[str, Field]:
    """Metadata of a transformer by its sizes."""
    return {
        "context_length": context,
        "embedding_length": width,
        "block_count": layers,
        "feed_forward_length": hidden,
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.dimension_count": width // heads,
        "vocab_size": words,
    }


def begin(path: Path, architecture: str, fields: Mapping[str, Field], name: str = "tiny") -> gguf.GGUFWriter:
    """A file with the metadata of a model of 32-bit floats, and no tokenizer and tensors yet."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for key, value in fields.items():
        if isinstance(value, list):
            writer.add_array(f"{architecture}.{key}", value)
        elif isinstance(value, float):
            writer.add_float32(f"{architecture}.{key}", value)
        else:
            writer.add_uint32(f"{architecture}.{key}", value)
    return writer


def add_vocabulary(
    writer: gguf.GGUFWriter,
    tokens: Sequence[str],
    template: str | None = CHATML,
    control: Collection[str] = (),
    bos: str = "",
    end: str = END,
) -> None:
    """Add the tokenizer of ``vocabulary``, in which ``control`` are control tokens too, and a template."""
    controls, merges = {START, END, *control}, [("\n", "\n")]
    add_bpe(writer, tokens, controls, merges, bos or START, end, adds_bos=bos > "", template=template)


def add_bpe(
    writer: gguf.GGUFWriter,
    tokens: Sequence[str],
    controls: Collection[str],
    merges: Sequence[tuple[str, str]],
    bos: str,
    eos: str,
    *,
    kind: str = "default",
    adds_bos: bool = False,
    template: str | None = None,
) -> None:
    """Add a tokenizer of byte-level BPE, and a chat template."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(kind)
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in controls else gguf.TokenType.NORMAL for token in tokens]
    )
    writer.add_token_merges([f"{spelled(left)} {spelled(right)}" for left, right in merges])
    writer.add_bos_token_id(tokens.index(bos))
    writer.add_eos_token_id(tokens.index(eos))
    writer.add_add_bos_token(adds_bos)
    if template is not None:
        writer.add_chat_template(template)


def finish(writer: gguf.GGUFWriter, tensors: Mapping[str, NDArray[np.float32]], path: Path) -> Path:
    """Add the tensors, write everything and close the file."""
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_bytes(
    metadata: Mapping[str, Any] = {"general.architecture": "llama"},
    tensors: Mapping[str, tuple[int, ...]] = {"token_embd.weight": (4, 8)},
) -> bytes:
    """A GGUF with this metadata and F32 tensors of these shapes, as GGUF has them: the innermost first."""
    with tempfile.TemporaryDirectory() as folder:
        writer = gguf.GGUFWriter(Path(folder) / "made.gguf", metadata["general.architecture"])
        for key, value in metadata.items():
            if key != "general.architecture":
                writer.add_key_value(key, value, gguf.GGUFValueType.get_type(value))
        made = {
            name: (np.arange(math.prod(shape), dtype=np.float32) % 251).reshape(shape[::-1])
            for name, shape in tensors.items()
        }
        return finish(writer, made, Path(folder) / "made.gguf").read_bytes()
