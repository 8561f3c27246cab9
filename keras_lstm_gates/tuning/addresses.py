"""Where the chief listens: an address that nobody else has, on this machine unless another one is given."""

import contextlib
import ipaddress
import socket
import sys
import warnings


def host_and_port(address):
    """("host", port) of "HOST:PORT".

    Example:
        >>> host_and_port("192.168.1.10:8000")
        ('192.168.1.10', 8000)
    """
    host, _, port = str(address or "").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"expected the chief as HOST:PORT, for example 192.168.1.10:8000; received {address!r}")
    return host, int(port)


def free_address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def held(address):
    """Hold an address for this process's gRPC server while the body runs; None holds nothing.

    gRPC shares a port with whoever else uses gRPC there, without a word, and the workers would reach either chief.

    Raises:
        OSError: "expected an address the chief can listen at; received 127.0.0.1:8000: Address already in use".
    """
    if address is None:
        yield
        return
    try:
        holder = socket.create_server(host_and_port(address))
    except OSError as error:
        raise OSError(f"expected an address the chief can listen at; received {address}: {error.strerror}") from None
    with holder:
        # Elsewhere a port cannot be held and shared with one's own server: it was free a moment ago.
        if sys.platform.startswith("linux"):
            # From here on only a socket of this user that says it shares, as gRPC's does, can have the port beside
            # this one, which takes no connections away from it.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.shutdown(socket.SHUT_RDWR)
        else:
            holder.close()
        yield


def warn_unless_loopback(address, token):
    """Warn of a chief whom other machines can reach: its service asks for a token at most, and encrypts nothing."""
    host, _ = host_and_port(address)
    with contextlib.suppress(OSError):
        hosts = {ipaddress.ip_address(one[4][0].partition("%")[0]) for one in socket.getaddrinfo(host, None)}
        if all(one.is_loopback for one in hosts):
            return
    who = "whoever reads along on the network" if token else "whoever reaches it"
    lacks = "encryption" if token else "a token (KERASTUNER_ORACLE_TOKEN) or encryption"
    warnings.warn(
        f"the chief listens at {address} without {lacks}: {who} can take trials and end the search. Use a network of "
        "your machines alone, or 127.0.0.1 and an SSH tunnel",
        stacklevel=3,
    )
