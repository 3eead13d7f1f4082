#include "http/error_response.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace aiops;
using namespace aiops::http;

TEST_CASE("every error code has its HTTP status and gRPC code") {
  struct row {
    ec code;
    int status;
    int grpc;
  };
  constexpr row rows[] = {
    {ec::none, 500, 13},
    {ec::invalid_argument, 400, 3},
    {ec::not_found, 404, 5},
    {ec::too_large, 413, 8},
    {ec::conflict, 409, 10},
    {ec::no_responders, 503, 14},
    {ec::disconnected, 503, 14},
    {ec::lost_in_flight, 503, 14},
    {ec::overloaded, 503, 14},
    {ec::timeout, 504, 4},
    {ec::bad_reply, 502, 13},
    {ec::refused, 502, 13},
    {ec::invalid_configuration, 500, 13},
    {ec::internal, 500, 13},
  };
  CHECK(std::size(rows) == static_cast<size_t>(ec::ec_count));
  for (auto& expected : rows) {
    CAPTURE(to_string(expected.code));
    auto& found = error_row_of(expected.code);
    CHECK(found.code == expected.code);
    CHECK(found.status == expected.status);
    CHECK(grpc_code_of(found.status) == expected.grpc);
  }
}

TEST_CASE("statuses without an error code have a gRPC code") {
  for (auto status : {411, 414, 415, 417, 431})
    CHECK(grpc_code_of(status) == 3);
  for (auto status : {405, 501, 505})
    CHECK(grpc_code_of(status) == 12);
}

TEST_CASE("a code out of range is internal") {
  CHECK(error_row_of(static_cast<ec>(200)).code == ec::internal);
}

TEST_CASE("an error of the compatibility API has code, message and details") {
  auto got = error_response(dialect::compat,
                            make_error(ec::no_responders, "none \"there\""));
  CHECK(got.status == 503);
  CHECK(got.content_type == json_type);
  CHECK(got.body == R"({"code":14,"message":"none \"there\"","details":[]})");
}

TEST_CASE("a problem has type, title, status and detail") {
  auto got = error_response(dialect::problem, make_error(ec::timeout, "late"));
  CHECK(got.status == 504);
  CHECK(got.content_type == problem_type);
  auto body = nlohmann::json::parse(got.body);
  CHECK(body["type"] == "about:blank");
  CHECK(body["title"] == "Gateway Timeout");
  CHECK(body["status"] == 504);
  CHECK(body["detail"] == "late");
}

TEST_CASE("the texts of internal errors are only logged") {
  for (auto code : {ec::internal, ec::invalid_configuration}) {
    auto got = error_response(dialect::compat, make_error(code, "/etc/secret"));
    CHECK(got.status == 500);
    CHECK(got.body.find("secret") == std::string::npos);
    CHECK(got.detail.find("/etc/secret") != std::string::npos);
  }
}

TEST_CASE("errors of the actor system are answered without their texts") {
  auto late = error_response(dialect::compat,
                             caf::make_error(caf::sec::request_timeout));
  CHECK(late.status == 504);
  auto gone = error_response(dialect::compat,
                             caf::make_error(caf::sec::request_receiver_down));
  CHECK(gone.status == 503);
  auto other = error_response(dialect::compat,
                              caf::make_error(caf::sec::runtime_error, "boom"));
  CHECK(other.status == 500);
  CHECK(other.body.find("boom") == std::string::npos);
}

TEST_CASE("the path determines the dialect") {
  CHECK(dialect_of("/api/v1/clusters") == dialect::problem);
  CHECK(dialect_of("/ModelTraining/gpu_info") == dialect::compat);
  CHECK(dialect_of("/opni-api/ModelTraining/gpu_info") == dialect::compat);
  CHECK(dialect_of("") == dialect::compat);
}
