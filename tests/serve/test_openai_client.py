"""The official client of OpenAI against the server: sync, async, streaming."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from scripted_server import EchoPolicy, Served, served

from adascale.engine.types import Turn
from bench.inline import MODEL, echo

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


@pytest.mark.parametrize(
    ("model", "message"),
    [(MODEL, "Say something kind."), (MODEL, "Give me 3 tips"), (f"{MODEL}:chat", "Say 42")],
)
def test_a_message_without_a_checkable_answer_gets_one_reply_as_it_is_written(
    server: Served, client: openai.OpenAI, model: str, message: str
) -> None:
    question = {"model": model, "messages": [{"role": "user", "content": message}], "seed": 1}
    found = list(client.chat.completions.create(**question, stream=True))  # type: ignore[call-overload]
    parts = [chunk.choices[0].delta.content or "" for chunk in found]
    assert sum(map(bool, parts)) > 3
    assert not any(getattr(chunk.choices[0].delta, "reasoning", None) for chunk in found)
    assert found[-1].adascale["votes"]["finished"] == 1
    whole = client.chat.completions.create(**question)  # type: ignore[call-overload]
    assert whole.choices[0].message.content == "".join(parts)
    assert "Answer:" not in "".join(parts)
    assert server.policy.opened[-1].is_chat


@pytest.mark.parametrize(("effort", "votes"), [("none", [1]), ("low", range(3, 9))])
def test_an_effort_that_is_asked_for_holds_for_every_message(
    server: Served, client: openai.OpenAI, effort: str, votes: Sequence[int]
) -> None:
    found = ask(client, "Say something kind.", reasoning_effort=effort, seed=1)
    assert found.adascale["votes"]["finished"] in votes  # type: ignore[attr-defined]
    assert not server.policy.opened[-1].is_chat


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


def test_a_stop_text_ends_a_reply_that_is_not_searched_for() -> None:
    with served(policy=EchoPolicy(echo, pause=0.02)) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none")
        whole = ask(client, "Say 42", reasoning_effort="none")
        cut = ask(client, "Say 42", reasoning_effort="none", stop=" look")
    [choice] = cut.choices
    assert (choice.message.content, choice.finish_reason) == ("We", "stop")
    assert whole.usage is not None
    assert cut.usage is not None
    assert cut.usage.completion_tokens < whole.usage.completion_tokens / 2
    assert cut.usage.completion_tokens_details is not None
    assert cut.usage.completion_tokens_details.reasoning_tokens == 0


def test_the_name_of_the_model_may_give_the_effort(client: openai.OpenAI) -> None:
    found = client.chat.completions.create(
        model=f"{MODEL}:none", messages=[{"role": "user", "content": "Say 42"}]
    )
    assert found.adascale["votes"]["finished"] == 1  # type: ignore[attr-defined]
    assert found.model == f"{MODEL}:none"


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


def test_tokens_of_every_answer_that_is_shown_are_no_reasoning(client: openai.OpenAI) -> None:
    def shown(n: int) -> int:
        usage = ask(client, "Say 42", n=n, reasoning_effort="high", seed=SPLIT).usage
        assert usage is not None
        assert usage.completion_tokens_details is not None
        return usage.completion_tokens - (usage.completion_tokens_details.reasoning_tokens or 0)

    assert shown(2) == 2 * shown(1)


def test_a_budget_of_tokens_holds(client: openai.OpenAI) -> None:
    found = ask(client, "Say 42", max_completion_tokens=5)
    assert found.adascale["stop_reason"] == "budget"  # type: ignore[attr-defined]
    assert found.usage is not None
    assert found.usage.completion_tokens < ask(client, "Say 42").usage.completion_tokens  # type: ignore[union-attr]
    most = ask(client, "Say 42", max_completion_tokens=100, reasoning_effort="max")
    assert most.usage is not None
    assert 100 <= most.usage.completion_tokens < 200


def test_the_same_seed_gives_the_same_draws(client: openai.OpenAI) -> None:
    def drawn(seed: int) -> object:
        found = ask(client, "Say 42", seed=seed, reasoning_effort="max")
        return found.adascale["groups"]  # type: ignore[attr-defined]

    assert drawn(7) == drawn(7)
    assert len({str(drawn(seed)) for seed in range(4)}) > 1


def test_earlier_turns_and_system_messages_go_to_the_model(server: Served, client: openai.OpenAI) -> None:
    client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Say 1"},
            {"role": "assistant", "content": "1"},
            {"role": "user", "content": [{"type": "text", "text": "Say"}, {"type": "text", "text": "2"}]},
        ],
    )
    asked = server.policy.opened[-1]
    assert asked.question == "Say\n2"
    assert asked.history == (Turn("system", "Be brief."), Turn("user", "Say 1"), Turn("assistant", "1"))


def test_an_answer_can_be_sent_back_as_it_came(server: Served, client: openai.OpenAI) -> None:
    first = ask(client, "Say 1").choices[0].message.model_dump()
    messages = [{"role": "user", "content": "Say 1"}, first, {"role": "user", "content": "Say 2"}]
    client.chat.completions.create(model=MODEL, messages=messages)  # type: ignore[call-overload]
    assert server.policy.opened[-1].history[1] == Turn("assistant", first["content"])


def test_the_models_are_listed_with_their_efforts(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == MODEL
    assert {f"{MODEL}:high", f"{MODEL}:chat"} <= set(names)
    assert client.models.retrieve(f"{MODEL}:high").owned_by == "adascale"
    with pytest.raises(openai.NotFoundError, match="is not served here"):
        client.models.retrieve("gpt-9")


@pytest.mark.parametrize(
    ("body", "param", "text"),
    [
        ({"model": "scriptid"}, "model", "there is scripted"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "is not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format", "is not supported"),
        ({"reasoning_effort": "huge"}, "reasoning_effort", "has to be one of none, minimal, low"),
        ({"model": "scripted:low", "reasoning_effort": "high"}, "reasoning_effort", "name says low"),
        ({"max_completion_tokens": -1}, "max_completion_tokens", "has to be a whole number from 1"),
        ({"n": 99}, "n", "has to be a whole number from 1 to 16"),
        ({"stop": ["a"] * 5}, "stop", "at most 4"),
        ({"seed": 1 << 70}, "seed", "whole number"),
        ({"temperature": "hot"}, "temperature", "has to be a number"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "stream: true"),
        ({"messages": []}, "messages", "a list of 1 to 512"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages", "the user's"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "has to be one of"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages[0].content", "is empty"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0].type",
            "only text can be read",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name(
    client: openai.OpenAI, body: dict[str, object], param: str, text: str
) -> None:
    usual = {"model": MODEL, "messages": [{"role": "user", "content": "Say 42"}]}
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**{**usual, **body})  # type: ignore[call-overload]
    assert caught.value.status_code == (404 if param == "model" else 400)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["param"] == param
    assert caught.value.body["type"] == "invalid_request_error"
    assert text in caught.value.body["message"]


def test_what_is_not_used_is_ignored_and_named(client: openai.OpenAI) -> None:
    sampler = {"temperature": 0.1, "top_p": 0.95, "presence_penalty": 0.5, "frequency_penalty": 0}
    more = {"top_k": 20, "min_p": 0.05, "options": {"num_ctx": 4096}, "keep_alive": "5m", "beam_width": None}
    found = ask(client, "Say 42", seed=1, **sampler, extra_body=more)
    summary = found.adascale  # type: ignore[attr-defined]
    assert set(summary["ignored"]) == {
        "temperature", "presence_penalty", "top_k", "min_p", "options", "keep_alive"
    }  # fmt: skip
    assert summary["sampling"] == {"temperature": 0.5, "top_p": 0.95}
    assert found.choices == ask(client, "Say 42", seed=1).choices


@pytest.mark.parametrize(
    ("question", "more", "replies", "ignored"),
    [
        ("Say 42", {}, True, []),
        ("Say something kind.", {}, True, []),
        ("Say 42", {"reasoning_effort": "low"}, False, ["temperature"]),
    ],
)
def test_temperature_0_is_one_greedy_reply_unless_a_search_is_asked_for(
    client: openai.OpenAI, question: str, more: dict[str, object], replies: bool, ignored: list[str]
) -> None:
    found = ask(client, question, temperature=0, seed=1, **more)
    summary = found.adascale  # type: ignore[attr-defined]
    assert (summary["votes"]["finished"] == 1, summary["ignored"]) == (replies, ignored)
    assert summary["sampling"]["temperature"] == (0 if replies else 0.5)


def test_a_strict_server_refuses_what_has_no_effect() -> None:
    with (
        served(strict=True) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        for more, text in (
            ({"temperature": 1.0}, "temperature: is 0.5 for all requests"),
            ({"top_p": 0.5}, "top_p: is 0.95 for all requests"),
            ({"extra_body": {"beam_width": 3}}, "beam_width: is not supported"),
        ):
            with pytest.raises(openai.BadRequestError, match=text):
                ask(client, "Say 42", **more)
        assert ask(client, "Say 42", temperature=0.5).choices


@pytest.mark.parametrize("streamed", [False, True])
def test_a_question_that_does_not_fit_is_refused_with_both_numbers(
    client: openai.OpenAI, streamed: bool
) -> None:
    with pytest.raises(openai.BadRequestError, match="9,999 tokens, the model's window is 2,048") as caught:
        ask(client, "a long one", stream=streamed)
    assert caught.value.code == "context-overflow"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_worker_that_dies_is_a_503(client: openai.OpenAI, streamed: bool) -> None:
    with pytest.raises(openai.InternalServerError, match="was ended by SIGKILL") as caught:
        ask(client, "an unlucky one", stream=streamed)
    assert (caught.value.status_code, caught.value.code) == (503, "worker-died")


def test_a_question_that_ends_the_worker_is_not_repeated(server: Served, client: openai.OpenAI) -> None:
    before = len(server.policy.opened)
    with pytest.raises(openai.InternalServerError, match="was ended by SIGKILL") as caught:
        ask(client.with_options(max_retries=2), "a deadly one")
    assert (caught.value.status_code, caught.value.code) == (500, "deadly-question")
    assert len(server.policy.opened) == before + 1


def test_an_error_behind_the_beginning_of_a_stream_ends_it_as_an_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="the PRM's window is 2,048"):
        stream(client, "an unreadable one")


def test_many_clients_get_each_their_own_answer(server: Served, client: openai.OpenAI) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: ask(client, f"Say {10 * n}", seed=n), range(48)))
    # One trajectory in four says one more.
    assert [int(found.adascale["answer"]) // 10 for found in answers] == list(range(48))  # type: ignore[attr-defined]
    server.wait_until_idle()
    assert sorted(server.policy.closed) == sorted(problem.id for problem in server.policy.opened)


def test_the_async_client_streams_too(server: Served) -> None:
    async def collect(n: int) -> str:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            chunks = await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": f"Say {10 * n}"}], stream=True, seed=n
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*map(collect, range(8)))

    found = asyncio.run(all_of_them())
    assert [int(text.rpartition(": ")[2]) // 10 for text in found] == list(range(8))


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


def test_more_than_may_wait_get_429_and_when_to_come_again() -> None:
    with served(policy=EchoPolicy(echo, pause=0.002), parallel=1, max_queue=1) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)

        def attempt(n: int) -> str:
            try:
                return str(ask(client, f"Say {n}").adascale["answer"])  # type: ignore[attr-defined]
            except openai.RateLimitError as error:
                return f"{error.code}, come again in {error.response.headers['retry-after']} s"

        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(attempt, range(0, 60, 10)))
        assert found.count("queue-full, come again in 1 s") == 4
        server.wait_until_idle()
        assert attempt(70) == "70"
        client.close()
