"""DeepObfuscator's evaluation."""
