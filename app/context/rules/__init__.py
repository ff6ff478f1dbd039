"""Rules and wording as versioned data."""
