"""What a session opens: its files, found and verified, and how its generator is asked.

That is prompt and sampler of each mode, and the calibrations that were fitted with both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.errors import CalibrationError, UsageError, setting
from adascale.engine.kinds import KINDS, prompt_of
from adascale.engine.types import KindName, PromptName

from .calibration.artefact import (
    Artefact,
    Fingerprint,
    InstalledCalibrations,
    ProgramFingerprint,
    check_width,
    load_artefact,
    read_installed,
)
from .files.cache import file_sha256
from .files.library import ModelFile, resolve
from .llama.chat import ChatFormat, ToolFormat
from .llama.model import LlamaModel
from .llama.thinking import plan_thinking
from .options import (
    PROGRAM_OPENING,
    PROMPTS,
    Reporting,
    Samplers,
    SamplingParams,
    SessionOptions,
    samplers,
    with_own,
)
from .prm.formats import head_file, settle_format, split_reference


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """Files of a session: a generator, and a PRM and a calibration if they were named.

    Attributes:
        generator: The generator's file.
        prm: The PRM's file; the generator's if it judges itself.
        prm_format: A key of ``FORMATS``; ``probe`` without a PRM, even if no states are read (``none``).
        calibration: The calibration.
    """

    generator: ModelFile
    prm: ModelFile | None = None
    prm_format: str = "probe"
    calibration: Artefact | None = None

    @property
    def pair_name(self) -> str:
        """Names of generator and PRM: ``qwen2.5-coder-1.5b+probe``."""
        prm = self.prm_format if self.prm is None else self.prm.own_name
        return f"{self.generator.own_name}+{prm}"

    def prm_sha256(self) -> str:
        """Digest of the PRM's GGUF, and of its head if it has one; empty without a PRM."""
        if self.prm is None:
            return ""
        head = head_file(self.prm, self.prm_format)
        if head is None:
            return self.prm.sha256
        both = f"{self.prm.sha256} {file_sha256(head, head.name)}"
        return hashlib.sha256(both.encode()).hexdigest()


def find_model(ref: str, options: SessionOptions, reporting: Reporting) -> ModelFile:
    """Find and verify a model as ``resolve`` does, on the terms of a session."""
    shown, confirm = reporting.on_progress, reporting.confirm
    return resolve(ref, offline=options.offline, on_progress=shown, confirm=confirm)


def fetch_files(options: SessionOptions, reporting: Reporting) -> SessionFiles:
    """Find the files that the options name, downloading models that are missing.

    Raises:
        ModelError, DiskFullError: a model is not available.
        CalibrationError, UsageError: the named calibration cannot be used; nothing was downloaded.
        UsageError: the file is no PRM of the named format.
    """
    calibration = None
    if options.calibration not in ("auto", "none"):
        if options.prm == "none":
            text = f"{setting('prm', 'none')} leaves nothing to calibrate with {options.calibration}"
            raise UsageError(text, hint=setting("prm", "probe"))
        calibration = load_artefact(Path(options.calibration))

    generator = find_model(options.generator, options, reporting)
    if options.prm in ("none", "probe"):
        return SessionFiles(generator, calibration=calibration)
    wanted, ref = split_reference(options.prm)
    prm = generator if ref == "self" else find_model(ref, options, reporting)
    form = settle_format(prm, wanted, reporting.status, offline=options.offline)
    return SessionFiles(generator, prm, form, calibration)


Chats = Mapping[PromptName, ChatFormat]


@dataclass(frozen=True, slots=True, eq=False)
class PromptPlan:
    """How a generator is asked, and the calibrations that belong to that.

    Attributes:
        chats: Format of each prompt.
        sampling: Sampler of each prompt.
        fingerprints: Everything that success probabilities depend on, by kind of problem; calibrations
            are found by it.
        calibrations: Calibrations, by kind of problem.
        posteriors: Judges of the answers of each kind; none where scores are to be shown as scores.
        calibration_errors: Errors of installed calibrations that cannot be read, if one was looked for.
    """

    chats: Chats
    sampling: Samplers
    fingerprints: Mapping[KindName, Fingerprint]
    calibrations: Mapping[KindName, Artefact]
    posteriors: Mapping[KindName, Posterior]
    calibration_errors: Sequence[CalibrationError]


def plan_prompts(options: SessionOptions, files: SessionFiles, model: LlamaModel, window: int) -> PromptPlan:
    """Settle prompts first, then calibrations by them, and then the samplers that those were fitted with.

    Args:
        options: Options of the session.
        files: Files of the session.
        model: The generator.
        window: Tokens of one trajectory, prompt included.

    Raises:
        CalibrationError: the named calibration is of a model with other states.
        UsageError: the model cannot be asked to think.
    """
    chats = chat_formats(model, options.system, options.think)
    think_tokens = chats["prose"].think_tokens
    usual = samplers(options, think_tokens, card=files.generator.sampling)
    is_searched = options.calibration == "auto" and options.prm != "none"
    available = read_installed() if is_searched else InstalledCalibrations()
    if files.calibration is not None:
        check_width(files.calibration, model.width)
        calibrations = {files.calibration.card.fingerprint.kind: files.calibration}
    else:
        used = _fingerprints(files, chats, usual, window)
        calibrations = {kind: own for kind in used if (own := available.find(used[kind])) is not None}
    size = model.info.effective_parameters
    heads = {kind: artefact.head for kind, artefact in calibrations.items()}
    judged = {kind for kind, entry in KINDS.items() if entry.has_votes}  # votes pass no tests
    posteriors = {
        kind: Posterior.of_model(kind, size, files.generator.sha256, heads.get(kind))
        for kind in KINDS
        if kind in heads or (kind in judged and is_searched and files.prm is None)
    }
    fitted = {
        prompt_of(kind, mode): SamplingParams(
            **{**known, **options.sampling.numbers, "think_tokens": think_tokens}
        )
        for kind, artefact in calibrations.items()
        for mode, known in artefact.card.samplers().items()
    }
    sampling = usual | fitted
    fingerprints = _fingerprints(files, chats, sampling, window)
    return PromptPlan(chats, sampling, fingerprints, calibrations, posteriors, available.errors)


def chat_formats(model: LlamaModel, system: str, think: int | None) -> dict[PromptName, ChatFormat]:
    """The format of each prompt.

    Args:
        model: Has the template.
        system: The user's own system prompt, below each built-in one; empty for none.
        think: As ``SessionOptions.think``.

    Raises:
        UsageError: the model cannot be asked to think.
        ModelCorruptError: the template cannot be rendered, or does not show the question.
    """
    thinking, silent = plan_thinking(model, think), plan_thinking(model, 0)

    def of(name: PromptName) -> ChatFormat:
        asked, own = with_own(name, system), silent if name.startswith("look-") else thinking
        if name in ("call", "look-call"):
            return ToolFormat(model, asked, thinking=own)
        opening = PROGRAM_OPENING if name in ("program", "code", "date", "check") else ""
        return ChatFormat(model, asked, opening, own, chat_system=system)

    return {name: of(name) for name in PROMPTS}


def _fingerprints(
    files: SessionFiles, chats: Chats, sampling: Samplers, window: int
) -> dict[KindName, Fingerprint]:
    models = files.generator.sha256, files.prm_sha256(), files.prm_format
    program = ProgramFingerprint(chats["program"].sha256(), sampling["program"].record())

    def of(kind: KindName) -> Fingerprint:
        name = prompt_of(kind, KINDS[kind].modes[0])
        sampler, own = sampling[name].record(), program if KINDS[kind].is_fitted else None
        return Fingerprint(*models, chats[name].sha256(), sampler, window, own, kind)

    return {kind: of(kind) for kind, entry in KINDS.items() if entry.judged_by}
