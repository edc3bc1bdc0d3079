"""The command line: the only place that prints, prompts, reads the environment and exits."""
