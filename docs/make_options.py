"""Writes the table of ``docs/options.md`` from the settings; ``make check`` fails if it is out of date.

Usage: ``python docs/make_options.py``
"""

from __future__ import annotations

from pathlib import Path

from adascale.cli.options.settings import KEYS, ROWS, Settings

PAGE = Path(__file__).parent / "options.md"
BEGIN = "<!-- begin of the table -->\n"


def page() -> str:
    """The whole page with the table as it should be."""
    before, _, _ = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    rows = ["| name | meaning | default |", "|---|---|---|"]
    for name in (name for name in KEYS.values() if not ROWS[name].flags):
        default = ROWS[name].usual or Settings.model_fields[name].default
        rows.append(f"| `{name}` | {ROWS[name].help} | {str(default).lower()} |")
    return before + BEGIN + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
