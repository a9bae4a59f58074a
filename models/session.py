"""Everything that one run needs, opened in order and closed in reverse: files, weights, contexts, PRM."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from adascale.engine.driver import Driver
from adascale.engine.errors import UsageError
from adascale.engine.ports import Clock, Policy, RewardModel
from adascale.engine.scoring import SequenceLogprob, Uncalibrated

from . import fit, gguf, machine, stepcost
from .artifact import Confirm, ModelFile, Report
from .chat import ChatFormat
from .native import AbortFlag
from .policy import LlamaPolicy
from .prefixes import PrefixCache
from .prm import FORMATS, TokenPRM
from .prompts import SYSTEM_PROMPT
from .runtime import LlamaContext, LlamaModel
from .sampling import SamplingParams
from .sources import resolve
from .units import gigabytes

WINDOW = 2048
"""Tokens of one trajectory, prompt included, unless ``ctx_size`` says otherwise."""

_CACHE_SHARE = 8
_CACHE_MAX = 2 << 30


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How to open models.

    Attributes:
        generator: Model reference.
        prm: Model reference of a judge, ``self`` for the generator itself, or ``none``.
        branches: Branches that run at once, 1 to 64.
        ctx_size: Tokens of one trajectory; None for ``WINDOW`` or what the model allows.
        threads: CPU threads; None for the physical cores.
        gpu_layers: Layers to offload, -1 for all.
        sampling: How tokens are drawn.
        system: System prompt; None for the built-in one.
        offline: Never touch the network.
        force: Load even if memory looks too small.
    """

    generator: str
    prm: str = "none"
    branches: int = 8
    ctx_size: int | None = None
    threads: int | None = None
    gpu_layers: int = 0
    sampling: SamplingParams = SamplingParams()
    system: str | None = None
    offline: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Reporting:
    """Where a session tells what it does: status lines, downloads, consent for a download."""

    status: Callable[[str], None] = lambda text: None
    on_progress: Report | None = None
    confirm: Confirm | None = None


class Session:
    """Open models, ready to search. Use as a context manager.

    Raises:
        ModelError, DoesNotFitError, UsageError: on entry, before anything is searched.
    """

    def __init__(self, options: SessionOptions, reporting: Reporting = Reporting()) -> None:
        self.options = options
        self.abort = AbortFlag()
        self._reporting = reporting
        self._stack = ExitStack()
        self._files: tuple[ModelFile, ModelFile | None] | None = None
        self._policy: Policy
        self._reward_model: RewardModel

    def fetch(self) -> None:
        """Find the files, downloading what is missing; opening does it too, where it was not done before.

        Raises:
            ModelError, DiskFullError: a model is not available.
        """
        if self._files is None:
            generator = self._resolve(self.options.generator)
            self._files = generator, self._resolve_prm(generator)

    @property
    def generator(self) -> ModelFile:
        """The generator's file."""
        assert self._files is not None, "fetch comes first"
        return self._files[0]

    @property
    def prm(self) -> ModelFile | None:
        """The PRM's file, None without one."""
        assert self._files is not None, "fetch comes first"
        return self._files[1]

    def __enter__(self) -> Session:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def driver(self, clock: Clock) -> Driver:
        """A driver over the open models."""
        return Driver(self._policy, self._reward_model, Uncalibrated(), clock)

    @property
    def calibrated(self) -> bool:
        """Whether estimates are probabilities."""
        return False

    def prompt_tokens(self, question: str) -> tuple[int, ...]:
        """What the generator reads for a question, up to its own first token."""
        return self._chat.prompt(question)

    def describe(self) -> dict[str, Any]:
        """Generator and PRM for the event log and JSON output."""
        described: dict[str, Any] = {
            "generator": {
                **_describe(self.generator),
                "n_ctx": self.window,
                "device": "gpu" if self.options.gpu_layers else "cpu",
            },
            "prm": None,
        }
        if self.prm is not None:
            described["prm"] = {**_describe(self.prm), "format": "judge"}
        return described

    def _open(self) -> None:
        options = self.options
        self.fetch()
        self.window = self._window(self.generator)
        self._check_memory()
        threads = options.threads or machine.physical_cores()
        model = self._load(self.generator)
        context = self._context(model, self.window, options.branches, threads)
        self._chat = ChatFormat(model, options.system or SYSTEM_PROMPT)
        costs = self._step_costs(context, threads)
        policy = LlamaPolicy(context, self._chat, options.sampling, self._cache(), costs)
        self._stack.callback(policy.close)
        self._policy = policy
        self._reward_model = self._open_prm(model, threads)

    def _resolve(self, ref: str) -> ModelFile:
        found = resolve(
            ref,
            offline=self.options.offline,
            on_progress=self._reporting.on_progress,
            confirm=self._reporting.confirm,
        )
        if found.source == "cache":
            gguf.check_gguf(found.path)
        return found

    def _resolve_prm(self, generator: ModelFile) -> ModelFile | None:
        if self.options.prm == "none":
            return None
        return generator if self.options.prm == "self" else self._resolve(self.options.prm)

    def _window(self, file: ModelFile) -> int:
        allowed = gguf.read_info(file.path).context_length or WINDOW
        wanted = self.options.ctx_size or min(WINDOW, allowed)
        if wanted > allowed:
            raise UsageError(
                f"--ctx-size {wanted:,} is more than {file.name} was trained for ({allowed:,})",
                hint=f"--ctx-size {allowed}",
            )
        return -(-wanted // 256) * 256

    def _check_memory(self) -> None:
        info = gguf.read_info(self.generator.path)
        loads: list[fit.Load] = [("generator", info, self.window, self.options.branches)]
        if self.prm is not None:
            loads.append(("PRM", gguf.read_info(self.prm.path), self._prm_window(), 1))
        fit.plan_memory(loads, force=self.options.force)

    def _prm_window(self) -> int:
        assert self.prm is not None
        # A judge reads the same text with a few more tokens around each step.
        return min(2 * self.window, gguf.read_info(self.prm.path).context_length or 2 * self.window)

    def _load(self, file: ModelFile) -> LlamaModel:
        device = "GPU" if self.options.gpu_layers else "CPU"
        self._reporting.status(f"Loading {file.name} ({gigabytes(file.size_bytes)} GB, {device})...")
        model = LlamaModel(file.path, self.options.gpu_layers)
        self._stack.callback(model.close)
        return model

    def _context(self, model: LlamaModel, window: int, sequences: int, threads: int) -> LlamaContext:
        context = LlamaContext(model, window, sequences, threads, self.abort)
        self._stack.callback(context.close)
        return context

    def _open_prm(self, generator: LlamaModel, threads: int) -> RewardModel:
        if self.prm is None:
            return SequenceLogprob()
        same = self.prm.path == self.generator.path
        model = generator if same else self._load(self.prm)
        context = self._context(model, self._prm_window(), 1, threads)
        return TokenPRM(context, FORMATS["judge"](model), self._cache())

    def _cache(self) -> PrefixCache:
        return PrefixCache(min(_CACHE_MAX, machine.free_memory_bytes() // _CACHE_SHARE))

    def _step_costs(self, context: LlamaContext, threads: int) -> stepcost.StepCosts:
        """The curve kept for this model and machine, measured the first time."""
        path = stepcost.kept_at(self.generator.sha256, threads, self.options.gpu_layers)
        known = stepcost.load(path, context.sequences)
        if known is None:
            self._reporting.status("Measuring this machine (once for this model)...")
            known = stepcost.measure(context)
            stepcost.save(path, known)
        return known


def _describe(file: ModelFile) -> dict[str, Any]:
    return {"name": file.name, "file": file.path.name, "sha256": file.sha256}
