// Every cap of the agent. What a device's programs, its disk or its gateway can make grow has one
// here, a policy where it is applied, and a counter.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace skerry::agent {

/// The spool: bytes of one record, of one segment file, records and bytes of one batch.
inline constexpr std::size_t record_bytes_max = 32 * 1024;
inline constexpr std::size_t segment_bytes_max = 1024 * 1024;
inline constexpr std::size_t segment_bytes_min = 64 * 1024;
inline constexpr std::size_t segments_per_spool = 16;  ///< how finely a full spool is cut
inline constexpr std::size_t batch_records_max = 100;
inline constexpr std::size_t batch_bytes_max = 64 * 1024;
/// Values in all rows of a batch: the gateway takes 1024 in one message.
inline constexpr std::size_t batch_values_max = 1000;

/// A clock before this has never been set. Ages and times of its records come from the time since
/// boot.
inline constexpr std::int64_t plausible_wall_milliseconds = 1'704'067'200'000;  // 2024-01-01

/// The local socket: bytes of a line, connections, values of one line, bytes of a key, of a string
/// value, of an alarm's name, of its text.
inline constexpr std::size_t line_bytes_max = 16 * 1024;
inline constexpr std::size_t local_connections_max = 32;
inline constexpr std::size_t line_values_max = 64;
inline constexpr std::size_t key_bytes_max = 128;
inline constexpr std::size_t value_bytes_max = 1024;
inline constexpr std::size_t alarm_name_bytes_max = 64;
inline constexpr std::size_t alarm_text_bytes_max = 4096;
inline constexpr std::size_t line_depth_max = 8;

/// Collectors: bytes of one file below /proc and /sys, how many disks, interfaces, sensors and
/// services are told.
inline constexpr std::size_t proc_file_bytes_max = 256 * 1024;
inline constexpr std::size_t disks_max = 16;
inline constexpr std::size_t interfaces_max = 16;
inline constexpr std::size_t sensors_max = 32;
inline constexpr std::size_t services_max = 32;

/// Enrolment: bytes of an answer, and how long one exchange may take from name look-up to the end.
inline constexpr std::size_t enrolment_answer_bytes_max = 256 * 1024;
inline constexpr std::chrono::seconds enrolment_patience{60};
/// The longest wait that a gateway may ask for.
inline constexpr std::chrono::hours retry_after_max{24};

/// Configuration, token, certificates: bytes of one file.
inline constexpr std::size_t file_bytes_max = 256 * 1024;

}  // namespace skerry::agent
