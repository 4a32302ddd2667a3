"""Who we are for the server: keys, tokens, and what of them may be seen (nothing)."""
