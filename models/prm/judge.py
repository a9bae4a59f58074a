"""Any instruct model as a PRM: after each step it is asked whether the reasoning so far is right.

The turns follow the pattern of RLHFlow's PRMs: the user brings one step per turn and the assistant answers
each, with the history always saying yes; so the text grows behind the prefix and scoring stays incremental.
"""

from __future__ import annotations

from adascale.engine.errors import UsageError

from ..chat import Message, render
from ..runtime import LlamaModel
from .token import StepFormat, answer_token

_SYSTEM = (
    "You check solutions to problems. The solution is shown to you step by step. After each step answer with "
    "one word: Yes if all reasoning and arithmetic so far is correct, No if there is any mistake."
)
_QUESTION, _FIRST, _LATER = "ADASCALE-QUESTION-7c1f", "ADASCALE-FIRST-7c1f", "ADASCALE-LATER-7c1f"
_GOOD, _BAD = "Yes", "No"


def judge_format(model: LlamaModel) -> StepFormat:
    """The judge's text, cut out of the model's own chat template.

    Raises:
        UsageError: the template does not keep earlier turns as they were, so steps cannot be appended.
    """
    opening: list[Message] = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": f"Problem: {_QUESTION}\n\nSolution:\n{_FIRST}"},
    ]
    turn: list[Message] = [{"role": "assistant", "content": _GOOD}, {"role": "user", "content": _LATER}]
    first = render(model, opening, open_assistant=True)
    later = render(model, [*opening, *turn], open_assistant=True)
    good, bad = answer_token(model, _GOOD), answer_token(model, _BAD)
    if not later.startswith(first + _GOOD) or good == bad:
        raise UsageError(
            f"{model.path.name} cannot judge steps: its chat template rewrites earlier turns",
            slug="not-a-prm",
            hint="--prm none searches without a PRM",
        )
    head, _, rest = first.partition(_QUESTION)
    middle, _, tail = rest.partition(_FIRST)
    before, _, behind = later[len(first) :].partition(_LATER)
    return StepFormat("judge", (head, middle), ("", tail), (before, behind), good, bad)
