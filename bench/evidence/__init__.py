"""How good it is: draws that are kept, comparisons on them, calibrations on outside data.

``draw`` records solutions, ``recorded_draws`` reads them and replays strategies on them without a model. Of
such files ``frontier`` makes the report of ``adascale eval``, ``at_equal_tokens`` sets ``adaptive`` beside
rules of votes, ``verdicts`` says which answers are right by today's comparison, ``calibration_check``
measures the calibration, and ``paired`` adds strategies that have to draw more. ``calibration`` tabulates
checks and ``accuracy`` the output of ``adascale batch``; ``processbench`` and ``attention_pooling`` read a
model's states, ``renumber`` makes questions that no model has seen, ``executors`` says what both interpreters
say of reference solutions of code tasks, ``thinking`` what a thought before the answer is worth, and
``latency`` how long an easy question takes.
"""
