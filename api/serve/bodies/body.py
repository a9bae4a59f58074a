"""Fields that the body of a question has in every protocol."""

from __future__ import annotations

from .fields import Ignored, Seed
from .sampler import SamplerFields
from .tool_fields import Probability


class Body(SamplerFields):
    """Fields that the body of a question has in every protocol."""

    model: str | None = None
    """Name of the model, alone or with an effort, as ``NAME:high``."""
    seed: Seed | None = None
    """Seed of the draws; random unless given."""
    stream: bool = False
    """Answer in server-sent events."""
    min_probability: Probability = 0.0
    """Probability below which no tool is called; the reply then says what it was unsure of."""
    metadata: Ignored = None


class OpenAIBody(Body):
    """Fields of both protocols of OpenAI."""

    parallel_tool_calls: bool = True
    """Allow several calls in one turn."""
    service_tier: Ignored = None
    user: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
