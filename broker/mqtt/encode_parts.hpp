// One encoder per packet; encode() in encode.cpp calls the right one. Internal to this folder.
#pragma once

#include <string>

#include "mqtt/packet.hpp"

namespace skerry::mqtt {

void encode_part(const Connect& packet, Version version, std::string& out);
void encode_part(const Connack& packet, Version version, std::string& out);
void encode_part(const Publish& packet, Version version, std::string& out);
void encode_part(const Subscribe& packet, Version version, std::string& out);
void encode_part(const Suback& packet, Version version, std::string& out);
void encode_part(const Unsubscribe& packet, Version version, std::string& out);
void encode_part(const Unsuback& packet, Version version, std::string& out);

}  // namespace skerry::mqtt
