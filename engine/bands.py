"""Words for a probability, bound to how often answers that were shown with them were correct.

A word stands for a band of probabilities. A kind of question has the words that its recorded answers carry:
those shown with a word have to be correct about as often as the word says (``MEASURED``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from .types import KindName, percent

Band = Literal["almost surely", "very likely", "likely", "not sure", "a guess"]

LEAST: Mapping[Band, float] = {
    "almost surely": 0.95,
    "very likely": 0.8,
    "likely": 0.5,
    "not sure": 0.2,
    "a guess": 0.0,
}
"""Least probability of each band, the surest first."""

Counts = tuple[int, int]
"""Answers that were shown with a band, and those of them that are correct."""

MEASURED: Mapping[str, Mapping[KindName, Mapping[Band, Counts]]] = {}
"""Recorded answers by the generator, or ``prior`` for every other one, by kind and by the band of their
probability (``python -m bench.evidence.bands``)."""

_FEWEST = 10
"""Answers by which a band is judged."""

_BELOW = 0.05
"""Share of correct answers by which a band may miss its least probability."""

_ABOVE_CHANCE = 0.15
"""Probability by which an option is ahead of a guess where it is called likely: one of two has .5 anyway."""


def counts_of(generator: str, level: str, kind: KindName) -> Mapping[Band, Counts]:
    """Counts of a kind's recorded answers by band, of a fitted generator or of models without a fit."""
    return MEASURED.get(generator if level == "fitted" else "prior", {}).get(kind, {})


def band_of(p: float, counts: Mapping[Band, Counts], options: int = 0) -> Band:
    """The surest band that a probability reaches and its kind carries.

    Args:
        p: The probability.
        counts: Counts of the kind; where there are none, every band holds.
        options: Number of options of a question that has some.
    """
    least_likely = max(LEAST["likely"], 1 / options + _ABOVE_CHANCE) if options else LEAST["likely"]
    for band, least in LEAST.items():
        is_doubt = least < LEAST["likely"]
        if p >= (least if is_doubt else max(least, least_likely)) and (is_doubt or _holds(band, counts)):
            return band
    raise AssertionError("a guess has any probability")


def _holds(band: Band, counts: Mapping[Band, Counts]) -> bool:
    """True if answers with a band are correct about as often as it says, or nothing was counted."""
    if not counts:
        return True
    answers, correct = counts.get(band, (0, 0))
    return answers >= _FEWEST and correct >= (LEAST[band] - _BELOW) * answers


def certainty(p: float, band: Band, *, is_rough: bool = False, options: int = 0) -> str:
    """``almost surely (96 %)`` or ``very likely (about 84 %)``.

    Where a kind carries a lower word than the number, or where two options are as likely as each other, the
    number is left out.
    """
    says_nothing = options == 2 and band == "not sure"
    if says_nothing or band_of(p, {}, options) != band:
        return band
    return f"{band} (about {percent(p).lstrip('<>')})" if is_rough else f"{band} ({percent(p)})"
