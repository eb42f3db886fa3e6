"""What an operator can observe: metrics and log lines."""
