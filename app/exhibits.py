"""Findings as exhibits: a chart with its finding as title, its table, and what both are from."""
