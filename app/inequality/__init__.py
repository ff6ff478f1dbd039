"""Measures of inequality, computed from published parts only."""
