"""The pages in the browser, and the canvas they are built around."""
