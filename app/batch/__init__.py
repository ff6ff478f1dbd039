"""Whole files and tables at once: the same answers as the API's, by the column."""
