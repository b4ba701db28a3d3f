"""``tidegate client renew``: a new key and a new certificate in the place of the present ones, over 2376.

- ``--if-due`` renews from half of the certificate's life on, and is cheap before: for timers. ``--keep`` stays and
  renews whenever it is due, for as long as it runs.
- The present files stay until all of the new ones are written. ``--revoke-old`` takes the old certificate back only
  then, with the new one.
"""

import argparse
import ssl
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509

from tidegate.base.durations import duration_text
from tidegate.base.errors import ConflictError, NotFoundError, TidegateError
from tidegate.cli.client.join import decode_issued
from tidegate.cli.client.places import Place, named_place
from tidegate.cli.gate_connection import GateAddress, post, verifying
from tidegate.http.tls_context import load_pair
from tidegate.pki import certificates as certs
from tidegate.pki.context_archive import TLSMaterial
from tidegate.pki.der import serial_text
from tidegate.pki.durable_files import exclusive
from tidegate.pki.joining.enrolment import renewal_proof, retirement_proof
from tidegate.spec.enrolment import RENEW, RETIRE, RenewBody, RetireBody

_SHORTEST_RETRY, _LONGEST_RETRY = timedelta(seconds=10), timedelta(hours=1)


class Present(msgspec.Struct, frozen=True):
    """What a client has now."""

    material: TLSMaterial
    certificate: x509.Certificate
    key: certs.PrivateKey

    @property
    def due_at(self) -> datetime:
        """Half of its life."""
        begin, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return begin + (end - begin) / 2


def run(args: argparse.Namespace) -> int:
    renewal = Renewal(named_place(args), args.host, args.revoke_old)
    if args.keep:
        keep(renewal, time.sleep)
    else:
        renewal.renew(only_if_due=args.if_due)
    return 0


class Renewal:
    """Renews what is in ``place``; ``host`` overrides what the place says."""

    def __init__(
        self, place: Place, host: str | None, revoke_old: bool, now: Callable[[], datetime] | None = None
    ) -> None:
        self._place = place
        self._host = host
        self._revoke_old = revoke_old
        self.now = now or (lambda: datetime.now(UTC))

    def renew(self, only_if_due: bool = False) -> None:
        """One process at a time. Raises what hinders it; what was there is then still there."""
        directory = self._place.directory
        if not (directory / "key.pem").exists():
            raise NotFoundError(f"there is no certificate in {directory}: join first, or say where it is")
        with exclusive(self._place.lock):
            present = self.present()
            if only_if_due and present.due_at > self.now():
                print(f"{self._place}: not due before {present.due_at:%Y-%m-%d %H:%M}Z")
                return
            address = GateAddress.of(self._host or self._place.url())
            material = _renewed(address, present)
            self._place.replace(material)
            renewed = self.present()
        end = renewed.certificate.not_valid_after_utc
        print(f"client {certs.common_name(renewed.certificate)}, valid until {end:%Y-%m-%d %H:%M}Z: {self._place}")
        if self._revoke_old:
            _retire(address, renewed, serial_text(present.certificate.serial_number))

    def present(self) -> Present:
        """Raises NotFoundError or InvalidParameterError naming the file, ConflictError for a key of another one."""
        directory = self._place.directory
        names = ("ca.pem", "cert.pem", "key.pem")
        try:
            material = TLSMaterial(*(directory.joinpath(name).read_bytes() for name in names))
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no {error.filename}: join anew by an invitation") from error
        certificate = certs.decode_certificate(material.certificate, f"{directory}/cert.pem")
        key = certs.decode_key(material.key, f"{directory}/key.pem")
        if not certs.belongs_to(certificate, key):
            raise ConflictError(f"{directory}/key.pem is not the key of cert.pem: join anew by an invitation")
        return Present(material, certificate, key)


def keep(renewal: Renewal, sleep: Callable[[float], object]) -> None:
    """Renew whenever it is due, for ever; a renewal that fails is tried again, sooner the less time is left.

    Raises TidegateError once the certificate has expired, which no renewal can mend.
    """
    while True:
        present = renewal.present()
        sleep(max(0.0, (present.due_at - renewal.now()).total_seconds()))
        try:
            renewal.renew(only_if_due=True)
        except TidegateError as error:
            left = present.certificate.not_valid_after_utc - renewal.now()
            if left <= timedelta():
                raise
            again = min(max(left / 20, _SHORTEST_RETRY), _LONGEST_RETRY)
            print(f"not renewed: {error.message}; again in {duration_text(again)}", file=sys.stderr, flush=True)
            sleep(again.total_seconds())


def _renewed(address: GateAddress, present: Present) -> TLSMaterial:
    key = certs.new_key()
    csr = certs.make_request(key, "tidegate client").decode()
    proof = renewal_proof(present.key, present.material.certificate.decode(), csr)
    answer = post(address, _context(present), RENEW, msgspec.json.encode(RenewBody(csr, proof)))
    issued = decode_issued(answer, key)
    return TLSMaterial(issued.ca.encode(), issued.certificate.encode(), certs.encode_key(key))


def _context(present: Present) -> ssl.SSLContext:
    context = verifying(present.material.ca.decode())
    load_pair(context, present.material.certificate.decode(), present.material.key.decode())
    return context


def _retire(address: GateAddress, renewed: Present, serial: str) -> None:
    proof = retirement_proof(renewed.key, renewed.material.certificate.decode(), serial)
    post(address, _context(renewed), RETIRE, msgspec.json.encode(RetireBody(serial, proof)))
    print(f"revoked {serial}")
