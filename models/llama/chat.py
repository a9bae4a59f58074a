"""Turning a question into prompt tokens with the model's own chat template.

The template is rendered once per model around a placeholder. A question is tokenized with control tokens off
and put in its place, so a question that contains ``<|im_end|>`` is text. The assistant turn is opened
by the template and continued token by token, never rendered again. Only a question with a conversation before
it is rendered by itself, around a placeholder for each turn.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adascale.engine.errors import ModelCorruptError, TemplateRaisedError, UsageError
from adascale.engine.types import Turn

from .runtime import LlamaModel
from .template import Message, render_template
from .thought import CLOSING, ThoughtFormat

if TYPE_CHECKING:
    from .thinking import Thinking

_PLACEHOLDER = "ADASCALE-QUESTION-7c1f"
_TURN = "ADASCALE-TURN-{}-7c1f"
_ANY_PLACEHOLDER = re.compile(_TURN.format(r"(\d+)") + "|" + _PLACEHOLDER)
_PLAIN = "{% for m in messages %}{{ m.content }}\n\n{% endfor %}"


def render(model: LlamaModel, messages: Sequence[Message], *, open_assistant: bool, **variables: bool) -> str:
    """Render messages with the GGUF's template; one without a template writes a message a paragraph.

    Args:
        model: Has the template.
        messages: The conversation.
        open_assistant: Whether the assistant's turn begins at the end.
        variables: Further ones of the template, as its switch for thinking.

    Raises:
        ModelCorruptError: as ``render_template``.
    """
    return render_template(
        model.info.chat_template or _PLAIN,
        model.name,
        messages,
        add_generation_prompt=open_assistant,
        **model.special_texts,
        **variables,
    )


def shows_system(model: LlamaModel, system: str) -> bool:
    """Whether the template has a place for a system prompt; some refuse the role, some leave it out."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": _PLACEHOLDER}]
    try:
        return system.strip() in render(model, messages, open_assistant=True)
    except TemplateRaisedError:
        return False


class ChatFormat:
    """Prompt tokens of one system prompt: a constant head, the question, a constant tail.

    Args:
        model: Has the template.
        system: The system prompt.
        opening: How every answer begins: it is put into the model's mouth, and is part of what it wrote.
        thinking: How to ask for thoughts; None where the model knows none.
        chat_system: The system prompt of messages that are no questions; empty for none.

    Attributes:
        head: Tokens before the question, shared by all questions.
        tail: Tokens behind it, up to the open assistant turn and the thought or the opening in it.
        thoughts: How thoughts begin and end; None where the model knows none.
        adds_thought: Whether a thought is opened or closed in the prompt that the template left otherwise.
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
        self._system = system if thinking is None else thinking.system(system)
        self._chat_system = chat_system if thinking is None else thinking.system(chat_system)
        self._shows_system = shows_system(model, self._system)
        before, rendered = self._split_template()
        behind = rendered if thinking is None else thinking.finish_prompt(rendered)
        self.adds_thought = behind != rendered
        self.thoughts = None if thinking is None else _thought_format(model, thinking, behind, opening)
        if self.thoughts is None or not self.thoughts.is_open:
            behind += opening
        self.opening = opening
        self.head = _with_bos(model, model.tokenize(before, special=True))
        self.tail = tuple(model.tokenize(behind, special=True, follows=True))

    def prompt(self, question: str, history: Sequence[Turn] = ()) -> tuple[int, ...]:
        """All prompt tokens of a question, and of the conversation before it.

        Raises:
            UsageError: the template has no place for these turns.
            ModelCorruptError: the vocabulary has no token for any character of the question.
        """
        head = self._conversation(self._system, history) if history else self.head
        return self._ask(head, question)

    def chat_prompt(self, message: str, history: Sequence[Turn] = ()) -> tuple[int, ...]:
        """All prompt tokens of a message that is no question, below nothing that asks for an answer.

        Raises:
            UsageError, ModelCorruptError: as ``prompt``.
        """
        return self._ask(self._conversation(self._chat_system, history), message)

    def _ask(self, head: Sequence[int], question: str) -> tuple[int, ...]:
        asked = self._model.tokenize(question.strip(), special=False, follows=bool(head))
        if not asked:
            raise ModelCorruptError(f"the vocabulary of {self._model.name} cannot spell the question")
        return (*head, *asked, *self.tail)

    def sha256(self) -> str:
        """Digest of the prompt around a question, by which calibrations and kept draws know it."""
        parts = [self.head, self.tail]
        if self.thoughts is not None and self.thoughts.is_open:
            parts += [self.thoughts.cut, self.thoughts.lead]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _conversation(self, system: str, history: Sequence[Turn]) -> tuple[int, ...]:
        """Tokens of a conversation up to the question; system turns stand below the system prompt."""
        slots = [_TURN.format(n) for n in range(len(history))]
        asked = [slot for slot, turn in zip(slots, history, strict=True) if turn.role == "system"]
        spoken = [
            {"role": turn.role, "content": slot}
            for slot, turn in zip(slots, history, strict=True)
            if turn.role != "system"
        ]
        system = "\n\n".join(filter(None, [system, *asked]))
        messages = self._with_system(system, [*spoken, {"role": "user", "content": _PLACEHOLDER}])
        try:
            text = self._render(messages)
        except TemplateRaisedError as exc:
            raise self._no_place() from exc
        literals, found = _ANY_PLACEHOLDER.split(text)[::2], list(_ANY_PLACEHOLDER.finditer(text))
        shown = [int(match[1]) for match in found if match[1]]
        if sorted(shown) != list(range(len(history))) or found[-1][0] != _PLACEHOLDER:
            raise self._no_place()
        tokens = list(_with_bos(self._model, self._model.tokenize(literals[0], special=True)))
        for n, literal in zip(shown, literals[1:], strict=False):
            tokens += self._model.tokenize(history[n].content.strip(), special=False, follows=bool(tokens))
            tokens += self._model.tokenize(literal, special=True, follows=True)
        return tuple(tokens)

    def _no_place(self) -> UsageError:
        return UsageError(
            f"the chat template of {self._model.name} has no place for these messages",
            hint="let turns of user and assistant alternate, the user's first and last",
            slug="bad-conversation",
        )

    def _with_system(self, system: str, messages: list[Message]) -> list[Message]:
        """The messages below a system prompt, which stands in the first one where there is no such role.

        Without a prompt they stand alone.
        """
        if not system:
            return messages
        if self._shows_system:
            return [{"role": "system", "content": system}, *messages]
        first, *others = messages
        return [{**first, "content": f"{system}\n\n{first['content']}"}, *others]

    def _render(self, messages: Sequence[Message]) -> str:
        variables = {} if self._thinking is None else self._thinking.variables()
        return render(self._model, messages, open_assistant=True, **variables)

    def _split_template(self) -> tuple[str, str]:
        messages = self._with_system(self._system, [{"role": "user", "content": _PLACEHOLDER}])
        text = self._render(messages)
        before, found, behind = text.partition(_PLACEHOLDER)
        if not found or _PLACEHOLDER in behind:
            raise ModelCorruptError(
                f"the chat template of {self._model.name} does not show the question exactly once",
                slug="bad-template",
            )
        return before, behind


def _thought_format(model: LlamaModel, thinking: Thinking, behind: str, opening: str) -> ThoughtFormat:
    """How thoughts begin and end, after ``behind``; the opening of the answer follows them."""
    cut = f"{CLOSING}{thinking.tags.closing}\n\n"
    for tag in (thinking.tags.opening, thinking.tags.closing):
        model.spell_out(model.tokenize(tag, special=True))
    return ThoughtFormat(
        opening=thinking.tags.opening.encode(),
        closing=thinking.tags.closing.encode(),
        is_open=thinking.is_open(behind),
        cut=tuple(model.tokenize(cut + opening, special=True, follows=True)),
        cut_text=cut.encode(),
        lead=tuple(model.tokenize(f"\n\n{opening}", special=True, follows=True)) if opening else (),
    )


def _with_bos(model: LlamaModel, tokens: Sequence[int]) -> tuple[int, ...]:
    if model.bos is not None and (not tokens or tokens[0] != model.bos):
        return (model.bos, *tokens)
    return tuple(tokens)
