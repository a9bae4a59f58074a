"""What drew the contents of a store, kept beside them: generator and sampler."""

from __future__ import annotations

import json

from adascale.engine.codec import build, to_plain
from adascale.engine.search.events import ModelDescription

from .blobs import BlobStore, Table

MODELS = Table("models", ("role",), {"description": "TEXT"})

_GENERATOR = "generator"


def put_models(blobs: BlobStore, models: ModelDescription) -> None:
    """Keep the generator and its sampler; what judged them is no part of a draw."""
    drew = ModelDescription(models.generator, sampling=models.sampling)
    blobs.put(MODELS, [_GENERATOR], json.dumps(to_plain(drew)))


def models_of(blobs: BlobStore) -> ModelDescription:
    """What ``put_models`` kept; empty where nothing was."""
    row = blobs.get(MODELS, _GENERATOR)
    if row is None:
        return ModelDescription()
    with blobs.decoding():
        found: ModelDescription = build(ModelDescription, json.loads(row[0]))
    return found
