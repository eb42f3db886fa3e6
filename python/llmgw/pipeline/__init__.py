"""What happens to one request that an upstream answers. Read `request` first."""
