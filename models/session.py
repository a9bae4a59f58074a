"""Opens all that searches over files need, in order, and closes it in reverse: files, weights, contexts, PRM.

``Session`` finds and verifies its files, opens their models, and settles the prompt, the sampler and the
calibration of each mode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.errors import UsageError, command, human_bytes, setting
from adascale.engine.kinds import KINDS, prompt_of
from adascale.engine.ports import RewardModel, SequenceLogprob
from adascale.engine.search.events import GeneratorDescription, PRMDescription
from adascale.engine.types import KindName, Notice, PromptName, Schedule

from . import AnySession, machine
from .calibration.artefact import (
    Artefact,
    Fingerprint,
    InstalledCalibrations,
    ProgramFingerprint,
    check_width,
    load_artefact,
    mismatches,
    read_installed,
    wrong_kind,
)
from .files.cache import file_sha256
from .files.library import ModelFile, resolve
from .llama import stepcost
from .llama.chat import ChatFormat, ToolFormat
from .llama.context import LlamaContext
from .llama.model import AbortFlag, LlamaModel, layers_to_offload, listeners
from .llama.policy import LlamaPolicy
from .llama.prefixes import PrefixCache
from .llama.thinking import plan_thinking
from .options import (
    PROGRAM_OPENING,
    PROMPTS,
    Reporting,
    Samplers,
    SamplingParams,
    SessionOptions,
    prm_window,
    samplers,
    with_own,
)
from .prm.formats import FORMATS, head_file, settle_format, split_reference
from .prm.scorer import StepPRM
from .programs.executor import ProgramExecutor
from .sizing import SessionLoad, plan_load

_CACHE_SHARE = 1 / 4
"""Share of the memory left by the plan that the cache of prefixes of each of the two models may take."""

_CACHE_LEAST = 1 / 32
"""Share of the free memory for it if the plan leaves less: a load may be forced, or be in a GPU's memory."""

_CACHE_MAX = 2 << 30
"""Bytes of a cache of prefixes at most."""


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
    form, ref = split_reference(options.prm)
    prm = generator if ref == "self" else find_model(ref, options, reporting)
    form = settle_format(prm, form, reporting.status, offline=options.offline)
    return SessionFiles(generator, prm, form, calibration)


class LocalModels:
    """Model files and contexts of this process, which are closed together; a context manager.

    Args:
        options: The models and their settings.
        reporting: Shows status, downloads and llama.cpp's log.

    Attributes:
        abort: Stops llama.cpp in the middle of a batch; safe to set from any thread or signal handler.
        options: The models and their settings.
    """

    def __init__(self, options: SessionOptions, reporting: Reporting = Reporting()) -> None:
        self.abort = AbortFlag()
        self.options, self._reporting = options, reporting
        self._stack = ExitStack()

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _load_model(self, file: ModelFile) -> LlamaModel:
        layers = layers_to_offload(self.options.gpu_layers)
        size, device = human_bytes(file.size_bytes), "GPU" if layers else "CPU"
        self._reporting.status(f"Loading {file.name} ({size}, {device})...")
        self._reporting.loading(file.path)
        model = LlamaModel(file.path, layers, file.info, file.shown_name)
        self._stack.callback(model.close)
        return model

    def _make_context(self, model: LlamaModel, window: int, sequences: int, **kind: bool) -> LlamaContext:
        threads = self.options.threads or machine.physical_cores()
        context = LlamaContext(model, window, sequences, threads, self.abort, **kind)
        self._stack.callback(context.close)
        return context


class Session(AnySession, LocalModels):
    """Models that are open for searches: ``with Session(options) as session``.

    Attributes:
        model: The generator.
        chats: Format of each prompt.
        sampling: Sampler of each prompt.
        fingerprints: Everything that success probabilities depend on, by kind of problem; calibrations are
            found by it.
        context: The generator's context, with one sequence per branch.
        step_costs: Seconds of a decode step by its number of branches.

    Raises:
        ModelError, DoesNotFitError, UsageError, CalibrationError: on entry, before anything is searched.
    """

    abort: AbortFlag
    policy: LlamaPolicy
    model: LlamaModel
    chats: Mapping[PromptName, ChatFormat]
    sampling: Samplers
    fingerprints: Mapping[KindName, Fingerprint]
    context: LlamaContext
    step_costs: stepcost.StepCosts

    @cached_property
    def files(self) -> SessionFiles:
        """The files; missing models are downloaded. Entry needs them too.

        Raises:
            ModelError, DiskFullError: a model is not available.
            CalibrationError, UsageError: the named calibration cannot be used; nothing was downloaded.
        """
        return fetch_files(self.options, self._reporting)

    @property
    def name(self) -> str:
        """Names of generator and PRM: ``qwen2.5-coder-1.5b+probe``."""
        files = self.files
        return f"{files.generator.own_name}+{files.prm.own_name if files.prm else files.prm_format}"

    @property
    def fingerprint(self) -> Fingerprint:
        """All that a fit of values belongs to."""
        return self.fingerprints["value"]

    @property
    def schedule(self) -> Schedule:
        """Branches of a search that run side by side, by the cost of a decode step on this machine."""
        return self.step_costs.best_schedule(self.policy.slots)

    def listing(self) -> list[tuple[str, Path, str]]:
        """Label, path and sha256 of each file; errors as of ``files``."""
        both = [("generator", self.files.generator), ("prm", self.files.prm)]
        return [(label, file.path, file.sha256) for label, file in both if file is not None]

    def decode_rate(self) -> float:
        """Tokens per second of a full batch, measured now; nothing may be open."""
        full = self.context.sequences
        return full / stepcost.measure(self.context, [full]).seconds(full)

    def _describe(
        self, kind: KindName
    ) -> tuple[GeneratorDescription, PRMDescription | None, Mapping[str, Any]]:
        scope, prm, file = kind if KINDS[kind].judged_by else "value", self.files.prm, self.files.generator
        return (
            GeneratorDescription(file.name, file.path.name, file.sha256, self.context.window),
            PRMDescription(prm.name, prm.path.name, prm.sha256, self.files.prm_format) if prm else None,
            {
                **self.sampling[KINDS[scope].prompt].record(),
                "prompt": self.fingerprints[scope].prompt,
            },
        )

    def _warnings(self, kind: KindName) -> list[Notice]:
        notices: list[Notice] = []
        if self.options.gpu_layers and not self.model.gpu_layers:
            text = f"{setting('gpu_layers', self.options.gpu_layers)} has no effect"
            why = "this llama.cpp was built without GPU support; running on CPU"
            hint = f"{command('doctor')} shows how to install a GPU build"
            notices.append(Notice("no-gpu-build", f"{text}: {why}", hint=hint))
        notices += self.chats[KINDS[kind].prompt].notices()
        if not KINDS[kind].judged_by:
            return notices
        notices += self._unreadable
        if kind in self.calibrations:
            notices += mismatches(self.calibrations[kind].card, self.fingerprints[kind])
        elif self.files.calibration is not None:
            notices.append(wrong_kind(self.files.calibration.card, kind))
        return notices

    def _open(self) -> None:
        if (log := self._reporting.log) is not None:
            listeners.append(log)
            self._stack.callback(listeners.remove, log)
        options, files, available = self.options, self.files, machine.free_memory_bytes()
        load = plan_load(options, files.generator, files.prm, available)
        self.model = self._load_model(files.generator)
        self._plan_prompts(load.window)
        states = bool(self.calibrations) or options.is_repeatable
        self.context = self._make_context(self.model, load.window, load.branches, states=states)
        self.step_costs = stepcost.StepCosts({})
        if options.purpose != "rollouts":
            self.step_costs = self._load_step_costs(files.generator)
        cache_bytes = _cache_bytes(load, available)
        self.policy = LlamaPolicy(
            self.context,
            self.chats,
            self.sampling,
            PrefixCache(cache_bytes),
            None if options.is_repeatable else self.step_costs,
            park_steps=options.purpose != "replay",
        )
        self._stack.callback(self.policy.close)
        self.reward_model = self._open_prm(load.window, cache_bytes)
        replays = options.purpose == "replay"  # and goes the same way on every machine
        self.executor = self._stack.enter_context(
            ProgramExecutor(
                unsandboxed=options.unsandboxed, waits_while=lambda: replays and not bool(self.abort)
            )
        )

    def _plan_prompts(self, window: int) -> None:
        """Settle prompts first, then calibrations by them, and then the samplers that those were fitted with.

        Args:
            window: Tokens of one trajectory, prompt included.

        Raises:
            CalibrationError: the named calibration is of a model with other states.
            UsageError: the model cannot think.
        """
        options, files, model = self.options, self.files, self.model
        self.chats = chat_formats(model, options.system, options.think)
        think_tokens = self.chats["prose"].think_tokens
        self.sampling = samplers(options, think_tokens, card=files.generator.sampling)
        is_searched = options.calibration == "auto" and options.prm != "none"
        installed = read_installed() if is_searched else InstalledCalibrations()
        self._unreadable = [Notice("calibration-unreadable", error.message) for error in installed.errors]
        if files.calibration is not None:
            check_width(files.calibration, model.width)
            self.calibrations = {files.calibration.card.fingerprint.kind: files.calibration}
        else:
            current = self._fingerprints(window)
            self.calibrations = {
                kind: fit for kind in current if (fit := installed.find(current[kind])) is not None
            }
        heads = {kind: artefact.head for kind, artefact in self.calibrations.items()}
        self.posteriors = {
            kind: Posterior.of_model(
                kind, model.info.effective_parameters, files.generator.sha256, heads.get(kind)
            )
            for kind, entry in KINDS.items()
            if kind in heads or (entry.has_votes and is_searched and files.prm is None)
        }
        fitted: Samplers = {
            prompt_of(kind, mode): SamplingParams(
                **{**numbers, **options.sampling.numbers, "think_tokens": think_tokens}
            )
            for kind, artefact in self.calibrations.items()
            for mode, numbers in artefact.card.samplers().items()
        }
        self.sampling = {**self.sampling, **fitted}
        self.fingerprints = self._fingerprints(window)

    def _fingerprints(self, window: int) -> dict[KindName, Fingerprint]:
        chats, files = self.chats, self.files
        models = files.generator.sha256, files.prm_sha256(), files.prm_format
        program = ProgramFingerprint(chats["program"].sha256(), self.sampling["program"].record())

        def of(kind: KindName) -> Fingerprint:
            name = prompt_of(kind, KINDS[kind].modes[0])
            sampler, own = self.sampling[name].record(), program if KINDS[kind].is_fitted else None
            return Fingerprint(*models, chats[name].sha256(), sampler, window, own, kind)

        return {kind: of(kind) for kind, entry in KINDS.items() if entry.judged_by}

    def _open_prm(self, window: int, cache_bytes: int) -> RewardModel:
        files = self.files
        if files.prm is None:
            return SequenceLogprob()
        model = self.model if files.prm.path == files.generator.path else self._load_model(files.prm)
        adapter = FORMATS[files.prm_format](model)
        tokens = prm_window(files.prm.info, window)
        context = self._make_context(model, tokens, 1, states=adapter.readout.states)
        prm = StepPRM(context, adapter, PrefixCache(cache_bytes))
        prm.self_test()
        return prm

    def _load_step_costs(self, file: ModelFile) -> stepcost.StepCosts:
        """The stored curve of such contexts; a new one is measured."""
        path = stepcost.curve_path(file.sha256, self.context, self.model.gpu_layers)
        costs = stepcost.load(path, self.context.sequences)
        if costs is None:
            self._reporting.status("Measuring this machine, once per model...")
            costs = stepcost.measure(self.context)
            stepcost.save(path, costs)
        return costs


def _cache_bytes(load: SessionLoad, available: int) -> int:
    """Capacity of the cache of prefixes of each of the two models."""
    rest = available - load.total_bytes
    return min(_CACHE_MAX, int(max(_CACHE_SHARE * rest, _CACHE_LEAST * available)))


def chat_formats(model: LlamaModel, system: str, think: int | None) -> dict[PromptName, ChatFormat]:
    """The format of each prompt.

    Args:
        model: Has the template.
        system: The user's own system prompt, below each built-in one; empty for none.
        think: As ``SessionOptions.think``.

    Raises:
        UsageError: the model cannot think.
        ModelCorruptError: the template cannot be rendered, or does not show the question.
    """
    thinking, silent = plan_thinking(model, think), plan_thinking(model, 0)

    def of(name: PromptName) -> ChatFormat:
        system_prompt, own = with_own(name, system), silent if name.startswith("look-") else thinking
        if name in ("call", "look-call"):
            return ToolFormat(model, system_prompt, thinking=own)
        opening = PROGRAM_OPENING if name in ("program", "code", "date", "check") else ""
        return ChatFormat(model, system_prompt, opening, own, chat_system=system)

    return {name: of(name) for name in PROMPTS}
