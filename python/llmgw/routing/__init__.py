"""Which target serves a request: the router, targets and their health, retries, and the model catalog."""
