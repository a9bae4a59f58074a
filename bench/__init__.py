"""Measurements: ``runtime`` has what a search costs, ``evidence`` how good its answers and probabilities are.

Both share ``common``; ``metrics`` measures estimates beyond what a card shows; ``baselines`` has a rule for
comparison alone. The folders ``draws`` and ``frozen`` and ``forms.jsonl`` hold the data of ``evidence``.
"""
