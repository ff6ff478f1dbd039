"""IMD Lens: deprivation context at the point of care."""
