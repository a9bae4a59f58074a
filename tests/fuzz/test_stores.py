"""Stored draws that are damaged: the store is named, or it is read; SQLite has no checksums."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from adascale.engine.ports import PrefixWork
from adascale.engine.types import Problem, Step
from adascale.models.draws.store import DrawStore

from .conftest import Fuzz, refused
from .mutations import mutated_bytes

pytestmark = pytest.mark.slow

PROBLEM = Problem("a", "What is 9 * 2?")
STEPS = tuple(Step(f"Step {n}.", (n, n + 1), -0.5, "stop" if n == 3 else "step") for n in range(4))


def test_stored_draws(fuzz: Fuzz, tmp_path: Path) -> None:
    path = tmp_path / "draws.sqlite"
    with closing(DrawStore(path)) as store:
        store.put_prompt(PROBLEM, "prose", PrefixWork(9))
        for key in ("one", "two"):
            store.put(key, STEPS)
        assert [store.get(key, "answer") for key in ("one", "two")] == [STEPS, STEPS]
    whole = path.read_bytes()

    def read() -> None:
        with closing(DrawStore(path)) as store:
            store.models()
            store.prompt(PROBLEM, "prose")
            for key in ("one", "two"):
                store.get(key, "answer")

    def check(data: bytes) -> None:
        for leftover in tmp_path.glob("draws.sqlite-*"):
            leftover.unlink()
        path.write_bytes(data)
        error = refused(read)
        assert error is None or error.slug in ("bad-store", "unwritable", "locked")

    fuzz("draws", 50, mutated_bytes([whole]), check)
