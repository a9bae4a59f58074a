"""Renderers: each folds the event stream into a view and draws it."""
