"""llmgw: the OpenAI-compatible gateway for the thinking models.

Read `llmgw.chat` first: it is one request from top to bottom. `docs/` and the README say how to run it.
"""
