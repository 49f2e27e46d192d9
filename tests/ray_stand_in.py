"""What is used of Ray, without Ray."""

import pickle
from concurrent.futures import Future
from types import ModuleType, SimpleNamespace


class StandIn(ModuleType):
    """What is used of Ray, in this process: what travels is pickled, and it says what was started and ended."""

    def __init__(self, cpus=2, gpus=0):
        super().__init__("ray")
        self.room, self.connected, self.alive, self.calls = {"CPU": float(cpus), "GPU": float(gpus)}, False, 0, []
        self.exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))
        self.dies = False

    def is_initialized(self):
        return self.connected

    def init(self, **options):
        if options["address"] is not None:
            raise ConnectionError("nobody there\nat all")
        self.connected = True

    def shutdown(self):
        self.connected = False

    def cluster_resources(self):
        return self.room

    def remote(self, kind):
        def start(*given):
            self.alive += 1
            actor, number = kind(*given), self.alive

            def attempt(call):
                self.calls.append(number)
                future = Future()
                if self.dies:
                    future.set_exception(self.exceptions.RayError("The actor died.\nMore lines."))
                else:
                    future.set_result(pickle.loads(pickle.dumps(actor.attempt(call))))
                return SimpleNamespace(future=lambda: future)

            return SimpleNamespace(attempt=SimpleNamespace(remote=attempt))

        def options(**given):
            self.options = given
            return SimpleNamespace(remote=start)

        return SimpleNamespace(options=options)

    def kill(self, actor):
        self.alive -= 1
