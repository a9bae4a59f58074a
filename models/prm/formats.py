"""The PRM formats in one visible table, and the choice of a model's format."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from adascale.engine.errors import UsageError, setting

from ..files.gguf_info import names_of
from ..files.library import ModelFile
from ..llama.runtime import LlamaModel
from .head import fetch_head, qwen_math_prm, skywork_prm
from .incremental import Adapter
from .token import chat_judge, math_shepherd, rlhflow


@dataclass(frozen=True, slots=True)
class PRMFormat:
    """A PRM format.

    Attributes:
        adapter: Binds it to a model; a UsageError says why a model is no PRM of the format.
        names: Pattern of its models' own names, for files that are not in the catalogue.
    """

    adapter: Callable[[LlamaModel], Adapter]
    names: str = r"(?!)"


FORMATS: dict[str, PRMFormat] = {
    "judge": PRMFormat(chat_judge),
    "math-shepherd": PRMFormat(math_shepherd, r"math-shepherd.*prm"),
    "rlhflow-deepseek": PRMFormat(partial(rlhflow, writer="deepseek"), r"prm-deepseek-data"),
    "rlhflow-mistral": PRMFormat(partial(rlhflow, writer="mistral"), r"prm-mistral-data"),
    "qwen-math-prm": PRMFormat(qwen_math_prm, r"qwen2\.5-math-(\d+b-)?prm"),
    "skywork-prm": PRMFormat(skywork_prm, r"skywork-o1-open-prm"),
}


def split_reference(ref: str) -> tuple[str | None, str]:
    """Format and reference of ``FORMAT=REF``; the format is None if it is not named.

    Raises:
        UsageError: there is no such format.
    """
    name, equals, rest = ref.partition("=")
    if not equals or not re.fullmatch(r"[a-z-]+", name):
        return None, ref
    if name not in FORMATS:
        near = get_close_matches(name, FORMATS, 1) or ["judge"]
        message, facts = f'there is no PRM format "{name}"', f"formats: {', '.join(FORMATS)}"
        raise UsageError(message, facts, hint=setting("prm", f"{near[0]}={rest}"), slug="unknown-prm-format")
    return name, rest


def settle_format(
    file: ModelFile, wanted: str | None, status: Callable[[str], None], *, offline: bool
) -> str:
    """Choose the format of a model, and fetch its head if the format needs one.

    Args:
        file: The GGUF.
        wanted: The format the user asks for; None takes the first of: the catalogue's, the format that the
            file's names match, ``judge``.
        status: Shows a line when a head has to be fetched.
        offline: Never touch the network.

    Raises:
        UsageError: its name says PRM and matches no format, or its head is missing.
        ModelError: its head could not be fetched.
    """
    name = wanted or _choose_format(file)
    fetch_head(file, name, status, offline=offline)
    return name


def _choose_format(file: ModelFile) -> str:
    if file.spec is not None:
        return file.spec.format or "judge"
    names = names_of(file.info.name, file.path)
    for name, form in FORMATS.items():
        if any(re.search(form.names, own) for own in names):
            return name
    if any(re.search(r"prm(?![a-z])", own) for own in names):
        raise UsageError(
            f"{file.shown_name} calls itself a PRM, of which format is not clear",
            f"formats: {', '.join(FORMATS)}",
            hint=setting("prm", f"FORMAT={file.name}"),
            slug="unknown-prm-format",
        )
    return "judge"
