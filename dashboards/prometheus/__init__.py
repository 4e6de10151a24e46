"""Prometheus files: what generates the rules of the pipeline's health, and the generated files."""
