"""GET https://IP:PORT/ with a certificate, verified by the IP that is dialled.

    client.py CERT KEY BUNDLE IP PORT
"""

import http.client
import ssl
import sys

cert, key, bundle, ip, port = sys.argv[1:]
context = ssl.create_default_context(cafile=bundle)
context.load_cert_chain(cert, key)
connection = http.client.HTTPSConnection(ip, int(port), timeout=20, context=context)
try:
    connection.request("GET", "/")
except ssl.SSLCertVerificationError as why:
    sys.exit(f"not verified: {why.verify_message}")
answer = connection.getresponse()
print(answer.status, answer.read().decode().strip())
