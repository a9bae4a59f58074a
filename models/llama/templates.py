"""Renders a model's chat template in a child process.

A template is a program from a stranger's file. Jinja's immutable sandbox protects Python's objects, but not
from endless loops, strings of gigabytes and powers of a million digits. So a child process renders every
template, within limits that the kernel enforces. A template that escapes Jinja's sandbox, as some could in
earlier versions, can open no connection, start no program and read only Python's own files (Linux). The child
imports this module, so it imports no llama.cpp.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from adascale.engine.errors import ModelCorruptError, TemplateRaisedError, command, excerpt

from ..limited_child import CPU_SECONDS, ChildEndedError, LimitedChild, serve

if TYPE_CHECKING:
    from jinja2 import Template

    from .model import LlamaModel

Message = Mapping[str, Any]

_PLAIN = "{% for m in messages %}{{ m.content }}\n\n{% endfor %}"
"""Template of a model without one: a paragraph for each message."""

_MEMORY_BYTES = 256 << 20
"""Address space of the child, on Linux only; the interpreter with Jinja takes 27 MB of it."""

_GENERATION = re.compile(r"(\{%[-+]?\s*)(end)?generation\b")


def render(model: LlamaModel, messages: Sequence[Message], **variables: Any) -> str:
    """Render messages and the beginning of the assistant's turn, as transformers does.

    Args:
        model: The model with the template.
        messages: The conversation, with ``role`` and ``content``.
        variables: Further variables of the template, such as its tools and its switch for thinking.

    Raises:
        TemplateRaisedError: the template raised an error.
        ModelCorruptError: it exceeded a limit, or crashed the interpreter (``bad-template``).
    """
    variables = {
        "messages": list(messages),
        "add_generation_prompt": True,
        **model.special_texts,
        **variables,
    }
    try:
        text, error = _child.ask([model.info.chat_template or _PLAIN, variables])
    except ChildEndedError as ended:
        raise ModelCorruptError(
            f"the chat template of {model.name} takes more than {CPU_SECONDS:g} s of processor time or "
            f"{_MEMORY_BYTES >> 20} MB of memory, or crashes the process that renders it",
            hint=other_model(),
            slug="bad-template",
        ) from ended
    if error is not None:
        raise TemplateRaisedError(
            f"the chat template of {model.name} cannot be rendered: {excerpt(error)}", hint=other_model()
        )
    return str(text)


def shows_system(model: LlamaModel, system: str) -> bool:
    """False if the template refuses or ignores a system prompt."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "?"}]
    try:
        return system.strip() in render(model, messages)
    except TemplateRaisedError:
        return False


def other_model() -> str:
    """Hint of an error that only another model solves."""
    return f"use the model from another repository, or one of: {command('list')}"


_child = LimitedChild(
    "from adascale.models.llama.templates import serve_templates; serve_templates()",
    "renders chat templates",
    "jinja2",
)

prepare = _child.prepare
"""Start the child, which takes .1 s, while this process loads the model."""


def serve_templates() -> None:
    """Main loop of the child: reply ``[text, null]`` or ``[null, error]`` to each template and variables."""
    _reply([_PLAIN, {"messages": []}])
    give_up_rights()
    serve(_reply)


def give_up_rights() -> None:
    """Limit memory, and deny connections, programs and files except Jinja's imports, if the kernel can."""
    if sys.platform == "win32":
        return
    import resource

    import jinja2

    from ..programs import confine

    confine.lower_limit(resource.RLIMIT_AS, _MEMORY_BYTES)
    confine.lower_limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        with suppress(OSError):
            confine.restrict_files([*map(sysconfig.get_path, ("stdlib", "platstdlib")), *jinja2.__path__])
        with suppress(OSError):
            confine.restrict_calls()


def _reply(request: Any) -> tuple[str | None, str | None]:
    source, variables = request
    try:
        return _compiled(source).render(**variables), None
    except MemoryError:
        os._exit(1)  # the next request starts a new child
    except Exception as error:  # a template can raise anything
        return None, str(error)


@functools.lru_cache(maxsize=2)
def _compiled(source: str) -> Template:
    """The template, compiled once for all conversations; a session has a generator's and a PRM's."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> Any:
        raise TemplateError(message)

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    # As in transformers: Jinja's own filter sorts keys, and escapes ``<`` and quotes for HTML.
    env.filters["tojson"] = functools.partial(json.dumps, ensure_ascii=False)
    # No date: calibrations belong to a prompt, which must not change daily.
    env.globals.update(raise_exception=refuse, strftime_now=lambda _format: "")
    # {% generation %} marks the assistant's text for training; its contents are rendered as they are.
    source = _GENERATION.sub(lambda tag: f"{tag[1]}{'endif' if tag[2] else 'if true'}", source)
    return env.from_string(source)
