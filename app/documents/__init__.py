"""Documents toolkit: detect, extract, chunk, check and embed. No storage, no page, no engine."""
