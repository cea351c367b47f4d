"""What a process begins with, whichever it is: the settings file, and what its log says."""
