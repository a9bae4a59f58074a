"""Completions of texts, and log-probabilities of tokens, with OpenAI's client."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import openai
import pytest
from scripted_server import EchoPolicy, Served, served

from adascale.engine.ports import Prefix
from adascale.engine.types import Step, TokenLogprob
from bench.scripted import MODEL, echo, scripted_step


def spelled(prefix: Prefix, rng: random.Random) -> Step:
    """As ``echo``, with logprobs of each character; a raw text is gone on with by blanks and a word."""
    step = scripted_step("  so be it.  ", "stop") if prefix.problem.is_raw else echo(prefix, rng)
    logprobs = [
        TokenLogprob((ord(letter),), -0.5, (TokenLogprob((ord("~"),), -0.25),)) for letter in step.text
    ]
    return replace(step, logprobs=tuple(logprobs))


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(policy=EchoPolicy(spelled)) as running:
        yield running


@pytest.mark.parametrize("more", [{}, {"stop": " it"}])
def test_a_text_is_gone_on_with_as_it_stands(
    server: Served, client: openai.OpenAI, more: dict[str, object]
) -> None:
    asked = {"model": MODEL, "prompt": " def f(x):\n", "suffix": "\nf(2)", "max_tokens": 30, **more}
    found = client.completions.create(**asked)  # type: ignore[call-overload]
    problem = server.policy.opened[-1]
    assert (problem.question, problem.details, problem.history) == (" def f(x):\n", {"suffix": "\nf(2)"}, ())
    assert server.policy.samplers[-1].max_tokens == 30
    written = "  so be" if "stop" in more else "  so be it.  "
    assert found.choices[0].text == written
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
    parts = list(client.completions.create(**asked, stream=True))  # type: ignore[call-overload]
    assert "".join(part.choices[0].text for part in parts) == found.choices[0].text
    assert parts[-1].choices[0].finish_reason == "stop"


def test_a_completion_of_ollama_may_be_raw_too(server: Served) -> None:
    import httpx2

    body = {"prompt": "def f", "raw": True, "stream": False}
    found = httpx2.post(f"{server.url}/api/generate", json=body, timeout=20)
    assert found.json()["response"] == "  so be it.  "


@pytest.mark.parametrize("stop", [None, "boxed"])
@pytest.mark.parametrize("effort", ["none", "low"])
def test_tokens_of_the_answer_that_is_shown_have_log_probabilities(
    client: openai.OpenAI, stop: str | None, effort: str
) -> None:
    asked = {
        "model": MODEL, "messages": [{"role": "user", "content": "Say 42"}], "logprobs": True,
        "top_logprobs": 1, "stop": stop, "reasoning_effort": effort, "seed": 1,
    }  # fmt: skip
    [choice] = client.chat.completions.create(**asked).choices  # type: ignore[call-overload]
    assert choice.logprobs is not None
    tokens = choice.logprobs.content
    assert choice.message.content.startswith("".join(each.token for each in tokens))
    assert "".join(each.token for each in tokens).startswith("We look at 42.\n\nIt is \\")
    assert {(each.logprob, each.top_logprobs[0].token) for each in tokens} == {(-0.5, "~")}
    chunks = [c for chunk in client.chat.completions.create(**asked, stream=True) for c in chunk.choices]  # type: ignore[call-overload]
    streamed = [each for chunk in chunks if chunk.logprobs for each in chunk.logprobs.content]
    assert streamed == tokens
