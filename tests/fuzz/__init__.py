"""Mutation fuzz of everything that comes from outside: frames, answers, the bytes of a spool.

``python -m tests.fuzz`` runs it; a case is a number from which everything in it follows.
"""
