"""The scenarios of MLPerf, driven by its own load generator."""
