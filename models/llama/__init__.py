"""llama.cpp: one context, many branches, each prefix evaluated once.

``model`` has the library's log, errors and abort flag, and a model's weights and vocabulary; ``context`` has
the KV cache and its batch. ``chat`` turns a question into prompt tokens with the model's template, which
``templates`` renders in a child process; ``thinking`` asks for a thought before the answer and closes it at
its budget. ``prefixes`` caches evaluated prefixes. ``policy`` is the engine's generator: it opens problems;
in each step the ``scheduler`` chooses the branches (``sequence``), the ``runner`` evaluates their batch and
samples (``sampling``), and the branches append their tokens. ``stepcost`` measures the cost of a decode step
and splits batches by it. ``calls`` writes tool calls and objects under a grammar. ``labels`` reads
probabilities of labels behind many texts.
"""

import os

# The threads of llama.cpp meet at a barrier hundreds of times in every decode step. In GNU's OpenMP the early
# ones spin 300,000 times, for milliseconds, before they sleep; on a busy machine they occupy the core that
# the last thread needs. With 10,000 turns few threads fall asleep on an idle machine. A step of 8 branches of
# the 0.5B on two cores (medians of five rounds): idle 118 ms by default and 120 with 10,000 turns; with a
# second process of two threads 748 and 426, with one that spins 960 and 432. 1,000 turns and
# ``OMP_WAIT_POLICY=passive`` are faster there (273 and 272, 319 and 308), but take 124 and 144 ms on the idle
# machine. OpenMP reads the environment once, when its user is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
