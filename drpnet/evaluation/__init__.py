"""`drpnet evaluate` and `drpnet table`: files in, numbers, tables and pictures out. Start with `evaluate.evaluate`."""
