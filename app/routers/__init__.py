"""Thin doors: validate, call, return."""
