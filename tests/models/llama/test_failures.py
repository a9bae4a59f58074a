"""What llama.cpp logs when it refuses a model, as it is said to a user."""

from __future__ import annotations

import pytest

from adascale.engine.errors import MemoryOverflowError, ModelCorruptError, ModelError
from adascale.models.llama.failures import explain_load_failure


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        (
            "llama_model_load: error loading model architecture: unknown model architecture: 'foo'",
            ModelCorruptError,
            'm.gguf uses the architecture "foo" that this llama.cpp does not know',
        ),
        (
            "gguf_init_from_reader: invalid magic characters: '<!DO'",
            ModelCorruptError,
            "m.gguf is not a GGUF file",
        ),
        ("gguf_init: failed to read magic", ModelCorruptError, "m.gguf is not a GGUF file"),
        (
            "tensor 'x' data is not within the file bounds, model is corrupted or incomplete",
            ModelCorruptError,
            "m.gguf is incomplete",
        ),
        (
            "this GGUF file is version 99 but this software only supports up to version 3",
            ModelCorruptError,
            "m.gguf is GGUF version 99; this llama.cpp reads up to 3",
        ),
        ("unable to allocate CPU buffer", MemoryOverflowError, "llama.cpp got no memory for m.gguf"),
        ("failed to allocate buffer for kv cache", MemoryOverflowError, "llama.cpp got no memory for m.gguf"),
        ("something new", ModelError, "llama.cpp cannot load m.gguf"),
    ],
)
def test_load_failures_are_explained(line: str, kind: type[Exception], words: str) -> None:
    error = explain_load_failure(["loaded meta data", line], "m.gguf")
    assert type(error) is kind
    assert error.message == words
    if kind is not ModelCorruptError:
        assert line in error.facts


def test_the_cause_of_a_failed_load_is_among_the_facts() -> None:
    said = [
        "llama_model_loader: loaded meta data",
        "gguf_init_from_reader: duplicate key 'general.name' for tensors 1 and 2",
        "gguf_init_from_reader: failed to read key-value pairs",
        "llama_model_load: error loading model: failed to load model from " + "x" * 1000,
        "llama_model_load_from_file_impl: failed to load model",
    ]
    facts = explain_load_failure(said, "m.gguf").facts
    assert facts[0] == said[1]
    assert len(facts) == 4
    assert max(map(len, facts)) < 210
