"""Settings and commands in a text, and how an edge spells them."""

from __future__ import annotations

from adascale.engine.errors import command, respell, setting


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
    assert respell(f"see {command('models', 'list')}; more", field) == "see adascale models list; more"
    assert command("models", "pull", "x", force=True) == "`adascale models pull x --force`"
