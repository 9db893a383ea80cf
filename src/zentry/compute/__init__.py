"""Engines that run machines. They know no database of ours and no HTTP."""
