"""Measurements of speed: decode steps, batches, events, frames, whole commands."""

import adascale.models.llama  # noqa: F401  # sets how OpenMP's threads wait before a bench loads llama.cpp
