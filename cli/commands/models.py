"""``adascale models``: what there is, what is here, fetch it, delete it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.errors import ModelError, ModelNotFoundError, UsageError

from ..exit_codes import FAILED
from ..options import completion
from ..options.declare import JsonLinesOption
from ..terminal.console import as_typed, json_text, say, write_payload
from ..terminal.text import columns

if TYPE_CHECKING:
    from adascale.models.files.catalog import ModelSpec
    from adascale.models.files.gguf.info import GGUFInfo
    from adascale.models.files.library import LocalFile

SCHEMA = "adascale.model/1"

app = typer.Typer(
    name="models",
    no_args_is_help=True,
    help="List, fetch and remove models.\n\n"
    "Models lie in the Hugging Face cache, which llama.cpp and transformers share. A model is named by its "
    "name in the list, by a file (./model.gguf), by a repository (hf:user/repo:Q4_K_M), or by the name that "
    "Ollama, LM Studio or llama.cpp has for it (ollama:qwen3:1.7b).",
)

Name = Annotated[
    str,
    typer.Argument(
        help="Name in the list, hf:user/repo[:quant], or a .gguf file.", autocompletion=completion.models
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list; None is unknown.

    Attributes:
        forks: Where branches begin: ``anywhere``, or at the ``tip`` alone where layers keep running states.
        thinking: As in the catalogue.
        memory_bytes: What a question takes with the default context and samples.
    """

    name: str
    role: str | None = None
    format: str | None = None
    here: bool = False
    path: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    parameters: int | None = None
    licence: str | None = None
    architecture: str | None = None
    forks: str | None = None
    thinking: str | None = None
    memory_bytes: int | None = None
    repository: str | None = None
    sources: tuple[str, ...] = ()
    summary: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What a model file says about itself."""

    architecture: str
    quant: str
    context: int
    layers: int
    vocabulary: int
    chat_template: bool
    kv_bytes_per_token: int


@app.command("list")
def list_models(
    fits: Annotated[
        bool, typer.Option("--fits", help="Show those that fit into the memory that is free now.")
    ] = False,
    as_json: JsonLinesOption = False,
) -> None:
    """List the models known by name, and the others on this machine.

    adascale models list
    adascale models list --fits

    The first one is the default. "here" says that nothing has to be downloaded. MEMORY is what a question
    takes with the default context and samples. Models of Ollama, LM Studio and llama.cpp are listed with a
    name that opens them where they lie: -g ollama:qwen3:1.7b.
    """
    from adascale.models.files.catalog import catalog
    from adascale.models.files.library import installed_models

    installed = installed_models()
    here = {file.name: file for file in installed.files}
    entries = [_of_catalogue(spec, here.pop(name, None)) for name, spec in catalog().items()]
    entries += map(_of_file, here.values())
    for error in installed.errors:
        say(f"adascale: {as_typed(error.message)}")
    shown = _that_fit(entries) if fits else entries
    if not as_json:
        write_payload(_models_table(shown))
    elif shown:
        write_payload("\n".join(_json(asdict(entry)) for entry in shown))


@app.command()
def show(name: Name, as_json: JsonLinesOption = False) -> None:
    """Show what is known of a model; of one that is here also what its file says.

    adascale models show qwen2.5-coder-1.5b
    """
    from adascale.models.files.gguf.info import read_info
    from adascale.models.files.library import locate
    from adascale.models.files.reference import ModelReference, parse

    file, reference = locate(name), parse(name)
    spec = reference.spec if isinstance(reference, ModelReference) else None
    if spec is not None:
        entry = _of_catalogue(spec, file)
    elif file is not None:
        entry = _of_file(file)
    else:
        raise _not_here(name)
    facts = asdict(entry)
    if file is not None:
        info = read_info(file.path)
        facts |= {"parameters": info.parameter_count, **asdict(_header(info))}
    write_payload(_json(facts) if as_json else _listing(facts))


@app.command()
def pull(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="What to fetch.", autocompletion=completion.models)
    ],
    force: Annotated[bool, typer.Option("--force", help="Fetch it even if it is here.")] = False,
    yes: Yes = False,
) -> None:
    """Fetch models, so that they are here when they are needed.

    adascale models pull qwen2.5-coder-0.5b --yes
    adascale models pull hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M

    A download goes on where a broken one stopped, and nothing is used before its sha256 was checked. With
    --force the copy that is here stays until the new one is verified.
    """
    from adascale.models.files.library import fetch_again, resolve

    from ..terminal.transfer import TransferView, announce, ask_consent

    fetch = fetch_again if force else resolve
    for name in names:
        with TransferView() as view:
            file = fetch(name, on_progress=view.on_progress, confirm=announce if yes else ask_consent)
        if file.source not in ("hub", "wheel"):
            say(f"{name} is here: {file.path}")


@app.command()
def path(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Model; without one, the folder of all models.", autocompletion=completion.models
        ),
    ] = None,
    as_json: JsonLinesOption = False,
) -> None:
    """Print where a model lies, for use in scripts.

    llama-cli -m "$(adascale models path qwen2.5-coder-1.5b)"
    """
    from adascale.models.files.library import locate
    from adascale.models.files.local.cache import cache_dir

    file = locate(name) if name is not None else None
    if name is not None and file is None:
        raise _not_here(name)
    where = str(file.path if file is not None else cache_dir())
    write_payload(json.dumps({"schema": SCHEMA, "name": name, "path": where}) if as_json else where)


@app.command()
def rm(name: Name, yes: Yes = False) -> None:
    """Delete a model from the cache. Files elsewhere are never touched.

    adascale models rm qwen2.5-coder-0.5b
    """
    from adascale.engine.decimals import human_bytes
    from adascale.models.files.library import locate, remove

    from ..terminal.transfer import confirm, is_interactive

    file = locate(name)
    if file is not None and file.source == "cache" and not yes:
        if not is_interactive():
            raise UsageError("nobody is there to confirm", hint=f"adascale models rm {name} --yes")
        if not confirm(f"delete {file.path} ({human_bytes(file.size_bytes)})?", default=False):
            say("nothing was deleted")
            raise typer.Exit(FAILED)
    say(f"removed {name}, {human_bytes(remove(name))} freed")


def _of_catalogue(spec: ModelSpec, file: LocalFile | None) -> Entry:
    from adascale.models.memory import usual_bytes

    return Entry(
        name=spec.name,
        role=spec.role,
        format=spec.format,
        here=file is not None,
        path=str(file.path) if file else None,
        size_bytes=file.size_bytes if file else spec.size_bytes,
        sha256=(file and file.sha256) or spec.sha256,
        parameters=spec.parameters,
        licence=spec.licence,
        architecture=spec.architecture or None,
        forks=_forks(spec.state_bytes) if spec.architecture else None,
        thinking=spec.thinking if spec.role == "generator" else None,
        memory_bytes=usual_bytes(spec.size_bytes, spec.kv_bytes_per_token, spec.state_bytes),
        repository=spec.hub.repo,
        sources=("hub", "wheel") if spec.wheel else ("hub",),
        summary=spec.summary,
    )


def _of_file(file: LocalFile) -> Entry:
    """The entry of a file with another name than the catalogue's, which may know its bytes all the same."""
    known = _of_catalogue(file.spec, file) if file.spec else _of_header(file)
    return replace(
        known,
        name=file.name,
        here=True,
        path=str(file.path),
        size_bytes=file.size_bytes,
        sha256=file.sha256 or None,
    )


def _of_header(file: LocalFile) -> Entry:
    from adascale.models.files.gguf.info import read_info
    from adascale.models.memory import usual_bytes

    try:
        info = read_info(file.path)
    except ModelError:  # whoever opens it is told what is wrong with it
        return Entry(file.name)
    return Entry(
        file.name,
        parameters=info.parameter_count,
        architecture=info.architecture,
        forks=_forks(info.state_bytes),
        memory_bytes=usual_bytes(info.size_bytes, info.kv_bytes_per_token(), info.state_bytes),
    )


def _forks(state_bytes: int) -> str:
    return "tip" if state_bytes else "anywhere"


def _that_fit(entries: Sequence[Entry]) -> list[Entry]:
    """Entries whose memory is known and free, which a line on stderr counts."""
    from adascale.engine.decimals import human_bytes
    from adascale.models import machine

    free = machine.free_memory_bytes()
    fitting = [entry for entry in entries if entry.memory_bytes is not None and entry.memory_bytes <= free]
    say(f"adascale: {human_bytes(free)} of memory are free: {len(fitting)} models fit")
    return fitting


def _header(info: GGUFInfo) -> Header:
    return Header(
        architecture=info.architecture,
        quant=info.file_type,
        context=info.context_length,
        layers=info.block_count,
        vocabulary=info.vocab_size,
        chat_template=bool(info.chat_template),
        kv_bytes_per_token=info.kv_bytes_per_token(),
    )


def _models_table(entries: Iterable[Entry]) -> str:
    from adascale.engine.decimals import human_bytes

    def amount(count: int | None) -> str:
        return human_bytes(count) if count else "?"

    rows = [("NAME", "SIZE", "MEMORY", "HERE", "LICENCE", "WHAT IT IS")]
    for entry in entries:
        here = "here" if entry.here else "-"
        sizes = amount(entry.size_bytes), amount(entry.memory_bytes)
        rows.append((entry.name, *sizes, here, entry.licence or "?", entry.summary or ""))
    return columns(rows, "<<<<<<")


def _listing(facts: Mapping[str, object]) -> str:
    """One fact a line; what is unknown is left out."""
    known = {key.replace("_", " "): value for key, value in facts.items() if value not in (None, (), "")}
    return "\n".join(f"{key:<20}{_words(value)}" for key, value in known.items())


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _json(facts: Mapping[str, object]) -> str:
    return json_text({"schema": SCHEMA, **facts})


def _not_here(name: str) -> ModelNotFoundError:
    return ModelNotFoundError(f"{name} is not on this machine", hint=f"adascale models pull {name}")
