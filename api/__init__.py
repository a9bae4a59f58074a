"""adascale: ask a small local model, and spend as much search as the question deserves."""

from __future__ import annotations

__version__ = "0.1.0"
