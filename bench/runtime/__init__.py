"""Measurements of speed, memory and endurance.

Of decode steps: ``steps`` (the cost curve), ``decode`` and ``vs_llama`` (against bare llama.cpp),
``attention``, ``busy``, all on the ``decoder``. Of searches: ``batch``, ``lines`` (very many), ``serve``
(many clients), ``events`` (their size). Of what is shown and written: ``live``, ``render``, ``replay``,
``export``. ``soak`` and ``kills`` look for leaks and for lost work.
"""

import adascale.models.llama  # noqa: F401  # sets how OpenMP's threads wait before a bench loads llama.cpp
