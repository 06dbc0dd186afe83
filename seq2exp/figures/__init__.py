"""Figures, drawn from the tables and stores of a run; Agg only, nothing is shown on a screen."""

from seq2exp.figures.distance import mask_against_distance
from seq2exp.figures.expression import predicted_vs_observed
from seq2exp.figures.locus import draw_loci
from seq2exp.figures.training import training_curves

__all__ = ["draw_loci", "mask_against_distance", "predicted_vs_observed", "training_curves"]
