"""The program ``llm`` with this server as an extra model: chat completions and responses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_server import PERSON, QUESTION, Served, open_shop

from bench.scripted import MODEL

TOOLS = """
def get_price(item: str) -> float:
    "The price of one item in euros."
    return 3

def multiply(a: float, b: float) -> float:
    "Multiply two numbers."
    return a * b
"""


def llm(server: Served, folder: Path, protocol: str, *args: str) -> str:
    """The output of llm, with an entry of its configuration as the docs show it."""
    entry = {"model_id": "local", "model_name": MODEL, "api_base": f"{server.url}/v1", "reasoning": True}
    able = {"supports_tools": True, "supports_schema": True}
    config = json.dumps([{**entry, **able, "responses": protocol == "responses"}])  # JSON is YAML too
    (folder / "extra-openai-models.yaml").write_text(config)
    command = [sys.executable, "-m", "llm", "-m", "local", "--no-log", "--hide-reasoning", *args]
    env = {**os.environ, "LLM_USER_PATH": str(folder), "OPENAI_API_KEY": "none"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "streamed"), [("chat", "--key=none"), ("responses", "--no-stream")])
def test_it_prints_the_answer(server: Served, tmp_path: Path, protocol: str, streamed: str) -> None:
    said = llm(server, tmp_path, protocol, streamed, "-s", "Be brief.", "Say 42")
    assert said.splitlines()[-1].startswith("Answer: 4")
    assert server.policy.opened[-1].history[0].content == "Be brief."


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "streamed"), [("chat", "--no-stream"), ("responses", "--key=none")])
def test_its_functions_are_called_until_the_question_is_answered(
    tmp_path: Path, protocol: str, streamed: str
) -> None:
    with open_shop() as server:
        said = llm(server, tmp_path, protocol, streamed, "--functions", TOOLS, QUESTION)
        assert said == "7 apples cost 21 euros."
        found = llm(server, tmp_path, protocol, streamed, "--schema", "name, age int", "Who is it?")
    assert json.loads(found) == PERSON
