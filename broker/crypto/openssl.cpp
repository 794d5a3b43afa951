#include "crypto/openssl.hpp"

#include <openssl/err.h>

#include <ctime>

#include "crypto/hash.hpp"

namespace skerry::crypto {

BioOwner reader_of(std::string_view text) {
  return BioOwner{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

BioOwner make_writer() {
  return BioOwner{BIO_new(BIO_s_mem())};
}

std::string text_of(BIO* writer) {
  const char* data = nullptr;
  const long size = BIO_get_mem_data(writer, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string{};
}

std::string hex_of(const ASN1_INTEGER* number) {
  const BignumOwner value{ASN1_INTEGER_to_BN(number, nullptr)};
  if (!value || BN_is_zero(value.get())) {
    return "00";
  }
  std::string bytes(static_cast<std::size_t>(BN_num_bytes(value.get())), '\0');
  BN_bn2bin(value.get(), reinterpret_cast<unsigned char*>(bytes.data()));
  return (BN_is_negative(value.get()) != 0 ? "-" : "") + to_hex(bytes);
}

bool wall_of(const ASN1_TIME* time, WallTime& out) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    return false;
  }
  out = WallTime{std::chrono::seconds{timegm(&parts)}};
  return true;
}

bool set_time(ASN1_TIME* field, WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return ASN1_TIME_set(field, seconds.time_since_epoch().count()) != nullptr;
}

std::string name_entry(const X509_NAME* name, int nid) {
  const int index = X509_NAME_get_index_by_NID(name, nid, -1);
  if (index < 0 || X509_NAME_get_index_by_NID(name, nid, index) >= 0) {
    return {};
  }
  const ASN1_STRING* data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index));
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, data);
  if (size < 0) {
    return {};
  }
  std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  return text.find('\0') == std::string::npos ? text : std::string{};
}

const EVP_MD* signing_digest(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) {
    return nullptr;
  }
  return EVP_PKEY_get_bits(key) == 384 ? EVP_sha384() : EVP_sha256();
}

ErrorQueueGuard::~ErrorQueueGuard() {
  ERR_clear_error();
}

}  // namespace skerry::crypto
