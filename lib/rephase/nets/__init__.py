"""Building blocks that two learned methods or more share."""
