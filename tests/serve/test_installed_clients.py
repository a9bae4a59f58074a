"""Clients that are no part of the development extra, installed from the package index into an environment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import environment
from scripted_server import PERSON, QUESTION, WORK, EchoPolicy, open_shop, served

from bench.scripted import MODEL, scripted_step

pytestmark = pytest.mark.slow

AGENTS = Path(__file__).parent / "clients"
"""Programs of agents: each asks a server for typed output, and solves a task with two tools."""

EDIT = "calc.py\n```\ndef add(a, b):\n    return a + b\n```\n"
"""A reply in aider's format of whole files."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with libraries."""
    clients = ("litellm", "langchain", "langchain-openai", "langchain-ollama", "openai-agents")
    return environment(tmp_path_factory.mktemp("clients"), *clients, "pydantic-ai-slim[openai]")


@pytest.fixture(scope="module")
def shop_url() -> Iterator[str]:
    """A server whose model works in a shop."""
    with open_shop() as running:
        yield running.url


@pytest.mark.timeout(900)
@pytest.mark.parametrize("agent", sorted(AGENTS.glob("*_agent.py")), ids=lambda path: path.stem)
def test_an_agent_of_two_tools_solves_its_task_and_output_is_typed(
    shop_url: str, python: Path, agent: Path
) -> None:
    command = [python, agent, shop_url, MODEL, QUESTION]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) > 1
    for each in told:
        assert each["bound"] == "get_price", each
        assert all(person == PERSON for person in each["people"]), each
        assert each["called"] == WORK, each
        assert "21" in each["said"], each


@pytest.mark.timeout(900)
def test_aider_edits_a_file(tmp_path: Path) -> None:
    python = environment(tmp_path, "aider-chat")
    code = tmp_path / "calc.py"
    code.write_text("def add(a, b):\n    return a - b\n")
    options = "--edit-format whole --map-tokens 0 --no-git --yes-always --no-check-update --analytics-disable"
    quiet = "--no-show-model-warnings --no-show-release-notes --no-detect-urls"
    with served(policy=EchoPolicy(lambda prefix, rng: scripted_step(EDIT, "stop"))) as server:
        model = ["--model", "openai/scripted", "--openai-api-base", f"{server.url}/v1"]
        said = ["--openai-api-key", "none", "--message", "add() must return the sum. Fix it.", "calc.py"]
        command = [python, "-m", "aider", *options.split(), *quiet.split(), *model, *said]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert code.read_text() == "def add(a, b):\n    return a + b\n", done.stdout + done.stderr
