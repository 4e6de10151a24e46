"""One test for each feature of the briefs that the monitor answers, and its mutation: an answer of nulls must fail."""
