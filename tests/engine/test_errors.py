"""Settings and commands in a text and how an edge spells them; errors that nobody has foreseen."""

from __future__ import annotations

import errno

import pytest

from adascale.engine.errors import AdascaleError, command, decimal, excerpt, explained, respell, setting


def field(name: str, value: str | None) -> str:
    return f"<{name}: {value}>"


def test_a_setting_reads_as_python_has_it() -> None:
    assert setting("ctx_size") == "`ctx_size`"
    assert setting("ctx_size", 1024) == "`ctx_size=1024`"
    assert setting("force", True) == "`force=True`"
    assert setting("prm", "judge=a b.gguf") == '`prm="judge=a b.gguf"`'


def test_an_edge_spells_what_is_marked_and_nothing_else() -> None:
    text = f"a smaller {setting('ctx_size')}, or {setting('prm', 'none')}: `x + 1`, prm=none"
    assert respell(text, field) == "a smaller <ctx_size: None>, or <prm: none>: `x + 1`, prm=none"
    assert respell(f"see {command('list')}; more", field) == "see adascale list; more"
    assert command("pull", "x", "--force") == "`adascale pull x --force`"


@pytest.mark.parametrize(
    ("error", "slug", "kind", "message"),
    [
        (AdascaleError("ours", slug="own"), "own", "AdascaleError", "ours"),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5000),
            "system",
            "AdascaleError",
            f"the system says: file name too long ({'x' * 80}...)",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "system",
            "DiskFullError",
            "the system says: no space left on device",
        ),
        (MemoryError(), "no-memory", "MemoryOverflowError", "memory ran out"),
        (
            AssertionError(),
            "unexpected",
            "AdascaleError",
            "something unexpected went wrong: AssertionError",
        ),
        (
            ValueError("a\x1b[2J"),
            "unexpected",
            "AdascaleError",
            "something unexpected went wrong: ValueError: a\\x1b[2J",
        ),
    ],
)
def test_an_error_is_explained(error: Exception, slug: str, kind: str, message: str) -> None:
    spelled = explained(error, "look")
    assert (spelled.slug, type(spelled).__name__, spelled.message) == (slug, kind, message)
    assert spelled.hint == ("look" if slug == "unexpected" else "")


def test_an_excerpt_is_one_harmless_line() -> None:
    assert excerpt("a\n  b\tc") == "a b c"
    assert excerpt("\x00\x1b\u202e\u2066\ud83d") == r"\x00\x1b\u202e\u2066\ud83d"
    assert excerpt("\u00e9\u4e2d\U0001f600") == "\u00e9\u4e2d\U0001f600"
    assert excerpt("x" * 201) == "x" * 200 + "..."


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.8124, ".3f", ".812"),
        (-0.05, ".2f", "-.05"),
        (0.0123, "+.2g", "+.012"),
        (10.5, ".1f", "10.5"),
        (1.0, ".3f", "1.000"),
        (0, "g", "0"),
    ],
)
def test_only_a_leading_zero_is_left_out(value: float, form: str, text: str) -> None:
    assert decimal(value, form) == text
