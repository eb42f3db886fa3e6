"""A place for one request at an upstream: taken where there is one, waited for where that is allowed."""

from collections.abc import Collection, Hashable

from llmgw.asgi.client import ClientWatch
from llmgw.errors import ApiError, ClientGone
from llmgw.gateway import Gateway
from llmgw.limits.admission import Ticket
from llmgw.limits.estimates import Need
from llmgw.limits.places import NoPlace, Place, Waiter
from llmgw.limits.refusals import over_upstream
from llmgw.prices.billing import Report, usage_of
from llmgw.routing.router import Model
from llmgw.routing.targets import Target


class Placing:
    """Finds the places of one request, one after the other. Its ticket holds the one that it has."""

    __slots__ = ("_gateway", "_model", "_need", "_no_place", "_owner", "_session", "_ticket", "_waiter")

    def __init__(
        self,
        gateway: Gateway,
        model: Model,
        ticket: Ticket,
        *,
        need: Need,
        owner: Hashable,
        session: int | None = None,
    ) -> None:
        """`need`: what the request will probably use. `owner`: takes turns with others that wait.

        `session`: see `routing.affinity`.
        """
        self._gateway = gateway
        self._model = model
        self._ticket = ticket
        self._need = need
        self._owner = owner
        self._session = session
        self._no_place: NoPlace | None = None
        self._waiter: Waiter | None = None

    def take(self, target: Target, asked: Collection[Target]) -> Target | None:
        """Take a place at this target, or at another one that has one and was not asked. None: none has.

        The place that the request had before is given back.
        """
        self._ticket.vacate()
        passed: list[Target] = []
        while True:
            got = target.places.take(self._need)
            if isinstance(got, Place):
                self._ticket.occupy(got)
                return target
            if not passed:
                self._no_place = got
            passed.append(target)
            other = self._model.targets.other([*asked, *passed], self._session)
            if other is None:
                return None
            target = other

    async def wait(self, target: Target, asked: Collection[Target], client: ClientWatch) -> Target:
        """Where `take` found none: wait for one, where an upstream allows that.

        Raises ApiError (`overloaded`, `upstream_rate_limited`) if there is none; ClientGone.
        """
        others = [t for t in self._model.targets.all if t not in asked and t.health.may_be_asked]
        choice = {t.places: t for t in reversed(others or [target])}
        if not self._gateway.draining and any(places.wait_s > 0 for places in choice):
            waiter = self._waiter = Waiter(self._owner, self._need)
            self._gateway.waiters.add(waiter)
            try:
                got = await waiter.wait(tuple(choice))
            finally:
                self._gateway.waiters.discard(waiter)
                self._waiter = None
            if got is not None:
                places, place = got
                self._ticket.occupy(place)
                return choice[places]
        if client.gone:
            raise ClientGone
        raise self._refusal()

    def leave(self) -> None:
        """The client is lost: wait no longer."""
        if self._waiter is not None:
            self._waiter.leave()

    def settle(self, report: Report) -> None:
        """The attempt that the place is for is over: the rates of its upstream count what it used."""
        self._ticket.settle(usage_of(report, self._need.input_tokens).total)

    def _refusal(self) -> ApiError:
        gateway, why = self._gateway, self._no_place
        if why is None or why.reason == "in_flight":
            message = "The model's upstream has as many requests as it may have."
            return gateway.admission.shed("upstream", message)
        gateway.metrics.limited(why.reason, "upstream")
        return over_upstream(why)
