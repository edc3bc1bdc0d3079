"""AVP on a classifier."""
