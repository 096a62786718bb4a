"""Compiled systems under test, so that the generator is the slower one of the two."""
