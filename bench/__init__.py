"""Measurements: ``runtime`` has what a search costs, ``evidence`` how good its answers and probabilities are.

``common`` is shared by both, ``metrics`` has those of estimates that no card shows, ``scripted`` follows a
script in the place of a model, ``baselines`` has a rule for comparison alone. The folders ``draws`` and
``frozen`` and ``forms.jsonl`` hold the data of ``evidence``.
"""
