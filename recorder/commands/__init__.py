"""The verbs of ``tapehead``, one module each: options in, one call of the recorder, a report out."""
