"""Models that think before they answer: how a prompt asks for a thought, and how a thought ends.

A thought stands between two tags before the answer. Most chat templates have a switch for it. If the rendered
prompt ignores the switch, we open the thought, or append an empty one ("NoThinking", arXiv 2504.09858). A
thought that reaches its budget, or in which the model ends its turn, is closed with constant tokens ("budget
forcing", arXiv 2501.19393); the answer follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from adascale.engine.errors import UsageError, setting
from adascale.engine.types import Step, ThoughtPart

from ..options import THINK_TOKENS
from ..steps import ends_step
from .templates import Message, render

if TYPE_CHECKING:
    from .model import LlamaModel

MIN_STEP = 64
"""Least tokens of a step of a thought, as thoughts have a blank line every few words."""

CLOSING = "\n\nI have to answer now, with what I have found so far.\n"
"""Text that ends a thought at its budget, before its closing tag."""


class Tags(NamedTuple):
    """The texts around a thought."""

    opening: str
    closing: str


TAGS = (
    Tags("<think>", "</think>"),
    Tags("[THINK]", "[/THINK]"),
    Tags("<seed:think>", "</seed:think>"),
    Tags("<|channel>thought", "<channel|>"),
    Tags("<|START_THINKING|>", "<|END_THINKING|>"),
)
"""Tags of Qwen, DeepSeek and most others; of Ministral, Seed-OSS, Gemma 4 and Command R."""


def without_tags(text: str) -> str:
    """The words of a thought."""
    for tag in chain(*TAGS):
        text = text.replace(tag, "")
    return text


_SWITCHES = "enable_thinking", "thinking"
"""Variables by which templates turn thinking on and off."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """How the prompts of a model ask for thoughts.

    Attributes:
        tags: Tags around a thought.
        thinks: True to think, False not to; None leaves it to the template and the model.
        budget: Most tokens of the thoughts of one solution; at 0 each is closed as soon as it opens.
    """

    tags: Tags
    thinks: bool | None
    budget: int

    def render(self, model: LlamaModel, messages: Sequence[Message], **variables: Any) -> str:
        """As ``templates.render``, with a thought opened or closed at the end, by ``thinks``."""
        if self.thinks is None:
            return render(model, messages, **variables)
        text = render(model, messages, **dict.fromkeys(_SWITCHES, self.thinks), **variables)
        if self._is_open(text) == self.thinks:
            return text
        return text + (f"{self.tags.opening}\n" if self.thinks else f"\n{self.tags.closing}\n\n")

    def form(self, model: LlamaModel, behind: str, opening: str) -> ThoughtFormat:
        """How thoughts begin and end in the model's tokens.

        Args:
            model: The model.
            behind: Text of the prompt behind the question.
            opening: Beginning of the answer, behind the thought.
        """
        for tag in self.tags:
            model.spell_out(model.tokenize(tag, special=True))
        cut = model.tokenize(_cut_text(self.tags) + opening, special=True, follows=True)
        lead = model.tokenize(f"\n\n{opening}", special=True, follows=True) if opening else ()
        return ThoughtFormat(self.tags, self._is_open(behind), tuple(cut), tuple(lead))

    def _is_open(self, text: str) -> bool:
        """True if a prompt ends inside a thought."""
        return text.rfind(self.tags.opening) > text.rfind(self.tags.closing)


def _cut_text(tags: Tags) -> str:
    """Text that closes a thought at its budget."""
    return f"{CLOSING}{tags.closing}\n\n"


def plan_thinking(model: LlamaModel, think: int | None) -> Thinking | None:
    """How a model's prompts ask for thoughts; None if it does not think and need not.

    Args:
        model: The model with the template.
        think: As ``SessionOptions.think``.

    Raises:
        UsageError: the user asks for thoughts, and the template has none.
    """
    tags = _tags_in(model.info.chat_template)
    if tags is None:
        if think:
            raise UsageError(
                f"{model.name} is no model that thinks: its chat template has no {TAGS[0].opening}",
                hint=setting("think", 0),
                slug="no-thinking",
            )
        return None
    return Thinking(tags, None, THINK_TOKENS) if think is None else Thinking(tags, think > 0, think)


def room_for_thoughts(think: int | None, template: str) -> int:
    """Tokens of a window for thoughts, before the model is loaded.

    Args:
        think: As ``SessionOptions.think``.
        template: The model's chat template.
    """
    if think is None:
        return THINK_TOKENS if _tags_in(template) else 0
    return think


def _tags_in(template: str) -> Tags | None:
    return next((tags for tags in TAGS if tags.closing in template), None)


@dataclass(frozen=True, slots=True)
class ThoughtFormat:
    """How thoughts begin and end behind one kind of prompt.

    Attributes:
        tags: Tags around a thought.
        is_open: True if the prompt ends inside a thought.
        cut: Tokens that close a thought at its budget, and lead to the answer.
        lead: Tokens that lead to the answer behind a thought that the model has closed.
    """

    tags: Tags
    is_open: bool
    cut: tuple[int, ...]
    lead: tuple[int, ...] = ()

    def following(self, part: ThoughtPart) -> tuple[tuple[int, ...], bytes]:
        """The tokens that follow a part of a thought, and their text inside the thought."""
        if part == "cut":
            return self.cut, _cut_text(self.tags).encode()
        return self.lead if part == "whole" else (), b""


ThoughtPhase = Literal["before", "inside", "behind"]
"""Position of a branch: before a possible opening tag, inside a thought, or in its answer."""

_NEXT: Mapping[ThoughtPart | None, ThoughtPhase] = {
    None: "behind",
    "part": "inside",
    "whole": "before",
    "cut": "before",
}
"""The phase behind a step, by its part of a thought; some models think again behind a thought."""


class ThoughtProgress:
    """Position of a running branch in its thought.

    Args:
        form: Format of thoughts behind the branch's prompt.
        budget: Most tokens of the thoughts of a solution.
        steps: Steps that the branch continues.

    Attributes:
        phase: Position of the next token.
    """

    def __init__(self, form: ThoughtFormat, budget: int, steps: Sequence[Step]) -> None:
        self.form = form
        self.phase: ThoughtPhase = "inside" if form.is_open else "before"
        self._budget, self._tokens = budget, 0
        for step in steps:
            self.end_step(step)

    def read(self, text: bytearray, last_piece: bytes, tokens: int) -> ThoughtPart | None:
        """The part of a thought that ends with the last token of a step; None if none does.

        Args:
            text: Text of the step.
            last_piece: Bytes of its last token.
            tokens: Number of its tokens.
        """
        opening, closing = (tag.encode() for tag in self.form.tags)
        if self.phase == "before":
            prefix = bytes(text.lstrip())
            if prefix.startswith(opening):
                self.phase = "inside"
            elif not opening.startswith(prefix):
                self.phase = "behind"
        if self.phase != "inside":
            return None
        if closing in text[-(len(last_piece) + len(closing) - 1) :]:
            return "whole"
        if self._tokens + tokens >= self._budget:
            return "cut"
        return "part" if tokens >= MIN_STEP and ends_step(text, last_piece) else None

    def end_step(self, step: Step) -> None:
        """Move behind a complete step; the tokens of a thought count towards the budget."""
        self.phase = _NEXT[step.thought]
        if step.thought is not None:
            self._tokens += len(step.token_ids)

    def uncounted_tokens(self, tokens: int) -> int:
        """Tokens of thoughts, at most one thought's budget, which do not count as tokens of the solution.

        Args:
            tokens: Tokens of the unfinished step.
        """
        total = self._tokens + (tokens if self.phase == "inside" else 0)
        return min(total, self._budget + len(self.form.cut))
