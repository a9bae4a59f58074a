"""Measurements: what the runtime costs, and what the evidence says."""
