"""Importers: one module per foreign file format, each turns a file into a recording and counts what it left out."""
