"""What users write and read: the LLMDeployment, its status, and the administrator's settings. Lowest layer."""
