"""Fields that a body has in both protocols of OpenAI."""

from __future__ import annotations

from ..http.fields import FLAG, WITHOUT_EFFECT, only

OPENAI_FIELDS = {
    "stream": FLAG,
    "parallel_tool_calls": FLAG,
    "service_tier": only("auto", "default"),
    "store": only(False),
    "tools": only([]),
    "tool_choice": only("auto", "none"),
    "user": WITHOUT_EFFECT,
    "metadata": WITHOUT_EFFECT,
    "safety_identifier": WITHOUT_EFFECT,
    "prompt_cache_key": WITHOUT_EFFECT,
}
