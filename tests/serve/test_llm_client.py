"""The program ``llm`` with this server as an extra model: chat completions and responses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_server import Served

from bench.inline import MODEL


def llm(server: Served, folder: Path, protocol: str, *args: str) -> str:
    """The output of llm, with an entry of its configuration as the docs show it."""
    entry = {"model_id": "local", "model_name": MODEL, "api_base": f"{server.url}/v1", "reasoning": True}
    config = json.dumps([{**entry, "responses": protocol == "responses"}])  # JSON is YAML too
    (folder / "extra-openai-models.yaml").write_text(config)
    command = [sys.executable, "-m", "llm", "-m", "local", "--no-log", "--hide-reasoning", *args, "Say 42"]
    env = {**os.environ, "LLM_USER_PATH": str(folder), "OPENAI_API_KEY": "none"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "streamed"), [("chat", "--key=none"), ("responses", "--no-stream")])
def test_it_prints_the_answer(server: Served, tmp_path: Path, protocol: str, streamed: str) -> None:
    said = llm(server, tmp_path, protocol, streamed, "-s", "Be brief.")
    assert said.splitlines()[-1].startswith("Answer: 4")
    assert server.policy.opened[-1].history[0].content == "Be brief."
