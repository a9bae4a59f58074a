"""Readers of labels: a model of this machine, which sees many texts at once, or a server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from adascale.engine.answers.choosing import SearchResult
from adascale.engine.errors import DecodeAbortedError, UsageError
from adascale.engine.request import SearchRequest
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import SearchFailed, SearchFinished

from .llama.chat import ChatFormat
from .llama.context import MAX_BATCH_TOKENS
from .llama.labels import SEQUENCES, FloatArray, LabelReader, Labels, each_of, one_of
from .llama.thinking import plan_thinking
from .options import WINDOW, Reporting, SessionOptions, round_window_up
from .session import LocalModels, find_model
from .upstream.address import is_address
from .upstream.session import UpstreamSession

_CHOSEN = 0.51
"""Least probability of an answer by votes, whose own may be 0: it stays likelier than the other labels."""

_LEAST = 1e-6
"""Least probability of an option of a server, which may list the likeliest ones alone."""


@dataclass(frozen=True, slots=True)
class LabelPrompt:
    """The prompt for each text.

    Attributes:
        system: System prompt, the same for all texts.
        labels: Labels, in words.
        question: The question that a label answers.
        options: Labels with their descriptions.
        each: A question for yes or no for each label, where a text may have several; else empty.
    """

    system: str
    labels: Sequence[str]
    question: str
    options: Sequence[str]
    each: Sequence[str] = ()


class LocalReader(LocalModels):
    """Reads labels with a model of this machine; a context manager.

    Args:
        options: The model and its settings.
        prompt: The prompt for each text.
        reporting: Shows status and downloads.

    Attributes:
        key: Digest of the model.

    Raises:
        ModelError, DiskFullError: the model is not available.
        UsageError: labels and descriptions fill the model's context.
    """

    def __init__(self, options: SessionOptions, prompt: LabelPrompt, reporting: Reporting) -> None:
        super().__init__(options, reporting)
        self._prompt, self._file = prompt, find_model(options.generator, options, reporting)
        self.key = self._file.sha256
        self._reader: LabelReader
        self._labels: Labels

    def __enter__(self) -> Self:
        file, prompt = self._file, self._prompt
        model = self._load_model(file)
        chat = ChatFormat(model, prompt.system, thinking=plan_thinking(model, 0))
        window = self.options.ctx_size or max(WINDOW, len(chat.head) + 4 * MAX_BATCH_TOKENS)
        window = min(round_window_up(window), file.info.context_length or window)
        if len(chat.head) + 2 * MAX_BATCH_TOKENS > window:
            raise UsageError(
                f"the labels have {len(chat.head):,} tokens, and {file.name} reads {window:,}",
                hint="fewer labels, shorter descriptions, or another model",
            )
        context = self._make_context(model, window, SEQUENCES, shared=True)
        self._labels = (
            each_of(model, chat, prompt.each) if prompt.each else one_of(model, chat, prompt.labels)
        )
        self._reader = LabelReader(context, chat.head, self._labels.looks)
        return self

    def interrupt(self) -> None:
        """Stop in the middle of a batch; safe from a signal handler."""
        self.abort.set()

    def read(self, texts: Sequence[str]) -> Iterator[FloatArray | None]:
        """Scores ``[labels]`` of each text; None for one that is too long.

        Scores are log-probabilities; with several labels a text, log-odds of yes.

        Raises:
            DecodeAbortedError: it was interrupted.
        """
        tokens = [self._reader.tokens(text) for text in texts]
        results = self._reader.read([each for each in tokens if each is not None])
        for each in tokens:
            if each is None:
                yield None
            elif self._prompt.each:
                yield np.array([float(look[0] - look[1]) for look in next(results)])
            else:
                yield self._labels.log_probs(next(results))


class ServerReader:
    """Reads labels with a server, as a question with options each; a context manager, as ``LocalReader``.

    Raises:
        UsageError: it is asked for several labels a text, or for more than a server tells apart.
    """

    def __init__(self, options: SessionOptions, prompt: LabelPrompt, reporting: Reporting) -> None:
        if prompt.each:
            raise UsageError("a server gives one label a text", hint="a model of this machine gives several")
        self.key = options.generator
        self._prompt = prompt
        self._request = SearchRequest("?", kind="choice", choices=list(prompt.options), seed=0)
        self._request.problem()  # refuses more labels than letters
        self._session = UpstreamSession(options, reporting)
        self._driver: Driver | None = None

    def __enter__(self) -> Self:
        self._session.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._session.__exit__(None, None, None)

    def interrupt(self) -> None:
        """Stop; safe from a signal handler."""
        if self._driver is not None:
            self._driver.interrupt()
        self._session.abort.set()

    def read(self, texts: Sequence[str]) -> Iterator[FloatArray | None]:
        """As ``LocalReader.read``; as many at once as the server has places."""
        session, asked = self._session, self._prompt.question
        problems = [
            replace(self._request, question=f"{text}\n\n{asked}").problem(str(n))
            for n, text in enumerate(texts)
        ]
        settings = self._request.settings(problems[0], session.conditions("choice"), session.modes)
        self._driver = session.driver(time.monotonic)
        results: dict[str, SearchResult | None] = {}
        waiting = iter(problems)
        following = next(waiting, None)
        for problem, event in self._driver.run(problems, settings):
            if isinstance(event, SearchFailed):
                results[problem.id] = None
            elif isinstance(event, SearchFinished):
                if event.result.stop_reason == "interrupted":
                    raise DecodeAbortedError("the search was stopped")
                results[problem.id] = event.result
            while following is not None and following.id in results:  # in the order of the texts
                yield self._scores(results.pop(following.id))
                following = next(waiting, None)

    def _scores(self, result: SearchResult | None) -> FloatArray | None:
        """Logarithms of the options' probabilities; without them the answer has that of its votes."""
        if result is None or result.answer is None or result.confidence is None:
            return None
        p = result.options or {result.answer: max(_CHOSEN, result.confidence.median)}
        others = max(_LEAST, 1.0 - sum(p.values())) / len(self._prompt.options)
        scores = np.array([max(_LEAST, p.get(option, others)) for option in self._prompt.options])
        return np.log(scores / scores.sum())  # type: ignore[no-any-return]


def open_reader(
    options: SessionOptions, prompt: LabelPrompt, reporting: Reporting = Reporting()
) -> LocalReader | ServerReader:
    """The reader of a model, by its reference or its address; nothing is loaded before it is entered."""
    return (ServerReader if is_address(options.generator) else LocalReader)(options, prompt, reporting)
