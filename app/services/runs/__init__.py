"""Runs of workflows: started, followed, written down, taken up again, compared."""
