"""Options of a session, its sampler, and the callbacks by which it reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self

from adascale.engine.types import AS_USUAL, SamplingChange

from .files.catalog import DEFAULT_GENERATOR, CardSampling
from .upstream.address import is_address

if TYPE_CHECKING:
    from adascale.engine.ports import BranchStart
    from adascale.engine.request import SearchRequest
    from adascale.engine.strategies import Strategy
    from adascale.engine.types import PromptName

    from .files.cache import Confirm, Report
    from .files.gguf import GGUFInfo

Purpose = Literal["search", "conversation", "rollouts", "replay"]
"""Use of a session: to search questions as they come; to do so in conversations, which need more room; to
draw rollouts for a calibration; or to draw for an evaluation of ``bench``, which keeps
draws and plays them back. A trajectory of the last two does not depend on what else is in the batch."""

QuestionFormat = Literal["auto", "jsonl", "csv", "text"]
"""Form of a file of questions; ``auto`` goes by the file's name, then line by line."""

WINDOW = 2048
"""Tokens of one trajectory, prompt included, without ``ctx_size``; a thought adds to them."""

LONG_CONTEXT_WINDOW = 8192
"""Tokens of one trajectory in a conversation, if model and memory allow it; a thought adds to them."""

WINDOW_UNIT = 256
"""Every window is a multiple of this many tokens, as llama.cpp's caches are."""


def round_window_up(tokens: int) -> int:
    """The smallest window of at least so many tokens."""
    return -(-tokens // WINDOW_UNIT) * WINDOW_UNIT


def prm_window(prm: GGUFInfo, window: int) -> int:
    """A PRM reads a trajectory of ``window`` tokens with a few more around each step."""
    return min(2 * window, prm.context_length or 2 * window)


MAX_BRANCHES = 32
"""Branches that a command or a call from Python runs at once; more samples wait for a free one."""

USUAL_BRANCHES = 16
"""Branches of a question that is searched."""

PROMPTS: Mapping[PromptName, str] = {
    # The best of five on questions for fitting.
    "prose": (
        "Solve the problem in short numbered steps of plain text, with a blank line between steps. "
        "Do not write code. End with the final answer in \\boxed{}."
    ),
    "program": (
        "Solve the problem with a short Python program. Before each line of code write a comment that says "
        "what it computes and why. Print the final answer only. Use plain Python and the math module only."
    ),
    # A comment before each line, as above, makes programs for dates worse.
    "date": (
        "Solve the problem with a short Python program. Use the datetime module for dates and times. "
        "Print the final answer only."
    ),
    # Of 24 programs of the 1.5b for questions of primes, leap years, fractions and divisors 24 are right, at
    # 42 tokens each; with the prompt of programs 22 at 107, with that of dates 18 at 54 (docs/research.md).
    "check": "Answer the question with a short Python program without comments. Print Yes or No only.",
    "code": (
        "Write Python code that solves the task. Answer with one code block that defines what is asked for, "
        "without examples, tests or input()."
    ),
    "choice": (
        "Answer the question. First think step by step, briefly and in plain text. Then end with a line "
        '"Answer: X", where X is the letter of the right option.'
    ),
    "yes-no": (
        "Answer the question. First think step by step, briefly and in plain text. Then end with a line "
        '"Answer: yes" or "Answer: no".'
    ),
    "fact": "Answer the question with the name, date, place or number that it asks for, and nothing else.",
    "json": (
        "Read the text, and write what it says as a JSON object of the given schema. "
        "Reply with the object only."
    ),
    "call": "",
    "look-choice": "Answer the question with the letter of the right option only.",
    "look-yes-no": "Answer the question with Yes or No only.",
    "look-call": "",
}
"""System prompts; requests with tools have none but their own."""


def with_own(name: PromptName, own: str) -> str:
    """A system prompt with the user's own below it."""
    return f"{PROMPTS[name]}\n\n{own}".strip()


SHORT: Mapping[str, int] = {"choice": 320, "yes-no": 320, "fact": 128, "json": 1024}
"""Tokens of a solution below prompts that ask for short ones; a small model may repeat itself without end."""

REPLY_TOKENS = 2048
"""Tokens of a reply in a conversation, of which no calibration is fitted, unless ``max_tokens`` is given."""

PROGRAM_OPENING = "```python\n"
"""Beginning of every program: without it the 0.5B writes prose every second time (.483 fail, .333 with it, on
60 fitting questions)."""


THINK_TOKENS = 1024
"""Tokens of the thoughts of a trajectory, unless a number is given."""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """The sampler of tokens: the filters in this order, then the temperature.

    Attributes:
        temperature: Above 0, or 0 for the likeliest token; greedy branches have ``greedy``'s.
        top_k: Candidates kept first; without it top_p alone costs 1.8 ms a token over 152k entries.
        top_p: Share of probability kept, in (0, 1].
        min_p: Candidates less likely than this share of the likeliest one are dropped, in [0, 1); 0 for off.
        max_tokens: Tokens of one trajectory without its thoughts; a longer one ends with finish "length".
        think_tokens: Tokens of its thoughts, which are closed there; 0 without thoughts.
        repeat_penalty, presence_penalty, frequency_penalty, logit_bias: As ``SamplingChange`` has them.
        greedy: Temperature of greedy branches: 0, but for a model that repeats itself without end there.
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.0
    max_tokens: int = 768
    think_tokens: int = 0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    greedy: float = 0.0

    def record(self) -> dict[str, Any]:
        """Its numbers by name, for logs and calibrations; without filters that are off."""
        numbers = dataclasses.asdict(self)
        off = {"repeat_penalty": 1.0}
        return {name: value for name, value in numbers.items() if value and value != off.get(name)}

    @property
    def filters(self) -> tuple[int, float, float, float]:
        """The numbers of llama.cpp's chain of samplers."""
        return self.top_k, self.top_p, self.min_p, self.temperature

    @property
    def has_penalties(self) -> bool:
        """True if logits are changed before the filters."""
        penalties = self.repeat_penalty - 1.0, self.presence_penalty, self.frequency_penalty
        return any(penalties) or bool(self.logit_bias)

    def of(self, branch: BranchStart) -> Self:
        """The sampler with the numbers that a branch asks for."""
        sampler = dataclasses.replace(self, **branch.sampling.numbers)
        most = sampler.max_tokens if branch.max_tokens is None else min(sampler.max_tokens, branch.max_tokens)
        temperature = self.greedy if branch.greedy else sampler.temperature
        return dataclasses.replace(sampler, max_tokens=most, temperature=temperature)


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How to open models.

    Attributes:
        generator: Model reference, or the address of a server: ``http://HOST:PORT[/v1][#NAME]``.
        size: Parameters of a remote model if the server does not report them; None if unknown.
        prm: ``REF`` or ``FORMAT=REF`` of a PRM or judge, ``self`` for the generator itself,
            ``probe`` for its own hidden states, or ``none``.
        calibration: ``auto`` for the models' own, ``none``, or a file.
        sampling: The user's own numbers of the sampler; the others are of the calibration, whose
            probabilities hold for its own sampler alone, or else of the model's card, or the usual ones.
        system: System prompt below the built-in ones; empty for none.
        think: Tokens that a model may think before it answers, after which its thought is closed; 0 for no
            thought, None to let the model decide, with ``THINK_TOKENS`` at most.
        ctx_size: Tokens of one trajectory; None for what ``sizing.plan_load`` chooses.
        threads: CPU threads; None for the physical cores.
        gpu_layers: Layers to offload, -1 for all; None for all if this build can.
        offline: Never touch the network.
        force: Load even if memory looks too small.
        branches: Branches that run at once, 1 to 256.
        places: Streams that run at once at a server; None for twice its places.
        patience: Seconds that a server may take before the first solution; None for its limits of silence.
        purpose: Use of the session.
        unsandboxed: Run programs of code tasks in a bare CPython, with limits of time and memory alone.
    """

    generator: str = DEFAULT_GENERATOR
    size: int | None = None
    prm: str = "probe"
    calibration: str = "auto"
    sampling: SamplingChange = AS_USUAL
    system: str = ""
    think: int | None = 0
    ctx_size: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    offline: bool = False
    force: bool = False
    branches: int = 8
    places: int | None = None
    patience: float | None = None
    purpose: Purpose = "search"
    unsandboxed: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Batches have one width and contexts keep hidden states, whichever calibration is used."""
        return self.purpose in ("rollouts", "replay")

    def for_one(self, strategy: Strategy, search: SearchRequest) -> Self:
        """Options for one question: as many branches as its strategy draws, or as may run side by side.

        A strategy that draws few has a context as wide as others, so that step costs are measured only once.
        A time limit also covers requests to a server before the search.
        """
        branches = strategy.branches if strategy.branches == 1 else max(strategy.branches, USUAL_BRANCHES)
        branches = min(search.width or MAX_BRANCHES, branches, MAX_BRANCHES)
        if not is_address(self.generator):  # a worker that stays open compares options
            return dataclasses.replace(self, branches=branches)
        return dataclasses.replace(self, places=search.width, patience=search.budget.max_seconds)

    def references(self) -> tuple[str, ...]:
        """References and paths of the models and their calibration."""
        return self.generator, self.prm.rpartition("=")[2], self.calibration


_MATHS = ("prose", "program", "date", "check")
"""Prompts of solutions that compute."""

Samplers = Mapping["PromptName | Literal['text']", SamplingParams]
"""Sampler of each prompt that solutions are written below; replies that nobody can check have their own."""


def samplers(
    options: SessionOptions,
    think_tokens: int = 0,
    usual: SamplingParams = SamplingParams(),
    card: CardSampling = MappingProxyType({}),
) -> dict[PromptName | Literal["text"], SamplingParams]:
    """Samplers by prompt: the user's numbers, then the model's, then the usual ones.

    Args:
        options: Options of the session.
        think_tokens: Tokens of the thought of a trajectory.
        usual: Defaults for numbers that neither sets.
        card: The model's own; modes that compute use its sampler of mathematics.
    """
    lengths = dict(SHORT)
    if options.purpose == "conversation":
        lengths["text"] = REPLY_TOKENS

    def of(name: PromptName | Literal["text"]) -> SamplingParams:
        own = card.get("thinking" if think_tokens else "maths" if name in _MATHS else "usual")
        numbers: dict[str, Any] = {**(own or card.get("usual", {}))}
        if name in lengths:
            numbers["max_tokens"] = lengths[name]
        numbers |= options.sampling.numbers
        return dataclasses.replace(usual, **numbers, think_tokens=think_tokens)

    return {"text": of("text"), **{name: of(name) for name in PROMPTS}}


def spellings(word: str) -> tuple[str, ...]:
    """Beginnings of a reply whose first word this is; a letter of an option is a capital."""
    return tuple(dict.fromkeys((word, word.lower() if len(word) > 1 else word, f" {word}")))


@dataclass(frozen=True, slots=True)
class FallbackOptions:
    """Another server, and the questions that are for it.

    Attributes:
        url: Address of its model, as ``SessionOptions.generator`` has it.
        below: Probability in [0, 1] of an answer below which its question is handed on.
        calls: Largest number of calls a day, of all processes of this user.
        seconds: Time limit of a call.
    """

    url: str | None = None
    below: float = 0.8
    calls: int = 100
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Reporting:
    """Callbacks by which a session reports its progress.

    Attributes:
        status: Shows a status line.
        on_progress: Shows the progress of a download.
        confirm: Asks for consent to a download.
        log: Gets llama.cpp's log.
        loading: Gets each file before llama.cpp opens it, so that an abort can be blamed on one.
    """

    status: Callable[[str], None] = lambda text: None
    on_progress: Report | None = None
    confirm: Confirm | None = None
    log: Callable[[str], None] | None = None
    loading: Callable[[Path], None] = lambda path: None
