"""``adascale calibrate`` list and show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.errors import CalibrationError
from adascale.models.files.catalog import DEFAULT_GENERATOR

from ..options.declare import JsonLinesOption, JsonOption, ModelOption
from ..report.calibrate_report import card_text, list_text
from ..terminal.console import as_typed, say, write_json, write_json_lines, write_payload
from ..terminal.text import fitted

if TYPE_CHECKING:
    from adascale.models.calibration.artefact import Artefact


def list_(as_json: JsonLinesOption = False) -> None:
    """List the calibrations on this machine; ``show`` names the file of one.

    adascale calibrate list

    SKILL: 1 is perfect, 0 is no better than the base rate. ECE: how far a probability is off on average.
    """
    from adascale.models.calibration.artefact import describe
    from adascale.models.calibration.installed import read_installed

    found = read_installed()
    for error in found.errors:
        say(f"adascale: {as_typed(error.message)}")
    if as_json:
        write_json_lines(map(describe, found.artefacts))
    else:
        write_payload(fitted(list_text(found.artefacts)))


def show(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name from the list, or a file. The default is that of the model, for questions."
        ),
    ] = None,
    generator: ModelOption = DEFAULT_GENERATOR,
    as_json: JsonOption = False,
) -> None:
    """Show what a calibration was fitted on and how good it is.

    adascale calibrate show
    adascale calibrate show -m qwen2.5-coder-0.5b
    adascale calibrate show qwen2.5-coder-1.5b+probe+code
    """
    from adascale.models.calibration.artefact import describe
    from adascale.models.files.library import locate

    if name is None:
        file = locate(generator)
        name = f"{generator if file is None else file.own_name}+probe"
    artefact = _named(name)
    if as_json:
        write_json(describe(artefact))
    else:
        write_payload(card_text(artefact))


def _named(name: str) -> Artefact:
    """A calibration by its name in the list, or from a file.

    Raises:
        CalibrationError: there is no such calibration.
    """
    from adascale.models.calibration.artefact import load_artefact
    from adascale.models.calibration.installed import read_installed

    if Path(name).is_file():
        return load_artefact(Path(name))
    for artefact in read_installed().artefacts:
        if artefact.card.name == name:
            return artefact
    raise CalibrationError(
        f"there is no calibration {name}", slug="no-calibration", hint="adascale calibrate list"
    )
