"""The fallback: another server, with OpenAI's chat completions, to ask if a search is not sure of its answer.

It is asked once per question. If it fails, there is a notice, and the search's own answer stays.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from adascale.engine.answer import FallbackAnswer
from adascale.engine.errors import AdascaleError, DecodeAbortedError, setting
from adascale.engine.kind_table import entry_of
from adascale.engine.kinds import KINDS, kind_of
from adascale.engine.search.record import Record
from adascale.engine.types import Notice, Problem, probability_of

from .options import PROMPTS, FallbackOptions
from .storage import state_folder
from .upstream.address import Address
from .upstream.client import Client
from .upstream.servers import plain_body


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
        return entry_of(record.started.problem).is_compared and (result.answer is None or is_unsure)

    def _count_call(self) -> Notice | None:
        """Count a call; the reason if it may not be made.

        Each call appends a byte to a file, so that processes can count at the same time; the first one of a
        day (UTC) empties it.
        """
        most, path = self._options.calls, state_folder() / "fallback.calls"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab", buffering=0) as file:
                if os.fstat(file.fileno()).st_mtime // 86400 < time.time() // 86400:
                    file.truncate(0)
                file.write(b".")
                size = file.tell()
        except OSError as exc:
            return self._notice("is not asked: its calls cannot be counted", str(exc))
        if size <= most:
            return None
        more = setting("fallback_calls", str(2 * most))
        return self._notice(f"is not asked: the {most:,} calls of today are made", hint=more)

    def ask(self, problem: Problem, is_left: Callable[[], bool]) -> FallbackAnswer | Notice:
        """Ask the server: its answer, or the reason why there is none.

        Args:
            problem: The question.
            is_left: True once the caller no longer waits.
        """
        if (refusal := self._count_call()) is not None:
            return refusal
        turns = [("system", PROMPTS[KINDS[problem.kind].prompt])]
        turns += [(turn.role, turn.content) for turn in problem.history]
        turns.append(("user", kind_of(problem).statement(problem)))
        messages = [{"role": role, "content": text} for role, text in turns]
        schema: Any = problem.details["schema"] if entry_of(problem).has_fields else None
        name = self._address.name or ""
        body = plain_body(name, messages, schema)
        try:
            with closing(Client(self._address)) as client:
                chunks = client.reply(body, self._options.seconds, is_left)
        except DecodeAbortedError:
            return self._notice("is not waited for")
        except AdascaleError as error:
            hint = _KEY if error.slug == "upstream-key" else error.hint
            return Notice("no-fallback", f"{error.message}; {_OWN}", error.facts, hint)
        text = "".join(each.text for each in chunks).strip()
        answer = kind_of(problem).answer(problem, "prose", text, chunks[-1].finish or "stop", None)
        if answer is None:
            return self._notice("gives no answer to this question")
        return FallbackAnswer(self.server, name, text, answer)

    async def ask_beside(self, problem: Problem) -> FallbackAnswer | Notice:
        """``ask`` in a thread, which ends with the task that waits for it."""
        stopped = threading.Event()
        try:
            return await asyncio.to_thread(self.ask, problem, stopped.is_set)
        finally:
            stopped.set()

    def _notice(self, what: str, *facts: str, hint: str = "") -> Notice:
        return Notice("no-fallback", f"{self.server} {what}; {_OWN}", facts, hint)


_OWN = "the answer is our own"
_KEY = "ADASCALE_FALLBACK_KEY=KEY"
