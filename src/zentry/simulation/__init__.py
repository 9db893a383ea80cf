"""The whole platform on virtual time: real services and workers, one thread, one seed, one outcome."""
