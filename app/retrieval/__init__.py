"""Toolkit of retrieval: fusion, reranking, diversity, metrics, quoting, and working on queries.

It stands alone: no storage, no page, no engine.
"""
