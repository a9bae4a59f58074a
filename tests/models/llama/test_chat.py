"""Chat templates as models bring them, rendered where they can do no harm."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import tiny_prm
from machine import text_of

from adascale.engine.errors import ModelCorruptError, TemplateRaisedError, UsageError
from adascale.engine.tools.calls import ToolRequest
from adascale.engine.types import Turn
from adascale.models.llama.chat import ChatFormat, ToolFormat
from adascale.models.llama.model import LlamaModel
from adascale.models.llama.templates import render
from adascale.models.options import PROMPTS
from adascale.models.programs.cpython import why_not
from adascale.models.session import chat_formats

LOOP = (
    "{% for m in messages %}{{ m.content }}{% if loop.last %}{% break %}{% endif %}{% continue %}{% endfor %}"
)
MARKED = "{% for m in messages %}{% generation %}[{{ m.content }}]{% endgeneration %}{% endfor %}"


Open = Callable[[str], LlamaModel]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open a model with a template; it is closed afterwards."""
    with ExitStack() as stack:

        def open_model(template: str) -> LlamaModel:
            path = tiny.write_chain(tmp_path / "chain.gguf", template=template)
            return stack.enter_context(closing(LlamaModel(path)))

        yield open_model


@pytest.mark.parametrize(
    ("template", "text"),
    [(LOOP, "Be brief.What is 2 + 2?"), (MARKED, "[Be brief.][What is 2 + 2?]")],
)
def test_a_template_has_the_extensions_of_transformers(opened: Open, template: str, text: str) -> None:
    model = opened(template)
    prompt = ChatFormat(model, "Be brief.").prompt("What is 2 + 2?")
    assert text_of(model, prompt) == text


@pytest.mark.parametrize(
    ("template", "fault"),
    [("{% for m in messages %}", "cannot be rendered"), ("Hello", "does not show the question exactly once")],
)
def test_a_broken_template_is_an_error_of_the_file(opened: Open, template: str, fault: str) -> None:
    model = opened(template)
    with pytest.raises(ModelCorruptError, match=rf"the chat template of chain\.gguf {fault}") as refused:
        ChatFormat(model, "Be brief.")
    assert refused.value.hint


EARLIER = (Turn("system", "Use metres."), Turn("user", "How <|im_end|> far?"), Turn("assistant", " 7 \n"))


def test_a_conversation_uses_the_template_and_its_control_tokens_are_text(
    opened: Open,
) -> None:
    model = opened(tiny.CHATML)
    chat = ChatFormat(model, "Be brief.")
    prompt = chat.prompt("And <|im_end|> back?", EARLIER)
    # Control tokens have no text of their own; what is left of them here stands in the question.
    assert text_of(model, prompt) == (
        "system\nBe brief.\n\nUse metres.\nuser\nHow <|im_end|> far?\n"
        "assistant\n7\nuser\nAnd <|im_end|> back?\nassistant\n"
    )
    [end] = model.tokenize("<|im_end|>", special=True)
    assert prompt.count(end) == 4
    assert chat.prompt("And back?", EARLIER[1:])[: len(chat.head)] == chat.head
    assert chat.prompt("And back?") == (
        *chat.head,
        *model.tokenize("And back?", special=False),
        *chat.tail,
    )


@pytest.mark.parametrize("own", ["", "Rhyme."])
def test_a_chat_message_has_only_the_users_system_prompt(opened: Open, own: str) -> None:
    model = opened(tiny.CHATML)
    chat = ChatFormat(model, "Number your steps.", chat_system=own)
    later = text_of(model, chat.prompt("Thanks!", EARLIER, is_chat=True))
    above = f"{own}\n\n" if own else ""
    assert later == (
        f"system\n{above}Use metres.\nuser\nHow <|im_end|> far?\nassistant\n7\nuser\nThanks!\nassistant\n"
    )
    alone = text_of(model, chat.prompt("Thanks!", is_chat=True))
    assert alone == (f"system\n{own}\n" if own else "") + "user\nThanks!\nassistant\n"


def test_without_a_system_role_the_first_turn_has_the_system_prompt(opened: Open) -> None:
    without = "{% for m in messages if m.role != 'system' %}[{{ m.content }}]{% endfor %}"
    model = opened(without)
    prompt = ChatFormat(model, "Be brief.").prompt("Back?", EARLIER)
    text = text_of(model, prompt)
    assert text == "[Be brief.\n\nUse metres.\n\nHow <|im_end|> far?][7][Back?]"
    bare = text_of(model, ChatFormat(model, "").prompt("Back?", EARLIER))
    assert bare == "[Use metres.\n\nHow <|im_end|> far?][7][Back?]"


def test_the_users_system_prompt_follows_each_built_in_one(opened: Open) -> None:
    model = opened(tiny.CHATML)
    call = ToolRequest.of({"messages": [{"role": "user", "content": "Back?"}], "tools": []})
    for name, chat in chat_formats(model, "Rhyme.", 0).items():
        if isinstance(chat, ToolFormat):
            prompt = chat.request_prompt(call, with_tools=False)
        else:
            prompt = chat.prompt("Back?")
        above = f"{PROMPTS[name]}\n\nRhyme.".strip()
        opening = "```python\n" if name in ("program", "date", "check", "code") else ""
        text = text_of(model, prompt)
        assert text == f"system\n{above}\nuser\nBack?\nassistant\n{opening}"


@pytest.mark.parametrize(
    "template",
    [
        "{% if messages|length > 2 %}{{ raise_exception('no') }}{% endif %}{{ messages[-1].content }}",
        "{{ messages[-1].content }}",
    ],
)
def test_turns_that_a_template_does_not_show_are_refused(opened: Open, template: str) -> None:
    model = opened(template)
    with pytest.raises(UsageError, match="has no place for these messages") as caught:
        ChatFormat(model, "Be brief.").prompt("Back?", EARLIER)
    assert caught.value.slug == "bad-conversation"


def test_a_sentencepiece_prompt_has_the_tokens_of_its_whole_text(tmp_path: Path) -> None:
    """Such a vocabulary puts a space before a text, but not before each of the pieces it comes in."""
    model = LlamaModel(tiny_prm.write_mistral(tmp_path / "plain.gguf"))
    chat = ChatFormat(model, "Be brief.")
    head = b"".join(map(model.piece, chat.head))
    tail = b"".join(map(model.piece, chat.tail))
    for tokens in (
        chat.prompt("5 + 5?"),
        chat.prompt("5 + 5?", (Turn("user", "Hm?"), Turn("assistant", "No."))),
    ):
        text = b"".join(map(model.piece, tokens))
        assert text.endswith(b"5 + 5?" + tail)
        assert list(tokens[1:]) == model.tokenize(text.decode().removeprefix(" "), special=True)
    assert not tail.startswith(b"  ")
    assert b"".join(map(model.piece, chat.prompt("5 + 5?"))) == head + b"5 + 5?" + tail
    model.close()


ASKED = "{{ messages[-1].content }}"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]


def rendered(source: str) -> str:
    info = SimpleNamespace(chat_template=source)
    model: Any = SimpleNamespace(info=info, name="m.gguf", special_texts={"bos_token": "<s>"})
    return render(model, MESSAGES)


def short(text: str) -> str:
    """The name of a case."""
    return text[:40]


ENDLESS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
]
LARGE = [
    "{% set n = namespace(a='x') %}{% for i in range(34) %}{% set n.a = n.a ~ n.a %}{% endfor %}",
    "{{ '%999999999d' % 1 }}",
]
FORBIDDEN = [
    "{{ ''.__class__.__mro__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ ('{0.__globals__[sys].modules[os].environ}'|attr('format'))(raise_exception) }}",
    "{{ raise_exception.__globals__ }}{{ strftime_now.__code__.co_consts[0] }}",
    "{{ messages.append(1) }}",
    "{% include '/etc/passwd' %}",
    "{{ range(10 ** 9)|list|length }}",
]
BROKEN = [
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% if 1 %}" * 500 + ASKED + "{% endif %}" * 500,
    "{% set n = namespace(a=[]) %}{% for i in range(99999) %}{% set n.a = [n.a] %}"
    "{% endfor %}{{ n.a|tojson|length }}{{ n.a }}",
    "{% for %}",
    "{{ 1 // 0 }}",
]


@pytest.mark.parametrize("source", [*ENDLESS, *LARGE], ids=short)
def test_a_template_keeps_within_its_limits(source: str) -> None:
    if source in LARGE and sys.platform != "linux":
        pytest.skip("the address space is limited on Linux alone")
    with pytest.raises(ModelCorruptError) as refused:
        rendered(source + ASKED)
    assert refused.value.slug == "bad-template"
    assert rendered(ASKED) == "2 + 2?"


@pytest.mark.parametrize("source", FORBIDDEN, ids=short)
def test_a_template_cannot_leave_the_sandbox(source: str) -> None:
    with pytest.raises(TemplateRaisedError) as refused:
        rendered(source + ASKED)
    assert refused.value.hint


@pytest.mark.parametrize("source", BROKEN, ids=short)
def test_a_template_that_crashes_the_interpreter_is_refused_and_the_next_is_rendered(source: str) -> None:
    with pytest.raises(ModelCorruptError, match="cannot be rendered"):
        rendered(source + ASKED)
    assert rendered(ASKED) == "2 + 2?"


def test_an_error_of_a_template_is_escaped_and_shortened() -> None:
    text = "'\\x1b[2J\\x07\\u202e no\\n ' ~ 'x' * 100000"
    with pytest.raises(TemplateRaisedError) as refused:
        rendered(f"{{{{ raise_exception({text}) }}}}")
    shown = refused.value.message.removeprefix("the chat template of m.gguf cannot be rendered: ")
    assert shown.startswith(r"\x1b[2J\x07\u202e no xxx")
    assert shown.isprintable()
    assert len(shown) < 250


LEAVING = """
import os, socket, subprocess
from adascale.models.llama.templates import give_up_rights

give_up_rights()
ways = [
    lambda: open("/etc/passwd"),
    lambda: open("new", "w"),
    lambda: socket.create_connection(("127.0.0.1", 9)),
    lambda: subprocess.run(["true"]),
    lambda: os.kill(os.getppid(), 0),
]
for way in ways:
    try:
        way()
        print("left")
    except PermissionError:
        print("held")
"""


@pytest.mark.skipif(sys.platform != "linux" or bool(why_not()), reason="this kernel cannot refuse it")
def test_the_child_can_open_no_files_connections_and_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", LEAVING]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("held\n" * 5, "")
