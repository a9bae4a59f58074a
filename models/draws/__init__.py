"""Solutions that were drawn once and are kept, and a generator that plays them back."""
