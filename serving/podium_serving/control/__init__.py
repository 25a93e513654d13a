"""The control port: signed messages from the operator, and what pods of one deployment tell each other."""
