#include "nats/jetstream_answer.hpp"
#include "nats/json.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace aiops;
using namespace aiops::nats;
using outcome = jetstream_outcome;

namespace {

jetstream_verdict verdict_of(int err_code, int status,
                             const std::string& description = "why") {
  return judge({{"error",
                 {{"code", status},
                  {"err_code", err_code},
                  {"description", description}}}});
}

} // namespace

TEST_CASE("answers of JetStream are classified by their code") {
  struct row {
    int err_code;
    int status;
    outcome expected;
    ec code;
  };
  // As in server/errors.json.
  constexpr row table[] = {
    {10071, 400, outcome::conflict, ec::conflict},
    {10007, 500, outcome::try_again, ec::overloaded},
    {10008, 503, outcome::try_again, ec::overloaded},
    {10009, 500, outcome::try_again, ec::overloaded},
    {10023, 503, outcome::try_again, ec::overloaded},
    {10039, 503, outcome::try_again, ec::overloaded},
    {10041, 500, outcome::try_again, ec::overloaded},
    {10063, 503, outcome::try_again, ec::timeout},
    {10076, 503, outcome::try_again, ec::overloaded},
    {10077, 503, outcome::try_again, ec::timeout},
    {10118, 500, outcome::try_again, ec::overloaded},
    {10163, 503, outcome::try_again, ec::overloaded},
    {10164, 400, outcome::try_again, ec::overloaded},
    {10167, 429, outcome::try_again, ec::overloaded},
    {10210, 429, outcome::try_again, ec::overloaded},
    {10999, 503, outcome::try_again, ec::overloaded},
    {10002, 400, outcome::full, ec::overloaded},
    {10027, 400, outcome::full, ec::overloaded},
    {10028, 500, outcome::full, ec::overloaded},
    {10047, 500, outcome::full, ec::overloaded},
    {10122, 400, outcome::full, ec::overloaded},
    {10054, 400, outcome::too_large, ec::too_large},
    {10097, 400, outcome::too_large, ec::too_large},
    {10109, 400, outcome::forbidden, ec::refused},
    {10110, 500, outcome::forbidden, ec::refused},
    {10120, 400, outcome::forbidden, ec::refused},
    {10998, 403, outcome::forbidden, ec::refused},
    {10059, 404, outcome::no_stream, ec::refused},
    {10037, 404, outcome::no_message, ec::refused},
    {10058, 400, outcome::stream_exists, ec::refused},
    {10005, 400, outcome::too_few_nodes, ec::overloaded},
    {10074, 500, outcome::too_few_nodes, ec::overloaded},
    {10158, 409, outcome::duplicate, ec::refused},
    {10003, 400, outcome::refused, ec::refused},
    {10052, 500, outcome::refused, ec::refused},
    {10065, 400, outcome::refused, ec::refused},
  };
  for (auto& x : table) {
    CAPTURE(x.err_code);
    auto verdict = verdict_of(x.err_code, x.status);
    CHECK(verdict.outcome == x.expected);
    CHECK(verdict.uncertain == (x.err_code == 10063 || x.err_code == 10077));
    CHECK(code_of(to_error(verdict, "writing")) == x.code);
  }
}

TEST_CASE(
  "the description of a failed store shows whether a limit is the cause") {
  CHECK(verdict_of(10077, 503, "maximum bytes exceeded").outcome
        == outcome::full);
  CHECK(verdict_of(10077, 503, "maximum messages exceeded").outcome
        == outcome::full);
  for (auto text : {"message to large", "message too large"})
    CHECK(verdict_of(10077, 503, text).outcome == outcome::too_large);
  auto failed = verdict_of(10077, 503, "write: no space left on device");
  CHECK(failed.outcome == outcome::try_again);
  CHECK(failed.uncertain);
}

TEST_CASE("an answer that is not of JetStream is unreadable") {
  CHECK(judge(parse_json(R"({"stream":"KV_x","seq":1})")).outcome
        == outcome::done);
  CHECK(judge(parse_json("rubbish")).outcome == outcome::unreadable);
  CHECK(judge(parse_json("[]")).outcome == outcome::unreadable);
  CHECK(judge(parse_json(R"({"error":"x"})")).outcome == outcome::unreadable);
  CHECK(code_of(to_error(judge(parse_json("rubbish")), "x")) == ec::bad_reply);
  // Without a description the text contains the JSON of the server.
  auto silent = judge(parse_json(R"({"error":{"code":500}})"));
  CHECK(silent.outcome == outcome::refused);
  CHECK(silent.description == R"({"code":500})");
}
