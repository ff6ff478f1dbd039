"""Findings as the dashboard shows them: which page answers which question, with which charts."""
