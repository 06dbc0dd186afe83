"""Files of the config brought to this disk: fetched, checked, recorded."""
