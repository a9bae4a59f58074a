"""The page in headless Chromium, wide and narrow, with a scripted generator."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from scripted_server import CHAT, EchoPolicy, Served, chunks_of, echo, served, steady

from adascale.serve.http import Access
from adascale.serve.page import PATHS

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


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
def opened(
    browser: Any, server: Served, width: int = 1280, scheme: str = "light", *, is_quiet: bool = True
) -> Iterator[Any]:
    """The page; a request to another host is an error, and so is what it says on the console.

    The browser itself notes refused requests there.
    """
    said: list[str] = []

    def note_request(request: Any) -> None:
        if not request.url.startswith((server.url, "data:")):
            said.append(request.url)

    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    if is_quiet:
        page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", note_request)
    page.goto(f"{server.url}/")
    yield page
    context.close()
    assert said == []


def ask(page: Any, question: str = "Echo 18.") -> None:
    page.fill('[name="question"]', question)
    page.keyboard.press("Enter")


def ask_to_the_end(page: Any, question: str = "Echo 18.") -> Any:
    """The exchange with its answer."""
    ended = page.locator("article.ended")
    before = ended.count()
    ask(page, question)
    playwright.expect(ended).to_have_count(before + 1)
    exchange = ended.last
    playwright.expect(exchange.locator(".question")).to_have_text(question)
    return exchange


RESULT: dict[str, Any] = {
    "answer": "24", "kind": "value", "why": "it gives numbers", "options": None,
    "support": ["very likely (93 %)", "3 of 4 solutions agree"], "interval": [0.8, 1.0],
    "measured": "Of 57 such answers 54 were correct.",
    "votes": {"agree": 3, "finished": 4}, "stop_reason": "confident",
    "tokens": 1723, "seconds": 20.0, "warnings": [],
    "groups": [{"answer": "24", "votes": 3}, {"answer": "8", "votes": 1}],
}  # fmt: skip
"""An ``adascale`` object."""


def play(page: Any, question: str, content: str, reasoning: str = "", **result: Any) -> Any:
    """The exchange of a chat completion that says this."""
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"reasoning": reasoning, "content": content}}]},
        {"choices": [{"index": 0, "delta": {}}], "adascale": {**RESULT, **result}},
    ]
    events = [f"data: {json.dumps({'model': 'played', **chunk})}\n\n" for chunk in chunks]
    body = "".join([": searching\n\n", *events, "data: [DONE]\n\n"])
    page.route(
        "**/v1/chat/completions", lambda route: route.fulfill(body=body, content_type="text/event-stream")
    )
    return ask_to_the_end(page, question)


def play_reply(page: Any, reply: str) -> Any:
    """The exchange of a text whose reply this is."""
    return play(page, "Write.", reply, answer=None, kind="text", support=[], groups=[])


def violations(page: Any) -> list[str]:
    return [found["id"] for found in axe.Axe().run(page).response["violations"]]


def fits(page: Any) -> bool:
    """Nothing has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_any_browser_may_have_the_files_and_nothing_else() -> None:
    with served(Access("127.0.0.1", key="sesame")) as server:
        for path in PATHS:
            found = httpx2.get(server.url + path)
            assert found.status_code == 200
            assert "default-src 'none'" in found.headers["content-security-policy"]
            assert "unsafe" not in found.headers["content-security-policy"]
        assert httpx2.get(f"{server.url}/v1/models").status_code == 401


def test_an_answer_is_taken_as_it_stands_by_who_has_the_key() -> None:
    key = {"Authorization": "Bearer sesame"}
    body = {"messages": [{"role": "user", "content": "Echo 18."}], "reasoning_effort": "max", "stream": True}
    with served(Access("127.0.0.1", key="sesame"), policy=EchoPolicy(echo, pause=0.05)) as server:
        chunks = []
        with httpx2.stream("POST", server.url + CHAT, json=body, headers=key, timeout=60) as response:
            for line in response.iter_lines():
                chunks += chunks_of(line)
                if ", still checking" in line:
                    search = chunks[-1]["id"].removeprefix("chatcmpl-")
                    url = f"{server.url}/page/take/{search}"
                    assert [httpx2.post(url, headers=each).status_code for each in ({}, key)] == [401, 204]
        found = next(each["adascale"] for each in chunks if "adascale" in each)
        assert (found["stop_reason"], found["answer"] is not None) == ("taken", True)


wide_and_narrow = pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])


@needs_chromium
@wide_and_narrow
def test_the_first_view_says_what_to_do_and_an_answer_streams(browser: Any, width: int, scheme: str) -> None:
    policy = EchoPolicy(steady, pause=0.05)
    with served(policy=policy) as server, opened(browser, server, width, scheme) as page:
        playwright.expect(page.locator("#model")).to_have_text("scripted")
        assert page.evaluate("document.activeElement.name") == "question"
        assert fits(page)
        assert violations(page) == []
        page.click("#examples button >> nth=0")
        page.wait_for_selector(".running .how .step", state="attached")
        assert page.is_visible("#stop")
        page.wait_for_selector("article.ended .large")
        assert page.is_hidden("#examples")
        line = page.inner_text(".line")
        assert ("solutions agree" in line, "%" in line) == (True, False), "there is no calibration"


@needs_chromium
def test_a_chat_goes_on_is_edited_and_outlives_the_page_until_it_is_forgotten(browser: Any) -> None:
    policy = EchoPolicy(steady)
    with served(policy=policy) as server, opened(browser, server, is_quiet=False) as page:
        for question in ("Echo 7.", "hi", "Echo 9."):
            ask_to_the_end(page, question)
        history = policy.opened[-1].history
        assert [turn.role for turn in history] == ["user", "assistant", "user", "assistant"]
        assert "Answer: 7" in history[1].content
        second = page.locator("article >> nth=1")
        second.locator(".edit").focus()
        page.keyboard.press("Enter")
        assert page.input_value('[name="question"]') == "hi"
        assert violations(page) == []
        ask(page, "A long one")
        playwright.expect(page.locator("#error")).to_contain_text("9,999 tokens")
        assert page.locator("article").count() == 3, "a question that fails replaces nothing"
        ask(page, "Echo 5.")
        playwright.expect(page.locator(".large")).to_have_text(["7", "5"])
        assert [turn.content for turn in policy.opened[-1].history][::2] == ["Echo 7."]
        page.reload()
        questions = ["Echo 7.", "Echo 5."]
        assert page.locator(".question").all_inner_texts() == questions
        page.click("#new")
        page.click("#chats button")
        assert page.locator(".question").all_inner_texts() == questions
        page.click("#new")
        ask_to_the_end(page)
        assert policy.opened[-1].history == ()
        page.click("#new")
        page.click("#clear")
        page.reload()
        assert page.is_hidden("#earlier")


@needs_chromium
@wide_and_narrow
def test_an_answer_shows_its_probability_its_rivals_and_its_reasons(
    browser: Any, width: int, scheme: str
) -> None:
    lines = (
        "Solution 2: First we add. (81 % likely to be correct)\n24 leads: very likely (84 %) · 1 solution\n"
    )
    with served(policy=EchoPolicy(steady)) as server, opened(browser, server, width, scheme) as page:
        exchange = play(page, "How many?", "So \\(a \\div b\\).\n\nAnswer: 24", lines)
        assert exchange.locator(".large").inner_text() == "24"
        line = exchange.locator(".line").inner_text().replace("\xa0", " ").split("\n")
        assert line == ["very likely (93 %)", "3 of 4 solutions agree · 20 s"]
        assert exchange.locator(".answers li strong").all_inner_texts() == ["24", "8"]
        folded = exchange.locator(".how .body")
        assert folded.is_hidden()
        exchange.locator(".how > summary").click()
        assert folded.inner_text() == "So a ÷ b."
        assert exchange.locator(".step").all_inner_texts()[0] == lines.splitlines()[1]
        assert RESULT["measured"] in exchange.locator(".how > .words").inner_text()
        assert fits(page)
        assert violations(page) == []


@needs_chromium
def test_options_have_numbers_and_a_doubtful_answer_can_be_asked_again(browser: Any) -> None:
    texts = {"A": "A. a bench", "B": "B. a bank", "C": "C. a river"}
    read: Any = {"options": {"A": 0.12, "B": 0.87, "C": 0.01}, "votes": {"agree": 0, "finished": 0}}
    with served() as server, opened(browser, server) as page:
        exchange = play(
            page, "Where?", "B. a bank", answer="B", kind="choice", texts=texts, groups=[], **read
        )
        assert exchange.locator(".options b").all_inner_texts() == ["12\xa0%", "87\xa0%", "1\xa0%"]
        assert exchange.locator(".options strong").all_inner_texts() == list(texts.values())
        assert violations(page) == []
        page.unroute_all()
        page.click("#new")
        support = ["a guess (11 %)", "3 of 4 solutions agree"]
        content = "So 24.\n\nI don't know; this is the best guess.\n\nAnswer: 24"
        exchange = play(page, "How many?", content, support=support)
        assert exchange.locator(".head p").all_inner_texts() == ["A guess (11 %): perhaps", "24"]
        assert page.inner_text("#said") == "A guess (11 %): perhaps 24"
        assert violations(page) == []
        bodies: list[Any] = []
        page.on("request", lambda request: bodies.append(request.post_data_json))
        exchange.locator(".again").click()
        playwright.expect(page.locator("article.ended")).to_have_count(1)
        assert [(body["reasoning_effort"], len(body["messages"])) for body in bodies] == [("high", 1)]


@needs_chromium
@pytest.mark.parametrize(
    ("button", "account"), [("#take", "you took the answer"), ("#stop", "the best answer so far")]
)
def test_a_button_ends_a_search_with_its_answer(browser: Any, button: str, account: str) -> None:
    with served(policy=EchoPolicy(echo, pause=0.1)) as server, opened(browser, server) as page:
        assert page.is_hidden(button)
        page.select_option('[name="effort"]', "max")
        ask(page)
        page.wait_for_selector(".running .large")
        page.click(button)
        page.wait_for_selector("article.ended .large")
        assert account in page.locator("article.ended").text_content()
        assert page.is_hidden(button)
        assert violations(page) == []
        server.wait_until_idle()
        page.reload()
        assert page.locator(".question").count() == 1


@needs_chromium
def test_no_question_is_lost_while_the_next_one_is_typed_or_by_a_reload(browser: Any) -> None:
    with served(policy=EchoPolicy(echo, pause=5.0)) as server, opened(browser, server) as page:
        ask(page)
        page.click("#stop")  # nothing is lost before the first answer
        page.wait_for_selector("#ask:visible")
        assert (page.inner_text("#error"), page.input_value('[name="question"]')) == ("", "Echo 18.")
        page.keyboard.press("Enter")
        playwright.expect(page.locator(".foot")).to_contain_text("1\u00a0s")  # the clock runs
        page.fill('[name="question"]', "And then?")
        page.keyboard.press("Escape")
        playwright.expect(page.locator("article.ended .question")).to_have_text("Echo 18.")
        assert page.input_value('[name="question"]') == "And then?"
        page.keyboard.press("Enter")
        page.wait_for_selector("article.running")
        page.reload()
        assert page.locator("article.ended .question").all_inner_texts() == ["Echo 18.", "And then?"]


@needs_chromium
def test_the_page_waits_for_the_model_and_asks_for_the_key_which_it_does_not_keep(browser: Any) -> None:
    opening, access = threading.Event(), Access("127.0.0.1", key="sesame")
    with served(access, opening=opening) as server, opened(browser, server, is_quiet=False) as page:
        playwright.expect(page.locator("#loading")).to_contain_text("Loading")
        ask(page)
        assert (page.is_disabled("#ask"), page.locator("article").count()) == (True, 0)
        opening.set()
        playwright.expect(page.locator("#ask")).to_be_enabled()
        ask(page)
        page.wait_for_selector("#key:visible")
        assert "the API key is missing or wrong" in page.inner_text('[role="alert"]')
        assert violations(page) == []
        page.fill('[name="key"]', "sesame")
        ask_to_the_end(page)
        page.reload()
        ask_to_the_end(page)
        assert "sesame" not in page.evaluate("JSON.stringify(localStorage)")


DROP = """([selector, name, content]) => {
  const dropped = new DataTransfer();
  dropped.items.add(new File([Array.isArray(content) ? new Uint8Array(content) : content], name));
  document.querySelector(selector).dispatchEvent(
    new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
}"""


@needs_chromium
def test_a_file_is_a_chip_and_its_text_stands_below_the_question(browser: Any) -> None:
    policy = EchoPolicy(steady)
    with served(policy=policy) as server, opened(browser, server, width=400) as page:
        field, text = page.locator('[name="question"]'), "line\n" * 200
        chips = page.locator(".composer .chip")
        field.fill("Echo 7.")
        page.evaluate(DROP, ["textarea", "notes.txt", text])
        playwright.expect(chips).to_contain_text(["notes.txt1.0 kB"])
        assert field.input_value() == "Echo 7."
        for name, content, error in (
            ("cat.png", [0xFF, 0xD8, 0xFF], "Only files of text"),
            ("large.txt", "x" * 500_001, "large.txt is too long"),
        ):
            page.evaluate(DROP, ["body", name, content])
            playwright.expect(page.locator("#error")).to_contain_text(error)
        page.set_input_files('[name="file"]', files=[{"name": "a.txt", "mimeType": "", "buffer": b"8"}])
        page.click('[aria-label="Remove a.txt"]')
        field.press("Enter")
        playwright.expect(page.locator(".large")).to_have_text("7")
        assert policy.opened[-1].question == f"Echo 7.\n\nnotes.txt:\n{text}".rstrip()
        assert page.inner_text("article .chip").startswith("notes.txt")
        assert page.inner_text(".question") == "Echo 7."
        assert chips.count() == 0
        page.reload()
        page.locator(".edit").click()
        playwright.expect(chips).to_contain_text(["notes.txt"])
        assert fits(page)
        assert violations(page) == []


MARKDOWN = r"""# Two *things*
It needs **a `base`** and 2 * 3 * 4,
on two lines:

1. First:
   - `n == 0`
   - else

   and more
2.
   Second

```python
def f(n):

    return 1
```
So it is \boxed{\{6\}}.

---
```
open"""

HTML = (
    "<h3>Two <em>things</em></h3>"
    "<p>It needs <strong>a <code>base</code></strong> and 2 * 3 * 4,\non two lines:</p>"
    "<ol><li>First:<ul><li><code>n == 0</code></li><li>else</li></ul><p>and more</p></li><li>Second</li></ol>"
    "<pre><code>def f(n):\n\n    return 1</code></pre>"
    "<p>So it is <strong>\\{6\\}</strong>.</p><hr><pre><code>open</code></pre>"
)


@needs_chromium
def test_markdown_is_rendered_and_texts_of_a_model_are_no_markup(browser: Any) -> None:
    attack = '<img src=x onerror="document.title=1"> 5'
    with served(policy=EchoPolicy(steady)) as server, opened(browser, server) as page:
        assert attack in ask_to_the_end(page, attack).locator(".question").inner_text()
        reply = play_reply(
            page, f"# {attack}\n- **{attack}**\n\n```\n{attack}\n```\n[x](javascript:alert(1))"
        )
        assert reply.inner_text().count(attack) == 3
        assert page.locator("img, article a").count() == 0
        assert page.title() == "adascale"
        page.unroute_all()
        prose = play_reply(page, MARKDOWN).locator(".prose")
        found = prose.evaluate(
            """(prose) => {
              for (const button of prose.querySelectorAll("button")) button.remove();
              for (const block of prose.querySelectorAll(".code")) block.replaceWith(...block.childNodes);
              for (const each of prose.querySelectorAll("pre")) each.removeAttribute("tabindex");
              return prose.innerHTML;
            }"""
        )
        assert found == HTML
        assert violations(page) == []
