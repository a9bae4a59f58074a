"""Everything that one run needs, opened in order and closed in reverse: files, weights, contexts, PRM."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from adascale.engine.description import GeneratorDescription, ModelDescription, PRMDescription
from adascale.engine.errors import UsageError
from adascale.engine.ports import Clock, Policy, RewardModel
from adascale.engine.search.codec import to_plain
from adascale.engine.search.driver import Driver
from adascale.engine.search.scoring import SequenceLogprob, Uncalibrated
from adascale.engine.types import Notice

from . import fit, machine
from .calibration import artefact as calibrations
from .calibration import installed as shelf
from .draws.playback import ReplayingPolicy
from .draws.store import DrawStore, draws_path
from .files.library import ModelFile
from .llama import stepcost
from .llama.chat import ChatFormat
from .llama.native import AbortFlag, log_to, offloaded
from .llama.policy import LlamaPolicy
from .llama.prefixes import PrefixCache
from .llama.runtime import LlamaContext, LlamaModel
from .options import SYSTEM_PROMPT, Reporting, SamplingParams, SessionOptions
from .prm import FORMATS, StepPRM
from .session_files import SessionFiles, fetch
from .units import human_bytes

WINDOW = 2048
"""Tokens of one trajectory, prompt included, unless ``ctx_size`` says otherwise."""

_CACHE_SHARE = 8
_CACHE_MAX = 2 << 30


class Session:
    """Open models, ready to search. Use as a context manager.

    Raises:
        ModelError, DoesNotFitError, UsageError: on entry, before anything is searched.
    """

    def __init__(self, options: SessionOptions, reporting: Reporting = Reporting()) -> None:
        self.options = options
        self.abort = AbortFlag()
        self._gpu_layers = offloaded(options.gpu_layers)
        self._reporting = reporting
        self._stack = ExitStack()
        self._files: SessionFiles | None = None
        self.policy: Policy
        self.reward_model: RewardModel

    def fetch(self) -> SessionFiles:
        """Find the files, downloading what is missing; opening does it too, where it was not done before.

        Raises:
            ModelError, DiskFullError: a model is not available.
        """
        self._files = self._files or fetch(self.options, self._reporting)
        return self._files

    @property
    def files(self) -> SessionFiles:
        """Its files."""
        return self.fetch()

    @property
    def generator(self) -> ModelFile:
        """The generator's file."""
        return self.files.generator

    @property
    def prm(self) -> ModelFile | None:
        """The PRM's file, None without one."""
        return self.files.prm

    def __enter__(self) -> Session:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def driver(self, clock: Clock, policy: Policy | None = None) -> Driver:
        """A driver over the open models; a ``policy`` in the generator's place runs nothing ahead.

        An abort that was asked for before counts no longer.
        """
        self.abort.clear()
        costs = () if policy else self.step_costs.relative(self.policy.slots)
        policy = policy or self.policy
        if self.options.purpose == "rollouts":
            # Rollouts are kept without scores: a PRM reads them afterwards, once.
            return Driver(policy, SequenceLogprob(), Uncalibrated(), clock)
        calibrator = self.calibration.calibration if self.calibration is not None else Uncalibrated()
        return Driver(policy, self.reward_model, calibrator, clock, costs)

    def replaying(self, store: DrawStore) -> ReplayingPolicy:
        """The generator, drawing only what is not kept yet."""
        assert self.options.purpose == "replay", "what is drawn for another purpose is not the same again"
        costs, rows = self.step_costs, self.policy.slots
        return ReplayingPolicy(self.policy, store, lambda branches: costs.step_seconds(branches, rows))

    def draws_path(self) -> Path:
        """Where draws of this generator are kept."""
        return draws_path(self.fingerprint, self.context.sequences, self._gpu_layers)

    @property
    def warnings(self) -> list[Notice]:
        """What has no effect, or does not match the calibration in use or cannot be read."""
        found: list[Notice] = []
        if self.options.gpu_layers and not self._gpu_layers:
            text = f"--gpu-layers {self.options.gpu_layers} has no effect"
            why = "this llama.cpp was built without GPU support; running on CPU"
            hint = "adascale doctor shows how to install a GPU build"
            found.append(Notice("no-gpu-build", f"{text}: {why}", hint=hint))
        if self.options.calibration == "auto" and self.options.prm != "none":
            found += [Notice("calibration-unreadable", error.message) for error in shelf.unreadable()]
        if self.calibration is not None:
            found += shelf.mismatches(self.calibration.card, self.fingerprint)
        return found

    def decode_rate(self) -> float:
        """Tokens per second of a full batch, measured now; nothing may be open."""
        full = self.context.sequences
        return full / stepcost.measure(self.context, [full]).seconds(full)

    def prompt_tokens(self, question: str) -> tuple[int, ...]:
        """What the generator reads for a question, up to its own first token."""
        return self.chat.prompt(question)

    def describe(self) -> ModelDescription:
        """What searches, for the event log and JSON output."""
        generator, prm, calibration = self.generator, self.prm, self.calibration
        device = "gpu" if self._gpu_layers else "cpu"
        return ModelDescription(
            GeneratorDescription(generator.name, generator.path.name, generator.sha256, self.window, device),
            PRMDescription(prm.name, prm.path.name, prm.sha256, self.files.prm_format) if prm else None,
            to_plain(calibrations.describe(calibration)) if calibration else None,
            {**self.sampling.recorded(), "prompt": self.fingerprint.prompt},
        )

    def _open(self) -> None:
        options = self.options
        if (log := self._reporting.log) is not None:
            self._stack.enter_context(log_to(lambda level, text: log(text)))
        self.fetch()
        self.window = self._window(self.generator)
        self._check_memory()
        threads = options.threads or machine.physical_cores()
        model = self.model = self._load(self.generator)
        self.chat = ChatFormat(model, options.system or SYSTEM_PROMPT)
        self.sampling = options.sampling.over(SamplingParams())
        self.fingerprint = self._fingerprint()
        self.calibration = self._calibration()
        if self.calibration is not None:
            self.sampling = options.sampling.over(
                SamplingParams.fitted(self.calibration.card.fingerprint.sampling)
            )
            self.fingerprint = self._fingerprint()
        # Nobody else wants the states: a calibration reads them, and one that is being fitted.
        states = self.calibration is not None or options.purpose != "search"
        context = self._make_context(model, self.window, options.branches, threads, states=states)
        self.context = context
        even = stepcost.StepCosts({}, even=True)
        self.step_costs = even if options.purpose == "rollouts" else self._step_costs(context, threads)
        costs = self.step_costs if options.purpose == "search" else even
        policy = LlamaPolicy(
            context, self.chat, self.sampling, self._cache(), costs, park_steps=options.purpose != "replay"
        )
        self._stack.callback(policy.close)
        self.policy = policy
        self.reward_model = self._open_prm(model, threads)

    def _fingerprint(self) -> calibrations.Fingerprint:
        return calibrations.Fingerprint(
            self.generator.sha256,
            self.files.prm_sha256(),
            self.files.prm_format,
            shelf.prompt_hash(self.chat),
            self.sampling.recorded(),
            self.window,
        )

    def _calibration(self) -> calibrations.Artefact | None:
        wanted = self.options.calibration
        if self.options.prm == "none" and wanted not in ("auto", "none"):
            raise UsageError(f"--prm none leaves nothing to calibrate with {wanted}", hint="--prm probe")
        if wanted == "none" or self.options.prm == "none":
            return None
        if wanted == "auto":
            return shelf.find(self.fingerprint.pair(), self.fingerprint)
        return calibrations.load(Path(wanted), width=self.model.width)

    def _window(self, file: ModelFile) -> int:
        allowed = file.info.context_length or WINDOW
        wanted = self.options.ctx_size or min(WINDOW, allowed)
        if wanted > allowed:
            raise UsageError(
                f"--ctx-size {wanted:,} is more than {file.name} was trained for ({allowed:,})",
                hint=f"--ctx-size {allowed}",
            )
        return -(-wanted // 256) * 256

    def _check_memory(self) -> None:
        info = self.generator.info
        loads: list[fit.Load] = [("generator", info, self.window, self.options.branches)]
        if self.prm is not None:
            own = info if self.prm.path == self.generator.path else self.prm.info
            loads.append(("PRM", own, self._prm_window(), 1))
        fit.plan_memory(loads, force=self.options.force)

    def _prm_window(self) -> int:
        assert self.prm is not None
        # A PRM reads the same text with a few more tokens around each step.
        return min(2 * self.window, self.prm.info.context_length or 2 * self.window)

    def _load(self, file: ModelFile) -> LlamaModel:
        device = "GPU" if self._gpu_layers else "CPU"
        self._reporting.status(f"Loading {file.name} ({human_bytes(file.size_bytes)}, {device})...")
        self._reporting.loading(file.path)
        model = LlamaModel(file.path, self._gpu_layers)
        self._stack.callback(model.close)
        return model

    def _make_context(
        self, model: LlamaModel, window: int, sequences: int, threads: int, *, states: bool = False
    ) -> LlamaContext:
        context = LlamaContext(model, window, sequences, threads, self.abort, states=states)
        self._stack.callback(context.close)
        return context

    def _open_prm(self, generator: LlamaModel, threads: int) -> RewardModel:
        if self.prm is None:
            return SequenceLogprob()
        same = self.prm.path == self.generator.path
        model = generator if same else self._load(self.prm)
        adapter = FORMATS[self.files.prm_format].adapter(model)
        context = self._make_context(model, self._prm_window(), 1, threads, states=adapter.readout.states)
        return StepPRM.opened(context, adapter, self._cache())

    def _cache(self) -> PrefixCache:
        return PrefixCache(min(_CACHE_MAX, machine.free_memory_bytes() // _CACHE_SHARE))

    def _step_costs(self, context: LlamaContext, threads: int) -> stepcost.StepCosts:
        """The curve kept for this model and machine, measured the first time."""
        path = stepcost.kept_at(self.generator.sha256, threads, self._gpu_layers)
        known = stepcost.load(path, context.sequences)
        if known is None:
            self._reporting.status("Measuring this machine (once for this model)...")
            known = stepcost.measure(context)
            stepcost.save(path, known)
        return known
