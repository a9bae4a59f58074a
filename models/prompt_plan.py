"""Prompt and sampler of each mode, and the calibrations that were fitted with both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adascale.engine.calibration.votes import (
    CallPosterior,
    FactPosterior,
    FieldPosterior,
    VotePosterior,
    rate_of_size,
)
from adascale.engine.errors import CalibrationError
from adascale.engine.kinds import KINDS, prompt_of
from adascale.engine.ports import Calibrator
from adascale.engine.types import MODES, KindName, Mode, PromptName

from .calibration import artefact as installed
from .calibration.artefact import (
    Artefact,
    Fingerprint,
    InstalledCalibrations,
    ProgramFingerprint,
    check_width,
)
from .llama.chat import ChatFormat
from .llama.runtime import LlamaModel
from .llama.thinking import plan_thinking
from .llama.tool_prompt import ToolFormat
from .options import PROGRAM_OPENING, PROMPTS, SHORT, SamplingParams, SessionOptions
from .session_files import SessionFiles

Chats = Mapping[PromptName, ChatFormat]
Sampling = Mapping[PromptName, SamplingParams]


@dataclass(frozen=True, slots=True, eq=False)
class PromptPlan:
    """How a generator is asked, and the calibrations that belong to that.

    Attributes:
        chats: Format of each prompt.
        sampling: Sampler of each prompt.
        fingerprints: Everything that success probabilities depend on, by kind of problem; calibrations and
            kept draws are found by it.
        calibrations: Calibrations, by kind of problem.
        by_votes: Judges of kinds without a calibration; empty where scores are to be shown as scores.
        rough: Judge by votes alone: for a sampler that no calibration was fitted with, and for questions
            unlike those of the fit.
        calibration_errors: Errors of installed calibrations that cannot be read, if one was looked for.
    """

    chats: Chats
    sampling: Sampling
    fingerprints: Mapping[KindName, Fingerprint]
    calibrations: Mapping[KindName, Artefact]
    by_votes: Mapping[KindName, VotePosterior | CallPosterior | FieldPosterior]
    rough: VotePosterior
    calibration_errors: Sequence[CalibrationError]

    @property
    def reads_states(self) -> bool:
        """True if a calibration reads the generator's hidden states, as all but portable ones do."""
        return any(each.card.level != "portable" for each in self.calibrations.values())

    def calibrator(self, kind: KindName) -> Calibrator | None:
        """Judge of the searches of a kind of problem; None where nothing fits the models."""
        own = self.calibrations.get(kind)
        return self.by_votes.get(kind) if own is None else own.calibration


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
    by_mode = {mode: options.sampling.over(SamplingParams(), think_tokens) for mode in MODES}
    usual = _by_prompt(by_mode, options)
    is_searched = options.calibration == "auto" and options.prm != "none"
    available = installed.read_installed() if is_searched else InstalledCalibrations()
    if files.calibration is not None:
        check_width(files.calibration, model.width)
        calibrations = {files.calibration.card.fingerprint.kind: files.calibration}
    else:
        calibrations = available.find_all(_fingerprints(files, chats, usual, window))
    size = model.info.effective_parameters
    calibrations = {kind: artefact.of_size(size) for kind, artefact in calibrations.items()}
    rough = VotePosterior(rate_of_size(size))
    by_votes: dict[KindName, VotePosterior | CallPosterior | FieldPosterior] = {}
    if is_searched and files.prm is None:
        by_votes = {
            "value": rough,
            "fact": FactPosterior(),
            "call": CallPosterior.of_size(rough.prior, size),
            "json": FieldPosterior(rough.prior),
        }
    fitted = {
        mode: options.sampling.over(SamplingParams.from_record(known), think_tokens)
        for kind, artefact in calibrations.items()
        if not KINDS[kind].has_options  # those have short solutions, and prompts of their own
        for mode, known in artefact.card.samplers().items()
    }
    sampling = _by_prompt(by_mode | fitted, options)
    fingerprints = _fingerprints(files, chats, sampling, window)
    return PromptPlan(chats, sampling, fingerprints, calibrations, by_votes, rough, available.errors)


def chat_formats(model: LlamaModel, system: str | None, think: int | None) -> dict[PromptName, ChatFormat]:
    """The format of each prompt.

    Args:
        model: Has the template.
        system: The user's own system prompt, for all prose and chats; empty for none, None for the built-in
            ones. Programs and looks at options have none but their own.
        think: As ``SessionOptions.think``.

    Raises:
        UsageError: the model cannot be asked to think.
        ModelCorruptError: the template cannot be rendered, or does not show the question.
    """
    thinking, silent = plan_thinking(model, think), plan_thinking(model, 0)
    formats: dict[PromptName, ChatFormat] = {}
    for name, built_in in PROMPTS.items():
        asked = built_in if system is None else system
        match name:
            case "program" | "code":
                formats[name] = ChatFormat(model, built_in, PROGRAM_OPENING, thinking)
            case "look-choice" | "look-yes-no":
                formats[name] = ChatFormat(model, built_in, thinking=silent)
            case "call" | "look-call":
                own = thinking if name == "call" else silent
                formats[name] = ToolFormat(model, asked, thinking=own)
            case _:
                chat = (system or "") if name == "prose" else ""
                formats[name] = ChatFormat(model, asked, thinking=thinking, chat_system=chat)
    return formats


def _by_prompt(by_mode: Mapping[Mode, SamplingParams], options: SessionOptions) -> Sampling:
    """Samplers by prompt: that of the prompt's mode, with fewer tokens where solutions are short."""
    found: dict[PromptName, SamplingParams] = {mode: by_mode[mode] for mode in MODES}
    for name, most in SHORT.items():
        is_asked = options.sampling.max_tokens is not None
        found[name] = by_mode["prose"] if is_asked else replace(by_mode["prose"], max_tokens=most)
    return found


def _fingerprints(
    files: SessionFiles, chats: Chats, sampling: Sampling, window: int
) -> dict[KindName, Fingerprint]:
    models = files.generator.sha256, files.prm_sha256(), files.prm_format
    program = ProgramFingerprint(chats["program"].sha256(), sampling["program"].record())

    def of(kind: KindName, program: ProgramFingerprint | None = None) -> Fingerprint:
        mode = KINDS[kind].modes[0]
        name = prompt_of(kind, mode)
        return Fingerprint(*models, chats[name].sha256(), sampling[name].record(), window, program, kind)

    found = {kind: of(kind) for kind, entry in KINDS.items() if entry.judged_by}
    return found | {"value": of("value", program)}
