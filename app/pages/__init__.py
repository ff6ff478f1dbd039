"""What a person sees: the card, and the token that opens it. Plain values in, bytes of HTML out."""
