"""Common settings of all fuzzers: how long they run, what they try first, where a failure is kept.

``make check`` runs those of this process a little, ``make slow`` those that fork, always with the same
examples. ``make fuzz`` runs them long, 20,000 examples a target, with another seed each time.
What fails is written into ``corpus/TARGET``; it is tried first from then on.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

import pytest
from commands import clean_env
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adascale.engine.errors import AdascaleError
from adascale.models.calibration import artefact

from .forks import Exit, Forks

CORPUS = Path(__file__).with_name("corpus")
GOLDEN = Path(__file__).parents[1] / "golden"
SHIPPED = min((Path(artefact.__file__).parent / "shipped").glob("*"), key=lambda path: path.stat().st_size)
MEMORY_BYTES = 512 << 20
_LONG = 20_000
"""Examples of a target with ``--fuzz``."""
EXAMPLE_SECONDS = 120.0
"""An example that takes longer hangs; the machine may be busy."""


class File(bytes):
    """An example; it may be megabytes, so it is not printed."""

    def __repr__(self) -> str:
        return f"File({len(self)} bytes)"


Check = Callable[[bytes], None]
Fuzz = Callable[[str, int, st.SearchStrategy[bytes], Check], None]


@contextmanager
def time_limit() -> Iterator[None]:
    """End what hangs with a TimeoutError, where the system has such a clock."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def end(*_: object) -> NoReturn:
        raise TimeoutError(f"an example took more than {EXAMPLE_SECONDS:g} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, EXAMPLE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def fuzz(pytestconfig: pytest.Config) -> Fuzz:
    """Check the files of a corpus, then so many of a strategy: a few, or many with ``--fuzz``."""
    is_long = bool(pytestconfig.getoption("--fuzz"))

    def run(target: str, few: int, files: st.SearchStrategy[bytes], check: Check) -> None:
        for path in sorted((CORPUS / target).glob("*")):
            check(path.read_bytes())
        last = b""

        def example(data: bytes) -> None:
            nonlocal last
            last = data
            with time_limit() if is_long else nullcontext():  # else the test itself has one
                check(data)

        bounded = settings(
            max_examples=_LONG if is_long else few,
            derandomize=not is_long,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        try:
            bounded(given(files.map(File))(example))()
        except BaseException:
            # The last one that hypothesis tries is the smallest that fails.
            (CORPUS / target).mkdir(parents=True, exist_ok=True)
            (CORPUS / target / hashlib.sha256(last).hexdigest()[:12]).write_bytes(last)
            raise

    return run


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """A warm process on a machine without settings, models and network."""
    home = tmp_path_factory.mktemp("home")
    env = clean_env(home) | {"HF_HUB_OFFLINE": "1", "ADASCALE_CONFIG": str(home / "config.toml")}
    trace = str(GOLDEN / "vote.jsonl")
    commands = (
        ("show", "none.gguf"), ("list",), ("config", "show"), ("replay", trace), ("tree", trace),
        ("tree", trace, "--output", str(home / "warm.html")), ("calibrate", "show", str(SHIPPED)),
        ("ask", "1 + 1?", "-m", "none.gguf"),
        ("batch", "none.jsonl", "--output", str(home / "o.jsonl"), "-m", "none.gguf"),
    )  # fmt: skip
    with Forks(env, commands) as running:
        yield running


def refused(action: Callable[[], object]) -> AdascaleError | None:
    """The error that an action ends with, if it is one of ours; any other is the test's failure."""
    try:
        action()
    except AdascaleError as error:
        return error
    return None


def is_orderly(ended: Exit) -> bool:
    """True if a command ended as promised: an exit code of the list, one clear error, within the limits."""
    errors = ended.stderr.count("error[") + ended.stderr.count("─ Error ─")  # that of the option parser
    return (
        ended.code in (0, 2, 3, 4, 5, 6)
        and errors == (ended.code in (2, 4, 5))
        and "error[unexpected]" not in ended.stderr
        and "Traceback" not in ended.stderr
        and "\x1b" not in ended.stderr
        and ended.peak_bytes < MEMORY_BYTES
    )
