"""Solutions that were drawn once and are kept, so that every strategy of an evaluation uses the same.

``store`` keeps them in one file for each generator, prompt and sampler; ``drawing`` makes those that are
missing; ``playback`` is the generator that a search sees.
"""
