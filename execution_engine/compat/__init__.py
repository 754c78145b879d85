"""One module per older dialect."""
