"""Photos become aligned crops: reading, detection, templates, alignment."""
