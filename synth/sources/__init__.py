"""Where people and backgrounds come from: one module a source, found by its scheme."""
