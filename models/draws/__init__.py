"""Solutions are drawn once and kept, so that every strategy of an evaluation uses the same ones.

``store`` keeps them in one file for each generator, prompt and sampler; ``drawing`` writes those that are
missing; ``playback`` is the generator that a search sees.
"""
