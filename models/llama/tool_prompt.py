"""Prompts of requests with tools: the model's own template renders them where it can.

A template that knows no tools, or loses a message, gets a generic prompt: the tools in the system prompt,
calls and their results as texts of assistant and user.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from adascale.engine.errors import TemplateRaisedError
from adascale.engine.tools.calls import ToolRequest, in_words

from .chat import ChatFormat, Message, Texts

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
        native = self._native(system, spoken, tools)
        return native if native is not None else self._generic(system, spoken, tools)

    def _native(
        self, system: str, spoken: Sequence[Message], tools: Sequence[Message]
    ) -> tuple[int, ...] | None:
        """The prompt as the template renders tools; None if it does not show all of it."""
        texts = Texts(self._model)
        messages = [{"role": "system", "content": system}, *spoken] if system else spoken
        shown = [_with_slots(each, texts) for each in messages]
        needed = len(texts.texts)
        named = [tool["function"]["name"] for tool in tools]
        named += [call["function"]["name"] for each in spoken for call in each.get("tool_calls", ())]
        given = {"tools": [texts.safe(tool) for tool in tools]} if tools else {}
        try:
            rendered = self._render(shown, **given)
            if tools and rendered == self._render(shown):  # a tool may be called "user", as a turn is
                return None
        except TemplateRaisedError:
            return None
        is_complete = texts.are_in(rendered, needed)
        is_complete = is_complete and all(rendered.count(name) >= named.count(name) for name in named)
        return self._tokens(rendered, texts) if is_complete else None

    def _generic(self, system: str, spoken: Sequence[Message], tools: Sequence[Message]) -> tuple[int, ...]:
        """The prompt for a template without tools."""
        texts = Texts(self._model)
        listed = GENERIC_PROMPT.format(tools="\n".join(map(json.dumps, tools))) if tools else ""
        system = "\n\n".join(filter(None, [system, listed]))
        messages = self._with_system(system, in_words(spoken))
        try:
            rendered = self._render([{**each, "content": texts.slot(each["content"])} for each in messages])
        except TemplateRaisedError as exc:
            raise self._no_place() from exc
        if not texts.are_in(rendered, len(texts.texts)):
            raise self._no_place()
        return self._tokens(rendered, texts)

    def _tokens(self, rendered: str, texts: Texts) -> tuple[int, ...]:
        """Tokens of a rendered conversation, with its thought opened or closed."""
        return texts.tokens(rendered if self._thinking is None else self._thinking.finish_prompt(rendered))


def _with_slots(message: Message, texts: Texts) -> dict[str, Any]:
    """A message for a template: its content is a slot, its calls are objects."""
    role, content = message["role"], message["content"]
    others = {name: each for name, each in message.items() if name not in ("role", "content")}
    return {
        "role": role,
        "content": texts.slot(content.strip()) if content else "",
        **texts.safe(others),
    }
