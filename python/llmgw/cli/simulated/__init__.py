"""What `llmgw demo` begins with: a team that has used the gateway for two weeks. All of it is made up.

Only the demo calls this, and only on the database in its own temporary folder. Whatever it makes says so:
names of projects and keys, and whoever made them, begin with `MARK`; ids of requests with `REQUEST_MARK`.

    team     who there is: projects, keys, limits           paces     how fast each model answers
    work     what each key is used for, and when            faults    what goes wrong, and how often
    draft    one request, and its entry in the ledger       traffic   all requests of the two weeks
    past     changes that admins made, at past times        budgets   amounts that fit what was spent
    begin    all of it, into the database                   live      a client that goes on asking
"""

from typing import Final

MARK: Final = "simulated-"
REQUEST_MARK: Final = "req_simulated_"
ACTOR: Final = f"cli {MARK}ops@demo"
"""Who made the changes in the audit."""
