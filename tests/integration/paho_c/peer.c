/* A client of Paho C that is told by lines on its standard input what to do, and says on its
 * standard output what came of it:
 *
 *   connect ID CLEAN [WILL-TOPIC WILL-PAYLOAD QOS RETAIN]     connected SESSION-PRESENT
 *   subscribe FILTER QOS                                      subscribed GRANTED
 *   publish TOPIC QOS RETAIN PAYLOAD [RESPONSE-TOPIC DATA]    published
 *   flood TOPIC QOS COUNT                                     published
 *   disconnect                                                disconnected
 *                          message TOPIC QOS RETAIN PAYLOAD RESPONSE-TOPIC DATA
 *
 * Payloads and correlation data are hexadecimal, "-" is an empty one. `error N` answers what the
 * library refuses. */
#define _GNU_SOURCE
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 8

static char* hexadecimal(const void* data, size_t size) {
  const unsigned char* bytes = data;
  char* text = malloc(size * 2 + 2);
  if (size == 0) {
    return strcpy(text, "-");
  }
  for (size_t i = 0; i < size; ++i) {
    static const char digits[] = "0123456789abcdef";
    text[i * 2] = digits[bytes[i] >> 4];
    text[i * 2 + 1] = digits[bytes[i] & 15];
  }
  text[size * 2] = '\0';
  return text;
}

static unsigned digit(char c) { return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10); }

/* Decodes in place; the size. */
static size_t decode(char* text) {
  if (strcmp(text, "-") == 0) {
    return 0;
  }
  const size_t size = strlen(text) / 2;
  for (size_t i = 0; i < size; ++i) {
    text[i] = (char)(digit(text[i * 2]) << 4 | digit(text[i * 2 + 1]));
  }
  return size;
}

void peer_arrived(const struct peer_message* message) {
  char* payload = hexadecimal(message->payload, message->size);
  char* data = hexadecimal(message->correlation, message->correlation_size);
  printf("message %s %d %d %s %s %s\n", message->topic, message->qos, message->retained, payload,
         message->response_topic ? message->response_topic : "-", data);
  fflush(stdout);
  free(payload);
  free(data);
}

static void answer(int code, const char* text, int with_code) {
  if (code < 0) {
    printf("error %d\n", code);
  } else if (with_code) {
    printf("%s %d\n", text, code);
  } else {
    puts(text);
  }
  fflush(stdout);
}

static void do_connect(const struct peer_target* target, char** words, int count) {
  struct peer_message will = {0};
  if (count == 7) {
    will.topic = words[3];
    will.size = decode(words[4]);
    will.payload = words[4];
    will.qos = atoi(words[5]);
    will.retained = atoi(words[6]);
  }
  answer(peer_connect(target, words[1], atoi(words[2]), count == 7 ? &will : NULL), "connected", 1);
}

static void do_publish(char** words, int count) {
  struct peer_message message = {0};
  message.topic = words[1];
  message.qos = atoi(words[2]);
  if (strcmp(words[0], "flood") == 0) {
    answer(peer_publish(&message, atoi(words[3])), "published", 0);
    return;
  }
  message.retained = atoi(words[3]);
  message.size = decode(words[4]);
  message.payload = words[4];
  if (count == 7) {
    message.response_topic = words[5];
    message.correlation_size = decode(words[6]);
    message.correlation = words[6];
  }
  answer(peer_publish(&message, 1), "published", 0);
}

static void obey(const struct peer_target* target, char* line) {
  char* words[WORDS_MAX] = {0};
  int count = 0;
  for (char* word = strtok(line, " \n"); word && count < WORDS_MAX; word = strtok(NULL, " \n")) {
    words[count++] = word;
  }
  if (count >= 3 && strcmp(words[0], "connect") == 0) {
    do_connect(target, words, count);
  } else if (count == 3 && strcmp(words[0], "subscribe") == 0) {
    answer(peer_subscribe(words[1], atoi(words[2])), "subscribed", 1);
  } else if (count >= 5 || (count == 4 && strcmp(words[0], "flood") == 0)) {
    do_publish(words, count);
  } else if (count == 1 && strcmp(words[0], "disconnect") == 0) {
    answer(peer_disconnect(), "disconnected", 0);
  } else {
    puts("error what");
    fflush(stdout);
  }
}

int main(int count, char** words) {
  if (count != 3 && count != 6) {
    fprintf(stderr, "usage: %s URI VERSION [CA CERTIFICATE KEY]\n", words[0]);
    return 2;
  }
  struct peer_target target = {words[1], atoi(words[2]), NULL, NULL, NULL};
  if (count == 6) {
    target.authority = words[3];
    target.certificate = words[4];
    target.key = words[5];
  }
  char* line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    obey(&target, line);
  }
  free(line);
  return 0;
}
