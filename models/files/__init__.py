"""Model files: references, the cache, downloads that are verified, and what a header says."""
