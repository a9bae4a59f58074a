"""PRMs that answer with a token of their language-model head: Math-Shepherd, RLHFlow's, and the judge.

The text of Math-Shepherd and RLHFlow is that of their authors, to the letter:
https://huggingface.co/peiyi9979/math-shepherd-mistral-7b-prm (model card) and
https://github.com/RLHFlow/RLHF-Reward-Modeling (math-rm/prm_evaluate.py).

The judge asks any instruct model after each step whether the reasoning so far is right. Its turns follow the
pattern of RLHFlow's PRMs: the user brings one step per turn and the assistant answers each, with the history
always saying yes; so the text grows behind the prefix and scoring stays incremental.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..llama.runtime import LlamaContext, LlamaModel
from ..llama.template import QUESTION, Message, shows_system
from .incremental import Adapter, sigmoid
from .text import FIRST, Piece, Script, as_it_is, not_a_prm, single_token, turns_script, with_number

# A PRM was trained to write one of its two answers here and nothing else; other models hardly ever do.
_LEAST_SHARE = 0.1
_MARK = Piece(" ки")

_JUDGE_PROMPT = (
    "You check solutions to problems. The solution is shown to you step by step. After each step answer with "
    "one word: Yes if all reasoning and arithmetic so far is correct, No if there is any mistake."
)
_JUDGE_GOOD, _JUDGE_BAD = "Yes", "No"


@dataclass(frozen=True, slots=True)
class TokenPair:
    """P(good) against P(bad), from the logits of two answer tokens.

    Attributes:
        good: Token of a right step.
        bad: Token of a wrong step.
        least_share: Least probability of the two together in a model that was trained for this.
    """

    good: int
    bad: int
    least_share: float = 0.0
    states = False

    def read(self, context: LlamaContext, row: int) -> float:
        """Softmax over the two."""
        good, bad = context.logits(row)[[self.good, self.bad]]
        return sigmoid(float(good) - float(bad))

    def doubt(self, context: LlamaContext, row: int) -> str:
        """A text if other tokens are far more likely than the two; empty otherwise."""
        logits = context.logits(row).astype(np.float64)
        weights = np.exp(logits - logits.max())
        share = float(weights[[self.good, self.bad]].sum() / weights.sum())
        if share >= self.least_share:
            return ""
        return f"only {share:.2%} of its probability lies on the two answers"


def math_shepherd(model: LlamaModel) -> Adapter:
    """``question Step 1: ... ки``, newline, ``Step 2: ... ки``; read at the ``ки``.

    Raises:
        UsageError: the vocabulary lacks ``ки``, ``+`` or ``-``.
    """
    name = "math-shepherd"
    single_token(model, _MARK, name, follows=True)

    def step(index: int, text: str) -> list[Piece]:
        return [Piece(("\n" if index else " ") + with_number(index, text)), _MARK]

    script = Script((), lambda text: [Piece(text)], step)
    return Adapter(name, script, _answers(model, Piece(" +"), Piece(" -"), name))


def rlhflow(model: LlamaModel, writer: Literal["deepseek", "mistral"]) -> Adapter:
    """A user turn per step, the first behind the question and a space; the assistant said ``+`` to each.

    Read where the assistant's next answer is predicted. Mistral was tuned to write steps as ``Step 1: ...``.

    Raises:
        UsageError: the template rewrites earlier turns, or the vocabulary lacks ``+`` or ``-``.
    """
    name = f"rlhflow-{writer}"
    if not model.info.chat_template:
        raise not_a_prm(model, name, "it has no chat template")
    opening: list[Message] = [{"role": "user", "content": f"{QUESTION} {FIRST}"}]
    spell = with_number if writer == "mistral" else as_it_is
    # The space belongs to the first word, as in the authors' own tokens.
    script = turns_script(model, name, opening, "+", spell, is_joined=True)
    return Adapter(name, script, _answers(model, Piece("+"), Piece("-"), name))


def chat_judge(model: LlamaModel) -> Adapter:
    """The judge's text, cut out of the model's own chat template.

    Raises:
        UsageError: the template does not keep earlier turns as they were, so steps cannot be appended.
    """
    opening: list[Message] = [
        {"role": "system", "content": _JUDGE_PROMPT},
        {"role": "user", "content": f"Problem: {QUESTION}\n\nSolution:\n{FIRST}"},
    ]
    if not shows_system(model, _JUDGE_PROMPT):
        system, user = (message["content"] for message in opening)
        opening = [{"role": "user", "content": f"{system}\n\n{user}"}]
    script = turns_script(model, "judge", opening, _JUDGE_GOOD)
    answers = (_JUDGE_GOOD, _JUDGE_BAD)
    good, bad = (model.tokenize(word, special=False, follows=True)[0] for word in answers)
    if good == bad:
        raise not_a_prm(model, "judge", f"{_JUDGE_GOOD} and {_JUDGE_BAD} begin with the same token")
    return Adapter("judge", script, TokenPair(good, bad))


def _answers(model: LlamaModel, good: Piece, bad: Piece, name: str) -> TokenPair:
    yes, no = (single_token(model, piece, name, follows=True) for piece in (good, bad))
    if yes == no:
        raise not_a_prm(model, name, "it has one token for both answers")
    return TokenPair(yes, no, _LEAST_SHARE)
