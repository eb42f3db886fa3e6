"""What to know at once about a budget in money: models without a price can't be used under it."""

import sys
from collections.abc import Collection, Iterable
from typing import Final

from llmgw.budgets.budget import TOKENS, Budget
from llmgw.config import Config

_NAMED: Final = 3


def warn_of_unpriced(
    config: Config, budgets: Iterable[Budget], models: Collection[str] | None = None
) -> None:
    """Say on stderr which models these budgets shut. `models`: those of the key; None: all."""
    if config.prices.unpriced == "allow":
        return
    bound = {budget.model for budget in budgets if budget.unit != TOKENS}
    shut = [
        model.id
        for model in config.models
        if (None in bound or model.id in bound)
        and (models is None or model.id in models)
        and any(target.price is None for target in model.targets)
    ]
    if not shut:
        return
    more = f" and {len(shut) - _NAMED} more" if len(shut) > _NAMED else ""
    print(
        f"warning: no price for {', '.join(shut[:_NAMED])}{more}: a budget in money refuses their requests. "
        "Add a price to each [[models]]; llmgw prices suggest prints some.",
        file=sys.stderr,
    )
