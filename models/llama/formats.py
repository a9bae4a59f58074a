"""The format of each prompt."""

from __future__ import annotations

from adascale.engine.types import PromptName

from ..options import (
    CHOICE_PROMPT,
    CODE_PROMPT,
    FACT_PROMPT,
    JSON_PROMPT,
    LOOK_CHOICE_PROMPT,
    LOOK_YES_NO_PROMPT,
    PROGRAM_OPENING,
    PROGRAM_PROMPT,
    SYSTEM_PROMPT,
    YES_NO_PROMPT,
)
from .chat import ChatFormat
from .runtime import LlamaModel
from .thinking import plan_thinking
from .tool_prompt import ToolFormat


def chat_formats(model: LlamaModel, system: str | None, think: int | None) -> dict[PromptName, ChatFormat]:
    """The format of each prompt.

    Args:
        model: Has the template.
        system: The user's own system prompt, for all prose and chats; None for the built-in ones. Looks at
            options have none but their own.
        think: As ``SessionOptions.think``.

    Raises:
        UsageError: the model cannot be asked to think.
        ModelCorruptError: the template cannot be rendered, or does not show the question.
    """
    thinking, silent = plan_thinking(model, think), plan_thinking(model, 0)
    return {
        "prose": ChatFormat(model, system or SYSTEM_PROMPT, thinking=thinking, chat_system=system or ""),
        "program": ChatFormat(model, PROGRAM_PROMPT, PROGRAM_OPENING, thinking),
        "code": ChatFormat(model, CODE_PROMPT, PROGRAM_OPENING, thinking),
        "choice": ChatFormat(model, system or CHOICE_PROMPT, thinking=thinking),
        "yes-no": ChatFormat(model, system or YES_NO_PROMPT, thinking=thinking),
        "fact": ChatFormat(model, system or FACT_PROMPT, thinking=thinking),
        "json": ChatFormat(model, system or JSON_PROMPT, thinking=thinking),
        "call": ToolFormat(model, system or "", thinking),
        "look-choice": ChatFormat(model, LOOK_CHOICE_PROMPT, thinking=silent),
        "look-yes-no": ChatFormat(model, LOOK_YES_NO_PROMPT, thinking=silent),
    }
