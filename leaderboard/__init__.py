"""Results as reviewed JSON, which anybody can recompute.

`entries/` holds measured results, one JSON file each with its per-sample scores beside it; `reported/` numbers
copied from papers, which are never mixed with them. Start reading at `leaderboard.schema`.
"""
