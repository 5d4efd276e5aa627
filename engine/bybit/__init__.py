"""Facts about the venue, and nothing else: endpoints, topics, limits, continuity, answers, REST."""
