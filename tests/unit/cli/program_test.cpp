// The command line without a server: words, settings, keys, what is printed.
#include "cli/program.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <boost/json/parse.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/api.hpp"
#include "cli/failure.hpp"
#include "cli/file.hpp"
#include "cli/key_file.hpp"
#include "cli/list.hpp"
#include "cli/settings.hpp"
#include "crypto/certificate.hpp"
#include "crypto/encoding.hpp"
#include "crypto/random.hpp"

using namespace skerry;
using namespace skerry::cli;

namespace {

/// A directory that goes with its owner.
struct Directory {
  std::string path =
      (std::filesystem::temp_directory_path() / ("skerryctl-" + crypto::random_token(9))).string();
  Directory() { std::filesystem::create_directories(path); }
  ~Directory() { std::filesystem::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
};

struct Ran {
  int code;
  std::string out;
  std::string err;
};

Ran run_words(std::vector<std::string> words, const std::string& input = {}) {
  std::istringstream in{input};
  std::ostringstream out;
  std::ostringstream err;
  const int code = run(words, in, out, err);
  return {code, out.str(), err.str()};
}

unsigned mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("words that make no sense end with 2 and a sentence") {
  const std::vector<std::vector<std::string>> bad = {
      {},
      {"bogus"},
      {"devices"},
      {"devices", "bogus"},
      {"devices", "show"},
      {"devices", "add"},
      {"device", "enroll", "a"},
      {"--output", "xml", "devices", "list"},
      {"telemetry", "query", "a", "--limit", "x"},
      {"telemetry", "query"},
      {"telemetry", "query", "a", "--filter", "x"},
      {"telemetry", "query", "--filter", "x", "--limit", "1"},
      {"telemetry", "delete", "a"},
      {"telemetry", "delete", "a", "--all", "--key", "k"},
      {"telemetry", "tail", "a", "--filter", "x"},
      {"telemetry", "latest", "--watch"},
      {"--no-such-flag", "devices", "list"},
  };
  for (const auto& words : bad) {
    const Ran ran = run_words(words);
    CHECK(ran.code == exit_usage);
    CHECK_FALSE(ran.err.empty());
  }
  CHECK(run_words({"--help"}).code == 0);
  CHECK(has(run_words({"devices", "add", "--help"}).out, "--fingerprint"));
}

TEST_CASE("without a login the commands say so, wherever the flags stand") {
  const Directory directory;
  const std::string config = directory.path + "/none.json";
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--config", config, "devices", "list"},
                                             {"devices", "list", "--config", config, "-o", "json"},
                                             {"telemetry", "query", "a", "--key", "t", "--from",
                                              "-1h", "--to", "now", "--config", config},
                                             {"token", "--config", config}}) {
    const Ran ran = run_words(words);
    CHECK(ran.code == exit_usage);
    CHECK(has(ran.err, "skerryctl login"));
  }
}

TEST_CASE("bad ids, fingerprints and servers are refused before anything is sent") {
  const Directory directory;
  const std::string config = directory.path + "/config.json";
  save_settings(config, {"https://127.0.0.1:1", "skt_x", "no pem"});
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"devices", "show", "../x"},
                                             {"devices", "delete", "a b"},
                                             {"devices", "add", "a", "--fingerprint", "12"},
                                             {"devices", "add", "a"},
                                             {"devices", "list", "--server", "http://127.0.0.1"},
                                             {"devices", "list", "--server", "https://a:b:c"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--config", config});
    const Ran ran = run_words(all);
    CAPTURE(ran.err);
    CHECK(ran.code == exit_usage);
  }
  const Ran unreadable =
      run_words({"devices", "add", "a", "--key", directory.path + "/none.pem", "--config", config});
  CHECK(unreadable.code == exit_failure);
  CHECK(has(unreadable.err, "cannot read the key file"));
}

TEST_CASE("settings are saved for their owner only and read back") {
  const Directory directory;
  const std::string path = directory.path + "/deep/er/config.json";
  save_settings(path, {"https://h:1", "skt_secret", "PEM\ntext"});
  CHECK(mode_of(path) == 0600);
  CHECK(mode_of(directory.path + "/deep/er") == 0700);
  const Settings read = load_settings(path);
  CHECK(read.server == "https://h:1");
  CHECK(read.token == "skt_secret");
  CHECK(read.ca_pem == "PEM\ntext");
  chmod(path.c_str(), 0644);
  save_settings(path, read);
  CHECK(mode_of(path) == 0600);
  CHECK(load_settings(directory.path + "/none").server.empty());
  write_file(path, "nonsense", 0600);
  CHECK_THROWS_AS(load_settings(path), Failure);
  save_settings(path, read);
  CHECK(run_words({"token", "--config", path}).out == "skt_secret\n");
}

TEST_CASE("private key, public key and certificate have one fingerprint") {
  const auto key = crypto::PrivateKey::generate();
  crypto::CertificateProfile profile;
  profile.common_name = "a";
  profile.spki_der = key->spki_der();
  profile.not_after = profile.not_before + std::chrono::hours{1};
  const auto certificate = crypto::issue_certificate(profile, {}, *key);
  REQUIRE(certificate.has_value());
  CHECK(fingerprint_of_pem(key->pem(), "f") == key->fingerprint());
  CHECK(fingerprint_of_pem(crypto::pem_encode("PUBLIC KEY", key->spki_der()), "f") ==
        key->fingerprint());
  CHECK(fingerprint_of_pem(certificate->pem(), "f") == key->fingerprint());
  for (const std::string text :
       {"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
    CHECK_THROWS_AS(fingerprint_of_pem(text, "f"), Failure);
  }
}

TEST_CASE("a fingerprint may be written with colons and capitals") {
  std::string colons;
  for (int index = 0; index < 32; ++index) {
    colons += index == 0 ? "AB" : ":AB";
  }
  CHECK(normal_fingerprint(colons).substr(0, 4) == "abab");
  CHECK(normal_fingerprint(colons).size() == 64);
  CHECK_THROWS_AS(normal_fingerprint("sha256:" + std::string(64, 'a')), Failure);
}

TEST_CASE("a generated key is for its owner only and never overwritten") {
  const Directory directory;
  const std::string path = directory.path + "/keys/a.key";
  const auto key = generate_key_file(path);
  CHECK(mode_of(path) == 0600);
  CHECK(read_private_key(path).fingerprint() == key.fingerprint());
  CHECK_THROWS_AS(generate_key_file(path), Failure);
}

TEST_CASE("a key made for a device that could not be registered is taken away again") {
  const Directory directory;
  const std::string config = directory.path + "/config.json";
  save_settings(config, {"https://127.0.0.1:1", "skt_x", "no pem"});
  const Ran ran =
      run_words({"devices", "add", "a", "--generate", directory.path, "--config", config});
  CHECK(ran.code == exit_failure);
  CHECK(has(ran.err, "the CA file holds no certificate"));
  CHECK_FALSE(std::filesystem::exists(directory.path + "/a.key"));
}

TEST_CASE("login wants a CA and a password") {
  const Directory directory;
  const std::string config = directory.path + "/config.json";
  const Ran no_ca = run_words({"login", "--config", config, "--data-dir", directory.path});
  CHECK(no_ca.code == exit_failure);
  CHECK(has(no_ca.err, "ca/root.crt"));
  write_file(directory.path + "/ca.pem", "no pem", 0600);
  unsetenv("SKERRY_PASSWORD");
  const Ran no_password =
      run_words({"login", "--config", config, "--ca", directory.path + "/ca.pem"});
  CHECK(no_password.code == exit_usage);
  CHECK(has(no_password.err, "a password is needed"));
}

TEST_CASE("servers are https, with names and addresses of both kinds") {
  CHECK(parse_server_url("https://h", "1").url() == "https://h:1");
  CHECK(parse_server_url("https://h:2/", "1").port == "2");
  CHECK(parse_server_url("https://[::1]:3", "1").host == "::1");
  CHECK(parse_server_url("https://[::1]", "1").url() == "https://[::1]:1");
  for (const std::string url : {"", "h", "http://h", "https://", "https://h:", "https://h:x",
                                "https://h/x", "https://u@h", "https://[::1", "https://h:123456"}) {
    CAPTURE(url);
    CHECK_THROWS_AS(parse_server_url(url, "1"), Failure);
  }
}

TEST_CASE("a problem becomes a sentence with code and place") {
  HttpsResponse response;
  response.status = 422;
  response.body =
      R"({"detail":"too \u001b[31mshort","code":"field_invalid","errors":[{"pointer":"/id"}]})";
  CHECK(describe_problem(response) == "too \\x1b[31mshort (field_invalid, HTTP 422 at /id)");
  response.status = 502;
  response.body = "<html>";
  CHECK(describe_problem(response) == "the server answered HTTP 502");
}

TEST_CASE("tables line up and nothing in them can play with the terminal") {
  std::ostringstream out;
  print_table(out, {"KEY", "VALUE"}, {{"t\xC3\xA4", "1"}, {"long", "a\x1b[2J\n\xC2\x9b"}});
  CHECK(out.str() == "KEY   VALUE\nt\xC3\xA4    1\nlong  a\\x1b[2J\\x0a\\xc2\\x9b\n");
}

TEST_CASE("numbers are printed as people write them") {
  const auto value =
      boost::json::parse(R"({"a":21.5,"b":[1e300,-0.001,7,true,null,"x\"y"],"c":{},"d":[]})");
  CHECK(json_text(value) == R"({"a":21.5,"b":[1e+300,-0.001,7,true,null,"x\"y"],"c":{},"d":[]})");
  CHECK(cell(&value.at("a")) == "21.5");
  CHECK(cell(nullptr) == "-");
}

namespace {

/// What print_items() writes in this format.
std::string printed(Output output, bool quiet = false) {
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Session session{in, out, err, {}, {}, false, output, quiet};
  const auto items = boost::json::parse(
      R"([{"id":"a","tags":["x","y"],"inner":{"n":21.5},"note":"say \"hi\", twice"},
          {"id":"b","tags":[],"inner":{},"note":null}])");
  print_items(
      session,
      {{"ID", "id"},
       {"TAGS", "tags"},
       {"N", "inner.n"},
       {"NOTE", "note"},
       {"BIG", "",
        [](const boost::json::object& item) { return cell(item.if_contains("id")) + "!"; }}},
      items.as_array());
  return out.str();
}

}  // namespace

TEST_CASE("lists are printed in every format") {
  CHECK(printed(Output::table) ==
        "ID  TAGS  N     NOTE             BIG\n"
        "a   x,y   21.5  say \"hi\", twice  a!\n"
        "b   -     -     -                b!\n");
  CHECK(printed(Output::csv) ==
        "id,tags,inner.n,note,BIG\n"
        "a,\"x,y\",21.5,\"say \"\"hi\"\", twice\",a!\n"
        "b,,,,b!\n");
  CHECK(printed(Output::json) ==
        "[{\"id\":\"a\",\"tags\":[\"x\",\"y\"],\"inner\":{\"n\":21.5},"
        "\"note\":\"say \\\"hi\\\", twice\"},"
        "{\"id\":\"b\",\"tags\":[],\"inner\":{},\"note\":null}]\n");
  CHECK(printed(Output::yaml) ==
        "- id: a\n  tags:\n    - x\n    - \"y\"\n  inner:\n    \"n\": 21.5\n"
        "  note: \"say \\\"hi\\\", twice\"\n"
        "- id: b\n  tags: []\n  inner: {}\n  note: null\n");
  CHECK(printed(Output::table, true) == "a\nb\n");
}

TEST_CASE("YAML keeps what is a string a string") {
  for (const char* text : {"true", "No", "null", "1", "1.5e3", "", "-", "a: b", "#x", "2026-11-25",
                           "0x1f", "~", "[a", "a\nb", "ends ", "\xC3\xA4"}) {
    CAPTURE(text);
    CHECK(yaml_text(boost::json::value(text)).front() == '"');
  }
  CHECK(yaml_text("pump-7") == "pump-7\n");
  CHECK(yaml_text("Feed pump 7.1") == "Feed pump 7.1\n");
  CHECK(yaml_text(boost::json::parse(R"([[1,[2]],{"a":[{"b":{}}]}])")) ==
        "- - 1\n  - - 2\n- a:\n    - b: {}\n");
}

TEST_CASE(
    "a problem with several fields has a line for each, and hints where there is one to give") {
  HttpsResponse response;
  response.status = 422;
  response.body =
      R"({"detail":"two are wrong","code":"invalid","errors":[{"pointer":"/a","detail":"x"},)"
      R"({"pointer":"/b","detail":"y\u0007"}]})";
  CHECK(describe_problem(response) == "two are wrong (invalid, HTTP 422)\n  /a: x\n  /b: y\\x07");
  response.status = 503;
  response.headers["retry-after"] = "5";
  response.body = R"({"detail":"busy","code":"busy"})";
  CHECK(describe_problem(response) == "busy (busy, HTTP 503); try again in 5 s");
  CHECK(exit_code_of(404) == exit_not_found);
  CHECK(exit_code_of(403) == exit_denied);
  CHECK(exit_code_of(412) == exit_conflict);
  CHECK(exit_code_of(500) == exit_failure);
}

TEST_CASE("completion knows nouns, verbs, flags and formats") {
  const auto complete = [](std::vector<std::string> words) {
    words.insert(words.begin(), "__complete");
    return run_words(words).out;
  };
  CHECK(has(complete({""}), "devices\n"));
  CHECK(complete({"devi"}) == "device\ndevices\n");
  CHECK(complete({"devices", "sus"}) == "suspend\n");
  CHECK(complete({"devices", "list", "--fil"}) == "--filter\n");
  CHECK(has(complete({"devices", "list", "--o"}), "--output\n"));
  CHECK(complete({"devices", "list", "--output", "y"}) == "yaml\n");
  CHECK(complete({"--output", "json", "devices", "sh"}) == "show\n");
  CHECK(complete({"devices", "keys", ""}) == "add\nremove\n");
  CHECK(complete({"devices", "show", "x", "--config", "/nowhere"}).empty());
  CHECK(complete({"bogus", ""}).find("__complete") == std::string::npos);
  for (const char* shell : {"bash", "zsh", "fish"}) {
    CHECK(has(run_words({"completion", shell}).out, "skerryctl __complete"));
  }
  CHECK(run_words({"completion", "csh"}).code == exit_usage);
}

TEST_CASE("attributes, tags and files that make no sense are refused before anything is sent") {
  const Directory directory;
  const std::string config = directory.path + "/config.json";
  save_settings(config, {"https://127.0.0.1:1", "skt_x", "no pem"});
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"devices", "update", "a"},
                                             {"devices", "update", "a", "--attribute", "x"},
                                             {"devices", "update", "a", "--attribute", "=x"},
                                             {"devices", "approve", "a", "--fingerprint", "12"},
                                             {"devices", "keys", "add", "a"},
                                             {"devices", "suspend", "a", "b/c"},
                                             {"devices", "list", "--interval", "0"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--config", config});
    const Ran ran = run_words(all);
    CAPTURE(ran.err);
    CHECK(ran.code == exit_usage);
  }
}
