"""The five systems written plainly in PyTorch: what a user would have instead of this package.

Each is the same networks and the same training step by the same page of its paper, in NCHW, with
`torch.nn`, autograd and `torch.optim.Adam`. The weights are copied from ours, so outputs and losses
must agree; that proves both right and makes the comparison of their speed one of the same work.
"""

from importlib import import_module

PEERS = {
    "restoration": "RestorationPeer",
    "recognition": "RecognitionPeer",
    "magnification": "MagnificationPeer",
    "regeneration": "RegenerationPeer",
    "synthesis": "SynthesisPeer",
}
"""Of each system, the class in the module of its name."""


def make_peer(system, model, batch):
    """A system in PyTorch with the weights of ours, see `peer.Peer`.

    PyTorch is imported here and not before: only who compares needs it.

    Args:
        system: One of `PEERS`.
        model: Our compiled AdversarialModel, not trained yet, as `benchmarks.models.make_case`
            makes it.
        batch: Its batch: dict of tensors, channels last.

    Returns:
        Peer.

    Raises:
        ValueError: If there is no such system.
        ImportError: If PyTorch is not installed.
    """
    if system not in PEERS:
        raise ValueError(f"`system` must be one of {', '.join(PEERS)}. Received: {system!r}")
    module = import_module(f"benchmarks.peers.{system}")
    return getattr(module, PEERS[system])(model, batch)
