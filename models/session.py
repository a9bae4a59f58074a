"""Everything one run needs, opened in order and closed in reverse: files, weights, contexts, PRM.

``Session`` opens models from verified ``SessionFiles``. ``OpenSession`` is what it gives: policy, reward
model and calibration, and the drivers, warnings and descriptions made of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from adascale.engine.calibration.calibration import CalibrationByMode
from adascale.engine.decimals import human_bytes
from adascale.engine.errors import CalibrationError, UsageError, command, setting
from adascale.engine.ports import Clock, Executor, Policy, RewardModel, SequenceLogprob, Uncalibrated
from adascale.engine.search.codec import to_plain
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import GeneratorDescription, ModelDescription, PRMDescription
from adascale.engine.search.settings import Conditions
from adascale.engine.types import MODE_OF, MODES, Kind, Mode, Notice

from . import machine
from .calibration import installed
from .calibration.artefact import (
    Artefact,
    Fingerprint,
    ProgramFingerprint,
    check_width,
    describe,
    load_artefact,
)
from .calibration.installed import InstalledCalibrations
from .draws.playback import ReplayingPolicy, WaitingExecutor
from .draws.store import DrawStore, draws_path
from .files.library import ModelFile, resolve
from .files.local.checksum import file_sha256
from .llama import stepcost
from .llama.chat import ChatFormat
from .llama.native import AbortFlag, layers_to_offload, log_to
from .llama.policy import LlamaPolicy
from .llama.prefixes import PrefixCache
from .llama.runtime import LlamaContext, LlamaModel
from .llama.thinking import Thinking, plan_thinking, thinking_notices
from .memory import MemoryPlan, SessionLoad, plan_memory, prm_window
from .options import (
    CODE_PROMPT,
    PROGRAM_OPENING,
    PROGRAM_PROMPT,
    SYSTEM_PROMPT,
    Reporting,
    SamplingParams,
    SessionOptions,
)
from .prm.formats import FORMATS, settle_format, split_reference
from .prm.head import head_file
from .prm.incremental import StepPRM
from .programs.chain import ChainExecutor
from .programs.detection import find_sandbox
from .programs.sandboxes import UNSANDBOXED
from .window import Window, choose_window

# The share of what the plan leaves free that the cache of prefixes of each of the two models may take.
_CACHE_SHARE = 1 / 4
_CACHE_MAX = 2 << 30


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """A generator, and a PRM where one was named.

    Attributes:
        prm_format: A key of ``FORMATS``; ``probe`` without a PRM, also where no states are read (``none``).
    """

    generator: ModelFile
    prm: ModelFile | None = None
    prm_format: str = "probe"

    def listing(self) -> list[tuple[str, Path, str]]:
        """Label, path and sha256 of each."""
        both = [("generator", self.generator), ("prm", self.prm)]
        return [(label, file.path, file.sha256) for label, file in both if file is not None]

    @property
    def pair_name(self) -> str:
        """Generator and PRM as a user calls them: ``qwen2.5-coder-1.5b+probe``."""
        prm = self.prm_format if self.prm is None else _name_of(self.prm)
        return f"{_name_of(self.generator)}+{prm}"

    def prm_sha256(self) -> str:
        """Digest of a PRM's GGUF, and of its head where it has one; empty without a PRM."""
        if self.prm is None:
            return ""
        head = head_file(self.prm, self.prm_format)
        if head is None:
            return self.prm.sha256
        both = f"{self.prm.sha256} {file_sha256(head, head.name)}"
        return hashlib.sha256(both.encode()).hexdigest()


def _name_of(file: ModelFile) -> str:
    return file.path.stem if file.source == "path" else file.name


@dataclass(frozen=True, slots=True, eq=False)
class OpenSession:
    """Models that ``Session`` has opened, ready to search until it closes them.

    Attributes:
        options: As given to ``Session``.
        files: The verified model files.
        abort: Stops what llama.cpp evaluates; safe to set from any thread or signal handler.
        gpu_layers: Layers on the GPU, -1 for all.
        model: The generator.
        window: Tokens of one trajectory, prompt included.
        thinking: How the generator is asked for thoughts; None where it knows none.
        chats: The generator's prompt format in each mode.
        sampling: How tokens are drawn in each mode.
        fingerprints: What success probabilities depend on, by kind of problem; calibrations and draws are
            found by it.
        calibrations: Turn rewards into probabilities, by kind of problem.
        calibration_errors: Of installed calibrations that cannot be read, where one was looked for.
        context: The generator's, with one sequence per branch.
        step_costs: Seconds of a decode step by its number of branches.
        policy: The generator as the engine sees it.
        reward_model: Scores steps.
        executor: Runs programs.
    """

    options: SessionOptions
    files: SessionFiles
    abort: AbortFlag
    gpu_layers: int
    model: LlamaModel
    window: int
    thinking: Thinking | None
    chats: Mapping[Mode, ChatFormat]
    sampling: Mapping[Mode, SamplingParams]
    fingerprints: Mapping[Kind, Fingerprint]
    calibrations: Mapping[Kind, Artefact]
    calibration_errors: Sequence[CalibrationError]
    context: LlamaContext
    step_costs: stepcost.StepCosts
    policy: Policy
    reward_model: RewardModel
    executor: Executor

    def make_executor(self) -> ChainExecutor:
        """Another executor of programs, whose tickets are not those of a search; a context manager."""
        return _make_executor(self.options)

    @property
    def generator(self) -> ModelFile:
        """The generator's file."""
        return self.files.generator

    @property
    def prm(self) -> ModelFile | None:
        """The PRM's file, None without one."""
        return self.files.prm

    def driver(self, clock: Clock, policy: Policy | None = None) -> Driver:
        """A driver over the open models; with a ``policy`` in the generator's place no draw is speculative.

        Clears an earlier abort.
        """
        self.abort.clear()
        costs = () if policy else self.step_costs.relative(self.policy.slots)
        policy = policy or self.policy
        if self.options.purpose == "rollouts":
            # Rollouts are kept without scores: a PRM reads them afterwards, once.
            return Driver(policy, SequenceLogprob(), Uncalibrated(), clock, executor=self.executor)
        fitted = [artefact.calibration for artefact in self.calibrations.values()]
        calibrator = CalibrationByMode(fitted) if fitted else Uncalibrated()
        executor = WaitingExecutor(self.executor) if self.options.purpose == "replay" else self.executor
        return Driver(policy, self.reward_model, calibrator, clock, costs, executor)

    def replay_policy(self, store: DrawStore) -> ReplayingPolicy:
        """The generator, drawing only what is not kept yet."""
        assert self.options.purpose == "replay", "what is drawn for another purpose is not the same again"
        costs, rows = self.step_costs, self.policy.slots
        return ReplayingPolicy(self.policy, store, lambda branches: costs.step_seconds(branches, rows))

    def draws_path(self, kind: Kind) -> Path:
        """The file of this generator's kept draws of problems of a kind."""
        return draws_path(self.fingerprints[kind], self.context.sequences, self.gpu_layers)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Modes that are left to ``auto``: those that a calibration of these very models knows.

        A system prompt of the user's own is for prose alone. How often programs of another model repeat each
        other's mistakes is not known.
        """
        artefact = self.calibrations.get("question")
        if artefact is None or artefact.calibration.is_portable or self.options.system is not None:
            return ("prose",)
        return artefact.calibration.modes

    def conditions(self, kind: Kind) -> Conditions:
        """What searches of one kind of problem are run with.

        Warnings are of options without effect, of mismatches with the calibration, and of calibrations that
        cannot be read.
        """
        return Conditions(self._describe(kind), tuple(self._warnings(kind)))

    def _warnings(self, kind: Kind) -> list[Notice]:
        found: list[Notice] = []
        if self.options.gpu_layers and not self.gpu_layers:
            text = f"{setting('gpu_layers', self.options.gpu_layers)} has no effect"
            why = "this llama.cpp was built without GPU support; running on CPU"
            hint = f"{command('doctor')} shows how to install a GPU build"
            found.append(Notice("no-gpu-build", f"{text}: {why}", hint=hint))
        if self.thinking is not None and self.chats[MODE_OF[kind]].adds_thought:
            found += thinking_notices(self.model, self.thinking)
        found += [Notice("calibration-unreadable", error.message) for error in self.calibration_errors]
        if kind in self.calibrations:
            found += installed.mismatches(self.calibrations[kind].card, self.fingerprints[kind])
        elif _is_named(self.options.calibration):
            found += [installed.wrong_kind(named.card, kind) for named in self.calibrations.values()]
        return found

    def decode_rate(self) -> float:
        """Tokens per second of a full batch, measured now; nothing may be open."""
        full = self.context.sequences
        return full / stepcost.measure(self.context, [full]).seconds(full)

    def prompt_tokens(self, question: str) -> tuple[int, ...]:
        """The tokens of a question's prompt in prose, template included."""
        return self.chats["prose"].prompt(question)

    def _describe(self, kind: Kind) -> ModelDescription:
        generator, prm, calibration = self.generator, self.prm, self.calibrations.get(kind)
        device = "gpu" if self.gpu_layers else "cpu"
        return ModelDescription(
            GeneratorDescription(generator.name, generator.path.name, generator.sha256, self.window, device),
            PRMDescription(prm.name, prm.path.name, prm.sha256, self.files.prm_format) if prm else None,
            to_plain(describe(calibration)) if calibration else None,
            {**self.sampling[MODE_OF[kind]].record(), "prompt": self.fingerprints[kind].prompt},
        )


class Session:
    """Opens models: ``with Session(options) as session`` gives an ``OpenSession``.

    Args:
        options: The models and their settings.
        reporting: Where status, downloads and llama.cpp's log go.

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
        self._named: Artefact | None = None

    def fetch(self) -> SessionFiles:
        """Find the files, downloading what is missing; entry does it too, where it was not done before.

        Raises:
            ModelError, DiskFullError: a model is not available.
            CalibrationError, UsageError: the named calibration cannot be used; nothing was downloaded.
        """
        if self._files is None:
            self._named = _named_calibration(self._options)
            self._files = _fetch_files(self._options, self._reporting)
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
        chosen = choose_window(options, files.generator)
        window = chosen.tokens
        cache_bytes = _cache_bytes(self._plan_memory(files, chosen))
        model = self._load_model(files.generator)
        thinking = plan_thinking(model, options.think)
        if growth := chosen.describe_growth(model.info.kv_bytes_per_token(), options.branches):
            self._reporting.status(growth)
        chats = _chat_formats(model, options.system, thinking)
        think_tokens = 0 if thinking is None else thinking.budget
        sampling = {mode: options.sampling.over(SamplingParams(), think_tokens) for mode in MODES}
        is_searched = options.calibration == "auto" and options.prm != "none"
        available = installed.read_installed() if is_searched else InstalledCalibrations()
        calibrations = self._find_calibrations(
            available, _fingerprints(files, chats, sampling, window), model
        )
        for artefact in calibrations.values():
            sampling |= {
                mode: options.sampling.over(SamplingParams.from_record(known), think_tokens)
                for mode, known in artefact.card.fingerprint.samplers().items()
            }
        # Hidden states are read by a calibration of these very models, and by one that is being fitted.
        reads_states = any(not each.calibration.is_portable for each in calibrations.values())
        states = reads_states or options.purpose != "search"
        context = self._make_context(model, window, options.branches, states=states)
        even = stepcost.StepCosts({}, even=True)
        step_costs = (
            even if options.purpose == "rollouts" else self._load_step_costs(files.generator, context)
        )
        policy = LlamaPolicy(
            context,
            chats,
            sampling,
            PrefixCache(cache_bytes),
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
            thinking=thinking,
            chats=chats,
            sampling=sampling,
            fingerprints=_fingerprints(files, chats, sampling, window),
            calibrations=calibrations,
            calibration_errors=available.errors,
            context=context,
            step_costs=step_costs,
            policy=policy,
            reward_model=self._open_prm(files, model, window, cache_bytes),
            executor=self._stack.enter_context(_make_executor(options)),
        )

    @property
    def _threads(self) -> int:
        return self._options.threads or machine.physical_cores()

    def _find_calibrations(
        self,
        available: InstalledCalibrations,
        fingerprints: Mapping[Kind, Fingerprint],
        model: LlamaModel,
    ) -> dict[Kind, Artefact]:
        """One for each kind of problem that has one; one that was named is the only one."""
        if self._named is not None:
            check_width(self._named, model.width)
            return {self._named.card.fingerprint.kind: self._named}
        found = {kind: available.find(used) for kind, used in fingerprints.items()}
        return {kind: artefact for kind, artefact in found.items() if artefact is not None}

    def _plan_memory(self, files: SessionFiles, window: Window) -> MemoryPlan:
        generator, prm = files.generator, files.prm
        judge = None
        if prm is not None:
            judge = generator.info if prm.path == generator.path else prm.info
        load = SessionLoad(generator.info, window.tokens, self._options.branches, judge)
        return plan_memory(load, force=self._options.force, thought=window.thought)

    def _load_model(self, file: ModelFile) -> LlamaModel:
        device = "GPU" if self._gpu_layers else "CPU"
        self._reporting.status(f"Loading {file.name} ({human_bytes(file.size_bytes)}, {device})...")
        self._reporting.loading(file.path)
        model = LlamaModel(file.path, self._gpu_layers, file.info, file.shown_name)
        self._stack.callback(model.close)
        return model

    def _make_context(self, model: LlamaModel, window: int, sequences: int, *, states: bool) -> LlamaContext:
        context = LlamaContext(model, window, sequences, self._threads, self.abort, states=states)
        self._stack.callback(context.close)
        return context

    def _open_prm(
        self, files: SessionFiles, generator: LlamaModel, window: int, cache_bytes: int
    ) -> RewardModel:
        if files.prm is None:
            return SequenceLogprob()
        model = generator if files.prm.path == files.generator.path else self._load_model(files.prm)
        adapter = FORMATS[files.prm_format].adapter(model)
        tokens = prm_window(files.prm.info, window)
        context = self._make_context(model, tokens, 1, states=adapter.readout.states)
        prm = StepPRM(context, adapter, PrefixCache(cache_bytes))
        prm.self_test()
        return prm

    def _load_step_costs(self, file: ModelFile, context: LlamaContext) -> stepcost.StepCosts:
        """The curve kept for such a context of this model, measured the first time."""
        path = stepcost.curve_path(file.sha256, context, self._gpu_layers)
        known = stepcost.load(path, context.sequences)
        if known is None:
            self._reporting.status("Measuring this machine (once for this model)...")
            known = stepcost.measure(context)
            stepcost.save(path, known)
        return known


def _is_named(calibration: str) -> bool:
    return calibration not in ("auto", "none")


def _named_calibration(options: SessionOptions) -> Artefact | None:
    """The calibration whose file the options name; None where they name none.

    Raises:
        UsageError: there is no PRM whose scores it could read.
        CalibrationError: it cannot be read.
    """
    if not _is_named(options.calibration):
        return None
    if options.prm == "none":
        text = f"{setting('prm', 'none')} leaves nothing to calibrate with {options.calibration}"
        raise UsageError(text, hint=setting("prm", "probe"))
    return load_artefact(Path(options.calibration))


def _fetch_files(options: SessionOptions, reporting: Reporting) -> SessionFiles:
    """Find the files that the options name, downloading what is missing.

    Raises:
        ModelError, DiskFullError: a model is not available.
        UsageError: the file is no PRM of the format that was asked for.
    """

    def model(ref: str) -> ModelFile:
        return resolve(
            ref, offline=options.offline, on_progress=reporting.on_progress, confirm=reporting.confirm
        )

    generator = model(options.generator)
    if options.prm in ("none", "probe"):
        return SessionFiles(generator)
    wanted, ref = split_reference(options.prm)
    prm = generator if ref == "self" else model(ref)
    return SessionFiles(generator, prm, settle_format(prm, wanted, reporting.status, offline=options.offline))


def _chat_formats(
    model: LlamaModel, system: str | None, thinking: Thinking | None
) -> Mapping[Mode, ChatFormat]:
    """The prompt of each mode; a system prompt of the user's own is that of prose and of chats."""
    prose = ChatFormat(model, system or SYSTEM_PROMPT, thinking=thinking, chat_system=system or "")
    return {
        "prose": prose,
        "program": ChatFormat(model, PROGRAM_PROMPT, PROGRAM_OPENING, thinking),
        "code": ChatFormat(model, CODE_PROMPT, PROGRAM_OPENING, thinking),
    }


def _make_executor(options: SessionOptions) -> ChainExecutor:
    return ChainExecutor((lambda: UNSANDBOXED) if options.unsandboxed else find_sandbox)


def _cache_bytes(memory: MemoryPlan) -> int:
    return min(_CACHE_MAX, int(_CACHE_SHARE * memory.spare_bytes))


def _fingerprints(
    files: SessionFiles,
    chats: Mapping[Mode, ChatFormat],
    sampling: Mapping[Mode, SamplingParams],
    window: int,
) -> dict[Kind, Fingerprint]:
    models = files.generator.sha256, files.prm_sha256(), files.prm_format
    program = ProgramFingerprint(chats["program"].sha256(), sampling["program"].record())

    def of(kind: Kind, program: ProgramFingerprint | None = None) -> Fingerprint:
        mode = MODE_OF[kind]
        return Fingerprint(*models, chats[mode].sha256(), sampling[mode].record(), window, program, kind)

    return {"question": of("question", program), "task": of("task")}
