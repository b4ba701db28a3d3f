"""Identity from a certificate, and the verdict on an operation."""

from tidegate.access.decide import decide
from tidegate.access.principal import UnixPrincipal, principal_from_certificate

CERTIFICATE = {
    "subject": ((("commonName", "ci-7"),), (("organizationName", "Acme"),), (("organizationalUnitName", "build"),)),
    "subjectAltName": (("DNS", "ci"), ("URI", "spiffe://acme/ci")),
    "serialNumber": "0AFF",
}


def test_a_certificate_names_its_holder() -> None:
    principal = principal_from_certificate(CERTIFICATE)
    assert principal.common_name == "ci-7"
    assert principal.organizations == ("Acme",)
    assert principal.organizational_units == ("build",)
    assert principal.uris == ("spiffe://acme/ci",)
    assert principal.serial_number == "0AFF"
    assert str(principal) == "CN=ci-7"


def test_a_certificate_without_subject_has_an_empty_name() -> None:
    assert principal_from_certificate({}).common_name == ""


def test_a_known_operation_is_allowed_and_the_rule_is_named() -> None:
    verdict = decide(UnixPrincipal(0, 0, 1), "ContainerList")
    assert verdict.allowed
    assert verdict.rule == "admitted:UnixPrincipal"


def test_an_unknown_operation_is_refused_with_a_reason() -> None:
    verdict = decide(principal_from_certificate(CERTIFICATE), None)
    assert not verdict.allowed
    assert "no operation" in verdict.reason
