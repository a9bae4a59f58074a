"""The page in headless Chromium, wide and narrow, with a scripted generator and with a recorded search."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sampled import PROSE_SEARCH
from scripted_server import EchoPolicy, Served, served, steady

from adascale.serve.guard import Access
from adascale.serve.page.files import PATHS
from bench.inline import echo

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

DEMO = Path(__file__).parents[2] / "docs" / "demo.jsonl"


def needs_chromium(test: Any) -> Any:
    """Mark a test of the page in a browser."""
    skip = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
    return pytest.mark.slow(skip(test))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Any, server: Served, width: int = 1280, scheme: str = "light") -> Iterator[Any]:
    """The page; what it says on the console is an error, and so is a request to another host."""
    said: list[str] = []

    def note_request(request: Any) -> None:
        if not request.url.startswith((server.url, "data:")):
            said.append(request.url)

    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", note_request)
    page.goto(f"{server.url}/")
    yield page
    context.close()
    assert said == []


def ask(page: Any, question: str = "Echo 18.") -> None:
    page.fill("#question", question)
    page.keyboard.press("Enter")


def ask_to_the_end(page: Any, question: str = "Echo 18.") -> None:
    ask(page, question)
    page.wait_for_selector("#answer strong")


def play_recorded(page: Any, trace: Path = PROSE_SEARCH) -> None:
    """Answer the next question with a search that was recorded with a calibrated model."""
    body = "".join(f"data: {line}\n\n" for line in trace.read_text().splitlines())
    page.route("**/v1/searches", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    ask_to_the_end(page, "A baker has 3 trays of 12 rolls.")


def violations(page: Any) -> list[str]:
    return [found["id"] for found in axe.Axe().run(page).response["violations"]]


def test_any_browser_may_have_the_files_but_no_stranger_and_nothing_else() -> None:
    with served(Access("127.0.0.1", key="sesame")) as server:
        for path in PATHS:
            found = httpx2.get(server.url + path)
            assert found.status_code == 200
            assert "default-src 'none'" in found.headers["content-security-policy"]
            assert "unsafe" not in found.headers["content-security-policy"]
        assert httpx2.get(f"{server.url}/v1/models").status_code == 401
    with served(policy=EchoPolicy(steady)) as server:
        assert httpx2.get(server.url, headers={"Host": "evil.example"}).status_code == 403


@needs_chromium
def test_a_tree_grows_and_the_answer_says_how_sure_it_is(browser: Any) -> None:
    with served(policy=EchoPolicy(steady, pause=0.05)) as server, opened(browser, server) as page:
        playwright.expect(page.locator("#model")).to_have_text("scripted")
        ask(page)
        page.wait_for_selector('[role="treeitem"]')
        assert page.is_visible("#stop")
        page.wait_for_selector("#answer strong")
        assert page.inner_text("#answer strong") == "18"
        assert "not a probability" in page.inner_text("#answer")
        assert "Stopped: the votes decided." in page.inner_text("#answer")
        assert "We look at 18." in page.inner_text("#tree")
        assert page.inner_text("#searches") == "18 Echo 18."
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []


@needs_chromium
def test_small_talk_gets_a_plain_reply_without_a_probability(browser: Any) -> None:
    with served(policy=EchoPolicy(steady)) as server, opened(browser, server) as page:
        ask(page, "hi")
        page.wait_for_selector("#answer .reply")
        assert "We look at 0." in page.inner_text("#answer")
        assert "probability" not in page.inner_text("#answer")


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_a_calibrated_search_shows_a_probability(browser: Any, width: int, scheme: str) -> None:
    with served(policy=EchoPolicy(steady)) as server, opened(browser, server, width, scheme) as page:
        play_recorded(page)
        answer = page.inner_text("#answer")
        assert (
            "Correct with probability .93 (.77 to 1.00); 3 of 4 solutions agree; 804 tokens, 20 s" in answer
        )
        assert "Stopped: more solutions would hardly change it." in answer
        assert page.inner_text("#answers") == "8\n1 solution"
        assert page.locator(".best .p.high").count() > 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []


@needs_chromium
def test_a_program_that_fails_is_told_from_one_that_ends(browser: Any) -> None:
    with served(policy=EchoPolicy(steady)) as server, opened(browser, server) as page:
        play_recorded(page, DEMO)
        marks = page.locator(".summary > span:nth-child(2)").all_inner_texts()
        assert marks == ["★", "✓", "✗", "✗"]


@needs_chromium
def test_keys_walk_through_the_tree_and_fold_it(browser: Any) -> None:
    with served(policy=EchoPolicy(steady)) as server, opened(browser, server) as page:
        play_recorded(page)
        page.focus('#tree [tabindex="0"]')
        keys: list[str] = []

        def press(key: str) -> tuple[str, str | None]:
            page.keyboard.press(key)
            keys.append(key)
            focused = page.evaluate_handle("document.activeElement").as_element()
            return focused.inner_text().split("\n")[0], focused.get_attribute("aria-expanded")

        assert press("Home")[1] == "false"
        assert press("ArrowRight")[1] == "true"
        assert press("ArrowRight")[1] is None, "the first step of the fold"
        assert press("ArrowLeft")[1] == "true", "the fold again"
        assert press("Enter")[1] == "false"
        assert press("End") != press("ArrowUp")
        assert page.locator('#tree [tabindex="0"]').count() == 1


@needs_chromium
def test_stop_ends_the_search_with_what_it_found(browser: Any) -> None:
    with served(policy=EchoPolicy(echo, pause=0.1)) as server, opened(browser, server) as page:
        page.select_option('[name="effort"]', "max")
        ask(page)
        page.wait_for_selector('[role="treeitem"] .p')
        page.click("#stop")
        page.wait_for_selector("#answer strong")
        assert "Stopped by you." in page.inner_text("#answer")
        server.wait_until_idle()


@needs_chromium
def test_stop_breaks_off_what_waits_for_a_place_or_for_the_models(browser: Any) -> None:
    opening = threading.Event()
    with served(opening=opening) as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.url)
        ask(page)
        playwright.expect(page.locator("#progress")).to_have_text("The server loads its models...")
        page.click("#stop")
        page.wait_for_selector("#ask:visible")
        assert page.inner_text("#error") == ""
        opening.set()
        ask_to_the_end(page)
        playwright.expect(page.locator("#model")).to_have_text("scripted")
        context.close()


@needs_chromium
def test_the_last_searches_outlive_the_page_until_they_are_forgotten(browser: Any) -> None:
    with served(policy=EchoPolicy(steady)) as server, opened(browser, server) as page:
        ask_to_the_end(page, "Echo 7.")
        ask_to_the_end(page, "Echo 8.")
        page.reload()
        page.click("text=Echo 7.")
        assert page.inner_text("#asked") == "Echo 7."
        assert page.inner_text("#answer strong") == "7"
        assert "We look at 7." in page.inner_text("#tree")
        page.click("#clear")
        page.reload()
        assert page.is_hidden("#history")


@needs_chromium
def test_errors_are_announced_and_the_key_is_asked_for_but_not_kept(browser: Any) -> None:
    with served(Access("127.0.0.1", key="sesame")) as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.url)
        ask(page)
        page.wait_for_selector("#key:visible")
        assert "the API key is missing or wrong" in page.inner_text('[role="alert"]')
        page.fill('[name="key"]', "sesame")
        ask_to_the_end(page)
        page.reload()
        ask_to_the_end(page)
        assert "sesame" not in page.evaluate("JSON.stringify(localStorage)")
        ask(page, "A long one")
        playwright.expect(page.locator("#error")).to_contain_text("9,999 tokens")
        context.close()


@needs_chromium
def test_texts_of_a_model_are_no_markup(browser: Any) -> None:
    attack = '<img src=x onerror="document.title=1"> 5'
    with served(policy=EchoPolicy(steady)) as server, opened(browser, server) as page:
        ask_to_the_end(page, attack)
        assert attack in page.inner_text("#asked")
        assert page.locator("img").count() == 0
        assert page.title() == "adascale"


@needs_chromium
def test_a_thought_of_an_earlier_search_stays_folded(browser: Any, tmp_path: Path) -> None:
    events = [json.loads(line) for line in PROSE_SEARCH.read_text().splitlines()]
    for event in events:
        if event["kind"] == "step_proposed" and event["parent"] == 0:
            event["step"] |= {"text": "secret musing", "thought": "whole"}
    trace = tmp_path / "thought.jsonl"
    trace.write_text("".join(json.dumps(event) + "\n" for event in events))
    with served() as server, opened(browser, server) as page:
        play_recorded(page, trace)
        shown = page.inner_text("#tree")
        page.reload()
        page.click("#searches button")
        assert page.inner_text("#tree") == shown
        assert "secret musing" not in shown


@needs_chromium
def test_a_browser_that_keeps_nothing_can_ask(browser: Any) -> None:
    refuse = "throw new DOMException('no', 'SecurityError')"
    with served(policy=EchoPolicy(steady)) as server, opened(browser, server) as page:
        page.add_init_script(
            f"for (const name of ['sessionStorage', 'localStorage'])"
            f" Object.defineProperty(window, name, {{ get() {{ {refuse} }} }})"
        )
        page.reload()
        ask_to_the_end(page, "Echo 7.")
        assert page.inner_text("#answer strong") == "7"


@needs_chromium
def test_a_server_that_breaks_off_writes_no_more(browser: Any) -> None:
    lines = PROSE_SEARCH.read_text().splitlines()
    grown = next(at for at, line in enumerate(lines) if '"branch_grew"' in line or '"step_proposed"' in line)
    body = "".join(f"data: {line}\n\n" for line in lines[: grown + 1])
    with served() as server, opened(browser, server) as page:
        page.route("**/v1/searches", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
        ask(page, "A baker has 3 trays of 12 rolls.")
        page.wait_for_function("document.getElementById('error').textContent")
        assert page.inner_text("#progress") == ""
