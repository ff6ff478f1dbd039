"""Who may ask what: keys, tokens, sessions and the scopes that they carry. Knows no framework."""
