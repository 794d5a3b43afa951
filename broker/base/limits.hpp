// Every cap in one file. What an operator may change is a field of Limits with its default; what is
// fixed by a specification or by our own layout is a constant. Whoever grows a container or loops
// over input names its cap here.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace skerry {

/// Fixed by MQTT: the largest Remaining Length, 268,435,455 [MQTT-1.5.5].
inline constexpr std::uint32_t remaining_length_max = 268'435'455;

/// Levels in a topic name or filter; more are refused, so that no trie can be made deep on purpose.
inline constexpr std::size_t topic_levels_max = 128;

/// User properties in one packet.
inline constexpr std::size_t user_properties_max = 256;

/// Filters in one SUBSCRIBE or UNSUBSCRIBE.
inline constexpr std::size_t filters_per_packet_max = 1024;

/// Bytes of all filters of one session: their number alone would allow 65 MB of them.
inline constexpr std::size_t filter_bytes_per_session_max = 1024 * 1024;

/// Bytes of a packet before a connection is authenticated: a CONNECT with will and password fits.
inline constexpr std::size_t connect_packet_bytes_max = 128 * 1024;

/// Bytes that one connection may have read in one turn before others get theirs.
inline constexpr std::size_t read_budget_bytes = 256 * 1024;

/// Telemetry: bytes of one message, samples in it, levels of nested objects, bytes of a flattened
/// key and of a string value. A message over one of them is rejected whole.
inline constexpr std::size_t telemetry_payload_bytes_max = 256 * 1024;
inline constexpr std::size_t telemetry_samples_max = 1024;
inline constexpr std::size_t telemetry_depth_max = 8;
inline constexpr std::size_t telemetry_key_bytes_max = 128;
inline constexpr std::size_t telemetry_string_bytes_max = 4096;
inline constexpr std::size_t telemetry_unit_bytes_max = 64;

/// Records of one SenML pack, those with base fields alone among them.
inline constexpr std::size_t senml_records_max = 1024;

/// Bytes of what one live event tells; the rest of a large message is only counted in it.
inline constexpr std::size_t event_bytes_max = 16 * 1024;

/// The live stream: events and bytes that wait for listeners (the oldest give way and are counted
/// as lost), and listeners at the same time (more get 503).
inline constexpr std::size_t event_ring_events_max = 8192;
inline constexpr std::size_t event_ring_bytes_max = 16 * 1024 * 1024;
inline constexpr std::size_t event_listeners_max = 64;

/// Telemetry queries: keys that one may name, samples, bytes of values and series visited in one
/// page; a page that ends early carries a cursor.
inline constexpr std::size_t series_query_keys_max = 100;
inline constexpr std::size_t series_page_samples_max = 10'000;
inline constexpr std::size_t series_page_bytes_max = 4 * 1024 * 1024;
inline constexpr std::size_t series_page_visits_max = 10'000;

/// Buckets of one series that a query may ask to be filled; cells (group, key, bucket) that a query
/// over groups of devices may hold in memory; devices that a query may name one by one.
inline constexpr std::int64_t series_buckets_max = 1'000'000;
inline constexpr std::size_t group_cells_max = 200'000;
inline constexpr std::size_t query_devices_max = 1'000;

/// Rules of the configuration for series.
inline constexpr std::size_t series_rules_max = 1'000;

/// Devices in one question for their newest values, and the longest bucket of an aggregate.
inline constexpr std::size_t fleet_latest_devices_max = 10'000;
inline constexpr std::int64_t series_step_max = 366LL * 24 * 3600 * 1000;

/// A filter: bytes of its text, values that are compared, levels of brackets and NOTs.
inline constexpr std::size_t filter_bytes_max = 4096;
inline constexpr std::size_t filter_terms_max = 64;
inline constexpr std::size_t filter_depth_max = 16;

/// Devices in the registry.
inline constexpr std::size_t devices_max = 1'000'000;

/// Keys that one device may be known by at the same time.
inline constexpr std::size_t keys_per_device_max = 8;

/// Certificates per key that are good at the same time; the oldest give way.
inline constexpr std::size_t certificates_per_key_max = 16;

/// Good certificates of a key up to which its signature under a request suffices for another; then
/// the key must be proven in the TLS handshake, so that a replayed request makes none give way.
inline constexpr std::size_t unproven_certificates_per_key_max = 4;

/// What may be written down of a device: bytes of its name, model and serial number (each), tags
/// and attributes with their bytes. More is refused with the field.
inline constexpr std::size_t device_text_bytes_max = 128;
inline constexpr std::size_t tags_per_device_max = 64;
inline constexpr std::size_t tag_bytes_max = 64;
inline constexpr std::size_t attributes_per_device_max = 64;
inline constexpr std::size_t attribute_name_bytes_max = 64;
inline constexpr std::size_t attribute_value_bytes_max = 256;

/// Unknown devices that wait for a human at the same time, in all and from one address; more are
/// refused and counted. Who has waited for pending_life is dropped; a rejection is remembered as
/// long, the oldest give way. Of what they say of themselves enrolment_text_bytes_max are kept.
inline constexpr std::size_t pending_devices_max = 1000;
inline constexpr std::size_t pending_per_address_max = 32;
inline constexpr std::size_t rejected_keys_max = 1000;
inline constexpr std::chrono::hours pending_life{7 * 24};
inline constexpr std::size_t enrolment_text_bytes_max = 256;

/// Import of devices: bytes of a line, lines and bytes of a file, errors that are reported one by
/// one, and devices that join one commit. A line too long is an error of that line; behind the
/// other two the import stops and says so.
inline constexpr std::size_t import_line_bytes_max = 64 * 1024;
inline constexpr std::size_t import_lines_max = 250'000;
inline constexpr std::size_t import_bytes_max = 256 * 1024 * 1024;
inline constexpr std::size_t import_errors_max = 10'000;
inline constexpr std::size_t import_batch_devices = 256;

/// Presence messages that wait to be published; beyond it a device's newer one replaces the older.
inline constexpr std::size_t presence_pending_max = 100'000;

/// Bytes of an enrolment request.
inline constexpr std::size_t enrolment_bytes_max = 64 * 1024;

/// Audit: bytes of actor, action, outcome and address, of the object (a topic fits mostly), and of
/// the detail; longer ones are cut.
inline constexpr std::size_t audit_name_bytes_max = 256;
inline constexpr std::size_t audit_object_bytes_max = 1024;
inline constexpr std::size_t audit_detail_bytes_max = 4096;

/// Audit: records that are looked at for one page; a page that ends early carries a cursor.
inline constexpr std::size_t audit_visits_max = 20'000;

/// Audit of refusals: pairs of actor and rule that are told apart at a time; what is above is
/// summed up in one record. Within a window the first refusal of a pair is recorded, the others
/// counted.
inline constexpr std::size_t audit_refusals_told_apart_max = 4096;
inline constexpr std::chrono::seconds audit_refusal_window{60};
/// First refusals recorded at once: this many, then so many a second; more wait for their window.
inline constexpr double audit_refusals_burst = 256;
inline constexpr double audit_refusals_each_second = 32;

/// Bytes of a certificate request over MQTT; longer ones are rejected.
inline constexpr std::size_t renewal_payload_bytes_max = 16 * 1024;

/// Enrolment tokens, back-end services, and certificates of one service that are good at the same
/// time; more are refused. Expired ones do not count.
inline constexpr std::size_t enrolment_tokens_max = 10'000;
inline constexpr std::uint32_t enrolment_token_uses_max = 100'000;
inline constexpr std::size_t services_max = 1'000;
inline constexpr std::size_t certificates_per_service_max = 64;

/// Named policies: how many, rules in one, topics in one rule, values in a condition.
inline constexpr std::size_t policies_max = 1000;
inline constexpr std::size_t policy_rules_max = 256;
inline constexpr std::size_t policy_topics_max = 64;
inline constexpr std::size_t policy_values_max = 64;
/// Bytes of a policy's name, of a rule's, of a topic in a rule, and files of policies.
inline constexpr std::size_t policy_name_bytes_max = 64;
inline constexpr std::size_t policy_topic_bytes_max = 1024;
inline constexpr std::size_t policy_files_max = 256;

/// Tokens of services (RFC 7519): bytes of one, levels of its JSON, issuers, keys of one issuer.
inline constexpr std::size_t jwt_bytes_max = 16 * 1024;
inline constexpr std::size_t jwt_depth_max = 8;
inline constexpr std::size_t jwt_issuers_max = 32;
inline constexpr std::size_t jwt_keys_max = 32;

/// Passwords of services that are being hashed or wait for it; more are told to come again.
inline constexpr std::size_t password_checks_max = 256;
/// How long a password that was right is known without hashing it again.
inline constexpr std::chrono::minutes password_cache_life{10};
/// Services that may have a password.
inline constexpr std::size_t service_passwords_max = 10'000;

/// Scopes of one API token.
inline constexpr std::size_t token_scopes_max = 64;

/// Reads of queued messages that one core has under way at a time; other sessions wait their turn.
inline constexpr std::size_t reads_per_core_max = 16;

/// Bytes of the topics behind the aliases of one connection, each way: their number alone would
/// allow 2 MB of them. And aliases that we set, whatever a client would take.
inline constexpr std::size_t alias_bytes_per_connection_max = 64 * 1024;
inline constexpr std::uint16_t outbound_aliases_max = 1024;

/// What one connection's output, one queue in memory and one incomplete packet may have however
/// short memory is.
inline constexpr std::size_t output_bytes_least = 16 * 1024;
inline constexpr std::size_t queue_bytes_least = 64 * 1024;
inline constexpr std::size_t input_bytes_least = 64 * 1024;

/// Under pressure, connections that hold more than the least and have taken nothing for so long are
/// ended, the largest first, so many of each core at a time.
inline constexpr std::chrono::seconds slow_consumer_patience{5};
inline constexpr std::chrono::seconds slow_consumer_interval{1};
inline constexpr std::size_t slow_consumers_ended_max = 16;

/// Networks (see address_bits_v4) and owners whose rates are known at a time; when all of them are
/// needed, new ones share one.
inline constexpr std::size_t rate_table_entries_max = 65'536;

/// What happens to a client that sends more than it may: it is not read for as long as it has been
/// too fast (its keep-alive is excused), or it hears DISCONNECT 0x96.
enum class RatePolicy : std::uint8_t { hold, disconnect };

/// What one client may send; 0: any amount. It may be ahead by what two seconds allow.
struct RateLimits {
  std::uint32_t messages_per_second = 0;
  std::size_t bytes_per_second = 0;
  RatePolicy policy = RatePolicy::hold;
};

/// What an operator may set under `limits:` in the configuration.
struct Limits {
  std::size_t memory = 0;  ///< bytes of the whole process; 0: a share of what there is
  std::uint32_t packet_size_max = 2 * 1024 * 1024;       ///< bytes, both directions
  std::uint16_t receive_maximum = 1024;                  ///< QoS 1 and 2 a client may have open
  std::uint16_t inflight_max = 1024;                     ///< the same towards clients
  std::uint16_t topic_alias_max = 32;                    ///< aliases a client may set
  std::uint32_t session_expiry_max_seconds = 7 * 86400;  ///< longer wishes are cut to this
  std::uint16_t keep_alive_max_seconds = 0;              ///< 0: no server keep alive is imposed
  std::uint32_t session_queue_messages_max = 10'000;     ///< QoS 1 and 2 waiting for one client
  std::size_t session_queue_bytes_max = 64 * 1024 * 1024;
  std::size_t output_bytes_max = 4 * 1024 * 1024;  ///< unsent bytes of one connection
  std::uint32_t subscriptions_per_session_max = 1'000;
  std::uint32_t subscriptions_max = 10'000'000;    ///< of all sessions
  std::size_t will_bytes_max = 256 * 1024 * 1024;  ///< of all wills
  std::uint32_t sessions_max = 1'000'000;          ///< over all cores
  std::uint32_t connections_max = 0;               ///< 0: what file descriptors allow
  std::uint32_t retained_messages_max = 1'000'000;
  std::size_t retained_bytes_max = 1024ull * 1024 * 1024;
  std::uint32_t group_queue_messages_max = 100'000;       ///< waiting for an offline shared group
  std::size_t mailbox_bytes_max = 64 * 1024 * 1024;       ///< in flight from one core to another
  std::size_t commit_queue_bytes_max = 64 * 1024 * 1024;  ///< handed over and not yet stored
  std::chrono::milliseconds connect_timeout{10'000};      ///< accept to CONNECT, TLS included
  std::uint32_t accepts_per_turn = 64;                    ///< new sockets of one core in one turn
  // Doors: what is over the first two waits in the kernel; over the others it is reset, unread.
  std::uint32_t accepts_per_second = 4'000;     ///< over all cores; 0: any number
  std::uint32_t http_accepts_per_second = 200;  ///< of each port of REST, EST and metrics; 0: any
  std::uint32_t address_accepts_per_second = 500;  ///< from one address; 0: any number
  std::uint32_t address_accepts_burst = 10'000;    ///< which may come at once: a fleet behind NAT
  std::uint32_t address_connections_max = 0;       ///< open from one address; 0: any number
  std::uint8_t address_bits_v4 = 32;               ///< what counts as one address
  std::uint8_t address_bits_v6 = 64;
  std::uint32_t unattached_max = 16'384;     ///< connections that no CONNECT has let in yet
  std::uint32_t handshakes_max = 2'048;      ///< TLS handshakes begun and not ended
  std::uint32_t handshake_cpu_percent = 60;  ///< of each core's time
  std::chrono::milliseconds handshake_wait_max{30'000};  ///< for our processor, before TLS begins
  std::uint32_t connects_per_minute = 0;                 ///< of one owner; 0: any number
  RateLimits rates;                                      ///< of one client
};

}  // namespace skerry
