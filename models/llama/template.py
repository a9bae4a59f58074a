"""Chat templates, rendered in a process of their own: a template is a program from a stranger's file.

Jinja's immutable sandbox keeps it from Python's objects, but not from loops without end, strings of gigabytes
and powers of a million digits. So a child process renders every template, within limits that the kernel
holds. A template that leaves Jinja's sandbox, as some could in earlier versions, finds itself in a process
that, on Linux, may open no connection, start no program and read Python's own files alone.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from adascale.engine.errors import (
    ModelCorruptError,
    TemplateRaisedError,
    command,
    excerpt,
)

from ..limited_child import CPU_SECONDS, ChildEndedError, LimitedChild, serve

if TYPE_CHECKING:
    from jinja2 import Template

    from .runtime import LlamaModel

Message = Mapping[str, Any]

QUESTION = "ADASCALE-QUESTION-7c1f"
"""Placeholder of a question while a template is cut around it."""

_PLAIN = "{% for m in messages %}{{ m.content }}\n\n{% endfor %}"
"""Template of a model without one: a paragraph for each message."""

_MEMORY_BYTES = 256 << 20
"""Address space of the child, on Linux alone; 27 MB of it are the interpreter with Jinja."""

_OUT_OF_MEMORY = 70
"""Exit code of the child, which starts afresh then."""

_GENERATION = re.compile(r"(\{%[-+]?\s*)(end)?generation\b")

_CHILD = "from adascale.models.llama.template import serve_templates; serve_templates()"


def prepare() -> None:
    """Start the child while there is something else to wait for: it takes .1 s."""
    _child.prepare()


def render(model: LlamaModel, messages: Sequence[Message], *, open_assistant: bool, **variables: Any) -> str:
    """Render messages with the template of a model's file, in an environment as transformers has it.

    Args:
        model: Has the template.
        messages: The conversation, with ``role`` and ``content``.
        open_assistant: True to open the assistant's turn at the end.
        variables: Further variables of the template, such as its tools and its switch for thinking.

    Raises:
        TemplateRaisedError: the template raised an error.
        ModelCorruptError: it passed a limit, or crashed the interpreter (``bad-template``).
    """
    given = {
        "messages": list(messages),
        "add_generation_prompt": open_assistant,
        **model.special_texts,
        **variables,
    }
    try:
        text, raised = _child.ask([model.info.chat_template or _PLAIN, given])
    except ChildEndedError as ended:
        raise _end_error(model.name, ended) from ended
    if raised is not None:
        raise TemplateRaisedError(
            f"the chat template of {model.name} cannot be rendered: {excerpt(raised)}", hint=other_model()
        )
    return str(text)


def shows_system(model: LlamaModel, system: str) -> bool:
    """True if the template has a place for a system prompt; some refuse the role, some leave it out."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "?"}]
    try:
        return system.strip() in render(model, messages, open_assistant=True)
    except TemplateRaisedError:
        return False


def other_model() -> str:
    """The hint of an error for which only another model helps."""
    return f"take the model from another repository, or a known one: {command('list')}"


def _end_error(file: str, ended: ChildEndedError) -> ModelCorruptError:
    limit = f"{CPU_SECONDS:g} s of processor time" if ended.out_of_time else ""
    if ended.exit_code == _OUT_OF_MEMORY:
        limit = f"{_MEMORY_BYTES >> 20} MB of memory"
    how = f"signal {-ended.exit_code}" if ended.exit_code < 0 else f"exit code {ended.exit_code}"
    return ModelCorruptError(
        f"the chat template of {file} "
        + (f"takes more than {limit}" if limit else f"crashes the process that renders it ({how})"),
        hint=other_model(),
        slug="bad-template",
    )


_child = LimitedChild(_CHILD, "renders chat templates", "jinja2")


def serve_templates() -> None:
    """The child's life: ``[text, null]`` or ``[null, what it raised]`` for a template and its variables."""
    _reply(["{% for m in messages %}{{ m.content }}{% endfor %}", {"messages": []}])
    if sys.platform != "win32":
        import resource

        from ..programs import confine

        confine.lower_limit(resource.RLIMIT_AS, _MEMORY_BYTES)
        confine.lower_limit(resource.RLIMIT_CORE, 0)
    give_up_rights()
    serve(_reply)


def give_up_rights() -> None:
    """No connection, no program and no file but what Jinja imports, as far as this kernel can refuse them."""
    if sys.platform != "linux":
        return
    import jinja2

    from ..programs import confine, seccomp

    library, platform_library = sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")
    with suppress(OSError):
        confine.restrict_files([library, platform_library, os.path.dirname(jinja2.__file__)])
    with suppress(OSError, KeyError):
        confine.restrict_calls(seccomp.call_filter(platform.machine()))


def _reply(request: Any) -> tuple[str | None, str | None]:
    source, variables = request
    try:
        return _compiled(source).render(**variables), None
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    except Exception as raised:  # whatever a program from a file raises
        return None, str(raised)


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
    """The filter as transformers has it: that of Jinja sorts keys, and spells ``<`` and quotes for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **more)


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
    env.filters["tojson"] = _to_json
    # No date: a prompt that changes daily would have no calibration.
    env.globals.update(raise_exception=refuse, strftime_now=lambda _format: "")
    # By {% generation %} trainers find what the assistant said; its contents are rendered as they are.
    source = _GENERATION.sub(lambda tag: f"{tag[1]}{'endif' if tag[2] else 'if true'}", source)
    return env.from_string(source)
