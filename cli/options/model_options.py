"""What every command takes that opens a model, as one dataclass."""

from __future__ import annotations

from dataclasses import dataclass

from adascale.models.files.catalog import DEFAULT_GENERATOR

from .flatten import (
    ColorOption,
    CtxSizeOption,
    DebugOption,
    ForceOption,
    GeneratorOption,
    GpuLayersOption,
    MaxTokensOption,
    OfflineOption,
    PrmOption,
    QuietOption,
    SystemOption,
    TemperatureOption,
    ThreadsOption,
    TopPOption,
    VerboseOption,
    YesOption,
)


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which models, how they are sampled, where they run, and how much is said of it."""

    generator: GeneratorOption = DEFAULT_GENERATOR
    prm: PrmOption = "probe"
    temperature: TemperatureOption = None
    top_p: TopPOption = None
    max_tokens: MaxTokensOption = None
    system: SystemOption = None
    ctx_size: CtxSizeOption = None
    threads: ThreadsOption = None
    gpu_layers: GpuLayersOption = "auto"
    offline: OfflineOption = False
    yes: YesOption = False
    force: ForceOption = False
    color: ColorOption = "auto"
    quiet: QuietOption = 0
    verbose: VerboseOption = 0
    debug: DebugOption = False

    def references(self) -> tuple[str, ...]:
        """What may name files that the models are read from."""
        return self.generator, self.prm.rpartition("=")[2]

    def heat(self) -> float | None:
        """The sampling temperature; None for that of the calibration."""
        return self.temperature
