"""Measurements: each module is a command that prints what it measures and can write it into docs."""
