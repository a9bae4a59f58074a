"""The card of a dataset: where its rows come from, and what a reader has to know before training on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..codec import to_plain
from ..errors import UsageError, setting
from ..search.events import GeneratorDescription, ModelDescription
from .dataset import Recipe, Tally
from .sampled import SampledQuestion
from .writing import Omission

SCHEMA = "adascale.dataset/1"

_FIGURES = ("name", "method", "data", "questions", "held_out", "fingerprint")
"""What a card tells of a calibration; all of it is in the calibration's own file."""


@dataclass(slots=True)
class Origins:
    """What sampled and judged the questions that went by.

    Attributes:
        mixed: Whether several generators may be in one dataset.
    """

    mixed: bool = False
    _generators: dict[str, GeneratorDescription | None] = field(default_factory=dict)
    _calibrations: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _samplings: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def follow(self, questions: Iterable[SampledQuestion | Omission]) -> Iterator[SampledQuestion | Omission]:
        """Pass questions on, and note where they come from.

        Raises:
            UsageError: a second generator, unless they may be mixed.
        """
        for question in questions:
            if isinstance(question, SampledQuestion):
                self._note(question.models)
            yield question

    @property
    def generators(self) -> list[GeneratorDescription | None]:
        """Each of them once; None where a source does not say."""
        return list(self._generators.values())

    def describe(self, licences: Mapping[str, str]) -> dict[str, Any]:
        """As JSON.

        Args:
            licences: Of models, by sha256.
        """
        return {
            "generators": [
                {
                    "name": None if generator is None else generator.name,
                    "sha256": None if generator is None else generator.sha256,
                    "licence": None if generator is None else licences.get(generator.sha256),
                }
                for generator in self._generators.values()
            ],
            "sampling": [dict(sampling) for sampling in self._samplings.values()],
            "calibrations": [
                {key: card[key] for key in _FIGURES if key in card} for card in self._calibrations.values()
            ],
        }

    def _note(self, models: ModelDescription) -> None:
        generator = models.generator
        name = "" if generator is None else generator.sha256 or generator.name
        if name not in self._generators:
            self._generators[name] = generator
            if len(self._generators) > 1 and not self.mixed:
                raise _several_generators(self.generators)
        if models.calibration is not None:
            self._calibrations.setdefault(str(models.calibration.get("fingerprint")), models.calibration)
        if models.sampling is not None:
            self._samplings.setdefault(str(sorted(models.sampling.items())), models.sampling)


def describe_recipe(recipe: Recipe) -> dict[str, Any]:
    """Labelling, filters and split as JSON."""
    return {
        "labelling": to_plain(recipe.labelling),
        "filters": to_plain(recipe.filters),
        "train_share": recipe.train_share,
        "seed": recipe.seed,
    }


def describe_tally(tally: Tally) -> dict[str, Any]:
    """Counts as JSON; what is left out in the order of how much it is."""
    return {
        "questions": tally.questions,
        "nodes": tally.nodes,
        "rows": dict(tally.rows),
        "left_out": dict(tally.omissions.most_common()),
    }


def _several_generators(generators: list[GeneratorDescription | None]) -> UsageError:
    names = ["one that its source does not name" if g is None else g.name for g in generators]
    return UsageError(
        "the sources come from several generators, whose probabilities do not compare",
        *names,
        hint=f"read sources of one generator, or {setting('mixed', True)}",
        slug="mixed-generators",
    )
