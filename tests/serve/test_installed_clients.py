"""Clients that are programs, installed from the package index into an environment unless they are here."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from commands import environment
from scripted import scripted_step
from scripted_server import MODEL, PERSON, QUESTION, EchoPolicy, Served, chunks_of, open_shop, say, served

from adascale.engine.ports import Prefix
from adascale.engine.types import Step

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
def shop() -> Iterator[Served]:
    with open_shop() as running:
        yield running


@pytest.mark.timeout(900)
@pytest.mark.parametrize("agent", sorted(AGENTS.glob("*_agent.py")), ids=lambda path: path.stem)
def test_an_agent_of_two_tools_solves_its_task_and_output_is_typed(
    shop: Served, python: Path, agent: Path
) -> None:
    command = [python, agent, shop.url, MODEL, QUESTION]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1


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
        env = {**os.environ, "HOME": str(tmp_path)}
        done = subprocess.run(
            command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=300
        )
    assert code.read_text() == "def add(a, b):\n    return a + b\n", (done.stdout, done.stderr)


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


@pytest.mark.parametrize(("protocol", "streamed"), [("chat", "--key=none"), ("responses", "--no-stream")])
def test_llm_prints_the_answer_calls_functions_and_reads_a_schema(
    shop: Served, tmp_path: Path, protocol: str, streamed: str
) -> None:
    with served() as server:
        said = llm(server, tmp_path, protocol, streamed, "-s", "Be brief.", "Say 42")
        assert said.splitlines()[-1].startswith("Answer: 4")
        assert server.policy.opened[-1].history[0].content == "Be brief."
    said = llm(shop, tmp_path, protocol, streamed, "--functions", TOOLS, QUESTION)
    assert said == "7 apples cost 21 euros."
    found = llm(shop, tmp_path, protocol, streamed, "--schema", "name, age int", "Who is it?")
    assert json.loads(found) == PERSON


DOCUMENT = "Notes of the meeting.\nThe code word of the project is HERON-42.\n"
SETTINGS = {
    "WEBUI_AUTH": "False",
    "WEBUI_SECRET_KEY": "a secret of this test alone, for nobody",
    "OFFLINE_MODE": "true",
    "HF_HUB_OFFLINE": "1",
    "ENABLE_OLLAMA_API": "False",
    "OPENAI_API_KEY": "none",
    "RAG_EMBEDDING_ENGINE": "openai",
    "BYPASS_EMBEDDING_AND_RETRIEVAL": "True",
    "RAG_TEMPLATE": "Answer by this text.\n\n{{CONTEXT}}\n\n{{QUERY}}",
    "ANONYMIZED_TELEMETRY": "false",
}
"""No accounts, nothing from the network, and documents as a whole instead of embeddings, below a prompt
without the words at which the scripted generator fails."""


def read_code_word(prefix: Prefix, rng: random.Random) -> Step:
    """Says the code word if it stands in the question."""
    word = "HERON-42" if "HERON-42" in prefix.problem.question else "not there"
    return scripted_step(f"The code word is {word}.", "stop")


def is_ready(client: httpx2.Client) -> bool:
    """The health check is fine; the first start makes the database."""
    with suppress(httpx2.HTTPError):
        return client.get("/health").status_code == 200
    return False


@contextmanager
def open_webui(python: Path, server: Served, folder: Path) -> Iterator[httpx2.Client]:
    """A client of Open WebUI, which begins with an empty database and asks ``server``."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, **SETTINGS, "DATA_DIR": str(folder), "OPENAI_API_BASE_URL": f"{server.url}/v1"}
    command = [python.parent / "open-webui", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while not is_ready(client):
                assert process.poll() is None, "Open WebUI has ended"
                time.sleep(1)
            told = client.post("/api/v1/auths/signin", json={"email": "", "password": ""}).json()
            client.headers["Authorization"] = f"Bearer {told['token']}"
            yield client
    finally:
        process.terminate()
        process.wait(60)


def asked(client: httpx2.Client, **more: Any) -> str:
    """The reply to a message, whole and streamed, which are the same."""
    messages = [say("Tell me the code word of the project.")]
    body = {"model": MODEL, "messages": messages, "temperature": 0.7, "top_k": 40, **more}
    whole = client.post("/api/chat/completions", json={**body, "stream": False})
    said = str(whole.json()["choices"][0]["message"]["content"])
    chunks = chunks_of(client.post("/api/chat/completions", json={**body, "stream": True}).text)
    deltas = [each["delta"] for chunk in chunks for each in chunk.get("choices", ())]
    assert "".join(delta.get("content") or "" for delta in deltas) == said
    return said


@pytest.mark.timeout(2400)
def test_open_webui_lists_the_model_and_has_a_chat_and_a_document(tmp_path: Path) -> None:
    python = environment(tmp_path, "open-webui")
    (tmp_path / "data").mkdir()
    with (
        served(policy=EchoPolicy(read_code_word)) as server,
        open_webui(python, server, tmp_path / "data") as client,
    ):
        assert [each["id"] for each in client.get("/api/models").json()["data"]] == [MODEL]
        assert asked(client) == "The code word is not there."
        id_ = client.post("/api/v1/files/", files={"file": ("notes.txt", DOCUMENT, "text/plain")}).json()[
            "id"
        ]
        while client.get(f"/api/v1/files/{id_}/process/status").json()["status"] != "completed":
            time.sleep(0.2)
        file = {"type": "file", "id": id_, "context": "full"}
        assert asked(client, files=[file]) == "The code word is HERON-42."
