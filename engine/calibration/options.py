"""The posterior of the options of a question, by their logits before any solution, and by solutions' votes.

The options' log-probabilities cost no token. A solution either finds the correct option by skill, or repeats
the model's prior choice, which the logits show. So a vote for the option that they favour carries little
information, and a vote against them much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..types import KindName, Mode, Problem

_LEAST = 1e-6
"""Lower bound of an option's weight, relative to the likeliest option."""

_AT_CHANCE = 0.5e9
"""Parameters of a coder that chooses letters at chance (.27 correct of 90 fitting questions)."""
_FITTED_AT = 1.5e9
"""Parameters of the coder that ``OPTIONS`` were fitted on."""

Votes = Sequence[tuple[int, Mode]]
"""For each solution, the index of its option and its mode."""


@dataclass(frozen=True, slots=True)
class OptionWeights:
    """Weights of a model's option logits and of its solutions.

    Attributes:
        trust: Power of the options' probabilities, 0 or more; the inverse of a temperature.
        bias: Log-odds added to the first option; for yes and no, towards yes.
        skill: P(a solution of a mode finds the correct option by reasoning), in [0, 1).
        prior_choice: Power of the options' probabilities in the choice of the other solutions.
        overlap: Redundancy of solutions: n of them count as n / (1 + overlap * (n - 1)).
        uninformative: Bias if the logits carry no information; None for ``bias``.
        without_text: Weights for a question without a text to read; None for these.
    """

    trust: float
    bias: float
    skill: Mapping[Mode, float]
    prior_choice: float
    overlap: float
    uninformative: float | None = None
    without_text: OptionWeights | None = None

    def of_size(self, parameters: float) -> OptionWeights:
        """The weights for a generator with this number of parameters; 0 if the number is unknown.

        Letters of small models carry no information: the trust falls to 0 with the logarithm of the size.
        """
        share = 1.0
        if parameters > 0:
            share = math.log(parameters / _AT_CHANCE) / math.log(_FITTED_AT / _AT_CHANCE)
            share = min(max(share, 0.0), 1.0)
        bias = (
            self.bias
            if self.uninformative is None
            else share * self.bias + (1.0 - share) * self.uninformative
        )
        without_text = self.without_text and self.without_text.of_size(parameters)
        return replace(self, trust=self.trust * share, bias=bias, without_text=without_text)

    def of_problem(self, problem: Problem) -> OptionWeights:
        """The weights for a problem with or without a text to read."""
        return self if self.without_text is None or problem.has_text else self.without_text

    def prior(self, logits: Sequence[float]) -> list[float]:
        """``[options]`` probabilities of the options before any solution, by their log-probabilities."""
        bias = [self.bias, *[0.0] * (len(logits) - 1)]
        return _normal([self.trust * logit + more for logit, more in zip(logits, bias, strict=True)])

    def posterior(self, logits: Sequence[float], votes: Votes) -> list[float]:
        """``[options]`` probabilities of the options.

        Args:
            logits: Log-probability of each option.
            votes: Options that solutions have chosen.
        """
        prior_choice = _normal([self.prior_choice * logit for logit in logits])
        logs = [math.log(p) for p in self.prior(logits)]
        for option, mode in votes:
            skill = self.skill.get(mode, 0.0)
            for right in range(len(logits)):
                chance = skill * (option == right) + (1.0 - skill) * prior_choice[option]
                logs[right] += math.log(chance) / self.repeated(len(votes))
        return _normal(logs)

    def repeated(self, votes: int) -> float:
        """Number of votes that carry the information of one independent vote, 1 or more."""
        return 1.0 + self.overlap * max(0, votes - 1)


def _normal(log_weights: Sequence[float]) -> list[float]:
    """Probabilities of log-weights; none is 0, so votes can overrule every option."""
    most = max(log_weights)
    weights = [math.exp(each - most) + _LEAST for each in log_weights]
    total = sum(weights)
    return [weight / total for weight in weights]


_PROGRAM = 0.6
"""Skill of a program that answers yes or no; too few were drawn to fit it."""

_WITHOUT_TEXT = OptionWeights(
    trust=0.564,
    bias=-0.469,
    skill={"prose": 0.1, "program": 0.7},
    prior_choice=1.0,
    overlap=0.2,
    uninformative=0.0,
)
"""Weights for yes-no questions without a text to read, in which the 1.5b is biased towards yes: fitted on
everyday facts, computed questions and BoolQ's without their passages, with equal weights
(docs/research.md)."""

OPTIONS: Mapping[KindName, OptionWeights] = {
    "choice": OptionWeights(
        trust=1.1596913580246913,
        bias=0.0,
        skill={"prose": 0.07660493827160494, "program": _PROGRAM},
        prior_choice=0.30555555555555547,
        overlap=0.23518518518518516,
    ),
    "yes-no": OptionWeights(
        trust=0.47179012345678983,
        bias=-0.16666666666666674,
        skill={"prose": 0.01, "program": _PROGRAM},
        prior_choice=2.259259259259259,
        overlap=0.0,
        without_text=_WITHOUT_TEXT,
    ),
    "call": OptionWeights(trust=2.5, bias=-2.6, skill={}, prior_choice=1.0, overlap=0.5, uninformative=0.85),
}
"""Fitted on qwen2.5-coder-1.5b: 45 questions of MMLU, CommonsenseQA and OpenBookQA, 30 of BoolQ
(docs/research.md). Calls: 22 requests, with P(yes) of .69 to .93 if a call is correct (13), else .57 to .80
(9). Of requests with uninformative logits, two of three need a call."""

OWN_OPTIONS: Mapping[str, Mapping[KindName, OptionWeights]] = {
    "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046": {
        "choice": OPTIONS["choice"],
        "yes-no": OPTIONS["yes-no"],
    },
    "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32": {
        "choice": OptionWeights(
            trust=0.02,
            bias=0.0,
            skill={"prose": 0.030185185185185218, "program": _PROGRAM},
            prior_choice=3.0,
            overlap=0.0,
        ),
        "yes-no": OptionWeights(
            trust=0.1182716049382715,
            bias=0.9259259259259259,
            skill={"prose": 0.03308641975308645, "program": _PROGRAM},
            prior_choice=3.0,
            overlap=0.0,
            without_text=_WITHOUT_TEXT.of_size(_AT_CHANCE),
        ),
    },
}
"""Weights that were fitted on a generator itself, by the sha256 of its file: qwen2.5-coder-1.5b, and the 0.5b
on 90 and 40 questions of the same sets."""
