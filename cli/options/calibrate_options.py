"""What ``calibrate fit`` and ``calibrate check`` take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from .flatten import OUTPUT, SEARCH, JsonOption, option
from .model_options import ModelOptions

DataOption = Annotated[
    list[Path],
    option(
        "--data",
        "-d",
        panel=SEARCH,
        metavar="FILE",
        help="JSON Lines with question and answer; may be given several times.",
    ),
]
QuestionsOption = Annotated[
    int | None,
    option("--questions", "-n", panel=SEARCH, min=1, show_default="all", help="How many, over all files."),
]
SamplesOption = Annotated[
    int, option("--samples", "-k", panel=SEARCH, min=1, max=64, help="Trajectories of each question.")
]
RolloutsOption = Annotated[
    int,
    option(
        "--rollouts",
        "-r",
        panel=SEARCH,
        min=0,
        max=64,
        help="More trajectories from one prefix of each question.",
    ),
]
PlotOption = Annotated[
    Path | None,
    option("--plot", panel=OUTPUT, metavar="FILE.png|svg", help="Draw the reliability diagram."),
]


@dataclass(frozen=True, slots=True)
class CalibrateOptions(ModelOptions):
    """What ``calibrate fit`` and ``calibrate check`` share."""

    data: DataOption = ()  # type: ignore[assignment]
    questions: QuestionsOption = None
    samples: SamplesOption = 4
    rollouts: RolloutsOption = 2
    seed: Annotated[
        int, option("--seed", panel=SEARCH, min=0, help="Of the choice of questions and of all draws.")
    ] = 0
    plot: PlotOption = None
    json_output: JsonOption = False
