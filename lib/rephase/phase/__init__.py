"""One file per method: a scan -> a phase image."""
