"""llama.cpp: one context, many branches, each prefix evaluated once.

``model`` has the seam to the library, and a model's weights and vocabulary; ``context`` the KV cache and its
batch. ``chat`` turns a question into prompt tokens with the model's template, which a child process renders;
``thinking`` asks for a thought before the answer and closes it at its budget. ``prefixes`` keeps evaluated
prefixes. ``policy`` is the engine's generator: it opens problems, and one step of it is: the ``scheduler``
says which branches (``sequence``) run, the ``runner`` evaluates their batch and samples (``sampling``), and
the branches take their tokens. ``stepcost`` measures the cost of a decode step and splits a batch by it.
``calls`` lets a model write calls and objects under a grammar.
"""

import os

# The threads of llama.cpp meet at a barrier hundreds of times in every decode step. GNU's OpenMP lets the
# early ones spin for 300,000 turns, which is milliseconds, before they sleep; if another process wants the
# cores, they take the core that the thread they wait for needs. After 10,000 turns few have to be woken on
# an idle machine. A step of 8 branches of the 0.5B on two cores (medians of five rounds): idle 118 ms by
# default and 120 with 10,000 turns; with a second process of two threads 748 and 426, with one that spins 960
# and 432. 1,000 turns and ``OMP_WAIT_POLICY=passive`` are faster there (273 and 272, 319 and 308), but take
# 124 and 144 ms on the idle machine. OpenMP reads the environment once, when its user is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
