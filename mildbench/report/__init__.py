"""`mildbench report`: runs as one HTML page that needs nothing but a browser.

Start reading at `mildbench.report.page`. `mildbench.report.html` renders templates, the leaderboard's too.
"""
