"""A scripted generator that works in a shop with two tools, and one that reads who a text is about."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scripted_server import EchoPolicy, Served, served

from adascale.engine.calibration.votes import CallPosterior
from adascale.engine.ports import Prefix
from adascale.engine.types import Step
from bench.scripted import scripted_step

QUESTION = "Look up the price of an apple, then multiply it by 7. How much do 7 apples cost?"
PERSON = {"name": "Anna", "age": 31}
WORK = [["get_price", "apple"], ["multiply", 3, 7]]
"""The calls that answer the question."""


def shop(prefix: Prefix, rng: random.Random) -> Step:
    """Looks up a price, multiplies it, and says the product; of a person it says who it is."""
    details: Any = prefix.problem.details
    tools = [tool["function"]["name"] for tool in details.get("tools", ())]
    results = [each["content"] for each in details.get("messages", ()) if each["role"] == "tool"]
    if "get_price" not in tools:  # a tool that takes the output, or none
        call = {"name": tools[0], "arguments": PERSON} if tools and prefix.mode == "call" else PERSON
        return scripted_step(json.dumps(call), "stop")
    calls = [
        {"name": "get_price", "arguments": {"item": "apple"}},
        {"name": "multiply", "arguments": {"a": 3, "b": 7}},
    ]
    said = json.dumps(calls[len(results)]) if len(results) < 2 else f"7 apples cost {results[-1]} euros."
    return scripted_step(said, "stop")


@contextmanager
def open_shop() -> Iterator[Served]:
    """A server on that generator, which looks as if a call was right."""
    policy = EchoPolicy(shop, looks=lambda look: [math.log(0.95), math.log(0.05)])
    with served(policy=policy, calibrators={"call": CallPosterior(0.6)}) as running:
        yield running
