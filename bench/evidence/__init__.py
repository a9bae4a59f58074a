"""How good it is: draws that are kept, comparisons on them, calibrations on outside data.

``draw`` records solutions, ``recorded_draws`` reads them and replays strategies on them without a model. Of
such files ``frontier`` makes the report of ``adascale eval``, ``at_equal_tokens`` compares ``adaptive`` with
rules of votes, ``verdicts`` lists which answers are correct by today's comparison, ``calibration_check``
measures the calibration, and ``paired`` adds strategies that need new solutions. ``calibration`` tabulates
checks and ``accuracy`` the output of ``adascale batch``; ``processbench`` reads a model's states,
``renumber`` makes questions that no model has seen, ``executors`` runs reference solutions of code tasks in
both interpreters, ``thinking`` measures the worth of a thought before the answer, and ``latency`` the time
that an easy question takes.

Studies behind decisions: of models that nobody fitted ``by_votes``, ``model_sizes`` and ``searches``; of fits
without answers ``unlabelled``; of rollouts ``from_rollouts`` (on ``rollout_texts``) and ``free_signs`` (on
``solution_features``); of code tasks ``given_tests``, ``giving_up`` and ``program_prompts``; of training data
``pairs`` and ``train_prm`` (on a ``tiny_model``).
"""
