"""The text a PRM reads, in pieces: text of a user or a model is never taken for control tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adascale.engine.errors import UsageError, setting
from adascale.engine.kinds import kind_of
from adascale.engine.ports import Prefix

from ..llama.prefixes import Tokens
from ..llama.runtime import LlamaModel
from ..llama.template import QUESTION, Message, render

FIRST, LATER = "ADASCALE-FIRST-7c1f", "ADASCALE-LATER-7c1f"
"""Placeholders of the first step and of a later one, beside that of the question."""

_WITHOUT = f"{setting('prm', 'none')} searches without a PRM"
_STEP_NUMBER = re.compile(r"(?:[#*\s]*step\s+\d+\s*\**[:.)]\**|\d+[.)])\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that is tokenized by itself; control tokens in it count as such only if ``control``."""

    text: str
    control: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """A PRM's text format; behind the question the text only ever grows.

    Attributes:
        head: Pieces before every question; BOS is put first if the vocabulary wants one.
        question: Pieces of a question.
        step: Pieces of a step, given its place (from 0) and its text. The reward is read at the last token.
    """

    head: tuple[Piece, ...]
    question: Callable[[str], Sequence[Piece]]
    step: Callable[[int, str], Sequence[Piece]]

    def tokens(self, model: LlamaModel, prefix: Prefix) -> tuple[Tokens, tuple[int, ...]]:
        """All tokens of a prefix; the lengths of the head, of it with the question, and after each step."""
        asked = kind_of(prefix.problem).statement(prefix.problem)
        parts = [self.head, self.question(asked.strip())]
        parts += [self.step(index, step.text.strip()) for index, step in enumerate(prefix.steps)]
        tokens: list[int] = []
        ends: list[int] = []
        follows = False
        for part in parts:
            for piece in part:
                tokens += model.tokenize(piece.text, special=piece.control, follows=follows)
                follows = True
            if not ends and model.bos is not None and tokens[:1] != [model.bos]:
                tokens.insert(0, model.bos)
            ends.append(len(tokens))
        return tuple(tokens), tuple(ends)


def as_it_is(index: int, text: str) -> str:
    """A step as the generator wrote it."""
    return text


def with_number(index: int, text: str) -> str:
    """A step in the form of Math-Shepherd's data: one line, ``Step 1: ...``, instead of its own number."""
    number = _STEP_NUMBER.match(text)
    words = text[number.end() if number else 0 :].split()
    return f"Step {index + 1}: {' '.join(words)}"


def turns_script(
    model: LlamaModel,
    name: str,
    opening: Sequence[Message],
    answer: str,
    spell: Callable[[int, str], str] = as_it_is,
    *,
    is_joined: bool = False,
) -> Script:
    """Cut a chat template into a script with a turn of the user for each step.

    Args:
        model: Has the template.
        name: Name of the format, for the error.
        opening: Messages up to the first step; they hold ``QUESTION`` and ``FIRST``.
        answer: The assistant's answer to every step before.
        spell: Writes a step, given its place (from 0) and its text.
        is_joined: The text between the question and the first step is tokenized with that step.

    Raises:
        UsageError: the template does not keep earlier turns as they were, so steps cannot be appended.
    """
    turn: list[Message] = [{"role": "assistant", "content": answer}, {"role": "user", "content": LATER}]
    first = render(model, opening, open_assistant=True)
    later = render(model, [*opening, *turn], open_assistant=True)
    if not later.startswith(first + answer) or QUESTION not in first or FIRST not in first:
        raise not_a_prm(model, name, "its chat template rewrites earlier turns")
    head, _, rest = first.partition(QUESTION)
    middle, _, tail = rest.partition(FIRST)
    before, _, behind = later[len(first) :].partition(LATER)

    def question(text: str) -> list[Piece]:
        return [Piece(text)] if is_joined else [Piece(text), Piece(middle, control=True)]

    def step(index: int, text: str) -> list[Piece]:
        text = spell(index, text)
        if index == 0:
            return [Piece(middle + text if is_joined else text), Piece(tail, control=True)]
        return [Piece(before, control=True), Piece(text), Piece(behind, control=True)]

    return Script((Piece(head, control=True),), question, step)


def single_token(model: LlamaModel, piece: Piece, name: str, *, follows: bool = False) -> int:
    """The one token of a text in the GGUF's own vocabulary.

    Args:
        model: Has the vocabulary.
        piece: The text.
        name: Name of the format, for the error.
        follows: True if it stands behind other text.

    Raises:
        UsageError: there is no such token.
    """
    found = model.tokenize(piece.text, special=piece.control, follows=follows)
    if len(found) != 1:
        raise not_a_prm(model, name, f'its vocabulary has no token "{piece.text.strip()}"')
    return found[0]


def not_a_prm(model: LlamaModel, name: str, why: str, *facts: str) -> UsageError:
    """The refusal of a model that cannot be a PRM of this format."""
    if name == "judge":
        message, hint = f"{model.name} cannot judge steps: {why}", _WITHOUT
    else:
        message = f"{model.name} is no {name} PRM: {why}"
        hint = f"{setting('prm', 'judge=NAME')} asks an ordinary model instead, {_WITHOUT}"
    return UsageError(message, *facts, slug="not-a-prm", hint=hint)
