"""What the rules say on every recording, looked at by a person and kept: see `look`."""
