"""Runs the clients in pages of the server, and writes what they print below them.

Usage: ``python docs/make_conversations.py``

A block of Python or shell behind ``<!-- recorded -->`` is run as it stands, and the block of text behind it
is replaced; its fence has four marks, since a solution may hold one of three. The server is
``adascale serve -m qwen2.5-coder-0.5b``, on port 8321.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGES = [Path(__file__).parent / name for name in ("serve.md", "recipes/llm.md")]
SERVE = [sys.executable, "-m", "adascale", "serve", "-m", "qwen2.5-coder-0.5b"]
READY = "http://127.0.0.1:8321/health"
BLOCK = re.compile(r"(<!-- recorded -->\n+```(python|sh)\n(.*?)```\n+````text\n)(.*?)````", re.DOTALL)


@contextmanager
def serving() -> Iterator[None]:
    """A server that has its model open."""
    process = subprocess.Popen(SERVE, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                urllib.request.urlopen(READY).close()
                break
            except OSError:
                time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()


def printed(language: str, source: str) -> str:
    """What a block prints, with no configuration of this machine's."""
    shell = [sys.executable, "-c"] if language == "python" else ["bash", "-euc"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PATH": path, "LLM_USER_PATH": folder}
        done = subprocess.run([*shell, source], env=env, stdout=subprocess.PIPE, text=True, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines()) + "\n"


def main() -> None:
    """Write the pages again."""
    with serving():
        for page in PAGES:
            text = page.read_text(encoding="utf-8")
            told = BLOCK.sub(lambda found: f"{found[1]}{printed(found[2], found[3])}````", text)
            page.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main()
