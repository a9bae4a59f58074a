"""Calibrations as files: one safetensors file each, with everything that must match before it is believed.

The user's own lie in the data folder, the shipped ones in the folder beside this file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adascale.engine.calibration.features import STAGES_OF, Stage
from adascale.engine.calibration.head import Calibration, Domain, HeadModel, Projection
from adascale.engine.calibration.metrics import StageReport
from adascale.engine.calibration.posterior import Posterior, VoteWeights
from adascale.engine.codec import build, omitted, to_plain
from adascale.engine.errors import CalibrationError, command, excerpt, setting
from adascale.engine.kinds import KINDS
from adascale.engine.types import KindName, Mode, Notice, Problem

from ..questions import read_known
from ..storage import atomic_write, data_folder, keyed_path

SCHEMA = "adascale.calibration/1"
SUFFIX = ".calibration.safetensors"

_DOMAINS: Mapping[Mode, str] = {"prose": "domain", "program": "program domain", "code": "code domain"}
"""Names of the modes' domains in a file."""

_QUESTION = 512
"""Tokens that a question may have without its solutions being cut off by the context."""

Tensors = Mapping[str, NDArray[np.floating[Any]]]

Inputs = Mapping[Literal["numbers", "states"], Sequence[str]]


@dataclass(frozen=True, slots=True)
class ProgramFingerprint:
    """Prompt and sampler of programs; ``Fingerprint`` has the same for prose."""

    prompt: str
    sampling: Mapping[str, int | float]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """All conditions that a success probability depends on; it holds for this combination and no other.

    Attributes:
        generator, prm: sha256 of the GGUF files; ``prm`` is empty for the generator's own states. Of a model
            behind a server, kind and URL of that and the model's name.
        prm_format: ``probe``, or the format of the PRM; ``votes`` without hidden states.
        prompt: sha256 of the prompt around the question: chat template and system prompt.
        sampling: Sampler settings by name; one that is off is not named.
        window: Tokens at which a trajectory is cut off; 0 for a model behind a server.
        program: Prompt and sampler of programs beside prose; None for every kind but ``value``.
        kind: Kind of problem; each has calibrations of its own.
    """

    generator: str
    prm: str
    prm_format: str
    prompt: str
    sampling: Mapping[str, int | float]
    window: int
    program: ProgramFingerprint | None = omitted(None)
    kind: KindName = omitted("value")


def question_key(question: str) -> str:
    """The name of a question in a card: 12 hex digits of the sha256 of its words."""
    words = " ".join(question.split())
    return hashlib.sha256(words.encode()).hexdigest()[:12]


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
        held_out: Metrics by stage, on questions that each head never saw.
        votes: Weights of votes, for a fit without hidden states.
    """

    name: str
    fingerprint: Fingerprint
    data: tuple[str, ...]
    questions: tuple[str, ...]
    samples: int
    seed: int
    held_out: Mapping[str, StageReport]
    programs: int = omitted(0)
    votes: VoteWeights | None = omitted(None)

    @property
    def answers(self) -> StageReport:
        """Metrics of answers."""
        return self.held_out["answer"]

    def samplers(self) -> dict[Mode, Mapping[str, int | float]]:
        """Sampler settings of each fitted mode."""
        fitted = self.fingerprint
        by_mode: dict[Mode, Mapping[str, int | float]] = {KINDS[fitted.kind].modes[0]: fitted.sampling}
        if self.programs and fitted.program:
            by_mode["program"] = fitted.program.sampling
        return by_mode


@dataclass(frozen=True, slots=True, eq=False)
class Artefact:
    """A calibration, its card, and the file it was read from (None for one that was just fitted).

    ``head`` is None for weights of votes, which are on the card.
    """

    head: Calibration | None
    card: Card
    path: Path | None = None


def save_artefact(artefact: Artefact, path: Path) -> None:
    """Write an artefact, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors.numpy import save as serialise

    models = artefact.head.models if artefact.head else {}
    inputs = {name: {"numbers": model.names, "states": [*model.states]} for name, model in models.items()}
    metadata = {
        "schema": SCHEMA,
        "card": json.dumps(to_plain(artefact.card), sort_keys=True),
        "inputs": json.dumps(inputs, sort_keys=True),
    }
    # Matrices were rounded to half precision when they were fitted, so nothing is lost here.
    tensors = {
        name: np.ascontiguousarray(array, np.float16 if name.endswith(".matrix") else np.float32)
        for name, array in (_tensors(artefact.head) if artefact.head else ())
    }
    with atomic_write(path) as file:
        file.write(serialise(tensors, metadata))


def check_width(artefact: Artefact, width: int) -> None:
    """Refuse a calibration that cannot read a generator's hidden states of ``width`` numbers.

    Raises:
        CalibrationError: it reads states of another width, or none.
    """
    own = 0 if artefact.head is None else artefact.head.width
    if own != width:
        raise CalibrationError(
            f"{artefact.path} reads hidden states of {own:,} numbers, but this generator's have {width:,}",
            f"it was fitted for {artefact.card.name}",
            hint=command("calibrate", "list"),
        )


def load_artefact(path: Path) -> Artefact:
    """Read an artefact.

    Raises:
        CalibrationError: the file is missing, torn, or no calibration.
    """
    from safetensors import SafetensorError, safe_open

    fix = command("calibrate", "list")
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:  # a type numpy lacks
        text = f"{path} cannot be read: it is missing, torn, or no safetensors file"
        raise CalibrationError(text, hint=fix) from error
    if metadata.get("schema") != SCHEMA:
        raise CalibrationError(f"{path} is no calibration that this version reads")
    try:
        card = build(Card, metadata["card"])
        head = None if card.votes else _calibration(tensors, json.loads(metadata["inputs"]))
        _ = card.answers  # which every list shows
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise CalibrationError(f"{path} lacks a part: {excerpt(str(error))}") from error
    return Artefact(head, card, path)


def describe(artefact: Artefact) -> dict[str, Any]:
    """The public view of an artefact as JSON: its card, number of questions, file, modes and level."""
    return {
        **to_plain(artefact.card),
        "questions": len(artefact.card.questions),
        "file": str(artefact.path) if artefact.path else None,
        "modes": list((artefact.head or KINDS[artefact.card.fingerprint.kind]).modes),
        "level": "fitted",
    }


def describe_prior(posterior: Posterior) -> dict[str, Any]:
    """The public view of the prior, for searches without a fitted calibration."""
    common = {"level": posterior.level, "modes": list(posterior.modes)}
    if posterior.prior is None:
        return {"name": "options", **common}
    return {"name": "votes", **common, "prior": round(posterior.prior, 3)}


_MOMENTS = ("mean", "scale", "low", "high")
_PROJECTION = ("matrix", "bias", "size")


def _tensors(calibration: Calibration) -> Iterator[tuple[str, NDArray[np.floating[Any]]]]:
    """All arrays, named by stage and mode."""
    projections: dict[str, Projection] = {}
    for stage, model in calibration.models.items():
        yield from ((f"{stage}.weights", model.weights), (f"{stage}.constants", model.constants))
        yield from zip((f"{stage}.numbers.{part}" for part in _MOMENTS), model.moments, strict=True)
        projections |= {f"{stage}.states.{name}": own for name, own in model.states.items()}
    for mode, domain in calibration.domains.items():
        name = _DOMAINS[mode]
        projections[name] = domain.projection
        yield f"{name}.threshold", np.array([domain.threshold])
        yield f"{name}.profile", np.array([domain.spread])
    for name, own in projections.items():
        yield from ((f"{name}.{part}", getattr(own, part)) for part in _PROJECTION)


def _calibration(tensors: Tensors, inputs: Mapping[Stage, Inputs]) -> Calibration:
    """The inverse of ``_tensors``; ``inputs`` has the names of the numbers and states of each model.

    Raises:
        KeyError, ValueError: an array is missing.
    """

    def array(name: str) -> NDArray[Any]:
        return tensors[name].astype(np.float32 if name.endswith(".matrix") else np.float64)

    def projection(name: str) -> Projection:
        return Projection(*(array(f"{name}.{part}") for part in _PROJECTION))

    def model(stage: Stage) -> HeadModel:
        moments = np.stack([array(f"{stage}.numbers.{part}") for part in _MOMENTS])
        states = {name: projection(f"{stage}.states.{name}") for name in inputs[stage]["states"]}
        names = tuple(inputs[stage]["numbers"])
        return HeadModel(names, moments, states, array(f"{stage}.weights"), array(f"{stage}.constants"))

    def domain(name: str) -> Domain:
        threshold, spread = (float(array(f"{name}.{part}")[0]) for part in ("threshold", "profile"))
        return Domain(projection(name), threshold, spread)

    domains = {mode: domain(name) for mode, name in _DOMAINS.items() if f"{name}.matrix" in tensors}
    if not domains:
        raise ValueError("a domain")
    stages = [stage for mode in domains for stage in STAGES_OF[mode]]
    return Calibration({stage: model(stage) for stage in (*stages, "answer")}, domains)


def own_folder() -> Path:
    """Folder of calibrations that were fitted on this machine."""
    return data_folder() / "calibrations"


def own_path(card: Card) -> Path:
    """The file of a calibration fitted here; one for each generator, PRM, prompt and sampler."""
    return keyed_path(own_folder(), [asdict(card.fingerprint)], SUFFIX)


def shipped_folder() -> Path:
    """Folder of calibrations that come with the package."""
    return Path(__file__).parent / "shipped"


def built_in_questions() -> list[Problem]:
    """The 300 bundled questions, interleaved 2 : 1 (GSM8K with changed numbers, MATH).

    Fitting questions: no evaluation of ours asks one of them.
    """
    [problems] = read_known([Path(__file__).parent / "questions.jsonl"])
    return problems


@dataclass(frozen=True, slots=True)
class InstalledCalibrations:
    """The calibrations of this machine, read once.

    Attributes:
        artefacts: The user's own first, then the shipped ones.
        errors: Errors of the files that cannot be read.
    """

    artefacts: tuple[Artefact, ...] = ()
    errors: tuple[CalibrationError, ...] = ()

    def find(self, current: Fingerprint) -> Artefact | None:
        """The calibration of exactly these models and this kind of problem.

        Nothing is ever applied to another file than it was fitted on, however much alike their names are.
        Of several, the one whose prompt and sampler differ least from ``current``, and of those the first.
        """
        scope = attrgetter("generator", "prm", "prm_format", "kind")
        candidates = [each for each in self.artefacts if scope(each.card.fingerprint) == scope(current)]
        return min(candidates, key=lambda each: len(mismatches(each.card, current)), default=None)


def read_installed() -> InstalledCalibrations:
    """Read all calibrations; each takes .01 s."""
    artefacts: list[Artefact] = []
    errors: list[CalibrationError] = []
    for folder in (own_folder(), shipped_folder()):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                artefacts.append(load_artefact(path))
            except CalibrationError as error:
                errors.append(error)
    return InstalledCalibrations(tuple(artefacts), tuple(errors))


def mismatches(card: Card, current: Fingerprint) -> list[Notice]:
    """A notice for each difference from the conditions of a calibration's fit, with its consequence."""
    fitted = card.fingerprint
    differences = []
    if fitted.generator != current.generator:
        differences.append(f"another generator file ({fitted.generator[:12]}, not {current.generator[:12]})")
    if (fitted.prm, fitted.prm_format) != (current.prm, current.prm_format):
        differences.append("another PRM")
    if fitted.prompt != current.prompt:
        differences.append("another chat template or system prompt")
    elif (
        card.programs
        and fitted.program
        and current.program
        and fitted.program.prompt != current.program.prompt
    ):
        differences.append("another prompt for programs")
    small, large = sorted((fitted.window, current.window))
    longest = sum(fitted.sampling.get(name, 0) for name in ("think_tokens", "max_tokens"))
    if small < large and small < longest + _QUESTION:
        differences.append(f"a context of {fitted.window:,} tokens, not {current.window:,}")
    changed = ", ".join(
        f"{name} {current.sampling.get(name, 0)} instead of {fitted.sampling.get(name, 0)}"
        for name in {**fitted.sampling, **current.sampling}
        if current.sampling.get(name, 0) != fitted.sampling.get(name, 0)
    )
    if changed:
        differences.append(f"another sampler ({changed})")
    opening, far = f'the calibration "{card.name}" was fitted with', ("its estimates may be far off",)
    fix, unused = command("calibrate", "fit"), setting("calibration", "none")
    hint = f"{fix} makes one for this setting; {unused} shows scores as scores"
    return [Notice("calibration-mismatch", f"{opening} {what}", far, hint) for what in differences]


def wrong_kind(card: Card, kind: KindName) -> Notice:
    """The notice of a named calibration that is for another kind of problem."""
    return Notice(
        "calibration-mismatch",
        f'the calibration "{card.name}" is for the kind {card.fingerprint.kind}, this is a {kind}',
        ("scores are shown as scores",),
        hint=f"{setting('calibration', 'auto')} takes the one for this kind of problem, if there is one",
    )
