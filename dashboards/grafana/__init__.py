"""Grafana as code: what generates the dashboard, and what publishes it."""
