from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import replies
from loopback import KEY, Reply, WebServer, listening
from replies import breaks_off, delta, is_silent, says, sse, token, usage, writes_words

from adascale.engine.errors import (
    AdascaleError,
    ContextOverflowError,
    DecodeAbortedError,
    ModelNotFoundError,
    ModelUnavailableError,
)
from adascale.engine.ports import PrefixWork
from adascale.engine.search.events import SearchFailed
from adascale.models.options import SamplingParams
from adascale.models.upstream import client as module
from adascale.models.upstream.address import Address
from adascale.models.upstream.client import Chunk, Client
from adascale.models.upstream.servers import Server

MESSAGES = [{"role": "user", "content": "2 + 2?"}]
SAMPLER = SamplingParams(max_tokens=32)
BODY = Server(model="tiny").body(MESSAGES, SAMPLER, 7)


@contextmanager
def opened(
    reply: Reply, key: str | None = None, said: list[str] | None = None
) -> Iterator[tuple[WebServer, Client]]:
    with listening(reply) as server:
        client = Client(Address.parse(server.url, key), [].append if said is None else said.append)
        try:
            yield server, client
        finally:
            client.close()


def chunks_of(client: Client, *streams: int, seconds: float = 20) -> list[Chunk]:
    """Chunks until these streams have ended; of one stream, 0, if none is named."""
    left, chunks, end = set(streams or (0,)), [], time.monotonic() + seconds
    while left:
        assert time.monotonic() < end, chunks
        for chunk in client.poll(0.1):
            chunks.append(chunk)
            if chunk.finish or chunk.error:
                left.discard(chunk.stream)
    return chunks


def drawn(reply: Reply, key: str | None = None, said: list[str] | None = None) -> list[Chunk]:
    with opened(reply, key=key, said=said) as (_, client):
        client.start(0, BODY)
        return chunks_of(client)


def failure(reply: Reply, key: str | None = None) -> AdascaleError:
    *_, last = drawn(reply, key=key)
    assert last.error is not None
    return last.error


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes become a second or two."""
    for name, value in {"PATIENCE": 2.0, "_FIRST": 1.0, "_NEXT": 0.6, "_LAST": 0.3}.items():
        monkeypatch.setattr(module, name, value)


def test_a_stream_brings_text_tokens_logprobs_and_usage() -> None:
    events = [
        delta(""),
        token("It", ("It", -0.5), ("A", -1.5), ("It", -9.0)),
        token(" is 4."),
        delta(finish="stop"),
        usage(9, 3, 5),
    ]
    *chunks, last = drawn(replies.streams(*events))
    assert [(each.text, each.tokens, each.logprob) for each in chunks] == [
        ("It", 1, -0.5),
        (" is 4.", 1, -0.5),
    ]
    assert [dict(each.alternatives) for each in chunks] == [{"It": -0.5, "A": -1.5}, {}]
    assert last == Chunk(0, tokens=1, finish="stop", work=PrefixWork(4, 5))


def test_a_request_says_what_is_asked_and_carries_the_key() -> None:
    with opened(writes_words("4"), key=KEY) as (server, client):
        client.start(0, Server(model="tiny").body(MESSAGES, SAMPLER, 7, 3, {"type": "object"}))
        chunks_of(client)
        [(path, headers, body)] = server.asked
    assert path == "/v1/chat/completions"
    assert (headers["authorization"], headers["accept-encoding"]) == (f"Bearer {KEY}", "identity")
    named = {"name": "reply", "schema": {"type": "object"}, "strict": True}
    assert body == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "2 + 2?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.8,
        "top_p": 0.95,
        "max_tokens": 32,
        "seed": 7,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "logprobs": True,
        "top_logprobs": 3,
        "response_format": {"type": "json_schema", "json_schema": named},
    }


@pytest.mark.parametrize(("context", "sent"), [(None, 32), (2048, 32), (20, 20)])
def test_no_more_tokens_are_asked_for_than_the_context_has(context: int | None, sent: int) -> None:
    assert Server(context=context).body(MESSAGES, SAMPLER)["max_tokens"] == sent


def test_streams_run_side_by_side() -> None:
    together = threading.Barrier(16)

    def reply(call: Any) -> None:
        together.wait(10)
        writes_words("It is 4.")(call)

    with opened(reply) as (_, client):
        for stream in range(16):
            client.start(stream, BODY)
        chunks = chunks_of(client, *range(16))
    assert {text_of([each for each in chunks if each.stream == stream]) for stream in range(16)} == {
        "It is 4."
    }


def test_a_cancelled_stream_is_closed_at_the_server() -> None:
    with opened(replies.holds(delta("It"), delta(" is"))) as (server, client):
        stream = client.start(0, BODY)
        while not client.poll(0.1):
            pass
        stream.cancel()
        assert server.gone.wait(1)


def test_a_reply_that_nobody_waits_for_is_closed_at_the_server() -> None:
    with opened(replies.holds(delta("It"))) as (server, client):
        with pytest.raises(DecodeAbortedError):
            client.reply(BODY, is_left=lambda: bool(server.asked))
        assert server.gone.wait(1)


def test_a_reply_has_nothing_of_a_stream_that_broke() -> None:
    with opened(replies.in_turn(replies.dies_after(delta("It"), delta(" is")), writes_words("No."))) as (
        _,
        client,
    ):
        assert text_of(client.reply(BODY)) == "No."


def test_a_refused_request_is_sent_once_more_without_what_a_server_may_lack() -> None:
    def reply(call: Any) -> None:
        (replies.errs(400, "no logprobs") if "logprobs" in call.body else writes_words("It is 4."))(call)

    assert text_of(drawn(reply)) == "It is 4."


def test_a_thought_is_no_text() -> None:
    thought = {"choices": [{"delta": {"reasoning_content": "Hm.", "reasoning": "Hm."}}]}
    chunks = drawn(replies.streams(thought, delta("4"), delta(finish="stop")))
    assert [(each.thought, each.text, each.tokens) for each in chunks[:-1]] == [("Hm.", "", 1), ("", "4", 1)]


def test_log_probabilities_at_the_end_count_no_token_twice() -> None:
    entries = [{"token": "x", "logprob": -0.5}] * 3
    whole = delta(finish="length", logprobs={"content": entries})
    chunks = drawn(replies.streams(delta("It is"), delta(" 4."), whole, usage(9, 3)))
    assert sum(each.tokens for each in chunks) == 3
    assert chunks[2].logprob == -1.5
    assert chunks[-1].finish == "length"


@pytest.mark.parametrize("lie", [10**8, 10**400, -5, 1e308, math.nan, "6", True])
def test_the_usage_of_a_server_counts_no_more_than_was_written_and_asked_for(lie: Any) -> None:
    chunks = drawn(
        replies.streams(delta("It is"), delta(" 4."), delta(finish="stop"), usage(lie, lie, 10**30))
    )
    assert 2 <= sum(each.tokens for each in chunks) <= len("It is 4.")
    work = chunks[-1].work
    assert 0 <= work.evaluated_tokens + work.reused_tokens < 1e9


def test_a_token_is_no_megabyte() -> None:
    chunks = drawn(replies.streams(delta("It"), *[delta("x" * 100_000)] * 9, delta(finish="stop")))
    assert (text_of(chunks), chunks[-1].finish) == ("It", "length")
    [end] = drawn(replies.streams(delta("4", logprobs={"content": [{"logprob": -0.1}] * 30_000})))
    assert (end.tokens, end.finish) == (0, "length")


def test_no_token_is_likelier_than_certain() -> None:
    [first, *_] = drawn(replies.streams(token("4", logprob=0.009), delta(finish="stop")))
    assert first.logprob == 0.0


def test_halves_of_a_surrogate_pair_are_no_text() -> None:
    assert text_of(drawn(replies.streams(delta("4\ud83d"), delta("\ude00", "stop")))) == "4??"


@pytest.mark.parametrize(
    "stalls",
    [
        is_silent,
        replies.holds(),
        replies.holds(delta("It")),
        replies.drips(sse(delta("It"))[:1], 0.1),
        replies.errs(429, "", Retry_After="0"),
        replies.streams(delta("It")),
    ],
)
def test_a_stream_ends_within_its_time_however_its_server_stalls(stalls: Reply) -> None:
    begun = time.monotonic()
    with (
        opened(stalls) as (_, client),
        pytest.raises(AdascaleError, match=r"has completed no reply for 0\.3 s"),
    ):
        client.reply(BODY, 0.3)
    assert time.monotonic() - begun < 1


def test_a_server_that_does_not_stream_is_understood() -> None:
    assert text_of(drawn(says("It is 4."))) == "It is 4."


def test_only_the_choice_that_was_asked_for_counts() -> None:
    both = {"choices": [delta("no", index=1)["choices"][0], delta("4")["choices"][0]]}
    assert text_of(drawn(replies.streams(both, delta("no", "stop", index=1), delta(finish="stop")))) == "4"


def test_log_probabilities_that_are_none_are_left_out() -> None:
    chunks = drawn(replies.NULL_LOGPROBS)
    assert (text_of(chunks), {each.logprob for each in chunks}) == ("It is 4.", {None})


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (replies.errs(401, {"message": f"who is {KEY}?"}), "requires a key"),
        (replies.errs(404, {"message": "model 'tiny' not found"}), "lacks the model"),
        (replies.errs(500, "out of memory"), "refuses the request"),
        (replies.streams({"error": {"message": "out of memory", "code": 500}}), "refuses the request"),
        (replies.streams(delta("It"), {"error": "out of memory"}), "refuses the request"),
        (replies.answers(b"", 307, Location="http://elsewhere:80/v1"), "refuses the request"),
        (replies.answers(b"", 307, Location="http://[::1"), "refuses the request"),
        (replies.packs_a_bomb, "no chat completion"),
        (replies.streams("[1]"), "no chat completion"),
        (replies.streams("{"), "no chat completion"),
        (replies.streams("[" * 100_000), "no chat completion"),
        (replies.streams(delta("x" * (1 << 21))), "no chat completion"),
        (replies.drips(b": still here\n\n"), "has begun no reply for 1 s"),
        (replies.holds(delta("It")), "has written nothing more for 0.6 s"),
        (replies.errs(429, "slow down", Retry_After="3600"), "has too many requests"),
        (replies.errs(503, {"message": "Loading model"}), "is not ready"),
        (replies.streams(delta("It", "abort")), "broke off in the middle"),
        (replies.streams(delta("It")), "broke off in the middle"),
        (replies.streams(delta("It"), done=False), "broke off in the middle"),
        (breaks_off, "broke off in the middle"),
    ],
)
def test_a_failure_is_an_error_in_words_without_the_key(reply: Reply, words: str) -> None:
    error = failure(reply, KEY)
    assert words in error.message
    assert KEY not in f"{error.message} {error.facts}"


def test_a_redirect_is_not_followed() -> None:
    with listening(writes_words("4")) as elsewhere:
        failure(replies.answers(b"", 307, Location=f"{elsewhere.url}/v1/chat/completions"), KEY)
        assert elsewhere.asked == []


def test_errors_have_the_class_that_commands_know() -> None:
    assert isinstance(failure(replies.errs(404, "no such model")), ModelNotFoundError)
    too_long = {
        "type": "exceed_context_size_error",
        "message": "the request exceeds the available context size",
    }
    assert isinstance(failure(replies.errs(400, too_long)), ContextOverflowError)
    busy = failure(replies.errs(429, "slow down", Retry_After="3600"))
    assert isinstance(SearchFailed.of(busy).error(), ModelUnavailableError), "from a worker, too"


def test_nothing_that_listens_is_said_after_a_while() -> None:
    with listening(writes_words("4")) as server:
        url = server.url
    client = Client(Address.parse(url), print)
    client.start(0, BODY)
    *_, last = chunks_of(client)
    client.close()
    assert last.error is not None
    assert "nothing answers at 127.0.0.1" in last.error.message


def test_a_stream_without_end_ends_at_its_tokens() -> None:
    chunks = drawn(replies.never_ends)
    assert chunks[-1].finish == "length"
    assert 32 < sum(each.tokens for each in chunks) < 100


def test_a_server_that_goes_on_behind_the_end_is_left() -> None:
    assert drawn(replies.holds(delta("4", "stop")))[-1].finish == "stop"


@pytest.mark.parametrize(
    "busy",
    [replies.errs(429, "slow down"), replies.errs(429, "slow down", Retry_After="0"), replies.errs(503, "")],
)
def test_a_busy_server_is_asked_again_and_said_once(busy: Reply) -> None:
    said: list[str] = []
    assert text_of(drawn(replies.in_turn(busy, busy, writes_words("It is 4.")), said=said)) == "It is 4."
    assert len(said) == 1


def test_retry_after_is_waited_for() -> None:
    begun = time.monotonic()
    drawn(replies.in_turn(replies.errs(429, "", Retry_After="1"), writes_words("4")))
    assert time.monotonic() - begun >= 1


def test_a_connection_that_was_just_closed_is_no_news() -> None:
    said: list[str] = []
    assert text_of(drawn(replies.in_turn(breaks_off, writes_words("It is 4.")), said=said)) == "It is 4."
    assert not said


@pytest.mark.parametrize("broken", [replies.dies_after(delta("It"), delta(" is")), replies.half_an_event])
def test_a_draw_whose_stream_broke_begins_again(broken: Reply) -> None:
    said: list[str] = []
    chunks = drawn(replies.in_turn(broken, writes_words("It is 4.")), said=said)
    [at] = [at for at, each in enumerate(chunks) if each.begins_again]
    assert text_of(chunks[:at]).startswith("It")
    assert text_of(chunks[at:]) == "It is 4."
    assert len(said) == 1


def test_a_draw_whose_stream_breaks_each_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BREAKS", 2)
    assert failure(replies.dies_after(delta("It"))).slug == "upstream-gone"
