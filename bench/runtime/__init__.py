"""How fast it is: decode steps, batches, events, frames, whole commands."""
