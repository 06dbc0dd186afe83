"""How the window store writes a base: one uint8, its letter in bits 0-2, flags of the base above."""

N_CODE = 4
"""A, C, G, T are 0 to 3, so that a letter's complement is 3 minus it."""
OUTSIDE_CODE = 5
"""A base beyond a chromosome end: no base at all, and no signal; N everywhere it is read."""
BASE_BITS = 7
BLACKLIST_BIT = 8
PEAK_BIT = 16
FLAG_BITS = BLACKLIST_BIT | PEAK_BIT
"""What is known of a base beside its letter."""
