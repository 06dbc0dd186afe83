"""How the window store writes a base: one uint8, its letter in bits 0-2, the blacklist in bit 3."""

N_CODE = 4
"""A, C, G, T are 0 to 3, so that a letter's complement is 3 minus it."""
OUTSIDE_CODE = 5
"""A base beyond a chromosome end: no base at all, and no signal; N everywhere it is read."""
BASE_BITS = 7
BLACKLIST_BIT = 8
