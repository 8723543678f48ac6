"""Tables, figures, the notebook runner and provenance."""
