"""Options that several commands share, each defined once, and commands that take them as one object.

Typer reads a function's signature, so ``with_options`` writes the fields of a dataclass into that of a
command and hands it one object instead of thirty arguments.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, get_type_hints

import typer

from ..terminal.console import ColorChoice, use_color
from . import completion

MODELS, SEARCH, MACHINE, OUTPUT = _PANELS = "Models", "Search", "Machine", "Output"


def option(*names: str, panel: str, help: str, **more: Any) -> Any:
    """A Typer option in a panel of the help page."""
    return typer.Option(*names, rich_help_panel=panel, help=help, **more)


def env(name: str) -> str:
    """Name of an environment variable."""
    return f"ADASCALE_{name}"


GeneratorOption = Annotated[
    str,
    option(
        "--generator",
        "-g",
        panel=MODELS,
        envvar=env("GENERATOR"),
        autocompletion=completion.models,
        help="Model that writes solutions: catalogue name, GGUF path or hf:user/repo:quant.",
    ),
]
PrmOption = Annotated[
    str,
    option(
        "--prm",
        panel=MODELS,
        envvar=env("PRM"),
        autocompletion=completion.judges,
        help="Judge of steps: 'probe' reads the generator's own states, 'self' asks it, a name "
        "or path (FORMAT=PATH if its names do not tell) is a PRM, 'none' judges nothing.",
    ),
]
CtxSizeOption = Annotated[
    int | None,
    option(
        "--ctx-size",
        "-c",
        panel=MACHINE,
        envvar=env("CTX_SIZE"),
        min=512,
        show_default="2048",
        help="Context window of one trajectory: the question, and at most --max-tokens.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    option(
        "--threads",
        "-t",
        panel=MACHINE,
        envvar=env("THREADS"),
        min=1,
        max=512,
        show_default="physical cores",
        help="CPU threads.",
    ),
]
GpuLayersOption = Annotated[
    str,
    option(
        "--gpu-layers",
        "-ngl",
        panel=MACHINE,
        envvar=env("GPU_LAYERS"),
        metavar="auto|all|N",
        help="Layers on the GPU.",
    ),
]
TemperatureOption = Annotated[
    float | None,
    option(
        "--temperature",
        "--temp",
        panel=SEARCH,
        min=0.01,
        max=5.0,
        show_default="as the calibration was fitted, else 0.5",
        help="Of sampling.",
    ),
]
TopPOption = Annotated[
    float | None,
    option(
        "--top-p",
        panel=SEARCH,
        min=0.01,
        max=1.0,
        show_default="as the calibration was fitted, else 0.95",
        help="Share of probability sampled from.",
    ),
]
MaxTokensOption = Annotated[
    int | None,
    option(
        "--max-tokens",
        panel=SEARCH,
        min=1,
        show_default="as the calibration was fitted, else 768",
        help="Tokens of one trajectory; one that is cut there has no answer.",
    ),
]
SystemOption = Annotated[
    str | None, option("--system", "-s", panel=SEARCH, help="System prompt instead of the built-in one.")
]
OfflineOption = Annotated[
    bool, option("--offline", panel=MACHINE, envvar=env("OFFLINE"), help="Never touch the network.")
]
YesOption = Annotated[
    bool, option("--yes", "-y", panel=MACHINE, envvar=env("YES"), help="Download without asking.")
]
ForceOption = Annotated[
    bool, option("--force", panel=MACHINE, help="Load models even if memory looks too small.")
]
ColorOption = Annotated[
    ColorChoice,
    option("--color", panel=OUTPUT, envvar=env("COLOR"), help="Colour on stderr; NO_COLOR is honoured."),
]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
QuietOption = Annotated[
    int,
    option(
        "--quiet",
        "-q",
        panel=OUTPUT,
        count=True,
        show_default=False,
        help="No progress; -qq no warnings.",
    ),
]
VerboseOption = Annotated[
    int,
    option(
        "--verbose",
        "-v",
        panel=OUTPUT,
        count=True,
        show_default=False,
        help="Say what is used; -vv llama.cpp's log.",
    ),
]
DebugOption = Annotated[
    bool, option("--debug", panel=OUTPUT, envvar=env("DEBUG"), help="Show tracebacks of errors.")
]
JsonOption = Annotated[bool, option("--json", panel=OUTPUT, help="Print one JSON object.")]


def with_options(options_type: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's parameter ``options`` by one parameter per field of ``options_type``.

    The dataclass has the fields ``color`` and ``debug``.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**values: Any) -> None:
            options = options_type(**{field.name: values.pop(field.name) for field in fields(options_type)})
            use_color(options.color)
            if options.debug:
                os.environ[env("DEBUG")] = "1"  # main() reads it, where errors end up
            command(options=options, **values)

        parameters = _parameters(command, options_type)
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
        del run.__wrapped__  # inspect would look behind the new signature
        return run

    return decorate


def _parameters(command: Callable[..., None], options_type: type[Any]) -> list[inspect.Parameter]:
    """Arguments, then panel by panel the options: what is a command's own before what it shares."""
    hints = get_type_hints(options_type, include_extras=True)
    defaults = {field.name: field.default for field in fields(options_type)}
    names = dict.fromkeys(
        name for cls in options_type.__mro__ for name in vars(cls).get("__annotations__", ())
    )
    shared = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=hints[name]
        )
        for name in names
    ]
    own_hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=own_hints[parameter.name])
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name != "options"
    ]
    return sorted([*own, *shared], key=_panel)


def _panel(parameter: inspect.Parameter) -> int:
    [info] = parameter.annotation.__metadata__
    return _PANELS.index(info.rich_help_panel) if info.rich_help_panel in _PANELS else -1
