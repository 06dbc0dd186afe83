"""Seq2Exp: gene expression, and the regulatory elements behind it, from DNA and epigenomic signals."""

__version__ = "0.1.0"
