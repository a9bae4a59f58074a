"""Fields that the body of a question has in every protocol."""

from __future__ import annotations

from typing import Literal

from .fields import Ignored, Nothing, Seed
from .sampler import SamplerFields


class Body(SamplerFields):
    """Fields that the body of a question has in every protocol."""

    model: str | None = None
    """Name of the model, alone or with an effort, as ``NAME:high``."""
    seed: Seed | None = None
    """Seed of the draws; random unless given."""
    stream: bool = False
    """Answer in server-sent events."""
    metadata: Ignored = None


class OpenAIBody(Body):
    """Fields of both protocols of OpenAI."""

    tools: Nothing = []
    tool_choice: Literal["auto", "none"] | None = None
    parallel_tool_calls: bool = True
    """Without effect."""
    service_tier: Ignored = None
    user: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
