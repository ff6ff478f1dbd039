"""Where the index comes from: official releases in, a verified index out. The home of pandas and httpx."""
