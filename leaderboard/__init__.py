"""Results as reviewed JSON. `reported/` holds numbers copied from papers; they are never mixed with measured ones."""
