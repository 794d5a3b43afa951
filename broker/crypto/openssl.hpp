// What the .cpp files of this folder share: owners for the library's handles and conversions
// between its types and ours. Not for other folders: everything else here hides the library.
#pragma once

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/now.hpp"

namespace skerry::crypto {

/// Frees a handle by the library's own function: Owner<BIO, BIO_free_all>.
template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* handle) const noexcept {
    Free(handle);
  }
};

template <typename T, auto Free>
using Owner = std::unique_ptr<T, Freer<Free>>;

using BioOwner = Owner<BIO, BIO_free_all>;
using BignumOwner = Owner<BIGNUM, BN_free>;

inline const unsigned char* as_unsigned(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// A BIO that reads `text`, which must outlive it. `text` is below 2 GiB.
BioOwner reader_of(std::string_view text);
/// A BIO that gathers what is written; see text_of().
BioOwner make_writer();
std::string text_of(BIO* writer);

/// DER of `object` by its i2d function; empty when it cannot be encoded.
template <typename T, typename Encode>
std::string der_of(T* object, Encode encode) {
  const int size = encode(object, nullptr);
  if (size <= 0) {
    return {};
  }
  std::string der(static_cast<std::size_t>(size), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  encode(object, &out);
  return der;
}

/// Lower-case hex of a number; "00" for zero.
std::string hex_of(const ASN1_INTEGER* number);
/// False when the time is not one that can be read.
bool wall_of(const ASN1_TIME* time, WallTime& out);

/// The only entry of this kind in a name as UTF-8; empty when absent, repeated or with a NUL in it.
std::string name_entry(const X509_NAME* name, int nid);

/// Sets a time rounded down to seconds.
bool set_time(ASN1_TIME* field, WallTime time);

/// The digest to sign with by this key; null for keys that bring their own (Ed25519).
const EVP_MD* signing_digest(const EVP_PKEY* key);

/// Empties the thread's queue of library errors, which would otherwise confuse TLS on this thread.
struct ErrorQueueGuard {
  ErrorQueueGuard() = default;
  ~ErrorQueueGuard();
  ErrorQueueGuard(const ErrorQueueGuard&) = delete;
  ErrorQueueGuard& operator=(const ErrorQueueGuard&) = delete;
};

}  // namespace skerry::crypto
