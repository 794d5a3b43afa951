// Import and export of devices: the parser alone, then whole files through the endpoints.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <sstream>

#include "admin-api/import_parser.hpp"
#include "base/limits.hpp"
#include "unit/admin-api/admin_fixture.hpp"

using namespace skerry;
using namespace skerry::test;
using admin_api::ImportFormat;
using admin_api::ImportLine;

namespace {

using Headers = std::map<std::string, std::string, std::less<>>;
const Headers csv_type{{"content-type", "text/csv; charset=utf-8"}};
const Headers ndjson_type{{"content-type", "application/x-ndjson"}};

std::vector<ImportLine> parse(ImportFormat format, std::string_view text, std::size_t piece) {
  std::vector<ImportLine> lines;
  admin_api::ImportParser parser{format};
  const auto visit = [&](ImportLine line) { lines.push_back(std::move(line)); };
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    parser.feed(text.substr(0, piece), visit);
  }
  parser.finish(visit);
  return lines;
}

/// "3 created a", "4 error device_exists", … and the summary's numbers.
std::vector<std::string> outline(const std::string& body) {
  std::vector<std::string> lines;
  std::istringstream in{body};
  for (std::string text; std::getline(in, text);) {
    const auto value = boost::json::parse(text);
    const auto& object = value.as_object();
    if (object.contains("summary")) {
      lines.push_back("sum " + std::to_string(value.at("created").to_number<int>()) + " " +
                      std::to_string(value.at("updated").to_number<int>()) + " " +
                      std::to_string(value.at("unchanged").to_number<int>()) + " " +
                      std::to_string(value.at("errors").to_number<int>()) +
                      (value.at("complete").as_bool()
                           ? std::string{}
                           : " " + std::string{value.at("code").as_string()}));
      continue;
    }
    const std::string result{value.at("result").as_string()};
    lines.push_back(std::to_string(value.at("line").to_number<int>()) + " " + result + " " +
                    std::string{value.at(result == "error" ? "code" : "id").as_string()});
  }
  return lines;
}

std::string key_json(unsigned number) {
  return R"("keys":[")" + fingerprint(number) + R"("])";
}

}  // namespace

TEST_CASE("a CSV line is split as RFC 4180 says, and wrong quotes are told") {
  const auto cells = admin_api::split_csv(R"(a,,"b,c","say ""x""","")");
  REQUIRE(cells.has_value());
  CHECK(*cells == std::vector<std::string>{"a", "", "b,c", "say \"x\"", ""});
  CHECK(admin_api::split_csv("").value() == std::vector<std::string>{""});
  CHECK(admin_api::split_csv("a,").value() == std::vector<std::string>{"a", ""});
  for (const char* bad : {R"("a)", R"(a"b)", R"("a"b)", R"(x,"a)",
                          R"("""")"
                          "\""}) {
    CAPTURE(bad);
    CHECK_FALSE(admin_api::split_csv(bad).has_value());
  }
}

TEST_CASE("a file is read the same in pieces of any size") {
  const std::string csv =
      "\xEF\xBB\xBFid,name,tags,keys,attributes.site,notAfter\r\n"
      "a,\"Pump, \"\"7\"\"\",x;y," +
      fingerprint(1) + "@2027-02-01T00:00:00Z;" + fingerprint(2) +
      ",north,2030-01-01T00:00:00Z\r\n"
      "\r\n"
      "b,,,,,";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, csv.size()}) {
    const auto lines = parse(ImportFormat::csv, csv, piece);
    REQUIRE(lines.size() == 2);
    CHECK_FALSE(lines[0].fault.has_value());
    CHECK(lines[0].number == 2);
    CHECK(lines[0].row.id == "a");
    CHECK(lines[0].row.patch.name == "Pump, \"7\"");
    CHECK(lines[0].row.patch.tags == std::vector<std::string>{"x", "y"});
    REQUIRE(lines[0].row.patch.keys->size() == 2);
    CHECK(lines[0].row.patch.keys->at(0).not_after.has_value());
    CHECK_FALSE(lines[0].row.patch.keys->at(1).not_after.has_value());
    CHECK(lines[0].row.patch.attributes.at("site") == "north");
    CHECK(lines[1].number == 4);
    CHECK(lines[1].row.patch.attributes.at("site") == std::nullopt);
    REQUIRE(lines[1].row.patch.not_after.has_value());
    CHECK_FALSE(lines[1].row.patch.not_after->has_value());
  }
}

TEST_CASE("what is wrong with a line does not harm the next") {
  const std::string file = R"({"id":"a"})"
                           "\n{\"id\":\"b\"\n[]\n\"x\"\n{\"id\":\"c\",\"color\":1}\n"
                           "{\"id\":\"\xC3\x28\"}\n" +
                           std::string(import_line_bytes_max + 1, 'x') +
                           "\n"
                           R"({"id":"d","keys":["zz"]})"
                           "\n"
                           R"({"name":"nobody"})"
                           "\n" +
                           std::string(100, '[') + "\n" + R"({"id":"e"})" +
                           "\n"
                           R"({"id":"f","name":"x","name":"y"})";
  for (const std::size_t piece : {std::size_t{100}, file.size()}) {
    const auto lines = parse(ImportFormat::ndjson, file, piece);
    REQUIRE(lines.size() == 12);
    const char* codes[] = {"",
                           "malformed_json",
                           "malformed_json",
                           "malformed_json",
                           "unknown_field",
                           "invalid_utf8",
                           "line_too_long",
                           "invalid_fingerprint",
                           "field_missing",
                           "malformed_json",
                           "",
                           "repeated_member"};
    for (std::size_t index = 0; index < lines.size(); ++index) {
      CAPTURE(index);
      CHECK(lines[index].number == index + 1);
      CHECK((lines[index].fault ? lines[index].fault->code : "") == codes[index]);
    }
    CHECK(lines[7].row.id == "d");
  }
}

TEST_CASE("without a good header a CSV file is hopeless") {
  for (const char* header :
       {"name,model\n", "id,color\n", "id,id\n", "\"id\n", "id,attributes.\n"}) {
    CAPTURE(header);
    admin_api::ImportParser parser{ImportFormat::csv};
    std::size_t lines = 0;
    const auto visit = [&](const ImportLine& line) {
      ++lines;
      CHECK(line.fault.has_value());
    };
    parser.feed(header, visit);
    parser.feed("a,b\n", visit);
    parser.finish(visit);
    CHECK(parser.is_hopeless());
    CHECK(lines == 1);
  }
}

TEST_CASE("an import creates, updates and skips as asked, and a dry run says the same") {
  const std::string file = R"({"id":"a","name":"new",)" + key_json(1) + "}\n" +  // there already
                           R"({"id":"b",)" + key_json(2) + "}\n" + R"({"id":"b","model":"m"})" +
                           "\n" +                                   // again in the same file
                           R"({"id":"c",)" + key_json(2) + "}\n" +  // key of b
                           R"({"id":"d","keys":[]})" + "\n{\n" +    // ill-formed
                           R"({"id":"b","keys":[]})" + "\n" +       // gives its key back …
                           R"({"id":"c",)" + key_json(2) + "}\n" +  // … so this one may have it
                           R"({"id":"sub"})" + "\n";
  struct Case {
    const char* conflict;
    std::vector<std::string> expected;
  };
  const std::vector<Case> cases = {
      {"fail",
       {"1 error device_exists", "2 created b", "3 error device_exists", "4 error key_in_use",
        "5 created d", "6 error malformed_json", "7 error device_exists", "8 error key_in_use",
        "9 error invalid_device_id", "sum 2 0 0 7"}},
      {"skip",
       {"1 unchanged a", "2 created b", "3 unchanged b", "4 error key_in_use", "5 created d",
        "6 error malformed_json", "7 unchanged b", "8 error key_in_use",
        "9 error invalid_device_id", "sum 2 0 3 4"}},
      {"update",
       {"1 updated a", "2 created b", "3 updated b", "4 error key_in_use", "5 created d",
        "6 error malformed_json", "7 updated b", "8 created c", "9 error invalid_device_id",
        "sum 3 3 0 3"}}};
  for (const Case& test : cases) {
    CAPTURE(test.conflict);
    AdminFixture admin;
    admin.add_device("a", 1);
    const std::string target = std::string{"/api/v1/devices:import?onConflict="} + test.conflict;
    const std::size_t size = admin.registry->size();
    const auto tried = admin.call({"POST", target + "&dryRun=true", file, ndjson_type});
    CHECK(tried.status == 200);
    CHECK(tried.content_type == "application/x-ndjson");
    CHECK(outline(tried.body) == test.expected);
    CHECK(admin.registry->size() == size);
    const auto run = admin.call({"POST", target, file, ndjson_type});
    CHECK(outline(run.body) == test.expected);
    // Each line of results is the same text, the summaries tell which was which.
    CHECK(run.body.substr(0, run.body.rfind("{\"summary")) ==
          tried.body.substr(0, tried.body.rfind("{\"summary")));
    admin.restart();
    CHECK(admin.registry->find("b") != nullptr);
    if (std::string{test.conflict} == "update") {
      CHECK(admin.registry->find_by_fingerprint(fingerprint(2))->id == "c");
      CHECK(admin.registry->find("a")->name == "new");
    }
  }
}

TEST_CASE("the parameters and the type of an import are judged before it begins") {
  AdminFixture admin;
  const auto status = [&](const char* query, const Headers& headers) {
    return admin.call({"POST", std::string{"/api/v1/devices:import"} + query, "", headers}).status;
  };
  CHECK(status("?dryRun=maybe", csv_type) == 400);
  CHECK(status("?onConflict=x", csv_type) == 400);
  CHECK(status("?color=1", csv_type) == 400);
  CHECK(status("", {}) == 415);
  CHECK(status("", {{"content-type", "application/json"}}) == 415);
  CHECK(status("", csv_type) == 200);
}

TEST_CASE("an import whose batch cannot be stored stops and says what was lost") {
  AdminFixture admin;
  std::string file;
  for (unsigned number = 0; number < 600; ++number) {
    file += R"({"id":"d)" + std::to_string(number) + "\"}\n";
  }
  admin.store->fail_write(2, storage::StatusCode::io_error);
  const auto lines =
      outline(admin.call({"POST", "/api/v1/devices:import", file, ndjson_type}).body);
  CHECK(lines.front() == "1 created d0");
  CHECK(lines.back().ends_with("storage_unavailable"));
  CHECK(lines.size() < 600);
  CHECK(lines[lines.size() - 2].find("error storage_unavailable") != std::string::npos);
  const std::size_t stored = admin.registry->size();
  admin.store->heal();
  admin.restart();
  CHECK(admin.registry->size() == stored);
}

TEST_CASE("what is exported imports as it was, in both forms") {
  AdminFixture admin;
  std::string file =
      "id,state,name,model,serialNumber,tags,notAfter,keys,attributes.a,attributes.b\n";
  file += "d1,,\"x, \"\"y\"\"\",m,s1,t1;t 2,2030-01-01T00:00:00Z," + fingerprint(1) + ";" +
          fingerprint(2) + "@2027-03-01T00:00:00Z,one,\n";
  file += "d2,suspended, blanks ,\xC3\xA4,,,,,,\"=1+1\"\n";
  file += "d3,retired,,,,,," + fingerprint(3) + ",,\n";
  file += "d4,,,,,,,,,\n";
  file += "d5,,@SUM(A1),-12.5,'x,-t;=u,,,\"'=HYPERLINK(\"\"http://x\"\")\",\"''-1,5\"\n";
  REQUIRE(outline(admin.call({"POST", "/api/v1/devices:import", file, csv_type}).body).back() ==
          "sum 5 0 0 0");
  for (const Headers& type : {Headers{{"accept", "text/csv"}}, Headers{}}) {
    const auto exported = admin.call({"GET", "/api/v1/devices:export", "", type});
    CHECK(exported.status == 200);
    const Headers back{{"content-type", exported.content_type}};
    const auto same =
        admin.call({"POST", "/api/v1/devices:import?onConflict=update", exported.body, back});
    CHECK(outline(same.body).back() == "sum 0 0 5 0");
    AdminFixture other;
    const auto copied = other.call({"POST", "/api/v1/devices:import", exported.body, back});
    CHECK(outline(copied.body).back() == "sum 5 0 0 0");
    CHECK(other.call({"GET", "/api/v1/devices:export", "", type}).body == exported.body);
    CHECK(other.registry->find("d2")->name == " blanks ");
    const auto formulas = other.registry->find("d5");
    CHECK(formulas->name == "@SUM(A1)");
    CHECK(formulas->model == "-12.5");
    CHECK(formulas->serial_number == "'x");
    // What a spreadsheet's own apostrophe stands before is read without it.
    CHECK(formulas->attributes.at("a") == "=HYPERLINK(\"http://x\")");
    CHECK(formulas->attributes.at("b") == "'-1,5");
    if (exported.body.starts_with("id,")) {
      CHECK(exported.body.find(",'@SUM(A1),-12.5,'x,") != std::string::npos);
      CHECK(exported.body.find(",\"'=HYPERLINK(\"\"http://x\"\")\",\"''-1,5\"") !=
            std::string::npos);
    }
    CHECK(other.registry->find("d3")->state == auth::DeviceState::retired);
  }
  CHECK(
      admin.call({"GET", "/api/v1/devices:export", "", Headers{{"accept", "image/png"}}}).status ==
      406);
  CHECK(admin.call({"GET", "/api/v1/devices:export?state=pending"}).status == 400);
  const auto some = admin.call({"GET", "/api/v1/devices:export?state=retired"});
  CHECK(std::count(some.body.begin(), some.body.end(), '\n') == 1);
}

TEST_CASE("errors above the cap are counted and not told one by one") {
  AdminFixture admin;
  std::string file;
  for (std::size_t number = 0; number < import_errors_max + 5; ++number) {
    file += "x\n";
  }
  const auto answer = admin.call({"POST", "/api/v1/devices:import", file, ndjson_type});
  const auto lines = outline(answer.body);
  CHECK(lines.size() == import_errors_max + 1);
  CHECK(lines.back() == "sum 0 0 0 " + std::to_string(import_errors_max + 5));
}

TEST_CASE("an import stops behind its cap of lines") {
  AdminFixture admin;
  std::string file(import_lines_max + 1, '\n');
  file += R"({"id":"late"})";
  const auto lines = outline(
      admin.call({"POST", "/api/v1/devices:import", file, ndjson_type, "192.0.2.7", 65536}).body);
  CHECK(lines.back() == "sum 0 0 0 0 too_many_lines");
  CHECK_FALSE(admin.registry->find("late"));
}
