"""The collector's side of the spool: the only writer of ``spool.db``."""
