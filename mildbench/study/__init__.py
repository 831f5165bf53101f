"""Studies with people: blind pairs on one offline page, and what the answers say of methods and metrics.

Start reading at `mildbench.study.make` (`plan` chooses the pairs, `page` writes them) and `mildbench.study.result`.
"""
