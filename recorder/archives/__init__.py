"""The venue's public archives: one file a format; each line becomes the frame it was made from."""
