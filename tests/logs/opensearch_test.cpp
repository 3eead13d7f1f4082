#include "logs/opensearch.hpp"

#include "tests/logs/scripted_node.hpp"
#include "tests/support/live_system.hpp"

#include <doctest/doctest.h>
#include <httplib.h>
#include <poll.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>

using namespace aiops;
using namespace aiops::logs;
using namespace aiops::test;
using namespace std::chrono_literals;

namespace {

using node_exchange = scripted_node::exchange;

opensearch_config asking(std::vector<std::string> urls) {
  opensearch_config result;
  result.urls = std::move(urls);
  return result;
}

struct counting : live_system {
  explicit counting(opensearch_config config, caf::timespan deadline = 20s) {
    // As the gateway does.
    std::signal(SIGPIPE, SIG_IGN);
    source = spawn_detached(
      opensearch_log_source,
      opensearch_log_source_config{std::move(config), deadline});
  }

  caf::expected<breakdown_ptr> count() {
    return ask<breakdown_ptr>(source, count_atom_v);
  }

  /// Counts, which has to succeed.
  workload_counts counts() {
    auto result = count();
    CHECK_MESSAGE(result, text_of(result.error()));
    return result ? flatten(**result) : workload_counts{};
  }

  /// Counts, which has to fail with `part` in the error.
  void fails(ec code, const std::string& part) {
    auto result = count();
    REQUIRE(!result);
    CAPTURE(text_of(result.error()));
    CHECK(code_of(result.error()) == code);
    CHECK(text_of(result.error()).find(part) != std::string::npos);
  }

  log_source_actor source;
};

/// A page with a part of it replaced.
std::string changed_page(const workload_counts& counts,
                         const node_request& request, const std::string& part,
                         const std::string& by) {
  auto page = composite_page(counts, request.body);
  auto at = page.find(part);
  return at == std::string::npos ? page : page.replace(at, part.size(), by);
}

/// A directory that is removed after the test.
struct scratch {
  scratch() {
    auto pattern
      = (std::filesystem::temp_directory_path() / "opensearch-XXXXXX").string();
    dir = ::mkdtemp(pattern.data());
  }

  ~scratch() {
    std::filesystem::remove_all(dir);
  }

  std::string file(const std::string& name) const {
    return (dir / name).string();
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream{dir / name} << text;
  }

  void run(const std::string& command) const {
    auto line = "cd '" + dir.string() + "' && " + command + " 2>/dev/null";
    REQUIRE(std::system(line.c_str()) == 0);
  }

  std::filesystem::path dir;
};

} // namespace

// -- counts -------------------------------------------------------------------

TEST_CASE(
  "every workload is counted once, over many pages and one connection") {
  auto truth = some_workloads(1000);
  scripted_node node{truth};
  auto config = asking({node.url() + "/behind/a/proxy/"});
  config.page_size = 7;
  counting c{config};
  CHECK(c.counts() == truth);
  CHECK(c.counts() == truth);
  CHECK(node.connections() == 1);
  auto requests = node.requests();
  // 143 pages each, and one empty page.
  CHECK(requests.size() == 288);
  CHECK(requests[0].head.starts_with("POST /behind/a/proxy/logs/_search?"));
  CHECK(requests[0].has("\r\nAccept-Encoding: identity\r\n"));
  CHECK(!requests[0].has("Authorization"));
}

TEST_CASE("invalid names of workloads are left out") {
  workload_counts odd{{{"c", "n", "d"}, 1}, {{"c", "n", "bad\nname"}, 2}};
  odd[{"c", "n", std::string(254, 'x')}] = 3;
  scripted_node node{odd};
  counting c{asking({node.url()})};
  CHECK(c.counts() == workload_counts{{{"c", "n", "d"}, 1}});
}

TEST_CASE("an index without documents has no counts") {
  scripted_node node{{}};
  counting c{asking({node.url()})};
  CHECK(c.counts().empty());
}

TEST_CASE("a connection that the node closed is not an error") {
  auto truth = some_workloads(20);
  scripted_node node{truth};
  auto config = asking({node.url()});
  config.page_size = 10;
  counting c{config};
  auto answer_and_close = [&](const node_request& request,
                              node_exchange& client) {
    client.send(http_response(200, composite_page(truth, request.body)));
    return false;
  };
  node.next(answer_and_close, 0, 100);
  CHECK(c.counts() == truth);
  CHECK(c.counts() == truth);
}

TEST_CASE("bodies may come in chunks or end with the connection") {
  auto truth = some_workloads(100);
  scripted_node node{truth};
  counting c{asking({node.url()})};
  auto in_chunks = [&](const node_request& request, node_exchange& client) {
    auto page = composite_page(truth, request.body);
    auto half = page.size() / 2;
    auto chunk = [](const std::string& text) {
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", text.size());
      return size + text + "\r\n";
    };
    return client.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       + chunk(page.substr(0, half)) + chunk(page.substr(half))
                       + "0\r\n\r\n");
  };
  node.next(in_chunks);
  CHECK(c.counts() == truth);
  auto to_the_end = [&](const node_request& request, node_exchange& client) {
    client.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
                + composite_page(truth, request.body));
    return false;
  };
  node.next(to_the_end);
  CHECK(c.counts() == truth);
}

// -- credentials --------------------------------------------------------------

TEST_CASE("a new password is read when the old one is refused") {
  auto truth = some_workloads(10);
  scripted_node node{truth};
  scratch files;
  files.write("password", "old\n");
  auto config = asking({node.url()});
  config.user = "aiops";
  config.password_file = files.file("password");
  counting c{config};
  auto guarded = [&](const node_request& request, node_exchange& client) {
    // In Base64: aiops:new
    auto good = request.has("Authorization: Basic YWlvcHM6bmV3\r\n");
    return client.send(
      good ? http_response(200, composite_page(truth, request.body))
           : http_response(401, "Unauthorized",
                           "WWW-Authenticate: Basic realm=\"x\"\r\n"));
  };
  node.next(guarded, 0, 100);
  c.fails(ec::refused, "--opensearch-password-file");
  // The same password again might lock the user out.
  CHECK(node.requests().size() == 1);
  files.write("password", "new\n");
  CHECK(c.counts() == truth);
  CHECK(c.counts() == truth);
  files.write("password", "newer");
  CHECK(c.counts() == truth);
}

TEST_CASE("a missing user or password is an error with its remedy") {
  scripted_node node{{}};
  node.next_response(http_response(401, "Unauthorized"));
  auto config = asking({node.url()});
  counting without{config};
  without.fails(ec::refused, "give --opensearch-user");
  config.user = "aiops";
  config.password_file = "/nowhere/password";
  counting unreadable{config};
  unreadable.fails(ec::invalid_configuration, "/nowhere/password");
}

// -- faults -------------------------------------------------------------------

TEST_CASE("an overloaded node is asked again after Retry-After") {
  auto truth = some_workloads(30);
  scripted_node node{truth};
  auto config = asking({node.url()});
  config.page_size = 10;
  counting c{config};
  node.next_response(http_response(429, "{}", "Retry-After: 1\r\n"), 1);
  auto start = std::chrono::steady_clock::now();
  CHECK(c.counts() == truth);
  CHECK(std::chrono::steady_clock::now() - start >= 1s);
  // Longer than the deadline.
  node.next_response(http_response(429, "{}", "Retry-After: 3600\r\n"), 1);
  c.fails(ec::refused, "(429)");
  CHECK(c.counts() == truth);
}

TEST_CASE("failures of the server are retried a few times") {
  auto truth = some_workloads(10);
  scripted_node node{truth};
  counting c{asking({node.url()})};
  node.next_response(http_response(500, "{}"), 0, 2);
  CHECK(c.counts() == truth);
  auto before = node.requests().size();
  node.next_response(
    http_response(503, R"({"error":{"type":"no_shard","reason":"red"}})"), 0,
    100);
  c.fails(ec::refused, "no_shard: red");
  auto attempts = node.requests().size() - before;
  CHECK(attempts > 1);
  CHECK(attempts < 10);
  node.next(nullptr, 0, 100);
  CHECK(c.counts() == truth);
}

TEST_CASE("too many buckets are not retried as overload") {
  scripted_node node{some_workloads(10)};
  counting c{asking({node.url()})};
  node.next_response(http_response(
    503,
    R"({"error":{"root_cause":[],"type":"search_phase_execution_exception",)"
    R"("caused_by":{"type":"too_many_buckets_exception","reason":"no"}},)"
    R"("status":503})"));
  c.fails(ec::refused, "--opensearch-page-size");
  CHECK(node.requests().size() == 1);
}

TEST_CASE("refusals are errors with a remedy and not retried") {
  auto truth = some_workloads(10);
  scripted_node node{truth};
  counting c{asking({node.url()})};
  struct {
    int status;
    const char* remedy;
  } refusals[] = {{400, "--opensearch-namespace-field"},
                  {403, "the right to search 'logs'"},
                  {404, "--opensearch-index"},
                  {302, "not followed"},
                  {204, "(204)"}};
  for (auto& refusal : refusals) {
    CAPTURE(refusal.status);
    auto before = node.requests().size();
    node.next_response(http_response(
      refusal.status, "", "Location: http://127.0.0.1:1/logs/_search\r\n"));
    c.fails(ec::refused, refusal.remedy);
    CHECK(node.requests().size() == before + 1);
    CHECK(c.counts() == truth);
  }
}

TEST_CASE("an incomplete count is an error, and the next one recovers") {
  auto truth = some_workloads(100);
  scripted_node node{truth};
  auto config = asking({node.url()});
  config.page_size = 10;
  counting c{config};
  // The fault occurs on the fourth page.
  auto fault = [&](ec code, const std::string& part, scripted_node::script what,
                   size_t times = 1) {
    CAPTURE(part);
    node.next(std::move(what), 3, times);
    c.fails(code, part);
    node.next(nullptr, 0, 100);
    CHECK(c.counts() == truth);
  };
  auto changed = [&](const std::string& part, const std::string& by) {
    return
      [&truth, part, by](const node_request& request, node_exchange& client) {
        return client.send(
          http_response(200, changed_page(truth, request, part, by)));
      };
  };
  fault(ec::timeout, "in time",
        changed(R"("timed_out":false)", R"("timed_out":true)"));
  fault(ec::bad_reply, "1 of 3 shards",
        changed(R"("failed":0)", R"("failed":1)"));
  fault(ec::refused, "--opensearch-index",
        changed(R"("total":3)", R"("total":0)"));
  fault(ec::bad_reply, "shards were searched", changed("_shards", "_shard"));
  fault(ec::bad_reply, "no buckets", changed("aggregations", "aggregation"));
  auto truncated = [&](const node_request& request, node_exchange& client) {
    auto page = composite_page(truth, request.body);
    return client.send(http_response(200, page.substr(0, page.size() / 2)));
  };
  fault(ec::bad_reply, "not a page", truncated);
  auto cut = [&](const node_request& request, node_exchange& client) {
    auto response = http_response(200, composite_page(truth, request.body));
    client.send(response.substr(0, response.size() / 2));
    return false;
  };
  // Cut in each attempt.
  fault(ec::bad_reply, "ended the connection", cut, 20);
  auto compressed = [&](const node_request&, node_exchange& client) {
    return client.send(http_response(200, "x", "Content-Encoding: gzip\r\n"));
  };
  fault(ec::bad_reply, "compressed", compressed, 20);
  auto garbage = [&](const node_request&, node_exchange& client) {
    client.send("SSH-2.0-OpenSSH\r\n\r\n");
    return false;
  };
  fault(ec::bad_reply, "", garbage, 20);
  auto again = [&](const node_request& request, node_exchange& client) {
    // As if the first page had been requested.
    auto page = composite_page(
      truth, R"({"aggs":{"bucket":{"composite":{"size":10}}}})");
    static_cast<void>(request);
    return client.send(http_response(200, page));
  };
  fault(ec::bad_reply, "twice", again);
}

TEST_CASE("an answer above the maximum size is not read") {
  auto truth = some_workloads(100);
  scripted_node node{truth};
  auto config = asking({node.url()});
  config.page_size = 10;
  config.max_bytes = 100'000;
  counting c{config};
  SUBCASE("with a length") {
    auto huge = [](const node_request&, node_exchange& client) {
      client.send("HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\n");
      client.hang();
      return false;
    };
    node.next(huge, 2);
  }
  SUBCASE("without a length") {
    auto endless = [](const node_request&, node_exchange& client) {
      auto large = std::string(200'000, ' ');
      auto good = client.send("HTTP/1.1 200 OK\r\n\r\n");
      while (good)
        good = client.send(large);
      return false;
    };
    node.next(endless, 2);
  }
  c.fails(ec::too_large, "--opensearch-max-bytes");
  CHECK(node.requests().size() == 3);
  CHECK(c.counts() == truth);
}

TEST_CASE("more pages than --opensearch-max-pages are an error") {
  scripted_node node{some_workloads(100)};
  auto config = asking({node.url()});
  config.page_size = 10;
  config.max_pages = 9;
  counting c{config};
  c.fails(ec::too_large, "--opensearch-max-pages");
  CHECK(node.requests().size() == 9);
}

// -- time ---------------------------------------------------------------------

TEST_CASE("a count ends at its deadline, wherever the node hangs") {
  auto truth = some_workloads(100);
  scripted_node node{truth};
  counting c{asking({node.url()}), 600ms};
  auto page = http_response(200, composite_page(truth, R"({"aggs":{"bucket":
    {"composite":{"size":100}}}})"));
  scripted_node::script what;
  SUBCASE("before its answer") {
    what = [](const node_request&, node_exchange& client) {
      client.hang();
      return false;
    };
  }
  SUBCASE("within the body") {
    what = [&](const node_request&, node_exchange& client) {
      client.send(page.substr(0, page.size() / 2));
      client.hang();
      return false;
    };
  }
  SUBCASE("byte by byte within the head") {
    what = [](const node_request&, node_exchange& client) {
      auto good = client.send("HTTP/1.1 200 OK\r\nX: ");
      while (good) {
        good = client.send("x");
        ::poll(nullptr, 0, 20);
      }
      return false;
    };
  }
  SUBCASE("byte by byte within the body") {
    what = [&](const node_request&, node_exchange& client) {
      for (auto byte : page) {
        if (!client.send({byte}))
          break;
        ::poll(nullptr, 0, 5);
      }
      return false;
    };
  }
  node.next(what);
  auto start = std::chrono::steady_clock::now();
  c.fails(ec::timeout, "did not answer in time");
  auto took = std::chrono::steady_clock::now() - start;
  CHECK(took >= 500ms);
  CHECK(took < 5s);
  CHECK(c.counts() == truth);
}

// -- several nodes ------------------------------------------------------------

TEST_CASE("another node is used when one fails in the middle") {
  auto truth = some_workloads(100);
  scripted_node second{truth};
  scripted_node first{truth};
  auto config = asking({first.url(), second.url()});
  config.page_size = 10;
  counting c{config};
  CHECK(c.counts() == truth);
  CHECK(second.requests().empty());
  SUBCASE("with 500") {
    first.next_response(http_response(500, ""), 3);
  }
  SUBCASE("by closing the connection") {
    first.next([](auto&, auto&) { return false; }, 3);
  }
  auto before = first.requests().size();
  CHECK(c.counts() == truth);
  CHECK(first.requests().size() == before + 4);
  // The second node stays in use.
  CHECK(c.counts() == truth);
  CHECK(first.requests().size() == before + 4);
  // Until it fails.
  second.next([](auto&, auto&) { return false; }, 2);
  CHECK(c.counts() == truth);
  CHECK(first.requests().size() > before + 4);
}

TEST_CASE("a node that hangs leaves time for another one") {
  auto truth = some_workloads(10);
  scripted_node hanging{truth};
  scripted_node good{truth};
  hanging.next(
    [](auto&, auto& client) {
      client.hang();
      return false;
    },
    0, 100);
  counting c{asking({hanging.url(), good.url()}), 2s};
  CHECK(c.counts() == truth);
}

TEST_CASE("a node that hangs does not hide why another one failed") {
  scripted_node hanging{{}};
  scripted_node failing{{}};
  failing.next_response(http_response(500, R"({"error":"broken"})"), 0, 100);
  hanging.next(
    [](auto&, auto& client) {
      client.hang();
      return false;
    },
    0, 100);
  counting c{asking({failing.url(), hanging.url()}), 600ms};
  c.fails(ec::refused, "broken");
}

TEST_CASE("an error names the node that cannot be reached") {
  std::string gone;
  {
    scripted_node node{{}};
    gone = node.url();
  }
  counting c{asking({gone}), 2s};
  c.fails(ec::disconnected, gone + " cannot be connected to");
  counting none{asking({})};
  none.fails(ec::invalid_configuration, "--opensearch-url");
}

// -- TLS ----------------------------------------------------------------------

TEST_CASE("certificates and names are verified") {
  scratch files;
  for (auto authority : {"ca", "other"})
    files.run(std::string{"openssl req -x509 -newkey rsa:2048 -nodes -days 1 "
                          "-subj /CN="}
              + authority + " -keyout " + authority + ".key -out " + authority
              + ".pem");
  files.write("names", "subjectAltName=DNS:localhost");
  files.run("openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 "
            "-keyout node.key -out node.csr");
  files.run("openssl x509 -req -days 1 -in node.csr -CA ca.pem -CAkey ca.key "
            "-CAcreateserial -extfile names -out node.pem");
  auto truth = some_workloads(10);
  httplib::SSLServer server{files.file("node.pem").c_str(),
                            files.file("node.key").c_str()};
  server.Post(
    ".*", [&](const httplib::Request& request, httplib::Response& response) {
      response.set_content(composite_page(truth, request.body),
                           "application/json");
    });
  auto port = std::to_string(server.bind_to_any_port("127.0.0.1"));
  std::thread thread{[&] { server.listen_after_bind(); }};
  struct stopper {
    httplib::SSLServer& of;
    std::thread& runner;

    ~stopper() {
      while (!of.is_running())
        std::this_thread::yield();
      of.stop();
      runner.join();
    }
  } stop{server, thread};
  auto config = asking({"https://localhost:" + port});
  config.ca_file = files.file("ca.pem");
  {
    counting good{config, 5s};
    CHECK(good.counts() == truth);
    CHECK(good.counts() == truth);
  }
  auto verify = [&](const std::string& ca, const std::string& host, ec code,
                    const std::string& part) {
    CAPTURE(host);
    auto wrong = asking({"https://" + host + ":" + port});
    wrong.ca_file = ca.empty() ? "" : files.file(ca);
    counting c{wrong, 10s};
    c.fails(code, part);
  };
  verify("other.pem", "localhost", ec::disconnected, "does not verify");
  verify("", "localhost", ec::disconnected, "--opensearch-ca");
  // The common name is ignored when there are alternative names.
  verify("ca.pem", "127.0.0.1", ec::disconnected, "does not verify");
  verify("node.key", "localhost", ec::invalid_configuration, "no certificates");
  // A corrected authority is used without a restart.
  files.run("cp other.pem changing.pem");
  config.ca_file = files.file("changing.pem");
  counting changing{config, 10s};
  changing.fails(ec::disconnected, "does not verify");
  files.run("cp ca.pem changing.pem");
  CHECK(changing.counts() == truth);
}
