"""The contract and the arithmetic of the war room: pure, synchronous, without I/O or a clock."""
