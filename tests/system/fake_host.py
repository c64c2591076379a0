"""A host that is nothing but its word: says to a primary over its rpc port what no real agent says when asked to."""
import os

from requester import Requester


class FakeHost(Requester):
    def __init__(self, port, name):
        super().__init__(port)
        self.name, self.incarnation = name, int.from_bytes(os.urandom(7), "big")

    def tell(self, version, epoch, env="production", refusals=(), labels=(), held=0, hash=bytes(32), proofs=()):
        """A status; `refusals` are (key, version, why), `proofs` are (env, change). Gives the reply's bytes."""
        head = [env, epoch, version, hash, bytes(32), 1, held]
        return self.ask([13, 1, self.name, self.incarnation, "0.1.0", list(labels), [head], [[env, *r] for r in refusals],
                         *([list(proofs)] if proofs else [])])
