"""How to search: what ``ask``, ``batch`` and ``eval`` share, as one dataclass."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from adascale.engine.strategies.effort import EFFORTS, PAPER, PAPER_TEMPERATURE, Effort

from . import completion
from .flatten import MODELS, SEARCH, env, option
from .model_options import ModelOptions


def _of_efforts(name: str) -> str:
    """What the help says of a default that the effort sets."""
    values = (f"{getattr(preset, name):g}" for preset in EFFORTS.values())
    return "from effort: " + ", ".join(value.removeprefix("0") or "0" for value in values)


EffortOption = Annotated[
    Effort,
    option(
        "--effort",
        "-e",
        panel=SEARCH,
        envvar=env("EFFORT"),
        help="How sure to get before stopping, and how much to draw at most.",
    ),
]
SamplesOption = Annotated[
    int | None,
    option(
        "--samples",
        panel=SEARCH,
        min=1,
        max=1024,
        show_default=_of_efforts("samples"),
        help="Trajectories of vote and best-of-n, at most as many of adaptive.",
    ),
]
BeamWidthOption = Annotated[
    int | None,
    option("--beam-width", panel=SEARCH, min=1, max=64, show_default="4", help="Prefixes that a beam keeps."),
]
BranchingOption = Annotated[
    int | None,
    option(
        "--branching", panel=SEARCH, min=1, max=64, show_default="4", help="Children of each kept prefix."
    ),
]
StopAtOption = Annotated[
    float | None,
    option(
        "--stop-at",
        panel=SEARCH,
        min=0.0,
        max=1.0,
        show_default=_of_efforts("stop_at"),
        help="Probability of the answer at which adaptive stops.",
    ),
]
MinGainOption = Annotated[
    float | None,
    option(
        "--min-gain",
        panel=SEARCH,
        min=-1.0,
        max=1.0,
        show_default=_of_efforts("min_gain"),
        help="adaptive also stops where a further trajectory adds less than this to that probability.",
    ),
]
ConfidenceOption = Annotated[
    float | None,
    option(
        "--confidence",
        panel=SEARCH,
        min=0.01,
        max=0.9999,
        show_default="0.99",
        help="C of the paper's rules (--adapt, +n, +k, +m): wanted P(some trajectory is right).",
    ),
]
PaperOption = Annotated[
    bool,
    option(
        "--paper",
        panel=SEARCH,
        help="The paper's numbers: 64 samples, 8 prefixes of 8 children pruned every 5 steps, T .7.",
    ),
]
CalibrationOption = Annotated[
    str,
    option(
        "--calibration",
        panel=MODELS,
        envvar=env("CALIBRATION"),
        autocompletion=completion.calibrations,
        metavar="auto|none|FILE",
        help="What turns judgements into probabilities; auto takes the one fitted on these very models.",
    ),
]


@dataclass(frozen=True, slots=True)
class SearchOptions(ModelOptions):
    """The numbers of a search, as typed by the user."""

    calibration: CalibrationOption = "auto"
    effort: EffortOption = "medium"
    samples: SamplesOption = None
    beam_width: BeamWidthOption = None
    branching: BranchingOption = None
    stop_at: StopAtOption = None
    min_gain: MinGainOption = None
    confidence: ConfidenceOption = None
    paper: PaperOption = False

    def parameters(self) -> dict[str, Any]:
        """Parameters of strategies by name: of the paper or the effort, and what was given beside.

        A strategy takes those that it has (``strategy_named``).
        """
        given = {
            "samples": self.samples,
            "width": self.beam_width,
            "branching": self.branching,
            "stop_at": self.stop_at,
            "min_gain": self.min_gain,
            "confidence": self.confidence,
        }
        preset = PAPER if self.paper else asdict(EFFORTS[self.effort])
        return {**preset, **{name: value for name, value in given.items() if value is not None}}

    def references(self) -> tuple[str, ...]:
        """What may name files that the models and their calibration are read from."""
        return *ModelOptions.references(self), self.calibration

    def heat(self) -> float | None:
        """The sampling temperature; None for that of the calibration."""
        return PAPER_TEMPERATURE if self.paper and self.temperature is None else self.temperature
