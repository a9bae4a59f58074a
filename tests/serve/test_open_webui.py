"""Open WebUI in an environment of its own: a chat and a document, by its own HTTP API."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from commands import environment
from scripted_server import EchoPolicy, Served, served

from adascale.engine.ports import Prefix
from adascale.engine.types import Step
from bench.scripted import MODEL, scripted_step

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
            wait_until_ready(client, process)
            told = client.post("/api/v1/auths/signin", json={"email": "", "password": ""}).json()
            client.headers["Authorization"] = f"Bearer {told['token']}"
            yield client
    finally:
        process.terminate()
        process.wait(60)


def wait_until_ready(client: httpx2.Client, process: subprocess.Popen[bytes]) -> None:
    """Until the health check is fine: the first start makes the database."""
    end = time.monotonic() + 1200
    while time.monotonic() < end:
        assert process.poll() is None, "Open WebUI has ended"
        with suppress(httpx2.HTTPError):
            if client.get("/health").status_code == 200:
                return
        time.sleep(1)
    raise AssertionError("Open WebUI does not start")


def asked(client: httpx2.Client, **more: Any) -> str:
    """The reply to a message, whole and streamed, which are the same."""
    message = {"role": "user", "content": "Tell me the code word of the project."}
    body = {"model": MODEL, "messages": [message], "temperature": 0.7, "top_k": 40, **more}
    whole = client.post("/api/chat/completions", json={**body, "stream": False})
    streamed = client.post("/api/chat/completions", json={**body, "stream": True})
    said = str(whole.json()["choices"][0]["message"]["content"])
    assert "".join(pieces(streamed.text)) == said
    return said


def pieces(stream: str) -> Iterator[str]:
    """Contents of the chunks of a stream."""
    for line in stream.splitlines():
        if line.startswith("data: {"):
            chunk = json.loads(line.removeprefix("data: "))
            yield from (each["delta"].get("content") or "" for each in chunk.get("choices", ()))


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_chat_and_a_document(tmp_path: Path) -> None:
    python = environment(tmp_path, "open-webui")
    (tmp_path / "data").mkdir()
    with (
        served(policy=EchoPolicy(read_code_word)) as server,
        open_webui(python, server, tmp_path / "data") as client,
    ):
        assert [each["id"] for each in client.get("/api/models").json()["data"]] == [MODEL]
        assert asked(client) == "The code word is not there."
        uploaded = client.post("/api/v1/files/", files={"file": ("notes.txt", DOCUMENT, "text/plain")}).json()
        wait_until_read(client, uploaded["id"])
        file = {"type": "file", "id": uploaded["id"], "context": "full"}
        assert asked(client, files=[file]) == "The code word is HERON-42."


def wait_until_read(client: httpx2.Client, id_: str) -> None:
    """Until a document has been read."""
    for _ in range(300):
        if client.get(f"/api/v1/files/{id_}/process/status").json()["status"] == "completed":
            return
        time.sleep(0.2)
    raise AssertionError("the document is not read")
