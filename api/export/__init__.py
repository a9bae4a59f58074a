"""Training data from searches: what traces, rollouts and draws know, as files that trainers read.

A satellite: it depends on the core, and nothing of the core imports it. ``sampled`` is one question with its
tree of steps, the shape that every source is read into; ``sources`` reads stores of rollouts and draws.
``filters`` drops what is not wanted, ``formats`` has the columns and the writer of each format, ``dataset``
takes questions through all of these into a file, with a card that says where its rows come from.
"""
