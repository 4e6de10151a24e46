"""Alertmanager: what is posted to it, and the configuration that tells it whom to tell."""
