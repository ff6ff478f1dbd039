"""Postcode to deprivation: pure, on the standard library and NumPy alone."""
