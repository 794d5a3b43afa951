/* The peer by MQTTClient, the library's synchronous half. */
#define _GNU_SOURCE
#include <MQTTClient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

static MQTTClient client;
static int is_five;

static int arrived(void* context, char* topic, int topic_size, MQTTClient_message* message) {
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
  MQTTClient_freeMessage(&message);
  MQTTClient_free(topic);
  return 1;
}

static int connect_with(MQTTClient_connectOptions* options, int clean) {
  options->keepAliveInterval = 60;
  options->connectTimeout = PEER_TIMEOUT_MS / 1000;
  options->reliable = 0; /* or each message would wait for the one before, 100 ms at a time */
  options->maxInflightMessages = PEER_INFLIGHT_MAX;
  int code;
  if (!is_five) {
    options->cleansession = clean;
    code = MQTTClient_connect(client, options);
    return code == MQTTCLIENT_SUCCESS ? options->returned.sessionPresent : -1000 - abs(code);
  }
  options->cleanstart = clean;
  MQTTProperties properties = MQTTProperties_initializer;
  MQTTProperty expiry = {0};
  expiry.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL;
  expiry.value.integer4 = clean ? 0 : 3600;
  MQTTProperties_add(&properties, &expiry);
  MQTTResponse response = MQTTClient_connect5(client, options, &properties, NULL);
  /* The synchronous half tells of a session that was there only for MQTT 3.1.1. */
  code = response.reasonCode == MQTTREASONCODE_SUCCESS ? PEER_SESSION_UNKNOWN
                                                       : -1000 - abs((int)response.reasonCode);
  MQTTResponse_free(response);
  MQTTProperties_free(&properties);
  return code;
}

int peer_connect(const struct peer_target* target, const char* client_id, int clean,
                 const struct peer_message* will) {
  is_five = target->version == 5;
  MQTTClient_createOptions creation = MQTTClient_createOptions_initializer;
  creation.MQTTVersion = is_five ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
  int code = MQTTClient_createWithOptions(&client, target->uri, client_id,
                                          MQTTCLIENT_PERSISTENCE_NONE, NULL, &creation);
  if (code != MQTTCLIENT_SUCCESS) {
    return -1000 - abs(code);
  }
  MQTTClient_setCallbacks(client, NULL, NULL, arrived, NULL);
  MQTTClient_connectOptions four = MQTTClient_connectOptions_initializer;
  MQTTClient_connectOptions five = MQTTClient_connectOptions_initializer5;
  MQTTClient_connectOptions* options = is_five ? &five : &four;
  options->MQTTVersion = creation.MQTTVersion;
  MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
  if (target->authority) {
    tls.trustStore = target->authority;
    tls.keyStore = target->certificate;
    tls.privateKey = target->key;
    tls.verify = 1;
    options->ssl = &tls;
  }
  MQTTClient_willOptions last = MQTTClient_willOptions_initializer;
  if (will) {
    last.topicName = will->topic;
    last.payload.data = will->payload;
    last.payload.len = (int)will->size;
    last.qos = will->qos;
    last.retained = will->retained;
    options->will = &last;
  }
  return connect_with(options, clean);
}

int peer_subscribe(const char* filter, int qos) {
  if (!is_five) {
    const int code = MQTTClient_subscribe(client, filter, qos);
    return code == MQTTCLIENT_SUCCESS ? qos : -1000 - abs(code);
  }
  MQTTResponse response = MQTTClient_subscribe5(client, filter, qos, NULL, NULL);
  const int code = (int)response.reasonCode;
  MQTTResponse_free(response);
  return code;
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
  MQTTClient_message sent = MQTTClient_message_initializer;
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
  int code = MQTTCLIENT_SUCCESS;
  for (int i = 0; i < count && code == MQTTCLIENT_SUCCESS; ++i) {
    char number[16];
    if (count > 1) {
      sent.payloadlen = snprintf(number, sizeof number, "%d", i);
      sent.payload = number;
    }
    MQTTClient_deliveryToken token = 0;
    if (is_five) {
      MQTTResponse response = MQTTClient_publishMessage5(client, message->topic, &sent, &token);
      code = (int)response.reasonCode;
      MQTTResponse_free(response);
    } else {
      code = MQTTClient_publishMessage(client, message->topic, &sent, &token);
    }
    const int is_last = i + 1 == count;
    if (code == MQTTCLIENT_SUCCESS && sent.qos > 0 && is_last) {
      code = MQTTClient_waitForCompletion(client, token, PEER_TIMEOUT_MS);
    }
  }
  MQTTProperties_free(&sent.properties);
  return code == MQTTCLIENT_SUCCESS ? 0 : -1000 - abs(code);
}

int peer_disconnect(void) {
  const int code = is_five ? MQTTClient_disconnect5(client, 1000, MQTTREASONCODE_SUCCESS, NULL)
                           : MQTTClient_disconnect(client, 1000);
  MQTTClient_destroy(&client);
  return code == MQTTCLIENT_SUCCESS ? 0 : -1000 - abs(code);
}
