"""Measurements of the issue's section "Fast": each module is one command that prints JSON."""
