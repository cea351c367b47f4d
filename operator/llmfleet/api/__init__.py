"""What users write and read, the settings, and what our own programs tell each other. Lowest layer."""
