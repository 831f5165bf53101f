"""Makes scenes: sources -> cut-outs -> plan -> render -> data set."""
