"""JSON Web Tokens as an identity provider signs them (RFC 7519), RS256, ES256 and EdDSA."""
import base64
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs tokens as an identity provider would."""

    def __init__(self, algorithm):
        self.algorithm = algorithm
        self.key = {"RS256": lambda: rsa.generate_private_key(65537, 2048),
                    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
                    "EdDSA": ed25519.Ed25519PrivateKey.generate}[algorithm]()
        self.url = f"https://{algorithm.lower()}.example"

    def public_pem(self):
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, data):
        if self.algorithm == "RS256":
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if self.algorithm == "EdDSA":
            return self.key.sign(data)
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def token(self, header=None, signature=None, **claims):
        all_claims = {"iss": self.url, "aud": "skerry", "sub": "meter", "exp": time.time() + 600,
                      **claims}
        head = {"alg": self.algorithm, "typ": "JWT", **(header or {})}
        text = encode(json.dumps(head).encode()) + "." + encode(json.dumps(all_claims).encode())
        return text + "." + encode(self.sign(text.encode()) if signature is None else signature)
