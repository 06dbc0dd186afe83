"""Figures, drawn from the tables and stores of a run; Agg only, nothing is shown on a screen.

Import from the modules: only the loci need torch, which takes longer to load than a figure to draw.
"""
