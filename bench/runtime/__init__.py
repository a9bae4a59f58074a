"""Measurements of speed, memory and endurance.

Of decode steps: ``steps`` (the cost curve), ``decode`` and ``vs_llama`` (against bare llama.cpp),
``attention``, ``busy``, all on the ``decoder``. Of searches: ``batch``, ``lines`` (very many), ``serve``
(many clients), ``events`` (their size). Of what is shown and written: ``live``, ``render``, ``replay``,
``export``. ``soak`` and ``soak_serve`` look for leaks, ``kills`` (of a batch), ``kills_fit`` and
``kills_serve`` for lost work; ``serving`` has the server that they ask.
"""

import adascale.models.llama  # noqa: F401  # sets how OpenMP's threads wait before a bench loads llama.cpp
