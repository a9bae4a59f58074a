"""The judge: any instruct model is asked after each step whether the reasoning so far is right.

The turns follow the pattern of RLHFlow's PRMs: the user brings one step per turn and the assistant answers
each, with the history always saying yes; so the text grows behind the prefix and scoring stays incremental.
"""

from __future__ import annotations

from ..llama.chat import Message, shows_system
from ..llama.runtime import LlamaModel
from .readout import Adapter, TokenPair
from .text import FIRST, QUESTION, Piece, Script, cut_turns, not_a_prm, tokenize

_SYSTEM = (
    "You check solutions to problems. The solution is shown to you step by step. After each step answer with "
    "one word: Yes if all reasoning and arithmetic so far is correct, No if there is any mistake."
)
_GOOD, _BAD = "Yes", "No"


def judge(model: LlamaModel) -> Adapter:
    """The judge's text, cut out of the model's own chat template.

    Raises:
        UsageError: the template does not keep earlier turns as they were, so steps cannot be appended.
    """
    opening: list[Message] = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": f"Problem: {QUESTION}\n\nSolution:\n{FIRST}"},
    ]
    if not shows_system(model, _SYSTEM):
        system, user = (message["content"] for message in opening)
        opening = [{"role": "user", "content": f"{system}\n\n{user}"}]
    turns = cut_turns(model, opening, _GOOD, "judge")
    good, bad = (tokenize(model, Piece(word), follows=True)[0] for word in (_GOOD, _BAD))
    if good == bad:
        raise not_a_prm(model, "judge", f"{_GOOD} and {_BAD} begin with the same token")

    def question(text: str) -> list[Piece]:
        return [Piece(text), Piece(turns.middle, control=True)]

    def step(index: int, text: str) -> list[Piece]:
        if index == 0:
            return [Piece(text), Piece(turns.tail, control=True)]
        return [Piece(turns.before, control=True), Piece(text), Piece(turns.behind, control=True)]

    script = Script((Piece(turns.head, control=True),), question, step)
    return Adapter("judge", script, TokenPair(good, bad))
