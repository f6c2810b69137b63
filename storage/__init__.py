"""Where everything is kept: SQL is the truth, search indexes are projections of it."""
