"""Camera to results: sources, reader, sampling, tracking, rules, host."""
