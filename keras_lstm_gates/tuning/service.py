"""The chief's service: who may use it, and who is still there."""

import contextlib
import functools
import hmac
import os

import grpc

TOKEN = "KERASTUNER_ORACLE_TOKEN"
"""The environment variable of what all processes of a search know, and others do not."""

_TOKEN_KEY, _WORKER_KEY = "keras-lstm-gates-token", "keras-lstm-gates-worker"


def metadata(worker):
    """What a worker sends with each call."""
    token = os.environ.get(TOKEN)
    return ((_WORKER_KEY, worker), *([(_TOKEN_KEY, token)] if token else []))


class Guard(grpc.ServerInterceptor):
    """Refuses calls without the token, and tells of the workers whose calls it lets through.

    Args:
        token: str, or None to let all calls through.
        hear: function of a worker's name, called at each of its calls.
    """

    def __init__(self, token, hear):
        self._token, self._hear = token, hear
        self.stands = False

    def intercept_service(self, continuation, handler_call_details):
        sent = dict(handler_call_details.invocation_metadata)
        received = sent.get(_TOKEN_KEY, "")
        if self._token and not hmac.compare_digest(received.encode(), self._token.encode()):
            return grpc.unary_unary_rpc_method_handler(functools.partial(_refuse, received))
        if _WORKER_KEY in sent:
            self._hear(sent[_WORKER_KEY])
        return continuation(handler_call_details)


def _refuse(received, request, context):
    context.abort(
        grpc.StatusCode.UNAUTHENTICATED,
        f"expected the chief's token in {TOKEN}; received {'another one' if received else 'none'}",
    )


@contextlib.contextmanager
def guarded(guard):
    """Put a guard before the server that KerasTuner makes meanwhile, which takes none itself.

    Raises:
        RuntimeError: KerasTuner made its server in another way, so that nobody guards it.
    """
    make = grpc.server

    def make_guarded(*arguments, **options):
        guard.stands = True
        return make(*arguments, interceptors=(guard,), **options)

    grpc.server = make_guarded
    try:
        yield
    finally:
        grpc.server = make
    if not guard.stands:
        raise RuntimeError("expected KerasTuner's server to be made by grpc.server; it was made without its guard")
