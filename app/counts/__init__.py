"""Aggregate counts, never a patient."""
