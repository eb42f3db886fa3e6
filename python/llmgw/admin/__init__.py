"""The admin API: `/admin/v1` for people and scripts, `/v1/organization` for exporters that know OpenAI's.

    request ──► guard ──► FastAPI ──► routes ──► access, budgets, ledger
                key,      schemas,    thin,      the rules, which the
                size,     all faults  in a       command line uses too
                number    at once     thread

It runs in a process of its own (`[admin] port`), or in every worker. FastAPI is an extra, `llmgw[admin]`:
only `api` and `routes` import it, and they are imported only where the API is on.
"""
