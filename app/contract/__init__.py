"""Wire models: the API's documentation, and how an answer is written."""
