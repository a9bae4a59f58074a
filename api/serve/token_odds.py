"""Log-probabilities of the tokens of an answer, as OpenAI's chat completions and completions write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from adascale.engine.types import TokenOdds

from .wire.http import JsonObject

MAX_LIKELIEST = 20


def up_to(odds: Iterable[TokenOdds], content: str, *, is_cut: bool) -> list[TokenOdds]:
    """The tokens of an answer, up to where a stop text cut it; blanks before it are not shown.

    Args:
        odds: All tokens that were written for it.
        content: The answer.
        is_cut: A stop text cut it.
    """
    found, text = [], b""
    for each in odds:
        piece = bytes(each.piece)
        if not text and not (piece.strip() or content[:1].isspace()):
            continue
        if is_cut and len(text) >= len(content.encode()):
            break
        text += piece
        found.append(each)
    return found


def of_chat(odds: Sequence[TokenOdds] | None) -> JsonObject | None:
    """The field ``logprobs`` of a choice of a chat; None if they were not asked for."""
    if odds is None:
        return None
    content = [{**_token(each), "top_logprobs": list(map(_token, each.likeliest))} for each in odds]
    return {"content": content, "refusal": None}


def of_completion(odds: Sequence[TokenOdds] | None) -> JsonObject | None:
    """The field ``logprobs`` of a choice of a completion; None if they were not asked for."""
    if odds is None:
        return None
    texts = [_text(each) for each in odds]
    return {
        "tokens": texts,
        "token_logprobs": [each.logprob for each in odds],
        "top_logprobs": [{_text(other): other.logprob for other in each.likeliest} for each in odds],
        "text_offset": [sum(map(len, texts[:at])) for at in range(len(texts))],
    }


def _text(odds: TokenOdds) -> str:
    return bytes(odds.piece).decode("utf-8", "replace")


def _token(odds: TokenOdds) -> dict[str, Any]:
    return {"token": _text(odds), "logprob": odds.logprob, "bytes": list(odds.piece)}
