"""A random model of smollm2-135m's kind, small enough to try trainers on; nothing is fetched."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML, as smollm2 and Qwen2.5 have it, without a system prompt."""

_START, _END, _PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


def save_tiny_model(folder: Path) -> None:
    """Write model and tokenizer as ``from_pretrained`` reads them: 0.5 MB.

    Two layers of width 64, where smollm2-135m has 30 of width 576.
    """
    tokenizer = _byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    for part in (tokenizer, LlamaForCausalLM(config)):
        part.save_pretrained(folder)


def _byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte and three of ChatML: 259 tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (_PAD, _START, _END)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=_END, pad_token=_PAD, chat_template=CHAT_TEMPLATE
    )
