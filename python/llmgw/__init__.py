"""llmgw: the OpenAI-compatible gateway for the thinking models.

Read `llmgw.pipeline.request` first: it is the story of one request, from top to bottom.
"""
