"""One file per method: a distorted pattern -> the true one."""
