"""Fit the portable calibration on the rollouts of several models, and judge it on each by the others alone.

Usage: ``python -m bench.evidence.portable STORE.sqlite ... -o portable.calibration.safetensors``

A store is what ``adascale calibrate fit`` keeps of a generator of the catalogue, whose file must be there for
its size. Questions that were not drawn in both modes are left out, and so are models with fewer than 20 of
them. The tables have the estimates of each model's prefixes by a calibration of the other models: what a
model can expect of which nothing is known but its size. The tables of a single model are by heads that were
fitted on its other questions, without its size. Next to ECE stands the ECE that noise alone would give.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from adascale import __version__
from adascale.engine.calibration.fitting import CalibrationFit, Training, answer_examples
from adascale.engine.calibration.metrics import Predictions
from adascale.engine.calibration.portable import (
    PortableCalibration,
    agreement_examples,
    fit_portable,
    join,
    vote_observation,
)
from adascale.engine.calibration.report import StageReport, measure, report
from adascale.engine.codec import to_plain
from adascale.engine.types import Mode
from adascale.models.calibration.artefact import (
    Artefact,
    Card,
    Fingerprint,
    ProgramFingerprint,
    question_key,
    save_artefact,
)
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.calibration.training import portable_training_set
from adascale.models.files.gguf_info import read_info
from adascale.models.options import WINDOW

from ..common import close, model_path, table

FEWEST = 20
"""Questions of a model below which it is left out."""

HeldOut = Mapping[str, Predictions]
"""Estimates by stage, each by heads that never saw the prefix."""

HEADER = ["n", "rate", "skill", "AUC", "ECE", "noise", "coverage", "width"]


@dataclass(frozen=True, slots=True, eq=False)
class ModelRollouts:
    """Rollouts of one of several models.

    Attributes:
        prose: Rollouts of each question.
        programs: Rollouts of the same questions as programs.
    """

    prose: Sequence[Rollouts]
    programs: Sequence[Rollouts]

    def training(self) -> Training:
        """Their data for a portable fit."""
        return portable_training_set(self.prose, self.programs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stores", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    models, sampling = read_models(args.stores), sampling_of(args.stores)
    if len(sampling) > 1:
        parser.error(f"the stores were drawn with other samplers: {sampling}")
    sizes = {name: read_info(model_path(name)).effective_parameters for name in models}
    trainings = {name: model.training() for name, model in models.items()}
    fit = fit_portable(join(list(trainings.values())), args.seed)
    held_out = judge(trainings, sizes, fit, args.seed)
    figures = {
        name: _print_model(name, trainings[name], found, args.seed) for name, found in held_out.items()
    }
    if args.output is not None:
        card = _card(models, held_out, sampling[0], args.seed)
        save_artefact(Artefact(fit.calibration, card), args.output)
        drawn = sum(len(training.samples) for training in trainings.values())
        print(f"wrote {args.output}: {drawn} questions of {', '.join(models)}")
    close(to_plain(figures))


def read_models(stores: Sequence[Path]) -> dict[str, ModelRollouts]:
    """Rollouts by model, of the questions that it drew in both modes; prints what is left out."""
    drawn: dict[str, dict[Mode, dict[str, Rollouts]]] = {}
    for path in stores:
        with closing(RolloutStore(path)) as store:
            generator = store.models().generator
            name = path.stem if generator is None else generator.name
            own = drawn.setdefault(name, {"prose": {}, "program": {}, "code": {}})
            for rollouts in store.every():
                own[rollouts.mode].setdefault(rollouts.problem.question, rollouts)
    models = {}
    for name, by_mode in drawn.items():
        prose, programs = by_mode["prose"], by_mode["program"]
        both = [question for question in prose if question in programs]
        left_out = "" if len(both) >= FEWEST else f": left out, fewer than {FEWEST}"
        print(f"{name}: {len(both)} questions in both modes, {len(prose)} in prose{left_out}")
        if not left_out:
            models[name] = ModelRollouts([prose[q] for q in both], [programs[q] for q in both])
    return models


def sampling_of(stores: Sequence[Path]) -> list[dict[str, Any]]:
    """The samplers that the stores were drawn with, each once."""
    found: list[dict[str, Any]] = []
    for path in stores:
        with closing(RolloutStore(path)) as store:
            own = {name: x for name, x in (store.models().sampling or {}).items() if name != "prompt"}
        found += [] if own in found else [own]
    return found


def judge(
    trainings: Mapping[str, Training],
    sizes: Mapping[str, float],
    fit: CalibrationFit[PortableCalibration],
    seed: int,
) -> dict[str, HeldOut]:
    """Estimates of each model by a calibration of the others, which knows its size and nothing else of it.

    Args:
        trainings: What each model drew, by its name.
        sizes: Parameters of each (``GGUFInfo.effective_parameters``).
        fit: On all of them. Of a single model its estimates are by heads of its other questions, without its
            size.
        seed: Seed of the fits.
    """
    if len(trainings) == 1:
        return dict.fromkeys(trainings, fit.held_out)
    found: dict[str, HeldOut] = {}
    for name, training in trainings.items():
        others = join([each for other, each in trainings.items() if other != name])
        calibration = fit_portable(others, seed).calibration.of_size(sizes[name])
        found[name] = measure(calibration, training, seed)
    return found


def pooled(parts: Sequence[HeldOut]) -> dict[str, Predictions]:
    """The estimates of several models as those of one, by stage; no two share a question."""
    first = np.cumsum([0, *(int(each["question"].question.max()) + 1 for each in parts[:-1])])
    return {stage: _joined([each[stage] for each in parts], first) for stage in parts[0]}


def _joined(parts: Sequence[Predictions], first: NDArray[np.int64]) -> Predictions:
    independent = [
        np.ones(len(part.right), bool) if part.independent is None else part.independent for part in parts
    ]
    return Predictions(
        np.concatenate([part.question + start for part, start in zip(parts, first, strict=True)]),
        np.concatenate([part.quantiles for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.total for part in parts]),
        independent=np.concatenate(independent),
    )


def _print_model(name: str, training: Training, held_out: HeldOut, seed: int) -> dict[str, StageReport]:
    """The tables of one model, and their figures: by stage, and of growing searches."""
    figures = report(held_out)
    table([name, *HEADER], [[stage, *cells_of(found)] for stage, found in figures.items()])
    solutions = agreement_examples(training, held_out, seed)
    others = np.array([each.observation.numbers["others"] for each in solutions])
    answers = answer_examples(training, held_out, vote_observation, seed)
    sizes = np.rint(np.exp([each.observation.numbers["samples"] for each in answers]))
    for title, stage, counts in (
        ("finished, among others", "agreement", others),
        ("answer, of solutions", "answer", sizes),
    ):
        data, rows = held_out[stage], []
        for count in np.unique(counts):
            found = report({"": _take(data, counts == count)}, rounds=50)
            rows += [[str(int(count)), *cells_of(each)] for each in found.values()]
        table([title, *HEADER], rows)
    return figures


def _take(data: Predictions, rows: NDArray[np.bool_]) -> Predictions:
    """These rows; every question weighs the same."""
    independent = None if data.independent is None else data.independent[rows]
    return Predictions(
        data.question[rows],
        data.quantiles[rows],
        data.right[rows],
        data.total[rows],
        independent=independent,
    )


def cells_of(found: StageReport) -> list[str]:
    """A row of a table below ``HEADER``."""
    numbers = [
        found.base_rate,
        found.skill,
        found.auc,
        found.ece,
        found.ece_floor,
        found.coverage,
        found.width,
    ]
    low, high = found.intervals["skill"]
    rate, skill, *others = ["-" if x is None else f"{x:.2f}" for x in numbers]
    return [str(found.n), rate, f"{skill} ({low or 0:.2f} to {high or 0:.2f})", *others]


def _card(
    models: Mapping[str, ModelRollouts], held_out: Mapping[str, HeldOut], sampling: dict[str, Any], seed: int
) -> Card:
    prose = [rollouts for model in models.values() for rollouts in model.prose]
    programs = [rollouts for model in models.values() for rollouts in model.programs]
    return Card(
        name="portable",
        fingerprint=Fingerprint("", "", "probe", "", sampling, WINDOW, ProgramFingerprint("", sampling)),
        method="beta",
        data=tuple(models),
        questions=tuple(dict.fromkeys(question_key(rollouts.problem.question) for rollouts in prose)),
        samples=_most_samples(prose),
        rollouts=0,
        programs=_most_samples(programs),
        seed=seed,
        versions={"adascale": __version__, "llama_cpp": llama_cpp.__version__, "numpy": np.__version__},
        held_out=report(pooled(list(held_out.values()))),
    )


def _most_samples(questions: Sequence[Rollouts]) -> int:
    return max(len(rollouts.samples()) for rollouts in questions)


if __name__ == "__main__":
    main()
