"""Many streamed chat completions at once: an event loop in a thread of its own, which hands over chunks.

A stream is one request of one choice; closing its connection ends it at the server. A server that is busy,
starts or has gone is asked again for ``PATIENCE`` seconds, a stream that broke begins again, and a request
that is refused is sent once more without the fields that a server may lack. No answer of a server is trusted:
replies have limits of bytes, tokens and time, numbers a range, a redirect is not followed, and nothing is
unpacked.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import queue
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import httpx2
from anyio.from_thread import start_blocking_portal

from adascale.engine.codec import encodable
from adascale.engine.errors import (
    AdascaleError,
    ContextOverflowError,
    DecodeAbortedError,
    ModelNotFoundError,
    ModelUnavailableError,
    ServerBusyError,
    command,
    excerpt,
    explained,
)
from adascale.engine.ports import PrefixWork

from .address import KEY_VARIABLE, Address
from .servers import Entry, at, listed

StreamFinish = Literal["stop", "length"]

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

_MAX_TOKENS = 4096
"""Tokens of a reply without a limit of its own."""

_TOKEN_CHARACTERS = 64
"""Characters of a reply for each requested token: more than any tokenizer writes on average."""

_MOST_TOKENS = 1e9
"""No server counts more of them."""

_MOMENT = 0.05
"""Seconds between two checks that somebody waits for the reply."""

_LACKING = {"response_format", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty"}
"""Fields of a body that a server may refuse: a reply is one without them, too."""

_OVERFLOW = re.compile(r"context[ _](?:length|size|window)|maximum context|too long", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a stream, or a whole reply.

    Attributes:
        stream: Whatever it was started with.
        text: Text of the reply.
        thought: Text of the thought before it.
        tokens: Tokens since the last chunk, one a piece until the server reports their number.
        logprob: Sum of log-probabilities in nats that came with it; None if none did. Some servers send
            all of them with the last chunk.
        alternatives: Log-probability in nats of each of the likeliest first tokens, once.
        finish: Reason why the reply has ended.
        work: Tokens of the prompt, in the last chunk, if the server reports them.
        begins_again: True if the server broke the stream and the draw begins anew: the text before it is
            void, though its tokens were written.
        error: Reason why the stream has ended without a reply.
    """

    stream: object
    text: str = ""
    thought: str = ""
    tokens: int = 0
    logprob: float | None = None
    alternatives: Mapping[str, float] = field(default_factory=dict)
    finish: StreamFinish | None = None
    work: PrefixWork = PrefixWork()
    begins_again: bool = False
    error: AdascaleError | None = None


class Client:
    """Runs streams at one server.

    Args:
        address: The server.
        say: Called with a line while draws wait for the server, in another thread; None: they do not wait.
        seconds: Time until the last page has come.

    Attributes:
        until: Time at which it must have come.
    """

    def __init__(
        self, address: Address, say: Callable[[str], None] | None = None, seconds: float = math.inf
    ) -> None:
        self.until = time.monotonic() + seconds
        self._address, self._say = address, say and functools.cache(say)  # each line is shown once
        self._chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        # The key goes to this host alone, and nothing compressed is requested.
        key = {} if address.key is None else {"Authorization": f"Bearer {address.key}"}
        self._http = httpx2.AsyncClient(
            headers={"Accept-Encoding": "identity", HANDED_ON: "1", **key},
            timeout=httpx2.Timeout(None, connect=10),
            limits=httpx2.Limits(max_connections=None),
            trust_env=not address.is_local,
        )
        self._stack = ExitStack()
        self._portal = self._stack.enter_context(start_blocking_portal(name="upstream"))

    def get(self, url: str) -> Entry:
        """The JSON object of a page.

        Raises:
            AdascaleError: It has not come, or not in time.
        """
        return self._portal.call(self._get, url)

    def page(self, path: str) -> Entry:
        """As ``get``, of the server's other pages; an empty object if it does not come."""
        with suppress(AdascaleError):
            return self.get(self._address.root + path)
        return {}

    async def _get(self, url: str) -> Entry:
        seconds = min(_PAGE, self.until - time.monotonic())
        try:
            async with asyncio.timeout(seconds), self._sent("GET", url) as response:
                return _parsed(await _read(response, _MAX_PAGE))
        except TimeoutError:
            raise silent(self._address, f"not sent {url}", seconds) from None

    def reply(
        self, body: Entry, seconds: float = math.inf, is_left: Callable[[], bool] = bool
    ) -> list[Chunk]:
        """The chunks of a whole reply.

        Args:
            body: The request.
            seconds: Time for all of it; infinite if the limits of silence are enough.
            is_left: True once the caller no longer waits.

        Raises:
            DecodeAbortedError: Nobody waits for it any more.
            AdascaleError: There is no reply.
        """
        chunks: list[Chunk] = []
        task = self._tries(None, body, chunks.append)
        future = self._portal.start_task_soon(asyncio.wait_for, task, seconds)
        while not wait([future], _MOMENT).done:
            if is_left():
                future.cancel()
                raise DecodeAbortedError("stopped in the middle of a reply")
        try:
            future.result()
        except TimeoutError:
            raise silent(self._address, "completed no reply", seconds) from None
        while any(each.begins_again for each in chunks):
            del chunks[0]
        return chunks

    def start(self, stream: object, body: Entry) -> Future[None]:
        """Begin a stream; cancelling the future closes its connection."""
        return self._portal.start_task_soon(self._run, stream, body)

    def poll(self, seconds: float) -> list[Chunk]:
        """Chunks of all streams since the last call, in the order they came; some may be cancelled since.

        Args:
            seconds: Time to wait for the first one.
        """
        chunks = []
        with suppress(queue.Empty):
            chunks.append(self._chunks.get(timeout=seconds))
            while True:
                chunks.append(self._chunks.get_nowait())
        return chunks

    def close(self) -> None:
        """End all streams."""
        self._portal.call(self._http.aclose)
        self._portal.call(self._portal.stop, True)
        self._stack.close()

    async def _run(self, stream: object, body: Entry) -> None:
        """Run a stream to its end, or hand over the error that ends it: who waits must hear of it."""
        try:
            await self._tries(stream, body, self._chunks.put)
        except Exception as exc:
            self._chunks.put(Chunk(stream, error=explained(exc, "")))

    async def _tries(self, stream: object, body: Entry, put: Callable[[Chunk], None]) -> None:
        """Run a stream again and again while its failures may pass."""
        clock = time.monotonic
        since, tries, broken = clock(), 0, 0
        while True:
            draw = _Draw(stream, body.get("max_tokens", _MAX_TOKENS))
            try:
                return await self._stream(draw, body, put)
            except ServerBusyError as exc:
                error = exc
            except AdascaleError as exc:
                if exc.slug != "upstream-refuses" or draw.counted or not _LACKING & body.keys():
                    raise
                body = {name: value for name, value in body.items() if name not in _LACKING}
                continue
            tries += 1
            if draw.counted:
                since, tries, broken = clock(), 1, broken + 1
                put(Chunk(stream, begins_again=True))
            seconds = max(error.pause, random.uniform(0.12, 0.25) * min(32, 2**tries))
            if self._say is None or broken >= _BREAKS or clock() + seconds - since > PATIENCE:
                raise error
            if broken or tries > 1:  # a connection that was kept may just have been closed: no news
                self._say(f"{error.message}; its draws wait, {PATIENCE / 60:.0f} minutes at most")
            await asyncio.sleep(seconds)

    async def _stream(self, draw: _Draw, body: Entry, put: Callable[[Chunk], None]) -> None:
        """Send the request, and yield the chunks of the response.

        Raises:
            AdascaleError: The server refuses it, is silent for too long, or breaks off.
        """
        error: AdascaleError = unreachable(self._address)
        try:
            async with (
                asyncio.timeout(_FIRST) as limit,
                self._sent("POST", f"{self._address.url}/chat/completions", body) as response,
            ):
                clock = asyncio.get_running_loop().time
                async for event in _events(response):
                    if event.get("error") or event.get("object") == "error":
                        code = at(event, "error.code") or event.get("code")
                        status = code if isinstance(code, int) and 0 < code < 600 else 500
                        raise refusal(self._address, status, event)
                    if (chunk := draw.read(event)) is None:
                        break
                    if chunk != Chunk(draw.stream):
                        put(chunk)
                    if chunk.tokens or draw.finish:
                        limit.reschedule(clock() + (_LAST if draw.finish else _NEXT))
        except TimeoutError:
            what = ("written nothing more", _NEXT) if draw.counted else ("begun no reply", _FIRST)
            error = silent(self._address, *what)
        except ServerBusyError as exc:
            error = exc
        if draw.finish is None:
            raise error
        put(draw.end())

    @asynccontextmanager
    async def _sent(self, method: str, url: str, body: Entry | None = None) -> AsyncIterator[httpx2.Response]:
        """The reply to a request.

        Raises:
            AdascaleError: The server refuses it, or breaks off.
        """
        try:
            async with self._http.stream(method, url, json=body) as response:
                if (status := response.status_code) != 200:
                    text = _parsed(await _read(response, _MAX_BYTES))
                    raise refusal(self._address, status, text, response.headers)
                yield response
        except httpx2.TransportError as exc:
            raise unreachable(self._address, exc) from None


@dataclass(slots=True)
class _Draw:
    """What has come of a stream since its request was sent.

    Attributes:
        stream: The stream.
        most: Tokens that were requested.
        counted: Tokens that came.
        listed: Tokens whose log-probabilities came.
        characters: Length of the text and of the thought before it.
        usage: The event with the usage.
        finish: Reason for the end, once there is one.
    """

    stream: object
    most: int
    counted: int = 0
    listed: int = 0
    characters: int = 0
    usage: Entry = field(default_factory=dict)
    finish: StreamFinish | None = None

    def read(self, event: Entry) -> Chunk | None:
        """The chunk of an event, without fields of a wrong form; None if more came than was requested."""
        choice = next((each for each in listed(event, "choices") if each.get("index", 0) == 0), {})
        # A server that does not stream has a message.
        text = _text(choice, "delta.content") or _text(choice, "message.content")
        thought = _text(choice, "delta.reasoning_content") or _text(choice, "delta.reasoning")
        likely, logprob = _likely(choice, "logprobs.content"), None
        tokens, alternatives = int(bool(text or thought)), {}
        if likely:
            if not self.listed:  # of equal texts the likeliest is first
                entries = reversed(_likely(likely[0][0], "top_logprobs"))
                alternatives = {_text(entry, "token"): value for entry, value in entries}
            self.listed += len(likely)
            tokens, logprob = max(self.listed - self.counted, 0), sum(value for _, value in likely)
        self.counted += tokens
        self.characters += len(text) + len(thought)
        self.usage = event if event.get("usage") else self.usage
        if max(self.counted, self.characters / _TOKEN_CHARACTERS) > 2 * self.most + 16:
            self.finish = "length"
            return None
        reason = _text(choice, "finish_reason")
        if reason not in ("", "abort", "error") and self.finish is None:
            self.finish = "length" if reason == "length" else "stop"
        return Chunk(self.stream, text, thought, tokens, logprob, alternatives)

    def end(self) -> Chunk:
        """The chunk with the end, and the tokens that no chunk has counted: some events have several."""
        names = ("completion_tokens", "prompt_tokens", "prompt_tokens_details.cached_tokens")
        completion, prompt, cached = (_count(at(self.usage, f"usage.{name}")) for name in names)
        left = min(completion, self.most, self.characters) - self.counted  # a token has a character at least
        cached = min(prompt, cached)
        work = PrefixWork(prompt - cached, cached)
        return Chunk(self.stream, tokens=max(0, left), finish=self.finish, work=work)


async def _events(response: httpx2.Response) -> AsyncIterator[Entry]:
    """The events of a stream, or the object of a server that does not stream.

    Raises:
        AdascaleError: It is neither.
    """
    is_packed = response.headers.get("content-encoding", "identity") != "identity"
    if is_packed or "event-stream" not in response.headers.get("content-type", ""):
        yield _event(await _read(response, _MAX_BYTES))
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


def _parsed(data: bytes | str) -> Entry:
    """A JSON object whose texts every encoding has; an empty one for anything else."""
    try:
        value = encodable(json.loads(data))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _event(data: bytes | str) -> Entry:
    if not (event := _parsed(data)):
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


def unreachable(address: Address, error: Exception | None = None) -> ServerBusyError:
    """The error of a server that does not answer."""
    text, hint = f"{address.server} broke off in the middle", "see the log of the server"
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        text = f"nothing answers at {address.server}"
        hint = f"start the server; {command('list')} shows those here"
    facts = filter(None, [excerpt(str(error or ""))])
    return ServerBusyError(text, *facts, hint=hint, slug="upstream-gone")


def refusal(
    address: Address, status: int, body: Entry, headers: Mapping[str, str] = MappingProxyType({})
) -> AdascaleError:
    """The error of a server that refuses a request.

    Args:
        address: The server.
        status: HTTP status.
        body: JSON of its reply.
        headers: Its headers.
    """
    server = address.server
    forms = (at(body, path) for path in ("error.message", "message", "detail", "error"))
    text = next((each for each in forms if each and isinstance(each, str)), headers.get("location", ""))
    facts = [f"status {status}", excerpt(text.replace(address.key or "\0", "KEY"))]
    if _OVERFLOW.search(text):
        return ContextOverflowError(f"the question does not fit into the context of {server}", *facts)
    if status in (401, 403):
        text, hint = f"{server} requires a key, or another one", f"{KEY_VARIABLE}=KEY"
        return AdascaleError(text, *facts, hint=hint, slug="upstream-key")
    if status in (404, 405):
        text = f"{server} lacks the model, or has no chat completions at {address.url}"
        return ModelNotFoundError(text, *facts, hint=command("list"))
    if status in (429, 502, 503, 504):  # with which it, or a proxy before it, asks to come back
        text = f"{server} {'has too many requests' if status == 429 else 'is not ready'}"
        error, after = ServerBusyError(text, *facts, slug="upstream-busy"), headers.get("retry-after", "")
        error.pause = float(after) if after.isdecimal() else 0.0
        return error
    return AdascaleError(f"{server} refuses the request", *facts, slug="upstream-refuses")


def _likely(value: Entry, path: str) -> list[tuple[Entry, float]]:
    """Entries of tokens whose log-probability is one, which is 0 at most."""
    pairs = ((each, each.get("logprob")) for each in listed(value, path))
    return [
        (each, min(0.0, value))
        for each, value in pairs
        if isinstance(value, int | float) and -1e9 < value < 0.01
    ]


def _text(value: Entry, path: str) -> str:
    text = at(value, path)
    return text if isinstance(text, str) else ""


def _count(value: object) -> int:
    """A number of tokens; 0 for anything else."""
    return value if isinstance(value, int) and 0 <= value < _MOST_TOKENS else 0
