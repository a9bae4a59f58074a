"""Everything that one run needs, opened in order and closed in reverse: files, weights, contexts, PRM."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from adascale.engine.errors import UsageError
from adascale.engine.ports import RewardModel
from adascale.engine.remedies import setting
from adascale.engine.search.scoring import SequenceLogprob

from . import machine
from .calibration import artefact as calibrations
from .calibration import installed as shelf
from .files.library import ModelFile
from .llama import stepcost
from .llama.chat import ChatFormat
from .llama.native import AbortFlag, layers_to_offload, log_to
from .llama.policy import LlamaPolicy
from .llama.prefixes import PrefixCache
from .llama.runtime import LlamaContext, LlamaModel
from .memory import ModelLoad, plan_memory
from .open_session import OpenSession
from .options import SYSTEM_PROMPT, Reporting, SamplingParams, SessionOptions
from .prm import FORMATS, StepPRM
from .session_files import SessionFiles, fetch
from .units import human_bytes

WINDOW = 2048
"""Tokens of one trajectory, prompt included, unless ``ctx_size`` says otherwise."""

_CACHE_SHARE = 8
_CACHE_MAX = 2 << 30


class Session:
    """Opens models: ``with Session(options) as session`` gives an ``OpenSession``.

    Args:
        options: What to open.
        reporting: Where to tell what happens meanwhile.

    Raises:
        ModelError, DoesNotFitError, UsageError: on entry, before anything is searched.
    """

    def __init__(self, options: SessionOptions, reporting: Reporting = Reporting()) -> None:
        self.abort = AbortFlag()
        self._options = options
        self._reporting = reporting
        self._gpu_layers = layers_to_offload(options.gpu_layers)
        self._stack = ExitStack()
        self._files: SessionFiles | None = None

    def fetch(self) -> SessionFiles:
        """Find the files, downloading what is missing; entry does it too, where it was not done before.

        Raises:
            ModelError, DiskFullError: a model is not available.
        """
        self._files = self._files or fetch(self._options, self._reporting)
        return self._files

    def __enter__(self) -> OpenSession:
        try:
            return self._open(self._options, self.fetch())
        except BaseException:
            self._stack.close()
            raise

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _open(self, options: SessionOptions, files: SessionFiles) -> OpenSession:
        if (log := self._reporting.log) is not None:
            self._stack.enter_context(log_to(lambda level, text: log(text)))
        window = self._window(files.generator)
        self._check_memory(files, window)
        model = self._load(files.generator)
        chat = ChatFormat(model, options.system or SYSTEM_PROMPT)
        sampling = options.sampling.over(SamplingParams())
        fingerprint = _fingerprint(files, chat, sampling, window)
        calibration = self._calibration(fingerprint, model)
        if calibration is not None:
            sampling = options.sampling.over(SamplingParams.fitted(calibration.card.fingerprint.sampling))
            fingerprint = _fingerprint(files, chat, sampling, window)
        # Hidden states are read by a calibration, and by one that is being fitted.
        states = calibration is not None or options.purpose != "search"
        context = self._make_context(model, window, options.branches, states=states)
        even = stepcost.StepCosts({}, even=True)
        step_costs = even if options.purpose == "rollouts" else self._step_costs(files.generator, context)
        policy = LlamaPolicy(
            context,
            chat,
            sampling,
            self._cache(),
            step_costs if options.purpose == "search" else even,
            park_steps=options.purpose != "replay",
        )
        self._stack.callback(policy.close)
        return OpenSession(
            options=options,
            files=files,
            abort=self.abort,
            gpu_layers=self._gpu_layers,
            model=model,
            window=window,
            chat=chat,
            sampling=sampling,
            fingerprint=fingerprint,
            calibration=calibration,
            context=context,
            step_costs=step_costs,
            policy=policy,
            reward_model=self._open_prm(files, model, window),
        )

    @property
    def _threads(self) -> int:
        return self._options.threads or machine.physical_cores()

    def _calibration(
        self, fingerprint: calibrations.Fingerprint, model: LlamaModel
    ) -> calibrations.Artefact | None:
        wanted, prm = self._options.calibration, self._options.prm
        if prm == "none" and wanted not in ("auto", "none"):
            text = f"{setting('prm', 'none')} leaves nothing to calibrate with {wanted}"
            raise UsageError(text, hint=setting("prm", "probe"))
        if wanted == "none" or prm == "none":
            return None
        if wanted == "auto":
            return shelf.find(fingerprint.pair(), fingerprint)
        return calibrations.load(Path(wanted), width=model.width)

    def _window(self, file: ModelFile) -> int:
        allowed = file.info.context_length or WINDOW
        wanted = self._options.ctx_size or min(WINDOW, allowed)
        if wanted > allowed:
            raise UsageError(
                f"{setting('ctx_size', wanted)} is more than {file.name} was trained for ({allowed:,})",
                hint=setting("ctx_size", allowed),
            )
        return -(-wanted // 256) * 256

    def _check_memory(self, files: SessionFiles, window: int) -> None:
        generator, prm = files.generator, files.prm
        loads = [ModelLoad("generator", generator.info, window, self._options.branches)]
        if prm is not None:
            own = generator.info if prm.path == generator.path else prm.info
            loads.append(ModelLoad("PRM", own, _prm_window(prm, window), 1))
        plan_memory(loads, force=self._options.force)

    def _load(self, file: ModelFile) -> LlamaModel:
        device = "GPU" if self._gpu_layers else "CPU"
        self._reporting.status(f"Loading {file.name} ({human_bytes(file.size_bytes)}, {device})...")
        self._reporting.loading(file.path)
        model = LlamaModel(file.path, self._gpu_layers, file.info)
        self._stack.callback(model.close)
        return model

    def _make_context(self, model: LlamaModel, window: int, sequences: int, *, states: bool) -> LlamaContext:
        context = LlamaContext(model, window, sequences, self._threads, self.abort, states=states)
        self._stack.callback(context.close)
        return context

    def _open_prm(self, files: SessionFiles, generator: LlamaModel, window: int) -> RewardModel:
        if files.prm is None:
            return SequenceLogprob()
        model = generator if files.prm.path == files.generator.path else self._load(files.prm)
        adapter = FORMATS[files.prm_format].adapter(model)
        context = self._make_context(model, _prm_window(files.prm, window), 1, states=adapter.readout.states)
        return StepPRM.opened(context, adapter, self._cache())

    def _cache(self) -> PrefixCache:
        return PrefixCache(min(_CACHE_MAX, machine.free_memory_bytes() // _CACHE_SHARE))

    def _step_costs(self, file: ModelFile, context: LlamaContext) -> stepcost.StepCosts:
        """The curve kept for this model and machine, measured the first time."""
        path = stepcost.curve_path(file.sha256, self._threads, self._gpu_layers)
        known = stepcost.load(path, context.sequences)
        if known is None:
            self._reporting.status("Measuring this machine (once for this model)...")
            known = stepcost.measure(context)
            stepcost.save(path, known)
        return known


def _prm_window(prm: ModelFile, window: int) -> int:
    """A PRM reads the same text with a few more tokens around each step."""
    return min(2 * window, prm.info.context_length or 2 * window)


def _fingerprint(
    files: SessionFiles, chat: ChatFormat, sampling: SamplingParams, window: int
) -> calibrations.Fingerprint:
    return calibrations.Fingerprint(
        files.generator.sha256,
        files.prm_sha256(),
        files.prm_format,
        shelf.prompt_hash(chat),
        sampling.recorded(),
        window,
    )
