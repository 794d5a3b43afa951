// Requests as an attacker would make them: any key, any subject, any extensions, signed or not.
#pragma once

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace skerry::test {

using Key = std::shared_ptr<EVP_PKEY>;

inline Key elliptic_key(const char* curve) {
  return {EVP_EC_gen(curve), EVP_PKEY_free};
}
inline Key rsa_key(unsigned bits) {
  return {EVP_RSA_gen(bits), EVP_PKEY_free};
}
inline Key ed25519_key() {
  return {EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free};
}

inline std::string spki_of(const Key& key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key.get(), &der);
  std::string text(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return text;
}

struct Extension {
  int nid;
  const char* value;
};

struct RequestRecipe {
  Key key;
  Key signer;                            ///< null: `key`
  std::string common_name = "anything";  ///< empty: an empty subject
  std::string organization;
  std::vector<Extension> extensions;
  const EVP_MD* digest = EVP_sha256();  ///< null for Ed25519
};

inline std::string make_der(const RequestRecipe& recipe) {
  X509_REQ* request = X509_REQ_new();
  for (const auto& [name, text] :
       {std::pair{"CN", &recipe.common_name}, {"O", &recipe.organization}}) {
    if (!text->empty()) {
      X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), name, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(text->c_str()), -1, -1, 0);
    }
  }
  X509_REQ_set_pubkey(request, recipe.key.get());
  STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
  for (const Extension& extension : recipe.extensions) {
    sk_X509_EXTENSION_push(extensions,
                           X509V3_EXT_conf_nid(nullptr, nullptr, extension.nid, extension.value));
  }
  if (!recipe.extensions.empty()) {
    X509_REQ_add_extensions(request, extensions);
  }
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  EVP_PKEY* signer = recipe.signer ? recipe.signer.get() : recipe.key.get();
  X509_REQ_sign(request, signer, recipe.digest);
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request, &der);
  std::string text(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  X509_REQ_free(request);
  return text;
}

}  // namespace skerry::test
