"""Pure search: decides, accounts, records. No llama.cpp, file, terminal, clock, process or thread.

``search`` runs one question or many, ``strategies`` decide what to draw and when to stop, ``answers`` reads
and compares answers, ``code`` reads programs and their tests, ``calibration`` makes rewards probabilities,
``evaluation`` compares strategies. ``types`` has words that they share,
``ports`` what they need from a model and a clock, ``errors`` every error and how its text names a setting;
``codec`` is the JSON of it all, ``scripted`` plays a model, ``decimals`` writes numbers.
"""
