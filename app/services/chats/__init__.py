"""Conversations with workflows."""
