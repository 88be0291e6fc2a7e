"""Edits of a world-model's tables, and whether a head that lives on its beliefs moves as the exact posterior does."""
