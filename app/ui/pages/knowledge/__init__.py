"""The pages of knowledge bases and their documents."""
