/* What peer.c wants of a client library: sync.c has it by MQTTClient, async.c by MQTTAsync. A
 * process is one client with at most one connection. */
#ifndef SKERRY_TESTS_PEER_H
#define SKERRY_TESTS_PEER_H

#include <stddef.h>

#define PEER_TIMEOUT_MS 60000
#define PEER_INFLIGHT_MAX 1000

struct peer_target {
  const char* uri; /* tcp://… or ssl://… */
  int version;     /* 4 or 5, as MQTT counts */
  const char* authority;
  const char* certificate;
  const char* key; /* the three files are NULL without TLS */
};

struct peer_message {
  const char* topic;
  const void* payload;
  size_t size;
  int qos;
  int retained;
  const char* response_topic; /* NULL: none */
  const void* correlation;
  size_t correlation_size;
};

#define PEER_SESSION_UNKNOWN 2

/* 1 or 0: the server had a session or not, or PEER_SESSION_UNKNOWN; negative: the library's error.
 * `will` may be NULL. */
int peer_connect(const struct peer_target* target, const char* client_id, int clean,
                 const struct peer_message* will);
/* The granted QoS or the refusal (128 and more); negative: the library's error. */
int peer_subscribe(const char* filter, int qos);
/* 0 when all `count` copies are acknowledged; with count > 1 the payload is the copy's number. */
int peer_publish(const struct peer_message* message, int count);
int peer_disconnect(void);

/* To be called for each message that arrives, on any thread. */
void peer_arrived(const struct peer_message* message);

#endif
