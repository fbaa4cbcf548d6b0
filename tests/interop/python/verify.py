"""Says whether the Python package cryptography takes a certificate for what somebody claims it to be.

    verify.py version
    verify.py BUNDLE CHAIN server NAME
    verify.py BUNDLE CHAIN client

BUNDLE and CHAIN are PEM files; NAME is the IP or DNS name that was dialled. It prints "accepted" or
"refused: WHY"; whatever else ends it is a fault of the question.
"""

import ipaddress
import sys

import cryptography
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError


def certificates(path):
    with open(path, "rb") as file:
        return x509.load_pem_x509_certificates(file.read())


def subject(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def verify(bundle, chain, role, name=None):
    leaf, *above = certificates(chain)
    policy = PolicyBuilder().store(Store(certificates(bundle)))
    if role == "server":
        verifier = policy.build_server_verifier(subject(name))
    elif role == "client":
        verifier = policy.build_client_verifier()
    else:
        raise SystemExit("neither server nor client")
    try:
        verifier.verify(leaf, above)
    except VerificationError as why:
        return f"refused: {' '.join(str(why).split())}"
    return "accepted"


if sys.argv[1:] == ["version"]:
    print(cryptography.__version__)
else:
    print(verify(*sys.argv[1:]))
