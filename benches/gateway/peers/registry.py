"""All peers, in the order of the tables."""

from typing import Final

from benches.gateway.peers.base import Peer
from benches.gateway.peers.bifrost import Bifrost
from benches.gateway.peers.litellm import LiteLlm
from benches.gateway.peers.llmgw import Llmgw
from benches.gateway.peers.nginx import Nginx
from benches.gateway.peers.portkey import Portkey
from benches.gateway.peers.tensorzero import TensorZero

LIMITED: Final = Llmgw(
    name="limited",
    limited=True,
    settings="llmgw once more, with limits and budgets: of the model, a project and a key, with a price",
)
PEERS: Final[tuple[Peer, ...]] = (
    Llmgw(), LIMITED, Nginx(), TensorZero(), LiteLlm(), Portkey(), Bifrost(),
)  # fmt: skip
