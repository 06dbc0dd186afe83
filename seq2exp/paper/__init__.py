"""All runs of a config together: the paper's tables, figures and page, from whatever there is."""
