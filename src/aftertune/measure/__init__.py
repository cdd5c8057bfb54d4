"""One checkpoint measured: what is wanted and missing, its evidence, and the records made of it."""
