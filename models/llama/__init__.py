"""llama.cpp: one context, many branches, each prefix evaluated once.

``openmp`` sets how threads wait, before anything here loads the library. ``native`` is the seam to it: its
log, abort flag and return codes; ``failures`` reads its log. ``runtime`` has the model, and the context with
its batch. ``template`` renders chat templates in a process of their own, ``chat`` turns a question into
prompt tokens, ``thinking`` asks for a thought before the answer, ``sampling`` draws tokens, ``prefixes``
keeps evaluated prefixes, ``stepcost`` knows what a batch costs. ``policy`` is the engine's generator: it runs
the branches (``branch``) of all problems in one batch, and closes each ``thought`` at its budget.
"""

import os

from .openmp import limit_spinning

limit_spinning(os.environ)
