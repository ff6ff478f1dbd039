"""The standards that records speak: what they send read into a question, what is answered written in their words."""
