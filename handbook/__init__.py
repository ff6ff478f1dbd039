"""The documentation as a site, and the pages of it that are written from the code."""
