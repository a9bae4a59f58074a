"""Calibrations as files: one safetensors file each, with everything that must match before it is believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adascale.engine.answers.result import ModeProfile
from adascale.engine.answers.weighing import OptionWeights
from adascale.engine.calibration.calibration import Calibration, Domain
from adascale.engine.calibration.features import (
    FINISHED,
    STAGES_OF,
    Stage,
)
from adascale.engine.calibration.figures import StageReport
from adascale.engine.calibration.head import HeadModel
from adascale.engine.calibration.options import OptionsCalibration
from adascale.engine.calibration.projection import Projection
from adascale.engine.codec import build, omit, to_plain
from adascale.engine.errors import CalibrationError, command, excerpt
from adascale.engine.kinds import KINDS
from adascale.engine.types import MODES, KindName, Mode

from ..storage import atomic_write

SCHEMA = "adascale.calibration/1"
SUFFIX = ".calibration.safetensors"

Level = Literal["fitted", "portable"]
"""Data of a calibration: its own model, or other models.

A search without any of its own has the last one too (``describe_votes``).
"""

_DOMAINS: Mapping[Mode, str] = {"prose": "domain", "program": "program domain", "code": "code domain"}
"""Names of the modes' domains in a file."""

_ANSWER = "answer"
"""Name of the model of answers in a file."""

Tensors = dict[str, NDArray[np.floating[Any]]]

InputNames = Mapping[Literal["numbers", "states"], Sequence[str]]


@dataclass(frozen=True, slots=True)
class ProgramFingerprint:
    """Prompt and sampler of programs, as ``Fingerprint`` has those of prose."""

    prompt: str
    sampling: Mapping[str, int | float]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything that a success probability depends on; it holds for this combination and no other.

    Attributes:
        generator, prm: sha256 of the GGUF files; ``prm`` is empty for the generator's own states, and
            ``generator`` for a portable calibration.
        prm_format: ``probe``, or the format of the PRM.
        prompt: sha256 of the prompt around the question: chat template and system prompt.
        sampling: Sampler settings by name; one that is off is not named.
        window: Tokens at which a trajectory is cut off.
        program: Prompt and sampler of programs beside prose; None for every kind but ``value``.
        kind: Kind of problem; each has calibrations of its own.
    """

    generator: str
    prm: str
    prm_format: str
    prompt: str
    sampling: Mapping[str, int | float]
    window: int
    program: ProgramFingerprint | None = field(default=None, metadata=omit(None))
    kind: KindName = field(default="value", metadata=omit("value"))

    def scope(self) -> tuple[str, str, str, KindName]:
        """Generator, PRM, its format and kind, without whose match no calibration is used unasked."""
        return self.generator, self.prm, self.prm_format, self.kind


def question_key(question: str) -> str:
    """The name of a question in a card: 12 hex digits of the sha256 of its words."""
    words = " ".join(question.split())
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def software_versions() -> dict[str, str]:
    """Versions of what draws and fits, for a card."""
    import llama_cpp

    return {
        "adascale": version("adascale"),
        "llama_cpp": llama_cpp.__version__,
        "numpy": np.__version__,
    }


def _finished_stage(fingerprint: Fingerprint) -> str:
    entry = KINDS[fingerprint.kind]
    return _ANSWER if entry.has_options else FINISHED[entry.modes[0]]


@dataclass(frozen=True, slots=True)
class Card:
    """The models, data, settings and metrics of a calibration.

    Attributes:
        name: Generator and PRM as a user calls them.
        fingerprint: Models, prompt and sampler that it was fitted with.
        data: Names of the question files.
        questions: ``question_key`` of each question it was fitted on.
        samples, programs: Number of draws of each question (``DrawPlan``).
        seed: Seed of the choice of questions and of the draws.
        versions: Versions of the software.
        held_out: Metrics by stage, on questions that each head never saw; for a portable one on such models.
    """

    name: str
    fingerprint: Fingerprint
    data: tuple[str, ...]
    questions: tuple[str, ...]
    samples: int
    seed: int
    versions: Mapping[str, str]
    held_out: Mapping[str, StageReport]
    programs: int = field(default=0, metadata=omit(0))

    @property
    def finished(self) -> StageReport:
        """Metrics of finished solutions."""
        return self.held_out[_finished_stage(self.fingerprint)]

    def samplers(self) -> dict[Mode, Mapping[str, int | float]]:
        """Sampler settings of each mode that it knows."""
        fitted = self.fingerprint
        known: dict[Mode, Mapping[str, int | float]] = {KINDS[fitted.kind].modes[0]: fitted.sampling}
        program = fitted.program if self.programs else None
        return known if program is None else {**known, "program": program.sampling}

    @property
    def level(self) -> Level:
        """Data that it was fitted on."""
        return "fitted" if self.fingerprint.generator else "portable"


@dataclass(frozen=True, slots=True, eq=False)
class Artefact:
    """A calibration, its card, and the file it was read from (None for one that was just fitted)."""

    calibration: Calibration | OptionsCalibration
    card: Card
    path: Path | None = None

    def of_size(self, parameters: float) -> Artefact:
        """The artefact as a generator of so many parameters uses it; one of its own knows its size."""
        if self.card.level == "portable" and isinstance(self.calibration, OptionsCalibration):
            return replace(self, calibration=self.calibration.of_size(parameters))
        return self


def save_artefact(artefact: Artefact, path: Path) -> None:
    """Write an artefact, whole or not at all; the same artefact gives the same bytes.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors.numpy import save as serialise

    fitted = artefact.calibration
    assert isinstance(fitted, Calibration), "weights of options are shipped, and not fitted"
    models: dict[str, HeadModel] = {**dict(fitted.stages.items()), _ANSWER: fitted.answer}
    inputs = {
        name: {"numbers": model.inputs.names, "states": [*model.inputs.projections]}
        for name, model in models.items()
    }
    metadata = {
        "schema": SCHEMA,
        "card": json.dumps(to_plain(artefact.card), sort_keys=True),
        "inputs": json.dumps(inputs, sort_keys=True),
    }
    with atomic_write(path) as file:
        file.write(_with_sorted_header(serialise(_to_tensors(fitted, models), metadata)))


def check_width(artefact: Artefact, width: int) -> None:
    """Refuse a calibration that cannot read a generator's hidden states of ``width`` numbers.

    Raises:
        CalibrationError: it reads states of another width.
    """
    fitted = artefact.calibration
    if isinstance(fitted, OptionsCalibration):
        return
    if fitted.width != width:
        raise CalibrationError(
            f"{artefact.path} reads hidden states of {fitted.width:,} numbers, "
            f"this generator's have {width:,}",
            f"it was fitted for {artefact.card.name}",
            hint=command("calibrate", "list"),
        )


def load_artefact(path: Path) -> Artefact:
    """Read an artefact.

    Raises:
        CalibrationError: the file is missing, torn, or no calibration.
    """
    tensors, metadata = _read_file(path)
    schema = metadata.get("schema")
    if schema != SCHEMA:
        facts = [f"it says {schema}, this version reads {SCHEMA}"] if schema is not None else []
        raise CalibrationError(f"{path} is no calibration that this version reads", *facts)
    try:
        card: Card = build(Card, json.loads(metadata["card"]))
        return Artefact(_from_tensors(tensors, json.loads(metadata["inputs"]), card), card, path)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise CalibrationError(f"{path} lacks a part: {excerpt(str(error))}") from error


def describe(artefact: Artefact) -> dict[str, Any]:
    """The public view of an artefact as JSON: its card, number of questions, file, modes and level."""
    card = artefact.card
    return {
        **to_plain(card),
        "questions": len(card.questions),
        "file": str(artefact.path) if artefact.path else None,
        "modes": list(artefact.calibration.modes),
        "level": card.level,
    }


def describe_votes(prior: float, modes: Sequence[Mode]) -> dict[str, Any]:
    """The public view of what a search without a calibration of its own goes by."""
    return {"name": "votes", "level": "portable", "modes": list(modes), "prior": round(prior, 3)}


def _read_file(path: Path) -> tuple[Tensors, dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CalibrationError(
            f"there is no calibration at {path}", hint=command("calibrate", "list")
        ) from error
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:  # a type numpy lacks
        text = f"{path} cannot be read: it is torn or no safetensors file"
        raise CalibrationError(text, hint=command("calibrate", "list")) from error


def _with_sorted_header(data: bytes) -> bytes:
    """The same file with the keys of its header in order: safetensors writes metadata in a random one."""
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def _to_tensors(calibration: Calibration, models: Mapping[str, HeadModel]) -> Tensors:
    """All arrays, named by stage."""
    found: Tensors = {}
    for stage, model in models.items():
        found |= {f"{stage}.{part}": array for part, array in model.arrays().items()}
    for mode, domain in calibration.domains.items():
        name, profile = _DOMAINS[mode], calibration.profiles[mode]
        found |= domain.projection.arrays(name)
        found[f"{name}.threshold"] = domain.threshold
        found[f"{name}.profile"] = np.array([profile.spread, profile.tokens])
    # Matrices were rounded to half precision when they were fitted, so nothing is lost here.
    kinds = {name: np.float16 if name.endswith(".matrix") else np.float32 for name in found}
    return {name: np.ascontiguousarray(array, kinds[name]) for name, array in found.items()}


def _from_tensors(
    tensors: Tensors, inputs: Mapping[str, InputNames], card: Card
) -> Calibration | OptionsCalibration:
    if KINDS[card.fingerprint.kind].has_options:
        return _options_from(tensors)
    modes = [mode for mode, name in _DOMAINS.items() if f"{name}.matrix" in tensors]
    if not modes:
        raise ValueError("a domain")

    def model(name: str) -> HeadModel:
        own = {key.removeprefix(f"{name}."): x for key, x in tensors.items() if key.startswith(f"{name}.")}
        return HeadModel.of(own, inputs[name]["numbers"], inputs[name]["states"])

    stages: dict[Stage, HeadModel] = {stage: model(stage) for mode in modes for stage in STAGES_OF[mode]}
    domains = {
        mode: Domain(Projection.of(tensors, name), tensors[f"{name}.threshold"].astype(np.float64))
        for mode, name in _DOMAINS.items()
        if mode in modes
    }
    profiles = {mode: ModeProfile(*map(float, tensors[f"{_DOMAINS[mode]}.profile"])) for mode in modes}
    return Calibration(stages, model(_ANSWER), domains, profiles)


def _options_from(tensors: Tensors) -> OptionsCalibration:
    trust, lean, habit, overlap = map(float, tensors["weights"])
    known = {mode: tuple(map(float, tensors[mode])) for mode in MODES if mode in tensors}
    merit = {mode: merit for mode, (merit, _, _) in known.items()}
    profiles = {mode: ModeProfile(spread, tokens) for mode, (_, spread, tokens) in known.items()}
    return OptionsCalibration(OptionWeights(trust, lean, merit, habit, overlap), profiles)
