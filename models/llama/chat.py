"""Turns a question into prompt tokens with the model's own chat template.

The template is rendered once for each system prompt, around a placeholder. The question is tokenized without
control tokens and takes the placeholder's place, so a question that contains ``<|im_end|>`` is plain text.
Conversations are rendered whole, with a placeholder for each turn. The model continues the assistant's turn
token by token; a reply is never rendered again. Requests with tools use the template's own form if it shows
everything; otherwise the tools stand in the system prompt, and calls and their results become texts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from adascale.engine.errors import ModelCorruptError, TemplateRaisedError, UsageError
from adascale.engine.tools.calls import ToolRequest, below_system, in_words
from adascale.engine.types import Notice, Turn

from .model import LlamaModel
from .templates import Message, other_model, render, shows_system
from .thinking import Thinking

PLACEHOLDER = "ADASCALE-QUESTION-7c1f"
"""Stands for the question while a template is rendered."""

_SLOT = "ADASCALE-TEXT-{}-7c1f"
_ANY_SLOT = re.compile(_SLOT.format(r"(\d+)"))


class ChatFormat:
    """Prompt tokens of one system prompt: a constant head, the question, a constant tail.

    Args:
        model: The model with the template.
        system: The system prompt; empty for none.
        opening: Prefilled beginning of every answer; it counts as part of the answer.
        thinking: How to ask for thoughts; None if the model does not think.
        chat_system: The system prompt of chat messages; empty for none.

    Attributes:
        head: Tokens before the question, shared by all questions.
        tail: Tokens behind it, up to the assistant's turn and the thought or the opening in it.
        thoughts: How thoughts begin and end; None if the model does not think.
        think_tokens: Most tokens of the thoughts of one solution; 0 if the model does not think.
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
        """All prompt tokens of a question and the conversation before it.

        System turns stand below the system prompt. Consecutive turns of one role are merged, since some
        templates refuse them.

        Args:
            question: The question.
            history: The conversation.
            is_chat: The question is a chat message, below ``chat_system``.

        Raises:
            UsageError: the template does not show all turns.
            ModelCorruptError: the vocabulary has no token for any character of the question.
        """
        head = self.head
        if history or is_chat:
            texts = Texts(self._model)
            turns = [(turn.role, texts.slot(turn.content.strip())) for turn in history]
            system = self._chat_system if is_chat else self._system
            system, messages = below_system(system, [*turns, ("user", PLACEHOLDER)])
            before, *behind = self._rendered(system, messages, texts).split(PLACEHOLDER)
            if len(behind) != 1:
                raise self._bad_conversation()
            head = texts.tokens(before)
        tokens = self._model.tokenize(question.strip(), special=False, follows=bool(head))
        if not tokens:
            text = f"the vocabulary of {self._model.name} cannot spell the question"
            raise ModelCorruptError(text, hint=other_model())
        return (*head, *tokens, *self.tail)

    def notices(self) -> list[Notice]:
        """The warning about a missing template."""
        if self._model.info.chat_template:
            return []
        text = f"{self._model.name} has no chat template: it reads prompts as plain paragraphs"
        return [Notice("no-template", text, hint=other_model())]

    def sha256(self) -> str:
        """Digest of the prompt around a question, for calibrations and stored draws."""
        parts = [self.head, self.tail]
        if self.thoughts is not None and self.thoughts.is_open:
            parts += [self.thoughts.cut, self.thoughts.lead]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _rendered(self, system: str, messages: Sequence[Message], texts: Texts) -> str:
        """The rendered conversation with all of these texts.

        Raises:
            UsageError: the template refuses the conversation, or leaves out a text.
        """
        with suppress(TemplateRaisedError):
            rendered = self._render(system, messages)
            if texts.are_in(rendered, len(texts.texts)):
                return rendered
        raise self._bad_conversation()

    def _bad_conversation(self) -> UsageError:
        return UsageError(
            f"the chat template of {self._model.name} has no place for these messages",
            hint="let turns of user and assistant alternate, the user's first and last",
            slug="bad-conversation",
        )

    def _render(self, system: str, messages: Sequence[Message], **more: Any) -> str:
        """Messages below a system prompt, up to the assistant's turn and the thought in it.

        If the template ignores system prompts, it stands at the beginning of the first message.
        """
        if system and self._shows_system:
            messages = [{"role": "system", "content": system}, *messages]
        elif system:
            first, *others = messages
            messages = [{**first, "content": f"{system}\n\n{first['content']}"}, *others]
        if self._thinking is None:
            return render(self._model, messages, **more)
        return self._thinking.render(self._model, messages, **more)


class Texts:
    """Texts of a conversation: rendered as slots, tokenized without control tokens."""

    def __init__(self, model: LlamaModel) -> None:
        self._model = model
        self.texts: list[str] = []

    def slot(self, text: str) -> str:
        """A new slot for a text."""
        self.texts.append(text)
        return _SLOT.format(len(self.texts) - 1)

    def safe(self, value: Any) -> Any:
        """A JSON value with slots in the place of texts that contain control tokens or slots."""
        match value:
            case str():
                plain, special = (self._model.tokenize(value, special=special) for special in (False, True))
                is_safe = plain == special and not _ANY_SLOT.search(value)
                return value if is_safe else self.slot(json.dumps(value, ensure_ascii=False)[1:-1])
            case dict():
                return {self.safe(key): self.safe(item) for key, item in value.items()}
            case list():
                return [self.safe(item) for item in value]
            case _:
                return value

    def are_in(self, rendered: str, count: int) -> bool:
        """True if the rendered text has each of the first ``count`` slots."""
        return all(_SLOT.format(n) in rendered for n in range(count))

    def tokens(self, rendered: str) -> tuple[int, ...]:
        """Tokens of a rendered conversation with its texts in their slots."""
        tokens: list[int] = []
        for n, part in enumerate(_ANY_SLOT.split(rendered)):
            text = self.texts[int(part)] if n % 2 else part
            tokens += self._model.tokenize(text, special=not n % 2, follows=bool(tokens))
            if not n:
                tokens = list(with_bos(self._model, tokens))
        return tuple(tokens)


def with_bos(model: LlamaModel, tokens: Sequence[int]) -> tuple[int, ...]:
    """The tokens of a prompt behind the model's BOS, if it has one."""
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
            UsageError: the template does not show all messages.
        """
        tools = [tool.record for tool in request.tools.values()] if with_tools else []
        messages = [dict(message) for message in request.messages if message["role"] != "system"]
        systems = [message["content"] for message in request.messages if message["role"] == "system"]
        system = "\n\n".join(filter(None, [self._system, *systems]))
        if behind:
            messages[-1]["content"] = f"{messages[-1]['content']}\n\n{behind}"
        with suppress(TemplateRaisedError):
            native = self._native(system, messages, tools)
            if native is not None:
                return native
        texts = Texts(self._model)
        listed = GENERIC_PROMPT.format(tools="\n".join(map(json.dumps, tools))) if tools else ""
        system = "\n\n".join(filter(None, [system, listed]))
        turns = [{**turn, "content": texts.slot(turn["content"])} for turn in in_words(messages)]
        return texts.tokens(self._rendered(system and texts.slot(system), turns, texts))

    def _native(
        self, system: str, messages: Sequence[Message], tools: Sequence[Message]
    ) -> tuple[int, ...] | None:
        """The prompt in the template's own form of tools; None if the template does not show all of it."""
        texts = Texts(self._model)
        system = system and texts.slot(system)
        turns = [_with_slots(message, texts) for message in messages]
        texts_needed = len(texts.texts)
        names = [tool["function"]["name"] for tool in tools]
        names += [call["function"]["name"] for turn in messages for call in (turn.get("tool_calls") or ())]
        variables = {"tools": [texts.safe(tool) for tool in tools]} if tools else {}
        rendered = self._render(system, turns, **variables)
        is_complete = texts.are_in(rendered, texts_needed)
        is_complete = is_complete and all(rendered.count(name) >= names.count(name) for name in names)
        if tools and rendered == self._render(system, turns):  # a tool may have the name of a role
            return None
        return texts.tokens(rendered) if is_complete else None


def _with_slots(message: Message, texts: Texts) -> Message:
    """A message for a template: its content is a slot, its calls are objects."""
    turn = {name: texts.safe(value) for name, value in {**message, "content": ""}.items()}
    if message["content"]:
        turn["content"] = texts.slot(message["content"].strip())
    return turn
