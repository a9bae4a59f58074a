"""The official client of Ollama against the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scripted_server import Served

from bench.scripted import MODEL

ollama = pytest.importorskip("ollama", reason="pip install -e '.[dev]'")

SAY_42 = [{"role": "user", "content": "Say 42"}]


@pytest.fixture(scope="module")
def local(server: Served) -> Iterator[Any]:
    client = ollama.Client(server.url)
    yield client
    client._client.close()


def test_it_lists_shows_asks_and_follows(local: Any) -> None:
    [entry] = local.list().models
    shown = local.show(entry.model)
    assert shown.capabilities == ["completion", "tools"]
    assert f"{shown.modelinfo['general.architecture']}.context_length" in shown.modelinfo
    [running] = local.ps().models
    assert (running.model, running.expires_at > entry.modified_at) == (entry.model, True)
    options = {"seed": 1, "temperature": 0.5, "num_ctx": 4096}
    whole = local.chat(entry.model, SAY_42, options=options, keep_alive="5m")
    assert whole.message.content.endswith("Answer: 42")
    assert whole.message.thinking
    assert whole.prompt_eval_count == len("Say 42")
    parts = list(local.chat(entry.model, SAY_42, options=options, stream=True))
    assert "".join(part.message.content for part in parts) == whole.message.content
    assert parts[-1].done_reason == "stop"
    with pytest.raises(ollama.ResponseError, match="there is scripted") as caught:
        local.chat("llama3", SAY_42)
    assert caught.value.status_code == 404
    written = local.generate(MODEL, "Say 42", options={"temperature": 0})
    assert written.response == "We look at 42.\n\nIt is \\boxed{42}."
