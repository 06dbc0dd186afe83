"""The data of a cell line, examined before anything is trained on them."""
