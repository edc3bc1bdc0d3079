"""AVP's evaluation."""
