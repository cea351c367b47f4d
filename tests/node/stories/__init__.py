"""Stories on a whole node: the operator installed by helm, engines in real pods, all seen through the API server."""
