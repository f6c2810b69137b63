"""The batch page of a workflow."""
