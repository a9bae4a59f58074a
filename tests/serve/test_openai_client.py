"""The official client of OpenAI against the server: chat completions, whole and streamed."""

from __future__ import annotations

import re
import threading

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from scripted_server import Served, served

from bench.scripted import MODEL

SPLIT = 0
"""A seed with which the echo has two answers before it is sure."""


def ask(client: openai.OpenAI, question: str, **more: object) -> ChatCompletion:
    found = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        **more,  # type: ignore[call-overload]
    )
    assert isinstance(found, ChatCompletion)
    return found


def stream(client: openai.OpenAI, question: str, **more: object) -> list[ChatCompletionChunk]:
    messages = [{"role": "user", "content": question}]
    return list(client.chat.completions.create(model=MODEL, messages=messages, stream=True, **more))  # type: ignore[call-overload]


def test_an_answer_has_its_solution_its_usage_and_what_the_search_found(client: openai.OpenAI) -> None:
    found = ask(client, "Say 42", seed=1)
    [choice] = found.choices
    assert choice.finish_reason == "stop"
    assert choice.message.content == "We look at 42.\n\nIt is \\boxed{42}.\n\nAnswer: 42"
    assert "[score" in choice.message.reasoning_content  # type: ignore[attr-defined]
    assert found.model == MODEL
    assert found.usage is not None
    assert found.usage.prompt_tokens == len("Say 42")
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
    assert found.usage.completion_tokens_details is not None
    assert 0 < (found.usage.completion_tokens_details.reasoning_tokens or 0) < found.usage.completion_tokens
    summary = found.adascale  # type: ignore[attr-defined]
    assert summary["answer"] == "42"
    assert (summary["probability"], summary["calibration"], summary["seed"]) == (None, "none", 1)
    assert summary["groups"][0]["votes"] == summary["votes"]["agree"]
    assert summary["tokens"] == found.usage.completion_tokens


def test_a_stream_has_the_role_the_reasoning_the_answer_and_its_end_in_this_order(
    client: openai.OpenAI,
) -> None:
    *found, last = stream(client, "Say 42", seed=1, stream_options={"include_usage": True})
    assert found[0].choices[0].delta.role == "assistant"
    deltas = [chunk.choices[0].delta for chunk in found]
    reasoning = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert reasoning == "".join(getattr(delta, "reasoning", None) or "" for delta in deltas)
    assert "1 We look at 42. [score 0" in reasoning
    assert re.search(r"= 42: \d of \d+ \[score", reasoning)
    content = "".join(delta.content or "" for delta in deltas)
    assert content == "We look at 42.\n\nIt is \\boxed{42}.\n\nAnswer: 42"
    assert [chunk.choices[0].finish_reason for chunk in found] == [None] * (len(found) - 1) + ["stop"]
    assert found[-1].adascale["answer"] == "42"  # type: ignore[attr-defined]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.prompt_tokens == len("Say 42")


def test_without_an_effort_one_solution_is_streamed_as_it_is_written(client: openai.OpenAI) -> None:
    found = stream(client, "Say 42", reasoning_effort="none")
    parts = [chunk.choices[0].delta.content or "" for chunk in found]
    assert "".join(parts) == "We look at 42.\n\nIt is \\boxed{42}."
    assert sum(map(bool, parts)) > 3
    assert not any(getattr(chunk.choices[0].delta, "reasoning", None) for chunk in found)
    assert found[-1].adascale["votes"]["finished"] == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("effort", ["none", "low"])
@pytest.mark.parametrize("stop", ["boxed", ["zzz", " is"], "\n\n"])
def test_a_stop_text_is_not_in_the_answer_streamed_or_not(
    client: openai.OpenAI, effort: str, stop: str | list[str]
) -> None:
    whole = ask(client, "Say 42", reasoning_effort=effort, stop=stop).choices[0].message.content or ""
    found = stream(client, "Say 42", reasoning_effort=effort, stop=stop)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in found) == whole
    assert whole.startswith("We look at 42.")
    assert not any(text in whole for text in ([stop] if isinstance(stop, str) else stop))


def test_distinct_answers_come_likeliest_first(client: openai.OpenAI) -> None:
    found = ask(client, "Say 42", n=5, reasoning_effort="high", seed=SPLIT)
    answers = [(choice.message.content or "").rpartition(": ")[2] for choice in found.choices]
    assert answers == ["42", "43"]
    chunks = stream(client, "Say 42", n=5, reasoning_effort="high", seed=SPLIT)
    choices = [choice for chunk in chunks for choice in chunk.choices]
    firsts = [next(choice for choice in choices if choice.index == index) for index in (0, 1)]
    assert [first.delta.role for first in firsts] == ["assistant", "assistant"]
    ends = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert ends == ["stop", "stop"]


@pytest.mark.parametrize("effort", [None, "none"])
def test_replies_that_are_not_compared_are_as_many_as_were_asked_for(
    client: openai.OpenAI, effort: str | None
) -> None:
    question = "Say 42" if effort else "Say something kind about 42"
    more = {"n": 3, "seed": 1, "reasoning_effort": effort or openai.NOT_GIVEN}
    found = ask(client, question, **more)
    texts = [choice.message.content for choice in found.choices]
    assert len(texts) == 3
    assert all(text and text.startswith("We look at 42.") for text in texts)
    assert not hasattr(found.choices[0].message, "reasoning_content")
    parts = ["", "", ""]
    for choice in (choice for chunk in stream(client, question, **more) for choice in chunk.choices):
        parts[choice.index] += choice.delta.content or ""
    assert parts == texts


def test_the_model_is_listed_once_and_known_with_its_efforts(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(f"{MODEL}:high").owned_by == "adascale"
    with pytest.raises(openai.NotFoundError, match="is not served here"):
        client.models.retrieve("gpt-9")


def test_a_question_that_ends_the_worker_is_not_repeated(server: Served, client: openai.OpenAI) -> None:
    before = len(server.policy.opened)
    with pytest.raises(openai.InternalServerError, match="was ended by SIGKILL") as caught:
        ask(client.with_options(max_retries=2), "a deadly one")
    assert (caught.value.status_code, caught.value.code) == (500, "deadly-question")
    assert len(server.policy.opened) == before + 1


def test_an_error_behind_the_beginning_of_a_stream_ends_it_as_an_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="the PRM's window is 2,048"):
        stream(client, "an unreadable one")


def test_while_the_models_are_loaded_requests_get_503() -> None:
    opening = threading.Event()
    with served(opening=opening) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        with pytest.raises(openai.InternalServerError, match="being loaded") as caught:
            ask(client, "Say 42")
        assert caught.value.status_code == 503
        opening.set()
        assert ask(client.with_options(max_retries=20), "Say 42").choices
        client.close()
