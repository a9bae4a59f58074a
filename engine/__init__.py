"""Pure search: decides, accounts, records. No llama.cpp, file, terminal, clock, process or thread.

``request`` describes a question and its search, ``answer`` the end of the search for every output.
Between them ``search`` runs one question or many, ``strategies`` decide what to sample and when to stop,
``kinds`` say how each kind of question is answered, ``tools`` is the kind of requests with tools,
``answers`` reads and compares answers, ``calibration`` turns evidence into probabilities and fits that.
``types`` has the types that they share, ``ports`` what they need from a
model and a clock, ``errors`` every error, how its text names a setting, and how numbers are written;
``codec`` is the JSON of all of them.
"""
