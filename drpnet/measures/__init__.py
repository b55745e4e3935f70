"""Picks against truth: matching rules and the numbers that follow. Start with `rules`; `scorecard` has a set's numbers."""
