"""PRMs from a loopback Hub: whole GGUF files like any model, heads by range reads; then a search."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_prm

from adascale.engine.request import Settings
from adascale.engine.search.record import replay
from adascale.engine.strategies import BestOfN
from adascale.engine.types import Budget, Problem
from adascale.models.files.catalog import HubRef, ModelSpec, catalog
from adascale.models.files.library import resolve
from adascale.models.options import SessionOptions
from adascale.models.session import Session

from .heads import shards

Use = Callable[[ModelSpec], ModelSpec]
Fake = Callable[..., None]
QWEN_PRM = HubRef("Qwen/Qwen2.5-Math-PRM-7B", "98218b1f4b7ca4cca7ec47348b3f8b457a679d97")


def test_the_head_of_qwens_prm_is_fetched_alone_and_kept(
    tmp_path: Path, chain_gguf: Path, publish: Callable[..., None], server: Any
) -> None:
    gguf = tmp_path / "backbone.gguf"
    tiny_prm.write_qwen2(gguf, name="Qwen2.5 Math PRM 7B")
    publish(QWEN_PRM, shards("BF16"))
    options = SessionOptions(generator=str(chain_gguf), prm=str(gguf), branches=2)
    with Session(options) as session:
        described = session.conditions("value").models.prm
        assert described is not None
        assert (described.format, described.file) == ("qwen-math-prm", "backbone.gguf")
        assert all(0 < reward < 1 for reward in rewards(session))
    sent = server.sent.total()
    assert sent < 20_000
    with Session(replace(options, offline=True)) as session:
        assert session.conditions("value").models.prm == described
    assert server.sent.total() == sent


WRITERS: dict[str, Callable[[Path], Path]] = {
    "math-shepherd-7b": tiny_prm.write_mistral,
    "rlhflow-deepseek-8b": tiny_prm.write_llama3,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_prm_of_the_catalogue_is_downloaded_and_searched_with(
    name: str, tmp_path: Path, chain_gguf: Path, catalogue: Use, fake_hub: Fake, server: Any
) -> None:
    """The entry is the shipped one; the file is tiny, with the same architecture and kind of tokenizer."""
    data = WRITERS[name](tmp_path / "tiny.gguf").read_bytes()
    spec = catalogue(with_bytes(catalog()[name], data))
    fake_hub(spec.hub.repo, {spec.file: data})
    options = SessionOptions(generator=str(chain_gguf), prm=name, branches=2)
    with Session(options) as session:
        assert session.files.prm is not None
        assert (session.files.prm.source, session.files.prm.path.name) == ("hub", spec.file)
        described = session.conditions("value").models.prm
        assert described is not None
        assert (described.name, described.format) == (name, spec.format)
        assert all(0 < reward < 1 for reward in rewards(session))
    asked = server.asked.total()
    assert resolve(name).source == "cache"
    assert server.asked.total() == asked


def with_bytes(spec: ModelSpec, data: bytes) -> ModelSpec:
    """The entry, as if ``data`` had been published."""
    digest = hashlib.sha256(data).hexdigest()
    return replace(spec, sha256=digest, size_bytes=None, hub=HubRef(spec.hub.repo))


def rewards(session: Session) -> list[float]:
    """Rewards of a short search with the PRM."""
    ticks = iter(range(10**9))
    driver = session.driver(lambda: float(next(ticks)))
    settings = Settings(BestOfN(2), Budget(max_tokens=200), seed=1)
    tree = replay([event for _, event in driver.run([Problem("1", "What is 9 * 2?")], settings)])
    assert tree.usage().prm_tokens > 0
    found = [node.reward for node in tree if node.reward is not None]
    assert len(found) >= 4
    return found
