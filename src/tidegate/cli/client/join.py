"""``tidegate client join HOST:PORT TOKEN``: this machine becomes a client, with a key that never leaves it.

The files go to ``~/.docker`` (or ``--out DIR``), where the docker CLI looks for them, or become a docker context.
Nothing is written before all of it is there. Root is not needed.
"""

import argparse
import sys

import msgspec

from tidegate.base.errors import InternalError, TidegateError
from tidegate.cli.client.places import named_place
from tidegate.cli.gate_connection import GateAddress, fetch_authority, post, verifying
from tidegate.pki import certificates as certs
from tidegate.pki.context_archive import TLSMaterial
from tidegate.pki.joining.tokens import JoinToken, enrolment_proof, parse_token
from tidegate.pki.names import parse_context_host
from tidegate.spec.enrolment import ENROL, EnrolBody, IssuedBody

STANDARD_INPUT = "-"


def run(args: argparse.Namespace) -> int:
    url = parse_context_host(args.host)[0]
    token = parse_token(sys.stdin.readline() if args.token == STANDARD_INPUT else args.token)
    place = named_place(args)
    place.check_free()
    material = enrol(GateAddress.of(url), token)
    place.create(url, material)
    certificate = certs.decode_certificate(material.certificate, "the new certificate")
    end = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M}Z"
    print(f"client {certs.common_name(certificate)}, valid until {end}: {place}")
    print(f"  {place.usage(url)}")
    print("  `tidegate client renew --if-due` from a timer, or `--keep` as a service, renews it")
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
