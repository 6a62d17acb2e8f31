"""HTML pages, written to a file or served live."""
