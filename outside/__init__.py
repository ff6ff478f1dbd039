"""Clients and validators that others wrote, at the doors of a running service. `make outside` runs them."""
