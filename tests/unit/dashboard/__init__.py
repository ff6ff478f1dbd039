"""The pages of the dashboard, without a service."""
