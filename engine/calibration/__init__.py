"""Calibration: from evidence about a prefix to the probability that it ends in a correct answer.

``features`` turns prefixes and finished searches into evidence by name; ``projection`` reduces hidden states
to a few standardised inputs; ``head`` maps inputs to quantiles. There are three calibrators of a search:
``calibration`` holds a model of each stage, ``options`` weighs looks and votes, ``votes`` are for models that
nobody fitted. ``figures`` say how good one was. The room ``fitting`` makes and measures them.
"""
