"""Doors in the shapes of health standards: what they send as questions, and answers as they read them."""
