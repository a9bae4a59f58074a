"""Tool calls and JSON objects while they are written: free text until one begins, then its grammar.

A model begins a call in its own format. The token that begins it gives way to ``{"name": "``, and from there
on the grammar of the tools decides: so a call is always JSON of one form, names a known tool, and has
arguments of the right types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Literal

import numpy as np

from adascale.engine.tools.calls import MARKERS, ToolRequest
from adascale.engine.tools.equality import reordered
from adascale.engine.tools.grammar import OPENING, grammar_of_call, grammar_of_object
from adascale.engine.tools.schema import object_schema

from .model import LlamaModel
from .sampling import Grammar

MOST_CALLS = 16
"""Most calls of one reply; a small model may repeat itself without end."""

_MARKER = re.compile(rf"(?:{'|'.join(map(re.escape, MARKERS))})\s*$")
_LEAD = r"\s*+(?:```\w*\s*+)?\[?\s*+"
"""Possessive, as every token is searched for it, and a small model may write blanks without end."""
_BETWEEN = re.compile(r"(?:[\s,;\]]|</?\w*>?|\[?/?[A-Z_]*\]|<\|?/?\w*\|?>?|`+\w*)*")
"""Text between two calls, or the beginning of it."""

TokenEffect = Literal["on", "begun", "replaced", "over"]
"""Effect of a new token: the text goes on; a call begins behind it, or in its place; the reply is over."""


class Rules:
    """The form of a reply: JSON under a grammar, and free text around it.

    Args:
        model: The model that writes it.
        gbnf: Grammar of the JSON behind its beginning.
        beginning: The beginning.
        names: Names of tools; a name before a parenthesis begins a call, too.
        is_required: The reply has to begin with the JSON.
        most: Most JSON objects of a reply.

    Attributes:
        grammar: Makes a new grammar for the text behind the beginning.
        opening: Pattern of a beginning in the formats of models.

    Raises:
        UsageError: a schema cannot be made a grammar.
    """

    def __init__(
        self,
        model: LlamaModel,
        gbnf: str,
        beginning: str,
        names: Iterable[str] = (),
        *,
        is_required: bool = True,
        most: int = 1,
    ) -> None:
        self._model = model
        self._beginning = beginning
        pattern = "|".join(map(re.escape, names))
        self.opening = re.compile(rf"{_LEAD}(?:\{{|<(?:function|invoke)\b|(?:print\()?(?:{pattern})\s*\()")
        self.is_required = is_required
        self.most = most
        self.grammar = partial(Grammar, model, gbnf)
        self.grammar()

    def lead(self, effect: TokenEffect) -> tuple[list[int], bytes]:
        """Tokens that begin the JSON, and their text."""
        text = f"\n{self._beginning}" if effect == "begun" else self._beginning
        return self._model.tokenize(text, special=False, follows=True), text.encode()


def object_rules(model: LlamaModel, schema: object, seed: int | None = None) -> Rules:
    """Rules for a reply that is one JSON object, behind thoughts at most.

    Args:
        model: The model that writes it.
        schema: Schema of the object.
        seed: Seed of another order of the fields.

    Raises:
        UsageError: the schema cannot be made a grammar.
    """
    form = object_schema(schema)
    if seed is not None:
        form = reordered(form, np.random.default_rng(seed))
    return Rules(model, grammar_of_object(form), "{")


def call_rules(model: LlamaModel, request: ToolRequest) -> Rules:
    """Rules for the calls that a request allows.

    Raises:
        UsageError: a schema cannot be made a grammar.
    """
    most, is_required = MOST_CALLS if request.is_parallel else 1, request.choice == "required"
    gbnf = grammar_of_call(request.tools)
    return Rules(model, gbnf, OPENING, request.tools, is_required=is_required, most=most)


class CallWriter:
    """The calls of one branch.

    Attributes:
        grammar: The grammar of the call that is being written; None between calls.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.grammar: Grammar | None = None
        self._written: list[bytes] = []
        self._at = 0

    def begin(self, text: bytes) -> None:
        """Begin a call at the end of a text."""
        self.grammar, self._at = self.rules.grammar(), len(text)

    def read(self, text: bytes) -> TokenEffect:
        """The effect of the last token of a reply: a marker, a bracket or XML begins a call.

        Behind a call, any text but separators ends the reply.
        """
        if self.grammar is not None:
            return self._read_call(text) if self.grammar.is_complete else "on"
        is_first = not self._written
        if self.rules.is_required and is_first:
            return "replaced"
        since = text[self._at :].decode("utf-8", "ignore")
        if _MARKER.search(since):
            return "begun"
        rest = since if is_first else _BETWEEN.sub("", since, count=1)
        if self.rules.opening.match(rest):
            return "replaced"
        return "on" if is_first or not rest else "over"

    def _read_call(self, text: bytes) -> TokenEffect:
        """End a complete call; the reply is over if it has enough calls, or repeats one."""
        call = text[self._at :]
        is_repeated = call in self._written
        self._written.append(call)
        self.grammar = None
        self._at = len(text)
        return "over" if is_repeated or len(self._written) >= self.rules.most else "on"
