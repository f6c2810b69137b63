"""Ragloom: a visual workshop for retrieval-augmented generation."""
