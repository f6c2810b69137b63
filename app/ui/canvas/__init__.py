"""The workflow canvas: the element, the editor behind it, and their front-end sources."""
