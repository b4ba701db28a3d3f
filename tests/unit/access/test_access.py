"""Identity from a certificate."""

from tidegate.access.principal import principal_from_certificate

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
