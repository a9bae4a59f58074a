"""Arguments that several commands take: a recorded search by its file or its name."""

from __future__ import annotations

from typing import Annotated

import typer

from . import completion

TraceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[TRACE]",
        help="A file written by --trace, or a kept run (adascale runs list); the last one unless given.",
        show_default=False,
        autocompletion=completion.traces,
    ),
]

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="Its name or how that begins; the last one unless given.",
        autocompletion=completion.runs,
    ),
]
