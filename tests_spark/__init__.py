"""Tests that need Spark, and so Java: `make test-spark` runs them in an environment of their own."""
