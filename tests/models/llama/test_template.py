"""Chat templates of hostile files: no escape, no harm, an error that names the file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from adascale.engine.errors import AdascaleError, ModelCorruptError, TemplateRaisedError
from adascale.models.llama import template as module
from adascale.models.llama.template import render_template
from adascale.models.programs.detection import why_not
from adascale.models.programs.sandboxes import landlock

ASKED = "{{ messages[-1].content }}"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]


def rendered(source: str) -> str:
    return render_template(
        source, "m.gguf", MESSAGES, add_generation_prompt=True, bos_token="<s>", eos_token="</s>"
    )


ENDLESS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a tower of powers": "{{ (2 ** (2 ** 31)) % 7 }}",
    "powers": "{% set x = 7 ** (10 ** 8) %}{% set y = x * x * x * x %}{{ y % 3 }}",
    "a number as text": "{{ (9 ** (9 ** 7))|string|length }}",
    "a filter over pairs": "{{ range(99999)|map('string')|map('urlize')|list|join|urlize|length }}" * 40,
}
LARGE = {
    "doubling": "{% set n = namespace(a='x') %}{% for i in range(34) %}{% set n.a = n.a ~ n.a %}{% endfor %}",
    "a width": "{{ '%999999999d' % 1 }}",
    "a width twice as large": "{{ '%2000000000d' % 1 }}",
    "a formatted width": "{{ '{:>999999999}'.format(1)|length }}",
    "a repeated string": "{{ ('a' * 10 ** 10)|length }}",
    "a string as long as the memory": "{{ ('a' * 260000000)|length }}",
    "a repeated list": "{{ ([0] * 300000000)|length }}",
    "a centred text": "{{ 'a'|center(2000000000)|length }}",
    "an indent": "{{ ('a\n' * 4000000)|indent(100)|length }}",
    "a replacement": "{{ ('a' * 5000000)|replace('a', 'b' * 60)|length }}",
    "a join": "{{ range(99999)|join('x' * 9999)|length }}",
    "a product": "{{ ('x' * 99999999) ~ ('y' * 99999999) ~ ('z' * 99999999) }}",
    "a batch": "{{ messages|batch(300000000, 0)|list|length }}",
    "a slice": "{{ 'abc'|batch(400000000, 'x')|list|length }}",
}
LOUD = {
    "output without end": "{% for i in range(99999) %}{{ 'x' * 5000 }}{% endfor %}",
    "output behind the question": ASKED + "{% for i in range(3000) %}{{ 'x ' * 1000 }}{% endfor %}",
    "one large piece": "{{ 'x' * 1000001 }}",
    "filler": "{{ lipsum(n=5000) }}",
}
FORBIDDEN = {
    "a class": "{{ ''.__class__.__mro__ }}",
    "globals of cycler": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "globals of lipsum": "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "format": "{{ '{0.__class__.__init__.__globals__}'.format(raise_exception) }}",
    "format_map": "{{ '{a.__class__.__mro__}'.format_map({'a': raise_exception}) }}",
    "format by attr": "{{ ('{0.__globals__[sys].modules[os].environ}'|attr('format'))(raise_exception) }}",
    "format by map": "{{ ['{0.__class__.__mro__}']|map('format', raise_exception)|list }}",
    "our own function": "{{ raise_exception.__globals__ }}{{ strftime_now.__code__.co_consts[0] }}",
    "by subscript": "{{ raise_exception['__globals__'].x }}",
    "a generator's frame": "{% set g = messages|map('upper') %}{{ g.gi_frame.f_globals }}",
    "another conversation": "{{ messages.append(1) }}",
    "another message": "{{ messages[0].update({'content': 'x'}) }}",
    "a file included": "{% include '/etc/passwd' %}",
    "a module imported": "{% import 'os' as os %}{{ os }}",
    "a file extended": "{% extends '/etc/passwd' %}",
    "a range without end": "{{ range(10 ** 9)|list|length }}",
}
BROKEN = {
    "a macro in itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a loop in itself": "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "parentheses": "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "negations": "{{ " + "not " * 20000 + "1 }}",
    "lists in lists": "{{ " + "[" * 5000 + "]" * 5000 + " }}",
    "conditions": "{% if 1 %}" * 500 + ASKED + "{% endif %}" * 500,
    "a sum": "{{ 1" + "+1" * 50000 + " }}",
    "a nested value": "{% set n = namespace(a=[]) %}{% for i in range(99999) %}{% set n.a = [n.a] %}"
    "{% endfor %}{{ n.a|tojson|length }}{{ n.a }}",
    "syntax": "{% for %}",
    "an unfinished block": "{% for m in messages %}",
    "nothing": "{{ a.b.c }}",
    "a division": "{{ 1 // 0 }}",
}


def named(table: Mapping[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("source", table.values(), ids=table.keys())


def refusal(source: str) -> str:
    with pytest.raises(ModelCorruptError, match=r"^the chat template of m\.gguf ") as refused:
        rendered(source + ASKED)
    assert refused.value.slug == "bad-template"
    return refused.value.message


@named(ENDLESS)
def test_a_template_without_end_is_ended(source: str) -> None:
    assert refusal(source).endswith("takes more than 2 s of processor time")


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited on Linux alone")
@named(LARGE)
def test_a_template_gets_no_more_than_its_memory(source: str) -> None:
    assert refusal(source).endswith("takes more than 256 MB of memory")


@named(LOUD)
def test_a_template_writes_no_more_than_a_prompt(source: str) -> None:
    assert refusal(source).endswith("takes more than 1,000,000 characters of output")


@named(FORBIDDEN)
def test_a_template_has_no_way_out_of_the_sandbox(source: str) -> None:
    with pytest.raises(TemplateRaisedError):
        rendered(source + ASKED)


@named(BROKEN)
def test_a_template_that_breaks_the_interpreter_breaks_no_other(source: str) -> None:
    with suppress(ModelCorruptError):
        assert "2 + 2?" in rendered(source + ASKED)
    assert rendered(ASKED) == "2 + 2?"


def test_what_a_template_raises_is_shown_harmlessly_and_not_in_full() -> None:
    text = "'\\x1b[2J\\x07\\u202e no\\n ' ~ 'x' * 100000"
    with pytest.raises(TemplateRaisedError) as refused:
        rendered(f"{{{{ raise_exception({text}) }}}}")
    shown = refused.value.message.removeprefix("the chat template of m.gguf cannot be rendered: ")
    assert shown.startswith(r"\x1b[2J\x07\u202e no xxx")
    assert shown.isprintable()
    assert len(shown) < 250


def test_messages_of_any_characters_come_back_as_they_are() -> None:
    messages = [{"role": "user", "content": "\ud83d \U0001f600\x00\n é"}]
    assert render_template(ASKED, "m.gguf", messages, bos_token="") == messages[0]["content"]


def test_a_child_that_does_not_start_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = module.LimitedChild("import no_such_module", module._start_error)
    monkeypatch.setattr(module, "_child", broken)
    with pytest.raises(
        AdascaleError, match="the process that renders chat templates does not start"
    ) as error:
        rendered(ASKED)
    assert not isinstance(error.value, ModelCorruptError)


LEAVING = """
import os, socket, subprocess
from adascale.models.llama.template import give_up_rights

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


@pytest.mark.skipif(
    sys.platform != "linux" or bool(why_not(landlock())), reason="this kernel cannot refuse it"
)
def test_outside_of_jinja_there_are_no_files_connections_and_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", LEAVING]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("held\n" * 5, "")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ 'a b'|wordwrap(1) }}", "a\nb"),
        ("{{ [1]|pprint }}", "[1]"),
        ("{{ '<b>&amp;</b>'|striptags }}", "&"),
        ("{{ lipsum(n=1, html=false)|length > 9 }}", "True"),
        ("{{ {'a': 1}|tojson }}{{ 1.5|round|int }}{{ 'x'|urlencode }}{{ 'é'|title }}", '{"a": 1}2xÉ'),
        ("{{ messages|map(attribute='role')|join(',') }}", "system,user"),
        ("{{ ['b', 'a']|sort|first }}{{ [1, 2]|random in [1, 2] }}{{ 9|filesizeformat }}", "aTrue9 Bytes"),
    ],
)
def test_filters_work_in_a_process_without_rights(source: str, text: str) -> None:
    assert rendered(source) == text
