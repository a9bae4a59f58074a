"""Origins of a dataset, for its card: a reader has to know them before training on its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from adascale.engine.errors import UsageError, setting
from adascale.engine.search.events import GeneratorDescription, ModelDescription

from .sampled import Omission, SampledQuestion

SCHEMA = "adascale.dataset/1"

_FIGURES = ("name", "method", "data", "questions", "held_out", "fingerprint")
"""Fields of a calibration that a card repeats."""


@dataclass(slots=True)
class Origins:
    """Generators, samplers and calibrations of the questions that went by.

    Attributes:
        mixed: One dataset may hold several generators.
    """

    mixed: bool = False
    _generators: dict[str, GeneratorDescription | None] = field(default_factory=dict)
    _calibrations: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _samplings: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def follow(self, questions: Iterable[SampledQuestion | Omission]) -> Iterator[SampledQuestion | Omission]:
        """Pass questions on, and note where they come from.

        Raises:
            UsageError: A second generator, and they may not be mixed.
        """
        for question in questions:
            if isinstance(question, SampledQuestion):
                self._note(question.models)
            yield question

    def _note(self, models: ModelDescription) -> None:
        generator = models.generator
        name = "" if generator is None else generator.sha256 or generator.name
        self._generators.setdefault(name, generator)
        if len(self._generators) > 1 and not self.mixed:
            raise _several_generators(self._generators.values())
        if models.calibration is not None:
            self._calibrations.setdefault(str(models.calibration.get("fingerprint")), models.calibration)
        if models.sampling is not None:
            self._samplings.setdefault(str(sorted(models.sampling.items())), models.sampling)

    def describe(self, licences: Mapping[str, str]) -> dict[str, Any]:
        """The origins as JSON.

        Args:
            licences: Licences of models, by sha256.
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


def _several_generators(generators: Iterable[GeneratorDescription | None]) -> UsageError:
    names = ["one that its source does not name" if g is None else g.name for g in generators]
    return UsageError(
        "the sources come from several generators, whose probabilities do not compare",
        *names,
        hint=f"read sources of one generator, or {setting('mixed', True)}",
        slug="mixed-generators",
    )
