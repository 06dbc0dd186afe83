"""Regions as genome browsers open them: bigBed, bigInteract, a track hub, and a page with igv.js."""
