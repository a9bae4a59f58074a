"""Takes the pictures of the server's page in ``docs/serve.md``, with the recorded search ``docs/demo.jsonl``.

Usage: ``python docs/make_page.py``; it needs Chromium and playwright, but no model and no server.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Route, sync_playwright

from adascale.cli.disk.traces import read_trace
from adascale.engine.search.events import Event, SearchStarted
from adascale.serve.chat import ChatBody, ChatWriter
from adascale.serve.page import PATHS, STATUS
from adascale.serve.request import ServedModel
from adascale.serve.stream import follow, stream

FOLDER = Path(__file__).parent
STATIC = FOLDER.parent / "api" / "serve" / "static"
URL = "http://adascale.example"

PICTURES = {"page.png": (1280, "light"), "page-narrow.png": (400, "dark")}
"""Width and colour scheme of each."""


async def streamed(events: Sequence[Event], question: str, served: ServedModel) -> bytes:
    """The search as the server streams it to the page."""

    async def log() -> AsyncGenerator[Event, None]:
        for event in events:
            yield event

    body = ChatBody.read({"messages": [{"role": "user", "content": question}], "stream": True})
    ask = replace(served.ask(body), is_told=False)  # as the page asks
    return b"".join([part async for part in stream(follow(log(), ask), ChatWriter(body, ask))])


def take(
    browser: Browser, path: Path, width: int, scheme: str, question: str, answers: dict[str, bytes]
) -> None:
    """The page after a search.

    Args:
        browser: Chromium.
        path: Of the picture.
        width: In pixels.
        scheme: ``light`` or ``dark``.
        question: The question.
        answers: Bodies by path, except those of the page's own files.
    """

    def answer(route: Route) -> None:
        asked = urlsplit(route.request.url).path
        if asked in PATHS:
            route.fulfill(path=STATIC / PATHS[asked])
        else:
            route.fulfill(body=answers[asked])

    context = browser.new_context(viewport={"width": width, "height": 600})
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.route("**", answer)
    page.goto(URL)
    page.fill('[name="question"]', question)
    page.keyboard.press("Enter")
    page.click(".ended .how > summary")
    page.locator("summary").first.blur()
    page.set_viewport_size({"width": width, "height": page.evaluate("document.documentElement.scrollHeight")})
    page.screenshot(path=path)
    context.close()


def main() -> None:
    """Take all pictures."""
    events = read_trace(FOLDER / "demo.jsonl")
    started = events[0]
    assert isinstance(started, SearchStarted), "a trace begins with its search"
    served = ServedModel.of(started.models, "medium")
    status = json.dumps({"status": "ok", "model": served.name}).encode()
    completion = asyncio.run(streamed(events, started.problem.question, served))
    answers = {STATUS: status, ChatWriter.path: completion}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (width, scheme) in PICTURES.items():
            take(browser, FOLDER / name, width, scheme, started.problem.question, answers)
        browser.close()


if __name__ == "__main__":
    main()
