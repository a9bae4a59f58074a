"""Calibration: from evidence about a prefix to the probability that it ends in a right answer.

``features`` turns prefixes and finished searches into evidence; ``projection`` reduces hidden states to a few
standardised inputs; ``head`` is the small network and its losses; ``models`` maps the evidence of one stage
to quantiles, and is fitted there; ``calibration`` holds one model for each stage and is the ``Calibrator`` of
a search; ``fitting`` goes from rollouts to a calibration; ``metrics`` and ``report`` say how good it is,
``wilson`` is the interval of a share. ``portable`` fits the data of several models as one without what
belongs to a single model, with ``question_text`` in the place of its states; ``model_size`` says where it
begins, and ``agreement`` judges solutions by each other.
"""

from typing import Literal

Method = Literal["beta", "quantile", "isotonic"]
"""How a stage is fitted: ``beta`` and ``quantile`` are heads on the states, ``isotonic`` maps the reward."""
