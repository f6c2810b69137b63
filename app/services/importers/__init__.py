"""Workflows of RAGFlow, Dify, Langflow and Flowise, read as what they mean here.

Each format has a reader that says what its file holds (`source.Source`); one builder turns that into
a graph, so that all of them follow the same rules.
"""
