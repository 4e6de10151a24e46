"""Oracles: the same figures computed a second way, from the raw files, without any code of streams/."""
