"""Measurements: ``runtime`` has what a search costs, ``evidence`` how good its answers and probabilities are.

``common`` is shared by both, ``inline`` is a worker in this process. The folders ``draws``, ``frozen`` and
``outcomes`` hold the data of ``evidence``.
"""
