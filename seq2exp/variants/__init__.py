"""What a trained model makes of variants and deletions: ``seq2exp score`` (docs/variants.md)."""
