"""The command line: it starts processes and looks after them."""
