"""The scenario generator: one made-up day of one shop, seeded, with the truth about it in its manifest."""
