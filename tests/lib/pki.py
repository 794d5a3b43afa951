"""Devices with keys of their own: registered over REST, enrolled over EST, connected by mutual TLS.

    device = pki.Device.enrolled(server, "pump-7")
    context = device.context()          # for ssl, Paho: client.tls_set_context(context)

Keys never leave the test; the gateway sees a fingerprint and a certificate request.
"""
import base64
import concurrent.futures
import datetime
import hashlib
import http.client
import json
import pathlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server import wait_until

PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER


class EnrolmentRefused(Exception):
    """EST said no; `code` is that of the problem."""

    def __init__(self, status, kind, text):
        super().__init__(f"{status} {text}")
        self.status = status
        self.content_type = kind
        self.problem = json.loads(text) if "json" in kind else {}
        self.code = self.problem.get("code")


def make_key():
    return ec.generate_private_key(ec.SECP256R1())


def spki(key):
    return key.public_key().public_bytes(
        DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key):
    """What the registry knows a key by."""
    return hashlib.sha256(spki(key)).hexdigest()


def key_pem(key):
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def name_of(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def make_request(key, common_name="device"):
    """A certificate request (PKCS 10)."""
    return x509.CertificateSigningRequestBuilder().subject_name(
        name_of(common_name)).sign(key, hashes.SHA256())


def make_certificate(key, common_name, issuer=None, issuer_key=None, days=1, age_days=0,
                     device_id=None, is_ca=False):
    """A certificate of anybody's making; self-signed without `issuer`. It begins `age_days` before
    an hour ago and lives `days`."""
    begin = datetime.datetime.utcnow() - datetime.timedelta(hours=1, days=age_days)
    builder = (x509.CertificateBuilder()
               .subject_name(name_of(common_name))
               .issuer_name(issuer.subject if issuer else name_of(common_name))
               .public_key(key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(begin)
               .not_valid_after(begin + datetime.timedelta(days=days))
               .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True))
    if not is_ca:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    if device_id:
        uri = x509.UniformResourceIdentifier(f"urn:skerry:device:{device_id}")
        builder = builder.add_extension(x509.SubjectAlternativeName([uri]), critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256())


def client_context(root_certificate, certificate_file, key_file, minimum=None, maximum=None):
    """Mutual TLS towards the gateway."""
    context = ssl.create_default_context(cafile=str(root_certificate))
    context.load_cert_chain(str(certificate_file), str(key_file))
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    return context


def enrol(server, request, context):
    """simpleenroll: the certificates of the answer. EnrolmentRefused if there are none."""
    connection = http.client.HTTPSConnection("127.0.0.1", server.ports["enrolment"], timeout=60,
                                             context=context)
    try:
        body = base64.encodebytes(request.public_bytes(DER)) \
            if isinstance(request, x509.CertificateSigningRequest) else request
        connection.request("POST", "/.well-known/est/simpleenroll", body,
                           {"Content-Type": "application/pkcs10",
                            "Content-Transfer-Encoding": "base64"})
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise EnrolmentRefused(answer.status, answer.headers.get("Content-Type", ""),
                                   data.decode(errors="replace"))
        return pkcs7.load_der_pkcs7_certificates(base64.b64decode(data))
    finally:
        connection.close()


class Device:
    """An id, a key and, once enrolled, a certificate; PEM files in `directory`."""

    def __init__(self, server, device_id, key=None, directory=None):
        self.server = server
        self.id = device_id
        self.key = key or make_key()
        self.directory = pathlib.Path(directory or server.directory / "devices")
        self.directory.mkdir(exist_ok=True)
        self.key_file = self.directory / f"{device_id}.key"
        self.certificate_file = self.directory / f"{device_id}.crt"
        self.key_file.write_bytes(key_pem(self.key))
        self.certificate = None

    @classmethod
    def enrolled(cls, server, device_id):
        return cls(server, device_id).register().enrol()

    def topic(self, rest):
        return f"devices/{self.id}/{rest}"

    def register(self):
        self.server.rest("POST", "/api/v1/devices",
                         {"id": self.id, "keys": [{"fingerprint": fingerprint(self.key)}]})
        return self

    def self_signed_context(self):
        """Shows a certificate that only says: I hold this key."""
        path = self.directory / f"{self.id}.self.crt"
        path.write_bytes(make_certificate(self.key, self.id).public_bytes(PEM))
        context = client_context(self.server.root_certificate, path, self.key_file)
        path.unlink()
        return context

    def enrol(self):
        """Also when many enrol at once and the gateway asks to come back later."""
        context = self.self_signed_context()

        def answer():
            try:
                return enrol(self.server, make_request(self.key, self.id), context)
            except EnrolmentRefused as refused:
                if refused.code != "too_many_enrolments":
                    raise
                return None
        self.certificate = wait_until(answer, "the gateway enrols", 120, pause=0.2)[0]
        self.certificate_file.write_bytes(self.certificate.public_bytes(PEM))
        return self

    def context(self, **versions):
        return client_context(self.server.root_certificate, self.certificate_file, self.key_file,
                              **versions)


def enrol_many(server, ids, threads=4):
    """Registers and enrols a device for each id; a few requests at a time. In the order of ids."""
    ids = list(ids)
    devices = [Device(server, device_id).register() for device_id in ids]
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(Device.enrol, devices))
