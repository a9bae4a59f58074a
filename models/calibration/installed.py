"""The calibrations of this machine: all of them, the one of a pair of models, and its mismatches."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from adascale.engine.errors import CalibrationError, command, setting
from adascale.engine.types import Notice, Problem

from ..questions import read_known
from ..storage import data_folder
from .artefact import SUFFIX, Artefact, Card, Fingerprint, load_artefact

_QUESTION = 512
"""Tokens that a question may have without its solutions being cut off by the context."""

_FAR_OFF = "it is right for the models that it was fitted with and no others: its estimates may be far off"
_REMEDY = (
    f"{command('calibrate', 'fit')} makes one for this setting; "
    f"{setting('calibration', 'none')} shows scores as scores"
)


def own_folder() -> Path:
    """Calibrations that were fitted on this machine."""
    return data_folder() / "calibrations"


def shipped_folder() -> Path:
    """Calibrations that come with the package."""
    return Path(str(resources.files("adascale.models.calibration"))) / "shipped"


def built_in_questions() -> list[Problem]:
    """The 300 questions of the package, by turns: two of GSM8K's with other numbers, then one of MATH's.

    Fitting questions: no evaluation of ours asks one of them.
    """
    source = Path(str(resources.files("adascale.models.calibration"))) / "questions.jsonl"
    [problems] = read_known([source])
    return problems


def installed_artefacts() -> Iterator[Artefact | CalibrationError]:
    """All calibrations, the user's own first; for one that cannot be read, its error."""
    for folder in (own_folder(), shipped_folder()):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                yield load_artefact(path)
            except CalibrationError as error:
                yield error


def load_errors() -> list[CalibrationError]:
    """The error of each calibration that cannot be read."""
    return [found for found in installed_artefacts() if isinstance(found, CalibrationError)]


def find_artefact(used: Fingerprint) -> Artefact | None:
    """The calibration of exactly these models and this kind of problem, the user's own before a shipped one.

    Nothing is ever applied to another file than it was fitted on, however much alike their names are. Of
    several the one is taken whose prompt and sampler differ least from those ``used``.
    """
    scope = used.scope()
    found = (
        a for a in installed_artefacts() if isinstance(a, Artefact) and a.card.fingerprint.scope() == scope
    )
    return min(found, key=lambda a: len(mismatches(a.card, used)), default=None)


def mismatches(card: Card, fingerprint: Fingerprint) -> list[Notice]:
    """A notice for each difference from what a calibration was fitted with, and its consequence."""
    fitted = card.fingerprint
    found = []
    if fitted.generator != fingerprint.generator:
        what = f"another generator file ({fitted.generator[:12]}, not {fingerprint.generator[:12]})"
        found.append(_mismatch(card, what, _FAR_OFF, "calibration-other-model"))
    if (fitted.prm, fitted.prm_format) != (fingerprint.prm, fingerprint.prm_format):
        found.append(_mismatch(card, "another PRM", _FAR_OFF, "calibration-other-model"))
    if fitted.prompt != fingerprint.prompt:
        found.append(_mismatch(card, "another chat template or system prompt"))
    small, large = sorted((fitted.window, fingerprint.window))
    if small < large and small < fitted.sampling.get("max_tokens", 0) + _QUESTION:
        what = f"a context of {fitted.window:,} tokens, not {fingerprint.window:,}"
        found.append(_mismatch(card, what))
    used = fingerprint.sampling
    changed = [
        f"{name} {used.get(name, 0)} instead of {fitted.sampling.get(name, 0)}"
        for name in {**fitted.sampling, **used}
        if used.get(name, 0) != fitted.sampling.get(name, 0)
    ]
    if changed:
        found.append(_mismatch(card, f"another sampler ({', '.join(changed)})"))
    return found


def _mismatch(
    card: Card, what: str, follows: str = "its estimates may be off", code: str = "calibration-mismatch"
) -> Notice:
    return Notice(code, f'the calibration "{card.name}" was fitted with {what}', (follows,), _REMEDY)
