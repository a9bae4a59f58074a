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
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import httpx2

from adascale.engine.codec import encodable
from adascale.engine.errors import (
    AdascaleError,
    ContextOverflowError,
    DecodeAbortedError,
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

_MOMENT = 0.05
"""Seconds after which it is looked whether anybody waits for a reply."""

_BUSY = (429, 502, 503, 504)
"""Statuses with which a server, or a proxy before it, asks to come back."""

_OVERFLOW = re.compile(r"context[ _](?:length|size|window)|maximum context|too long", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a stream, or a whole reply.

    Attributes:
        stream: The stream.
        text: Text of the reply.
        thought: Text of the thought before it.
        tokens: Tokens since the last chunk, counted one a piece until the server says how many there were.
        logprob: Sum of log-probabilities in nats that came with it; None if none did. Some servers send
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

T = TypeVar("T")


class _BusyError(Exception):
    """The server may do it later: in so many seconds, or whenever we like."""

    def __init__(self, error: AdascaleError, after: str = "") -> None:
        super().__init__(error.message)
        self.error, self.seconds = error, float(after) if after.isdecimal() else 0.0


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
        return self._soon(self._get(url)).result()

    async def _get(self, url: str) -> tuple[int, Any, Mapping[str, str]]:
        seconds = min(_PAGE, self.left)
        try:
            async with asyncio.timeout(seconds), self._http.stream("GET", url) as response:
                return response.status_code, _parsed(await _read(response, _MAX_PAGE)), response.headers
        except TimeoutError:
            raise silent(self._address, f"not sent {url}", seconds) from None
        except httpx2.TransportError as exc:
            raise unreachable(self._address, exc) from None

    def reply(
        self, asked: Asked, facts: Facts, seconds: float = math.inf, is_left: Callable[[], bool] = bool
    ) -> Chunk:
        """A whole reply as one chunk.

        Args:
            asked: The request.
            facts: Abilities and limits of the server.
            seconds: Time for all of it; infinite if the limits of silence are enough.
            is_left: True when nobody waits.

        Raises:
            DecodeAbortedError: Nobody waits for it any more.
            AdascaleError: There is no reply.
        """
        chunks: list[Chunk] = []

        def put(chunk: Chunk) -> None:
            if chunk.begins_again:
                chunks.clear()
            chunks.append(chunk)

        future = self._soon(self._run(_Draw(0, asked, facts, put), seconds))
        while not wait([future], _MOMENT).done:
            if is_left():
                future.cancel()
                raise DecodeAbortedError("stopped in the middle of a reply")
        last = chunks[-1]
        if last.error is not None:
            raise last.error
        text, thought = ("".join(getattr(each, name) for each in chunks) for name in ("text", "thought"))
        first = next((each.alternatives for each in chunks if each.alternatives), {})
        return replace(last, text=text, thought=thought, alternatives=first)

    def start(self, stream: int, asked: Asked, facts: Facts) -> None:
        """Begin a stream, whose number no running one has, at a server of these abilities and limits."""
        draw = _Draw(stream, asked, facts, lambda chunk: self._chunks.put((draw, chunk)))
        self._draws[stream] = draw, self._soon(self._run(draw))

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
        if (running := self._draws.pop(stream, None)) is not None:
            running[1].cancel()

    def close(self) -> None:
        """End all streams."""
        self._soon(self._end()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _soon(self, task: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(task, self._loop)

    async def _end(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._http.aclose()

    async def _run(self, draw: _Draw, seconds: float = math.inf) -> None:
        """Run a stream to its end, or hand over the error that ends it: who waits must hear of it."""
        seconds = min(seconds, self.left)
        try:
            async with asyncio.timeout(seconds):
                await self._tries(draw)
        except TimeoutError:
            error = silent(self._address, "completed no reply", seconds)
            draw.put(Chunk(draw.stream, error=error))
        except Exception as exc:
            draw.put(Chunk(draw.stream, error=explained(exc, "")))

    async def _tries(self, draw: _Draw) -> None:
        """Run a stream again and again while its failures may pass."""
        clock = self._loop.time
        since, tries, broken = clock(), 0, 0
        while True:
            try:
                return await self._stream(draw)
            except _BusyError as exc:
                failure = exc
            except httpx2.TransportError as exc:
                failure = _BusyError(unreachable(self._address, exc))
            if draw.was_heard:
                since, tries, broken = clock(), 0, broken + 1
                draw.put(Chunk(draw.stream, begins_again=True))
            tries += 1
            seconds = max(failure.seconds, min(8.0, 0.25 * 2**tries) * random.uniform(0.5, 1))
            error = failure.error
            if self._say is None or broken >= _BREAKS or clock() + seconds - since > PATIENCE:
                raise error
            # A connection that was kept may just have been closed: the first try says nothing.
            if (broken or tries > 1) and error.slug not in self._said:
                self._said.add(error.slug)
                text = f"{error.message}; its draws wait, {PATIENCE / 60:.0f} minutes at most"
                self._say(Notice("upstream-waits", text, error.facts, error.hint))
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
                    said = _parsed(await _read(response, _MAX_BYTES))
                    self._refuse(draw, response.status_code, said, response.headers)
                async for event in _events(response):
                    if event.get("error") or event.get("object") == "error":
                        self._refuse(draw, _status(event), event, {})
                    chunk = draw.read(event)
                    if chunk != Chunk(draw.stream):
                        draw.put(chunk)
                    if chunk.tokens or draw.finish:
                        limit.reschedule(clock() + (_LAST if draw.finish else _NEXT))
                    if draw.is_over:
                        break
        except (TimeoutError, httpx2.TransportError) as exc:
            what = ("written nothing more", _NEXT) if draw.was_heard else ("begun no reply", _FIRST)
            failure = silent(self._address, *what) if isinstance(exc, TimeoutError) else exc
        else:
            failure = httpx2.ReadError("")
        if not draw.finish:
            raise failure
        draw.put(draw.end())

    def _refuse(self, draw: _Draw, status: int, body: Any, headers: Mapping[str, str]) -> None:
        error = refusal(self._address, draw.facts.model, status, body, headers)
        raise _BusyError(error, headers.get("retry-after", "")) if status in _BUSY else error


class _Draw:
    """One stream: what was asked, what has come, and how it ended.

    Attributes:
        stream: Its number.
        asked: The request.
        facts: Abilities and limits of the server.
        put: Gets its chunks.
        was_heard: True if tokens came since the request was sent.
        is_over: True if more came than was asked for; what is beyond it is dropped.
        finish: Reason for the end, once there is one.
    """

    def __init__(self, stream: int, asked: Asked, facts: Facts, put: Callable[[Chunk], None]) -> None:
        self.stream, self.asked, self.facts, self.put = stream, asked, facts, put
        self._most = 2 * asked.max_tokens + 16
        self.begin()

    def begin(self) -> None:
        """Forget the last try."""
        self.is_over = False
        self.finish: Finish | None = None
        self._characters = self._counted = self._listed = 0
        self._usage: Entry = {}

    @property
    def was_heard(self) -> bool:
        """True if tokens came since the request was sent."""
        return self._counted > 0

    def read(self, event: Entry) -> Chunk:
        """The chunk of an event; what is not as it should be is left out."""
        choice = next((each for each in listed(event, "choices") if each.get("index", 0) == 0), {})
        delta = inner(choice, "delta") or inner(choice, "message")  # of a server that does not stream
        text = _text(delta, "content")
        thought = _text(delta, "reasoning_content") or _text(delta, "reasoning")
        likely = _likely(listed(inner(choice, "logprobs"), "content"))
        self._usage = inner(event, "usage") or self._usage
        self._listed += len(likely)
        tokens = max(self._listed - self._counted, 0) if likely else int(bool(text or thought))
        self._characters += len(text) + len(thought)
        if self._counted + tokens > self._most or self._characters > _TOKEN_CHARACTERS * self._most:
            self.is_over, self.finish = True, "length"
            return Chunk(self.stream)
        self._counted += tokens
        reason = _text(choice, "finish_reason")
        if reason not in ("", "abort", "error") and self.finish is None:
            self.finish = "length" if reason == "length" else "stop"
        logprob = sum(value for _, value in likely) if likely else None
        first = likely[0][0] if likely and self._listed == len(likely) else {}
        # Of equal texts the likeliest stands first.
        alternatives = {
            _text(entry, "token"): value for entry, value in reversed(_likely(listed(first, "top_logprobs")))
        }
        return Chunk(self.stream, text, thought, tokens, logprob, alternatives)

    def end(self) -> Chunk:
        """The chunk with the end, and the tokens that no chunk has counted: some events have several."""
        written, prompt = (_count(self._usage, f"{name}_tokens") for name in ("completion", "prompt"))
        written = min(written, self.asked.max_tokens, self._characters)  # a token has a character at least
        cached = min(prompt, _count(inner(self._usage, "prompt_tokens_details"), "cached_tokens"))
        work = PrefixWork(prompt - cached, cached)
        return Chunk(self.stream, tokens=max(0, written - self._counted), finish=self.finish, work=work)


async def _events(response: httpx2.Response) -> AsyncIterator[Entry]:
    """The events of a stream, or the object of a server that does not stream.

    Raises:
        AdascaleError: It is neither.
    """
    is_packed = response.headers.get("content-encoding", "identity") != "identity"
    if is_packed or "event-stream" not in response.headers.get("content-type", ""):
        yield _event(b"" if is_packed else await _read(response, _MAX_BYTES))
        return
    try:
        async for event in httpx2.EventSource(response, _MAX_BYTES):
            if event.data == "[DONE]":
                return
            if event.data:
                yield _event(event.data)
    except httpx2.SSEError:
        raise no_completion() from None


async def _read(response: httpx2.Response, most: int) -> bytes:
    """The body as it was sent, as far as it is looked at."""
    data = b""
    async for piece in response.aiter_raw():
        data += piece
        if len(data) > most:
            break
    return data


def _parsed(data: bytes | str) -> Any:
    """JSON whose texts every encoding has; None for anything else."""
    try:
        return encodable(json.loads(data))
    except (ValueError, RecursionError):
        return None


def _event(data: bytes | str) -> Entry:
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
    server, words = address.server, body
    while isinstance(words, dict):  # servers have several forms of an error
        words = next((words[name] for name in ("error", "message", "detail") if words.get(name)), None)
    said = words.replace(address.key or "\0", "KEY").strip() if isinstance(words, str) else ""
    facts = (f"it says: {excerpt(said)}",) if said else ()
    if 300 <= status < 400:
        host = re.match(r"https?://([^/?#@]+)", headers.get("location", ""))
        other = "another place" if host is None else excerpt(host[1], 80)
        text = f"{server} sends on to {other}, where neither questions nor a key are sent"
        return AdascaleError(text, hint="the address of the server itself", slug="upstream-redirect")
    if status in (401, 403):
        text = f"{server} {'wants a key' if address.key is None else 'refuses the key'}"
        return AdascaleError(text, *facts, hint=f"{KEY_VARIABLE}=KEY", slug="upstream-key")
    if _OVERFLOW.search(said):
        text, hint = (
            f"the question does not fit into the context of {server}",
            "start the server with a larger context",
        )
        return ContextOverflowError(text, *facts, hint=hint)
    if status == 404 and said:
        return ModelNotFoundError(f"{server} has no model {model}", *facts, hint=command("list"))
    if status in (404, 405):
        return AdascaleError(f"{server} has no chat completions at {address.url}", slug="upstream-reply")
    facts = (f"status {status}", *facts)
    if status in _BUSY:
        text = f"{server} {'has too many requests' if status == 429 else 'is not ready'}"
        return ModelUnavailableError(text, *facts, slug="upstream-busy")
    return AdascaleError(f"{server} refuses the request", *facts, slug="upstream-refuses")


def _status(event: Entry) -> int:
    """The status that an error inside of a reply names."""
    named = (each.get(name) for each in (inner(event, "error"), event) for name in ("code", "status"))
    return next((value for value in named if isinstance(value, int)), 500)


def _likely(entries: Sequence[Entry]) -> list[tuple[Entry, float]]:
    """Entries of tokens whose log-probability is one, which is 0 at most."""
    pairs = ((each, each.get("logprob")) for each in entries)
    return [
        (each, min(0.0, value))
        for each, value in pairs
        if isinstance(value, int | float) and -1e9 < value < 0.01
    ]


def _text(value: Entry, name: str) -> str:
    text = value.get(name)
    return text if isinstance(text, str) else ""


def _count(value: Entry, name: str) -> int:
    """The number of tokens in a field; 0 if there is none."""
    number = value.get(name)
    return number if isinstance(number, int) and 0 <= number < _MOST_TOKENS else 0
