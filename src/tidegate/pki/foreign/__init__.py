"""What other CAs say about the certificates they gave: revocation lists and OCSP."""
