"""Capture and loader killed at random moments, held against a witness that is not the spool."""
