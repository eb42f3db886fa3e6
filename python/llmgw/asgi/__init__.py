"""The part of ASGI that the gateway uses: a capped body in, one answer out, and a watch on the client."""
