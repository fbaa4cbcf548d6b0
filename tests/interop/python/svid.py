"""What the Python package spiffe reads in a container's files.

    svid.py CHAIN KEY BUNDLE TRUST-DOMAIN

CHAIN is the leaf and what is above it, KEY its private key, BUNDLE the trust bundle, all PEM. It prints the
leaf's SPIFFE ID, the number of certificates in the chain and the number of roots in the bundle, each on a line.
"""

import sys

from spiffe import TrustDomain, X509Bundle, X509Svid


def read(path):
    with open(path, "rb") as file:
        return file.read()


chain, key, bundle, domain = sys.argv[1:]
svid = X509Svid.parse(read(chain), read(key))
roots = X509Bundle.parse(TrustDomain(domain), read(bundle))
print(svid.spiffe_id)
print(len(svid.cert_chain))
print(len(roots.x509_authorities))
