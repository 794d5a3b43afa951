// devices add, list, show, update, delete, suspend, resume, retire, approve, reject, keys.
#include <unistd.h>

#include "cli/device_words.hpp"
#include "cli/failure.hpp"
#include "cli/file.hpp"
#include "cli/key_file.hpp"
#include "cli/list.hpp"

namespace skerry::cli {
namespace {

struct AddOptions {
  std::string id;
  std::vector<std::string> key_files;
  std::vector<std::string> fingerprints;
  std::string generate_directory;
  DeviceDetails details;
};

void add(Session& session, const AddOptions& options) {
  check_device_id(options.id);
  std::vector<std::string> fingerprints;
  for (const std::string& text : options.fingerprints) {
    fingerprints.push_back(normal_fingerprint(text));
  }
  for (const std::string& path : options.key_files) {
    fingerprints.push_back(fingerprint_of_pem(read_file(path, "the key file"), path));
  }
  const Api api{session.settings};
  std::string made;
  if (!options.generate_directory.empty()) {
    made = options.generate_directory + "/" + options.id + ".key";
    fingerprints.push_back(generate_key_file(made).fingerprint());
  }
  if (fingerprints.empty()) {
    throw Failure("a device needs a key: --key FILE, --fingerprint HEX or --generate DIR",
                  exit_usage);
  }
  boost::json::array keys;
  for (const std::string& fingerprint : fingerprints) {
    keys.push_back(boost::json::object{{"fingerprint", fingerprint}});
  }
  boost::json::object wish = json_of(options.details);
  wish["id"] = options.id;
  wish["keys"] = std::move(keys);
  const boost::json::value body = std::move(wish);
  boost::json::value device;
  try {
    device = api.call("POST", "/api/v1/devices", &body);
  } catch (const Failure& failure) {
    if (made.empty()) {
      throw;
    }
    // The device may have been registered and only the answer lost: then this is its one key.
    if (failure.exit_code == exit_unreachable) {
      throw Failure(std::string{failure.what()} + "; the key is kept, go on with --key " + made,
                    failure.exit_code);
    }
    unlink(made.c_str());  // a key that nobody knows must not stand in the way of the next try
    throw;
  }
  if (session.output != Output::table) {
    print_device(session, device.as_object());
    return;
  }
  if (!made.empty()) {
    print_done(session, "Made the key " + made);
  }
  print_done(session, "Registered device " + options.id + " (" +
                          cell(device.as_object().if_contains("state")) +
                          ") with key sha256:" + fingerprints.front());
}

struct ListOptions {
  std::string filter;
  std::string sort;
  std::size_t limit = 0;
  bool wide = false;
  WatchOptions watch;
};

void list(Session& session, const ListOptions& options) {
  List devices;
  const std::size_t page = options.limit == 0 ? 500 : std::min<std::size_t>(options.limit, 500);
  devices.target = "/api/v1/devices?limit=" + std::to_string(page);
  devices.target = with_parameter(devices.target, "filter", options.filter);
  devices.target = with_parameter(devices.target, "sort", options.sort);
  devices.limit = options.limit;
  devices.columns = device_columns(options.wide);
  print_list(session, devices, options.watch);
}

struct OneOptions {
  std::string id;
};

void show(Session& session, const OneOptions& options) {
  print_device(session, Api{session.settings}.call("GET", device_target(options.id)).as_object());
}

struct UpdateOptions {
  std::string id;
  DeviceDetails details;
  std::vector<std::string> tags_removed;
  std::vector<std::string> attributes_removed;
};

/// Tags are replaced as a whole by a merge patch, so they are read, changed and written only if
/// nobody else has written meanwhile.
void update(Session& session, const UpdateOptions& options) {
  constexpr int tries_max = 5;
  const Api api{session.settings};
  const std::string target = device_target(options.id);
  for (int tries = 1;; ++tries) {
    boost::json::object patch = json_of(options.details);
    Api::Headers headers{{"Content-Type", "application/merge-patch+json"}};
    if (!options.details.tags.empty() || !options.tags_removed.empty()) {
      const Answer now = api.request("GET", target, {});
      headers["If-Match"] = now.etag;
      patch["tags"] =
          changed_tags(now.body.as_object(), options.details.tags, options.tags_removed);
    }
    for (const std::string& name : options.attributes_removed) {
      if (!patch.contains("attributes")) {
        patch["attributes"] = boost::json::object{};
      }
      patch["attributes"].as_object()[name] = nullptr;
    }
    if (patch.empty()) {
      throw Failure("say what to change: skerryctl devices update --help", exit_usage);
    }
    const boost::json::value body = std::move(patch);
    try {
      const Answer changed = api.request("PATCH", target, headers, &body);
      if (session.output != Output::table) {
        print_device(session, changed.body.as_object());
      }
      print_done(session, "Updated device " + options.id);
      return;
    } catch (const Failure& failure) {
      if (failure.exit_code != exit_conflict || !headers.contains("If-Match") ||
          tries == tries_max) {
        throw;
      }
    }
  }
}

struct ManyOptions {
  std::vector<std::string> ids;
};

/// Does it for each; what failed for one does not keep it from the others.
void each_device(Session& session, const ManyOptions& options,
                 const std::function<void(const std::string&)>& act) {
  std::optional<Failure> failed;
  for (const std::string& id : options.ids) {
    check_device_id(id);
  }
  for (const std::string& id : options.ids) {
    try {
      act(id);
    } catch (const Failure& failure) {
      if (options.ids.size() == 1 || failure.exit_code == exit_unreachable) {
        throw;
      }
      session.err << "skerryctl: " << id << ": " << failure.what() << '\n';
      failed = Failure{"not all devices could be changed", failure.exit_code};
    }
  }
  if (failed) {
    throw Failure{*failed};
  }
}

/// A change that may end sessions: what it was and how many have ended.
void print_change(Session& session, const std::string& told, const boost::json::value& change) {
  if (!change.is_object()) {
    print_done(session, told + "; its sessions have ended");
    return;
  }
  if (session.output != Output::table && !session.quiet) {
    print_object(session, change, rows_of(change.get_object()));
  }
  print_done(session,
             told + "; sessions ended: " + cell(change.get_object().if_contains("sessionsClosed")));
}

void erase(Session& session, const ManyOptions& options) {
  const Api api{session.settings};
  each_device(session, options, [&](const std::string& id) {
    const boost::json::value removal = api.call("DELETE", device_target(id));
    print_change(session, "Deleted device " + id, removal);
  });
}

struct Verb {
  const char* name;         ///< "suspend", also behind the colon of the resource
  const char* description;  ///< for --help
  const char* told;         ///< "Suspended device "
};

constexpr Verb suspend_verb{"suspend", "Lock devices out for a time; their sessions end",
                            "Suspended device "};
constexpr Verb resume_verb{"resume", "Let suspended devices in again", "Resumed device "};
constexpr Verb retire_verb{"retire", "Lock devices out for good and revoke their certificates",
                           "Retired device "};
constexpr Verb disconnect_verb{"disconnect", "End the sessions of devices, which may come back",
                               "Disconnected device "};

template <const Verb& verb>
void act(Session& session, const ManyOptions& options) {
  const Api api{session.settings};
  each_device(session, options, [&](const std::string& id) {
    print_change(session, verb.told + id, api.call("POST", device_target(id) + ":" + verb.name));
  });
}

struct JudgeOptions {
  std::string id;
  std::string fingerprint;
  std::string as;
  DeviceDetails details;
};

void approve(Session& session, const JudgeOptions& options) {
  boost::json::object wish = json_of(options.details);
  wish["fingerprint"] = normal_fingerprint(options.fingerprint);
  if (!options.as.empty()) {
    check_device_id(options.as);
    wish["id"] = options.as;
  }
  const boost::json::value body = std::move(wish);
  const boost::json::value device =
      Api{session.settings}.call("POST", device_target(options.id) + ":approve", &body);
  if (session.output != Output::table) {
    print_device(session, device.as_object());
  }
  print_done(session, "Approved device " + cell(device.as_object().if_contains("id")));
}

void reject(Session& session, const JudgeOptions& options) {
  const boost::json::value body =
      boost::json::object{{"fingerprint", normal_fingerprint(options.fingerprint)}};
  Api{session.settings}.call("POST", device_target(options.id) + ":reject", &body);
  print_done(session, "Rejected device " + options.id);
}

struct KeyOptions {
  std::string id;
  std::string key_file;
  std::string fingerprint;
  std::string not_after;
};

std::string fingerprint_of(const KeyOptions& options) {
  if (options.key_file.empty() == options.fingerprint.empty()) {
    throw Failure("say which key: --key FILE or --fingerprint HEX", exit_usage);
  }
  return options.key_file.empty()
             ? normal_fingerprint(options.fingerprint)
             : fingerprint_of_pem(read_file(options.key_file, "the key file"), options.key_file);
}

void add_key(Session& session, const KeyOptions& options) {
  const std::string target = device_target(options.id) + "/keys";
  const std::string fingerprint = fingerprint_of(options);
  boost::json::object wish{{"fingerprint", fingerprint}};
  if (!options.not_after.empty()) {
    wish["notAfter"] = options.not_after;
  }
  const boost::json::value body = std::move(wish);
  Api{session.settings}.call("POST", target, &body);
  print_done(session, "Device " + options.id + " may use the key sha256:" + fingerprint);
}

void remove_key(Session& session, const KeyOptions& options) {
  const std::string target = device_target(options.id) + "/keys/" + fingerprint_of(options);
  const boost::json::value change = Api{session.settings}.call("DELETE", target);
  print_change(session, "Device " + options.id + " has lost the key; its certificates are revoked",
               change);
}

void add_key_words(CommandLine& line, CLI::App& devices) {
  CLI::App& keys = *devices.add_subcommand("keys", "The keys of a device")->fallthrough();
  keys.require_subcommand(1);
  const auto more = std::make_shared<KeyOptions>();
  const auto less = std::make_shared<KeyOptions>();
  CLI::App& add_words = line.add(keys, "add", "Let the device use one more key", more, &add_key);
  add_words.add_option("--not-after", more->not_after, "When it ends to count, RFC 3339");
  CLI::App& remove_words =
      line.add(keys, "remove", "Take a key away and revoke its certificates", less, &remove_key);
  for (const auto& [words, options] : {std::pair{&add_words, more}, {&remove_words, less}}) {
    words->add_option("device", options->id, "Device id")->required();
    words->add_option("--key", options->key_file, "Private key, public key or certificate in PEM");
    words->add_option("--fingerprint", options->fingerprint, "SHA-256 of the public key");
  }
}

void add_judge_words(CommandLine& line, CLI::App& devices) {
  const auto yes = std::make_shared<JudgeOptions>();
  CLI::App& approve_words =
      line.add(devices, "approve", "Let in a device that has asked", yes, &approve);
  approve_words.add_option("device", yes->id, "Id of the pending device")->required();
  approve_words
      .add_option("--fingerprint", yes->fingerprint,
                  "Fingerprint of its key, as read from the device itself")
      ->required();
  approve_words.add_option("--id", yes->as, "Another id than the one it has asked for");
  add_detail_flags(approve_words, yes->details);
  const auto no = std::make_shared<JudgeOptions>();
  CLI::App& reject_words =
      line.add(devices, "reject", "Refuse a device that has asked", no, &reject);
  reject_words.add_option("device", no->id, "Id of the pending device")->required();
  reject_words.add_option("--fingerprint", no->fingerprint, "Fingerprint of its key")->required();
}

void add_state_words(CommandLine& line, CLI::App& devices) {
  const auto verb = [&](const char* name, const char* description,
                        void (*run)(Session&, const ManyOptions&)) {
    const auto options = std::make_shared<ManyOptions>();
    line.add(devices, name, description, options, run)
        .add_option("device", options->ids, "Device ids")
        ->required();
  };
  verb("delete", "Remove devices and end their sessions", &erase);
  verb(suspend_verb.name, suspend_verb.description, &act<suspend_verb>);
  verb(resume_verb.name, resume_verb.description, &act<resume_verb>);
  verb(retire_verb.name, retire_verb.description, &act<retire_verb>);
  verb(disconnect_verb.name, disconnect_verb.description, &act<disconnect_verb>);
}

}  // namespace

void add_device_commands(CommandLine& line) {
  CLI::App& devices = line.group("devices", "The registry of devices");
  const auto made = std::make_shared<AddOptions>();
  CLI::App& add_words = line.add(devices, "add", "Register a device by its key", made, &add);
  add_words.add_option("device", made->id, "Device id")->required();
  add_words
      .add_option("--key", made->key_files,
                  "Private key, public key or certificate in PEM; only its fingerprint is sent")
      ->allow_extra_args(false);
  add_words.add_option("--fingerprint", made->fingerprints, "SHA-256 of the public key, 64 digits")
      ->allow_extra_args(false);
  add_words.add_option("--generate", made->generate_directory, "Make a key DIR/ID.key");
  add_detail_flags(add_words, made->details);

  const auto listed = std::make_shared<ListOptions>();
  CLI::App& list_words = line.add(devices, "list", "List devices", listed, &list);
  list_words.add_option("-l,--filter", listed->filter,
                        "Only these: state:enrolled tags:lab NOT model:pi3 lastSeen<-7d \"text\"");
  list_words.add_option("--sort", listed->sort, "id, name, model, state, createdAt, …; -id: down");
  list_words.add_option("--limit", listed->limit, "No more than so many");
  list_words.add_flag("--wide", listed->wide, "More columns");
  add_watch_flags(list_words, listed->watch);

  const auto shown = std::make_shared<OneOptions>();
  line.add(devices, "show", "Show one device", shown, &show)
      .add_option("device", shown->id, "Device id")
      ->required();

  const auto changed = std::make_shared<UpdateOptions>();
  CLI::App& update_words = line.add(devices, "update", "Change a device", changed, &update);
  update_words.add_option("device", changed->id, "Device id")->required();
  add_detail_flags(update_words, changed->details);
  update_words.add_option("--remove-tag", changed->tags_removed, "A tag that goes")
      ->allow_extra_args(false);
  update_words
      .add_option("--remove-attribute", changed->attributes_removed, "An attribute that goes")
      ->allow_extra_args(false);
  add_state_words(line, devices);
  add_judge_words(line, devices);
  add_key_words(line, devices);
}

}  // namespace skerry::cli
