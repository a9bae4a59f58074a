"""The fallback: another server, with OpenAI's chat completions, to ask if a search is not sure of its answer.

It is asked once per question; the header ``HANDED_ON`` keeps an adascale server from sending the question on.
If it fails, there is a notice, and the search's own answer stays.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2

from adascale.engine.answer import FallbackAnswer
from adascale.engine.codec import encodable
from adascale.engine.errors import UsageError, setting
from adascale.engine.kinds import KINDS, kind_of
from adascale.engine.search.record import Record
from adascale.engine.types import KindName, Notice, Problem, probability_of

from .options import PROMPTS, FallbackOptions
from .storage import state_folder

HANDED_ON = "X-Adascale-Handed-On"
"""Header of a question that comes from a fallback."""

_KINDS: tuple[KindName, ...] = ("value", "date", "choice", "yes-no", "fact", "json")
"""Kinds that are sent: those with an answer to compare."""

_REFUSALS = {401: "refuses the key", 403: "refuses the key", 429: "has too many requests"}

_MAX_BYTES = 1 << 20
"""Largest size of a reply; a longer one counts as a failure."""


class Fallback:
    """Decides which questions another server gets, and asks it.

    Args:
        options: URL of the server, and limits.
        key: API key; None if there is none.

    Attributes:
        server: Host and port.

    Raises:
        UsageError: the URL is invalid, or has a password or a query, which would be shown.
    """

    def __init__(self, options: FallbackOptions, key: str | None) -> None:
        url = (options.url or "").strip().rstrip("/")
        if not {"@", "?", "#"}.isdisjoint(url):
            text = "the URL of a fallback has a password or a query in it"
            raise UsageError(text, hint=f"{setting('fallback_key_file', 'FILE')}, and the URL without it")
        _check_url(url)
        parts = urlsplit(url)
        self.server = parts.netloc
        self._url = f"{url}{'' if parts.path else '/v1'}/chat/completions"
        self._options = options
        self._headers = {HANDED_ON: "1"} | ({} if key is None else {"Authorization": f"Bearer {key}"})

    def is_for(self, record: Record) -> bool:
        """True if a search has ended without an answer, or with one that is not likely enough.

        An answer with an uncalibrated score stays, since a score is no probability.
        """
        result = record.result
        if result is None or result.stop_reason == "interrupted":
            return False
        p = probability_of(result.confidence)
        is_unsure = p is not None and p < self._options.below
        return record.started.problem.kind in _KINDS and (result.answer is None or is_unsure)

    def _count_call(self) -> Notice | None:
        """Count a call; the reason if it may not be made.

        Each call appends a byte to the day's file, so that processes can count at the same time; the first
        one removes the files of earlier days.
        """
        most, folder, today = self._options.calls, state_folder() / "fallback", int(time.time() // 86400)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{today}.calls").open("ab", buffering=0) as file:
                file.write(b".")
                made = file.tell()
            for old in folder.glob("*.calls") if made == 1 else ():
                if old.stem.isdecimal() and int(old.stem) < today:
                    with suppress(OSError):  # another process reads it
                        old.unlink()
        except OSError as exc:
            return self._notice("is not asked: its calls cannot be counted", str(exc))
        if made <= most:
            return None
        more = setting("fallback_calls", str(2 * most))
        return self._notice(f"is not asked: the {most:,} calls of today are made", hint=more)

    async def ask(self, problem: Problem) -> FallbackAnswer | Notice:
        """Ask the server: its answer, or the reason why there is none."""
        if (refusal := self._count_call()) is not None:
            return refusal
        asked = kind_of(problem).statement(problem)
        turns = [(turn.role, turn.content) for turn in problem.history]
        said = [("system", PROMPTS[KINDS[problem.kind].prompt]), *turns, ("user", asked)]
        body: dict[str, Any] = {"messages": [{"role": role, "content": text} for role, text in said]}
        if self._options.model is not None:
            body["model"] = self._options.model
        if problem.kind == "json":
            named = {"name": "reply", "schema": problem.details["schema"]}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        data, seconds = b"", self._options.seconds
        try:
            async with (
                asyncio.timeout(seconds),
                httpx2.AsyncClient(headers=self._headers, timeout=seconds) as client,
                client.stream("POST", self._url, json=body) as response,
            ):
                if response.status_code != 200:
                    # The body of an error may repeat the key, and is not shown.
                    status, hint = response.status_code, ""
                    if status in (401, 403):
                        hint = f"ADASCALE_FALLBACK_KEY=KEY, or {setting('fallback_key_file', 'FILE')}"
                    elif self._options.model is None:
                        hint = setting("fallback_model", "NAME")
                    what = _REFUSALS.get(status, "refuses the question")
                    return self._notice(what, f"status {status}", hint=hint)
                async for piece in response.aiter_bytes():
                    data += piece
                    if len(data) > _MAX_BYTES:
                        return self._notice("writes no chat completion")
        except (TimeoutError, httpx2.TimeoutException):
            return self._notice(f"takes longer than {seconds:g} s")
        except httpx2.HTTPError as exc:
            return self._notice("cannot be reached", type(exc).__name__)
        return self._read(problem, data)

    def _read(self, problem: Problem, data: bytes) -> FallbackAnswer | Notice:
        try:
            reply = json.loads(data)
            choice, model = reply["choices"][0], reply.get("model")
            text, is_cut = choice["message"]["content"], choice.get("finish_reason") == "length"
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return self._notice("writes no chat completion")
        text = encodable(text).strip() if isinstance(text, str) else ""
        answer = kind_of(problem).answer(problem, "prose", text, "length" if is_cut else "stop", None)
        if answer is None:
            return self._notice("gives no answer to this question")
        return FallbackAnswer(
            self.server, encodable(model[:200]) if isinstance(model, str) else "", text, answer
        )

    def _notice(self, what: str, *facts: str, hint: str = "") -> Notice:
        return Notice("no-fallback", f"{self.server} {what}; the answer is our own", facts, hint)


def _check_url(url: str) -> None:
    """Refuse a text that is no URL of a server.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx2.URL(url).host.encode("idna")
    except (ValueError, httpx2.InvalidURL):  # a name that cannot be looked up is a UnicodeError
        is_url = False
    if not is_url:
        raise UsageError(f'"{url}" is no URL of a server', hint=setting("fallback", "http://127.0.0.1:8321"))
