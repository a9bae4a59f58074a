"""GBNF grammars of calls and JSON objects, which decide which tokens llama.cpp lets a model write.

A call always has the form ``{"name": "NAME", "arguments": {...}}``, whatever the model's template asks for.
Arguments come in the order of the schema, required and optional ones alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import UsageError
from .calls import Tools
from .schema import MAX_PARTS, NOTHING, PLAIN_TYPES, Schema, laid, types_of, unions_of

OPENING = '{"name": "'
"""Beginning of a call; its grammar applies after it."""

_LONGEST_RUN = 256
"""Larger bounds of lengths are left to the check of the complete call: a grammar would repeat its rules."""

_MOST_RULES = 5 * MAX_PARTS
"""More than any schema needs but one whose unions stand beside many properties."""

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
        lead = _text(f'{json.dumps(name)[1:]}, "arguments": ')
        calls.append(f"{lead} {rules.value(tool.parameters)}")
    return rules.text(f'root ::= ({" | ".join(calls)}) "}}"')


class _Rules:
    """Collects the rules of a grammar and names them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._written = 0
        self._values: dict[int, tuple[Schema, str]] = {}  # parts of a schema may stand at many places

    def text(self, root: str) -> str:
        """The whole grammar, with its root rule."""
        rules = (f"{name} ::= {body}" for body, name in self._names.items())
        return "\n".join([root, *rules, _SHARED.strip(), ""])

    def _name(self, body: str) -> str:
        self._written += 1
        if self._written > _MOST_RULES:
            raise UsageError("the unions of a schema have too many properties together")
        return self._names.setdefault(body, f"r{len(self._names)}")

    def value(self, schema: Schema) -> str:
        """Name or body of the rule for a value."""
        if id(schema) not in self._values:
            self._values[id(schema)] = schema, self._value(schema)
        return self._values[id(schema)][1]

    def _value(self, schema: Schema) -> str:
        if union := self._any_of(map(self.value, _alternatives(schema))):
            return union
        if values := schema.get("enum"):
            return self._any_of(map(_literal, values))
        implied = {"properties": "object", "items": "array"}
        types = types_of(schema) or [implied_type for name, implied_type in implied.items() if name in schema]
        return self._any_of(self._of_type(each, schema) for each in types or ["value"])

    def behind_brace(self, schema: Schema) -> str:
        """The rest of an object after its opening brace."""
        if union := self._any_of(map(self.behind_brace, _alternatives(schema))):
            return union
        others = schema.get("additionalProperties", {})
        if "properties" in schema or others == NOTHING:
            return f'ws {self._properties(schema, others)} "}}"'
        pair = self._name(f'string ":" ws {self.value(others)}')
        return f'ws ({pair} ("," ws {pair})*)? "}}"'

    def _any_of(self, bodies: Iterable[str]) -> str:
        different = dict.fromkeys(bodies)
        return self._name(" | ".join(different)) if len(different) > 1 else "".join(different)

    def _of_type(self, name: str, schema: Schema) -> str:
        if name == "object":
            return self._name(f'"{{" {self.behind_brace({**schema, "anyOf": (), "oneOf": ()})}')
        if name == "array":
            return self._array(schema)
        if name == "string":
            return f'"\\"" char{_run(schema.get("minLength", 0), schema.get("maxLength"))} "\\""'
        return name if name in PLAIN_TYPES else "value"

    def _array(self, schema: Schema) -> str:
        items, least, most = schema.get("items", {}), schema.get("minItems", 0), schema.get("maxItems")
        if most == 0 or items == NOTHING:
            return '"[" ws "]"'
        item = self.value(items)
        more = f'{item} ("," ws {item}){_run(max(least - 1, 0), most and most - 1)}'
        return self._name(f'"[" ws {more if least else f"({more})?"} "]"')

    def _properties(self, schema: Schema, others: Schema) -> str:
        """Properties in their order, then required ones without a schema; optional ones may be missing.

        Each rule is the rest of the object after a property.
        """
        required, properties = schema.get("required", ()), schema.get("properties", {})
        unnamed = {name: others for name in required if name not in properties}
        behind, first = '""', '""'
        for name, each in reversed({**properties, **unnamed}.items()):
            if each == NOTHING:
                continue
            pair = self._name(f"{_text(json.dumps(name) + ':')} ws {self.value(each)}")
            here, rest = f"{pair} {behind}", f'"," ws {pair} {behind}'
            is_required = name in required
            first = here if is_required else self._name(f"{here} | {first}")
            behind = self._name(rest if is_required else f"{rest} | {behind}")
        return first


def _alternatives(schema: Schema) -> Iterator[Schema]:
    """The schemas of a union, each merged with its siblings, without those that no value matches."""
    base = {name: each for name, each in schema.items() if name not in ("anyOf", "oneOf")}
    return (laid(base, each) for each in unions_of(schema) if each != NOTHING)


def _run(least: int, most: int | None) -> str:
    """A repetition between two bounds of a schema, as far as a grammar can hold them."""
    if least > _LONGEST_RUN or not (least or most is not None):
        return "*"
    return f"{{{least},}}" if most is None or most > _LONGEST_RUN else f"{{{least},{max(least, most)}}}"


def _literal(value: Any) -> str:
    """JSON as a model writes it, with lone surrogates escaped, as a literal of GBNF."""
    return _text(json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace").decode())


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
