"""One file per method: sparse frames -> all frames."""
