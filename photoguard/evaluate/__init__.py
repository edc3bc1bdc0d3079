"""Measuring what a stranger can still learn from a protected picture: metrics, attacks, tables, report."""
