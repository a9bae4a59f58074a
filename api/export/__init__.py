"""Training data from searches: what traces and rollouts know, as JSON Lines that trainers read.

A satellite: it depends on the core, and nothing of the core imports it. ``sampled`` is one question with its
tree of steps, the shape that every source is read into; ``formats`` has the columns and the writer of each
format.
"""
