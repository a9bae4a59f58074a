"""Fixtures that several folders use."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before numpy is imported: tests run side by side, and threads of small matrices would wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import adascale.models  # noqa: F401 - it compares answers by computer algebra

settings.register_profile("busy", deadline=None)  # the machine may be
settings.load_profile("busy")


@pytest.fixture(scope="session")
def random_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny transformer with random float weights."""
    import tiny

    return tiny.write_random(tmp_path_factory.mktemp("random") / "random.gguf")


@pytest.fixture(scope="session")
def chain_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that solves every problem with a few known sentences."""
    import tiny

    return tiny.write_chain(tmp_path_factory.mktemp("chain") / "chain.gguf")


@pytest.fixture(scope="session", autouse=True)
def signals() -> None:
    """Undo ignored signals: a background job of a script inherits them, and so would the tests' processes."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGTERM, signal.SIG_DFL),
    ):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def no_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests run without the config file and the colour settings of whoever starts them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CI", "NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE"):
            patch.delenv(name, raising=False)
        patch.setenv("ADASCALE_CONFIG", str(tmp_path_factory.mktemp("config") / "config.toml"))
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` rewrites the stored traces; ``--cuts`` makes tests longer."""
    parser.addoption("--update-golden", action="store_true", help="accept the traces as they are now")
    parser.addoption("--cuts", type=int, default=6, help="how often a download is cut, for each source")


def pytest_configure() -> None:
    """Give each of the processes that run tests side by side one core, and with it all that they start.

    Sessions then take one thread: those of tiny models wait for each other more than they compute.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def pytest_unconfigure() -> None:
    """Close the two files that llama_cpp leaves open: each would be a warning when the tests end."""
    if (utils := sys.modules.get("llama_cpp._utils")) is not None:
        utils.outnull_file.close()
        utils.errnull_file.close()
