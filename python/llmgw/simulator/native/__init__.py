"""The other APIs that the providers have themselves: Anthropic's Messages and OpenAI's Responses.

`api` is what both share, `messages` and `responses` say how each is read and answered, and a file for each
provider has what only that one does: paths, switches, refusals, the shape of its errors.
"""
