"""The fallback: another server, with OpenAI's chat completions, to ask if a search is not sure of its answer.

It is asked once per question. If it fails, there is a notice, and the search's own answer stays.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from adascale.engine.answer import FallbackAnswer
from adascale.engine.errors import AdascaleError, DecodeAbortedError, setting
from adascale.engine.kinds import KINDS, kind_of
from adascale.engine.search.record import Record
from adascale.engine.types import KindName, Notice, Problem, probability_of

from .options import PROMPTS, FallbackOptions
from .storage import state_folder
from .upstream.address import Address
from .upstream.client import Client
from .upstream.servers import Asked, Facts

_KINDS: tuple[KindName, ...] = ("value", "date", "choice", "yes-no", "fact", "json")
"""Kinds that are sent: those with an answer to compare."""

_MAX_TOKENS = 4096
"""Tokens of a reply at most."""


class Fallback:
    """Decides which questions another server gets, and asks it.

    Args:
        options: Address of the server, and limits.
        key: API key; None if there is none.

    Attributes:
        server: Host and port.

    Raises:
        UsageError: the address is invalid, or has a password or a query, which would be shown.
    """

    def __init__(self, options: FallbackOptions, key: str | None) -> None:
        self._address, self._options = Address.parse(options.url or "", key), options
        self.server = self._address.server

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

    def ask(self, problem: Problem, is_left: Callable[[], bool]) -> FallbackAnswer | Notice:
        """Ask the server: its answer, or the reason why there is none.

        Args:
            problem: The question.
            is_left: True when nobody waits for the answer any more.
        """
        if (refusal := self._count_call()) is not None:
            return refusal
        said = [("system", PROMPTS[KINDS[problem.kind].prompt])]
        said += [(turn.role, turn.content) for turn in problem.history]
        said.append(("user", kind_of(problem).statement(problem)))
        messages = [{"role": role, "content": text} for role, text in said]
        schema: Any = problem.details["schema"] if problem.kind == "json" else None
        name = self._address.name or ""
        asked = Asked(messages, 1.0, 1.0, _MAX_TOKENS, 0, schema=schema)
        try:
            with closing(Client(self._address, None, self._options.seconds)) as client:
                reply = client.reply(asked, Facts("hosted", name), is_left=is_left)
        except DecodeAbortedError:
            return self._notice("is not waited for")
        except AdascaleError as error:
            hint = _KEY if error.slug == "upstream-key" else error.hint
            return Notice("no-fallback", f"{error.message}; {_OWN}", error.facts, hint)
        text = reply.text.strip()
        answer = kind_of(problem).answer(problem, "prose", text, reply.finish or "stop", None)
        if answer is None:
            return self._notice("gives no answer to this question")
        return FallbackAnswer(self.server, name, text, answer)

    async def ask_beside(self, problem: Problem) -> FallbackAnswer | Notice:
        """``ask`` in a thread, which ends with the task that waits for it."""
        left = threading.Event()
        try:
            return await asyncio.to_thread(self.ask, problem, left.is_set)
        finally:
            left.set()

    def _notice(self, what: str, *facts: str, hint: str = "") -> Notice:
        return Notice("no-fallback", f"{self.server} {what}; {_OWN}", facts, hint)


_OWN = "the answer is our own"
_KEY = "ADASCALE_FALLBACK_KEY=KEY"
