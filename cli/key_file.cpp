// Keys of devices as files.
#include "cli/key_file.hpp"

#include <algorithm>

#include "cli/failure.hpp"
#include "cli/file.hpp"
#include "crypto/certificate.hpp"
#include "crypto/encoding.hpp"
#include "crypto/hash.hpp"

namespace skerry::cli {
namespace {

constexpr std::size_t public_key_bytes_max = 4096;

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

std::string fingerprint_of_pem(std::string_view pem, const std::string& path) {
  if (pem.find("PRIVATE KEY-----") != std::string_view::npos) {
    const auto key = crypto::PrivateKey::from_pem(pem);
    if (!key) {
      throw Failure("the private key in " + path +
                    " cannot be used: " + std::string{key.error().what});
    }
    return key->fingerprint();
  }
  if (pem.find("BEGIN PUBLIC KEY") != std::string_view::npos) {
    const auto der = crypto::pem_decode("PUBLIC KEY", pem, public_key_bytes_max);
    if (!der) {
      throw Failure("the public key in " + path + " cannot be read");
    }
    if (const std::string_view why = crypto::check_public_key(*der); !why.empty()) {
      throw Failure("the public key in " + path + " cannot be used: " + std::string{why});
    }
    return crypto::sha256_hex(*der);
  }
  if (pem.find("BEGIN CERTIFICATE-----") != std::string_view::npos) {
    const auto certificate = crypto::Certificate::from_pem(pem);
    if (!certificate) {
      throw Failure("the certificate in " + path +
                    " cannot be read: " + std::string{certificate.error().what});
    }
    const auto fields = certificate->fields();
    if (!fields) {
      throw Failure("the certificate in " + path +
                    " cannot be read: " + std::string{fields.error().what});
    }
    return fields->fingerprint;
  }
  throw Failure(path + " holds no private key, public key or certificate in PEM form");
}

std::string normal_fingerprint(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c == ':') {
      continue;
    }
    const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (!is_hex) {
      digits.clear();
      break;
    }
    digits += c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
  }
  if (digits.size() != 64) {
    throw Failure("a fingerprint is 64 hexadecimal digits: the SHA-256 of the public key",
                  exit_usage);
  }
  return digits;
}

crypto::PrivateKey read_private_key(const std::string& path) {
  auto key = crypto::PrivateKey::from_pem(read_file(path, "the key file"));
  if (!key) {
    throw Failure("the private key in " + path +
                  " cannot be used: " + std::string{key.error().what});
  }
  return *std::move(key);
}

crypto::PrivateKey generate_key_file(const std::string& path) {
  auto key = crypto::PrivateKey::generate();
  if (!key) {
    throw Failure("cannot make a key: " + std::string{key.error().what});
  }
  create_private_file(path, key->pem());
  return *std::move(key);
}

void check_device_id(const std::string& id) {
  const bool good = !id.empty() && id.size() <= 64 && is_letter_or_digit(id.front()) &&
                    std::all_of(id.begin(), id.end(), [](char c) {
                      return is_letter_or_digit(c) || c == '.' || c == '_' || c == '~' || c == '-';
                    });
  if (!good) {
    throw Failure("\"" + id +
                      "\" is no device id: letters, digits and . _ ~ -, at most 64, the "
                      "first a letter or digit",
                  exit_usage);
  }
}

}  // namespace skerry::cli
