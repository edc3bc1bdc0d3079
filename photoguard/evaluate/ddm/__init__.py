"""DDM's evaluation."""
