"""What attackers can still learn from a protected picture: metrics, attacks, tables, report."""
