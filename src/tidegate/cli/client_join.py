"""``tidegate client join HOST:PORT TOKEN``: this machine becomes a client, with a key that never leaves it.

The files go to ``~/.docker`` (or ``--out DIR``), where the docker CLI looks for them, or become a docker context.
Nothing is written before all of it is there. Root is not needed.
"""

import argparse
import os
import sys
from pathlib import Path

import msgspec

from tidegate.base.errors import ConflictError, InternalError, TidegateError
from tidegate.cli.gate_connection import GateAddress, fetch_authority, post, verifying
from tidegate.cli.hand_out import check_out, write_out
from tidegate.pki import certificates as certs
from tidegate.pki.context_archive import TLSMaterial
from tidegate.pki.docker_contexts import DockerContext
from tidegate.pki.names import parse_context_host
from tidegate.pki.tokens import JoinToken, enrolment_proof, parse_token
from tidegate.spec.enrolment import ENROL, EnrolBody, IssuedBody

STANDARD_INPUT = "-"
HOST_FILE = "tidegate-host"


def docker_config() -> Path:
    """Where the docker CLI keeps its configuration and, by default, its certificates."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def gate_address(host: str) -> GateAddress:
    """Of ``[tcp://]NAME[:PORT]``. Raises InvalidParameterError."""
    url, name = parse_context_host(host)
    return GateAddress(name, int(url.rpartition(":")[2]))


def run(args: argparse.Namespace) -> int:
    address = gate_address(args.host)
    token = parse_token(sys.stdin.readline() if args.token == STANDARD_INPUT else args.token)
    context = DockerContext(docker_config(), args.context) if args.context else None
    directory = args.out or docker_config()
    if context is None:
        check_out(directory, None)
    elif context.exists():
        raise ConflictError(f"there is a context {context.name} already: remove it, or choose another name")
    material = enrol(address, token)
    certificate = certs.decode_certificate(material.certificate, "the new certificate")
    if context is not None:
        context.create(f"tcp://{address}", material)
        usage = f"docker --context {context.name} version"
    else:
        write_out(directory, material, {HOST_FILE: f"tcp://{address}\n".encode()})
        usage = f"export DOCKER_HOST=tcp://{address} DOCKER_TLS_VERIFY=1"
        if args.out or "DOCKER_CONFIG" in os.environ:
            usage += f" DOCKER_CERT_PATH={directory.absolute()}"
    end = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M}Z"
    print(f"client {certs.common_name(certificate)}, valid until {end}: {context.name if context else directory}")
    print(f"  {usage}")
    return 0


def enrol(address: GateAddress, token: JoinToken) -> TLSMaterial:
    """A new key and the certificate that the gate gives for it. Raises what hinders it."""
    ca_pem = fetch_authority(address, token)
    key = certs.new_key()
    csr = certs.make_request(key, "tidegate client").decode()
    body = EnrolBody(token.invitation, csr, enrolment_proof(token.key, csr))
    issued = decode_issued(post(address, verifying(ca_pem), ENROL, msgspec.json.encode(body)), key)
    return TLSMaterial(issued.ca.encode(), issued.certificate.encode(), certs.encode_key(key))


def decode_issued(document: bytes, key: certs.PrivateKey) -> IssuedBody:
    """Raises InternalError unless it is a certificate for ``key`` with the CA it is of."""
    try:
        issued = msgspec.json.decode(document, type=IssuedBody)
        certificate = certs.decode_certificate(issued.certificate.encode(), "the new certificate")
        ca = certs.decode_certificates(issued.ca.encode(), "the CA")
    except (msgspec.DecodeError, TidegateError) as error:
        raise InternalError(f"the gate's answer cannot be read: {error}") from error
    if not certs.belongs_to(certificate, key) or not any(certs.is_issued_by(certificate, each) for each in ca):
        raise InternalError("the gate answered with a certificate that is not for our key, or not of its own CA")
    return issued
