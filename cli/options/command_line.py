"""Tests of typed lines: questions without a command, words of other tools, errors in our own form."""

from __future__ import annotations

import difflib
import shlex
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from typer.exceptions import TyperException

from adascale.engine.errors import UsageError, excerpt

from ..terminal.console import short_path
from .config_file import config_path
from .help import LayeredCommand

if TYPE_CHECKING:
    from typer._click import Context

_ROOT_OPTIONS = {"-h", "--help", "-V", "--version", "--install-completion", "--show-completion"}

_ASK = 'adascale "your question"'
_KEEP = "nothing stays loaded between commands; adascale serve keeps a model loaded, and Ctrl-C stops it"
_ELSEWHERE = {
    "run": f"adascale chat -m NAME, or {_ASK} -m NAME; ollama:NAME is a model of Ollama",
    "start": "adascale serve",
    "ps": _KEEP,
    "stop": _KEEP,
    "cp": "a GGUF file needs no import: -m ./model.gguf",
    "create": "a GGUF file needs no import: -m ./model.gguf",
    "ls": "adascale list",
    "get": "adascale pull NAME",
    "download": "adascale pull NAME",
    "install": "adascale pull NAME",
    "delete": "adascale rm NAME",
    "remove": "adascale rm NAME",
    "uninstall": "adascale rm NAME",
    "info": "adascale show NAME",
    "prompt": _ASK,
    "generate": _ASK,
    "solve": _ASK,
    "logs": "adascale runs list",
    "history": "adascale runs list",
    "keys": "no key is needed: models run on this machine",
    "web": "adascale serve, which has a page for a browser",
    "ui": "adascale serve, which has a page for a browser",
    "bench": "adascale eval FILE",
    "benchmark": "adascale eval FILE",
    "settings": "adascale config show",
    "set": "adascale config set KEY VALUE",
    "version": "adascale --version",
}
"""Commands of ollama, llm and other tools, and what does the same here."""

_SIGNS = frozenset("?!*+=")
"""Signs that no command has: with one of them a single word is a question."""


def with_ask(args: Sequence[str], commands: Collection[str]) -> list[str]:
    """The words behind ``adascale``; a question gets ``ask``, and ``help ask`` is ``ask -h``.

    Args:
        args: The words. A question is one word that holds a space or a sign, one that stands alone and is no
            mistyped command, or what stands behind options of ``ask``.
        commands: Names of the commands.
    """
    if not args or args[0] in commands:
        return list(args)
    if args[0] == "help":
        return [*(word for word in args[1:2] if word in commands), "-h"]
    if args[0].startswith("-"):
        is_question = args[0] not in _ROOT_OPTIONS and not any(word in commands for word in args)
    elif len(args[0].split()) > 1 or _SIGNS & set(args[0]):
        is_question = True
    else:
        is_alone = not args[1:] or args[1].startswith("-")
        is_question = is_alone and args[0] not in _ELSEWHERE and not _near(args[0], commands)
    return ["ask", *args] if is_question else list(args)


def _near(word: str, commands: Collection[str]) -> Sequence[str]:
    """The command that a word is nearest to; none for a word as short as ``hi``."""
    return difflib.get_close_matches(word, commands, 1) if len(word) > 2 else []


def unknown_command(words: Sequence[str], commands: Collection[str]) -> UsageError:
    """The error for words that begin with no command: what does the same here, or how to ask them."""
    word = words[0]
    near = _near(word, commands)
    is_sentence = len(words) > 2 and not any(each.startswith("-") for each in words)
    if word in _ELSEWHERE:
        hint = _ELSEWHERE[word]
    elif near and not is_sentence:
        hint = f"did you mean adascale {near[0]}?"
    else:
        hint = f"adascale {shlex.quote(' '.join(words))} asks it; adascale -h lists the commands"
    return UsageError(f"{excerpt(word, 80)} is no command", hint=hint)


def usage_error(error: TyperException) -> UsageError:
    """An error of Typer's as one of ours: what is wrong with which option, and a fix."""
    context: Context | None = getattr(error, "ctx", None)
    path = context.command_path if context is not None else ""
    layer = "--help-all" if context is not None and isinstance(context.command, LayeredCommand) else "-h"
    listing = f"{path or 'adascale'} {layer} shows what there is"
    parameter = getattr(error, "param", None)
    name = getattr(error, "option_name", None) or _name(parameter)
    text = error.format_message()
    match type(error).__name__:
        case "NoSuchOption" if " " not in path and not difflib.get_close_matches(name, _ROOT_OPTIONS, 1, 0.8):
            hint = f'options stand behind the command: adascale ask "your question" {name}'
            return UsageError(f"{path} has no option {name}", hint=hint)
        case "NoSuchOption":
            near = getattr(error, "possibilities", None) or ()
            hint = _did_you_mean(near) or _behind_dashes(path, name) or listing
            return UsageError(f"{path} has no option {name}", hint=hint)
        case "MissingParameter":
            return UsageError(f"{name} is missing", hint=_example(context) or listing)
        case "BadOptionUsage":
            needs = "takes no value" if "does not take" in text else "needs a value"
            return UsageError(f"{name} {needs}", hint=listing)
        case "BadParameter":
            choices = getattr(getattr(parameter, "type_descriptor", None), "choices", None) or ()
            near = difflib.get_close_matches(str(_fault(error).get("input", "")), map(str, choices), 1)
            where = _origin(context, parameter, name)
            return UsageError(f"{where} {reason(error)}", hint=_did_you_mean(near) or listing)
    if text.startswith("Got unexpected extra argument"):
        words = text.partition(" (")[2].removesuffix(")")
        typed = {} if context is None else context.params
        size = str(typed.get("question", words))
        hint = 'quotes keep words together: "..."'
        if typed.get("continue_") and size.isdecimal():
            hint = f"--ctx-size {size} sets the context; -c continues the last conversation"
        elif context is not None and _takes_only_a_model(context):
            hint = f"{path} -m {words}"
        return UsageError(f"{path} takes no more words, and got: {words}", hint=hint)
    if text.startswith("No such command"):
        _, word, suggested = text.split("'", 2)
        near = suggested.split("'")[1:2]
        if path.endswith(" config") and word in ("get", "list", "ls"):
            near = ["adascale config show"]
        return UsageError(f"{path} has no command {word}", hint=_did_you_mean(near) or listing)
    return UsageError(text[:1].lower() + text[1:].rstrip("."), hint=listing)


def _origin(context: Context | None, parameter: Any, name: str) -> str:
    """The place of a value: the flag, or the variable or the file that sets it."""
    source = None if context is None or parameter is None else context.get_parameter_source(parameter.name)
    match source and source.name:
        case "ENVIRONMENT":
            return f"{parameter.envvar}:"
        case "DEFAULT_MAP":
            return f"{name.lstrip('-')} in {short_path(config_path())}:"
    return name


def reason(error: TyperException) -> str:
    """The reason why a value is refused, behind the name of its option: ``hihg is not one of low, high``."""
    fault = _fault(error)
    value = excerpt(str(fault.get("input", "")), 40) or '""'
    limits = fault.get("ctx", {})
    match fault.get("type"):
        case "int_parsing" | "int_from_float" | "int_type":
            return f"{value} is not a whole number"
        case "float_parsing" | "float_type":
            return f"{value} is not a number"
        case "bool_parsing" | "bool_type":
            return f"{value} is neither true nor false"
        case "greater_than_equal":
            return f"{value} is less than {limits['ge']}"
        case "less_than_equal":
            return f"{value} is more than {limits['le']}"
    return error.message.removeprefix("Value error, ").rstrip(".").replace("'", "")


def _fault(error: TyperException) -> dict[str, Any]:
    """The first fault that pydantic, which Typer reads values with, has found; empty for another error."""
    found = getattr(error.__cause__, "errors", None)
    return found()[0] if found is not None else {}


def _name(parameter: Any) -> str:
    """A parameter as it is typed: the long name of an option, or an argument as the usage line has it."""
    if parameter is None:
        return ""
    is_option = parameter.opts[0].startswith("-")
    return str(parameter.opts[0] if is_option else parameter.metavar or parameter.name.upper())


def _takes_only_a_model(context: Context) -> bool:
    """True for a command that has an option for a model and no argument, such as ``chat``."""
    names = [name for parameter in context.command.params for name in parameter.opts]
    return "--model" in names and all(name.startswith("-") for name in names)


def _did_you_mean(near: Sequence[str]) -> str:
    return f"did you mean {near[0]}?" if near else ""


def _behind_dashes(path: str, name: str) -> str:
    """How to type a text that was read as the option ``name``, for its dash; empty if there is none."""
    texts = (word for word in sys.argv if word.startswith(name.strip()) and " " in word.partition("=")[0])
    command = path.rpartition(" ")[2]
    before = "adascale" if command == "ask" else f"adascale {command}"
    return next((f"{before} -- {shlex.quote(text)}" for text in texts), "")


def _example(context: Context | None) -> str:
    """The first example in a command's help; empty if it has none."""
    help_text = context.command.help if context is not None else None
    lines = (line.strip() for line in (help_text or "").splitlines())
    return next((line for line in lines if line.startswith("adascale ")), "")
