#include "twin/cbor_reader.hpp"

#include <cbor.h>

namespace skerry::twin {
namespace {

CborItem& item_of(void* context) noexcept {
  return *static_cast<CborItem*>(context);
}

template <CborKind kind, typename Number>
void on_number(void* context, Number number) {
  item_of(context).kind = kind;
  item_of(context).number = number;
}

template <CborKind kind>
void on_string(void* context, cbor_data bytes, std::size_t size) {
  item_of(context).kind = kind;
  item_of(context).text = {reinterpret_cast<const char*>(bytes), size};
}

template <CborKind kind>
void on_indefinite(void* context) {
  item_of(context).kind = kind;
  item_of(context).indefinite = true;
}

template <CborKind kind>
void on_simple(void* context) {
  item_of(context).kind = kind;
}

template <typename Real>
void on_real(void* context, Real real) {
  item_of(context).kind = CborKind::real;
  item_of(context).real = static_cast<double>(real);
}

constexpr cbor_callbacks callbacks{
    .uint8 = &on_number<CborKind::unsigned_integer, std::uint8_t>,
    .uint16 = &on_number<CborKind::unsigned_integer, std::uint16_t>,
    .uint32 = &on_number<CborKind::unsigned_integer, std::uint32_t>,
    .uint64 = &on_number<CborKind::unsigned_integer, std::uint64_t>,
    .negint64 = &on_number<CborKind::negative_integer, std::uint64_t>,
    .negint32 = &on_number<CborKind::negative_integer, std::uint32_t>,
    .negint16 = &on_number<CborKind::negative_integer, std::uint16_t>,
    .negint8 = &on_number<CborKind::negative_integer, std::uint8_t>,
    .byte_string_start = &on_indefinite<CborKind::bytes>,
    .byte_string = &on_string<CborKind::bytes>,
    .string = &on_string<CborKind::text>,
    .string_start = &on_indefinite<CborKind::text>,
    .indef_array_start = &on_indefinite<CborKind::array>,
    .array_start = &on_number<CborKind::array, std::size_t>,
    .indef_map_start = &on_indefinite<CborKind::map>,
    .map_start = &on_number<CborKind::map, std::size_t>,
    .tag = &on_number<CborKind::tag, std::uint64_t>,
    .float2 = &on_real<float>,
    .float4 = &on_real<float>,
    .float8 = &on_real<double>,
    .undefined = &on_simple<CborKind::null>,
    .null = &on_simple<CborKind::null>,
    .boolean = &on_number<CborKind::boolean, bool>,
    .indef_break = &on_simple<CborKind::stop>,
};

}  // namespace

std::optional<CborItem> CborReader::next() noexcept {
  if (rest_.empty()) {
    return std::nullopt;
  }
  CborItem item;
  const cbor_decoder_result result =
      cbor_stream_decode(rest_.data(), rest_.size(), &callbacks, &item);
  if (result.status != CBOR_DECODER_FINISHED || result.read == 0 || result.read > rest_.size()) {
    return std::nullopt;
  }
  rest_ = rest_.subspan(result.read);
  return item;
}

}  // namespace skerry::twin
