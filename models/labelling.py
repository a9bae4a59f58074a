"""Readers of labels: a model of this machine, which reads many texts at once, or a server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adascale.engine.answers.choosing import SearchResult
from adascale.engine.errors import UsageError
from adascale.engine.request import SearchRequest
from adascale.engine.search.events import SearchFailed, SearchFinished

from .llama.chat import ChatFormat
from .llama.context import MAX_BATCH_TOKENS
from .llama.labels import SEQUENCES, FloatArray, LabelReader, each_of, one_of
from .llama.thinking import plan_thinking
from .options import WINDOW, Reporting, SessionOptions, round_window_up
from .session import LocalModels, find_model
from .upstream.address import is_address
from .upstream.session import UpstreamSession

_CHOSEN = 0.51
"""Least probability of an answer by votes, whose own may be 0: it stays likelier than the other labels."""

_LEAST = 1e-6
"""Least probability of an option of a server, which may list the likeliest ones alone."""

Reading = Iterator[tuple[int, FloatArray | None]]
"""The place of a text and its scores ``[labels]``, in any order; None for a text that cannot be read.

Scores are log-probabilities of the labels, or of yes to each of the questions.
"""


@dataclass(frozen=True, slots=True)
class LabelPrompt:
    """The prompt for each text.

    Attributes:
        system: System prompt, the same for all texts.
        labels: Labels, in words.
        question: The question that a label answers.
        options: Labels with their descriptions.
        yes_no: A question for yes or no for each label, if a text may have several; else empty.
    """

    system: str
    labels: Sequence[str]
    question: str
    options: Sequence[str]
    yes_no: Sequence[str] = ()


class LocalReader(LocalModels):
    """Reads labels with a model of this machine.

    Args:
        options: The model and its settings.
        prompt: The prompt for each text.
        reporting: Shows status and downloads.

    Attributes:
        key: Digest of the model.

    Raises:
        ModelError, DiskFullError: the model is not available.
    """

    def __init__(self, options: SessionOptions, prompt: LabelPrompt, reporting: Reporting) -> None:
        super().__init__(options, reporting)
        self._prompt, self._file = prompt, find_model(options.generator, options, reporting)
        self.key = self._file.sha256

    def read(self, texts: Sequence[str]) -> Reading:
        """Load the model and read the labels of texts.

        Raises:
            UsageError: labels and descriptions fill the model's context.
        """
        file, prompt = self._file, self._prompt
        with self._stack:
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
            if prompt.yes_no:
                labels = each_of(model, chat, prompt.yes_no)
            else:
                labels = one_of(model, chat, prompt.labels)
            reader = LabelReader(context, chat.head, labels.looks)
            tokens = [reader.tokens(text) for text in texts]
            results = reader.read([text for text in tokens if text is not None])
            for place, text in enumerate(tokens):
                yield place, None if text is None else labels.log_probs(next(results))


class ServerReader:
    """Reads labels with a server, which gets each text as a question with options; as ``LocalReader``.

    Raises:
        UsageError: several labels a text, or more labels than letters.
    """

    def __init__(self, options: SessionOptions, prompt: LabelPrompt, reporting: Reporting) -> None:
        if prompt.yes_no:
            raise UsageError("a server gives one label a text", hint="a model of this machine gives several")
        self.key = options.generator
        self._prompt = prompt
        self._request = SearchRequest("?", kind="choice", choices=list(prompt.options), seed=0)
        self._request.problem()  # refuses too many labels
        self._session = UpstreamSession(options, reporting)

    def read(self, texts: Sequence[str]) -> Reading:
        """As ``LocalReader.read``; as many texts at once as the server has places."""
        question = self._prompt.question
        problems = [
            replace(self._request, question=f"{text}\n\n{question}").problem(str(place))
            for place, text in enumerate(texts)
        ]
        with self._session as session:
            settings = self._request.settings(problems[0], session.conditions("choice"), session.modes)
            for problem, event in session.driver(time.monotonic).run(problems, settings):
                if isinstance(event, SearchFailed):
                    yield int(problem.id), None
                elif isinstance(event, SearchFinished):
                    yield int(problem.id), self._scores(event.result)

    def _scores(self, result: SearchResult) -> FloatArray | None:
        """Log-probabilities of the options; without them the answer has the probability of its votes."""
        if result.answer is None or result.confidence is None:
            return None
        p = result.options or {result.answer: max(_CHOSEN, result.confidence.median)}
        others = max(_LEAST, 1.0 - sum(p.values())) / len(self._prompt.options)
        scores = np.array([max(_LEAST, p.get(option, others)) for option in self._prompt.options])
        return np.log(scores / scores.sum())  # type: ignore[no-any-return]


def open_reader(
    options: SessionOptions, prompt: LabelPrompt, reporting: Reporting = Reporting()
) -> LocalReader | ServerReader:
    """The reader of a model, by its reference or its address; ``read`` loads the model."""
    return (ServerReader if is_address(options.generator) else LocalReader)(options, prompt, reporting)
