"""Fields that the body of a question has in every protocol: model, seed, and those that change the sampler.

The sampler's have the names of OpenAI, llama.cpp and vLLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from adascale.engine.sampling import SamplingChange

from ..wire.http import Refusal
from .fields import Fields, Ignored, Seed
from .tool_fields import Probability

COLDEST = 0.01
"""A temperature below this takes the likeliest tokens."""

_MAX_BIASES = 1024
_MAX_TOKEN = 1 << 24

Penalty = Annotated[float, Field(ge=-100, le=100)]
Bias = Annotated[float, Field(ge=-100, le=100)]


def _biases(value: Any) -> Any:
    """Biases by token, whose ids JSON has as texts."""
    if not isinstance(value, Mapping):
        return value
    try:
        return {int(token): bias for token, bias in value.items()}
    except ValueError:
        raise Refusal.of_field("logit_bias", "its names have to be ids of tokens") from None


Biases = Annotated[
    dict[Annotated[int, Field(ge=0, le=_MAX_TOKEN)], Bias],
    Field(max_length=_MAX_BIASES),
    BeforeValidator(_biases, json_schema_input_type=dict[str, Bias]),
]


class SamplerFields(Fields):
    """The sampler of a request."""

    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    """0 asks for one greedy reply."""
    top_k: Annotated[int, Field(ge=-1, le=1 << 24)] | None = None
    """Likeliest tokens that are kept; 0 or -1 for all."""
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Tokens less likely than this share of the likeliest one are dropped."""
    repeat_penalty: Annotated[float, Field(ge=0.01, le=100)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] | None = None
    """Another name of ``repeat_penalty``."""
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: Biases | None = None
    """Read the numbers that are added to the logits of tokens, by their ids."""

    @property
    def is_coldest(self) -> bool:
        """True if one greedy reply is asked for."""
        return self.temperature is not None and self.temperature < COLDEST

    def sampling(self, *, is_greedy: bool) -> SamplingChange:
        """The numbers that are given; the filters mean nothing to greedy draws, and 0 nothing to others."""
        filters = {} if is_greedy else self._filters()
        repeat = self.repeat_penalty if self.repeat_penalty is not None else self.repetition_penalty
        return SamplingChange(
            **filters,
            repeat_penalty=repeat,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            logit_bias=tuple(sorted(self.logit_bias.items())) if self.logit_bias else None,
        )

    def _filters(self) -> dict[str, Any]:
        top_k = None if self.top_k is None else max(0, self.top_k)
        temperature = None if self.is_coldest else self.temperature
        return {"temperature": temperature, "top_k": top_k, "top_p": self.top_p, "min_p": self.min_p}


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
