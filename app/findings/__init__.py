"""What the published tables say of inequality: every number here is worked out from published parts alone."""
