"""GBNF grammars of calls and JSON objects, which decide which tokens llama.cpp lets a model write.

A call always has the form ``{"name": "NAME", "arguments": {...}}``, whatever the model's template asks for.
Arguments come in the order of the schema, required and optional ones alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .calls import Tools
from .schema import NOTHING, PLAIN_TYPES, Schema, SchemaReader, types_of

OPENING = '{"name": "'
"""Beginning of a call; its grammar applies after it."""

_LONGEST_RUN = 256
"""Larger bounds of lengths are left to the check of the complete call: a grammar would repeat its rules."""

_SHARED = r"""
ws ::= " "?
char ::= [^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" hex hex hex hex)
hex ::= [0-9a-fA-F]
digits ::= [0-9]{1,15}
whole ::= "0" | [1-9] [0-9]{0,14}
string ::= "\"" char* "\""
integer ::= "-"? whole
number ::= "-"? whole ("." digits)? ([eE] [-+]? [0-9]{1,3})?
boolean ::= "true" | "false"
null ::= "null"
pair ::= string ":" ws value
object ::= "{" ws (pair ("," ws pair)*)? "}"
array ::= "[" ws (value ("," ws value)*)? "]"
value ::= string | number | boolean | null | object | array
"""
"""Rules of any JSON, without line breaks: a small model would never stop writing blanks."""


def grammar_of_object(schema: Schema) -> str:
    """The grammar of a JSON object that matches a schema, after its opening brace."""
    rules = _Rules()
    return rules.text(f"root ::= {rules.behind_brace(schema)}")


def grammar_of_call(tools: Tools) -> str:
    """The grammar of one call of a tool, from after ``OPENING`` to its closing brace."""
    rules = _Rules()
    calls = []
    for name, tool in tools.items():
        lead = _literal(f'{json.dumps(name)[1:]}, "arguments": ')
        calls.append(f"{lead} {rules.value(tool.parameters)}")
    return rules.text(f'root ::= ({" | ".join(calls)}) "}}"')


class _Rules:
    """Collects the rules of a grammar and names them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[int, tuple[Schema, str]] = {}  # parts of a schema may stand at many places
        self._reader = SchemaReader()

    def text(self, root: str) -> str:
        """The whole grammar, with its root rule."""
        rules = (f"{name} ::= {body}" for body, name in self._names.items())
        return "\n".join([root, *rules, _SHARED.strip(), ""])

    def _name(self, body: str) -> str:
        return self._names.setdefault(body, f"r{len(self._names)}")

    def value(self, schema: Schema) -> str:
        """Name or body of the rule for a value."""
        if id(schema) not in self._values:
            self._values[id(schema)] = schema, self._value(schema)
        return self._values[id(schema)][1]

    def _value(self, schema: Schema) -> str:
        if unions := self._reader.alternatives(schema):
            return self._any_of(self.value(each) for each in unions)
        if values := schema.get("enum"):
            return self._any_of(_literal(_written(each)) for each in values)
        implied = {"properties": "object", "items": "array"}
        types = types_of(schema) or tuple(named for name, named in implied.items() if name in schema)
        return self._any_of(self._of_type(each, schema) for each in types) if types else "value"

    def behind_brace(self, schema: Schema) -> str:
        """The rest of an object after its opening brace."""
        if unions := self._reader.alternatives(schema):
            return self._any_of(self.behind_brace(each) for each in unions)
        others = schema.get("additionalProperties", {})
        if "properties" in schema or others == NOTHING:
            return f'ws {self._properties(schema)} "}}"'
        pair = self._name(f'string ":" ws {self.value(others)}')
        return f'ws ({pair} ("," ws {pair})*)? "}}"'

    def _any_of(self, bodies: Iterable[str]) -> str:
        one, *others = dict.fromkeys(bodies)
        return self._name(" | ".join((one, *others))) if others else one

    def _of_type(self, name: str, schema: Schema) -> str:
        if name == "object":
            return self._name(f'"{{" {self.behind_brace({**schema, "anyOf": (), "oneOf": ()})}')
        if name == "array":
            return self._array(schema)
        if name == "string" and (run := _run(schema, "minLength", "maxLength")):
            return self._name(f'"\\"" char{run} "\\""')
        return name if name in PLAIN_TYPES else "value"

    def _array(self, schema: Schema) -> str:
        items = schema.get("items", {})
        item = self.value(items)
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if most == 0 or items == NOTHING:
            return '"[" ws "]"'
        run = _run(
            {"least": max(least - 1, 0), **({} if most is None else {"most": most - 1})}, "least", "most"
        )
        more = f'{item} ("," ws {item}){run or "*"}'
        return self._name(f'"[" ws {more if least else f"({more})?"} "]"')

    def _properties(self, schema: Schema) -> str:
        """Properties in their order; each rule is the rest of the object after a property."""
        required = schema.get("required", ())
        properties: Mapping[str, Any] = {**schema.get("properties", {}), **_unnamed(schema)}
        pairs = [
            (self._name(f"{_literal(json.dumps(name) + ':')} ws {self.value(each)}"), name in required)
            for name, each in properties.items()
            if each != NOTHING
        ]
        return self._pairs(pairs)

    def _pairs(self, pairs: Sequence[tuple[str, bool]]) -> str:
        """Pairs with commas between them; optional pairs may be missing."""
        behind, first = '""', '""'
        for pair, is_required in reversed(pairs):
            here = f"{pair} {behind}"
            first = here if is_required else self._name(f"{here} | {first}")
            rest = f'"," ws {pair} {behind}'
            behind = self._name(rest if is_required else f"{rest} | {behind}")
        return first


def _unnamed(schema: Schema) -> Mapping[str, Any]:
    """Required properties that the schema does not describe."""
    others, known = schema.get("additionalProperties", {}), schema.get("properties", {})
    return {name: others for name in schema.get("required", ()) if name not in known}


def _run(schema: Mapping[str, Any], least: str, most: str) -> str:
    """A repetition between two bounds of a schema; empty if a grammar cannot hold them."""
    low, high = schema.get(least, 0), schema.get(most)
    if low > _LONGEST_RUN or not (low or high is not None):
        return ""
    return f"{{{low},}}" if high is None or high > _LONGEST_RUN else f"{{{low},{max(low, high)}}}"


def _written(value: Any) -> str:
    """JSON as a model writes it, with lone surrogates escaped."""
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace").decode()


def _literal(text: str) -> str:
    """A text as a literal of GBNF."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
