"""How to search: options that ``ask``, ``batch`` and ``eval`` share."""

from __future__ import annotations

from typing import Annotated

from adascale.engine.effort import Effort

from .shared import SEARCH, env, option

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
        show_default="from effort: 8, 16, 32, 64",
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
        show_default="from effort: .95, .95, .98, 1",
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
        show_default="from effort: .012, .003, .0015, .0005",
        help="It also stops where a further trajectory adds less than this to that probability.",
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
        help="The C of those rules: P(some trajectory is right).",
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
