"""The verbs of ``tapehead``, one module each: options in, one function of the recorder called, a report out."""
