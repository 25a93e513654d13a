"""Charts as SVG, made on the server: they work without a script, print, and come with their numbers as a table."""
