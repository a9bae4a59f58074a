"""Pure search: decides, accounts, records. No llama.cpp, no files, no terminal, no clock of its own.

``search`` runs one question or many, ``strategies`` decide what to draw and when to stop, ``answers`` reads
and compares answers, ``code`` reads programs and their tests, ``calibration`` makes rewards probabilities,
``evaluation`` compares strategies, ``datasets`` writes training data. ``types`` has words that they share,
``ports`` what they need from a model and a clock, ``errors`` every error and how its text names a setting;
``codec`` is the JSON of it all, ``scripted`` plays a model, ``decimals`` writes numbers, ``limited_child``
computes what may never end.
"""
