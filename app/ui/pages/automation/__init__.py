"""The automation page of a workflow."""
