#include "http/server/request_processor.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace aiops;
using namespace aiops::http;

namespace {

http_response explode(http_request, route_env&, admission&) {
  throw std::runtime_error("secret");
}

http_response explode_badly(http_request, route_env&, admission&) {
  throw 42;
}

request_head head_of(const std::string& text) {
  return std::get<request_head>(parse_head(text, 0));
}

} // namespace

TEST_CASE("an exception is 500 and tells nothing") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  directory actors;
  http_context context{&system, &actors, {}};
  admission gate{1};
  for (auto fun : {explode, explode_badly}) {
    request_processor processor{context, {}, gate, fun};
    for (auto path : {"/livez", "/api/v1/clusters"}) {
      std::string out;
      processor.process(
        head_of(std::string{"GET "} + path + " HTTP/1.1\r\n\r\n"), {},
        {"127.0.0.1", 1}, false, out);
      CHECK(out.starts_with("HTTP/1.1 500 "));
      CHECK(out.find("internal error") != std::string::npos);
      CHECK(out.find("secret") == std::string::npos);
      CHECK(out.find("EXCEPTION") == std::string::npos);
    }
  }
}
