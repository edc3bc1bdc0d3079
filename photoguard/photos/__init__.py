"""Photos as pixels and back, and places on them."""
