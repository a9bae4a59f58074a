"""Process reward models: one adapter is a text format and a readout, named in one visible table."""

from __future__ import annotations

from collections.abc import Callable

from ..runtime import LlamaModel
from .judge import judge_format
from .token import StepFormat, TokenPRM

__all__ = ["FORMATS", "StepFormat", "TokenPRM"]

FORMATS: dict[str, Callable[[LlamaModel], StepFormat]] = {"judge": judge_format}
