"""Opens everything that searches need, in order, and closes it in reverse: files, weights, contexts, PRM.

``Session`` finds and verifies ``SessionFiles``, opens their models, asked as a ``PromptPlan`` says, and gives
drivers over them.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Self

from adascale.engine.errors import command, human_bytes, setting
from adascale.engine.kinds import KINDS
from adascale.engine.ports import Clock, Executor, Policy, RewardModel, SequenceLogprob
from adascale.engine.request import Conditions
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import GeneratorDescription, ModelDescription, PRMDescription
from adascale.engine.types import KindName, Mode, Notice, Schedule

from . import machine
from .calibration.artefact import Fingerprint, describe, describe_prior, mismatches, wrong_kind
from .files.library import ModelFile
from .llama import stepcost
from .llama.context import LlamaContext
from .llama.model import AbortFlag, LlamaModel, layers_to_offload, listeners
from .llama.policy import LlamaPolicy
from .llama.prefixes import PrefixCache
from .options import Reporting, SessionOptions, check_idle, prm_window
from .prm.formats import FORMATS
from .prm.scorer import StepPRM
from .programs.executor import ProgramExecutor
from .session_plan import PromptPlan, SessionFiles, fetch_files, plan_prompts
from .sizing import SessionLoad, plan_load

_CACHE_SHARE = 1 / 4
"""Share of the memory left by the plan that the cache of prefixes of each of the two models may take."""

_CACHE_LEAST = 1 / 32
"""Share of the free memory for it if the plan leaves less: a load may be forced, or be in a GPU's memory."""

_CACHE_MAX = 2 << 30
"""Bytes of a cache of prefixes at most."""


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


class Session(LocalModels):
    """Models that are open for searches: ``with Session(options) as session``.

    Attributes:
        model: The generator.
        prompts: How the generator is asked, and the calibrations that belong to that.
        context: The generator's context, with one sequence per branch.
        step_costs: Seconds of a decode step by its number of branches.
        policy: The generator as the engine sees it.
        reward_model: Scores steps.
        executor: Runs programs.

    Raises:
        ModelError, DoesNotFitError, UsageError: on entry, before anything is searched.
    """

    model: LlamaModel
    prompts: PromptPlan
    context: LlamaContext
    step_costs: stepcost.StepCosts
    policy: LlamaPolicy
    reward_model: RewardModel
    executor: Executor

    @cached_property
    def files(self) -> SessionFiles:
        """The files, found, and downloaded where they are missing; entry needs them too.

        Raises:
            ModelError, DiskFullError: a model is not available.
            CalibrationError, UsageError: the named calibration cannot be used; nothing was downloaded.
        """
        return fetch_files(self.options, self._reporting)

    @property
    def name(self) -> str:
        """Names of generator and PRM."""
        return self.files.pair_name

    @property
    def fingerprint(self) -> Fingerprint:
        """All that a fit of values belongs to."""
        return self.prompts.fingerprints["value"]

    @property
    def is_open(self) -> bool:
        """True since entry."""
        return hasattr(self, "policy")

    def __enter__(self) -> Self:
        try:
            self._open(self.files)
        except BaseException:
            self._stack.close()
            raise
        return self

    def listing(self) -> list[tuple[str, Path, str]]:
        """Label, path and sha256 of each file, found as ``files``."""
        both = [("generator", self.files.generator), ("prm", self.files.prm)]
        return [(label, file.path, file.sha256) for label, file in both if file is not None]

    def driver(self, clock: Clock, policy: Policy | None = None) -> Driver:
        """A driver over the open models, after clearing an earlier abort.

        Args:
            clock: Time.
            policy: Takes the generator's place.

        Raises:
            UsageError: the session is closed, or a search of it has not ended: both would use the same
                branches.
        """
        self.policy.check_open()
        check_idle(self.policy.is_busy)
        self.abort.clear()
        policy = policy or self.policy
        return Driver(policy, self.reward_model, self.prompts.posteriors, clock, self.executor)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Modes that ``auto`` may use for a value, the one that is drawn first in front.

        Those that a calibration of these very models knows; programs and prose where votes are all that is
        known.
        """
        judge = self.prompts.posteriors.get("value")
        if judge is None:
            return ("prose",)
        return ("program", "prose") if judge.head is None else tuple(judge.modes)

    @property
    def schedule(self) -> Schedule:
        """Branches of a search that run side by side, by the cost of a decode step on this machine."""
        return self.step_costs.best_schedule(self.policy.slots)

    def conditions(self, kind: KindName) -> Conditions:
        """Models and warnings of the searches of one kind of problem.

        Warnings name options without effect, mismatches with the calibration, and calibrations that cannot be
        read.
        """
        prompts, described = self.prompts, kind if KINDS[kind].judged_by else "value"
        generator, prm = self.files.generator, self.files.prm
        fit, judge = prompts.calibrations.get(kind), prompts.posteriors.get(kind)
        calibration = None if judge is None else describe(fit) if fit else describe_prior(judge)
        unfitted = describe_prior(judge.unfitted) if judge and fit else None
        models = ModelDescription(
            GeneratorDescription(generator.name, generator.path.name, generator.sha256, self.context.window),
            PRMDescription(prm.name, prm.path.name, prm.sha256, self.files.prm_format) if prm else None,
            calibration,
            {
                **prompts.sampling[KINDS[described].prompt].record(),
                "prompt": prompts.fingerprints[described].prompt,
            },
        )
        set_odds = tuple(self.options.sampling.odds)
        return Conditions(models, tuple(self._warnings(kind)), self.schedule, unfitted, set_odds=set_odds)

    def _warnings(self, kind: KindName) -> list[Notice]:
        found: list[Notice] = []
        if self.options.gpu_layers and not self.model.gpu_layers:
            text = f"{setting('gpu_layers', self.options.gpu_layers)} has no effect"
            why = "this llama.cpp was built without GPU support; running on CPU"
            hint = f"{command('doctor')} shows how to install a GPU build"
            found.append(Notice("no-gpu-build", f"{text}: {why}", hint=hint))
        found += self.prompts.chats[KINDS[kind].prompt].notices()
        if not KINDS[kind].judged_by:
            return found
        prompts, named = self.prompts, self.files.calibration
        found += [Notice("calibration-unreadable", error.message) for error in prompts.calibration_errors]
        if kind in prompts.calibrations:
            found += mismatches(prompts.calibrations[kind].card, prompts.fingerprints[kind])
        elif named is not None:
            found.append(wrong_kind(named.card, kind))
        return found

    def decode_rate(self) -> float:
        """Tokens per second of a full batch, measured now; nothing may be open."""
        full = self.context.sequences
        return full / stepcost.measure(self.context, [full]).seconds(full)

    def _open(self, files: SessionFiles) -> None:
        if (log := self._reporting.log) is not None:
            listeners.append(log)
            self._stack.callback(listeners.remove, log)
        options, available = self.options, machine.free_memory_bytes()
        load = plan_load(options, files.generator, files.prm, available)
        window, cache_bytes = load.window, _cache_bytes(load, available)
        self.model = self._load_model(files.generator)
        self.prompts = plan_prompts(options, files, self.model, window)
        states = bool(self.prompts.calibrations) or options.is_repeatable
        self.context = self._make_context(self.model, window, load.branches, states=states)
        self.step_costs = stepcost.StepCosts({})
        if options.purpose != "rollouts":
            self.step_costs = self._load_step_costs(files.generator)
        policy = LlamaPolicy(
            self.context,
            self.prompts.chats,
            self.prompts.sampling,
            PrefixCache(cache_bytes),
            None if options.is_repeatable else self.step_costs,
            park_steps=options.purpose != "replay",
        )
        self._stack.callback(policy.close)
        self.reward_model = self._open_prm(files, window, cache_bytes)
        replays = options.purpose == "replay"  # and goes the same way on every machine
        self.executor = self._stack.enter_context(
            ProgramExecutor(
                unsandboxed=options.unsandboxed, waits_while=lambda: replays and not bool(self.abort)
            )
        )
        self.policy = policy

    def _open_prm(self, files: SessionFiles, window: int, cache_bytes: int) -> RewardModel:
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
        """The curve kept for such contexts; measured if none is."""
        path = stepcost.curve_path(file.sha256, self.context, self.model.gpu_layers)
        known = stepcost.load(path, self.context.sequences)
        if known is None:
            self._reporting.status("Measuring this machine, once per model...")
            known = stepcost.measure(self.context)
            stepcost.save(path, known)
        return known


def _cache_bytes(load: SessionLoad, available: int) -> int:
    """Capacity of the cache of prefixes of each of the two models."""
    left = available - load.total_bytes
    return min(_CACHE_MAX, int(max(_CACHE_SHARE * left, _CACHE_LEAST * available)))
