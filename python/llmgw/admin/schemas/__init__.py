"""What the admin API takes and answers: the source of its checks and of its OpenAPI document."""
