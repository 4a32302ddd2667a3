"""Rows that are sent again, or late, at an operator's word: over channels of their own.

A job's rows stand in a line of places 1, 2, 3 …. To the drain that line is a spool of one epoch,
named like the job, so that all rules of exactly-once hold for it as for the live stream: the frozen
batch, the open that decides what is committed, the counters, the range behind a row error. What is
different is only where rows come from (``source``), where progress is stored (``job_ledger``) and
what becomes of a row that is refused again (``job_spool``): it stays a dead letter, and no
tombstone is sent for it.
"""
