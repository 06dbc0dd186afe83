"""What a config costs before it is run: time, memory and disk of its matrix."""
