"""Weighing options: a look at them before any solution, and the votes of solutions, as one posterior.

A look gives log-probabilities of the options without a token being generated. A solution either finds the
correct option by its own merit, or follows the model's habit, which the look shows: a vote for what the look
favoured anyway says little, and one against it much.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from ..types import Mode

_AHEAD = 3
"""Solutions that are looked ahead: with more of them the sums over their votes grow, and not what is seen."""


_LEAST = 1e-6
"""Least weight of an option beside the likeliest."""


@dataclass(frozen=True, slots=True)
class Vote:
    """The option that a solution has chosen, by its place, and how the solution reasons."""

    option: int
    mode: Mode


@dataclass(frozen=True, slots=True)
class OptionWeights:
    """How far a model's look at options, and its solutions, are to be trusted.

    Attributes:
        trust: Power of the look's probabilities, 0 or more; the inverse of a temperature.
        lean: Log-odds added to the first option: towards yes, of yes and no.
        merit: Chance that a solution of a mode finds the correct option by its own merit, in [0, 1).
        habit: Power of the look's probabilities in the choice of the other solutions.
        overlap: How much solutions repeat each other: n of them count as n / (1 + overlap * (n - 1)).
    """

    trust: float
    lean: float
    merit: Mapping[Mode, float]
    habit: float
    overlap: float

    def prior(self, look: Sequence[float]) -> list[float]:
        """``[options]`` probabilities of the options before any solution, by their log-probabilities."""
        lean = [self.lean, *[0.0] * (len(look) - 1)]
        return _normal([self.trust * seen + more for seen, more in zip(look, lean, strict=True)])

    def posterior(self, look: Sequence[float], votes: Sequence[Vote]) -> list[float]:
        """``[options]`` probabilities of the options.

        Args:
            look: Log-probability of each option.
            votes: Options that solutions have chosen.
        """
        said, repeated = self._said(look, votes), self._repeated(len(votes))
        return _normal(
            [math.log(p) + each / repeated for p, each in zip(self.prior(look), said, strict=True)]
        )

    def gain(self, look: Sequence[float], votes: Sequence[Vote], mode: Mode, left: int) -> float:
        """The most that each further solution adds to P(the leading option is correct).

        The mean of one, two or three further solutions, whichever gains most for each of them: one vote alone
        seldom changes what leads.

        Args:
            look: Log-probability of each option.
            votes: Options that solutions have chosen.
            mode: How further solutions reason.
            left: How many there may be.
        """
        now, chances = self.posterior(look, votes), self._chances(look, mode)
        logs = [[math.log(chance) for chance in row] for row in chances]
        known = [*zip(map(math.log, self.prior(look)), self._said(look, votes), logs, strict=True)]
        best = 0.0
        for count in range(1, min(left, _AHEAD) + 1):
            expected, repeated = 0.0, self._repeated(len(votes) + count)
            for chosen, orders in _votes_ahead(len(now), count):
                after = [p + sum([row[o] for o in chosen], said) / repeated for p, said, row in known]
                leads = after.index(max(after))
                expected += orders * now[leads] * math.prod(chances[leads][option] for option in chosen)
            best = max(best, (expected - max(now)) / count)
        return best

    def _said(self, look: Sequence[float], votes: Sequence[Vote]) -> list[float]:
        """``[options]`` log-probabilities of the votes, given that an option is correct."""
        chances = {vote.mode: self._chances(look, vote.mode) for vote in votes}
        return [
            sum(math.log(chances[vote.mode][option][vote.option]) for vote in votes)
            for option in range(len(look))
        ]

    def _repeated(self, votes: int) -> float:
        """Votes that say as much together as one that repeats no other."""
        return 1.0 + self.overlap * max(0, votes - 1)

    def _chances(self, look: Sequence[float], mode: Mode) -> list[list[float]]:
        """``[options][options]``: P(a solution chooses the second option | the first is correct)."""
        merit, habit = self.merit.get(mode, 0.0), _normal([self.habit * seen for seen in look])
        return [
            [merit * (chosen == right) + (1.0 - merit) * chance for chosen, chance in enumerate(habit)]
            for right in range(len(habit))
        ]


def _votes_ahead(options: int, count: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """All votes of ``count`` solutions regardless of order, each with the number of its orders."""
    for chosen in combinations_with_replacement(range(options), count):
        repeats = math.prod(math.factorial(chosen.count(option)) for option in set(chosen))
        yield chosen, math.factorial(count) // repeats


def _normal(log_weights: Sequence[float]) -> list[float]:
    """Probabilities of log-weights; none is 0, so that votes can turn every one."""
    most = max(log_weights)
    weights = [math.exp(each - most) + _LEAST for each in log_weights]
    total = sum(weights)
    return [weight / total for weight in weights]
