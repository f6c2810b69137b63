"""Files on their way into knowledge bases: settings, pipelines, jobs, and embedding."""
