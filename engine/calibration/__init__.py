"""Calibration: from evidence about a prefix to the probability that it ends in a correct answer.

``features`` turns prefixes and finished searches into evidence by name; ``projection`` reduces hidden states
to a few standardised inputs; ``head`` maps inputs to quantiles, and ``head_fit`` fits it on one stage.
``calibration`` holds a model of each stage and is the ``Calibrator`` of a search; ``fitting`` fits one on the
model itself; ``votes`` is the one for models that nobody fitted. ``metrics`` and ``report`` measure them.
"""

from typing import Literal

Method = Literal["beta", "quantile"]
"""Loss of the heads: Beta-binomial likelihood of counts, or the pinball loss of the paper."""
