"""Several processes, here or on several machines, at one search: keras-tuner's chief and workers.

The chief proposes weights and trains nothing; workers ask it over gRPC. All of them are started
with the same command and with keras-tuner's own three variables:

    KERASTUNER_TUNER_ID     `chief`, or a name that no other worker has
    KERASTUNER_ORACLE_IP    the chief's address
    KERASTUNER_ORACLE_PORT  its port

Every worker must see the search's folder.
"""

import contextlib
import time
from concurrent import futures
from dataclasses import dataclass

import grpc
from configuration import RunError, UsageError
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.distribute.oracle_client import OracleClient

from tfface.commands.startup import quiet_stderr

VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")

_GRACE = 30.0  # seconds for workers without a trial to hear that there are no more


@dataclass(frozen=True)
class Place:
    """This process's place in a cluster.

    Args:
        name: What it calls itself.
        ip: The chief's address.
        port: The chief's port.
    """

    name: str
    ip: str
    port: int

    @property
    def is_chief(self):
        """Whether this process proposes; as keras-tuner has it, the name says so."""
        return "chief" in self.name

    @property
    def address(self):
        """Where the chief listens."""
        return f"{self.ip}:{self.port}"


def read_place(environment):
    """The Place that the environment names, or None if it names none.

    Raises:
        UsageError: If some of the variables are missing or none of what they should be.
    """
    given = {name: environment.get(name, "").strip() for name in VARIABLES}
    if not any(name in environment for name in VARIABLES):
        return None
    if missing := [name for name, value in given.items() if not value]:
        raise UsageError(
            f"a search by several processes needs {', '.join(VARIABLES)} in the environment. "
            f"Received: nothing in {', '.join(missing)}"
        )
    name, ip, port = given.values()
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(f"KERASTUNER_ORACLE_PORT must be from 1 to 65535. Received: {port}")
    return Place(name, ip, int(port))


def ask_chief(oracle, place):
    """The chief's oracle, once it answers.

    Args:
        oracle: The oracle that the chief has too.
        place: This worker's Place.
    """
    print(f"{place.name}: asking the chief at {place.address}", flush=True)
    client = OracleClient(oracle)
    client.get_space()
    return client


@contextlib.contextmanager
def answered(place):
    """A block in which a chief that does not answer ends the worker with a RunError."""
    try:
        yield
    except grpc.RpcError as error:
        raise RunError(
            f"the chief at {place.address} does not answer ({error.code().name}); start it again, "
            "and this worker"
        ) from error


def serve(oracle, place, ended):
    """Gives out the oracle's trials until all have come back.

    Args:
        oracle: An oracle.
        place: The chief's Place.
        ended: Called when a trial has ended.

    Raises:
        UsageError: If the chief cannot listen there.
    """
    # Two chiefs on one port would each get some of the workers' calls.
    options = [("grpc.so_reuseport", 0)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=options)
    servicer = OracleServicer(oracle)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        with quiet_stderr():
            server.add_insecure_port(place.address)
    except RuntimeError as error:
        raise UsageError(f"the chief cannot listen at {place.address}: {error}") from error
    server.start()
    print(f"{place.name}: giving out trials at {place.address}", flush=True)
    try:
        _until_all_are_back(oracle, servicer, ended)
    finally:
        server.stop(grace=5).wait()


def _until_all_are_back(oracle, servicer, ended):
    count, told, last = len(oracle.end_order), set(), None
    while True:
        time.sleep(0.2)
        if len(oracle.end_order) > count:
            count = len(oracle.end_order)
            ended()
        if not servicer.stop_triggered:
            continue
        missed = {name: trial.trial_id for name, trial in dict(oracle.ongoing_trials).items()}
        if missed and set(missed) != told:
            told = set(missed)
            names = ", ".join(f"{name} (trial {trial})" for name, trial in missed.items())
            print(f"no more trials; waiting for {names}", flush=True)
        if missed:
            continue
        # One that was killed between two trials never comes to hear of the end.
        last = last or time.monotonic()
        if not oracle.tuner_ids or time.monotonic() - last > _GRACE:
            return
