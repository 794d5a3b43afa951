/* The peer by MQTTAsync, the library's asynchronous half: each request waits for its callback. */
#define _GNU_SOURCE
#include <MQTTAsync.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peer.h"

static MQTTAsync client;
static int is_five;
static sem_t finished;
static int result;

static void finish(int code) {
  if (code < 0) {
    result = code;
  }
  sem_post(&finished);
}

static int await(int count) {
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += PEER_TIMEOUT_MS / 1000;
  for (int i = 0; i < count;) {
    if (sem_timedwait(&finished, &end) == 0) {
      ++i;
    } else if (errno != EINTR) {
      return -2000;
    }
  }
  return result;
}

static void connected4(void* context, MQTTAsync_successData* data) {
  (void)context;
  result = data->alt.connect.sessionPresent;
  finish(0);
}

static void connected5(void* context, MQTTAsync_successData5* data) {
  (void)context;
  result = data->alt.connect.sessionPresent;
  finish(0);
}

static void subscribed4(void* context, MQTTAsync_successData* data) {
  (void)context;
  result = data->alt.qos;
  finish(0);
}

static void subscribed5(void* context, MQTTAsync_successData5* data) {
  (void)context;
  result = (int)data->reasonCode;
  finish(0);
}

static void done4(void* context, MQTTAsync_successData* data) {
  (void)context;
  (void)data;
  finish(0);
}

static void done5(void* context, MQTTAsync_successData5* data) {
  (void)context;
  (void)data;
  finish(0);
}

static void failed4(void* context, MQTTAsync_failureData* data) {
  (void)context;
  finish(-1000 - abs(data ? data->code : 0));
}

static void failed5(void* context, MQTTAsync_failureData5* data) {
  (void)context;
  finish(-1000 - abs(data ? (int)data->reasonCode : 0));
}

static int arrived(void* context, char* topic, int topic_size, MQTTAsync_message* message) {
  (void)context;
  (void)topic_size;
  struct peer_message seen = {0};
  seen.topic = topic;
  seen.payload = message->payload;
  seen.size = (size_t)message->payloadlen;
  seen.qos = message->qos;
  seen.retained = message->retained;
  char* response_topic = NULL;
  MQTTProperty* property =
      MQTTProperties_getProperty(&message->properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC);
  if (property) {
    response_topic = strndup(property->value.data.data, (size_t)property->value.data.len);
    seen.response_topic = response_topic;
  }
  property = MQTTProperties_getProperty(&message->properties, MQTTPROPERTY_CODE_CORRELATION_DATA);
  if (property) {
    seen.correlation = property->value.data.data;
    seen.correlation_size = (size_t)property->value.data.len;
  }
  peer_arrived(&seen);
  free(response_topic);
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  return 1;
}

static int start_connecting(MQTTAsync_connectOptions* options, int clean) {
  options->keepAliveInterval = 60;
  options->connectTimeout = PEER_TIMEOUT_MS / 1000;
  options->maxInflight = PEER_INFLIGHT_MAX;
  MQTTProperties properties = MQTTProperties_initializer;
  if (is_five) {
    MQTTProperty expiry = {0};
    expiry.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL;
    expiry.value.integer4 = clean ? 0 : 3600;
    MQTTProperties_add(&properties, &expiry);
    options->cleanstart = clean;
    options->connectProperties = &properties;
    options->onSuccess5 = connected5;
    options->onFailure5 = failed5;
  } else {
    options->cleansession = clean;
    options->onSuccess = connected4;
    options->onFailure = failed4;
  }
  result = 0;
  const int code = MQTTAsync_connect(client, options);
  const int outcome = code == MQTTASYNC_SUCCESS ? await(1) : -1000 - abs(code);
  MQTTProperties_free(&properties);
  return outcome;
}

int peer_connect(const struct peer_target* target, const char* client_id, int clean,
                 const struct peer_message* will) {
  is_five = target->version == 5;
  sem_init(&finished, 0, 0);
  MQTTAsync_createOptions creation = MQTTAsync_createOptions_initializer5;
  creation.MQTTVersion = is_five ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
  creation.maxBufferedMessages = PEER_INFLIGHT_MAX;
  int code = MQTTAsync_createWithOptions(&client, target->uri, client_id,
                                         MQTTCLIENT_PERSISTENCE_NONE, NULL, &creation);
  if (code != MQTTASYNC_SUCCESS) {
    return -1000 - abs(code);
  }
  MQTTAsync_setCallbacks(client, NULL, NULL, arrived, NULL);
  MQTTAsync_connectOptions four = MQTTAsync_connectOptions_initializer;
  MQTTAsync_connectOptions five = MQTTAsync_connectOptions_initializer5;
  MQTTAsync_connectOptions* options = is_five ? &five : &four;
  options->MQTTVersion = creation.MQTTVersion;
  MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
  if (target->authority) {
    tls.trustStore = target->authority;
    tls.keyStore = target->certificate;
    tls.privateKey = target->key;
    tls.verify = 1;
    options->ssl = &tls;
  }
  MQTTAsync_willOptions last = MQTTAsync_willOptions_initializer;
  if (will) {
    last.topicName = will->topic;
    last.payload.data = will->payload;
    last.payload.len = (int)will->size;
    last.qos = will->qos;
    last.retained = will->retained;
    options->will = &last;
  }
  return start_connecting(options, clean);
}

int peer_subscribe(const char* filter, int qos) {
  MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
  if (is_five) {
    options.onSuccess5 = subscribed5;
    options.onFailure5 = failed5;
  } else {
    options.onSuccess = subscribed4;
    options.onFailure = failed4;
  }
  result = 0;
  const int code = MQTTAsync_subscribe(client, filter, qos, &options);
  return code == MQTTASYNC_SUCCESS ? await(1) : -1000 - abs(code);
}

static void add(MQTTProperties* properties, enum MQTTPropertyCodes code, const void* data,
                size_t size) {
  MQTTProperty property = {0};
  property.identifier = code;
  property.value.data.data = (char*)data;
  property.value.data.len = (int)size;
  MQTTProperties_add(properties, &property);
}

int peer_publish(const struct peer_message* message, int count) {
  MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
  if (is_five) {
    options.onSuccess5 = done5;
    options.onFailure5 = failed5;
  } else {
    options.onSuccess = done4;
    options.onFailure = failed4;
  }
  MQTTAsync_message sent = MQTTAsync_message_initializer;
  sent.payload = (void*)message->payload;
  sent.payloadlen = (int)message->size;
  sent.qos = message->qos;
  sent.retained = message->retained;
  if (message->response_topic) {
    add(&sent.properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC, message->response_topic,
        strlen(message->response_topic));
    add(&sent.properties, MQTTPROPERTY_CODE_CORRELATION_DATA, message->correlation,
        message->correlation_size);
  }
  result = 0;
  int code = MQTTASYNC_SUCCESS;
  int sent_count = 0;
  for (; sent_count < count && code == MQTTASYNC_SUCCESS; ++sent_count) {
    char number[16];
    if (count > 1) {
      sent.payloadlen = snprintf(number, sizeof number, "%d", sent_count);
      sent.payload = number;
    }
    code = MQTTAsync_sendMessage(client, message->topic, &sent, &options);
  }
  MQTTProperties_free(&sent.properties);
  return code == MQTTASYNC_SUCCESS ? await(sent_count) : -1000 - abs(code);
}

int peer_disconnect(void) {
  MQTTAsync_disconnectOptions four = MQTTAsync_disconnectOptions_initializer;
  MQTTAsync_disconnectOptions five = MQTTAsync_disconnectOptions_initializer5;
  four.onSuccess = done4;
  four.onFailure = failed4;
  five.onSuccess5 = done5;
  five.onFailure5 = failed5;
  result = 0;
  const int code = MQTTAsync_disconnect(client, is_five ? &five : &four);
  const int outcome = code == MQTTASYNC_SUCCESS ? await(1) : -1000 - abs(code);
  MQTTAsync_destroy(&client);
  return outcome;
}
