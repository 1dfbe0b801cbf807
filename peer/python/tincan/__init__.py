"""Drives a Tincan profile through the `peer` program.

    with Peer(home="/home/ann/.tincan") as peer:
        peer.send(to="bob", texts=["hello"])
        for event in peer.events("my-program"):
            if event["type"] == "message":
                print(event["from"], event["text"])

`Peer` has a method for each of those that `peer rpc --schema` lists, with the same parameters and results.
"""

from ._client import Peer, PeerError

__all__ = ["Peer", "PeerError"]
