"""Knowledge bases: documents and their chunks, corrections, search."""
