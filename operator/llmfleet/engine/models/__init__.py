"""Models by their config.json: shape, parameters, attention, quantization; and the table of well-known ones. Pure."""
