"""photoguard: hide faces in photos, and give them back to whoever holds the key."""

__version__ = "0.1.0"
