"""The outside: GGUF files, llama.cpp, process reward models, model sources.

``session`` opens models: ``options`` says how, ``session_plan`` finds files, and has the prompt, sampler and
calibration of each mode; ``worker`` does so in a process of its own. ``files`` finds and verifies model
files, ``llama`` runs a generator, ``prm`` scores steps, ``calibration`` keeps what turns scores into
probabilities, ``draws`` keeps draws for evaluations, ``programs`` runs programs in a sandbox. ``machine``
measures what is free, ``sizing`` says how long a trajectory may get and whether models fit. ``questions``
reads question files, and chooses what a fit or an evaluation asks. ``lines`` are files that only grow, and
``storage`` has the folders of what outlives a run. ``limited_child`` compares answers by computer algebra in
a child process. ``fallback`` asks another server.
"""

from adascale.engine.answers.equality import use_verifier


def _ask_math_verify(gold: str, answer: str) -> bool | None:
    from .limited_child import ask_math_verify

    return ask_math_verify(gold, answer)


# Whoever compares answers imports this package, in whichever process; a search hands no verifier around.
use_verifier(_ask_math_verify)
