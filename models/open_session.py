"""Open models, and everything that is done with them: searches, warnings, descriptions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adascale.engine.description import GeneratorDescription, ModelDescription, PRMDescription
from adascale.engine.ports import Clock, Policy, RewardModel
from adascale.engine.remedies import command, setting
from adascale.engine.search.codec import to_plain
from adascale.engine.search.driver import Driver
from adascale.engine.search.scoring import SequenceLogprob, Uncalibrated
from adascale.engine.types import Notice

from .calibration import artefact as calibrations
from .calibration import installed as shelf
from .draws.playback import ReplayingPolicy
from .draws.store import DrawStore, draws_path
from .files.library import ModelFile
from .llama import stepcost
from .llama.chat import ChatFormat
from .llama.native import AbortFlag
from .llama.runtime import LlamaContext, LlamaModel
from .options import SamplingParams, SessionOptions
from .session_files import SessionFiles


@dataclass(frozen=True, slots=True, eq=False)
class OpenSession:
    """Models that ``Session`` has opened, ready to search until it closes them.

    Attributes:
        options: What was asked for.
        files: What was opened.
        abort: Stops what llama.cpp evaluates; safe to set from any thread or signal handler.
        gpu_layers: Layers on the GPU, -1 for all.
        model: The generator.
        window: Tokens of one trajectory, prompt included.
        chat: The generator's prompt format.
        sampling: How tokens are drawn.
        fingerprint: What probabilities of these models belong to.
        calibration: What turns rewards into probabilities; None without one.
        context: The generator's, with one sequence per branch.
        step_costs: What a decode step costs by its branches.
        policy: The generator as the engine sees it.
        reward_model: What scores steps.
    """

    options: SessionOptions
    files: SessionFiles
    abort: AbortFlag
    gpu_layers: int
    model: LlamaModel
    window: int
    chat: ChatFormat
    sampling: SamplingParams
    fingerprint: calibrations.Fingerprint
    calibration: calibrations.Artefact | None
    context: LlamaContext
    step_costs: stepcost.StepCosts
    policy: Policy
    reward_model: RewardModel

    @property
    def generator(self) -> ModelFile:
        """The generator's file."""
        return self.files.generator

    @property
    def prm(self) -> ModelFile | None:
        """The PRM's file, None without one."""
        return self.files.prm

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
        return draws_path(self.fingerprint, self.context.sequences, self.gpu_layers)

    @property
    def warnings(self) -> list[Notice]:
        """What has no effect, or does not match the calibration in use or cannot be read."""
        found: list[Notice] = []
        if self.options.gpu_layers and not self.gpu_layers:
            text = f"{setting('gpu_layers', self.options.gpu_layers)} has no effect"
            why = "this llama.cpp was built without GPU support; running on CPU"
            hint = f"{command('doctor')} shows how to install a GPU build"
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
        device = "gpu" if self.gpu_layers else "cpu"
        return ModelDescription(
            GeneratorDescription(generator.name, generator.path.name, generator.sha256, self.window, device),
            PRMDescription(prm.name, prm.path.name, prm.sha256, self.files.prm_format) if prm else None,
            to_plain(calibrations.describe(calibration)) if calibration else None,
            {**self.sampling.recorded(), "prompt": self.fingerprint.prompt},
        )
