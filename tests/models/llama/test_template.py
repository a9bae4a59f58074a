"""Chat templates of hostile files: no escape, no harm, an error that names the file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adascale.engine.errors import ModelCorruptError, TemplateRaisedError
from adascale.models.llama.chat import Message, render
from adascale.models.programs.cpython import why_not

ASKED = "{{ messages[-1].content }}"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]


def rendered(source: str, messages: Sequence[Message] = MESSAGES) -> str:
    info = SimpleNamespace(chat_template=source)
    model: Any = SimpleNamespace(info=info, name="m.gguf", special_texts={"bos_token": "<s>"})
    return render(model, messages, open_assistant=True)


def short(text: str) -> str:
    """The name of a case."""
    return text[:40]


ENDLESS, LARGE = "2 s of processor time", "256 MB of memory"
UNLIMITED = [
    (ENDLESS, "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
    (LARGE, "{% set n = namespace(a='x') %}{% for i in range(34) %}{% set n.a = n.a ~ n.a %}{% endfor %}"),
    (LARGE, "{{ '%999999999d' % 1 }}"),
]
FORBIDDEN = [
    "{{ ''.__class__.__mro__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ '{a.__class__.__mro__}'.format_map({'a': raise_exception}) }}",
    "{{ ('{0.__globals__[sys].modules[os].environ}'|attr('format'))(raise_exception) }}",
    "{{ ['{0.__class__.__mro__}']|map('format', raise_exception)|list }}",
    "{{ raise_exception.__globals__ }}{{ strftime_now.__code__.co_consts[0] }}",
    "{% set g = messages|map('upper') %}{{ g.gi_frame.f_globals }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'content': 'x'}) }}",
    "{% include '/etc/passwd' %}",
    "{{ range(10 ** 9)|list|length }}",
]
BROKEN = [
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{% if 1 %}" * 500 + ASKED + "{% endif %}" * 500,
    "{{ 1" + "+1" * 50000 + " }}",
    "{% set n = namespace(a=[]) %}{% for i in range(99999) %}{% set n.a = [n.a] %}"
    "{% endfor %}{{ n.a|tojson|length }}{{ n.a }}",
    "{% for %}",
    "{{ 1 // 0 }}",
]


@pytest.mark.parametrize(("limit", "source"), UNLIMITED, ids=short)
def test_a_template_keeps_within_its_limits(limit: str, source: str) -> None:
    if limit == LARGE and sys.platform != "linux":
        pytest.skip("the address space is limited on Linux alone")
    with pytest.raises(ModelCorruptError) as refused:
        rendered(source + ASKED)
    assert refused.value.message == f"the chat template of m.gguf takes more than {limit}"
    assert refused.value.slug == "bad-template"


@pytest.mark.parametrize("source", FORBIDDEN, ids=short)
def test_a_template_has_no_way_out_of_the_sandbox(source: str) -> None:
    with pytest.raises(TemplateRaisedError) as refused:
        rendered(source + ASKED)
    assert refused.value.hint


@pytest.mark.parametrize("source", BROKEN, ids=short)
def test_a_template_that_breaks_the_interpreter_is_refused_and_breaks_no_other(source: str) -> None:
    with pytest.raises(ModelCorruptError, match="cannot be rendered"):
        rendered(source + ASKED)
    assert rendered(ASKED) == "2 + 2?"


def test_what_a_template_raises_is_shown_harmlessly_and_not_in_full() -> None:
    text = "'\\x1b[2J\\x07\\u202e no\\n ' ~ 'x' * 100000"
    with pytest.raises(TemplateRaisedError) as refused:
        rendered(f"{{{{ raise_exception({text}) }}}}")
    shown = refused.value.message.removeprefix("the chat template of m.gguf cannot be rendered: ")
    assert shown.startswith(r"\x1b[2J\x07\u202e no xxx")
    assert shown.isprintable()
    assert len(shown) < 250


LEAVING = """
import os, socket, subprocess
from adascale.models.llama.chat import give_up_rights

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
def test_outside_of_jinja_there_are_no_files_connections_and_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", LEAVING]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("held\n" * 5, "")
