"""Says back what it is told: python3 echo_bot.py [profile's folder]"""

import sys

from tincan import Peer

with Peer(home=sys.argv[1] if len(sys.argv) > 1 else None) as peer:
    print("link:", peer.invite(uses=1)["link"], flush=True)
    for event in peer.events("echo-bot"):
        if event["type"] == "message" and event["text"]:
            peer.send(to=event["address"], texts=[event["text"]], reply_to=event["id"])
            peer.read(from_=event["address"], seq=event["seq"])
