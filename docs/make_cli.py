"""Writes ``docs/cli.md`` from the commands themselves; ``make check`` fails where it is out of date.

Usage: ``python docs/make_cli.py``
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer.main

from adascale.cli.app import SHORT_NAMES, app
from adascale.cli.exit_codes import EPILOG

PAGE = Path(__file__).parent / "cli.md"

HEAD = f"""# Commands and options

`adascale COMMAND -h` shows the common options, `--help-all` shows all. This page has all of them
(`python docs/make_cli.py` writes it from the commands).

`adascale "a question"` is `adascale ask "a question"`, also with a single word (`adascale hi`) that is not
like a command. `pull`, `list`, `show` and `rm` are short names of the commands of `models`. With `--json` an
error is an object on stdout too (`adascale.error/1`).

**Settings.** An option with an environment variable can be set by that variable or in the config file
(`adascale config set NAME VALUE`, where NAME is the option without its dashes; `config unset NAME` takes it
out). The command line overrides the environment, and the environment overrides the file. `ADASCALE_CONFIG`
names another file.

`adascale --install-completion` sets up completion in your shell; `--version` prints the version.
[Where files are stored](install.md#where-files-are-stored).

{EPILOG} A script that takes only a sure answer:

```sh
adascale ask -x --min-confidence .9 "What is 17 * 23?" > answer.txt || echo "not sure"
```
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_command(typer.main.get_command(app), "adascale")])


def _command(command: Any, name: str) -> Iterator[str]:
    below = {key: sub for key, sub in getattr(command, "commands", {}).items() if not sub.hidden}
    if not below:
        yield f"## {name}\n"
        yield from _help(command.help)
        usage = [_argument(p) for p in command.params if not _is_option(p)]
        yield f"`{' '.join([name, *usage, '[OPTIONS]'])}`\n"
        yield from _table([p for p in command.params if not _is_option(p)], "argument")
        yield from _table([p for p in command.params if _is_option(p)], "option")
    for key, sub in below.items():
        if name == "adascale" and key in SHORT_NAMES:
            continue
        yield from _command(sub, f"{name} {key}")


def _help(text: str) -> Iterator[str]:
    """Paragraphs; the second one has the examples, line by line."""
    first, examples, *others = inspect.cleandoc(text).split("\n\n")
    yield f"{_text(first)}\n"
    yield f"```sh\n{examples.strip()}\n```\n"
    yield from (f"{_text(other)}\n" for other in others)


def _table(parameters: list[Any], what: str) -> Iterator[str]:
    shown = [parameter for parameter in parameters if not parameter.hidden]
    if not shown:
        return
    yield f"| {what} | default | what it does |\n|---|---|---|"
    for p in shown:
        env = f" (`{p.envvar}`)" if p.envvar else ""
        yield f"| {_name(p)} | {_default(p)} | {_cell(p.help or '')}{env} |"
    yield ""


def _name(parameter: Any) -> str:
    if not _is_option(parameter):
        return f"`{_cell(_argument(parameter))}`"
    return ", ".join(f"`{opt}`" for opt in [*parameter.opts, *parameter.secondary_opts]) + _values(parameter)


def _is_option(parameter: Any) -> bool:
    return bool(parameter.opts[0].startswith("-"))


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name.upper()) + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _values(parameter: Any) -> str:
    """The words that an option takes, where it takes only those."""
    annotation = parameter.type_descriptor.annotation
    choices = [part for part in (annotation, *get_args(annotation)) if get_origin(part) is Literal]
    words = get_args(choices[0]) if choices else ()
    return (
        f" {_cell('|'.join(words))}" if words else f" {_cell(parameter.metavar)}" if parameter.metavar else ""
    )


def _default(parameter: Any) -> str:
    shown, value = parameter.show_default, parameter.default
    if isinstance(shown, str):
        return _cell(shown)
    if shown is False or value is None or value is False or parameter.required:
        return ""
    return _cell(str(value).lower() if isinstance(value, bool) else str(value))


def _text(text: str | None) -> str:
    return " ".join((text or "").split())


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
