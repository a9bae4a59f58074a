"""Models that other programs keep on this machine: opened where they lie, never copied or changed.

ollama:qwen3:1.7b                          Ollama (``ollama``)
lmstudio:publisher/repo:Q4_K_M             LM Studio: publisher/repo/file.gguf below its folder of models
llama.cpp:user_repo_file-Q4_K_M            llama.cpp's cache of files that it fetched by itself
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from adascale.engine.errors import ModelError, ModelNotFoundError, ModelUnavailableError, command

from ...storage import read_json
from ..reference import Store, StoreReference, choose_file, model_files, quant_of
from ..validation import is_file_name
from . import ollama


@dataclass(frozen=True, slots=True)
class _Keeper:
    """A program that keeps models.

    Attributes:
        names: Of all models that it has, as a reference to its store writes them.
        find: The file of a name, and the digest that the store claims, empty where it claims none.
    """

    names: Callable[[], Iterator[str]]
    find: Callable[[str], tuple[Path, str]]


def listing() -> tuple[list[StoreReference], list[ModelError]]:
    """References to the models of all stores, and an error for each store that cannot be read."""
    found: list[StoreReference] = []
    errors: list[ModelError] = []
    for store, keeper in _KEEPERS.items():
        try:
            found += [StoreReference(store, name) for name in keeper.names()]
        except (OSError, RuntimeError) as error:  # RuntimeError: pathlib's name for a loop of links
            errors.append(ModelUnavailableError(f"the models of {store} cannot be read", str(error)))
    return found, errors


def find(reference: StoreReference) -> tuple[Path, str]:
    """The file of a model in a store, and the digest that the store claims; empty where it claims none.

    Raises:
        ModelNotFoundError: The store does not have it.
        ModelCorruptError: The store is damaged.
    """
    return _KEEPERS[reference.store].find(reference.name)


def _lmstudio_folders() -> list[Path]:
    """LM Studio's folders of models: the one that its settings name, the usual one, that of old versions."""
    pointer = Path("~/.lmstudio-home-pointer").expanduser()
    try:
        home = Path(pointer.read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        home = Path("~/.lmstudio").expanduser()
    settings = read_json(home / "settings.json")
    chosen = settings.get("downloadsFolder") if isinstance(settings, dict) else None
    own = [Path(chosen)] if isinstance(chosen, str) and chosen else []
    return [*own, home / "models", Path("~/.cache/lm-studio/models").expanduser()]


def _lmstudio_names() -> Iterator[str]:
    for root in _lmstudio_folders():
        for folder in sorted(root.glob("*/*")):
            repo = folder.relative_to(root).as_posix()
            files = model_files(path.name for path in folder.glob("*.gguf") if path.is_file())
            for file in files:
                tag = quant_of(file)
                yield f"{repo}:{tag if choose_file(files, tag) == file else file}"


def _find_in_lmstudio(name: str) -> tuple[Path, str]:
    repo, _, quant = name.partition(":")
    for root in _lmstudio_folders() if is_file_name(repo) else []:
        files = [path.name for path in (root / repo).glob("*.gguf")]
        chosen = choose_file(files, quant or None)
        if chosen is not None:
            return root / repo / chosen, ""
    raise _absence_error("LM Studio", name, _lmstudio_folders())


def _llama_cpp_folder() -> Path:
    from platformdirs import user_cache_path

    chosen = os.environ.get("LLAMA_CACHE")
    return Path(chosen) if chosen else user_cache_path("llama.cpp", appauthor=False, opinion=False)


def _llama_cpp_names() -> Iterator[str]:
    for file in model_files(path.name for path in _llama_cpp_folder().glob("*.gguf") if path.is_file()):
        yield file.removesuffix(".gguf")


def _find_in_llama_cpp(name: str) -> tuple[Path, str]:
    path = _llama_cpp_folder() / f"{name.removesuffix('.gguf')}.gguf"
    if is_file_name(name) and os.path.isfile(path):
        return path, ""
    raise _absence_error("llama.cpp's cache", name, [path.parent])


def _absence_error(keeper: str, name: str, folders: list[Path]) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"{keeper} has no model {name} on this machine",
        *(f"looked in {folder}" for folder in folders),
        hint=f"{command('models', 'list')} shows what is here",
    )


_KEEPERS: Mapping[Store, _Keeper] = {
    "ollama": _Keeper(ollama.names, ollama.find),
    "lmstudio": _Keeper(_lmstudio_names, _find_in_lmstudio),
    "llama.cpp": _Keeper(_llama_cpp_names, _find_in_llama_cpp),
}
