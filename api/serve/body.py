"""The body of a request: one model with each protocol's names of a field, which refuses wrong values.

JSON from the network is checked here, and nowhere later. ``Body.conversation`` has the form of chat
completions, which chat templates read too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json

from adascale.engine.bands import LEAST
from adascale.engine.codec import nesting
from adascale.engine.errors import excerpt
from adascale.engine.tools.calls import ToolChoice
from adascale.engine.types import SamplingChange

from .http import MAX_DEPTH, JsonObject, Refusal

MAX_SEED = (1 << 63) - 1

ServedEffort = Literal["none", "low", "medium", "high", "max", "chat"]
"""How hard to try: ``none`` writes one solution and searches nothing, ``chat`` one plain reply without a
built-in prompt. Without an effort the last message decides."""

Heat = Literal["unset", "zero", "warm"]

_OTHER_EFFORTS = {"minimal": "none", "xhigh": "max"}

_OPEN = BeforeValidator(lambda value: None if value in (-1, -2) else value)

Tokens = Annotated[Annotated[int, Field(ge=1, le=1 << 24)] | None, _OPEN]
"""Limit of generated tokens; -1 for none, or -2 as Ollama has it."""

Seed = Annotated[Annotated[int, Field(ge=-MAX_SEED, le=MAX_SEED)] | None, _OPEN]
"""-1 for a random one."""

Nothing = Annotated[list[Any], Field(max_length=0)]
"""A list that has to be empty: its items are not supported."""


class Fields(BaseModel):
    """An object in a request. A null field counts as missing, and unknown fields are kept apart."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: item for name, item in value.items() if item is not None}

    @classmethod
    def read(cls, value: Any) -> Self:
        """The object of a JSON value.

        Raises:
            Refusal: a field is missing or wrong.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise _refusal(error) from None

    @property
    def unknown(self) -> list[str]:
        """Names of unknown fields whose value asks for something: not null, false, 0 or empty."""
        return [name for name, value in (self.model_extra or {}).items() if value]


def _refusal(error: ValidationError) -> Refusal:
    """The refusal for the first error, with the name of its field: without pydantic's names of types."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = ""
    for part in first["loc"]:
        if isinstance(part, int):
            name += f"[{part}]"
        elif part.isidentifier():
            name += f".{part}"
        else:
            break
    return Refusal.of_field(name.lstrip("."), first["msg"].removeprefix("Value error, "))


_TEXTS = "text", "input_text", "output_text"
_UNREAD = "thinking", "redacted_thinking", "reasoning_text", "summary_text", "tool_use", "tool_result"
"""Types of parts that are no text: the reasoning of an earlier answer, calls and their results."""


def _known(type_: str) -> str:
    if type_ not in (*_TEXTS, *_UNREAD):
        raise ValueError(f"{excerpt(type_)} cannot be read, only text")
    return type_


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], BeforeValidator(_as_list)]
"""A text, or a list of texts."""


def _parsed(value: Any) -> Any:
    value = from_json(value or "{}", allow_inf_nan=False) if isinstance(value, str) else value
    if nesting(value) > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return value


Arguments = Annotated[JsonObject, BeforeValidator(_parsed)]
"""Arguments of a call, as JSON or an object."""

Name = Annotated[str, Field(min_length=1, max_length=128)]


def lifted(field: str) -> BeforeValidator:
    """Reads an object whose fields may stand in its own field of this name, as in chat completions."""

    def lift(value: Any) -> Any:
        inner = value.get(field) if isinstance(value, dict) else None
        return {**inner, **value} if isinstance(inner, dict) else value

    return BeforeValidator(lift)


class ContentPart(Fields):
    """A part of a message: a text, or in Anthropic's form a call of a tool or its result."""

    type: Annotated[str, AfterValidator(_known)]
    text: str = ""
    id: str = ""
    name: str = ""
    input: Arguments = {}
    tool_use_id: str = ""
    content: Parts = []


def _as_parts(value: Any) -> Any:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


Parts = Annotated[list[ContentPart], BeforeValidator(_as_parts)]
"""A text, or a list of parts."""


def text_of(parts: Sequence[ContentPart]) -> str:
    """The text of a message's parts, a line each."""
    return "\n".join(part.text for part in parts if part.type in _TEXTS)


SURE_LINE = "\n\n— "
"""Beginning of the line with the probability below an answer."""

_SURE = re.compile(rf"{SURE_LINE}(?:{'|'.join(LEAST)})[^\n]*\Z")


class EarlierCall(Fields):
    """A call of an earlier answer."""

    id: str = Field("", validation_alias=AliasChoices("call_id", "id"))
    name: Name
    arguments: Arguments = {}


class Message(Fields):
    """A message in any protocol's form; an earlier answer may come back with all its fields."""

    type: Literal["message", "reasoning"] = "message"
    role: Literal["user", "assistant", "system", "developer", "tool"]
    content: Parts = []
    images: Nothing = []
    name: str = Field("", validation_alias=AliasChoices("name", "tool_name"))
    tool_calls: list[Annotated[EarlierCall, lifted("function")]] = []
    tool_call_id: str = Field("", validation_alias=AliasChoices("tool_call_id", "call_id"))

    @model_validator(mode="before")
    @classmethod
    def _of_item(cls, value: Any) -> Any:
        """The message of an item of a response."""
        match value:
            case {"type": "function_call"}:
                return {"role": "assistant", "tool_calls": [value]}
            case {"type": "function_call_output"}:
                return {**value, "type": "message", "role": "tool", "content": value.get("output")}
            case {"type": "reasoning"}:
                return {"type": "reasoning", "role": "assistant"}
            case _:
                return value

    def turns(self) -> list[JsonObject]:
        """Its messages in the form of chat completions: none for reasoning, which models do not read."""
        words = text_of(self.content)
        results = [
            {"role": "tool", "content": text_of(part.content), "tool_call_id": part.tool_use_id, "name": ""}
            for part in self.content
            if part.type == "tool_result"
        ]
        if results:  # words that an agent adds to a result are no new question of its user
            results[-1]["content"] = "\n\n".join(filter(None, [results[-1]["content"], words]))
        if results or self.type == "reasoning":
            return results
        if self.role == "tool":
            return [{"role": "tool", "content": words, "tool_call_id": self.tool_call_id, "name": self.name}]
        if self.role != "assistant":
            return [{"role": "user" if self.role == "user" else "system", "content": words}]
        # A model would imitate the line below an earlier answer.
        turn: JsonObject = {"role": "assistant", "content": _SURE.sub("", words)}
        calls = [(call.id, call.name, call.arguments) for call in self.tool_calls]
        calls += [(part.id, part.name, part.input) for part in self.content if part.type == "tool_use"]
        if calls:
            turn["tool_calls"] = [
                {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
                for id_, name, arguments in calls
            ]
        return [turn]


def _as_messages(value: Any) -> Any:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


Messages = Annotated[list[Message], Field(min_length=1), BeforeValidator(_as_messages)]
"""A text, or a conversation."""


class Function(Fields):
    """A function that the model may call; Anthropic's names of its type and schema differ."""

    type: Literal["function", "custom"] = "function"
    name: Name
    description: str = ""
    parameters: JsonObject = Field({}, validation_alias=AliasChoices("parameters", "input_schema"))
    """JSON schema of its arguments, an object."""

    def record(self) -> JsonObject:
        """The function as a template reads it."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}


class Format(Fields):
    """Plain text, or a JSON object of any form or of a schema."""

    type: Literal["text", "json_object", "json_schema"]
    schema_: JsonObject = Field({"type": "object"}, alias="schema")


_CHOICES: Mapping[str, Any] = {"any": "required", "auto": "auto", "none": "none"}


def _as_choice(value: Any) -> Any:
    """The choice of tools; Anthropic's is an object."""
    return _CHOICES.get(str(value.get("type")), value) if isinstance(value, dict) else value


class Forced(Fields):
    """The tool that has to be called."""

    type: Literal["function", "tool"] = "function"
    name: Name


_GREEDY_BELOW = 0.01
"""A temperature below this means greedy decoding."""

Penalty = Annotated[float, Field(ge=-100, le=100)]


class Body(Fields):
    """A request body; every protocol accepts the field names of all protocols."""

    model: str | None = None
    """Name of the model, alone or with an effort, as ``NAME:high``."""
    messages: Messages
    """The last one is the question or the result of a call; behind a reply the model is asked to continue."""
    system: Parts = Field([], validation_alias=AliasChoices("system", "instructions"))
    tools: list[Annotated[Function, lifted("function")]] = []
    tool_choice: Annotated[ToolChoice | Forced | None, lifted("function"), BeforeValidator(_as_choice)] = None
    """None is ``auto``."""
    parallel_tool_calls: bool = True
    """Allow several calls in one turn."""
    disable_parallel_tool_use: bool = Field(
        False, validation_alias=AliasPath("tool_choice", "disable_parallel_tool_use")
    )
    thinking: Literal["enabled", "adaptive", "disabled"] = Field(
        "enabled", validation_alias=AliasPath("thinking", "type")
    )
    """``disabled`` writes one solution and searches nothing, as effort ``none``."""
    seed: Seed = None
    """Random seed; the same seed gives the same solutions."""
    stream: bool = False
    """Answer in server-sent events."""
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    """0 asks for one greedy reply."""
    top_k: Annotated[int, Field(ge=-1, le=1 << 24), AfterValidator(lambda k: max(0, k))] | None = None
    """Number of likeliest tokens to keep; 0 or -1 keeps all."""
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Drop tokens that are less likely than this share of the likeliest one."""
    repeat_penalty: Annotated[float, Field(ge=0.01, le=100)] | None = Field(
        None, validation_alias=AliasChoices("repeat_penalty", "repetition_penalty")
    )
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    effort: Annotated[
        ServedEffort | None, BeforeValidator(lambda name: _OTHER_EFFORTS.get(str(name), name))
    ] = Field(
        None,
        validation_alias=AliasChoices(
            "reasoning_effort", AliasPath("reasoning", "effort"), AliasPath("output_config", "effort")
        ),
    )
    max_tokens: Tokens = Field(
        None,
        validation_alias=AliasChoices(
            "max_completion_tokens", "max_output_tokens", "max_tokens", "num_predict"
        ),
    )
    """Limit of generated tokens of the whole search; in plain replies, calls and JSON it cuts the text."""
    stop: Annotated[Texts, Field(max_length=16)] = Field(
        [], validation_alias=AliasChoices("stop", "stop_sequences")
    )
    """Texts before which an answer is cut."""
    format: Annotated[Format | None, lifted("json_schema")] = Field(
        None,
        validation_alias=AliasChoices(
            "response_format", AliasPath("text", "format"), AliasPath("output_config", "format"), "format"
        ),
    )

    @property
    def json_schema(self) -> JsonObject | None:
        """Schema of the JSON object to reply with; None for plain text."""
        return None if self.format is None or self.format.type == "text" else self.format.schema_

    @property
    def heat(self) -> Heat:
        """The temperature, as far as it decides between a search and one solution."""
        if self.temperature is None:
            return "unset"
        return "zero" if self.temperature < _GREEDY_BELOW else "warm"

    @property
    def conversation(self) -> list[JsonObject]:
        """The messages in the form of chat completions."""
        system = text_of(self.system)
        turns: list[JsonObject] = [{"role": "system", "content": system}] if system else []
        names: dict[str, str] = {}
        order: list[str] = []
        for turn in (turn for message in self.messages for turn in message.turns()):
            calls = turn.get("tool_calls", ())
            if turn["role"] == "tool":
                # Some templates read the tool's name; some of Ollama's clients send results without one.
                next_name = order.pop(0) if order else ""
                turn["name"] = names.get(turn["tool_call_id"]) or turn["name"] or next_name
            else:
                order = [call["function"]["name"] for call in calls]
                names |= {call["id"]: call["function"]["name"] for call in calls if call["id"]}
            if calls and turns and turns[-1]["role"] == "assistant" and not turn["content"]:
                turns[-1].setdefault("tool_calls", []).extend(calls)  # items of one turn
            else:
                turns.append(turn)
        return turns

    @property
    def may_call(self) -> bool:
        """True if the model may, or has to, call a tool."""
        is_required = self.tool_choice == "required" or isinstance(self.tool_choice, Forced)
        return is_required or bool(self.tools and self.tool_choice != "none")

    def sampling(self, *, is_greedy: bool) -> SamplingChange:
        """The parameters that are set, without those that have no effect.

        Greedy decoding needs no filters, and a search cannot have temperature 0.
        """
        names = {"repeat_penalty", "presence_penalty", "frequency_penalty"}
        names |= set() if is_greedy else {"top_k", "top_p", "min_p"}
        names |= {"temperature"} if self.heat == "warm" else set()
        return SamplingChange(**self.model_dump(include=names))
