"""How a command runs a search.

``models`` opens the models that its options name and settles the search's parameters; ``one`` searches a
single problem, shows it on stderr and keeps its trace; ``server`` asks a running server in place of models
here; ``evaluation`` runs the searches of ``eval``. For ``calibrate``, ``questions`` chooses what is asked,
and ``rollouts`` draws it.
"""
