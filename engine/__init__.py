"""Pure search: decides, accounts, records. No llama.cpp, file, terminal, clock, process or thread.

``search`` runs one question or many, ``strategies`` decide what to sample and when to stop, ``kinds`` say how
each kind of question is answered, ``tools`` is the kind of requests with tools, ``answers`` reads and
compares answers, ``calibration`` turns evidence into probabilities, ``fitting`` makes calibrations,
``evaluation`` compares strategies. ``request`` is what is asked and how, ``answer`` what every output says
about a finished search. ``types`` has the types that they share, ``execution`` those of programs that ran,
``sampling`` what a request may change of a sampler, ``ports`` what they need from a model and a clock,
``errors`` every error and how its text names a setting; ``codec`` is the JSON of all of them, ``decimals``
writes numbers.
"""
