"""Workflows as they are kept: revisions, differences, templates, what they call."""
