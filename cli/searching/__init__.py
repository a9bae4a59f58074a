"""How a command runs a search.

``models`` opens the models that the options name and completes the search's settings; ``asking`` makes a
problem of a message; ``one`` searches a single problem, shows it on stderr and keeps its trace;
``conversation`` searches one after another with models that stay open, and ``chat_commands`` has what can be
typed between them; ``batch`` searches many; ``fallback`` hands on questions that were not answered surely
enough. ``evaluation`` runs the searches of ``eval``. ``calibration`` chooses the questions of ``calibrate``
and samples their solutions.
"""
