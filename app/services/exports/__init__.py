"""Workflows as files for elsewhere."""
