"""Recordings: read, write, play, fold without a broker; importers of foreign files; the scenario generator."""
