"""Measurements of speed, memory and endurance.

``steps`` measures the cost curve of decode steps, ``decode`` and ``vs_llama`` compare them with bare
llama.cpp, and ``batch`` measures many questions at once. ``soak`` and ``soak_serve`` look for leaks,
``kills`` (of a batch), ``kills_fit``, ``kills_serve`` and ``kills_upstream`` (of another server) for lost
work; ``serving`` is the server that ``soak_serve`` and ``kills_serve`` ask.
"""

import adascale.models.llama  # noqa: F401  # sets how OpenMP's threads wait before a bench loads llama.cpp
