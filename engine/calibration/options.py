"""Options that are read before anything is written: their logits, and the votes of solutions.

The options' log-probabilities cost no token. A solution either finds the correct option by its own merit, or
follows the model's habit, which the logits show: a vote for what they favoured anyway says little, and one
against them much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..types import KindName, Mode, Problem

_LEAST = 1e-6
"""Least weight of an option beside the likeliest."""

_AT_CHANCE = 0.5e9
"""Parameters of a coder that chooses letters at chance (.27 right of 90 fitting questions)."""
_FITTED_AT = 1.5e9
"""Parameters of the coder that ``OPTIONS`` were fitted on."""

Votes = Sequence[tuple[int, Mode]]
"""The option that each solution has chosen, by its place, and how the solution reasons."""


@dataclass(frozen=True, slots=True)
class OptionWeights:
    """How far a model's option logits, and its solutions, are to be trusted.

    Attributes:
        trust: Power of the options' probabilities, 0 or more; the inverse of a temperature.
        lean: Log-odds added to the first option: towards yes, of yes and no.
        merit: Chance that a solution of a mode finds the correct option by its own merit, in [0, 1).
        habit: Power of the options' probabilities in the choice of the other solutions.
        overlap: How much solutions repeat each other: n of them count as n / (1 + overlap * (n - 1)).
        unread: Lean of a model whose logits say nothing, where that is another one.
        bare: Weights for a question without a text to read, where they are others.
    """

    trust: float
    lean: float
    merit: Mapping[Mode, float]
    habit: float
    overlap: float
    unread: float | None = None
    bare: OptionWeights | None = None

    def of_size(self, parameters: float) -> OptionWeights:
        """The weights as a generator of so many parameters has them.

        Letters of small models say nothing: the trust falls to 0 with the logarithm of the size.
        """
        share = 1.0
        if parameters > 0:
            share = math.log(parameters / _AT_CHANCE) / math.log(_FITTED_AT / _AT_CHANCE)
            share = min(max(share, 0.0), 1.0)
        lean = self.lean if self.unread is None else share * self.lean + (1.0 - share) * self.unread
        bare = self.bare and self.bare.of_size(parameters)
        return replace(self, trust=self.trust * share, lean=lean, bare=bare)

    def of_problem(self, problem: Problem) -> OptionWeights:
        """The weights for a problem, with a text to read or without."""
        return self if self.bare is None or problem.has_text else self.bare

    def prior(self, logits: Sequence[float]) -> list[float]:
        """``[options]`` probabilities of the options before any solution, by their log-probabilities."""
        lean = [self.lean, *[0.0] * (len(logits) - 1)]
        return _normal([self.trust * seen + more for seen, more in zip(logits, lean, strict=True)])

    def posterior(self, logits: Sequence[float], votes: Votes) -> list[float]:
        """``[options]`` probabilities of the options.

        Args:
            logits: Log-probability of each option.
            votes: Options that solutions have chosen.
        """
        habit = _normal([self.habit * seen for seen in logits])
        logs = [math.log(p) for p in self.prior(logits)]
        for chosen, mode in votes:
            merit = self.merit.get(mode, 0.0)
            for right in range(len(logits)):
                chance = merit * (chosen == right) + (1.0 - merit) * habit[chosen]
                logs[right] += math.log(chance) / self.repeated(len(votes))
        return _normal(logs)

    def repeated(self, votes: int) -> float:
        """Votes that say as much together as one that repeats no other."""
        return 1.0 + self.overlap * max(0, votes - 1)


def _normal(log_weights: Sequence[float]) -> list[float]:
    """Probabilities of log-weights; none is 0, so that votes can turn every one."""
    most = max(log_weights)
    weights = [math.exp(each - most) + _LEAST for each in log_weights]
    total = sum(weights)
    return [weight / total for weight in weights]


_PROGRAM = 0.6
"""Merit of a program that answers yes or no, where too few were drawn to fit it."""

_BARE = OptionWeights(
    trust=0.564,
    lean=-0.469,
    merit={"prose": 0.1, "program": 0.7},
    habit=1.0,
    overlap=0.2,
    unread=0.0,
)
"""Yes-no questions without a text to read, where a look of the 1.5b leans towards yes: fitted on everyday
facts, computed questions and BoolQ's without their passages, with equal weights (docs/research.md)."""

OPTIONS: Mapping[KindName, OptionWeights] = {
    "choice": OptionWeights(
        trust=1.1596913580246913,
        lean=0.0,
        merit={"prose": 0.07660493827160494, "program": _PROGRAM},
        habit=0.30555555555555547,
        overlap=0.23518518518518516,
    ),
    "yes-no": OptionWeights(
        trust=0.47179012345678983,
        lean=-0.16666666666666674,
        merit={"prose": 0.01, "program": _PROGRAM},
        habit=2.259259259259259,
        overlap=0.0,
        bare=_BARE,
    ),
    "call": OptionWeights(trust=2.5, lean=-2.6, merit={}, habit=1.0, overlap=0.5, unread=0.85),
}
"""Fitted on qwen2.5-coder-1.5b: 45 questions of MMLU, CommonsenseQA and OpenBookQA, 30 of BoolQ
(docs/research.md); calls on 22 requests, where P(yes) was .69 to .93 where a call is right (13), else .57 to
.80 (9). Where a request's logits say nothing, two of three want a call."""

OWN_OPTIONS: Mapping[str, Mapping[KindName, OptionWeights]] = {
    "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046": {
        "choice": OPTIONS["choice"],
        "yes-no": OPTIONS["yes-no"],
    },
    "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32": {
        "choice": OptionWeights(
            trust=0.02,
            lean=0.0,
            merit={"prose": 0.030185185185185218, "program": _PROGRAM},
            habit=3.0,
            overlap=0.0,
        ),
        "yes-no": OptionWeights(
            trust=0.1182716049382715,
            lean=0.9259259259259259,
            merit={"prose": 0.03308641975308645, "program": _PROGRAM},
            habit=3.0,
            overlap=0.0,
            bare=_BARE.of_size(_AT_CHANCE),
        ),
    },
}
"""Weights that were fitted on a generator itself, by the sha256 of its file: qwen2.5-coder-1.5b, and the 0.5b
on 90 and 40 questions of the same sets."""
