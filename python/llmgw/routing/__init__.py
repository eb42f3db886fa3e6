"""Which target answers: the router, targets and their health, retries, and the model catalog."""
