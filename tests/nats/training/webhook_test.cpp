#include "nats/training/job_json.hpp"
#include "nats/training/webhook.hpp"
#include "tests/gpu/api_server.hpp"
#include "tests/support/live_system.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;
using namespace aiops::test;
using namespace std::chrono_literals;

namespace {

/// Accepts reports on any path.
class receiver {
public:
  explicit receiver(std::unique_ptr<httplib::Server> server
                    = std::make_unique<httplib::Server>())
    : server_(std::move(server)) {
    server_->Post(".*", [this](auto& request, auto& response) {
      {
        std::lock_guard guard{mutex_};
        requests_.push_back(request);
      }
      how(request, response);
    });
    port_ = server_->bind_to_any_port("127.0.0.1");
    thread_ = std::thread{[this] { server_->listen_after_bind(); }};
    while (!server_->is_running())
      std::this_thread::yield();
  }

  ~receiver() {
    ending = true;
    server_->stop();
    thread_.join();
  }

  std::string host() const {
    return "127.0.0.1:" + std::to_string(port_);
  }

  std::vector<httplib::Request> requests() const {
    std::lock_guard guard{mutex_};
    return requests_;
  }

  /// The answer; set before the first request.
  std::function<void(const httplib::Request&, httplib::Response&)> how =
    [](auto&, auto& response) { response.status = 204; };
  std::atomic<bool> ending = false;

private:
  std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<httplib::Request> requests_;
  std::thread thread_;
};

struct fixture : live_system {
  webhook_config config(const std::string& url) {
    webhook_config result;
    result.url = url;
    return result;
  }

  /// Reports one job; the error has the code `none` when it was accepted.
  caf::error report(webhook_config cfg) {
    auto hook = spawn_detached(webhook, std::move(cfg));
    auto answer = ask<caf::unit_t>(job_hook_actor{hook}, put_atom_v, job);
    return answer ? caf::error{} : answer.error();
  }

  fixture() {
    job.id = "1234";
  }

  /// The values with which the webhook is called.
  std::string body() const {
    return encode_job(job);
  }

  training_job job;
  scratch_dir files;
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a report goes where the URL says, unsigned") {
  receiver there;
  CHECK(!report(config("http://" + there.host() + "/a/hook/?token=t%20x&b=1")));
  REQUIRE(there.requests().size() == 1);
  auto request = there.requests().front();
  CHECK(request.target == "/a/hook/?token=t%20x&b=1");
  CHECK(request.body == body());
  CHECK(request.get_header_value("Content-Type") == "application/json");
  CHECK(request.get_header_value("User-Agent").starts_with("aiops-gateway/"));
  CHECK(request.get_header_value_count("User-Agent") == 1);
  CHECK(request.get_header_value("X-Aiops-Event") == "training.finished");
  CHECK(request.get_header_value("X-Aiops-Delivery") == "1234");
  CHECK(!request.has_header("X-Hub-Signature-256"));
  CHECK(!report(config("http://" + there.host())));
  CHECK(there.requests().back().target == "/");
  CHECK(!report(config("http://" + there.host() + "?q=1#part")));
  CHECK(there.requests().back().target == "/?q=1");
}

TEST_CASE_FIXTURE(
  fixture, "reports are signed with the current content of the secret file") {
  CHECK(hub_signature("key", "The quick brown fox jumps over the lazy dog")
        == "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a"
           "3cd8");
  receiver there;
  auto cfg = config("http://" + there.host() + "/");
  cfg.secret_file = files.write("secret", "key\r\n");
  CHECK(!report(cfg));
  auto signature = [&] {
    return there.requests().back().get_header_value("X-Hub-Signature-256");
  };
  CHECK(signature() == hub_signature("key", body()));
  files.write("secret", "other");
  CHECK(!report(cfg));
  CHECK(signature() == hub_signature("other", body()));
}

TEST_CASE_FIXTURE(fixture,
                  "nothing is sent when the configured secret is missing") {
  receiver there;
  auto cfg = config("http://" + there.host() + "/");
  cfg.secret_file = files / "missing";
  auto problem = report(cfg);
  CHECK(code_of(problem) == ec::invalid_configuration);
  CHECK(text_of(problem).find("missing") != std::string::npos);
  cfg.secret_file = files.write("empty", "\n");
  CHECK(code_of(report(cfg)) == ec::invalid_configuration);
  cfg.secret_file = files.path();
  CHECK(code_of(report(cfg)) == ec::invalid_configuration);
  CHECK(there.requests().empty());
}

TEST_CASE_FIXTURE(fixture, "only 2xx is success, with any body") {
  receiver there;
  auto url = "http://" + there.host() + "/hook?token=hush";
  auto status = 200;
  there.how = [&](auto&, auto& response) {
    response.status = status;
    response.set_content(std::string(3'000'000, 'x'), "text/plain");
    if (status == 302)
      response.set_header("Location", "/elsewhere");
  };
  CHECK(!report(config(url)));
  for (auto bad : {302, 404, 500}) {
    CAPTURE(bad);
    status = bad;
    auto problem = report(config(url));
    CHECK(code_of(problem) == ec::refused);
    CHECK(text_of(problem)
          == "http://" + there.host() + " answered with status "
               + std::to_string(bad));
  }
  // No redirect was followed.
  CHECK(there.requests().size() == 4);
}

TEST_CASE_FIXTURE(fixture, "a receiver that is dead or hangs is an error") {
  std::string url;
  {
    receiver there;
    url = "http://" + there.host() + "/hook?token=hush";
  }
  auto dead = report(config(url));
  CHECK(code_of(dead) == ec::disconnected);
  CHECK(text_of(dead).find("hush") == std::string::npos);
  receiver there;
  there.how = [&](auto&, auto&) {
    while (!there.ending)
      std::this_thread::yield();
  };
  auto cfg = config("http://" + there.host() + "/hook?token=hush");
  cfg.timeout = 100ms;
  auto late = report(cfg);
  CHECK(code_of(late) == ec::timeout);
  CHECK(text_of(late).find("hush") == std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "the certificate of a receiver is verified") {
  auto& keys = certificates();
  receiver there{std::make_unique<httplib::SSLServer>(
    (keys / "server.pem").c_str(), (keys / "server.key").c_str())};
  auto cfg = config("https://" + there.host() + "/hook");
  auto problem = report(cfg);
  CHECK(code_of(problem) == ec::disconnected);
  CHECK(text_of(problem).find("--training-webhook-ca") != std::string::npos);
  cfg.ca_file = keys / "ca.pem";
  CHECK(!report(cfg));
  cfg.ca_file = keys / "other.pem";
  CHECK(code_of(report(cfg)) == ec::disconnected);
  CHECK(there.requests().size() == 1);
}
