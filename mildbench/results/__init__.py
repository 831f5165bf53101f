"""What runs have left behind, read, compared and worded; nothing in here computes a score or imports torch.

    folder      where a run's files are
    record      `run.json`: how it was made
    summary     `summary.json`: what it amounts to
    scores      `scores.parquet`, sample by sample, as arrays
    attention   `attention.parquet`, and `attention_plot`
    finished    a run with all of these
    headline    by which columns results are ranked
    controls    what each metric rewards, by its ranks of the controls
    board       comparable results, best first; `wording` and `table` show it

Start reading at `mildbench.results.folder`.
"""
