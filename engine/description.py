"""What a search was made with, for logs and records: the models as a reader of them can identify them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .types import OMIT_WHEN_EMPTY


@dataclass(frozen=True, slots=True)
class GeneratorDescription:
    """The model that writes.

    Attributes:
        name: In the catalogue, else of the file.
        file: File name without its folder.
        sha256: Of the file.
        n_ctx: Tokens of one trajectory's window, prompt included; 0 where an old log does not say.
        device: ``cpu`` or ``gpu``.
    """

    name: str
    file: str = ""
    sha256: str = ""
    n_ctx: int = 0
    device: str = ""


@dataclass(frozen=True, slots=True)
class PRMDescription:
    """A model that judges, with fields as of a generator.

    Attributes:
        format: A key of ``models.prm.formats.FORMATS``.
    """

    name: str
    file: str = ""
    sha256: str = ""
    format: str = ""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Everything beside the question, the strategy and the seed that decides a search.

    Attributes:
        generator: None in a log of scripted models.
        prm: None where the generator's own states are read, or nothing.
        calibration: The card of its file as JSON; None without one, when no estimate is a probability.
        sampling: Temperature and the other numbers by name, and under ``prompt`` the hash of the prompt.
    """

    generator: GeneratorDescription | None = field(default=None, metadata=OMIT_WHEN_EMPTY)
    prm: PRMDescription | None = field(default=None, metadata=OMIT_WHEN_EMPTY)
    calibration: Mapping[str, Any] | None = field(default=None, metadata=OMIT_WHEN_EMPTY)
    sampling: Mapping[str, Any] | None = field(default=None, metadata=OMIT_WHEN_EMPTY)
