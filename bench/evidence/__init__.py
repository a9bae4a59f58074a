"""How good it is: draws that are kept, comparisons on them, calibrations on outside data.

``draw`` records solutions, ``recorded_draws`` reads them and replays strategies on them without a model. Of
such files ``frontier`` makes the report of ``adascale eval``, ``at_equal_tokens`` compares ``adaptive`` with
rules of votes, ``verdicts`` lists which answers are correct by today's comparison, ``calibration_check``
measures the calibration, and ``paired`` adds strategies that need new solutions. ``calibration`` tabulates
checks, ``processbench`` reads a model's states, ``renumber`` makes questions that no model has seen,
``executors`` runs reference solutions of code tasks in both interpreters, and ``latency`` measures the time
that an easy question takes.

Studies behind decisions: of models that nobody fitted ``by_votes``, ``model_sizes`` and ``searches``; of fits
without answers ``unlabelled``; of rollouts ``from_rollouts``, and ``surprise`` (on
``rollout_texts``); of code tasks ``given_tests``; of training data ``train_prm`` (on a ``tiny_model``).
"""
