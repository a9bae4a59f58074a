"""The calibrations of this machine: finds the one of a pair of models, and names what does not match."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path

from adascale.engine.errors import CalibrationError, command, setting
from adascale.engine.kinds import KINDS
from adascale.engine.types import KindName, Notice, Problem

from ..question_sets import read_known
from ..storage import data_folder
from .artefact import SUFFIX, Artefact, Card, Fingerprint, load_artefact, question_key

_QUESTION = 512
"""Tokens that a question may have without its solutions being cut off by the context."""

_FAR_OFF = "it is right for the models that it was fitted with and no others: its estimates may be far off"
_REMEDY = (
    f"{command('calibrate', 'fit')} makes one for this setting; "
    f"{setting('calibration', 'none')} shows scores as scores"
)


def own_folder() -> Path:
    """Folder of calibrations that were fitted on this machine."""
    return data_folder() / "calibrations"


def own_path(card: Card) -> Path:
    """The file of a calibration fitted here; one for each generator, PRM, prompt and sampler."""
    name = re.sub(r"[^\w+.-]", "_", card.name)
    key = json.dumps(asdict(card.fingerprint), sort_keys=True)
    return own_folder() / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}{SUFFIX}"


def shipped_folder() -> Path:
    """Folder of calibrations that come with the package."""
    return Path(str(resources.files("adascale.models.calibration"))) / "shipped"


def built_in_questions() -> list[Problem]:
    """The 300 bundled questions, interleaved 2 : 1 (GSM8K with changed numbers, MATH).

    Fitting questions: no evaluation of ours asks one of them.
    """
    source = Path(str(resources.files("adascale.models.calibration"))) / "questions.jsonl"
    [problems] = read_known([source])
    return problems


@dataclass(frozen=True, slots=True)
class InstalledCalibrations:
    """The calibrations of this machine, read once.

    Attributes:
        artefacts: The user's own first, then those that ship.
        errors: Errors of the files that cannot be read.
    """

    artefacts: tuple[Artefact, ...] = ()
    errors: tuple[CalibrationError, ...] = ()

    def find(self, used: Fingerprint) -> Artefact | None:
        """The calibration of exactly these models and this kind of problem, or the portable one of this kind.

        Nothing is ever applied to another file than it was fitted on, however much alike their names are; a
        portable calibration, of questions with options, reads nothing that belongs to one. Among several,
        prompt and sampler differ least from those ``used``; among equal ones, the first in the list is taken.
        """
        scopes = [used.scope()]
        if KINDS[used.kind].has_options:
            scopes.append(replace(used, generator="").scope())
        for scope in scopes:
            found = [each for each in self.artefacts if each.card.fingerprint.scope() == scope]
            if found:
                return min(found, key=lambda each: len(mismatches(each.card, used)))
        return None

    def find_all(self, used: Mapping[KindName, Fingerprint]) -> dict[KindName, Artefact]:
        """The calibration of each kind of problem that has one."""
        found = {kind: self.find(each) for kind, each in used.items()}
        return {kind: artefact for kind, artefact in found.items() if artefact is not None}


def read_installed() -> InstalledCalibrations:
    """Read all calibrations; each takes .01 s."""
    artefacts: list[Artefact] = []
    errors: list[CalibrationError] = []
    for folder in (own_folder(), shipped_folder()):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                artefacts.append(load_artefact(path))
            except CalibrationError as error:
                errors.append(error)
    return InstalledCalibrations(tuple(artefacts), tuple(errors))


def mismatches(card: Card, fingerprint: Fingerprint) -> list[Notice]:
    """A notice for each difference from the conditions of a calibration's fit, with its consequence.

    For a portable one only the sampler counts: it was fitted with other models and prompts. A look at options
    does not sample.
    """
    found = [] if card.level == "portable" else _other_conditions(card, fingerprint)
    if KINDS[card.fingerprint.kind].has_options:
        return found
    fitted, used = card.fingerprint, fingerprint
    changed = _changed_numbers(fitted.sampling, used.sampling)
    if changed:
        found.append(_mismatch(card, f"another sampler ({changed})"))
    if card.programs and fitted.program is not None and used.program is not None:
        of_programs = _changed_numbers(fitted.program.sampling, used.program.sampling)
        if of_programs not in ("", changed):
            found.append(_mismatch(card, f"another sampler for programs ({of_programs})"))
    return found


def _changed_numbers(fitted: Mapping[str, float], used: Mapping[str, float]) -> str:
    """The settings of a sampler that differ from those of the fit, as text; empty if none does."""
    return ", ".join(
        f"{name} {used.get(name, 0)} instead of {fitted.get(name, 0)}"
        for name in {**fitted, **used}
        if used.get(name, 0) != fitted.get(name, 0)
    )


def _other_conditions(card: Card, fingerprint: Fingerprint) -> list[Notice]:
    """Notices of other models, other prompts and a smaller window."""
    fitted = card.fingerprint
    found = []
    if fitted.generator != fingerprint.generator:
        what = f"another generator file ({fitted.generator[:12]}, not {fingerprint.generator[:12]})"
        found.append(_mismatch(card, what, _FAR_OFF, "calibration-other-model"))
    if (fitted.prm, fitted.prm_format) != (fingerprint.prm, fingerprint.prm_format):
        found.append(_mismatch(card, "another PRM", _FAR_OFF, "calibration-other-model"))
    if fitted.prompt != fingerprint.prompt:
        found.append(_mismatch(card, "another chat template or system prompt"))
    elif (
        card.programs
        and fitted.program
        and fingerprint.program
        and fitted.program.prompt != fingerprint.program.prompt
    ):
        found.append(_mismatch(card, "another prompt for programs"))
    small, large = sorted((fitted.window, fingerprint.window))
    longest = sum(fitted.sampling.get(name, 0) for name in ("think_tokens", "max_tokens"))
    if small < large and small < longest + _QUESTION:
        what = f"a context of {fitted.window:,} tokens, not {fingerprint.window:,}"
        found.append(_mismatch(card, what))
    return found


def overlap(card: Card, problems: Sequence[Problem]) -> list[Notice]:
    """A notice if a calibration is to be measured on questions that it was fitted on."""
    fitted = set(card.questions)
    again = sum(question_key(problem.question) in fitted for problem in problems)
    if not again:
        return []
    said = f"the calibration was fitted on {again} of these questions: its figures will flatter it"
    return [Notice("fitted-on-this", said, hint="check on questions that are new to it")]


def wrong_kind(card: Card, kind: KindName) -> Notice:
    """The notice of a named calibration that is for another kind of problem."""
    return Notice(
        "calibration-mismatch",
        f'the calibration "{card.name}" is for the kind {card.fingerprint.kind}, this is a {kind}',
        ("scores are shown as scores",),
        hint=f"{setting('calibration', 'auto')} takes the one for this kind of problem, where there is one",
    )


def _mismatch(
    card: Card, what: str, follows: str = "its estimates may be off", code: str = "calibration-mismatch"
) -> Notice:
    return Notice(code, f'the calibration "{card.name}" was fitted with {what}', (follows,), _REMEDY)
