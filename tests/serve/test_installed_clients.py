"""Clients that are no part of the development extra, installed from the package index into an environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Served

pytestmark = pytest.mark.slow

LITELLM = """
import json, litellm
litellm.suppress_debug_info = True
told = []
for model, base in (("openai/scripted", URL + "/v1"), ("ollama_chat/scripted", URL)):
    asked = dict(model=model, api_base=base, api_key="none", messages=[{"role": "user", "content": "Say 42"}])
    found = litellm.completion(**asked, temperature=0, max_tokens=30)
    told.append(found.choices[0].message.content)
    parts = litellm.completion(**asked, temperature=0.7, stream=True)
    told.append("".join(part.choices[0].delta.content or "" for part in parts))
print(json.dumps(told))
"""

LANGCHAIN = """
import json
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI
told = []
for model in (
    ChatOpenAI(model="scripted", base_url=URL + "/v1", api_key="none", temperature=0, logprobs=True),
    ChatOllama(model="scripted", base_url=URL, temperature=0),
):
    told.append(model.invoke("Say 42").content)
    told.append("".join(part.content for part in model.stream("Say 42")))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with the clients."""
    folder = tmp_path_factory.mktemp("clients")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, folder / "venv"], check=True, timeout=60)
    python = folder / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = ["litellm", "langchain-openai", "langchain-ollama"]
    done = subprocess.run(
        [*uv, "pip", "install", "-q", "--python", python, *wanted],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"no package index: {done.stderr[-200:]}")
    return python


@pytest.mark.timeout(900)
@pytest.mark.parametrize("script", [LITELLM, LANGCHAIN])
def test_it_asks_and_follows_by_both_interfaces(server: Served, python: Path, script: str) -> None:
    source = f"URL = {server.url!r}\n{script}"
    done = subprocess.run([python, "-c", source], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    told: Any = json.loads(done.stdout.splitlines()[-1])
    assert len(told) == 4
    assert all("boxed{4" in each for each in told), told
