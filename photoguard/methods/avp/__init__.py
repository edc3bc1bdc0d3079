"""AVP: pictures that a recognizer takes for the face."""
