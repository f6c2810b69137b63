"""Where documents come from by themselves: folders, pages, sitemaps."""
