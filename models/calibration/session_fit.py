"""A session's rollouts made a calibration for its models, with the card that says how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import llama_cpp
import numpy as np

from adascale.engine.calibration import Method
from adascale.engine.calibration.fitting import fit_calibration
from adascale.engine.calibration.head_fit import HeadConfig
from adascale.engine.calibration.report import report

from .artefact import Artefact, Card
from .collect import DrawPlan
from .session_rollouts import SessionRollouts, TrainingDraws


def fit(rollouts: SessionRollouts, draws: TrainingDraws, method: Method, data: Sequence[str]) -> Artefact:
    """Fit on what was drawn; the figures on the card are of questions held out.

    Args:
        rollouts: Those of the session that the calibration is for.
        draws: Training data made of them.
        method: How a stage is fitted.
        data: Names of the question files, for the card.
    """
    plan, session = rollouts.plan, rollouts.session
    fitted = fit_calibration(draws.training, method, HeadConfig(), plan.seed)
    samples, continued = (plan.samples, plan.rollouts) if isinstance(plan, DrawPlan) else (0, 0)
    card = Card(
        name=session.files.pair_name + ("+code" if rollouts.kind == "task" else ""),
        fingerprint=session.prompts.fingerprints[rollouts.kind],
        method=method,
        data=tuple(data),
        questions=draws.questions,
        samples=samples,
        programs=plan.programs,
        rollouts=continued,
        seed=plan.seed,
        versions={
            "adascale": version("adascale"),
            "llama_cpp": llama_cpp.__version__,
            "numpy": np.__version__,
        },
        held_out=report(fitted.held_out, draws.training),
        is_labelled=draws.is_labelled,
    )
    return Artefact(fitted.calibration, card)
