"""The table of kinds of question: properties of a kind that need none of its code.

Its import loads nothing, so a package can register its own kind at import. ``kinds`` has the classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .types import KindName, Mode, Problem, PromptName


class Entry(NamedTuple):
    """A line of the table.

    Attributes:
        home: Module and class that implement it.
        modes: Modes of reasoning; a strategy with one mode uses the first. ``Kind.modes`` chooses of them.
        prompt: Prompt of the first mode; other modes have prompts of their own names.
        program: Prompt of programs.
        noun: Word for a solution in messages.
        fields: Fields of a record in a file of questions that mark this kind.
        judged_by: Field of a record with the right answer; empty for replies, which nothing judges.
        efforts: Row of ``strategies.presets`` with its strategy for each effort.
        recorded_as: Kind whose recorded answers measure its bands; None for itself.
        has_options: It has a list of possible answers, whose logits can be read before a solution.
        has_fields: Its answer is a JSON object of the problem's schema, each field with a probability.
        has_calls: Its answers are calls of tools, or replies without a call.
        has_tests: Its answers are programs; tests judge each.
        is_computed: Its answers are computed: more solutions may help, whatever the first ones gave.
        is_short: The whole reply is the answer; its first lines count even without an end.
        is_fitted: Fits of users apply to this kind, and ``auto`` uses the modes of the fit. The fit's
            probability is averaged with the votes' probability, which counts alone if the fit does not apply.
    """

    home: str
    modes: tuple[Mode, ...]
    prompt: PromptName = "prose"
    program: PromptName = "program"
    noun: str = "solution"
    fields: tuple[str, ...] = ()
    judged_by: str = "answer"
    efforts: str = "values"
    recorded_as: KindName | None = None
    has_options: bool = False
    has_fields: bool = False
    has_calls: bool = False
    has_tests: bool = False
    is_computed: bool = False
    is_short: bool = False
    is_fitted: bool = False

    @property
    def is_reply(self) -> bool:
        """True for messages of a conversation: nobody can check the reply."""
        return not self.judged_by

    @property
    def has_schema(self) -> bool:
        """True if a schema gives the form of its answers."""
        return self.has_calls or self.has_fields

    @property
    def has_votes(self) -> bool:
        """True if agreeing solutions make an answer likelier."""
        return bool(self.judged_by) and not self.has_tests

    @property
    def is_compared(self) -> bool:
        """True if solutions with equal answers are equally right."""
        return self.judged_by == "answer"


_HERE = "adascale.engine.kinds"

KINDS: dict[KindName, Entry] = {
    "value": Entry(f"{_HERE}.value:Value", ("prose", "program"), is_computed=True, is_fitted=True),
    "date": Entry(
        f"{_HERE}.value:Date",
        ("program", "prose"),
        "date",
        efforts="dates",
        recorded_as="value",
        is_computed=True,
    ),
    "choice": Entry(
        f"{_HERE}.choice:Choice",
        ("prose",),
        "choice",
        fields=("options",),
        efforts="options",
        has_options=True,
    ),
    "yes-no": Entry(
        f"{_HERE}.yes_no:YesNo", ("prose", "program"), "yes-no", "check", efforts="options", has_options=True
    ),
    "fact": Entry(f"{_HERE}.value:Fact", ("prose",), "fact", efforts="facts", is_short=True),
    "text": Entry(f"{_HERE}.value:Text", ("prose",), noun="reply", judged_by=""),
    "call": Entry(
        f"{_HERE}.structured:ToolCall",
        ("call", "prose"),
        "call",
        noun="reply",
        fields=("tools",),
        judged_by="accepted",
        efforts="calls",
        has_calls=True,
    ),
    "json": Entry(f"{_HERE}.structured:JsonObject", ("prose",), "json", efforts="objects", has_fields=True),
}
"""Every kind by name, with an example:

value: 17 * 23; solve x² = 9
date: Which weekday was 14 March 2024? I leave at 9:30 and drive 90 minutes; when do I arrive?
choice: Which planet is the largest? A. Mars B. Jupiter
yes-no: Is 91 prime?
fact: What is the capital of Australia?
text: hi; write a haiku; explain recursion: nobody can check the reply
call: What is the weather in Paris? beside tools that may be called
json: Two pizzas for Ann, please, beside the schema of an order
"""


def entry_of(problem: Problem) -> Entry:
    """The line of a problem's kind."""
    return KINDS[problem.kind]


def register(name: KindName, entry: Entry) -> None:
    """Add a kind from outside the engine; its problems are searched like all others."""
    KINDS[name] = entry
