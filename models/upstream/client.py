"""Many streamed chat completions at once: an event loop in a thread of its own, which hands over chunks.

A stream is one request of one choice; closing its connection ends it at the server. A server that is busy,
starts or has gone is asked again for ``PATIENCE`` seconds, and a stream that broke begins again. Nothing that
a server says is believed: replies have limits of bytes, tokens and time, numbers a range, a redirect is not
followed, and nothing is unpacked.
"""

from __future__ import annotations

import asyncio
import json
import math
import queue
import random
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2

from adascale.engine.codec import encodable
from adascale.engine.errors import (
    AdascaleError,
    ContextOverflowError,
    ModelNotFoundError,
    ModelUnavailableError,
    command,
    excerpt,
    explained,
)
from adascale.engine.ports import PrefixWork
from adascale.engine.types import Notice

from .address import KEY_VARIABLE, Address
from .servers import SERVERS, Asked, Entry, Facts, inner, listed

Finish = Literal["stop", "length"]

HANDED_ON = "X-Adascale-Handed-On"
"""Header of every request of ours: an adascale server hands such a question on to no fallback."""

PATIENCE = 300.0
"""Seconds that a draw waits for a server that is busy, starts or has gone."""

_FIRST, _NEXT, _LAST, _PAGE = 300.0, 60.0, 2.0, 15.0
"""Seconds to the first token of a stream, which may queue; to each further one; to the usage; and to the end
of a list of models or another page."""

_BREAKS = 8
"""Breaks of a stream after which its draw is given up: it may be what ends the server."""

_MAX_BYTES, _MAX_PAGE = 1 << 20, 1 << 23
"""Largest size of an event, and of a list of models."""

_TOKEN_CHARACTERS = 64
"""Characters of a reply for each token that was asked for: more than any tokenizer writes on average."""

_MOST_TOKENS = 1e9
"""No server counts more of them."""

_BUSY = (429, 502, 503, 504)
"""Statuses with which a server, or a proxy before it, asks to come back."""

_OVERFLOW = re.compile(r"context[ _](?:length|size|window)|maximum context|too long", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a stream.

    Attributes:
        stream: The stream.
        text: Text of the reply.
        thought: Text of the thought before it.
        tokens: Tokens since the last chunk, counted one a piece until the server says how many there were.
        logprob: Sum of log-probabilities in nats that came with it; None where none did. Some servers send
            all of them with the last chunk.
        alternatives: Log-probability in nats of each of the likeliest first tokens, once.
        finish: Reason why the reply has ended.
        work: Tokens of the prompt, in the last chunk, as far as the server says them.
        begins_again: True if the server broke the stream and the draw begins anew: what came before it is
            void, though its tokens were written.
        error: Reason why the stream has ended without a reply.
    """

    stream: int
    text: str = ""
    thought: str = ""
    tokens: int = 0
    logprob: float | None = None
    alternatives: Mapping[str, float] = field(default_factory=dict)
    finish: Finish | None = None
    work: PrefixWork = PrefixWork()
    begins_again: bool = False
    error: AdascaleError | None = None


Say = Callable[[Notice], None]


class _BusyError(Exception):
    """The server asks to come back after so many seconds, or whenever we like."""

    def __init__(self, error: AdascaleError, seconds: float) -> None:
        super().__init__(error.message)
        self.error, self.seconds = error, seconds


class Client:
    """Runs streams at one server.

    Args:
        address: The server.
        say: Gets a notice while draws wait for the server, from a thread of the client; None: they do not.
        seconds: Time after which nothing is waited for any more.
    """

    def __init__(self, address: Address, say: Say | None, seconds: float = math.inf) -> None:
        self._address, self._say = address, say
        self._until = time.monotonic() + seconds
        self._chunks: queue.SimpleQueue[tuple[_Draw, Chunk]] = queue.SimpleQueue()
        self._draws: dict[int, tuple[_Draw, Future[None]]] = {}
        self._said: set[str] = set()
        # The key goes to this host alone, and what is packed is not asked for.
        key = {} if address.key is None else {"Authorization": f"Bearer {address.key}"}
        self._http = httpx2.AsyncClient(
            headers={"Accept-Encoding": "identity", HANDED_ON: "1", **key},
            timeout=httpx2.Timeout(30, connect=10, read=None, pool=None),
            limits=httpx2.Limits(max_connections=None),
            follow_redirects=False,
            trust_env=not address.is_local,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstream", daemon=True)
        self._thread.start()

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._until - time.monotonic()

    def get(self, url: str) -> tuple[int, Any, Mapping[str, str]]:
        """Status, JSON and headers of a page.

        Raises:
            ModelUnavailableError: It has not come, or not in time.
        """
        return asyncio.run_coroutine_threadsafe(self._get(url), self._loop).result()

    async def _get(self, url: str) -> tuple[int, Any, Mapping[str, str]]:
        seconds = min(_PAGE, self.left)
        try:
            async with asyncio.timeout(seconds), self._http.stream("GET", url) as response:
                return response.status_code, _parsed(await _read(response, _MAX_PAGE)), response.headers
        except TimeoutError:
            raise silent(self._address, f"not sent {url}", seconds) from None
        except httpx2.TransportError as exc:
            raise unreachable(self._address, exc) from None

    def start(self, stream: int, asked: Asked, facts: Facts) -> None:
        """Begin a stream, whose number no running one has, at a server of these abilities and limits."""
        draw = _Draw(stream, asked, facts)
        self._draws[stream] = draw, asyncio.run_coroutine_threadsafe(self._run(draw), self._loop)

    def poll(self, seconds: float) -> list[Chunk]:
        """Chunks of all streams since the last call, in the order they came.

        Args:
            seconds: Time to wait for the first one.
        """
        chunks = []
        try:
            draw, chunk = self._chunks.get(timeout=seconds)
            while True:
                if self._draws.get(draw.stream, (None,))[0] is draw:  # it was not cancelled since
                    chunks.append(chunk)
                    if chunk.finish or chunk.error:
                        del self._draws[draw.stream]
                draw, chunk = self._chunks.get_nowait()
        except queue.Empty:
            return chunks

    def cancel(self, stream: int) -> None:
        """End a stream, if it runs: its connection is closed, and no chunk of it comes any more."""
        if (found := self._draws.pop(stream, None)) is not None:
            found[1].cancel()

    def close(self) -> None:
        """End all streams."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._http.aclose()

    async def _run(self, draw: _Draw) -> None:
        seconds = min(draw.asked.seconds, self.left)
        try:
            async with asyncio.timeout(seconds):
                await self._draw(draw)
        except TimeoutError:
            error = silent(self._address, "completed no reply", seconds)
            self._put(draw, Chunk(draw.stream, error=error))
        except Exception as exc:  # whoever polls must hear of it, or waits for ever
            self._put(draw, Chunk(draw.stream, error=explained(exc, "")))

    def _put(self, draw: _Draw, chunk: Chunk) -> None:
        self._chunks.put((draw, chunk))

    async def _draw(self, draw: _Draw) -> None:
        """Run a stream to its end, again and again while its failures may pass."""
        clock = self._loop.time
        since, tries, broken = clock(), 0, 0
        while True:
            asked_for = 0.0
            try:
                await self._stream(draw)
                return
            except _BusyError as exc:
                failure, asked_for = exc.error, exc.seconds
            except httpx2.TransportError as exc:
                failure = unreachable(self._address, exc)
            if draw.was_heard:
                since, tries, broken = clock(), 0, broken + 1
                self._put(draw, Chunk(draw.stream, begins_again=True))
            tries += 1
            seconds = max(asked_for, min(8.0, 0.25 * 2**tries) * random.uniform(0.5, 1))
            if self._say is None or broken >= _BREAKS or clock() + seconds - since > PATIENCE:
                raise failure
            # A connection that was kept may just have been closed: the first try says nothing.
            if (broken or tries > 1) and failure.slug not in self._said:
                self._said.add(failure.slug)
                text = f"{failure.message}; its draws wait, {PATIENCE / 60:.0f} minutes at most"
                self._say(Notice("upstream-waits", text, failure.facts, failure.hint))
            await asyncio.sleep(seconds)

    async def _stream(self, draw: _Draw) -> None:
        """Send the request, and hand over what comes back.

        Raises:
            AdascaleError: The server refuses it, or says nothing for too long.
            httpx2.TransportError: The connection was lost.
        """
        url, clock = f"{self._address.url}/chat/completions", self._loop.time
        body = SERVERS[draw.facts.server].body(draw.asked, draw.facts)
        draw.begin()
        try:
            async with (
                asyncio.timeout(_FIRST) as limit,
                self._http.stream("POST", url, json=body) as response,
            ):
                if response.status_code != 200:
                    body = _parsed(await _read(response))
                    self._refuse(draw, response.status_code, body, response.headers)
                async for event in _events(response):
                    if event.get("error") or event.get("object") == "error":
                        self._refuse(draw, _status(event), event, {})
                    chunk = draw.read(event)
                    if chunk.tokens:
                        limit.reschedule(clock() + _NEXT)
                    if chunk != Chunk(draw.stream):
                        self._put(draw, chunk)
                    if draw.has_ended:
                        limit.reschedule(clock() + _LAST)
                    if draw.is_over:
                        break
        except (TimeoutError, httpx2.TransportError) as exc:
            if not draw.has_ended and isinstance(exc, TimeoutError):
                what = ("written nothing more", _NEXT) if draw.was_heard else ("begun no reply", _FIRST)
                raise silent(self._address, *what) from None
            if not draw.has_ended:
                raise
        if not draw.has_ended:
            raise httpx2.ReadError("")
        self._put(draw, draw.end())

    def _refuse(self, draw: _Draw, status: int, body: Any, headers: Mapping[str, str]) -> None:
        error = refusal(self._address, draw.facts.model, status, body, headers)
        if status not in _BUSY:
            raise error
        after = headers.get("retry-after", "")
        raise _BusyError(error, float(after) if after.isdecimal() else 0.0)


class _Draw:
    """One stream: what was asked, what has come, and how it ended.

    Attributes:
        stream: Its number.
        asked: The request.
        facts: Abilities and limits of the server.
        was_heard: True if tokens came since the request was sent.
        is_over: True if more came than was asked for; what is beyond it is dropped.
    """

    def __init__(self, stream: int, asked: Asked, facts: Facts) -> None:
        self.stream, self.asked, self.facts = stream, asked, facts
        self._most = 2 * asked.max_tokens + 16
        self.begin()

    def begin(self) -> None:
        """Forget the last try."""
        self.was_heard = self.is_over = False
        self._characters = self._counted = self._listed = 0
        self._finish: Finish | None = None
        self._usage: Entry = {}

    def read(self, event: Entry) -> Chunk:
        """The chunk of an event; what is not as it should be is left out."""
        choice = next((each for each in listed(event, "choices") if each.get("index", 0) == 0), {})
        delta = inner(choice, "delta") or inner(choice, "message")  # of a server that does not stream
        text = _text(delta, "content")
        thought = _text(delta, "reasoning_content") or _text(delta, "reasoning")
        entries = [
            each for each in listed(inner(choice, "logprobs"), "content") if _logprob(each) is not None
        ]
        self._usage = inner(event, "usage") or self._usage
        self._listed += len(entries)
        tokens = max(self._listed - self._counted, 0) if entries else int(bool(text or thought))
        self._characters += len(text) + len(thought)
        if self._counted + tokens > self._most or self._characters > _TOKEN_CHARACTERS * self._most:
            self.is_over, self._finish = True, "length"
            return Chunk(self.stream)
        self._counted += tokens
        self.was_heard |= tokens > 0
        finish = _text(choice, "finish_reason")
        if finish not in ("", "abort", "error") and self._finish is None:
            self._finish = "length" if finish == "length" else "stop"
        logprob = sum(_logprob(each) or 0.0 for each in entries) if entries else None
        alternatives = _alternatives(entries[0]) if entries and self._listed == len(entries) else {}
        return Chunk(self.stream, text, thought, tokens, logprob, alternatives)

    @property
    def has_ended(self) -> bool:
        """True once there is a reason for the end."""
        return self._finish is not None

    def end(self) -> Chunk:
        """The chunk with the end, and the tokens that no chunk has counted: some events have several."""
        written, prompt = (_count(self._usage, f"{name}_tokens") for name in ("completion", "prompt"))
        written = min(written, self.asked.max_tokens, self._characters)  # a token has a character at least
        cached = min(prompt, _count(inner(self._usage, "prompt_tokens_details"), "cached_tokens"))
        work = PrefixWork(prompt - cached, cached)
        return Chunk(self.stream, tokens=max(0, written - self._counted), finish=self._finish, work=work)


async def _events(response: httpx2.Response) -> AsyncIterator[Entry]:
    """The events of a stream, or the object of a server that does not stream.

    Raises:
        AdascaleError: It is neither.
    """
    if response.headers.get("content-encoding", "identity") != "identity":
        raise no_completion()
    if "event-stream" not in response.headers.get("content-type", ""):
        yield _event(await _read(response))
        return
    kept = b""
    async for piece in response.aiter_raw():
        *lines, kept = (kept + piece).split(b"\n")
        for line in lines:
            name, _, data = line.strip().partition(b":")
            if name == b"data" and data.strip() == b"[DONE]":
                return
            if name == b"data":
                yield _event(data)
        if len(kept) > _MAX_BYTES:
            raise no_completion()


async def _read(response: httpx2.Response, most: int = _MAX_BYTES) -> bytes:
    """The body as it was sent, as far as it is looked at."""
    data = b""
    async for piece in response.aiter_raw():
        data += piece
        if len(data) > most:
            break
    return data


def _parsed(data: bytes) -> Any:
    """JSON whose texts every encoding has; None for anything else."""
    try:
        return encodable(json.loads(data))
    except (ValueError, RecursionError):
        return None


def _event(data: bytes) -> Entry:
    event = _parsed(data)
    if not isinstance(event, dict):
        raise no_completion()
    return event


def no_completion() -> AdascaleError:
    """The error of a reply that is no chat completion."""
    return AdascaleError(
        "the server writes no chat completion",
        hint=f"the URL of an OpenAI-compatible API, which usually ends in /v1; {command('list')} shows some",
        slug="upstream-reply",
    )


def silent(address: Address, what: str, seconds: float) -> AdascaleError:
    """The error of a server that has not done ``what`` in time."""
    text = f"{address.server} has {what} for {round(seconds, 1):g} s"
    return ModelUnavailableError(text, slug="upstream-silent")


def unreachable(address: Address, error: Exception) -> AdascaleError:
    """The error of a server that does not answer."""
    text, hint = f"{address.server} broke off in the middle", "see the log of the server"
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        text = f"nothing answers at {address.server}"
        hint = f"start the server; {command('list')} shows those here"
    facts = filter(None, [excerpt(str(error))])
    return ModelUnavailableError(text, *facts, hint=hint, slug="upstream-gone")


def refusal(
    address: Address, model: str, status: int, body: Any, headers: Mapping[str, str]
) -> AdascaleError:
    """The error of a server that refuses a request.

    Args:
        address: The server.
        model: Name of the model that was asked for.
        status: HTTP status.
        body: JSON of its reply, or None.
        headers: Its headers.
    """
    server = address.server
    said = _message(body).replace(address.key or "\0", "KEY")
    facts = _facts(said)
    if 300 <= status < 400:
        host = re.match(r"https?://([^/?#@]+)", headers.get("location", ""))
        other = "another place" if host is None else excerpt(host[1], 80)
        text = f"{server} sends on to {other}, where neither questions nor a key are sent"
        return AdascaleError(text, hint="the address of the server itself", slug="upstream-redirect")
    if status in (401, 403):
        text = f"{server} {'wants a key' if address.key is None else 'refuses the key'}"
        return AdascaleError(text, *facts, hint=f"{KEY_VARIABLE}=KEY", slug="upstream-key")
    if _OVERFLOW.search(said):
        hint = "start the server with a larger context"
        return ContextOverflowError(
            f"the question does not fit into the context of {server}", *facts, hint=hint
        )
    if status == 404 and said:
        return ModelNotFoundError(f"{server} has no model {model}", *facts, hint=command("list"))
    if status in (404, 405):
        return AdascaleError(f"{server} has no chat completions at {address.url}", slug="upstream-reply")
    if status in _BUSY:
        text = f"{server} {'has too many requests' if status == 429 else 'is not ready'}"
        return ModelUnavailableError(text, f"status {status}", *facts, slug="upstream-busy")
    return AdascaleError(f"{server} refuses the request", f"status {status}", *facts, slug="upstream-refuses")


def _message(body: Any) -> str:
    """The words of an error, in the forms that servers have for it."""
    while isinstance(body, dict):
        body = next((body[name] for name in ("error", "message", "detail") if body.get(name)), None)
    return body if isinstance(body, str) else ""


def _status(event: Entry) -> int:
    """The status that an error inside of a reply names."""
    for each in (inner(event, "error"), event):
        for name in ("code", "status"):
            if isinstance(value := each.get(name), int):
                return value
    return 500


def _facts(text: str) -> tuple[str, ...]:
    return (f"it says: {excerpt(text)}",) if text.strip() else ()


def _alternatives(entry: Entry) -> dict[str, float]:
    """Log-probability of each token that could have stood there; of equal texts the likeliest."""
    last_first = reversed(listed(entry, "top_logprobs"))
    return {_text(each, "token"): value for each in last_first if (value := _logprob(each)) is not None}


def _logprob(entry: Entry) -> float | None:
    value = entry.get("logprob")
    return min(0.0, value) if isinstance(value, int | float) and -1e9 < value < 0.01 else None


def _text(value: Entry, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _count(value: Entry, name: str) -> int:
    """The number of tokens in a field; 0 where there is none."""
    found = value.get(name)
    return found if isinstance(found, int) and 0 <= found < _MOST_TOKENS else 0
