"""List, fetch and remove models."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from adascale.engine.decimals import human_bytes
from adascale.engine.errors import ModelNotFoundError, UsageError, command

from ..exit_codes import FAILED
from ..options.declare import JsonLinesOption, JsonOption, OfflineOption, YesOption
from ..report.models_report import (
    entry_of_catalogue,
    entry_of_file,
    facts_text,
    header_facts,
    models_table,
)
from ..terminal.console import as_typed, say, write_json, write_json_lines, write_payload
from ..terminal.text import fitted, plural

SCHEMA = "adascale.model/1"

Name = Annotated[
    str,
    typer.Argument(help="Name in the list, hf:user/repo[:quant], ollama:NAME, or a .gguf file."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def list_models(as_json: JsonLinesOption = False) -> None:
    """List the models known by name, and the others on this machine.

    adascale list

    Models on this machine come first. MEMORY is the memory of a question with the default context and number
    of solutions. Models of Ollama and LM Studio are listed with a name that opens them where they lie:
    -m ollama:qwen3:1.7b.
    """
    from adascale.models.files.catalog import catalog
    from adascale.models.files.library import installed_models

    installed = installed_models()
    here = {file.name: file for file in installed.files}
    entries = [entry_of_catalogue(spec, here.pop(name, None)) for name, spec in catalog().items()]
    entries += map(entry_of_file, here.values())
    entries.sort(key=lambda entry: not entry.here)
    for error in installed.errors:
        say(f"adascale: {as_typed(error.message)}")
    if as_json:
        write_json_lines({"schema": SCHEMA, **asdict(entry)} for entry in entries)
        return
    write_payload(fitted(models_table(entries)))
    sizes = [entry.size_bytes or 0 for entry in entries if entry.here]
    total = f"{plural(len(sizes), 'model')} here, {human_bytes(sum(sizes))}"
    say(f"adascale: {total}; adascale pull NAME fetches another, -m NAME uses it")


def show(name: Name, as_json: JsonOption = False) -> None:
    """Show the facts about a model; if it is on this machine, also those in its file.

    adascale show qwen2.5-coder-1.5b
    adascale show hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M --json
    """
    from adascale.models.files.library import locate, resolve
    from adascale.models.files.reference import ModelReference, parse

    file, reference = locate(name), parse(name)
    spec = reference.spec if isinstance(reference, ModelReference) else None
    if spec is not None:
        entry = entry_of_catalogue(spec, file)
    elif file is not None:
        entry = entry_of_file(file)
    else:
        raise ModelNotFoundError(f"{name} is not on this machine", hint=command("pull", name))
    facts = asdict(entry)
    if file is not None:
        facts |= header_facts(resolve(name, offline=True).info)
    if as_json:
        write_json({"schema": SCHEMA, **facts})
    else:
        write_payload(facts_text(facts))


def pull(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Models to download."),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Download models again that are here already.")
    ] = False,
    yes: YesOption = False,
    offline: OfflineOption = False,
) -> None:
    """Download models.

    adascale pull qwen2.5-coder-0.5b --yes
    adascale pull hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M

    An interrupted download continues where it stopped, and no file is used before its sha256 is checked. With
    --force, the existing copy stays until the new one is verified.
    """
    from ..searching.models import set_offline

    set_offline(offline)
    from adascale.models.files.library import resolve

    from ..terminal.transfer import TransferView, announce, ask_consent

    consent = announce if yes else ask_consent
    for name in names:
        with TransferView() as view:
            file = resolve(name, again=force, on_progress=view.on_progress, confirm=consent)
        if file.source not in ("hub", "wheel"):
            say(f"{name} is here: {file.path}")


def rm(name: Name, yes: Yes = False) -> None:
    """Delete a model from the cache. Files elsewhere are never touched.

    adascale rm qwen2.5-coder-0.5b
    adascale rm qwen2.5-coder-0.5b --yes
    """
    from adascale.models.files.library import locate, remove

    from ..terminal.transfer import confirm, is_interactive

    file = locate(name)
    if file is not None and file.source == "cache" and not yes:
        if not is_interactive():
            raise UsageError("nobody is there to confirm", hint=command("rm", name, "--yes"))
        if not confirm(f"delete {file.path} ({human_bytes(file.size_bytes)})?", default=False):
            say("nothing was deleted")
            raise typer.Exit(FAILED)
    say(f"removed {name}, {human_bytes(remove(name))} freed")
