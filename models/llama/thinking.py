"""Models that think before they answer: how their chat templates and vocabularies say so, and how to ask.

A thought stands between two tags before the answer. Most templates have a switch for it; where there is none,
or it has no effect, a prompt opens the thought itself, or ends behind an empty one ("NoThinking", arXiv
2504.09858).
"""

from __future__ import annotations

from dataclasses import dataclass

from adascale.engine.errors import TemplateRaisedError, UsageError, setting
from adascale.engine.types import Notice

from ..options import THINK_TOKENS
from .chat import render
from .runtime import LlamaModel


@dataclass(frozen=True, slots=True)
class Tags:
    """What a model writes around a thought."""

    opening: str
    closing: str


TAGS = (
    Tags("<think>", "</think>"),
    Tags("[THINK]", "[/THINK]"),
    Tags("<seed:think>", "</seed:think>"),
    Tags("<|channel>thought", "<channel|>"),
    Tags("<|START_THINKING|>", "<|END_THINKING|>"),
)
"""Of Qwen, DeepSeek and most others; of Ministral, Seed-OSS, Gemma 4 and Command R."""


@dataclass(frozen=True, slots=True)
class VariableSwitch:
    """A variable of a template that turns thinking on and off."""

    name: str

    @property
    def marker(self) -> str:
        """What a template with this switch has in it."""
        return self.name

    def variables(self, *, thinks: bool) -> dict[str, bool]:
        """What to render the template with."""
        return {self.name: thinks}

    def words(self, *, thinks: bool) -> str:
        """Nothing: the system prompt stays as it is."""
        return ""


@dataclass(frozen=True, slots=True)
class WordSwitch:
    """A word behind the system prompt that turns thinking on or off.

    Attributes:
        off: The word for off.
        on: The word for on.
    """

    off: str
    on: str

    @property
    def marker(self) -> str:
        """What a template with this switch has in it."""
        return self.off

    def variables(self, *, thinks: bool) -> dict[str, bool]:
        """Nothing: the template reads the system prompt."""
        return {}

    def words(self, *, thinks: bool) -> str:
        """What to append to the system prompt."""
        return f" {self.on if thinks else self.off}"


Switch = VariableSwitch | WordSwitch
"""A template's way to turn thinking on and off."""

SWITCHES: tuple[Switch, ...] = (
    VariableSwitch("enable_thinking"),
    VariableSwitch("thinking"),
    WordSwitch(off="/no_think", on="/think"),
)

_UNMISTAKABLE = ("enable_thinking", "/no_think")
"""Markers of switches that mean nothing else in a template."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """How the prompts of a model ask for thoughts.

    Attributes:
        tags: Around a thought.
        switch: Of the template; None where it has none that changes anything, or none is to be used.
        thinks: Whether to think; None leaves it to the template and the model.
        budget: Tokens of the thoughts of one trajectory; at 0 each is closed as soon as it is opened.
    """

    tags: Tags
    switch: Switch | None
    thinks: bool | None
    budget: int

    def variables(self) -> dict[str, bool]:
        """What to render the template with."""
        if self.switch is None or self.thinks is None:
            return {}
        return self.switch.variables(thinks=self.thinks)

    def system(self, system: str) -> str:
        """The system prompt."""
        if self.switch is None or self.thinks is None:
            return system
        return system + self.switch.words(thinks=self.thinks)

    def is_open(self, text: str) -> bool:
        """Whether a prompt ends inside a thought."""
        return text.rfind(self.tags.opening) > text.rfind(self.tags.closing)

    def finish_prompt(self, text: str) -> str:
        """The text behind a question with the thought opened, or closed, where the template has not."""
        if self.thinks is None or self.is_open(text) == self.thinks:
            return text
        return text + (f"{self.tags.opening}\n" if self.thinks else f"\n{self.tags.closing}\n\n")


def tags_named_in(template: str) -> Tags | None:
    """The tags of a chat template; None where it names none."""
    return next((tags for tags in TAGS if tags.closing in template), None)


def room_for_thoughts(think: int | None, template: str) -> int:
    """Tokens that a window needs for thoughts, as far as is known before the model is loaded.

    Args:
        think: As ``SessionOptions.think``.
        template: The model's chat template.
    """
    if think is None:
        return THINK_TOKENS if tags_named_in(template) else 0
    return think


def plan_thinking(model: LlamaModel, think: int | None) -> Thinking | None:
    """How a model's prompts ask for thoughts; None where it knows none, and none are asked for.

    Args:
        model: Has the template and the vocabulary.
        think: As ``SessionOptions.think``.

    Raises:
        UsageError: thoughts are asked for, and neither the template nor the vocabulary knows any.
        ModelCorruptError: as ``render_template``.
    """
    tags = tags_named_in(model.info.chat_template)
    if tags is None and think is not None:
        # The vocabulary of a model that thinks has a token for it, even where a template was stripped.
        tags = next((each for each in TAGS if len(model.tokenize(each.closing, special=True)) == 1), None)
    if tags is None:
        if think:
            raise UsageError(
                f"{model.name} is no model that thinks: neither its chat template nor its vocabulary "
                f"has {TAGS[0].opening}",
                hint=setting("think", 0),
                slug="no-thinking",
            )
        return None
    if think is None:
        return Thinking(tags, None, None, THINK_TOKENS)
    return Thinking(tags, find_switch(model), think > 0, think)


def find_switch(model: LlamaModel) -> Switch | None:
    """The first switch that changes what the template makes of a question."""
    return next((switch for switch in SWITCHES if _has_effect(model, switch)), None)


def thinking_notices(model: LlamaModel, thinking: Thinking) -> list[Notice]:
    """What to say of prompts that open or close a thought in the place of the template."""
    if thinking.switch is not None:
        return []
    named = next((name for name in _UNMISTAKABLE if name in model.info.chat_template), None)
    lacks = f"has a switch {named} without effect" if named else "has no switch for thinking"
    instead = "opens a thought" if thinking.thinks else "ends behind an empty thought"
    return [Notice("no-think-switch", f"the chat template of {model.name} {lacks}: the prompt {instead}")]


def _has_effect(model: LlamaModel, switch: Switch) -> bool:
    """Whether the prompt differs between on and off, beside the words that say so."""
    if switch.marker not in model.info.chat_template:
        return False
    on, off = (_sample_prompt(model, switch, thinks=thinks) for thinks in (True, False))
    return on != off


def _sample_prompt(model: LlamaModel, switch: Switch, *, thinks: bool) -> str:
    """The prompt of some question, without the words of the switch."""
    words, variables = switch.words(thinks=thinks), switch.variables(thinks=thinks)
    messages = [{"role": "system", "content": f"Be brief.{words}"}, {"role": "user", "content": "Hello."}]
    try:
        text = render(model, messages, open_assistant=True, **variables)
    except TemplateRaisedError:  # some refuse the role
        text = render(model, messages[1:], open_assistant=True, **variables)
    return text.replace(words, "")
