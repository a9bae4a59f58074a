"""Fields of the tools of a request, as OpenAI and Ollama have them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import FailFast, Field

from adascale.engine.tools.tool import MAX_TOOLS

from ..wire.http import JsonObject
from .fields import Fields

Name = Annotated[str, Field(min_length=1, max_length=128)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Function(Fields):
    """A function that the model may call."""

    name: Name
    description: str = ""
    parameters: dict[str, Any] = {}
    """JSON schema of its arguments, an object."""

    def shown(self) -> JsonObject:
        """The function without fields that have no effect."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}

    def tool(self) -> JsonObject:
        """The function as a template reads it."""
        return {"type": "function", "function": self.shown()}


class FunctionTool(Fields):
    """A tool of a chat completion."""

    type: Literal["function"]
    function: Function


FunctionTools = Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS), FailFast()]


class NamedFunction(Fields):
    """The name of a function."""

    name: Name


class FunctionChoice(Fields):
    """One function that has to be called."""

    type: Literal["function"]
    function: NamedFunction


class CalledFunction(Fields):
    """A function that an earlier answer has called; its arguments are JSON."""

    name: Name
    arguments: str | dict[str, Any] = "{}"


class EarlierCall(Fields):
    """A call of an earlier answer."""

    id: str = ""
    type: Literal["function"] = "function"
    function: CalledFunction

    @property
    def stated(self) -> tuple[str, str, str | JsonObject]:
        """Its id, name and arguments."""
        return self.id, self.function.name, self.function.arguments
