"""Turns a question into prompt tokens with the model's own chat template.

The template is rendered once for each system prompt, around a placeholder. A question is tokenized with
control tokens off and put in its place, so a question that contains ``<|im_end|>`` is text. The assistant
turn is opened by the template and continued token by token, never rendered again. Messages of a chat, and
questions with a conversation before them, are rendered by themselves, around a placeholder for each turn; a
text that is only continued is not rendered. Requests with tools are rendered by the template where it knows
tools and loses no message; else they get a generic prompt, with the tools in the system prompt, and calls and
their results as texts of assistant and user.

A template is a program from a stranger's file. Jinja's immutable sandbox keeps it from Python's objects, but
not from loops without end, strings of gigabytes and powers of a million digits. So a child process renders
every template, within limits that the kernel holds. A template that leaves Jinja's sandbox, as some could in
earlier versions, finds itself in a process that, on Linux, may open no connection, start no program and read
Python's own files alone. The child imports this module, so nothing here imports llama.cpp.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from adascale.engine.errors import (
    ModelCorruptError,
    TemplateRaisedError,
    UsageError,
    command,
    excerpt,
)
from adascale.engine.tools.calls import ToolRequest, below_system, in_words
from adascale.engine.types import Notice, Turn

from ..limited_child import CPU_SECONDS, ChildEndedError, LimitedChild, serve

if TYPE_CHECKING:
    from jinja2 import Template

    from .model import LlamaModel
    from .thinking import Thinking

Message = Mapping[str, Any]

PLACEHOLDER = "ADASCALE-QUESTION-7c1f"
"""Placeholder of a question while a template is cut around it."""

_PLAIN = "{% for m in messages %}{{ m.content }}\n\n{% endfor %}"
"""Template of a model without one: a paragraph for each message."""

_MEMORY_BYTES = 256 << 20
"""Address space of the child, on Linux alone; 27 MB of it are the interpreter with Jinja."""

_GENERATION = re.compile(r"(\{%[-+]?\s*)(end)?generation\b")

_CHILD = "from adascale.models.llama.chat import serve_templates; serve_templates()"


def prepare() -> None:
    """Start the child while there is something else to wait for: it takes .1 s."""
    _child.prepare()


def render(model: LlamaModel, messages: Sequence[Message], **variables: Any) -> str:
    """Render messages, with an open turn of the assistant behind, as transformers does.

    Args:
        model: Has the template.
        messages: The conversation, with ``role`` and ``content``.
        variables: Further variables of the template, such as its tools and its switch for thinking.

    Raises:
        TemplateRaisedError: the template raised an error.
        ModelCorruptError: it passed a limit, or crashed the interpreter (``bad-template``).
    """
    given = {
        "messages": list(messages),
        "add_generation_prompt": True,
        **model.special_texts,
        **variables,
    }
    try:
        text, raised = _child.ask([model.info.chat_template or _PLAIN, given])
    except ChildEndedError as ended:
        raise ModelCorruptError(
            f"the chat template of {model.name} takes more than {CPU_SECONDS:g} s of processor time or "
            f"{_MEMORY_BYTES >> 20} MB of memory, or crashes the process that renders it",
            hint=other_model(),
            slug="bad-template",
        ) from ended
    if raised is not None:
        raise TemplateRaisedError(
            f"the chat template of {model.name} cannot be rendered: {excerpt(raised)}", hint=other_model()
        )
    return str(text)


def shows_system(model: LlamaModel, system: str) -> bool:
    """True if the template has a place for a system prompt; some refuse the role, some leave it out."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "?"}]
    try:
        return system.strip() in render(model, messages)
    except TemplateRaisedError:
        return False


def other_model() -> str:
    """The hint of an error for which only another model helps."""
    return f"take the model from another repository, or a known one: {command('list')}"


_child = LimitedChild(_CHILD, "renders chat templates", "jinja2")


def serve_templates() -> None:
    """The child's life: ``[text, null]`` or ``[null, what it raised]`` for a template and its variables."""
    _reply([_PLAIN, {"messages": []}])
    give_up_rights()
    serve(_reply)


def give_up_rights() -> None:
    """Limit memory, and allow no connection, program or file but what Jinja imports, where kernels can."""
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
        os._exit(1)  # the next request starts the child afresh
    except Exception as raised:  # whatever a program from a file raises
        return None, str(raised)


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
    # As transformers has it: that of Jinja sorts keys, and spells ``<`` and quotes for HTML.
    env.filters["tojson"] = functools.partial(json.dumps, ensure_ascii=False)
    # No date: a prompt that changes daily would have no calibration.
    env.globals.update(raise_exception=refuse, strftime_now=lambda _format: "")
    # By {% generation %} trainers find what the assistant said; its contents are rendered as they are.
    source = _GENERATION.sub(lambda tag: f"{tag[1]}{'endif' if tag[2] else 'if true'}", source)
    return env.from_string(source)


_SLOT = "ADASCALE-TEXT-{}-7c1f"
_ANY_SLOT = re.compile(_SLOT.format(r"(\d+)"))


class ChatFormat:
    """Prompt tokens of one system prompt: a constant head, the question, a constant tail.

    Args:
        model: Has the template.
        system: The system prompt; empty for none.
        opening: Beginning of every answer: it is put into the model's mouth, and is part of what it wrote.
        thinking: How to ask for thoughts; None if the model knows none.
        chat_system: The system prompt of messages that are no questions; empty for no prompt.

    Attributes:
        head: Tokens before the question, shared by all questions.
        tail: Tokens behind it, up to the open assistant turn and the thought or the opening in it.
        thoughts: How thoughts begin and end; None if the model knows none.
        think_tokens: Tokens that the thoughts of one trajectory may have; 0 if the model knows none.
    """

    def __init__(
        self,
        model: LlamaModel,
        system: str,
        opening: str = "",
        thinking: Thinking | None = None,
        chat_system: str = "",
    ) -> None:
        self._model = model
        self._thinking = thinking
        self.think_tokens = 0 if thinking is None else thinking.budget
        self._system, self._chat_system = system, chat_system
        self._shows_system = shows_system(model, system or "Be brief.")
        before, *rest = self._render(system, [{"role": "user", "content": PLACEHOLDER}]).split(PLACEHOLDER)
        if len(rest) != 1:
            raise ModelCorruptError(
                f"the chat template of {model.name} does not show the question exactly once",
                hint=other_model(),
                slug="bad-template",
            )
        [behind] = rest
        self.thoughts = None if thinking is None else thinking.form(model, behind, opening)
        self.opening = opening
        if self.thoughts is None or not self.thoughts.is_open:
            behind += opening
        self.head = with_bos(model, model.tokenize(before, special=True))
        self.tail = tuple(model.tokenize(behind, special=True, follows=True))

    def prompt(
        self, question: str, history: Sequence[Turn] = (), *, is_chat: bool = False
    ) -> tuple[int, ...]:
        """All prompt tokens of a question, and of the conversation before it.

        System turns stand below the system prompt. Turns of one role that follow each other are one, since
        some templates refuse them.

        Args:
            question: The question.
            history: The conversation.
            is_chat: It is a message that is no question, below nothing that asks for an answer.

        Raises:
            UsageError: the template has no place for these turns.
            ModelCorruptError: the vocabulary has no token for any character of the question.
        """
        head = self.head
        if history or is_chat:
            texts = Texts(self._model)
            said = [(turn.role, texts.slot(turn.content.strip())) for turn in history]
            system = self._chat_system if is_chat else self._system
            system, messages = below_system(system, [*said, ("user", PLACEHOLDER)])
            before, *behind = self._shown(system, messages, texts).split(PLACEHOLDER)
            if len(behind) != 1:
                raise self._no_place()
            head = texts.tokens(before)
        asked = self._model.tokenize(question.strip(), special=False, follows=bool(head))
        if not asked:
            text = f"the vocabulary of {self._model.name} cannot spell the question"
            raise ModelCorruptError(text, hint=other_model())
        return (*head, *asked, *self.tail)

    def notices(self) -> list[Notice]:
        """The warning about a missing template."""
        if self._model.info.chat_template:
            return []
        text = f"{self._model.name} has no chat template: it reads prompts as plain paragraphs"
        return [Notice("no-template", text, hint=other_model())]

    def sha256(self) -> str:
        """Digest of the prompt around a question, by which calibrations and kept draws know it."""
        parts = [self.head, self.tail]
        if self.thoughts is not None and self.thoughts.is_open:
            parts += [self.thoughts.cut, self.thoughts.lead]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _shown(self, system: str, messages: Sequence[Message], texts: Texts) -> str:
        """The rendered conversation, which shows all of these texts.

        Raises:
            UsageError: it does not, or the template refuses the conversation.
        """
        with suppress(TemplateRaisedError):
            rendered = self._render(system, messages)
            if texts.are_in(rendered, len(texts.texts)):
                return rendered
        raise self._no_place()

    def _no_place(self) -> UsageError:
        return UsageError(
            f"the chat template of {self._model.name} has no place for these messages",
            hint="let turns of user and assistant alternate, the user's first and last",
            slug="bad-conversation",
        )

    def _render(self, system: str, messages: Sequence[Message], **more: Any) -> str:
        """Messages below a system prompt, up to the open assistant turn and the thought in it.

        The prompt is put into the first message if the template has no place for it.
        """
        if system and self._shows_system:
            messages = [{"role": "system", "content": system}, *messages]
        elif system:
            first, *others = messages
            messages = [{**first, "content": f"{system}\n\n{first['content']}"}, *others]
        thinking = self._thinking
        if thinking is None:
            return render(self._model, messages, **more)
        text = render(self._model, messages, **thinking.variables(), **more)
        return thinking.finish_prompt(text)


class Texts:
    """Texts of a conversation, which are rendered as slots and tokenized without control tokens."""

    def __init__(self, model: LlamaModel) -> None:
        self._model = model
        self.texts: list[str] = []

    def slot(self, text: str) -> str:
        """The slot of a text."""
        self.texts.append(text)
        return _SLOT.format(len(self.texts) - 1)

    def safe(self, value: Any) -> Any:
        """A JSON value in which texts that spell control tokens, or slots, are slots."""
        match value:
            case str():
                plain, read = (self._model.tokenize(value, special=special) for special in (False, True))
                is_safe = plain == read and not _ANY_SLOT.search(value)
                return value if is_safe else self.slot(json.dumps(value, ensure_ascii=False)[1:-1])
            case dict():
                return {self.safe(key): self.safe(each) for key, each in value.items()}
            case list():
                return [self.safe(each) for each in value]
            case _:
                return value

    def are_in(self, rendered: str, first: int) -> bool:
        """True if each of the first texts is shown."""
        return all(_SLOT.format(n) in rendered for n in range(first))

    def tokens(self, rendered: str) -> tuple[int, ...]:
        """Tokens of a rendered conversation, and of its texts in their slots."""
        tokens: list[int] = []
        for n, part in enumerate(_ANY_SLOT.split(rendered)):
            text = self.texts[int(part)] if n % 2 else part
            tokens += self._model.tokenize(text, special=not n % 2, follows=bool(tokens))
            if not n:
                tokens = list(with_bos(self._model, tokens))
        return tuple(tokens)


def with_bos(model: LlamaModel, tokens: Sequence[int]) -> tuple[int, ...]:
    """The tokens of a prompt, with the BOS that every sequence of the model begins with."""
    if model.bos is not None and (not tokens or tokens[0] != model.bos):
        return (model.bos, *tokens)
    return tuple(tokens)


GENERIC_PROMPT = (
    "You may call one or more of these functions to help with the user's request:\n\n{tools}\n\n"
    'To call one, reply with JSON only: {{"name": "NAME", "arguments": {{...}}}}. '
    "Reply in words where no function is made for the request, or where it lacks what the function needs."
)
"""System prompt for templates without tools."""


class ToolFormat(ChatFormat):
    """Prompts of conversations with tools, below the user's own system prompt if there is one."""

    def request_prompt(self, request: ToolRequest, *, with_tools: bool, behind: str = "") -> tuple[int, ...]:
        """All prompt tokens of a request.

        Args:
            request: The conversation and its tools.
            with_tools: Show the tools.
            behind: Text to add to the last message.

        Raises:
            UsageError: the template has no place for these messages.
        """
        tools = [tool.record for tool in request.tools.values()] if with_tools else []
        spoken = [dict(each) for each in request.messages if each["role"] != "system"]
        systems = [each["content"] for each in request.messages if each["role"] == "system"]
        system = "\n\n".join(filter(None, [self._system, *systems]))
        if behind:
            spoken[-1]["content"] = f"{spoken[-1]['content']}\n\n{behind}"
        with suppress(TemplateRaisedError):
            native = self._native(system, spoken, tools)
            if native is not None:
                return native
        texts = Texts(self._model)
        listed = GENERIC_PROMPT.format(tools="\n".join(map(json.dumps, tools))) if tools else ""
        system = "\n\n".join(filter(None, [system, listed]))
        messages = [{**each, "content": texts.slot(each["content"])} for each in in_words(spoken)]
        return texts.tokens(self._shown(system and texts.slot(system), messages, texts))

    def _native(
        self, system: str, spoken: Sequence[Message], tools: Sequence[Message]
    ) -> tuple[int, ...] | None:
        """The prompt as the template renders tools; None if it does not show all of it."""
        texts = Texts(self._model)
        system = system and texts.slot(system)
        shown = [_with_slots(each, texts) for each in spoken]
        needed = len(texts.texts)
        named = [tool["function"]["name"] for tool in tools]
        named += [call["function"]["name"] for each in spoken for call in (each.get("tool_calls") or ())]
        given = {"tools": [texts.safe(tool) for tool in tools]} if tools else {}
        rendered = self._render(system, shown, **given)
        is_complete = texts.are_in(rendered, needed)
        is_complete = is_complete and all(rendered.count(name) >= named.count(name) for name in named)
        if tools and rendered == self._render(system, shown):  # a tool may be called "user", as a turn is
            return None
        return texts.tokens(rendered) if is_complete else None


def _with_slots(message: Message, texts: Texts) -> Message:
    """A message for a template: its content is a slot, its calls are objects."""
    shown = {name: texts.safe(each) for name, each in {**message, "content": ""}.items()}
    if message["content"]:
        shown["content"] = texts.slot(message["content"].strip())
    return shown
