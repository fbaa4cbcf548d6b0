"""A TLS server that lets a client in if its certificate names the address that it comes from.

    server.py CERT KEY BUNDLE IP PORT
"""

import http.server
import ssl
import sys

cert, key, bundle, ip, port = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        names = self.connection.getpeercert()["subjectAltName"]
        allowed = ("IP Address", self.client_address[0]) in names
        self.send_response(200 if allowed else 403)
        self.end_headers()
        self.wfile.write(f"{names}\n".encode())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(cert, key)
context.load_verify_locations(bundle)
context.verify_mode = ssl.CERT_REQUIRED
server = Server((ip, int(port)), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
