#include "crypto/public_key.hpp"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "crypto/encoding.hpp"
#include "crypto/hash.hpp"
#include "crypto/key.hpp"
#include "crypto/openssl.hpp"

namespace skerry::crypto {

namespace {

constexpr std::size_t pem_bytes_max = 64 * 1024;
constexpr std::size_t coordinate_bytes = 32;
constexpr std::size_t rsa_number_bytes_max = 1024;

using KeyOwner = Owner<EVP_PKEY, EVP_PKEY_free>;
using ContextOwner = Owner<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestOwner = Owner<EVP_MD_CTX, EVP_MD_CTX_free>;
using BuilderOwner = Owner<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using ParameterOwner = Owner<OSSL_PARAM, OSSL_PARAM_free>;
using SignatureOwner = Owner<ECDSA_SIG, ECDSA_SIG_free>;

BignumOwner number_of(std::string_view bytes) {
  return BignumOwner{BN_bin2bn(as_unsigned(bytes), static_cast<int>(bytes.size()), nullptr)};
}

/// A public key of type `type` from its parameters; null when they make none.
EVP_PKEY* key_from(const char* type, OSSL_PARAM_BLD* builder) {
  const ParameterOwner parameters{OSSL_PARAM_BLD_to_param(builder)};
  const ContextOwner context{EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)};
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  return key;
}

/// r and s as the DER that the library verifies; empty when they are not 64 bytes.
std::string der_signature(std::string_view raw) {
  if (raw.size() != 2 * coordinate_bytes) {
    return {};
  }
  const SignatureOwner signature{ECDSA_SIG_new()};
  BignumOwner r = number_of(raw.substr(0, coordinate_bytes));
  BignumOwner s = number_of(raw.substr(coordinate_bytes));
  if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) {
    return {};
  }
  static_cast<void>(r.release());  // the signature has taken them
  static_cast<void>(s.release());
  return der_of(signature.get(), i2d_ECDSA_SIG);
}

}  // namespace

Result<PublicKey, Failure> PublicKey::adopt(evp_pkey_st* owned) {
  KeyOwner key{owned};
  if (const std::string_view why = check_public_key(key.get()); !why.empty()) {
    return Failure{why.data()};  // static and closed by a NUL
  }
  PublicKey made;
  if (EVP_PKEY_is_a(key.get(), "RSA") == 1) {
    made.algorithm_ = SignatureAlgorithm::rs256;
  } else if (EVP_PKEY_is_a(key.get(), "ED25519") == 1) {
    made.algorithm_ = SignatureAlgorithm::eddsa;
  } else if (EVP_PKEY_get_bits(key.get()) == 256) {
    made.algorithm_ = SignatureAlgorithm::es256;
  } else {
    return Failure{"the key's curve has no algorithm here; use P-256, Ed25519 or RSA"};
  }
  made.handle_ = {key.release(), EVP_PKEY_free};
  return made;
}

std::string PublicKey::fingerprint() const {
  return sha256_hex(der_of(handle_.get(), i2d_PUBKEY));
}

Result<PublicKey, Failure> PublicKey::from_pem(std::string_view pem) {
  const ErrorQueueGuard guard;
  if (const auto der = pem_decode("PUBLIC KEY", pem, pem_bytes_max)) {
    const unsigned char* at = as_unsigned(*der);
    return adopt(d2i_PUBKEY(nullptr, &at, static_cast<long>(der->size())));
  }
  if (const auto der = pem_decode("CERTIFICATE", pem, pem_bytes_max)) {
    const unsigned char* at = as_unsigned(*der);
    const Owner<X509, X509_free> certificate{
        d2i_X509(nullptr, &at, static_cast<long>(der->size()))};
    return adopt(certificate ? X509_get_pubkey(certificate.get()) : nullptr);
  }
  return Failure{"there is no public key and no certificate in PEM form"};
}

Result<PublicKey, Failure> PublicKey::from_rsa(std::string_view modulus,
                                               std::string_view exponent) {
  const ErrorQueueGuard guard;
  if (modulus.empty() || modulus.size() > rsa_number_bytes_max || exponent.empty() ||
      exponent.size() > rsa_number_bytes_max) {
    return Failure{"the RSA key has no usable modulus and exponent"};
  }
  const BignumOwner n = number_of(modulus);
  const BignumOwner e = number_of(exponent);
  const BuilderOwner builder{OSSL_PARAM_BLD_new()};
  if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return Failure{"the RSA key cannot be read"};
  }
  return adopt(key_from("RSA", builder.get()));
}

Result<PublicKey, Failure> PublicKey::from_p256(std::string_view x, std::string_view y) {
  const ErrorQueueGuard guard;
  if (x.size() != coordinate_bytes || y.size() != coordinate_bytes) {
    return Failure{"a point on P-256 has two coordinates of 32 bytes"};
  }
  const std::string point = std::string{"\x04"}.append(x).append(y);
  const BuilderOwner builder{OSSL_PARAM_BLD_new()};
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) !=
          1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return Failure{"the key on P-256 cannot be read"};
  }
  return adopt(key_from("EC", builder.get()));
}

Result<PublicKey, Failure> PublicKey::from_ed25519(std::string_view x) {
  const ErrorQueueGuard guard;
  if (x.size() != coordinate_bytes) {
    return Failure{"a key of Ed25519 has 32 bytes"};
  }
  return adopt(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, as_unsigned(x), x.size()));
}

bool PublicKey::verify(std::string_view message, std::string_view signature) const {
  const ErrorQueueGuard guard;
  std::string der;
  if (algorithm_ == SignatureAlgorithm::es256) {
    der = der_signature(signature);
    signature = der;
  }
  const DigestOwner context{EVP_MD_CTX_new()};
  const EVP_MD* digest = algorithm_ == SignatureAlgorithm::eddsa ? nullptr : EVP_sha256();
  return handle_ && context && !signature.empty() &&
         EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, handle_.get()) == 1 &&
         EVP_DigestVerify(context.get(), as_unsigned(signature), signature.size(),
                          as_unsigned(message), message.size()) == 1;
}

}  // namespace skerry::crypto
