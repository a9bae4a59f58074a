"""Words for a probability.

A word names a band of probabilities. A kind of question uses a word only if its recorded answers with that
word were correct about as often as the word says (``MEASURED``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .kind_table import KINDS
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
"""Number of answers shown with a band, and number of correct ones among them."""


def _counts(rows: str) -> dict[str, dict[KindName, dict[Band, Counts]]]:
    """Counts by model, kind and band; a row has a cell for each band, the surest first."""
    table: dict[str, dict[Any, dict[Band, Counts]]] = {}
    for row in rows.strip().splitlines():
        model, kind, *cells = row.split()
        counts = {band: cell.split("/") for band, cell in zip(LEAST, cells, strict=True) if cell != "-"}
        table.setdefault(model, {})[kind] = {b: (int(n), int(right)) for b, (right, n) in counts.items()}
    return table


MEASURED: Mapping[str, Mapping[KindName, Mapping[Band, Counts]]] = _counts(
    """
    qwen2.5-coder-1.5b  value       61/62   171/197     45/62     17/59      5/31
    qwen2.5-coder-1.5b  choice        6/6     53/59    82/126    98/239         -
    qwen2.5-coder-1.5b  yes-no        6/6     78/88    94/142   104/200         -
    qwen2.5-coder-1.5b  fact        35/39     27/31     15/28     28/76     13/95
    qwen2.5-coder-0.5b  value         2/2   102/129    72/105     34/95      7/97
    qwen2.5-coder-0.5b  fact          1/1       2/4      3/15      5/51     6/139
    qwen2.5-coder-0.5b  yes-no          -         -     11/16   159/270         -
    qwen2.5-coder-0.5b  choice          -         -         -     11/48         -
    smollm2-135m        fact            -         -       1/1       5/9    15/180
    prior               value       82/84   208/248   107/171    60/135    18/168
    prior               choice        6/6     53/59    82/127   109/287         -
    prior               yes-no        6/6     78/88    94/142   220/486         -
    prior               fact        36/40     29/35     19/44    38/136    34/414
    """
)
"""Recorded answers by the generator, or ``prior`` for every other one, by kind and by the band of their
probability: correct ones of all (``python -m bench.evidence.bands`` prints these rows)."""

_FEWEST = 10
"""Answers by which a band is judged."""

_CARRIED: Mapping[Band, float] = {"almost surely": 0.95, "very likely": 0.85, "likely": 0.5}
"""Least share of correct answers by which a kind carries a band."""

_ABOVE_CHANCE = 0.15
"""Least distance of a likely option from a guess: one of two options has .5 anyway."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Recorded answers of a kind.

    Attributes:
        is_own: The generator itself gave them; otherwise models without a fit.
        counts: Their counts by the band of their probability; empty for a kind of which none were recorded.
    """

    is_own: bool
    counts: Mapping[Band, Counts]

    def shown_with(self, band: Band) -> Counts:
        """Counts of answers shown with a band; answers of a surer band that the kind lacks count here."""
        cells = [self.counts[each] for each in self.counts if band_of(LEAST[each], self.counts) == band]
        return sum(answers for answers, _ in cells), sum(correct for _, correct in cells)


def recorded(generator: str, level: str, kind: KindName) -> Recorded:
    """The recorded answers that decide which words a generator's answers to a kind may carry.

    Few dates were recorded, so dates use the counts of values. Facts have no fit: each generator has its own
    counts.
    """
    entry = KINDS[kind]
    kind = entry.recorded_as or kind
    own = MEASURED.get(generator, {}).get(kind) if level == "fitted" or entry.is_short else None
    return Recorded(own is not None, own or MEASURED.get("prior", {}).get(kind, {}))


def band_of(p: float, counts: Mapping[Band, Counts], options: int = 0) -> Band:
    """The surest band that a probability reaches and its kind carries.

    Args:
        p: The probability.
        counts: Counts of the kind; if there are none, every band holds.
        options: Number of options of a question; 0 without options.
    """
    least_likely = max(LEAST["likely"], 1 / options + _ABOVE_CHANCE) if options else LEAST["likely"]
    for band, least in LEAST.items():
        if band not in _CARRIED:
            is_reached = p >= least
        else:
            is_reached = p >= max(least, least_likely) and _holds(band, counts)
        if is_reached:
            return band
    raise AssertionError("a guess has any probability")


def _holds(band: Band, counts: Mapping[Band, Counts]) -> bool:
    """True if answers with a band are correct about as often as the word promises, or nothing was counted."""
    if not counts:
        return True
    answers, correct = counts.get(band, (0, 0))
    return answers >= _FEWEST and correct >= _CARRIED[band] * answers


def certainty(p: float, band: Band, *, is_rough: bool = False, options: int = 0) -> str:
    """``almost surely (96 %)`` or ``very likely (about 84 %)``.

    The number is left out if the kind carries only a lower word, or if two options are equally likely.
    """
    says_nothing = options == 2 and band == "not sure"
    if says_nothing or band_of(p, {}, options) != band:
        return band
    number = percent(int(100 * p) / 100)  # rounded down: 94.8 % is below the next word
    return f"{band} (about {number.lstrip('<')})" if is_rough else f"{band} ({number})"
